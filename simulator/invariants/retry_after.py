"""retry-after: no call to the tenant before Retry-After has passed, restarts included.

A pause that the process took to its grave is none: one that died before it could store what it had just been told, or
could not store it as long as it lived. That is so until the first commit after the answer has arrived, within the cycle
that brought the answer; and beyond it only if that commit failed. An agent that does not try to store the pause before
its cycle ends has no such excuse.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from datetime import datetime, timedelta

from simulator.invariants.base import Invariant, Violation
from simulator.network import CRASHED, FAILED, Attempt

UNTIL_STORED = -1
"""A pause that could not be stored, and is at risk until a later commit arrives."""


class RetryAfter(Invariant):
    """After an answer that asked for a pause the tenant hears nothing until the pause is over."""

    id = "retry-after"
    why = "A pause holds for every call to the tenant, whichever of them was told, and a restart is no way around it."

    def begin(self) -> None:
        self._seen = 0
        self._until: datetime | None = None
        self._asked = ""
        self._at_risk: int | None = None  # the cycle that brought the answer, while its pause is not stored
        self._process = 0  # the one that was told

    def instant(self) -> Iterable[Violation]:
        attempts = self.world.network.attempts
        for attempt in attempts[self._seen :]:
            if self._at_risk == UNTIL_STORED and self._process_of(attempt) != self._process:
                self._forget()
            if attempt.on.startswith("cloud."):
                yield from self._judge(attempt)
            if attempt.retry_after and attempt.answered and attempt.ended is not None:
                self._until = attempt.ended + timedelta(seconds=attempt.retry_after)
                self._asked = f"the answer to {attempt.on} at {attempt.ended:%H:%M:%S}"
                self._at_risk, self._process = self._cycle_of(attempt), self._process_of(attempt)
            elif self._at_risk is not None:
                self._follow(attempt)
        self._seen = len(attempts)

    def _judge(self, attempt: Attempt) -> Iterable[Violation]:
        if self._until is not None and attempt.started < self._until:
            yield Violation(
                held=f"{self._asked} asked for a pause until {self._until:%H:%M:%S}",
                came=f"{attempt.on} went out at {attempt.started:%H:%M:%S}",
                key=str(attempt.sequence),
            )

    def _follow(self, attempt: Attempt) -> None:
        """What becomes of a pause that is not stored yet, with the next attempts."""
        same_cycle = self._at_risk in (UNTIL_STORED, self._cycle_of(attempt))
        if attempt.on == "store.commit" and attempt.arrived:
            self._at_risk = None
        elif attempt.outcome == CRASHED and same_cycle:
            self._forget()
        elif attempt.on == "store.commit" and attempt.outcome == FAILED and same_cycle:
            self._at_risk = UNTIL_STORED

    def _forget(self) -> None:
        self._until = self._at_risk = None

    def _cycle_of(self, attempt: Attempt) -> int:
        """The cycle that an attempt was made in, counted from 1; before the first one 0."""
        return bisect_left(self.world.cycles, attempt.sequence, key=lambda cycle: cycle.attempts_before)

    def _process_of(self, attempt: Attempt) -> int:
        """The process that made an attempt, counted from the one that ran when the run began."""
        return bisect_left(self.world.begun_after, attempt.sequence)
