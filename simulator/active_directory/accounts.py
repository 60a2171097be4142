"""Users: how they are made, found, changed, moved and deleted."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Final
from uuid import UUID

from pwsync.credential import nt_hash
from simulator.active_directory import password_settings, passwords, policy, schema, values
from simulator.active_directory.names import InvalidName, parse_dn, rdn_key
from simulator.active_directory.schema import CLASSES, Value
from simulator.active_directory.supplemental import keep
from simulator.active_directory.times import NEVER, filetime, moment, moment_of_seconds, ticks
from simulator.refusal import Refusal

if TYPE_CHECKING:
    from simulator.active_directory.replica import Entry, Stamp
    from simulator.active_directory.state import Controller, Domain

Texts = Mapping[str, str | Sequence[str]]
_NOT_WRITABLE = {"cn", "ou", "dc", "member", "pwdlastset", "userpassword"}


class Unchanged(Enum):
    """The one value that stands for "leave it as it is", where None has a meaning."""

    UNCHANGED = "unchanged"


UNCHANGED: Final = Unchanged.UNCHANGED


class Account:
    """A live view of a user's object: it shows what is there when it is asked.

    On one controller; or, with the same object's entries on ``others``, as it will be once all have replicated: each
    attribute as its greatest stamp has it.
    """

    __slots__ = ("_others", "entry")

    def __init__(self, entry: Entry, others: Sequence[Entry] = ()) -> None:
        self.entry = entry
        self._others = others

    def _holder(self, key: str) -> Entry:
        """The entry whose value of an attribute stands."""
        best = self.entry
        for other in self._others:
            stamp = other.stamp(key)
            if stamp is not None and stamp.wins_over(best.stamp(key)):
                best = other
        return best

    @property
    def guid(self) -> UUID:
        return UUID(bytes_le=self.entry.guid)

    @property
    def anchor(self) -> bytes:
        """The bytes of the source anchor: objectGUID as AD stores it."""
        return self.entry.guid

    @property
    def source_anchor(self) -> str:
        """Base64 of :attr:`anchor`."""
        return b64encode(self.entry.guid).decode()

    @property
    def dn(self) -> str:
        return self._holder("name").dn

    @property
    def name(self) -> str:
        """sAMAccountName; a deleted user keeps it."""
        return self._holder("samaccountname").text("samaccountname")

    @property
    def upn(self) -> str:
        return self._holder("userprincipalname").text("userprincipalname")

    @property
    def display_name(self) -> str:
        return self._holder("displayname").text("displayname")

    @property
    def user_class(self) -> str:
        """``user``, ``inetOrgPerson`` or ``computer``."""
        return self.entry.kind.name

    @property
    def flags(self) -> int:
        """userAccountControl."""
        return self._holder("useraccountcontrol").integer("useraccountcontrol")

    @property
    def enabled(self) -> bool:
        return not self.flags & policy.DISABLED

    @property
    def password_never_expires(self) -> bool:
        return bool(self.flags & policy.PASSWORD_NEVER_EXPIRES)

    @property
    def smartcard_required(self) -> bool:
        return bool(self.flags & policy.SMARTCARD_REQUIRED)

    @property
    def must_change(self) -> bool:
        """Whether pwdLastSet is 0."""
        return self._holder("pwdlastset").integer("pwdlastset") == 0

    @property
    def critical(self) -> bool:
        return self.entry.get("iscriticalsystemobject") is True

    @property
    def deleted(self) -> bool:
        return self.entry.deleted or any(other.deleted for other in self._others)

    @property
    def nt_hash(self) -> bytes:
        """16 bytes; empty for an account without a password."""
        return self._holder("unicodepwd").octets("unicodepwd")

    @property
    def stamp(self) -> Stamp | None:
        """Metadata of the password; None if none was ever set."""
        return self._holder("unicodepwd").stamp("unicodepwd")

    @property
    def changed(self) -> datetime:
        """Originating time of the password attribute, in whole seconds."""
        stamp = self.stamp
        return moment_of_seconds(self.entry.created.changed if stamp is None else stamp.changed)

    @property
    def version(self) -> int:
        """How often the password was set; 0 if never."""
        stamp = self.stamp
        return 0 if stamp is None else stamp.version

    @property
    def usn(self) -> int:
        """uSNChanged on the controller looked at."""
        return self.entry.usn

    @property
    def password_last_set(self) -> datetime | None:
        """None while the password must be changed."""
        last_set = self._holder("pwdlastset").integer("pwdlastset")
        return moment(last_set) if last_set else None

    @property
    def account_expires(self) -> datetime | None:
        expires = self._holder("accountexpires").integer("accountexpires")
        return None if expires in (0, NEVER) else moment(expires)

    def attribute(self, name: str) -> tuple[str | int | bytes, ...]:
        """All values of any attribute by name."""
        found = schema.attribute(name)
        return () if found is None else self._holder(found.key).all(found.key)

    def __repr__(self) -> str:
        return f"<Account {self.name}>"


def newest_of(entries: Sequence[Entry]) -> Account:
    """The view over one object's entries on several controllers, at least one; ``entry`` has the newest password."""
    best = entries[0]
    for entry in entries[1:]:
        stamp = entry.stamp("unicodepwd")
        if stamp is not None and stamp.wins_over(best.stamp("unicodepwd")):
            best = entry
    return Account(best, tuple(entry for entry in entries if entry is not best))


