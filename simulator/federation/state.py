"""A farm of federation servers and whom it lets in: people of its forest, by their on-premises passwords.

It asks a domain controller that is up, so the directory's rules and counters are the directory's: lockout, expiry,
must-change, disabled. A lockout of the servers' own (extranet lockout) is not modelled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import NamedTuple

from pwsync.credential import nt_hash
from simulator.active_directory import logon
from simulator.active_directory.accounts import Account
from simulator.active_directory.replica import Entry
from simulator.active_directory.state import Controller, Forest
from simulator.random import Randomness
from simulator.refusal import Refusal


class FarmLogon(NamedTuple):
    """What came of a sign-in.

    result: ``ok``, ``no-such-user``, ``unavailable`` (no controller is up) or a word of
    :func:`simulator.active_directory.logon.check`. upn, anchor: of whoever got in, as the controller has them.
    """

    result: str
    upn: str = ""
    anchor: str = ""


class Farm:
    """The federation servers of one forest, which are up or down together.

    host: their name. Every domain of the cloud that is federated with them has an issuer of its own, so that a token
    for one does not open another (the product's switch for several domains).

    client_clock: the clock that clients stamp their messages by. It is the farm's own, but in a served world the
    clients have the machine's, which no longer is the world's once that was moved.
    """

    def __init__(self, forest: Forest, clock: Callable[[], datetime], randomness: Randomness) -> None:
        self.forest = forest
        self.clock = self.client_clock = clock
        self.randomness = randomness
        self.host = f"adfs.{next(iter(forest.domains))}".lower()
        self.up = True
        self._observed = False

    @staticmethod
    def issuer(domain: str) -> str:
        """Who signs the tokens of a domain's users."""
        return f"http://{domain.lower()}/adfs/services/trust/"

    @contextmanager
    def observed(self) -> Iterator[None]:
        """Sign-ins in this block count nowhere."""
        before, self._observed = self._observed, True
        try:
            yield
        finally:
            self._observed = before

    def sign_in(self, name: str, password: str) -> FarmLogon:
        """Check a user principal name, or ``DOMAIN\\name``, and a password with the forest's controllers."""
        silent = False
        for domain in self.forest.domains.values():
            try:
                controller = domain.at(None)
            except Refusal:
                silent = True  # none of its controllers is up
                continue
            entry = _find(controller, name.casefold())
            if entry is not None:
                return self._check(controller, entry, password)
        return FarmLogon("unavailable" if silent else "no-such-user")

    def _check(self, controller: Controller, entry: Entry, password: str) -> FarmLogon:
        result = logon.check(controller, entry, nt_hash(password), observe=self._observed)
        if result != "ok":
            return FarmLogon(result)
        account = Account(entry)
        return FarmLogon("ok", account.upn or f"{account.name}@{controller.domain.name}", account.source_anchor)


def _find(controller: Controller, folded: str) -> Entry | None:
    """The account of a case-folded name: its principal name, the implicit one (name at domain), or DOMAIN\\name."""
    replica, domain = controller.replica, controller.domain
    entry = replica.by_upn.get(folded)
    if entry is None:
        plain, _, suffix = folded.rpartition("@")
        entry = replica.by_name.get(plain) if suffix == domain.name.casefold() else None
    if entry is None:
        netbios, sign, plain = folded.partition("\\")
        entry = replica.by_name.get(plain) if sign and netbios == domain.netbios.casefold() else None
    return entry if entry is not None and entry.kind.is_account else None
