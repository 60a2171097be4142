"""``pwsync explore`` as people use it: what it refuses, tells, leaves behind and repeats; what ``run`` says of it."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest

from simulator.cli.app import run_app
from simulator.cli.explore import ENDLESS
from simulator.explore.explorer import Base, Exploration, Seeds, repeat_of, run_seed, seed_case
from simulator.explore.findings import Finding
from simulator.explore.own_files import place_for
from simulator.explore.reductions import Candidates, View
from simulator.explore.ways import Way
from simulator.explore.writing import document_of
from simulator.report.explore import json as as_json
from simulator.report.explore import told
from simulator.scenario.file import load
from simulator.scenario.result import RunResult

ROOT = Path(__file__).parents[2]
RAISES = "cli.no_agents:raises"

BASE = """\
scenario: A base
why: it is one
rules: [retry.automatic]
given:
  users:
    - {name: alice, password: "Winter-2016!"}
timeline:
  - at: +1m
    do: {ad.reset-password: {user: alice, password: "Spring-2017!"}}
"""

BLOCK = """\
explore:
  runs: 3
  changes: {users: [alice], count: 1..2, between: [+2m, +6m]}
"""

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def pwsync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs ``pwsync ARGUMENTS`` in an empty folder; returns exit code, output and errors."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, str]:
        code = run_app(arguments)
        return (code, *capsys.readouterr())

    return call


class TestRefused:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--runs", "0"], "not a number of runs"),
            (["--runs", "-1"], "not a number of runs"),
            (["--runs", "many"], "not a number of runs"),
            (["--runs", "٣"], "not a number of runs"),
            (["--runs", str(ENDLESS + 1)], "not a number of runs"),
            (["--runs", "9" * 5000], "not a number of runs"),
            (["--runs", ""], "not a number of runs"),
            (["--seed", "x"], "not a seed"),
            (["--for", "soon"], "not a duration"),
            (["--for", "-5s"], "not a duration"),
            (["-j", "-1"], "not a number of workers"),
            (["-o", "taken"], '"taken" is no folder'),
            (["-o", "taken/below"], '"taken" is no folder'),
            (["--json", "no/such/a.json"], "does not exist"),
            (["--json", "folder"], "is a folder"),
            (["--json", "a", "--junit", "a"], "one file"),
            (["--profile", "2017"], "--profile goes with a FILE"),
            (["nothing.yaml"], "nothing.yaml"),
            (["empty.yaml"], "empty.yaml:1:1"),
            (["folder"], "folder"),
            (["base.yaml::row"], 'no row "row"'),
            (["base.yaml", "--profile", "1999"], 'no profile "1999"'),
            (["--engine", "no:such"], "--engine"),
        ],
        ids=lambda value: " ".join(value)[:30] if isinstance(value, list) else "",
    )
    def test_refused(self, pwsync: Command, tmp_path: Path, arguments: list[str], message: str) -> None:
        """What can't be meant is refused with exit code 2 before anything runs, and nothing is left behind."""
        (tmp_path / "taken").write_text("mine")
        (tmp_path / "empty.yaml").write_text("")
        (tmp_path / "base.yaml").write_text(BASE)
        (tmp_path / "folder").mkdir()
        before = sorted(os.listdir(tmp_path))
        code, out, err = pwsync("explore", *arguments)
        assert (code, out) == (2, "")
        assert message in err
        assert "Traceback" not in err
        assert sorted(os.listdir(tmp_path)) == before

    def test_more_runs_than_can_be_listed(self) -> None:
        """Seeds are made when they are asked for, however many there are."""
        assert len(Seeds(1, ENDLESS)) == ENDLESS
        assert Seeds(1, ENDLESS)[ENDLESS - 1].scenario.seed == ENDLESS


