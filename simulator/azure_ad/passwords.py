"""How passwords come to the tenant's users: synchronized, reset by an administrator, changed by the user.

Source: the product's description of password hash synchronization and its password policy pages. Whatever the way, what
is kept is a salted, stretched hash; where a change date older than the stored one would be refused is not documented,
so the last write wins (unconfirmed).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta

from pwsync.credential import nt_hash, parse, protect
from pwsync.errors import CredentialFormatError
from pwsync.stretching import SALT_SIZE
from pwsync.tenant.messages import CredentialItem
from simulator.azure_ad.policy import NEVER_EXPIRES, may_expire
from simulator.azure_ad.users import CloudUser, PasswordWrite, UserIndex
from simulator.profile import Profile
from simulator.random import Randomness

FORCE_CHANGE = "force-password-change-on-logon"
POLICY_FOR_SYNCED = "cloud-policy-for-synced-users"

ACCEPTED = 0
MALFORMED = 1
"""A credential that can't be read. Only 0 and 2 are public; this number is unconfirmed."""
UNKNOWN_ANCHOR = 2


class PasswordWriter:
    """Writes credentials and keeps the list of what was written."""

    def __init__(
        self,
        clock: Callable[[], datetime],
        randomness: Randomness,
        profile: Profile,
        users: UserIndex,
        revoke: Callable[[CloudUser], None],
    ) -> None:
        self.writes: list[PasswordWrite] = []
        self._clock = clock
        self._randomness = randomness
        self._profile = profile
        self._users = users
        self._revoke = revoke

    def apply(self, item: CredentialItem, features: Collection[str]) -> int:
        """Store a synchronized credential: 0 stored, 1 not readable, 2 no such object. Hashes nothing."""
        user = self._target(item)
        if user is None:
            return UNKNOWN_ANCHOR
        try:
            parse(item.credential)
        except CredentialFormatError:
            return MALFORMED
        user.source = "synced"
        user.changed_at = item.change_date if item.change_date.tzinfo else item.change_date.replace(tzinfo=UTC)
        user.must_change = item.force_change and FORCE_CHANGE in features
        may = self._profile.policy_feature and POLICY_FOR_SYNCED in features
        user.password_policies = None if may else NEVER_EXPIRES
        self._store(user, item.credential, "sync")
        if self._profile.sync_revokes_sessions:
            self._revoke(user)
        return ACCEPTED

    def create(self, user: CloudUser, password: str, age: timedelta) -> None:
        """The first password of a user made in the cloud, ``age`` old."""
        user.source = "cloud"
        user.changed_at = self._clock() - age
        self._store(user, self.digest(password), "create")

    def reset(self, user: CloudUser, password: str, must_change: bool) -> None:
        """An administrator's reset: from now on the password expires like any of the cloud's."""
        user.source = "admin-reset"
        user.changed_at = self._clock()
        user.must_change = must_change
        # Whether the real service clears this is not documented; that cloud policies apply to a reset is.
        user.password_policies = may_expire(user.password_policies)
        self._store(user, self.digest(password), "admin")
        self._revoke(user)

    def change(self, user: CloudUser, password: str) -> None:
        """The user's own change."""
        user.source = "cloud"
        user.changed_at = self._clock()
        user.must_change = False
        if user.source_anchor is not None:
            user.password_policies = may_expire(user.password_policies)
        self._store(user, self.digest(password), "user")
        self._revoke(user)

    def digest(self, password: str) -> str:
        """The form in which the tenant keeps a password: the same as a synchronized one's."""
        return protect(nt_hash(password), self._randomness.child("azure_ad/salt").randbytes(SALT_SIZE))

    def _target(self, item: CredentialItem) -> CloudUser | None:
        if item.source_anchor:
            return self._users.by_anchor(item.source_anchor)
        if item.cloud_anchor and item.cloud_anchor.startswith("User_"):
            return self._users.by_id(item.cloud_anchor[5:])
        return None

    def _store(self, user: CloudUser, credential: str, by: str) -> None:
        user.credential = credential
        self.writes.append(PasswordWrite(len(self.writes) + 1, self._clock(), user.id, by, credential))
