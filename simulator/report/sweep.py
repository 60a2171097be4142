"""What a sweep has found, as text, JSON and results from which other reports are made."""

from __future__ import annotations

import json as json_format
import shlex
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pwsync import __version__
from simulator.explore.kinds import WORDS
from simulator.report.text import counted, failure_text, fault_text
from simulator.scenario.result import NO_DIGEST, ExitCode, Failure, RunResult

if TYPE_CHECKING:
    from simulator.explore.rerun import Rerun
    from simulator.explore.sweep import Sweep, SweepOptions
    from simulator.scenario.file import Case

VERSION = 1

COLUMNS = {
    "cloud.token": "token",
    "cloud.set-passwords": "passwords",
    "cloud.set-objects": "objects",
    "cloud.ping": "ping",
    "directory.bind": "bind",
    "directory.search": "search",
    "directory.read-passwords": "read",
    "store.commit": "commit",
}
"""Wires, and what their columns are called."""

NAMES_MAX = 5
"""So many scenarios are named where the text tells of some."""

NOT_REACHED = "the attempt that was to fail did not come: what happens before it is not the same in every run"


def exit_code(found: Sweep) -> ExitCode:
    """What a sweep comes to: a fault of the harness outweighs whatever did not hold."""
    if found.faults or any(bad.harness_fault or not bad.reached for _, bad in found.bad):
        return ExitCode.HARNESS_FAULT
    return ExitCode.BROKE if found.bad or found.broken else ExitCode.HELD


def seed_of(case: Case, options: SweepOptions) -> int:
    """The seed that a case ran with."""
    return case.scenario.seed if options.seed is None else options.seed


def repeat_command(case: Case, options: SweepOptions, bad: Rerun | None = None) -> str:
    """The command that repeats one rerun, or the whole sweep of a case; quoted for a shell."""
    path = Path(case.path)
    with suppress(ValueError):
        path = path.resolve().relative_to(Path.cwd())
    words = ["pwsync", "sweep", f"{path}::{case.row}" if case.row else str(path)]
    if bad is not None:
        words += ["--only", f"{bad.point.name}:{bad.word}"]
    words += ["--profile", case.profile, "--seed", str(seed_of(case, options))]
    if options.engine is not None:
        words += ["--engine", options.engine]
    return shlex.join(words)


def results(found: Sweep, options: SweepOptions) -> Iterator[RunResult]:
    """A result for each case that was swept without a finding, and one for each finding."""
    bad: dict[int, list[Rerun]] = {}
    for index, each in found.bad:
        bad.setdefault(index, []).append(each)
    for index in sorted({*found.controls, *found.broken, *found.faults}):
        case = found.cases[index]
        if index in found.faults:
            yield _result(case, options, "harness-fault", fault=found.faults[index])
        elif index in found.broken:
            yield _result(case, options, "broke", found.broken[index].failures)
        elif index not in bad:
            yield _result(case, options, "held")
        for each in sorted(bad.get(index, ()), key=lambda rerun: (rerun.point.at, rerun.point.name, rerun.word)):
            yield finding(case, options, each)


def finding(case: Case, options: SweepOptions, bad: Rerun) -> RunResult:
    """One finding as a result."""
    fault = bad.harness_fault
    if fault is None and not bad.reached:
        fault = NOT_REACHED
    return _result(case, options, "broke" if fault is None else "harness-fault", bad.failures, fault, bad)


def _result(
    case: Case,
    options: SweepOptions,
    outcome: str,
    failures: tuple[Failure, ...] = (),
    fault: str | None = None,
    bad: Rerun | None = None,
) -> RunResult:
    return RunResult(
        id=case.id if bad is None else f"{case.id} {bad.point.name}:{bad.word}",
        path=str(case.path),
        title=case.scenario.scenario,
        profile=case.profile,
        seed=seed_of(case, options),
        tags=tuple(case.tags),
        rules=tuple(case.scenario.rules),
        outcome=outcome,
        failures=failures,
        trace=(),
        digest=NO_DIGEST,
        seconds=0.0,
        repeat=repeat_command(case, options, bad),
        row=case.row,
        harness_fault=fault,
    )


def findings_text(found: Sweep, options: SweepOptions) -> Iterator[str]:
    """What did not hold: of each case and kind of failure the first in full, of the others their names."""
    groups: dict[tuple[str, str], list[RunResult]] = {}
    for result in results(found, options):
        if result.outcome != "held":
            title = result.failures[0].title if result.failures else (result.harness_fault or "").splitlines()[-1:]
            groups.setdefault((result.id.partition(" ")[0], str(title)), []).append(result)
    for first, *others in groups.values():
        text = "\n\n".join(failure_text(first, failure) for failure in first.failures)
        if first.outcome == "harness-fault":
            text = fault_text(first)
        for other in others:
            text += f"\n  {'also':<9} {other.id.partition(' ')[2] or other.id}"
        yield text


