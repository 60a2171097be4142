"""Adds and modifies: values, classes of attributes, errors, atomicity, and who may do it."""

from __future__ import annotations

from conformance.catalogue import Area, Observation
from conformance.lab import ADD, DELETE, REPLACE, Change, Lab, quoted
from ldap3.operation.modify import modify_operation

area = Area("modifies")

PERMISSIVE = [("1.2.840.113556.1.4.1413", True, None)]

CHANGES: dict[str, list[Change]] = {
    "replace": [("description", REPLACE, ["new"])],
    "replace-same": [("description", REPLACE, ["old"])],
    "replace-nothing": [("description", REPLACE, [])],
    "replace-absent-nothing": [("displayName", REPLACE, [])],
    "replace-two-single": [("displayName", REPLACE, ["a", "b"])],
    "replace-two-description": [("description", REPLACE, ["a", "b"])],
    "replace-two": [("otherTelephone", REPLACE, ["1", "2"])],
    "replace-duplicate": [("otherTelephone", REPLACE, ["1", "1"])],
    "replace-duplicate-case": [("proxyAddresses", REPLACE, ["a", "A"])],
    "add": [("displayName", ADD, ["new"])],
    "add-existing": [("description", ADD, ["old"])],
    "add-existing-case": [("description", ADD, ["OLD"])],
    "add-second-single": [("givenName", ADD, ["Second"])],
    "add-multi": [("otherTelephone", ADD, ["3"])],
    "add-nothing": [("displayName", ADD, [])],
    "add-duplicate": [("otherTelephone", ADD, ["7", "7"])],
    "delete": [("description", DELETE, [])],
    "delete-value": [("description", DELETE, ["old"])],
    "delete-value-case": [("description", DELETE, ["OLD"])],
    "delete-other-value": [("description", DELETE, ["x"])],
    "delete-absent": [("displayName", DELETE, [])],
    "delete-absent-value": [("displayName", DELETE, ["x"])],
    "delete-one-of-two": [("otherTelephone", DELETE, ["10"])],
    "delete-and-add": [("description", DELETE, ["old"]), ("description", ADD, ["new"])],
    "delete-wrong-and-add": [("description", DELETE, ["x"]), ("description", ADD, ["new"])],
    "add-then-delete": [("displayName", ADD, ["new"]), ("displayName", DELETE, ["new"])],
    "two-replaces": [("description", REPLACE, ["a"]), ("description", REPLACE, ["b"])],
    "last-bad": [("displayName", REPLACE, ["a"]), ("title", REPLACE, ["b"]), ("countryCode", REPLACE, ["x"])],
    "unknown": [("nonsense", REPLACE, ["x"])],
    "unknown-delete": [("nonsense", DELETE, [])],
    "not-of-class": [("groupType", REPLACE, ["2"])],
    "not-of-class-ou": [("ou", REPLACE, ["x"])],
    "bad-number": [("countryCode", REPLACE, ["x"])],
    "number-too-large": [("countryCode", REPLACE, ["4294967296"])],
    "number-range": [("countryCode", REPLACE, ["70000"])],
    "number-zeros": [("countryCode", REPLACE, ["007"])],
    "number-negative": [("countryCode", REPLACE, ["-5"])],
    "bad-large": [("accountExpires", REPLACE, ["x"])],
    "bad-dn": [("manager", REPLACE, ["nobody"])],
    "missing-dn": [("manager", REPLACE, ["CN=nobody,DC=contoso,DC=example"])],
    "dn-case": [("manager", REPLACE, ["cn=ADMINISTRATOR,cn=users,dc=CONTOSO,dc=example"])],
    "bad-boolean": [("showInAdvancedViewOnly", REPLACE, ["perhaps"])],
    "boolean": [("showInAdvancedViewOnly", REPLACE, ["TRUE"])],
    "boolean-lower": [("showInAdvancedViewOnly", REPLACE, ["true"])],
    "empty-value": [("description", REPLACE, [""])],
    "empty-octets": [("thumbnailPhoto", REPLACE, [b""])],
    "not-utf-8": [("description", REPLACE, [b"\xff\xfe"])],
    "null-in-text": [("description", REPLACE, ["a\0b"])],
    "too-long": [("givenName", REPLACE, ["x" * 65])],
    "long": [("givenName", REPLACE, ["x" * 64])],
    "long-description": [("description", REPLACE, ["x" * 1025])],
    "country-of-three": [("c", REPLACE, ["DEU"])],
    "country": [("c", REPLACE, ["DE"])],
    "objectguid": [("objectGUID", REPLACE, [b"x" * 16])],
    "objectsid": [("objectSid", REPLACE, [b"x" * 28])],
    "usnchanged": [("uSNChanged", REPLACE, ["1"])],
    "whencreated": [("whenCreated", REPLACE, ["20170101000000.0Z"])],
    "instancetype": [("instanceType", REPLACE, ["4"])],
    "distinguishedname": [("distinguishedName", REPLACE, ["CN=x,DC=contoso,DC=example"])],
    "cn": [("cn", REPLACE, ["x"])],
    "cn-same": [("cn", REPLACE, ["{mine}u"])],
    "name": [("name", REPLACE, ["x"])],
    "memberof": [("memberOf", REPLACE, ["CN=Domain Admins,CN=Users,DC=contoso,DC=example"])],
    "isdeleted": [("isDeleted", REPLACE, ["TRUE"])],
    "objectcategory": [("objectCategory", REPLACE, ["CN=Computer,CN=Schema,CN=Configuration,DC=contoso,DC=example"])],
    "objectclass-replace": [
        ("objectClass", REPLACE, ["top", "person", "organizationalPerson", "user", "inetOrgPerson"])
    ],
    "objectclass-add": [("objectClass", ADD, ["inetOrgPerson"])],
    "objectclass-delete": [("objectClass", DELETE, ["user"])],
    "objectclass-group": [("objectClass", REPLACE, ["group"])],
    "objectclass-auxiliary": [("objectClass", ADD, ["posixAccount"])],
    "samaccountname": [("sAMAccountName", REPLACE, ["{mine}n"])],
    "samaccountname-taken": [("sAMAccountName", REPLACE, ["Administrator"])],
    "samaccountname-case": [("sAMAccountName", REPLACE, ["{mine}U"])],
    "samaccountname-delete": [("sAMAccountName", DELETE, [])],
    "samaccountname-bad": [("sAMAccountName", REPLACE, ["a/b"])],
    "samaccountname-long": [("sAMAccountName", REPLACE, ["{mine}" + "x" * 20])],
    "upn": [("userPrincipalName", REPLACE, ["{mine}n@contoso.example"])],
    "upn-no-at": [("userPrincipalName", REPLACE, ["{mine}n"])],
    "upn-taken": [("userPrincipalName", REPLACE, ["{mine}taken@contoso.example"])],
    "upn-taken-case": [("userPrincipalName", REPLACE, ["{mine}TAKEN@contoso.example"])],
    "upn-delete": [("userPrincipalName", DELETE, [])],
    "constructed": [("canonicalName", REPLACE, ["x"])],
    "tokengroups": [("tokenGroups", DELETE, [])],
    "mandatory-delete": [("objectClass", DELETE, [])],
    "ntsecurity": [("nTSecurityDescriptor", REPLACE, [b"x"])],
    "increment": [("countryCode", "MODIFY_INCREMENT", ["1"])],
    "option": [("description;lang-de", REPLACE, ["x"])],
    "oid": [("2.5.4.13", REPLACE, ["by number"])],
    "unknown-oid": [("1.2.3.4.5", REPLACE, ["x"])],
    "case-of-name": [("DESCRIPTION", REPLACE, ["x"])],
    "proxy-addresses": [("proxyAddresses", ADD, ["SMTP:a@b.example", "smtp:c@d.example"])],
    "lastlogontimestamp": [("lastLogonTimestamp", REPLACE, ["1"])],
    "spn": [("servicePrincipalName", ADD, ["http/{mine}"])],
    "spn-bad": [("servicePrincipalName", ADD, ["nonsense"])],
    "unixuid": [("uidNumber", REPLACE, ["1000"])],
    "consistency-guid": [("mS-DS-ConsistencyGuid", REPLACE, [b"0123456789abcdef"])],
    "telephone-null": [("telephoneNumber", REPLACE, [" "])],
}


