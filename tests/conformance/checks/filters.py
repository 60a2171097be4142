"""Search filters: what matches, what does not, and what is an error."""

from __future__ import annotations

from uuid import UUID

from conformance.catalogue import Area, Observation
from conformance.lab import BASE, LEVEL, Lab

area = Area("filters")


def people(lab: Lab) -> None:
    """One object of each kind, with some values to look for."""
    lab.user("anna", givenName="Anna", sn="Berg", displayName="Anna Berg", title="Chief", description="first")
    lab.user("bert", kind="inetOrgPerson", displayName="Bert *star* (x)", department="Sales", description="second")
    lab.user("carl", userAccountControl="66050", displayName="Çarl Ångström", employeeID="0042", countryCode="49")
    lab.contact("dora", displayName="Dora", mail="dora@else.example")
    lab.must(lab.add(lab.dn("host"), "computer", {"sAMAccountName": lab.name("host$")}))
    lab.must(lab.add(f"OU={lab.mine}unit,{lab.ou}", "organizationalUnit", {"description": "unit"}))
    inner = lab.group("inner", [lab.dn("anna")], description="group")
    lab.group("outer", [inner, lab.dn("bert")])


FILTERS = {
    "everything": "(objectClass=*)",
    "class-user": "(objectClass=user)",
    "class-person": "(objectClass=person)",
    "class-inetorgperson": "(objectClass=inetOrgPerson)",
    "class-computer": "(objectClass=computer)",
    "class-contact": "(objectClass=contact)",
    "class-group": "(objectClass=group)",
    "class-top": "(objectClass=top)",
    "class-case": "(OBJECTCLASS=USER)",
    "class-unknown": "(objectClass=nonsense)",
    "class-oid": "(objectClass=1.2.840.113556.1.5.9)",
    "category-person": "(objectCategory=person)",
    "category-user": "(objectCategory=user)",
    "category-computer": "(objectCategory=computer)",
    "category-contact": "(objectCategory=contact)",
    "category-inetorgperson": "(objectCategory=inetOrgPerson)",
    "category-group": "(objectCategory=group)",
    "category-unit": "(objectCategory=organizationalUnit)",
    "category-dn": "(objectCategory=CN=Person,CN=Schema,CN=Configuration,{base})",
    "category-unknown": "(objectCategory=nonsense)",
    "person-user": "(&(objectCategory=person)(objectClass=user))",
    "person-not-inetorgperson": "(&(objectCategory=person)(objectClass=user)(!(objectClass=inetOrgPerson)))",
    "account-type-user": "(samAccountType=805306368)",
    "account-type-computer": "(samAccountType=805306369)",
    "account-type-group": "(samAccountType=268435456)",
    "not-class": "(!(objectClass=user))",
    "bit-disabled": "(userAccountControl:1.2.840.113556.1.4.803:=2)",
    "bit-not-disabled": "(!(userAccountControl:1.2.840.113556.1.4.803:=2))",
    "bit-two": "(userAccountControl:1.2.840.113556.1.4.803:=66048)",
    "bit-or": "(userAccountControl:1.2.840.113556.1.4.804:=65538)",
    "bit-or-zero": "(userAccountControl:1.2.840.113556.1.4.804:=0)",
    "bit-and-zero": "(userAccountControl:1.2.840.113556.1.4.803:=0)",
    "bit-negative": "(groupType:1.2.840.113556.1.4.803:=2147483648)",
    "bit-negative-number": "(groupType:1.2.840.113556.1.4.803:=-2147483648)",
    "bit-rubbish": "(userAccountControl:1.2.840.113556.1.4.803:=x)",
    "bit-on-text": "(displayName:1.2.840.113556.1.4.803:=2)",
    "bit-absent": "(badPwdCount:1.2.840.113556.1.4.803:=1)",
    "bit-not-absent": "(!(employeeNumber:1.2.840.113556.1.4.803:=1))",
    "rule-unknown": "(userAccountControl:1.2.3.4:=2)",
    "chain-member": "(memberOf:1.2.840.113556.1.4.1941:=CN={mine}outer,{ou})",
    "plain-member": "(memberOf=CN={mine}outer,{ou})",
    "chain-members": "(member:1.2.840.113556.1.4.1941:=CN={mine}anna,{ou})",
    "plain-members": "(member=CN={mine}anna,{ou})",
    "member-missing": "(member=CN=nobody,{ou})",
    "chain-missing": "(memberOf:1.2.840.113556.1.4.1941:=CN=nobody,{ou})",
    "member-case": "(MEMBER=cn={mine}ANNA,{ou})",
    "member-substring": "(member=CN={mine}a*)",
    "member-any": "(member=*)",
    "memberof-any": "(memberOf=*)",
    "memberof-none": "(&(objectClass=user)(!(memberOf=*)))",
    "present": "(displayName=*)",
    "absent": "(!(displayName=*))",
    "present-unknown": "(nonsense=*)",
    "equal-unknown": "(nonsense=x)",
    "not-unknown": "(!(nonsense=x))",
    "or-unknown": "(|(nonsense=x)(cn={mine}anna))",
    "and-unknown": "(&(nonsense=x)(cn={mine}anna))",
    "equal-case": "(displayName=ANNA berg)",
    "equal-spaces": "(displayName= Anna  Berg )",
    "not-equal": "(!(displayName=Anna Berg))",
    "initial": "(displayName=Ann*)",
    "final": "(displayName=*berg)",
    "middle": "(displayName=*na b*)",
    "pieces": "(displayName=A*a*g)",
    "pieces-overlap": "(displayName=Anna Be*erg)",
    "star-escaped": "(displayName=*\\2astar\\2a*)",
    "parens-escaped": "(displayName=*\\28x\\29)",
    "umlaut": "(displayName=çarl ångström)",
    "umlaut-folded": "(displayName=Carl Angstrom)",
    "umlaut-initial": "(displayName=ça*)",
    "approx-name": "(cn~={mine}anna)",
    "approx-display": "(displayName~=Anna Berg)",
    "greater-text": "(displayName>=B)",
    "less-text": "(displayName<=B)",
    "greater-number": "(userAccountControl>=66000)",
    "less-number": "(userAccountControl<=546)",
    "greater-country": "(countryCode>=49)",
    "number-text": "(countryCode=049)",
    "number-rubbish": "(countryCode=abc)",
    "number-star": "(countryCode=4*)",
    "greater-usn": "(&(cn={mine}*)(uSNChanged>=1))",
    "usn-rubbish": "(uSNChanged>=x)",
    "usn-huge": "(uSNChanged>=99999999999999999999)",
    "not-usn": "(&(objectClass=contact)(!(uSNChanged>=9000000000)))",
    "created-since": "(whenCreated>=20170101000000.0Z)",
    "created-later": "(whenCreated>=20990101000000.0Z)",
    "created-rubbish": "(whenCreated>=yesterday)",
    "created-short": "(whenCreated>=20170101000000Z)",
    "changed-before": "(whenChanged<=20990101000000.0Z)",
    "pwdlastset-zero": "(pwdLastSet=0)",
    "pwdlastset-some": "(pwdLastSet>=1)",
    "pwdlastset-none": "(!(pwdLastSet=0))",
    "expires-never": "(accountExpires=9223372036854775807)",
    "anr": "(anr=anna)",
    "anr-two": "(anr=Anna Berg)",
    "anr-swapped": "(anr=Berg Anna)",
    "anr-exact": "(anr==Anna)",
    "anr-account": "(anr={mine}c)",
    "anr-mail": "(anr=dora@else)",
    "anr-star": "(anr=an*)",
    "dn-equal": "(distinguishedName=CN={mine}anna,{ou})",
    "dn-star": "(distinguishedName=CN={mine}*)",
    "name": "(name={mine}anna)",
    "ou": "(ou={mine}unit)",
    "oid-attribute": "(2.5.4.3={mine}anna)",
    "oid-unknown": "(1.2.3.4.5=x)",
    "option": "(cn;lang-de={mine}anna)",
    "and-nested": "(&(&(objectClass=user))(|(cn={mine}anna)(cn={mine}bert)))",
    "double-not": "(!(!(cn={mine}anna)))",
    "triple-not": "(!(!(!(displayName=*))))",
    "secret-present": "(unicodePwd=*)",
    "secret-absent": "(!(unicodePwd=*))",
    "secret-equal": "(unicodePwd=x)",
    "history-present": "(ntPwdHistory=*)",
    "credentials-present": "(supplementalCredentials=*)",
    "constructed": "(canonicalName=*)",
    "computed": "(msDS-User-Account-Control-Computed=0)",
    "computed-present": "(msDS-UserPasswordExpiryTimeComputed=*)",
    "tokengroups": "(tokenGroups=*)",
    "primary-group": "(primaryGroupID=513)",
    "bool-true": "(isDeleted=TRUE)",
    "bool-false": "(isDeleted=FALSE)",
    "not-deleted": "(!(isDeleted=TRUE))",
    "bool-rubbish": "(isDeleted=perhaps)",
    "extensible-no-attribute": "(:caseIgnoreMatch:=Anna)",
    "extensible-dn": "(ou:dn:=x)",
    "sid-domain-users": "(objectSid=S-1-5-32-544)",
    "employee-leading-zero": "(employeeID=0042)",
    "employee-number": "(employeeID=42)",
    "proxy-prefix": "(mail=dora@*)",
    "mail-case": "(mail=DORA@ELSE.EXAMPLE)",
    "instancetype": "(instanceType=4)",
    "show-in": "(showInAdvancedViewOnly=*)",
    "description-or": "(|(description=first)(description=second))",
    "empty-value": "(displayName=)",
    "many-stars": "(displayName=*a*a*)",
}


