"""USNs, versions and times of changes: what bumps them and what does not."""

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import timedelta

from conformance.catalogue import Area, Course, Observation
from conformance.lab import ADD, OTHER, PASSWORD, REPLACE, Lab, quoted

area = Area("metadata")

ATTRIBUTE_IDS = {
    589914: "unicodePwd",
    589879: "dBCSPwd",
    589918: "ntPwdHistory",
    589984: "lmPwdHistory",
    589949: "supplementalCredentials",
    589920: "pwdLastSet",
    589832: "userAccountControl",
    13: "description",
    591520: "lastLogonTimestamp",
    590045: "sAMAccountName",
    589825: "name",
    3: "cn",
    131085: "displayName",
    590480: "userPrincipalName",
    589983: "accountExpires",
    590486: "lockoutTime",
    0: "objectClass",
    131088: "location",
    131073: "instanceType",
    589970: "objectSid",
    589922: "primaryGroupID",
    590126: "sAMAccountType",
    590606: "objectCategory",
    131074: "whenCreated",
    589922 + 0: "primaryGroupID",
    42: "givenName",
    4: "sn",
    31: "member",
    589873: "isDeleted",
    590605: "lastKnownParent",
    591882: "isRecycled",
    589840: "codePage",
    589849: "countryCode",
    131353: "nTSecurityDescriptor",
    11: "ou",
    590045 + 0: "sAMAccountName",
    590574: "groupType",
}
"""attids of the default prefix table ([MS-ADTS], schema definitions); what is not named shows its number."""


def versions(lab: Lab, dn: str, controls: object = None) -> dict[str, int]:
    """Versions by attribute, out of replPropertyMetaData ([MS-DRSR] 5.183: 48 octets per attribute)."""
    blob = (lab.raw(dn, "replPropertyMetaData", controls) or [b""])[0]
    if len(blob) < 16:
        return {}
    (count,) = struct.unpack_from("<I", blob, 8)
    found = {}
    for number in range(count):
        attribute, version = struct.unpack_from("<II", blob, 16 + 48 * number)
        found[ATTRIBUTE_IDS.get(attribute, str(attribute))] = version
    return found


def stamps(lab: Lab, dn: str) -> dict[str, Observation]:
    """How USN and times of an object stand to the mark."""
    return {**lab.read(dn, "uSNChanged", "uSNCreated", "whenChanged", "whenCreated"), "highest": lab.risen()}


def effect(lab: Lab, dn: str, do: Callable[[], Observation]) -> Observation:
    """What a doing changes of an object's versions and USNs."""
    before = versions(lab, dn)
    lab.mark()
    lab.tick()
    answer = do()
    after = versions(lab, dn)
    risen = {name: after[name] - before.get(name, 0) for name in after if after[name] != before.get(name)}
    return (
        answer,
        dict(sorted(risen.items())),
        lab.risen(),
        lab.read(dn, "uSNChanged")["uSNChanged"] == [f"mark{lab.risen():+}"],
    )


DOINGS: dict[str, Callable[[Lab, str], Observation]] = {
    "reset": lambda lab, dn: lab.reset(dn, OTHER),
    "reset-to-same": lambda lab, dn: lab.reset(dn, PASSWORD),
    "reset-refused": lambda lab, dn: lab.reset(dn, "x"),
    "own-change": lambda lab, dn: lab.change(dn, PASSWORD, OTHER, by=lab.admin),
    "own-change-refused": lambda lab, dn: lab.change(dn, "Wrong-1", OTHER, by=lab.admin),
    "reset-and-must-change": lambda lab, dn: lab.modify(
        dn, ("unicodePwd", REPLACE, [quoted(OTHER)]), ("pwdLastSet", REPLACE, ["0"])
    ),
    "must-change": lambda lab, dn: lab.set(dn, pwdLastSet="0"),
    "pwdlastset-minus-one": lambda lab, dn: lab.set(dn, pwdLastSet="-1"),
    "disable": lambda lab, dn: lab.set(dn, userAccountControl="514"),
    "same-flags": lambda lab, dn: lab.set(dn, userAccountControl="512"),
    "description": lambda lab, dn: lab.set(dn, description="new"),
    "same-description": lambda lab, dn: lab.set(dn, description="old"),
    "description-case": lambda lab, dn: lab.set(dn, description="OLD"),
    "clear-description": lambda lab, dn: lab.set(dn, description=[]),
    "clear-absent": lambda lab, dn: lab.set(dn, displayName=[]),
    "two-attributes": lambda lab, dn: lab.set(dn, description="new", displayName="new"),
    "there-and-back": lambda lab, dn: [lab.set(dn, description="new"), lab.set(dn, description="old")],
    "there-and-back-at-once": lambda lab, dn: lab.modify(
        dn, ("description", REPLACE, ["new"]), ("description", REPLACE, ["old"])
    ),
    "refused-modify": lambda lab, dn: lab.set(dn, description="new", countryCode="x"),
    "add-refused": lambda lab, dn: lab.add(dn, "user", {"sAMAccountName": lab.name("u")}),
    "wrong-bind": lambda lab, dn: lab.bind(dn, "Wrong-1"),
    "second-bind": lambda lab, dn: lab.bind(dn),
    "into-group": lambda lab, dn: lab.modify(lab.dn("g"), ("member", ADD, [dn])),
    "rename-account": lambda lab, dn: lab.set(dn, sAMAccountName=lab.name("n")),
    "upn": lambda lab, dn: lab.set(dn, userPrincipalName=lab.upn("n")),
    "expires": lambda lab, dn: lab.set(dn, accountExpires="0"),
    "unlock": lambda lab, dn: lab.set(dn, lockoutTime="0"),
    "nothing-at-all": lambda lab, dn: lab.read(dn, "cn") != {},
}


