"""Users as Graph shows them, property by property.

Source: the reference of Graph's user resource. What is not returned by default there needs ``$select`` here too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from simulator.azure_ad.errors import GraphError
from simulator.azure_ad.users import CloudUser

BY_DEFAULT = (
    "businessPhones",
    "displayName",
    "givenName",
    "jobTitle",
    "mail",
    "mobilePhone",
    "officeLocation",
    "preferredLanguage",
    "surname",
    "userPrincipalName",
    "id",
)
ALWAYS = "id"


def format_time(when: datetime | None) -> str | None:
    """A time as Graph writes it."""
    return None if when is None else when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _profile(user: CloudUser) -> Mapping[str, Any]:
    return {
        "password": None,
        "forceChangePasswordNextSignIn": user.must_change,
        "forceChangePasswordNextSignInWithMfa": user.must_change and user.change_with_mfa,
    }


def _name(user: CloudUser) -> str:
    """A deleted user's sign-in name has the id before it, so that it is free for another."""
    return user.upn if user.deleted_at is None else f"{user.id.replace('-', '')}{user.upn}"


def _nothing(user: CloudUser) -> None:
    """A property that the simulation keeps no value of."""


PROPERTIES: Mapping[str, Callable[[CloudUser], Any]] = {
    "id": lambda user: user.id,
    "displayName": lambda user: user.display_name,
    "givenName": lambda user: user.detail("givenName"),
    "mail": lambda user: user.detail("mail"),
    "surname": lambda user: user.detail("surname"),
    "userPrincipalName": _name,
    "businessPhones": lambda user: [],
    "jobTitle": _nothing,
    "mobilePhone": _nothing,
    "officeLocation": _nothing,
    "preferredLanguage": _nothing,
    "accountEnabled": lambda user: user.enabled,
    "createdDateTime": lambda user: format_time(user.created_at),
    "deletedDateTime": lambda user: format_time(user.deleted_at),
    "mailNickname": lambda user: user.upn.rpartition("@")[0],
    "userType": lambda user: "Member",
    "passwordPolicies": lambda user: user.password_policies,
    "passwordProfile": _profile,
    "lastPasswordChangeDateTime": lambda user: format_time(user.changed_at),
    "signInSessionsValidFromDateTime": lambda user: format_time(user.tokens_valid_from or user.created_at),
    "onPremisesSyncEnabled": lambda user: True if user.source_anchor is not None else None,
    "onPremisesImmutableId": lambda user: user.source_anchor,
    "onPremisesLastSyncDateTime": lambda user: format_time(user.synced_at),
    "onPremisesSamAccountName": lambda user: user.detail("onPremisesSamAccountName"),
    "onPremisesDistinguishedName": lambda user: user.detail("onPremisesDistinguishedName"),
    "onPremisesDomainName": lambda user: user.detail("onPremisesDomainName"),
    "onPremisesSecurityIdentifier": lambda user: user.detail("onPremisesSecurityIdentifier"),
    "onPremisesUserPrincipalName": lambda user: user.upn if user.source_anchor is not None else None,
}
"""How each property of a user is read."""

_NAMES = {name.lower(): name for name in PROPERTIES}


def property_name(name: str) -> str:
    """A property in its own spelling. Raises GraphError for an unknown one."""
    known = _NAMES.get(name.lower())
    if known is None:
        shown = ", ".join(PROPERTIES)
        text = f"Could not find a property named '{name[:200]}' on type 'microsoft.graph.user'. Known: {shown}."
        raise GraphError(400, "Request_BadRequest", text)
    return known


def select(text: str | None) -> Sequence[str]:
    """The properties that ``$select`` asks for, in their own spelling. Raises GraphError for an unknown one."""
    if not text:
        return BY_DEFAULT
    chosen = list(dict.fromkeys(property_name(name.strip()) for name in text.split(",") if name.strip()))
    return chosen if ALWAYS in chosen else [*chosen, ALWAYS]


def describe(user: CloudUser, names: Sequence[str]) -> dict[str, Any]:
    """The JSON value of a user with these properties."""
    return {name: PROPERTIES[name](user) for name in names}
