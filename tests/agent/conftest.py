"""A small laboratory for the agent: a domain, a tenant and a store, as values that tests look into and set."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
import requests
from hypothesis import settings as hypothesis_settings
from ldap3.core.exceptions import LDAPExtensionError, LDAPSocketOpenError

from pwsync.agent import SyncAgent
from pwsync.credential import nt_hash, verify
from pwsync.directory import NOBODY
from pwsync.errors import ReplicationError, TenantError
from pwsync.event_log import Event
from pwsync.ports import AgentPorts, StorePort, TenantPort
from pwsync.replication import ntlm
from pwsync.replication.envelope import encrypt
from pwsync.settings import BUILD_2017, Connector, Settings
from pwsync.tenant.messages import (
    CompanyConfiguration,
    CredentialItem,
    CredentialResult,
    ObjectResult,
    SecretsConfiguration,
    SyncObject,
)

hypothesis_settings.register_profile("agent", deadline=None)
hypothesis_settings.load_profile("agent")

START = datetime(2017, 1, 13, 9, tzinfo=UTC)
EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
PAGED = "1.2.840.113556.1.4.319"
SID = bytes.fromhex("010500000000000515000000010000000200000003000000")


class Crash(BaseException):
    """The agent's process dies."""


@dataclass
class Person:
    """A user of the domain double; every attribute carries the USN of its last change."""

    number: int
    name: str
    dn: str
    attributes: dict[str, list[str]]
    usns: dict[str, int]
    secret: bytes = b""
    supplemental: bytes = b""
    version: int = 0
    changed: int = 0
    must_change: bool = False
    deleted: bool = False
    last_set: int = 131_000_000_000_000_000

    @property
    def guid(self) -> bytes:
        return UUID(int=self.number, version=4).bytes_le

    @property
    def anchor(self) -> str:
        return b64encode(self.guid).decode()

    @property
    def sid(self) -> bytes:
        return SID + (1000 + self.number).to_bytes(4, "little")


class Domain:
    """A domain double: users with USNs, and both ways in, replication and LDAP."""

    def __init__(self, name: str, clock: Callable[[], datetime], first: int = 1) -> None:
        self.name, self.clock, self.usn, self.next = name, clock, 1000, first
        self.root = ",".join(f"DC={part}" for part in name.split("."))
        self.people: dict[str, Person] = {}
        self.password = "connector!"
        self.garbles = False
        self.calls: list[str] = []
        self.on_call: Callable[[str], None] = lambda operation: None

    def add(self, name: str, password: str | None = "Winter-2016!", **attributes: str) -> Person:
        ou = attributes.pop("ou", "OU=People")
        classes = ["top", "person", "organizationalPerson", "user"]
        if attributes.pop("inet", ""):
            classes.append("inetOrgPerson")
        values = {
            "objectClass": classes,
            "sAMAccountName": [name],
            "userPrincipalName": [f"{name}@{self.name}"],
            "displayName": [name.title()],
            "userAccountControl": ["512"],
            **{key: [value] for key, value in attributes.items()},
        }
        self.usn += 1
        dn = f"CN={name},{ou},{self.root}"
        person = Person(self.next, name, dn, values, dict.fromkeys([*values, "pwdLastSet"], self.usn))
        self.next += 1
        self.people[name] = person
        if password is not None:
            self.set_password(name, password)
        return person

    def set_password(self, name: str, password: str, *, must_change: bool = False) -> None:
        person = self.people[name]
        self.usn += 1
        person.secret, person.must_change = nt_hash(password), must_change
        person.version += 1
        person.changed = int((self.clock() - EPOCH).total_seconds())
        person.usns["unicodePwd"] = person.usns["pwdLastSet"] = self.usn

    def require_change(self, name: str, required: bool = True) -> None:
        self.usn += 1
        self.people[name].must_change = required
        self.people[name].usns["pwdLastSet"] = self.usn

    def set(self, name: str, **attributes: str) -> None:
        self.usn += 1
        for key, value in attributes.items():
            self.people[name].attributes[key] = [value] if value else []
            self.people[name].usns[key] = self.usn

    def enable(self, name: str, enabled: bool = True) -> None:
        self.set(name, userAccountControl="512" if enabled else "514")

    def move(self, name: str, ou: str) -> None:
        self.usn += 1
        person = self.people[name]
        person.dn, person.usns["name"] = f"CN={name},{ou},{self.root}", self.usn

    def delete(self, name: str) -> None:
        self.usn += 1
        person = self.people[name]
        person.deleted, person.usns["isDeleted"] = True, self.usn
        person.dn = f"CN={name}\\0ADEL:{person.number},CN=Deleted Objects,{self.root}"
        person.attributes["isDeleted"] = ["TRUE"]


