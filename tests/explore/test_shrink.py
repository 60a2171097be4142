"""Shrinking: what is left fails in the same way, is smaller, and still means what it meant."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.cli.app import run_app
from simulator.explore import shrink as shrinking
from simulator.explore.document_parts import tidy, without
from simulator.explore.reductions import Candidates, View
from simulator.explore.shrink import Holds, Shrinker, shrunk_why, size
from simulator.explore.simplifications import earlier
from simulator.explore.ways import Way, way_of, way_of_fault, ways_of
from simulator.explore.writing import BadDocument, Document, Quoted, case_of, document_of, sizes, text_of
from simulator.scenario.file import load
from simulator.scenario.result import Failure
from simulator.scenario.runner import run_case
from simulator.scenario.values import parse_offset

SHIPPED = Path(__file__).resolve().parents[2] / "scenarios"
HEAD = "scenario: A test\nwhy: it is one\nrules: [cycle.two-minutes]\n"

WRONG = """\
given:
  forest: {domains: {contoso.example: {policy: {history: 3}}, emea.contoso.example: {}}}
  users:
    - {name: alice, password: "Winter-2016!", domain: contoso.example}
    - {name: bob, password: "Winter-2016!", domain: emea.contoso.example, must-change: true}
    - {name: carol, password: "Winter-2016!", domain: contoso.example}
faults:
  - {on: cloud.set-passwords, times: 2, answer: 503, retry-after: 2m}
timeline:
  - at: +1m
    do:
      - ad.change-password: {user: alice, password: "Spring-2017!"}
      - ad.change-password: {user: carol, password: "Spring-2018!"}
  - at: +3m
    do: {cloud.reset-password: {user: carol, password: "Helpdesk-77!"}}
    expect:
      - cloud.user: {user: carol, source: admin-reset}
  - at: +31m
    do: {ad.reset-password: {user: bob, password: "Summer-2017!"}}
  - at: +50m
    expect:
      - cloud.sign-in: {user: alice, password: "Spring-2017!", result: wrong-password}
      - agent.pending: {is: none}
  - at: +3h
    expect:
      - agent.alert: {is: none}
