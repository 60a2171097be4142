"""The protocol on the wire, octet for octet: RFC 4511 as a domain controller keeps it."""

from __future__ import annotations

import re
import socket
import ssl
from contextlib import suppress

import pytest
from ldap3.core.results import RESULT_CODES
from port.lab import (
    ALICE,
    PASSWORD,
    PRESENT,
    ROOT,
    RawClient,
    bind,
    decoded,
    equals,
    extended,
    request,
    root,
    search,
    unbind,
)

from simulator.active_directory import encoding
from simulator.active_directory.conversation import START_TLS
from simulator.active_directory.encoding import (
    DISCONNECTION,
    ENUMERATED,
    OCTETS,
    SEQUENCE,
    SET,
    integer,
    message,
    text,
    tlv,
)
from simulator.active_directory.port import Limits

TLS_ALERT = 21


def heads(answers):
    """Number, kind and result of each."""
    return [(answer.number, answer.kind, answer.code) for answer in answers]


def is_notice(answer, code=2):
    """Whether this is the notice of disconnection."""
    name = str(answer.body["responseName"]) if answer.kind == "extendedResp" else ""
    return (answer.number, answer.code, name) == (0, code, DISCONNECTION)


class TestMessages:
    def test_numbers(self, lab):
        """Each answer carries the number of its request, whatever it is."""
        numbers = [7, 1, 2**31 - 1, 7, 0]
        with lab.client() as client:
            assert [client.ask(bind(number, "", "")).number for number in numbers] == numbers

    def test_pipelined(self, lab):
        """Requests that come in one go are answered one by one, in their order."""
        with lab.client() as client:
            client.send(*(root(number) for number in range(1, 51)), unbind(51))
            found = heads(client.all())
        assert found[::2] == [(number, "searchResEntry", None) for number in range(1, 51)]
        assert found[1::2] == [(number, "searchResDone", 0) for number in range(1, 51)]

    def test_octet_by_octet(self, lab):
        """It does not matter in which pieces a message comes."""
        with lab.client() as client:
            for octet in root(1) + root(2):
                client.send(bytes((octet,)))
            client.send(unbind(3))
            assert [answer.number for answer in client.all()] == [1, 1, 2, 2]

    def test_unbind_closes(self, lab):
        """An unbind is not answered; the connection ends, and what came after it is not read."""
        with lab.client() as client:
            client.send(root(1), unbind(2), root(3))
            assert [answer.number for answer in client.all()] == [1, 1]

    def test_abandon(self, lab):
        """An abandon is not answered."""
        with lab.client() as client:
            client.send(message(1, tlv(0x50, b"\x05")))
            assert client.ask(root(2)).number == 2

    @pytest.mark.parametrize(
        "octets",
        [
            b"GET / HTTP/1.1\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            b"\0",
            b"\x30\x80\0\0",
            b"\x30\x00",
            b"\x30\x89" + bytes(9),
            tlv(SEQUENCE, integer(1)),
            tlv(SEQUENCE, integer(1) + tlv(0x7E, b"")),
            message(1, tlv(0x61, integer(0, 10) + text("") + text(""))),
            message(1, tlv(0x63, b"")),
            message(1, tlv(0x63, text(ROOT))),
            message(-1, tlv(0x42, b"")),
            message(2**31, tlv(0x42, b"")),
            tlv(SEQUENCE, tlv(2, b"\x7f" * 9000) + tlv(0x42, b"")),
            tlv(SEQUENCE, integer(1) + tlv(0x42, b"") + b"\x04"),
            search(1, tlv(0xA0, equals("cn", b"x") + b"\x04\x7f")),
            search(1, tlv(0xA2, PRESENT * 2)),
            search(1, tlv(0xA2, b"")),
            search(1, tlv(0xAF, b"")),
            search(1, tlv(0xA0, tlv(0xA0, b"\x04\x84\xff\xff\xff\xff"))),
            tlv(SEQUENCE, integer(1) + tlv(0x1F, b"")),
        ],
        ids=range(21),
    )
    def test_not_decodable(self, lab, octets):
        """What is no request is answered by the notice of disconnection, and the connection ends."""
        with lab.client() as client:
            client.send(octets)
            answers = client.all()
        assert len(answers) == 1
        assert is_notice(answers[0])
        assert answers[0].text.startswith("00000057: LdapErr: ")

    def test_too_many_elements(self, lab):
        """A message of very many tiny elements is refused before it fills the memory."""
        values = tlv(SET, b"\x04\0" * 250_001)
        change = tlv(SEQUENCE, integer(0, ENUMERATED) + tlv(SEQUENCE, text("description") + values))
        with lab.client() as client:
            client.send(request(1, 0x66, text(ALICE), tlv(SEQUENCE, change)))
            assert is_notice(client.receive())
            assert client.receive() is None

    @pytest.mark.parametrize("size", [10_485_761, 2**31 - 1, 2**32 - 1])
    def test_too_long(self, lab, size):
        """A message beyond 10,485,760 octets closes the connection as soon as its length is seen, without a word."""
        with lab.client() as client:
            client.send(b"\x30\x84" + size.to_bytes(4, "big") + b"\x02\x01\x01")
            assert client.receive() is None

    def test_long(self, lab):
        """A message below that is taken."""
        with lab.client() as client:
            assert client.ask(bind(1, *lab.administrator)).code == 0
            assert client.ask(search(2, equals("cn", b"x" * 5_000_000))).code == 0

    @pytest.mark.parametrize("tag", [0xA0, 0xA1, 0xA2])
    @pytest.mark.parametrize("depth", [1000, 10_000])
    def test_deep_filter(self, lab, tag, depth):
        """A filter that is nested without end is refused; the connection goes on."""
        deep = PRESENT
        for _ in range(depth):
            deep = tlv(tag, deep)
        with lab.client() as client:
            client.ask(bind(1, *lab.administrator))
            answer = client.ask(search(2, deep))
            assert (answer.number, answer.kind) == (2, "searchResDone")
            assert answer.code not in (0, 2)
            assert client.ask(root(3)).number == 3


