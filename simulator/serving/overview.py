"""What the page in the browser shows of a served world, as one answer: ``GET /state``.

Whoever has seen one state asks for the next with its ``change``, and is answered once something has changed. While time
runs that it passes is no change: a client reckons it by the pace.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from pwsync.settings import PASSWORD_INTERVAL
from simulator.network import CRASHED, FAILED
from simulator.scenario.fault_models import EFFECTS, WIRES
from simulator.scenario.values import format_duration
from simulator.serving.people import STANDINGS, Everybody

if TYPE_CHECKING:
    from simulator.network import ArmedFault, Attempt
    from simulator.serving.time import WorldTime
    from simulator.world import World

LEVELS: Final = ("error", "warning", "information")
CYCLES: Final = 12
"""As many cycles are shown."""
TEXT_MAX: Final = 4000
"""Longer texts of events are cut."""


@dataclass(frozen=True)
class Question:
    """What of a state is wanted. event_id: one number, or 0 for all. No levels or standings: none of them is shown."""

    search: str = ""
    standings: frozenset[str] = frozenset(STANDINGS)
    first: int = 0
    count: int = 50
    levels: frozenset[str] = frozenset(LEVELS)
    event_id: int = 0
    events: int = 100


class Overview:
    """Reads states of a world. Calls must hold the world's lock.

    hosted: the world's own agent runs within. snapshots: those that were taken. agents: how many calls came from agents
    that are processes of their own.
    """

    def __init__(
        self,
        world: World,
        time: WorldTime,
        *,
        hosted: bool,
        snapshots: Callable[[], list[dict[str, Any]]],
        agents: Callable[[], int],
    ) -> None:
        self.everybody = Everybody(world)
        self._world = world
        self._time = time
        self._hosted = hosted
        self._snapshots = snapshots
        self._agents = agents

    def pulse(self) -> tuple[object, ...]:
        """Something that is another whenever a state may be another one; costs little."""
        world, network = self._world, self._world.network
        return (
            self._time.pace or world.clock(), len(world.trace.lines), len(world.events), len(world.cycles),
            len(network.attempts), network.attempts[-1].sequence if network.attempts else 0,
            tuple((each.matched, each.fired) for each in network.faults), tuple(network.down),
            len(world.tenant.writes), len(world.tenant.users), len(world.people), self._agents(),
            *(domain.version for domain in world.domains),
            *(each.state for domain in world.domains for each in domain.controllers.values()),
            world.host.running, tuple(world.tenant.features), tuple(self._federated()),
            *(farm["up"] for farm in self._services()),
            tuple(each["name"] for each in self._snapshots()), self.everybody.is_old(),
        )  # fmt: skip

    def state(self, question: Question) -> dict[str, Any]:
        """Everything that the page shows, with its ``change``."""
        world = self._world
        told: dict[str, Any] = {
            "pace": self._time.pace,
            "world": {
                "profile": world.profile.name,
                "tenant": world.tenant.tenant_domain,
                "started": world.start.isoformat(),
                "domains": [domain.name for domain in world.domains],
            },
            "agent": self._agent(),
            "users": self.everybody.page(
                search=question.search, standings=question.standings, first=question.first, count=question.count
            ),
            "events": self._events(question),
            "cycles": list(self._cycles()),
            "links": self._links(),
            "controllers": self._controllers(),
            "services": list(self._services()),
            "faults": [_fault(each) for each in world.network.faults],
            "wires": list(WIRES),
            "snapshots": self._snapshots(),
        }
        now = world.clock().isoformat()
        seen = told if self._time.pace else told | {"now": now}
        octets = json.dumps(seen, separators=(",", ":")).encode()
        return told | {"now": now, "change": hashlib.sha256(octets).hexdigest()[:16]}

    # --- the agent

    def _agent(self) -> dict[str, Any]:
        world, host, tenant = self._world, self._world.host, self._world.tenant
        due = host.next_due() if self._hosted else None
        return {
            "here": self._hosted,
            "state": self._agent_state(),
            "pending": len(world.pending()) if host.running else 0,
            "next": {
                "password": self._next(PASSWORD_INTERVAL),
                "object": self._next(world.settings.object_interval) if host.running else None,
                "any": None if due is None else due.isoformat(),
            },
            "heartbeat": None if tenant.last_ping is None else tenant.last_ping.isoformat(),
            "contact": None if tenant.last_contact is None else tenant.last_contact.isoformat(),
            "alert": tenant.alert(world.clock()),
        }

    def _agent_state(self) -> str:
        host = self._world.host
        if not self._hosted:
            return "elsewhere" if self._agents() else "none"
        return "running" if host.running else "stopped" if host.installed else "not-installed"

    def _next(self, interval: timedelta) -> str | None:
        """The next start on the grid that began with the service; None while it is stopped."""
        world = self._world
        if not world.host.running or not world.grid_starts:
            return None
        began, now = world.grid_starts[-1], world.clock()
        return (began + interval * ((now - began) // interval + 1)).isoformat()

    def _cycles(self) -> Iterator[dict[str, Any]]:
        """The last cycles of the agent within, newest first, each with what its calls came to."""
        world = self._world
        attempts = world.network.attempts
        until = len(attempts)
        for cycle in islice(reversed(world.cycles), CYCLES):
            begin = min(cycle.attempts_before, until)
            # Of a world that stands for long the oldest calls are forgotten, and the numbers of later ones smaller.
            yield _cycle(
                cycle.kind, cycle.started, [each for each in attempts[begin:until] if each.started >= cycle.started]
            )
            until = begin

    # --- the rest

    def _events(self, question: Question) -> list[dict[str, Any]]:
        found = (
            each
            for each in reversed(self._world.events)
            if each.level in question.levels and question.event_id in (0, each.id)
        )
        return [
            {
                "time": each.time.isoformat(),
                "id": each.id,
                "level": each.level,
                "source": each.source,
                "text": each.text if len(each.text) <= TEXT_MAX else f"{each.text[:TEXT_MAX]} ...",
            }
            for each in islice(found, question.events)
        ]

    def _links(self) -> list[dict[str, Any]]:
        world = self._world
        return [{"link": link, "up": link not in world.network.down}
                for link in ("cloud", *(domain.name for domain in world.domains))]  # fmt: skip

    def _controllers(self) -> list[dict[str, Any]]:
        return [
            {"controller": f"{name}.{domain.name}", "state": controller.state, "behind": _is_behind(domain, name)}
            for domain in self._world.domains
            for name, controller in domain.controllers.items()
        ]

    def _services(self) -> Iterator[dict[str, Any]]:
        """Federation servers and the managed domain, where the world has them."""
        world, tenant = self._world, self._world.tenant
        federated = list(self._federated())
        if federated:
            for host, farm in world.farms.by_host.items():
                yield {"service": "adfs", "name": host, "up": farm.up, "detail": f"signs in {', '.join(federated)}"}
        if tenant.domain_services is not None:
            yield {
                "service": "domain-services", "name": tenant.domain_services.domain.name, "up": True,
                "detail": "Domain Services, managed domain",
            }  # fmt: skip

    def _federated(self) -> Iterator[str]:
        """Those of the world's domains that sign in at a farm."""
        for domain in self._world.domains:
            if self._world.tenant.federated_domains.trust(domain.name) is not None:
                yield domain.name


