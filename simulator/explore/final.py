"""Which expectations are about the final state, and whether they stand at the end of a rerun.

An expectation of the timeline, wherever it stands there, is one about the final state if its kind is in :data:`STATE`
and it holds at the end of the control, once all has settled without a fault. A fault that is over must then make no
difference to it, with these exceptions, each of which the product's rules ask for:

- An action that came to something else than in the control (a user can't change a password that has not arrived) takes
  with it what is expected of its user, or of everybody if it was a switch of the agent; so does a switch that had to
  wait for a cycle to end, or to be turned again after the process died of it.
- A user whom a rule leaves out at the end (disabled, moved away, a temporary password) has in the cloud what was
  there when the rule was seen, and a fault may put that off.
- Where something holds back all passwords at the end (synchronization switched off, staging), a user whose newest one
  has not arrived has in the cloud what had come by then, and a fault may have kept that for too long.
- A password that was not settled when somebody set another in the cloud may still go out, and then overwrites it.
- A history may lack what a newer change has overtaken, and show what in the control was overtaken. It must end as in
  the control, and hold nothing but the user's own passwords; their order is the invariant ``never-older``'s.
- When a synchronized password expires is decided when it is synchronized (``never-expires`` judges that).

Kinds that count or tell of order, and sessions, depend on when things came: the invariants judge those.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pwsync.errors import Refused
from simulator.azure_ad.passwords import POLICY_FOR_SYNCED
from simulator.explore.endings import release
from simulator.refusal import Refusal
from simulator.scenario import expectations
from simulator.scenario.expectations import Verdict, history_of
from simulator.scenario.result import Failure
from simulator.scenario.values import format_offset

if TYPE_CHECKING:
    from simulator.explore.rerun import SweptRun

STATE = frozenset(
    {
        "cloud.sign-in", "cloud.user", "cloud.history", "agent.pending", "agent.status", "agent.diagnosis",
        "agent.alert", "ad.logon", "domain-services.logon",
    }
)  # fmt: skip
"""Kinds of expectations that are about how things are, not about how they came."""

OF_THE_CLOUD = frozenset({"cloud.sign-in", "cloud.user", "cloud.history", "agent.status", "domain-services.logon"})
"""Those that depend on which password the tenant holds for a user."""

SWITCHES = frozenset(
    {
        "agent.install", "agent.enable-password-sync", "agent.disable-password-sync", "agent.full-password-sync",
        "agent.configure", "agent.select-users",
    }
)  # fmt: skip
"""Actions on which everybody's password depends."""

Place = tuple[int, int]
"""Index of an entry of the timeline, and of an action or expectation in it."""


@dataclass(frozen=True)
class End:
    """How things stood at one of the ends: verdicts by place of the expectation, and what excuses need.

    at: the offset. left_out: users whose newest password a rule leaves out, or something holds back. by_sync: whose
    password in the tenant came from the directory; overwritten: those of them who had had one that was set in the
    cloud. expiring: whether the cloud's policies hold for synchronized passwords.
    """

    at: str
    verdicts: Mapping[Place, Verdict]
    histories: Mapping[str, Sequence[str]]
    left_out: frozenset[str]
    by_sync: frozenset[str]
    overwritten: frozenset[str]
    expiring: bool = False


@dataclass(frozen=True)
class Standing:
    """What the control leaves to be judged: for each end the places that stand there, and how its actions ended.

    waited: actions that came while the agent was in a cycle, or again.
    """

    places: tuple[frozenset[Place], ...]
    histories: Mapping[str, Sequence[str]]
    overwritten: frozenset[str]
    acts: Mapping[Place, tuple[str | None, ...]]
    waited: frozenset[Place] = frozenset()


def look(run: SweptRun) -> End:
    """Judge every expectation about state, as things stand now."""
    verdicts = {}
    histories: dict[str, Sequence[str]] = {}
    known: dict[Any, Verdict] = {}
    last: dict[str, str] = {}
    ever: dict[str, set[str]] = {}
    for write in run.world.writes():
        handle = run.world.handle_of_cloud_id(write.user_id) or write.user_id
        last[handle] = write.by
        ever.setdefault(handle, set()).add(write.by)
    by_sync = frozenset(handle for handle, by in last.items() if by == "sync")
    for place, what in state_expectations(run):
        key = _key(what)
        if key not in known:
            known[key] = _judge(run, what, by_sync)
        verdicts[place] = known[key]
        if what.name == "cloud.history":
            histories[what.user] = history_of(run.world, what.user)
    return End(
        at=format_offset(run.world.offset()),
        verdicts=verdicts,
        histories=histories,
        left_out=frozenset([*_left_out(run), *_held_back(run)]),
        by_sync=by_sync,
        overwritten=frozenset(handle for handle in by_sync if len(ever[handle]) > 1),
        expiring=run.world.profile.policy_feature and POLICY_FOR_SYNCED in run.world.tenant.features,
    )


