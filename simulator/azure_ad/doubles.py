"""The tenant in place of the network: requests of this process go straight to the application.

``send`` turns one prepared request into a WSGI call; :class:`TenantDouble` lets ``responses`` catch everything that is
meant for the tenant's hosts. One callback per host: ``responses`` looks through its list for every request.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from functools import lru_cache
from io import BytesIO
from types import TracebackType
from typing import Any, Protocol
from urllib.parse import unquote_to_bytes, urlsplit

import requests
import responses

from simulator.azure_ad.wire import Answer

_OWN_KEYS = frozenset({"content-type", "content-length", "host"})
"""Headers that have a place of their own in a WSGI environment."""


class Application(Protocol):
    """Answers WSGI environments for some hosts, as :class:`simulator.azure_ad.http.TenantApplication` does."""

    @property
    def hosts(self) -> Sequence[str]: ...

    def answer(self, environ: Mapping[str, Any]) -> Answer: ...


def send(
    application: Application,
    request: requests.PreparedRequest,
    environ_extra: Mapping[str, Any] | None = None,
) -> Answer:
    """Hand a prepared request to the application: (status, header pairs, body).

    environ_extra: keys to add to the WSGI environment, such as ``pwsync.item_results``.
    """
    return application.answer(_environ(request) | dict(environ_extra or {}))


class TenantDouble:
    """Context manager: while it is open, ``requests`` to the tenant's hosts are answered by ``application``.

    ``mock`` is the ``responses`` double in which the hosts are registered; left out, one of its own is started, and a
    request for any other host then fails as a broken connection.
    """

    def __init__(self, application: Application, mock: responses.RequestsMock | None = None) -> None:
        self._application = application
        self._own = mock is None
        self._mock = mock or responses.RequestsMock(assert_all_requests_are_fired=False)
        self._registered: list[_HostResponse] = []

    def __enter__(self) -> TenantDouble:
        for host in self._application.hosts:
            response = _HostResponse(host, self._application, self._mock.calls if self._own else None)
            self._registered.append(response)
            self._mock.add(response)
        if self._own:
            self._mock.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for response in self._registered:
            self._mock.remove(response)
        self._registered.clear()
        if self._own:
            self._mock.stop(allow_assert=False)


class _HostResponse(responses.CallbackResponse):
    """Answers every method on one host; a plain callback would have to be registered once per method."""

    def __init__(self, host: str, application: Application, kept: responses.CallList | None) -> None:
        pattern = re.compile(rf"https://{re.escape(host)}(?::443)?(?:[/?#]|$)", re.IGNORECASE)
        super().__init__("ANY", pattern, callback=self._call, content_type=None)
        self._application = application
        self._kept = kept

    def matches(self, request: requests.PreparedRequest) -> tuple[bool, str]:
        found = self._url_matches(self.url, str(request.url))
        return found, "" if found else "URL does not match"

    def _call(self, request: requests.PreparedRequest) -> tuple[int, dict[str, str], bytes]:
        # Every call would be kept otherwise, with its body, for as long as the double lives.
        self.calls.reset()
        if self._kept is not None:
            self._kept.reset()
        answer = send(self._application, request)
        return answer.status, dict(answer.headers), answer.body


def _environ(request: requests.PreparedRequest) -> dict[str, Any]:
    url = urlsplit(request.url or "")
    body = request.body or b""
    data = body.encode() if isinstance(body, str) else bytes(body)
    environ: dict[str, Any] = {
        _key(name): _text(value) for name, value in request.headers.items() if name.lower() not in _OWN_KEYS
    }
    environ.update(
        {
            "REQUEST_METHOD": request.method or "GET",
            "HTTP_HOST": url.netloc.rpartition("@")[2],
            "SERVER_NAME": url.hostname or "",
            "SERVER_PORT": str(url.port or 443),
            "SERVER_PROTOCOL": "HTTP/1.1",
            "PATH_INFO": unquote_to_bytes(url.path).decode("latin-1"),
            "SCRIPT_NAME": "",
            "QUERY_STRING": url.query,
            "CONTENT_TYPE": _text(request.headers.get("Content-Type", "")),
            "CONTENT_LENGTH": str(len(data)),
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": url.scheme,
            "wsgi.input": BytesIO(data),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": False,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
    )
    return environ


@lru_cache(maxsize=256)
def _key(name: str) -> str:
    """The key of a header in a WSGI environment."""
    return f"HTTP_{name.upper().replace('-', '_')}"


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value
