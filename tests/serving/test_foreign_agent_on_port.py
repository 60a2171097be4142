"""An agent that is not ours against the served port, by the service's real name, with a body in chunks and without."""

from __future__ import annotations

from typing import Any

import pytest
from azure_ad.foreign_agent import URL, ForeignAgent, properties

from pwsync.credential import nt_hash, protect

TOKEN_URL = "https://login.microsoftonline.com/{}/oauth2/v2.0/token"
CLIENT = "1b730954-1685-4b74-9bfd-dac224a7b894"


@pytest.mark.parametrize("chunked", [False, True])
def test_whole_story(served: Any, chunked: bool) -> None:
    """It signs in, makes a user, sets its password and reads it back; the user signs in."""
    tenant = served.world.tenant
    name, password = tenant.sync_account()
    form = {"client_id": CLIENT, "grant_type": "password", "username": name, "password": password,
            "scope": "https://graph.windows.net/.default"}  # fmt: skip
    token = served.session.post(TOKEN_URL.format(tenant.tenant_id), data=form, timeout=30).json()["access_token"]

    def post(data: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        body = iter([data[:1000], data[1000:]]) if chunked else data
        answer = served.session.post(URL, data=body, headers=headers, timeout=30)
        return answer.status_code, answer.content

    agent = ForeignAgent(post, token)
    agent.set_object(SourceAnchor="zoe==", userPrincipalName="zoe@contoso.example", accountEnabled=True)
    assert agent.set_password(protect(nt_hash("Winter-2016!"), b"0123456789"), source="zoe==")["b:Result"] == "0"
    found = agent.objects()["b:ResultObjects"]["b:AzureADSyncObject"]
    told = properties(found if isinstance(found, dict) else found[-1])
    form |= {"username": str(told["UserPrincipalName"]), "password": "Winter-2016!"}
    assert served.session.post(TOKEN_URL.format(tenant.tenant_id), data=form, timeout=30).status_code == 200
