"""The directory behind ldap3: a strategy for its ``Connection`` that answers from a simulated controller.

ldap3 hands each request over as ASN.1 objects; :mod:`~simulator.active_directory.messages` has a session carry it out,
and the strategy turns the answers into the dictionaries that ldap3's real strategies make.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import ldap3
from ldap3.core.exceptions import LDAPOperationResult, LDAPSocketOpenError, LDAPSocketReceiveError
from ldap3.core.results import DO_NOT_RAISE_EXCEPTIONS, RESULT_CODES
from ldap3.protocol.oid import Oids
from ldap3.strategy.base import BaseStrategy
from ldap3.strategy.mockSync import MockSyncStrategy
from ldap3.strategy.sync import SyncStrategy
from ldap3.utils.ciDict import CaseInsensitiveDict

from simulator.active_directory import messages, schema
from simulator.active_directory.errors import LdapError
from simulator.active_directory.requests import DIRSYNC, PAGED, Found, Values
from simulator.active_directory.session import Session

if TYPE_CHECKING:
    from simulator.active_directory.state import Controller

T = TypeVar("T")
Intercept = Callable[[str, Callable[[], Any]], Any]

OPERATIONS = {
    "bindRequest": ("bind", "bindResponse"),
    "addRequest": ("add", "addResponse"),
    "modifyRequest": ("modify", "modifyResponse"),
    "modDNRequest": ("modify-dn", "modDNResponse"),
    "delRequest": ("delete", "delResponse"),
    "compareRequest": ("compare", "compareResponse"),
    "extendedReq": ("extended", "extendedResp"),
}


def pass_through(operation: str, perform: Callable[[], T]) -> T:
    """The intercept that lets everything through."""
    return perform()


class DirectoryStrategy(MockSyncStrategy):  # type: ignore[misc] # ldap3 has no types
    """Synchronous access to one controller."""

    def __init__(self, connection: DirectoryConnection, controller: Controller, intercept: Intercept) -> None:
        SyncStrategy.__init__(self, connection)
        self.no_real_dsa = True
        self.bound = None
        self.session = Session(controller)
        self._controller = controller
        self._intercept = intercept

    def send(self, message_type: str, request: Any, controls: Any = None) -> Any:
        """Take a request from ldap3; an unbind ends the session."""
        if message_type == "unbindRequest":
            self.session.unbind()
        connection = self.connection
        if not connection.listening or connection.usage:
            return super().send(message_type, request, controls)
        connection.sent = (message_type, request, controls)
        return connection.server.next_message_id(), message_type, request, controls

    def post_send_search(self, payload: Any) -> Any:
        """Answer a search."""
        _, _, request, controls = payload
        connection = self.connection
        connection.response, connection.result = [], {}
        responses, result = self._intercept("search", lambda: self._search(request, controls))
        connection.response, connection.result = responses, result
        self._raise_if_wanted(result)
        return responses

    def post_send_single_response(self, payload: Any) -> Any:
        """Answer any other request."""
        _, message_type, request, controls = payload
        if message_type not in OPERATIONS:
            return []
        operation, answer = OPERATIONS[message_type]
        result = self._intercept(operation, lambda: self._perform(operation, message_type, answer, request, controls))
        self.connection.result = result
        self._raise_if_wanted(result)
        return [result]

    def _raise_if_wanted(self, result: Mapping[str, Any]) -> None:
        if self.connection.raise_exceptions and result["result"] not in DO_NOT_RAISE_EXCEPTIONS:
            raise LDAPOperationResult(
                result=result["result"],
                description=result["description"],
                dn=result["dn"],
                message=result["message"],
                response_type=result["type"],
            )

    def _check_reachable(self, operation: str) -> None:
        if self._controller.state == "down":
            if operation == "bind":
                raise LDAPSocketOpenError(f"unable to open socket to {self._controller.name}")
            raise LDAPSocketReceiveError(f"no answer from {self._controller.name}")

    def _search(self, request: Any, controls: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        self._check_reachable("search")
        try:
            wanted = messages.read_filter(request["filter"])
            found = self.session.search(messages.read_search(request, messages.read_controls(controls), wanted))
        except LdapError as problem:
            return [], _failed(problem, "searchResDone")
        result = _result(found.code, found.text, "searchResDone")
        controls = shown_controls(found)
        if controls:
            result["controls"] = controls
        entries = [_entry(dn, values) for dn, values in found.entries]
        return [*entries, *({"uri": urls, "type": "searchResRef"} for urls in found.references)], result

    def _perform(self, operation: str, kind: str, answer: str, request: Any, controls: Any) -> dict[str, Any]:
        self._check_reachable(operation)
        try:
            code = messages.perform(self.session, kind, request, messages.read_controls(controls))
        except LdapError as problem:
            return _single(_failed(problem, answer))
        return _single(_result(code, "", answer))


class DirectoryConnection(ldap3.Connection):  # type: ignore[misc] # ldap3 has no types
    """ldap3's connection, to a simulated controller. Not open or bound when made."""

    def __init__(
        self,
        controller: Controller,
        user: str | None = None,
        password: str | None = None,
        *,
        intercept: Intercept | None = None,
        **options: Any,
    ) -> None:
        options.setdefault("return_empty_attributes", False)
        self.sent: tuple[str, Any, Any] | None = None
        self._request: Any = None
        super().__init__(_server(controller), user, password, client_strategy=ldap3.MOCK_SYNC, **options)
        self.strategy = DirectoryStrategy(self, controller, intercept or pass_through)
        # What ldap3's own constructor does for the strategies that it knows.
        self.send = self.strategy.send
        self.open = self.strategy.open
        self.get_response = self.strategy.get_response
        self.post_send_single_response = self.strategy.post_send_single_response
        self.post_send_search = self.strategy.post_send_search

    @property
    def request(self) -> Any:
        """The last request as ldap3 shows it: made only when somebody looks, which costs as much as sending it."""
        if self.sent is not None:
            self._request, self.sent = BaseStrategy.decode_request(*self.sent), None
        return self._request

    @request.setter
    def request(self, shown: Any) -> None:
        self._request, self.sent = shown, None


