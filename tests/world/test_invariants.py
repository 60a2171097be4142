"""Each invariant catches what breaks it, says whom it concerns, and lets the true agent pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from world import broken_agents as doubles
from world.runs import ALICE, BOTH, broken, case, held, opened

from pwsync.credential import nt_hash
from simulator.active_directory.state import REPLICATION_DELAY
from simulator.invariants import INVARIANTS, Checks
from simulator.report.text import result_text
from simulator.scenario.result import Failure
from simulator.scenario.runner import Run, RunOptions, run_case
from simulator.scenario.sessions import Sessions

SPRING = """\
  - at: +1m
    do: {ad.change-password: {user: alice, password: "Spring-2017!"}}
"""


def end(offset: str) -> str:
    """An entry that lets the run go on until then, and expects nothing that could fail."""
    return f"  - {{at: {offset}, expect: {{cloud.user: {{user: alice, exists: true}}}}}}\n"


@dataclass(frozen=True)
class Planting:
    """An agent, the invariant that it breaks, the scenario that shows it, and words of the argument."""

    agent: str
    id: str
    scenario: str
    words: tuple[str, ...] = ()
    user: str = "alice"


PLANTINGS = (
    Planting(
        "GivesUp",
        "converges",
        ALICE
        + "faults: [{on: cloud.set-passwords, user: alice, times: 1, result: 5}]\ntimeline:\n"
        + SPRING
        + end("+36m"),
        ("nothing has held back alice's password since", "the tenant still does not have alice#2"),
    ),
    Planting(
        "SkipsAfterFailure",
        "converges",
        ALICE + "faults: [{on: directory.read-passwords, call: 1, fail: 8453}]\ntimeline:\n" + SPRING + end("+36m"),
        ("an object cycle and 3 password cycles have run",),
    ),
    Planting(
        "RepeatsRequest",
        "never-older",
        ALICE
        + """
faults:
  - {on: cloud.set-passwords, call: 1, lose: request}
  - {on: cloud.set-passwords, call: 2, lose: response}
timeline:
"""
        + SPRING
        + """\
  - at: +3m
    do: {ad.change-password: {user: alice, password: "Summer-2017!"}}
"""
        + end("+6m"),
        ("alice#3", "then the agent brought alice#2, which is older"),
    ),
    Planting(
        "SendsNonsense",
        "never-older",
        ALICE + "timeline:\n" + SPRING + end("+2m"),
        ("a password that the directory never held",),
    ),
    Planting(
        "SendsAgain",
        "no-write-without-cause",
        BOTH
        + "timeline:\n"
        + SPRING
        + """\
  - at: +3m
    do: {ad.change-password: {user: bob, password: "Spring-2017!"}}
"""
        + end("+4m"),
        ("knew that alice#2 was applied", "nobody had ordered"),
    ),
    Planting(
        "FullAtEachStart",
        "no-write-without-cause",
        ALICE + "timeline:\n  - {at: +1m, do: {agent.crash: {}}}\n" + end("+2m"),
        ("knew that alice#1 was applied",),
    ),
    Planting(
        "NewestFirst",
        "order-within-cycle",
        BOTH
        + "timeline:\n"
        + SPRING
        + """\
  - at: +1m1s
    do: {ad.change-password: {user: bob, password: "Spring-2017!"}}
"""
        + end("+2m"),
        ("alice's change (09:01:00) was made before bob's (09:01:01)", "sent bob's first in the same cycle"),
    ),
    Planting(
        "DomainByDomain",
        "order-within-cycle",
        """
given:
  forest: {domains: {contoso.example: {}, fabrikam.example: {}}}
  users:
    - {name: alice, password: "Winter-2016!", domain: fabrikam.example}
    - {name: bob, password: "Winter-2016!"}
timeline:
"""
        + SPRING
        + """\
  - at: +1m30s
    do: {ad.change-password: {user: bob, password: "Spring-2017!"}}
