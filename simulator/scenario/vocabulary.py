"""The words of the format, read off the models: for documentation, for ``pwsync new``, and for the JSON Schema.

Nothing here is written by hand: a new action is a new model, and appears.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from simulator.scenario.base import Part, Placed, key_of
from simulator.scenario.kinds import Choice, Kind
from simulator.scenario.model import ACTIONS, EXPECTATIONS, Fault, Given, Scenario
from simulator.scenario.values import format_duration


@dataclass(frozen=True)
class Argument:
    """A key of a mapping. ``expected``: its value in words. ``default``: as in a file, empty if there is none."""

    key: str
    expected: str
    required: bool
    default: str


@dataclass(frozen=True)
class Word:
    """An action, an expectation, or a part of the file: its word, one line of what it is, its arguments."""

    name: str
    summary: str
    arguments: tuple[Argument, ...]


def actions() -> tuple[Word, ...]:
    """Every action, in the order of the format."""
    return tuple(word(model, name) for name, model in ACTIONS.items())


def expectations() -> tuple[Word, ...]:
    """Every expectation, in the order of the format."""
    return tuple(word(model, name) for name, model in EXPECTATIONS.items())


def sections() -> tuple[Word, ...]:
    """The other parts of a file: the top level, ``given``, and a fault rule."""
    return (word(Scenario, "scenario"), word(Given, "given"), word(Fault, "faults"))


def word(model: type[Part], name: str) -> Word:
    """What there is to say about a model."""
    arguments = (argument(key_of(attribute), info) for attribute, info in model.model_fields.items())
    return Word(name, summary(model), tuple(sorted(arguments, key=lambda each: not each.required)))


def summary(model: type[Part]) -> str:
    """The first line of the model's docstring."""
    return (model.__doc__ or "").strip().partition("\n")[0]


def argument(key: str, info: FieldInfo) -> Argument:
    """What there is to say about one key."""
    default = "" if info.is_required() or info.default_factory is not None else default_text(info.default)
    return Argument(key, expected(info), info.is_required(), default)


def default_text(value: Any) -> str:
    """A default as it would stand in a file; empty where it says nothing."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, timedelta):
        return format_duration(value)
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M:%SZ}"
    if isinstance(value, tuple):
        return f"[{', '.join(default_text(item) for item in value)}]" if value else ""
    return "" if value is None or isinstance(value, (Part, Mapping)) else str(value)


def expected(info: FieldInfo) -> str:
    """What a key's value is, in words."""
    for mark in info.metadata:
        if isinstance(mark, Kind):
            return mark.expected
        if isinstance(mark, Choice):
            return _choices(info.annotation)
    return _expected_in(info.annotation)


def _expected_in(annotation: Any) -> str:
    for mark in getattr(annotation, "__metadata__", ()):
        if isinstance(mark, Kind):
            return mark.expected
        if isinstance(mark, Choice):
            return _choices(annotation.__origin__)
    if isinstance(annotation, type) and issubclass(annotation, Part):
        return "a mapping"
    if get_origin(annotation) is tuple:
        return "a list"
    inner = (found for each in get_args(annotation) if (found := _expected_in(each)))
    return "a mapping" if get_origin(annotation) is dict else next(inner, "")


def _choices(annotation: Any) -> str:
    words = get_args(annotation) if get_origin(annotation) is Literal else ()
    return ", ".join(words[:-1]) + f" or {words[-1]}" if len(words) > 1 else "".join(words)


def is_bare(model: type[Part]) -> bool:
    """Whether the model needs no arguments, so that its word may stand alone."""
    if not issubclass(model, Placed):
        return False
    try:
        model()
    except ValidationError:
        return False
    return True
