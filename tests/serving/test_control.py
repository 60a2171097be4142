"""The control endpoint: what it shows, does, refuses; time that stands, runs and is waited for; faults on the wires."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random
from threading import Thread
from typing import Any

import pytest
import requests

from pwsync.errors import ReplicationError
from pwsync.remote import RemoteChannel
from simulator.clock import Clock
from simulator.scenario.model import ACTIONS
from simulator.serving.replication import PREFIX
from simulator.serving.time import WorldTime

START = datetime.fromisoformat("2017-01-13T09:00:00+00:00")


class TestSeeing:
    def test_users(self, served: Any) -> None:
        """People stand there with what directory and tenant have of them; service accounts do not."""
        found = served.get("/users")
        assert [each["name"] for each in found["users"]] == ["alice", "bob", "carol"]
        alice, *_, carol = found["users"]
        assert alice["directory"]["password"] == "alice#1"
        assert (carol["directory"]["enabled"], carol["tenant"]) == (False, None)
        assert served.get("/users", **{"from": 1, "count": 1})["users"][0]["name"] == "bob"
        assert served.get("/users/alice") == alice

    def test_hosted(self, served_with: Callable[..., Any]) -> None:
        """With an agent within, the tenant fills up as time moves, and its events can be read."""
        served = served_with(hosted=True)
        assert served.get("/users/alice")["tenant"] is None
        served.post("/time", {"advance": "2m"})
        assert served.get("/users/alice")["tenant"]["password"] == "alice#1"
        assert {650, 651} <= {each["id"] for each in served.get("/events", last=100)["events"]}
        served.post("/actions", {"agent.stop": {}})
        served.post("/actions", {"ad.reset-password": {"user": "alice", "password": "Spring-2017!"}})
        served.post("/time", {"advance": "10m"})
        assert served.get("/users/alice")["tenant"]["password"] == "alice#1"
        served.post("/actions", "agent.start")
        served.post("/time", {"advance": "2m"})
        assert served.get("/users/alice")["tenant"]["password"] == "alice#2"

    def test_no_password_is_shown(self, served: Any) -> None:
        """Neither what it tells nor its trace holds a password."""
        served.post("/actions", {"ad.reset-password": {"user": "alice", "password": "Geheim-2017!"}})
        with served.client(proxy=False) as session:
            told = [
                session.get(f"{served.served.url}{path}", timeout=30).text for path in ("/users", "/trace", "/events")
            ]
        assert not [each for each in told if "Geheim-2017!" in each or "Winter-2016" in each]

    def test_agent(self, served: Any) -> None:
        """The settings of an agent of one's own are told once whoever serves has set them."""
        assert served.get("/agent") == {}


