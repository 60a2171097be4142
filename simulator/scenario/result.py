"""What a run leaves behind: values that every report is made from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import IntEnum

from pwsync.windows_log import Record

NO_DIGEST = hashlib.sha256(b"").hexdigest()
"""The digest of a result without a trace of its own: it is that of no lines at all, and tells nothing."""


class ExitCode(IntEnum):
    """Exit codes of every command."""

    HELD = 0
    BROKE = 1
    BAD_INPUT = 2
    HARNESS_FAULT = 3
    NOT_DETERMINISTIC = 4


@dataclass(frozen=True)
class Position:
    """A place in a scenario file. ``line`` and ``column`` count from 1; ``length`` is that of the marked text."""

    path: str
    line: int
    column: int
    length: int = 1


@dataclass(frozen=True)
class Failure:
    """One thing that did not hold.

    kind: ``expectation``, ``action`` (refused, and not expected to be), ``invariant``, ``fault`` (never fired),
        ``golden``, ``agent`` (an agent under test raised an exception, or always has something due), or ``determinism``
        (a second run differed).
    title: one line, what did not hold; names the expectation, invariant or action.
    at: the offset as in the file, such as ``+2m``.
    expected, got: short texts; ``got`` names what was seen instead.
    because: the trace lines that led there, oldest first.
    rules: the rules that the scenario names (or the invariant's id).
    why: the reason why ``expected`` and ``got`` can't both be, where that is the same each time: an invariant's.
    """

    kind: str
    title: str
    at: str
    position: Position | None = None
    expected: str = ""
    got: str = ""
    because: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    why: str = ""


@dataclass(frozen=True)
class RunResult:
    """The result of one case (a scenario file, one row of its examples, one profile).

    id: the scenario's id, with ``::row`` and ``[profile]`` where there are several.
    outcome: ``held``, ``broke``, ``harness-fault``, or ``not-deterministic``: a second run was asked for and differed.
    trace: every line of the run's trace; ``digest`` is the SHA-256 (hex) of them all, each with a line feed.
    seconds: wall time, never part of trace or digest.
    harness_fault: the traceback where the harness itself failed.
    repeat: the command that repeats this run.
    records: what the agent wrote to the Application log of its server, if it was asked for.
    """

    id: str
    path: str
    title: str
    profile: str
    seed: int
    tags: tuple[str, ...]
    rules: tuple[str, ...]
    outcome: str
    failures: tuple[Failure, ...]
    trace: tuple[str, ...]
    digest: str
    seconds: float
    repeat: str
    row: str | None = None
    harness_fault: str | None = None
    faults_fired: tuple[str, ...] = ()
    records: tuple[Record, ...] = ()
