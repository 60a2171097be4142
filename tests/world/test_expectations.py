"""Each expectation in both verdicts: what holds, and what it says where it does not."""

from __future__ import annotations

from world.runs import ALICE, BOTH, held, run

from simulator.report.text import result_text
from simulator.scenario.expectations import EXPECTATIONS
from simulator.scenario.model import EXPECTATIONS as MODELS

Answer = tuple[str, str] | None
"""(expected, got) of an expectation that does not hold; None for one that does."""


def judged(world: str, at: str, expectations: list[str]) -> list[Answer]:
    """What becomes of expectations at this offset."""
    text = world + f"  - at: {at}\n    expect:\n" + "".join(f"      - {each}\n" for each in expectations)
    result = run(text)
    assert result.harness_fault is None, result_text(result)
    assert {failure.kind for failure in result.failures} <= {"expectation"}, result_text(result)
    found = {failure.position.line: failure for failure in result.failures if failure.position is not None}
    first = 3 + text.count("\n") - len(expectations) + 1
    failures = [found.get(first + number) for number in range(len(expectations))]
    return [None if failure is None else (failure.expected, failure.got) for failure in failures]


def check(world: str, at: str, table: list[tuple[str, Answer]]) -> None:
    """Compare what becomes of a table's expectations with its second column."""
    found = judged(world, at, [expectation for expectation, _ in table])
    assert list(zip([expectation for expectation, _ in table], found, strict=True)) == table


def test_each_one_can_be_judged() -> None:
    """Every expectation of the format is judged by the world; a refusal by the runner."""
    assert set(MODELS) - set(EXPECTATIONS) == {"refused"}


class TestSignIn:
    PEOPLE = """
given:
  users:
    - {name: alice, password: "Winter-2016!"}
    - {name: ines, password: "Winter-2016!", class: inetOrgPerson}
    - {name: dave, password: "Winter-2016!", enabled: false}
  cloud-users:
    - {name: carl, password: "Autumn-2016!", password-age: 91d}
    - {name: lucy, password: "Autumn-2016!"}
    - {name: mary, password: "Autumn-2016!"}
  cloud: {policy: {lockout-threshold: 3}}
timeline:
  - at: +1m
    do:
      - {cloud.reset-password: {user: mary, password: "Helpdesk-77!", must-change: true}}
  - {at: +1m1s, do: {cloud.sign-in: {user: lucy, password: "wrong-1"}}, expect: {refused: wrong-password}}
  - {at: +1m2s, do: {cloud.sign-in: {user: lucy, password: "wrong-2"}}, expect: {refused: wrong-password}}
  - {at: +1m3s, do: {cloud.sign-in: {user: lucy, password: "wrong-3"}}, expect: {refused: wrong-password}}
  - {at: +1m4s, do: {ad.create-user: {user: nora, password: "First-day-17"}}}
"""

    RESULTS = (
        ("alice", "Winter-2016!", "ok", ""),
        ("alice", "Spring-2017!", "wrong-password", " (AADSTS50126)"),
        ("ines", "Winter-2016!", "no-password", " (AADSTS50056)"),
        ("nora", "First-day-17", "unknown-user", " (AADSTS50034)"),
        ("carl", "Autumn-2016!", "expired", " (AADSTS50055)"),
        ("mary", "Helpdesk-77!", "must-change", " (AADSTS50055)"),
        ("dave", "Winter-2016!", "disabled", " (AADSTS50057)"),
        ("lucy", "Autumn-2016!", "locked", " (AADSTS50053)"),
    )

    def test_results(self) -> None:
        """Every result of the managed cloud holds where it is so, and is told with its code where not."""
        table: list[tuple[str, Answer]] = []
        for user, password, result, code in self.RESULTS:
            sign_in = f'cloud.sign-in: {{user: {user}, password: "{password}", result: '
            other = "ok" if result != "ok" else "locked"
            table += [(sign_in + f"{result}}}", None), (sign_in + f"{other}}}", (other, result + code))]
        check(self.PEOPLE, "+1m30s", table)

    def test_via(self) -> None:
        """A managed domain decides by itself; that an AD FS farm does fails."""
        sign_in = 'cloud.sign-in: {user: alice, password: "Winter-2016!", result: ok, via: '
        check(ALICE + "timeline:\n", "+1m", [
            (sign_in + "managed}", None),
            (sign_in + "adfs}", ("ok via adfs", "ok via managed")),
        ])  # fmt: skip


