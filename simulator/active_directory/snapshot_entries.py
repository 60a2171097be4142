"""A copy of the domain as lines of a snapshot: entries with their metadata, the tree, and what they are found by.

Lines of a replica: its entries in order of creation, :data:`CHUNK` a line; then the children of each container, in
their order; then the groups of each member; then the names that lead to another entry than the last one that has them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

from simulator.active_directory.change_log import ChangeLog
from simulator.active_directory.passwords import PasswordSet
from simulator.active_directory.replica import _NO_STAMPS, Entry, Replica, Stamp, _folded, linked_guid
from simulator.active_directory.schema import ATTRIBUTES, CLASSES, INDEXED_LINKS, Value
from simulator.active_directory.snapshot_format import SnapshotError
from simulator.active_directory.times import EPOCH

CHUNK = 500
FIELDS = frozenset(("by_guid", "by_name", "by_upn", "by_rid", "groups_of", "linked_from", "log", "root", "notify"))
"""Fields of a replica that these lines stand for."""

_MICROSECOND = timedelta(microseconds=1)
_INDEXES = (("by_name", "samaccountname"), ("by_upn", "userprincipalname"))
_SCALARS = frozenset((str, int, bool, bytes))


def lines(replica: Replica) -> Iterator[Any]:
    """What a snapshot writes down of a replica, beside its plain fields."""
    entries = list(replica.by_guid.values())
    number = {entry.guid: at for at, entry in enumerate(entries)}
    invocations = _Numbers()
    yield len(entries)
    for begin in range(0, len(entries), CHUNK):
        yield [_row(entry, number, invocations) for entry in entries[begin : begin + CHUNK]]
    yield list(invocations.found)
    yield [
        [number[entry.guid], [number[child.guid] for child in entry.children.values()]]
        for entry in entries
        if entry.children is not None
    ]
    yield [
        [_reference(member, number), [_reference(group, number) for group in groups]]
        for member, groups in replica.groups_of.items()
    ]
    for name, key in _INDEXES:
        yield _differences(_by_text(entries, key), getattr(replica, name), number)
    yield _differences({entry.rid: entry for entry in entries if entry.rid}, replica.by_rid, number)


class _Numbers:
    """Numbers values in order of appearance."""

    def __init__(self) -> None:
        self.found: dict[bytes, int] = {}

    def of(self, value: bytes) -> int:
        return self.found.setdefault(value, len(self.found))


def _reference(guid: bytes, number: dict[bytes, int]) -> int | bytes:
    """An entry by its number; by its GUID if it has not come to this copy yet."""
    found = number.get(guid)
    return guid if found is None else found


def _row(entry: Entry, number: dict[bytes, int], invocations: _Numbers) -> list[Any]:
    stamps = _stamps(entry, invocations)
    parent = None if entry.parent is None else number[entry.parent.guid]
    return [
        entry.guid, parent, entry.kind.name, entry.rdn, entry.rid, _stamp(entry.created, invocations), entry.usn,
        entry.changed, entry.deleted, _checked(entry), stamps,
    ]  # fmt: skip


def _checked(entry: Entry) -> dict[str, Value]:
    """An entry's values, once it is clear that JSON keeps them as they are."""
    for key, value in entry.values.items():
        kind = type(value)
        if kind not in _SCALARS and (kind is not tuple or not all(type(each) in _SCALARS for each in value)):  # type: ignore[union-attr]
            raise SnapshotError(f"a snapshot can't hold the {key} of {entry.dn}: {kind.__qualname__}")
    return entry.values


def _stamp(stamp: Stamp, invocations: _Numbers) -> list[int]:
    version, changed, invocation, originating, local = stamp
    return [version, changed, invocations.of(invocation), originating, local]


def _stamps(entry: Entry, invocations: _Numbers) -> list[Any] | None:
    """Each stamp once, and the attributes, in their order, with the numbers of theirs."""
    if not entry.stamps:
        return None
    seen: dict[Stamp, int] = {}
    keys: list[Any] = []
    for key, stamp in entry.stamps.items():
        keys += (key, seen.setdefault(stamp, len(seen)))
    return [[_stamp(stamp, invocations) for stamp in seen], keys]


def _by_text(entries: list[Entry], key: str) -> dict[str, Entry]:
    """What an index by a text would be if the last entry with a name had it."""
    found = {}
    for entry in entries:
        name = entry.values.get(key)
        if isinstance(name, str) and not entry.deleted:
            found[_folded(name)] = entry
    return found


def _differences(plain: dict[Any, Entry], real: dict[Any, Entry], number: dict[bytes, int]) -> list[Any]:
    changed = [[key, number[entry.guid]] for key, entry in real.items() if plain.get(key) is not entry]
    return changed + [[key, None] for key in plain if key not in real]


