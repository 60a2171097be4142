"""Graph: what administrators and users do over HTTP."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.azure_ad.errors import GraphError
from simulator.azure_ad.graph.filters import read_filter

BASE = "https://graph.microsoft.com/v1.0"
SCOPE = "https://graph.microsoft.com/.default"
METHOD = "28c10230-6103-485e-b985-444c60001490"
GOOD = "Winter-2016!"


@pytest.fixture
def admin(token, tenant):
    return token(*tenant.admin_account(), SCOPE)


@pytest.fixture
def graph(ask, admin):
    """Call Graph: ``graph("GET", "/users", token=..., json=..., params=...)`` -> (status, body or None, headers)."""

    def send(method, path, *, token=admin, **parts):
        answer = ask(method, BASE + path, headers={"Authorization": f"Bearer {token}"}, **parts)
        return answer.status, json.loads(answer.body) if answer.body else None, dict(answer.headers)

    return send


@pytest.fixture
def alice(tenant, synchronize):
    return synchronize(tenant, "alice", GOOD)


class TestRead:
    def test_by_default(self, graph, alice):
        """A user has the few properties that Graph returns unasked, by id or by name."""
        for name in (alice.id, alice.upn, alice.id.upper()):
            status, body, _ = graph("GET", f"/users/{name}")
            assert (status, body["userPrincipalName"], "passwordPolicies" in body) == (200, alice.upn, False)

    def test_select(self, graph, alice):
        """Password properties come on request; the password never does."""
        names = (
            "passwordPolicies,passwordProfile,lastPasswordChangeDateTime,onPremisesSyncEnabled,onPremisesImmutableId"
        )
        _, body, _ = graph("GET", f"/users/{alice.id}", params={"$select": names})
        assert body["passwordPolicies"] == "DisablePasswordExpiration"
        flags = {"forceChangePasswordNextSignIn": False, "forceChangePasswordNextSignInWithMfa": False}
        assert body["passwordProfile"] == {"password": None, **flags}
        assert body["lastPasswordChangeDateTime"] == "2017-01-13T09:00:00Z"
        assert (body["onPremisesSyncEnabled"], body["onPremisesImmutableId"]) == (True, "alice==")
        assert "PPH1" not in json.dumps(body)

    def test_cloud_user(self, graph, tenant):
        """A user who never was synchronized has null, not false."""
        user = tenant.create_user("bob", GOOD)
        _, body, _ = graph("GET", f"/users/{user.id}?$select=onPremisesSyncEnabled")
        assert body["onPremisesSyncEnabled"] is None

    def test_list_filter_and_pages(self, graph, tenant, export):
        """Users are listed in pages, filtered."""
        for number in range(5):
            export(tenant, f"user{number}", accountEnabled=number != 3)
        query = {
            "$filter": "accountEnabled eq true and startswith(userPrincipalName,'USER')",
            "$top": "3",
            "$select": "displayName",
        }
        _, body, _ = graph("GET", "/users", params=query)
        names = [user["displayName"] for user in body["value"]]
        _, rest, _ = graph("GET", body["@odata.nextLink"].removeprefix(BASE))
        assert names + [user["displayName"] for user in rest["value"]] == ["user0", "user1", "user2", "user4"]
        assert "@odata.nextLink" not in rest

    @pytest.mark.parametrize(
        ("clause", "count"),
        [
            ("onPremisesImmutableId eq 'alice=='", 1),
            ("onPremisesSyncEnabled eq true", 1),
            ("displayName eq 'O''Neil and Sons'", 0),
            ("userPrincipalName eq 'ALICE@contoso.example'", 1),
        ],
    )
    def test_filters(self, graph, alice, clause, count):
        """Filters on the documented fields work."""
        assert len(graph("GET", "/users", params={"$filter": clause})[1]["value"]) == count

    @pytest.mark.parametrize(
        "query",
        [
            {"$filter": "nonsense"},
            {"$filter": ""},
            {"$filter": "displayName eq 'x' or true"},
            {"$filter": "passwordProfile eq null"},
            {"$filter": "colour eq 'blue'"},
            {"$select": "id,colour"},
            {"$top": "0"},
            {"$top": "1000"},
            {"$top": "²"},
            {"$expand": "manager"},
        ],
    )
    def test_bad_queries(self, graph, query):
        """What Graph here does not understand is a 400 that says what it knows."""
        status, body, _ = graph("GET", "/users", params=query)
        assert status == 400
        assert set(body["error"]) == {"code", "message", "innerError"}

    def test_not_found(self, graph):
        """A missing user is a 404 in Graph's shape."""
        status, body, _ = graph("GET", "/users/nobody@contoso.example")
        assert (status, body["error"]["code"]) == (404, "Request_ResourceNotFound")
        assert "'nobody@contoso.example'" in body["error"]["message"]
        assert body["error"]["innerError"]["date"] == "2017-01-13T09:00:00"


