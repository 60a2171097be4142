"""Reading an entry's attributes for a search: which were asked for, ranges of values, what depends on the reader."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from simulator.active_directory import descriptors, errors, extended_names, schema, values
from simulator.active_directory import schema_figures as figures
from simulator.active_directory.controls import EVERY_PART, Wishes
from simulator.active_directory.errors import LdapError
from simulator.active_directory.requests import Values, extended_dn
from simulator.active_directory.rights import OWN
from simulator.active_directory.schema import Attribute

if TYPE_CHECKING:
    from simulator.active_directory.replica import Entry
    from simulator.active_directory.requests import Search
    from simulator.active_directory.session import Session

VALUES_MAX = 1500
"""MaxValRange of the default query policy: more values of an attribute come in ranges only."""

BASE_ONLY = frozenset(("tokengroups", "tokengroupsglobalanduniversal", "tokengroupsnogcacceptable"))
"""Read with a search of one object only ([MS-ADTS] 3.1.1.4.5.19)."""

DESCRIPTOR = "ntsecuritydescriptor"
_RANGE = re.compile(r"range=(\d{1,9})-(\d{1,9}|\*)\Z")
Range = tuple[int, int | None]


class Reader:
    """Reads the attributes that a search asked for, for whoever is bound."""

    def __init__(self, request: Search, wishes: Wishes, session: Session) -> None:
        self._session = session
        self._extended = wishes.extended
        self._parts = wishes.descriptor
        self._lenient = wishes.lenient_ranges
        self._types_only = request.types_only
        asked = [name.lower() for name in request.attributes]
        self.every = not asked or "*" in asked
        self._ranges: dict[str, Range] = {}
        self.attributes = [] if asked == ["1.1"] else self._known(asked, request.scope)
        if self.every and self._parts is not None:
            self.attributes.append(schema.ATTRIBUTES[DESCRIPTOR])
        self._named = [each for each in self.attributes if each.constructed or each.local]

    def _known(self, asked: Sequence[str], scope: int) -> list[Attribute]:
        """Attributes of the schema by the names asked for, each once; secrets are nobody's to read."""
        found: dict[str, Attribute] = {}
        for text in asked:
            _, _, options = text.partition(";")
            attribute = schema.attribute(text)
            if attribute is None or attribute.secret or (scope and attribute.key in BASE_ONLY):
                continue
            if options.startswith("range="):
                bounds = _RANGE.match(options)
                if bounds is None:
                    continue
                self._ranges[attribute.key] = int(bounds[1]), None if bounds[2] == "*" else int(bounds[2])
            found[attribute.key] = attribute
        return list(found.values())

    def dn(self, entry: Entry) -> str:
        """The DN as the controls want it."""
        return entry.dn if self._extended is None else extended_dn(entry, self._extended)

    def read(self, entry: Entry) -> tuple[str, Values]:
        """DN and values of an entry."""
        if not readable(entry, self._session):
            return self.dn(entry), []
        attributes = self._all(entry) if self.every else self.attributes
        types_only, found = self._types_only, []
        for attribute in attributes:
            value = self._personal(attribute, entry) if attribute.key in _PERSONAL else entry.get(attribute.key)
            if value is None:
                continue
            octets = values.all_octets(value)
            if self._extended is not None and attribute.syntax == schema.NAME:
                octets = extended_names.extended(self._session.controller, octets, self._extended)
            if len(octets) > VALUES_MAX or attribute.key in self._ranges:
                found += self._ranged(attribute, octets)
            else:
                found.append((attribute, [] if types_only else octets))
        return self.dn(entry), found

    def _all(self, entry: Entry) -> list[Attribute]:
        """Everything but secrets and what is computed on demand, and that if it was named."""
        return list(dict.fromkeys((*_COMMON, *_plain(entry), *self._named)))

    def _ranged(self, attribute: Attribute, octets: Sequence[bytes]) -> Values:
        """A part of the values under a name that tells which ([MS-ADTS] 3.1.1.3.1.3.3)."""
        whole = attribute.key not in self._ranges
        low, high = self._ranges.get(attribute.key, (0, None))
        if low >= len(octets):
            if self._lenient:
                return []
            raise LdapError(
                errors.OPERATIONS_ERROR, "00002121: SvcErr: DSID-03140396, problem 5012 (DIR_ERROR), data 0\n\x00"
            )
        last = len(octets) - 1
        end = min(last if high is None else high, low + VALUES_MAX - 1, last)
        if end < low:
            return []
        name = f"{attribute.name};range={low}-{'*' if end == last else end}"
        part = replace(attribute, name=name, key=name.lower())
        ranged: Values = [(part, [] if self._types_only else list(octets[low : end + 1]))]
        return [(attribute, []), *ranged] if whole else ranged

    def _personal(self, attribute: Attribute, entry: Entry) -> schema.Value | None:
        if attribute.key == DESCRIPTOR:
            parts = EVERY_PART if self._parts is None else self._parts
            if parts & descriptors.AUDIT and not self._session.administrator():
                return None  # whoever may not see how the object is audited sees nothing
            return descriptors.descriptor(entry, parts)
        return _PERSONAL[attribute.key](entry, self._session)