"""


def document(text: str, row: str | None = None, profile: str = "2017") -> Document:
    return document_of(HEAD + dedent(text), row, profile)


def written(folder: Path, text: str, name: str = "test.yaml") -> Path:
    path = folder / name
    path.write_text(HEAD + dedent(text), encoding="utf-8")
    return path


class TestWriting:
    def test_every_shipped_case_says_the_same_again(self) -> None:
        """A shipped case that is taken apart and written again is read as the same scenario."""
        compared = 0
        for path in sorted(SHIPPED.rglob("*.yaml"))[::7]:
            for case in load(path).cases:
                told = document_of(path.read_text(encoding="utf-8"), case.row, case.profile)
                again = case_of(told, path).scenario
                left_out = {"scenario", "why", "profile", "timeline", "faults"}
                assert again.model_dump(exclude=left_out) == case.scenario.model_dump(exclude=left_out)
                assert again.timeline == case.scenario.timeline
                assert again.faults == case.scenario.faults
                compared += 1
        assert compared > 50

    @given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=40))
    @settings(max_examples=150, deadline=None)
    def test_any_password_comes_back(self, password: str) -> None:
        """Whatever characters a password has, it is read as it was written."""
        told = document(WRONG)
        told["given"]["users"][0]["password"] = Quoted(password)
        assert case_of(told, "test.yaml").scenario.given.users[0].password == password

    def test_lines_are_short(self) -> None:
        """What does not fit into a line is spread over several."""
        told = document(WRONG)
        told["timeline"][0]["do"] *= 9
        assert max(map(len, text_of(told).splitlines())) <= 120
        assert len(case_of(told, "test.yaml").scenario.timeline[0].do) == 18

    def test_nonsense_is_refused(self) -> None:
        """A document that is no scenario is told to be none."""
        with pytest.raises(BadDocument, match="unknown action"):
            case_of({**document(WRONG), "timeline": [{"at": "+1m", "do": [{"ad.nothing": {}}]}]}, "test.yaml")
        with pytest.raises(BadDocument, match="no row"):
            document_of(HEAD + WRONG, "first", "2017")


class TestWays:
    def test_numbers_and_times_make_no_other_way(self) -> None:
        """Two failures that differ in numbers and times alone are one way; another verdict is another."""
        first = Failure("expectation", "cloud.sign-in of alice", "+2m", expected="ok", got="wrong-password (alice#2)")
        second = Failure("expectation", "cloud.sign-in of alice", "+9m", expected="ok", got="wrong-password (alice#1)")
        third = Failure("expectation", "cloud.sign-in of alice", "+9m", expected="ok", got="no-password")
        assert way_of(first) == way_of(second) != way_of(third)

    def test_invariant_is_its_way(self) -> None:
        """An invariant that breaks for another user is broken in the same way."""
        first = Failure("invariant", "invariant converges is broken for alice", "+2m", rules=("converges",))
        second = Failure("invariant", "invariant converges is broken for bob", "+4m", got="x", rules=("converges",))
        assert way_of(first) == way_of(second) == Way("invariant", "converges")

    def test_fault_of_the_harness_is_told_by_exception_and_place(self) -> None:
        """A traceback is known by what was raised and where."""
        told = 'Traceback:\n  File "/a/b/world.py", line 12, in move\n    x\nValueError: no 12\n'
        other = told.replace("12", "99")
        assert way_of_fault(told) == way_of_fault(other) == Way("harness", "ValueError", "world.py:move")


class TestShrinker:
    def test_wrong_expectation_keeps_what_it_is_about(self) -> None:
        """One user, one change and one entry for the expectation are left; the change that it asks for stays."""
        shrunk = Shrinker(document(WRONG), "test.yaml").shrink()
        told = sizes(shrunk.document)
        assert (told["users"], told["actions"], told["expectations"], told["faults"]) == (1, 1, 1, 0)
        assert told["seconds"] <= 600
        ((action,), ()) = [step.get("do", ()) for step in shrunk.document["timeline"]]
        (password,) = [value["password"] for value in action.values()]
        ((expected,),) = [step["expect"] for step in shrunk.document["timeline"] if step.get("expect")]
        assert expected["cloud.sign-in"]["password"] == password
        assert "forest" not in shrunk.document.get("given", {})
        assert [way.what for way in ways_of(shrunk.result)] == ["cloud.sign-in of alice"]

    def test_invariant_of_a_broken_agent(self) -> None:
        """The scenario fails under the broken agent alone, with the one fault and the one change that it takes."""
        text = WRONG.replace("result: wrong-password", "result: ok").replace("retry-after: 2m", "retry-after: 5m")
        shrunk = Shrinker(document(text), "test.yaml", engine="world.broken_agents:Impatient").shrink()
        told = sizes(shrunk.document)
        assert shrunk.way == Way("invariant", "retry-after")
        assert (told["users"], told["actions"], told["faults"]) == (1, 1, 1)
        assert run_case(case_of(shrunk.document, "test.yaml")).outcome == "held"

    def test_refused_action(self) -> None:
        """An action that is refused though nobody expects it stays, and for the same reason."""
        text = """\
            given: {users: [{name: alice, password: "Winter-2016!"}, {name: bob, password: "Winter-2016!"}]}
            timeline:
              - at: +1m
                do: {ad.change-password: {user: bob, password: "Spring-2017!"}}
              - at: +9m
                do: {ad.change-password: {user: alice, password: "short"}}
        """
        shrunk = Shrinker(document(text), "test.yaml").shrink()
        ((action,),) = [step["do"] for step in shrunk.document["timeline"]]
        assert [*action] == ["ad.change-password"]
        assert shrunk.result.failures[0].got.startswith("refused: password-too-short")
        assert sizes(shrunk.document)["users"] == 1

    def test_fault_that_never_fires(self) -> None:
        """A fault that never fired is kept, with attempts that come too early for it."""
        text = WRONG.replace("result: wrong-password", "result: ok").replace("times: 2", "call: 9")
        shrunk = Shrinker(document(text), "test.yaml").shrink()
        assert [failure.kind for failure in shrunk.result.failures] == ["fault"]
        told = sizes(shrunk.document)
        assert (told["faults"], told["actions"]) == (1, 1)
        assert shrunk.result.failures[0].expected == "an attempt on cloud.set-passwords call 2"

    def test_each_step_is_smaller_and_fails_alike(self) -> None:
        """Every candidate that is taken is smaller than the one before."""
        seen = []
        shrinker = Shrinker(document(WRONG), "test.yaml", told=lambda runs, best: seen.append(size(best)))
        shrinker.shrink()
        assert seen == sorted(seen, reverse=True)
        assert len(seen) == shrinker.runs > 3
        assert size(shrinker.best) < seen[0]

    def test_again_changes_nothing(self) -> None:
        """What is shrunk can't be shrunk further."""
        once = Shrinker(document(WRONG), "test.yaml").shrink()
        again = Shrinker(once.document, "test.yaml").shrink()
        assert text_of(again.document) == text_of(once.document)

    def test_what_comes_last_says_how_long_it_lasts(self) -> None:
        """No entry is left that only says when the scenario ends, where the last action can say it."""
        text = WRONG.replace("result: wrong-password", "result: ok").replace("retry-after: 2m", "retry-after: 5m")
        shrunk = Shrinker(document(text), "test.yaml", engine="world.broken_agents:TakesSilenceForDone").shrink()
        assert shrunk.way == Way("invariant", "nothing-lost")
        (step,) = shrunk.document["timeline"]
        assert (step["at"], [*step]) == ("+2m", ["at", "do"])

    def test_runs_are_bounded(self) -> None:
        """No more runs than allowed; what was found by then still fails."""
        shrinker = Shrinker(document(WRONG), "test.yaml", runs_max=5)
        shrunk = shrinker.shrink()
        assert shrunk.runs <= 5
        assert not shrinker.is_done
        assert shrunk.way in ways_of(run_case(case_of(shrunk.document, "test.yaml")))

    def test_scenario_that_holds(self) -> None:
        """A scenario that holds, or fails in another way, can't be shrunk."""
        sound = document(WRONG.replace("result: wrong-password", "result: ok"))
        with pytest.raises(Holds, match="it holds"):
            Shrinker(sound, "test.yaml")
        with pytest.raises(Holds, match="does not fail in this way: converges"):
            Shrinker(document(WRONG), "test.yaml", way=Way("invariant", "converges"))


