"""A simulated world: directory, tenant, wires, the agent's server, and the frozen time that they share.

The world knows no scenario file; :mod:`simulator.scenario.runner` builds one from a file's ``given`` and moves it.
"""

from __future__ import annotations

import dataclasses
from base64 import b64decode
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from pwsync.agent import SyncAgent
from pwsync.errors import Refused
from pwsync.event_log import Event
from pwsync.ports import AgentFactory, AgentPorts, ReplicationChannel, StorePort, TenantPort
from pwsync.replication.client import source_anchor
from pwsync.settings import Connector, Settings
from simulator.active_directory.ldap import DirectoryConnection, connect
from simulator.active_directory.replication import ReplicationServer
from simulator.active_directory.state import Account, Domain, Forest
from simulator.azure_ad.doubles import TenantDouble
from simulator.azure_ad.http import TenantApplication
from simulator.azure_ad.policy import CloudPolicy
from simulator.azure_ad.state import Tenant
from simulator.azure_ad.users import CloudUser, PasswordWrite
from simulator.clock import Clock
from simulator.collection import patient_collector
from simulator.direct_session import DirectSession
from simulator.farms import Farms
from simulator.frozen import Freezer, frozen
from simulator.host import AgentHost
from simulator.idle import IdleTime
from simulator.memory_store import MemoryStore
from simulator.network import AgentCrash, Attempt, Network, Wire
from simulator.passwords import Passwords
from simulator.people import Person
from simulator.profile import Profile
from simulator.queue import EventQueue, Key, Rank
from simulator.random import Randomness
from simulator.refusal import Refusal
from simulator.server import Server
from simulator.trace import Trace
from simulator.wires import CloudWire, DirectoryWire, ReplicationWire


@dataclass(slots=True)
class CycleStart:
    """A cycle of the agent: its kind, when it began, how many attempts had been made before it."""

    kind: str
    started: datetime
    attempts_before: int


