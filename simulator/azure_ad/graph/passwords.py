"""Passwords and sessions: an administrator's reset as a long-running operation, a user's own change, revocation.

That a password which the policy refuses fails in the operation, and not in the call that starts it, is unconfirmed.
"""

from __future__ import annotations

from typing import Any

from simulator.azure_ad.errors import GraphError, graph_error
from simulator.azure_ad.graph.properties import format_time
from simulator.azure_ad.graph.request import (
    BASE,
    METADATA,
    OWN_NAME,
    Operation,
    Request,
    no_content,
    on,
    show,
    typed,
)
from simulator.azure_ad.permissions import CHANGE_OWN, READ_METHODS, RESET, REVOKE
from simulator.azure_ad.users import CloudUser
from simulator.azure_ad.wire import Answer, json_answer
from simulator.refusal import Refusal

PASSWORD_METHOD = "28c10230-6103-485e-b985-444c60001490"  # noqa: S105 - the id of every user's password method
_METHOD_TYPE = "#microsoft.graph.passwordAuthenticationMethod"
_USER = "/v1.0/users/{user}"
_OPERATIONS_KEPT = 10_000


@on("GET", f"{_USER}/authentication/methods", "how a user signs in: by password", READ_METHODS)
def _list_methods(request: Request, user: str) -> Answer:
    found = request.user(user)
    value = [{"@odata.type": _METHOD_TYPE, **_method(found)}]
    return show(f"users('{found.id}')/authentication/methods", {"value": value})


@on("GET", f"{_USER}/authentication/passwordMethods", "the same by type", READ_METHODS)
def _list_password_methods(request: Request, user: str) -> Answer:
    found = request.user(user)
    return show(f"users('{found.id}')/authentication/passwordMethods", {"value": [_method(found)]})


@on("GET", f"{_USER}/authentication/passwordMethods/{{method}}", "the one method", READ_METHODS)
def _show_method(request: Request, user: str, method: str) -> Answer:
    found = request.user(user)
    _require_method(method)
    return show(f"users('{found.id}')/authentication/passwordMethods/$entity", _method(found))


@on(
    "POST",
    f"{_USER}/authentication/methods/{{method}}/resetPassword",
    "an administrator's reset; newPassword, or one is made",
    RESET,
    applications=False,
)
def _reset(request: Request, user: str, method: str) -> Answer:
    found, body = request.user(user), request.body("newPassword")
    _require_method(method)
    if found.id == request.caller_id:
        raise GraphError(403, "accessDenied", "This operation can't be performed on the caller's own account.")
    given = typed(body, "newPassword", str)
    password = given or _generated(request)
    operation = Operation(found.id, request.tenant.clock(), "succeeded")
    try:
        request.tenant.reset_password(found, password, must_change=True, everywhere=True)
    except Refusal as refusal:
        if not refusal.reason.startswith("password-"):
            raise
        operation.status, operation.detail = "failed", graph_error(refusal).message
    operation_id = str(request.tenant.randomness.uuid("azure_ad/operations"))
    while len(request.operations) >= _OPERATIONS_KEPT:
        del request.operations[next(iter(request.operations))]
    request.operations[operation_id] = operation
    answer: dict[str, Any] = {"@odata.context": f"{METADATA}#microsoft.graph.passwordResetResponse"}
    if given is None or not given:
        answer["newPassword"] = password
    location = f"{BASE}/users/{found.id}/authentication/operations/{operation_id}"
    return json_answer(202, answer, [("Location", location), ("Retry-After", "1")])


@on(
    "GET",
    f"{_USER}/authentication/operations/{{operation}}",
    "what became of a reset",
    READ_METHODS,
    applications=False,
)
def _show_operation(request: Request, user: str, operation: str) -> Answer:
    """The first look finds the operation running, whatever the clock does: how long one takes is not documented."""
    found = request.operations.get(operation)
    if found is None or found.user_id != request.user(user).id:
        raise GraphError(404, "resourceNotFound", f"There is no operation {operation[:100]!r}.")
    done, found.looked_at = found.looked_at, True
    value = {
        "id": operation,
        "createdDateTime": format_time(found.created),
        "lastActionDateTime": format_time(found.created),
        "resourceLocation": f"{BASE}/users/{found.user_id}/authentication/methods/{PASSWORD_METHOD}",
        "status": found.status if done else "running",
        "statusDetail": found.detail if done else None,
    }
    return show("microsoft.graph.longRunningOperation", value)


@on("POST", "/v1.0/me/changePassword", "the caller's own change", CHANGE_OWN, applications=False, own=CHANGE_OWN)
def _change_own(request: Request) -> Answer:
    return _change(request, OWN_NAME)


@on("POST", f"{_USER}/changePassword", "the same by name", CHANGE_OWN, applications=False, own=CHANGE_OWN)
def _change(request: Request, user: str) -> Answer:
    if not request.is_caller(user):
        raise GraphError(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
    body = request.body("currentPassword", "newPassword")
    current, new = typed(body, "currentPassword", str), typed(body, "newPassword", str)
    if current is None or new is None:
        raise GraphError(400, "Request_BadRequest", "currentPassword and newPassword are needed.")
    request.tenant.change_password(request.user(user), current, new)
    return no_content()


@on(
    "POST",
    "/v1.0/me/revokeSignInSessions",
    "revoke the caller's refresh tokens",
    REVOKE,
    applications=False,
    own=REVOKE,
)
def _revoke_own(request: Request) -> Answer:
    return _revoke(request, OWN_NAME)


@on("POST", f"{_USER}/revokeSignInSessions", "revoke all of a user's refresh tokens", REVOKE, own=REVOKE)
@on("POST", f"{_USER}/microsoft.graph.revokeSignInSessions", "the same by its full name", REVOKE, own=REVOKE)
def _revoke(request: Request, user: str) -> Answer:
    request.tenant.revoke_sessions(request.user(user))
    return show("Edm.Boolean", {"value": True})


def _method(user: CloudUser) -> dict[str, Any]:
    return {"id": PASSWORD_METHOD, "password": None, "createdDateTime": format_time(user.changed_at)}


def _require_method(method: str) -> None:
    if method.lower() != PASSWORD_METHOD:
        raise GraphError(404, "resourceNotFound", f"There is no password method {method[:100]!r}.")


def _generated(request: Request) -> str:
    return "Aa1!" + request.tenant.randomness.child("azure_ad/generated").randbytes(4).hex()
