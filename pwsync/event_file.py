"""The agent's part of the Application log on a disk: one JSON object to a line, so that a killed process spoils none.

A line that was being written when the process died is passed over. A file that has grown to Windows' size of the log
steps aside, and takes the place of the one that did so before.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from pwsync.event_log import Event
from pwsync.windows_log import LEVELS, SIZE_MAX, Record

SUFFIX: Final = ".events"
OLD: Final = ".old"


class EventFile:
    """Appends events. size_max: bytes at which the file steps aside. Raises OSError where it can't be opened.

    A full disk costs events, not the agent: what can't be written is counted in :attr:`lost`.
    """

    def __init__(self, path: Path, computer: str, *, size_max: int = SIZE_MAX) -> None:
        self._path = path
        self._computer = computer
        self._size_max = size_max
        self._number = max((record.number for record in read(path)), default=0)
        self.lost = 0
        self._torn = False
        self._open()

    def _open(self) -> None:
        self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._size = os.fstat(self._descriptor).st_size
        if self._size and not self._path.read_bytes().endswith(b"\n"):
            self._append(b"\n")

    def write(self, event: Event) -> Record:
        """Append an event; the record that it became."""
        self._number += 1
        record = Record(self._number, self._computer, event)
        line = json.dumps(_values(record), separators=(",", ":")).encode("ascii") + b"\n"
        if self._size and self._size + len(line) > self._size_max:
            self._step_aside()
        try:
            self._append(b"\n" + line if self._torn else line)
        except OSError:
            self.lost += 1
            self._torn = True
        else:
            self._torn = False
        return record

    def _append(self, octets: bytes) -> None:
        while octets:
            written = os.write(self._descriptor, octets)
            self._size += written
            octets = octets[written:]

    def _step_aside(self) -> None:
        with suppress(OSError):
            self._path.replace(self._path.with_name(self._path.name + OLD))
            os.close(self._descriptor)
            self._open()

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self._descriptor)


def read(path: Path) -> Iterator[Record]:
    """The records of a log, oldest first; none if there is no file. What is no record is passed over.

    No number comes twice: a second agent that could not start has written into the log of the first.
    """
    last = 0
    for each in (path.with_name(path.name + OLD), path):
        try:
            stream = each.open("rb")
        except FileNotFoundError:
            continue
        with stream:
            for line in stream:
                record = _record(line)
                if record is not None:
                    last = max(record.number, last + 1)
                    yield replace(record, number=last)


def _values(record: Record) -> dict[str, Any]:
    event = record.event
    return {
        "number": record.number,
        "computer": record.computer,
        "time": event.time.astimezone(UTC).isoformat(),
        "id": event.id,
        "level": event.level,
        "source": event.source,
        "text": event.text,
        "domain": event.domain,
        "users": list(event.users),
        "dns": list(event.dns),
        "insertions": list(event.insertions),
    }


def _record(line: bytes) -> Record | None:
    try:
        found = json.loads(line)
        return Record(_of(found, "number", int), _of(found, "computer", str), _event(found))
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _event(found: Mapping[str, Any]) -> Event:
    level = _of(found, "level", str)
    if level not in LEVELS:
        raise ValueError(level)
    domain = found.get("domain")
    return Event(
        _of(found, "id", int),
        level,
        _of(found, "source", str),
        datetime.fromisoformat(found["time"]).astimezone(UTC),
        _of(found, "text", str),
        None if domain is None else str(domain),
        _texts(found["users"]),
        _texts(found["dns"]),
        _texts(found["insertions"]),
    )


def _of(found: Mapping[str, Any], key: str, kind: type[Any]) -> Any:
    value = found[key]
    if type(value) is not kind:
        raise TypeError(key)
    return value


def _texts(found: Any) -> tuple[str, ...]:
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise TypeError("a list of texts")
    return tuple(found)
