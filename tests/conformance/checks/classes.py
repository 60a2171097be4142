"""Classes of people and things, and what a new object has."""

from __future__ import annotations

from conformance.catalogue import Area, Observation
from conformance.lab import Lab, said
from ldap3.operation.add import add_operation

area = Area("classes")

BY_DEFAULT = (
    "objectClass",
    "objectCategory",
    "userAccountControl",
    "pwdLastSet",
    "accountExpires",
    "badPwdCount",
    "badPasswordTime",
    "primaryGroupID",
    "sAMAccountType",
    "codePage",
    "countryCode",
    "instanceType",
    "lastLogon",
    "lastLogoff",
    "logonCount",
    "name",
    "cn",
    "groupType",
    "distinguishedName",
    "whenCreated",
    "whenChanged",
    "sAMAccountName",
    "objectSid",
    "objectGUID",
    "lastLogonTimestamp",
    "lockoutTime",
    "isCriticalSystemObject",
    "userPrincipalName",
    "displayName",
    "adminCount",
    "ou",
    "showInAdvancedViewOnly",
)


@area.table(
    {
        "user": ("user", True),
        "inetorgperson": ("inetOrgPerson", True),
        "computer": ("computer", True),
        "contact": ("contact", False),
        "group": ("group", True),
        "container": ("container", False),
    }
)
def new(lab: Lab, row: tuple[str, bool]) -> Observation:
    """What a new object has when nothing is said."""
    kind, named = row
    name = lab.name("o") + ("$" if kind == "computer" else "")
    answer = lab.add(lab.dn("o"), kind, {"sAMAccountName": name} if named else {})
    return answer, lab.read(lab.dn("o"), *BY_DEFAULT)


@area.check
def new_unit(lab: Lab) -> Observation:
    """What a new organizational unit has."""
    return lab.read(lab.ou, *BY_DEFAULT)


@area.table(
    {
        "user": "user",
        "inetorgperson": "inetOrgPerson",
        "contact": "contact",
        "computer": "computer",
        "group": "group",
        "person": "person",
        "organizationalperson": "organizationalPerson",
    }
)
def every_attribute(lab: Lab, kind: str) -> Observation:
    """Names of the attributes that are shown of a new object when all are asked for."""
    given = {} if kind in ("contact", "person", "organizationalPerson") else {"sAMAccountName": lab.name("o")}
    if kind == "person":
        given = {"sn": "x"}
    answer = lab.add(lab.dn("o"), kind, given)
    shown = lab.read(lab.dn("o"))
    return answer, sorted(shown) if isinstance(shown, dict) else shown


@area.check
def whole_chain_given(lab: Lab) -> Observation:
    """The whole chain of classes may be named, in any order."""
    chain = ["user", "top", "organizationalPerson", "person"]
    return lab.add(lab.dn("o"), chain, {"sAMAccountName": lab.name("o")}), lab.read(lab.dn("o"), "objectClass")


@area.table(
    {
        "unknown": ["nonsense"],
        "abstract": ["top"],
        "auxiliary": ["mailRecipient"],
        "two": ["user", "group"],
        "user-with-auxiliary": ["user", "posixAccount"],
    }
)
def add_of_class(lab: Lab, kinds: list[str]) -> Observation:
    """Classes of which no object can be made, and one that can be added."""
    return lab.add(lab.dn("o"), kinds, {"sAMAccountName": lab.name("o")}), lab.read(lab.dn("o"), "objectClass")


@area.check
def add_without_class(lab: Lab) -> Observation:
    """An object needs a class."""
    connection = lab.admin
    request = add_operation(lab.dn("o"), {"cn": [lab.name("o")]}, connection.auto_encode)
    _, result = connection.get_response(connection.send("addRequest", request, None))
    return said(result)


@area.check
def user_without_account_name(lab: Lab) -> Observation:
    """A user without sAMAccountName gets an invented one."""
    answer = lab.add(lab.dn("o"), "user")
    shown = lab.read(lab.dn("o"), "sAMAccountName")
    names = shown.get("sAMAccountName", []) if isinstance(shown, dict) else []
    return answer, len(names), [name.startswith("$") for name in names]


@area.table(
    {
        "512": "512",
        "514": "514",
        "544": "544",
        "546": "546",
        "66048": "66048",
        "4096": "4096",
        "8192": "8192",
        "2": "2",
        "0": "0",
        "16": "16",
        "8389120": "8389120",
        "262656": "262656",
        "2080": "2080",
        "4194816": "4194816",
        "1049088": "1049088",
        "524800": "524800",
        "67109376": "67109376",
        "640": "640",
        "rubbish": "x",
    }
)
def add_with_flags(lab: Lab, flags: str) -> Observation:
    """userAccountControl given at creation, without a password."""
    answer = lab.add(lab.dn("o"), "user", {"sAMAccountName": lab.name("o"), "userAccountControl": flags})
    return answer, lab.read(lab.dn("o"), "userAccountControl", "sAMAccountType", "primaryGroupID", "pwdLastSet")


@area.table(
    {
        "global": "-2147483646",
        "domain-local": "-2147483644",
        "universal": "-2147483640",
        "distribution": "2",
        "local-distribution": "4",
        "universal-distribution": "8",
        "system": "-2147483643",
        "none": "0",
        "two": "6",
        "builtin": "-2147483643",
    }
)
def group_of_type(lab: Lab, kind: str) -> Observation:
    """Types of groups."""
    answer = lab.add(lab.dn("g"), "group", {"sAMAccountName": lab.name("g"), "groupType": kind})
    return answer, lab.read(lab.dn("g"), "groupType", "sAMAccountType")


