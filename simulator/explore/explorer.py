"""Random runs: each is drawn from its seed, played, brought to a calm ending, and judged by the invariants alone.

The runs of some seeds are :func:`run_seeds`, which fits :func:`simulator.workers.run_stretches`: plans whose worlds
begin alike go on from one beginning. What a plan's people try may be refused, and a drawn fault may never fire; neither
is a finding. A finding becomes a scenario file by :func:`as_scenario`, with the ending written out, and
:mod:`simulator.explore.shrink` makes it short.
"""

from __future__ import annotations

import shlex
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from simulator.explore import endings
from simulator.explore.beside import draw_beside
from simulator.explore.plans import END, SHARING, draw_plan
from simulator.explore.ways import Way, ways
from simulator.explore.writing import Document, case_of
from simulator.queue import Rank
from simulator.scenario.base import key_of
from simulator.scenario.file import Case
from simulator.scenario.model import Scenario
from simulator.scenario.result import Failure, RunResult
from simulator.scenario.runner import Run, RunOptions
from simulator.scenario.values import format_offset, parse_offset
from simulator.stopwatch import stopwatch
from simulator.trace import digest
from simulator.workers import guarded
from simulator.world_snapshot import ImageError, WorldSnapshot

JUDGED = ("invariant", "agent")
"""Kinds of failures that a random run is judged by."""

PLAN_PATH = "scenarios/found/plan.yaml"
"""Where a plan stands, as far as its id goes; there is no such file."""


@dataclass(frozen=True)
class Base:
    """The scenario that random runs happen beside: its document, its model, where it stands, and its row if any."""

    document: Document
    scenario: Scenario
    path: str
    row: str | None = None


@dataclass(frozen=True)
class Exploration:
    """What random runs have in common: the scenario that they happen beside (None: worlds of their own), the engine."""

    base: Base | None = None
    engine: str | None = None

    @property
    def path(self) -> str:
        return self.base.path if self.base else PLAN_PATH

    def plan(self, seed: int) -> Document:
        """The plan of a seed."""
        if self.base is None:
            return draw_plan(seed)
        return draw_beside(self.base.document, self.base.scenario, seed)


@dataclass(frozen=True)
class Played:
    """What came of a plan. ending: what was done to calm it; calmed, over: when that was, and when all was over."""

    failures: tuple[Failure, ...]
    fault: str | None
    trace: tuple[str, ...]
    seconds: float
    ending: tuple[Any, ...] = ()
    calmed: timedelta | None = None
    over: timedelta | None = None

    def judged(self) -> list[Way]:
        """The ways in which it failed that count."""
        return ways([failure for failure in self.failures if failure.kind in JUDGED], self.fault)


class CalmRun(Run):
    """A run whose timeline is followed by a calm ending; whether every fault has fired is not asked."""

    ending: tuple[Any, ...] = ()
    calmed: timedelta | None = None

    def go_on(self, case: Case) -> None:
        """From ``+0s`` to the end, with the timeline and the faults of a case whose world begins alike."""
        self.case, self.scenario = case, case.scenario
        self.world.network.arm(case.scenario.faults)
        self.proceed()

    def _judge_faults(self) -> None:
        world = self.world
        endings.faults_off(world)
        moment = world.clock() + endings.BREATH
        self.calmed = moment - world.start
        world.queue.push(moment, Rank.ACTION, self._release)  # before the cycles of its instant, as in a file
        world.run_until(moment)
        endings.settle(world)

    def _release(self) -> None:
        self.ending = tuple(endings.release(self.world))
        endings.take_away(self.world, self.ending, self.sessions)


def play(case: Case, engine: str | None = None) -> Played:
    """Play a plan to its calm ending. What goes wrong in the harness is kept, not raised."""
    try:
        run = CalmRun(case, RunOptions(engine=engine))
    except (Exception, SystemExit):
        return Played((), traceback.format_exc(), (), 0.0)
    return _played(run, run.run)


def _played(run: CalmRun, proceed: Callable[[], None]) -> Played:
    fault: str | None = None
    with stopwatch() as watch:
        try:
            proceed()
        except (Exception, SystemExit):
            fault = traceback.format_exc()
    trace, over = tuple(run.world.trace.lines), run.world.offset()
    return Played(tuple(run.failures), fault, trace, watch.seconds, run.ending, run.calmed, over)


AFTER_THE_BEGINNING = frozenset({"scenario", "why", "rules", "tags", "faults", "timeline", "explore"})
"""Keys of a plan that have no part in how its world is at ``+0s``."""


def beginning_of(plan: Document) -> Document:
    """What decides how a plan's world is at ``+0s``."""
    return {key: value for key, value in plan.items() if key not in AFTER_THE_BEGINNING}


