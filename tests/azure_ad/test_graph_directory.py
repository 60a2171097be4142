"""Graph's domains, company, synchronization, recycle bin and batches."""

from __future__ import annotations

import json
from base64 import b64decode
from datetime import timedelta

import pytest

BASE = "https://graph.microsoft.com/v1.0"
SCOPE = "https://graph.microsoft.com/.default"
GOOD = "Winter-2016!"
FOR_EVER = 2_147_483_647
DELETED = "/directory/deletedItems"


@pytest.fixture
def graph(ask, token, tenant):
    """Call Graph as an administrator -> (status, body or None)."""

    def send(method, path, **parts):
        headers = {"Authorization": f"Bearer {token(*tenant.admin_account(), SCOPE)}"}
        answer = ask(method, BASE + path, headers=headers, **parts)
        return answer.status, json.loads(answer.body) if answer.body else None

    return send


@pytest.fixture
def alice(tenant, synchronize):
    return synchronize(tenant, "alice", GOOD)


class TestDomains:
    def test_list(self, graph, alice, tenant):
        """The tenant's first domain and those of its users, with their periods."""
        first, second = graph("GET", "/domains")[1]["value"]
        assert (first["id"], first["isInitial"], second["id"]) == (tenant.tenant_domain, True, "contoso.example")
        assert second["authenticationType"] == "Managed"
        assert (second["passwordValidityPeriodInDays"], second["passwordNotificationWindowInDays"]) == (90, 14)
        assert graph("GET", "/domains/CONTOSO.example")[1]["id"] == "contoso.example"
        assert graph("GET", "/domains/fabrikam.example")[0] == 404

    def test_validity(self, graph, tenant, alice, later):
        """A domain's own period holds for its users' cloud passwords, those there already included; for no others."""
        tenant.reset_password(alice, GOOD)
        bob = tenant.create_user("bob", GOOD)
        assert graph("PATCH", "/domains/contoso.example", json={"passwordValidityPeriodInDays": 14})[0] == 204
        later(days=14)
        assert tenant.sign_in(alice.upn, GOOD).result == "expired"
        assert tenant.sign_in(bob.upn, GOOD).result == "ok"
        assert graph("PATCH", "/domains/contoso.example", json={"passwordValidityPeriodInDays": FOR_EVER})[0] == 204
        assert tenant.sign_in(alice.upn, GOOD).result == "ok"
        assert tenant.expires(alice) is None
        assert graph("GET", "/domains/contoso.example")[1]["passwordValidityPeriodInDays"] == FOR_EVER

    def test_synchronized_password(self, graph, tenant, alice, later):
        """A synchronized password never expires, whatever its domain's period."""
        graph("PATCH", "/domains/contoso.example", json={"passwordValidityPeriodInDays": 14})
        later(days=400)
        assert tenant.sign_in(alice.upn, GOOD).result == "ok"

    def test_null(self, graph, tenant, alice):
        """null stands for 90 and 14 days; what is not named stays."""
        periods = {"passwordValidityPeriodInDays": 30, "passwordNotificationWindowInDays": 5}
        graph("PATCH", "/domains/contoso.example", json=periods)
        graph("PATCH", "/domains/contoso.example", json={"passwordValidityPeriodInDays": None})
        policy = tenant.policy_for(alice.upn)
        assert (policy.max_age, policy.notice) == (timedelta(days=90), timedelta(days=5))

    @pytest.mark.parametrize(
        "body",
        [
            {"passwordValidityPeriodInDays": 13},
            {"passwordValidityPeriodInDays": 731},
            {"passwordValidityPeriodInDays": True},
            {"passwordValidityPeriodInDays": "90"},
            {"passwordValidityPeriodInDays": 10**40},
            {"passwordNotificationWindowInDays": 0},
            {"passwordNotificationWindowInDays": 31},
            {"passwordNotificationWindowInDays": FOR_EVER},
            {"passwordValidityPeriodInDays": 30, "passwordNotificationWindowInDays": 99},
            {"isDefault": True},
        ],
    )
    def test_refuses(self, graph, tenant, alice, body):
        """A period out of range, or of another kind, changes nothing."""
        before = tenant.policy_for(alice.upn)
        assert graph("PATCH", "/domains/contoso.example", json=body)[0] == 400
        assert tenant.policy_for(alice.upn) == before


