"""The parts of a document: where they stand, what names whom, and documents with a part changed or left out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from simulator.explore.plans import END
from simulator.explore.writing import Document

Place = tuple[str | int, ...]
"""Where a part stands: the keys and indexes that lead to it."""


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


def value_at(document: Any, path: Place) -> Any:
    """What stands at a path; None if nothing does."""
    found = document
    for step in path:
        try:
            found = found[step]
        except (KeyError, IndexError, TypeError):
            return None
    return found


def with_value(document: Any, path: Place, value: Any) -> Any:
    """A copy of the document with another value at a path; None takes the key away."""
    if not path:
        return value
    step, rest = path[0], path[1:]
    if isinstance(document, dict):
        if not rest and value is None:
            return {key: each for key, each in document.items() if key != step}
        return {key: with_value(each, rest, value) if key == step else each for key, each in document.items()}
    return [with_value(each, rest, value) if index == step else each for index, each in enumerate(document)]


def paths(value: Any, path: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Every path in a document with what is there, the inner before the outer."""
    items: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in items:
        yield from paths(each, (*path, key))
    yield path, value


def leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for each in value.values():
            yield from leaves(each)
    elif isinstance(value, list):
        for each in value:
            yield from leaves(each)
    else:
        yield value


def without(value: Any, name: str) -> Any:
    """A document without whatever names a user or domain: mappings, keys, items of lists."""
    if isinstance(value, dict):
        return {
            key: without(each, name)
            for key, each in value.items()
            if key != name and not (isinstance(each, dict) and names(each, name))
        }
    if isinstance(value, list):
        left = [without(each, name) for each in value if each != name and not names(each, name)]
        return [each for each in left if each != {}]
    return value


def names(value: Any, name: str) -> bool:
    keys = ("name", "user", "as", "domain", "link")
    return isinstance(value, dict) and any(value.get(key) == name for key in keys)


def in_domain(value: Any, old: str, new: str) -> Any:
    """The document with another domain for users and in actions; the forest stays as it is."""
    if isinstance(value, dict):
        return {
            key: new if key in ("domain", "link") and each == old else in_domain(each, old, new)
            for key, each in value.items()
        }
    return [in_domain(each, old, new) for each in value] if isinstance(value, list) else value
