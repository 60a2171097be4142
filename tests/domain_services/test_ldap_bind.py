"""Binds to the managed domain, and what it answers after them, without a port."""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from random import Random
from threading import RLock

import pytest
import spnego
from domain_services.logon_lab import APRIL, DOMAIN, NETBIOS, PASSWORD, lookup
from hypothesis import given
from hypothesis import strategies as st
from port.lab import bind, decoded, equals, extended, request, root, search
from spnego import NegotiateOptions

from simulator.active_directory.conversation import Faults
from simulator.active_directory.encoding import OCTETS, integer, text, tlv
from simulator.domain_services import der, ldap_bind, ntlm_client
from simulator.domain_services import spnego as spnego_server
from simulator.domain_services.ldap_conversation import WHO_AM_I, ManagedConversation
from simulator.domain_services.ntlm import Server

NOW = datetime(2017, 1, 13, 9, tzinfo=UTC)
BASE = "DC=adatum,DC=com"
KERBEROS = bytes.fromhex("06092a864886f712010202")
DN = f"CN=April,OU=AADDC Users,{BASE}"


class Client:
    """One connection, whose answers come decoded."""

    def __init__(self) -> None:
        directory = ldap_bind.Directory(Server(NETBIOS, DOMAIN, "dc1"), lookup, lambda: NOW, Random(1))
        self.faults = Faults()
        self.conversation = ManagedConversation(directory, RLock(), self.faults, protected=True)

    def ask(self, octets):
        """All answers to a request."""
        return [decoded(each) for part in self.conversation.answer(octets) for each in split(part)]

    def code(self, octets):
        """The result of a request."""
        return self.ask(octets)[-1].code

    def who(self):
        """Who the connection is bound as."""
        return bytes(self.ask(extended(9, WHO_AM_I))[0].body["responseValue"]).decode()

    def sasl(self, token, mechanism="GSS-SPNEGO"):
        """A SASL bind."""
        credentials = text(mechanism) + (b"" if token is None else tlv(OCTETS, token))
        return self.ask(request(1, 0x60, integer(3), text(""), tlv(0xA3, credentials)))[0]

    def sicily(self, tag, token):
        """A bind in Microsoft's older frames."""
        return self.ask(request(1, 0x60, integer(3), text(""), tlv(tag, token)))[0]


def split(octets):
    """The messages in some octets."""
    from simulator.active_directory.messages import frame_size

    while octets:
        size = frame_size(octets)
        yield octets[:size]
        octets = octets[size:]


@pytest.fixture
def client():
    """A connection; the domain had no fault on it."""
    made = Client()
    yield made
    assert made.faults.count == 0


