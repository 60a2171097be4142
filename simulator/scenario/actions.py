"""What people, servers and networks do: one function per action of the scenario format.

Each takes the world and the action's arguments. A refusal by the world is raised as :class:`simulator.refusal.Refusal`,
one by the agent as :class:`pwsync.errors.Refused`; the runner turns both into the action's outcome.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from pwsync.ports import Agent
from simulator import farms
from simulator.active_directory.state import Domain
from simulator.azure_ad.users import CloudUser
from simulator.refusal import Refusal
from simulator.scenario import selection
from simulator.scenario.sessions import Sessions
from simulator.scenario.setup import (
    add_cloud_user,
    create_keys,
    policy_keys,
    scope_of,
    set_expiry,
    watch_domain_services,
)
from simulator.server import config_text
from simulator.world import World

ActionFunction = Callable[[World, Any, Sessions], str]
"""Performs an action; returns a few words for the trace."""

ACTIONS: dict[str, ActionFunction] = {}


def action(name: str) -> Callable[[ActionFunction], ActionFunction]:
    """Register the function for an action's name."""

    def register(function: ActionFunction) -> ActionFunction:
        ACTIONS[name] = function
        return function

    return register


def perform(world: World, what: Any, sessions: Sessions) -> str:
    """Perform an action of a scenario."""
    return ACTIONS[what.name](world, what, sessions)


def home(world: World, what: Any) -> Domain:
    """The domain that an action names, or the first one."""
    if getattr(what, "domain", None) is not None:
        return world.domain(what.domain)
    return world.domain(world.default_domain)


def cloud_user(world: World, handle: str) -> CloudUser:
    """A user's account in the tenant, or a refusal."""
    found = world.cloud_user(handle)
    if found is None:
        raise Refusal("no-such-user", f"{handle} is not in the tenant")
    return found


# --- the directory ----------------------------------------------------------------------------------------------


@action("ad.create-user")
def create_user(world: World, what: Any, sessions: Sessions) -> str:
    domain = home(world, what)
    keys = create_keys(what)
    age = what.password_age
    label = world.passwords.learn(what.user, what.password)
    guid = domain.create_user(what.user, what.password, password_age=age, **keys)
    world.add_person(what.user, domain.name, guid).upn = what.upn or f"{what.user}@{domain.name}"
    set_expiry(world, domain, what.user, what.account_expires)
    return label


@action("ad.change-password")
def change_password(world: World, what: Any, sessions: Sessions) -> str:
    domain = world.home(what.user)
    old = what.old
    if old is None:  # the one that the controller knows by now
        there = domain.find(what.user, on=domain.at(what.on).name)
        old = world.passwords.password_of_hash(what.user, there.nt_hash) or ""
    label = world.passwords.learn(what.user, what.password)
    domain.change_password(what.user, old, what.password, on=what.on)
    return label


@action("ad.reset-password")
def reset_password(world: World, what: Any, sessions: Sessions) -> str:
    domain = world.home(what.user)
    label = world.passwords.learn(what.user, what.password)
    domain.reset_password(what.user, what.password, must_change=bool(what.must_change), on=what.on)
    return f"{label}{' must change' if what.must_change else ''}"


@action("ad.require-change")
def require_change(world: World, what: Any, sessions: Sessions) -> str:
    required = what.required is not False
    world.home(what.user).require_change(what.user, required)
    return "must change" if required else "need not change"


@action("ad.set-user")
def set_user(world: World, what: Any, sessions: Sessions) -> str:
    domain = world.home(what.user)
    changes: dict[str, Any] = {
        key: getattr(what, key)
        for key in ("enabled", "password_never_expires", "smartcard_required", "upn", "display_name", "attributes")
        if getattr(what, key, None) is not None
    }
    if what.class_ is not None:
        changes["user_class"] = what.class_
    if changes:
        domain.set_user(what.user, **changes)
    if what.upn is not None:
        world.people[what.user].upn = what.upn
    set_expiry(world, domain, what.user, what.account_expires)
    if what.smartcard_required:
        world.passwords.learn_hash(what.user, world.account(what.user).nt_hash)
    return " ".join(sorted(changes)) or "account-expires"


