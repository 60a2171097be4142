"""Setting passwords: a user's own change, an administrator's reset, and what both leave behind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from pwsync.credential import nt_hash
from simulator.active_directory import logon, policy, supplemental
from simulator.active_directory.errors import WIN32_OF_LOGON
from simulator.active_directory.policy import DomainPolicy
from simulator.active_directory.schema import PASSWORD_ATTRIBUTES, Value
from simulator.active_directory.times import TICKS_PER_SECOND, moment
from simulator.refusal import Refusal

if TYPE_CHECKING:
    from simulator.active_directory.replica import Entry, Stamp
    from simulator.active_directory.state import Controller, Domain


@dataclass(frozen=True, slots=True)
class PasswordSet:
    """A password that was set: what the world's checks compare the tenant with.

    at: the originating time, UTC. nt_hash: 16 bytes. kind: ``create``, ``reset``, ``change`` or ``randomised``. stamp:
    of the password where it was set; of two passwords of a user the directory keeps the one with the greater stamp.
    """

    sequence: int
    at: datetime
    guid: UUID
    name: str
    nt_hash: bytes
    kind: str
    must_change: bool
    stamp: Stamp


def check_quality(rules: DomainPolicy, password: str, name: str, display_name: str) -> None:
    """Length and complexity, which hold for changes and resets. Raises Refusal."""
    if policy.length(password) < rules.min_length:
        raise Refusal(
            "password-too-short", f"the password is shorter than {rules.min_length} characters", win32=0x52D, ldap=19
        )
    if rules.complexity and not policy.is_complex(password, name, display_name):
        raise Refusal("password-too-weak", "the password does not meet the complexity rules", win32=0x52D, ldap=19)


def set_values(nt: bytes, history: bytes, depth: int, last_set: int) -> dict[str, Value | None]:
    """The six attributes of one password set. LM hashes are not kept, supplemental credentials by who has the text."""
    return {
        "unicodepwd": nt,
        "ntpwdhistory": policy.next_history(nt, history, depth),
        "dbcspwd": b"",
        "lmpwdhistory": b"",
        "supplementalcredentials": b"",
        "pwdlastset": last_set,
    }


def store(
    controller: Controller,
    entry: Entry,
    nt: bytes,
    kind: str,
    *,
    clear: str | None = None,
    must_change: bool = False,
    also: Mapping[str, Value | None] | None = None,
) -> None:
    """Set an NT hash, with other changes of the same transaction, and log it. clear: the password, where it is known;
    where it is not, the account has no Kerberos keys."""
    domain, now = controller.domain, controller.now()
    last_set = 0 if must_change else now
    changes = set_values(nt, entry.octets("ntpwdhistory"), domain.policy_for(entry).history, last_set)
    if clear is not None:
        changes["supplementalcredentials"] = supplemental.after(entry, clear, domain.name)
    if also:
        changes |= also
    controller.replica.write(entry, changes, now // TICKS_PER_SECOND, always=PASSWORD_ATTRIBUTES)
    record(domain, entry, nt, kind, entry.integer("pwdlastset") == 0, moment(now))


def randomise(controller: Controller, entry: Entry, also: Mapping[str, Value | None]) -> None:
    """Put a password that nobody knows, with other changes of the same transaction, and log it.

    History and keys go, pwdLastSet stays (as other servers do it; the specification names the hashes only).
    """
    now = controller.now()
    nt = controller.domain.random("secrets").randbytes(policy.HASH_SIZE)
    changes = set_values(nt, b"", 0, 0) | {"ntpwdhistory": b"", "supplementalcredentials": supplemental.NO_PACKAGES}
    del changes["pwdlastset"]
    controller.replica.write(entry, {**changes, **also}, now // TICKS_PER_SECOND, always=frozenset(changes))
    record(controller.domain, entry, nt, "randomised", entry.integer("pwdlastset") == 0, moment(now))


def record(domain: Domain, entry: Entry, nt: bytes, kind: str, must_change: bool, at: datetime) -> None:
    """Append to the domain's log of passwords."""
    log = domain.password_log
    name = entry.text("samaccountname")
    stamp = entry.stamps.get("unicodepwd", entry.created)
    log.append(PasswordSet(len(log) + 1, at, UUID(bytes_le=entry.guid), name, nt, kind, must_change, stamp))


def check_change(controller: Controller, entry: Entry, old: str, new: str) -> None:
    """Everything that a user's own change has to pass; a wrong old password counts towards lockout. Raises Refusal.

    An expired password, and one that must be changed, may be changed.
    """
    rules, old_nt = controller.domain.policy_for(entry), nt_hash(old)
    if logon.is_locked(controller, entry):
        raise Refusal("locked", "the account is locked out", win32=WIN32_OF_LOGON["locked"], ldap=19)
    if old_nt != entry.octets("unicodepwd"):
        logon.count_wrong(controller, entry, old_nt)
        raise Refusal("wrong-password", "the old password is not the current one", win32=0x56, ldap=19)
    _check_account(controller, entry)
    if policy.is_too_young(entry.integer("pwdlastset"), controller.now(), rules.min_age):
        raise Refusal("password-too-young", "the password was set too short a time ago", win32=0x52D, ldap=19)
    check_quality(rules, new, entry.text("samaccountname"), entry.text("displayname"))
    if policy.in_history(nt_hash(new), entry.octets("ntpwdhistory"), rules.history):
        raise Refusal("password-reused", f"one of the last {rules.history} passwords", win32=0x52D, ldap=19)


def _check_account(controller: Controller, entry: Entry) -> None:
    reason = logon.standing(controller, entry)
    if reason == "disabled":
        raise Refusal("disabled", "the account is disabled", win32=WIN32_OF_LOGON[reason], ldap=19)
    if reason == "account-expired":
        raise Refusal("expired", "the account has expired", win32=WIN32_OF_LOGON[reason], ldap=19)


def change(controller: Controller, entry: Entry, old: str, new: str) -> None:
    """A user's own change. Raises Refusal."""
    check_change(controller, entry, old, new)
    store(controller, entry, nt_hash(new), "change", clear=new)


def reset(
    controller: Controller, entry: Entry, new: str, *, must_change: bool = False, check_policy: bool = True
) -> None:
    """An administrator's reset: length and complexity hold, history and minimum age do not. Raises Refusal.

    It does not unlock. check_policy False: the password is taken as it is.
    """
    if check_policy:
        rules = controller.domain.policy_for(entry)
        check_quality(rules, new, entry.text("samaccountname"), entry.text("displayname"))
    store(controller, entry, nt_hash(new), "reset", clear=new, must_change=must_change)


def require_change(controller: Controller, entry: Entry, required: bool) -> None:
    """pwdLastSet: 0 when required; -1 otherwise, which means now, and nothing if it is not 0."""
    last_set = entry.integer("pwdlastset")
    now = controller.now()
    if required:
        controller.replica.write(entry, {"pwdlastset": 0}, now // TICKS_PER_SECOND)
    elif last_set == 0:
        controller.replica.write(entry, {"pwdlastset": now}, now // TICKS_PER_SECOND)
