"""Kinds of values: each knows how it is read, what it is called in an error, and its JSON Schema.

A model's argument is annotated with one, ``at: Annotated[timedelta, OFFSET]``; nothing more is said about it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, Any, get_args

from pydantic_core import PydanticCustomError, core_schema

from simulator.scenario import values
from simulator.scenario.errors import one_of, suggest
from simulator.scenario.nodes import Scalar
from simulator.scenario.values import Count, Range, bad, clean, scalar

JsonSchema = dict[str, Any]
TEXT_SCHEMA: JsonSchema = {"type": ["string", "number", "boolean"]}
"""A word: YAML readers with implicit typing see ``007`` or ``true`` as something else."""


@dataclass(frozen=True, eq=False)
class Kind:
    """A kind of value.

    expected: completes "expected ..."; many: "a list of ...". read: raises pydantic's error for anything else.
    """

    read: Callable[..., Any]
    expected: str
    schema: Mapping[str, Any]
    with_context: bool = False
    many: str = "values"

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        if self.with_context:
            return core_schema.with_info_plain_validator_function(self.read)
        return core_schema.no_info_plain_validator_function(self.read)

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> JsonSchema:
        return dict(self.schema)


@dataclass(frozen=True)
class Choice:
    """One of the words of the ``Literal`` that it annotates."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(partial(read_choice, get_args(source)))

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> JsonSchema:
        words: tuple[str, ...] = schema["function"]["function"].args[0]
        return {"enum": [*words, *(int(word) for word in words if word.isdigit())]}


def read_choice(words: tuple[str, ...], value: object) -> str:
    text = value if isinstance(value, str) else scalar(value, f"a word: {', '.join(words)}").text
    if text in words:
        return text
    if not text:
        raise bad("a value is missing", one_of(words))
    raise bad(f'unknown word "{text}"', suggest(text, words, one_of(words)))


def read_word(value: object) -> str:
    return clean(value if isinstance(value, str) else scalar(value, "a name").text)


def read_pattern(pattern: re.Pattern[str], what: str, hint: str, value: object) -> str:
    text = read_word(value)
    if not pattern.fullmatch(text):
        raise bad(f'"{text}" is not {what}', hint)
    return text


def read_controller(value: object) -> str:
    """A controller's name, ``dc1``; its full name ``dc1.contoso.example`` says the same."""
    return str(CONTROLLER.read(DNS_NAME.read(value).partition(".")[0]))


def read_items(read: Callable[[object], Any], expected: str, value: object) -> tuple[Any, ...]:
    """A list; a single value stands for a list of one where ``value`` is a scalar of the file."""
    if isinstance(value, (list, tuple)):
        return tuple(_read_all(read, ((f"[{index}]", item) for index, item in enumerate(value))).values())
    if isinstance(value, Scalar) and not value.text and not value.quoted:
        raise bad("a value is missing", f"expected {expected}")
    raise bad(f"expected {expected}, found a {'single value' if isinstance(value, Scalar) else 'mapping'}")


def _read_all(read: Callable[[object], Any], items: Iterable[tuple[str, object]]) -> dict[str, Any]:
    """Read every item; the error of the first bad one carries those of the others, as ``more``."""
    found: dict[str, Any] = {}
    problems: list[tuple[str, str, str]] = []
    for key, item in items:
        try:
            found[clean(key)] = read(item)
        except PydanticCustomError as error:
            problems.append((error.message(), (error.context or {}).get("hint", ""), key))
    if problems:
        problem, hint, key = problems[0]
        raise bad(problem, hint, key=key, more=tuple(problems[1:]))
    return found


def read_items_or_word(read: Callable[[object], Any], word: str, expected: str, value: object) -> tuple[Any, ...]:
    if value == word or (isinstance(value, Scalar) and value.text == word):
        return ()
    return read_items(read, expected, value)


def read_one_or_more(read: Callable[[object], Any], expected: str, value: object) -> tuple[Any, ...]:
    if isinstance(value, Scalar):
        return (read(value),)
    return read_items(read, expected, value)


