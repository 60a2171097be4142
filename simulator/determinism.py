"""Whether runs are the same again: each case once more, in a fresh interpreter with another seed of its hashes.

What makes a run differ from its repetition is, as a rule, the order of a set, an address in memory, the time of day or
something left over from the case before. A second process with another PYTHONHASHSEED, which runs the cases in the
opposite order, shows all of these.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from itertools import zip_longest
from typing import IO, TYPE_CHECKING, cast

from simulator.scenario.result import Failure, RunResult

if TYPE_CHECKING:
    from simulator.scenario.file import Case
    from simulator.workers import RunFunction

HASH_SEEDS = ("20170113", "7")
"""Seeds of the second process's hashes; the first that this process was not started with."""

FAREWELL_SECONDS = 20.0
"""How long the second process may take to end its workers."""

MOMENT_SECONDS = 0.01
"""How long it takes to get out of a place that can't be left by an exception."""

LINES_BEFORE = 6
"""How many lines that both runs share are shown before the first that differs."""


class SecondRunDied(Exception):
    """The process of the second run ended before its work; the message says how."""


def run_again(
    cases: Sequence[Case], run: RunFunction, *, jobs: int = 1
) -> Generator[tuple[int, RunResult], None, None]:
    """Run the cases from a fresh interpreter, the last one first; yields (index, result with its trace) as they end.

    ``run`` must be picklable. Raises SecondRunDied. Closing the iterator ends the process.
    """
    mine = os.environ.get("PYTHONHASHSEED")
    environment = {**os.environ, "PYTHONHASHSEED": HASH_SEEDS[0] if mine != HASH_SEEDS[0] else HASH_SEEDS[1]}
    command = [sys.executable, "-c", "from simulator.determinism import serve; serve()"]
    from simulator.workers import deaf_to_control_c

    with deaf_to_control_c():  # this process ends it
        started = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603
    with started as process:
        tell, answers = cast("IO[bytes]", process.stdin), cast("IO[bytes]", process.stdout)
        try:
            with suppress(BrokenPipeError):  # that it has died shows at the first answer
                pickle.dump(list(sys.path), tell)
                pickle.dump((run, list(cases), jobs), tell)
                tell.close()
            for _ in cases:
                yield pickle.load(answers)  # noqa: S301 - from a process of our own
            with suppress(subprocess.TimeoutExpired):  # it has done its work and is on its way out
                process.wait(FAREWELL_SECONDS)
        except (EOFError, pickle.UnpicklingError):
            raise SecondRunDied(f"the process of the second run died (exit code {process.wait()})") from None
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the second process, which ends its workers; one that does not hear of it is killed."""
    process.terminate()  # which does nothing to one that has ended
    try:
        process.wait(FAREWELL_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def serve() -> None:
    """The second process: cases from standard input, results to standard output."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave)
    sys.unraisablehook = _leave_after_all
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what an agent under test prints is no answer
    sys.path[:] = pickle.load(sys.stdin.buffer)  # noqa: S301 - from a process of our own, as the next one
    run, cases, jobs = pickle.load(sys.stdin.buffer)  # noqa: S301
    from simulator.workers import run_cases

    last = len(cases) - 1
    with suppress(BrokenPipeError), closing(run_cases(cases[::-1], run, jobs=jobs)) as stream:
        for index, result in stream:
            pickle.dump((last - index, result), answers)
            answers.flush()


class _ToldToEnd(SystemExit):
    """The process was told to end; on the way out its workers are ended."""


def _leave(*_: object) -> None:
    raise _ToldToEnd(0)


def _leave_after_all(swallowed: sys.UnraisableHookArgs) -> None:
    """Where Python could only ignore that the process was told to end (in a finalizer), it is told a moment later."""
    if issubclass(swallowed.exc_type, _ToldToEnd):
        signal.signal(signal.SIGALRM, _leave)
        signal.setitimer(signal.ITIMER_REAL, MOMENT_SECONDS)
    else:
        sys.__unraisablehook__(swallowed)


def compared(first: RunResult, second: RunResult) -> RunResult:
    """The first run's result; where the second one's trace is another it is not deterministic, and says from where."""
    if first.trace == second.trace and first.outcome == second.outcome:
        return first
    number, mine, other = parting(first.trace, second.trace)
    if mine is None and other is None:
        failure = Failure(
            "determinism",
            "a second run in another process ends in another way",
            "",
            expected=first.outcome,
            got=second.outcome + (f"\n{second.harness_fault}" if second.harness_fault else ""),
            rules=first.rules,
        )
    else:
        failure = Failure(
            "determinism",
            f"a second run in another process parts from the first at line {number} of the trace",
            (mine or other or "").partition(" ")[0],
            expected=mine if mine is not None else "the end of the trace",
            got=other if other is not None else "the end of the trace",
            because=tuple(first.trace[max(0, number - 1 - LINES_BEFORE) : number - 1]),
            rules=first.rules,
        )
    return replace(
        first,
        outcome="not-deterministic",
        failures=(*first.failures, failure),
        repeat=f"{first.repeat} --check-determinism",
    )


def parting(first: Sequence[str], second: Sequence[str]) -> tuple[int, str | None, str | None]:
    """The first line (its number from 1) in which two traces differ, in each of them; None past a trace's end.

    Of equal traces the number is that after the last line, and both are None.
    """
    number = 0
    for number, (mine, other) in enumerate(zip_longest(first, second), start=1):
        if mine != other:
            return number, mine, other
    return number + 1, None, None