def prepared(lab: Lab) -> str:
    """A user with some values."""
    lab.user("taken", userPrincipalName=lab.upn("taken"))
    return lab.user(description="old", givenName="First", otherTelephone=["10", "20"], userPrincipalName=lab.upn("u"))


def filled(lab: Lab, changes: list[Change]) -> list[Change]:
    """Changes with the check's own names in them."""
    return [
        (name, operation, [each.replace("{mine}", lab.mine) if isinstance(each, str) else each for each in values])
        for name, operation, values in changes
    ]


SHOWN = (
    "description",
    "displayName",
    "givenName",
    "otherTelephone",
    "title",
    "countryCode",
    "manager",
    "sAMAccountName",
    "userPrincipalName",
    "objectClass",
    "cn",
    "name",
    "showInAdvancedViewOnly",
    "memberOf",
    "c",
    "otherMailbox",
    "proxyAddresses",
    "servicePrincipalName",
    "uidNumber",
    "mS-DS-ConsistencyGuid",
    "telephoneNumber",
    "groupType",
)


@area.table(CHANGES)
def change(lab: Lab, changes: list[Change]) -> Observation:
    """A modify by the administrator, and what is there then."""
    dn = prepared(lab)
    return lab.modify(dn, *filled(lab, changes)), lab.read(dn, *SHOWN)


