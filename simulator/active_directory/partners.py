"""Replication between the controllers of a domain: who is told of a write, and when it is fetched.

Each controller is a partner of each other. A write is announced after the domain's replication delay, urgent ones at
once; whoever is told fetches everything that is there by then, so that one fetch is queued at a time for each pair and
direction, and a domain in which nothing is written costs nothing ([MS-ADTS] 3.1.1.5.1.6; product documentation of
change notification within a site).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from simulator.active_directory.inbound import take_over

if TYPE_CHECKING:
    from simulator.active_directory.replica import Replica
    from simulator.active_directory.state import Controller, Domain

AT_ONCE = timedelta(0)
ROUNDS_MAX = 16
"""Rounds of everyone fetching from everyone in which a domain comes to rest; names in conflict take two or three."""


class Partners:
    """The controllers of a domain as partners. ``delay``: from a write to its announcement."""

    def __init__(self, domain: Domain, delay: timedelta) -> None:
        self._domain = domain
        self.delay = delay
        self._queued: dict[tuple[str, str], datetime] = {}
        self._retired: dict[bytes, int] = {}

    def wrote(self, source: Controller, *, urgent: bool) -> None:
        """A controller has written: its partners are to fetch it."""
        for target in self._others(source):
            self._queue(source, target, AT_ONCE if urgent else self.delay)

    def moved(self, controller: Controller, before: str) -> None:
        """A controller's state was ``before`` and is another now: what could not be fetched meanwhile is.

        A controller that comes up starts with fetching; after outbound replication was switched on again the next
        announcement comes in its time (unconfirmed for both).
        """
        delay = AT_ONCE if before == "down" else self.delay
        for other in self._others(controller):
            for source, target in ((controller, other), (other, controller)):
                if _may(source, target) and target.replica.reached.get(_name(source), 0) < source.replica.usn:
                    self._queue(source, target, delay)

    def retire(self, replica: Replica) -> None:
        """No controller bears this copy's name any more; what was written under it may still have to go round."""
        self._retired[replica.invocation] = replica.originated

    def restored(self, controller: Controller) -> None:
        """A controller's database was put back: as one that comes up it fetches from everybody, and they from it."""
        for other in self._others(controller):
            for source, target in ((other, controller), (controller, other)):
                if _may(source, target) and target.replica.reached.get(_name(source), 0) < source.replica.usn:
                    self._queue(source, target, AT_ONCE)

    def forget(self, controller: Controller) -> None:
        """A controller is gone: nobody fetches from it any more."""
        self.retire(controller.replica)
        for pair in [pair for pair in self._queued if controller.name in pair]:
            del self._queued[pair]

    def lags(self, target: Controller) -> bool:
        """Whether something was written elsewhere that has not come to this controller yet.

        Also what was written under a name that no controller bears any more, as before a restore.
        """
        known, others = target.replica.known, self._others(target)
        if any(known.get(_name(each), 0) < each.replica.originated for each in others):
            return True
        return any(
            known.get(name, 0) < min(originated, max((each.replica.known.get(name, 0) for each in others), default=0))
            for name, originated in self._retired.items()
        )

    def settle(self) -> None:
        """Bring all controllers to the same state at once, whatever state they are in."""
        controllers = list(self._domain.controllers.values())
        for _ in range(ROUNDS_MAX):
            if not any(self.lags(target) for target in controllers):
                return
            for target in controllers:
                for source in self._others(target):
                    self._fetch(source, target)
        raise RuntimeError(f"replication of {self._domain.name} does not come to rest")

    def _others(self, controller: Controller) -> list[Controller]:
        return [each for each in self._domain.controllers.values() if each is not controller]

    def _queue(self, source: Controller, target: Controller, delay: timedelta) -> None:
        """Have ``target`` fetch from ``source`` after a delay, unless it does so by then anyway."""
        forest, pair = self._domain.forest, (source.name, target.name)
        if forest.schedule is None:
            return
        due = forest.clock() + delay
        if pair in self._queued and self._queued[pair] <= due:
            return
        self._queued[pair] = due

        def fetch() -> None:
            if self._queued.get(pair) == due:  # not put forward meanwhile
                del self._queued[pair]
                if _may(source, target):
                    self._fetch(source, target)

        forest.schedule(delay, fetch)

    def _fetch(self, source: Controller, target: Controller) -> None:
        if target.replica.known.get(_name(source), 0) > source.replica.usn:
            source.quarantine()  # its partner has heard of changes that it has not made yet
            return
        changed = take_over(target.replica, source.replica, target.seconds())
        if changed:
            for tell in self._domain.on_replicated:
                tell(source, target, changed)


def _name(controller: Controller) -> bytes:
    return controller.replica.invocation


def _may(source: Controller, target: Controller) -> bool:
    """Whether one controller can fetch from another now."""
    fetches = target.state in ("up", "no-outbound-replication")
    return fetches and source.state == "up" and source.epoch == target.epoch
