"""The server that the agent is installed on: its service starts, stops, dies and is started again.

One :class:`pwsync.ports.Agent` object is one process: stopping or crashing drops the object and what it had in memory;
the next start builds a new one on the same store.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from pwsync.errors import NotSupported, Refused
from pwsync.ports import Agent
from simulator.network import AgentCrash
from simulator.refusal import Refusal

RESTART_AFTER = timedelta(minutes=1)
"""How long the service manager takes to start a service again that died."""

REBOOT_TAKES = timedelta(minutes=2)
"""How long the server takes to restart."""


TURNS_MAX = 10
"""So often in a row an agent may still have something due after its turn, though no time has passed."""


class StandsStill(Exception):
    """What the agent says is due next never comes to be over.

    before, after: what it said before its turn and after it.
    """

    def __init__(self, before: datetime, after: datetime) -> None:
        super().__init__(f"next_due() said {before}, and after run_due() {after}, {TURNS_MAX} times in a row")
        self.before = before
        self.after = after


def unheard(refusal: Refusal | Refused) -> None:
    """Nobody waits for the answer to an operator's call: pass the refusal on."""
    raise refusal


class AgentHost:
    """Runs an agent as a service.

    build: makes a new process. later: (delay, what) queues something. begun: told of each start of the service, died of
    each death, booted of each start of the server; cycle, before each cycle that is run.
    clock: the time, if an agent that always has something due is to be told from one that works.
    refused: set by whoever makes an operator's call, and told if that call has to wait and is then refused.
    watchers: each is told True when the agent gets its turn to run cycles, and False when that is over.
    """

    def __init__(
        self,
        build: Callable[[], Agent],
        later: Callable[[timedelta, Callable[[], None]], None],
        begun: Callable[[], None],
        died: Callable[[], None],
        booted: Callable[[], None] = lambda: None,
        cycle: Callable[[], None] = lambda: None,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        self._build = build
        self._later = later
        self._begun = begun
        self._died = died
        self._booted = booted
        self._cycle = cycle
        self._clock = clock
        self._turns = 0
        self._agent: Agent | None = None
        self._incarnation = 0
        self.installed = False
        self.running = False
        self.busy = False
        self.refused: Callable[[Refusal | Refused], None] = unheard
        self._after_cycle: list[Callable[[], None]] = []
        self._dying: timedelta | None = None
        self.watchers: list[Callable[[bool], None]] = []

    @property
    def agent(self) -> Agent:
        """The agent's process; a Refusal if there is none to talk to."""
        if not self.installed:
            raise Refusal("not-supported", "no agent is installed")
        if self._agent is None:
            self._agent = self._build()
        return self._agent

    def install(self, *, express: bool, password_sync: bool, object_sync: bool) -> None:
        """Install the agent and start its service."""
        if self.installed:
            raise Refusal("not-supported", "the agent is already installed")
        self.installed = True
        try:
            self.agent.install(express=express, password_sync=password_sync, object_sync=object_sync)
        except AgentCrash:
            self._die(RESTART_AFTER)
            return
        except BaseException:
            self.installed = False
            self._agent = None
            raise
        self.start()

    def start(self) -> None:
        """Start the service if it is not running; with a cycle still to be ended, after it."""
        if self.busy:
            self._after_cycle.append(self.start)
            return
        if self.running:
            return
        self.agent.start()
        self.running = True
        self._incarnation += 1
        self._begun()

    def stop(self) -> None:
        """Stop the service; a running cycle ends first, with the call that it waits for."""
        if self.running and self._agent is not None:
            self._agent.stop()
        self._incarnation += 1  # a service that an operator stopped is not started again by the service manager
        if self.busy:
            self._after_cycle.append(self._drop)
        else:
            self._drop()

    def restart(self) -> None:
        """Stop, then start."""
        self.stop()
        self.start()

    def crash(self, restart_after: timedelta = RESTART_AFTER) -> None:
        """The process dies where it stands; the service manager starts it again."""
        self.check_running()
        if self.busy:
            self._dying = restart_after
            return
        self._die(restart_after)

    def reboot(self) -> None:
        """The server restarts: the service stops now and is back when the server is."""
        self.stop()
        self._later(REBOOT_TAKES, self._come_up)

    def check_running(self) -> None:
        """Refusal if the service is not running."""
        if not self.running:
            raise Refusal("not-supported", "the agent is not running")

    @property
    def is_dying(self) -> bool:
        """Whether the process was killed in the middle of a call that it still waits for."""
        return self._dying is not None

    def check_alive(self) -> None:
        """Raise out of a call of the agent if the process was killed while it waited."""
        if self._dying is not None:
            raise AgentCrash

    def next_due(self) -> datetime | None:
        """When the agent's next cycle is due."""
        if not self.running or self.busy or self._agent is None:
            return None
        return self._agent.next_due()

    def run_due(self) -> None:
        """Let the agent run what is due. Raises StandsStill if the same is due after each of many turns."""
        began, before, agent = self._now(), self.next_due(), self._agent
        self._run(lambda agent: agent.run_due())
        if began is None or before is None or self._now() != began or self._agent is not agent:
            self._turns = 0
            return
        after = self.next_due()
        self._turns = self._turns + 1 if after is not None and after <= began else 0
        if after is not None and self._turns >= TURNS_MAX:
            raise StandsStill(before, after)

    def _now(self) -> datetime | None:
        return None if self._clock is None else self._clock()

    def run_object_cycle(self, kind: str) -> None:
        """An operator's object cycle, beside the schedule; with a cycle running, after it."""
        self.check_running()
        if self.busy:
            self._after_cycle.append(self.answered_later(lambda: self.run_object_cycle(kind)))
            return
        self._run(lambda agent: agent.run_object_cycle(kind))

    def operate(self, what: Callable[[Agent], None]) -> None:
        """An operator's call to the agent; with a cycle running, after it."""
        if self.busy:
            self._after_cycle.append(self.answered_later(lambda: self.ask(what)))
            return
        self.ask(what)

    def ask(self, what: Callable[[Agent], None]) -> None:
        """An operator's call that is answered at once, with a cycle running too: one that changes nothing."""
        try:
            what(self.agent)
        except AgentCrash:
            self._die(RESTART_AFTER)
        except NotImplementedError as error:
            raise NotSupported(str(error)) from error

    def answered_later(self, call: Callable[[], None]) -> Callable[[], None]:
        """An operator's call, to be made later: a refusal goes to whoever is :attr:`refused` now."""
        refused = self.refused

        def make() -> None:
            try:
                call()
            except (Refusal, Refused) as refusal:
                refused(refusal)

        return make

    def _run(self, what: Callable[[Agent], None]) -> None:
        self._cycle()
        self._turn(busy=True)
        died = False
        try:
            what(self.agent)
        except AgentCrash:
            died = True
        finally:
            self._turn(busy=False)
        if died or self._dying is not None:
            pause, self._dying = self._dying, None
            self._after_cycle.clear()
            self._die(RESTART_AFTER if pause is None else pause)
            return
        queued, self._after_cycle = self._after_cycle, []
        for call in queued:
            call()

    def _turn(self, *, busy: bool) -> None:
        self.busy = busy
        for watch in self.watchers:
            watch(busy)

    def _die(self, restart_after: timedelta) -> None:
        self._died()
        self._drop()
        incarnation = self._incarnation

        def come_back() -> None:
            if not self.running and self._incarnation == incarnation:
                self.start()

        self._later(restart_after, come_back)

    def _come_up(self) -> None:
        self._booted()
        if self.installed:
            self.start()

    def _drop(self) -> None:
        self.running = False
        self._agent = None