class TestDoing:
    def test_in_their_order(self, served: Any) -> None:
        """A list of actions is done in its order; each is told in the words of the trace."""
        done = served.post(
            "/actions",
            [
                {"ad.create-user": {"user": "zoe", "password": "Winter-2017!"}},
                {"ad.change-password": {"user": "zoe", "password": "Spring-2017!"}},
                {"ad.set-controller": {"controller": "dc2", "state": "down"}},
            ],
        )
        assert done == {"done": [{"ad.create-user": "zoe#1"}, {"ad.change-password": "zoe#2"},
                                 {"ad.set-controller": "dc2 down"}]}  # fmt: skip
        assert served.get("/trace")["trace"][-1].split()[1:] == ["people", "ad.set-controller", "dc2", "down"]

    def test_as_in_a_file(self, served: Any) -> None:
        """YAML as it stands under ``do`` of a scenario does as well."""
        assert served.post("/actions", b'{ad.reset-password: {user: alice, password: "Spring-2017!"}}')
        assert served.get("/users/alice")["directory"]["password"] == "alice#2"

    def test_any_text(self, served: Any) -> None:
        """Texts beyond the basic plane and escapes of JSON arrive as they are."""
        served.post("/actions", b'{"ad.set-user": {"user": "alice", "display-name": "\\ud83d\\ude00 \\u00fc"}}')
        assert served.world.account("alice").display_name == "\U0001f600 ü"

    @pytest.mark.parametrize(
        ("body", "status", "code"),
        [
            ({"ad.reset-password": {"user": "zoe", "password": "Spring-2017!"}}, 409, "no-such-user"),
            ({"ad.change-password": {"user": "alice", "password": "short"}}, 409, "password-too-short"),
            ({"agent.stop": {}}, 409, "not-supported"),
            ({"server.reboot": {}}, 409, "not-supported"),
            ({"ad.resett-password": {}}, 400, "unreadable"),
            ({"ad.reset-password": {"user": "alice", "password": 7}}, 400, "unreadable"),
            ({"ad.reset-password": {"user": "alice"}}, 400, "unreadable"),
            ({"ad.unlock": {"user": "alice"}, "ad.delete-user": {"user": "alice"}}, 400, "unreadable"),
            ([], 200, None), ({}, 400, "unreadable"), (None, 400, "unreadable"), ([[]], 400, "unreadable"),
            (b"", 400, "unreadable"), (b"\xff", 400, "unreadable"), (b"{", 400, "unreadable"),
            (b"&a [*a]", 400, "unreadable"), (b"[" * 500 + b"]" * 500, 400, "unreadable"),
            (b"[" * 5000, 400, "unreadable"), (b'{"a": ' * 100_000, 400, "unreadable"),
            (b'"\\ud800"', 400, "unreadable"), (b"7", 400, "unreadable"), (b"NaN", 400, "unreadable"),
            (b"x" * 2_000_000, 413, "too-large"),
        ],
    )  # fmt: skip
    def test_refusals(self, served: Any, body: Any, status: int, code: str | None) -> None:
        """Refusals of the world have their reason, and what can't be read is told; nothing changes."""
        before = served.get("/users")
        answer = served.post("/actions", body, status)
        assert answer.get("error", {}).get("code") == code
        assert served.get("/users") == before

    def test_every_action_of_any_shape(self, served: Any) -> None:
        """Every action of the format, with arguments of any shape, is done or refused, and never a fault."""
        values: list[Any] = [
            "alice",
            "zoe",
            "",
            "dc1",
            "contoso.example",
            "up",
            True,
            7,
            [],
            {},
            None,
            "x" * 300,
            "\x00",
        ]
        random = Random(1)
        with served.client(proxy=False) as session:
            for name in ACTIONS:
                for _ in range(8):
                    keys = random.sample(
                        ["user", "password", "domain", "state", "on", "controller", "link", "right", "as", "ou", "old"],
                        4,
                    )
                    body = {name: {key: random.choice(values) for key in keys}}
                    answer = session.post(f"{served.served.url}/actions", json=body, timeout=60)
                    assert answer.status_code in (200, 400, 409), (body, answer.text)


