"""Writing over LDAP: add, modify, rename, delete. Each is one transaction that happens wholly or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pwsync.credential import nt_hash
from simulator.active_directory import accounts, errors, names, passwords, policy, schema, values
from simulator.active_directory.errors import LdapError
from simulator.active_directory.replica import Entry, member_guids
from simulator.active_directory.schema import Attribute, ObjectClass, Scalar, Value
from simulator.active_directory.supplemental import keep
from simulator.active_directory.times import moment
from simulator.refusal import Refusal

if TYPE_CHECKING:
    from simulator.active_directory.session import Session

ADD, DELETE, REPLACE = 0, 1, 2
DEFAULT_FLAGS = policy.NORMAL_ACCOUNT | policy.DISABLED | policy.PASSWORD_NOT_REQUIRED


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a modify request: operation (0 add, 1 delete, 2 replace), attribute, values."""

    operation: int
    name: str
    octets: tuple[bytes, ...]


def password_of(octets: bytes) -> str:
    """A password out of a unicodePwd value: quoted UTF-16LE. Raises LdapError 53."""
    if len(octets) % 2 or len(octets) < 4:
        raise errors.unwilling()
    text = octets.decode("utf-16-le", "surrogatepass")
    if text[0] != '"' or text[-1] != '"':
        raise errors.unwilling()
    return text[1:-1]


def known(name: str) -> Attribute:
    """The attribute of that name. Raises LdapError 16."""
    attribute = schema.attribute(name)
    if attribute is None:
        raise errors.unknown_attribute(name)
    return attribute


def read(session: Session, attribute: Attribute, octets: bytes) -> Scalar:
    """One value from the wire; links become objectGUIDs. Raises LdapError 21, 19 or 32."""
    if attribute.key == "member":
        return session.target(values.octets(octets).decode("utf-8", "replace")).guid
    try:
        return values.read(attribute, octets)
    except values.InvalidValue as problem:
        win32 = 0x20B5 if problem.code == values.INVALID_SYNTAX else 0x2082
        raise errors.attribute_error(problem.code, win32, attribute.name) from None


# --- modify -------------------------------------------------------------------------------------------------------


def modify(session: Session, dn: str, changes: Sequence[Change]) -> None:
    """Change an object. Raises LdapError."""
    session.require_bind()
    entry = session.target(dn)
    attributes = [known(change.name) for change in changes]
    secret = [change for change, each in zip(changes, attributes, strict=True) if each.key == "unicodepwd"]
    others = [(each, change) for change, each in zip(changes, attributes, strict=True) if each.key != "unicodepwd"]
    own_change = len(secret) == 2 and {change.operation for change in secret} == {ADD, DELETE}
    if not session.administrator() and (others or (secret and not own_change)):
        if secret and not own_change and secret[0].operation != REPLACE:
            raise errors.unwilling()
        raise errors.no_rights()
    stored = _Working(session, entry)
    for attribute, change in others:
        stored.apply(attribute, change)
    if secret:
        _set_password(session, entry, secret, stored)
    else:
        stored.commit()


