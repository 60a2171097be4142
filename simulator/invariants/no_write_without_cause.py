"""no-write-without-cause: a credential leaves only for a change not known to be applied, or because it was ordered."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from simulator.invariants.base import Invariant, Violation
from simulator.invariants.ledger import Sent
from simulator.network import OK, Attempt


class NoWriteWithoutCause(Invariant):
    """A credential that the agent knows to be applied does not go out again without an order."""

    id = "no-write-without-cause"
    why = "Sending again what is known to be applied undoes what somebody has set in the cloud since."

    def begin(self) -> None:
        self._seen = 0
        self._attempts = 0
        self._versions: dict[UUID, tuple[int, bool]] = {
            guid: (version, False) for guid, version in self.ledger.last_sync.items()
        }
        self._ordered_until: dict[UUID, int] = {}

    def instant(self) -> Iterable[Violation]:
        self._forget_deleted()
        sent = self.ledger.sent
        for item in sent[self._seen :]:
            yield from self._judge(item)
        self._seen = len(sent)
        for guid, known in self.ledger.known.items():
            if known is not None and known.version is not None:
                self._versions[guid] = (known.version, known.force_change)
                # An order is carried out when its result is stored; before, a crash may repeat it.
                self._ordered_until[guid] = self._carried_out(known)

    def _judge(self, item: Sent) -> Iterable[Violation]:
        known = self._versions.get(item.guid)
        if known is None or item.version is None or self.ledger.is_older(item.guid, known[0], item.version):
            return
        if self.ledger.has_twin(item.guid, item.version):
            return
        if self.world.profile.build.reevaluate_must_change and item.force_change != known[1]:
            return
        if self.world.profile.build.reevaluate_must_change and self._must_change_moved(item):
            return
        if self._orders(item) > self._ordered_until.get(item.guid, 0):
            return
        yield Violation(
            held=f"the agent knew that {self.ledger.label(item.guid, item.version)} was applied",
            came="it sent it again, and nobody had ordered a full synchronization",
            about=item.user,
            key=f"{item.guid}/{item.attempt.sequence}",
        )

    def _orders(self, item: Sent) -> int:
        """How many full synchronizations had been ordered when a credential left."""
        return self._ordered(item, item.attempt)

    def _carried_out(self, item: Sent) -> int:
        """How many of them it can belong to: those that came before the domain was last read."""
        read = self.ledger.last_read(self.ledger.homes[item.guid].name)
        if read is None or read.sequence > item.attempt.sequence:
            return self._ordered_until.get(item.guid, 0)
        return self._ordered(item, read)

    def _ordered(self, item: Sent, attempt: Attempt) -> int:
        """Orders for all domains, for the user's domain, and for the user alone that came before an attempt."""
        names = (None, self.ledger.homes[item.guid].name, self.ledger.anchor(item.guid))
        return sum(1 for before, name in self.world.orders if name in names and before < attempt.sequence)

    def _must_change_moved(self, item: Sent) -> bool:
        """Whether "must change" was set or cleared by itself since the password was set, where the agent read it."""
        account = self.ledger.account(item.guid, item.read_at[0] if item.read_at else None)
        if account is None:
            return False
        flag, password = account.entry.stamp("pwdlastset"), account.entry.stamp("unicodepwd")
        return flag is not None and password is not None and flag[2:4] != password[2:4]

    def _forget_deleted(self) -> None:
        """What a tenant's deleted object held is not known of the object that takes its place."""
        attempts = self.world.network.attempts
        fresh = attempts[self._attempts :]
        self._attempts = len(attempts)
        if not any(each.on == "cloud.set-objects" and each.outcome == OK for each in fresh):
            return
        for guid in list(self._versions):
            if self.world.tenant.find_by_anchor(self.ledger.anchor(guid)) is None:
                del self._versions[guid]
                self.ledger.known.pop(guid, None)
