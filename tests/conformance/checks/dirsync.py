"""The DirSync control: rights, flags, cookies, and what comes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import ldap3
from conformance.catalogue import Area, Observation
from conformance.lab import ADD, OTHER, SUBTREE, Lab, Said, said
from conformance.replication import GET_CHANGES, GET_CHANGES_ALL
from ldap3.protocol.microsoft import dir_sync_control
from pyasn1.codec.ber import encoder

area = Area("dirsync")

OBJECT_SECURITY, ANCESTORS_FIRST, PUBLIC_DATA_ONLY, INCREMENTAL_VALUES = 0x1, 0x800, 0x2000, 0x80000000
DIRSYNC = "1.2.840.113556.1.4.841"


@dataclass
class Increment:
    """One answer."""

    answer: Said
    entries: list[dict[str, Any]]
    cookie: bytes
    more: object


def ask(
    lab: Lab,
    cookie: bytes = b"",
    *,
    flags: int = 0,
    size: int = 1 << 20,
    attributes: Sequence[str] = (),
    base: str | None = None,
    by: ldap3.Connection | None = None,
    filter: str = "(objectClass=*)",
) -> Increment:
    """A DirSync search."""
    connection = by or lab.admin
    ancestors, public, incremental = (bool(flags & each) for each in (0x800, 0x2000, 0x80000000))
    control = dir_sync_control(True, bool(flags & 1), ancestors, public, incremental, size, cookie)
    connection.search(base or lab.base, filter, SUBTREE, attributes=list(attributes) or ["*"], controls=[control])
    found = [each for each in connection.response or () if each["type"] == "searchResEntry"]
    value = (connection.result.get("controls") or {}).get(DIRSYNC, {}).get("value") or {}
    return Increment(said(connection.result), found, value.get("cookie", b""), value.get("more_results"))


def start(lab: Lab, **options: Any) -> bytes:
    """The cookie after everything was read."""
    cookie = ask(lab, attributes=["sAMAccountName"], **options)
    while cookie.more:
        cookie = ask(lab, cookie.cookie, attributes=["sAMAccountName"], **options)
    return cookie.cookie


def delta(lab: Lab, cookie: bytes, *, by_name: bool = False, **options: Any) -> Observation:
    """What came since a cookie: answer, and of each entry the first part of its DN and its attributes."""
    found = ask(lab, cookie, **options)
    mine = [each for each in found.entries if lab.mine in each["dn"]]
    if by_name:
        mine.sort(key=lambda each: each["dn"])
    return found.answer, [
        (lab.plain("dn", each["dn"].split(",")[0].encode()), attributes_of(lab, each)) for each in mine
    ]


def attributes_of(lab: Lab, entry: dict[str, Any]) -> dict[str, object]:
    """Attributes with their values in comparable form; those without values too.

    Descriptors are of each server's own making. Samba leaves the GUID that it works with before some names.
    """
    shown = {}
    for name, values in sorted(entry["raw_attributes"].items()):
        octets = [values] if isinstance(values, bytes) else values or ()
        if name == "nTSecurityDescriptor":
            octets = [b"some" for _ in octets]
        if name in ("lastKnownParent", "objectCategory"):
            octets = [each.partition(b">;")[2] or each for each in octets]
        shown[name] = sorted(lab.plain(name, each) for each in octets)
    return shown


RIGHTS = {
    "none": (),
    "get-changes": (GET_CHANGES,),
    "get-changes-all": (GET_CHANGES_ALL,),
    "both": (GET_CHANGES, GET_CHANGES_ALL),
}


@area.table({f"{held}-{flags}": (held, flags) for held in RIGHTS for flags in (0, 1)})
def rights(lab: Lab, row: tuple[str, int]) -> Observation:
    """Rights held against flags."""
    held, flags = row
    lab.server.replication.grant(RIGHTS[held])
    try:
        connector = lab.connect(*lab.server.replication.connector)
        found = ask(lab, flags=flags, by=connector, attributes=["sAMAccountName"])
        return found.answer, len(found.entries) > 5, found.cookie != b""
    finally:
        lab.server.replication.grant(RIGHTS["both"])


@area.table({"0": 0, "1": 1})
def plain_user(lab: Lab, flags: int) -> Observation:
    """A user without any right."""
    dn = lab.user()
    found = ask(lab, flags=flags, by=lab.connect(dn), attributes=["sAMAccountName"])
    return found.answer, len(found.entries) > 5


DOINGS: dict[str, Callable[[Lab, str], Said]] = {
    "reset": lambda lab, dn: lab.reset(dn, OTHER),
    "description": lambda lab, dn: lab.set(dn, description="new"),
    "clear": lambda lab, dn: lab.set(dn, description=[]),
    "must-change": lambda lab, dn: lab.set(dn, pwdLastSet="0"),
    "disable": lambda lab, dn: lab.set(dn, userAccountControl="514"),
    "rename": lambda lab, dn: lab.rename(dn, f"CN={lab.mine}new"),
    "delete": lambda lab, dn: lab.delete(dn),
    "bind": lambda lab, dn: lab.bind(dn),
    "wrong-bind": lambda lab, dn: lab.bind(dn, "Wrong-1"),
    "into-group": lambda lab, dn: lab.modify(lab.dn("g"), ("member", ADD, [dn])),
    "same": lambda lab, dn: lab.set(dn, description="old"),
    "account-name": lambda lab, dn: lab.set(dn, sAMAccountName=lab.name("n")),
}


@area.table(DOINGS)
def increment(lab: Lab, do: Callable[[Lab, str], Said]) -> Observation:
    """What comes after a doing when all attributes are asked for."""
    dn = lab.user(description="old")
    lab.group()
    cookie = start(lab)
    lab.tick()
    return do(lab, dn), delta(lab, cookie)


@area.table(
    {
        "unicodepwd": ["unicodePwd"],
        "pwdlastset": ["pwdLastSet"],
        "description": ["description"],
        "none": ["1.1"],
        "unknown": ["nonsense"],
        "both": ["unicodePwd", "description"],
        "constructed": ["canonicalName"],
        "guid": ["objectGUID"],
        "local": ["badPwdCount"],
        "name": ["cn", "name"],
    }
)
def increment_of(lab: Lab, names: list[str]) -> Observation:
    """What comes after a reset and after another change when some attributes are asked for."""
    dn = lab.user(description="old")
    cookie = start(lab)
    lab.tick()
    answers: list[Observation] = [lab.reset(dn, OTHER), delta(lab, cookie, attributes=names)]
    cookie = start(lab)
    return [*answers, lab.set(dn, description="new"), delta(lab, cookie, attributes=names)]


@area.check
def creation(lab: Lab) -> Observation:
    """What comes after a creation."""
    _ = lab.ou
    cookie = start(lab)
    lab.user(description="x")
    return delta(lab, cookie)


@area.check
def nothing_new(lab: Lab) -> Observation:
    """Nothing comes when nothing was done; the cookie may be used twice."""
    dn = lab.user()
    cookie = start(lab)
    lab.must(lab.set(dn, description="x"))
    names = ["description"]
    first = ask(lab, cookie, attributes=names)
    return (
        delta(lab, cookie, attributes=names),
        delta(lab, cookie, attributes=names),
        delta(lab, first.cookie, attributes=names),
    )


@area.check
def order(lab: Lab) -> Observation:
    """In which order entries come; ten of them, since Samba's order is a matter of chance and three may agree."""
    names = [lab.user(name) for name in "abcdefghij"]
    cookie = start(lab)
    for index in (1, 0, 2, 1, 9, 4, 7, 3, 8, 5, 6, 4):
        lab.must(lab.set(names[index], description=f"{index}"))
        lab.must(lab.set(names[index], displayName=f"{index} {lab.usn()}"))
    return delta(lab, cookie, attributes=["description"])


