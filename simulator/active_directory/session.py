"""What a client may do over LDAP once it is connected: bind, search, compare. Knows the protocol's words only.

One session per connection. Answers other than success are raised as
:class:`~simulator.active_directory.errors.LdapError`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pwsync.credential import nt_hash
from simulator.active_directory import bind_names, errors, logon, searching
from simulator.active_directory.replica import Entry
from simulator.active_directory.requests import Found, Search
from simulator.active_directory.searching import Pages

if TYPE_CHECKING:
    from simulator.active_directory.state import Controller


class Session:
    """A connection's state on the controller: who is bound, and searches whose pages are still to come."""

    def __init__(self, controller: Controller) -> None:
        self.controller = controller
        self.protected = True  # by TLS; a real port says otherwise of its plain connections
        self.observed = False  # binds then leave no trace: no counter moves, no logon is noted
        self._bound: bytes | None = None
        self.pages = Pages()

    @property
    def user(self) -> Entry | None:
        """The bound account; None for anonymous. Whoever is bound stays so, even if the account is deleted."""
        return None if self._bound is None else self.controller.replica.by_guid.get(self._bound)

    def unbind(self) -> None:
        """Forget who is bound."""
        self._bound = None
        self.pages = Pages()

    def bind(self, name: str, password: str) -> None:
        """A simple bind by any name of :mod:`simulator.active_directory.bind_names`.

        Without a password it is anonymous, with a name too (RFC 4513 5.1.2: unauthenticated). The password before the
        current one counts for an hour; the workstation is the controller itself, as in the product. Raises LdapError
        49 with the sub-code of the reason.
        """
        self.unbind()
        if not password:
            return
        try:
            entry = bind_names.account(self.controller, name)
        except bind_names.AmbiguousName:
            raise errors.bind_error("ambiguous") from None
        if entry is None or not entry.kind.is_account:
            raise errors.bind_error("no-such-user")
        reason = logon.check(
            self.controller,
            entry,
            nt_hash(password),
            observe=self.observed,
            grace=True,
            workstation=self.controller.name,
        )
        if reason != "ok":
            raise errors.bind_error(reason)
        self._bound = entry.guid

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
        """The entry of a DN, ``<GUID=..>`` or ``<SID=..>``, in the controller's domain.

        Raises LdapError 34, 32 or 10; 53, for others than administrators 50, for configuration and schema, which can't
        be written.
        """
        entry = searching.locate(self.controller, dn, deleted=deleted)
        if entry.replica is not self.controller.replica:
            raise errors.unwilling(0x20B1) if self.administrator() else errors.no_rights()
        return entry

    def search(self, request: Search) -> Found:
        """Answer a search. Raises LdapError."""
        return searching.search(self, request)

    def compare(self, dn: str, name: str, value: bytes) -> bool:
        """Whether an attribute has a value; secrets never have. Raises LdapError."""
        return searching.compare(self, dn, name, value)
