"""Runs cases one by one in this process, or side by side in others.

Side by side, each worker is a fresh process (never a fork of this one, which may have threads) that reads stretches of
cases from a pipe. The server that starts them has imported the simulator once, so that a new worker is ready at once.
A worker that dies fails the one case that it was running, as a fault of the harness, and another takes its place.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from itertools import islice
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import TYPE_CHECKING, Any

from simulator.scenario.result import NO_DIGEST, RunResult

if TYPE_CHECKING:
    from simulator.scenario.file import Case

RunFunction = Callable[["Case"], RunResult]
StretchFunction = Callable[[Sequence["Case"]], Iterator[RunResult]]
"""Runs cases that follow each other, and gives the result of each in turn; what goes wrong in one is its result."""

FAREWELL_SECONDS = 2.0
"""How long a worker that was told to end may take before it is killed."""


class FaultBoundary:
    """Keeps what goes wrong inside it, as a traceback in ``fault``. Ctrl-C and exits pass through."""

    def __init__(self) -> None:
        self.fault: str | None = None

    def __enter__(self) -> FaultBoundary:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        self.fault = "".join(traceback.format_exception(kind, error, where))
        return True


def cores() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def faulted(case: Case, run: RunFunction, fault: str) -> RunResult:
    """The result of a case in whose run the harness itself failed; ``fault`` is a traceback or a reason."""
    from simulator.scenario.runner import RunOptions, repeat_command

    options = run.keywords.get("options", RunOptions()) if isinstance(run, partial) else RunOptions()
    seed = case.scenario.seed if options.seed is None else options.seed
    return RunResult(
        id=case.id,
        path=str(case.path),
        title=case.scenario.scenario,
        profile=case.profile,
        seed=seed,
        tags=tuple(case.tags),
        rules=tuple(case.scenario.rules),
        outcome="harness-fault",
        failures=(),
        trace=(),
        digest=NO_DIGEST,
        seconds=0.0,
        repeat=repeat_command(case, options, seed),
        row=case.row,
        harness_fault=fault,
    )


def guarded(run: RunFunction, case: Case) -> RunResult:
    """Run one case; whatever goes wrong in it becomes a result."""
    with FaultBoundary() as boundary:
        return run(case)
    return faulted(case, run, boundary.fault or "")


def one_by_one(cases: Sequence[Case], run: RunFunction) -> Iterator[RunResult]:
    """Run cases that have nothing in common."""
    for case in cases:
        yield guarded(run, case)


def run_cases(
    cases: Sequence[Case],
    run: RunFunction,
    *,
    jobs: int = 1,
    keep_trace: bool = True,
    faulted: Callable[[Case, RunFunction, str], RunResult] = faulted,
) -> Generator[tuple[int, RunResult], None, None]:
    """Run all cases and yield (index, result) as they end; with one job that is in order.

    ``run`` must be picklable if ``jobs`` is more than 1. Without ``keep_trace`` results come without their trace (their
    digest stays), which spares memory. Closing the iterator ends the workers. ``faulted`` makes the result of a case
    whose worker died.
    """
    stretches = (range(index, index + 1) for index in range(len(cases)))
    runs = partial(one_by_one, run=run)
    return run_stretches(
        cases, runs, stretches, jobs=jobs, keep_trace=keep_trace, died=lambda case, why: faulted(case, run, why)
    )


def run_stretches(
    cases: Sequence[Case],
    run: StretchFunction,
    stretches: Iterable[range],
    *,
    jobs: int,
    keep_trace: bool,
    died: Callable[[Case, str], RunResult],
) -> Generator[tuple[int, RunResult], None, None]:
    """As :func:`run_cases`, for cases that are cheaper one after the other in one process.

    stretches: ranges of indices, each of which goes to one worker. There may be more than anybody could list: they are
    taken as they are needed. died: makes the result of a case in which its worker died.
    """
    jobs = min(jobs, len(cases))
    if jobs <= 1:
        from simulator.frozen import held

        with held():
            for stretch in stretches:
                for index, result in zip(stretch, run([cases[each] for each in stretch]), strict=True):
                    yield index, _trimmed(result, keep_trace)
        return
    pool = _Pool(run, keep_trace, jobs, died)
    try:
        yield from pool.run(cases, iter(stretches))
    finally:
        pool.end()


def _trimmed(result: RunResult, keep_trace: bool) -> RunResult:
    return result if keep_trace else replace(result, trace=())


def _serve(connection: Connection, run: StretchFunction, keep_trace: bool, path: list[str]) -> None:
    """A worker's life: take cases, send the result of each, until the pipe closes. Ctrl-C is the parent's to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.path[:] = path
    from simulator.frozen import held

    with suppress(EOFError, BrokenPipeError, ConnectionResetError), held():
        while True:
            for result in run(connection.recv()):
                connection.send(_trimmed(result, keep_trace))


