"""failures-logged: every failed attempt has its event; a crash is no attempt."""

from __future__ import annotations

from collections.abc import Iterable

from pwsync.event_log import Event
from simulator.invariants.base import Invariant, Violation
from simulator.network import FAILED, Attempt

EVENTS = {
    "directory.read-passwords": frozenset({611, 667}),
    "cloud.set-passwords": frozenset({652}),
    "cloud.ping": frozenset({655}),
}
"""Which event tells of a failure on a wire; elsewhere any event of level error does."""


class FailuresLogged(Invariant):
    """Each failed attempt, and each item that the tenant refused, has an event of level error of its own."""

    id = "failures-logged"
    why = (
        "Whoever looks for the reason of a failure has the log alone: each failed attempt leaves an event of "
        "level error of its own."
    )

    def begin(self) -> None:
        self._attempts = 0
        self._events = 0
        self._sent = 0

    def instant(self) -> Iterable[Violation]:
        attempts, events = self.world.network.attempts, self.world.events
        fresh = [event for event in events[self._events :] if event.level == "error"]
        crashed = {cycle for cycle in self.world.crashes if cycle == self.world.clock()}
        for attempt in attempts[self._attempts :]:
            if attempt.outcome != FAILED or attempt.on == "store.commit" or crashed:
                continue
            found = next((event for event in fresh if tells_of(event, attempt)), None)
            if found is None:
                yield Violation(
                    held=f"{attempt.on} failed: {attempt.detail}",
                    came="no event of level error tells of it",
                    key=str(attempt.sequence),
                )
            elif found.id in (611, 652, 655):
                fresh.remove(found)
        self._attempts, self._events = len(attempts), len(events)
        yield from self._items(fresh, bool(crashed))

    def _items(self, fresh: list[Event], crashed: bool) -> Iterable[Violation]:
        for item in self.ledger.sent[self._sent :]:
            refused = item.attempt.outcome == "ok" and item.attempt.answered and not item.applied
            if not refused or crashed:
                continue
            anchor = self.ledger.anchor(item.guid)
            if not any(event.id == 0 and anchor in event.users for event in fresh):
                yield Violation(
                    held=f"the tenant refused {item.user}'s credential",
                    came="no event 0 of level error names the user",
                    about=item.user,
                    key=f"{item.attempt.sequence}/{item.guid}",
                )
        self._sent = len(self.ledger.sent)


def tells_of(event: Event, attempt: Attempt) -> bool:
    """Whether an event of level error tells of a failed attempt."""
    wanted = EVENTS.get(attempt.on)
    if wanted is not None and event.id not in wanted:
        return False
    if attempt.on == "directory.read-passwords" and event.domain != attempt.domain:
        return False
    return attempt.ended is None or event.time >= attempt.ended
