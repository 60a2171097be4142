"""LDAP messages and what they ask of a session: decoding, reading requests, carrying them out (RFC 4511).

Requests are ASN.1 objects of ldap3's definitions, whether ldap3's client made them in this process or they were decoded
from a wire; both ways read them with the functions below.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ldap3.protocol import rfc4511
from ldap3.protocol.controls import build_control
from ldap3.protocol.convert import build_controls_list
from ldap3.protocol.microsoft import DirSyncControlResponseValue
from ldap3.protocol.rfc2696 import paged_search_control
from pyasn1.codec.ber import decoder
from pyasn1.error import PyAsn1Error
from pyasn1.type import namedtype, univ

from simulator.active_directory import errors, writes
from simulator.active_directory.errors import LdapError
from simulator.active_directory.filter import DEPTH_MAX, And, Filter, Match, Not, Or, limit_exceeded
from simulator.active_directory.requests import DIRSYNC, SUPPORTED_CONTROLS, TREE_DELETE, Control, Found, Search
from simulator.active_directory.session import Session

REQUESTS = (
    "bindRequest", "unbindRequest", "searchRequest", "modifyRequest", "addRequest", "delRequest", "modDNRequest",
    "compareRequest", "abandonRequest", "extendedReq",
)  # fmt: skip
ELEMENTS_MAX = 250_000
"""Most BER elements in a message. Decoded they take several hundred octets each, however few they take on the wire."""

_CONSTRUCTED, _LONG_TAG, _SEQUENCE = 0x20, 0x1F, 0x30
_AND, _OR, _NOT = 0xA0, 0xA1, 0xA2


class Undecodable(Exception):
    """Octets that are no LDAP request; the connection can not go on."""


# --- octets -------------------------------------------------------------------------------------------------------


def _parts(kind: Any) -> list[Any]:
    return [kind.componentType[index] for index in range(len(kind.componentType))]


class _SearchRequest(univ.Sequence):  # type: ignore[misc] # pyasn1 has no types
    """A search request whose filter stays encoded: pyasn1 can not decode ldap3's recursive definition of filters."""

    tagSet = rfc4511.SearchRequest.tagSet  # noqa: N815
    componentType = namedtype.NamedTypes(  # noqa: N815
        *(
            namedtype.NamedType("filter", univ.Any()) if part.name == "filter" else part
            for part in _parts(rfc4511.SearchRequest)
        )
    )


class _Request(univ.Choice):  # type: ignore[misc]
    componentType = namedtype.NamedTypes(  # noqa: N815
        *(
            namedtype.NamedType(part.name, _SearchRequest()) if part.name == "searchRequest" else part
            for part in _parts(rfc4511.ProtocolOp)
            if part.name in REQUESTS
        )
    )


class _RequestMessage(univ.Sequence):  # type: ignore[misc]
    componentType = namedtype.NamedTypes(  # noqa: N815
        namedtype.NamedType("messageID", rfc4511.MessageID()),
        namedtype.NamedType("protocolOp", _Request()),
        namedtype.OptionalNamedType("controls", rfc4511.Controls()),
    )


_MESSAGE, _FILTER = _RequestMessage(), rfc4511.Filter()


@dataclass(frozen=True, slots=True)
class Message:
    """A request from the wire. kind: one of :data:`REQUESTS`. request: ASN.1 object; a search's filter in octets."""

    number: int
    kind: str
    request: Any
    controls: list[Control]


def frame_size(octets: bytes | bytearray) -> int | None:
    """How many octets the message at the beginning has; None if that can not be told yet. Raises Undecodable."""
    if octets and octets[0] != _SEQUENCE:
        raise Undecodable("a message is a SEQUENCE")
    try:
        start, size = _length(octets, 1)
    except IndexError:
        return None
    return start + size


def _length(octets: bytes | bytearray, at: int) -> tuple[int, int]:
    """Where the content begins and its size, from the length octets at ``at``. Raises IndexError, Undecodable."""
    first = octets[at]
    if first < 0x80:
        return at + 1, first
    count = first & 0x7F
    if not 0 < count <= 8:
        raise Undecodable("a length is indefinite or too long")
    if at + count >= len(octets):
        raise IndexError
    return at + 1 + count, int.from_bytes(octets[at + 1 : at + 1 + count], "big")