class TestWrite:
    def test_password(self, graph, tenant, alice):
        """PATCH of the password is an administrator's reset; a change is forced unless said otherwise."""
        profile = {"password": "Helpdesk-77!", "forceChangePasswordNextSignIn": False}
        assert graph("PATCH", f"/users/{alice.id}", json={"passwordProfile": profile})[0] == 204
        assert tenant.sign_in(alice.upn, "Helpdesk-77!").result == "ok"
        assert alice.source == "admin-reset"
        graph("PATCH", f"/users/{alice.id}", json={"passwordProfile": {"password": "Helpdesk-78!"}})
        assert tenant.sign_in(alice.upn, "Helpdesk-78!").result == "must-change"

    def test_weak_password(self, graph, tenant, alice):
        """What the policy forbids is a 400, and nothing of the request is done."""
        body = {"accountEnabled": False, "passwordProfile": {"password": "short"}}
        status, answer, _ = graph("PATCH", f"/users/{alice.id}", json=body)
        assert (status, answer["error"]["code"]) == (400, "Request_BadRequest")
        assert "complexity" in answer["error"]["message"]
        assert tenant.sign_in(alice.upn, GOOD).result == "ok"

    def test_policies(self, graph, alice):
        """passwordPolicies are set and cleared; an unknown word changes nothing, not even the password."""
        graph("PATCH", f"/users/{alice.id}", json={"passwordPolicies": "None"})
        assert alice.password_policies is None
        body = {"passwordPolicies": "Nonsense", "passwordProfile": {"password": "Helpdesk-77!"}}
        assert graph("PATCH", f"/users/{alice.id}", json=body)[0] == 400
        assert alice.source == "synced"
        graph("PATCH", f"/users/{alice.id}", json={"passwordPolicies": "DisablePasswordExpiration"})
        graph("PATCH", f"/users/{alice.id}", json={"passwordPolicies": None})
        assert alice.password_policies is None

    def test_create(self, graph, tenant):
        """POST makes a cloud user who must change the password."""
        body = {
            "accountEnabled": True,
            "displayName": "Bob",
            "mailNickname": "bob",
            "userPrincipalName": "bob@contoso.onmicrosoft.com",
            "passwordProfile": {"password": GOOD},
        }
        status, answer, _ = graph("POST", "/users", json=body)
        assert (status, answer["displayName"]) == (201, "Bob")
        assert tenant.sign_in("bob@contoso.onmicrosoft.com", GOOD).result == "must-change"
        status, answer, _ = graph("POST", "/users", json=body)
        assert (status, "same value" in answer["error"]["message"]) == (400, True)

    def test_create_in_another_domain(self, graph, tenant, alice):
        """A user of the cloud may be made in any domain of the tenant's, and lacks none of what is needed."""
        body = {
            "accountEnabled": True,
            "displayName": "Bob",
            "mailNickname": "bob",
            "userPrincipalName": "bob@CONTOSO.example",
            "givenName": "Robert",
            "passwordPolicies": "DisablePasswordExpiration",
            "passwordProfile": {"password": GOOD, "forceChangePasswordNextSignIn": False},
        }
        for name in ("accountEnabled", "displayName", "mailNickname", "userPrincipalName", "passwordProfile"):
            status, answer, _ = graph("POST", "/users", json={**body, name: None})
            assert (status, f"'{name}'" in answer["error"]["message"]) == (400, True)
        assert graph("POST", "/users", json=body)[1]["givenName"] == "Robert"
        user = tenant.find_by_upn("bob@contoso.example")
        assert tenant.sign_in(user.upn, GOOD).result == "ok"
        assert tenant.expires(user) is None
        assert graph("POST", "/users", json=body | {"userPrincipalName": "ALICE@contoso.example"})[0] == 400

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"userPrincipalName": "bob@contoso.onmicrosoft.com"},
            {"userPrincipalName": "bob@contoso.onmicrosoft.com", "passwordProfile": {"password": "short"}},
            {"userPrincipalName": "bob@elsewhere.example", "passwordProfile": {"password": GOOD}},
            {"userPrincipalName": 7, "passwordProfile": []},
            {"userPrincipalName": "b b@contoso.onmicrosoft.com", "passwordProfile": {"password": GOOD}},
            {
                "userPrincipalName": "b@contoso.onmicrosoft.com",
                "passwordProfile": {"password": GOOD},
                "accountEnabled": 1,
            },
        ],
    )
    def test_bad_create(self, graph, tenant, body):
        """A user that lacks something, or has it wrong, is not made."""
        before = len(tenant.users)
        assert graph("POST", "/users", json=body)[0] == 400
        assert len(tenant.users) == before

    def test_delete(self, graph, tenant, alice):
        """DELETE puts the user into the recycle bin."""
        assert graph("DELETE", f"/users/{alice.id}")[0] == 204
        assert tenant.find_by_upn(alice.upn) is None

    def test_reset_operation(self, graph, tenant, alice):
        """resetPassword answers with an operation that runs and then succeeds; the user must change the password."""
        path = f"/users/{alice.id}/authentication/methods/{METHOD}/resetPassword"
        status, body, headers = graph("POST", path, json={"newPassword": "Helpdesk-77!"})
        assert (status, "newPassword" in body) == (202, False)
        looks = [graph("GET", headers["Location"].removeprefix(BASE)) for _ in range(3)]
        assert [(status, body["status"]) for status, body, _ in looks] == [
            (200, "running"),
            (200, "succeeded"),
            (200, "succeeded"),
        ]
        assert tenant.sign_in(alice.upn, "Helpdesk-77!").result == "must-change"
        assert graph("GET", f"/users/{alice.id}/authentication/operations/none")[0] == 404
        assert graph("POST", path.replace(METHOD, "other"), json={})[0] == 404

    def test_generated(self, graph, tenant, alice):
        """Without a password one is made that the policy takes."""
        path = f"/users/{alice.id}/authentication/methods/{METHOD}/resetPassword"
        password = graph("POST", path, json={})[1]["newPassword"]
        assert tenant.sign_in(alice.upn, password).result == "must-change"

    def test_revoke(self, graph, tenant, alice, later):
        """revokeSignInSessions ends refresh tokens and moves the time from which sessions are valid."""
        session = tenant.open_session(alice)
        later(minutes=1)
        assert graph("POST", f"/users/{alice.id}/revokeSignInSessions")[1]["value"] is True
        assert tenant.session_state(session) == ("ok", "revoked")
        _, body, _ = graph("GET", f"/users/{alice.id}?$select=signInSessionsValidFromDateTime")
        assert body["signInSessionsValidFromDateTime"] == "2017-01-13T09:01:00Z"

    def test_features(self, graph, tenant):
        """The features of synchronization are read and set."""
        path = "/directory/onPremisesSynchronization"
        assert graph("GET", path)[1]["features"]["passwordSyncEnabled"] is True
        assert graph("PATCH", path, json={"features": {"passwordSyncEnabled": False}})[0] == 204
        assert tenant.features == set()
        assert graph("PATCH", path, json={"features": {"passwordSyncEnabled": "yes"}})[0] == 400
        assert graph("PATCH", f"/organization/{tenant.tenant_id}", json={"onPremisesSyncEnabled": True})[0] == 204

    @pytest.mark.parametrize(
        "data", [b"{", b"[]", b"\xff", b'{"colour": 1}', b'{"passwordProfile": "x"}', b"[" * 100_000]
    )
    @pytest.mark.parametrize("kind", ["application/json", "application/json; charset=utf-8"])
    def test_garbled(self, graph, ask, admin, alice, data, kind):
        """A body that is not understood is a 400."""
        headers = {"Authorization": f"Bearer {admin}", "Content-Type": kind}
        assert ask("PATCH", f"{BASE}/users/{alice.id}", headers=headers, data=data).status == 400

    @pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded", "application/jsonx"])
    def test_content_type(self, graph, ask, admin, alice, kind):
        """A body that does not say that it is JSON is not read."""
        headers = {"Authorization": f"Bearer {admin}", "Content-Type": kind}
        answer = ask("PATCH", f"{BASE}/users/{alice.id}", headers=headers, data=b'{"accountEnabled": false}')
        assert (answer.status, "JSON Content-Type" in answer.body.decode()) == (400, True)
        assert alice.enabled


