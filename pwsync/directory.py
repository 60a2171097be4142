"""The LDAP side: all users of a domain by search, and what changed since by DirSync (MS-ADTS 3.1.1.3.4.1.3).

A full import is a search, page by page (RFC 2696), of what is there now. A delta goes on from a cookie and brings, per
object, only the attributes that changed; deleted objects come as tombstones. Values are text, and base64 for those that
are not.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import ldap3
from ldap3.core.exceptions import LDAPException

from pwsync.errors import AgentError

ATTRIBUTES: Final = (
    "objectClass",
    "objectGUID",
    "objectSid",
    "sAMAccountName",
    "userPrincipalName",
    "displayName",
    "givenName",
    "sn",
    "mail",
    "department",
    "title",
    "telephoneNumber",
    "mobile",
    "mailNickname",
    "proxyAddresses",
    "msExchRecipientTypeDetails",
    "userAccountControl",
    "isCriticalSystemObject",
    "isDeleted",
    "name",
    "parentGUID",
)
"""What is imported; ``name`` and ``parentGUID`` so that a move or a rename counts as a change."""

USERS: Final = "(&(objectClass=user)(!(objectClass=computer)))"
"""Users and inetOrgPersons, and their tombstones (which keep their classes)."""

NOBODY: Final = "(!(objectClass=*))"
"""Matches no object: a DirSync with it brings a cookie and nothing else."""

PAGE: Final = 500
"""Objects in one page of a full import."""

_BINARY: Final = frozenset({"objectsid", "parentguid"})
_PAGED_RESULTS: Final = "1.2.840.113556.1.4.319"
_INVALID_CREDENTIALS: Final = 49
_COOKIE_REFUSED: Final = frozenset({12, 53, 87})


class DirectoryError(AgentError):
    """A domain could not be read by LDAP.

    credentials: the account's name or password is wrong. cookie_refused: reading on from here is not possible; a read
    without a cookie may be.
    """

    def __init__(self, message: str, *, credentials: bool = False, cookie_refused: bool = False) -> None:
        self.credentials = credentials
        self.cookie_refused = cookie_refused
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Entry:
    """One object. anchor: its source anchor. attributes: name in lower case -> values; none where it lost them."""

    anchor: str
    dn: str
    deleted: bool
    attributes: Mapping[str, list[str]]


@dataclass(frozen=True, slots=True)
class Import:
    """What a read brought: objects in the directory's order, and the cookie to go on from."""

    entries: Sequence[Entry]
    cookie: bytes


def naming_context(domain: str) -> str:
    """``contoso.example`` -> ``DC=contoso,DC=example``."""
    return ",".join(f"DC={label}" for label in domain.split("."))


def read_changes(
    connect: Callable[[], ldap3.Connection], domain: str, password: str, attributes: Sequence[str], cookie: bytes
) -> Import:
    """Connect, bind, read all users of the domain that changed since ``cookie``, and unbind.

    ``password`` is the connector account's as the agent knows it; it takes the place of the connection's own. Raises
    DirectoryError, which names the LDAP result where there is one.
    """
    with _bound(connect, password) as connection:
        return _dir_sync(connection, naming_context(domain), attributes, cookie)


def read_everything(
    connect: Callable[[], ldap3.Connection], domain: str, password: str, attributes: Sequence[str]
) -> Import:
    """Connect, bind, read all users of the domain as they are now, and unbind. The same as :func:`read_changes` else.

    The cookie is taken first: what changes while the pages are read comes once more with the next delta.
    """
    base = naming_context(domain)
    with _bound(connect, password) as connection:
        cookie = _dir_sync(connection, base, ("objectGUID",), b"", NOBODY).cookie
        return Import(list(_search(connection, base, attributes)), cookie)


def try_bind(connect: Callable[[], ldap3.Connection], password: str) -> None:
    """Connect, bind and unbind. Raises DirectoryError, with ``credentials`` where account or password is wrong."""
    with _bound(connect, password):
        pass


