"""The agent's server: service, process, and operators who call while a cycle is under way."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from world.runs import ALICE, BOTH, held, run

from pwsync.errors import NotConfigurable, NotSupported, Refused
from simulator.host import REBOOT_TAKES, RESTART_AFTER, AgentHost
from simulator.network import AgentCrash
from simulator.refusal import Refusal

START = datetime(2017, 1, 13, 9, tzinfo=UTC)


class Robot:
    """An agent that does what the test says in its cycle, and remembers what it was asked."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def install(self, **options: bool) -> None:
        self.server.calls.append("install")
        if self.server.refuses:
            raise NotSupported("no")

    def start(self) -> None:
        self.server.calls.append("start")

    def stop(self) -> None:
        self.server.calls.append("stop")

    def next_due(self) -> datetime | None:
        return START

    def run_due(self) -> None:
        self.server.calls.append("cycle begins")
        self.server.cycle()
        self.server.calls.append("cycle ends")

    def run_object_cycle(self, kind: str) -> None:
        self.server.calls.append(kind)

    def select_users(self, users: list[str]) -> None:
        raise NotSupported("no subset")

    def diagnose(self, anchor: str | None = None) -> list[str]:
        raise NotImplementedError("not mine")


class Server:
    """A host with a robot on it."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.queued: list[tuple[timedelta, Callable[[], None]]] = []
        self.cycle: Callable[[], None] = lambda: None
        self.refuses = False
        self.built = 0
        self.host = AgentHost(
            self.build,  # type: ignore[arg-type]
            lambda delay, what: self.queued.append((delay, what)),
            lambda: self.calls.append("begun"),
            lambda: self.calls.append("died"),
        )

    def build(self) -> Robot:
        self.built += 1
        return Robot(self)

    def installed(self) -> AgentHost:
        self.host.install(express=True, password_sync=True, object_sync=True)
        self.calls.clear()
        return self.host

    def during_cycle(self, *calls: Callable[[], Any]) -> list[str]:
        """What happened in a cycle while these calls were made."""
        self.cycle = lambda: [call() for call in calls] and None
        self.host.run_due()
        return self.calls


@pytest.fixture
def server() -> Server:
    return Server()


class TestService:
    def test_install_starts(self, server: Server) -> None:
        """Installing starts the service, once."""
        server.host.install(express=True, password_sync=True, object_sync=True)
        assert server.calls == ["install", "start", "begun"]
        with pytest.raises(Refusal, match="already installed"):
            server.host.install(express=True, password_sync=True, object_sync=True)

    def test_refused_install_leaves_nothing(self, server: Server) -> None:
        """A refused installation can be tried again."""
        server.refuses = True
        with pytest.raises(NotSupported):
            server.host.install(express=True, password_sync=True, object_sync=True)
        assert (server.host.installed, server.host.running) == (False, False)
        server.refuses = False
        assert server.installed().running

    @pytest.mark.parametrize("call", ["check_running", "crash"])
    def test_nobody_there(self, server: Server, call: str) -> None:
        """Nothing that is not running can be crashed."""
        with pytest.raises(Refusal, match="not running"):
            getattr(server.host, call)()
        with pytest.raises(Refusal, match="no agent is installed"):
            server.host.operate(lambda agent: None)

    def test_one_process_per_start(self, server: Server) -> None:
        """Each start is a new process; starting what runs changes nothing."""
        host = server.installed()
        host.start()
        assert (server.calls, server.built) == ([], 1)
        host.restart()
        assert (server.calls, server.built) == (["stop", "start", "begun"], 2)

    def test_nothing_due_while_stopped(self, server: Server) -> None:
        """A stopped service has nothing due."""
        host = server.installed()
        assert host.next_due() == START
        host.stop()
        assert host.next_due() is None

    def test_crash(self, server: Server) -> None:
        """A process that dies is not asked to stop; the service manager starts it a minute later."""
        host = server.installed()
        host.crash()
        assert (server.calls, host.running) == (["died"], False)
        ((delay, come_back),) = server.queued
        assert delay == RESTART_AFTER == timedelta(minutes=1)
        come_back()
        assert server.calls == ["died", "start", "begun"]

    def test_started_by_hand_before(self, server: Server) -> None:
        """The service manager leaves a service alone that someone started, and even stopped, before its turn."""
        host = server.installed()
        host.crash(timedelta(seconds=5))
        host.start()
        host.stop()
        server.calls.clear()
        server.queued[0][1]()
        assert (server.queued[0][0], server.calls) == (timedelta(seconds=5), [])

    def test_reboot(self, server: Server) -> None:
        """A reboot stops the service and brings it back two minutes later."""
        host = server.installed()
        host.reboot()
        assert (server.calls, host.running) == (["stop"], False)
        ((delay, come_back),) = server.queued
        assert delay == REBOOT_TAKES == timedelta(minutes=2)
        come_back()
        assert host.running


class TestWhileACycleRuns:
    def test_stop_waits(self, server: Server) -> None:
        """Stop is told at once and takes effect when the cycle has ended."""
        host = server.installed()
        assert server.during_cycle(host.stop, lambda: server.calls.append(f"running {host.running}")) == [
            "cycle begins", "stop", "running True", "cycle ends",
        ]  # fmt: skip
        assert not host.running

    def test_restart_waits(self, server: Server) -> None:
        """A restart begins anew when the cycle has ended."""
        host = server.installed()
        assert server.during_cycle(host.restart) == ["cycle begins", "stop", "cycle ends", "start", "begun"]
        assert host.running

    def test_nothing_due(self, server: Server) -> None:
        """No second cycle is due while one runs."""
        host = server.installed()
        found: list[datetime | None] = []
        server.during_cycle(lambda: found.append(host.next_due()))
        assert found == [None]
        assert host.next_due() == START

    def test_crash_raises_out_of_the_call(self, server: Server) -> None:
        """A crash takes the agent out of the call that it waits for; what operators had ordered is gone."""
        host = server.installed()
        calls = server.during_cycle(
            lambda: host.run_object_cycle("delta"), lambda: host.crash(timedelta(seconds=7)), host.check_alive
        )
        assert calls == ["cycle begins", "died"]
        assert [delay for delay, _ in server.queued] == [timedelta(seconds=7)]
        assert (host.running, host.busy) == (False, False)

    def test_crash_without_a_call(self, server: Server) -> None:
        """A crash that no call sees takes place at the end of the cycle."""
        host = server.installed()
        assert server.during_cycle(host.crash) == ["cycle begins", "cycle ends", "died"]
        host.start()
        server.calls.clear()
        assert server.during_cycle(host.check_alive) == ["cycle begins", "cycle ends"]

    def test_fault_crash(self, server: Server) -> None:
        """A crash by a fault is started again after a minute."""
        server.installed()

        def die() -> None:
            raise AgentCrash

        assert server.during_cycle(die) == ["cycle begins", "died"]
        assert [delay for delay, _ in server.queued] == [RESTART_AFTER]

    def test_operators_wait(self, server: Server) -> None:
        """Operators' calls are made in their order once the cycle has ended."""
        host = server.installed()
        assert server.during_cycle(
            lambda: host.run_object_cycle("delta"),
            lambda: host.operate(lambda agent: agent.run_object_cycle("initial")),
        ) == ["cycle begins", "cycle ends", "delta", "initial"]

    def test_late_refusal_finds_its_caller(self, server: Server) -> None:
        """A call that had to wait and is then refused tells whoever made it."""
        host = server.installed()
        told: list[str] = []

        def order(name: str) -> None:
            host.refused = lambda refusal: told.append(f"{name}: {refusal.reason}")
            host.operate(lambda agent: agent.select_users([name]))

        server.during_cycle(lambda: order("one"), lambda: order("two"))
        assert told == ["one: not-supported", "two: not-supported"]

    def test_late_refusal_without_a_caller(self, server: Server) -> None:
        """Where nobody waits for the answer a refusal is raised."""
        host = server.installed()
        with pytest.raises(Refused):
            server.during_cycle(lambda: host.operate(lambda agent: agent.select_users([])))
        assert not host.busy

    def test_questions_are_answered_at_once(self, server: Server) -> None:
        """A call that changes nothing does not wait, and what an agent lacks it does not support."""
        host = server.installed()
        found: list[str] = []

        def ask() -> None:
            with pytest.raises(NotSupported, match="not mine"):
                host.ask(lambda agent: agent.diagnose() and None)
            found.append("answered")

        server.during_cycle(ask)
        assert found == ["answered"]


