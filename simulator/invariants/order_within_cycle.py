"""order-within-cycle: within a cycle credentials leave in order of change time."""

from __future__ import annotations

from collections.abc import Iterable

from simulator.invariants.base import Invariant, Violation
from simulator.invariants.ledger import Sent

Key = tuple[int, str]


class OrderWithinCycle(Invariant):
    """Credentials of one cycle are ordered by the second of their change, then domain, then USN where it was read."""

    id = "order-within-cycle"
    why = "Within a cycle changes go out in the order in which they were made, over all domains."

    def begin(self) -> None:
        self._seen = 0
        self._last: tuple[int, Key, Sent] | None = None

    def instant(self) -> Iterable[Violation]:
        sent = self.ledger.sent
        for item in sent[self._seen :]:
            key = self._key(item)
            if key is None:
                continue
            last = self._last
            if last is not None and last[0] == item.cycle and self._is_before(item, key, last[2], last[1]):
                yield Violation(
                    held=f"{item.user}'s change ({item.change_date:%H:%M:%S}) was made before {last[2].user}'s"
                    f" ({last[2].change_date:%H:%M:%S})",
                    came=f"the agent sent {last[2].user}'s first in the same cycle",
                    about=item.user,
                    key=f"{item.cycle}/{item.guid}",
                )
            self._last = (item.cycle, key, item)
        self._seen = len(sent)

    def _key(self, item: Sent) -> Key | None:
        if item.version is None:
            return None
        entry = self.ledger.versions[item.guid][item.version]
        return int(entry.at.timestamp()), self.ledger.homes[item.guid].name

    @staticmethod
    def _is_before(item: Sent, key: Key, other: Sent, other_key: Key) -> bool:
        """Whether a change comes before another; USNs of different controllers can't be compared."""
        if key != other_key:
            return key < other_key
        if item.read_at is None or other.read_at is None or item.read_at[0] != other.read_at[0]:
            return False
        return item.read_at[1] < other.read_at[1]