class TestRuns:
    def test_holds(self, pwsync: Command, tmp_path: Path) -> None:
        """Runs that all hold write reports that say so, and no scenario."""
        code, out, err = pwsync("explore", "--runs", "2", "-j", "1", "--json", "a.json", "--junit", "a.xml")
        assert code == 0
        assert "\n2 random runs in " in out
        assert out.endswith("0 findings\nseeds from 1\n")
        assert err == "random runs, from seed 1\n"
        report = read_report(tmp_path / "a.json")
        assert (report["exit-code"], report["seed"], report["runs"], report["findings"]) == (0, 1, 2, [])
        root = ElementTree.parse(tmp_path / "a.xml").getroot()
        assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("1", "0", "0")
        assert sorted(os.listdir(tmp_path)) == ["a.json", "a.xml"]

    def test_time(self, pwsync: Command) -> None:
        """A length of time ends the search, side by side too; there is one run at least."""
        code, out, _ = pwsync("explore", "--for", "1ms", "-j", "2")
        assert code == 0
        assert "random run" in out

    def test_time_begins_with_the_first_run(self, pwsync: Command, monkeypatch: pytest.MonkeyPatch) -> None:
        """That workers take long to start is not counted; one run is told as one."""
        from simulator import workers

        result = run_seed(seed_case(1), Exploration())

        def slow(*arguments: object, **options: object) -> Iterator[tuple[int, RunResult]]:
            time.sleep(0.6)
            yield 0, replace(result, seconds=0.0)
            yield 1, replace(result, seconds=0.0)
            time.sleep(0.5)
            for index in range(2, 9):
                yield index, replace(result, seconds=0.0)

        monkeypatch.setattr(workers, "run_stretches", slow)
        assert "\n3 random runs in 0.5 s" in pwsync("explore", "--for", "400ms", "-j", "2")[1]
        assert "\n1 random run in 0.0 s" in pwsync("explore", "--for", "0s", "-j", "2")[1]

    def test_beside_a_file(self, pwsync: Command, tmp_path: Path) -> None:
        """A file's block says how many runs; without a block its users change, as many times as usual."""
        (tmp_path / "with.yaml").write_text(BASE + BLOCK)
        (tmp_path / "without.yaml").write_text(BASE)
        (tmp_path / "alone.yaml").write_text(BASE.partition("timeline:")[0] + BLOCK)
        for name in ("with", "alone"):
            code, out, err = pwsync("explore", f"{name}.yaml", "-j", "1")
            assert (code, "\n3 random runs" in out) == (0, True)
            assert err == f"random runs beside {name}.yaml, from seed 1\n"
        code, out, _ = pwsync("explore", "without.yaml", "-j", "1", "--runs", "2", "--seed", "5")
        assert code == 0
        assert out.endswith("seeds from 5\n")

    def test_nobody_to_change(self, pwsync: Command, tmp_path: Path) -> None:
        """Beside a scenario without users there are faults alone."""
        text = BASE.partition("given:")[0] + "timeline:\n  - at: +5m\n    expect: {agent.pending: {is: none}}\n"
        (tmp_path / "nobody.yaml").write_text(text)
        assert pwsync("explore", "nobody.yaml", "-j", "1", "--runs", "2")[0] == 0


