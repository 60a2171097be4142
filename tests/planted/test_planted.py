"""Planted bugs: each says what it is, lasts as long as its run, and is known to a shipped scenario."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from simulator.cli.app import run_app
from simulator.planted import plants
from simulator.planted.hints import Hints, choose, read_hints, write_hints
from simulator.planted.plant import Bed, watched
from simulator.planted.score import Score, Scorer
from simulator.planted.trial import Catch, OutOfTime, Sighting, Trial, Verdict, Watch, died, run_job, time_limit
from simulator.report.score import as_junit, as_values, score_text
from simulator.scenario.file import Case, load
from simulator.scenario.golden import golden_path
from simulator.scenario.result import ExitCode
from simulator.scenario.rules import RULES
from simulator.scenario.runner import RunOptions, run_case
from simulator.suite import collect

SHIPPED = Path(__file__).parents[2] / "scenarios"

WRONG_ANYHOW = """\
scenario: It never holds
why: nobody ever had that password
rules: [order.chronological]
given:
  users:
    - {name: alice, password: "Winter-2016!"}
timeline:
  - at: +1m
    do: {ad.reset-password: {user: alice, password: "Spring-2017!"}}
  - at: +10m
    expect: {cloud.sign-in: {user: alice, password: "Other-2017!", result: ok}}
