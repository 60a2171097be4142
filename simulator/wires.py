"""The agent's ports into a world: LDAP, replication and HTTPS, each carried by the network so that it can fail.

What a broken connection looks like differs by wire: ldap3's exceptions, a Win32 code, requests' exceptions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from functools import lru_cache
from io import BytesIO
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import requests
from ldap3.core.exceptions import LDAPSocketOpenError, LDAPSocketReceiveError, LDAPStartTLSError

from pwsync.errors import BinaryXmlError, FileTimeError, ReplicationError
from pwsync.password_reading import SUPPLEMENTAL
from pwsync.replication.client import file_time
from pwsync.tenant.batch import decode_request
from pwsync.tenant.messages import CredentialItem, Request
from simulator.azure_ad.http import host_of
from simulator.azure_ad.provisioning import DECODED, ITEM_RESULTS, REGIONAL_HOST, fault_response
from simulator.azure_ad.wire import Answer
from simulator.farms import FarmDown
from simulator.network import REDIRECTED, Wire

if TYPE_CHECKING:
    from simulator.active_directory.state import Controller
    from simulator.world import World

T = TypeVar("T")

RPC_CODES = {"lost": 1726, "connection-refused": 1722, "link-down": 1722, "timeout": 1818, "tls": 1825}
"""How a broken connection shows in MS-RPC: call failed, server unavailable, call cancelled, security package error."""

HTTP_ERRORS: dict[str, type[requests.RequestException]] = {
    "timeout": requests.exceptions.ReadTimeout,
    "tls": requests.exceptions.SSLError,
}

WIRES = frozenset({"cloud.token", "cloud.set-passwords", "cloud.set-objects", "cloud.ping"})
"""What counts as an attempt on a wire to the cloud; looking up addresses and settings rides along with them."""

REMEMBERED_SIZE = 8192
"""Octets of the longest request that is remembered as it was read."""

_UNAVAILABLE = 503


def broken_ldap(on: str, how: str | int) -> Exception:
    """ldap3's exception for a broken LDAP connection."""
    if how == "tls":
        error: Exception = LDAPStartTLSError("wrap socket error")
    elif on == "directory.bind":
        error = LDAPSocketOpenError(f"unable to open socket ({how})")
    else:
        error = LDAPSocketReceiveError(f"error receiving data ({how})")
    return error


def broken_rpc(how: str | int) -> Exception:
    """The Win32 code for a broken replication call."""
    return ReplicationError(how if isinstance(how, int) else RPC_CODES[how])


def broken_http(how: str | int) -> Exception:
    """requests' exception for a broken HTTPS call."""
    return HTTP_ERRORS.get(str(how), requests.exceptions.ConnectionError)(f"connection broken ({how})")


def failed_ldap(answer: Any) -> tuple[str, float | None] | None:
    """A bind's or search's result code, if it is an error."""
    result = answer[1] if isinstance(answer, tuple) else answer
    code = result.get("result", 0) if isinstance(result, Mapping) else 0
    return (f"LDAP result {code}", None) if code else None


class DirectoryWire:
    """``intercept`` of the simulated directory: carries binds and searches of the agent."""

    def __init__(self, world: World, domain: str, controller: str) -> None:
        self._world = world
        self._domain = domain
        self._controller = controller

    def __call__(self, operation: str, perform: Callable[[], T]) -> T:
        on = "directory.bind" if operation == "bind" else "directory.search"

        def garble(answer: T) -> T:
            raise LDAPSocketReceiveError("error receiving data (not an LDAP message)")

        wire: Wire[T] = Wire(
            perform=lambda results: perform(),
            broken=lambda how: broken_ldap(on, how),
            garble=garble,
            failed=failed_ldap,
        )
        return self._world.network.carry(on, wire, domain=self._domain, controller=self._controller)


