"""The commands as people use them: what they print, what they leave behind, and their exit codes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import freezegun.api
import pytest
from cli.cases import ROWS, run_by_title, write
from cli.results import HELD

from simulator.cli.app import app, run_app
from simulator.cli.console import INTERRUPTED
from simulator.cli.progress import BarProgress, LineProgress
from simulator.cli.run import run_and_report
from simulator.scenario.file import Case
from simulator.scenario.result import ExitCode, RunResult
from simulator.suite import collect

ROOT = Path(__file__).parents[2]

HEAVY = {"freezegun", "msal", "responses", "ldap3", "faker", "pydantic", "yaml", "requests", "cryptography", "rich"}

Command = Callable[..., "Output"]


class Output:
    """What a command printed, and its exit code."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err


@pytest.fixture
def pwsync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs ``pwsync ARGUMENTS`` in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> Output:
        code = run_app(arguments)
        return Output(code, *capsys.readouterr())

    return call


@pytest.fixture
def scenarios(tmp_path: Path) -> Path:
    folder = tmp_path / "scenarios"
    write(folder, "one.yaml")
    write(folder, "two.yaml", title="breaks", tags="quiet, bad")
    return folder


class TestHelp:
    def test_help_teaches(self, pwsync: Command) -> None:
        """The first page names the commands, how to begin, and the exit codes."""
        output = pwsync("--help")
        assert output.code == 0
        for words in ("run ", "check ", "show ", "rules ", "schema ", "new ", "pwsync new first/try", "Exit codes: 0"):
            assert words in output.out

    @pytest.mark.parametrize("command", ["run", "check", "show", "rules", "schema", "new"])
    def test_each_command_has_examples(self, pwsync: Command, command: str) -> None:
        """Each command's help explains it and shows how it is used."""
        output = pwsync(command, "--help")
        assert output.code == 0
        assert "Example" in output.out
        assert f"pwsync {command}" in output.out

    @pytest.mark.parametrize("command", [None, *(each.name for each in app.registered_commands)])
    def test_paths_in_help_exist(self, pwsync: Command, command: str | None) -> None:
        """What an example names is there to be tried, but for what ``pwsync new`` makes first."""
        output = pwsync(*filter(None, [command]), "--help")
        assert output.code == 0
        named = set(re.findall(r"scenarios/[\w./-]*\w", output.out)) - {"scenarios/first/try.yaml", "scenarios/found"}
        assert [name for name in named if not (ROOT / name).exists()] == []

    def test_version(self, pwsync: Command) -> None:
        """The version names the Python too, for reports of faults."""
        output = pwsync("--version")
        assert output.code == 0
        assert output.out.startswith("pwsync 0.")
        assert "Python 3." in output.out

    def test_help_imports_nothing_heavy(self) -> None:
        """Help comes at once: no library of the simulation is imported for it."""
        script = (
            "import sys; from simulator.cli.app import run_app\n"
            "run_app(['--help']); print(*sys.modules, file=sys.stderr)"
        )
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        assert HEAVY & set(done.stderr.split()) == set()

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["run"], "Missing argument"),
            (["rn", "."], "No such command"),
            (["run", ".", "--sed", "1"], "No such option"),
            (["run", ".", "--seed", "-1"], '--seed "-1" is not a seed'),
            (["run", ".", "--seed", "1.5"], '--seed "1.5" is not a seed'),
            (["run", ".", "--seed", "9" * 30], "is not a seed"),
            (["run", ".", "-j", "many"], "is not a number of workers"),
            (["run", ".", "-j", "-1"], "is not a number of workers"),
            (["run", ".", "--to", "2m"], "is not an offset"),
            (["run", ".", "--html", "out"], "--html comes in a later version"),
            (["run", ".", "--junit", "no/such/out.xml"], 'the folder "no/such" does not exist'),
            (["run", ".", "--json", "."], "is a folder"),
            (["run", ".", "--json", "out", "--junit", "./out"], "can't be written to one file"),
            (["run", ".", "--engine", "agent"], "is not of the form module:factory"),
            (["run", ".", "--engine", "no_such_module:create"], "No module named"),
            (["run", ".", "--engine", "os:no_such_factory"], "no_such_factory"),
            (["run", ".", "--rule", "cycle.fixd"], 'did you mean "cycle.fixed"?'),
            (["run", ".", "--profile", "2018"], "the profiles are: 2017, current"),
            (["run", "."], "there is no scenario file"),
            (["check", "gone"], 'there is no file or folder "gone"'),
            (["show", "gone"], 'there is no file or folder "gone"'),
            (["show", "."], '"." is a folder'),
            (["rules", "--coverage", "gone"], 'there is no file or folder "gone"'),
            (["new", "../x"], "is no name for a scenario"),
            (["new", "a b"], "is no name for a scenario"),
            (["new", ""], "is no name for a scenario"),
            (["new", ".yaml"], "is no name for a scenario"),
        ],
    )
    def test_bad_option(self, pwsync: Command, arguments: list[str], message: str) -> None:
        """A bad command line ends with exit code 2, a message that says why, and nothing on standard output."""
        output = pwsync(*arguments)
        assert (output.code, output.out) == (2, "")
        assert message in output.err
        assert "Traceback" not in output.err


