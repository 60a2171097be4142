"""What a scenario expects: one function per expectation of the scenario format. They observe and change nothing.

Each returns a :class:`Verdict`; ``got`` says what was there instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pwsync.diagnose import NOT_RUNNING
from pwsync.diagnosis import OK, Diagnosis
from pwsync.event_log import Event
from simulator.farms import look_at_sign_in
from simulator.network import Attempt
from simulator.refusal import Refusal
from simulator.scenario.sessions import Sessions
from simulator.scenario.values import format_offset
from simulator.world import World


@dataclass(frozen=True)
class Verdict:
    """Whether an expectation holds, what it wanted, and what was there."""

    held: bool
    expected: str
    got: str


ExpectationFunction = Callable[[World, Any, Sessions], Verdict]

EXPECTATIONS: dict[str, ExpectationFunction] = {}


def expectation(name: str) -> Callable[[ExpectationFunction], ExpectationFunction]:
    """Register the function for an expectation's name."""

    def register(function: ExpectationFunction) -> ExpectationFunction:
        EXPECTATIONS[name] = function
        return function

    return register


def judge(world: World, what: Any, sessions: Sessions) -> Verdict:
    """Judge an expectation of a scenario."""
    return EXPECTATIONS[what.name](world, what, sessions)


def same(expected: object, got: object) -> Verdict:
    """A verdict on two values that should be equal."""
    return Verdict(expected == got, str(expected), str(got))


def since(world: World, what: Any) -> datetime:
    """From when on an expectation counts; the run's start if it does not say."""
    return world.start + (what.since if what.since is not None else timedelta(0))


def counted(what: Any, noun: str, found: Iterable[object]) -> Verdict:
    """A verdict on how many there were."""
    number = sum(1 for _ in found)
    return Verdict(what.count.matches(number), f"{what.count} {noun}", str(number))


@expectation("cloud.sign-in")
def sign_in(world: World, what: Any, sessions: Sessions) -> Verdict:
    answer = look_at_sign_in(world, world.upn(what.user), what.password)
    code = f" (AADSTS{answer.aadsts})" if answer.aadsts else ""
    held = answer.result == what.result and what.via in (None, answer.via)
    how = f"{answer.result}{code}" + (f" via {answer.via}" if what.via else "")
    return Verdict(held, what.result + (f" via {what.via}" if what.via else ""), how)


@expectation("cloud.session")
def session(world: World, what: Any, sessions: Sessions) -> Verdict:
    access, refresh = world.tenant.session_state(sessions.find(what.as_))
    wanted, got = [], []
    for name, want, have in (("access", what.access, access), ("refresh", what.refresh, refresh)):
        if want is not None:
            wanted.append(f"{name} {want}")
            got.append(f"{name} {have}")
    return same(", ".join(wanted), ", ".join(got))


@expectation("cloud.user")
def cloud_user(world: World, what: Any, sessions: Sessions) -> Verdict:
    user = world.cloud_user(what.user)
    facts: dict[str, object] = {"exists": user is not None}
    if user is not None:
        facts |= {
            "enabled": user.enabled,
            "source": user.source,
            "expires": world.tenant.expires(user),
            "must_change": user.must_change,
            "synced_object": user.source_anchor is not None,
        }
    wanted, got = [], []
    held = True
    for key in ("exists", "enabled", "source", "expires", "must_change", "synced_object"):
        want = getattr(what, key)
        if want is None:
            continue
        have = facts.get(key, "no such user")
        if key == "expires":
            want = "never" if want == "never" else world.start + want
            have = "never" if have is None else have
        held = held and want == have
        wanted.append(f"{key.replace('_', '-')} {tell(world, want)}")
        got.append(f"{key.replace('_', '-')} {tell(world, have)}")
    return Verdict(held, ", ".join(wanted), ", ".join(got))


