"""Secrets sealed for Domain Services: the layout, opened by a second implementation, and what is no such envelope."""

from __future__ import annotations

import hashlib
import struct
from base64 import b64decode, b64encode
from random import Random

import pytest
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.x509 import load_der_x509_certificate
from hypothesis import given
from hypothesis import strategies as st

from pwsync.credential import nt_hash
from pwsync.errors import SealError
from pwsync.windows_credentials import (
    LEGACY_SIZE,
    SUPPLEMENTAL_CREDENTIALS,
    UNICODE_PWD,
    Envelope,
    Sealer,
    read,
    read_payload,
    thumbprint,
    write,
)
from simulator.certificates import Authority
from simulator.domain_services import secret_key
from simulator.domain_services.envelope import check, open_legacy, open_supplemental

NT = nt_hash("Pa$$w0rd")
SEALED = Sealer(secret_key.certificate(), Random(1)).legacy(NT)
OCTETS = b64decode(SEALED)


def plainly(text: str) -> tuple[int, bytes]:
    """Attribute and secret of an envelope, by fixed offsets and another library's ciphers."""
    octets = b64decode(text)
    assert struct.unpack_from("<7i", octets) == (1, 0, 1, 1, 20, 256, 16)
    assert octets[32:52] == hashlib.sha1(secret_key.certificate()).digest()
    oaep = padding.OAEP(padding.MGF1(SHA1()), SHA1(), None)
    key = secret_key._private_key().decrypt(bytes(reversed(octets[52:308])), oaep)
    decryptor = Cipher(AES(key), CBC(octets[308:324])).decryptor()
    unpadder = PKCS7(128).unpadder()
    plain = unpadder.update(decryptor.update(octets[324:])) + unpadder.finalize()
    attribute, size = struct.unpack_from("<II", plain)
    assert size == len(plain) - 8
    return attribute, plain[8:]


class TestLayout:
    def test_356_octets(self) -> None:
        """An NT hash, sealed, has exactly 356 octets, in the order that clients of the service know."""
        assert len(OCTETS) == LEGACY_SIZE == 356
        assert struct.unpack_from("<8i", OCTETS) == (1, 0, 1, 1, 20, 256, 16, 32)
        assert plainly(SEALED) == (0x0009005A, NT)

    @given(st.binary(min_size=16, max_size=16), st.integers())
    def test_any_hash(self, secret: bytes, seed: int) -> None:
        """Whatever the hash, the domain gets it back, and its envelope has the same size."""
        sealed = Sealer(secret_key.certificate(), Random(seed)).legacy(secret)
        assert (len(b64decode(sealed)), open_legacy(sealed)) == (356, secret)

    @given(st.binary(max_size=2000))
    def test_any_keys(self, secret: bytes) -> None:
        """Kerberos keys travel in the same envelope, named by their own attribute."""
        assert plainly(Sealer(secret_key.certificate(), Random(1)).supplemental(secret)) == (0x0009007D, secret)

    def test_repeats(self) -> None:
        """The same draws make the same octets; the next secret is sealed by another key."""
        again = Sealer(secret_key.certificate(), Random(1))
        assert again.legacy(NT) == SEALED
        assert again.legacy(NT) != SEALED

    def test_hash_is_not_in_it(self) -> None:
        """Neither the hash nor its text stands in the envelope."""
        assert NT not in OCTETS
        assert b64encode(NT).rstrip(b"=") not in SEALED.encode()

    def test_certificate(self) -> None:
        """The fixed certificate is signed by itself, says whose test it is for, and is valid for a century."""
        found = load_der_x509_certificate(secret_key.certificate())
        assert found.issuer == found.subject
        assert "test" in found.subject.rfc4514_string()
        assert (found.not_valid_before_utc.year, found.not_valid_after_utc.year) == (2000, 2100)
        assert found.public_key() == secret_key._private_key().public_key()


