"""What the invariants judge by: the truth of directory and tenant, kept apart from anything that the agent says.

For each user: the passwords that the directory held (``versions``), which of them the tenant took, whether the user's
password had to be synchronized as of the last object cycle (``facts``), and which changes the agent has read. Where a
domain has several controllers, the order of a user's passwords is that of their stamps, in which the directory keeps
them; and read is what the controller had that the agent asked.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from pwsync.replication.client import source_anchor
from pwsync.settings import Scope
from simulator.active_directory.replica import Stamp
from simulator.active_directory.state import Account, Controller, Domain, PasswordSet
from simulator.invariants.eligibility import SYSTEM_OBJECT, why_not
from simulator.network import CRASHED, FAILED, OK, REDIRECTED, Attempt
from simulator.world import World

Vector = dict[bytes, int]
"""USNs by the invocation of the controller on which they were given out."""


@dataclass(slots=True)
class Facts:
    """Whether a user's password is to be synchronized, as of the last object cycle.

    why: the reason if not. since: when it became so. attempts: how many the agent had made by then. doubtful: the scope
    was changed, and the agent could not import what changed in the object as well: nobody is accused over it.
    """

    why: str | None
    since: datetime
    attempts: int = 0
    doubtful: bool = False


@dataclass(slots=True)
class Sent:
    """A credential that left the agent.

    version: index of the password in the user's ``versions``, None if it is none of them. applied: the tenant took it.
    known: the agent got to know that it did. why_not: the rule that should have kept it on premises. read_at: the
    controller that it was read from and its USN there, None if that can't be said.
    """

    attempt: Attempt
    guid: UUID
    user: str
    credential: str
    change_date: datetime
    force_change: bool
    version: int | None
    cycle: int
    applied: bool
    known: bool
    why_not: str | None = None
    read_at: tuple[str, int] | None = None


class Ledger:
    """Kept up to date by :meth:`update` after each instant; hooks note what must be seen at its very moment."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.versions: dict[UUID, list[PasswordSet]] = {}
        self.homes: dict[UUID, Domain] = {}
        self.facts: dict[UUID, Facts] = {}
        self.sent: list[Sent] = []
        self.last_sync: dict[UUID, int] = {}
        self.known: dict[UUID, Sent | None] = {}
        self.temporary: dict[UUID, int] = {}
        self.controller_read: dict[str, str] = {}
        self._last_read: dict[str, int] = {}
        self._read_before: dict[str, int] = {}
        self.unsettled: set[UUID] = set()
        self._tentative: list[Sent] = []
        self._why: dict[tuple[int, str | None], str | None] = {}
        self._vectors: dict[str, Vector] = {}
        self._reading: dict[str, Vector] = {}
        self._newest: dict[UUID, int] = {}
        self._seen: dict[UUID, dict[str, Stamp]] = {}
        self._read_at: dict[tuple[UUID, int], tuple[str, int]] = {}
        self._log_seen: dict[str, int] = {}
        self._facts_version: dict[str, object] = {}
        self._scopes: dict[str, tuple[Scope, int]] = {}
        self._before_import: dict[str, tuple[object, tuple[Scope, int] | None, dict[UUID, Facts | None]]] = {}
        self._writes_seen = 0
        self._attempts_seen = 0
        self._crashes_seen = 0
        self._cycles_seen = 0
        self._cycle_starts: list[int] = []
        self._by_anchor: dict[str, UUID] = {}

    def begin(self) -> None:
        """Take in what came before the run."""
        self._read_logs()
        for domain in self.world.domains:
            self._snapshot(domain, None)
            if self.world.idle.has_read(domain):
                self._vectors[domain.name] = vector(domain.controller())
        for write in self.world.tenant.writes:
            self._note_write(write.user_id, write.by, write.credential)
        self._writes_seen = len(self.world.tenant.writes)
        for guid in self.last_sync:
            self.known[guid] = None
        for guid, version in list(self._newest.items()):
            if self._account(guid) is not None and self.is_temporary(guid) and guid in self.unsettled:
                self.temporary[guid] = version
        self.world.network.watchers.append(self._closed)

    def guid_of(self, anchor: str) -> UUID | None:
        """The directory object that a source anchor belongs to."""
        return self._by_anchor.get(anchor)

    def name(self, guid: UUID) -> str:
        """A user's name."""
        return self.versions[guid][-1].name

    def label(self, guid: UUID, index: int) -> str:
        """One of the user's passwords as the trace calls it, which counts those of the cloud, too (``alice#3``)."""
        handle = self.world.handle_of_anchor(self.anchor(guid))
        return self.world.passwords.learn_hash(handle, self.versions[guid][index].nt_hash)

    def anchor(self, guid: UUID) -> str:
        """A user's source anchor."""
        return source_anchor(guid)

    def newest(self, guid: UUID) -> int:
        """Index of the password that stands once everything has replicated."""
        return self._newest[guid]

    def is_older(self, guid: UUID, index: int, other: int) -> bool:
        """Whether the directory counts one of the user's passwords as older than another."""
        versions = self.versions[guid]
        return versions[other].stamp[:3] > versions[index].stamp[:3]

    def order(self, guid: UUID) -> list[int]:
        """Indices of the user's passwords, the oldest first."""
        versions = self.versions[guid]
        return sorted(range(len(versions)), key=lambda index: versions[index].stamp[:3])

    def has_twin(self, guid: UUID, index: int) -> bool:
        """Whether the same password was set once more in the same second: which of them left can't be told.

        To the directory these are two changes, so that the agent may rightly send both.
        """
        versions = self.versions[guid]
        one = versions[index]
        return any(
            other is not one and other.nt_hash == one.nt_hash and _same_second(other.at, one.at) for other in versions
        )

    def was_read(self, guid: UUID) -> bool:
        """Whether the agent has read the user's newest password."""
        stamp = self.versions[guid][self._newest[guid]].stamp
        return stamp.originating_usn <= self._vectors.get(self.homes[guid].name, {}).get(stamp.invocation, 0)

    def last_read(self, domain: str) -> Attempt | None:
        """The last attempt to read a domain's passwords that succeeded; None if there was none."""
        sequence = self._last_read.get(domain, 0)
        return self.world.network.attempts[sequence - 1] if sequence else None

    def was_read_since(self, guid: UUID, facts: Facts) -> bool:
        """Whether the user's domain was read after an object cycle had brought these facts."""
        return self._last_read.get(self.homes[guid].name, 0) > facts.attempts

    def account(self, guid: UUID, on: str | None = None) -> Account | None:
        """The user's directory object, as a controller has it, or as it will be everywhere; None if deleted."""
        return self._account(guid, on)

    def update(self) -> None:
        """Take in what the instant brought."""
        self._read_logs()
        self._read_attempts()
        self._read_writes()
        crashes = len(self.world.crashes)
        if crashes != self._crashes_seen:
            # What a process had read and not committed when it died was read by nobody.
            self._crashes_seen = crashes
            self._tentative.clear()
            self._forget_reads()
        for name, read in self._reading.items():
            known = self._vectors.setdefault(name, {})
            for invocation, usn in read.items():
                known[invocation] = max(usn, known.get(invocation, 0))
        self._reading.clear()
        self._read_before.clear()

    def _forget_reads(self) -> None:
        self._last_read.update(self._read_before)
        self._read_before.clear()
        self._reading.clear()

    # --- at the very moment -------------------------------------------------------------------------------------

    def _closed(self, attempt: Attempt) -> None:
        if attempt.on == "cloud.set-passwords":
            for item in attempt.content or ():
                guid = self._by_anchor.get(item.source_anchor or "")
                facts = self.facts.get(guid) if guid is not None else None
                self._why[attempt.sequence, item.source_anchor] = (
                    "it was never imported" if facts is None else None if facts.doubtful else facts.why
                )
        if attempt.on == "store.commit" and attempt.outcome == FAILED:
            self._forget_reads()  # a read that could not be noted may be forgotten: it counts when it is made again
        if attempt.domain is None:
            return
        domain = self.world.domain(attempt.domain)
        if attempt.on == "directory.bind":
            version, scopes = self._facts_version.get(domain.name), self._scopes.get(domain.name)
            self._before_import[domain.name] = (version, scopes, {})
        elif attempt.on == "directory.search" and attempt.outcome in (FAILED, CRASHED):
            self._take_back(domain)
        if attempt.on in ("directory.bind", "directory.search") and attempt.outcome == FAILED:
            self._follow_scope(domain)
        elif attempt.on == "directory.search" and attempt.outcome == OK:
            self._snapshot(domain, attempt.controller)
        elif attempt.on == "directory.read-passwords":
            if attempt.outcome != OK or self.world.server.locked:  # no secret can be opened on a locked server
                self._reading.pop(domain.name, None)
                return
            controller = domain.controller(attempt.controller)
            self.controller_read[domain.name] = controller.name
            self._reading.setdefault(domain.name, vector(controller))
            self._read_before.setdefault(domain.name, self._last_read.get(domain.name, 0))
            self._last_read[domain.name] = attempt.sequence
            self._read_logs()
            self._note_read(domain, controller)

    def _note_read(self, domain: Domain, controller: Controller) -> None:
        """What the agent sees of those whose newest password the tenant does not have: which one, and if it counts."""
        several = len(domain.controllers) > 1
        for guid in self.unsettled:
            if self.homes[guid] is not domain:
                continue
            if several:
                held = self._held(guid, controller)
                if held is None:
                    continue
                self._read_at.setdefault((guid, held[0]), (controller.name, held[1]))
                index = held[0]
            else:
                index = self.newest(guid)
            if self.is_temporary(guid, controller.name if several else None):
                self.temporary[guid] = index

    def _held(self, guid: UUID, controller: Controller) -> tuple[int, int] | None:
        """Index of the password that a controller holds for a user, and its USN there."""
        entry = controller.replica.by_guid.get(guid.bytes_le)
        stamp = None if entry is None else entry.stamp("unicodepwd")
        if stamp is None:
            return None
        for index, version in enumerate(self.versions[guid]):
            if version.stamp[2:4] == stamp[2:4]:
                return index, stamp.local_usn
        return None

    def _snapshot(self, domain: Domain, on: str | None) -> None:
        version = (domain.version, self.world.settings.scope, on)
        if self._facts_version.get(domain.name) == version:
            return
        self._facts_version[domain.name] = version
        self._scopes[domain.name] = (self.world.settings.scope, domain.version)
        now = self.world.clock()
        before = self._before_import[domain.name][2] if domain.name in self._before_import else {}
        present = set()
        for account in domain.accounts(on):
            present.add(account.guid)
            if on is not None and self._is_outdated(account):
                continue
            why = why_not(account, domain, self.world.settings.scope)
            known = self.facts.get(account.guid)
            if known is None or known.why != why or known.doubtful:
                before.setdefault(account.guid, known)
                self.facts[account.guid] = Facts(why, now, len(self.world.network.attempts))
                if why == SYSTEM_OBJECT:
                    self.unsettled.discard(account.guid)
        for guid, home in self.homes.items():
            if home is domain and guid not in present and self._account(guid, on) is None:
                before.setdefault(guid, self.facts.get(guid))
                self.facts[guid] = Facts("deleted", now)

    def _take_back(self, domain: Domain) -> None:
        """An import of several searches has broken off: the agent takes nothing of what the first of them brought."""
        version, scopes, before = self._before_import.pop(domain.name, (None, None, {}))
        if not before:
            return
        self._facts_version[domain.name] = version
        if scopes is not None:
            self._scopes[domain.name] = scopes
        for guid, facts in before.items():
            if facts is None:
                del self.facts[guid]
            else:
                self.facts[guid] = facts

    def _follow_scope(self, domain: Domain) -> None:
        """A domain can't be imported: what is known of it is looked at anew if the scope is another."""
        scope = self.world.settings.scope
        before, version = self._scopes.get(domain.name, (scope, 0))
        scope = replace(scope, included_only=before.included_only)  # who is marked only a full import tells
        if scope == before:
            return
        self._scopes[domain.name] = (scope, version)
        now, attempts = self.world.clock(), len(self.world.network.attempts)
        for guid, known in self.facts.items():
            account = self._account(guid) if self.homes.get(guid) is domain else None
            if account is None or known.why == "deleted":
                continue
            why = why_not(account, domain, scope)
            # Where more than the scope has changed, the agent goes by what it has imported, and that is not known here.
            doubtful = known.doubtful or domain.version != version
            if why != known.why or doubtful:
                self.facts[guid] = Facts(why, now, attempts, doubtful)

    def _is_outdated(self, account: Account) -> bool:
        """Whether the agent has seen newer of a user on another controller than what this one tells."""
        entry, home = account.entry, self.homes.get(account.guid)
        if home is None or len(home.controllers) == 1:
            return False
        seen = self._seen.setdefault(account.guid, {})
        # What another scope asked about is compared as well: that nobody asks any more makes nothing older.
        scope = self.world.settings.scope
        named = [key.lower() for key in scope.exclude_attribute] + ["admindescription"] * scope.included_only
        keys = dict.fromkeys(("useraccountcontrol", "name", *named, *seen))
        stamps = {key: stamp for key in keys if (stamp := entry.stamp(key)) is not None}
        if any(key not in stamps or stamp.wins_over(stamps[key]) for key, stamp in seen.items()):
            return True
        seen.update(stamps)
        return False

    def is_temporary(self, guid: UUID, on: str | None = None) -> bool:
        """Whether a user must change the password, as a controller has it, and the tenant is not to be told so."""
        account = self._account(guid, on)
        if account is None or not account.must_change:
            return False
        tenant = self.world.tenant
        synced = self.world.profile.force_change_feature and "force-password-change-on-logon" in tenant.features
        return not synced

    # --- after the instant --------------------------------------------------------------------------------------

    def _read_logs(self) -> None:
        for domain in self.world.domains:
            log = domain.password_log
            seen = self._log_seen.get(domain.name, 0)
            for entry in log[seen:]:
                versions = self.versions.setdefault(entry.guid, [])
                versions.append(entry)
                last, newest = len(versions) - 1, self._newest.get(entry.guid, 0)
                self._newest[entry.guid] = newest if self.is_older(entry.guid, last, newest) else last
                if entry.guid not in self.homes:
                    self.homes[entry.guid] = domain
                    self._by_anchor[source_anchor(entry.guid)] = entry.guid
                self._settle(entry.guid)
            self._log_seen[domain.name] = len(log)

    def _read_attempts(self) -> None:
        attempts = self.world.network.attempts
        accepted = {write.credential for write in self.world.tenant.writes[self._writes_seen :]}
        for attempt in attempts[self._attempts_seen :]:
            if attempt.outcome == CRASHED:
                self._tentative.clear()
            if attempt.on == "cloud.set-passwords" and attempt.outcome != REDIRECTED:
                self._note_sent(attempt, accepted)
            elif attempt.on == "store.commit" and attempt.outcome == OK:
                for sent in self._tentative:
                    self.known[sent.guid] = sent
                self._tentative.clear()
            elif attempt.on == "store.commit" and attempt.outcome == FAILED:
                self._tentative.clear()  # an agent that could not store it may begin again from what it has stored
        self._attempts_seen = len(attempts)

    def _cycle_of(self, attempt: Attempt) -> int:
        """The password cycle that an attempt was made in, counted from 1; before the first one 0."""
        fresh = self.world.cycles[self._cycles_seen :]
        self._cycles_seen += len(fresh)
        self._cycle_starts += [cycle.attempts_before for cycle in fresh if cycle.kind == "password"]
        return bisect_left(self._cycle_starts, attempt.sequence)

    def _note_sent(self, attempt: Attempt, accepted: set[str]) -> None:
        cycle = self._cycle_of(attempt)
        for item in attempt.content or ():
            guid = self._by_anchor.get(item.source_anchor or "")
            if guid is None:
                continue
            applied = item.credential in accepted
            known = applied and attempt.outcome == OK and attempt.answered
            version = self.identify(guid, item.credential, item.change_date)
            sent = Sent(
                attempt=attempt,
                guid=guid,
                user=self.name(guid),
                credential=item.credential,
                change_date=item.change_date,
                force_change=item.force_change,
                version=version,
                cycle=cycle,
                applied=applied,
                known=known,
                why_not=self._why.pop((attempt.sequence, item.source_anchor), None),
                read_at=None if version is None else self._where_read(guid, version),
            )
            self.sent.append(sent)
            if known:
                self._tentative.append(sent)

    def _where_read(self, guid: UUID, index: int) -> tuple[str, int] | None:
        """The controller that a password was read from, and its USN there."""
        known = self._read_at.get((guid, index))
        if known is None:
            domain = self.homes[guid]
            controller = domain.controller(self.controller_read.get(domain.name))
            held = self._held(guid, controller)
            if held is not None and held[0] == index:
                known = controller.name, held[1]
        return known

    def _read_writes(self) -> None:
        for write in self.world.tenant.writes[self._writes_seen :]:
            self._note_write(write.user_id, write.by, write.credential)
        self._writes_seen = len(self.world.tenant.writes)

    def _note_write(self, user_id: str, by: str, credential: str) -> None:
        if by != "sync":
            return
        user = self.world.cloud_user_by_id(user_id)
        guid = self._by_anchor.get(user.source_anchor or "") if user is not None else None
        if guid is None:
            return
        version = self.identify(guid, credential)
        if version is not None:
            self.last_sync[guid] = version
        self._settle(guid)

    def _settle(self, guid: UUID) -> None:
        if self.last_sync.get(guid) == self.newest(guid):
            self.unsettled.discard(guid)
        else:
            self.unsettled.add(guid)

    def identify(self, guid: UUID, credential: str, changed: datetime | None = None) -> int | None:
        """Which of the user's passwords a credential was made from: the newest that fits.

        The same password may have been set twice: then the one that was set in the second ``changed``, if there is one.
        """
        versions = self.versions[guid]
        fitting = [
            index
            for index in reversed(self.order(guid))
            if self.world.tenant.verify(versions[index].nt_hash, credential)
        ]
        then = (index for index in fitting if changed is not None and _same_second(versions[index].at, changed))
        return next(then, fitting[0] if fitting else None)

    def _account(self, guid: UUID, on: str | None = None) -> Account | None:
        """The user's object as it is on a controller, or as it will be everywhere; None if it is deleted there."""
        home = self.homes[guid]
        if on is not None and guid.bytes_le not in home.controller(on).replica.by_guid:
            on = None  # it has not come there yet
        account = home.by_guid(guid, on)
        return None if account.deleted else account


def _same_second(one: datetime, other: datetime) -> bool:
    return int(one.timestamp()) == int(other.timestamp())


def vector(controller: Controller) -> Vector:
    """What a controller has of all that was written on any: up to which USN of each."""
    replica = controller.replica
    return {**replica.known, replica.invocation: replica.usn}
