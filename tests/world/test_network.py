"""The network on its own: which rule takes an attempt, what becomes of it, and what is remembered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from world.runs import BOTH, case, seconds

from simulator.clock import Clock
from simulator.network import CRASHED, FAILED, OK, REDIRECTED, AgentCrash, Network, Wire
from simulator.scenario.model import Fault
from simulator.trace import Trace

START = datetime(2017, 1, 13, 9, tzinfo=UTC)


class Broken(Exception):
    """What the client of the line sees of a broken connection."""


class Line:
    """A network with one line on it that counts what arrives."""

    def __init__(self, *faults: Any, **latency: timedelta) -> None:
        self.clock = Clock(START)
        self.trace = Trace(self.clock, START)
        self.trace.begin()
        self.network = Network(self.clock, self.trace, self.wait, faults, **latency)
        self.network.begin()
        self.arrived: list[Mapping[str, int]] = []
        self.meanwhile: Callable[[], None] = lambda: None

    def wait(self, pause: timedelta) -> None:
        self.clock.move_to(self.clock() + pause)
        self.meanwhile()

    def deliver(self, results: Mapping[str, int]) -> str:
        self.arrived.append(dict(results))
        return f"answer {len(self.arrived)}"

    def wire(self, failed: Callable[[str], tuple[str, float | None] | None] = lambda answer: None) -> Wire[str]:
        return Wire(
            perform=self.deliver,
            broken=lambda how: Broken(str(how)),
            answered=lambda rule: f"injected {rule.answer or rule.fault}",
            garble=lambda answer: answer[::-1],
            failed=failed,
        )

    def carry(self, on: str = "cloud.set-passwords", **about: Any) -> str:
        return self.network.carry(on, self.wire(), **about)

    @property
    def last(self) -> Any:
        return self.network.attempts[-1]


def fault(text: str) -> Any:
    """A rule as a file says it."""
    (rule,) = case(
        BOTH + f"faults: [{{{text}}}]\ntimeline: [{{at: +1m, expect: {{agent.alert: {{is: none}}}}}}]"
    ).scenario.faults
    return rule


class TestEffects:
    def test_none(self) -> None:
        """Without a rule the call arrives once and its answer comes back."""
        line = Line()
        assert line.carry() == "answer 1"
        assert (line.last.outcome, line.last.answered, line.arrived) == (OK, True, [{}])

    @pytest.mark.parametrize("on", ["cloud.token", "cloud.set-passwords", "cloud.set-objects", "cloud.ping"])
    def test_answer(self, on: str) -> None:
        """The answer that a rule gives comes in place of the service's; the call does not arrive."""
        line = Line(fault(f"on: {on}, answer: 503"))
        assert line.carry(on) == "injected 503"
        assert line.arrived == []

    @pytest.mark.parametrize("word", ["81", "90", "denied", "redirect"])
    def test_fault(self, word: str) -> None:
        """A fault of the service comes in place of its answer."""
        line = Line(fault(f"on: cloud.set-passwords, fault: {word}"))
        assert line.carry() == f"injected {word}"
        assert line.arrived == []

    def test_answer_on_a_wire_without_any(self) -> None:
        """A wire that has no answers to inject says so instead of carrying on."""
        line = Line(fault("on: cloud.set-passwords, answer: 503"))
        wire: Wire[str] = Wire(perform=line.deliver, broken=lambda how: Broken(str(how)))
        with pytest.raises(ValueError, match=r"cloud\.set-passwords has no answers to inject"):
            line.network.carry("cloud.set-passwords", wire)

    @pytest.mark.parametrize(
        ("on", "how"),
        [
            ("cloud.token", "tls"),
            ("cloud.set-passwords", "timeout"),
            ("directory.bind", "connection-refused"),
            ("directory.search", "timeout"),
            ("directory.read-passwords", "8453"),
        ],
    )
    def test_fail(self, on: str, how: str) -> None:
        """A failing call never arrives, and its client sees the word or code."""
        line = Line(fault(f"on: {on}, fail: {how}"))
        with pytest.raises(Broken, match=how):
            line.carry(on)
        assert (line.last.outcome, line.last.answered, line.last.detail) == (FAILED, False, f"fails with {how}")
        assert line.arrived == []

    @pytest.mark.parametrize(
        ("lose", "arrived", "detail"), [("request", 0, "request lost"), ("response", 1, "answer lost")]
    )
    def test_lose(self, lose: str, arrived: int, detail: str) -> None:
        """A lost request never arrives; a lost answer belongs to a call that did. Both look alike to the client."""
        line = Line(fault(f"on: cloud.ping, lose: {lose}"))
        with pytest.raises(Broken, match="lost"):
            line.carry("cloud.ping")
        assert (len(line.arrived), line.last.detail, line.last.answered) == (arrived, detail, False)
        assert line.last.ended == START

    def test_duplicate(self) -> None:
        """A duplicated call arrives twice; the second answer is the one that comes back."""
        line = Line(fault("on: directory.search, duplicate: true"))
        assert line.carry("directory.search") == "answer 2"
        assert (len(line.network.attempts), line.last.outcome) == (1, OK)

    def test_corrupt(self) -> None:
        """A garbled answer belongs to a call that arrived, and counts as failed although something came back."""
        line = Line(fault("on: cloud.token, corrupt: true"))
        assert line.carry("cloud.token") == "1 rewsna"
        assert (line.last.outcome, line.last.answered, line.last.detail) == (FAILED, False, "answer garbled")

    def test_corrupt_on_a_wire_that_can_not(self) -> None:
        """Where an answer can't be garbled it is lost."""
        line = Line(fault("on: cloud.token, corrupt: true"))
        wire: Wire[str] = Wire(perform=line.deliver, broken=lambda how: Broken(str(how)))
        with pytest.raises(Broken, match="lost"):
            line.network.carry("cloud.token", wire)
        assert len(line.arrived) == 1

    @pytest.mark.parametrize("on", ["store.commit", "cloud.set-objects", "directory.read-passwords"])
    @pytest.mark.parametrize(("when", "arrived"), [("before", 0), ("after", 1)])
    def test_crash(self, on: str, when: str, arrived: int) -> None:
        """The process dies before the call or after it; no handler of Exception sees that."""
        line = Line(fault(f"on: {on}, crash: {when}"))
        with pytest.raises(AgentCrash):
            line.carry(on)
        assert not issubclass(AgentCrash, Exception)
        assert (len(line.arrived), line.last.outcome) == (arrived, CRASHED)

    def test_delay(self) -> None:
        """A delay takes its time before the call arrives; the attempt began before and ended after it."""
        line = Line(fault("on: cloud.ping, delay: 40s"))
        line.carry("cloud.ping")
        assert (line.last.started, line.last.ended) == (START, START + seconds(40))

    @pytest.mark.parametrize("effect", ["answer: 500", "fail: tls", "lose: request", "crash: before", "result: 2"])
    def test_delay_with_another_effect(self, effect: str) -> None:
        """A delay may go with each effect, the results of items included."""
        line = Line(fault(f"on: cloud.set-passwords, {effect}, delay: 40s"))
        with suppress(Broken, AgentCrash):
            line.carry(users=["alice"])
        assert line.last.ended == START + seconds(40)

    def test_latency(self) -> None:
        """Calls take the latency of their kind, a delay comes on top, and commits take no time."""
        line = Line(fault("on: cloud.ping, delay: 40s"), cloud_latency=seconds(2), directory_latency=seconds(1))
        for on in ("cloud.ping", "directory.search", "store.commit"):
            line.carry(on)
        took = [attempt.ended - attempt.started for attempt in line.network.attempts]
        assert took == [seconds(42), seconds(1), seconds(0)]

    def test_failing_answer(self) -> None:
        """What the wire reads out of an answer decides on the outcome, and the pause is kept."""
        line = Line()
        line.network.carry("cloud.ping", line.wire(failed=lambda answer: ("HTTP 429", 90.0)))
        assert (line.last.outcome, line.last.detail, line.last.retry_after) == (FAILED, "HTTP 429", 90.0)
        line.network.carry("cloud.ping", line.wire(failed=lambda answer: (REDIRECTED, None)))
        assert line.last.outcome == REDIRECTED


