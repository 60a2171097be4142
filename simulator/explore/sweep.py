"""Sweeps: each attempt of each case fails in turn, in each way that fits its wire, and the end must be the same.

First every case runs without a fault (:func:`simulator.explore.rerun.control_of`); what it attempts makes the plan.
Then come the reruns, side by side. A rerun that holds leaves nothing but its count.
"""

from __future__ import annotations

import re
import signal
import sys
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice, pairwise
from random import Random
from typing import TYPE_CHECKING, TypeVar

from simulator.explore.kinds import kind_of, kinds_of
from simulator.explore.rerun import Control, Point, Rerun, control_of
from simulator.explore.rewinding import reruns
from simulator.workers import FaultBoundary, prepare

if TYPE_CHECKING:
    from simulator.scenario.file import Case

CHUNK = 24
"""So many reruns of one case are handed to a worker at once, at most."""

CHUNK_ATTEMPTS = 10_000
"""Reruns of a long case are handed over fewer at a time: so many attempts together, at most."""

A = TypeVar("A")
B = TypeVar("B")

_held = ExitStack()


@dataclass(frozen=True)
class Only:
    """Which reruns to make: ``ON[@OFFSET[#N]][:KIND]``, as findings are named; parts left out stand for all."""

    on: str = ""
    point: str = ""
    word: str = ""

    def takes(self, point: Point, word: str) -> bool:
        """Whether a rerun is one of these."""
        if self.on and point.on != self.on:
            return False
        if self.point and point.name != self.point:
            return False
        return not self.word or self.word in (word, kind_of(word))


_ONLY = re.compile(r"(?P<point>(?P<on>[a-z.-]+)(?P<at>@\+[0-9a-z]+(?:#[0-9]+)?)?)?(?::(?P<word>[^:]+))?")


def read_only(text: str) -> Only:
    """Read :class:`Only`. Raises ValueError for anything else."""
    match = _ONLY.fullmatch(text)
    if match is None or not text:
        raise ValueError(f'"{text}" names no attempt')
    return Only(match["on"] or "", match["point"] if match["at"] else "", match["word"] or "")


@dataclass(frozen=True)
class SweepOptions:
    """How to sweep.

    seed: instead of each scenario's own. engine: ``module:factory`` of another agent. every: each attempt, not one of
    those that are alike. only: no more than these. sample: so many reruns, evenly spread over all that there are.
    sample_seed: which of them.
    """

    seed: int | None = None
    engine: str | None = None
    every: bool = False
    only: Only = Only()
    sample: int | None = None
    sample_seed: int = 1


@dataclass(frozen=True)
class Chunk:
    """Reruns of one case, for one worker. case: its index."""

    case: int
    items: tuple[tuple[Point, str], ...]


@dataclass
class Sweep:
    """What a sweep has found so far.

    attempts: on the wires, of all controls. points: those of them that a fault has been put on so far, by a rerun that
    has ended. planned: reruns to make.
    reruns, findings: counts by wire and kind. bad: reruns that did not hold, by index of their case.
    broken: controls that did not hold; faults: cases whose control the harness could not run.
    """

    cases: Sequence[Case]
    controls: dict[int, Control] = field(default_factory=dict)
    attempts: Counter[str] = field(default_factory=Counter)
    points: Counter[str] = field(default_factory=Counter)
    planned: int = 0
    reruns: Counter[tuple[str, str]] = field(default_factory=Counter)
    findings: Counter[tuple[str, str]] = field(default_factory=Counter)
    bad: list[tuple[int, Rerun]] = field(default_factory=list)
    broken: dict[int, Control] = field(default_factory=dict)
    faults: dict[int, str] = field(default_factory=dict)

    @property
    def done(self) -> int:
        """Reruns made."""
        return self.reruns.total()


@dataclass(frozen=True)
class ChunkResult:
    """What became of a chunk: how many reruns of each wire and kind there were, and those that did not hold."""

    reruns: Counter[tuple[str, str]]
    bad: tuple[Rerun, ...]


