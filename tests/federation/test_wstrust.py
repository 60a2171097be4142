"""The WS-Trust endpoints: tokens for those who get in, faults as AD FS has them, and no answer to hostile XML."""

from __future__ import annotations

from datetime import timedelta
from xml.etree import ElementTree

import pytest
from federation.conftest import ALICE, GOOD, SOAP_TYPE
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msal.mex import Mex
from msal.wstrust_response import parse_error, parse_response

from simulator.azure_ad.wire import Call
from simulator.federation import client, mex
from simulator.federation.http import BODY_MAX, ROUTES, FarmService
from simulator.federation.names import METADATA_PATH, SAML1, SAML2, TRUST_13, TRUST_2005

DIALECTS = [TRUST_2005, TRUST_13]
BOMB = '<!DOCTYPE a [<!ENTITY a "xxxxxxxxxx"><!ENTITY b "&a;&a;&a;&a;&a;">]>'


def fault(answer):
    """Code and text of a fault, as MSAL reads them."""
    assert answer.status == 500, answer.body
    found = parse_error(answer.body.decode())
    return found["code"].partition(":")[2], found["reason"]


def body(lab, dialect=TRUST_13, **changes):
    """A good request, with pieces of its text replaced."""
    address = f"https://{lab.farm.host}{dialect.path}"
    text = client.request(dialect, address, ALICE, GOOD, lab.clock(), "urn:uuid:1").decode()
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    return text.encode()


class TestMetadata:
    def test_as_msal_reads_it(self, lab):
        """MSAL finds the endpoint for name and password, and takes that of the newer dialect."""
        answer = FarmService(lab.farm).handle(Call("GET", lab.farm.host, METADATA_PATH))
        assert (answer.status, answer.body) == (200, mex.document("adfs.contoso.example"))
        endpoint = Mex(answer.body.decode()).get_wstrust_username_password_endpoint()
        assert endpoint == {
            "address": "https://adfs.contoso.example/adfs/services/trust/13/usernamemixed",
            "action": TRUST_13.request_action,
        }

    def test_both_dialects(self):
        """The document has a port for each dialect."""
        ports = ElementTree.fromstring(mex.document("adfs.contoso.example")).iter(
            "{http://schemas.xmlsoap.org/wsdl/}port"
        )
        addresses = [port.find(".//{http://www.w3.org/2005/08/addressing}Address").text for port in ports]
        assert addresses == [f"https://adfs.contoso.example{dialect.path}" for dialect in DIALECTS]


class TestTokens:
    @pytest.mark.parametrize("dialect", DIALECTS)
    def test_token(self, lab, alice, dialect):
        """Name and password bring a token that the tenant takes, in both dialects."""
        answer = lab.ask(dialect=dialect)
        assert answer.status == 200
        found = parse_response(answer.body.decode())
        assert found["type"] == SAML1
        assert lab.redeem(found["token"]) is alice

    def test_what_it_is_related_to(self, lab):
        """Answer and fault name the message that they belong to."""
        assert b"<a:RelatesTo>urn:uuid:1</a:RelatesTo>" in lab.post(body(lab)).body
        assert b"<a:RelatesTo>urn:uuid:1</a:RelatesTo>" in lab.post(body(lab, **{GOOD: "Wrong-1!"})).body

    @pytest.mark.parametrize(
        ("asked", "kind"),
        [
            (SAML1, SAML1),
            (SAML2, SAML2),
            ("http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#SAMLV1.1", SAML1),
            ("http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#SAMLV2.0", SAML2),
        ],
    )
    def test_kind(self, lab, alice, asked, kind):
        """A request may ask for SAML 1.1 or 2.0."""
        answer = lab.post(body(lab, **{"<t:KeyType>": f"<t:TokenType>{asked}</t:TokenType><t:KeyType>"}))
        found = parse_response(answer.body.decode())
        assert found["type"] == kind
        assert lab.redeem(found["token"], kind) is alice

    def test_no_kind_of_key(self, lab):
        """A request that names no kind of key gets a bearer's token."""
        key = f"<t:KeyType>{TRUST_13.key_type}</t:KeyType>"
        assert lab.post(body(lab, **{key: ""})).status == 200

    def test_names_that_need_escaping(self, lab):
        """A name with characters that XML escapes goes through unharmed."""
        lab.domain.create_user("o&brien", GOOD, upn="o&<brien>'s@contoso.example")
        answer = lab.ask("o&<brien>'s@contoso.example")
        token, _ = client.token(answer.body, TRUST_13)
        claim = ElementTree.fromstring(token).find(f".//{{{SAML1}}}AttributeValue")
        assert claim.text == "o&<brien>'s@contoso.example"


