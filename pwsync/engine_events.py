"""Windows-style event records of the object engine, whose source is ``ADSync``.

Ids and texts follow the product's troubleshooting documentation where it has them; the others are unconfirmed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pwsync.event_log import OBJECT_SOURCE, TEXT_MAX, Event, listed


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
    text = listed(f"The export to the tenant failed. Error: {reason}"[:TEXT_MAX], dns)
    return Event(6803, "error", OBJECT_SOURCE, time, text, None, tuple(users), tuple(dns))


def object_state_not_stored(time: datetime, reason: str) -> Event:
    """6801: what an object cycle did could not be kept; it is done again (id and words unconfirmed)."""
    return Event(6801, "error", OBJECT_SOURCE, time, f"The object cycle's state could not be stored. Error: {reason}")


def deletions_held_back(time: datetime, count: int, threshold: int) -> Event:
    """6949: more deletions wait than one export may carry, and none goes out (id and words unconfirmed)."""
    text = (
        f"The export was stopped: {count} objects would be deleted, which is more than the configured threshold of "
        f"{threshold}. Nothing was exported. Lift the threshold if the deletions are wanted."
    )
    return Event(6949, "error", OBJECT_SOURCE, time, text, insertions=(str(count), str(threshold)))


def notification_failed(time: datetime, reason: str) -> Event:
    """6900: the server met an error while it processed a notification of changed passwords."""
    text = f"The server encountered an unexpected error while processing a password change notification: {reason}"
    return Event(6900, "error", OBJECT_SOURCE, time, text[:TEXT_MAX], insertions=(reason[:TEXT_MAX],))
