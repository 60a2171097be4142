"""Searching: where the base lies, which entries match, in which order and how many come back.

[MS-ADTS] 3.1.1.3.1.3. Answers other than success are raised as LdapError.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from simulator.active_directory import controls, dirsync, errors, names, naming_contexts, schema, values
from simulator.active_directory.controls import SortKey, Wishes
from simulator.active_directory.filter import Match, check_size, compiled
from simulator.active_directory.filter_index import select
from simulator.active_directory.filter_values import of_sid
from simulator.active_directory.reading import Reader, readable
from simulator.active_directory.replica import Entry, hidden
from simulator.active_directory.requests import PAGED, SORT, SUPPORTED_CONTROLS, Found, Search
from simulator.active_directory.root_dse import root_dse
from simulator.active_directory.virtual import well_known

if TYPE_CHECKING:
    from simulator.active_directory.session import Session
    from simulator.active_directory.state import Controller

PAGE_SIZE_MAX = 1000
"""MaxPageSize of the default query policy: more than this comes in pages only."""

PAGED_SEARCHES_MAX = 10
"""MaxResultSetsPerConn: of more unfinished searches on one connection the oldest is forgotten."""

NOT_FOUND, UNWILLING, INAPPROPRIATE = errors.NO_SUCH_ATTRIBUTE, errors.UNWILLING_TO_PERFORM, 18


@dataclass(slots=True)
class Pages:
    """Paged searches of a connection whose pages are still to come, by cookie."""

    waiting: dict[bytes, tuple[list[Entry], list[list[str]]]] = field(default_factory=dict)
    number: int = 0

    def keep(self, entries: list[Entry], references: list[list[str]]) -> bytes:
        """Remember what is left; returns the cookie to go on with."""
        if len(self.waiting) >= PAGED_SEARCHES_MAX:
            del self.waiting[next(iter(self.waiting))]
        self.number += 1
        cookie = self.number.to_bytes(8, "big")
        self.waiting[cookie] = entries, references
        return cookie


def search(session: Session, request: Search) -> Found:
    """Answer a search."""
    wishes = controls.wishes(request.controls)
    if not request.base and request.scope == 0:
        return _root_search(session, request)
    session.require_bind()
    check_size(request.filter)
    controller = session.controller
    if wishes.everywhere and not request.base:
        heads = [replica.root for replica in naming_contexts.replicas(controller)]  # below the root of all
        scope = 2
    else:
        heads, scope = [locate(controller, request.base, deleted=wishes.deleted)], request.scope
        if wishes.sync is not None:
            return dirsync.search(session, heads[0], request, wishes)
    reader = Reader(request, wishes, session)
    answer = _sorted_as(wishes)
    if answer is not None and answer.code != errors.SUCCESS:
        return answer
    local = wishes.local or len(heads) > 1
    references = [] if local else naming_contexts.subordinates(controller, heads[0], scope)
    if wishes.paged is not None:
        found = _page(session.pages, lambda: _entries(request, heads, scope, wishes), wishes, references, reader)
    else:
        found = _limited(_entries(request, heads, scope, wishes), request.size_limit, reader)
        found.references = references
    if answer is not None:
        found.controls += answer.controls
    return found


def compare(session: Session, dn: str, name: str, value: bytes) -> bool:
    """Whether an attribute has a value; secrets never have."""
    session.require_bind()
    entry = locate(session.controller, dn)
    attribute = schema.attribute(name)
    if attribute is None:
        raise errors.unknown_attribute(name)
    if attribute.secret:
        return False
    found = entry.get(attribute.key) if readable(entry, session) else None
    if found is None:
        raise errors.attribute_error(errors.NO_SUCH_ATTRIBUTE, 0x2080, attribute.name)
    if attribute.constructed:
        return value in values.all_octets(found)
    return bool(compiled(Match("=", name, value), entry.replica)(entry))


# --- names --------------------------------------------------------------------------------------------------------


def locate(controller: Controller, dn: str, *, deleted: bool = False) -> Entry:
    """The entry of a DN, ``<GUID=..>``, ``<SID=..>`` or ``<WKGUID=..,DN>``, in whichever context it lies.

    Raises LdapError: 34 for what is no name, 32 with the deepest entry that exists, 10 for what lies elsewhere.
    """
    if dn.startswith("<"):
        entry, matched = _special(controller, dn), ""
    else:
        try:
            parts = names.parse_dn(dn)
        except names.InvalidName:
            raise errors.bad_dn(dn) from None
        entry = controller.replica.resolve(parts)
        matched = ""
        if entry is None:
            replica = naming_contexts.replica_of(controller, parts)
            if replica is None:
                raise naming_contexts.referral(controller, parts)
            nearest, left = replica.nearest(parts)
            matched = nearest.dn if nearest is not None else ""
            entry = None if left else nearest
    if entry is None or (hidden(entry) and not deleted):
        raise errors.no_object(matched)
    return entry


def _special(controller: Controller, dn: str) -> Entry | None:
    if not dn.endswith(">"):
        raise errors.bad_dn(dn)
    kind, _, text = dn[1:-1].partition("=")
    own = controller.replica
    try:
        if kind.upper() == "GUID":
            guid = names.guid_bytes(text)
            return own.by_guid.get(guid) or _elsewhere(controller, guid)
        if kind.upper() == "SID":
            return of_sid(own, names.sid_bytes(text) if text.upper().startswith("S-") else bytes.fromhex(text))
        if kind.upper() == "WKGUID":
            known, _, container = text.partition(",")
            if not container.startswith("<"):
                return well_known(locate(controller, container)).get(names.guid_bytes(known).hex().upper())
    except (names.InvalidName, ValueError):
        pass
    raise errors.bad_dn(dn)


def _elsewhere(controller: Controller, guid: bytes) -> Entry | None:
    """The object of that GUID in configuration or schema."""
    for replica in naming_contexts.replicas(controller)[1:]:
        if guid in replica.by_guid:
            return replica.by_guid[guid]
    return None


# --- the root -----------------------------------------------------------------------------------------------------


def _root_search(session: Session, request: Search) -> Found:
    wanted = {name.lower() for name in request.attributes}
    every = not wanted or bool(wanted & {"*", "+"})
    shown = [
        (each, found)
        for each, found, asked_only in root_dse(session, sorted(SUPPORTED_CONTROLS))
        if each.key in wanted or (every and not (asked_only and "+" not in wanted))
    ]
    return Found([("", [(each, [] if request.types_only else found) for each, found in shown])])


# --- order, limits, pages -----------------------------------------------------------------------------------------


def _entries(request: Search, heads: Sequence[Entry], scope: int, wishes: Wishes) -> list[Entry]:
    found: list[Entry] = []
    for base in heads:
        found += select(request.filter, base.replica, base, scope, deleted=wishes.deleted)
    if len(wishes.sort) == 1 and schema.attribute(wishes.sort[0].name) is not None:
        return _in_order(found, wishes.sort[0])
    return found


def _in_order(entries: list[Entry], key: SortKey) -> list[Entry]:
    """Entries by an attribute's first value; what lacks it counts as greatest (RFC 2891)."""
    attribute = schema.attribute(key.name)
    if attribute is None:
        return entries
    having: list[tuple[schema.Scalar, Entry]] = []
    lacking = []
    for entry in entries:
        found = entry.all(attribute.key)
        if found:
            having.append((values.matching_form(attribute, found[0]), entry))
        else:
            lacking.append(entry)
    having.sort(key=lambda pair: pair[0], reverse=key.reverse)
    ordered = [entry for _, entry in having]
    return [*lacking, *ordered] if key.reverse else [*ordered, *lacking]


