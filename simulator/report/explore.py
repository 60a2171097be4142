"""What random runs found: as text, JSON and JUnit XML. ``explore.schema.json`` beside this file describes the JSON.

Within one ``version`` of the JSON keys are only ever added.
"""

from __future__ import annotations

import json as json_format
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pwsync import __version__
from simulator.report.junit import junit as as_junit
from simulator.report.text import counted, result_text
from simulator.scenario.result import NO_DIGEST, RunResult

if TYPE_CHECKING:
    from simulator.explore.findings import Finding
    from simulator.explore.ways import Way

VERSION = 1


def told(findings: Sequence[Finding]) -> Iterator[str]:
    """Findings as text, those of one way together: what broke how often, where scenarios are, how to repeat them."""
    ways: dict[Way, list[Finding]] = {}
    for finding in findings:
        ways.setdefault(finding.way, []).append(finding)
    for way, found in ways.items():
        head = f"{counted(found[0].runs, 'run')} broke {way}; the first was seed {min(found[0].seeds)}"
        head += f"; {len(found)} kinds of it were found" * (len(found) > 1)
        yield head + "\n" + "\n\n".join(_told(finding) for finding in found)


def _told(finding: Finding) -> str:
    lines = [result_text(finding.result)]
    if finding.path is not None:
        lines.append(f"written to {finding.path}; repeat it with: {finding.result.repeat}")
    if finding.note:
        lines.append(finding.note)
    return "\n".join(lines)


def json(findings: Sequence[Finding], seed: int, runs: int, *, seconds: float, exit_code: int) -> str:
    """The report as JSON text. seed: of the first run; seconds: what the runs took, without shrinking."""
    values = {
        "version": VERSION,
        "pwsync": __version__,
        "exit-code": int(exit_code),
        "seed": seed,
        "runs": runs,
        "seconds": round(seconds, 3),
        "findings": [_values(finding) for finding in findings],
    }
    return json_format.dumps(values, indent=2, ensure_ascii=True) + "\n"


def _values(finding: Finding) -> dict[str, Any]:
    result = finding.result
    return {
        "kind": finding.way.kind,
        "what": finding.way.what,
        "seed": result.seed,
        "runs": finding.runs,
        "profile": result.profile,
        "outcome": result.outcome,
        "file": str(finding.path) if finding.path else None,
        "repeat": result.repeat,
        "failures": [asdict(failure) for failure in result.failures],
        "harness-fault": result.harness_fault,
        "text": result_text(result),
    }


def junit(findings: Sequence[Finding], seed: int, runs: int, *, seconds: float) -> str:
    """A test case for each finding; where there is none, one for all runs, since build servers want to see a test."""
    return as_junit([finding.result for finding in findings] or [_held(seed, runs, seconds)], seconds=seconds)


def _held(seed: int, runs: int, seconds: float) -> RunResult:
    """All runs as one that held."""
    return RunResult(
        id="explore/random-runs",
        path="",
        title=f"{counted(runs, 'random run')} from seed {seed}",
        profile="",
        seed=seed,
        tags=(),
        rules=(),
        outcome="held",
        failures=(),
        trace=(),
        digest=NO_DIGEST,
        seconds=seconds,
        repeat=f"pwsync explore --seed {seed} --runs {runs}",
    )
