"""The wires between agent, directory and tenant, and the store's commits: everything that can fail, fails here.

Every attempt of the agent to use a wire goes through :meth:`Network.carry`. It is counted, takes its time, meets the
first fault rule that matches it, and leaves a record. The wires themselves (LDAP, replication, HTTP) hand in what to
perform and how a broken connection looks to their client; this module knows none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from simulator.trace import Trace

T = TypeVar("T")

OK, FAILED, CRASHED, REDIRECTED = "ok", "failed", "crashed", "redirected"


class AgentCrash(BaseException):
    """The agent's process dies here. Not an Exception: no handler of the agent may catch it."""


@dataclass(slots=True)
class Attempt:
    """One use of a wire, or one commit, by the agent.

    ``outcome``: ``ok``, ``failed``, ``crashed``, ``redirected``; ``arrived``: the other end carried it out, whatever
    came back; ``answered``: the agent saw the answer; ``retry_after``: the pause (seconds) that the answer asked for;
    ``users``: whose credentials it carries (handles); ``endpoint``: ``regional`` or ``well-known`` for a call to the
    provisioning service.
    """

    sequence: int
    on: str
    started: datetime
    domain: str | None = None
    controller: str | None = None
    users: Sequence[str] = ()
    ended: datetime | None = None
    outcome: str = OK
    detail: str = ""
    arrived: bool = False
    answered: bool = True
    retry_after: float | None = None
    content: Any = None
    item_results: Mapping[str, int] = field(default_factory=dict)
    endpoint: str | None = None


@dataclass(slots=True)
class ArmedFault:
    """A rule of a scenario's ``faults`` (keys that it does not have are None), with its counters.

    ``matched``: attempts that it fits; ``fired``: those that it took.
    """

    rule: Any
    index: int
    matched: int = 0
    fired: int = 0

    def concerns(self, on: str | None) -> bool:
        """Whether the rule may be about attempts on a wire; on any of them, if none is named."""
        return on is None or self.rule.on in (on, f"{_kind(on)}.any")

    def fits(self, attempt: Attempt) -> bool:
        """Whether the rule is about this kind of attempt at all; time and counts not asked."""
        rule = self.rule
        on = rule.on
        if on != attempt.on and not (on.endswith(".any") and attempt.on.startswith(on[:-3])):
            return False
        if rule.domain is not None and rule.domain != attempt.domain:
            return False
        if rule.controller is not None and rule.controller != attempt.controller:
            return False
        if rule.endpoint is not None and rule.endpoint != attempt.endpoint:
            return False
        return rule.user is None or rule.user in attempt.users

    def takes(self, offset: timedelta) -> bool:
        """Count one more fitting attempt and say whether the rule takes it."""
        taken = self.would_take(offset)
        if self._counts(offset):
            self.matched += 1
        return taken

    def would_take(self, offset: timedelta) -> bool:
        """Whether the rule would take one more fitting attempt; it is not counted."""
        rule, number = self.rule, self.matched + 1
        if rule.call is not None and number != rule.call:
            return False
        if rule.times is not None and number > rule.times:
            return False
        return self._is_within(offset)

    def _counts(self, offset: timedelta) -> bool:
        """Whether a fitting attempt counts: for ``call`` all from ``+0s``, for ``times`` those of the rule's window."""
        return self.rule.call is not None or self._is_within(offset)

    def _is_within(self, offset: timedelta) -> bool:
        return self.rule.between is None or self.rule.between[0] <= offset <= self.rule.between[1]

    def may_fire(self, offset: timedelta) -> bool:
        """Whether any later attempt could still be taken."""
        rule = self.rule
        if rule.call is not None and self.matched >= rule.call:
            return False
        if rule.times is not None and self.matched >= rule.times:
            return False
        return rule.between is None or offset <= rule.between[1]


def _kind(on: str) -> str:
    """The kind of a wire: cloud, directory or store."""
    return on.partition(".")[0]


@dataclass(slots=True)
class Wire(Generic[T]):
    """How one kind of wire performs a call and how its failures look to the client.

    perform: delivers the call; takes injected item results (user handle -> code).
    broken: a word (``lost``, ``connection-refused``, ``timeout``, ``tls``, ``link-down``) or a Win32 code -> the
        client's exception.
    answered: a rule with ``answer`` or ``fault`` -> the answer that the client gets instead.
    garble: an answer -> the same, unreadable.
    failed: an answer -> a short text if it tells of failure, with the pause that it asks for; None if it is good.
    """

    perform: Callable[[Mapping[str, int]], T]
    broken: Callable[[str | int], Exception]
    answered: Callable[[Any], T] | None = None
    garble: Callable[[T], T] | None = None
    failed: Callable[[T], tuple[str, float | None] | None] = field(default=lambda answer: None)


