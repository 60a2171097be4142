"""The envelope around replicated secrets, against vectors and a second implementation."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any
from zlib import crc32

import pytest
from Crypto.Cipher import ARC4, DES
from hypothesis import given
from hypothesis import strategies as st

from pwsync.errors import EnvelopeError, FipsError
from pwsync.replication.envelope import decrypt, encrypt

KEYS = st.sampled_from([16, 32]).flatmap(lambda size: st.binary(min_size=size, max_size=size))
SALTS = st.binary(min_size=16, max_size=16)
HASHES = st.integers(1, 6).flatmap(lambda count: st.binary(min_size=16 * count, max_size=16 * count))
RIDS = st.integers(1, 2**32 - 1)


def plainly(data: bytes, key: bytes, salt: bytes, rid: int) -> bytes:
    """The envelope by pycryptodome and bit strings, straight from the specification's words."""

    def des_key(seven: bytes) -> bytes:
        bits = "".join(f"{byte:08b}" for byte in seven)
        return bytes(int(bits[at : at + 7], 2) << 1 for at in range(0, 56, 7))

    i = rid.to_bytes(4, "little")
    keys = [bytes(i[index] for index in order) for order in ((0, 1, 2, 3, 0, 1, 2), (3, 0, 1, 2, 3, 0, 1))]
    ciphers = [DES.new(des_key(seven), DES.MODE_ECB) for seven in keys]
    layer = b"".join(ciphers[at // 8 % 2].encrypt(data[at : at + 8]) for at in range(0, len(data), 8))
    return salt + ARC4.new(hashlib.md5(key + salt).digest()).encrypt(crc32(layer).to_bytes(4, "little") + layer)


class TestEnvelope:
    def test_vectors(self, vectors: Callable[[str], dict[str, Any]]) -> None:
        """Published envelopes open, and are made again byte for byte."""
        for row in vectors("envelope")["vectors"]:
            key, blob, plain = (bytes.fromhex(row[name]) for name in ("session_key", "blob", "plain"))
            assert plain == decrypt(blob, [key], row["rid"])
            assert blob == encrypt(plain, key, blob[:16], row["rid"])

    @given(HASHES, KEYS, SALTS, RIDS)
    def test_against_another_implementation(self, data: bytes, key: bytes, salt: bytes, rid: int) -> None:
        """Histories of several hashes carry the RID layer per 16 bytes."""
        assert plainly(data, key, salt, rid) == encrypt(data, key, salt, rid)

    @given(st.binary(max_size=200), KEYS, SALTS)
    def test_without_rid_layer(self, data: bytes, key: bytes, salt: bytes) -> None:
        """Secrets of any length go through without a RID layer."""
        assert data == decrypt(encrypt(data, key, salt, None), [key], None)

    @given(HASHES, KEYS, SALTS, RIDS)
    def test_round_trip(self, data: bytes, key: bytes, salt: bytes, rid: int) -> None:
        """What is wrapped is opened again."""
        assert data == decrypt(encrypt(data, key, salt, rid), [key], rid)

    def test_older_session_key(self) -> None:
        """The key whose checksum matches is taken, though a newer one was seen since."""
        blob = encrypt(bytes(16), b"o" * 16, bytes(16), 1104)
        assert bytes(16) == decrypt(blob, [b"n" * 16, b"o" * 16], 1104)

    @pytest.mark.parametrize("keys", [[], [b"n" * 16], [b"n" * 16, b""]])
    def test_no_key_fits(self, keys: list[bytes]) -> None:
        """Without a key that fits nothing is opened."""
        with pytest.raises(EnvelopeError, match="decrypt failure"):
            decrypt(encrypt(bytes(16), b"o" * 16, bytes(16), 1104), keys, 1104)

    @given(st.integers(0, 19), st.integers(0, 7))
    def test_flipped_bit(self, place: int, bit: int) -> None:
        """Every bit behind the salt is under the checksum."""
        blob = bytearray(encrypt(bytes(16), b"k" * 16, bytes(16), 1104))
        blob[16 + place] ^= 1 << bit
        with pytest.raises(EnvelopeError, match="checksum"):
            decrypt(bytes(blob), [b"k" * 16], 1104)

    def test_empty_value(self) -> None:
        """An empty value is no secret, and no error."""
        assert decrypt(b"", [b"k" * 16], 1104) is None

    @pytest.mark.parametrize(
        ("blob", "rid"),
        [
            (bytes(1), 1104),
            (bytes(19), None),
            (bytes(36), 0),
            (bytes(36), -1),
            (bytes(36), 2**32),
            (bytes(37), 1104),
        ],
    )
    def test_invalid_parameter(self, blob: bytes, rid: int | None) -> None:
        """Too short, not a multiple of 16, or no RID: said so before any key is tried."""
        with pytest.raises(EnvelopeError, match="invalid parameter"):
            decrypt(blob, [b"k" * 16], rid)

    def test_salt_of_wrong_length(self) -> None:
        """A salt has 16 bytes."""
        with pytest.raises(EnvelopeError, match="16 bytes"):
            encrypt(bytes(16), b"k" * 16, bytes(15), 1104)

    def test_md5_refused(self) -> None:
        """That a server forbids MD5 comes out as it is, and is not taken for a wrong key."""

        def refused(data: bytes) -> Any:
            raise FipsError("MD5..ctor()")

        with pytest.raises(FipsError, match="FIPS"):
            decrypt(encrypt(bytes(16), b"k" * 16, bytes(16), 1104), [b"k" * 16], 1104, md5=refused)

    @given(st.binary(max_size=80), st.one_of(st.none(), st.integers(-3, 2**33)))
    def test_garbage(self, blob: bytes, rid: int | None) -> None:
        """Garbage raises EnvelopeError and nothing else."""
        if blob:
            with pytest.raises(EnvelopeError):
                decrypt(blob, [b"k" * 16], rid)
