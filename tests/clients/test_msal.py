"""MSAL, unchanged: public and confidential clients, device codes, silence and refresh; in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msal
import pytest
import requests
from freezegun import freeze_time

from simulator.azure_ad.doubles import TenantDouble
from simulator.azure_ad.http import TenantApplication
from simulator.azure_ad.permissions import APPLICATION
from simulator.azure_ad.state import Tenant

pytestmark = pytest.mark.filterwarnings("ignore:This API has been deprecated:DeprecationWarning")

ALICE, GOOD = "alice@contoso.example", "Winter-2016!"
READ = ["User.Read"]
DEFAULT = ["https://graph.microsoft.com/.default"]
PUBLIC = "14d82eec-204b-4c2f-b7e8-296a70dab67e"


@pytest.fixture
def frozen(clock: Any, application: TenantApplication) -> Iterator[Any]:
    """The tenant's time for the whole process, and the tenant in place of the network."""
    with freeze_time(clock()) as time, TenantDouble(application):
        yield time


@pytest.fixture
def pass_time(frozen: Any, later: Callable[..., None]) -> Callable[..., None]:
    """Move the time on for tenant and client."""

    def move(hours: int = 0, seconds: int = 0) -> None:
        later(hours=hours, seconds=seconds)
        frozen.tick(hours * 3600 + seconds)

    return move


@pytest.fixture
def registered(tenant: Tenant) -> tuple[str, str]:
    """Id and secret of an application that may do everything."""
    made = tenant.applications.register("daemon", roles=APPLICATION)
    return made.id, tenant.applications.add_secret(made)


@pytest.fixture
def public(frozen: Any, tenant: Tenant) -> msal.PublicClientApplication:
    return msal.PublicClientApplication(PUBLIC, authority=f"https://login.microsoftonline.com/{tenant.tenant_id}")


@pytest.fixture
def confidential(frozen: Any, tenant: Tenant, registered: tuple[str, str]) -> msal.ConfidentialClientApplication:
    name, secret = registered
    authority = f"https://login.microsoftonline.com/{tenant.tenant_id}"
    return msal.ConfidentialClientApplication(name, client_credential=secret, authority=authority)


def graph(token: str, path: str = "/me") -> requests.Response:
    headers = {"Authorization": f"Bearer {token}"}
    return requests.get(f"https://graph.microsoft.com/v1.0{path}", headers=headers, timeout=30)


