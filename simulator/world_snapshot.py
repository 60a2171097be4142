"""Snapshots of a whole world, and going back to one.

Everything that decides what happens next goes back: directory, tenant and what else is simulated, wires with their
faults and links, what is queued, where each random generator stands, the clock, and the agent that runs within with
what it holds in memory and on its disk. The same actions at the same times then leave the same trace, byte for byte,
however often one goes back.

A snapshot lives as long as its world, in the same process. What lies outside of it does not go back: an agent that is a
process of its own, clients, their connections and sessions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import requests

from simulator.object_image import Image, ImageError

if TYPE_CHECKING:
    from datetime import datetime

    from simulator.world import World

__all__ = ["ImageError", "WorldSnapshot"]


class WorldSnapshot:
    """A world as it is now, with the objects ``beside`` it. Not to be taken while the agent is in a cycle.

    at: what time it is in the snapshot. Raises ImageError, which would be a fault of the simulation.
    """

    def __init__(self, world: World, *beside: object) -> None:
        self.at: datetime = world.clock()
        self._world = world
        self._store = world.store.image()
        handles: list[type] = [requests.Session]
        if world.freezer is not None:
            handles.append(type(world.freezer))
        self.image = Image(world, *beside, keep=handles)

    def restore(self) -> None:
        """Go back; as often as wanted. Accounts and connections made since are nobody's any more."""
        self.image.restore()
        self._world.store.put_back(self._store)
        if self._world.freezer is not None:
            self._world.freezer.move_to(self._world.clock())
