"""What replication calls supplementalCredentials: the Kerberos keys of a password, as they come out of the envelope.

    USER_PROPERTIES             a list of named values, each written in hexadecimal digits ([MS-SAMR] 2.2.10.1)
    KERB_STORED_CREDENTIAL_NEW  the value named "Primary:Kerberos-Newer-Keys": salt, iterations, keys (2.2.10.6)

Pure. What has another shape is EnvelopeError; what an account does not have is None.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final, NamedTuple

from pwsync.errors import EnvelopeError

NEWER_KEYS: Final = "Primary:Kerberos-Newer-Keys"

_PROPERTIES_HEAD: Final = struct.Struct("<IIHH96sH")
_PROPERTY_HEAD: Final = struct.Struct("<HHH")
_SIGNATURE: Final = 0x50
_REVISION: Final = 4
_KEYS_HEAD: Final = struct.Struct("<HHHHHHHHII")
_KEY: Final = struct.Struct("<HHIIIII")


class KerberosKeys(NamedTuple):
    """A password's Kerberos keys. keys: by encryption type ([RFC3961] 8). salt: what salted those that have one."""

    salt: str
    iterations: int
    keys: Mapping[int, bytes]


def newer_keys(properties: bytes) -> bytes | None:
    """The value of "Primary:Kerberos-Newer-Keys" in an attribute's value; None if the account has no such keys.

    Raises EnvelopeError for what is no USER_PROPERTIES.
    """
    if not properties:
        return None
    if len(properties) < _PROPERTIES_HEAD.size + 1:
        raise EnvelopeError("invalid parameter: supplemental credentials break off in their head")
    _, length, _, _, _, signature = _PROPERTIES_HEAD.unpack_from(properties)
    end = 12 + length
    if signature != _SIGNATURE or end >= len(properties):
        raise EnvelopeError("invalid parameter: supplemental credentials have no such head")
    at = _PROPERTIES_HEAD.size
    if at == end:
        return None  # without properties even their number is left out
    (count,) = struct.unpack_from("<H", properties, at)
    at += 2
    for _ in range(count):
        name, value, at = _property(properties[:end], at)
        if name == NEWER_KEYS:
            return value
    return None


def _property(octets: bytes, at: int) -> tuple[str, bytes, int]:
    """Name, value and end of the USER_PROPERTY at an offset ([MS-SAMR] 2.2.10.2)."""
    if at + _PROPERTY_HEAD.size > len(octets):
        raise EnvelopeError("invalid parameter: supplemental credentials break off in a property's head")
    name_size, value_size, _ = _PROPERTY_HEAD.unpack_from(octets, at)
    start = at + _PROPERTY_HEAD.size
    end = start + name_size + value_size
    if end > len(octets):
        raise EnvelopeError("invalid parameter: supplemental credentials break off in a property")
    try:
        name = octets[start : start + name_size].decode("utf-16-le")
        value = bytes.fromhex(octets[start + name_size : end].decode("ascii"))
    except ValueError as error:
        raise EnvelopeError("invalid parameter: a property of supplemental credentials can't be read") from error
    return name, value, end


def read_keys(stored: bytes) -> KerberosKeys:
    """The current password's keys in a KERB_STORED_CREDENTIAL_NEW; those of older passwords are passed over.

    Raises EnvelopeError for what is none, and for one without a key.
    """
    if len(stored) < _KEYS_HEAD.size:
        raise EnvelopeError("invalid parameter: stored Kerberos keys break off in their head")
    revision, _, count, _, _, _, salt_size, _, salt_at, iterations = _KEYS_HEAD.unpack_from(stored)
    if revision != _REVISION or _KEYS_HEAD.size + count * _KEY.size > len(stored) or not count:
        raise EnvelopeError("invalid parameter: no stored Kerberos keys")
    try:
        salt = _cut(stored, salt_at, salt_size).decode("utf-16-le")
    except UnicodeDecodeError as error:
        raise EnvelopeError("invalid parameter: the salt of stored Kerberos keys is no text") from error
    keys: dict[int, bytes] = {}
    for number in range(count):
        _, _, _, _, kind, size, key_at = _KEY.unpack_from(stored, _KEYS_HEAD.size + number * _KEY.size)
        keys.setdefault(kind, _cut(stored, key_at, size))
    return KerberosKeys(salt, iterations, keys)


def _cut(octets: bytes, at: int, size: int) -> bytes:
    if at + size > len(octets):
        raise EnvelopeError("invalid parameter: stored Kerberos keys point behind their end")
    return octets[at : at + size]
