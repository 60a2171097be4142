"""Names one can bind with, and what goes wrong."""

from __future__ import annotations

from uuid import UUID

import ldap3
from conformance.catalogue import Area, Observation
from conformance.lab import BASE, Lab, Said, quoted, said

area = Area("binds")

NAMES = {
    "dn": "{dn}",
    "dn-case": "{DN}",
    "dn-spaces": "{dn_spaced}",
    "upn": "{upn}",
    "upn-case": "{UPN}",
    "implicit-upn": "{sam}@contoso.example",
    "implicit-upn-netbios": "{sam}@CONTOSO",
    "netbios": "CONTOSO\\{sam}",
    "netbios-case": "contoso\\{SAM}",
    "dns": "contoso.example\\{sam}",
    "plain": "{sam}",
    "other-domain": "ELSE\\{sam}",
    "slash": "CONTOSO/{sam}",
    "canonical": "contoso.example/{ou}/{cn}",
    "guid": "{guid}",
    "guid-braces": "{{{guid}}}",
    "sid": "{sid}",
    "spn": "host/{sam}",
    "display-name": "{display}",
    "guid-dn": "<GUID={guid}>",
    "sid-dn": "<SID={sid}>",
    "missing-dn": "CN=nobody,{ou_dn}",
    "missing-upn": "nobody@contoso.example",
    "missing-netbios": "CONTOSO\\nobody",
    "foreign-dn": "CN=x,DC=else,DC=example",
    "broken-dn": "CN=,,",
    "rubbish": "###",
    "foreign-upn": "{sam}@else.example",
    "empty-domain": "\\{sam}",
    "two-backslashes": "CONTOSO\\\\{sam}",
    "trailing-space": "{sam} ",
    "trailing-at": "{sam}@",
    "cn": "{cn}",
}


@area.table(NAMES)
def name(lab: Lab, form: str) -> Observation:
    """Forms of a name."""
    upn = f"other.{lab.mine}@contoso.example"
    dn = lab.user(
        userPrincipalName=upn, displayName=f"Display {lab.mine}", servicePrincipalName=f"host/{lab.name('u')}"
    )
    guid = UUID(bytes_le=lab.raw(dn, "objectGUID")[0])
    octets = lab.raw(dn, "objectSid")[0]
    numbers = [int.from_bytes(octets[at : at + 4], "little") for at in range(8, len(octets), 4)]
    sam = lab.name("u")
    user = form.format(
        dn=dn,
        DN=dn.upper(),
        dn_spaced=dn.replace(",", " , "),
        upn=upn,
        UPN=upn.upper(),
        sam=sam,
        SAM=sam.upper(),
        ou=lab.mine,
        ou_dn=lab.ou,
        cn=sam,
        guid=guid,
        sid="S-1-5-" + "-".join(map(str, numbers)),
        display=f"Display {lab.mine}",
    )
    return lab.bind(user), lab.bind(user, "Wrong-1234"), lab.read(dn, "badPwdCount")


@area.table({"contact": "contact", "unit": "ou", "group": "group", "root": "root", "computer": "computer"})
def of_class(lab: Lab, kind: str) -> Observation:
    """Binding as what is no user."""
    if kind == "computer":
        lab.must(lab.add(lab.dn("h"), "computer", {"sAMAccountName": lab.name("h$"), "userAccountControl": "4128"}))
        lab.must(lab.reset(lab.dn("h"), "Winter-2016!"))
        return lab.bind(lab.dn("h")), lab.bind(f"CONTOSO\\{lab.name('h$')}"), lab.bind(f"CONTOSO\\{lab.name('h')}")
    makers = {"contact": lab.contact, "ou": lambda: lab.ou, "group": lab.group, "root": lambda: lab.base}
    return lab.bind(makers[kind]())


@area.check
def without_password(lab: Lab) -> Observation:
    """A name and no password; no name and a password."""
    return [lab.bind(*pair) for pair in ((lab.user(), ""), ("", "x"), ("", ""), ("CN=nobody", ""))]


@area.table({"anonymous": "anonymous", "failed": "failed"})
def search_of_nobody(lab: Lab, how: str) -> Observation:
    """What may be done without being bound, and after a bind that failed."""
    dn = lab.user()
    nobody = lab.server.open(None, None) if how == "anonymous" else lab.server.open(dn, "Wrong-1234")
    answers: list[Observation] = []
    answers.append(lab.search(by=nobody)[0])
    answers.append(lab.search(base=lab.base, scope=BASE, by=nobody)[0])
    answers.append(lab.search(base="", scope=BASE, attributes=["defaultNamingContext"], by=nobody)[1] != [])
    answers += [lab.set(dn, by=nobody, description="x"), lab.delete(dn, by=nobody)]
    answers += [lab.add(lab.dn("o"), "contact", by=nobody), lab.compare(dn, "cn", "x", by=nobody)]
    answers.append(lab.rename(dn, "CN=other", by=nobody))
    return answers


@area.check
def rebind(lab: Lab) -> Observation:
    """Another bind on the same connection: the last counts, a failed one leaves nobody."""
    dn, other = lab.user(), lab.user("v")
    connection = lab.connect(dn)
    seen: list[Observation] = []
    for user, password in ((other, "Winter-2016!"), (dn, "Wrong-1234"), (dn, "Winter-2016!")):
        connection.rebind(user=user, password=password)
        seen += [said(connection.result), lab.search(by=connection)[0]]
    return seen


@area.table({"external": ldap3.EXTERNAL, "digest": ldap3.DIGEST_MD5, "plain": ldap3.PLAIN})
def sasl(lab: Lab, mechanism: str) -> Observation:
    """Mechanisms of SASL that are not there, or not so."""
    credentials = {ldap3.EXTERNAL: "", ldap3.DIGEST_MD5: (None, "u", "p", None), ldap3.PLAIN: (None, "u", "p")}
    options = {"sasl_mechanism": mechanism, "sasl_credentials": credentials[mechanism]}
    connection = lab.server.connection(authentication=ldap3.SASL, **options)
    connection.bind()
    return Said(connection.result["result"])


@area.check
def deleted_while_bound(lab: Lab) -> Observation:
    """A user who is deleted while bound, and one who is disabled."""
    dn, other = lab.user(), lab.user("v")
    gone, disabled = lab.connect(dn), lab.connect(other)
    lab.must(lab.delete(dn))
    lab.must(lab.set(other, userAccountControl="514"))
    return lab.search(by=gone)[0], lab.search(by=disabled)[0], lab.bind(dn), lab.bind(other)


@area.check
def renamed(lab: Lab) -> Observation:
    """Names after a rename: DN, account name, userPrincipalName."""
    dn = lab.user(userPrincipalName=lab.upn("u"))
    lab.must(lab.rename(dn, f"CN={lab.mine}new"))
    new = f"CN={lab.mine}new,{lab.ou}"
    lab.must(lab.set(new, sAMAccountName=lab.name("n")))
    return [
        lab.bind(each) for each in (dn, new, f"CONTOSO\\{lab.name('u')}", f"CONTOSO\\{lab.name('n')}", lab.upn("u"))
    ]


@area.check
def two_ways_to_one_name(lab: Lab) -> Observation:
    """One user's userPrincipalName is the other's implicit one."""
    lab.user("a", userPrincipalName=lab.upn("b"))
    given = {"sAMAccountName": lab.name("b"), "userAccountControl": "512", "unicodePwd": quoted("Other-1234")}
    answer = lab.add(lab.dn("b"), "user", given)
    return answer, lab.bind(lab.upn("b")), lab.bind(lab.upn("b"), "Other-1234")
