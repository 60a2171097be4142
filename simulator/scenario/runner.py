"""Runs one case: builds its world, moves it from instant to instant, judges expectations and invariants.

Decisions (what an expectation means, whether an invariant holds) live elsewhere; here is the order in which they come.
"""

from __future__ import annotations

import importlib
import shlex
import traceback
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pwsync.errors import Refused
from pwsync.ports import AgentFactory
from pwsync.windows_log import records
from simulator.host import TURNS_MAX, StandsStill
from simulator.invariants import Checks
from simulator.network import ArmedFault
from simulator.queue import Rank
from simulator.refusal import Refusal
from simulator.scenario import actions, expectations
from simulator.scenario.golden import compare_golden
from simulator.scenario.result import Failure, Position, RunResult
from simulator.scenario.sessions import Sessions
from simulator.scenario.setup import Setup, build_world
from simulator.scenario.values import format_offset
from simulator.stopwatch import stopwatch
from simulator.trace import because, digest
from simulator.world import World

if TYPE_CHECKING:
    from simulator.scenario.file import Case

WEAK = frozenset({"password-too-weak", "password-too-short", "password-too-long", "password-characters"})
"""Reasons that an expected ``password-too-weak`` stands for."""


SUSPECTED_FOR = timedelta(days=1)
"""Up to this length all cycles of a run with a planted bug are run."""


@dataclass(frozen=True)
class RunOptions:
    """How to run a case.

    seed: instead of the file's. to: stop at this offset, judge what came until then. every_cycle: skip no idle cycle.
    engine: ``module:factory`` of another agent, whose cycles all run. update: write the golden trace instead of
    comparing it. keep_events: leave the records of the Application log in the result. planted: a bug of
    :mod:`simulator.planted` that agent or services have in this run; golden traces do not count then.
    """

    seed: int | None = None
    to: timedelta | None = None
    every_cycle: bool = False
    engine: str | None = None
    update: bool = False
    keep_events: bool = False
    planted: str | None = None


class EngineError(Exception):
    """``--engine`` names nothing that can be imported and called."""


def load_engine(name: str) -> AgentFactory:
    """The factory that ``module:factory`` names. Raises EngineError."""
    module_name, separator, attribute = name.partition(":")
    if not separator or not module_name or not attribute:
        raise EngineError(f'"{name}" is not of the form module:factory')
    try:
        found: Any = importlib.import_module(module_name)
        for part in attribute.split("."):
            found = getattr(found, part)
    except (Exception, SystemExit) as error:  # whatever a stranger's module does when it is imported
        raise EngineError(f'engine "{name}": {type(error).__name__}: {error}') from error
    if not callable(found):
        raise EngineError(f'engine "{name}" can not be called')
    return found  # type: ignore[no-any-return]


@dataclass
class Outcome:
    """What became of the actions of one entry: the refusal of each (None if it was carried out).

    An action that had to wait for the agent's cycle may be refused when its turn comes; that is one more refusal then.
    """

    refusals: list[str | None] = field(default_factory=list)
    details: list[str] = field(default_factory=list)


