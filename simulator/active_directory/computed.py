"""Attributes that are computed when asked for by name ([MS-ADTS] 3.1.1.4.5): expiry, lockout, groups, names."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from simulator.active_directory import logon, metadata, names, password_settings, policy, schema_objects
from simulator.active_directory.configuration import Names
from simulator.active_directory.reading import allowed_attributes, allowed_children
from simulator.active_directory.schema import Value
from simulator.active_directory.values import pack
from simulator.active_directory.virtual import VIRTUAL, object_sid

if TYPE_CHECKING:
    from simulator.active_directory.replica import Entry

LOCKOUT, PASSWORD_EXPIRED = 0x10, 0x800000


def _of_account(compute: Callable[[Entry, Any], int]) -> Callable[[Entry], Value | None]:
    """The computation for accounts that are not deleted; None for everything else."""
    return lambda entry: compute(entry, entry.replica.owner) if entry.kind.is_account and not entry.deleted else None


def _expiry(entry: Entry, controller: Any) -> int:
    rules = controller.domain.policy_for(entry)
    return policy.expiry(entry.integer("pwdlastset"), entry.integer("useraccountcontrol"), rules.max_age)


def _flags(entry: Entry, controller: Any) -> int:
    """Expired or must-change, and locked; never stored in userAccountControl ([MS-ADTS] 3.1.1.4.5.17)."""
    flags, last_set = entry.integer("useraccountcontrol"), entry.integer("pwdlastset")
    rules = controller.domain.policy_for(entry)
    expired = policy.must_change(last_set, flags)
    expired = expired or policy.is_expired(last_set, flags, rules.max_age, controller.now())
    return (PASSWORD_EXPIRED if expired else 0) | (LOCKOUT if logon.is_locked(controller, entry) else 0)


def _canonical(entry: Entry) -> Value:
    """``contoso.example/People/alice``."""
    parts = names.parse_dn(entry.dn)
    domain = ".".join(value for kind, value in parts if kind.upper() == "DC")
    path = [value.replace("/", "\\/") for kind, value in reversed(parts) if kind.upper() != "DC"]
    return "/".join([domain, *path]) if path else f"{domain}/"


def _token_groups(entry: Entry) -> Value | None:
    """SIDs of every group that an account is in, however deep, the primary group among them."""
    if not entry.rid or entry.deleted:
        return None
    replica = entry.replica
    primary = replica.by_rid.get(entry.integer("primarygroupid")) if entry.kind.is_account else None
    found: dict[bytes, None] = {} if primary is None else {primary.guid: None}
    waiting = [*found, *replica.groups_of.get(entry.guid, ())]
    while waiting:
        guid = waiting.pop()
        found[guid] = None
        waiting += [above for above in replica.groups_of.get(guid, ()) if above not in found]
    groups = (replica.by_guid[guid] for guid in found)
    return pack(sorted(object_sid(group) for group in groups if group.rid and not group.deleted))


def _principal(entry: Entry) -> Value | None:
    """``CONTOSO\\alice``."""
    name = entry.text("samaccountname")
    return f"{entry.replica.owner.domain.netbios}\\{name}" if name else None  # type: ignore[attr-defined]


def _key_version(entry: Entry) -> Value | None:
    stamp = entry.stamp("unicodepwd")
    return None if stamp is None or not entry.kind.is_account else stamp.version


def _subschema(entry: Entry) -> Value | None:
    return f"CN=Aggregate,{Names.of(entry.replica.owner.forest_dn).schema}"  # type: ignore[attr-defined]


def _packed(names_of: Callable[[Entry], Iterable[str]]) -> Callable[[Entry], Value | None]:
    return lambda entry: pack(list(names_of(entry)))


def _resultant_settings(entry: Entry) -> Value | None:
    settings = password_settings.resultant(entry)
    return None if settings is None else settings.dn


def install() -> None:
    """Make these attributes readable on every entry."""
    VIRTUAL["msds-userpasswordexpirytimecomputed"] = _of_account(_expiry)
    VIRTUAL["msds-user-account-control-computed"] = _of_account(_flags)
    VIRTUAL["msds-resultantpso"] = _resultant_settings
    VIRTUAL["msds-psoapplied"] = _packed(lambda entry: [each.dn for each in password_settings.applied(entry)])
    VIRTUAL["canonicalname"] = _canonical
    VIRTUAL["msds-parentdistname"] = lambda entry: None if entry.parent is None else entry.parent.dn
    VIRTUAL["createtimestamp"] = lambda entry: entry.get("whencreated")
    VIRTUAL["modifytimestamp"] = lambda entry: entry.get("whenchanged")
    VIRTUAL["structuralobjectclass"] = lambda entry: entry.kind.chain
    VIRTUAL["subschemasubentry"] = _subschema
    VIRTUAL["fromentry"] = lambda entry: True
    VIRTUAL["primarygrouptoken"] = lambda entry: entry.rid if entry.kind.name == "group" and entry.rid else None
    VIRTUAL["tokengroups"] = VIRTUAL["tokengroupsglobalanduniversal"] = _token_groups
    VIRTUAL["tokengroupsnogcacceptable"] = _token_groups
    VIRTUAL["msds-principalname"] = _principal
    VIRTUAL["msds-keyversionnumber"] = _key_version
    VIRTUAL["allowedattributes"] = _packed(allowed_attributes)
    VIRTUAL["allowedchildclasses"] = _packed(allowed_children)
    metadata.install()
    schema_objects.install()
