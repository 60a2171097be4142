"""The sign-in host: discovery, realms and the token endpoint."""

from __future__ import annotations

import json

import pytest

BASE = "https://login.microsoftonline.com"
CLIENT = "cb1056e2-e479-49de-ae31-7812af012ed8"
GOOD = "Winter-2016!"


@pytest.fixture
def post(ask, tenant):
    """POST a form to the token endpoint; fields given as None are left out."""

    def send(name=None, **fields):
        form = {
            "client_id": CLIENT,
            "client_info": "1",
            "grant_type": "password",
            "username": "alice@contoso.example",
            "password": GOOD,
            "scope": "https://graph.windows.net/.default openid profile offline_access",
        }
        form = {key: value for key, value in (form | fields).items() if value is not None}
        answer = ask("POST", f"{BASE}/{name or tenant.tenant_id}/oauth2/v2.0/token", data=form)
        return answer.status, json.loads(answer.body), dict(answer.headers)

    return send


@pytest.fixture
def alice(tenant, synchronize):
    return synchronize(tenant, "alice", GOOD)


class TestDiscovery:
    def test_configuration(self, ask, tenant):
        """The document names the endpoints of the tenant, by id or by domain."""
        for name in (tenant.tenant_id, tenant.tenant_domain):
            found = json.loads(ask("GET", f"{BASE}/{name}/v2.0/.well-known/openid-configuration").body)
            assert found["token_endpoint"] == f"{BASE}/{tenant.tenant_id}/oauth2/v2.0/token"
            assert {"authorization_endpoint", "device_authorization_endpoint", "issuer", "jwks_uri"} <= set(found)

    def test_unknown_tenant(self, ask):
        """A tenant that is not there is refused by name."""
        answer = ask("GET", f"{BASE}/fabrikam.example/v2.0/.well-known/openid-configuration")
        found = json.loads(answer.body)
        assert (answer.status, found["error"], found["error_codes"]) == (400, "invalid_tenant", [90002])

    def test_keys(self, ask, tenant):
        """The public key is published, and no more of it."""
        (key,) = json.loads(ask("GET", f"{BASE}/{tenant.tenant_id}/discovery/v2.0/keys").body)["keys"]
        assert set(key) == {"kty", "use", "alg", "kid", "n", "e"}

    def test_instance(self, ask):
        """Instance discovery leads to the tenant's document."""
        url = f"{BASE}/common/discovery/instance"
        asked = f"{BASE}/contoso.onmicrosoft.com/oauth2/v2.0/authorize"
        answer = ask("GET", url, params={"api-version": "1.1", "authorization_endpoint": asked})
        document = json.loads(answer.body)["tenant_discovery_endpoint"]
        assert document == f"{BASE}/contoso.onmicrosoft.com/v2.0/.well-known/openid-configuration"

    def test_realm(self, ask, tenant, alice, federate):
        """A user's domain is managed, federated, or unknown."""

        def realm(upn):
            return json.loads(ask("GET", f"{BASE}/common/userrealm/{upn}?api-version=1.0").body)

        assert realm(alice.upn)["account_type"] == "Managed"
        assert realm("new%40contoso.onmicrosoft.com")["domain_name"] == "contoso.onmicrosoft.com"
        assert realm("x@elsewhere.example")["account_type"] == "Unknown"
        trust = federate("contoso.example")
        federated = realm(alice.upn)
        assert (federated["account_type"], federated["federation_protocol"]) == ("Federated", "WSTrust")
        assert (federated["federation_metadata_url"], federated["federation_active_auth_url"]) == (
            trust.metadata_url,
            trust.sign_in_url,
        )

    @pytest.mark.parametrize(
        ("method", "path"),
        [("GET", "/"), ("GET", "/x/oauth2/authorize"), ("DELETE", "/common/discovery"), ("GET", "//..//%00")],
    )
    def test_unknown_path(self, ask, method, path):
        """An unknown path says what came and what is known."""
        answer = ask(method, BASE + path)
        message = json.loads(answer.body)["error_description"]
        assert answer.status == 404
        assert method in message
        assert "/oauth2/v2.0/token" in message


