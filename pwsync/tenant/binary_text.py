"""Text records of .NET binary XML ([MC-NBFX] 2.2.3): each kind of typed value, as the text that it stands for.

A decoder takes the bytes and the offset behind the record's type, and returns text and the offset behind the value.
It raises BinaryXmlError, or one of :data:`GARBLED` for bytes that end too early or mean nothing.
"""

from __future__ import annotations

import struct
from base64 import b64encode
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from pwsync.errors import BinaryXmlError
from pwsync.tenant.dictionary import STRINGS

GARBLED: Final = (IndexError, struct.error, UnicodeDecodeError)

START_LIST: Final = 0xA4
END_LIST: Final = 0xA6

TextDecoder = Callable[[bytes, int], tuple[str, int]]

_TICKS_PER_SECOND = 10_000_000
_KIND_UTC, _KIND_LOCAL = 1, 2
_TICKS_MAX = 3_155_378_975_999_999_999
_EPOCH = datetime(1, 1, 1)  # noqa: DTZ001 - the origin of .NET's ticks, in whatever zone the value has
_LENGTH_BYTES_MAX = 5
_DECIMAL_SCALE_MAX = 28
_PREFIX_COUNT = 26
_NO_NUMBERS = {"nan": "NaN", "inf": "INF", "-inf": "-INF"}


def read_length(data: bytes, at: int) -> tuple[int, int]:
    """A MultiByteInt31: 7 bits per byte, lowest first."""
    value = shift = 0
    for _ in range(_LENGTH_BYTES_MAX):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >= 1 << 31:
                break
            return value, at
        shift += 7
    raise BinaryXmlError("a length does not fit into 31 bits", at)


