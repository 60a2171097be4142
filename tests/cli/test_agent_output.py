"""What a running agent prints, where nobody can take it."""

from __future__ import annotations

import errno
import os
from contextlib import redirect_stdout
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pwsync.event_log import PASSWORD_SOURCE, Event
from pwsync.windows_log import Record
from simulator.cli.agent import tell

RECORD = Record(1, "S", Event(601, "information", PASSWORD_SOURCE, datetime(2017, 1, 13, tzinfo=UTC), "It starts."))


class Output:
    """Standard output that a test opened without a buffer, so that nothing is left to write when it is closed."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.is_full = False

    def fileno(self) -> int:
        return self._descriptor

    def write(self, text: str) -> int:
        if self.is_full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return os.write(self._descriptor, text.encode())

    def flush(self) -> None:
        pass


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
def test_full_disk() -> None:
    """An output on a full disk does not stop the agent."""
    descriptor = os.open("/dev/full", os.O_WRONLY)
    try:
        with redirect_stdout(Output(descriptor)):
            tell(RECORD)
    finally:
        os.close(descriptor)


def test_room_again(tmp_path: Path) -> None:
    """A line that found no room costs none of those that follow."""
    with (tmp_path / "out").open("wb", buffering=0) as file:
        output = Output(file.fileno())
        with redirect_stdout(output):
            output.is_full = True
            tell(RECORD)
            output.is_full = False
            tell(RECORD)
    assert (tmp_path / "out").read_text().count("It starts.") == 1


def test_reader_gone() -> None:
    """A pipe that nobody reads any more ends it."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        with redirect_stdout(Output(writing)), pytest.raises(BrokenPipeError):
            tell(RECORD)
    finally:
        os.close(writing)
