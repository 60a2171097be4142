"""Randomness by name: every consumer draws from a generator of its own, so that a new draw in one moves no other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from uuid import UUID


class Randomness:
    """Child generators of one seed. The same seed and name give the same stream in every process and Python."""

    def __init__(self, seed: int | str) -> None:
        self.seed = seed
        self._children: dict[str, Random] = {}

    def child(self, name: str) -> Random:
        """The generator for ``name``; the same object each time, so a stream goes on where it was."""
        found = self._children.get(name)
        if found is None:
            found = self._children[name] = Random(f"{self.seed}/{name}")  # noqa: S311 - a simulation must repeat
        return found

    @contextmanager
    def kept(self) -> Iterator[None]:
        """What is drawn in this block moves no generator."""
        before = {name: child.getstate() for name, child in self._children.items()}
        try:
            yield
        finally:
            for name in self._children.keys() - before.keys():
                del self._children[name]
            for name, state in before.items():
                self._children[name].setstate(state)

    def children(self) -> dict[str, Random]:
        """All generators that were asked for so far, by name."""
        return dict(self._children)

    def adopt(self, name: str, generator: Random) -> None:
        """Have ``name`` be drawn from this generator from now on."""
        self._children[name] = generator

    def uuid(self, name: str) -> UUID:
        """The next version 4 UUID of the stream ``name``."""
        return UUID(bytes=self.child(name).randbytes(16), version=4)
