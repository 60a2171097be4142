"""NTLM of the managed domain, against pyspnego's client and server, and against bent messages."""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from random import Random

import pytest
import spnego
from domain_services.logon_lab import APRIL, DOMAIN, NETBIOS, PASSWORD, lookup
from hypothesis import given
from hypothesis import strategies as st

from pwsync.credential import nt_hash
from pwsync.replication import ntlm as calculation
from simulator.domain_services import ntlm, ntlm_client
from simulator.domain_services.ntlm import BadToken
from simulator.domain_services.refusal import LogonRefused

NOW = datetime(2017, 1, 13, 9, tzinfo=UTC)
SERVER = ntlm.Server(NETBIOS, DOMAIN, "dc1")
NONCE = b"\x01\x23\x45\x67\x89\xab\xcd\xef"


def by_pyspnego(user, password=PASSWORD, *, layers=True):
    """The exchange with pyspnego's client: who was accepted, and the client."""
    client = spnego.client(user, password, protocol="ntlm", hostname="dc1", service="ldap")
    said = client.step()
    challenged = ntlm.challenge(said, SERVER, NONCE, NOW, layers=layers)
    return ntlm.accept(said, challenged, client.step(challenged), SERVER, lookup), client


def exchange(account="april", password=PASSWORD, domain=NETBIOS, nonce=NONCE):
    """The three messages with our own client, and its key."""
    said = ntlm_client.negotiate()
    challenged = ntlm.challenge(said, SERVER, nonce, NOW, layers=True)
    answer, key = ntlm_client.authenticate(said, challenged, domain, account, password, Random(1))
    return said, challenged, answer, key


class TestPyspnego:
    @pytest.mark.parametrize("layers", [True, False])
    @pytest.mark.parametrize("user", [f"{NETBIOS}\\april", f"{NETBIOS.lower()}\\APRIL", f"{DOMAIN}\\April",
                                      f"april@{DOMAIN}"])  # fmt: skip
    def test_signs_on(self, user, layers):
        """Its client signs on under every form of the name, and both sides have the same key."""
        accepted, client = by_pyspnego(user, layers=layers)
        assert accepted.principal is APRIL
        assert accepted.session_key == client.session_key
        assert client.complete

    def test_letters_beyond_ascii(self):
        """Names and passwords may have any letters."""
        accepted, _ = by_pyspnego(f"{NETBIOS}\\Jürgen", "Pässwörd–ß")
        assert accepted.principal.name == "Jürgen"

    @pytest.mark.parametrize(
        ("user", "password", "reason"),
        [
            (f"{NETBIOS}\\april", "wrong", "wrong-password"),
            (f"{NETBIOS}\\april", PASSWORD.upper(), "wrong-password"),
            (f"{NETBIOS}\\nina", PASSWORD, "no-password"),
            (f"{NETBIOS}\\bob", PASSWORD, "unknown-user"),
            ("ELSEWHERE\\april", PASSWORD, "unknown-user"),
            (f"{NETBIOS}\\dora", PASSWORD, "disabled"),
            (f"{NETBIOS}\\dora", "wrong", "wrong-password"),
        ],
    )
    def test_is_refused(self, user, password, reason):
        """Who may not sign on is told why; that an account is disabled, only with its password."""
        with pytest.raises(LogonRefused) as refused:
            by_pyspnego(user, password)
        assert refused.value.reason == reason

    def test_version_one(self, monkeypatch):
        """Its responses of NTLMv1 are refused."""
        monkeypatch.setenv("LM_COMPAT_LEVEL", "1")
        with pytest.raises(BadToken, match="NTLMv1"):
            by_pyspnego(f"{NETBIOS}\\april")

    def test_takes_our_client(self, tmp_path, monkeypatch):
        """Its server takes our client, and both have the same key."""
        accounts = tmp_path / "accounts"
        accounts.write_text(f"{NETBIOS}:april:{PASSWORD}\n")
        monkeypatch.setenv("NTLM_USER_FILE", str(accounts))
        server = spnego.server(protocol="ntlm")
        said = ntlm_client.negotiate()
        answer, key = ntlm_client.authenticate(said, server.step(said), NETBIOS, "april", PASSWORD, Random(1))
        server.step(answer)
        assert server.complete
        assert server.session_key == key


class TestVector:
    def test_of_the_specification(self):
        """[MS-NLMP] 4.2.4: response key, proof and session key of NTLMv2."""
        info = ntlm.av_pairs({2: ntlm.text("Domain"), 1: ntlm.text("Server")})
        response_key = calculation.ntowf_v2(nt_hash("Password"), "User", "Domain")
        proof = calculation.nt_proof(response_key, NONCE, calculation.client_blob(0, b"\xaa" * 8, info))
        assert response_key.hex() == "0c868a403bfd7a93a3001ef22ef02e3f"
        assert proof.hex() == "68cd0ab851e51c96aabc927bebef6a1c"
        base = calculation.session_base_key(response_key, proof)
        assert base.hex() == "8de40ccadbc14a82f15cb0ad0de95ca3"
        assert ntlm.rc4(base, b"\x55" * 16).hex() == "c5dad2544fc9799094ce1ce90bc9d03e"


