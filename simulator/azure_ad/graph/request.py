"""One call of Graph as its routes see it, the table of the routes, and what a caller needs for each."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from typing import Any, TypeVar

from simulator.azure_ad.errors import GraphError
from simulator.azure_ad.permissions import APPLICATION
from simulator.azure_ad.routes import Routes
from simulator.azure_ad.state import ADMINISTRATOR, Tenant
from simulator.azure_ad.tokens import ROLE_TEMPLATES
from simulator.azure_ad.users import CloudUser
from simulator.azure_ad.wire import Answer, Call, json_answer

HOST = "graph.microsoft.com"
BASE = f"https://{HOST}/v1.0"
METADATA = f"{BASE}/$metadata"
ROUTES = Routes(HOST)
"""What is answered: entered by the functions of this package by :func:`on`."""

OWN_NAME = "me"
"""In place of a user's name: the caller."""
_OWN_PATH = "/v1.0/me"

Handler = TypeVar("Handler", bound=Callable[..., Answer])


@dataclass(slots=True)
class Operation:
    """A password reset that was asked for: whose, since when, how it stands, and why it failed if it did."""

    user_id: str
    created: datetime
    status: str
    detail: str | None = None
    looked_at: bool = False


class Request:
    """A call with a valid token. caller: the token's claims. operations: the resets of this tenant, by id. answer: what
    the service answers to another call, for calls within calls."""

    def __init__(
        self,
        tenant: Tenant,
        call: Call,
        caller: Mapping[str, Any],
        operations: dict[str, Operation],
        answer: Callable[[Call], Answer],
    ) -> None:
        self.tenant = tenant
        self.call = call
        self.caller = caller
        self.operations = operations
        self.answer = answer

    @property
    def is_application(self) -> bool:
        """Whether an application calls for itself, without a user."""
        return self.caller.get("idtyp") == "app"

    @property
    def caller_id(self) -> str:
        """The id of the user who calls."""
        return str(self.caller.get("oid"))

    def is_caller(self, name: str) -> bool:
        """Whether a user's id or sign-in name is the caller's own."""
        if self.is_application:
            return False
        return name.lower() in (self.caller_id, str(self.caller.get("upn")).lower(), OWN_NAME)

    def user(self, name: str) -> CloudUser:
        """A live user, by id or sign-in name; ``me``: the caller. Raises GraphError."""
        if name == OWN_NAME:
            name = self.caller_id
        user = self.tenant.users.by_id(name.lower()) or self.tenant.find_by_upn(name)
        if user is None:
            raise not_found(name)
        return user

    def body(self, *known: str) -> Mapping[str, Any]:
        """The JSON object in the body, which has no properties but ``known`` ones. Raises GraphError."""
        kind = self.call.headers.get("content-type", "").partition(";")[0].strip().lower()
        if self.call.body and kind != "application/json":
            text = "Entity only allows writes with a JSON Content-Type header."
            raise GraphError(400, "BadRequest", text)
        try:
            value = json.loads(self.call.body or b"{}")
        except (ValueError, RecursionError) as error:
            raise GraphError(400, "BadRequest", "Unable to read JSON request payload.") from error
        if not isinstance(value, dict):
            raise GraphError(400, "BadRequest", "The JSON request payload must be an object.")
        only(value, *known)
        return value

    def query(self, *known: str) -> Mapping[str, str]:
        """The options in the query, all of which must be ``known``. Raises GraphError."""
        unknown_names = [name for name in self.call.query if name not in known]
        if unknown_names:
            text = f"Unsupported query options: {', '.join(unknown_names)[:500]}. Known: {', '.join(sorted(known))}."
            raise GraphError(400, "BadRequest", text)
        return self.call.query

    def require(self, permissions: Sequence[str], applications: frozenset[str], *, administrator: bool) -> None:
        """Refuse a caller without one of the permissions, or without the role. Raises GraphError."""
        if self.is_application:
            allowed = not applications.isdisjoint(_words(self.caller.get("roles")))
        else:
            allowed = not set(permissions).isdisjoint(str(self.caller.get("scp", "")).split())
            if administrator:
                allowed = allowed and ROLE_TEMPLATES[ADMINISTRATOR] in _words(self.caller.get("wids"))
        if not allowed:
            raise GraphError(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")


def on(
    method: str,
    path: str,
    about: str,
    permissions: Sequence[str],
    *,
    applications: bool = True,
    administrator: bool = True,
    own: Sequence[str] = (),
) -> Callable[[Handler], Handler]:
    """Enter the decorated function for calls of ``method`` to ``path``.

    permissions: a client needs one of these; one on behalf of a user, who besides has to be an administrator if
    ``administrator``; or, with ``applications``, an application of its own. own: for whoever asks for their own user
    one of these is enough, and no role is needed.
    """
    roles = frozenset(permissions) & APPLICATION if applications else frozenset()

    def enter(function: Handler) -> Handler:
        @wraps(function)
        def handle(request: Request, **names: str) -> Answer:
            if request.is_application and path.startswith(_OWN_PATH):
                text = "/me request is only valid with delegated authentication flow."
                raise GraphError(400, "BadRequest", text)
            if own and request.is_caller(names.get("user", OWN_NAME)):
                request.require((*own, *permissions), roles, administrator=False)
            else:
                request.require(permissions, roles, administrator=administrator)
            return function(request, **names)

        ROUTES.on(method, path, about)(handle)
        return function

    return enter


def only(body: Mapping[str, Any], *known: str) -> None:
    """Refuse an object with other properties than these. Raises GraphError."""
    unknown_names = [name for name in body if name not in known and not name.startswith("@odata.")]
    if unknown_names:
        shown = ", ".join(unknown_names)[:500]
        text = f"Unknown properties: {shown}. This simulation can change: {', '.join(known) or 'nothing'}."
        raise GraphError(400, "Request_BadRequest", text)


def typed(body: Mapping[str, Any], name: str, kind: type) -> Any:
    """The value of a property, None if it is null or not there. Raises GraphError for another type."""
    value = body.get(name)
    if value is not None and (not isinstance(value, kind) or (kind is int and isinstance(value, bool))):
        raise GraphError(400, "Request_BadRequest", f"Invalid value specified for property '{name}'.")
    return value


def not_found(name: str) -> GraphError:
    """The error for an object that is not there."""
    text = f"Resource '{name[:200]}' does not exist or one of its queried reference-property objects are not present."
    return GraphError(404, "Request_ResourceNotFound", text)


def show(context: str, value: Mapping[str, Any], status: int = 200, headers: Sequence[tuple[str, str]] = ()) -> Answer:
    """An answer with one object of Graph's."""
    return json_answer(status, {"@odata.context": f"{METADATA}#{context}", **value}, headers)


def no_content() -> Answer:
    """The answer to what was done and has nothing to show."""
    return Answer(204, [], b"")


def _words(value: object) -> set[str]:
    return {word for word in value if isinstance(word, str)} if isinstance(value, list) else set()
