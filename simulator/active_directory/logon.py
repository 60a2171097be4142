"""Checking a password: interactive logons, LDAP binds and NTLM, with lockout counters and the hour of grace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.active_directory import policy
from simulator.active_directory.policy import HASH_SIZE, Lockout
from simulator.active_directory.times import TICKS_PER_SECOND, ticks

if TYPE_CHECKING:
    from simulator.active_directory.replica import Entry
    from simulator.active_directory.state import Controller

LOGON_STAMP_DAYS = 14
"""lastLogonTimestamp is written again when it is older than this (the product draws 9 to 14 days)."""


def is_locked(controller: Controller, entry: Entry) -> bool:
    """Whether the account is locked out now."""
    return policy.is_locked(entry.integer("lockouttime"), controller.domain.policy_for(entry), controller.now())


def check(
    controller: Controller,
    entry: Entry,
    nt: bytes,
    *,
    observe: bool = False,
    grace: bool = False,
    workstation: str = "",
) -> str:
    """The outcome of a logon with a password whose NT hash is ``nt``; a word of :data:`errors.LOGON_CODES` or ``ok``.

    A wrong password wins over every other reason except locked. observe: leaves no trace. grace: the previous
    password counts for an hour after a change. workstation: where the logon happens, if that is known. Order of
    reasons: [MS-ADTS] 5.1.1.1.1 and measured sub-codes.
    """
    if is_locked(controller, entry):
        return "locked"
    if not matches(controller, entry, nt, grace=grace):
        if not observe:
            count_wrong(controller, entry, nt)
        return "wrong-password"
    reason = standing(controller, entry, workstation)
    if not observe and reason == "ok":
        _record_success(controller, entry)
    return reason


def matches(controller: Controller, entry: Entry, nt: bytes, *, grace: bool = False) -> bool:
    """Whether ``nt`` is the account's hash, or (with grace) the one before it within the hour.

    There is no grace while the password must be changed: nobody can tell then when it was set.

    A password is of no use to an account that needs a smart card (unconfirmed: it is answered as a wrong one).
    """
    if entry.integer("useraccountcontrol") & policy.SMARTCARD_REQUIRED:
        return False
    if nt and nt == entry.octets("unicodepwd"):
        return True
    if not nt or not grace or not entry.integer("pwdlastset"):
        return False
    if entry.octets("ntpwdhistory")[HASH_SIZE : 2 * HASH_SIZE] != nt:
        return False
    stamp = entry.stamp("unicodepwd")
    return stamp is not None and controller.now() - stamp.changed * TICKS_PER_SECOND < ticks(policy.GRACE)


def standing(controller: Controller, entry: Entry, workstation: str = "") -> str:
    """What the account's state says to someone with the right password.

    Hours and workstations stand before the password's age (unconfirmed).
    """
    flags, now = entry.integer("useraccountcontrol"), controller.now()
    if flags & policy.DISABLED:
        return "disabled"
    if policy.account_expired(entry.integer("accountexpires"), now):
        return "account-expired"
    if not policy.hours_allow(entry.octets("logonhours"), now):
        return "logon-hours"
    if workstation and not policy.workstation_allowed(entry.text("userworkstations"), workstation):
        return "workstation"
    last_set = entry.integer("pwdlastset")
    if policy.must_change(last_set, flags):
        return "must-change"
    if policy.is_expired(last_set, flags, controller.domain.policy_for(entry).max_age, now):
        return "expired"
    return "ok"


def count_wrong(controller: Controller, entry: Entry, nt: bytes) -> None:
    """Count a wrong password; at the threshold the account is locked.

    One of the two passwords before the current one is not counted (product documentation, "password history check").
    """
    history = entry.octets("ntpwdhistory")
    if policy.in_history(nt, history[HASH_SIZE:], 2):
        return
    before = Lockout(entry.integer("badpwdcount"), entry.integer("badpasswordtime"), entry.integer("lockouttime"))
    now = controller.now()
    after = policy.after_wrong_password(before, controller.domain.policy_for(entry), now)
    replica = controller.replica
    replica.set_local(entry, {"badpwdcount": after.count, "badpasswordtime": after.last_bad})
    if after.locked != before.locked:
        replica.write(entry, {"lockouttime": after.locked}, now // TICKS_PER_SECOND)


def _record_success(controller: Controller, entry: Entry) -> None:
    now = controller.now()
    local = {"lastlogon": now, "logoncount": entry.integer("logoncount") + 1}
    if entry.integer("badpwdcount"):
        local["badpwdcount"] = 0
    controller.replica.set_local(entry, local)
    changes = {}
    if entry.integer("lockouttime"):
        changes["lockouttime"] = 0
    if now - entry.integer("lastlogontimestamp") >= LOGON_STAMP_DAYS * 86400 * TICKS_PER_SECOND:
        changes["lastlogontimestamp"] = now
    if changes:
        controller.replica.write(entry, changes, now // TICKS_PER_SECOND)
