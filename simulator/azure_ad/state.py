"""The tenant's state and everything that people, the agent and the world do to it. It knows no HTTP.

    Tenant
      users.py       who there is
      objects.py     synchronized objects in
      passwords.py   passwords in: synchronized, reset, changed
      policy.py      which passwords the cloud takes for its own, and when they expire
      sign_in.py     who may sign in; lockout.py
      sessions.py    what a sign-in leaves behind
      domain_services.py                 what the managed domain is told
      applications.py, device_codes.py   who asks for tokens, and for whom
      domains.py     the domains, and their periods
      federated_domains.py               whose sign-ins go elsewhere, and where

Functions that take a user also take None, so that what a search did not find can be handed on: they refuse with
no-such-user. The lists ``writes`` and ``sign_in_log`` only ever grow: the world reads them to judge a run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from pwsync.credential import nt_hash
from pwsync.tenant.messages import CredentialItem, CredentialResult, ObjectResult, SyncObject
from simulator.azure_ad.applications import Applications
from simulator.azure_ad.device_codes import DeviceCodes
from simulator.azure_ad.domains import Domains, is_local_part
from simulator.azure_ad.federated_domains import FederatedDomains
from simulator.azure_ad.objects import DEFAULT_BITS, RESILIENCY_BITS, ObjectWriter
from simulator.azure_ad.passwords import ACCEPTED, FORCE_CHANGE, MALFORMED, POLICY_FOR_SYNCED, PasswordWriter
from simulator.azure_ad.policy import (
    ANY_STRENGTH,
    NEVER_EXPIRES,
    CloudPolicy,
    check_password,
    expiry,
    read_policies,
)
from simulator.azure_ad.sessions import Session, Sessions
from simulator.azure_ad.sign_in import PasswordVerifier, SignInRecord, SignInResult, SignIns
from simulator.azure_ad.synchronization import Synchronization
from simulator.azure_ad.users import CloudUser, PasswordWrite, UserIndex
from simulator.profile import Profile
from simulator.random import Randomness
from simulator.refusal import Refusal

if TYPE_CHECKING:
    from simulator.azure_ad.domain_services import DomainServices

PASSWORD_SYNC = "password-sync"  # noqa: S105 - a feature's name
RESILIENCY = "duplicate-attribute-resiliency"
FEATURES = frozenset({PASSWORD_SYNC, FORCE_CHANGE, POLICY_FOR_SYNCED, RESILIENCY})

GARBLED = "The Windows credentials are malformed."
"""What is said of secrets for Domain Services that can't be read; unconfirmed."""

ALERT_AFTER = timedelta(minutes=120)
"""The health service raises an alert after this long without a heartbeat (product documentation)."""

ADMINISTRATOR = "administrator"
DIRECTORY_SYNCHRONIZATION = "directory-synchronization"
SYNCHRONIZATION_ACCOUNT = "On-Premises Directory Synchronization Service Account"