@action("ad.unlock")
def unlock(world: World, what: Any, sessions: Sessions) -> str:
    world.home(what.user).unlock(what.user)
    return ""


@action("ad.delete-user")
def delete_user(world: World, what: Any, sessions: Sessions) -> str:
    world.home(what.user).delete_user(what.user)
    return ""


@action("ad.move-user")
def move_user(world: World, what: Any, sessions: Sessions) -> str:
    world.home(what.user).move_user(what.user, what.ou)
    return f"to {what.ou}"


@action("ad.logon")
def logon(world: World, what: Any, sessions: Sessions) -> str:
    result = world.home(what.user).logon(what.user, what.password, on=what.on)
    refuse_logon(result)
    return result


def refuse_logon(result: str) -> None:
    """A logon that fails is a refusal of the action."""
    reasons = {"wrong-password": "wrong-password", "expired": "expired", "must-change": "must-change"}
    reasons |= {
        "disabled": "disabled",
        "locked": "locked",
        "no-such-user": "no-such-user",
        "unknown-user": "no-such-user",
    }
    reasons |= {"account-expired": "expired", "no-password": "wrong-password"}
    reasons |= {farms.UNAVAILABLE: farms.UNAVAILABLE}
    if result != "ok":
        raise Refusal(reasons.get(result, "not-supported"), f"the logon says {result}")


@action("ad.set-policy")
def set_domain_policy(world: World, what: Any, sessions: Sessions) -> str:
    home(world, what).set_policy(**policy_keys(what))
    return ""


@action("ad.grant")
def grant(world: World, what: Any, sessions: Sessions) -> str:
    home(world, what).grant(what.right)
    return str(what.right)


@action("ad.revoke")
def revoke(world: World, what: Any, sessions: Sessions) -> str:
    home(world, what).revoke(what.right)
    return str(what.right)


@action("ad.set-controller")
def set_controller(world: World, what: Any, sessions: Sessions) -> str:
    home(world, what).controller(what.controller).state = what.state
    return f"{what.controller} {what.state}"


@action("ad.set-connector-password")
def set_connector_password(world: World, what: Any, sessions: Sessions) -> str:
    domain = home(world, what)
    password = "Cn-" + world.randomness.child("connector-password").randbytes(12).hex()
    domain.set_connector_password(password)
    if what.known_to_agent:
        connectors = tuple(
            dataclasses.replace(each, password=password) if each.domain == domain.name else each
            for each in world.settings.connectors
        )
        world.configure_agent(dataclasses.replace(world.settings, connectors=connectors))
    return "known to the agent" if what.known_to_agent else "not known to the agent"


# --- the agent --------------------------------------------------------------------------------------------------


@action("agent.install")
def install(world: World, what: Any, sessions: Sessions) -> str:
    express = what.setup == "express"
    world.host.install(
        express=express,
        password_sync=express or bool(what.password_sync),
        object_sync=express or what.object_sync is not False,
    )
    if not express and not what.password_sync:
        world.sync_off.add(None)
    return str(what.setup)


@action("agent.enable-password-sync")
def enable_password_sync(world: World, what: Any, sessions: Sessions) -> str:

    def order(agent: Agent) -> None:
        world.note_order(what.domain)
        off = set() if what.domain is None else world.sync_off - {what.domain}
        with world.switching(off):
            agent.enable_password_sync(what.domain)

    world.host.operate(order)
    return what.domain or "all domains"


@action("agent.disable-password-sync")
def disable_password_sync(world: World, what: Any, sessions: Sessions) -> str:

    def order(agent: Agent) -> None:
        with world.switching(world.sync_off | {what.domain}):
            agent.disable_password_sync(what.domain)

    world.host.operate(order)
    return what.domain or "all domains"


