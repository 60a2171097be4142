"""``pwsync shrink``: the shortest scenario that still fails in the same way."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from simulator.cli.console import INTERRUPTED, complain, refuse, refuse_all, say
from simulator.cli.options import Engine, Profile, chosen_cases, engine_of


def shrink(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A scenario that fails, or FILE::row.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="FILE", help="Where to write it; by default NAME.shrunk.yaml beside it."
        ),
    ] = None,
    profile: Profile = None,
    engine: Engine = None,
) -> None:
    """Make a failing scenario shorter, as long as it fails in the same way.

    Entries, users, faults, domains and keys are left out, times and waits get shorter, passwords simpler. The same way
    means: the same invariant, or the same expectation of the same user with the same verdict, or the same action
    refused for the same reason. The file itself stays as it is; comments do not survive in the shrunk one.

    \b
    Examples:
      pwsync shrink scenarios/incident/mine.yaml
      pwsync shrink scenarios/incident/mine.yaml::first-row -o short.yaml
    """
    from simulator.explore.findings import told_sizes
    from simulator.explore.shrink import Holds, Shrinker
    from simulator.explore.writing import document_of, text_of
    from simulator.frozen import held
    from simulator.report.files import why_not_writable, write_whole
    from simulator.report.text import result_text
    from simulator.scenario.runner import run_case
    from simulator.suite import unrunnable

    factory = engine_of(engine)
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
    if case.scenario.given.directory is not None and target.resolve().parent != source.resolve().parent:
        refuse(
            "the scenario takes its directory from a file beside it", f'write it there too: -o "{source.parent}/..."'
        )
    document = document_of(source.read_text(encoding="utf-8-sig"), case.row, case.profile)
    interrupted = False
    with held():
        try:
            shrinker = Shrinker(document, target, engine=factory, told=_tell)
        except Holds as reason:
            refuse(f"{case.id} can't be shrunk: {reason}", "shrink takes a scenario that fails under pwsync run")
        say(f"{case.id} fails: {shrinker.way}")
        try:
            shrinker.shrink()
        except KeyboardInterrupt:
            interrupted = True
        write_whole(target, text_of(shrinker.best))
        result = run_case(shrinker.case, shrinker.options)
    say("\n".join(told_sizes(document, shrinker.best)))
    say("\n" + result_text(result))
    say(f"{shrinker.runs} runs; written to {target}")
    if interrupted:
        complain("stopped; what is written may not be the shortest")
        raise typer.Exit(INTERRUPTED)


def _tell(runs: int, document: object) -> None:
    if runs % 100 == 0:
        complain(f"{runs} runs")