def read_pairs(read: Callable[[object], Any], expected: str, value: object) -> dict[str, Any]:
    """A mapping from free names to values."""
    if not isinstance(value, dict):
        found = "list" if isinstance(value, (list, tuple)) else "single value"
        raise bad(f"expected {expected}, found a {found}")
    return _read_all(read, value.items())


def read_attribute(value: object) -> str | tuple[str, ...]:
    """An attribute's value, or several of them."""
    return (
        read_items(values.read_raw, "a list of texts", value)
        if isinstance(value, (list, tuple))
        else values.read_raw(value)
    )


def read_between(value: object) -> tuple[timedelta, timedelta]:
    pair = read_items(values.read_offset, "two offsets, [+3m, +9m]", value)
    if len(pair) != 2:
        raise bad(f"expected two offsets, found {len(pair)}", "write [+3m, +9m]")
    if pair[0] > pair[1]:
        raise bad("the second offset is before the first", "write the earlier one first")
    return pair[0], pair[1]


def read_number_or_word(words: tuple[str, ...], numbers: tuple[int, int], what: str, value: object) -> int | str:
    """A number of a range, or one of some words."""
    text = str(value) if isinstance(value, (int, str)) else scalar(value, what).text
    if text.isascii() and text.isdigit():
        return values.read_whole(value, *numbers)
    if text in words:
        return text
    raise bad(f'unknown word "{text}"' if text else "a value is missing", suggest(text, words, f"expected {what}"))


def number_or_word(words: tuple[str, ...], minimum: int, maximum: int, what: str) -> Kind:
    reader = partial(read_number_or_word, words, (minimum, maximum), what)
    schema = {"anyOf": [{"type": "integer", "minimum": minimum, "maximum": maximum}, {"enum": [*words]}]}
    return Kind(reader, what, schema, many="numbers and words")


def read_among(choices: tuple[int | str, ...], what: str, value: object) -> int | str:
    """One of some numbers and words."""
    words = {str(choice): choice for choice in choices}
    text = str(value) if isinstance(value, (int, str)) else scalar(value, what).text
    if text in words:
        return words[text]
    raise bad(f'unknown word "{text}"' if text else "a value is missing", f"expected {what}")


def among(what: str, *choices: int | str) -> Kind:
    return Kind(partial(read_among, choices, what), what, {"enum": [*choices]})


def between(minimum: int, maximum: int) -> str:
    """What a whole number is, in words; a limit that nobody meets is not named."""
    return f"a whole number from {minimum} to {maximum}" if maximum < 1_000_000 else f"a whole number from {minimum} on"


def whole(minimum: int, maximum: int) -> Kind:
    schema = {"type": "integer", "minimum": minimum, "maximum": maximum}
    reader = partial(values.read_whole, minimum=minimum, maximum=maximum)
    return Kind(reader, between(minimum, maximum), schema)


def pattern(expression: str, what: str, hint: str, many: str) -> Kind:
    return Kind(partial(read_pattern, re.compile(expression), what, hint), what, TEXT_SCHEMA, many=many)


def listed(kind: Kind, *, at_least: int = 0) -> Kind:
    expected = f"a list of {kind.many}"
    schema: JsonSchema = {"type": "array", "items": dict(kind.schema)}
    reader: Callable[[object], Any] = partial(read_items, kind.read, expected)
    if at_least:
        schema["minItems"] = at_least
        reader = partial(_filled, reader, expected)
    return Kind(reader, expected, schema)


def _filled(read: Callable[[object], tuple[Any, ...]], expected: str, value: object) -> tuple[Any, ...]:
    found = read(value)
    if not found:
        raise bad("the list is empty", f"expected {expected}")
    return found


_UNITS = r"([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?"
_HANDLE = r"""[^\s"/\\\[\]:;|=,+*?<>@]{1,64}"""
_DN = r"(?i:(?:OU|CN|DC)=[^,=]+)(?:,\s*(?i:(?:OU|CN|DC)=[^,=]+))*"

OFFSET_SCHEMA: JsonSchema = {"type": "string", "pattern": rf"^\+(?=[0-9]){_UNITS}$"}
DURATION_SCHEMA: JsonSchema = {"type": "string", "pattern": rf"^(?=[0-9]){_UNITS}$"}
NEVER_SCHEMA: JsonSchema = {"const": "never"}
TIME_SCHEMA: JsonSchema = {"type": "string", "format": "date-time"}

