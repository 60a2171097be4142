"""Invariants: what must hold after every instant of every run, whatever the scenario is about. One file each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from simulator.invariants.base import Invariant, Violation
from simulator.invariants.converges import Converges
from simulator.invariants.digest_not_usable import DigestNotUsable
from simulator.invariants.failures_logged import FailuresLogged
from simulator.invariants.ledger import Ledger
from simulator.invariants.never_expires import NeverExpires
from simulator.invariants.never_older import NeverOlder
from simulator.invariants.no_secret_leaks import NoSecretLeaks
from simulator.invariants.no_write_without_cause import NoWriteWithoutCause
from simulator.invariants.nothing_lost import NothingLost
from simulator.invariants.order_within_cycle import OrderWithinCycle
from simulator.invariants.retry_after import RetryAfter
from simulator.invariants.session_kept import SessionsKept
from simulator.invariants.two_minutes import TwoMinutes
from simulator.invariants.users_only import UsersOnly
from simulator.scenario.result import Failure
from simulator.scenario.sessions import Sessions
from simulator.scenario.values import format_offset
from simulator.trace import because
from simulator.world import World

INVARIANTS: tuple[type[Invariant], ...] = (
    Converges,
    NeverOlder,
    NoWriteWithoutCause,
    OrderWithinCycle,
    TwoMinutes,
    NeverExpires,
    UsersOnly,
    FailuresLogged,
    RetryAfter,
    NoSecretLeaks,
    DigestNotUsable,
    SessionsKept,
    NothingLost,
)


class Checks:
    """All invariants of one run, but those that the scenario switches off; each breach is reported once."""

    def __init__(self, world: World, sessions: Sessions, excepted: Mapping[str, str]) -> None:
        self.world = world
        self.ledger = Ledger(world)
        self.invariants = [each(world, self.ledger, sessions) for each in INVARIANTS if each.id not in excepted]
        self._reported: set[tuple[str, str]] = set()

    def begin(self) -> None:
        """The run begins."""
        self.ledger.begin()
        for invariant in self.invariants:
            invariant.begin()

    def instant(self) -> list[Failure]:
        """Judge the instant that has passed."""
        self.ledger.update()
        return [found for each in self.invariants for found in self._failures(each, each.instant())]

    def finish(self) -> list[Failure]:
        """Judge the end of the run."""
        return [found for each in self.invariants for found in self._failures(each, each.finish())]

    def _failures(self, invariant: Invariant, violations: Iterable[Violation]) -> Iterable[Failure]:
        for violation in violations:
            key = (invariant.id, violation.key or violation.came)
            if key in self._reported:
                continue
            self._reported.add(key)
            yield Failure(
                kind="invariant",
                title=f"invariant {invariant.id} is broken" + (f" for {violation.about}" if violation.about else ""),
                at=format_offset(self.world.offset()),
                expected=violation.held,
                got=violation.came,
                because=because(self.world.trace.lines, violation.about),
                rules=(invariant.id,),
                why=invariant.why,
            )