class _Working:
    """An entry's attributes as a modify request leaves them, before anything is written."""

    def __init__(self, session: Session, entry: Entry) -> None:
        self._session = session
        self.entry = entry
        self.changes: dict[str, Value | None] = {}
        self.unlocks = False

    def apply(self, attribute: Attribute, change: Change) -> None:
        """Take one change into account. Raises LdapError."""
        key = attribute.key
        if attribute.secret:
            raise errors.unwilling()
        if key == self.entry.kind.rdn.lower() or key == "name":
            raise errors.update_error(errors.NOT_ALLOWED_ON_RDN, 0x2016, "6004 (CANT_ON_RDN)")
        if key == "objectclass":
            raise errors.update_error(errors.OBJECT_CLASS_MODS_PROHIBITED, 0x2079, "6009 (CANT_MOD_OBJ_CLASS)")
        if attribute.system or attribute.constructed:
            raise errors.attribute_error(errors.CONSTRAINT_VIOLATION, 0x20B1, attribute.name)
        after = self._after(attribute, change)
        if attribute.single and len(after) > 1:
            raise errors.attribute_error(errors.ATTRIBUTE_OR_VALUE_EXISTS, 0x2081, attribute.name)
        if key == "member":
            self.changes[key] = tuple(after) or None
        else:
            self.changes[key] = values.pack(after)
        if change.operation != DELETE and after:
            self._interpret(key, after[-1])

    def _before(self, key: str) -> tuple[Scalar, ...]:
        if key in self.changes:
            found = self.changes[key]
            return () if found is None else found if isinstance(found, tuple) else (found,)
        return member_guids(self.entry) if key == "member" else self.entry.all(key)

    def _after(self, attribute: Attribute, change: Change) -> list[Scalar]:
        given = [read(self._session, attribute, octets) for octets in change.octets]
        forms = [values.matching_form(attribute, each) for each in given]
        if len(set(forms)) < len(forms):
            raise errors.attribute_error(errors.ATTRIBUTE_OR_VALUE_EXISTS, 0x2083, attribute.name)
        if change.operation == REPLACE:
            return given
        before = list(self._before(attribute.key))
        present = [values.matching_form(attribute, each) for each in before]
        if change.operation == ADD:
            if not given:
                raise errors.attribute_error(errors.CONSTRAINT_VIOLATION, 0x57, attribute.name)
            if set(forms) & set(present):
                raise errors.attribute_error(errors.ATTRIBUTE_OR_VALUE_EXISTS, 0x2083, attribute.name)
            return before + given
        if change.operation == DELETE:
            if not before or not set(forms) <= set(present):
                raise errors.attribute_error(errors.NO_SUCH_ATTRIBUTE, 0x2085, attribute.name)
            return [each for each, form in zip(before, present, strict=True) if given and form not in forms]
        raise LdapError(errors.PROTOCOL_ERROR, "00000057: LdapErr: unknown modify operation")

    def _interpret(self, key: str, value: Scalar) -> None:
        """Values that mean something else than themselves."""
        if key == "pwdlastset":
            self.changes[key] = self._last_set(value)
        elif key == "useraccountcontrol" and isinstance(value, int):
            self.changes[key] = value & ~policy.UNWRITABLE_FLAGS
        elif key == "lockouttime":
            if value != 0:
                raise errors.unwilling(0x57)
            self.unlocks = True
        elif key in ("samaccountname", "userprincipalname") and isinstance(value, str):
            self._check_name(key, value)

    def _last_set(self, value: Scalar) -> int:
        before = self.entry.integer("pwdlastset")
        if value == 0:
            return 0
        if value == -1:
            return before or self._session.controller.now()
        raise LdapError(errors.OTHER, "00000057: pwdLastSet must be 0 or -1 only!")

    def _check_name(self, key: str, value: str) -> None:
        controller = self._session.controller
        name, upn = (value, None) if key == "samaccountname" else (None, value)
        try:
            accounts.check_names(controller.domain, controller, name, upn, self.entry)
        except Refusal as refusal:
            raise _name_error(refusal) from None

    def finish(self, *, has_password: bool) -> bool:
        """Last checks of the account as a whole; True if a smart card is newly required. Raises LdapError 53."""
        flags = self.changes.get("useraccountcontrol")
        if not isinstance(flags, int):
            return False
        check_flags(flags, has_password=has_password)
        return bool(flags & ~self.entry.integer("useraccountcontrol") & policy.SMARTCARD_REQUIRED)

    def commit(self) -> None:
        """Write everything in one transaction."""
        controller, entry = self._session.controller, self.entry
        if self.finish(has_password=bool(entry.octets("unicodepwd"))):
            flags = self.changes.pop("useraccountcontrol")
            accounts.require_smartcard(controller, entry, flags if isinstance(flags, int) else 0, self.changes)
        else:
            controller.replica.write(entry, self.changes, controller.seconds())
        if self.unlocks:
            controller.replica.set_local(entry, {"badpwdcount": 0})


def check_flags(flags: int, *, has_password: bool) -> None:
    """An enabled account needs a password unless it is said to need none (Windows). Raises LdapError 53."""
    if not flags & (policy.DISABLED | policy.PASSWORD_NOT_REQUIRED) and not has_password:
        raise errors.unwilling(errors.PASSWORD_RESTRICTION)


