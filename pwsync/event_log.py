"""Windows-style event records of the agent's password synchronization, one builder per documented event.

Ids and what they stand for follow the table of the product's troubleshooting documentation, texts a public sample where
there is one; levels and words without a sample are unconfirmed. The source is ``Directory Synchronization``; events of
the object engine are in :mod:`pwsync.engine_events`. Of the documented ids only 659 is never written here: the table
calls it a message of password policy synchronization, and no public text says what makes the product write it, at which
level, or in which words; this agent synchronizes no policy, so there is nothing that it could honestly stand for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, NamedTuple

from pwsync.settings import Build, Connector

PASSWORD_SOURCE: Final = "Directory Synchronization"  # noqa: S105 - the name of an event source
OBJECT_SOURCE: Final = "ADSync"
TEXT_MAX: Final = 31_000
"""Longest text of one event, in characters; Windows takes 31,839."""

_YEAR_1601 = datetime(1601, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Event:
    """One record of the event log.

    level: ``error``, ``warning`` or ``information``. domain: the domain that it is about, where it is about one.
    users: source anchors of the users that it names; dns: their distinguished names. insertions: what fills the
    places of the source's message; empty where the message is one place for the whole text.
    """

    id: int
    level: str
    source: str
    time: datetime
    text: str
    domain: str | None = None
    users: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()
    insertions: tuple[str, ...] = ()

    @property
    def strings(self) -> tuple[str, ...]:
        """The event's insertion strings as Windows keeps them."""
        return self.insertions or (self.text,)


class Change(NamedTuple):
    """A user's password change as the event log names it; ``changed`` is in whole seconds since 1601."""

    anchor: str
    dn: str
    domain: str
    changed: int
    force_change: bool = False


