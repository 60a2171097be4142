"""Request controls: which a search carries, and their BER values.

The values are small: a SEQUENCE of integers, octet strings and, for sorting, sequences of those.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from simulator.active_directory import errors
from simulator.active_directory.errors import LdapError
from simulator.active_directory.requests import (
    DIRSYNC,
    DOMAIN_SCOPE,
    EXTENDED_DN,
    PAGED,
    RANGE_NO_ERROR,
    SD_FLAGS,
    SEARCH_OPTIONS,
    SHOW_DELETED,
    SHOW_RECYCLED,
    SORT,
    SORTED,
    SUPPORTED_CONTROLS,
    Control,
)

INTEGER, OCTETS, ENUMERATED, SEQUENCE = 0x02, 0x04, 0x0A, 0x30
_ORDERING_RULE, _REVERSE, _ATTRIBUTE_TYPE = 0x80, 0x81, 0x80
EVERY_PART = 0xF
"""Owner, group, access rules and auditing rules of a security descriptor."""


@dataclass(frozen=True, slots=True)
class SortKey:
    """What to sort by."""

    name: str
    reverse: bool


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a search's controls ask for; None where there is no such control.

    paged: page size and cookie. sync: flags and cookie of DirSync. extended: 0 hexadecimal, 1 text. descriptor: which
    parts of a security descriptor. local: no references. everywhere: all contexts below the base.
    """

    deleted: bool = False
    paged: tuple[int, bytes] | None = None
    sync: tuple[int, bytes] | None = None
    extended: int | None = None
    sort: Sequence[SortKey] = ()
    sort_critical: bool = False
    descriptor: int | None = None
    local: bool = False
    everywhere: bool = False
    lenient_ranges: bool = False


NO_WISHES = Wishes()


def wishes(controls: Sequence[Control]) -> Wishes:
    """What the controls say. Raises LdapError: 12 for an unknown critical one, 2 for a value that can't be read."""
    if not controls:
        return NO_WISHES
    by_oid = known(controls)
    options = integer_value(by_oid[SEARCH_OPTIONS].value) if SEARCH_OPTIONS in by_oid else 0
    sort = by_oid.get(SORT)
    return Wishes(
        deleted=not by_oid.keys().isdisjoint((SHOW_DELETED, SHOW_RECYCLED, DIRSYNC)),
        paged=paging_value(by_oid[PAGED].value) if PAGED in by_oid else None,
        sync=sync_value(by_oid[DIRSYNC].value) if DIRSYNC in by_oid else None,
        extended=extended_value(by_oid[EXTENDED_DN].value) if EXTENDED_DN in by_oid else None,
        sort=sort_value(sort.value) if sort is not None else (),
        sort_critical=sort is not None and sort.critical,
        descriptor=descriptor_value(by_oid[SD_FLAGS].value) if SD_FLAGS in by_oid else None,
        local=DOMAIN_SCOPE in by_oid or bool(options & 1),
        everywhere=bool(options & 2),
        lenient_ranges=RANGE_NO_ERROR in by_oid,
    )


def known(controls: Sequence[Control]) -> dict[str, Control]:
    """Controls by OID; an unknown one is ignored, or refused if it is critical; one that comes twice is refused."""
    for control in controls:
        if control.critical and control.oid not in SUPPORTED_CONTROLS:
            raise errors.wrong_extension(control.oid)
    found = {control.oid: control for control in controls}
    if len(found) < len(controls):
        raise unreadable()
    return found


def unreadable() -> LdapError:
    """protocolError: a control's value can't be read."""
    return LdapError(
        errors.PROTOCOL_ERROR, "00000057: LdapErr: DSID-0C090C7D, comment: Error processing control, data 0, v1db1\x00"
    )


# --- values -------------------------------------------------------------------------------------------------------


def sync_value(octets: bytes) -> tuple[int, bytes]:
    """Flags and cookie of a DirSync control. Raises LdapError 2."""
    flags, _, cookie = _typed(octets, (INTEGER, INTEGER, OCTETS))
    return int.from_bytes(flags, "big", signed=True) & 0xFFFF_FFFF, cookie


def paging_value(octets: bytes) -> tuple[int, bytes]:
    """Page size and cookie of a simple paged results control (RFC 2696). Raises LdapError 2."""
    size, cookie = _typed(octets, (INTEGER, OCTETS))
    number = int.from_bytes(size, "big", signed=True)
    if number < 0:
        raise unreadable()
    return number, cookie


def extended_value(octets: bytes) -> int:
    """Option of an extended DN control; without a value 0. Raises LdapError 2."""
    number = integer_value(octets) if octets else 0
    if number not in (0, 1):
        raise unreadable()
    return number


def descriptor_value(octets: bytes) -> int:
    """Parts of a security descriptor; none at all means every one ([MS-ADTS] 3.1.1.3.4.1.11). Raises LdapError 2."""
    return (integer_value(octets) if octets else 0) & EVERY_PART or EVERY_PART


def integer_value(octets: bytes) -> int:
    """The one integer of a control. Raises LdapError 2."""
    return int.from_bytes(_typed(octets, (INTEGER,))[0], "big", signed=True)


def sort_value(octets: bytes) -> list[SortKey]:
    """Keys of a server-side sort (RFC 2891). Raises LdapError 2."""
    keys = []
    for tag, content in _parts(_content(octets)):
        if tag != SEQUENCE:
            raise unreadable()
        parts = _parts(content)
        if not parts or parts[0][0] != OCTETS or any(each not in (_ORDERING_RULE, _REVERSE) for each, _ in parts[1:]):
            raise unreadable()
        reverse = any(each == _REVERSE and any(value) for each, value in parts[1:])
        keys.append(SortKey(parts[0][1].decode("utf-8", "replace"), reverse))
    if not keys:
        raise unreadable()
    return keys


def sort_answer(code: int, attribute: str = "") -> Control:
    """The answer to a sort control: 0, or why it was not sorted and by which attribute."""
    content = bytes((ENUMERATED, 1, code))
    if attribute:
        name = attribute.encode()[:100]
        content += bytes((_ATTRIBUTE_TYPE, len(name))) + name
    return Control(SORTED, False, bytes((SEQUENCE, len(content))) + content)


def _typed(octets: bytes, tags: Sequence[int]) -> list[bytes]:
    """The contents of a sequence that holds exactly these."""
    parts = _parts(_content(octets))
    if [tag for tag, _ in parts] != list(tags):
        raise unreadable()
    if any(tag == INTEGER and not 0 < len(content) <= 8 for tag, content in parts):
        raise unreadable()
    return [content for _, content in parts]


def _content(octets: bytes) -> bytes:
    parts = _parts(octets)
    if len(parts) != 1 or parts[0][0] != SEQUENCE:
        raise unreadable()
    return parts[0][1]


def _parts(octets: bytes) -> list[tuple[int, bytes]]:
    """Tags and contents of the elements that follow each other."""
    found, position = [], 0
    try:
        while position < len(octets):
            start, size = _length(octets, position + 1)
            if start + size > len(octets):
                raise unreadable()
            found.append((octets[position], octets[start : start + size]))
            position = start + size
    except IndexError:
        raise unreadable() from None
    return found


def _length(octets: bytes, at: int) -> tuple[int, int]:
    """(where the content begins, its length) of the length octets at ``at``."""
    first = octets[at]
    if first < 0x80:
        return at + 1, first
    size = first & 0x7F
    if not 0 < size <= 4 or at + size >= len(octets):
        raise unreadable()
    return at + 1 + size, int.from_bytes(octets[at + 1 : at + 1 + size], "big")
