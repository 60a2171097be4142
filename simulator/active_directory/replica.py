"""One controller's copy of a domain: entries, indexes, replication metadata, and a log in order of USN.

Every originating write goes through :class:`Replica`: it allocates one USN per transaction, stamps the attributes
that changed ([MS-DRSR] 5.11, AttributeStamp), moves whenChanged, keeps the indexes and appends to the log. Callers
have checked everything before: a write never fails half-way. What other copies wrote comes in by
:mod:`simulator.active_directory.inbound`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import NamedTuple

from simulator.active_directory import names, policy
from simulator.active_directory.change_log import ChangeLog
from simulator.active_directory.schema import BORN_EMPTY, INDEXED_LINKS, LINKS, ObjectClass, Scalar, Value
from simulator.active_directory.tombstones import lost, strip, tombstone_name
from simulator.active_directory.virtual import VIRTUAL

FIRST_USN = 8192
"""USN of a new controller's first transaction; what lies below belongs to its installation."""

_NOTHING: frozenset[str] = frozenset()


class Stamp(NamedTuple):
    """Who changed an attribute last: metadata of [MS-DRSR] 5.11, and the USN it has on this controller.

    changed: whole seconds since 1601. invocation: 16 bytes. The first four decide between concurrent changes.
    """

    version: int
    changed: int
    invocation: bytes
    originating_usn: int
    local_usn: int

    def wins_over(self, other: Stamp | None) -> bool:
        """Whether this change stands against another of the same attribute, wherever both were made.

        Version, then time, then who made it ([MS-DRSR], AttributeStamp): the GUID's bytes as they are (unconfirmed).
        """
        return other is None or self[:3] > other[:3]


_NO_STAMPS: dict[str, Stamp] = {}


class Entry:
    """An object. ``values`` holds what is stored; :meth:`get` adds the class's defaults and what is computed.

    ``created`` is the stamp of every attribute that has none of its own in ``stamps``. ``children`` is None for what
    has never held anything.
    """

    __slots__ = (
        "changed",
        "children",
        "created",
        "deleted",
        "guid",
        "kind",
        "parent",
        "rdn",
        "replica",
        "rid",
        "stamps",
        "usn",
        "values",
    )

    def __init__(
        self,
        replica: Replica,
        parent: Entry | None,
        rdn: str,
        kind: ObjectClass,
        values: dict[str, Value],
        guid: bytes,
        rid: int,
        created: Stamp,
    ) -> None:
        self.replica: Replica = replica
        self.parent: Entry | None = parent
        self.rdn: str = rdn
        self.kind: ObjectClass = kind
        self.values: dict[str, Value] = values
        self.guid: bytes = guid
        self.rid: int = rid
        self.created: Stamp = created
        self.usn: int = created.local_usn
        self.changed: int = created.changed
        self.children: dict[str, Entry] | None = None
        self.stamps: dict[str, Stamp] = _NO_STAMPS  # shared until the first change
        self.deleted: bool = False

    @property
    def dn(self) -> str:
        """The distinguished name now; of a domain's root that of the domain."""
        parts, entry = [], self
        while entry.parent is not None:  # a tree may be deeper than the interpreter's stack
            parts.append(f"{entry.kind.rdn}={names.escape(entry.rdn)}")
            entry = entry.parent
        parts.append(entry.rdn)
        return ",".join(parts)

    @property
    def key(self) -> str:
        """What the entry is called among its parent's children."""
        return names.rdn_key(self.kind.rdn, self.rdn)

    def get(self, key: str) -> Value | None:
        """The value of an attribute (by its schema key), stored, default or computed; None if there is none."""
        found = self.values.get(key)
        if found is not None and key not in LINKS:
            return found
        if not self.deleted:
            found = self.kind.defaults.get(key)
            if found is not None:
                return found
        computed = VIRTUAL.get(key)
        return None if computed is None else computed(self)

    def text(self, key: str) -> str:
        """A single-valued text, or ``""``."""
        found = self.get(key)
        return found if isinstance(found, str) else ""

    def integer(self, key: str) -> int:
        """A number, or 0."""
        found = self.get(key)
        return found if isinstance(found, int) else 0

    def octets(self, key: str) -> bytes:
        """Single-valued octets, or ``b""``."""
        found = self.get(key)
        return found if isinstance(found, bytes) else b""

    def all(self, key: str) -> tuple[str | int | bytes, ...]:
        """All values of an attribute, none to many."""
        found = self.get(key)
        if found is None:
            return ()
        return found if isinstance(found, tuple) else (found,)

    def stamp(self, key: str) -> Stamp | None:
        """The metadata of an attribute that the entry has or once had."""
        own = self.stamps.get(key)
        if own is not None:
            return own
        if key in BORN_EMPTY and self.kind.is_account:
            return self.created
        return self.created if self.get(key) is not None else None

    def copied(self, replica: Replica) -> Entry:
        """The same object in a copy of its replica, still without parent and children."""
        copy = Entry(replica, None, self.rdn, self.kind, dict(self.values), self.guid, self.rid, self.created)
        copy.usn, copy.changed, copy.deleted = self.usn, self.changed, self.deleted
        if self.stamps is not _NO_STAMPS:
            copy.stamps = dict(self.stamps)
        return copy

    def lies_below(self, base: Entry) -> bool:
        """Whether the entry is ``base`` or below it."""
        above: Entry | None = self
        while above is not None:
            if above is base:
                return True
            above = above.parent
        return False

    def __repr__(self) -> str:
        return f"<Entry {self.dn}>"