@area.table(FILTERS)
def filter(lab: Lab, text: str) -> Observation:
    """What a filter finds among one object of each kind."""
    lab = lab.crowd(people)
    return lab.names(text.format(base=lab.base, ou=lab.ou, mine=lab.mine))


@area.check
def by_guid_octets(lab: Lab) -> Observation:
    """objectGUID compared as escaped octets, and cut short."""
    lab = lab.crowd(people)
    octets = lab.raw(lab.dn("anna"), "objectGUID")[0]
    escaped = "".join(f"\\{each:02x}" for each in octets)
    return [lab.names(f"(objectGUID={value})") for value in (escaped, escaped[:-3], escaped.upper())]


@area.check
def by_guid_text(lab: Lab) -> Observation:
    """objectGUID compared as text."""
    lab = lab.crowd(people)
    text = str(UUID(bytes_le=lab.raw(lab.dn("anna"), "objectGUID")[0]))
    return [lab.names(f"(objectGUID={value})") for value in (text, f"{{{text}}}", text.upper())]


@area.check
def by_sid(lab: Lab) -> Observation:
    """objectSid compared as octets and as text."""
    lab = lab.crowd(people)
    octets = lab.raw(lab.dn("anna"), "objectSid")[0]
    numbers = [int.from_bytes(octets[at : at + 4], "little") for at in range(8, len(octets), 4)]
    text = "S-1-5-" + "-".join(map(str, numbers))
    escaped = "".join(f"\\{each:02x}" for each in octets)
    return [lab.names(f"(objectSid={value})") for value in (escaped, text, text.lower(), text + "0")]


