"""What ``pwsync shrink`` and ``pwsync diff`` say of what they can't take, word by word.

``pytest --update`` writes the texts anew.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cli.cases import FAILS, HOLDS

from simulator.cli.app import run_app
from simulator.scenario.result import ExitCode

EXPECTED = Path(__file__).parent / "expected"

FILES: dict[str, bytes] = {
    "holds.yaml": HOLDS.encode(),
    "fails.yaml": FAILS.encode(),
    "profiles.yaml": FAILS.replace("rules:", "profile: [2017, current]\nrules:").encode(),
    "mine.yaml": b"# by hand\n" + FAILS.encode(),
    "empty.yaml": b"",
    "half.yaml": FAILS.encode()[:150],
    "garbled.yaml": b"\xff\x00\xfe",
    "empty.trace": b"",
    "good.trace": b"+0s a\n",
    "half.trace": b"+0s a\n+1m b\n+1",
    "lines.trace": b"+0s a\nsomething else\n",
    "printed.trace": b"trace of a\n  +0s a\n  else\n",
    "two.trace": b"trace of a\n  +0s a\n\ntrace of b\n  +0s a\n",
    "garbled.trace": b"+0s a\n\xff",
    "zeros.trace": bytes(300),
    "results.json": b'{"results": []}\n',
    "scenario.txt": FAILS.encode(),
}

CASES: dict[str, list[str]] = {
    "shrink-holds": ["shrink", "holds.yaml"],
    "shrink-no-such-failure": ["shrink", "fails.yaml", "--failure", "2"],
    "shrink-failure-zero": ["shrink", "fails.yaml", "--failure", "0"],
    "shrink-missing": ["shrink", "fail.yaml"],
    "shrink-empty": ["shrink", "empty.yaml"],
    "shrink-half": ["shrink", "half.yaml"],
    "shrink-garbled": ["shrink", "garbled.yaml"],
    "shrink-empty-folder": ["shrink", "folder"],
    "shrink-several": ["shrink", "profiles.yaml"],
    "shrink-onto-itself": ["shrink", "fails.yaml", "-o", "./fails.yaml"],
    "shrink-onto-another": ["shrink", "fails.yaml", "-o", "mine.yaml"],
    "shrink-onto-a-folder": ["shrink", "fails.yaml", "-o", "folder"],
    "shrink-into-nowhere": ["shrink", "fails.yaml", "-o", "no/such.yaml"],
    "shrink-now-and-then": ["shrink", "fails.yaml", "--engine", "cli.unsteady_agents:by_earlier_runs"],
    "diff-missing": ["diff", "good.trace", "missing.trace"],
    "diff-folder": ["diff", "folder", "good.trace"],
    "diff-lines": ["diff", "good.trace", "lines.trace"],
    "diff-printed": ["diff", "good.trace", "printed.trace"],
    "diff-two": ["diff", "good.trace", "two.trace"],
    "diff-garbled": ["diff", "good.trace", "garbled.trace"],
    "diff-zeros": ["diff", "zeros.trace", "good.trace"],
    "diff-results": ["diff", "results.json", "results.json"],
    "diff-scenario-by-another-name": ["diff", "scenario.txt", "good.trace"],
    "diff-scenario-of-two-profiles": ["diff", "good.trace", "profiles.yaml"],
    "diff-empty-scenario": ["diff", "empty.yaml", "good.trace"],
    "diff-no-such-profile": ["diff", "holds.yaml", "holds.yaml", "--profile-a", "2018"],
}
CODES = {"shrink-now-and-then": ExitCode.NOT_DETERMINISTIC}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the commands run."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


@pytest.mark.parametrize("name", CASES)
def test_refused(name: str, folder: Path, update: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """It ends with its exit code, says what is wrong, where, and what to do, and leaves all files as they were."""
    assert run_app(CASES[name]) == CODES.get(name, ExitCode.BAD_INPUT)
    out, err = capsys.readouterr()
    assert out == ""
    path = EXPECTED / f"{name}.txt"
    if update:
        path.write_text(err, encoding="utf-8")
    assert err == path.read_text(encoding="utf-8")
    assert {each.name: each.read_bytes() for each in folder.iterdir() if each.is_file()} == FILES


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device")
def test_nowhere_to_write(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What can't be written in the end is printed, so that the search was not in vain."""
    place = "/proc"
    if not os.access(place, os.W_OK):
        pytest.skip("only the system's administrator comes that far")
    assert run_app(["shrink", "fails.yaml", "-o", f"{place}/short.yaml"]) == ExitCode.BAD_INPUT
    out, err = capsys.readouterr()
    assert "result: locked" in out
    assert f'error: can\'t write "{place}/short.yaml"' in err


def test_empty_traces_are_the_same(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of two empty traces, and of one half written beside itself, nothing is to be said; of one that ends, that."""
    assert run_app(["diff", "empty.trace", "empty.trace"]) == ExitCode.HELD
    assert run_app(["diff", "half.trace", "half.trace"]) == ExitCode.HELD
    assert capsys.readouterr().out == "the same, 0 lines\nthe same, 3 lines\n"
    assert run_app(["diff", "empty.trace", "good.trace"]) == ExitCode.BROKE
    assert "it ends here, after 0 lines" in capsys.readouterr().out