class TestSession:
    WORLD = (
        BOTH
        + """
timeline:
  - {at: +1m, do: {cloud.sign-in: {user: alice, password: "Winter-2016!", as: laptop}}}
  - {at: +1m, do: {cloud.sign-in: {user: bob, password: "Winter-2016!"}}}
  - {at: +2m30s, do: {cloud.reset-password: {user: bob, password: "Helpdesk-77!"}}}
"""
    )

    def test_open(self) -> None:
        """An open session, and one that a reset took the refresh token from; unnamed ones bear their user's name."""
        check(self.WORLD, "+3m", [
            ("cloud.session: {as: laptop, access: ok, refresh: ok}", None),
            ("cloud.session: {as: laptop, refresh: revoked}", ("refresh revoked", "refresh ok")),
            ("cloud.session: {as: laptop, access: expired, refresh: ok}",
             ("access expired, refresh ok", "access ok, refresh ok")),
            ("cloud.session: {as: bob, access: ok, refresh: revoked}", None),
            ("cloud.session: {as: bob, refresh: expired}", ("refresh expired", "refresh revoked")),
        ])  # fmt: skip

    def test_after_an_hour(self) -> None:
        """The access token lives for an hour, less a second."""
        check(self.WORLD, "+1h58s", [("cloud.session: {as: laptop, access: ok}", None)])
        check(self.WORLD, "+1h1m", [("cloud.session: {as: laptop, access: ok}", ("access ok", "access expired"))])

    def test_after_ninety_days(self) -> None:
        """The refresh token lives for 90 days."""
        check(self.WORLD, "+90d1m", [
            ("cloud.session: {as: laptop, access: expired, refresh: expired}", None),
            ("cloud.session: {as: laptop, refresh: ok}", ("refresh ok", "refresh expired")),
        ])  # fmt: skip


class TestUser:
    WORLD = """
given:
  users:
    - {name: alice, password: "Winter-2016!"}
    - {name: bob, password: "Winter-2016!"}
    - {name: ines, password: "Winter-2016!", class: inetOrgPerson}
    - {name: dave, password: "Winter-2016!", enabled: false}
  cloud-users:
    - {name: carl, password: "Autumn-2016!", password-age: 10d}
timeline:
  - {at: +1m, do: {cloud.reset-password: {user: bob, password: "Helpdesk-77!", must-change: true}}}
  - {at: +1m, do: {ad.create-user: {user: nora, password: "First-day-17"}}}
"""

    def test_each_key(self) -> None:
        """Each key is looked at alone; only what is asked for is told."""
        check(self.WORLD, "+2m", [
            ("cloud.user: {user: alice, exists: true}", None),
            ("cloud.user: {user: alice, exists: false}", ("exists false", "exists true")),
            ("cloud.user: {user: nora, exists: false}", None),
            ("cloud.user: {user: nora, exists: true}", ("exists true", "exists false")),
            ("cloud.user: {user: alice, enabled: true}", None),
            ("cloud.user: {user: dave, enabled: false}", None),
            ("cloud.user: {user: dave, enabled: true}", ("enabled true", "enabled false")),
            ("cloud.user: {user: alice, source: synced}", None),
            ("cloud.user: {user: bob, source: admin-reset}", None),
            ("cloud.user: {user: carl, source: cloud}", None),
            ("cloud.user: {user: ines, source: none}", None),
            ("cloud.user: {user: ines, source: synced}", ("source synced", "source none")),
            ("cloud.user: {user: alice, expires: never}", None),
            ("cloud.user: {user: bob, expires: +90d1m}", None),
            ("cloud.user: {user: carl, expires: +80d}", None),
            ("cloud.user: {user: carl, expires: never}", ("expires never", "expires +80d")),
            ("cloud.user: {user: alice, expires: +80d}", ("expires +80d", "expires never")),
            ("cloud.user: {user: bob, must-change: true}", None),
            ("cloud.user: {user: alice, must-change: false}", None),
            ("cloud.user: {user: alice, must-change: true}", ("must-change true", "must-change false")),
            ("cloud.user: {user: alice, synced-object: true}", None),
            ("cloud.user: {user: carl, synced-object: false}", None),
            ("cloud.user: {user: carl, synced-object: true}", ("synced-object true", "synced-object false")),
        ])  # fmt: skip

    def test_several_keys(self) -> None:
        """Several keys hold together or not at all."""
        whole = (
            "exists: true, enabled: true, source: admin-reset, expires: +90d1m, must-change: true, synced-object: true"
        )
        check(self.WORLD, "+2m", [
            (f"cloud.user: {{user: bob, {whole}}}", None),
            ("cloud.user: {user: bob, exists: true, source: synced}",
             ("exists true, source synced", "exists true, source admin-reset")),
        ])  # fmt: skip

    def test_nobody(self) -> None:
        """Of a user who is not there nothing else can hold."""
        check(self.WORLD, "+2m", [
            ("cloud.user: {user: nora, enabled: true}", ("enabled true", "enabled no such user")),
            ("cloud.user: {user: nora, exists: false, enabled: false}",
             ("exists false, enabled false", "exists false, enabled no such user")),
        ])  # fmt: skip


