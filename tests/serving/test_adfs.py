"""Federation servers of a served world: MSAL reaches them through the proxy, by their real names."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msal
import pytest
import requests

from pwsync.credential import protect
from pwsync.tenant.messages import CredentialItem, SyncObject

pytestmark = pytest.mark.filterwarnings("ignore:This API has been deprecated:DeprecationWarning")

WORLD = """
scenario: One domain, which AD FS signs in
why: It is served.
rules: [federation.primary]
given:
  users:
    - {{name: alice, password: "Winter-2016!"}}
  cloud: {{domains: {{contoso.example: {kind}}}}}
timeline:
  - {{at: +2m, expect: {{agent.alert: {{is: none}}}}}}
"""
HOUR = timedelta(hours=1)
MEX = "/adfs/services/trust/mex"


@pytest.fixture
def world(served_with: Callable[..., Any]) -> Callable[..., Any]:
    """Makes worlds in whose tenant alice is as an agent would have put her there; no agent is within, so that what
    this process asks goes over the port. Their time stands still, as long ago as asked."""

    def make(kind: str, ago: timedelta = timedelta(0), **options: Any) -> Any:
        start = datetime.now(UTC) - ago
        served = served_with(WORLD.format(kind=kind), start=start, **options)
        alice, tenant = served.world.account("alice"), served.world.tenant
        values = {"userPrincipalName": alice.upn, "displayName": "alice", "accountEnabled": True}
        tenant.apply_object(SyncObject(alice.source_anchor, "User", "Set", values))
        credential = protect(alice.nt_hash, b"0123456789")
        tenant.apply_credential(CredentialItem(alice.source_anchor, None, credential, start))
        return served

    return make


def sign_in(served: Any, password: str) -> Any:
    """A new application signs alice in, with nothing changed but proxy and trust."""
    application = msal.PublicClientApplication(
        "cb1056e2-e479-49de-ae31-7812af012ed8",
        authority=f"https://login.microsoftonline.com/{served.world.tenant.tenant_id}",
        http_client=served.session,
    )
    return application.acquire_token_by_username_password("alice@contoso.example", password, scopes=["User.Read"])


def test_federated(world: Callable[..., Any]) -> None:
    """MSAL goes from the realm over AD FS to the tenant's token; a wrong password is AD FS's word."""
    served = world("federated")
    served.post("/actions", {"ad.change-password": {"user": "alice", "password": "Spring-2017!"}})
    assert "access_token" in sign_in(served, "Spring-2017!")
    with pytest.raises(RuntimeError, match="ID3242"):
        sign_in(served, "Winter-2016!")


@pytest.mark.parametrize("days", [-5, 0, 40])
def test_time_of_clients(world: Callable[..., Any], days: int) -> None:
    """Whatever time it is in the world, clients that stamp their messages by the machine's clock sign in, after a
    snapshot was restored too; who stamps them by a third clock does not."""
    off = timedelta(0)
    served = world("federated", timedelta(days=max(days, 0)), client_clock=lambda: datetime.now(UTC) + off)
    served.post("/snapshots", {"take": "first"})
    served.post("/time", {"advance": f"{max(-days, 0) + 1}d"})
    assert "access_token" in sign_in(served, "Winter-2016!")
    served.post("/snapshots", {"restore": "first"})
    assert "access_token" in sign_in(served, "Winter-2016!")
    served.post("/time", {"advance": "20m"})
    off = timedelta(minutes=30)
    with pytest.raises(RuntimeError, match="verifying security"):
        sign_in(served, "Winter-2016!")


def test_farm_down(world: Callable[..., Any]) -> None:
    """A farm that is down breaks the connection off; up again it answers."""
    served = world("federated")
    served.post("/actions", {"adfs.set-farm": {"state": "down"}})
    with pytest.raises(requests.ConnectionError):
        sign_in(served, "Winter-2016!")
    served.post("/actions", {"adfs.set-farm": {"state": "up"}})
    assert "access_token" in sign_in(served, "Winter-2016!")


@pytest.mark.parametrize(("kind", "to"), [("federated", "managed"), ("managed", "federated")])
def test_conversion(world: Callable[..., Any], kind: str, to: str) -> None:
    """An hour after the conversion the realm is another, and the same password signs in by the new way."""
    served = world(kind, HOUR)
    realm = "https://login.microsoftonline.com/common/userrealm/alice@contoso.example?api-version=1.0"
    served.post("/actions", {"cloud.convert-domain": {"domain": "contoso.example", "to": to}})
    assert served.session.get(realm, timeout=30).json()["account_type"].lower() == kind
    served.post("/time", {"advance": "60m"})
    assert served.session.get(realm, timeout=30).json()["account_type"].lower() == to
    assert "access_token" in sign_in(served, "Winter-2016!")


def test_names(world: Callable[..., Any]) -> None:
    """The farm's name is one of the certificate's, through the proxy and by the Host header."""
    served = world("managed")
    through = served.session.get(f"https://adfs.contoso.example{MEX}", timeout=30)
    with served.client(proxy=False) as session:
        direct = session.get(served.served.url + MEX, headers={"Host": "ADFS.contoso.example"}, timeout=30)
        other = session.get(served.served.url + MEX, headers={"Host": "adfs.fabrikam.example"}, timeout=30)
    assert through.content == direct.content
    assert b"https://adfs.contoso.example/adfs/services/trust/13/usernamemixed" in direct.content
    assert (other.status_code, "https://adfs.contoso.example" in other.text) == (404, True)


def test_farm_of_each_forest(served_with: Callable[..., Any]) -> None:
    """Each forest has a farm, under the name of its first domain."""
    forests = "forests: {one: {domains: {one.example: {}}}, two: {domains: {two.example: {}, sub.two.example: {}}}}"
    users = '{name: alice, password: "Winter-2016!", domain: one.example}'
    text = WORLD.format(kind="managed").replace('{name: alice, password: "Winter-2016!"}', users)
    served = served_with(text.replace("cloud: {domains: {contoso.example: managed}}", forests))
    for host, status in (("adfs.one.example", 200), ("adfs.two.example", 200), ("adfs.sub.two.example", None)):
        if status is None:
            with pytest.raises(requests.exceptions.ProxyError):
                served.session.get(f"https://{host}{MEX}", timeout=30)
        else:
            assert served.session.get(f"https://{host}{MEX}", timeout=30).status_code == status
