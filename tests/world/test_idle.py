"""Idle time: cycles in which nothing can happen are passed by, and nobody can tell."""

from __future__ import annotations

from datetime import timedelta

import pytest
from world.runs import ALICE, BOTH, case, held, opened, run

from simulator.scenario.runner import Run, RunOptions

QUIET = {
    "a day": ALICE + "timeline: [{at: +1d, expect: {agent.cycles: {kind: password, count: 720}}}]",
    "a change in between": ALICE
    + """
timeline:
  - at: +5h
    do: {ad.change-password: {user: alice, password: "Spring-2017!"}}
  - at: +5h2m
    expect: {cloud.sign-in: {user: alice, password: "Spring-2017!", result: ok}}
  - at: +9h
    expect:
      - agent.cycles: {kind: password, since: +8h, count: 31}
      - agent.cycles: {kind: object, since: +8h, count: 3}
""",
    "a fault after hours": ALICE
    + """
faults: [{on: cloud.ping, between: [+6h, +7h], answer: 500}]
timeline:
  - at: +8h
    expect: {event-log: {id: 655, level: error, count: 3}}
""",
    "a link down for a while": ALICE
    + """
timeline:
  - {at: +3h, do: {network.set-link: {link: contoso.example, state: down}}}
  - {at: +4h, do: {network.set-link: {link: contoso.example, state: up}}, expect: {event-log: {id: 611, count: 30}}}
  - {at: +9h, expect: {event-log: {id: 611, count: 30}}}
""",
    "rights revoked": ALICE
    + """
timeline:
  - {at: +3h1m, do: {ad.revoke: {right: replicate-changes-all}}}
  - {at: +4h1m, do: {ad.grant: {right: replicate-changes-all}}, expect: {event-log: {id: 611, count: 30}}}
  - {at: +5h, expect: {event-log: {id: 611, count: 30}}}
""",
    "stopped for hours": ALICE
    + """
timeline:
  - {at: +1h1m, do: {agent.stop: {}}}
  - {at: +5h1m30s, do: {agent.start: {}}}
  - at: +6h1m30s
    expect:
      - agent.cycles: {kind: password, since: +1h1m, count: 31}
      - agent.cycles: {kind: object, since: +1h1m, count: 3}
""",
    "calls that take time": BOTH
    + """
  network: {cloud-latency: 2s, directory-latency: 1s}
timeline:
  - {at: +3h, expect: {agent.cycles: {kind: password, count: 1+}}}
""",
    "something at the end of a read": BOTH
    + """
  network: {directory-latency: 10s}
timeline:
  - {at: +8m10s, do: {ad.reset-password: {user: alice, password: "Spring-2017!"}}}
  - {at: +10m9s, do: {ad.reset-password: {user: alice, password: "Autumn-2017!"}}}
  - {at: +10m30s, expect: {cloud.sign-in: {user: alice, password: "Autumn-2017!", result: ok}}}
  - {at: +16m5s, do: {agent.stop: {}}}
  - {at: +30m, expect: {agent.cycles: {kind: password, count: 8}}}
""",
    "something at the end of the second domain's read": """
given:
  forest: {domains: {contoso.example: {}, emea.contoso.example: {}}}
  users:
    - {name: alice, password: "Winter-2016!"}
    - {name: bob, password: "Winter-2016!", domain: emea.contoso.example}
  network: {directory-latency: 50s}
timeline:
  - {at: +9m30s, do: {ad.reset-password: {user: bob, password: "Spring-2017!"}}}
  - {at: +9m50s, expect: {cloud.sign-in: {user: bob, password: "Spring-2017!", result: ok}}}
""",
    "an object that changes": ALICE
    + """
timeline:
  - {at: +3h1m, do: {ad.set-user: {user: alice, display-name: Alice Liddell}}}
  - {at: +3h31m, expect: {cloud.calls: {operation: set-objects, count: 1}}}
""",
    "an object cycle by hand": ALICE
    + """
timeline:
  - {at: +3h11m1s, do: {agent.run-object-cycle: {type: initial}}}
  - {at: +3h12m, expect: {cloud.calls: {operation: set-objects, count: 1}}}
""",
    "reads longer than their interval": BOTH
    + """
  network: {directory-latency: 130s}
timeline:
  - {at: +40m, expect: {agent.cycles: {kind: password, count: 9}}}
""",
    "an export that goes on failing": ALICE
    + """
faults: [{on: cloud.set-objects, between: [+0s, +2h], answer: 500}]
timeline:
  - {at: +3m, do: {ad.set-user: {user: alice, display-name: Alice Liddell}}}
  - {at: +1h59m, expect: {agent.cycles: {kind: object, count: 3}}}
  - {at: +3h, expect: {cloud.calls: {operation: set-objects, count: 5}}}
""",
    "a staging server": ALICE
    + """
  agent: {staging: true}
timeline:
  - {at: +4h, expect: [{cloud.calls: {count: 0}}, {agent.alert: {is: heartbeat}}]}
""",
    "a pause": ALICE
    + """
faults: [{on: cloud.set-passwords, call: 1, answer: 429, retry-after: 3h}]
timeline:
  - {at: +1m, do: {ad.change-password: {user: alice, password: "Spring-2017!"}}}
  - {at: +6h, expect: [{cloud.calls: {operation: set-passwords, count: 2}}, {agent.pending: {is: none}}]}
""",
    "the feature off for a while": ALICE
    + """
timeline:
  - {at: +1h, do: {cloud.set-feature: {password-sync: "off"}}}
  - {at: +4h, do: {cloud.set-feature: {password-sync: "on"}}}
  - {at: +6h, expect: {event-log: {id: 655, count: 1+}}}
""".replace('"off"', "off").replace('"on"', "on"),
}  # fmt: skip