class TestBind:
    @pytest.mark.parametrize("version", [2, 3])
    def test_versions(self, lab, version):
        """LDAP version 2 and 3 bind."""
        with lab.client() as client:
            assert client.ask(bind(1, ALICE, PASSWORD, version)).code == 0

    @pytest.mark.parametrize("version", [1, 4, 127])
    def test_other_versions(self, lab, version):
        """Other versions are a protocolError, and leave the connection anonymous."""
        with lab.client() as client:
            client.ask(bind(1, ALICE, PASSWORD))
            assert client.ask(bind(2, ALICE, PASSWORD, version)).code == 2
            assert client.ask(search(3)).code == 1

    @pytest.mark.parametrize(
        "choice",
        [
            tlv(0xA3, text("GSS-SPNEGO") + tlv(OCTETS, b"\x60\x01")),
            tlv(0xA3, text("DIGEST-MD5")),
            tlv(0xA3, text("EXTERNAL") + tlv(OCTETS, b"")),
            tlv(0x89, b""),
            tlv(0x8A, b"NTLMSSP\0"),
            tlv(0x8B, b""),
        ],
    )
    def test_other_methods(self, lab, choice):
        """Whatever is no simple bind is a method that this server does not know: 7."""
        with lab.client() as client:
            answer = client.ask(request(1, 0x60, integer(3), text(""), choice))
        assert (answer.kind, answer.code) == ("bindResponse", 7)
        assert answer.text.startswith("00002027: LdapErr: ")

    def test_served_mechanisms_are_true(self, lab):
        """The root names no SASL mechanism that a bind then would not know."""
        with lab.client() as client:
            entry = client.ask(root(1, "supportedSASLMechanisms"))
        values = [bytes(each) for attribute in entry.body["attributes"] for each in attribute["vals"]]
        assert values == []

    def test_signing_required(self, lab_with):
        """Where signing is required a simple bind in clear is 8; anonymous ones and those under TLS go through."""
        with lab_with(require_signing=True).client() as client:
            answer = client.ask(bind(1, ALICE, PASSWORD))
            assert answer.code == 8
            assert answer.text.startswith("00002028: LdapErr: DSID-0C0902")
            assert "turn on integrity checking if SSL\\TLS are not already active" in answer.text
            assert client.ask(bind(2, "", "")).code == 0
            assert client.ask(search(3)).code == 1


