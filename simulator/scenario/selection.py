"""Selective synchronization as an administrator sets it up: marks on users, and rules of the agent that ask for them.

The product's documentation clones two inbound rules, keyed on ``adminDescription``. Here it is the variant in which
marked users alone take part (``PHSIncluded``).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from pwsync.scope import INCLUDED, INCLUSION
from simulator.refusal import Refusal
from simulator.world import World


def mark(world: World, users: Sequence[str]) -> None:
    """Mark these users in the directory, and those whom this has marked before no more.

    Raises Refusal (no-such-user) for one who is not there; then nothing is changed.
    """
    for user in users:
        world.account(user)
    for person in world.people.values():
        if person.selected and person.handle not in users:
            person.selected = False
            with suppress(Refusal):  # deleted meanwhile: there is nothing to clear
                world.home(person.handle).set_user(person.handle, attributes={INCLUSION: None})
    for user in dict.fromkeys(users):
        world.people[user].selected = True
        world.home(user).set_user(user, attributes={INCLUSION: INCLUDED})


def keep_to_marks(world: World) -> None:
    """Each new process of the agent goes by the marks."""
    limits = replace(world.settings.scope, included_only=True)
    world.configure_agent(replace(world.settings, scope=limits))