def decode(octets: bytes) -> Message:
    """A request out of the octets of one message. Raises Undecodable."""
    _check_elements(octets)
    found = _decoded(octets, _MESSAGE)
    number = int(found["messageID"])  # 0, which RFC 4511 keeps from requests, is taken: some tools count from there
    operation = found["protocolOp"]
    kind = operation.getName()
    controls = found["controls"]
    return Message(number, kind, operation[kind], _plain_controls(controls) if controls.hasValue() else [])


def _check_elements(octets: bytes) -> None:
    """Refuse what would decode to far more than it is. Looks at tags and lengths in order, whatever contains what."""
    position = count = 0
    end = len(octets)
    try:
        while position < end:
            tag = octets[position]
            if tag & _LONG_TAG == _LONG_TAG:
                raise Undecodable("LDAP has no such tags")
            start, size = _length(octets, position + 1)
            position = start if tag & _CONSTRUCTED else start + size
            count += 1
            if count > ELEMENTS_MAX:
                raise Undecodable("a message has too many elements")
    except IndexError:
        raise Undecodable("a message breaks off") from None


def _decoded(octets: bytes, definition: Any) -> Any:
    """One value of a definition, all of the octets. Raises Undecodable."""
    try:
        found, rest = decoder.decode(octets, asn1Spec=definition)
    except (PyAsn1Error, ValueError, OverflowError, RecursionError) as problem:
        # ValueError: pyasn1 writes a number into its complaint that is too long for Python to write. OverflowError: it
        # wants to read more octets than a machine can count.
        raise Undecodable(type(problem).__name__) from None
    if rest:
        raise Undecodable("something follows")
    return found


def decode_filter(octets: bytes, depth: int = 0) -> Filter:
    """A filter out of its octets. Raises Undecodable, and LdapError 11 if it is nested too deep."""
    if depth > DEPTH_MAX:
        raise limit_exceeded()
    tag = octets[0] if octets else 0
    if tag not in (_AND, _OR, _NOT):
        return read_filter(_decoded(octets, _FILTER))
    parts = tuple(decode_filter(part, depth + 1) for part in _elements(octets))
    if tag == _AND:
        return And(parts)
    if tag == _OR:
        return Or(parts)
    if len(parts) != 1:
        raise Undecodable("a NOT has one part")
    return Not(parts[0])


def _elements(octets: bytes) -> list[bytes]:
    """The elements that one constructed element holds. Raises Undecodable."""
    try:
        position, size = _length(octets, 1)
        if position + size != len(octets):
            raise Undecodable("a filter's length is wrong")
        found = []
        while position < len(octets):
            start, size = _length(octets, position + 1)
            if start + size > len(octets):
                raise Undecodable("a filter breaks off")
            found.append(octets[position : start + size])
            position = start + size
    except IndexError:
        raise Undecodable("a filter breaks off") from None
    return found


# --- requests -----------------------------------------------------------------------------------------------------


def text(value: Any) -> str:
    """An octet string as text."""
    return bytes(value).decode("utf-8", "replace")


def _octets(values: Any) -> tuple[bytes, ...]:
    return tuple(bytes(value) for value in values)


def read_controls(controls: Any) -> list[Control]:
    """ldap3's controls, objects or triples, as plain ones."""
    return _plain_controls(build_controls_list(controls) or ())


def _plain_controls(controls: Any) -> list[Control]:
    found = []
    for control in controls:
        value = control["controlValue"]
        octets = bytes(value) if value is not None and value.hasValue() else b""
        found.append(Control(str(control["controlType"]), bool(control["criticality"]), octets))
    return found


