"""``pwsync surface`` lists what answers: each listed call does, and what is not listed is refused by name."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pwsync.errors import ReplicationError, ServiceFault
from pwsync.tenant import binary_xml
from pwsync.tenant.messages import (
    CONTENT_TYPE,
    PREFIXES,
    SERVICE,
    CallHeader,
    element,
    parse_response,
    request_envelope,
)
from simulator.active_directory.replication import OPERATIONS, ReplicationServer
from simulator.active_directory.state import Forest
from simulator.azure_ad.doubles import send
from simulator.azure_ad.http import TenantApplication
from simulator.azure_ad.state import Tenant
from simulator.azure_ad.wire import Answer, Call
from simulator.cli.app import run_app
from simulator.clock import Clock
from simulator.federation.http import FarmService
from simulator.profile import PROFILE_CURRENT
from simulator.random import Randomness
from simulator.scenario.result import ExitCode
from simulator.surface import surfaces

START = datetime(2025, 4, 9, tzinfo=UTC)
LISTED = {each.id: [entry.name for entry in each.entries] for each in surfaces()}
WORDS = sorted(
    {word for each in LISTED.values() for name in each for word in name.partition(" ")[2].split("/") if word}
)


def application() -> TenantApplication:
    return TenantApplication(Tenant(Clock(START), Randomness(1), PROFILE_CURRENT))


def token(tenant: TenantApplication, resource: str) -> str:
    name, _ = tenant.tenant.admin_account()
    user = tenant.tenant.find_by_upn(name)
    assert user is not None
    session = tenant.tenant.open_session(user, "14d82eec-204b-4c2f-b7e8-296a70dab67e")
    return tenant.issuer.access_token(user, session, resource, "Directory.ReadWrite.All User.ReadWrite.All")


def ask(tenant: TenantApplication, method: str, url: str, **parts: Any) -> Answer:
    import requests

    return send(tenant, requests.Request(method, url, **parts).prepare())


def filled(path: str) -> str:
    """A route's path with something in the place of its names."""
    return "/".join("x" if part.startswith("{") else part for part in path.split("/"))


class TestRoutes:
    @pytest.mark.parametrize("name", LISTED["sign-in"])
    def test_sign_in(self, name: str) -> None:
        """Every listed call of the sign-in host is known to it."""
        method, path = name.split(" ")
        answer = ask(application(), method, f"https://login.microsoftonline.com{filled(path)}")
        assert b"unknown_call" not in answer.body
        assert b"900561" not in answer.body

    @pytest.mark.parametrize("name", LISTED["grants"])
    def test_grants(self, name: str) -> None:
        """Every listed grant is one; another is not."""
        tenant = application()
        url = f"https://login.microsoftonline.com/{tenant.tenant.tenant_id}/oauth2/v2.0/token"
        form = {"grant_type": name, "client_id": "14d82eec-204b-4c2f-b7e8-296a70dab67e"}
        assert b"70003" not in ask(tenant, "POST", url, data=form).body
        refused = json.loads(ask(tenant, "POST", url, data=form | {"grant_type": name + "s"}).body)
        assert refused["error"] == "unsupported_grant_type"
        assert all(known in refused["error_description"] for known in LISTED["grants"])

    @pytest.mark.parametrize("name", LISTED["graph"])
    def test_graph(self, name: str) -> None:
        """Every listed call of Graph is known to it, whatever it then says of an object that is not there."""
        method, path = name.split(" ")
        tenant = application()
        headers = {"Authorization": f"Bearer {token(tenant, 'https://graph.microsoft.com')}"}
        answer = ask(tenant, method, f"https://graph.microsoft.com{filled(path)}", headers=headers, json={})
        assert b"UnknownCall" not in answer.body
        assert answer.status != 405

    @given(
        st.sampled_from(["sign-in", "graph", "federation"]),
        st.sampled_from(["GET", "POST", "PATCH", "DELETE", "PUT"]),
        st.lists(st.one_of(st.sampled_from(WORDS), st.text("abc", max_size=3)), max_size=6),
    )
    def test_nothing_else(self, surface: str, method: str, words: list[str]) -> None:
        """Whatever is put together of the listed words: it is listed, or refused as not known."""
        path = "/" + "/".join(words)
        tenant = application()
        listed = any(_fits(name, method, path) for name in LISTED[surface])
        if surface == "federation":
            answer = FarmService(None).handle(Call(method, "adfs.x", path)) if not listed else None  # type: ignore[arg-type]
        else:
            host = "login.microsoftonline.com" if surface == "sign-in" else "graph.microsoft.com"
            headers = {"Authorization": f"Bearer {token(tenant, 'https://graph.microsoft.com')}"}
            answer = ask(tenant, method, f"https://{host}{path}", headers=headers)
        if answer is not None:
            refused = any(each in answer.body for each in (b"unknown_call", b"UnknownCall", b"900561"))
            assert refused is not listed


