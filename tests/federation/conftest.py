"""A forest with people, its farm, and a tenant whose domain is federated with it and has the same people."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from pwsync.tenant.messages import SyncObject
from simulator.active_directory.state import Domain, Forest
from simulator.azure_ad import federated_grant
from simulator.azure_ad.errors import TokenRefused
from simulator.azure_ad.federated_domains import FederationTrust
from simulator.azure_ad.state import Tenant
from simulator.azure_ad.users import CloudUser
from simulator.azure_ad.wire import Answer, Call
from simulator.clock import Clock
from simulator.federation import client, signing
from simulator.federation.assertions import issue
from simulator.federation.http import FarmService
from simulator.federation.names import SAML1, TENANT_AUDIENCE, TRUST_13, Dialect
from simulator.federation.state import Farm, FarmLogon
from simulator.profile import PROFILE_2017
from simulator.random import Randomness

START = datetime(2017, 1, 13, 9, tzinfo=UTC)
NAME = "contoso.example"
ALICE = "alice@contoso.example"
GOOD = "Winter-2016!"
GRANTS = {kind: grant for grant, kind in federated_grant.KINDS.items()}
SOAP_TYPE = {"content-type": "application/soap+xml; charset=utf-8"}


@dataclass
class Lab:
    """Everything around one farm, and short ways to use it."""

    clock: Clock
    forest: Forest
    farm: Farm
    tenant: Tenant

    @property
    def domain(self) -> Domain:
        return self.forest.domains[NAME]

    def later(self, **parts: float) -> None:
        """Let time pass."""
        self.clock.move_to(self.clock() + timedelta(**parts))

    def post(self, body: bytes, dialect: Dialect = TRUST_13, headers: dict[str, str] = SOAP_TYPE) -> Answer:
        """Send a body to an endpoint of the farm."""
        return FarmService(self.farm).handle(Call("POST", self.farm.host, dialect.path, headers=headers, body=body))

    def ask(self, name: str = ALICE, password: str = GOOD, dialect: Dialect = TRUST_13) -> Answer:
        """Ask the farm for a token."""
        address = f"https://{self.farm.host}{dialect.path}"
        return self.post(client.request(dialect, address, name, password, self.clock()), dialect)

    def token(self, kind: str = SAML1, audience: str = TENANT_AUDIENCE, **changes: str) -> bytes:
        """A token for alice; ``changes``: what it says of her otherwise."""
        anchor = self.domain.find("alice").source_anchor
        who = FarmLogon(**({"result": "ok", "upn": ALICE, "anchor": anchor} | changes))
        return issue(self.farm, who, kind, audience)[0]

    def redeem(self, document: bytes, kind: str = SAML1) -> CloudUser:
        """Sign in at the tenant with a token."""
        encoded = urlsafe_b64encode(document).decode().rstrip("=")
        return federated_grant.sign_in(self.tenant, GRANTS[kind], encoded)

    def refusal(self, document: bytes, kind: str = SAML1) -> int:
        """The code with which the tenant refuses a token; it must leave the tenant as it was."""
        before = len(self.tenant.sign_in_log)
        with pytest.raises(TokenRefused) as caught:
            self.redeem(document, kind)
        assert len(self.tenant.sign_in_log) == before
        return caught.value.code


@pytest.fixture
def lab() -> Lab:
    clock, randomness = Clock(START), Randomness(1)
    forest = Forest(NAME, clock, randomness)
    domain = forest.add_domain(NAME)
    tenant = Tenant(clock, randomness, PROFILE_2017)
    farm = Farm(forest, clock, randomness)
    for name in ("alice", "bob"):
        domain.create_user(name, GOOD)
        values = {"userPrincipalName": f"{name}@{NAME}", "displayName": name, "accountEnabled": True}
        tenant.apply_object(SyncObject(domain.find(name).source_anchor, "User", "Set", values))
    trust = FederationTrust(farm.issuer(NAME), signing.certificate(), "https://x/mex", "https://x/trust")
    tenant.federated_domains.set(NAME, trust)
    return Lab(clock, forest, farm, tenant)


@pytest.fixture
def alice(lab: Lab) -> CloudUser:
    found = lab.tenant.find_by_upn(ALICE)
    assert found is not None
    return found
