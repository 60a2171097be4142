"""Whole stories of an agent: every event, call, commit and what is known of each user, line by line.

What single tests ask for one at a time is held here all at once, in a golden file for each story: the words and the
times of events, the order of calls and commits, what is read with which cookie, and what is left in the store.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pwsync.agent import SyncAgent
from pwsync.errors import ReplicationError, ServiceFault, Throttled, TokenError, TransportError
from pwsync.ports import AgentPorts
from pwsync.settings import BUILD_2017, BUILD_CURRENT, Scope

GOLDEN = Path(__file__).parent / "vectors"
BUILDS = {"2017": BUILD_2017, "current": BUILD_CURRENT}

SHORT = {
    repr(bytes(16)): "<nil>",
    "['unicodePwd', 'pwdLastSet']": "<both>",
    "'max_objects': 500, 'object': None": "<page>",
    ",OU=People,DC=contoso,DC=example": ",<people>",
    "DC=contoso,DC=example": "<root>",
    "Directory Synchronization |": "<DS> |",
    "Password Change Request - Anchor : ": "<request> ",
    "Password Change Result - Anchor : ": "<result> ",
    "<forest-info><partition-name>": "<forest> ",
    "</connector-id></forest-info>": "",
}
"""What stands there often, and how the golden files abbreviate it."""


class Chronicle:
    """Writes down what an agent of the laboratory does."""

    def __init__(self, lab: Any) -> None:
        self.lab = lab
        self.lines: list[str] = []
        self.known: set[str] = set()
        ports = lab.ports
        lab.ports = lambda: self.tapped(ports())
        lab.on_commit = lambda number: self.say("commit")
        lab.tenant.on_call = lambda operation: self.say(f"tenant {operation}")

    def tapped(self, ports: AgentPorts) -> AgentPorts:
        """The ports of an agent, watched."""

        def replication(domain: str, controller: str) -> Any:
            self.say(f"connect {domain} {controller}")
            return Tap(self, domain, ports.replication(domain, controller))

        def event(each: Any) -> None:
            self.lab.events.append(each)
            shown = [f"{each.id} {each.level}", each.source, str(each.domain)]
            shown += [",".join(each.users), ";".join(each.dns), str(each.insertions)]
            self.say("event " + " | ".join(shown) + (f" at {each.time:%H:%M:%S}" if each.time != self.lab.now else ""))
            self.lines += [f"    {line}" for line in each.text.splitlines()]

        return replace(
            ports, replication=replication, event_log=event, run_history=lambda kind: self.say(f"run {kind}")
        )

    def say(self, text: str) -> None:
        self.lines.append(f"{self.lab.now:%H:%M:%S} {text}")

    def step(self, title: str) -> None:
        self.lines += ["", f"--- {title}"]

    def look(self, agent: SyncAgent) -> None:
        """What has reached the tenant since the last look, and what the agent knows now that it did not know then."""
        state = agent._store.state
        for item in self.lab.tenant.credentials:
            self.lines.append(f"  took {plain(item._replace(credential=item.credential[:12]))}")
        self.lab.tenant.credentials.clear()
        known = [
            f"  domain {plain(replace(domain, import_attributes=''))}" for _, domain in sorted(state.domains.items())
        ]
        for anchor, password in sorted(state.passwords.items()):
            known.append(f"  password {plain(replace(password, nt=None if password.nt is None else b'...'))}")
            known += [
                f"  attempt {each.time:%H:%M:%S} {each.anchor} {each.result} {each.changed}"
                for each in agent.object_log(anchor)
            ]
        known.append(f"  pending {list(agent.pending())}, waiting {list(state.waiting)}")
        known.append(f"  settings {state.settings}")
        self.lines += [line for line in known if line not in self.known]
        self.known = set(known)

    def run(self, agent: SyncAgent, title: str, minutes: float = 2) -> None:
        self.step(title)
        self.lab.run(agent, minutes)
        self.look(agent)

    def hold(self, name: str, update: bool) -> None:
        """Compare all of it with the golden file, with names in place of anchors."""
        text = "\n".join(self.lines) + "\n"
        for domain in self.lab.domains.values():
            for person in domain.people.values():
                text = text.replace(person.anchor, f"<{person.name}>")
        for long, short in SHORT.items():
            text = text.replace(long, short)
        text = text.replace(str(self.lab.folder), "<folder>")
        path = GOLDEN / f"chronicle-{name}.txt"
        if update:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, "utf-8")
        assert path.read_text("utf-8") == text


class Tap:
    """A replication channel that is watched."""

    def __init__(self, chronicle: Chronicle, domain: str, channel: Any) -> None:
        self.chronicle, self.domain, self.channel = chronicle, domain, channel

    def call(self, operation: str, message: Mapping[str, Any]) -> Mapping[str, Any]:
        keys = ("account", "domain", "naming_context", "cookie", "attributes", "max_objects", "object", "epoch")
        shown = {key: message[key] for key in keys if key in message}
        self.chronicle.say(f"read {self.domain} {operation} {shown}")
        answer: Mapping[str, Any] = self.channel.call(operation, message)
        return answer


def plain(value: Any) -> str:
    """A value's fields that are not as they are by default."""
    if isinstance(value, tuple):
        return " ".join(f"{key}={each!s}" for key, each in value._asdict().items() if each)  # type: ignore[attr-defined]
    found = {each.name: getattr(value, each.name) for each in fields(value)}
    return " ".join(f"{key}={each!r}" for key, each in found.items() if each)