def unknown(domain: Domain, name: str) -> Refusal:
    """The refusal for a user whom there is not."""
    return Refusal("no-such-user", f"there is no user {name!r} in {domain.name}", win32=0x525, ldap=32)


def lookup(controller: Controller, name: str) -> Entry:
    """The entry of a user by sAMAccountName. Raises Refusal ``no-such-user``."""
    entry = controller.replica.by_name.get(name.casefold())
    if entry is None or not entry.kind.is_account:
        raise unknown(controller.domain, name)
    return entry


def typed(attributes: Texts) -> dict[str, Value | None]:
    """Attributes as people write them, checked and in the directory's types. Raises Refusal."""
    found: dict[str, Value | None] = {}
    for name, given in attributes.items():
        attribute = schema.attribute(name)
        if attribute is None:
            raise Refusal("no-such-attribute", f"the schema has no attribute {name!r}", ldap=16)
        if attribute.system or attribute.secret or attribute.constructed or attribute.key in _NOT_WRITABLE:
            raise Refusal("attribute-not-writable", f"{attribute.name} is not set this way", ldap=19)
        texts = [given] if isinstance(given, str) else list(given)
        if attribute.single and len(texts) > 1:
            raise Refusal("attribute-single-valued", f"{attribute.name} takes one value", ldap=19)
        try:
            found[attribute.key] = values.pack([values.read_text(attribute, text) for text in texts])
        except values.InvalidValue as problem:
            raise Refusal("attribute-invalid", str(problem), ldap=problem.code) from None
    return found


def check_names(domain: Domain, controller: Controller, name: str | None, upn: str | None, entry: Entry | None) -> None:
    """Account names are unique in a domain, principal names in the forest. Raises Refusal."""
    if name is not None and controller.replica.by_name.get(name.casefold(), entry) is not entry:
        raise Refusal("name-taken", f"{name!r} exists in {domain.name}", win32=0x524, ldap=68)
    if upn is not None:
        folded = upn.casefold()
        for other in domain.forest.domains.values():
            at = controller if other is domain else other.controller(None)
            if at.replica.by_upn.get(folded, entry) is not entry:
                raise Refusal("upn-taken", f"{upn!r} exists in the forest", win32=0x21C8, ldap=19)


