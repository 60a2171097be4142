"""The disk of the agent's server, in memory: what the agent committed outlives its process, what it did not is lost."""

from __future__ import annotations

import itertools
import sqlite3
import weakref

_numbers = itertools.count(1)


class MemoryStore:
    """An SQLite database under ``uri`` that lives as long as this object.

    A crash of the agent closes its connections without a commit; SQLite then rolls back what was open.
    """

    def __init__(self, name: str) -> None:
        safe = "".join(character if character.isalnum() else "-" for character in name)
        self.uri = f"file:{safe}-{next(_numbers)}?mode=memory&cache=shared"
        self._keeper = sqlite3.connect(self.uri, uri=True, check_same_thread=False)
        self._closer = weakref.finalize(self, self._keeper.close)

    def image(self) -> bytes:
        """The database file as it would lie on a disk, with what was deleted and not yet overwritten."""
        (pages,) = self._keeper.execute("PRAGMA page_count").fetchone()
        return self._keeper.serialize() if pages else b""

    def put_back(self, image: bytes) -> None:
        """Have the database be what an :meth:`image` of it has; connections to it see that from now on."""
        source = sqlite3.connect(":memory:")
        try:
            if image:
                source.deserialize(image)
            source.backup(self._keeper)
        finally:
            source.close()

    def broken(self, how: str | int) -> Exception:
        """SQLite's exception for a commit that fails."""
        return sqlite3.OperationalError(f"disk I/O error ({how})")

    def close(self) -> None:
        """Forget everything."""
        self._closer()