@area.table({"own-name": None, "other": "someone else"})
def rdn_attribute(lab: Lab, value: str | None) -> Observation:
    """The naming attribute given along with the DN: the same, or another."""
    given = {"sAMAccountName": lab.name("o"), "cn": value or lab.name("o")}
    return lab.add(lab.dn("o"), "user", given), lab.read(lab.dn("o"), "cn", "name")


@area.table(
    {
        "lower": "cn={},{}",
        "spaces": "CN = {} , {}",
        "ou-for-user": "OU={},{}",
        "two": "CN={}+sn=x,{}",
        "empty": "CN=,{1}",
        "unknown": "XX={},{}",
        "escaped": "CN=a\\,b {},{}",
        "hex": "CN=\\c3\\bc{},{}",
        "quote": 'CN=a\\"b{},{}',
        "trailing": "CN={}\\ ,{}",
        "hash": "CN=\\#{},{}",
        "plus": "CN=a\\+{},{}",
    }
)
def name_form(lab: Lab, form: str) -> Observation:
    """Forms of a new object's DN, and what is made of it."""
    answer = lab.add(form.format(lab.name("o"), lab.ou), "user", {"sAMAccountName": lab.name("o")})
    _, found = lab.search(f"(sAMAccountName={lab.name('o')})", attributes=["cn", "name", "distinguishedName"])
    return answer, [(each["dn"], lab.shown(each)) for each in found]


@area.table({"64": 64, "65": 65})
def length_of_cn(lab: Lab, length: int) -> Observation:
    """cn has at most 64 characters."""
    return lab.add(f"CN={lab.mine.ljust(length, 'x')},{lab.ou}", "contact")


@area.table(
    {
        "20": "x" * 16,
        "21": "x" * 17,
        "colon": "a:b",
        "star": "a*b",
        "at": "a@b",
        "space": "a b",
        "slash": "a/b",
        "backslash": "a\\b",
        "quote": 'a"b',
        "brackets": "a[b",
        "semicolon": "a;b",
        "equals": "a=b",
        "plus": "a+b",
        "comma": "a,b",
        "question": "a?b",
        "less": "a<b",
        "bar": "a|b",
        "umlaut": "äö",
        "dot-end": "a.",
        "dollar": "a$",
    }
)
def account_name(lab: Lab, ending: str) -> Observation:
    """Characters and length of a user's sAMAccountName."""
    answer = lab.add(lab.dn("o"), "user", {"sAMAccountName": lab.name(ending)})
    return answer, lab.read(lab.dn("o"), "sAMAccountName")


@area.check
def computer_accounts(lab: Lab) -> Observation:
    """Where the built-in accounts lie, and what they are."""
    attributes = ("objectClass", "userAccountControl", "primaryGroupID", "sAMAccountType", "isCriticalSystemObject")
    names = ("Administrator", "Guest", "krbtgt")
    return [lab.read(f"CN={name},CN=Users,{lab.base}", *attributes[:2], *attributes[3:]) for name in names]


@area.table(
    {
        "domain-admins": "Domain Admins",
        "domain-users": "Domain Users",
        "domain-guests": "Domain Guests",
        "domain-computers": "Domain Computers",
        "domain-controllers": "Domain Controllers",
        "enterprise-admins": "Enterprise Admins",
        "schema-admins": "Schema Admins",
    }
)
def built_in_group(lab: Lab, name: str) -> Observation:
    """The groups that every domain has."""
    attributes = ("objectClass", "groupType", "sAMAccountType", "sAMAccountName", "isCriticalSystemObject", "objectSid")
    return lab.read(f"CN={name},CN=Users,{lab.base}", *attributes)


@area.table(
    {
        "users": "CN=Users",
        "computers": "CN=Computers",
        "builtin": "CN=Builtin",
        "system": "CN=System",
        "lost": "CN=LostAndFound",
        "controllers": "OU=Domain Controllers",
        "psc": "CN=Password Settings Container,CN=System",
    }
)
def container(lab: Lab, rdn: str) -> Observation:
    """The containers that every domain has."""
    return lab.read(f"{rdn},{lab.base}", "objectClass", "isCriticalSystemObject", "objectCategory", "name")


@area.check
def system_flags(lab: Lab) -> Observation:
    """systemFlags of what every domain has."""
    names = ("CN=Users", "CN=Computers", "CN=Builtin", "CN=System", "CN=LostAndFound", "OU=Domain Controllers")
    return [lab.read(f"{name},{lab.base}", "systemFlags") for name in names], lab.read(lab.base, "systemFlags")


@area.check
def domain_root(lab: Lab) -> Observation:
    """The domain's root as clients read it."""
    return lab.read(
        lab.base,
        "objectClass",
        "objectCategory",
        "dc",
        "name",
        "instanceType",
        "minPwdLength",
        "pwdProperties",
        "pwdHistoryLength",
        "maxPwdAge",
        "lockoutThreshold",
        "lockoutDuration",
        "lockOutObservationWindow",
        "objectSid",
        "distinguishedName",
        "isCriticalSystemObject",
        "forceLogoff",
        "uASCompat",
        "nTMixedDomain",
        "msDS-Behavior-Version",
        "wellKnownObjects",
    )
