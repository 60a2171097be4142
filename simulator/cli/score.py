"""``pwsync score``: planted bugs, and who notices them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

import typer

from simulator.cli.console import INTERRUPTED, Paths, complain, refuse, refuse_all, say
from simulator.cli.options import Profile, Rule, Tags, chosen_cases, engine_of, jobs_of
from simulator.scenario.result import ExitCode

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from simulator.planted.plant import Plant
    from simulator.planted.score import Score, Scorer

STEPS = 10
"""Lines of progress in each phase where there is no terminal."""


def score(
    paths: Paths,
    tags: Tags = None,
    rule: Rule = None,
    profile: Profile = None,
    jobs: Annotated[
        str, typer.Option("-j", "--jobs", metavar="N", help="Try N bugs at a time; auto or 0: one per processor core.")
    ] = "auto",
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="NAME", help="Only this bug, or this area's; again: more."),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Try every bug on every scenario that comes to it, and count who notices.")
    ] = False,
    listed: Annotated[bool, typer.Option("--list", help="Tell what the bugs are, and try none.")] = False,
    junit: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="Write the results as JUnit XML.")
    ] = None,
    json: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the results as JSON.")] = None,
    engine: Annotated[
        str | None,
        typer.Option(
            "--engine",
            metavar="MODULE:FACTORY",
            help="Put another agent under test instead of pwsync's own. Bugs of the directory and the tenant show with "
            "any; those of pwsync's agent reach it only if it is built on pwsync's classes, and are told apart if not.",
        ),
    ] = None,
    record: Annotated[
        bool, typer.Option("--record", hidden=True, help="Keep who noticed, so that these are tried first from now on.")
    ] = False,
) -> None:
    """Plant bugs in the agent and in the services around it, and see which scenarios notice.

    Each bug is one decision taken wrongly. The scenarios that noticed it the last time are tried first; a bug that
    they do not notice is tried on all, until one does. A bug that nobody notices is a missing scenario: the exit code
    is then 1. So it is if a scenario that is tried does not hold without a bug; it is named, and judges no bug.

    \b
    Examples:
      pwsync score scenarios
      pwsync score scenarios --only retry --only newest-first
      pwsync score scenarios --all --json score.json
      pwsync score scenarios --engine my_agent:create --only tenant
    """
    from simulator.suite import unrunnable

    chosen, worker_count, factory = chosen_plants(only), jobs_of(jobs), engine_of(engine)
    if listed:
        _list(chosen)
        return
    _refuse_unwritable(junit, json)
    if record and factory is not None:
        refuse("--record keeps what pwsync's own agent came to", "leave out --engine, or --record")
    if worker_count > 1:
        from simulator.workers import prepare

        prepare(["simulator.planted.trial"])
    cases = chosen_cases(paths, tags, rule, profile)
    refuse_all(unrunnable(cases))

    from simulator.planted.hints import read_hints
    from simulator.planted.score import Scorer

    display = Display()
    scorer = Scorer(
        chosen,
        cases,
        read_hints(),
        enough=0 if everything else 1,
        jobs=worker_count,
        told=display.show,
        engine=factory,
    )
    raise typer.Exit(_score(scorer, display, junit, json, record))


def chosen_plants(only: list[str] | None) -> Mapping[str, Plant]:
    """The bugs that are asked for, by name or area; all if nothing is."""
    from simulator.planted import plants
    from simulator.scenario.errors import suggest

    known = plants()
    areas = {plant.area for plant in known.values()}
    for name in only or ():
        if name not in known and name not in areas:
            refuse(
                f'there is no planted bug "{name}"', suggest(name, [*known, *areas], "pwsync score --list tells them")
            )
    return {name: plant for name, plant in known.items() if not only or name in only or plant.area in only}


def _list(chosen: Mapping[str, Plant]) -> None:
    from simulator.report.score import plant_text

    for plant in chosen.values():
        say(plant_text(plant))


def _refuse_unwritable(*reports: Path | None) -> None:
    from simulator.report.files import why_not_writable

    for path in reports:
        if path is not None and (reason := why_not_writable(path)):
            refuse(f'can\'t write the report "{path}"', reason)


def _score(scorer: Scorer, display: Display, junit: Path | None, json: Path | None, record: bool) -> int:
    """Try the bugs, print everything that there is to say, write the reports, and return the exit code."""
    from simulator.report.score import score_text
    from simulator.stopwatch import stopwatch

    interrupted = False
    with stopwatch() as watch, display:
        try:
            scorer.run()
        except KeyboardInterrupt:
            interrupted = True
    found = scorer.score
    if not scorer.sound and not interrupted:
        return _refuse_unsound(found, junit, json)
    say(f"{score_text(found)}\nin {watch.seconds:.1f} s")
    if interrupted:
        complain("stopped: this is what was found so far" + "; no report was written" * bool(junit or json))
        return INTERRUPTED
    if not _write_reports(found, watch.seconds, junit, json):
        return ExitCode.HARNESS_FAULT
    if record:
        _record(found)
    if any(each.fault for each in found.unsound.values()):
        return ExitCode.HARNESS_FAULT
    return ExitCode.BROKE if found.missed or found.unsound else ExitCode.HELD


def _refuse_unsound(found: Score, junit: Path | None, json: Path | None) -> int:
    """Tell that there is no scenario that could judge a bug, and return the exit code."""
    from simulator.report.score import unsound_lines

    say("\n".join(unsound_lines(found)).lstrip("\n"))
    count = len(found.unsound)
    which = "the only scenario does not hold" if count == 1 else f"none of the {count} scenarios holds"
    complain(
        f"error: {which} without a bug, so there is nothing that could notice one"
        + "; no report was written" * bool(junit or json)
        + "\n  = pwsync run tells what does not hold"
    )
    return ExitCode.HARNESS_FAULT if any(each.fault for each in found.unsound.values()) else ExitCode.BAD_INPUT


def _write_reports(found: Score, seconds: float, junit: Path | None, json: Path | None) -> bool:
    from simulator.report.files import write_whole
    from simulator.report.score import as_json, as_junit

    try:
        if path := junit:
            write_whole(path, as_junit(found, seconds=seconds))
        if path := json:
            write_whole(path, as_json(found, seconds=seconds))
    except OSError as error:
        complain(f'error: can\'t write the report "{path}": {error.strerror}')
        return False
    return True


def _record(found: Score) -> None:
    from simulator.planted import hints

    path = Path(hints.__file__).with_name(hints.FILE)
    hints.write_hints(path, found, hints.read_hints())
    complain(f"noted in {path}")


class Display:
    """How far it has come: a bar where people look on, a few lines elsewhere."""

    def __init__(self) -> None:
        self._bar: Bar | None = None
        self._told = 0

    def __enter__(self) -> Self:
        if sys.stdout.isatty() and sys.stderr.isatty():
            from simulator.cli.progress import new_bar

            self._bar = new_bar()
            self._bar.add_task("planting", total=None)
            self._bar.start()
        return self

    def __exit__(self, *reason: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self, phase: str, done: int, of: int) -> None:
        """A piece of work is done."""
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], description=phase, completed=done, total=of)
            return
        if done == 0:
            self._told = 0
        if of and done * STEPS // of > self._told:
            self._told = done * STEPS // of
            complain(f"{phase}: {done} of {of}")
