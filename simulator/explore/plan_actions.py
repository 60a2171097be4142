"""What people do in a random run, on premises and in the tenant: how each action of theirs is drawn."""

from __future__ import annotations

from typing import Any

from simulator.explore.plans import (
    OUTSIDE,
    PEOPLE,
    Sketch,
    draw_cloud_policy,
    draw_policy,
    draw_traits,
    drawer,
    flag,
)
from simulator.explore.writing import Quoted

DISPLAY_NAMES = ("Änne & <Söhne>", "x", 'Quote " and \\ slash', " two  blanks ", "\U0001f511 key", "L" * 200)

# --- passwords --------------------------------------------------------------------------------------------------


@drawer("reset", 12)
def reset(sketch: Sketch) -> dict[str, Any]:
    user = sketch.user()
    return {"ad.reset-password": {"user": user, "password": sketch.password(user), **sketch.on(user)}}


@drawer("change", 6)
def change(sketch: Sketch) -> dict[str, Any]:
    """A user's own change, from the current password as a rule, else from one that it may have been."""
    user = sketch.user()
    old = {"old": _some_password(sketch, user)} if sketch.random.random() < 0.1 else {}
    return {"ad.change-password": {"user": user, "password": sketch.password(user), **old, **sketch.on(user)}}


@drawer("temporary", 2)
def temporary(sketch: Sketch) -> dict[str, Any]:
    user = sketch.user()
    arguments = {"user": user, "password": sketch.password(user), "must-change": "true"}
    return {"ad.reset-password": {**arguments, **sketch.on(user)}}


@drawer("require", 2)
def require(sketch: Sketch) -> dict[str, Any]:
    return {"ad.require-change": {"user": sketch.user(), "required": flag(sketch)}}


@drawer("cloud-reset", 3)
def cloud_reset(sketch: Sketch) -> dict[str, Any]:
    user = sketch.random.choice([*sketch.homes, *sketch.cloud_users])
    arguments: dict[str, Any] = {"user": user, "password": sketch.password(user)}
    if sketch.random.random() < 0.3:
        arguments["must-change"] = "true"
    return {"cloud.reset-password": arguments}


@drawer("cloud-change", 2)
def cloud_change(sketch: Sketch) -> dict[str, Any]:
    user = sketch.random.choice([*sketch.homes, *sketch.cloud_users])
    old = sketch.random.choice(sketch.passwords[user][-2:])
    return {"cloud.change-password": {"user": user, "old": old, "password": sketch.password(user)}}


@drawer("sign-in", 2)
def sign_in(sketch: Sketch) -> dict[str, Any]:
    user = sketch.random.choice([*sketch.homes, *sketch.cloud_users])
    name = {"as": f"{user}{len(sketch.sessions)}"} if sketch.random.random() < 0.3 else {}
    sketch.sessions.append(name.get("as", user))
    return {"cloud.sign-in": {"user": user, "password": _some_password(sketch, user), **name}}


@drawer("refresh")
def refresh(sketch: Sketch) -> dict[str, Any]:
    if not sketch.sessions:
        return {}
    return {"cloud.refresh-session": {"as": sketch.random.choice(sketch.sessions)}}


@drawer("logon")
def logon(sketch: Sketch) -> dict[str, Any]:
    user = sketch.user()
    return {"ad.logon": {"user": user, "password": _some_password(sketch, user), **sketch.on(user)}}


def _some_password(sketch: Sketch, user: str) -> Quoted:
    """The latest password most of the time, else any, or a wrong one."""
    return sketch.random.choice([sketch.passwords[user][-1], *sketch.passwords[user][-3:], Quoted("Wrong-word-0")])


# --- people -----------------------------------------------------------------------------------------------------


@drawer("enable-user", 2)
def enable_user(sketch: Sketch) -> dict[str, Any]:
    return {"ad.set-user": {"user": sketch.user(), "enabled": flag(sketch)}}


@drawer("smartcard")
def smartcard(sketch: Sketch) -> dict[str, Any]:
    return {"ad.set-user": {"user": sketch.user(), "smartcard-required": flag(sketch)}}


@drawer("account-expires")
def account_expires(sketch: Sketch) -> dict[str, Any]:
    return {"ad.set-user": {"user": sketch.user(), "account-expires": sketch.random.choice(["+4m", "+20m", "never"])}}


@drawer("rename")
def rename(sketch: Sketch) -> dict[str, Any]:
    """A new principal name; now and then one that somebody else has, in this forest, another one or the tenant."""
    user = sketch.user()
    sketch.drawn += 1
    name, domain = f"{user}{sketch.drawn}", sketch.homes[user]
    if sketch.random.random() < 0.3:
        name, domain = sketch.random.choice([*sketch.homes, *sketch.cloud_users]), sketch.domain()
    return {"ad.set-user": {"user": user, "upn": f"{name}@{domain}"}}


@drawer("password-never-expires")
def password_never_expires(sketch: Sketch) -> dict[str, Any]:
    return {"ad.set-user": {"user": sketch.user(), "password-never-expires": flag(sketch)}}


