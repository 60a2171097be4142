"""Bugs in what Domain Services gets: at the agent that seals it, in the tenant, in the managed domain."""

from __future__ import annotations

from base64 import b64encode
from datetime import timedelta
from typing import Any

from pwsync import domain_services as agent
from pwsync import windows_credentials
from pwsync.domain_services import NOTHING, SealedSecrets
from pwsync.password_reading import PasswordReader, SingleReading
from pwsync.windows_credentials import Sealer
from simulator.active_directory import supplemental
from simulator.azure_ad.domain_services import DomainServices
from simulator.azure_ad.state import Tenant
from simulator.domain_services import state as domain
from simulator.domain_services.state import ManagedDomain
from simulator.planted.plant import Bed

BED = Bed("domain-services")


# --- the agent ------------------------------------------------------------------------------------------------------


@BED.instead(agent.DomainServices, "ask", breaks="domain-services.full-sync")
def asks_once(true: Any, self: Any) -> None:
    """Asks the tenant with its first batch and never again. Hurts who switches Domain Services on afterwards."""
    if not vars(self).get("_has_asked"):
        self._has_asked = True
        true(self)


@BED.instead(agent.DomainServices, "complete", breaks="domain-services.full-sync domain-services.all-methods")
def secrets_in_full_runs_only(true: Any, self: Any, batch: Any) -> Any:
    """Sends secrets in a full synchronization alone. Hurts everybody who changes a password afterwards."""
    chosen, secrets = true(self, batch)
    pairs = zip(chosen.users, secrets, strict=True)
    return chosen, [found if user.forced else NOTHING for user, found in pairs]


@BED.instead(agent.DomainServices, "complete", breaks="domain-services.full-sync")
def secrets_of_changes_only(true: Any, self: Any, batch: Any) -> Any:
    """Sends secrets of passwords that have changed alone. Hurts everybody else, whatever is ordered."""
    chosen, secrets = true(self, batch)
    pairs = zip(chosen.users, secrets, strict=True)
    return chosen, [NOTHING if user.forced and user.applied is not None else found for user, found in pairs]


@BED.instead(agent.DomainServices, "complete", breaks="domain-services.full-sync retry.automatic")
def retry_without_secrets(true: Any, self: Any, batch: Any) -> Any:
    """Sends a password that failed once more without its secrets. Hurts who was in a batch that was lost."""
    chosen, secrets = true(self, batch)
    pairs = zip(chosen.users, secrets, strict=True)
    return chosen, [NOTHING if user.attempted == user.pending.sent else found for user, found in pairs]


@BED.instead(agent.DomainServices, "_turn", breaks="domain-services.full-sync")
def goes_on_for_nobody(true: Any, self: Any, found: Any) -> None:
    """Goes on sealing for a managed domain that was deleted. Hurts a company that thinks nothing leaves any more."""
    if found.wanted:
        true(self, found)


@BED.instead(agent.DomainServices, "_seal", breaks="domain-services.all-methods retry.automatic")
def unread_keys_are_none(true: Any, self: Any, state: Any, sealer: Any) -> Any:
    """Takes keys that can't be read now for keys that there are not. Hurts users of a controller that restarts."""
    found = true(self, state, sealer)
    return found if found is not None else SealedSecrets(sealer.legacy(state.nt))


@BED.instead(agent, "_usable", breaks="domain-services.all-methods")
def missing_keys_are_no_news(true: Any, properties: Any) -> Any:
    """Sends empty keys where there are none, and calls that a success. Hurts who looks for the reason in the log."""
    return true(properties) or b"-"


@BED.instead(PasswordReader, "read_supplemental", breaks="domain-services.all-methods")
def keys_are_read_once(true: Any, self: Any, state: Any) -> Any:
    """Reads a user's keys once, and sends them with every later password. Hurts all who use Kerberos."""
    known = self.__dict__.setdefault("_keys", {})
    if state.anchor not in known:
        known[state.anchor] = true(self, state)
    found: SingleReading = known[state.anchor]
    return found


@BED.instead(PasswordReader, "read_supplemental", breaks="retry.logged")
def unread_keys_in_silence(true: Any, self: Any, state: Any) -> Any:
    """Says nothing of keys that it could not read. Hurts whoever wonders why a user still waits."""
    self._failed = lambda connector, error: self._clients.pop(connector.domain, None)
    try:
        found: SingleReading = true(self, state)
    finally:
        del self._failed
    return found


@BED.instead(PasswordReader, "read_supplemental", breaks="security.no-plaintext")
def keys_kept_for_retry(true: Any, self: Any, state: Any) -> Any:
    """Keeps the Kerberos keys of a password that failed in its database, to save a read. Hurts everybody it happens to.

    Databases are backed up, and with such a key one logs on as its user.
    """
    found = true(self, state)
    if state.pending is not None and state.attempted == state.pending.sent:
        self._process.state.set("keys", b64encode(found.value or b"").decode())
    return found


@BED.instead(Sealer, "_seal", breaks="domain-services.all-methods")
def key_not_reversed(true: Any, self: Any, attribute: int, secret: bytes) -> str:
    """Leaves the sealed key in the order in which RSA gives it. Hurts everybody: no envelope opens."""
    envelope = windows_credentials.read(true(self, attribute, secret))
    return windows_credentials.write(envelope._replace(key=envelope.key[::-1]))


@BED.instead(Sealer, "supplemental", breaks="domain-services.all-methods")
def keys_named_as_hash(true: Any, self: Any, stored_keys: bytes) -> str:
    """Seals Kerberos keys under the NT hash's attribute id. Hurts everybody: they are not taken for keys."""
    return str(self._seal(windows_credentials.UNICODE_PWD, stored_keys))


