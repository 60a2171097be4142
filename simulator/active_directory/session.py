"""What a client may do over LDAP once it is connected: bind, search, compare. Knows the protocol's words only.

One session per connection. Answers other than success are raised as
:class:`~simulator.active_directory.errors.LdapError`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pwsync.credential import nt_hash
from simulator.active_directory import dirsync, errors, logon, names, schema, values
from simulator.active_directory.filter import Match, compiled, select
from simulator.active_directory.replica import Entry, hidden
from simulator.active_directory.replication import find_account
from simulator.active_directory.requests import (
    DIRSYNC,
    EXTENDED_DN,
    PAGED,
    SHOW_DELETED,
    SHOW_RECYCLED,
    SUPPORTED_CONTROLS,
    Control,
    Found,
    Search,
    Values,
    extended_dn,
)
from simulator.active_directory.root_dse import root_dse
from simulator.active_directory.schema import Attribute

if TYPE_CHECKING:
    from simulator.active_directory.state import Controller

PAGE_SIZE_MAX = 1000
"""MaxPageSize of the default query policy: more than this comes in pages only."""


class Session:
    """A connection's state on the controller: who is bound, and searches whose pages are still to come."""

    def __init__(self, controller: Controller) -> None:
        self.controller = controller
        self.protected = True  # by TLS; a real port says otherwise of its plain connections
        self._bound: bytes | None = None
        self._pages: dict[bytes, list[Entry]] = {}
        self._page_number = 0

    @property
    def user(self) -> Entry | None:
        """The bound account; None for anonymous, and once it is deleted."""
        entry = None if self._bound is None else self.controller.replica.by_guid.get(self._bound)
        return None if entry is None or entry.deleted else entry

    def unbind(self) -> None:
        """Forget who is bound."""
        self._bound = None
        self._pages.clear()

    def bind(self, name: str, password: str) -> None:
        """A simple bind by DN, userPrincipalName or DOMAIN\\name; no name and no password is anonymous.

        The password before the current one counts for an hour. Raises LdapError 49 with the sub-code of the reason.
        """
        self.unbind()
        if not name and not password:
            return
        if not password:
            raise errors.unwilling(0x2035)
        entry = self._named(name)
        if entry is None or not entry.kind.is_account or entry.deleted:
            raise errors.bind_error("no-such-user")
        reason = logon.check(self.controller, entry, nt_hash(password), grace=True)
        if reason != "ok":
            raise errors.bind_error(reason)
        self._bound = entry.guid

    def _named(self, name: str) -> Entry | None:
        if "=" in name:
            try:
                return self.controller.replica.resolve(names.parse_dn(name))
            except names.InvalidName:
                return None
        return find_account(self.controller, name)

    def administrator(self) -> bool:
        """Whether the bound account may write what it likes."""
        user = self.user
        return user is not None and self.controller.domain.is_administrator(user)

    def require_bind(self) -> Entry:
        """The bound account. Raises LdapError 1 for anonymous."""
        user = self.user
        if user is None:
            raise errors.not_bound()
        return user

    def target(self, dn: str, *, deleted: bool = False) -> Entry:
        """The entry of a DN, ``<GUID=..>`` or ``<SID=..>``. Raises LdapError 34 or 32."""
        replica = self.controller.replica
        if dn.startswith("<"):
            entry, matched = self._special(dn), ""
        else:
            try:
                parts = names.parse_dn(dn)
            except names.InvalidName:
                raise errors.bad_dn(dn) from None
            entry, left = replica.nearest(parts)
            matched = entry.dn if entry is not None else ""
            entry = None if left else entry
        if entry is None or (hidden(entry) and not deleted):
            raise errors.no_object(matched)
        return entry

    def _special(self, dn: str) -> Entry | None:
        replica, (kind, _, text) = self.controller.replica, dn.strip("<>").partition("=")
        try:
            if kind.upper() == "GUID":
                return replica.by_guid.get(names.guid_bytes(text))
            if kind.upper() == "SID":
                sid = names.sid_bytes(text) if text.upper().startswith("S-") else bytes.fromhex(text)
                found = (
                    replica.root
                    if sid == replica.domain_sid
                    else replica.by_rid.get(int.from_bytes(sid[-4:], "little"))
                )
                return found if found is not None and found.get("objectsid") == sid else None
        except (names.InvalidName, ValueError):
            pass
        raise errors.bad_dn(dn)

    # --- searching ------------------------------------------------------------------------------------------------

    def search(self, request: Search) -> Found:
        """Answer a search. Raises LdapError."""
        controls = self._known_controls(request.controls)
        if not request.base and request.scope == 0:
            return self._root_search(request)
        self.require_bind()
        deleted = SHOW_DELETED in controls or SHOW_RECYCLED in controls or DIRSYNC in controls
        base = self.target(request.base, deleted=deleted)
        if DIRSYNC in controls:
            return dirsync.search(self, base, request, controls)
        reader = Reader(request, extended=_extended(controls))
        if PAGED in controls:
            return self._page(request, base, controls[PAGED], reader, deleted)
        entries = list(select(request.filter, self.controller.replica, base, request.scope, deleted=deleted))
        return self._limited(entries, request.size_limit, reader)

    def _known_controls(self, controls: Sequence[Control]) -> dict[str, Control]:
        """Controls by OID; an unknown one is ignored, or refused if it is critical."""
        for control in controls:
            if control.critical and control.oid not in SUPPORTED_CONTROLS:
                raise errors.wrong_extension(control.oid)
        return {control.oid: control for control in controls}

    def _root_search(self, request: Search) -> Found:
        entry = root_dse(self.controller, sorted(SUPPORTED_CONTROLS))
        wanted = {name.lower() for name in request.attributes}
        every = not wanted or bool(wanted & {"*", "+"})
        shown = [(each, found) for each, found in entry if every or each.key in wanted]
        return Found([("", [(each, [] if request.types_only else found) for each, found in shown])])

    @staticmethod
    def _limited(entries: list[Entry], size_limit: int, reader: Reader) -> Found:
        limit = min(size_limit or PAGE_SIZE_MAX, PAGE_SIZE_MAX)
        found = Found([reader.read(entry) for entry in entries[:limit]])
        if len(entries) > limit:
            found.code = errors.SIZE_LIMIT_EXCEEDED
            found.text = "00002023: SvcErr: DSID-031A120C, problem 5002 (UNAVAILABLE), data 0\n\x00"
        return found

    def _page(self, request: Search, base: Entry, control: Control, reader: Reader, deleted: bool) -> Found:
        size, cookie = dirsync.paging_value(control.value)
        if cookie:
            waiting = self._pages.pop(cookie, None)
            if waiting is None:
                raise errors.unwilling(0x57)
        else:
            waiting = list(select(request.filter, self.controller.replica, base, request.scope, deleted=deleted))
        if size == 0:
            return Found(page_cookie=b"")
        size = min(size, PAGE_SIZE_MAX)
        page, rest = waiting[:size], waiting[size:]
        # What was deleted since the search began is not shown.
        found = Found([reader.read(entry) for entry in page if deleted or not hidden(entry)], page_cookie=b"")
        if rest:
            self._page_number += 1
            found.page_cookie = self._page_number.to_bytes(8, "big")
            self._pages[found.page_cookie] = rest
        return found

    def compare(self, dn: str, name: str, value: bytes) -> bool:
        """Whether an attribute has a value; secrets never have. Raises LdapError."""
        self.require_bind()
        entry = self.target(dn)
        attribute = schema.attribute(name)
        if attribute is None:
            raise errors.unknown_attribute(name)
        if attribute.secret:
            return False
        if entry.get(attribute.key) is None:
            raise errors.attribute_error(errors.NO_SUCH_ATTRIBUTE, 0x2080, attribute.name)
        return bool(compiled(Match("=", name, value), self.controller.replica)(entry))


