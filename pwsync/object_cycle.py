"""Directory objects: import what changed, see who is in scope, export what the tenant does not have yet.

Runs every 30 minutes, apart from the passwords. What it finds here (class, disabled or not, place, attributes) is what
password cycles go by until its next run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

from pwsync import engine_events, joins, scope
from pwsync.directory import ATTRIBUTES, DirectoryError, Entry, naming_context, read_changes, read_everything
from pwsync.errors import ServiceFault, StoreError, TenantError, Throttled, TokenError
from pwsync.failures import SOURCE_NOT_PRESENT, left_out_status, tenant_chain
from pwsync.process import Process
from pwsync.retry_queue import RetryQueue
from pwsync.settings import Connector, Scope
from pwsync.state import UNCONFIRMED, DomainState, ObjectState, PasswordState
from pwsync.tenant.messages import AttributeValue, ObjectResult, SyncObject

EXPORT_BATCH = 500
"""Objects in one call to the tenant."""

_KEPT_OUT = ("name", "parentguid", "isdeleted")
_TO_CLOUD = (
    ("displayName", "displayname"),
    ("givenName", "givenname"),
    ("surname", "sn"),
    ("mail", "mail"),
    ("department", "department"),
    ("title", "title"),
    ("telephoneNumber", "telephonenumber"),
    ("mobile", "mobile"),
    ("onPremisesSamAccountName", "samaccountname"),
    ("onPremiseSecurityIdentifier", "objectsid"),
)
_SCOPE = "scope"
_NOT_UNIQUE = "AttributeValueMustBeUnique"


class ObjectCycle:
    """The object cycles of one process."""

    _changed: bool
    """Is there anything of this cycle to be stored?"""
    _known: dict[str, bytes | None]
    """What the tenant was last known to have of the objects that this cycle exports."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._ports = process.ports
        self._state = process.state
        self._failing = False
        self._retries = RetryQueue(process)

    def run(self, *, initial: bool) -> None:
        """One cycle. ``initial`` imports everything again and exports all of it."""
        self._changed = self._failing = False
        for connector in self._ports.settings.connectors:
            if self._process.stopping:
                return
            self._import(connector, everything=initial)
        self._follow_scope()
        self._follow_joins()
        self._retries.tell_given_up()
        try:
            self._doubt()
            if self._changed:
                self._process.store.commit()
            self._export()
        except StoreError as error:
            self._ports.event_log(engine_events.object_state_not_stored(self._ports.clock(), str(error)))

    @property
    def quiet(self) -> bool:
        """Is there nothing that a cycle could do but import?"""
        return not self._state.outbound and not self._failing and self._scope_text() == self._state.settings.get(_SCOPE)

    # --- import

    def _import(self, connector: Connector, *, everything: bool) -> None:
        """Read one domain: whole, by search, if that is ordered or there is nothing to go on from; else what changed.

        A domain that can't be read is left for the next cycle.
        """
        name, password = connector.domain, self._process.passwords[connector.domain]
        domain = self._state.domain(name)
        attributes = self._attributes(domain)
        text = ",".join(attributes)
        cookie = None if everything or text != domain.import_attributes else domain.import_cookie

        def connect() -> Any:
            return self._ports.directory(name, self._process.controllers[name])

        try:
            if cookie is None:
                brought = read_everything(connect, name, password, attributes)
            else:
                brought = read_changes(connect, name, password, attributes, cookie)
        except DirectoryError as error:
            self._failed(connector, domain, error)
            return
        if cookie is not None and any(self._is_partial(entry) for entry in brought.entries):
            self._import(connector, everything=True)  # an object came back of which only a part is told
            return
        domain.import_cookie, domain.import_attributes = brought.cookie, text
        self._take_all(domain, brought.entries, complete=cookie is None, again=everything)
        if brought.entries or not domain.imported:
            domain.imported = True
            self._changed = True
            self._state.touch_domain(domain)

    def _attributes(self, domain: DomainState) -> list[str]:
        """What to import: the usual ones and those that filters need, or what the cookie was made with, if enough."""
        settings = self._ports.settings
        wanted = {*ATTRIBUTES, *settings.scope.exclude_attribute, *([settings.match_by] if settings.match_by else ())}
        if settings.scope.included_only:
            wanted.add(scope.INCLUSION)
        known = domain.import_attributes.split(",")
        if {name.lower() for name in wanted} <= {name.lower() for name in known}:
            return known
        standard = {name.lower() for name in ATTRIBUTES}
        return [*ATTRIBUTES, *sorted(name for name in wanted if name.lower() not in standard)]

    def _failed(self, connector: Connector, domain: DomainState, error: DirectoryError) -> None:
        self._failing = True
        now, name = self._ports.clock(), connector.domain
        if error.credentials:
            self._ports.event_log(engine_events.credentials_invalid(now, name, str(error)))
        else:
            controller = self._process.controllers[name]
            self._ports.event_log(engine_events.directory_unreachable(now, name, controller, str(error)))
            if not error.cookie_refused:
                self._process.pass_on(name)
        if error.cookie_refused:
            domain.import_cookie = None

    def _is_partial(self, entry: Entry) -> bool:
        known = entry.anchor in self._state.objects
        return not (known or entry.deleted or "objectclass" in entry.attributes)

    def _take_all(self, domain: DomainState, entries: Sequence[Entry], *, complete: bool, again: bool) -> None:
        for entry in entries:
            self._take(domain, entry, complete=complete, again=again)
        if complete:
            seen = {entry.anchor for entry in entries}
            for record in [each for each in self._state.objects.values() if each.domain == domain.name]:
                if record.anchor not in seen and record.left_out != scope.DELETED:
                    self._changed = True
                    self._gone(record)
        # What was read as a password and is no object after a whole import is none of ours: a computer, a service.
        for state in [each for each in self._state.waiting.values() if each.domain == domain.name]:
            if state.anchor not in self._state.objects:
                self._changed = True
                self._leave_out(state)

    def _take(self, domain: DomainState, entry: Entry, *, complete: bool, again: bool) -> None:
        record = self._state.objects.get(entry.anchor)
        if entry.deleted:
            if record is not None:
                self._gone(record)
            return
        attributes = {} if complete or record is None else self._process.store.attributes(entry.anchor)
        for name, values in entry.attributes.items():
            if values and name not in _KEPT_OUT:
                attributes[name] = values
            else:
                attributes.pop(name, None)
        if record is None:
            record = ObjectState(entry.anchor, domain.name, entry.dn)
        record.dn = entry.dn
        if again and record.confirmed:
            record.exported = b""
        self._judge(domain, record, attributes, self._ports.settings.scope)
        self._state.touch_object(record, attributes)

    def _judge(
        self, domain: DomainState, record: ObjectState, attributes: Mapping[str, list[str]], limits: Scope
    ) -> None:
        """Is the object in scope, and its password? Whoever comes in is read; whoever goes out no longer waits."""
        wanted_before = record.password_wanted and record.wanted is not None
        record.left_out = scope.object_left_out(record.dn, attributes, limits, naming_context(domain.name))
        record.password_left_out = scope.password_left_out(attributes)
        if record.password_left_out is None and limits.included_only and _tells_included(domain):
            record.password_left_out = scope.not_included(attributes)
        record.wanted = None if record.left_out else _digest(cloud_attributes(record, attributes))
        state = self._state.passwords.get(record.anchor)
        if not record.password_wanted:
            if state is not None and state.waits:
                self._leave_out(state, left_out_status(record.left_out))
            return
        if state is not None and state.dn != record.dn:
            state.dn = record.dn
            self._state.touch_password(state)
        if not wanted_before and domain.password_sync and domain.full != "ordered":
            self._read_next(record, state)

    def _read_next(self, record: ObjectState, state: PasswordState | None) -> None:
        """The user's password came into scope: the next password cycle reads it, unless it is at hand already."""
        if state is None:
            state = PasswordState(record.anchor, record.domain, record.dn)
        if state.pending is None or state.nt is None:
            state.due = True
            self._state.touch_password(state)

    def _leave_out(self, state: PasswordState, status: str = SOURCE_NOT_PRESENT) -> None:
        self._retries.give_up([state])
        changed = None if state.pending is None else state.pending.changed
        state.leave_out(status)
        self._state.note_attempt(state, self._ports.clock(), changed)
        self._state.touch_password(state)

    def _gone(self, record: ObjectState) -> None:
        """The directory has deleted the object."""
        state = self._state.passwords.get(record.anchor)
        if state is not None:
            self._retries.give_up([state])
            self._state.drop_password(record.anchor)
        record.left_out, record.wanted = scope.DELETED, None
        if record.exported is None:
            self._state.drop_object(record.anchor)
        else:
            self._state.touch_object(record)

    def _follow_scope(self) -> None:
        """Look at every object again if an administrator has changed the scope since the last cycle."""
        limits, text = self._ports.settings.scope, self._scope_text()
        known = self._state.settings.get(_SCOPE)
        if text == known:
            return
        self._state.set(_SCOPE, text)
        self._changed = True
        if known is None:
            return
        for record in list(self._state.objects.values()):
            if record.left_out != scope.DELETED:
                self._judge(self._state.domain(record.domain), record, self._attributes_of(record), limits)
                self._state.touch_object(record)

    def _follow_joins(self) -> None:
        """See which accounts are one person, and which of them counts; only where users are matched at all."""
        match_by = self._ports.settings.match_by
        if match_by is None or not self._changed:
            return
        order = {connector.domain: number for number, connector in enumerate(self._ports.settings.connectors)}
        forests = {connector.domain: connector.forest for connector in self._ports.settings.connectors}
        first = {forest: min(order[name] for name in order if forests[name] == forest) for forest in forests.values()}
        records = [each for each in self._state.objects.values() if each.left_out in (None, scope.JOINED)]
        attributes = {record.anchor: self._attributes_of(record) for record in records}
        ignored = joins.ignored(
            joins.Account(
                record.anchor,
                scope.first(attributes[record.anchor], match_by.lower()),
                not scope.account_control(attributes[record.anchor]) & scope.ACCOUNT_DISABLED,
                first[forests[record.domain]],
            )
            for record in records
        )
        for record in records:
            if record.anchor in ignored:
                self._ignore(record)
            elif record.left_out == scope.JOINED:
                domain = self._state.domain(record.domain)
                self._judge(domain, record, attributes[record.anchor], self._ports.settings.scope)
                self._state.touch_object(record)

    def _ignore(self, record: ObjectState) -> None:
        """Another account of the same person counts; this one is neither exported nor is its password."""
        if record.left_out == scope.JOINED:
            return
        record.left_out, record.wanted = scope.JOINED, None
        self._state.touch_object(record)
        state = self._state.passwords.get(record.anchor)
        if state is not None and state.waits:
            self._leave_out(state)

    def _scope_text(self) -> str:
        limits = self._ports.settings.scope
        included = [limits.included_only] if limits.included_only else []
        return json.dumps([limits.ous, limits.exclude_ous, dict(limits.exclude_attribute), *included])

    def _attributes_of(self, record: ObjectState) -> dict[str, list[str]]:
        return self._process.store.attributes(record.anchor)

    # --- export

    def _doubt(self) -> None:
        """Write down, before anything goes out, of which objects nobody knows what the tenant has until it answers.

        An answer may be lost, or the process die, and by then the directory may be back where the tenant was: what was
        sent must then be taken back all the same.
        """
        self._known = {}
        if not self._process.may_send or self._too_many():
            return
        for record in list(self._state.outbound.values()):
            doubtful = b"" if record.confirmed else UNCONFIRMED
            self._known[record.anchor] = record.exported
            if record.exported != doubtful:
                record.exported = doubtful
                self._state.touch_object(record)
                self._changed = True

    def _believe(self, records: Sequence[ObjectState]) -> None:
        """These were surely not applied: the tenant has what it had."""
        for record in records:
            record.exported = self._known.get(record.anchor, record.exported)
            self._state.touch_object(record)

    def _export(self) -> None:
        """Bring the tenant up to date, deletions first: they free names that others may take."""
        records = list(self._state.outbound.values())
        records.sort(key=lambda record: record.wanted is not None)
        if self._is_held_back():
            return
        for start in range(0, len(records), EXPORT_BATCH):
            if not self._process.may_send:
                return
            batch = records[start : start + EXPORT_BATCH]
            try:
                results = self._process.link.send_objects([self._object(record) for record in batch])
            except TenantError as error:
                self._ports.event_log(
                    engine_events.export_failed(
                        self._ports.clock(),
                        tenant_chain(error),
                        [record.anchor for record in batch],
                        [record.dn for record in batch],
                    )
                )
                if isinstance(error, (TokenError, Throttled, ServiceFault)):
                    self._believe(batch)
                self._process.store.commit()
                if isinstance(error, TokenError):
                    return
                continue
            self._settle(batch, results)
            self._process.store.commit()

    def _is_held_back(self) -> bool:
        """Are there more deletions than one export may carry? Then nothing goes out (what else waits: unconfirmed)."""
        count = self._too_many()
        if count and self._process.may_send:
            threshold = self._ports.settings.deletion_threshold
            self._ports.event_log(engine_events.deletions_held_back(self._ports.clock(), count, threshold))
            return True
        return False

    def _too_many(self) -> int:
        """How many deletions there are, if they are more than one export may carry; otherwise 0."""
        threshold = self._ports.settings.deletion_threshold
        count = sum(record.wanted is None for record in self._state.outbound.values())
        return count if threshold and count > threshold else 0

    def _object(self, record: ObjectState) -> SyncObject:
        if record.wanted is None:
            return SyncObject(record.anchor, "User", "Delete", {})
        return SyncObject(record.anchor, "User", "Set", cloud_attributes(record, self._attributes_of(record)))

    def _settle(self, batch: Sequence[ObjectState], results: Sequence[ObjectResult]) -> None:
        failures = []
        for record, result in zip(batch, results, strict=True):
            if result.code == "Success":
                self._settle_one(record)
            else:
                self._believe([record])
                if result.error_code == _NOT_UNIQUE:
                    self._state.refused.add(record.anchor)
                failures.append((record, f"{result.error_code or result.code}: {result.error_description or ''}"))
        if failures:
            self._ports.event_log(
                engine_events.export_failed(
                    self._ports.clock(),
                    "; ".join(sorted({reason for _, reason in failures})),
                    [record.anchor for record, _ in failures],
                    [record.dn for record, _ in failures],
                )
            )

    def _settle_one(self, record: ObjectState) -> None:
        record.exported = record.wanted
        self._state.refused.discard(record.anchor)
        if record.wanted is not None:
            self._state.touch_object(record)
            return
        password = self._state.passwords.get(record.anchor)
        if password is not None and password.applied is not None:
            password.applied = None  # should the tenant's object come back, its password is not known to be there
            self._state.touch_password(password)
        if record.left_out == scope.DELETED:
            self._state.drop_object(record.anchor)
        else:
            self._state.touch_object(record)