class TestSimpleBind:
    @pytest.mark.parametrize(
        "name",
        [f"april@{DOMAIN}", f"APRIL@{DOMAIN.upper()}", f"{NETBIOS}\\april", f"{DOMAIN}\\april", DN, DN.lower(),
         DN.replace(",", ", ")],
    )  # fmt: skip
    def test_names(self, client, name):
        """A user principal name, a name with its domain, and a DN all work."""
        assert client.code(bind(1, name, PASSWORD)) == 0
        assert client.who() == f"u:{NETBIOS}\\April"

    @pytest.mark.parametrize(
        ("name", "password", "subcode"),
        [
            (f"april@{DOMAIN}", "wrong", "52e"),
            (f"nina@{DOMAIN}", PASSWORD, "52e"),
            (f"bob@{DOMAIN}", PASSWORD, "525"),
            (f"dora@{DOMAIN}", PASSWORD, "533"),
            (f"dora@{DOMAIN}", "wrong", "52e"),
            ("april", PASSWORD, "525"),
            ("ELSEWHERE\\april", PASSWORD, "525"),
            ("\\april", PASSWORD, "525"),
            (f"{NETBIOS}\\april@{DOMAIN}", PASSWORD, "525"),
            (f"CN=April,OU=Elsewhere,{BASE}", PASSWORD, "525"),
            (f"OU=April,OU=AADDC Users,{BASE}", PASSWORD, "525"),
            (f"CN=April,CN=April,OU=AADDC Users,{BASE}", PASSWORD, "525"),
            (f"CN={NETBIOS}\\5cApril,OU=AADDC Users,{BASE}", PASSWORD, "525"),
            ("=", PASSWORD, "525"),
            ("CN=April,", PASSWORD, "525"),
            ("\0", "\0", "525"),
        ],
    )
    def test_is_refused(self, client, name, password, subcode):
        """A refusal is 49 with the sub-code of its reason, and the connection is nobody's."""
        client.ask(bind(1, DN, PASSWORD))
        answer = client.ask(bind(2, name, password))[0]
        assert answer.code == 49
        assert f"data {subcode}," in answer.text
        assert client.who() == ""

    def test_without_password(self, client):
        """Without a password a bind is anonymous."""
        assert client.code(bind(1, DN, "")) == 0
        assert client.who() == ""

    def test_version(self, client):
        """Another version of the protocol is none."""
        assert client.code(bind(1, DN, PASSWORD, version=1)) == 2
        assert client.who() == ""

    def test_reason_is_kept(self, client):
        """What the wire does not tell is known within: that there is no password yet."""
        client.ask(bind(1, f"nina@{DOMAIN}", PASSWORD))
        assert client.conversation.last_refusal == "no-password"
        client.ask(bind(2, DN, PASSWORD))
        assert client.conversation.last_refusal is None

    @given(name=st.text(max_size=60), password=st.text(min_size=1, max_size=20))
    def test_any_name(self, name, password):
        """No name and no password harm it."""
        client = Client()
        assert client.code(request(1, 0x60, integer(3), tlv(OCTETS, name.encode("utf-8", "replace")),
                                   tlv(0x80, password.encode("utf-8", "replace")))) == 49  # fmt: skip
        assert client.faults.count == 0


class TestNtlm:
    def test_sasl(self, client):
        """pyspnego's client binds by SASL in two steps."""
        theirs = spnego.client(f"{NETBIOS}\\april", PASSWORD, protocol="ntlm")
        first = client.sasl(theirs.step())
        assert first.code == 14
        second = client.sasl(theirs.step(bytes(first.body["serverSaslCreds"])))
        assert second.code == 0
        assert client.who() == f"u:{NETBIOS}\\April"

    @pytest.mark.parametrize(
        ("user", "password", "subcode"),
        [("april", "wrong", "52e"), ("bob", PASSWORD, "52e"), ("nina", PASSWORD, "52e"), ("dora", PASSWORD, "533")],
    )
    def test_is_refused(self, client, user, password, subcode):
        """NTLM does not tell whose names exist."""
        theirs = spnego.client(f"{NETBIOS}\\{user}", password, protocol="ntlm")
        answer = client.sasl(theirs.step(bytes(client.sasl(theirs.step()).body["serverSaslCreds"])))
        assert answer.code == 49
        assert f"data {subcode}," in answer.text

    def test_replay(self, client):
        """An answer holds once: neither again nor on another connection."""
        said = ntlm_client.negotiate()
        challenged = bytes(client.sasl(said).body["serverSaslCreds"])
        answer, _ = ntlm_client.authenticate(said, challenged, NETBIOS, "april", PASSWORD, Random(1))
        assert client.sasl(answer).code == 0
        assert client.sasl(answer).code == 49
        assert client.who() == ""
        client.sasl(said)
        assert client.sasl(answer).code == 49

    def test_another_bind_between(self, client):
        """A simple bind ends an exchange that was begun."""
        said = ntlm_client.negotiate()
        challenged = bytes(client.sasl(said).body["serverSaslCreds"])
        answer, _ = ntlm_client.authenticate(said, challenged, NETBIOS, "april", PASSWORD, Random(1))
        client.ask(bind(1, DN, PASSWORD))
        assert client.sasl(answer).code == 49

    def test_older_frames(self, client):
        """Package discovery names NTLM; its answers stand in place of a DN."""
        assert bytes(client.sicily(0x89, b"").body["matchedDN"]) == b"NTLM"
        said = ntlm_client.negotiate()
        challenged = bytes(client.sicily(0x8A, said).body["matchedDN"])
        answer, _ = ntlm_client.authenticate(said, challenged, NETBIOS, "april", PASSWORD, Random(1))
        assert client.sicily(0x8B, answer).code == 0
        assert client.who() == f"u:{NETBIOS}\\April"
        assert client.sicily(0x8B, answer).code == 49

    @pytest.mark.parametrize("token", [None, b"", b"NTLMSSP\0", b"\x60\x03\x06\x01\x00", b"x" * 100_000])
    def test_garbled(self, client, token):
        """What is no NTLM message is refused, at every step."""
        for answer in (client.sasl(token), client.sicily(0x8A, token or b""), client.sicily(0x8B, token or b"")):
            assert answer.code == 49
        client.sasl(ntlm_client.negotiate())
        assert client.sasl(token).code == 49

    @pytest.mark.parametrize("mechanism", ["GSSAPI", "PLAIN", "", "gss-spnego"])
    def test_other_mechanisms(self, client, mechanism):
        """Another mechanism is refused, and the one that there is is named."""
        answer = client.sasl(b"token", mechanism)
        assert answer.code == 7
        assert "GSS-SPNEGO" in answer.text


