"""What the agent's own process is made of: configuration, log file, clocks, the operator's port."""

from __future__ import annotations

import json
import resource
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
import requests
import responses
from hypothesis import given
from hypothesis import strategies as st

from pwsync import config_file
from pwsync.config_file import ConfigError, load
from pwsync.errors import ReplicationError
from pwsync.event_file import EventFile, read
from pwsync.event_log import Event
from pwsync.operator_port import NotRunning, OperatorPort, OrderFailed, ask, path_of
from pwsync.remote import RemoteChannel, check_authority
from pwsync.settings import BUILD_CURRENT, Scope, Settings
from pwsync.timekeeper import ClockError, RealTime, WorldTime

NOW = datetime(2017, 1, 13, 9, tzinfo=UTC)
VALUES: dict[str, Any] = {
    "store": "a/agent.db",
    "authority": "ca.pem",
    "tenant": {"id": "t", "authority": "https://l", "provisioning": "https://p/", "account": "s@t", "password": "p"},
    "connectors": [
        {
            "domain": "d.example", "forest": "f", "identifier": "i", "account": "MSOL", "password": "q",
            "controllers": [{"name": "dc1", "ldaps": "ldaps://h:1", "replication": "https://h:2/r"}],
        }
    ],
    "settings": {},
}  # fmt: skip


class TestConfiguration:
    def test_round_trip(self, tmp_path: Path) -> None:
        """What is written is read again; paths count from the file's folder; only its owner can read it."""
        wished = Settings(
            (), "", "", build=BUILD_CURRENT, scope=Scope(("OU=A",), ("OU=B",), {"x": "y"}), batch_size=7, staging=True,
            preferred_controllers={"d.example": ("dc1",)}, object_interval=timedelta(minutes=45), deletion_threshold=0,
            match_by="mail", machine="S",
        )  # fmt: skip
        path = tmp_path / "agent.json"
        config_file.write(path, {**VALUES, "settings": config_file.values_of(wished)})
        assert path.stat().st_mode & 0o777 == 0o600
        assert config_file.is_ours(path.read_bytes())
        found = load(path)
        assert (found.store, found.proxy, found.clock) == (tmp_path / "a" / "agent.db", None, None)
        assert found.controllers["d.example", "dc1"].replication == "https://h:2/r"
        wished.connectors, wished.account, wished.password = found.settings.connectors, "s@t", "p"
        assert found.settings == wished

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"pwsync-agent": 2}, "of version 2; known is 1"), ({"store": 1}, "store is missing, or no text"),
            ({"connectors": []}, "there are no connectors"), ({"connectors": {}}, "connectors is missing, or no list"),
            ({"connectors": [1]}, "no list of objects"), ({"tenant": {}}, "tenant.id is missing"),
            ({"connectors": [{"domain": "d", "controllers": []}]}, "has no controllers"),
            ({"settings": {"build": "2099"}}, "settings.build is none of 2017, current"),
            ({"settings": {"batch-size": 51}}, "batch-size is 1 to 50"),
            ({"settings": {"batch-size": True}}, "no whole"),
            ({"settings": {"object-interval-seconds": float("nan")}}, "object-interval-seconds 60 or more"),
            ({"settings": {"preferred-controllers": {"d.example": ["dc9"]}}}, "d.example has no dc9"),
            ({"settings": {"preferred-controllers": {"d.example": "dc1"}}}, "no list of texts"),
            ({"settings": {"scope": {"ous": [1]}}}, "settings.scope.ous is no list of texts"),
            ({"settings": {"staging": "no"}}, "staging is missing, or no true or false"),
        ],
    )  # fmt: skip
    def test_bad_values(self, tmp_path: Path, change: dict[str, Any], words: str) -> None:
        """Each value that can't be used is named."""
        path = tmp_path / "agent.json"
        path.write_text(json.dumps({"pwsync-agent": 1, **VALUES, **change}))
        with pytest.raises(ConfigError, match=words):
            load(path)

    @pytest.mark.parametrize("text", [b"", b"{", b"[]", b"\xff", b"[" * 100_000, b"{}", b"x" * 2_000_000, b"null"])
    def test_no_configuration(self, tmp_path: Path, text: bytes) -> None:
        """Files that are none are refused, and a missing one is."""
        path = tmp_path / "agent.json"
        with pytest.raises(ConfigError, match="can't be read: No such file"):
            load(path)
        path.write_bytes(text)
        with pytest.raises(ConfigError, match=r"agent\.json"):
            load(path)
        assert not config_file.is_ours(text)

    @given(st.recursive(st.none() | st.booleans() | st.integers() | st.text() | st.floats(),
                        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))  # fmt: skip
    def test_any_value_in_any_place(self, value: Any) -> None:
        """Whatever stands in a place, the file is read or refused."""
        for key in VALUES:
            values = {**VALUES, key: value}
            try:
                config_file._read(config_file._Part(values), Path("/x"))
            except ConfigError:
                continue

    def test_authority(self, tmp_path: Path) -> None:
        """A file without certificates, and none at all, are told."""
        (tmp_path / "ca.pem").write_text("x")
        for name in ("ca.pem", "other.pem"):
            with pytest.raises(ConfigError, match="can't be used"):
                check_authority(str(tmp_path / name))


