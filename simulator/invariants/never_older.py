"""never-older: a user's synchronized passwords in the tenant follow the order of the directory's."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from simulator.invariants.base import Invariant, Violation


class NeverOlder(Invariant):
    """No synchronized password of a user is followed by an older one."""

    id = "never-older"
    why = "The tenant must never go back to a password that its user has replaced."

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
            fitting, last = self._fitting(guid, write.credential), self._last.get(guid)
            stands = [index for index in fitting if last is None or not self.ledger.is_older(guid, index, last)]
            if stands:
                self._last[guid] = stands[0]
                continue
            yield self._violation(guid, last, fitting, key=f"{guid}/{write.sequence}")
        self._seen = len(writes)

    def _violation(self, guid: UUID, last: int | None, fitting: list[int], key: str) -> Violation:
        name = self.ledger.name(guid)
        if not fitting or last is None:
            held = f"the tenant takes {name}'s password from the directory"
            came = "the agent brought a password that the directory never held"
        else:
            held = f"the tenant had taken {self.ledger.label(guid, last)} from the directory"
            came = f"then the agent brought {self.ledger.label(guid, fitting[-1])}, which is older"
        return Violation(held, came, about=name, key=key)

    def _fitting(self, guid: UUID, credential: str) -> list[int]:
        """The user's passwords that a credential may have been made from, the oldest first."""
        verify, versions = self.world.tenant.verify, self.ledger.versions[guid]
        return [index for index in self.ledger.order(guid) if verify(versions[index].nt_hash, credential)]