COUNTED = """\
start: 2017-02-20T07:30:00Z   # the week of the move
seed: 17
given:
  forest: {domains: {contoso.example: {controllers: [dc1, dc2]}, emea.contoso.example: {controllers: [dc3]}}}
  users:
    - {name: alice, password: "Winter-2016!", display-name: "Alice Petersen", attributes: {department: "Sales"}}
    - {name: bob, password: "Winter-2016!b", domain: emea.contoso.example}
  population: {count: 3}
faults:
  - {on: directory.read-passwords, domain: emea.contoso.example, between: [+5m, +9m], fail: 1722}
timeline:
  - at: +1m
    do:
      - ad.change-password: {user: alice, password: "Spring-2017!", on: dc2}
      - ad.change-password: {user: bob, password: "Spring-2017!b"}
  - at: +7m
    do: {ad.change-password: {user: alice, password: "Summer-2017!", on: dc1}}
  - at: +9m
    expect:
      - cloud.sign-in: {user: alice, password: "Summer-2017!", result: ok}
      - cloud.writes: {user: alice, by: sync, since: +0s, count: 3}   # wrong, it is two
  - at: +1h
    do: {ad.change-password: {user: alice, password: "Autumn-2017!"}}
  - at: +2h
    expect:
      - event-log: {id: 656, user: alice, since: +50m, count: 0}
      - cloud.history: {user: alice, is: ["Winter-2016!", "Autumn-2017!"]}
"""


def shortened(text: str, folder: Path, *options: str) -> Document:
    """What the command makes of a file."""
    path = written(folder, text)
    assert run_app(["shrink", str(path), *options]) == 0
    target = folder / "test.shrunk.yaml"
    assert run_app(["check", str(target)]) == 0
    return document_of(target.read_text(encoding="utf-8"), None, "2017")


