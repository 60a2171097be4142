"""The judge: collects the tests once, then tries every mutant in a forked process of its own.

Scenarios and unit tests are items of one pytest session. A first round runs them as they are and notes which functions
each one calls; a mutant then meets only items that call its function, those first that have told the most of its
neighbours, and the first failure is its end.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pickle
import signal
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from _pytest.runner import runtestprotocol
from mutants import Mutant
from mutmut.mutation.trampoline import set_mutant_under_test
from mutmut.state import state

KILLED, SURVIVED, TIMED_OUT, NOT_REACHED, BROKEN = "killed", "survived", "timeout", "not reached", "broken"
"""What becomes of a mutant. broken: the forked process died of it, which is a way of being noticed."""

SPARE_SECONDS = 20.0
"""A mutant may take this much more work than ten times what its items take without it."""


@dataclass(frozen=True)
class Sight:
    """What the first round saw of one item: the functions that it calls and the seconds that it takes.

    file: a digest of the item's file; an item of the same text need not be watched again.
    """

    file: str
    functions: frozenset[str]
    seconds: float
    held: bool = True


@dataclass
class Reach:
    """Items (by number) that call a function, and how long each takes, in seconds."""

    items: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    seconds: dict[int, float] = field(default_factory=dict)

    def add(self, number: int, sight: Sight) -> None:
        """Take in what was seen of an item."""
        self.seconds[number] = sight.seconds
        for function in sight.functions:
            self.items[function].add(number)


@dataclass(frozen=True)
class Verdict:
    """What became of one mutant; by: the item that noticed it; tried: how many items it met."""

    mutant: Mutant
    outcome: str
    by: str = ""
    tried: int = 0


class Judge:
    """A pytest plugin that takes the place of the loop over the tests.

    told: is given each verdict as it comes. Whoever presses Ctrl-C keeps those that have come. quick: items that a
    mutant meets at most, the likeliest ones; 0: all that call its function. memory: the file in which the first
    round's findings are kept.
    """

    def __init__(
        self,
        mutants: Sequence[Mutant],
        jobs: int,
        told: Callable[[Verdict], None],
        say: Callable[[str], None],
        memory: Path,
        quick: int = 0,
    ) -> None:
        self.mutants = mutants
        self.jobs = jobs
        self.failed: list[str] = []
        self._told = told
        self._say = say
        self._memory = memory
        self._quick = quick
        self._killers: dict[str, Counter[int]] = defaultdict(Counter)
        self._items: list[pytest.Item] = []

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Judge instead of running the tests."""
        if session.testsfailed:
            self.failed = ["the tests could not be collected"]
            return True
        self._items = session.items
        seen = self._first_round()
        self.failed = sorted(name for name, sight in seen.items() if not sight.held)
        if not self.failed:
            reach = Reach()
            for number, item in enumerate(self._items):
                reach.add(number, seen[item.nodeid])
            self._try_all(reach)
        return True

    # --- the first round

    def _first_round(self) -> dict[str, Sight]:
        """What every item calls, by its name; kept for the next time."""
        digests = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in {each.path for each in self._items}}
        try:
            kept: dict[str, Sight] = pickle.loads(self._memory.read_bytes())
        except OSError:
            kept = {}
        seen, fresh = {}, []
        for number, item in enumerate(self._items):
            sight = kept.get(item.nodeid)
            if sight is not None and sight.held and sight.file == digests[item.path]:
                seen[item.nodeid] = sight
            else:
                fresh.append(number)
        self._say(f"{len(fresh)} of {len(self._items)} tests and scenarios run as they are, to see what they call")
        readers = [
            _forked(lambda part=fresh[start :: self.jobs]: self._watch(part, digests))  # type: ignore[misc]
            for start in range(self.jobs)
        ]
        for process, reader in readers:
            with os.fdopen(reader, "rb") as pipe:
                data = pipe.read()
            os.waitpid(process, 0)
            if not data:
                raise RuntimeError("a process of the first round died")
            seen |= pickle.loads(data)  # from a child of our own
        self._memory.write_bytes(pickle.dumps(seen))
        return seen

    def _watch(self, numbers: Sequence[int], digests: Mapping[Path, str]) -> bytes:
        seen = {}
        set_mutant_under_test("stats")
        for number in numbers:
            item = self._items[number]
            state()._stats.clear()
            started = time.process_time()
            held = _holds(item)
            took = time.process_time() - started
            seen[item.nodeid] = Sight(digests[item.path], frozenset(state()._stats), took, held)
        return pickle.dumps(seen)

    # --- mutants

    def _try_all(self, reach: Reach) -> None:
        waiting = iter(self.mutants)
        running: dict[int, tuple[Mutant, list[int], int]] = {}
        try:
            while True:
                while len(running) < self.jobs and (mutant := next(waiting, None)) is not None:
                    numbers = self._order(mutant, reach)
                    if not numbers:
                        self._told(Verdict(mutant, NOT_REACHED))
                        continue
                    limit = SPARE_SECONDS + 10 * sum(reach.seconds[number] for number in numbers)
                    process, reader = _forked(lambda m=mutant, n=numbers, s=limit: self._meet(m, n, s))  # type: ignore[misc]
                    running[process] = (mutant, numbers, reader)
                if not running:
                    return
                process, status = os.wait()
                if process in running:
                    self._told(self._verdict(*running.pop(process), status))
        finally:
            for process in running:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)

    def _order(self, mutant: Mutant, reach: Reach) -> list[int]:
        own, near = self._killers[mutant.function], self._killers[mutant.module]
        numbers = reach.items.get(mutant.function, set())
        order = sorted(numbers, key=lambda number: (-own[number], -near[number], reach.seconds[number], number))
        return order[: self._quick] if self._quick else order

    def _meet(self, mutant: Mutant, numbers: Sequence[int], limit: float) -> bytes:
        signal.setitimer(signal.ITIMER_PROF, limit)  # its signal ends the process
        signal.alarm(int(limit * 20) + 60)  # for one that waits instead of working
        set_mutant_under_test(mutant.name)
        for tried, number in enumerate(numbers, 1):
            if not _holds(self._items[number]):
                return json.dumps([number, tried]).encode()
        return json.dumps([None, len(numbers)]).encode()

    def _verdict(self, mutant: Mutant, numbers: Sequence[int], reader: int, status: int) -> Verdict:
        with os.fdopen(reader, "rb") as pipe:
            data = pipe.read()
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGPROF, signal.SIGALRM):
            return Verdict(mutant, TIMED_OUT)
        if not data:
            return Verdict(mutant, BROKEN)
        number, tried = json.loads(data)
        if number is None:
            return Verdict(mutant, SURVIVED, tried=tried)
        self._killers[mutant.function][number] += 1
        self._killers[mutant.module][number] += 1
        return Verdict(mutant, KILLED, self._items[number].nodeid, tried)


