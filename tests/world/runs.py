"""Small scenarios as text, for tests of the world, the runner, the expectations and the invariants."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from textwrap import dedent
from typing import Any

from simulator.report.text import result_text
from simulator.scenario.file import Case, load_text
from simulator.scenario.result import Failure, RunResult
from simulator.scenario.runner import Run, RunOptions, run_case

ALICE = """
given:
  users:
    - {name: alice, password: "Winter-2016!"}
"""

BOTH = """
given:
  users:
    - {name: alice, password: "Winter-2016!"}
    - {name: bob, password: "Winter-2016!"}
"""

HEAD = """\
scenario: A test
why: it is one
rules: [cycle.two-minutes]
"""


def cases(text: str, path: Path | str = "scenarios/test.yaml", **options: Any) -> tuple[Case, ...]:
    """The cases of a scenario that is given without its head."""
    loaded = load_text(HEAD + dedent(text), Path(path), **options)
    assert not loaded.errors, "\n".join(error.render() for error in loaded.errors)
    return loaded.cases


def case(text: str, path: Path | str = "scenarios/test.yaml", **options: Any) -> Case:
    """The one case of a scenario."""
    (found,) = cases(text, path, **options)
    return found


def run(
    text: str, *, path: Path | str = "scenarios/test.yaml", profile: str | None = None, **options: Any
) -> RunResult:
    """Run a scenario of one case; ``options`` are those of RunOptions."""
    return run_case(case(text, path, profile=profile), RunOptions(**options))


def opened(text: str, **options: Any) -> Run:
    """A run that has not begun: its world can still be furnished with doubles."""
    return Run(case(text), RunOptions(**options))


def held(result: RunResult) -> RunResult:
    """The same result; fails with all that was told if it is another outcome than ``held``."""
    assert result.outcome == "held", result_text(result)
    assert (result.failures, result.harness_fault) == ((), None)
    return result


def broken(failures: tuple[Failure, ...] | list[Failure]) -> list[str]:
    """Ids of the invariants that failures tell of; of anything else, its kind."""
    found = [failure.rules[0] if failure.kind == "invariant" else failure.kind for failure in failures]
    return list(dict.fromkeys(found))


def seconds(count: float) -> timedelta:
    """A duration."""
    return timedelta(seconds=count)
