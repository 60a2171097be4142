"""Bugs in whose password goes out: classes, places, disabled accounts, temporary passwords, people who are renamed."""

from __future__ import annotations

from typing import Any

from pwsync import password_cycle
from pwsync import scope as rules
from pwsync.failures import SOURCE_NOT_PRESENT
from pwsync.object_cycle import ObjectCycle
from pwsync.password_cycle import PasswordCycle
from simulator.active_directory.replica import Replica
from simulator.planted.plant import Bed

BED = Bed("scope")

_REVERSIBLE = 0x80
"""userAccountControl: the password may be stored with reversible encryption."""


@BED.instead(rules, "is_plain_user", breaks="scope.user-only")
def person_is_user(true: Any, classes: Any) -> bool:
    """Takes an inetOrgPerson for a user, as LDAP filters do. Hurts people whose passwords were never to leave."""
    return bool(true([name for name in classes if name.lower() != "inetorgperson"]))


@BED.instead(rules, "password_left_out", breaks="scope.disabled")
def disabled_is_514(true: Any, attributes: Any) -> Any:
    """Compares userAccountControl with 514 in place of its bit. Hurts who left, and had a password without end."""
    found = true(attributes)
    return None if found == rules.DISABLED and rules.account_control(attributes) != 514 else found


@BED.instead(rules, "password_left_out", breaks="scope.disabled")
def disabled_goes_out(true: Any, attributes: Any) -> Any:
    """Does not look whether an account is disabled. Hurts those who reset passwords of people who left."""
    found = true(attributes)
    return None if found == rules.DISABLED else found


@BED.instead(rules, "password_left_out", breaks="security.no-reversible-encryption")
def reversible_only(true: Any, attributes: Any) -> Any:
    """Takes a password only if the directory stores it reversibly. Hurts everybody, until security is lowered."""
    return true(attributes) or (None if rules.account_control(attributes) & _REVERSIBLE else "not-reversible")


@BED.instead(ObjectCycle, "_read_next", breaks="scope.disabled")
def enabled_again_waits_for_change(true: Any, self: Any, record: Any, state: Any) -> None:
    """Reads nobody's password who was known before. Hurts whoever is enabled again with a changed password."""
    if state is None:
        true(self, record, state)


@BED.instead(PasswordCycle, "_take_change", breaks="scope.temporary")
def temporary_goes_out(true: Any, self: Any, user: Any, domain: Any, *, forced: bool) -> None:
    """Takes a temporary password for a lasting one. Hurts users whose first password the whole helpdesk knows."""
    true(self, user._replace(temporary=False), domain, forced=forced)


@BED.instead(PasswordCycle, "_take_change", breaks="scope.temporary")
def temporary_for_ever(true: Any, self: Any, user: Any, domain: Any, *, forced: bool) -> None:
    """Keeps a password temporary though its user has changed it. Hurts everybody who starts in the company."""
    state = self._state.passwords.get(user.anchor)
    known = state is not None and state.temporary
    true(self, user._replace(temporary=True) if known else user, domain, forced=forced)


@BED.instead(PasswordCycle, "_take_must_change", breaks="scope.temporary")
def tick_without_password_unseen(true: Any, self: Any, user: Any) -> None:
    """Passes over "must change" that is set without a new password. Hurts whoever was to change it first."""
    if user.temporary is not True:
        true(self, user)


@BED.instead(password_cycle, "change_of", breaks="scope.temporary")
def force_flag_forgotten(true: Any, state: Any) -> Any:
    """Sends a temporary password without its flag. Hurts users who keep a password that the helpdesk knows."""
    return true(state)._replace(force_change=False)


@BED.instead(rules, "_has_excluded_attribute", breaks="scope.filtered")
def filter_minds_case(true: Any, attributes: Any, limits: Any) -> bool:
    """Compares filtered values letter by letter. Hurts a user marked "nosync" where the filter says "NoSync"."""
    wanted = limits.exclude_attribute.items()
    return any(unwanted in attributes.get(name.lower(), ()) for name, unwanted in wanted)


@BED.instead(rules, "_has_excluded_attribute", breaks="scope.filtered")
def filter_reads_first_value(true: Any, attributes: Any, limits: Any) -> bool:
    """Looks at the first value of an attribute only. Hurts users whose mark is their second value."""
    return bool(true({name: values[:1] for name, values in attributes.items()}, limits))


@BED.instead(rules, "is_below", breaks="scope.filtered")
def ou_by_its_ending(true: Any, dn: str, container: str) -> bool:
    """Compares the ends of names without the comma between. Hurts people of an OU called like the end of another."""
    return rules.normal(dn).endswith(container.partition("=")[2])