def _fits(name: str, method: str, path: str) -> bool:
    own_method, own = name.split(" ")
    parts, given_parts = own.strip("/").split("/"), path.strip("/").split("/")
    return (
        own_method == method
        and len(parts) == len(given_parts)
        and all(a.startswith("{") or a.lower() == b.lower() for a, b in zip(parts, given_parts, strict=True))
    )


class TestProvisioning:
    def call(self, operation: str) -> None:
        """Call an operation without arguments. Raises ServiceFault."""
        tenant = application()
        header = CallHeader(operation, token(tenant, "https://graph.windows.net"), "2.4.131.0", UUID(int=1))
        data = binary_xml.encode(request_envelope(header, element(SERVICE, operation)), PREFIXES)
        url = "https://adminwebservice.microsoftonline.com/provisioningservice.svc"
        answer = ask(tenant, "POST", url, data=data, headers={"Content-Type": CONTENT_TYPE})
        parse_response(binary_xml.decode(answer.body))

    @pytest.mark.parametrize("name", LISTED["provisioning"])
    def test_operations(self, name: str) -> None:
        """Every listed operation is one; another is refused with the nearest and all that are known."""
        told = ""
        try:
            self.call(name)
        except ServiceFault as fault:
            told = str(fault)
        assert "There is no operation" not in told
        refusal = f"There is no operation '{name}X' here. The nearest is {name}"
        with pytest.raises(ServiceFault, match=refusal) as caught:
            self.call(f"{name}X")
        assert all(known in str(caught.value) for known in LISTED["provisioning"])


class TestReplication:
    @pytest.mark.parametrize("name", LISTED["replication"])
    def test_operations(self, name: str) -> None:
        """Every listed operation is one; another is refused with the nearest and all that are known."""
        domain = Forest("contoso.example", Clock(START), Randomness(1)).add_domain("contoso.example")
        server = ReplicationServer(domain.controller())
        code = 0
        try:
            server.call(name, {})
        except ReplicationError as error:
            code = error.code
        assert code != 1745
        with pytest.raises(ReplicationError, match=f"unknown operation '{name}s'. The nearest is {name}") as caught:
            server.call(f"{name}s", {})
        assert caught.value.code == 1745
        assert all(known in str(caught.value) for known in OPERATIONS)


class TestCommand:
    def test_table(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Every entry stands under its surface's title; the last line counts them."""
        assert run_app(["surface"]) == ExitCode.HELD
        lines = capsys.readouterr().out.splitlines()
        for names in LISTED.values():
            assert all(any(line.startswith(f"  {name}") for line in lines) for name in names)
        assert lines[-1] == f"{sum(map(len, LISTED.values()))} entries on {len(LISTED)} surfaces"

    def test_json(self, capsys: pytest.CaptureFixture[str]) -> None:
        """The same as JSON, and only what was asked for."""
        assert run_app(["surface", "graph", "replication", "--json"]) == ExitCode.HELD
        found = json.loads(capsys.readouterr().out)
        assert {each["id"]: [entry["name"] for entry in each["entries"]] for each in found} == {
            name: LISTED[name] for name in ("replication", "graph")
        }
        assert all(set(entry) == {"name", "about"} for each in found for entry in each["entries"])

    def test_unknown(self, capsys: pytest.CaptureFixture[str]) -> None:
        """A surface that is not there is an error that names those that are."""
        assert run_app(["surface", "grahp"]) == ExitCode.BAD_INPUT
        assert "graph?" in capsys.readouterr().err
