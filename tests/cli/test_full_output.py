"""Standard output that takes nothing: told in one line, with exit code 2, and reports are written all the same."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cli.cases import FAILS, HOLDS

ROOT = Path(__file__).parents[2]
FULL = "error: can't write to standard output: No space left on device"

pytestmark = pytest.mark.skipif(os.name == "nt", reason="devices as files are of POSIX")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a full device of its own and two scenarios, one that holds and one that does not."""
    full = tmp_path / "full"
    try:
        os.mknod(full, 0o666 | stat.S_IFCHR, os.makedev(1, 7))
        full.open("rb").close()
    except PermissionError:
        pytest.skip("only root makes devices")
    (tmp_path / "holds.yaml").write_text(HOLDS, encoding="utf-8")
    (tmp_path / "fails.yaml").write_text(FAILS, encoding="utf-8")
    return tmp_path


def pwsync(folder: Path, *arguments: str, buffered: bool = True, both: bool = False) -> tuple[int, list[str]]:
    """Run a command whose standard output is full, or both streams are; its exit code, and what it complained of."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "" if buffered else "1"}
    with (folder / "full").open("wb") as full:
        process = subprocess.run(
            [sys.executable, "-m", "simulator.cli", *arguments], cwd=folder, env=environment, stdout=full,
            stderr=full if both else subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    return process.returncode, (process.stderr or "").splitlines()


@pytest.mark.parametrize(
    "arguments",
    [["run", "holds.yaml"], ["sweep", "holds.yaml", "-j", "1", "--sample", "1"],
     ["explore", "--runs", "1", "-j", "1"], ["shrink", "fails.yaml"], ["diff", "holds.yaml", "fails.yaml"],
     ["score", "holds.yaml", "--list"], ["show", "holds.yaml"], ["directory", "export"], ["--version"],
     ["run", "--help"]],
    ids=" ".join,
)  # fmt: skip
@pytest.mark.parametrize("buffered", [True, False])
def test_commands(folder: Path, arguments: list[str], buffered: bool) -> None:
    """Each command says once what is wrong, and it is no fault of pwsync."""
    code, complaints = pwsync(folder, *arguments, buffered=buffered)
    assert code == 2, complaints
    assert complaints.count(FULL) == 1
    assert not any("fault" in line or "Traceback" in line or "Exception" in line for line in complaints)


@pytest.mark.parametrize(
    "arguments",
    [["run", "fails.yaml"], ["sweep", "fails.yaml", "-j", "1"], ["explore", "--runs", "1", "-j", "1"]],
    ids=" ".join,
)
def test_reports_are_written(folder: Path, arguments: list[str]) -> None:
    """What goes elsewhere is there, though the text was lost."""
    assert pwsync(folder, *arguments, "--json", "a.json", "--junit", "a.xml")[0] == 2
    assert json.loads((folder / "a.json").read_text("utf-8"))["version"] == 1
    assert (folder / "a.xml").read_text("utf-8").startswith("<?xml")


def test_nowhere_to_complain(folder: Path) -> None:
    """Where standard error is full as well the exit code is all that tells."""
    assert pwsync(folder, "run", "holds.yaml", both=True)[0] == 2


def test_closed(folder: Path) -> None:
    """A process that was started without standard output says so; without standard error it works."""
    command = f'"{sys.executable}" -m simulator.cli run holds.yaml --json a.json '
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.run(
        ["/bin/sh", "-c", command + ">&-"], cwd=folder, env=environment, stderr=subprocess.PIPE, text=True, check=False
    )
    assert (process.returncode, process.stderr) == (2, "error: can't write to standard output: it is closed\n")
    assert (folder / "a.json").is_file()
    process = subprocess.run(
        ["/bin/sh", "-c", command + "2>&-"], cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=False
    )
    assert process.returncode == 0
    assert process.stdout.startswith("1 scenario: 1 held")


def test_export_to_what_is_no_file(folder: Path) -> None:
    """A directory that is exported to a device or through a link leaves both where they are."""
    (folder / "link").symlink_to("true.ldif")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "simulator.cli", "directory", "export", "holds.yaml", "-o"]
    assert subprocess.run([*command, "link"], cwd=folder, env=environment, check=False).returncode == 0
    assert (folder / "link").is_symlink()
    assert (folder / "true.ldif").read_text("ascii").startswith("version: 1")
    assert subprocess.run([*command, "full"], cwd=folder, env=environment, check=False).returncode == 2
    assert stat.S_ISCHR((folder / "full").lstat().st_mode)
