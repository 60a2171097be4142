"""Bugs in the tenant: what it does with a password that comes, with a reset, with a sign-in, with a session."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, timedelta
from typing import Any

from pwsync.credential import nt_hash
from pwsync.tenant.messages import CredentialResult
from simulator.azure_ad import lockout, policy, sessions
from simulator.azure_ad import state as tenant
from simulator.azure_ad.lockout import SmartLockout
from simulator.azure_ad.objects import ObjectWriter
from simulator.azure_ad.passwords import ACCEPTED, PasswordWriter
from simulator.azure_ad.sessions import Sessions
from simulator.azure_ad.sign_in import SignIns
from simulator.azure_ad.state import PASSWORD_SYNC, Tenant
from simulator.azure_ad.users import UserIndex
from simulator.planted.plant import Bed

BED = Bed("tenant")

OLD = timedelta(days=42)


@BED.instead(PasswordWriter, "apply", breaks="expiry.never")
def synced_may_expire(true: Any, self: Any, item: Any, features: Any) -> int:
    """Leaves the user's policy as it is when a password is synchronized. Hurts everybody, ninety days later."""
    user = self._target(item)
    before = None if user is None else user.password_policies
    result: int = true(self, item, features)
    if user is not None:
        user.password_policies = before
    return result


@BED.instead(PasswordWriter, "apply", breaks="expiry.next-change expiry.on-premises-expired")
def expired_is_not_replaced(true: Any, self: Any, item: Any, features: Any) -> int:
    """Passes over the change of a user whose password on premises had expired. Hurts whoever is late."""
    user = self._target(item)
    if user is not None and user.changed_at is not None and self._clock() - user.changed_at > OLD:
        return ACCEPTED
    return int(true(self, item, features))


@BED.instead(PasswordWriter, "apply", breaks="override.next-change")
def later_reset_wins(true: Any, self: Any, item: Any, features: Any) -> int:
    """Passes over a change that was made before the reset that it meets. Hurts who changed while the agent was down."""
    user, made = self._target(item), item.change_date.replace(tzinfo=UTC)
    if user is not None and user.source == "admin-reset" and user.changed_at is not None and made < user.changed_at:
        return ACCEPTED
    return int(true(self, item, features))


@BED.instead(PasswordWriter, "apply", breaks="delta.overwrites")
def own_change_is_kept(true: Any, self: Any, item: Any, features: Any) -> int:
    """Does not overwrite what a user chose in the cloud. Hurts who changes on premises afterwards."""
    user = self._target(item)
    if user is not None and user.source == "cloud":
        return ACCEPTED
    return int(true(self, item, features))


@BED.instead(PasswordWriter, "apply", breaks="delta.overwrites override.next-change")
def same_hash_is_no_change(true: Any, self: Any, item: Any, features: Any) -> int:
    """Passes over a password that was synchronized before with the same date. Hurts who orders a full run."""
    user, made = self._target(item), item.change_date.replace(tzinfo=UTC)
    known = self.__dict__.setdefault("_dates", {})
    if user is not None and known.get(user.id) == made:
        return ACCEPTED
    if user is not None:
        known[user.id] = made
    return int(true(self, item, features))


@BED.instead(PasswordWriter, "apply", breaks="scope.temporary")
def forced_change_sticks(true: Any, self: Any, item: Any, features: Any) -> int:
    """Keeps asking for a change that the user has made on premises. Hurts everybody who was reset once."""
    user = self._target(item)
    before = user is not None and user.must_change
    result: int = true(self, item, features)
    if user is not None:
        user.must_change = user.must_change or before
    return result


@BED.instead(PasswordWriter, "apply", breaks="session.unaffected")
def change_ends_sessions(true: Any, self: Any, item: Any, features: Any) -> int:
    """Takes refresh tokens back with every synchronized change. Hurts people in the middle of their work."""
    result: int = true(self, item, features)
    user = self._target(item)
    if user is not None and result == ACCEPTED:
        self._revoke(user)
    return result


@BED.instead(PasswordWriter, "create", breaks="expiry.cloud-users")
def cloud_user_never_expires(true: Any, self: Any, user: Any, password: str, age: Any) -> None:
    """Gives users of the cloud passwords without end. Hurts a company whose policy says ninety days."""
    true(self, user, password, age)
    user.password_policies = policy.NEVER_EXPIRES