def _extended(controls: dict[str, Control]) -> int | None:
    """Option of the extended DN control: 0 hexadecimal, 1 as text; None without the control."""
    control = controls.get(EXTENDED_DN)
    return None if control is None else dirsync.extended_value(control.value)


class Reader:
    """Reads the attributes that a search asked for."""

    def __init__(self, request: Search, *, extended: int | None = None) -> None:
        self._extended = extended
        self._types_only = request.types_only
        asked = [name.partition(";")[0].lower() for name in request.attributes]
        self.every = not asked or "*" in asked
        self.attributes = [] if "1.1" in asked and len(asked) == 1 else _attributes(asked)

    def dn(self, entry: Entry) -> str:
        """The DN as the controls want it."""
        return entry.dn if self._extended is None else extended_dn(entry, self._extended)

    def read(self, entry: Entry) -> tuple[str, Values]:
        """DN and values of an entry."""
        attributes = self._all(entry) if self.every else self.attributes
        found: Values = []
        for attribute in attributes:
            value = entry.get(attribute.key)
            if value is not None:
                found.append((attribute, [] if self._types_only else values.all_octets(value)))
        return self.dn(entry), found

    def _all(self, entry: Entry) -> list[Attribute]:
        """Everything but secrets and what is computed on demand, and that if it was named."""
        return [*_COMMON, *(_plain(entry)), *(each for each in self.attributes if each.constructed)]


def _attributes(asked: Sequence[str]) -> list[Attribute]:
    found = (schema.ATTRIBUTES.get(name) for name in asked)
    return list(dict.fromkeys(each for each in found if each is not None and not each.secret))


_COMMON = [
    schema.ATTRIBUTES[key]
    for key in ("objectclass", "cn", "ou", "dc", "distinguishedname", "instancetype", "whencreated", "whenchanged",
                "usncreated", "usnchanged", "name", "objectguid", "objectsid", "samaccounttype", "objectcategory",
                "isdeleted", "isrecycled", "memberof")
]  # fmt: skip


def _plain(entry: Entry) -> list[Attribute]:
    defaults = () if entry.deleted else entry.kind.defaults
    keys = {**dict.fromkeys(defaults), **entry.values}
    return [schema.ATTRIBUTES[key] for key in keys if not schema.ATTRIBUTES[key].secret]
