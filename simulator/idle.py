"""Idle time: cycles in which nothing can happen are passed by, and leave the trace that they would have left.

A cycle is passed by only if the agent says that nothing is pending, nothing failing and no pause in force, if the
directory has not changed since it was last read, all its controllers have the same, no fault can fire any more, no link
is down and no call takes time. An agent that can't say so (it has no ``idle_until``) runs every cycle.
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
        if attempt.on == "directory.read-passwords":
            self._read[attempt.domain] = version
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
        if until is None:
            self._make_good()
            return False
        agent: Any = world.host.agent
        head = world.queue.head()
        stop = limit if head is None else min(limit, head)
        when: datetime | None = key[0]
        # Nothing but these cycles happens up to there, so that only the agent has to be asked again.
        while until is not None and when is not None and (when, int(Rank.CYCLE)) < stop:
            if when >= until:
                world.move_to(when)
                self._assume(agent)
                until = agent.idle_until()
            else:
                self._skip(agent, when, min(stop, (until, int(Rank.CYCLE))))
            if once:
                break
            when = world.host.next_due()
        return True

    def _skip(self, agent: Any, when: datetime, end: Key) -> None:
        """Take the password cycles from ``when`` up to ``end`` as run."""
        while (when, int(Rank.CYCLE)) < end:
            self._world.note_cycle("password", when)
            when += PASSWORD_INTERVAL
        agent.skip_to(when)
        self._world.move_to(when - PASSWORD_INTERVAL)

    def _assume(self, agent: Any) -> None:
        self._owed = True
        agent.assume_idle(self._made)

    def _made(self, on: str) -> None:
        self._world.network.assume(on)
        if on == "cloud.ping":
            self._world.tenant.contact(ping=True)

    def _make_good(self) -> None:
        if self._owed:
            self._owed = False
            agent: Any = self._world.host.agent
            with self._world.network.off_record(), suppress(TenantError):
                agent.make_good()  # refused now, it is asked for again by the call that needs it, and counts there

    def _idle_until(self) -> datetime | None:
        world = self._world
        agent = world.host.agent
        idle_until = getattr(agent, "idle_until", None)
        if idle_until is None or not world.network.quiet() or "password-sync" not in world.tenant.features:
            return None
        if not all(self._unchanged(domain) for domain in world.domains):
            return None
        found: datetime | None = idle_until()
        return found

    def _unchanged(self, domain: Domain) -> bool:
        version = domain.version
        if self._read.get(domain.name) != version or self._imported.get(domain.name) != version:
            return False
        return not domain.lags() and readable(domain)
