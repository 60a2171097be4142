"""Bugs in what comes after a failure: who is tried again, who is held back, how long a pause is, what the log says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pwsync import failures
from pwsync.errors import Throttled, TransportError
from pwsync.event_log import EventTexts
from pwsync.failures import RETRIED
from pwsync.feature_healing import NOT_ACTIVATED, FeatureHealing
from pwsync.heartbeat import Heartbeat
from pwsync.object_cycle import ObjectCycle
from pwsync.password_cycle import PasswordCycle
from pwsync.password_reading import PasswordReader
from pwsync.retry_queue import RetryQueue
from pwsync.tenant import provisioning
from pwsync.tenant_link import PASSWORD_HASH_SYNC, TenantLink
from simulator.planted.plant import Bed

BED = Bed("retry")

TRIES_MAX = 10


@BED.instead(provisioning.ProvisioningService, "_post", breaks="retry.automatic")
def dead_region_is_kept(true: Any, self: Any, header: Any, data: bytes, read: Any) -> Any:
    """Goes on calling the regional endpoint when nobody answers there. Hurts everybody until somebody restarts it."""
    endpoint = self._endpoint
    try:
        return true(self, header, data, read)
    except TransportError:
        self._endpoint = endpoint
        raise


@BED.instead(TenantLink, "set_features", breaks="scope.temporary")
def healing_clears_the_rest(true: Any, self: Any, bits: int) -> None:
    """Heals the tenant's feature and switches all others off with it. Hurts users with temporary passwords."""
    true(self, PASSWORD_HASH_SYNC)


@BED.instead(PasswordCycle, "select", breaks="retry.automatic")
def gives_up_after_ten(true: Any, self: Any) -> Any:
    """Tries ten times and never again. Hurts everybody after an outage of half an hour."""
    chosen, log, now = true(self), self._process.store, self._ports.clock()
    return [
        state
        for state in chosen
        if state.status not in RETRIED
        or sum(each.result in RETRIED for each in log.attempts(state.anchor, now)) < TRIES_MAX
    ]


@BED.instead(PasswordCycle, "select", breaks="retry.automatic")
def refused_once_refused_ever(true: Any, self: Any) -> Any:
    """Never repeats an item that the tenant refused. Hurts a user whose account was locked for a minute."""
    return [state for state in true(self) if state.status != failures.ERROR]


@BED.instead(PasswordCycle, "_settle", breaks="order.per-user")
def stops_at_first_failed_item(true: Any, self: Any, users: Any, changes: Any, results: Any) -> None:
    """Leaves the results behind the first failed item unread. Hurts those behind it: they go again and again."""
    count = next((index for index, each in enumerate(results, 1) if each.result != 0), len(results))
    true(self, users[:count], changes[:count], results[:count])


@BED.instead(PasswordCycle, "_send", breaks="order.per-user")
def failed_batch_stops_the_rest(true: Any, self: Any, batch: Any) -> None:
    """Sends no further batch in a cycle in which one failed. Hurts users in later batches, for as long as it fails."""
    now = self._ports.clock()
    if vars(self).get("_failed_at") == now:
        return
    true(self, batch)
    if any(state.status in RETRIED for state in batch.users):
        self._failed_at = now


@BED.instead(PasswordCycle, "_settle", breaks="retry.automatic")
def unknown_anchor_is_done(true: Any, self: Any, users: Any, changes: Any, results: Any) -> None:
    """Takes "no such object" for an answer that needs no retry. Hurts people whose cloud object comes back."""
    true(self, users, changes, [each._replace(result=0) if each.result == 2 else each for each in results])


@BED.instead(PasswordCycle, "_export_again", breaks="retry.automatic")
def lost_object_stays_lost(true: Any, self: Any, state: Any) -> None:
    """Does not export an object again that the tenant has lost. Hurts a user whom somebody deleted in the cloud."""


@BED.instead(PasswordCycle, "collect", breaks="multi-domain.isolated")
def one_domain_stops_all(true: Any, self: Any, ready: Any) -> None:
    """Reads no domain behind one that is failing. Hurts people of healthy domains late in the list."""
    failing = [index for index, (connector, _) in enumerate(ready) if connector.domain in self._reader.failing]
    true(self, ready[: failing[0] + 1] if failing else ready)


@BED.instead(PasswordReader, "_failed", breaks="retry.logged")
def repeated_failure_is_silent(true: Any, self: Any, connector: Any, error: Any) -> None:
    """Logs a domain's failure once, and says nothing while it lasts. Hurts whoever looks at the log's last hour."""
    if connector.domain in self.failing:
        self._clients.pop(connector.domain, None)
        return
    true(self, connector, error)


