"""Names as values with GUID and SID before them, as the extended DN control wants them ([MS-ADTS] 3.1.1.3.4.1.5)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from simulator.active_directory import names, naming_contexts
from simulator.active_directory.requests import extended_dn

if TYPE_CHECKING:
    from simulator.active_directory.state import Controller


def extended(controller: Controller, found: Sequence[bytes], option: int) -> list[bytes]:
    """Names as they cross the wire; those of what is not on this controller stay as they are."""
    return [_extended(controller, each, option) for each in found]


def _extended(controller: Controller, octets: bytes, option: int) -> bytes:
    try:
        parts = names.parse_dn(octets.decode("utf-8", "surrogatepass"))
    except names.InvalidName:
        return octets
    replica = naming_contexts.replica_of(controller, parts)
    entry = None if replica is None else replica.resolve(parts)
    return octets if entry is None else extended_dn(entry, option).encode("utf-8", "surrogatepass")