class TestExtended:
    @pytest.mark.parametrize("oid", ["1.3.6.1.4.1.4203.1.11.3", "1.3.6.1.4.1.4203.1.11.1", "1.2.3", "", "x"])
    def test_unknown(self, lab, oid):
        """An unknown extended request, whoami and password modify among them, is a protocolError of its own."""
        with lab.client() as client:
            answer = client.ask(extended(5, oid))
            assert (answer.number, answer.kind, answer.code) == (5, "extendedResp", 2)
            assert re.match(
                r"0000203D: LdapErr: DSID-0C09[0-9A-F]{4}, comment: Unknown extended request OID, ", answer.text
            )
            assert client.ask(root(6)).number == 6

    def test_start_tls(self, lab):
        """StartTLS is answered with its name; then everything is under TLS, a bind made before included."""
        with lab.client() as client:
            client.ask(bind(1, *lab.administrator))
            answer = client.ask(extended(2, START_TLS))
            assert (answer.code, str(answer.body["responseName"])) == (0, START_TLS)
            client.start_tls(lab.ca)
            client.send(search(3, "(cn=alice)"), unbind(4))
            assert heads(client.all()) == [(3, "searchResEntry", None), (3, "searchResDone", 0)]

    @pytest.mark.parametrize("tls", [True, False])
    def test_start_tls_twice(self, lab, tls):
        """Where TLS is in effect StartTLS is an operationsError, and the connection goes on."""
        with lab.client(tls=tls) as client:
            if not tls:
                client.ask(extended(1, START_TLS))
                client.start_tls(lab.ca)
            answer = client.ask(extended(2, START_TLS))
            assert answer.code == 1
            assert "TLS or SSL already in effect" in answer.text
            assert client.ask(root(3)).number == 3

    def test_start_tls_with_something_behind_it(self, lab):
        """What was sent in clear after StartTLS is never taken for protected: StartTLS is refused."""
        with lab.client() as client:
            client.send(extended(1, START_TLS), root(2), unbind(3))
            assert heads(client.all()) == [
                (1, "extendedResp", 1),
                (2, "searchResEntry", None),
                (2, "searchResDone", 0),
            ]

    def test_start_tls_then_garbage(self, lab):
        """Garbage instead of a handshake ends the connection."""
        with lab.client() as client:
            client.ask(extended(1, START_TLS))
            client.send(root(2) * 20)
            ending = bytearray()
            with suppress(ConnectionError):
                while received := client.socket.recv(4096):
                    ending += received
        assert ending[:1] in (b"", bytes([TLS_ALERT]))


