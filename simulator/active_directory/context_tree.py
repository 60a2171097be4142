"""Naming contexts that are made from something else and never written: a tree of entries like a domain's own."""

from __future__ import annotations

import hashlib
import weakref
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING

from simulator.active_directory import schema_figures as figures
from simulator.active_directory.replica import Entry, Replica, Stamp
from simulator.active_directory.schema import ObjectClass, Value

if TYPE_CHECKING:
    from simulator.active_directory.state import Controller


@cache
def object_class(name: str) -> ObjectClass:
    """A class of which such a context has objects."""
    found, chain = figures.classes()[name.lower()], tuple(figures.chain(name))
    return ObjectClass(
        found.name, chain, found.category, found.rdn.upper(), lowered=frozenset(each.lower() for each in chain)
    )


class ContextTree:
    """Builds the copy of a context that ``controller`` holds.

    Everything was made when the forest was, under USNs of the installation, and has the same objectGUID on every
    controller of the forest.
    """

    def __init__(self, controller: Controller, first_usn: int) -> None:
        # Not kept alive by what is remembered of it.
        self.replica = Replica(controller.invocation, b"", weakref.proxy(controller))
        first = next(iter(controller.domain.forest.domains.values()))
        self._forest = first.sid
        self._seconds = first.controller().replica.root.created.changed
        self.replica.usn = first_usn - 1

    def add(self, parent: Entry | None, rdn: str, kind: str, values: Mapping[str, Value]) -> Entry:
        """Add an object of a class; the root's ``rdn`` is its whole DN."""
        replica = self.replica
        usn = replica.usn = replica.usn + 1
        stamp = Stamp(1, self._seconds, replica.invocation, usn, usn)
        own = {"showinadvancedviewonly": True, **values}
        entry = Entry(replica, parent, rdn, object_class(kind), own, b"", 0, stamp)
        entry.guid = self._guid(entry.dn)
        replica.file(entry)
        replica.log.append(usn, entry, again=False)
        return entry

    def _guid(self, dn: str) -> bytes:
        octets = bytearray(hashlib.sha256(self._forest + dn.casefold().encode()).digest()[:16])
        octets[7] = octets[7] & 0x0F | 0x40
        octets[8] = octets[8] & 0x3F | 0x80
        return bytes(octets)
