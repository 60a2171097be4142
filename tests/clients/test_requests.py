"""requests through the served port as a proxy: the real host names, and nothing of the client changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from clients.worlds import WORLD

LOGIN, GRAPH = "https://login.microsoftonline.com", "https://graph.microsoft.com/v1.0"
SCOPE = "https://graph.microsoft.com/.default"


def test_whole_story(served_with: Callable[..., Any]) -> None:
    """Discovery, a secret's token, a reset by an administrator, and the user's sign-in with what came of it."""
    served = served_with(WORLD, hosted=True)
    tenant, session = served.world.tenant, served.session
    places = session.get(f"{LOGIN}/{tenant.tenant_id}/v2.0/.well-known/openid-configuration", timeout=30).json()

    def token(**form: str) -> Any:
        return session.post(places["token_endpoint"], data={"scope": SCOPE} | form, timeout=30).json()

    client, secret = served.served.client
    own = token(grant_type="client_credentials", client_id=client, client_secret=secret)["access_token"]
    users = session.get(f"{GRAPH}/users", headers={"Authorization": f"Bearer {own}"}, timeout=30).json()["value"]
    (alice,) = [user for user in users if user["displayName"] == "alice"]
    name, password = tenant.admin_account()
    form = {"grant_type": "password", "client_id": "14d82eec-204b-4c2f-b7e8-296a70dab67e"}
    admin = {"Authorization": f"Bearer {token(**form, username=name, password=password)['access_token']}"}
    path = f"{GRAPH}/users/{alice['id']}/authentication/methods/28c10230-6103-485e-b985-444c60001490/resetPassword"
    started = session.post(path, headers=admin, json={}, timeout=30)
    states = [session.get(started.headers["Location"], headers=admin, timeout=30).json()["status"] for _ in range(2)]
    assert (started.status_code, states) == (202, ["running", "succeeded"])
    again = {"username": alice["userPrincipalName"], "password": started.json()["newPassword"]}
    assert token(**form, **again)["error_codes"] == [50055]
    profile = {"passwordProfile": {"password": "Helpdesk-77!", "forceChangePasswordNextSignIn": False}}
    assert session.patch(f"{GRAPH}/users/{alice['id']}", headers=admin, json=profile, timeout=30).status_code == 204
    assert "access_token" in token(**form, **(again | {"password": "Helpdesk-77!"}))
