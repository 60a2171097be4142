"""``pwsync shrink``: the shortest scenario that still fails in the same way."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from simulator.cli.console import INTERRUPTED, check_overwritten, complain, refuse, refuse_all, say
from simulator.cli.options import Engine, Profile, chosen_cases, engine_of
from simulator.scenario.result import ExitCode

if TYPE_CHECKING:
    from simulator.explore.shrink import Shrinker
    from simulator.explore.writing import Document
    from simulator.scenario.file import Case

PAUSE_SECONDS = 2.0
"""How often a long search says how far it is."""

UNSTEADY_HINT = "pwsync run --check-determinism shows where two runs of it part"


def shrink(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A scenario that fails, or FILE::row.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="FILE", help="Where to write it; by default NAME.shrunk.yaml beside it."
        ),
    ] = None,
    profile: Profile = None,
    failure: Annotated[
        str | None,
        typer.Option(
            "--failure", metavar="N", help="Keep the Nth failure that pwsync run tells; by default the first."
        ),
    ] = None,
    engine: Engine = None,
) -> None:
    """Make a failing scenario shorter, as long as it fails in the same way.

    Entries, users, faults, domains and keys are left out, times and waits get shorter, passwords simpler. The same way
    means: the same invariant, or the same expectation of the same user with the same verdict, or the same action
    refused for the same reason. The file itself stays as it is; comments do not survive in the shrunk one.

    \b
    Examples:
      pwsync shrink mine.yaml
      pwsync shrink mine.yaml::first-row -o short.yaml
    """
    from simulator.explore.shrink import MARK
    from simulator.report.files import why_not_writable
    from simulator.suite import unrunnable

    factory, number = engine_of(engine), _failure_of(failure)
    cases = chosen_cases([file], None, None, profile)
    if len(cases) != 1:
        some = ", ".join(case.id for case in cases[:3]) + ", ..." * (len(cases) > 3)
        refuse(f"shrink takes one scenario, and these are {len(cases)}: {some}",
               "name one file; choose a row with FILE::row and a profile with --profile")  # fmt: skip
    (case,) = cases
    refuse_all(unrunnable(cases))
    source = Path(case.path)
    target = output or source.with_name(f"{source.stem}.shrunk.yaml")
    if reason := why_not_writable(target):
        refuse(f'can\'t write "{target}"', reason)
    if target.resolve() == source.resolve():
        refuse(f'"{target}" is the scenario itself', "give the shrunk one another name")
    check_overwritten(target, lambda before: MARK.encode() in b" ".join(before.split()), "-o")
    if case.scenario.given.directory is not None and target.resolve().parent != source.resolve().parent:
        refuse(
            "the scenario takes its directory from a file beside it", f'write it there too: -o "{source.parent}/..."'
        )
    raise typer.Exit(_shrink(case, target, factory, number))


def _failure_of(text: str | None) -> int | None:
    if text is None:
        return None
    if not re.fullmatch(r"[1-9][0-9]{0,5}", text, re.ASCII):
        refuse(f'--failure "{text}" is no number of a failure', "give a number from 1, as pwsync run tells them")
    return int(text)


def _shrink(case: Case, target: Path, engine: str | None, number: int | None) -> int:
    """Shrink one case, write what came of it, and return the exit code."""
    from simulator.explore.findings import told_sizes
    from simulator.explore.shrink import Holds, Shrinker, shrunk_why
    from simulator.explore.ways import ways_of
    from simulator.explore.writing import case_of, document_of, text_of
    from simulator.frozen import held
    from simulator.report.files import write_whole
    from simulator.report.text import counted, result_text, told_fault
    from simulator.scenario.runner import run_case

    document = document_of(Path(case.path).read_text(encoding="utf-8-sig"), case.row, case.profile)
    interrupted = False
    with held():
        try:
            shrinker = Shrinker(document, target, engine=engine, number=number, told=Progress().told)
        except Holds as reason:
            refuse(
                f"{case.id} can't be shrunk: {reason}",
                "pwsync run tells what fails in a scenario; shrink takes one that does",
            )
        _refuse_unsteady(case, shrinker)
        say(f"{case.id} fails: {shrinker.way}" + _others(shrinker))
        try:
            shrinker.shrink()
        except KeyboardInterrupt:
            interrupted = True
        shrunk = shrunk_why(shrinker.best, Path(case.path).name, shrinker.way, engine)
        text = text_of(shrunk)
        try:
            write_whole(target, text)
        except OSError as error:
            say(text)
            refuse(f'can\'t write "{target}": {error.strerror}', "it stands above; name another file with -o")
        result = run_case(case_of(shrunk, target), shrinker.options)
    say("\n".join(told_sizes(document, shrunk)))
    say("\n" + result_text(result))
    say(f"{counted(shrinker.runs, 'run')}; written to {target}")
    if shrinker.way not in ways_of(result):
        complain(f"error: run once more, {target} does not fail in this way\n  = {UNSTEADY_HINT}")
        return ExitCode.NOT_DETERMINISTIC
    if shrinker.fault is not None:
        complain(told_fault("shrinking went wrong; what is written may not be the shortest", shrinker.fault))
        return ExitCode.HARNESS_FAULT
    if interrupted:
        complain("stopped; what is written may not be the shortest")
        return INTERRUPTED
    if not shrinker.is_done:
        done = counted(shrinker.runs, "run")
        complain(f"stopped after {done}; what is written may not be the shortest: shrink it once more")
    return ExitCode.HELD


def _refuse_unsteady(case: Case, shrinker: Shrinker) -> None:
    """What fails now and then can't be told from what a shorter scenario mends."""
    from simulator.scenario.runner import run_case

    again = run_case(shrinker.case, shrinker.options)
    if (again.trace, again.outcome) != (shrinker.result.trace, shrinker.result.outcome):
        complain(f"error: {case.id} can't be shrunk: two runs of it differ\n  = {UNSTEADY_HINT}")
        raise typer.Exit(ExitCode.NOT_DETERMINISTIC)


def _others(shrinker: Shrinker) -> str:
    """What else fails in the scenario, and how to shrink that instead."""
    from simulator.explore.ways import ways_of

    count = len([way for way in ways_of(shrinker.result) if way != shrinker.way])
    return f" (and in {count} other way{'s' * (count > 1)}; --failure N keeps another)" if count else ""


class Progress:
    """Says now and then how far it is."""

    def __init__(self) -> None:
        from simulator.stopwatch import real_seconds

        self._clock = real_seconds
        self._told = real_seconds()

    def told(self, runs: int, best: Document) -> None:
        """One more run was made."""
        from simulator.explore.writing import duration, sizes

        if self._clock() - self._told < PAUSE_SECONDS:
            return
        self._told = self._clock()
        measures = sizes(best)
        length = duration(measures.pop("seconds"))
        complain(
            f"{runs} runs, left: " + ", ".join(f"{count} {name}" for name, count in measures.items()) + f", {length}"
        )
