"""A look into an agent's database from outside, while the agent runs or not. It changes nothing.

What is seen is what was committed last.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from pwsync.errors import StoreError
from pwsync.object_log import Attempt, ObjectLog
from pwsync.state import UNCONFIRMED
from pwsync.store import SCHEMA_VERSION
from pwsync.tenant_link import RETRY_AFTER

_NAMES: Final = ("samaccountname", "userprincipalname", "displayname")


@dataclass(frozen=True, slots=True)
class DomainView:
    """A domain: whether passwords are synchronized, whether all of them are to be sent, whether objects were read."""

    name: str
    password_sync: bool
    full: str
    imported: bool
    objects: int
    waiting: int


@dataclass(frozen=True, slots=True)
class UserView:
    """A user of the directory: what keeps object or password here (None where nothing does), and the last outcome."""

    anchor: str
    domain: str
    dn: str
    left_out: str | None
    password_left_out: str | None
    exported: bool
    status: str


@dataclass(frozen=True, slots=True)
class StoreView:
    """What :func:`look` found.

    statuses: how many users' last attempt came to what. pending: DNs, in sending order. held_until: the end of the last
    pause that the tenant asked for, in ISO 8601; None if it never did.
    """

    domains: Sequence[DomainView]
    statuses: dict[str, int]
    pending: Sequence[str]
    held_until: str | None = None


@contextmanager
def opened(store: Path) -> Iterator[sqlite3.Connection]:
    """The database, to be read only. Raises StoreError, for what is asked in the block too."""
    if not store.exists():
        raise StoreError(f'There is no database "{store}": no agent has run with this configuration yet.')
    try:
        with closing(sqlite3.connect(f"{store.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version != SCHEMA_VERSION:
                raise StoreError(
                    f'The database "{store}" has schema {version}, known here is {SCHEMA_VERSION}. Start the agent '
                    "once if it is older; use the agent that wrote it if it is newer."
                )
            yield connection
    except sqlite3.Error as error:
        raise StoreError(f'The database "{store}" can\'t be read: {error}.') from error


def look(store: Path) -> StoreView:
    """Domains, outcomes and what is pending. Raises StoreError."""
    with opened(store) as connection:
        rows = connection.execute(
            "SELECT name, password_sync, full, imported, (SELECT count(*) FROM objects WHERE domain = name), "
            "(SELECT count(*) FROM passwords WHERE domain = name AND (version IS NOT NULL OR due)) "
            "FROM domains ORDER BY name"
        )
        domains = [DomainView(row[0], bool(row[1]), row[2], bool(row[3]), row[4], row[5]) for row in rows]
        statuses = dict(connection.execute("SELECT status, count(*) FROM passwords GROUP BY status ORDER BY status"))
        pending = [
            row[0]
            for row in connection.execute(
                "SELECT dn FROM passwords WHERE version IS NOT NULL ORDER BY changed, domain, usn, anchor"
            )
        ]
        held = connection.execute("SELECT value FROM settings WHERE name = ?", (RETRY_AFTER,)).fetchone()
    return StoreView(domains, statuses, pending, held[0] if held else None)


def find(store: Path, name: str) -> UserView:
    """A user by source anchor, DN, account's name, principal name or display name. Raises StoreError if there is none,
    or several."""
    wanted = name.casefold()
    with opened(store) as connection:
        found = [
            row
            for row in connection.execute(
                "SELECT anchor, domain, dn, left_out, password_left_out, exported, attributes FROM objects"
            )
            if row[0] == name or row[2].casefold() == wanted or wanted in _names(row[6])
        ]
        if len(found) != 1:
            raise StoreError(
                f'The agent knows nobody called "{name}".'
                if not found
                else f'Several objects are called "{name}": {", ".join(row[2] for row in found[:10])}.'
            )
        anchor, domain, dn, left_out, password_left_out, exported, _ = found[0]
        confirmed = exported is not None and exported != UNCONFIRMED
        status = connection.execute("SELECT status FROM passwords WHERE anchor = ?", (anchor,)).fetchone()
    return UserView(anchor, domain, dn, left_out, password_left_out, confirmed, status[0] if status else "none")


def attempts(store: Path, anchor: str, now: datetime | None) -> list[Attempt]:
    """A user's attempts of the last seven days, oldest first. now: None counts from the last attempt of anybody."""
    with opened(store) as connection:
        if now is None:
            (newest,) = connection.execute("SELECT max(time) FROM attempts").fetchone()
            now = datetime.fromtimestamp((newest or 0) / 1e6, UTC)
        return ObjectLog(connection).read(anchor, now)


def _names(attributes: str) -> Iterator[str]:
    try:
        found: Any = json.loads(attributes)
    except ValueError:
        return
    for key in _NAMES:
        yield from (str(value).casefold() for value in found.get(key, ()))
