"""The agent as a process of its own: it sleeps until a cycle is due, runs it, and carries out operators' orders.

Everything happens in the thread that calls :meth:`Service.run`. Others only tell it: a cycle is due, an order has come,
stop. A stop in the middle of a cycle takes effect with the cycle's next commit, as the product's service ends its cycle
after the batch under way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from queue import SimpleQueue
from random import Random
from threading import Event as Flag
from threading import Thread
from typing import Any, Final

from pwsync.agent import SyncAgent
from pwsync.config_file import Configuration
from pwsync.errors import AgentError, NotSupported, Refused, RequiresObjectSync
from pwsync.event_file import SUFFIX, EventFile
from pwsync.event_log import Event
from pwsync.operator_port import OperatorPort, OrderFailed
from pwsync.remote import RemotePorts
from pwsync.settings import PASSWORD_INTERVAL
from pwsync.timekeeper import Timekeeper
from pwsync.windows_log import Record


@dataclass
class _Order:
    """An operator's order, and the answer once there is one."""

    said: Mapping[str, Any]
    done: Flag = field(default_factory=Flag)
    answer: Mapping[str, Any] | None = None
    failure: OrderFailed | None = None


_DUE, _STOP = "due", "stop"


class Service:
    """One run of the agent's service over a configuration.

    time: the clock, and who waits for it. random: for salts and challenges. told: hears of every event as it is
    written. Raises StoreError, ConfigError, OSError where it can't start; then nothing was changed.
    """

    def __init__(
        self,
        configuration: Configuration,
        time: Timekeeper,
        random: Random,
        *,
        told: Callable[[Record], None] = lambda record: None,
    ) -> None:
        self._configuration = configuration
        self._time = time
        self._told = told
        self._inbox: SimpleQueue[str | _Order] = SimpleQueue()
        self._stopping = self._running = False
        self._alarm = _Alarm(time, lambda: self._inbox.put(_DUE))
        self._clock = _CycleClock(time)
        self._cycles: dict[str, datetime | None] = {"object": None, "password": None}
        self._remote = RemotePorts(
            configuration,
            clock=self._clock,
            random=lambda name: random,
            event_log=self._log,
            run_history=self._note_cycle,
            commit=self._commit,
        )
        try:
            self._events = EventFile(events_of(configuration.store), computer(configuration))
        except BaseException:
            self._remote.close()
            raise
        try:
            self.agent = SyncAgent(self._remote.ports)
        except BaseException:
            self._remote.close()
            self._events.close()
            raise

    def run(self, secret: str, ready: Callable[[], None] = lambda: None) -> None:
        """Install the agent if its store is new, start it, and run until stopped. ready: called once it runs.

        secret: what an operator must know, see :class:`pwsync.operator_port.OperatorPort`.
        """
        operator = OperatorPort(self._configuration.store, secret, self._take)
        try:
            if not self.agent.installed:
                self.agent.install()
            self.agent.start()
            self._running = True
            ready()
            self._alarm.start()
            self._serve()
            self._stop_agent()
        finally:
            operator.close()
            self._alarm.stop()
            self._refuse_rest()

    def stop(self) -> None:
        """End :meth:`run`. May be called from a signal's handler and from other threads."""
        self._stopping = True
        self._inbox.put(_STOP)

    def close(self) -> None:
        """Release store, log and connections."""
        self.agent.close()
        self._remote.close()
        self._events.close()

    # --- the loop

    def _serve(self) -> None:
        while not self._stopping:
            self._time.refresh()
            due, now = self.agent.next_due(), self._time()
            if due is not None and due <= now:
                self._run_cycles(due, now)
            self._alarm.set(self.agent.next_due())
            what = self._inbox.get()
            if isinstance(what, _Order):
                self._carry_out(what)

    def _run_cycles(self, due: datetime, now: datetime) -> None:
        """Run what is due. A process is always a little late, and cycles begin on their grid or not at all: they are
        told the instant that they are for. What was missed altogether, because time leapt, is run once."""
        self._clock.hold(due + (now - due) // PASSWORD_INTERVAL * PASSWORD_INTERVAL)
        try:
            last = self._cycles["object"]
            missed = self._configuration.settings.object_interval + PASSWORD_INTERVAL
            if last is not None and now - last >= missed:
                with suppress(RequiresObjectSync):
                    self.agent.run_object_cycle("delta")
            self.agent.run_due()
        finally:
            self._clock.release()

    def _commit(self, perform: Callable[[], None]) -> None:
        perform()
        if self._stopping:
            self._stop_agent()

    def _stop_agent(self) -> None:
        if self._running:
            self._running = False
            self.agent.stop()

    def _log(self, event: Event) -> None:
        self._told(self._events.write(event))

    def _note_cycle(self, kind: str) -> None:
        self._cycles[kind] = self._clock()
        if kind == "password":
            self._clock.release()

    # --- orders

    def _take(self, said: Mapping[str, Any]) -> Mapping[str, Any]:
        """Called by the operator's port, in its thread: hand the order over, and wait for its answer."""
        order = _Order(said)
        self._inbox.put(order)
        order.done.wait()
        if order.failure is not None:
            raise order.failure
        return order.answer or {}

    def _carry_out(self, order: _Order) -> None:
        try:
            order.answer = self._perform(order.said)
        except Refused as refusal:
            order.failure = OrderFailed(refusal.reason, str(refusal))
        except (AgentError, ValueError) as error:
            order.failure = OrderFailed("error", str(error))
        finally:
            order.done.set()

    def _perform(self, said: Mapping[str, Any]) -> Mapping[str, Any]:
        order = said.get("order")
        self._time.refresh()
        if order == "status":
            due = self.agent.next_due()
            times = {"next": due, "now": self._time(), **self._cycles}
            return {name: None if when is None else when.isoformat() for name, when in times.items()}
        if order == "stop":
            self.stop()
            return {}
        return carry_out(self.agent, said)

    def _refuse_rest(self) -> None:
        while not self._inbox.empty():
            what = self._inbox.get()
            if isinstance(what, _Order):
                what.failure = OrderFailed("error", "The agent is stopping.")
                what.done.set()


class _CycleClock:
    """The agent's clock: the keeper's, but for the beginning of a cycle, which is held at the instant it was due."""

    def __init__(self, time: Timekeeper) -> None:
        self._time = time
        self._held: datetime | None = None

    def __call__(self) -> datetime:
        return self._held or self._time()

    def hold(self, when: datetime) -> None:
        self._held = when

    def release(self) -> None:
        self._held = None


class _Alarm:
    """A thread that waits for the time of the next cycle."""

    def __init__(self, time: Timekeeper, ring: Callable[[], None]) -> None:
        self._time = time
        self._ring = ring
        self._due: datetime | None = None
        self._set = Flag()
        self._stopping = False
        self._thread = Thread(target=self._run, name="alarm", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def set(self, due: datetime | None) -> None:
        """Ring at this time next; None: not at all."""
        self._due = due
        self._set.set()

    def stop(self) -> None:
        """Ring no more. The thread ends when its last question is answered; nobody waits for that."""
        self._stopping = True
        self._set.set()
        self._time.stop()

    def _run(self) -> None:
        while not self._stopping:
            self._set.wait()
            due = self._due
            if due is None or self._stopping:
                self._set.clear()
                continue
            if self._time.wait(due) and not self._stopping:
                self._set.clear()
                if self._due == due:
                    self._ring()
                else:
                    self._set.set()


def carry_out(agent: SyncAgent, said: Mapping[str, Any]) -> Mapping[str, Any]:
    """An order that an agent takes whether its service runs or not, and its answer. Raises AgentError.

    ``order`` names it; ``domain``, ``anchor`` and ``kind`` come with those that need them.
    """
    order, domain = said.get("order"), said.get("domain")
    if order == "diagnose":
        return diagnosed(agent, said.get("anchor"))
    if order == "sync-user":
        agent.sync_user(str(said.get("anchor")))
    elif order == "run-object-cycle":
        agent.run_object_cycle(str(said.get("kind", "delta")))
    elif order in _OF_DOMAINS and isinstance(domain, str):
        _OF_DOMAINS[order](agent, domain)
    else:
        raise NotSupported(f"There is no order {order!r}.")
    return {}


_OF_DOMAINS: Final[Mapping[Any, Callable[[SyncAgent, str], None]]] = {
    "full-sync": SyncAgent.full_password_sync,
    "enable": SyncAgent.enable_password_sync,
    "disable": SyncAgent.disable_password_sync,
}


def diagnosed(agent: SyncAgent, anchor: str | None) -> Mapping[str, Any]:
    """A diagnosis for an operator: as JSON, and its text. A pause that the tenant asked for is heeded."""
    diagnosis = agent.diagnose(anchor)
    agent.heed(diagnosis)
    return {**diagnosis.as_json(), "text": diagnosis.text()}


def computer(configuration: Configuration) -> str:
    """The full name of the agent's server, as it stands in its log."""
    return f"{configuration.settings.machine}.{configuration.settings.connectors[0].domain}"


def events_of(store: Path) -> Path:
    """The agent's log, beside its store."""
    return store.with_name(store.name + SUFFIX)
