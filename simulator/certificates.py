"""Certificates for simulated servers: an authority of their own that clients can be told to trust.

Valid from 2000 to 2100, so that a served world may stand at any time. Keys are made afresh for every authority and
never leave the process; nothing that a run decides depends on them.
"""

from __future__ import annotations

import datetime as dates
import ipaddress
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from freezegun.api import real_datetime

AUTHORITY_NAME = "pwsync simulated certificate authority"
VALID_FROM, VALID_UNTIL = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


class Authority:
    """A certificate authority. ``pem`` is its own certificate, which clients are to trust."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(AUTHORITY_NAME)
        public = self._key.public_key()
        usage = _usage(sign_certificates=True)
        self._certificate = (
            _builder(self._name, self._name, public)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        self.pem = self._certificate.public_bytes(serialization.Encoding.PEM).decode()

    def issue(self, names: Sequence[str]) -> bytes:
        """Key and certificate (PEM) of a server that answers to these DNS names and IP addresses; one at least."""
        key = ec.generate_private_key(ec.SECP256R1())
        public = key.public_key()
        certificate = (
            _builder(_name(names[0]), self._name, public)
            .add_extension(x509.SubjectAlternativeName([_alternative(each) for each in names]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(sign_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        form = serialization.PrivateFormat.PKCS8
        secret = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
        return secret + certificate.public_bytes(serialization.Encoding.PEM)

    def server_context(self, names: Sequence[str]) -> ssl.SSLContext:
        """What a server with these names speaks TLS with."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.num_tickets = 0  # sessions are not resumed, and Samba's client gets stuck behind a ticket of TLS 1.3
        with TemporaryDirectory() as folder:  # ssl takes keys from files only
            path = Path(folder, "server.pem")
            path.write_bytes(self.issue(names))
            context.load_cert_chain(path)
        return context


def is_ours(pem: bytes) -> bool:
    """Whether this is the certificate of an authority that this module made, and nothing else."""
    try:
        found = x509.load_pem_x509_certificates(pem)
    except ValueError:
        return False
    return len(found) == 1 and found[0].subject == found[0].issuer == _name(AUTHORITY_NAME)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(VALID_FROM)
        .not_valid_after(VALID_UNTIL)
    )


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _show_real_time() -> None:
    """Have the compiled part of cryptography meet the real class of times first, for it keeps the one that it meets.

    Met while time is frozen, it would be the freezer's, and no certificate could be made afterwards with real times.
    """
    shown, dates.datetime = dates.datetime, real_datetime  # type: ignore[misc]
    try:
        key = ec.generate_private_key(ec.SECP256R1())
        _builder(_name(AUTHORITY_NAME), _name(AUTHORITY_NAME), key.public_key()).sign(key, hashes.SHA256())
    finally:
        dates.datetime = shown  # type: ignore[misc]


_show_real_time()
