"""The cloud's own password rules. They hold for passwords set in the cloud, never for synchronized ones.

Source: the password policy pages of the product's documentation, of January 2018 for the 2017 rules and of 2025 for
today's. What a synchronized password looked like the cloud can't know: it only ever receives a hash.
"""

from __future__ import annotations

import string
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from simulator.azure_ad.banned import why_banned
from simulator.profile import Profile
from simulator.refusal import Refusal

NEVER_EXPIRES = "DisablePasswordExpiration"
ANY_STRENGTH = "DisableStrongPassword"
_POLICY_WORDS = frozenset({NEVER_EXPIRES, ANY_STRENGTH})

_SYMBOLS = "@#$%^&*-_!+=[]{}|\\:',.?/`~\"();"
_CHARACTERS = frozenset(string.ascii_letters + string.digits + _SYMBOLS)
_CHARACTERS_CURRENT = _CHARACTERS | frozenset("<> ")


@dataclass(frozen=True, slots=True)
class CloudPolicy:
    """A tenant's password policy.

    min_length, max_length: characters. classes: how many of lower case, upper case, digit and symbol a password needs.
    max_age: after this a cloud password expires; None: never. notice: how long before that users are told.
    lockout_threshold: wrong passwords that lock a sign-in; 0: none ever do. lockout_duration: the first lock's.
    banned: the company's own banned words, beside the global ones; for profiles with such a list.
    """

    min_length: int = 8
    max_length: int = 16
    classes: int = 3
    max_age: timedelta | None = timedelta(days=90)
    notice: timedelta = timedelta(days=14)
    lockout_threshold: int = 10
    lockout_duration: timedelta = timedelta(seconds=60)
    banned: tuple[str, ...] = ()

    @classmethod
    def of(cls, profile: Profile) -> CloudPolicy:
        """The policy of a new tenant in this profile."""
        return cls(max_length=profile.length_max)


def check_password(
    password: str, policy: CloudPolicy, profile: Profile, *, any_strength: bool = False, names: Collection[str] = ()
) -> None:
    """Refuse a password that the cloud would not take for one of its own.

    any_strength: the user's DisableStrongPassword; neither the classes nor the list of banned passwords count then.
    names: of the user and the company, which such a list does not want in passwords.
    Raises Refusal: password-too-short, password-too-long, password-characters, password-too-weak.
    """
    if len(password) < policy.min_length:
        raise Refusal("password-too-short", f"at least {policy.min_length} characters, got {len(password)}")
    if len(password) > policy.max_length:
        raise Refusal("password-too-long", f"at most {policy.max_length} characters, got {len(password)}")
    _check_characters(password, profile)
    if any_strength:
        return
    if ".@" in password and not profile.blank_allowed:
        raise Refusal("password-characters", "a dot may not stand directly before @")
    found = character_classes(password)
    if found < policy.classes:
        raise Refusal("password-too-weak", f"{policy.classes} of 4 character classes needed, got {found}")
    banned = why_banned(password, policy.banned, names) if profile.banned_list else None
    if banned is not None:
        raise Refusal("password-too-weak", f"too close to a password on the list of banned passwords: {banned}")


def character_classes(password: str) -> int:
    """How many of the four classes (lower case, upper case, digit, symbol) occur."""
    return (
        any(c in string.ascii_lowercase for c in password)
        + any(c in string.ascii_uppercase for c in password)
        + any(c in string.digits for c in password)
        + any(c not in string.ascii_letters + string.digits for c in password)
    )


def expiry(changed_at: datetime | None, password_policies: str | None, policy: CloudPolicy) -> datetime | None:
    """When a password set at ``changed_at`` expires; None: never."""
    if changed_at is None or policy.max_age is None or never_expires(password_policies):
        return None
    try:
        return changed_at + policy.max_age
    except OverflowError:
        return None


def never_expires(password_policies: str | None) -> bool:
    """Whether ``passwordPolicies`` holds DisablePasswordExpiration."""
    return password_policies is not None and NEVER_EXPIRES in password_policies


def read_policies(text: str) -> str | None:
    """A ``passwordPolicies`` value in its normal form: None, one word, or both, comma and space.

    Raises Refusal("not-supported") for any other word.
    """
    words = {word.strip() for word in text.split(",")} - {"", "None"}
    unknown = words - _POLICY_WORDS
    if unknown:
        known = ", ".join(sorted(_POLICY_WORDS | {"None"}))
        raise Refusal("not-supported", f"passwordPolicies: unknown {', '.join(sorted(unknown))}; known: {known}")
    return ", ".join(sorted(words)) or None


def may_expire(password_policies: str | None) -> str | None:
    """The same ``passwordPolicies`` without DisablePasswordExpiration."""
    return ANY_STRENGTH if password_policies is not None and ANY_STRENGTH in password_policies else None


def _check_characters(password: str, profile: Profile) -> None:
    allowed = _CHARACTERS_CURRENT if profile.blank_allowed else _CHARACTERS
    if not allowed.issuperset(password):
        raise Refusal("password-characters", "only A-Z, a-z, 0-9 and the listed symbols may stand in a cloud password")