class TestTime:
    def test_moved(self, served: Any) -> None:
        """Standing time goes where it is moved, and what is due on the way happens."""
        served.post("/actions", {"ad.reset-password": {"user": "alice", "password": "Spring-2017!", "on": "dc1"}})
        before = served.world.domain("contoso.example").find("alice", on="dc2").version
        assert served.post("/time", {"advance": "1d2h"})["now"] == "2017-01-14T11:00:00+00:00"
        assert served.world.domain("contoso.example").find("alice", on="dc2").version == before + 1

    def test_runs(self, served_with: Callable[..., Any]) -> None:
        """Running time runs at its pace, and can be stopped."""
        served = served_with(pace=3600.0)
        first = datetime.fromisoformat(served.get("/time")["now"])
        time.sleep(0.02)
        assert datetime.fromisoformat(served.get("/time")["now"]) - first >= timedelta(minutes=1)
        stopped = served.post("/time", {"pace": 0})
        assert served.get("/time") == stopped

    def test_waited_for(self, served: Any) -> None:
        """Whoever waits for a time is told as soon as it has come; or after so many seconds that it has not."""
        told: list[str] = []
        until = (START + timedelta(minutes=2)).isoformat()
        waiter = Thread(target=lambda: told.append(served.get("/time", until=until, wait=30)["now"]))
        waiter.start()
        served.post("/time", {"advance": "1m"})
        assert told == []
        served.post("/time", {"advance": "5m"})
        waiter.join(30)
        assert told == ["2017-01-13T09:06:00+00:00"]
        later = (START + timedelta(days=9)).isoformat()
        assert served.get("/time", until=later, wait=0.05)["now"] == told[0]

    @pytest.mark.parametrize(
        "body",
        [{}, [], 1, {"advance": 2}, {"advance": "-2m"}, {"advance": "x"}, {"pace": -1}, {"pace": 1e9}, {"pace": "x"},
         {"advance": "9999999d"}, {"advance": "2m", "pace": 1}, b"{", b'{"pace": NaN}', b'{"pace": 1e999}'],
    )  # fmt: skip
    def test_refused(self, served: Any, body: Any) -> None:
        """What moves no time is refused, and time stands where it stood."""
        before = served.get("/time")
        assert served.post("/time", body, 400)["error"]["code"] == "unreadable"
        assert served.get("/time") == before

    @pytest.mark.parametrize(
        "query", [{"until": "x"}, {"until": "2017-01-13", "wait": "x"}, {"until": "0001-01-01T00:00:00+14:00"}]
    )
    def test_bad_questions(self, served: Any, query: dict[str, str]) -> None:
        """Times and numbers that are none are told."""
        assert served.get("/time", 400, **query)["error"]["code"] == "unreadable"

    def test_lock_that_fails_is_free(self) -> None:
        """Where something that is due fails, the lock is free afterwards."""
        clock = Clock(START)

        def fail(until: datetime) -> None:
            raise RuntimeError("due")

        keeper = WorldTime(clock, fail, 1.0)
        time.sleep(0.002)
        with pytest.raises(RuntimeError, match="due"):
            keeper.acquire()
        taken: list[bool] = []
        other = Thread(target=lambda: taken.append(keeper._lock.acquire(timeout=10)))
        other.start()
        other.join()
        assert taken == [True]


class TestFaults:
    def url(self, served: Any) -> str:
        return f"https://login.microsoftonline.com/{served.world.tenant.tenant_id}/oauth2/v2.0/token"

    def test_answers(self, served: Any) -> None:
        """A rule's answer takes the place of the service's, as often as it says, and is counted."""
        served.post("/faults", {"on": "cloud.token", "times": 1, "answer": 429, "retry-after": "90s"})
        first, second = (served.session.post(self.url(served), data={"a": "b"}, timeout=30) for _ in range(2))
        assert (first.status_code, first.headers["Retry-After"], second.status_code) == (429, "90", 400)
        assert served.get("/faults")["faults"] == [{"rule": 1, "on": "cloud.token", "matched": 2, "fired": 1}]
        with served.client(proxy=False) as session:
            assert session.delete(f"{served.served.url}/faults", timeout=30).json() == {"faults": []}

    def test_lost(self, served: Any) -> None:
        """A lost answer is a broken connection; so is a link that is down."""
        served.post("/faults", {"on": "cloud.token", "times": 1, "lose": "response"})
        with pytest.raises(requests.ConnectionError):
            served.session.post(self.url(served), data={"a": "b"}, timeout=30)
        served.post("/actions", {"network.set-link": {"link": "cloud", "state": "down"}})
        with pytest.raises(requests.ConnectionError):
            served.session.post(self.url(served), data={"a": "b"}, timeout=30)
        served.post("/actions", {"network.set-link": {"link": "cloud", "state": "up"}})
        assert served.session.post(self.url(served), data={"a": "b"}, timeout=30).status_code == 400

    def test_domain_link(self, served: Any) -> None:
        """With a domain's link down neither its LDAP nor its replication answers."""
        import socket

        served.post("/actions", {"network.set-link": {"link": "contoso.example", "state": "down"}})
        channel = RemoteChannel(served.client(proxy=False), f"{served.served.url}{PREFIX}contoso.example/dc1")
        with pytest.raises(ReplicationError, match="1722"):
            channel.call("negotiate", {})
        channel._session.close()
        port = served.served.directories[0].ldap_port
        # The reset may come with the connection already, or with the first read.
        with pytest.raises(ConnectionError), socket.create_connection(("127.0.0.1", port), timeout=30) as raw:
            raw.recv(1)

    @pytest.mark.parametrize(
        ("rule", "status"),
        [({"on": "directory.search", "fail": "timeout"}, 409), ({"on": "store.commit", "lose": "request"}, 409),
         ({"on": "cloud.token", "crash": "before"}, 409), ({"on": "cloud.tokens", "answer": 500}, 400),
         ({"on": "cloud.token"}, 400), ([], 400), ({}, 400), (b"", 400)],
    )  # fmt: skip
    def test_refused(self, served: Any, rule: Any, status: int) -> None:
        """Rules that can't be, and those for wires that a served world does not carry, are refused."""
        served.post("/faults", rule, status)
        assert served.get("/faults") == {"faults": []}

    def test_unknown_calls(self, served: Any) -> None:
        """A call that does not exist is told which do."""
        with served.client(proxy=False) as session:
            answer = session.put(f"{served.served.url}/nothing", timeout=30)
        assert (answer.status_code, "POST /actions" in answer.json()["error"]["message"]) == (404, True)