@pytest.mark.parametrize("text", QUIET.values(), ids=QUIET)
def test_nobody_can_tell(text: str) -> None:
    """Skipped or not, the trace is the same line by line, and so is what expectations see."""
    skipped, whole = held(run(text)), held(run(text, every_cycle=True))
    assert skipped.trace == whole.trace
    assert skipped.digest == whole.digest


def reads(run: Run) -> int:
    """How often the directory was really read."""
    run.run()
    assert run.failures == []
    return sum(attempt.on == "directory.read-passwords" for attempt in run.world.network.attempts)


def test_cycles_are_really_passed_by() -> None:
    """A quiet day reads the directory not once; with every cycle it is read each time."""
    text = QUIET["a day"]
    assert reads(opened(text)) == 0
    assert reads(opened(text, every_cycle=True)) == 720


PASSED_BY = {
    "what changed is not imported yet": (
        ALICE
        + """
timeline:
  - {at: +1m, do: {ad.reset-password: {user: alice, password: "Spring-2017!"}}}
  - {at: +29m, expect: {cloud.sign-in: {user: alice, password: "Spring-2017!", result: ok}}}
""",
        1,
    ),
    "reads take time": (
        ALICE
        + """
  network: {directory-latency: 40s, cloud-latency: 5s}
timeline: [{at: +29m, expect: {agent.cycles: {kind: password, count: 14}}}]
""",
        0,
    ),
    "a link and a rule that are of other calls": (
        ALICE
        + """
faults: [{on: cloud.set-passwords, call: 1, answer: 500}]
timeline:
  - {at: +1m, do: {network.set-link: {link: cloud, state: down}}}
  - {at: +28m, do: {network.set-link: {link: cloud, state: up}}}
  - {at: +29m, do: {ad.reset-password: {user: alice, password: "Spring-2017!"}}}
  - {at: +40m, expect: {cloud.sign-in: {user: alice, password: "Spring-2017!", result: ok}}}
""",
        2,
    ),
    "an export waits": (
        ALICE
        + """
faults: [{on: cloud.set-objects, call: 1, answer: 500}]
timeline:
  - {at: +3m, do: {ad.set-user: {user: alice, display-name: Alice Liddell}}}
  - {at: +59m, expect: {agent.cycles: {kind: object, count: 1}}}
""",
        2,
    ),
}


@pytest.mark.parametrize(("text", "count"), PASSED_BY.values(), ids=PASSED_BY)
def test_only_what_reads_meet_keeps_them(text: str, count: int) -> None:
    """What is left to imports and to calls to the tenant is no reason to read in every cycle."""
    assert reads(opened(text)) == count


def test_as_long_as_a_fault_may_fire_nothing_is_passed_by() -> None:
    """Each cycle before the last rule is spent is run, for the rule may be about it."""
    text = ALICE + """
faults: [{on: directory.read-passwords, call: 100, fail: 8453}]
timeline: [{at: +4h, expect: {event-log: {id: 611, count: 1}}}]
"""  # fmt: skip
    assert 100 <= reads(opened(text)) <= 105


def test_change_is_noticed_at_once() -> None:
    """The first cycle after a change reads; nothing that changed waits for the end of an idle hour."""
    text = ALICE + """
timeline:
  - {at: +7h3m, do: {ad.set-user: {user: alice, display-name: Alice Liddell}}}
  - {at: +7h59m, expect: {agent.cycles: {count: 1+}}}
"""  # fmt: skip
    run = opened(text)
    run.run()
    reads = [
        each.started - run.world.start for each in run.world.network.attempts if each.on.endswith("read-passwords")
    ]
    assert timedelta(hours=7, minutes=4) in reads


def test_other_agents_run_every_cycle() -> None:
    """An agent without ``idle_until`` is asked to run each of its cycles."""
    run = Run(case(QUIET["a day"]), RunOptions(engine="world.plain_agents:create"))
    assert reads(run) == 720


def test_an_agent_under_test_is_not_taken_at_its_word() -> None:
    """Another agent's cycles all run, whatever it says of itself: here it is at work when it says that it is idle."""
    text = ALICE + """
timeline:
  - {at: +1m, do: {cloud.reset-password: {user: alice, password: "Helpdesk-77!"}}}
  - {at: +20m, expect: {cloud.user: {user: alice, source: admin-reset}}}
"""  # fmt: skip
    held(run(text))
    result = run(text, engine="world.broken_agents:SendsAllAlways")
    assert "cloud.user of alice" in [failure.title for failure in result.failures]
