"""A controller's log of changes in order of USN: what replication and DirSync read."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulator.active_directory.replica import Entry


class ChangeLog:
    """Entries in order of their last change. A record is stale when its entry has changed again."""

    def __init__(self) -> None:
        self._usns = array("q")
        self._entries: list[Entry] = []
        self._stale = 0

    def append(self, usn: int, entry: Entry, again: bool) -> None:
        self._usns.append(usn)
        self._entries.append(entry)
        if again:
            self._stale += 1
            if self._stale > 1000 and self._stale * 2 > len(self._entries):
                self._compact()

    def since(self, usn: int) -> Iterator[Entry]:
        """Entries whose last change lies after ``usn``, in order; costs what was written since, not what exists."""
        usns, entries = self._usns, self._entries
        for at in range(bisect_right(usns, usn), len(entries)):
            entry = entries[at]
            if entry.usn == usns[at]:
                yield entry

    def _compact(self) -> None:
        live = [entry for usn, entry in zip(self._usns, self._entries, strict=True) if entry.usn == usn]
        self._usns = array("q", [entry.usn for entry in live])
        self._entries = live
        self._stale = 0
