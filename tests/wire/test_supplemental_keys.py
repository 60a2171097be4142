"""Kerberos keys in supplementalCredentials: against another directory's values, and against anything else."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pwsync.errors import EnvelopeError
from pwsync.replication.supplemental import KerberosKeys, newer_keys, read_keys
from simulator.active_directory.supplemental import Domain, keep, kerberos_keys, value

VECTORS = json.loads((Path(__file__).parents[1] / "active_directory/vectors/supplemental.json").read_text("utf-8"))
DOMAIN = Domain("contoso.example", "CONTOSO")
STORED = value(
    keep("Spring-2017!", "alice", "", DOMAIN.dns, before=keep("Winter-2016!", "alice", "", DOMAIN.dns)), DOMAIN
)
KEYS = newer_keys(STORED) or b""


def attempt(read, octets: bytes) -> object:
    """What a reader says, as far as it may say anything: a value, None or EnvelopeError."""
    try:
        return read(octets)
    except EnvelopeError as error:
        return str(error)


class TestKeys:
    @pytest.mark.parametrize("row", VECTORS["values"], ids=lambda row: row["name"])
    def test_of_another_directory(self, row) -> None:
        """The keys that Samba stores are read as they are: salt, iterations, and those of the newest password."""
        found = read_keys(newer_keys(bytes.fromhex(row["value"])) or b"")
        made = kerberos_keys(row["passwords"][0], found.salt)
        assert found.iterations == 4096
        assert {kind: key for kind, key in found.keys.items() if kind in (17, 18)} == {
            kind: made[kind] for kind in (17, 18)
        }

    def test_newest_password_alone(self) -> None:
        """Of three passwords' keys those of the current one count."""
        expected = KerberosKeys("CONTOSO.EXAMPLEalice", 4096, kerberos_keys("Spring-2017!", "CONTOSO.EXAMPLEalice"))
        assert expected == read_keys(KEYS)

    def test_none(self) -> None:
        """No value at all, and a value without properties, are no keys and no error."""
        assert newer_keys(b"") is None
        assert newer_keys(value(b"-", DOMAIN)) is None

    def test_other_properties(self) -> None:
        """A value with other properties has no such keys."""
        name, text = "Packages".encode("utf-16-le"), b"00"
        body = bytes(96) + struct.pack("<HH", 0x50, 1) + struct.pack("<HHH", len(name), len(text), 2) + name + text
        assert newer_keys(struct.pack("<IIHH", 0, len(body), 0, 0) + body + b"\0") is None


class TestHostile:
    def test_every_cut(self) -> None:
        """A value that breaks off anywhere is an error, and so are keys that do."""
        assert [size for size in range(1, len(STORED)) if not isinstance(attempt(newer_keys, STORED[:size]), str)] == []
        end = max(struct.unpack_from("<I", KEYS, 24 + 24 * n + 20)[0] + 8 for n in range(4))
        assert [size for size in range(end) if not isinstance(attempt(read_keys, KEYS[:size]), str)] == []

    @given(st.binary(max_size=300))
    def test_anything(self, octets: bytes) -> None:
        """Whatever octets there are, they are keys, none, or an error of the envelope."""
        assert isinstance(attempt(newer_keys, octets), (bytes, str, type(None)))
        assert isinstance(attempt(read_keys, octets), (KerberosKeys, str))

    @given(st.integers(0, len(STORED) - 1), st.integers(1, 255))
    def test_one_octet_wrong(self, at: int, change: int) -> None:
        """One wrong octet anywhere leads to no other exception."""
        bent = STORED[:at] + bytes([STORED[at] ^ change]) + STORED[at + 1 :]
        keys = attempt(newer_keys, bent)
        if isinstance(keys, bytes):
            assert isinstance(attempt(read_keys, keys), (KerberosKeys, str))

    @pytest.mark.parametrize(
        ("at", "octets"), [(0, b"\3\0"), (4, b"\0\0"), (4, b"\xff\xff"), (16, b"\xff\xff\xff\xff")]
    )
    def test_bad_head(self, at: int, octets: bytes) -> None:
        """Another revision, no keys, more keys than octets, and a salt beyond the end are refused."""
        with pytest.raises(EnvelopeError):
            read_keys(KEYS[:at] + octets + KEYS[at + len(octets) :])