@BED.instead(EventTexts, "items_failed", breaks="retry.logged")
def names_first_user_only(true: Any, self: Any, time: Any, failed: Any) -> Any:
    """Names the first of several refused users. Hurts the others, for whom nobody looks."""
    return true(self, time, failed[:1])


@BED.instead(EventTexts, "batch_failed", breaks="retry.logged")
def failed_batch_is_a_warning(true: Any, self: Any, *arguments: Any) -> Any:
    """Logs a failed batch as a warning. Hurts administrators whose monitoring looks for errors."""
    return replace(true(self, *arguments), level="warning")


@BED.instead(EventTexts, "ping_failed", breaks="retry.logged heartbeat.idle")
def failed_ping_is_information(true: Any, self: Any, *arguments: Any) -> Any:
    """Logs a failed heartbeat as information. Hurts administrators, who hear of it from the cloud two hours later."""
    return replace(true(self, *arguments), level="information")


@BED.instead(EventTexts, "domain_failed", breaks="retry.logged")
def reason_is_left_out(true: Any, self: Any, time: Any, domain: Any, controller: Any, chain: str, dn: str = "") -> Any:
    """Leaves the reason out of a domain's failure. Hurts whoever has to tell missing rights from a broken network."""
    return true(self, time, domain, controller, "", dn)


@BED.instead(RetryQueue, "went", breaks="retry.logged")
def leaves_queue_in_silence(true: Any, self: Any, changes: Any) -> None:
    """Does not tell who left the retry queue. Hurts administrators, who think that users still wait."""


@BED.instead(TenantLink, "held", breaks="retry.throttle")
def impatient(true: Any, self: Any) -> bool:
    """Takes no notice of a pause that the tenant asks for. Hurts the whole tenant, which throttles harder."""
    return False


@BED.instead(TenantLink, "held", breaks="delta.within-minutes")
def pause_ends_a_moment_late(true: Any, self: Any) -> bool:
    """Counts the last instant of a pause as part of it. Hurts users by a whole cycle, if the pause ends on the grid."""
    return bool(true(self)) or (self._held_until is not None and self._clock() == self._held_until)


@BED.instead(TenantLink, "_hold", breaks="retry.throttle")
def pause_in_minutes_of_cycles(true: Any, self: Any, seconds: float) -> None:
    """Rounds a pause down to whole minutes. Hurts the tenant, which is called a little too early."""
    true(self, seconds // 60 * 60)


@BED.instead(TenantLink, "_call", breaks="retry.throttle")
def pause_of_429_only(true: Any, self: Any, what: Any) -> Any:
    """Obeys Retry-After of status 429 and of no other. Hurts a service that is down for maintenance."""

    def call() -> Any:
        try:
            return what()
        except Throttled as error:
            if error.status != 429:
                error.retry_after = None
            raise

    return true(self, call)


@BED.instead(provisioning, "read_retry_after", breaks="retry.throttle")
def retry_after_is_no_date(true: Any, text: str | None, now: Any) -> float | None:
    """Reads Retry-After in seconds and never as a date. Hurts services behind proxies that write dates."""
    return None if text is None or not text.strip().isdigit() else float(text)


@BED.instead(ObjectCycle, "_export", breaks="retry.throttle")
def pause_not_for_objects(true: Any, self: Any) -> None:
    """Exports objects during a pause that was asked of passwords. Hurts the tenant, which meant every call."""
    link = self._process.link
    held, link._held_until = link._held_until, None
    true(self)
    link._held_until = link._held_until or held


@BED.instead(Heartbeat, "beat", breaks="retry.throttle")
def pause_not_for_heartbeat(true: Any, self: Any, connectors: Any, calls: Any = None) -> None:
    """Pings during a pause that the tenant asked for. Hurts the tenant, which meant every call."""
    link = self._process.link
    held, link._held_until = link._held_until, None
    true(self, connectors, calls)
    link._held_until = link._held_until or held


@BED.instead(FeatureHealing, "heal", breaks="retry.automatic")
def heals_once(true: Any, self: Any) -> None:
    """Switches the tenant's feature on once, and not when it is off again. Hurts all on the second occasion."""
    if not vars(self).get("_has_healed"):
        self._has_healed = self._noted
        true(self)


@BED.instead(FeatureHealing, "note", breaks="enable.off-keeps")
def every_build_heals(true: Any, self: Any, error: Any) -> None:
    """Switches the tenant's feature on in builds that can't. Hurts an administrator who had switched it off."""
    self._noted = self._noted or getattr(error, "code", None) == NOT_ACTIVATED