class Replica:
    """The copy that one controller holds.

    invocation: the 16 bytes that name this copy in metadata. ``usn`` is highestCommittedUSN, ``originated`` the USN of
    the last write that was made here and not taken over. ``known`` is the up-to-dateness vector: for each other copy,
    up to which of its USNs everything that was made there is here; ``reached`` are the high-water marks: for each copy
    that was read from, up to which of its USNs it was read. ``notify`` is called after each originating write, with
    whether it is urgent.
    """

    def __init__(self, invocation: bytes, domain_sid: bytes, owner: object) -> None:
        self.invocation = invocation
        self.domain_sid = domain_sid
        self.owner = owner
        self.usn = FIRST_USN - 1
        self.originated = 0
        self.known: dict[bytes, int] = {}
        self.reached: dict[bytes, int] = {}
        self.notify: Callable[[bool], None] | None = None
        self.log = ChangeLog()
        self.by_guid: dict[bytes, Entry] = {}
        self.by_name: dict[str, Entry] = {}
        self.by_upn: dict[str, Entry] = {}
        self.by_rid: dict[int, Entry] = {}
        self.groups_of: dict[bytes, tuple[bytes, ...]] = {}
        self.linked_from: dict[tuple[str, bytes], dict[bytes, None]] = {}
        self.tree_version = 0
        self.root: Entry = None  # type: ignore[assignment] # set by the first create
        self.deleted_objects: Entry = None  # type: ignore[assignment] # set when the domain's tree is made

    def create(
        self,
        parent: Entry | None,
        rdn: str,
        kind: ObjectClass,
        values: dict[str, Value],
        *,
        guid: bytes,
        rid: int = 0,
        seconds: int,
    ) -> Entry:
        """Add an object; all its attributes get version 1 and one USN. ``seconds``: when, since 1601."""
        usn = self.usn = self.usn + 1
        entry = Entry(self, parent, rdn, kind, values, guid, rid, Stamp(1, seconds, self.invocation, usn, usn))
        self.file(entry)
        self.log.append(usn, entry, again=False)
        self.originated = usn
        if self.notify is not None:
            self.notify(False)
        return entry

    def file(self, entry: Entry) -> None:
        """Enter a new object into tree and indexes."""
        if entry.parent is None:
            self.root = entry
        self.hook(entry)
        self.by_guid[entry.guid] = entry
        if entry.rid:
            self.by_rid[entry.rid] = entry
        if not entry.deleted:
            self.index(entry, entry.values)

    def index(self, entry: Entry, values: Mapping[str, Value | None]) -> None:
        """Make an entry findable by those of ``values`` that are indexed."""
        name = values.get("samaccountname")
        if isinstance(name, str):
            self.by_name[_folded(name)] = entry
        upn = values.get("userprincipalname")
        if isinstance(upn, str):
            self.by_upn[_folded(upn)] = entry
        if "member" in values:
            for member in member_guids(entry):
                self.groups_of[member] = (*self.groups_of.get(member, ()), entry.guid)
        for key in INDEXED_LINKS:
            target = linked_guid(entry, key) if key in values else None
            if target is not None:
                self.linked_from.setdefault((key, target), {})[entry.guid] = None

    def unindex(self, entry: Entry, keys: Collection[str]) -> None:
        """Forget what an entry is found by under these keys."""
        if "samaccountname" in keys:
            _remove(self.by_name, entry, entry.values.get("samaccountname"))
        if "userprincipalname" in keys:
            _remove(self.by_upn, entry, entry.values.get("userprincipalname"))
        if "member" in keys:
            for member in member_guids(entry):
                self.groups_of[member] = tuple(group for group in self.groups_of.get(member, ()) if group != entry.guid)
        for key in INDEXED_LINKS:
            target = linked_guid(entry, key) if key in keys else None
            if target is not None:
                self.linked_from.get((key, target), {}).pop(entry.guid, None)

    def write(
        self,
        entry: Entry,
        changes: Mapping[str, Value | None],
        seconds: int,
        always: Collection[str] = _NOTHING,
    ) -> bool:
        """Change attributes (None clears) in one transaction; False and no USN if nothing differs from what there is.

        ``always`` names attributes that count as changed even if their value stays (a password set to itself).
        """
        changed = {key: value for key, value in changes.items() if key in always or value != _stored(entry, key, value)}
        if not changed:
            return False
        urgent = self.notify is not None and is_urgent(entry, changed)
        usn = self.usn = self.usn + 1
        self.unindex(entry, changed)
        self._stamp(entry, changed, seconds, usn)
        for key, value in changed.items():
            if value is None:
                entry.values.pop(key, None)
            else:
                entry.values[key] = value
        self.index(entry, changed)
        self._touch(entry, seconds, usn, urgent=urgent)
        return True

    def _stamp(self, entry: Entry, keys: Collection[str], seconds: int, usn: int) -> None:
        if entry.stamps is _NO_STAMPS:
            entry.stamps = {}
        versions: dict[int, Stamp] = {}
        for key in keys:
            before = entry.stamp(key)
            version = 1 if before is None else before.version + 1
            stamp = versions.get(version)
            if stamp is None:
                stamp = versions[version] = Stamp(version, seconds, self.invocation, usn, usn)
            entry.stamps[key] = stamp

    def _touch(self, entry: Entry, seconds: int, usn: int, *, urgent: bool = False) -> None:
        entry.usn = usn
        entry.changed = seconds
        self.log.append(usn, entry, again=True)
        self.originated = usn
        if self.notify is not None:
            self.notify(urgent)

    def set_local(self, entry: Entry, changes: Mapping[str, Value]) -> None:
        """Change what is not replicated (logon counters): no USN, no metadata."""
        entry.values.update(changes)

    def touch(self, entry: Entry, keys: Collection[str], seconds: int) -> None:
        """A change of computed content under ``keys`` (a security descriptor): a transaction of its own."""
        usn = self.usn = self.usn + 1
        self._stamp(entry, keys, seconds, usn)
        self._touch(entry, seconds, usn)

    def move(self, entry: Entry, parent: Entry, rdn: str, seconds: int) -> bool:
        """Rename or move in one transaction; False if it is there already, to the letter."""
        if entry.parent is parent and entry.rdn == rdn:
            return False
        usn = self.usn = self.usn + 1
        keys = ("name",) if entry.rdn == rdn else ("name", entry.kind.rdn.lower())
        self.unhook(entry)
        self.tree_version += 1
        entry.parent, entry.rdn = parent, rdn
        self.hook(entry)
        self._stamp(entry, keys, seconds, usn)
        self._touch(entry, seconds, usn)
        return True

    def hook(self, entry: Entry) -> None:
        """Enter an entry among its parent's children."""
        parent = entry.parent
        if parent is not None:
            if parent.children is None:
                parent.children = {}
            parent.children[entry.key] = entry

    def unhook(self, entry: Entry) -> None:
        """Take an entry out of its parent's children."""
        if entry.parent is not None and entry.parent.children is not None:
            entry.parent.children.pop(entry.key, None)

    def delete(self, entry: Entry, seconds: int) -> None:
        """Make a tombstone: renamed, below Deleted Objects, with what [MS-ADTS] 3.1.1.5.5.1 keeps.

        What it loses counts as changed, the class's defaults among it.
        """
        self._leave_groups(entry, seconds)
        self.drop_links_to(entry)
        usn = self.usn = self.usn + 1
        self._stamp(entry, lost(entry), seconds, usn)
        self.unindex(entry, entry.values)
        parent_dn = self.root.dn if entry.parent is None else entry.parent.dn
        self.unhook(entry)
        self.tree_version += 1
        strip(entry)
        self._stamp(entry, ("isdeleted", "isrecycled", "lastknownparent", "name", entry.kind.rdn.lower()), seconds, usn)
        entry.values["lastknownparent"] = parent_dn
        entry.rdn = tombstone_name(entry.rdn, entry.guid)
        entry.parent = self.deleted_objects
        entry.deleted = True
        self.hook(entry)
        self._touch(entry, seconds, usn)

    def undelete(
        self, entry: Entry, parent: Entry, rdn: str, changes: Mapping[str, Value | None], seconds: int
    ) -> None:
        """Make a tombstone an object again, below ``parent`` and with ``changes``, in one transaction."""
        usn = self.usn = self.usn + 1
        self.unhook(entry)
        self.tree_version += 1
        keys = ("isdeleted", "isrecycled", "name", entry.kind.rdn.lower(), *changes)
        self._stamp(entry, keys, seconds, usn)
        entry.deleted, entry.parent, entry.rdn = False, parent, rdn
        for key, value in changes.items():
            if value is None:
                entry.values.pop(key, None)
            else:
                entry.values[key] = value
        self.hook(entry)
        self.index(entry, entry.values)
        self._touch(entry, seconds, usn)

    def _leave_groups(self, entry: Entry, seconds: int) -> None:
        for guid in self.groups_of.pop(entry.guid, ()):
            group = self.by_guid[guid]
            left = tuple(member for member in member_guids(group) if member != entry.guid)
            self.write(group, {"member": left or None}, seconds)

    def link(self, name: str) -> Scalar:
        """What a link to the object of that name is kept as: its objectGUID; the name, if it lies elsewhere."""
        try:
            entry = self.resolve(names.parse_dn(name))
        except names.InvalidName:
            entry = None
        return name if entry is None else entry.guid

    def linked(self, values: dict[str, Value | None]) -> dict[str, Value | None]:
        """``values`` with links of one value as they are kept instead of names."""
        for key in INDEXED_LINKS:
            name = values.get(key)
            if isinstance(name, str):
                values[key] = (self.link(name),)
        return values

    def drop_links_to(self, entry: Entry) -> None:
        """Forget the links of one value to what is deleted: nothing of those who had them is said to have changed."""
        for key in INDEXED_LINKS:
            for guid in self.linked_from.pop((key, entry.guid), ()):
                self.by_guid[guid].values.pop(key, None)

    def resolve(self, parts: list[tuple[str, str]]) -> Entry | None:
        """The entry of a parsed DN, or None."""
        entry, rest = self.nearest(parts)
        return entry if not rest else None

    def nearest(self, parts: list[tuple[str, str]]) -> tuple[Entry | None, int]:
        """The deepest existing entry on a DN's way, and how many names are left below it."""
        depth = self.root.dn.count(",") + 1
        tail = [names.rdn_key(*part) for part in parts[-depth:]]
        if len(parts) < depth or tail != [names.rdn_key(*part) for part in names.parse_dn(self.root.dn)]:
            return None, len(parts)
        entry, left = self.root, len(parts) - depth
        while left:
            child = (entry.children or {}).get(names.rdn_key(*parts[left - 1]))
            if child is None:
                return entry, left
            entry, left = child, left - 1
        return entry, 0

    def walk(self, base: Entry, *, deleted: bool = False) -> Iterator[Entry]:
        """``base`` and everything below it, parents first, in order of creation; tombstones only if asked for."""
        if deleted or not hidden(base):
            yield base
        waiting = list(reversed((base.children or {}).values()))
        while waiting:
            entry = waiting.pop()
            if entry is self.deleted_objects and not deleted:
                continue
            if deleted or not entry.deleted:
                yield entry
            if entry.children:
                waiting += reversed(entry.children.values())


