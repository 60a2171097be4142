"""The runner: what a run comes to, and what it leaves behind for reports."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from world.broken_agents import GivesUp
from world.runs import ALICE, BOTH, HEAD, case, cases, held, run

from simulator.cli.app import run_app
from simulator.scenario.result import ExitCode
from simulator.scenario.runner import (
    EngineError,
    Outcome,
    RunOptions,
    judge_refusal,
    load_engine,
    repeat_command,
    run_case,
)
from simulator.suite import exit_code
from simulator.trace import BECAUSE_LINES, digest

CHANGE = (
    ALICE
    + """
timeline:
  - at: +1m
    do: {ad.change-password: {user: alice, password: "Spring-2017!"}}
  - at: +2m
    expect: {cloud.sign-in: {user: alice, password: "Spring-2017!", result: ok}}
"""
)


class TestOutcomes:
    def test_held(self) -> None:
        """A run in which everything holds says what it was, and how it went."""
        result = held(run(CHANGE))
        assert (result.id, result.path, result.row, result.profile, result.seed) == (
            "test", "scenarios/test.yaml", None, "2017", 1,
        )  # fmt: skip
        assert result.trace[0] == "+1m        people  ad.change-password alice alice#2"
        assert result.digest == digest(result.trace)
        assert result.seconds > 0

    def test_broke(self) -> None:
        """An expectation that does not hold: where, what was expected, what came, and what led there."""
        result = run(CHANGE.replace("result: ok", "result: wrong-password"))
        (failure,) = result.failures
        assert (result.outcome, failure.kind, failure.title, failure.at) == (
            "broke", "expectation", "cloud.sign-in of alice", "+2m",
        )  # fmt: skip
        assert (failure.expected, failure.got) == ("wrong-password", "ok")
        assert failure.position is not None
        assert (failure.position.path, failure.position.line) == ("scenarios/test.yaml", 13)
        assert failure.rules == ("cycle.two-minutes",)
        assert failure.because[0] == "+1m        people  ad.change-password alice alice#2"

    def test_goes_on_after_a_failure(self) -> None:
        """A failure does not end the run: all of them are told, in the order in which they came."""
        result = run(CHANGE + "  - {at: +2m, expect: [{agent.pending: {is: [alice]}}, {cloud.calls: {count: 9}}]}\n")
        assert [failure.title for failure in result.failures] == ["agent.pending", "cloud.calls"]

    def test_harness_fault(self) -> None:
        """What goes wrong in the simulation itself is no failure of the scenario: exit code 3, with the traceback."""
        broken = case(ALICE + "timeline: [{at: +1m, do: {ad.unlock: {user: alice}}}]")
        (step,) = broken.scenario.timeline
        strange = step.model_copy(update={"do": (step.do[0].model_copy(update={"user": ["a", "list"]}),)})
        scenario = broken.scenario.model_copy(update={"timeline": (strange,)})
        result = run_case(replace(broken, scenario=scenario))
        assert (result.outcome, result.failures) == ("harness-fault", ())
        assert "TypeError: unhashable type: 'list'" in (result.harness_fault or "")
        assert exit_code([held(run(CHANGE)), result]) == ExitCode.HARNESS_FAULT

    @pytest.mark.parametrize(
        ("engine", "said"),
        [
            pytest.param("AlwaysDue", "next_due() says +0s, and after run_due() +0s; 10 times in a row", id="now"),
            pytest.param("DueInThePast", "next_due() says -5m, and after run_due() -5m; 10 times in a row", id="past"),
        ],
    )
    def test_always_due(self, engine: str, said: str) -> None:
        """An agent whose next cycle never comes to be over has failed; the run does not go on for ever."""
        result = run(CHANGE, engine=f"world.plain_agents:{engine}")
        (failure,) = result.failures
        assert (result.outcome, failure.kind, failure.at) == ("broke", "agent", "+0s")
        assert failure.title == "the agent always has something due"
        assert failure.expected == "a next_due() after +0s, once run_due() has run"
        assert failure.got == said

    def test_due_for_several_turns(self) -> None:
        """An agent may need more than one turn for what is due."""
        held(run(CHANGE, engine="world.plain_agents:OneKindAtATime"))

    def test_engine_that_raises(self) -> None:
        """An agent under test that raises breaks the run, at the offset where it did."""
        result = run(CHANGE, engine="world.plain_agents:RaisesInCycle")
        assert (result.outcome, result.harness_fault) == ("broke", None)
        failure = result.failures[-1]
        assert (failure.kind, failure.at, failure.got) == ("agent", "+2m", "KeyError: 'alice'")
        assert exit_code([result]) == ExitCode.BROKE

    def test_engine_that_can_not_be_built(self) -> None:
        """So does one that raises before the run has begun; faults that had no chance are not told."""
        fault = "faults: [{on: cloud.set-passwords, lose: request}]"
        result = run(CHANGE + fault, engine="world.plain_agents:raise_at_once")
        (failure,) = result.failures
        assert (result.outcome, failure.kind, failure.at, failure.got) == (
            "broke", "agent", "+0s", "RuntimeError: no licence",
        )  # fmt: skip

    def test_engine_of_another_make(self) -> None:
        """An agent with nothing but the protocol runs; what it does not have it does not support."""
        text = CHANGE + "  - {at: +3m, do: {agent.enable-password-sync: {}}, expect: {refused: not-supported}}\n"
        result, ours = held(run(text, engine="world.plain_agents:create")), held(run(CHANGE))
        assert result.trace[: len(ours.trace)] == ours.trace

    @pytest.mark.parametrize(
        ("name", "words"),
        [
            ("agent", "not of the form"),
            (":create", "not of the form"),
            ("agent:", "not of the form"),
            ("no_such_module:create", "No module named"),
            ("world.plain_agents:nothing", "nothing"),
            ("world.runs:ALICE", "can not be called"),
        ],
    )
    def test_engine_that_is_none(self, name: str, words: str) -> None:
        """A name that leads to no factory is told with its reason."""
        with pytest.raises(EngineError, match=words):
            load_engine(name)

    def test_engine_within_a_class(self) -> None:
        """A factory may lie deeper in its module."""
        assert load_engine("world.broken_agents:GivesUp.passwords") is GivesUp.passwords


class TestRefusals:
    WEAK = ("password-too-weak", "password-too-short", "password-too-long", "password-characters")

    @pytest.mark.parametrize("got", WEAK)
    def test_too_weak_stands_for_more(self, got: str) -> None:
        """``password-too-weak`` holds for every way in which a password is not good enough."""
        assert judge_refusal("password-too-weak", Outcome([got], ["why"])).held
        assert judge_refusal(got, Outcome([got], ["why"])).held

    @pytest.mark.parametrize("got", ["password-reused", "password-too-young", "wrong-password", None])
    def test_too_weak_stands_for_no_other(self, got: str | None) -> None:
        """Reused, too young, or taken is not too weak."""
        assert not judge_refusal("password-too-weak", Outcome([got], ["why"])).held

    @pytest.mark.parametrize("wanted", WEAK[1:])
    def test_the_exact_reason_is_exact(self, wanted: str) -> None:
        """A reason that says more than too weak does not hold for too weak."""
        assert not judge_refusal(wanted, Outcome(["password-too-weak"], ["why"])).held

    @pytest.mark.parametrize(
        ("password", "reason"),
        [
            ("Ab1!", "password-too-short"),
            ("Abcdefgh1!2345678", "password-too-long"),
            ("abcdefgh", "password-too-weak"),
            ("Umlaut-äöü-1", "password-characters"),
        ],
    )
    def test_in_a_run(self, password: str, reason: str) -> None:
        """The tenant's reasons are told apart, and the general word holds for each."""
        entries = "".join(
            f'  - at: +1m\n    do: {{cloud.reset-password: {{user: alice, password: "{password}"}}}}\n'
            f"    expect: {{refused: {word}}}\n"
            for word in (reason, "password-too-weak")
        )
        held(run(f"{ALICE}timeline:\n{entries}"))

    def test_unexpected(self) -> None:
        """A refusal that nobody expects fails the run with its reason, and the run goes on."""
        result = run(ALICE + """
timeline:
  - {at: +1m, do: {ad.change-password: {user: alice, old: "Nonsense-1", password: "Spring-2017!"}}}
  - {at: +2m, expect: {cloud.writes: {count: 7}}}
""")  # fmt: skip
        first, second = result.failures
        assert (first.kind, first.title, first.expected) == ("action", "ad.change-password was refused", "carried out")
        assert first.got.startswith("refused: wrong-password")
        assert first.position is not None
        assert first.position.line == 10
        assert second.title == "cloud.writes"
        assert "+1m        people  ad.change-password alice refused: wrong-password" in result.trace

    def test_expected_and_carried_out(self) -> None:
        """An action that is carried out where a refusal was expected fails the expectation."""
        (failure,) = run(ALICE + """
timeline:
  - at: +1m
    do: {ad.change-password: {user: alice, password: "Spring-2017!"}}
    expect: {refused: wrong-password}
""").failures  # fmt: skip
        assert (failure.title, failure.expected, failure.got) == ("refused", "refused: wrong-password", "carried out")

    def test_another_reason(self) -> None:
        """A refusal for another reason fails, and says for which."""
        (failure,) = run(ALICE + """
timeline:
  - at: +1m
    do: {ad.reset-password: {user: alice, password: "short"}}
    expect: {refused: wrong-password}
""").failures  # fmt: skip
        assert failure.expected == "refused: wrong-password"
        assert failure.got.startswith("refused: password-too-short (")