"""
        + end("+2m"),
        ("alice's change (09:01:00) was made before bob's (09:01:30)",),
    ),
    Planting(
        "ThreeMinutes",
        "two-minutes",
        ALICE + "timeline:\n" + SPRING + end("+3m"),
        ("the service started at 09:00:00", "a password cycle began at 09:03:00"),
        user="",
    ),
    Planting(
        "Twice",
        "two-minutes",
        ALICE + "timeline:\n" + SPRING + end("+2m"),
        ("a password cycle began at 09:02:00", "before 2 minutes had passed"),
        user="",
    ),
    Planting(
        "LeavesOut",
        "two-minutes",
        ALICE + "timeline:\n" + SPRING + end("+12m"),
        ("the service started at 09:00:00, so a password cycle was due at 09:04:00", "none began"),
        user="",
    ),
    Planting(
        "Ends",
        "two-minutes",
        ALICE + "timeline:\n" + SPRING + end("+36m"),
        ("a password cycle was due at 09:06:00", "none began, though no other cycle was running"),
        user="",
    ),
    Planting(
        "NeverBegins",
        "two-minutes",
        ALICE + "timeline:\n" + SPRING.replace("+1m", "+3m") + end("+5m"),
        ("the service started at 09:00:00, so a password cycle was due at 09:02:00", "none began"),
        user="",
    ),
    Planting(
        "WaitsAfterStart",
        "two-minutes",
        ALICE + "timeline:\n" + SPRING + "  - {at: +3m, do: {agent.restart: {}}}\n" + end("+6m"),
        ("the service started at 09:03:00, so a password cycle was due at 09:03:00", "none began"),
        user="",
    ),
    Planting(
        "TakesEveryPerson",
        "users-only",
        """
given:
  users: [{name: alice, password: "Winter-2016!", class: inetOrgPerson}]
timeline:
"""
        + SPRING
        + end("+2m"),
        ("alice's password stays on premises: class inetOrgPerson",),
    ),
    Planting(
        "TakesDisabled",
        "users-only",
        """
given:
  users: [{name: alice, password: "Winter-2016!", enabled: false}]
timeline:
  - at: +1m
    do: {ad.reset-password: {user: alice, password: "Spring-2017!"}}
