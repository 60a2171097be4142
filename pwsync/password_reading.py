"""Collecting: what a domain's controller says about passwords since the last time.

One read per domain and cycle, page by page, from the cookie of the last one; then, one by one, the users whose hash is
needed though it did not change now: those that were pending when a process ended, and those that came into scope.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from pwsync import fips
from pwsync.directory import naming_context
from pwsync.errors import AgentError, EnvelopeError, FileTimeError, FipsError, ReplicationError
from pwsync.failures import CONNECTION_CODES, OBJECT_NOT_FOUND, read_chain
from pwsync.process import Process
from pwsync.replication.client import ReplicatedObject, ReplicationClient, file_time, source_anchor
from pwsync.settings import Connector
from pwsync.stamp import Stamp
from pwsync.state import DomainState, PasswordState

ATTRIBUTES = ("unicodePwd", "pwdLastSet")
SUPPLEMENTAL = "supplementalCredentials"
"""Read of those users only whose Kerberos keys the tenant wants, when they are sent: their values are long."""
PAGE = 500
"""Objects in one answer. If more users than this have to be read one by one, the whole domain is read instead."""


class Reading(NamedTuple):
    """One user as it was read.

    stamp and nt: the password's change and its NT hash; None where the password did not change, or there is none.
    temporary: the password must be changed at the next logon; None if that was not told. asked_for: the user was read
    one by one, and did not come because the password had changed.
    """

    anchor: str
    dn: str
    deleted: bool
    stamp: Stamp | None
    nt: bytes | None
    temporary: bool | None
    asked_for: bool = False


class SingleReading(NamedTuple):
    """One attribute of one user; ``done`` is false if it could not be read, and value None where there is none."""

    done: bool
    value: bytes | None = None


@dataclass(frozen=True, slots=True)
class DomainReading:
    """What a domain's read brought. complete: every user of the domain is in it."""

    domain: DomainState
    users: Sequence[Reading]
    cookie: bytes
    complete: bool


ReadSome = Callable[[DomainState, Sequence[Reading]], None]
"""Is shown each page of a domain's users as soon as it is read; the rest of them may fail."""


