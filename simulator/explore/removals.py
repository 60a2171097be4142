"""What shrinking leaves out: what comes after the failure, entries, faults, users, domains."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from simulator.explore.document_parts import Place, in_domain, leaves, paths, value_at, with_value, without
from simulator.explore.plans import END
from simulator.explore.reductions import Candidates, Reduction, View
from simulator.explore.writing import Document, Quoted
from simulator.scenario.values import format_offset, parse_offset

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
    return frozenset(str(value) for told in _failing(view) for value in leaves(told) if isinstance(value, Quoted))


def _failing(view: View) -> list[Document]:
    """The expectations that fail, as they are written."""
    lines = {failure.position.line for failure in view.failures if failure.position and failure.kind == "expectation"}
    steps = zip(view.document["timeline"], view.case.scenario.timeline, strict=False)
    return [
        told
        for written, step in steps
        for told, each in zip(written.get("expect", ()), step.expect, strict=False)
        if each.position and each.position.line in lines
    ]


def only_the_failure(view: View) -> Candidates:
    """No expectation that does not fail, no users that no failure names, no people and places that are only there.

    A long scenario soon gets so short that the steps which try one thing after another take no time.
    """
    failing = _failing(view)
    steps = [
        {**step, "expect": [each for each in step.get("expect", ()) if each in failing or "refused" in each]}
        for step in view.document["timeline"]
    ]
    view = (yield {**view.document, "timeline": steps}) or view
    named = {word for failure in view.failures for word in failure.title.split()}
    smaller = view.document
    for name in user_names(view.document):
        smaller = smaller if name in named else without(smaller, name)
    view = (yield smaller) or view
    given = view.document.get("given") or {}
    needed = {key: value for key, value in given.items() if key in ("users", "cloud-users", "directory", "sync")}
    view = (yield {**view.document, "given": needed}) or view
    yield {**view.document, "given": {key: value for key, value in given.items() if key != "population"}}


def _sets(action: Document, texts: frozenset[str]) -> bool:
    return any(isinstance(value, dict) and value.get("password") in texts for value in action.values())


# --- lists ------------------------------------------------------------------------------------------------------


def thin(path: Callable[[Document], list[Place]]) -> Reduction:
    """Lists with parts of them left out: first half of a list, then ever smaller parts."""

    def reduce(view: View) -> Candidates:
        for each in path(view.document):
            if isinstance(value_at(view.document, each), list):
                view = yield from _thin(view, each)

    return reduce


def _thin(view: View, path: Place) -> Generator[Document, View | None, View]:
    width = len(_list_at(view.document, path))
    while width >= 1:
        start = 0
        while start < len(items := _list_at(view.document, path)):
            pinned = frozenset() if path[-1] == "expect" else kept_texts(view)
            gone = [item for item in items[start : start + width] if not _is_pinned(item, pinned)]
            left = [item for item in items if not any(item is each for each in gone)]
            taken = (yield with_value(view.document, path, left)) if gone else None
            view = taken or view
            if taken is None:
                start += width
        width //= 2
    return view


def _list_at(document: Document, path: Place) -> list[Any]:
    """The list at a path; an empty one if what was taken has left none there."""
    found = value_at(document, path)
    return found if isinstance(found, list) else []


def _is_pinned(item: Any, texts: frozenset[str]) -> bool:
    if not texts or not isinstance(item, dict):
        return False
    return _sets(item, texts) or any(_sets(action, texts) for action in item.get("do", ()))


def parts(document: Document) -> list[Place]:
    """The ``do`` and ``expect`` of all entries, the last first."""
    count = len(document["timeline"])
    return [("timeline", index, key) for index in reversed(range(count)) for key in ("do", "expect")]


def inner_lists(document: Document) -> list[Place]:
    """All lists of the world at the start."""
    return [path for path, value in paths(document.get("given"), ("given",)) if isinstance(value, list)]


# --- users and domains ------------------------------------------------------------------------------------------


def fewer_users(view: View) -> Candidates:
    """Without a user, and whatever names that user."""
    for name in user_names(view.document):
        if not any(name in failure.title.split() for failure in view.failures if failure.kind == "expectation"):
            view = (yield without(view.document, name)) or view


def user_names(document: Document) -> list[str]:
    """All users that are there at the start or are created."""
    given = document.get("given") or {}
    names = [user["name"] for key in ("users", "cloud-users") for user in given.get(key) or ()]
    names += [
        arguments["user"]
        for step in document["timeline"]
        for action in step.get("do", ())
        for name, arguments in action.items()
        if name in ("ad.create-user", "cloud.create-user")
    ]
    return list(dict.fromkeys(names))


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
        view = (yield without(in_domain(view.document, name, others[0]), name)) or view
