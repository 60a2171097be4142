"""Writing over LDAP: add, modify, rename, delete. Each is one transaction that happens wholly or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pwsync.credential import nt_hash
from simulator.active_directory import accounts, errors, passwords, policy, rights
from simulator.active_directory.additions import add
from simulator.active_directory.draft import Draft
from simulator.active_directory.placing import delete, modify_dn, undelete, undeletes
from simulator.active_directory.requests import PERMISSIVE_MODIFY, POLICY_HINTS, SHOW_DELETED, SHOW_RECYCLED, Control
from simulator.active_directory.schema import Attribute
from simulator.active_directory.write_values import ADD, DELETE, REPLACE, Change, is_password, known, new_password
from simulator.refusal import Refusal

if TYPE_CHECKING:
    from simulator.active_directory.replica import Entry
    from simulator.active_directory.session import Session

__all__ = ["ADD", "DELETE", "REPLACE", "Change", "add", "delete", "modify", "modify_dn"]

HINT_FLAGS = b"\x30\x03\x02\x01\x01"
"""The value of a policy hints control that asks for the history: a sequence of one number, 1."""

LOST_AND_FOUND = "lostAndFound"
Parts = list[tuple[Attribute, Change]]


def modify(session: Session, dn: str, changes: Sequence[Change], controls: Sequence[Control] = ()) -> None:
    """Change an object. Raises LdapError."""
    session.require_bind()
    parts = [(known(change.name), change) for change in changes]
    secret = [part for part in parts if is_password(session, part[0])]
    if secret and not session.protected:
        raise errors.unprotected()
    wanted = {control.oid: control.value for control in controls}
    entry = session.target(dn, deleted=SHOW_DELETED in wanted or SHOW_RECYCLED in wanted)
    if undeletes(parts):
        undelete(session, entry, parts)
        return
    if entry.deleted or entry.kind.name == LOST_AND_FOUND:
        raise errors.unwilling(errors.ILLEGAL_OPERATION)
    others = [part for part in parts if not is_password(session, part[0])]
    if secret:
        _check_right_to_set(session, entry, secret)
    if others:
        rights.require_write(session, entry, [attribute for attribute, _ in others])
    draft = Draft(session, entry, permissive=PERMISSIVE_MODIFY in wanted)
    for attribute, change in others:
        draft.apply(attribute, change)
    smartcard = draft.finish(sets_password=bool(secret))
    if secret:
        hints = any(wanted.get(oid) == HINT_FLAGS for oid in POLICY_HINTS)
        _set_password(session, draft, secret, history=hints, smartcard=smartcard)
    elif smartcard:
        _randomise(session, draft)
    else:
        draft.swap_primary_group()
        draft.commit()


def _randomise(session: Session, draft: Draft) -> None:
    flags = draft.changes.pop("useraccountcontrol")
    draft.swap_primary_group()
    accounts.require_smartcard(session.controller, draft.entry, flags if isinstance(flags, int) else 0, draft.changes)
    draft.settle()


# --- passwords ----------------------------------------------------------------------------------------------------


def _is_change(secret: Parts) -> bool:
    """A change deletes the old password and adds the new one, in any order; a reset replaces it."""
    return len(secret) == 2 and {change.operation for _, change in secret} == {ADD, DELETE}


def _check_right_to_set(session: Session, entry: Entry, secret: Parts) -> None:
    """Whoever is bound may change a password that he knows. Raises LdapError 50, or 53 for what is neither."""
    if not entry.kind.is_account:
        raise errors.no_rights()
    if _is_change(secret):
        return
    if len(secret) != 1 or secret[0][1].operation != REPLACE or not secret[0][1].octets:
        raise errors.unwilling()
    rights.require_reset(session)


def _set_password(session: Session, draft: Draft, secret: Parts, *, history: bool, smartcard: bool) -> None:
    controller, entry = session.controller, draft.entry
    last_set = draft.changes.pop("pwdlastset", None)
    names = draft.text("samaccountname"), draft.text("displayname")
    try:
        if _is_change(secret):
            if any(len(change.octets) != 1 for _, change in secret):
                raise errors.unwilling()
            pair = {change.operation: new_password(attribute, change.octets[0]) for attribute, change in secret}
            new, kind = pair[ADD], "change"
            passwords.check_change(controller, entry, pair[DELETE], new)
        else:
            attribute, change = secret[0]
            new, kind = new_password(attribute, change.octets[-1]), "reset"
            _check_reset(session, entry, new, names, history=history)
    except Refusal as refusal:
        raise errors.password_error(refusal) from None
    draft.swap_primary_group()
    if smartcard:
        _randomise(session, draft)
        return
    also = draft.changes
    passwords.store(controller, entry, nt_hash(new), kind, clear=new, must_change=last_set == 0, also=also)
    draft.settle()


def _check_reset(session: Session, entry: Entry, new: str, names: tuple[str, str], *, history: bool) -> None:
    rules = session.controller.domain.policy_for(entry)
    passwords.check_quality(rules, new, *names)
    if history and policy.in_history(nt_hash(new), entry.octets("ntpwdhistory"), rules.history):
        raise Refusal("password-reused", f"one of the last {rules.history} passwords")