class Channel:
    """The replication channel of a domain double."""

    def __init__(self, domain: Domain) -> None:
        self.domain, self.key, self.challenge = domain, b"", b"challeng"
        self.salts = Random(1)

    def call(self, operation: str, message: Mapping[str, Any]) -> Mapping[str, Any]:
        self.domain.calls.append(operation)
        self.domain.on_call(operation)
        return getattr(self, operation.replace("-", "_"))(message)

    def negotiate(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"binding": 1, "challenge": self.challenge, "target_info": ntlm.target_info("D", "S")}

    def authenticate(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        key = ntlm.ntowf_v2(nt_hash(self.domain.password), message["account"], message["domain"])
        if ntlm.nt_proof(key, self.challenge, message["client_blob"]) != message["proof"]:
            raise ReplicationError(1326)
        self.key = ntlm.session_base_key(key, message["proof"])
        return {"handle": b"handle"}

    def unbind(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        return {}

    def get_nc_changes(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        since = int(message["cookie"] or b"0")
        people = sorted(self.domain.people.values(), key=self.last)
        if message["object"] is not None:
            found = [person for person in people if person.guid == message["object"]]
            if not found:
                raise ReplicationError(8333)
            if message["attributes"] == ["supplementalCredentials"]:
                return {"objects": [self.supplemental(found[0])], "cookie": b"0", "more": False}
            return {"objects": [self.object(found[0], 0)], "cookie": b"0", "more": False}
        found = [person for person in people if self.last(person) > since]
        page, rest = found[: message["max_objects"]], found[message["max_objects"] :]
        cookie = self.last(page[-1]) if rest else self.domain.usn
        objects = [self.object(person, since) for person in page]
        return {"objects": objects, "cookie": str(cookie).encode(), "more": bool(rest)}

    def supplemental(self, person: Person) -> Mapping[str, Any]:
        """The one attribute without a RID layer; a user without it has an object without attributes."""
        secret = encrypt(person.supplemental, self.key, self.salts.randbytes(16), None)
        secret = secret[:-1] + bytes([secret[-1] ^ 1]) if self.domain.garbles else secret
        attribute = {
            "name": "supplementalCredentials", "values": [secret], "version": 1, "changed": person.changed,
            "local_usn": 1, "invocation": bytes(16), "originating_usn": 1,
        }  # fmt: skip
        return {
            "guid": person.guid, "dn": person.dn, "sid": person.sid, "deleted": person.deleted,
            "attributes": [attribute] if person.supplemental else [],
        }  # fmt: skip

    @staticmethod
    def last(person: Person) -> int:
        return max(person.usns.get(name, 0) for name in ("unicodePwd", "pwdLastSet", "isDeleted"))

    def object(self, person: Person, since: int) -> Mapping[str, Any]:
        attributes = []
        stamp = {"invocation": bytes(16), "originating_usn": 1}
        usn = person.usns.get("unicodePwd", 0)
        if usn > since and not person.deleted:
            rid = int.from_bytes(person.sid[-4:], "little")
            secret = encrypt(person.secret, self.key, self.salts.randbytes(16), rid)
            secret = secret[:-1] + bytes([secret[-1] ^ 1]) if self.domain.garbles else secret
            attributes.append(
                {"name": "unicodePwd", "values": [secret], "version": person.version, "changed": person.changed,
                 "local_usn": usn, **stamp}
            )  # fmt: skip
        if person.usns["pwdLastSet"] > since and not person.deleted:
            ticks = 0 if person.must_change or not person.secret else person.last_set
            value = ticks.to_bytes(8, "little", signed=True)
            attributes.append(
                {"name": "pwdLastSet", "values": [value], "version": 1, "changed": person.changed,
                 "local_usn": person.usns["pwdLastSet"], **stamp}
            )  # fmt: skip
        return {
            "guid": person.guid, "dn": person.dn, "sid": person.sid, "deleted": person.deleted, "attributes": attributes
        }  # fmt: skip


class Connection:
    """The LDAP connection of a domain double: bind, search, DirSync, unbind."""

    def __init__(self, domain: Domain) -> None:
        self.domain, self.password, self.result, self.last_error = domain, "", {}, None
        self.extend = SimpleNamespace(microsoft=SimpleNamespace(dir_sync=self.dir_sync))

    def bind(self) -> bool:
        self.domain.calls.append("bind")
        self.domain.on_call("bind")
        if self.password == self.domain.password:
            return True
        self.result = {"result": 49, "description": "invalidCredentials", "message": "data 52e"}
        return False

    def unbind(self) -> None:
        self.domain.calls.append("unbind-ldap")

    def dir_sync(self, base: str, query: str, attributes: Sequence[str], cookie: bytes, hex_guid: bool) -> Any:
        assert base == self.domain.root
        search = SimpleNamespace(more_results=True, cookie=cookie)

        def loop() -> list[dict[str, Any]]:
            if query == NOBODY:
                search.more_results, search.cookie = False, str(self.domain.usn).encode()
                return []
            self.domain.calls.append("search")
            self.domain.on_call("search")
            if cookie == b"garbage":
                self.result = {"result": 12, "description": "unavailableCriticalExtension"}
                raise LDAPExtensionError("no")
            since = int(search.cookie or b"0")
            search.more_results, search.cookie = False, str(self.domain.usn).encode()
            people = sorted(self.domain.people.values(), key=lambda person: max(person.usns.values()))
            return [
                {"type": "searchResRef"},
                *(entry for person in people if (entry := self.entry(person, since, attributes)) is not None),
            ]

        search.loop = loop
        return search

    def search(
        self,
        base: str,
        query: str,
        scope: str,
        attributes: Sequence[str],
        paged_size: int = 0,
        paged_cookie: bytes | None = None,
    ) -> bool:
        """All users, page by page, or one object by its GUID."""
        if base == self.domain.root:
            return self.page(attributes, paged_size, int(paged_cookie or b"0"))
        guid = UUID(base.removeprefix("<GUID=").removesuffix(">")).bytes_le
        found = [person for person in self.domain.people.values() if person.guid == guid and not person.deleted]
        self.response = [{**(self.entry(person, -1, attributes) or {}), "dn": person.dn} for person in found]
        return bool(found)

    def page(self, attributes: Sequence[str], size: int, first: int) -> bool:
        self.domain.calls.append("search")
        self.domain.on_call("search")
        people = sorted(
            (each for each in self.domain.people.values() if not each.deleted), key=lambda each: each.number
        )
        last = first + size
        cookie = str(last).encode() if last < len(people) else b""
        self.result = {"result": 0, "controls": {PAGED: {"value": {"size": 0, "cookie": cookie}}}}
        entries = ({**(self.entry(each, -1, attributes) or {}), "dn": each.dn} for each in people[first:last])
        self.response = [{"type": "searchResRef"}, *entries]
        return True

    def entry(self, person: Person, since: int, asked: Sequence[str]) -> dict[str, Any] | None:
        changed = {name for name, usn in person.usns.items() if usn > since and name in asked}
        if not changed:
            return None
        raw = {name: [v.encode() for v in person.attributes.get(name, [])] for name in changed}
        raw["objectGUID"], raw["objectSid"] = [person.guid], [person.sid]
        return {"type": "searchResEntry", "dn": f"<GUID=1>;<SID=2>;{person.dn}", "raw_attributes": raw}


@dataclass
class Tenant:
    """The tenant double: what arrived, and what to answer."""

    users: dict[str, SyncObject] = field(default_factory=dict)
    credentials: list[CredentialItem] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    results: dict[str, int] = field(default_factory=dict)
    failures: list[tuple[str, TenantError]] = field(default_factory=list)
    features: int = 1
    secrets: SecretsConfiguration = field(default_factory=SecretsConfiguration)
    on_call: Callable[[str], None] = lambda operation: None
    lose_answers: bool = False

    def _call(self, operation: str) -> None:
        self.calls.append(operation)
        self.on_call(operation)
        for index, (name, error) in enumerate(self.failures):
            if name == operation:
                del self.failures[index]
                raise error

    def token(self) -> str:
        self._call("token")
        return "token"

    def send_credentials(self, items: Sequence[CredentialItem]) -> list[CredentialResult]:
        self._call("credentials")
        self.batches.append(len(items))
        results = []
        for item in items:
            code = self.results.get(item.source_anchor, 0 if item.source_anchor in self.users else 2)
            if code == 0:
                self.credentials.append(item)
            results.append(
                CredentialResult(item.source_anchor, None, None if code < 0 else code, "why" if code else None)
            )
        return results

    def send_objects(self, objects: Sequence[SyncObject]) -> list[ObjectResult]:
        self._call("objects")
        results = []
        for item in objects:
            code = "Failure" if self.results.get("object:" + item.source_anchor) else "Success"
            if code == "Success" and item.operation == "Delete":
                self.users.pop(item.source_anchor, None)
            elif code == "Success":
                self.users[item.source_anchor] = item
            results.append(ObjectResult(item.source_anchor, "User", item.operation, code))
        return results

    def ping(self) -> None:
        self._call("ping")

    def company_configuration(self) -> CompanyConfiguration:
        self._call("configuration")
        return CompanyConfiguration("tenant", dirsync_features=self.features)

    def set_features(self, bits: int) -> None:
        self._call("features")
        self.features = bits

    def secrets_configuration(self) -> SecretsConfiguration:
        """A tenant that wants no secrets is asked in silence: that is no call that a test of passwords counts."""
        if self.secrets.wanted or any(name == "secrets" for name, _ in self.failures):
            self._call("secrets")
        return self.secrets


class Lab:
    """One or more domains, a tenant, a store in a file, a clock that only tests move, and the agent over them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.now = folder, START
        self.domains = {"contoso.example": Domain("contoso.example", lambda: self.now)}
        self.domain = self.domains["contoso.example"]
        self.tenant = Tenant()
        self.events: list[Event] = []
        self.cycles: list[tuple[str, datetime]] = []
        self.commits = 0
        self.on_commit: Callable[[int], None] = lambda number: None
        self.crash_after_commit = 0
        self.settings = Settings(self.connectors(), "sync@contoso", "secret", build=BUILD_2017)
        self.agents: list[SyncAgent] = []
        self._randoms: dict[str, Random] = {}

    def add_domain(self, name: str, forest: str = "contoso.example", connector: str = "connector-1") -> Domain:
        domain = self.domains[name] = Domain(name, lambda: self.now, first=500 * (len(self.domains) + 1))
        self.settings.connectors = (
            *self.settings.connectors,
            Connector(name, forest, connector, "MSOL_1", domain.password, ("dc1",)),
        )
        return domain

    def connectors(self) -> tuple[Connector, ...]:
        return (Connector("contoso.example", "contoso.example", "connector-1", "MSOL_1", "connector!", ("dc1", "dc2")),)

    def ports(self) -> AgentPorts:
        return AgentPorts(
            clock=lambda: self.now,
            directory=self.directory,
            replication=lambda domain, controller: Channel(self.domains[domain]),
            tenant=TenantPort(requests.Session(), "tenant"),
            store=StorePort(str(self.folder / "agent.db"), self.commit),
            settings=self.settings,
            random=lambda name: self._randoms.setdefault(name, Random(name)),
            event_log=self.events.append,
            run_history=lambda kind: self.cycles.append((kind, self.now)),
        )

    def directory(self, domain: str, controller: str) -> Any:
        if controller == "down":
            raise LDAPSocketOpenError("unable to open socket")
        return Connection(self.domains[domain])

    def commit(self, perform: Callable[[], None]) -> None:
        self.commits += 1
        self.on_commit(self.commits)
        perform()
        if self.commits == self.crash_after_commit:
            raise Crash

    def agent(self) -> SyncAgent:
        agent = SyncAgent(self.ports(), lambda ports: (self.tenant, self.tenant))
        self.agents.append(agent)
        return agent

    def installed(self, **how: bool) -> SyncAgent:
        agent = self.agent()
        agent.install(**(how or {"express": True}))
        agent.start()
        return agent

    def settled(self) -> SyncAgent:
        """Installed, and the first cycles have run; what they left behind is forgotten."""
        agent = self.installed()
        agent.run_due()
        self.forget()
        return agent

    def forget(self) -> None:
        for seen in (self.events, self.cycles, self.tenant.credentials, self.tenant.batches, self.tenant.calls):
            seen.clear()
        for domain in self.domains.values():
            domain.calls.clear()
        self.commits = 0

    def run(self, agent: SyncAgent, minutes: float = 2) -> None:
        """Let time pass, cycle by cycle."""
        end = self.now + timedelta(minutes=minutes)
        while (due := agent.next_due()) is not None and due <= end:
            self.now = max(self.now, due)
            agent.run_due()
        self.now = end

    def reborn(self, agent: SyncAgent) -> SyncAgent:
        """The process is gone; a new one starts over the same store."""
        agent.close()
        agent = self.agent()
        agent.start()
        return agent

    def names(self, anchors: Sequence[str]) -> list[str]:
        known = {person.anchor: person.name for domain in self.domains.values() for person in domain.people.values()}
        return [known[anchor] for anchor in anchors]

    def received(self) -> list[str]:
        return self.names([item.source_anchor for item in self.tenant.credentials])

    def anchor(self, name: str) -> str:
        return next(domain.people[name].anchor for domain in self.domains.values() if name in domain.people)

    def status(self, agent: SyncAgent, name: str) -> str:
        return agent.status(self.anchor(name))

    def holds(self, name: str, password: str) -> bool:
        """Is the last credential that the tenant took for the user that of the password?"""
        texts = [item.credential for item in self.tenant.credentials if item.source_anchor == self.anchor(name)]
        return bool(texts) and verify(nt_hash(password), texts[-1])

    def ids(self, *wanted: int) -> list[int]:
        return [event.id for event in self.events if not wanted or event.id in wanted]


@pytest.fixture
def lab(tmp_path: Path) -> Any:
    """A laboratory with one domain and nobody in it."""
    made = Lab(tmp_path)
    yield made
    for agent in made.agents:
        agent.close()


@pytest.fixture
def crash() -> type[BaseException]:
    """What the world raises to let the process die."""
    return Crash