@area.table(
    {
        key: CHANGES[key]
        for key in (
            "add-existing",
            "delete-absent",
            "delete-absent-value",
            "delete-other-value",
            "add-second-single",
            "add-duplicate",
            "replace-two-single",
            "unknown-delete",
        )
    }
)
def permissive(lab: Lab, changes: list[Change]) -> Observation:
    """The same with the permissive modify control."""
    dn = prepared(lab)
    return lab.modify(dn, *filled(lab, changes), controls=PERMISSIVE), lab.read(dn, *SHOWN)


OWN = {
    "description": ("description", "x"),
    "displayname": ("displayName", "x"),
    "telephone": ("telephoneNumber", "1"),
    "upn": ("userPrincipalName", "{mine}n@contoso.example"),
    "samaccountname": ("sAMAccountName", "{mine}n"),
    "thumbnail": ("thumbnailPhoto", "x"),
    "street": ("street", "x"),
    "manager": ("manager", "{ou}"),
    "mobile": ("mobile", "1"),
    "title": ("title", "x"),
    "homephone": ("homePhone", "1"),
    "mail": ("mail", "a@b"),
    "employeeid": ("employeeID", "1"),
    "url": ("wWWHomePage", "http://x"),
    "expires": ("accountExpires", "0"),
    "proxy": ("proxyAddresses", "smtp:a@b"),
    "lockout": ("lockoutTime", "0"),
    "hours": ("logonHours", "x" * 21),
    "info": ("info", "x"),
    "unknown": ("nonsense", "x"),
    "country": ("c", "DE"),
    "spn": ("servicePrincipalName", "a/b"),
}


@area.table(OWN)
def own(lab: Lab, row: tuple[str, str]) -> Observation:
    """What a user may write of himself, and of another."""
    dn, other = lab.user(), lab.user("v")
    user = lab.connect(dn)
    name, value = row
    text = value.format(mine=lab.mine, ou=lab.ou)
    return lab.set(dn, by=user, **{name: text}), lab.set(other, by=user, **{name: text}), name in lab.read(dn, name)