SLOW = (
    BOTH
    + """
faults:
  - {on: cloud.set-passwords, call: 1, delay: 3m}
timeline:
  - at: +1m
    do: {ad.change-password: {user: alice, password: "Spring-2017!"}}
"""
)


class TestInTheWorld:
    """The same, with the true agent: the first batch takes from +2m to +5m."""

    def test_seen_in_mid_cycle(self) -> None:
        """An expectation sees the state in mid-cycle; a start that falls due meanwhile is left out, not made up for."""
        held(run(SLOW + """
  - at: +3m
    do: {ad.change-password: {user: bob, password: "Spring-2017!"}}
    expect:
      - agent.pending: {is: [alice]}
      - cloud.sign-in: {user: alice, password: "Winter-2016!", result: ok}
      - event-log: {id: 650, count: 1}
      - event-log: {id: 651, count: 0}
  - at: +4m59s
    expect: {agent.cycles: {kind: password, count: 1}}
  - at: +5m
    expect:
      - agent.pending: {is: none}
      - agent.cycles: {kind: password, count: 1}
  - at: +6m
    expect:
      - agent.cycles: {kind: password, since: +5m, count: 1}
      - cloud.received: {is: [alice, bob]}
"""))  # fmt: skip

    def test_stop_waits_for_the_call(self) -> None:
        """A stop in mid-call lets the call end; then nothing more is due."""
        result = held(run(SLOW + """
  - at: +3m
    do: {agent.stop: {}}
  - at: +5m
    expect: {cloud.received: {is: [alice]}}
  - at: +20m
    expect: {agent.cycles: {count: 1}}
"""))  # fmt: skip
        assert "+5m        wire    cloud.set-passwords [alice] ok (fault 1)" in result.trace

    def test_crash_raises_out_of_the_call(self) -> None:
        """A crash in mid-call: the batch never arrives; the next process begins a grid of its own and sends it."""
        result = held(run(SLOW + """
  - at: +3m
    do: {agent.crash: {restart-after: 30s}}
  - at: +8m
    expect:
      - cloud.received: {since: +3m30s, is: [alice]}
      - cloud.writes: {by: sync, count: 1}
"""))  # fmt: skip
        assert "+3m        wire    cloud.set-passwords [alice] crashed: the agent died (fault 1)" in result.trace
        assert "+3m30s     agent   the service starts" in result.trace

    def test_orders_wait(self) -> None:
        """What operators order in mid-cycle happens when the cycle has ended."""
        held(run(SLOW + """
  - at: +3m
    do:
      - {agent.full-password-sync: {domain: contoso.example}}
      - {agent.run-object-cycle: {type: delta}}
  - at: +4m59s
    expect: {agent.cycles: {kind: object, count: 0}}
  - at: +5m
    expect: {agent.cycles: {kind: object, since: +5m, count: 1}}
  - at: +6m
    expect: {cloud.received: {since: +5m1s, is: [bob, alice]}}
"""))  # fmt: skip

    @pytest.mark.parametrize(
        ("action", "reason"),
        [
            ("agent.select-users: {users: [alice]}", NotSupported.reason),
            ("agent.set-password-interval: {every: 1m}", NotConfigurable.reason),
        ],
    )
    def test_refused_in_mid_cycle(self, action: str, reason: str) -> None:
        """What the product always refuses it refuses in mid-cycle too."""
        held(run(SLOW + f"  - at: +3m\n    do: {{{action}}}\n    expect: {{refused: {reason}}}\n"
                 "  - {at: +6m, expect: {cloud.received: {is: [alice]}}}"))  # fmt: skip

    def test_refused_after_the_cycle(self) -> None:
        """An order that had to wait and is then refused is a failure of its action, not of the harness."""
        result = run(SLOW + """
  - at: +1m30s
    do: {agent.disable-password-sync: {}}
  - at: +1m40s
    do: {agent.enable-password-sync: {}}
  - at: +3m
    do: {agent.disable-password-sync: {}}
  - at: +3m1s
    do: {agent.full-password-sync: {domain: contoso.example}}
  - at: +6m
    expect: {agent.alert: {is: none}}
""")  # fmt: skip
        (failure,) = result.failures
        assert (result.outcome, failure.kind, failure.at) == ("broke", "action", "+5m")
        assert failure.title == "agent.full-password-sync was refused"
        assert "switched off" in failure.got

    def test_object_cycle_refused_at_once(self) -> None:
        """An object cycle without directory synchronization is refused within its instant."""
        held(run(ALICE.replace("given:", "given:\n  sync: none") + """
timeline:
  - at: +1m
    do: {agent.install: {setup: custom, password-sync: false, object-sync: false}}
  - at: +2m
    do: {agent.run-object-cycle: {type: delta}}
    expect: {refused: requires-object-sync}
"""))  # fmt: skip

    def test_link_goes_down_in_mid_call(self) -> None:
        """A call under way breaks when its link goes down, at the end of its time; the next cycle makes up for it."""
        result = held(run(SLOW + """
  - at: +3m
    do: {network.set-link: {link: cloud, state: down}}
  - at: +5m30s
    do: {network.set-link: {link: cloud, state: up}}
    expect: {agent.status: {user: alice, is: Unknown}}
  - at: +6m
    expect: {cloud.received: {is: [alice]}}
"""))  # fmt: skip
        assert "+5m        wire    cloud.set-passwords [alice] failed: link is down (fault 1)" in result.trace