def _set_password(session: Session, entry: Entry, secret: Sequence[Change], stored: _Working) -> None:
    """A reset is one replace; a change is a delete of the old and an add of the new."""
    if not entry.kind.is_account:
        raise errors.unwilling()
    stored.finish(has_password=True)
    controller = session.controller
    last_set = stored.changes.pop("pwdlastset", None)
    try:
        if len(secret) == 1 and secret[0].operation == REPLACE and secret[0].octets:
            new, kind = password_of(secret[0].octets[-1]), "reset"
            _check_reset(session, entry, new)
        elif len(secret) == 2 and all(len(change.octets) == 1 for change in secret):
            pair = {change.operation: password_of(change.octets[0]) for change in secret}
            if set(pair) != {ADD, DELETE}:
                raise errors.unwilling()
            new, kind = pair[ADD], "change"
            passwords.check_change(controller, entry, pair[DELETE], new)
        else:
            raise errors.unwilling()
    except Refusal as refusal:
        raise errors.password_error(refusal) from None
    passwords.store(
        controller, entry, nt_hash(new), kind, clear=new, must_change=last_set == 0, also=stored.changes
    )
    if stored.unlocks:
        controller.replica.set_local(entry, {"badpwdcount": 0})


def _check_reset(session: Session, entry: Entry, new: str) -> None:
    rules = session.controller.domain.policy_for(entry)
    if not new:
        raise Refusal("password-too-short", "an empty password")
    passwords.check_quality(rules, new, entry.text("samaccountname"), entry.text("displayname"))


def _name_error(refusal: Refusal) -> LdapError:
    win32 = refusal.data["win32"]
    if refusal.reason == "upn-taken":
        return errors.attribute_error(errors.CONSTRAINT_VIOLATION, win32, "userPrincipalName")
    return errors.update_error(errors.ENTRY_ALREADY_EXISTS, win32, "6005 (ENTRY_EXISTS)")


# --- add, rename, delete --------------------------------------------------------------------------------------------


def add(session: Session, dn: str, attributes: Sequence[tuple[str, Sequence[bytes]]]) -> None:
    """Create an object. Raises LdapError."""
    session.require_bind()
    parent, (kind_of_name, rdn) = _place(session, dn)
    if not session.administrator():
        raise errors.no_rights()
    given = {known(name): list(octets) for name, octets in attributes}
    classes = [value.decode("utf-8", "replace") for value in given.get(schema.ATTRIBUTES["objectclass"], [])]
    kind = schema.structural_class(classes)
    if kind is None or kind.rdn != kind_of_name.upper():
        problem = "6002 (OBJ_CLASS_VIOLATION)" if kind is None else "6001 (NAMING_VIOLATION)"
        code = errors.OBJECT_CLASS_VIOLATION if kind is None else errors.NAMING_VIOLATION
        raise errors.update_error(code, 0x2014 if kind is None else 0x2099, problem)
    if names.rdn_key(kind.rdn, rdn) in (parent.children or {}):
        raise errors.update_error(errors.ENTRY_ALREADY_EXISTS, 0x2071, "6005 (ENTRY_EXISTS)")
    stored, password = _new_values(session, given, kind)
    entry = _create(session, parent, rdn, kind, stored, password)
    if password is not None:
        at = moment(session.controller.now())
        must_change = entry.integer("pwdlastset") == 0
        passwords.record(session.controller.domain, entry, entry.octets("unicodepwd"), "create", must_change, at)


def _place(session: Session, dn: str) -> tuple[Entry, tuple[str, str]]:
    try:
        parts = names.parse_dn(dn)
    except names.InvalidName:
        raise errors.bad_dn(dn) from None
    if not parts:
        raise errors.bad_dn(dn)
    parent, left = session.controller.replica.nearest(parts[1:])
    if parent is None or left:
        raise errors.no_object(parent.dn if parent is not None else "")
    return parent, parts[0]


def _new_values(
    session: Session, given: dict[Attribute, list[bytes]], kind: ObjectClass
) -> tuple[dict[str, Value], str | None]:
    stored: dict[str, Value] = {}
    password: str | None = None
    for attribute, octets in given.items():
        key = attribute.key
        if key in ("objectclass", "name", kind.rdn.lower(), "distinguishedname"):
            continue
        if key == "unicodepwd":
            password = password_of(octets[-1]) if octets else None
            continue
        if attribute.secret:
            raise errors.unwilling()
        if attribute.system or attribute.constructed:
            raise errors.attribute_error(errors.CONSTRAINT_VIOLATION, 0x20B1, attribute.name)
        if attribute.single and len(octets) > 1:
            raise errors.attribute_error(errors.CONSTRAINT_VIOLATION, 0x2081, attribute.name)
        scalars = [read(session, attribute, each) for each in octets]
        found = tuple(scalars) if key == "member" else values.pack(scalars)
        if found is not None and found != ():
            stored[key] = found
    return stored, password


