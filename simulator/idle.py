"""Idle time: cycles in which nothing can happen are passed by, and leave the trace that they would have left.

A password cycle is passed by only if the agent says that nothing is pending, nothing failing and no pause in force, if
the directory has not changed since it was last read, all its controllers have the same, reads of passwords meet neither
a fault nor a link that is down, and nothing happens while they take their time. When an object cycle or a heartbeat is
due, too, the same must hold of imports and of calls to the tenant, and none of them may take any time. An agent that
can't say so (it has no ``idle_until``) runs every cycle.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pwsync.errors import TenantError
from pwsync.settings import PASSWORD_INTERVAL
from simulator.active_directory.state import Domain
from simulator.network import OK, Attempt
from simulator.queue import Key, Rank
from simulator.world_facts import readable

if TYPE_CHECKING:
    from simulator.world import World

READ = "directory.read-passwords"
"""All that an idle password cycle attempts."""


class IdleTime:
    """Passes by the idle cycles of one world. ``skipping`` False runs them all."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.skipping = False
        self._read: dict[str, int] = {}
        self._imported: dict[str, int] = {}
        self._bound: dict[str, int] = {}
        self._owed = False

    def note(self, attempt: Attempt) -> None:
        """Remember up to where the agent has read a domain."""
        if attempt.domain is None or attempt.outcome != OK:
            return
        version = self._world.domain(attempt.domain).version
        if attempt.on == READ:
            self._read[attempt.domain] = version  # what changes between two pages comes with the last one
        elif attempt.on == "directory.bind":
            self._bound[attempt.domain] = version
        elif attempt.on == "directory.search":
            # An import that takes time binds first: what changes between its pages is left to the next one.
            self._imported[attempt.domain] = self._bound.get(attempt.domain, version)

    def forget(self) -> None:
        """A new process has begun: what an earlier one had read, and maybe not stored, says nothing of this one."""
        self._read.clear()
        self._imported.clear()
        self._owed = False

    def has_read(self, domain: Domain) -> bool:
        """Whether the agent has read a domain's passwords at all."""
        return domain.name in self._read

    def settled(self) -> None:
        """The agent has imported and read everything before the run, when nobody took notes."""
        for domain in self._world.domains:
            self._read[domain.name] = self._imported[domain.name] = domain.version

    def pass_by(self, key: Key, limit: Key, *, once: bool) -> bool:
        """Pass by the idle cycles from ``key`` up to ``limit``; False if the one at ``key`` is not idle.

        once: one step only, a stretch of password cycles or what is due at one time, since judges wait to see it.
        """
        world = self._world
        # A start that fell due while another cycle ran is no cycle: the agent leaves it out by itself.
        missed = world.host.next_due() != key[0]
        until = self._idle_until() if self.skipping and not missed else None
        head = world.queue.head()
        stop = limit if head is None else min(limit, head)
        when: datetime | None = key[0]
        passed = False
        # Nothing but these cycles happens up to there, so that only the agent has to be asked again.
        while until is not None and when is not None and (when, int(Rank.CYCLE)) < stop:
            agent: Any = world.host.agent
            if when < until:
                if not self._skip(agent, when, min(stop, (until, int(Rank.CYCLE)))):
                    break
            elif agent.imports_idle and self._is_quiet():
                world.move_to(when)
                self._assume(agent)
                until = agent.idle_until()
            else:
                break
            passed = True
            if once:
                break
            when = world.host.next_due()
        return passed

    def _skip(self, agent: Any, when: datetime, end: Key) -> bool:
        """Take the password cycles from ``when`` on as run that are over by ``end``; False if the first one is not."""
        first, busy = when, agent.idle_reads * self._world.network.latency(READ)
        while (when, int(Rank.CYCLE)) < end and (not busy or when + busy < end[0]) and busy < PASSWORD_INTERVAL:
            self._world.note_cycle("password", when)
            when += PASSWORD_INTERVAL
        if when == first:
            return False
        agent.skip_to(when)
        self._world.move_to(when - PASSWORD_INTERVAL)
        return True

    def _assume(self, agent: Any) -> None:
        self._owed = True
        agent.assume_idle(self._made)

    def _made(self, on: str) -> None:
        self._world.network.assume(on)
        if on == "cloud.ping":
            self._world.tenant.contact(ping=True)

    def make_good(self) -> None:
        """A cycle will run: the agent gets what it has only been assumed to have."""
        if self._owed:
            self._owed = False
            agent: Any = self._world.host.agent
            with self._world.network.off_record(), suppress(TenantError):
                agent.make_good()  # refused now, it is asked for again by the call that needs it, and counts there

    def _idle_until(self) -> datetime | None:
        world = self._world
        agent = world.host.agent
        idle_until = getattr(agent, "idle_until", None)
        if idle_until is None or not world.network.undisturbed(READ) or "password-sync" not in world.tenant.features:
            return None
        if not all(self._is_read(domain) for domain in world.domains):
            return None
        found: datetime | None = idle_until()
        return found

    def _is_read(self, domain: Domain) -> bool:
        return self._read.get(domain.name) == domain.version and not domain.lags() and readable(domain)

    def _is_quiet(self) -> bool:
        """Whether imports would bring nothing, and every call would go through at once."""
        imported = all(self._imported.get(domain.name) == domain.version for domain in self._world.domains)
        return imported and self._world.network.quiet()
