"""Replication metadata as clients read it: the binary blob and its XML.

The blob is PROPERTY_META_DATA_VECTOR as it is stored: version 1, the number of entries, then 48 bytes for each
attribute in order of its number ([MS-DRSR] 5.14, 5.166). The XML is DS_REPL_ATTR_META_DATA ([MS-ADTS] 3.1.1.4.5.16).
Links are told as attributes of their own: values have no metadata here, so msDS-ReplValueMetaData is empty.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import TYPE_CHECKING
from uuid import UUID

from simulator.active_directory import schema_figures as figures
from simulator.active_directory.configuration import Names
from simulator.active_directory.schema import ATTRIBUTES, BORN_EMPTY
from simulator.active_directory.times import moment_of_seconds
from simulator.active_directory.virtual import VIRTUAL

if TYPE_CHECKING:
    from simulator.active_directory.replica import Entry, Stamp
    from simulator.active_directory.schema import Value

DESCRIPTOR = "ntsecuritydescriptor"
_HEADER, _ENTRY = struct.Struct("<IIII"), struct.Struct("<IIq16sqq")


def stamps(entry: Entry) -> list[tuple[int, str, Stamp]]:
    """Number, name and stamp of every replicated attribute that the entry has or once had, in order of the number."""
    keys: Iterable[str] = {
        DESCRIPTOR: None, **dict.fromkeys(VIRTUAL), **entry.kind.defaults, **entry.values, **entry.stamps,
        **dict.fromkeys(BORN_EMPTY),
    }  # fmt: skip
    found = []
    for key in keys:
        attribute, number = ATTRIBUTES[key], figures.attributes().get(key)
        if attribute.local or number is None or number.system_flags & (figures.CONSTRUCTED | figures.NOT_REPLICATED):
            continue
        stamp = entry.created if key == DESCRIPTOR and key not in entry.stamps else entry.stamp(key)
        if stamp is not None:
            found.append((number.number, number.name, stamp))
    return sorted(found)


def blob(entry: Entry) -> bytes:
    """replPropertyMetaData."""
    found = stamps(entry)
    head = _HEADER.pack(1, 0, len(found), 0)
    return head + b"".join(
        _ENTRY.pack(number, stamp.version, stamp.changed, stamp.invocation, stamp.originating_usn, stamp.local_usn)
        for number, _, stamp in found
    )


def texts(entry: Entry) -> Value | None:
    """msDS-ReplAttributeMetaData: a text for each attribute."""
    makers = _makers(entry)
    found = tuple(_text(name, stamp, makers.get(stamp.invocation, "")) for _, name, stamp in stamps(entry))
    return found if len(found) > 1 else None


def _makers(entry: Entry) -> dict[bytes, str]:
    """DNs of controllers' settings by invocation."""
    forest = entry.replica.owner.domain.forest  # type: ignore[attr-defined] # a replica belongs to a controller
    where = Names.of(forest.root_dn)
    return {
        each.invocation: where.settings(domain, each.name)
        for domain in forest.domains.values()
        for each in domain.controllers.values()
    }


def _text(name: str, stamp: Stamp, maker: str) -> str:
    when = moment_of_seconds(stamp.changed).strftime("%Y-%m-%dT%H:%M:%SZ")
    rows = (
        ("pszAttributeName", name),
        ("dwVersion", stamp.version),
        ("ftimeLastOriginatingChange", when),
        ("uuidLastOriginatingDsaInvocationID", UUID(bytes_le=stamp.invocation)),
        ("usnOriginatingChange", stamp.originating_usn),
        ("usnLocalChange", stamp.local_usn),
        ("pszLastOriginatingDsaDN", _escaped(maker)),
    )
    inner = "".join(f"\t<{tag}>{value}</{tag}>\n" for tag, value in rows)
    return f"<DS_REPL_ATTR_META_DATA>\n{inner}</DS_REPL_ATTR_META_DATA>\n"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def install() -> None:
    """Make metadata readable on every entry."""
    VIRTUAL["replpropertymetadata"] = blob
    VIRTUAL["msds-replattributemetadata"] = texts
