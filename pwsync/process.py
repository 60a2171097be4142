"""One run of the agent's service: what lives and dies with it, shared by both cycles."""

from __future__ import annotations

from dataclasses import dataclass

from pwsync import fips
from pwsync.event_log import EventTexts
from pwsync.fips import Crypto
from pwsync.ports import AgentPorts
from pwsync.settings import Connector
from pwsync.state import State
from pwsync.store import Store
from pwsync.tenant_link import TenantLink


@dataclass(slots=True)
class Process:
    """What a start of the service sets up.

    passwords: the connector accounts' passwords by domain, as they were at the start: the product caches them until it
    is restarted. controllers: the controller to ask, by domain. crypto: the server's, under the policy of the start.
    stopping: the service was told to stop; a cycle under way ends after the call that it waits for.
    """

    ports: AgentPorts
    store: Store
    link: TenantLink
    texts: EventTexts
    passwords: dict[str, str]
    controllers: dict[str, str]
    crypto: Crypto
    stopping: bool = False

    @property
    def state(self) -> State:
        return self.store.state

    def pass_on(self, domain: str) -> None:
        """The controller can't be reached: the next one on the list of preferred controllers is asked from now on.

        Only a list has a next one. Without it the locator keeps what it has found (see :func:`controller`).
        """
        preferred = self.ports.settings.preferred_controllers.get(domain, ())
        asked = self.controllers[domain]
        if asked in preferred:
            self.controllers[domain] = preferred[(preferred.index(asked) + 1) % len(preferred)]

    @property
    def may_send(self) -> bool:
        """May the tenant be called now? Not on a staging server, and not before Retry-After has passed."""
        return not (self.ports.settings.staging or self.stopping or self.link.held)


def begin(ports: AgentPorts, store: Store, link: TenantLink) -> Process:
    """A new process. Hashes that an earlier one still held in memory are gone."""
    for state in store.state.waiting.values():
        state.nt = None
    process, problem = prepared(ports, store, link)
    if problem:
        ports.event_log(fips.config_unusable(ports.clock(), ports.settings.build, problem))
    return process


def prepared(ports: AgentPorts, store: Store, link: TenantLink) -> tuple[Process, str]:
    """What a process would be that starts now, and what is wrong with its configuration file; nothing changes."""
    settings = ports.settings
    crypto, problem = fips.crypto_of(ports.server)
    process = Process(
        ports,
        store,
        link,
        EventTexts(settings.build, settings.connectors),
        {connector.domain: connector.password for connector in settings.connectors},
        {connector.domain: controller(connector, settings.preferred_controllers.get(connector.domain, ()))
         for connector in settings.connectors},
        crypto,
    )  # fmt: skip
    return process, problem


def controller(connector: Connector, preferred: tuple[str, ...]) -> str:
    """The controller that is asked first: the first that is preferred, or the first at all.

    The product's locator keeps what it has found as long as the process lives; only on a list of preferred controllers
    the next one follows when one can't be reached (:meth:`Process.pass_on`).
    """
    return (*preferred, *connector.controllers)[0]