class TestApplications:
    def test_of_ones_own(self, served: Any) -> None:
        """An application with an id and a secret of one's own choice gets a token for itself."""
        name = "11111111-2222-3333-4444-555555555555"
        order = {"name": "payroll", "id": name.upper(), "secret": "mine", "roles": ["User.Read.All"], "lives": "30d"}
        assert served.post("/applications", order, 201) == {"id": name, "secret": "mine"}
        (found,) = [each for each in served.get("/applications")["applications"] if each["id"] == name]
        assert (found["name"], found["public"], found["roles"]) == ("payroll", False, ["User.Read.All"])
        assert "mine" not in json.dumps(found)
        form = {"grant_type": "client_credentials", "client_id": name, "client_secret": "mine"}
        form["scope"] = "https://graph.microsoft.com/.default"
        token = f"https://login.microsoftonline.com/{served.world.tenant.tenant_id}/oauth2/v2.0/token"
        assert "access_token" in served.session.post(token, data=form, timeout=30).json()
        served.post("/time", {"advance": "30d"})
        assert served.session.post(token, data=form, timeout=30).json()["error_codes"] == [7000222]

    def test_public(self, served: Any) -> None:
        """Without a secret it is a public client; left out, id and secret are made."""
        assert served.post("/applications", {"name": "desktop", "secret": None}, 201)["secret"] is None
        made = served.post("/applications", {"name": "daemon"}, 201)
        assert made["secret"]
        assert served.post("/applications", {"name": "again", "id": made["id"]}, 400)

    @pytest.mark.parametrize(
        "order",
        [
            {},
            {"name": 7},
            {"name": "x", "colour": "blue"},
            {"name": "x", "id": "x"},
            {"name": "x", "id": 7},
            {"name": "x", "secret": "é"},
            {"name": "x", "secret": 7},
            {"name": "x", "secret": "x" * 257},
            {"name": "x", "lives": "soon"},
            {"name": "x", "lives": "9999999999999d"},
            {"name": "x", "roles": "User.Read.All"},
            {"name": "x", "roles": ["Mail.Read"]},
            {"name": "x", "scopes": [7]},
        ],
    )
    def test_refuses(self, served: Any, order: Any) -> None:
        """What can't be registered is told, and nothing is."""
        before = served.get("/applications")
        served.post("/applications", order, 400)
        assert served.get("/applications") == before