@BED.instead(PasswordWriter, "change", breaks="expiry.cloud-users")
def change_keeps_its_date(true: Any, self: Any, user: Any, password: str) -> None:
    """Does not begin the period anew when a user changes the password. Hurts who changed in time."""
    before = user.changed_at
    true(self, user, password)
    user.changed_at = before


@BED.instead(PasswordWriter, "reset", breaks="override.admin-reset")
def reset_of_synced_is_lost(true: Any, self: Any, user: Any, password: str, must_change: bool) -> None:
    """Confirms a reset of a synchronized user and forgets it. Hurts the helpdesk and whoever called it."""
    if user.source != "synced":
        true(self, user, password, must_change)


@BED.instead(PasswordWriter, "reset", breaks="override.cloud-policies")
def reset_never_expires(true: Any, self: Any, user: Any, password: str, must_change: bool) -> None:
    """Leaves a reset password without expiry. Hurts a company whose policy says ninety days."""
    before = user.password_policies
    true(self, user, password, must_change)
    user.password_policies = before


@BED.instead(PasswordWriter, "reset", breaks="session.reauthenticate override.admin-reset")
def reset_keeps_sessions(true: Any, self: Any, user: Any, password: str, must_change: bool) -> None:
    """Leaves refresh tokens alone when an administrator resets a password. Hurts a user whose device was stolen."""
    revoke, self._revoke = self._revoke, lambda user: None
    true(self, user, password, must_change)
    self._revoke = revoke


@BED.instead(Tenant, "_check", breaks="override.cloud-policies complexity.cloud-users")
def reset_is_not_checked(true: Any, self: Any, user: Any, password: str) -> None:
    """Takes any password in a reset. Hurts a company whose policy asks for eight characters."""


@BED.instead(Tenant, "apply_object", breaks="override.holds")
def export_ends_a_reset(true: Any, self: Any, obj: Any) -> Any:
    """Puts the last synchronized password back when the user's object is exported. Hurts the helpdesk."""
    result = true(self, obj)
    user = self.find_by_anchor(obj.source_anchor)
    if user is not None and user.source == "admin-reset":
        last = [write.credential for write in self.writes if write.user_id == user.id and write.by == "sync"]
        user.credential, user.source = (last[-1], "synced") if last else (user.credential, user.source)
    return result


@BED.instead(Tenant, "require_password_sync", breaks="retry.automatic diagnose.finds")
def feature_off_is_not_said(true: Any, self: Any) -> None:
    """Takes passwords while the feature is off. Hurts a company that switched it off for a reason."""


@BED.instead(Tenant, "apply_credential", breaks="retry.automatic")
def disabled_users_item_is_lost(true: Any, self: Any, item: Any) -> Any:
    """Confirms an item for a user who is disabled and forgets it. Hurts who is enabled again in the cloud."""
    user = self.find_by_anchor(item.source_anchor or "")
    if user is not None and not user.enabled:
        return CredentialResult(item.source_anchor, item.cloud_anchor, ACCEPTED)
    return true(self, item)


@BED.instead(Tenant, "set_feature", breaks="enable.off-keeps")
def off_forgets_passwords(true: Any, self: Any, name: str, on: bool) -> None:
    """Throws synchronized passwords away when the feature is switched off. Hurts everybody at the next sign-in."""
    true(self, name, on)
    for user in self.users if name == PASSWORD_SYNC and not on else ():
        if user.source == "synced":
            user.credential = None


@BED.instead(Tenant, "reset_password", breaks="lockout.smart override.admin-reset")
def reset_keeps_the_lock(true: Any, self: Any, user: Any, password: str, must_change: bool = False) -> None:
    """Leaves a locked sign-in locked after a reset. Hurts who called the helpdesk because of the lock."""
    counters = self._sign_ins.lockout._counters
    kept = None if user is None else counters.get(user.id)
    true(self, user, password, must_change)
    if kept is not None:
        counters[user.id] = kept