class TestCompany:
    def test_shown(self, graph, tenant, alice):
        """The company tells its domains, and when it was last synchronized."""
        (found,) = graph("GET", "/organization")[1]["value"]
        assert (found["id"], found["onPremisesSyncEnabled"]) == (tenant.tenant_id, True)
        assert found["onPremisesLastPasswordSyncDateTime"] == "2017-01-13T09:00:00Z"
        assert [each["name"] for each in found["verifiedDomains"]] == [tenant.tenant_domain, "contoso.example"]
        assert graph("GET", f"/organization/{tenant.tenant_id}")[1]["tenantType"] == "AAD"
        assert graph("GET", "/organization/another")[0] == 404

    def test_switched_off(self, graph, tenant):
        """Synchronization is switched off and on for the company."""
        path = f"/organization/{tenant.tenant_id}"
        assert graph("PATCH", path, json={"onPremisesSyncEnabled": False})[0] == 204
        assert tenant.synchronization.enabled is False
        assert graph("GET", path)[1]["onPremisesSyncEnabled"] is None
        assert graph("PATCH", path, json={"onPremisesSyncEnabled": "yes"})[0] == 400
        assert graph("PATCH", path, json={"displayName": "x"})[0] == 400


class TestSynchronization:
    def test_shapes(self, graph, tenant):
        """It is a collection of one; by its id it is the object itself."""
        path = "/directory/onPremisesSynchronization"
        listed = graph("GET", path)[1]
        one = graph("GET", f"{path}/{tenant.tenant_id}")[1]
        assert listed["value"][0]["features"] == listed["features"] == one["features"]
        assert one["features"]["quarantineUponUpnConflictEnabled"] is False  # a tenant older than August 2016
        assert one["configuration"]["accidentalDeletionPrevention"]["alertThreshold"] == 500

    def test_bits(self, graph, tenant):
        """Features that are no password matter are the bits that agents see."""
        path = f"/directory/onPremisesSynchronization/{tenant.tenant_id}"
        before = tenant.other_features
        assert graph("PATCH", path, json={"features": {"blockSoftMatchEnabled": True}})[0] == 204
        assert tenant.other_features == before | 524_288
        assert graph("PATCH", path, json={"features": {"blockSoftMatchEnabled": False}})[0] == 204
        assert tenant.other_features == before & ~524_288

    @pytest.mark.parametrize("value", [None, "x", 1, []])
    def test_refuses(self, graph, tenant, value):
        """One wrong value, and none of the others is set."""
        body = {"features": {"passwordSyncEnabled": False, "blockSoftMatchEnabled": value}}
        assert graph("PATCH", f"/directory/onPremisesSynchronization/{tenant.tenant_id}", json=body)[0] == 400
        assert tenant.features == {"password-sync"}


class TestRecycleBin:
    def test_there_and_back(self, graph, tenant, alice):
        """A deleted user is found there, its name freed, and comes back with its password."""
        graph("DELETE", f"/users/{alice.id}")
        (found,) = graph("GET", f"{DELETED}/microsoft.graph.user")[1]["value"]
        assert found["userPrincipalName"] == f"{alice.id.replace('-', '')}alice@contoso.example"
        assert graph("GET", f"{DELETED}/{alice.id}?$select=deletedDateTime")[1]["deletedDateTime"] is not None
        status, body = graph("POST", f"{DELETED}/{alice.id}/restore")
        assert (status, body["userPrincipalName"]) == (200, "alice@contoso.example")
        assert tenant.sign_in(alice.upn, GOOD).result == "ok"
        assert graph("GET", f"{DELETED}/{alice.id}")[0] == 404

    def test_cloud_user(self, graph, tenant):
        """A user of the cloud comes back too; not while another has the name."""
        bob = tenant.create_user("bob", GOOD)
        tenant.delete_user(bob)
        other = tenant.create_user("bob", GOOD)
        status, body = graph("POST", f"{DELETED}/{bob.id}/restore")
        assert (status, "same value" in body["error"]["message"]) == (400, True)
        tenant.delete_user(other)
        assert graph("POST", f"{DELETED}/{bob.id}/restore", json={})[0] == 200
        assert tenant.find_by_upn(bob.upn) is bob

    def test_for_good(self, graph, tenant, alice, export):
        """Deleted for good, nothing brings a user back: the next export makes a new one."""
        graph("DELETE", f"/users/{alice.id}")
        assert graph("DELETE", f"{DELETED}/{alice.id}")[0] == 204
        assert graph("POST", f"{DELETED}/{alice.id}/restore")[0] == 404
        assert export(tenant, "alice").id != alice.id

    def test_thirty_days(self, graph, tenant, alice, later):
        """After 30 days it is not there any more."""
        graph("DELETE", f"/users/{alice.id}")
        later(days=30, seconds=-1)
        assert graph("GET", f"{DELETED}/{alice.id}")[0] == 200
        later(seconds=1)
        assert graph("GET", f"{DELETED}/{alice.id}")[0] == 404
        assert graph("GET", f"{DELETED}/microsoft.graph.user")[1]["value"] == []

    def test_live_user(self, graph, alice):
        """A live user is not in the bin, and can't be deleted for good by a slip."""
        for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/restore")):
            assert graph(method, f"{DELETED}/{alice.id}{path}")[0] == 404


