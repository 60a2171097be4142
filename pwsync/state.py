"""Everything the agent knows, in memory: domains, objects, passwords, and what changed since the last commit.

Passwords are known here by stamps only (:mod:`pwsync.stamp`). The one exception is :attr:`PasswordState.nt`, which
lives as long as the process at most.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime

from pwsync.object_log import Attempt
from pwsync.stamp import Sent, Stamp


@dataclass(slots=True)
class DomainState:
    """One domain.

    full: ``""``, ``"ordered"`` (the next cycle reads and sends all) or ``"running"`` (not all of it is sent yet).
    imported: the first full object cycle is done. import_attributes: what the import's cookie was read with.
    """

    name: str
    password_sync: bool = False
    full: str = ""
    imported: bool = False
    import_cookie: bytes | None = None
    import_attributes: str = ""
    replication_cookie: bytes | None = None

    def take(self, other: DomainState) -> None:
        """Become as another one; whoever holds this one sees it."""
        for each in fields(self):
            setattr(self, each.name, getattr(other, each.name))


UNCONFIRMED = b"?"
"""In place of a digest: the object was sent for the first time, and no answer came. No digest is so short."""


@dataclass(slots=True)
class ObjectState:
    """One object of the directory as of the last object cycle.

    left_out, password_left_out: reasons of :mod:`pwsync.scope`, None where in scope. wanted: a digest of what the
    tenant should have, None if nothing. exported: the digest of what it has; empty if it has the object but should
    get it again, since nobody knows just how; :data:`UNCONFIRMED` if nobody knows whether it has it; None if it does
    not have it.
    """

    anchor: str
    domain: str
    dn: str
    left_out: str | None = None
    password_left_out: str | None = None
    wanted: bytes | None = None
    exported: bytes | None = None

    @property
    def password_wanted(self) -> bool:
        return self.left_out is None and self.password_left_out is None

    @property
    def confirmed(self) -> bool:
        """Is it known that the tenant has the object?"""
        return self.exported is not None and self.exported != UNCONFIRMED

    @property
    def settled(self) -> bool:
        """Does the tenant have what it should?"""
        return self.exported == self.wanted


@dataclass(slots=True)
class PasswordState:
    """One user's password.

    pending: the change that still has to go out. forced: send it even if the tenant has it. due: read it from the
    directory in the next password cycle. nt: the NT hash while it waits, in memory only. attempted and applied: the
    last change that was sent, or may have been, and that the tenant took; nothing below them is ever sent.
    """

    anchor: str
    domain: str
    dn: str
    pending: Stamp | None = None
    forced: bool = False
    due: bool = False
    temporary: bool = False
    attempted: Sent | None = None
    applied: Sent | None = None
    status: str = "none"
    nt: bytes | None = field(default=None, repr=False)

    @property
    def waits(self) -> bool:
        """Is there anything left to do for it?"""
        return self.pending is not None or self.due

    def leave_out(self, status: str, read: Stamp | None = None) -> None:
        """A rule keeps the password here: nothing of it waits any more, and its hash is forgotten.

        That it was changed is not forgotten (read: the change just read): the controller does not tell of it again, and
        a process that died may have sent it.
        """
        for stamp in filter(None, (self.pending, read)):
            self.attempted = stamp.sent if self.attempted is None else max(self.attempted, stamp.sent)
        self.pending, self.nt, self.forced, self.due, self.status = None, None, False, False, status


class Touched:
    """Names and anchors of what changed since the last commit, in the order in which it did; attempts since then."""

    def __init__(self) -> None:
        self.settings: dict[str, None] = {}
        self.domains: dict[str, None] = {}
        self.objects: dict[str, None] = {}
        self.passwords: dict[str, None] = {}
        self.attempts: list[Attempt] = []

    def __bool__(self) -> bool:
        return bool(self.passwords or self.domains or self.objects or self.settings or self.attempts)

    def followed_by(self, later: Touched) -> Touched:
        """Both, this one's first."""
        both = Touched()
        for part in (self, later):
            both.settings.update(part.settings)
            both.domains.update(part.domains)
            both.objects.update(part.objects)
            both.passwords.update(part.passwords)
            both.attempts += part.attempts
        return both


class State:
    """Everything the agent knows, in memory; :meth:`pwsync.store.Store.commit` writes what was touched.

    waiting: passwords that are pending or due to be read. outbound: anchors of objects that the tenant does not have
    as it should. refused: anchors of objects that the tenant would not take as long as others have what they wish;
    known by the process only, which learns it anew with every export.
    """

    def __init__(self) -> None:
        self.settings: dict[str, str] = {}
        self.domains: dict[str, DomainState] = {}
        self.objects: dict[str, ObjectState] = {}
        self.passwords: dict[str, PasswordState] = {}
        self.waiting: dict[str, PasswordState] = {}
        self.outbound: dict[str, ObjectState] = {}
        self.attributes: dict[str, str] = {}
        self.refused: set[str] = set()
        self.touched = Touched()

    def set(self, name: str, value: str) -> None:
        """Keep a setting of the agent's own."""
        if self.settings.get(name) != value:
            self.settings[name] = value
            self.touched.settings[name] = None

    def domain(self, name: str) -> DomainState:
        """The domain's state; a new one if it is met for the first time."""
        found = self.domains.get(name)
        if found is None:
            found = self.domains[name] = DomainState(name)
            self.touched.domains[name] = None
        return found

    def touch_domain(self, domain: DomainState) -> None:
        self.touched.domains[domain.name] = None

    def touch_object(self, record: ObjectState, attributes: Mapping[str, list[str]] | None = None) -> None:
        """The object changed; ``attributes`` where these changed as well."""
        anchor = record.anchor
        self.objects[anchor] = record
        self.touched.objects[anchor] = None
        if attributes is not None:
            self.attributes[anchor] = json.dumps(attributes, ensure_ascii=False, separators=(",", ":"))
        if record.exported != record.wanted:
            self.outbound[anchor] = record
        else:
            self.outbound.pop(anchor, None)

    def drop_object(self, anchor: str) -> None:
        self.objects.pop(anchor, None)
        self.outbound.pop(anchor, None)
        self.refused.discard(anchor)
        self.attributes.pop(anchor, None)
        self.touched.objects[anchor] = None

    def note_attempt(self, state: PasswordState, time: datetime, changed: int | None = None) -> None:
        """Keep what an attempt came to: the user's status. ``changed``: the change, if it does not wait any more."""
        if changed is None and state.pending is not None:
            changed = state.pending.changed
        self.touched.attempts.append(Attempt(time, state.anchor, changed, state.status))

    def touch_password(self, state: PasswordState) -> None:
        anchor = state.anchor
        self.passwords[anchor] = state
        self.touched.passwords[anchor] = None
        if state.pending is not None or state.due:
            self.waiting[anchor] = state
        else:
            self.waiting.pop(anchor, None)

    def drop_password(self, anchor: str) -> None:
        if self.passwords.pop(anchor, None) is not None:
            self.waiting.pop(anchor, None)
            self.touched.passwords[anchor] = None