class TestItems:
    def test_result_of_one_user(self) -> None:
        """A result for one user leaves the others alone."""
        line = Line(fault("on: cloud.set-passwords, user: alice, result: 2"))
        line.carry(users=["bob", "alice"])
        assert (line.arrived, line.last.item_results) == ([{"alice": 2}], {"alice": 2})

    def test_result_of_all(self) -> None:
        """A result without a user is everybody's."""
        line = Line(fault("on: cloud.set-passwords, result: 5"))
        line.carry(users=["bob", "alice"])
        assert line.arrived == [{"bob": 5, "alice": 5}]

    def test_side_by_side(self) -> None:
        """Rules on different users of a batch fire together; of two on the same user the first does."""
        first, second, third = (
            fault(f"on: cloud.set-passwords, user: {user}, result: {code}")
            for user, code in (("alice", 2), ("bob", 5), ("alice", 7))
        )
        line = Line(first, second, third)
        line.carry(users=["alice", "bob"])
        assert line.arrived == [{"alice": 2, "bob": 5}]
        assert [each.fired for each in line.network.faults] == [1, 1, 0]

    def test_longest_delay_counts(self) -> None:
        """Of the delays of rules that fire side by side the longest counts."""
        line = Line(*(
            fault(f"on: cloud.set-passwords, user: {user}, result: 2, delay: {delay}")
            for user, delay in (("alice", "10s"), ("bob", "30s"), ("bob", "90s"))
        ))  # fmt: skip
        line.carry(users=["alice", "bob"])
        assert line.last.ended == START + seconds(30)

    def test_first_rule_wins(self) -> None:
        """A rule on the whole call and one on an item exclude each other: the first in the file takes the attempt."""
        whole, item = (
            fault("on: cloud.set-passwords, answer: 500"),
            fault("on: cloud.set-passwords, user: alice, result: 2"),
        )
        line = Line(whole, item)
        assert line.carry(users=["alice"]) == "injected 500"
        line = Line(item, whole)
        assert line.carry(users=["alice"]) == "answer 1"
        assert [each.fired for each in line.network.faults] == [1, 0]