@BED.instead(Sealer, "legacy", breaks="security.digest-only")
def hash_is_only_encoded(true: Any, self: Any, nt_hash: bytes) -> str:
    """Puts the NT hash behind the envelope, too, in case that it does not open. Hurts everybody whose call is logged.

    It is sealed all the same.
    """
    sealed: str = true(self, nt_hash)
    return sealed + b64encode(nt_hash).decode()


# --- the tenant -----------------------------------------------------------------------------------------------------


@BED.instead(Tenant, "_typed", breaks="domain-services.cloud-users")
def kept_for_later(true: Any, self: Any, user: Any, password: str) -> None:
    """Keeps what is typed while Domain Services is off, and hands it on with the next password that is typed.

    Hurts everybody who believes that nobody writes down what he types.
    """
    before = self.__dict__.setdefault("_typed_before", {})
    if self.domain_services is None:
        before[user.id] = (user, password)
        return
    for earlier, typed in before.values():
        true(self, earlier, typed)
    before.clear()
    true(self, user, password)


@BED.instead(Tenant, "set_domain_services", breaks="domain-services.full-sync")
def deleted_domain_leaves_secrets(true: Any, self: Any, on: bool) -> None:
    """Keeps what it had for a managed domain that was deleted, and gives it to the next. Hurts who had deleted it.

    The new one needs no full synchronization, and secrets are there of which nobody knows.
    """
    before = self.domain_services
    if before is not None:
        self.__dict__["_left_secrets"] = before._secrets
    true(self, on)
    if before is None and self.domain_services is not None:
        self.domain_services._secrets.update(self.__dict__.get("_left_secrets", {}))
        self.domain_services.tell(*self.users)


@BED.instead(DomainServices, "keep_typed", breaks="domain-services.cloud-users")
def made_keys_of_small_letters(true: Any, self: Any, user: Any, password: str) -> None:
    """Makes keys with a salt in small letters, and announces it in the usual ones. Hurts users of the cloud.

    Their RC4 key is right, and so a logon may succeed with an old client.
    """
    true(self, user, password)
    known = self._secrets[user.id]
    keys = supplemental.kerberos_keys(password, known.salt.lower())
    self._secrets[user.id] = known._replace(keys=keys)
    self.tell(user)


@BED.instead(DomainServices, "keep_typed", breaks="domain-services.cloud-users")
def reset_makes_no_hashes(true: Any, self: Any, user: Any, password: str) -> None:
    """Makes hashes of a user's first password, and of no later one. Hurts who changed it because that was asked for."""
    if user.id not in self._secrets:
        true(self, user, password)


@BED.instead(DomainServices, "keep_sealed", breaks="override.next-change domain-services.all-methods")
def own_hashes_win(true: Any, self: Any, item: Any) -> None:
    """Keeps what was typed in the cloud when a synchronized password comes. Hurts who was reset there once."""
    user = self._users.by_anchor(item.source_anchor or "")
    known = None if user is None else self._secrets.get(user.id)
    if known is None or known.nt_hash is None:
        true(self, item)


@BED.instead(DomainServices, "keep_sealed", breaks="domain-services.full-sync domain-services.all-methods")
def only_first_secrets_count(true: Any, self: Any, item: Any) -> None:
    """Hands on a user's first secrets, and drops those of later passwords. Hurts everybody who changes one."""
    user = self._users.by_anchor(item.source_anchor or "")
    if user is None or user.id not in self._secrets:
        true(self, item)


# --- the managed domain ---------------------------------------------------------------------------------------------


BED.constant(
    "domain-has-it-at-once", domain, "LAG", timedelta(0),
    "Takes over at the moment at which the tenant has it. Hurts who tests here, and waits for twenty minutes at work.",
    breaks="domain-services.all-methods",
)  # fmt: skip
BED.constant(
    "domain-is-a-minute-late", domain, "LAG", timedelta(minutes=21),
    "Takes over a minute later than promised. Hurts who counts the minutes.",
    breaks="domain-services.all-methods domain-services.cloud-users",
)  # fmt: skip


@BED.instead(ManagedDomain, "_take", breaks="domain-services.all-methods")
def domain_keeps_who_is_gone(true: Any, self: Any, picture: Any) -> None:
    """Keeps an account that was deleted in the tenant. Hurts a company on the day after somebody was dismissed."""
    if not picture.gone:
        true(self, picture)


@BED.instead(ManagedDomain, "_take", breaks="domain-services.all-methods")
def domain_enables_everybody(true: Any, self: Any, picture: Any) -> None:
    """Has every account enabled. Hurts a company that disables people before it deletes them."""
    true(self, picture._replace(enabled=True))


@BED.instead(ManagedDomain, "_take", breaks="domain-services.all-methods")
def rename_loses_secrets(true: Any, self: Any, picture: Any) -> None:
    """Begins a new account without secrets when a sign-in name changes. Hurts who marries."""
    before = self._accounts.get(picture.id)
    renamed = before is not None and before.upn != picture.upn
    true(self, picture._replace(secrets=None) if renamed else picture)


@BED.instead(domain, "_opened", breaks="domain-services.all-methods")
def salt_in_small_letters(true: Any, secrets: Any) -> Any:
    """Announces salts in small letters. Hurts all who use Kerberos with AES: their keys are others."""
    found = true(secrets)
    return found._replace(salt=found.salt.lower())
