"""The object log: what became of each attempt to synchronize a user's password, kept for seven days.

It is what the product shows behind the button "Log" of an object (troubleshooting documentation). An attempt is known
by its time, the time of the password's change, and a word for its result; never by anything of the password. The words
that this agent comes to are those of :mod:`pwsync.failures`. ``MigratedCheckDetailsForMoreInfo`` marks entries of
builds before 1.0.9125.0, which no database of this agent can hold.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from pwsync.event_log import moment

KEPT: Final = timedelta(days=7)
"""How long an attempt is kept."""

MEANINGS: Final = {
    "Success": "The password was synchronized.",
    "FilteredByTarget": "The password has to be changed at the next logon; it was not synchronized.",
    "NoTargetConnection": "The tenant has no object that this one is joined to.",
    "SourceConnectorNotPresent": "No object whose password is synchronized: filtered, disabled, or of another class.",
    "TargetNotExportedToDirectory": "The object is not exported to the tenant yet.",
    "MigratedCheckDetailsForMoreInfo": "An older build made this entry.",
    "Error": "The tenant returned an error for this user.",
    "Unknown": "The batch failed, or its answer was lost.",
    "MissingAttribute": "Attributes that Domain Services needs are not available.",
    "RetryRequestedByTarget": "The tenant asked to try again.",
}
"""Every state that the product's documentation lists, in this project's words."""

TABLE: Final = """
CREATE TABLE attempts (row INTEGER PRIMARY KEY, time INTEGER NOT NULL, anchor TEXT NOT NULL, changed INTEGER,
    result TEXT NOT NULL);
"""
"""``time`` in microseconds since 1970; rows stand in the order of their time."""

_ROWS_AT_ONCE = 200
_YEAR_1970 = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Attempt(NamedTuple):
    """One attempt: when, for whom (source anchor), the change (seconds since 1601; None if not read), the result."""

    time: datetime
    anchor: str
    changed: int | None
    result: str


class ObjectLog:
    """The attempts in the agent's database. What is written belongs to the transaction that is open."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._oldest: datetime | None = None

    def write(self, attempts: Sequence[Attempt]) -> None:
        """Add attempts; let go of those that are older than seven days (looked for once a day)."""
        for start in range(0, len(attempts), _ROWS_AT_ONCE):
            some = attempts[start : start + _ROWS_AT_ONCE]
            places = ",".join(["(?,?,?,?)"] * len(some))
            statement = f"INSERT INTO attempts (time, anchor, changed, result) VALUES {places}"  # noqa: S608
            values = [value for each in some for value in (_number(each.time), *each[1:])]
            self._connection.execute(statement, values)
        if attempts:
            self._forget(attempts[-1].time)

    def read(self, anchor: str, now: datetime) -> list[Attempt]:
        """A user's attempts of the last seven days, oldest first."""
        rows = self._connection.execute(
            "SELECT time, changed, result FROM attempts WHERE anchor = ? AND time >= ? ORDER BY row",
            (anchor, _number(now - KEPT)),
        )
        return [
            Attempt(_YEAR_1970 + timedelta(microseconds=time), anchor, changed, result)
            for time, changed, result in rows
        ]

    def _forget(self, now: datetime) -> None:
        if self._oldest is not None and now - self._oldest < KEPT + timedelta(days=1):
            return
        self._connection.execute("DELETE FROM attempts WHERE time < ?", (_number(now - KEPT),))
        (oldest,) = self._connection.execute("SELECT min(time) FROM attempts").fetchone()
        self._oldest = now if oldest is None else _YEAR_1970 + timedelta(microseconds=oldest)


def as_text(attempts: Iterable[Attempt]) -> str:
    """Attempts as lines for people; a sentence where there are none."""
    lines = [
        f"{each.time:%Y-%m-%d %H:%M:%S}  {_changed(each):<19}  {each.result:<28}  {MEANINGS.get(each.result, '')}"
        for each in attempts
    ]
    if not lines:
        return "There is no attempt of the last seven days: the password was not read from the directory."
    return "\n".join([f"{'Time (UTC)':<19}  {'Changed (UTC)':<19}  Result", *(line.rstrip() for line in lines)])


def as_json(attempts: Iterable[Attempt]) -> str:
    """Attempts as a JSON list of ``time``, ``changed`` (ISO 8601, UTC; null if not read) and ``result``."""
    return json.dumps(
        [
            {
                "time": each.time.astimezone(UTC).isoformat(),
                "changed": None if each.changed is None else moment(each.changed).isoformat(),
                "result": each.result,
            }
            for each in attempts
        ],
        indent=2,
    )


def _changed(attempt: Attempt) -> str:
    return "-" if attempt.changed is None else f"{moment(attempt.changed):%Y-%m-%d %H:%M:%S}"


def _number(time: datetime) -> int:
    return (time - _YEAR_1970) // _MICROSECOND