class TestSearch:
    def ask(self, lab, **options):
        """The answers to a search as administrator."""
        with lab.client(tls=True) as client:
            client.send(bind(1, *lab.administrator), search(2, **options), unbind(3))
            return client.all()[1:]

    def test_types_only(self, lab):
        """With typesOnly attributes come without values."""
        entry, done = self.ask(lab, what="(cn=alice)", types_only=True, attributes=("cn", "objectGUID"))
        assert {str(each["type"]): len(each["vals"]) for each in entry.body["attributes"]} == {"cn": 0, "objectGUID": 0}
        assert done.code == 0

    def test_octets(self, lab):
        """Values are octets, as they are."""
        entry, _ = self.ask(lab, what="(cn=alice)", attributes=("objectGUID",))
        (value,) = entry.body["attributes"][0]["vals"]
        assert bytes(value) == lab.domain.find("alice").guid.bytes_le

    def test_size_limit(self, lab):
        """A size limit gives so many entries and sizeLimitExceeded."""
        answers = self.ask(lab, base=f"CN=Users,{ROOT}", size=3)
        assert [answer.kind for answer in answers] == ["searchResEntry"] * 3 + ["searchResDone"]
        assert answers[-1].code == 4

    @pytest.mark.parametrize("deref", [0, 1, 2, 3])
    def test_alias_handling(self, lab, deref):
        """All ways of alias handling are taken, and a time limit too: there are no aliases, and time does not pass."""
        assert heads(self.ask(lab, what="(cn=alice)", deref=deref, seconds=1))[-1] == (2, "searchResDone", 0)

    @pytest.mark.parametrize("wrong", [{"scope": 3}, {"scope": -1}, {"deref": 4}])
    def test_unknown_scope(self, lab, wrong):
        """A scope or alias handling that does not exist is a protocolError of the search."""
        assert heads(self.ask(lab, what="(cn=alice)", **wrong)) == [(2, "searchResDone", 2)]

    def test_paging_control(self, lab):
        """The answer to a paged search carries the cookie for the next page."""
        page = "1.2.840.113556.1.4.319", True, tlv(SEQUENCE, integer(2) + tlv(OCTETS, b""))
        *entries, done = self.ask(lab, base=f"CN=Users,{ROOT}", controls=[page])
        assert len(entries) == 2
        (control,) = done.controls
        assert str(control["controlType"]) == page[0]
        assert bytes(control["controlValue"]).startswith(b"\x30")

    def test_unknown_critical_control(self, lab):
        """An unknown critical control is 12 for every request; one that is not critical is ignored."""
        for critical, code in ((True, 12), (False, 0)):
            assert self.ask(lab, what="(cn=alice)", controls=[("1.2.3", critical, b"")])[-1].code == code


def ends_unheard(port):
    """Whether a connection ends before anything is said; its reset may come with the connection itself."""
    try:
        with RawClient(socket.create_connection(("127.0.0.1", port))) as client:
            return client.receive() is None
    except ConnectionResetError:
        return True


class TestDown:
    @pytest.mark.parametrize("port", ["ldap_port", "ldaps_port"])
    def test_takes_nobody(self, lab, port):
        """A controller that is down takes no connection: it ends before anything was said."""
        lab.domain.controller().state = "down"
        assert ends_unheard(getattr(lab.port, port))

    def test_comes_up_again(self, lab):
        """Once it is up again it takes connections as before."""
        lab.domain.controller().state = "down"
        assert ends_unheard(lab.port.ldap_port)
        lab.domain.controller().state = "up"
        with lab.client(tls=True) as client:
            assert client.ask(root(1)).number == 1

    def test_drops_at_the_next_request(self, lab):
        """A connection that was open is dropped at its next request, unanswered."""
        with lab.client() as client:
            client.ask(bind(1, *lab.administrator))
            lab.domain.controller().state = "down"
            client.send(root(2))
            assert client.receive() is None


class TestLimits:
    def test_silent_client(self, lab_with):
        """A client that sends nothing is dropped after a while, under TLS too."""
        lab = lab_with(limits=Limits(first_request_seconds=0.5))
        for raw in (lab.client(), lab.client(tls=True)):
            with raw as client:
                assert client.receive() is None

    def test_no_handshake(self, lab_with):
        """So is one that does not begin TLS where TLS begins at once."""
        lab = lab_with(limits=Limits(first_request_seconds=0.05))
        with socket.create_connection(("127.0.0.1", lab.port.ldaps_port)) as raw:
            assert raw.recv(1) == b""

    def test_idle_client(self, lab_with):
        """A client that says no more is dropped after a while; half a message is nothing said."""
        lab = lab_with(limits=Limits(idle_seconds=0.05))
        with lab.client() as client:
            client.send(root(1), root(2)[:-1])
            assert [answer.number for answer in client.all()] == [1, 1]

    def test_too_many(self, lab_with):
        """One client too many takes the place of the one that was idle longest."""
        lab = lab_with(limits=Limits(connections=3))
        clients = [lab.client() for _ in range(3)]
        for number, client in enumerate(clients, 1):
            assert client.ask(root(number)).number == number
            assert client.receive().code == 0  # what is unread when a connection is reset is lost
        with lab.client() as newcomer:
            assert newcomer.ask(root(9)).number == 9
            assert clients[0].receive() is None
            assert clients[2].ask(root(5)).number == 5
        for client in clients:
            client.socket.close()