@drawer("convert-class")
def convert_class(sketch: Sketch) -> dict[str, Any]:
    return {"ad.set-user": {"user": sketch.user(), "class": sketch.random.choice(["user", "inetOrgPerson"])}}


@drawer("display-name")
def display_name(sketch: Sketch) -> dict[str, Any]:
    return {"ad.set-user": {"user": sketch.user(), "display-name": Quoted(sketch.random.choice(DISPLAY_NAMES))}}


@drawer("describe")
def describe(sketch: Sketch) -> dict[str, Any]:
    value = Quoted(sketch.random.choice(["Secret", "Sales"]))
    return {"ad.set-user": {"user": sketch.user(), "attributes": {"department": value}}}


@drawer("move", 2)
def move(sketch: Sketch) -> dict[str, Any]:
    return {"ad.move-user": {"user": sketch.user(), "ou": sketch.random.choice([PEOPLE, OUTSIDE])}}


@drawer("create", 2)
def create(sketch: Sketch) -> dict[str, Any]:
    user = f"new{len(sketch.homes)}"
    domain = sketch.domain()
    arguments: dict[str, Any] = {"user": user, "password": sketch.password(user), "domain": domain}
    arguments.update(draw_traits(sketch, sketch.random, 0.1))
    if sketch.random.random() < 0.1:
        arguments["display-name"] = Quoted(sketch.random.choice(DISPLAY_NAMES))
    if sketch.random.random() < 0.1:
        arguments["upn"] = f"{sketch.random.choice([*sketch.homes, *sketch.cloud_users])}@{domain}"
    sketch.homes[user] = domain
    return {"ad.create-user": arguments}


@drawer("delete")
def delete(sketch: Sketch) -> dict[str, Any]:
    return {"ad.delete-user": {"user": sketch.user()}}


@drawer("unlock")
def unlock(sketch: Sketch) -> dict[str, Any]:
    return {"ad.unlock": {"user": sketch.user()}}


@drawer("cloud-enable")
def cloud_enable(sketch: Sketch) -> dict[str, Any]:
    return {"cloud.set-user": {"user": sketch.user(), "enabled": flag(sketch)}}


@drawer("cloud-password-policies")
def cloud_password_policies(sketch: Sketch) -> dict[str, Any]:
    policies = sketch.random.choice(["none", "DisablePasswordExpiration", "DisableStrongPassword"])
    user = sketch.random.choice([*sketch.homes, *sketch.cloud_users])
    return {"cloud.set-user": {"user": user, "password-policies": policies}}


@drawer("cloud-create")
def cloud_create(sketch: Sketch) -> dict[str, Any]:
    user = f"cloud{len(sketch.cloud_users)}"
    arguments = {"user": user, "password": sketch.password(user)}
    sketch.cloud_users.append(user)
    return {"cloud.create-user": arguments}


@drawer("cloud-delete")
def cloud_delete(sketch: Sketch) -> dict[str, Any]:
    return {"cloud.delete-user": {"user": sketch.user()}}


# --- federation -------------------------------------------------------------------------------------------------


@drawer("convert")
def convert(sketch: Sketch) -> dict[str, Any]:
    to = sketch.random.choice(["managed", "federated"])
    return {"cloud.convert-domain": {"domain": sketch.domain(), "to": to}}


@drawer("farm")
def farm(sketch: Sketch) -> dict[str, Any]:
    return {"adfs.set-farm": {"state": sketch.random.choice(["up", "down"])}}


# --- rules of the directory and the tenant ----------------------------------------------------------------------


@drawer("policy")
def policy(sketch: Sketch) -> dict[str, Any]:
    return {"ad.set-policy": {"domain": sketch.domain(), **draw_policy(sketch.random)}}


@drawer("cloud-policy")
def cloud_policy(sketch: Sketch) -> dict[str, Any]:
    return {"cloud.set-policy": draw_cloud_policy(sketch.random)}


@drawer("feature", 2)
def feature(sketch: Sketch) -> dict[str, Any]:
    names = ["password-sync", "password-sync", "password-sync", "duplicate-attribute-resiliency"]
    if sketch.profile == "current":
        names += ["force-password-change-on-logon", "cloud-policy-for-synced-users"]
    return {"cloud.set-feature": {sketch.random.choice(names): sketch.random.choice(["on", "off"])}}


@drawer("domain-services")
def domain_services(sketch: Sketch) -> dict[str, Any]:
    return {"cloud.set-domain-services": {"state": sketch.random.choice(["on", "on", "off"])}}


@drawer("rights", 2)
def rights(sketch: Sketch) -> dict[str, Any]:
    right = sketch.random.choice(["replicate-changes", "replicate-changes-all", "replicate-changes-all"])
    return {sketch.random.choice(["ad.grant", "ad.revoke"]): {"right": right, "domain": sketch.domain()}}


@drawer("connector-password")
def connector_password(sketch: Sketch) -> dict[str, Any]:
    return {"ad.set-connector-password": {"domain": sketch.domain(), "known-to-agent": flag(sketch)}}
