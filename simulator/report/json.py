"""Results as JSON, for other programs. ``report.schema.json`` beside this file describes it.

Within one ``version`` keys are only ever added.
"""

from __future__ import annotations

import json as json_format
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from pwsync import __version__
from simulator.report.text import result_text
from simulator.scenario.result import RunResult
from simulator.suite import exit_code, suite_digest

VERSION = 1


def as_values(results: Sequence[RunResult], *, seconds: float, trace: bool = False) -> dict[str, Any]:
    """The report as plain values; the lines of each trace only if asked for."""
    return {
        "version": VERSION,
        "pwsync": __version__,
        "exit-code": int(exit_code(results)),
        "counts": {
            "total": len(results),
            "held": sum(result.outcome == "held" for result in results),
            "broke": sum(result.outcome == "broke" for result in results),
            "not-deterministic": sum(result.outcome == "not-deterministic" for result in results),
            "harness-fault": sum(result.outcome == "harness-fault" for result in results),
        },
        "seconds": round(seconds, 3),
        "digest": suite_digest(results),
        "results": [_result(result, trace) for result in results],
    }


def _result(result: RunResult, trace: bool) -> dict[str, Any]:
    told = replace(result, records=())  # an event log has forms and a file of its own; the key stays, and is empty
    values: dict[str, Any] = {key.replace("_", "-"): value for key, value in asdict(told).items()}
    values["seconds"] = round(result.seconds, 3)
    values["text"] = result_text(result)
    if not trace:
        del values["trace"]
    return values


def json(results: Sequence[RunResult], *, seconds: float, trace: bool = False) -> str:
    """The report as text, indented, with a line feed at its end."""
    values = as_values(results, seconds=seconds, trace=trace)
    return json_format.dumps(values, indent=2, ensure_ascii=True) + "\n"
