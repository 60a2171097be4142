"""Graph's own SDK for Python, unchanged, through a served port as its proxy; skipped where it is not installed."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

pytest.importorskip("msgraph")

import httpx
from azure.identity import ClientSecretCredential, UsernamePasswordCredential
from clients.worlds import WORLD
from kiota_abstractions.base_request_configuration import RequestConfiguration
from kiota_authentication_azure.azure_identity_authentication_provider import AzureIdentityAuthenticationProvider
from msgraph import GraphRequestAdapter, GraphServiceClient
from msgraph.generated.models.o_data_errors.o_data_error import ODataError
from msgraph.generated.models.password_profile import PasswordProfile
from msgraph.generated.models.user import User
from msgraph.generated.users.users_request_builder import UsersRequestBuilder
from msgraph_core import GraphClientFactory

pytestmark = [
    pytest.mark.filterwarnings("ignore:This API has been deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:UsernamePasswordCredential is deprecated:DeprecationWarning"),
]

SCOPES = ["https://graph.microsoft.com/.default"]
PUBLIC = "14d82eec-204b-4c2f-b7e8-296a70dab67e"
ALICE = "alice@contoso.example"

Use = Callable[[GraphServiceClient], Awaitable[Any]]


class Place:
    """A served world, and the SDK in it."""

    def __init__(self, served: Any) -> None:
        self.served = served
        self.tenant = served.world.tenant
        self._options = {"proxies": dict(served.session.proxies), "connection_verify": str(served.authority)}

    def as_application(self, use: Use) -> Any:
        name, secret = self.served.served.client
        return self._run(ClientSecretCredential(self.tenant.tenant_id, name, secret, **self._options), use)

    def as_user(self, name: str, password: str, use: Use) -> Any:
        options = {"tenant_id": self.tenant.tenant_id, **self._options}
        return self._run(UsernamePasswordCredential(PUBLIC, name, password, **options), use)

    def _run(self, credential: Any, use: Use) -> Any:
        async def run() -> Any:
            trust = ssl.create_default_context(cafile=str(self.served.authority))
            proxy = str(self.served.session.proxies["https"])
            # The SDK wraps the transport in one of its own, which does not close it.
            async with (
                httpx.AsyncHTTPTransport(proxy=proxy, verify=trust) as transport,
                httpx.AsyncClient(transport=transport, timeout=30) as client,
            ):
                http = GraphClientFactory.create_with_default_middleware(client=client)
                provider = AzureIdentityAuthenticationProvider(credential, scopes=SCOPES)
                adapter = GraphRequestAdapter(provider, client=http)
                return await use(GraphServiceClient(request_adapter=adapter))

        with credential:
            return asyncio.run(run())


@pytest.fixture
def place(served_with: Callable[..., Any]) -> Place:
    return Place(served_with(WORLD, hosted=True, start=datetime.now(UTC)))


def test_lists_users(place: Place) -> None:
    """An application lists users, with a filter and the properties that it wants."""

    async def use(client: GraphServiceClient) -> Any:
        wanted = UsersRequestBuilder.UsersRequestBuilderGetQueryParameters(
            select=["displayName", "onPremisesSyncEnabled", "lastPasswordChangeDateTime"],
            filter="startswith(userPrincipalName,'alice')",
        )
        return await client.users.get(RequestConfiguration(query_parameters=wanted))

    (found,) = place.as_application(use).value
    assert (found.display_name, found.on_premises_sync_enabled) == ("alice", True)
    assert isinstance(found.last_password_change_date_time, datetime)


def test_resets_a_password(place: Place) -> None:
    """An administrator sets a password by passwordProfile; it is the user's from then on."""

    async def use(client: GraphServiceClient) -> Any:
        profile = PasswordProfile(password="Helpdesk-77!", force_change_password_next_sign_in=False)
        return await client.users.by_user_id(ALICE).patch(User(password_profile=profile))

    place.as_user(*place.tenant.admin_account(), use)
    assert place.tenant.sign_in(ALICE, "Helpdesk-77!").result == "ok"


def test_makes_and_deletes(place: Place) -> None:
    """A user is made, read, deleted, and found in the recycle bin."""

    async def use(client: GraphServiceClient) -> Any:
        made = await client.users.post(
            User(
                account_enabled=True,
                display_name="Bob",
                mail_nickname="bob",
                user_principal_name=f"bob@{place.tenant.tenant_domain}",
                password_profile=PasswordProfile(password="Winter-2016!"),
            )
        )
        await client.users.by_user_id(made.id).delete()
        return await client.directory.deleted_items.graph_user.get()

    assert [user.display_name for user in place.as_application(use).value] == ["Bob"]


def test_reads_the_directory(place: Place) -> None:
    """Domains, the company, and the features of synchronization are objects of the SDK."""

    async def use(client: GraphServiceClient) -> Any:
        return (
            await client.domains.get(),
            await client.organization.get(),
            await client.directory.on_premises_synchronization.get(),
        )

    domains, companies, synchronizations = place.as_application(use)
    assert {domain.id for domain in domains.value} == {place.tenant.tenant_domain, "contoso.example"}
    assert companies.value[0].on_premises_sync_enabled is True
    assert synchronizations.value[0].features.password_sync_enabled is True


def test_refused(place: Place) -> None:
    """A user who resets another's password gets Graph's error, as the SDK's exception."""

    async def use(client: GraphServiceClient) -> Any:
        profile = PasswordProfile(password="Helpdesk-77!")
        return await client.users.by_user_id(place.tenant.admin_account()[0]).patch(User(password_profile=profile))

    with pytest.raises(ODataError) as caught:
        place.as_user(ALICE, "Winter-2016!", use)
    assert caught.value.response_status_code == 403
    assert caught.value.error is not None
    assert caught.value.error.code == "Authorization_RequestDenied"
