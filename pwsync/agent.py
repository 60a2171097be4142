"""The sync agent: what an operator touches, and when its cycles run.

:class:`SyncAgent` is one process of the agent's service on its server. What it keeps is in its store, which outlives
it: a process that dies at any point is replaced by a new :class:`SyncAgent` over the same store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from pwsync import single_user, tenant_link
from pwsync.diagnose import Examination
from pwsync.diagnosis import Diagnosis
from pwsync.errors import NotConfigurable, NotSupported, RequiresObjectSync, StoreError
from pwsync.event_log import EventTexts
from pwsync.last_words import LastWords
from pwsync.object_cycle import ObjectCycle
from pwsync.object_log import Attempt
from pwsync.password_cycle import PasswordCycle
from pwsync.ports import AgentPorts
from pwsync.process import Process, begin, prepared
from pwsync.schedule import Grid
from pwsync.settings import PASSWORD_INTERVAL, Scope
from pwsync.state import DomainState
from pwsync.store import Store
from pwsync.tenant_link import Connect, TenantLink

_OBJECT_SYNC = "object-sync"


class SyncAgent:
    """An agent over its ports (:class:`pwsync.ports.Agent`).

    ``connect`` makes the tenant's token source and service out of the ports. Raises StoreError if the store is damaged
    or was written by a newer agent. Single-threaded: calls must not come from several threads.
    """

    def __init__(self, ports: AgentPorts, connect: Connect = tenant_link.connect) -> None:
        self._ports = ports
        self._texts = EventTexts(ports.settings.build, ports.settings.connectors)
        try:
            self._store = Store(ports.store)
        except StoreError as error:
            ports.event_log(self._texts.manager_not_started(ports.clock(), str(error)))
            raise
        self._state = self._store.state
        self._connect = connect
        self._link = TenantLink(ports, self._state, connect)
        self._password_grid = Grid(PASSWORD_INTERVAL)
        self._object_grid = Grid(ports.settings.object_interval)
        self._process: Process | None = None
        self._objects: ObjectCycle | None = None
        self._passwords: PasswordCycle | None = None
        self._busy = False
        self._ending = False
        self._ordered: list[str] = []
        self._last_words, self._task_words = LastWords(self._tell_unexpected), LastWords(self._tell_task)

    # --- set-up

    def install(self, *, express: bool = True, password_sync: bool = True, object_sync: bool = True) -> None:
        """Set the agent up. Raises RequiresObjectSync for passwords without objects."""
        passwords, objects = express or password_sync, express or object_sync
        if passwords and not objects:
            raise RequiresObjectSync("Password synchronization needs directory synchronization.")
        self._state.set(_OBJECT_SYNC, "on" if objects else "off")
        domains = [self._state.domain(connector.domain) for connector in self._ports.settings.connectors]
        with self._keeping(domains):
            for domain in domains:
                self._switch(domain, on=passwords)

    @property
    def installed(self) -> bool:
        """Whether it was set up, by this process or one before."""
        return _OBJECT_SYNC in self._state.settings

    def enable_password_sync(self, domain: str | None = None) -> None:
        """Switch it on for a domain or all; where it was off the next cycle sends everything in scope."""
        if not self._object_sync:
            raise RequiresObjectSync("Password synchronization needs directory synchronization.")
        domains = self._domains(domain)
        with self._keeping(domains):
            for state in domains:
                self._switch(state, on=True)
            self._password_grid.skip_to(self._ports.clock())

    def disable_password_sync(self, domain: str | None = None) -> None:
        """Switch it off for a domain or all: nothing is read or sent. What the tenant holds stays there."""
        domains = self._domains(domain)
        with self._keeping(domains):
            for state in domains:
                self._switch(state, on=False)

    def full_password_sync(self, domain: str) -> None:
        """The next cycle reads the whole domain and sends every password in scope again."""
        (state,) = self._domains(domain)
        if not state.password_sync:
            raise NotSupported(f"Password synchronization is switched off for {domain}.")
        with self._keeping([state]):
            state.full = "ordered"
            self._state.touch_domain(state)

    def sync_user(self, source_anchor: str) -> None:
        """The next cycle reads one user's password and sends it again, changed or not.

        Raises NotSupported in a build that can't, and where a rule or a setting keeps the password here; 664 tells why.
        """
        if not self._ports.settings.build.single_user:
            raise NotSupported("This build can't synchronize one user alone.")
        reason = single_user.why_not(self._state, self._ports.settings, source_anchor)
        if reason is not None:
            record = self._state.objects.get(source_anchor)
            dn = source_anchor if record is None else record.dn
            self._ports.event_log(self._texts.single_user_failed(self._ports.clock(), dn, source_anchor, reason))
            raise NotSupported(reason)
        known = self._state.passwords.get(source_anchor)
        before = (known.due, known.forced) if known is not None else (False, False)
        password = single_user.order(self._state, source_anchor)
        try:
            self._store.commit()
        except StoreError as error:
            password.due, password.forced = before
            self._state.touch_password(password)
            if self._passwords is not None:
                self._passwords.store_again()
            raise NotSupported(str(error)) from error

    def configure(self, **changes: Any) -> None:
        """Change settings.

        staging: bool, at once. scope: :class:`pwsync.settings.Scope`, from the next object cycle on. object_interval:
        timedelta, at once. preferred_controllers: mapping of tuples, from the next start on. deletion_threshold: how
        many, from the next export on; 0: any. Raises NotSupported for anything else, and then changes nothing.
        """
        kinds: dict[str, type[Any]] = {
            "staging": bool,
            "scope": Scope,
            "object_interval": timedelta,
            "preferred_controllers": Mapping,
            "deletion_threshold": int,
        }
        for name, value in changes.items():
            if name not in kinds:
                raise NotSupported(f"There is no setting {name}; known are {', '.join(sorted(kinds))}.")
            negative = name == "deletion_threshold" and isinstance(value, int) and value < 0
            if not isinstance(value, kinds[name]) or value == timedelta(0) or negative:
                raise NotSupported(f"The setting {name} can't be {value!r}.")
        for name, value in changes.items():
            setattr(self._ports.settings, name, value)
        if "object_interval" in changes:
            self._object_grid.change(changes["object_interval"], self._ports.clock())

    def set_password_interval(self, every: Any) -> None:
        """Always refused: two minutes, fixed."""
        raise NotConfigurable("The frequency of password synchronization can't be changed.")

    def select_users(self, users: Sequence[str]) -> None:
        """Synchronize the passwords of chosen users alone: of those who are marked in the directory.

        An administrator marks them there (:func:`pwsync.scope.not_included`); here the rules are switched, and the next
        object cycle imports everything, so that the marks are known. Raises NotSupported in a build without such rules.
        """
        if not self._ports.settings.build.selective:
            raise NotSupported("A subset of users can't be chosen for password synchronization.")
        self._ports.settings.scope = replace(self._ports.settings.scope, included_only=True)

    def diagnose(self, source_anchor: str | None = None) -> Diagnosis:
        """Find out why passwords do not arrive, on the whole or for one user. It asks around, and changes nothing."""
        passwords = self._passwords
        process = self._process or prepared(self._ports, self._store, self._link)[0]
        heard = (lambda connector: None) if passwords is None else passwords.heard
        return Examination(process, self._connect, heard).run(source_anchor)

    def heed(self, diagnosis: Diagnosis) -> None:
        """Keep the pause that the tenant asked a diagnosis for, as if it had asked a cycle."""
        if diagnosis.pause is not None:
            self._link.heed(diagnosis.pause)
            with suppress(StoreError):  # then it holds in memory, and the next commit writes it
                self._store.commit()

    # --- the service

    def start(self) -> None:
        """Start the service: both cycles are due now. Connector passwords and preferred controllers are read here."""
        now = self._ports.clock()
        if self._process is not None:
            self._process.stopping = True
            self._ports.event_log(self._texts.started_twice(now))
        self._ports.event_log(self._texts.manager_starting(now))
        process = begin(self._ports, self._store, self._link)
        self._process = process
        self._objects, self._passwords = ObjectCycle(process), PasswordCycle(process)
        self._password_grid.begin(now)
        self._object_grid.begin(now)

    def stop(self) -> None:
        """Stop the service; a cycle under way ends after the call that it waits for."""
        if self._process is not None:
            self._process.stopping = True
            self._ports.event_log(self._texts.manager_stopping(self._ports.clock()))
            self._ending = True
        self._process = self._objects = self._passwords = None
        self._password_grid.end()
        self._object_grid.end()
        self._tell_stopped()

    def close(self) -> None:
        """Stop, and release the store."""
        self.stop()
        self._store.close()

    def next_due(self) -> datetime | None:
        """When the next cycle is due; None while the service is stopped or nothing is set up."""
        due = [grid.next for grid, on in self._grids() if on and grid.next is not None]
        return min(due, default=None)

    def run_due(self) -> None:
        """Run what is due now, objects first. A start that was missed is left out. Does nothing within a cycle."""
        if self._busy:
            return
        (object_grid, objects_on), (password_grid, passwords_on) = self._grids()
        if objects_on and object_grid.due(self._ports.clock()):
            self._guarded(lambda: self._run_objects(initial=False))
            object_grid.passed(self._ports.clock())
        if passwords_on and password_grid.due(self._ports.clock()):
            self._guarded(self._run_passwords)
            password_grid.passed(self._ports.clock())

    def run_object_cycle(self, kind: str) -> None:
        """Run an object cycle beside the schedule: ``delta`` or ``initial``; with a cycle under way, right after it."""
        if kind not in ("delta", "initial"):
            raise NotSupported(f"An object cycle is delta or initial, not {kind}.")
        if not self._object_sync or self._process is None:
            raise RequiresObjectSync("Directory synchronization is not set up, or the service is stopped.")
        if self._busy:
            self._ordered.append(kind)
            return
        self._guarded(lambda: self._run_objects(initial=kind == "initial"))

    # --- what can be seen

    def pending(self) -> Sequence[str]:
        """Source anchors of users whose password still has to go to the tenant, in sending order."""
        waiting = [
            (state.pending.changed, state.domain, state.pending.usn, state.anchor)
            for state in self._state.waiting.values()
            if state.pending is not None
        ]
        return [anchor for *_, anchor in sorted(waiting)]

    def status(self, source_anchor: str) -> str:
        """The outcome of the last attempt for a user's password; ``none`` if there was none."""
        state = self._state.passwords.get(source_anchor)
        return "none" if state is None else state.status

    def object_log(self, source_anchor: str) -> Sequence[Attempt]:
        """What became of each attempt of the last seven days with a user's password, oldest first.

        See :func:`pwsync.object_log.as_text` and :func:`pwsync.object_log.as_json`.
        """
        return self._store.attempts(source_anchor, self._ports.clock())

    # --- idle time, for a simulation that skips it

    def idle_until(self) -> datetime | None:
        """Until when no cycle can do anything but read passwords, provided that the directory does not change.

        None if the next one may do more: something is pending or due to be read, a domain fails, or Retry-After holds.
        At that time a ping or an object cycle is due, which :meth:`assume_idle` takes as run (:attr:`imports_idle`).
        """
        passwords = self._passwords
        if passwords is None or self._busy or self._state.touched or not passwords.quiet:
            return None
        ends = [grid.next for grid, on in self._grids()[:1] if on and grid.next is not None]
        if not self._ports.settings.staging and passwords.next_beat is not None:
            ends.append(passwords.next_beat)
        return min(ends, default=None)

    @property
    def imports_idle(self) -> bool:
        """Whether an object cycle would do nothing but import, where :meth:`idle_until` has said something."""
        return self._objects is not None and self._objects.quiet

    @property
    def idle_reads(self) -> int:
        """How many calls a password cycle makes that does nothing but read."""
        return 0 if self._passwords is None else self._passwords.idle_reads

    def skip_to(self, when: datetime) -> None:
        """Take the password cycles that are due before ``when`` as run."""
        self._password_grid.skip_to(when)

    def assume_idle(self, made: Callable[[str], None]) -> None:
        """Take what is due now as run, knowing that it reads nothing new and that its calls succeed.

        Events are written and timers move as they would. ``made`` is told of every call that the tenant would have had.
        Before the next real cycle :meth:`make_good` is owed.
        """
        now = self._ports.clock()
        (object_grid, objects_on), (password_grid, passwords_on) = self._grids()
        if objects_on and object_grid.due(now) and self._objects is not None:
            self._ports.run_history("object")
            object_grid.passed(now)
        if passwords_on and password_grid.due(now) and self._passwords is not None:
            self._ports.run_history("password")
            self._passwords.assume_idle(made)
            password_grid.passed(now)

    def make_good(self) -> None:
        """Have what :meth:`assume_idle` only assumed: an access token. Raises TenantError."""
        self._link.make_good()

    # --- inside

    @property
    def _object_sync(self) -> bool:
        return self._state.settings.get(_OBJECT_SYNC) == "on"

    def _grids(self) -> tuple[tuple[Grid, bool], tuple[Grid, bool]]:
        """Both grids, objects first, and whether cycles of that kind run at all."""
        passwords = any(state.password_sync for state in self._state.domains.values())
        return (self._object_grid, self._object_sync), (self._password_grid, passwords)

    def _domains(self, name: str | None) -> list[DomainState]:
        names = [connector.domain for connector in self._ports.settings.connectors]
        if name is not None and name not in names:
            raise NotSupported(f"There is no connector for {name}; known are {', '.join(names)}.")
        return [self._state.domain(each) for each in ([name] if name is not None else names)]

    @contextmanager
    def _keeping(self, domains: Sequence[DomainState]) -> Iterator[None]:
        """Store what an operator orders for these domains in the block.

        Raises NotSupported where that can't be done. Nothing is changed then: what was is stored again with the next
        cycle, since nobody knows whether a commit that failed was made.
        """
        before = [(domain, domain.password_sync, domain.full) for domain in domains]
        yield
        try:
            self._store.commit()
        except StoreError as error:
            for domain, password_sync, full in before:
                domain.password_sync, domain.full = password_sync, full
                self._state.touch_domain(domain)
            if self._passwords is not None:
                self._passwords.store_again()
            raise NotSupported(str(error)) from error

    def _switch(self, domain: DomainState, *, on: bool) -> None:
        if domain.password_sync == on:
            return
        domain.password_sync, domain.full = on, "ordered" if on else ""
        self._state.touch_domain(domain)
        for state in self._state.waiting.values():
            if state.domain == domain.name:
                state.nt = None

    def _guarded(self, run: Callable[[], None]) -> None:
        """One cycle at a time; object cycles that were ordered meanwhile follow."""
        self._busy = True
        try:
            with self._last_words:
                run()
                while self._ordered and self._process is not None:
                    self._run_objects(initial=self._ordered.pop(0) == "initial")
        finally:
            self._busy = False
            self._ordered.clear()
        self._tell_stopped()

    def _tell_task(self, reason: str) -> None:
        self._ports.event_log(self._texts.task_failed(self._ports.clock(), reason))

    def _tell_unexpected(self, reason: str) -> None:
        texts, now = self._texts, self._ports.clock()
        told = texts.manager_not_stopped if self._ending else texts.unexpected_error
        self._ending = False
        self._ports.event_log(told(now, reason))

    def _tell_stopped(self) -> None:
        """The service was told to stop, and no cycle is under way any more."""
        if self._ending and not self._busy:
            self._ending = False
            self._ports.event_log(self._texts.manager_stopped(self._ports.clock()))

    def _run_objects(self, *, initial: bool) -> None:
        if self._objects is None:
            return
        self._ports.run_history("object")
        self._objects.run(initial=initial)

    def _run_passwords(self) -> None:
        if self._passwords is None:
            return
        self._ports.run_history("password")
        with self._task_words:
            self._passwords.run()
