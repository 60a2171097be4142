"""Runs that are made a second time in another process, and what is told where the second one differs."""

from __future__ import annotations

import json
import os
import time
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from cli.cases import run_and_tidy_at_exit, run_with_slow_finalizer
from cli.results import BROKE, HELD
from hypothesis import given
from hypothesis import strategies as st

from simulator.cli.app import run_app
from simulator.determinism import FAREWELL_SECONDS, SecondRunDied, compared, parting, run_again
from simulator.report.json import json as as_json
from simulator.report.junit import junit
from simulator.report.text import headline
from simulator.scenario.result import ExitCode
from simulator.scenario.runner import RunOptions, run_case
from simulator.stopwatch import real_seconds
from simulator.suite import collect, exit_code

SCENARIO = Path(__file__).parents[2] / "scenarios" / "delta" / "works-after-next-cycle.yaml"
AGENTS = "cli.unsteady_agents"


class TestRun:
    """``pwsync run --check-determinism``."""

    def test_same(self, capsys: pytest.CaptureFixture[str]) -> None:
        """What is the same again is told as ever, and the digest with it."""
        assert run_app(["run", str(SCENARIO), "--check-determinism"]) == ExitCode.HELD
        checked = capsys.readouterr()
        assert run_app(["run", str(SCENARIO)]) == ExitCode.HELD
        assert checked.out.splitlines()[-1] == capsys.readouterr().out.splitlines()[-1]
        assert "the same again, in another process" in checked.err

    @pytest.mark.parametrize("agent", ["by_order_of_a_set", "by_process", "by_the_time", "by_address"])
    def test_differs(self, agent: str, capsys: pytest.CaptureFixture[str]) -> None:
        """An agent whose second run differs ends with 4, and the first line that differs is shown in both forms."""
        code = run_app(["run", str(SCENARIO), "--check-determinism", "--engine", f"{AGENTS}:{agent}"])
        told = capsys.readouterr().out
        assert code == ExitCode.NOT_DETERMINISTIC
        assert "a second run in another process parts from the first at line" in told
        assert "not deterministic, in" in told
        assert f" --engine {AGENTS}:{agent} --check-determinism\n" in told

    def test_runs_before_do_not_matter(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """The second process runs the cases in the opposite order, so what one leaves behind for the next shows."""
        report = tmp_path / "report.json"
        paths = [str(SCENARIO), str(SCENARIO.parent / "last-of-several-arrives.yaml")]
        options = ["--check-determinism", "--engine", f"{AGENTS}:by_earlier_runs", "--json", str(report)]
        code = run_app(["run", *paths, *options])
        assert code == ExitCode.NOT_DETERMINISTIC
        values = json.loads(report.read_text())
        assert values["exit-code"] == 4
        assert values["counts"]["not-deterministic"] == values["counts"]["total"] > 1

    def test_second_process_dies(self, capsys: pytest.CaptureFixture[str]) -> None:
        """A second process that dies is a fault of its own, not a difference."""
        code = run_app(["run", str(SCENARIO), "--check-determinism", "--engine", f"{AGENTS}:dies_elsewhere"])
        assert code == ExitCode.HARNESS_FAULT
        out, err = capsys.readouterr()
        assert "the process of the second run died (exit code 9)" in err
        assert "2 scenarios: 2 held" in out


class TestAgain:
    """The second process by itself."""

    def test_workers(self) -> None:
        """It may have workers; every case comes back once, with its trace."""
        cases = collect([str(SCENARIO.parent)]).cases[:4]
        found = dict(run_again(cases, partial(run_case, options=RunOptions()), jobs=2))
        assert [found[index].id for index in range(4)] == [case.id for case in cases]
        assert all(result.trace for result in found.values())

    def test_dies(self) -> None:
        """A process that dies raises SecondRunDied."""
        cases = collect([str(SCENARIO)]).cases
        run = partial(run_case, options=RunOptions(engine=f"{AGENTS}:dies_elsewhere"))
        with pytest.raises(SecondRunDied, match="exit code 9"):
            list(run_again(cases, run))

    def test_ends_in_peace(self, capfd: pytest.CaptureFixture[str]) -> None:
        """A process that has done its work is left to tidy up, and says nothing."""
        assert len(list(run_again(collect([str(SCENARIO)]).cases, run_and_tidy_at_exit))) == 2
        assert capfd.readouterr() == ("", "")

    @pytest.mark.skipif(os.name == "nt", reason="there a process is ended without being told")
    def test_told_to_end_in_a_finalizer(self, capfd: pytest.CaptureFixture[str]) -> None:
        """Ctrl-C ends the second process soon and in silence, also where it can't be interrupted."""
        with closing(run_again(collect([str(SCENARIO)]).cases, run_with_slow_finalizer)) as stream:
            next(stream)
            time.sleep(0.5)
            began = real_seconds()
        assert real_seconds() - began < FAREWELL_SECONDS / 2
        assert capfd.readouterr() == ("", "")


class TestCompared:
    """What becomes of two results."""

    def test_equal(self) -> None:
        """Equal traces leave the first result as it is, whatever time each took."""
        assert compared(BROKE, replace(BROKE, seconds=99.0)) is BROKE

    def test_other_trace(self) -> None:
        """The failure names the first line that differs, in both runs, and the lines before it."""
        first = replace(HELD, trace=tuple(f"+{n}m agent line" for n in range(20)))
        second = replace(HELD, trace=(*first.trace[:15], "+15m agent another line", *first.trace[16:]))
        result = compared(first, second)
        assert (result.outcome, exit_code([result])) == ("not-deterministic", ExitCode.NOT_DETERMINISTIC)
        (failure,) = result.failures
        assert (failure.at, failure.expected, failure.got) == ("+15m", "+15m agent line", "+15m agent another line")
        assert failure.because == first.trace[9:15]
        assert failure.title.endswith("at line 16 of the trace")
        assert headline(result).startswith("DIFFERS override/admin-reset  +15m ")

    @pytest.mark.parametrize(("first", "second", "got"), [(2, 1, "the end of the trace"), (1, 2, "+2m")])
    def test_shorter(self, first: int, second: int, got: str) -> None:
        """A trace that ends before the other differs at its end."""
        lines = HELD.trace
        (failure,) = compared(replace(HELD, trace=lines[:first]), replace(HELD, trace=lines[:second])).failures
        assert failure.got.startswith(got)

    def test_other_outcome(self) -> None:
        """The same trace with another outcome is a difference as well."""
        (*_, failure) = compared(HELD, replace(BROKE, trace=HELD.trace)).failures
        assert (failure.expected, failure.got) == ("held", "broke")

    def test_reports(self) -> None:
        """Reports count it as a failure of the run, not as an error of the harness."""
        result = compared(HELD, replace(HELD, trace=()))
        assert 'failures="1" errors="0"' in junit([result], seconds=1.0)
        assert json.loads(as_json([result], seconds=1.0))["results"][0]["outcome"] == "not-deterministic"
        assert exit_code([result, BROKE]) == ExitCode.NOT_DETERMINISTIC


@given(st.lists(st.text(max_size=3), max_size=6), st.lists(st.text(max_size=3), max_size=6))
def test_parting(first: list[str], second: list[str]) -> None:
    """All lines before the parting are equal, and those at it are not, or both traces have ended."""
    number, mine, other = parting(first, second)
    assert first[: number - 1] == second[: number - 1]
    assert (mine, other) == (None, None) if first == second else mine != other
