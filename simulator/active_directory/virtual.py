"""Attributes that are not stored: names, identifiers, classes, times and what is computed from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from simulator.active_directory import names
from simulator.active_directory.schema import INDEXED_LINKS, LINKS, Value
from simulator.active_directory.times import generalized

if TYPE_CHECKING:
    from simulator.active_directory.replica import Entry

NORMAL_USER, WORKSTATION, GROUP, ALIAS = 0x3000_0000, 0x3000_0001, 0x1000_0000, 0x2000_0000
LOCAL_GROUP = 0x4


def _sid(entry: Entry) -> Value | None:
    if entry.parent is None:
        return entry.replica.domain_sid or None  # heads of other contexts have none
    return object_sid(entry) if entry.rid else None


def object_sid(entry: Entry) -> bytes:
    """The SID of an account or group: the domain's with one more part."""
    sid = entry.replica.domain_sid
    return b"\x01" + bytes((sid[1] + 1,)) + sid[2:] + entry.rid.to_bytes(4, "little")


def _account_type(entry: Entry) -> Value | None:
    if entry.deleted:
        return None
    if "computer" in entry.kind.lowered:
        return WORKSTATION
    if entry.kind.is_account:
        return NORMAL_USER
    return _group_type(entry.integer("grouptype")) if entry.kind.name == "group" else None


def _group_type(flags: int) -> int:
    """sAMAccountType by groupType ([MS-SAMR] 3.1.1.8.1): local groups are aliases, one more for no security group."""
    return (ALIAS if flags & LOCAL_GROUP else GROUP) + (flags >= 0)


def category_dn(category: str, entry: Entry) -> str:
    """``Person`` as the DN of its class in the schema of the forest."""
    forest_root = getattr(entry.replica.owner, "forest_dn", entry.replica.root.dn)
    return f"CN={category},CN=Schema,CN=Configuration,{forest_root}"


def _category(entry: Entry) -> Value | None:
    return None if entry.deleted else category_dn(entry.kind.category, entry)


def _marked_deleted(entry: Entry) -> Value | None:
    return True if entry.deleted or entry is entry.replica.deleted_objects else None


def _members_of(entry: Entry) -> Value | None:
    by_guid = entry.replica.by_guid
    groups = [by_guid[guid] for guid in entry.replica.groups_of.get(entry.guid, ())]
    return _packed([group.dn for group in groups if not group.deleted])


def _linked(key: str) -> Callable[[Entry], Value | None]:
    """The names now of what an entry links to under ``key``; what is deleted is linked to no more."""

    def names_of(entry: Entry) -> Value | None:
        by_guid = entry.replica.by_guid
        stored = entry.values.get(key)
        if not isinstance(stored, tuple):
            return None
        found = []
        for link in stored:
            target = by_guid.get(link) if isinstance(link, bytes) else None
            if target is None:
                found += [link] if isinstance(link, str) else []
            elif not target.deleted:
                found.append(target.dn)
        return _packed(found)

    return names_of


def _linking(key: str) -> Callable[[Entry], Value | None]:
    """The names now of those who link to an entry under ``key``, in order of creation."""

    def names_of(entry: Entry) -> Value | None:
        linked = entry.replica.linked_from.get((key, entry.guid))
        if not linked:
            return None
        by_guid = entry.replica.by_guid
        found = sorted((by_guid[guid] for guid in linked), key=lambda each: (each.created.local_usn, each.guid))
        return _packed([each.dn for each in found if not each.deleted])

    return names_of


def _named(kind: str) -> Callable[[Entry], Value | None]:
    return lambda entry: _name(entry) if entry.kind.rdn == kind else None


def _packed(values: list[str]) -> Value | None:
    return None if not values else values[0] if len(values) == 1 else tuple(values)


def _name(entry: Entry) -> Value | None:
    return names.parse_dn(entry.rdn)[0][1] if entry.parent is None else entry.rdn


def _parent_guid(entry: Entry) -> Value | None:
    return entry.parent.guid if entry.parent is not None else None


WELL_KNOWN = {
    "A9D1CA15768811D1ADED00C04FD8D5CD": "cn=users",
    "AA312825768811D1ADED00C04FD8D5CD": "cn=computers",
    "A361B2FFFFD211D1AA4B00C04FD7D83A": "ou=domain controllers",
    "AB1D30F3768811D1ADED00C04FD8D5CD": "cn=system",
    "AB8153B7768811D1ADED00C04FD8D5CD": "cn=lostandfound",
    "18E2EA80684F11D2B9AA00C04F79F805": "cn=deleted objects",
    "22B70C67D56E4EFB91E9300FCA3DC1AA": "cn=foreignsecurityprincipals",
    "2FBAC1870ADE11D297C400C04FD8D5CD": "cn=infrastructure",
    "6227F0AF1FC2410D8E3BB10615BB5B0F": "cn=ntds quotas",
    "09460C08AE1E4A4EA0F64AEE7DAA1E5A": "cn=program data",
    "F4BE92A4C777485E878E9421D53087DB": "cn=microsoft,cn=program data",
}
"""Containers of a naming context by the identifier that stands for them wherever they are ([MS-ADTS] 6.1.1.4)."""


def well_known(entry: Entry) -> dict[str, Entry]:
    """The well-known containers below the head of a context, by identifier; none below anything else."""
    if entry.parent is not None:
        return {}
    found = {identifier: _below(entry, names) for identifier, names in WELL_KNOWN.items()}
    return {identifier: each for identifier, each in found.items() if each is not None}


def _below(entry: Entry, path: str) -> Entry | None:
    """What lies below an entry under keys, the lowest first."""
    found: Entry | None = entry
    for key in reversed(path.split(",")):
        found = None if found is None or found.children is None else found.children.get(key)
    return found


def _well_known_texts(entry: Entry) -> Value | None:
    if entry.parent is not None:
        return None
    return _packed([f"B:32:{identifier}:{each.dn}" for identifier, each in well_known(entry).items()])


VIRTUAL: dict[str, Callable[[Entry], Value | None]] = {
    "distinguishedname": lambda entry: entry.dn,
    "name": _name,
    "cn": _named("CN"),
    "ou": _named("OU"),
    "dc": _named("DC"),
    "objectguid": lambda entry: entry.guid,
    "objectsid": _sid,
    "objectclass": lambda entry: entry.kind.chain,
    "objectcategory": _category,
    "usnchanged": lambda entry: entry.usn,
    "usncreated": lambda entry: entry.created.local_usn,
    "whencreated": lambda entry: generalized(entry.created.changed),
    "whenchanged": lambda entry: generalized(entry.changed),
    "instancetype": lambda entry: 5 if entry.parent is None else 4,
    "isdeleted": _marked_deleted,
    "isrecycled": lambda entry: True if entry.deleted else None,
    "samaccounttype": _account_type,
    "memberof": _members_of,
    **{key: _linked(key) for key in sorted(LINKS)},
    **{back: _linking(key) for key, back in INDEXED_LINKS.items()},
    "parentguid": _parent_guid,
    "wellknownobjects": _well_known_texts,
}
"""By schema key; more are added by the module that can compute them."""