def log_lines(log: list[PasswordSet], replica: Replica) -> Iterator[Any]:
    """A domain's log of passwords: its length, then its records, :data:`CHUNK` a line.

    What a record has in common with its account on ``replica`` is left out.
    """
    yield len(log)
    for begin in range(0, len(log), CHUNK):
        yield [_record(each, replica.by_guid.get(each.guid.bytes_le)) for each in log[begin : begin + CHUNK]]


def _record(each: PasswordSet, entry: Entry | None) -> list[Any]:
    name, nt, stamp = None, None, None
    if entry is None or entry.values.get("samaccountname") != each.name:
        name = each.name
    if entry is None or entry.values.get("unicodepwd") != each.nt_hash:
        nt = each.nt_hash
    if entry is None or entry.created != each.stamp:
        stamp = [*each.stamp]
    at = (each.at - EPOCH) // _MICROSECOND
    return [each.sequence, at, each.guid.bytes_le, name, nt, each.kind, each.must_change, stamp]


# --- reading --------------------------------------------------------------------------------------------------------


def read(found: Iterator[Any], replica: Replica) -> dict[str, Any]:
    """The fields of a replica that its lines stand for. ``replica``: what the entries belong to; it is not changed."""
    rows = _Rows(replica)
    count = next(found)
    while len(rows.entries) < count:
        rows.add(next(found))
    if len(rows.entries) != count:
        raise SnapshotError("the snapshot is damaged: the number of its entries does not fit")
    rows.finish(next(found))
    _plant(rows.entries, next(found))
    entries = rows.entries
    guids = [entry.guid for entry in entries]
    groups = next(found)
    fields: dict[str, Any] = {
        "by_guid": dict(zip(guids, entries, strict=True)),
        "groups_of": {_guid(member, guids): tuple(_guid(each, guids) for each in of) for member, of in groups},
        "linked_from": _linked_from(entries),
        "root": rows.root(),
        "log": _log(entries),
    }
    if len(fields["by_guid"]) != count:
        raise SnapshotError("the snapshot is damaged: two entries have one GUID")
    for name, key in _INDEXES:
        fields[name] = _restored(_by_text(entries, key), next(found), entries)
    fields["by_rid"] = _restored({entry.rid: entry for entry in entries if entry.rid}, next(found), entries)
    return fields


def _at(entries: list[Any], number: int) -> Any:
    if type(number) is not int or number < 0:
        raise SnapshotError(f"the snapshot is damaged: {number!r} is no entry")
    return entries[number]


def _linked_from(entries: list[Entry]) -> dict[tuple[str, bytes], dict[bytes, None]]:
    found: dict[tuple[str, bytes], dict[bytes, None]] = {}
    for entry in entries:
        for key in INDEXED_LINKS:
            target = linked_guid(entry, key) if key in entry.values else None
            if target is not None:
                found.setdefault((key, target), {})[entry.guid] = None
    return found


def _guid(reference: int | bytes, guids: list[bytes]) -> bytes:
    found: bytes = reference if type(reference) is bytes else _at(guids, reference)  # type: ignore[arg-type]
    return found


def _restored(plain: dict[Any, Entry], differences: list[Any], entries: list[Entry]) -> dict[Any, Entry]:
    for key, number in differences:
        if number is None:
            del plain[key]
        else:
            plain[key] = _at(entries, number)
    return plain


