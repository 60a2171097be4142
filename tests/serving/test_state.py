"""The state that the page shows, and the page's files: what stands there, what is waited for, who may ask."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Callable
from threading import Thread
from typing import Any

import pytest

from simulator.serving import browser

FEDERATED = """
scenario: A federated domain with a managed domain beside it
why: Both are shown.
rules: [delta.within-minutes]
given:
  users:
    - {name: alice, password: "Winter-2016!"}
  cloud: {domains: {contoso.example: federated}, domain-services: on}
timeline:
  - {at: +2m, expect: {agent.alert: {is: none}}}
"""


def ask(served: Any, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> tuple[int, Any, bytes]:
    """Status, headers and body of a call with headers as a browser would send them."""
    context = ssl.create_default_context(cafile=str(served.authority))
    connection = http.client.HTTPSConnection("localhost", served.served.https.port, context=context, timeout=60)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def standings(state: Any) -> dict[str, str]:
    return {row["name"]: row["standing"] for row in state["users"]["rows"]}


class TestPeople:
    def test_standings(self, served_with: Callable[..., Any]) -> None:
        """A password in the cloud agrees with the directory's, is pending, or was overridden; the sums say how many."""
        served = served_with(hosted=True)
        assert standings(served.get("/state")) == dict.fromkeys(("alice", "bob", "carol"), "no-cloud-user")
        served.post("/time", {"advance": "2m"})
        served.post("/actions", {"ad.reset-password": {"user": "alice", "password": "Spring-2017!"}})
        served.post("/actions", {"cloud.reset-password": {"user": "bob", "password": "Spring-2017?"}})
        served.post("/actions", {"cloud.create-user": {"user": "dave", "password": "Spring-2017+"}})
        state = served.get("/state")
        assert standings(state) == {
            "alice": "pending", "bob": "overridden", "carol": "pending", "dave": "cloud-only"
        }  # fmt: skip
        assert state["users"]["standings"] == {
            "agree": 0, "pending": 2, "overridden": 1, "cloud-only": 1, "no-cloud-user": 0
        }  # fmt: skip
        served.post("/time", {"advance": "2m"})
        alice = served.get("/state", search="ALICE")["users"]["rows"][0]
        assert (alice["standing"], alice["status"]) == ("agree", "Success")
        assert alice["synchronized"] == "2017-01-13T09:04:00+00:00"

    def test_two_changes_within_a_second(self, served_with: Callable[..., Any]) -> None:
        """A password that arrived is compared itself: an older one of the same second does not pass for it."""
        served = served_with(hosted=True)
        served.post("/time", {"advance": "2m"})
        for user in ("alice", "bob"):
            served.post("/actions", {"ad.reset-password": {"user": user, "password": "Spring-2017!"}})
        served.post("/time", {"advance": "0s"})
        served.post("/actions", [{"agent.stop": {}}, {"agent.start": {}}])
        served.post("/actions", {"ad.reset-password": {"user": "alice", "password": "Summer-2017!"}})
        assert standings(served.get("/state")) | {"carol": ""} == {"alice": "pending", "bob": "agree", "carol": ""}

    def test_many(self, served_with: Callable[..., Any]) -> None:
        """Of ten thousand people a page is told, and those that a search or a choice finds are counted."""
        served = served_with(users=10_000)
        state = served.get("/state")
        assert (state["users"]["total"], len(state["users"]["rows"])) == (10_003, 50)
        last = served.get("/state", **{"from": 1_000_000, "count": 500})["users"]
        assert (last["from"], len(last["rows"])) == (10_000, 3)
        one = last["rows"][-1]
        found = served.get("/state", search=one["display-name"])["users"]
        assert one["name"] in [row["name"] for row in found["rows"]]
        assert served.get("/state", search="no such name \x00 <b>")["users"]["found"] == 0
        assert served.get("/state", standing="agree")["users"]["found"] == 0
        assert served.get("/state", standing="")["users"]["found"] == 0

    def test_hostile_and_foreign_names(self, served: Any) -> None:
        """Names come as they are, markup and right-to-left writing among them, and are found."""
        for number, name in enumerate(
            ("<script>alert(1)</script>", "كارول الشتاء", "x" * 250, "Straße \u202e gnp.exe")
        ):
            served.post("/actions", {"ad.create-user": {"user": f"u{number}", "password": "Winter-2017!"}})
            served.post("/actions", {"ad.set-user": {"user": f"u{number}", "display-name": name}})
            (row,) = served.get("/state", search=name)["users"]["rows"]
            assert (row["name"], row["display-name"]) == (f"u{number}", name)
        assert len(served.get("/state", search="STRASSE")["users"]["rows"]) == 1

    def test_no_secret(self, served_with: Callable[..., Any]) -> None:
        """No password, hash or credential stands in a state, nor those of the agent's accounts."""
        served = served_with(hosted=True)
        served.post("/time", {"advance": "4m"})
        _, _, told = ask(served, "GET", "/state?events=1000&count=500", {})
        world = served.world
        secrets = [text for _, text, _ in world.passwords.secrets() if text]
        secrets += [nt.hex() for _, _, nt in world.passwords.secrets()]
        secrets += [user.credential for user in world.tenant.users if user.credential]
        secrets += [world.tenant.sync_account()[1], *(each.password for each in world.settings.connectors)]
        assert [secret for secret in secrets if secret.encode() in told] == []


