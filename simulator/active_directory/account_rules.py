"""What the accounts database takes when a client writes an account or a group ([MS-SAMR] 3.1.1.6, 3.1.1.8)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from simulator.active_directory import errors, policy
from simulator.active_directory.schema import ObjectClass

if TYPE_CHECKING:
    from simulator.active_directory.replica import Entry, Replica
    from simulator.active_directory.state import Domain

NORMAL, WORKSTATION, SERVER = policy.NORMAL_ACCOUNT, policy.WORKSTATION_ACCOUNT, 0x2000
TEMPORARY_DUPLICATE, INTERDOMAIN_TRUST, PARTIAL_SECRETS = 0x100, 0x800, 0x400_0000
ACCOUNT_TYPES = TEMPORARY_DUPLICATE | NORMAL | INTERDOMAIN_TRUST | WORKSTATION | SERVER
KNOWN_FLAGS = 0x0FFF_3BFB & ~policy.UNWRITABLE_FLAGS
"""userAccountControl's bits that are kept ([MS-ADTS] 2.2.16); others are dropped (unconfirmed)."""

FORBIDDEN_IN_NAMES = re.compile(r'[\x00-\x1f"/\\\[\]:|<>+=;?,*]')
NAME_LENGTH_MAX = 20
LOGON_HOURS_SIZE = 21
KEPT = frozenset(("samaccountname", "useraccountcontrol", "pwdlastset", "primarygroupid", "grouptype"))
"""What every account, or group, has: it can be replaced and not be removed."""

GROUP_GLOBAL, GROUP_LOCAL, GROUP_UNIVERSAL = 0x2, 0x4, 0x8
GROUP_SCOPES = GROUP_GLOBAL | GROUP_LOCAL | GROUP_UNIVERSAL
GROUP_SECURITY = -0x8000_0000
_NESTING_ERRORS = {
    (GROUP_GLOBAL, GROUP_LOCAL): 0x2144,
    (GROUP_GLOBAL, GROUP_UNIVERSAL): 0x2145,
    (GROUP_UNIVERSAL, GROUP_LOCAL): 0x2146,
}
"""By the scopes of the group and of a member that it can't have."""


def control_flags(kind: ObjectClass, wanted: int) -> int:
    """userAccountControl as it is stored when a client writes ``wanted``.

    What is computed elsewhere is masked off; without an account type it is a normal account. Raises LdapError 53 for
    several types, a type of trusts, and a computer's type on what is none (unconfirmed: the Win32 code); 80 for a
    read-only controller that is no computer ([MS-SAMR] 3.1.1.8.10).
    """
    flags = wanted & KNOWN_FLAGS
    if not flags & ACCOUNT_TYPES:
        flags |= NORMAL
    types = flags & ACCOUNT_TYPES
    if types & (types - 1) or types & (TEMPORARY_DUPLICATE | INTERDOMAIN_TRUST):
        raise errors.unwilling(errors.INVALID_PARAMETER)
    if types != NORMAL and kind.name != "computer":
        raise errors.unwilling(errors.INVALID_PARAMETER)
    if flags & PARTIAL_SECRETS and types != WORKSTATION:
        raise errors.invalid_argument()
    return flags


def check_enabled(flags: int, min_length: int, *, has_password: bool) -> None:
    """An enabled account needs a password where a length is demanded, unless it is said to need none (Windows).

    Raises LdapError 53.
    """
    if not flags & (policy.DISABLED | policy.PASSWORD_NOT_REQUIRED) and not has_password and min_length:
        raise errors.unwilling(errors.PASSWORD_RESTRICTION)


def check_account_name(kind: ObjectClass, name: str) -> None:
    """Characters and length of a sAMAccountName. Raises LdapError 80."""
    bad = not name.strip() or name.endswith(".") or FORBIDDEN_IN_NAMES.search(name)
    if bad or (kind.is_account and kind.name != "computer" and len(name) > NAME_LENGTH_MAX):
        raise errors.invalid_argument(errors.INVALID_ACCOUNT_NAME)


def last_set(wanted: object, before: int, now: int) -> int:
    """pwdLastSet as it is stored: 0 is taken, -1 is now if it was 0. Raises LdapError 80 for anything else."""
    if wanted == 0:
        return 0
    if wanted == -1:
        return before or now
    raise errors.invalid_argument()


