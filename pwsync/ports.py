"""What an agent needs from the world, and what the world may ask of an agent.

An agent is built by a factory, ``factory(ports: AgentPorts) -> Agent``; :class:`pwsync.agent.SyncAgent` is one.
Every effect goes through a port: the agent never reads the system's clock, never sleeps, and draws no randomness of
its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import ldap3
    import requests

    from pwsync.diagnosis import Diagnosis
    from pwsync.event_log import Event
    from pwsync.fips import Crypto
    from pwsync.settings import Settings


class ReplicationChannel(Protocol):
    """Carries one MS-DRSR operation to a domain controller and brings its answer back.

    Operations and messages are those of :mod:`pwsync.replication.client`; values are str, int, bool, bytes, lists and
    mappings of these. Raises :class:`pwsync.errors.ReplicationError` for a Win32 code.
    """

    def call(self, operation: str, message: Mapping[str, Any]) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class TenantPort:
    """The way to the tenant: an HTTP session whose transport does not retry, and the tenant's addresses."""

    session: requests.Session
    tenant_id: str
    authority: str = "https://login.microsoftonline.com"
    provisioning_url: str = "https://adminwebservice.microsoftonline.com/provisioningservice.svc"


def _plain_commit(perform: Callable[[], None]) -> None:
    perform()


@dataclass(frozen=True)
class StorePort:
    """Where the agent keeps its state.

    ``path`` is a file path, or an SQLite URI (``file:...``). ``commit`` is called around every commit of a transaction,
    so that a commit can be watched, or fail. ``name``: what messages call it; by default the path.
    """

    path: str
    commit: Callable[[Callable[[], None]], None] = _plain_commit
    name: str = ""

    @property
    def called(self) -> str:
        """What messages call it."""
        return self.name or self.path


def _no_file() -> bytes | None:
    return None


def _any_algorithm(enforce_fips: bool) -> Crypto:
    from pwsync.fips import ServerCrypto

    return ServerCrypto(locked=False)


@dataclass(frozen=True)
class ServerPort:
    """The server that the agent's service runs on; by default one without a FIPS policy.

    service_config: the service's configuration file as a process gets to see it when it starts; None if there is none,
    OSError if it can't be read. crypto: gives a new process its cryptography; told whether the process abides by the
    server's FIPS policy, which its configuration file says.
    """

    service_config: Callable[[], bytes | None] = _no_file
    crypto: Callable[[bool], Crypto] = _any_algorithm


def _no_history(kind: str) -> None:
    return None


@dataclass(frozen=True)
class AgentPorts:
    """Everything that an agent may touch.

    clock: returns the time now, UTC, timezone-aware.
    directory: (domain, controller) -> an ldap3 Connection, not yet open; opening it may raise LDAP exceptions.
    replication: (domain, controller) -> a channel for :class:`pwsync.replication.client.ReplicationClient`.
    tenant: the way to the tenant.
    store: the agent's database; it outlives the agent's process.
    settings: what an administrator has set up.
    random: name -> a generator seeded for that name; one consumer, one name.
    event_log: takes each event that the agent writes.
    run_history: is told ``"object"`` or ``"password"`` whenever a cycle of that kind starts.
    server: the server beneath the service.
    """

    clock: Callable[[], datetime]
    directory: Callable[[str, str], ldap3.Connection]
    replication: Callable[[str, str], ReplicationChannel]
    tenant: TenantPort
    store: StorePort
    settings: Settings
    random: Callable[[str], Random]
    event_log: Callable[[Event], None]
    run_history: Callable[[str], None] = field(default=_no_history)
    server: ServerPort = field(default_factory=ServerPort)


class Agent(Protocol):
    """What the world and its operators ask of an agent.

    Refusals are raised as :class:`pwsync.errors.Refused`; an operation that an agent does not have at all raises
    :class:`pwsync.errors.NotSupported`.
    """

    def install(self, *, express: bool = True, password_sync: bool = True, object_sync: bool = True) -> None:
        """Set the agent up (kept in its store). With ``express`` the other two are ignored and on."""

    def start(self) -> None:
        """Start the service: both cycles are due at once, and their grids begin now."""

    def stop(self) -> None:
        """Stop the service; nothing is due until the next start."""

    def next_due(self) -> datetime | None:
        """When the next cycle of any kind is due; None while the service is stopped or nothing is set up."""

    def run_due(self) -> None:
        """Run what is due now: the object cycle first, then the password cycle."""

    def pending(self) -> Sequence[str]:
        """Source anchors of users whose password still has to go to the tenant, in sending order."""

    def status(self, source_anchor: str) -> str:
        """The outcome of the last attempt for a user's password: a word of the product's, or ``"none"``."""

    def enable_password_sync(self, domain: str | None = None) -> None: ...

    def disable_password_sync(self, domain: str | None = None) -> None: ...

    def full_password_sync(self, domain: str) -> None: ...

    def sync_user(self, source_anchor: str) -> None:
        """The next password cycle sends one user's password again."""

    def run_object_cycle(self, kind: str) -> None:
        """Run a ``"delta"`` or ``"initial"`` object cycle now, beside the schedule."""

    def configure(self, **changes: Any) -> None:
        """Change settings: ``staging``, ``preferred_controllers``, ``scope``, ``object_interval`` (timedelta)."""

    def set_password_interval(self, every: Any) -> None: ...

    def select_users(self, users: Sequence[str]) -> None:
        """From the next object cycle on, synchronize the passwords of these users alone (source anchors).

        Whoever asks has marked them in the directory: there their ``adminDescription`` is ``PHSIncluded``.
        """

    def diagnose(self, source_anchor: str | None = None) -> Diagnosis | Sequence[str]:
        """Why passwords do not arrive, on the whole or for one user: a Diagnosis, or what it finds alone.

        The words are those of the scenario format's ``agent.diagnosis``. It may ask tenant and domains, by ways and
        generators of its own, and changes nothing.
        """


AgentFactory = Callable[[AgentPorts], Agent]
