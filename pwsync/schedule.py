"""When cycles are due: a grid of instants from the service's start, every one ``interval`` apart.

Passwords run on a fixed grid of two minutes, directory objects on one of thirty that an administrator may change
(product documentation). A start that falls due while a cycle still runs is left out, never made up for.
"""

from __future__ import annotations

from datetime import datetime, timedelta


class Grid:
    """The starts of one kind of cycle. ``next`` is the coming one, or None while the service is stopped."""

    def __init__(self, interval: timedelta) -> None:
        if interval <= timedelta(0):
            raise ValueError(f"an interval must be longer than nothing, not {interval}")
        self._interval = interval
        self._origin: datetime | None = None
        self.next: datetime | None = None

    def begin(self, now: datetime) -> None:
        """The service starts: a cycle is due at once, and the grid begins here."""
        self._origin = self.next = now

    def end(self) -> None:
        """The service stops: nothing is due."""
        self._origin = self.next = None

    def due(self, now: datetime) -> bool:
        """Is it time to start? False where the start was missed: then :attr:`next` moves to the coming one."""
        if self.next is None or self.next > now:
            return False
        if self.next < now:
            self.next = self._point(now, after=False)
        return self.next == now

    def passed(self, now: datetime) -> None:
        """A cycle has ended: every start up to and including ``now`` is over."""
        if self.next is not None and self.next <= now:
            self.next = self._point(now, after=True)

    def skip_to(self, when: datetime) -> None:
        """Take all starts before ``when`` as over."""
        if self.next is not None and self.next < when:
            self.next = self._point(when, after=False)

    def change(self, interval: timedelta, now: datetime) -> None:
        """Use another interval from now on; the grid's first instant stays, and what is due now stays due."""
        if interval <= timedelta(0):
            raise ValueError(f"an interval must be longer than nothing, not {interval}")
        self._interval = interval
        if self.next is not None and self.next > now:
            self.next = self._point(now, after=True)

    def _point(self, when: datetime, *, after: bool) -> datetime:
        """The first instant of the grid at ``when`` or later; later only, if ``after``."""
        assert self._origin is not None, "a grid that has not begun has no points"  # noqa: S101 - callers look at next
        if when < self._origin:
            return self._origin
        steps, rest = divmod(when - self._origin, self._interval)
        return self._origin + self._interval * (steps + (1 if after or rest else 0))
