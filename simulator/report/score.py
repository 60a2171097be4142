"""A score as text, as JSON and as JUnit XML: who noticed which planted bug, and which bugs nobody noticed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from pwsync import __version__
from simulator.report.junit import clean

if TYPE_CHECKING:
    from simulator.planted.plant import Plant
    from simulator.planted.score import Score
    from simulator.planted.trial import Catch, Unsound, Verdict

VERSION = 1
SHOWN = 3
"""Catches of one bug that the text names; the others are counted."""

SUBTLE = 3
"""A bug is subtle if no more scenarios than this notice it."""


def plant_text(plant: Plant) -> str:
    """A bug in words: what it is, and what for."""
    return f"{plant.name}: {plant.wrong} {plant.hurts}\n    at {plant.target}; breaks {', '.join(plant.rules)}"


def verdict_text(verdict: Verdict, *, whole: bool) -> str:
    """One line on one bug: who noticed."""
    if not verdict.catches:
        return f"{verdict.plant}: MISSED by {_runs(verdict.tried)}" + _notes(verdict)
    first = one_a_file(verdict)
    told = "; ".join(f"{catch.case}: {catch.by} at {catch.at}" for catch in first[:SHOWN])
    more = f"; and {len(first) - SHOWN} more" if len(first) > SHOWN else ""
    count = f" ({len(first)} scenario{'s' * (len(first) != 1)})" if whole else ""
    return f"{verdict.plant}{count}: {told}{more}" + _notes(verdict)


def one_a_file(verdict: Verdict) -> list[Catch]:
    """The first catch of each scenario file."""
    found: dict[str, Catch] = {}
    for catch in verdict.catches:
        found.setdefault(catch.file, catch)
    return list(found.values())


def unsound_text(unsound: Unsound) -> str:
    """One scenario that can't tell of bugs, and why, with the command that shows it."""
    return f"{unsound.case}: {unsound.by}" + f" at {unsound.at}" * bool(unsound.at) + _repeat(unsound)


def _repeat(unsound: Unsound) -> str:
    return f"\n    repeat: {unsound.repeat}" if unsound.repeat else ""


def _runs(count: int) -> str:
    return f"{count} run{'s' * (count != 1)}"


def _notes(verdict: Verdict) -> str:
    return "".join(f"\n    note: {note}" for note in dict.fromkeys(verdict.notes))


def score_text(score: Score) -> str:
    """The whole score: a table area by area, what was not noticed, the scenarios that do not count, then the counts."""
    return "\n".join([*_table(score), *_unreached(score), *_missed(score), *unsound_lines(score), *_counts(score)])


def _table(score: Score) -> Iterator[str]:
    area = ""
    for name, plant in score.plants.items():
        verdict = score.verdicts.get(name)
        if verdict is None or not verdict.catches:
            continue
        if plant.area != area:
            area = plant.area
            yield f"\n{area}"
        yield f"  {verdict_text(verdict, whole=score.whole)}"


def _unreached(score: Score) -> Iterator[str]:
    if score.unreached:
        yield f"\nnot known to reach {score.engine}: bugs of pwsync's own agent, in code not seen to run"
    for name in score.unreached:
        yield f"  {name}: at {score.plants[name].target}"


def _missed(score: Score) -> Iterator[str]:
    if score.missed:
        yield "\nmissed"
    for name in score.missed:
        yield f"  {plant_text(score.plants[name])}".replace("\n", "\n  ")
        yield f"    held in {_held_in(score.verdicts[name].tried)}" + _notes(score.verdicts[name]).replace("\n", "\n  ")


def _held_in(tried: int) -> str:
    if not tried:
        return "no run: no scenario that holds comes to it"
    return "the one run" if tried == 1 else f"all {tried} runs"


def unsound_lines(score: Score) -> Iterator[str]:
    """The scenarios that do not count, line by line; nothing if all do."""
    if score.unsound:
        yield "\nnot counted, since they do not hold without a bug"
    for unsound in score.unsound.values():
        yield f"  {unsound_text(unsound)}"


