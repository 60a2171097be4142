"""What shrinking makes simpler: fewer keys, the default profile, shorter times, smaller numbers, plain passwords."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

from simulator.explore.document_parts import Place, paths, value_at, with_value
from simulator.explore.plans import END
from simulator.explore.reductions import Candidates, View
from simulator.explore.writing import Document, Quoted
from simulator.scenario.values import format_duration, format_offset, parse_duration, parse_offset

# --- keys -------------------------------------------------------------------------------------------------------

_NEEDED = frozenset({"scenario", "why", "rules", "timeline", "at", "name", "user", "password", "on", "profile"})

_LOOKED_AT = _NEEDED | {"as", "by", "contains", "domain", "id", "kind", "level", "method", "operation", "since", "via"}
_CODES = frozenset({"answer", "fault", "result", "fail", "id", "seed", "profile"})
"""Keys whose number is a name: a smaller one is not simpler."""


def fewer_keys(view: View) -> Candidates:
    """Without a key that has a default, the last ones of the file first."""
    for path in [path for path, _ in paths(view.document)][::-1]:
        if _has_default(path) and value_at(view.document, path) is not None:
            view = (yield with_value(view.document, path, None)) or view


def _has_default(path: Place) -> bool:
    """Whether a key may be left out, as far as one can tell.

    In the timeline only arguments may, and of an expectation none that says what it looks at.
    """
    if not path or not isinstance(path[-1], str) or path[0] == "rules":
        return False
    if path[0] != "timeline":
        return path[-1] not in _NEEDED
    if len(path) <= len(("timeline", 0, "do", 0, "ad.logon")):
        return False
    return path[-1] not in (_LOOKED_AT if path[2] == "expect" else _NEEDED - {"on"})


def default_profile(view: View) -> Candidates:
    """The default profile, which no file has to name."""
    yield {key: value for key, value in view.document.items() if key != "profile"}


# --- times ------------------------------------------------------------------------------------------------------

CYCLE = timedelta(minutes=2)


def earlier(view: View) -> Candidates:
    """Entries sooner after the one before, all later ones with them; then at a round time.

    An entry that comes to the moment of the one before is one with it afterwards: what stands at its index then is the
    next one, which takes its turn, or nothing.
    """
    index = 0
    while index < (count := len(view.document["timeline"])):
        view = yield from _sooner(view, index)
        if len(view.document["timeline"]) == count and view.way.kind != "expectation":
            view = yield from _at_a_round_time(view, index)
        if len(view.document["timeline"]) == count:
            index += 1


def _sooner(view: View, index: int) -> Generator[Document, View | None, View]:
    steps = view.document["timeline"]
    before = parse_offset(steps[index - 1]["at"]) if index else timedelta(0)
    now = parse_offset(steps[index]["at"])
    for gap in _gaps(now - before, whole_cycles=view.way.kind == "expectation"):
        whole, entries = _moved(view.document, index, before, now, before + gap)
        if (taken := ((yield whole) or (yield entries))) is not None:
            return taken
    return view


def _at_a_round_time(view: View, index: int) -> Generator[Document, View | None, View]:
    for moment in _rounded(parse_offset(view.document["timeline"][index]["at"])):
        if (taken := (yield _placed(view.document, index, moment))) is not None:
            return taken
    return view


def last_at_the_end(view: View) -> Candidates:
    """What happens last at the end, so that no entry has to say how long it lasts."""
    steps = view.document["timeline"]
    if len(steps) > 1 and not steps[-1].get("do") and steps[-1].get("expect") == [END]:
        yield {**view.document, "timeline": [*steps[:-2], {**steps[-2], "at": steps[-1]["at"]}]}


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


def _moved(
    document: Document, index: int, before: timedelta, now: timedelta, moment: timedelta
) -> tuple[Document, Document]:
    """The document with an entry and all later ones moved from ``now`` to ``moment``.

    The first one has all that lies after ``now`` moved with them, such as windows of faults and what ``since`` names;
    the second one only the entries. ``before`` is when the entry before comes: nothing gets before that.
    """

    def moved(text: str) -> str:
        at = parse_offset(text)
        if at <= before:
            return text
        return format_offset(at + moment - now if at >= now else max(before, at + moment - now))

    steps = [
        {**step, "at": moved(step["at"])} if place >= index else step for place, step in enumerate(document["timeline"])
    ]
    shifted: Document = {key: _with_offsets(document[key], moved) for key in ("given", "faults") if key in document}
    inner = [
        {"at": step["at"], **{key: _with_offsets(step[key], moved) for key in ("do", "expect") if key in step}}
        for step in steps
    ]
    whole: Document = {**document, **shifted, "timeline": inner}
    return whole, {**document, "timeline": steps}


def _with_offsets(value: Any, moved: Callable[[str], str]) -> Any:
    """A part of a document with every offset in it moved."""
    if isinstance(value, dict):
        return {key: _with_offsets(each, moved) for key, each in value.items()}
    if isinstance(value, list):
        return [_with_offsets(each, moved) for each in value]
    if isinstance(value, str) and not isinstance(value, Quoted) and value.startswith("+"):
        with suppress(ValueError):
            return moved(value)
    return value


def _placed(document: Document, index: int, moment: timedelta) -> Document:
    steps = [dict(step) for step in document["timeline"]]
    steps[index]["at"] = format_offset(moment)
    return {**document, "timeline": steps}


def simpler_values(view: View) -> Candidates:
    """Shorter durations and windows, smaller numbers, outside the times of the timeline."""
    for path, value in list(paths(view.document)):
        if path[:1] not in (("given",), ("faults",), ("timeline",)) or path[-1:] == ("at",):
            continue
        if not isinstance(value, str) or isinstance(value, Quoted) or (is_number(value) and path[-1] in _CODES):
            continue
        for simpler in _simpler(value):
            if value_at(view.document, path) != value:
                break
            if (taken := (yield with_value(view.document, path, simpler))) is not None:
                view = taken
                break


def is_number(text: str) -> bool:
    """Whether a text is a small number, as counts are."""
    return re.fullmatch(r"[0-9]{1,6}", text, re.ASCII) is not None


def numbers(document: Document) -> int:
    """The sum of all counts of a document."""
    return sum(
        int(value)
        for path, value in paths(document)
        if path and path[-1] not in _CODES and isinstance(value, str) and is_number(value)
    )


def _simpler(text: str) -> Iterator[str]:
    if is_number(text):
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
    """Passwords that say which is which: all of them at once, then one by one; short ones where those are refused.

    What only a file beside the scenario may set has to stay as it is.
    """
    found = passwords(view.document)
    if "directory" in (view.document.get("given") or {}):
        found = [text for text in found if text in _set_here(view.document)]
    names = {text: Quoted(f"Pass-word-{number}") for number, text in enumerate(found, 1)}
    too_short = "password-too-short" in view.way.detail
    if not too_short and (yield _relabelled(view.document, names)) is not None:
        return
    for number, (text, name) in enumerate(names.items(), 1):
        short = Quoted(f"Pw-{number}")
        for simpler in (short, name) if too_short else (name, short):
            if text == simpler:
                break
            if simpler not in names and (taken := (yield _relabelled(view.document, {text: simpler}))) is not None:
                view = taken
                break


def passwords(document: Document) -> list[str]:
    """All passwords of a document, each once, in the order in which they come."""
    return list(dict.fromkeys(str(value) for value in _passwords(document)))


def _set_here(document: Document) -> set[str]:
    done = [step.get("do") for step in document["timeline"]]
    return {str(value) for part in (document.get("given"), done) for value in _passwords(part)}


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
