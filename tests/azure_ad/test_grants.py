"""Client credentials, confidential clients, and the older token endpoint."""

from __future__ import annotations

import json
from base64 import b64encode, urlsafe_b64decode
from datetime import timedelta

import pytest

from simulator.azure_ad.applications import FIRST_PARTY
from simulator.azure_ad.http import TenantApplication
from simulator.azure_ad.permissions import APPLICATION
from simulator.azure_ad.tokens import GRAPH_RESOURCE

BASE = "https://login.microsoftonline.com"
GOOD = "Winter-2016!"
PUBLIC = "cb1056e2-e479-49de-ae31-7812af012ed8"
DEFAULT = "https://graph.microsoft.com/.default"


def claims_of(token):
    body = token.split(".")[1]
    return json.loads(urlsafe_b64decode(body + "=" * (-len(body) % 4)))


@pytest.fixture
def post(ask, tenant):
    """POST a form to a path of the tenant; fields given as None are left out -> (status, body)."""

    def send(path="oauth2/v2.0/token", name=None, headers=None, **form):
        data = {key: value for key, value in form.items() if value is not None}
        answer = ask("POST", f"{BASE}/{name or tenant.tenant_id}/{path}", data=data, headers=headers)
        return answer.status, json.loads(answer.body)

    return send


@pytest.fixture
def application(tenant) -> TenantApplication:
    return TenantApplication(tenant)


@pytest.fixture
def registered(tenant):
    """A confidential client, and its secret."""
    made = tenant.applications.register("payroll", roles=frozenset({"User.Read.All"}))
    return made, tenant.applications.add_secret(made)


@pytest.fixture
def alice(tenant, synchronize):
    return synchronize(tenant, "alice", GOOD)


