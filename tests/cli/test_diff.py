"""``pwsync diff``: where two traces or two runs part."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulator.cli.app import run_app
from simulator.report.parting import all_differences, parting_text, trace_lines
from simulator.scenario.result import ExitCode

FOLDER = Path(__file__).parents[2] / "scenarios" / "order"
SCENARIO = FOLDER / "oldest-change-goes-first.yaml"
GOLDEN = FOLDER / "oldest-change-goes-first.2017.trace"


def write(path: Path, *lines: str) -> str:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return str(path)


class TestTraces:
    """Two files."""

    def test_part(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """The first place where they part is shown, with what both have before and how each goes on."""
        lines = [f"+{n}m        agent   line {n}" for n in range(9)]
        a = write(tmp_path / "a.trace", *lines)
        b = write(tmp_path / "b.trace", *lines[:7], "+7m        agent   other", *lines[8:])
        assert run_app(["diff", a, b, "--context", "2"]) == ExitCode.BROKE
        assert capsys.readouterr().out == (
            f"{a} and {b} part at line 8\n"
            "    +5m        agent   line 5\n    +6m        agent   line 6\n"
            f"  {a} goes on\n  - +7m        agent   line 7\n  - +8m        agent   line 8\n"
            f"  {b} goes on\n  + +7m        agent   other\n  + +8m        agent   line 8\n"
        )

    def test_all(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """With --all every difference is shown."""
        lines = [f"+{n}m agent line" for n in range(30)]
        a = write(tmp_path / "a.trace", *lines)
        b = write(tmp_path / "b.trace", "+0m agent x", *lines[1:20], *lines[21:])
        assert run_app(["diff", a, b, "--all", "--context", "0"]) == ExitCode.BROKE
        told = capsys.readouterr().out
        changed = [line for line in told.splitlines() if line.startswith(("-+", "++")) and not line.startswith("+++")]
        assert changed == ["-+0m agent line", "++0m agent x", "-+20m agent line"]

    def test_one_ends(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Where one of them ends that is said."""
        a, b = write(tmp_path / "a.trace", "+0s a", "+1s b"), write(tmp_path / "b.trace", "+0s a")
        assert run_app(["diff", a, b]) == ExitCode.BROKE
        assert "  + (it ends here, after 1 lines)" in capsys.readouterr().out

    def test_empty(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Two empty traces are the same."""
        a, b = write(tmp_path / "a.trace"), write(tmp_path / "b.trace")
        assert run_app(["diff", a, b]) == ExitCode.HELD
        assert capsys.readouterr().out == "the same, 0 lines\n"

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (b'{"results": []}\n', "JSON tells results"),
            (b"scenario: A\n", "end its name in .yaml"),
            (b"\0" * 3000, "1 | "),
            (b"\xff\xfe\x00", "it is not UTF-8 at byte 0"),
            (b"+0s a\nno offset\n", "error: this is no line of a trace"),
            (b"trace of a\n  +0s a\n\ntrace of b\n  +0s a\n", "there are 2 traces in it, and one is compared"),
        ],
    )
    def test_no_trace(self, content: bytes, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """What is no trace is refused, with the reason."""
        path = tmp_path / "x.trace"
        path.write_bytes(content)
        assert run_app(["diff", str(path), str(GOLDEN)]) == ExitCode.BAD_INPUT
        assert reason in capsys.readouterr().err

    @pytest.mark.parametrize("name", ["missing.trace", "."])
    def test_unreadable(self, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """What can't be read is refused."""
        assert run_app(["diff", str(tmp_path / name), str(GOLDEN)]) == ExitCode.BAD_INPUT
        assert "can't read" in capsys.readouterr().err


class TestRuns:
    """Scenarios that are run for it."""

    def test_golden(self, capsys: pytest.CaptureFixture[str]) -> None:
        """A run leaves its golden trace."""
        assert run_app(["diff", str(GOLDEN), str(SCENARIO), "--profile", "2017"]) == ExitCode.HELD
        assert capsys.readouterr().out.startswith("the same, ")

    def test_profiles(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Two profiles of one scenario part."""
        arguments = [str(SCENARIO), str(SCENARIO), "--profile-a", "2017", "--profile-b", "current"]
        assert run_app(["diff", *arguments]) == ExitCode.BROKE
        assert f"A ({SCENARIO}[2017]) and B ({SCENARIO}[current]) part at line" in capsys.readouterr().out

    def test_engines(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Two agents part where the second one does something else."""
        arguments = [str(SCENARIO), str(SCENARIO), "--profile", "2017", "--to", "+4m"]
        assert run_app(["diff", *arguments, "--engine-b", "cli.unsteady_agents:by_earlier_runs"]) == ExitCode.BROKE
        assert run_app(["diff", *arguments, "--engine-b", "cli.unsteady_agents:steady"]) == ExitCode.HELD
        capsys.readouterr()

    def test_several(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Of several runs one has to be chosen."""
        assert run_app(["diff", str(SCENARIO), str(GOLDEN)]) == ExitCode.BAD_INPUT
        assert "has 2 runs to take" in capsys.readouterr().err

    def test_agent_that_raises(self, capsys: pytest.CaptureFixture[str]) -> None:
        """That an agent ended its run before its time is said."""
        arguments = [str(SCENARIO), str(SCENARIO), "--profile", "2017", "--engine-b", "cli.no_agents:raises"]
        assert run_app(["diff", *arguments]) == ExitCode.BROKE
        assert "ended early, at " in capsys.readouterr().err

    def test_nothing_runs_before_both_are_read(self, capsys: pytest.CaptureFixture[str]) -> None:
        """What is bad about the second one is said before the first one is run."""
        assert run_app(["diff", str(SCENARIO), "missing.trace", "--profile", "2017"]) == ExitCode.BAD_INPUT
        assert "running" not in capsys.readouterr().err

    def test_agent_of_a_trace(self, capsys: pytest.CaptureFixture[str]) -> None:
        """A trace has no agent."""
        arguments = [str(GOLDEN), str(SCENARIO), "--profile", "2017", "--engine-a", "cli.unsteady_agents:steady"]
        assert run_app(["diff", *arguments]) == ExitCode.BAD_INPUT
        assert "is a trace and has no agent" in capsys.readouterr().err


class TestTexts:
    """The pure parts."""

    def test_printed_trace(self) -> None:
        """What run --trace printed is taken, without what stands around it."""
        text = "trace of a/b\n  +0s        people  x\n  +2m        agent   y\n\n1 scenario: 1 held\ndigest 00\n"
        assert trace_lines(text) == ["+0s        people  x", "+2m        agent   y"]

    def test_equal(self) -> None:
        """Of equal traces there is nothing to say."""
        assert parting_text(["+0s"], ["+0s"], ("a", "b"), 3) == ""
        assert all_differences(["+0s"], ["+0s"], ("a", "b"), 3) == ""
