"""The DirSync control ([MS-ADTS] 3.1.1.3.4.1.3): what has changed since a cookie.

Entries come in order of their last change, with the attributes that changed; secrets and cleared attributes are named
without values. objectGUID and instanceType always come along, parentGUID with what is new here or has another name or
place. The attribute that names an entry and its DN come only if they are asked for by name. Who reads with the security
of objects, or asks for public data only, is not told of secrets. Links come whole: their values have no metadata of
their own here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.active_directory import cookies, descriptors, errors, extended_names, schema, values
from simulator.active_directory.controls import EVERY_PART
from simulator.active_directory.filter import compiled
from simulator.active_directory.reading import readable
from simulator.active_directory.requests import DIRSYNC, Found, Search, Values, extended_dn
from simulator.active_directory.schema import BACK_LINKS, BORN_EMPTY
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
NAME, PARENT, DESCRIPTOR = "name", "parentguid", "ntsecuritydescriptor"
DN = "distinguishedname"
_NAMING = frozenset(("cn", "dc", DN, "ou"))
"""What is told of only if it is asked for by name."""


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
    option, shows_all = wishes.extended, not flags & OBJECT_SECURITY
    test = compiled(request.filter, replica)
    reader = _Changes(request, secrets=not flags & (OBJECT_SECURITY | PUBLIC_DATA_ONLY))
    found: list[tuple[str, Values]] = []
    last: Entry | None = None
    for entry in cookies.changed_entries(replica, cookie):
        if entry is replica.deleted_objects or not test(entry) or not (shows_all or readable(entry, session)):
            continue
        news = reader.read(entry, cookie)
        if news is None:
            continue
        if option is not None:
            news = [(each, _extended(session, each, octets, option)) for each, octets in news]
        if len(found) == ENTRIES_MAX and last is not None:
            return Found(found, sync=(True, cookies.paused(cookie, last).pack()))
        found.append((entry.dn if option is None else extended_dn(entry, option), news))
        last = entry
    return Found(found, sync=(False, cookies.finished(replica, cookie).pack()))


def _extended(session: Session, attribute: Attribute, found: list[bytes], option: int) -> list[bytes]:
    """Values as the extended DN control wants them."""
    return extended_names.extended(session.controller, found, option) if attribute.syntax == schema.NAME else found


class _Changes:
    """Reads what changed in an entry, as far as it was asked for."""

    def __init__(self, request: Search, *, secrets: bool) -> None:
        self._secrets = secrets
        known = (schema.attribute(name) for name in request.attributes)
        named = {each.key: each for each in known if each is not None}
        self._every = not request.attributes or "*" in request.attributes
        self._parent, self._descriptor = (
            schema.ATTRIBUTES[key] if self._every or key in named else None for key in (PARENT, DESCRIPTOR)
        )
        self._named = [_pair(each) for each in named.values() if self._is_replicated(each)]
        self._naming = [pair for pair in self._named if pair[0].key in _NAMING]
        self._head = [schema.ATTRIBUTES[key] for key in ALWAYS]

    def read(self, entry: Entry, cookie: Cookie) -> Values | None:
        """The changed attributes; None if nothing of interest changed. A move, rename or deletion always is."""
        news: Values = []
        stamps, get = entry.stamps, entry.get
        created_is_news = cookies.is_news(entry.created, cookie)
        for attribute, source in self._all(entry) if self._every else self._named:
            stamp = stamps.get(source) if stamps else None
            if stamp is None:
                if created_is_news:
                    found = get(attribute.key)
                    if found is not None:
                        news.append((attribute, [] if attribute.secret else values.all_octets(found)))
                    elif attribute.key in BORN_EMPTY and entry.kind.is_account:
                        news.append((attribute, []))
            elif cookies.is_news(stamp, cookie):
                found = get(attribute.key)
                news.append((attribute, [] if found is None or attribute.secret else values.all_octets(found)))
        named = stamps.get(NAME) if stamps else None
        placed = created_is_news if named is None else cookies.is_news(named, cookie)
        if placed and self._parent is not None and entry.parent is not None:
            news.append((self._parent, [entry.parent.guid]))
        if self._descriptor is not None and cookies.is_news(stamps.get(DESCRIPTOR, entry.created), cookie):
            news.append((self._descriptor, [descriptors.descriptor(entry, EVERY_PART)]))
        if not news and not (placed and named is not None):
            return None
        return [*self._missing_head(entry, news), *news]

    def _missing_head(self, entry: Entry, news: Values) -> Values:
        seen = [attribute for attribute, _ in news]
        return [(each, values.all_octets(entry.get(each.key) or 0)) for each in self._head if each not in seen]

    def _is_replicated(self, attribute: Attribute) -> bool:
        if attribute.local or attribute.constructed or attribute.key in BACK_LINKS:
            return False
        return self._secrets or not attribute.secret

    def _all(self, entry: Entry) -> list[tuple[Attribute, str]]:
        defaults = () if entry.deleted else entry.kind.defaults
        keys = dict.fromkeys((*VIRTUAL, *defaults, *entry.values, *entry.stamps, *BORN_EMPTY))
        found = [_pair(schema.ATTRIBUTES[key]) for key in keys if key not in _NAMING]
        return [*(pair for pair in found if self._is_replicated(pair[0])), *self._naming]


def _pair(attribute: Attribute) -> tuple[Attribute, str]:
    """An attribute and the key under which its changes are noted."""
    return attribute, NAME if attribute.key == DN else attribute.key