class TestRest:
    def test_cycles_and_events(self, served_with: Callable[..., Any]) -> None:
        """Cycles come newest first with what their calls came to; events too, of the levels and number asked for."""
        served = served_with(hosted=True)
        served.post("/faults", {"on": "cloud.set-passwords", "call": 1, "answer": 503})
        served.post("/time", {"advance": "2m"})
        state = served.get("/state")
        assert [(each["kind"], each["outcome"], each["passwords"]) for each in state["cycles"]] == [
            ("password", "ok", 2), ("password", "failed", 0), ("object", "ok", 0)
        ]  # fmt: skip
        assert "503" in state["cycles"][1]["detail"]
        assert state["faults"][0] == {
            "on": "cloud.set-passwords", "does": "answer 503", "when": "call 1", "matched": 2, "fired": 1
        }  # fmt: skip
        assert {each["level"] for each in served.get("/state", level="error")["events"]} == {"error"}
        assert {each["id"] for each in served.get("/state", event=656)["events"]} == {656}
        assert len(served.get("/state", events=2)["events"]) == 2
        agent = state["agent"]
        assert (agent["state"], agent["next"]["password"][11:16], agent["next"]["object"][11:16]) == (
            "running", "09:04", "09:30"
        )  # fmt: skip
        served.post("/actions", "agent.stop")
        assert served.get("/state")["agent"]["state"] == "stopped"

    def test_links_and_controllers(self, served: Any) -> None:
        """Links and controllers are shown up and down, and a controller that lags behind another."""
        served.post("/actions", {"ad.reset-password": {"user": "alice", "password": "Spring-2017!", "on": "dc1"}})
        served.post("/actions", {"network.set-link": {"link": "contoso.example", "state": "down"}})
        state = served.get("/state")
        assert state["links"] == [{"link": "cloud", "up": True}, {"link": "contoso.example", "up": False}]
        assert [each["behind"] for each in state["controllers"]] == [False, True]
        served.post("/actions", {"ad.set-controller": {"controller": "dc2", "state": "down"}})
        assert [each["state"] for each in served.get("/state")["controllers"]] == ["up", "down"]

    def test_services(self, served_with: Callable[..., Any]) -> None:
        """A farm and a managed domain are shown where the world has them."""
        served = served_with(FEDERATED, hosted=True)
        found = {each["service"]: each["up"] for each in served.get("/state")["services"]}
        assert found == {"adfs": True, "domain-services": True}
        served.post("/actions", {"adfs.set-farm": {"state": "down"}})
        assert [each["up"] for each in served.get("/state")["services"]] == [False, True]

    def test_looking_changes_nothing(self, served_with: Callable[..., Any]) -> None:
        """However often a state is asked for, what happens then is the same."""
        traces = []
        for looks in (0, 3):
            served = served_with(FEDERATED, hosted=True)
            for _ in range(3):
                for _ in range(looks):
                    served.get("/state")
                served.post("/actions", {"ad.reset-password": {"user": "alice", "password": "Spring-2017!"}})
                served.post("/time", {"advance": "31m"})
            traces.append((served.world.trace.lines, [write.credential for write in served.world.tenant.writes]))
        assert traces[0] == traces[1]


