"""Calm endings: what holds a run back is taken away, and everything gets the time to arrive.

The holds are those that the invariant ``converges`` names. They are taken away by actions of the scenario format, so
that an ending can be written into a scenario file, line by line, and means the same there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from pwsync.errors import Refused
from pwsync.settings import PASSWORD_INTERVAL
from simulator.active_directory.state import RIGHTS, Domain
from simulator.host import RESTART_AFTER
from simulator.network import OK, Attempt
from simulator.queue import Rank
from simulator.refusal import Refusal
from simulator.scenario.actions import perform
from simulator.scenario.model import ACTIONS
from simulator.scenario.sessions import Sessions
from simulator.world import World

CYCLES = 3
"""Password cycles after the next object cycle by which everything must have arrived (invariant ``converges``)."""

BREATH = timedelta(minutes=1)
"""Between the last instant of a scenario and its calm ending, so that nothing is started twice in one instant."""

WAITS_MAX = 50
"""So often the end is put off because of a pause that the tenant asked for, or a controller that lags behind."""


def faults_off(world: World) -> None:
    """No fault fires any more. Links and everything else that an action has changed stay as they are."""
    world.network.faults = []


def release(world: World) -> list[Any]:
    """Actions of the format that take away every hold there is now, in the order in which they must come."""
    found = list(_of_the_surroundings(world))
    if world.host.installed:
        found += _of_the_agent(world)
    return found


def take_away(world: World, actions: Iterable[Any], sessions: Sessions | None = None) -> list[str]:
    """Perform actions of an ending; returns the names of those that were refused (a set-up without objects, say)."""
    refused = []
    for what in actions:
        try:
            told = perform(world, what, sessions or Sessions())
        except (Refusal, Refused):
            refused.append(what.name)
        else:
            world.trace.say("people", f"{what.name} {getattr(what, 'user', None) or ''} {told}")
    return refused


def rest(world: World) -> timedelta:
    """How long everything needs to arrive, at most, if nothing holds it back from now on.

    That is the next object cycle and :data:`CYCLES` further password cycles, with the time that the service manager
    takes to start a service that died, and one password cycle more for a start on a grid that has just been missed.
    """
    interval = max(world.settings.object_interval, PASSWORD_INTERVAL)
    return RESTART_AFTER + interval + (CYCLES + 2) * PASSWORD_INTERVAL


def settle(world: World, *, longest: timedelta = timedelta(days=30)) -> None:
    """Let the time pass that everything needs to arrive: :func:`rest`, and again after each pause and lag.

    A pause that the tenant has asked for is waited out, unless it is longer than ``longest``. Judged are all instants,
    as always. Faults, links and settings are left alone.
    """
    last = world.clock() + longest
    world.run_until(world.clock() + rest(world))
    for _ in range(WAITS_MAX):
        until = pause_until(world)
        if until is not None and world.clock() < until + rest(world) and until <= last:
            world.run_until(until + rest(world))
        elif world.clock() < last and any(_will_catch_up(domain) for domain in world.domains):
            world.run_until(world.clock() + rest(world))
        else:
            return


def calm(world: World, sessions: Sessions | None = None) -> list[Any]:
    """The whole ending: no more faults, a breath, no more holds, time to settle. Returns the actions that it took."""
    faults_off(world)
    actions = release_after_breath(world, sessions)
    settle(world)
    return actions


def release_after_breath(world: World, sessions: Sessions | None = None) -> list[Any]:
    """Let :data:`BREATH` pass, and take away the holds that there are then, before that instant's cycles.

    Returns the actions. As in a scenario, they are the first thing in their instant.
    """
    taken: list[Any] = []

    def take() -> None:
        taken.extend(release(world))
        take_away(world, taken, sessions)

    when = world.clock() + BREATH
    world.queue.push(when, Rank.ACTION, take)
    world.run_until(when)
    return taken


def pause_until(world: World) -> datetime | None:
    """Until when the tenant has asked the agent to pause; None if it never did. It may be over."""
    paused = [
        attempt.ended + timedelta(seconds=attempt.retry_after)
        for attempt in world.network.attempts
        if attempt.retry_after and attempt.answered and attempt.ended is not None
    ]
    return paused[-1] if paused else None


def _will_catch_up(domain: Domain) -> bool:
    """Whether a controller lags behind only because replication takes its time."""
    return domain.lags() and all(controller.state == "up" for controller in domain.controllers.values())


def _of_the_surroundings(world: World) -> Iterator[Any]:
    for link in sorted(world.network.down):
        yield action("network.set-link", link=link, state="up")
    for domain in world.domains:
        for controller in domain.controllers.values():
            if controller.state != "up":
                yield action("ad.set-controller", controller=controller.name, domain=domain.name, state="up")
        held = domain.rights_of(domain.find(domain.connector_account()[0]).entry)
        for right in RIGHTS:
            if right not in held:
                yield action("ad.grant", right=right, domain=domain.name)
    if "password-sync" not in world.tenant.features:
        yield action("cloud.set-feature", password_sync="on")  # noqa: S106 - a switch, not a secret
    if world.server.fips:
        yield action("server.set-fips", enabled=False)


def _of_the_agent(world: World) -> Iterator[Any]:
    passwords = {connector.domain: connector.password for connector in world.settings.connectors}
    again = world.server.locked
    for domain in world.domains:
        if domain.name in passwords and passwords[domain.name] != domain.connector_account()[1]:
            yield action("ad.set-connector-password", domain=domain.name, known_to_agent=True)
            again = True
        again = again or _was_refused(world.network.attempts, domain.name)
    if world.settings.staging:
        yield action("agent.configure", staging=False)
    for name in sorted(world.sync_off, key=str):
        yield action("agent.enable-password-sync", **({} if name is None else {"domain": name}))
    if not world.host.running:
        yield action("agent.start")
    elif again:
        yield action("agent.restart")


def _was_refused(attempts: Iterable[Attempt], domain: str) -> bool:
    """Whether the last read of a domain failed: the process may still have an old connector password in memory."""
    reads = [attempt.outcome for attempt in attempts if attempt.domain == domain and attempt.on != "directory.search"]
    return bool(reads) and reads[-1] != OK


def action(name: str, **arguments: Any) -> Any:
    """An action of the format, made in Python. Raises pydantic's ValidationError."""
    return ACTIONS[name](**arguments)