class PasswordReader:
    """Reads domains for one process. A connection stays open until it fails."""

    def __init__(self, process: Process, read_some: ReadSome) -> None:
        self._process = process
        self._read_some = read_some
        self._ports = process.ports
        self._clients: dict[str, ReplicationClient] = {}
        self.failing: set[str] = set()

    def read(self, connector: Connector, domain: DomainState) -> DomainReading | None:
        """What changed, or None if the domain could not be read; then event 611 says why, and nothing of it counts."""
        try:
            found = self._read(connector, domain)
        except (ReplicationError, EnvelopeError, FileTimeError, FipsError) as error:
            self._failed(connector, error)
            return None
        self.failing.discard(connector.domain)
        return found

    def _read(self, connector: Connector, domain: DomainState) -> DomainReading:
        client = self._client(connector)
        due = [state for state in self._process.state.waiting.values() if _needs_reading(state, domain.name)]
        complete = domain.full == "ordered" or domain.replication_cookie is None or len(due) > PAGE
        context = naming_context(connector.domain)
        cookie = None if complete else domain.replication_cookie
        users: list[Reading] = []
        while True:
            page = client.changes(cookie, context, ATTRIBUTES, PAGE)
            if page.objects:
                come = list(self._readings(client, page.objects))
                self._read_some(domain, come)
                users += come
            cookie = page.cookie
            if not page.more:
                break
        if not users and not due:
            return DomainReading(domain, (), cookie, complete)
        if not complete:
            single = self._single(client, connector, domain, due, users)
            read = {user.anchor for user in single}
            users = [user for user in users if user.anchor not in read] + single
        return DomainReading(domain, users, cookie, complete)

    def read_supplemental(self, state: PasswordState) -> SingleReading:
        """A user's supplementalCredentials as they are now. If they can't be read event 611 says why."""
        connector = next(each for each in self._ports.settings.connectors if each.domain == state.domain)
        try:
            client = self._client(connector)
            page = client.object(UUID(bytes_le=b64decode(state.anchor)), naming_context(state.domain), [SUPPLEMENTAL])
            found = [client.plain(obj, SUPPLEMENTAL) for obj in page.objects if not obj.deleted]
        except (ReplicationError, EnvelopeError, FileTimeError, FipsError) as error:
            if isinstance(error, ReplicationError) and error.code == OBJECT_NOT_FOUND:
                return SingleReading(True)  # deleted since; the next cycle reads that
            self._failed(connector, error)
            return SingleReading(False)
        return SingleReading(True, found[0] if found else None)

    def _client(self, connector: Connector) -> ReplicationClient:
        name = connector.domain
        client = self._clients.get(name)
        if client is None:
            channel = self._ports.replication(name, self._process.controllers[name])
            random = self._ports.random(f"replication/{name}")
            client = ReplicationClient(
                channel,
                random,
                self._ports.clock,
                md5=self._process.crypto.md5,
                learns_epoch=self._ports.settings.build.learns_epoch,
            )
            client.bind(name, connector.account, self._process.passwords[name])
            self._clients[name] = client
        return client

    def _single(
        self,
        client: ReplicationClient,
        connector: Connector,
        domain: DomainState,
        due: Sequence[PasswordState],
        users: Sequence[Reading],
    ) -> list[Reading]:
        """Read one by one who is due and did not come by himself."""
        come = {user.anchor for user in users if user.stamp is not None or user.deleted}
        wanted = {state.anchor: state.dn for state in due}
        if self._ports.settings.build.reevaluate_must_change:
            wanted.update((user.anchor, user.dn) for user in users if self._is_turned(user))
        found: list[Reading] = []
        for anchor, dn in wanted.items():
            if anchor in come:
                continue
            try:
                page = client.object(UUID(bytes_le=b64decode(anchor)), naming_context(domain.name), ATTRIBUTES)
            except ReplicationError as error:
                if error.code != OBJECT_NOT_FOUND:
                    raise
                self._report(connector, error, dn)  # one user's trouble; the others are read all the same
                continue
            found += [user._replace(asked_for=True) for user in self._readings(client, page.objects)]
        return found

    def _is_turned(self, user: Reading) -> bool:
        """Was "must change" set or cleared, and nothing else, for a user whose password is synchronized?"""
        state = self._process.state.passwords.get(user.anchor)
        record = self._process.state.objects.get(user.anchor)
        if user.stamp is not None or state is None or record is None or not record.password_wanted:
            return False
        return user.temporary is not None and user.temporary != state.temporary

    def _readings(self, client: ReplicationClient, objects: Sequence[ReplicatedObject]) -> Iterator[Reading]:
        """Only hashes that may go out are decrypted."""
        records = self._process.state.objects
        for obj in objects:
            anchor = source_anchor(obj.guid)
            secret = obj.attributes.get("unicodePwd")
            stamp = nt = None
            if secret is not None and secret.values and not obj.deleted:
                stamp = secret.stamp
                record = records.get(anchor)
                if record is None or (record.left_out is None and record.password_left_out is None):
                    nt = client.nt_hash(obj)
                    stamp = None if nt is None else stamp
            last_set = obj.attributes.get("pwdLastSet")
            temporary = file_time(last_set.values[0]) == 0 if last_set is not None and last_set.values else None
            yield Reading(anchor, obj.dn, obj.deleted, stamp, nt, temporary)

    def _failed(self, connector: Connector, error: AgentError) -> None:
        self._clients.pop(connector.domain, None)
        self.failing.add(connector.domain)
        name = connector.domain
        offline = isinstance(error, ReplicationError) and error.code in CONNECTION_CODES
        if offline and self._ports.settings.preferred_controllers.get(name):
            controller, now = self._process.controllers[name], self._ports.clock()
            self._ports.event_log(
                self._process.texts.preferred_controller_offline(now, name, controller, read_chain(name, error))
            )
        self._report(connector, error)
        if offline:
            self._process.pass_on(name)

    def _report(self, connector: Connector, error: AgentError, dn: str = "") -> None:
        name = connector.domain
        if isinstance(error, FipsError):
            build, now = self._ports.settings.build, self._ports.clock()
            controller = self._process.controllers[name]
            self._ports.event_log(fips.domain_failed(self._process.texts, build, now, name, controller, error))
            return
        chain = read_chain(name, error)
        self._ports.event_log(
            self._process.texts.domain_failed(
                self._ports.clock(),
                name,
                self._process.controllers[name],
                f"{chain} Object: {dn}." if dn else chain,
                dn,
            )
        )


def _needs_reading(state: PasswordState, domain: str) -> bool:
    return state.domain == domain and (state.due or (state.pending is not None and state.nt is None))
