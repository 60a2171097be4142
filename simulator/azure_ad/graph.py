"""graph.microsoft.com, version 1.0: users, their passwords and sessions, and the features of synchronization.

Shapes follow Graph's reference. A password that the policy refuses is answered at once, not by the operation that
resetPassword starts (unconfirmed).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any
from urllib.parse import urlencode

from simulator.azure_ad.errors import GraphError, graph_error
from simulator.azure_ad.graph_users import format_time, read_filter, select, show
from simulator.azure_ad.passwords import FORCE_CHANGE, POLICY_FOR_SYNCED
from simulator.azure_ad.policy import read_policies
from simulator.azure_ad.routes import Routes, split
from simulator.azure_ad.state import ADMINISTRATOR, PASSWORD_SYNC, Tenant
from simulator.azure_ad.tokens import GRAPH_RESOURCE, ROLE_TEMPLATES, InvalidToken, TokenIssuer
from simulator.azure_ad.users import CloudUser
from simulator.azure_ad.wire import Answer, Call, bearer_token, json_answer
from simulator.refusal import Refusal

HOST = "graph.microsoft.com"
PASSWORD_METHOD = "28c10230-6103-485e-b985-444c60001490"  # noqa: S105 - the id of every user's password method
PAGE_SIZE = 100
PAGE_SIZE_MAX = 999

Claims = Mapping[str, Any]

_METADATA = f"https://{HOST}/v1.0/$metadata"
ROUTES = Routes(HOST)
"""What is answered: entered by the methods of :class:`GraphService`, each called with the call, the claims of the
caller's token, and the names in the path."""
_OWN = (["v1.0", "me"],)
_QUERY = frozenset({"$select", "$filter", "$top", "$skiptoken"})
_FEATURES = {
    "passwordSyncEnabled": PASSWORD_SYNC,
    "cloudPasswordPolicyForPasswordSyncedUsersEnabled": POLICY_FOR_SYNCED,
    "userForcePasswordChangeOnLogonEnabled": FORCE_CHANGE,
}


