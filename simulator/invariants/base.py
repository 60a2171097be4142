"""What every invariant has in common."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from simulator.invariants.ledger import Ledger
    from simulator.scenario.sessions import Sessions
    from simulator.world import World


@dataclass(frozen=True)
class Violation:
    """A broken invariant, told as an argument.

    held: what was known to be so. came: what was seen that can't be with it. about: the user concerned, if one.
    key: tells repeated violations of the same thing from new ones.
    """

    held: str
    came: str
    about: str = ""
    key: str = ""


class Invariant:
    """What must hold after every instant of every run. Each reads only what was added since it last looked.

    why: the reason why what is held and what came can't both be, where it is broken.
    """

    id: ClassVar[str]
    why: ClassVar[str]

    def __init__(self, world: World, ledger: Ledger, sessions: Sessions) -> None:
        self.world = world
        self.ledger = ledger
        self.sessions = sessions

    def begin(self) -> None:
        """The run begins."""

    def instant(self) -> Iterable[Violation]:
        """Look at what the instant brought."""
        return ()

    def finish(self) -> Iterable[Violation]:
        """Look once more at the end of the run."""
        return ()