def fires(line: Line, *calls: tuple[str, dict[str, Any]]) -> list[bool]:
    """Which of some calls meet the one rule of the line (an injected answer)."""
    return [line.carry(on, **about).startswith("injected") for on, about in calls]


class TestSelection:
    def test_call(self) -> None:
        """``call`` counts the attempts that fit, and takes the nth alone."""
        line = Line(fault("on: cloud.ping, call: 2, answer: 500"))
        pings = [("cloud.ping", {}), ("cloud.token", {}), ("cloud.ping", {}), ("cloud.ping", {})]
        assert fires(line, *pings) == [False, False, True, False]

    def test_times(self) -> None:
        """``times`` takes the first n."""
        assert fires(Line(fault("on: cloud.ping, times: 2, answer: 500")), *[("cloud.ping", {})] * 3) == [
            True,
            True,
            False,
        ]

    def test_between(self) -> None:
        """``between`` includes both ends."""
        line = Line(fault("on: cloud.ping, between: [+10s, +20s], answer: 500"))
        found = []
        for offset in (9.999, 10, 15, 20, 20.001):
            line.clock.move_to(START + seconds(offset))
            found += fires(line, ("cloud.ping", {}))
        assert found == [False, True, True, True, False]

    def test_user(self) -> None:
        """``user`` takes calls that carry that user's password, and counts no other."""
        line = Line(fault("on: cloud.set-passwords, user: alice, call: 2, answer: 500"))
        users = [["alice"], ["bob"], ["bob", "alice"], ["alice"]]
        assert fires(line, *[("cloud.set-passwords", {"users": each}) for each in users]) == [False, False, True, False]

    def test_domain_and_controller(self) -> None:
        """``domain`` and ``controller`` take what goes there."""
        rule = fault("on: directory.search, duplicate: true")
        for key, value in (("domain", "contoso.example"), ("controller", "dc1")):
            line = Line(rule.model_copy(update={key: value}))
            for domain, controller in (("contoso.example", "dc1"), ("fabrikam.example", "dc2")):
                line.carry("directory.search", domain=domain, controller=controller)
            assert len(line.arrived) == 3

    @pytest.mark.parametrize(
        ("on", "taken"),
        [
            ("cloud.any", ["cloud.token", "cloud.set-passwords", "cloud.set-objects", "cloud.ping"]),
            ("directory.any", ["directory.bind", "directory.search", "directory.read-passwords"]),
        ],
    )
    def test_any(self, on: str, taken: list[str]) -> None:
        """``.any`` takes every wire of its kind, and commits of the store are none of them."""
        line = Line(fault(f"on: {on}, lose: request"))
        found = []
        for name in ("cloud.token", "cloud.set-passwords", "cloud.set-objects", "cloud.ping",
                     "directory.bind", "directory.search", "directory.read-passwords", "store.commit"):  # fmt: skip
            try:
                line.carry(name)
            except Broken:
                found.append(name)
        assert found == taken

    def test_counts_what_an_earlier_rule_took(self) -> None:
        """A rule counts the attempts that fit it, whoever takes them."""
        first, second = fault("on: cloud.ping, call: 1, answer: 500"), fault("on: cloud.ping, call: 2, answer: 503")
        line = Line(first, second)
        assert [line.carry("cloud.ping") for _ in range(3)] == ["injected 500", "injected 503", "answer 1"]