def _sorted_as(wishes: Wishes) -> Found | None:
    """What is to be said of a sort control: a refusal of the search if it is critical and can't be honoured."""
    if not wishes.sort:
        return None
    code, name = errors.SUCCESS, ""
    if len(wishes.sort) > 1:
        code = UNWILLING  # one key is all that the product sorts by
    else:
        attribute = schema.attribute(wishes.sort[0].name)
        if attribute is None:
            code, name = NOT_FOUND, wishes.sort[0].name
        elif attribute.constructed or attribute.secret:
            code, name = INAPPROPRIATE, attribute.name
    answer = controls.sort_answer(code, name)
    if code == errors.SUCCESS or not wishes.sort_critical:
        return Found(controls=[answer])
    refusal = errors.wrong_extension(SORT)
    return Found(code=refusal.code, text=refusal.text, controls=[answer])


def _limited(entries: Sequence[Entry], size_limit: int, reader: Reader) -> Found:
    limit = min(size_limit or PAGE_SIZE_MAX, PAGE_SIZE_MAX)
    found = Found([reader.read(entry) for entry in entries[:limit]])
    if len(entries) > limit:
        found.code = errors.SIZE_LIMIT_EXCEEDED
        found.text = "00002023: SvcErr: DSID-031A120C, problem 5002 (UNAVAILABLE), data 0\n\x00"
    return found


def _page(
    pages: Pages, find: Callable[[], list[Entry]], wishes: Wishes, references: list[list[str]], reader: Reader
) -> Found:
    """One page; continuation references come with the last (unconfirmed)."""
    size, cookie = wishes.paged or (0, b"")
    if cookie:
        waiting = pages.waiting.pop(cookie, None)
        if waiting is None:
            raise errors.wrong_extension(PAGED)
        entries, references = waiting
    elif size:
        entries = find()
    if size == 0:
        return Found(page_cookie=b"")  # the client gives the search up (RFC 2696)
    size = min(size, PAGE_SIZE_MAX)
    page, rest = entries[:size], entries[size:]
    # What was deleted since the search began is not shown.
    found = Found([reader.read(entry) for entry in page if wishes.deleted or not hidden(entry)], page_cookie=b"")
    if rest:
        found.page_cookie = pages.keep(rest, references)
    else:
        found.references = references
    return found
