"""retry-after: no call to the tenant before Retry-After has passed, restarts included."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from simulator.invariants.base import Invariant, Violation


class RetryAfter(Invariant):
    """After an answer that asked for a pause the tenant hears nothing until the pause is over."""

    id = "retry-after"

    def begin(self) -> None:
        self._seen = 0
        self._until: datetime | None = None
        self._asked = ""

    def instant(self) -> Iterable[Violation]:
        attempts = self.world.network.attempts
        for attempt in attempts[self._seen :]:
            if not attempt.on.startswith("cloud."):
                continue
            if self._until is not None and attempt.started < self._until:
                yield Violation(
                    held=f"{self._asked} asked for a pause until {self._until:%H:%M:%S}",
                    came=f"{attempt.on} went out at {attempt.started:%H:%M:%S}",
                    key=str(attempt.sequence),
                )
            if attempt.retry_after and attempt.answered and attempt.ended is not None:
                self._until = attempt.ended + timedelta(seconds=attempt.retry_after)
                self._asked = f"the answer to {attempt.on} at {attempt.ended:%H:%M:%S}"
        self._seen = len(attempts)
