"""Sweeps: what fails in turn, what counts as a finding, how it is told, and a sample over the shipped scenarios."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.cli.app import run_app
from simulator.explore import finding_file, rewinding
from simulator.explore import rerun as rerunning
from simulator.explore import sweep as sweeping
from simulator.explore.endings import calm, release
from simulator.explore.finding_file import write_findings
from simulator.explore.kinds import KINDS, kinds_of, rule
from simulator.explore.rerun import Control, Point, Rerun, SweptRun, control_of, rerun
from simulator.explore.rewinding import reruns
from simulator.explore.sweep import Only, Sweep, SweepOptions, read_only, spread, sweep
from simulator.report.sweep import findings_text, table
from simulator.scenario.file import Case, load, load_text
from simulator.scenario.runner import Run, RunOptions, run_case
from simulator.suite import collect
from simulator.world_snapshot import ImageError

ROOT = Path(__file__).parents[2]
ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="no such file system")

HEAD = """\
scenario: {title}
why: A sweep needs something to sweep.
rules: [delta.within-minutes]
given:
  users:
    - {{name: alice, password: "Winter-2016!"}}
    - {{name: bob, password: "Winter-2016!"}}
"""

CHANGE = (
    HEAD.format(title="A change arrives")
    + """\
timeline:
  - at: +1m
    do:
      - ad.change-password: {user: alice, password: "Spring-2017!"}
      - ad.change-password: {user: bob, password: "Summer-2017!"}
  - at: +2m
    expect:
      - cloud.sign-in: {user: alice, password: "Spring-2017!", result: ok}
      - cloud.history: {user: bob, is: ["Winter-2016!", "Summer-2017!"]}
      - cloud.calls: {operation: set-passwords, count: 1}
      - agent.pending: {is: none}
"""
)

RESET = (
    HEAD.format(title="A reset holds")
    + """\
timeline:
  - at: +1m
    do: {ad.change-password: {user: alice, password: "Spring-2017!"}}
  - at: +3m
    do: {cloud.reset-password: {user: alice, password: "Helpdesk-77!"}}
  - at: +4m
    expect: {cloud.sign-in: {user: alice, password: "Helpdesk-77!", result: ok}}
  - at: +5m
    do: {cloud.change-password: {user: bob, old: "Winter-2016!", password: "By-myself-17"}}
"""
)

LONG = CHANGE.replace("  - at: +2m\n    expect:", "  - at: +1d2h\n    expect:")


def written(folder: Path, text: str, name: str = "swept.yaml") -> Case:
    """The case of a file below a folder ``scenarios``."""
    path = folder / "scenarios" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    loaded = load(path)
    assert loaded.errors == ()
    return loaded.cases[0]


def swept(case: Case, **options: object) -> Sweep:
    """A finished sweep of one case."""
    found = Sweep([case])
    for found in sweep([case], SweepOptions(**options)):  # type: ignore[arg-type]  # noqa: B007
        pass
    return found


def names(found: Sweep) -> list[str]:
    return sorted(f"{bad.point.name}:{bad.word}" for _, bad in found.bad)


class TestKinds:
    @pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.word)
    def test_fits_its_wires(self, kind: object) -> None:
        """Every kind makes a rule that the format takes, on each of its wires."""
        for on in kind.wires:  # type: ignore[attr-defined]
            for word in kinds_of(on, ("alice", "bob")):
                assert rule(on, word, call=3).call == 3

    def test_ends_of_a_batch(self) -> None:
        """Of the items of a batch the first and the last fail."""
        words = [word for word in kinds_of("cloud.set-passwords", ("a", "b", "c")) if word.startswith("result-2")]
        assert words == ["result-2=a", "result-2=c"]

    def test_operators_do_not_wait(self) -> None:
        """A commit that an operator waits for is not delayed."""
        assert {"delay", "lose-request", "lose-response"} < set(kinds_of("store.commit", ()))
        assert "delay" not in list(kinds_of("store.commit", (), by_hand=True))


class TestControl:
    def test_every_attempt_is_a_point(self, tmp_path: Path) -> None:
        """Each attempt is a point, by wire, instant and place in it; of cycles that are alike the first and last."""
        case = written(tmp_path, CHANGE)
        points = [point.name for point in control_of(case).points]
        assert points == [
            "directory.read-passwords@+2m", "store.commit@+2m", "cloud.set-passwords@+2m", "store.commit@+2m#2",
        ]  # fmt: skip

    def test_alike_cycles(self, tmp_path: Path) -> None:
        """Idle cycles in a row stand for each other, and none is forgotten in the count; or all are points."""
        case = written(tmp_path, CHANGE + "  - at: +21m\n    expect: {agent.pending: {is: none}}\n")
        few, all_of_them = control_of(case), control_of(case, every=True)
        assert [point.name for point in few.points][-2:] == [
            "directory.read-passwords@+4m", "directory.read-passwords@+20m",
        ]  # fmt: skip
        assert sum(point.alike for point in few.points) == len(all_of_them.points) == few.attempts

    def test_own_faults_stay(self, tmp_path: Path) -> None:
        """An attempt that the scenario breaks itself is left alone; the scenario's faults hold in the reruns."""
        text = CHANGE.replace("timeline:", "faults:\n  - {on: cloud.set-passwords, call: 1, answer: 503}\ntimeline:")
        text = text.replace("+2m", "+4m").replace("count: 1", "count: 2")
        control = control_of(written(tmp_path, text))
        assert [point.name for point in control.points if point.on == "cloud.set-passwords"] == [
            "cloud.set-passwords@+4m"
        ]

    def test_broken_without_a_fault(self, tmp_path: Path) -> None:
        """A scenario that does not hold by itself is not swept; it is told as it is."""
        found = swept(written(tmp_path, CHANGE.replace("result: ok", "result: disabled")))
        assert (found.planned, len(found.broken), found.bad) == (0, 1, [])
        assert "cloud.sign-in of alice" in next(findings_text(found, SweepOptions()))


