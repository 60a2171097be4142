"""What can happen to servers, networks and the agent in a random run."""

from __future__ import annotations

from typing import Any

from simulator.explore.plans import Sketch, draw_preference, draw_scope, drawer, flag, pause
from simulator.explore.writing import Quoted

CONFIGS = (
    "",
    "<configuration/>",
    "<configuration><runtime><enforceFIPSPolicy enabled='false'/></runtime></configuration>",
    '<configuration><runtime><enforceFIPSPolicy enabled="maybe"/></runtime></configuration>',
    "<configuration><runtime>",
    "no XML at all",
)
"""Texts that somebody may leave in the service's configuration file."""

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
    kind = sketch.random.random()
    if kind < 0.2:
        return {"server.edit-service-config": {"enforce-fips-policy": flag(sketch)}}
    if kind < 0.3:
        return {"server.edit-service-config": {"xml": Quoted(sketch.random.choice(CONFIGS))}}
    return {"server.set-fips": {"enabled": flag(sketch)}}


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


@drawer("sync-user", 2)
def sync_user(sketch: Sketch) -> dict[str, Any]:
    return {"agent.sync-user": {"user": sketch.random.choice([*sketch.homes, *sketch.cloud_users])}}


@drawer("object-cycle", 2)
def object_cycle(sketch: Sketch) -> dict[str, Any]:
    return {"agent.run-object-cycle": {"type": sketch.random.choice(["delta", "initial"])}}


@drawer("enable", 2)
def enable(sketch: Sketch) -> dict[str, Any]:
    name = sketch.random.choice(["agent.enable-password-sync", "agent.disable-password-sync"])
    return {name: {"domain": sketch.domain()} if sketch.random.random() < 0.6 else {}}


@drawer("staging", 2)
def staging(sketch: Sketch) -> dict[str, Any]:
    return {"agent.configure": {"staging": flag(sketch)}}


@drawer("rescope")
def rescope(sketch: Sketch) -> dict[str, Any]:
    return {"agent.configure": {"scope": draw_scope(sketch.random)}}


@drawer("interval")
def interval(sketch: Sketch) -> dict[str, Any]:
    return {"agent.configure": {"object-interval": sketch.random.choice(["30m", "45m", "1h"])}}


@drawer("prefer")
def prefer(sketch: Sketch) -> dict[str, Any]:
    return {"agent.configure": {"preferred-controllers": draw_preference(sketch, sketch.domain())}}


@drawer("threshold")
def threshold(sketch: Sketch) -> dict[str, Any]:
    return {"agent.configure": {"deletion-threshold": sketch.random.choice(["0", "1", "2", "500"])}}


@drawer("not-configurable")
def not_configurable(sketch: Sketch) -> dict[str, Any]:
    """What an operator can't have: it is refused and must change nothing. Today some users alone can be chosen."""
    if sketch.random.random() < 0.5:
        return {"agent.set-password-interval": {"every": pause(sketch.random)}}
    if sketch.profile == "2017":
        return {"agent.select-users": {"users": [sketch.user()]}}
    homes = list(sketch.homes)
    return {"agent.select-users": {"users": sketch.random.sample(homes, sketch.random.randint(0, len(homes)))}}