def check_logon_hours(value: object) -> None:
    """logonHours are a bit for each hour of the week. Raises LdapError 19 (unconfirmed)."""
    if not isinstance(value, bytes) or len(value) not in (0, LOGON_HOURS_SIZE):
        raise errors.attribute_error(errors.CONSTRAINT_VIOLATION, errors.INVALID_PARAMETER, "logonHours")


def check_service_names(domain: Domain, names: set[str]) -> None:
    """A service is one account's in the forest. ``names`` are new ones, case-folded. Raises LdapError 19."""
    for each in domain.forest.domains.values() if names else ():
        for other in each.controller().replica.by_name.values():
            if "serviceprincipalname" not in other.values:
                continue
            if not names.isdisjoint(str(found).casefold() for found in other.all("serviceprincipalname")):
                win32 = errors.SPN_NOT_UNIQUE
                raise errors.attribute_error(errors.CONSTRAINT_VIOLATION, win32, "servicePrincipalName")


# --- groups -------------------------------------------------------------------------------------------------------


def check_group_type(wanted: int) -> None:
    """A group has one scope and is there for security or for distribution. Raises LdapError 53."""
    scope = wanted & ~GROUP_SECURITY
    if scope not in (GROUP_GLOBAL, GROUP_LOCAL, GROUP_UNIVERSAL):
        raise errors.unwilling(errors.INVALID_GROUP_TYPE)


def check_group_change(group: Entry, wanted: int) -> None:
    """A group's scope changes by way of universal only, and only if its members and groups allow it.

    Raises LdapError 53.
    """
    check_group_type(wanted)
    before, after = group.integer("grouptype") & GROUP_SCOPES, wanted & GROUP_SCOPES
    if group.get("iscriticalsystemobject") is True and wanted != group.integer("grouptype"):
        raise errors.unwilling(errors.INVALID_GROUP_TYPE)
    if {before, after} == {GROUP_GLOBAL, GROUP_LOCAL}:
        raise errors.unwilling(errors.INVALID_GROUP_TYPE)
    if before == after:
        return
    replica = group.replica
    for guid in _members(group):
        check_nesting(after, replica.by_guid[guid])
    for guid in replica.groups_of.get(group.guid, ()):
        _check_scopes(replica.by_guid[guid].integer("grouptype") & GROUP_SCOPES, after)


def _members(group: Entry) -> tuple[bytes, ...]:
    found = group.values.get("member")
    return tuple(each for each in found if isinstance(each, bytes)) if isinstance(found, tuple) else ()


def check_nesting(scope: int, member: Entry) -> None:
    """Which groups a group of a scope may have as members. Raises LdapError 53."""
    if member.kind.name == "group":
        _check_scopes(scope & GROUP_SCOPES, member.integer("grouptype") & GROUP_SCOPES)


def _check_scopes(scope: int, member: int) -> None:
    win32 = _NESTING_ERRORS.get((scope, member))
    if win32 is not None:
        raise errors.unwilling(win32)


def check_new_member(group: Entry | None, scope: int, member: Entry) -> None:
    """Whether a group may get a member: not itself, not whom it is the primary group of. Raises LdapError 53 or 68."""
    if group is not None:
        if member is group:
            raise errors.unwilling(errors.INVALID_MEMBER)  # unconfirmed: the Win32 code
        if member.kind.is_account and group.rid and member.integer("primarygroupid") == group.rid:
            raise errors.update_error(errors.ENTRY_ALREADY_EXISTS, errors.MEMBER_IN_ALIAS)
    check_nesting(scope, member)


def primary_group(entry: Entry, rid: int) -> Entry:
    """The group that is to become an account's primary one; it must be in it. Raises LdapError 53."""
    group = entry.replica.by_rid.get(rid)
    if group is None or group.deleted or group.kind.name != "group":
        raise errors.unwilling(errors.NO_SUCH_USER)
    scope = group.integer("grouptype")
    if scope > 0 or not scope & (GROUP_GLOBAL | GROUP_UNIVERSAL):
        raise errors.unwilling(errors.CANT_MOD_PRIMARY_GROUP)
    if rid != entry.integer("primarygroupid") and entry.guid not in _members(group):
        raise errors.unwilling(errors.MEMBER_NOT_IN_GROUP)
    return group


def check_no_primary_members(replica: Replica, group: Entry) -> None:
    """A group that is somebody's primary one stays. Raises LdapError 53."""
    for other in replica.by_name.values():
        if other.kind.is_account and other.integer("primarygroupid") == group.rid:
            raise errors.unwilling(errors.HAVE_PRIMARY_MEMBERS)