class GraphService:
    """Graph for one tenant. Every call needs a token for Graph; all but a user's own need an administrator's."""

    def __init__(self, tenant: Tenant, issuer: TokenIssuer) -> None:
        self._tenant = tenant
        self._issuer = issuer
        self._operations: dict[str, str] = {}

    def handle(self, call: Call) -> Answer:
        """Answer a call to this host."""
        try:
            return self._route(call)
        except GraphError as error:
            return self._error(call, error)
        except Refusal as refusal:
            return self._error(call, graph_error(refusal))

    def _route(self, call: Call) -> Answer:
        caller = self._caller(call)
        if split(call.path)[:2] not in _OWN:
            _require_administrator(caller)
        found = ROUTES.find(call.method, call.path)
        if found is None:
            status = 405 if ROUTES.methods(call.path) else 404
            raise GraphError(status, "UnknownCall", ROUTES.explain(call.method, call.path))
        route, names = found
        return route.handle(self, call, caller, **names)

    @ROUTES.on("GET", "/v1.0/me", "the signed-in user")
    def _show_me(self, call: Call, caller: Claims) -> Answer:
        return self._show(call, self._tenant.users.by_id(str(caller.get("oid"))))

    @ROUTES.on("GET", "/v1.0/users/{user}", "one user, by id or userPrincipalName; $select")
    def _show_user(self, call: Call, caller: Claims, user: str) -> Answer:
        return self._show(call, self._find(user))

    @ROUTES.on("DELETE", "/v1.0/users/{user}", "into the recycle bin")
    def _delete(self, call: Call, caller: Claims, user: str) -> Answer:
        self._tenant.delete_user(self._find(user))
        return Answer(204, [], b"")

    @ROUTES.on("POST", "/v1.0/users/{user}/revokeSignInSessions", "revoke all refresh tokens")
    @ROUTES.on("POST", "/v1.0/users/{user}/microsoft.graph.revokeSignInSessions", "the same by its full name")
    def _revoke(self, call: Call, caller: Claims, user: str) -> Answer:
        self._tenant.revoke_sessions(self._find(user))
        return json_answer(200, {"@odata.context": f"{_METADATA}#Edm.Boolean", "value": True})

    @ROUTES.on("PATCH", "/v1.0/organization/{tenant}", "onPremisesSyncEnabled")
    def _organization(self, call: Call, caller: Claims, tenant: str) -> Answer:
        if tenant != self._tenant.tenant_id:
            raise _not_found(tenant)
        _only(_body(call), "onPremisesSyncEnabled")
        return Answer(204, [], b"")

    def _caller(self, call: Call) -> Mapping[str, Any]:
        try:
            return self._issuer.check(bearer_token(call), GRAPH_RESOURCE)
        except InvalidToken as error:
            raise GraphError(401, "InvalidAuthenticationToken", str(error)) from error

    def _find(self, name: str) -> CloudUser:
        user = self._tenant.users.by_id(name.lower()) or self._tenant.find_by_upn(name)
        if user is None:
            raise _not_found(name)
        return user

    @ROUTES.on("GET", "/v1.0/users", "all users; $select, $filter, $top")
    def _list(self, call: Call, caller: Claims) -> Answer:
        _check_query(call)
        names = select(call.query.get("$select"))
        filtered = call.query.get("$filter")
        wanted: Callable[[CloudUser], bool] = read_filter(filtered) if filtered is not None else lambda user: True
        size = _number(call.query.get("$top"), "$top", PAGE_SIZE, PAGE_SIZE_MAX)
        start = _number(call.query.get("$skiptoken"), "$skiptoken", 0, None)
        found = list(islice((user for user in self._tenant.users if wanted(user)), start, start + size + 1))
        value: dict[str, Any] = {
            "@odata.context": f"{_METADATA}#users",
            "value": [show(u, names) for u in found[:size]],
        }
        if len(found) > size:
            rest = {key: text for key, text in call.query.items() if key != "$skiptoken"}
            value["@odata.nextLink"] = f"https://{HOST}/v1.0/users?{_query(rest | {'$skiptoken': str(start + size)})}"
        return json_answer(200, value)

    def _show(self, call: Call, user: CloudUser | None) -> Answer:
        _check_query(call)
        if user is None:
            raise _not_found("me")
        value = show(user, select(call.query.get("$select")))
        return json_answer(200, {"@odata.context": f"{_METADATA}#users/$entity", **value})

    @ROUTES.on("POST", "/v1.0/users", "a new user")
    def _create(self, call: Call, caller: Claims) -> Answer:
        body = _body(call)
        upn, profile = body.get("userPrincipalName"), body.get("passwordProfile")
        password = profile.get("password") if isinstance(profile, dict) else None
        if not isinstance(upn, str) or not isinstance(password, str) or not isinstance(profile, dict):
            text = "A user needs accountEnabled, displayName, mailNickname, userPrincipalName and passwordProfile."
            raise GraphError(400, "Request_BadRequest", text)
        name, _, domain = upn.rpartition("@")
        if domain.lower() != self._tenant.tenant_domain.lower():
            text = f"The domain portion of the userPrincipalName must be {self._tenant.tenant_domain}."
            raise GraphError(400, "Request_BadRequest", text)
        display_name = _typed(body, "displayName", str)
        enabled = _typed(body, "accountEnabled", bool)
        must_change = _typed(profile, "forceChangePasswordNextSignIn", bool)
        user = self._tenant.create_user(name, password, display_name=display_name)
        self._tenant.set_user(user, enabled=enabled, must_change=must_change is not False)
        value = show(user, select(None))
        return json_answer(201, {"@odata.context": f"{_METADATA}#users/$entity", **value})

    @ROUTES.on("PATCH", "/v1.0/users/{user}", "accountEnabled, displayName, passwordPolicies, passwordProfile")
    def _patch(self, call: Call, caller: Claims, user: str) -> Answer:
        return self._update(self._find(user), _body(call))

    def _update(self, user: CloudUser, body: Mapping[str, Any]) -> Answer:
        _only(body, "accountEnabled", "displayName", "passwordPolicies", "passwordProfile")
        enabled, display_name = _typed(body, "accountEnabled", bool), _typed(body, "displayName", str)
        policies = "None" if "passwordPolicies" in body else None
        policies = _typed(body, "passwordPolicies", str) or policies
        # Read before anything is done: a request is applied as a whole or not at all.
        read_policies(policies or "None")
        profile = _typed(body, "passwordProfile", dict) or {}
        _only(profile, "password", "forceChangePasswordNextSignIn")
        password = _typed(profile, "password", str)
        must_change = _typed(profile, "forceChangePasswordNextSignIn", bool)
        if password is not None:
            # The default of the property is to force a change (Graph's reference of passwordProfile).
            self._tenant.reset_password(user, password, must_change is not False)
        self._tenant.set_user(
            user, enabled=enabled, password_policies=policies, must_change=must_change, display_name=display_name
        )
        return Answer(204, [], b"")

    @ROUTES.on("POST", "/v1.0/users/{name}/authentication/methods/{method}/resetPassword", "an administrator's reset")
    def _reset(self, call: Call, caller: Claims, name: str, method: str) -> Answer:
        user, body = self._find(name), _body(call)
        if method != PASSWORD_METHOD:
            raise GraphError(404, "resourceNotFound", f"There is no password method {method!r}.")
        _only(body, "newPassword")
        password = _typed(body, "newPassword", str)
        generated = password or self._generated_password()
        self._tenant.reset_password(user, generated, must_change=True)
        operation = str(self._tenant.randomness.uuid("azure_ad/operations"))
        self._operations[operation] = user.id
        location = f"https://{HOST}/v1.0/users/{user.id}/authentication/operations/{operation}"
        answer: dict[str, Any] = {"@odata.context": f"{_METADATA}#microsoft.graph.passwordResetResponse"}
        return json_answer(202, answer | ({} if password else {"newPassword": generated}), [("Location", location)])

    @ROUTES.on("GET", "/v1.0/users/{name}/authentication/operations/{operation}", "what became of a reset")
    def _operation(self, call: Call, caller: Claims, name: str, operation: str) -> Answer:
        user = self._find(name)
        if self._operations.get(operation) != user.id:
            raise GraphError(404, "resourceNotFound", f"There is no operation {operation!r}.")
        value = {"id": operation, "status": "succeeded", "statusDetail": None}
        return json_answer(200, {"@odata.context": f"{_METADATA}#microsoft.graph.longRunningOperation", **value})

    @ROUTES.on("POST", "/v1.0/me/changePassword", "the user's own change")
    def _change_password(self, call: Call, caller: Claims) -> Answer:
        user_id, body = str(caller.get("oid")), _body(call)
        current, new = _typed(body, "currentPassword", str), _typed(body, "newPassword", str)
        if current is None or new is None:
            raise GraphError(400, "Request_BadRequest", "currentPassword and newPassword are needed.")
        self._tenant.change_password(self._tenant.users.by_id(user_id), current, new)
        return Answer(204, [], b"")

    @ROUTES.on("GET", "/v1.0/directory/onPremisesSynchronization", "the features of synchronization")
    @ROUTES.on("PATCH", "/v1.0/directory/onPremisesSynchronization", "switch features")
    @ROUTES.on("GET", "/v1.0/directory/onPremisesSynchronization/{tenant}", "the same by the tenant's id")
    @ROUTES.on("PATCH", "/v1.0/directory/onPremisesSynchronization/{tenant}", "the same by the tenant's id")
    def _synchronization(self, call: Call, caller: Claims, tenant: str = "") -> Answer:
        if call.method == "PATCH":
            body = _body(call)
            _only(body, "features")
            features = _typed(body, "features", dict) or {}
            _only(features, *_FEATURES)
            wanted = {_FEATURES[name]: _typed(features, name, bool) for name in features}
            for feature, on in wanted.items():
                self._tenant.set_feature(feature, bool(on))
            return Answer(204, [], b"")
        shown = {name: feature in self._tenant.features for name, feature in _FEATURES.items()}
        return json_answer(200, {"id": self._tenant.tenant_id, "features": shown})

    def _generated_password(self) -> str:
        return "Aa1!" + self._tenant.randomness.child("azure_ad/generated").randbytes(4).hex()

    def _error(self, call: Call, error: GraphError) -> Answer:
        request_id = str(self._tenant.randomness.uuid("azure_ad/traces"))
        inner = {
            "date": (format_time(self._tenant.clock()) or "").rstrip("Z"),
            "request-id": request_id,
            "client-request-id": call.headers.get("client-request-id", request_id),
        }
        return json_answer(error.status, {"error": {"code": error.code, "message": error.message, "innerError": inner}})


