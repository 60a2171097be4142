"""Secrets for Domain Services: the octets that a seed gives, and the words in which each text is refused."""

from __future__ import annotations

import struct
from base64 import b64encode
from hashlib import sha256
from random import Random

import pytest
from Crypto.PublicKey import RSA

from pwsync.errors import SealError
from pwsync.windows_credentials import (
    SIZE_MAX,
    SUPPLEMENTAL_CREDENTIALS,
    UNICODE_PWD,
    Envelope,
    Sealer,
    read,
    read_payload,
    write,
)
from simulator.certificates import Authority
from simulator.domain_services import secret_key

WHOLE = Envelope(b"t" * 20, b"k" * 128, b"i" * 16, b"d" * 16)


def text_of(*head: int, rest: bytes = b"") -> str:
    return b64encode(struct.pack("<8i", *head) + rest).decode()


def test_octets() -> None:
    """One seed gives these octets, and the second secret others."""
    sealer = Sealer(secret_key.certificate(), Random(1))
    texts = [sealer.legacy(bytes(16)), sealer.supplemental(b"keys")]
    assert [sha256(text.encode()).hexdigest()[:16] for text in texts] == ["fb29c6d016500be4", "f2bfed174edc80ab"]


def test_written() -> None:
    """An envelope is its head and its parts."""
    parts = b"t" * 20 + b"k" * 128 + b"i" * 16 + b"d" * 16
    assert write(WHOLE) == text_of(1, 0, 1, 1, 20, 128, 16, 16, rest=parts)
    assert read(write(WHOLE)) == WHOLE
    largest = WHOLE._replace(key=b"k" * 1024, data=b"d" * 16 * 3000)
    assert read(write(largest)) == largest


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("A" * (SIZE_MAX * 4 // 3 + 1), "is not that large"),
        ("A" * (SIZE_MAX * 4 // 3), "is base64"),
        ("A", "is base64"),
        ("é", "is base64"),
        (b64encode(bytes(31)).decode(), "breaks off in its head"),
        (text_of(2, 0, 1, 1, 20, 128, 16, 16), "of an unknown version or algorithm"),
        (text_of(1, 1, 1, 1, 20, 128, 16, 16), "of an unknown version or algorithm"),
        (text_of(1, 0, 2, 1, 20, 128, 16, 16), "of an unknown version or algorithm"),
        (text_of(1, 0, 1, 2, 20, 128, 16, 16), "of an unknown version or algorithm"),
        (text_of(1, 0, 1, 1, 21, 128, 16, 16), "with parts of another size"),
        (text_of(1, 0, 1, 1, 20, 127, 16, 16), "with parts of another size"),
        (text_of(1, 0, 1, 1, 20, 1025, 16, 16), "with parts of another size"),
        (text_of(1, 0, 1, 1, 20, 128, 17, 16), "with parts of another size"),
        (text_of(1, 0, 1, 1, 20, 128, 16, 0, rest=bytes(164)), "of another size than it says"),
        (text_of(1, 0, 1, 1, 20, 128, 16, -16, rest=bytes(148)), "of another size than it says"),
        (text_of(1, 0, 1, 1, 20, 128, 16, 15, rest=bytes(179)), "of another size than it says"),
        (text_of(1, 0, 1, 1, 20, 128, 16, 16, rest=bytes(181)), "of another size than it says"),
        (text_of(1, 0, 1, 1, 20, 128, 16, 16, rest=bytes(179)), "of another size than it says"),
    ],
)
def test_refused(text: str, words: str) -> None:
    """Each way to be no envelope has its words."""
    with pytest.raises(SealError) as caught:
        read(text)
    assert str(caught.value) == f"an envelope for Domain Services {words}"


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (b"", "does not open"),
        (b"x\0", "does not open"),
        (b"x" * 17 + b"\x11" * 17, "does not open"),
        (b"x\2", "does not open"),
        (bytes(7) + b"\1", "is empty"),
        (struct.pack("<II", 1, 0) + b"\1", "with another secret than it says"),
        (struct.pack("<II", UNICODE_PWD, 1) + b"\1", "with another secret than it says"),
        (struct.pack("<II", UNICODE_PWD, 0) + b"x\1", "with another secret than it says"),
    ],
)
def test_payloads(payload: bytes, words: str) -> None:
    """So has each way to be no secret."""
    with pytest.raises(SealError) as caught:
        read_payload(payload, UNICODE_PWD)
    assert str(caught.value) == f"an envelope for Domain Services {words}"


@pytest.mark.parametrize("fill", [1, 2, 16])
def test_opened(fill: int) -> None:
    """A secret is what stands between head and fill, be it empty."""
    for secret in (b"", b"x", b"\1" * 9):
        head = struct.pack("<II", SUPPLEMENTAL_CREDENTIALS, len(secret))
        assert read_payload(head + secret + bytes([fill]) * fill, SUPPLEMENTAL_CREDENTIALS) == secret


def test_certificates() -> None:
    """What is no certificate, a private key, a small key and another kind of key can't be used."""
    for octets in (b"", b"\x30", Authority().pem.encode()):
        with pytest.raises(SealError) as caught:
            Sealer(octets, Random(1))
        assert str(caught.value) == "the certificate for Domain Services can't be read"
    key = RSA.generate(1024)
    assert len(read(Sealer(key.public_key().export_key(), Random(1)).legacy(bytes(16))).key) == 128
    with pytest.raises(SealError) as caught:
        Sealer(key.export_key(), Random(1))
    assert str(caught.value) == "the certificate for Domain Services has no key that can be used"
    with pytest.raises(SealError) as caught:
        Sealer(key.public_key().export_key(), Random(1)).legacy(bytes(17))
    assert str(caught.value) == "an NT hash has 16 bytes, not 17"