def unit(controller: Controller, path: str) -> Entry:
    """The container named by ``OU=A,OU=B`` (relative to the domain, or a whole DN), made as needed. Raises Refusal."""
    replica = controller.replica
    try:
        parts = parse_dn(path)
    except InvalidName as problem:
        raise Refusal("bad-name", str(problem), ldap=34) from None
    root = parse_dn(replica.root.dn)
    tail = [rdn_key(*part) for part in parts[-len(root) :]]
    if tail == [rdn_key(*part) for part in root]:
        parts = parts[: -len(root)]
    for kind, _ in parts:
        if kind.upper() not in ("OU", "CN"):
            raise Refusal("bad-name", f"{path!r} is not below {replica.root.dn}", ldap=34)
    above = replica.root
    for kind, value in reversed(parts):
        child = (above.children or {}).get(rdn_key(kind, value))
        if child is None:
            if kind.upper() != "OU":
                raise Refusal("no-such-container", f"{path!r} does not exist", ldap=32)
            child = controller.create(above, value, CLASSES["organizationalunit"], {})
        above = child
    return above


def create(
    domain: Domain,
    controller: Controller,
    name: str,
    password: str | None,
    *,
    user_class: str = "user",
    ou: str | None = None,
    display_name: str | None = None,
    upn: str | None = None,
    enabled: bool = True,
    must_change: bool = False,
    password_never_expires: bool = False,
    smartcard_required: bool = False,
    account_expires: datetime | None = None,
    password_age: timedelta | None = None,
    critical: bool = False,
    attributes: Texts | None = None,
    stored_attributes: Mapping[str, Value] | None = None,
    cn: str | None = None,
    check_policy: bool = True,
) -> Entry:
    """Make a user; see :meth:`simulator.active_directory.state.Domain.create_user`.

    stored_attributes: more values by schema key, checked already. cn: the name in the tree, if it is not ``name``.
    """
    kind = CLASSES.get(user_class.lower())
    if kind is None or not kind.is_account:
        raise Refusal("no-such-class", f"{user_class!r} is not a class of users", ldap=65)
    display_name = display_name or name
    upn = upn or f"{name}@{domain.name}"
    more = controller.replica.linked(typed(attributes)) if attributes else {}
    check_names(domain, controller, name, upn, None)
    rules = domain.policy
    if check_policy and password is not None:
        passwords.check_quality(rules, password, name, display_name)
    parent = controller.home(ou or "OU=People")
    if parent.children and rdn_key("CN", cn or name) in parent.children:
        raise Refusal("name-taken", f"CN={cn or name} exists below {parent.dn}", win32=0x2071, ldap=68)
    made_at = controller.now() - (ticks(password_age) if password_age else 0)
    flags = policy.NORMAL_ACCOUNT
    if not enabled:
        flags |= policy.DISABLED
    if password_never_expires:
        flags |= policy.PASSWORD_NEVER_EXPIRES
    stored: dict[str, Value] = {
        "samaccountname": name,
        "userprincipalname": upn,
        "displayname": display_name,
        "useraccountcontrol": flags,
    }
    nt = None if password is None else nt_hash(password)
    last_set = 0 if must_change or nt is None else made_at
    if nt is None or password is None:
        stored["pwdlastset"] = 0
    else:
        stored["unicodepwd"] = stored["ntpwdhistory"] = nt
        stored["dbcspwd"] = stored["lmpwdhistory"] = b""
        stored["supplementalcredentials"] = keep(password, name, upn, domain.name, computer=kind.name == "computer")
        stored["pwdlastset"] = last_set
    if account_expires is not None:
        stored["accountexpires"] = filetime(account_expires)
    if critical:
        stored["iscriticalsystemobject"] = True
    for key, value in more.items():
        if value is not None:
            stored[key] = value
    if stored_attributes:
        stored |= stored_attributes
    entry = controller.create(parent, cn or name, kind, stored, rid=controller.take_rid(), at=made_at)
    if nt is not None:
        passwords.record(domain, entry, nt, "create", last_set == 0, moment(made_at))
    if smartcard_required:
        require_smartcard(controller, entry, flags)
    if domain.awaited:
        password_settings.link_awaited(domain, controller, entry)
    return entry


