"""Ctrl-C in real processes: what was found is told, nothing half is written, nothing stays behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cli.cases import FAILS

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "scenarios" / "delta"
SCENARIO = FOLDER / "works-after-next-cycle.yaml"
AGENTS = "cli.unsteady_agents"

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals to a process group are of POSIX")


def interrupted(folder: Path, words: str, *arguments: str) -> tuple[int, str, str]:
    """Run a command, press Ctrl-C once it has printed a line with these words; its exit code and what it printed.

    Both streams are one here; it ends when no process holds the pipe any more.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "simulator.cli", *arguments], cwd=folder, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, start_new_session=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])},
    )  # fmt: skip
    assert process.stdout is not None
    before = ""
    while words not in before:
        line = process.stdout.readline()
        assert line, before
        before += line
    os.killpg(process.pid, signal.SIGINT)
    after, _ = process.communicate(timeout=60)
    return process.returncode, before, after


def test_shrink(tmp_path: Path) -> None:
    """The shortest that was found so far is written whole, and told."""
    (tmp_path / "failing.yaml").write_text(FAILS, encoding="utf-8")
    code, before, after = interrupted(
        tmp_path, "waiting", "shrink", "failing.yaml", "--engine", f"{AGENTS}:waits_in_the_third_run"
    )
    assert code == 130, after
    assert "failing fails: expectation: cloud.sign-in of alice" in before
    assert "stopped; what is written may not be the shortest" in after
    assert "Traceback" not in after
    assert sorted(each.name for each in tmp_path.iterdir()) == ["failing.shrunk.yaml", "failing.yaml"]
    assert "result: locked" in (tmp_path / "failing.shrunk.yaml").read_text(encoding="utf-8")


def test_diff(tmp_path: Path) -> None:
    """It says that nothing was compared."""
    arguments = [f"{SCENARIO}", f"{SCENARIO}", "--profile", "2017", "--engine-b", f"{AGENTS}:waits"]
    code, _, after = interrupted(tmp_path, f"with {AGENTS}:waits", "diff", *arguments)
    assert (code, after) == (130, "stopped; nothing was compared\n")


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_check_determinism(tmp_path: Path, jobs: str) -> None:
    """The second process ends with its workers; what was run is told, how much of it twice; no report is written."""
    engine = f"{AGENTS}:waits_in_the_second_process"
    paths = [str(path) for path in sorted(FOLDER.glob("*.yaml"))[:4]]
    arguments = [*paths, "--check-determinism", "-j", jobs, "--engine", engine, "--json", "report.json"]
    code, before, after = interrupted(tmp_path, "waiting", "run", *arguments)
    assert code == 130, after
    assert "the same again, in another process" in before
    with pytest.raises(ProcessLookupError):  # whoever started it has waited for its end
        os.kill(int(before.split()[-1]), 0)
    assert " of them run a second time; no report was written" in after
    assert "digest " in after
    assert "Traceback" not in before + after
    assert list(tmp_path.iterdir()) == []
