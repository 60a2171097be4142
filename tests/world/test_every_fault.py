"""Every combination of wire, selector and effect that the format has: each fires, has its effect, and is got over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from world.runs import case, held

from simulator.network import CRASHED, FAILED, OK, REDIRECTED, Attempt, Network, Wire
from simulator.report.junit import junit
from simulator.report.text import result_text
from simulator.scenario.fault_models import EFFECTS, FITTING, WIRES
from simulator.scenario.runner import Run, RunOptions, run_case
from simulator.scenario.values import format_offset

WORLD = """\
given:
  sync: installed
  users:
    - {name: alice, password: "Winter-2016!"}
    - {name: bob, password: "Winter-2016!"}
"""
"""A fresh agent: at +0s it binds, searches, signs in, exports, reads, sends and commits; later it sends heartbeats."""

EFFECTS_OF = {
    "answer": ("answer: 503", "answer: 429, retry-after: 30s"),
    "fault": ("fault: 81", "fault: 90", "fault: denied", "fault: redirect"),
    "result": ("result: 5",),
    "fail": ("fail: connection-refused", "fail: timeout", "fail: tls"),
    "lose": ("lose: request", "lose: response"),
    "delay": ("delay: 30s",),
    "duplicate": ("duplicate: true",),
    "corrupt": ("corrupt: true",),
    "crash": ("crash: before", "crash: after", "crash: before, delay: 30s"),
}
"""Each effect as a file says it, in each of its forms."""

CHANGES = """\
  - at: +1m
    do:
      - ad.reset-password: {user: bob, password: "Spring-2017!"}
      - ad.create-user: {user: carol, password: "Spring-2017!"}
"""
"""They make a second batch, and a second export at +30m."""
EXPECTED = '{cloud.sign-in: {user: bob, password: "Spring-2017!", result: ok}}'

SOON, LATE = timedelta(minutes=4), timedelta(minutes=70)
"""How long a rule without a number lasts; the later for wires that are used seldom."""
SELDOM = ("cloud.ping", "cloud.token")
REDIRECTED_FIRST = "{on: cloud.set-objects, call: 1, fault: redirect}, "
"""Only after that the regional endpoint is called at all."""
SELECTORS = ("between", "call: 1", "call: 2", "times: 1", "times: 2")


@dataclass(frozen=True)
class Combination:
    """A rule; one without a selector lasts for a stretch of time (``between``)."""

    on: str
    selector: str
    effect: str

    @property
    def rule(self) -> str:
        return ", ".join(filter(None, (f"on: {self.on}", self.selector, self.effect)))


def combinations() -> Iterator[Combination]:
    """All of them."""
    for on in WIRES:
        selectors = list(SELECTORS)
        if on == "cloud.set-passwords":
            selectors += ["user: bob", "call: 1, user: bob"]
        if on.startswith("directory."):
            selectors += ["domain: contoso.example", "controller: dc1, times: 1"]
        if on.startswith("cloud.") and on != "cloud.token":
            selectors += ["endpoint: regional, times: 1", "endpoint: well-known, times: 1"]
        for effect in FITTING[on]:
            forms = EFFECTS_OF[effect]
            if effect == "fail" and on in ("directory.read-passwords", "directory.any"):
                forms = (*forms, "fail: 1722")
            for selector in selectors:
                for form in forms if selector == "call: 1" else forms[:1]:
                    yield Combination(on, selector.removeprefix("between"), form)


class Watched(Network):
    """A network that counts how often each attempt was carried out at the other end."""

    performed: dict[int, int]

    def carry(self, on: str, wire: Wire[Any], **about: Any) -> Any:
        sequence = len(self.attempts) + 1

        def perform(results: Any) -> Any:
            if self.counting:
                self.performed[sequence] = self.performed.get(sequence, 0) + 1
            return wire.perform(results)

        return super().carry(on, replace(wire, perform=perform), **about)


def watched(text: str) -> Run:
    """A run on a network that counts, and its end."""
    run = Run(case(text), RunOptions())
    network = run.world.network
    network.__class__ = Watched  # it is the world's own, and only counts besides
    vars(network)["performed"] = {}
    run.run()
    return run


def _failed(arrived: bool) -> Callable[[Attempt, int], bool]:
    return lambda attempt, times: attempt.outcome == FAILED and times == arrived


SHOWS: dict[str, Callable[[Attempt, int], bool]] = {
    "answer: 503": lambda attempt, times: (attempt.outcome, attempt.detail, times) == (FAILED, "HTTP 503", 0),
    "answer: 429, retry-after: 30s": lambda attempt, times: attempt.retry_after == 30 and times == 0,
    "fault: 81": _failed(arrived=False),
    "fault: 90": _failed(arrived=False),
    "fault: denied": _failed(arrived=False),
    "fault: redirect": lambda attempt, times: attempt.outcome == REDIRECTED and times == 0,
    "result: 5": lambda attempt, times: set(attempt.item_results.values()) == {5} and times == 1,
    "fail: connection-refused": _failed(arrived=False),
    "fail: timeout": _failed(arrived=False),
    "fail: tls": _failed(arrived=False),
    "fail: 1722": _failed(arrived=False),
    "lose: request": _failed(arrived=False),
    "lose: response": _failed(arrived=True),
    "delay: 30s": lambda attempt, times: _seconds(attempt) >= 30 and attempt.outcome == OK and times == 1,
    "duplicate: true": lambda attempt, times: attempt.outcome == OK and times == 2,
    "corrupt: true": _failed(arrived=True),
    "crash: before": lambda attempt, times: attempt.outcome == CRASHED and times == 0,
    "crash: after": lambda attempt, times: attempt.outcome == CRASHED and times == 1,
    "crash: before, delay: 30s": lambda attempt, times: _seconds(attempt) >= 30 and attempt.outcome == CRASHED,
}
"""What each effect makes of an attempt, and of how often the other end carried it out."""


def _seconds(attempt: Attempt) -> float:
    assert attempt.ended is not None
    return (attempt.ended - attempt.started).total_seconds()


def fits(on: str, attempt: Attempt) -> bool:
    return attempt.on == on or (on.endswith(".any") and attempt.on.startswith(on[:-3]))


ALL = tuple(
    pytest.param(each, id=each.rule, marks=() if number % 7 == 0 else pytest.mark.whole)
    for number, each in enumerate(combinations())
)
"""Every seventh is a sample; the rest is of the long run."""


@pytest.mark.parametrize("each", ALL)
def test_fires_and_is_got_over(each: Combination, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rule takes the attempts that it names, does with each what it says, and once it is over all is well."""
    late = each.on in SELDOM
    limited = "call" in each.selector or "times" in each.selector
    rule = each.rule if limited else f"{each.rule}, between: [+0s, {format_offset(LATE if late else SOON)}]"
    # Once the rule is over come an object cycle and three password cycles at least.
    end = "+1h46m" if late else "+1h6m" if each.on == "cloud.set-objects" or "times: 2" in rule else "+36m"
    first = REDIRECTED_FIRST if "regional" in each.selector else ""
    text = f"{WORLD}faults: [{first}{{{rule}}}]\ntimeline:\n{CHANGES}  - {{at: {end}, expect: {EXPECTED}}}\n"
    fired: list[Attempt] = []
    monkeypatch.setattr(Network, "_match", _noting(Network._match, fired))
    run = watched(text)
    network: Any = run.world.network
    assert [failure.title + failure.got for failure in run.failures] == []
    assert fired
    assert network.faults[-1].fired == len(fired)
    shows = SHOWS[each.effect]
    assert [attempt for attempt in fired if not shows(attempt, network.performed.get(attempt.sequence, 0))] == []
    _check_selection(each, fired, network.attempts)


