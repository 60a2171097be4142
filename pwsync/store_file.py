"""The file behind the agent's database: who may have it, whether it is whole, and what to do where it is not.

One agent to a database: a lock beside the file, held by SQLite's own locking, which ends with the process however that
ends.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from pwsync.errors import StoreError

LOCK_SUFFIX: Final = ".lock"
WAY_OUT: Final = "Move the file away and start again: the agent then synchronizes everything anew."

_REMEDIES: Final = {
    sqlite3.SQLITE_FULL: "Make room on the disk; nothing that was committed is lost, and the agent goes on by itself.",
    sqlite3.SQLITE_READONLY: "Let the agent's account write the file and its folder.",
    sqlite3.SQLITE_PERM: "Let the agent's account write the file and its folder.",
    sqlite3.SQLITE_CANTOPEN: "Look whether the folder is there and the agent's account may write in it.",
    sqlite3.SQLITE_BUSY: "Another program holds it: end that, and start the agent again.",
    sqlite3.SQLITE_LOCKED: "Another program holds it: end that, and start the agent again.",
    sqlite3.SQLITE_IOERR: "Look after the disk; nothing that was committed is lost.",
    sqlite3.SQLITE_CORRUPT: WAY_OUT,
    sqlite3.SQLITE_NOTADB: WAY_OUT,
}


def remedy(error: Exception, otherwise: str = WAY_OUT) -> str:
    """What to do about an error of SQLite's; ``otherwise`` for others, and for unknown ones."""
    return _REMEDIES.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, otherwise)


def is_locked(error: Exception) -> bool:
    """Does an error of SQLite's say that another program holds the database?"""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def file_behind(path: str) -> Path | None:
    """The file that a path or an SQLite URI names; None for a database in memory."""
    if not path.startswith("file:"):
        return None if path in ("", ":memory:") else Path(path)
    name, _, query = path.removeprefix("file:").partition("#")[0].partition("?")
    if "mode=memory" in query.split("&") or name == ":memory:":
        return None
    if name.startswith("//"):
        name = "/" + name[2:].partition("/")[2]
    return Path(unquote(name))


class StoreLock:
    """Held as long as the object lives and its process does. Raises StoreError if another agent has the file."""

    def __init__(self, file: Path, called: str) -> None:
        self._connection: sqlite3.Connection | None = None
        try:
            connection = sqlite3.connect(
                f"{file}{LOCK_SUFFIX}", isolation_level=None, timeout=0.0, check_same_thread=False
            )
        except sqlite3.Error as error:
            raise StoreError(f"The database {called} can't be opened: {error}. {remedy(error)}") from error
        try:
            connection.execute("PRAGMA journal_mode = OFF")  # nothing is ever written
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.Error as error:
            connection.close()
            if is_locked(error):
                raise StoreError(
                    f"The database {called} is in use by another agent. Stop that one first, or give this one a "
                    "database of its own."
                ) from error
            raise StoreError(f"The database {called} can't be opened: {error}. {remedy(error)}") from error
        self._connection = connection

    def release(self) -> None:
        """Let others have the file."""
        if self._connection is not None:
            self._connection.close()


def check(connection: sqlite3.Connection) -> None:
    """Look over the whole file, and whether it can be written. Raises sqlite3.Error."""
    found = [row[0] for row in connection.execute("PRAGMA quick_check(1)")]
    if found != ["ok"]:
        raise sqlite3.DatabaseError(" ".join(found[0].split()) if found else "it is empty")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(f"PRAGMA user_version = {int(version)}")  # only a write tells whether one may write
    finally:
        connection.execute("ROLLBACK")
