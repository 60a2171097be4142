"""Bugs in federation: who decides on a sign-in while a domain is federated, while it is converted, and afterwards."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from pwsync.tenant.messages import CredentialResult
from simulator import farms
from simulator.active_directory.accounts import Account
from simulator.azure_ad import federated_domains
from simulator.azure_ad.federated_domains import FederatedDomains
from simulator.azure_ad.passwords import ACCEPTED
from simulator.azure_ad.state import Tenant
from simulator.farms import CloudSignIn
from simulator.federation.state import Farm, FarmLogon
from simulator.planted.plant import Bed

BED = Bed("federation")

BED.constant(
    "conversion-at-once", federated_domains, "CONVERSION_TAKES", timedelta(0),
    "A converted domain goes its new way at once. Hurts whoever plans the hour in which both ways are tried.",
    breaks="federation.backup federation.primary",
)  # fmt: skip
BED.constant(
    "conversion-takes-a-day", federated_domains, "CONVERSION_TAKES", timedelta(days=1),
    "A converted domain goes its old way for a day. Hurts everybody while AD FS is down.",
    breaks="federation.backup",
)  # fmt: skip


@BED.instead(FederatedDomains, "convert", breaks="federation.primary")
def first_conversion_wins(true: Any, self: Any, domain: str, trust: Any) -> datetime:
    """Lets a conversion come into force though it was taken back. Hurts a company whose AD FS is up again."""
    waiting = self._way(domain).changes_at
    if waiting is not None and trust is not None:
        return waiting if isinstance(waiting, datetime) else self._clock()
    found: datetime = true(self, domain, trust)
    return found


@BED.instead(FederatedDomains, "trust", breaks="federation.primary")
def one_federated_domain_is_all(true: Any, self: Any, domain: str) -> Any:
    """Takes every domain for federated as soon as one is. Hurts the users of the domains that are not."""
    own = true(self, domain)
    if own is not None or domain.endswith(federated_domains.INITIAL_SUFFIX):
        return own
    return next((found for each in self._ways if (found := true(self, each)) is not None), None)


@BED.instead(Tenant, "_require_managed", breaks="federation.primary")
def federated_can_be_reset(true: Any, self: Any, user: Any) -> None:
    """Resets a federated user's password in the cloud. Hurts the user, whom it does not let in."""


@BED.instead(Tenant, "apply_credential", breaks="federation.backup")
def federated_hash_is_not_kept(true: Any, self: Any, item: Any) -> Any:
    """Confirms a federated user's new password and forgets it. Hurts the company on the day that AD FS fails."""
    user = self.find_by_anchor(item.source_anchor or "")
    if user is not None and user.credential is not None and self.is_federated(user.upn):
        return CredentialResult(item.source_anchor, item.cloud_anchor, ACCEPTED)
    return true(self, item)


@BED.instead(farms, "_sign_in_federated", breaks="federation.primary")
def synced_password_lets_in_too(true: Any, world: Any, trust: Any, upn: str, password: str) -> CloudSignIn:
    """Checks a federated user against the synchronized hash. Hurts a company that has just locked somebody out."""
    user = world.tenant.find_by_upn(upn)
    if user is not None and world.tenant.has_password(user, password):
        return CloudSignIn("ok", user, 0, farms.ADFS)
    return CloudSignIn("wrong-password", None, 0, farms.ADFS)


@BED.instead(farms, "_sign_in_federated", breaks="federation.backup")
def fails_over_by_itself(true: Any, world: Any, trust: Any, upn: str, password: str) -> CloudSignIn:
    """Takes the synchronized password as soon as AD FS does not answer. Hurts who trusts that AD FS alone decides."""
    found: CloudSignIn = true(world, trust, upn, password)
    if found.result != farms.UNAVAILABLE:
        return found
    own = world.tenant.sign_in(upn, password)
    return CloudSignIn(own.result, own.user, own.aadsts, farms.MANAGED)


@BED.instead(Farm, "_check", breaks="federation.primary")
def farm_ignores_the_account(true: Any, self: Any, controller: Any, entry: Any, password: str) -> FarmLogon:
    """Lets people in with the right password whatever their account is like. Hurts who disabled a leaver's account."""
    found: FarmLogon = true(self, controller, entry, password)
    if found.result in ("ok", "wrong-password", "locked"):
        return found
    return FarmLogon("ok", entry.text("userprincipalname"), Account(entry).source_anchor)


@BED.instead(Farm, "_check", breaks="federation.primary")
def farm_counts_nothing(true: Any, self: Any, controller: Any, entry: Any, password: str) -> FarmLogon:
    """Counts no wrong password towards the directory's lockout. Hurts whoever is guessed at from outside."""
    with self.observed():
        found: FarmLogon = true(self, controller, entry, password)
    return found


@BED.instead(FederatedDomains, "convert", breaks="federation.primary")
def federating_is_never_in_force(true: Any, self: Any, domain: str, trust: Any) -> datetime:
    """Stays with the cloud's own passwords when a domain is federated. Hurts a company that wants to decide itself."""
    found: datetime = true(self, domain, trust)
    if trust is not None:
        self._ways[domain.lower()].next = None
    return found


@BED.instead(farms.Farms, "of_domain", breaks="federation.primary")
def first_farm_signs_everybody_in(true: Any, self: Any, domain: str) -> Any:
    """Has the first forest's farm sign in the users of every domain. Hurts all of the second forest."""
    true(self, domain)
    return next(iter(self.by_host.values()))


@BED.instead(Farm, "sign_in", breaks="federation.primary")
def no_controller_is_no_user(true: Any, self: Any, name: str, password: str) -> FarmLogon:
    """Says that there is no such user when no controller answers. Hurts a helpdesk that looks for a lost account."""
    found: FarmLogon = true(self, name, password)
    return found if found.result != "unavailable" else FarmLogon("no-such-user")
