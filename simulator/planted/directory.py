"""Bugs in the directory: what it says has changed, what it keeps of two changes, which passwords it takes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from simulator.active_directory import logon, password_settings, passwords, policy
from simulator.active_directory.replica import Replica, Stamp
from simulator.active_directory.replication import _Writer
from simulator.planted.plant import Bed

BED = Bed("directory")


@BED.instead(Stamp, "wins_over", breaks="order.never-older")
def older_change_wins(true: Any, self: Any, other: Any) -> bool:
    """Lets the change that comes last stand, whatever its version. Hurts users reset on two controllers at a time."""
    return True


@BED.instead(Stamp, "wins_over", breaks="order.never-older")
def ties_keep_what_is_here(true: Any, self: Any, other: Any) -> bool:
    """Keeps, of two changes of one version and second, the one at hand. Hurts who then has two passwords for good."""
    return other is None or self[:2] > other[:2]


@BED.instead(_Writer, "_values", breaks="delta.current-state")
def last_but_one_is_told(true: Any, self: Any, entry: Any, key: str) -> Any:
    """Gives out, of two passwords set within a minute, the first. Hurts who corrects a slip."""
    stamp = entry.stamp(key)
    history = entry.octets("ntpwdhistory")
    quick = stamp is not None and stamp.version > 2 and _quick(entry)
    if key != "unicodepwd" or not quick or len(history) < 32:
        return true(self, entry, key)
    newest = entry.values["unicodepwd"]
    entry.values["unicodepwd"] = history[16:32]
    found = true(self, entry, key)
    entry.values["unicodepwd"] = newest
    return found


def _quick(entry: Any) -> bool:
    log = [each.at for each in entry.replica.owner.domain.password_log if each.guid.bytes_le == entry.guid]
    return len(log) > 1 and (log[-1] - log[-2]).total_seconds() < 60


@BED.instead(Replica, "write", breaks="delta.within-minutes override.next-change")
def same_value_is_no_change(true: Any, self: Any, entry: Any, changes: Any, seconds: int, always: Any = ()) -> Any:
    """Passes over a password that is set to itself. Hurts the helpdesk that wants the cloud's one overridden so."""
    return true(self, entry, changes, seconds)


@BED.instead(policy, "in_history", breaks="complexity.on-premises-wins")
def history_one_short(true: Any, nt: bytes, history: bytes, depth: int) -> bool:
    """Remembers one password fewer than the policy says. Hurts a company that counts to 24."""
    return bool(true(nt, history, depth - 1))


@BED.instead(policy, "forbidden_parts", breaks="complexity.on-premises-wins")
def account_names_allowed(true: Any, account_name: str, display_name: str) -> list[str]:
    """Lets a password hold parts of the user's display name. Hurts Alice, whose password is Alice-2017."""
    return list(true(account_name, ""))


@BED.instead(policy, "length", breaks="complexity.on-premises-wins")
def characters_not_units(true: Any, password: str) -> int:
    """Counts characters where Windows counts UTF-16 units. Hurts who likes emoji: their passwords are refused."""
    return len(password)


@BED.instead(passwords, "check_quality", breaks="complexity.on-premises-wins")
def resets_are_not_checked(true: Any, rules: Any, password: str, name: str, display_name: str) -> None:
    """Takes any password, however short. Hurts a company that relies on its policy."""


@BED.instead(password_settings, "_rank", breaks="complexity.on-premises-wins")
def highest_precedence_wins(true: Any, settings: Any) -> Any:
    """Lets the fine-grained policy with the greatest precedence number hold. Hurts those for whom a strict one was."""
    precedence, guid = true(settings)
    return -precedence, guid


@BED.instead(policy, "after_wrong_password", breaks="lockout.smart")
def lock_one_later(true: Any, state: Any, rules: Any, now: int) -> Any:
    """Locks an account in the directory one guess late. Hurts users whom somebody guesses at."""
    threshold = rules.lockout_threshold and rules.lockout_threshold + 1
    return true(state, replace(rules, lockout_threshold=threshold), now)


@BED.instead(logon, "matches", breaks="delta.within-minutes")
def hour_of_grace_at_the_desk(true: Any, controller: Any, entry: Any, nt: bytes, *, grace: bool = False) -> bool:
    """Lets the former password log on for an hour more. Hurts who changed it because somebody had seen it."""
    return bool(true(controller, entry, nt, grace=True))


@BED.instead(policy, "must_change", breaks="scope.temporary")
def temporary_logs_on(true: Any, last_set: int, flags: int) -> bool:
    """Lets a temporary password log on without being changed. Hurts users whose password the helpdesk knows."""
    return False


@BED.instead(policy, "is_expired", breaks="expiry.on-premises-expired")
def never_expires_at_the_desk(true: Any, *arguments: Any) -> bool:
    """Lets no password expire on premises. Hurts a company whose policy says 42 days."""
    return False


@BED.instead(policy, "account_expired", breaks="scope.disabled")
def expired_account_logs_on(true: Any, expires: int, now: int) -> bool:
    """Lets an account log on after its last day. Hurts a company with contractors."""
    return False