CHANGES = (
    BOTH
    + """
faults:
  - {on: cloud.set-passwords, call: 2, lose: response}
timeline:
  - {at: +1m, do: {ad.change-password: {user: bob, password: "Spring-2017!"}}}
  - {at: +1m1s, do: {ad.change-password: {user: alice, password: "Spring-2017!"}}}
  - {at: +3m, do: {ad.change-password: {user: alice, password: "Summer-2017!"}}}
  - {at: +5m, do: {cloud.reset-password: {user: bob, password: "Helpdesk-77!"}}}
  - {at: +5m1s, do: {cloud.change-password: {user: bob, old: "Helpdesk-77!", password: "My-own-pass-1"}}}
"""
)
"""bob and alice arrive at +2m, alice at +4m (the answer is lost) and again at +6m; bob's are set in the cloud."""


class TestPasswords:
    def test_history(self) -> None:
        """What the tenant has held since the start, the one held then included, none twice in a row."""
        check(CHANGES, "+7m", [
            ('cloud.history: {user: alice, is: ["Winter-2016!", "Spring-2017!", "Summer-2017!"]}', None),
            ('cloud.history: {user: alice, is: ["Spring-2017!", "Summer-2017!"]}',
             ("alice#2 alice#3", "alice#1 alice#2 alice#3")),
            ('cloud.history: {user: alice, is: ["Winter-2016!", "Spring-2017!", "Never-was-17!"]}',
             ("alice#1 alice#2 alice#?", "alice#1 alice#2 alice#3")),
            ('cloud.history: {user: bob, is: ["Winter-2016!", "Spring-2017!", "Helpdesk-77!", "My-own-pass-1"]}', None),
            ("cloud.history: {user: bob, is: []}", ("none", "bob#1 bob#2 bob#3 bob#4")),
        ])  # fmt: skip

    def test_writes(self) -> None:
        """Writes are counted by user, by hand that made them, and from an instant on that counts itself."""
        check(CHANGES, "+7m", [
            ("cloud.writes: {count: 6}", None),
            ("cloud.writes: {by: sync, count: 4}", None),
            ("cloud.writes: {by: admin, count: 1}", None),
            ("cloud.writes: {by: user, count: 1}", None),
            ("cloud.writes: {user: alice, count: 3}", None),
            ("cloud.writes: {user: bob, by: sync, count: 1}", None),
            ("cloud.writes: {user: alice, by: admin, count: 0}", None),
            ("cloud.writes: {since: +4m, count: 4}", None),
            ("cloud.writes: {since: +4m1s, count: 3}", None),
            ("cloud.writes: {user: alice, count: 1+}", None),
            ("cloud.writes: {user: alice, by: admin, count: 1+}", ("1+ writes", "0")),
            ("cloud.writes: {by: sync, count: 5}", ("5 writes", "4")),
        ])  # fmt: skip

    def test_received(self) -> None:
        """The order in which the tenant took synchronized passwords; other writes are left out."""
        check(CHANGES, "+7m", [
            ("cloud.received: {is: [bob, alice, alice, alice]}", None),
            ("cloud.received: {since: +4m, is: [alice, alice]}", None),
            ("cloud.received: {since: +6m1s, is: []}", None),
            ("cloud.received: {since: +6m1s, is: [bob]}", ("bob", "none")),
            ("cloud.received: {since: +2m, is: [alice, bob]}", ("alice bob", "bob alice alice alice")),
        ])  # fmt: skip

    def test_calls(self) -> None:
        """Attempts to call the tenant, by operation under both of its names."""
        check(CHANGES, "+7m", [
            ("cloud.calls: {count: 3}", None),
            ("cloud.calls: {operation: any, count: 3}", None),
            ("cloud.calls: {operation: set-passwords, count: 3}", None),
            ("cloud.calls: {operation: cloud.set-passwords, since: +4m, count: 2}", None),
            ("cloud.calls: {operation: set-passwords, since: +4m1s, count: 1}", None),
            ("cloud.calls: {operation: ping, count: 0}", None),
            ("cloud.calls: {operation: token, count: 1}", ("1 calls of cloud.token", "0")),
            ("cloud.calls: {count: 2}", ("2 calls of any kind", "3")),
        ])  # fmt: skip

    def test_calls_of_an_hour(self) -> None:
        """Tokens, objects and pings are calls as well; reads of the directory are none."""
        world = ALICE + "timeline:\n  - {at: +1m, do: {ad.set-user: {user: alice, display-name: Alice L.}}}\n"
        check(world, "+1h1m", [
            ("cloud.calls: {operation: set-objects, count: 1}", None),
            ("cloud.calls: {operation: ping, count: 2}", None),
            ("cloud.calls: {operation: token, count: 1}", None),
            ("cloud.calls: {count: 4}", None),
        ])  # fmt: skip


