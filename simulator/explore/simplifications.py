"""What shrinking makes simpler: fewer keys, the default profile, shorter times, smaller numbers, plain passwords."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from simulator.explore.document_parts import Place, paths, value_at, with_value
from simulator.explore.reductions import Candidates, View
from simulator.explore.writing import Document, Quoted
from simulator.scenario.values import format_duration, format_offset, parse_duration, parse_offset

# --- keys -------------------------------------------------------------------------------------------------------

_NEEDED = frozenset({"scenario", "why", "rules", "timeline", "at", "name", "user", "password", "on", "profile"})


def fewer_keys(view: View) -> Candidates:
    """Without a key that has a default, the last ones of the file first."""
    for path in [path for path, _ in paths(view.document)][::-1]:
        if _has_default(path) and value_at(view.document, path) is not None:
            view = (yield with_value(view.document, path, None)) or view


def _has_default(path: Place) -> bool:
    """Whether a key may be left out, as far as one can tell; in the timeline only arguments of actions may."""
    if not path or not isinstance(path[-1], str) or path[-1] in _NEEDED or path[0] == "rules":
        return False
    return path[0] != "timeline" or len(path) > 4


def default_profile(view: View) -> Candidates:
    """The default profile."""
    yield {**view.document, "profile": "2017"}


# --- times ------------------------------------------------------------------------------------------------------

CYCLE = timedelta(minutes=2)


def earlier(view: View) -> Candidates:
    """Entries sooner after the one before, all later ones with them; then at a round time."""
    index = 0
    while index < len(view.document["timeline"]):
        steps = view.document["timeline"]
        before = parse_offset(steps[index - 1]["at"]) if index else timedelta(0)
        now = parse_offset(steps[index]["at"])
        for gap in _gaps(now - before, whole_cycles=view.way.kind == "expectation"):
            if (taken := (yield _moved(view.document, index, before + gap - now))) is not None:
                view = taken
                break
        for moment in _rounded(now) if view.way.kind != "expectation" else ():
            if (taken := (yield _placed(view.document, index, moment))) is not None:
                view = taken
                break
        index += 1


def _gaps(gap: timedelta, *, whole_cycles: bool) -> Iterator[timedelta]:
    """Shorter gaps, the best first; by whole cycles where an expectation must keep a cycle before it."""
    if whole_cycles:
        rest = gap % CYCLE
        for least in (rest + CYCLE, rest + (gap - rest) // 2 // CYCLE * CYCLE):
            if CYCLE <= least < gap:
                yield least
        return
    minute = timedelta(minutes=1)
    for shorter in (timedelta(0), minute, CYCLE, gap // 2 // minute * minute, gap // minute * minute, gap - CYCLE):
        if timedelta(0) <= shorter < gap:
            yield shorter


def _rounded(moment: timedelta) -> Iterator[timedelta]:
    minute = timedelta(minutes=1)
    for size in (10 * minute, minute, timedelta(seconds=10)):
        if moment % size:
            yield moment // size * size
            yield moment // size * size + size


def _moved(document: Document, index: int, by: timedelta) -> Document:
    """The document with an entry and all later ones moved, and whatever of the faults lies after it."""
    steps = [
        {**step, "at": format_offset(parse_offset(step["at"]) + by)} if place >= index else step
        for place, step in enumerate(document["timeline"])
    ]
    return {**document, "timeline": steps}


def _placed(document: Document, index: int, moment: timedelta) -> Document:
    steps = [dict(step) for step in document["timeline"]]
    steps[index]["at"] = format_offset(moment)
    return {**document, "timeline": steps}


def simpler_values(view: View) -> Candidates:
    """Shorter durations and windows, smaller numbers, outside the times of the timeline."""
    for path, value in list(paths(view.document)):
        if path[:1] not in (("given",), ("faults",), ("timeline",)) or path[-1:] == ("at",):
            continue
        if not isinstance(value, str) or isinstance(value, Quoted):
            continue
        for simpler in _simpler(value):
            if value_at(view.document, path) != value:
                break
            if (taken := (yield with_value(view.document, path, simpler))) is not None:
                view = taken
                break


def _simpler(text: str) -> Iterator[str]:
    if re.fullmatch(r"[0-9]{1,6}", text):
        for number in (1, int(text) // 2, int(text) - 1):
            if 0 < number < int(text):
                yield str(number)
        return
    sign = "+" if text.startswith("+") else ""
    try:
        length = parse_duration(text.removeprefix("+"))
    except ValueError:
        return
    minute = timedelta(minutes=1)
    for each in (timedelta(0), timedelta(seconds=1), minute, 2 * minute, 30 * minute, length // 2 // minute * minute,
                 length // minute * minute, length // minute * minute + minute):  # fmt: skip
        shorter = sign + format_duration(each)
        if shorter != text:
            yield shorter


# --- passwords --------------------------------------------------------------------------------------------------


def simpler_passwords(view: View) -> Candidates:
    """Passwords that say which is which: all of them at once, then one by one."""
    found = [str(value) for value in _passwords(view.document)]
    names = {text: Quoted(f"Pass-word-{number}") for number, text in enumerate(dict.fromkeys(found), 1)}
    if (taken := (yield _relabelled(view.document, names))) is not None:
        return
    for text, name in names.items():
        view = (yield _relabelled(view.document, {text: name})) or view
    del taken


def _passwords(value: Any, key: str = "") -> Iterator[Quoted]:
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _passwords(each, str(name))
    elif isinstance(value, list):
        for each in value:
            yield from _passwords(each, key)
    elif isinstance(value, Quoted) and key in ("password", "old", "is"):
        yield value


def _relabelled(value: Any, names: dict[str, Quoted], key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _relabelled(each, names, str(name)) for name, each in value.items()}
    if isinstance(value, list):
        return [_relabelled(each, names, key) for each in value]
    if isinstance(value, Quoted) and key in ("password", "old", "is"):
        return names.get(str(value), value)
    return value