def _key(what: Any) -> tuple[Any, ...]:
    return what.name, *(str(value) for value in what.__dict__.values())


def state_expectations(run: SweptRun) -> Iterator[tuple[Place, Any]]:
    """Every expectation about state of the timeline."""
    for index, step in enumerate(run.scenario.timeline):
        for number, what in enumerate(step.expect):
            if what.name in STATE:
                yield (index, number), what


def _judge(run: SweptRun, what: Any, by_sync: frozenset[str]) -> Verdict:
    if what.name == "cloud.user" and what.user in by_sync and what.expires is not None:
        what = what.model_copy(update={"expires": None})
    try:
        return expectations.judge(run.world, what, run.sessions)
    except (Refusal, Refused) as refusal:
        return Verdict(False, "something to look at", f"{refusal.reason}: {refusal}")


def _left_out(run: SweptRun) -> Iterator[str]:
    ledger = run.checks.ledger
    for guid in ledger.versions:
        facts, account = ledger.facts.get(guid), ledger.account(guid)
        ruled_out = facts is None or facts.why is not None or account is None
        if ruled_out or ledger.temporary.get(guid) == ledger.newest(guid) or ledger.is_temporary(guid):
            yield ledger.name(guid)


def _held_back(run: SweptRun) -> Iterator[str]:
    if run.checks.ledger.unsettled and release(run.world):
        yield from map(run.checks.ledger.name, run.checks.ledger.unsettled)


def judge_standing(run: SweptRun, ends: Sequence[End]) -> Standing:
    """What stands at the ends of a control."""
    places = tuple(frozenset(place for place, verdict in end.verdicts.items() if verdict.held) for end in ends)
    acts = {place: tuple(outcome.refusals) for place, outcome in run.acts.items()}
    histories = ends[-1].histories if ends else {}
    overwritten = ends[-1].overwritten if ends else frozenset()
    return Standing(places, histories, overwritten, acts, frozenset(run.waited))


def judge_end(run: SweptRun, standing: Standing) -> list[Failure]:
    """What stood at the ends of the control and does not at those of a rerun, each expectation once."""
    changed, everybody = _acted_otherwise(run, standing)
    found: dict[tuple[Any, ...], Failure] = {}
    for end, places in zip(run.ends, standing.places, strict=False):
        for place, what in state_expectations(run):
            if place not in places:
                continue
            verdict = _verdict(what, end, place)
            if verdict.held or everybody:
                continue
            user = getattr(what, "user", None)
            if user in changed or (user is None and changed) or _is_excused(what, place, user, end, standing):
                continue
            found.setdefault(_key(what), _failure(run, what, verdict, end))
    return list(found.values())


def _verdict(what: Any, end: End, place: Place) -> Verdict:
    verdict = end.verdicts[place]
    if verdict.held or what.name != "cloud.history":
        return verdict
    wanted, got = verdict.expected.split(), end.histories[what.user]
    held = wanted[-1:] == list(got[-1:]) and not any(label.endswith("#?") for label in got)
    return Verdict(held, verdict.expected, verdict.got)


def _is_excused(what: Any, place: Place, user: str | None, end: End, standing: Standing) -> bool:
    if user is None or what.name not in OF_THE_CLOUD:
        return False
    expires = what.name == "cloud.sign-in" and end.expiring and user in end.by_sync
    if expires and "expired" in (what.result, end.verdicts[place].got.partition(" ")[0]):
        return True
    return user in end.left_out or (user in end.overwritten and user not in standing.overwritten)


def _acted_otherwise(run: SweptRun, standing: Standing) -> tuple[set[str], bool]:
    """Users whose actions came to something else than in the control; and whether a switch did."""
    users: set[str] = set()
    for place, outcome in run.acts.items():
        what = run.scenario.timeline[place[0]].do[place[1]]
        waited = what.name in SWITCHES and (place in run.waited) != (place in standing.waited)
        if not waited and tuple(outcome.refusals[-1:]) == standing.acts.get(place, ())[-1:]:
            continue
        if what.name in SWITCHES:
            return users, True
        user: str | None = getattr(what, "user", None)
        if user is not None:
            users.add(user)
    return users, False


def _failure(run: SweptRun, what: Any, verdict: Verdict, end: End) -> Failure:
    user = getattr(what, "user", None)
    lines = [line for line in run.world.trace.lines if user is None or user in line]
    return Failure(
        kind="expectation",
        title=f"{what.name}{f' of {user}' if user else ''} does not stand at the end",
        at=end.at,
        position=what.position,
        expected=verdict.expected,
        got=verdict.got,
        because=tuple(lines[-12:]),
        rules=tuple(run.scenario.rules),
    )
