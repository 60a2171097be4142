"""two-minutes: password cycles start on the 2-minute grid of the agent's run and never overlap; none is left out.

A start is rightly left out only while another cycle runs, of whichever kind; and while password synchronization is off,
or just being switched, no start is due.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from datetime import datetime, timedelta

from simulator.invariants.base import Invariant, Violation

PERIOD = timedelta(minutes=2)

Span = tuple[datetime, datetime]
"""From when until when, both included."""


class TwoMinutes(Invariant):
    """Password cycles begin whole 2-minute periods after the service's start, one at a time, as long as it runs."""

    id = "two-minutes"
    why = (
        "Password cycles begin every 2 minutes from the start of the service, one at a time; nobody can set "
        "another interval, and a start is left out only while another cycle runs."
    )

    def begin(self) -> None:
        self._seen = 0
        self._last: datetime | None = None
        self._begun = len(self.world.grid_starts)
        self._due: datetime | None = None  # the first start that is not judged yet
        self._set_up = self.world.host.running
        if self._set_up:
            self._due = _after(self.world.clock(), self.world.grid_starts[-1])
        self._made: set[datetime] = set()
        self._spans: list[Span] = []  # in which a cycle ran, or an order to switch was given, that took its time
        self._turn = 0
        self._switched = len(self.world.switched)
        self.world.host.watchers.append(self._turned)

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
            self._made.add(cycle.started)
        self._seen = len(cycles)
        yield from self._left_out()

    def finish(self) -> Iterable[Violation]:
        return self.instant()

    def _left_out(self) -> Iterable[Violation]:
        """Starts that fell due since this was last asked, and were neither made nor rightly left out."""
        now, starts = self.world.clock(), self.world.grid_starts
        switched = self.world.switched[self._switched :]
        self._switched += len(switched)
        self._spans += (span for span in switched if span[0] < span[1])
        if not self._is_on():
            self._due = None
        elif len(starts) != self._begun:
            self._due = starts[-1]
        elif self._due is None:
            self._due = _after(now, starts[-1])
        self._begun = len(starts)
        while self._due is not None and self._due <= now:
            if self._due not in self._made and not self._is_excused(self._due):
                yield Violation(
                    held=f"the service started at {starts[-1]:%H:%M:%S}, so a password cycle was due at"
                    f" {self._due:%H:%M:%S}",
                    came="none began, though no other cycle was running",
                    key=f"left out/{starts[-1]}",
                )
                self._due = _after(now, starts[-1])
                break
            self._due += PERIOD
        self._made.clear()
        self._spans.clear()

    def _is_on(self) -> bool:
        """Whether starts are due at all.

        A process that dies while it installs the agent may leave nothing: the first cycle shows that there is one.
        """
        self._set_up = self._set_up or self._last is not None
        if not self._set_up or not self.world.host.running:
            return False
        off = self.world.sync_off
        return not off or not (None in off or off.issuperset(domain.name for domain in self.world.domains))

    def _is_excused(self, when: datetime) -> bool:
        return any(first <= when <= last for first, last in self._spans)

    def _turned(self, busy: bool) -> None:
        """The agent gets its turn, or has had it: a cycle that it began then may have taken a while."""
        cycles = self.world.cycles
        if busy:
            self._turn = len(cycles)
        elif self._turn < len(cycles) and cycles[self._turn].started < self.world.clock():
            self._spans.append((cycles[self._turn].started, self.world.clock()))


def _after(when: datetime, start: datetime) -> datetime:
    """The first start after a time, of the grid that began with the service."""
    return start + PERIOD * ((when - start) // PERIOD + 1)
