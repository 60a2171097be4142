"""The people of a served world, side by side: what the directory has of them, what the tenant has, and how they agree.

A person's password in the cloud can:

    agree           be the one that the directory has
    pending         be another one than the directory's, or none: the directory's has not come there (yet)
    overridden      have been set in the cloud since: an administrator's reset, or the user's own change
    cloud-only      belong to a user whom no directory knows
    no-cloud-user   not be, for the tenant does not know the person
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from simulator.refusal import Refusal

if TYPE_CHECKING:
    from simulator.active_directory.state import Account
    from simulator.azure_ad.users import CloudUser
    from simulator.world import World

AGREE, PENDING, OVERRIDDEN = "agree", "pending", "overridden"
CLOUD_ONLY, NO_CLOUD_USER = "cloud-only", "no-cloud-user"
STANDINGS: Final = (AGREE, PENDING, OVERRIDDEN, CLOUD_ONLY, NO_CLOUD_USER)
"""In the order in which they are shown."""

PATIENCE: Final = 10.0
"""A list of everybody is made again no sooner than after so many times what making it took."""


class Row(NamedTuple):
    """One person in the list of everybody. text: what a search looks into, case-folded."""

    name: str
    text: str
    standing: str


def describe(world: World, name: str) -> dict[str, Any]:
    """What directory and tenant have of a person; passwords stand there by their labels."""
    account, user = account_of(world, name), world.cloud_user(name)
    return {
        "name": name,
        "directory": None if account is None else _directory(world, name, account),
        "tenant": None if user is None else _tenant(world, name, user),
    }


def account_of(world: World, name: str) -> Account | None:
    """A person's account in the directory, if there is one (yet)."""
    try:
        return world.account(name)
    except Refusal:
        return None


def _directory(world: World, name: str, account: Account) -> dict[str, Any]:
    password = world.passwords.password_of_hash(name, account.nt_hash)
    return {
        "dn": account.dn,
        "enabled": account.enabled,
        "must-change": account.must_change,
        "password": world.passwords.label(name, password) if password is not None else f"{name}#?",
        "changed": account.changed.isoformat(),
    }


def _tenant(world: World, name: str, user: CloudUser) -> dict[str, Any]:
    held = None if user.credential is None else world.passwords.identify(name, user.credential)
    unknown_password = "none" if user.credential is None else f"{name}#?"
    expires = world.tenant.expires(user)
    return {
        "upn": user.upn,
        "enabled": user.enabled,
        "synchronized-object": user.source_anchor is not None,
        "source": user.source,
        "password": unknown_password if held is None else world.passwords.label(name, held),
        "must-change": user.must_change,
        "expires": "never" if expires is None else expires.isoformat(),
    }


def standing(account: Account | None, user: CloudUser | None) -> str:
    """How a password in the cloud stands to the directory's, by the times of their changes.

    Those are whole seconds; of two changes within one the later may be told as having arrived with the earlier.
    """
    if user is None:
        return NO_CLOUD_USER
    if user.source_anchor is None:
        return CLOUD_ONLY
    if user.source in ("admin-reset", "cloud"):
        return OVERRIDDEN
    if account is None or user.source != "synced" or user.changed_at != account.changed:
        return PENDING
    return AGREE


class Everybody:
    """Everybody of a world, to be counted, searched and leafed through. Calls must hold the world's lock.

    The list is made again when something has changed, but not so often that others have no time for the world: of a
    large one it may be a little old. What :meth:`page` says of each person is of now.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._rows: list[Row] = []
        self._made_of: object = None
        self._not_before = 0.0
        self._synchronized: dict[str, datetime] = {}
        self._writes_read = 0

    def page(self, *, search: str, standings: frozenset[str], first: int, count: int) -> dict[str, Any]:
        """Some of those that a search finds (in name, display name and sign-in name), and how many there are."""
        self._refresh()
        folded = search.casefold().strip()
        found = [row for row in self._rows if row.standing in standings and (not folded or folded in row.text)]
        first = max(0, min(first, (len(found) - 1) // count * count if found else 0))
        self._read_writes()
        counts = Counter(row.standing for row in self._rows)
        return {
            "total": len(self._rows),
            "standings": {each: counts[each] for each in STANDINGS},
            "found": len(found),
            "from": first,
            "rows": [self._row(row.name) for row in found[first : first + count]],
        }

    def is_old(self) -> bool:
        """Whether something has changed since the list was made, and it may be made again."""
        return self._made_of != self._state() and time.monotonic() >= self._not_before

    def forget(self) -> None:
        """The world is another one now: read everything anew."""
        self._made_of, self._not_before = None, 0.0
        self._synchronized.clear()
        self._writes_read = 0

    def _state(self) -> tuple[int, ...]:
        world = self._world
        return (
            *(domain.version for domain in world.domains), len(world.tenant.writes), len(world.tenant.users),
            len(world.people), len(world.trace.lines),
        )  # fmt: skip

    def _refresh(self) -> None:
        if not self.is_old():
            return
        began = time.monotonic()
        self._made_of = self._state()
        self._rows = list(self._look())
        ended = time.monotonic()
        self._not_before = ended + PATIENCE * (ended - began)

    def _look(self) -> Iterator[Row]:
        world = self._world
        for name in world.people:
            account, user = account_of(world, name), world.cloud_user(name)
            texts = [name, user.upn if user is not None else ""]
            if account is not None:
                texts += [account.display_name, account.upn]
            elif user is not None:
                texts.append(user.display_name)
            yield Row(name, "\n".join(texts).casefold(), standing(account, user))

    def _read_writes(self) -> None:
        writes = self._world.tenant.writes
        for write in writes[self._writes_read :]:
            if write.by == "sync":
                self._synchronized[write.user_id] = write.at
        self._writes_read = len(writes)

    def _row(self, name: str) -> dict[str, Any]:
        world = self._world
        account, user = account_of(world, name), world.cloud_user(name)
        stands = standing(account, user)
        if stands == AGREE and account is not None and user is not None and user.credential is not None:
            stands = AGREE if world.tenant.verify(account.nt_hash, user.credential) else PENDING
        last = None if user is None else self._synchronized.get(user.id)
        return describe(world, name) | {
            "display-name": account.display_name if account is not None else user.display_name if user else name,
            "standing": stands,
            "synchronized": None if last is None else last.isoformat(),
            "status": self._status(name),
        }

    def _status(self, name: str) -> str | None:
        """What became of the agent's last attempt, as its object log has it; None if nobody here knows."""
        host, anchor = self._world.host, self._world.anchor(name)
        if not host.running or anchor is None:
            return None
        found = host.agent.status(anchor)
        return None if found == "none" else found