def connect(
    controller: Controller,
    user: str | None = None,
    password: str | None = None,
    intercept: Intercept | None = None,
    **options: Any,
) -> DirectoryConnection:
    """A connection to a controller, not yet bound. TLS is taken for granted.

    intercept: called around every operation that would cross the wire, as ``intercept(operation, perform)``; exceptions
    pass out to the caller. perform() returns the result dictionary, a search's (entries, result). options: ldap3's own;
    ``return_empty_attributes`` is off, so that DirSync's cleared attributes (``[]``) differ from those unchanged, which
    are absent.
    """
    return DirectoryConnection(controller, user, password, intercept=intercept, **options)


def _server(controller: Controller) -> Any:
    return ldap3.Server(f"{controller.name}.{controller.domain.name}", port=636, use_ssl=True, get_info=ldap3.NONE)


# --- answers ------------------------------------------------------------------------------------------------------


def _result(code: int, text: str, answer: str, matched: str = "") -> dict[str, Any]:
    return {
        "result": code,
        "description": RESULT_CODES[code],
        "dn": matched,
        "message": text,
        "referrals": None,
        "type": answer,
    }


def _failed(problem: LdapError, answer: str) -> dict[str, Any]:
    referrals = list(problem.referrals) or None
    return _result(problem.code, problem.text, answer, problem.matched) | {"referrals": referrals}


def _single(result: dict[str, Any]) -> dict[str, Any]:
    if result["type"] == "bindResponse":
        result["saslCreds"] = None
    elif result["type"] == "extendedResp":
        result |= {"responseName": "", "responseValue": b""}
    return result


def shown_controls(found: Found) -> dict[str, Any]:
    """The controls of an answer by their OID, as ldap3 decodes them.

    Those that every import has are filled directly: to encode and decode them costs more than most searches.
    """
    shown = {}
    if found.page_cookie is not None:
        shown[PAGED] = _control(PAGED, False, {"size": 0, "cookie": found.page_cookie})
    if found.sync is not None:
        shown[DIRSYNC] = _control(DIRSYNC, True, {"more_results": found.sync[0], "cookie": found.sync[1]})
    if found.controls:
        others = messages.response_controls(replace(found, page_cookie=None, sync=None))
        shown.update(BaseStrategy.decode_control(control) for control in others)
    return shown


def _control(oid: str, critical: bool, value: Mapping[str, Any]) -> dict[str, Any]:
    return {"description": Oids.get(oid, ""), "criticality": critical, "value": value}


def _entry(dn: str, values: Values) -> dict[str, Any]:
    """One entry as ldap3 shows it: texts where the syntax is text, octets where it is octets, and both raw.

    The dictionaries are filled directly: their own assignment costs more than everything else here.
    """
    raw, shown = CaseInsensitiveDict(), CaseInsensitiveDict()
    raw_store, shown_store, keys = raw._store, shown._store, raw._case_insensitive_keymap
    for attribute, octets in values:
        name = attribute.name
        keys[attribute.key] = name
        raw_store[name] = octets
        shown_store[name] = list(octets) if attribute.syntax == schema.OCTETS else [_shown(each) for each in octets]
    shown._case_insensitive_keymap = dict(keys)
    return {"raw_dn": dn.encode(), "dn": dn, "raw_attributes": raw, "attributes": shown, "type": "searchResEntry"}


def _shown(octets: bytes) -> str | bytes:
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return octets