ADDS: dict[str, tuple[str, str, dict[str, object]]] = {
    "duplicate": ("CN={mine}u,{ou}", "user", {"sAMAccountName": "{mine}x"}),
    "duplicate-case": ("cn={mine}U,{ou}", "contact", {}),
    "duplicate-account": ("CN=x,{ou}", "user", {"sAMAccountName": "{mine}u"}),
    "duplicate-account-case": ("CN=x,{ou}", "user", {"sAMAccountName": "{mine}U"}),
    "duplicate-account-group": ("CN=x,{ou}", "group", {"sAMAccountName": "{mine}u"}),
    "duplicate-upn": (
        "CN=x,{ou}",
        "user",
        {"sAMAccountName": "{mine}x", "userPrincipalName": "{mine}u@contoso.example"},
    ),
    "missing-parent": ("CN=x,OU=none,{ou}", "contact", {}),
    "missing-grandparent": ("CN=x,OU=none,OU=nowhere,{ou}", "contact", {}),
    "below-user": ("CN=x,CN={mine}u,{ou}", "contact", {}),
    "unit-below-user": ("OU=x,CN={mine}u,{ou}", "organizationalUnit", {}),
    "unit-in-container": ("OU={mine}x,CN=Users,{base}", "organizationalUnit", {}),
    "user-in-root": ("CN={mine}x,{base}", "user", {"sAMAccountName": "{mine}x"}),
    "container": ("CN=x,{ou}", "container", {}),
    "domain": ("DC=x,{ou}", "domainDNS", {}),
    "unknown-attribute": ("CN=x,{ou}", "contact", {"nonsense": "x"}),
    "not-of-class": ("CN=x,{ou}", "contact", {"userAccountControl": "512"}),
    "two-single": ("CN=x,{ou}", "contact", {"displayName": ["a", "b"]}),
    "duplicate-value": ("CN=x,{ou}", "contact", {"otherTelephone": ["1", "1"]}),
    "bad-number": ("CN=x,{ou}", "user", {"sAMAccountName": "{mine}x", "countryCode": "x"}),
    "guid": ("CN=x,{ou}", "contact", {"objectGUID": b"x" * 16}),
    "sid": ("CN=x,{ou}", "user", {"sAMAccountName": "{mine}x", "objectSid": b"x" * 28}),
    "whencreated": ("CN=x,{ou}", "contact", {"whenCreated": "20170101000000.0Z"}),
    "memberof": ("CN=x,{ou}", "contact", {"memberOf": "CN=Domain Users,CN=Users,{base}"}),
    "distinguishedname": ("CN=x,{ou}", "contact", {"distinguishedName": "CN=x,{ou}"}),
    "distinguishedname-other": ("CN=x,{ou}", "contact", {"distinguishedName": "CN=y,{ou}"}),
    "instancetype": ("CN=x,{ou}", "contact", {"instanceType": "4"}),
    "empty-value": ("CN=x,{ou}", "contact", {"description": ""}),
    "empty-list": ("CN=x,{ou}", "contact", {"description": []}),
    "pwdlastset": ("CN=x,{ou}", "user", {"sAMAccountName": "{mine}x", "pwdLastSet": "0"}),
    "pwdlastset-minus": ("CN=x,{ou}", "user", {"sAMAccountName": "{mine}x", "pwdLastSet": "-1"}),
    "pwdlastset-other": ("CN=x,{ou}", "user", {"sAMAccountName": "{mine}x", "pwdLastSet": "5"}),
    "member-missing": ("CN=x,{ou}", "group", {"sAMAccountName": "{mine}x", "member": "CN=nobody,{ou}"}),
    "foreign": ("CN=x,DC=else,DC=example", "contact", {}),
    "configuration": ("CN={mine}x,CN=Configuration,{base}", "container", {}),
    "broken": ("rubbish", "contact", {}),
    "empty-dn": ("", "contact", {}),
    "constructed": ("CN=x,{ou}", "contact", {"canonicalName": "x"}),
    "system-flags": ("CN=x,{ou}", "container", {"systemFlags": "1"}),
    "critical": ("CN=x,{ou}", "contact", {"isCriticalSystemObject": "TRUE"}),
    "secret": ("CN=x,{ou}", "user", {"sAMAccountName": "{mine}x", "ntPwdHistory": b"x" * 16}),
    "password-for-contact": ("CN=x,{ou}", "contact", {"unicodePwd": quoted("Winter-2016!")}),
    "lockouttime": ("CN=x,{ou}", "user", {"sAMAccountName": "{mine}x", "lockoutTime": "0"}),
    "usn": ("CN=x,{ou}", "contact", {"uSNChanged": "1"}),
    "samaccounttype": ("CN=x,{ou}", "user", {"sAMAccountName": "{mine}x", "sAMAccountType": "805306368"}),
    "primarygroup": ("CN=x,{ou}", "user", {"sAMAccountName": "{mine}x", "primaryGroupID": "513"}),
    "primarygroup-other": ("CN=x,{ou}", "user", {"sAMAccountName": "{mine}x", "primaryGroupID": "514"}),
}


