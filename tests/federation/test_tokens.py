"""The token endpoint and Graph over HTTP, for users of a federated domain."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode

import pytest
import requests
from federation.conftest import ALICE, GRANTS, NAME

from simulator.azure_ad.doubles import send
from simulator.azure_ad.http import TenantApplication
from simulator.federation.names import SAML1, SAML2

CLIENT = "cb1056e2-e479-49de-ae31-7812af012ed8"
GRAPH = "https://graph.microsoft.com/v1.0"


@pytest.fixture
def application(lab):
    return TenantApplication(lab.tenant)


@pytest.fixture
def post(lab, application):
    """POST a SAML grant to a token endpoint; fields given as None are left out."""

    def send_it(path="oauth2/v2.0/token", kind=SAML1, **fields):
        form = {
            "client_id": CLIENT,
            "client_info": "1",
            "grant_type": GRANTS[kind],
            "assertion": urlsafe_b64encode(lab.token(kind)).decode(),
            "scope": "https://graph.microsoft.com/.default openid profile offline_access",
        }
        form = {key: value for key, value in (form | fields).items() if value is not None}
        url = f"https://login.microsoftonline.com/{lab.tenant.tenant_id}/{path}"
        answer = send(application, requests.Request("POST", url, data=form).prepare())
        return answer.status, json.loads(answer.body)

    return send_it


@pytest.fixture
def graph(lab, application):
    """Call Graph as the tenant's administrator."""
    name, password = lab.tenant.admin_account()
    form = {"client_id": CLIENT, "grant_type": "password", "username": name, "password": password,
            "scope": "https://graph.microsoft.com/.default"}  # fmt: skip
    url = f"https://login.microsoftonline.com/{lab.tenant.tenant_id}/oauth2/v2.0/token"
    token = json.loads(send(application, requests.Request("POST", url, data=form).prepare()).body)["access_token"]

    def call(method, path, body=None):
        request = requests.Request(method, f"{GRAPH}{path}", json=body, headers={"Authorization": f"Bearer {token}"})
        answer = send(application, request.prepare())
        return answer.status, json.loads(answer.body) if answer.body else {}

    return call


class TestGrant:
    @pytest.mark.parametrize("kind", [SAML1, SAML2])
    def test_tokens(self, lab, alice, post, kind):
        """An assertion brings an access token, a refresh token, an id token and the account's id."""
        status, body = post(kind=kind)
        assert (status, body["token_type"]) == (200, "Bearer")
        assert {"access_token", "refresh_token", "id_token", "client_info"} <= set(body)
        session = lab.tenant.find_session(body["refresh_token"])
        assert session.user_id == alice.id

    def test_older_endpoint(self, post):
        """The older endpoint takes an assertion too."""
        status, body = post("oauth2/token", scope="openid", resource="https://graph.microsoft.com")
        assert (status, body["resource"]) == (200, "https://graph.microsoft.com")

    @pytest.mark.parametrize("field", ["assertion", "scope", "client_id"])
    def test_missing(self, post, field):
        """A missing field is named."""
        status, body = post(**{field: None})
        assert (status, body["error_codes"]) == (400, [900144])
        assert f"'{field}'" in body["error_description"]

    def test_refused(self, lab, post):
        """A refusal is the endpoint's own: a code, a text, no session."""
        status, body = post(assertion=urlsafe_b64encode(b"<a/>").decode())
        assert (status, body["error"], body["error_codes"]) == (400, "invalid_grant", [50008])
        assert body["error_description"].startswith("AADSTS50008: SAML token is invalid: ")

    def test_once(self, post, lab):
        """The same assertion a second time is refused."""
        assertion = urlsafe_b64encode(lab.token()).decode()
        assert [post(assertion=assertion)[0], post(assertion=assertion)[0]] == [200, 400]

    def test_refresh(self, lab, post):
        """The refresh token goes on working after the domain was converted."""
        refresh = post()[1]["refresh_token"]
        lab.tenant.federated_domains.convert(NAME, None)
        lab.later(hours=2)
        status, body = post(grant_type="refresh_token", assertion=None, refresh_token=refresh)
        assert (status, "access_token" in body) == (200, True)


class TestGraph:
    def test_domain(self, graph):
        """A federated domain is shown as one, and its password periods can't be set."""
        assert graph("GET", f"/domains/{NAME}")[1]["authenticationType"] == "Federated"
        status, body = graph("PATCH", f"/domains/{NAME}", {"passwordValidityPeriodInDays": 30})
        assert (status, "A federated domain" in body["error"]["message"]) == (400, True)

    def test_reset(self, graph, lab, alice):
        """An administrator can't set a federated user's password by any of Graph's ways."""
        before = len(lab.tenant.writes)
        profile = {"passwordProfile": {"password": "Helpdesk-77!"}}
        method = "28c10230-6103-485e-b985-444c60001490"
        reset = f"/users/{alice.id}/authentication/methods/{method}/resetPassword"
        assert graph("PATCH", f"/users/{ALICE}", profile)[0] == 400
        assert graph("POST", reset, {"newPassword": "Helpdesk-77!"})[0] >= 400
        assert len(lab.tenant.writes) == before
        lab.tenant.federated_domains.set(NAME, None)
        assert graph("PATCH", f"/users/{ALICE}", profile)[0] == 204
        assert len(lab.tenant.writes) == before + 1
