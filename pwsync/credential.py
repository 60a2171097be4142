"""The credential that leaves the premises: a salted, stretched hash of the NT hash.

    nt     = MD4(UTF-16LE(password))                                       16 bytes
    secret = UTF-16LE(upper-case hex of nt)                                64 bytes
    key    = PBKDF2-HMAC-SHA256(secret, salt, iterations)                  32 bytes
    text   = "v1;PPH1_MD4," hex(salt) "," iterations "," hex(key) ";"      lower-case hex, 10 bytes of salt

Source: the product's description of password hash synchronization (1000 iterations, 10-byte salt per user); that the
salt is the PBKDF2 salt and the hex is upper-case follows from vectors made with the product's own library.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

from Crypto.Hash import MD4

from pwsync.errors import CredentialFormatError
from pwsync.stretching import NT_HASH_SIZE, SALT_SIZE, key, keys

ITERATIONS = 1000
ITERATIONS_MAX = 10_000_000
"""More than any service asks for; a text that names more would only keep its reader busy."""

CHUNK_SIZE = 25
"""Hashes per task in :func:`protect_many`: some 3 ms, which hides the cost of a task and halves a batch of 50."""

Stretch = Callable[[Sequence[tuple[bytes, bytes]], int], list[bytes]]
"""Makes the keys for (NT hash, salt) pairs and a number of iterations, in their order."""

_TEXT = re.compile(r"v1;PPH1_MD4,([0-9a-f]{20}),([1-9][0-9]{0,7}),([0-9a-f]{64});?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Credential:
    """A credential, taken apart: ``salt`` (10 bytes), ``iterations``, ``key`` (32 bytes); ``str()`` is its text."""

    salt: bytes
    iterations: int
    key: bytes

    def __str__(self) -> str:
        return _text(self.salt, self.iterations, self.key)


def nt_hash(password: str) -> bytes:
    """The NT hash of a password: 16 bytes ([MS-NLMP] 3.3.1). Any text is taken, lone surrogates too, as in Windows."""
    return MD4.new(password.encode("utf-16-le", "surrogatepass")).digest()  # noqa: S303 - the product's first step


def protect(nt: bytes, salt: bytes, iterations: int = ITERATIONS) -> str:
    """The credential text for an NT hash.

    nt: 16 bytes, never hex text. salt: 10 bytes, fresh for each call. iterations: 1 to 10 million.
    Raises ValueError for anything else.
    """
    _check(nt, salt, iterations)
    return _text(salt, iterations, key(nt, salt, iterations))


def protect_many(
    hashes: Sequence[tuple[bytes, bytes]], pool: Executor, iterations: int = ITERATIONS, chunk_size: int = CHUNK_SIZE
) -> Iterator[str]:
    """Credential texts for (NT hash, salt) pairs, in the order of ``hashes``.

    All work is handed to ``pool`` (threads: PBKDF2 releases the interpreter lock) before this returns, so that the
    caller can send the first texts while the later ones are made. Closing the iterator cancels what has not begun.
    Raises ValueError at once if a pair has the wrong shape; nothing is hashed then.
    """
    for nt, salt in hashes:
        _check(nt, salt, iterations)
    chunks = [hashes[start : start + chunk_size] for start in range(0, len(hashes), chunk_size)]
    futures = [pool.submit(_protect_chunk, chunk, iterations) for chunk in chunks]

    def results() -> Iterator[str]:
        try:
            for future in futures:
                yield from future.result()
        finally:
            for future in futures:
                future.cancel()

    return results()


def parse(text: str) -> Credential:
    """Take a credential text apart; the last ``;`` may be missing. Raises CredentialFormatError."""
    found = _TEXT.fullmatch(text)
    if found is None:
        raise CredentialFormatError("not a credential: expected v1;PPH1_MD4,<20 hex>,<iterations>,<64 hex>;")
    iterations = int(found[2])
    if iterations > ITERATIONS_MAX:
        raise CredentialFormatError(f"a credential of {iterations} iterations is refused: at most {ITERATIONS_MAX}")
    return Credential(bytes.fromhex(found[1]), iterations, bytes.fromhex(found[3]))


def verify(nt: bytes, text: str) -> bool:
    """Whether ``text`` was made from this NT hash (16 bytes). Raises CredentialFormatError, ValueError."""
    credential = parse(text)
    _check(nt, credential.salt, credential.iterations)
    return hmac.compare_digest(key(nt, credential.salt, credential.iterations), credential.key)


def _check(nt: bytes, salt: bytes, iterations: int) -> None:
    """Hex text in place of bytes would give a wrong key and no error."""
    if not isinstance(nt, bytes) or len(nt) != NT_HASH_SIZE:
        raise ValueError("an NT hash is 16 bytes")
    if not isinstance(salt, bytes) or len(salt) != SALT_SIZE:
        raise ValueError("a salt is 10 bytes")
    if not 1 <= iterations <= ITERATIONS_MAX:
        raise ValueError(f"iterations are 1 to {ITERATIONS_MAX}")


def _text(salt: bytes, iterations: int, made: bytes) -> str:
    return f"v1;PPH1_MD4,{salt.hex()},{iterations},{made.hex()};"


def _protect_chunk(chunk: Sequence[tuple[bytes, bytes]], iterations: int, stretch: Stretch = keys) -> list[str]:
    made = stretch(chunk, iterations)
    return [_text(salt, iterations, each) for (_, salt), each in zip(chunk, made, strict=True)]