class TestHostile:
    @pytest.mark.parametrize("certificate", [b"", b"\x30", b"-----BEGIN CERTIFICATE-----\n", b"\xff" * 2000])
    def test_no_certificate(self, certificate: bytes) -> None:
        """What is no certificate is refused before anything is sealed."""
        with pytest.raises(SealError):
            Sealer(certificate, Random(1))

    def test_certificate_without_rsa(self) -> None:
        """A certificate with another sort of key can't be used."""
        with pytest.raises(SealError):
            Sealer(Authority().pem.encode(), Random(1))

    @pytest.mark.parametrize("secret", [b"", b"x" * 15, b"x" * 17, b"x" * 32])
    def test_no_hash(self, secret: bytes) -> None:
        """An NT hash of another size is not sealed."""
        with pytest.raises(SealError, match="16 bytes"):
            Sealer(secret_key.certificate(), Random(1)).legacy(secret)

    def test_every_cut(self) -> None:
        """An envelope that breaks off anywhere, or goes on, is none."""
        for octets in [*(OCTETS[:size] for size in range(len(OCTETS))), OCTETS + b"\0"]:
            with pytest.raises(SealError):
                read(b64encode(octets).decode())

    @pytest.mark.parametrize("at", range(32))
    def test_bent_head(self, at: int) -> None:
        """Another version, algorithm or size in the head is refused."""
        with pytest.raises(SealError):
            read(b64encode(OCTETS[:at] + bytes([OCTETS[at] ^ 1]) + OCTETS[at + 1 :]).decode())

    @pytest.mark.parametrize("size", [-1, 0, 1, 31, 2**31 - 1])
    def test_bad_sizes(self, size: int) -> None:
        """No size of the data leads anywhere but to a refusal, least of all one that is negative or huge."""
        with pytest.raises(SealError):
            read(b64encode(OCTETS[:28] + struct.pack("<i", size) + OCTETS[32:]).decode())

    @pytest.mark.parametrize("text", ["", "=", "not base64!", "AAAA", "é", SEALED + "\n", "A" * 200_000])
    def test_no_envelope(self, text: str) -> None:
        """Any other text is refused, however long."""
        with pytest.raises(SealError):
            read(text)

    @pytest.mark.parametrize("at", [60, 308, 330, 350])
    def test_garbled(self, at: int) -> None:
        """A wrong octet in the key, the data, or the half of the IV that lies over their head, does not open."""
        with pytest.raises(SealError):
            open_legacy(b64encode(OCTETS[:at] + bytes([OCTETS[at] ^ 0x80]) + OCTETS[at + 1 :]).decode())

    def test_key_not_reversed(self) -> None:
        """A key in the order in which RSA gives it is not what the domain expects."""
        envelope = read(SEALED)
        with pytest.raises(SealError):
            open_legacy(write(envelope._replace(key=envelope.key[::-1])))

    def test_one_for_the_other(self) -> None:
        """A hash does not pass for keys, nor keys for a hash, nor an envelope for another certificate."""
        sealer = Sealer(secret_key.certificate(), Random(1))
        with pytest.raises(SealError):
            open_supplemental(SEALED)
        with pytest.raises(SealError):
            open_legacy(sealer.supplemental(NT))
        with pytest.raises(SealError, match="another certificate"):
            check(write(read(SEALED)._replace(thumbprint=bytes(20))))

    @given(st.binary(max_size=200))
    def test_any_keys_inside(self, stored: bytes) -> None:
        """What is no KERB_STORED_CREDENTIAL_NEW does not open as one."""
        with pytest.raises(SealError):
            open_supplemental(Sealer(secret_key.certificate(), Random(1)).supplemental(stored))


class TestParts:
    @given(st.binary(min_size=20, max_size=20), st.sampled_from([128, 256, 512]), st.integers(1, 9), st.randoms())
    def test_round_trip(self, name: bytes, size: int, blocks: int, random: Random) -> None:
        """What is written is read again, for keys of any usual size."""
        envelope = Envelope(name, random.randbytes(size), random.randbytes(16), random.randbytes(16 * blocks))
        assert envelope == read(write(envelope))

    @given(st.binary(max_size=100))
    def test_payload(self, octets: bytes) -> None:
        """Octets are a secret with its head and its fill, or they are refused."""
        try:
            found = read_payload(octets, UNICODE_PWD)
        except SealError:
            return
        assert octets.startswith(struct.pack("<II", UNICODE_PWD, len(found)) + found)

    @pytest.mark.parametrize("fill", [b"", b"\0", b"\x11" * 17, b"\2\3", b"\1"])
    def test_bad_fill(self, fill: bytes) -> None:
        """A fill of another kind, or nothing but a fill, is no secret."""
        head = b"" if fill == b"\1" else struct.pack("<II", SUPPLEMENTAL_CREDENTIALS, 0)
        with pytest.raises(SealError):
            read_payload(head + fill, SUPPLEMENTAL_CREDENTIALS)

    def test_thumbprint(self) -> None:
        """A thumbprint is the SHA-1 of the certificate."""
        assert thumbprint(b"abc").hex() == "a9993e364706816aba3e25717850c26c9cd0d89d"
