"""Lists of users: ``$select``, ``$filter``, ``$orderby``, ``$count``, and pages that go on where the last one ended."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Iterator
from itertools import dropwhile, islice
from typing import Any
from urllib.parse import urlencode

from simulator.azure_ad.errors import GraphError
from simulator.azure_ad.graph.filters import Filter, read_filter
from simulator.azure_ad.graph.properties import PROPERTIES, describe, property_name, select
from simulator.azure_ad.graph.request import BASE, METADATA, Request
from simulator.azure_ad.users import CloudUser
from simulator.azure_ad.wire import Answer, json_answer

PAGE_SIZE = 100
PAGE_SIZE_MAX = 999
OPTIONS = ("$select", "$filter", "$top", "$skiptoken", "$count", "$orderby")
_SORTABLE = ("displayName", "userPrincipalName", "createdDateTime")
_EVERYBODY = Filter(lambda user: True, False)


def list_users(request: Request, path: str, listed: Callable[[CloudUser], bool]) -> Answer:
    """A page of the users that are ``listed``, in the order of their creation; ``path``: where the next one is.

    A page's last user is remembered, not a number: who is deleted meanwhile moves nobody else out of sight. Raises
    GraphError.
    """
    query = request.query(*OPTIONS)
    names = select(query.get("$select"))
    chosen = _filter(request)
    size = _size(query.get("$top"))
    value: dict[str, Any] = {"@odata.context": f"{METADATA}#users"}
    if _flag(query.get("$count", "false")) and is_eventual(request):
        value["@odata.count"] = _count(request, listed, chosen)
    users = request.tenant.users.everybody()
    if "$orderby" in query:
        users = iter(_sorted(users, query["$orderby"]))
    if "$skiptoken" in query:
        users = _after(users, _read_token(query["$skiptoken"]))
    found = list(islice((user for user in users if listed(user) and chosen.matches(user)), size + 1))
    if len(found) > size:
        rest = {name: text for name, text in query.items() if name != "$skiptoken"}
        link = urlencode(rest | {"$skiptoken": _write_token(found[size - 1])}, safe="$,")
        value["@odata.nextLink"] = f"{BASE}{path}?{link}"
    value["value"] = [describe(user, names) for user in found[:size]]
    return json_answer(200, value)


def count_users(request: Request, listed: Callable[[CloudUser], bool]) -> Answer:
    """How many there are, as plain text. Raises GraphError without ``ConsistencyLevel: eventual``."""
    request.query("$filter")
    if not is_eventual(request):
        raise GraphError(400, "Request_BadRequest", "$count is not currently supported.")
    text = request.call.query.get("$filter")
    total = _count(request, listed, _EVERYBODY if text is None else read_filter(text))
    return Answer(200, [("Content-Type", "text/plain")], str(total).encode())


def is_eventual(request: Request) -> bool:
    """Whether the call may be answered from an index, as what Graph calls advanced queries need."""
    return request.call.headers.get("consistencylevel", "").strip().lower() == "eventual"


def _count(request: Request, listed: Callable[[CloudUser], bool], chosen: Filter) -> int:
    return sum(1 for user in request.tenant.users.everybody() if listed(user) and chosen.matches(user))


def _filter(request: Request) -> Filter:
    query = request.call.query
    chosen = read_filter(query["$filter"]) if "$filter" in query else _EVERYBODY
    advanced = chosen.advanced or ("$orderby" in query and "$filter" in query)
    if advanced and not (is_eventual(request) and _flag(query.get("$count", "false"))):
        text = (
            "The query is not supported because the required parameters might be missing. "
            "Try adding $count=true query parameter and ConsistencyLevel:eventual header."
        )
        raise GraphError(400, "Request_UnsupportedQuery", text)
    return chosen


def _sorted(users: Iterable[CloudUser], text: str) -> list[CloudUser]:
    words = text.split()
    name = property_name(words[0]) if words else ""
    if name not in _SORTABLE or words[1:] not in ([], ["asc"], ["desc"]):
        known = ", ".join(_SORTABLE)
        text = f"Unsupported sort property {text[:200]!r}. Known: one of {known}, with asc or desc behind it."
        raise GraphError(400, "Request_UnsupportedQuery", text)
    read = PROPERTIES[name]
    return sorted(users, key=lambda user: (str(read(user)).lower(), user.id), reverse=words[1:] == ["desc"])


def _after(users: Iterator[CloudUser], last: str) -> Iterator[CloudUser]:
    rest = dropwhile(lambda user: user.id != last, users)
    if next(rest, None) is None:
        # The recycle bin has let go of the user between two pages: the walk has lost its place.
        raise GraphError(400, "Directory_ExpiredPageToken", "The specified page token value has expired.")
    return rest


def _size(text: str | None) -> int:
    if text is None:
        return PAGE_SIZE
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and 0 < int(text) <= PAGE_SIZE_MAX):
        raise GraphError(400, "BadRequest", f"Invalid value specified for query option $top: {text[:50]!r}.")
    return int(text)


def _flag(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise GraphError(400, "BadRequest", f"Invalid value specified for query option $count: {text[:50]!r}.")
    return text.lower() == "true"


def _write_token(last: CloudUser) -> str:
    return urlsafe_b64encode(json.dumps({"last": last.id}).encode()).decode()


def _read_token(text: str) -> str:
    try:
        value = json.loads(urlsafe_b64decode(text))
        return str(value["last"])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise GraphError(400, "Request_BadRequest", "The specified page token value is invalid.") from error