def event(number: int = 650, text: str = "text") -> Event:
    return Event(number, "error", "Directory Synchronization", NOW, text, "d", ("a",), ("CN=a",), ("x", "y"))


class TestEventFile:
    def test_kept(self, tmp_path: Path) -> None:
        """Events come back as they were, numbered over restarts; texts of any kind."""
        path = tmp_path / "log"
        texts = ["a\nb", "\x00\u2028", "ü\U0001f600", ""]
        for text in texts:
            log = EventFile(path, "S.d")
            log.write(event(text=text))
            log.close()
        found = list(read(path))
        assert [each.event for each in found] == [event(text=text) for text in texts]
        assert [(each.number, each.computer) for each in found] == [(number, "S.d") for number in (1, 2, 3, 4)]

    def test_killed_while_writing(self, tmp_path: Path) -> None:
        """Wherever a line breaks off, the others are read, and the next one is whole."""
        path = tmp_path / "log"
        log = EventFile(path, "S")
        log.write(event(1))
        log.write(event(2))
        log.close()
        octets = path.read_bytes()
        first = octets.index(b"\n") + 1
        for end in range(first, len(octets)):
            path.write_bytes(octets[:end])
            log = EventFile(path, "S")
            log.write(event(3))
            log.close()
            ids = [each.event.id for each in read(path)]
            assert ids in ([1, 3], [1, 2, 3])

    def test_grown(self, tmp_path: Path) -> None:
        """A log of its largest size steps aside; the newest are always there, and numbers go on."""
        path = tmp_path / "log"
        log = EventFile(path, "S", size_max=1000)
        for number in range(40):
            log.write(event(number))
        log.close()
        numbers = [each.number for each in read(path)]
        assert numbers[-1] == 40
        assert numbers == list(range(numbers[0], 41))
        assert 3 <= len(numbers) < 20
        assert sum(each.stat().st_size for each in tmp_path.iterdir()) <= 2000

    def test_two_writers(self, tmp_path: Path) -> None:
        """Numbers stay different where another agent wrote into the log meanwhile."""
        first, second = EventFile(tmp_path / "log", "S"), EventFile(tmp_path / "log", "S")
        for log in (first, second, first):
            log.write(event())
        assert [each.number for each in read(tmp_path / "log")] == [1, 2, 3]
        first.close()
        second.close()

    def test_no_room(self, tmp_path: Path) -> None:
        """What can't be written is counted, and stops nobody; once there is room again the next one is whole."""
        log, before = EventFile(tmp_path / "log", "S"), resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
        try:
            for _ in range(10):
                log.write(event())
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert 0 < log.lost < 10
        log.write(event(7))
        log.write(event(8))
        log.close()
        assert [each.event.id for each in read(tmp_path / "log")] == [650] * (10 - log.lost) + [7, 8]

    def test_foreign_lines(self, tmp_path: Path) -> None:
        """What is no record is passed over."""
        path = tmp_path / "log"
        good = {"number": 1, "computer": "S", "time": NOW.isoformat(), "id": 1, "level": "error", "source": "s",
                "text": "t", "domain": None, "users": [], "dns": [], "insertions": []}  # fmt: skip
        words = ("number", "time", "level", "id", "users")
        bad = [
            {**good, key: value} for key in set(good) - {"domain"} for value in ({}, [1], "x" if key in words else 1.5)
        ]
        texts = ["", "{", "[]", "1", "[" * 50_000, *map(json.dumps, bad), json.dumps(good)]
        path.write_text("\n".join(texts) + "\n\xff")
        assert [each.number for each in read(path)] == [1]