@area.check
def two_resets(lab: Lab) -> Observation:
    """Two resets are one entry."""
    dn = lab.user()
    cookie = start(lab)
    return lab.reset(dn, OTHER), lab.reset(dn, "Third-1234"), delta(lab, cookie, attributes=["unicodePwd"])


@area.check
def moved_in_filter(lab: Lab) -> Observation:
    """A filter holds for what is there now."""
    dn, other = lab.user(description="in"), lab.user("v", description="out")
    cookie = start(lab)
    lab.must(lab.set(dn, description="out"))
    lab.must(lab.set(other, description="in"))
    return delta(lab, cookie, filter="(description=in)", attributes=["description"])


@area.table({"ou": "ou", "missing": "missing", "empty": "", "users": "CN=Users,DC=contoso,DC=example"})
def base(lab: Lab, base: str) -> Observation:
    """Bases that are no head of a naming context."""
    bases = {"ou": lab.ou, "missing": f"OU=missing,{lab.base}", "": "DC=example"}
    return ask(lab, base=bases.get(base, base)).answer


@area.table(
    {
        "garbage": b"garbage",
        "short": b"MSDS",
        "long": b"x" * 500,
        "head": b"MSDS\x03\x00\x00\x00",
        "zeros": bytes(108),
    }
)
def bad_cookie(lab: Lab, cookie: bytes) -> Observation:
    """Cookies that are none."""
    found = ask(lab, cookie, attributes=["sAMAccountName"])
    return found.answer, len(found.entries) > 0


