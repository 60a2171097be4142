"""The clock of a simulated world. Time is a value that only the world moves."""

from __future__ import annotations

from datetime import UTC, datetime


class Clock:
    """Call it for the time now (UTC, timezone-aware). ``move_to`` never goes back."""

    def __init__(self, start: datetime) -> None:
        if start.tzinfo is None:
            raise ValueError("a clock needs a time with a time zone")
        self._now = start.astimezone(UTC)

    def __call__(self) -> datetime:
        return self._now

    def move_to(self, when: datetime) -> None:
        if when < self._now:
            raise ValueError(f"time goes forward only: it is {self._now}, asked for {when}")
        self._now = when