class TestFaults:
    FAULT = "faults: [{on: cloud.set-passwords, call: 3, answer: 500}]\n"

    def test_never_fired(self) -> None:
        """A rule that never fired fails the run at its own place, and says how often it fitted."""
        result = run(CHANGE + self.FAULT)
        (failure,) = result.failures
        assert (failure.kind, failure.title) == ("fault", "fault 1 never fired")
        assert (failure.expected, failure.got) == ("an attempt on cloud.set-passwords call 3", "only 1 that counts")
        assert failure.position is not None
        assert failure.position.line == 14
        assert result.faults_fired == ("fault 1 (cloud.set-passwords): 0",)

    @pytest.mark.parametrize(
        ("which", "words"),
        [
            ("times: 2", "an attempt on cloud.ping first 2"),
            ("between: [+1m, +90s]", "an attempt on cloud.ping between +1m and +1m30s"),
        ],
    )
    def test_what_it_waited_for(self, which: str, words: str) -> None:
        """The failure tells what the rule waited for."""
        (failure,) = run(CHANGE + f"faults: [{{on: cloud.ping, {which}, answer: 500}}]\n").failures
        assert failure.expected == words

    def test_cut_short(self) -> None:
        """With --to before the end a rule may still have its chance: nothing is said of it."""
        text = CHANGE + "  - {at: +30m, expect: {cloud.calls: {count: 1+}}}\n" + self.FAULT
        outcomes = [run(text, to=timedelta(minutes=minutes)).outcome for minutes in (5, 30, 40)]
        assert outcomes == ["held", "broke", "broke"]

    def test_fired(self) -> None:
        """How often each rule fired is part of the result."""
        fault = "faults: [{on: cloud.set-passwords, times: 1, answer: 500}]\n"
        result = held(run(CHANGE.replace("+2m\n", "+4m\n") + fault))
        assert result.faults_fired == ("fault 1 (cloud.set-passwords): 1",)


