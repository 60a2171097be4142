"""The directory behind ldap3: a strategy for its ``Connection`` that answers from a simulated controller.

ldap3 encodes each request and hands it over as ASN.1 objects; the strategy turns them into plain requests for a
:class:`~simulator.active_directory.session.Session` and the answers into the dictionaries that ldap3's real strategies
make.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import ldap3
from ldap3.core.exceptions import LDAPOperationResult, LDAPSocketOpenError, LDAPSocketReceiveError
from ldap3.core.results import DO_NOT_RAISE_EXCEPTIONS, RESULT_CODES
from ldap3.protocol.controls import build_control
from ldap3.protocol.convert import build_controls_list
from ldap3.protocol.microsoft import DirSyncControlResponseValue
from ldap3.protocol.rfc2696 import paged_search_control
from ldap3.strategy.base import BaseStrategy
from ldap3.strategy.mockSync import MockSyncStrategy
from ldap3.strategy.sync import SyncStrategy
from ldap3.utils.ciDict import CaseInsensitiveDict

from simulator.active_directory import errors, schema, writes
from simulator.active_directory.errors import LdapError
from simulator.active_directory.filter import And, Filter, Match, Not, Or
from simulator.active_directory.requests import DIRSYNC, TREE_DELETE, Control, Found, Search, Values
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
        return super().send(message_type, request, controls)

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
        result = self._intercept(operation, lambda: self._perform(operation, answer, request, controls))
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
            found = self.session.search(read_search(request, read_controls(controls)))
        except LdapError as problem:
            return [], _result(problem.code, problem.text, "searchResDone", problem.matched)
        result = _result(found.code, found.text, "searchResDone")
        answered = _response_controls(found)
        if answered:
            result["controls"] = answered
        return [_entry(dn, values) for dn, values in found.entries], result

    def _perform(self, operation: str, answer: str, request: Any, controls: Any) -> dict[str, Any]:
        self._check_reachable(operation)
        code = errors.SUCCESS
        try:
            wanted = {control.oid: control for control in read_controls(controls)}
            for control in wanted.values():
                if control.critical and control.oid != TREE_DELETE:
                    raise errors.wrong_extension(control.oid)
            if operation == "bind":
                return self._bind(request, answer)
            if operation == "compare":
                ava = request["ava"]
                same = self.session.compare(
                    _text(request["entry"]), _text(ava["attributeDesc"]), bytes(ava["assertionValue"])
                )
                code = errors.COMPARE_TRUE if same else errors.COMPARE_FALSE
            else:
                self._write(operation, request, TREE_DELETE in wanted)
        except LdapError as problem:
            return _single(_result(problem.code, problem.text, answer, problem.matched))
        return _single(_result(code, "", answer))

    def _bind(self, request: Any, answer: str) -> dict[str, Any]:
        choice = request["authentication"]
        if choice.getName() != "simple":
            raise LdapError(errors.AUTH_METHOD_NOT_SUPPORTED, "00002027: LdapErr: only simple binds are simulated")
        self.session.bind(_text(request["name"]), _text(choice["simple"]))
        return _result(errors.SUCCESS, "", answer) | {"saslCreds": None}

    def _write(self, operation: str, request: Any, tree: bool) -> None:
        session = self.session
        if operation == "add":
            attributes = [(_text(each["type"]), _octets(each["vals"])) for each in request["attributes"]]
            writes.add(session, _text(request["entry"]), attributes)
        elif operation == "modify":
            changes = [_change(change) for change in request["changes"]]
            writes.modify(session, _text(request["object"]), changes)
        elif operation == "modify-dn":
            superior = request["newSuperior"]
            above = _text(superior) if superior is not None and superior.hasValue() else None
            writes.modify_dn(session, _text(request["entry"]), _text(request["newrdn"]), above)
        elif operation == "delete":
            writes.delete(session, _text(request), tree=tree)
        else:
            raise LdapError(errors.PROTOCOL_ERROR, "0000203D: LdapErr: Unknown extended request OID, data 0, v1db1\x00")


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
        super().__init__(_server(controller), user, password, client_strategy=ldap3.MOCK_SYNC, **options)
        self.strategy = DirectoryStrategy(self, controller, intercept or pass_through)
        # What ldap3's own constructor does for the strategies that it knows.
        self.send = self.strategy.send
        self.open = self.strategy.open
        self.get_response = self.strategy.get_response
        self.post_send_single_response = self.strategy.post_send_single_response
        self.post_send_search = self.strategy.post_send_search


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


# --- requests -----------------------------------------------------------------------------------------------------


def _text(value: Any) -> str:
    return bytes(value).decode("utf-8", "replace")


def _octets(values: Any) -> tuple[bytes, ...]:
    return tuple(bytes(value) for value in values)


def _change(change: Any) -> writes.Change:
    modification = change["modification"]
    return writes.Change(int(change["operation"]), _text(modification["type"]), _octets(modification["vals"]))


def read_controls(controls: Any) -> list[Control]:
    """ldap3's controls, objects or triples, as plain ones."""
    found = []
    for control in build_controls_list(controls) or ():
        value = control["controlValue"]
        octets = bytes(value) if value is not None and value.hasValue() else b""
        found.append(Control(str(control["controlType"]), bool(control["criticality"]), octets))
    return found


