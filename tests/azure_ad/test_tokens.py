"""Tokens: signed, checked, and refused."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given
from hypothesis import strategies as st

from simulator.azure_ad.state import Tenant
from simulator.azure_ad.tokens import DIRECTORY_RESOURCE, GRAPH_RESOURCE, InvalidToken, TokenIssuer, public_keys
from simulator.clock import Clock
from simulator.profile import PROFILE_2017
from simulator.random import Randomness


def part(text):
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def packed(value):
    return urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@pytest.fixture
def issuer(application):
    return application.issuer


@pytest.fixture
def access(tenant, issuer):
    user = tenant.find_by_upn(tenant.sync_account()[0])
    return issuer.access_token(user, tenant.open_session(user, "client"), DIRECTORY_RESOURCE, "user_impersonation")


def test_verifies_with_the_published_key(access):
    """Anybody can check the signature with the key that the tenant publishes."""
    (key,) = public_keys()
    assert "d" not in key
    number = {name: int.from_bytes(part(key[name])) for name in ("n", "e")}
    signed, _, signature = access.rpartition(".")
    public = RSAPublicNumbers(number["e"], number["n"]).public_key()
    public.verify(part(signature), signed.encode(), PKCS1v15(), SHA256())
    assert json.loads(part(signed.split(".")[0])) == {"typ": "JWT", "alg": "RS256", "kid": key["kid"]}


def test_claims(tenant, issuer, access, clock):
    """The claims name user, tenant, audience, role and an hour."""
    claims = issuer.check(access, DIRECTORY_RESOURCE)
    user = tenant.find_by_upn(tenant.sync_account()[0])
    assert (claims["oid"], claims["tid"], claims["upn"]) == (user.id, tenant.tenant_id, user.upn)
    assert claims["wids"] == ["d29b2b05-8046-44ba-8758-1e26182fcf32"]
    assert (claims["iat"], claims["exp"] - claims["iat"]) == (clock().timestamp(), 3599)


def test_expires(issuer, access, later):
    """A token is refused from the second on in which it expires, though it was taken before."""
    later(seconds=3598)
    issuer.check(access, DIRECTORY_RESOURCE)
    later(seconds=1)
    with pytest.raises(InvalidToken, match="expired"):
        issuer.check(access, DIRECTORY_RESOURCE)


def test_audience(issuer, access):
    """A token for one service is none for the other."""
    with pytest.raises(InvalidToken, match="audience"):
        issuer.check(access, GRAPH_RESOURCE)


def test_tenant(clock, access):
    """Another tenant's token, signed with the same test key, is refused."""
    other = Tenant(clock, Randomness(2), PROFILE_2017)
    with pytest.raises(InvalidToken, match="another tenant"):
        TokenIssuer(other.clock, other.tenant_id).check(access, DIRECTORY_RESOURCE)


def test_forged(issuer, access):
    """Changed claims, another algorithm and no signature are refused."""
    header, body, signature = access.split(".")
    claims = json.loads(part(body)) | {"wids": ["62e90394-69f5-4237-9190-012177145e10"]}
    for forged in (
        f"{header}.{packed(claims)}.{signature}",
        f"{packed({'alg': 'none'})}.{body}.",
        f"{packed({'alg': 'HS256'})}.{body}.{signature}",
        f"{packed(['RS256'])}.{body}.{signature}",
        f"{header}.{body}.",
        f"{header}.{body}",
        f"{body}.{signature}",
        "é" + access,
        "x" * 100_000,
    ):
        with pytest.raises(InvalidToken):
            issuer.check(forged, DIRECTORY_RESOURCE)


@given(
    st.one_of(st.text(max_size=60), st.from_regex(r"[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*", fullmatch=True))
)
def test_garbled(text):
    """Any text is refused as a token, and only that."""
    issuer = TokenIssuer(Clock(datetime(2017, 1, 13, tzinfo=UTC)), "tenant")
    with pytest.raises(InvalidToken):
        issuer.check(text, DIRECTORY_RESOURCE)