class TestOwn:
    @pytest.fixture
    def own(self, token, alice):
        return token(alice.upn, GOOD, SCOPE)

    def test_me(self, graph, own, alice):
        """A user sees itself."""
        assert graph("GET", "/me", token=own)[1]["id"] == alice.id

    def test_change(self, graph, own, tenant, alice):
        """A user changes its password with the current one."""
        body = {"currentPassword": GOOD, "newPassword": "Spring-2017!"}
        assert graph("POST", "/me/changePassword", token=own, json=body)[0] == 204
        assert tenant.sign_in(alice.upn, "Spring-2017!").result == "ok"
        assert graph("POST", "/me/changePassword", token=own, json=body)[0] == 400
        assert graph("POST", "/me/changePassword", token=own, json={})[0] == 400

    def test_no_more(self, graph, own, alice):
        """It may not do what administrators do."""
        for method, path in (("POST", "/users"), ("PATCH", f"/users/{alice.id}"), ("GET", "/domains")):
            status, body, _ = graph(method, path, token=own)
            assert (status, body["error"]["code"]) == (403, "Authorization_RequestDenied")

    def test_deleted(self, graph, own, tenant, alice):
        """The token of a deleted user finds nobody."""
        tenant.delete_user(alice)
        assert graph("GET", "/me", token=own)[0] == 404
        body = {"currentPassword": GOOD, "newPassword": "Spring-2017!"}
        assert graph("POST", "/me/changePassword", token=own, json=body)[0] == 404


class TestAccess:
    @pytest.mark.parametrize("value", ["", "Bearer", "Bearer x", "Basic YTpi", "Bearer a.b.c"])
    def test_token_needed(self, ask, value):
        """Without a good token every call is a 401."""
        answer = ask("GET", BASE + "/users", headers={"Authorization": value})
        assert (answer.status, json.loads(answer.body)["error"]["code"]) == (401, "InvalidAuthenticationToken")

    def test_other_audience(self, graph, token, tenant):
        """The provisioning service's token is not good for Graph."""
        other = token(*tenant.admin_account(), "https://graph.windows.net/.default")
        assert graph("GET", "/users", token=other)[0] == 401

    @pytest.mark.parametrize("path", ["", "/groups", "/users/x/manager", "/../beta/users", "/me/messages"])
    def test_unknown(self, graph, path):
        """An unknown call says what is known."""
        status, body, _ = graph("GET", path)
        assert status == 404
        assert "/me/changePassword" in body["error"]["message"]


@given(st.text(max_size=80))
def test_any_filter(text):
    """Any text is a filter or a 400."""
    with suppress(GraphError):
        assert callable(read_filter(text))