class ReplicationWire:
    """A replication channel through the network.

    One attempt is one page of a read (``directory.read-passwords``). Reading single objects rides on the same read and
    is not counted on its own, nor is binding, unless it fails: then it was the cycle's attempt to read.
    """

    def __init__(self, world: World, controller: Controller, server: Any, domain: str) -> None:
        self._world = world
        self._server = server
        self._domain = domain
        self._controller = controller

    def call(self, operation: str, message: Mapping[str, Any]) -> Mapping[str, Any]:
        """Carry one operation; see :class:`pwsync.ports.ReplicationChannel`."""
        if operation != "get-nc-changes" or message.get("object") is not None:
            return self._ride(operation, message)
        wire: Wire[Mapping[str, Any]] = Wire(
            perform=lambda results: self._answer(operation, message),
            broken=broken_rpc,
            garble=garble_page,
            failed=failed_page,
        )
        return self._carry(wire)

    def _carry(self, wire: Wire[Mapping[str, Any]]) -> Mapping[str, Any]:
        return self._world.network.carry(
            "directory.read-passwords", wire, domain=self._domain, controller=self._controller.name
        )

    def _ride(self, operation: str, message: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            if self._domain in self._world.network.down:
                raise broken_rpc("link-down")
            return self._answer(operation, message)
        except ReplicationError as error:
            if operation not in ("negotiate", "authenticate"):
                raise
            failure = error
        wire: Wire[Mapping[str, Any]] = Wire(perform=lambda results: fail(failure), broken=broken_rpc)
        return self._carry(wire)

    def _answer(self, operation: str, message: Mapping[str, Any]) -> Mapping[str, Any]:
        answer: Mapping[str, Any] = self._server.call(operation, message)
        if SUPPLEMENTAL in message.get("attributes", ()):  # the world notes whose Kerberos keys an agent has read
            whose = (entry["guid"] for entry in answer["objects"])
            self._world.keys_read.update((self._domain, self._controller.name, guid) for guid in whose)
        return answer


def fail(error: Exception) -> NoReturn:
    """Raise an error that was caught before."""
    raise error


def failed_page(answer: Mapping[str, Any]) -> tuple[str, float | None] | None:
    """What makes a page one that no client on Windows can take in: a time after the year 9999."""
    for entry in answer["objects"]:
        for attribute in entry["attributes"]:
            if attribute["name"] == "pwdLastSet":
                for value in attribute["values"]:
                    try:
                        file_time(value)
                    except FileTimeError:
                        return "a time of no date", None
    return None


def garble_page(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """A page that can't be used: its secrets do not decrypt, and its cookie is gone."""
    objects = []
    for entry in answer["objects"]:
        attributes = []
        for attribute in entry["attributes"]:
            values = attribute["values"]
            if attribute["name"].lower() == "unicodepwd" and values:
                values = [bytes(byte ^ 0x55 for byte in value) for value in values]
            attributes.append({**attribute, "values": values})
        objects.append({**entry, "attributes": attributes})
    page = {**answer, "objects": objects}
    del page["cookie"]
    return page


class CloudWire:
    """The tenant's application as the agent reaches it: every call is carried by the network.

    Stands in for the application behind :class:`simulator.azure_ad.doubles.TenantDouble`.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self.hosts = (*world.application.hosts, *world.farms.by_host)

    def answer(self, environ: Mapping[str, Any]) -> Answer:
        """Carry one HTTPS call of the agent, or a person's to federation servers; raises what ``requests`` would."""
        if host_of(environ) in self._world.farms.by_host:
            try:
                return self._world.farms.answer(environ)
            except FarmDown:
                raise broken_http("connection-refused") from None
        body = environ["wsgi.input"].read()
        on, request, items = classify(environ, body)
        anchors = [item.source_anchor or "" for item in items]
        counting = self._world.network.counting
        users = [self._world.handle_of_anchor(anchor) for anchor in anchors] if counting else []

        def perform(results: Mapping[str, int]) -> Answer:
            extra: dict[str, Any] = {
                "wsgi.input": BytesIO(body),
                DECODED: None if request is None else (request, items),
            }
            if results:
                pairs = zip(anchors, users, strict=True)
                extra[ITEM_RESULTS] = {anchor: results[user] for anchor, user in pairs if user in results}
            found = self._world.application.answer({**environ, **extra})
            self._world.tenant_answered()
            return found

        self._world.record_request(on, body)
        if on not in WIRES:
            if "cloud" in self._world.network.down:
                raise broken_http("link-down")
            return perform({})
        clock = self._world.clock
        wire = Wire(
            perform=perform,
            broken=broken_http,
            answered=lambda rule: injected(rule, clock()),
            garble=garble_body,
            failed=lambda answer: failed_http(answer, clock()),
        )
        endpoint = None
        if on != "cloud.token":
            endpoint = "regional" if environ["HTTP_HOST"] == REGIONAL_HOST else "well-known"
        return self._world.network.carry(on, wire, users=users, content=items, endpoint=endpoint)


def injected(rule: Any, now: datetime) -> Answer:
    """The answer that a fault rule puts in the service's place."""
    if rule.fault is not None:
        return fault_response(str(rule.fault))
    headers = [("Content-Type", "text/plain")]
    if rule.retry_after is not None:
        headers.append(("Retry-After", retry_after(rule, now)))
    return Answer(rule.answer, headers, b"")


def retry_after(rule: Any, now: datetime) -> str:
    """The header that asks for a rule's pause, in one of the two forms that RFC 9110 10.2.3 has.

    A service that is unavailable names the date at which it will be back, whoever counts calls a number of seconds.
    Which service uses which form is unconfirmed; so a client meets both.
    """
    seconds = max(0, round(rule.retry_after.total_seconds()))
    if rule.answer != _UNAVAILABLE:
        return str(seconds)
    back = now + timedelta(seconds=seconds)
    if back.microsecond:
        back = back.replace(microsecond=0) + timedelta(seconds=1)  # a date of this form has whole seconds
    return format_datetime(back, usegmt=True)


def garble_body(answer: Answer) -> Answer:
    """The same answer with half of its body, and that spoilt."""
    return Answer(answer.status, answer.headers, b"\x00\xff" + answer.body[: len(answer.body) // 2])


def failed_http(answer: Answer, now: datetime) -> tuple[str, float | None] | None:
    """What an HTTP answer says of failure, with the pause it asks for."""
    if answer.status < 400:
        return None
    if b"BindingRedirection" in answer.body:
        return REDIRECTED, None
    after = dict(answer.headers).get("Retry-After")
    if after is None or answer.status == 400:
        return f"HTTP {answer.status}", None
    pause = float(after) if after.isdigit() else (parsedate_to_datetime(after) - now).total_seconds()
    return f"HTTP {answer.status}", pause


def classify(environ: Mapping[str, Any], body: bytes) -> tuple[str, Request | None, list[CredentialItem]]:
    """Which wire a call of the agent is on, and the provisioning service's request inside with its credentials."""
    if environ["HTTP_HOST"].startswith("login."):
        return ("cloud.token" if environ["REQUEST_METHOD"] == "POST" else "discovery"), None, []
    try:
        request, found = decode_request(body) if len(body) > REMEMBERED_SIZE else _decoded(body)
        items = list(found)
    except BinaryXmlError:
        return "unreadable", None, []
    if request.operation.startswith("ProvisionAzureADSyncObjects"):
        return "cloud.set-objects", request, items
    if request.operation != "ProvisionCredentials":
        return "configuration", request, items
    return ("cloud.set-passwords" if items else "cloud.ping"), request, items


@lru_cache(maxsize=512)
def _decoded(body: bytes) -> tuple[Request, list[CredentialItem]]:
    """What is in the body of a request, which nobody changes: reruns of one scenario send the same ones."""
    return decode_request(body)