def read_dictionary(data: bytes, at: int) -> tuple[str, int]:
    """A string of the static dictionary by its number; odd numbers would be a session's, which SOAP over HTTP lacks."""
    number, end = read_length(data, at)
    if number % 2 or number // 2 >= len(STRINGS):
        raise BinaryXmlError(f"there is no string {number} in the static dictionary", at)
    return STRINGS[number // 2], end


def take(data: bytes, at: int, size: int) -> bytes:
    """``size`` bytes; unlike a slice, never fewer."""
    found = data[at : at + size]
    if len(found) != size:
        raise BinaryXmlError(f"{size} bytes are announced, {len(found)} are there", at)
    return found


def _constant(text: str) -> TextDecoder:
    return lambda data, at: (text, at)


def _number(layout: str, show: Callable[..., str]) -> TextDecoder:
    unpacker = struct.Struct(layout)
    return lambda data, at: (show(*unpacker.unpack_from(data, at)), at + unpacker.size)


def _sized(layout: str, show: Callable[[bytes], str]) -> TextDecoder:
    unpacker = struct.Struct(layout)

    def decoder(data: bytes, at: int) -> tuple[str, int]:
        (size,) = unpacker.unpack_from(data, at)
        start = at + unpacker.size
        return show(take(data, start, size)), start + size

    return decoder


def _boolean(value: int) -> str:
    return "true" if value else "false"


def _real(digits: str) -> str:
    """Python's digits as .NET writes them: XML Schema's names for what is no number, whole ones without a fraction."""
    return _NO_NUMBERS.get(digits) or digits.removesuffix(".0").replace("e", "E")


def _double(value: float) -> str:
    return _real(repr(value))


def _float(value: float) -> str:
    """The fewest digits that give the same 32 bits again."""
    for precision in range(6, 10):
        digits = f"{value:.{precision}g}"
        if struct.pack("<f", value) == struct.pack("<f", float(digits)):
            break
    return _real(digits)


def _decimal(reserved: int, scale: int, sign: int, high: int, low: int) -> str:
    if reserved or scale > _DECIMAL_SCALE_MAX or sign not in (0, 0x80):
        raise BinaryXmlError("a decimal of a scale or sign that does not exist")
    digits = str(high << 64 | low).rjust(scale + 1, "0")
    number = f"{digits[:-scale]}.{digits[-scale:]}" if scale else digits
    return "-" + number if sign else number


def _date_time(value: int) -> str:
    """62 bits of 100 ns since year 1, and 2 bits of zone: 0 none, 1 UTC, 2 the writer's, whose offset is not told."""
    ticks, kind = value & (1 << 62) - 1, value >> 62
    if ticks > _TICKS_MAX or kind > _KIND_LOCAL:
        raise BinaryXmlError("a date after the year 9999")
    seconds, fraction = divmod(ticks, _TICKS_PER_SECOND)
    text = (_EPOCH + timedelta(seconds=seconds)).isoformat()
    if fraction:
        text += f".{fraction:07}".rstrip("0")
    return text + "Z" if kind == _KIND_UTC else text


def _time_span(ticks: int) -> str:
    """An XML Schema duration of days and smaller."""
    seconds, fraction = divmod(abs(ticks), _TICKS_PER_SECOND)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    clock = (f"{hours}H" if hours else "") + (f"{minutes}M" if minutes else "")
    if seconds or fraction:
        clock += f"{seconds}" + (f".{fraction:07}".rstrip("0") if fraction else "") + "S"
    text = "P" + (f"{days}D" if days else "") + (f"T{clock}" if clock else "")
    return ("-" if ticks < 0 else "") + (text if len(text) > 1 else "PT0S")


def _qualified_name(data: bytes, at: int) -> tuple[str, int]:
    letter = data[at]
    if letter >= _PREFIX_COUNT:
        raise BinaryXmlError(f"a prefix numbered {letter}", at)
    name, end = read_dictionary(data, at + 1)
    return f"{chr(ord('a') + letter)}:{name}", end


def _list(data: bytes, at: int) -> tuple[str, int]:
    """Values between a list's start and end, as XML Schema writes lists: with blanks between."""
    values = []
    while (record := data[at]) != END_LIST:
        decoder = TEXTS.get(record)
        if decoder is None or record == START_LIST:
            raise BinaryXmlError(f"record 0x{record:02x} can't stand in a list", at)
        text, at = decoder(data, at + 1)
        values.append(text)
    return " ".join(values), at + 1


def _uuid(value: bytes) -> str:
    return str(UUID(bytes_le=value))


def _unique_id(value: bytes) -> str:
    return UUID(bytes_le=value).urn


def _utf16(value: bytes) -> str:
    return value.decode("utf-16-le")


def _base64(value: bytes) -> str:
    return b64encode(value).decode()


TEXTS: Final[dict[int, TextDecoder]] = {
    0x80: _constant("0"),
    0x82: _constant("1"),
    0x84: _constant("false"),
    0x86: _constant("true"),
    0x88: _number("<b", str),
    0x8A: _number("<h", str),
    0x8C: _number("<i", str),
    0x8E: _number("<q", str),
    0x90: _number("<f", _float),
    0x92: _number("<d", _double),
    0x94: _number("<HBBIQ", _decimal),
    0x96: _number("<Q", _date_time),
    0x98: _sized("<B", bytes.decode),
    0x9A: _sized("<H", bytes.decode),
    0x9C: _sized("<i", bytes.decode),
    0x9E: _sized("<B", _base64),
    0xA0: _sized("<H", _base64),
    0xA2: _sized("<i", _base64),
    START_LIST: _list,
    0xA8: _constant(""),
    0xAA: read_dictionary,
    0xAC: _number("<16s", _unique_id),
    0xAE: _number("<q", _time_span),
    0xB0: _number("<16s", _uuid),
    0xB2: _number("<Q", str),
    0xB4: _number("<B", _boolean),
    0xB6: _sized("<B", _utf16),
    0xB8: _sized("<H", _utf16),
    0xBA: _sized("<i", _utf16),
    0xBC: _qualified_name,
}
"""Decoders by record type; the odd types next to them are the same values with the element's end."""

ARRAY_TYPES: Final = frozenset({0x8A, 0x8C, 0x8E, 0x90, 0x92, 0x94, 0x96, 0xAE, 0xB0, 0xB4})
"""Kinds of values that an array may hold."""
