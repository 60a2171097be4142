"""Controls, pages, ranges, limits, and attributes as they are asked for."""

from __future__ import annotations

import re
from typing import Any

from conformance.catalogue import Area, Observation
from conformance.lab import BASE, LEVEL, SUBTREE, Lab, said
from ldap3.protocol.rfc2696 import paged_search_control
from pyasn1.codec.ber import encoder
from pyasn1.type.namedtype import NamedType, NamedTypes
from pyasn1.type.tag import Tag, tagClassContext, tagFormatSimple
from pyasn1.type.univ import Boolean, Integer, OctetString, Sequence, SequenceOf

area = Area("searches")

PAGED = "1.2.840.113556.1.4.319"
IDENTIFIERS = re.compile(r"(?i)(?<=<guid=)[0-9a-f-]+|(?<=<sid=)[0-9a-fs-]+")


def contacts(lab: Lab, count: int) -> None:
    """Some contacts whose names have an order."""
    for number in range(count):
        lab.contact(f"c{number:02}", description=f"number {number % 3}")


def pages(lab: Lab, size: int, **options: Any) -> list[tuple[int, bool]]:
    """Sizes of pages, and whether a cookie came with each."""
    seen, cookie = [], b""
    for _ in range(20):
        answer = page(lab, size, cookie, **options)
        seen.append((answer[1], bool(answer[2])))
        cookie = answer[2]
        if not cookie:
            break
    return seen


def page(lab: Lab, size: int, cookie: bytes, filter: str = "(objectClass=contact)") -> tuple[Observation, int, bytes]:
    """One page: answer, number of entries, cookie."""
    connection = lab.admin
    control = paged_search_control(True, size, cookie)
    connection.search(lab.ou, filter, SUBTREE, attributes=["cn"], controls=[control])
    found = [each for each in connection.response or () if each["type"] == "searchResEntry"]
    value = (connection.result.get("controls") or {}).get(PAGED, {}).get("value") or {}
    return said(connection.result), len(found), value.get("cookie", b"") or b""


@area.table({"3": 3, "6": 6, "7": 7, "1": 1, "2000": 2000})
def page_size(lab: Lab, size: int) -> Observation:
    """Seven objects, page by page."""
    contacts(lab, 7)
    return pages(lab, size)


@area.check
def page_of_zero(lab: Lab) -> Observation:
    """Size 0 with a cookie gives a search up; without one?"""
    contacts(lab, 3)
    first = page(lab, 1, b"")
    return [each[:2] for each in (page(lab, 0, b""), page(lab, 0, first[2]), page(lab, 1, first[2]))]


@area.check
def page_cookie_twice(lab: Lab) -> Observation:
    """A cookie that was used already."""
    contacts(lab, 5)
    first = page(lab, 2, b"")
    return [page(lab, 2, first[2])[:2], page(lab, 2, first[2])[:2]]


@area.table({"garbage": b"garbage", "eight": b"\0" * 8})
def page_cookie_bad(lab: Lab, cookie: bytes) -> Observation:
    """Cookies that are none."""
    contacts(lab, 2)
    return page(lab, 2, cookie)[:2]


@area.check
def page_other_search(lab: Lab) -> Observation:
    """A cookie brought to another search."""
    contacts(lab, 5)
    first = page(lab, 2, b"")
    return page(lab, 2, first[2], "(description=number 1)")[:2]


@area.check
def page_of_nothing(lab: Lab) -> Observation:
    """Nothing found, page by page."""
    _ = lab.ou
    return page(lab, 5, b"")


@area.check
def deleted_between_pages(lab: Lab) -> Observation:
    """What is deleted while pages are read."""
    contacts(lab, 4)
    first = page(lab, 2, b"")
    for number in range(4):
        lab.must(lab.delete(lab.dn(f"c{number:02}")))
    return first[:2], page(lab, 2, first[2])[:2]


@area.table({"1": 1, "3": 3, "4": 4, "0": 0})
def size_limit(lab: Lab, limit: int) -> Observation:
    """The client's size limit, with three objects and the unit."""
    contacts(lab, 3)
    answer, found = lab.search(size_limit=limit)
    return answer, len(found)


