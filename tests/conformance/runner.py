"""Runs checks on both servers: those that take time together, so that the clock is moved seldom."""

from __future__ import annotations

import heapq
import inspect
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import count
from typing import Any

from conformance.catalogue import Check, Course
from conformance.judge import Failed
from conformance.lab import Lab
from conformance.servers import POLICY, Server
from ldap3.core.exceptions import LDAPException

from pwsync.errors import ReplicationError
from simulator.refusal import Refusal

MISHAPS = (
    LDAPException, ReplicationError, Refusal, LookupError, ValueError, TypeError, AttributeError, AssertionError,
    OSError, RuntimeError,
)  # fmt: skip
"""What a check may end in that finds something else than it prepares for: only that check failed then."""


class Runner:
    """Runs checks on two servers at once and keeps what was seen."""

    def __init__(self, servers: Sequence[Server], selected: Iterable[Check]) -> None:
        self._servers = servers
        self._selected = list(selected)
        self._seen: dict[str, list[Any]] = {}
        self._threads = ThreadPoolExecutor(len(servers))

    def observed(self, check: Check) -> list[Any]:
        """What each server showed, in their order; runs the check's whole group if it has not run yet."""
        if check.id not in self._seen:
            together = [check]
            if check.group is not None:
                together = [each for each in self._selected if each.group == check.group]
            seen = list(self._threads.map(lambda server: run(server, together), self._servers))
            for each in together:
                self._seen[each.id] = [one[each.id] for one in seen]
        return self._seen[check.id]

    def close(self) -> None:
        """Nothing more is to come."""
        self._threads.shutdown()


def run(server: Server, checks: Sequence[Check]) -> dict[str, Any]:
    """Run checks of one policy on one server, side by side: id -> observation or :class:`Failed`."""
    policy = checks[0].policy
    if policy:
        server.set_policy(policy)
    try:
        return _run(server, checks)
    finally:
        if policy:
            server.set_policy({name: POLICY[name] for name in policy})
        server.tidy()


def _run(server: Server, checks: Sequence[Check]) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    waiting: list[tuple[datetime, int, Check, Course]] = []
    order = count()

    def step(check: Check, course: Course) -> None:
        try:
            pause = next(course)
            heapq.heappush(waiting, (server.now + pause, next(order), check, course))
        except StopIteration as end:
            seen[check.id] = end.value
        except MISHAPS as problem:
            seen[check.id] = Failed(f"{type(problem).__name__}: {problem}")

    for check in checks:
        step(check, _course(check, Lab(server, check)))
        if not check.timed:
            server.tidy()
    while waiting:
        due, _, check, course = heapq.heappop(waiting)
        if due > server.now:
            server.set_clock(due)
        step(check, course)
    return seen


def _course(check: Check, lab: Lab) -> Course:
    if inspect.isgeneratorfunction(check.do):
        seen = yield from check.do(lab)
    else:
        seen = check.do(lab)
    return seen