class TestPublic:
    def test_password(self, public: Any, tenant: Tenant, synchronize: Any) -> None:
        """Name and password bring a token that Graph takes."""
        user = synchronize(tenant, "alice", GOOD)
        found = public.acquire_token_by_username_password(ALICE, GOOD, scopes=READ)
        assert graph(found["access_token"]).json()["id"] == user.id

    def test_silent(self, public: Any, tenant: Tenant, synchronize: Any, pass_time: Any) -> None:
        """Within the hour the token comes from the cache; after it from a refresh, also for other scopes."""
        synchronize(tenant, "alice", GOOD)
        first = public.acquire_token_by_username_password(ALICE, GOOD, scopes=READ)
        (account,) = public.get_accounts(ALICE)
        assert public.acquire_token_silent(READ, account)["access_token"] == first["access_token"]
        pass_time(2)
        assert public.acquire_token_silent(READ, account)["access_token"] != first["access_token"]
        assert public.acquire_token_silent(DEFAULT, account)["token_source"] == "identity_provider"

    @pytest.mark.parametrize("how", ["change", "reset", "revoke", "disable", "delete"])
    def test_ended(self, public: Any, tenant: Tenant, synchronize: Any, pass_time: Any, how: str) -> None:
        """What ends a session is seen at the next refresh; until then the access token lives on."""
        user = synchronize(tenant, "alice", GOOD)
        first = public.acquire_token_by_username_password(ALICE, GOOD, scopes=READ)
        (account,) = public.get_accounts()
        code = {
            "change": lambda: (tenant.change_password(user, GOOD, "Spring-2017!"), 50173),
            "reset": lambda: (tenant.reset_password(user, "Helpdesk-77!"), 50173),
            "revoke": lambda: (tenant.revoke_sessions(user), 50173),
            "disable": lambda: (tenant.set_user(user, enabled=False), 50057),
            "delete": lambda: (tenant.delete_user(user), 50034),
        }[how]()[1]
        assert public.acquire_token_silent(READ, account)["access_token"] == first["access_token"]
        pass_time(1)
        found = public.acquire_token_silent_with_error(READ, account)
        assert found["error_codes"] == [code]

    def test_device_flow(self, public: Any, tenant: Tenant, synchronize: Any, pass_time: Any) -> None:
        """A device waits until somebody has signed in on its page, and then is that user."""
        user = synchronize(tenant, "alice", GOOD)
        flow = public.initiate_device_flow(scopes=READ)
        waiting = public.acquire_token_by_device_flow(flow, exit_condition=lambda flow: True)
        assert waiting["error"] == "authorization_pending"
        form = {"user_code": flow["user_code"], "username": ALICE, "password": GOOD}
        assert requests.post(flow["verification_uri"], data=form, timeout=30).status_code == 200
        pass_time(seconds=5)
        found = public.acquire_token_by_device_flow(flow)
        assert graph(found["access_token"]).json()["id"] == user.id
        assert public.get_accounts()[0]["username"] == ALICE

    def test_device_flow_expires(self, public: Any, pass_time: Any) -> None:
        """A flow that nobody has finished in time is over."""
        flow = public.initiate_device_flow(scopes=READ)
        pass_time(1)
        assert public.acquire_token_by_device_flow(flow)["error"] == "expired_token"

    def test_wrong_kind(self, public: Any, registered: tuple[str, str], tenant: Tenant, frozen: Any) -> None:
        """A client that has a secret and does not show it is told so."""
        authority = f"https://login.microsoftonline.com/{tenant.tenant_id}"
        shy = msal.PublicClientApplication(registered[0], authority=authority)
        found = shy.acquire_token_by_username_password(ALICE, GOOD, scopes=READ)
        assert (found["error"], found["error_codes"]) == ("invalid_client", [7000218])


class TestConfidential:
    def test_for_client(self, confidential: Any, tenant: Tenant, synchronize: Any, pass_time: Any) -> None:
        """A daemon gets a token of its own, from the cache until it runs out, and reads all users with it."""
        synchronize(tenant, "alice", GOOD)
        first = confidential.acquire_token_for_client(DEFAULT)
        assert len(graph(first["access_token"], "/users").json()["value"]) == 3
        assert confidential.acquire_token_for_client(DEFAULT)["token_source"] == "cache"
        pass_time(2)
        assert confidential.acquire_token_for_client(DEFAULT)["token_source"] == "identity_provider"

    @pytest.mark.parametrize(("hours", "secret", "code"), [(0, "wrong", 7000215), (24 * 731, None, 7000222)])
    def test_refused(
        self, tenant: Tenant, registered: tuple[str, str], pass_time: Any, hours: int, secret: str | None, code: int
    ) -> None:
        """A wrong secret and one that has run out are told apart."""
        pass_time(hours)
        authority = f"https://login.microsoftonline.com/{tenant.tenant_id}"
        name, good = registered
        client = msal.ConfidentialClientApplication(name, client_credential=secret or good, authority=authority)
        assert client.acquire_token_for_client(DEFAULT)["error_codes"] == [code]

    def test_outlives_a_change(self, confidential: Any, tenant: Tenant, synchronize: Any, pass_time: Any) -> None:
        """A web server's session with a user outlives the user's change of password, and ends with a revocation."""
        user = synchronize(tenant, "alice", GOOD)
        confidential.acquire_token_by_username_password(ALICE, GOOD, scopes=READ)
        (account,) = confidential.get_accounts()
        tenant.change_password(user, GOOD, "Spring-2017!")
        pass_time(1)
        assert "access_token" in confidential.acquire_token_silent_with_error(READ, account)
        tenant.revoke_sessions(user)
        pass_time(1)
        assert confidential.acquire_token_silent_with_error(READ, account)["error_codes"] == [50173]