def read_object(
    connect: Callable[[], ldap3.Connection], password: str, guid: UUID, attributes: Sequence[str]
) -> Entry | None:
    """One object as it is now; None if there is none. Raises DirectoryError."""
    with _bound(connect, password) as connection:
        connection.search(f"<GUID={guid}>", "(objectClass=*)", ldap3.BASE, attributes=list(attributes))
        found = list(_entries(connection.response or ()))
    return found[0] if found else None


@contextmanager
def _bound(connect: Callable[[], ldap3.Connection], password: str) -> Iterator[ldap3.Connection]:
    try:
        connection = connect()
        try:
            _bind(connection, password)
            yield connection
        except (DirectoryError, LDAPException, OSError):  # not for a process that dies: it says no goodbye
            connection.unbind()
            raise
        connection.unbind()
    except (LDAPException, OSError) as error:
        raise DirectoryError(str(error) or type(error).__name__) from error


def _bind(connection: ldap3.Connection, password: str) -> None:
    connection.password = password
    if connection.bind():
        return
    result = connection.result or {}
    raise DirectoryError(
        _describe(result) or str(connection.last_error), credentials=result.get("result") == _INVALID_CREDENTIALS
    )


def _search(connection: ldap3.Connection, base: str, attributes: Sequence[str]) -> Iterator[Entry]:
    """Page by page. An object that comes into being meanwhile may be missed: the next delta brings it."""
    cookie: bytes | None = b""
    while cookie is not None:
        connection.search(
            base, USERS, ldap3.SUBTREE, attributes=list(attributes), paged_size=PAGE, paged_cookie=cookie or None
        )
        result = connection.result or {}
        if result.get("result") != 0:
            raise DirectoryError(_describe(result) or str(connection.last_error))
        yield from _entries(connection.response or ())
        answered = (result.get("controls") or {}).get(_PAGED_RESULTS)
        cookie = None if answered is None else answered["value"]["cookie"] or None


def _dir_sync(
    connection: ldap3.Connection, base: str, attributes: Sequence[str], cookie: bytes, query: str = USERS
) -> Import:
    search = connection.extend.microsoft.dir_sync(
        base, query, attributes=list(attributes), cookie=cookie, hex_guid=True
    )
    entries: dict[str, Entry] = {}
    while search.more_results:
        try:
            found = search.loop()
        except LDAPException as error:
            result = connection.result or {}
            refused = bool(cookie) and result.get("result") in _COOKIE_REFUSED
            raise DirectoryError(_describe(result) or str(error), cookie_refused=refused) from error
        for entry in _entries(found):
            earlier = entries.pop(entry.anchor, None)  # changed again while the pages were read
            if earlier is not None:
                entry = Entry(entry.anchor, entry.dn, entry.deleted, {**earlier.attributes, **entry.attributes})  # noqa: PLW2901
            entries[entry.anchor] = entry
    return Import(list(entries.values()), bytes(search.cookie or b""))


def _entries(found: Iterable[Mapping[str, Any]]) -> Iterable[Entry]:
    for item in found:
        if item.get("type") != "searchResEntry":
            continue
        attributes: dict[str, list[str]] = {}
        guid = b""
        for name, found_values in item["raw_attributes"].items():
            folded, values = name.lower(), found_values or ()  # ldap3 has None for no values, if it read a socket
            if folded == "objectguid":
                guid = bytes(values[0]) if values else b""
            elif folded in _BINARY:
                attributes[folded] = [b64encode(value).decode() for value in values]
            else:
                attributes[folded] = [value.decode("utf-8", "replace") for value in values]
        if len(guid) != 16:
            continue  # without its GUID an object can't be told from others
        deleted = attributes.get("isdeleted") == ["TRUE"]
        yield Entry(b64encode(guid).decode(), _plain_dn(item["dn"]), deleted, attributes)


def _plain_dn(dn: str) -> str:
    """The DN without the ``<GUID=..>;<SID=..>;`` of the extended form, which DirSync asks for."""
    return dn.rpartition(">;")[2] if dn.startswith("<") else dn


def _describe(result: Mapping[str, Any]) -> str:
    """``invalidCredentials (49): 80090308: ...``."""
    if not result:
        return ""
    message = str(result.get("message") or "").strip("\0 \n")
    head = f"{result.get('description')} ({result.get('result')})"
    return f"{head}: {message}" if message else head
