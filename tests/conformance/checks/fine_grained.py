"""Fine-grained password policies (password settings objects)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from conformance.catalogue import Area, Course, Observation
from conformance.lab import ADD, DELETE, OTHER, PASSWORD, REPLACE, THIRD, Lab, Said

area = Area("fine-grained")

DAY, MINUTE = 864_000_000_000, 600_000_000
SETTINGS: dict[str, str] = {
    "msDS-PasswordSettingsPrecedence": "10",
    "msDS-PasswordReversibleEncryptionEnabled": "FALSE",
    "msDS-PasswordHistoryLength": "5",
    "msDS-PasswordComplexityEnabled": "TRUE",
    "msDS-MinimumPasswordLength": "7",
    "msDS-MinimumPasswordAge": "0",
    "msDS-MaximumPasswordAge": str(-10 * DAY),
    "msDS-LockoutThreshold": "0",
    "msDS-LockoutObservationWindow": str(-30 * MINUTE),
    "msDS-LockoutDuration": str(-30 * MINUTE),
}


def container(lab: Lab) -> str:
    """Where settings lie."""
    return f"CN=Password Settings Container,CN=System,{lab.base}"


def settings_dn(lab: Lab, name: str) -> str:
    """DN of settings of the check's own."""
    return f"CN={lab.mine}{name},{container(lab)}"


def settings(lab: Lab, name: str = "pso", applies: Any = (), **changes: str) -> str:
    """Make settings; underscores in names of changes are hyphens."""
    values: dict[str, Any] = {**SETTINGS, **{f"msDS-{key}": value for key, value in changes.items()}}
    if applies:
        values["msDS-PSOAppliesTo"] = applies
    lab.must(lab.add(settings_dn(lab, name), "msDS-PasswordSettings", values))
    return settings_dn(lab, name)


def resultant(lab: Lab, dn: str) -> Observation:
    """Which settings hold for an object."""
    return lab.read(dn, "msDS-ResultantPSO", "msDS-PSOApplied")


@area.check
def create(lab: Lab) -> Observation:
    """What settings look like once made."""
    return lab.read(
        settings(lab, applies=[lab.user()]), *SETTINGS, "msDS-PSOAppliesTo", "objectClass", "objectCategory"
    )


@area.table({name.lower(): name for name in SETTINGS})
def without(lab: Lab, name: str) -> Observation:
    """Settings that lack something."""
    values = {key: value for key, value in SETTINGS.items() if key != name}
    return lab.add(settings_dn(lab, "pso"), "msDS-PasswordSettings", values)


@area.table(
    {
        "precedence-zero": ("msDS-PasswordSettingsPrecedence", "0"),
        "length-huge": ("msDS-MinimumPasswordLength", "256"),
        "length-negative": ("msDS-MinimumPasswordLength", "-1"),
        "boolean": ("msDS-PasswordComplexityEnabled", "1"),
        "age-positive": ("msDS-MaximumPasswordAge", "5"),
        "threshold-huge": ("msDS-LockoutThreshold", "65536"),
        "history-huge": ("msDS-PasswordHistoryLength", "1025"),
        "min-over-max": ("msDS-MinimumPasswordAge", str(-20 * DAY)),
        "window-over-duration": ("msDS-LockoutObservationWindow", str(-60 * MINUTE)),
    }
)
def with_value(lab: Lab, row: tuple[str, str]) -> Observation:
    """Settings with odd values."""
    return lab.add(settings_dn(lab, "pso"), "msDS-PasswordSettings", {**SETTINGS, row[0]: row[1]})


@area.check
def elsewhere(lab: Lab) -> Observation:
    """Settings in another place than their container."""
    return lab.add(f"CN=pso,{lab.ou}", "msDS-PasswordSettings", SETTINGS)


@area.check
def by_users(lab: Lab) -> Observation:
    """Users neither make nor see them."""
    dn = lab.user()
    user = lab.connect(dn)
    made = settings(lab, applies=[dn])
    return (
        lab.add(settings_dn(lab, "x"), "msDS-PasswordSettings", SETTINGS, by=user),
        lab.read(made, "cn", by=user),
        lab.read(dn, "msDS-ResultantPSO", by=user),
    )


@area.check
def of_a_user(lab: Lab) -> Observation:
    """Settings that are linked to a user."""
    dn = lab.user()
    settings(lab, applies=[dn])
    return resultant(lab, dn), resultant(lab, lab.user("v")), lab.read(dn, "msDS-UserPasswordExpiryTimeComputed")


@area.check
def of_a_group(lab: Lab) -> Observation:
    """Settings that are linked to a group."""
    dn = lab.user()
    settings(lab, applies=[lab.group(members=[dn])])
    return resultant(lab, dn), lab.read(dn, "msDS-UserPasswordExpiryTimeComputed")


@area.check
def of_a_nested_group(lab: Lab) -> Observation:
    """Settings that are linked to a group in which another group is."""
    dn = lab.user()
    settings(lab, applies=[lab.group("outer", [lab.group("inner", [dn])])])
    return resultant(lab, dn)


@area.table({"local": "-2147483644", "universal": "-2147483640", "distribution": "2"})
def of_a_group_of_type(lab: Lab, kind: str) -> Observation:
    """Only global security groups count."""
    dn = lab.user()
    settings(lab, applies=[lab.group(members=[dn], groupType=kind)])
    return resultant(lab, dn)


