"""One run of a case for a sweep: with a fault put on one attempt, and then a calm ending.

The first run of a case, the control, has no fault. It finds the attempts that a fault can be put on, and which of the
scenario's expectations about state stand at the end; those must stand at the end of each rerun as well.
"""

from __future__ import annotations

import traceback
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from simulator.explore.endings import faults_off, release, release_after_breath, settle
from simulator.explore.final import End, Place, Standing, judge_end, judge_standing, look
from simulator.explore.kinds import rule
from simulator.host import RESTART_AFTER
from simulator.network import ArmedFault, Attempt
from simulator.queue import Rank
from simulator.scenario.result import Failure
from simulator.scenario.runner import Outcome, Run, RunOptions
from simulator.scenario.values import format_offset

if TYPE_CHECKING:
    from simulator.scenario.file import Case

EVERY_CYCLE_UP_TO = timedelta(days=1)
"""A control of a longer scenario skips idle cycles; their reads are then not swept, their heartbeats are.

Whoever sweeps is told so: in the help, and of which scenarios."""

ATTEMPTS_SPARE = 5000
"""A rerun that makes ten times the attempts of its control, and these, will not end."""


class EndlessRun(BaseException):
    """A run that makes attempts without end. Not an Exception: no handler of the agent may catch it."""


@dataclass(frozen=True)
class Point:
    """One attempt of a control that a fault can be put on.

    at: its instant. number: the how manieth of its wire in that instant. users: whose credentials it carries. alike:
    how many attempts of the control it stands for, itself included. by_hand: made for an operator's call. rest: when
    everything that came before its turn was over.
    """

    on: str
    at: timedelta
    number: int = 1
    users: tuple[str, ...] = ()
    alike: int = 1
    by_hand: bool = False
    rest: timedelta = timedelta(0)

    @property
    def name(self) -> str:
        """``cloud.set-passwords@+2m``, and ``#2`` for the second of its wire in that instant."""
        return f"{self.on}@{format_offset(self.at)}" + (f"#{self.number}" if self.number > 1 else "")


@dataclass(frozen=True)
class Control:
    """What the run without a fault was like.

    attempts: how many there were. points: those to put a fault on. standing: expectations that stand at the end.
    failures: what does not hold without any fault; such a case is not swept. is_long: idle cycles were passed by, and
    what they read is no point.
    """

    attempts: int
    points: tuple[Point, ...]
    standing: Standing
    failures: tuple[Failure, ...] = ()
    is_long: bool = False


@dataclass(frozen=True)
class Rerun:
    """What came of one rerun: whether the attempt came at all, and what does not hold, if anything.

    steps: when the scenario's own time was over, when all had settled, and when holds were taken away by which actions
    (for a file that repeats it). refused: actions that the world refused, by place.
    """

    point: Point
    word: str
    reached: bool
    failures: tuple[Failure, ...] = ()
    ended: timedelta = timedelta(0)
    settled: timedelta = timedelta(0)
    released: tuple[Any, ...] = ()
    refused: tuple[tuple[Place, str | None], ...] = ()
    fired: tuple[int, ...] = ()
    harness_fault: str | None = None

    @property
    def held(self) -> bool:
        """Whether the attempt came, and everything held."""
        return self.reached and not self.failures and self.harness_fault is None


class InjectedFault(ArmedFault):
    """A fault on one attempt: the ``number``-th of a wire that begins at ``moment``."""

    def __init__(self, point: Point, word: str, moment: datetime) -> None:
        super().__init__(rule(point.on, word), -1)
        self.at = point.at
        self._point = point
        self._moment = moment

    def fits(self, attempt: Attempt) -> bool:
        """Whether the attempt is of this wire and instant."""
        return attempt.on == self._point.on and attempt.started == self._moment

    def would_take(self, offset: timedelta) -> bool:
        """Whether the next attempt that fits is the one."""
        return self.matched + 1 == self._point.number

    def may_fire(self, offset: timedelta) -> bool:
        """Until its instant is over."""
        return self.matched < self._point.number and offset <= self._point.at


