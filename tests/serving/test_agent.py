"""The agent as a process of its own: it runs, stops, is asked, and goes on; over real LDAPS, HTTPS and a real file."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from random import Random
from threading import Event, Thread
from typing import Any
from xml.etree import ElementTree

import ldap3
import pytest
from serving.conftest import WORLD

from pwsync.config_file import load
from pwsync.errors import StoreError
from pwsync.operator_port import NotRunning, OrderFailed, ask
from pwsync.service import Service
from pwsync.settings import BUILD_CURRENT
from simulator.active_directory.ldap import connect
from simulator.azure_ad.wire import Answer
from simulator.cli.agent_reach import timekeeper
from simulator.cli.app import run_app

pytestmark = pytest.mark.filterwarnings("ignore:ssl.match_hostname:DeprecationWarning")

PATIENCE_SECONDS = 60.0
MINUTES = timedelta(minutes=1)


def until(what: Callable[[], Any]) -> Any:
    """Wait until something is so; what it then is."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := what()):
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.02)
    return found


@contextmanager
def agent_of(served: Any, made: Callable[[Service], None] = lambda service: None) -> Iterator[Service]:
    """The agent's service, running in a thread of this process. made: is given it before it runs."""
    configuration = load(served.config)
    keeper: Any = timekeeper(configuration)
    service, ready, failed = Service(configuration, keeper, Random(1)), Event(), list[BaseException]()

    def run() -> None:
        try:
            service.run("secret", ready.set)
        except BaseException as error:
            failed.append(error)
            ready.set()

    made(service)
    thread = Thread(target=run)
    thread.start()
    try:
        assert ready.wait(PATIENCE_SECONDS)
        yield service
    finally:
        service.stop()
        served.served.time.advance(MINUTES)  # whoever waits for a later time is let go
        thread.join(PATIENCE_SECONDS)
        service.close()
        served.served.time.advance(timedelta(days=1))
        until(lambda: not service._alarm._thread.is_alive())
        keeper.close()
    assert failed == []


def held(served: Any, user: str) -> str | None:
    """The label of the password that the tenant holds for a user."""
    found = served.get(f"/users/{user}")["tenant"]
    return None if found is None else found["password"]


class Commands:
    """``pwsync agent`` with a served world's configuration."""

    def __init__(self, served: Any, capsys: pytest.CaptureFixture[str]) -> None:
        self._served, self._capsys = served, capsys

    def __call__(self, *words: str, code: int = 0) -> str:
        assert run_app(["agent", *words, "--config", str(self._served.config)]) == code
        told = self._capsys.readouterr()
        return told.out if code != 2 else told.err


@pytest.fixture
def agent(served: Any, capsys: pytest.CaptureFixture[str]) -> Commands:
    """The commands of the served world's administrator."""
    return Commands(served, capsys)