class Run:
    """One run of one case."""

    def __init__(self, case: Case, options: RunOptions) -> None:
        self.case = case
        self.options = options
        self.scenario = case.scenario
        engine = None if options.engine is None else load_engine(options.engine)
        self.world: World = build_world(case, seed=options.seed, engine=engine)
        self.sessions = Sessions()
        self.failures: list[Failure] = []
        self.checks = Checks(self.world, self.sessions, dict(self.scenario.except_ or {}))

    def run(self) -> None:
        """Run to the end (or to ``--to``); failures are left in :attr:`failures`."""
        world, limit = self.world, self.options.to
        # An agent under test is not taken at its word that it is idle: what it does then may be what is wrong with it.
        world.idle.skipping = not self.options.every_cycle and self.options.engine is None and not self._is_suspect()
        with world.frozen():
            try:
                self._live(limit)
            except StandsStill as error:
                self._stands_still(error)
            except (Exception, SystemExit) as error:
                if self.options.engine is None:
                    raise
                self._engine_failed(error)

    def _is_suspect(self) -> bool:
        """Is a bug planted? Then idle cycles run as well, unless months of them would."""
        last = max((step.at for step in self.scenario.timeline), default=timedelta(0))
        return self.options.planted is not None and last <= SUSPECTED_FOR

    def _live(self, limit: timedelta | None) -> None:
        self.prepare()
        self.proceed(limit)

    def prepare(self) -> None:
        """Bring the world to ``+0s``. That neither the timeline nor faults have a part in."""
        Setup(self.world, self.case).run()
        self.checks.begin()
        self.world.after_instant = self._after_instant

    def proceed(self, limit: timedelta | None = None) -> None:
        """From ``+0s`` to the end, or to ``limit``."""
        world = self.world
        steps = [step for step in self.scenario.timeline if limit is None or step.at <= limit]
        for step in steps:
            self._queue(step)
        last = max((step.at for step in self.scenario.timeline), default=timedelta(0))
        world.run_until(world.start + (limit if limit is not None else last))
        if limit is None or limit >= last:
            self._judge_faults()
        self._take(self.checks.finish())

    def _queue(self, step: Any) -> None:
        when = self.world.start + step.at
        outcome = Outcome()
        for what in step.do:
            self.world.queue.push(when, Rank.ACTION, partial(self._act, step, what, outcome))
        for what in step.expect:
            self.world.queue.push(when, Rank.EXPECTATION, partial(self._expect, what, outcome))

    # --- actions ------------------------------------------------------------------------------------------------

    def _act(self, step: Any, what: Any, outcome: Outcome) -> None:
        self.world.host.refused = partial(self._refused, step, what, outcome)
        try:
            told = actions.perform(self.world, what, self.sessions)
        except (Refusal, Refused) as refusal:
            self._refused(step, what, outcome, refusal)
            return
        outcome.refusals.append(None)
        self.world.trace.say("people", f"{what.name} {getattr(what, 'user', None) or ''} {told}")

    def _refused(self, step: Any, what: Any, outcome: Outcome, refusal: Refusal | Refused) -> None:
        """The world has refused an action, at once or when its turn came; is it a failure?"""
        who = getattr(what, "user", None) or ""
        detail = getattr(refusal, "detail", "") or str(refusal)
        outcome.refusals.append(refusal.reason)
        outcome.details.append(detail)
        self.world.trace.say("people", f"{what.name} {who} refused: {refusal.reason}")
        if not any(each.name == "refused" for each in step.expect):
            self._fail(
                "action",
                f"{what.name} was refused",
                what.position,
                expected="carried out",
                got=f"refused: {refusal.reason} ({detail})",
                about=who,
            )

    # --- expectations -------------------------------------------------------------------------------------------

    def _expect(self, what: Any, outcome: Outcome) -> None:
        if what.name == "refused":
            verdict = judge_refusal(what.reason, outcome)
        else:
            try:
                verdict = expectations.judge(self.world, what, self.sessions)
            except (Refusal, Refused) as refusal:
                verdict = expectations.Verdict(False, "something to look at", f"{refusal.reason}: {refusal}")
        if not verdict.held:
            who = getattr(what, "user", None) or ""
            title = f"{what.name}{f' of {who}' if who else ''}"
            self._fail("expectation", title, what.position, verdict.expected, verdict.got, about=who)

    def _fail(self, kind: str, title: str, position: Position | None, expected: str, got: str, about: str = "") -> None:
        offset = format_offset(self.world.offset())
        led = because(self.world.trace.lines, about)
        rules = tuple(self.scenario.rules)
        self.failures.append(Failure(kind, title, offset, position, expected, got, led, rules))

    # --- invariants and the end ---------------------------------------------------------------------------------

    def _after_instant(self) -> None:
        self._take(self.checks.instant())

    def _take(self, failures: Sequence[Failure]) -> None:
        self.failures.extend(failures)

    def _engine_failed(self, error: BaseException) -> None:
        where = traceback.format_exception_only(error)[-1].strip()
        self._fail("agent", "the agent under test raised an exception", None, "no exception", where)

    def _stands_still(self, found: StandsStill) -> None:
        said, again = (format_offset(each - self.world.start) for each in (found.before, found.after))
        self._fail(
            "agent",
            "the agent always has something due",
            None,
            f"a next_due() after {format_offset(self.world.offset())}, once run_due() has run",
            f"next_due() says {said}, and after run_due() {again}; {TURNS_MAX} times in a row",
        )

    def _judge_faults(self) -> None:
        for fault in self.world.network.unfired():
            self._fail("fault", f"fault {fault.index + 1} never fired", fault.rule.position, *describe(fault))


