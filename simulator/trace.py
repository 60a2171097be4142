"""The trace: what happened in a run, one line each, the same byte for byte whenever the run is repeated.

A line holds no secret: passwords stand in it as ``alice#2``, ciphertext and tokens not at all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from simulator.scenario.values import format_offset


def digest(lines: Iterable[str]) -> str:
    """SHA-256 (hex) of lines, each with a line feed, as UTF-8."""
    sha = hashlib.sha256()
    for line in lines:
        sha.update(line.encode("utf-8", "backslashreplace"))
        sha.update(b"\n")
    return sha.hexdigest()


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
