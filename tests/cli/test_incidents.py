"""``pwsync rules --incidents``: the sixty cases, and the scenarios that tell them."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulator.cli.app import run_app
from simulator.scenario.incidents import IMPOSSIBLE, INCIDENTS, told_by
from simulator.scenario.result import ExitCode

SHIPPED = Path(__file__).parents[2] / "scenarios"


def test_all_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """Each incident has a line with its scenarios, or with the reason why there is none."""
    run_app(["rules", "--incidents", str(SHIPPED)])
    lines = capsys.readouterr().out.splitlines()
    assert [int(line[:2]) for line in lines[: len(INCIDENTS)]] == list(INCIDENTS)
    assert "01-new-password-too-early" in lines[0]
    assert all(f"no scenario: {reason}" in lines[number - 1] for number, reason in IMPOSSIBLE.items())


def test_missing_ones_are_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Where most have no scenario they are named at the end, and the exit code says so."""
    folder = tmp_path / "incident"
    folder.mkdir()
    (folder / "59-one.yaml").write_bytes((SHIPPED / "incident" / "59-regional-endpoint-is-dead.yaml").read_bytes())
    assert run_app(["rules", "--incidents", str(tmp_path)]) == ExitCode.BROKE
    told = capsys.readouterr().out
    assert "1 of 60 incidents have a scenario" in told
    assert "without: 1, 2, 3" in told
    assert "51" not in told.splitlines()[-1]


def test_place_and_number_count() -> None:
    """A file tells an incident by its folder and by the two digits that its name begins with, nothing else."""
    names = ["incident/07-a.yaml", "incident/07-b.yaml", "incident/7-c.yaml", "incident/99-d.yaml", "order/07-e.yaml",
             "incident/07-people.ldif"]  # fmt: skip
    told = told_by(map(Path, names))
    assert told[7] == ["07-a", "07-b"]
    assert sum(map(len, told.values())) == 2
