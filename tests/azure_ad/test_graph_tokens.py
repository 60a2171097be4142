"""Tokens that Graph does not take, in Graph's own shape, and tokens that open less than somebody would like."""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given
from hypothesis import strategies as st

from simulator.azure_ad.doubles import send
from simulator.azure_ad.http import TenantApplication
from simulator.azure_ad.state import Tenant
from simulator.azure_ad.tokens import GRAPH_RESOURCE, InvalidToken, TokenIssuer, public_keys
from simulator.clock import Clock
from simulator.profile import PROFILE_2017
from simulator.random import Randomness

ME = "https://graph.microsoft.com/v1.0/me"
SCOPE = "https://graph.microsoft.com/.default"
METHOD = "28c10230-6103-485e-b985-444c60001490"
GOOD = "Winter-2016!"
START = datetime(2017, 1, 13, 9, tzinfo=UTC)


def encode(value):
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(part):
    return json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))


@pytest.fixture
def good(token, tenant, synchronize):
    """An administrator's token, in its three parts."""
    synchronize(tenant, "alice", GOOD)
    return token(*tenant.admin_account(), SCOPE).split(".")


@pytest.fixture
def refused(ask):
    """Show a token that is refused -> the message."""

    def show(token):
        answer = ask("GET", ME, headers={"Authorization": f"Bearer {token}"})
        error = json.loads(answer.body)["error"]
        assert (answer.status, error["code"]) == (401, "InvalidAuthenticationToken")
        assert set(error["innerError"]) == {"date", "request-id", "client-request-id"}
        assert dict(answer.headers)["WWW-Authenticate"].startswith("Bearer realm=")
        return error["message"]

    return show


class TestForged:
    def test_no_signature(self, refused, good):
        """A token whose header says that it is not signed is refused, whatever its signature."""
        for signature in ("", good[2]):
            assert "Signing key" in refused(f"{encode({'typ': 'JWT', 'alg': 'none'})}.{good[1]}.{signature}")

    def test_published_key_as_secret(self, refused, good):
        """HMAC with the published key for a secret is refused: RS256 is the only algorithm."""
        (key,) = public_keys()
        header = encode({"typ": "JWT", "alg": "HS256", "kid": key["kid"]})
        for secret in (key["n"].encode(), json.dumps(key).encode()):
            signature = hmac.new(secret, f"{header}.{good[1]}".encode(), hashlib.sha256).digest()
            assert "Signing key" in refused(f"{header}.{good[1]}.{encode(signature)}")

    def test_another_key(self, refused, good):
        """Somebody's own RSA key is refused, under its own name and under ours."""
        key = rsa.generate_private_key(65537, 2048)
        for kid in ("mine", public_keys()[0]["kid"]):
            signed = f"{encode({'typ': 'JWT', 'alg': 'RS256', 'kid': kid})}.{good[1]}"
            signature = key.sign(signed.encode(), PKCS1v15(), SHA256())
            refused(f"{signed}.{encode(signature)}")

    @pytest.mark.parametrize(
        "change", [{"wids": ["62e90394-69f5-4237-9190-012177145e10"]}, {"exp": 1 << 40}, {"oid": "another"}]
    )
    def test_changed_claims(self, refused, good, change):
        """Changed claims under the old signature are refused."""
        assert "Invalid signature" in refused(f"{good[0]}.{encode(decode(good[1]) | change)}.{good[2]}")

    def test_id_token_is_no_access_token(self, refused, ask, tenant, good):
        """An id token is signed by the same key and is for the client, not for Graph."""
        form = {"client_id": GRAPH_RESOURCE, "grant_type": "password", "scope": "openid User.Read"}
        form |= {"username": "alice@contoso.example", "password": GOOD}
        answer = ask("POST", f"https://login.microsoftonline.com/{tenant.tenant_id}/oauth2/v2.0/token", data=form)
        assert "issuer: the token is no access token" in refused(json.loads(answer.body)["id_token"])

    @pytest.mark.parametrize(
        "token",
        ["", "x", "a.b", "a.b.c", "....", ".", "é.é.é", "x" * 20_000, f"{'W' * 3000}.{'W' * 3000}.x", "[[]].e30.e30"],
    )
    def test_garbled(self, refused, token):
        """What is no token at all is refused in words, not by a fault."""
        refused(token.encode())

    def test_other_schemes(self, ask):
        """No header, another scheme and an empty one are an empty token."""
        for header in ({}, {"Authorization": "Basic eDp5"}, {"Authorization": "Bearer"}):
            answer = ask("GET", ME, headers=header)
            assert json.loads(answer.body)["error"]["message"] == "Access token is empty."


