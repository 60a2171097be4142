"""The diagnosis: why does a password not arrive? The product's cmdlet asks in this order, and so does this module.

    tenant      is the feature on?
    server      is it staging? can the process have MD5?
    connector   is its channel on? when did the tenant last hear of it?
    domain      can it be reached? are the account's name and password right? may it replicate passwords?
    object      is it in scope and exported? does a rule synchronize its password? is that temporary? what came last?

Source: product documentation, troubleshooting of password synchronization; the words are our own. It really asks (the
tenant by a call, a controller by a bind and by a request for changes) and changes nothing: no event is written, nothing
is stored, and the agent's own token, connections and generators are left alone. Should the tenant ask for a pause, the
diagnosis says so, and whoever ordered it has the agent heed it (:meth:`pwsync.agent.SyncAgent.heed`). Known blind spot
of the product: a controller that rejects replication (8456) is taken for healthy.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cached_property, partial
from typing import Any, Final
from uuid import UUID

from pwsync import fips, scope
from pwsync.diagnosis import Check, Diagnosis
from pwsync.directory import DirectoryError, Entry, naming_context, read_object, try_bind
from pwsync.errors import ReplicationError, TenantError
from pwsync.failures import FILTERED_BY_TARGET, NONE, WRONG_CREDENTIALS
from pwsync.process import Process
from pwsync.replication.client import ReplicationClient
from pwsync.settings import Connector
from pwsync.state import ObjectState, PasswordState
from pwsync.tenant.messages import CompanyConfiguration
from pwsync.tenant_link import FORCE_PASSWORD_CHANGE, PASSWORD_HASH_SYNC, Connect

HEARTBEAT_AGE_MAX: Final = timedelta(hours=3)
"""An agent that has run for so long without a heartbeat, or a batch, that the tenant took has none."""

NOT_RUNNING: Final = "not-running"
"""The finding that the service is stopped."""

_SCOPE_ATTRIBUTES: Final = (
    "objectClass", "objectGUID", "sAMAccountName", "userAccountControl", "isCriticalSystemObject"
)  # fmt: skip
_NOT_INCLUDED: Final = (
    "No inbound rule with Password Sync applies: with selective synchronization it takes users alone whose "
    f"{scope.INCLUSION} is {scope.INCLUDED}."
)
_UNREACHABLE: Final = frozenset({1722, 1723, 1726, 1727, 1753, 1818, 1825})
_NO_LOGON: Final = frozenset({WRONG_CREDENTIALS, 1330, 1331, 1793, 1907, 1909})
_NO_RIGHTS: Final = frozenset({5, 8453})

Heard = Callable[[str], datetime | None]
"""Connector (GUID) -> when the tenant last took a ping or a batch, or the service's start; None if it does not run."""