"""
        + end("+2m"),
        ("alice's password stays on premises: disabled",),
    ),
    Planting(
        "silent_on_batches",
        "failures-logged",
        ALICE + "faults: [{on: cloud.set-passwords, times: 1, answer: 500}]\ntimeline:\n" + SPRING + end("+2m"),
        ("cloud.set-passwords failed: HTTP 500", "no event of level error"),
        user="",
    ),
    Planting(
        "silent_on_domains",
        "failures-logged",
        ALICE + "faults: [{on: directory.read-passwords, times: 1, fail: 8453}]\ntimeline:\n" + end("+2m"),
        ("directory.read-passwords failed: fails with 8453",),
        user="",
    ),
    Planting(
        "silent_on_items",
        "failures-logged",
        ALICE
        + "faults: [{on: cloud.set-passwords, user: alice, times: 1, result: 5}]\ntimeline:\n"
        + SPRING
        + end("+2m"),
        ("the tenant refused alice's credential", "no event 0"),
    ),
    Planting(
        "silent_on_pings",
        "failures-logged",
        ALICE + "faults: [{on: cloud.ping, times: 1, lose: response}]\ntimeline:\n" + end("+31m"),
        ("cloud.ping failed: answer lost",),
        user="",
    ),
    Planting(
        "silent_on_objects",
        "failures-logged",
        ALICE + "faults: [{on: directory.search, times: 1, fail: timeout}]\ntimeline:\n" + end("+30m"),
        ("directory.search failed: fails with timeout",),
        user="",
    ),
    Planting(
        "Impatient",
        "retry-after",
        ALICE
        + "faults: [{on: cloud.set-passwords, times: 1, answer: 429, retry-after: 5m}]\ntimeline:\n"
        + SPRING
        + end("+4m"),
        ("asked for a pause until 09:07:00", "cloud.set-passwords went out at 09:04:00"),
        user="",
    ),
    Planting(
        "ForgetsPause",
        "retry-after",
        ALICE
        + "faults: [{on: cloud.set-passwords, times: 1, answer: 503, retry-after: 5m}]\ntimeline:\n"
        + SPRING
        + "  - {at: +3m, do: {agent.restart: {}}}\n"
        + end("+4m"),
        ("asked for a pause until 09:07:00", "went out at 09:03:00"),
        user="",
    ),
    Planting(
        "WritesHashToLog",
        "no-secret-leaks",
        ALICE + "timeline:\n" + SPRING + end("+2m"),
        ("the NT hash of alice#2 is a secret", "it stands in the event log"),
    ),
    Planting(
        "KeepsHashInStore",
        "no-secret-leaks",
        ALICE + "timeline:\n" + SPRING + end("+2m"),
        ("it stands in the agent's store",),
    ),
    Planting(
        "SendsHash",
        "no-secret-leaks",
        ALICE + "timeline:\n" + SPRING + end("+2m"),
        ("it stands in the agent's calls to the tenant",),
    ),
    Planting(
        "WritesKeysToLog",
        "no-secret-leaks",
        ALICE + "timeline:\n" + SPRING + end("+2m"),
        ("the AES256 key of alice#2 is a secret", "the DES key of alice#2", "it stands in the event log"),
    ),
    Planting(
        "TakesSilenceForDone",
        "nothing-lost",
        ALICE + "faults: [{on: cloud.set-passwords, times: 1, lose: request}]\ntimeline:\n" + SPRING + end("+2m"),
        ("the agent read alice#2", "it is not pending"),
    ),
    Planting(
        "ForgetsAtStart",
        "nothing-lost",
        ALICE
        + "faults: [{on: cloud.set-passwords, times: 1, lose: request}]\ntimeline:\n"
        + SPRING
        + "  - {at: +3m, do: {agent.restart: {}}}\n"
        + end("+3m"),
        ("the agent read alice#2",),
    ),
)

FIRST = {planting.id: planting for planting in reversed(PLANTINGS)}
"""One planting for each invariant."""

IDS = [f"{planting.id}-{planting.agent}" for planting in PLANTINGS]


def argument(failures: tuple[Failure, ...] | list[Failure]) -> str:
    return "\n".join(f"{failure.title}\n{failure.expected}\n{failure.got}" for failure in failures)


@pytest.mark.parametrize("planting", PLANTINGS, ids=IDS)
class TestAgents:
    def test_broken_one_breaks_it(self, planting: Planting) -> None:
        """The run breaks on exactly this invariant, and the argument says whom it concerns and what was seen."""
        result = run_case(case(planting.scenario), RunOptions(engine=f"world.broken_agents:{planting.agent}"))
        assert result.harness_fault is None
        assert (result.outcome, broken(result.failures)) == ("broke", [planting.id])
        told = argument(result.failures)
        assert [words for words in planting.words if words not in told] == []
        assert result.failures[0].because
        if planting.user:
            assert result.failures[0].title == f"invariant {planting.id} is broken for {planting.user}"

    def test_true_one_holds(self, planting: Planting) -> None:
        """The true agent passes the same scenario."""
        held(run_case(case(planting.scenario)))


ARGUMENTS = Path(__file__).parent / "arguments"
"""What is told of each planting: ``pytest tests/world --update`` writes the files anew."""


def told_in_full(failures: Sequence[Failure]) -> str:
    """Failures as an argument: what held, what came, and why both can't be."""
    return "\n".join(
        f"{each.title} at {each.at}\n  held  {each.expected}\n  came  {each.got}\n  why   {each.why}\n"
        for each in failures
    )


def check_golden(name: str, told: str, update: bool) -> None:
    golden = ARGUMENTS / f"{name}.txt"
    if update:
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(told, encoding="utf-8")
    assert golden.read_text(encoding="utf-8") == told


@pytest.mark.parametrize("planting", PLANTINGS, ids=IDS)
def test_argument(planting: Planting, update: bool) -> None:
    """A broken invariant is told as an argument: what held, what came, and why both can't be."""
    result = run_case(case(planting.scenario), RunOptions(engine=f"world.broken_agents:{planting.agent}"))
    check_golden(f"{planting.id}-{planting.agent}", told_in_full(result.failures), update)
    assert [each for each in result.failures if each.why not in result_text(result)] == []