class SweptRun(Run):
    """A run with an ending. The control judges everything as ``pwsync run`` does; the others have a fault injected."""

    def __init__(self, case: Case, options: RunOptions, *, is_control: bool = False) -> None:
        super().__init__(case, options)
        self.is_control = is_control
        self.injected: InjectedFault | None = None
        self.acts: dict[Place, Outcome] = {}
        self.waited: set[Place] = set()
        self.attempts_max: int | None = None
        self.attempts: tuple[Attempt, ...] = ()
        self.ends: list[End] = []
        self.ended = self.settled = timedelta(0)
        self.released: list[Any] = []
        self.rests: list[tuple[int, timedelta]] = []
        self.taken: set[int] = set()
        self.by_hand: set[int] = set()
        self._hands = 0
        self._own = list(self.world.network.faults)
        self._own_fired = 0

    def fired(self) -> tuple[int, ...]:
        """Indices of the scenario's own faults that fired."""
        return tuple(fault.index for fault in self._own if fault.fired)

    def inject(self, point: Point, word: str) -> None:
        """Put a fault on an attempt; it comes into force with the attempt's instant."""
        when = self.world.start + point.at
        self.injected = InjectedFault(point, word, when)
        self.world.queue.push(when, Rank.FIRST, self._arm)

    def prepare(self) -> None:
        """Bring the world to +0s; what comes after that does not depend on the fault before its instant."""
        super().prepare()
        self.world.network.watchers.append(self._count)
        for index, step in enumerate(self.scenario.timeline):
            self._queue_step(index, step)
        self.ended = max((step.at for step in self.scenario.timeline), default=timedelta(0))

    def proceed(self, limit: timedelta | None = None) -> None:
        """From where the run is to its end; there is no limit to a sweep's."""
        world = self.world
        world.run_until(world.start + self.ended)
        if self.is_control:
            self._judge_faults()
            self.attempts = tuple(world.network.attempts)
        self._end()
        self._take(self.checks.finish())

    def _end(self) -> None:
        world = self.world
        world.idle.skipping = self.options.engine is None
        faults_off(world)
        settle(world)
        self.settled = world.offset()
        self.ends.append(look(self))
        if release(world):
            self.released = release_after_breath(world, self.sessions)
            settle(world)
            self.ends.append(look(self))

    def _after_instant(self) -> None:
        super()._after_instant()
        if self.is_control:
            self.rests.append((len(self.world.network.attempts), self.world.offset()))

    def _arm(self) -> None:
        if self.injected is not None:
            self.world.network.faults.insert(0, self.injected)

    def _count(self, attempt: Attempt) -> None:
        fired = sum(fault.fired for fault in self._own)
        if fired != self._own_fired:
            self._own_fired = fired
            self.taken.add(attempt.sequence)
        if self._hands and not self.world.host.busy:
            self.by_hand.add(attempt.sequence)
        if self.attempts_max is not None and attempt.sequence > self.attempts_max:
            raise EndlessRun

    def _queue_step(self, index: int, step: Any) -> None:
        when = self.world.start + step.at
        shared = Outcome()
        for number, what in enumerate(step.do):
            call = partial(self._act_at, (index, number), step, what, shared)
            self.world.queue.push(when, Rank.ACTION, call)
        if self.is_control:
            for what in step.expect:
                self.world.queue.push(when, Rank.EXPECTATION, partial(self._expect, what, shared))

    def _act_at(self, place: Place, step: Any, what: Any, shared: Outcome) -> None:
        before = len(self.world.crashes)
        own = Outcome()
        self.acts[place] = own
        if self.world.host.busy:
            self.waited.add(place)
        self._hands += 1
        self._act(step, what, _Both(own, shared))
        self._hands -= 1
        if not self.is_control and len(self.world.crashes) > before and what.name != "agent.crash":
            # The process died under an operator's hands, who does it again as soon as the service is back.
            self.world.later(RESTART_AFTER, partial(self._act_again, place, step, what, shared))

    def _act_again(self, place: Place, step: Any, what: Any, shared: Outcome) -> None:
        if what.name == "agent.install":
            self.world.host.installed = False
        self._act_at(place, step, what, shared)
        self.waited.add(place)

    def _fail(self, kind: str, *told: Any, **more: Any) -> None:
        """In mid-course a fault may make expectations fail and actions be refused; only the end counts."""
        if self.is_control or kind == "agent":
            super()._fail(kind, *told, **more)


class _Both(Outcome):
    """What became of one action, noted for the action alone and for its whole entry."""

    def __init__(self, own: Outcome, shared: Outcome) -> None:
        self.refusals = _Twice(own.refusals, shared.refusals)
        self.details = _Twice(own.details, shared.details)


class _Twice(list[Any]):
    def __init__(self, *targets: list[Any]) -> None:
        super().__init__()
        self._targets = targets

    def append(self, item: Any) -> None:
        """Append to all lists."""
        for target in self._targets:
            target.append(item)


def control_of(case: Case, seed: int | None = None, engine: str | None = None, *, every: bool = False) -> Control:
    """Run a case without a fault. ``every``: each attempt is a point; otherwise one that stands for those like it."""
    last = max((step.at for step in case.scenario.timeline), default=timedelta(0))
    is_long = last > EVERY_CYCLE_UP_TO and engine is None  # another agent's idle cycles run at any rate
    run = SweptRun(case, RunOptions(seed=seed, engine=engine, every_cycle=not is_long), is_control=True)
    run.run()
    found = tuple(_points(run, every=every))
    return Control(len(run.attempts), found, judge_standing(run, run.ends), tuple(run.failures), is_long)