def sweep(cases: Sequence[Case], options: SweepOptions, *, jobs: int = 1) -> Generator[Sweep, None, None]:
    """Sweep all cases; yields the same growing :class:`Sweep` after the controls and after each chunk.

    Closing the iterator ends the workers. Raises concurrent.futures.process.BrokenProcessPool if one of them dies.
    """
    found = Sweep(cases)
    with _Workers(jobs) as workers:
        tasks = [(case, options) for case in cases]
        for index, (control, fault) in workers.run(_control, tasks):
            if control is None:
                found.faults[index] = fault
            elif control.failures:
                found.broken[index] = control
            else:
                found.controls[index] = control
            yield found
        found.controls = dict(sorted(found.controls.items()))
        chunks = list(plan(found, options))
        failed: set[tuple[int, Point]] = set()
        yield found
        for index, result in workers.run(
            _chunk, [(cases[chunk.case], found.controls[chunk.case], chunk, options) for chunk in chunks]
        ):
            found.reruns += result.reruns
            new = {(chunks[index].case, point) for point, _ in chunks[index].items} - failed
            found.points.update(point.on for _, point in new)
            failed |= new
            for bad in result.bad:
                found.findings[bad.point.on, kind_of(bad.word)] += 1
                found.bad.append((chunks[index].case, bad))
            yield found


def plan(found: Sweep, options: SweepOptions) -> Iterator[Chunk]:
    """All reruns that there are to make, case by case; or an even sample of them."""
    everything: list[tuple[int, Point, str]] = []
    for index, control in found.controls.items():
        for point in control.points:
            words = [word for word in kinds_of(point.on, point.users, point.by_hand) if options.only.takes(point, word)]
            found.attempts[point.on] += point.alike
            everything += [(index, point, word) for word in words]
    if options.sample is not None:
        everything = spread(everything, options.sample, options.sample_seed)
    found.planned = len(everything)
    of_case: dict[int, list[tuple[Point, str]]] = {}
    for index, point, word in everything:
        of_case.setdefault(index, []).append((point, word))
    for index, items in of_case.items():
        rest = iter(items)
        size = max(1, min(CHUNK, CHUNK_ATTEMPTS // max(1, found.controls[index].attempts)))
        while chunk := tuple(islice(rest, size)):
            yield Chunk(index, chunk)


def spread(items: Sequence[A], count: int, seed: int) -> list[A]:
    """So many of the items, one from each of as many stretches of equal length, drawn by the seed; in their order."""
    if count >= len(items):
        return list(items)
    random = Random(seed)  # noqa: S311 - a sample must repeat
    bounds = [index * len(items) // count for index in range(count + 1)]
    return [items[random.randrange(first, after)] for first, after in pairwise(bounds)]


def _control(task: tuple[Case, SweepOptions]) -> tuple[Control | None, str]:
    case, options = task
    with FaultBoundary() as boundary:
        return control_of(case, options.seed, options.engine, every=options.every), ""
    return None, boundary.fault or ""


def _chunk(task: tuple[Case, Control, Chunk, SweepOptions]) -> ChunkResult:
    case, control, chunk, options = task
    counts: Counter[tuple[str, str]] = Counter()
    bad = []
    for result in reruns(case, control, chunk.items, options.seed, options.engine):
        counts[result.point.on, kind_of(result.word)] += 1
        if not result.held:
            bad.append(result)
    return ChunkResult(counts, tuple(bad))


class _Workers:
    """Runs tasks in this process (one job), or in as many others as there are jobs."""

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> _Workers:
        if self._jobs > 1:
            context = prepare(["simulator.explore.sweep"])
            self._pool = ProcessPoolExecutor(self._jobs, context, _begin, (list(sys.path),))
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._pool is None:
            return
        processes = list((self._pool._processes or {}).values())
        self._pool.shutdown(wait=kind is None, cancel_futures=True)
        if kind is not None:
            for process in processes:
                process.terminate()

    def run(self, call: Callable[[A], B], tasks: Sequence[A]) -> Iterator[tuple[int, B]]:
        """Yields (index, result) as they come."""
        if self._pool is None:
            from simulator.frozen import held

            with held():
                for index, task in enumerate(tasks):
                    yield index, call(task)
            return
        rest = iter(enumerate(tasks))
        running: dict[Future[B], int] = {}
        self._feed(call, rest, running)
        while running:
            ended, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in ended:
                yield running.pop(future), future.result()
            self._feed(call, rest, running)

    def _feed(self, call: Callable[[A], B], rest: Iterable[tuple[int, A]], running: dict[Future[B], int]) -> None:
        """Keep few tasks queued: whoever stops the sweep does not want to wait for the others."""
        if self._pool is None:
            return
        for index, task in islice(rest, max(0, 2 * self._jobs - len(running))):
            running[self._pool.submit(call, task)] = index


def _begin(path: list[str]) -> None:
    """A worker begins: Ctrl-C is the parent's to handle, and time stands still from now on."""
    from simulator.frozen import held

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.path[:] = path
    _held.enter_context(held())