@area.check
def range_of_members(lab: Lab) -> Observation:
    """Values by range."""
    members = [lab.contact(f"c{number}") for number in range(5)]
    group = lab.group(members=members)
    seen = []
    for option in (
        "member;range=0-1",
        "member;range=2-*",
        "member;range=0-*",
        "member;range=4-9",
        "member;range=5-9",
        "member;range=3-2",
        "member;range=x-y",
        "member;range=0-0",
        "MEMBER;RANGE=0-1",
    ):
        answer, found = lab.search(base=group, scope=BASE, attributes=[option])
        values = found[0]["raw_attributes"] if found else {}
        seen.append((option, answer, sorted((name.lower(), len(each)) for name, each in values.items() if each)))
    return seen


@area.table(
    {
        "none": ["1.1"],
        "star": ["*"],
        "plus": ["+"],
        "star-plus": ["*", "+"],
        "named": ["cn", "description"],
        "case": ["CN", "Description"],
        "twice": ["cn", "CN"],
        "unknown": ["nonsense", "cn"],
        "none-and-named": ["1.1", "cn"],
        "oid": ["2.5.4.3"],
        "option": ["cn;lang-de"],
        "binary": ["cn;binary"],
        "space": [" cn"],
        "empty": [""],
    }
)
def attributes(lab: Lab, names: list[str]) -> Observation:
    """Names of the attributes that come."""
    dn = lab.contact(description="x")
    answer, found = lab.search(base=dn, scope=BASE, attributes=names)
    return answer, [sorted(name for name, values in each["raw_attributes"].items() if values) for each in found]


@area.check
def no_attributes_asked(lab: Lab) -> Observation:
    """An empty list of attributes is all of them."""
    dn = lab.contact(description="x")
    connection = lab.admin
    connection.search(dn, "(objectClass=*)", BASE, attributes=None)
    return [sorted(each["raw_attributes"]) for each in connection.response or ()]


@area.check
def types_only(lab: Lab) -> Observation:
    """Names without values."""
    dn = lab.contact(description="x")
    _, found = lab.search(base=dn, scope=BASE, attributes=["cn", "description"], types_only=True)
    return [{name: list(values or ()) for name, values in sorted(each["raw_attributes"].items())} for each in found]


CONSTRUCTED = (
    "canonicalName",
    "allowedAttributes",
    "allowedAttributesEffective",
    "allowedChildClasses",
    "createTimeStamp",
    "modifyTimeStamp",
    "structuralObjectClass",
    "subSchemaSubEntry",
    "tokenGroups",
    "primaryGroupToken",
    "parentGUID",
    "msDS-parentdistname",
    "msDS-PrincipalName",
    "msDS-User-Account-Control-Computed",
    "msDS-KeyVersionNumber",
    "sDRightsEffective",
    "fromEntry",
    "entryTTL",
    "msDS-ResultantPSO",
    "possibleInferiors",
    "hasSubordinates",
    "numSubordinates",
    "msDS-Approx-Immed-Subordinates",
    "objectSid",
    "memberOf",
    "directReports",
    "nTSecurityDescriptor",
    "isUserCachableAtRodc",
    "msDS-SiteName",
    "tokenGroupsGlobalAndUniversal",
    "msDS-UserPasswordExpiryTimeComputed",
)


@area.table({name.lower(): name for name in CONSTRUCTED})
def constructed(lab: Lab, name: str) -> Observation:
    """Attributes that are computed when asked for, of a user, a group and a unit."""
    user = lab.user()
    group = lab.group(members=[user])
    plain = name in (
        "allowedAttributes",
        "allowedAttributesEffective",
        "allowedChildClasses",
        "nTSecurityDescriptor",
        "possibleInferiors",
    )
    seen = []
    for dn in (user, group, lab.ou):
        shown = lab.read(dn, name)
        seen.append({key: bool(values) if plain else values for key, values in shown.items()})
    return seen


@area.check
def nothing_constructed_by_star(lab: Lab) -> Observation:
    """Computed attributes do not come with all the others."""
    shown = lab.read(lab.user())
    return sorted(name for name in CONSTRUCTED if name in shown)


@area.table({"0": 0, "1": 1, "none": None})
def extended_dn(lab: Lab, option: int | None) -> Observation:
    """DNs with GUID and SID before them; an option that does not exist is not asked for: it ends Samba."""
    dn = lab.user()
    value = None
    if option is not None:
        request = Sequence(componentType=NamedTypes(NamedType("option", Integer())))
        request["option"] = option
        value = encoder.encode(request)
    control = ("1.2.840.113556.1.4.529", True, value)
    group = lab.group(members=[dn])
    answer, found = lab.search(base=group, scope=BASE, attributes=["member", "distinguishedName"], controls=[control])
    return answer, [
        IDENTIFIERS.sub(lambda match: "text" if "-" in match[0] else str(len(match[0])), text)
        for each in found
        for text in (
            each["dn"],
            *(
                value.decode()
                for name in ("member", "distinguishedName")
                for value in each["raw_attributes"].get(name) or ()
            ),
        )
    ]


