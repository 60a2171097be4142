"""The table of checks: what is done to a directory, and what is seen. Nothing in it says what ought to be seen."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from conformance.lab import Lab

Observation = Any
"""Nested lists, tuples and dictionaries of plain values and :class:`~conformance.lab.Said`."""

Course = Generator[timedelta, None, Observation]
"""A check that takes time: it yields how long to wait, and returns what it saw."""

Doing = Callable[["Lab"], Observation | Course]

NO_POLICY: Mapping[str, str] = {}


@dataclass(frozen=True)
class Check:
    """One comparison.

    id: ``area/name``. policy: attributes of the domain's root that hold meanwhile. A check that takes time or sets a
    policy runs along with all others of the same policy, so that the clock is moved seldom.
    """

    id: str
    area: str
    number: int
    do: Doing
    policy: Mapping[str, str]
    timed: bool
    says: str

    @property
    def group(self) -> tuple[tuple[str, str], ...] | None:
        """What it has in common with those it runs along with; None: it runs alone."""
        return tuple(sorted(self.policy.items())) if self.timed or self.policy else None


class Catalogue:
    """Checks in the order in which they were written down."""

    def __init__(self) -> None:
        self._checks: dict[str, Check] = {}

    def __iter__(self) -> Iterator[Check]:
        return iter(self._checks.values())

    def __len__(self) -> int:
        return len(self._checks)

    def add(self, area: str, name: str, do: Doing, policy: Mapping[str, str], *, timed: bool, says: str) -> None:
        """Take in a check. ValueError if there is one of that id."""
        key = f"{area}/{name}"
        if key in self._checks:
            raise ValueError(f"there are two checks {key}")
        self._checks[key] = Check(key, area, len(self._checks) + 1, do, dict(policy), timed, says)


CHECKS = Catalogue()


class Area:
    """Registers the checks of one area."""

    def __init__(self, name: str, catalogue: Catalogue = CHECKS) -> None:
        self.name = name
        self._catalogue = catalogue

    def check(self, do: Doing) -> Doing:
        """Register a function: its name is the check's, its docstring says what it is about."""
        return self.with_policy()(do)

    def with_policy(self, *, timed: bool = False, **policy: str) -> Callable[[Doing], Doing]:
        """Register a function that needs attributes of the domain's root, or takes time."""

        def register(do: Doing) -> Doing:
            name = do.__name__.replace("_", "-")
            self._catalogue.add(self.name, name, do, policy, timed=timed, says=(do.__doc__ or "").strip())
            return do

        return register

    def timed(self, do: Doing) -> Doing:
        """Register a function that takes time: a generator of durations."""
        return self.with_policy(timed=True)(do)

    def table(self, rows: Mapping[str, Any], **policy: str) -> Callable[[Callable[..., Observation]], Any]:
        """Register a function once per row: it takes the lab and the row's value."""

        def register(do: Callable[..., Observation]) -> Callable[..., Observation]:
            name = do.__name__.replace("_", "-")
            for row, value in rows.items():
                says = f"{(do.__doc__ or '').strip()} [{row}]"
                self._catalogue.add(self.name, f"{name}-{row}", _bound(do, value), policy, timed=False, says=says)
            return do

        return register


def _bound(do: Callable[..., Observation], value: Any) -> Doing:
    return lambda lab: do(lab, value)
