"""converges: once nothing holds back any more, every due user's tenant password is the directory's."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from simulator.active_directory.state import Domain
from simulator.invariants.base import Invariant, Violation
from simulator.network import OK
from simulator.world_facts import readable

CYCLES = 3
"""Password cycles after the next object cycle by which everything must have arrived."""


class Converges(Invariant):
    """With nothing in the way any more, one object cycle and three password cycles bring agreement."""

    id = "converges"
    why = (
        "With nothing in the way any more, one object cycle and three password cycles bring every password "
        "that is due to the tenant."
    )

    def begin(self) -> None:
        self._calm_since: datetime | None = self.world.start
        self._attempts = 0
        self._cycles = 0
        self._retry_until: datetime | None = None
        self._objects: list[datetime] = []
        self._passwords: list[datetime] = []
        self._absent: set[UUID] = set()
        self._exported: dict[UUID, datetime] = {}

    def instant(self) -> Iterable[Violation]:
        now = self.world.clock()
        for cycle in self.world.cycles[self._cycles :]:
            (self._objects if cycle.kind == "object" else self._passwords).append(cycle.started)
        self._cycles = len(self.world.cycles)
        if self._held_back(now):
            self._calm_since = None
            return
        if self._calm_since is None:
            self._calm_since = now
        for guid in sorted(self.ledger.unsettled):
            if self._due(guid) and self._had_time(guid):
                name = self.ledger.name(guid)
                yield Violation(
                    held=f"nothing has held back {name}'s password since {self._calm_since:%H:%M:%S}, and an"
                    f" object cycle and {CYCLES} password cycles have run",
                    came=f"the tenant still does not have {self.ledger.label(guid, self.ledger.newest(guid))}",
                    about=name,
                    key=f"{guid}/{self.ledger.newest(guid)}",
                )

    def _held_back(self, now: datetime) -> bool:
        world = self.world
        fresh = world.network.attempts[self._attempts :]
        self._attempts = len(world.network.attempts)
        for attempt in fresh:
            if attempt.retry_after and attempt.ended is not None:
                until = attempt.ended.timestamp() + attempt.retry_after
                self._retry_until = datetime.fromtimestamp(until, tz=now.tzinfo)
        troubled = any(each.outcome != OK or not each.answered or each.item_results for each in fresh)
        return (
            troubled
            or not world.host.running
            or bool(world.network.down)
            or world.settings.staging
            or world.server.locked
            or bool(world.sync_off)
            or "password-sync" not in world.tenant.features
            or (self._retry_until is not None and now < self._retry_until)
            or any(self._lags_or_fails(domain) for domain in world.domains)
        )

    def _lags_or_fails(self, domain: Domain) -> bool:
        """Whether the controller that the agent reads (any, as long as that is not known) has not all that there is."""
        on = self.ledger.controller_read.get(domain.name)
        return not readable(domain, on) or domain.lags(on)

    def _due(self, guid: UUID) -> bool:
        ledger = self.ledger
        facts, account = ledger.facts.get(guid), ledger.account(guid)
        if facts is None or facts.why is not None or facts.doubtful or account is None:
            return False
        if ledger.temporary.get(guid) == ledger.newest(guid):
            return False
        return self._is_exported(guid)

    def _is_exported(self, guid: UUID) -> bool:
        """Whether the tenant has the object; one that it got (back) only now still has its password cycles to come."""
        if self.world.tenant.find_by_anchor(self.ledger.anchor(guid)) is None:
            self._absent.add(guid)
            return False
        if guid in self._absent:
            self._absent.remove(guid)
            self._exported[guid] = self.world.clock()
        return True

    def _had_time(self, guid: UUID) -> bool:
        ready = max(
            self._calm_since or self.world.start,
            self.ledger.versions[guid][self.ledger.newest(guid)].at,
            self.ledger.facts[guid].since,
        )
        index = bisect_left(self._objects, ready)
        if index == len(self._objects):
            return False
        since = max(self._objects[index], self._exported.get(guid, ready))
        first = bisect_left(self._passwords, since)
        return len(self._passwords) - first >= CYCLES
