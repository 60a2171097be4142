"""In which ways a run fails, told so that two runs can be compared: what broke, not when or with which numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from simulator.scenario.result import Failure, RunResult

_VOLATILE = re.compile(r"\+?[0-9]+(?:d|h|m|ms|s)?(?:[0-9]+(?:h|m|ms|s))*|\d{2}:\d{2}:\d{2}")


@dataclass(frozen=True, order=True)
class Way:
    """One way to fail.

    kind: of the failure, or ``harness``. what: the invariant, the expectation with its user, the action, the exception.
    detail: what was expected and what came, without numbers and times; empty for an invariant.
    """

    kind: str
    what: str
    detail: str = ""

    def __str__(self) -> str:
        return self.what if self.kind == "invariant" else f"{self.kind}: {self.what}"


def way_of(failure: Failure) -> Way:
    """The way that a failure tells of."""
    if failure.kind == "invariant":
        return Way("invariant", failure.rules[0])
    if failure.kind == "agent":
        return Way("agent", failure.got.partition(":")[0])
    if failure.kind == "fault":
        return Way("fault", _steady(failure.expected).removeprefix("an attempt on "))
    return Way(failure.kind, failure.title, f"{_steady(failure.expected)} / {_steady(failure.got)}")


def way_of_fault(fault: str) -> Way:
    """The way that a traceback of the harness tells of: the exception and the function that raised it."""
    lines = fault.strip().splitlines()
    places = re.findall(r'File "[^"]*?([^/"]+)", line \d+, in (\S+)', fault)
    place = ":".join(places[-1]) if places else ""
    return Way("harness", lines[-1].partition(":")[0] if lines else "", place)


def ways_of(result: RunResult) -> list[Way]:
    """All ways in which a run failed, each once, in the order in which they came; golden traces aside."""
    return ways(result.failures, result.harness_fault)


def ways(failures: Iterable[Failure], fault: str | None) -> list[Way]:
    """The ways of a run's failures, each once; a fault of the harness comes first."""
    found = [] if fault is None else [way_of_fault(fault)]
    return list(dict.fromkeys([*found, *(way_of(each) for each in failures if each.kind != "golden")]))


def _steady(text: str) -> str:
    """The text without numbers and times; several passwords of one user are as one."""
    return re.sub(r"(?<!\S)(\S+##)(?: \1)+(?!\S)", r"\1", _VOLATILE.sub("#", text))