class TestLinks:
    @pytest.mark.parametrize(
        ("link", "on", "about"),
        [("cloud", "cloud.ping", {}), ("contoso.example", "directory.bind", {"domain": "contoso.example"})],
    )
    def test_down(self, link: str, on: str, about: dict[str, Any]) -> None:
        """Nothing crosses a link that is down; the other links and the store go on."""
        line = Line()
        line.network.down.add(link)
        with pytest.raises(Broken, match="link-down"):
            line.carry(on, **about)
        assert (line.last.answered, line.last.detail, line.arrived) == (False, "link is down", [])
        for other in {"cloud.ping", "directory.bind", "store.commit"} - {on}:
            line.carry(other, domain="fabrikam.example")

    def test_goes_down_in_mid_call(self) -> None:
        """A link that goes down while the call is under way breaks it."""
        line = Line(cloud_latency=seconds(10))
        line.meanwhile = lambda: line.network.down.add("cloud")
        with pytest.raises(Broken, match="link-down"):
            line.carry("cloud.ping")
        assert (line.last.ended, line.arrived) == (START + seconds(10), [])

    def test_comes_up_in_mid_call(self) -> None:
        """A call that finds the link down is lost at once, whatever comes later."""
        line = Line(cloud_latency=seconds(10))
        line.network.down.add("cloud")
        line.meanwhile = line.network.down.clear
        with pytest.raises(Broken, match="link-down"):
            line.carry("cloud.ping")
        assert line.last.ended == START

    def test_fault_waits_for_the_link(self) -> None:
        """A rule counts an attempt over a link that is down, though nothing of it shows."""
        line = Line(fault("on: cloud.ping, call: 1, answer: 500"))
        line.network.down.add("cloud")
        with pytest.raises(Broken, match="link-down"):
            line.carry("cloud.ping")
        line.network.down.clear()
        assert line.carry("cloud.ping") == "answer 1"


