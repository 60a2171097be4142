"""never-expires: a synchronized password carries never-expire, unless the profile's feature says otherwise."""

from __future__ import annotations

from collections.abc import Iterable

from simulator.invariants.base import Invariant, Violation


class NeverExpires(Invariant):
    """Right after a synchronized write the user's cloud password never expires."""

    id = "never-expires"
    why = "The age of a synchronized password is the directory's affair: the tenant must not let it expire."

    def begin(self) -> None:
        self._seen = len(self.world.tenant.writes)
        self._cloud_policy = self._follows_the_cloud()

    def instant(self) -> Iterable[Violation]:
        tenant = self.world.tenant
        fresh = {write.user_id: write for write in tenant.writes[self._seen :]}
        self._seen = len(tenant.writes)
        # A call may take a while, in which administrators work: the feature may have changed since the write.
        before, self._cloud_policy = self._cloud_policy, self._follows_the_cloud()
        if before or self._cloud_policy:
            return
        for user_id, write in sorted(fresh.items()):
            user = tenant.users.by_id(user_id)
            if user is None or user.source != "synced" or user.password_policies != write.policies:
                continue
            expires = tenant.expires(user)
            if expires is not None:
                yield Violation(
                    held=f"{user.upn}'s password was synchronized, so it never expires in the cloud",
                    came=f"the tenant lets it expire at {expires:%Y-%m-%d %H:%M:%S}",
                    about=user.upn.partition("@")[0],
                    key=user_id,
                )

    def _follows_the_cloud(self) -> bool:
        """Whether synchronized passwords follow the tenant's own policy, where the profile knows that feature."""
        return self.world.profile.policy_feature and "cloud-policy-for-synced-users" in self.world.tenant.features
