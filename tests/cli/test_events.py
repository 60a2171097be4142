"""``pwsync run --events``: the event log of one run, as a file."""

from __future__ import annotations

import csv
import itertools
import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from simulator.cli.app import run_app
from simulator.scenario.result import ExitCode

SCENARIO = """\
scenario: A change
why: it is a test
rules: [delta.within-minutes]
{profile}given:
  users: [{{name: alice, password: "Winter-2016!"}}]
timeline:
  - at: +1m
    do: {{ad.change-password: {{user: alice, password: "Spring-2017!"}}}}
  - at: +2m
    expect:
      - event-log: {{count: {count}}}
"""
IDS = [650, 656, 657, 651]
REPORTS = {"json": ["--json", "report.json"], "junit": ["--junit", "report.xml"], "trace": ["--trace"]}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, and the place to be."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: Path, profile: str = "", count: int = 4) -> str:
    """A scenario file of that profile, which expects so many events."""
    (folder / "one.yaml").write_text(SCENARIO.format(profile=profile, count=count), encoding="utf-8")
    return "one.yaml"


def test_xml(folder: Path) -> None:
    """Event Viewer's form, with the server's name and the run's own time."""
    assert run_app(["run", write(folder), "--events", "out.xml"]) == ExitCode.HELD
    text = (folder / "out.xml").read_text("utf-8")
    root = ElementTree.fromstring(text)
    space = "{http://schemas.microsoft.com/win/2004/08/events/event}"
    assert [int(each.text or 0) for each in root.iter(f"{space}EventID")] == IDS
    assert [each.text for each in root.iter(f"{space}EventRecordID")] == ["1", "2", "3", "4"]
    assert {each.text for each in root.iter(f"{space}Computer")} == {"SYNC01.contoso.example"}
    assert {each.get("SystemTime") for each in root.iter(f"{space}TimeCreated")} == {"2017-01-13T09:02:00.0000000Z"}
    assert "2017!" not in text


def test_csv_and_json(folder: Path) -> None:
    """The ending chooses the form, in whatever case."""
    path = write(folder)
    assert run_app(["run", path, "--events", "out.CSV", "-j", "2"]) == ExitCode.HELD
    with (folder / "out.CSV").open(encoding="utf-8-sig", newline="") as file:
        assert [int(row["Id"]) for row in csv.DictReader(file)] == IDS
    assert run_app(["run", path, "--events", "out.json", "--to", "+1m"]) == ExitCode.HELD
    assert json.loads((folder / "out.json").read_text("utf-8")) == []


def test_broken_run(folder: Path) -> None:
    """A scenario that does not hold leaves its event log too: that is when it is wanted."""
    assert run_app(["run", write(folder, count=9), "--events", "out.json"]) == ExitCode.BROKE
    assert [each["Id"] for each in json.loads((folder / "out.json").read_text("utf-8"))] == IDS


@pytest.mark.parametrize("others", [each for n in (1, 2, 3) for each in itertools.combinations(REPORTS, n)])
def test_beside_other_reports(folder: Path, others: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """The event log and all other reports of one run are written, whichever are asked for together."""
    options = [word for other in others for word in REPORTS[other]]
    assert run_app(["run", write(folder), "--events", "events.json", *options]) == ExitCode.HELD
    assert [each["Id"] for each in json.loads((folder / "events.json").read_text("utf-8"))] == IDS
    if "json" in others:
        (told,) = json.loads((folder / "report.json").read_text("utf-8"))["results"]
        assert (told["outcome"], told["records"], "trace" in told) == ("held", [], "trace" in others)
    if "junit" in others:
        assert ElementTree.parse(folder / "report.xml").getroot().get("tests") == "1"
    assert ("trace of one" in capsys.readouterr().out) == ("trace" in others)


def test_one_at_a_time(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Several runs have several logs: nothing is run, and the way to choose is told."""
    path = write(folder, profile="profile: [2017, current]\n")
    assert run_app(["run", path, "--events", "out.xml"]) == ExitCode.BAD_INPUT
    told = capsys.readouterr().err
    assert "these are 2: one[2017], one[current]" in told
    assert "--profile" in told
    assert not (folder / "out.xml").exists()
    assert run_app(["run", path, "--profile", "current", "--events", "out.xml"]) == ExitCode.HELD


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("out.evtx", "end its name in .xml, .csv, .json"),
        ("out", "end its name in"),
        ("no/such/out.xml", 'the folder "no/such" does not exist'),
        (".", "is a folder"),
    ],
)
def test_bad_file(folder: Path, capsys: pytest.CaptureFixture[str], file: str, message: str) -> None:
    """A file that can't be written is refused before anything is run."""
    assert run_app(["run", write(folder), "--events", file]) == ExitCode.BAD_INPUT
    assert message in capsys.readouterr().err


def test_same_as_another_report(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two reports can't be one file."""
    assert run_app(["run", write(folder), "--events", "out.json", "--json", "out.json"]) == ExitCode.BAD_INPUT
    assert "one file" in capsys.readouterr().err