class TestRunning:
    def test_everything_arrives(self, served: Any) -> None:
        """First everybody, then what changes; cycles come when the world's time has come."""
        with agent_of(served):
            until(lambda: held(served, "alice") == "alice#1")
            assert (held(served, "bob"), served.get("/users/carol")["tenant"]["enabled"]) == ("bob#1", False)
            served.post("/actions", {"ad.reset-password": {"user": "alice", "password": "Spring-2017!"}})
            assert held(served, "alice") == "alice#1"
            served.post("/time", {"advance": "2m"})
            until(lambda: held(served, "alice") == "alice#2")

    def test_goes_on(self, served: Any) -> None:
        """Another process goes on where the one before was stopped, and sends nothing twice."""
        with agent_of(served):
            until(lambda: held(served, "bob") == "bob#1")
            until(lambda: ask(served.store, "status")["password"])
        writes = len(served.world.writes())
        served.post("/actions", {"ad.reset-password": {"user": "bob", "password": "Spring-2017!"}})
        with agent_of(served):
            until(lambda: held(served, "bob") == "bob#2")
        assert len(served.world.writes()) == writes + 1

    def test_cleared_attribute(self, served: Any) -> None:
        """An attribute that was cleared comes over the socket as none, and the cycle goes on."""
        with agent_of(served):
            until(lambda: held(served, "alice") == "alice#1")
            domain = served.world.domain("contoso.example")
            with served.served.time:
                administrator = connect(domain.controller(), "CONTOSO\\Administrator", domain.administrator_password)
                administrator.bind()
                dn = domain.find("alice").dn
                assert administrator.modify(dn, {"displayName": [(ldap3.MODIFY_REPLACE, [])]})
            served.post("/actions", {"ad.delete-user": {"user": "bob"}})
            served.post("/time", {"advance": "30m"})
            until(lambda: served.get("/users/bob")["tenant"] is None)

    def test_leap(self, served: Any) -> None:
        """Where time leaps over many cycles, what was missed is run once: objects first, then passwords."""
        with agent_of(served):
            until(lambda: held(served, "alice") == "alice#1")
            served.post("/actions", {"ad.create-user": {"user": "zoe", "password": "Winter-2017!"}})
            served.post("/time", {"advance": "1d7m11s"})
            until(lambda: held(served, "zoe") == "zoe#1")

    def test_running_time(self, served_with: Callable[..., Any]) -> None:
        """In a world whose time runs, cycles come by themselves."""
        served = served_with(pace=600.0)
        with agent_of(served):
            until(lambda: held(served, "alice") == "alice#1")
            served.post("/actions", {"ad.reset-password": {"user": "alice", "password": "Spring-2017!"}})
            until(lambda: held(served, "alice") == "alice#2")
            served.post("/time", {"pace": 0})

    def test_stopped_in_a_cycle(self, served_with: Callable[..., Any]) -> None:
        """A stop in the middle of a cycle takes effect after the batch under way; the rest waits for the next start."""
        served = served_with(WORLD.replace("  sync: installed", "  sync: installed\n  agent: {batch-size: 1}"))
        application, services = served.served.https.application, list[Service]()

        def stopping(environ: Any) -> Any:
            if environ.get("HTTP_X_MS_AADMSODS_APIACTION") == "ProvisionCredentials" and services:
                services.pop().stop()
            return application(environ)

        served.served.https.application = stopping
        with agent_of(served, services.append):
            until(lambda: not running(served))
        assert len(served.world.writes()) == 1
        with agent_of(served):
            until(lambda: {held(served, "alice"), held(served, "bob")} == {"alice#1", "bob#1"})
        assert len(served.world.writes()) == 2

    def test_tenant_that_fails(self, served: Any) -> None:
        """Answers that get lost and calls that are refused are failures like those of a run, and are made good."""
        with agent_of(served):
            until(lambda: held(served, "alice") == "alice#1")
            served.post("/faults", {"on": "cloud.set-passwords", "times": 1, "lose": "response"})
            served.post("/faults", {"on": "directory.read-passwords", "times": 1, "fail": 8453})
            served.post("/actions", {"ad.reset-password": {"user": "alice", "password": "Spring-2017!"}})
            for _ in range(3):
                before = ask(served.store, "status")["password"]
                served.post("/time", {"advance": "2m"})
                until(lambda before=before: ask(served.store, "status")["password"] != before)
            until(lambda: held(served, "alice") == "alice#2")
        assert {"611", "652"} <= {str(each["id"]) for each in lines(served)}


def lines(served: Any) -> list[Any]:
    """The agent's log."""
    path = served.store.with_name(served.store.name + ".events")
    return [json.loads(line) for line in path.read_text().splitlines()]