@pytest.mark.parametrize("planting", FIRST.values(), ids=FIRST)
def test_switched_off(planting: Planting) -> None:
    """A scenario that excepts the invariant, with a reason, holds with the broken agent too."""
    excepted = f'except: {{{planting.id}: "this agent is known to"}}\n{planting.scenario}'
    held(run_case(case(excepted), RunOptions(engine=f"world.broken_agents:{planting.agent}")))


SESSION = (
    ALICE
    + """
timeline:
  - at: +30s
    do: {cloud.sign-in: {user: alice, password: "Winter-2016!", as: laptop}}
"""
    + SPRING
    + end("+2m")
)


def expiring(run: Run) -> None:
    """A tenant that lets synchronized passwords expire as its own do."""
    tenant = doubles.tenant_that(run.world, policy_feature=True)
    tenant.set_feature("cloud-policy-for-synced-users", True)
    doubles.furnish(run.world, tenant)


def unmarking(run: Run) -> None:
    """A tenant that takes its mark from a synchronized password as soon as it is stored."""
    writer: Any = run.world.tenant._passwords
    true = writer.apply

    def apply(item: Any, features: Any) -> int:
        result: int = true(item, features)
        run.world.tenant.users.by_anchor(item.source_anchor).password_policies = None
        return result

    writer.apply = apply


def revoking(run: Run) -> None:
    """A tenant that ends sessions when a password arrives."""
    doubles.furnish(run.world, doubles.tenant_that(run.world, sync_revokes_sessions=True))


def transparent(run: Run) -> None:
    """A tenant that stores hashes."""
    world = run.world
    tenant = doubles.TransparentTenant(world.clock, world.randomness, world.profile, policy=world.tenant.policy)
    tenant.hashes = lambda: [nt_hash("Spring-2017!")]  # type: ignore[method-assign]
    doubles.furnish(world, tenant)


def credulous(run: Run) -> None:
    """A directory that takes what the tenant stores for the password."""
    (forest,) = run.world.forests.values()
    ((name, domain),) = forest.domains.items()
    controllers = list(domain.controllers)
    forest.domains[name] = doubles.CredulousDomain(forest, name, domain.policy, controllers, REPLICATION_DELAY)


