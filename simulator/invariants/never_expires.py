"""never-expires: a synchronized password carries never-expire, unless the profile's feature says otherwise."""

from __future__ import annotations

from collections.abc import Iterable

from simulator.invariants.base import Invariant, Violation
from simulator.network import Attempt


class NeverExpires(Invariant):
    """Right after a synchronized write the user's cloud password never expires."""

    id = "never-expires"
    why = "The age of a synchronized password is the directory's affair: the tenant must not let it expire."

    def begin(self) -> None:
        self._seen = len(self.world.tenant.writes)
        self._found: list[Violation] = []
        self.world.network.watchers.append(self._look)

    def instant(self) -> Iterable[Violation]:
        found, self._found = [*self._found, *self._expiring()], []
        return found

    def _look(self, attempt: Attempt) -> None:
        """A cycle may take a while, in which administrators work: what they change is not the write's doing."""
        if attempt.on == "cloud.set-passwords":
            self._found += self._expiring()

    def _expiring(self) -> Iterable[Violation]:
        """Users whose password was written since this was last asked, and who would have to change it one day."""
        writes = self.world.tenant.writes
        fresh = {write.user_id for write in writes[self._seen :]}
        self._seen = len(writes)
        tenant = self.world.tenant
        if self.world.profile.policy_feature and "cloud-policy-for-synced-users" in tenant.features:
            return
        for user_id in sorted(fresh):
            user = tenant.users.by_id(user_id)
            if user is None or user.source != "synced":
                continue
            expires = tenant.expires(user)
            if expires is not None:
                yield Violation(
                    held=f"{user.upn}'s password was synchronized, so it never expires in the cloud",
                    came=f"the tenant lets it expire at {expires:%Y-%m-%d %H:%M:%S}",
                    about=user.upn.partition("@")[0],
                    key=user_id,
                )
