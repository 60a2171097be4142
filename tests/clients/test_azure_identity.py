"""azure-identity, unchanged: by password, by secret and by device code; in this process and through a served port."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

pytest.importorskip("azure.identity")

from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ClientSecretCredential, DeviceCodeCredential, UsernamePasswordCredential
from clients.worlds import WORLD
from freezegun import freeze_time

from simulator.azure_ad.doubles import TenantDouble
from simulator.azure_ad.permissions import APPLICATION
from simulator.azure_ad.state import Tenant

pytestmark = [
    pytest.mark.filterwarnings("ignore:This API has been deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:UsernamePasswordCredential is deprecated:DeprecationWarning"),
]

PUBLIC = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
SCOPE = "https://graph.microsoft.com/.default"
ALICE, GOOD = "alice@contoso.example", "Winter-2016!"


def claims_of(token: str) -> Any:
    body = token.split(".")[1]
    return json.loads(urlsafe_b64decode(body + "=" * (-len(body) % 4)))


class Place:
    """A tenant, what credentials need to reach it, and an application with its secret."""

    def __init__(self, tenant: Tenant, client: tuple[str, str], session: requests.Session, **options: Any) -> None:
        self.tenant, self.client, self.session, self.options = tenant, client, session, options

    def by_password(self, password: str = GOOD) -> UsernamePasswordCredential:
        return UsernamePasswordCredential(PUBLIC, ALICE, password, tenant_id=self.tenant.tenant_id, **self.options)

    def by_secret(self, secret: str | None = None) -> ClientSecretCredential:
        name, good = self.client
        return ClientSecretCredential(self.tenant.tenant_id, name, secret or good, **self.options)


@pytest.fixture(params=["in-process", "served"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """The same tenant twice: behind a double of the network, and behind a port."""
    if request.param == "served":
        served = request.getfixturevalue("served_with")(WORLD, hosted=True, start=datetime.now(UTC))
        proxies = dict(served.session.proxies)
        options = {"proxies": proxies, "connection_verify": str(served.authority)}
        yield Place(served.world.tenant, served.served.client, served.session, **options)
        return
    tenant: Tenant = request.getfixturevalue("tenant")
    request.getfixturevalue("synchronize")(tenant, "alice", GOOD)
    application = tenant.applications.register("daemon", roles=APPLICATION)
    secret = tenant.applications.add_secret(application)
    with (
        freeze_time(tenant.clock()),
        TenantDouble(request.getfixturevalue("application")),
        requests.Session() as session,
    ):
        yield Place(tenant, (application.id, secret), session)


def test_password(place: Place) -> None:
    """A user's name and password bring a token for that user."""
    with place.by_password() as credential:
        assert claims_of(credential.get_token(SCOPE).token)["upn"] == ALICE
        assert credential.get_token(SCOPE).token == credential.get_token(SCOPE).token


def test_wrong_password(place: Place) -> None:
    """A wrong one is told in the service's own words."""
    with place.by_password("wrong") as credential, pytest.raises(ClientAuthenticationError, match="AADSTS50126"):
        credential.get_token(SCOPE)


def test_client_secret(place: Place) -> None:
    """An application's id and secret bring a token of its own, which reads users."""
    with place.by_secret() as credential:
        token = credential.get_token(SCOPE).token
    assert claims_of(token)["idtyp"] == "app"
    headers = {"Authorization": f"Bearer {token}"}
    found = place.session.get(f"https://graph.microsoft.com/v1.0/users/{ALICE}", headers=headers, timeout=30)
    assert found.json()["displayName"] == "alice"


def test_wrong_secret(place: Place) -> None:
    """A wrong secret is told by its code."""
    with place.by_secret("wrong") as credential, pytest.raises(ClientAuthenticationError, match="AADSTS7000215"):
        credential.get_token(SCOPE)


def test_device_code(place: Place) -> None:
    """The prompt leads to the page; whoever signs in there is who the device is."""

    def prompt(uri: str, code: str, expires: datetime) -> None:
        form = {"user_code": code, "username": ALICE, "password": GOOD}
        assert place.session.post(uri, data=form, timeout=30).status_code == 200

    options = {"tenant_id": place.tenant.tenant_id, "prompt_callback": prompt, **place.options}
    with DeviceCodeCredential(PUBLIC, **options) as credential:
        assert claims_of(credential.get_token(SCOPE).token)["upn"] == ALICE
