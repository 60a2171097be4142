"""``pwsync run``: run scenarios, tell what did not hold, write reports."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from simulator.cli.console import INTERRUPTED, Paths, complain, refuse, refuse_all, say
from simulator.cli.options import (
    Engine,
    Jobs,
    Planted,
    Profile,
    Rule,
    Seed,
    Tags,
    chosen_cases,
    engine_of,
    jobs_of,
    offset_of,
    planted_of,
    seed_of,
)
from simulator.scenario.result import ExitCode, RunResult

if TYPE_CHECKING:
    from simulator.scenario.file import Case
    from simulator.workers import RunFunction

NOTES_MAX = 3
"""So many files with an ``explore`` block are named."""


def run(
    paths: Paths,
    tags: Tags = None,
    rule: Rule = None,
    profile: Profile = None,
    seed: Seed = None,
    jobs: Jobs = "1",
    to: Annotated[
        str | None, typer.Option("--to", metavar="OFFSET", help="Stop at this offset, and judge what came until then.")
    ] = None,
    trace: Annotated[bool, typer.Option("--trace", help="Print all that happened, line by line.")] = False,
    every_cycle: Annotated[
        bool, typer.Option("--every-cycle", help="Run idle cycles in full too; the digest must stay the same.")
    ] = False,
    check_determinism: Annotated[
        bool,
        typer.Option(
            "--check-determinism",
            help="Run everything a second time, in another process with other hashes, and compare what happened line "
            "by line; exit code 4 if it is not the same.",
        ),
    ] = False,
    junit: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="Write the results as JUnit XML.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FOLDER", help="Comes in a later version; refused until then.")
    ] = None,
    json: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the results as JSON.")] = None,
    events: Annotated[
        Path | None,
        typer.Option(
            "--events",
            metavar="FILE",
            help="Write the agent's event log, of one scenario: .xml, .csv or .json.",
        ),
    ] = None,
    update: Annotated[
        bool, typer.Option("--update", help="Write the golden traces (NAME.trace beside NAME.yaml) anew.")
    ] = False,
    engine: Engine = None,
    planted: Planted = None,
) -> None:
    """Run scenarios and tell what did not hold.

    Each failure shows where it stands in the file, what was expected, what came, the events that led there, the rule
    of the product, and the command that repeats it. The last line is a digest: the same files and seed give the same
    digest on every machine.

    \b
    Examples:
      pwsync run scenarios
      pwsync run scenarios -t override,federation -j auto --junit results.xml
      pwsync run scenarios/override/admin-reset.yaml --trace --to +6m
    """
    if html is not None:
        refuse("--html comes in a later version", "until then use --junit FILE or --json FILE")
    _refuse_unwritable(junit, json, events)
    if events is not None:
        _refuse_ending(events)
    worker_count, seed_value, until, factory = jobs_of(jobs), seed_of(seed), offset_of(to), engine_of(engine)
    if worker_count > 1:
        from simulator.workers import prepare

        prepare()
    cases = chosen_cases(paths, tags, rule, profile)

    from simulator.scenario.runner import RunOptions, run_case
    from simulator.suite import unrunnable

    refuse_all(unrunnable(cases))
    _tell_left_out(cases)
    if events is not None:
        _refuse_several(cases)
    options = RunOptions(
        seed=seed_value, to=until, every_cycle=every_cycle, update=update, engine=factory, keep_events=bool(events),
        planted=planted_of(planted),
    )  # fmt: skip
    code = run_and_report(
        cases,
        partial(run_case, options=options),
        jobs=worker_count,
        again=check_determinism,
        trace=trace,
        junit=junit,
        json=json,
        events=events,
    )
    raise typer.Exit(code)


def run_and_report(
    cases: Sequence[Case],
    run_case: RunFunction,
    *,
    jobs: int = 1,
    again: bool = False,
    trace: bool = False,
    junit: Path | None = None,
    json: Path | None = None,
    events: Path | None = None,
) -> int:
    """Run the cases, print everything that there is to say, write the reports, and return the exit code.

    again: run them a second time in another process, and compare the traces.

    After Ctrl-C it tells what was found so far, and leaves reports that were there before as they are.
    """
    from simulator.cli.progress import progress
    from simulator.stopwatch import real_seconds
    from simulator.suite import exit_code
    from simulator.workers import run_cases

    started = real_seconds()
    found: dict[int, RunResult] = {}
    twice = 0
    interrupted, died = False, ""
    try:
        with (
            closing(run_cases(cases, run_case, jobs=jobs, keep_trace=trace or again)) as stream,
            progress(len(cases)) as display,
        ):
            for index, result in stream:
                found[index] = result
                display.finished(result)
        if again:
            for _ in _run_again(cases, run_case, found, jobs):
                twice += 1
    except KeyboardInterrupt:
        interrupted = True
    except SecondRunFailed as problem:
        died = str(problem)
    results = [found[index] for index in sorted(found)]
    seconds = real_seconds() - started  # Ctrl-C may leave time frozen
    _tell(results, seconds, trace)
    asked = bool(junit or json or events)
    if died:
        complain(f"error: {died}" + "; no report was written" * asked)
        return ExitCode.HARNESS_FAULT
    if interrupted:
        complain(
            f"stopped after {len(results)} of {len(cases)} scenarios"
            + f", {twice} of them run a second time" * again
            + "; no report was written" * asked
        )
        return INTERRUPTED
    if not _write_reports(results, seconds, trace, junit, json, events):
        return ExitCode.BAD_INPUT
    return exit_code(results)


class SecondRunFailed(Exception):
    """The second run could not be made to the end; the message says why."""


def _run_again(cases: Sequence[Case], run_case: RunFunction, found: dict[int, RunResult], jobs: int) -> Iterator[int]:
    """Run the cases a second time, and put what differs into the results; yields the index of each that has run.

    Raises SecondRunFailed.
    """
    from simulator.cli.progress import progress
    from simulator.determinism import SecondRunDied, compared, run_again

    complain("the same again, in another process")
    try:
        with closing(run_again(cases, run_case, jobs=jobs)) as stream, progress(len(cases)) as display:
            for index, second in stream:
                if found[index].outcome != "harness-fault":
                    found[index] = compared(found[index], second)
                display.finished(found[index])
                yield index
    except SecondRunDied as problem:
        raise SecondRunFailed(str(problem)) from None


def _tell(results: Sequence[RunResult], seconds: float, trace: bool) -> None:
    """Traces if asked for, then every failure in full, the counts, the seed and the digest."""
    from simulator.report.text import counts_text, result_text, seeds_text
    from simulator.suite import suite_digest

    for result in results if trace else ():
        say(f"trace of {result.id}" + "".join(f"\n  {line}" for line in result.trace) + "\n")
    for result in results:
        if result.outcome != "held":
            say("\n" + result_text(result))
    broken = any(result.outcome != "held" for result in results)
    say("\n" * broken + counts_text(results, seconds))
    if results:
        say(f"{seeds_text(results)}\ndigest {suite_digest(results)}")


def _tell_left_out(cases: Sequence[Case]) -> None:
    """Random runs are another command's: a file that asks for some is told of, and which command makes them."""
    files = list(dict.fromkeys(str(case.path) for case in cases if case.scenario.explore is not None))
    for file in files[:NOTES_MAX]:
        complain(f"note: the explore block of {file} is left out; its random runs are made by: pwsync explore {file}")
    if len(files) > NOTES_MAX:
        complain(f"note: so are those of {len(files) - NOTES_MAX} more files")