class TestCheck:
    def test_good_files(self, pwsync: Command, scenarios: Path) -> None:
        """Good files are counted."""
        assert scenarios.is_dir()
        output = pwsync("check", "scenarios")
        assert (output.code, output.out) == (0, "2 files with 2 scenarios: all well formed\n")

    def test_bad_files(self, pwsync: Command, scenarios: Path) -> None:
        """All errors of all files are told, and run runs nothing."""
        write(scenarios, "bad.yaml", rules="no.such.rule")
        write(scenarios, "worse.yaml", rules="nor.this.one")
        for command in ("check", "run"):
            output = pwsync(command, "scenarios")
            assert (output.code, output.out) == (2, "")
            assert "scenarios/bad.yaml:3:9" in output.err
            assert "scenarios/worse.yaml:3:9" in output.err
            assert output.err.endswith("2 errors; nothing was run\n")


class TestNew:
    def test_starts_a_scenario_that_is_well_formed(self, pwsync: Command) -> None:
        """The file that new writes passes check, and tells where it is."""
        output = pwsync("new", "first/the-try")
        assert output.code == 0
        assert output.out.startswith("wrote scenarios/first/the-try.yaml\n")
        assert pwsync("check", "scenarios").code == 0
        assert Path("scenarios/first/the-try.yaml").read_text(encoding="utf-8").count("The try - ") == 1

    def test_starts_a_scenario_that_holds(self, pwsync: Command) -> None:
        """The file that new writes holds as it stands."""
        pwsync("new", "try")
        output = pwsync("run", "scenarios")
        assert output.code == 0, output.out
        assert "1 scenario: 1 held" in output.out

    def test_path(self, pwsync: Command) -> None:
        """A name that ends in .yaml is a path."""
        assert pwsync("new", "drafts/idea.yaml").code == 0
        assert Path("drafts/idea.yaml").is_file()

    def test_overwrites_nothing(self, pwsync: Command) -> None:
        """A file that is there stays as it is."""
        pwsync("new", "try")
        Path("scenarios/try.yaml").write_text("mine", encoding="utf-8")
        output = pwsync("new", "scenarios/try")
        assert output.code == 2
        assert "is there already" in output.err
        assert Path("scenarios/try.yaml").read_text(encoding="utf-8") == "mine"


class TestRules:
    def test_catalogue(self, pwsync: Command) -> None:
        """Each rule has a line: its id and what must hold."""
        output = pwsync("rules")
        assert output.code == 0
        assert "cycle.two-minutes" in output.out

    def test_coverage(self, pwsync: Command, scenarios: Path) -> None:
        """Coverage counts scenarios per rule, lists the rules without any, and then exits with 1."""
        output = pwsync("rules", "--coverage", str(scenarios))
        line = next(line for line in output.out.splitlines() if line.startswith("cycle.two-minutes"))
        assert line.split()[1] == "2"
        assert output.code == 1
        assert "\n1 of " in output.out
        assert "cycle.two-minutes" not in output.out.splitlines()[-1]