class World:
    """Everything that a run consists of. Time moves through :meth:`run_until` alone."""

    def __init__(
        self,
        *,
        start: datetime,
        seed: int,
        profile: Profile,
        cloud_policy: CloudPolicy,
        faults: Sequence[object] = (),
        cloud_latency: timedelta = timedelta(0),
        directory_latency: timedelta = timedelta(0),
        engine: AgentFactory = SyncAgent,
        name: str = "run",
    ) -> None:
        self.start = start
        self.profile = profile
        self.engine = engine
        self.clock = Clock(start)
        self.randomness = Randomness(seed)
        self.trace = Trace(self.clock, start)
        self.queue = EventQueue()
        self.network = Network(
            self.clock,
            self.trace,
            self.wait,
            faults,
            cloud_latency=cloud_latency,
            directory_latency=directory_latency,
        )
        self.people: dict[str, Person] = {}
        self.forests: dict[str, Forest] = {}
        self.default_domain = ""
        self.tenant = Tenant(self.clock, self.randomness, profile, policy=cloud_policy)
        self.passwords = Passwords(self.tenant.verify)
        self.application = TenantApplication(self.tenant)
        self.store = MemoryStore(name)
        self.session = DirectSession()
        self.events: list[Event] = []
        self.cycles: list[CycleStart] = []
        self.requests: list[bytes] = []
        self.keys_read: set[tuple[str, str, bytes]] = set()
        self.server = Server(file_at_boot=profile.exemption_needs_reboot)
        self.idle = IdleTime(self)
        self.host = AgentHost(
            self._build_agent, self.later, self._agent_began, self._agent_died, self.server.boot, self.idle.make_good,
            self.clock,
        )  # fmt: skip
        self.grid_starts: list[datetime] = []
        self.begun_after: list[int] = []
        self.crashes: list[datetime] = []
        self.sync_off: set[str | None] = set()
        self.switched: list[tuple[datetime, datetime]] = []
        self._off_if_it_ends: set[str | None] | None = None
        self.network.watchers += [self.idle.note, self._committed]
        self.orders: list[tuple[int, str | None]] = []
        self.after_instant: Callable[[], None] = lambda: None
        self._farms: Farms | None = None
        self._settings: Settings | None = None
        self._handles: dict[str, str] = {}
        self._writes_told = 0
        self._writes_before = 0
        self._held_before: dict[str, str] = {}
        self.freezer: Freezer | None = None
        self._counting = False
        self._unjudged = False

    # --- people -------------------------------------------------------------------------------------------------

    @property
    def domains(self) -> Iterator[Domain]:
        """All domains of all forests, in the order in which they were made."""
        for forest in self.forests.values():
            yield from forest.domains.values()

    @property
    def farms(self) -> Farms:
        """The federation servers of the world's forests, which are all there when they are first asked for."""
        if self._farms is None:
            self._farms = Farms(self)
        return self._farms

    def domain(self, name: str) -> Domain:
        """A domain by name."""
        for domain in self.domains:
            if domain.name == name:
                return domain
        raise Refusal("not-supported", f"there is no domain {name}")

    def add_person(self, handle: str, domain: str, guid: UUID) -> Person:
        """Remember whose directory object this is."""
        person = self.people.setdefault(handle, Person(handle))
        person.domain = domain
        person.guids.append(guid)
        self._handles[source_anchor(guid)] = handle
        return person

    def account(self, handle: str) -> Account:
        """A user's directory object; Refusal ``no-such-user`` if it is gone."""
        person = self.people.get(handle)
        if person is None or person.domain is None:
            raise Refusal("no-such-user", f"{handle} is not in the directory")
        return self.domain(person.domain).find(handle)

    def home(self, handle: str) -> Domain:
        """The domain that a user belongs (or belonged) to."""
        person = self.people.get(handle)
        if person is None or person.domain is None:
            raise Refusal("no-such-user", f"{handle} is not in the directory")
        return self.domain(person.domain)

    def anchor(self, handle: str) -> str | None:
        """Source anchor of a user's newest directory object."""
        person = self.people.get(handle)
        return source_anchor(person.guids[-1]) if person and person.guids else None

    def handle_of_anchor(self, anchor: str) -> str:
        """The user whom a source anchor belongs to; invented people are named by their account."""
        found = self._handles.get(anchor)
        if found is None:
            found = self._handles[anchor] = self._account_name(anchor) or anchor
        return found

    def _account_name(self, anchor: str) -> str | None:
        try:
            guid = UUID(bytes_le=b64decode(anchor, validate=True))
        except ValueError:
            return None
        for domain in self.domains:
            with suppress(Refusal):
                return domain.by_guid(guid).name
        return None

    def cloud_user(self, handle: str) -> CloudUser | None:
        """A user's account in the tenant, by the anchor of the directory object or as created in the cloud."""
        anchor = self.anchor(handle)
        if anchor is not None:
            found = self.tenant.find_by_anchor(anchor)
            if found is not None:
                return found
        person = self.people.get(handle)
        if person is None or person.cloud_id is None:
            return None
        return self.tenant.users.by_id(person.cloud_id)

    def upn(self, handle: str) -> str:
        """The name that a user signs in to the cloud with: the tenant's, or the directory's if the tenant has none."""
        user = self.cloud_user(handle)
        if user is not None:
            return user.upn
        try:
            return self.account(handle).upn
        except Refusal:
            return self.people[handle].upn if handle in self.people else handle

    # --- the agent's side ---------------------------------------------------------------------------------------

    def configure_agent(self, settings: Settings) -> None:
        """What the administrator has set up for the agent; used by each new process."""
        self._settings = settings

    @property
    def settings(self) -> Settings:
        """The agent's settings as an administrator keeps them."""
        if self._settings is None:
            raise RuntimeError("the agent has no settings yet")
        return self._settings

    def make_settings(self, **changes: object) -> Settings:
        """Settings that fit this world: a connector per forest, all domains, the tenant's synchronization account."""
        connectors = []
        for forest in self.forests.values():
            identifier = str(self.randomness.uuid(f"connector/{forest.name}"))
            for domain in forest.domains.values():
                account, password = domain.connector_account()
                controllers = tuple(domain.controllers)
                connectors.append(
                    Connector(domain.name, forest.name, identifier, account, password, controllers),
                )
        account, password = self.tenant.sync_account()
        settings = Settings(tuple(connectors), account, password, build=self.profile.build)
        return dataclasses.replace(settings, **changes)  # type: ignore[arg-type]

    def _build_agent(self) -> SyncAgent:
        settings = dataclasses.replace(
            self.settings, connectors=tuple(dataclasses.replace(connector) for connector in self.settings.connectors)
        )
        ports = AgentPorts(
            clock=self.clock,
            directory=lambda domain, controller: self._directory(settings, domain, controller),
            replication=self._replication,
            tenant=TenantPort(self.session, self.tenant.tenant_id),
            store=StorePort(self.store.uri, self._commit, "ADSync"),
            settings=settings,
            random=self.randomness.child,
            event_log=self._log,
            run_history=self._cycle_started,
            server=self.server.port(),
        )
        return self.engine(ports)  # type: ignore[return-value]

    def _directory(self, settings: Settings, domain: str, controller: str) -> DirectoryConnection:
        connector = next(each for each in settings.connectors if each.domain == domain)
        home = self.domain(domain)
        connection = connect(
            home.controller(controller),
            f"{home.netbios}\\{connector.account}",
            connector.password,
            intercept=DirectoryWire(self, domain, controller),
        )
        connection.strategy.session.observed = self.network.observed
        return connection

    def _replication(self, domain: str, controller: str) -> ReplicationChannel:
        home = self.domain(domain).controller(controller)
        return ReplicationWire(self, home, ReplicationServer(home, observed=self.network.observed), domain)

    def _commit(self, perform: Callable[[], None]) -> None:
        wire: Wire[None] = Wire(perform=lambda results: perform(), broken=self.store.broken)
        self.network.carry("store.commit", wire)

    def _log(self, event: Event) -> None:
        if not self._counting:
            return
        self.events.append(event)
        head = event.text.splitlines()[0] if event.text else ""
        users = " ".join(self.handle_of_anchor(anchor) for anchor in event.users)
        self.trace.say("event", f"{event.id} {event.level}{f' [{users}]' if users else ''} {head}")

    def _cycle_started(self, kind: str) -> None:
        if self._counting:
            self.note_cycle(kind, self.clock())

    def note_cycle(self, kind: str, started: datetime) -> None:
        """A cycle of the agent has begun, or was passed by."""
        self.cycles.append(CycleStart(kind, started, len(self.network.attempts)))

    def note_order(self, name: str | None) -> None:
        """Passwords are ordered to go out: of a domain, of one user (source anchor), or all.

        What counts is which attempts came before it: a cycle, and an order that had to wait for its end, may well be of
        one instant.
        """
        self.orders.append((len(self.network.attempts), name))

    @contextmanager
    def switching(self, off: set[str | None]) -> Iterator[None]:
        """An order that leaves password synchronization off for these domains is given in this block.

        If its commit is made and the process dies of it, it is in force. If it is refused because its commit seemed to
        fail, and yet was made, it is not in force until the process ends that knows of the refusal; unless that has
        stored, by then, what was in force before.
        """
        before, began = len(self.network.attempts), self.clock()
        try:
            yield
        except (Refused, AgentCrash) as end:
            if any(each.on == "store.commit" and each.arrived for each in self.network.attempts[before:]):
                if isinstance(end, AgentCrash):
                    self.sync_off = off
                else:
                    self._off_if_it_ends = off
            raise
        finally:
            self.switched.append((began, self.clock()))
        self.sync_off = off

    def _committed(self, attempt: Attempt) -> None:
        if attempt.on == "store.commit" and attempt.arrived:
            self._off_if_it_ends = None

    def _agent_began(self) -> None:
        if self._off_if_it_ends is not None:
            self.sync_off, self._off_if_it_ends = self._off_if_it_ends, None
        self.grid_starts.append(self.clock())
        self.begun_after.append(len(self.network.attempts))
        self.server.service_starts()
        self.idle.forget()
        self.trace.say("agent", "the service starts")

    def _agent_died(self) -> None:
        self.crashes.append(self.clock())
        self.trace.say("agent", "the process dies")

    def record_request(self, on: str, body: bytes) -> None:
        """Keep what the agent sends to the tenant, for the check that no secret leaks."""
        if self._counting and on != "cloud.token" and not self.network.observed:
            self.requests.append(body)

    def tenant_answered(self) -> None:
        """Trace what the last call changed in the tenant."""
        if not self._counting:
            return
        writes = self.tenant.writes
        for write in writes[self._writes_told :]:
            handle = self.handle_of_cloud_id(write.user_id)
            if handle is not None:
                found = self.passwords.identify(handle, write.credential)
                label = self.passwords.label(handle, found) if found is not None else f"{handle}#?"
                self.trace.say("tenant", f"{handle} holds {label} ({write.by})")
        self._writes_told = len(writes)

    def cloud_user_by_id(self, user_id: str) -> CloudUser | None:
        """A user of the tenant, deleted ones too."""
        return self.tenant.users.ever(user_id)

    def handle_of_cloud_id(self, user_id: str) -> str | None:
        """The scenario's name for a user of the tenant; None for invented people and service accounts."""
        user = self.cloud_user_by_id(user_id)
        if user is None:
            return None
        if user.source_anchor is not None:
            handle = self.handle_of_anchor(user.source_anchor)
            return handle if handle in self.people else None
        for person in self.people.values():
            if person.cloud_id == user_id:
                return person.handle
        return None

    def anchors(self, handle: str) -> list[str]:
        """Source anchors of all directory objects that bore this handle."""
        person = self.people.get(handle)
        return [source_anchor(guid) for guid in person.guids] if person else []

    def pending(self) -> list[str]:
        """Source anchors of the users whose password is pending at the agent."""
        return list(self.host.agent.pending()) if self.host.installed else []

    def writes(self) -> list[PasswordWrite]:
        """Passwords written in the tenant since the run began."""
        return self.tenant.writes[self._writes_before :]

    def credentials_held(self, handle: str) -> list[str]:
        """Credentials that the tenant held for a user since the run began, the one held then first."""
        user = self.cloud_user(handle)
        if user is None:
            return []
        held = [] if user.id not in self._held_before else [self._held_before[user.id]]
        return held + [write.credential for write in self.writes() if write.user_id == user.id]

    # --- time ---------------------------------------------------------------------------------------------------

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Time stands still at the world's clock for every library in this process; the wires to the tenant are up."""
        wire = CloudWire(self)
        with TenantDouble(wire), patient_collector(), frozen(self.clock()) as freezer:
            self.freezer = freezer
            try:
                with self.session.answered_by(wire):
                    yield
            finally:
                self.freezer = None
                self.store.close()
                self.session.close()

    def begin(self) -> None:
        """The run begins: what came before does not count."""
        self.network.begin()
        self.trace.begin()
        self.events.clear()
        self.cycles.clear()
        self.requests.clear()
        self.crashes.clear()
        self.begun_after.clear()
        self.orders.clear()
        self._writes_told = self._writes_before = len(self.tenant.writes)
        self._held_before = {write.user_id: write.credential for write in self.tenant.writes}
        self._counting = True

    def offset(self) -> timedelta:
        """Time since the run's start."""
        return self.clock() - self.start

    def later(self, delay: timedelta, call: Callable[[], None]) -> None:
        """Queue something of the world itself."""
        self.queue.push(self.clock() + delay, Rank.BACKGROUND, call)

    def after_actions(self, call: Callable[[], None]) -> None:
        """Queue something for this instant, after its actions and before the agent's cycles."""
        self.queue.push(self.clock(), Rank.BACKGROUND, call)

    def wait(self, pause: timedelta) -> None:
        """The agent waits for a call: whatever else is due in the world happens meanwhile; a crash ends it at once."""
        until = self.clock() + pause
        self._turn((until, Rank.CYCLE), judge=False)
        self.host.check_alive()
        self.move_to(until)

    @contextmanager
    def observing(self) -> Iterator[None]:
        """What the agent asks in this block leaves no trace anywhere."""
        with self.network.observing(), self.tenant.observed(), self.randomness.kept():
            yield

    def run_until(self, when: datetime) -> None:
        """Let everything happen that is due up to and including ``when``."""
        self._turn((when, Rank.END), judge=True)
        self.move_to(when)

    def come_to_rest(self, before: datetime) -> None:
        """Let everything happen that is due before a time, and stop there: the clock stays where the last of it was."""
        self._turn((before, Rank.FIRST), judge=True)

    def _turn(self, limit: Key, *, judge: bool) -> None:
        while True:
            key = self._next_key()
            over = key is None or key >= limit
            if judge and self._unjudged and (over or (key is not None and key[0] > self.clock())):
                self._unjudged = False
                self.after_instant()
            if over or key is None:
                return
            if key[1] == Rank.CYCLE and self.idle.pass_by(key, limit, once=self._unjudged):
                continue
            self._unjudged = True
            self.move_to(key[0])
            if key[1] == Rank.CYCLE:
                self.host.run_due()
            else:
                self.queue.pop()()
            if self.host.is_dying and not judge:
                return

    def _next_key(self) -> Key | None:
        head = self.queue.head()
        due = self.host.next_due()
        if due is None:
            return head
        cycle = (max(due, self.clock()), int(Rank.CYCLE))
        return cycle if head is None or cycle < head else head

    def move_to(self, when: datetime) -> None:
        """Move the clock, for the world and for every library in this process; what is due is not run."""
        if when > self.clock():
            self.clock.move_to(when)
            if self.freezer is not None:
                self.freezer.move_to(when)
