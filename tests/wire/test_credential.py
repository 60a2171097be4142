"""The credential: vectors, its text, and hashing in bulk."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pwsync.credential import Credential, nt_hash, parse, protect, protect_many, verify
from pwsync.errors import CredentialFormatError

Vectors = Callable[[str], dict[str, Any]]
NT_HASHES = st.binary(min_size=16, max_size=16)
SALTS = st.binary(min_size=10, max_size=10)
KEY = "0" * 64


class TestNtHash:
    def test_vectors(self, vectors: Vectors) -> None:
        """MD4 of the password in UTF-16LE gives the published hashes."""
        for row in vectors("credential")["nt_hashes"]:
            assert row["nt"] == nt_hash(row["password"]).hex()

    @given(st.text(st.characters(), max_size=300))
    def test_any_text(self, password: str) -> None:
        """Every text has a hash of 16 bytes, with lone surrogates and at any length."""
        assert len(nt_hash(password)) == 16

    def test_lone_surrogate(self) -> None:
        """A lone surrogate is hashed as the code unit that it is."""
        assert nt_hash("\ud800") != nt_hash("\udfff")


class TestProtect:
    def test_vectors(self, vectors: Vectors) -> None:
        """Salt and iterations of a published credential give its key again."""
        for row in vectors("credential")["credentials"]:
            known = parse(row["text"])
            made = protect(nt_hash(row["password"]), known.salt, known.iterations)
            assert row["text"].rstrip(";") + ";" == made

    def test_upper_case_matters(self, vectors: Vectors) -> None:
        """The key that lower-case hex gives is not accepted."""
        row = vectors("credential")["lower_case_hex_gives"]
        assert not verify(nt_hash(row["password"]), row["text"])

    def test_length(self) -> None:
        """At 1000 iterations the text has 103 characters."""
        assert len(protect(nt_hash("x"), bytes(10))) == 103

    @given(NT_HASHES, SALTS, st.integers(1, 9))
    def test_against_hashlib(self, nt: bytes, salt: bytes, iterations: int) -> None:
        """The key is hashlib's PBKDF2 over upper-case hex in UTF-16LE."""
        secret = nt.hex().upper().encode("utf-16-le")
        expected = hashlib.pbkdf2_hmac("sha256", secret, salt, iterations)
        assert expected == parse(protect(nt, salt, iterations)).key

    @pytest.mark.parametrize("nt", [b"", bytes(15), bytes(17), "31d6cfe0d16ae931b73c59d7e0c089c0", "0" * 16])
    def test_hash_of_wrong_shape(self, nt: Any) -> None:
        """Hex text, or bytes of another length, are refused rather than hashed."""
        with pytest.raises(ValueError, match="16 bytes"):
            protect(nt, bytes(10))

    @pytest.mark.parametrize(
        ("salt", "iterations"), [(bytes(9), 1), (bytes(11), 1), (bytes(10), 0), (bytes(10), 10**8)]
    )
    def test_salt_or_iterations_out_of_bounds(self, salt: bytes, iterations: int) -> None:
        """A salt has 10 bytes, iterations are 1 to 10 million."""
        with pytest.raises(ValueError, match=r"salt|iterations"):
            protect(bytes(16), salt, iterations)


class TestProtectMany:
    @pytest.mark.parametrize("count", [0, 1, 24, 25, 26, 101])
    def test_order(self, count: int) -> None:
        """Texts come in the order of the hashes, whatever the chunks."""
        hashes = [(nt_hash(str(index)), index.to_bytes(10, "big")) for index in range(count)]
        with ThreadPoolExecutor(3) as pool:
            made = list(protect_many(hashes, pool, iterations=2))
        assert [protect(nt, salt, 2) for nt, salt in hashes] == made

    def test_one_of_wrong_shape(self) -> None:
        """A wrong pair is refused before anything is hashed."""
        with ThreadPoolExecutor(1) as pool, pytest.raises(ValueError, match="salt"):
            protect_many([(bytes(16), bytes(10)), (bytes(16), b"")], pool)

    def test_closing_early(self) -> None:
        """A caller may stop in the middle; what has not begun is cancelled."""
        with ThreadPoolExecutor(1) as pool:
            texts = protect_many([(bytes(16), bytes(10))] * 60, pool, iterations=1)
            first = next(texts)
            texts.close()  # type: ignore[attr-defined]
        assert protect(bytes(16), bytes(10), 1) == first


class TestParse:
    def test_without_last_semicolon(self) -> None:
        """The last semicolon may be missing."""
        assert parse(f"v1;PPH1_MD4,{'0' * 20},7,{KEY}") == parse(f"v1;PPH1_MD4,{'0' * 20},7,{KEY};")

    @given(SALTS, st.integers(1, 10**7), st.binary(min_size=32, max_size=32))
    def test_round_trip(self, salt: bytes, iterations: int, key: bytes) -> None:
        """What is written is read again."""
        credential = Credential(salt, iterations, key)
        assert credential == parse(str(credential))

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "v1;",
            f"v2;PPH1_MD4,{'0' * 20},1000,{KEY};",
            f"v1;PPH1_MD4,{'0' * 18},1000,{KEY};",
            f"v1;PPH1_MD4,{'0' * 20},0,{KEY};",
            f"v1;PPH1_MD4,{'0' * 20},-1,{KEY};",
            f"v1;PPH1_MD4,{'0' * 20},٣,{KEY};",
            f"v1;PPH1_MD4,{'0' * 20},10000001,{KEY};",
            f"v1;PPH1_MD4,{'0' * 20},{'9' * 5000},{KEY};",
            f"v1;PPH1_MD4,{'0' * 20},1000,{KEY};;",
            f"v1;PPH1_MD4,{'0' * 20},1000,{KEY};\n",
            f"v1;PPH1_MD4,{'0' * 20},1000,{KEY.replace('0', 'G')};",
            f" v1;PPH1_MD4,{'0' * 20},1000,{KEY};",
        ],
    )
    def test_no_credential(self, text: str) -> None:
        """Anything else is refused, an absurd number of iterations too."""
        with pytest.raises(CredentialFormatError):
            parse(text)

    @given(st.text(max_size=200))
    def test_garbage(self, text: str) -> None:
        """Any other text raises CredentialFormatError and nothing else."""
        with pytest.raises(CredentialFormatError):
            parse(text)


class TestVerify:
    @given(NT_HASHES, NT_HASHES)
    def test_own_hash_alone(self, nt: bytes, other: bytes) -> None:
        """A credential fits the hash it was made from, and no other."""
        text = protect(nt, bytes(10), 1)
        assert verify(nt, text)
        assert verify(other, text) == (nt == other)
