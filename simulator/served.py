"""A directory served for clients of one's own: forests whose time runs, and a port for each controller.

What waits for its time in a run (replication between controllers) happens here when the time has come.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from queue import Empty, SimpleQueue
from threading import RLock
from typing import TYPE_CHECKING, Self

from simulator.active_directory.population import Invented, populate
from simulator.active_directory.port import DirectoryPort
from simulator.active_directory.state import Domain, Forest
from simulator.certificates import Authority
from simulator.random import Randomness

if TYPE_CHECKING:
    from types import TracebackType

    from simulator.scenario.file import Case

DEFAULT_DOMAIN = "contoso.example"


class RunningClock:
    """A clock that runs: real time, or from a given moment on at the pace of real time."""

    def __init__(self, start: datetime | None = None) -> None:
        self._start = start
        self._began = time.monotonic()

    def __call__(self) -> datetime:
        if self._start is None:
            return datetime.now(UTC)
        return self._start + timedelta(seconds=time.monotonic() - self._began)


class Timetable:
    """Calls that are due some time later. Any thread may add to it; :meth:`run` makes them, one after another.

    lock: held while a call is made.
    """

    def __init__(self, lock: RLock) -> None:
        self._lock = lock
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._added = 0
        # A SimpleQueue may be put to from a signal's handler, even while its own get is interrupted.
        self._news: SimpleQueue[str] = SimpleQueue()

    def later(self, delay: timedelta, call: Callable[[], None]) -> None:
        """Have something done after a delay."""
        with self._lock:
            self._added += 1
            heapq.heappush(self._due, (time.monotonic() + delay.total_seconds(), self._added, call))
        self._news.put("added")

    def stop(self) -> None:
        """Let :meth:`run` return; what is still due is not done."""
        self._news.put("stop")

    def run(self) -> None:
        """Do what is due when it is due, until stopped."""
        while True:
            pause = self._do_due()
            try:
                if self._news.get(timeout=pause) == "stop":
                    return
            except Empty:
                continue

    def _do_due(self) -> float | None:
        """Do everything that is due by now; the seconds until the next, None if nothing waits."""
        with self._lock:
            while self._due:
                pause = self._due[0][0] - time.monotonic()
                if pause > 0:
                    return pause
                heapq.heappop(self._due)[2]()
        return None


class ServedDirectories:
    """Forests on ports while the ``with`` block lasts: a :class:`DirectoryPort` per controller, in the forests' order.

    ldap_port, ldaps_port: of the first controller; each further one gets the next numbers. 0: any that are free.
    Raises :class:`~simulator.active_directory.port.PortUnavailable`.
    """

    def __init__(
        self,
        forests: Sequence[Forest],
        *,
        host: str,
        ldap_port: int,
        ldaps_port: int,
        require_signing: bool = False,
    ) -> None:
        self.forests = forests
        self.authority = Authority()
        self.lock = RLock()
        self.timetable = Timetable(self.lock)
        self.ports = [
            DirectoryPort(
                controller,
                host=host,
                ldap_port=ldap_port and ldap_port + number,
                ldaps_port=ldaps_port and ldaps_port + number,
                authority=self.authority,
                require_signing=require_signing,
                lock=self.lock,
            )
            for number, controller in enumerate(
                controller for domain in domains_of(forests) for controller in domain.controllers.values()
            )
        ]
        self._open = ExitStack()

    def __enter__(self) -> Self:
        for forest in self.forests:
            forest.schedule = self.timetable.later
        with ExitStack() as opening:
            for port in self.ports:
                opening.enter_context(port)
            self._open = opening.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._open.close()


def domains_of(forests: Sequence[Forest]) -> Iterator[Domain]:
    """All domains, in the order in which they were made."""
    for forest in forests:
        yield from forest.domains.values()


def invented_forest(users: int, seed: int, clock: Callable[[], datetime]) -> tuple[Forest, list[Invented]]:
    """A forest with one domain, :data:`DEFAULT_DOMAIN`, and the people invented for it."""
    forest = Forest(DEFAULT_DOMAIN, clock, Randomness(seed))
    return forest, populate(forest.add_domain(DEFAULT_DOMAIN), users, forest.randomness, profile="company")


def scenario_forests(case: Case, seed: int | None, clock: Callable[[], datetime]) -> list[Forest]:
    """The forests of a scenario as they stand at its ``+0s``, which is now.

    What its ``given`` says has happened has, synchronization included; nothing of its timeline does.
    """
    from simulator.scenario.setup import Setup, build_world

    scenario = case.scenario.model_copy(update={"start": clock()})
    case = replace(case, scenario=scenario)
    world = build_world(case, seed=seed)
    with world.frozen():
        Setup(world, case).run()
    for domain in world.domains:
        domain.on_replicated.clear()  # there is no trace to tell it to
    forests = list(world.forests.values())
    for forest in forests:
        forest.clock = clock
    return forests
