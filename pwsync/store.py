"""The agent's database: cookies, objects, and what is pending. Never a password, never a hash.

All state is loaded once when the process starts and written through afterwards. A transaction holds whatever changed
since the last one, so that a commit costs what changed.
"""

from __future__ import annotations

import json
import sqlite3
import weakref
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from pwsync import store_file
from pwsync.errors import StoreError
from pwsync.object_log import TABLE as _OBJECT_LOG
from pwsync.object_log import Attempt, ObjectLog
from pwsync.ports import StorePort
from pwsync.stamp import Stamp
from pwsync.state import DomainState, ObjectState, PasswordState, State, Touched
from pwsync.store_file import WAY_OUT, StoreLock, remedy

SCHEMA_VERSION = 3
_IS_BROKEN = frozenset((sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, 0))
"""Codes of SQLite's that mean a damaged file, and of an exception that is none of SQLite's."""

_EIGHTEEN_VALUES = "(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
_ROWS_AT_ONCE = 100

_SCHEMA = """
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE domains (name TEXT PRIMARY KEY, password_sync INTEGER NOT NULL, full TEXT NOT NULL,
    imported INTEGER NOT NULL, import_cookie BLOB, import_attributes TEXT NOT NULL,
    replication_cookie BLOB) WITHOUT ROWID;
CREATE TABLE objects (anchor TEXT PRIMARY KEY, domain TEXT NOT NULL, dn TEXT NOT NULL, left_out TEXT,
    password_left_out TEXT, wanted BLOB, exported BLOB, attributes TEXT NOT NULL);
CREATE TABLE passwords (row INTEGER PRIMARY KEY, anchor TEXT NOT NULL, domain TEXT NOT NULL, dn TEXT NOT NULL,
    version INTEGER, changed INTEGER, usn INTEGER, forced INTEGER NOT NULL, due INTEGER NOT NULL,
    temporary INTEGER NOT NULL, attempted_version INTEGER, attempted_changed INTEGER, applied_version INTEGER,
    applied_changed INTEGER, status TEXT NOT NULL, invocation BLOB, attempted_invocation BLOB,
    applied_invocation BLOB);
"""
_FROM_1_TO_2 = """
ALTER TABLE passwords ADD COLUMN invocation BLOB;
ALTER TABLE passwords ADD COLUMN attempted_invocation BLOB;
ALTER TABLE passwords ADD COLUMN applied_invocation BLOB;
"""
"""Who made a change was not kept before. It counts as made by nobody, below everybody: the next time such a password is
read it goes out once more, rather than being taken for another one of the same second."""


_DOMAINS = (
    "SELECT name, password_sync, full, imported, import_cookie, import_attributes, replication_cookie FROM domains"
)
_PASSWORDS = (
    "SELECT row, anchor, domain, dn, version, changed, usn, forced, due, temporary, attempted_version, "
    "attempted_changed, applied_version, applied_changed, status, invocation, attempted_invocation, "
    "applied_invocation FROM passwords"
)


