"""A domain on real ports, raw clients for it, and what must be left behind: nothing."""

from __future__ import annotations

import gc
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ldap3.protocol import rfc4511
from pyasn1.codec.ber import decoder

from simulator.active_directory.encoding import BOOLEAN, ENUMERATED, OCTETS, SEQUENCE, integer, message, text, tlv
from simulator.active_directory.messages import frame_size
from simulator.active_directory.port import DirectoryPort
from simulator.active_directory.state import Domain, Forest
from simulator.clock import Clock
from simulator.random import Randomness

START = datetime(2017, 1, 13, 9, tzinfo=UTC)
ROOT = "DC=contoso,DC=example"
PEOPLE = f"OU=People,{ROOT}"
ALICE, PASSWORD = f"CN=alice,{PEOPLE}", "Winter-2016!"
PATIENCE_SECONDS = 30.0
"""A port that has not answered by then is taken to be stuck."""

PRESENT = tlv(0x87, b"objectClass")
_MESSAGE = rfc4511.LDAPMessage()


class Lab:
    """A domain with one user, alice, served on free ports of this machine."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.clock = Clock(START)
        self.forest = Forest("forest", self.clock, Randomness(1))
        self.domain: Domain = self.forest.add_domain(
            "contoso.example", controllers=options.pop("controllers", ("dc1",))
        )
        self.domain.create_user("alice", PASSWORD, check_policy=False)
        self.domain.replicate()
        self._binds_in_clear = not options.get("require_signing")
        self.port = DirectoryPort(self.domain.controller(), **options)
        self.ca = folder / "ca.pem"
        self.ca.write_text(self.port.authority.pem)

    @property
    def administrator(self) -> tuple[str, str]:
        """Name and password of the administrator."""
        return "CONTOSO\\Administrator", self.domain.administrator_password

    def client(self, *, tls: bool = False) -> RawClient:
        """A connection that speaks octets."""
        client = RawClient(
            socket.create_connection(("127.0.0.1", self.port.ldaps_port if tls else self.port.ldap_port))
        )
        if tls:
            client.start_tls(self.ca)
        return client

    def answers(self) -> bool:
        """Whether the port still answers a newcomer rightly, protected and in clear."""
        for tls in (True, False) if self._binds_in_clear else (True,):
            with self.client(tls=tls) as client:
                client.send(bind(1, *self.administrator), search(2, "(cn=alice)"), unbind(3))
                codes = [(answer.number, answer.kind, answer.code) for answer in client.all()]
                if codes != [(1, "bindResponse", 0), (2, "searchResEntry", None), (2, "searchResDone", 0)]:
                    return False
        return True


@dataclass(frozen=True)
class Answer:
    """An answer, decoded by ldap3's definitions. code: None for what has no result."""

    number: int
    kind: str
    code: int | None
    text: str
    body: Any
    controls: Any


class RawClient:
    """Sends octets and reads answers."""

    def __init__(self, raw: socket.socket) -> None:
        self.socket = raw
        raw.settimeout(PATIENCE_SECONDS)
        self._buffer = bytearray()

    def __enter__(self) -> RawClient:
        return self

    def __exit__(self, *reason: object) -> None:
        self.socket.close()

    def start_tls(self, ca: Path) -> None:
        """Negotiate TLS; the server must prove that it is ``localhost``."""
        context = ssl.create_default_context(cafile=str(ca))
        raw = self.socket
        try:
            self.socket = context.wrap_socket(raw, server_hostname="localhost")
        except OSError:
            raw.close()
            raise

    def send(self, *octets: bytes) -> None:
        """Send everything in one go."""
        self.socket.sendall(b"".join(octets))

    def receive(self) -> Answer | None:
        """The next answer; None once the server has closed."""
        while (size := frame_size(self._buffer)) is None or size > len(self._buffer):
            try:
                received = self.socket.recv(65536)
            except (ConnectionError, ssl.SSLError):  # reset, or cut off where TLS has no end
                received = b""
            if not received:
                assert not self._buffer, "the server stopped in the middle of an answer"
                return None
            self._buffer += received
        octets = bytes(self._buffer[:size])
        del self._buffer[:size]
        return decoded(octets)

    def ask(self, *octets: bytes) -> Answer:
        """Send, and return the next answer."""
        self.send(*octets)
        answer = self.receive()
        assert answer is not None, "the server has closed the connection"
        return answer

    def until(self, last: Callable[[Answer], bool]) -> Iterator[Answer]:
        """Answers up to the one that is the last, or until the server closes."""
        while (answer := self.receive()) is not None:
            yield answer
            if last(answer):
                return

    def all(self) -> list[Answer]:
        """Everything that comes until the server closes."""
        return list(iter(self.receive, None))


