"""Five breakages by hand: whoever breaks one of these in the agent sees shipped scenarios fail.

The agents are those of :mod:`world.broken_agents`; each is run over the scenarios that are about what it breaks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from functools import cache
from pathlib import Path

import pytest

from simulator.scenario.file import Case, load
from simulator.scenario.result import RunResult
from simulator.scenario.runner import RunOptions, run_case

SCENARIOS = Path(__file__).parents[1] / "scenarios"


@cache
def family(folder: str, words: str = "") -> tuple[Case, ...]:
    """Short cases, as of 2017, of the files of a folder whose name holds a word; three of a file at most."""
    found: list[Case] = []
    for path in sorted((SCENARIOS / folder).glob(f"*{words}*.yaml" if words else "*.yaml")):
        cases = [case for case in load(path).cases if case.profile == "2017" and is_short(case)]
        found += cases[:3]
    return tuple(found)


def is_short(case: Case) -> bool:
    """Whether it is over in a few hours: a broken agent may be at work in every cycle."""
    return max(step.at for step in case.scenario.timeline) <= timedelta(hours=4)


def run_all(cases: Iterable[Case], engine: str | None = None) -> list[RunResult]:
    return [run_case(case, RunOptions(engine=engine and f"world.broken_agents:{engine}")) for case in cases]


def failing(results: Sequence[RunResult]) -> dict[str, list[str]]:
    """Cases that broke, with what each of their failures is about."""
    return {
        result.id: [failure.title for failure in result.failures] for result in results if result.outcome == "broke"
    }


BREAKAGES = (
    ("sort order of changes", "NewestFirst", "order", ""),
    ("retry", "GivesUp", "retry", "fails-until"),
    ("the inetOrgPerson check", "TakesEveryPerson", "scope", "inetorgperson"),
    ("overwriting only when the directory changed", "SendsAllAlways", "override", ""),
    ("Retry-After", "Impatient", "retry", "throttle"),
)


@pytest.mark.parametrize(("what", "agent", "folder", "words"), BREAKAGES, ids=[each[0] for each in BREAKAGES])
def test_broken(what: str, agent: str, folder: str, words: str) -> None:
    """With this broken, scenarios about it fail by what they expect themselves, not by an invariant alone."""
    cases = family(folder, words)
    assert cases
    results = run_all(cases, agent)
    assert [result.id for result in results if result.outcome == "harness-fault"] == []
    broke = failing(results)
    expected = {name for name, titles in broke.items() if not all(title.startswith("invariant") for title in titles)}
    assert expected, f"no scenario in {folder} notices that {what} is broken: {broke}"


@pytest.mark.parametrize(("folder", "words"), sorted({each[2:] for each in BREAKAGES}))
def test_whole(folder: str, words: str) -> None:
    """The true agent passes the same scenarios."""
    assert failing(run_all(family(folder, words))) == {}
