"""Which user of the tenant an exported object is: by anchor, or one of the cloud that the object takes over.

Source: the product's pages on errors during synchronization, on matching with existing users, and on the features that
block it. Hard match: the user's immutable id is the object's anchor, or the object names the user's cloud anchor. Soft
match: the object has the primary address, the mail, or the sign-in name of a user of the cloud who is no administrator.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from pwsync.tenant.company import FEATURES
from pwsync.tenant.messages import SyncObject
from simulator.azure_ad.addresses import Addresses, primary
from simulator.azure_ad.users import CloudUser, UserIndex

INVALID_HARD_MATCH = "InvalidHardMatch"
SOFT_MATCH_ON_NAME = FEATURES["EnableSoftMatchOnUpn"]
_NO_SOFT_MATCH = FEATURES["BlockSoftMatch"]
_NO_HARD_MATCH = FEATURES["BlockCloudObjectTakeoverThroughHardMatch"]


class NoMatch(Exception):
    """The object may not be matched with the user that it names; ``code`` and text for its result."""

    def __init__(self, code: str, text: str) -> None:
        self.code = code
        super().__init__(text)


class Matcher:
    """Finds users for objects. features: the tenant's bits of :data:`pwsync.tenant.company.FEATURES`."""

    def __init__(
        self, clock: Callable[[], datetime], users: UserIndex, addresses: Addresses, features: Callable[[], int]
    ) -> None:
        self._clock = clock
        self._users = users
        self._addresses = addresses
        self._features = features
        self._immutable: dict[str, str] = {}

    def set_immutable_id(self, user: CloudUser, anchor: str | None) -> None:
        """Give a user of the cloud the anchor that an object of the directory will have; None takes it away."""
        self._immutable = {known: owner for known, owner in self._immutable.items() if owner != user.id}
        if anchor:
            self._immutable[anchor] = user.id

    def immutable_id(self, user: CloudUser) -> str | None:
        """The anchor of a user: that of its object, or the one that waits for its object."""
        waiting = (anchor for anchor, owner in self._immutable.items() if owner == user.id)
        return user.source_anchor or next(waiting, None)

    def find(self, obj: SyncObject) -> CloudUser | None:
        """The live synchronized or named user of an object, without taking anybody over."""
        if obj.cloud_anchor:
            kind, _, user_id = obj.cloud_anchor.partition("_")
            user = self._users.by_id(user_id) if kind == "User" else None
            if user is not None:
                return user
        return self._users.by_anchor(obj.source_anchor)

    def match(self, obj: SyncObject, attributes: Mapping[str, Any]) -> CloudUser | None:
        """The live user that an object is to be written to, taken over if need be; None: it is a new one.

        attributes: by lower-case name. Raises NoMatch.
        """
        user = self._users.by_anchor(obj.source_anchor)
        if obj.cloud_anchor:
            named = self.find(obj)
            if named is None or (user is not None and named is not user):
                raise NoMatch(INVALID_HARD_MATCH, f"the tenant has no {obj.cloud_anchor} with that source anchor")
            if user is None:
                self._take_over(named, obj.source_anchor)
            return named
        if user is not None or self._users.deleted(obj.source_anchor, self._clock()) is not None:
            return user
        waiting = self._users.by_id(self._immutable.get(obj.source_anchor, ""))
        if waiting is not None:
            self._take_over(waiting, obj.source_anchor)
            return waiting
        user = self._soft_match(attributes)
        if user is not None:
            self._users.claim(user, obj.source_anchor)
        return user

    def _take_over(self, user: CloudUser, anchor: str) -> None:
        if user.source_anchor is not None and anchor in ("", user.source_anchor):
            return
        if user.source_anchor is not None:
            raise NoMatch(INVALID_HARD_MATCH, "a source anchor can be set only once")
        if not anchor:
            raise NoMatch(INVALID_HARD_MATCH, "a user of the cloud needs a source anchor to become synchronized")
        if self._features() & _NO_HARD_MATCH:
            raise NoMatch(INVALID_HARD_MATCH, "the tenant does not let objects take over its users by anchor")
        if self._users.deleted(anchor, self._clock()) is not None:
            raise NoMatch(INVALID_HARD_MATCH, "a deleted user has that source anchor")
        self.set_immutable_id(user, None)
        self._users.claim(user, anchor)

    def _soft_match(self, attributes: Mapping[str, Any]) -> CloudUser | None:
        bits = self._features()
        if bits & _NO_SOFT_MATCH:
            return None
        for address in primary(attributes):
            user = self._users.by_id(self._addresses.holder(address) or "")
            if user is not None and _may_be_matched(user):
                return user
        name = attributes.get("userprincipalname")
        if bits & SOFT_MATCH_ON_NAME and isinstance(name, str):
            user = self._users.by_upn(name)
            if user is not None and _may_be_matched(user):
                return user
        return None


def _may_be_matched(user: CloudUser) -> bool:
    """Only users of the cloud are, and no administrators (product documentation)."""
    return user.source_anchor is None and user.role is None
