"""The federation servers of a world, and how people sign in to the cloud: at the tenant, or through those servers.

Clients of the cloud ask the tenant for a user's realm first. A federated user's name and password go to the farm, whose
token then goes to the tenant; all of it is done here as on the wire, with signed XML, in memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from simulator.azure_ad.federated_domains import FederationTrust
from simulator.azure_ad.http import read_call
from simulator.azure_ad.wire import Answer
from simulator.federation.names import METADATA_PATH, TRUST_13
from simulator.federation.state import Farm
from simulator.refusal import Refusal

if TYPE_CHECKING:
    from simulator.azure_ad.users import CloudUser
    from simulator.world import World

MANAGED, ADFS = "managed", "adfs"
UNAVAILABLE = "federation-unavailable"

_SIGN_IN_RESULTS = {
    "no-such-user": "unknown-user",
    "account-expired": "expired",
    "logon-hours": "disabled",
    "workstation": "disabled",
    "unavailable": UNAVAILABLE,
}
"""What the directory says of a logon, where a sign-in to the cloud has another word for it."""


_TENANT_REFUSALS = {50107: "unknown-user", 51004: "unknown-user", 50057: "disabled"}
"""What the tenant may have against somebody whom the farm has let in, by code: it does not know the name (or even its
domain, where that was changed on premises and not exported yet), or has disabled the account."""


class FarmDown(Exception):
    """Nothing listens at the farm's address: the connection is refused."""


@dataclass(frozen=True, slots=True)
class CloudSignIn:
    """What came of a sign-in: result and user as of :class:`~simulator.azure_ad.sign_in.SignInResult`, or
    ``federation-unavailable``; via: ``managed`` or ``adfs``."""

    result: str
    user: CloudUser | None
    aadsts: int
    via: str


class Farms:
    """One farm for each forest of a world, by host."""

    def __init__(self, world: World) -> None:
        self._world = world
        forests = [forest for forest in world.forests.values() if forest.domains]
        farms = [Farm(forest, world.clock, world.randomness) for forest in forests]
        self.by_host = {farm.host: farm for farm in farms}

    def set_state(self, state: str) -> None:
        """All farms go ``down`` or come ``up``."""
        for farm in self.by_host.values():
            farm.up = state == "up"

    def of_domain(self, domain: str) -> Farm:
        """The farm that signs a domain's users in: that of the forest which has the domain, or has users with such
        principal names; else the first. Raises Refusal if there is no forest."""
        for farm in self.by_host.values():
            if domain.lower() in (each.lower() for each in farm.forest.domains):
                return farm
        ending = f"@{domain.lower()}"
        for farm in self.by_host.values():
            for each in farm.forest.domains.values():
                if any(name.endswith(ending) for name in each.controller().replica.by_upn):
                    return farm
        for farm in self.by_host.values():
            return farm
        raise Refusal("not-supported", "there is no forest to federate with")

    def trust(self, domain: str) -> FederationTrust:
        """What the tenant is told when a domain is federated. Raises Refusal while the farm can't be asked."""
        from simulator.federation import signing

        farm = self.of_domain(domain)
        if not farm.up:
            raise Refusal("not-supported", f"{farm.host} is down: it can't be set up for {domain}")
        base = f"https://{farm.host}"
        return FederationTrust(
            farm.issuer(domain), signing.certificate(), f"{base}{METADATA_PATH}", f"{base}{TRUST_13.path}"
        )

    def answer(self, environ: Mapping[str, Any]) -> Answer:
        """The answer of the farm whose host a WSGI environment names. Raises FarmDown, KeyError for another host."""
        from simulator.federation.http import FarmService

        call = read_call(environ)
        if isinstance(call, Answer):
            return call
        farm = self.by_host[call.host]
        if not farm.up:
            raise FarmDown(farm.host)
        return FarmService(farm).handle(call)

    @contextmanager
    def observed(self) -> Iterator[None]:
        """Sign-ins in this block leave no trace in any directory."""
        with ExitStack() as stack:
            for farm in self.by_host.values():
                stack.enter_context(farm.observed())
            yield


def sign_in(world: World, upn: str, password: str) -> CloudSignIn:
    """Sign in to the cloud by the way that the name's domain goes."""
    trust = world.tenant.federated_domains.trust(upn.rpartition("@")[2])
    if trust is not None:
        return _sign_in_federated(world, trust, upn, password)
    found = world.tenant.sign_in(upn, password)
    return CloudSignIn(found.result, found.user, found.aadsts, MANAGED)


def look_at_sign_in(world: World, upn: str, password: str) -> CloudSignIn:
    """What :func:`sign_in` would come to; nothing is counted, logged or drawn."""
    if not world.tenant.is_federated(upn):
        found = world.tenant.sign_in(upn, password, observe=True)
        return CloudSignIn(found.result, found.user, found.aadsts, MANAGED)
    with world.observing(), world.farms.observed():
        return sign_in(world, upn, password)


def _sign_in_federated(world: World, trust: FederationTrust, upn: str, password: str) -> CloudSignIn:
    from simulator.azure_ad import federated_grant
    from simulator.azure_ad.errors import TokenRefused
    from simulator.azure_ad.tokens import encode_part
    from simulator.federation import client, wstrust
    from simulator.federation.errors import FarmFault, NotSoap
    from simulator.federation.http import FarmService

    address = trust.sign_in_url
    farm = world.farms.by_host[str(urlsplit(address).hostname)]
    if not farm.up:
        return CloudSignIn(UNAVAILABLE, None, 0, ADFS)
    now = world.clock()
    try:
        envelope = wstrust.parse(client.request(TRUST_13, address, upn, password, now))
        answer = FarmService(farm).exchange(wstrust.read(envelope, TRUST_13, farm.host, now))
    except NotSoap:  # a password that XML has no characters for
        return CloudSignIn("wrong-password", None, 0, ADFS)
    except FarmFault as fault:
        result = _SIGN_IN_RESULTS.get(fault.result, fault.result or "wrong-password")
        return CloudSignIn(result, None, 0, ADFS)
    document, kind = client.token(answer, TRUST_13)
    grant = next(grant for grant, each in federated_grant.KINDS.items() if each == kind)
    try:
        user = federated_grant.sign_in(world.tenant, grant, encode_part(document))
    except TokenRefused as refused:
        if refused.code not in _TENANT_REFUSALS:
            raise
        return CloudSignIn(_TENANT_REFUSALS[refused.code], None, refused.code, ADFS)
    return CloudSignIn("ok", user, 0, ADFS)
