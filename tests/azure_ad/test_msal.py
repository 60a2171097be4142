"""MSAL, unchanged, signs in to the tenant."""

from __future__ import annotations

import msal
import pytest
import requests
import responses
from freezegun import freeze_time

from simulator.azure_ad.doubles import TenantDouble

pytestmark = pytest.mark.filterwarnings("ignore:This API has been deprecated:DeprecationWarning")

GOOD = "Winter-2016!"


@pytest.fixture
def frozen(clock):
    with freeze_time(clock()) as time:
        yield time


@pytest.fixture
def client(frozen, tenant, application):
    with TenantDouble(application):
        yield msal.PublicClientApplication(
            "cb1056e2-e479-49de-ae31-7812af012ed8",
            authority=f"https://login.microsoftonline.com/{tenant.tenant_id}",
            instance_discovery=False,
        )


def sign_in(client, password):
    return client.acquire_token_by_username_password("alice@contoso.example", password, scopes=["User.Read"])


def test_synchronized_user(client, tenant, synchronize):
    """A user whose password was synchronized signs in; tokens and claims come through."""
    user = synchronize(tenant, "alice", GOOD)
    found = sign_in(client, GOOD)
    assert found["id_token_claims"]["oid"] == user.id
    assert found["expires_in"] == 3599
    (account,) = client.get_accounts()
    assert account["home_account_id"] == f"{user.id}.{tenant.tenant_id}"


def test_refused_then_synchronized(client, tenant, synchronize):
    """Refused, synchronized, tried again: the same client object sees the new state at once."""
    synchronize(tenant, "alice", GOOD)
    assert sign_in(client, "Spring-2017!")["error_codes"] == [50126]
    synchronize(tenant, "alice", "Spring-2017!")
    assert "access_token" in sign_in(client, "Spring-2017!")


def test_session_survives(client, tenant, synchronize, frozen, later):
    """A synchronized change has no effect on the session; after the hour it is refreshed without a password."""
    synchronize(tenant, "alice", GOOD)
    sign_in(client, GOOD)
    (account,) = client.get_accounts()
    synchronize(tenant, "alice", "Spring-2017!")
    later(hours=2)
    frozen.tick(7200)
    silent = client.acquire_token_silent_with_error(["User.Read"], account)
    assert silent["token_source"] == "identity_provider"


def test_session_revoked(client, tenant, synchronize, frozen, later):
    """After a reset in the cloud the refresh fails, and the new password is needed."""
    user = synchronize(tenant, "alice", GOOD)
    sign_in(client, GOOD)
    (account,) = client.get_accounts()
    tenant.reset_password(user, "Helpdesk-77!")
    later(hours=2)
    frozen.tick(7200)
    assert "AADSTS50173" in client.acquire_token_silent_with_error(["User.Read"], account)["error_description"]
    assert "access_token" in sign_in(client, "Helpdesk-77!")


def test_instance_discovery(frozen, tenant, application, synchronize):
    """With instance discovery on it works as well."""
    synchronize(tenant, "alice", GOOD)
    with TenantDouble(application):
        client = msal.PublicClientApplication(
            "client", authority=f"https://login.microsoftonline.com/{tenant.tenant_domain}"
        )
        assert "access_token" in sign_in(client, GOOD)


class TestDouble:
    def test_other_hosts(self, application):
        """A host that is not the tenant's is not reachable."""
        with TenantDouble(application), pytest.raises(requests.ConnectionError):
            requests.get("https://login.microsoftonline.com.evil.example/", timeout=1)

    def test_in_a_mock(self, application):
        """It can share a double with others and leaves nothing behind."""
        with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
            with TenantDouble(application, mock):
                assert requests.get("https://graph.microsoft.com", timeout=1).status_code == 401
            assert mock.registered() == []

    def test_forgets_calls(self, application):
        """A thousand calls do not pile up."""
        with responses.RequestsMock(assert_all_requests_are_fired=False) as mock, TenantDouble(application, mock):
            for _ in range(50):
                requests.get("https://GRAPH.microsoft.com:443/v1.0/me?x=1", timeout=1)
            assert all(response.call_count <= 1 for response in mock.registered())
