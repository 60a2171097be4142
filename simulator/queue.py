"""The event queue of a world: what is due, in the order of time, kind, and queueing."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from datetime import datetime
from enum import IntEnum


class Rank(IntEnum):
    """Order of kinds within an instant. ``FIRST``: what a harness puts in place before anything of it happens."""

    FIRST = -1
    ACTION = 0
    BACKGROUND = 1
    CYCLE = 2
    EXPECTATION = 3
    END = 4


Key = tuple[datetime, int]
"""When, and the rank within the instant."""


class EventQueue:
    """A heap of calls. Calls of equal time and rank run in the order in which they were queued."""

    def __init__(self) -> None:
        self._heap: list[tuple[datetime, int, int, Callable[[], None]]] = []
        self._sequence = 0

    def push(self, when: datetime, rank: Rank, call: Callable[[], None]) -> None:
        """Queue a call."""
        self._sequence += 1
        heapq.heappush(self._heap, (when, rank, self._sequence, call))

    def head(self) -> Key | None:
        """Key of the next call; None if nothing is queued."""
        if not self._heap:
            return None
        when, rank, _, _ = self._heap[0]
        return when, rank

    def pop(self) -> Callable[[], None]:
        """Take the next call out of the queue."""
        return heapq.heappop(self._heap)[3]
