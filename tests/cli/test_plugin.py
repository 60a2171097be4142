"""The pytest plugin, in pytest runs of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from cli.cases import ROWS, write

STRICT = (
    "[pytest]\naddopts = --strict-markers\nfilterwarnings =\n    error\n    ignore:(tag|type)Map:DeprecationWarning\n"
)

BREAKING = """\
scenario: A password that is wrong
why: it is a test
rules: [delta.within-minutes]
tags: [bad]
given:
  users:
    - {name: alice, password: "Winter-2016!"}
timeline:
  - at: +2m
    expect:
      - cloud.sign-in: {user: alice, password: "Spring-2017!", result: ok}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Another project, strict about marks and warnings, with scenarios and a test of its own."""
    (tmp_path / "pytest.ini").write_text(STRICT, encoding="utf-8")
    (tmp_path / "test_own.py").write_text("def test_own():\n    pass\n", encoding="utf-8")
    write(tmp_path, "scenarios/deep/one.yaml", tags="quiet, known-limit")
    write(tmp_path, "scenarios/rows.yaml", more=ROWS)
    (tmp_path / "scenarios" / "other.yaml").write_text("services: [web]\n", encoding="utf-8")
    (tmp_path / "compose.yaml").write_text("services: [web]\n", encoding="utf-8")
    return tmp_path


def run_pytest(project: Path, *arguments: str, installed: bool = False) -> tuple[int, str]:
    """Run pytest in a process of its own, with this plugin alone; ``installed``: with all that are installed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
    alone: list[str] = []
    if not installed:
        environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        alone = ["-p", "simulator.pytest_plugin"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *alone, *arguments],
        cwd=project, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def collected(project: Path, *arguments: str) -> list[str]:
    code, text = run_pytest(project, "--collect-only", "-q", *arguments)
    assert code in (0, 5), text
    return [line for line in text.splitlines() if "::" in line]


def test_collects_scenarios_only(project: Path) -> None:
    """Files with a title are items, one per case; other YAML is left alone."""
    assert collected(project) == [
        "scenarios/deep/one.yaml::one",
        "scenarios/rows.yaml::first",
        "scenarios/rows.yaml::second",
        "test_own.py::test_own",
    ]


def test_file_elsewhere_only_if_named(project: Path) -> None:
    """Outside a folder named scenarios a file is taken only if it is named on the command line."""
    write(project, "drafts/idea.yaml")
    assert collected(project, "drafts") == []
    assert collected(project, "drafts/idea.yaml") == ["drafts/idea.yaml::idea"]


def test_selecting(project: Path) -> None:
    """Tags and folders are marks, parts of the id and rules are keywords, and a row can be named."""
    assert collected(project, "-m", "known-limit") == ["scenarios/deep/one.yaml::one"]
    assert collected(project, "-m", "deep") == ["scenarios/deep/one.yaml::one"]
    assert collected(project, "-k", "second") == ["scenarios/rows.yaml::second"]
    assert len(collected(project, "-k", "cycle.two-minutes")) == 3
    assert collected(project, "scenarios/rows.yaml::first") == ["scenarios/rows.yaml::first"]


def test_tag_with_a_meaning_to_pytest(project: Path) -> None:
    """A tag named skip is a word like others: it skips nothing."""
    write(project, "scenarios/odd.yaml", tags="skip, xfail")
    assert "scenarios/odd.yaml::odd" in collected(project)
    code, text = run_pytest(project, "scenarios/odd.yaml", "-q")
    assert code == 0, text
    assert "1 passed" in text


def test_bad_file_is_an_error_of_collection(project: Path) -> None:
    """A bad file shows the errors that check shows."""
    write(project, "scenarios/bad.yaml", rules="no.such.rule")
    code, text = run_pytest(project)
    assert code == 2
    assert 'unknown rule "no.such.rule"' in text
    assert "bad.yaml:3:9" in text
    assert "Traceback" not in text


def test_runs(project: Path) -> None:
    """Scenarios run beside other tests, in several processes too."""
    for arguments in ([], ["-n", "2"]):
        code, text = run_pytest(project, *arguments, installed=True)
        assert code == 0, text
        assert "4 passed" in text


def test_failure_text_and_junit(project: Path) -> None:
    """A failure shows the text of the command line, and JUnit has it with seed, rules and digest."""
    (project / "scenarios" / "breaking.yaml").write_text(BREAKING, encoding="utf-8")
    code, text = run_pytest(project, "--junit-xml=out.xml")
    assert code == 1
    assert "error: cloud.sign-in of alice at +2m" in text
    assert "breaking.yaml:11:9" in text
    assert "  repeat    pwsync run scenarios/breaking.yaml" in text
    assert "Spring-2017!" not in text
    root = ElementTree.parse(project / "out.xml").getroot()
    (failed,) = (case for case in root.iter("testcase") if case.find("failure") is not None)
    assert "error: cloud.sign-in of alice at +2m" in (failed.findtext("failure") or "")
    assert {"rules", "seed", "digest"} == {each.get("name") for each in failed.iter("property")}


def test_inert_elsewhere(tmp_path: Path) -> None:
    """In a project without scenarios the plugin imports nothing of the simulator but itself."""
    (tmp_path / "test_own.py").write_text(
        "import sys\n\ndef test_own():\n"
        "    loaded = {name for name in sys.modules if name.split('.')[0] in ('simulator', 'pwsync')}\n"
        "    assert loaded <= {'simulator', 'simulator.pytest_plugin'}\n",
        encoding="utf-8",
    )
    (tmp_path / "compose.yaml").write_text("scenario: not one\n", encoding="utf-8")
    code, text = run_pytest(tmp_path)
    assert code == 0, text
