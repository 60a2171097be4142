"""Adding objects over LDAP: where they may lie, what they need, and what the directory fills in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pwsync.credential import nt_hash
from simulator.active_directory import account_rules as rules
from simulator.active_directory import accounts, errors, names, password_settings, passwords, policy, rights, schema
from simulator.active_directory import schema_figures as figures
from simulator.active_directory import values as syntax
from simulator.active_directory.draft import check_classes, name_error
from simulator.active_directory.schema import LINKS, Attribute, ObjectClass, Value
from simulator.active_directory.supplemental import keep
from simulator.active_directory.times import moment
from simulator.active_directory.write_values import (
    check_allowed,
    check_mandatory,
    is_password,
    known,
    may_lie_below,
    new_password,
    read,
    takes_one,
)
from simulator.refusal import Refusal

if TYPE_CHECKING:
    from simulator.active_directory.replica import Entry
    from simulator.active_directory.session import Session

DEFAULT_FLAGS = policy.NORMAL_ACCOUNT | policy.DISABLED | policy.PASSWORD_NOT_REQUIRED
COMPUTER_FLAGS = policy.WORKSTATION_ACCOUNT | policy.DISABLED | policy.PASSWORD_NOT_REQUIRED
RDN_LENGTH_MAX = 64
GIVEN_BY_NAME = frozenset(("objectclass", "name", "distinguishedname", "objectcategory", "instancetype"))
"""What a client may send and the directory knows by itself."""

SYSTEM_CLASSES = frozenset(("domainDNS", "builtinDomain", "lostAndFound"))
"""Classes whose objects only the system makes."""


def add(session: Session, dn: str, attributes: Sequence[tuple[str, Sequence[bytes]]]) -> None:
    """Create an object. Raises LdapError."""
    session.require_bind()
    given: dict[Attribute, list[bytes]] = {}
    for name, octets in attributes:
        given.setdefault(known(name), []).extend(octets)
    if not session.protected and any(is_password(session, attribute) for attribute in given):
        raise errors.unprotected()
    parent, rdn_type, rdn = place(session, dn)
    rights.require_administrator(session)
    kind = _kind(given)
    check_place(parent, kind, rdn_type, rdn)
    if names.rdn_key(kind.rdn, rdn) in (parent.children or {}):
        raise errors.update_error(errors.ENTRY_ALREADY_EXISTS, errors.NAME_EXISTS)
    stored, password = _new_values(session, given, kind)
    check_mandatory(kind, set(stored))
    _check_settings(kind, stored)
    entry = _create(session, parent, rdn, kind, stored, password)
    domain = session.controller.domain
    if password is not None:
        at = moment(session.controller.now())
        must_change = entry.integer("pwdlastset") == 0
        passwords.record(domain, entry, entry.octets("unicodepwd"), "create", must_change, at)
    flags = entry.integer("useraccountcontrol")
    if flags & policy.SMARTCARD_REQUIRED:
        accounts.require_smartcard(session.controller, entry, flags)
    if domain.awaited and kind.is_account:
        password_settings.link_awaited(domain, session.controller, entry)


def place(session: Session, dn: str) -> tuple[Entry, str, str]:
    """The parent of a new DN, and type and value of its relative name. Raises LdapError 34, 32 or what the search for
    the parent says."""
    try:
        parts = names.parse_dn(dn)
    except names.InvalidName:
        raise errors.bad_dn(dn) from None
    if not parts:
        raise errors.bad_dn(dn)
    parent = session.target(names.join_dn(parts[1:]))
    return parent, *parts[0]


def _kind(given: dict[Attribute, list[bytes]]) -> ObjectClass:
    """The class of a new object. Raises LdapError 65, 16 or 53."""
    classes = [value.decode("utf-8", "replace") for value in given.get(schema.ATTRIBUTES["objectclass"], [])]
    if not classes:
        raise errors.update_error(errors.OBJECT_CLASS_VIOLATION, errors.CLASS_REQUIRED)
    check_classes(classes)
    kind = schema.structural_class(classes)
    if kind is None:
        raise errors.update_error(errors.OBJECT_CLASS_VIOLATION, errors.OBJ_CLASS_VIOLATION)
    if kind.name in SYSTEM_CLASSES or figures.classes()[kind.name.lower()].system_only:
        raise errors.unwilling(errors.CANT_ADD_SYSTEM_ONLY)
    return kind


def check_place(parent: Entry, kind: ObjectClass, rdn_type: str, rdn: str) -> None:
    """Whether an object of a class may lie there under that name. Raises LdapError 64, 34 or 19."""
    if rdn_type.upper() != kind.rdn:
        raise errors.update_error(errors.NAMING_VIOLATION, errors.RDN_DOES_NOT_MATCH)
    if not may_lie_below(kind, parent.kind):
        raise errors.update_error(errors.NAMING_VIOLATION, errors.ILLEGAL_SUPERIOR)
    if "\n" in rdn or "\0" in rdn:
        raise errors.bad_dn(f"{rdn_type}={names.escape(rdn)}")
    if len(rdn) > RDN_LENGTH_MAX:
        raise errors.attribute_error(errors.CONSTRAINT_VIOLATION, errors.RANGE_CONSTRAINT, kind.rdn.lower())


def _new_values(
    session: Session, given: dict[Attribute, list[bytes]], kind: ObjectClass
) -> tuple[dict[str, Value], str | None]:
    stored: dict[str, Value] = {}
    password: str | None = None
    for attribute, octets in given.items():
        key = attribute.key
        if key in GIVEN_BY_NAME or key == kind.rdn.lower():
            continue
        if is_password(session, attribute):
            if not kind.is_account:
                raise errors.unwilling()
            password = new_password(attribute, octets[-1]) if octets else None
            continue
        if attribute.secret:
            raise errors.unwilling()
        if attribute.system or attribute.constructed:
            raise errors.attribute_error(errors.CONSTRAINT_VIOLATION, errors.CANT_ADD_SYSTEM_ONLY, attribute.name)
        check_allowed(kind, attribute)
        found = _values(session, kind, attribute, octets)
        if found is not None:
            stored[key] = found
    return stored, password


def _values(session: Session, kind: ObjectClass, attribute: Attribute, octets: Sequence[bytes]) -> Value | None:
    if len(octets) > 1 and takes_one(kind, attribute):
        raise errors.attribute_error(errors.CONSTRAINT_VIOLATION, errors.SINGLE_VALUE, attribute.name)
    scalars = [read(session, attribute, each) for each in octets]
    if len({syntax.matching_form(attribute, each) for each in scalars}) < len(scalars):
        raise errors.attribute_error(errors.ATTRIBUTE_OR_VALUE_EXISTS, errors.VALUE_EXISTS, attribute.name)
    return (tuple(scalars) or None) if attribute.key in LINKS else syntax.pack(scalars)


def _check_settings(kind: ObjectClass, stored: dict[str, Value]) -> None:
    if kind.name == "msDS-PasswordSettings":
        numbers = {key: value for key, value in stored.items() if isinstance(value, int)}
        if password_settings.contradiction(numbers, "msds-"):
            raise errors.unwilling(errors.SECURITY_ILLEGAL_MODIFY)


def _create(
    session: Session, parent: Entry, rdn: str, kind: ObjectClass, stored: dict[str, Value], password: str | None
) -> Entry:
    controller = session.controller
    principal = kind.is_account or kind.name == "group"
    if principal:
        _principal_values(session, stored, kind)
    if kind.is_account:
        _account_values(session, stored, kind, password)
    elif kind.name == "group":
        _check_group(session, stored, kind)
    return controller.create(parent, rdn, kind, stored, rid=controller.take_rid() if principal else 0)


def _principal_values(session: Session, stored: dict[str, Value], kind: ObjectClass) -> None:
    """Names: checked, and one invented if none is given."""
    controller = session.controller
    if "samaccountname" in stored:
        rules.check_account_name(kind, str(stored["samaccountname"]))
    else:
        stored["samaccountname"] = f"${controller.domain.random('names').randbytes(8).hex().upper()}"
    upn = stored.get("userprincipalname")
    name = str(stored["samaccountname"])
    try:
        accounts.check_names(controller.domain, controller, name, upn if isinstance(upn, str) else None, None)
    except Refusal as refusal:
        raise name_error(refusal) from None
    services = stored.get("serviceprincipalname", ())
    every = services if isinstance(services, tuple) else (services,)
    rules.check_service_names(controller.domain, {str(each).casefold() for each in every})


def _check_group(session: Session, stored: dict[str, Value], kind: ObjectClass) -> None:
    wanted = stored.get("grouptype", kind.defaults["grouptype"])
    scope = wanted if isinstance(wanted, int) else 0
    rules.check_group_type(scope)
    members = stored.get("member", ())
    for guid in members if isinstance(members, tuple) else ():
        rules.check_new_member(None, scope, session.controller.replica.by_guid[guid])  # type: ignore[index] # GUIDs


def _account_values(session: Session, stored: dict[str, Value], kind: ObjectClass, password: str | None) -> None:
    controller = session.controller
    hold = _rules(session, stored, kind)
    flags = stored.get("useraccountcontrol")
    default = COMPUTER_FLAGS if kind.name == "computer" else DEFAULT_FLAGS
    flags = rules.control_flags(kind, flags) if isinstance(flags, int) else default
    rules.check_enabled(flags, hold.min_length, has_password=password is not None)
    stored["useraccountcontrol"] = flags
    if stored.get("lockouttime", 0) != 0:
        raise errors.unwilling(errors.INVALID_PARAMETER)
    if "logonhours" in stored:
        rules.check_logon_hours(stored["logonhours"])
    last_set = rules.last_set(stored.get("pwdlastset", -1), 0, controller.now())
    if password is None:
        stored["pwdlastset"] = last_set if "pwdlastset" in stored else 0
        return
    name = str(stored["samaccountname"])
    try:
        passwords.check_quality(hold, password, name, str(stored.get("displayname", "")))
    except Refusal as refusal:
        raise errors.password_error(refusal) from None
    for key, value in passwords.set_values(nt_hash(password), b"", hold.history, last_set).items():
        if value is not None:
            stored[key] = value
    upn, domain = str(stored.get("userprincipalname", "")), controller.domain.name
    stored["supplementalcredentials"] = keep(password, name, upn, domain, computer=kind.name == "computer")


def _rules(session: Session, stored: dict[str, Value], kind: ObjectClass) -> policy.DomainPolicy:
    """The policy for an account that is not there yet: that of its primary group, or the domain's. Raises LdapError 53
    for another primary group than the one of its class, in which it can't be yet."""
    controller = session.controller
    default = kind.defaults["primarygroupid"]
    if stored.pop("primarygroupid", default) != default:
        raise errors.unwilling(errors.CANT_MOD_PRIMARY_GROUP)
    group = controller.replica.by_rid.get(default) if isinstance(default, int) else None
    settings = None if group is None or kind.name == "computer" else password_settings.for_members(group)
    return controller.domain.policy if settings is None else password_settings.object_rules(settings)