class Store:
    """The database behind a :class:`State`. Raises StoreError where it can't be used, with a way out."""

    def __init__(self, port: StorePort) -> None:
        self._port = port
        self._committing = False
        self._rows: dict[str, int] = {}
        self._file = store_file.file_behind(port.path)
        self._lock = None if self._file is None else StoreLock(self._file, port.called)
        try:
            self._connection = sqlite3.connect(
                port.path,
                uri=port.path.startswith("file:"),
                isolation_level=None,
                check_same_thread=False,  # only closing may come from another thread: that of the garbage collector
            )
        except sqlite3.Error as error:
            self._release()
            raise StoreError(f"The database {port.called} can't be opened: {error}. {remedy(error)}") from error
        # A process that dies does not say goodbye.
        self._closer = weakref.finalize(self, _close, self._connection, self._lock)
        try:
            self._prepare()
            self.state = self._load()
            self._object_log = ObjectLog(self._connection)
        except (sqlite3.Error, ValueError, TypeError) as error:
            self.close()
            raise self._unusable(error) from error
        except StoreError:
            self.close()
            raise

    def close(self) -> None:
        """Release the database; what was not committed is lost."""
        self._closer()

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.release()

    def _unusable(self, error: Exception) -> StoreError:
        """What an error of reading means: damage, or that the file can't be had as it should."""
        broken = getattr(error, "sqlite_errorcode", 0) & 0xFF in _IS_BROKEN
        what = "is damaged" if broken else "can't be used"
        return StoreError(f"The database {self._port.called} {what}: {error}. {remedy(error)}")

    def commit(self) -> None:
        """Write all that was touched, in one transaction; nothing happens if nothing was.

        On failure the transaction is rolled back and everything stays touched, for the next commit. Raises StoreError.
        """
        if not self.state.touched or self._committing:
            return  # what is touched while a commit is under way goes with the next one
        self._committing = True
        state, connection, committed = self.state, self._connection, False
        written, state.touched = state.touched, Touched()
        try:
            connection.execute("BEGIN IMMEDIATE")
            self._write(written)
            self._port.commit(connection.commit)
            committed = True
            for anchor in written.objects:
                state.attributes.pop(anchor, None)
        except (sqlite3.Error, OSError) as error:
            told = f"The database {self._port.called} could not be written: {error}"
            hint = remedy(error, "")
            raise StoreError(f"{told}. {hint}" if hint else told, locked=store_file.is_locked(error)) from error
        finally:
            self._committing = False
            if not committed:
                state.touched = written.followed_by(state.touched)
            if connection.in_transaction:
                connection.rollback()

    def forget(self) -> None:
        """Go back to what was committed last, for the domains and passwords that were touched since."""
        state, touched, rows = self.state, self.state.touched, self._read
        for name in touched.domains:
            for row in rows(f"{_DOMAINS} WHERE name = ?", (name,)):
                state.domains[name].take(_domain(row))
        for anchor in touched.passwords:
            state.passwords.pop(anchor, None)
            state.waiting.pop(anchor, None)
            for row in rows(f"{_PASSWORDS} WHERE row = ?", (self._rows.get(anchor),)):
                password = state.passwords[anchor] = _password(row[1:], {})
                if password.waits:
                    state.waiting[anchor] = password
        touched.domains.clear()
        touched.passwords.clear()

    def attributes(self, anchor: str) -> dict[str, list[str]]:
        """An object's attributes as of the last object cycle (names in lower case); empty if it is not known."""
        text = self.state.attributes.get(anchor)
        if text is None:
            found = self._read("SELECT attributes FROM objects WHERE anchor = ?", (anchor,))
            if not found:
                return {}
            text = found[0][0]
        try:
            attributes: dict[str, list[str]] = json.loads(text)
        except ValueError as error:
            raise self._unusable(error) from error
        return attributes

    def attempts(self, anchor: str, now: datetime) -> list[Attempt]:
        """A user's attempts of the last seven days, oldest first, those not committed yet included."""
        waiting = [attempt for attempt in self.state.touched.attempts if attempt.anchor == anchor]
        try:
            return self._object_log.read(anchor, now) + waiting
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def _read(self, statement: str, values: tuple[Any, ...]) -> list[Any]:
        """Rows of a database that was whole when it was opened. Raises StoreError."""
        try:
            return self._connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def _prepare(self) -> None:
        connection = self._connection
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version and self._file is not None:
            store_file.check(connection)
        if version > SCHEMA_VERSION:
            raise StoreError(
                f"The database {self._port.called} was written by a newer agent (schema {version}, known here: "
                f"{SCHEMA_VERSION}). Use that agent's version or a later one. {WAY_OUT}"
            )
        if version == 0:
            if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                raise StoreError(f"The database {self._port.called} is not the agent's. Choose another path.")
            if self._file is not None:
                connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(f"BEGIN; {_SCHEMA} {_OBJECT_LOG} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
        elif version < SCHEMA_VERSION:
            steps = "".join((_FROM_1_TO_2, _OBJECT_LOG)[version - 1 :])
            connection.executescript(f"BEGIN; {steps} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")

    def _load(self) -> State:
        state, invocations = State(), dict[bytes, bytes]()
        rows = self._connection.execute
        state.settings = dict(rows("SELECT name, value FROM settings"))
        for row in rows(f"{_DOMAINS} ORDER BY name"):
            state.domains[row[0]] = _domain(row)
        for row in rows(
            "SELECT anchor, domain, dn, left_out, password_left_out, wanted, exported FROM objects ORDER BY rowid"
        ):
            record = state.objects[row[0]] = ObjectState(*row)
            if not record.settled:
                state.outbound[record.anchor] = record
        for row in rows(f"{_PASSWORDS} ORDER BY row"):
            self._rows[row[1]] = row[0]
            password = state.passwords[row[1]] = _password(row[1:], invocations)
            if password.waits:
                state.waiting[password.anchor] = password
        self._last_row = max(self._rows.values(), default=0)
        return state

    def _write(self, written: Touched) -> None:
        state, many = self.state, self._connection.executemany
        many(
            "INSERT OR REPLACE INTO settings VALUES (?, ?)", [(name, state.settings[name]) for name in written.settings]
        )
        many(
            "INSERT OR REPLACE INTO domains VALUES (?, ?, ?, ?, ?, ?, ?)",
            [_domain_row(state.domains[name]) for name in written.domains],
        )
        self._write_objects(written.objects)
        self._object_log.write(written.attempts)
        if gone := [(self._row(anchor),) for anchor in written.passwords if anchor not in state.passwords]:
            many("DELETE FROM passwords WHERE row = ?", gone)
        rows = list(self._password_rows(written.passwords))
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            # One statement for many rows: SQLite is entered, and the interpreter lock given away, once for all of them.
            some = rows[start : start + _ROWS_AT_ONCE]
            places = ",".join([_EIGHTEEN_VALUES] * len(some))
            statement = f"INSERT OR REPLACE INTO passwords VALUES {places}"  # noqa: S608 - question marks only
            self._connection.execute(statement, [value for row in some for value in row])

    def _row(self, anchor: str) -> int:
        """The number of a user's row: replacing by number takes half as long as by the text of an anchor."""
        found = self._rows.get(anchor)
        if found is None:
            self._last_row += 1
            found = self._rows[anchor] = self._last_row
        return found

    def _password_rows(self, anchors: Iterable[str]) -> Iterator[tuple[Any, ...]]:
        for anchor in anchors:
            state = self.state.passwords.get(anchor)
            if state is not None:
                version, changed, invocation, usn = state.pending or _NO_STAMP
                tried_version, tried_changed, tried_invocation = state.attempted or _NOT_SENT
                applied_version, applied_changed, applied_invocation = state.applied or _NOT_SENT
                yield (
                    self._row(anchor), anchor, state.domain, state.dn, version, changed, usn, state.forced, state.due,
                    state.temporary, tried_version, tried_changed, applied_version, applied_changed, state.status,
                    invocation, tried_invocation, applied_invocation,
                )  # fmt: skip

    def _write_objects(self, anchors: Iterable[str]) -> None:
        state = self.state
        new, old, gone = [], [], []
        for anchor in anchors:
            record = state.objects.get(anchor)
            if record is None:
                gone.append((anchor,))
                continue
            row: tuple[Any, ...] = (
                record.domain, record.dn, record.left_out, record.password_left_out, record.wanted, record.exported
            )  # fmt: skip
            text = state.attributes.get(anchor)
            if text is None:
                old.append((*row, anchor))
            else:
                new.append((anchor, *row, text))
        many = self._connection.executemany
        if gone:
            many("DELETE FROM objects WHERE anchor = ?", gone)
        if new:
            many("INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?, ?, ?, ?)", new)
        if old:
            many(
                "UPDATE objects SET domain = ?, dn = ?, left_out = ?, password_left_out = ?, wanted = ?, exported = ? "
                "WHERE anchor = ?",
                old,
            )


def _close(connection: sqlite3.Connection, lock: StoreLock | None) -> None:
    connection.close()
    if lock is not None:
        lock.release()


def _domain(row: tuple[Any, ...]) -> DomainState:
    return DomainState(row[0], bool(row[1]), row[2], bool(row[3]), *row[4:])


def _domain_row(domain: DomainState) -> tuple[Any, ...]:
    return (
        domain.name, int(domain.password_sync), domain.full, int(domain.imported), domain.import_cookie,
        domain.import_attributes, domain.replication_cookie,
    )  # fmt: skip


def _password(row: tuple[Any, ...], invocations: dict[bytes, bytes]) -> PasswordState:
    """One row as a state; ``invocations`` keeps one object for each of the few that name thousands of users."""
    anchor, domain, dn, version, changed, usn, forced, due, temporary, *sent, status, pending_by, tried_by, by = row
    found = [invocations.setdefault(each, each) if each else b"" for each in (pending_by, tried_by, by)]
    return PasswordState(
        anchor, domain, dn,
        pending=None if version is None else Stamp(version, changed, found[0], usn),
        forced=bool(forced), due=bool(due), temporary=bool(temporary),
        attempted=None if sent[0] is None else (sent[0], sent[1], found[1]),
        applied=None if sent[2] is None else (sent[2], sent[3], found[2]),
        status=status,
    )  # fmt: skip


_NO_STAMP = (None, None, None, None)
_NOT_SENT = (None, None, None)