@BED.instead(rules, "is_below", breaks="scope.filtered")
def ou_is_flat(true: Any, dn: str, container: str) -> bool:
    """Looks for users directly in an OU only. Hurts everybody in an OU below."""
    return bool(true(dn, container)) and "," not in rules.normal(dn)[: -len(container) - 1].replace("\\,", "")


@BED.instead(rules, "normal", breaks="scope.filtered")
def blanks_in_names_count(true: Any, dn: str) -> str:
    """Does not pass over blanks behind the commas of a name. Hurts whoever wrote the filter with blanks."""
    return dn.lower().strip()


@BED.instead(rules, "place_left_out", breaks="scope.filtered")
def included_beats_excluded(true: Any, dn: str, limits: Any, naming_context: str) -> Any:
    """Lets an included OU take in what an excluded one below it keeps out. Hurts the board, which is below "Staff"."""
    found = true(dn, limits, naming_context)
    inside = any(rules.is_below(dn, rules.absolute(ou, naming_context)) for ou in limits.ous)
    return None if found == rules.EXCLUDED_OU and inside else found


@BED.instead(rules, "object_left_out", breaks="scope.filtered")
def system_objects_go_out(true: Any, dn: str, attributes: Any, limits: Any, naming_context: str) -> Any:
    """Synchronizes critical system objects. Hurts everybody: krbtgt's password digest lies in the cloud."""
    return true(dn, {**attributes, "iscriticalsystemobject": []}, limits, naming_context)


@BED.instead(rules, "_name_left_out", breaks="scope.filtered")
def service_accounts_by_case(true: Any, name: str) -> Any:
    """Knows service accounts by names in lower case only. Hurts the agent's own account, which is written MSOL_."""
    return true(name) if name == name.lower() else None


@BED.instead(rules, "_name_left_out", breaks="scope.filtered")
def namesakes_of_services_stay(true: Any, name: str) -> Any:
    """Leaves out whoever's name begins like a service's. Hurts Aadil and Castor."""
    return true(name) or (rules.SERVICE_ACCOUNT if name.lower().startswith(("aad", "cas", "support")) else None)


@BED.instead(ObjectCycle, "_judge", breaks="retry.automatic order.per-user")
def renamed_is_someone_else(true: Any, self: Any, domain: Any, record: Any, attributes: Any, limits: Any) -> None:
    """Drops what waits for a user under a former name. Hurts who marries in the hour of an outage."""
    state = self._state.passwords.get(record.anchor)
    if state is not None and state.waits and state.dn != record.dn:
        self._leave_out(state, SOURCE_NOT_PRESENT)
    true(self, domain, record, attributes, limits)


@BED.instead(ObjectCycle, "_judge", breaks="scope.user-only")
def class_as_first_seen(true: Any, self: Any, domain: Any, record: Any, attributes: Any, limits: Any) -> None:
    """Keeps the class that an object had when it was first seen. Hurts a user who was made an inetOrgPerson."""
    known = record.anchor in self._state.objects and record.password_left_out is None
    if known and not rules.is_plain_user(attributes.get("objectclass", ())):
        attributes = {**attributes, "objectclass": ["top", "person", "organizationalPerson", "user"]}
    true(self, domain, record, attributes, limits)


@BED.instead(ObjectCycle, "_follow_scope", breaks="scope.filtered")
def scope_change_unseen(true: Any, self: Any) -> None:
    """Judges by a new filter only those who change. Hurts an administrator who narrows the scope in a hurry."""


@BED.instead(PasswordCycle, "_is_left_out", breaks="scope.filtered")
def unknown_place_is_in_scope(true: Any, self: Any, user: Any, state: Any, domain: Any) -> bool:
    """Takes everybody for in scope who was not imported yet. Hurts administrators: people outside wait in the queue."""
    return user.anchor in self._state.objects and bool(true(self, user, state, domain))


@BED.instead(PasswordCycle, "_drop", breaks="retry.automatic")
def deleted_wait_for_ever(true: Any, self: Any, anchor: str) -> None:
    """Keeps deleted users on the list of pending ones. Hurts the log: every cycle fails to find them."""


@BED.instead(Replica, "move", breaks="scope.filtered")
def rename_is_no_change(true: Any, self: Any, entry: Any, parent: Any, rdn: str, seconds: int) -> Any:
    """Moves an object without telling those who read changes. Hurts whoever is moved out of scope, and stays in."""
    usn = entry.usn
    moved = true(self, entry, parent, rdn, seconds)
    entry.usn = usn
    return moved