class TestLogon:
    WORLD = """
given:
  forest: {domains: {contoso.example: {policy: {lockout-threshold: 2}}}}
  users:
    - {name: alice, password: "Winter-2016!"}
    - {name: erin, password: "Winter-2016!", password-age: 43d}
    - {name: mary, password: "Winter-2016!", must-change: true}
    - {name: dave, password: "Winter-2016!", enabled: false}
    - {name: lucy, password: "Winter-2016!"}
    - {name: xavi, password: "Winter-2016!", account-expires: +1m}
    - {name: gone, password: "Winter-2016!"}
timeline:
  - {at: +1m, do: {ad.logon: {user: lucy, password: "wrong-1"}}, expect: {refused: wrong-password}}
  - {at: +1m1s, do: {ad.logon: {user: lucy, password: "wrong-2"}}, expect: {refused: wrong-password}}
  - {at: +1m2s, do: {ad.delete-user: {user: gone}}}
"""

    def test_results(self) -> None:
        """Every result of a logon, in both verdicts."""
        table: list[tuple[str, Answer]] = []
        for user, result in (
            ("alice", "ok"), ("erin", "expired"), ("mary", "must-change"), ("dave", "disabled"),
            ("lucy", "locked"), ("xavi", "account-expired"), ("gone", "no-such-user"),
        ):  # fmt: skip
            logon = f'ad.logon: {{user: {user}, password: "Winter-2016!", result: '
            table += [(logon + f"{result}}}", None), (logon + "wrong-password}", ("wrong-password", result))]
        table.append(('ad.logon: {user: alice, password: "winter-2016!", result: wrong-password}', None))
        check(self.WORLD, "+1m30s", table)

    def test_controller(self) -> None:
        """A controller that is down answers nobody."""
        down = "timeline:\n  - {at: +1m, do: {ad.set-controller: {controller: dc1, state: down}}}\n"
        logon = 'ad.logon: {user: alice, password: "Winter-2016!", on: dc1, result: '
        check(ALICE + down, "+2m", [
            (logon + "unavailable}", None),
            (logon + "ok}", ("ok", "unavailable")),
        ])  # fmt: skip


