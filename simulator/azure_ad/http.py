"""The tenant behind HTTP: one WSGI application for all its hosts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from http import HTTPStatus
from types import TracebackType
from typing import Any, Protocol

from simulator.azure_ad import graph, login, provisioning
from simulator.azure_ad.state import Tenant
from simulator.azure_ad.tokens import TokenIssuer
from simulator.azure_ad.wire import Answer, Call, json_answer, read_form, unknown

BODY_MAX = 16 * 1024 * 1024
"""A longer request is answered with 413 and not read."""

_ExcInfo = tuple[type[BaseException], BaseException, TracebackType]


class StartResponse(Protocol):
    """The second argument of a WSGI application (PEP 3333)."""

    def __call__(
        self, status: str, headers: list[tuple[str, str]], exc_info: _ExcInfo | None = None, /
    ) -> Callable[[bytes], object]: ...


class TenantApplication:
    """WSGI application for login, provisioning service and Graph, routed by host and path.

    ``tenant`` is the state behind it, ``issuer`` signs its tokens. A host that the tenant does not have gets a 404 that
    names those it has. Calls must come one at a time: the state has no locks.
    """

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant
        self.issuer = TokenIssuer(tenant.clock, tenant.tenant_id)
        provisioning_service = provisioning.ProvisioningService(tenant, self.issuer)
        self._hosts: Mapping[str, Callable[[Call], Answer]] = {
            login.HOST: login.LoginService(tenant, self.issuer).handle,
            provisioning.HOST: provisioning_service.handle,
            provisioning.REGIONAL_HOST: provisioning_service.handle,
            graph.HOST: graph.GraphService(tenant, self.issuer).handle,
        }

    @property
    def hosts(self) -> tuple[str, ...]:
        """The host names that this application answers for."""
        return tuple(self._hosts)

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        answer = self.answer(environ)
        start_response(_status_line(answer.status), [*answer.headers, ("Content-Length", str(len(answer.body)))])
        return [] if environ.get("REQUEST_METHOD") == "HEAD" else [answer.body]

    def answer(self, environ: Mapping[str, Any]) -> Answer:
        """The answer to a WSGI environment; what ``__call__`` sends."""
        call = read_call(environ)
        if isinstance(call, Answer):
            return call
        handle = self._hosts.get(call.host)
        return unknown(call, [f"https://{host}" for host in self._hosts]) if handle is None else handle(call)


def read_call(environ: Mapping[str, Any]) -> Call | Answer:
    """The call in a WSGI environment, or the answer to one that can't be read."""
    try:
        length = int(environ.get("CONTENT_LENGTH") or 0)
        query = read_form(environ.get("QUERY_STRING", "").encode("latin-1", "replace"))
    except ValueError as error:
        return json_answer(400, {"error": {"code": "BadRequest", "message": f"unreadable request: {error}"}})
    if not 0 <= length <= BODY_MAX:
        return json_answer(413, {"error": {"code": "TooLarge", "message": f"at most {BODY_MAX} bytes"}})
    return Call(
        method=environ.get("REQUEST_METHOD", "GET"),
        host=host_of(environ),
        path=environ.get("PATH_INFO", "").encode("latin-1", "replace").decode("utf-8", "replace"),
        query=query,
        headers=_headers(environ),
        body=environ["wsgi.input"].read(length) if length else b"",
        environ=environ,
    )


def host_of(environ: Mapping[str, Any]) -> str:
    """The host that a call is for, lower case and without its port."""
    host: str = environ.get("HTTP_HOST") or environ.get("SERVER_NAME", "")
    return host.partition(":")[0].lower()


def _headers(environ: Mapping[str, Any]) -> dict[str, str]:
    headers = {_header(key): value for key, value in environ.items() if key[:5] == "HTTP_"}
    headers["content-type"] = environ.get("CONTENT_TYPE", "")
    return headers


@lru_cache(maxsize=256)
def _header(key: str) -> str:
    """The name of a header, lower case, by its key in a WSGI environment."""
    return key[5:].replace("_", "-").lower()


def _status_line(status: int) -> str:
    return f"{status} {HTTPStatus(status).phrase}"