class TestShow:
    def test_story(self, pwsync: Command, scenarios: Path) -> None:
        """A scenario with one case is told, and nothing else is said."""
        output = pwsync("show", str(scenarios / "one.yaml"))
        assert output.code == 0
        assert output.out.startswith("A quiet minute\n(one; profile 2017, seed 1, ")
        assert "the others are" not in output.out

    def test_rows_and_profiles(self, pwsync: Command, scenarios: Path) -> None:
        """Of several rows the first is told, and how to see another; profiles are named."""
        path = write(scenarios, "rows.yaml", more=ROWS + "profile: [2017, current]\n")
        output = pwsync("show", str(path))
        assert output.out.splitlines()[-3:] == [
            "The same must hold under each of the profiles 2017, current.",
            "This is row first of 2; the others are: second.",
            f"To see one: pwsync show {path}::second",
        ]
        assert "(rows::second[2017]; " in pwsync("show", f"{path}::second").out


def test_schema(pwsync: Command) -> None:
    """The schema that is printed is JSON Schema."""
    output = pwsync("schema")
    assert output.code == 0
    assert "json-schema.org" in json.loads(output.out)["$schema"]


class TestRun:
    @pytest.fixture
    def run(self, scenarios: Path, capsys: pytest.CaptureFixture[str]) -> Command:
        def call(*titles: str, **options: object) -> Output:
            for file in scenarios.glob("*.yaml"):
                file.unlink()
            for number, title in enumerate(titles):
                write(scenarios, f"{number:03}.yaml", title=title)
            code = run_and_report(collect([str(scenarios)]).cases, partial(run_by_title), **options)  # type: ignore[arg-type]
            return Output(code, *capsys.readouterr())

        return call

    def test_all_held(self, run: Command) -> None:
        """A run that held ends with counts, seed and digest."""
        output = run("holds", "holds")
        assert output.code == 0
        counts, seed, digest = output.out.splitlines()
        assert counts.startswith("2 scenarios: 2 held, in ")
        assert seed == "seed 1"
        assert len(digest.removeprefix("digest ")) == 64

    def test_failures(self, run: Command) -> None:
        """A failure has a line when it comes, and its whole text after all have run."""
        output = run("holds", "breaks", "holds")
        assert output.code == 1
        lines = output.out.splitlines()
        assert lines[0] == "BROKE  001  +2m cloud.sign-in of alice"
        assert lines[2] == "error: cloud.sign-in of alice at +2m"
        assert any(line.startswith("3 scenarios: 2 held, 1 broke, in ") for line in lines)

    def test_control_c_leaves_time_frozen(
        self, scenarios: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The seconds are told by a clock that goes on, also if Ctrl-C came before time was let go again."""

        stop, frozen = freezegun.api._freeze_time.stop, []
        monkeypatch.setattr(freezegun.api._freeze_time, "stop", lambda freezer: frozen.append(freezer))  # noqa: PLW0108 - a method

        def interrupted(case: Case) -> RunResult:
            raise KeyboardInterrupt

        try:
            assert run_and_report(collect([str(scenarios)]).cases, interrupted) == INTERRUPTED
        finally:
            for freezer in frozen:
                stop(freezer)
        assert frozen
        told, _, seconds = capsys.readouterr().out.splitlines()[0].rpartition(", in ")
        assert told == "0 scenarios: 0 held"
        assert 0 <= float(seconds.removesuffix(" s")) < 600

    def test_fault(self, run: Command) -> None:
        """A fault of the harness outweighs a broken scenario, and says so."""
        output = run("breaks", "raises")
        assert output.code == 3
        assert "FAULT  001  KeyError: 'alice'" in output.out
        assert "this is a fault of pwsync itself, not of your scenario" in output.out

    def test_output_is_the_same_side_by_side(self, run: Command) -> None:
        """Failures, seed and digest stand in file order, whatever the number of workers."""

        def steady(text: str) -> list[str]:
            return [line.partition(", in ")[0] for line in text.splitlines() if not line.startswith("BROKE")]

        titles = ("waits", "breaks", "holds", "breaks", "waits")
        assert steady(run(*titles, jobs=2).out) == steady(run(*titles).out)

    def test_trace(self, run: Command) -> None:
        """The trace of each case is printed if asked for."""
        assert "trace of 000\n  +0s 000\n" in run("holds", trace=True).out

    def test_reports(self, run: Command, tmp_path: Path) -> None:
        """JUnit and JSON are written, and say what the text says."""
        run("holds", "breaks", junit=tmp_path / "out.xml", json=tmp_path / "out.json")
        assert ElementTree.parse(tmp_path / "out.xml").getroot().get("failures") == "1"
        assert json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))["counts"]["broke"] == 1

    def test_stopped(self, run: Command, tmp_path: Path) -> None:
        """After Ctrl-C what was found is told, reports stay as they were, and the exit code is 130."""
        report = tmp_path / "out.xml"
        report.write_text("old", encoding="utf-8")
        output = run("breaks", "holds", "stopped", "holds", junit=report)
        assert output.code == 130
        assert "error: cloud.sign-in of alice at +2m" in output.out
        assert "2 scenarios: 1 held, 1 broke" in output.out
        assert output.err == "stopped after 2 of 4 scenarios; no report was written\n"
        assert report.read_text(encoding="utf-8") == "old"

    def test_long_run_tells_how_far_it_is(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Without a terminal a long run has a line at every tenth of its way, on standard error."""
        with LineProgress(40) as display:
            for _ in range(40):
                display.finished(HELD)
        assert capsys.readouterr().err.splitlines()[:2] == ["4 of 40, 0 did not hold", "8 of 40, 0 did not hold"]

    def test_bar(self, capsys: pytest.CaptureFixture[str]) -> None:
        """The bar prints failures above itself, whatever they contain."""
        from dataclasses import replace

        with BarProgress(2) as display:
            display.finished(HELD)
            display.finished(replace(HELD, id="[red]odd[/]", outcome="broke"))
        assert "BROKE  [red]odd[/]" in capsys.readouterr().out


class TestChosen:
    def test_none(self, pwsync: Command, scenarios: Path) -> None:
        """A choice that takes nothing is exit code 2 with the reason."""
        assert scenarios.is_dir()
        output = pwsync("run", "scenarios", "-t", "bda")
        assert output.code == 2
        assert 'no scenario has the tag "bda"\n  = did you mean "bad"?' in output.err

    def test_real_run(self, pwsync: Command, scenarios: Path) -> None:
        """Paths, tags and rules reach the runner: a quiet scenario holds, twice with the same digest."""
        write(scenarios, "rows.yaml", more=ROWS)
        first = pwsync("run", "scenarios", "-t", "not:bad", "--rule", "cycle.two-minutes", "--profile", "2017")
        assert first.code == 0, first.out
        assert "3 scenarios: 3 held" in first.out
        again = pwsync("run", "scenarios", "-t", "not:bad", "-j", "2", "--every-cycle")
        assert first.out.splitlines()[-1] == again.out.splitlines()[-1]


class TestProcess:
    def start(self, *arguments: str) -> subprocess.Popen[str]:
        script = "import sys; from simulator.cli import main; sys.argv[0] = 'pwsync'; main()"
        return subprocess.Popen(
            [sys.executable, "-c", script, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def test_exit_code_reaches_the_shell(self) -> None:
        """The process leaves with the command's exit code."""
        process = self.start("check", "no-such-folder")
        assert "no-such-folder" in process.communicate()[1]
        assert process.returncode == ExitCode.BAD_INPUT

    def test_reader_that_goes_away(self) -> None:
        """A reader that leaves early, as head does, is no reason for a traceback."""
        process = self.start("rules")
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        errors = process.stderr.read()
        process.stderr.close()
        process.wait()
        assert "Traceback" not in errors

    @pytest.mark.skipif(os.name == "nt", reason="signals to a process group are of POSIX")
    @pytest.mark.parametrize("jobs", [1, 2])
    def test_control_c(self, tmp_path: Path, jobs: int) -> None:
        """Ctrl-C in the middle of a run tells what was found, ends the workers, and leaves with 130."""
        for number, title in enumerate(("breaks", "waits for ever", "waits for ever")):
            write(tmp_path, f"scenarios/{number}.yaml", title=title)
        script = (
            "import sys; from functools import partial; from cli.cases import run_by_title\n"
            "from simulator.cli.run import run_and_report; from simulator.suite import collect\n"
            "if __name__ == '__main__':\n"
            f"    sys.exit(run_and_report(collect(['scenarios']).cases, partial(run_by_title), jobs={jobs}))\n"
        )
        (tmp_path / "script.py").write_text(script, encoding="utf-8")
        process = subprocess.Popen(
            [sys.executable, "script.py"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True, env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        )  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline().startswith("BROKE  0")
        time.sleep(0.1)
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)  # ends when no process holds the pipes any more
        assert process.returncode == 130
        assert "1 scenario: 1 broke" in out.replace("0 held, ", "")
        assert err == "stopped after 1 of 3 scenarios\n"