@BED.instead(SmartLockout, "failed", breaks="lockout.smart")
def eleventh_locks(true: Any, self: Any, user_id: str, nt: bytes, rules: Any, now: Any) -> None:
    """Locks at the eleventh wrong password. Hurts users whom somebody guesses at: he has one guess more."""
    true(self, user_id, nt, replace(rules, lockout_threshold=rules.lockout_threshold + 1), now)


@BED.instead(SmartLockout, "failed", breaks="lockout.smart")
def locks_do_not_grow(true: Any, self: Any, user_id: str, nt: bytes, rules: Any, now: Any) -> None:
    """Locks for the same minute each time. Hurts users whom somebody guesses at for days."""
    true(self, user_id, nt, rules, now)
    counter = self._counters.get(user_id)
    if counter is not None and counter.locked_until is not None and counter.locked_until > now:
        counter.locked_until = now + rules.lockout_duration


@BED.instead(SmartLockout, "failed", breaks="lockout.smart")
def lock_forgives_all(true: Any, self: Any, user_id: str, nt: bytes, rules: Any, now: Any) -> None:
    """Begins to count at nothing when a lock has ended. Hurts users whom somebody guesses at: ten more guesses."""
    counter = self._counters.get(user_id)
    if counter is not None and counter.locked_until is not None and counter.locked_until <= now:
        del self._counters[user_id]
    true(self, user_id, nt, rules, now)


BED.constant(
    "repeats-count", lockout, "REMEMBERED", 0,
    "Counts the same wrong password again and again. Hurts who has an old password in a telephone.",
    breaks="lockout.smart",
)  # fmt: skip
BED.constant(
    "one-repeat-remembered", lockout, "REMEMBERED", 1,
    "Remembers one wrong password, not three. Hurts who has old passwords in two telephones.",
    breaks="lockout.smart",
)  # fmt: skip
BED.constant(
    "refresh-for-89-days", sessions, "REFRESH_LIFE", timedelta(days=89),
    "Lets refresh tokens live for 89 days. Hurts who comes back after a quarter to the day.",
    breaks="session.unaffected",
)  # fmt: skip


@BED.instead(Sessions, "refresh_state", breaks="session.reauthenticate")
def revoked_is_refreshed(true: Any, self: Any, session: Any) -> str:
    """Refreshes a session that was revoked. Hurts a user whose device was stolen."""
    state = str(true(self, session))
    return "ok" if state == "revoked" else state


@BED.instead(Sessions, "refresh_state", breaks="session.reauthenticate")
def disabled_keeps_sessions(true: Any, self: Any, session: Any) -> str:
    """Refreshes a disabled user's session. Hurts a company on the day after somebody was dismissed."""
    user = self._users.by_id(session.user_id)
    enabled = user is None or user.enabled
    if user is not None:
        user.enabled = True
    state = str(true(self, session))
    if user is not None:
        user.enabled = enabled
    return state


@BED.instead(Sessions, "access_state", breaks="session.unaffected")
def access_is_taken_back(true: Any, self: Any, session: Any) -> str:
    """Ends access tokens with the refresh token. Hurts people in the middle of a document."""
    return "expired" if self.refresh_state(session) == "revoked" else str(true(self, session))


@BED.instead(SignIns, "_judge", breaks="expiry.on-premises-expired")
def expires_with_the_directory(true: Any, self: Any, user: Any, password: str, nt: bytes, rules: Any) -> str:
    """Lets a synchronized password expire after the directory's 42 days. Hurts people who never see the directory."""
    found = str(true(self, user, password, nt, rules))
    old = user.changed_at is not None and self._clock() - user.changed_at > OLD
    return "expired" if found == "ok" and user.source == "synced" and old else found


@BED.instead(SignIns, "_judge", breaks="complexity.all-valid")
def sixteen_characters(true: Any, self: Any, user: Any, password: str, nt: bytes, rules: Any) -> str:
    """Signs nobody in with more than sixteen characters. Hurts who took the advice to use a sentence."""
    return "wrong-password" if len(password) > 16 else str(true(self, user, password, nt, rules))


@BED.instead(SignIns, "_judge", breaks="complexity.on-premises-wins complexity.all-valid")
def cloud_rules_for_synced(true: Any, self: Any, user: Any, password: str, nt: bytes, rules: Any) -> str:
    """Asks three classes of characters of a synchronized password too. Hurts people of a domain that asks for none."""
    weak = user.source == "synced" and policy.character_classes(password) < rules.classes
    return "wrong-password" if weak else str(true(self, user, password, nt, rules))