SERVICES = (
    (expiring, "never-expires", "alice's password was synchronized" , "alice"),
    (unmarking, "never-expires", "alice's password was synchronized", "alice"),
    (revoking, "sessions", "session laptop was open", "laptop"),
    (credulous, "digest-not-usable", "its text logs on to the directory", "alice"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("service", "invariant", "words", "about"), SERVICES, ids=[each[0].__name__ for each in SERVICES]
)
class TestServices:
    def test_broken_one_breaks_it(self, service, invariant: str, words: str, about: str) -> None:
        """What the simulated services do wrong breaks its invariant as well, and no other."""
        run = opened(SESSION)
        service(run)
        run.run()
        assert broken(run.failures) == [invariant]
        assert run.failures[0].title == f"invariant {invariant} is broken for {about}"
        assert words.replace("alice's password", "alice@contoso.example's password") in argument(run.failures)

    def test_argument(self, service, invariant: str, words: str, about: str, update: bool) -> None:
        """What a service does wrong is told as an argument, too."""
        run = opened(SESSION)
        service(run)
        run.run()
        check_golden(f"{invariant}-{service.__name__}", told_in_full(run.failures), update)

    def test_switched_off(self, service, invariant: str, words: str, about: str) -> None:
        """An excepted invariant is silent."""
        run = opened(f"except: {{{invariant}: because}}\n{SESSION}")
        service(run)
        run.run()
        assert run.failures == []


def test_key_that_is_a_hash() -> None:
    """A hash in the place of the key is found; that the tenant did not keep what it was sent shows too."""
    run = opened(SESSION)
    transparent(run)
    run.run()
    assert sorted(broken(run.failures)) == ["digest-not-usable", "failures-logged"]
    assert "its key, taken as an NT hash, logs on to the directory" in argument(run.failures)


def test_true_services_hold() -> None:
    """The true tenant and directory pass the same scenario."""
    held(run_case(case(SESSION)))


def test_each_invariant_is_broken_here() -> None:
    """There is an agent or a service here for each of the thirteen invariants."""
    ids = [each.id for each in INVARIANTS]
    assert len(ids) == len(set(ids)) == 13
    assert {planting.id for planting in PLANTINGS} | {each[1] for each in SERVICES} == set(ids)


def test_each_breach_is_told_once() -> None:
    """A breach that lasts is told when it is found, not after every instant."""
    planting = PLANTINGS[0]
    longer = planting.scenario + "".join(end(f"+{minute}m") for minute in range(37, 60))
    result = run_case(case(longer), RunOptions(engine="world.broken_agents:GivesUp"))
    assert [failure.at for failure in result.failures] == ["+34m"]


class TestStartsLeftOut:
    """What the true agent rightly leaves out is no breach, and what comes after it is judged again."""

    def judge(self, scenario: str) -> None:
        held(run_case(case(scenario)))
        result = run_case(case(scenario), RunOptions(engine="world.broken_agents:Ends"))
        assert broken(result.failures) == ["two-minutes"]

    def test_object_cycle_that_takes_its_time(self) -> None:
        """A start that falls due while objects are imported is left out."""
        slow = "network: {directory-latency: 50s}"
        self.judge(
            f"{ALICE}  {slow}\ntimeline:\n  - {{at: +1m50s, do: {{agent.run-object-cycle: {{}}}}}}\n" + end("+9m")
        )

    def test_password_cycle_that_takes_its_time(self) -> None:
        """So is one that falls due while a password cycle waits for an answer."""
        slow = "faults: [{on: cloud.set-passwords, call: 1, delay: 3m}]\n"
        self.judge(ALICE + slow + "timeline:\n" + SPRING + end("+9m"))

    def test_service_that_is_down(self) -> None:
        """No start is due while the service is stopped, and none between a crash and its restart."""
        timeline = "  - {at: +1m, do: {agent.stop: {}}}\n  - {at: +20m1s, do: {agent.start: {}}}\n"
        timeline += "  - {at: +21m, do: {agent.crash: {restart-after: 5m}}}\n"
        self.judge(ALICE + "timeline:\n" + timeline + end("+33m"))

    @pytest.mark.parametrize("domain", ["", "domain: contoso.example"])
    def test_switched_off(self, domain: str) -> None:
        """None is due while no domain's passwords are synchronized."""
        timeline = f"  - {{at: +1m, do: {{agent.disable-password-sync: {{{domain}}}}}}}\n"
        timeline += f"  - {{at: +2m30s, do: {{agent.enable-password-sync: {{{domain}}}}}}}\n"
        self.judge(ALICE + "timeline:\n" + timeline + end("+9m"))

    def test_switching_that_fails(self) -> None:
        """Nor while an order to switch it off waits for an answer, whatever comes of the order."""
        slow = "faults: [{on: store.commit, call: 1, delay: 1m, lose: request}]\n"
        order = "  - {at: +1m30s, do: {agent.disable-password-sync: {}}}\n"
        result = run_case(case(ALICE + slow + "timeline:\n" + order + end("+9m")))
        assert broken(result.failures) == ["action"]

    def test_installed_in_mid_run(self) -> None:
        """An agent that is installed later is judged from its start on."""
        given = ALICE + "  sync: none\n"
        self.judge(given + "timeline:\n  - {at: +1m, do: {agent.install: {setup: express}}}\n" + end("+9m"))


def test_crash_is_among_the_causes() -> None:
    """What led to a breach shows that the process died in between."""
    crash = "  - {at: +3m, do: {agent.crash: {}}}\n"
    scenario = case(ALICE + "timeline:\n" + SPRING + crash + end("+4m"))
    (failure,) = run_case(scenario, RunOptions(engine="world.broken_agents:FullAtEachStart")).failures
    assert "+3m        agent   the process dies" in failure.because
    assert "+4m        agent   the service starts" in failure.because


def test_numbers_are_those_of_the_trace() -> None:
    """An argument calls a password what the trace calls it: one that was reset in the cloud has a number, too."""
    reset = '  - {at: +30s, do: {cloud.reset-password: {user: alice, password: "Cloud-2017!"}}}\n'
    scenario = ALICE + "faults: [{on: cloud.set-passwords, times: 1, lose: request}]\ntimeline:\n" + reset + SPRING
    result = run_case(case(scenario + end("+2m")), RunOptions(engine="world.broken_agents:TakesSilenceForDone"))
    (failure,) = result.failures
    assert failure.expected == "the agent read alice#3, and no rule leaves it out"
    assert any("ad.change-password alice alice#3" in line for line in result.trace)


def test_pause_ends_on_its_second() -> None:
    """A call in the very second in which the pause ends is none too early."""
    fault = "faults: [{on: cloud.set-passwords, times: 1, answer: 429, retry-after: 2m}]\n"
    result = held(run_case(case(ALICE + fault + "timeline:\n" + SPRING + end("+4m"))))
    assert any(line.startswith("+4m ") and "cloud.set-passwords" in line for line in result.trace)


def test_unknown_exception_is_an_error_of_the_file() -> None:
    """Only invariants that exist can be switched off."""
    with pytest.raises(AssertionError, match="converge"):
        case("except: {converge: because}\n" + SESSION)


def test_checks_know_what_is_off() -> None:
    """What is excepted is not even looked at."""
    run = opened(SESSION)
    checks = Checks(run.world, Sessions(), {each.id: "off" for each in INVARIANTS[1:]})
    assert [each.id for each in checks.invariants] == [INVARIANTS[0].id]


class TestPauseThatIsNotStored:
    """retry-after: what a process takes to its grave before it could store it is not held against the next one."""

    THROTTLED = "  - {on: cloud.set-passwords, call: 1, answer: 429, retry-after: 30m}\n"

    def scenario(self, *faults: str, crash: str = "") -> Any:
        rules = "".join(f"  - {each}\n" for each in faults)
        return case(f"{ALICE}faults:\n{self.THROTTLED}{rules}timeline:\n{SPRING}{crash}{end('+12m')}")

    def test_crash_before_the_commit(self) -> None:
        """The next process calls at once, and that is no breach."""
        result = held(run_case(self.scenario("{on: store.commit, call: 2, crash: before}")))
        assert any(line.startswith("+3m ") and "cloud.set-passwords [alice] ok" in line for line in result.trace)

    def test_crash_after_the_commit(self) -> None:
        """What was stored holds; an agent that does not look there breaks it."""
        stored = self.scenario("{on: store.commit, call: 2, crash: after}")
        held(run_case(stored))
        result = run_case(stored, RunOptions(engine="world.broken_agents:ForgetsPause"))
        assert broken(result.failures) == ["retry-after"]

    @pytest.mark.parametrize("end", ["", "agent.crash", "agent.restart"], ids=["goes-on", "dies", "is-stopped"])
    def test_commit_that_fails(self, end: str) -> None:
        """A commit that fails leaves the pause to the memory of the process, and to nobody once that has ended."""
        entry = f"  - {{at: +3m, do: {{{end}: {{}}}}}}\n" if end else ""
        held(run_case(self.scenario("{on: store.commit, call: 2, lose: request}", crash=entry)))

    def test_restart_is_no_way_around(self) -> None:
        """A pause that was stored, with the next cycle at the latest, holds for the next process as well."""
        for at, faults in (("+3m", ()), ("+5m", ("{on: store.commit, call: 2, lose: request}",))):
            scenario = self.scenario(*faults, crash=f"  - {{at: {at}, do: {{agent.restart: {{}}}}}}\n")
            held(run_case(scenario))
            result = run_case(scenario, RunOptions(engine="world.broken_agents:ForgetsPause"))
            assert broken(result.failures) == ["retry-after"]

    def test_commit_that_fails_is_no_licence(self) -> None:
        """As long as the process lives it knows of the pause, stored or not."""
        impatient = RunOptions(engine="world.broken_agents:Impatient")
        result = run_case(self.scenario("{on: store.commit, call: 2, lose: request}"), impatient)
        assert "retry-after" in broken(result.failures)

    def test_crash_in_a_later_cycle(self) -> None:
        """An agent that never stores the pause is not excused by a crash that comes cycles later."""
        crash = "  - {at: +5m, do: {agent.crash: {}}}\n"
        held(run_case(self.scenario(crash=crash)))
        result = run_case(self.scenario(crash=crash), RunOptions(engine="world.broken_agents:ForgetsPause"))
        assert broken(result.failures) == ["retry-after"]