class _Rows:
    """Makes entries of rows; what they name by number is put in at the end."""

    def __init__(self, replica: Replica) -> None:
        self.entries: list[Entry] = []
        self._replica = replica
        self._parents: list[int | None] = []
        self._memo: dict[Value, Value] = {}

    def add(self, rows: list[Any]) -> None:
        """Take one line of rows."""
        self._memo = {}  # equal values of a line are one value, as they were
        for row in rows:
            self.entries.append(self._entry(*row))

    def _entry(
        self, guid: bytes, parent: int | None, kind: str, rdn: str, rid: int, created: list[int], usn: int,
        changed: int, deleted: bool, values: dict[str, Any], stamps: list[Any] | None,
    ) -> Entry:  # fmt: skip
        kinds = type(guid), type(rdn), type(rid), type(usn), type(changed), type(deleted), type(values)
        if kinds != (bytes, str, int, int, int, bool, dict) or len(guid) != 16:
            raise SnapshotError("the snapshot is damaged: an entry is not as entries are")
        entry = Entry(
            self._replica, None, rdn, CLASSES[kind.lower()], self._values(values), guid, rid, _read_stamp(created)
        )
        entry.usn, entry.changed, entry.deleted = usn, changed, deleted
        if stamps is not None:
            known = [_read_stamp(stamp) for stamp in stamps[0]]
            keys = stamps[1]
            entry.stamps = {
                ATTRIBUTES[key].key: _at(known, at) for key, at in zip(keys[::2], keys[1::2], strict=True)
            }  # fmt: skip
        self._parents.append(parent)
        return entry

    def _values(self, given: dict[str, Any]) -> dict[str, Value]:
        memo = self._memo
        found: dict[str, Value] = {}
        for key, value in given.items():
            kind = type(value)
            if kind is str or kind is bytes:
                kept = memo.setdefault(value, value)
            elif kind is int or kind is bool:
                kept = value
            elif kind is list and all(type(each) in _SCALARS for each in value):
                kept = tuple(value)
            else:
                raise SnapshotError(f"the snapshot is damaged: {key} is not as values are")
            found[ATTRIBUTES[key].key] = kept
        return found

    def finish(self, invocations: list[bytes]) -> None:
        """Put in parents and invocation ids."""
        if not all(type(each) is bytes and len(each) == 16 for each in invocations):
            raise SnapshotError("the snapshot is damaged: an invocation id has 16 octets")
        for entry, parent in zip(self.entries, self._parents, strict=True):
            entry.parent = None if parent is None else _at(self.entries, parent)
            entry.created = _named(entry.created, invocations)
            if entry.stamps is not _NO_STAMPS:
                shared: dict[int, Stamp] = {}
                for key, stamp in entry.stamps.items():
                    named = shared.get(id(stamp))
                    if named is None:
                        named = shared[id(stamp)] = _named(stamp, invocations)
                    entry.stamps[key] = named

    def root(self) -> Entry:
        """The one entry without a parent, above all others."""
        tops = [entry for entry in self.entries if entry.parent is None]
        if len(tops) != 1:
            raise SnapshotError("the snapshot is damaged: a tree has one root")
        sound = {id(tops[0])}
        for entry in self.entries:
            way: list[Entry] = []
            above: Entry | None = entry
            while above is not None and id(above) not in sound:
                if len(way) > len(self.entries):
                    raise SnapshotError("the snapshot is damaged: the tree runs in a circle")
                way.append(above)
                above = above.parent
            sound.update(id(each) for each in way)
        return tops[0]


def _read_stamp(numbers: list[int]) -> Stamp:
    """A stamp whose invocation id is still a number."""
    stamp = Stamp(*numbers)  # type: ignore[arg-type]
    if not all(type(each) is int for each in stamp):
        raise SnapshotError("the snapshot is damaged: a stamp has five numbers")
    return stamp


def _named(stamp: Stamp, invocations: list[bytes]) -> Stamp:
    version, changed, number, originating, local = stamp
    return Stamp(version, changed, _at(invocations, number), originating, local)  # type: ignore[arg-type]


def _plant(entries: list[Entry], children: list[Any]) -> None:
    for parent, numbers in children:
        container = _at(entries, parent)
        below = [_at(entries, each) for each in numbers]
        if any(child.parent is not container for child in below):
            raise SnapshotError("the snapshot is damaged: an entry lies in two places")
        container.children = {child.key: child for child in below}


def _log(entries: list[Entry]) -> ChangeLog:
    log = ChangeLog()
    for entry in sorted(entries, key=lambda each: each.usn):
        log.append(entry.usn, entry, again=False)
    return log


def read_log(found: Iterator[Any], known: dict[bytes, Entry]) -> list[PasswordSet]:
    """The reverse of :func:`log_lines`. known: entries by GUID."""
    count = next(found)
    log: list[PasswordSet] = []
    while len(log) < count:
        log += [_read_record(known, *row) for row in next(found)]
    if len(log) != count:
        raise SnapshotError("the snapshot is damaged: the number of its passwords does not fit")
    return log


def _read_record(
    known: dict[bytes, Entry], sequence: int, at: int, guid: bytes, name: str | None, nt: bytes | None, kind: str,
    must_change: bool, stamp: list[Any] | None,
) -> PasswordSet:  # fmt: skip
    entry = known.get(guid)
    if entry is not None:
        name = entry.text("samaccountname") if name is None else name
        nt = entry.octets("unicodepwd") if nt is None else nt
    made = entry.created if stamp is None and entry is not None else Stamp(*(stamp or ()))
    kinds = type(sequence), type(name), type(nt), type(kind), type(must_change)
    if kinds != (int, str, bytes, str, bool) or name is None or nt is None:
        raise SnapshotError("the snapshot is damaged: a password is not as passwords are")
    moment = EPOCH + at * _MICROSECOND
    return PasswordSet(sequence, moment, UUID(bytes_le=guid), name, nt, sys.intern(kind), must_change, made)