class TestChallenge:
    def test_grants_what_it_can(self):
        """Signing and sealing are granted only where the carrier can do it."""
        said = ntlm_client.negotiate()
        flags = [
            struct.unpack_from("<I", ntlm.challenge(said, SERVER, NONCE, NOW, layers=layers), 20)[0]
            for layers in (True, False)
        ]
        assert [bool(each & ntlm.SIGN) for each in flags] == [True, False]

    def test_names_the_server(self):
        """It says which domain and server it is from, and what time it is there."""
        challenged = ntlm.challenge(ntlm_client.negotiate(), SERVER, NONCE, NOW)
        pairs = ntlm.read_av_pairs(ntlm.payload(challenged, 40))
        assert {kind: value.decode("utf-16-le") for kind, value in pairs.items() if kind < 6} == {
            2: NETBIOS, 1: "DC1", 4: DOMAIN, 3: f"dc1.{DOMAIN}",
        }  # fmt: skip
        assert int.from_bytes(pairs[7], "little") == 131287716000000000

    def test_wants_unicode(self):
        """A client without Unicode is refused."""
        with pytest.raises(BadToken, match="Unicode"):
            ntlm.challenge(ntlm.head(1) + struct.pack("<I", ntlm.NTLM) + bytes(16), SERVER, NONCE, NOW)


class TestHostile:
    def test_replay(self):
        """A response to one challenge does not answer another."""
        said, _, answer, _ = exchange()
        other = ntlm.challenge(said, SERVER, b"another.", NOW, layers=True)
        with pytest.raises(LogonRefused) as refused:
            ntlm.accept(said, other, answer, SERVER, lookup)
        assert refused.value.reason == "wrong-password"

    def test_challenge_altered_on_its_way(self):
        """What the client did not hear as it was said is noticed by the integrity code."""
        said, challenged, answer, _ = exchange()
        weakened = bytearray(challenged)
        weakened[22] ^= 0x08  # extended session security
        with pytest.raises(BadToken, match="altered"):
            ntlm.accept(said, bytes(weakened), answer, SERVER, lookup)

    def test_integrity_code_taken_away(self):
        """A response that has a code can not go without."""
        said, challenged, answer, _ = exchange()
        with pytest.raises(BadToken, match="altered"):
            ntlm.accept(said, challenged, answer[:72] + bytes(16) + answer[88:], SERVER, lookup)

    def test_anonymous(self):
        """Nobody signs on as nobody."""
        said, challenged, answer, _ = exchange(account="", domain="")
        with pytest.raises(LogonRefused):
            ntlm.accept(said, challenged, answer, SERVER, lookup)

    @given(at=st.integers(0, 2000), bit=st.integers(0, 7))
    def test_any_bit(self, at, bit):
        """One bit of an answer changed: it is refused, or what changed proves nothing and is not looked at."""
        said, challenged, answer, _ = exchange()
        bent = bytearray(answer)
        bent[at % len(bent)] ^= 1 << bit
        with pytest.raises((BadToken, LogonRefused)):
            ntlm.accept(said, challenged, bytes(bent), SERVER, lookup)

    @given(octets=st.binary(max_size=300), kind=st.sampled_from([1, 2, 3]), cut=st.integers(0, 400))
    def test_garbled(self, octets, kind, cut):
        """Whatever comes is taken or refused, and nothing else happens."""
        said, challenged, answer, _ = exchange()
        for bent in (octets, ntlm.head(kind) + octets, answer[: cut % len(answer)], answer[:64] + octets):
            with pytest.raises((BadToken, LogonRefused)):
                ntlm.accept(said, challenged, bent, SERVER, lookup)
        for bent in (octets, said[: cut % 16], ntlm.head(3) + octets):
            with pytest.raises(BadToken):
                ntlm.challenge(bent, SERVER, NONCE, NOW)
        for bent in (octets, challenged[: cut % len(challenged)], challenged[:48] + octets):
            with pytest.raises(BadToken):
                ntlm_client.authenticate(said, bent, NETBIOS, "april", PASSWORD, Random(1))

    @pytest.mark.parametrize(("size", "offset"), [(5, 8), (1, 12), (0, 13), (0xFFFF, 0), (0, 0xFFFFFFFF)])
    def test_field_outside(self, size, offset):
        """A field that begins or ends outside of the message is none."""
        with pytest.raises(BadToken, match="outside"):
            ntlm.payload(struct.pack("<HHI", size, size, offset) + b"data", 0)
        assert ntlm.payload(struct.pack("<HHI", 4, 4, 8) + b"data", 0) == b"data"

    def test_huge(self):
        """Fields that claim more than there is are refused, however much they claim."""
        said, challenged, answer, _ = exchange()
        for field in range(12, 60, 8):
            for size, offset in ((0xFFFF, 0), (0xFFFF, 0xFFFFFFFF), (0, 0xFFFFFFFF)):
                bent = bytearray(answer)
                struct.pack_into("<HHI", bent, field, size, size, offset)
                with pytest.raises((BadToken, LogonRefused)):
                    ntlm.accept(said, challenged, bytes(bent), SERVER, lookup)
