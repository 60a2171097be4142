"""The retry queue, as the event log tells of it: whose password failed, and who leaves the queue again.

The queue is no list of its own: a user is in it whose password waits, and whose last attempt failed. It has no limit
(since build 1.0.9125.0), outlives a restart, and is worked off by every cycle.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pwsync import engine_events
from pwsync.errors import ServiceFault, TenantError, TokenError
from pwsync.event_log import Change
from pwsync.failures import RETRIED, tenant_chain
from pwsync.process import Process
from pwsync.state import PasswordState

_ACCESS_DENIED = "denied"


def holds(state: PasswordState) -> bool:
    """Is the user in the queue?"""
    return state.pending is not None and state.status in RETRIED


class RetryQueue:
    """Tells of what comes into the queue (605), what leaves it (606), and of what is given up (620)."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._given_up: list[Change] = []

    def came(self, changes: Sequence[Change]) -> None:
        """These failed, and were not in the queue before."""
        if changes:
            log, texts = self._process.ports.event_log, self._process.texts
            log(texts.retry_added(self._process.ports.clock(), changes))

    def went(self, changes: Sequence[Change]) -> None:
        """These were in the queue, and the tenant took them now."""
        if changes:
            log, texts = self._process.ports.event_log, self._process.texts
            log(texts.retry_removed(self._process.ports.clock(), changes))

    def give_up(self, states: Iterable[PasswordState]) -> None:
        """A rule is about to keep these passwords here; call it before they are left out."""
        self._given_up += [change_of(state) for state in states if holds(state)]

    def tell_given_up(self) -> None:
        """Write the events for whom :meth:`give_up` has noted."""
        given_up, self._given_up = self._given_up, []
        if given_up:
            log, texts, now = self._process.ports.event_log, self._process.texts, self._process.ports.clock()
            log(texts.not_retried(now, given_up))
            log(texts.retry_removed(now, given_up))


def change_of(state: PasswordState) -> Change:
    """A pending change as the event log names it."""
    assert state.pending is not None  # noqa: S101 - callers look
    return Change(state.anchor, state.dn, state.domain, state.pending.changed, state.temporary)


def tell_refusal(process: Process, error: TenantError) -> None:
    """What the tenant's refusal of the agent itself leaves beside the failed batch or ping.

    A synchronization account that can't sign in: 0 and 6900. An account that is not let in: 115.
    """
    log, now = process.ports.event_log, process.ports.clock()
    if isinstance(error, TokenError):
        log(process.texts.cloud_account_refused(now, str(error)))
        log(engine_events.notification_failed(now, tenant_chain(error)))
    elif isinstance(error, ServiceFault) and error.code is None and _ACCESS_DENIED in error.text:
        log(process.texts.cloud_access_denied(now, error.text))
