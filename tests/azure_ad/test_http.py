"""The application as a web server would run it."""

from __future__ import annotations

import json
from io import BytesIO
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest


def run(application, **environ):
    """One WSGI call: (status line, headers, body)."""
    setup_testing_defaults(environ)
    seen = {}

    def start_response(status, headers, exc_info=None):
        seen.update(status=status, headers=dict(headers))
        return lambda data: None

    parts = application(environ, start_response)
    try:
        body = b"".join(parts)
    finally:
        getattr(parts, "close", lambda: None)()
    return seen["status"], seen["headers"], body


def test_keeps_the_protocol(application):
    """The validator of the standard library has nothing to say."""
    path = f"/{application.tenant.tenant_id}/v2.0/.well-known/openid-configuration"
    where = {"HTTP_HOST": "login.microsoftonline.com:443", "PATH_INFO": path, "SCRIPT_NAME": "", "QUERY_STRING": ""}
    status, headers, body = run(validator(application), **where)
    assert (status, headers["Content-Length"]) == ("200 OK", str(len(body)))


def test_unknown_host(application):
    """A host that the tenant does not have is told which it has."""
    status, _, body = run(application, HTTP_HOST="www.example.com")
    assert status == "404 Not Found"
    message = json.loads(body)["error"]["message"]
    assert all(host in message for host in application.hosts)


@pytest.mark.parametrize(
    "host", ["login.microsoftonline.com", "adminwebservice.microsoftonline.com", "graph.microsoft.com"]
)
@pytest.mark.parametrize(
    ("environ", "status"),
    [
        ({"CONTENT_LENGTH": "x"}, "400"),
        ({"CONTENT_LENGTH": "-1"}, "413"),
        ({"CONTENT_LENGTH": str(10**12)}, "413"),
        ({"QUERY_STRING": "a=1&" * 1000}, "400"),
        ({"CONTENT_LENGTH": "10", "wsgi.input": BytesIO(b"short"), "REQUEST_METHOD": "POST"}, "4"),
        ({"PATH_INFO": "/\xff\xfe/\u2603"}, "4"),
        ({"REQUEST_METHOD": "BREW"}, "4"),
        ({"HTTP_AUTHORIZATION": "Bearer \xff"}, "4"),
    ],
)
def test_odd_requests(application, host, environ, status):
    """Requests that make no sense are answered, with a status of the client's fault."""
    assert run(application, HTTP_HOST=host, **environ)[0].startswith(status)


def test_head(application):
    """HEAD has no body."""
    assert run(application, HTTP_HOST="graph.microsoft.com", REQUEST_METHOD="HEAD")[2] == b""