def _refuse_unwritable(*reports: Path | None) -> None:
    from simulator.report.files import why_not_writable

    paths = [path for path in reports if path is not None]
    if len(paths) > len({path.resolve() for path in paths}):
        refuse(f'two reports can\'t be written to one file: "{paths[0]}"')
    for path in paths:
        if reason := why_not_writable(path):
            refuse(f'can\'t write the report "{path}"', reason)


def _refuse_ending(events: Path) -> None:
    from pwsync.event_export import FORMATS

    if events.suffix.lower() not in FORMATS:
        refuse(f'can\'t tell how to write the event log "{events}"', f"end its name in {', '.join(FORMATS)}")


def _refuse_several(cases: Sequence[Case]) -> None:
    """The event log is that of one server in one run."""
    if len(cases) > 1:
        some = ", ".join(case.id for case in cases[:3]) + ", ..." * (len(cases) > 3)
        refuse(
            f"--events takes the event log of one scenario, and these are {len(cases)}: {some}",
            "name one file; choose a row with FILE::row and a profile with --profile",
        )


def _write_reports(
    results: Sequence[RunResult],
    seconds: float,
    trace: bool,
    junit: Path | None,
    json: Path | None,
    events: Path | None,
) -> bool:
    from pwsync.event_export import FORMATS
    from simulator.report.files import write_whole
    from simulator.report.json import json as as_json
    from simulator.report.junit import junit as as_junit

    path = None
    try:
        if path := junit:
            write_whole(path, as_junit(results, seconds=seconds))
        if path := json:
            write_whole(path, as_json(results, seconds=seconds, trace=trace))
        if path := events:
            write_whole(path, FORMATS[path.suffix.lower()](results[0].records))
    except OSError as error:
        complain(f'error: can\'t write the report "{path}": {error.strerror}')
        return False
    return True