class TestMastered:
    @pytest.mark.parametrize("name", ["displayName", "givenName", "surname", "userPrincipalName"])
    def test_synchronized(self, graph, alice, name):
        """What comes from on premises can't be set on a synchronized user, with or without anything else."""
        status, body = graph("PATCH", f"/users/{alice.id}", json={name: "x@contoso.example", "accountEnabled": False})
        assert (status, "on-premises mastered" in body["error"]["message"]) == (400, True)
        assert alice.enabled

    def test_cloud_user(self, graph, tenant, alice):
        """A user of the cloud has them changed, the sign-in name too, into any domain of the tenant."""
        bob = tenant.create_user("bob", GOOD)
        body = {"displayName": "Bob", "givenName": "Robert", "userPrincipalName": "robert@contoso.example"}
        assert graph("PATCH", f"/users/{bob.id}", json=body)[0] == 204
        assert tenant.sign_in("robert@contoso.example", GOOD).result == "ok"
        assert graph("GET", f"/users/{bob.id}?$select=givenName")[1]["givenName"] == "Robert"
        for upn in ("alice@contoso.example", "bob@fabrikam.example", "b b@contoso.example", "bob", ""):
            assert graph("PATCH", f"/users/{bob.id}", json={"userPrincipalName": upn, "displayName": "x"})[0] == 400
        assert bob.display_name == "Bob"


class TestPasswordProfile:
    def test_flag_alone(self, graph, tenant, alice):
        """The flag alone asks for a change and leaves the password, and whose it is, as they are."""
        body = {"passwordProfile": {"forceChangePasswordNextSignIn": True}}
        assert graph("PATCH", f"/users/{alice.id}", json=body)[0] == 204
        assert (tenant.sign_in(alice.upn, GOOD).result, alice.source) == ("must-change", "synced")

    def test_with_mfa(self, graph, tenant, alice):
        """The flag with multi-factor authentication asks for a change too, and is shown."""
        profile = {"password": "Helpdesk-77!", "forceChangePasswordNextSignIn": False}
        body = {"passwordProfile": profile | {"forceChangePasswordNextSignInWithMfa": True}}
        assert graph("PATCH", f"/users/{alice.id}", json=body)[0] == 204
        assert tenant.sign_in(alice.upn, "Helpdesk-77!").result == "must-change"
        shown = graph("GET", f"/users/{alice.id}?$select=passwordProfile")[1]["passwordProfile"]
        assert shown["forceChangePasswordNextSignInWithMfa"] is True
        tenant.change_password(alice, "Helpdesk-77!", "Spring-2017!")
        shown = graph("GET", f"/users/{alice.id}?$select=passwordProfile")[1]["passwordProfile"]
        assert set(shown.values()) == {None, False}

    def test_methods(self, graph, alice):
        """A user's one method is the password, whose value is never told."""
        (found,) = graph("GET", f"/users/{alice.id}/authentication/methods")[1]["value"]
        assert found["@odata.type"] == "#microsoft.graph.passwordAuthenticationMethod"
        path = f"/users/{alice.id}/authentication/passwordMethods"
        assert graph("GET", f"{path}/{found['id']}")[1]["password"] is None
        assert graph("GET", f"{path}/other")[0] == 404
        assert len(graph("GET", path)[1]["value"]) == 1

    def test_failed_operation(self, graph, ask, token, tenant, alice):
        """A password that the policy refuses makes the operation fail; it says why, and nothing has changed."""
        admin = token(*tenant.admin_account(), SCOPE)
        path = f"/users/{alice.id}/authentication/methods/28c10230-6103-485e-b985-444c60001490/resetPassword"
        answer = ask("POST", BASE + path, headers={"Authorization": f"Bearer {admin}"}, json={"newPassword": "short"})
        place = dict(answer.headers)["Location"].removeprefix(BASE)
        assert [graph("GET", place)[1]["status"] for _ in range(2)] == ["running", "failed"]
        assert "complexity" in graph("GET", place)[1]["statusDetail"]
        assert tenant.sign_in(alice.upn, GOOD).result == "ok"

    def test_others_change(self, graph, tenant, alice):
        """Not even an administrator makes a user's own change."""
        body = {"currentPassword": GOOD, "newPassword": "Spring-2017!"}
        assert graph("POST", f"/users/{alice.id}/changePassword", json=body)[0] == 403
        assert tenant.sign_in(alice.upn, GOOD).result == "ok"

    def test_refused_name_leaves_the_password(self, graph, tenant):
        """A request whose new name is refused sets no password either."""
        bob = tenant.create_user("bob", GOOD)
        profile = {"password": "Helpdesk-77!", "forceChangePasswordNextSignIn": False}
        body = {"userPrincipalName": "b b@contoso.onmicrosoft.com", "passwordProfile": profile}
        assert graph("PATCH", f"/users/{bob.id}", json=body)[0] == 400
        assert tenant.sign_in(bob.upn, GOOD).result == "ok"

    def test_own_account(self, graph, tenant):
        """Nobody resets their own password this way."""
        admin = tenant.find_by_upn(tenant.admin_account()[0])
        path = f"/users/{admin.id}/authentication/methods/28c10230-6103-485e-b985-444c60001490/resetPassword"
        assert graph("POST", path, json={})[0] == 403