"""


def cases(name: str) -> tuple[Case, ...]:
    """The cases of a shipped scenario."""
    return load(SHIPPED / f"{name}.yaml").cases


def wrong_anyhow(folder: Path, text: str = "") -> tuple[Case, ...]:
    """The case of a scenario that does not hold, bug or no bug."""
    path = folder / "wrong-anyhow.yaml"
    path.write_text(text or WRONG_ANYHOW, encoding="utf-8")
    return load(path).cases


def fail_unless(swapped: bool) -> None:
    """Raise KeyError, as a run may that goes wrong; AssertionError if nothing stands in for the true thing."""
    assert swapped
    raise KeyError


def never_end() -> None:
    """Work for ever."""
    while True:
        pass


class TestCatalogue:
    def test_breaks_every_rule(self) -> None:
        """Every rule is broken by a bug, and no bug breaks one that does not exist."""
        broken = {rule for plant in plants().values() for rule in plant.rules}
        assert broken == set(RULES)

    def test_one_decision_each(self) -> None:
        """No two bugs are the same text, and each has a decision, a rule and somebody whom it hurts."""
        found = list(plants().values())
        assert len(found) >= 60
        assert [text for text, count in Counter(plant.wrong for plant in found).items() if count > 1] == []
        assert all(plant.rules and plant.hurts.startswith("Hurts ") and plant.target for plant in found)

    def test_hints_lead_to_cases(self) -> None:
        """Every bug has a hint, and every hint names a case that is shipped."""
        known, hints = {case.id for case in collect([str(SHIPPED)]).cases}, read_hints()
        assert [name for name in plants() if not hints.cases(name)] == []
        assert [case for name in plants() for case in hints.cases(name) if case not in known] == []

    def test_every_rule_has_a_witness(self) -> None:
        """Every rule is broken by a bug that a scenario which names the rule notices, as far as hints tell."""
        named, hints = {case.id: case.scenario.rules for case in collect([str(SHIPPED)]).cases}, read_hints()
        shown = {
            rule
            for name, plant in plants().items()
            for case in hints.cases(name)
            for rule in set(plant.rules) & set(named[case])
        }
        assert shown == set(RULES)

    def test_says_what_is_wrong(self) -> None:
        """A bug without a word on whom it hurts is none."""
        with pytest.raises(ValueError, match="whom it hurts"):
            Bed("test").constant("silent", Score, "__doc__", "", "It is wrong.", breaks="cycle.fixed")


class TestRun:
    def test_is_noticed_and_gone(self) -> None:
        """A bug breaks its run, and the next run of the same process is as it was before."""
        (case, *_) = cases("order/oldest-change-goes-first")
        before = run_case(case)
        planted = run_case(case, RunOptions(planted="newest-first"))
        after = run_case(case)
        assert (before.outcome, planted.outcome, after.outcome) == ("held", "broke", "held")
        assert before.digest == after.digest != planted.digest
        assert planted.repeat.endswith("--planted newest-first")

    @pytest.mark.parametrize("name", list(plants()))
    def test_puts_the_true_thing_back(self, name: str) -> None:
        """However a block with a bug ends, what stood there before stands there again."""
        plant = plants()[name]
        true = vars(plant.owner)[plant.attribute]
        with pytest.raises(KeyError), plant.planted():
            fail_unless(vars(plant.owner)[plant.attribute] is not true)
        assert vars(plant.owner)[plant.attribute] is true

    def test_watching_changes_nothing(self) -> None:
        """A watched run is the same run, and tells which decisions it came to."""
        (case, *_) = cases("cycle/frequency-is-fixed")
        before = run_case(case)
        with watched(list(plants().values())) as come:
            during = run_case(case)
        assert before.digest == during.digest
        assert "interval-can-be-set" in come
        assert "eleventh-locks" not in come

    def test_work_is_bounded(self) -> None:
        """A bug that never comes to an end is stopped."""
        with pytest.raises(OutOfTime), time_limit(0.01):
            never_end()


class TestScore:
    def test_hinted(self) -> None:
        """A bug is tried where it was noticed the last time, and nowhere else if it is noticed there."""
        found = Scorer(
            {"newest-first": plants()["newest-first"]},
            [*cases("cycle/frequency-is-fixed"), *cases("order/oldest-change-goes-first")],
            Hints({"newest-first": {"cases": [cases("order/oldest-change-goes-first")[0].id]}}),
        ).run()
        assert (found.noticed, found.missed, found.verdicts["newest-first"].tried) == (["newest-first"], [], 1)
        assert "order.chronological" in found.shown()

    def test_missed(self) -> None:
        """A bug whose hints are wrong is searched for in everything, and told if nobody notices."""
        chosen = {name: plants()[name] for name in ("eleventh-locks", "interval-can-be-set")}
        found = Scorer(chosen, cases("cycle/frequency-is-fixed"), Hints({"eleventh-locks": {"cases": ["gone"]}})).run()
        assert (found.noticed, found.missed) == (["interval-can-be-set"], ["eleventh-locks"])
        text, values = score_text(found), as_values(found, seconds=1.0)
        assert "1 of 2 planted bugs was noticed, 1 missed" in text
        assert chosen["eleventh-locks"].wrong in text
        assert values["counts"] == {"total": 2, "noticed": 1, "missed": 1, "untried": 0, "unsound": 0, "unreached": 0}
        root = ElementTree.fromstring(as_junit(found, seconds=1.0))
        assert [each.get("name") for each in root.iter("testcase") if each.find("failure") is not None] == [
            "eleventh-locks"
        ]

    def test_fault_of_the_harness_is_no_catch(self) -> None:
        """A trial that can't be run is a note, not a success."""
        verdict = run_job(Trial("no-such-bug", cases("cycle/frequency-is-fixed")))
        assert isinstance(verdict, Verdict)
        assert (verdict.catches, len(verdict.notes)) == ((), 1)

    def test_failing_anyhow_is_no_catch(self, tmp_path: Path) -> None:
        """A scenario that fails without the bug does not notice it; it is left out and named, and so is each of a few.

        Whether hints lead to it or not: the bug is then looked for in the others.
        """
        bad, good = wrong_anyhow(tmp_path), cases("order/oldest-change-goes-first")[:1]
        chosen = {"newest-first": plants()["newest-first"]}
        for hint in (bad[0].id, good[0].id, "gone"):
            for enough in (0, 1):
                found = Scorer(chosen, [*bad, *good], Hints({"newest-first": {"cases": [hint]}}), enough=enough).run()
                assert {catch.case for catch in found.verdicts["newest-first"].catches} == {good[0].id}
                if hint != good[0].id or not enough:
                    assert [(each.by, each.at) for each in found.unsound.values()] == [
                        ("cloud.sign-in of alice", "+10m")
                    ]
                    assert found.unsound[bad[0].id].repeat.startswith("pwsync run ")

    def test_failing_anyhow_is_reported(self, tmp_path: Path) -> None:
        """Text, JSON and JUnit name the scenarios that do not count."""
        bad = wrong_anyhow(tmp_path)
        chosen = {"newest-first": plants()["newest-first"]}
        found = Scorer(chosen, [*bad, *cases("order/oldest-change-goes-first")], Hints({})).run()
        text, values = score_text(found), as_values(found, seconds=1.0)
        assert (
            f"not counted, since they do not hold without a bug\n  {bad[0].id}: cloud.sign-in of alice at +10m" in text
        )
        assert "1 of 1 planted bug was noticed, 0 missed; 1 run\n1 scenario does not hold" in text
        assert values["counts"] == {"total": 1, "noticed": 1, "missed": 0, "untried": 0, "unsound": 1, "unreached": 0}
        assert [each["case"] for each in values["unsound"]] == [bad[0].id]
        root = ElementTree.fromstring(as_junit(found, seconds=1.0))
        assert (root.get("tests"), root.get("failures")) == ("2", "1")
        assert [each.get("name") for each in root.iter("testcase") if each.find("failure") is not None] == [bad[0].id]

    def test_golden_traces_do_not_count(self, tmp_path: Path) -> None:
        """A scenario whose trace is another than its golden one still holds, as far as bugs are concerned."""
        text = (SHIPPED / "order/oldest-change-goes-first.yaml").read_text(encoding="utf-8")
        case, *_ = wrong_anyhow(tmp_path, text)
        golden_path(case).write_text("another trace\n", encoding="utf-8")
        assert run_case(case).outcome == "broke"
        found = Scorer({"newest-first": plants()["newest-first"]}, [case], Hints({})).run()
        assert (found.noticed, found.unsound) == (["newest-first"], {})

    def test_only_who_ended_the_worker_is_left_out(self) -> None:
        """Of cases in one piece of work that ended its worker, each is run again alone."""
        both = (*cases("cycle/frequency-is-fixed")[:1], *cases("order/oldest-change-goes-first")[:1])
        lost = died(Watch(both), run_job, "exit code 3")
        assert isinstance(lost, Sighting)
        assert (lost.lost, lost.unsound) == (both, ())
        alone = died(Watch(both[:1]), run_job, "trace\nexit code 3")
        assert isinstance(alone, Sighting)
        assert [(each.case, each.by, each.fault) for each in alone.unsound] == [(both[0].id, "exit code 3", True)]

    def test_hints_are_kept(self, tmp_path: Path) -> None:
        """What is noted are few cases that name the bug's rules, and whatever was known of other bugs, tried or not."""
        catches = [Catch(f"a/{n}", f"a/{n}", rules, "it", "+0s", "") for n, rules in enumerate([(), ("x",), ("y",)])]
        assert choose(catches, ["x", "y"]) == ["a/1", "a/2"]
        assert choose(catches, ["z"]) == ["a/0"]
        chosen = {name: plants()[name] for name in ("newest-first", "domain-by-domain")}
        score = Score(chosen, {"newest-first": Verdict("newest-first", tuple(catches))})
        before = {"domain-by-domain": {"cases": ["b"]}, "gone": {}, "first-page-only": {"cases": ["c"], "scenarios": 2}}
        write_hints(tmp_path / "hints.json", score, Hints(before))
        kept = json.loads((tmp_path / "hints.json").read_text())
        del before["gone"]
        assert kept == {"newest-first": {"cases": ["a/0"]}, **before}


Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def score(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs ``pwsync score ARGUMENTS`` in an empty folder; returns exit code, output and errors."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, str]:
        code = run_app(["score", *arguments, "-j", "1"])
        return (code, *capsys.readouterr())

    return call


class TestCommand:
    GOOD = str(SHIPPED / "order/oldest-change-goes-first.yaml")

    def test_one_bug(self, score: Command) -> None:
        """What is one is told of as one."""
        code, out, _ = score(self.GOOD, "--only", "newest-first")
        assert code == ExitCode.HELD
        assert "\n1 of 1 planted bug was noticed, 0 missed; 1 run\n1 of 1 rule that is broken has" in out
        code, out, _ = score(self.GOOD, "--only", "newest-first", "--only", "eleventh-locks")
        assert code == ExitCode.BROKE
        assert "\n1 of 2 planted bugs was noticed, 1 missed" in out

    def test_something_fails_anyhow(self, score: Command, tmp_path: Path) -> None:
        """A scenario that does not hold without a bug is named, and the exit code says that something broke."""
        bad, *_ = wrong_anyhow(tmp_path)
        Path("good.yaml").write_text(Path(self.GOOD).read_text(encoding="utf-8"), encoding="utf-8")
        code, out, _ = score(".", "--only", "newest-first", "--json", "score.json")
        assert code == ExitCode.BROKE
        assert "1 of 1 planted bug was noticed" in out
        assert f"  {bad.id}: cloud.sign-in of alice at +10m\n    repeat: pwsync run wrong-anyhow.yaml" in out
        assert json.loads(Path("score.json").read_text(encoding="utf-8"))["unsound"][0]["case"] == bad.id

    def test_everything_fails_anyhow(self, score: Command, tmp_path: Path) -> None:
        """Where no scenario holds without a bug, nothing is said of bugs."""
        wrong_anyhow(tmp_path)
        code, out, err = score(".", "--only", "newest-first", "--json", "score.json")
        assert code == ExitCode.BAD_INPUT
        assert out.startswith("not counted, since they do not hold without a bug\n")
        assert "noticed" not in out
        assert "error: the only scenario does not hold without a bug" in err
        assert not Path("score.json").exists()


class TestEngine:
    """Another agent under test."""

    PLAIN = "world.plain_agents:create"
    IDLE = "planted.idle_agents:Idle"
    CLOUD_ALONE = SHIPPED / "complexity/cloud-users-follow-the-cloud.yaml"

    @pytest.fixture
    def cloud_alone(self, tmp_path: Path) -> str:
        """A scenario without any part for the agent, which may sleep."""
        path = tmp_path / "cloud-alone.yaml"
        sleeping = "except: {two-minutes: the agent does nothing}\n"
        path.write_text(self.CLOUD_ALONE.read_text(encoding="utf-8") + sleeping, encoding="utf-8")
        return str(path)

    def test_built_on_our_classes(self, score: Command) -> None:
        """A bug in pwsync's classes is one of every agent built on them; what repeats the run names the agent."""
        code, *_ = score(TestCommand.GOOD, "--only", "newest-first", "--engine", self.PLAIN, "--json", "score.json")
        values = json.loads(Path("score.json").read_text(encoding="utf-8"))
        assert (code, values["engine"], values["counts"]["noticed"]) == (ExitCode.HELD, self.PLAIN, 1)
        assert f"--engine {self.PLAIN} --planted newest-first" in values["bugs"][0]["catches"][0]["repeat"]

    def test_the_agent_runs(self, score: Command) -> None:
        """It is the other agent that the scenarios are run with: what it does not do does not hold."""
        code, out, _ = score(TestCommand.GOOD, "--only", "newest-first", "--engine", self.IDLE)
        assert code == ExitCode.BAD_INPUT
        assert f"--engine {self.IDLE}" in out

    def test_built_on_nothing_of_ours(self, score: Command, cloud_alone: str) -> None:
        """A tenant's bug shows with any agent; a bug in code that the agent does not have is none that was missed."""
        bugs = ("reset-is-not-checked", "newest-first", "three-minutes")
        only = [word for name in bugs for word in ("--only", name)]
        code, out, _ = score(cloud_alone, *only, "--engine", self.IDLE, "--json", "score.json", "--junit", "s.xml")
        assert code == ExitCode.HELD
        assert "1 of 3 planted bugs was noticed, 0 missed, 2 not known to reach the agent" in out
        assert f"not known to reach {self.IDLE}: bugs of pwsync's own agent" in out
        values = json.loads(Path("score.json").read_text(encoding="utf-8"))
        assert {bug["name"]: bug["outcome"] for bug in values["bugs"]} == {
            "reset-is-not-checked": "noticed",
            "newest-first": "unreached",
            "three-minutes": "unreached",
        }
        assert ElementTree.parse("s.xml").getroot().get("skipped") == "2"

    def test_missed_by_the_service(self, score: Command, cloud_alone: str) -> None:
        """A bug of the tenant that nobody notices is missed, whoever the agent is; so is ours with our own agent."""
        code, out, _ = score(cloud_alone, "--only", "eleventh-locks", "--engine", self.IDLE)
        assert code == ExitCode.BROKE
        assert "0 of 1 planted bug was noticed, 1 missed;" in out
        code, out, _ = score(cloud_alone, "--only", "retry-uses-old-hash")
        assert code == ExitCode.BROKE
        assert "0 of 1 planted bug was noticed, 1 missed;" in out

    def test_imported_before_the_bug(self) -> None:
        """What an agent takes from pwsync's modules when it is imported is never the planted thing."""
        sys.modules.pop("planted.idle_agents", None)
        (case,) = load(self.CLOUD_ALONE).cases
        run_job(Trial("reset-is-not-checked", (case,), engine=self.IDLE))
        plant = plants()["reset-is-not-checked"]
        taken = sys.modules["planted.idle_agents"].TAKEN["reset-is-not-checked"]
        assert taken is vars(plant.owner)[plant.attribute]

    def test_refused(self, score: Command) -> None:
        """An engine that is not there is refused before anything is run; hints are pwsync's own agent's."""
        code, out, err = score(TestCommand.GOOD, "--engine", "no_such_module:create")
        assert (code, out) == (ExitCode.BAD_INPUT, "")
        assert 'engine "no_such_module:create"' in err
        code, out, err = score(TestCommand.GOOD, "--engine", self.IDLE, "--record")
        assert (code, out) == (ExitCode.BAD_INPUT, "")
        assert "leave out --engine, or --record" in err
