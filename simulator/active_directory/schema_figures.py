"""Figures of the schema that clients read: OIDs, syntaxes, flags, GUIDs; and attribute types as numbers.

They stand in ``schema_figures.txt`` and are read when they are first asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

AMBIGUOUS_NAMES, CONSTRUCTED, NOT_REPLICATED = 0x4, 0x4, 0x1
"""A bit of searchFlags: in the set of ambiguous name resolution; bits of systemFlags."""

PREFIXES = {
    "2.5.4": 0, "2.5.6": 1, "1.2.840.113556.1.2": 2, "1.2.840.113556.1.3": 3, "2.16.840.1.101.2.2.1": 4,
    "2.16.840.1.101.2.2.3": 5, "2.16.840.1.101.2.1.5": 6, "2.16.840.1.101.2.1.4": 7, "2.5.5": 8,
    "1.2.840.113556.1.4": 9, "1.2.840.113556.1.5": 10, "0.9.2342.19200300.100": 19, "2.16.840.1.113730.3": 20,
    "0.9.2342.19200300.100.1": 21, "2.16.840.1.113730.3.1": 22, "1.2.840.113556.1.5.7000": 23, "2.5.21": 24,
    "2.5.18": 25, "2.5.20": 26, "1.3.6.1.4.1.1466.101.119": 27, "2.16.840.1.113730.3.2": 28,
    "1.3.6.1.4.1.250.1": 29, "1.2.840.113549.1.9": 30, "0.9.2342.19200300.100.4": 31,
}  # fmt: skip
"""The well-known part of the prefix table ([MS-DRSR] 5.16.4): beginning of an OID -> upper half of the number."""

EXTENDED_PREFIXES = {
    "1.2.840.113556.1.4.7000.102": 0x2000, "1.3.6.1.1.1.1": 0x2001, "1.2.840.113556.1.6.13.3": 0x2002,
    "1.2.840.113556.1.6.18.1": 0x2003,
}  # fmt: skip
"""Upper halves for other prefixes; the product draws these at random when a schema is extended."""


@dataclass(frozen=True, slots=True)
class AttributeFigures:
    """An attributeSchema object's values. lower, upper, link: None where there are none; guid: empty if not known."""

    name: str
    cn: str
    oid: str
    syntax: str
    om_syntax: int
    single: bool
    system_only: bool
    in_catalog: bool
    search_flags: int
    system_flags: int
    flags_ex: int
    lower: int | None
    upper: int | None
    link: int | None
    guid: bytes

    @property
    def number(self) -> int:
        """The attribute's type as a number: ATTRTYP of [MS-DRSR] 5.14."""
        prefix, _, last = self.oid.rpartition(".")
        low = int(last)
        high = PREFIXES[prefix] if prefix in PREFIXES else EXTENDED_PREFIXES[prefix]
        return high << 16 | (low % 0x4000 + (0x8000 if low >= 0x4000 else 0))


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """A classSchema object's values. kind: 0 class of 1988, 1 structural, 2 abstract, 3 auxiliary."""

    name: str
    cn: str
    oid: str
    kind: int
    above: str
    rdn: str
    system_only: bool
    guid: bytes
    category: str
    system_must: Sequence[str]
    must: Sequence[str]
    system_may: Sequence[str]
    may: Sequence[str]
    system_auxiliary: Sequence[str]
    auxiliary: Sequence[str]
    system_superiors: Sequence[str]
    superiors: Sequence[str]


@cache
def _rows() -> list[list[str]]:
    text = files("simulator.active_directory").joinpath("schema_figures.txt").read_text(encoding="utf-8")
    return [line.split("\t") for line in text.splitlines() if not line.startswith("#")]


@cache
def attributes() -> dict[str, AttributeFigures]:
    """All attributes by name in lower case."""
    return {row[1].lower(): _attribute(row[1:]) for row in _rows() if row[0] == "A"}


@cache
def classes() -> dict[str, ClassFigures]:
    """All classes by name in lower case."""
    return {row[1].lower(): _class(row[1:]) for row in _rows() if row[0] == "C"}


def _attribute(row: Sequence[str]) -> AttributeFigures:
    name, cn, oid, syntax, om_syntax, flags, search, system, extended, lower, upper, link, guid = row
    return AttributeFigures(
        name, cn, oid, syntax, int(om_syntax), "S" in flags, "O" in flags, "G" in flags, int(search), int(system),
        int(extended), _number(lower), _number(upper), _number(link), bytes.fromhex(guid),
    )  # fmt: skip


def _class(row: Sequence[str]) -> ClassFigures:
    name, cn, oid, kind, above, rdn, flags, guid, category, *lists = row
    return ClassFigures(
        name, cn, oid, int(kind), above, rdn, "O" in flags, bytes.fromhex(guid), category,
        *(tuple(each.split()) for each in lists),
    )  # fmt: skip


def _number(text: str) -> int | None:
    return int(text) if text else None


@cache
def _names_of_oids() -> dict[str, str]:
    return {each.oid: key for table in (attributes(), classes()) for key, each in table.items()}


def name_of_oid(oid: str) -> str:
    """The attribute or class of an OID, in lower case; the OID itself if there is none."""
    return _names_of_oids().get(oid, oid)


def chain(name: str) -> list[str]:
    """objectClass of a class's objects: the class and everything above it, most general first."""
    found, key = [], name.lower()
    while True:
        figures = classes()[key]
        found.append(figures.name)
        if key == "top":
            return found[::-1]
        key = figures.above.lower()


@cache
def categories() -> dict[str, str]:
    """By class name in lower case: the cn of the class that ``(objectCategory=name)`` means."""
    return {key: each.category for key, each in classes().items()}


def contained(name: str, *, must: bool) -> list[str]:
    """Every attribute that objects of a class must or may have: its own, inherited, and of auxiliary classes."""
    found: dict[str, None] = {}
    waiting, seen = [name.lower()], set()
    while waiting:
        key = waiting.pop()
        if key in seen:
            continue
        seen.add(key)
        each = classes()[key]
        found |= dict.fromkeys((*each.system_must, *each.must) if must else (*each.system_may, *each.may))
        waiting += [other.lower() for other in (each.above, *each.system_auxiliary, *each.auxiliary)]
    return sorted(found, key=str.lower)
