"""Password settings in the directory: on the domain's root, and in objects of their own for some users and groups.

Both are [MS-SAMR] 3.1.1.5's: durations are negative ticks, -2^63 means never. Which object holds for a user is
msDS-ResultantPSO ([MS-ADTS] 3.1.1.4.5.36).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from simulator.active_directory import policy
from simulator.active_directory.policy import DomainPolicy
from simulator.active_directory.schema import CLASSES, Value
from simulator.active_directory.times import ticks
from simulator.refusal import Refusal

if TYPE_CHECKING:
    from simulator.active_directory.replica import Entry, Replica
    from simulator.active_directory.state import Controller, Domain

FOREVER = -(1 << 63)
COMPLEX = 0x1
"""pwdProperties: DOMAIN_PASSWORD_COMPLEX."""

SYSTEM, CONTAINER = "System", "Password Settings Container"
APPLIES_TO = "msds-psoappliesto"
GLOBAL_GROUP, SECURITY_ENABLED = 0x2, -0x8000_0000
MANDATORY = (
    "msds-passwordsettingsprecedence", "msds-passwordreversibleencryptionenabled", "msds-passwordhistorylength",
    "msds-passwordcomplexityenabled", "msds-minimumpasswordlength", "msds-minimumpasswordage",
    "msds-maximumpasswordage", "msds-lockoutthreshold", "msds-lockoutobservationwindow", "msds-lockoutduration",
)  # fmt: skip
ROOT_KEYS = frozenset(
    ("minpwdlength", "pwdproperties", "pwdhistorylength", "maxpwdage", "minpwdage", "lockoutthreshold",
     "lockoutduration", "lockoutobservationwindow")
)  # fmt: skip
"""Attributes of a domain's root that are its policy."""


@dataclass(frozen=True)
class FineGrainedPolicy:
    """A password settings object: ``policy`` for ``applies_to`` (names of users and global groups, case-folded)."""

    name: str
    precedence: int
    applies_to: frozenset[str]
    policy: DomainPolicy


def root_values(rules: DomainPolicy, properties: int = 0) -> dict[str, Value]:
    """A policy as the domain's root shows it. properties: pwdProperties so far, whose other bits stay."""
    return {
        "minpwdlength": rules.min_length,
        "pwdproperties": properties & ~COMPLEX | int(rules.complexity),
        "pwdhistorylength": rules.history,
        "maxpwdage": _negative(rules.max_age),
        "minpwdage": -ticks(rules.min_age),
        "lockoutthreshold": rules.lockout_threshold,
        "lockoutduration": _negative(rules.lockout_duration),
        "lockoutobservationwindow": -ticks(rules.lockout_window),
    }


def root_rules(root: Entry) -> DomainPolicy:
    """The policy that a domain's root shows."""
    return DomainPolicy(
        min_length=root.integer("minpwdlength"),
        complexity=bool(root.integer("pwdproperties") & COMPLEX),
        history=root.integer("pwdhistorylength"),
        max_age=_duration(root.integer("maxpwdage")) or None,
        min_age=_duration(root.integer("minpwdage")),
        lockout_threshold=root.integer("lockoutthreshold"),
        lockout_duration=_duration(root.integer("lockoutduration")),
        lockout_window=_duration(root.integer("lockoutobservationwindow")),
    )


def object_values(settings: FineGrainedPolicy) -> dict[str, Value]:
    """A fine-grained policy as its object shows it, without whom it applies to."""
    rules = settings.policy
    return {
        "msds-passwordsettingsprecedence": settings.precedence,
        "msds-passwordreversibleencryptionenabled": False,
        "msds-passwordhistorylength": rules.history,
        "msds-passwordcomplexityenabled": rules.complexity,
        "msds-minimumpasswordlength": rules.min_length,
        "msds-minimumpasswordage": -ticks(rules.min_age),
        "msds-maximumpasswordage": _negative(rules.max_age),
        "msds-lockoutthreshold": rules.lockout_threshold,
        "msds-lockoutobservationwindow": -ticks(rules.lockout_window),
        "msds-lockoutduration": _negative(rules.lockout_duration),
    }


def object_rules(entry: Entry) -> DomainPolicy:
    """The policy that a password settings object shows."""
    return DomainPolicy(
        min_length=entry.integer("msds-minimumpasswordlength"),
        complexity=bool(entry.integer("msds-passwordcomplexityenabled")),
        history=entry.integer("msds-passwordhistorylength"),
        max_age=_duration(entry.integer("msds-maximumpasswordage")) or None,
        min_age=_duration(entry.integer("msds-minimumpasswordage")),
        lockout_threshold=entry.integer("msds-lockoutthreshold"),
        lockout_duration=_duration(entry.integer("msds-lockoutduration")),
        lockout_window=_duration(entry.integer("msds-lockoutobservationwindow")),
    )


def _negative(duration: timedelta | None) -> int:
    return -ticks(duration) if duration else FOREVER


