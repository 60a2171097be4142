"""A finding of a sweep as a plain scenario file, which fails the same way under ``pwsync run``.

The injected fault becomes the first of ``faults``, by the number of its attempt; the scenario's own faults end with its
timeline. What is expected in mid-course is left out, since a fault may change it. Then comes the calm ending, line by
line, and at its end what did not stand.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulator.explore.endings import BREATH
from simulator.explore.kinds import rule
from simulator.explore.own_files import copy_beside, kept_text, place_for, signed
from simulator.explore.rerun import Point, Rerun, SweptRun
from simulator.explore.writing import BadDocument, Document, Quoted, case_of, document_of, text_of
from simulator.network import Attempt
from simulator.report.files import write_whole
from simulator.scenario.base import key_of
from simulator.scenario.runner import RunOptions, run_case
from simulator.scenario.values import format_duration, format_offset

if TYPE_CHECKING:
    from simulator.explore.sweep import Sweep, SweepOptions
    from simulator.scenario.file import Case
    from simulator.scenario.result import Failure

EXACT = "the file does not fail the same way: what happens there can't be written down"


@dataclass(frozen=True)
class Written:
    """What became of a finding's file. problem: why none that fails the same way can be written; note: what else."""

    path: Path
    problem: str = ""
    note: str = ""


def write_findings(found: Sweep, options: SweepOptions, folder: Path) -> Iterator[Written]:
    """Write a file for the first finding of each case and kind of failure. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    seen = set()
    for index, bad in found.bad:
        if not bad.failures or (index, bad.failures[0].title) in seen:
            continue
        seen.add((index, bad.failures[0].title))
        case = found.cases[index]
        wanted = folder / file_name(case, bad)
        path = place_for(wanted, _directory_of(case))
        try:
            text = finding_text(case, bad, options, path)
        except BadDocument as problem:
            yield Written(wanted, str(problem))
            continue
        write_whole(path, signed(text))
        yield Written(path, note="" if path == wanted else kept_text(wanted))


def _directory_of(case: Case) -> Path | None:
    directory = case.scenario.given.directory
    return None if directory is None else Path(case.path).parent / directory


def file_name(case: Case, bad: Rerun) -> str:
    """A name that tells which scenario and which fault."""
    words = f"{case.id}-{bad.point.name}-{bad.word}"
    return re.sub(r"[^A-Za-z0-9.]+", "-", words).strip("-").replace(".", "-").lower() + ".yaml"


def finding_text(case: Case, bad: Rerun, options: SweepOptions, path: Path) -> str:
    """The text of the file at ``path``. Raises BadDocument if it would not fail the same way."""
    failure = bad.failures[0]
    document = document_of(Path(case.path).read_text("utf-8-sig"), case.row, case.profile)
    if options.seed is not None:
        document["seed"] = str(options.seed)
    _tell(document, bad, failure)
    _add_faults(document, bad, _number(case, bad.point, options))
    _rewrite_timeline(document, case, bad)
    bring_along(document, Path(case.path), path)
    written = case_of(document, path)
    result = run_case(written, RunOptions(engine=options.engine))
    wanted = failure.title.removesuffix(" does not stand at the end")
    if not any(each.title == wanted for each in result.failures):
        raise BadDocument(EXACT)
    return text_of(document)


def _tell(document: Document, bad: Rerun, failure: Failure) -> None:
    document["scenario"] = f"{document['scenario']}, with {bad.word} of {bad.point.name}"
    document["why"] = (
        f"Found by a sweep: {failure.title} at {failure.at}. Expected: {failure.expected}. Got: {failure.got}."
    )


def _number(case: Case, point: Point, options: SweepOptions) -> int:
    """The how manieth attempt of its wire it is, counted from +0s as ``call`` counts: with idle cycles in full."""
    run = SweptRun(case, RunOptions(seed=options.seed, engine=options.engine, every_cycle=True))
    armed = _Counter(point, run.world.start + point.at)
    run.world.network.watchers.append(armed.watch)
    run.run()
    if not armed.number:
        raise BadDocument("the attempt does not come when idle cycles are run in full")
    return armed.number


class _Counter:
    """Counts the attempts of a point's wire up to the point, which begins at ``moment``."""

    def __init__(self, point: Point, moment: datetime) -> None:
        self._point = point
        self._moment = moment
        self.number = 0
        self._count = self._there = 0

    def watch(self, attempt: Attempt) -> None:
        """Note an attempt that has ended."""
        if attempt.on != self._point.on:
            return
        self._count += 1
        if attempt.started == self._moment:
            self._there += 1
            if self._there == self._point.number:
                self.number = self._count


