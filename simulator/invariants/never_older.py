"""never-older: a user's synchronized passwords in the tenant follow the order of the directory's."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from simulator.invariants.base import Invariant, Violation


class NeverOlder(Invariant):
    """No synchronized password of a user is followed by an older one."""

    id = "never-older"

    def begin(self) -> None:
        self._seen = len(self.world.tenant.writes)
        self._last: dict[UUID, int] = dict(self.ledger.last_sync)

    def instant(self) -> Iterable[Violation]:
        writes = self.world.tenant.writes
        for write in writes[self._seen :]:
            if write.by != "sync":
                continue
            user = self.world.cloud_user_by_id(write.user_id)
            guid = self.ledger.guid_of(user.source_anchor or "") if user is not None else None
            if guid is None:
                continue
            fitting = self._fitting(guid, write.credential)
            last = self._last.get(guid, -1)
            if any(index >= last for index in fitting):
                self._last[guid] = min(index for index in fitting if index >= last)
                continue
            name = self.ledger.name(guid)
            came = (
                "a password that the directory never held" if not fitting else f"her password number {fitting[-1] + 1}"
            )
            yield Violation(
                held=f"the tenant had taken {name}'s password number {last + 1} from the directory",
                came=f"then the agent brought {came}, which is older",
                about=name,
                key=f"{guid}/{write.sequence}",
            )
        self._seen = len(writes)

    def _fitting(self, guid: UUID, credential: str) -> list[int]:
        verify = self.world.tenant.verify
        return [index for index, entry in enumerate(self.ledger.versions[guid]) if verify(entry.nt_hash, credential)]
