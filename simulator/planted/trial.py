"""A bug on trial: some scenarios are run with it, until enough of them have noticed.

What runs here runs in worker processes, so all of it is plain values.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from types import FrameType
from typing import TYPE_CHECKING

from simulator.planted import plants
from simulator.planted.plant import watched
from simulator.scenario.result import Failure, RunResult
from simulator.scenario.runner import SUSPECTED_FOR, RunOptions, load_engine, run_case
from simulator.workers import FaultBoundary

if TYPE_CHECKING:
    from simulator.scenario.file import Case

SECONDS_MAX = 60.0
"""Seconds of this process's own work that one run may take: a bug must not keep its judges waiting for ever."""


class OutOfTime(BaseException):
    """A run took too long. Not an Exception: nothing in the run may take it for a failure of its own."""


@dataclass(frozen=True)
class Trial:
    """One bug and the cases to try it on, in order.

    enough: stop once so many scenario files have noticed; 0: never. before: files that have noticed already. engine:
    ``module:factory`` of another agent.
    """

    plant: str
    cases: tuple[Case, ...]
    enough: int = 1
    before: frozenset[str] = frozenset()
    engine: str | None = None


@dataclass(frozen=True)
class Unsound:
    """A case that does not hold without a bug, so that it can't tell of any.

    by, at: what did not hold, and when, as an offset. repeat: the command. fault: was it the harness that failed?
    """

    case: str
    by: str
    at: str = ""
    repeat: str = ""
    fault: bool = False


@dataclass(frozen=True)
class Catch:
    """A case that noticed.

    case: its id; file: the scenario's, without row and profile. rules: those that the scenario names. by: what noticed
    (``cloud.sign-in of alice``, ``invariant converges``, ...); at: when, as an offset. repeat: the command.
    """

    case: str
    file: str
    rules: tuple[str, ...]
    by: str
    at: str
    repeat: str


@dataclass(frozen=True)
class Verdict:
    """What came of a trial. tried: number of cases run; notes: where the harness itself gave up, which is no catch."""

    plant: str
    catches: tuple[Catch, ...] = ()
    tried: int = 0
    notes: tuple[str, ...] = ()
    seconds: float = 0.0

    def and_then(self, later: Verdict) -> Verdict:
        """Both trials of one bug as one."""
        return Verdict(
            self.plant,
            self.catches + later.catches,
            self.tried + later.tried,
            self.notes + later.notes,
            self.seconds + later.seconds,
        )

    @property
    def files(self) -> frozenset[str]:
        """The scenarios that noticed."""
        return frozenset(catch.file for catch in self.catches)


@dataclass(frozen=True)
class Watch:
    """Cases to run as they are, to see whether they hold, and which bugs' decisions they come to.

    quick: only whether they hold, with idle cycles passed by. engine: ``module:factory`` of another agent.
    """

    cases: tuple[Case, ...]
    quick: bool = False
    engine: str | None = None


@dataclass(frozen=True)
class Sighting:
    """What was seen of cases without a bug.

    come: names of bugs by the id of each case that holds, and comes to their decisions. unsound: cases that do not
    hold. lost: cases of which nothing is known, because one of them ended the worker.
    """

    come: dict[str, frozenset[str]] = field(default_factory=dict)
    unsound: tuple[Unsound, ...] = ()
    lost: tuple[Case, ...] = ()


def length(case: Case) -> timedelta:
    """How long the case's timeline is."""
    return max((step.at for step in case.scenario.timeline), default=timedelta(0))


def file_of(case: str) -> str:
    """The scenario file that a case's id belongs to, without its row and profile."""
    return case.partition("::")[0].partition("[")[0]


def run_job(job: Trial | Watch) -> Verdict | Sighting:
    """Run a trial, or watch. Never raises but for Ctrl-C."""
    with FaultBoundary() as boundary:
        if job.engine is not None:
            load_engine(job.engine)  # what it takes from our modules when it is imported must be the true things
        return try_out(job) if isinstance(job, Trial) else watch(job)
    return died(job, run_job, (boundary.fault or "").strip())