def sort_value(name: str, reverse: bool = False) -> bytes:
    """The value of a server-side sort control (RFC 2891)."""
    key = Sequence(
        componentType=NamedTypes(
            NamedType("attributeType", OctetString()),
            NamedType("reverse", Boolean().subtype(implicitTag=Tag(tagClassContext, tagFormatSimple, 1))),
        )
    )
    key["attributeType"], key["reverse"] = name, reverse
    keys = SequenceOf(componentType=Sequence())
    keys[0] = key
    octets: bytes = encoder.encode(keys)
    return octets


@area.table(
    {
        "name": ("name", False),
        "reverse": ("name", True),
        "description": ("description", False),
        "unknown": ("nonsense", False),
        "usn": ("uSNCreated", True),
    }
)
def sort(lab: Lab, row: tuple[str, bool]) -> Observation:
    """Server-side sort."""
    contacts(lab, 4)
    control = ("1.2.840.113556.1.4.473", True, sort_value(*row))
    answer, found = lab.search("(objectClass=contact)", attributes=["cn"], controls=[control])
    order = [each["dn"].split(",")[0] for each in found]
    return answer, order if row[0] != "description" else sorted(order)


CONTROLS = {
    "unknown-critical": ("1.2.3.4.5", True, None),
    "unknown": ("1.2.3.4.5", False, None),
    "domain-scope": ("1.2.840.113556.1.4.1339", True, None),
    "sd-flags": ("1.2.840.113556.1.4.801", True, b"\x30\x03\x02\x01\x07"),
    "sd-flags-garbage": ("1.2.840.113556.1.4.801", True, b"x"),
    "paged-garbage": (PAGED, True, b"x"),
    "paged-nothing": (PAGED, True, None),
    "sort-garbage": ("1.2.840.113556.1.4.473", True, b"x"),
    "show-recycled": ("1.2.840.113556.1.4.2064", True, None),
    "show-deactivated": ("1.2.840.113556.1.4.2065", True, None),
    "permissive": ("1.2.840.113556.1.4.1413", True, None),
    "lazy-commit": ("1.2.840.113556.1.4.619", True, None),
    "verify-name": ("1.2.840.113556.1.4.1338", True, None),
    "notification": ("1.2.840.113556.1.4.528", True, None),
    "manage-dsa-it": ("2.16.840.1.113730.3.4.2", True, None),
    "search-options": ("1.2.840.113556.1.4.1340", True, b"\x30\x03\x02\x01\x01"),
    "asq": ("1.2.840.113556.1.4.1504", True, b"\x30\x08\x04\x06member"),
    "stats": ("1.2.840.113556.1.4.970", True, None),
    "vlv-alone": ("2.16.840.1.113730.3.4.9", True, b"\x30\x00"),
    "show-deleted": ("1.2.840.113556.1.4.417", True, None),
    "extended-dn-garbage": ("1.2.840.113556.1.4.529", True, b"x"),
    "show-deleted-value": ("1.2.840.113556.1.4.417", True, b"x"),
    "tree-delete": ("1.2.840.113556.1.4.805", True, None),
    "bypass-quota": ("1.2.840.113556.1.4.2256", True, None),
}


@area.table(CONTROLS)
def control(lab: Lab, control: tuple[str, bool, bytes | None]) -> Observation:
    """Controls on a search, known and unknown, well and badly formed."""
    lab.contact()
    return lab.names("(objectClass=contact)", controls=[control])


@area.check
def control_twice(lab: Lab) -> Observation:
    """The same control twice."""
    lab.contact()
    return lab.names("(objectClass=contact)", controls=[("1.2.840.113556.1.4.417", True, None)] * 2)


