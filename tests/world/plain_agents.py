"""Agents of other makes, for ``--engine``: one with nothing but the protocol, and some that raise."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NoReturn

from pwsync.agent import SyncAgent
from pwsync.ports import AgentPorts


class PlainAgent:
    """What :class:`pwsync.ports.Agent` asks for, and not an attribute more."""

    def __init__(self, ports: AgentPorts) -> None:
        self._agent = SyncAgent(ports)

    def install(self, *, express: bool = True, password_sync: bool = True, object_sync: bool = True) -> None:
        self._agent.install(express=express, password_sync=password_sync, object_sync=object_sync)

    def start(self) -> None:
        self._agent.start()

    def stop(self) -> None:
        self._agent.stop()

    def next_due(self) -> datetime | None:
        return self._agent.next_due()

    def run_due(self) -> None:
        self._agent.run_due()

    def pending(self) -> Sequence[str]:
        return self._agent.pending()

    def status(self, source_anchor: str) -> str:
        return self._agent.status(source_anchor)

    def enable_password_sync(self, domain: str | None = None) -> None:
        raise NotImplementedError("it is always on")

    def configure(self, **changes: Any) -> None:
        self._agent.configure(**changes)


def create(ports: AgentPorts) -> PlainAgent:
    """The plain agent."""
    return PlainAgent(ports)


def raise_at_once(ports: AgentPorts) -> NoReturn:
    """An engine that can not be built."""
    raise RuntimeError("no licence")


class AlwaysDue(SyncAgent):
    """Has something due now, whatever it has run."""

    def next_due(self) -> datetime | None:
        return self._ports.clock()


class DueInThePast(SyncAgent):
    """Has had something due five minutes ago, whatever it has run."""

    def next_due(self) -> datetime | None:
        return self._ports.clock() - timedelta(minutes=5)


class OneKindAtATime(SyncAgent):
    """Runs an object cycle and a password cycle that are due together in two turns."""

    _turn = 0

    def next_due(self) -> datetime | None:
        return self._ports.clock() if self._turn % 3 else super().next_due()

    def run_due(self) -> None:
        self._turn += 1
        if self._turn % 3 == 0:
            super().run_due()


class RaisesInCycle(SyncAgent):
    """Raises in the first cycle that has something to send."""

    def run_due(self) -> None:
        super().run_due()
        if self._ports.clock().minute == 2:
            raise KeyError("alice")