class TestOptions:
    def test_to(self) -> None:
        """--to stops there: what stands later is not run, what came until then is judged."""
        text = CHANGE + "  - {at: +1h, expect: {cloud.calls: {count: 99}}}\n"
        assert run(text).outcome == "broke"
        result = held(run(text, to=timedelta(minutes=2)))
        assert {line.split()[0] for line in result.trace} == {"+1m", "+2m"}

    def test_to_where_nothing_stands(self) -> None:
        """--to may name an instant between two entries, and one after the end: the world moves on to it."""
        assert held(run(CHANGE, to=timedelta(seconds=90))).trace == run(CHANGE).trace[:1]
        assert any("cloud.ping" in line for line in held(run(CHANGE, to=timedelta(hours=2))).trace)

    def test_to_is_judged(self) -> None:
        """What came until then is judged by the invariants too."""
        result = run(CHANGE, to=timedelta(minutes=2), engine="world.broken_agents:SendsNonsense")
        assert "never-older" in [failure.rules[0] for failure in result.failures]

    def test_seed(self) -> None:
        """A seed of one's own takes the place of the file's: another trace, the same again each time."""
        one, other, again = run(CHANGE), run(CHANGE, seed=7), run(CHANGE, seed=7)
        assert (one.seed, other.seed) == (1, 7)
        assert one.digest != other.digest == again.digest
        assert run("seed: 7\n" + CHANGE).digest == other.digest

    def test_every_cycle(self) -> None:
        """All cycles run in full: the digest is the same."""
        text = CHANGE + "  - {at: +5h, expect: {cloud.calls: {count: 1+}}}\n"
        assert held(run(text)).digest == held(run(text, every_cycle=True)).digest

    def test_profiles(self) -> None:
        """A scenario of two profiles is two cases, each in its own era."""
        results = [held(run_case(each)) for each in cases("profile: [2017, current]\n" + CHANGE)]
        assert [result.id for result in results] == ["test[2017]", "test[current]"]
        assert [result.profile for result in results] == ["2017", "current"]
        assert results[0].digest != results[1].digest

    def test_rows(self) -> None:
        """Each row of the examples is a case of its own, which fails alone."""
        rows = cases(CHANGE.replace('"Spring-2017!", result: ok', "$password, result: ok") + """\
examples:
  - {name: right, values: {password: "Spring-2017!"}}
  - {name: wrong, values: {password: "Winter-2016!"}}
""")  # fmt: skip
        results = [run_case(each) for each in rows]
        assert [(result.id, result.row, result.outcome) for result in results] == [
            ("test::right", "right", "held"), ("test::wrong", "wrong", "broke"),
        ]  # fmt: skip