def cloud_attributes(record: ObjectState, attributes: Mapping[str, Sequence[str]]) -> dict[str, AttributeValue | None]:
    """What the tenant gets of an object: its attributes under the tenant's names.

    Absent ones are None: the tenant keeps what it is not told of.
    """
    account = scope.first(attributes, "samaccountname")
    sent: dict[str, AttributeValue | None] = {
        "userPrincipalName": scope.first(attributes, "userprincipalname") or f"{account}@{record.domain}",
        "accountEnabled": not scope.account_control(attributes) & scope.ACCOUNT_DISABLED,
        "dnsDomainName": record.domain,
        "onPremisesDistinguishedName": record.dn,
    }
    for name, source in _TO_CLOUD:
        values = attributes.get(source)
        sent[name] = values[0] if values else None
    addresses = attributes.get("proxyaddresses")
    sent["proxyAddresses"] = list(addresses) if addresses else None
    return sent


def _tells_included(domain: DomainState) -> bool:
    """Does what was imported say who is marked? Selective rules hold from the full import on that asks for it."""
    return scope.INCLUSION.lower() in domain.import_attributes.lower().split(",")


def _digest(attributes: Mapping[str, AttributeValue | None]) -> bytes:
    """Eight bytes that change with any attribute; never empty."""
    return blake2b(repr(attributes).encode("utf-8", "surrogatepass"), digest_size=8).digest()