class TestOperatorPort:
    @pytest.fixture
    def port(self, tmp_path: Path) -> Iterator[Path]:
        """A port that says what it was told, and refuses to dance."""

        def carry_out(order: Any) -> Any:
            if order["order"] == "dance":
                raise OrderFailed("not-supported", "No.")
            return {"said": order["order"], "text": "x" * 200_000}

        made = OperatorPort(tmp_path / "agent.db", "secret", carry_out)
        yield tmp_path / "agent.db"
        made.close()
        made._thread.join(10)
        assert not made._thread.is_alive()
        assert not path_of(tmp_path / "agent.db").exists()

    def test_orders(self, port: Path) -> None:
        """Orders are answered or refused; the secret's file is its owner's alone."""
        assert ask(port, "status")["said"] == "status"
        with pytest.raises(OrderFailed, match="No") as caught:
            ask(port, "dance")
        assert caught.value.reason == "not-supported"
        assert path_of(port).stat().st_mode & 0o777 == 0o600

    def test_strangers(self, port: Path) -> None:
        """Who does not know the secret, or sends what is no order, learns nothing; the port listens on."""
        found = json.loads(path_of(port).read_text())
        for text in (b"\n", b"{}\n", b"[]\n", b"\xff\n", b'{"secret": "x", "order": "status"}\n', b"x" * 100_000, b"",
                     b'{"secret": ["secret"]}\n', b"[" * 30_000 + b"\n"):  # fmt: skip
            with socket.create_connection(("127.0.0.1", found["port"])) as raw:
                raw.settimeout(10)
                try:
                    raw.sendall(text)
                    raw.shutdown(socket.SHUT_WR)
                    told = raw.recv(10_000)
                except ConnectionError:
                    told = b""
                assert told in (b"",) or json.loads(told)["error"] == "not-allowed"
        assert ask(port, "status")["said"] == "status"
        path_of(port).write_text(json.dumps({**found, "secret": "other"}))
        with pytest.raises(NotRunning, match="another program has its port"):
            ask(port, "status")

    @pytest.mark.parametrize("text", ["", "{", "[]", '{"port": "x"}', '{"port": 1, "secret": "x"}'])
    def test_nobody(self, tmp_path: Path, text: str) -> None:
        """A file that leads nowhere counts as none."""
        with pytest.raises(NotRunning):
            ask(tmp_path / "agent.db", "status")
        path_of(tmp_path / "agent.db").write_text(text)
        with pytest.raises(NotRunning):
            ask(tmp_path / "agent.db", "status")


class TestClocks:
    def test_real(self) -> None:
        """This machine's time: a time that has come is not waited for, and a stop lets go."""
        now = [NOW]
        clock = RealTime(lambda: now[0])
        clock.refresh()
        assert clock() == NOW
        assert clock.wait(NOW)
        clock.stop()
        assert not clock.wait(NOW + timedelta(hours=1))

    def test_world(self) -> None:
        """A world's time is reckoned from its pace between two looks, and never goes back."""
        seconds = [0.0]
        clock = WorldTime("https://w/", requests.Session, lambda: seconds[0])
        with responses.RequestsMock() as world:
            world.get("https://w/time", json={"now": NOW.isoformat(), "pace": 60})
            assert clock() == NOW
            seconds[0] = 2.0
            assert clock() == NOW + timedelta(minutes=2)
            clock.refresh()  # the world's own word counts, but for going back
            assert clock() == NOW + timedelta(minutes=2)
            seconds[0] += 5.0
            assert clock() == NOW + timedelta(minutes=5)
            assert clock.wait(NOW + timedelta(minutes=5))
        clock.close()

    @pytest.mark.parametrize("answer", ["", "{}", '{"now": 1, "pace": 1}', '{"now": "x", "pace": 0}', "[]"])
    def test_no_world(self, answer: str) -> None:
        """A world that does not answer is an error at first; later its time is reckoned."""
        clock = WorldTime("https://w", requests.Session, lambda: 0.0)
        clock.stop()
        with responses.RequestsMock() as world:
            bad = world.get("https://w/time", body=answer)
            with pytest.raises(ClockError, match="can't be read"):
                clock()
            with pytest.raises(ClockError):
                clock.refresh()
            assert not clock.wait(NOW)
            world.remove(bad)
            world.get("https://w/time", json={"now": NOW.isoformat(), "pace": 0})
            assert clock() == NOW
        with responses.RequestsMock():
            clock.refresh()
            assert clock() == NOW
        clock.close()


class TestChannel:
    @pytest.mark.parametrize(
        ("problem", "code"),
        [(requests.exceptions.SSLError("x"), 1825), (requests.exceptions.ConnectTimeout("x"), 1722),
         (requests.exceptions.ReadTimeout("x"), 1818), (requests.exceptions.ConnectionError("reset"), 1726),
         (requests.exceptions.ConnectionError("Connection refused"), 1722)],
    )  # fmt: skip
    def test_broken(self, problem: Exception, code: int) -> None:
        """A connection that breaks has the code that RPC would have."""
        with responses.RequestsMock() as world, requests.Session() as session:
            world.post("https://h/r/negotiate", body=problem)
            with pytest.raises(ReplicationError) as caught:
                RemoteChannel(session, "https://h/r").call("negotiate", {})
        assert caught.value.code == code

    def test_garbled(self) -> None:
        """An answer that is none is a protocol error."""
        random = Random(1)
        bodies = [b"", b"{}", b"[]", b"1", b'{"error": 1}', b'{"error": {"code": "x", "message": ""}}', b'"answer"']
        for body in (*bodies, b"[" * 90_000, random.randbytes(99)):
            with responses.RequestsMock() as world, requests.Session() as session:
                world.post("https://h/r/unbind", body=body)
                with pytest.raises(ReplicationError) as caught:
                    RemoteChannel(session, "https://h/r").call("unbind", {"handle": b"x"})
            assert caught.value.code == 1728