def _holds(item: pytest.Item) -> bool:
    reports = runtestprotocol(item, log=False, nextitem=None)
    return not any(report.failed for report in reports)


def _forked(work: Callable[[], bytes]) -> tuple[int, int]:
    """Do something in a forked process: its number, and where to read what it answers."""
    sys.stdout.flush()
    sys.stderr.flush()
    reader, writer = os.pipe()
    process = os.fork()
    if process:
        os.close(writer)
        return process, reader
    os.close(reader)
    try:
        quiet = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(quiet, stream)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        with os.fdopen(writer, "wb") as pipe:
            pipe.write(work())
        os._exit(0)
    finally:
        os._exit(70)  # whatever a mutant raises through pytest itself


def kept_verdicts(path: Path, mutants: Sequence[Mutant]) -> Iterator[Verdict]:
    """Verdicts of an earlier run that still hold: noticed ones, of the same code."""
    if not path.exists():
        return
    known = {mutant.name: mutant for mutant in mutants}
    for line in path.read_text("utf-8").splitlines():
        try:
            name, source, outcome, by, tried = json.loads(line)
        except ValueError:
            continue  # the line that was being written when the run ended
        mutant = known.get(name)
        if mutant is not None and mutant.source == source and outcome in (KILLED, TIMED_OUT, BROKEN):
            yield Verdict(mutant, outcome, by, tried)
