"""From nodes to models: every part of a file is read for itself, so that one error hides no other.

What comes out is a :class:`Draft`: parts that could be read, with their places in the file, for the checks of
:mod:`simulator.scenario.checks`; and the problems of those that could not.
"""

from __future__ import annotations

from collections.abc import Mapping as AbstractMapping
from collections.abc import Sequence as AbstractSequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticCustomError

from simulator.scenario import values
from simulator.scenario.base import Action, Expectation, Part, Placed, key_of
from simulator.scenario.errors import one_of, suggest
from simulator.scenario.model import ACTIONS, EXPECTATIONS, Fault, Given, Scenario
from simulator.scenario.nodes import Mapping, Node, Problem, Scalar, Sequence

P = TypeVar("P", bound=Part)

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
    whole: bool = True

    def part(self, key: str) -> Node | None:
        """The node of one of the entry's keys."""
        return self.node.get(key) if isinstance(self.node, Mapping) else None


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
    draft.problems.append(Problem(f"expected a list of {what}, found {_found(node)}", _mark(node, draft.root.key(key))))
    return []


def _read_timeline(draft: Draft, context: dict[str, Any]) -> list[ReadStep]:
    return [_read_step(node, draft.problems, context) for node in _items(draft, "timeline", "entries")]


def _read_step(node: Node, problems: list[Problem], context: dict[str, Any]) -> ReadStep:
    step = ReadStep(node)
    if not isinstance(node, Mapping):
        problems.append(Problem(f"expected a mapping, found {_found(node)}", node, "such as {at: +2m, do: ...}"))
        step.whole = False
        return step
    before = len(problems)
    for key, value in node.entries:
        if key.text == "at":
            step.at_node = value
            step.at = _read_at(value, problems)
        elif key.text == "do":
            step.actions = _read_words(value, key, "action", ACTIONS, problems, context)
        elif key.text == "expect":
            step.expectations = _read_words(value, key, "expectation", EXPECTATIONS, problems, context)
        else:
            problems.append(Problem(f'unknown key "{key.text}"', key, suggest(key.text, STEP_KEYS)))
    if node.get("at") is None:
        problems.append(Problem('missing key "at"', _mark(node, None), "expected an offset such as +2m"))
    if node.get("do") is None and node.get("expect") is None:
        problems.append(
            Problem("an entry that does nothing and expects nothing", _mark(node, None), "expected do or expect")
        )
    step.whole = len(problems) == before
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
            message = f"expected the name of an {kind}, found {_found(item)}"
            problems.append(Problem(message, _mark(item, key), f"such as {{{next(iter(known))}: ...}}"))
            continue
        found += [_read_word(word, value, kind, known, problems, context) for word, value in pairs]
    return found


def _read_word(
    word: Scalar,
    value: Node,
    kind: str,
    known: AbstractMapping[str, type[Any]],
    problems: list[Problem],
    context: dict[str, Any],
) -> Read:
    read = Read(word.text, word, value)
    model = known.get(word.text)
    if model is None:
        problems.append(Problem(f'unknown {kind} "{word.text}"', word, _hint_word(word.text, kind, known)))
    elif isinstance(value, Scalar) and not value.text and not value.quoted:
        read.part = build(model, {}, Mapping(word.line, word.column, word.length), problems, context, key=word)
    else:
        read.part = build(model, plain(value), value, problems, context, key=word)
    return read


def _hint_word(word: str, kind: str, known: AbstractMapping[str, type[Any]]) -> str:
    """The nearest word; or that it is of the other kind; or the words of the same area."""
    other, where = (EXPECTATIONS, "expect") if kind == "action" else (ACTIONS, "do")
    if word in other:
        return f'it stands under "{where}"'
    area = word.partition(".")[0]
    return suggest(word, known, one_of([name for name in known if name.partition(".")[0] == area] or known))


def plain(node: Node) -> Any:
    """The node as dictionaries and lists, scalars as they are."""
    if isinstance(node, Mapping):
        return {key.text: plain(value) for key, value in node.entries}
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    return node


