"""The Application log of the agent's server, as Windows keeps it: numbered records, bounded, the oldest go first.

Windows numbers the records of a log from 1, never uses a number twice, and by default overwrites the oldest records
once the log has its largest size. The product's documentation warns of that: a small Application log forgets what
password synchronization has told.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from pwsync.event_log import Event

CHANNEL: Final = "Application"
SIZE_MAX: Final = 20 * 1024 * 1024
"""What Windows gives the Application log, in bytes."""
RECORD_SIZE: Final = 56
"""Bytes of a record beside its texts: the fixed part of Windows' EVENTLOGRECORD."""
STRING_MAX: Final = 31_839
"""Longest insertion string that Windows takes, in UTF-16 units (documentation of ReportEvent)."""

LEVELS: Final = {"error": 2, "warning": 3, "information": 4}
"""Windows' numbers of the levels."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record: its number in the log, the computer that wrote it, and the event."""

    number: int
    computer: str
    event: Event

    @property
    def level(self) -> int:
        """Windows' number of the level."""
        return LEVELS[self.event.level]

    @property
    def strings(self) -> tuple[str, ...]:
        """The insertion strings as Windows keeps them."""
        return tuple(kept(text) for text in self.event.strings)

    @property
    def size(self) -> int:
        """Bytes in the log: the fixed part, and source, computer and strings as UTF-16, each with its end."""
        texts = (self.event.source, self.computer, *self.strings)
        return RECORD_SIZE + sum(2 * (units(text) + 1) for text in texts)


class WindowsLog:
    """Takes events and keeps as many of them as fit.

    computer: the server's full name. size_max: the log's largest size in bytes; None: without bound. overwrite: when
    the log is full its oldest records make room (Windows' default); otherwise a new event is not written, and
    :attr:`lost` counts it.
    """

    def __init__(self, computer: str, *, size_max: int | None = SIZE_MAX, overwrite: bool = True) -> None:
        if size_max is not None and size_max <= 0:
            raise ValueError(f"a log has room for something, not {size_max} bytes")
        self._computer = computer
        self._size_max = size_max
        self._overwrite = overwrite
        self._records: deque[Record] = deque()
        self._written = 0
        self.size = 0
        self.lost = 0

    def __iter__(self) -> Iterator[Record]:
        """The records that are there, oldest first."""
        return iter(self._records)

    def __len__(self) -> int:
        return len(self._records)

    def write(self, event: Event) -> Record | None:
        """Write an event; None if there is no room for it."""
        record = Record(self._written + 1, self._computer, event)
        size = record.size
        if self._size_max is not None:
            full = self.size + size > self._size_max
            if size > self._size_max or (full and not self._overwrite):
                self.lost += 1
                return None
            while self.size + size > self._size_max:
                self.size -= self._records.popleft().size
        self._written += 1
        self.size += size
        self._records.append(record)
        return record


def records(events: Iterable[Event], computer: str) -> list[Record]:
    """Events as the records of a log without bound."""
    return [Record(number, computer, event) for number, event in enumerate(events, 1)]


def units(text: str) -> int:
    """The length of a text in UTF-16 units."""
    return len(text) + sum(character > "\uffff" for character in text)


def kept(text: str) -> str:
    """As much of a text as one insertion string can hold; a zero character ends it, as it does in Windows."""
    text = text.partition("\0")[0]
    if units(text) <= STRING_MAX:
        return text
    shortened = text.encode("utf-16-le", "surrogatepass")[: 2 * STRING_MAX].decode("utf-16-le", "surrogatepass")
    return shortened[:-1] if "\ud800" <= shortened[-1] <= "\udbff" else shortened


def instant(time: datetime) -> str:
    """A time as Windows writes it: UTC, with 100 ns."""
    return time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "0Z"
