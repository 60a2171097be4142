"""``pwsync sweep``: every attempt of every scenario fails in turn, in each way that fits it."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from simulator.cli.console import INTERRUPTED, Paths, complain, refuse, refuse_all, say
from simulator.cli.options import Engine, Profile, Rule, Seed, Tags, chosen_cases, engine_of, jobs_of, seed_of
from simulator.scenario.result import ExitCode

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from simulator.explore.sweep import Only, Sweep, SweepOptions


def sweep(
    paths: Paths,
    tags: Tags = None,
    rule: Rule = None,
    profile: Profile = None,
    seed: Seed = None,
    jobs: Annotated[
        str, typer.Option("-j", "--jobs", metavar="N", help="Rerun N at a time; auto or 0: one per processor core.")
    ] = "auto",
    only: Annotated[
        str | None,
        typer.Option(
            "--only",
            metavar="WHAT",
            help="Only these reruns: WIRE[@OFFSET[#N]][:KIND], such as cloud.set-passwords@+2m:lose-response.",
        ),
    ] = None,
    every: Annotated[
        bool, typer.Option("--every-attempt", help="Of cycles that are alike, too, let every attempt fail.")
    ] = False,
    sample: Annotated[
        str | None, typer.Option("--sample", metavar="N", help="Only N reruns, evenly spread; --seed chooses which.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FOLDER", help="Write what did not hold as scenario files."),
    ] = None,
    junit: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="Write the results as JUnit XML.")
    ] = None,
    json: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the results as JSON.")] = None,
    engine: Engine = None,
) -> None:
    """Let every call and every commit of scenarios fail in turn, and tell what does not recover.

    Each scenario runs once without a fault, then once for each attempt on a wire and each way in which that can fail.
    Then faults are off, and all may settle. Invariants must hold all the time; what the scenario expects of passwords,
    users and queues, and what stands at its end without the fault, must stand with it.

    Not everything takes its turn: of cycles that are alike, the first and the last (--every-attempt: all); of the
    users of a batch, the first and the last have result-2 and result-5. In a scenario longer than a day, idle cycles
    are passed by: their calls to the tenant fail, what they read does not, whatever the options.

    \b
    Examples:
      pwsync sweep scenarios/retry
      pwsync sweep scenarios --sample 2000 --junit results.xml
      pwsync sweep FILE --only cloud.set-passwords@+2m:lose-response
    """
    from simulator.explore.sweep import SweepOptions
    from simulator.report.files import why_no_folder
    from simulator.suite import unrunnable

    _refuse_unwritable(junit, json)
    if output is not None and (reason := why_no_folder(output)):
        refuse(f'findings can\'t be written to "{output}"', reason)
    worker_count, seed_value, factory = jobs_of(jobs), seed_of(seed), engine_of(engine)
    cases = chosen_cases(paths, tags, rule, profile)
    refuse_all(unrunnable(cases))
    options = SweepOptions(
        seed=seed_value,
        engine=factory,
        every=every,
        only=_only(only),
        sample=_sample(sample),
        sample_seed=1 if seed_value is None else seed_value,
    )
    raise typer.Exit(_sweep(cases, options, worker_count, output, junit, json))


def _only(text: str | None) -> Only:
    from simulator.explore.kinds import WORDS, kind_of
    from simulator.explore.sweep import Only, read_only
    from simulator.report.sweep import COLUMNS
    from simulator.scenario.errors import suggest

    if text is None:
        return Only()
    try:
        only = read_only(text)
    except ValueError:
        refuse(f'--only "{text}" names no attempt', "such as cloud.set-passwords@+2m:lose-response, or :crash-after")
    if only.on and only.on not in COLUMNS:
        refuse(f'--only: there is no wire "{only.on}"', suggest(only.on, COLUMNS, f"wires are {', '.join(COLUMNS)}"))
    if only.word and kind_of(only.word) not in WORDS:
        refuse(f'--only: there is no kind "{only.word}"', suggest(only.word, WORDS, f"kinds are {', '.join(WORDS)}"))
    return only


def _sample(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 9 or int(text) == 0:
        refuse(f'--sample "{text}" is not a number of reruns', "give a whole number from 1")
    return int(text)


def _refuse_unwritable(*reports: Path | None) -> None:
    from simulator.report.files import why_not_writable

    for path in reports:
        if path is not None and (reason := why_not_writable(path)):
            refuse(f'can\'t write the report "{path}"', reason)


def _sweep(
    cases: tuple[object, ...],
    options: SweepOptions,
    jobs: int,
    output: Path | None,
    junit: Path | None,
    json: Path | None,
) -> int:
    """Sweep, print everything that there is to say, write the reports, and return the exit code."""
    from concurrent.futures.process import BrokenProcessPool

    from simulator.explore.sweep import Sweep
    from simulator.explore.sweep import sweep as run
    from simulator.report import sweep as report
    from simulator.report.text import counted
    from simulator.stopwatch import stopwatch

    found, interrupted, died = Sweep(cases), False, False  # type: ignore[arg-type]
    with stopwatch() as watch, Display(len(cases)) as display:
        try:
            with closing(run(cases, options, jobs=jobs)) as stream:  # type: ignore[arg-type]
                for found in stream:
                    display.show(found, options)
        except KeyboardInterrupt:
            interrupted = True
        except BrokenProcessPool:
            died = True
    for text in report.findings_text(found, options):
        say("\n" + text)
    say("\n" * bool(found.bad or found.broken or found.faults) + report.table(found))
    say(report.counts_text(found, watch.seconds))
    if text := report.long_text(found):
        say(text)
    is_written = output is None or _write_findings(found, options, output)
    if interrupted:
        complain(
            f"stopped after {found.done} of {counted(found.planned, 'rerun')}"
            + "; no report was written" * bool(junit or json)
        )
        return INTERRUPTED
    if not found.planned and not found.broken and not found.faults and not died:
        complain("nothing was rerun: no attempt is named so" if options.only.on or options.only.word else "no attempts")
    if not _write_reports(found, options, watch.seconds, junit, json) or not is_written:
        return ExitCode.BAD_INPUT
    if died:
        complain("fault: a process that ran scenarios died; what it had to do was left undone")
        return ExitCode.HARNESS_FAULT
    return report.exit_code(found)


def _write_findings(found: Sweep, options: SweepOptions, folder: Path) -> bool:
    from simulator.explore.finding_file import write_findings

    try:
        for each in write_findings(found, options, folder):
            if each.problem:
                say(f"did not write {each.path}: {each.problem}")
            else:
                say(f"wrote {each.path}" + f"; {each.note}" * bool(each.note))
    except OSError as error:
        complain(f'error: can\'t write to "{folder}": {error.strerror}')
        return False
    return True


def _write_reports(found: Sweep, options: SweepOptions, seconds: float, junit: Path | None, json: Path | None) -> bool:
    from simulator.report import sweep as report
    from simulator.report.files import write_whole
    from simulator.report.junit import junit as as_junit

    path = None
    try:
        if path := junit:
            write_whole(path, as_junit(list(report.results(found, options)), seconds=seconds))
        if path := json:
            write_whole(path, report.json(found, options, seconds=seconds))
    except OSError as error:
        complain(f'error: can\'t write the report "{path}": {error.strerror}')
        return False
    return True


class Display:
    """Shows findings as they come, and how far it is: a bar where people look on, else a line now and then."""

    def __init__(self, cases: int) -> None:
        self._cases = cases
        self._told = 0
        self._step = 0
        self._bar: Bar | None = None

    def __enter__(self) -> Display:
        if sys.stdout.isatty() and sys.stderr.isatty():
            from simulator.cli.progress import new_bar

            self._bar = new_bar()
            self._task = self._bar.add_task("running without faults", total=self._cases)
            self._bar.start()
        return self

    def __exit__(self, *reason: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self, found: Sweep, options: SweepOptions) -> None:
        """Show what is new."""
        from simulator.report.sweep import finding
        from simulator.report.text import counted, headline

        for index, bad in found.bad[self._told :]:
            line = headline(finding(found.cases[index], options, bad))
            if self._bar is not None:
                self._bar.console.print(line, markup=False, soft_wrap=True, style="red")
            else:
                say(line)
        self._told = len(found.bad)
        if self._bar is not None:
            done = len(found.controls) + len(found.broken) + len(found.faults)
            if found.planned:
                word = f"{len(found.bad)} did not hold" if found.bad else "all held"
                self._bar.update(self._task, total=found.planned, completed=found.done, description=word)
            else:
                self._bar.update(self._task, completed=done)
        elif found.planned and (step := 20 * found.done // found.planned) > self._step:
            self._step = step
            complain(f"{found.done} of {counted(found.planned, 'rerun')}, {len(found.bad)} did not hold")