class TestTls:
    @pytest.mark.parametrize("last", [unbind(1), b"\0", message(1, tlv(0x61, b""))])
    def test_ends_properly(self, lab, last):
        """The end of a connection is told by TLS too, so that nobody can have cut it off."""
        context = ssl.create_default_context(cafile=str(lab.ca))
        with (
            socket.create_connection(("127.0.0.1", lab.port.ldaps_port)) as raw,
            context.wrap_socket(raw, server_hostname="localhost", suppress_ragged_eofs=False) as wrapped,
        ):
            wrapped.sendall(last)
            while wrapped.recv(4096):
                pass

    def test_stranger_is_not_trusted(self, lab):
        """A client that does not trust the authority hangs up, and the port goes on."""
        context = ssl.create_default_context()
        with (
            socket.create_connection(("127.0.0.1", lab.port.ldaps_port)) as raw,
            pytest.raises(ssl.SSLCertVerificationError),
        ):
            context.wrap_socket(raw, server_hostname="localhost")

    def test_names(self, lab):
        """The certificate holds for the controller, its domain and this machine, and for nobody else."""
        context = ssl.create_default_context(cafile=str(lab.ca))
        names = ["dc1.contoso.example", "contoso.example", "localhost", "127.0.0.1", "::1"]
        for name in names:
            with socket.create_connection(("127.0.0.1", lab.port.ldaps_port)) as raw:
                context.wrap_socket(raw, server_hostname=name).close()
        with (
            socket.create_connection(("127.0.0.1", lab.port.ldaps_port)) as raw,
            pytest.raises(ssl.SSLCertVerificationError),
        ):
            context.wrap_socket(raw, server_hostname="dc2.contoso.example")


def test_encoder_agrees_with_pyasn1():
    """What the encoder writes reads back by ldap3's definitions, whatever the size."""
    for code in (0, 1, 49, 80, 4096):
        for size in (0, 1, 127, 128, 255, 256, 65535, 70_000):
            octets = message(size + 1, encoding.result(0x65, code, "x" * size, "ü" * 3, ["ldap://a/", "ldap://b/"]))
            answer = decoded(octets)
            assert (answer.number, answer.kind, answer.code, len(answer.text)) == (
                size + 1,
                "searchResDone",
                code,
                size,
            )
            assert str(answer.body["matchedDN"]) == "üüü"
            assert [str(each) for each in answer.body["referral"]] == ["ldap://a/", "ldap://b/"]
            assert code in RESULT_CODES


def test_references(lab):
    """A search at a domain's root tells where the other contexts are, in messages of their own."""
    with lab.client() as client:
        client.send(bind(1, *lab.administrator), search(2, "(cn=alice)", ROOT), unbind(3))
        kinds = [answer.kind for answer in client.all()]
    assert kinds[:2] == ["bindResponse", "searchResEntry"]
    assert kinds[-1] == "searchResDone"
    assert set(kinds[2:-1]) == {"searchResRef"}


def test_referral(lab):
    """A search in a context that is not here is a referral."""
    with lab.client() as client:
        client.ask(bind(1, *lab.administrator))
        answer = client.ask(search(2, base="DC=elsewhere,DC=example"))
    assert answer.code == 10
    assert str(answer.body["referral"][0]).startswith("ldap://")


def test_reference_is_decodable():
    """A reference reads back by ldap3's definitions."""
    answer = decoded(message(4, encoding.reference(["ldap://child.contoso.example/DC=child,DC=contoso,DC=example"])))
    assert answer.kind == "searchResRef"
    assert [str(url) for url in answer.body] == ["ldap://child.contoso.example/DC=child,DC=contoso,DC=example"]