@area.check
def cut_cookie(lab: Lab) -> Observation:
    """A cookie that lost its end, and one that got a longer one."""
    cookie = start(lab)
    return [ask(lab, each, attributes=["sAMAccountName"]).answer for each in (cookie[:-1], cookie + b"x")]


@area.check
def cookie_form(lab: Lab) -> Observation:
    """A cookie's head and length."""
    cookie = start(lab)
    return cookie[:8].hex(), len(cookie)


@area.table({"1": 1, "0": 0, "1000": 1000})
def size(lab: Lab, size: int) -> Observation:
    """MaxBytes: whether there is more."""
    lab.user()
    found = ask(lab, size=size, attributes=["sAMAccountName"])
    return found.answer, bool(found.more), len(found.entries) > 1


@area.table({"ancestors": 0x800, "public": 0x2000, "values": 0x80000000, "all": 0x80002801})
def flags(lab: Lab, flags: int) -> Observation:
    """Flags: what comes after a reset and a new member, in whichever order."""
    dn = lab.user(description="old")
    group = lab.group()
    cookie = start(lab)
    lab.tick()
    lab.must(lab.reset(dn, OTHER))
    lab.must(lab.modify(group, ("member", ADD, [dn])))
    return delta(lab, cookie, by_name=True, flags=flags)


@area.check
def level(lab: Lab) -> Observation:
    """Another scope than the whole tree."""
    connection = lab.admin
    seen = []
    for scope in ("BASE", "LEVEL"):
        control = dir_sync_control(True, False, False, False, False, 1 << 20, b"")
        connection.search(lab.base, "(objectClass=*)", scope, attributes=["sAMAccountName"], controls=[control])
        seen.append(said(connection.result))
    return seen


@area.table(
    {"garbage": b"\x30\x05garbage", "empty": b"", "number": encoder.encode(ldap3.protocol.rfc4511.Integer0ToMax(5))}
)
def bad_value(lab: Lab, value: bytes) -> Observation:
    """A control whose value is none."""
    connection = lab.admin
    connection.search(
        lab.base, "(objectClass=*)", SUBTREE, attributes=["sAMAccountName"], controls=[(DIRSYNC, True, value)]
    )
    return said(connection.result)