class TestBecause:
    def test_names_the_user(self) -> None:
        """The lines that led there are those that name the user, the last of them."""
        entries = "".join(
            f'  - {{at: +{minute}m, do: {{ad.reset-password: {{user: {user}, password: "Spring-20{minute}!"}}}}}}\n'
            for minute in range(1, 40, 4)
            for user in ("alice", "bob")
        )
        last = "  - {at: +40m, expect: {cloud.writes: {user: alice, count: 99}}}\n"
        result = run(f"{BOTH}timeline:\n{entries}{last}")
        (failure,) = result.failures
        assert len(failure.because) == BECAUSE_LINES
        assert all("alice" in line for line in failure.because)
        assert failure.because[-1] == [line for line in result.trace if "alice" in line][-1]

    def test_whole_names_only(self) -> None:
        """A user whose name is part of another's is not taken for that one."""
        (failure,) = run("""
given:
  users:
    - {name: al, password: "Winter-2016!"}
    - {name: alice, password: "Winter-2016!"}
timeline:
  - {at: +1m, do: {ad.change-password: {user: alice, password: "Spring-2017!"}}}
  - {at: +1m1s, do: {ad.change-password: {user: al, password: "Spring-2017!"}}}
  - {at: +1m2s, expect: {cloud.writes: {user: al, count: 9}}}
""").failures  # fmt: skip
        assert failure.because == ("+1m1s      people  ad.change-password al al#2",)

    def test_nothing_of_the_user(self) -> None:
        """Where nothing happened to the user, the last lines of all are shown."""
        entry = "  - {at: +2m, expect: {cloud.writes: {user: bob, count: 9}}}\n"
        (failure,) = run(BOTH + CHANGE.removeprefix(ALICE) + entry).failures
        assert any("alice" in line for line in failure.because)