def is_urgent(entry: Entry, changes: Mapping[str, Value | None]) -> bool:
    """Whether changes of an entry are to be replicated at once ([MS-ADTS] 3.1.1.5.1.7).

    lockoutTime is; pwdLastSet and userAccountControl are "as specified in [MS-SAMR] 3.1.1.8": unconfirmed which of
    their changes, here that a password has to be changed, and that an account is enabled or disabled. A password by
    itself is not urgent.
    """
    if "lockouttime" in changes or changes.get("pwdlastset") == 0:
        return True
    flags = changes.get("useraccountcontrol")
    return isinstance(flags, int) and bool((flags ^ entry.integer("useraccountcontrol")) & policy.DISABLED)


def member_guids(group: Entry) -> tuple[bytes, ...]:
    """The members of a group: links are kept by objectGUID, so that they follow renames."""
    found = group.values.get("member")
    return tuple(each for each in found if isinstance(each, bytes)) if isinstance(found, tuple) else ()


def linked_guid(entry: Entry, key: str) -> bytes | None:
    """What an entry points to by a link of one value; None for nothing, and for what lies in another domain."""
    found = entry.values.get(key)
    first = found[0] if isinstance(found, tuple) else None
    return first if isinstance(first, bytes) else None


def hidden(entry: Entry) -> bool:
    """Whether only a search with the show-deleted control sees the entry."""
    return entry.deleted or entry is entry.replica.deleted_objects


def _stored(entry: Entry, key: str, value: Value | None) -> Value | None:
    """What a new value is compared with: the stored one, or the class's default."""
    stored = entry.values.get(key)
    return entry.get(key) if stored is None and value is not None else stored


def _folded(name: str) -> str:
    folded = name.casefold()
    return name if folded == name else folded  # one string instead of two


def _remove(index: dict[str, Entry], entry: Entry, name: Value | None) -> None:
    if isinstance(name, str) and index.get(_folded(name)) is entry:
        del index[_folded(name)]
