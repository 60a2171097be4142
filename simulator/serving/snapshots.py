"""Named snapshots of a served world (:mod:`simulator.world_snapshot`).

They are kept in memory as long as the world is served. An agent that is a process of its own keeps its cookies in a
store that lies outside: gone back without it, the world would be older than what the agent remembers. So a world that
such an agent has called since the snapshot goes back only if asked to by force.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from simulator.refusal import Refusal
from simulator.world_snapshot import WorldSnapshot

if TYPE_CHECKING:
    from simulator.world import World

SNAPSHOTS_MAX: Final = 20
"""Each takes about as much memory as its world."""
NAME_MAX: Final = 60


class Snapshots:
    """The snapshots of one world. Calls must hold the world's lock.

    beside: objects that go back with the world. agents: how many calls came so far from agents that are processes of
    their own. restored: told after each return, to let go of what belongs to the world that was left.
    """

    def __init__(
        self, world: World, beside: tuple[object, ...], agents: Callable[[], int], restored: Callable[[], None]
    ) -> None:
        self._world = world
        self._beside = beside
        self._agents = agents
        self._restored = restored
        self._taken: dict[str, tuple[WorldSnapshot, int]] = {}

    def told(self) -> list[dict[str, Any]]:
        """Name and time of each, in the order in which they were taken."""
        return [{"name": name, "at": found.at.isoformat()} for name, (found, _) in self._taken.items()]

    def take(self, name: str) -> None:
        """Keep the world as it is now. Raises Refusal: name-taken, too-many."""
        if name in self._taken:
            raise Refusal("name-taken", f'there is a snapshot "{name}" already')
        if len(self._taken) >= SNAPSHOTS_MAX:
            raise Refusal("too-many", f"there are {SNAPSHOTS_MAX} snapshots: drop one")
        self._taken[name] = (WorldSnapshot(self._world, *self._beside), self._agents())

    def restore(self, name: str, *, force: bool = False) -> None:
        """Go back to a snapshot, which stays. Raises Refusal: no-such-snapshot, agent-elsewhere."""
        snapshot, calls = self._find(name)
        if self._agents() != calls and not force:
            raise Refusal(
                "agent-elsewhere",
                "an agent that is a process of its own has used this world since the snapshot, and its store does not "
                "go back: stop it, put back the copy of its store from that time (or remove the store), and restore "
                'with "force": true',
            )
        snapshot.restore()
        self._restored()

    def drop(self, name: str) -> None:
        """Forget a snapshot. Raises Refusal no-such-snapshot."""
        self._find(name)
        del self._taken[name]

    def _find(self, name: str) -> tuple[WorldSnapshot, int]:
        found = self._taken.get(name)
        if found is None:
            known = ", ".join(self._taken) or "none"
            raise Refusal("no-such-snapshot", f'there is no snapshot "{name}"; there are: {known}')
        return found
