"""Random runs: what is drawn is a scenario, the same for a seed everywhere, and broken agents are found by it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

from simulator.explore import endings
from simulator.explore.beside import draw_beside
from simulator.explore.explorer import (
    Base,
    Exploration,
    Seeds,
    as_scenario,
    beginning_of,
    play,
    run_seed,
    run_seeds,
    seed_case,
)  # fmt: skip
from simulator.explore.findings import chosen, collect, file_name, first_ways, shape_of, shrink_seed
from simulator.explore.plan_faults import draw_kinds, effects
from simulator.explore.plans import DRAWERS, SHARING, draw_plan, world_of
from simulator.explore.strategies import plans
from simulator.explore.ways import Way
from simulator.explore.writing import Document, case_of, document_of, sizes, text_of
from simulator.random import Randomness
from simulator.scenario.base import key_of
from simulator.scenario.fault_models import FITTING, KIND_WORDS, WIRES, Fault
from simulator.scenario.file import Case, load_text
from simulator.scenario.given_models import Given
from simulator.scenario.model import ACTIONS
from simulator.scenario.runner import RunOptions, run_case
from simulator.scenario.setup import Setup
from simulator.scenario.values import parse_offset

PATH = "scenarios/found/plan.yaml"
SEEDS = st.integers(0, 2**63 - 1)

BASE = """\
scenario: A base
why: it is one
rules: [retry.automatic]
given:
  users:
    - {name: alice, password: "Winter-2016!"}
    - {name: bob, password: "Winter-2016!"}
timeline:
  - at: +1m
    do: {network.set-link: {link: cloud, state: down}}
  - at: +4m
    do: {network.set-link: {link: cloud, state: up}}
  - at: +5m
    do: {ad.create-user: {user: carol, password: "Winter-2016!"}}
    expect: {agent.pending: {is: none}}
explore:
  runs: 3
  changes: {users: [alice, carol], count: 2..4, between: [+2m, +6m]}
  faults: {on: [cloud.set-passwords, store.commit], kinds: [429, lose-response, crash-after], count: 1..2}
"""


END_OF_FIVE_MINUTES = "{at: +5m, expect: {agent.cycles: {count: 0+}}}"


def load_case(text: str) -> Case:
    """The one case of a file's text."""
    loaded = load_text(text, Path(PATH))
    assert loaded.errors == ()
    return loaded.cases[0]


def _words(step: dict[str, Any], key: str) -> list[str]:
    """The names of an entry's actions or expectations."""
    return [name for each in step.get(key, ()) for name in each]


