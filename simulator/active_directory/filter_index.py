"""Which entries a search looks at: by an index where the filter allows it, else by walking the tree."""

from __future__ import annotations

from collections.abc import Iterable

from simulator.active_directory import schema
from simulator.active_directory.filter import And, Filter, Match, Or, compiled, limit_exceeded, terms
from simulator.active_directory.filter_values import assertion, entry_named, matched_text, of_sid
from simulator.active_directory.replica import Entry, Replica, hidden, member_guids

CONDITIONS_MAX = 50_000_000
"""Conditions times objects of a search that no index helps (unconfirmed: the product gives up after some time)."""


def candidates(node: Filter, replica: Replica) -> list[Entry] | None:
    """Every entry that can match, by an index; None if only a walk of the tree finds them."""
    if isinstance(node, And):
        found = None
        for part in node.parts:
            some = candidates(part, replica)
            if some is not None and (found is None or len(some) < len(found)):
                found = some
        return found
    if isinstance(node, Or):
        return _union(node, replica)
    if not isinstance(node, Match):
        return None
    return _by_index(node, replica)


def _union(node: Or, replica: Replica) -> list[Entry] | None:
    union: dict[bytes, Entry] = {}
    for part in node.parts:
        some = candidates(part, replica)
        if some is None:
            return None
        union |= {entry.guid: entry for entry in some}
    return sorted(union.values(), key=lambda entry: entry.usn)


def _by_index(node: Match, replica: Replica) -> list[Entry] | None:
    key = node.name.lower()
    if node.kind == ">=" and key == "usnchanged":
        text = matched_text(node.value)
        return list(replica.log.since(int(text) - 1)) if text.isascii() and text.isdigit() and len(text) < 19 else None
    if node.kind != "=":
        return None
    if key == "samaccountname":
        return _by_name(matched_text(node.value).casefold(), replica)
    if key == "userprincipalname":
        return _one(replica.by_upn.get(matched_text(node.value).casefold()))
    if key == "memberof":
        return _members(entry_named(matched_text(node.value), replica), replica)
    if key == "distinguishedname":
        return _one(entry_named(matched_text(node.value), replica))
    if key == "objectguid":
        value = assertion(schema.ATTRIBUTES[key], node.value)
        return _one(replica.by_guid.get(value)) if isinstance(value, bytes) else []
    if key == "objectsid":
        sid = assertion(schema.ATTRIBUTES[key], node.value)
        return _one(of_sid(replica, sid)) if isinstance(sid, bytes) else []
    return None


def _members(group: Entry | None, replica: Replica) -> list[Entry]:
    """The members of a group, as far as they have come to this copy."""
    guids = () if group is None else member_guids(group)
    return [replica.by_guid[guid] for guid in guids if guid in replica.by_guid]


def _by_name(name: str, replica: Replica) -> list[Entry]:
    """The account of that name, and tombstones, which keep their names outside of the index."""
    grave = replica.deleted_objects  # the configuration and the schema have none
    gone = (grave.children or {}).values() if grave is not None else ()
    dead = [entry for entry in gone if entry.text("samaccountname").casefold() == name]
    return _one(replica.by_name.get(name)) + dead


def _one(entry: Entry | None) -> list[Entry]:
    return [] if entry is None else [entry]


def select(node: Filter, replica: Replica, base: Entry, scope: int, *, deleted: bool) -> Iterable[Entry]:
    """Entries of a search in a stable order: of USN where the log was used, of creation otherwise.

    scope: 0 the base alone, 1 what lies directly below it, 2 the base and everything below.
    """
    found: Iterable[Entry]
    if scope == 0:
        found = [base]
    else:
        some = candidates(node, replica)
        if some is not None:
            found = [entry for entry in some if _in_scope(entry, base, scope)]
        elif terms(node) * len(replica.by_guid) > CONDITIONS_MAX:
            raise limit_exceeded()
        elif scope == 1:
            found = list((base.children or {}).values())
        else:
            found = replica.walk(base, deleted=deleted)
    test = compiled(node, replica)
    return [entry for entry in found if (deleted or not hidden(entry)) and test(entry)]


def _in_scope(entry: Entry, base: Entry, scope: int) -> bool:
    return entry.parent is base if scope == 1 else entry.lies_below(base)
