"""Random changes and faults beside a scenario's own timeline, as its ``explore`` block asks for them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from simulator.explore import plan_faults
from simulator.explore.plans import END, draw_moments, world_of
from simulator.explore.writing import Document, Quoted, offset
from simulator.random import Randomness
from simulator.scenario.fault_models import ExploreChanges, ExploreFaults
from simulator.scenario.model import Scenario
from simulator.scenario.values import Range, parse_offset

FAULTS = ExploreFaults(
    on=("cloud.set-passwords", "directory.read-passwords", "store.commit"),
    kinds=(429, 503, "lose-request", "lose-response", "crash-before", "crash-after"),
    count=Range(0, 4),
)
"""What goes wrong if the block does not say."""


def draw_beside(document: Document, scenario: Scenario, seed: int) -> Document:
    """The scenario with random changes in its timeline and random faults behind its own.

    What the timeline expects is left out: with other changes beside it something else may hold. That an action is
    refused stays, since a file may only then name somebody a second time; like all expectations it is not judged.
    Changes are resets by an administrator and users' own. A user who does not exist yet, or no longer, refuses; that
    is no finding. Ten seeds share a world, as those without a scenario do.
    """
    random = Randomness(seed).child("explore/beside")
    steps = [_without_expectations(step) for step in document.get("timeline") or () if step.get("do")]
    known = {user: int(_seconds(step["at"])) for step in steps for user in _created(step["do"])}
    block = scenario.explore
    changes = _changes_of(block.changes if block else None, scenario)
    if changes is not None:
        first, last = (int(each.total_seconds()) for each in changes.between)
        count = random.randint(changes.count.minimum, changes.count.maximum)
        for number, moment in enumerate(draw_moments(random, count, first, last), 1):
            user = random.choice(changes.users)
            password = Quoted(f"Pass-{number}-{random.choice('ABCDEFGH')}-word")
            action = random.choice(["ad.reset-password", "ad.reset-password", "ad.change-password"])
            at = offset(max(moment, known.get(user, 0)))
            steps.append({"at": at, "do": [{action: {"user": user, "password": password}}]})
    steps.sort(key=lambda step: _seconds(step["at"]))
    length = max(_length(document), *(int(_seconds(step["at"])) for step in steps), 0)
    faults = block.faults if block and block.faults else FAULTS
    number = random.randint(faults.count.minimum, faults.count.maximum)
    drawn = plan_faults.draw_kinds(random, faults.on, faults.kinds, number, length)
    return {
        **{key: value for key, value in document.items() if key not in ("explore", "tags")},
        "faults": [*(document.get("faults") or ()), *drawn],
        "seed": str(world_of(seed)),
        "timeline": [*steps, {"at": offset(length), "expect": [END]}],
    }


def _without_expectations(step: Document) -> Document:
    refusals = [each for each in step.get("expect") or () if "refused" in each]
    return {"at": step["at"], "do": list(step["do"]), **({"expect": refusals} if refusals else {})}


def _changes_of(changes: ExploreChanges | None, scenario: Scenario) -> ExploreChanges | None:
    """The changes asked for; by default some of every user of the directory's."""
    if changes is not None:
        return changes
    users = tuple(user.name for user in scenario.given.users)
    return ExploreChanges(users=users) if users else None


def _created(actions: Sequence[Any]) -> list[str]:
    return [str(action["ad.create-user"]["user"]) for action in actions if "ad.create-user" in action]


def _seconds(text: str) -> float:
    return parse_offset(text).total_seconds()


def _length(document: Document) -> int:
    last = max((parse_offset(step["at"]) for step in document.get("timeline") or ()), default=timedelta(0))
    return int(last.total_seconds())
