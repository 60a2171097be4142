"""Passwords, every two minutes: collect, select, order, protect, send, settle.

    collect  ask each domain's controller what changed, and remember it: who is pending, and where to go on
    select   see whose password may go out now, whose has to wait, and whose is left out by a rule
    order    by the time of the change, over all domains
    protect  turn each NT hash into the digest that leaves the premises
    send     in batches of at most 50
    settle   remember what the tenant took; everything else is tried again in the next cycle

What is pending is committed before anything is sent, and each batch once it is answered: a process may die anywhere,
and the next one reads the pending users' newest hashes from the directory. Hashes are kept in memory only.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from contextlib import closing
from datetime import datetime

from pwsync import scope
from pwsync.credential_batches import EARLY_MIN, Batch, EarlyHashes, in_batches
from pwsync.directory import naming_context
from pwsync.domain_services import DomainServices
from pwsync.errors import StoreError, TenantError
from pwsync.event_log import Change, moment
from pwsync.failures import (
    ERROR,
    FILTERED_BY_TARGET,
    MISSING_ATTRIBUTE,
    NO_TARGET,
    NOT_EXPORTED,
    RETRIED,
    SUCCESS,
    UNKNOWN,
    batch_status,
    left_out_status,
    tenant_chain,
)
from pwsync.feature_healing import FeatureHealing
from pwsync.full_sync import FullSync
from pwsync.heartbeat import Heartbeat
from pwsync.last_words import LastWords
from pwsync.password_reading import DomainReading, PasswordReader, Reading
from pwsync.process import Process
from pwsync.retry_queue import RetryQueue, change_of, holds, tell_refusal
from pwsync.settings import BATCH_SIZE_MAX, Connector
from pwsync.stamp import Sent, Stamp
from pwsync.state import DomainState, PasswordState
from pwsync.tenant.messages import CredentialItem, CredentialResult

_ANCHOR_UNKNOWN = 2
_NEVER: Sent = (0, 0, b"")


class PasswordCycle:
    """The password cycles of one process."""

    _collected: bool
    """Is there anything of this cycle's reading to be stored?"""
    _takes_forced_change: bool | None
    """The tenant's feature, None while it is not known; asked for once in a cycle (``_asked``)."""
    _asked: bool

    def __init__(self, process: Process) -> None:
        self._process = process
        self._ports = process.ports
        self._state = process.state
        self._texts = process.texts
        self._link = process.link
        self._reader = PasswordReader(process, self._begin_early)
        self._services = DomainServices(process, self._reader)
        self._early = EarlyHashes(process.ports.random("salt"))
        self._paused: set[str] = set()
        self._unsaved = self._behind = False
        self._full = FullSync(process)
        self._healing = FeatureHealing(process)
        self._heartbeat = Heartbeat(process, self._healing)
        self._retries = RetryQueue(process)
        self._turned: set[str] = set()

    def run(self) -> None:
        """One cycle. Domains that can't be read and batches that fail leave an event, and wait for the next one."""
        ready = [(connector, domain) for connector, domain in self._domains() if self._is_ready(domain)]
        if not ready:
            return
        try:
            self.collect(ready)
            chosen = self.select()
            self._retries.tell_given_up()
            ended = self._full.count(domain for _, domain in ready)
            if self._collected or ended or self._unsaved or self._behind:
                self._save()
            if chosen and self._process.may_send:
                self._send_all(order(chosen))
            self._beat(ready, {state.domain for state in chosen})
            self._healing.heal()
        except StoreError as error:
            self.store_again()
            self._tell_unsaved(error)
        finally:
            self._early.end()
        if self._unsaved and self._ports.settings.build.forgets_unsaved_cookie:
            self._process.store.forget()

    def _save(self) -> None:
        """Store what was collected, before any of it is sent; a build that does not wait for that goes on."""
        self._unsaved = True
        try:
            self._process.store.commit()
        except StoreError as error:
            if not self._ports.settings.build.forgets_unsaved_cookie:
                raise
            self._tell_unsaved(error)
        else:
            self._unsaved = self._behind = False

    def _tell_unsaved(self, error: StoreError) -> None:
        """666 for each domain where another program holds the database, 665 for any other reason."""
        log, now = self._ports.event_log, self._ports.clock()
        if not error.locked:
            log(self._texts.cycle_state_not_stored(now, str(error)))
            return
        for connector, _ in self._domains():
            log(self._texts.store_locked(now, connector.domain, str(error)))

    def store_again(self) -> None:
        """Something could not be stored: the next cycle does it, whether it has anything else to store or not."""
        self._behind = True

    @property
    def quiet(self) -> bool:
        """Is there nothing that a cycle could do but read?"""
        return not (self._state.waiting or self._reader.failing or self._link.held or self._unsaved) and all(
            domain.imported and not domain.full for _, domain in self._domains()
        )

    @property
    def idle_reads(self) -> int:
        """How many calls a cycle makes that does nothing but read: one for each domain."""
        return sum(1 for _ in self._domains())

    def assume_idle(self, made: Callable[[str], None]) -> None:
        """Take one cycle as run in which nothing was to be read or sent: only the heartbeat is left of it."""
        ready = [connector for connector, domain in self._domains() if domain.imported]
        calls = self._process.link.assumed(made)
        if ready and self._process.may_send:
            self._heartbeat.beat(dict.fromkeys(connector.identifier for connector in ready), calls)

    def heard(self, connector: str) -> datetime:
        """When the tenant last took a ping of the connector (GUID), or a batch; the service's start if never."""
        return self._heartbeat.heard(connector)

    @property
    def next_beat(self) -> datetime | None:
        """When the next heartbeat is due if nothing is sent before; None if there is none."""
        connectors = {connector.identifier for connector, domain in self._domains() if domain.imported}
        return min(map(self._heartbeat.next, connectors), default=None)

    def _beat(self, ready: Sequence[tuple[Connector, DomainState]], busy: Container[str]) -> None:
        """The heartbeat of connectors that have nothing to send in any of their domains."""
        idle = dict.fromkeys(connector.identifier for connector, _ in ready)
        for connector, domain in ready:
            if domain.name in busy:
                idle.pop(connector.identifier, None)
        self._heartbeat.beat(idle)

    # --- collect

    def collect(self, ready: Sequence[tuple[Connector, DomainState]]) -> None:
        """Read every domain; then take what was read into the state, without committing it."""
        self._collected = False
        readings = []
        for connector, domain in ready:
            if self._process.stopping:
                break
            reading = self._reader.read(connector, domain)
            if reading is not None:
                readings.append(reading)
            else:
                self._full.failed(domain)
        for reading in readings:
            self._take(reading)
        if self._collected:
            for reading in readings:
                self._state.touch_domain(reading.domain)

    def _begin_early(self, domain: DomainState, users: Sequence[Reading]) -> None:
        """Begin to hash those of a long page who will go out in this very cycle, as far as can be seen."""
        if len(users) < EARLY_MIN or not self._process.may_send:
            return
        objects, passwords, forced = self._state.objects, self._state.passwords, domain.full == "ordered"
        coming = []
        for user in users:
            if user.stamp is None or user.nt is None or user.temporary:
                continue
            record, state = objects.get(user.anchor), passwords.get(user.anchor)
            if record is None or not record.confirmed:
                continue
            if forced or state is None or state.applied is None or user.stamp.sent > state.applied:
                coming.append((user.anchor, user.nt))
        self._early.begin(coming)

    def _domains(self) -> list[tuple[Connector, DomainState]]:
        connectors = self._ports.settings.connectors
        domains = self._state.domains
        return [
            (connector, domain)
            for connector in connectors
            if (domain := domains.get(connector.domain)) is not None and domain.password_sync
        ]

    def _is_ready(self, domain: DomainState) -> bool:
        """Passwords wait until all objects of the domain were imported once."""
        if not domain.imported and domain.name not in self._paused:
            self._paused.add(domain.name)
            self._ports.event_log(self._texts.paused(self._ports.clock(), domain.name))
        return domain.imported

    def _take(self, reading: DomainReading) -> None:
        domain = reading.domain
        domain.replication_cookie = reading.cookie
        ordered = domain.full == "ordered"
        if ordered:
            self._full.begin(domain)
            self._collected = True
        for user in reading.users:
            if user.deleted:
                self._drop(user.anchor)
            elif user.stamp is None:
                self._take_must_change(user)
            else:
                self._take_change(user, domain, forced=ordered)
        if reading.complete:
            there = {user.anchor for user in reading.users if not user.deleted}
            for state in [each for each in self._state.waiting.values() if each.domain == domain.name]:
                if state.anchor not in there:
                    self._drop(state.anchor)

    def _drop(self, anchor: str) -> None:
        """The directory has deleted the user."""
        state = self._state.passwords.get(anchor)
        if state is not None and state.waits:
            self._retries.give_up([state])
            self._state.drop_password(anchor)
            self._collected = True

    def _take_must_change(self, user: Reading) -> None:
        """Only "must change" was set or cleared; the build decides whether that is a change to send."""
        state = self._state.passwords.get(user.anchor)
        if state is None:
            return
        if user.temporary is not None and user.temporary != state.temporary:
            state.temporary = user.temporary
            self._state.touch_password(state)
        if state.due:  # he was read because he is due, and has no password
            state.due = False
            self._state.touch_password(state)
            self._collected = True

    def _take_change(self, user: Reading, domain: DomainState, *, forced: bool) -> None:
        """A password as it is now: pending if it is not known to be applied, or forced out."""
        stamp = user.stamp
        assert stamp is not None  # noqa: S101 - the caller has looked
        anchor = user.anchor
        state = self._state.passwords.get(anchor)
        if state is None:
            state = PasswordState(anchor, domain.name, user.dn)
        turned = user.temporary is not None and user.temporary != state.temporary
        if turned:
            state.temporary = bool(user.temporary)
        if self._is_left_out(user, state, domain):
            return
        state.dn = user.dn
        due, state.due = state.due, False
        change, pending = stamp.sent, state.pending
        if change >= max(state.applied or _NEVER, state.attempted or _NEVER, pending.sent if pending else _NEVER):
            again = turned and self._ports.settings.build.reevaluate_must_change and state.applied is not None
            state.forced = state.forced or forced or again
            if turned and user.asked_for and not due:
                self._turned.add(anchor)
            else:
                self._turned.discard(anchor)
            if pending is not None and pending.sent == change:
                state.nt = user.nt
                if not (due or turned or forced):
                    return  # pending already, and its hash is at hand again
            elif state.forced or change != state.applied:
                state.pending, state.nt = stamp, user.nt
            elif not (due or turned):
                return
        elif due and pending is None and state.attempted and state.attempted > (state.applied or _NEVER):
            # The controller lags behind: the newer one that was left out then has been read, and won't come by itself.
            state.pending = Stamp(*state.attempted, 0)
        elif not (due or turned):
            return  # older than what is known: a controller that lags behind
        self._state.touch_password(state)
        self._collected = True

    def _is_left_out(self, user: Reading, state: PasswordState, domain: DomainState) -> bool:
        """Is there a rule that keeps this password here? Then nothing of it is remembered but that."""
        record = self._state.objects.get(user.anchor)
        if record is None:
            out = scope.place_left_out(user.dn, self._ports.settings.scope, naming_context(domain.name)) is not None
        else:
            out = not record.password_wanted
        if out:
            self._retries.give_up([state])
            state.leave_out(left_out_status(None if record is None else record.left_out), user.stamp)
            self._state.note_attempt(state, self._ports.clock(), None if user.stamp is None else user.stamp.changed)
            self._state.touch_password(state)
            self._collected = True
        return out

    # --- select

    def select(self) -> list[PasswordState]:
        """Those whose password can go out now. The others wait, or are left out by a rule."""
        chosen = []
        self._takes_forced_change, self._asked = None, False
        enabled = {domain.name for _, domain in self._domains()}
        for state in list(self._state.waiting.values()):
            if state.pending is None or state.domain not in enabled:
                continue
            record = self._state.objects.get(state.anchor)
            if record is not None and not record.password_wanted:
                self._leave_out(state, left_out_status(record.left_out))
            elif state.temporary and self._is_filtered():
                self._leave_out(state, FILTERED_BY_TARGET)
            elif record is None or not record.confirmed:
                self._wait(state, NO_TARGET if state.anchor in self._state.refused else NOT_EXPORTED)
            elif state.nt is not None and not (state.temporary and self._takes_forced_change is None):
                chosen.append(state)
        return chosen

    def _is_filtered(self) -> bool:
        """Are must-change passwords left out? In builds that can send them, that is a feature of the tenant."""
        if not self._ports.settings.build.force_password_change:
            return True
        if self._takes_forced_change is None and not self._asked and self._process.may_send:
            self._asked = True
            try:
                self._takes_forced_change = self._link.takes_forced_change()
            except TenantError as error:
                self._ports.event_log(self._texts.context_not_ready(self._ports.clock(), tenant_chain(error)))
                tell_refusal(self._process, error)
                self._collected = True  # there may be a Retry-After to keep
        return self._takes_forced_change is False

    def _leave_out(self, state: PasswordState, status: str) -> None:
        self._retries.give_up([state])
        changed = None if state.pending is None else state.pending.changed
        state.leave_out(status)
        self._state.note_attempt(state, self._ports.clock(), changed)
        self._state.touch_password(state)
        self._collected = True

    def _wait(self, state: PasswordState, status: str) -> None:
        if state.status != status:
            state.status = status
            self._state.note_attempt(state, self._ports.clock())
            self._state.touch_password(state)
            self._collected = True

    # --- protect, send, settle

    def _send_all(self, ordered: Sequence[PasswordState]) -> None:
        """Batch by batch; a batch that fails does not stop the next one, a Retry-After does."""
        try:
            self._link.prepare()
            self._services.ask()
        except TenantError as error:
            self._settle_failure(ordered, error, attempted=False)
            return
        size = max(1, min(self._ports.settings.batch_size, BATCH_SIZE_MAX))
        with closing(in_batches(ordered, size, LastWords(self._tell_worker), self._early)) as batches:
            for batch in batches:
                if not self._process.may_send:
                    return
                self._send(batch)

    def _tell_worker(self, reason: str) -> None:
        self._ports.event_log(self._texts.worker_failed(self._ports.clock(), reason))

    def _send(self, batch: Batch) -> None:
        log, texts, clock = self._ports.event_log, self._texts, self._ports.clock
        batch, secrets = self._services.complete(batch)
        if not batch.users:
            return
        changes = [change_of(state) for state in batch.users]
        items = [
            CredentialItem(
                change.anchor, None, text, moment(change.changed), change.force_change, also.legacy, also.supplemental
            )
            for change, text, also in zip(changes, batch.credentials, secrets, strict=True)
        ]
        log(texts.batch_start(clock(), len(items)))
        for event in texts.requests(clock(), changes):
            log(event)
        if self._turned and (turned := sum(state.anchor in self._turned for state in batch.users)):
            log(texts.only_flag_changed(clock(), turned))
        try:
            results = self._link.send_credentials(items)
        except TenantError as error:
            self._settle_failure(batch.users, error, attempted=True)
            return
        domains = {state.domain for state in batch.users}
        connectors = self._ports.settings.connectors
        self._heartbeat.contact({each.identifier for each in connectors if each.domain in domains})
        self._settle(batch.users, changes, results)

    def _settle(
        self, users: Sequence[PasswordState], changes: Sequence[Change], results: Sequence[CredentialResult]
    ) -> None:
        errors: list[str | None] = []
        now = self._ports.clock()
        waited = {state.anchor for state in users if state.status in RETRIED}
        for state, result in zip(users, results, strict=True):
            assert state.pending is not None  # noqa: S101 - nothing else runs between send and settle
            sent = state.pending.sent
            state.attempted = sent
            if result.result == 0:
                state.applied, state.pending, state.nt = sent, None, None
                state.status = MISSING_ATTRIBUTE if state.anchor in self._services.lacking else SUCCESS
                self._full.applied(state)
                self._turned.discard(state.anchor)
            else:
                state.status = UNKNOWN if result.result is None else ERROR
                if result.result == _ANCHOR_UNKNOWN:
                    self._export_again(state)
            self._state.note_attempt(state, now, sent[1])
            self._state.touch_password(state)
            errors.append(None if result.result == 0 else result.error or "")
        self._report(changes, errors, waited)
        for name in dict.fromkeys(state.domain for state in users):
            domain = self._state.domain(name)
            self._full.progress(domain)
            self._full.end_if_done(domain)
        self._process.store.commit()

    def _report(self, changes: Sequence[Change], errors: Sequence[str | None], waited: Container[str]) -> None:
        """``waited``: the anchors of those that were in the retry queue before."""
        log, texts, now = self._ports.event_log, self._texts, self._ports.clock()
        for event in texts.results(now, changes, errors):
            log(event)
        failed = [change for change, error in zip(changes, errors, strict=True) if error is not None]
        if failed:
            log(texts.items_failed(now, failed))
            self._retries.came([change for change in failed if change.anchor not in waited])
        if waited:
            taken = [change for change, error in zip(changes, errors, strict=True) if error is None]
            self._retries.went([change for change in taken if change.anchor in waited])
        log(texts.batch_end(now, len(changes)))

    def _export_again(self, state: PasswordState) -> None:
        """The tenant does not know the user: the next object cycle exports the object once more."""
        record = self._state.objects.get(state.anchor)
        if record is not None and record.confirmed:
            record.exported = b""
            self._state.touch_object(record)

    def _settle_failure(self, users: Sequence[PasswordState], error: TenantError, *, attempted: bool) -> None:
        """A whole batch failed, or there is no token for any: all stay pending."""
        status, changes = batch_status(error), [change_of(state) for state in users]
        new = [change for change, state in zip(changes, users, strict=True) if not holds(state)]
        for state in users:
            state.status = status
            if attempted and state.pending is not None:
                state.attempted = state.pending.sent
            self._state.note_attempt(state, self._ports.clock())
            self._state.touch_password(state)
        self._ports.event_log(self._texts.batch_failed(self._ports.clock(), tenant_chain(error), changes))
        tell_refusal(self._process, error)
        self._healing.note(error)
        self._retries.came(new)
        self._process.store.commit()


def order(chosen: Sequence[PasswordState]) -> list[PasswordState]:
    """By the originating time of the change, then the domain's name, then the USN on the controller that was read."""
    return sorted(chosen, key=_moment)


def _moment(state: PasswordState) -> tuple[int, str, int]:
    pending = state.pending
    return (0, state.domain, 0) if pending is None else (pending.changed, state.domain, pending.usn)
