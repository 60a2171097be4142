"""The time of a served world: it stands still and is moved, or runs at some pace; and the lock that goes with it.

Whoever takes the lock finds the world where the clock says it is: everything that was due by then has happened.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from threading import Condition, RLock, Thread
from types import TracebackType

PACE_MAX = 100_000.0
TICK_SECONDS = 0.05
"""How often a world whose time runs is looked after while nobody asks it anything."""


class WorldTime:
    """Moves a world's clock. ``run_until`` lets everything happen that is due by then; ``now`` tells the world's time.

    pace: seconds of the world for each real one; 0: time stands still and goes only where :meth:`advance` moves it.
    Use it as the lock around the world: ``with`` it, the world has caught up.
    """

    def __init__(self, now: Callable[[], datetime], run_until: Callable[[datetime], None], pace: float) -> None:
        self._now = now
        self._run_until = run_until
        self._lock = RLock()
        self._depth = 0
        self._moved = Condition()
        self._pace = 0.0
        self._anchor = (0.0, now())
        self._ticker: Thread | None = None
        self._stopping = False
        self.set_pace(pace)

    # --- the lock

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """As of a lock; the world has caught up then."""
        if not self._lock.acquire(blocking, timeout):
            return False
        self._depth += 1
        if self._depth == 1:
            try:
                self._catch_up()
            except BaseException:
                self.release()
                raise
        return True

    def release(self) -> None:
        """As of a lock."""
        self._depth -= 1
        self._lock.release()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.release()

    # --- time

    @property
    def pace(self) -> float:
        """Seconds of the world for each real one."""
        return self._pace

    def set_pace(self, pace: float) -> None:
        """Let time run at another pace from now on. Raises ValueError for what is no pace."""
        if not 0 <= pace <= PACE_MAX:
            raise ValueError(f"a pace is a number from 0 to {PACE_MAX:g}")
        with self:
            self._anchor = (time.monotonic(), self._now())
            self._pace = pace
        self.tell()

    def advance(self, by: timedelta) -> None:
        """Move the clock forward; what is due on the way happens in its order. Raises ValueError beyond year 9999."""
        if by < timedelta(0):
            raise ValueError("time goes forward only")
        with self:
            try:
                until = self._now() + by
            except OverflowError:
                raise ValueError("time ends with the year 9999") from None
            self._run_until(until)
            self._anchor = (time.monotonic(), self._now())
        self.tell()

    def wait(self, until: datetime, seconds: float) -> None:
        """Wait until the world's time is ``until``, or for so many real seconds. Not to be called with the lock."""
        deadline = time.monotonic() + seconds
        with self._moved:
            while self._now() < until and not self._stopping:
                left = deadline - time.monotonic()
                if left <= 0:
                    return
                self._moved.wait(left)

    def rest(self, seconds: float) -> bool:
        """Wait until the clock was moved, or for so many real seconds; False if the world ends."""
        with self._moved:
            if not self._stopping:
                self._moved.wait(seconds)
            return not self._stopping

    def set_back(self) -> None:
        """The world has gone back to an earlier time: go on from there at the same pace. Call it with the lock."""
        self._anchor = (time.monotonic(), self._now())
        self.tell()

    def _catch_up(self) -> None:
        if not self._pace:
            return
        real, world = self._anchor
        until = world + timedelta(seconds=(time.monotonic() - real) * self._pace)
        if until > self._now():
            self._run_until(until)

    # --- looking after it

    def start(self) -> None:
        """Begin to look after the world while nobody asks it anything."""
        self._ticker = Thread(target=self._tick, name="world-time", daemon=True)
        self._ticker.start()

    def stop(self) -> None:
        """Let everybody go who waits."""
        self._stopping = True
        self.tell()
        if self._ticker is not None:
            self._ticker.join()
            self._ticker = None

    def _tick(self) -> None:
        while not self._stopping:
            if self._pace:
                with self:
                    pass
                self.tell()
                time.sleep(TICK_SECONDS)
            else:
                with self._moved:
                    if not self._pace and not self._stopping:
                        self._moved.wait(1.0)

    def tell(self) -> None:
        """Something has changed: whoever waits looks again."""
        with self._moved:
            self._moved.notify_all()