@area.table(DOINGS)
def effect_of(lab: Lab, do: Callable[[Lab, str], Observation]) -> Observation:
    """Versions and USNs after a doing."""
    dn = lab.user(description="old")
    lab.group()
    lab.must(lab.bind(dn))
    return effect(lab, dn, lambda: do(lab, dn))


@area.check
def first_bind(lab: Lab) -> Observation:
    """The first bind writes lastLogonTimestamp, which is replicated."""
    dn = lab.user()
    return effect(lab, dn, lambda: lab.bind(dn)), effect(lab, dn, lambda: lab.bind(dn))


@area.table({"user": True, "without-password": False})
def creation(lab: Lab, password: bool) -> Observation:
    """A creation is one USN; versions are 1."""
    _ = lab.ou
    lab.mark()
    dn = lab.user(password=PASSWORD if password else None)
    found = versions(lab, dn)
    secrets = {name: found.get(name) for name in ("unicodePwd", "ntPwdHistory", "dBCSPwd", "pwdLastSet", "objectClass")}
    return stamps(lab, dn), secrets, sorted(name for name in found if found[name] != 1)


@area.timed
def times(lab: Lab) -> Course:
    """whenChanged moves with a change, not with what is refused or the same."""
    dn = lab.user(description="old")
    seen: list[Observation] = [lab.read(dn, "whenCreated", "whenChanged")]
    for do in ("same-description", "refused-modify", "wrong-bind", "into-group", "description", "reset", "must-change"):
        if do == "into-group":
            lab.group()
        yield timedelta(seconds=2)
        seen.append((do, DOINGS[do](lab, dn), lab.read(dn, "whenChanged", "whenCreated")))
    return seen


@area.check
def pwdlastset_ticks(lab: Lab) -> Observation:
    """pwdLastSet and the time in the metadata agree."""
    return lab.read(lab.user(), "pwdLastSet", "whenChanged", "whenCreated")


@area.check
def group_membership(lab: Lab) -> Observation:
    """A member's coming and going bumps the group, not the member."""
    dn, group = lab.user(), lab.group()
    seen = []
    for operation in (ADD, "MODIFY_DELETE"):
        lab.mark()
        answer = lab.modify(group, ("member", operation, [dn]))
        seen.append(
            (
                answer,
                lab.risen(),
                stamps(lab, group),
                stamps(lab, dn)["uSNChanged"] == stamps(lab, dn)["uSNCreated"],
            )
        )
    return seen


@area.check
def failed_add(lab: Lab) -> Observation:
    """An add that is refused consumes no USN."""
    _ = lab.ou
    lab.mark()
    answers = [
        lab.add(lab.dn("o"), "user", {"sAMAccountName": lab.name("o"), "unicodePwd": quoted("x")}),
        lab.add(lab.dn("o"), "user", {"sAMAccountName": lab.name("o"), "nonsense": "x"}),
        lab.add(f"CN=x,OU=missing,{lab.ou}", "contact"),
    ]
    return answers, lab.risen()


@area.check
def rename(lab: Lab) -> Observation:
    """A rename and a move."""
    dn = lab.user()
    lab.must(lab.add(f"OU=in,{lab.ou}", "organizationalUnit"))
    new = f"CN={lab.mine}new,{lab.ou}"
    before = versions(lab, dn)
    lab.mark()
    answers = [lab.rename(dn, f"CN={lab.mine}new")]
    middle = versions(lab, new)
    answers.append(lab.rename(new, f"CN={lab.mine}new", f"OU=in,{lab.ou}"))
    after = versions(lab, f"CN={lab.mine}new,OU=in,{lab.ou}")
    risen = [
        {key: two[key] - one.get(key, 0) for key in sorted(two) if two[key] != one.get(key)}
        for one, two in ((before, middle), (middle, after))
    ]
    return answers, risen, lab.risen()


@area.check
def changed_since(lab: Lab) -> Observation:
    """uSNChanged in filters, as agents ask."""
    lab.user("a")
    lab.mark()
    b = lab.user("b")
    lab.must(lab.set(lab.dn("a"), description="x"))
    usn = lab.marked
    return (
        [lab.names(f"(uSNChanged>={usn + n})") for n in (0, 1, 2, 3)],
        lab.names(f"(uSNCreated>={usn + 1})"),
        stamps(lab, b),
    )


@area.check
def repl_metadata_of(lab: Lab) -> Observation:
    """Names of all attributes in a new user's metadata."""
    dn = lab.user(description="x", displayName="y", userPrincipalName=lab.upn("u"))
    return versions(lab, dn)


@area.table(
    {"repl": "replPropertyMetaData", "uptodate": "replUpToDateVector", "attribute": "msDS-ReplAttributeMetaData"}
)
def shown_by_star(lab: Lab, name: str) -> Observation:
    """Whether metadata comes when all attributes are asked for, and by name."""
    dn = lab.user()
    return name in lab.read(dn), [len(each) > 100 for each in lab.raw(dn, name)]
