"""digest-not-usable: neither text nor key of what the tenant stores logs on to the directory.

Nor is the digest weaker than the product's: agent and tenant share the code that makes and checks it, so it is computed
here a second time, as the product's documentation and public vectors have it.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

from pwsync.credential import parse
from pwsync.errors import CredentialFormatError
from simulator.invariants.base import Invariant, Violation
from simulator.refusal import Refusal

ITERATIONS = 1000


class DigestNotUsable(Invariant):
    """What the tenant stores opens nothing on premises, taken as a password or as an NT hash."""

    id = "digest-not-usable"
    why = "Whoever steals what the tenant stores must not be able to use it on premises, nor to guess from it cheaply."

    def begin(self) -> None:
        self._seen = len(self.world.tenant.writes)
        self._salts: dict[bytes, str] = {}

    def instant(self) -> Iterable[Violation]:
        writes = self.world.tenant.writes
        for write in writes[self._seen :]:
            if write.by != "sync":
                continue
            user = self.world.cloud_user_by_id(write.user_id)
            guid = self.ledger.guid_of(user.source_anchor or "") if user is not None else None
            account = self.ledger.account(guid) if guid is not None else None
            if guid is None or account is None:
                continue
            yield from self._weak(account.name, account.nt_hash, write.credential)
            for what in self._usable(account.name, self.ledger.homes[guid], account.nt_hash, write.credential):
                yield Violation(
                    held=f"the tenant stores a digest of {account.name}'s password",
                    came=f"{what} logs on to the directory",
                    about=account.name,
                    key=f"{guid}/{write.sequence}",
                )
        self._seen = len(writes)

    def _weak(self, name: str, nt: bytes, credential: str) -> Iterable[Violation]:
        """Whether the digest is less than it should be: computed here a second time, by another library."""
        try:
            found = parse(credential)
        except CredentialFormatError:
            return
        right = _key(nt, found.salt, found.iterations)
        fits = self.world.tenant.verify(nt, credential)
        problem = ""
        if found.iterations != ITERATIONS:
            problem = f"was made in {found.iterations} rounds"
        elif self._salts.setdefault(found.salt, credential) != credential:
            problem = "has a salt that was used before"
        elif fits and right != found.key:
            problem = "is not PBKDF2 of the NT hash in upper-case hex"
        if problem:
            yield Violation(
                held=f"a digest is PBKDF2 of the NT hash in {ITERATIONS} rounds, with a salt of its own",
                came=f"that of {name} {problem}",
                about=name,
                key=f"weak/{name}/{problem}",
            )

    def _usable(self, name: str, domain: object, nt: bytes, credential: str) -> Iterable[str]:
        try:
            key = parse(credential).key
        except CredentialFormatError:
            yield f"nothing that can be read ({credential[:12]}...)"
            return
        if nt in (key[:16], key[16:]) or nt in key:
            yield "its key, taken as an NT hash,"
        for what, text in (("its text", credential), ("its key in hex", key.hex()), ("its key", key.hex().upper())):
            try:
                result = domain.logon(name, text, observe=True)  # type: ignore[attr-defined]
            except Refusal:
                continue
            if result == "ok":
                yield what


@lru_cache(maxsize=1024)
def _key(nt: bytes, salt: bytes, iterations: int) -> bytes:
    """The key as it should be; reruns of one scenario ask for the same ones."""
    return PBKDF2HMAC(SHA256(), 32, salt, iterations).derive(nt.hex().upper().encode("utf-16-le"))
