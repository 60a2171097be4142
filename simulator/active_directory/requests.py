"""LDAP requests and answers as values, apart from any library's encoding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from simulator.active_directory import errors, names
from simulator.active_directory.filter import EVERYTHING, Filter
from simulator.active_directory.replica import Entry
from simulator.active_directory.schema import Attribute

PAGED, SHOW_DELETED, SHOW_RECYCLED, EXTENDED_DN, DIRSYNC, TREE_DELETE = (
    "1.2.840.113556.1.4.319",
    "1.2.840.113556.1.4.417",
    "1.2.840.113556.1.4.2064",
    "1.2.840.113556.1.4.529",
    "1.2.840.113556.1.4.841",
    "1.2.840.113556.1.4.805",
)
SORT, SORTED, SD_FLAGS, DOMAIN_SCOPE, SEARCH_OPTIONS, PERMISSIVE_MODIFY, RANGE_NO_ERROR = (
    "1.2.840.113556.1.4.473",
    "1.2.840.113556.1.4.474",
    "1.2.840.113556.1.4.801",
    "1.2.840.113556.1.4.1339",
    "1.2.840.113556.1.4.1340",
    "1.2.840.113556.1.4.1413",
    "1.2.840.113556.1.4.1948",
)
POLICY_HINTS = frozenset(("1.2.840.113556.1.4.2239", "1.2.840.113556.1.4.2066"))
"""LDAP_SERVER_POLICY_HINTS and its deprecated form: with flags 1 the history holds for resets too."""

SUPPORTED_CONTROLS = POLICY_HINTS | frozenset(
    (PAGED, SHOW_DELETED, SHOW_RECYCLED, EXTENDED_DN, DIRSYNC, TREE_DELETE, SORT, SORTED, SD_FLAGS, DOMAIN_SCOPE,
     SEARCH_OPTIONS, PERMISSIVE_MODIFY, RANGE_NO_ERROR)
)  # fmt: skip
"""Every control that some operation honours; where one has no meaning it is accepted and does nothing."""


@dataclass(frozen=True, slots=True)
class Control:
    """A request control; ``value`` is its BER, empty if it has none."""

    oid: str
    critical: bool
    value: bytes = b""


@dataclass(frozen=True, slots=True)
class Search:
    """A search request. scope: 0 base, 1 one level, 2 subtree. size_limit 0: none."""

    base: str
    scope: int
    filter: Filter = EVERYTHING
    attributes: Sequence[str] = ()
    size_limit: int = 0
    types_only: bool = False
    controls: Sequence[Control] = ()


Values = list[tuple[Attribute, list[bytes]]]


@dataclass(slots=True)
class Found:
    """A search's answer: (DN, attributes) per entry, result code and text, and what response controls carry.

    references: continuation references, each a list of URLs that lead to the same place. controls: further response
    controls with their BER values.
    """

    entries: list[tuple[str, Values]] = field(default_factory=list)
    code: int = errors.SUCCESS
    text: str = ""
    page_cookie: bytes | None = None
    sync: tuple[bool, bytes] | None = None
    references: list[list[str]] = field(default_factory=list)
    controls: list[Control] = field(default_factory=list)


def extended_dn(entry: Entry, option: int) -> str:
    """``<GUID=..>;<SID=..>;DN`` ([MS-ADTS] 3.1.1.3.4.1.5)."""
    sid = entry.get("objectsid")
    if option:
        head = f"<GUID={names.guid_text(entry.guid)}>;"
        tail = f"<SID={names.sid_text(sid)}>;" if isinstance(sid, bytes) else ""
    else:
        head = f"<GUID={entry.guid.hex()}>;"
        tail = f"<SID={sid.hex()}>;" if isinstance(sid, bytes) else ""
    return f"{head}{tail}{entry.dn}"