def _counts(score: Score) -> Iterator[str]:
    tried = sum(verdict.tried for verdict in score.verdicts.values())
    yield (
        f"\n{len(score.noticed)} of {len(score.plants)} planted bug{'s' * (len(score.plants) != 1)} "
        f"{'was' if 1 in (len(score.noticed), len(score.plants)) else 'were'} noticed, {len(score.missed)} missed"
        + (f", {len(score.unreached)} not known to reach the agent" if score.unreached else "")
        + (f", {len(score.untried)} not tried" if score.untried else "")
        + f"; {_runs(tried)}"
    )
    if count := len(score.unsound):
        do, were = ("s do", "were") if count != 1 else (" does", "was")
        yield f"{count} scenario{do} not hold without a bug, and {were} not counted"
    if score.whole:
        subtle = [name for name in score.noticed if len(score.verdicts[name].files) <= SUBTLE]
        are, them = ("is", "it") if len(subtle) == 1 else ("are", "them")
        yield f"{len(subtle)} {are} subtle: no more than {SUBTLE} scenarios notice {them}"
    broken = {rule for plant in score.plants.values() for rule in plant.rules}
    shown = score.shown()
    if len(broken) == 1:
        yield f"{len(shown)} of 1 rule that is broken has a scenario that names it and noticed"
    else:
        yield f"{len(shown)} of {len(broken)} rules that are broken have a scenario that names them and noticed"
    if lacking := sorted(broken - set(shown)):
        yield f"  without: {', '.join(lacking)}"


def as_values(score: Score, *, seconds: float) -> dict[str, Any]:
    """The score as plain values. Within one ``version`` keys are only ever added."""
    return {
        "version": VERSION,
        "pwsync": __version__,
        "whole": score.whole,
        "engine": score.engine,
        "counts": {
            "total": len(score.plants),
            "noticed": len(score.noticed),
            "missed": len(score.missed),
            "untried": len(score.untried),
            "unsound": len(score.unsound),
            "unreached": len(score.unreached),
        },
        "seconds": round(seconds, 3),
        "rules": score.shown(),
        "bugs": [_bug(score, name) for name in score.plants],
        "unsound": [
            {"case": each.case, "by": each.by, "at": each.at, "repeat": each.repeat} for each in score.unsound.values()
        ],
    }


def _bug(score: Score, name: str) -> dict[str, Any]:
    plant, verdict = score.plants[name], score.verdicts.get(name)
    catches = [] if verdict is None else verdict.catches
    return {
        "name": name,
        "area": plant.area,
        "wrong": plant.wrong,
        "hurts": plant.hurts,
        "rules": list(plant.rules),
        "at": plant.target,
        "outcome": _outcome(score, name),
        "tried": 0 if verdict is None else verdict.tried,
        "scenarios": 0 if verdict is None else len(verdict.files),
        "notes": [] if verdict is None else list(verdict.notes),
        "catches": [{"case": catch.case, "by": catch.by, "at": catch.at, "repeat": catch.repeat} for catch in catches],
    }


def _outcome(score: Score, name: str) -> str:
    lists = {"noticed": score.noticed, "missed": score.missed, "unreached": score.unreached, "untried": score.untried}
    return next(word for word, names in lists.items() if name in names)


def as_json(score: Score, *, seconds: float) -> str:
    """The score as JSON text."""
    return json.dumps(as_values(score, seconds=seconds), indent=2, ensure_ascii=True) + "\n"


def as_junit(score: Score, *, seconds: float) -> str:
    """The score as JUnit XML: one test case a bug, which fails if nobody noticed the bug.

    A scenario that does not hold without a bug is a test case too, which fails.
    """
    counts = {
        "tests": str(len(score.plants) + len(score.unsound)),
        "failures": str(len(score.missed) + len(score.unsound)),
        "errors": "0",
    }
    counts["skipped"] = str(len(score.untried) + len(score.unreached))
    root = ElementTree.Element("testsuites", {"name": "pwsync score", **counts, "time": f"{seconds:.3f}"})
    suite = ElementTree.SubElement(root, "testsuite", {"name": "planted", **counts, "time": f"{seconds:.3f}"})
    for name, plant in score.plants.items():
        verdict = score.verdicts.get(name)
        spent = 0.0 if verdict is None else verdict.seconds
        place = {"name": name, "classname": f"planted.{plant.area}", "time": f"{spent:.3f}"}
        case = ElementTree.SubElement(suite, "testcase", place)
        if verdict is None:
            ElementTree.SubElement(case, "skipped")
        elif _outcome(score, name) == "unreached":
            ElementTree.SubElement(case, "skipped", {"message": "not known to reach the agent under test"})
        elif not verdict.catches:
            failure = ElementTree.SubElement(case, "failure", {"type": "missed", "message": "nobody noticed the bug"})
            failure.text = clean(plant_text(plant))
        else:
            ElementTree.SubElement(case, "system-out").text = clean(verdict_text(verdict, whole=score.whole))
    for unsound in score.unsound.values():
        place = {"name": unsound.case, "classname": "planted.unsound", "time": "0.000"}
        case = ElementTree.SubElement(suite, "testcase", place)
        failure = ElementTree.SubElement(case, "failure", {"type": "unsound", "message": "does not hold without a bug"})
        failure.text = clean(unsound_text(unsound))
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'