class TestSpnego:
    """NTLM with SPNEGO around it, with pyspnego's client."""

    @staticmethod
    def client_of(password=PASSWORD):
        return spnego.client(
            f"{NETBIOS}\\april", password, protocol="negotiate", options=NegotiateOptions.use_negotiate
        )

    def test_signs_on(self, client):
        """The client signs on, and is satisfied with the domain's last word."""
        theirs = self.client_of()
        first = client.sasl(theirs.step())
        assert first.code == 14
        second = client.sasl(theirs.step(bytes(first.body["serverSaslCreds"])))
        assert second.code == 0
        theirs.step(bytes(second.body["serverSaslCreds"]))
        assert theirs.complete
        assert theirs.negotiated_protocol == "ntlm"
        assert client.who() == f"u:{NETBIOS}\\April"

    def test_wrong_password(self, client):
        """A wrong password is one here, too."""
        theirs = self.client_of("wrong")
        answer = client.sasl(theirs.step(bytes(client.sasl(theirs.step()).body["serverSaslCreds"])))
        assert (answer.code, "data 52e," in answer.text) == (49, True)

    def test_signature_that_was_not_agreed_on(self, client):
        """Signing is not granted; what is a signature all the same is refused."""
        theirs = self.client_of()
        message = theirs.step(bytes(client.sasl(theirs.step()).body["serverSaslCreds"]))
        answer = client.sasl(later(spnego_server.read(message).inner, struct.pack("<IQI", 1, 7, 0)))
        assert (answer.code, "data 57," in answer.text) == (49, True)
        assert client.who() == ""

    def test_ntlm_not_offered(self, client):
        """A client without NTLM is refused."""
        assert client.sasl(initial(der.sequence_of((KERBEROS,)), b"a ticket")).code == 49

    def test_kerberos_first(self, client):
        """A client that would rather have Kerberos is told that NTLM it is, and signs on by that."""
        offered = der.sequence_of((KERBEROS, spnego_server.NTLM_OID))
        answer = client.sasl(initial(offered, b"a ticket"))
        assert answer.code == 14
        assert der.fields(der.content(bytes(answer.body["serverSaslCreds"]), 0xA1))[1] == spnego_server.NTLM_OID
        said = ntlm_client.negotiate()
        answer = client.sasl(later(said))
        challenged = der.read_octets(der.fields(der.content(bytes(answer.body["serverSaslCreds"]), 0xA1))[2])
        message, _ = ntlm_client.authenticate(said, challenged, NETBIOS, "april", PASSWORD, Random(1))
        assert client.sasl(later(message, spnego_server.EMPTY_SIGNATURE)).code == 0
        assert client.who() == f"u:{NETBIOS}\\April"

    @given(octets=st.binary(max_size=60), at=st.integers(0, 500), octet=st.integers(0, 255))
    def test_garbled(self, octets, at, octet):
        """Whatever comes, at whichever step, is refused, or is an exchange's beginning."""
        client, theirs = Client(), self.client_of()
        first = bytearray(theirs.step())
        first[at % len(first)] = octet
        for token in (b"\x60" + octets, b"\xa1" + octets, initial(octets, octets), later(octets), bytes(first)):
            assert client.sasl(token).code in (14, 49)
        assert client.faults.count == 0
        assert client.who() == ""