class TestOutOfPlace:
    def test_expired(self, refused, good, later):
        """A token that has run out is told as expired."""
        later(seconds=3599)
        assert refused(".".join(good)) == "Lifetime validation failed, the token is expired."

    def test_before_its_time(self, refused, good, tenant, clock):
        """A token from the future is refused until then."""
        clock_back = Clock(clock().replace(year=2016))
        issuer = TokenIssuer(clock_back, tenant.tenant_id)
        with pytest.raises(InvalidToken, match="not yet valid"):
            issuer.check(".".join(good), GRAPH_RESOURCE)

    def test_audience(self, refused, token, tenant):
        """A token for another service is refused."""
        message = refused(token(*tenant.admin_account(), "https://graph.windows.net/.default"))
        assert message == "Access token validation failure. Invalid audience."

    def test_other_tenant(self, good, clock):
        """Two tenants of one process: the token of one opens nothing of the other, though one key signs for both."""
        other = Tenant(clock, Randomness(2), PROFILE_2017)
        request = requests.Request("GET", ME, headers={"Authorization": f"Bearer {'.'.join(good)}"}).prepare()
        answer = send(TenantApplication(other), request)
        assert (answer.status, json.loads(answer.body)["error"]["code"]) == (401, "InvalidAuthenticationToken")

    def test_provisioning(self, ask, good):
        """A token for Graph is none for the provisioning service, even an administrator's."""
        answer = ask(
            "POST",
            "https://adminwebservice.microsoftonline.com/provisioningservice.svc",
            headers={"Authorization": f"Bearer {'.'.join(good)}", "Content-Type": "application/soap+msbin1"},
            data=b"",
        )
        assert answer.status >= 400


class TestNobodysPassword:
    @pytest.fixture
    def attempts(self, ask, token, tenant, synchronize):
        """Try every way to set bob's password with a token for this scope -> the statuses."""
        alice, bob = synchronize(tenant, "alice", GOOD), synchronize(tenant, "bob", GOOD)

        def attempt(scope, account=(alice.upn, GOOD)):
            headers = {"Authorization": f"Bearer {token(*account, scope)}"}
            graph = "https://graph.microsoft.com/v1.0"
            profile = {"passwordProfile": {"password": "Helpdesk-77!", "forceChangePasswordNextSignIn": False}}
            change = {"currentPassword": GOOD, "newPassword": "Helpdesk-77!"}
            calls = [
                ("PATCH", f"/users/{bob.id}", profile),
                ("POST", f"/users/{bob.id}/authentication/methods/{METHOD}/resetPassword", {"newPassword": "Help-77!"}),
                ("POST", f"/users/{bob.id}/changePassword", change),
                ("POST", f"/users/{bob.id}/revokeSignInSessions", {}),
                ("DELETE", f"/users/{bob.id}", {}),
                ("PATCH", "/domains/contoso.example", {"passwordValidityPeriodInDays": 14}),
                ("PATCH", "/directory/onPremisesSynchronization", {"features": {"passwordSyncEnabled": False}}),
            ]
            return [ask(method, graph + path, headers=headers, json=body).status for method, path, body in calls]

        yield attempt
        assert tenant.sign_in(bob.upn, GOOD).result == "ok"
        assert tenant.features == {"password-sync"}

    def test_users(self, attempts):
        """With all permissions that there are, a user's token changes nothing of anybody else's."""
        assert attempts(SCOPE) == [403] * 7

    def test_synchronization_account(self, attempts, tenant):
        """Nor does the synchronization account's: its role is for the provisioning service."""
        assert attempts(SCOPE, tenant.sync_account()) == [403] * 7

    def test_administrator_reading(self, attempts, tenant):
        """Nor does an administrator's that was asked for reading."""
        assert attempts("User.Read.All", tenant.admin_account()) == [403] * 7


@given(st.binary(max_size=200), st.integers(0, 2))
def test_any_part(octets, place):
    """A good token with any octets in place of one of its parts is refused."""
    tenant = Tenant(Clock(START), Randomness(1), PROFILE_2017)
    issuer = TokenIssuer(tenant.clock, tenant.tenant_id)
    user = tenant.find_by_upn(tenant.sync_account()[0])
    parts = issuer.access_token(user, tenant.open_session(user), GRAPH_RESOURCE, "User.Read").split(".")
    spoilt = [*parts[:place], encode(octets), *parts[place + 1 :]]
    with pytest.raises(InvalidToken):
        issuer.check(".".join(spoilt), GRAPH_RESOURCE)
