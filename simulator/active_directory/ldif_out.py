"""Writing a directory as LDIF (RFC 2849): entries that :mod:`simulator.active_directory.ldif` and LDAP tools read.

Parents come before their children and siblings in order of their names, so that two directories with the same content
make the same text. Written is what a file can set, and the objectGUID; what the system keeps (whenCreated, uSNChanged,
memberOf, ...) only if asked for. Passwords, their hashes and everything else that LDAP shows nobody are never written.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from simulator.active_directory import names, schema, values
from simulator.active_directory.filter import compiled
from simulator.active_directory.replica import hidden
from simulator.active_directory.schema import Attribute, Value

if TYPE_CHECKING:
    from simulator.active_directory.filter import Test
    from simulator.active_directory.replica import Entry, Replica
    from simulator.active_directory.state import Domain

COLUMNS = 76
"""Octets of a line; longer ones are folded."""

_SAFE = re.compile(rb"(?![ :<])[\x01-\x09\x0b\x0c\x0e-\x7f]*(?<! )\Z")
"""SAFE-STRING of RFC 2849, and not ending with a space (its note 8)."""

_NEVER = frozenset(("userpassword",))
_SYSTEM = (
    "instancetype", "whencreated", "whenchanged", "usncreated", "usnchanged", "name", "objectsid", "samaccounttype",
    "objectcategory", "memberof", "distinguishedname",
)  # fmt: skip


def export_ldif(
    domain: Domain,
    *,
    base: str | None = None,
    matching: str | None = None,
    operational: bool = False,
    on: str | None = None,
    told: Callable[[int], None] | None = None,
) -> Iterator[str]:
    """The text, in pieces of one entry each; the directory must not change until all of them were taken.

    base: a DN to begin at (default: the domain's root). matching: an LDAP filter. operational: with what the system
    keeps. on: a controller. told: is told how many entries were written, after each. Raises ValueError for a base that
    is not there and for what is no filter.
    """
    replica = domain.controller(on).replica
    top = replica.root if base is None else _base(domain, on, base)
    fits = None if matching is None else _test(matching, replica)
    return _texts(top, fits, operational, told)


def _texts(top: Entry, fits: Test | None, operational: bool, told: Callable[[int], None] | None) -> Iterator[str]:
    yield "version: 1\n\n"
    count = 0
    for entry in _walk(top):
        if fits is None or fits(entry):
            count += 1
            yield _record(entry, operational)
            if told is not None:
                told(count)


def _test(matching: str, replica: Replica) -> Test:
    from ldap3.core.exceptions import LDAPExceptionError
    from ldap3.operation.search import compile_filter, parse_filter

    from simulator.active_directory.messages import read_filter

    try:
        parsed = parse_filter(matching, None, False, None, False, False).elements[0]
        return compiled(read_filter(compile_filter(parsed)), replica)
    except LDAPExceptionError as problem:
        raise ValueError(f"{matching!r} is no filter: {problem}") from None


def _base(domain: Domain, on: str | None, dn: str) -> Entry:
    try:
        found = domain.controller(on).replica.resolve(names.parse_dn(dn))
    except names.InvalidName as problem:
        raise ValueError(str(problem)) from None
    if found is None or hidden(found):
        raise ValueError(f"{dn!r} is not in {domain.name}")
    return found


def _walk(top: Entry) -> Iterator[Entry]:
    """``top`` and what lies below it, parents first, siblings in order of their names."""
    waiting = [top]
    while waiting:
        entry = waiting.pop()
        if hidden(entry):
            continue
        yield entry
        if entry.children:
            waiting += [entry.children[key] for key in sorted(entry.children, reverse=True)]


def _record(entry: Entry, operational: bool) -> str:
    lines = [_line("dn", entry.dn.encode("utf-8", "surrogatepass"))]
    for attribute, value in _attributes(entry, operational):
        name = attribute.name
        lines += [_line(name, octets) for octets in values.all_octets(value)]
    return "".join(lines) + "\n"


def _attributes(entry: Entry, operational: bool) -> Iterator[tuple[Attribute, Value]]:
    """objectClass, the relative name, the GUID, and all others by name."""
    keys = {key for key in (*entry.values, *entry.kind.defaults) if _is_settable(schema.ATTRIBUTES[key])}
    if operational:
        keys.update(_SYSTEM, (key for key in entry.values if not _is_never(schema.ATTRIBUTES[key])))
    own = "objectclass", entry.kind.rdn.lower(), "objectguid"
    for key in (*own, *sorted(keys - set(own))):
        found = entry.get(key)
        if found is not None:
            yield schema.ATTRIBUTES[key], found


def _is_never(attribute: Attribute) -> bool:
    return attribute.secret or attribute.constructed or attribute.key in _NEVER


def _is_settable(attribute: Attribute) -> bool:
    return not (attribute.system or attribute.local or _is_never(attribute))


def _line(name: str, octets: bytes) -> str:
    """One value, folded."""
    if _SAFE.match(octets):
        text = f"{name}: {octets.decode('ascii')}" if octets else f"{name}:"
    else:
        text = f"{name}:: {b64encode(octets).decode('ascii')}"
    if len(text) <= COLUMNS:
        return text + "\n"
    step = COLUMNS - 1
    parts = [text[:COLUMNS], *(text[at : at + step] for at in range(COLUMNS, len(text), step))]
    return "\n ".join(parts) + "\n"
