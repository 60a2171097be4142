"""Agents whose runs can't be repeated, one reason each, and some that wait until somebody presses Ctrl-C."""

from __future__ import annotations

import itertools
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import replace

from pwsync.agent import SyncAgent
from pwsync.event_log import Event
from pwsync.ports import AgentPorts
from simulator.determinism import HASH_SEEDS
from simulator.stopwatch import real_seconds

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


def by_the_time(ports: AgentPorts) -> SyncAgent:
    """Puts the real time into what it says."""
    return _saying(ports, real_seconds)


def by_address(ports: AgentPorts) -> SyncAgent:
    """Puts into what it says where in memory its ports are."""
    return _saying(ports, lambda: id(ports))


def fails_every_other_time(ports: AgentPorts) -> SyncAgent:
    """Raises an exception in the first run of its process, the third, and so on."""
    if next(_runs) % 2 == 0:
        raise RuntimeError("one time in two")
    return SyncAgent(ports)


# --- agents that wait for ever, until Ctrl-C --------------------------------------------------------------------


def waits(ports: AgentPorts) -> SyncAgent:
    """Waits in every run."""
    threading.Event().wait()
    return SyncAgent(ports)


def waits_in_the_third_run(ports: AgentPorts) -> SyncAgent:
    """Waits in the third run of its process."""
    if next(_runs) == 2:
        print("waiting", flush=True)
        threading.Event().wait()
    return SyncAgent(ports)


def waits_in_the_second_process(ports: AgentPorts) -> SyncAgent:
    """Waits in a process that was started to run everything again, but for the scenario that begins there."""
    if os.environ.get("PYTHONHASHSEED") in HASH_SEEDS and next(_runs) == 1:
        print(f"waiting in {os.getpid()}", file=sys.stderr, flush=True)
        threading.Event().wait()
    return SyncAgent(ports)


steady = SyncAgent