class TestClientCredentials:
    @pytest.fixture
    def own(self, post, registered):
        application, secret = registered
        form = {
            "grant_type": "client_credentials",
            "client_id": application.id,
            "client_secret": secret,
            "scope": DEFAULT,
        }
        return lambda name=None, **changes: post(name=name, **(form | changes))

    def test_token(self, own, registered, tenant):
        """The token is the application's own: its roles, no user, and no refresh token."""
        status, body = own()
        assert (status, set(body)) == (200, {"token_type", "expires_in", "ext_expires_in", "access_token"})
        claims = claims_of(body["access_token"])
        assert (claims["idtyp"], claims["roles"], claims["aud"]) == ("app", ["User.Read.All"], GRAPH_RESOURCE)
        assert (claims["oid"], claims["appid"]) == (registered[0].service_principal, registered[0].id)
        assert "upn" not in claims

    def test_basic(self, post, registered):
        """The secret may come by HTTP Basic."""
        application, secret = registered
        header = b64encode(f"{application.id}:{secret}".encode()).decode()
        status, _ = post(grant_type="client_credentials", scope=DEFAULT, headers={"Authorization": f"Basic {header}"})
        assert status == 200

    @pytest.mark.parametrize(
        ("changes", "status", "error", "code"),
        [
            ({"client_secret": "wrong"}, 401, "invalid_client", 7000215),
            ({"client_secret": "pws~\ud800"}, 401, "invalid_client", 7000215),
            ({"client_secret": None}, 401, "invalid_client", 7000218),
            ({"client_secret": None, "client_assertion": "a.b.c"}, 401, "invalid_client", 700027),
            ({"client_id": "11111111-1111-1111-1111-111111111111"}, 400, "unauthorized_client", 700016),
            ({"client_id": None}, 400, "invalid_request", 900144),
            ({"scope": None}, 400, "invalid_request", 900144),
            ({"scope": "https://graph.microsoft.com/User.Read"}, 400, "invalid_scope", 1002012),
            ({"scope": "openid"}, 400, "invalid_scope", 1002012),
            ({"scope": f"{DEFAULT} https://graph.windows.net/.default"}, 400, "invalid_request", 28000),
            ({"name": "common"}, 400, "invalid_request", 50059),
            ({"name": "fabrikam.example"}, 400, "invalid_request", 90002),
        ],
    )
    def test_refuses(self, own, changes, status, error, code):
        """Each way of being wrong has its error."""
        found, body = own(**{key: value.encode("utf-8", "surrogatepass") if value and "\ud800" in value else value
                             for key, value in changes.items()})  # fmt: skip
        assert (found, body["error"], body["error_codes"]) == (status, error, [code])
        assert "pws~" not in body["error_description"]

    def test_expired_secret(self, own, tenant, registered, later):
        """A secret is good for as long as it was made for; a second one takes its place."""
        later(days=730)
        status, body = own()
        assert (status, body["error_codes"]) == (401, [7000222])
        assert own(client_secret=tenant.applications.add_secret(registered[0], timedelta(days=1)))[0] == 200

    def test_public_application(self, post, tenant):
        """A registered application without a secret is a public client: it has no secret to show, and none to use."""
        made = tenant.applications.register("desktop")
        form = {"grant_type": "client_credentials", "client_id": made.id, "scope": DEFAULT}
        assert post(**form)[1]["error_codes"] == [7000216]
        assert post(**form, client_secret="x")[1]["error_codes"] == [700025]

    def test_graph(self, own, ask, tenant, alice):
        """The application reads what its permissions let it read, and resets nobody's password."""
        headers = {"Authorization": f"Bearer {own()[1]['access_token']}"}
        graph = "https://graph.microsoft.com/v1.0"
        assert ask("GET", f"{graph}/users/{alice.id}", headers=headers).status == 200
        path = f"{graph}/users/{alice.id}/authentication/methods/28c10230-6103-485e-b985-444c60001490/resetPassword"
        assert ask("POST", path, headers=headers, json={}).status == 403
        assert ask("PATCH", f"{graph}/users/{alice.id}", headers=headers, json={"accountEnabled": False}).status == 403
        assert ask("GET", f"{graph}/me", headers=headers).status == 400
        assert alice.enabled

    def test_no_application_resets(self, post, ask, tenant, alice):
        """resetPassword is for administrators alone: no application permission opens it."""
        made = tenant.applications.register("all", roles=APPLICATION)
        form = {"client_id": made.id, "client_secret": tenant.applications.add_secret(made), "scope": DEFAULT}
        token = post(grant_type="client_credentials", **form)[1]["access_token"]
        path = f"/users/{alice.id}/authentication/methods/28c10230-6103-485e-b985-444c60001490/resetPassword"
        answer = ask(
            "POST", f"https://graph.microsoft.com/v1.0{path}", headers={"Authorization": f"Bearer {token}"}, json={}
        )
        assert answer.status == 403
        assert alice.source == "synced"


class TestConfidentialClient:
    @pytest.fixture
    def sign_in(self, post, registered, alice):
        application, secret = registered
        form = {"client_id": application.id, "client_secret": secret}

        def send(**changes):
            scope = f"{DEFAULT} offline_access"
            return post(**(form | {"grant_type": "password", "username": alice.upn, "password": GOOD, "scope": scope})
                        | changes)  # fmt: skip

        return send

    def test_outlives_passwords(self, sign_in, tenant, alice, synchronize):
        """A confidential client's refresh token survives the user's change, and a reset by PowerShell."""
        token = sign_in()[1]["refresh_token"]
        tenant.change_password(alice, GOOD, "Spring-2017!")
        tenant.reset_password(alice, "Helpdesk-77!")
        assert sign_in(grant_type="refresh_token", refresh_token=token)[0] == 200

    def test_revoked(self, sign_in, tenant, alice):
        """A revocation of all sessions ends it, and so does a reset in the admin center."""
        for end in (
            lambda: tenant.revoke_sessions(alice),
            lambda: tenant.reset_password(alice, GOOD, everywhere=True),
        ):
            token = sign_in()[1]["refresh_token"]
            end()
            assert sign_in(grant_type="refresh_token", refresh_token=token)[1]["error_codes"] == [50173]

    def test_needs_its_secret(self, sign_in, alice, tenant):
        """Without its secret, or with another client's id, the refresh token is worth nothing."""
        token = sign_in()[1]["refresh_token"]
        refresh = {"grant_type": "refresh_token", "refresh_token": token}
        assert sign_in(**refresh, client_secret=None)[1]["error_codes"] == [7000218]
        assert sign_in(**refresh, client_id=PUBLIC, client_secret=None)[1]["error_codes"] == [9002313]
        assert tenant.sign_in_log[-1].result == "ok"

    def test_wrong_secret_is_no_sign_in(self, sign_in, tenant):
        """A client that can't show who it is never gets as far as the password."""
        assert sign_in(client_secret="wrong")[1]["error_codes"] == [7000215]
        assert tenant.sign_in_log == []


