"""The agent's way to the tenant: every call passes here, and none while the tenant asked for a pause."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Protocol, TypeVar
from uuid import UUID

from pwsync.errors import TenantError
from pwsync.ports import AgentPorts
from pwsync.state import State
from pwsync.tenant.messages import (
    CompanyConfiguration,
    CredentialItem,
    CredentialResult,
    ObjectResult,
    SecretsConfiguration,
    SyncObject,
)

T = TypeVar("T")
RETRY_AFTER = "retry-after"
"""The setting that keeps the end of a pause."""

PASSWORD_HASH_SYNC = 1
"""The bit of the tenant's features that switches password synchronization on."""

FORCE_PASSWORD_CHANGE = 16384
"""The bit of the tenant's features that lets must-change passwords be synchronized."""


class Service(Protocol):
    """The provisioning service, as :class:`pwsync.tenant.provisioning.ProvisioningService` offers it."""

    def send_credentials(self, items: Sequence[CredentialItem]) -> list[CredentialResult]: ...

    def send_objects(self, objects: Sequence[SyncObject]) -> list[ObjectResult]: ...

    def ping(self) -> None: ...

    def company_configuration(self) -> CompanyConfiguration: ...

    def set_features(self, bits: int) -> None: ...

    def secrets_configuration(self) -> SecretsConfiguration: ...

    def assume_ping(self) -> None: ...


class Tokens(Protocol):
    """Where access tokens come from, as :class:`pwsync.tenant.tokens.TokenSource` offers it."""

    def token(self) -> str: ...

    def assume(self) -> bool: ...

    def make_good(self) -> None: ...


Connect = Callable[[AgentPorts], tuple[Tokens, Service]]


def connect(ports: AgentPorts) -> tuple[Tokens, Service]:
    """The tenant over HTTPS."""
    from pwsync.tenant.provisioning import ProvisioningService
    from pwsync.tenant.tokens import TokenSource

    settings, draw = ports.settings, ports.random("tracking")
    tokens = TokenSource(ports.tenant, settings.account, settings.password, ports.clock)

    def identifier() -> UUID:
        return UUID(bytes=draw.randbytes(16), version=4)

    build, clock = settings.build, ports.clock
    return tokens, ProvisioningService(
        ports.tenant, tokens.token, build.number, identifier, clock, keeps_endpoint=build.keeps_endpoint
    )


class AssumedCalls:
    """Calls to the tenant that are taken as made and answered well; ``made`` is told of each (``cloud.token``, ...).

    For a simulation that skips an idle hour: what the calls would have changed here is changed, and nothing crosses a
    wire. The caller knows that they would have succeeded.
    """

    def __init__(self, tokens: Tokens, service: Service, made: Callable[[str], None]) -> None:
        self._tokens = tokens
        self._service = service
        self._made = made

    def prepare(self) -> None:
        """As :meth:`TenantLink.prepare`."""
        if self._tokens.assume():
            self._made("cloud.token")

    def ping(self) -> None:
        """As :meth:`TenantLink.ping`."""
        self._service.assume_ping()
        self._made("cloud.ping")


class TenantLink:
    """Calls to the tenant for one process of the agent. Every call raises TenantError.

    Where the tenant names a Retry-After it is noted in the state, which the caller commits; until it has passed
    :attr:`held` is true and nothing may be called, restarts included.
    """

    def __init__(self, ports: AgentPorts, state: State, connect: Connect = connect) -> None:
        self._clock = ports.clock
        self._state = state
        self._tokens, self._service = connect(ports)
        kept = state.settings.get(RETRY_AFTER)
        self._held_until = datetime.fromisoformat(kept) if kept else None

    @property
    def held(self) -> bool:
        """Does the tenant want no call now?"""
        return self._held_until is not None and self._clock() < self._held_until

    def prepare(self) -> None:
        """Have a valid access token; asks for one only if there is none."""
        self._call(self._tokens.token)

    def send_credentials(self, items: Sequence[CredentialItem]) -> list[CredentialResult]:
        """At most 50 credentials; a result for each, in their order."""
        return self._call(lambda: self._service.send_credentials(items))

    def send_objects(self, objects: Sequence[SyncObject]) -> list[ObjectResult]:
        """Objects to set or delete; a result for each, in their order."""
        return self._call(lambda: self._service.send_objects(objects))

    def ping(self) -> None:
        """The heartbeat."""
        self._call(self._service.ping)

    def make_good(self) -> None:
        """Have the token that was only assumed: see :class:`AssumedCalls`."""
        self._call(self._tokens.make_good)

    def assumed(self, made: Callable[[str], None]) -> AssumedCalls:
        """Calls of this link that are taken as made, because it is known that they would succeed."""
        return AssumedCalls(self._tokens, self._service, made)

    def takes_forced_change(self) -> bool:
        """Is the tenant's feature on that lets must-change passwords be synchronized?"""
        return bool(self.features() & FORCE_PASSWORD_CHANGE)

    def features(self) -> int:
        """The tenant's features, a sum of bits."""
        return self._call(self._service.company_configuration).dirsync_features

    def set_features(self, bits: int) -> None:
        """Switch the tenant's features: those of the bits on, all others off."""
        self._call(lambda: self._service.set_features(bits))

    def secrets_configuration(self) -> SecretsConfiguration:
        """Which secrets the tenant wants for Domain Services beside each password."""
        return self._call(self._service.secrets_configuration)

    def heed(self, seconds: float) -> None:
        """Make no call for so long: the tenant has asked for it by another way."""
        self._hold(seconds)

    def _call(self, what: Callable[[], T]) -> T:
        try:
            return what()
        except TenantError as error:
            if error.retry_after is not None:
                self._hold(error.retry_after)
            raise

    def _hold(self, seconds: float) -> None:
        until = self._clock() + timedelta(seconds=min(max(seconds, 0.0), 86_400.0 * 365))
        if self._held_until is None or until > self._held_until:
            self._held_until = until
            self._state.set(RETRY_AFTER, until.isoformat())