class TestProcess:
    def start(self, served: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "simulator.cli", "agent", "run", "--config", str(served.config)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        )  # fmt: skip

    def test_signals(self, served: Any) -> None:
        """A process stops cleanly by SIGTERM and Ctrl-C, a second one is refused, and after SIGKILL one goes on."""
        process = self.start(served)
        try:
            until(lambda: held(served, "alice") == "alice#1")
            second = self.start(served)
            told = second.communicate(timeout=PATIENCE_SECONDS)[0]
            assert second.returncode == 2
            assert "in use by another agent. Stop that one first" in told
            with pytest.raises(StoreError, match="in use by another agent"):
                Service(load(served.config), timekeeper(load(served.config)), Random(1))
            process.send_signal(signal.SIGTERM)
            told = process.communicate(timeout=PATIENCE_SECONDS)[0]
            assert (process.returncode, told.splitlines()[-1]) == (0, "the agent has stopped")
            assert "  650  information  Provision credentials batch start. Count: 2" in told
            with pytest.raises(NotRunning):
                ask(served.store, "status")
            for how, code in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)):
                process = self.start(served)
                until(lambda: running(served))
                process.send_signal(how)
                process.communicate(timeout=PATIENCE_SECONDS)
                assert process.returncode == code
        finally:
            process.kill()
            process.communicate()


def running(served: Any) -> bool:
    """Whether an agent answers its operator; one that is about to end does so by a refusal."""
    try:
        return bool(ask(served.store, "status"))
    except NotRunning:
        return False
    except OrderFailed:
        return True


