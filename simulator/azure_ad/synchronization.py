"""What a tenant asks of whoever synchronizes it: that it is activated, a build, a limit to deletions and to writes.

Source: the product's pages on the prevention of accidental deletes (500 objects), on performance (7,000 writes in five
minutes), and on retired builds. Which call the service counts and when exactly it refuses one is unconfirmed: here a
call is refused as a whole, before anything of it is applied.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

from simulator.refusal import Refusal

WRITES_MAX = 7_000
WRITES_WINDOW = timedelta(minutes=5)
"""The tenant's throttle (product documentation): as many writes in so much time."""

DELETIONS_MAX = 500
"""The threshold of a new tenant (product documentation)."""

BUILD_PARTS_MAX = 4
_DIGITS_MAX = 9

Build = tuple[int, ...]


class Export(NamedTuple):
    """An export that its agent has called finished: how many objects it had, and how many went well."""

    at: datetime
    total: int
    successful: int


class Synchronization:
    """The conditions of one tenant.

    enabled: whether directory synchronization is activated for the company. minimum_build: older agents are refused;
    by default all are taken whose number can be read. deletions_max: a call with more deletions is refused; None:
    the prevention of accidental deletion is off. last_export: see :class:`Export`.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self.enabled = True
        self.minimum_build: Build = (1, 0)
        self.deletions_max: int | None = DELETIONS_MAX
        self.last_export: Export | None = None
        self._writes_max: int | None = None
        self._writes: deque[tuple[datetime, int]] = deque()

    def throttle(self, writes_max: int | None = WRITES_MAX) -> None:
        """Take at most so many writes within five minutes from now on; None: as many as come."""
        self._writes_max = writes_max
        self._writes.clear()

    def admit(self, build: str) -> None:
        """Refuse a call of an agent that may not synchronize; ``build``: the number it gives itself.

        Raises Refusal: not-supported, with ``fault`` ``old-build`` or ``not-activated``.
        """
        if read_build(build) < self.minimum_build:
            oldest = ".".join(map(str, self.minimum_build))
            raise Refusal(
                "not-supported", f"build {build[:64]!r} is refused; the oldest is {oldest}", fault="old-build"
            )
        if not self.enabled:
            raise Refusal("not-supported", "synchronization is not activated", fault="not-activated")

    def count_writes(self, count: int) -> None:
        """Let a call write ``count`` times. Raises Refusal("not-supported", fault="81") if that is too often."""
        if self._writes_max is None:
            return
        now = self._clock()
        while self._writes and now - self._writes[0][0] >= WRITES_WINDOW:
            self._writes.popleft()
        if sum(each for _, each in self._writes) + count > self._writes_max:
            raise Refusal("not-supported", f"more than {self._writes_max} writes in {WRITES_WINDOW}", fault="81")
        self._writes.append((now, count))

    def count_deletions(self, count: int) -> None:
        """Let a call delete ``count`` objects. Raises Refusal("not-supported", fault="deletions") if those are many."""
        if self.deletions_max is not None and count > self.deletions_max:
            text = f"{count} deletions in one call, more than the {self.deletions_max} that are allowed"
            raise Refusal("not-supported", text, fault="deletions")

    def finish_export(self, total: int, successful: int) -> None:
        """Note that an export is over."""
        self.last_export = Export(self._clock(), total, successful)


def read_build(text: str) -> Build:
    """A build number by its parts, ``1.1.380.0``; empty for a text that is none."""
    parts = text.split(".", BUILD_PARTS_MAX)
    if not all(part.isascii() and part.isdigit() and len(part) <= _DIGITS_MAX for part in parts):
        return ()
    return tuple(map(int, parts))
