"""``pwsync diff``: where two runs, or two traces, part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from simulator.cli.console import INTERRUPTED, complain, read_suite, refuse, refuse_all, say
from simulator.cli.options import Profile, Seed, engine_of, offset_of, seed_of
from simulator.scenario.result import ExitCode

if TYPE_CHECKING:
    from simulator.scenario.file import Case
    from simulator.scenario.runner import RunOptions

CONTEXT = 6
"""Lines before the parting, and after it in each of the two, that are shown unless told otherwise."""

A = Annotated[
    str, typer.Argument(metavar="A", help="A trace (NAME.trace, or what run --trace printed), or a scenario to run.")
]
B = Annotated[str, typer.Argument(metavar="B", help="The other one.")]


def diff(
    a: A,
    b: B,
    profile_a: Annotated[str | None, typer.Option("--profile-a", metavar="P", help="The profile of A alone.")] = None,
    profile_b: Annotated[str | None, typer.Option("--profile-b", metavar="P", help="The profile of B alone.")] = None,
    engine_a: Annotated[
        str | None, typer.Option("--engine-a", metavar="MODULE:FACTORY", help="Another agent for A.")
    ] = None,
    engine_b: Annotated[
        str | None, typer.Option("--engine-b", metavar="MODULE:FACTORY", help="Another agent for B.")
    ] = None,
    profile: Profile = None,
    seed: Seed = None,
    to: Annotated[str | None, typer.Option("--to", metavar="OFFSET", help="Run scenarios to this offset only.")] = None,
    context: Annotated[
        int, typer.Option("--context", min=0, max=1_000_000, metavar="N", help="Lines to show on each side.")
    ] = CONTEXT,
    everything: Annotated[
        bool, typer.Option("--all", help="Show every difference, not only where the two part.")
    ] = False,
) -> None:
    """Show the first place where two runs or two traces part, in context.

    A and B are traces, or scenarios that are run for it: one file, one row of it as FILE::row. Exit code 0: they are
    the same; 1: they part; 2: something can't be read.

    \b
    Examples:
      pwsync diff before.trace after.trace
      pwsync diff scenarios/order/oldest-change-goes-first.2017.trace scenarios/order/oldest-change-goes-first.yaml
      pwsync diff FILE FILE --profile-a 2017 --profile-b current
      pwsync diff FILE FILE --engine-b my_agent:factory
    """
    try:
        read_first = _source(a, profile_a or profile, seed, to, engine_a)
        read_second = _source(b, profile_b or profile, seed, to, engine_b)
        first, second = read_first(), read_second()
    except KeyboardInterrupt:
        complain("stopped; nothing was compared")
        raise typer.Exit(INTERRUPTED) from None
    from simulator.report.parting import all_differences, parting_text

    names = (a, b) if a != b else (_name("A", a, profile_a, engine_a), _name("B", b, profile_b, engine_b))
    text = (all_differences if everything else parting_text)(first, second, names, context)
    if text:
        say(text)
        raise typer.Exit(ExitCode.BROKE)
    say(f"the same, {len(first)} line{'s' * (len(first) != 1)}")


def _name(letter: str, argument: str, profile: str | None, engine: str | None) -> str:
    """What tells one of two from the other that is named alike."""
    found = f"{argument}[{profile}]" if profile else argument
    return f"{letter} ({found} with {engine})" if engine else f"{letter} ({found})"


def _source(
    argument: str, profile: str | None, seed: str | None, to: str | None, engine: str | None
) -> Callable[[], list[str]]:
    """What gives the trace that an argument names, or that its run leaves; what is bad about it is refused here."""
    from simulator.suite import SUFFIX, split_row

    path, row = split_row(argument)
    if row is None and path.suffix != SUFFIX:
        if engine is not None:
            refuse(f'"{argument}" is a trace and has no agent', f"an agent runs a scenario (*{SUFFIX})")
        lines = _read(path)
        return lambda: lines
    case = _case(argument, profile)
    from simulator.scenario.runner import RunOptions
    from simulator.suite import unrunnable

    refuse_all(unrunnable([case]))
    options = RunOptions(seed=seed_of(seed), to=offset_of(to), engine=engine_of(engine))
    return lambda: _run(argument, case, options)


def _run(argument: str, case: Case, options: RunOptions) -> list[str]:
    """The trace that a run leaves. That an agent ended it before its time is said."""
    from simulator.scenario.runner import run_case
    from simulator.workers import guarded

    engine = options.engine
    complain(f"running {case.id}" + f" with {engine}" * (engine is not None))
    result = guarded(lambda each: run_case(each, options), case)
    if result.harness_fault is not None:
        from simulator.report.text import fault_text

        refuse_with_fault(fault_text(replace(result, id=argument)))
    for failure in result.failures:
        if failure.kind == "agent":
            complain(f"{case.id} ended early, at {failure.at}: {failure.got}")
    return list(result.trace)


def refuse_with_fault(text: str) -> None:
    """Leave because the harness failed."""
    complain(text)
    raise typer.Exit(ExitCode.HARNESS_FAULT)


def _read(path: Path) -> list[str]:
    from simulator.report.parting import NoTrace, trace_lines
    from simulator.scenario.errors import FileError
    from simulator.scenario.result import Position

    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        refuse(f'"{path}" is no trace: it is not UTF-8 at byte {error.start}',
               "a trace is what pwsync run FILE --trace prints, or the NAME.trace that --update writes")  # fmt: skip
    except OSError as error:
        refuse(f'can\'t read "{path}": {error.strerror}', "name a trace, or a scenario file to run")
    try:
        return trace_lines(text)
    except NoTrace as problem:
        place = Position(str(path), problem.number, 1)
        complain(FileError(str(problem), place, problem.line, problem.hint).render())
        raise typer.Exit(ExitCode.BAD_INPUT) from None


def _case(argument: str, profile: str | None) -> Case:
    from simulator.profile import PROFILES

    if profile is not None and profile not in PROFILES:
        refuse(f'there is no profile "{profile}"', "the profiles are: " + ", ".join(PROFILES))
    suite = read_suite([argument])
    cases = [case for case in suite.cases if profile is None or case.profile == profile]
    if len(cases) != 1:
        some = ", ".join(case.id for case in (cases or suite.cases)[:4])
        refuse(
            f"{argument} has {len(cases) or 'no'} run{'s' * (len(cases) != 1)} to take"
            + (f" of profile {profile}" if profile else "")
            + f": {some}",
            "choose a row with FILE::row, and a profile with --profile, --profile-a or --profile-b",
        )
    return cases[0]
