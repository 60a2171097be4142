"""Directory replication of both servers behind one face: who may read what, which attributes come, in which order."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, Protocol
from uuid import UUID

from conformance.controller import PYTHON, Samba

from pwsync.errors import ReplicationError
from pwsync.replication.client import ReplicationClient, ReplicationPage
from pwsync.replication.envelope import decrypt
from simulator.active_directory import cookies
from simulator.active_directory.replication import (
    SPECIAL_SECRET_PROCESSING,
    WRITABLE_REPLICA,
    ReplicationServer,
)
from simulator.active_directory.state import Domain

GET_CHANGES, GET_CHANGES_ALL = "replicate-changes", "replicate-changes-all"
RIGHTS = {
    GET_CHANGES: "1131f6aa-9c07-11d1-f79f-00c04fc2dcd2",
    GET_CHANGES_ALL: "1131f6ad-9c07-11d1-f79f-00c04fc2dcd2",
}
"""Control access rights by GUID ([MS-ADTS] 5.1.3.2.1)."""

WIN32_OF_STATUS = {0xC000006D: 1326, 0xC0000022: 5}
"""NTSTATUS of a bind as the Win32 code that Windows makes of it."""

RID_LAYER = ("unicodePwd", "ntPwdHistory", "lmPwdHistory", "dBCSPwd")
SECRETS = (*RID_LAYER, "supplementalCredentials")
SHOWN = (*SECRETS, "pwdLastSet", "instanceType", "isDeleted", "description", "sAMAccountName")
"""What is looked at of what comes."""


@dataclass(frozen=True)
class Found:
    """One object of a page. attributes: plain octets of each value. sizes: octets of each value on the wire."""

    dn: str
    guid: UUID
    attributes: Mapping[str, Sequence[bytes]]
    sizes: Mapping[str, Sequence[int]]


@dataclass(frozen=True)
class Page:
    """One answer. tmp and highest are the two parts of the high-water mark; error a Win32 code instead of all else."""

    objects: Sequence[Found] = ()
    more: bool = False
    cookie: Any = None
    tmp: int = 0
    highest: int = 0
    error: int = 0


@dataclass(frozen=True)
class Ask:
    """A request. attributes None: everything. object: that object alone. special: SPECIAL_SECRET_PROCESSING."""

    cookie: Any = None
    attributes: Sequence[str] | None = None
    max_objects: int = 400
    object: UUID | None = None
    special: bool = False
    context: str = "DC=contoso,DC=example"


Reader = Callable[[Ask], Page]


class Replication(Protocol):
    """A controller's replication interface. connector: account whose rights are set, as (DOMAIN\\name, password)."""

    connector: tuple[str, str]

    def grant(self, rights: Iterable[str]) -> None:
        """Give the connector these rights on the domain and no others."""

    def bind(self, user: str, password: str) -> Reader | int:
        """A reader, or the Win32 code of the refusal; user: a name without its domain."""