class Tenant:
    """An Azure AD tenant.

    clock: the time now, UTC. randomness: ids, salts and tokens come from children of it. policy: that of the profile's
    era if left out. A new tenant has password synchronization on, an administrator and a synchronization account.
    """

    def __init__(
        self,
        clock: Callable[[], datetime],
        randomness: Randomness,
        profile: Profile,
        *,
        tenant_domain: str = "contoso.onmicrosoft.com",
        policy: CloudPolicy | None = None,
    ) -> None:
        self.clock = clock
        self.randomness = randomness
        self.profile = profile
        self.tenant_domain = tenant_domain
        self.policy = policy or CloudPolicy.of(profile)
        self.tenant_id = str(randomness.uuid("azure_ad/tenant"))
        self.features: set[str] = {PASSWORD_SYNC}
        self.federated_domains = FederatedDomains(clock)
        # Bits of features that are no password matter.
        self.other_features = DEFAULT_BITS if profile.resilient else DEFAULT_BITS & ~RESILIENCY_BITS
        self._observed = False
        self.users = UserIndex()
        self.last_contact: datetime | None = None
        self.last_ping: datetime | None = None
        self.applications = Applications(clock, randomness)
        self.devices = DeviceCodes(clock, randomness)
        self.domain_services: DomainServices | None = None
        self.domains = Domains(tenant_domain, self.users)
        self._sessions = Sessions(clock, randomness, self.users)
        self._passwords = PasswordWriter(clock, randomness, profile, self.users, self._sessions.revoke)
        self.synchronization = Synchronization(clock)
        self.objects = ObjectWriter(clock, randomness, self.users, tenant_domain, lambda: self.other_features)
        self._verifier = PasswordVerifier()
        self._sign_ins = SignIns(clock, self.users, self._verifier)
        suffix = randomness.child("azure_ad/accounts").randbytes(6).hex()
        self._sync_account = self._service_account(
            f"Sync_SYNC01_{suffix}", SYNCHRONIZATION_ACCOUNT, DIRECTORY_SYNCHRONIZATION
        )
        self._admin_account = self._service_account("admin", "Administrator", ADMINISTRATOR)

    # Observation

    @property
    def writes(self) -> list[PasswordWrite]:
        """Every password that the tenant took, in order."""
        return self._passwords.writes

    @property
    def sign_in_log(self) -> list[SignInRecord]:
        """Every sign-in that was not a mere observation, in order."""
        return self._sign_ins.log

    def sync_account(self) -> tuple[str, str]:
        """Name and password of the account that the agent signs in with."""
        return self._sync_account

    def admin_account(self) -> tuple[str, str]:
        """Name and password of an administrator, for Graph."""
        return self._admin_account

    def find_by_upn(self, upn: str) -> CloudUser | None:
        """A user by sign-in name."""
        return self.users.by_upn(upn)

    def find_by_anchor(self, anchor: str) -> CloudUser | None:
        """A synchronized user by source anchor."""
        return self.users.by_anchor(anchor)

    def find_by_name(self, name: str) -> CloudUser | None:
        """A user made in the cloud, by the local part of its sign-in name."""
        user = self.users.by_upn(f"{name}@{self.tenant_domain}")
        return user if user is not None and user.source_anchor is None else None

    def expires(self, user: CloudUser) -> datetime | None:
        """When the user's password expires; None: never."""
        return expiry(user.changed_at, user.password_policies, self.policy_for(user.upn))

    def policy_for(self, upn: str) -> CloudPolicy:
        """The policy for a sign-in name: the tenant's, with the periods of its domain if that has its own."""
        return self.domains.policy(upn, self.policy)

    def has_password(self, user: CloudUser, password: str) -> bool:
        """Whether this is the password the tenant holds for the user."""
        return user.credential is not None and self._verifier.matches(nt_hash(password), user.credential)

    def verify(self, nt: bytes, credential: str) -> bool:
        """Whether a stored credential was made from this NT hash; verdicts are remembered."""
        return self._verifier.matches(nt, credential)

    def alert(self, now: datetime) -> str:
        """``heartbeat`` once the agent, in contact before, has been silent for 120 minutes; else ``none``."""
        if PASSWORD_SYNC not in self.features or self.last_contact is None:
            return "none"
        return "heartbeat" if now - self.last_contact >= ALERT_AFTER else "none"

    # People

    def create_user(
        self,
        name: str,
        password: str,
        *,
        password_age: timedelta = timedelta(0),
        check_policy: bool = True,
        display_name: str | None = None,
        domain: str | None = None,
    ) -> CloudUser:
        """Make a user in the cloud, ``name@domain``, by default the tenant's first domain.

        Raises Refusal: password-...; not-supported: the name.
        """
        if not is_local_part(name):
            raise Refusal("not-supported", f"{name!r} can't be the local part of a sign-in name")
        upn = f"{name}@{domain or self.tenant_domain}"
        if self.users.by_upn(upn) is not None:
            raise Refusal("not-supported", f"there is a user {upn} already", conflict=True)
        if check_policy:
            check_password(password, self.policy, self.profile, names=[self._company])
        user = self._new_user(upn, display_name or name)
        self._passwords.create(user, password, password_age)
        self._typed(user, password)
        return user

    def reset_password(
        self, user: CloudUser | None, password: str, must_change: bool = False, *, everywhere: bool = False
    ) -> None:
        """An administrator's reset. It unlocks the sign-in and revokes refresh tokens.

        everywhere: those of confidential clients too, as a reset in the admin center does and one by PowerShell does
        not (product documentation of refresh tokens). Raises Refusal: no-such-user, federated-domain,
        password-too-short, -too-long, -characters, -too-weak.
        """
        user = self._require(user)
        self._require_managed(user)
        self._check(user, password)
        self._passwords.reset(user, password, must_change)
        self._typed(user, password)
        if everywhere:
            self._sessions.revoke(user, everything=True)
        self._sign_ins.lockout.reset(user.id)

    def change_password(self, user: CloudUser | None, old: str, new: str) -> None:
        """The user's own change in the cloud; allowed with an expired password too.

        Wrong attempts here do not count towards smart lockout (unconfirmed). Raises Refusal: no-such-user,
        federated-domain, locked, wrong-password, disabled, password-reused, password-too-short and its kin.
        """
        user = self._require(user)
        self._require_managed(user)
        if self._sign_ins.lockout.locked(user.id, self.clock()):
            raise Refusal("locked", f"{user.upn} is locked")
        if not self.has_password(user, old):
            raise Refusal("wrong-password", "the old password is not right")
        if not user.enabled:
            raise Refusal("disabled", f"{user.upn} is disabled")
        if self.has_password(user, new):
            raise Refusal("password-reused", "the current password can't be used again")
        self._check(user, new)
        self._passwords.change(user, new)
        self._typed(user, new)

    def self_service_reset(self, user: CloudUser | None, new: str) -> None:
        """The reset of somebody who has forgotten the password and shown who they are in another way.

        It ends a lock, and the last password may be taken again (product documentation). Raises as ``change_password``.
        """
        user = self._require(user)
        self._require_managed(user)
        if not user.enabled:
            raise Refusal("disabled", f"{user.upn} is disabled")
        self._check(user, new)
        self._passwords.change(user, new)
        self._sign_ins.lockout.reset(user.id)
        self._typed(user, new)

    def set_user(
        self,
        user: CloudUser | None,
        *,
        enabled: bool | None = None,
        password_policies: str | None = None,
        must_change: bool | None = None,
        display_name: str | None = None,
    ) -> None:
        """Change a user; ``password_policies`` ``"None"`` clears. Raises Refusal: no-such-user, not-supported."""
        user = self._require(user)
        policies = read_policies(password_policies) if password_policies is not None else user.password_policies
        user.password_policies = policies
        if enabled is not None:
            user.enabled = enabled
        if must_change is not None:
            user.must_change = must_change
        if display_name is not None:
            user.display_name = display_name
        self.users.touch(user)
        self._tell_domain(user)

    def delete_user(self, user: CloudUser | None) -> None:
        """Put a user into the recycle bin. Raises Refusal: no-such-user."""
        user = self._require(user)
        self.users.delete(user, self.clock())
        self.objects.heal()
        self._tell_domain(user)

    def restore_user(self, user: CloudUser) -> None:
        """Bring a user back from the recycle bin. Raises Refusal("not-supported"): the name is another's now."""
        if self.users.by_upn(user.upn) is not None:
            raise Refusal("not-supported", f"there is a user {user.upn} already", conflict=True)
        self.users.restore(user, user.upn)
        self._tell_domain(user)

    def check_name(self, user: CloudUser, upn: str) -> None:
        """Raises Refusal("not-supported") for a sign-in name that this user can't have."""
        local, _, domain = upn.rpartition("@")
        if not is_local_part(local) or domain not in self.domains:
            raise Refusal("not-supported", f"{upn!r} can't be a sign-in name: domains are {', '.join(self.domains)}")
        if self.users.by_upn(upn) not in (None, user):
            raise Refusal("not-supported", f"there is a user {upn} already", conflict=True)

    def rename_user(self, user: CloudUser | None, upn: str) -> None:
        """Give a user another sign-in name, in any of the domains. Raises Refusal: no-such-user, not-supported."""
        user = self._require(user)
        self.check_name(user, upn)
        self.users.rename(user, upn)
        self._tell_domain(user)

    def set_policy(self, **changes: Any) -> None:
        """Change the policy: any field of :class:`CloudPolicy`. Raises Refusal("not-supported") for another name."""
        unknown = sorted(set(changes) - set(CloudPolicy.__slots__))
        if unknown:
            raise Refusal("not-supported", f"no such policy: {', '.join(unknown)}")
        self.policy = replace(self.policy, **changes)

    def set_domain_policy(self, domain: str, max_age: timedelta | None, notice: timedelta) -> None:
        """How long passwords of a domain's users are good (None: for ever), and when they are told.

        Raises Refusal: federated-domain, whose passwords the cloud does not have to judge.
        """
        if self.is_federated(f"@{domain}"):
            raise Refusal("federated-domain", f"the domain {domain} is federated")
        self.domains.set_periods(domain, max_age, notice)

    def set_feature(self, name: str, on: bool) -> None:
        """Switch a feature of :data:`FEATURES`. Raises Refusal("not-supported") for another name."""
        if name not in FEATURES:
            raise Refusal("not-supported", f"no feature {name!r}; known: {', '.join(sorted(FEATURES))}")
        if name == RESILIENCY:
            self.other_features = self.other_features & ~RESILIENCY_BITS | (RESILIENCY_BITS if on else 0)
        elif on:
            self.features.add(name)
        else:
            self.features.discard(name)

    def set_domain_services(self, on: bool) -> None:
        """Switch Domain Services on, or off: the managed domain is deleted then, with every secret that it had."""
        if on and self.domain_services is None:
            from simulator.azure_ad.domain_services import DomainServices

            self.domain_services = DomainServices(self.tenant_domain, self.clock, self.users)
        elif not on and self.domain_services is not None:
            self.domain_services.domain.delete()
            self.domain_services = None

    def is_federated(self, upn: str) -> bool:
        """Whether sign-ins with this name go to the federation servers of its domain."""
        return self.federated_domains.trust(upn.rpartition("@")[2]) is not None

    # Signing in

    def sign_in(self, upn: str, password: str, *, observe: bool = False) -> SignInResult:
        """Sign in with name and password; ``observe``: only look, nothing is counted or logged."""
        return self._sign_ins.sign_in(upn, password, self.policy_for(upn), observe=observe or self._observed)

    def federated_sign_in(self, user: CloudUser, assertion: str, until: datetime) -> None:
        """Note that a user has signed in with a federated domain's assertion, which is good until then and no more."""
        if not self._observed:
            self.federated_domains.use(assertion, until)
            self._sign_ins.log.append(SignInRecord(self.clock(), user.upn, "ok", 0))

    def open_session(self, user: CloudUser, client_id: str = "", *, lasting: bool = False, scope: str = "") -> Session:
        """The session that a successful sign-in opens; ``lasting``: a new password does not end it."""
        return self._sessions.open(user, client_id, keep=not self._observed, lasting=lasting, scope=scope)

    @contextmanager
    def observed(self) -> Iterator[None]:
        """Sign-ins in this block leave no trace: nothing is counted or logged, and no session is kept."""
        before, self._observed = self._observed, True
        try:
            yield
        finally:
            self._observed = before

    def find_session(self, refresh_token: str) -> Session | None:
        """The session that a refresh token belongs to."""
        return self._sessions.find(refresh_token)

    def refresh(self, session: Session) -> str:
        """Use the refresh token: ``ok`` (a new access token), ``revoked`` or ``expired``."""
        return self._sessions.refresh(session)

    def session_state(self, session: Session) -> tuple[str, str]:
        """(access: ok or expired, refresh: ok, revoked or expired); nothing changes."""
        return self._sessions.access_state(session), self._sessions.refresh_state(session)

    def revoke_sessions(self, user: CloudUser | None) -> None:
        """Revoke all refresh tokens of a user, whatever brought them. Raises Refusal: no-such-user."""
        user = self._require(user)
        self._sessions.revoke(user, everything=True)

    # The agent

    def apply_object(self, obj: SyncObject) -> ObjectResult:
        """Apply one exported object; the result says what went wrong, if anything did."""
        if self.domain_services is None:
            return self.objects.apply(obj)
        before = self.users.by_anchor(obj.source_anchor)
        result = self.objects.apply(obj)
        self._tell_domain(before)
        self._tell_domain(self.users.by_anchor(obj.source_anchor))
        return result

    def apply_credential(self, item: CredentialItem) -> CredentialResult:
        """Apply one synchronized password: result 0 stored, 2 no such object, 1 not a credential.

        While Domain Services is on, secrets for it that are no such secrets are not a credential either.

        Raises Refusal("not-supported", fault=90) while the feature is off: the whole call fails then.
        """
        self.require_password_sync()
        services = self.domain_services
        if services is not None and not services.is_readable(item):
            return CredentialResult(item.source_anchor, item.cloud_anchor, MALFORMED, GARBLED)
        result = self._passwords.apply(item, self.features)
        if result == ACCEPTED:
            self.last_contact = self.clock()
            if services is not None:
                services.keep_sealed(item)
        error = "The credential data is malformed." if result == MALFORMED else None
        return CredentialResult(item.source_anchor, item.cloud_anchor, result, error)

    def require_password_sync(self) -> None:
        """Raises Refusal("not-supported", fault=90) while password synchronization is off for the company."""
        if PASSWORD_SYNC not in self.features:
            raise Refusal("not-supported", "Password Synchronization has not been activated for this company", fault=90)

    def contact(self, *, ping: bool) -> None:
        """Note that a ping or a batch of credentials has arrived and was accepted."""
        self.last_contact = self.clock()
        if ping:
            self.last_ping = self.last_contact

    def service_account(self, identifier: str) -> tuple[str, str]:
        """Name and new password of a synchronization account, which is made if there is none of that name.

        Raises Refusal("not-supported") for a name that can't be one, or is another user's.
        """
        if not is_local_part(identifier):
            raise Refusal("not-supported", f"{identifier[:64]!r} can't be the local part of a sign-in name")
        user = self.users.by_upn(f"{identifier}@{self.tenant_domain}")
        if user is None:
            return self._service_account(identifier, SYNCHRONIZATION_ACCOUNT, DIRECTORY_SYNCHRONIZATION)
        if user.role != DIRECTORY_SYNCHRONIZATION:
            raise Refusal("not-supported", f"{user.upn} is no synchronization account")
        password = self._service_password(user)
        self._sessions.revoke(user)
        return user.upn, password

    def _new_user(self, upn: str, display_name: str) -> CloudUser:
        user_id: UUID = self.randomness.uuid("azure_ad/users")
        user = CloudUser(str(user_id), upn, display_name, self.clock())
        self.users.add(user)
        return user

    def _service_account(self, name: str, display_name: str, role: str) -> tuple[str, str]:
        """An account that is there from the start: its password is no write that a run would count."""
        user = self._new_user(f"{name}@{self.tenant_domain}", display_name)
        user.role = role
        user.source = "cloud"
        user.password_policies = NEVER_EXPIRES
        return user.upn, self._service_password(user)

    def _service_password(self, user: CloudUser) -> str:
        password = "Aa1!" + self.randomness.child("azure_ad/accounts").randbytes(6).hex()
        user.changed_at = self.clock()
        user.credential = self._passwords.digest(password)
        return password

    @property
    def _company(self) -> str:
        return self.tenant_domain.partition(".")[0]

    def _check(self, user: CloudUser, password: str) -> None:
        any_strength = user.password_policies is not None and ANY_STRENGTH in user.password_policies
        names = [name for name in (user.detail("givenName"), user.detail("surname"), self._company) if name]
        check_password(password, self.policy, self.profile, any_strength=any_strength, names=names)

    def _require(self, user: CloudUser | None) -> CloudUser:
        if user is None:
            raise Refusal("no-such-user", "there is no such user in the tenant")
        if self.users.by_id(user.id) is not user:
            raise Refusal("no-such-user", f"{user.upn} is not in the tenant")
        return user

    def _typed(self, user: CloudUser, password: str) -> None:
        """A password was set in the cloud: the moment at which secrets for the managed domain can be made."""
        if self.domain_services is not None:
            self.domain_services.keep_typed(user, password)

    def _tell_domain(self, user: CloudUser | None) -> None:
        """Something of a user changed, or he went into the recycle bin."""
        if self.domain_services is not None and user is not None:
            self.domain_services.tell(user)

    def _require_managed(self, user: CloudUser) -> None:
        if self.is_federated(user.upn):
            raise Refusal("federated-domain", f"the domain of {user.upn} is federated")
