"""The farm's token-signing key, and XML signatures made and checked with it.

The key (``test_token_signing.json``) is published with the program, is the same for every farm, and protects nothing:
a simulation has to repeat, and RSA keys can't be drawn from a seed. Signatures are enveloped, RSA with SHA-256 over
exclusive canonical XML, as the product's (XML Signature, W3C; SAML 1.1 section 5).
"""

from __future__ import annotations

import json
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any

from cryptography.exceptions import InvalidSignature as WrongSignature
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from lxml import etree
from signxml.algorithms import CanonicalizationMethod, DigestAlgorithm, SignatureMethod
from signxml.exceptions import SignXMLException
from signxml.signer import XMLSigner
from signxml.verifier import SignatureConfiguration, XMLVerifier

import simulator.certificates  # noqa: F401 - certificates are looked at here while time is frozen


class InvalidSignature(Exception):
    """The signature is missing, is not by the expected key, or is over something else."""


def certificate() -> str:
    """The certificate that farms sign with, PEM: what a tenant is told when a domain is federated."""
    return _stored()["certificate"]


def sign(element: Any, id_attribute: str) -> bytes:
    """The element, signed by the farm, as XML. id_attribute: the name of the attribute that holds its id."""
    signer = XMLSigner(
        signature_algorithm=SignatureMethod.RSA_SHA256,
        digest_algorithm=DigestAlgorithm.SHA256,
        c14n_algorithm=CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0,
    )
    signed = signer.sign(
        element, key=_key(), cert=certificate(), reference_uri=element.get(id_attribute), id_attribute=id_attribute
    )
    found: bytes = etree.tostring(signed)
    return found


def signed_part(document: bytes, trusted: str, id_attribute: str, now: datetime) -> Any:
    """The element of a document that its signature covers, parsed from the very octets that were signed.

    trusted: the certificate (PEM) that must have signed; what the document says of its key is not asked. Raises
    InvalidSignature.
    """
    configuration = SignatureConfiguration(
        location="./",
        signature_methods=frozenset({SignatureMethod.RSA_SHA256}),
        digest_algorithms=frozenset({DigestAlgorithm.SHA256}),
        verification_time=now,
    )
    try:
        found = XMLVerifier().verify(
            document, x509_cert=trusted, id_attribute=id_attribute, expect_config=configuration
        )
    except (SignXMLException, WrongSignature, etree.LxmlError, ValueError) as error:
        raise InvalidSignature(str(error)) from error
    if isinstance(found, list) or found.signed_xml is None:
        raise InvalidSignature("not one element is signed")
    return found.signed_xml


@cache
def _stored() -> dict[str, str]:
    text = files("simulator.federation").joinpath("test_token_signing.json").read_text(encoding="utf-8")
    stored: dict[str, str] = json.loads(text)
    return stored


@cache
def _key() -> RSAPrivateKey:
    # The key is our own file: checking that its primes are primes would cost more than a whole scenario.
    key = load_pem_private_key(_stored()["key"].encode(), None, unsafe_skip_rsa_key_validation=True)
    if not isinstance(key, RSAPrivateKey):
        raise TypeError("the farm's test key is an RSA key")
    return key
