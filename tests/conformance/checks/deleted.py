"""Deleted objects: what is left, who sees it, and what comes after it."""

from __future__ import annotations

from conformance.catalogue import Area, Observation
from conformance.checks.metadata import versions
from conformance.lab import BASE, DELETE, OTHER, REPLACE, Lab

area = Area("deleted")

SHOW_DELETED, SHOW_RECYCLED, TREE_DELETE = (
    "1.2.840.113556.1.4.417",
    "1.2.840.113556.1.4.2064",
    "1.2.840.113556.1.4.805",
)
DELETED = [(SHOW_DELETED, True, None)]


def tombstone(lab: Lab, guid: bytes) -> str:
    """DN of what is left."""
    return f"<GUID={guid.hex()}>"


def gone(lab: Lab, dn: str) -> str:
    """Delete an object; returns a DN for what is left of it."""
    guid = lab.raw(dn, "objectGUID")[0]
    lab.must(lab.delete(dn))
    return tombstone(lab, guid)


@area.table({"user": "user", "inetorgperson": "inetOrgPerson", "contact": "contact", "group": "group", "ou": "ou"})
def kept(lab: Lab, kind: str) -> Observation:
    """What a deleted object keeps."""
    if kind == "contact":
        dn = lab.contact(displayName="x", mail="a@b.example", description="d")
    elif kind == "group":
        dn = lab.group(members=[lab.user("m")], description="d")
    elif kind == "ou":
        dn = f"OU={lab.mine}in,{lab.ou}"
        lab.must(lab.add(dn, "organizationalUnit", {"description": "d"}))
    else:
        dn = lab.user(
            kind=kind,
            displayName="x",
            userPrincipalName=lab.upn("u"),
            description="d",
            givenName="G",
            sn="S",
            mail="a@b.example",
            employeeID="7",
        )
    lab.mark()
    return lab.read(gone(lab, dn), "*", "uSNChanged", "lastKnownParent", controls=DELETED)


@area.check
def effect(lab: Lab) -> Observation:
    """Versions and USN of a deletion."""
    dn = lab.user(displayName="x")
    before = versions(lab, dn)
    lab.mark()
    left = gone(lab, dn)
    after = versions(lab, left, DELETED)
    risen = {name: after[name] - before.get(name, 0) for name in sorted(after) if after[name] != before.get(name)}
    return risen, lab.risen(), "unicodePwd" in after


@area.table({"none": None, "deleted": SHOW_DELETED, "recycled": SHOW_RECYCLED})
def seen_with(lab: Lab, control: str | None) -> Observation:
    """With which control it is seen."""
    dn = lab.user()
    left = gone(lab, dn)
    controls = None if control is None else [(control, True, None)]
    found = lab.names(f"(sAMAccountName={lab.name('u')})", base=lab.base, controls=controls)
    return lab.read(left, "isDeleted", "isRecycled", controls=controls), (found[0], len(found[1]))


@area.check
def deleted_objects_container(lab: Lab) -> Observation:
    """The container of what was deleted."""
    dn = f"CN=Deleted Objects,{lab.base}"
    return [
        lab.read(dn, "cn", "isDeleted", "objectClass", "isCriticalSystemObject", controls=each)
        for each in (None, DELETED)
    ]


@area.check
def below_the_container(lab: Lab) -> Observation:
    """A search below it."""
    gone(lab, lab.user())
    _, found = lab.search(
        f"(sAMAccountName={lab.name('u')})", f"CN=Deleted Objects,{lab.base}", "LEVEL", controls=DELETED
    )
    return len(found), [lab.plain("dn", each["dn"].encode()) for each in found]


@area.check
def created_again(lab: Lab) -> Observation:
    """A new object of the same name is another one."""
    dn = lab.user(userPrincipalName=lab.upn("u"))
    before = [lab.raw(dn, name)[0] for name in ("objectGUID", "objectSid")]
    lab.must(lab.delete(dn))
    lab.user(userPrincipalName=lab.upn("u"))
    after = [lab.raw(dn, name)[0] for name in ("objectGUID", "objectSid")]
    return [one == other for one, other in zip(before, after, strict=True)], lab.bind(dn)