class TestAgent:
    FAILING = (
        BOTH
        + """
faults:
  - {on: cloud.set-passwords, user: alice, times: 2, result: 5}
  - {on: directory.read-passwords, call: 3, fail: 8453}
timeline:
  - {at: +1m, do: {ad.change-password: {user: alice, password: "Spring-2017!"}}}
  - {at: +1m1s, do: {ad.change-password: {user: bob, password: "Spring-2017!"}}}
"""
    )
    """alice's password is refused at +2m and +4m, bob's is taken at +2m; at +6m the domain can't be read."""

    def test_events(self) -> None:
        """Events are found by id, level, user, domain, text and time, and counted."""
        check(self.FAILING, "+7m", [
            ("event-log: {id: 0, count: 2}", None),
            ("event-log: {id: 0, level: error, user: alice, count: 2}", None),
            ("event-log: {id: 0, user: bob, count: 0}", None),
            ("event-log: {level: error, count: 3}", None),
            ("event-log: {level: warning, count: 0}", None),
            ("event-log: {id: 611, domain: contoso.example, count: 1}", None),
            ("event-log: {id: 611, contains: rpc ERROR 8453, count: 1}", None),
            ("event-log: {id: 611, contains: no such words, count: 0}", None),
            ("event-log: {id: 0, since: +4m, count: 1}", None),
            ("event-log: {id: 0, since: +4m1s, count: 0}", None),
            ("event-log: {id: 650, count: 1+}", None),
            ("event-log: {id: 667, count: 1+}", ("1+ events", "0")),
            ("event-log: {id: 0, count: 1}", ("1 events", "2")),
        ])  # fmt: skip

    def test_domain_matches_whole(self) -> None:
        """A domain is matched by its whole name: a child's events are not its parent's."""
        world = """
given:
  forest: {domains: {contoso.example: {}, emea.contoso.example: {}}}
  users: [{name: alice, password: "Winter-2016!"}]
faults:
  - {on: directory.read-passwords, domain: emea.contoso.example, times: 2, fail: 8453}
timeline:
"""
        check(world, "+5m", [
            ("event-log: {id: 611, domain: emea.contoso.example, count: 2}", None),
            ("event-log: {id: 611, domain: contoso.example, count: 0}", None),
        ])  # fmt: skip

    def test_pending_and_status(self) -> None:
        """Who is pending, in sending order, and what became of the last attempt."""
        change = '  - {at: +3m, do: {ad.change-password: {user: bob, password: "Summer-2017!"}}}\n'
        world = self.FAILING.replace("  - {on: directory.read-passwords, call: 3, fail: 8453}\n", "")
        fault = "faults:\n  - {on: cloud.set-passwords, call: 2, lose: request}\n"
        check(world.replace("times: 2", "call: 1").replace("faults:\n", fault) + change, "+5m", [
            ("agent.pending: {is: [alice, bob]}", None),
            ("agent.pending: {is: [bob, alice]}", ("bob alice", "alice bob")),
            ("agent.pending: {is: none}", ("none", "alice bob")),
            ("agent.status: {user: alice, is: Unknown}", None),
            ("agent.status: {user: bob, is: Success}", ("Success", "Unknown")),
        ])  # fmt: skip
        check(self.FAILING, "+7m", [
            ("agent.pending: {is: none}", None),
            ("agent.status: {user: alice, is: Success}", None),
            ("agent.pending: {is: [alice]}", ("alice", "none")),
            ("agent.status: {user: alice, is: Error}", ("Error", "Success")),
        ])  # fmt: skip

    def test_cycles(self) -> None:
        """Cycles are counted by kind and time; those that were passed by are cycles too."""
        check(ALICE + "timeline:\n", "+1h", [
            ("agent.cycles: {kind: password, count: 30}", None),
            ("agent.cycles: {kind: object, count: 2}", None),
            ("agent.cycles: {count: 32}", None),
            ("agent.cycles: {kind: password, since: +10m, count: 26}", None),
            ("agent.cycles: {kind: password, since: +10m1s, count: 25}", None),
            ("agent.cycles: {kind: object, since: +1h, count: 1+}", None),
            ("agent.cycles: {kind: object, count: 3}", ("3 object cycles", "2")),
            ("agent.cycles: {count: 1}", ("1 cycles", "32")),
        ])  # fmt: skip

    def test_alert(self) -> None:
        """The tenant tells of a silent agent after two hours, to the second."""
        stopped = ALICE + "timeline:\n  - {at: +1m, do: {agent.stop: {}}}\n"
        check(stopped, "+1h59m59s", [
            ("agent.alert: {is: none}", None),
            ("agent.alert: {is: heartbeat}", ("heartbeat", "none")),
        ])  # fmt: skip
        check(stopped, "+2h", [
            ("agent.alert: {is: heartbeat}", None),
            ("agent.alert: {is: none}", ("none", "heartbeat")),
        ])  # fmt: skip

    def test_no_agent(self) -> None:
        """Where no agent is installed nothing is pending, and nobody has a status."""
        check(ALICE.replace("given:", "given:\n  sync: none") + "timeline:\n", "+1h", [
            ("agent.pending: {is: none}", None),
            ("agent.status: {user: alice, is: none}", None),
            ("agent.cycles: {count: 0}", None),
            ("agent.status: {user: alice, is: Success}", ("Success", "none")),
        ])  # fmt: skip