class Examination:
    """One diagnosis of an agent.

    process: the running one, or what one would be that started now; it is only looked at. connect: makes a way to the
    tenant of the diagnosis' own. heard: see :data:`Heard`.
    """

    def __init__(self, process: Process, connect: Connect, heard: Heard) -> None:
        ports = process.ports
        self._ports = replace(ports, random=lambda name: ports.random(f"diagnosis/{name}"))
        self._process = process
        self._settings = ports.settings
        self._state = process.state
        self._connect = connect
        self._heard = heard
        self._now = ports.clock()
        self._pause: float | None = None

    def run(self, source_anchor: str | None = None) -> Diagnosis:
        """Examine everything, or what concerns one user."""
        connectors = self._concerned(source_anchor)
        checks = [*self._tenant(), *self._server()]
        for forest in dict.fromkeys(connector.forest for connector in connectors):
            domains = [connector for connector in connectors if connector.forest == forest]
            checks += self._connector(forest, domains)
            for connector in domains:
                checks += self._domain(connector)
        if source_anchor is not None:
            checks += self._object(source_anchor, connectors)
        return Diagnosis(self._now, tuple(checks), self._pause)

    def _concerned(self, anchor: str | None) -> list[Connector]:
        """The connectors to examine: that of the user's domain, where it is known."""
        found = self._state.objects.get(anchor or "") or self._state.passwords.get(anchor or "")
        everything = list(self._settings.connectors)
        return everything if found is None else [each for each in everything if each.domain == found.domain]

    # --- tenant and server

    @cached_property
    def _company(self) -> CompanyConfiguration | str:
        """What the tenant says of itself, or why it can't be asked."""
        if self._process.link.held:
            return "it wants no calls now"
        try:
            return self._connect(self._ports)[1].company_configuration()
        except TenantError as error:
            self._pause = error.retry_after
            return str(error) if self._pause is None else f"{error} It asks for a pause of {self._pause:g} s."

    def _has_feature(self, bit: int) -> bool | None:
        return None if isinstance(self._company, str) else bool(self._company.dirsync_features & bit)

    def _tenant(self) -> Iterator[Check]:
        name, on = self._ports.tenant.tenant_id, self._has_feature(PASSWORD_HASH_SYNC)
        if on is None:
            yield Check("tenant", name, "feature", f"The tenant could not be asked for its features: {self._company}")
        elif on:
            yield Check("tenant", name, "feature", "Password synchronization is switched on in the tenant.")
        else:
            verdict = "Password synchronization is switched off in the tenant: switch it on in the set-up wizard."
            yield Check("tenant", name, "feature", verdict, "feature-off")

    def _server(self) -> Iterator[Check]:
        name = self._settings.machine
        if self._settings.staging:
            verdict = "The server is in staging mode: nothing is sent until it leaves it."
            yield Check("server", name, "staging", verdict, "staging")
        else:
            yield Check("server", name, "staging", "The server is not in staging mode.")
        if fips.is_locked(self._process.crypto):
            path = fips.config_path(self._settings.build)
            verdict = f"The server's FIPS policy forbids MD5, and {path} does not exempt the service."
            yield Check("server", name, "fips", verdict, "fips")
        else:
            yield Check("server", name, "fips", "The service can open replicated passwords.")

    # --- connector

    def _connector(self, forest: str, domains: Sequence[Connector]) -> Iterator[Check]:
        on = False
        for connector in domains:
            domain = self._state.domains.get(connector.domain)
            if domain is not None and domain.password_sync:
                on = True
                yield Check("connector", forest, "channel", f"The channel of {connector.domain} is on.")
            else:
                verdict = f"The channel of {connector.domain} is off: enable password synchronization for it."
                yield Check("connector", forest, "channel", verdict, "connector-off")
        if on:
            yield self._heartbeat(forest, domains[0].identifier)

    def _heartbeat(self, forest: str, identifier: str) -> Check:
        heard = self._heard(identifier)
        if heard is None:
            # A heartbeat is missed of a service that runs, and that for three hours; of this one none is expected.
            return Check("connector", forest, "heartbeat", "The service does not run: start it.", NOT_RUNNING)
        if self._now - heard < HEARTBEAT_AGE_MAX:
            verdict = f"The tenant heard of the agent, or the service was started, at {heard:%Y-%m-%d %H:%M:%S} UTC."
            return Check("connector", forest, "heartbeat", verdict)
        verdict = f"No heartbeat and no batch has reached the tenant since {heard:%Y-%m-%d %H:%M:%S} UTC."
        return Check("connector", forest, "heartbeat", verdict, "no-heartbeat")

    # --- domain

    def _domain(self, connector: Connector) -> Iterator[Check]:
        """From the outside in; what comes after the first thing that is wrong can't be known."""
        name, controller = connector.domain, self._process.controllers[connector.domain]
        refused = self._bind(connector)
        if refused is not None and not refused.credentials:
            verdict = f"The domain can't be reached through {controller}: {refused}"
            yield Check("domain", name, "reach", verdict, "domain-unreachable")
            return
        if refused is not None:
            yield Check("domain", name, "reach", f"The domain can be reached through {controller}.")
            yield self._wrong_account(connector, str(refused))
            return
        code, text = self._replicate(connector)
        if code in _UNREACHABLE:
            verdict = f"The domain can't be reached through {controller} for replication: {text}"
            yield Check("domain", name, "reach", verdict, "domain-unreachable")
            return
        yield Check("domain", name, "reach", f"The domain can be reached through {controller}.")
        if code in _NO_LOGON:
            yield self._wrong_account(connector, text)
            return
        yield Check("domain", name, "credentials", f"Name and password of {connector.account} are right.")
        if code in _NO_RIGHTS:
            verdict = f"{connector.account} lacks Replicating Directory Changes, or Replicating Directory Changes All."
            yield Check("domain", name, "rights", verdict, "missing-rights")
        else:
            yield Check("domain", name, "rights", f"{connector.account} may replicate passwords.")

    def _wrong_account(self, connector: Connector, why: str) -> Check:
        verdict = f"Name or password of {connector.account} is wrong: {why}"
        return Check("domain", connector.domain, "credentials", verdict, "wrong-credentials")

    def _bind(self, connector: Connector) -> DirectoryError | None:
        name = connector.domain
        try:
            try_bind(partial(self._directory, name), self._process.passwords[name])
        except DirectoryError as error:
            return error
        return None

    def _directory(self, domain: str) -> Any:
        return self._ports.directory(domain, self._process.controllers[domain])

    def _replicate(self, connector: Connector) -> tuple[int, str]:
        """Ask for one object's password; the code of the refusal and its text, 0 if there is none."""
        name = connector.domain
        channel = self._ports.replication(name, self._process.controllers[name])
        client = ReplicationClient(channel, self._ports.random(f"replication/{name}"), self._now_again)
        try:
            client.bind(name, connector.account, self._process.passwords[name])
            client.changes(None, naming_context(name), ("unicodePwd",), 1)
        except ReplicationError as error:
            return error.code, str(error)
        finally:
            with suppress(ReplicationError):
                client.unbind()
        return 0, ""

    def _now_again(self) -> datetime:
        return self._now

    # --- object

    def _object(self, anchor: str, connectors: Sequence[Connector]) -> Iterator[Check]:
        """In the product's order; the first thing that keeps the password back ends it."""
        password, subject = self._state.passwords.get(anchor), self._subject(anchor, connectors)
        if subject is None:
            name = anchor if password is None else password.dn
            verdict = "The object was not found: neither in the directory nor among what was imported."
            yield Check("object", name, "state", verdict, "not-in-scope")
            return
        dn = subject.dn
        if subject.left_out is not None:
            yield Check("object", dn, "state", f"The object is left out: {subject.left_out}.", "not-in-scope")
        elif subject.password_left_out is not None:
            word = "unsupported-class" if subject.password_left_out == scope.UNSUPPORTED_CLASS else "not-in-scope"
            verdict = f"No rule synchronizes the object's password: {subject.password_left_out}."
            if subject.password_left_out == scope.NOT_INCLUDED:
                verdict = _NOT_INCLUDED
            yield Check("object", dn, "rules", verdict, word)
        elif not subject.confirmed:
            yield Check("object", dn, "state", "The tenant does not have the object yet.", "not-exported")
        else:
            yield Check("object", dn, "state", "The object is in scope, and the tenant has it.")
            yield Check("object", dn, "rules", "The rules synchronize the object's password.")
            yield from self._password(dn, password)

    def _password(self, dn: str, password: PasswordState | None) -> Iterator[Check]:
        if password is not None and self._is_filtered(password):
            verdict = "The password is temporary (it must be changed at the next logon), and is not sent."
            yield Check("object", dn, "must-change", verdict, "temporary-password")
            return
        if password is not None and password.status == FILTERED_BY_TARGET and not password.temporary:
            verdict = "The password was temporary when it was read, and was not sent: it takes a new one."
            yield Check("object", dn, "must-change", verdict, "temporary-password")
            return
        yield Check("object", dn, "must-change", "The password is not kept back as a temporary one.")
        yield Check("object", dn, "history", self._history(password))

    def _history(self, password: PasswordState | None) -> str:
        """The last of the attempts that the object log has kept."""
        if password is None or password.status == NONE:
            return "There was no attempt yet."
        attempts = self._process.store.attempts(password.anchor, self._now)
        if not attempts:
            return f"There was no attempt in the last seven days; the one before ended with {password.status}."
        return f"The last attempt, at {attempts[-1].time:%Y-%m-%d %H:%M:%S} UTC, ended with {attempts[-1].result}."

    def _subject(self, anchor: str, connectors: Sequence[Connector]) -> ObjectState | None:
        """The object as of the last object cycle; one that was never imported as it is in the directory."""
        record = self._state.objects.get(anchor)
        if record is not None:
            return record
        found = self._look_up(anchor, connectors)
        if found is None:
            return None
        domain, entry = found
        left_out = scope.object_left_out(entry.dn, entry.attributes, self._settings.scope, naming_context(domain))
        password_left_out = scope.password_left_out(entry.attributes)
        if password_left_out is None and self._settings.scope.included_only:
            password_left_out = scope.not_included(entry.attributes)
        return ObjectState(anchor, domain, entry.dn, left_out, password_left_out)

    def _is_filtered(self, password: PasswordState) -> bool:
        """Is a must-change password kept back? A build that can send them asks the tenant's feature."""
        if not password.temporary:
            return False
        if not self._settings.build.force_password_change:
            return True
        on = self._has_feature(FORCE_PASSWORD_CHANGE)
        return password.status == FILTERED_BY_TARGET if on is None else not on

    def _look_up(self, anchor: str, connectors: Sequence[Connector]) -> tuple[str, Entry] | None:
        """The domain that has the object now, and the object."""
        try:
            guid = UUID(bytes_le=b64decode(anchor, validate=True))
        except ValueError:
            return None
        wanted = [*_SCOPE_ATTRIBUTES, scope.INCLUSION, *self._settings.scope.exclude_attribute]
        for connector in connectors:
            name = connector.domain
            try:
                entry = read_object(partial(self._directory, name), self._process.passwords[name], guid, wanted)
            except DirectoryError:
                continue  # told already by the checks of the domain
            if entry is not None:
                return name, entry
        return None