def table(found: Sweep) -> str:
    """Calls by kinds: reruns, and after a ``!`` how many of them did not hold."""
    wires = [on for on in COLUMNS if found.attempts[on]]
    rows = [["", *(COLUMNS[on] for on in wires), "all"]]
    rows.append(["attempts", *(f"{found.attempts[on]}" for on in wires), f"{found.attempts.total()}"])
    rows.append(["of these failed in turn", *(f"{found.points[on]}" for on in wires), f"{found.points.total()}"])
    for word in WORDS:
        counts = [(found.reruns[on, word], found.findings[on, word]) for on in wires]
        if any(count for count, _ in counts):
            rows.append([word, *(_cell(*count) for count in counts), _cell(*_sum(counts))])
    totals = [_sum([(found.reruns[on, word], found.findings[on, word]) for word in WORDS]) for on in wires]
    rows.append(["reruns", *(_cell(*count) for count in totals), _cell(*_sum(totals))])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return "\n".join(lines)


def _sum(counts: list[tuple[int, int]]) -> tuple[int, int]:
    return sum(count for count, _ in counts), sum(bad for _, bad in counts)


def _cell(count: int, bad: int) -> str:
    return (f"{count}" if count else "") + (f" !{bad}" if bad else "")


def counts_text(found: Sweep, seconds: float) -> str:
    """How much was done and found, in one line."""
    rate = f" ({found.done / seconds:.0f} a second)" if seconds > 1 else ""
    swept = len(found.controls)
    parts = [f"{counted(swept, 'scenario')} swept: {counted(found.done, 'rerun')}, {len(found.bad)} did not hold"]
    if found.broken or found.faults:
        parts.append(f"{len(found.broken) + len(found.faults)} not swept, since they don't hold without a fault")
    return "; ".join(parts) + f", in {seconds:.2f} s{rate}"


def long_text(found: Sweep) -> str:
    """Which scenarios were not swept in full because of their length; empty if there is none."""
    names = _long(found)
    if not names:
        return ""
    some = ", ".join(names[:NAMES_MAX]) + ", ..." * (len(names) > NAMES_MAX)
    one = len(names) == 1
    return (
        f"{len(names)} of them {'lasts' if one else 'last'} longer than a day; of {'its' if one else 'their'} idle "
        f"cycles only calls to the tenant fail in turn, no reads: {some}"
    )


def _long(found: Sweep) -> list[str]:
    return [found.cases[index].id for index, control in found.controls.items() if control.is_long]


def json(found: Sweep, options: SweepOptions, *, seconds: float) -> str:
    """The whole report as JSON text. Within one ``version`` keys are only ever added.

    Findings are what a fault has broken; scenarios that were not swept, since they don't hold without one, stand apart
    in the same form. Each list is as long as its count.
    """
    unswept = {found.cases[index].id for index in (*found.broken, *found.faults)}
    bad = [result for result in results(found, options) if result.outcome != "held"]
    values = {
        "version": VERSION,
        "pwsync": __version__,
        "exit-code": int(exit_code(found)),
        "seconds": round(seconds, 3),
        "counts": {
            "scenarios": len(found.controls),
            "not-swept": len(found.broken) + len(found.faults),
            "attempts": found.attempts.total(),
            "points": found.points.total(),
            "reruns": found.done,
            "findings": len(found.bad),
        },
        "reruns": _by_wire(found),
        "findings": [_json(result) for result in bad if result.id not in unswept],
        "not-swept": [_json(result) for result in bad if result.id in unswept],
        "longer-than-a-day": _long(found),
    }
    return json_format.dumps(values, indent=2, ensure_ascii=True) + "\n"


def _by_wire(found: Sweep) -> dict[str, dict[str, dict[str, int]]]:
    table: dict[str, dict[str, dict[str, int]]] = {}
    for (on, word), count in sorted(found.reruns.items()):
        table.setdefault(on, {})[word] = {"reruns": count, "findings": found.findings[on, word]}
    return table


def _json(result: RunResult) -> dict[str, Any]:
    case, _, what = result.id.partition(" ")
    return {
        "scenario": case,
        "fault": what,
        "path": result.path,
        "profile": result.profile,
        "seed": result.seed,
        "outcome": result.outcome,
        "failures": [asdict(failure) for failure in result.failures],
        "harness-fault": result.harness_fault,
        "repeat": result.repeat,
    }