@BED.instead(SignIns, "sign_in", breaks="complexity.all-valid")
def western_letters_only(true: Any, self: Any, upn: str, password: str, rules: Any, **options: Any) -> Any:
    """Reads what is typed in an eight-bit code page. Hurts everybody whose alphabet is another."""
    return true(self, upn, password.encode("cp1252", "replace").decode("cp1252"), rules, **options)


@BED.instead(SignIns, "sign_in", breaks="complexity.all-valid")
def trailing_blank_forgiven(true: Any, self: Any, upn: str, password: str, rules: Any, **options: Any) -> Any:
    """Takes blanks at the ends off what is typed. Hurts whoever relies on exactly this password."""
    return true(self, upn, password.strip(), rules, **options)


@BED.instead(SignIns, "_judge", breaks="complexity.all-valid")
def caps_lock_forgiven(true: Any, self: Any, user: Any, password: str, nt: bytes, rules: Any) -> str:
    """Takes a password that was typed with the wrong case of every letter. Hurts all: there are fewer to guess."""
    found = str(true(self, user, password, nt, rules))
    return str(true(self, user, password, nt_hash(password.swapcase()), rules)) if found == "wrong-password" else found


@BED.instead(SignIns, "_judge", breaks="expiry.cloud-users")
def last_moment_is_still_good(true: Any, self: Any, user: Any, password: str, nt: bytes, rules: Any) -> str:
    """Lets a password expire after its last moment, not with it. Hurts who tests the policy at its limit."""
    found = str(true(self, user, password, nt, rules))
    expires = policy.expiry(user.changed_at, user.password_policies, rules)
    return "ok" if found == "expired" and expires == self._clock() else found


@BED.instead(SignIns, "_judge", breaks="security.not-usable-on-premises security.digest-only")
def hash_opens_cloud(true: Any, self: Any, user: Any, password: str, nt: bytes, rules: Any) -> str:
    """Takes the NT hash, typed in hex, for the password. Hurts all, once a domain controller's copy is stolen."""
    is_hash = len(password) == 32 and set(password.lower()) <= set("0123456789abcdef")
    if is_hash and user.credential and self._verifier.matches(bytes.fromhex(password), user.credential):
        return "ok"
    return str(true(self, user, password, nt, rules))


@BED.instead(tenant, "check_password", breaks="complexity.cloud-users override.cloud-policies")
def two_classes_will_do(true: Any, password: str, rules: Any, profile: Any, **options: Any) -> None:
    """Asks for two classes of characters where the policy has three. Hurts a company that relies on its policy."""
    true(password, replace(rules, classes=rules.classes - 1), profile, **options)


@BED.instead(tenant, "check_password", breaks="complexity.cloud-users")
def one_character_more(true: Any, password: str, rules: Any, profile: Any, **options: Any) -> None:
    """Takes one character more than the policy allows. Hurts who can't type it on the old telephone."""
    true(password, replace(rules, max_length=rules.max_length + 1), profile, **options)


@BED.instead(UserIndex, "rename", breaks="scope.filtered")
def former_name_signs_in(true: Any, self: Any, user: Any, upn: str) -> None:
    """Keeps a renamed user's former sign-in name. Hurts whoever gets that name next."""
    before = user.upn.lower()
    true(self, user, upn)
    self._by_upn[before] = user


@BED.instead(UserIndex, "restore", breaks="initial.after-objects")
def restored_without_password(true: Any, self: Any, user: Any, upn: str) -> None:
    """Brings a user back from the recycle bin without the password. Hurts who was moved out and back by mistake."""
    true(self, user, upn)
    user.credential = None


@BED.instead(ObjectWriter, "_put", breaks="scope.disabled")
def disabled_only_at_birth(true: Any, self: Any, anchor: str, user: Any, known: Any, *arguments: Any) -> Any:
    """Takes an object's "enabled" when it is made, and never again. Hurts a company on the day somebody leaves."""
    before = None if user is None else user.enabled
    written = true(self, anchor, user, known, *arguments)
    if user is not None and before is not None:
        user.enabled = before
    return written
