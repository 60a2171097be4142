"""From nodes to models: every part of a file is read for itself, so that one error hides no other.

What comes out is a :class:`Draft`: parts that could be read, with their places in the file, for the checks of
:mod:`simulator.scenario.checks`; and the problems of those that could not.
"""

from __future__ import annotations

from collections.abc import Mapping as AbstractMapping
from collections.abc import Sequence as AbstractSequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pydantic_core import PydanticCustomError

from simulator.scenario import values
from simulator.scenario.base import Action, Expectation
from simulator.scenario.building import build, kind_of, locate, mark, plain
from simulator.scenario.errors import one_of, suggest
from simulator.scenario.model import ACTIONS, EXPECTATIONS, Fault, Given, Scenario
from simulator.scenario.nodes import Mapping, Node, Problem, Scalar, Sequence

STEP_KEYS = ("at", "do", "expect")


@dataclass
class Read:
    """An action, expectation or fault of the file: its word and arguments, and its model if it could be read."""

    name: str
    key: Node
    arguments: Node
    part: Any = None


@dataclass
class ReadStep:
    """An entry of the timeline. ``at`` is None where it could not be read."""

    node: Node
    at: timedelta | None = None
    at_node: Node | None = None
    actions: list[Read] = field(default_factory=list)
    expectations: list[Read] = field(default_factory=list)


@dataclass
class Draft:
    """What could be read of a file. ``scenario`` has all but faults and timeline."""

    root: Mapping
    scenario: Scenario | None = None
    given: Given | None = None
    faults: list[Read] = field(default_factory=list)
    steps: list[ReadStep] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def node(self, *path: str | int) -> Node:
        """The node at a path from the root, or as far as the path goes."""
        return locate(self.root, path)[0]


def read(root: Mapping) -> Draft:
    """Read a whole file."""
    draft = Draft(root)
    start = _start(root)
    context = {"start": start}
    draft.given = _read_given(draft, context)
    draft.faults = _read_faults(draft, context)
    draft.steps = _read_timeline(draft, context)
    header: dict[str, Any] = {
        key.text: plain(value)
        for key, value in root.entries
        if key.text not in ("given", "faults", "timeline", "examples")
    }
    draft.scenario = build(Scenario, header, root, draft.problems, context)
    return draft


def _start(root: Mapping) -> datetime:
    try:
        return values.read_time(root.get("start"))
    except PydanticCustomError:
        return values.START


def _read_given(draft: Draft, context: dict[str, Any]) -> Given | None:
    node = draft.root.get("given")
    if node is None:
        return Given()
    return build(Given, plain(node), node, draft.problems, context, key=draft.root.key("given"))


def _read_faults(draft: Draft, context: dict[str, Any]) -> list[Read]:
    faults = []
    for node in _items(draft, "faults", "fault rules"):
        first = node.entries[0][0] if isinstance(node, Mapping) and node.entries else node
        key = node.get("on") if isinstance(node, Mapping) else None
        part = build(Fault, plain(node), node, draft.problems, context, key=first)
        faults.append(Read("fault", key or first, node, part))
    return faults


def _items(draft: Draft, key: str, what: str) -> list[Node]:
    """The items of a top-level list."""
    node = draft.root.get(key)
    if node is None:
        return []
    if isinstance(node, Sequence):
        return node.items
    draft.problems.append(Problem(f"expected a list of {what}, found {kind_of(node)}", mark(node, draft.root.key(key))))
    return []


def _read_timeline(draft: Draft, context: dict[str, Any]) -> list[ReadStep]:
    return [_read_step(node, draft.problems, context) for node in _items(draft, "timeline", "entries")]


def _read_step(node: Node, problems: list[Problem], context: dict[str, Any]) -> ReadStep:
    step = ReadStep(node)
    if not isinstance(node, Mapping):
        problems.append(Problem(f"expected a mapping, found {kind_of(node)}", node, "such as {at: +2m, do: ...}"))
        return step
    unknown = [key for key, _ in node.entries if key.text not in STEP_KEYS]
    problems += [Problem(f'unknown key "{key.text}"', key, suggest(key.text, STEP_KEYS)) for key in unknown]
    for key, value in node.entries:
        if key.text == "at":
            step.at_node = value
            step.at = _read_at(value, problems)
        elif key.text == "do":
            step.actions = _read_words(value, key, "action", ACTIONS, problems, context)
        elif key.text == "expect":
            step.expectations = _read_words(value, key, "expectation", EXPECTATIONS, problems, context)
    if node.get("at") is None:
        problems.append(Problem('missing key "at"', mark(node, None), "expected an offset such as +2m"))
    if not unknown and node.get("do") is None and node.get("expect") is None:
        problems.append(
            Problem("an entry that does nothing and expects nothing", mark(node, None), "expected do or expect")
        )
    return step


def _read_at(value: Node, problems: list[Problem]) -> timedelta | None:
    try:
        return values.read_offset(plain(value))
    except PydanticCustomError as error:
        problems.append(_custom(error, value))
        return None


def _read_words(
    node: Node,
    key: Scalar,
    kind: str,
    known: AbstractMapping[str, type[Action]] | AbstractMapping[str, type[Expectation]],
    problems: list[Problem],
    context: dict[str, Any],
) -> list[Read]:
    """One mapping, or a list of them: each key is the word of an action or expectation, its value the arguments."""
    found: list[Read] = []
    items = node.items if isinstance(node, Sequence) else [node]
    if not items:
        problems.append(Problem(f"no {kind} here", key, f"expected one {kind}, or a list"))
    for item in items:
        if isinstance(item, Scalar) and item.text:
            pairs: AbstractSequence[tuple[Scalar, Node]] = [(item, Mapping(item.line, item.column, item.length))]
        elif isinstance(item, Mapping) and item.entries:
            pairs = item.entries
        else:
            message = f"expected the name of an {kind}, found {kind_of(item)}"
            problems.append(Problem(message, mark(item, key), f"such as {{{next(iter(known))}: ...}}"))
            continue
        found += [_read_word(name, value, kind, known, problems, context) for name, value in pairs]
    return found


def _read_word(
    key: Scalar,
    value: Node,
    kind: str,
    known: AbstractMapping[str, type[Any]],
    problems: list[Problem],
    context: dict[str, Any],
) -> Read:
    read = Read(key.text, key, value)
    model = known.get(key.text)
    if model is None:
        problems.append(Problem(f'unknown {kind} "{key.text}"', key, _hint_word(key.text, kind, known)))
    elif isinstance(value, Scalar) and not value.text and not value.quoted:
        read.part = build(model, {}, Mapping(key.line, key.column, key.length), problems, context, key=key)
    else:
        read.part = build(model, plain(value), value, problems, context, key=key)
    return read


def _hint_word(name: str, kind: str, known: AbstractMapping[str, type[Any]]) -> str:
    """The nearest word; or that it is of the other kind; or the words of the same area."""
    other, where = (EXPECTATIONS, "expect") if kind == "action" else (ACTIONS, "do")
    if name in other:
        return f'it stands under "{where}"'
    area = name.partition(".")[0]
    return suggest(name, known, one_of([each for each in known if each.partition(".")[0] == area] or known))


def _custom(error: PydanticCustomError, node: Node) -> Problem:
    context = error.context or {}
    return Problem(error.message(), node, context.get("hint", ""))