def _duration(value: int) -> timedelta:
    """Of negative ticks; zero for "never" and for what makes no sense."""
    return timedelta(microseconds=-value // 10) if FOREVER < value < 0 else timedelta(0)


def contradiction(values: Mapping[str, int], prefix: str = "") -> str:
    """What is wrong with a policy's values, or ``""``. prefix ``msds-``: a password settings object's.

    [MS-SAMR] 3.1.1.6: durations are not positive, the lockout lasts at least as long as its window, histories have at
    most 1024 passwords, and the minimum age is below the maximum (unconfirmed for the domain itself).
    """
    long = prefix == "msds-"
    window, duration = values[f"{prefix}lockoutobservationwindow"], values[f"{prefix}lockoutduration"]
    newest = values["msds-minimumpasswordage" if long else "minpwdage"]
    oldest = values["msds-maximumpasswordage" if long else "maxpwdage"]
    if max(window, duration, newest, oldest) > 0:
        return "a duration is not a negative number"
    if window < duration:
        return "a lockout ends before its observation window"
    if oldest and newest < oldest:
        return "passwords expire before they may be changed"
    if not 0 <= values["msds-passwordhistorylength" if long else "pwdhistorylength"] <= 1024:
        return "the history is too long"
    least = values["msds-minimumpasswordlength" if long else "minpwdlength"]
    return "" if 0 <= least <= 256 else "the least length is out of range"


# --- which of them holds ------------------------------------------------------------------------------------------


def container(replica: Replica) -> Entry | None:
    """The container of a domain's password settings objects."""
    system = (replica.root.children or {}).get("cn=system")
    return None if system is None else (system.children or {}).get("cn=password settings container")


def _objects(replica: Replica) -> Iterator[Entry]:
    holder = container(replica)
    for entry in (holder.children or {}).values() if holder is not None else ():
        if entry.kind.name == "msDS-PasswordSettings":
            yield entry


def applied(entry: Entry) -> list[Entry]:
    """msDS-PSOApplied: the password settings objects that are linked to an object."""
    return [each for each in _objects(entry.replica) if entry.guid in _links(each)]


def _links(settings: Entry) -> tuple[object, ...]:
    found = settings.values.get(APPLIES_TO)
    return found if isinstance(found, tuple) else ()


def resultant(entry: Entry) -> Entry | None:
    """The password settings object that holds for a user; None: the domain's policy does.

    One that is linked to the user goes before those of the user's global security groups (nested ones and the primary
    group too); then the lowest precedence decides, then the lowest GUID (its bytes as they are: unconfirmed).
    """
    holder = container(entry.replica)
    if holder is None or not holder.children or not entry.kind.is_account or entry.deleted:
        return None
    if not entry.integer("useraccountcontrol") & policy.NORMAL_ACCOUNT:
        return None
    found = applied(entry)
    if not found:
        groups = global_groups(entry)
        found = [each for each in _objects(entry.replica) if not groups.isdisjoint(_links(each))]
    return min(found, key=_rank, default=None)


def for_members(group: Entry) -> Entry | None:
    """The password settings object that holds for new members of a group that have none of their own."""
    return min(applied(group), key=_rank, default=None)


def _rank(settings: Entry) -> tuple[int, bytes]:
    return settings.integer("msds-passwordsettingsprecedence"), settings.guid


def global_groups(entry: Entry) -> set[bytes]:
    """GUIDs of the global security groups that an account is in, through other global ones too."""
    replica, found = entry.replica, set[bytes]()
    primary = replica.by_rid.get(entry.integer("primarygroupid"))
    waiting = [*replica.groups_of.get(entry.guid, ()), *([primary.guid] if primary is not None else [])]
    while waiting:
        guid = waiting.pop()
        kind = replica.by_guid[guid].integer("grouptype")
        if guid not in found and kind & GLOBAL_GROUP and kind < 0:
            found.add(guid)
            waiting.extend(replica.groups_of.get(guid, ()))
    return found


# --- the world's way in -------------------------------------------------------------------------------------------


def provision(domain: Domain, controller: Controller, system: Entry) -> None:
    """Make the container."""
    create_apart(domain, controller, system, CONTAINER, "msds-passwordsettingscontainer", {})


def create_apart(
    domain: Domain, controller: Controller, parent: Entry, name: str, kind: str, values: dict[str, Value]
) -> Entry:
    """Make an object. Its GUID is drawn apart, so that the domain's other identifiers stay what they were."""
    guid = bytearray(domain.random(f"password settings/{name}").randbytes(16))
    guid[7], guid[8] = guid[7] & 0x0F | 0x40, guid[8] & 0x3F | 0x80
    replica, seconds = controller.replica, controller.seconds()
    return replica.create(parent, name, CLASSES[kind], values, guid=bytes(guid), seconds=seconds)


def add(domain: Domain, controller: Controller, settings: FineGrainedPolicy) -> Entry:
    """Make a password settings object; names that nobody has yet are linked once somebody has. Raises Refusal."""
    holder = container(controller.replica)
    if holder is None or f"cn={settings.name.casefold()}" in (holder.children or {}):
        raise Refusal("name-taken", f"{domain.name} has password settings {settings.name!r}", win32=0x2071, ldap=68)
    values = object_values(settings)
    links = []
    for name in sorted(settings.applies_to):
        entry = controller.replica.by_name.get(name)
        if entry is not None:
            links.append(entry.guid)
    if links:
        values[APPLIES_TO] = tuple(links)
    entry = create_apart(domain, controller, holder, settings.name, "msds-passwordsettings", values)
    for name in settings.applies_to:
        if name not in controller.replica.by_name:
            domain.awaited.setdefault(name, []).append(entry.guid)
    return entry


def link_awaited(domain: Domain, controller: Controller, entry: Entry) -> None:
    """Link a new account to the password settings that were made for its name before it was there."""
    for guid in domain.awaited.pop(entry.text("samaccountname").casefold(), ()):
        settings = controller.replica.by_guid.get(guid)
        if settings is not None and not settings.deleted:
            links = tuple(each for each in _links(settings) if isinstance(each, bytes))
            controller.replica.write(settings, {APPLIES_TO: (*links, entry.guid)}, controller.seconds())