def try_out(trial: Trial) -> Verdict:
    """Run the cases until enough have noticed."""
    files, catches, notes = set(trial.before), list[Catch](), list[str]()
    tried, seconds = 0, 0.0
    for case in trial.cases:
        if trial.enough and len(files) >= trial.enough:
            break
        tried += 1
        result = run_bounded(case, RunOptions(planted=trial.plant, engine=trial.engine))
        if result is None:
            notes.append(f"{case.id} was stopped after {SECONDS_MAX:.0f} s of work")
            continue
        seconds += result.seconds
        if result.harness_fault is not None:
            notes.append(f"{case.id} raised {_last_line(result.harness_fault)}")
        elif (catch := caught(result)) is not None:
            catches.append(catch)
            files.add(catch.file)
    return Verdict(trial.plant, tuple(catches), tried, tuple(notes), seconds)


def caught(result: RunResult) -> Catch | None:
    """How a run noticed the bug; None if everything held."""
    if not result.failures:
        return None
    first = max(result.failures, key=_tells)
    by = first.title.removesuffix(" is broken")
    return Catch(result.id, file_of(result.id), result.rules, by, first.at, result.repeat)


def _tells(failure: Failure) -> bool:
    """Failures of what the scenario itself expects tell more than an invariant; of equals the first is taken."""
    return failure.kind == "expectation"


def watch(job: Watch) -> Sighting:
    """Run the cases as they are."""
    come, bad = {}, []
    for case in job.cases:
        with watched([] if job.quick else list(plants().values())) as names:
            every_cycle = not job.quick and length(case) <= SUSPECTED_FOR
            result = run_bounded(case, RunOptions(every_cycle=every_cycle, engine=job.engine))
        if (reason := unsound(case, result)) is None:
            come[case.id] = frozenset(names)
        else:
            bad.append(reason)
    return Sighting(come, tuple(bad))


def unsound(case: Case, result: RunResult | None) -> Unsound | None:
    """Why a case can't tell of bugs, by its run without one; None if it can.

    Golden traces do not count, as they do not with a bug.
    """
    if result is None:
        return Unsound(case.id, f"stopped after {SECONDS_MAX:.0f} s of work")
    if result.harness_fault is not None:
        return Unsound(case.id, f"raised {_last_line(result.harness_fault)}", "", result.repeat, fault=True)
    catch = caught(replace(result, failures=tuple(each for each in result.failures if each.kind != "golden")))
    return None if catch is None else Unsound(case.id, catch.by, catch.at, catch.repeat)


def _last_line(fault: str) -> str:
    return fault.strip().rpartition("\n")[2]


def run_bounded(case: Case, options: RunOptions) -> RunResult | None:
    """Run one case; None if it took too long."""
    try:
        with time_limit(SECONDS_MAX):
            return run_case(case, options)
    except OutOfTime:
        return None


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise OutOfTime in this block once the process has worked for so long; where the system can't, never."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGVTALRM, _out_of_time)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _out_of_time(number: int, frame: FrameType | None) -> None:
    raise OutOfTime


def died(job: Trial | Watch, run: object, reason: str) -> Verdict | Sighting:
    """What a job comes to whose worker died."""
    if isinstance(job, Trial):
        return Verdict(job.plant, notes=(reason,))
    if len(job.cases) > 1:
        return Sighting(lost=job.cases)
    return Sighting(unsound=tuple(Unsound(case.id, _last_line(reason), fault=True) for case in job.cases))


def chunks(cases: Sequence[Case], size: int) -> list[tuple[Case, ...]]:
    """The cases in pieces of at most ``size``."""
    return [tuple(cases[start : start + size]) for start in range(0, len(cases), size)]