@action("agent.full-password-sync")
def full_password_sync(world: World, what: Any, sessions: Sessions) -> str:
    domain = home(world, what).name

    def order(agent: Agent) -> None:
        world.note_order(domain)
        agent.full_password_sync(domain)

    world.host.operate(order)
    return domain


@action("agent.sync-user")
def sync_user(world: World, what: Any, sessions: Sessions) -> str:
    anchor = world.anchor(what.user) or what.user

    def order(agent: Agent) -> None:
        world.note_order(anchor)
        agent.sync_user(anchor)

    world.host.operate(order)
    return str(what.user)


@action("agent.run-object-cycle")
def run_object_cycle(world: World, what: Any, sessions: Sessions) -> str:
    kind = what.type or "delta"
    world.host.check_running()
    world.after_actions(world.host.answered_later(lambda: world.host.run_object_cycle(kind)))
    return str(kind)


@action("agent.stop")
def stop(world: World, what: Any, sessions: Sessions) -> str:
    world.host.stop()
    return ""


@action("agent.start")
def start(world: World, what: Any, sessions: Sessions) -> str:
    world.host.start()
    return ""


@action("agent.restart")
def restart(world: World, what: Any, sessions: Sessions) -> str:
    world.host.restart()
    return ""


@action("agent.crash")
def crash(world: World, what: Any, sessions: Sessions) -> str:
    world.host.crash(what.restart_after) if what.restart_after is not None else world.host.crash()
    return ""


@action("agent.configure")
def configure(world: World, what: Any, sessions: Sessions) -> str:
    changes: dict[str, Any] = {}
    if what.staging is not None:
        changes["staging"] = what.staging
    if what.object_interval is not None:
        changes["object_interval"] = what.object_interval
    if what.deletion_threshold is not None:
        changes["deletion_threshold"] = what.deletion_threshold
    if what.scope is not None:
        changes["scope"] = dataclasses.replace(scope_of(what.scope), included_only=world.settings.scope.included_only)
    if what.preferred_controllers is not None:
        changes["preferred_controllers"] = {
            name: tuple(controllers) for name, controllers in what.preferred_controllers.items()
        }

    def order(agent: Agent) -> None:
        agent.configure(**changes)
        world.configure_agent(dataclasses.replace(world.settings, **changes))

    world.host.operate(order)
    return " ".join(sorted(changes))


@action("agent.set-password-interval")
def set_password_interval(world: World, what: Any, sessions: Sessions) -> str:
    world.host.ask(lambda agent: agent.set_password_interval(what.every))
    return ""


@action("agent.select-users")
def select_users(world: World, what: Any, sessions: Sessions) -> str:
    anchors = [world.anchor(user) or user for user in what.users]
    if not world.profile.build.selective:
        world.host.ask(lambda agent: agent.select_users(anchors))
        return " ".join(what.users)

    def order(agent: Agent) -> None:
        selection.mark(world, what.users)
        agent.select_users(anchors)
        selection.keep_to_marks(world)

    world.host.operate(order)
    return " ".join(what.users)


@action("server.set-fips")
def set_fips(world: World, what: Any, sessions: Sessions) -> str:
    world.server.fips = what.enabled
    return "on" if what.enabled else "off"


@action("server.edit-service-config")
def edit_service_config(world: World, what: Any, sessions: Sessions) -> str:
    if what.xml is not None:
        world.server.config = what.xml.encode("utf-8", "surrogatepass")
        return f"{len(world.server.config)} octets"
    world.server.config = config_text(what.enforce_fips_policy)
    return f"enforceFIPSPolicy {'true' if what.enforce_fips_policy else 'false'}"


@action("server.reboot")
def reboot(world: World, what: Any, sessions: Sessions) -> str:
    world.host.reboot()
    return ""


