"""The DirSync control ([MS-ADTS] 3.1.1.3.4.1.3): what has changed since a cookie.

Entries come in order of their last change, with the attributes that changed; secrets and cleared attributes are named
without values. objectGUID and instanceType always come along. Who reads with the security of objects, or asks for
public data only, is not told of secrets. Links come whole: their values have no metadata of their own here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.active_directory import cookies, errors, schema, values
from simulator.active_directory.filter import compiled
from simulator.active_directory.requests import DIRSYNC, Found, Search, Values, extended_dn
from simulator.active_directory.virtual import VIRTUAL

if TYPE_CHECKING:
    from simulator.active_directory.controls import Wishes
    from simulator.active_directory.cookies import Cookie
    from simulator.active_directory.replica import Entry
    from simulator.active_directory.schema import Attribute
    from simulator.active_directory.session import Session

OBJECT_SECURITY, PUBLIC_DATA_ONLY = 0x1, 0x2000
ENTRIES_MAX = 1000
"""Entries in one answer (unconfirmed: the product also counts bytes)."""

ALWAYS = ("objectguid", "instancetype")
_MOVED = ("name",)


def search(session: Session, base: Entry, request: Search, wishes: Wishes) -> Found:
    """A search with the DirSync control. Raises LdapError: 50 without the right or off a naming context's head, 12."""
    flags, octets = wishes.sync or (0, b"")
    user = session.require_bind()
    replica = base.replica
    if base is not replica.root or request.scope != 2:
        raise errors.no_rights()
    if not flags & OBJECT_SECURITY and "replicate-changes" not in session.controller.domain.rights_of(user):
        raise errors.no_rights(0x2105)
    try:
        cookie = cookies.resume(replica, octets)
    except cookies.BadCookie:
        raise errors.wrong_extension(DIRSYNC) from None
    option = wishes.extended
    test = compiled(request.filter, replica)
    reader = _Changes(request, secrets=not flags & (OBJECT_SECURITY | PUBLIC_DATA_ONLY))
    found: list[tuple[str, Values]] = []
    last: Entry | None = None
    for entry in cookies.changed_entries(replica, cookie):
        if entry is replica.deleted_objects or not test(entry):
            continue
        news = reader.read(entry, cookie)
        if news is None:
            continue
        if len(found) == ENTRIES_MAX and last is not None:
            return Found(found, sync=(True, cookies.paused(cookie, last).pack()))
        found.append((entry.dn if option is None else extended_dn(entry, option), news))
        last = entry
    return Found(found, sync=(False, cookies.finished(replica, cookie).pack()))


class _Changes:
    """Reads what changed in an entry, as far as it was asked for."""

    def __init__(self, request: Search, *, secrets: bool) -> None:
        self._secrets = secrets
        asked = [name.partition(";")[0].lower() for name in request.attributes]
        self._every = not asked or "*" in asked
        named = [schema.ATTRIBUTES[name] for name in asked if name in schema.ATTRIBUTES]
        self._attributes = [each for each in named if self._is_replicated(each)]
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

    def _is_replicated(self, attribute: Attribute) -> bool:
        return not attribute.local and not attribute.constructed and (self._secrets or not attribute.secret)

    def _all(self, entry: Entry) -> list[Attribute]:
        keys = {**dict.fromkeys(VIRTUAL), **dict.fromkeys(entry.values), **dict.fromkeys(entry.stamps)}
        found = (schema.ATTRIBUTES[key] for key in keys)
        return [each for each in found if self._is_replicated(each)]
