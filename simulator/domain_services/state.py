"""The managed domain's state: accounts taken over from the tenant, twenty minutes after the tenant had them so.

Source: the product's documentation of how objects and credentials are synchronized. The tenant is the only way in: no
account is made or changed in the domain itself. It knows no protocol; :mod:`simulator.domain_services.logon` does.

Unconfirmed: the lag (none is published), that it is the same for objects and for passwords, and the names of accounts
whose own is taken. Left out: the domain's own password policy, its lockout and its groups.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from pwsync.errors import SealError
from simulator.domain_services.envelope import open_legacy, open_supplemental

LAG: Final = timedelta(minutes=20)
"""How long after the tenant the domain has something."""

NAME_MAX: Final = 20
"""Characters of a sAMAccountName."""
RC4: Final = 23
AES: Final = (18, 17)
"""Encryption types ([RFC3961] 8)."""

Schedule = Callable[[timedelta, Callable[[], None]], None]


class Secrets(NamedTuple):
    """What the tenant has of a password for the domain.

    Sealed by an agent (legacy, supplemental: envelopes, None for what it did not send), or made by the tenant from a
    password that was typed there (nt_hash, keys, salt).
    """

    legacy: str | None = None
    supplemental: str | None = None
    nt_hash: bytes | None = None
    keys: Mapping[int, bytes] = {}
    salt: str = ""


class Picture(NamedTuple):
    """A user as the tenant has it. secrets: None while the tenant has none. gone: the user was deleted there."""

    id: str
    name: str
    upn: str
    enabled: bool
    secrets: Secrets | None = None
    gone: bool = False


@dataclass(slots=True, eq=False)
class Account:
    """An account of the domain; a :class:`simulator.domain_services.principal.Principal`.

    Envelopes are opened when somebody asks for what is in them: a domain has many accounts, and few log on.
    """

    id: str
    name: str
    upn: str
    enabled: bool
    secrets: Secrets | None = field(repr=False)
    _opened: Secrets | None = field(default=None, repr=False)

    @property
    def nt_hash(self) -> bytes | None:
        """The NT hash; None while the domain has none, and where its envelope does not open."""
        return self._open().nt_hash

    @property
    def keys(self) -> Mapping[int, bytes]:
        """Kerberos keys by encryption type; the NT hash is the one of RC4."""
        found = self._open()
        keys = {kind: key for kind, key in found.keys.items() if kind in AES}
        return keys if found.nt_hash is None else {**keys, RC4: found.nt_hash}

    @property
    def salt(self) -> str:
        """What salted the AES keys: realm and name where the password was set."""
        return self._open().salt

    def _open(self) -> Secrets:
        if self._opened is None:
            self._opened = _opened(self.secrets or Secrets())
        return self._opened


def _opened(secrets: Secrets) -> Secrets:
    nt_hash, keys, salt = secrets.nt_hash, secrets.keys, secrets.salt
    try:
        if secrets.legacy is not None:
            nt_hash = open_legacy(secrets.legacy)
        if secrets.supplemental is not None:
            salt, _, keys = open_supplemental(secrets.supplemental)
    except SealError:
        return Secrets()  # such a password is none at all: nobody may log on by half of it
    return Secrets(nt_hash=nt_hash, keys=keys, salt=salt)


class ManagedDomain:
    """One managed domain.

    name: its DNS name; the realm is the same in upper case. clock: the time now, UTC. What the tenant tells counts
    from :data:`LAG` later on; every question is answered as of now, whether or not :meth:`watch` was called.
    """

    def __init__(self, name: str, clock: Callable[[], datetime]) -> None:
        self.name = name
        self.netbios = name.partition(".")[0][:15].upper()
        self._clock = clock
        self._accounts: dict[str, Account] = {}
        self._by_name: dict[str, Account] = {}
        self._by_upn: dict[str, Account] = {}
        self._told: dict[str, Picture] = {}
        self._coming: deque[tuple[datetime, list[Picture]]] = deque()
        self._schedule: Schedule | None = None
        self._taken: Callable[[Sequence[Picture]], None] = lambda pictures: None

    @property
    def realm(self) -> str:
        """The Kerberos realm."""
        return self.name.upper()

    def watch(self, schedule: Schedule, taken: Callable[[Sequence[Picture]], None]) -> None:
        """Have ``taken`` called with what was taken over, at the moment it was; ``schedule`` calls back later."""
        self._schedule, self._taken = schedule, taken
        for due, _ in self._coming:
            schedule(max(due - self._clock(), timedelta(0)), self.catch_up)

    def tell(self, pictures: Iterable[Picture]) -> None:
        """The tenant has these users so from now on."""
        news = [picture for picture in pictures if self._told.get(picture.id) != picture]
        if not news:
            return
        self._told.update((picture.id, picture) for picture in news)
        due = self._clock() + LAG
        if self._coming and self._coming[-1][0] == due:
            self._coming[-1][1].extend(news)
            return
        self._coming.append((due, news))
        if self._schedule is not None:
            self._schedule(LAG, self.catch_up)

    def delete(self) -> None:
        """The domain is deleted, with all that it had and all that was on its way."""
        self._coming.clear()
        for index in (self._accounts, self._by_name, self._by_upn):
            index.clear()

    def settle(self) -> None:
        """Take over at once whatever was told."""
        self._take_over(None)

    def catch_up(self) -> None:
        """Take over what is due."""
        self._take_over(self._clock())

    def principal(self, name: str) -> Account | None:
        """An account by sAMAccountName, ``NETBIOS\\name`` or UPN; upper and lower case are the same."""
        self.catch_up()
        prefix, separator, rest = name.rpartition("\\")
        if separator:
            return self._by_name.get(rest.casefold()) if prefix.casefold() == self.netbios.casefold() else None
        return self._by_upn.get(name.casefold()) if "@" in name else self._by_name.get(name.casefold())

    def account(self, user_id: str) -> Account | None:
        """The account of a user of the tenant, by the id there."""
        self.catch_up()
        return self._accounts.get(user_id)

    def __len__(self) -> int:
        self.catch_up()
        return len(self._accounts)

    def _take_over(self, now: datetime | None) -> None:
        while self._coming and (now is None or self._coming[0][0] <= now):
            _, pictures = self._coming.popleft()
            for picture in pictures:
                self._take(picture)
            self._taken(pictures)

    def _take(self, picture: Picture) -> None:
        before = self._accounts.pop(picture.id, None)
        if before is not None:
            _forget(self._by_name, before.name, before)
            _forget(self._by_upn, before.upn, before)
        if picture.gone:
            return
        account = Account(picture.id, self._free_name(picture), picture.upn, picture.enabled, picture.secrets)
        self._accounts[picture.id] = account
        self._by_name[account.name.casefold()] = account
        self._by_upn[account.upn.casefold()] = account

    def _free_name(self, picture: Picture) -> str:
        """The user's name, or one made of it where another account has it already."""
        name = picture.name[:NAME_MAX]
        if name.casefold() not in self._by_name:
            return name
        return f"{name[: NAME_MAX - 9]}-{picture.id[:8]}"


def _forget(index: dict[str, Account], key: str, account: Account) -> None:
    """Take an account out of an index, unless another one stands there by now."""
    if index.get(key.casefold()) is account:
        del index[key.casefold()]
