"""The trace: one line per thing that happened, the same byte for byte whenever a run is repeated."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.clock import Clock
from simulator.trace import BECAUSE_LINES, SERVICE_LINES, Trace, because, digest

START = datetime(2017, 1, 13, 9, tzinfo=UTC)


def trace(after: timedelta = timedelta(0)) -> Trace:
    clock = Clock(START)
    clock.move_to(START + after)
    return Trace(clock, START)


def test_silent_until_it_begins() -> None:
    """What came before the run leaves no line."""
    one = trace()
    one.say("agent", "the service starts")
    one.begin()
    one.say("agent", "the service starts")
    assert one.lines == ["+0s        agent   the service starts"]


@pytest.mark.parametrize(
    ("after", "offset"),
    [(timedelta(minutes=2), "+2m"), (timedelta(days=90, minutes=6), "+90d6m"), (timedelta(milliseconds=500), "+500ms")],
)
def test_offset(after: timedelta, offset: str) -> None:
    """A line begins with the offset as files write it."""
    one = trace(after)
    one.begin()
    one.say("people", "someone")
    assert one.lines[0].split() == [offset, "people", "someone"]
    assert one.offset() == after


@given(st.text())
def test_one_line_each(text: str) -> None:
    """Whatever is said, it stays one line."""
    one = trace()
    one.begin()
    one.say("event", text)
    assert len(one.lines) == 1
    assert len(one.lines[0].splitlines()) == 1


def test_digest() -> None:
    """The digest is the SHA-256 of all lines with their line feeds."""
    assert digest(["+0s a", "+1s ü"]) == hashlib.sha256("+0s a\n+1s ü\n".encode()).hexdigest()
    assert digest([]) == hashlib.sha256(b"").hexdigest()


@given(st.lists(st.text(max_size=5), max_size=4), st.lists(st.text(max_size=5), max_size=4))
def test_digest_tells_traces_apart(one: list[str], other: list[str]) -> None:
    """Equal traces have one digest, others another; lone surrogates have one too."""
    one, other = ([line.replace("\n", "") for line in lines] for lines in (one, other))
    assert (digest(one) == digest(other)) == (one == other)
    assert len(digest(["\ud800"])) == 64


class TestBecause:
    """Which lines are said to have led to a failure."""

    DIED, STARTED = "+3m        agent   the process dies", "+4m        agent   the service starts"
    STOPPED = "+3m        people  agent.stop"

    @pytest.mark.parametrize("line", [DIED, STARTED, STOPPED])
    def test_service_between(self, line: str) -> None:
        """That the service died, stopped or was started is shown between two lines of the user."""
        first, last = (
            "+2m        tenant  alice holds alice#2 (sync)",
            "+6m        wire    cloud.set-passwords [alice] ok",
        )
        other = "+3m        people  ad.change-password bob bob#2"
        assert because([line, first, other, line, last, line], "alice") == (first, line, last)

    def test_stays_short(self) -> None:
        """However often the service died, few lines are added."""
        alice = "+2m        tenant  alice holds alice#2 (sync)"
        found = because([*[alice] * 20, *[self.DIED, self.STARTED] * 20, alice], "alice")
        assert found == (*[alice] * (BECAUSE_LINES - 1), *[self.DIED, self.STARTED] * (SERVICE_LINES // 2), alice)

    def test_nobody_named(self) -> None:
        """Where no line names the user, or no user is concerned, it is the last lines."""
        lines = [f"+{minute}m        agent   the service starts" for minute in range(20)]
        assert because(lines, "alice") == because(lines) == tuple(lines[-BECAUSE_LINES:])