class TestOperator:
    def test_while_it_runs(self, served: Any, agent: Commands) -> None:
        """Status, diagnosis, log of a user and full synchronization, asked of a running agent."""
        with agent_of(served):
            until(lambda: ask(served.store, "status")["password"])
            told = agent("status")
            assert told.startswith("the agent runs; last password cycle 2017-01-13T09:00:00+00:00, next cycle 2017-01-")
            assert "contoso.example" in told
            assert "2 Success" in told
            assert json.loads(agent("status", "--json"))["statuses"]["Success"] == 2
            assert "Found: ok" in agent("diagnose")
            assert json.loads(agent("diagnose", "ALICE", "--json"))["finds"] == ["ok"]
            assert "Found: not-in-scope" in agent("diagnose", "carol", code=1)
            assert "Success" in agent("object-log", "alice@contoso.example")
            writes = len(served.world.writes())
            assert "sends everything in scope" in agent("full-sync")
            served.post("/time", {"advance": "2m"})
            until(lambda: len(served.world.writes()) == writes + 2)
            with pytest.raises(OrderFailed, match="no order") as caught:
                ask(served.store, "dance")
            assert caught.value.reason == "not-supported"
            assert "stopping" in agent("stop")

    def test_orders_of_a_running_agent(self, served: Any, agent: Commands) -> None:
        """Off and on again by domain, an object cycle beside the schedule, one user again in a build that can."""
        with agent_of(served) as service:
            until(lambda: ask(served.store, "status")["password"])
            assert agent("disable") == "contoso.example: password synchronization is off\n"
            assert "off" in agent("status").splitlines()[3]
            assert "is switched off for contoso.example" in agent("full-sync", code=2)
            assert "synchronization is on" in agent("enable", "contoso.example")
            assert 'there is no connector for "contoso.exampel"' in agent("enable", "contoso.exampel", code=2)
            assert "the initial object cycle has run" in agent("object-cycle", "initial")
            assert 'there is no object cycle "full"' in agent("object-cycle", "full", code=2)
            assert "one user alone" in agent("sync-user", "alice", code=2)
            service.agent._ports.settings.build = BUILD_CURRENT
            assert "sends the password again" in agent("sync-user", "alice")
            assert "The agent knows nobody" in agent("sync-user", "nobody", code=2)

    def test_pause_is_shown_and_kept(self, served: Any, agent: Commands) -> None:
        """A pause that the tenant asks a diagnosis for is part of the status, and holds the agent back."""
        with agent_of(served):
            until(lambda: ask(served.store, "status")["password"])
            application = served.served.https.application

            def busy(environ: Any) -> Any:
                if environ.get("HTTP_X_MS_AADMSODS_APIACTION") == "GetCompanyConfiguration":
                    return Answer(503, [("Content-Type", "text/plain"), ("Retry-After", "600")], b"")
                return application(environ)

            served.served.https.application = busy
            assert "It asks for a pause of 600 s" in agent("diagnose")
            assert "the tenant wants no call until 2017-01-13T09:1" in agent("status")
            assert json.loads(agent("status", "--json"))["held_until"].startswith("2017-01-13T09:1")
            assert "it wants no calls now" in agent("diagnose")
        assert "the tenant wants no call until" in agent("status")

    def test_while_it_does_not(self, served: Any, agent: Commands) -> None:
        """The same of an agent that is stopped; what is ordered then is done when it runs again."""
        with agent_of(served):
            until(lambda: ask(served.store, "status")["password"])
        assert "the agent does not run" in agent("status")
        assert "The service does not run" in agent("diagnose", "bob", code=1)
        assert json.loads(agent("object-log", "bob", "--json"))[0]["result"] == "Success"
        assert "sends everything" in agent("full-sync", "contoso.example")
        assert "full synchronization ordered" in agent("status")
        assert "No agent is running" in agent("stop", code=2)
        assert "the service is stopped" in agent("object-cycle", code=2)
        assert "synchronization is off" in agent("disable")
        assert "synchronization is on" in agent("enable")
        writes = len(served.world.writes())
        with agent_of(served):
            until(lambda: len(served.world.writes()) == writes + 2)

    def test_before_it_ever_ran(self, agent: Commands) -> None:
        """Without an agent's database each command says so."""
        for words in (
            ["status"],
            ["diagnose"],
            ["diagnose", "alice"],
            ["full-sync"],
            ["object-log", "alice"],
            ["sync-user", "alice"],
            ["object-cycle"],
            ["enable"],
            ["disable"],
        ):
            assert "no agent has run" in agent(*words, code=2)
        assert agent("events") == ""
        assert 'there is no connector for "contoso.exampel"' in agent("full-sync", "contoso.exampel", code=2)

    def test_events(self, served: Any, agent: Commands, tmp_path: Path) -> None:
        """The log is shown by id, level and number, and exported as Windows does."""
        with agent_of(served):
            until(lambda: ask(served.store, "status")["password"])
        assert [line.split()[2] for line in agent("events", "--id", "650", "--id", "651").splitlines()] == [
            "650",
            "651",
        ]
        assert len(agent("events", "-n", "3").splitlines()) == 3
        assert agent("events", "--level", "error") == ""
        assert "Anchor :" in agent("events", "--id", "657", "--full")
        for name in ("log.xml", "log.csv", "log.json"):
            agent("events", "-n", "0", "-o", str(tmp_path / name))
        agent("events", "-n", "0", "-o", str(tmp_path / "log.JSON"))
        assert json.loads(agent("events", "-n", "0", "--json")) == json.loads((tmp_path / "log.JSON").read_bytes())
        numbers = [each["RecordId"] for each in json.loads((tmp_path / "log.json").read_bytes())]
        assert numbers == list(range(1, len(numbers) + 1))
        assert len(ElementTree.parse(tmp_path / "log.xml").getroot()) == len(numbers)
        assert 'there is no level "errors"' in agent("events", "--level", "errors", code=2)
        assert "no known ending" in agent("events", "-o", "log.evtx", code=2)
        assert "can't write" in agent("events", "-o", str(tmp_path / "no" / "log.xml"), code=2)

    def test_bad_configuration(self, served: Any, agent: Commands) -> None:
        """A configuration that can't be used is refused by every command."""
        served.config.write_text("{}")
        for word in ("run", "status", "diagnose", "events", "full-sync", "stop"):
            assert "pwsync serve writes one" in agent(word, code=2)
