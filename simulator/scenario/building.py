"""Models out of nodes, and pydantic's errors as problems with places."""

from __future__ import annotations

import re
from collections.abc import Sequence as AbstractSequence
from functools import cache
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from simulator.scenario.base import Part, Placed, key_of
from simulator.scenario.errors import suggest
from simulator.scenario.nodes import Mapping, Node, Problem, Scalar, Sequence
from simulator.scenario.vocabulary import expected, word

ERRORS_MAX = 1000
"""Most errors that are reported of one file; a file with more is not a scenario."""

P = TypeVar("P", bound=Part)


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
        for each in error.errors(include_url=False, include_input=False)[:ERRORS_MAX]:
            problems += _problems(each, model, node, key)
        return None


def _problems(error: Any, model: type[Part], node: Node, key: Node | None) -> list[Problem]:
    """The problems that one of pydantic's errors stands for."""
    kind, path = error["type"], list(error["loc"])
    if kind == "value":
        context = error["ctx"]
        found = [(context["problem"], context["hint"], context["key"]), *context["more"]]
        return [_value_problem(text, hint, below, path, node, key) for text, hint, below in found]
    if kind == "missing":
        owner, owner_key = locate(node, path[:-1], key)
        return [Problem(f'missing key "{path[-1]}"{_of(model)}', mark(owner, owner_key), _expected(model, path))]
    if kind == "extra_forbidden":
        _, name = locate(node, path, key)
        known = [key_of(attribute) for attribute in model_at(model, path[:-1]).model_fields]
        hint = suggest(str(path[-1]), known) if known else f"{_named(model)} has no arguments"
        return [Problem(f'unknown key "{path[-1]}"', name or node, hint)]
    shape = "list" if kind in ("tuple_type", "list_type") else "mapping"
    at, at_key = locate(node, path, key)
    return [Problem(f"expected a {shape}, found {kind_of(at)}", mark(at, at_key), _expected(model, path))]


def _value_problem(problem: str, hint: str, below: str, path: list[Any], node: Node, key: Node | None) -> Problem:
    """A value that can't be read: at the path, or at ``below`` (``key``, ``key/key`` or ``[index]``) from there."""
    steps = [int(step[1:-1]) if re.fullmatch(r"\[[0-9]+\]", step) else step for step in below.split("/") if step]
    found, found_key = locate(node, [*path, *steps], key)
    marked = found_key if found_key is not None and (below or not path) else found
    return Problem(problem, mark(marked, found_key), hint)


def _named(model: type[Part]) -> str:
    return str(getattr(model, "name", "")) if issubclass(model, Placed) else ""


def _of(model: type[Part]) -> str:
    name = _named(model)
    return f" of {name}" if name else ""


def _expected(model: type[Part], path: AbstractSequence[Any]) -> str:
    """What the argument at a path would have been; for the empty path, what the arguments would look like."""
    if not path:
        arguments = word(model, "").arguments
        keys = [each.key for each in arguments if each.required] or [each.key for each in arguments[:1]]
        return f"such as {{{', '.join(f'{key}: ...' for key in keys)}}}"
    owner = model_at(model, path[:-1])
    for name, info in owner.model_fields.items():
        if path and key_of(name) == path[-1]:
            words = expected(info)
            return f"expected {words}" if words else ""
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


def mark(node: Node, key: Node | None) -> Node:
    """What to mark for a node: its text if it has one, else its key, else its first key."""
    if isinstance(node, Scalar) and (node.text or node.quoted or key is None):
        return node
    if key is not None:
        return key
    return node.entries[0][0] if isinstance(node, Mapping) and node.entries else node


def kind_of(node: Node) -> str:
    if isinstance(node, Scalar):
        return "a single value" if node.text or node.quoted else "nothing"
    return (
        "a list"
        if isinstance(node, Sequence)
        else "a mapping"
        if isinstance(node, Mapping) and node.entries
        else "nothing"
    )