class TestFindings:
    def test_reports(self, pwsync: Command, tmp_path: Path) -> None:
        """A finding is told, written as a scenario, and in both reports; the command that is told finds it again."""
        arguments = ["--runs", "2", "-j", "1", "--engine", RAISES, "--json", "a.json", "--junit", "a.xml"]
        code, out, _ = pwsync("explore", *arguments, "-o", "new/found")
        assert code == 1
        (finding,) = read_report(tmp_path / "a.json")["findings"]
        assert (finding["kind"], finding["what"], finding["runs"]) == ("agent", "LookupError", 2)
        assert f"written to {finding['file']}" in out
        assert load(tmp_path / finding["file"]).errors == ()
        assert pwsync(*shlex.split(finding["repeat"])[1:])[0] == 1
        root = ElementTree.parse(tmp_path / "a.xml").getroot()
        assert (root.get("tests"), root.get("failures")) == ("1", "1")
        assert root.findtext("testsuite/testcase/failure") == finding["text"]
        assert sorted(os.listdir(tmp_path / "new" / "found")) == [Path(finding["file"]).name]

    def test_row_and_profile_are_repeated(self, pwsync: Command, tmp_path: Path) -> None:
        """Beside a row under a profile the line of each run tells a command that makes that very run again."""
        rows = "".join(f'  - {{name: {name}, values: {{new: "Spring-{name}-2017"}}}}\n' for name in ("one", "two"))
        text = BASE.replace('"Spring-2017!"', "$new").replace("rules:", "profile: [2017, current]\nrules:")
        (tmp_path / "rows.yaml").write_text(f"{text}examples:\n{rows}")
        arguments = ["rows.yaml::two", "--profile", "current", "--runs", "1", "-j", "1", "--engine", RAISES]
        assert pwsync("explore", *arguments, "--seed", "7", "-o", "found")[0] == 1
        case = load(tmp_path / "rows.yaml").cases[-1]
        document = document_of((tmp_path / "rows.yaml").read_text(), case.row, case.profile)
        told = repeat_of(Exploration(Base(document, case.scenario, "rows.yaml", case.row), RAISES), 7)
        assert told == f"pwsync explore rows.yaml::two --profile current --seed 7 --runs 1 --engine {RAISES}"
        assert pwsync(*shlex.split(told)[1:], "-o", "found")[0] == 1

    def test_directory_comes_along(self, pwsync: Command, tmp_path: Path) -> None:
        """The LDIF file of the scenario beside which something was found lies beside the finding too."""
        (tmp_path / "people.ldif").write_text(
            "dn: CN=carol,OU=People,DC=contoso,DC=example\nobjectClass: user\nsAMAccountName: carol\n"
            "userPrincipalName: carol@contoso.example\nuserPassword: Winter-2016!\n"
        )
        (tmp_path / "base.yaml").write_text(BASE.replace("given:\n", "given:\n  directory: people.ldif\n"))
        code, out, _ = pwsync("explore", "base.yaml", "--runs", "1", "-j", "1", "--engine", RAISES, "-o", "found")
        assert code == 1
        for path in (tmp_path / "found").glob("*.yaml"):
            assert load(path).errors == (), out

    def test_edited_file_stays(self, pwsync: Command, tmp_path: Path) -> None:
        """A scenario is written anew until somebody edits it; then the next one of its kind goes beside it."""
        arguments = ["explore", "--runs", "1", "-j", "1", "--engine", RAISES, "-o", "found", "--json", "a.json"]
        for _ in range(2):
            assert pwsync(*arguments)[0] == 1
        (path,) = (tmp_path / "found").iterdir()
        path.write_text(edited := path.read_text().replace("scenario: ", "scenario: Mine, "))
        for _ in range(2):
            code, out, _ = pwsync(*arguments)
            (finding,) = read_report(tmp_path / "a.json")["findings"]
            assert (code, finding["file"]) == (1, os.path.join("found", f"{path.stem}-2.yaml"))
            kept = os.path.join("found", path.name)
            assert f"written to {finding['file']}; repeat it" in out
            assert f"{kept} is not what pwsync wrote, and stays as it is" in out
        assert path.read_text() == edited
        assert len(list((tmp_path / "found").iterdir())) == 2

    def test_edited_directory_stays(self, tmp_path: Path) -> None:
        """Nor is an LDIF file written over that says something else than the one which is to be copied."""
        source, wanted = tmp_path / "people.ldif", tmp_path / "a.yaml"
        source.write_text("ours")
        assert place_for(wanted, source) == wanted
        (tmp_path / "a-people.ldif").write_text("ours")
        assert place_for(wanted, source) == wanted
        (tmp_path / "a-people.ldif").write_text("mine")
        assert place_for(wanted, source) == tmp_path / "a-2.yaml"
        (tmp_path / "a-2.yaml").mkdir()
        assert place_for(wanted, source) == tmp_path / "a-3.yaml"

    def test_shrinking_goes_wrong(self, pwsync: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Then the plan is written as it was drawn, and the fault of pwsync is told with exit code 3."""
        from simulator.explore import findings

        def fall(*parts: object, **named: object) -> None:
            raise LookupError("no way to shrink")

        monkeypatch.setattr(findings, "Shrinker", fall)
        arguments = ["--runs", "2", "-j", "1", "--engine", RAISES, "--json", "a.json", "-o", "found"]
        code, out, err = pwsync("explore", *arguments)
        assert code == 3
        assert "fault: shrinking random runs 1, 2 went wrong; what is written is not the shortest" in err
        assert "LookupError: no way to shrink" in err
        report = read_report(tmp_path / "a.json")
        assert report["exit-code"] == 3
        assert [(each["outcome"], each["runs"]) for each in report["findings"]] == [("broke", 2)] * 2  # of two kinds
        for finding in report["findings"]:
            assert f"written to {finding['file']}" in out
            text = " ".join((tmp_path / finding["file"]).read_text().split())
            assert f"Found by random run {finding['seed']} of {RAISES}; it could not be shrunk." in text
            assert pwsync(*shlex.split(finding["repeat"])[1:])[0] == 1

    def test_one_step_goes_wrong(self, pwsync: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """What the other steps of shrinking found is written; the fault is told all the same."""
        from simulator.explore import shrink

        def falls(view: View) -> Candidates:
            yield {**view.document, "faults": []}
            raise LookupError("no such entry")

        monkeypatch.setattr(shrink, "REDUCTIONS", (*shrink.REDUCTIONS, falls))
        code, out, err = pwsync("explore", "--runs", "1", "-j", "1", "--engine", RAISES, "-o", "found")
        assert code == 3
        assert "LookupError: no such entry" in err
        (path,) = (tmp_path / "found").iterdir()
        assert f"written to {Path('found', path.name)}" in out
        assert "and shrunk." in " ".join(path.read_text().split())

    def test_plan_that_cannot_be_drawn(self, pwsync: Command, monkeypatch: pytest.MonkeyPatch) -> None:
        """There is nothing to write then, and no file is named that is not there."""
        from simulator.explore import explorer

        def fall(seed: int) -> None:
            raise LookupError("no such plan")

        monkeypatch.setattr(explorer, "draw_plan", fall)
        code, out, _ = pwsync("explore", "--runs", "1", "-j", "1", "-o", "found")
        assert code == 3
        assert "1 run broke harness: LookupError; the first was seed 1" in out
        assert "-->" not in out

    def test_kinds_of_one_way(self) -> None:
        """Findings of one way are told together, with one count, which is that of the JSON."""
        way, other = Way("invariant", "converges"), Way("invariant", "never-older")
        result = run_seed(seed_case(1), Exploration(engine=RAISES))
        found = [Finding(way, result, (9, 4, 5)), Finding(other, result, (6,)), Finding(way, result, (9, 4, 5))]
        first, second = told(found)
        assert first.startswith("3 runs broke converges; the first was seed 4; 2 kinds of it were found\n")
        assert (first.count("runs broke"), first.count("LookupError")) == (1, 2)
        assert second.startswith("1 run broke never-older; the first was seed 6\n")
        report = json.loads(as_json(found, 4, 9, seconds=1.0, exit_code=1))
        assert [each["runs"] for each in report["findings"]] == [3, 1, 3]

    def test_full_disk(self, pwsync: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """What can't be written is told all the same, with exit code 2."""
        from simulator.explore import findings

        def refuse(path: Path, content: str) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(findings, "write_whole", refuse)
        code, out, err = pwsync("explore", "--runs", "1", "-j", "1", "--engine", RAISES, "-o", "found")
        assert code == 2
        assert "1 run broke agent: LookupError; the first was seed 1" in out
        assert 'error: can\'t write to "found": No space left on device' in err
        assert list((tmp_path / "found").iterdir()) == []


class TestStopped:
    def start(self, folder: Path, *arguments: str) -> subprocess.Popen[str]:
        """A process that explores with what finds something in every run, a session of its own."""
        command = [sys.executable, "-m", "simulator.cli", "explore", "--engine", RAISES, "--json", "a.json", *arguments]
        (folder / "tmp").mkdir()
        (folder / "a.json").write_text("old")
        paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
        return subprocess.Popen(
            command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
            env={**os.environ, "PYTHONPATH": paths, "TMPDIR": str(folder / "tmp"), "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip

    @pytest.mark.skipif(os.name == "nt", reason="signals to a process group are of POSIX")
    @pytest.mark.parametrize("jobs", ["1", "2"])
    def test_while_running(self, tmp_path: Path, jobs: str) -> None:
        """Ctrl-C tells what was found so far and leaves with 130; reports stay, nothing half is left."""
        process = self.start(tmp_path, "--runs", "1000000", "-j", jobs)
        assert process.stdout is not None
        assert process.stdout.readline().startswith("BROKE  explore/")
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=120)  # ends when no process holds the pipes any more
        assert process.returncode == 130, err
        assert "broke agent: LookupError; the first was seed " in out
        assert "repeat    pwsync explore --seed " in out
        assert "1 finding\n" in out
        assert re.fullmatch("stopped after (1 run|[0-9]+ runs); no report was written", err.splitlines()[-1])
        assert "Traceback" not in err
        assert (tmp_path / "a.json").read_text() == "old"
        assert sorted(os.listdir(tmp_path)) == ["a.json", "tmp"]
        assert [name for name in os.listdir(tmp_path / "tmp") if not name.startswith("pymp-")] == []

    @pytest.mark.skipif(os.name == "nt", reason="signals to a process group are of POSIX")
    def test_while_shrinking(self, tmp_path: Path) -> None:
        """Ctrl-C while runs are shrunk tells them too; what was written by then is whole."""
        process = self.start(tmp_path, "--runs", "4", "-j", "1")
        assert process.stderr is not None
        while "shrinking" not in process.stderr.readline():
            assert process.poll() is None
        os.killpg(process.pid, signal.SIGINT)
        out, _ = process.communicate(timeout=120)
        assert "broke agent: LookupError; the first was seed " in out
        assert out.count("LookupError; the first was") == 1
        if process.returncode != 1:  # it may have been quicker
            assert process.returncode == 130
            assert (tmp_path / "a.json").read_text() == "old"
        assert os.listdir(tmp_path / "tmp") == []
        for path in (tmp_path / "scenarios" / "found").glob("*"):
            assert load(path).errors == ()


class TestRunOfABlock:
    GOLDEN = Path(__file__).parent / "expected" / "explore-block-left-out.txt"

    def test_run_says_what_it_leaves_out(self, pwsync: Command, tmp_path: Path, update: bool) -> None:
        """``pwsync run`` runs the timeline alone, and says which command makes the random runs, once for a file."""
        rows = "examples:\n  - {name: one, values: {}}\n  - {name: two, values: {}}\n"
        (tmp_path / "plain.yaml").write_text(BASE)
        for name in "abcde":
            (tmp_path / f"{name}.yaml").write_text(BASE + BLOCK + (rows if name == "a" else ""))
        code, out, err = pwsync("run", "a.yaml", "plain.yaml")
        _, _, several = pwsync("run", ".")
        assert code == 0
        assert "3 scenarios: 3 held" in out
        told = f"$ pwsync run a.yaml plain.yaml\n{err}$ pwsync run .\n{several}"
        if update:
            self.GOLDEN.parent.mkdir(exist_ok=True)
            self.GOLDEN.write_text(told)
        assert told == self.GOLDEN.read_text()

    def test_nothing_else_to_run(self, pwsync: Command, tmp_path: Path) -> None:
        """A file that has random runs alone holds nobody up; the command that makes them is named."""
        (tmp_path / "alone.yaml").write_text(BASE.partition("timeline:")[0] + BLOCK)
        (tmp_path / "plain.yaml").write_text(BASE)
        code, out, err = pwsync("run", ".")
        assert (code, "2 scenarios: 2 held" in out) == (0, True)
        assert "pwsync explore alone.yaml" in err


def read_report(path: Path) -> Any:
    """The JSON report, which fits its schema."""
    schema = json.loads(files("simulator.report").joinpath("explore.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    report = json.loads(path.read_text(encoding="utf-8"))
    jsonschema.validate(report, schema)
    for part, values in [(schema, report), *((schema["$defs"]["finding"], each) for each in report["findings"])]:
        assert set(values) == set(part["properties"]) == set(part["required"])
    return report
