"""What time it is for an agent that is a process of its own, and waiting until it is later.

Either the time of a served world, asked for over HTTPS, or this machine's. The sources of real time are handed in.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Event, Lock
from typing import Final, Protocol

import requests

from pwsync.errors import AgentError

ASK_SECONDS: Final = 20.0
"""How long the world is asked to wait at a time."""
PAUSE_SECONDS: Final = 1.0
"""How long to leave a world alone that does not answer."""


class ClockError(AgentError):
    """The served world's clock can't be read."""


class Timekeeper(Protocol):
    """The agent's clock. Call it for the time now, aware UTC; it never goes back."""

    def __call__(self) -> datetime: ...

    def refresh(self) -> None:
        """Look at the clock, before a cycle."""

    def wait(self, until: datetime) -> bool:
        """Wait until it is that late; False where that took too long, or the keeper was stopped."""

    def stop(self) -> None:
        """Let go whoever waits."""


class RealTime:
    """This machine's time. now: tells it."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._stopped = Event()

    def __call__(self) -> datetime:
        return self._now()

    def refresh(self) -> None:
        """It is always fresh."""

    def wait(self, until: datetime) -> bool:
        """As :meth:`Timekeeper.wait`."""
        left = (until - self._now()).total_seconds()
        if left > 0:
            self._stopped.wait(min(left, ASK_SECONDS))
        return self._now() >= until

    def stop(self) -> None:
        """As :meth:`Timekeeper.stop`."""
        self._stopped.set()


class WorldTime:
    """The time of a served world. url: of its control endpoint. monotonic: seconds of real time from some beginning on.

    sessions: makes an HTTP session; one is for the thread that waits, one for the others. Between two looks the world's
    time is reckoned from its pace; while it can't be reached it goes on so.
    """

    def __init__(self, url: str, sessions: Callable[[], requests.Session], monotonic: Callable[[], float]) -> None:
        self._url = f"{url.rstrip('/')}/time"
        self._waiting, self._asking = sessions(), sessions()
        self._monotonic = monotonic
        self._stopped = Event()
        self._lock = Lock()
        self._last: datetime | None = None
        self._looked = (0.0, datetime.min.replace(tzinfo=UTC), 0.0)

    def __call__(self) -> datetime:
        """Raises ClockError if the world has never been reached."""
        if self._last is None:
            self._look(self._asking, {}, 10.0)
        with self._lock:
            return self._reckon()

    def _reckon(self) -> datetime:
        at, then, pace = self._looked
        now = then + timedelta(seconds=(self._monotonic() - at) * pace)
        if self._last is None or now > self._last:
            self._last = now
        return self._last

    def refresh(self) -> None:
        """Ask the world; if it can't be reached its time is reckoned."""
        try:
            self._look(self._asking, {}, 10.0)
        except ClockError:
            if self._last is None:
                raise

    def wait(self, until: datetime) -> bool:
        """As :meth:`Timekeeper.wait`; the world itself says when it is that late."""
        try:
            self._look(self._waiting, {"until": until.isoformat(), "wait": f"{ASK_SECONDS:g}"}, ASK_SECONDS + 10.0)
        except ClockError:
            self._stopped.wait(PAUSE_SECONDS)
            return False
        return self() >= until

    def stop(self) -> None:
        """As :meth:`Timekeeper.stop`. A question under way is not waited for."""
        self._stopped.set()

    def close(self) -> None:
        """End the connections."""
        self._waiting.close()
        self._asking.close()

    def _look(self, session: requests.Session, question: dict[str, str], seconds: float) -> None:
        try:
            answer = session.get(self._url, params=question, timeout=(10.0, seconds))
            answer.raise_for_status()
            found = answer.json()
            now, pace = datetime.fromisoformat(found["now"]), float(found["pace"])
        except (requests.RequestException, ValueError, KeyError, TypeError) as error:
            raise ClockError(f"The world's clock at {self._url} can't be read: {error}") from error
        with self._lock:
            self._looked = (self._monotonic(), now.astimezone(UTC), pace)
            self._reckon()