def judge_refusal(reason: str, outcome: Outcome) -> expectations.Verdict:
    """Whether the one action of an entry was refused for this reason."""
    got = outcome.refusals[-1] if outcome.refusals else None
    held = got == reason or (reason == "password-too-weak" and got in WEAK)
    told = "carried out" if got is None else f"refused: {got} ({outcome.details[-1] if outcome.details else ''})"
    return expectations.Verdict(held, f"refused: {reason}", told)


def describe(fault: ArmedFault) -> tuple[str, str]:
    """What a fault rule waits for, and what came instead, in a few words."""
    rule = fault.rule
    parts = ["an attempt on", rule.on]
    if rule.call is not None:
        parts.append(f"call {rule.call}")
    if rule.times is not None:
        parts.append(f"first {rule.times}")
    if rule.between is not None:
        parts.append(f"between {format_offset(rule.between[0])} and {format_offset(rule.between[1])}")
    counted = f"only {fault.matched} that count" + ("s" if fault.matched == 1 else "")
    return " ".join(parts), counted if fault.matched else "none"


def run_case(case: Case, options: RunOptions | None = None) -> RunResult:
    """Run one case; a failure of the harness itself comes back as outcome ``harness-fault``, never as an exception."""
    options = options or RunOptions()
    seed = case.scenario.seed if options.seed is None else options.seed
    fault: str | None = None
    run: Run | None = None
    with stopwatch() as watch, planting(options.planted):
        try:
            run = Run(case, options)
            run.run()
        except (Exception, SystemExit):
            fault = traceback.format_exc()
    lines = tuple(run.world.trace.lines) if run is not None else ()
    failures = list(run.failures) if run is not None else []
    as_written = options.to is None and options.planted is None and seed == case.scenario.seed
    if fault is None and run is not None and as_written:
        failures.extend(compare_golden(case, lines, update=options.update and not failures))
    outcome = "harness-fault" if fault is not None else "broke" if failures else "held"
    return RunResult(
        id=case.id,
        path=str(case.path),
        title=case.scenario.scenario,
        profile=case.profile,
        seed=seed,
        tags=tuple(case.tags),
        rules=tuple(case.scenario.rules),
        outcome=outcome,
        failures=tuple(failures),
        trace=lines,
        digest=digest(lines),
        seconds=watch.seconds,
        repeat=repeat_command(case, options, seed),
        row=case.row,
        harness_fault=fault,
        faults_fired=tuple(
            f"fault {each.index + 1} ({each.rule.on}): {each.fired}" for each in run.world.network.faults
        )
        if run is not None
        else (),
        records=tuple(records(run.world.events, computer(run.world)))
        if run is not None and options.keep_events
        else (),
    )


def planting(name: str | None) -> AbstractContextManager[None]:
    """The block in which a planted bug is at work; with None nothing is. KeyError for an unknown name."""
    if name is None:
        return nullcontext()
    from simulator.planted import plants

    return plants()[name].planted()


def computer(world: World) -> str:
    """The full name of the agent's server, as it stands in its logs."""
    return f"{world.settings.machine}.{world.default_domain}"


def repeat_command(case: Case, options: RunOptions, seed: int) -> str:
    """The command that repeats a run, quoted for a shell."""
    path = Path(case.path)
    with suppress(ValueError):
        path = path.resolve().relative_to(Path.cwd())
    words = ["pwsync", "run", f"{path}::{case.row}" if case.row else str(path)]
    words += ["--profile", case.profile, "--seed", str(seed)]
    if options.engine is not None:
        words += ["--engine", options.engine]
    if options.to is not None:
        words += ["--to", format_offset(options.to)]
    if options.every_cycle:
        words.append("--every-cycle")
    if options.planted is not None:
        words += ["--planted", options.planted]
    return shlex.join(words)