def _require_administrator(caller: Mapping[str, Any]) -> None:
    roles = caller.get("wids")
    if not isinstance(roles, list) or ROLE_TEMPLATES[ADMINISTRATOR] not in roles:
        raise GraphError(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")


def _not_found(name: str) -> GraphError:
    text = f"Resource '{name}' does not exist or one of its queried reference-property objects are not present."
    return GraphError(404, "Request_ResourceNotFound", text)


def _body(call: Call) -> Mapping[str, Any]:
    try:
        value = json.loads(call.body or b"{}")
    except (ValueError, RecursionError) as error:
        raise GraphError(400, "BadRequest", "Unable to read JSON request payload.") from error
    if not isinstance(value, dict):
        raise GraphError(400, "BadRequest", "The JSON request payload must be an object.")
    return value


def _only(body: Mapping[str, Any], *known: str) -> None:
    unknown_names = [name for name in body if name not in known and not name.startswith("@odata.")]
    if unknown_names:
        text = f"Unknown properties: {', '.join(unknown_names)}. This simulation can change: {', '.join(known)}."
        raise GraphError(400, "Request_BadRequest", text)


def _typed(body: Mapping[str, Any], name: str, kind: type) -> Any:
    """The value of a property, None if it is null or not there. Raises GraphError for another type."""
    value = body.get(name)
    if value is not None and not isinstance(value, kind):
        raise GraphError(400, "Request_BadRequest", f"Invalid value specified for property '{name}'.")
    return value


def _check_query(call: Call) -> None:
    unknown_names = [name for name in call.query if name not in _QUERY]
    if unknown_names:
        text = f"Unsupported query options: {', '.join(unknown_names)}. Known: {', '.join(sorted(_QUERY))}."
        raise GraphError(400, "BadRequest", text)


def _number(text: str | None, name: str, default: int, highest: int | None) -> int:
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 9) or (
        highest is not None and not 0 < int(text) <= highest
    ):
        raise GraphError(400, "BadRequest", f"Invalid value specified for query option {name}: {text!r}.")
    return int(text)


def _query(parts: Mapping[str, str]) -> str:
    return urlencode(parts, safe="$,")