class EventTexts:
    """Builds events in the words of one build of the agent."""

    def __init__(self, build: Build, connectors: Sequence[Connector]) -> None:
        self._hash_in_texts = build.hash_in_texts
        self._splits = build.long_events_split
        self._change_on_logon = build.change_on_logon_in_texts
        self._subject = "Password hash synchronization" if build.hash_in_texts else "Password synchronization"
        self._connectors = {connector.domain: connector.identifier for connector in connectors}

    def manager_starting(self, time: datetime) -> Event:
        """601: the service starts."""
        return self._plain(601, time, f"{self._subject} manager is starting.")

    def manager_stopping(self, time: datetime) -> Event:
        """602: the service was told to stop."""
        return self._plain(602, time, f"{self._subject} manager is stopping.")

    def manager_stopped(self, time: datetime) -> Event:
        """609: the service has stopped; a cycle that was under way has ended."""
        return self._plain(609, time, f"{self._subject} has stopped.")

    def manager_not_stopped(self, time: datetime, reason: str) -> Event:
        """610: the service was told to stop, and a cycle under way ended by an error instead (unconfirmed)."""
        return self._error(610, time, f"{self._subject} could not be stopped. Error: {reason}")

    def unexpected_error(self, time: datetime, reason: str) -> Event:
        """603: an error that nobody foresaw is about to end the process (words unconfirmed)."""
        return self._error(603, time, f"{self._subject} met an unexpected error. Error: {reason}")

    def task_failed(self, time: datetime, reason: str) -> Event:
        """604: such an error came out of a password cycle (words unconfirmed)."""
        return self._error(604, time, f"{self._subject} task failed. Error: {reason}")

    def worker_failed(self, time: datetime, reason: str) -> Event:
        """615: such an error came out of a thread that protects passwords (words unconfirmed)."""
        return self._error(615, time, f"{self._subject}: a worker thread ended with an exception. Error: {reason}")

    def manager_not_started(self, time: datetime, reason: str) -> Event:
        """607: the service can't start."""
        text = f"{self._subject} could not start. Error: {reason}"
        return Event(607, "error", PASSWORD_SOURCE, time, text[:TEXT_MAX])

    def started_twice(self, time: datetime) -> Event:
        """614: the service was told to start while it ran."""
        text = f"{self._subject}: start was called though it was not shut down."
        return Event(614, "warning", PASSWORD_SOURCE, time, text)

    def manager_alive(self, time: datetime) -> Event:
        """663: the manager is alive and running; written with the heartbeat (when it is, is unconfirmed)."""
        return self._plain(663, time, f"{self._subject} manager is alive and running.")

    def retry_added(self, time: datetime, changes: Sequence[Change]) -> Event:
        """605: changes that failed for the first time; they wait for their next attempt."""
        return self._queue(605, time, "Items added to the retry queue.", changes)

    def retry_removed(self, time: datetime, changes: Sequence[Change]) -> Event:
        """606: changes that waited for another attempt, and do so no longer."""
        return self._queue(606, time, "Items removed from the retry queue.", changes)

    def not_retried(self, time: datetime, changes: Sequence[Change]) -> Event:
        """620: changes that failed and will not be tried again, because a rule keeps them here now."""
        return self._queue(620, time, "Items that will not be retried.", changes)

    def items_failed(self, time: datetime, failed: Sequence[Change]) -> Event:
        """0: users of a batch failed; they are tried again in the next cycle."""
        head = "The following password changes failed to synchronize and have been scheduled for retry."
        text = listed(head, [change.dn for change in failed])
        return Event(0, "error", PASSWORD_SOURCE, time, text, _only_domain(failed), _anchors(failed), _dns(failed))

    def cloud_account_refused(self, time: datetime, reason: str) -> Event:
        """0: the synchronization account's name or password is wrong."""
        text = f"The user name or password of the synchronization account is incorrect. {reason}"
        return Event(0, "error", PASSWORD_SOURCE, time, text[:TEXT_MAX])

    def cloud_access_denied(self, time: datetime, reason: str) -> Event:
        """115: the tenant's service does not let the synchronization account in."""
        text = f"Access to Windows Azure Active Directory has been denied. Contact Technical Support. {reason}"
        return self._plain(115, time, text[:TEXT_MAX])

    def domain_failed(self, time: datetime, domain: str, controller: str, chain: str, dn: str = "") -> Event:
        """611: a domain could not be read. ``chain`` is the chain of exceptions in the product's style."""
        if self._hash_in_texts:
            head = (
                f"{self._subject} failed for domain: {domain}, domain controller hostname: {controller}, "
                "domain controller IP address: <not available>. "
            )
        else:
            head = f"{self._subject} failed for domain: {domain}. "
            chain = f"{chain} Domain controller: {controller}."  # unconfirmed: no 2017 sample shows the controller
        text = f"{head}\nDetails: {chain}"[:TEXT_MAX]
        return Event(611, "error", PASSWORD_SOURCE, time, text, domain, dns=(dn,) if dn else ())

    def context_not_ready(self, time: datetime, chain: str) -> Event:
        """612: the tenant did not tell its features, which a cycle has to know (that it is meant so: unconfirmed)."""
        return self._error(612, time, f"{self._subject} context could not be initialized. Error: {chain}")

    def paused(self, time: datetime, domain: str) -> Event:
        """613: passwords wait for the first full synchronization of the directory (words unconfirmed)."""
        text = f"{self._subject} is paused for domain: {domain}. The full directory synchronization has not completed."
        return Event(613, "information", PASSWORD_SOURCE, time, text, domain)

    def preferred_controller_offline(self, time: datetime, domain: str, controller: str, reason: str) -> Event:
        """616: none but preferred controllers may be asked, and this one can't be reached."""
        text = (
            f"{self._subject} could not connect to the preferred domain controller {controller} of domain: {domain}. "
        )
        return Event(616, "warning", PASSWORD_SOURCE, time, f"{text}Details: {reason}"[:TEXT_MAX], domain)

    def full_sync_started(self, time: datetime, domain: str, forest: str | None = None) -> Event:
        """617 for the forest, 618 for a domain (words unconfirmed)."""
        if forest is not None:
            text = f"Full {self._subject_inside} started for forest: {forest}"
            return Event(617, "information", PASSWORD_SOURCE, time, text)
        text = f"Full {self._subject_inside} started for domain: {domain}"
        return Event(618, "information", PASSWORD_SOURCE, time, text, domain)

    def full_sync_progress(self, time: datetime, domain: str, left: int) -> Event:
        """619: a batch of a full synchronization was taken."""
        text = f"Full {self._subject_inside} progress for domain: {domain}. Remaining: {left}"
        return Event(619, "information", PASSWORD_SOURCE, time, text, domain)

    def full_sync_failed(self, time: datetime, domain: str) -> Event:
        """621: an attempt to read a domain as a whole failed; 611 tells why."""
        text = f"An attempt at full {self._subject_inside} failed for domain: {domain}. It will be tried again."
        return Event(621, "error", PASSWORD_SOURCE, time, text, domain)

    def full_sync_completed(self, time: datetime, domain: str, forest: str | None = None) -> Event:
        """622 for a domain, 623 for the forest."""
        if forest is not None:
            text = f"Full {self._subject_inside} completed for forest: {forest}"
            return Event(623, "information", PASSWORD_SOURCE, time, text)
        text = f"Full {self._subject_inside} completed for domain: {domain}"
        return Event(622, "information", PASSWORD_SOURCE, time, text, domain)

    def batch_start(self, time: datetime, count: int) -> Event:
        """650: a batch is about to be sent."""
        return Event(650, "information", PASSWORD_SOURCE, time, f"Provision credentials batch start. Count: {count}")

    def batch_end(self, time: datetime, count: int) -> Event:
        """651: the service has answered for a batch."""
        return Event(651, "information", PASSWORD_SOURCE, time, f"Provision credentials batch end. Count: {count}")

    def batch_failed(self, time: datetime, chain: str, batch: Sequence[Change]) -> Event:
        """652: a whole batch failed."""
        text = f"Failed credential provisioning batch. Error: {chain}"
        return Event(
            652, "error", PASSWORD_SOURCE, time, text[:TEXT_MAX], _only_domain(batch), _anchors(batch), _dns(batch)
        )

    def ping_start(self, time: datetime, connector: str) -> Event:
        """653: a heartbeat for the connector with this GUID."""
        text = f"Provision credentials ping start. Connector: {connector}"
        return Event(653, "information", PASSWORD_SOURCE, time, text)

    def ping_end(self, time: datetime, connector: str) -> Event:
        """654: the service has answered the heartbeat."""
        text = f"Provision credentials ping end. Connector: {connector}"
        return Event(654, "information", PASSWORD_SOURCE, time, text)

    def ping_failed(self, time: datetime, connector: str, chain: str) -> Event:
        """655: the heartbeat failed (that it names the connector is unconfirmed)."""
        text = f"Failed credential provisioning ping. Error: {chain[: TEXT_MAX - 200]} Connector: {connector}"
        return Event(655, "error", PASSWORD_SOURCE, time, text)

    def healing_started(self, time: datetime) -> Event:
        """660: the tenant's feature is off though passwords are synchronized here (words unconfirmed)."""
        text = f"{self._subject} is not activated in the tenant, though it is enabled here. Self-healing starts."
        return Event(660, "warning", PASSWORD_SOURCE, time, text)

    def healing_ended(self, time: datetime, chain: str = "") -> Event:
        """661: the tenant's feature is on again; or ``chain`` says why it is not (words unconfirmed)."""
        if chain:
            return self._error(661, time, f"Self-healing has ended, and the feature is not activated. Error: {chain}")
        return self._plain(661, time, f"Self-healing has ended. {self._subject} is activated in the tenant.")

    def health_task_failed(self, time: datetime, connector: str, reason: str) -> Event:
        """662: what a ping asked for could not be kept (that it is meant so: unconfirmed)."""
        text = f"The health task failed during the ping. Error: {reason} Connector: {connector}"
        return self._error(662, time, text)

    def single_user_failed(self, time: datetime, dn: str, anchor: str, reason: str) -> Event:
        """664: one user was to be synchronized by itself, and can't be (words unconfirmed)."""
        text = f"{self._subject} of a single object failed. DN = {dn}. Error: {reason}"
        return Event(664, "error", PASSWORD_SOURCE, time, text[:TEXT_MAX], None, (anchor,), (dn,))

    def requests(self, time: datetime, batch: Sequence[Change]) -> Iterator[Event]:
        """656: what is about to be sent, one line per user."""
        lines = [
            f"Password Change Request - Anchor : {change.anchor}, Dn : {change.dn}, "
            f"Change Date : {change_date(change.changed)}"
            for change in batch
        ]
        return self._events(656, time, lines, batch, "")

    def results(self, time: datetime, batch: Sequence[Change], errors: Sequence[str | None]) -> Iterator[Event]:
        """657: what became of it, one line per user. ``errors``: None, or what the service said (maybe nothing)."""
        lines = [self._result(change, error) for change, error in zip(batch, errors, strict=True)]
        domains = dict.fromkeys(change.domain for change in batch)
        trailer = "".join(
            f"\n<forest-info><partition-name>{domain}</partition-name>"
            f"<connector-id>{self._connectors.get(domain, '')}</connector-id></forest-info>"
            for domain in domains
        )
        return self._events(657, time, lines, batch, trailer)

    def only_flag_changed(self, time: datetime, count: int) -> Event:
        """668: for so many of a batch only "must change at next logon" has changed."""
        return self._plain(668, time, f"Number of objects in the batch with only PwdLastSet changed: {count}")

    def domain_services_turned(self, time: datetime, *, legacy: bool, supplemental: bool) -> Event:
        """658: what the tenant wants for Domain Services is another than before (that it is meant so: unconfirmed)."""
        wanted = " and ".join(["NT hashes"] * legacy + ["Kerberos keys"] * supplemental)
        told = f"are synchronized with passwords: {wanted}." if wanted else "are not synchronized any more."
        return self._plain(658, time, f"Credentials for Domain Services {told}")

    def domain_services_failed(self, time: datetime, reason: str) -> Event:
        """658: what the tenant wants for Domain Services can't be learnt, or can't be had (words unconfirmed)."""
        return self._error(658, time, f"Credentials for Domain Services could not be prepared. Error: {reason}")

    def cycle_state_not_stored(self, time: datetime, reason: str) -> Event:
        """665: what a cycle did could not be kept; it is done again (words unconfirmed)."""
        text = f"{self._subject}: storing the cycle's state failed. Error: {reason}"
        return Event(665, "error", PASSWORD_SOURCE, time, text[:TEXT_MAX])

    def store_locked(self, time: datetime, domain: str, reason: str) -> Event:
        """666: a domain's cycle could not be kept because another program holds the database (words unconfirmed)."""
        text = f"{self._subject} failed for domain: {domain}. The database is locked. Error: {reason}"
        return Event(666, "error", PASSWORD_SOURCE, time, text[:TEXT_MAX], domain)

    def _error(self, identifier: int, time: datetime, text: str) -> Event:
        return Event(identifier, "error", PASSWORD_SOURCE, time, text[:TEXT_MAX])

    def _plain(self, identifier: int, time: datetime, text: str) -> Event:
        return Event(identifier, "information", PASSWORD_SOURCE, time, text)

    def _queue(self, identifier: int, time: datetime, head: str, changes: Sequence[Change]) -> Event:
        text = listed(f"{head} Count: {len(changes)}", [change.dn for change in changes])
        domain, users, dns = _only_domain(changes), _anchors(changes), _dns(changes)
        return Event(identifier, "information", PASSWORD_SOURCE, time, text, domain, users, dns)

    def _events(
        self, identifier: int, time: datetime, lines: Sequence[str], batch: Sequence[Change], trailer: str
    ) -> Iterator[Event]:
        if self._splits:
            return _split(identifier, time, lines, batch, trailer)
        return iter([_part(identifier, time, lines, batch, trailer)] if lines else [])

    def _result(self, change: Change, error: str | None) -> str:
        asked = f" PwdChangeOnLogon={change.force_change}," if self._change_on_logon else ""
        head = f"Password Change Result - Anchor : {change.anchor}, Dn : {change.dn},{asked} Result : "
        if error is None:
            return head + "Success."
        return f"{head}failed, Extended Error : {error}" if error else head + "Failed."

    @property
    def _subject_inside(self) -> str:
        return self._subject[0].lower() + self._subject[1:]


