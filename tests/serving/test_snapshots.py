"""Snapshots of a served world by name: everything goes back, and what can't go back is said."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable
from typing import Any

import ldap3
import pytest
from ldap3.core.exceptions import LDAPExceptionError

from pwsync.remote import RemoteChannel
from simulator.serving.replication import PREFIX
from simulator.serving.snapshots import NAME_MAX, SNAPSHOTS_MAX
from simulator.trace import digest

TROUBLE: list[tuple[str, Any]] = [
    ("/faults", {"on": "cloud.set-passwords", "times": 1, "answer": 503, "retry-after": "3m"}),
    ("/actions", {"ad.reset-password": {"user": "alice", "password": "Spring-2017!", "on": "dc2"}}),
    ("/time", {"advance": "2m"}),
    ("/actions", {"network.set-link": {"link": "cloud", "state": "down"}}),
    ("/actions", {"agent.crash": {}}),
    ("/time", {"advance": "7m"}),
    ("/actions", {"network.set-link": {"link": "cloud", "state": "up"}}),
    ("/actions", {"ad.create-user": {"user": "zoe", "password": "Winter-2017!"}}),
    ("/time", {"advance": "40m"}),
]


def names(answer: Any) -> list[str]:
    return [each["name"] for each in answer["snapshots"]]


class TestGoingBack:
    def live(self, served: Any) -> tuple[Any, ...]:
        """Have trouble; everything that can be seen of it."""
        for path, body in TROUBLE:
            served.post(path, body)
        world = served.world
        return (
            digest(world.trace.lines), served.get("/users"), served.get("/events", last=1000), served.get("/faults"),
            list(world.store._keeper.iterdump()), served.get("/state")["change"],
        )  # fmt: skip

    def test_same_again(self, served_with: Callable[..., Any]) -> None:
        """After each return the same actions leave the same trace, events, people, and store of the agent within."""
        served = served_with(hosted=True)
        served.post("/time", {"advance": "6m"})
        assert names(served.post("/snapshots", {"take": "before"})) == ["before"]
        before = served.get("/state")
        first = self.live(served)
        assert served.get("/users/zoe")["tenant"]["password"] == "zoe#1"
        for _ in range(2):
            served.post("/snapshots", {"restore": "before"})
            assert served.get("/state") == before
            assert served.get("/users/zoe", 404)["error"]["code"] == "no-such-user"
            assert self.live(served) == first

    def test_running_time_goes_on_from_there(self, served_with: Callable[..., Any]) -> None:
        """Time that runs goes on at the same pace, from the time of the snapshot."""
        served = served_with(hosted=True)
        served.post("/snapshots", {"take": "start"})
        served.post("/time", {"advance": "30d"})
        served.post("/time", {"pace": 2})
        served.post("/snapshots", {"restore": "start"})
        told = served.get("/time")
        assert (told["now"][:13], told["pace"]) == ("2017-01-13T09", 2)
        served.post("/time", {"pace": 0})

    def test_sessions_opened_since_are_gone(self, served_with: Callable[..., Any]) -> None:
        """A session that was opened after the snapshot is known by its name no more; one from before is."""
        served = served_with(hosted=True)
        served.post("/time", {"advance": "2m"})
        sign_in = {"user": "alice", "password": "Winter-2016!"}
        served.post("/actions", {"cloud.sign-in": sign_in | {"as": "early"}})
        served.post("/snapshots", {"take": "start"})
        served.post("/actions", {"cloud.sign-in": sign_in | {"as": "late"}})
        served.post("/snapshots", {"restore": "start"})
        served.post("/actions", {"cloud.refresh-session": {"as": "early"}})
        served.post("/actions", {"cloud.refresh-session": {"as": "late"}}, 409)

    def test_connections_end(self, served: Any) -> None:
        """Clients of LDAP are hung up on, and replication clients have to bind anew."""
        port = served.served.directories[0]
        served.post("/snapshots", {"take": "start"})
        tls = ldap3.Tls(validate=ssl.CERT_NONE)
        server = ldap3.Server("127.0.0.1", port=port.ldaps_port, use_ssl=True, tls=tls, get_info=ldap3.NONE)
        domain = port.controller.domain
        with ldap3.Connection(server, f"Administrator@{domain.name}", domain.administrator_password) as connection:
            assert connection.bound
            served.post("/snapshots", {"restore": "start"})
            with pytest.raises(LDAPExceptionError):
                connection.search(domain.dn, "(objectClass=user)")
            connection.strategy.close()


class TestAgentElsewhere:
    def test_refused_until_forced(self, served: Any) -> None:
        """Once an agent of another process has used the world, it goes back only by force; and the reason is told."""
        served.post("/snapshots", {"take": "start"})
        assert names(served.post("/snapshots", {"restore": "start"})) == ["start"]
        channel = RemoteChannel(served.client(proxy=False), f"{served.served.url}{PREFIX}contoso.example/dc1")
        channel.call("negotiate", {})
        channel._session.close()
        served.post("/time", {"advance": "1h"})
        refused = served.post("/snapshots", {"restore": "start"}, 409)["error"]
        assert refused["code"] == "agent-elsewhere"
        assert "store does not go back" in refused["message"]
        assert served.get("/state")["agent"]["state"] == "elsewhere"
        served.post("/snapshots", {"restore": "start", "force": True})
        assert served.get("/time")["now"] == "2017-01-13T09:00:00+00:00"

    @pytest.mark.parametrize(
        "use",
        [
            lambda served: served.get("/time", until="2017-01-13T09:00:00Z"),
            lambda served: served.session.post(
                "https://adminwebservice.microsoftonline.com/provisioningservice.svc", data=b"", timeout=30
            ),
        ],
    )
    def test_what_gives_it_away(self, served: Any, use: Callable[[Any], object]) -> None:
        """Who waits for a time, or calls the provisioning service, is an agent."""
        served.post("/snapshots", {"take": "start"})
        use(served)
        assert served.post("/snapshots", {"restore": "start"}, 409)["error"]["code"] == "agent-elsewhere"

    def test_others_are_none(self, served: Any) -> None:
        """Who looks at people, signs in or asks for the time is no agent."""
        served.post("/snapshots", {"take": "start"})
        for path in ("/users", "/time", "/state", "/events"):
            served.get(path)
        served.session.get("https://login.microsoftonline.com/common/.well-known/openid-configuration", timeout=30)
        assert names(served.post("/snapshots", {"restore": "start"})) == ["start"]


class TestNames:
    def test_kept_in_order(self, served: Any) -> None:
        """Snapshots are listed as they were taken, with their time; any can be dropped; each can be gone back to."""
        for name in ("one", "<b>two</b>", "drei ü 😀"):
            served.post("/snapshots", {"take": name})
            served.post("/time", {"advance": "1m"})
        assert names(served.post("/snapshots", {"drop": "one"})) == ["<b>two</b>", "drei ü 😀"]
        served.post("/snapshots", {"restore": "<b>two</b>"})
        assert served.get("/time")["now"] == "2017-01-13T09:01:00+00:00"
        served.post("/snapshots", {"restore": "drei ü 😀"})
        assert served.get("/time")["now"] == served.get("/snapshots")["snapshots"][1]["at"]

    def test_refused(self, served: Any) -> None:
        """Names that are taken or unknown, and more snapshots than are kept, are refused."""
        for number in range(SNAPSHOTS_MAX):
            served.post("/snapshots", {"take": str(number)})
        assert served.post("/snapshots", {"take": "0"}, 409)["error"]["code"] == "name-taken"
        assert served.post("/snapshots", {"take": "more"}, 409)["error"]["code"] == "too-many"
        for what in ("restore", "drop"):
            assert served.post("/snapshots", {what: "none"}, 409)["error"]["code"] == "no-such-snapshot"

    @pytest.mark.parametrize(
        "body",
        [
            {}, [], 7, None, b"", b"{", {"take": ""}, {"take": 7}, {"take": "a\nb"}, {"take": "x" * (NAME_MAX + 1)},
            {"take": "a", "restore": "a"}, {"keep": "a"}, {"take": "a", "force": True}, {"restore": "a", "force": 1},
        ],
    )  # fmt: skip
    def test_unreadable(self, served: Any, body: Any) -> None:
        """What asks for nothing that can be done is told so, and nothing is taken."""
        octets = body if isinstance(body, bytes) else json.dumps(body).encode()
        assert served.post("/snapshots", octets, 400)["error"]["code"] == "unreadable"
        assert served.get("/snapshots") == {"snapshots": []}
