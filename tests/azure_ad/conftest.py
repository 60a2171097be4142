"""A tenant at the product's date, and short ways to put users into it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from pwsync.credential import nt_hash, protect
from pwsync.tenant.messages import CredentialItem, CredentialResult, SyncObject
from simulator.azure_ad.doubles import send
from simulator.azure_ad.federated_domains import FederationTrust
from simulator.azure_ad.http import TenantApplication
from simulator.azure_ad.state import Tenant
from simulator.azure_ad.users import CloudUser
from simulator.azure_ad.wire import Answer
from simulator.clock import Clock
from simulator.profile import PROFILE_2017, PROFILE_CURRENT
from simulator.random import Randomness

START = datetime(2017, 1, 13, 9, tzinfo=UTC)
CLIENT = "cb1056e2-e479-49de-ae31-7812af012ed8"


@pytest.fixture
def clock() -> Clock:
    return Clock(START)


@pytest.fixture
def later(clock: Clock) -> Callable[..., None]:
    """Move time on: ``later(days=1)``."""
    return lambda **parts: clock.move_to(clock() + timedelta(**parts))


@pytest.fixture
def tenant(clock: Clock) -> Tenant:
    return Tenant(clock, Randomness(1), PROFILE_2017)


@pytest.fixture
def current(clock: Clock) -> Tenant:
    """A tenant of today's profile."""
    return Tenant(clock, Randomness(1), PROFILE_CURRENT)


@pytest.fixture
def application(tenant: Tenant) -> TenantApplication:
    return TenantApplication(tenant)


@pytest.fixture
def item() -> Callable[..., CredentialItem]:
    """A credential item: ``item("alice", "Winter-2016!")``; the anchor is made from the name."""

    def make(name: str, password: str, **fields: Any) -> CredentialItem:
        credential = protect(nt_hash(password), b"0123456789")
        values = {"source_anchor": f"{name}==", "cloud_anchor": None, "credential": credential, "change_date": START}
        return CredentialItem(**(values | fields))

    return make


@pytest.fixture
def export() -> Callable[..., CloudUser]:
    """Put a synchronized user into a tenant, without a password."""

    def put(tenant: Tenant, name: str, **attributes: Any) -> CloudUser:
        values = {"userPrincipalName": f"{name}@contoso.example", "displayName": name, "accountEnabled": True}
        tenant.apply_object(SyncObject(f"{name}==", "User", "Set", values | attributes))
        user = tenant.find_by_anchor(f"{name}==")
        assert user is not None
        return user

    return put


@pytest.fixture
def synchronize(export: Callable[..., CloudUser], item: Callable[..., CredentialItem]) -> Callable[..., CloudUser]:
    """Put a synchronized user with a password into a tenant."""

    def put(tenant: Tenant, name: str, password: str) -> CloudUser:
        user = tenant.find_by_anchor(f"{name}==") or export(tenant, name)
        result: CredentialResult = tenant.apply_credential(item(name, password))
        assert result.result == 0
        return user

    return put


@pytest.fixture
def ask(application: TenantApplication) -> Callable[..., Answer]:
    """Send a request to the application: ``ask("GET", "https://...", headers={...}, environ={...})``."""

    def send_it(method: str, url: str, *, environ: dict[str, Any] | None = None, **parts: Any) -> Answer:
        return send(application, requests.Request(method, url, **parts).prepare(), environ)

    return send_it


@pytest.fixture
def token(tenant: Tenant, ask: Callable[..., Answer]) -> Callable[..., str]:
    """An access token: ``token(upn, password, "https://graph.microsoft.com/.default")``."""

    def get(upn: str, password: str, scope: str) -> str:
        form = {"client_id": CLIENT, "grant_type": "password", "username": upn, "password": password, "scope": scope}
        answer = ask("POST", f"https://login.microsoftonline.com/{tenant.tenant_id}/oauth2/v2.0/token", data=form)
        assert answer.status == 200, answer.body
        found: str = json.loads(answer.body)["access_token"]
        return found

    return get


@pytest.fixture
def federate(tenant: Tenant) -> Callable[[str], FederationTrust]:
    """Have a domain of the tenant be federated, with a farm that nobody has built."""

    def put(domain: str) -> FederationTrust:
        base = f"https://adfs.{domain}/adfs/services/trust"
        trust = FederationTrust(f"http://{domain}/adfs/services/trust/", "", f"{base}/mex", f"{base}/13/usernamemixed")
        tenant.federated_domains.set(domain, trust)
        return trust

    return put
