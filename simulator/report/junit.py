"""Results as JUnit XML, in the shape that build servers read.

One ``testsuite`` per folder, one ``testcase`` per case with ``file``, ``line`` and ``time``; ``failure`` (or ``error``,
for a fault of the harness) holds the text that the command line shows; ``properties`` hold rules, tags, seed, digest
(of a run that has a trace), and for each fault how often it fired.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePath
from xml.etree import ElementTree

from simulator.report.text import headline, result_text
from simulator.scenario.result import NO_DIGEST, RunResult

FAILURES = frozenset({"broke", "not-deterministic"})
"""Outcomes that are the scenario's or the agent's, and no fault of the harness."""

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def clean(text: str) -> str:
    r"""The text with every character that XML 1.0 forbids written as ``\x07`` or ``\ud800``."""
    return _NOT_XML.sub(lambda found: ascii(found[0])[1:-1], text)


def junit(results: Sequence[RunResult], *, seconds: float) -> str:
    """The whole report. ``seconds`` is the wall time of the whole run."""
    root = ElementTree.Element("testsuites", {"name": "pwsync", **_counts(results), "time": f"{seconds:.3f}"})
    suites: dict[str, list[RunResult]] = {}
    for result in results:
        suites.setdefault(_folder(result), []).append(result)
    for name, members in suites.items():
        spent = sum(result.seconds for result in members)
        suite = ElementTree.SubElement(
            root, "testsuite", {"name": clean(name), **_counts(members), "skipped": "0", "time": f"{spent:.3f}"}
        )
        for result in members:
            suite.append(_testcase(name, result))
    ElementTree.indent(root)
    text: str = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _folder(result: RunResult) -> str:
    return ".".join(PurePath(result.id.split("::")[0]).parts[:-1]) or "scenarios"


def _counts(results: Sequence[RunResult]) -> dict[str, str]:
    return {
        "tests": str(len(results)),
        "failures": str(sum(result.outcome in FAILURES for result in results)),
        "errors": str(sum(result.outcome == "harness-fault" for result in results)),
    }


def _testcase(suite: str, result: RunResult) -> ElementTree.Element:
    positions = [failure.position.line for failure in result.failures if failure.position]
    case = ElementTree.Element(
        "testcase",
        {
            "name": clean(result.id),
            "classname": clean(suite),
            "file": clean(result.path),
            "line": str(positions[0] if positions else 1),
            "time": f"{result.seconds:.3f}",
        },
    )
    properties = ElementTree.SubElement(case, "properties")
    for name, value in _properties(result):
        ElementTree.SubElement(properties, "property", {"name": name, "value": clean(value)})
    if result.outcome != "held":
        kind = "failure" if result.outcome in FAILURES else "error"
        element = ElementTree.SubElement(case, kind, {"type": result.outcome, "message": clean(headline(result))})
        element.text = clean(result_text(result))
    return case


def _properties(result: RunResult) -> list[tuple[str, str]]:
    return [
        ("title", result.title),
        ("profile", result.profile),
        ("rules", " ".join(result.rules)),
        ("tags", " ".join(result.tags)),
        ("seed", str(result.seed)),
        *([("digest", result.digest)] if result.digest != NO_DIGEST else []),
        ("repeat", result.repeat),
        *(("fault", told) for told in result.faults_fired),
    ]
