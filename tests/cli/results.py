"""Results made by hand, that the tests of reports and of the command line share."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

from simulator.scenario.result import Failure, Position, RunResult

HELD = RunResult(
    id="override/admin-reset",
    path="scenarios/override/admin-reset.yaml",
    title="An administrator's reset holds until the next on-premises change",
    profile="2017",
    seed=1,
    tags=("override", "smoke"),
    rules=("override.admin-reset", "override.holds"),
    outcome="held",
    failures=(),
    trace=("+0s people starts", "+2m agent password cycle"),
    digest=hashlib.sha256(b"held").hexdigest(),
    seconds=0.0123,
    repeat="pwsync run scenarios/override/admin-reset.yaml --profile 2017 --seed 1",
)

FAILURE = Failure(
    kind="expectation",
    title="cloud.sign-in of alice",
    at="+2m",
    position=Position("scenarios/override/admin-reset.yaml", 4, 9, 13),
    expected="ok",
    got="wrong-password",
    because=("+1m people ad.change-password alice alice#2", "+2m agent password cycle: nothing to send"),
    rules=("delta.within-minutes",),
)

BROKE = replace(HELD, outcome="broke", failures=(FAILURE,), digest=hashlib.sha256(b"broke").hexdigest())

FAULTED = replace(
    HELD,
    id="faults/strange",
    outcome="harness-fault",
    harness_fault="Traceback (most recent call last):\n  File \"world.py\", line 1, in run\nKeyError: 'alice'\n",
)


def result(name: str, **changes: Any) -> RunResult:
    """A held result with another id, and a digest that follows from it."""
    return replace(HELD, **{"id": name, "digest": hashlib.sha256(name.encode()).hexdigest(), **changes})