def listed(head: str, dns: Sequence[str]) -> str:
    """A sentence, and below it a line for each of the users; only as many as one event can hold, and how many more."""
    head = head[: TEXT_MAX - 100]
    lines, size = [head], len(head)
    for index, dn in enumerate(dns):
        size += len(dn) + 6
        if size > TEXT_MAX - 50:
            lines.append(f"and {len(dns) - index} more")
            break
        lines.append(f"DN = {dn}")
    return "\n".join(lines)


@lru_cache(maxsize=1024)
def change_date(changed: int) -> str:
    """Seconds since 1601 as ``MM/dd/yyyy HH:mm:ss`` (UTC)."""
    when = moment(changed)
    return f"{when.month:02d}/{when.day:02d}/{when.year:04d} {when.hour:02d}:{when.minute:02d}:{when.second:02d}"


@lru_cache(maxsize=1024)
def moment(changed: int) -> datetime:
    """Seconds since 1601 as a UTC time; the last one that Python knows for anything beyond."""
    try:
        return _YEAR_1601 + timedelta(seconds=changed)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC, microsecond=0)


def _split(
    identifier: int, time: datetime, lines: Sequence[str], batch: Sequence[Change], trailer: str
) -> Iterator[Event]:
    """Events of at most :data:`TEXT_MAX` UTF-16 units with these lines, each with its own users and the trailer."""
    start, size = 0, len(trailer)
    for index, line in enumerate(lines):
        length = _units(line) + 1
        if index > start and size + length > TEXT_MAX:
            yield _part(identifier, time, lines[start:index], batch[start:index], trailer)
            start, size = index, len(trailer)
        size += length
    if lines:
        yield _part(identifier, time, lines[start:], batch[start:], trailer)


def _units(text: str) -> int:
    """The length of a text as Windows counts it, in UTF-16 units."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def _part(identifier: int, time: datetime, lines: Sequence[str], batch: Sequence[Change], trailer: str) -> Event:
    return Event(
        identifier,
        "information",
        PASSWORD_SOURCE,
        time,
        _fitting("\n".join(lines), trailer),
        _only_domain(batch),
        _anchors(batch),
        _dns(batch),
    )


def _fitting(lines: str, trailer: str) -> str:
    """Both together, the lines cut where one event can't hold them (without splitting, that is unconfirmed)."""
    room = max(0, TEXT_MAX - len(trailer))
    return lines[:room] + trailer if len(lines) <= room else lines[: max(0, room - 4)] + "\n..." + trailer


def _anchors(batch: Sequence[Change]) -> tuple[str, ...]:
    return tuple([change.anchor for change in batch])


def _dns(batch: Sequence[Change]) -> tuple[str, ...]:
    return tuple([change.dn for change in batch])


def _only_domain(batch: Sequence[Change]) -> str | None:
    """The domain that all of them are of; None for several."""
    domains = {change.domain for change in batch}
    return domains.pop() if len(domains) == 1 else None
