"""LDAP answers as octets: BER with definite lengths, as RFC 4511 5.1 wants it.

Answers are simple and searches have many, so they are written directly: an entry with 25 attributes takes pyasn1 some
milliseconds, this some microseconds.
"""

from __future__ import annotations

from collections.abc import Sequence

from simulator.active_directory.requests import Values

SEQUENCE, SET, INTEGER, OCTETS, ENUMERATED, BOOLEAN = 0x30, 0x31, 0x02, 0x04, 0x0A, 0x01
BIND_RESPONSE, ENTRY, SEARCH_DONE, REFERENCE, MODIFY_RESPONSE = 0x61, 0x64, 0x65, 0x73, 0x67
ADD_RESPONSE, DELETE_RESPONSE, MODIFY_DN_RESPONSE, COMPARE_RESPONSE, EXTENDED_RESPONSE = 0x69, 0x6B, 0x6D, 0x6F, 0x78
_REFERRAL, _RESPONSE_NAME, _CONTROLS = 0xA3, 0x8A, 0xA0
DISCONNECTION = "1.3.6.1.4.1.1466.20036"
"""Name of the notice of disconnection (RFC 4511 4.4.1)."""

AnsweredControl = tuple[str, bool, bytes]
"""OID, criticality, value of a control in an answer."""


def tlv(tag: int, content: bytes) -> bytes:
    """Tag, length, content."""
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def integer(value: int, tag: int = INTEGER) -> bytes:
    """An INTEGER or ENUMERATED."""
    return tlv(tag, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def text(value: str) -> bytes:
    """An LDAPString."""
    return tlv(OCTETS, value.encode("utf-8", "surrogatepass"))


def message(number: int, operation: bytes, controls: Sequence[AnsweredControl] = ()) -> bytes:
    """An LDAPMessage around an operation."""
    content = integer(number) + operation
    if controls:
        content += tlv(_CONTROLS, b"".join(_control(*each) for each in controls))
    return tlv(SEQUENCE, content)


def _control(oid: str, critical: bool, value: bytes) -> bytes:
    criticality = tlv(BOOLEAN, b"\xff") if critical else b""
    return tlv(SEQUENCE, text(oid) + criticality + tlv(OCTETS, value))


def result(
    tag: int, code: int, diagnostic: str = "", matched: str = "", referrals: Sequence[str] = (), name: str = ""
) -> bytes:
    """An LDAPResult under an operation's tag. name: responseName of an extended one."""
    content = integer(code, ENUMERATED) + text(matched) + text(diagnostic)
    if referrals:
        content += tlv(_REFERRAL, b"".join(map(text, referrals)))
    if name:
        content += tlv(_RESPONSE_NAME, name.encode())
    return tlv(tag, content)


def entry(dn: str, attributes: Values) -> bytes:
    """A search result entry."""
    parts = []
    for attribute, values in attributes:
        vals = b"".join([tlv(OCTETS, value) for value in values])
        parts.append(tlv(SEQUENCE, tlv(OCTETS, attribute.name.encode()) + tlv(SET, vals)))
    return tlv(ENTRY, text(dn) + tlv(SEQUENCE, b"".join(parts)))


def reference(urls: Sequence[str]) -> bytes:
    """A search result reference."""
    return tlv(REFERENCE, b"".join(map(text, urls)))


def notice(code: int, diagnostic: str) -> bytes:
    """The notice of disconnection, a message of its own."""
    return message(0, result(EXTENDED_RESPONSE, code, diagnostic, name=DISCONNECTION))