def initial(offered, inner):
    """A client's first token."""
    whole = der.sequence((0, offered), (2, der.octets(inner)))
    return tlv(0x60, bytes.fromhex("06062b0601050502") + tlv(0xA0, whole))


def later(inner, mic=b""):
    """A client's further token."""
    return tlv(0xA1, der.sequence((2, der.octets(inner)), (3, der.octets(mic) if mic else None)))


class TestReads:
    def test_root(self, client):
        """Anybody reads the root: where the domain is, and what is supported."""
        entry, done = client.ask(root(1, "*"))
        assert done.code == 0
        shown = {
            str(each["type"]): [bytes(value).decode() for value in each["vals"]] for each in entry.body["attributes"]
        }
        assert shown["defaultNamingContext"] == [BASE]
        assert shown["supportedSASLMechanisms"] == ["GSS-SPNEGO"]
        assert shown["currentTime"] == ["20170113090000.0Z"]

    def test_own_entry(self, client):
        """Who is bound reads the own entry, as far as asked for."""
        client.ask(bind(1, DN, PASSWORD))
        wanted = tlv(0xA0, equals("sAMAccountName", b"APRIL") + tlv(0xA2, equals("cn", b"bob")))
        entry, done = client.ask(search(2, wanted, DN, attributes=("userPrincipalName", "unicodePwd")))
        assert done.code == 0
        assert str(entry.body["object"]) == DN
        assert [(str(each["type"]), bytes(each["vals"][0]).decode()) for each in entry.body["attributes"]] == [
            ("userPrincipalName", APRIL.upn)
        ]

    def test_own_entry_by_another_filter(self, client):
        """A filter that does not hold finds nothing."""
        client.ask(bind(1, DN, PASSWORD))
        for wanted in (equals("cn", b"bob"), tlv(0xA1, b""), tlv(0xA5, tlv(OCTETS, b"cn") + tlv(OCTETS, b"A"))):
            (done,) = client.ask(search(2, wanted, DN))
            assert done.code == 0

    @pytest.mark.parametrize(("base", "scope"), [(BASE, 2), (f"CN=Rita,OU=AADDC Users,{BASE}", 0), (DN, 1), ("", 2)])
    def test_rest_is_not_simulated(self, client, base, scope):
        """Who asks for more hears what there is; before a bind, that one is needed."""
        (answer,) = client.ask(search(1, base=base, scope=scope))
        assert answer.code == 1
        client.ask(bind(2, DN, PASSWORD))
        (answer,) = client.ask(search(3, base=base, scope=scope))
        assert answer.code == 53
        assert "own entry" in answer.text

    def test_writes(self, client):
        """Nothing is written."""
        client.ask(bind(1, DN, PASSWORD))
        for asked in (request(2, 0x68, text(DN), tlv(0x30, b"")), extended(3, "1.2.3.4")):
            answer = client.ask(asked)[0]
            assert answer.code == 53
            assert "simulated managed domain" in answer.text

    def test_malformed_name(self, client):
        """A base that is no DN is called so."""
        client.ask(bind(1, DN, PASSWORD))
        assert client.code(search(2, base="no name")) == 34

    def test_critical_controls(self, client):
        """A critical control is refused: there is none that is known."""
        asked = (("1.2.840.113556.1.4.319", True, b""),)
        assert client.code(search(1, base="", scope=0, controls=asked)) == 12
        assert client.code(request(2, 0x60, integer(3), text(""), tlv(0x80, b""), controls=asked)) == 12