class TestBatch:
    def batch(self, graph, *parts):
        return graph("POST", "/$batch", json={"requests": list(parts)})

    def test_in_order(self, graph, tenant, alice):
        """Calls are done in their order, each with its own answer."""
        status, body = self.batch(
            graph,
            {"id": "1", "method": "PATCH", "url": f"/users/{alice.id}", "body": {"accountEnabled": False}},
            {"id": "2", "method": "GET", "url": f"/users/{alice.id}?$select=accountEnabled"},
            {"id": "3", "method": "get", "url": "users/nobody"},
            {"id": "4", "method": "GET", "url": "/users/$count", "headers": {"ConsistencyLevel": "eventual"}},
            {"id": "5", "method": "GET", "url": "/organization", "dependsOn": ["3"]},
        )
        found = {each["id"]: each for each in body["responses"]}
        assert (status, [each["status"] for each in body["responses"]]) == (200, [204, 200, 404, 200, 424])
        assert found["2"]["body"]["accountEnabled"] is False
        assert b64decode(found["4"]["body"]) == b"3"

    @pytest.mark.parametrize(
        "parts",
        [
            [],
            [{"id": str(number), "method": "GET", "url": "/me"} for number in range(21)],
            [{"method": "GET", "url": "/me"}],
            [{"id": "1", "method": "GET", "url": "/me"}, {"id": "1", "method": "GET", "url": "/me"}],
            [{"id": "1", "method": "BREW", "url": "/me"}],
            [{"id": "1", "method": "GET"}],
            [{"id": "1", "method": "GET", "url": "/me", "dependsOn": ["2"]}],
            [{"id": "1", "method": "GET", "url": "/me", "dependsOn": [[]]}],
            [{"id": "1", "method": "GET", "url": "/me", "headers": {"a": 1}}],
            [{"id": "1", "method": "POST", "url": "/$batch", "body": {"requests": []}}],
            [{"id": "1", "method": "GET", "url": "https://evil.example/"}],
            ["x"],
            7,
        ],
    )
    def test_refuses(self, graph, parts):
        """What is no batch is refused as a whole."""
        assert graph("POST", "/$batch", json={"requests": parts})[0] == 400

    def test_token_counts_inside(self, ask, token, tenant, alice):
        """Each call inside is made with the caller's token: another one inside does not count."""
        headers = {"Authorization": f"Bearer {token(alice.upn, GOOD, SCOPE)}"}
        admin = token(*tenant.admin_account(), SCOPE)
        part = {
            "id": "1",
            "method": "PATCH",
            "url": f"/users/{alice.id}",
            "headers": {"Authorization": f"Bearer {admin}"},
            "body": {"passwordProfile": {"password": "Helpdesk-77!"}},
        }
        answer = ask("POST", f"{BASE}/$batch", headers=headers, json={"requests": [part]})
        assert json.loads(answer.body)["responses"][0]["status"] == 403
        assert alice.source == "synced"
