"""Secrets for Domain Services: a password's NT hash and Kerberos keys, sealed for the tenant's certificate.

    legacy        base64 of an envelope around the NT hash; with a key of 2048 bits it has 356 bytes
    supplemental  the same around the Kerberos keys of supplementalCredentials (that the layout is the same, and that
                  the keys travel as KERB_STORED_CREDENTIAL_NEW, is unconfirmed)

    envelope = 8 x LE32 {version 1, reserved 0, key algorithm 1, payload algorithm 1, and the sizes of the rest}
               || SHA-1 thumbprint of the certificate
               || RSA-OAEP (SHA-1) of a fresh AES-256 key, its bytes reversed
               || IV || AES-256-CBC, PKCS#7, of (LE32 attribute id || LE32 size || secret)

The layout is that of public clients of the provisioning service. Pure: certificate and randomness are arguments.
"""

from __future__ import annotations

import binascii
import struct
from base64 import b64decode, b64encode
from collections.abc import Callable
from hashlib import sha1
from random import Random
from typing import Any, Final, NamedTuple

from pwsync.errors import SealError
from pwsync.stretching import NT_HASH_SIZE

UNICODE_PWD: Final = 0x0009005A
"""The attribute id of unicodePwd ([MS-ADA3]), as replication names it."""
SUPPLEMENTAL_CREDENTIALS: Final = 0x0009007D
"""The attribute id of supplementalCredentials."""

LEGACY_SIZE: Final = 356
"""Bytes of an envelope around an NT hash, for a certificate with a key of 2048 bits."""
SIZE_MAX: Final = 65_536
"""A larger envelope is read by nobody here."""

_VERSION, _RESERVED, _RSA_OAEP, _AES_CBC = 1, 0, 1, 1
_HEAD: Final = struct.Struct("<8i")
_PAYLOAD_HEAD: Final = struct.Struct("<II")
_THUMBPRINT_SIZE, _IV_SIZE, _BLOCK_SIZE, _AES_KEY_SIZE = 20, 16, 16, 32
_RSA_SIZES: Final = range(128, 1025)


class Envelope(NamedTuple):
    """A sealed secret's parts. key: RSA-OAEP of the AES key, in the order in which it travels, which is reversed."""

    thumbprint: bytes
    key: bytes
    iv: bytes
    data: bytes


def thumbprint(certificate: bytes) -> bytes:
    """The SHA-1 thumbprint by which an envelope names a certificate (DER)."""
    return sha1(certificate, usedforsecurity=False).digest()


class Sealer:
    """Seals secrets for one certificate (DER, with an RSA key). random: draws AES keys, IVs and OAEP's padding.

    Raises SealError for a certificate that can't be used.
    """

    def __init__(self, certificate: bytes, random: Random) -> None:
        self._random = random
        self._thumbprint = thumbprint(certificate)
        self._encrypt = _encryptor(certificate, random)

    def legacy(self, nt_hash: bytes) -> str:
        """An NT hash (16 bytes), sealed, as the text of ``WindowsLegacyCredentials``."""
        if len(nt_hash) != NT_HASH_SIZE:
            raise SealError(f"an NT hash has {NT_HASH_SIZE} bytes, not {len(nt_hash)}")
        return self._seal(UNICODE_PWD, nt_hash)

    def supplemental(self, stored_keys: bytes) -> str:
        """Kerberos keys (KERB_STORED_CREDENTIAL_NEW), sealed, as the text of ``WindowsSupplementalCredentials``."""
        return self._seal(SUPPLEMENTAL_CREDENTIALS, stored_keys)

    def _seal(self, attribute: int, secret: bytes) -> str:
        key, iv = self._random.randbytes(_AES_KEY_SIZE), self._random.randbytes(_IV_SIZE)
        sealed_key = self._encrypt(key)[::-1]
        payload = _PAYLOAD_HEAD.pack(attribute, len(secret)) + secret
        return write(Envelope(self._thumbprint, sealed_key, iv, _aes(key, iv, payload)))


def _encryptor(certificate: bytes, random: Random) -> Callable[[bytes], bytes]:
    """RSA-OAEP for a certificate's key. PyCryptodome's, because its padding can be drawn from a seed."""
    from Crypto.Cipher import PKCS1_OAEP
    from Crypto.PublicKey import RSA

    try:
        key = RSA.import_key(certificate)
    except (ValueError, IndexError, TypeError) as error:
        raise SealError("the certificate for Domain Services can't be read") from error
    if key.has_private() or key.size_in_bytes() not in _RSA_SIZES:
        raise SealError("the certificate for Domain Services has no key that can be used")
    cipher: Any = PKCS1_OAEP.new(key, randfunc=random.randbytes)
    encrypt: Callable[[bytes], bytes] = cipher.encrypt
    return encrypt


def _aes(key: bytes, iv: bytes, payload: bytes) -> bytes:
    from cryptography.hazmat.primitives.ciphers import Cipher
    from cryptography.hazmat.primitives.ciphers.algorithms import AES256
    from cryptography.hazmat.primitives.ciphers.modes import CBC

    fill = _BLOCK_SIZE - len(payload) % _BLOCK_SIZE
    encryptor = Cipher(AES256(key), CBC(iv)).encryptor()
    return encryptor.update(payload + bytes([fill]) * fill) + encryptor.finalize()


def write(envelope: Envelope) -> str:
    """An envelope as text."""
    head = _HEAD.pack(_VERSION, _RESERVED, _RSA_OAEP, _AES_CBC, *map(len, envelope))
    return b64encode(head + b"".join(envelope)).decode()


def read(text: str) -> Envelope:
    """The parts of an envelope. Raises SealError for any text that is none."""
    if len(text) > SIZE_MAX * 4 // 3:
        raise SealError("an envelope for Domain Services is not that large")
    try:
        octets = b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise SealError("an envelope for Domain Services is base64") from error
    if len(octets) < _HEAD.size:
        raise SealError("an envelope for Domain Services breaks off in its head")
    *kind, first, second, third, fourth = _HEAD.unpack_from(octets)
    if kind != [_VERSION, _RESERVED, _RSA_OAEP, _AES_CBC]:
        raise SealError("an envelope for Domain Services of an unknown version or algorithm")
    sizes = (first, second, third, fourth)
    if (first, third) != (_THUMBPRINT_SIZE, _IV_SIZE) or second not in _RSA_SIZES:
        raise SealError("an envelope for Domain Services with parts of another size")
    if fourth <= 0 or fourth % _BLOCK_SIZE or sum(sizes) != len(octets) - _HEAD.size:
        raise SealError("an envelope for Domain Services of another size than it says")
    at = _HEAD.size
    parts = []
    for size in sizes:
        parts.append(octets[at : at + size])
        at += size
    return Envelope(*parts)


def read_payload(payload: bytes, attribute: int) -> bytes:
    """The secret in an opened envelope, its fill taken off. Raises SealError if it is not of this attribute."""
    fill = payload[-1] if payload else 0
    if not 1 <= fill <= _BLOCK_SIZE or payload[-fill:] != bytes([fill]) * fill:
        raise SealError("an envelope for Domain Services does not open")
    body = payload[:-fill]
    if len(body) < _PAYLOAD_HEAD.size:
        raise SealError("an envelope for Domain Services is empty")
    found, size = _PAYLOAD_HEAD.unpack_from(body)
    secret = body[_PAYLOAD_HEAD.size :]
    if found != attribute or size != len(secret):
        raise SealError("an envelope for Domain Services with another secret than it says")
    return secret
