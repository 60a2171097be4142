"""Values that filters compare with: octets of a request in an attribute's type, and entries named in many ways."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime

from simulator.active_directory import schema, values
from simulator.active_directory.names import InvalidName, guid_bytes, parse_dn, sid_bytes
from simulator.active_directory.replica import Entry, Replica
from simulator.active_directory.schema import Attribute, Scalar

_GENERALIZED = re.compile(r"(\d{14})(?:[.,]\d+)?(Z|[+-]\d{4})\Z")
_UTC = re.compile(r"(\d{12})(Z|[+-]\d{4})\Z")


def assertion(attribute: Attribute, octets: bytes) -> Scalar | None:
    """A filter's value in the attribute's type; None for what can't be one (the condition is undefined)."""
    if attribute.key == "objectguid" and len(octets) != 16:
        return _tried(lambda: guid_bytes(matched_text(octets)))
    if attribute.key == "objectsid" and octets[:2].upper() == b"S-":
        return _tried(lambda: sid_bytes(matched_text(octets)))
    if attribute.syntax == schema.TIME:
        return _time(matched_text(octets))
    try:
        return values.read(attribute, octets)
    except values.InvalidValue:
        return None


def _tried(make: Callable[[], bytes]) -> bytes | None:
    try:
        return make()
    except InvalidName:
        return None


def _time(text: str) -> str | None:
    """A time as it is kept, out of generalized time or UTC time (two-digit years below 50 are of this century)."""
    found = _GENERALIZED.match(text) or _UTC.match(text)
    if found is None or not text.isascii():
        return None
    digits, zone = found[1], found[2]
    if len(digits) == 12:
        digits = ("20" if digits < "50" else "19") + digits
    try:
        moment = datetime.strptime(f"{digits}{'+0000' if zone == 'Z' else zone}", "%Y%m%d%H%M%S%z").astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return f"{moment.year:04}{moment:%m%d%H%M%S}.0Z"


def matched_text(octets: bytes) -> str:
    """Octets of a request as text, whatever they are."""
    return octets.decode("utf-8", "replace")


def entry_named(name: str, replica: Replica) -> Entry | None:
    """The entry of a DN, ``<GUID=..>`` or ``<SID=..>`` in this copy; None if there is none."""
    try:
        if name.startswith("<") and name.endswith(">"):
            kind, _, text = name[1:-1].partition("=")
            if kind.upper() == "GUID":
                return replica.by_guid.get(guid_bytes(text))
            if kind.upper() == "SID":
                return of_sid(replica, sid_bytes(text) if text.upper().startswith("S-") else bytes.fromhex(text))
            return None
        return replica.resolve(parse_dn(name)) if name else None
    except (InvalidName, ValueError):
        return None


def of_sid(replica: Replica, sid: bytes) -> Entry | None:
    """The entry that has a SID."""
    if sid == replica.domain_sid:
        return replica.root
    found = replica.by_rid.get(int.from_bytes(sid[-4:], "little"))
    return found if found is not None and found.get("objectsid") == sid else None
