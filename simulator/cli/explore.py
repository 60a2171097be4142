"""``pwsync explore``: seeded random runs; what breaks is shrunk and written as a scenario."""

from __future__ import annotations

import json as json_format
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing
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
      pwsync explore scenarios/retry/lost-answer.yaml --for 30s
    """
    from simulator.cli.run import _refuse_unwritable

    _refuse_unwritable(junit, json)
    if output.exists() and not output.is_dir():
        refuse(f'"{output}" is no folder', "give one with -o FOLDER")
    first, factory, workers = seed_of(seed), engine_of(engine), jobs_of(jobs)
    limit = _duration_of(duration)
    count = _runs_of(runs)
    if workers > 1:
        from simulator.workers import prepare

        prepare(["simulator.explore.findings"])
    search = Search(output, workers, limit)
    for exploration, asked in _explorations(file, profile, factory):
        search.explore(exploration, count or asked or (ENDLESS if limit else RUNS), 1 if first is None else first)
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
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= ENDLESS:
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
    refuse_all(unrunnable(cases, timeline=False))
    found = []
    for case in cases:
        text = Path(case.path).read_text(encoding="utf-8-sig")
        base = Base(document_of(text, case.row, case.profile), case.scenario, case.path)
        asked = case.scenario.explore.runs if case.scenario.explore else None
        found.append((Exploration(base, engine), asked))
    return found


class Search:
    """All random runs of one command, and what they found."""

    def __init__(self, output: Path, jobs: int, limit: timedelta | None) -> None:
        from simulator.stopwatch import real_seconds

        self._output, self._jobs, self._limit = output, jobs, limit
        self._now = real_seconds
        self._began = real_seconds()
        self._runs = 0
        self._run_seconds = 0.0
        self._findings: list[Finding] = []
        self._interrupted = False
        self._seed = 1

    @property
    def seconds(self) -> float:
        """Real seconds since the search began."""
        return self._now() - self._began

    def explore(self, exploration: Exploration, runs: int, seed: int) -> None:
        """Run seeds from ``seed`` on; shrink and write what breaks."""
        from simulator.explore.explorer import Seeds, run_seed
        from simulator.explore.findings import first_ways
        from simulator.workers import run_cases

        if self._interrupted:
            return
        self._seed = seed
        beside = f" beside {exploration.base.path}" if exploration.base else ""
        complain(f"random runs{beside}, from seed {seed}")
        broken: list[RunResult] = []
        began = self._now()
        try:
            stream = run_cases(
                Seeds(seed, runs), partial(run_seed, exploration=exploration), jobs=self._jobs, keep_trace=False
            )
            with closing(stream), _progress(runs, self._limit) as display:
                for _, result in stream:
                    self._runs += 1
                    if result.outcome != "held":
                        broken.append(result)
                    display.finished(result)
                    if self._limit is not None and self.seconds >= self._limit.total_seconds():
                        break
        except KeyboardInterrupt:
            self._interrupted = True
        self._run_seconds += self._now() - began
        self._keep(exploration, first_ways(broken))

    def _keep(self, exploration: Exploration, broken: dict[Way, list[RunResult]]) -> None:
        """Shrink what was found and write it; after Ctrl-C only note it."""
        from simulator.explore.explorer import seed_case
        from simulator.explore.findings import Finding, chosen, collect, shrink_seed
        from simulator.workers import run_cases

        if broken and not self._interrupted:
            complain(f"shrinking {len(chosen(broken))} runs that broke something")
            with tempfile.TemporaryDirectory(prefix="pwsync-explore-") as folder:
                shrink = partial(shrink_seed, exploration=exploration, folder=folder)
                cases = [seed_case(result.seed) for result in chosen(broken)]
                try:
                    with closing(run_cases(cases, shrink, jobs=self._jobs, keep_trace=True)) as stream:
                        done = [result for _, result in sorted(stream, key=lambda pair: pair[0])]
                    whole = [result for result in done if Path(result.path).parent == Path(folder)]
                    self._findings += collect(broken, whole, self._output)
                    broken = {way: found for way, found in broken.items() if not _is_told(way, self._findings)}
                except KeyboardInterrupt:
                    self._interrupted = True
        self._findings += [Finding(way, results[0], len(results)) for way, results in broken.items()]

    def end(self, junit: Path | None, json: Path | None) -> int:
        """Tell what was found, write the reports, and return the exit code."""
        for finding in self._findings:
            say("\n" + told(finding))
        rate = f"{self._runs / self._run_seconds:.0f} a second" if self._run_seconds else "none"
        kinds = len(self._findings)
        say(f"\n{self._runs} random runs in {self._run_seconds:.1f} s ({rate}), {kinds} finding{'s' * (kinds != 1)}")
        say(f"seeds from {self._seed}")
        if self._interrupted:
            complain(f"stopped after {self._runs} runs" + "; no report was written" * bool(junit or json))
            return INTERRUPTED
        try:
            self._write(junit, json)
        except OSError as error:
            complain(f"error: can't write a report: {error.strerror}")
            return ExitCode.BAD_INPUT
        return self._code()

    def _code(self) -> int:
        outcomes = {finding.result.outcome for finding in self._findings}
        if "harness-fault" in outcomes:
            return ExitCode.HARNESS_FAULT
        return ExitCode.BROKE if outcomes else ExitCode.HELD

    def _write(self, junit: Path | None, json: Path | None) -> None:
        from simulator.report.files import write_whole
        from simulator.report.junit import junit as as_junit

        if junit is not None:
            write_whole(junit, as_junit([finding.result for finding in self._findings], seconds=self.seconds))
        if json is not None:
            values = {
                "version": 1,
                "exit-code": int(self._code()),
                "runs": self._runs,
                "seconds": round(self._run_seconds, 3),
                "seed": self._seed,
                "findings": [as_values(finding) for finding in self._findings],
            }
            write_whole(json, json_format.dumps(values, indent=2) + "\n")


def _is_told(way: Way, findings: Sequence[Finding]) -> bool:
    return any(finding.way == way for finding in findings)


def told(finding: Finding) -> str:
    """A finding as text: what broke, where its scenario is, and how to repeat it."""
    from simulator.report.text import result_text

    times = f"{finding.runs} run{'s' * (finding.runs != 1)} broke {finding.way}; the first was seed"
    lines = [f"{times} {finding.result.seed}", result_text(finding.result)]
    if finding.path is not None:
        lines.append(f"written to {finding.path}; repeat it with: {finding.result.repeat}")
    return "\n".join(lines)


def as_values(finding: Finding) -> dict[str, Any]:
    """A finding for a JSON report."""
    failures = [
        {"title": each.title, "at": each.at, "expected": each.expected, "got": each.got, "because": list(each.because)}
        for each in finding.result.failures
    ]
    return {
        "kind": finding.way.kind,
        "what": finding.way.what,
        "seed": finding.result.seed,
        "runs": finding.runs,
        "file": str(finding.path) if finding.path else None,
        "repeat": finding.result.repeat,
        "failures": failures,
        "harness-fault": finding.result.harness_fault,
    }


def _progress(runs: int, limit: timedelta | None) -> Any:
    if sys.stdout.isatty() and sys.stderr.isatty():
        return _Bar(None if limit is not None else runs)
    return _Lines(None if limit is not None else runs)


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
        from simulator.report.text import headline

        self._done += 1
        if result.outcome != "held":
            self._bad += 1
            say(headline(result))
        if self._now() - self._told >= 10:
            self._told = self._now()
            whole = f" of {self._runs}" if self._runs else ""
            rate = self._done / (self._told - self._began)
            complain(f"{self._done}{whole} runs, {rate:.0f} a second, {self._bad} broke something")


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
