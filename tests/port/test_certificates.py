"""The authority of served worlds: what it signs, for whom, and for how long."""

from __future__ import annotations

import ssl
from contextlib import suppress

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from simulator.certificates import VALID_FROM, VALID_UNTIL, Authority, is_ours

NAMES = ["dc1.contoso.example", "localhost", "127.0.0.1", "::1"]


def issued(authority):
    """A server's certificate."""
    return x509.load_pem_x509_certificate(b"-----BEGIN CERT" + authority.issue(NAMES).split(b"-----BEGIN CERT")[1])


def test_lasts_a_century():
    """Both certificates are valid from 2000 to 2100, whenever the served world is."""
    authority = Authority()
    for certificate in (x509.load_pem_x509_certificate(authority.pem.encode()), issued(authority)):
        assert (certificate.not_valid_before_utc, certificate.not_valid_after_utc) == (VALID_FROM, VALID_UNTIL)


def test_names():
    """A server's certificate names it, addresses as addresses."""
    names = issued(Authority()).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == NAMES[:2]
    assert [str(each) for each in names.get_values_for_type(x509.IPAddress)] == NAMES[2:]


def test_signed_by_the_authority():
    """It is signed by the authority, which signs itself, and by no other."""
    one, other = Authority(), Authority()
    certificate = issued(one)
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(one.pem.encode()))
    assert one.pem != other.pem
    key = load_pem_private_key(one.issue(NAMES), None)
    assert key.public_key() != certificate.public_key()


def test_strict_clients_take_it():
    """A client that checks strictly takes the authority, and the server's context holds a certificate."""
    authority = Authority()
    context = ssl.create_default_context(cadata=authority.pem)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    ours, theirs = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = authority.server_context(NAMES).wrap_bio(theirs, ours, server_side=True)
    client = context.wrap_bio(ours, theirs, server_hostname="dc1.contoso.example")
    for _ in range(3):
        for end in (client, server):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    assert client.getpeercert()["subjectAltName"][0] == ("DNS", "dc1.contoso.example")


def test_gives_no_tickets():
    """Nothing follows the handshake by itself: clients that take a session ticket for an answer would wait for ever."""
    authority = Authority()
    context = ssl.create_default_context(cadata=authority.pem)
    ours, theirs = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = authority.server_context(NAMES).wrap_bio(theirs, ours, server_side=True)
    client = context.wrap_bio(ours, theirs, server_hostname="localhost")
    for end in (client, server, client, server):
        with suppress(ssl.SSLWantReadError):
            end.do_handshake()
    assert client.version() == "TLSv1.3"
    assert ours.pending == 0


def test_knows_its_own():
    """An authority's certificate is told from any other file."""
    authority = Authority()
    assert is_ours(authority.pem.encode())
    assert not is_ours(authority.issue(NAMES))
    assert not is_ours(authority.pem.encode() * 2)
    assert not is_ours(b"")
    assert not is_ours(b"my notes")
    assert not is_ours(bytes(range(256)))