@area.check
def changes_of_the_dead(lab: Lab) -> Observation:
    """What may still be done with what was deleted."""
    left = gone(lab, lab.user())
    return [
        lab.modify(left, ("description", REPLACE, ["x"])),
        lab.modify(left, ("description", REPLACE, ["x"]), controls=DELETED),
        lab.delete(left),
        lab.delete(left, controls=DELETED),
        lab.reset(left, OTHER),
        lab.rename(left, "CN=x", lab.ou),
    ]


@area.table({"with-control": True, "without": False})
def reanimation(lab: Lab, control: bool) -> Observation:
    """isDeleted taken away and a DN given: the object lives again."""
    dn = lab.user(displayName="x")
    left = gone(lab, dn)
    changes = [("isDeleted", DELETE, []), ("distinguishedName", REPLACE, [dn])]
    answer = lab.modify(left, *changes, controls=DELETED if control else None)
    return answer, lab.read(dn, "sAMAccountName", "displayName", "userAccountControl", "isDeleted", "pwdLastSet", "cn")


@area.check
def member_of_a_group(lab: Lab) -> Observation:
    """A deleted member leaves the group; a deleted group leaves its members."""
    dn = lab.user()
    group, other = lab.group("g", [dn]), lab.group("h", [dn])
    lab.must(lab.delete(group))
    seen: list[Observation] = [lab.read(dn, "memberOf")]
    lab.must(lab.delete(dn))
    return [*seen, lab.read(other, "member")]


@area.check
def manager(lab: Lab) -> Observation:
    """A deleted manager is nobody's any more."""
    dn, boss = lab.user(), lab.user("boss")
    lab.must(lab.set(dn, manager=boss))
    seen: list[Observation] = [lab.read(dn, "manager"), lab.read(boss, "directReports")]
    lab.must(lab.delete(boss))
    return [*seen, lab.read(dn, "manager")]


@area.check
def with_children(lab: Lab) -> Observation:
    """What has children is not deleted, but with the control it is, with all."""
    unit = f"OU={lab.mine}in,{lab.ou}"
    lab.must(lab.add(unit, "organizationalUnit"))
    lab.must(lab.add(f"CN={lab.mine}c,{unit}", "contact"))
    answers = [lab.delete(unit), lab.delete(unit, controls=[(TREE_DELETE, True, None)])]
    return answers, lab.names("(objectClass=*)"), lab.names("(objectClass=*)", base=unit, scope=BASE)


@area.table(
    {
        "missing": "CN=nobody,{ou}",
        "administrator": "CN=Administrator,CN=Users,{base}",
        "users": "CN=Users,{base}",
        "domain-users": "CN=Domain Users,CN=Users,{base}",
        "root": "{base}",
        "system": "CN=System,{base}",
        "empty": "",
        "deleted-objects": "CN=Deleted Objects,{base}",
        "controllers": "OU=Domain Controllers,{base}",
        "broken": "rubbish",
        "guest": "CN=Guest,CN=Users,{base}",
        "krbtgt": "CN=krbtgt,CN=Users,{base}",
    }
)
def refused(lab: Lab, dn: str) -> Observation:
    """What cannot be deleted."""
    return lab.delete(dn.format(base=lab.base, ou=lab.ou))


@area.check
def by_users(lab: Lab) -> Observation:
    """Users may not delete, not even themselves."""
    dn, other = lab.user(), lab.user("v")
    user = lab.connect(dn)
    return lab.delete(other, by=user), lab.delete(dn, by=user)


@area.check
def name_of_the_dead(lab: Lab) -> Observation:
    """The DN and the RDN of a tombstone."""
    left = gone(lab, lab.user())
    _, found = lab.search(base=left, scope=BASE, attributes=["cn", "name", "distinguishedName"], controls=DELETED)
    return [(lab.plain("dn", each["dn"].encode()), lab.shown(each)) for each in found]
