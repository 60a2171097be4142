"""The model of a scenario file. A key ``must-change`` is the attribute ``must_change``; ``class`` is ``class_``.

Everything that a file may say is here or comes through here; how it is read is in :mod:`simulator.scenario.file`.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, ClassVar

from pydantic import Field

from simulator.scenario import values
from simulator.scenario.action_models import ACTIONS
from simulator.scenario.base import Action, Expectation, Part, Placed, key_of
from simulator.scenario.expectation_models import EXPECTATIONS, ExpectRefused
from simulator.scenario.fault_models import Explore, ExploreChanges, ExploreFaults, Fault
from simulator.scenario.given_models import (
    DEFAULT_DOMAIN,
    AgentSpec,
    CloudPolicyKeys,
    CloudSpec,
    CloudUserSpec,
    DomainPolicyKeys,
    DomainSpec,
    FineGrainedPolicy,
    ForestSpec,
    Given,
    NetworkSpec,
    PopulationSpec,
    ScopeSpec,
    UserSpec,
)
from simulator.scenario.kinds import (
    NAME,
    TAG,
    TEXT,
    Kind,
    Offset,
    Text,
    Time,
    listed,
    pattern,
    read_choice,
    read_one_or_more,
    read_pairs,
    whole,
)
from simulator.scenario.result import Position
from simulator.scenario.values import Count, Range

__all__ = [
    "ACTIONS",
    "DEFAULT_DOMAIN",
    "EXPECTATIONS",
    "PROFILE_NAMES",
    "Action",
    "AgentSpec",
    "CloudPolicyKeys",
    "CloudSpec",
    "CloudUserSpec",
    "Count",
    "DomainPolicyKeys",
    "DomainSpec",
    "ExpectRefused",
    "Expectation",
    "Explore",
    "ExploreChanges",
    "ExploreFaults",
    "Fault",
    "FineGrainedPolicy",
    "ForestSpec",
    "Given",
    "NetworkSpec",
    "Part",
    "Placed",
    "PopulationSpec",
    "Position",
    "Range",
    "Row",
    "Scenario",
    "ScopeSpec",
    "Step",
    "UserSpec",
    "key_of",
]

PROFILE_NAMES = ("2017", "current")


def read_profiles(value: object) -> tuple[str, ...]:
    """A profile, or a list of at least one."""
    found = read_one_or_more(partial(read_choice, PROFILE_NAMES), "a profile, or a list of profiles", value)
    if not found:
        raise values.bad("the list is empty", "expected 2017 or current")
    return tuple(dict.fromkeys(found))


Profiles = Annotated[
    tuple[str, ...],
    Kind(
        read_profiles,
        "2017, current, or a list of both",
        {
            "anyOf": [
                {"enum": ["2017", 2017, "current"]},
                {"type": "array", "items": {"enum": ["2017", 2017, "current"]}, "minItems": 1},
            ]
        },
    ),
]


class Step(Placed):
    """One entry of the timeline: at this offset from the start these things happen, and these must hold."""

    name: ClassVar[str] = "step"
    at: Offset
    do: tuple[Action, ...] = ()
    expect: tuple[Expectation, ...] = ()

    @property
    def refused(self) -> str | None:
        """The reason for which this entry expects its action to be refused."""
        return next((each.reason for each in self.expect if isinstance(each, ExpectRefused)), None)


ROW_NAME = pattern(r"(?!.*::).{1,100}", "a row's name", 'at most 100 characters without "::"', "rows")


class Row(Part):
    """A row of ``examples``: texts that replace ``$key`` in the file."""

    name: Annotated[str, ROW_NAME]
    values: Annotated[
        dict[str, Any],
        Kind(
            partial(read_pairs, values.as_any, "a mapping from keys to values"),
            "a mapping from keys to values",
            {"type": "object"},
        ),
    ]


class Scenario(Part):
    """A scenario: why it is there, the world at the start, what happens, what goes wrong, what must hold."""

    scenario: Text
    why: Text
    rules: Annotated[tuple[str, ...], listed(NAME, at_least=1)]
    tags: Annotated[tuple[str, ...], listed(TAG)] = ()
    profile: Profiles = ("2017",)
    start: Time = values.START
    seed: Annotated[int, whole(0, 2**63 - 1)] = 1
    given: Given = Given()
    faults: tuple[Fault, ...] = ()
    timeline: tuple[Step, ...] = ()
    explore: Explore | None = None
    except_: Annotated[
        dict[str, str],
        Kind(
            partial(read_pairs, TEXT.read, "invariants, each with the reason why it is off"),
            "invariants, each with the reason why it is off",
            {"type": "object", "additionalProperties": {"type": "string"}},
        ),
    ] = Field(default_factory=dict)

    @property
    def profiles(self) -> tuple[str, ...]:
        """The profiles to run under."""
        return self.profile
