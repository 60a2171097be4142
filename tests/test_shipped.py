"""The shipped scenarios as a whole: what they cover, and that they say what they should."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from simulator.scenario.file import load
from simulator.scenario.golden import golden_path
from simulator.scenario.incidents import IMPOSSIBLE, INCIDENTS, told_by
from simulator.scenario.rules import RULES
from simulator.scenario.runner import run_case

SHIPPED = Path(__file__).resolve().parents[1] / "scenarios"


def named() -> Counter[str]:
    """In how many shipped files each rule is named."""
    files = [load(path) for path in sorted(SHIPPED.rglob("*.yaml"))]
    assert not [error for file in files for error in file.errors]
    return Counter(rule for file in files if file.cases for rule in file.cases[0].scenario.rules)


def test_every_rule_has_two_scenarios() -> None:
    """Each rule is named by at least two files."""
    counts = named()
    assert [rule for rule in RULES if counts[rule] < 2] == []


def test_every_rule_has_two_scenarios_in_each_of_its_profiles() -> None:
    """Where a rule holds in both eras, two files show it in each; where in one, two show it there."""
    shown: dict[tuple[str, str], set[str]] = {}
    for path in sorted(SHIPPED.rglob("*.yaml")):
        for case in load(path).cases:
            for rule in case.scenario.rules:
                shown.setdefault((rule, case.profile), set()).add(str(path))
    thin = [
        (rule.id, profile)
        for rule in RULES.values()
        for profile in rule.profiles
        if len(shown.get((rule.id, profile), ())) < 2
    ]
    assert thin == []


def test_every_incident_has_a_scenario_or_a_reason() -> None:
    """Each of the sixty is told by a file, or the catalogue says why none can; no file has a number of its own."""
    told = told_by(SHIPPED.rglob("*.yaml"))
    assert list(INCIDENTS) == list(range(1, 61))
    assert {number for number, names in told.items() if names} & IMPOSSIBLE.keys() == set()
    assert {number for number, names in told.items() if not names} - IMPOSSIBLE.keys() == set()
    named = {name for names in told.values() for name in names}
    assert {path.stem for path in (SHIPPED / "incident").glob("*.yaml")} == named


def test_every_file_names_its_schema() -> None:
    """The first line of each file tells editors where its schema is."""
    wrong = [path for path in SHIPPED.rglob("*.yaml") if "scenario.schema.json" not in path.read_text().splitlines()[0]]
    assert not wrong


def test_golden_trace_on_this_python() -> None:
    """A shipped scenario leaves its golden trace, byte for byte, on every Python that runs the tests."""
    golden = sorted(SHIPPED.rglob("*.trace"))
    assert golden
    for case in load(SHIPPED / "order" / "oldest-change-goes-first.yaml").cases:
        result = run_case(case)
        assert golden_path(case) in golden
        assert result.outcome == "held", result.failures