def _filled(lab: Lab, value: object) -> object:
    if isinstance(value, list):
        return [_filled(lab, each) for each in value]
    return value.format(mine=lab.mine, ou=lab.ou, base=lab.base) if isinstance(value, str) else value


@area.table(ADDS)
def add(lab: Lab, row: tuple[str, str, dict[str, object]]) -> Observation:
    """Adds beside a user who is there already."""
    lab.user(userPrincipalName=lab.upn("u"))
    dn, kind, values = row
    dn = dn.format(mine=lab.mine, ou=lab.ou, base=lab.base)
    lab.mark()
    answer = lab.add(dn, kind, {name: _filled(lab, value) for name, value in values.items()})
    shown = lab.read(dn, "cn", "displayName", "pwdLastSet", "userAccountControl", "primaryGroupID", "description")
    return answer, shown, lab.risen()


@area.check
def add_by_users(lab: Lab) -> Observation:
    """Users may not make anything."""
    user = lab.connect(lab.user())
    return [
        lab.add(lab.dn("x"), "contact", by=user),
        lab.add(lab.dn("y"), "user", {"sAMAccountName": lab.name("y")}, by=user),
    ]


GROUPS: dict[str, list[Change]] = {
    "add": [("member", ADD, ["CN={mine}b,{ou}"])],
    "add-existing": [("member", ADD, ["CN={mine}a,{ou}"])],
    "add-existing-case": [("member", ADD, ["cn={mine}A,{ou}"])],
    "add-missing": [("member", ADD, ["CN=nobody,{ou}"])],
    "add-broken": [("member", ADD, ["nobody"])],
    "add-self": [("member", ADD, ["CN={mine}g,{ou}"])],
    "add-two": [("member", ADD, ["CN={mine}b,{ou}", "CN={mine}c,{ou}"])],
    "add-twice": [("member", ADD, ["CN={mine}b,{ou}", "CN={mine}b,{ou}"])],
    "add-one-missing": [("member", ADD, ["CN={mine}b,{ou}", "CN=nobody,{ou}"])],
    "add-contact": [("member", ADD, ["CN={mine}c,{ou}"])],
    "add-unit": [("member", ADD, ["{ou}"])],
    "delete": [("member", DELETE, ["CN={mine}a,{ou}"])],
    "delete-absent": [("member", DELETE, ["CN={mine}b,{ou}"])],
    "delete-missing": [("member", DELETE, ["CN=nobody,{ou}"])],
    "delete-all": [("member", DELETE, [])],
    "replace": [("member", REPLACE, ["CN={mine}b,{ou}"])],
    "replace-nothing": [("member", REPLACE, [])],
    "delete-and-add": [("member", DELETE, ["CN={mine}a,{ou}"]), ("member", ADD, ["CN={mine}a,{ou}"])],
    "type": [("groupType", REPLACE, ["-2147483640"])],
    "type-local": [("groupType", REPLACE, ["-2147483644"])],
    "type-distribution": [("groupType", REPLACE, ["2"])],
    "type-rubbish": [("groupType", REPLACE, ["0"])],
}


