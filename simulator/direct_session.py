"""A ``requests`` session whose calls to the world's own hosts go straight to what answers them.

``responses`` takes the place of the network for every client in a process, which is what strangers need. The agent of a
world makes half of its calls to the tenant through the one session of that world, and in a small scenario preparing,
matching and dressing up these calls took more time than answering them. This session prepares the plain ones with the
methods of ``requests`` that they need, asks the application, and hands out the answer. Whatever else is asked of it
(other hosts, cookies, files, streams) goes the usual way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from http.client import responses as reasons
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.structures import CaseInsensitiveDict
from requests.utils import check_header_validity, get_encoding_from_headers

from simulator.azure_ad.doubles import Application, send

PLAIN = frozenset({"data", "headers", "timeout", "allow_redirects"})
"""Options of a call that is made the short way."""


class DirectSession(requests.Session):
    """Straight to an application's hosts while :meth:`answered_by` is open; an ordinary session otherwise.

    It trusts no environment: neither a proxy nor a ``.netrc`` of this machine has a place in a simulation.
    """

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False
        self._application: Application | None = None
        self._hosts: frozenset[str] = frozenset()

    @contextmanager
    def answered_by(self, application: Application) -> Iterator[None]:
        """In this block, calls to the application's hosts go to it."""
        self._application, self._hosts = application, frozenset(application.hosts)
        try:
            yield
        finally:
            self._application, self._hosts = None, frozenset()

    def request(self, method: str | bytes, url: str | bytes, *positional: Any, **options: Any) -> requests.Response:
        """Make a call; raises what ``requests`` raises."""
        application = self._application
        if application is None or positional or not self._is_plain(url, options):
            return super().request(method, url, *positional, **options)
        prepared = self.prepare_plain(str(method), str(url), options.get("data"), options.get("headers"))
        status, headers, body = send(application, prepared)
        response = requests.Response()
        response.status_code = status
        response.headers = CaseInsensitiveDict(headers)
        response.encoding = get_encoding_from_headers(response.headers)
        response.reason = reasons.get(status, "")
        response.url = prepared.url or ""
        response.request = prepared
        response._content = body
        response._content_consumed = True  # type: ignore[attr-defined]
        if options.get("allow_redirects", True) and response.is_redirect:
            prepared.prepare_cookies({})
            passed: list[requests.Response] = [response, *self.resolve_redirects(response, prepared)]
            response = passed.pop()
            response.history = passed
        return response

    def prepare_plain(
        self, method: str, url: str, data: Any, headers: Mapping[str, str | bytes] | None
    ) -> requests.PreparedRequest:
        """What :meth:`requests.Session.prepare_request` makes of a request without anything else."""
        prepared = requests.PreparedRequest()
        prepared.method = method.upper()
        prepared.url = _prepared_url(url)
        prepared.headers = CaseInsensitiveDict()
        merged: dict[str, Any] = {**self.headers, **(headers or {})}
        for name, value in merged.items():
            if type(value) is str:
                _check_header(name, value)
            else:
                check_header_validity((name, value))
            prepared.headers[name] = value
        prepared.prepare_body(data, None)
        return prepared

    def _is_plain(self, url: str | bytes, options: Mapping[str, Any]) -> bool:
        if not isinstance(url, str) or _host(url) not in self._hosts or self.cookies:
            return False
        return all(name in PLAIN or not value for name, value in options.items())


@lru_cache(maxsize=256)
def _prepared_url(url: str) -> str:
    prepared = requests.PreparedRequest()
    prepared.prepare_url(url, None)
    return prepared.url or ""


@lru_cache(maxsize=1024)
def _check_header(name: str, value: str) -> None:
    """Raise what requests raises for a header that is none; nearly all headers have been seen before."""
    check_header_validity((name, value))


@lru_cache(maxsize=256)
def _host(url: str) -> str:
    """The host of an address that needs no more care: https, the port that goes without saying, no user named."""
    parts = urlsplit(url)
    return parts.netloc.lower() if parts.scheme.lower() == "https" else ""