# --- the tenant -------------------------------------------------------------------------------------------------


@action("cloud.create-user")
def create_cloud_user(world: World, what: Any, sessions: Sessions) -> str:
    add_cloud_user(world, what.user, what.password)
    world.tenant_answered()
    return world.passwords.label(what.user, what.password)


@action("cloud.reset-password")
def reset_cloud_password(world: World, what: Any, sessions: Sessions) -> str:
    user = cloud_user(world, what.user)
    world.tenant.reset_password(user, what.password, must_change=bool(what.must_change))
    label = world.passwords.learn(what.user, what.password)
    world.tenant_answered()
    return label


@action("cloud.change-password")
def change_cloud_password(world: World, what: Any, sessions: Sessions) -> str:
    user = cloud_user(world, what.user)
    world.tenant.change_password(user, what.old, what.password)
    label = world.passwords.learn(what.user, what.password)
    world.tenant_answered()
    return label


@action("cloud.set-user")
def set_cloud_user(world: World, what: Any, sessions: Sessions) -> str:
    changes: dict[str, Any] = {}
    if what.enabled is not None:
        changes["enabled"] = what.enabled
    if what.password_policies is not None:
        changes["password_policies"] = what.password_policies
    world.tenant.set_user(cloud_user(world, what.user), **changes)
    return " ".join(sorted(changes))


@action("cloud.delete-user")
def delete_cloud_user(world: World, what: Any, sessions: Sessions) -> str:
    world.tenant.delete_user(cloud_user(world, what.user))
    return ""


@action("cloud.set-policy")
def set_cloud_policy(world: World, what: Any, sessions: Sessions) -> str:
    world.tenant.set_policy(**policy_keys(what))
    return ""


@action("cloud.set-feature")
def set_feature(world: World, what: Any, sessions: Sessions) -> str:
    features = what.features()
    for feature, state in features.items():
        world.tenant.set_feature(feature, state)
    return " ".join(f"{feature} {'on' if state else 'off'}" for feature, state in features.items())


@action("cloud.sign-in")
def sign_in(world: World, what: Any, sessions: Sessions) -> str:
    answer = farms.sign_in(world, world.upn(what.user), what.password)
    if answer.result == "ok" and answer.user is not None:
        sessions.open(what.as_ or what.user, world.tenant.open_session(answer.user))
    refuse_logon(answer.result)
    label = world.passwords.label(what.user, what.password)
    return f"{label} via {answer.via}" if answer.via != farms.MANAGED else label


@action("cloud.refresh-session")
def refresh_session(world: World, what: Any, sessions: Sessions) -> str:
    result = world.tenant.refresh(sessions.find(what.as_))
    if result != "ok":
        raise Refusal("expired", f"the refresh token is {result}")
    return str(result)


@action("cloud.set-domain-services")
def set_domain_services(world: World, what: Any, sessions: Sessions) -> str:
    world.tenant.set_domain_services(what.state == "on")
    watch_domain_services(world)
    return str(what.state)


@action("cloud.convert-domain")
def convert_domain(world: World, what: Any, sessions: Sessions) -> str:
    trust = world.farms.trust(what.domain) if what.to == "federated" else None
    in_force = world.tenant.federated_domains.convert(what.domain, trust)

    def tell() -> None:
        if (world.tenant.federated_domains.trust(what.domain) is None) == (trust is None):
            world.trace.say("tenant", f"{what.domain} is {what.to} now")

    world.later(in_force - world.clock(), tell)
    return f"{what.domain} to {what.to}"


@action("adfs.set-farm")
def set_farm(world: World, what: Any, sessions: Sessions) -> str:
    world.farms.set_state(what.state)
    return str(what.state)


@action("network.set-link")
def set_link(world: World, what: Any, sessions: Sessions) -> str:
    if what.state == "down":
        world.network.down.add(what.link)
    else:
        world.network.down.discard(what.link)
    return f"{what.link} {what.state}"
