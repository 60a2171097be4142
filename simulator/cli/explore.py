"""``pwsync explore``: seeded random runs; what breaks is shrunk and written as a scenario."""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from simulator.cli.console import INTERRUPTED, complain, refuse, refuse_all, say
from simulator.cli.options import Engine, Profile, Seed, chosen_cases, engine_of, jobs_of, seed_of
from simulator.scenario.result import ExitCode, RunResult

if TYPE_CHECKING:
    from simulator.explore.explorer import Exploration
    from simulator.explore.findings import Finding
    from simulator.explore.ways import Way

RUNS = 200
"""Random runs if nobody says how many."""

ENDLESS = 2**40
"""More runs than any duration has room for."""

FOUND = Path("scenarios/found")


def explore(
    file: Annotated[
        str | None,
        typer.Argument(metavar="[FILE]", help="Run beside this scenario's timeline, as its explore block says."),
    ] = None,
    runs: Annotated[
        str | None, typer.Option("--runs", metavar="N", help="How many runs; default 200, or what FILE says.")
    ] = None,
    seed: Seed = None,
    duration: Annotated[
        str | None, typer.Option("--for", metavar="DURATION", help="Go on for so long, such as 30s or 1h.")
    ] = None,
    jobs: Annotated[
        str, typer.Option("-j", "--jobs", metavar="N", help="Runs side by side; auto or 0: one per processor core.")
    ] = "auto",
    profile: Profile = None,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FOLDER", help="Where scenarios of findings are written.")
    ] = FOUND,
    junit: Annotated[Path | None, typer.Option("--junit", metavar="FILE", help="Write findings as JUnit XML.")] = None,
    json: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write findings as JSON.")] = None,
    engine: Engine = None,
) -> None:
    """Search for trouble with random runs, and write what is found as short scenarios.

    Each run draws users, changes, resets, faults, crashes and latencies from its seed; then everything is put right,
    and all must settle within an object cycle and three password cycles. The invariants judge. A run that breaks one is
    shrunk to the shortest scenario that still does and written to scenarios/found.

    \b
    Examples:
      pwsync explore
      pwsync explore --runs 20000 --seed 7 -o found
      pwsync explore scenarios/retry/crash-anywhere-loses-nothing.yaml --for 30s
    """
    from simulator.cli.run import _refuse_unwritable
    from simulator.report.files import why_no_folder

    _refuse_unwritable(junit, json)
    if reason := why_no_folder(output):
        refuse(f'findings can\'t be written to "{output}"', reason)
    first, factory, workers = seed_of(seed), engine_of(engine), jobs_of(jobs)
    limit = _duration_of(duration)
    count = _runs_of(runs)
    if workers > 1:
        from simulator.workers import prepare

        prepare(["simulator.explore.findings"])
    search = Search(output, workers)
    explorations = _explorations(file, profile, factory)
    for exploration, asked in explorations:
        until = None if limit is None else limit / len(explorations)
        runs_max = count or (asked or RUNS if limit is None else ENDLESS)
        search.explore(exploration, runs_max, 1 if first is None else first, until)
    raise typer.Exit(search.end(junit, json))


def _duration_of(text: str | None) -> timedelta | None:
    from simulator.scenario.values import parse_duration

    if text is None:
        return None
    try:
        return parse_duration(text)
    except ValueError:
        refuse(f'--for "{text}" is not a duration', "durations are written as in a scenario: 30s, 5m, 1h")


def _runs_of(text: str | None) -> int | None:
    if text is None:
        return None
    if not re.fullmatch("[0-9]{1,13}", text) or not 0 < int(text) <= ENDLESS:
        refuse(f'--runs "{text}" is not a number of runs', "give a whole number from 1")
    return int(text)


def _explorations(file: str | None, profile: str | None, engine: str | None) -> list[tuple[Exploration, int | None]]:
    """What to explore, with the number of runs that it asks for itself."""
    from simulator.explore.explorer import Base, Exploration
    from simulator.explore.writing import document_of
    from simulator.suite import split_row, unrunnable

    if file is None:
        if profile is not None:
            refuse("--profile goes with a FILE", "worlds drawn at random have a profile of their own")
        return [(Exploration(engine=engine), None)]
    cases = chosen_cases([file], None, None, profile)
    if not split_row(file)[0].is_file():
        refuse(f'"{file}" is a folder', "explore takes one scenario: FILE or FILE::row")
    refuse_all(unrunnable(cases))
    found = []
    for case in cases:
        text = Path(case.path).read_text(encoding="utf-8-sig")
        base = Base(document_of(text, case.row, case.profile), case.scenario, case.path, case.row)
        asked = case.scenario.explore.runs if case.scenario.explore else None
        found.append((Exploration(base, engine), asked))
    return found