class TestObserving:
    LOOK = """    expect:
      - cloud.sign-in: {user: alice, password: "wrong", result: wrong-password}
      - cloud.sign-in: {user: alice, password: "wrong-2", result: wrong-password}
      - ad.logon: {user: alice, password: "wrong", result: wrong-password}
      - ad.logon: {user: alice, password: "wrong-2", result: wrong-password}
      - cloud.user: {user: alice, source: synced}
      - cloud.history: {user: alice, is: ["Winter-2016!"]}
      - agent.pending: {is: none}
      - agent.status: {user: alice, is: Success}
      - event-log: {count: 0}
"""
    STRICT = """
given:
  forest: {domains: {contoso.example: {policy: {lockout-threshold: 2}}}}
  cloud: {policy: {lockout-threshold: 2}}
  users: [{name: alice, password: "Winter-2016!"}]
timeline:
"""

    def test_leaves_no_trace(self) -> None:
        """However often one looks, nobody is locked out, and the trace is the same as without."""
        looks = "".join(f"  - at: +{second}s\n{self.LOOK}" for second in range(1, 6))
        end = (
            "  - at: +90s\n    expect:\n"
            '      - cloud.sign-in: {user: alice, password: "Winter-2016!", result: ok}\n'
            '      - ad.logon: {user: alice, password: "Winter-2016!", result: ok}\n'
            "  - {at: +31m, expect: {cloud.calls: {count: 1}}}\n"
        )
        looked, plain = held(run(self.STRICT + looks + end)), held(run(self.STRICT + end))
        assert looked.trace == plain.trace

    def test_at_the_end_of_its_instant(self) -> None:
        """An expectation sees the whole instant: the actions of entries that stand below it too."""
        world = ALICE + """
timeline:
  - at: +3m
    expect: {cloud.writes: {by: admin, count: 1}}
  - at: +3m
    do: {cloud.reset-password: {user: alice, password: "Helpdesk-77!"}}
"""  # fmt: skip
        held(run(world))
        assert run(world.replace("count: 1", "count: 0")).outcome == "broke"
