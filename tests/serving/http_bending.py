"""Requests over HTTP, and ways to bend them: octets, JSON, forms, headers, paths and methods.

What is bent is chosen by a seeded generator, so that every request can be made again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any
from urllib.parse import quote, urlencode

FORM, JSON = "application/x-www-form-urlencoded", "application/json"
SOAP, MSBIN = "application/soap+xml; charset=utf-8", "application/soap+msbin1"
DEEP = 300
HOSTILE: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1.5,
    10**30,
    "",
    " ",
    "\x00",
    "x" * 5000,
    "\u20ac\U0001f600",
    "\ud800",
    "<script>&\"'",
    "%s{0}",
    [],
    {},
    [[]],
    {"": ""},
    ["x"] * 300,
    "None",
    "DisablePasswordExpiration",
    "2017-01-13T09:00:00Z",
    "../..",
    "v1;PPH1_MD4,",
)
OCTETS = (
    b"",
    b"\x00",
    b"\xff\xfe",
    b"{",
    b"[" * 5000,
    b"<a>",
    b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
    b"\x40\x01a" * 99,
)
HEADERS = (
    "Content-Type",
    "Authorization",
    "client-request-id",
    "ConsistencyLevel",
    "Prefer",
    "Origin",
    "Accept",
    "Cookie",
)
NAMES = (
    "$select",
    "$filter",
    "$top",
    "$skiptoken",
    "$orderby",
    "$count",
    "$search",
    "last",
    "from",
    "count",
    "until",
    "search",
    "standing",
    "level",
    "event",
    "api-version",
    "authorization_endpoint",
)
VALUES = (
    "",
    "id",
    "displayName",
    "displayName eq 'x'",
    "startswith(displayName,'a') and accountEnabled eq true",
    "(((",
    "0",
    "-1",
    "999999999999",
    "true",
    "\u20ac",
    "%",
    "'",
    "'" * 300,
    "not",
    "id,id,id",
    "x" * 3000,
    "2017-13-99",
)


@dataclass(frozen=True)
class Ask:
    """A request. token: what kind of token it carries, for whoever judges the answer."""

    method: str
    host: str
    path: str
    query: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    token: str = "none"


def random_query(random: Random) -> str:
    """A query with options that some surface knows, or none."""
    if random.random() < 0.6:
        return ""
    pairs = [(random.choice(NAMES), random.choice(VALUES)) for _ in range(random.randrange(1, 4))]
    return urlencode(pairs)


class Bender:
    """Bends requests."""

    def __init__(self, random: Random) -> None:
        self.random = random

    def bend(self, ask: Ask) -> Ask:
        """The request with one thing changed, or a few."""
        for _ in range(self.random.choice([0, 0, 0, 1, 1, 1, 1, 2, 3])):
            ask = self.random.choice(
                (
                    self._bend_octets,
                    self._bend_octets,
                    self._bend_json,
                    self._bend_json,
                    self._bend_headers,
                    self._bend_path,
                    self._bend_method,
                    self._bend_form,
                )
            )(ask)
        return ask

    def _bend_octets(self, ask: Ask) -> Ask:
        random, body = self.random, bytearray(ask.body)
        how = random.randrange(6)
        if how == 0 or not body:
            return replace(ask, body=random.choice(OCTETS))
        at = random.randrange(len(body))
        if how == 1:
            body[at] = random.randrange(256)
        elif how == 2:
            del body[at : at + random.randrange(1, 20)]
        elif how == 3:
            del body[at:]
        elif how == 4:
            body[at:at] = body[at : at + random.randrange(1, 50)]
        else:
            body[at:at] = random.randbytes(random.randrange(1, 20))
        return replace(ask, body=bytes(body))

    def _bend_json(self, ask: Ask) -> Ask:
        try:
            value = json.loads(ask.body)
        except (ValueError, RecursionError):
            return self._bend_octets(ask)
        holder, keys = (
            value,
            list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else [],
        )
        while keys:
            key = self.random.choice(keys)
            inner = holder[key]
            if isinstance(inner, dict | list) and inner and self.random.random() < 0.6:
                holder, keys = inner, list(inner) if isinstance(inner, dict) else list(range(len(inner)))
                continue
            holder[key] = self.random.choice(HOSTILE)
            if isinstance(holder, dict) and self.random.random() < 0.2:
                holder[str(self.random.choice(HOSTILE))] = holder.pop(key)
            return replace(ask, body=_json(value))
        deep: Any = self.random.choice(HOSTILE)
        for _ in range(DEEP):
            deep = [deep]
        return replace(ask, body=_json(deep))

    def _bend_headers(self, ask: Ask) -> Ask:
        headers = dict(ask.headers)
        name = self.random.choice(HEADERS)
        if self.random.random() < 0.4:
            headers.pop(name, None)
        else:
            choices = (
                JSON,
                FORM,
                SOAP,
                MSBIN,
                "text/plain",
                "",
                "x" * 3000,
                "Basic eDp4",
                "Bearer",
                "Bearer a.b.c",
                "\u20ac",
                "eventual",
            )
            headers[name] = self.random.choice(choices)
        return replace(ask, headers=headers, token="bent" if name == "Authorization" else ask.token)

    def _bend_path(self, ask: Ask) -> Ask:
        parts = ask.path.split("/")
        at = self.random.randrange(len(parts))
        parts[at] = self.random.choice(
            ["", "x", "..", "%00", "%ff", "$count", "users", "me", quote("\u20ac'"), "x" * 2000, *parts]
        )
        return replace(ask, path="/" + "/".join(parts).lstrip("/"), query=random_query(self.random))

    def _bend_method(self, ask: Ask) -> Ask:
        return replace(ask, method=self.random.choice(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]))

    def _bend_form(self, ask: Ask) -> Ask:
        if b"=" not in ask.body:
            return self._bend_octets(ask)
        parts = ask.body.split(b"&")
        at = self.random.randrange(len(parts))
        name = parts[at].split(b"=")[0]
        value = quote(str(self.random.choice(HOSTILE))[:6000], errors="replace").encode()
        parts[at] = self.random.choice(
            [b"", name, name + b"=", name + b"=" + value, parts[at] + b"&" + parts[at], b"%zz=%"]
        )
        return replace(ask, body=b"&".join(parts))


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()
