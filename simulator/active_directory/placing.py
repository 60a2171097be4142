"""Where objects lie: renaming and moving, deleting, and bringing back what was deleted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from simulator.active_directory import account_rules as rules
from simulator.active_directory import accounts, errors, names, policy, rights
from simulator.active_directory.additions import check_place, place
from simulator.active_directory.draft import Draft, name_error
from simulator.active_directory.errors import LdapError
from simulator.active_directory.schema import PASSWORD_ATTRIBUTES, Attribute
from simulator.active_directory.write_values import DELETE, REPLACE, Change
from simulator.refusal import Refusal

if TYPE_CHECKING:
    from simulator.active_directory.replica import Entry
    from simulator.active_directory.session import Session

SYSTEM_ONLY = frozenset(("lostAndFound", "builtinDomain", "domainDNS", "msDS-PasswordSettingsContainer"))
REANIMATED_FLAGS = policy.NORMAL_ACCOUNT | policy.DISABLED | policy.PASSWORD_NOT_REQUIRED


def modify_dn(session: Session, dn: str, new_rdn: str, superior: str | None, *, delete_old: bool = True) -> None:
    """Rename or move. delete_old: whether the old name goes, as it must. Raises LdapError."""
    session.require_bind()
    entry = session.target(dn)
    try:
        parts = names.parse_dn(new_rdn)
    except names.InvalidName:
        raise errors.bad_dn(new_rdn) from None
    if len(parts) != 1:
        raise errors.bad_dn(new_rdn)
    rights.require_administrator(session)
    if not delete_old:
        raise errors.unwilling(errors.INVALID_PARAMETER)
    kind, rdn = parts[0]
    parent = entry.parent if superior is None else _new_parent(session, superior)
    if parent is None or parent.lies_below(entry) or _stays(entry):
        raise errors.unwilling(errors.CANT_DELETE)
    check_place(parent, entry.kind, kind, rdn)
    there = (parent.children or {}).get(names.rdn_key(kind, rdn))
    if there is not None and there is not entry:
        raise errors.update_error(errors.ENTRY_ALREADY_EXISTS, errors.NAME_EXISTS)
    session.controller.replica.move(entry, parent, rdn, session.controller.seconds())


def _stays(entry: Entry) -> bool:
    """Whether the system needs an object where it is: containers of its own, not accounts and groups."""
    if entry.kind.name in SYSTEM_ONLY:
        return True
    return entry.get("iscriticalsystemobject") is True and not entry.rid


def _new_parent(session: Session, superior: str) -> Entry:
    """The container to move to. Raises LdapError 71 for one in another naming context of the forest."""
    try:
        return session.target(superior)
    except LdapError as problem:
        if _lies_in_forest(session, superior):
            raise errors.update_error(errors.AFFECTS_MULTIPLE_DSAS, errors.CROSS_NC_RENAME) from problem
        raise


def _lies_in_forest(session: Session, dn: str) -> bool:
    """Whether a DN lies in another domain of the forest, or in its configuration."""
    here = session.controller.domain
    try:
        parts = [names.rdn_key(*part) for part in names.parse_dn(dn)]
    except names.InvalidName:
        return False
    heads = [domain.dn for domain in here.forest.domains.values() if domain is not here]
    heads.append(f"CN=Configuration,{here.forest.root_dn}")
    return any(_below(parts, head) for head in heads) and not any(
        _below(parts, here.dn) and len(here.dn) > len(head) for head in heads if _below(parts, head)
    )


def _below(parts: list[str], head: str) -> bool:
    tail = [names.rdn_key(*part) for part in names.parse_dn(head)]
    return parts[-len(tail) :] == tail


def delete(session: Session, dn: str, *, tree: bool = False) -> None:
    """Delete an object, with everything below it under the tree-delete control. Raises LdapError."""
    session.require_bind()
    entry = session.target(dn)
    rights.require_administrator(session)
    replica = session.controller.replica
    below = list(replica.walk(entry))
    if _is_needed(entry):
        raise errors.unwilling(errors.CANT_DELETE)
    if len(below) > 1 and not tree:
        raise errors.update_error(errors.NOT_ALLOWED_ON_NON_LEAF, errors.CANT_ON_NON_LEAF)
    for each in below:
        if _is_needed(each):
            raise errors.unwilling(errors.CRITICAL_IN_TREE)
        if each.kind.name == "group":
            rules.check_no_primary_members(replica, each)
    for each in sorted(below, key=lambda found: -found.dn.count(",")):
        replica.delete(each, session.controller.seconds())


def _is_needed(entry: Entry) -> bool:
    """Whether the system needs an object, wherever it is."""
    critical = entry.get("iscriticalsystemobject") is True
    return entry.parent is None or entry.kind.name in SYSTEM_ONLY or critical


# --- what was deleted ---------------------------------------------------------------------------------------------


def undeletes(parts: Sequence[tuple[Attribute, Change]]) -> bool:
    """Whether a modify brings a tombstone back: it deletes isDeleted and replaces distinguishedName ([MS-ADTS]
    3.1.1.5.3.7)."""
    found = {attribute.key: change.operation for attribute, change in parts}
    return found.get("isdeleted") == DELETE and found.get("distinguishedname") == REPLACE


def undelete(session: Session, entry: Entry, parts: Sequence[tuple[Attribute, Change]]) -> None:
    """Bring a tombstone back as it is, disabled and without a password, with the request's other changes.

    Without a recycle bin only what tombstones keep comes back. Raises LdapError.
    """
    rights.require_administrator(session)
    controller = session.controller
    if not entry.deleted:
        raise errors.unwilling(errors.ILLEGAL_OPERATION)
    named = [change.octets for attribute, change in parts if attribute.key == "distinguishedname"]
    if len(named) != 1 or len(named[0]) != 1:
        raise errors.unwilling(errors.ILLEGAL_OPERATION)
    parent, rdn_type, rdn = place(session, named[0][0].decode("utf-8", "replace"))
    check_place(parent, entry.kind, rdn_type, rdn)
    if names.rdn_key(entry.kind.rdn, rdn) in (parent.children or {}):
        raise errors.update_error(errors.ENTRY_ALREADY_EXISTS, errors.NAME_EXISTS)
    draft = Draft(session, entry)
    for attribute, change in parts:
        if attribute.key not in ("isdeleted", "distinguishedname"):
            draft.apply(attribute, change)
    if entry.kind.is_account:
        draft.changes.setdefault("useraccountcontrol", REANIMATED_FLAGS)
    draft.finish()
    name = draft.text("samaccountname")
    try:
        accounts.check_names(controller.domain, controller, name or None, None, entry)
    except Refusal as refusal:
        raise name_error(refusal) from None
    if entry.kind.is_account:
        # Who never saw the deletion has the password still.
        draft.changes |= dict.fromkeys(PASSWORD_ATTRIBUTES) | {"pwdlastset": 0, "lockouttime": 0}
    controller.replica.undelete(entry, parent, rdn, draft.changes, controller.seconds())
