"""A tenant's domains, and how long passwords of each one's users are good."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

from simulator.azure_ad.policy import CloudPolicy
from simulator.azure_ad.users import UserIndex

_NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789'.-_!#^~")
_NAME_LENGTH_MAX = 64


def is_local_part(text: str) -> bool:
    """Whether this may stand before the @ of a sign-in name (product documentation of password policies)."""
    return 0 < len(text) <= _NAME_LENGTH_MAX and _NAME_CHARACTERS.issuperset(text)


class Domains:
    """The first domain, which is the tenant's own, and those of the users' sign-in names; all in lower case."""

    def __init__(self, first: str, users: UserIndex) -> None:
        self.first = first.lower()
        self._users = users
        self._periods: dict[str, tuple[timedelta | None, timedelta]] = {}

    def __iter__(self) -> Iterator[str]:
        """The first one, then the others by name."""
        others = {user.upn.rpartition("@")[2].lower() for user in self._users} | set(self._periods)
        yield self.first
        yield from sorted(others - {self.first})

    def __contains__(self, domain: str) -> bool:
        lower = domain.lower()
        return lower == self.first or any(lower == each for each in self)

    def set_periods(self, domain: str, max_age: timedelta | None, notice: timedelta) -> None:
        """How long passwords of a domain's users are good (None: for ever), and when they are told."""
        self._periods[domain.lower()] = (max_age, notice)

    def policy(self, upn: str, policy: CloudPolicy) -> CloudPolicy:
        """The tenant's policy with the periods of this sign-in name's domain, if that has its own."""
        found = self._periods.get(upn.rpartition("@")[2].lower()) if self._periods else None
        return policy if found is None else replace(policy, max_age=found[0], notice=found[1])
