"""One HTTP call and its answer, between the web server's interface and the tenant's services."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

FIELDS_MAX = 200
_JSON = "application/json; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Call:
    """A request. host: lower case, no port. path: decoded. headers: lower-case names. environ: the WSGI environment."""

    method: str
    host: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    environ: Mapping[str, Any] = field(default_factory=dict)


class Answer(NamedTuple):
    """An HTTP answer: status, header pairs, body."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


def json_answer(status: int, value: Mapping[str, Any], headers: Iterable[tuple[str, str]] = ()) -> Answer:
    """An answer whose body is JSON."""
    return Answer(status, [("Content-Type", _JSON), *headers], json.dumps(value, separators=(",", ":")).encode())


def unknown(call: Call, known: Iterable[str]) -> Answer:
    """The answer to a call that the simulation does not have: what came, and what it knows."""
    message = f"The simulated tenant has no {call.method} https://{call.host}{call.path}. It knows: {'; '.join(known)}."
    return json_answer(404, {"error": {"code": "UnknownCall", "message": message}})


def read_form(text: bytes) -> dict[str, str]:
    """The fields of a form or a query; the last of a name wins. Raises ValueError for more than 200 of them."""
    decoded = text.decode("utf-8", "replace")
    return dict(parse_qsl(decoded, keep_blank_values=True, max_num_fields=FIELDS_MAX))


def bearer_token(call: Call) -> str:
    """The token of the Authorization header; empty if there is none."""
    kind, _, token = call.headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""
