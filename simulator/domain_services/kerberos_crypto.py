"""Encryption as Kerberos does it: AES-CTS with HMAC-SHA1-96 ([RFC3961] 5, [RFC3962]), and RC4-HMAC ([RFC4757] 4).

Ciphers and hashes come from `cryptography` and the standard library. What stands around them is written here and not
taken from a Kerberos library in Python: those bring half a dozen further packages, and draw confounders from the
operating system, where a run must repeat. Tests compare with such a library and with the vectors of the RFCs.

Keys are of encryption types 18 (AES256, 32 bytes), 17 (AES128, 16 bytes) and 23 (RC4, the NT hash, 16 bytes). ``usage``
is the key usage number of [RFC4120] 7.5.1.
"""

from __future__ import annotations

import hmac
from functools import lru_cache
from random import Random

from cryptography.hazmat.decrepit.ciphers.algorithms import ARC4
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC, ECB

AES256, AES128, RC4 = 18, 17, 23
"""Encryption types ([RFC3961] 8, [RFC4757] 3)."""

KEY_SIZES = {AES256: 32, AES128: 16, RC4: 16}
AS_REQ_TIMESTAMP, TICKET, AS_REP = 1, 2, 3
"""Key usages."""

_BLOCK, _MAC, _RC4_CONFOUNDER, _RC4_CHECKSUM = 16, 12, 8, 16
_ZERO = bytes(_BLOCK)
_RC4_USAGES = {3: 8, 23: 13}
"""Where RC4 numbers usages otherwise ([RFC4757] 3)."""


class Unreadable(Exception):
    """A ciphertext that this key did not make."""


def encrypt(kind: int, key: bytes, usage: int, plain: bytes, random: Random) -> bytes:
    """Ciphertext of encryption type ``kind``; ``random`` gives the confounder."""
    if kind == RC4:
        return _rc4_encrypt(key, usage, random.randbytes(_RC4_CONFOUNDER) + plain)
    text = random.randbytes(_BLOCK) + plain
    encryption, integrity = _usage_keys(key, usage)
    return _cts_encrypt(encryption, text) + hmac.digest(integrity, text, "sha1")[:_MAC]


def decrypt(kind: int, key: bytes, usage: int, cipher: bytes) -> bytes:
    """What was encrypted. Raises Unreadable."""
    if kind == RC4:
        return _rc4_decrypt(key, usage, cipher)
    if len(cipher) < _BLOCK + _MAC:
        raise Unreadable("a ciphertext is too short")
    encryption, integrity = _usage_keys(key, usage)
    text = _cts_decrypt(encryption, cipher[:-_MAC])
    if not hmac.compare_digest(hmac.digest(integrity, text, "sha1")[:_MAC], cipher[-_MAC:]):
        raise Unreadable("the checksum is another")
    return text[_BLOCK:]


def n_fold(octets: bytes, size: int) -> bytes:
    """``octets`` spread over ``size`` bytes ([RFC3961] 5.1): rotated copies of them, added with end-around carry."""
    bits = 8 * len(octets)
    value, copies = int.from_bytes(octets, "big"), b""
    while not copies or len(copies) % size:
        turn = 13 * (len(copies) // len(octets)) % bits
        turned = (value >> turn | value << (bits - turn)) & ((1 << bits) - 1)
        copies += turned.to_bytes(len(octets), "big")
    total = sum(int.from_bytes(copies[at : at + size], "big") for at in range(0, len(copies), size))
    full = (1 << 8 * size) - 1
    while total > full:
        total = (total & full) + (total >> 8 * size)
    return total.to_bytes(size, "big")


@lru_cache(maxsize=256)
def _usage_keys(key: bytes, usage: int) -> tuple[bytes, bytes]:
    """Ke and Ki of a usage ([RFC3961] 5.3)."""
    number = usage.to_bytes(4, "big")
    return derived(key, number + b"\xaa"), derived(key, number + b"\x55")


def derived(key: bytes, constant: bytes) -> bytes:
    """DK(key, constant) for AES, whose random-to-key is the identity ([RFC3961] 5.1)."""
    block, found = n_fold(constant, _BLOCK), b""
    encryptor = Cipher(AES(key), ECB()).encryptor()  # noqa: S305 - single blocks
    while len(found) < len(key):
        block = encryptor.update(block)
        found += block
    return found[: len(key)]


def _cts_encrypt(key: bytes, text: bytes) -> bytes:
    """CBC with ciphertext stealing, the last two blocks always swapped ([RFC3962] 5); no empty initial vector."""
    encryptor = Cipher(AES(key), CBC(_ZERO)).encryptor()
    blocks = encryptor.update(text + bytes(-len(text) % _BLOCK)) + encryptor.finalize()
    if len(blocks) == _BLOCK:
        return blocks
    last = len(text) % _BLOCK or _BLOCK
    return blocks[: -2 * _BLOCK] + blocks[-_BLOCK:] + blocks[-2 * _BLOCK : -_BLOCK][:last]


def _cts_decrypt(key: bytes, cipher: bytes) -> bytes:
    if len(cipher) == _BLOCK:
        return _cbc_decrypt(key, cipher)
    last = len(cipher) % _BLOCK or _BLOCK
    swapped, stolen = cipher[-_BLOCK - last : -last], cipher[-last:]
    decryptor = Cipher(AES(key), ECB()).decryptor()  # noqa: S305 - a single block
    padding = decryptor.update(swapped)[last:]
    return _cbc_decrypt(key, cipher[: -_BLOCK - last] + stolen + padding + swapped)[: len(cipher)]


def _cbc_decrypt(key: bytes, cipher: bytes) -> bytes:
    decryptor = Cipher(AES(key), CBC(_ZERO)).decryptor()
    return decryptor.update(cipher) + decryptor.finalize()


def _rc4(key: bytes, text: bytes) -> bytes:
    return Cipher(ARC4(key), mode=None).encryptor().update(text)


def _rc4_usage_key(key: bytes, usage: int) -> bytes:
    return hmac.digest(key, _RC4_USAGES.get(usage, usage).to_bytes(4, "little"), "md5")


def _rc4_encrypt(key: bytes, usage: int, text: bytes) -> bytes:
    used = _rc4_usage_key(key, usage)
    checksum = hmac.digest(used, text, "md5")
    return checksum + _rc4(hmac.digest(used, checksum, "md5"), text)


def _rc4_decrypt(key: bytes, usage: int, cipher: bytes) -> bytes:
    if len(cipher) < _RC4_CHECKSUM + _RC4_CONFOUNDER:
        raise Unreadable("a ciphertext is too short")
    used, checksum = _rc4_usage_key(key, usage), cipher[:_RC4_CHECKSUM]
    text = _rc4(hmac.digest(used, checksum, "md5"), cipher[_RC4_CHECKSUM:])
    if not hmac.compare_digest(hmac.digest(used, text, "md5"), checksum):
        raise Unreadable("the checksum is another")
    return text[_RC4_CONFOUNDER:]
