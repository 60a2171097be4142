"""nothing-lost: every change is applied, pending, superseded, or left out by a rule; never forgotten."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from simulator.invariants.base import Invariant, Violation
from simulator.invariants.ledger import Facts


class NothingLost(Invariant):
    """A change that the agent has read is somewhere."""

    id = "nothing-lost"
    why = (
        "A later cycle reads what has changed since: what was read, and is neither applied nor pending, is never sent."
    )

    def begin(self) -> None:
        self._absent: set[UUID] = set()
        self._came: dict[UUID, Facts] = {}

    def instant(self) -> Iterable[Violation]:
        world, ledger = self.world, self.ledger
        if not world.host.running or not ledger.unsettled:
            return
        doubtful = [guid for guid in sorted(ledger.unsettled) if self._read(guid) and self._due(guid)]
        if not doubtful:
            return
        pending = set(world.pending())
        for guid in doubtful:
            if ledger.anchor(guid) in pending:
                continue
            name = ledger.name(guid)
            yield Violation(
                held=f"the agent read {ledger.label(guid, ledger.newest(guid))}, and no rule leaves it out",
                came="the tenant does not have it, and it is not pending",
                about=name,
                key=f"{guid}/{ledger.newest(guid)}",
            )

    def _read(self, guid: UUID) -> bool:
        return self.ledger.was_read(guid)

    def _due(self, guid: UUID) -> bool:
        """Whether a rule leaves the change out (then it is not due), or it is not known yet."""
        ledger, world = self.ledger, self.world
        facts = ledger.facts.get(guid)
        if facts is None or facts.why is not None or facts.doubtful or ledger.account(guid) is None:
            return False
        if ledger.temporary.get(guid) == ledger.newest(guid) or not ledger.was_read_since(guid, facts):
            return False
        home = ledger.homes[guid].name
        if None in world.sync_off or home in world.sync_off:
            return False
        return self._is_there(guid)

    def _is_there(self, guid: UUID) -> bool:
        """Whether the tenant has the object; of one that it got only now, the password is still to be read (again)."""
        world, ledger = self.world, self.ledger
        if world.tenant.find_by_anchor(ledger.anchor(guid)) is None:
            self._absent.add(guid)
            return False
        if guid in self._absent:
            self._absent.remove(guid)
            self._came[guid] = Facts(None, world.clock(), len(world.network.attempts))
        came = self._came.get(guid)
        return came is None or ledger.was_read_since(guid, came)
