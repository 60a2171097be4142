"""Agents with one decision broken each, and services that do what none should: what the invariants have to catch.

Each agent is the true one with one method replaced. ``--engine world.broken_agents:NAME`` puts it under test.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from pwsync import tenant_link
from pwsync.agent import SyncAgent
from pwsync.credential import Credential, parse, verify
from pwsync.credential_batches import Batch
from pwsync.errors import TenantError, TransportError
from pwsync.event_log import Event
from pwsync.object_cycle import ObjectCycle
from pwsync.password_cycle import PasswordCycle
from pwsync.ports import AgentPorts
from pwsync.replication.supplemental import newer_keys
from pwsync.schedule import Grid
from pwsync.state import PasswordState, State
from pwsync.tenant.messages import CredentialItem, CredentialResult
from pwsync.tenant_link import TenantLink
from simulator.active_directory.state import Domain
from simulator.azure_ad.state import Tenant
from simulator.world import World


class Planted(SyncAgent):
    """The true agent, made of parts that can be exchanged."""

    link: type[TenantLink] = TenantLink
    objects: type[ObjectCycle] = ObjectCycle
    passwords: type[PasswordCycle] = PasswordCycle

    def __init__(self, ports: AgentPorts) -> None:
        super().__init__(ports)
        self._link = self.link(ports, self._state, tenant_link.connect)

    def start(self) -> None:
        super().start()
        assert self._process is not None
        self._objects, self._passwords = self.objects(self._process), self.passwords(self._process)


def without_events(*ids: int) -> Callable[[AgentPorts], SyncAgent]:
    """A factory of agents that keep events of these ids to themselves."""

    def factory(ports: AgentPorts) -> SyncAgent:
        def log(event: Event) -> None:
            if event.id not in ids:
                ports.event_log(event)

        return SyncAgent(replace(ports, event_log=log))

    return factory


# --- converges ---------------------------------------------------------------------------------------------------


class GivesUp(Planted):
    """Never tries again what was refused once, though it keeps it on its list."""

    class passwords(PasswordCycle):  # noqa: N801 - a part of the agent, exchanged
        def select(self) -> list[PasswordState]:
            return [state for state in super().select() if state.pending and state.attempted != state.pending.sent]


class SkipsAfterFailure(Planted):
    """Leaves out a whole domain for good once it could not be read."""

    class passwords(PasswordCycle):  # noqa: N801
        def collect(self, ready: Any) -> None:
            super().collect([each for each in ready if each[1].name not in self._reader.failing])


class Garbles(Planted):
    """Sends what is no credential."""

    garbled = "v1;PPH1_MD4,not hex"

    class link(TenantLink):  # noqa: N801
        def send_credentials(self, items: Sequence[CredentialItem]) -> list[CredentialResult]:
            return super().send_credentials([item._replace(credential=Garbles.garbled) for item in items])


# --- never-older -------------------------------------------------------------------------------------------------


class RepeatsRequest(Planted):
    """After two failures it sends the first failed request again, as it was, in place of the one at hand."""

    class link(TenantLink):  # noqa: N801
        def __init__(self, ports: AgentPorts, state: State, connect: Any) -> None:
            super().__init__(ports, state, connect)
            self._failed: list[Sequence[CredentialItem]] = []

        def send_credentials(self, items: Sequence[CredentialItem]) -> list[CredentialResult]:
            if len(self._failed) == 2:
                super().send_credentials(self._failed.pop(0))
                raise TransportError("That was the answer to another request.")
            try:
                return super().send_credentials(items)
            except TenantError:
                self._failed.append(items)
                raise


class SendsNonsense(Planted):
    """Sends the digest of something that never was a password."""

    class link(TenantLink):  # noqa: N801
        def send_credentials(self, items: Sequence[CredentialItem]) -> list[CredentialResult]:
            wrong = [item._replace(credential=str(replace(parse(item.credential), key=bytes(32)))) for item in items]
            super().send_credentials(wrong)
            raise TransportError("Better not say that this was taken.")


# --- no-write-without-cause --------------------------------------------------------------------------------------


class SendsAgain(Planted):
    """Puts what the tenant took the last time in front of each batch."""

    class link(TenantLink):  # noqa: N801
        def __init__(self, ports: AgentPorts, state: State, connect: Any) -> None:
            super().__init__(ports, state, connect)
            self._last: list[CredentialItem] = []

        def send_credentials(self, items: Sequence[CredentialItem]) -> list[CredentialResult]:
            again, self._last = self._last, list(items)
            return super().send_credentials([*again, *items])[len(again) :]


class FullAtEachStart(Planted):
    """Orders a full synchronization of every domain whenever the service starts."""

    def start(self) -> None:
        for domain in self._state.domains.values():
            if domain.password_sync:
                domain.full = "ordered"
        super().start()


class SendsAllAlways(Planted):
    """Reads the whole directory and sends every password in each cycle, changed or not."""

    class passwords(PasswordCycle):  # noqa: N801
        def run(self) -> None:
            for domain in self._state.domains.values():
                if domain.password_sync:
                    domain.full = "ordered"
            super().run()


# --- order-within-cycle ------------------------------------------------------------------------------------------


class NewestFirst(Planted):
    """Sends the newest change first."""

    class passwords(PasswordCycle):  # noqa: N801
        def _send_all(self, ordered: Sequence[PasswordState]) -> None:
            super()._send_all(list(reversed(ordered)))


class DomainByDomain(Planted):
    """Sends one domain after the other."""

    class passwords(PasswordCycle):  # noqa: N801
        def _send_all(self, ordered: Sequence[PasswordState]) -> None:
            super()._send_all(sorted(ordered, key=lambda state: state.domain))


# --- two-minutes -------------------------------------------------------------------------------------------------


class ThreeMinutes(Planted):
    """Runs password cycles every three minutes."""

    def __init__(self, ports: AgentPorts) -> None:
        super().__init__(ports)
        self._password_grid = Grid(timedelta(minutes=3))


class Twice(Planted):
    """Runs each password cycle twice."""

    def _run_passwords(self) -> None:
        super()._run_passwords()
        super()._run_passwords()


class LeavesOut(Planted):
    """Leaves out every third password cycle."""

    _came = 0

    def _run_passwords(self) -> None:
        self._came += 1
        if self._came % 3:
            super()._run_passwords()


class Ends(Planted):
    """Has nothing due any more five minutes after the start."""

    def next_due(self) -> datetime | None:
        due = super().next_due()
        origin = self._password_grid._origin
        return due if due is not None and origin is not None and due < origin + timedelta(minutes=5) else None


class NeverBegins(Planted):
    """Has nothing due after the start."""

    def next_due(self) -> datetime | None:
        return None


class WaitsAfterStart(Planted):
    """Leaves out its first password cycle if the store knows of passwords, as after a restart."""

    def start(self) -> None:
        super().start()
        if self._state.passwords:
            self._password_grid.passed(self._ports.clock())


# --- users-only --------------------------------------------------------------------------------------------------


class TakesEveryPerson(Planted):
    """Takes an inetOrgPerson for a user, because she is one to every filter."""

    class objects(ObjectCycle):  # noqa: N801
        def _judge(self, domain: Any, record: Any, attributes: Mapping[str, list[str]], limits: Any) -> None:
            super()._judge(domain, record, {**attributes, "objectclass": ["top", "person", "user"]}, limits)


class TakesDisabled(Planted):
    """Does not look whether an account is disabled."""

    class objects(ObjectCycle):  # noqa: N801
        def _judge(self, domain: Any, record: Any, attributes: Mapping[str, list[str]], limits: Any) -> None:
            super()._judge(domain, record, {**attributes, "useraccountcontrol": ["512"]}, limits)


# --- failures-logged ---------------------------------------------------------------------------------------------

silent_on_batches = without_events(652)
silent_on_domains = without_events(611)
silent_on_items = without_events(0)
silent_on_pings = without_events(655)


def silent_on_objects(ports: AgentPorts) -> SyncAgent:
    """Tells of nothing that goes wrong with objects."""

    def log(event: Event) -> None:
        if event.source != "ADSync":
            ports.event_log(event)

    return SyncAgent(replace(ports, event_log=log))


# --- retry-after -------------------------------------------------------------------------------------------------


class Impatient(Planted):
    """Takes no notice of a pause that the tenant asks for."""

    class link(TenantLink):  # noqa: N801
        @property
        def held(self) -> bool:
            return False


class ForgetsPause(Planted):
    """Keeps a pause in memory only, so that a restart ends it."""

    class link(TenantLink):  # noqa: N801
        def __init__(self, ports: AgentPorts, state: State, connect: Any) -> None:
            super().__init__(ports, state, connect)
            self._held_until = None


# --- no-secret-leaks ---------------------------------------------------------------------------------------------


class WritesHashToLog(Planted):
    """Writes each hash to the event log, to help whoever looks for a fault."""

    class passwords(PasswordCycle):  # noqa: N801
        def _send(self, batch: Batch) -> None:
            for state in batch.users:
                text = f"Debug: {state.nt.hex() if state.nt else ''}"
                self._ports.event_log(Event(1, "information", "Debug", self._ports.clock(), text))
            super()._send(batch)


class KeepsHashInStore(Planted):
    """Keeps the last hash in its database."""

    class passwords(PasswordCycle):  # noqa: N801
        def _send(self, batch: Batch) -> None:
            nt = batch.users[0].nt
            self._state.set("debug", nt.hex().upper() if nt else "")
            super()._send(batch)


class SendsHash(Planted):
    """Sends each hash along, in a field that the tenant passes over."""

    class link(TenantLink):  # noqa: N801
        def send_credentials(self, items: Sequence[CredentialItem]) -> list[CredentialResult]:
            hashes = {state.anchor: state.nt or b"" for state in self._state.waiting.values()}
            told = [b64encode(hashes.get(item.source_anchor or "", b"")).decode() for item in items]
            return super().send_credentials(
                [item._replace(legacy=text) for item, text in zip(items, told, strict=True)]
            )


class WritesKeysToLog(Planted):
    """Writes what it reads for Domain Services to the event log, in a base64 of its own."""

    class passwords(PasswordCycle):  # noqa: N801
        def _send(self, batch: Batch) -> None:
            for state in batch.users:
                read = newer_keys(self._reader.read_supplemental(state).value or b"") or b""
                text = f"Debug: {b64encode(read).decode()}"
                self._ports.event_log(Event(1, "information", "Debug", self._ports.clock(), text))
            super()._send(batch)


# --- nothing-lost ------------------------------------------------------------------------------------------------


class TakesSilenceForDone(Planted):
    """Takes a batch without an answer for done."""

    class passwords(PasswordCycle):  # noqa: N801
        def _settle_failure(self, users: Sequence[PasswordState], error: TenantError, *, attempted: bool) -> None:
            super()._settle_failure(users, error, attempted=attempted)
            for state in users:
                state.pending = state.nt = None
                self._state.touch_password(state)


class ForgetsAtStart(Planted):
    """Begins with an empty list."""

    def start(self) -> None:
        for state in list(self._state.waiting.values()):
            self._state.drop_password(state.anchor)
        super().start()


# --- services that do what none should ---------------------------------------------------------------------------


def furnish(world: World, tenant: Tenant) -> None:
    """Put another tenant in the place of the world's own."""
    world.tenant = tenant
    world.application = type(world.application)(tenant)


def tenant_that(world: World, **switches: bool) -> Tenant:
    """A tenant that behaves like one of another era in one respect."""
    profile = replace(world.profile, **switches)  # type: ignore[arg-type]
    return Tenant(world.clock, world.randomness, profile, policy=world.tenant.policy)


class TransparentTenant(Tenant):
    """Stores the hash in the place of a key that was derived from it."""

    hashes: Callable[[], Sequence[bytes]] = staticmethod(lambda: ())

    def apply_credential(self, item: CredentialItem) -> CredentialResult:
        for nt in self.hashes():
            if verify(nt, item.credential):
                salt = parse(item.credential).salt
                return super().apply_credential(item._replace(credential=str(Credential(salt, 1000, nt + nt))))
        return super().apply_credential(item)

    def verify(self, nt: bytes, credential: str) -> bool:
        return parse(credential).key == nt + nt or super().verify(nt, credential)


class CredulousDomain(Domain):
    """Takes what the tenant stores for the password that it was made from."""

    def logon(self, name: str, password: str, *, on: str | None = None, observe: bool = False) -> str:
        if password.startswith("v1;") and verify(self.find(name).nt_hash, password):
            return "ok"
        return super().logon(name, password, on=on, observe=observe)
