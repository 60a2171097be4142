"""What a planted bug is: one decision of the true agent, or of a service around it, taken wrongly.

A bug replaces one method, function or constant while a run lasts, in the process of that run, and puts the true one
back at its end, whatever the end is. So nothing of it outlives its run, and a worker can try one bug after another.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any

Wrong = Callable[..., Any]
"""What stands in for a function: called with the true one first, then with what that would have been called with."""

_SENTENCE = re.compile(r"(?P<wrong>.+?[.!]) (?P<hurts>Hurts .+)", re.DOTALL)


@dataclass(frozen=True)
class Plant:
    """One bug.

    name: how it is asked for. area: whose bug it is (``order``, ``tenant``, ...). wrong: a sentence, what it does that
    it should not. hurts: another one, who suffers how. rules: ids of the rules that it breaks, at least one. owner and
    attribute: where the decision stands, a class or a module, and its name there. make: the true thing -> the wrong
    one. traced: whether the decision is code that a run comes to, or not; a constant can't be watched.
    """

    name: str
    area: str
    wrong: str
    hurts: str
    rules: tuple[str, ...]
    owner: Any
    attribute: str
    make: Callable[[Any], Any]
    traced: bool = True

    @property
    def target(self) -> str:
        """Where the decision stands, in words."""
        module = getattr(self.owner, "__module__", None)
        prefix = f"{module}.{self.owner.__name__}" if module else str(self.owner.__name__)
        return f"{prefix}.{self.attribute}"

    @property
    def in_agent(self) -> bool:
        """Does the decision stand in the code of pwsync's own agent, not in that of a service around it?"""
        return self.target.startswith("pwsync.")

    @contextmanager
    def planted(self) -> Iterator[None]:
        """In this block the decision is taken wrongly."""
        true = vars(self.owner)[self.attribute]
        setattr(self.owner, self.attribute, self.make(true))
        try:
            yield
        finally:
            setattr(self.owner, self.attribute, true)


class Bed:
    """The bugs of one area, in the order in which they are written down."""

    def __init__(self, area: str) -> None:
        self.area = area
        self.plants: list[Plant] = []

    def instead(self, owner: Any, attribute: str, *, breaks: str) -> Callable[[Wrong], Wrong]:
        """Decorates what stands in for a method, a property's reading or a function.

        The function's name names the bug; its docstring says what is wrong, then who is hurt ("Hurts ..."). ``breaks``:
        ids of rules, with blanks between them.
        """

        def plant(wrong: Wrong) -> Wrong:
            self._add(wrong.__name__, wrong.__doc__ or "", breaks, owner, attribute, lambda true: _wrapped(true, wrong))
            return wrong

        return plant

    def constant(self, name: str, owner: Any, attribute: str, value: Any, text: str, *, breaks: str) -> None:
        """A bug that is another value of a constant."""
        self._add(name, text, breaks, owner, attribute, lambda true: value, traced=False)

    def _add(
        self,
        name: str,
        text: str,
        breaks: str,
        owner: Any,
        attribute: str,
        make: Callable[[Any], Any],
        *,
        traced: bool = True,
    ) -> None:
        said = _SENTENCE.fullmatch(" ".join(text.split()))
        if said is None:
            raise ValueError(f"the bug {name} does not say what is wrong and whom it hurts: {text!r}")
        if attribute not in vars(owner):
            raise ValueError(f"the bug {name} stands in for {attribute}, which {owner} does not have itself")
        rules = tuple(breaks.split())
        name = name.replace("_", "-")
        self.plants.append(Plant(name, self.area, said["wrong"], said["hurts"], rules, owner, attribute, make, traced))


def _wrapped(true: Any, wrong: Wrong) -> Any:
    """``wrong`` in the shape of the true thing, which it gets as its first argument."""
    if isinstance(true, property):
        read = true.fget
        return property(lambda self: wrong(read, self), true.fset)
    if isinstance(true, staticmethod):
        return staticmethod(_wrapped(true.__func__, wrong))
    if inspect.isgeneratorfunction(true):

        @wraps(true)
        def generate(*arguments: Any, **named: Any) -> Any:
            yield from wrong(true, *arguments, **named)

        return generate

    @wraps(true)
    def call(*arguments: Any, **named: Any) -> Any:
        return wrong(true, *arguments, **named)

    return call


@contextmanager
def watched(plants: list[Plant]) -> Iterator[set[str]]:
    """The set yielded fills with the names of the bugs whose decisions this block comes to; nothing is wrong in it."""
    come: set[str] = set()
    places: dict[tuple[int, str], tuple[Any, str, list[str]]] = {}
    for plant in plants:
        if plant.traced:
            _, _, names = places.setdefault((id(plant.owner), plant.attribute), (plant.owner, plant.attribute, []))
            names.append(plant.name)
    before = [(owner, attribute, vars(owner)[attribute]) for owner, attribute, _ in places.values()]
    try:
        for (owner, attribute, true), (_, _, names) in zip(before, places.values(), strict=True):
            setattr(owner, attribute, _wrapped(true, _noting(come, names)))
        yield come
    finally:
        for owner, attribute, true in before:
            setattr(owner, attribute, true)


def _noting(come: set[str], names: list[str]) -> Wrong:
    def note(true: Any, *arguments: Any, **named: Any) -> Any:
        come.update(names)
        return true(*arguments, **named)

    return note
