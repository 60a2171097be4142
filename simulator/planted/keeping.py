"""Bugs in what is kept, and when: cookies saved too early or too late, and what a dead process takes with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pwsync.agent import SyncAgent
from pwsync.errors import NotSupported, TransportError
from pwsync.password_cycle import PasswordCycle
from pwsync.store import Store
from pwsync.tenant_link import TenantLink
from simulator.active_directory import cookies
from simulator.planted.plant import Bed

BED = Bed("keeping")

_DUE, _TRIED = 8, 10
"""Places in a stored row of a password: is it to be read, and what was tried."""


@BED.instead(PasswordCycle, "_take", breaks="retry.restart")
def cookie_too_early(true: Any, self: Any, reading: Any) -> None:
    """Stores the cookie before it has noted who is pending. Hurts users in the moment in which the process dies."""
    reading.domain.replication_cookie = reading.cookie
    self._state.touch_domain(reading.domain)
    self._process.store.commit()
    true(self, reading)


@BED.instead(PasswordCycle, "_save", breaks="retry.restart")
def cookie_too_late(true: Any, self: Any) -> None:
    """Stores what was collected only when a batch is answered. Hurts users whose retry forgets that it is one."""
    self._unsaved = False


@BED.instead(PasswordCycle, "_save", breaks="retry.restart")
def cookie_without_pending(true: Any, self: Any) -> None:
    """Stores how far it has read, and not who is pending. Hurts all who wait when the process dies."""
    self._state.touched.passwords.clear()
    true(self)


@BED.instead(SyncAgent, "full_password_sync", breaks="retry.restart")
def order_kept_in_memory(true: Any, self: Any, domain: str) -> None:
    """Notes the order of a full synchronization in memory only. Hurts an administrator whose service dies then."""
    (state,) = self._domains(domain)
    if not state.password_sync:
        raise NotSupported(f"Password synchronization is switched off for {domain}.")
    state.full = "ordered"


@BED.instead(Store, "_password_rows", breaks="retry.restart scope.filtered")
def due_kept_in_memory(true: Any, self: Any, anchors: Any) -> Iterator[Any]:
    """Forgets over a restart who has come into scope and is to be read. Hurts whoever was enabled just then."""
    for row in true(self, anchors):
        yield (*row[:_DUE], False, *row[_DUE + 1 :])


@BED.instead(Store, "_password_rows", breaks="order.never-older")
def tried_kept_in_memory(true: Any, self: Any, anchors: Any) -> Iterator[Any]:
    """Forgets over a restart what was sent without an answer. Hurts users whose controller then tells older news."""
    for row in true(self, anchors):
        yield (*row[:_TRIED], None, None, *row[_TRIED + 2 :])


@BED.instead(TenantLink, "_hold", breaks="retry.throttle retry.restart")
def pause_kept_in_memory(true: Any, self: Any, seconds: float) -> None:
    """Forgets over a restart that the tenant asked for a pause. Hurts the tenant, which is asked again at once."""
    kept = dict(self._state.settings)
    true(self, seconds)
    self._state.settings = kept
    self._state.touched.settings.clear()


@BED.instead(SyncAgent, "start", breaks="retry.restart")
def begins_with_empty_list(true: Any, self: Any) -> None:
    """Clears the list of pending users when the service starts. Hurts whoever changed during an outage."""
    for state in list(self._state.waiting.values()):
        self._state.drop_password(state.anchor)
    true(self)


@BED.instead(SyncAgent, "start", breaks="override.holds retry.restart")
def full_at_each_start(true: Any, self: Any) -> None:
    """Orders a full synchronization whenever the service starts. Hurts whoever the helpdesk gave a cloud password."""
    for domain in self._state.domains.values():
        if domain.password_sync:
            domain.full = "ordered"
    true(self)


@BED.instead(PasswordCycle, "_settle_failure", breaks="retry.automatic")
def silence_is_consent(true: Any, self: Any, users: Any, error: Any, *, attempted: bool) -> None:
    """Takes a batch whose answer was lost for done. Hurts its users: half of the time the request was lost."""
    true(self, users, error, attempted=attempted)
    if isinstance(error, TransportError) and attempted:
        for state in users:
            state.applied, state.pending, state.nt = state.attempted, None, None
            self._state.touch_password(state)


@BED.instead(cookies, "finished", breaks="delta.within-minutes")
def cookie_knows_too_much(true: Any, replica: Any, cookie: Any) -> Any:
    """Writes into a cookie what the controller's partners have, not what it has itself.

    Hurts users changed at another site just before a read: the reader never asks for them again.
    """
    found = true(replica, cookie)
    for controller in replica.owner.domain.controllers.values():
        usn = max(found.vector.get(controller.invocation, 0), controller.replica.usn)
        found.vector[controller.invocation] = usn
    return found


@BED.instead(cookies, "resume", breaks="delta.within-minutes")
def cookie_of_another_copy_taken(true: Any, replica: Any, octets: Any) -> Any:
    """Reads another controller's high-water mark as its own. Hurts everybody when another controller is asked."""
    found = true(replica, octets)
    if not octets:
        return found
    given = cookies.unpack(octets)
    return cookies.Cookie(given.domain, replica.invocation, given.done, given.reached, given.vector)