def _points(run: SweptRun, *, every: bool) -> Iterable[Point]:
    """The attempts of the control, in order; of cycles that are alike only the first and the last.

    Left out are those that a fault of the scenario's own has taken: to take them again would be to mend them.
    """
    world = run.world
    numbers: dict[tuple[str, datetime], int] = {}
    points = []
    for attempt in run.attempts:
        key = (attempt.on, attempt.started)
        numbers[key] = numbers.get(key, 0) + 1
        users = tuple(dict.fromkeys(attempt.users))
        by_hand = attempt.sequence in run.by_hand
        at, rest = attempt.started - world.start, _rest_before(run, attempt)
        points.append(Point(attempt.on, at, numbers[key], users, by_hand=by_hand, rest=rest))
    free = [attempt.sequence not in run.taken for attempt in run.attempts]
    if every:
        return [point for index, point in enumerate(points) if free[index]]
    bounds = [0, *(cycle.attempts_before for cycle in world.cycles), len(points)]
    instants = sorted({step.at for step in run.scenario.timeline})
    groups: dict[tuple[Any, ...], list[tuple[int, int]]] = {}
    for first, after in pairwise(bounds):
        if first < after <= len(points):
            signature = tuple(_signature(each) for each in run.attempts[first:after])
            passed = sum(instant <= points[first].at for instant in instants)
            groups.setdefault((passed, signature), []).append((first, after))
    chosen: list[tuple[int, Point]] = []
    for spans in groups.values():
        shown = spans if len(spans) < 3 else [spans[0], spans[-1]]
        for place, (first, after) in enumerate(shown):
            alike = len(spans) - len(shown) + 1 if place == 0 else 1
            chosen += [(index, _standing_for(points[index], alike)) for index in range(first, after) if free[index]]
    return [point for _, point in sorted(chosen, key=lambda each: each[0])]


def _rest_before(run: SweptRun, attempt: Attempt) -> timedelta:
    """When the last instant was over that the attempt does not belong to: a cycle may have begun long before it."""
    index = bisect_left(run.rests, (attempt.sequence,))
    return run.rests[index - 1][1] if index else timedelta(0)


def _standing_for(point: Point, alike: int) -> Point:
    return point if alike == 1 else replace(point, alike=alike)


def _signature(attempt: Attempt) -> tuple[Any, ...]:
    return attempt.on, attempt.domain, attempt.controller, tuple(attempt.users), attempt.outcome, attempt.detail


def rerun(
    case: Case, control: Control, point: Point, word: str, seed: int | None = None, engine: str | None = None
) -> Rerun:
    """Run a case with one fault, and judge it. What goes wrong in the harness itself comes back in the result."""
    try:
        run = SweptRun(case, RunOptions(seed=seed, engine=engine))
    except (Exception, SystemExit):
        return Rerun(point, word, False, harness_fault=traceback.format_exc())
    return judged(run, run.run, control, point, word)


def judged(run: SweptRun, proceed: Callable[[], None], control: Control, point: Point, word: str) -> Rerun:
    """Put a fault on an attempt, let the run go on to its end, and judge it against its control."""
    run.inject(point, word)
    fault: str | None = None
    endless = False
    run.attempts_max = 10 * control.attempts + ATTEMPTS_SPARE
    try:
        proceed()
    except EndlessRun:
        endless = True
    except (Exception, SystemExit):  # an agent that raises what nobody expects is what a sweep looks for
        fault = traceback.format_exc()
    failures = list(run.failures)
    if endless:
        failures.append(_endless(run))
    elif fault is None:
        failures += judge_end(run, control.standing)
    return Rerun(
        point,
        word,
        reached=run.injected is not None and bool(run.injected.fired),
        failures=tuple(failures),
        ended=run.ended,
        settled=run.settled,
        released=tuple(run.released) if failures else (),
        refused=_refusals(run) if failures else (),
        fired=run.fired(),
        harness_fault=fault,
    )


def _refusals(run: SweptRun) -> tuple[tuple[Place, str | None], ...]:
    found = [(place, outcome.refusals[-1]) for place, outcome in run.acts.items() if outcome.refusals]
    return tuple(found)


def _endless(run: SweptRun) -> Failure:
    lines: Sequence[str] = run.world.trace.lines
    return Failure(
        kind="agent",
        title="the agent makes attempts without end",
        at=format_offset(run.world.offset()),
        expected=f"at most {run.attempts_max} attempts",
        got="more",
        because=tuple(lines[-12:]),
    )