@area.check
def of_the_primary_group(lab: Lab) -> Observation:
    """The primary group counts, too."""
    dn = lab.user()
    group = lab.group(members=[dn])
    settings(lab, applies=[group])
    rid = int.from_bytes(lab.raw(group, "objectSid")[0][-4:], "little")
    lab.must(lab.set(dn, primaryGroupID=str(rid)))
    return resultant(lab, dn)


@area.table({"contact": "contact", "unit": "unit"})
def of_what_is_no_user(lab: Lab, kind: str) -> Observation:
    """Settings that are linked to something else."""
    target = lab.contact() if kind == "contact" else lab.ou
    values = {**SETTINGS, "msDS-PSOAppliesTo": target}
    return lab.add(settings_dn(lab, "pso"), "msDS-PasswordSettings", values), resultant(lab, target)


@area.check
def lower_precedence_wins(lab: Lab) -> Observation:
    """Of two the one with the lower number holds."""
    dn = lab.user()
    settings(lab, "a", [dn], PasswordSettingsPrecedence="20")
    settings(lab, "b", [dn], PasswordSettingsPrecedence="5")
    return resultant(lab, dn)


@area.check
def user_beats_group(lab: Lab) -> Observation:
    """What is linked to the user beats what is linked to a group."""
    dn = lab.user()
    settings(lab, "a", [dn], PasswordSettingsPrecedence="20")
    settings(lab, "b", [lab.group(members=[dn])], PasswordSettingsPrecedence="5")
    return resultant(lab, dn)


@area.check
def link_changes(lab: Lab) -> Observation:
    """Links that come and go."""
    dn = lab.user()
    made = settings(lab)
    seen: list[Observation] = [resultant(lab, dn)]
    for operation in (ADD, DELETE):
        seen += [lab.modify(made, ("msDS-PSOAppliesTo", operation, [dn])), resultant(lab, dn)]
    return [*seen, lab.modify(dn, ("msDS-PSOApplied", ADD, [made])), lab.modify(dn, ("msDS-ResultantPSO", ADD, [made]))]


@area.check
def deleted(lab: Lab) -> Observation:
    """Settings that are deleted hold no more."""
    dn = lab.user()
    made = settings(lab, applies=[dn], MinimumPasswordLength="20")
    return lab.reset(dn, OTHER), lab.delete(made), resultant(lab, dn), lab.reset(dn, OTHER)


@area.check
def length(lab: Lab) -> Observation:
    """Length 20, without complexity."""
    dn = lab.user()
    settings(lab, applies=[dn], MinimumPasswordLength="20", PasswordComplexityEnabled="FALSE")
    return [
        lab.reset(dn, each) for each in (OTHER, "nineteen-characters", "twenty-characters-xx", "aaaaaaaaaaaaaaaaaaaaa")
    ]


@area.check
def history(lab: Lab) -> Observation:
    """A history of its own."""
    dn = lab.user()
    settings(lab, applies=[dn], PasswordHistoryLength="0")
    user = lab.connect(dn)
    return [lab.change(dn, *pair, by=user) for pair in ((PASSWORD, OTHER), (OTHER, PASSWORD), (PASSWORD, PASSWORD))]


@area.check
def minimum_age(lab: Lab) -> Observation:
    """A minimum age of its own."""
    dn = lab.user()
    settings(lab, applies=[dn], MinimumPasswordAge=str(-DAY))
    return lab.change(dn, PASSWORD, OTHER, by=lab.connect(dn)), lab.reset(dn, THIRD)


@area.check
def lockout(lab: Lab) -> Observation:
    """A lockout threshold of its own."""
    dn = lab.user()
    settings(lab, applies=[dn], LockoutThreshold="2")
    binds = [lab.bind(dn, "Wrong-1234") for _ in range(3)]
    return binds, lab.bind(dn), lab.read(dn, "badPwdCount", "lockoutTime", "msDS-User-Account-Control-Computed")


@area.timed
def expiry(lab: Lab) -> Course:
    """A maximum age of its own: ten days."""
    dn, other = lab.user(), lab.user("v")
    settings(lab, applies=[dn])
    names = ("msDS-UserPasswordExpiryTimeComputed", "msDS-User-Account-Control-Computed")
    seen: list[Observation] = [lab.read(dn, *names), lab.read(other, *names)]
    for pause in (9.9, 0.2):
        yield timedelta(days=pause)
        seen += [lab.bind(dn), lab.bind(other), lab.read(dn, *names)]
    return seen


@area.timed
def lockout_duration(lab: Lab) -> Course:
    """A lockout duration of its own: five minutes."""
    dn = lab.user()
    five = str(-5 * MINUTE)
    settings(lab, applies=[dn], LockoutThreshold="2", LockoutDuration=five, LockoutObservationWindow=five)
    binds: list[Said] = [lab.bind(dn, "Wrong-1234") for _ in range(2)]
    for minutes in (4, 2):
        yield timedelta(minutes=minutes)
        binds.append(lab.bind(dn))
    return binds


@area.check
def change_of_settings(lab: Lab) -> Observation:
    """Settings that are changed hold at once."""
    dn = lab.user()
    made = settings(lab, applies=[dn])
    return lab.reset(dn, OTHER), lab.modify(made, ("msDS-MinimumPasswordLength", REPLACE, ["30"])), lab.reset(dn, OTHER)


@area.check
def at_creation(lab: Lab) -> Observation:
    """A password given at creation is the domain's matter: the new user has no settings yet."""
    dn = lab.user()
    settings(lab, applies=[dn], MinimumPasswordLength="20")
    return lab.user("v") != "", resultant(lab, lab.dn("v"))