class TestRecords:
    def test_nothing_before_the_run(self) -> None:
        """What came before the run meets no fault and leaves no record."""
        line = Line(fault("on: cloud.ping, answer: 500"))
        with line.network.off_record():
            assert line.carry("cloud.ping") == "answer 1"
        assert (line.network.attempts, line.trace.lines, line.network.faults[0].matched) == ([], [], 0)
        assert line.carry("cloud.ping") == "injected 500"

    def test_begin_forgets(self) -> None:
        """Attempts are numbered from the run's beginning."""
        line = Line()
        line.carry()
        line.network.begin()
        line.carry()
        assert [attempt.sequence for attempt in line.network.attempts] == [1]

    def test_assumed(self) -> None:
        """An attempt that is taken as made leaves the line that a real one leaves."""
        line, other = Line(), Line()
        line.carry("cloud.ping")
        other.network.assume("cloud.ping")
        assert line.trace.lines == other.trace.lines == ["+0s        wire    cloud.ping ok"]

    def test_trace(self) -> None:
        """The trace tells of failures with their fault, of calls to the cloud, and of no quiet read or commit."""
        line = Line(fault("on: cloud.set-passwords, call: 1, lose: response"), fault("on: directory.bind, fail: tls"))
        with pytest.raises(Broken):
            line.carry(users=["alice", "bob"])
        with pytest.raises(Broken):
            line.carry("directory.bind", domain="contoso.example", controller="dc1")
        line.carry("directory.search", domain="contoso.example", controller="dc1")
        line.carry("store.commit")
        assert line.trace.lines == [
            "+0s        wire    cloud.set-passwords [alice bob] failed: answer lost (fault 1)",
            "+0s        wire    directory.bind dc1.contoso.example failed: fails with tls (fault 2)",
        ]

    def test_watchers(self) -> None:
        """Whoever watches sees each attempt once it is over."""
        line = Line()
        seen: list[tuple[str, datetime | None]] = []
        line.network.watchers.append(lambda attempt: seen.append((attempt.on, attempt.ended)))
        line.carry("store.commit")
        assert seen == [("store.commit", START)]

    def test_times_within_a_window(self) -> None:
        """``times`` counts what falls into the rule's window, ``call`` everything from ``+0s`` on."""
        first = fault("on: cloud.ping, times: 1, between: [+2m, +9m], answer: 500")
        third = fault("on: cloud.ping, call: 3, between: [+2m, +9m], answer: 503")
        for rule, taken in ((first, 3), (third, 3)):
            line = Line(rule)
            found = []
            for minute in (1, 1, 4, 5):
                line.clock.move_to(START + timedelta(minutes=minute))
                found.append(line.carry("cloud.ping").startswith("injected"))
            assert [number for number, injected in enumerate(found, 1) if injected] == [taken]

    def test_unfired(self) -> None:
        """A rule that took nothing is told, however often it fitted."""
        line = Line(fault("on: cloud.ping, call: 3, answer: 500"), fault("on: cloud.ping, call: 1, answer: 500"))
        line.carry("cloud.ping")
        (unfired,) = line.network.unfired()
        assert (unfired.index, unfired.matched, unfired.fired) == (0, 1, 0)

    def test_quiet(self) -> None:
        """The network is quiet once no rule can fire any more, every link is up and no call takes time."""
        assert Line().network.quiet()
        assert not Line(cloud_latency=seconds(1)).network.quiet()
        line = Line(fault("on: cloud.ping, call: 1, answer: 500"))
        assert not line.network.quiet()
        line.carry("cloud.ping")
        assert line.network.quiet()
        line.network.down.add("cloud")
        assert not line.network.quiet()
        timed = Line(fault("on: cloud.ping, between: [+1m, +2m], answer: 500"))
        assert not timed.network.quiet()
        timed.clock.move_to(START + timedelta(minutes=2, seconds=1))
        assert timed.network.quiet()