def convert(controller: Controller, entry: Entry, user_class: str) -> None:
    """Make a user an inetOrgPerson or the other way round ([MS-ADTS] 3.1.1.5.3.5: from Windows Server 2003 on)."""
    kind = CLASSES.get(user_class.lower())
    if kind is None or kind.name not in ("user", "inetOrgPerson"):
        raise Refusal("no-such-class", f"a user can't become {user_class!r}", ldap=53)
    if kind is not entry.kind:
        entry.kind = kind
        controller.replica.touch(entry, ("objectclass",), controller.seconds())


def require_smartcard(
    controller: Controller, entry: Entry, flags: int, changes: Mapping[str, Value | None] | None = None
) -> None:
    """Set SMARTCARD_REQUIRED, with other changes: the system puts a random password in the same transaction
    ([MS-SAMR] 3.1.1.8.10)."""
    also: dict[str, Value | None] = {**(changes or {}), "useraccountcontrol": flags | policy.SMARTCARD_REQUIRED}
    passwords.randomise(controller, entry, also)


def update(
    domain: Domain,
    controller: Controller,
    entry: Entry,
    *,
    enabled: bool | None = None,
    account_expires: datetime | Unchanged | None = UNCHANGED,
    password_never_expires: bool | None = None,
    smartcard_required: bool | None = None,
    upn: str | None = None,
    display_name: str | None = None,
    attributes: Mapping[str, str | Sequence[str] | None] | None = None,
    user_class: str | None = None,
) -> None:
    """Change a user's properties in one transaction; see :meth:`~simulator.active_directory.state.Domain.set_user`.

    Another class is a transaction of its own (unconfirmed).
    """
    if user_class is not None:
        convert(controller, entry, user_class)
    given = dict(attributes or {})
    changes: dict[str, Value | None] = typed({name: value for name, value in given.items() if value is not None})
    changes |= typed({name: [] for name, value in given.items() if value is None})
    controller.replica.linked(changes)
    name = changes.get("samaccountname")
    check_names(domain, controller, name if isinstance(name, str) else None, upn, entry)
    if upn is not None:
        changes["userprincipalname"] = upn
    if display_name is not None:
        changes["displayname"] = display_name
    if not isinstance(account_expires, Unchanged):
        changes["accountexpires"] = NEVER if account_expires is None else filetime(account_expires)
    flags = before = entry.integer("useraccountcontrol")
    flags = _switched(flags, policy.DISABLED, None if enabled is None else not enabled)
    flags = _switched(flags, policy.PASSWORD_NEVER_EXPIRES, password_never_expires)
    flags = _switched(flags, policy.SMARTCARD_REQUIRED, smartcard_required)
    if flags != before:
        changes["useraccountcontrol"] = flags
    if flags & ~before & policy.SMARTCARD_REQUIRED:
        passwords.randomise(controller, entry, changes)
    else:
        controller.replica.write(entry, changes, controller.seconds())


def _switched(flags: int, bit: int, on: bool | None) -> int:
    if on is None:
        return flags
    return flags | bit if on else flags & ~bit


def unlock(controller: Controller, entry: Entry) -> None:
    """lockoutTime 0, which also zeroes badPwdCount."""
    controller.replica.set_local(entry, {"badpwdcount": 0})
    controller.replica.write(entry, {"lockouttime": 0} if entry.integer("lockouttime") else {}, controller.seconds())


def move(controller: Controller, entry: Entry, ou: str) -> None:
    """Move a user below another container. Raises Refusal if the name is taken there."""
    parent = unit(controller, ou)
    there = (parent.children or {}).get(entry.key)
    if there is not None and there is not entry:
        raise Refusal("name-taken", f"{entry.key} exists below {parent.dn}", win32=0x2071, ldap=68)
    controller.replica.move(entry, parent, entry.rdn, controller.seconds())
