"""Domain controllers: each with a copy of its domain, a state, and a way back to an earlier copy."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from simulator.active_directory import accounts
from simulator.active_directory.replica import Entry, Replica
from simulator.active_directory.schema import ObjectClass, Value
from simulator.active_directory.times import TICKS_PER_SECOND, filetime

if TYPE_CHECKING:
    from simulator.active_directory.state import Domain

CONTROLLER_STATES = ("up", "down", "no-outbound-replication", "no-replication")
ROLLED_BACK = (
    "A partner asked for changes with an update sequence number that this domain controller has not given out yet. Its "
    "database was put back by a way that is not supported. Inbound and outbound replication are disabled."
)


class DirectoryEvent(NamedTuple):
    """An entry of a controller's Directory Service log. time: aware UTC."""

    id: int
    level: str
    time: datetime
    text: str


@dataclass(frozen=True)
class Snapshot:
    """A controller's database at some moment. It can be restored more than once; nothing changes it."""

    name: str
    replica: Replica
    rids: range | None
    next_rid: int


class Controller:
    """A domain controller; its clock is the world's.

    events: what it has written to its Directory Service log, as far as replication stopped for it.
    """

    def __init__(self, domain: Domain, name: str) -> None:
        self.domain = domain
        self.name = name
        self._state = "up"
        identity = domain.random(f"controller/{name}")
        self.replica = Replica(_guid(identity), domain.sid, self)
        self.events: list[DirectoryEvent] = []
        self._epoch = 0
        self._guids = identity
        self._rids: range | None = None
        self._next_rid = 0
        self._moment: datetime | None = None
        self._ticks = 0
        self._homes: dict[str, Entry] = {}
        self._homes_version = -1

    @property
    def state(self) -> str:
        """One of :data:`CONTROLLER_STATES`. down: nothing goes in or out. no-outbound-replication: partners and
        clients of replication are refused. no-replication: they are, and nothing is fetched either. In both everything
        else goes on."""
        return self._state

    @state.setter
    def state(self, new: str) -> None:
        if new not in CONTROLLER_STATES:
            raise ValueError(f"no state is called {new!r}; there are {', '.join(CONTROLLER_STATES)}")
        before, self._state = self._state, new
        if new != before:
            self.domain.partners.moved(self, before)

    @property
    def invocation(self) -> bytes:
        """The 16 bytes that name this controller's copy in metadata."""
        return self.replica.invocation

    @property
    def epoch(self) -> int:
        """The replication epoch (msDS-ReplicationEpoch), which the rename of a domain raises controller by controller:
        those of different epochs refuse each other ([MS-DRSR] 5.39, dwReplEpoch)."""
        return self._epoch

    @epoch.setter
    def epoch(self, new: int) -> None:
        self._epoch = new
        self.domain.partners.moved(self, self._state)

    @property
    def forest_dn(self) -> str:
        """DN of the forest's root domain, below which configuration and schema lie."""
        return self.domain.forest.root_dn

    def now(self) -> int:
        """The time as FILETIME."""
        moment = self.domain.forest.clock()
        if moment is not self._moment:
            self._moment, self._ticks = moment, filetime(moment)
        return self._ticks

    def seconds(self) -> int:
        """The time in whole seconds since 1601."""
        return self.now() // TICKS_PER_SECOND

    def take_rid(self) -> int:
        """The next relative identifier of this controller's pool; the domain hands out pools of 500."""
        if self._rids is None or self._next_rid not in self._rids:
            self._rids = self.domain.take_rid_pool()
            self._next_rid = self._rids.start
        self._next_rid += 1
        return self._next_rid - 1

    def create(
        self,
        parent: Entry | None,
        rdn: str,
        kind: ObjectClass,
        stored: dict[str, Value],
        *,
        rid: int = 0,
        at: int | None = None,
    ) -> Entry:
        """Make an object with a fresh GUID, now or at a FILETIME."""
        seconds = (self.now() if at is None else at) // TICKS_PER_SECOND
        return self.replica.create(parent, rdn, kind, stored, guid=_guid(self._guids), rid=rid, seconds=seconds)

    def home(self, ou: str) -> Entry:
        """The container of a path, remembered until the tree changes."""
        replica = self.replica
        if self._homes_version != replica.tree_version:
            self._homes.clear()
            self._homes_version = replica.tree_version
        found = self._homes.get(ou)
        if found is None:
            found = self._homes[ou] = accounts.unit(self, ou)
        return found

    # --- backup and restore -------------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """A copy of the database as it is now, as of a virtual machine or a backup."""
        return Snapshot(self.name, _copied(self.replica, self), self._rids, self._next_rid)

    def restore(self, snapshot: Snapshot, *, reset_invocation: bool) -> None:
        """Go back to a snapshot of this controller; see :meth:`~simulator.active_directory.state.Domain.restore`."""
        if snapshot.name != self.name:
            raise ValueError(f"a snapshot of {snapshot.name} is no snapshot of {self.name}")
        notify = self.replica.notify
        replica = self.replica = _copied(snapshot.replica, self)
        replica.notify = notify
        self._homes.clear()
        self._homes_version = -1
        self._rids, self._next_rid = snapshot.rids, snapshot.next_rid
        if reset_invocation:
            replica.known[replica.invocation] = replica.usn
            replica.invocation, replica.originated = _guid(self._guids), 0
            self._rids = None  # what is left of the pool may have been used since
            if self._state == "no-replication":
                self._state = "up"

    def quarantine(self) -> None:
        """A partner knows more of this controller's changes than it has made: its database was rolled back.

        It stops replicating by itself and says so (product documentation of event 2095).
        """
        if self._state == "no-replication":
            return
        self.events.append(DirectoryEvent(2095, "error", self.domain.forest.clock(), ROLLED_BACK))
        self.state = "no-replication"

    def __repr__(self) -> str:
        return f"<Controller {self.name}.{self.domain.name}>"


def _guid(random: Random) -> bytes:
    """A random (version 4) GUID in AD's byte order."""
    octets = bytearray(random.randbytes(16))
    octets[7] = octets[7] & 0x0F | 0x40
    octets[8] = octets[8] & 0x3F | 0x80
    return bytes(octets)


def _copied(replica: Replica, owner: object) -> Replica:
    """A copy that shares nothing with its original that either could change."""
    copy = Replica(replica.invocation, replica.domain_sid, owner)
    copy.usn, copy.originated, copy.tree_version = replica.usn, replica.originated, replica.tree_version
    copy.known, copy.reached, copy.groups_of = dict(replica.known), dict(replica.reached), dict(replica.groups_of)
    copy.linked_from = {target: dict(entries) for target, entries in replica.linked_from.items()}
    twins = copy.by_guid = {guid: entry.copied(copy) for guid, entry in replica.by_guid.items()}
    for guid, entry in replica.by_guid.items():
        twin = twins[guid]
        twin.parent = None if entry.parent is None else twins[entry.parent.guid]
        if entry.children is not None:
            twin.children = {key: twins[child.guid] for key, child in entry.children.items()}
    copy.by_name = {name: twins[entry.guid] for name, entry in replica.by_name.items()}
    copy.by_upn = {name: twins[entry.guid] for name, entry in replica.by_upn.items()}
    copy.by_rid = {rid: twins[entry.guid] for rid, entry in replica.by_rid.items()}
    copy.root, copy.deleted_objects = twins[replica.root.guid], twins[replica.deleted_objects.guid]
    for entry in replica.log.since(0):
        copy.log.append(entry.usn, twins[entry.guid], again=False)
    return copy
