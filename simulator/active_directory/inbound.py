"""Inbound replication: a copy of the domain takes over what another copy has ([MS-DRSR] 4.1.10.6).

State travels, not history: per object the attributes whose change the other copy knows and this one does not, each with
its stamp. Of two changes of an attribute the one with the greater stamp stands. What an object gets in one go is one
transaction here, under a USN of this copy's own; where nothing of it stands, there is none.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from simulator.active_directory import names
from simulator.active_directory.replica import Entry, Replica, Stamp
from simulator.active_directory.schema import ATTRIBUTES, Value
from simulator.active_directory.tombstones import strip, tombstone_name

DELETION, PLACE, NAME, CLASS = "isdeleted", "name", "samaccountname", "objectclass"


def take_over(mine: Replica, theirs: Replica, seconds: int) -> list[Entry]:
    """Bring everything here that another copy has; the entries that changed here, in the order in which they did.

    What is under a USN up to which this copy knows its maker is passed over, and so is what it has made itself
    (propagation dampening). A copy that was rolled back and gives out its USNs again is not heard for that reason.

    ``seconds``: the receiving controller's time since 1601; whenChanged shows it (unconfirmed). Conflicts of names are
    settled by writes of this copy's own, which replicate in their turn.
    """
    pull = _Pull(mine, theirs, seconds)
    for entry in list(theirs.log.since(mine.reached.get(theirs.invocation, 0))):
        pull.take(entry)
    mine.reached[theirs.invocation] = theirs.usn
    for invocation, usn in (*theirs.known.items(), (theirs.invocation, theirs.usn)):
        if invocation != mine.invocation:
            mine.known[invocation] = max(usn, mine.known.get(invocation, 0))
    return list(pull.changed.values())


class _Pull:
    """One round of reading another copy."""

    def __init__(self, mine: Replica, theirs: Replica, seconds: int) -> None:
        self._mine = mine
        self._theirs = theirs
        self._seconds = seconds
        self.changed: dict[bytes, Entry] = {}

    def take(self, theirs: Entry) -> None:
        """Bring one object up to what the other copy has of it."""
        mine = self._mine.by_guid.get(theirs.guid)
        if mine is None:
            if self._is_news(theirs.created):
                self._add(theirs)
            return
        stamps = theirs.stamps.items()
        news = {key: stamp for key, stamp in stamps if self._is_news(stamp) and stamp.wins_over(mine.stamp(key))}
        if news:
            self._update(mine, theirs, news)

    def _is_news(self, stamp: Stamp) -> bool:
        mine = self._mine
        return stamp.invocation != mine.invocation and stamp.originating_usn > mine.known.get(stamp.invocation, 0)

    # --- new objects ----------------------------------------------------------------------------------------------

    def _add(self, theirs: Entry) -> Entry:
        replica = self._mine
        parent = self._parent(theirs)
        rdn = self._free_name(parent, theirs, theirs.rdn, _stamp(theirs, PLACE))
        stored = {key: value for key, value in theirs.values.items() if not ATTRIBUTES[key].local}
        usn = replica.usn = replica.usn + 1
        created = theirs.created._replace(local_usn=usn)
        entry = Entry(replica, parent, rdn, theirs.kind, stored, theirs.guid, theirs.rid, created)
        entry.stamps = _local(theirs.stamps, usn)
        entry.deleted = theirs.deleted
        if theirs is self._theirs.deleted_objects:
            replica.deleted_objects = entry
        rival = None if entry.deleted else self._rival(entry)
        replica.file(entry)
        replica.log.append(usn, entry, again=False)
        self._changed(entry)
        self._settle(entry, theirs, rival)
        return entry

    def _parent(self, theirs: Entry, below: Entry | None = None) -> Entry | None:
        """Where an object lies here: its parent, fetched first if need be, or LostAndFound if it can't lie there."""
        if theirs.parent is None:
            return None
        replica = self._mine
        parent = replica.by_guid.get(theirs.parent.guid) or self._add(theirs.parent)
        if theirs.deleted:
            return parent
        if parent.deleted or (below is not None and parent.lies_below(below)):
            return (replica.root.children or {})[names.rdn_key("CN", "LostAndFound")]
        return parent

    # --- objects that are here ------------------------------------------------------------------------------------

    def _update(self, entry: Entry, theirs: Entry, news: Mapping[str, Stamp]) -> None:
        replica = self._mine
        deletion = DELETION in news and theirs.deleted and not entry.deleted
        revival = DELETION in news and entry.deleted and not theirs.deleted
        moves = deletion or revival or PLACE in news
        if revival:
            entry.deleted = False
        if CLASS in news:
            entry.kind = theirs.kind
        parent, rdn = entry.parent, entry.rdn
        if moves:
            parent, rdn = self._place(entry, theirs, news, deleted=deletion or entry.deleted)
        usn = replica.usn = replica.usn + 1
        replica.unindex(entry, entry.values if deletion else news)
        if deletion:
            replica.groups_of.pop(entry.guid, None)
            replica.drop_links_to(entry)
            entry.deleted = True
        if moves:
            replica.unhook(entry)
            replica.tree_version += 1
            entry.parent, entry.rdn = parent, rdn
            replica.hook(entry)
        self._values(entry, theirs, news)
        entry.stamps = {**entry.stamps, **_local(news, usn)}
        rival = None if entry.deleted or NAME not in news else self._rival(entry)
        if not entry.deleted:
            replica.index(entry, entry.values if revival else {key: entry.values.get(key) for key in news})
        entry.usn = usn
        replica.log.append(usn, entry, again=True)
        self._changed(entry)
        self._settle(entry, theirs if moves else None, rival)
        if deletion:
            self._rescue(entry)

    def _place(
        self, entry: Entry, theirs: Entry, news: Mapping[str, Stamp], *, deleted: bool
    ) -> tuple[Entry | None, str]:
        """Where an entry lies from now on, and under which name; the place is free then."""
        rdn = _plain_name(theirs.rdn if PLACE in news else entry.rdn)
        if deleted:
            return self._mine.deleted_objects, tombstone_name(rdn, entry.guid)
        parent = self._parent(theirs, entry)
        return parent, self._free_name(parent, entry, rdn, news[PLACE])

    @staticmethod
    def _values(entry: Entry, theirs: Entry, keys: Collection[str]) -> None:
        """The values of ``keys``; a tombstone keeps only what tombstones keep, whatever was written elsewhere."""
        for key in keys:
            value: Value | None = theirs.values.get(key)
            if value is None:
                entry.values.pop(key, None)
            else:
                entry.values[key] = value
        if entry.deleted:
            strip(entry)
        elif "lockouttime" in keys and not entry.integer("lockouttime"):
            entry.values["badpwdcount"] = 0  # unconfirmed: an unlocked account's wrong passwords are forgotten here too

    def _rescue(self, container: Entry) -> None:
        """What lay below a container that was deleted elsewhere goes to LostAndFound."""
        lost = (self._mine.root.children or {})[names.rdn_key("CN", "LostAndFound")]
        for child in list((container.children or {}).values()):
            self._mine.move(child, lost, child.rdn, self._seconds)
            self._changed(child)

    # --- names that two objects claim -----------------------------------------------------------------------------

    def _free_name(self, parent: Entry | None, entry: Entry, rdn: str, named: Stamp) -> str:
        """What an object is called below its parent here. Of two objects of one name the one named earlier is renamed:
        the one that lies here at once, the one that comes by the name that is returned."""
        key = names.rdn_key(entry.kind.rdn, rdn)
        there = None if parent is None or entry.deleted else (parent.children or {}).get(key)
        if parent is None or there is None or there.guid == entry.guid:
            return rdn
        if not named.wins_over(_stamp(there, PLACE)):
            return _conflict_name(rdn, entry.guid)
        self._mine.move(there, parent, _conflict_name(there.rdn, there.guid), self._seconds)
        self._changed(there)
        return rdn

    def _rival(self, entry: Entry) -> Entry | None:
        """Another account with the same sAMAccountName."""
        found = self._mine.by_name.get(entry.text(NAME).casefold())
        return None if found is entry else found

    def _settle(self, entry: Entry, theirs: Entry | None, rival: Entry | None) -> None:
        """Write down what this copy decided about names, where it is not what the other copy has.

        The account that got its sAMAccountName earlier loses it: it is called ``$DUPLICATE-`` and its RID then.
        """
        if theirs is not None and not entry.deleted and _place_of(entry) != _place_of(theirs):
            keys = (PLACE,) if entry.rdn == theirs.rdn else (PLACE, entry.kind.rdn.lower())
            self._mine.touch(entry, keys, self._seconds)
        if rival is None:
            return
        winner, loser = (entry, rival) if _stamp(entry, NAME).wins_over(_stamp(rival, NAME)) else (rival, entry)
        name = winner.text(NAME).casefold()
        self._mine.write(loser, {NAME: f"$DUPLICATE-{loser.rid:x}"}, self._seconds)
        self._mine.by_name[name] = winner
        self._changed(loser)

    def _changed(self, entry: Entry) -> None:
        entry.changed = self._seconds
        self.changed.pop(entry.guid, None)
        self.changed[entry.guid] = entry


def _stamp(entry: Entry, key: str) -> Stamp:
    return entry.stamps.get(key, entry.created)


def _place_of(entry: Entry) -> tuple[bytes, str]:
    return entry.parent.guid if entry.parent is not None else b"", entry.rdn


def _local(stamps: Mapping[str, Stamp], usn: int) -> dict[str, Stamp]:
    """The same stamps as this copy keeps them; attributes that changed together share one."""
    shared: dict[Stamp, Stamp] = {}
    found = {}
    for key, stamp in stamps.items():
        mine = shared.get(stamp)
        if mine is None:
            mine = shared[stamp] = stamp._replace(local_usn=usn)
        found[key] = mine
    return found


def _plain_name(rdn: str) -> str:
    """A name without what a deletion made of it."""
    return rdn.partition("\nDEL:")[0]


def _conflict_name(rdn: str, guid: bytes) -> str:
    """The name of an object that lost a conflict (product documentation: ``\\0ACNF:`` and the GUID)."""
    plain = rdn.partition("\n")[0]
    return f"{plain}\nCNF:{names.guid_text(guid)}"
