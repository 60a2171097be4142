"""The tenant's users, and the ways to find one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

RECYCLE_BIN = timedelta(days=30)
"""How long a deleted user can be restored (product documentation: soft delete)."""

DETAILS = (
    "givenName",
    "surname",
    "mail",
    "onPremisesSamAccountName",
    "onPremisesDistinguishedName",
    "onPremisesDomainName",
    "onPremisesSecurityIdentifier",
)
"""What else the tenant keeps of a synchronized object, by its name in Graph."""

_SEPARATOR = "\x00"


class PasswordWrite(NamedTuple):
    """A password that the tenant took: ``by`` is sync, admin, user or create; ``credential`` is the stored text."""

    sequence: int
    at: datetime
    user_id: str
    by: str
    credential: str


@dataclass(slots=True, eq=False)
class CloudUser:
    """A user of the tenant.

    id: a UUID. source_anchor: set for a synchronized object. credential: the text of :mod:`pwsync.credential`, the only
    form in which a password is ever kept. source: synced, admin-reset, cloud or none. changed_at: when the password was
    set (of a synchronized one: on premises). change_with_mfa: shown beside must_change, no more. tokens_valid_from:
    refresh tokens from before are revoked; ``revocation`` puts that in an order that also tells events of one instant
    apart, ``full_revocation`` the last that spared no session. role: None, administrator or directory-synchronization.
    details: :data:`DETAILS`, packed. change: place of the last change among all.
    """

    id: str
    upn: str
    display_name: str
    created_at: datetime
    source_anchor: str | None = None
    enabled: bool = True
    credential: str | None = field(default=None, repr=False)
    source: str = "none"
    changed_at: datetime | None = None
    must_change: bool = False
    change_with_mfa: bool = False
    password_policies: str | None = None
    tokens_valid_from: datetime | None = None
    revocation: int = 0
    full_revocation: int = 0
    deleted_at: datetime | None = None
    synced_at: datetime | None = None
    role: str | None = None
    details: str = ""
    change: int = 0

    def detail(self, name: str) -> str | None:
        """One of :data:`DETAILS`; None if it has no value."""
        if not self.details:
            return None
        return self.details.split(_SEPARATOR)[DETAILS.index(name)] or None

    def set_detail(self, name: str, value: str | None) -> None:
        """Change one of :data:`DETAILS`."""
        values = self.details.split(_SEPARATOR) if self.details else [""] * len(DETAILS)
        values[DETAILS.index(name)] = value or ""
        self.details = pack_details(values)


def pack_details(values: Iterable[str | None]) -> str:
    """Values in the order of :data:`DETAILS` as one text; a dictionary would double a user's memory."""
    packed = _SEPARATOR.join((value or "").replace(_SEPARATOR, "") for value in values)
    return packed if packed.strip(_SEPARATOR) else ""


class UserIndex:
    """All users by id, and the live ones by sign-in name and by source anchor."""

    def __init__(self) -> None:
        self._by_id: dict[str, CloudUser] = {}
        self._by_upn: dict[str, CloudUser] = {}
        self._by_anchor: dict[str, CloudUser] = {}
        self._deleted_by_anchor: dict[str, CloudUser] = {}
        self._changes = 0

    def next_change(self) -> int:
        """A place for a change, behind all that were before it."""
        self._changes += 1
        return self._changes

    def touch(self, user: CloudUser) -> None:
        """Note that something of a user has changed."""
        self._changes += 1
        user.change = self._changes

    def everybody(self) -> Iterator[CloudUser]:
        """All users that are still known, the deleted ones too."""
        return iter(self._by_id.values())

    def __iter__(self) -> Iterator[CloudUser]:
        """The live users, in the order of their creation."""
        return (user for user in self._by_id.values() if user.deleted_at is None)

    def __len__(self) -> int:
        return len(self._by_upn)

    @property
    def synchronized(self) -> int:
        """How many live users are synchronized objects."""
        return len(self._by_anchor)

    def by_id(self, user_id: str) -> CloudUser | None:
        """A live user."""
        user = self._by_id.get(user_id)
        return user if user is not None and user.deleted_at is None else None

    def ever(self, user_id: str) -> CloudUser | None:
        """A user, deleted or not; None once the recycle bin has let go of it."""
        return self._by_id.get(user_id)

    def by_upn(self, upn: str) -> CloudUser | None:
        """A live user; upper and lower case are the same."""
        return self._by_upn.get(upn.lower())

    def by_anchor(self, anchor: str) -> CloudUser | None:
        """A live synchronized user."""
        return self._by_anchor.get(anchor)

    def add(self, user: CloudUser) -> None:
        """Take in a new user, whose sign-in name must be free."""
        self._by_id[user.id] = user
        self._enter(user)

    def rename(self, user: CloudUser, upn: str) -> None:
        """Give a live user another sign-in name, which must be free."""
        del self._by_upn[_key(user.upn)]
        user.upn = upn
        self.touch(user)
        self._by_upn[_key(upn)] = user

    def delete(self, user: CloudUser, now: datetime) -> None:
        """Put a live user into the recycle bin; its sign-in name is free again."""
        user.deleted_at = now
        self.touch(user)
        del self._by_upn[_key(user.upn)]
        if user.source_anchor is not None:
            del self._by_anchor[user.source_anchor]
            self._deleted_by_anchor[user.source_anchor] = user

    def claim(self, user: CloudUser, anchor: str) -> None:
        """Make a live user of the cloud a synchronized one, under an anchor that is free."""
        user.source_anchor = anchor
        self._by_anchor[anchor] = user

    def deleted(self, anchor: str, now: datetime) -> CloudUser | None:
        """A user who can still be restored; one whose time in the recycle bin is over is gone for good."""
        user = self._deleted_by_anchor.get(anchor)
        if user is None or user.deleted_at is None or now - user.deleted_at < RECYCLE_BIN:
            return user
        del self._deleted_by_anchor[anchor]
        del self._by_id[user.id]
        return None

    def restore(self, user: CloudUser, upn: str) -> None:
        """Bring a deleted user back under a sign-in name that is free."""
        if user.source_anchor is not None:
            del self._deleted_by_anchor[user.source_anchor]
        user.deleted_at = None
        user.upn = upn
        self._enter(user)

    def forget(self, user: CloudUser) -> None:
        """Empty the recycle bin of a deleted user: nothing brings it back."""
        if user.source_anchor is not None:
            self._deleted_by_anchor.pop(user.source_anchor, None)
        del self._by_id[user.id]

    def _enter(self, user: CloudUser) -> None:
        self.touch(user)
        self._by_upn[_key(user.upn)] = user
        if user.source_anchor is not None:
            self._by_anchor[user.source_anchor] = user


def _key(upn: str) -> str:
    """The index key; the name itself where it is lower case already, which saves a copy per user."""
    lower = upn.lower()
    return upn if lower == upn else lower
