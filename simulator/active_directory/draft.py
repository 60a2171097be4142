"""An object as a modify request leaves it, before anything is written: all checks come first, so that a request
happens wholly or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.active_directory import account_rules as rules
from simulator.active_directory import accounts, errors, password_settings, policy, schema, values
from simulator.active_directory.errors import LdapError
from simulator.active_directory.replica import Entry, member_guids
from simulator.active_directory.schema import LINKS, Attribute, ObjectClass, Scalar, Value
from simulator.active_directory.write_values import (
    ADD,
    DELETE,
    REPLACE,
    Change,
    check_allowed,
    check_mandatory,
    mandatory,
    read,
    takes_one,
)
from simulator.refusal import Refusal

if TYPE_CHECKING:
    from simulator.active_directory.session import Session

OWNED_BY_ACCOUNTS = frozenset(
    ("badpasswordtime", "badpwdcount", "lastlogoff", "lastlogon", "lastlogontimestamp", "logoncount", "memberof",
     "samaccounttype")
)  # fmt: skip
"""What the accounts database writes by itself: refused with a code of its own (ERROR_DS_ATTRIBUTE_OWNED_BY_SAM)."""

CONVERTIBLE = frozenset(("user", "inetOrgPerson"))


def name_error(refusal: Refusal) -> LdapError:
    """A refused account or principal name over LDAP."""
    win32 = refusal.data["win32"]
    if refusal.reason == "upn-taken":
        return errors.attribute_error(errors.CONSTRAINT_VIOLATION, win32, "userPrincipalName")
    return errors.update_error(errors.ENTRY_ALREADY_EXISTS, win32)


class Draft:
    """An entry's attributes after some changes.

    changes: by schema key; None clears. unlocks: a lockout ends. kind: the class. primary: the new primary group.
    permissive: adding what is there and deleting what is not succeed ([MS-ADTS] 3.1.1.3.4.1.8).
    """

    def __init__(self, session: Session, entry: Entry, *, permissive: bool = False) -> None:
        self._session = session
        self._permissive = permissive
        self.entry = entry
        self.changes: dict[str, Value | None] = {}
        self.unlocks = False
        self.kind: ObjectClass = entry.kind
        self.primary: Entry | None = None

    # --- one change after the other -------------------------------------------------------------------------------

    def apply(self, attribute: Attribute, change: Change) -> None:
        """Take one change into account. Raises LdapError."""
        key = attribute.key
        self._check_writable(attribute)
        after = self._after(attribute, change)
        if len(after) > 1 and takes_one(self.entry.kind, attribute):
            raise errors.attribute_error(errors.ATTRIBUTE_OR_VALUE_EXISTS, errors.SINGLE_VALUE, attribute.name)
        if key == "objectclass":
            self.kind = self._converted([str(name) for name in after])
        elif key in LINKS:
            self.changes[key] = tuple(after) or None
        else:
            self.changes[key] = values.pack(after)

    def _check_writable(self, attribute: Attribute) -> None:
        key = attribute.key
        if attribute.secret:
            raise errors.unwilling()
        if key == self.entry.kind.rdn.lower() or key == "name":
            raise errors.update_error(errors.NOT_ALLOWED_ON_RDN, errors.CANT_ON_RDN)
        if key in OWNED_BY_ACCOUNTS:
            raise errors.unwilling(errors.OWNED_BY_SAM)
        if attribute.system or attribute.constructed:
            win32 = errors.CONSTRUCTED_ATTRIBUTE if attribute.constructed else errors.CANT_MOD_SYSTEM_ONLY
            raise errors.attribute_error(errors.CONSTRAINT_VIOLATION, win32, attribute.name)
        check_allowed(self.entry.kind, attribute)

    def _before(self, key: str) -> tuple[Scalar, ...]:
        if key == "objectclass":
            return self.kind.chain
        if key in self.changes:
            found = self.changes[key]
            return () if found is None else found if isinstance(found, tuple) else (found,)
        if key in LINKS:
            stored = self.entry.values.get(key)
            return stored if isinstance(stored, tuple) else ()
        return self.entry.all(key)

    def _after(self, attribute: Attribute, change: Change) -> list[Scalar]:
        given = self._given(attribute, change)
        forms = [values.matching_form(attribute, each) for each in given]
        if len(set(forms)) < len(forms):
            if not self._permissive:
                raise _exists(attribute)
            given = list(dict(zip(forms, given, strict=True)).values())
            forms = list(dict.fromkeys(forms))
        if change.operation == REPLACE:
            return given
        before = list(self._before(attribute.key))
        present = [values.matching_form(attribute, each) for each in before]
        if change.operation == ADD:
            return self._added(attribute, before, given, set(present), forms)
        if change.operation == DELETE:
            self._check_present(attribute, bool(before), set(forms) <= set(present), single=bool(given))
            return [each for each, form in zip(before, present, strict=True) if given and form not in forms]
        # RFC 4525's increment is not known to the server.
        raise LdapError(errors.PROTOCOL_ERROR, "00000057: LdapErr: DSID-0C0C0096, comment: decoding error, data 0")

    def _given(self, attribute: Attribute, change: Change) -> list[Scalar]:
        existing = change.operation != DELETE
        found = []
        for octets in change.octets:
            try:
                found.append(read(self._session, attribute, octets, existing=existing))
            except LdapError as problem:
                if existing or problem.code != errors.NO_SUCH_OBJECT:
                    raise
                if not self._permissive:  # who is not there is no member
                    raise errors.unwilling(errors.MEMBER_NOT_IN_ALIAS) from None
        return found

    def _added(
        self, attribute: Attribute, before: list[Scalar], given: list[Scalar], present: set[Scalar], forms: list[Scalar]
    ) -> list[Scalar]:
        if not given:
            raise errors.attribute_error(errors.CONSTRAINT_VIOLATION, errors.INVALID_PARAMETER, attribute.name)
        if not present.isdisjoint(forms):
            if not self._permissive:
                if attribute.key == "member":
                    raise errors.update_error(errors.ENTRY_ALREADY_EXISTS, errors.MEMBER_IN_ALIAS)
                raise _exists(attribute)
            given = [each for each, form in zip(given, forms, strict=True) if form not in present]
        return before + given

    def _check_present(self, attribute: Attribute, some: bool, all_of_them: bool, *, single: bool) -> None:
        """What is deleted has to be there. Raises LdapError 16, for members 53."""
        if self._permissive or (some and all_of_them):
            return
        if attribute.key == "member" and single:
            raise errors.unwilling(errors.MEMBER_NOT_IN_ALIAS)
        win32 = errors.NO_VALUE if some else errors.NO_ATTRIBUTE
        raise errors.attribute_error(errors.NO_SUCH_ATTRIBUTE, win32, attribute.name)

    def _converted(self, names: list[str]) -> ObjectClass:
        """The class after a change of objectClass: a user may become an inetOrgPerson and the other way round
        ([MS-ADTS] 3.1.1.5.3.5). Raises LdapError 16 for an unknown class, 65 for every other conversion."""
        check_classes(names)
        kind = schema.structural_class(names)
        if kind is self.kind:
            return kind
        if kind is None or not {kind.name, self.kind.name} <= CONVERTIBLE:
            raise errors.update_error(errors.OBJECT_CLASS_VIOLATION, errors.ILLEGAL_OPERATION)
        return kind

    # --- the object as a whole ------------------------------------------------------------------------------------

    def text(self, key: str) -> str:
        """A text as it will be."""
        found = self.changes[key] if key in self.changes else self.entry.get(key)
        return found if isinstance(found, str) else ""

    def finish(self, *, sets_password: bool = False) -> bool:
        """Check the object as a whole; True if a smart card is newly required. Raises LdapError."""
        changes, entry = self.changes, self.entry
        for key in rules.KEPT.intersection(changes):
            if changes[key] is None:
                raise errors.unwilling(errors.ILLEGAL_OPERATION)
        if not mandatory(entry.kind).isdisjoint(changes):
            check_mandatory(entry.kind, self._keys())
        if "samaccountname" in changes or "userprincipalname" in changes or "serviceprincipalname" in changes:
            self._check_names()
        if "logonhours" in changes and changes["logonhours"] is not None:
            rules.check_logon_hours(changes["logonhours"])
        if "lockouttime" in changes:
            if changes["lockouttime"] not in (0, None):
                raise errors.unwilling(errors.INVALID_PARAMETER)
            self.unlocks = True
        if "pwdlastset" in changes:
            before, now = entry.integer("pwdlastset"), self._session.controller.now()
            changes["pwdlastset"] = rules.last_set(changes["pwdlastset"], before, now)
        if entry.kind.name == "group":
            self._finish_group()
        if "primarygroupid" in changes:
            self._finish_primary_group()
        self._check_policy()
        return self._finish_flags(sets_password)

    def _keys(self) -> set[str]:
        kept = {key for key in self.entry.values if self.changes.get(key, 0) is not None}
        return kept | {key for key, value in self.changes.items() if value is not None}

    def _check_names(self) -> None:
        controller, entry = self._session.controller, self.entry
        name, upn = self.changes.get("samaccountname"), self.changes.get("userprincipalname")
        if isinstance(name, str):
            rules.check_account_name(entry.kind, name)
        try:
            accounts.check_names(
                controller.domain,
                controller,
                name if isinstance(name, str) else None,
                upn if isinstance(upn, str) else None,
                entry,
            )
        except Refusal as refusal:
            raise name_error(refusal) from None
        if "serviceprincipalname" in self.changes:
            names = {str(each).casefold() for each in self._before("serviceprincipalname")}
            rules.check_service_names(controller.domain, names - _folded(entry.all("serviceprincipalname")))

    def _finish_group(self) -> None:
        changes, entry = self.changes, self.entry
        wanted = changes.get("grouptype")
        if isinstance(wanted, int):
            rules.check_group_change(entry, wanted)
        scope = wanted if isinstance(wanted, int) else entry.integer("grouptype")
        if "member" in changes:
            for guid in set(self._before("member")).difference(member_guids(entry)):
                rules.check_new_member(entry, scope, entry.replica.by_guid[guid])  # type: ignore[index] # GUIDs

    def _finish_primary_group(self) -> None:
        rid = self.changes["primarygroupid"]
        if isinstance(rid, int) and rid != self.entry.integer("primarygroupid"):
            self.primary = rules.primary_group(self.entry, rid)

    def _check_policy(self) -> None:
        """The values of a policy must go together. Raises LdapError 53."""
        entry = self.entry
        if entry.kind.name == "msDS-PasswordSettings":
            keys, prefix = frozenset(password_settings.MANDATORY), "msds-"
        elif entry.parent is None:
            keys, prefix = password_settings.ROOT_KEYS, ""
        else:
            return
        if keys.isdisjoint(self.changes):
            return
        found = {key: self.changes[key] if key in self.changes else entry.integer(key) for key in keys}
        numbers = {key: value if isinstance(value, int) else 0 for key, value in found.items()}
        if password_settings.contradiction(numbers, prefix):
            raise errors.unwilling(errors.SECURITY_ILLEGAL_MODIFY)

    def _finish_flags(self, sets_password: bool) -> bool:
        flags = self.changes.get("useraccountcontrol")
        if not isinstance(flags, int):
            return False
        entry = self.entry
        if flags & policy.LOCKED_OUT and entry.integer("lockouttime"):
            self.changes["lockouttime"], self.unlocks = 0, True
        flags = self.changes["useraccountcontrol"] = rules.control_flags(entry.kind, flags)
        before = entry.integer("useraccountcontrol")
        has_password = sets_password or bool(entry.octets("unicodepwd"))
        least = self._session.controller.domain.policy_for(entry).min_length
        rules.check_enabled(flags, least, has_password=has_password)
        return bool(flags & ~before & policy.SMARTCARD_REQUIRED)

    # --- writing --------------------------------------------------------------------------------------------------

    def commit(self) -> None:
        """Write everything in one transaction, after :meth:`finish`."""
        controller, entry = self._session.controller, self.entry
        if self.kind is not entry.kind:
            entry.kind = self.kind
            self.changes["objectclass"] = self.kind.chain
            controller.replica.write(entry, self.changes, controller.seconds(), always=("objectclass",))
            del entry.values["objectclass"]  # the class itself says it
        else:
            controller.replica.write(entry, self.changes, controller.seconds())
        self.settle()

    def settle(self) -> None:
        """What follows from the changes, once they are written."""
        controller, entry = self._session.controller, self.entry
        if self.unlocks:
            controller.replica.set_local(entry, {"badpwdcount": 0})
        if entry.parent is None and not password_settings.ROOT_KEYS.isdisjoint(self.changes):
            controller.domain.policy = password_settings.root_rules(entry)

    def swap_primary_group(self) -> None:
        """An account is a member of the group that was its primary one, and no longer of that which is ([MS-SAMR]
        3.1.1.8.2). Before the change itself, which then is the account's last."""
        replica, seconds, entry = self.entry.replica, self._session.controller.seconds(), self.entry
        if self.primary is None:
            return
        old = replica.by_rid.get(entry.integer("primarygroupid"))
        if old is not None and entry.guid not in member_guids(old):
            replica.write(old, {"member": (*member_guids(old), entry.guid)}, seconds)
        left = tuple(guid for guid in member_guids(self.primary) if guid != entry.guid)
        replica.write(self.primary, {"member": left or None}, seconds)


def _folded(found: tuple[Scalar, ...]) -> set[str]:
    return {str(each).casefold() for each in found}


def _exists(attribute: Attribute) -> LdapError:
    return errors.attribute_error(errors.ATTRIBUTE_OR_VALUE_EXISTS, errors.VALUE_EXISTS, attribute.name)


def check_classes(names: list[str]) -> None:
    """Raises LdapError 16 for a class that the schema does not have."""
    every = {each for kind in schema.CLASSES.values() for each in kind.lowered}
    for name in names:
        if name.lower() not in every:
            raise errors.unknown_attribute(name)