class TestRerun:
    def test_good_agent_recovers(self, tmp_path: Path) -> None:
        """The true agent gets over each fault on each attempt; counts in mid-course may differ."""
        found = swept(written(tmp_path, CHANGE))
        assert names(found) == []
        assert found.done == found.planned >= 40

    def test_finds_what_is_forgotten(self, tmp_path: Path) -> None:
        """An agent that takes silence for success is found by what does not arrive, and only then."""
        engine = "world.broken_agents:TakesSilenceForDone"
        found = swept(written(tmp_path, CHANGE), engine=engine, only=Only(on="cloud.set-passwords"))
        assert "cloud.set-passwords@+2m:lose-request" in names(found)
        assert "cloud.set-passwords@+2m:lose-response" not in names(found)

    def test_finds_what_a_crash_forgets(self, tmp_path: Path) -> None:
        """An agent that begins with an empty list loses what was pending when it died."""
        engine = "world.broken_agents:ForgetsAtStart"
        found = [
            swept(written(tmp_path, CHANGE), engine=engine, only=Only(word=word)) for word in ("crash-after", "503")
        ]
        assert [names(each) != [] for each in found] == [True, False]

    def test_late_answer_may_overwrite(self, tmp_path: Path) -> None:
        """A change that a fault has put off until after a cloud reset overwrites it, and that is no finding."""
        assert names(swept(written(tmp_path, RESET), only=Only(word="lose-response"))) == []

    def test_unreached(self, tmp_path: Path) -> None:
        """An attempt that does not come again is told, not passed over."""
        case = written(tmp_path, CHANGE)
        result = rerun(case, control_of(case), Point("cloud.ping", timedelta(seconds=7)), "timeout")
        assert not result.held
        assert not result.reached

    def test_endless(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A rerun that makes attempts without end is stopped, and is a finding."""
        monkeypatch.setattr(rerunning, "ATTEMPTS_SPARE", 3)
        case = written(tmp_path, CHANGE)
        control = control_of(case)
        none = Control(0, control.points, control.standing)
        result = rerun(case, none, control.points[0], "delay")
        assert [failure.title for failure in result.failures] == ["the agent makes attempts without end"]

    def test_side_by_side(self, tmp_path: Path) -> None:
        """In other processes the same is found as in this one."""
        case = written(tmp_path, CHANGE)
        options = SweepOptions(engine="world.broken_agents:TakesSilenceForDone", only=Only(word="lose-request"))
        alone, together = list(sweep([case], options))[-1], list(sweep([case], options, jobs=2))[-1]
        assert names(alone) == names(together)
        assert alone.reruns == together.reruns


class TestFindingFile:
    def test_fails_the_same_way(self, tmp_path: Path) -> None:
        """A finding is written as a plain scenario that fails in the same way, and holds with the true agent."""
        engine = "world.broken_agents:GivesUp"
        options = SweepOptions(engine=engine, only=Only(on="cloud.set-passwords", word="result-5"))
        found = list(sweep([written(tmp_path, CHANGE)], options))[-1]
        first, *_ = write_findings(found, options, tmp_path / "found")
        assert first.problem == ""
        (case,) = load(first.path).cases
        titles = {failure.title for failure in run_case(case, RunOptions(engine=engine)).failures}
        assert found.bad[0][1].failures[0].title.removesuffix(" does not stand at the end") in titles
        assert run_case(case).outcome == "held"


class TestEnding:
    HOLDS = (
        HEAD.format(title="Everything holds it back")
        + """\
timeline:
  - at: +1m
    do:
      - ad.reset-password: {user: alice, password: "Spring-2017!"}
      - network.set-link: {link: cloud, state: down}
      - ad.revoke: {right: replicate-changes-all}
      - ad.set-connector-password: {known-to-agent: false}
      - agent.configure: {staging: true}
      - agent.disable-password-sync: {}
      - cloud.set-feature: {password-sync: off}
      - server.set-fips: {enabled: true}
      - agent.stop: {}
      - ad.set-controller: {controller: dc1, state: down}
"""
    )

    def test_takes_every_hold_away(self, tmp_path: Path) -> None:
        """After a calm ending nothing holds the agent back, and what was changed meanwhile has arrived."""
        run = Run(written(tmp_path, self.HOLDS), RunOptions())
        live = run._judge_faults
        left: list[object] = []

        def ending() -> None:
            live()
            calm(run.world, run.sessions)
            left.extend(release(run.world))
            answer = run.world.tenant.sign_in(run.world.upn("alice"), "Spring-2017!", observe=True)
            left.append(answer.result)

        run._judge_faults = ending  # type: ignore[method-assign]
        run.run()
        assert left == ["ok"]
        assert run.failures == []


class TestOnly:
    @given(
        st.sampled_from(["cloud.set-passwords", "store.commit", "directory.read-passwords"]),
        st.integers(0, 10**7),
        st.integers(1, 99),
        st.sampled_from(["lose-response", "result-2=alice", "crash-after"]),
    )
    def test_reads_what_findings_are_called(self, on: str, seconds: int, number: int, word: str) -> None:
        """The name of a finding chooses that rerun and no other."""
        point = Point(on, timedelta(seconds=seconds), number)
        only = read_only(f"{point.name}:{word}")
        assert only.takes(point, word)
        assert not only.takes(Point(on, timedelta(seconds=seconds), number + 1), word)
        assert not only.takes(point, "timeout")

    @pytest.mark.parametrize("text", ["", "@+2m", "cloud.ping@2m", "cloud.ping:", "::", "cloud.ping@+2m#x:503", "ü"])
    def test_refuses_what_names_nothing(self, text: str) -> None:
        """Anything else is refused."""
        with pytest.raises(ValueError, match="names no attempt"):
            read_only(text)

    @given(st.integers(0, 200), st.integers(1, 300), st.integers(0, 2**63))
    def test_sample_is_even(self, length: int, count: int, seed: int) -> None:
        """A sample keeps the order, repeats nothing, depends on the seed alone, and comes from all parts."""
        items = list(range(length))
        found = spread(items, count, seed)
        assert found == spread(items, count, seed) == sorted(set(found))
        assert len(found) == min(length, count)
        if count < length:
            stretches = [(index * length // count, (index + 1) * length // count) for index in range(count)]
            assert all(first <= item < after for (first, after), item in zip(stretches, found, strict=True))


class TestCommand:
    @pytest.fixture(autouse=True)
    def folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        written(tmp_path, CHANGE)

    def test_holds(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """A sweep that finds nothing prints its table, writes its reports, and leaves with 0."""
        code = run_app(["sweep", "scenarios", "-j", "1", "--sample", "12", "--json", "a.json", "--junit", "a.xml"])
        out = capsys.readouterr().out
        assert code == 0
        assert "1 scenario swept: 12 reruns, 0 did not hold" in out
        assert json.loads((tmp_path / "a.json").read_text())["counts"]["reruns"] == 12
        assert ElementTree.parse(tmp_path / "a.xml").getroot().get("tests") == "1"

    def test_finding(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """A finding is told in full with the one command that repeats it, and that command finds it again."""
        engine = "world.broken_agents:TakesSilenceForDone"
        arguments = ["sweep", "scenarios", "-j", "1", "--only", "cloud.set-passwords@+2m:timeout", "--engine", engine]
        assert run_app([*arguments, "-o", "found", "--json", "a.json"]) == 1
        out = capsys.readouterr().out
        repeat = next(line for line in out.splitlines() if line.strip().startswith("repeat")).split()[2:]
        assert repeat[:4] == ["sweep", "scenarios/swept.yaml", "--only", "cloud.set-passwords@+2m:timeout"]
        assert run_app(repeat) == 1
        assert len(list((tmp_path / "found").glob("*.yaml"))) >= 1
        assert json.loads((tmp_path / "a.json").read_text())["findings"][0]["fault"].endswith(":timeout")

    def test_scenarios_that_do_not_hold(self, tmp_path: Path) -> None:
        """They are not swept, and stand apart from what faults have broken; each list is as long as its count."""
        written(tmp_path, CHANGE.replace("result: ok", "result: locked"), "broken.yaml")
        engine = "world.broken_agents:TakesSilenceForDone"
        arguments = ["--only", "cloud.set-passwords@+2m:timeout", "--engine", engine]
        assert run_app(["sweep", "scenarios", "-j", "1", *arguments, "--json", "a.json", "--junit", "a.xml"]) == 1
        report = json.loads((tmp_path / "a.json").read_text())
        assert (report["counts"]["findings"], report["counts"]["not-swept"]) == (1, 1)
        (finding,), (unswept,) = report["findings"], report["not-swept"]
        assert (finding["scenario"], finding["fault"]) == ("swept", "cloud.set-passwords@+2m:timeout")
        assert (unswept["scenario"], unswept["fault"]) == ("broken", "")
        assert finding.keys() == unswept.keys()
        names = [each.get("name") for each in ElementTree.parse(tmp_path / "a.xml").iter("property")]
        assert "seed" in names
        assert "digest" not in names

    @pytest.mark.parametrize("every", [[], ["--every-attempt"]])
    def test_longer_than_a_day(self, every: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """That reads of idle cycles do not fail in a long scenario is told, with the scenario's name."""
        written(tmp_path, LONG, "long.yaml")
        arguments = ["--only", "directory.read-passwords:timeout", *every, "--sample", "1", "--json", "a.json"]
        assert run_app(["sweep", "scenarios", "-j", "1", *arguments]) == 0
        out = capsys.readouterr().out
        assert out.splitlines()[-1].startswith("1 of them lasts longer than a day; ")
        assert out.endswith("no reads: long\n")
        assert json.loads((tmp_path / "a.json").read_text())["longer-than-a-day"] == ["long"]
        assert run_app(["sweep", "scenarios/swept.yaml", "-j", "1", *arguments]) == 0
        assert "a day" not in capsys.readouterr().out

    def test_what_has_failed_in_turn(self, tmp_path: Path) -> None:
        """Attempts count as failed in turn when their reruns are made: not before, and not those left out."""
        options = SweepOptions(only=Only(on="cloud.set-passwords"))
        counts = [(found.done, dict(found.points)) for found in sweep([written(tmp_path, CHANGE)], options, jobs=1)]
        assert counts[0] == counts[1] == (0, {})
        assert counts[-1] == (counts[-1][0], {"cloud.set-passwords": 1})
        for sampled in sweep([written(tmp_path, CHANGE)], SweepOptions(sample=2), jobs=1):
            assert sampled.points.total() <= sampled.done
        assert (sampled.done, sampled.attempts.total() > 2) == (2, True)

    @pytest.mark.parametrize(
        "arguments",
        [["--only", "cloud.pink"], ["--only", "cloud.ping:503x"], ["--only", ""], ["--sample", "0"],
         ["--sample", "ten"], ["-j", "x"], ["--json", "no/such/folder/a.json"], ["--engine", "no:such"]],
        ids=" ".join,
    )  # fmt: skip
    def test_bad_option(self, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        """A bad option is refused before anything runs."""
        assert run_app(["sweep", "scenarios", *arguments]) == 2
        assert "error: " in capsys.readouterr().err

    def test_edited_file_stays(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """A finding's file is written anew until somebody edits it; then the next one goes beside it."""
        engine = "world.broken_agents:TakesSilenceForDone"
        arguments = ["sweep", "scenarios", "-j", "1", "--only", "cloud.set-passwords@+2m:timeout", "--engine", engine]
        for _ in range(2):
            assert run_app([*arguments, "-o", "found"]) == 1
        (path,) = (tmp_path / "found").iterdir()
        path.write_text(edited := path.read_text().replace("scenario: ", "scenario: Mine, "))
        capsys.readouterr()
        for _ in range(2):
            assert run_app([*arguments, "-o", "found"]) == 1
            beside = Path("found", f"{path.stem}-2.yaml")
            kept = Path("found", path.name)
            assert f"wrote {beside}; {kept} is not what pwsync wrote, and stays as it is" in capsys.readouterr().out
        assert path.read_text() == edited
        assert sorted(each.name for each in (tmp_path / "found").iterdir()) == sorted([path.name, beside.name])
        assert load(tmp_path / beside).errors == ()

    def test_no_space(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        """A finding that can't be written is told all the same, with exit code 2."""

        def refuse(path: Path, content: bytes) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(finding_file, "write_whole", refuse)
        engine = "world.broken_agents:TakesSilenceForDone"
        arguments = ["sweep", "scenarios", "-j", "1", "--only", "cloud.set-passwords@+2m:timeout", "--engine", engine]
        assert run_app([*arguments, "-o", "found"]) == 2
        out, err = capsys.readouterr()
        assert "1 rerun, 1 did not hold" in out
        assert 'error: can\'t write to "found": No space left on device' in err

    @pytest.mark.parametrize("output", ["taken", "taken/below", pytest.param("/proc/found", marks=ON_LINUX)])
    def test_no_folder(self, output: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Where no findings can be written is refused before anything runs."""
        (tmp_path / "taken").write_text("mine")
        assert run_app(["sweep", "scenarios", "-o", output]) == 2
        out, err = capsys.readouterr()
        assert (out, f'error: findings can\'t be written to "{output}"' in err) == ("", True)

    def test_stopped(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        """Ctrl-C prints what was found so far, and leaves with 130."""
        whole = sweeping.sweep

        def stopped(*arguments: object, **options: object) -> Iterator[Sweep]:
            for found in whole(*arguments, **options):  # type: ignore[arg-type]
                yield found
                if found.done:
                    raise KeyboardInterrupt

        monkeypatch.setattr(sweeping, "sweep", stopped)
        assert run_app(["sweep", "scenarios", "-j", "1", "--json", "a.json"]) == 130
        out, err = capsys.readouterr()
        assert "reruns, 0 did not hold" in out
        assert "no report was written" in err


class TestShipped:
    def test_sample(self) -> None:
        """What is shipped gets over a sample of all faults; ``tox -e sweep`` has them all."""
        cases = collect([str(ROOT / "scenarios")]).cases[7::60]
        found = Sweep(cases)
        for found in sweep(cases, SweepOptions(sample=50)):  # noqa: B007
            pass
        assert list(findings_text(found, SweepOptions())) == []
        assert found.done == 50
        assert "reruns" in table(found)


def test_row_and_profile(tmp_path: Path) -> None:
    """The command that repeats a finding names the row and the profile."""
    loaded = load_text(
        CHANGE.replace("rules:", "profile: [2017, current]\nrules:").replace('"Spring-2017!"', "$new")
        + 'examples:\n  - {name: one, values: {new: "Spring-2017!"}}\n',
        tmp_path / "scenarios" / "rows.yaml",
    )
    assert loaded.errors == ()
    from simulator.report.sweep import repeat_command

    assert repeat_command(loaded.cases[1], SweepOptions()).endswith("rows.yaml::one --profile current --seed 1")


class TestOnceAccused:
    """Reruns that were findings once, through the judge's own fault; what each taught is in the judge's docstrings."""

    CASES = (
        ("retry/throttled-export-or-token::export-throttled", "store.commit@+0s#2:crash-before"),
        ("found/order-stored-without-an-answer", "directory.bind@+0s:crash-before"),
        ("found/order-that-can-not-be-stored", "cloud.set-passwords@+2m:timeout"),
        ("found/order-that-can-not-be-stored", "directory.read-passwords@+2m:delay"),
        ("found/scope-changed-within-a-cycle", "directory.bind@+30m:timeout"),
        ("found/scope-changed-within-a-cycle", "store.commit@+32m40s:crash-before"),
        ("found/scope-widened-with-two-controllers", "directory.search@+1m:corrupt"),
        ("diagnose/temporary-password-taken", "cloud.set-passwords@+2m:delay"),
        ("incident/09-password-first-box-later", "store.commit@+2m#2:crash-before"),
        ("incident/60-filtered-by-an-attribute", "store.commit@+7m:crash-after"),
    )

    @pytest.mark.parametrize(("name", "only"), CASES, ids=[f"{name}-{only}" for name, only in CASES])
    def test_holds(self, name: str, only: str) -> None:
        """The rerun is made, and holds."""
        path, _, row = name.partition("::")
        case = next(case for case in load(ROOT / f"scenarios/{path}.yaml").cases if case.row == (row or None))
        found = swept(case, only=read_only(only))
        assert (found.done, names(found)) == (1, [])


class TestOnceFound:
    """Reruns that showed a fault of the agent once."""

    CASES = (
        ("order/sent-and-not-heard-of", "store.commit@+2m:crash-after"),
        ("order/sent-and-not-heard-of", "store.commit@+2m#2:crash-before"),
        ("order/sent-and-not-heard-of", "store.commit@+2m#2:lose-request"),
        ("order/sent-and-not-heard-of", "directory.read-passwords@+2m:delay"),
        ("incident/48-marks-cleared-for-domain-services", "store.commit@+6m#2:lose-request"),
    )

    @pytest.mark.parametrize(("name", "only"), CASES, ids=[f"{name}-{only}" for name, only in CASES])
    def test_holds(self, name: str, only: str) -> None:
        """The rerun is made, and holds."""
        (case, *_) = load(ROOT / f"scenarios/{name}.yaml").cases
        found = swept(case, only=read_only(only))
        assert (found.done, names(found)) == (1, [])


class TestRewinding:
    @pytest.mark.parametrize(
        "name",
        ["retry/item-fails-until-it-succeeds", "delta/slow-wires", "found/scope-changed-within-a-cycle",
         "fips/restart-of-the-server", "order/lagging-controller-sends-nothing-back"],
    )  # fmt: skip
    def test_same_as_from_the_beginning(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """A rerun that goes back to a snapshot leaves the trace and the findings of one that begins anew."""
        traces: list[tuple[str, ...]] = []
        judge = rerunning.judged

        def judged(run: SweptRun, *rest: Any) -> Rerun:
            result = judge(run, *rest)
            traces.append(tuple(run.world.trace.lines))
            return result

        monkeypatch.setattr(rerunning, "judged", judged)
        monkeypatch.setattr(rewinding, "judged", judged)
        case = load(ROOT / f"scenarios/{name}.yaml").cases[0]
        control = control_of(case)
        items = [(point, word) for point in control.points for word in kinds_of(point.on, point.users, point.by_hand)]
        some = spread(items, 12, 5)
        gone_back = list(reruns(case, control, some))
        told, traces[:] = tuple(traces), []
        assert gone_back == [rerun(case, control, point, word) for point, word in some]
        assert told == tuple(traces)

    def test_another_agent_begins_anew(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """What another agent keeps where no snapshot looks must not outlive its run."""
        monkeypatch.setattr(rewinding, "WorldSnapshot", None)
        case = written(tmp_path, CHANGE)
        control = control_of(case)
        items = [(control.points[0], "timeout"), (control.points[0], "tls")]
        found = list(reruns(case, control, items, engine="world.broken_agents:GivesUp"))
        assert [each.word for each in found] == ["timeout", "tls"]

    def test_without_a_snapshot(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where no snapshot can be made all the same is found."""

        def refuse(*_: object) -> None:
            raise ImageError("no image can hold this")

        case = written(tmp_path, CHANGE)
        control = control_of(case)
        items = [(control.points[0], "timeout"), (control.points[-1], "lose-response")]
        found = list(reruns(case, control, items))
        monkeypatch.setattr(rewinding, "WorldSnapshot", refuse)
        assert found == list(reruns(case, control, items))
