"""Windows-style event records of the agent, one builder per documented event.

Ids, levels and texts follow the product's troubleshooting documentation, in its words where a sample is public. The
source is ``Directory Synchronization`` for passwords and ``ADSync`` for objects. Since build 2.0.9.0 a request or
result list that is too long for one event is split; every build does so here.
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
    users: source anchors of the users that it names; dns: their distinguished names.
    """

    id: int
    level: str
    source: str
    time: datetime
    text: str
    domain: str | None = None
    users: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()


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
        self._change_on_logon = build.change_on_logon_in_texts
        self._subject = "Password hash synchronization" if build.hash_in_texts else "Password synchronization"
        self._connectors = {connector.domain: connector.identifier for connector in connectors}

    def items_failed(self, time: datetime, failed: Sequence[Change]) -> Event:
        """0: users of a batch failed; they are tried again in the next cycle."""
        lines = ["The following password changes failed to synchronize and have been scheduled for retry."]
        lines += [f"DN = {change.dn}" for change in failed]
        return Event(
            0, "error", PASSWORD_SOURCE, time, "\n".join(lines), _only_domain(failed), _anchors(failed), _dns(failed)
        )

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
        return Event(611, "error", PASSWORD_SOURCE, time, f"{head}\nDetails: {chain}", domain, dns=(dn,) if dn else ())

    def paused(self, time: datetime, domain: str) -> Event:
        """613: passwords wait for the first full synchronization of the directory (words unconfirmed)."""
        text = f"{self._subject} is paused for domain: {domain}. The full directory synchronization has not completed."
        return Event(613, "information", PASSWORD_SOURCE, time, text, domain)

    def full_sync_started(self, time: datetime, domain: str, forest: str | None = None) -> Event:
        """617 for the forest, 618 for a domain (words unconfirmed)."""
        if forest is not None:
            text = f"Full {self._subject_inside} started for forest: {forest}"
            return Event(617, "information", PASSWORD_SOURCE, time, text)
        text = f"Full {self._subject_inside} started for domain: {domain}"
        return Event(618, "information", PASSWORD_SOURCE, time, text, domain)

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
        return Event(652, "error", PASSWORD_SOURCE, time, text, _only_domain(batch), _anchors(batch), _dns(batch))

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
        text = f"Failed credential provisioning ping. Error: {chain} Connector: {connector}"
        return Event(655, "error", PASSWORD_SOURCE, time, text)

    def requests(self, time: datetime, batch: Sequence[Change]) -> Iterator[Event]:
        """656: what is about to be sent, one line per user."""
        lines = [
            f"Password Change Request - Anchor : {change.anchor}, Dn : {change.dn}, "
            f"Change Date : {change_date(change.changed)}"
            for change in batch
        ]
        return _split(656, time, lines, batch, "")

    def results(self, time: datetime, batch: Sequence[Change], errors: Sequence[str | None]) -> Iterator[Event]:
        """657: what became of it, one line per user. ``errors``: None, or what the service said (maybe nothing)."""
        lines = [self._result(change, error) for change, error in zip(batch, errors, strict=True)]
        domains = dict.fromkeys(change.domain for change in batch)
        trailer = "".join(
            f"\n<forest-info><partition-name>{domain}</partition-name>"
            f"<connector-id>{self._connectors.get(domain, '')}</connector-id></forest-info>"
            for domain in domains
        )
        return _split(657, time, lines, batch, trailer)

    def cycle_state_not_stored(self, time: datetime, reason: str) -> Event:
        """665: what a cycle did could not be kept; it is done again (words unconfirmed)."""
        text = f"{self._subject}: storing the cycle's state failed. Error: {reason}"
        return Event(665, "error", PASSWORD_SOURCE, time, text)

    def _result(self, change: Change, error: str | None) -> str:
        asked = f" PwdChangeOnLogon={change.force_change}," if self._change_on_logon else ""
        head = f"Password Change Result - Anchor : {change.anchor}, Dn : {change.dn},{asked} Result : "
        if error is None:
            return head + "Success."
        return f"{head}failed, Extended Error : {error}" if error else head + "Failed."

    @property
    def _subject_inside(self) -> str:
        return self._subject[0].lower() + self._subject[1:]


def credentials_invalid(time: datetime, domain: str, reason: str) -> Event:
    """6000: the connector account's name or password is wrong."""
    text = f'The management agent "{domain}" failed to run because the credentials were invalid. {reason}'
    return Event(6000, "error", OBJECT_SOURCE, time, text.rstrip(), domain)


def directory_unreachable(time: datetime, domain: str, controller: str, reason: str) -> Event:
    """6050: a domain could not be imported (id and words unconfirmed)."""
    text = (
        f'The management agent "{domain}" failed to run because of connectivity issues. '
        f"Domain controller: {controller}. {reason}"
    )
    return Event(6050, "error", OBJECT_SOURCE, time, text.rstrip(), domain)


def export_failed(time: datetime, reason: str, users: Sequence[str] = (), dns: Sequence[str] = ()) -> Event:
    """6803: objects could not be exported; they are tried again in the next object cycle (id and words unconfirmed)."""
    lines = [f"The export to the tenant failed. Error: {reason}", *(f"DN = {dn}" for dn in dns)]
    return Event(6803, "error", OBJECT_SOURCE, time, "\n".join(lines)[:TEXT_MAX], None, tuple(users), tuple(dns))


def object_state_not_stored(time: datetime, reason: str) -> Event:
    """6801: what an object cycle did could not be kept; it is done again (id and words unconfirmed)."""
    return Event(6801, "error", OBJECT_SOURCE, time, f"The object cycle's state could not be stored. Error: {reason}")


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
    """Events of at most :data:`TEXT_MAX` characters with these lines, each event with its own users and the trailer."""
    start, size = 0, len(trailer)
    for index, line in enumerate(lines):
        if index > start and size + len(line) + 1 > TEXT_MAX:
            yield _part(identifier, time, lines[start:index], batch[start:index], trailer)
            start, size = index, len(trailer)
        size += len(line) + 1
    if lines:
        yield _part(identifier, time, lines[start:], batch[start:], trailer)


def _part(identifier: int, time: datetime, lines: Sequence[str], batch: Sequence[Change], trailer: str) -> Event:
    return Event(
        identifier,
        "information",
        PASSWORD_SOURCE,
        time,
        "\n".join(lines) + trailer,
        _only_domain(batch),
        _anchors(batch),
        _dns(batch),
    )


def _anchors(batch: Sequence[Change]) -> tuple[str, ...]:
    return tuple([change.anchor for change in batch])


def _dns(batch: Sequence[Change]) -> tuple[str, ...]:
    return tuple([change.dn for change in batch])


def _only_domain(batch: Sequence[Change]) -> str | None:
    """The domain that all of them are of; None for several."""
    domains = {change.domain for change in batch}
    return domains.pop() if len(domains) == 1 else None