class Search:
    """All random runs of one command, and what they found."""

    def __init__(self, output: Path, jobs: int) -> None:
        from simulator.stopwatch import real_seconds

        self._output, self._jobs = output, jobs
        self._now = real_seconds
        self._began = real_seconds()
        self._runs = 0
        self._run_seconds = 0.0
        self._findings: list[Finding] = []
        self._seeds: dict[Way, list[int]] = {}
        self._interrupted = False
        self._unwritten = ""
        self._faults: dict[str, list[int]] = {}
        self._seed = 1

    @property
    def seconds(self) -> float:
        """Real seconds since the search began."""
        return self._now() - self._began

    def explore(self, exploration: Exploration, runs: int, seed: int, until: timedelta | None = None) -> None:
        """Run seeds from ``seed`` on, ``until`` so long after the first run began; shrink and write what breaks."""
        from simulator.explore.explorer import Seeds, repeat_of, run_seed, run_seeds
        from simulator.explore.findings import first_ways
        from simulator.workers import faulted, run_stretches

        if self._interrupted:
            return
        self._seed = seed
        beside = f" beside {exploration.base.path}" if exploration.base else ""
        complain(f"random runs{beside}, from seed {seed}")
        broken: list[RunResult] = []
        began = self._now()
        try:
            seeds, alone = Seeds(seed, runs), partial(run_seed, exploration=exploration)
            stream = run_stretches(
                seeds, partial(run_seeds, exploration=exploration), seeds.stretches(), jobs=self._jobs,
                keep_trace=False, died=lambda case, why: faulted(case, alone, why),
            )  # fmt: skip
            with closing(stream), _progress(runs, until) as display:
                for number, (_, result) in enumerate(stream):
                    if number == 0:  # workers may have taken long to start
                        began = max(began, self._now() - result.seconds)
                    self._runs += 1
                    if result.outcome != "held":
                        broken.append(replace(result, repeat=repeat_of(exploration, result.seed)))
                    display.finished(result)
                    if until is not None and self._now() - began >= until.total_seconds():
                        break
        except KeyboardInterrupt:
            self._interrupted = True
        self._run_seconds += self._now() - began
        self._keep(exploration, first_ways(broken))

    def _keep(self, exploration: Exploration, broken: dict[Way, list[RunResult]]) -> None:
        """Shrink what was found and write it; after Ctrl-C, whenever it comes, the rest is only noted."""
        from simulator.explore.findings import Finding

        try:
            if broken and not self._interrupted:
                self._shrink(exploration, broken)
        except KeyboardInterrupt:
            self._interrupted = True
        told = {finding.way for finding in self._findings}
        for way, found in broken.items():
            if way not in told:
                first = found[0] if exploration.base else replace(found[0], path="")
                self._findings.append(Finding(way, first, ()))
            self._seeds.setdefault(way, []).extend(result.seed for result in found)

    def _shrink(self, exploration: Exploration, broken: dict[Way, list[RunResult]]) -> None:
        from simulator.explore.findings import chosen
        from simulator.report.text import counted

        with tempfile.TemporaryDirectory(prefix="pwsync-explore-") as folder:
            shrunk: list[RunResult] = []
            try:
                complain(f"shrinking {counted(len(chosen(broken)), 'run')} that broke something")
                for result in self._shrunk(exploration, chosen(broken), Path(folder)):
                    shrunk.append(result)
            except KeyboardInterrupt:
                self._interrupted = True
            self._collect(exploration, broken, sorted(shrunk, key=lambda each: each.seed))

    def _collect(self, exploration: Exploration, broken: dict[Way, list[RunResult]], shrunk: list[RunResult]) -> None:
        """Write the scenarios that were shrunk, those before a Ctrl-C too."""
        from simulator.explore.findings import collect

        base = None if exploration.base is None else Path(exploration.base.path)
        try:
            for finding in collect(broken, shrunk, self._output, base):
                self._findings.append(finding)
        except KeyboardInterrupt:
            self._interrupted = True
        except OSError as error:
            self._unwritten = f'error: can\'t write to "{self._output}": {error.strerror}'

    def _shrunk(self, exploration: Exploration, found: list[RunResult], folder: Path) -> Iterator[RunResult]:
        """Each run shrunk, its scenario in the folder; as it was drawn if shrinking goes wrong, which is noted."""
        from simulator.explore.explorer import seed_case
        from simulator.explore.findings import fault_path, shrink_seed, unshrunk
        from simulator.workers import FaultBoundary, run_cases

        shrink = partial(shrink_seed, exploration=exploration, folder=str(folder))
        cases = [seed_case(result.seed) for result in found]
        with closing(run_cases(cases, shrink, jobs=self._jobs, keep_trace=True)) as stream:
            for index, result in stream:
                fault = fault_path(str(folder), result.seed)
                if Path(result.path).parent == folder:
                    if fault.exists():
                        self._faults.setdefault(fault.read_text(encoding="utf-8"), []).append(result.seed)
                    yield result
                    continue
                self._faults.setdefault(result.harness_fault or "", []).append(result.seed)
                with FaultBoundary() as boundary:  # a plan that can't be drawn can't be written
                    whole = unshrunk(found[index], exploration, str(folder))
                if boundary.fault is None:
                    yield whole

    def end(self, junit: Path | None, json: Path | None) -> int:
        """Tell what was found, write the reports, and return the exit code."""
        from simulator.report.explore import told
        from simulator.report.text import counted, told_fault

        self._findings = [replace(each, seeds=tuple(self._seeds[each.way])) for each in self._findings]
        for text in told(self._findings):
            say("\n" + text)
        rate = f"{self._runs / self._run_seconds:.0f} a second" if self._run_seconds else "none"
        runs, kinds = counted(self._runs, "random run"), counted(len(self._findings), "finding")
        say(f"\n{runs} in {self._run_seconds:.1f} s ({rate}), {kinds}")
        say(f"seeds from {self._seed}")
        for fault, seeds in self._faults.items():
            named = ", ".join(str(seed) for seed in sorted(seeds))
            what = f"shrinking random run{'s' * (len(seeds) > 1)} {named} went wrong"
            complain(told_fault(f"{what}; what is written is not the shortest", fault))
        if self._interrupted:
            complain(f"stopped after {counted(self._runs, 'run')}" + "; no report was written" * bool(junit or json))
            return INTERRUPTED
        if self._unwritten:
            complain(self._unwritten)
        if not self._write(junit, json) or self._unwritten:
            return ExitCode.BAD_INPUT
        return self._code()

    def _code(self) -> int:
        outcomes = {finding.result.outcome for finding in self._findings}
        if "harness-fault" in outcomes or self._faults:
            return ExitCode.HARNESS_FAULT
        return ExitCode.BROKE if outcomes else ExitCode.HELD

    def _write(self, junit: Path | None, json: Path | None) -> bool:
        from simulator.report import explore as report
        from simulator.report.files import write_whole

        path = None
        try:
            if path := junit:
                write_whole(path, report.junit(self._findings, self._seed, self._runs, seconds=self.seconds))
            if path := json:
                write_whole(
                    path,
                    report.json(
                        self._findings, self._seed, self._runs, seconds=self._run_seconds, exit_code=self._code()
                    ),
                )
        except OSError as error:
            complain(f'error: can\'t write the report "{path}": {error.strerror}')
            return False
        return True