class TestWaiting:
    def test_for_another_state(self, served: Any) -> None:
        """Who has seen a state waits until it is another one, and is told at once then."""
        seen, told = served.get("/state")["change"], []
        waiter = Thread(target=lambda: told.append(served.get("/state", after=seen, wait=30)))
        waiter.start()
        served.post("/actions", {"ad.reset-password": {"user": "alice", "password": "Spring-2017!"}})
        waiter.join(30)
        assert told[0]["users"]["rows"][0]["directory"]["password"] == "alice#2"
        assert told[0]["change"] != seen

    def test_no_change(self, served_with: Callable[..., Any]) -> None:
        """Without a change the same state comes once the time is over; time that runs is none."""
        served = served_with(pace=1.0)
        first = served.get("/state")
        again = served.get("/state", after=first["change"], wait=0.3)
        assert (again["change"], again["now"] > first["now"]) == (first["change"], True)

    def test_another_question(self, served: Any) -> None:
        """Who asks for something else is answered at once."""
        seen = served.get("/state")["change"]
        assert served.get("/state", after=seen, wait=30, search="alice")["users"]["found"] == 1

    def test_end_of_the_world(self, served_with: Callable[..., Any]) -> None:
        """Who waits when the world ends is let go; the fixture sees that nobody is left."""
        served = served_with()
        seen = served.get("/state")["change"]
        served.served.time.stop()
        assert served.get("/state", after=seen, wait=30)["change"] == seen

    @pytest.mark.parametrize(
        "query",
        [
            {"standing": "agreed"},
            {"level": "error,fatal"},
            {"from": "-1"},
            {"count": "x"},
            {"event": "x"},
            {"wait": "x"},
        ],
    )
    def test_unreadable(self, served: Any, query: dict[str, str]) -> None:
        """Words that are none of those known, and numbers that are none, are told."""
        assert served.get("/state", 400, **query)["error"]["code"] == "unreadable"


class TestBrowsers:
    HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}  # noqa: RUF012

    def test_page(self, served: Any) -> None:
        """Who reads HTML gets the page at the root, others the calls; and the page may load from its address alone."""
        status, headers, body = ask(served, "GET", "/", self.HTML | {"Sec-Fetch-Site": "cross-site"})
        assert (status, headers["Content-Type"], body[:15]) == (200, "text/html; charset=utf-8", b"<!doctype html>")
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert [word for word in ("unsafe", "http:", "https:", "*", "data:") if word in policy] == []
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "GET /state" in served.get("/")["calls"]

    @pytest.mark.parametrize("name", browser.FILES)
    def test_files(self, served: Any, name: str) -> None:
        """Each file of the page is there, in its type, and names no other address and holds no script of its own."""
        status, headers, body = ask(served, "GET", f"/page/{name}", {"Sec-Fetch-Site": "same-origin"})
        assert (status, headers["Content-Type"]) == (200, browser.TYPES[name.rpartition(".")[2]])
        text = body.decode().replace('xmlns="http://www.w3.org/2000/svg"', "")
        assert "http:" not in text
        assert "https:" not in text
        assert "innerHTML" not in text

    @pytest.mark.parametrize(
        "path", ["/page/", "/page/../control.py", "/page/%2e%2e/control.py", "/page/page.py", "/page"]
    )
    def test_no_other_files(self, served: Any, path: str) -> None:
        """No other file can be had."""
        assert ask(served, "GET", path, {})[0] == 404

    @pytest.mark.parametrize(
        "headers",
        [
            {"Origin": "https://example.com"}, {"Origin": "null"}, {"Origin": "https://localhost"},
            {"Origin": "http://localhost:{port}"}, {"Origin": "https://localhost:{port}.example.com"},
            {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Sec-Fetch-Site": "nonsense"},
        ],
    )  # fmt: skip
    def test_other_sites(self, served: Any, headers: dict[str, str]) -> None:
        """What a browser sends for another site is refused, whatever it asks for, and nothing is done."""
        sent = {name: value.format(port=served.served.https.port) for name, value in headers.items()}
        for method, path in (("POST", "/time"), ("POST", "/snapshots"), ("DELETE", "/faults"), ("GET", "/state")):
            status, _, body = ask(served, method, path, sent, b'{"advance": "2m"}' if method == "POST" else b"")
            assert (status, b"other-site" in body) == (403, True)
        assert served.get("/time")["now"] == "2017-01-13T09:00:00+00:00"

    def test_own_page(self, served: Any) -> None:
        """What a browser sends for the page itself is done."""
        own = {"Origin": f"https://localhost:{served.served.https.port}", "Sec-Fetch-Site": "same-origin"}
        assert ask(served, "POST", "/time", own, b'{"advance": "2m"}')[0] == 200
        assert served.get("/time")["now"] == "2017-01-13T09:02:00+00:00"

    def test_rebound_names(self, served: Any) -> None:
        """A name that some other site has made to lead here is none of this world's."""
        status, _, body = ask(served, "POST", "/time", {"Host": "rebound.example"}, b'{"advance": "2m"}')
        assert (status, b"UnknownHost" in body) == (404, True)
