"""The steps by which a scenario gets shorter: each yields candidates, and is told whether the last one was taken.

A reduction is a generator of documents. What it is sent is None if the candidate was not taken, else the new state of
things, from which it goes on. A candidate may be nonsense; whoever tries it finds that out when it is read or run.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator
from copy import deepcopy
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from simulator.explore.plans import END
from simulator.explore.ways import Way
from simulator.explore.writing import Document, Quoted, offset
from simulator.scenario.file import Case
from simulator.scenario.result import Failure, RunResult
from simulator.scenario.values import format_duration, format_offset, parse_duration, parse_offset


@dataclass(frozen=True)
class View:
    """Where the shrinking stands: the document, its case, what its run came to, the way to keep.

    failed: the offsets at which its failures came, as texts.
    """

    document: Document
    case: Case
    result: RunResult
    way: Way
    failed: list[str]

    @property
    def failures(self) -> tuple[Failure, ...]:
        return self.result.failures


Candidates = Generator[Document, View | None, None]
Reduction = Callable[[View], Candidates]
Path = tuple[str | int, ...]


def tidy(document: Document) -> Document:
    """The document without entries in which nothing happens; the last one says how long the scenario lasts."""
    steps = document.get("timeline") or []
    kept = [step for step in steps if step.get("do") or step.get("expect")]
    if steps and steps[-1] not in kept:
        kept.append({"at": steps[-1]["at"], "expect": [END]})
    kept = [{key: value for key, value in step.items() if value != []} for step in kept]
    return {**document, "timeline": _joined(kept)}


def _joined(steps: list[Document]) -> list[Document]:
    """Entries of one instant whose refusals nobody asks for, as one."""
    found: list[Document] = []
    for step in steps:
        last = found[-1] if found else None
        if last is not None and last["at"] == step["at"] and not _is_refusal(last) and not _is_refusal(step):
            parts = {key: [*last.get(key, ()), *step.get(key, ())] for key in ("do", "expect")}
            parts["expect"] = [each for each in parts["expect"] if each != END] or parts["expect"][:1]
            if parts["do"]:
                parts["expect"] = [each for each in parts["expect"] if each != END]
            found[-1] = {"at": step["at"], **{key: value for key, value in parts.items() if value}}
        else:
            found.append(step)
    return found


def _is_refusal(step: Document) -> bool:
    return any("refused" in each for each in step.get("expect", ()))


# --- the end, and what the failure is about ---------------------------------------------------------------------


def cut_end(view: View) -> Candidates:
    """Nothing after the failure."""
    for at in dict.fromkeys(view.failed):
        if at.startswith("-"):
            continue
        end = parse_offset(at)
        steps = [step for step in view.document["timeline"] if parse_offset(step["at"]) <= end]
        yield {**view.document, "timeline": [*steps, {"at": format_offset(end), "expect": [END]}]}


def kept_texts(view: View) -> frozenset[str]:
    """Passwords in the expectation that fails: an action that sets one of them is part of what it is about.

    Without it the expectation would fail as well, but of itself.
    """
    if view.way.kind != "expectation":
        return frozenset()
    lines = {failure.position.line for failure in view.failures if failure.position and failure.kind == "expectation"}
    steps = zip(view.document["timeline"], view.case.scenario.timeline, strict=False)
    texts = [
        str(value)
        for written, step in steps
        for told, each in zip(written.get("expect", ()), step.expect, strict=False)
        if each.position and each.position.line in lines
        for value in _leaves(told)
        if isinstance(value, Quoted)
    ]
    return frozenset(texts)


def _sets(action: Document, texts: frozenset[str]) -> bool:
    return any(isinstance(value, dict) and value.get("password") in texts for value in action.values())


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for each in value.values():
            yield from _leaves(each)
    elif isinstance(value, list):
        for each in value:
            yield from _leaves(each)
    else:
        yield value


# --- lists ------------------------------------------------------------------------------------------------------


def thin(path: Callable[[Document], list[Path]]) -> Reduction:
    """Lists with parts of them left out: first half of a list, then ever smaller parts."""

    def reduce(view: View) -> Candidates:
        for each in path(view.document):
            if isinstance(_at(view.document, each), list):
                view = yield from _thin(view, each)

    return reduce


def _thin(view: View, path: Path) -> Generator[Document, View | None, View]:
    width = len(_at(view.document, path))
    while width >= 1:
        start = 0
        while start < len(items := _at(view.document, path)):
            texts = kept_texts(view)
            gone = [item for item in items[start : start + width] if not _is_pinned(item, texts)]
            left = [item for item in items if not any(item is each for each in gone)]
            taken = (yield _with(view.document, path, left)) if gone else None
            if taken is not None and isinstance(_at(taken.document, path), list):
                view = taken
            else:
                view = taken or view
                start += width
        width //= 2
    return view


def _is_pinned(item: Any, texts: frozenset[str]) -> bool:
    if not texts or not isinstance(item, dict):
        return False
    return _sets(item, texts) or any(_sets(action, texts) for action in item.get("do", ()))


def _at(document: Any, path: Path) -> Any:
    found = document
    for step in path:
        try:
            found = found[step]
        except (KeyError, IndexError, TypeError):
            return None
    return found


def _with(document: Any, path: Path, value: Any) -> Any:
    """A copy of the document with another value at a path; None takes the key away."""
    if not path:
        return value
    step, rest = path[0], path[1:]
    if isinstance(document, dict):
        if not rest and value is None:
            return {key: each for key, each in document.items() if key != step}
        return {key: _with(each, rest, value) if key == step else each for key, each in document.items()}
    return [_with(each, rest, value) if index == step else each for index, each in enumerate(document)]


def paths(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every path in a document with what is there, the inner before the outer."""
    items: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in items:
        yield from paths(each, (*path, key))
    yield path, value