@area.table(
    {
        "missing": "CN=nobody,{ou}",
        "deep-missing": "CN=a,CN=b,{ou}",
        "missing-unit": "OU=none,{base}",
        "foreign": "DC=else,DC=example",
        "parent": "DC=example",
        "broken": "rubbish",
        "comma": "CN=a,,{ou}",
        "configuration": "CN=Configuration,{base}",
        "missing-configuration": "CN=nobody,CN=Configuration,{base}",
        "schema": "CN=Schema,CN=Configuration,{base}",
        "guid-missing": "<GUID=00000000000000000000000000000001>",
        "guid-broken": "<GUID=x>",
        "spaces": " {ou} ",
        "case": "ou={mine},dc=CONTOSO,dc=EXAMPLE",
        "sid-missing": "<SID=S-1-5-21-1-2-3-4>",
        "child": "DC=child,{base}",
        "builtin-sid": "<SID=S-1-5-32-544>",
        "self-sid": "<SID=S-1-5-10>",
    }
)
def base_of(lab: Lab, dn: str) -> Observation:
    """Bases that are not there, elsewhere, or oddly written."""
    text = dn.format(ou=lab.ou, base=lab.base, mine=lab.mine)
    seen = []
    for scope in (BASE, SUBTREE):
        answer, found = lab.search("(|(cn=Configuration)(cn=Schema)(ou=k*))", text, scope)
        seen.append((answer, len(found) > 0))
    return seen


@area.check
def references(lab: Lab) -> Observation:
    """Where a search of the whole domain points to."""
    connection = lab.admin
    seen = []
    for controls in (None, [("1.2.840.113556.1.4.1339", True, None)]):
        connection.search(lab.base, "(cn=nobody)", SUBTREE, attributes=["cn"], controls=controls)
        found = [each for each in connection.response or () if each["type"] == "searchResRef"]
        seen.append(sorted(uri for each in found for uri in each["uri"]))
    return seen


@area.check
def whole_forest(lab: Lab) -> Observation:
    """An empty base with the whole tree below it."""
    return [lab.names("(cn=nobody)", base="", scope=scope)[0] for scope in (LEVEL, SUBTREE)]


@area.table(
    {
        "equal": ("cn", "{mine}c"),
        "case": ("CN", "{mine}C"),
        "other": ("cn", "x"),
        "absent": ("displayName", "x"),
        "unknown": ("nonsense", "x"),
        "number": ("countryCode", "0"),
        "class": ("objectClass", "person"),
        "class-other": ("objectClass", "user"),
        "dn": ("distinguishedName", "CN={mine}c,{ou}"),
        "constructed": ("canonicalName", "x"),
        "secret": ("unicodePwd", "x"),
        "category": ("objectCategory", "person"),
        "rubbish-number": ("instanceType", "x"),
    }
)
def compare(lab: Lab, row: tuple[str, str]) -> Observation:
    """Comparisons."""
    dn = lab.contact()
    name, value = row
    return lab.compare(dn, name, value.format(mine=lab.mine, ou=lab.ou))


@area.check
def compare_missing(lab: Lab) -> Observation:
    """A comparison with nobody."""
    return lab.compare(f"CN=nobody,{lab.ou}", "cn", "x"), lab.compare("rubbish", "cn", "x")


@area.check
def by_users(lab: Lab) -> Observation:
    """What a plain user reads of another."""
    dn = lab.user("v", displayName="x", mail="a@b.example", employeeID="5", description="d", homePhone="1")
    user = lab.connect(lab.user())
    return lab.read(
        dn,
        "displayName",
        "mail",
        "employeeID",
        "description",
        "userAccountControl",
        "pwdLastSet",
        "memberOf",
        "lastLogonTimestamp",
        "badPwdCount",
        "homePhone",
        "accountExpires",
        by=user,
    )


@area.check
def octets_in_values(lab: Lab) -> Observation:
    """Values beyond ASCII, and octets, come back as they were."""
    picture = bytes(range(256))
    dn = lab.user(displayName="Żółć 日本 \U0001f511", thumbnailPhoto=picture, jpegPhoto=picture)
    return [[each.hex() for each in lab.raw(dn, name)] for name in ("displayName", "thumbnailPhoto", "jpegPhoto")]


@area.check
def domain_subtree(lab: Lab) -> Observation:
    """People and groups that every domain has."""
    seen = []
    for text in ("(&(objectCategory=person)(objectClass=user)(!(cn=k*)))", "(&(objectClass=group)(!(cn=k*)))"):
        _, found = lab.search(text, f"CN=Users,{lab.base}", LEVEL)
        names = sorted(each["dn"].split(",")[0] for each in found)
        seen.append([name for name in names if "MSOL" not in name and "connector" not in name])
    return seen