@area.table(GROUPS)
def group(lab: Lab, changes: list[Change]) -> Observation:
    """Members and types of a group that has one member."""
    a = lab.user("a")
    lab.user("b")
    lab.contact("c")
    dn = lab.group(members=[a])
    wanted = [(name, operation, [str(_filled(lab, each)) for each in values]) for name, operation, values in changes]
    return (
        lab.modify(dn, *wanted),
        lab.read(dn, "member", "groupType", "sAMAccountType"),
        lab.read(lab.dn("b"), "memberOf"),
    )


@area.check
def member_by_guid(lab: Lab) -> Observation:
    """Members named by GUID and SID."""
    group = lab.group()
    seen = []
    for name, attribute in (("GUID", "objectGUID"), ("SID", "objectSid")):
        dn = lab.user(name.lower())
        value = f"<{name}={lab.raw(dn, attribute)[0].hex()}>"
        seen.append(lab.modify(group, ("member", ADD, [value])))
    return seen, lab.read(group, "member")


@area.check
def primary_group(lab: Lab) -> Observation:
    """The primary group: neither in memberOf nor in member; only one's own groups may become it."""
    dn = lab.user()
    group = lab.group()
    seen: list[Observation] = [lab.read(dn, "memberOf", "primaryGroupID")]
    seen.append(lab.modify(f"CN=Domain Users,CN=Users,{lab.base}", ("member", ADD, [dn])))
    rid = str(int.from_bytes(lab.raw(group, "objectSid")[0][-4:], "little"))
    seen.append(lab.set(dn, primaryGroupID=rid))
    seen.append(lab.modify(group, ("member", ADD, [dn])))
    seen.append(lab.set(dn, primaryGroupID=rid))
    return [*seen, lab.read(dn, "memberOf"), lab.read(group, "member"), lab.delete(group)]


@area.check
def nested_groups_loop(lab: Lab) -> Observation:
    """Groups that hold each other."""
    a = lab.group("a")
    b = lab.group("b", [a])
    return lab.modify(a, ("member", ADD, [b])), lab.names(f"(memberOf:1.2.840.113556.1.4.1941:={a})")


@area.table(
    {
        "missing": "CN=nobody,{ou}",
        "broken": "rubbish",
        "root-dse": "",
        "guid": "<GUID=00000000000000000000000000000001>",
    }
)
def modify_of(lab: Lab, dn: str) -> Observation:
    """Objects that are not there."""
    return lab.set(dn.format(ou=lab.ou), description="x")


@area.check
def empty_modify(lab: Lab) -> Observation:
    """A modify without changes."""
    dn = lab.user()
    connection = lab.admin
    request = modify_operation(dn, {}, connection.auto_encode)
    _, result = connection.get_response(connection.send("modifyRequest", request, None))
    return result["result"]


@area.table(
    {
        "length": ("minPwdLength", "-1"),
        "length-huge": ("minPwdLength", "1000"),
        "history": ("pwdHistoryLength", "x"),
        "max-age-positive": ("maxPwdAge", "5"),
        "history-huge": ("pwdHistoryLength", "5000"),
        "threshold": ("lockoutThreshold", "-1"),
    }
)
def policy(lab: Lab, row: tuple[str, str]) -> Observation:
    """Values of the domain's policy that make no sense; they are put back."""
    name, value = row
    before = lab.raw(lab.base, name)
    answer = lab.set(lab.base, **{name: value})
    after = lab.raw(lab.base, name)
    if after != before:
        lab.must(lab.set(lab.base, **{name: before[0]}))
    return answer, [each.decode() for each in after]


@area.check
def policy_by_users(lab: Lab) -> Observation:
    """Users may not change the policy."""
    return lab.set(lab.base, by=lab.connect(lab.user()), minPwdLength="1")