class TestMeaning:
    """What is left of a file of many people and places still says what it said."""

    def test_count(self, tmp_path: Path) -> None:
        """Of one write too few one too few is left, and not that there was none where none could be."""
        told = shortened(COUNTED, tmp_path)
        assert [*told] == ["scenario", "why", "rules", "given", "timeline", "profile"]
        assert told["given"] == {"users": [{"name": "alice", "password": "Pass-word-1"}]}
        first, last = told["timeline"]
        assert first["do"] == [{"ad.change-password": {"user": "alice", "password": "Pass-word-2"}}]
        assert last["expect"] == [{"cloud.writes": {"user": "alice", "by": "sync", "since": "+0s", "count": "2"}}]
        assert told["why"] == "it is one. Shrunk from test.yaml; it fails: expectation: cloud.writes of alice."

    def test_what_it_looks_at(self, tmp_path: Path) -> None:
        """An expectation looks at the same events as before, and what it counts from moves with the rest."""
        told = shortened(COUNTED, tmp_path, "--failure", "2")
        assert [len(step.get("do", ())) for step in told["timeline"]] == [1, 0]
        (expected,) = told["timeline"][1]["expect"]
        assert expected == {"event-log": {"id": "656", "user": "alice", "since": "+0s", "count": "0"}}
        assert parse_offset(told["timeline"][1]["at"]) < timedelta(minutes=10)

    def test_history(self, tmp_path: Path) -> None:
        """Of several passwords too many one is left."""
        told = shortened(COUNTED, tmp_path, "--failure", "3")
        assert [len(step.get("do", ())) for step in told["timeline"]] == [1, 1, 0]

    def test_list_that_vanishes(self, tmp_path: Path) -> None:
        """A last action that goes takes its list and its entry with it."""
        text = """\
            given: {users: [{name: alice, password: "Winter-2016!"}]}
            timeline:
              - at: +5m
                do: {cloud.reset-password: {user: alice, password: "Helpdesk-77!"}}
                expect: {cloud.user: {user: alice, source: admin-reset, expires: +90d5m}}
              - at: +91d
                do: {ad.unlock: {user: alice}}
                expect: {cloud.sign-in: {user: alice, password: "Helpdesk-77!", result: ok}}
        """
        told = shortened(dedent(text), tmp_path)
        assert [len(step.get("do", ())) for step in told["timeline"]] == [1, 0]

    def test_file_beside_it(self, tmp_path: Path) -> None:
        """A password of a file beside the scenario stays as it is, and so does the change that followed."""
        (tmp_path / "people.ldif").write_text(
            "dn: CN=Ben Okoro,OU=Staff,DC=contoso,DC=example\nobjectClass: user\ncn: Ben Okoro\n"
            "sAMAccountName: ben\nuserPassword: Winter-2016!\n",
            encoding="utf-8",
        )
        text = """\
            given: {directory: people.ldif}
            timeline:
              - {at: +1m, do: {ad.change-password: {user: ben, password: "Spring-2017!"}}}
              - {at: +3m, expect: {cloud.sign-in: {user: ben, password: "Winter-2016!", result: ok}}}
        """
        first, last = shortened(dedent(text), tmp_path)["timeline"]
        assert first["do"] == [{"ad.change-password": {"user": "ben", "password": "Pass-word-1"}}]
        assert last["expect"][0]["cloud.sign-in"]["password"] == "Winter-2016!"

    def test_password_that_has_to_be_short(self, tmp_path: Path) -> None:
        """A password that is refused for its length gets another short one, and the policy that asked for more goes."""
        text = """\
            given:
              forest: {domains: {contoso.example: {policy: {min-length: 14, max-age: 30d}}}}
              users: [{name: alice, password: "A-very-long-password-1"}]
            timeline:
              - {at: +31m, do: {ad.reset-password: {user: alice, password: "Short-2017!"}}}
        """
        told = shortened(dedent(text), tmp_path)
        assert told["timeline"] == [{"at": "+0s", "do": [{"ad.reset-password": {"user": "alice", "password": "Pw-2"}}]}]
        assert told["given"]["users"] == [{"name": "alice", "password": "Pw-1"}]
        assert "forest" not in told["given"]

    def test_last_entry_joins_the_one_before(self, tmp_path: Path) -> None:
        """An entry that moves to the moment of the one before it, and ends the file there, ends the search for more."""
        text = """\
            given: {users: [{name: alice, password: "Winter-2016!"}]}
            timeline:
              - {at: +1m, do: {ad.set-policy: {domain: contoso.example, min-length: 14}}}
              - {at: +3m17s, do: {ad.change-password: {user: alice, password: "Spring-2017!"}}}
        """
        (step,) = shortened(dedent(text), tmp_path)["timeline"]
        assert step["at"] == "+0s"
        assert [*step["do"][-1]] == ["ad.change-password"]

    def test_next_entry_takes_the_place_of_one_that_joined(self) -> None:
        """After an entry has joined the one before it, the one behind it comes sooner, too."""
        text = """\
            given: {users: [{name: alice, password: "Winter-2016!"}]}
            timeline:
              - {at: +1m, do: {cloud.set-user: {user: alice, enabled: true}}}
              - {at: +2m17s, do: {cloud.set-user: {user: alice, enabled: true}}}
              - {at: +5m7s, do: {ad.change-password: {user: alice, password: "short"}}}
        """
        shrinker = Shrinker(document(text), "test.yaml")
        shrinker._reduce(earlier)
        assert [step["at"] for step in shrinker.best["timeline"]] == ["+0s"]
        assert shrinker.fault is None


