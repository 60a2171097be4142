"""Offsets, durations, counts, ranges, times: reading and writing them."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from simulator.scenario import values
from simulator.scenario.nodes import Scalar
from simulator.scenario.values import Count, Range, format_duration, format_offset, parse_duration, parse_offset

MILLISECONDS = st.integers(0, 100 * 365 * 86_400_000).map(lambda number: timedelta(milliseconds=number))


def plain(text: str) -> Scalar:
    return Scalar(1, 1, len(text), text)


def quoted(text: str) -> Scalar:
    return Scalar(1, 1, len(text) + 2, text, '"')


@given(MILLISECONDS)
def test_offset_reads_back(offset: timedelta) -> None:
    """Whatever offset is written is read as the same."""
    assert parse_offset(format_offset(offset)) == offset
    assert parse_duration(format_duration(offset)) == offset


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        ("+2m", timedelta(minutes=2)),
        ("+1d2h", timedelta(days=1, hours=2)),
        ("+90d6m", timedelta(days=90, minutes=6)),
        ("+1m30s", timedelta(seconds=90)),
        ("+0s", timedelta(0)),
        ("+500ms", timedelta(milliseconds=500)),
        ("+1d1h1m1s1ms", timedelta(days=1, hours=1, minutes=1, seconds=1, milliseconds=1)),
    ],
)
def test_offset_texts(text: str, offset: timedelta) -> None:
    """The format's own examples are read, and are written as they stand."""
    assert parse_offset(text) == offset
    assert format_offset(offset) == text


@pytest.mark.parametrize(
    "text", ["", "+", "2m", "-2m", "+2", "+m", "+2m1h", "+2m2m", "+ 2m", "+2M", "+１m", "+1.5h", "+2m\n"]
)
def test_what_is_no_offset(text: str) -> None:
    """Anything else is not an offset."""
    with pytest.raises(ValueError, match="is not an offset"):
        parse_offset(text)


def test_offset_of_centuries_is_refused() -> None:
    """An offset that no calendar holds is refused, not computed."""
    with pytest.raises(ValueError, match="longer than a hundred years"):
        parse_offset("+999999999d")


def test_offset_before_the_start_is_written_with_a_minus() -> None:
    """What lies before the start can be shown, though no file may say it."""
    assert format_offset(timedelta(seconds=-90)) == "-1m30s"


@given(st.text(max_size=12))
def test_no_text_breaks_the_readers(text: str) -> None:
    """A reader takes a text or says why not; it raises nothing else."""
    for read in (
        values.read_offset,
        values.read_duration,
        values.read_offset_or_never,
        values.read_time,
        values.read_count,
        values.read_range,
        values.read_flag,
        values.read_switch,
        values.read_password,
        values.read_text,
    ):
        for node in (plain(text), quoted(text)):
            with suppress(PydanticCustomError):
                read(node)


def test_count_matches() -> None:
    """A count is met exactly; with a plus, by more as well."""
    assert [Count(2).matches(number) for number in (1, 2, 3)] == [False, True, False]
    assert [Count(1, exact=False).matches(number) for number in (0, 1, 9)] == [False, True, True]
    assert (str(Count(3)), str(Count(1, exact=False))) == ("3", "1+")
    assert values.read_count(plain("1+")) == Count(1, exact=False)


def test_range_reads_one_number_or_two() -> None:
    """``1..6`` is a range, and ``3`` one of a single number."""
    assert values.read_range(plain("1..6")) == Range(1, 6)
    assert values.read_range(plain("3")) == Range(3, 3)
    assert str(Range(1, 6)) == "1..6"


def test_true_and_false_are_the_only_flags() -> None:
    """Neither yes nor True is a truth value; in quotes or not is the same."""
    assert values.read_flag(plain("true")) is True
    assert values.read_flag(plain("false")) is False
    assert values.read_flag(quoted("true")) is True
    for node in (plain("yes"), plain("True"), plain("on")):
        with pytest.raises(PydanticCustomError):
            values.read_flag(node)


def test_password_is_kept_as_it_stands() -> None:
    """A quoted password keeps its blanks, its emptiness, and what looks like something else."""
    for text in ("", " a ", "true", "10:02", "пароль", "a #b"):
        assert values.read_password(quoted(text)) == text
    with pytest.raises(PydanticCustomError, match="must be quoted"):
        values.read_password(plain("secret"))


def test_numbers_have_one_writing() -> None:
    """``0123`` is no number: YAML would read it as 83."""
    assert values.read_whole(plain("123"), 0, 200) == 123
    for text in ("0123", "+1", "1_000", "0x1f", "1e3", "１"):
        with pytest.raises(PydanticCustomError):
            values.read_whole(plain(text), 0, 10_000)


def test_time_is_read_as_utc() -> None:
    """A time may stand in any zone, but must name one."""
    assert values.read_time(plain("2017-06-01T06:30:00+02:00")).isoformat() == "2017-06-01T04:30:00+00:00"
    for text in ("2017-06-01T06:30:00", "2017-13-01T00:00:00Z", "2017-06-01", "9999-12-31T23:59:59-12:00"):
        with pytest.raises(PydanticCustomError):
            values.read_time(plain(text))