class Stage:
    """Plays plans one after the other; those that follow each other and whose worlds begin alike share the beginning.

    What comes of a plan is what :func:`play` finds. Another agent's plans are begun anew each time: who knows what it
    keeps where no snapshot looks. So are those of a world that no snapshot can hold. To be closed at the end.
    """

    def __init__(self, exploration: Exploration) -> None:
        self._exploration = exploration
        self._beginning: Document | None = None
        self._begun: tuple[CalmRun, WorldSnapshot] | None = None
        self._open = ExitStack()

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *reason: object) -> None:
        self._open.close()

    def play(self, plan: Document, case: Case) -> Played:
        """Play a plan to its calm ending. case: the plan as it is read. Raises what goes wrong before its ``+0s``."""
        if self._exploration.engine is not None:
            return play(case, self._exploration.engine)
        beginning = beginning_of(plan)
        if beginning != self._beginning:
            self._begin(case)
            self._beginning = beginning
        if self._begun is None:
            return play(case)
        run, snapshot = self._begun
        snapshot.restore()
        return _played(run, lambda: run.go_on(case))

    def _begin(self, case: Case) -> None:
        self._beginning = self._begun = None
        self._open.close()
        run = CalmRun(case, RunOptions())
        run.world.idle.skipping = True
        self._open.enter_context(run.world.frozen())
        run.prepare()
        try:
            self._begun = run, WorldSnapshot(run.world, run)
        except ImageError:
            self._open.close()


def seed_case(seed: int) -> Case:
    """What a worker is told of a run: its seed, in the shape of a case."""
    told = Scenario(scenario=f"Random run {seed}", why="Drawn at random.", rules=("order.per-user",), seed=seed)
    return Case(f"explore/{seed}", PLAN_PATH, None, "2017", (), told)


class Seeds(Sequence[Case]):
    """The cases of ``count`` seeds from ``first`` on, made when they are asked for."""

    def __init__(self, first: int, count: int) -> None:
        self._first, self._count = first, count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: Any) -> Any:
        if not 0 <= index < self._count:
            raise IndexError(index)
        return seed_case(self._first + index)

    def stretches(self) -> Iterator[range]:
        """Ranges of indices whose seeds share a world."""
        first = 0
        while first < self._count:
            after = min(self._count, first + SHARING - (self._first + first) % SHARING)
            yield range(first, after)
            first = after


def repeat_of(exploration: Exploration, seed: int) -> str:
    """The command that repeats the run of a seed."""
    words = ["pwsync", "explore"]
    if exploration.base is not None:
        base = exploration.base
        words.append(base.path if base.row is None else f"{base.path}::{base.row}")
        words += ["--profile", str(base.document["profile"])] * (len(base.scenario.profile) > 1)
    words += ["--seed", str(seed), "--runs", "1"]
    words += ["--engine", exploration.engine] if exploration.engine else []
    return shlex.join(words)


def run_seeds(cases: Sequence[Case], exploration: Exploration) -> Iterator[RunResult]:
    """Draw and play the plans of the cases' seeds; what goes wrong in the harness is a result, too."""
    with Stage(exploration) as stage:
        for case in cases:
            yield guarded(lambda each: run_seed(each, exploration, stage), case)


def run_seed(case: Case, exploration: Exploration, stage: Stage | None = None) -> RunResult:
    """Draw and play the plan of a case's seed; only what it is judged by is in the result."""
    seed = case.scenario.seed
    document = exploration.plan(seed)
    plan = case_of(document, exploration.path)
    played = stage.play(document, plan) if stage else play(plan, exploration.engine)
    failures = tuple(failure for failure in played.failures if failure.kind in JUDGED)
    outcome = "held" if not failures else "broke"
    return RunResult(
        id=case.id,
        path=exploration.path,
        title=plan.scenario.scenario,
        profile=plan.profile,
        seed=seed,
        tags=(),
        rules=tuple(plan.scenario.rules),
        outcome="harness-fault" if played.fault is not None else outcome,
        failures=failures,
        trace=played.trace,
        digest=digest(list(played.trace)),
        seconds=played.seconds,
        repeat=repeat_of(exploration, seed),
        harness_fault=played.fault,
    )


# --- from a plan to a scenario ----------------------------------------------------------------------------------


def as_scenario(plan: Document, played: Played) -> Document:
    """The plan as a scenario that can be run by itself: what calmed it stands in its timeline."""
    steps = list(plan["timeline"])
    if played.ending and played.calmed is not None:
        steps.append({"at": format_offset(played.calmed), "do": [_told(action) for action in played.ending]})
    if played.over is not None and played.over > parse_offset(steps[-1]["at"]):
        steps.append({"at": format_offset(played.over), "expect": [END]})
    return {**plan, "timeline": steps}


def _told(action: Any) -> Document:
    """An action made in Python, as a file says it."""
    arguments = {key_of(name): _text(getattr(action, name)) for name in sorted(action.model_fields_set)}
    return {action.name: arguments}


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