class TestReductions:
    def test_user_goes_with_all_that_names_it(self) -> None:
        """A user who is left out is left out everywhere."""
        left = without(document(WRONG), "carol")
        assert "carol" not in text_of(left)
        assert case_of(tidy(left), "test.yaml").scenario.given.users[0].name == "alice"

    def test_empty_entries_go_but_the_last(self) -> None:
        """An entry in which nothing happens goes; the last one still says when the scenario ends."""
        told = document(WRONG)
        bare = tidy({**told, "timeline": [{"at": step["at"]} for step in told["timeline"]]})
        assert [step["at"] for step in bare["timeline"]] == ["+3h"]
        assert run_case(case_of(bare, "test.yaml")).failures[0].kind == "fault"


class TestCommand:
    def test_shrinks_beside_the_file(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """The shrunk scenario stands beside the file under another name; sizes before and after are printed."""
        path = written(tmp_path, WRONG)
        before = path.read_text()
        assert run_app(["shrink", str(path)]) == 0
        told = capsys.readouterr().out
        assert "users              3 -> 1" in told
        assert f"written to {tmp_path / 'test.shrunk.yaml'}" in told
        assert path.read_text() == before
        assert run_app(["run", str(tmp_path / "test.shrunk.yaml")]) == 1
        assert "cloud.sign-in of alice" in capsys.readouterr().out

    @pytest.mark.parametrize("length", [79, 88, 100])
    def test_again_onto_its_own(self, tmp_path: Path, length: int) -> None:
        """What it has written it writes anew, wherever lines of the reason break, and says once where it is from."""
        path = tmp_path / "test.yaml"
        text = """\
            given: {users: [{name: alice, password: "Winter-2016!"}]}
            timeline:
              - {at: +0s, expect: {cloud.sign-in: {user: alice, password: "Winter-2016!", result: locked}}}
        """
        head = HEAD.replace("it is one", " ".join(["x" * 9] * 20)[:length].strip())
        path.write_text(head + dedent(text), encoding="utf-8")
        assert run_app(["shrink", str(path)]) == 0
        first = (tmp_path / "test.shrunk.yaml").read_text(encoding="utf-8")
        assert run_app(["shrink", str(path)]) == 0
        assert run_app(["shrink", str(tmp_path / "test.shrunk.yaml"), "-o", str(tmp_path / "again.yaml")]) == 0
        again = (tmp_path / "again.yaml").read_text(encoding="utf-8")
        assert " ".join(again.split()) == " ".join(first.split()).replace("from test.yaml", "from test.shrunk.yaml")

    def test_row_and_output(self, tmp_path: Path) -> None:
        """A row of a table is shrunk as a scenario of its own, written where it is asked for."""
        text = WRONG.replace("result: wrong-password", "result: $result") + (
            "examples:\n  - {name: good, values: {result: ok}}\n  - {name: bad, values: {result: locked}}\n"
        )
        path, target = written(tmp_path, text), tmp_path / "short.yaml"
        assert run_app(["shrink", f"{path}::bad", "-o", str(target)]) == 0
        assert "examples" not in target.read_text()
        assert "result: locked" in target.read_text()

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["{good}"], "can't be shrunk: it holds"),
            (["{rows}"], "these are 2"),
            (["{wrong}", "-o", "{wrong}"], "is the scenario itself"),
            (["{wrong}", "-o", "{folder}/none/short.yaml"], "does not exist"),
            (["{folder}/nothing.yaml"], "there is no file"),
            (["{wrong}", "--engine", "nothing:here"], "--engine"),
        ],
    )
    def test_refusals(
        self, arguments: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """What can't be shrunk or written is refused with a reason, and nothing is written."""
        sound = WRONG.replace("result: wrong-password", "result: ok")
        paths = {
            "good": written(tmp_path, sound, "good.yaml"),
            "wrong": written(tmp_path, WRONG, "wrong.yaml"),
            "rows": written(
                tmp_path, WRONG + "examples: [{name: a, values: {}}, {name: b, values: {}}]\n", "rows.yaml"
            ),
            "folder": tmp_path,
        }
        assert run_app(["shrink", *(each.format(**paths) for each in arguments)]) == 2
        assert words in capsys.readouterr().err
        assert sorted(each.name for each in tmp_path.iterdir()) == ["good.yaml", "rows.yaml", "wrong.yaml"]

    def test_fault_of_a_reduction(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """What goes wrong in one reduction is told, with exit code 3; what the others found is written."""

        def falls(view: View) -> Candidates:
            yield {**view.document, "faults": []}
            raise LookupError("no such entry")

        monkeypatch.setattr(shrinking, "REDUCTIONS", (falls, *shrinking.REDUCTIONS))
        path = written(tmp_path, WRONG)
        assert run_app(["shrink", str(path)]) == 3
        out, err = capsys.readouterr()
        assert "users              3 -> 1" in out
        assert f"written to {tmp_path / 'test.shrunk.yaml'}" in out
        assert "fault: shrinking went wrong; what is written may not be the shortest" in err
        assert "LookupError: no such entry" in err
        assert "a fault of pwsync itself" in err
        assert run_app(["run", str(tmp_path / "test.shrunk.yaml")]) == 1

    @pytest.mark.parametrize(
        ("why", "stop"), [("it is one", "."), ("it is one.", ""), ('it says "so"', "."), ("so?", "")]
    )
    def test_reason_ends_before_another_begins(self, why: str, stop: str) -> None:
        """A sentence without a full stop gets one before what is said behind it; none is added the second time."""
        way = Way("invariant", "converges")
        told = shrunk_why({"why": why}, "a.yaml", way, None)
        assert told["why"] == f"{why}{stop} Shrunk from a.yaml; it fails: converges."
        assert shrunk_why(told, "a.yaml", way, None) == told


class TestExploreCommand:
    def test_nothing_found(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Runs that hold end with 0, a rate and the seed, and write no folder."""
        report = tmp_path / "report.json"
        output = tmp_path / "found"
        arguments = ["explore", "--runs", "4", "--seed", "7", "-j", "1", "-o", str(output), "--json", str(report)]
        assert run_app(arguments) == 0
        told = capsys.readouterr().out
        assert "4 random runs" in told
        assert "0 findings" in told
        assert "seeds from 7" in told
        assert json.loads(report.read_text())["findings"] == []
        assert not output.exists()

    def test_finding_is_told_and_written(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """A broken agent ends with 1; the scenario, the reports and the command name the same finding."""
        report, junit = tmp_path / "report.json", tmp_path / "report.xml"
        arguments = ["--runs", "1", "-j", "1", "--engine", "world.broken_agents:ThreeMinutes", "-o", str(tmp_path)]
        assert run_app(["explore", *arguments, "--json", str(report), "--junit", str(junit)]) == 1
        told = capsys.readouterr().out
        (finding,) = json.loads(report.read_text())["findings"]
        assert (finding["kind"], finding["what"], finding["runs"]) == ("invariant", "two-minutes", 1)
        path = Path(finding["file"])
        assert path.parent == tmp_path
        assert f"repeat it with: pwsync run {path} --engine world.broken_agents:ThreeMinutes" in told
        assert 'failures="1"' in junit.read_text()
        assert run_app(["run", str(path), "--engine", "world.broken_agents:ThreeMinutes"]) == 1
        assert run_app(["run", str(path)]) == 0

    def test_block_says_how_many_runs(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Beside a scenario the number of runs is the block's; one that has only random runs is no scenario to run."""
        text = 'given: {users: [{name: alice, password: "Winter-2016!"}]}\nexplore: {runs: 3}\n'
        path = written(tmp_path, text)
        assert run_app(["explore", str(path), "-j", "1", "-o", str(tmp_path / "found")]) == 0
        assert "3 random runs" in capsys.readouterr().out
        assert run_app(["run", str(path)]) == 0
        assert f"pwsync explore {path}" in capsys.readouterr().err

    def test_goes_on_for_a_time(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """With a duration it ends by itself, after one run at least."""
        assert run_app(["explore", "--for", "0s", "-j", "1", "-o", str(tmp_path / "found")]) == 0
        assert "1 random run in" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["--runs", "0"], "--runs"),
            (["--runs", "many"], "--runs"),
            (["--for", "long"], "--for"),
            (["--seed", "-1"], "--seed"),
            (["-j", "x"], "-j"),
            (["--profile", "2017"], "--profile goes with a FILE"),
            (["nothing.yaml"], "there is no file"),
            (["--engine", "nothing:here"], "--engine"),
            (["--json", "/nowhere/report.json"], "can't write the report"),
            (["-o", __file__], "is no folder"),
        ],
    )
    def test_bad_options(self, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
        """A bad option is refused before anything runs."""
        assert run_app(["explore", *arguments]) == 2
        assert words in capsys.readouterr().err