WIRES = ["cloud.token", "cloud.set-passwords", "cloud.ping", "directory.search", "store.commit"]
USERS = ["alice", "bob", "carol"]
EFFECT = st.sampled_from(
    [{"answer": 500}, {"result": 2}, {"result": 5}, {"fail": "tls"}, {"lose": "request"}, {"lose": "response"},
     {"duplicate": True}, {"corrupt": True}, {"crash": "before"}, {"crash": "after"}, {"delay": seconds(3)}]
)  # fmt: skip
WHICH = st.one_of(
    st.just({}),
    st.integers(1, 6).map(lambda number: {"call": number}),
    st.integers(1, 6).map(lambda number: {"times": number}),
    st.tuples(st.integers(0, 20), st.integers(0, 20)).map(
        lambda ends: {"between": (seconds(min(ends)), seconds(max(ends)))}
    ),
)
RULES = st.lists(
    st.builds(
        lambda on, user, effect, which: Fault.model_construct(on=on, user=user, **effect, **which),
        st.sampled_from([*WIRES, "cloud.any", "directory.any"]), st.sampled_from([None, None, *USERS]), EFFECT, WHICH,
    ),
    max_size=6,
)  # fmt: skip
CALLS = st.lists(
    st.tuples(st.sampled_from(WIRES), st.lists(st.sampled_from(USERS), unique=True), st.integers(0, 4)), max_size=12
)


@settings(max_examples=150, deadline=None)
@given(rules=RULES, calls=CALLS)
def test_any_rules_and_calls(rules: list[Any], calls: list[tuple[str, list[str], int]]) -> None:
    """Whatever the rules: one record per call, one rule per whole call, and counters that agree with each other."""
    line = Line(*rules)
    network = line.network
    for number, (on, users, pause) in enumerate(calls, start=1):
        line.clock.move_to(line.clock() + seconds(pause))
        before, arrived = [each.fired for each in network.faults], len(line.arrived)
        could = [each.may_fire(line.trace.offset()) for each in network.faults]
        crashed = False
        try:
            line.carry(on, users=users)
        except Broken:
            assert line.last.outcome == FAILED
        except AgentCrash:
            crashed = True
        fired = [each for each, count in zip(network.faults, before, strict=True) if each.fired > count]
        whole = [each for each in fired if each.rule.result is None]
        assert len(whole) <= 1
        assert not (whole and line.last.item_results)
        assert all(each.fired - count <= 1 for each, count in zip(network.faults, before, strict=True))
        assert all(could[each.index] for each in fired)
        assert len(network.attempts) == number
        assert line.last.ended is not None
        assert (line.last.outcome == CRASHED) == crashed
        assert len(line.arrived) - arrived <= (2 if whole and whole[0].rule.duplicate else 1)
        assert set(line.last.item_results) <= set(users)
        if not fired:
            assert (line.last.outcome, line.last.item_results) == (OK, {})
            assert len(line.arrived) == arrived + 1
    for each in network.faults:
        assert each.fired <= each.matched <= len(calls)
        assert each.rule.call is None or each.fired <= 1
        assert each.rule.times is None or each.fired <= each.rule.times
    assert network.unfired() == [each for each in network.faults if each.fired == 0]


def test_endpoint_narrows() -> None:
    """A rule for one endpoint of the provisioning service leaves calls to the other alone."""
    line = Line(fault("on: cloud.any, endpoint: regional, fail: connection-refused"))
    assert line.carry("cloud.ping", endpoint="well-known") == "answer 1"
    assert line.carry("cloud.token") == "answer 2"
    with pytest.raises(Broken):
        line.carry("cloud.set-passwords", endpoint="regional")