class TestRefused:
    @pytest.mark.parametrize("dialect", DIALECTS)
    @pytest.mark.parametrize(("name", "password"), [(ALICE, "Wrong-1!"), (ALICE, ""), ("nobody@contoso.example", GOOD)])
    def test_credentials(self, lab, dialect, name, password):
        """Whatever is wrong with name or password, the fault is the same."""
        text = "ID3242: The security token could not be authenticated or authorized."
        assert fault(lab.ask(name, password, dialect)) == ("FailedAuthentication", text)

    def test_account(self, lab):
        """A disabled account is told in no other words."""
        lab.domain.set_user("alice", enabled=False)
        assert fault(lab.ask())[0] == "FailedAuthentication"

    def test_audience(self, lab):
        """For an unknown relying party nobody gets a token; with a wrong password one is not even told."""
        other = {"urn:federation:MicrosoftOnline": "urn:other"}
        assert fault(lab.post(body(lab, **other)))[1].startswith("ID3082")
        assert fault(lab.post(body(lab, **other, **{GOOD: "Wrong-1!"})))[1].startswith("ID3242")

    @pytest.mark.parametrize(
        ("old", "new", "code"),
        [
            ("/RST/Issue", "/RST/Renew", "ActionNotSupported"),
            ("https://adfs.contoso.example/", "https://adfs.fabrikam.example/", "DestinationUnreachable"),
            ("200512/Issue<", "200512/Cancel<", "RequestFailed"),
            ("200512/Bearer<", "200512/SymmetricKey<", "RequestFailed"),
            ("<t:KeyType>", "<t:TokenType>urn:ticket</t:TokenType><t:KeyType>", "RequestFailed"),
            ("t:RequestSecurityToken", "t:SomethingElse", "RequestFailed"),
            ("o:UsernameToken", "o:BinarySecurityToken", "InvalidSecurity"),
            ("o:Password", "o:Passphrase", "InvalidSecurity"),
            ("u:Timestamp", "u:Time", "InvalidSecurity"),
            ("u:Created", "u:Made", "InvalidSecurity"),
            ("2017-01-13T", "2017-01-13 ", None),
            ("Z</u:Created>", "</u:Created>", "InvalidSecurity"),
            ("2017-01-13", "0001-01-01", "InvalidSecurity"),
            ("2017-01-13", "9999-12-31", "InvalidSecurity"),
            ("2017-01-13", "yesterday", "InvalidSecurity"),
        ],
    )
    def test_request(self, lab, old, new, code):
        """What is not understood, or not secured, is a fault and no sign-in."""
        lab.domain.set_policy(lockout_threshold=1)
        answer = lab.post(body(lab, **{old: new, GOOD: "Wrong-1!"}))
        assert fault(answer)[0] == (code or "FailedAuthentication")
        assert lab.domain.logon("alice", GOOD, observe=True) == ("ok" if code else "locked")

    @pytest.mark.parametrize(("minutes", "taken"), [(-6, False), (-4, True), (14, True), (16, False)])
    def test_stale(self, lab, minutes, taken):
        """A message is good for its ten minutes, and five more for clocks that are off."""
        message = body(lab)
        lab.clock.move_to(lab.clock() + timedelta(days=1))
        later = client.request(TRUST_13, f"https://{lab.farm.host}{TRUST_13.path}", ALICE, GOOD,
                               lab.clock() - timedelta(minutes=minutes))  # fmt: skip
        assert (lab.post(later).status == 200) is taken
        assert fault(lab.post(message))[0] == "InvalidSecurity"

    def test_wrong_endpoint(self, lab):
        """A request of one dialect is none for the other's endpoint."""
        assert fault(lab.post(body(lab, TRUST_13), TRUST_2005))[0] == "ActionNotSupported"


class TestHostile:
    @pytest.mark.parametrize(
        "octets",
        [
            b"",
            b"\x00",
            b"\xff\xfe<\x00",
            b"<",
            b"<a/>",
            b"<s:Envelope/>",
            b"nonsense",
            b'<?xml version="1.0" encoding="nonsense"?><a/>',
            BOMB.encode() + b"<a>&b;</a>",
            b'<!DOCTYPE a SYSTEM "http://192.0.2.1/a.dtd"><a/>',
            b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
            b"<a>" * 20_000,
        ],
    )
    def test_no_envelope(self, lab, octets):
        """Octets that are no envelope, and document types of any kind, are refused without a fault."""
        answer = lab.post(octets)
        assert (answer.status, answer.body) == (400, b"")

    def test_document_type_before_a_good_request(self, lab):
        """A good request behind a document type is refused before it is read."""
        for head in (BOMB, "<!DOCTYPE s:Envelope>", '<!DOCTYPE s:Envelope SYSTEM "envelope.dtd">'):
            assert lab.post(head.encode() + body(lab)).status == 400
        assert lab.post(body(lab, **{GOOD: "&x;"})).status == 400

    def test_around_the_body(self, lab):
        """Another kind of content, a huge body, another method and unknown paths have answers of their own."""
        service, host = FarmService(lab.farm), lab.farm.host
        assert lab.post(body(lab), headers={"content-type": "text/xml"}).status == 415
        assert lab.post(body(lab), headers={}).status == 415
        assert lab.post(b" " * (BODY_MAX + 1)).status == 413
        assert service.handle(Call("GET", host, TRUST_13.path)).status == 405
        lost = service.handle(Call("GET", host, "/adfs/ls/idpinitiatedsignon"))
        assert lost.status == 404
        assert all(route.path in lost.body.decode() for route in ROUTES)

    @settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.data())
    def test_garbled(self, lab, data):
        """A request with octets changed, cut out or doubled is answered, never by an exception of ours."""
        octets = body(lab)
        start = data.draw(st.integers(0, len(octets)))
        end = data.draw(st.integers(start, min(len(octets), start + 200)))
        middle = data.draw(st.one_of(st.binary(max_size=20), st.just(octets[start:end] * 2)))
        answer = lab.post(octets[:start] + middle + octets[end:], headers=SOAP_TYPE)
        assert answer.status in (200, 400, 500)
