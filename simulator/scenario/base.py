"""What all models of the scenario format have in common."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, PrivateAttr

from simulator.scenario.nodes import Scalar
from simulator.scenario.result import Position
from simulator.scenario.values import bad


def key_of(attribute: str) -> str:
    """The key of an attribute: ``must_change`` is ``must-change``, ``class_`` is ``class``."""
    return attribute.rstrip("_").replace("_", "-")


class Part(BaseModel):
    """A mapping of the file. Frozen; unknown keys are errors; the attribute of ``must-change`` is ``must_change``."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=key_of, validate_by_name=True, validate_by_alias=True
    )

    def need_one(self, *attributes: str) -> None:
        """One of these must be said; for use in a model's own check."""
        if not self.model_fields_set.intersection(attributes):
            keys = ", ".join(key_of(name) for name in attributes)
            raise bad(f"nothing is said beside {self._said()}", f"expected at least one of {keys}")

    def _said(self) -> str:
        return ", ".join(key_of(name) for name in sorted(self.model_fields_set)) or "the name"


class Placed(Part):
    """A part that has a name of its own and a place in the file, which no comparison asks for."""

    name: ClassVar[str]
    _position: Position | None = PrivateAttr(default=None)

    @property
    def position(self) -> Position | None:
        """Where it stands; None for one made in Python."""
        return self._position

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return hash((type(self), tuple(sorted(self.model_fields_set))))


class Action(Placed):
    """Something that happens. ``name`` is its word in the file, such as ``ad.change-password``."""


class Expectation(Placed):
    """Something that must hold. ``name`` is its word in the file, such as ``cloud.sign-in``."""


def split_controller(data: Any) -> Any:
    """``controller: dc1.contoso.example`` names the domain as well."""
    found = data.get("controller") if isinstance(data, dict) else None
    if isinstance(found, Scalar) and "." in found.text and "domain" not in data:
        return {**data, "domain": replace(found, text=found.text.partition(".")[2])}
    return data


def place(part: Placed | Any, position: Position) -> None:
    """Tell a part where it stands."""
    part._position = position