class TestPlans:
    @given(SEEDS)
    @settings(max_examples=60, deadline=None)
    def test_every_plan_is_a_scenario(self, seed: int) -> None:
        """Whatever the seed, what is drawn can be written, read without an error, and says the same again."""
        plan = draw_plan(seed)
        case = case_of(plan, PATH)
        again = document_of(text_of(plan), None, case.profile)
        assert text_of(again) == text_of(plan)
        assert case.scenario.seed == world_of(seed)

    @given(SEEDS)
    @settings(max_examples=60, deadline=None)
    def test_no_fault_fires_after_the_end(self, seed: int) -> None:
        """Every drawn fault is over when the timeline is."""
        scenario = case_of(draw_plan(seed), PATH).scenario
        end = scenario.timeline[-1].at
        assert all(fault.between is not None and fault.between[1] <= end for fault in scenario.faults)

    def test_a_seed_gives_one_plan_in_every_process(self) -> None:
        """Another process with another hash seed draws the same."""
        code = "from simulator.explore.plans import draw_plan; print([draw_plan(seed) for seed in range(40)])"
        told = {
            subprocess.run(
                [sys.executable, "-c", code], env={"PYTHONHASHSEED": hashes}, capture_output=True, text=True, check=True
            ).stdout
            for hashes in ("1", "2")
        }
        assert told == {f"{[draw_plan(seed) for seed in range(40)]}\n"}

    def test_plans_differ_in_what_they_leave_out(self) -> None:
        """No plan has all that can be drawn, and what happens in one is of few kinds."""
        named = [{name for step in draw_plan(seed)["timeline"] for name in _words(step, "do")} for seed in range(400)]
        assert max(map(len, named)) < len(DRAWERS) // 2

    def test_whatever_the_format_can_do_is_drawn(self) -> None:
        """Over many seeds every action comes with every argument, every wire fails in every way, every key is given."""
        plans = [draw_plan(seed) for seed in range(6000)]
        steps = [step for plan in plans for step in plan["timeline"]]
        arguments = {
            (name, key) for step in steps for each in step.get("do", ()) for name in each for key in each[name]
        }
        possible = {(name, key_of(field)) for name, model in ACTIONS.items() for field in model.model_fields}
        assert possible - arguments == set()
        assert {name for step in steps for name in _words(step, "do")} == set(ACTIONS)
        failing = {(fault["on"], key) for plan in plans for fault in plan["faults"] for key in fault}
        assert {(on, effect) for on in WIRES for effect in FITTING[on]} <= failing
        assert {key for _, key in failing} == {key_of(field) for field in Fault.model_fields}
        given = {key for plan in plans for key in plan["given"]}
        assert given == {key_of(field) for field in Given.model_fields} - {"directory"}
        assert {len(plan["given"].get("forests", ())) for plan in plans} == {0, 2}
        assert {plan["given"].get("sync") for plan in plans} == {None, "installed", "none"}

    def test_looking_changes_nothing(self) -> None:
        """A plan leaves the same trace without its expectations, whatever they find; none of them fails of itself."""
        compared = 0
        for seed in range(1, 100):
            plan = draw_plan(seed)
            looks = [name for step in plan["timeline"][:-1] for name in _words(step, "expect")]
            if looks and compared < 12:
                compared += 1
                blind = [step for step in plan["timeline"] if "do" in step] + plan["timeline"][-1:]
                played = play(case_of(plan, PATH))
                assert played.fault is None, seed
                assert played.trace == play(case_of({**plan, "timeline": blind}, PATH)).trace, seed
        assert compared == 12

    def test_looking_tells_nothing(self) -> None:
        """What somebody did in the tenant is told when it is done, not when the next one looks there."""
        look = "{at: +3m30s, expect: {agent.diagnosis: {user: alice, finds: ok}}}"
        steps = ['{at: +3m, do: {cloud.create-user: {user: zoe, password: "Winter-2016!"}}}', look, END_OF_FIVE_MINUTES]
        text = BASE.partition("timeline:")[0]
        traces = [play(load_case(f"{text}timeline: [{', '.join(each)}]\n")).trace for each in (steps, steps[::2])]
        assert traces[0] == traces[1]
        assert [line.partition(" ")[0] for line in traces[0] if "zoe holds" in line] == ["+3m"]

    def test_idle_cycles_leave_no_trace(self) -> None:
        """Random runs leave the same trace whether idle cycles are passed by or run: what nobody thought of, too."""
        for seed in (*range(500, 550), 910898):
            case = case_of(draw_plan(seed), PATH)
            skipped, whole = (run_case(case, RunOptions(every_cycle=each)) for each in (False, True))
            assert skipped.harness_fault is None, seed
            assert skipped.trace == whole.trace, seed

    @pytest.mark.parametrize("on", WIRES)
    def test_effects_fit_their_wire(self, on: str) -> None:
        """Every effect that is drawn for a wire is one that the format has for it."""
        for seed in range(30):
            for _, effect in effects(on, Randomness(seed).child("test")):
                Fault.model_validate({"on": on, **{key.replace("_", "-"): value for key, value in _read(effect)}})

    def test_sample_holds(self) -> None:
        """A sample of random runs breaks nothing."""
        results = list(run_seeds(list(Seeds(1, 60)), Exploration()))
        assert [(result.id, result.failures, result.harness_fault) for result in results
                if result.outcome != "held"] == []  # fmt: skip

    def test_seeds_end(self) -> None:
        """The seeds of a search are as many as were asked for."""
        assert [case.scenario.seed for case in Seeds(7, 3)] == [7, 8, 9]