class TestConsent:
    def test_of_registered(self, post, tenant, alice):
        """A registered client gets what it has consent for; for more it is told that consent is required."""
        made = tenant.applications.register("desktop", scopes=frozenset({"User.Read"}))
        form = {"grant_type": "password", "client_id": made.id, "username": alice.upn, "password": GOOD}
        assert claims_of(post(**form, scope=DEFAULT)[1]["access_token"])["scp"] == "User.Read"
        assert claims_of(post(**form, scope="user.read")[1]["access_token"])["scp"] == "User.Read"
        status, body = post(**form, scope="User.ReadWrite.All")
        assert (status, body["error"], body["suberror"]) == (400, "invalid_grant", "consent_required")
        assert body["error_codes"] == [65001]

    def test_default_alone(self, post, alice):
        """.default can't stand beside permissions by name."""
        form = {"grant_type": "password", "client_id": PUBLIC, "username": alice.upn, "password": GOOD}
        assert post(**form, scope=f"{DEFAULT} User.Read")[1]["error_codes"] == [70011]

    def test_unregistered(self, post, tenant, alice):
        """A public client need not be registered, unless the tenant is as strict as the real one."""
        form = {"grant_type": "password", "username": alice.upn, "password": GOOD, "scope": "User.Read"}
        assert post(**form, client_id="mine")[0] == 200
        tenant.applications.known_only = True
        assert post(**form, client_id="mine")[1]["error_codes"] == [700016]
        assert [post(**form, client_id=each.upper())[0] for each in FIRST_PARTY] == [200] * len(FIRST_PARTY)

    def test_identity_of_resources(self, post, alice):
        """A resource may be named by its application's id."""
        form = {"grant_type": "password", "client_id": PUBLIC, "username": alice.upn, "password": GOOD}
        token = post(**form, scope="00000003-0000-0000-c000-000000000000/User.Read")[1]["access_token"]
        assert claims_of(token)["aud"] == GRAPH_RESOURCE