class TestPasswordGrant:
    def test_signs_in(self, post, alice, tenant):
        """The right password brings all the tokens that were asked for."""
        status, body, headers = post()
        assert (status, body["token_type"], body["expires_in"]) == (200, "Bearer", 3599)
        assert {"access_token", "refresh_token", "id_token", "client_info"} <= set(body)
        assert body["scope"] == "https://graph.windows.net/.default"
        assert headers["Cache-Control"] == "no-store"
        assert tenant.sign_in_log[-1].result == "ok"

    def test_asks_for_less(self, post, alice):
        """Refresh token, id token and client info come only if asked for."""
        _, body, _ = post(scope="User.Read", client_info=None)
        assert set(body) == {"token_type", "scope", "expires_in", "ext_expires_in", "access_token"}

    @pytest.mark.parametrize(
        ("fields", "code"),
        [
            ({"password": "wrong"}, 50126),
            ({"password": " " + GOOD}, 50126),
            ({"username": "nobody@contoso.example"}, 50034),
            ({"username": "{0.__class__}{upn}%s"}, 50034),
        ],
    )
    def test_refuses(self, post, alice, fields, code):
        """A refused sign-in is a 400 in the service's shape that may be tried again at once."""
        status, body, headers = post(**fields)
        assert (status, body["error"], body["error_codes"]) == (400, "invalid_grant", [code])
        description = body["error_description"]
        assert description.startswith(f"AADSTS{code}: ")
        assert f"Trace ID: {body['trace_id']} Correlation ID: {body['correlation_id']}" in description
        assert description.endswith(f"Timestamp: {body['timestamp']}")
        assert body["timestamp"] == "2017-01-13 09:00:00Z"
        assert headers["Retry-After"] == "0"

    @pytest.mark.parametrize(
        ("state", "code"), [("disabled", 50057), ("expired", 50055), ("locked", 50053), ("none", 50056)]
    )
    def test_states(self, post, tenant, export, alice, state, code):
        """Each state of the account has its code."""
        if state == "disabled":
            tenant.set_user(alice, enabled=False)
        elif state == "expired":
            tenant.reset_password(alice, GOOD, must_change=True)
        elif state == "locked":
            for number in range(10):
                tenant.sign_in(alice.upn, str(number))
        else:
            export(tenant, "bob")
        upn = "bob@contoso.example" if state == "none" else alice.upn
        assert post(username=upn)[1]["error_codes"] == [code]

    def test_federated(self, post, tenant, alice, federate):
        """A federated user's password is not looked at in the cloud."""
        federate("contoso.example")
        assert post()[1]["error_codes"] == [50126]
        assert tenant.sign_in_log == []

    @pytest.mark.parametrize("missing", ["client_id", "grant_type", "username", "password", "scope"])
    def test_missing(self, post, alice, missing):
        """A missing field is named."""
        status, body, _ = post(**{missing: None})
        assert (status, body["error"], body["error_codes"]) == (400, "invalid_request", [900144])
        assert f"'{missing}'" in body["error_description"]

    @pytest.mark.parametrize("grant", ["authorization_code", "urn:ietf:params:oauth:grant-type:jwt-bearer", "magic"])
    def test_unsupported_grant(self, post, grant):
        """A grant that is not here gets the service's own error."""
        status, body, _ = post(grant_type=grant)
        assert (status, body["error"], body["error_codes"]) == (400, "unsupported_grant_type", [70003])

    @pytest.mark.parametrize(("name", "code"), [("common", 9001023), ("consumers", 9001023), ("fabrikam", 90002)])
    def test_wrong_authority(self, post, alice, name, code):
        """The grant needs a tenant, and this one."""
        assert post(name)[1]["error_codes"] == [code]
        assert post("organizations")[0] == 200

    def test_method(self, ask, tenant):
        """A known path under another method is refused in the endpoint's words."""
        for method, path in (
            ("GET", f"/{tenant.tenant_id}/oauth2/v2.0/token"),
            ("DELETE", "/common/discovery/instance"),
        ):
            answer = ask(method, BASE + path)
            assert (answer.status, json.loads(answer.body)["error_codes"]) == (400, [900561])

    @pytest.mark.parametrize("data", [b"", b"\xff\xfe=&&&", b"a=1&" * 5000, b"%zz=%%%"])
    def test_garbled(self, ask, tenant, data):
        """A garbled form is a refusal like any other."""
        answer = ask("POST", f"{BASE}/{tenant.tenant_id}/oauth2/v2.0/token", data=data)
        assert (answer.status, json.loads(answer.body)["error"]) == (400, "invalid_request")


class TestRefreshGrant:
    @pytest.fixture
    def grant(self, post, alice):
        refresh_token = post()[1]["refresh_token"]
        return lambda **fields: post(grant_type="refresh_token", refresh_token=refresh_token, **fields)

    def test_renews(self, grant, later):
        """A refresh token brings a new access token, an hour and 89 days later."""
        later(hours=1)
        assert grant()[0] == 200
        later(days=89)
        assert grant()[0] == 200

    def test_expired(self, grant, later):
        """90 days unused end it."""
        later(days=90)
        assert grant()[1]["error_codes"] == [700082]

    def test_revoked(self, grant, tenant, alice, later):
        """After a reset a fresh sign-in is needed; the text names both times."""
        later(minutes=5)
        tenant.reset_password(alice, "Helpdesk-77!")
        status, body, _ = grant()
        assert (status, body["error"], body["error_codes"]) == (400, "invalid_grant", [50173])
        assert "2017-01-13T09:00:00" in body["error_description"]
        assert "2017-01-13T09:05:00" in body["error_description"]

    def test_disabled_and_deleted(self, grant, tenant, alice):
        """A disabled or deleted user gets the code of that state."""
        tenant.set_user(alice, enabled=False)
        assert grant()[1]["error_codes"] == [50057]
        tenant.delete_user(alice)
        assert grant()[1]["error_codes"] == [50034]

    @pytest.mark.parametrize("fields", [{"refresh_token": "forged"}, {"client_id": "another"}])
    def test_not_ours(self, post, alice, fields):
        """A forged token, and one of another client, are refused."""
        form = {"grant_type": "refresh_token", "refresh_token": post()[1]["refresh_token"]} | fields
        assert post(**form)[1]["error_codes"] == [9002313]