def _parts(document: Document) -> list[Path]:
    """The ``do`` and ``expect`` of all entries, the last first."""
    count = len(document["timeline"])
    return [("timeline", index, key) for index in reversed(range(count)) for key in ("do", "expect")]


def _inner_lists(document: Document) -> list[Path]:
    return [path for path, value in paths(document.get("given"), ("given",)) if isinstance(value, list)]


# --- users and domains ------------------------------------------------------------------------------------------


def fewer_users(view: View) -> Candidates:
    """Without a user, and whatever names that user."""
    given = view.document.get("given") or {}
    names = [user["name"] for key in ("users", "cloud-users") for user in given.get(key) or ()]
    names += [
        action["ad.create-user"]["user"]
        for step in view.document["timeline"]
        for action in step.get("do", ())
        if "ad.create-user" in action
    ]
    for name in dict.fromkeys(names):
        if not any(name in failure.title.split() for failure in view.failures if failure.kind == "expectation"):
            view = (yield without(view.document, name)) or view


def fewer_domains(view: View) -> Candidates:
    """Without a domain, and its users; or with its users in another."""
    names = list(view.case.scenario.given.all_domains())
    for name in names if len(names) > 1 else ():
        others = [each for each in names if each != name]
        users = [
            user["name"]
            for user in (view.document.get("given") or {}).get("users") or ()
            if user.get("domain", view.case.scenario.given.default_domain()) == name
        ]
        smaller = view.document
        for user in users:
            smaller = without(smaller, user)
        view = (yield without(smaller, name)) or view
        view = (yield without(_renamed(view.document, name, others[0]), name)) or view


def without(value: Any, name: str) -> Any:
    """A document without whatever names a user or domain: mappings, keys, items of lists."""
    if isinstance(value, dict):
        return {
            key: without(each, name)
            for key, each in value.items()
            if key != name and not (isinstance(each, dict) and _names(each, name))
        }
    if isinstance(value, list):
        left = [without(each, name) for each in value if each != name and not _names(each, name)]
        return [each for each in left if each != {}]
    return value


def _names(value: Any, name: str) -> bool:
    keys = ("name", "user", "as", "domain", "link")
    return isinstance(value, dict) and any(value.get(key) == name for key in keys)


def _renamed(value: Any, old: str, new: str) -> Any:
    """The document with another domain for users and in actions; the forest stays as it is."""
    if isinstance(value, dict):
        return {
            key: new if key in ("domain", "link") and each == old else _renamed(each, old, new)
            for key, each in value.items()
        }
    return [_renamed(each, old, new) for each in value] if isinstance(value, list) else value


# --- keys -------------------------------------------------------------------------------------------------------

_NEEDED = frozenset({"scenario", "why", "rules", "timeline", "at", "name", "user", "password", "on", "profile"})


def fewer_keys(view: View) -> Candidates:
    """Without a key that has a default, the last ones of the file first."""
    for path in [path for path, _ in paths(view.document)][::-1]:
        if _has_default(path) and _at(view.document, path) is not None:
            view = (yield _with(view.document, path, None)) or view


def _has_default(path: Path) -> bool:
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
            if _at(view.document, path) != value:
                break
            if (taken := (yield _with(view.document, path, simpler))) is not None:
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


# --- what the world refuses -------------------------------------------------------------------------------------


def expect_refusals(document: Document, case: Case, failures: tuple[Failure, ...]) -> Document:
    """The document with each refused action in an entry of its own that expects it to be refused."""
    reasons = {
        (failure.position.line, failure.position.column): failure.got.removeprefix("refused: ").partition(" ")[0]
        for failure in failures
        if failure.kind == "action" and failure.position
    }
    steps: list[Document] = []
    for written, step in zip(document["timeline"], case.scenario.timeline, strict=True):
        together: list[Any] = []
        rest = list(written.get("do", ()))
        for told, each in zip(rest, step.do, strict=True):
            place = each.position
            reason = reasons.get((place.line, place.column)) if place else None
            if reason is None:
                together.append(told)
                continue
            if together:
                steps.append({"at": written["at"], "do": together})
            steps.append({"at": written["at"], "do": [told], "expect": [{"refused": reason}]})
            together = []
        last = {"at": written["at"], **({"do": together} if together else {})}
        if written.get("expect"):
            last["expect"] = written["expect"]
        if len(last) > 1:
            steps.append(last)
    return {**deepcopy(document), "timeline": steps}


_TOP: list[Path] = [("timeline",)]

ALL: tuple[Reduction, ...] = (
    cut_end,
    thin(lambda document: [("faults",)]),
    thin(lambda document: _TOP),
    fewer_users,
    fewer_domains,
    thin(_parts),
    fewer_keys,
    thin(_inner_lists),
    default_profile,
    earlier,
    simpler_values,
    simpler_passwords,
)
"""All reductions in the order of what they save."""

__all__ = ["ALL", "Candidates", "Reduction", "View", "expect_refusals", "offset", "tidy"]
