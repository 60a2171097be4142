"""Binding to the managed domain over LDAP: simple binds, and NTLM inside of SASL or of Microsoft's older frames.

A simple bind is judged from the NT hash, like every other logon. Result codes and texts are the directory's: 49 with a
sub-code. That an account has no password yet is not told, it is a wrong one.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import Final

from pwsync.credential import nt_hash
from simulator.active_directory import errors, names
from simulator.active_directory.errors import LdapError
from simulator.domain_services import ntlm, spnego
from simulator.domain_services.principal import Principal
from simulator.domain_services.refusal import LogonRefused, Reason

CONTAINER = "OU=AADDC Users"
"""Where the accounts are that come from the tenant (product documentation)."""

_SUBCODES: Final[dict[Reason, str]] = {
    "wrong-password": "wrong-password",
    "no-password": "wrong-password",
    "unknown-user": "no-such-user",
    "disabled": "disabled",
}


@dataclass(frozen=True, slots=True)
class Directory:
    """What binds are judged by: the domain's names, its accounts, the time, and where challenges come from.

    is_up: whether there is such a domain now.
    """

    server: ntlm.Server
    lookup: Callable[[str], Principal | None]
    clock: Callable[[], datetime]
    random: Random
    is_up: Callable[[], bool] = lambda: True

    @property
    def base(self) -> str:
        """The domain's DN."""
        return ",".join(f"DC={names.escape(label)}" for label in self.server.dns.split("."))

    def dn(self, principal: Principal) -> str:
        """An account's DN; that accounts are called there as they log on is unconfirmed."""
        return f"CN={names.escape(principal.name)},{CONTAINER},{self.base}"


def account(directory: Directory, name: str) -> Principal | None:
    """Whom the name of a simple bind means: a DN, a user principal name, or ``DOMAIN\\name``. A bare name is nobody's.

    Source: [MS-ADTS] 5.1.1.1.1, of whose forms a managed domain has use for these.
    """
    server = directory.server
    domain, sign, plain = name.partition("\\")
    if sign:
        return directory.lookup(plain) if domain and server.is_domain(domain) and "@" not in plain else None
    if "=" in name:
        return _by_dn(directory, name)
    if "@" not in name:
        return None
    found = directory.lookup(name)
    plain, _, domain = name.rpartition("@")
    if found is None and domain.casefold() == server.dns.casefold() and "@" not in plain:
        found = directory.lookup(plain)  # the implicit name
    return found


def _by_dn(directory: Directory, name: str) -> Principal | None:
    try:
        parts = names.parse_dn(name)
        above = names.parse_dn(f"{CONTAINER},{directory.base}")
    except names.InvalidName:
        return None
    if [names.rdn_key(*each) for each in parts[1:]] != [names.rdn_key(*each) for each in above]:
        return None
    kind, value = parts[0]
    plain = kind.upper() == "CN" and not {"\\", "@"} & set(value)
    return directory.lookup(value) if plain else None


def judge(directory: Directory, name: str, password: str) -> Principal:
    """The account of a simple bind. Raises LogonRefused."""
    principal = account(directory, name)
    if principal is None:
        raise LogonRefused("unknown-user")
    if principal.nt_hash is None:
        raise LogonRefused("no-password")
    if not hmac.compare_digest(principal.nt_hash, nt_hash(password)):
        raise LogonRefused("wrong-password")
    if not principal.enabled:
        raise LogonRefused("disabled")
    return principal


def refused(reason: Reason, *, negotiated: bool = False) -> LdapError:
    """The answer to a bind that was refused. negotiated: by NTLM, which does not tell whose names exist."""
    if negotiated and reason == "unknown-user":
        reason = "wrong-password"
    return errors.bind_error(_SUBCODES[reason])


def bad_token() -> LdapError:
    """The answer to what is no NTLM message, or not the one that was expected."""
    return errors.bind_error("ambiguous")  # the same sub-code: an invalid parameter


class NtlmBind:
    """The binds that NTLM takes, with SPNEGO around them or without. One exchange at a time; its challenge holds for
    one answer."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._said = self._challenged = self._offered = b""

    def forget(self) -> None:
        """Whatever was begun is over."""
        self._said = self._challenged = self._offered = b""

    def challenge(self, negotiate: bytes) -> bytes:
        """NTLM's first message's answer. Raises LdapError."""
        self.forget()
        directory = self._directory
        nonce = directory.random.randbytes(8)
        try:
            challenged = ntlm.challenge(negotiate, directory.server, nonce, directory.clock())
        except ntlm.BadToken:
            raise bad_token() from None
        self._said, self._challenged = negotiate, challenged
        return challenged

    def accept(self, authenticate: bytes) -> Principal:
        """Who the second one signs on. Raises LogonRefused, and LdapError for what answers no challenge."""
        said, challenged = self._said, self._challenged
        self.forget()
        if not challenged:
            raise bad_token()
        try:
            return ntlm.accept(said, challenged, authenticate, self._directory.server, self._directory.lookup).principal
        except ntlm.BadToken:
            raise bad_token() from None

    def step(self, octets: bytes) -> tuple[Principal | None, bytes]:
        """One SASL bind: who is signed on, None if more is to come, and what to answer. Raises as the others do."""
        try:
            token = spnego.read(octets)
            if not token.wrapped:
                return (self.accept(octets), b"") if self._challenged else (None, self.challenge(octets))
            return self._unwrapped(token)
        except ntlm.BadToken:
            self.forget()
            raise bad_token() from None

    def _unwrapped(self, token: spnego.Token) -> tuple[Principal | None, bytes]:
        if token.offered and not token.prefers_ntlm:
            self.forget()
            self._offered = token.offered
            return None, spnego.answer(spnego.REQUEST_MIC, first=True)
        if self._challenged and not token.offered:
            principal = self.accept(token.inner)
            return principal, spnego.closing(token.mic)
        offered, first = token.offered or self._offered, bool(token.offered)
        if not offered:
            raise ntlm.BadToken("nothing was offered")
        challenged = self.challenge(token.inner)
        self._offered = offered
        return None, spnego.answer(spnego.INCOMPLETE, challenged, first=first)