class SambaReplication:
    """Samba's, by way of its own bindings in a process of their own."""

    def __init__(self, samba: Samba) -> None:
        self._samba = samba
        self.connector = (f"{samba.netbios}\\connector", "Connector-2016!")
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> SambaReplication:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()

    def _ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        if self._process is None:
            driver = Path(__file__).with_name("drsuapi_driver.py")
            base = ",".join(f"DC={part}" for part in self._samba.domain.split("."))
            self._process = subprocess.Popen(
                [PYTHON, "-I", str(driver), str(self._samba.configuration), base], env=dict(self._samba.environment),
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
        if not line:
            self._process = None
            raise RuntimeError(f"the replication driver ended: {process.communicate()[1][-1000:]}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def grant(self, rights: Iterable[str]) -> None:
        account = self.connector[0].partition("\\")[2]
        self._ask({"do": "rights", "account": account, "rights": [RIGHTS[each] for each in rights]})

    def bind(self, user: str, password: str) -> Reader | int:
        answer = self._ask({"do": "bind", "user": user, "password": password})
        if "error" in answer:
            return WIN32_OF_STATUS.get(answer["error"], int(answer["error"]))
        return lambda ask: self._page(answer["session"], ask)

    def _page(self, session: int, ask: Ask) -> Page:
        answer = self._ask(
            {
                "do": "changes", "session": session, "cookie": ask.cookie, "max": ask.max_objects,
                "attributes": None if ask.attributes is None else list(ask.attributes),
                "object": None if ask.object is None else str(ask.object), "special": ask.special,
                "context": ask.context,
            }
        )  # fmt: skip
        if "error" in answer:
            return Page(error=answer["error"])
        tmp, highest = answer["cookie"]
        return Page([_samba_found(each) for each in answer["objects"]], answer["more"], [tmp, highest], tmp, highest)


def _samba_found(raw: Mapping[str, Any]) -> Found:
    attributes = {name: [bytes.fromhex(each) for each in of["values"]] for name, of in raw["attributes"].items()}
    sizes = {name: of["sizes"] for name, of in raw["attributes"].items()}
    return Found(raw["dn"], UUID(raw["guid"]), attributes, sizes)


@dataclass
class OurReplication:
    """The simulated controller's, by way of the agent's own client."""

    domain: Domain
    clock: Callable[[], datetime]
    held: set[str] = field(default_factory=lambda: {GET_CHANGES, GET_CHANGES_ALL})

    @property
    def connector(self) -> tuple[str, str]:
        name, password = self.domain.connector_account()
        return f"{self.domain.netbios}\\{name}", password

    def grant(self, rights: Iterable[str]) -> None:
        wanted = set(rights)
        for right in RIGHTS:
            if right in wanted:
                self.domain.grant(right)
            else:
                self.domain.revoke(right)

    def bind(self, user: str, password: str) -> Reader | int:
        channel = _Channel(ReplicationServer(self.domain.controller()))
        client = ReplicationClient(channel, Random(1), self.clock)
        try:
            client.bind(self.domain.name, user, password)
        except ReplicationError as refused:
            return refused.code
        return lambda ask: self._page(channel, client, ask)

    @staticmethod
    def _page(channel: _Channel, client: ReplicationClient, ask: Ask) -> Page:
        channel.ask = ask
        attributes = ask.attributes or ()
        try:
            if ask.object is not None:
                page = client.object(ask.object, ask.context, attributes)
            else:
                page = client.changes(ask.cookie, ask.context, attributes, max_objects=ask.max_objects)
        except ReplicationError as refused:
            return Page(error=refused.code)
        return _our_page(client, page)


@dataclass
class _Channel:
    """Puts into a request what the agent's client never asks for."""

    server: ReplicationServer
    ask: Ask = field(default_factory=Ask)

    def call(self, operation: str, message: Mapping[str, Any]) -> Mapping[str, Any]:
        """Hand a message on."""
        if operation == "get-nc-changes":
            flags = SPECIAL_SECRET_PROCESSING if self.ask.special else WRITABLE_REPLICA
            message = {**message, "flags": flags, "attributes": self.ask.attributes}
        return self.server.call(operation, message)


def _our_page(client: ReplicationClient, page: ReplicationPage) -> Page:
    objects = []
    for found in page.objects:
        plain: dict[str, Sequence[bytes]] = {}
        for name, attribute in found.attributes.items():
            if name not in SHOWN:
                continue
            plain[name] = attribute.values
            if name in SECRETS:
                rid = found.rid if name in RID_LAYER else None
                opened = [decrypt(value, client.session_keys, rid) for value in attribute.values]
                plain[name] = [each for each in opened if each is not None]
        sizes = {name: [len(value) for value in of.values] for name, of in found.attributes.items() if name in SHOWN}
        objects.append(Found(found.dn, found.guid, plain, sizes))
    try:
        cookie = cookies.unpack(page.cookie)
    except cookies.BadCookie:  # a single object's answer has none
        return Page(objects, page.more, page.cookie)
    return Page(objects, page.more, page.cookie, cookie.reached, cookie.done)


def packages(credentials: bytes) -> list[str]:
    """Names of the properties in supplementalCredentials ([MS-SAMR] 2.2.10.1 USER_PROPERTIES)."""
    if len(credentials) < 112:
        return []
    count, at, names = int.from_bytes(credentials[110:112], "little"), 112, []
    for _ in range(count):
        name_size, value_size = (int.from_bytes(credentials[at + n : at + n + 2], "little") for n in (0, 2))
        names.append(credentials[at + 6 : at + 6 + name_size].decode("utf-16-le"))
        at += 6 + name_size + value_size
    return names