def _progress(runs: int, until: timedelta | None) -> Any:
    if sys.stdout.isatty() and sys.stderr.isatty():
        return _Bar(None if until is not None else runs)
    return _Lines(None if until is not None else runs)


class _Lines:
    """Plain lines: each run that broke something, and now and then how far it has come and how fast."""

    def __init__(self, runs: int | None) -> None:
        from simulator.stopwatch import real_seconds

        self._now, self._began = real_seconds, real_seconds()
        self._told = self._began
        self._runs, self._done, self._bad = runs, 0, 0

    def __enter__(self) -> _Lines:
        return self

    def __exit__(self, *reason: object) -> None:
        return None

    def finished(self, result: RunResult) -> None:
        from simulator.report.text import counted, headline

        self._done += 1
        if result.outcome != "held":
            self._bad += 1
            say(headline(result))
        if self._now() - self._told >= 10:
            self._told = self._now()
            done = f"{self._done} of {counted(self._runs, 'run')}" if self._runs else counted(self._done, "run")
            rate = self._done / (self._told - self._began)
            complain(f"{done}, {rate:.0f} a second, {self._bad} broke something")


class _Bar:
    """A bar with the number of runs, their speed, and how many broke something."""

    def __init__(self, runs: int | None) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        self._bar = Progress(
            TextColumn("exploring"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"),
            TimeElapsedColumn(), console=Console(highlight=False), transient=True, redirect_stderr=False,
        )  # fmt: skip
        self._task = self._bar.add_task("", total=runs)
        self._bad = 0

    def __enter__(self) -> _Bar:
        self._bar.start()
        return self

    def __exit__(self, *reason: object) -> None:
        self._bar.stop()

    def finished(self, result: RunResult) -> None:
        from simulator.report.text import headline

        if result.outcome != "held":
            self._bad += 1
            self._bar.console.print(headline(result), markup=False, soft_wrap=True, style="red")
        rate = self._bar.tasks[0].speed or 0
        self._bar.update(self._task, advance=1, description=f"{rate:.0f} a second, {self._bad} broke something")
