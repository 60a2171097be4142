"""The DirSync control ([MS-ADTS] 3.1.1.3.4.1.3): what has changed since a cookie. And the values of controls.

Entries come in order of their last change, with the attributes that changed; secrets and cleared attributes are named
without values. objectGUID and instanceType always come along.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.active_directory import cookies, errors, schema, values
from simulator.active_directory.filter import compiled
from simulator.active_directory.requests import DIRSYNC, EXTENDED_DN, Control, Found, Search, Values, extended_dn
from simulator.active_directory.virtual import VIRTUAL

if TYPE_CHECKING:
    from simulator.active_directory.cookies import Cookie
    from simulator.active_directory.replica import Entry
    from simulator.active_directory.schema import Attribute
    from simulator.active_directory.session import Session

OBJECT_SECURITY = 0x1
ENTRIES_MAX = 1000
"""Entries in one answer (unconfirmed: the product also counts bytes)."""

ALWAYS = ("objectguid", "instancetype")
_MOVED = ("name",)


def search(session: Session, base: Entry, request: Search, controls: dict[str, Control]) -> Found:
    """A search with the DirSync control. Raises LdapError: 50 without the right or off a naming context's head, 12."""
    flags, octets = sync_value(controls[DIRSYNC].value)
    user = session.require_bind()
    controller = session.controller
    if base is not controller.replica.root or request.scope != 2:
        raise errors.no_rights()
    if not flags & OBJECT_SECURITY and "replicate-changes" not in controller.domain.rights_of(user):
        raise errors.no_rights(0x2105)
    try:
        cookie = cookies.resume(controller.replica, octets)
    except cookies.BadCookie:
        raise errors.wrong_extension(DIRSYNC) from None
    option = extended_value(controls[EXTENDED_DN].value) if EXTENDED_DN in controls else None
    test = compiled(request.filter, controller.replica)
    reader = _Changes(request)
    found: list[tuple[str, Values]] = []
    last: Entry | None = None
    for entry in cookies.changed_entries(controller.replica, cookie):
        if entry is controller.replica.deleted_objects or not test(entry):
            continue
        news = reader.read(entry, cookie)
        if news is None:
            continue
        if len(found) == ENTRIES_MAX and last is not None:
            return Found(found, sync=(True, cookies.paused(cookie, last).pack()))
        found.append((entry.dn if option is None else extended_dn(entry, option), news))
        last = entry
    return Found(found, sync=(False, cookies.finished(controller.replica, cookie).pack()))


class _Changes:
    """Reads what changed in an entry, as far as it was asked for."""

    def __init__(self, request: Search) -> None:
        asked = [name.partition(";")[0].lower() for name in request.attributes]
        self._every = not asked or "*" in asked
        named = [schema.ATTRIBUTES[name] for name in asked if name in schema.ATTRIBUTES]
        self._attributes = [each for each in named if not each.local and not each.constructed]
        self._head = [schema.ATTRIBUTES[key] for key in ALWAYS]

    def read(self, entry: Entry, cookie: Cookie) -> Values | None:
        """The changed attributes; None if nothing of interest changed. A move, rename or deletion always is."""
        attributes = self._all(entry) if self._every else self._attributes
        news: Values = []
        stamps, get = entry.stamps, entry.get
        created_is_news = cookies.is_news(entry.created, cookie)
        for attribute in attributes:
            stamp = stamps.get(attribute.key) if stamps else None
            if stamp is None:
                if created_is_news:
                    found = get(attribute.key)
                    if found is not None:
                        news.append((attribute, [] if attribute.secret else values.all_octets(found)))
            elif cookies.is_news(stamp, cookie):
                found = get(attribute.key)
                news.append((attribute, [] if found is None or attribute.secret else values.all_octets(found)))
        if not news and not any(self._is_news(entry, key, cookie) for key in _MOVED):
            return None
        return [*self._missing_head(entry, news), *news]

    def _missing_head(self, entry: Entry, news: Values) -> Values:
        seen = [attribute for attribute, _ in news]
        return [(each, values.all_octets(entry.get(each.key) or 0)) for each in self._head if each not in seen]

    @staticmethod
    def _is_news(entry: Entry, key: str, cookie: Cookie) -> bool:
        stamp = entry.stamps.get(key)
        return stamp is not None and cookies.is_news(stamp, cookie)

    @staticmethod
    def _all(entry: Entry) -> list[Attribute]:
        keys = {**dict.fromkeys(VIRTUAL), **dict.fromkeys(entry.values), **dict.fromkeys(entry.stamps)}
        found = (schema.ATTRIBUTES[key] for key in keys)
        return [each for each in found if not each.local and not each.constructed]


# --- control values (BER: a SEQUENCE of INTEGERs and OCTET STRINGs) -----------------------------------------------


def sync_value(octets: bytes) -> tuple[int, bytes]:
    """Flags and cookie of a DirSync control. Raises LdapError 2."""
    flags, _, cookie = _sequence(octets, 3)
    return int.from_bytes(flags, "big", signed=True) & 0xFFFF_FFFF, cookie


def paging_value(octets: bytes) -> tuple[int, bytes]:
    """Page size and cookie of a simple paged results control (RFC 2696). Raises LdapError 2."""
    size, cookie = _sequence(octets, 2)
    return max(0, int.from_bytes(size, "big", signed=True)), cookie


def extended_value(octets: bytes) -> int:
    """Option of an extended DN control; without a value 0. Raises LdapError 2."""
    return int.from_bytes(_sequence(octets, 1)[0], "big") if octets else 0


def _sequence(octets: bytes, count: int) -> list[bytes]:
    try:
        if octets[0] != 0x30:
            raise ValueError
        body, end = _length(octets, 1)
        if body + end != len(octets):
            raise ValueError
        parts, position = [], body
        while position < len(octets):
            start, size = _length(octets, position + 1)
            if octets[position] not in (0x02, 0x04) or start + size > len(octets):
                raise ValueError
            parts.append(octets[start : start + size])
            position = start + size
        if len(parts) != count:
            raise ValueError
    except (IndexError, ValueError):
        raise errors.LdapError(errors.PROTOCOL_ERROR, "00000057: LdapErr: a control's value can't be read") from None
    return parts


def _length(octets: bytes, at: int) -> tuple[int, int]:
    """(where the content begins, its length) of the length octets at ``at``."""
    first = octets[at]
    if first < 0x80:
        return at + 1, first
    size = first & 0x7F
    if not 0 < size <= 4:
        raise ValueError
    return at + 1 + size, int.from_bytes(octets[at + 1 : at + 1 + size], "big")
