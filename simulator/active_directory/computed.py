"""Attributes that depend on the clock or on the domain's policy: expiry and lockout as clients see them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from simulator.active_directory import logon, names, policy
from simulator.active_directory.schema import Value
from simulator.active_directory.virtual import VIRTUAL

if TYPE_CHECKING:
    from simulator.active_directory.replica import Entry

LOCKOUT, PASSWORD_EXPIRED = 0x10, 0x800000


def _of_account(compute: Callable[[Entry, Any], int]) -> Callable[[Entry], Value | None]:
    """The computation for accounts that are not deleted; None for everything else."""
    return lambda entry: compute(entry, entry.replica.owner) if entry.kind.is_account and not entry.deleted else None


def _expiry(entry: Entry, controller: Any) -> int:
    rules = controller.domain.policy_for(entry)
    return policy.expiry(entry.integer("pwdlastset"), entry.integer("useraccountcontrol"), rules.max_age)


def _flags(entry: Entry, controller: Any) -> int:
    """Expired or must-change, and locked; never stored in userAccountControl ([MS-ADTS] 3.1.1.4.5.17)."""
    flags, last_set = entry.integer("useraccountcontrol"), entry.integer("pwdlastset")
    rules = controller.domain.policy_for(entry)
    expired = policy.must_change(last_set, flags)
    expired = expired or policy.is_expired(last_set, flags, rules.max_age, controller.now())
    return (PASSWORD_EXPIRED if expired else 0) | (LOCKOUT if logon.is_locked(controller, entry) else 0)


def _canonical(entry: Entry) -> Value:
    """``contoso.example/People/alice``."""
    parts = names.parse_dn(entry.dn)
    domain = ".".join(value for kind, value in parts if kind.upper() == "DC")
    path = [value.replace("/", "\\/") for kind, value in reversed(parts) if kind.upper() != "DC"]
    return "/".join([domain, *path]) if path else f"{domain}/"


def install() -> None:
    """Make these attributes readable on every entry."""
    VIRTUAL["msds-userpasswordexpirytimecomputed"] = _of_account(_expiry)
    VIRTUAL["msds-user-account-control-computed"] = _of_account(_flags)
    VIRTUAL["canonicalname"] = _canonical