class TestRepeat:
    def test_command(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The command names file, row, profile, seed and all that made a difference."""
        monkeypatch.chdir(tmp_path)
        (row,) = cases(CHANGE + "examples: [{name: first, values: {}}]\n", tmp_path / "scenarios/test.yaml")
        options = RunOptions(to=timedelta(minutes=90), every_cycle=True, engine="world.plain_agents:create")
        assert repeat_command(row, options, 7) == (
            "pwsync run scenarios/test.yaml::first --profile 2017 --seed 7 "
            "--engine world.plain_agents:create --to +1h30m --every-cycle"
        )

    @pytest.mark.parametrize("name", ["with blank.yaml", "it's.yaml", "$HOME.yaml", "a;b.yaml", "päss.yaml"])
    def test_can_be_pasted(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        """A path that a shell would read otherwise is quoted."""
        monkeypatch.chdir(tmp_path)
        words = shlex.split(repeat_command(case(CHANGE, tmp_path / name), RunOptions(), 1))
        assert words == ["pwsync", "run", name, "--profile", "2017", "--seed", "1"]

    def test_elsewhere(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A file outside of the current folder is named in full."""
        (tmp_path / "here").mkdir()
        monkeypatch.chdir(tmp_path / "here")
        assert str(tmp_path / "test.yaml") in repeat_command(case(CHANGE, tmp_path / "test.yaml"), RunOptions(), 1)

    def test_repeats(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        """The command really repeats the run: the same digest."""
        monkeypatch.chdir(tmp_path)
        path = tmp_path / "scenarios" / "my test.yaml"
        path.parent.mkdir()
        path.write_text(HEAD + CHANGE, encoding="utf-8")
        result = run(CHANGE, path=path, seed=5)
        assert run_app(shlex.split(result.repeat)[1:]) == 0
        assert f"digest {result.digest}" in capsys.readouterr().out


class TestGolden:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        folder = tmp_path / "scenarios"
        folder.mkdir()
        return folder / "test.yaml"

    def test_written_and_compared(self, path: Path) -> None:
        """--update writes the trace beside the file; later runs are compared with it."""
        first = held(run(CHANGE, path=path, update=True))
        golden = path.with_suffix(".trace")
        assert golden.read_text(encoding="utf-8").splitlines() == list(first.trace)
        held(run(CHANGE, path=path))

    def test_first_difference(self, path: Path) -> None:
        """The first line that differs is told with its place, and the lines before it."""
        lines = list(run(CHANGE, path=path, update=True).trace)
        golden = path.with_suffix(".trace")
        text = [*lines[:2], "+9m something else", *lines[3:-1], "the last"]
        golden.write_text("".join(f"{line}\n" for line in text), encoding="utf-8")
        result = run(CHANGE, path=path)
        (failure,) = result.failures
        assert (result.outcome, failure.kind, failure.at) == ("broke", "golden", "+2m")
        assert failure.title == "the trace differs from test.trace at line 3"
        assert failure.position is not None
        assert (failure.position.path, failure.position.line) == (str(golden), 3)
        assert (failure.expected, failure.got, failure.because) == ("+9m something else", lines[2], tuple(lines[:2]))

    @pytest.mark.parametrize("more", [True, False])
    def test_longer_or_shorter(self, path: Path, more: bool) -> None:
        """A trace that ends too soon or too late differs where it does."""
        lines = list(run(CHANGE, path=path).trace)
        text = [*lines, "+9m more"] if more else lines[:-1]
        path.with_suffix(".trace").write_text("".join(f"{line}\n" for line in text), encoding="utf-8")
        (failure,) = run(CHANGE, path=path).failures
        assert (failure.got if more else failure.expected) == "the end of the trace"

    def test_updated(self, path: Path) -> None:
        """--update takes the new trace for right, unless the run broke."""
        golden = path.with_suffix(".trace")
        golden.write_text("old\n", encoding="utf-8")
        assert run(CHANGE.replace("result: ok", "result: locked"), path=path, update=True).outcome == "broke"
        assert golden.read_text(encoding="utf-8") == "old\n"
        held(run(CHANGE, path=path, update=True))
        held(run(CHANGE, path=path))

    def test_cut_short(self, path: Path) -> None:
        """A run that is cut short is compared with nothing, and writes nothing."""
        golden = path.with_suffix(".trace")
        golden.write_text("old\n", encoding="utf-8")
        for update in (False, True):
            held(run(CHANGE, path=path, to=timedelta(minutes=1), update=update))
        assert golden.read_text(encoding="utf-8") == "old\n"

    def test_one_for_each_case(self, path: Path) -> None:
        """Rows and profiles have a golden trace each."""
        text = "profile: [2017, current]\n" + CHANGE + "examples: [{name: one, values: {}}, {name: two, values: {}}]\n"
        for each in cases(text, path):
            held(run_case(each, RunOptions(update=True)))
        assert sorted(found.name for found in path.parent.glob("*.trace")) == [
            "test.one.2017.trace", "test.one.current.trace", "test.two.2017.trace", "test.two.current.trace",
        ]  # fmt: skip


class TestDeterminism:
    def test_in_another_process(self, tmp_path: Path) -> None:
        """Two processes with hash seeds of their own leave the same digest, with every cycle and without."""
        text = CHANGE.replace("given:", "given:\n  population: {count: 30}")
        text += "  - {at: +2h, expect: {cloud.calls: {count: 1+}}}\n"
        path = tmp_path / "scenarios" / "test.yaml"
        path.parent.mkdir()
        path.write_text(HEAD + text, encoding="utf-8")
        started = []
        for number, options in enumerate((["--seed", "1"], ["--every-cycle"])):
            environment = {**os.environ, "PYTHONHASHSEED": str(number + 1)}
            report = str(tmp_path / f"{number}.json")
            command = [sys.executable, "-m", "simulator.cli", "run", str(path), "--json", report, *options]
            started.append(subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL))
        here = held(run(text, path=path)).digest
        assert [process.wait(60) for process in started] == [0, 0]
        found = [json.loads((tmp_path / f"{number}.json").read_text("utf-8"))["digest"] for number in range(2)]
        assert found == [here, here]