def read_search(request: Any, controls: list[Control], wanted: Filter) -> Search:
    """A search request as a plain one; its filter was read before. Raises LdapError 2."""
    scope = int(request["scope"])
    if scope not in (0, 1, 2) or int(request["derefAliases"]) not in (0, 1, 2, 3):
        raise LdapError(errors.PROTOCOL_ERROR, "00000057: LdapErr: unknown scope or alias handling, data 0, v1db1\x00")
    return Search(
        base=text(request["baseObject"]),
        scope=scope,
        filter=wanted,
        attributes=[text(name) for name in request["attributes"]],
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
        return Match("present", text(inner))
    if kind == "substringFilter":
        return _read_substring(inner)
    if kind == "extensibleMatch":
        rule = inner["matchingRule"]
        name = inner["type"]
        return Match(
            "rule",
            text(name) if name.hasValue() else "",
            bytes(inner["matchValue"]),
            rule=text(rule) if rule.hasValue() else "",
        )
    return Match(_COMPARISONS[kind], text(inner["attributeDesc"]), bytes(inner["assertionValue"]))


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
    return Match("substring", text(node["type"]), pieces=(first, *middle, last))


def _change(change: Any) -> writes.Change:
    modification = change["modification"]
    return writes.Change(int(change["operation"]), text(modification["type"]), _octets(modification["vals"]))


# --- carrying out -------------------------------------------------------------------------------------------------


def bind(session: Session, request: Any) -> None:
    """Bind a session. Raises LdapError: 7 for what is not a simple bind."""
    choice = request["authentication"]
    if choice.getName() != "simple":
        session.unbind()
        raise LdapError(
            errors.AUTH_METHOD_NOT_SUPPORTED,
            "00002027: LdapErr: DSID-0C090531, comment: Invalid Authentication method, data 0, v1db1\x00",
        )
    session.bind(text(request["name"]), text(choice["simple"]))


def perform(session: Session, kind: str, request: Any, controls: Sequence[Control]) -> int:
    """Carry out any request that has one answer; returns the result code of success. Raises LdapError."""
    for control in controls:
        if control.critical and control.oid not in SUPPORTED_CONTROLS:
            raise errors.wrong_extension(control.oid)
    if kind == "bindRequest":
        bind(session, request)
    elif kind == "compareRequest":
        ava = request["ava"]
        same = session.compare(text(request["entry"]), text(ava["attributeDesc"]), bytes(ava["assertionValue"]))
        return errors.COMPARE_TRUE if same else errors.COMPARE_FALSE
    elif kind == "addRequest":
        writes.add(
            session,
            text(request["entry"]),
            [(text(each["type"]), _octets(each["vals"])) for each in request["attributes"]],
        )
    elif kind == "modifyRequest":
        changes = [_change(change) for change in request["changes"]]
        writes.modify(session, text(request["object"]), changes, controls)
    elif kind == "modDNRequest":
        superior = request["newSuperior"]
        above = text(superior) if superior is not None and superior.hasValue() else None
        old = bool(request["deleteoldrdn"])
        writes.modify_dn(session, text(request["entry"]), text(request["newrdn"]), above, delete_old=old)
    elif kind == "delRequest":
        writes.delete(session, text(request), tree=any(control.oid == TREE_DELETE for control in controls))
    else:
        raise LdapError(
            errors.PROTOCOL_ERROR,
            "0000203D: LdapErr: DSID-0C090C7D, comment: Unknown extended request OID, data 0, v1db1\x00",
        )
    return errors.SUCCESS


def response_controls(found: Found) -> list[Any]:
    """The controls that a search's answer carries, as ldap3's objects."""
    controls = []
    if found.page_cookie is not None:
        controls.append(paged_search_control(False, 0, found.page_cookie))
    if found.sync is not None:
        value = DirSyncControlResponseValue()
        value["MoreResults"], value["unused"], value["CookieServer"] = int(found.sync[0]), 0, found.sync[1]
        controls.append(build_control(DIRSYNC, True, value))
    for each in found.controls:
        control = rfc4511.Control()
        control["controlType"] = rfc4511.LDAPOID(each.oid)
        control["criticality"] = rfc4511.Criticality(each.critical)
        control["controlValue"] = rfc4511.ControlValue(each.value)
        controls.append(control)
    return controls