class Network:
    """All wires of one world."""

    def __init__(
        self,
        clock: Callable[[], datetime],
        trace: Trace,
        wait: Callable[[timedelta], None],
        faults: Sequence[Any] = (),
        *,
        cloud_latency: timedelta = timedelta(0),
        directory_latency: timedelta = timedelta(0),
    ) -> None:
        self._clock = clock
        self._trace = trace
        self._wait = wait
        self._latency = {"cloud": cloud_latency, "directory": directory_latency, "store": timedelta(0)}
        self.faults: list[ArmedFault] = []
        self.arm(faults)
        self.attempts: list[Attempt] = []
        self.down: set[str] = set()
        self.watchers: list[Callable[[Attempt], None]] = []
        self.counting = False
        self.observed = False

    def arm(self, rules: Sequence[Any]) -> None:
        """These rules of a scenario's ``faults`` are in force, and no others."""
        self.faults = [ArmedFault(rule, index) for index, rule in enumerate(rules)]

    def begin(self) -> None:
        """Count, record and break from now on; what came before is forgotten."""
        self.attempts.clear()
        self.counting = True

    def assume(self, on: str) -> None:
        """Record an attempt that is taken as made, and that succeeded."""
        attempt = Attempt(len(self.attempts) + 1, on, self._clock())
        self.attempts.append(attempt)
        self._close(attempt, OK, "", None)

    @contextmanager
    def off_record(self) -> Iterator[None]:
        """Calls in this block are not counted, not traced, and meet no fault."""
        counting, self.counting = self.counting, False
        try:
            yield
        finally:
            self.counting = counting

    @contextmanager
    def observing(self) -> Iterator[None]:
        """Calls in this block take no time and are neither counted nor traced.

        They find links and faults as an attempt would that is made now, and use no fault up; a crash does not happen.
        """
        before, self.observed = self.observed, True
        try:
            yield
        finally:
            self.observed = before

    def unfired(self) -> list[ArmedFault]:
        """Rules that took no attempt."""
        return [fault for fault in self.faults if not fault.fired]

    def quiet(self) -> bool:
        """Whether no fault can fire any more and every link is up, so that calls go through at once."""
        return not (self.down or any(self._latency.values())) and self.undisturbed()

    def undisturbed(self, on: str | None = None) -> bool:
        """Whether no fault can fire any more and every link is up, of one wire or of all; calls may take time."""
        kinds = self._latency if on is None else (_kind(on),)
        if any(("cloud" if link == "cloud" else "directory") in kinds for link in self.down):
            return False
        offset = self._trace.offset()
        return not any(fault.may_fire(offset) for fault in self.faults if fault.concerns(on))

    def latency(self, on: str) -> timedelta:
        """How long each call on a wire takes."""
        return self._latency[_kind(on)]

    def link_is_up(self, attempt: Attempt) -> bool:
        """Whether the link that this attempt needs is up."""
        link = "cloud" if attempt.on.startswith("cloud.") else attempt.domain
        return link not in self.down

    def carry(
        self,
        on: str,
        wire: Wire[T],
        *,
        domain: str | None = None,
        controller: str | None = None,
        users: Sequence[str] = (),
        content: Any = None,
        endpoint: str | None = None,
    ) -> T:
        """Carry one attempt over a wire; returns the answer or raises what the client would see."""
        attempt = Attempt(len(self.attempts) + 1, on, self._clock(), domain, controller, users, content=content)
        attempt.endpoint = endpoint
        if not self.counting:
            return wire.perform({})
        if self.observed:
            return self._observe(attempt, wire)
        self.attempts.append(attempt)
        fault, item_results, delay = self._match(attempt)
        if item_results:
            attempt.item_results = item_results
        try:
            answer = self._deliver(attempt, wire, fault.rule if fault else None, item_results, delay)
        except AgentCrash:
            self._close(attempt, CRASHED, "the agent died", fault)
            raise
        except Exception as error:
            self._close(attempt, FAILED, attempt.detail or str(error), fault)
            raise
        trouble = wire.failed(answer)
        if trouble is None:
            self._close(attempt, OK, "", fault)
        else:
            attempt.retry_after = trouble[1]
            outcome = REDIRECTED if trouble[0] == REDIRECTED else FAILED
            self._close(attempt, outcome, trouble[0], fault)
        return answer

    def _observe(self, attempt: Attempt, wire: Wire[T]) -> T:
        self._check_link(attempt, wire)
        offset = self._trace.offset()
        rules = (fault.rule for fault in self.faults if fault.fits(attempt) and fault.would_take(offset))
        rule = next((rule for rule in rules if rule.result is None), None)
        if rule is None or rule.crash is not None or rule.duplicate:
            return wire.perform({})
        return self._deliver_badly(attempt, wire, rule, {})

    def _match(self, attempt: Attempt) -> tuple[ArmedFault | None, dict[str, int], timedelta]:
        """The first rule that takes the attempt, item results by user, and the delay that comes with them.

        Rules on single items go side by side; of their delays the longest counts.
        """
        results: dict[str, int] = {}
        taken: ArmedFault | None = None
        delay = timedelta(0)
        offset = self._trace.offset()
        for fault in self.faults:
            if not fault.fits(attempt) or not fault.takes(offset):
                continue
            if fault.rule.result is None:
                if taken is None and not results:
                    taken = fault
                    fault.fired += 1
                    delay = fault.rule.delay or delay
                continue
            if taken is not None:
                continue
            users = [fault.rule.user] if fault.rule.user is not None else list(attempt.users)
            fresh = [user for user in users if user not in results]
            for user in fresh:
                results[user] = fault.rule.result
            if fresh:
                fault.fired += 1
                delay = max(delay, fault.rule.delay or delay)
        return taken, results, delay

    def _deliver(self, attempt: Attempt, wire: Wire[T], rule: Any, results: Mapping[str, int], delay: timedelta) -> T:
        self._check_link(attempt, wire)
        pause = self.latency(attempt.on) + delay
        if pause:
            self._wait(pause)
            self._check_link(attempt, wire)
        if rule is None:
            attempt.arrived = True
            return wire.perform(results)
        return self._deliver_badly(attempt, wire, rule, results)

    def _deliver_badly(self, attempt: Attempt, wire: Wire[T], rule: Any, results: Mapping[str, int]) -> T:
        if rule.crash == "before":
            raise AgentCrash
        if rule.fail is not None:
            attempt.answered = False
            attempt.detail = f"fails with {rule.fail}"
            raise wire.broken(rule.fail)
        if rule.answer is not None or rule.fault is not None:
            if wire.answered is None:
                raise ValueError(f"{attempt.on} has no answers to inject")
            return wire.answered(rule)
        if rule.lose == "request":
            attempt.answered = False
            attempt.detail = "request lost"
            raise wire.broken("lost")
        attempt.arrived = True
        answer = wire.perform(results)
        if rule.duplicate:
            answer = wire.perform(results)
        if rule.crash == "after":
            raise AgentCrash
        if rule.lose == "response":
            attempt.answered = False
            attempt.detail = "answer lost"
            raise wire.broken("lost")
        if rule.corrupt:
            attempt.answered = False
            attempt.detail = "answer garbled"
            if wire.garble is None:
                raise wire.broken("lost")
            return wire.garble(answer)
        return answer

    def _check_link(self, attempt: Attempt, wire: Wire[T]) -> None:
        if not self.link_is_up(attempt):
            attempt.answered = False
            attempt.detail = "link is down"
            raise wire.broken("link-down")

    def _close(self, attempt: Attempt, outcome: str, detail: str, fault: ArmedFault | None) -> None:
        attempt.ended = self._clock()
        if outcome == OK and attempt.detail:
            outcome, detail = FAILED, attempt.detail
        attempt.outcome = outcome
        attempt.detail = detail
        for watch in self.watchers:
            watch(attempt)
        if fault is None and outcome == OK and not attempt.on.startswith("cloud."):
            return
        where = f" {attempt.controller}.{attempt.domain}" if attempt.controller else ""
        whom = f" [{' '.join(attempt.users)}]" if attempt.users else ""
        why = f" (fault {fault.index + 1})" if fault else ""
        told = f": {detail}" if detail else ""
        told += "".join(f" ({user}: injected result {code})" for user, code in attempt.item_results.items())
        self._trace.say("wire", f"{attempt.on}{where}{whom} {outcome}{told}{why}")