def tell(world: World, value: object) -> str:
    """A value as the file would write it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return format_offset(value - world.start)
    return str(value)


@expectation("cloud.history")
def history(world: World, what: Any, sessions: Sessions) -> Verdict:
    return same(labels(world, what.user, what.is_), " ".join(history_of(world, what.user)) or "none")


def labels(world: World, user: str, passwords: Iterable[str]) -> str:
    """Passwords as labels."""
    return " ".join(world.passwords.label(user, password) for password in passwords) or "none"


def history_of(world: World, handle: str) -> list[str]:
    """Labels of the passwords that the tenant held for a user since the start, oldest first, none twice in a row."""
    held: list[str] = []
    for credential in world.credentials_held(handle):
        found = world.passwords.identify(handle, credential)
        label = world.passwords.label(handle, found) if found is not None else f"{handle}#?"
        if not held or held[-1] != label:
            held.append(label)
    return held


@expectation("cloud.writes")
def writes(world: World, what: Any, sessions: Sessions) -> Verdict:
    first = since(world, what)
    found = [
        write
        for write in world.writes()
        if write.at >= first
        and (what.by is None or write.by == what.by)
        and (what.user is None or world.handle_of_cloud_id(write.user_id) == what.user)
    ]
    return counted(what, "writes", found)


@expectation("cloud.received")
def received(world: World, what: Any, sessions: Sessions) -> Verdict:
    first = since(world, what)
    order = [
        world.handle_of_cloud_id(write.user_id) or write.user_id
        for write in world.writes()
        if write.by == "sync" and write.at >= first
    ]
    return same(" ".join(what.is_) or "none", " ".join(order) or "none")


@expectation("cloud.calls")
def calls(world: World, what: Any, sessions: Sessions) -> Verdict:
    first = since(world, what)
    found = [
        attempt for attempt in world.network.attempts if attempt.started >= first and about(attempt, what.operation)
    ]
    return counted(what, f"calls of {what.operation or 'any kind'}", found)


def about(attempt: Attempt, operation: str | None) -> bool:
    """Whether an attempt to call the tenant is of the operation that an expectation names; None: of any."""
    if operation is None or operation == "cloud.any":
        return attempt.on.startswith("cloud.")
    return attempt.on == operation


@expectation("ad.logon")
def logon(world: World, what: Any, sessions: Sessions) -> Verdict:
    try:
        result = world.home(what.user).logon(what.user, what.password, on=what.on, observe=True)
    except Refusal as refusal:
        result = refusal.reason
    return same(what.result, result)


@expectation("domain-services.logon")
def domain_services_logon(world: World, what: Any, sessions: Sessions) -> Verdict:
    services = world.tenant.domain_services
    if services is None:
        return same(what.result, "unknown-user")
    from simulator.domain_services.logon import logon as log_on

    domain, user = services.domain, world.cloud_user(what.user)
    account = (None if user is None else domain.account(user.id)) or domain.principal(what.user)
    name = what.user if account is None else account.upn if what.method == "ldap" else account.name
    with world.randomness.kept():
        got = log_on(
            what.method, domain.principal, name, what.password, world.clock, world.randomness,
            domain=domain.name, netbios=domain.netbios,
        )  # fmt: skip
    return same(what.result, got)


@expectation("event-log")
def event_log(world: World, what: Any, sessions: Sessions) -> Verdict:
    first = since(world, what)
    found = [event for event in world.events if event.time >= first and matches(world, event, what)]
    return counted(what, "events", found)


def matches(world: World, event: Event, what: Any) -> bool:
    """Whether an event is one that an expectation speaks of."""
    if what.id is not None and event.id != what.id:
        return False
    if what.level is not None and event.level != what.level:
        return False
    if what.domain is not None and event.domain != what.domain:
        return False
    if what.contains is not None and what.contains.casefold() not in event.text.casefold():
        return False
    if what.user is None:
        return True
    person = world.people.get(what.user)
    return person is not None and any(anchor in event.users for anchor in world.anchors(what.user))


@expectation("agent.pending")
def pending(world: World, what: Any, sessions: Sessions) -> Verdict:
    got = [world.handle_of_anchor(anchor) for anchor in world.pending()]
    wanted = [] if what.is_ == "none" else list(what.is_)
    return same(" ".join(wanted) or "none", " ".join(got) or "none")


@expectation("agent.status")
def status(world: World, what: Any, sessions: Sessions) -> Verdict:
    anchor = world.anchor(what.user)
    got = "none" if anchor is None or not world.host.installed else world.host.agent.status(anchor)
    return same(what.is_, got)


@expectation("agent.cycles")
def cycles(world: World, what: Any, sessions: Sessions) -> Verdict:
    first = since(world, what)
    found = [
        cycle for cycle in world.cycles if cycle.started >= first and (what.kind is None or cycle.kind == what.kind)
    ]
    return counted(what, f"{what.kind or ''} cycles".strip(), found)


@expectation("agent.diagnosis")
def diagnosis(world: World, what: Any, sessions: Sessions) -> Verdict:
    anchor = None if what.user is None else world.anchor(what.user)
    if what.user is not None and anchor is None:
        raise Refusal("no-such-user", f"{what.user} is not of the directory")
    found: list[Diagnosis | Sequence[str]] = []
    with world.observing():
        world.host.ask(lambda agent: found.append(agent.diagnose(anchor)))
    (answer,) = found
    finds, checks = (answer.finds, answer.checks) if isinstance(answer, Diagnosis) else (tuple(answer), ())
    # That a service is stopped has no word in scenarios, which know best whom they stopped.
    finds = tuple(word for word in finds if word != NOT_RUNNING) or (OK,)
    told = "; ".join(f"{check.subject}: {check.verdict}" for check in checks)
    got = ", ".join(finds) + (f" ({told})" if told else "")
    return Verdict(set(finds) == set(what.finds), ", ".join(what.finds), got)


@expectation("agent.alert")
def alert(world: World, what: Any, sessions: Sessions) -> Verdict:
    return same(what.is_, world.tenant.alert(world.clock()))