TEXT = Kind(values.read_text, "a text", TEXT_SCHEMA)
RAW = Kind(values.read_raw, "a text", TEXT_SCHEMA)
NAME = Kind(read_word, "a name", TEXT_SCHEMA, many="names")
PASSWORD = Kind(values.read_password, "a password in quotes", {"type": "string"}, many="passwords in quotes")
FLAG = Kind(values.read_flag, "true or false", {"type": "boolean"})
SWITCH = Kind(values.read_switch, "on or off", {"enum": ["on", "off", True, False]})
OFFSET = Kind(values.read_offset, "an offset such as +2m", OFFSET_SCHEMA)
DURATION = Kind(values.read_duration, "a duration such as 30m", DURATION_SCHEMA)
TIME = Kind(values.read_time, "a time such as 2017-01-13T09:00:00Z", TIME_SCHEMA)
COUNT = Kind(
    values.read_count,
    "a count such as 3 or 1+",
    {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": r"^[0-9]+\+?$"}]},
)
RANGE = Kind(
    values.read_range,
    "a range such as 1..6",
    {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": r"^[0-9]+\.\.[0-9]+$"}]},
)
HANDLE = pattern(
    _HANDLE, "a user's name", 'a name of at most 64 characters without blanks and "/\\[]:;|=,+*?<>@', "users"
)
DNS_NAME = pattern(
    r"(?i:[a-z0-9_-]{1,63}(?:[.][a-z0-9_-]{1,63})*)", "a domain's name", "such as contoso.example", "domains"
)
CONTROLLER = pattern(r"(?i:[a-z0-9-]{1,63})", "a controller's name", "such as dc1", "controllers")
ANY_CONTROLLER = Kind(read_controller, "a controller's name", TEXT_SCHEMA, many="controllers")
TAG = pattern(r"[A-Za-z0-9][\w.-]{0,63}", "a tag", "letters, digits, - and .", "tags")
OU = pattern(_DN, "an OU", 'such as OU=People, or "OU=Berlin,OU=People"', "OUs")
UPN = pattern(
    r"[^\s@]{1,64}@[^\s@]{1,255}", "a user principal name", "such as alice@contoso.example", "user principal names"
)

ExpiresAt = Annotated[
    timedelta | values.Never,
    Kind(values.read_offset_or_never, "an offset or never", {"anyOf": [OFFSET_SCHEMA, NEVER_SCHEMA]}),
]
AccountExpires = Annotated[
    timedelta | values.Never,
    Kind(
        values.read_moment,
        "an offset, a time or never",
        {"anyOf": [OFFSET_SCHEMA, NEVER_SCHEMA, TIME_SCHEMA]},
        with_context=True,
    ),
]
MaxAge = Annotated[
    timedelta | None,
    Kind(values.read_duration_or_never, "a duration or never", {"anyOf": [DURATION_SCHEMA, NEVER_SCHEMA]}),
]
Text = Annotated[str, TEXT]
Raw = Annotated[str, RAW]
Name = Annotated[str, NAME]
Handle = Annotated[str, HANDLE]
Handles = Annotated[tuple[str, ...], listed(HANDLE)]
DomainName = Annotated[str, DNS_NAME]
Controller = Annotated[str, ANY_CONTROLLER]
Controllers = Annotated[tuple[str, ...], listed(CONTROLLER, at_least=1)]
Ou = Annotated[str, OU]
Ous = Annotated[tuple[str, ...], listed(OU)]
Upn = Annotated[str, UPN]
Password = Annotated[str, PASSWORD]
Passwords = Annotated[tuple[str, ...], listed(PASSWORD)]
Flag = Annotated[bool, FLAG]
Offset = Annotated[timedelta, OFFSET]
Duration = Annotated[timedelta, DURATION]
Time = Annotated[datetime, TIME]
Times = Annotated[Count, COUNT]
Drawn = Annotated[Range, RANGE]
CHOICE = Choice()
