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
from simulator.explore.own_files import kept_text, place_for, signed
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
    """One kind of failure.

    seeds: of all random runs that failed in this way, whichever kind they were. path: of its scenario, if one was
    written; note: what else there is to say of that file.
    """

    way: Way
    result: RunResult
    seeds: tuple[int, ...]
    path: Path | None = None
    note: str = ""

    @property
    def runs(self) -> int:
        """How many random runs failed in this way."""
        return len(self.seeds)


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

    A plan that does not fail as a file is written as it is, and its result is that of the plan. If something goes
    wrong meanwhile, the plan as a file is there for :func:`unshrunk`; a traceback of a single step is written beside
    the scenario, which is then the shortest that the others found.
    """
    seed = case.scenario.seed
    plan = exploration.plan(seed)
    played = play(case_of(plan, exploration.path), exploration.engine)
    whole = as_scenario(plan, played)
    _whole_path(folder, seed).write_text(text_of(whole), encoding="utf-8")
    if not played.judged():
        raise RuntimeError(f"random run {seed} does not fail when it is run again")
    way = played.judged()[0]
    path = Path(folder, f"{seed}.yaml")
    try:
        shrinker = Shrinker(whole, exploration.path, engine=exploration.engine, way=way)
        shrunk = shrinker.shrink()
    except Holds:
        title = f"Random run {seed} breaks {way}, but not when it is written out"
        path.write_text(text_of({**whole, "scenario": title}), encoding="utf-8")
        return replace(run_seed(case, exploration), path=str(path), title=title)
    if shrinker.fault is not None:
        fault_path(folder, seed).write_text(shrinker.fault, encoding="utf-8")
    document = expect_refusals(shrunk.document, shrinker.case, shrunk.result.failures)
    path.write_text(text_of(_titled(document, shrunk.result, way, seed, exploration)), encoding="utf-8")
    return replace(shrunk.result, path=str(path), id=case.id, seed=seed)


def unshrunk(result: RunResult, exploration: Exploration, folder: str) -> RunResult:
    """A run that broke something, with its plan in ``folder`` as it was drawn: shrinking it went wrong.

    What calmed the plan is in it, if its run came so far.
    """
    seed, whole = result.seed, _whole_path(folder, result.seed)
    plan = exploration.plan(seed)
    if whole.is_file():
        plan = document_of(whole.read_text(encoding="utf-8"), None, str(plan["profile"]))
    path = Path(folder, f"{seed}.yaml")
    document = _titled(plan, result, ways_of(result)[0], seed, exploration, "; it could not be shrunk")
    path.write_text(text_of(document), encoding="utf-8")
    return replace(result, path=str(path), title=str(document["scenario"]))


def _whole_path(folder: str, seed: int) -> Path:
    """Where a plan is noted before it is shrunk."""
    return Path(folder, f"{seed}.whole")


def fault_path(folder: str, seed: int) -> Path:
    """Where the traceback of a step of shrinking is noted."""
    return Path(folder, f"{seed}.fault")


def _titled(
    document: Document, result: RunResult, way: Way, seed: int, exploration: Exploration, how: str = " and shrunk"
) -> Document:
    """The document with a title, and why it fails."""
    failure = next((each for each in result.failures if ways_of(replace(result, failures=(each,)))[-1] == way), None)
    base = f" beside {exploration.base.scenario.scenario!r}" if exploration.base else ""
    engine = f" of {exploration.engine}" if exploration.engine else ""
    why = f"Found by random run {seed}{base}{engine}{how}. "
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

    base: the scenario that they ran beside; what it reads is brought along. A file that somebody else wrote or edited
    stays as it is. Raises OSError.
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
        seeds = tuple(each.seed for each in broken[way])
        if folder is not None:
            wanted = folder / f"{file_name(way, shape)}.yaml"
            folder.mkdir(parents=True, exist_ok=True)
            path, placed = _placed(text, result.profile, base, wanted)
            write_whole(path, signed(placed))
            told = replace(result, path=str(path), repeat=f"pwsync run {path}" + _engine_of(result))
            yield Finding(way, told, seeds, path, "" if path == wanted else kept_text(wanted))
        else:
            yield Finding(way, result, seeds)


def _placed(text: str, profile: str, base: Path | None, wanted: Path) -> tuple[Path, str]:
    """Where a file may be written, and its text there; what it reads beside ``base`` is copied."""
    document = document_of(text, None, profile)
    directory = (document.get("given") or {}).get("directory")
    if base is None or directory is None:
        return place_for(wanted), text
    path = place_for(wanted, base.parent / str(directory))
    bring_along(document, base, path)
    return path, text_of(document)


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
