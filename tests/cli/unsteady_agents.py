"""Agents whose runs can't be repeated, one reason each: what ``--check-determinism`` has to notice."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Callable
from dataclasses import replace

from pwsync.agent import SyncAgent
from pwsync.event_log import Event
from pwsync.ports import AgentPorts

_runs = itertools.count()


def _saying(ports: AgentPorts, what: Callable[[], object]) -> SyncAgent:
    def log(event: Event) -> None:
        ports.event_log(replace(event, text=f"{event.text} {what()}"))

    return SyncAgent(replace(ports, event_log=log))


def by_order_of_a_set(ports: AgentPorts) -> SyncAgent:
    """Names users in the order of a set."""
    return _saying(ports, lambda: " ".join({"alice", "bob", "carol", "dave", "erin", "frank"}))


def by_process(ports: AgentPorts) -> SyncAgent:
    """Puts the number of its process into what it says."""
    return _saying(ports, os.getpid)


def by_earlier_runs(ports: AgentPorts) -> SyncAgent:
    """Counts the runs of its process."""
    number = next(_runs)
    return _saying(ports, lambda: number)


def dies_elsewhere(ports: AgentPorts) -> SyncAgent:
    """Ends its process unless that is the one that runs the tests."""
    if "pytest" not in sys.modules:
        os._exit(9)
    return SyncAgent(ports)


steady = SyncAgent