def build(
    model: type[P], data: Any, node: Node, problems: list[Problem], context: dict[str, Any], *, key: Node | None = None
) -> P | None:
    """A model of the data; where that fails, problems at nodes below ``node``, which belongs to ``key``."""
    try:
        return model.model_validate(data, by_alias=True, by_name=False, context=context)
    except ValidationError as error:
        for each in error.errors(include_url=False, include_input=False):
            problems.append(_problem(each, model, node, key))
        return None


def _problem(error: Any, model: type[Part], node: Node, key: Node | None) -> Problem:
    kind, path = error["type"], list(error["loc"])
    if kind == "missing":
        owner, owner_key = locate(node, path[:-1], key)
        return Problem(f'missing key "{path[-1]}"{_of(model)}', _mark(owner, owner_key), _expected(model, path))
    if kind == "extra_forbidden":
        _, name = locate(node, path, key)
        known = [key_of(attribute) for attribute in model_at(model, path[:-1]).model_fields]
        hint = suggest(str(path[-1]), known) if known else f"{_named(model)} has no arguments"
        return Problem(f'unknown key "{path[-1]}"', name or node, hint)
    context = error.get("ctx") or {}
    if context.get("key"):
        path += [int(step[1:-1]) if step.startswith("[") else step for step in context["key"].split("/")]
    found, found_key = locate(node, path, key)
    if kind == "value":
        marked = found_key if found_key is not None and (context["key"] or not path) else found
        return Problem(context["problem"], _mark(marked, found_key), context["hint"])
    shape = "list" if kind in ("tuple_type", "list_type") else "mapping"
    return Problem(f"expected a {shape}, found {_found(found)}", _mark(found, found_key), _expected(model, path))


def _custom(error: PydanticCustomError, node: Node) -> Problem:
    context = error.context or {}
    return Problem(error.message(), node, context.get("hint", ""))


def _named(model: type[Part]) -> str:
    return str(getattr(model, "name", "")) if issubclass(model, Placed) else ""


def _of(model: type[Part]) -> str:
    name = _named(model)
    return f" of {name}" if name else ""


def _expected(model: type[Part], path: AbstractSequence[Any]) -> str:
    """What the argument at a path would have been."""
    owner = model_at(model, path[:-1])
    for name, info in owner.model_fields.items():
        if path and key_of(name) == path[-1]:
            expected = next((each.expected for each in info.metadata if hasattr(each, "expected")), "")
            return f"expected {expected}" if expected else ""
    return ""


def model_at(model: type[Part], path: AbstractSequence[Any]) -> type[Part]:
    """The model that reads the mapping at a path."""
    for step in path:
        if isinstance(step, str) and (inner := _inner(model).get(step)) is not None:
            model = inner
    return model


@cache
def _inner(model: type[Part]) -> dict[str, type[Part]]:
    """The models of a model's arguments, by key."""
    found = {key_of(name): _model_in(info.annotation) for name, info in model.model_fields.items()}
    return {key: inner for key, inner in found.items() if inner is not None}


def _model_in(annotation: Any) -> type[Part] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation if issubclass(annotation, Part) else None
    return next((found for each in get_args(annotation) if (found := _model_in(each)) is not None), None)


def locate(node: Node, path: AbstractSequence[str | int], key: Node | None = None) -> tuple[Node, Node | None]:
    """The node at a path, or as far as it goes, and the key that it belongs to."""
    for step in path:
        if isinstance(node, Mapping) and isinstance(step, str):
            found = next(((name, value) for name, value in node.entries if name.text == step), None)
            if found is None:
                break
            key, node = found
        elif isinstance(node, Sequence) and isinstance(step, int) and step < len(node.items):
            key, node = None, node.items[step]
        else:
            break
    return node, key


def _mark(node: Node, key: Node | None) -> Node:
    """What to mark for a node: its text if it has one, else its key, else its first key."""
    if isinstance(node, Scalar) and (node.text or node.quoted or key is None):
        return node
    if key is not None:
        return key
    return node.entries[0][0] if isinstance(node, Mapping) and node.entries else node


def _found(node: Node) -> str:
    if isinstance(node, Scalar):
        return "a single value" if node.text or node.quoted else "nothing"
    return (
        "a list"
        if isinstance(node, Sequence)
        else "a mapping"
        if isinstance(node, Mapping) and node.entries
        else "nothing"
    )
