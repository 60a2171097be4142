"""``$batch``: up to twenty calls in one. They are done in the order in which they stand.

Source: Graph's page on JSON batching. A call that depends on one that failed is not made: 424.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import unquote, urlsplit

from simulator.azure_ad.errors import GraphError
from simulator.azure_ad.graph.request import ROUTES, Request, only, typed
from simulator.azure_ad.wire import Answer, json_answer, read_form

REQUESTS_MAX = 20
_METHODS = frozenset({"GET", "POST", "PATCH", "PUT", "DELETE"})
_PATH = "/v1.0/$batch"
_FAILED = {"code": "FailedDependency", "message": "A request that this one depends on has failed."}


@ROUTES.on("POST", _PATH, "up to 20 calls in one")
def _batch(request: Request) -> Answer:
    parts = _parts(request)
    failed: set[str] = set()
    told = []
    for part in parts:
        if failed.intersection(part.get("dependsOn") or ()):
            answer = {"id": part["id"], "status": 424, "body": {"error": _FAILED}}
        else:
            answer = {"id": part["id"], **_perform(request, part)}
        if answer["status"] >= 400:
            failed.add(part["id"])
        told.append(answer)
    return json_answer(200, {"responses": told})


def _parts(request: Request) -> list[Mapping[str, Any]]:
    """The calls, each of them one that can be made. Raises GraphError, and then none is."""
    parts = typed(request.body("requests"), "requests", list) or []
    if not 0 < len(parts) <= REQUESTS_MAX:
        raise _bad(f"A batch has 1 to {REQUESTS_MAX} requests, got {len(parts)}.")
    seen: set[str] = set()
    for part in parts:
        if not isinstance(part, dict):
            raise _bad("Each request of a batch is an object.")
        only(part, "id", "method", "url", "headers", "body", "dependsOn")
        name, method, url = (typed(part, key, str) for key in ("id", "method", "url"))
        headers, before = typed(part, "headers", dict) or {}, typed(part, "dependsOn", list) or []
        if not name or name in seen or not url or (method or "").upper() not in _METHODS:
            raise _bad("Each request of a batch needs an id of its own, a method and a url.")
        if not all(isinstance(value, str) for value in headers.values()):
            raise _bad(f"Request {name[:50]!r}: header values are texts.")
        if any(each not in seen for each in before if isinstance(each, str)) or not all(
            isinstance(each, str) for each in before
        ):
            raise _bad(f"Request {name[:50]!r} depends on one that does not stand before it.")
        seen.add(name)
    return parts


def _perform(request: Request, part: Mapping[str, Any]) -> dict[str, Any]:
    url = urlsplit(part["url"])
    path = f"/v1.0/{unquote(url.path).strip('/')}"
    if url.scheme or url.netloc or path.lower() == _PATH:
        raise _bad(f"Request {part['id'][:50]!r}: a url is a path behind /v1.0, and no batch.")
    try:
        query = read_form(url.query.encode("utf-8", "replace"))
    except ValueError as error:
        raise _bad(f"Request {part['id'][:50]!r}: too many query options.") from error
    headers = {name.lower(): value for name, value in (part.get("headers") or {}).items()}
    headers.setdefault("content-type", "application/json")
    headers["authorization"] = request.call.headers.get("authorization", "")
    body = b"" if part.get("body") is None else json.dumps(part["body"]).encode()
    call = replace(request.call, method=part["method"].upper(), path=path, query=query, headers=headers, body=body)
    return _shown(request.answer(call))


def _shown(answer: Answer) -> dict[str, Any]:
    headers = dict(answer.headers)
    told: dict[str, Any] = {"status": answer.status, "headers": headers}
    if answer.body:
        is_json = headers.get("Content-Type", "").startswith("application/json")
        told["body"] = json.loads(answer.body) if is_json else b64encode(answer.body).decode()
    return told


def _bad(text: str) -> GraphError:
    return GraphError(400, "BadRequest", text)
