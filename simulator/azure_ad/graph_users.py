"""Users as Graph shows them: properties, ``$select`` and ``$filter``.

Source: the reference of Graph's user resource. What is not returned by default there needs ``$select`` here too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from simulator.azure_ad.errors import GraphError
from simulator.azure_ad.users import CloudUser

BY_DEFAULT = ("id", "displayName", "givenName", "mail", "surname", "userPrincipalName")
ALWAYS = "id"

Predicate = Callable[[CloudUser], bool]


def format_time(when: datetime | None) -> str | None:
    """A time as Graph writes it."""
    return None if when is None else when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _profile(user: CloudUser) -> Mapping[str, Any]:
    return {"password": None, "forceChangePasswordNextSignIn": user.must_change}


_PROPERTIES: Mapping[str, Callable[[CloudUser], Any]] = {
    "id": lambda user: user.id,
    "displayName": lambda user: user.display_name,
    "givenName": lambda user: user.detail("givenName"),
    "mail": lambda user: user.detail("mail"),
    "surname": lambda user: user.detail("surname"),
    "userPrincipalName": lambda user: user.upn,
    "accountEnabled": lambda user: user.enabled,
    "createdDateTime": lambda user: format_time(user.created_at),
    "passwordPolicies": lambda user: user.password_policies,
    "passwordProfile": _profile,
    "lastPasswordChangeDateTime": lambda user: format_time(user.changed_at),
    "signInSessionsValidFromDateTime": lambda user: format_time(user.tokens_valid_from or user.created_at),
    "onPremisesSyncEnabled": lambda user: True if user.source_anchor is not None else None,
    "onPremisesImmutableId": lambda user: user.source_anchor,
    "onPremisesLastSyncDateTime": lambda user: format_time(user.synced_at),
    "onPremisesSamAccountName": lambda user: user.detail("onPremisesSamAccountName"),
    "onPremisesDistinguishedName": lambda user: user.detail("onPremisesDistinguishedName"),
    "onPremisesDomainName": lambda user: user.detail("onPremisesDomainName"),
    "onPremisesSecurityIdentifier": lambda user: user.detail("onPremisesSecurityIdentifier"),
}
_NAMES = {name.lower(): name for name in _PROPERTIES}

_TERM = re.compile(r"\s*([A-Za-z]+)\s+(eq|ne)\s+('(?:[^']|'')*'|true|false|null)\s*", re.IGNORECASE)
_STARTS = re.compile(r"\s*startswith\(\s*([A-Za-z]+)\s*,\s*'((?:[^']|'')*)'\s*\)\s*", re.IGNORECASE)
_AND = re.compile(r"and\s", re.IGNORECASE)
_FILTERABLE = frozenset(_PROPERTIES) - {"passwordProfile"}


def select(text: str | None) -> Sequence[str]:
    """The properties that ``$select`` asks for, in their own spelling. Raises GraphError for an unknown one."""
    if not text:
        return BY_DEFAULT
    chosen = [_property(name.strip()) for name in text.split(",") if name.strip()]
    return chosen if ALWAYS in chosen else [ALWAYS, *chosen]


def show(user: CloudUser, names: Sequence[str]) -> dict[str, Any]:
    """The JSON value of a user with these properties."""
    return {name: _PROPERTIES[name](user) for name in names}


def read_filter(text: str) -> Predicate:
    """A ``$filter``: ``property eq value``, ``property ne value`` or ``startswith(property,'text')``, joined by and.

    Raises GraphError for anything else. Text compares without case.
    """
    terms: list[Predicate] = []
    position = 0
    while True:
        term, position = _term(text, position)
        terms.append(term)
        if position == len(text):
            return lambda user: all(term(user) for term in terms)
        joined = _AND.match(text, position)
        if joined is None:
            raise _bad_filter(text, position)
        position = joined.end()


def _term(text: str, position: int) -> tuple[Predicate, int]:
    found = _TERM.match(text, position)
    if found is not None:
        read = _reader(found[1])
        wanted = _literal(found[3])
        equal = found[2].lower() == "eq"
        return (lambda user: (_fold(read(user)) == wanted) is equal), found.end()
    found = _STARTS.match(text, position)
    if found is not None:
        read = _reader(found[1])
        prefix = found[2].replace("''", "'").lower()
        return (lambda user: str(read(user) or "").lower().startswith(prefix)), found.end()
    raise _bad_filter(text, position)


def _reader(name: str) -> Callable[[CloudUser], Any]:
    known = _property(name)
    if known not in _FILTERABLE:
        raise GraphError(400, "Request_UnsupportedQuery", f"Unsupported or invalid query filter clause: '{name}'.")
    return _PROPERTIES[known]


def _property(name: str) -> str:
    known = _NAMES.get(name.lower())
    if known is None:
        text = (
            f"Could not find a property named '{name}' on type 'microsoft.graph.user'. Known: {', '.join(_PROPERTIES)}."
        )
        raise GraphError(400, "Request_BadRequest", text)
    return known


def _literal(text: str) -> Any:
    if text.startswith("'"):
        return text[1:-1].replace("''", "'").lower()
    return {"true": True, "false": False, "null": None}[text.lower()]


def _fold(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _bad_filter(text: str, position: int) -> GraphError:
    message = (
        f"Invalid filter clause at position {position} of {text!r}. Known: property eq value, property ne value, "
        "startswith(property,'text'), joined by 'and'."
    )
    return GraphError(400, "BadRequest", message)
