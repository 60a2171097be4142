"""two-minutes: password cycles start on the 2-minute grid of the agent's run and never overlap."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from datetime import datetime, timedelta

from simulator.invariants.base import Invariant, Violation

PERIOD = timedelta(minutes=2)


class TwoMinutes(Invariant):
    """Password cycles begin whole 2-minute periods after the service's start, one at a time."""

    id = "two-minutes"
    why = (
        "Password cycles begin every 2 minutes from the start of the service, one at a time; nobody can set "
        "another interval."
    )

    def begin(self) -> None:
        self._seen = 0
        self._last: datetime | None = None

    def instant(self) -> Iterable[Violation]:
        cycles, starts = self.world.cycles, self.world.grid_starts
        start = following = None
        for cycle in cycles[self._seen :]:
            if cycle.kind != "password":
                continue
            if start is None or cycle.started < start or (following is not None and cycle.started >= following):
                passed = bisect_right(starts, cycle.started)
                start = starts[passed - 1] if passed else None
                following = starts[passed] if passed < len(starts) else None
            if start is not None and (cycle.started - start) % PERIOD:
                yield Violation(
                    held=f"the service started at {start:%H:%M:%S}, so cycles begin every 2 minutes from there",
                    came=f"a password cycle began at {cycle.started:%H:%M:%S}",
                    key=str(cycle.started),
                )
            if self._last is not None and cycle.started <= self._last:
                yield Violation(
                    held=f"a password cycle began at {self._last:%H:%M:%S}",
                    came="another one began before 2 minutes had passed",
                    key=f"twice/{cycle.started}",
                )
            self._last = cycle.started
        self._seen = len(cycles)