class _Worker:
    """One process, its pipe, and the indices of the cases that it has to run, the one that it is running first."""

    def __init__(self, start: Callable[[Connection], Any]) -> None:
        self.connection, theirs = multiprocessing.Pipe()
        self.process = start(theirs)
        theirs.close()
        self.indices: deque[int] = deque()

    def give(self, indices: Iterable[int], cases: Sequence[Case]) -> None:
        self.indices.extend(indices)
        with suppress(BrokenPipeError, ConnectionResetError):  # a worker that has died shows when its answer is due
            self.connection.send([cases[index] for index in self.indices])

    def take(self) -> tuple[int, RunResult | str]:
        """The index of a case and its result; or, of a worker that has died, how it ended."""
        index = self.indices.popleft()
        try:
            result: RunResult = self.connection.recv()
        except (EOFError, ConnectionResetError):
            self.process.join(FAREWELL_SECONDS)
            return index, f"the process that ran this scenario died (exit code {self.process.exitcode})"
        return index, result

    def end(self) -> None:
        self.connection.close()
        self.process.terminate()
        self.process.join(FAREWELL_SECONDS)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


def prepare(modules: Sequence[str] = ("simulator.scenario.runner",)) -> Any:
    """Begin to start what workers come from, while this process goes on; returns their multiprocessing context.

    ``modules`` are imported once, for all workers. Where there is no fork server each worker imports them itself.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    from multiprocessing import forkserver

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*modules, "simulator.workers"])
    with deaf_to_control_c():
        forkserver.ensure_running()
    return context


@contextmanager
def deaf_to_control_c() -> Iterator[None]:
    """What is started in this block never hears of Ctrl-C: the server would print a traceback while it imports."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class _Pool:
    """As many workers as there are jobs."""

    def __init__(
        self, run: StretchFunction, keep_trace: bool, jobs: int, died: Callable[[Case, str], RunResult]
    ) -> None:
        self._died = died
        self._context = prepare([_module_of(run)])
        self._arguments = (run, keep_trace, list(sys.path))
        self._jobs = jobs
        self._workers: list[_Worker] = []
        self._again: list[deque[int]] = []

    def _start(self, connection: Connection) -> Any:
        process = self._context.Process(target=_serve, args=(connection, *self._arguments), daemon=True)
        process.start()
        return process

    def run(self, cases: Sequence[Case], stretches: Iterator[range]) -> Iterator[tuple[int, RunResult]]:
        for stretch in islice(stretches, self._jobs):
            self._hire().give(stretch, cases)
        while busy := {worker.connection: worker for worker in self._workers if worker.indices}:
            for connection in wait(list(busy)):
                worker = busy[connection]  # type: ignore[index]
                index, result = worker.take()
                if isinstance(result, str):
                    self._bury(worker)
                    result = self._died(cases[index], result)
                if not worker.indices and (more := self._more(stretches)):
                    # Before the result is handed on: nobody waits for what is done with it.
                    (worker if worker in self._workers else self._hire()).give(more, cases)
                yield index, result

    def _more(self, stretches: Iterator[range]) -> Sequence[int]:
        """What a worker that died has left behind, or the next stretch; nothing when all is given."""
        return self._again.pop() if self._again else next(stretches, ())

    def _hire(self) -> _Worker:
        worker = _Worker(self._start)
        self._workers.append(worker)
        return worker

    def _bury(self, worker: _Worker) -> None:
        worker.end()
        self._workers.remove(worker)
        if worker.indices:
            self._again.append(deque(worker.indices))
            worker.indices.clear()

    def end(self) -> None:
        for worker in self._workers:
            worker.end()
        self._workers.clear()


def _module_of(run: Callable[..., object]) -> str:
    while isinstance(run, partial):
        run = run.keywords.get("run", run.func)
    return run.__module__
