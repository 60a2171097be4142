"""Bugs in what comes before what: the order of changes, and which of two is the newer one."""

from __future__ import annotations

from typing import Any

from pwsync import password_cycle
from pwsync.failures import RETRIED
from pwsync.password_cycle import PasswordCycle
from pwsync.stamp import Stamp
from pwsync.state import PasswordState
from simulator.active_directory.controllers import Controller
from simulator.active_directory.times import TICKS_PER_SECOND
from simulator.planted.plant import Bed

BED = Bed("order")

HOUR = 3600 * TICKS_PER_SECOND


@BED.instead(PasswordCycle, "_send_all", breaks="order.chronological")
def newest_first(true: Any, self: Any, ordered: Any) -> None:
    """Sends the newest change first. Hurts whoever follows the tenant's audit log: it tells a day backwards."""
    true(self, list(reversed(ordered)))


@BED.instead(password_cycle, "_moment", breaks="order.chronological")
def domain_by_domain(true: Any, state: Any) -> Any:
    """Sends one domain after the other, each in order. Hurts people of the last domain, who wait for the first."""
    changed, domain, usn = true(state)
    return domain, changed, usn


@BED.instead(password_cycle, "_moment", breaks="order.chronological")
def order_by_minute(true: Any, state: Any) -> Any:
    """Orders by the minute of the change, then by domain. Hurts people of domains late in the alphabet."""
    changed, domain, usn = true(state)
    return changed // 60, domain, usn


@BED.instead(password_cycle, "_moment", breaks="order.chronological")
def order_by_usn(true: Any, state: Any) -> Any:
    """Orders by update sequence number, which means nothing outside one controller. Hurts people of busy domains."""
    changed, domain, usn = true(state)
    return usn, domain, changed


@BED.instead(password_cycle, "_moment", breaks="order.chronological")
def tie_by_account(true: Any, state: Any) -> Any:
    """Orders changes of one second by the user's anchor, not as they were made.

    Hurts whoever reads the order of two resets by one script out of the log.
    """
    changed, domain, _ = true(state)
    return changed, domain, state.anchor


@BED.instead(password_cycle, "_moment", breaks="order.chronological")
def tie_by_usn_over_domains(true: Any, state: Any) -> Any:
    """Orders changes of one second in two domains by their USNs, which can't be compared.

    Hurts whoever compares two runs of one day: the same changes go out in another order.
    """
    changed, domain, usn = true(state)
    return changed, usn, domain


@BED.instead(password_cycle, "_moment", breaks="order.chronological")
def retried_last(true: Any, state: Any) -> Any:
    """Puts whoever failed before at the end of the queue. Hurts the unlucky: in a rush they wait longest."""
    return state.status in RETRIED, *true(state)


@BED.instead(Stamp, "sent", breaks="order.never-older delta.within-minutes")
def time_before_version(true: Any, self: Any) -> Any:
    """Takes the later of two changes for the newer one, whatever their versions.

    Hurts users whose password was set on two controllers at a time: the one that lost stays in the cloud.
    """
    version, changed, invocation = true(self)
    return changed, version, invocation


@BED.instead(Stamp, "sent", breaks="delta.within-minutes")
def one_change_a_second(true: Any, self: Any) -> Any:
    """Knows a change by its second alone. Hurts who corrects a slip at once: the second password never goes out."""
    _, changed, _ = true(self)
    return 0, changed, b""


@BED.instead(Stamp, "sent", breaks="order.never-older delta.within-minutes")
def forgets_who_wrote(true: Any, self: Any) -> Any:
    """Leaves the writing controller out of the stamp. Hurts users reset twice in a second, on two controllers."""
    version, changed, _ = true(self)
    return version, changed, b""


@BED.instead(Stamp, "sent", breaks="order.never-older delta.within-minutes")
def usn_is_version(true: Any, self: Any) -> Any:
    """Takes the USN on the controller at hand for a version. Hurts everybody once another controller is asked."""
    _, changed, invocation = true(self)
    return self.usn, changed, invocation


@BED.instead(PasswordCycle, "_take_change", breaks="order.never-older")
def forgets_what_went_out(true: Any, self: Any, user: Any, domain: Any, *, forced: bool) -> None:
    """Does not look whether a newer password went out before. Hurts users of domains with lagging controllers."""
    state = self._state.passwords.get(user.anchor)
    if state is not None:
        state.applied = state.attempted = None
    true(self, user, domain, forced=forced)


@BED.instead(PasswordCycle, "_take_change", breaks="order.never-older delta.current-state")
def retry_uses_old_hash(true: Any, self: Any, user: Any, domain: Any, *, forced: bool) -> None:
    """Keeps the hash of the failed attempt when the password has changed since, and sends that.

    Hurts who changes the password while the tenant is busy: the cloud opens to the one before.
    """
    state = self._state.passwords.get(user.anchor)
    kept = None if state is None or state.status not in RETRIED else state.nt
    true(self, user, domain, forced=forced)
    if kept is not None and state is not None and state.pending is not None:
        state.nt = kept


@BED.instead(PasswordCycle, "_take_change", breaks="delta.current-state retry.automatic")
def first_pending_stands(true: Any, self: Any, user: Any, domain: Any, *, forced: bool) -> None:
    """Passes over a change of a user whose earlier one still waits. Hurts who changes twice while nothing goes."""
    state = self._state.passwords.get(user.anchor)
    if state is None or state.pending is None or state.nt is None or forced:
        true(self, user, domain, forced=forced)


@BED.instead(PasswordState, "leave_out", breaks="order.never-older")
def left_out_is_forgotten(true: Any, self: Any, status: str, read: Any = None) -> None:
    """Forgets, of a user who is left out, what was read or on its way. Hurts who comes back when a controller lags."""
    before = self.attempted
    true(self, status, read)
    self.attempted = before


@BED.instead(PasswordCycle, "_take_change", breaks="delta.within-minutes")
def who_comes_back_is_read_once(true: Any, self: Any, user: Any, domain: Any, *, forced: bool) -> None:
    """Reads who came into scope once, and is content with an old password. Hurts users of a controller that lags.

    Their newer password was read when they were left out, and no controller tells of it again.
    """
    true(self, user, domain, forced=forced)
    state = self._state.passwords.get(user.anchor)
    if state is not None and state.pending is not None and state.pending.sent > user.stamp.sent:
        state.pending = None
        self._state.touch_password(state)


@BED.instead(Controller, "now", breaks="order.chronological")
def clock_jumps_on_second_controller(true: Any, self: Any) -> Any:
    """Runs the clock of every controller but the first an hour ahead.

    Hurts users of two sites: what was changed at the far one counts as changed last.
    """
    ahead = HOUR if self.name != next(iter(self.domain.controller_names)) else 0
    return true(self) + ahead