def _is_behind(domain: Any, name: str) -> bool:
    return bool(domain.lags(name))


def _cycle(kind: str, started: datetime, attempts: list[Attempt]) -> dict[str, Any]:
    failed = [each for each in attempts if each.outcome in (FAILED, CRASHED)]
    sent = [each for each in attempts if each.on == "cloud.set-passwords"]
    outcome = "crashed" if any(each.outcome == CRASHED for each in failed) else "failed" if failed else "ok"
    why = failed[-1] if failed else None
    return {
        "kind": kind,
        "started": started.isoformat(),
        "outcome": outcome,
        "calls": len(attempts),
        "passwords": sum(len(each.users) for each in sent if each.outcome == "ok"),
        "detail": "" if why is None else f"{why.on}: {why.detail or why.outcome}",
    }


def _fault(armed: ArmedFault) -> dict[str, Any]:
    """A rule in a few words, and how often it was met."""
    rule = armed.rule
    words = [f"{name.replace('_', '-')} {_word(getattr(rule, name))}".removesuffix(" yes")
             for name in (*EFFECTS, "retry_after", "delay") if getattr(rule, name) not in (None, False)]  # fmt: skip
    where = [f"{name} {_word(getattr(rule, name))}"
             for name in ("user", "domain", "controller", "call", "times", "between")
             if getattr(rule, name) is not None]  # fmt: skip
    return {
        "on": rule.on,
        "does": ", ".join(words),
        "when": ", ".join(where) or "always",
        "matched": armed.matched,
        "fired": armed.fired,
    }


def _word(value: object) -> str:
    if value is True:
        return "yes"
    if isinstance(value, timedelta):
        return format_duration(value)
    if isinstance(value, tuple):
        return " to ".join(f"+{_word(each)}" for each in value)
    return str(value)
