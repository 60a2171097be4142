"""Running cases one by one and side by side: order, faults, deaths, and being stopped."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from functools import partial
from itertools import count, islice
from pathlib import Path

import pytest
from cli.cases import run_by_title, write

from simulator.scenario.file import Case
from simulator.scenario.result import RunResult
from simulator.scenario.runner import RunOptions
from simulator.suite import collect, suite_digest
from simulator.workers import FaultBoundary, cores, faulted, one_by_one, run_cases, run_stretches

RUN = partial(run_by_title, options=RunOptions(seed=7))


def cases(folder: Path, *titles: str) -> tuple[Case, ...]:
    """A case per title."""
    for number, title in enumerate(titles):
        write(folder, f"scenarios/{number:03}.yaml", title=title)
    return collect([str(folder)]).cases


def results(chosen: tuple[Case, ...], jobs: int) -> list[RunResult]:
    return [result for _, result in sorted(run_cases(chosen, RUN, jobs=jobs), key=lambda pair: pair[0])]


def test_side_by_side_gives_the_same(tmp_path: Path) -> None:
    """Results and digests do not depend on the number of workers."""
    chosen = cases(tmp_path, "waits", "holds", "breaks", "holds", "waits", "holds")
    alone = results(chosen, 1)
    assert [result.outcome for result in alone] == ["held", "held", "broke", "held", "held", "held"]
    assert results(chosen, 2) == alone
    assert suite_digest(results(chosen, 3)) == suite_digest(alone)


@pytest.mark.parametrize("jobs", [1, 2])
def test_exception_is_a_fault_of_its_case(tmp_path: Path, jobs: int) -> None:
    """An exception in a run becomes a result with its traceback; the other cases run."""
    found = results(cases(tmp_path, "holds", "raises", "holds"), jobs)
    assert [result.outcome for result in found] == ["held", "harness-fault", "held"]
    assert "KeyError: 'alice'" in (found[1].harness_fault or "")
    assert found[1].repeat.endswith("001.yaml --profile 2017 --seed 7")


def test_death_is_a_fault_of_its_case(tmp_path: Path) -> None:
    """A worker that is killed fails the case that it ran, and nothing waits for it."""
    found = results(cases(tmp_path, "holds", "dies", "holds", "dies", "holds", "dies"), 2)
    assert [result.outcome for result in found] == ["held", "harness-fault"] * 3
    assert "died (exit code -9)" in (found[1].harness_fault or "")


def test_death_in_a_stretch(tmp_path: Path) -> None:
    """A worker that dies in the midst of a stretch fails one case; what it had still to run is run by another."""
    chosen = cases(tmp_path, "holds", "dies", "holds", "dies", "breaks", "holds", "raises", "holds")
    stream = run_stretches(
        chosen, partial(one_by_one, run=RUN), iter([range(5), range(5, 8)]), jobs=2, keep_trace=False,
        died=lambda case, why: faulted(case, RUN, why),
    )  # fmt: skip
    found = dict(stream)
    outcomes = [found[index].outcome for index in range(8)]
    assert outcomes == ["held", "harness-fault"] * 2 + ["broke", "held", "harness-fault", "held"]
    assert multiprocessing.active_children() == []


def test_stretches_are_taken_as_they_are_needed(tmp_path: Path) -> None:
    """Of stretches without end no more are taken than workers need; each runs in one process, in its order."""
    chosen = cases(tmp_path, *["holds"] * 6)
    taken = []

    def stretches() -> Iterator[range]:
        for first in count(0, 2):
            taken.append(first)
            yield range(first % 6, first % 6 + 2)

    run = partial(one_by_one, run=RUN)
    for jobs in (1, 2):
        taken.clear()
        stream = run_stretches(chosen, run, stretches(), jobs=jobs, keep_trace=False, died=pytest.fail)
        some = [index for index, _ in islice(stream, 8)]
        stream.close()
        assert len(taken) <= 4 + jobs
        assert all(some.index(index) < some.index(index + 1) for index in (0, 2))


@pytest.mark.usefixtures("tmp_path")
def test_no_cases() -> None:
    """Nothing to run is no reason to start a worker."""
    assert results((), 4) == []


def test_stopping_ends_the_workers(tmp_path: Path) -> None:
    """Closing the iterator ends workers in the middle of a run; none stays behind."""
    stream = run_cases(cases(tmp_path, "holds", "waits for ever", "waits for ever"), RUN, jobs=2)
    assert next(stream)[1].outcome == "held"
    stream.close()
    assert multiprocessing.active_children() == []


def test_interrupt_passes_through(tmp_path: Path) -> None:
    """Ctrl-C is no fault of the harness: it reaches the caller."""
    with pytest.raises(KeyboardInterrupt):
        list(run_cases(cases(tmp_path, "stopped"), RUN))


def test_traces_may_be_left_out(tmp_path: Path) -> None:
    """Without traces results are small; the digest stays."""
    chosen = cases(tmp_path, "holds")
    ((_, whole),) = run_cases(chosen, RUN)
    ((_, bare),) = run_cases(chosen, RUN, keep_trace=False)
    assert (whole.trace, bare.trace, bare.digest) == (("+0s 000",), (), whole.digest)


def test_boundary_keeps_the_traceback() -> None:
    """The boundary stops exceptions, and lets exits and Ctrl-C pass."""
    with FaultBoundary() as boundary:
        raise ValueError("inside")
    assert "ValueError: inside" in (boundary.fault or "")
    with pytest.raises(SystemExit), FaultBoundary():
        raise SystemExit(2)


def test_cores() -> None:
    """There is at least one processor to run on."""
    assert cores() >= 1
