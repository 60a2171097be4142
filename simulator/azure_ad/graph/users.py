"""Users: list, read, make, change, delete."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simulator.azure_ad.errors import GraphError
from simulator.azure_ad.graph.properties import describe, select
from simulator.azure_ad.graph.query import count_users, list_users
from simulator.azure_ad.graph.request import OWN_NAME, Request, no_content, on, only, show, typed
from simulator.azure_ad.permissions import READ_SELF, READ_USERS, RESTORE, WRITE_PASSWORDS, WRITE_USERS
from simulator.azure_ad.policy import read_policies
from simulator.azure_ad.users import CloudUser
from simulator.azure_ad.wire import Answer

_NEEDED = ("accountEnabled", "displayName", "mailNickname", "userPrincipalName", "passwordProfile")
_MASTERED = ("displayName", "givenName", "surname", "userPrincipalName")
"""What a synchronized user has from on premises, and cannot be given in the cloud."""
_CHANGEABLE = ("accountEnabled", *_MASTERED, "passwordPolicies", "passwordProfile")
_PROFILE = ("password", "forceChangePasswordNextSignIn", "forceChangePasswordNextSignInWithMfa")


@on("GET", "/v1.0/users", "all users: $select, $filter, $orderby, $top, $count", READ_USERS, administrator=False)
def _list(request: Request) -> Answer:
    return list_users(request, "/users", lambda user: user.deleted_at is None)


@on("GET", "/v1.0/users/$count", "how many users there are; $filter", READ_USERS, administrator=False)
def _count(request: Request) -> Answer:
    return count_users(request, lambda user: user.deleted_at is None)


@on(
    "GET",
    "/v1.0/users/{user}",
    "one user, by id or userPrincipalName; $select",
    READ_USERS,
    administrator=False,
    own=READ_SELF,
)
def _show(request: Request, user: str) -> Answer:
    names = select(request.query("$select").get("$select"))
    return show("users/$entity", describe(request.user(user), names))


@on("GET", "/v1.0/me", "the signed-in user; $select", READ_SELF, applications=False, own=READ_SELF)
def _show_me(request: Request) -> Answer:
    return _show(request, OWN_NAME)


@on("POST", "/v1.0/users", "a new user", WRITE_USERS)
def _create(request: Request) -> Answer:
    body = request.body(*_NEEDED, "givenName", "surname", "passwordPolicies", "userType")
    for name in _NEEDED:
        if body.get(name) is None:
            text = f"A value is required for property '{name}' of resource 'User'."
            raise GraphError(400, "Request_BadRequest", text)
    upn, display_name = typed(body, "userPrincipalName", str), typed(body, "displayName", str)
    enabled, profile = typed(body, "accountEnabled", bool), _profile(body)
    typed(body, "mailNickname", str)
    if body.get("userType", "Member") != "Member":
        raise GraphError(400, "Request_BadRequest", "Invalid value specified for property 'userType': Member is known.")
    if profile.get("password") is None:
        text = "A value is required for property 'passwordProfile.password' of resource 'User'."
        raise GraphError(400, "Request_BadRequest", text)
    policies = typed(body, "passwordPolicies", str)
    read_policies(policies or "None")
    details = {name: typed(body, name, str) for name in ("givenName", "surname")}
    local, _, domain = upn.rpartition("@")
    if domain not in request.tenant.domains or request.tenant.is_federated(upn):
        text = (
            "The domain portion of the userPrincipalName property is invalid. You must use one of the verified domain "
            f"names in your organization that is not federated; it has: {', '.join(request.tenant.domains)}."
        )
        raise GraphError(400, "Request_BadRequest", text)
    user = request.tenant.create_user(local, profile["password"], display_name=display_name, domain=domain)
    must_change = profile.get("forceChangePasswordNextSignIn") is not False
    request.tenant.set_user(user, enabled=enabled, must_change=must_change, password_policies=policies)
    user.change_with_mfa = profile.get("forceChangePasswordNextSignInWithMfa") is True
    for name, value in details.items():
        user.set_detail(name, value)
    return show("users/$entity", describe(user, select(None)), status=201)


@on("PATCH", "/v1.0/users/{user}", ", ".join(_CHANGEABLE), (*WRITE_USERS, *WRITE_PASSWORDS))
def _update(request: Request, user: str) -> Answer:
    """Read all before anything is done: a request is applied as a whole or not at all."""
    body, found = request.body(*_CHANGEABLE), request.user(user)
    profile = _profile(body)
    if profile:
        request.require(WRITE_PASSWORDS, frozenset(WRITE_PASSWORDS), administrator=True)
    if set(body) - {"passwordProfile"}:
        request.require(WRITE_USERS, frozenset(WRITE_USERS), administrator=True)
    _refuse_mastered(found, body)
    enabled, display_name = typed(body, "accountEnabled", bool), typed(body, "displayName", str)
    details = {name: typed(body, name, str) for name in ("givenName", "surname") if name in body}
    policies = typed(body, "passwordPolicies", str) or ("None" if "passwordPolicies" in body else None)
    read_policies(policies or "None")
    upn = typed(body, "userPrincipalName", str)
    if upn is not None:
        request.tenant.check_name(found, upn)
    _set_password(request, found, profile)
    if upn is not None:
        request.tenant.rename_user(found, upn)
    request.tenant.set_user(found, enabled=enabled, password_policies=policies, display_name=display_name)
    for name, value in details.items():
        found.set_detail(name, value)
    return no_content()


@on("DELETE", "/v1.0/users/{user}", "into the recycle bin", RESTORE)
def _delete(request: Request, user: str) -> Answer:
    request.tenant.delete_user(request.user(user))
    return no_content()


def _profile(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """The ``passwordProfile``, checked; what is null in it is left out."""
    profile = typed(body, "passwordProfile", dict) or {}
    only(profile, *_PROFILE)
    kinds = dict(zip(_PROFILE, (str, bool, bool), strict=True))
    return {name: value for name in _PROFILE if (value := typed(profile, name, kinds[name])) is not None}


def _set_password(request: Request, user: CloudUser, profile: Mapping[str, Any]) -> None:
    """Apply a profile: a password is an administrator's reset; the flags alone leave the password as it is.

    The default of the property is to force a change (Graph's reference of passwordProfile). That a change is forced
    with multi-factor authentication is kept and shown; signing in needs none here.
    """
    with_mfa = profile.get("forceChangePasswordNextSignInWithMfa")
    must_change = profile.get("forceChangePasswordNextSignIn")
    if "password" in profile:
        request.tenant.reset_password(user, profile["password"], must_change is not False or with_mfa is True)
    elif must_change is not None or with_mfa is not None:
        request.tenant.set_user(user, must_change=must_change is True or with_mfa is True)
    if profile:
        user.change_with_mfa = with_mfa is True


def _refuse_mastered(user: CloudUser, body: Mapping[str, Any]) -> None:
    if user.source_anchor is not None and not body.keys().isdisjoint(_MASTERED):
        text = (
            "Unable to update the specified properties for on-premises mastered Directory Sync objects or objects "
            "currently undergoing migration."
        )
        raise GraphError(400, "Request_BadRequest", text)
