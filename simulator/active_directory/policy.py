"""Password policy, pure: length, complexity, history, age, expiry and lockout.

Source: product documentation of the domain's password and account lockout policies and of passfilt.dll.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import timedelta

from simulator.active_directory.times import NEVER, ticks

DISABLED, LOCKED_OUT, NORMAL_ACCOUNT, WORKSTATION_ACCOUNT = 0x2, 0x10, 0x200, 0x1000
PASSWORD_NOT_REQUIRED, PASSWORD_NEVER_EXPIRES, SMARTCARD_REQUIRED = 0x20, 0x10000, 0x40000
TRUST_ACCOUNTS = 0x800 | WORKSTATION_ACCOUNT | 0x2000
UNWRITABLE_FLAGS = LOCKED_OUT | 0x40 | 0x800000
"""userAccountControl: lockout, can't-change and expired are computed elsewhere; writes of them are masked off."""

HOURS_SIZE, HOURS_TO_MONDAY, HOUR = 21, 24, ticks(timedelta(hours=1))
HASH_SIZE = 16
HISTORY_KEPT = 3
"""Hashes kept in any case: the current one, the one with an hour of grace, and the one before it."""

GRACE = timedelta(minutes=60)
"""How long the previous password still binds (product documentation: OldPasswordAllowedPeriod)."""

NAME_SEPARATORS = re.compile(r"[,.\-_ #\t]+")
TOKEN_LENGTH_MIN = 3
CLASSES_MIN = 3


@dataclass(frozen=True)
class DomainPolicy:
    """A domain's policy (or a fine-grained one). ``max_age`` None: passwords never expire.

    lockout_threshold 0: no lockout. lockout_duration 0: until an administrator unlocks.
    """

    min_length: int = 7
    complexity: bool = True
    history: int = 24
    max_age: timedelta | None = timedelta(days=42)
    min_age: timedelta = timedelta(0)
    lockout_threshold: int = 0
    lockout_duration: timedelta = timedelta(minutes=30)
    lockout_window: timedelta = timedelta(minutes=30)


def character_classes(password: str) -> int:
    """How many of passfilt's five classes occur: upper, lower, digit, special, other letters; one per character."""
    return len({_class_of(letter) for letter in password} - {""})


def _class_of(letter: str) -> str:
    category = unicodedata.category(letter)
    if category in ("Lu", "Ll"):
        return category
    if letter in "0123456789":
        return "digit"
    if letter in "~!@#$%^&*_-+=`|\\(){}[]:;\"'<>,.?/ ":
        return "special"
    return "letter" if category in ("Lo", "Lt", "Lm") else ""


def forbidden_parts(account_name: str, display_name: str) -> list[str]:
    """What must not occur in a password: account name and parts of the display name, from three characters on."""
    parts = [account_name, *NAME_SEPARATORS.split(display_name)]
    return [part.casefold() for part in parts if len(part) >= TOKEN_LENGTH_MIN]


def is_complex(password: str, account_name: str, display_name: str) -> bool:
    """passfilt.dll's verdict; case is ignored in names."""
    if character_classes(password) < CLASSES_MIN:
        return False
    folded = password.casefold()
    return not any(part in folded for part in forbidden_parts(account_name, display_name))


def length(password: str) -> int:
    """A password's length in UTF-16 units, as Windows counts."""
    return len(password) + sum(letter > "\uffff" for letter in password)


def in_history(nt: bytes, history: bytes, depth: int) -> bool:
    """Whether an NT hash is among the newest ``depth`` of ``history`` (the current one first, 16 bytes each)."""
    return any(history[at : at + HASH_SIZE] == nt for at in range(0, min(depth * HASH_SIZE, len(history)), HASH_SIZE))


def next_history(nt: bytes, history: bytes, depth: int) -> bytes:
    """The history after ``nt`` was set."""
    return (nt + history)[: max(depth, HISTORY_KEPT) * HASH_SIZE]


def is_too_young(last_set: int, now: int, min_age: timedelta) -> bool:
    """Whether a user may not change the password yet. ``last_set`` and ``now``: FILETIME; 0 (must change) lifts it."""
    return last_set != 0 and now - last_set < ticks(min_age)


def expiry(last_set: int, flags: int, max_age: timedelta | None) -> int:
    """msDS-UserPasswordExpiryTimeComputed ([MS-ADTS] 3.1.1.4.5.33): FILETIME, 0 for must-change, NEVER."""
    if flags & (PASSWORD_NEVER_EXPIRES | SMARTCARD_REQUIRED | TRUST_ACCOUNTS) or not max_age:
        return NEVER
    return 0 if last_set == 0 else min(last_set + ticks(max_age), NEVER)


def is_expired(last_set: int, flags: int, max_age: timedelta | None, now: int) -> bool:
    """Whether the password is older than it may be ([MS-ADTS] 3.1.1.4.5.17); must-change is not meant."""
    when = expiry(last_set, flags, max_age)
    return when not in (0, NEVER) and when < now


def must_change(last_set: int, flags: int) -> bool:
    """Whether the user must set a new password first. A password that never expires never has to be changed."""
    return last_set == 0 and not flags & (PASSWORD_NEVER_EXPIRES | SMARTCARD_REQUIRED | TRUST_ACCOUNTS)


def account_expired(expires: int, now: int) -> bool:
    """accountExpires: 0 and NEVER mean never."""
    return expires not in (0, NEVER) and expires < now


def hours_allow(hours: bytes, now: int) -> bool:
    """Whether logonHours let someone in now: 21 bytes, a bit for each hour of the week from Sunday 00:00 UTC on.

    Anything else is no restriction.
    """
    if len(hours) != HOURS_SIZE:
        return True
    hour = (now // HOUR + HOURS_TO_MONDAY) % (7 * 24)  # FILETIMEs begin on a Monday
    return bool(hours[hour // 8] >> hour % 8 & 1)


def workstation_allowed(workstations: str, name: str) -> bool:
    """Whether userWorkstations, names with commas between them, let someone in at a computer."""
    allowed = [each.strip().casefold() for each in workstations.split(",") if each.strip()]
    return not allowed or name.casefold() in allowed


@dataclass(frozen=True, slots=True)
class Lockout:
    """badPwdCount, badPasswordTime and lockoutTime (FILETIME, 0: none)."""

    count: int = 0
    last_bad: int = 0
    locked: int = 0


def is_locked(locked_at: int, policy: DomainPolicy, now: int) -> bool:
    """Whether an account is locked: until the duration has passed, or an administrator unlocks it.

    The last instant counts ([MS-ADTS] 3.1.1.4.5.17, ADS_UF_LOCKOUT).
    """
    if not locked_at:
        return False
    return not policy.lockout_duration or now <= locked_at + ticks(policy.lockout_duration)


def after_wrong_password(state: Lockout, policy: DomainPolicy, now: int) -> Lockout:
    """The counters after a wrong password on an account that is not locked now.

    A lockout that has run out, and a pause longer than the window, start the count anew; lockoutTime stays until
    someone logs on or an administrator writes it.
    """
    stale = now - state.last_bad >= ticks(policy.lockout_window) if state.last_bad else True
    ran_out = bool(state.locked) and state.locked >= state.last_bad
    count = 1 if ran_out or stale else state.count + 1
    locks = 0 < policy.lockout_threshold <= count
    return Lockout(count, now, now if locks else state.locked)
