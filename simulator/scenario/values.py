"""The scalars of a scenario file: offsets, durations, counts, words, passwords, and how each is read.

Nothing is typed by looking at it, as YAML itself would do: the key says what its value is. A reader takes a
:class:`~simulator.scenario.nodes.Scalar` of the file, or the finished value where a scenario is built in Python.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, NoReturn

from pydantic_core import PydanticCustomError

from simulator.scenario.nodes import Scalar

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import ValidationInfo

Never = Literal["never"]

START = datetime(2017, 1, 13, 9, tzinfo=UTC)
"""When a run begins if the file does not say."""

LONGEST = timedelta(days=36525)
"""No offset or duration is longer than a hundred years."""

_UNITS = re.compile(
    r"(?:(?P<days>[0-9]{1,9})d)?(?:(?P<hours>[0-9]{1,9})h)?(?:(?P<minutes>[0-9]{1,9})m)?"
    r"(?:(?P<seconds>[0-9]{1,9})s)?(?:(?P<milliseconds>[0-9]{1,9})ms)?"
)
_WHOLE = re.compile(r"0|[1-9][0-9]{0,18}")
_COUNT = re.compile(r"(0|[1-9][0-9]{0,17})(\+?)")
_RANGE = re.compile(r"(0|[1-9][0-9]{0,8})\.\.(0|[1-9][0-9]{0,8})")
DRAWN_MAX = 1000
"""Most changes or faults that a random run may be asked to draw."""

_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,3})?(?:Z|[+-][0-9]{2}:[0-9]{2})")


@dataclass(frozen=True)
class Count:
    """How often something must have happened: ``minimum`` times, or (not ``exact``) at least so often."""

    minimum: int
    exact: bool = True

    def matches(self, number: int) -> bool:
        return number == self.minimum if self.exact else number >= self.minimum

    def __str__(self) -> str:
        return f"{self.minimum}" if self.exact else f"{self.minimum}+"


@dataclass(frozen=True)
class Range:
    """A whole number to draw: from ``minimum`` to ``maximum``, both included."""

    minimum: int
    maximum: int

    def __str__(self) -> str:
        return f"{self.minimum}..{self.maximum}"


def bad(
    problem: str, hint: str = "", *, key: str = "", more: tuple[tuple[str, str, str], ...] = ()
) -> PydanticCustomError:
    """The error of a value that can't be read.

    key: the argument to mark where it is not the value itself. more: further errors as (problem, hint, key).
    """
    return PydanticCustomError("value", "{problem}", {"problem": problem, "hint": hint, "key": key, "more": more})


def parse_duration(text: str) -> timedelta:
    """``90s``, ``1m30s``, ``1d2h``, ``500ms`` as a length of time. ValueError for anything else."""
    match = _UNITS.fullmatch(text)
    if not match or not text:
        raise ValueError(f'"{text}" is not a duration')
    units = {unit: int(number) for unit, number in match.groupdict().items() if number}
    length = timedelta(**units)
    if length > LONGEST:
        raise ValueError(f'"{text}" is longer than a hundred years')
    return length


def parse_offset(text: str) -> timedelta:
    """``+2m``, ``+90d6m``, ``+0s`` as the time since the start. ValueError for anything else."""
    if not text.startswith("+"):
        raise ValueError(f'"{text}" is not an offset')
    try:
        return parse_duration(text[1:])
    except ValueError as error:
        raise ValueError(str(error).replace(f'"{text[1:]}"', f'"{text}"').replace("a duration", "an offset")) from None


def format_duration(length: timedelta) -> str:
    """The shortest text of a length of time (``90d6m``, ``1m30s``, ``0s``), to the millisecond."""
    rest = round(abs(length) / timedelta(milliseconds=1))
    parts = []
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        number, rest = divmod(rest, size)
        if number:
            parts.append(f"{number}{unit}")
    return "".join(parts) or "0s"


@lru_cache(maxsize=4096)
def format_offset(offset: timedelta) -> str:
    """The shortest text of an offset (``+90d6m``, ``+0s``); one before the start begins with ``-``."""
    return ("-" if offset < timedelta(0) else "+") + format_duration(offset)


def clean(text: str) -> str:
    """The text, if it may be a name: not empty, no control characters, no blanks around it."""
    if not text:
        raise bad("a value is missing")
    if not text.isprintable() or text != text.strip():
        raise bad("a name holds no control characters and has no blanks around it")
    return text


def scalar(value: object, expected: str) -> Scalar:
    """The value as a scalar of the file; the error says what was expected instead of a mapping or list."""
    if isinstance(value, Scalar):
        return value
    raise bad(f"expected {expected}, found a {'list' if isinstance(value, list) else 'mapping'}")


def plain(value: object, expected: str) -> str:
    """The text of a scalar, in quotes or not: the key alone says what a value is."""
    found = scalar(value, expected)
    if not found.text:
        raise bad("a value is missing", f"expected {expected}")
    return found.text


def as_any(value: object) -> object:
    """The value as it is."""
    return value


def read_text(value: object) -> str:
    """Any text of at least one visible character, without the blanks and line feeds around it."""
    text = value if isinstance(value, str) else scalar(value, "a text").text
    if not text.strip():
        raise bad("a value is missing", "expected a text")
    return text.strip()


def read_raw(value: object) -> str:
    """Any text, exactly as it stands."""
    return value if isinstance(value, str) else scalar(value, "a text").text


def read_password(value: object) -> str:
    """A quoted text, exactly as it stands."""
    if isinstance(value, str):
        return value
    found = scalar(value, "a password in quotes")
    if found.style in ("'", '"'):
        return found.text
    if not found.text:
        raise bad("a value is missing", "expected a password in quotes")
    raise bad("a password must be quoted", f'write "{found.text}"' if _PLAIN_PASSWORD.fullmatch(found.text) else "")


_PLAIN_PASSWORD = re.compile(r"[^\\\"\n]{1,60}")


def read_whole(value: object, minimum: int, maximum: int) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        number = value
    else:
        text = plain(value, "a whole number")
        if not _WHOLE.fullmatch(text):
            raise bad(f'"{text}" is not a whole number', "digits alone, such as 12")
        number = int(text)
    if not minimum <= number <= maximum:
        raise bad(f"{number} is out of range", f"expected a number from {minimum} to {maximum}")
    return number


def read_flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    text = plain(value, "true or false")
    if text not in ("true", "false"):
        raise bad(f'"{text}" is neither true nor false', "expected true or false")
    return text == "true"


def read_switch(value: object) -> Literal["on", "off"]:
    """``on`` or ``off``; ``true`` and ``false`` say the same."""
    if value == "on" or value == "off":
        return value
    text = scalar(value, "on or off").text
    if text in ("on", "true"):
        return "on"
    if text in ("off", "false"):
        return "off"
    raise bad(f'"{text}" is neither on nor off', "expected on or off")


def read_offset(value: object) -> timedelta:
    return value if isinstance(value, timedelta) else _timed(parse_offset, value, "an offset such as +2m or +1d2h")


def read_duration(value: object) -> timedelta:
    return value if isinstance(value, timedelta) else _timed(parse_duration, value, "a duration such as 30m or 1m30s")


def _timed(parse: Callable[[str], timedelta], value: object, expected: str) -> timedelta:
    text = plain(value, expected)
    try:
        return parse(text)
    except ValueError as error:
        raise bad(str(error), f"expected {expected}") from None


def read_duration_or_never(value: object) -> timedelta | None:
    """A duration; ``never`` is None."""
    return None if value is None or _says(value, "never") else read_duration(value)


def read_offset_or_never(value: object) -> timedelta | Never:
    return "never" if _says(value, "never") else read_offset(value)


def read_moment(value: object, info: ValidationInfo) -> timedelta | Never:
    """An offset, ``never``, or a time: the latter as the offset from the start, which the context holds."""
    if _says(value, "never"):
        return "never"
    if isinstance(value, Scalar) and _TIME.fullmatch(value.text):
        start: datetime = (info.context or {}).get("start", START)
        return read_time(value) - start
    return read_offset(value)


def _says(value: object, word: str) -> bool:
    return value == word or (isinstance(value, Scalar) and value.text == word)


def read_time(value: object) -> datetime:
    """A time with its zone, as UTC; from 1970 to 2199, which every format on the wires can hold."""
    if isinstance(value, datetime):
        found = value
    else:
        text = plain(value, "a time such as 2017-01-13T09:00:00Z")
        try:
            found = datetime.fromisoformat(text) if _TIME.fullmatch(text) else _not_a_time(text)
        except ValueError:
            _not_a_time(text)
    if found.tzinfo is None or not 1970 < found.year < 2199:
        raise bad("a time has a zone and a year from 1971 to 2198")
    return found.astimezone(UTC)


def _not_a_time(text: str) -> NoReturn:
    raise bad(f'"{text}" is not a time', "expected a time such as 2017-01-13T09:00:00Z")


def read_count(value: object) -> Count:
    if isinstance(value, Count):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return Count(value)
    text = plain(value, "a count such as 3 or 1+")
    match = _COUNT.fullmatch(text)
    if not match:
        raise bad(f'"{text}" is not a count', "expected a count such as 3 or 1+")
    return Count(int(match[1]), exact=not match[2])


def read_range(value: object) -> Range:
    if isinstance(value, Range):
        return value
    text = plain(value, "a range such as 1..6")
    match = _RANGE.fullmatch(text) or (_WHOLE.fullmatch(text) and _RANGE.fullmatch(f"{text}..{text}"))
    if not match:
        raise bad(f'"{text}" is not a range', "expected a range such as 1..6")
    found = Range(int(match[1]), int(match[2]))
    if found.minimum > found.maximum:
        raise bad(f"the range {text} is empty", f"expected {found.maximum}..{found.minimum}")
    if found.maximum > DRAWN_MAX:
        raise bad(f"{found.maximum} are more than a random run draws", f"expected at most {DRAWN_MAX}")
    return found