@area.table({"guid": "GUID", "sid": "SID"})
def base_by(lab: Lab, kind: str) -> Observation:
    """A search's base by GUID or SID, as text and as octets."""
    dn = lab.user()
    octets = lab.raw(dn, "objectGUID" if kind == "GUID" else "objectSid")[0]
    bases = [f"<{kind}={octets.hex()}>", f"<{kind.lower()}={octets.hex().upper()}>"]
    if kind == "GUID":
        bases += [f"<GUID={UUID(bytes_le=octets)}>", f"<GUID={octets.hex()[:-2]}>", f"<GUID={'0' * 32}>"]
    else:
        numbers = [int.from_bytes(octets[at : at + 4], "little") for at in range(8, len(octets), 4)]
        bases += ["<SID=S-1-5-" + "-".join(map(str, numbers)) + ">", "<SID=S-1-5-21-1-2-3-4>", "<SID=x>"]
    return [lab.names("(objectClass=*)", base=base, scope=BASE) for base in bases]


@area.table(
    {
        "users": "A9D1CA15768811D1ADED00C04FD8D5CD",
        "computers": "AA312825768811D1ADED00C04FD8D5CD",
        "deleted": "18E2EA80684F11D2B9AA00C04F79F805",
        "system": "AB1D30F3768811D1ADED00C04FD8D5CD",
        "controllers": "A361B2FFFFD211D1AA4B00C04FD7D83A",
        "unknown": "00000000000000000000000000000001",
    }
)
def base_by_well_known(lab: Lab, guid: str) -> Observation:
    """A search's base by a well-known GUID."""
    return lab.names("(objectClass=*)", base=f"<WKGUID={guid},{lab.base}>", scope=BASE)


@area.check
def member_by_guid(lab: Lab) -> Observation:
    """A DN-valued attribute compared with a GUID or SID for the DN."""
    lab = lab.crowd(people)
    guid, sid = (lab.raw(lab.dn("anna"), name)[0].hex() for name in ("objectGUID", "objectSid"))
    return [lab.names(f"(member=<{kind}={value}>)") for kind, value in (("GUID", guid), ("SID", sid))]


@area.table({"base": BASE, "level": LEVEL, "subtree": "SUBTREE"})
def scope(lab: Lab, scope: str) -> Observation:
    """What each scope covers."""
    people(lab)
    lab.must(lab.add(f"CN={lab.mine}deep,OU={lab.mine}unit,{lab.ou}", "contact"))
    return lab.names("(objectClass=*)", scope=scope)


@area.table({"100": 100, "1000": 1000})
def wide(lab: Lab, terms: int) -> Observation:
    """Filters with many terms."""
    lab.user("anna")
    text = "".join(f"(cn=x{number})" for number in range(terms))
    return lab.names(f"(|{text}(cn={lab.mine}anna))")


@area.table({"20": 20, "60": 60})
def deep(lab: Lab, depth: int) -> Observation:
    """Filters that are nested."""
    lab.user("anna")
    return lab.names("(&" * depth + f"(cn={lab.mine}anna)" + ")" * depth)
