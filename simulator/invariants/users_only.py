"""users-only: no credential of an iNetOrgPerson, or of a user out of scope as of the last object cycle, was sent."""

from __future__ import annotations

from collections.abc import Iterable

from simulator.invariants.base import Invariant, Violation


class UsersOnly(Invariant):
    """Only passwords of objects of class user that are in scope leave the directory."""

    id = "users-only"
    why = "Only passwords of objects of class user that are in scope leave the directory."

    def begin(self) -> None:
        self._seen = 0

    def instant(self) -> Iterable[Violation]:
        sent = self.ledger.sent
        for item in sent[self._seen :]:
            why = item.why_not
            if why is not None:
                yield Violation(
                    held=f"as of the last object cycle {item.user}'s password stays on premises: {why}",
                    came="the agent sent it to the tenant",
                    about=item.user,
                    key=str(item.guid),
                )
        self._seen = len(sent)
