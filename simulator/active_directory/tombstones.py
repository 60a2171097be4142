"""What a deletion leaves of an object ([MS-ADTS] 3.1.1.5.5.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.active_directory import names
from simulator.active_directory.schema import ATTRIBUTES

if TYPE_CHECKING:
    from simulator.active_directory.replica import Entry

TOMBSTONE_KEEPS = frozenset(
    ("dnshostname", "grouptype", "lastknownparent", "legacyexchangedn", "samaccountname", "sidhistory", "systemflags",
     "useraccountcontrol")
)  # fmt: skip
"""What stays with a deleted object ([MS-ADTS] 3.1.1.5.5.1.1), of what can be written at all."""

_COMPUTED_AND_LOST = ("objectcategory", "samaccounttype")


def lost(entry: Entry) -> list[str]:
    """Keys of the replicated attributes that a deletion takes from an entry, the class's defaults among them."""
    keys = dict.fromkeys((*entry.kind.defaults, *entry.values, *_COMPUTED_AND_LOST))
    return [
        key
        for key in keys
        if key not in TOMBSTONE_KEEPS and not ATTRIBUTES[key].local and entry.get(key) not in (None, b"")
    ]


def strip(entry: Entry) -> None:
    """Take away what a tombstone does not keep. Call before the entry is marked as deleted."""
    kept = {key: value for key, value in entry.kind.defaults.items() if key in TOMBSTONE_KEEPS}
    entry.values = {**kept, **{key: value for key, value in entry.values.items() if key in TOMBSTONE_KEEPS}}


def tombstone_name(rdn: str, guid: bytes) -> str:
    """What a deleted object is called: its name, mangled so that the name is free again."""
    return f"{rdn}\nDEL:{names.guid_text(guid)}"
