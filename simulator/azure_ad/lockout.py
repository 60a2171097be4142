"""Smart lockout: too many different wrong passwords lock a sign-in for a while.

Source: the product's documentation of smart lockout. One counter per user: that familiar and unfamiliar places have
counters of their own, and that data centres differ slightly, is left out. The rate at which locks grow is secret;
doubling, at most 1024 times the first lock, is unconfirmed.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256

from simulator.azure_ad.policy import CloudPolicy

REMEMBERED = 3
"""Wrong passwords that may be repeated without being counted again."""

_DOUBLINGS_MAX = 10
_FIRST_LOCK_MAX = timedelta(days=366)


@dataclass(slots=True)
class _Counter:
    failures: int = 0
    locks: int = 0
    locked_until: datetime | None = None
    recent: deque[bytes] = field(default_factory=lambda: deque(maxlen=REMEMBERED))


class SmartLockout:
    """The counters of all users with a failure since their last success."""

    def __init__(self) -> None:
        self._counters: dict[str, _Counter] = {}

    def locked(self, user_id: str, now: datetime) -> bool:
        """Whether this user's sign-in is locked now."""
        counter = self._counters.get(user_id)
        return counter is not None and counter.locked_until is not None and now < counter.locked_until

    def failed(self, user_id: str, nt: bytes, policy: CloudPolicy, now: datetime) -> None:
        """Count a wrong password, given by its NT hash; one of the last three again does not count."""
        if policy.lockout_threshold <= 0:
            return
        counter = self._counters.setdefault(user_id, _Counter())
        mark = sha256(user_id.encode() + nt).digest()
        if mark in counter.recent:
            return
        counter.recent.append(mark)
        counter.failures += 1
        # After a lock has ended the first failure locks again.
        if counter.locks or counter.failures >= policy.lockout_threshold:
            counter.locked_until = now + min(policy.lockout_duration, _FIRST_LOCK_MAX) * 2 ** min(
                counter.locks, _DOUBLINGS_MAX
            )
            counter.locks += 1
            counter.failures = 0

    def reset(self, user_id: str) -> None:
        """Forget a user's failures and locks: a success, or an administrator's reset."""
        self._counters.pop(user_id, None)
