"""Applications that may ask the tenant for tokens: those registered with it, and those that every tenant knows.

Source: the product's pages on application objects, permissions and client secrets. Left out: certificates and
federated credentials in place of secrets, redirect addresses, consent by single users.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hmac import compare_digest

from simulator.random import Randomness

SECRET_LIFE = timedelta(days=730)
"""How long a secret is good for unless said otherwise: the longest that the product's pages offer."""

FIRST_PARTY: Mapping[str, str] = {
    "04b07795-8ddb-461a-bbee-02f9e1bf7b46": "Microsoft Azure CLI",
    "14d82eec-204b-4c2f-b7e8-296a70dab67e": "Microsoft Graph Command Line Tools",
    "1950a258-227b-4e31-a9cf-717495945fc2": "Microsoft Azure PowerShell",
    "1b730954-1685-4b74-9bfd-dac224a7b894": "Azure Active Directory PowerShell",
    "cb1056e2-e479-49de-ae31-7812af012ed8": "Microsoft Azure Active Directory Connect",
    "d3590ed6-52b3-4102-aeff-aad2292ab01c": "Microsoft Office",
    "de8bc8b5-d9f9-48b1-a8ae-9748da6c7bb7": "Graph Explorer",
}
"""Public clients of the product's maker, which every tenant knows."""


@dataclass(slots=True)
class Secret:
    """One client secret, good until ``expires``."""

    value: str = field(repr=False)
    expires: datetime


@dataclass(slots=True, eq=False)
class Application:
    """A registered application.

    id: what clients send as client_id. service_principal: its object in the tenant, ``oid`` of its own tokens. scopes:
    the delegated permissions that were consented to for everybody; None: all there are. roles: the application
    permissions it was granted. An application with a secret is a confidential client.
    """

    id: str
    name: str
    service_principal: str
    scopes: frozenset[str] | None = None
    roles: frozenset[str] = frozenset()
    secrets: list[Secret] = field(default_factory=list)

    @property
    def confidential(self) -> bool:
        """Whether the application has to prove who it is."""
        return bool(self.secrets)

    def secret_state(self, value: str, now: datetime) -> str:
        """``ok``, ``expired`` or ``wrong``."""
        found = "wrong"
        for secret in self.secrets:
            if compare_digest(secret.value.encode(), value.encode("utf-8", "surrogatepass")):
                found = "ok" if now < secret.expires else "expired"
                if found == "ok":
                    break
        return found


class Applications:
    """The applications of one tenant.

    known_only: refuse a public client that neither is registered nor one of :data:`FIRST_PARTY`, as the real service
    does. It is off, so that a client under test signs in without being registered first.
    """

    def __init__(self, clock: Callable[[], datetime], randomness: Randomness) -> None:
        self.known_only = False
        self._clock = clock
        self._randomness = randomness
        self._by_id: dict[str, Application] = {}

    def __iter__(self) -> Iterator[Application]:
        return iter(self._by_id.values())

    def find(self, client_id: str) -> Application | None:
        """A registered application."""
        return self._by_id.get(client_id.lower())

    def knows(self, client_id: str) -> bool:
        """Whether a client that shows no secret may come under this id."""
        return not self.known_only or client_id.lower() in FIRST_PARTY or client_id.lower() in self._by_id

    def register(
        self,
        name: str,
        *,
        client_id: str | None = None,
        scopes: frozenset[str] | None = None,
        roles: frozenset[str] = frozenset(),
    ) -> Application:
        """A new application, without a secret. client_id: one of one's own choice, else a new one."""
        made = str(self._randomness.uuid("azure_ad/applications"))
        principal = str(self._randomness.uuid("azure_ad/applications"))
        application = Application((client_id or made).lower(), name, principal, scopes, roles)
        self._by_id[application.id] = application
        return application

    def add_secret(self, application: Application, life: timedelta = SECRET_LIFE, *, value: str | None = None) -> str:
        """A new secret of an application, good for ``life``; the only time that it is told. value: one's own choice."""
        value = value or "pws~" + self._randomness.child("azure_ad/applications").randbytes(18).hex()
        application.secrets.append(Secret(value, self._clock() + life))
        return value
