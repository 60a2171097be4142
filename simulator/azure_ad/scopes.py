"""The ``scope`` of a token request: which resource the token is for, and what it opens there.

Source: the product's page on scopes and permissions. The older endpoint's ``resource`` is read as its ``.default``.
"""

from __future__ import annotations

from typing import NamedTuple

from simulator.azure_ad.applications import Application
from simulator.azure_ad.errors import TokenRefused
from simulator.azure_ad.permissions import DELEGATED, canonical
from simulator.azure_ad.tokens import DIRECTORY_RESOURCE, GRAPH_RESOURCE

IDENTITY = frozenset({"openid", "profile", "email", "offline_access"})
"""Scopes of the sign-in itself (OpenID Connect Core 5.4)."""
DEFAULT = ".default"

_BY_NUMBER = {
    "00000003-0000-0000-c000-000000000000": GRAPH_RESOURCE,
    "00000002-0000-0000-c000-000000000000": DIRECTORY_RESOURCE,
}


class Scope(NamedTuple):
    """What was asked for. resource: the token's audience. permissions: as they were asked for, without the resource;
    asked: the scopes in the client's own words, those of the sign-in left out; identity: those."""

    resource: str
    permissions: tuple[str, ...]
    asked: tuple[str, ...]
    identity: frozenset[str]


def read_scope(text: str) -> Scope:
    """A ``scope`` parameter. Raises TokenRefused: several resources, or ``.default`` beside permissions by name."""
    words = text.split()
    named = [word for word in words if word.lower() not in IDENTITY]
    resources: list[str] = []
    permissions = []
    for word in named:
        resource, slash, permission = word.rpartition("/")
        resource = resource.rstrip("/")
        resource = _BY_NUMBER.get(resource.lower(), resource) if slash else GRAPH_RESOURCE
        if resource not in resources:
            resources.append(resource)
        permissions.append(permission)
    if len(resources) > 1:
        why = (
            "Provided value for the input parameter scope is not valid because it contains more than one resource. "
            f"Scope {text[:500]} is not valid."
        )
        raise TokenRefused(28000, why, "invalid_request")
    if DEFAULT in permissions and len(set(permissions)) > 1:
        why = (
            f"The provided request must include a 'scope' input parameter. The provided value for the input parameter "
            f"'scope' is not valid. The scope '{text[:500]}' is not valid: {DEFAULT} can't be combined with others."
        )
        raise TokenRefused(70011, why, "invalid_scope")
    identity = frozenset(word.lower() for word in words) & IDENTITY
    return Scope(resources[0] if resources else GRAPH_RESOURCE, tuple(permissions), tuple(named), identity)


def of_resource(resource: str, openid: bool) -> str:
    """The older endpoint's ``resource`` as a scope; that endpoint always gives a refresh token."""
    return f"{resource.rstrip('/')}/{DEFAULT} offline_access{' openid' if openid else ''}"


def delegated(scope: Scope, application: Application | None) -> str:
    """The claim ``scp``: what the client may do on the user's behalf. Raises TokenRefused where it has no consent.

    A client that is not registered has consent for everything.
    """
    if scope.resource != GRAPH_RESOURCE:
        return " ".join("user_impersonation" if name == DEFAULT else name for name in scope.permissions)
    names = {canonical(name) for name in scope.permissions}
    if DEFAULT in names:
        names = set(DELEGATED if application is None or application.scopes is None else application.scopes)
    elif application is not None and application.scopes is not None and not names <= application.scopes:
        why = (
            f"The user or administrator has not consented to use the application with ID '{application.id}' named "
            f"'{application.name}'. Send an interactive authorization request for this user and resource."
        )
        raise TokenRefused(65001, why, suberror="consent_required")
    return " ".join(sorted(names))
