"""Shorter scenarios that still fail in the same way: what is not needed for the failure is taken out, piece by piece.

A scenario is shrunk as a document. Candidates come from the :data:`REDUCTIONS`; each is written as text,
read again and run, and taken if it fails in the same way, in no other that was not there before, and is smaller by
:func:`size`. Lists are thinned out by delta debugging (Zeller and Hildebrandt, 2002): halves first, then ever smaller
parts. The rounds end when none of them finds anything more, or the number of runs is used up.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from simulator.explore.document_parts import tidy
from simulator.explore.plans import END
from simulator.explore.reductions import Reduction, View
from simulator.explore.removals import cut_end, fewer_domains, fewer_users, inner_lists, only_the_failure, parts, thin
from simulator.explore.simplifications import (
    default_profile,
    earlier,
    fewer_keys,
    last_at_the_end,
    numbers,
    passwords,
    simpler_passwords,
    simpler_values,
)
from simulator.explore.ways import Way, way_of, ways_of
from simulator.explore.writing import BadDocument, Document, case_of, text_of
from simulator.scenario.file import Case
from simulator.scenario.result import RunResult
from simulator.scenario.runner import RunOptions, run_case
from simulator.scenario.values import parse_duration
from simulator.workers import FaultBoundary

REDUCTIONS: tuple[Reduction, ...] = (
    cut_end,
    only_the_failure,
    thin(lambda document: [("faults",)]),
    thin(lambda document: [("timeline",)]),
    fewer_users,
    fewer_domains,
    thin(parts),
    fewer_keys,
    thin(inner_lists),
    default_profile,
    earlier,
    last_at_the_end,
    simpler_values,
    simpler_passwords,
)
"""All reductions in the order of what they save."""

RUNS_MAX = 3000
"""Most runs for one scenario."""

CHARACTER_SECONDS = 120
"""How many seconds less make up for a time that is longer to write."""

MARK = "Shrunk from "
"""Stands in the reason of every scenario that the command has written."""

Told = Callable[[int, Document], None]


class Holds(Exception):
    """The scenario does not fail, so there is nothing to shrink; the text says so."""


@dataclass(frozen=True)
class Shrunk:
    """A shrunk scenario: the document, what its run came to, the way in which it fails, and how many runs it took."""

    document: Document
    result: RunResult
    way: Way
    runs: int


def first_way(result: RunResult) -> Way:
    """The way to keep: of the first thing that did not hold. Raises Holds."""
    found = ways_of(result)
    if found:
        return found[0]
    if result.outcome == "broke":
        raise Holds("only its golden trace differs, and a shorter scenario has another")
    raise Holds("it holds")


def nth_way(result: RunResult, number: int) -> Way:
    """The way of the nth thing that did not hold, from 1, as they are told. Raises Holds."""
    first_way(result)
    told = [failure for failure in result.failures if ways_of(replace(result, failures=(failure,)))]
    if number > len(told):
        raise Holds(f"it has {len(told)} failure{'s' * (len(told) != 1)} to shrink, and no number {number}")
    return way_of(told[number - 1])


def shrunk_why(document: Document, source: str, way: Way, engine: str | None) -> Document:
    """The document with where it comes from behind its reason."""
    before = re.sub(rf" *{MARK}\S+; it fails(?: with --engine \S+)?: .*\Z", "", document["why"].strip(), flags=re.S)
    told = f"{MARK}{source}; it fails" + f" with --engine {engine}" * (engine is not None) + f": {way}."
    stop = "." * (before != "" and before[-1] not in ".!?:")
    return {**document, "why": f"{before}{stop} {told}".strip()}


class Shrinker:
    """Shrinks one document.

    path: where the scenario stands (files beside it are looked for there). engine: the agent under test; a candidate
    in which pwsync's own agent fails in the same way is then no better example and is not taken, unless the first one
    was like that. way: what to keep; by default that of the failure with this number, from 1, or of the first. told:
    is told of each run, and the best so far.

    What goes wrong in one of the reductions ends that one and no other: ``best`` is what was found by then, and
    ``fault`` the first traceback.
    """

    def __init__(
        self,
        document: Document,
        path: Path | str,
        *,
        engine: str | None = None,
        way: Way | None = None,
        number: int | None = None,
        runs_max: int = RUNS_MAX,
        told: Told = lambda runs, document: None,
    ) -> None:
        self._path = path
        self.options = RunOptions(engine=engine)
        self._runs_max = runs_max
        self._told = told
        self._seen: dict[str, bool] = {}
        self.runs = 0
        self.is_done = False
        self.fault: str | None = None
        self.best = document
        self.case = case_of(document, path)
        self.result = self._run(self.case)
        found = ways_of(self.result)
        self.way = way or (first_way(self.result) if number is None else nth_way(self.result, number))
        if self.way not in found:
            raise Holds(f"it does not fail in this way: {self.way}")
        self._allowed = frozenset(found)
        self._measures = measures(self.result, self.way)
        self._true_agent_holds = engine is not None and self.way not in ways_of(run_case(self.case))

    def shrink(self) -> Shrunk:
        """Shrink as far as it goes."""
        before: Any = None
        while before != size(self.best) and self.runs < self._runs_max:
            before = size(self.best)
            for reduce in REDUCTIONS:
                with FaultBoundary() as boundary:
                    self._reduce(reduce)
                self.fault = self.fault or boundary.fault
        self.is_done = self.runs < self._runs_max
        return Shrunk(self.best, self.result, self.way, self.runs)

    def _reduce(self, reduce: Reduction) -> None:
        """Try the candidates of one reduction; after each that is taken it goes on where it was, if it can."""
        candidates = reduce(self._view())
        answer: Any = None
        while self.runs < self._runs_max:
            try:
                candidate = candidates.send(answer)
            except StopIteration:
                return
            answer = self._view() if self._take(candidate) else None

    def _view(self) -> View:
        failed = [each.at for each in self.result.failures if ways_of(replace(self.result, failures=(each,)))]
        return View(self.best, self.case, self.result, self.way, failed)

    def _take(self, candidate: Document) -> bool:
        candidate = tidy(candidate)
        if size(candidate) >= size(self.best):
            return False
        text = text_of(candidate)
        if text in self._seen:
            return False
        self._seen[text] = True
        try:
            case = case_of(candidate, self._path)
        except BadDocument:
            return False
        result = self._run(case)
        found = ways_of(result)
        if self.way not in found or not self._allowed.issuperset(found):
            return False
        if not self._measures.issuperset(measures(result, self.way)):
            return False
        if self._true_agent_holds and self.way in ways_of(run_case(case)):
            return False
        self.best, self.case, self.result = candidate, case, result
        self._allowed = frozenset(found)
        return True

    def _run(self, case: Case) -> RunResult:
        self.runs += 1
        result = run_case(case, self.options)
        self._told(self.runs, self.best)
        return result


def measures(result: RunResult, way: Way) -> frozenset[tuple[bool, int]]:
    """Of what was counted in the failures of one way: whether there was none; whether too little (-1) or too much (1).

    That nothing was counted where something was expected is no shorter example of one too few.
    """
    found = set()
    for failure in result.failures:
        if ways_of(replace(result, failures=(failure,)))[-1:] != [way]:
            continue
        got, expected = _count(failure.got), _count(failure.expected)
        if failure.kind == "fault":
            found.add((failure.got == "none", 0))
        elif got is not None and expected is not None:
            found.add((got == 0, (got > expected) - (got < expected)))
    return frozenset(found)


def _count(text: str) -> int | None:
    """The number with which a text begins, or of the passwords that it lists."""
    if number := re.match(r"[0-9]+(?=\+?(?: |$))", text):
        return int(number[0])
    words = text.split()
    return len(words) if words and all(re.fullmatch(r"\S+#[0-9]+", word) for word in words) else None


def size(document: Document) -> tuple[int, int, float, list[str]]:
    """How big a document is: the number of its parts, the length of its texts, its times and counts.

    A character of a time is worth as much as two minutes. Of two that are equally big the one is smaller whose
    passwords come first in the alphabet. What stands at the end only to say how long it lasts counts for nothing.
    """
    counted = {key: value for key, value in document.items() if key not in ("scenario", "why", "timeline")}
    steps = [
        {**step, "expect": [each for each in step.get("expect", ()) if each != END]} for step in document["timeline"]
    ]
    parts = length = 0
    times = 0.0
    for value in _walk({**counted, "timeline": steps}):
        parts += 1
        if isinstance(value, str):
            seconds = _seconds(value)
            times += 0.0 if seconds is None else seconds + CHARACTER_SECONDS * len(value)
            length += len(value) if seconds is None else 0
    return parts, length, times + numbers(document), passwords(document)


def _walk(value: Any) -> Iterator[Any]:
    yield value
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _walk(each)


def _seconds(text: str) -> float | None:
    if not text[:1].isdigit() and not text.startswith("+"):
        return None
    try:
        return parse_duration(text.removeprefix("+")).total_seconds()
    except ValueError:
        return None