def staff(lab: Any) -> None:
    """Two domains of a forest and one of another, with all kinds of users."""
    asia = lab.add_domain("asia.contoso.example")
    other = lab.add_domain("fabrikam.example", "fabrikam.example", "connector-2")
    for name in ("alice", "bob", "carol", "dave"):
        lab.domain.add(name)
    lab.domain.add("ines", inet="yes")
    lab.domain.add("off", userAccountControl="514")
    lab.domain.add("nopass", None)
    lab.domain.add("out", ou="OU=Elsewhere")
    lab.domain.add("temp")
    lab.domain.require_change("temp")
    asia.add("emil")
    other.add("fritz")


def begun(lab: Any, build: str, **changes: Any) -> tuple[Chronicle, SyncAgent]:
    lab.settings.build = BUILDS[build]
    lab.settings.scope = Scope(exclude_ous=("OU=Elsewhere",))
    lab.settings.batch_size = 3
    for key, value in changes.items():
        setattr(lab.settings, key, value)
    staff(lab)
    chronicle = Chronicle(lab)
    chronicle.step("first cycles")
    agent = lab.installed()
    agent.run_due()
    chronicle.look(agent)
    return chronicle, agent


@pytest.fixture(params=sorted(BUILDS))
def build(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_changes(lab: Any, build: str, update: bool) -> None:
    """Changes of every kind, a restart, and a full synchronization."""
    told, agent = begun(lab, build)
    told.run(agent, "nothing")
    lab.domain.set_password("alice", "1")
    lab.now += timedelta(seconds=5)
    lab.domains["asia.contoso.example"].set_password("emil", "2")
    lab.domain.set_password("bob", "3")
    lab.domains["fabrikam.example"].set_password("fritz", "4")
    lab.domain.set_password("ines", "5")
    lab.domain.set_password("off", "6")
    lab.domain.set_password("out", "7")
    told.run(agent, "passwords changed")
    lab.tenant.features = 16385
    lab.domain.set_password("carol", "8", must_change=True)
    lab.domain.require_change("bob")
    lab.domain.require_change("temp", False)
    told.run(agent, "must change, the feature is on")
    lab.tenant.features = 1
    lab.domain.set_password("carol", "9", must_change=True)
    lab.domain.require_change("bob", False)
    told.run(agent, "must change, the feature is off")
    lab.tenant.failures.append(("configuration", ServiceFault("Access is denied.")))
    lab.domain.set_password("dave", "10", must_change=True)
    told.run(agent, "must change, nobody knows the feature")
    lab.domain.add("gina", "11")
    told.run(agent, "a user who is not exported yet")
    lab.domain.move("alice", "OU=Elsewhere")
    lab.domain.enable("bob", False)
    lab.domain.enable("off")
    told.run(agent, "moved out, disabled, enabled", 30)
    lab.domains["fabrikam.example"].delete("fritz")
    told.run(agent, "deleted")
    if build == "current":
        agent.sync_user(lab.anchor("emil"))
        told.run(agent, "one user by himself")
    agent.full_password_sync("contoso.example")
    told.run(agent, "all of a domain")
    told.run(lab.reborn(agent), "a new process", 4)
    told.hold(f"changes-{build}", update)


def test_refusals(lab: Any, build: str, update: bool) -> None:
    """What the tenant does not take: single users, whole batches, and the agent itself."""
    told, agent = begun(lab, build)
    anchors = {name: lab.anchor(name) for name in ("alice", "bob", "carol", "dave", "emil")}
    for name, code in (("alice", 5), ("bob", -1), ("carol", 2)):
        lab.tenant.results[anchors[name]] = code
    for name in ("alice", "bob", "carol", "dave"):
        lab.domain.set_password(name, "1")
    lab.domains["asia.contoso.example"].set_password("emil", "1")
    told.run(agent, "three users refused")
    told.run(agent, "the same again")
    lab.domain.require_change("alice")
    told.run(agent, "one of them must change")
    lab.domain.require_change("alice", False)
    lab.domain.enable("bob", False)
    lab.domain.move("dave", "OU=Elsewhere")
    lab.tenant.results[lab.anchor("dave")] = 5
    lab.domain.set_password("dave", "2")
    told.run(agent, "one is disabled, one moved", 30)
    lab.domain.delete("alice")
    lab.tenant.results.clear()
    told.run(agent, "one deleted, the others taken")
    for operation, error in (
        ("credentials", TransportError("The line is broken.")),
        ("credentials", ServiceFault("Access is denied.", code=None)),
        ("credentials", ServiceFault("Busy.", code=81, tracking_id="t-1", server="s-1")),
        ("token", TokenError("AADSTS50126: wrong.")),
        ("token", TransportError("No name.")),
        ("secrets", TransportError("No answer.")),
    ):
        for number, name in enumerate(("bob", "carol", "dave", "emil"), 1):
            where = lab.domains["asia.contoso.example"] if name == "emil" else lab.domain
            where.set_password(name, f"{operation}{error}{number}")
        lab.tenant.failures.append((operation, error))
        told.run(agent, f"{operation}: {error}")
        told.run(agent, "and again")
    lab.tenant.failures.append(("credentials", Throttled(503, retry_after=300.0)))
    lab.domain.set_password("carol", "2")
    told.run(agent, "asked to wait")
    told.run(lab.reborn(agent), "a new process waits as well", 8)
    told.hold(f"refusals-{build}", update)


def test_domains_in_trouble(lab: Any, build: str, update: bool) -> None:
    """Domains that can't be read, by every way to fail; what was pending, and what is read one by one."""
    told, agent = begun(lab, build, preferred_controllers={"asia.contoso.example": ("dc7", "dc8")})
    asia = lab.domains["asia.contoso.example"]
    for code in (1722, 8453, 1326, 4711):
        asia.on_call = raising(ReplicationError(code))
        asia.set_password("emil", str(code))
        told.run(agent, f"the domain fails with {code}")
    asia.on_call = lambda operation: None
    told.run(agent, "it is back")
    lab.domain.garbles = True
    lab.domain.set_password("alice", "1")
    told.run(agent, "a secret can't be opened")
    lab.domain.garbles = False
    lab.domain.people["alice"].last_set = -5
    lab.domain.require_change("alice", False)
    told.run(agent, "a time is none")
    lab.domain.people["alice"].last_set = 131_000_000_000_000_000
    told.run(agent, "it is one")
    lab.domain.password = "another!"
    told.run(agent, "the connection goes on under its old password")
    lab.tenant.results = {lab.anchor(name): 5 for name in ("alice", "bob", "carol")}
    for name in ("alice", "bob", "carol"):
        lab.domain.set_password(name, "2")
    told.run(agent, "three wait")
    agent = lab.reborn(agent)
    told.run(agent, "a new process can't sign on")
    lab.domain.password = "connector!"
    agent = lab.reborn(agent)
    gone = lab.domain.people.pop("bob")
    lab.domain.delete("carol")
    told.run(agent, "read one by one: one is unknown, one deleted")
    lab.domain.people["bob"] = gone
    lab.tenant.results.clear()
    agent = lab.reborn(agent)
    told.run(agent, "all can be read again")
    lab.tenant.results = {lab.anchor(name): 5 for name in ("alice", "bob")}
    for name in ("alice", "bob"):
        lab.domain.set_password(name, "3")
    told.run(agent, "two wait")
    lagging = lab.domain.people["alice"]
    lagging.version -= 2
    lab.domain.usn += 1
    lagging.usns["unicodePwd"] = lab.domain.usn
    told.run(agent, "a controller that lags behind tells an older one")
    gone = lab.domain.people.pop("bob")
    agent.full_password_sync("contoso.example")
    told.run(agent, "the whole domain is read, and one of them is not in it")
    lab.domain.people["bob"] = gone
    told.hold(f"domains-{build}", update)


def test_without_password(lab: Any, build: str, update: bool) -> None:
    """Users who come into scope without a password, or are read for nothing else than that."""
    told, agent = begun(lab, build)
    for name in ("nopass", "alice", "temp", "out"):
        lab.domain.enable(name, False)
    told.run(agent, "disabled", 30)
    for name in ("nopass", "alice", "temp", "out"):
        lab.domain.enable(name)
    lab.domain.move("out", "OU=People")
    told.run(agent, "enabled again", 32)
    lab.domain.people["nopass"].usns["isDeleted"] = lab.domain.usn = lab.domain.usn + 1
    lab.domain.require_change("carol")
    lab.domain.people["carol"].usns["pwdLastSet"] = 0
    lab.domain.people["carol"].usns["isDeleted"] = lab.domain.usn
    told.run(agent, "objects without news of their passwords", 4)
    told.hold(f"without-{build}", update)


def test_store_in_trouble(lab: Any, build: str, update: bool) -> None:
    """A database that can't be written before or after a batch, and a server that sends nothing."""
    told, agent = begun(lab, build)
    for title, error in (("locked", locked()), ("full", sqlite3.OperationalError("database or disk is full"))):
        for number in (1, 2):
            commits = 0

            def fail(ordinal: int, number: int = number, error: Exception = error) -> None:
                nonlocal commits
                commits += 1
                told.say("commit")
                if commits == number:
                    raise error

            lab.on_commit = fail
            lab.domain.set_password("alice", f"{title}{number}")
            told.run(agent, f"commit {number} fails: {title}")
            lab.on_commit = lambda number: told.say("commit")
            told.run(agent, "and the next one does not")
    lab.domain.set_password("alice", "staging")
    lab.domain.set_password("bob", "staging")
    agent.configure(staging=True)
    told.run(agent, "a staging server", 32)
    agent.configure(staging=False)
    lab.tenant.on_call = lambda operation: agent.stop() if operation == "credentials" else told.say(operation)
    for name in ("carol", "dave"):
        lab.domain.set_password(name, "stopped")
    told.run(agent, "stopped in mid-batch")
    lab.tenant.on_call = lambda operation: told.say(f"tenant {operation}")
    agent.start()
    told.run(agent, "started again", 34)
    agent.disable_password_sync("contoso.example")
    lab.domain.set_password("alice", "off")
    told.run(agent, "switched off")
    agent.enable_password_sync("contoso.example")
    told.run(agent, "switched on")
    told.hold(f"store-{build}", update)


def raising(error: Exception) -> Callable[[str], None]:
    def fail(operation: str) -> None:
        raise error

    return fail


def locked() -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("database is locked")
    error.sqlite_errorcode = sqlite3.SQLITE_BUSY
    return error
