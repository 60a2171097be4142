"""The certificate for which agents seal secrets for Domain Services, and its key: a fixed test key.

The key (``test_secret_key.json``) is published with the program and protects nothing: a simulation has to repeat, and
RSA keys can't be drawn from a seed. Which sort of certificate the service has is not published; this one is signed by
itself and valid from 2000 to 2100.
"""

from __future__ import annotations

import json
from base64 import b64decode, urlsafe_b64decode
from functools import cache
from importlib.resources import files

from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPrivateNumbers, RSAPublicNumbers
from cryptography.hazmat.primitives.hashes import SHA1

_NUMBERS = ("n", "e", "d", "p", "q", "dp", "dq", "qi")


@cache
def certificate() -> bytes:
    """The certificate (X.509, DER)."""
    return b64decode(_stored()["x5c"][0])


def open_key(sealed: bytes) -> bytes:
    """What was sealed for the certificate by RSA-OAEP with SHA-1. Raises ValueError for anything else."""
    return _private_key().decrypt(sealed, OAEP(MGF1(SHA1()), SHA1(), None))  # noqa: S303 - the envelope's own


@cache
def _stored() -> dict[str, str]:
    text = files("simulator.domain_services").joinpath("test_secret_key.json").read_text(encoding="utf-8")
    key: dict[str, str] = json.loads(text)
    return key


@cache
def _private_key() -> RSAPrivateKey:
    number = {name: int.from_bytes(urlsafe_b64decode(_stored()[name] + "==")) for name in _NUMBERS}
    public = RSAPublicNumbers(number["e"], number["n"])
    private = RSAPrivateNumbers(number["p"], number["q"], number["d"], number["dp"], number["dq"], number["qi"], public)
    # The key is our own file: checking that its primes are primes would cost more than a whole scenario.
    return private.private_key(unsafe_skip_rsa_key_validation=True)