def decoded(octets: bytes) -> Answer:
    """One answer of a server."""
    found, rest = decoder.decode(octets, asn1Spec=_MESSAGE)
    assert not rest
    operation = found["protocolOp"]
    body = operation[operation.getName()]
    result = "searchResEntry" not in operation.getName() and "searchResRef" not in operation.getName()
    return Answer(
        int(found["messageID"]),
        operation.getName(),
        int(body["resultCode"]) if result else None,
        str(body["diagnosticMessage"]) if result else "",
        body,
        found["controls"],
    )


# --- requests -----------------------------------------------------------------------------------------------------


def request(number: int, tag: int, *parts: bytes, controls: Sequence[tuple[str, bool, bytes]] = ()) -> bytes:
    """A message with a constructed request."""
    return message(number, tlv(tag, b"".join(parts)), controls)


def bind(number: int, name: str, password: str, version: int = 3) -> bytes:
    """A simple bind."""
    return request(number, 0x60, integer(version), text(name), tlv(0x80, password.encode()))


def unbind(number: int) -> bytes:
    """An unbind."""
    return message(number, tlv(0x42, b""))


def equals(name: str, value: bytes) -> bytes:
    """A filter: an attribute has a value."""
    return tlv(0xA3, tlv(OCTETS, name.encode()) + tlv(OCTETS, value))


def search(
    number: int,
    what: str | bytes = PRESENT,
    base: str = PEOPLE,
    *,
    scope: int = 2,
    deref: int = 0,
    size: int = 0,
    seconds: int = 0,
    types_only: bool = False,
    attributes: Sequence[str] = ("cn",),
    controls: Sequence[tuple[str, bool, bytes]] = (),
) -> bytes:
    """A search; ``what``: ``(name=value)``, or a filter's octets."""
    if isinstance(what, str):
        name, _, value = what.strip("()").partition("=")
        what = equals(name, value.encode())
    return request(
        number,
        0x63,
        text(base),
        integer(scope, ENUMERATED),
        integer(deref, ENUMERATED),
        integer(size),
        integer(seconds),
        tlv(BOOLEAN, b"\xff" if types_only else b"\0"),
        what,
        tlv(SEQUENCE, b"".join(map(text, attributes))),
        controls=controls,
    )


def root(number: int, *attributes: str) -> bytes:
    """A search for the root, which anyone may read."""
    return search(number, base="", scope=0, attributes=attributes or ("defaultNamingContext",))


def extended(number: int, oid: str, value: bytes | None = None) -> bytes:
    """An extended request."""
    parts = [tlv(0x80, oid.encode())]
    return request(number, 0x77, *parts, *([] if value is None else [tlv(0x81, value)]))


# --- what must be left behind -------------------------------------------------------------------------------------


def descriptors() -> int:
    """How many descriptors this process has; 0 where the system does not tell."""
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0


@contextmanager
def nothing_left() -> Iterator[None]:
    """What happens in this block leaves no thread and no descriptor."""
    gc.collect()
    threads, before = set(threading.enumerate()), descriptors()
    yield
    gc.collect()
    for thread in set(threading.enumerate()) - threads:
        with suppress(RuntimeError):
            thread.join(PATIENCE_SECONDS)
    assert set(threading.enumerate()) <= threads
    assert descriptors() <= before
