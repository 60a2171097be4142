"""The envelope around replicated secrets: ENCRYPTED_PAYLOAD of MS-DRSR 4.1.10.2.17, and the RID layer below it.

    blob = salt[16] || RC4(key = MD5(session_key || salt), CRC32LE(data) || data)
    data = RID layer of unicodePwd, dBCSPwd, ntPwdHistory and lmPwdHistory; as it is for supplementalCredentials
    RID layer, per 16 bytes = DES(k1, first half) || DES(k2, second half), both keys from the account's RID
                              (MS-SAMR 2.2.11.1.3)

One NT hash makes a blob of 36 bytes. Pure: session keys and salts are arguments.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Protocol
from zlib import crc32

from cryptography.hazmat.decrepit.ciphers.algorithms import ARC4, TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.modes import ECB

from pwsync.errors import EnvelopeError

SALT_SIZE = 16
BLOCK_SIZE = 16
_HEAD_SIZE = SALT_SIZE + 4

_ECB = ECB()  # noqa: S305 - MS-SAMR
_ODD_PARITY = bytes((bits << 1) | (bits.bit_count() % 2 == 0) for bits in range(128))


class Digest(Protocol):
    """What :func:`hashlib.md5` returns."""

    def digest(self) -> bytes: ...


Md5 = Callable[[bytes], Digest]
"""How MD5 is had. On a server locked to FIPS algorithms it raises FipsError: nothing can be decrypted then."""

PLAIN_MD5: Md5 = partial(hashlib.md5, usedforsecurity=False)
"""MD5 on any machine, whatever its policy."""


def encrypt(data: bytes, session_key: bytes, salt: bytes, rid: int | None) -> bytes:
    """Wrap a secret for the wire, as a domain controller does.

    data: the plain secret; with ``rid`` (not 0) a multiple of 16 bytes. salt: 16 fresh bytes. rid: None for secrets
    without a RID layer. Raises EnvelopeError for data or a RID of the wrong shape.
    """
    if len(salt) != SALT_SIZE:
        raise EnvelopeError("the salt of an encrypted payload is 16 bytes")
    if rid is not None:
        data = _rid_layer(data, rid, remove=False)
    body = crc32(data).to_bytes(4, "little") + data
    return salt + _rc4(PLAIN_MD5(session_key + salt).digest(), body)


def decrypt(
    blob: bytes,
    session_keys: Sequence[bytes],
    rid: int | None,
    *,
    md5: Md5 = PLAIN_MD5,
) -> bytes | None:
    """Take a secret out of its envelope; None if there is none (an empty value).

    session_keys: those seen on this connection, newest first; the first whose checksum matches is taken, because a
    session key may change in the middle of a page. rid: the account's RID, None for secrets without a RID layer.
    Raises EnvelopeError: fewer than 20 bytes, data that is not a multiple of 16 or RID 0 with a RID layer (invalid
    parameter), no key fits (decrypt failure). What ``md5`` raises passes.
    """
    if not blob:
        return None
    if len(blob) < _HEAD_SIZE:
        raise EnvelopeError(f"invalid parameter: an encrypted payload has at least 20 bytes, this one {len(blob)}")
    if rid is not None:
        _check_rid_layer(len(blob) - _HEAD_SIZE, rid)
    salt, secret = blob[:SALT_SIZE], blob[SALT_SIZE:]
    for session_key in session_keys:
        body = _rc4(md5(session_key + salt).digest(), secret)
        data = body[4:]
        if crc32(data) == int.from_bytes(body[:4], "little"):
            return data if rid is None else _rid_layer(data, rid, remove=True)
    raise EnvelopeError("decrypt failure: the checksum of a replicated secret does not match")


def _rc4(key: bytes, data: bytes) -> bytes:
    return Cipher(ARC4(key), None).encryptor().update(data)


def _check_rid_layer(size: int, rid: int) -> None:
    if rid == 0:
        raise EnvelopeError("invalid parameter: a secret with a RID layer needs a RID other than 0")
    if rid >> 32:
        raise EnvelopeError(f"invalid parameter: {rid} is not a RID")
    if size % BLOCK_SIZE:
        raise EnvelopeError(f"invalid parameter: a RID layer is a multiple of 16 bytes, not {size}")


def _rid_layer(data: bytes, rid: int, *, remove: bool) -> bytes:
    """Add or remove the RID layer; the same keys serve each 16 bytes of a history."""
    _check_rid_layer(len(data), rid)
    keys = _rid_ciphers(rid)
    first, second = (each.decryptor() if remove else each.encryptor() for each in keys)
    if len(data) == BLOCK_SIZE:
        return first.update(data[:8]) + second.update(data[8:])
    halves = [data[at : at + 8] for at in range(0, len(data), 8)]
    return b"".join((second if index % 2 else first).update(half) for index, half in enumerate(halves))


@lru_cache(maxsize=1024)
def _rid_ciphers(rid: int) -> tuple[Cipher[ECB], Cipher[ECB]]:
    """The ciphers of an account's RID. Its current password and its history have the same."""
    low = rid.to_bytes(4, "little")
    return _des(low + low[:3]), _des(low[3:] + low + low[:2])


def _des(seven: bytes) -> Cipher[ECB]:
    """DES under the 56 bits of ``seven``, each 7 of them made a byte of odd parity; DES is triple DES with one key."""
    bits = int.from_bytes(seven, "big")
    odd = _ODD_PARITY
    key = bytes(
        (
            odd[bits >> 49],
            odd[bits >> 42 & 127],
            odd[bits >> 35 & 127],
            odd[bits >> 28 & 127],
            odd[bits >> 21 & 127],
            odd[bits >> 14 & 127],
            odd[bits >> 7 & 127],
            odd[bits & 127],
        )
    )
    return Cipher(TripleDES(key * 3), _ECB)
