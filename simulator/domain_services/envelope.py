"""Opening what an agent has sealed for Domain Services: see :mod:`pwsync.windows_credentials` for the layout."""

from __future__ import annotations

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CBC

from pwsync.errors import EnvelopeError, SealError
from pwsync.replication.supplemental import KerberosKeys, read_keys
from pwsync.stretching import NT_HASH_SIZE
from pwsync.windows_credentials import SUPPLEMENTAL_CREDENTIALS, UNICODE_PWD, Envelope, read, read_payload, thumbprint
from simulator.domain_services.secret_key import certificate, open_key


def check(text: str) -> Envelope:
    """The parts of an envelope that was made for the certificate; it is not opened. Raises SealError."""
    envelope = read(text)
    if envelope.thumbprint != thumbprint(certificate()):
        raise SealError("an envelope for another certificate")
    return envelope


def open_legacy(text: str) -> bytes:
    """The NT hash in an envelope. Raises SealError."""
    nt_hash = _open(text, UNICODE_PWD)
    if len(nt_hash) != NT_HASH_SIZE:
        raise SealError(f"an NT hash of {len(nt_hash)} bytes")
    return nt_hash


def open_supplemental(text: str) -> KerberosKeys:
    """The Kerberos keys in an envelope. Raises SealError."""
    try:
        return read_keys(_open(text, SUPPLEMENTAL_CREDENTIALS))
    except EnvelopeError as error:
        raise SealError(str(error)) from error


def _open(text: str, attribute: int) -> bytes:
    envelope = check(text)
    try:
        key = open_key(envelope.key[::-1])
        decryptor = Cipher(AES256(key), CBC(envelope.iv)).decryptor()
    except ValueError as error:
        raise SealError("an envelope for Domain Services does not open") from error
    return read_payload(decryptor.update(envelope.data) + decryptor.finalize(), attribute)