class TestOlderEndpoint:
    @pytest.fixture
    def older(self, post, alice):
        form = {
            "grant_type": "password",
            "client_id": PUBLIC,
            "username": alice.upn,
            "password": GOOD,
            "resource": "https://graph.microsoft.com/",
        }
        return lambda **changes: post("oauth2/token", **(form | changes))

    def test_answer(self, older, clock):
        """Numbers are texts, the resource is named, and a refresh token comes unasked."""
        status, body = older()
        assert (status, body["expires_in"], body["resource"]) == (200, "3599", GRAPH_RESOURCE)
        assert int(body["expires_on"]) - int(body["not_before"]) == 3599
        assert int(body["not_before"]) == clock().timestamp()
        assert {"refresh_token", "scope"} <= set(body)
        assert "id_token" not in body

    def test_id_token(self, older):
        """With openid an id token comes, which nobody has signed."""
        token = older(scope="openid")[1]["id_token"]
        assert token.endswith(".")
        assert claims_of(token)["ver"] == "1.0"

    def test_default_resource(self, older):
        """Without a resource the token is for the directory."""
        assert older(resource=None)[1]["resource"] == "https://graph.windows.net"

    def test_refresh(self, older):
        """A refresh token is exchanged for a token for another resource."""
        token = older()[1]["refresh_token"]
        form = {"grant_type": "refresh_token", "refresh_token": token, "resource": "https://graph.windows.net"}
        assert older(**form)[1]["resource"] == "https://graph.windows.net"
        assert older(**(form | {"resource": None}))[1]["resource"] == GRAPH_RESOURCE

    def test_two_codes(self, older):
        """In 2017 refused credentials have two codes, the outer one first; other errors have one."""
        status, body = older(password="wrong")
        assert (status, body["error_codes"]) == (400, [70002, 50126])
        assert body["error_description"].startswith("AADSTS70002: Error validating credentials. AADSTS50126: ")
        assert older(username="nobody@contoso.example")[1]["error_codes"] == [50034]

    def test_client_credentials(self, post, registered):
        """An application's own token, the older way."""
        application, secret = registered
        form = {"client_id": application.id, "client_secret": secret, "resource": GRAPH_RESOURCE}
        status, body = post("oauth2/token", grant_type="client_credentials", **form)
        assert (status, body["resource"], "refresh_token" in body) == (200, GRAPH_RESOURCE, False)
        wrong = post("oauth2/token", grant_type="client_credentials", **(form | {"client_secret": "x"}))
        assert wrong[1]["error_codes"] == [70002, 7000215]

    def test_discovery(self, ask, tenant):
        """Each endpoint has its own discovery; of several tenants' endpoint the issuer is a pattern."""
        older = json.loads(ask("GET", f"{BASE}/{tenant.tenant_id}/.well-known/openid-configuration").body)
        assert older["token_endpoint"] == f"{BASE}/{tenant.tenant_id}/oauth2/token"
        assert older["issuer"] == f"https://sts.windows.net/{tenant.tenant_id}/"
        common = json.loads(ask("GET", f"{BASE}/common/v2.0/.well-known/openid-configuration").body)
        assert common["issuer"] == f"{BASE}/{{tenantid}}/v2.0"


class TestTenantNames:
    def test_any_domain(self, post, alice):
        """The tenant goes by any of its domains."""
        form = {"grant_type": "password", "client_id": PUBLIC, "username": alice.upn, "password": GOOD}
        assert post(name="CONTOSO.example", **form, scope=DEFAULT)[0] == 200


def test_today_has_one_code(current, synchronize):
    """Today the older endpoint tells refused credentials by one code."""
    from requests import Request

    from simulator.azure_ad.doubles import send

    synchronize(current, "alice", GOOD)
    form = {"grant_type": "password", "client_id": PUBLIC, "username": "alice@contoso.example", "password": "wrong"}
    request = Request("POST", f"{BASE}/{current.tenant_id}/oauth2/token", data=form).prepare()
    assert json.loads(send(TenantApplication(current), request).body)["error_codes"] == [50126]


def test_password_that_expires_soon(post, tenant, later):
    """Within the notice of 14 days the id token says in how many seconds the password expires, and where to act."""
    tenant.create_user("bob", GOOD)
    form = {
        "grant_type": "password",
        "client_id": PUBLIC,
        "username": f"bob@{tenant.tenant_domain}",
        "password": GOOD,
        "scope": "openid User.Read",
    }
    later(days=75, hours=23, minutes=59)
    assert "pwd_exp" not in claims_of(post(**form)[1]["id_token"])
    later(minutes=1)
    claims = claims_of(post(**form)[1]["id_token"])
    assert claims["pwd_exp"] == 14 * 24 * 3600
    assert claims["pwd_url"].startswith("https://")
