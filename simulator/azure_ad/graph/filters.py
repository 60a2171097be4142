"""``$filter`` of users: comparisons, ``in``, startsWith and endsWith, joined by and, or, not and parentheses.

Source: OData 4.01 5.1.1 and Graph's page on filters. What Graph calls advanced (ne, not, endsWith) needs
``$count=true`` and the header ``ConsistencyLevel: eventual``. Texts compare without case.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

from simulator.azure_ad.errors import GraphError
from simulator.azure_ad.graph.properties import PROPERTIES, property_name
from simulator.azure_ad.users import CloudUser

Predicate = Callable[[CloudUser], bool]

DEPTH_MAX = 30
_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<time>\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d))|(?P<word>[A-Za-z]\w*)"
    r"|(?P<mark>[(),]))"
)
_FILTERABLE = frozenset(PROPERTIES) - {"passwordProfile", "businessPhones"}
_WORDS = {"true": True, "false": False, "null": None}
_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "ge": lambda own, wanted: own >= wanted,
    "gt": lambda own, wanted: own > wanted,
    "le": lambda own, wanted: own <= wanted,
    "lt": lambda own, wanted: own < wanted,
}
_KNOWN = (
    "property eq|ne|ge|gt|le|lt value, property in (value, value), startsWith(property,'text'), "
    "endsWith(property,'text'), joined by and, or, not and parentheses"
)


class _Token(NamedTuple):
    kind: str
    text: str
    position: int


class Filter(NamedTuple):
    """What a filter lets through, and whether it is one that Graph calls advanced."""

    matches: Predicate
    advanced: bool


def read_filter(text: str) -> Filter:
    """A ``$filter``. Raises GraphError for what is not one, or has more in it than this simulation knows."""
    reader = _Reader(text)
    matches = reader.any_of(0)
    reader.end()
    return Filter(matches, reader.advanced)


class _Reader:
    """Reads from left to right; ``not`` binds closest, then ``and``, then ``or``."""

    def __init__(self, text: str) -> None:
        self.advanced = False
        self._text = text
        self._tokens = list(self._split())
        self._next = 0

    def any_of(self, depth: int) -> Predicate:
        terms = [self._all_of(depth)]
        while self._take("word", "or"):
            terms.append(self._all_of(depth))
        return terms[0] if len(terms) == 1 else lambda user: any(term(user) for term in terms)

    def end(self) -> None:
        if self._next < len(self._tokens):
            raise self._bad()

    def _all_of(self, depth: int) -> Predicate:
        terms = [self._term(depth)]
        while self._take("word", "and"):
            terms.append(self._term(depth))
        return terms[0] if len(terms) == 1 else lambda user: all(term(user) for term in terms)

    def _term(self, depth: int) -> Predicate:
        if depth > DEPTH_MAX:
            raise self._bad()
        if self._take("word", "not"):
            self.advanced = True
            inner = self._term(depth + 1)
            return lambda user: not inner(user)
        if self._take("mark", "("):
            inner = self.any_of(depth + 1)
            self._need("mark", ")")
            return inner
        name = self._need("word").text
        if name.lower() in ("startswith", "endswith"):
            return self._call(name.lower())
        if self._take("mark", "("):
            self._next -= 2
            raise self._bad()
        return self._comparison(name)

    def _call(self, function: str) -> Predicate:
        self._need("mark", "(")
        read = self._reader(self._need("word").text)
        self._need("mark", ",")
        part = _unquote(self._need("text").text)
        self._need("mark", ")")
        if function == "startswith":
            return lambda user: str(read(user) or "").lower().startswith(part)
        self.advanced = True
        return lambda user: str(read(user) or "").lower().endswith(part)

    def _comparison(self, name: str) -> Predicate:
        read = self._reader(name)
        operator = self._need("word").text.lower()
        if operator == "in":
            self._need("mark", "(")
            wanted = [self._literal()]
            while self._take("mark", ","):
                wanted.append(self._literal())
            self._need("mark", ")")
            return lambda user: _fold(read(user)) in wanted
        if operator in ("eq", "ne"):
            value, equal = self._literal(), operator == "eq"
            self.advanced = self.advanced or not equal
            return lambda user: (_fold(read(user)) == value) is equal
        if operator in _ORDERS:
            value, order = self._literal(), _ORDERS[operator]
            return lambda user: type(own := _fold(read(user))) is type(value) and own is not None and order(own, value)
        self._next -= 1
        raise self._bad()

    def _literal(self) -> Any:
        token = self._need()
        if token.kind == "text":
            return _unquote(token.text)
        if token.kind == "time":
            try:
                when = datetime.fromisoformat(token.text).astimezone(UTC)
            except (ValueError, OverflowError) as error:
                raise self._bad() from error
            return when.strftime("%Y-%m-%dt%H:%M:%Sz").lower()  # as times are shown, and texts compared
        if token.text.lower() in _WORDS:
            return _WORDS[token.text.lower()]
        self._next -= 1
        raise self._bad()

    def _reader(self, name: str) -> Callable[[CloudUser], Any]:
        known = property_name(name)
        if known not in _FILTERABLE:
            text = f"Unsupported or invalid query filter clause specified for property '{known}' of resource 'User'."
            raise GraphError(400, "Request_UnsupportedQuery", text)
        return PROPERTIES[known]

    def _split(self) -> list[_Token]:
        found, position = [], 0
        stop = len(self._text.rstrip())
        while position < stop:
            match = _TOKEN.match(self._text, position)
            if match is None:
                raise self._bad_at(position)
            kind = str(match.lastgroup)
            found.append(_Token(kind, match[kind], match.start(kind)))
            position = match.end()
        return found

    def _take(self, kind: str, text: str) -> bool:
        if self._next < len(self._tokens):
            token = self._tokens[self._next]
            if token.kind == kind and token.text.lower() == text:
                self._next += 1
                return True
        return False

    def _need(self, kind: str = "", text: str = "") -> _Token:
        if self._next >= len(self._tokens):
            raise self._bad()
        token = self._tokens[self._next]
        if (kind and token.kind != kind) or (text and token.text != text):
            raise self._bad()
        self._next += 1
        return token

    def _bad(self) -> GraphError:
        more = self._next < len(self._tokens)
        return self._bad_at(self._tokens[self._next].position if more else len(self._text))

    def _bad_at(self, position: int) -> GraphError:
        text = f"Invalid filter clause at position {position} of {self._text[:500]!r}. Known: {_KNOWN}."
        return GraphError(400, "BadRequest", text)


def _unquote(text: str) -> str:
    return text[1:-1].replace("''", "'").lower()


def _fold(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value
