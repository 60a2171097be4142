"""Security descriptors: who may do what with an object, as the simulated directory decides it ([MS-DTYP] 2.4.6).

They are computed from the same facts that operations are checked against and can't be written: administrators may
do everything, whoever is bound may read, everyone may change a password who knows the old one, users may write their
own personal information, and the connector's account has on the domain's head the replication rights that it was
granted. There is no auditing part.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from simulator.active_directory.configuration import GET_CHANGES, GET_CHANGES_ALL, MAY_CHANGE
from simulator.active_directory.names import sid_bytes
from simulator.active_directory.virtual import object_sid

if TYPE_CHECKING:
    from simulator.active_directory.replica import Entry
    from simulator.active_directory.state import Domain

OWNER, GROUP, ACCESS, AUDIT = 0x1, 0x2, 0x4, 0x8
FULL_CONTROL, READ, EXTENDED_RIGHT, READ_AND_WRITE = 0x000F01FF, 0x00020094, 0x00000100, 0x00000030
PERSONAL_INFORMATION, WEB_INFORMATION = "77b5b886-944a-11d1-aebd-0000f80367c1", "e45795b3-9455-11d1-aebd-0000f80367c1"
DOMAIN_ADMINS = 512
EVERYONE, SELF, AUTHENTICATED_USERS, SYSTEM = (
    sid_bytes(text) for text in ("S-1-1-0", "S-1-5-10", "S-1-5-11", "S-1-5-18")
)
RIGHTS = {"replicate-changes": GET_CHANGES, "replicate-changes-all": GET_CHANGES_ALL}
_ALLOWED, _ALLOWED_OBJECT, _OBJECT_TYPE_PRESENT = 0x00, 0x05, 0x1
_ACCESS_PRESENT, _SELF_RELATIVE = 0x0004, 0x8000


def descriptor(entry: Entry, parts: int) -> bytes:
    """A self-relative descriptor with those of owner, group and access rules that ``parts`` names."""
    domain: Domain = entry.replica.owner.domain  # type: ignore[attr-defined] # a replica belongs to a controller
    admins = domain.sid[:1] + bytes((domain.sid[1] + 1,)) + domain.sid[2:] + DOMAIN_ADMINS.to_bytes(4, "little")
    body, offsets = b"", {}
    wanted = {OWNER: admins, GROUP: admins, ACCESS: _access(_rules(entry, domain, admins)) if parts & ACCESS else b""}
    for part, octets in wanted.items():
        offsets[part] = 20 + len(body) if parts & part else 0
        body += octets if parts & part else b""
    control = _SELF_RELATIVE | (_ACCESS_PRESENT if parts & ACCESS else 0)
    return struct.pack("<BBHIIII", 1, 0, control, offsets[OWNER], offsets[GROUP], 0, offsets[ACCESS]) + body


def _rules(entry: Entry, domain: Domain, admins: bytes) -> list[bytes]:
    rules = []
    if entry.parent is None and entry.replica.domain_sid:
        rules += _granted(entry, domain)
    if entry.kind.is_account:
        rules.append(_rule(EVERYONE, EXTENDED_RIGHT, MAY_CHANGE))
        rules += [_rule(SELF, READ_AND_WRITE, each) for each in (PERSONAL_INFORMATION, WEB_INFORMATION)]
    return [*rules, _rule(admins, FULL_CONTROL), _rule(SYSTEM, FULL_CONTROL), _rule(AUTHENTICATED_USERS, READ)]


def _granted(root: Entry, domain: Domain) -> list[bytes]:
    """Replication rights of the connector's account."""
    account = root.replica.by_name.get(domain.connector_account()[0].casefold())
    if account is None:
        return []
    held = domain.rights_of(account)
    return [_rule(object_sid(account), EXTENDED_RIGHT, guid) for right, guid in RIGHTS.items() if right in held]


def _rule(sid: bytes, mask: int, right: str = "") -> bytes:
    """An access-allowed rule, for one extended right or set of properties if named."""
    if not right:
        return struct.pack("<BBHI", _ALLOWED, 0, 8 + len(sid), mask) + sid
    guid = UUID(right).bytes_le
    return struct.pack("<BBHII", _ALLOWED_OBJECT, 0, 28 + len(sid), mask, _OBJECT_TYPE_PRESENT) + guid + sid


def _access(rules: Sequence[bytes]) -> bytes:
    return struct.pack("<BBHHH", 4, 0, 8 + sum(map(len, rules)), len(rules), 0) + b"".join(rules)