def read_search(request: Any, controls: list[Control]) -> Search:
    """ldap3's search request as a plain one."""
    return Search(
        base=_text(request["baseObject"]),
        scope=int(request["scope"]),
        filter=read_filter(request["filter"]),
        attributes=[_text(name) for name in request["attributes"]],
        size_limit=int(request["sizeLimit"]),
        types_only=bool(request["typesOnly"]),
        controls=controls,
    )


_COMPARISONS = {"equalityMatch": "=", "greaterOrEqual": ">=", "lessOrEqual": "<=", "approxMatch": "~="}


def read_filter(node: Any) -> Filter:
    """ldap3's filter (RFC 4511 4.5.1.7) as a plain one."""
    kind = node.getName()
    inner = node[kind]
    if kind == "and":
        return And(tuple(read_filter(part) for part in inner))
    if kind == "or":
        return Or(tuple(read_filter(part) for part in inner))
    if kind == "notFilter":
        return Not(read_filter(inner["innerNotFilter"]))
    if kind == "present":
        return Match("present", _text(inner))
    if kind == "substringFilter":
        return _read_substring(inner)
    if kind == "extensibleMatch":
        rule = inner["matchingRule"]
        name = inner["type"]
        return Match(
            "rule",
            _text(name) if name.hasValue() else "",
            bytes(inner["matchValue"]),
            rule=_text(rule) if rule.hasValue() else "",
        )
    return Match(_COMPARISONS[kind], _text(inner["attributeDesc"]), bytes(inner["assertionValue"]))


def _read_substring(node: Any) -> Match:
    first, middle, last = b"", [], b""
    for piece in node["substrings"]:
        kind = piece.getName()
        octets = bytes(piece[kind])
        if kind == "initial":
            first = octets
        elif kind == "final":
            last = octets
        else:
            middle.append(octets)
    return Match("substring", _text(node["type"]), pieces=(first, *middle, last))


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


def _single(result: dict[str, Any]) -> dict[str, Any]:
    if result["type"] == "bindResponse":
        result["saslCreds"] = None
    elif result["type"] == "extendedResp":
        result |= {"responseName": "", "responseValue": b""}
    return result


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


def _response_controls(found: Found) -> dict[str, Any]:
    controls = []
    if found.page_cookie is not None:
        controls.append(paged_search_control(False, 0, found.page_cookie))
    if found.sync is not None:
        value = DirSyncControlResponseValue()
        value["MoreResults"], value["unused"], value["CookieServer"] = int(found.sync[0]), 0, found.sync[1]
        controls.append(build_control(DIRSYNC, True, value))
    return dict(BaseStrategy.decode_control(control) for control in controls)