def _add_faults(document: Document, bad: Rerun, number: int) -> None:
    faults: list[Any] = []
    last = format_offset(bad.ended)
    for index, each in enumerate(document.get("faults") or ()):
        if index in bad.fired:
            between = each.get("between")
            faults.append({**each, "between": [between[0], last] if between else ["+0s", last]})
    timeline = document.pop("timeline", [])
    document["faults"] = [_fault(bad, number), *faults]
    document["timeline"] = timeline


def _fault(bad: Rerun, number: int) -> Document:
    found = rule(bad.point.on, bad.word, None if "=" in bad.word else number)
    values = {key_of(name): getattr(found, name) for name in type(found).model_fields if name in found.model_fields_set}
    if "=" in bad.word:  # calls are counted by the batches that carry the user
        values["between"] = [bad.point.at, bad.point.at]
    return {key: _text(value) for key, value in values.items()}


def _rewrite_timeline(document: Document, case: Case, bad: Rerun) -> None:
    """The same actions, each an entry of its own that tells if it is refused; then the ending."""
    refused = dict(bad.refused)
    steps: list[Any] = []
    for index, step in enumerate(document.get("timeline") or ()):
        for number, what in enumerate(step.get("do") or ()):
            entry = {"at": step["at"], "do": [what]}
            reason = refused.get((index, number))
            if reason is not None:
                entry["expect"] = [{"refused": reason}]
            steps.append(entry)
    if bad.released:
        at = format_offset(bad.settled + BREATH)
        steps.append({"at": at, "do": [{each.name: _arguments(each)} for each in bad.released]})
    steps.append({"at": _last(bad, steps), "expect": [_final(document, case, bad.failures[0])]})
    document["timeline"] = steps


def _last(bad: Rerun, steps: list[Any]) -> str:
    from simulator.scenario.values import parse_offset

    ends = [parse_offset(bad.failures[0].at), *(parse_offset(step["at"]) for step in steps[-1:])]
    return format_offset(max(ends))


def _final(document: Document, case: Case, failure: Failure) -> Document:
    """What did not stand; of a broken invariant, an expectation that always holds, to run up to there."""
    if failure.kind == "expectation" and failure.position is not None:
        for index, step in enumerate(case.scenario.timeline):
            for number, what in enumerate(step.expect):
                if what.position == failure.position:
                    return dict(document["timeline"][index]["expect"][number])
    return {"agent.cycles": {"count": "0+"}}


def _arguments(what: Any) -> Document:
    return {key_of(name): _text(getattr(what, name)) for name in sorted(what.model_fields_set)}


def _text(value: Any) -> Any:
    """A value as a file says it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, timedelta):
        return format_duration(value)
    if isinstance(value, list | tuple):
        return [format_offset(each) if isinstance(each, timedelta) else str(each) for each in value]
    return str(value)


def bring_along(document: Document, base: Path, path: Path) -> bool:
    """Copy the directory that a scenario at ``base`` reads beside the new file at ``path``, and name it there.

    Returns whether it reads one. Raises OSError.
    """
    given = document.get("given")
    if not isinstance(given, dict) or "directory" not in given:
        return False
    source = base.parent / str(given["directory"])
    target = copy_beside(path, source)
    shutil.copyfile(source, target)
    given["directory"] = Quoted(target.name)
    return True
