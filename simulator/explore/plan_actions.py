"""What can happen in a random run: how each action of the scenario format is drawn."""

from __future__ import annotations

from typing import Any

from simulator.explore.plans import (
    OUTSIDE,
    PEOPLE,
    Sketch,
    draw_policy,
    draw_preference,
    draw_scope,
    draw_traits,
    drawer,
    pause,
)
from simulator.explore.writing import Quoted

# --- passwords --------------------------------------------------------------------------------------------------


@drawer("reset", 12)
def reset(sketch: Sketch) -> dict[str, Any]:
    user = sketch.user()
    return {"ad.reset-password": {"user": user, "password": sketch.password(user), **sketch.on(user)}}


@drawer("change", 6)
def change(sketch: Sketch) -> dict[str, Any]:
    user = sketch.user()
    return {"ad.change-password": {"user": user, "password": sketch.password(user), **sketch.on(user)}}


@drawer("temporary", 2)
def temporary(sketch: Sketch) -> dict[str, Any]:
    user = sketch.user()
    arguments = {"user": user, "password": sketch.password(user), "must-change": "true"}
    return {"ad.reset-password": {**arguments, **sketch.on(user)}}


@drawer("require", 2)
def require(sketch: Sketch) -> dict[str, Any]:
    return {"ad.require-change": {"user": sketch.user(), "required": _flag(sketch)}}


@drawer("cloud-reset", 3)
def cloud_reset(sketch: Sketch) -> dict[str, Any]:
    user = sketch.random.choice([*sketch.homes, *sketch.cloud_users])
    arguments = {"user": user, "password": sketch.password(user)}
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
    sketch.sessions.append(user)
    return {"cloud.sign-in": {"user": user, "password": _some_password(sketch, user)}}


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


def _flag(sketch: Sketch) -> str:
    return sketch.random.choice(["true", "false"])


# --- people -----------------------------------------------------------------------------------------------------


@drawer("enable-user", 2)
def enable_user(sketch: Sketch) -> dict[str, Any]:
    return {"ad.set-user": {"user": sketch.user(), "enabled": _flag(sketch)}}


@drawer("smartcard")
def smartcard(sketch: Sketch) -> dict[str, Any]:
    return {"ad.set-user": {"user": sketch.user(), "smartcard-required": _flag(sketch)}}


@drawer("account-expires")
def account_expires(sketch: Sketch) -> dict[str, Any]:
    return {"ad.set-user": {"user": sketch.user(), "account-expires": sketch.random.choice(["+4m", "+20m", "never"])}}


@drawer("rename")
def rename(sketch: Sketch) -> dict[str, Any]:
    user = sketch.user()
    sketch.drawn += 1
    return {"ad.set-user": {"user": user, "upn": f"{user}{sketch.drawn}@{sketch.homes[user]}"}}


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
    return {"cloud.set-user": {"user": sketch.user(), "enabled": _flag(sketch)}}


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
    keys = [{"min-length": "12"}, {"max-age": "1d"}, {"lockout-threshold": "1"}, {"classes": "4"}]
    return {"cloud.set-policy": sketch.random.choice(keys)}


@drawer("feature", 2)
def feature(sketch: Sketch) -> dict[str, Any]:
    names = ["password-sync", "password-sync"]
    if sketch.profile == "current":
        names += ["force-password-change-on-logon", "cloud-policy-for-synced-users"]
    return {"cloud.set-feature": {sketch.random.choice(names): sketch.random.choice(["on", "off"])}}


@drawer("rights", 2)
def rights(sketch: Sketch) -> dict[str, Any]:
    right = sketch.random.choice(["replicate-changes", "replicate-changes-all", "replicate-changes-all"])
    return {sketch.random.choice(["ad.grant", "ad.revoke"]): {"right": right, "domain": sketch.domain()}}


@drawer("connector-password")
def connector_password(sketch: Sketch) -> dict[str, Any]:
    return {"ad.set-connector-password": {"domain": sketch.domain(), "known-to-agent": _flag(sketch)}}


# --- servers and networks ---------------------------------------------------------------------------------------


@drawer("controller", 2)
def controller(sketch: Sketch) -> dict[str, Any]:
    domain = sketch.domain()
    name = sketch.random.choice(sketch.domains[domain])
    state = sketch.random.choice(["up", "up", "down", "no-outbound-replication"])
    return {"ad.set-controller": {"controller": name, "domain": domain, "state": state}}


@drawer("link", 2)
def link(sketch: Sketch) -> dict[str, Any]:
    name = sketch.random.choice(["cloud", sketch.domain()])
    return {"network.set-link": {"link": name, "state": sketch.random.choice(["up", "down"])}}


@drawer("fips")
def fips(sketch: Sketch) -> dict[str, Any]:
    if sketch.random.random() < 0.3:
        return {"server.edit-service-config": {"enforce-fips-policy": _flag(sketch)}}
    return {"server.set-fips": {"enabled": _flag(sketch)}}


@drawer("reboot")
def reboot(sketch: Sketch) -> dict[str, Any]:
    return {"server.reboot": {}}


# --- the agent --------------------------------------------------------------------------------------------------


@drawer("restart", 2)
def restart(sketch: Sketch) -> dict[str, Any]:
    return {sketch.random.choice(["agent.restart", "agent.stop", "agent.start"]): {}}


@drawer("crash", 2)
def crash(sketch: Sketch) -> dict[str, Any]:
    return {"agent.crash": {} if sketch.random.random() < 0.5 else {"restart-after": pause(sketch.random)}}


@drawer("full-sync", 2)
def full_sync(sketch: Sketch) -> dict[str, Any]:
    return {"agent.full-password-sync": {"domain": sketch.domain()}}


@drawer("object-cycle", 2)
def object_cycle(sketch: Sketch) -> dict[str, Any]:
    return {"agent.run-object-cycle": {"type": sketch.random.choice(["delta", "initial"])}}


@drawer("enable", 2)
def enable(sketch: Sketch) -> dict[str, Any]:
    name = sketch.random.choice(["agent.enable-password-sync", "agent.disable-password-sync"])
    return {name: {"domain": sketch.domain()} if sketch.random.random() < 0.6 else {}}


@drawer("staging", 2)
def staging(sketch: Sketch) -> dict[str, Any]:
    return {"agent.configure": {"staging": _flag(sketch)}}


@drawer("rescope")
def rescope(sketch: Sketch) -> dict[str, Any]:
    return {"agent.configure": {"scope": draw_scope(sketch.random)}}


@drawer("interval")
def interval(sketch: Sketch) -> dict[str, Any]:
    return {"agent.configure": {"object-interval": sketch.random.choice(["30m", "45m", "1h"])}}


@drawer("prefer")
def prefer(sketch: Sketch) -> dict[str, Any]:
    return {"agent.configure": {"preferred-controllers": draw_preference(sketch, sketch.domain())}}