def _noting(match: Callable[..., Any], fired: list[Attempt]) -> Callable[..., Any]:
    """The network's choice of a rule, with a note of each attempt that is taken by one."""

    def choose(self: Network, attempt: Attempt) -> Any:
        found = match(self, attempt)
        if found[1] or found[0] is self.faults[-1]:
            fired.append(attempt)
        return found

    return choose


def _check_selection(each: Combination, fired: list[Attempt], attempts: list[Attempt]) -> None:
    """The attempts taken are those that the selector names, and no others."""
    fitting = [attempt for attempt in attempts if fits(each.on, attempt)]
    if "user: bob" in each.selector:
        fitting = [attempt for attempt in fitting if "bob" in attempt.users]
    if "endpoint" in each.selector:
        fitting = [attempt for attempt in fitting if attempt.endpoint == each.selector.split(",")[0].split(": ")[1]]
    if each.selector.startswith("call"):
        number = int(each.selector[len("call: ")])
        assert fired == fitting[number - 1 : number]
    elif "times" in each.selector:
        assert fired == fitting[: int(each.selector.split("times: ")[1])]
    else:
        longest = LATE if each.on in SELDOM else SOON
        assert fired == [attempt for attempt in fitting if attempt.started - attempts[0].started <= longest]


def test_nothing_is_left_out() -> None:
    """Every effect that fits a wire is tried there."""
    tried = {(each.on, effect) for each in combinations() for effect in EFFECTS_OF if each.effect in EFFECTS_OF[effect]}
    assert tried == {(on, effect) for on, effects in FITTING.items() for effect in effects}
    assert set(EFFECTS_OF) == {*EFFECTS, "delay"}


class TestTold:
    TEXT = (
        WORLD
        + """\
faults:
  - {on: cloud.set-passwords, times: 2, answer: 503}
  - {on: directory.search, call: 1, fail: timeout}
timeline:
  - {at: +6m, expect: {cloud.calls: {operation: set-passwords, count: 0}}}
"""
    )

    def test_in_a_failure(self) -> None:
        """A failure says which faults fired, and how often, in text and in JUnit."""
        result = run_case(case(self.TEXT.replace("+6m", "+36m")))
        told = ["fault 1 (cloud.set-passwords): 2", "fault 2 (directory.search): 1"]
        assert list(result.faults_fired) == told
        text = result_text(result)
        report = junit([result], seconds=1.0)
        assert [each for each in told if each not in text or f'value="{each}"' not in report] == []

    def test_one_that_held(self) -> None:
        """A run that held says so in JUnit as well."""
        result = held(run_case(case(self.TEXT.replace("+6m", "+36m").replace("count: 0", "count: 3"))))
        assert 'name="fault" value="fault 1 (cloud.set-passwords): 2"' in junit([result], seconds=1.0)
