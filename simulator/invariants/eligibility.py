"""Whether a user's password is to be synchronized: the product's scope rules, written a second time for the judge.

Not shared with the agent on purpose: a mistake there must not excuse itself here.
"""

from __future__ import annotations

from functools import lru_cache

from pwsync.settings import Scope
from simulator.active_directory.names import parse_dn, rdn_key
from simulator.active_directory.state import Account, Domain

SYSTEM_OBJECT = "system object"

NEVER = ("msol_", "aad_", "systemmailbox{")
MARK = "phsincluded"
"""``adminDescription`` of those whom selective synchronization takes (product documentation)."""
MAILBOX_BITS = (12, 13, 14, 22, 23, 24, 29)
"""Of ``msExchRecipientTypeDetails``: mailboxes of Exchange's own (product documentation: default configuration)."""


def why_not(account: Account, domain: Domain, scope: Scope) -> str | None:
    """The reason why a user's password stays on premises; None if it is to be synchronized."""
    if account.user_class != "user":
        return f"class {account.user_class}"
    if not account.enabled:
        return "disabled"
    if account.critical or _is_of_the_system(account.name.lower()) or _is_exchanges_own(account):
        return SYSTEM_OBJECT
    dn = account.dn.lower()
    if scope.ous and not any(below(dn, ou, domain) for ou in scope.ous):
        return "outside the chosen OUs"
    if any(below(dn, ou, domain) for ou in scope.exclude_ous):
        return "in an excluded OU"
    for name, value in scope.exclude_attribute.items():
        if any(str(held).lower() == value.lower() for held in account.entry.all(name.lower())):
            return f"{name} is {value}"
    if scope.included_only and not any(str(mark).lower() == MARK for mark in account.entry.all("admindescription")):
        return "not selected"
    return None


def _is_of_the_system(name: str) -> bool:
    return name.startswith(NEVER) or name == "support_388945a0" or (name[:4] == "cas_" and "}" in name)


def _is_exchanges_own(account: Account) -> bool:
    nickname = "".join(map(str, account.entry.all("mailnickname"))).lower()
    if nickname.startswith("systemmailbox{") or (nickname[:4] == "cas_" and "}" in nickname):
        return True
    details = account.entry.all("msexchrecipienttypedetails")
    return any(int(kind) >> bit & 1 for kind in details for bit in MAILBOX_BITS)


def below(dn: str, ou: str, domain: Domain) -> bool:
    """Whether a DN lies below an OU, given whole or relative to the domain; blanks around commas don't matter."""
    place, unit, root = _parts(dn), _parts(ou), _parts(domain.dn)
    whole = unit if unit[-len(root) :] == root else unit + root
    return len(place) > len(whole) and place[-len(whole) :] == whole


@lru_cache(maxsize=4096)
def _parts(dn: str) -> tuple[str, ...]:
    return tuple(rdn_key(*part) for part in parse_dn(dn))