def _create(
    session: Session, parent: Entry, rdn: str, kind: ObjectClass, stored: dict[str, Value], password: str | None
) -> Entry:
    controller = session.controller
    principal = kind.is_account or kind.name == "group"
    if principal:
        invented = f"${controller.domain.random('names').randbytes(8).hex().upper()}"
        name, upn = stored.setdefault("samaccountname", invented), stored.get("userprincipalname")
        try:
            accounts.check_names(controller.domain, controller, str(name), upn if isinstance(upn, str) else None, None)
        except Refusal as refusal:
            raise _name_error(refusal) from None
    if kind.is_account:
        _account_values(session, stored, kind, password)
    elif password is not None:
        raise errors.unwilling()
    return controller.create(parent, rdn, kind, stored, rid=controller.take_rid() if principal else 0)


def _account_values(session: Session, stored: dict[str, Value], kind: ObjectClass, password: str | None) -> None:
    controller = session.controller
    default = policy.WORKSTATION_ACCOUNT | 0x22 if kind.name == "computer" else DEFAULT_FLAGS
    flags = stored.get("useraccountcontrol", default)
    flags = (flags if isinstance(flags, int) else default) & ~policy.UNWRITABLE_FLAGS
    check_flags(flags, has_password=password is not None)
    stored["useraccountcontrol"] = flags
    wanted = stored.get("pwdlastset", -1)
    if wanted not in (0, -1):
        raise LdapError(errors.OTHER, "00000057: pwdLastSet must be 0 or -1 only!")
    stored["pwdlastset"] = 0
    if password is None:
        return
    try:
        if not password:
            raise Refusal("password-too-short", "an empty password")
        passwords.check_quality(
            controller.domain.policy, password, str(stored["samaccountname"]), str(stored.get("displayname", ""))
        )
    except Refusal as refusal:
        raise errors.password_error(refusal) from None
    last_set = 0 if wanted == 0 else controller.now()
    for key, value in passwords.set_values(nt_hash(password), b"", controller.domain.policy.history, last_set).items():
        if value is not None:
            stored[key] = value
    name, upn = str(stored["samaccountname"]), str(stored.get("userprincipalname", ""))
    stored["supplementalcredentials"] = keep(
        password, name, upn, controller.domain.name, computer=kind.name == "computer"
    )


def modify_dn(session: Session, dn: str, new_rdn: str, superior: str | None) -> None:
    """Rename or move. Raises LdapError."""
    session.require_bind()
    entry = session.target(dn)
    if not session.administrator():
        raise errors.no_rights()
    try:
        parts = names.parse_dn(new_rdn)
    except names.InvalidName:
        raise errors.bad_dn(new_rdn) from None
    if len(parts) != 1:
        raise errors.bad_dn(new_rdn)
    kind, rdn = parts[0]
    if kind.upper() != entry.kind.rdn:
        raise errors.update_error(errors.NAMING_VIOLATION, 0x2099, "6001 (NAMING_VIOLATION)")
    parent = entry.parent if superior is None else session.target(superior)
    if parent is None or parent.lies_below(entry) or entry.get("iscriticalsystemobject") is True:
        raise errors.unwilling(0x20CE)
    there = (parent.children or {}).get(names.rdn_key(kind, rdn))
    if there is not None and there is not entry:
        raise errors.update_error(errors.ENTRY_ALREADY_EXISTS, 0x2071, "6005 (ENTRY_EXISTS)")
    session.controller.replica.move(entry, parent, rdn, session.controller.seconds())


def delete(session: Session, dn: str, *, tree: bool = False) -> None:
    """Delete an object, with everything below it under the tree-delete control. Raises LdapError."""
    session.require_bind()
    entry = session.target(dn)
    if not session.administrator():
        raise errors.no_rights()
    below = list(session.controller.replica.walk(entry))
    if len(below) > 1 and not tree:
        raise errors.update_error(errors.NOT_ALLOWED_ON_NON_LEAF, 0x2015, "6003 (CANT_ON_NON_LEAF)")
    if entry.parent is None or any(each.get("iscriticalsystemobject") is True for each in below):
        raise errors.unwilling(0x20CE)
    for each in sorted(below, key=lambda found: -found.dn.count(",")):
        session.controller.replica.delete(each, session.controller.seconds())
