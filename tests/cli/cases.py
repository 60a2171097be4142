"""Scenario files and run functions that the tests of suites, workers and commands share.

The run functions stand for the runner where a test is about what happens around a run. They live in a module of their
own because a worker process has to import them.
"""

from __future__ import annotations

import hashlib
import os
import signal
import time
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

from cli.results import FAILURE, HELD

from simulator.scenario.result import RunResult

if TYPE_CHECKING:
    from simulator.scenario.file import Case
    from simulator.scenario.runner import RunOptions

HOLDS = """\
scenario: A sign-in
why: It works.
rules: [cycle.two-minutes]
given: {users: [{name: alice, password: "Winter-2016!"}, {name: bob, password: "Winter-2016!"}]}
timeline:
  - at: +1m
    do: {ad.change-password: {user: alice, password: "Spring-2017!"}}
  - at: +3m
    expect: {cloud.sign-in: {user: alice, password: "Spring-2017!", result: ok}}
"""
FAILS = HOLDS.replace("result: ok", "result: locked")
"""A change of a password, and a sign-in with it; and the same one with an expectation that fails."""

SCENARIO = """\
scenario: {title}
why: it is a test
rules: [{rules}]
tags: [{tags}]
timeline:
  - at: +2m
    expect:
      - agent.pending: {{is: none}}
{more}"""

ROWS = """\
examples:
  - {name: first, values: {}}
  - {name: second, values: {}}
"""


def write(
    folder: Path,
    name: str,
    *,
    title: str = "A quiet minute",
    rules: str = "cycle.two-minutes",
    tags: str = "quiet",
    more: str = "",
) -> Path:
    """Write a small scenario file."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(SCENARIO.format(title=title, rules=rules, tags=tags, more=more), encoding="utf-8")
    return path


def run_by_title(case: Case, options: RunOptions | None = None) -> RunResult:
    """Does what the title says: holds, breaks, raises, dies, waits for ever, or waits for a moment and holds."""
    title = case.scenario.scenario
    if title == "raises":
        raise KeyError("alice")
    if title == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    if title == "stopped":
        raise KeyboardInterrupt
    if title.startswith("waits"):
        time.sleep(600 if title == "waits for ever" else 0.05)
    outcome = "broke" if title == "breaks" else "held"
    return RunResult(
        id=case.id, path=str(case.path), title=title, profile=case.profile, seed=case.scenario.seed, tags=case.tags,
        rules=tuple(case.scenario.rules), outcome=outcome, failures=(FAILURE,) if outcome == "broke" else (),
        trace=(f"+0s {case.id}",), digest=hashlib.sha256(case.id.encode()).hexdigest(), seconds=0.01,
        repeat=f"pwsync run {case.path}", row=case.row,
    )  # fmt: skip


def run_and_tidy_at_exit(case: Case) -> RunResult:
    """A run whose process has something left to do when it ends."""
    weakref.finalize(case.scenario, time.sleep, 0.5)
    _kept.append(case.scenario)
    return HELD


def run_with_slow_finalizer(case: Case) -> RunResult:
    """The second run in a process never ends; until it is told to, it is in a finalizer, which no exception leaves."""
    if _kept:
        weakref.finalize(Kept(), time.sleep, 2)
        time.sleep(60)
    _kept.append(case)
    return HELD


class Kept:
    """Something that can be finalized."""


_kept: list[object] = []
