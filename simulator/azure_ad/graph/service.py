"""Graph for one tenant: the token first, then the route, then what it takes to go there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Each of these enters its routes as it is imported.
from simulator.azure_ad.errors import GraphError, graph_error
from simulator.azure_ad.graph import batch, deleted, directory, domains, passwords, users
from simulator.azure_ad.graph.properties import format_time
from simulator.azure_ad.graph.request import ROUTES, Operation, Request
from simulator.azure_ad.state import Tenant
from simulator.azure_ad.tokens import GRAPH_RESOURCE, InvalidToken, TokenIssuer
from simulator.azure_ad.wire import Answer, Call, bearer_token, json_answer
from simulator.refusal import Refusal

MODULES = (users, deleted, passwords, directory, domains, batch)
"""What has entered routes."""

_GRAPH_ID = "00000003-0000-0000-c000-000000000000"
_CHALLENGE = (
    'Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize", '
    f'client_id="{_GRAPH_ID}"'
)


class GraphService:
    """Graph for one tenant. Every call needs a token of this tenant for Graph."""

    def __init__(self, tenant: Tenant, issuer: TokenIssuer) -> None:
        self._tenant = tenant
        self._issuer = issuer
        self._operations: dict[str, Operation] = {}

    def handle(self, call: Call) -> Answer:
        """Answer a call to this host."""
        try:
            return self._route(call)
        except GraphError as error:
            return self._error(call, error)
        except Refusal as refusal:
            return self._error(call, graph_error(refusal))

    def _route(self, call: Call) -> Answer:
        request = Request(self._tenant, call, self._caller(call), self._operations, self.handle)
        found = ROUTES.find(call.method, call.path)
        if found is None:
            status = 405 if ROUTES.methods(call.path) else 404
            raise GraphError(status, "UnknownCall", ROUTES.explain(call.method, call.path))
        route, names = found
        return route.handle(request, **names)

    def _caller(self, call: Call) -> Mapping[str, Any]:
        try:
            return self._issuer.check(bearer_token(call), GRAPH_RESOURCE)
        except InvalidToken as error:
            raise GraphError(401, "InvalidAuthenticationToken", str(error)) from error

    def _error(self, call: Call, error: GraphError) -> Answer:
        request_id = str(self._tenant.randomness.uuid("azure_ad/traces"))
        inner = {
            "date": (format_time(self._tenant.clock()) or "").rstrip("Z"),
            "request-id": request_id,
            "client-request-id": call.headers.get("client-request-id", request_id),
        }
        body = {"error": {"code": error.code, "message": error.message, "innerError": inner}}
        return json_answer(error.status, body, [("WWW-Authenticate", _CHALLENGE)] if error.status == 401 else [])
