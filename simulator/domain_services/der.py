"""DER as Kerberos uses it: sequences of explicitly tagged fields, and a handful of types ([RFC4120] 5.1, [X.690]).

A logon takes eleven codings of some forty elements each. pyasn1 needs milliseconds for every one of them, a whole
scenario has twenty; so they are read and written directly. Tests read and write the same messages by another library.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from simulator.active_directory.encoding import INTEGER, OCTETS, SEQUENCE, integer, tlv

BIT_STRING, UTF8, IA5, TIME, GENERAL = 0x03, 0x0C, 0x16, 0x18, 0x1B
_APPLICATION, _CONTEXT, _CONSTRUCTED, _NUMBER = 0x60, 0xA0, 0xE0, 0x1F
_LENGTH_OCTETS_MAX = 4
_INTEGER_OCTETS_MAX = 8
_TIME_FORM = "%Y%m%d%H%M%SZ"
_TIME_SIZE = 15


class Garbled(Exception):
    """Octets that are not what they should be."""


# --- writing ------------------------------------------------------------------------------------------------------


def application(number: int, content: bytes) -> bytes:
    """A message: its SEQUENCE under an application tag."""
    return tlv(_APPLICATION | number, content)


def sequence(*fields: tuple[int, bytes | None]) -> bytes:
    """A SEQUENCE of explicitly tagged fields; a field whose value is None is left out."""
    return tlv(SEQUENCE, b"".join(tlv(_CONTEXT | number, value) for number, value in fields if value is not None))


def sequence_of(values: Iterable[bytes]) -> bytes:
    """A SEQUENCE OF."""
    return tlv(SEQUENCE, b"".join(values))


def octets(value: bytes) -> bytes:
    """An OCTET STRING."""
    return tlv(OCTETS, value)


def string(value: str) -> bytes:
    """A KerberosString; like everybody's, in UTF-8."""
    return tlv(GENERAL, value.encode("utf-8", "surrogatepass"))


def time(value: datetime) -> bytes:
    """A KerberosTime: whole seconds, UTC."""
    return tlv(TIME, value.astimezone(UTC).strftime(_TIME_FORM).rjust(_TIME_SIZE, "0").encode())


def bits(value: int) -> bytes:
    """KerberosFlags: 32 bits, the first one the highest."""
    return tlv(BIT_STRING, b"\0" + value.to_bytes(4, "big"))


# --- reading ------------------------------------------------------------------------------------------------------


def _element(source: bytes, at: int) -> tuple[int, int, int]:
    """Tag of the element at ``at``, and where its content begins and ends."""
    if at + 2 > len(source):
        raise Garbled("an element breaks off")
    tag, size, start = source[at], source[at + 1], at + 2
    if tag & _NUMBER == _NUMBER:
        raise Garbled("Kerberos has no such tags")
    if size >= 0x80:
        count = size & 0x7F
        if not 0 < count <= _LENGTH_OCTETS_MAX:
            raise Garbled("a length is indefinite or too long")
        size, start = int.from_bytes(source[start : start + count], "big"), start + count
    if start + size > len(source):
        raise Garbled("an element breaks off")
    return tag, start, start + size


def content(source: bytes, *tags: int) -> bytes:
    """What the one element holds that the octets are; its tag must be one of these."""
    tag, start, end = _element(source, 0)
    if tag not in tags:
        raise Garbled(f"tag {tag:#x} where {' or '.join(map(hex, tags))} should be")
    if end != len(source):
        raise Garbled("something follows")
    return source[start:end]


def application_number(source: bytes) -> int | None:
    """Which message the octets begin as; None if it is none."""
    return source[0] & _NUMBER if source and source[0] & _CONSTRUCTED == _APPLICATION else None


def message(number: int, source: bytes) -> dict[int, bytes]:
    """The fields of a message."""
    return fields(content(source, _APPLICATION | number))


def fields(source: bytes) -> dict[int, bytes]:
    """The explicitly tagged fields of a SEQUENCE: by number, the octets of the element within."""
    inner, at, found = content(source, SEQUENCE), 0, dict[int, bytes]()
    while at < len(inner):
        tag, start, at = _element(inner, at)
        number = tag & _NUMBER
        if tag & _CONSTRUCTED != _CONTEXT or number in found:
            raise Garbled("a field is not tagged, or twice there")
        found[number] = inner[start:at]
    return found


def need(found: dict[int, bytes], number: int) -> bytes:
    """A field that must be there."""
    if number not in found:
        raise Garbled(f"field {number} is missing")
    return found[number]


def items(source: bytes) -> list[bytes]:
    """The elements of a SEQUENCE OF."""
    inner, at, found = content(source, SEQUENCE), 0, []
    while at < len(inner):
        _, _, end = _element(inner, at)
        found.append(inner[at:end])
        at = end
    return found


def read_integer(source: bytes) -> int:
    """An INTEGER of up to 64 bits."""
    value = content(source, INTEGER)
    if not 0 < len(value) <= _INTEGER_OCTETS_MAX:
        raise Garbled("a number is empty or too long")
    return int.from_bytes(value, "big", signed=True)


def read_octets(source: bytes) -> bytes:
    """An OCTET STRING."""
    return content(source, OCTETS)


def read_string(source: bytes) -> str:
    """A KerberosString. What is no UTF-8 is told by replacement characters: it names nobody."""
    return content(source, GENERAL, IA5, UTF8).decode("utf-8", "replace")


def read_time(source: bytes) -> datetime:
    """A KerberosTime."""
    text = content(source, TIME)
    if len(text) != _TIME_SIZE or not text[:-1].isdigit():
        raise Garbled("a time is not written as Kerberos writes it")
    try:
        return datetime.strptime(text.decode(), _TIME_FORM).replace(tzinfo=UTC)
    except ValueError:
        raise Garbled("there is no such time") from None


def read_bits(source: bytes) -> int:
    """The first 32 bits of KerberosFlags; what is not sent is 0 ([RFC4120] 5.2.8)."""
    value = content(source, BIT_STRING)
    if not value or value[0] > 7:
        raise Garbled("flags are none")
    return int.from_bytes(value[1:5].ljust(4, b"\0"), "big")


__all__ = [
    "Garbled", "application", "application_number", "bits", "content", "fields", "integer", "items", "message", "need",
    "octets", "read_bits", "read_integer", "read_octets", "read_string", "read_time", "sequence", "sequence_of",
    "string", "time",
]  # fmt: skip
