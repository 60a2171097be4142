"""Every error of a scenario file has a golden text: tests/errors/NAME/scenario.yaml gives expected.txt.

``pytest --update`` writes the texts anew.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from simulator.scenario.file import load

FOLDER = Path(__file__).parents[1] / "errors"
NAMES = sorted(path.parent.name for path in FOLDER.glob("*/scenario.yaml"))


@pytest.mark.parametrize("name", NAMES)
def test_error_reads_as_before(name: str, update: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bad file gives exactly the errors of its golden text."""
    monkeypatch.chdir(FOLDER / name)
    loaded = load(Path("scenario.yaml"))
    actual = "".join(f"{error.render()}\n\n" for error in loaded.errors)
    golden = FOLDER / name / "expected.txt"
    if update:
        golden.write_text(actual, encoding="utf-8")
    expected = golden.read_text(encoding="utf-8")
    assert expected == actual
    assert loaded.errors
    assert loaded.cases == ()


def test_there_are_many_golden_errors() -> None:
    """The folder is found, and every folder in it holds a file."""
    assert len(NAMES) >= 40
    assert sorted(path.name for path in FOLDER.iterdir() if path.is_dir() and path.name != "__pycache__") == NAMES
