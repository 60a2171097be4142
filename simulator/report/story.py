"""A scenario told in plain words: the world at the start, what goes wrong, what happens, what must hold, and why.

It is written from the model, not from the file, so it shows what will be run. Everything that the file sets is told:
what a sentence of :mod:`simulator.report.sentences` does not mention follows it in parentheses.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from simulator.report.sentences import ACTIONS, EXPECTATIONS, FAULT_CHOICES, FAULT_EFFECTS, GIVEN, SYNC
from simulator.scenario.base import key_of
from simulator.scenario.rules import RULES
from simulator.scenario.values import Count, format_duration, format_offset

if TYPE_CHECKING:
    from simulator.scenario.file import Case

WIDTH = 96

_OFFSETS = frozenset({"since", "expires", "account_expires", "between", "at"})
_TEXTS = frozenset({"password", "old", "contains", "xml"})
_PART = re.compile(r"\[((?:[^\[\]{}]|\{[^{}]*\})*)\]")
_ARGUMENT = re.compile(r"\{(\w+)(?:\?([^|{}]*)\|([^{}]*))?\}")


def story(case: Case) -> str:
    """The whole story of one case."""
    scenario = case.scenario
    start = scenario.start.strftime("%Y-%m-%d %H:%M:%S UTC")
    blocks = [
        [*_wrap(scenario.scenario), f"({case.id}; profile {case.profile}, seed {scenario.seed}, begins {start})"],
        ["Why", *_wrap(str(scenario.why).strip(), 2)],
        ["At the start", *_given(scenario.given)],
    ]
    if scenario.faults:
        blocks.append(["What goes wrong", *(line for fault in scenario.faults for line in _wrap(tell_fault(fault), 2))])
    blocks.append(["What happens, and what must hold", *_timeline(scenario.timeline)])
    if scenario.explore is not None:
        blocks.append(["A seeded random run beside it", *_wrap(tell_settings(scenario.explore), 2)])
    if scenario.except_:
        switched_off = [line for name, why in scenario.except_.items() for line in _wrap(f"{name}: {why}", 2)]
        blocks.append(["Invariants switched off", *switched_off])
    blocks.append(["The rules that this shows", *_rules(scenario.rules)])
    return "\n\n".join("\n".join(block) for block in blocks)


def _wrap(text: str, indent: int = 0, lead: str = "") -> list[str]:
    """Lines of at most WIDTH, the first behind ``lead``, all of them indented."""
    margin = " " * indent
    hanging = margin + " " * len(lead)
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=margin + lead,
        subsequent_indent=hanging,
        break_on_hyphens=False,
        break_long_words=False,
    )


def _given(given: Any) -> Iterable[str]:
    yield from _wrap(SYNC[given.sync], 2)
    for name in type(given).model_fields:
        value = getattr(given, name)
        if name == "sync" or name not in given.model_fields_set or value is None:
            continue
        if isinstance(value, tuple):
            yield f"  {GIVEN[name]}:"
            for item in value:
                yield from _wrap(_person(item), 4)
        else:
            yield from _wrap(f"{GIVEN[name]}: {tell_value(name, value)}.", 2)


def _person(person: Any) -> str:
    others = tell_settings(person, leave_out=("name",))
    return f"{person.name}: {others}." if others else f"{person.name}."


def _timeline(steps: Iterable[Any]) -> Iterable[str]:
    steps = list(steps)
    if not steps:
        yield "  Nothing."
    width = max((len(format_offset(step.at)) for step in steps), default=0)
    last = None
    for step in steps:
        offset = format_offset(step.at)
        lead = f"{offset if offset != last else '':<{width}}  "
        last = offset
        for sentence in _sentences(step):
            yield from _wrap(sentence, 2, lead)
            lead = " " * len(lead)


def _sentences(step: Any) -> Iterable[str]:
    """What happens at a step, then what must hold."""
    yield from (tell_action(action) for action in step.do)
    yield from (tell_expectation(expectation) for expectation in step.expect)


def tell_action(action: Any) -> str:
    """An action as a sentence."""
    return _with_rest(action, ACTIONS[action.name])


def tell_expectation(expectation: Any) -> str:
    """An expectation as a sentence."""
    return "Then " + _with_rest(expectation, EXPECTATIONS[expectation.name]) + "."


def tell_fault(fault: Any) -> str:
    """A rule of ``faults`` as a sentence."""
    chosen = [words.format(tell_value(key, getattr(fault, key))) for key, words in FAULT_CHOICES if _says(fault, key)]
    effects = [words.format(tell_value(key, getattr(fault, key))) for key, words in FAULT_EFFECTS if _says(fault, key)]
    which = f" ({', '.join(chosen)})" if chosen else ""
    return f"Every attempt on {fault.on}{which} {', '.join(effects)}."


def _says(part: Any, key: str) -> bool:
    """Whether the file sets the key to anything but nothing or false."""
    return key in part.model_fields_set and getattr(part, key) is not None and getattr(part, key) is not False


def _with_rest(part: Any, template: str) -> str:
    """The sentence of a template, and in parentheses what the file sets beside it."""
    text, told = fill(part, template)
    rest = tell_settings(part, leave_out=told)
    if not rest:
        return text
    stop = "." if text.endswith(".") else ""
    return f"{text.removesuffix('.')} ({rest}){stop}"


def fill(part: Any, template: str) -> tuple[str, set[str]]:
    """A template filled from a model, and the names of the arguments that it mentions."""
    told = {match[1] for match in _ARGUMENT.finditer(template)}

    def optional(match: re.Match[str]) -> str:
        text, bar, otherwise = match[1].rpartition("|")
        if not bar or text.count("{") > text.count("}"):  # the bar belongs to an argument's two wordings
            text, otherwise = match[1], ""
        names = [found[1] for found in _ARGUMENT.finditer(text)]
        known = all(name in part.model_fields_set and getattr(part, name) is not None for name in names)
        return text if known else otherwise

    def argument(match: re.Match[str]) -> str:
        value = getattr(part, match[1])
        if match[2] is not None:
            return match[2] if value else match[3]
        return tell_value(match[1], value, texts=part.name == "cloud.history" and match[1] == "is_")

    return _ARGUMENT.sub(argument, _PART.sub(optional, template)), told


def tell_settings(part: BaseModel, leave_out: Iterable[str] = ()) -> str:
    """What the file sets in a model: ``key value, key value``."""
    left_out = set(leave_out)
    return ", ".join(
        f"{key_of(name)} {tell_value(name, getattr(part, name))}"
        for name in type(part).model_fields
        if name in part.model_fields_set and name not in left_out
    )


def tell_value(name: str, value: Any, *, texts: bool = False) -> str:
    """A value in words; ``name`` is its argument's, which tells offsets from durations and texts from names."""
    if value is None:
        return "never"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, timedelta):
        return format_offset(value) if name in _OFFSETS else format_duration(value)
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S UTC")
    if isinstance(value, Count):
        return tell_count(value)
    if isinstance(value, BaseModel):
        return f"({tell_settings(value)})"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {tell_value(str(key), item)}".rstrip() for key, item in value.items())
    if isinstance(value, (tuple, list)):
        joint = " to " if name == "between" else ", "
        return joint.join(tell_value(name, item, texts=texts) for item in value) or "none"
    return f'"{value}"' if texts or name in _TEXTS else str(value)


def tell_count(count: Count) -> str:
    """A count in words."""
    if count.minimum == 0:
        return "never" if count.exact else "any number of times"
    number = {1: "once", 2: "twice"}.get(count.minimum, f"{count.minimum} times")
    return f"exactly {number}" if count.exact else f"at least {number}"


def _rules(names: Iterable[str]) -> Iterable[str]:
    for name in names:
        yield from _wrap(f"{name}: {RULES[name].text}", 2)
