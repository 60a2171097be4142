"""From random runs that broke something to scenario files: shrunk, told apart by kind, and each kind kept once.

Two findings are of one kind if they fail in the same way and consist of the same actions and faults. Of runs that fail
in one way only the first few are shrunk (:data:`SHRUNK_MAX`); the others are counted.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from simulator.explore.explorer import Exploration, as_scenario, play, run_seed
from simulator.explore.finding_file import bring_along
from simulator.explore.refusals import expect_refusals
from simulator.explore.shrink import Holds, Shrinker
from simulator.explore.ways import Way, ways_of
from simulator.explore.writing import Document, case_of, document_of, sizes, text_of
from simulator.report.files import write_whole
from simulator.scenario.file import Case
from simulator.scenario.result import RunResult

SHRUNK_MAX = 4
"""Of the runs that fail in one way, so many are shrunk."""


@dataclass(frozen=True)
class Finding:
    """One kind of failure. runs: how many random runs failed in this way. path: of its scenario, if one was written."""

    way: Way
    result: RunResult
    runs: int
    path: Path | None = None


def first_ways(results: Iterable[RunResult]) -> dict[Way, list[RunResult]]:
    """Runs that broke something, by the first way in which they did."""
    found: dict[Way, list[RunResult]] = {}
    for result in results:
        if broken := ways_of(result):
            found.setdefault(broken[0], []).append(result)
    return found


def chosen(broken: dict[Way, list[RunResult]]) -> list[RunResult]:
    """The runs to shrink: of each way the first few, by seed."""
    return [result for results in broken.values() for result in sorted(results, key=_seed)[:SHRUNK_MAX]]


def _seed(result: RunResult) -> int:
    return result.seed


def shrink_seed(case: Case, exploration: Exploration, folder: str) -> RunResult:
    """Play a seed's plan again, shrink it, and write the scenario to ``folder``; the result is that of its run.

    A plan that does not fail as a file is written as it is, and its result is that of the plan.
    """
    seed = case.scenario.seed
    plan = exploration.plan(seed)
    played = play(case_of(plan, exploration.path), exploration.engine)
    whole = as_scenario(plan, played)
    way = played.judged()[0]
    path = Path(folder, f"{seed}.yaml")
    try:
        shrinker = Shrinker(whole, exploration.path, engine=exploration.engine, way=way)
        shrunk = shrinker.shrink()
    except Holds:
        title = f"Random run {seed} breaks {way}, but not when it is written out"
        path.write_text(text_of({**whole, "scenario": title}), encoding="utf-8")
        return replace(run_seed(case, exploration), path=str(path), title=title)
    document = expect_refusals(shrunk.document, shrinker.case, shrunk.result.failures)
    path.write_text(text_of(_titled(document, shrunk.result, way, seed, exploration)), encoding="utf-8")
    return replace(shrunk.result, path=str(path), id=case.id, seed=seed)


def _titled(document: Document, result: RunResult, way: Way, seed: int, exploration: Exploration) -> Document:
    """The document with a title, and why it fails."""
    failure = next((each for each in result.failures if ways_of(replace(result, failures=(each,)))[-1] == way), None)
    base = f" beside {exploration.base.scenario.scenario!r}" if exploration.base else ""
    engine = f" of {exploration.engine}" if exploration.engine else ""
    why = f"Found by random run {seed}{base}{engine} and shrunk. "
    if failure is not None:
        why += f"At {failure.at} {failure.expected}; but {failure.got}."
    elif result.harness_fault:
        why += result.harness_fault.strip().splitlines()[-1]
    return {**document, "scenario": f"Random run {seed} breaks {way}", "why": why}


def shape_of(document: Document) -> tuple[str, ...]:
    """What a scenario consists of: its actions and faults, without users, times and order."""
    actions = {name for step in document.get("timeline") or () for action in step.get("do", ()) for name in action}
    effects = ("answer", "fault", "result", "fail", "lose", "delay", "duplicate", "corrupt", "crash")
    faults = {
        " ".join([fault["on"], *(key for key in effects if key in fault)]) for fault in document.get("faults") or ()
    }
    return (*sorted(actions), *sorted(faults))


def collect(
    broken: dict[Way, list[RunResult]], shrunk: Sequence[RunResult], folder: Path | None, base: Path | None = None
) -> Iterator[Finding]:
    """One finding of each kind, the smallest scenario of its kind; written into ``folder`` if there is one.

    base: the scenario that they ran beside; what it reads is brought along. Raises OSError.
    """
    by_seed = {result.seed: way for way, results in broken.items() for result in results}
    kinds: dict[tuple[Way, tuple[str, ...]], tuple[int, RunResult, str]] = {}
    for result in shrunk:
        text = Path(result.path).read_text(encoding="utf-8")
        document = document_of(text, None, result.profile)
        key = (by_seed[result.seed], shape_of(document))
        if key not in kinds or len(text) < kinds[key][0]:
            kinds[key] = (len(text), result, text)
    for (way, shape), (_, result, text) in kinds.items():
        if folder is not None:
            path = folder / f"{file_name(way, shape)}.yaml"
            folder.mkdir(parents=True, exist_ok=True)
            write_whole(path, text if base is None else _moved(text, result.profile, base, path))
            told = replace(result, path=str(path), repeat=f"pwsync run {path}" + _engine_of(result))
            yield Finding(way, told, len(broken[way]), path)
        else:
            yield Finding(way, result, len(broken[way]))


def _moved(text: str, profile: str, base: Path, path: Path) -> str:
    """The text of a file at ``path`` that stood beside ``base``."""
    document = document_of(text, None, profile)
    return text_of(document) if bring_along(document, base, path) else text


def _engine_of(result: RunResult) -> str:
    _, option, name = result.repeat.partition(" --engine ")
    return option + name


def file_name(way: Way, shape: tuple[str, ...]) -> str:
    """A name for a kind of finding that stays the same from one search to the next."""
    word = re.sub(r"[^a-z0-9]+", "-", way.what.lower()).strip("-")[:40]
    mark = hashlib.sha256("\n".join((str(way), *shape)).encode()).hexdigest()[:8]
    return f"{word or way.kind}-{mark}"


def told_sizes(before: Document, after: Document) -> list[str]:
    """What became of a scenario's size, a line for each measure."""
    first, second = sizes(before), sizes(after)
    return [f"{name:<13} {first[name]:>6} -> {second[name]}" for name in first]
