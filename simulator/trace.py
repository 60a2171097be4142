"""The trace: what happened in a run, one line each, the same byte for byte whenever the run is repeated.

A line holds no secret: passwords stand in it as ``alice#2``, ciphertext and tokens not at all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from simulator.scenario.values import format_offset


def digest(lines: Iterable[str]) -> str:
    """SHA-256 (hex) of lines, each with a line feed, as UTF-8."""
    sha = hashlib.sha256()
    for line in lines:
        sha.update(line.encode("utf-8", "backslashreplace"))
        sha.update(b"\n")
    return sha.hexdigest()


BECAUSE_LINES = 12
"""Most trace lines of a user, or of all, that a failure shows."""

SERVICE_LINES = 6
"""Most lines of the service that stand between a user's."""


def because(lines: Sequence[str], about: str = "") -> tuple[str, ...]:
    """The last lines that led to a failure: those that name the user, if any does.

    Where the service died, stopped or was started between two of them, that is shown as well.
    """
    named = [index for index, line in enumerate(lines) if about in _words(line)][-BECAUSE_LINES:] if about else []
    if not named:
        return tuple(lines[-BECAUSE_LINES:])
    between = [index for index in range(named[0], named[-1]) if _is_service(lines[index])][-SERVICE_LINES:]
    return tuple(lines[index] for index in sorted({*named, *between}))


def _words(line: str) -> list[str]:
    return line.replace("[", " ").replace("]", " ").replace("#", " ").split()


def _is_service(line: str) -> bool:
    """Whether a line tells that the agent's service died, was started, or was stopped."""
    words = line.split(maxsplit=3)
    return words[1:2] == ["agent"] or words[1:3] == ["people", "agent.stop"]


class Trace:
    """Lines in the order in which things happened; silent until :meth:`begin`, so that what came before is left out."""

    def __init__(self, clock: Callable[[], datetime], start: datetime) -> None:
        self._clock = clock
        self._start = start
        self._open = False
        self.lines: list[str] = []

    def begin(self) -> None:
        """Record from now on."""
        self._open = True

    def offset(self) -> timedelta:
        """Time since the run's start."""
        return self._clock() - self._start

    def say(self, who: str, what: str) -> None:
        """Add a line: when, who (people, agent, wire, tenant, event, world), what."""
        if self._open:
            text = " ".join(what.split())
            self.lines.append(f"{format_offset(self.offset()):<10} {who:<7} {text}")