class TestSharedWorlds:
    def test_beginnings(self) -> None:
        """Ten seeds begin alike and go on each in its own way; the next ten begin otherwise."""
        plans = [draw_plan(seed) for seed in range(70 * SHARING, 71 * SHARING)]
        assert all(beginning_of(plan) == beginning_of(plans[0]) for plan in plans)
        assert len({f"{plan['timeline']} {plan['faults']}" for plan in plans}) == SHARING
        assert beginning_of(draw_plan(71 * SHARING)) != beginning_of(plans[0])

    def test_stretches(self) -> None:
        """Seeds that share a world are one stretch, wherever a search begins and ends."""
        stretches = [list(each) for each in Seeds(7, 16).stretches()]
        assert stretches == [[0, 1, 2], [*range(3, 13)], [13, 14, 15]]
        assert [list(each) for each in Seeds(20, 3).stretches()] == [[0, 1, 2]]
        assert next(Seeds(1, 2**40).stretches()) == range(9)

    def test_what_is_shared_changes_nothing(self) -> None:
        """Every run leaves the trace that it leaves alone, whatever the runs before it have done to its world."""
        cases = list(Seeds(300, 8 * SHARING))
        shared = [(result.digest, result.failures, result.title) for result in run_seeds(cases, Exploration())]
        alone = [run_seed(case, Exploration()) for case in cases]
        assert shared == [(result.digest, result.failures, result.title) for result in alone]
        assert len({digest for digest, _, _ in shared}) > 7 * SHARING

    def test_beside_a_scenario(self) -> None:
        """Runs beside a scenario share its world as well."""
        (case,) = load_text(BASE, Path("scenarios/base.yaml")).cases
        exploration = Exploration(Base(document_of(BASE, None, case.profile), case.scenario, case.path))
        plans = [exploration.plan(seed) for seed in range(10, 20)]
        assert all(beginning_of(plan) == beginning_of(plans[0]) for plan in plans)
        cases = [seed_case(seed) for seed in range(8, 20)]
        assert [result.digest for result in run_seeds(cases, exploration)] == [
            run_seed(each, exploration).digest for each in cases
        ]

    def test_fault_of_the_harness(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What goes wrong in one run is told of that run, and the next in its world is not touched by it."""
        calls = []
        settle = endings.settle

        def settle_twice(world: Any) -> None:
            calls.append(world)
            if len(calls) == 2:
                raise KeyError("somewhere in the middle")
            settle(world)

        cases = list(Seeds(40, 4))
        whole = [run_seed(case, Exploration()).digest for case in cases]
        monkeypatch.setattr(endings, "settle", settle_twice)
        results = list(run_seeds(cases, Exploration()))
        assert [result.outcome for result in results] == ["held", "harness-fault", "held", "held"]
        assert "somewhere in the middle" in (results[1].harness_fault or "")
        assert [result.digest for result in results if result.outcome == "held"] == [whole[0], *whole[2:]]
        assert len({id(world) for world in calls}) == 1

    def test_world_that_can_not_begin(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without a beginning each of its runs says so, and the worlds before and after it are not touched by it."""
        run = Setup.run

        def run_most(setup: Setup) -> None:
            if setup.case.scenario.seed == 4:
                raise KeyError("no world")
            run(setup)

        cases = list(Seeds(38, 14))
        alone = [run_seed(case, Exploration()).digest for case in cases]
        monkeypatch.setattr(Setup, "run", run_most)
        results = list(run_seeds(cases, Exploration()))
        assert [result.outcome for result in results] == ["held"] * 2 + ["harness-fault"] * 10 + ["held"] * 2
        assert all("no world" in (result.harness_fault or "") for result in results[2:12])
        assert [result.digest for result in results if result.outcome == "held"] == alone[:2] + alone[12:]


def _read(effect: dict[str, str]) -> list[tuple[str, object]]:
    """An effect as the file's reader has it."""
    text = "{" + ", ".join(f"{key}: {value}" for key, value in effect.items()) + "}"
    loaded = load_text(BASE.partition("explore:")[0] + f"faults: [{{on: cloud.any, delay: 1s}}, {text}]\n", Path(PATH))
    assert [error for error in loaded.errors if "unknown" in error.message] == []
    words: dict[str, object] = {"true": True}
    numbers = ("answer", "fault", "fail", "result")
    found = []
    for key, value in effect.items():
        number = int(value) if key in numbers and value.isdigit() else None
        found.append((key, _duration(value) if key in ("delay", "retry-after") else number or words.get(value, value)))
    return found


def _duration(text: str) -> object:
    return parse_offset(f"+{text}")


class TestBeside:
    def exploration(self, text: str = BASE) -> Exploration:
        (case,) = load_text(text, Path("scenarios/base.yaml")).cases
        return Exploration(Base(document_of(text, None, case.profile), case.scenario, case.path))

    def test_changes_come_beside_the_timeline(self) -> None:
        """As many changes as asked for, of the users asked for, in the time asked for; the timeline's own stay."""
        for seed in range(20):
            scenario = case_of(self.exploration().plan(seed), PATH).scenario
            actions = [(step.at.total_seconds(), each) for step in scenario.timeline for each in step.do]
            drawn = [(at, each) for at, each in actions if each.name.endswith("-password")]
            assert 2 <= len(drawn) <= 4
            assert {each.user for _, each in drawn} <= {"alice", "carol"}
            assert all(120 <= at <= 360 for at, _ in drawn)
            assert [each.name for _, each in actions if each.name.startswith("network")] == ["network.set-link"] * 2

    def test_nobody_changes_before_being_created(self) -> None:
        """A user whom the timeline creates is not named before."""
        for seed in range(20):
            steps = case_of(self.exploration().plan(seed), PATH).scenario.timeline
            named = [each.name for step in steps for each in step.do if getattr(each, "user", "") == "carol"]
            assert named[0] == "ad.create-user"

    def test_expectations_are_left_out(self) -> None:
        """What the timeline expects is not asked of another run."""
        scenario = case_of(self.exploration().plan(1), PATH).scenario
        assert [each.name for step in scenario.timeline for each in step.expect] == ["agent.cycles"]

    def test_refusals_stay(self) -> None:
        """Somebody whose creation is refused may be created later: without the refusal the file could not be read."""
        refused = (
            '  - at: +1m\n    do: {cloud.create-user: {user: dora, password: "p"}}\n    expect: {refused: REASON}\n'
        )
        again = '  - at: +2m\n    do: {cloud.create-user: {user: dora, password: "Winter-2016!"}}\n'
        text = BASE.partition("timeline:")[0] + "timeline:\n" + refused.replace("REASON", "password-too-weak") + again
        exploration = self.exploration(text)
        scenario = case_of(exploration.plan(1), PATH).scenario
        assert [each.name for step in scenario.timeline for each in step.expect] == ["refused", "agent.cycles"]
        assert run_seed(seed_case(1), exploration).outcome == "held"

    def test_faults_are_those_asked_for(self) -> None:
        """Faults are of the kinds and on the wires that the block names, where they fit."""
        for seed in range(30):
            faults = case_of(self.exploration().plan(seed), PATH).scenario.faults
            assert 1 <= len(faults) <= 2
            for fault in faults:
                assert fault.on in ("cloud.set-passwords", "store.commit")
                assert fault.answer == 429 or fault.lose == "response" or fault.crash == "after"
                assert fault.answer is None or fault.on == "cloud.set-passwords"

    def test_block_may_be_missing(self) -> None:
        """Without a block all users of the directory change, and the usual faults come."""
        text = BASE.partition("explore:")[0]
        plans = [self.exploration(text).plan(seed) for seed in range(20)]
        assert any(plan["faults"] for plan in plans)
        users = {
            each[name]["user"]
            for plan in plans
            for step in plan["timeline"]
            for each in step.get("do", ())
            for name in each
            if name.endswith("-password")
        }
        assert users == {"alice", "bob"}

    def test_runs_hold(self) -> None:
        """Random runs beside a sound scenario break nothing."""
        for seed in range(5):
            assert run_seed(seed_case(seed), self.exploration()).outcome == "held"

    def test_every_kind_is_some_effect(self) -> None:
        """Every kind of the format makes a fault on some wire, or none where it fits no wire asked for."""
        random = Randomness(1).child("test")
        for kind in (*KIND_WORDS, 429, 500):
            drawn = draw_kinds(random, WIRES, [kind], 5, 600)
            assert len(drawn) == 5
        assert draw_kinds(random, ["store.commit"], [429], 3, 600) == []

    def test_draws_do_not_touch_the_base(self) -> None:
        """The base is the same after a draw."""
        exploration = self.exploration()
        assert exploration.base is not None
        before = text_of(exploration.base.document)
        draw_beside(exploration.base.document, exploration.base.scenario, 3)
        assert text_of(exploration.base.document) == before


class TestStrategy:
    @given(plans())
    @settings(max_examples=60, deadline=None)
    def test_every_plan_is_a_scenario(self, plan: Document) -> None:
        """What hypothesis draws can be written and read without an error, and its faults end with the timeline."""
        scenario = case_of(plan, PATH).scenario
        end = scenario.timeline[-1].at
        assert all(fault.between is not None and fault.between[1] <= end for fault in scenario.faults)

    @given(plans())
    @settings(max_examples=12, deadline=None, derandomize=True)
    def test_holds(self, plan: Document) -> None:
        """pwsync's own agent breaks nothing."""
        assert play(case_of(plan, PATH)).judged() == []

    def test_finds_a_broken_agent(self) -> None:
        """Among what it draws there is a plan that an agent which never tries again does not stand."""
        found: Document = find(
            plans(),
            lambda plan: bool(play(case_of(plan, PATH), "world.broken_agents:GivesUp").judged()),
            settings=settings(
                max_examples=200, derandomize=True, deadline=None, database=None, phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            ),
        )  # fmt: skip
        assert play(case_of(found, PATH)).judged() == []


class TestFindings:
    def test_calm_ending_is_written_out(self) -> None:
        """A plan with its ending as a scenario leaves the trace that the plan left."""
        compared = 0
        for seed in range(1, 16):
            plan = draw_plan(seed)
            played = play(case_of(plan, PATH))
            result = run_case(case_of(as_scenario(plan, played), PATH))
            compared += bool(played.ending)
            assert result.trace == played.trace, seed
        assert compared

    def test_broken_agent_is_found_and_shrunk(self, tmp_path: Path) -> None:
        """An agent that never tries again is found among some random runs, and its scenario is a few lines."""
        exploration = Exploration(engine="world.broken_agents:GivesUp")
        results = []
        for seed in range(1, 120):
            results.append(run_seed(seed_case(seed), exploration))
            if results[-1].outcome == "broke":
                break
        broken = first_ways(results)
        assert Way("invariant", "converges") in broken
        shrunk = [shrink_seed(seed_case(each.seed), exploration, str(tmp_path)) for each in chosen(broken)]
        (finding,) = collect(broken, shrunk, tmp_path / "found")
        assert finding.path is not None
        (case,) = load_text(finding.path.read_text(), finding.path).cases
        size = sizes(document_of(finding.path.read_text(), None, case.profile))
        assert size["actions"] <= 3
        assert size["faults"] <= 1
        assert size["users"] <= 1
        assert run_case(case).outcome == "held"
        engine = ["--engine", "world.broken_agents:GivesUp"]
        assert finding.result.repeat == " ".join(["pwsync run", str(finding.path), *engine])

    def test_shapes_tell_kinds_apart(self) -> None:
        """Users, times and order make no other kind; actions and faults do."""
        first = {"timeline": [{"at": "+1m", "do": [{"a.b": {"user": "alice"}}, {"c.d": {}}]}]}
        second = {"timeline": [{"at": "+9m", "do": [{"c.d": {}}]}, {"at": "+9m", "do": [{"a.b": {"user": "bob"}}]}]}
        third = {**second, "faults": [{"on": "store.commit", "call": "1", "crash": "before"}]}
        assert shape_of(first) == shape_of(second) == ("a.b", "c.d")
        assert shape_of(third) == ("a.b", "c.d", "store.commit crash")
        way = Way("invariant", "converges")
        assert file_name(way, shape_of(first)) == file_name(way, shape_of(second)) != file_name(way, shape_of(third))
        assert file_name(way, ()).startswith("converges-")