def readable(entry: Entry, session: Session) -> bool:
    """Whether a reader sees an entry's attributes: password settings are for administrators (product documentation)."""
    return entry.kind.name != "msDS-PasswordSettings" or session.administrator()


def allowed_attributes(entry: Entry) -> list[str]:
    """Every attribute that an object of its class may have."""
    names = {name for must in (True, False) for name in figures.contained(entry.kind.name, must=must)}
    return sorted(names, key=str.lower)


def allowed_children(entry: Entry) -> list[str]:
    """Every structural class whose objects may lie below one of this class."""
    above = entry.kind.lowered
    return [
        each.name
        for each in figures.classes().values()
        if each.kind in (0, 1)
        and any(
            name.lower() in above
            for one in figures.chain(each.name)
            for name in (*figures.classes()[one.lower()].system_superiors, *figures.classes()[one.lower()].superiors)
        )
    ]


def _writable(entry: Entry, session: Session) -> schema.Value | None:
    """Administrators may write what is not the system's, users their own personal information."""
    if session.administrator():
        return values.pack(
            [each for each in allowed_attributes(entry) if not figures.attributes()[each.lower()].system_only]
        )
    if session.user is not entry:
        return None
    return values.pack([each for each in allowed_attributes(entry) if each.lower() in OWN])


def _makeable(entry: Entry, session: Session) -> schema.Value | None:
    return values.pack(allowed_children(entry)) if session.administrator() else None


_PERSONAL: dict[str, Callable[[Entry, Session], schema.Value | None]] = {
    DESCRIPTOR: lambda entry, session: None,
    "sdrightseffective": lambda entry, session: EVERY_PART if session.administrator() else 0,
    "allowedattributeseffective": _writable,
    "allowedchildclasseseffective": _makeable,
}
"""What depends on who reads."""

_COMMON = [
    schema.ATTRIBUTES[key]
    for key in ("objectclass", "cn", "ou", "dc", "distinguishedname", "instancetype", "whencreated", "whenchanged",
                "usncreated", "usnchanged", "name", "objectguid", "objectsid", "samaccounttype", "objectcategory",
                "isdeleted", "isrecycled", "memberof", "directreports", "managedobjects",
                "wellknownobjects")
]  # fmt: skip


def _plain(entry: Entry) -> list[Attribute]:
    defaults = () if entry.deleted else entry.kind.defaults
    keys = {**dict.fromkeys(defaults), **entry.values}
    known = schema.ATTRIBUTES
    return [known[key] for key in keys if not known[key].secret and not known[key].constructed]
