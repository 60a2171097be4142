"""The text of LDIF (RFC 2849): records out of octets, and what can be wrong with them before anyone asks the directory.

UTF-8, with or without a byte order mark, and the UTF-16 that ``ldifde -u`` writes; lines end with LF or CR LF.
"""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as Base64Error
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

VALUE_SIZE_MAX = 10_485_760
"""Octets of a value: no more reaches a domain controller in one request (MaxReceiveBuffer of the query policy)."""

_NAME = re.compile(rb"(?:[A-Za-z][A-Za-z0-9-]*|[0-9]+(?:\.[0-9]+)*)(?:;[A-Za-z0-9=*-]+)*", re.ASCII)
_KINDS = ("add", "modify", "delete", "modrdn", "moddn")


class LdifError(ValueError):
    """A file that can't be loaded: where, and why."""

    def __init__(self, file: str, line: int, reason: str) -> None:
        self.file = file
        self.line = line
        self.reason = reason
        super().__init__(f"{file}:{line}: {reason}")


@dataclass(frozen=True, slots=True)
class Note:
    """Something in a file that was passed over: the line of its first occurrence, what, and how often."""

    line: int
    text: str
    count: int = 1


@dataclass(slots=True)
class Record:
    """An entry or a change of the file.

    lines: (line, attribute name, value) of each value; a ``-`` between the parts of a change is the name ``-``. change:
    ``add``, ``modify``, ``delete`` or ``modrdn``; empty for an entry without ``changetype``. controls: the lines'
    numbers and texts, as ``1.2.840.113556.1.4.805 true``.
    """

    line: int
    dn: str
    change: str = ""
    lines: list[tuple[int, str, bytes]] = field(default_factory=list)
    controls: list[tuple[int, str]] = field(default_factory=list)


def records(octets: bytes, file: str) -> Iterator[Record]:
    """The records of a file, in order. Raises LdifError at the first line that is wrong."""
    record: Record | None = None
    begun = False
    for number, line in _logical_lines(_utf8_octets(octets, file), file):
        if not line:
            if record is not None:
                yield record
            record = None
            continue
        if line.rstrip() == b"-" and record is not None:
            record.lines.append((number, "-", b""))
            continue
        name, value = _attribute_line(line, number, file)
        if record is not None:
            _add_line(record, number, name, value, file)
        elif name.lower() == "version" and not begun:
            if value.strip() != b"1":
                raise LdifError(file, number, f"LDIF of version {utf8(value, number, file).strip()!r}: 1 is known")
        elif name.lower() != "dn":
            raise LdifError(file, number, f"an entry begins with dn:, not with {name}:")
        else:
            record = Record(number, utf8(value, number, file))
        begun = True
    if record is not None:
        yield record


def _add_line(record: Record, number: int, name: str, value: bytes, file: str) -> None:
    folded = name.lower()
    if folded == "dn":
        raise LdifError(file, number, "an empty line is missing before this entry")
    if folded == "changetype":
        change = utf8(value, number, file).strip().lower()
        if change not in _KINDS:
            raise LdifError(file, number, f"changetype {change!r}: {', '.join(_KINDS)} are known")
        if record.change or record.lines:
            raise LdifError(file, number, "changetype comes right after dn:, once")
        record.change = "modrdn" if change == "moddn" else change
    elif folded == "control" and not record.lines and not record.change:
        record.controls.append((number, utf8(value, number, file)))
    else:
        record.lines.append((number, name, value))


def _utf8_octets(octets: bytes, file: str) -> bytes:
    """The file in UTF-8, without a mark of the byte order."""
    if octets.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        try:
            return octets.decode("utf-16").encode()
        except UnicodeError:
            raise LdifError(file, 1, "the file begins as UTF-16 text and is not") from None
    return octets.removeprefix(BOM_UTF8)


def _logical_lines(octets: bytes, file: str) -> Iterator[tuple[int, bytes]]:
    """Lines with their numbers: folded ones joined, comments left out, an empty one at the end."""
    begun, parts, size = 0, [b""], 0
    for number, physical in enumerate(octets.split(b"\n"), 1):
        line = physical.removesuffix(b"\r")
        if not line.startswith(b" "):
            if begun and not parts[0].startswith(b"#"):
                yield begun, parts[0] if len(parts) == 1 else b"".join(parts)
            begun, parts, size = number, [line], 0
        elif not parts[0]:
            raise LdifError(file, number, "a line that begins with a space goes on with the one before: there is none")
        else:
            parts.append(line[1:])
        size += len(line)
        if size > VALUE_SIZE_MAX * 4 // 3 + 1000:
            raise LdifError(file, begun, f"a value of more than {VALUE_SIZE_MAX:,} octets")
    if not parts[0].startswith(b"#"):
        yield begun, b"".join(parts)
    yield 0, b""


def _attribute_line(line: bytes, number: int, file: str) -> tuple[str, bytes]:
    head, sign, value = line.partition(b":")
    name = _attribute_name(head)
    if not sign or not name:
        raise LdifError(file, number, 'a line reads "attribute: value"')
    if value.startswith(b"<"):
        raise LdifError(file, number, f"{name}: values by URL are not read")
    if not value.startswith(b":"):
        return name, value.lstrip(b" ")
    try:
        return name, b64decode(value[1:].strip(b" "), validate=True)
    except (Base64Error, ValueError):
        raise LdifError(file, number, f"{name}: not base64") from None


@lru_cache(maxsize=1024)
def _attribute_name(head: bytes) -> str:
    """The name before the colon; empty if it is none."""
    found = _NAME.fullmatch(head.strip(b" \t"))
    return "" if found is None else found[0].decode("ascii")


def utf8(octets: bytes, number: int, file: str) -> str:
    """A value as text. Raises LdifError."""
    try:
        return octets.decode()
    except UnicodeDecodeError:
        raise LdifError(file, number, "not UTF-8 text") from None
