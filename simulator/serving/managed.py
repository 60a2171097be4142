"""The managed domain of a served world on ports of its own, from when Domain Services is switched on."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple, Self

from simulator.active_directory.port import PortUnavailable
from simulator.domain_services.port import ServedDomain
from simulator.random import Randomness

if TYPE_CHECKING:
    from threading import RLock
    from types import TracebackType

    from simulator.certificates import Authority
    from simulator.domain_services.principal import Principal
    from simulator.world import World

_log = logging.getLogger(__name__)


class Numbers(NamedTuple):
    """Ports to take; 0: any that are free."""

    kerberos: int = 0
    ldap: int = 0
    ldaps: int = 0


class ManagedPorts:
    """Opens the ports while its ``with`` block lasts: at once if the world has Domain Services, else when it gets it.

    They stay open when it is switched off, and answer nobody then. on_open: called once they are open. Raises
    PortUnavailable at once; of what can't be had later, the log tells.
    """

    def __init__(self, world: World, lock: RLock, authority: Authority, *, host: str, numbers: Numbers) -> None:
        self.domain: ServedDomain | None = None
        self.on_open: Callable[[ServedDomain], None] = lambda domain: None
        self._world = world
        self._lock = lock
        self._authority = authority
        self._host = host
        self._numbers = numbers
        self._open = ExitStack()

    def __enter__(self) -> Self:
        with self._lock:
            self._follow()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._open.close()

    def follow(self) -> None:
        """Open the ports if there is a domain by now."""
        with self._lock:
            try:
                self._follow()
            except PortUnavailable as problem:
                _log.warning("the managed domain is not served: %s", problem)

    def hang_up(self) -> None:
        """Whoever is connected has to connect and sign on anew."""
        if self.domain is not None:
            self.domain.ldap.hang_up()

    def _follow(self) -> None:
        services = self._world.tenant.domain_services
        if services is None or self.domain is not None:
            return
        served = ServedDomain(
            services.domain.name,
            self._principal,
            self._world.clock,
            Randomness(f"{self._world.randomness.seed}/served-domain"),  # nothing that the world itself draws moves
            netbios=services.domain.netbios,
            host=self._host,
            kerberos_port=self._numbers.kerberos,
            ldap_port=self._numbers.ldap,
            ldaps_port=self._numbers.ldaps,
            authority=self._authority,
            lock=self._lock,
            is_up=lambda: self._world.tenant.domain_services is not None,
        )
        self.domain = self._open.enter_context(served)
        self.on_open(served)

    def _principal(self, name: str) -> Principal | None:
        services = self._world.tenant.domain_services
        return None if services is None else services.domain.principal(name)
