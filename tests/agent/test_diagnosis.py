"""The diagnosis: what it asks, in which order, what it finds, and that asking leaves no trace."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from world.plain_agents import PlainAgent
from world.runs import BOTH, held, opened, run

from pwsync.agent import SyncAgent
from pwsync.diagnosis import OK, Check, Diagnosis
from pwsync.errors import ReplicationError, Throttled, TransportError
from pwsync.fips import ServerCrypto
from pwsync.ports import AgentPorts, ServerPort
from pwsync.settings import BUILD_CURRENT, Scope
from simulator.report.text import result_text
from simulator.scenario.values import parse_offset

START = datetime(2017, 1, 13, 9, tzinfo=UTC)

THREE_HOURS = timedelta(hours=3)


def levels(diagnosis: Diagnosis) -> list[tuple[str, str]]:
    return [(check.level, check.name) for check in diagnosis.checks]


def verdict(diagnosis: Diagnosis, name: str) -> str:
    return next(check.verdict for check in diagnosis.checks if check.name == name)


class TestOrder:
    def test_healthy(self, lab: Any) -> None:
        """All questions, from the tenant inwards; a user's come last."""
        lab.domain.add("alice")
        found = lab.settled().diagnose(lab.anchor("alice"))
        assert found.finds == ("ok",)
        assert levels(found) == [
            ("tenant", "feature"), ("server", "staging"), ("server", "fips"), ("connector", "channel"),
            ("connector", "heartbeat"), ("domain", "reach"), ("domain", "credentials"), ("domain", "rights"),
            ("object", "state"), ("object", "rules"), ("object", "must-change"), ("object", "history"),
        ]  # fmt: skip
        assert verdict(found, "history") == "The last attempt, at 2017-01-13 09:00:00 UTC, ended with Success."

    def test_history_is_kept_for_a_week(self, lab: Any) -> None:
        """What is older than the object log says that it is; who was never sent has none."""
        lab.domain.add("alice")
        lab.domain.add("bob", None)
        agent = lab.settled()
        lab.now += timedelta(days=7)
        assert "The last attempt, at" in verdict(agent.diagnose(lab.anchor("alice")), "history")
        lab.now += timedelta(seconds=1)
        assert verdict(agent.diagnose(lab.anchor("alice")), "history") == (
            "There was no attempt in the last seven days; the one before ended with Success."
        )
        assert verdict(agent.diagnose(lab.anchor("bob")), "history") == "There was no attempt yet."

    def test_everything_wrong(self, lab: Any) -> None:
        """A finding ends nothing but what can't be known after it; each word comes once, in the product's order."""
        lab.add_domain("sales.example")
        lab.add_domain("labs.example", forest="labs.example", connector="connector-2")
        agent = lab.settled()
        agent.disable_password_sync("sales.example")
        agent.configure(staging=True)
        lab.tenant.features = 0
        lab.now += THREE_HOURS
        lab.domain.password = "new!"
        lab.domains["labs.example"].on_call = refuse("get-nc-changes", 8453)
        found = agent.diagnose()
        assert found.finds == (
            "feature-off", "staging", "connector-off", "no-heartbeat", "wrong-credentials", "missing-rights"
        )  # fmt: skip
        assert [check.subject for check in found.checks if check.level == "domain"] == [
            "contoso.example", "contoso.example", *["sales.example"] * 3, *["labs.example"] * 3,
        ]  # fmt: skip

    def test_user_of_one_domain(self, lab: Any) -> None:
        """For a user only his own connector and domain are asked."""
        lab.domain.add("alice")
        other = lab.add_domain("labs.example", forest="labs.example", connector="connector-2")
        agent = lab.settled()
        other.on_call = refuse("negotiate", 1722)
        assert agent.diagnose(lab.anchor("alice")).finds == ("ok",)
        assert agent.diagnose().finds == ("domain-unreachable",)

    def test_user_without_a_password(self, lab: Any) -> None:
        """Neither is another domain asked for a user of whom only the object is known."""
        lab.domain.add("alice", None)
        other = lab.add_domain("labs.example", forest="labs.example", connector="connector-2")
        agent = lab.settled()
        other.on_call = refuse("negotiate", 1722)
        assert "domain-unreachable" not in agent.diagnose(lab.anchor("alice")).finds


def refuse(operation: str, code: int) -> Callable[[str], None]:
    def answer(asked: str) -> None:
        if asked == operation:
            raise ReplicationError(code)

    return answer


class TestTenant:
    def test_feature(self, lab: Any) -> None:
        """The tenant is asked, and its bit for password synchronization decides."""
        agent = lab.settled()
        for features, word in ((1, "ok"), (0, "feature-off"), (16384, "feature-off"), (16385, "ok")):
            lab.tenant.features = features
            assert agent.diagnose().finds == (word,)

    def test_pause_is_told_and_can_be_heeded(self, lab: Any) -> None:
        """A Retry-After is told and changes nothing until the agent is to heed it; then it outlives a restart."""
        agent = lab.settled()
        lab.tenant.failures.append(("configuration", Throttled(429, retry_after=5400.0)))
        found = agent.diagnose()
        assert found.pause == 5400.0
        assert "pause of 5400 s" in verdict(found, "feature")
        assert lab.commits == 0
        assert agent.diagnose().pause is None
        agent.heed(found)
        agent.heed(agent.diagnose())
        assert "wants no calls" in verdict(agent.diagnose(), "feature")
        lab.forget()
        agent = lab.reborn(agent)
        lab.run(agent, 89)
        assert lab.tenant.calls == []
        lab.run(agent, 5)
        assert lab.tenant.calls == ["token", "ping"]

    def test_pause_that_can_not_be_stored_holds(self, lab: Any) -> None:
        """A store that takes nothing costs the pause its restart, not itself."""
        agent = lab.settled()
        lab.tenant.failures.append(("configuration", Throttled(503, retry_after=5400.0)))

        def full(number: int) -> None:
            raise OSError("no space left")

        lab.on_commit = full
        agent.heed(agent.diagnose())
        lab.on_commit = lambda number: None
        lab.forget()
        lab.run(agent, 80)
        assert lab.tenant.calls == []

    @pytest.mark.parametrize("error", [TransportError("no answer"), Throttled(503)])
    def test_no_answer(self, lab: Any, error: Any) -> None:
        """A tenant that does not answer is no finding, and is told."""
        agent = lab.settled()
        lab.tenant.failures.append(("configuration", error))
        found = agent.diagnose()
        assert found.finds == ("ok",)
        assert verdict(found, "feature").startswith("The tenant could not be asked")

    def test_pause(self, lab: Any) -> None:
        """While the tenant wants no calls it gets none from here either."""
        lab.domain.add("alice")
        agent = lab.settled()
        lab.tenant.failures.append(("credentials", Throttled(429, retry_after=600)))
        lab.domain.set_password("alice", "Spring-2017!")
        lab.run(agent)
        lab.forget()
        assert "wants no calls" in verdict(agent.diagnose(), "feature")
        assert lab.tenant.calls == []


class TestConnector:
    def test_age_of_the_heartbeat(self, lab: Any) -> None:
        """Three hours to the second since the tenant last took something."""
        agent = lab.settled()
        lab.now += THREE_HOURS - timedelta(seconds=1)
        assert agent.diagnose().finds == ("ok",)
        lab.now += timedelta(seconds=1)
        assert agent.diagnose().finds == ("no-heartbeat",)

    def test_failed_pings_do_not_count(self, lab: Any) -> None:
        """A ping that failed is no sign of life; a batch is one."""
        lab.domain.add("alice")
        agent = lab.settled()
        lab.tenant.on_call = fail_all
        lab.run(agent, 185)
        assert agent.diagnose().finds == ("no-heartbeat",)
        lab.tenant.on_call = lambda operation: None
        lab.domain.set_password("alice", "Spring-2017!")
        lab.run(agent)
        assert agent.diagnose().finds == ("ok",)

    def test_one_connector_of_two(self, lab: Any) -> None:
        """Each connector has a heartbeat of its own."""
        lab.add_domain("labs.example", forest="labs.example", connector="connector-2")
        agent = lab.settled()
        for _ in range(6):
            lab.tenant.failures.append(("ping", TransportError("lost")))
            lab.run(agent, 30)
        found = agent.diagnose()
        assert [(check.subject, check.finding) for check in found.checks if check.name == "heartbeat"] == [
            ("contoso.example", "no-heartbeat"), ("labs.example", None),
        ]  # fmt: skip

    def test_not_running(self, lab: Any) -> None:
        """A stopped service misses none, and it is told; what a process would know that starts now is examined."""
        agent = lab.settled()
        agent.stop()
        lab.now += THREE_HOURS
        assert verdict(agent.diagnose(), "heartbeat") == "The service does not run: start it."
        assert agent.diagnose().finds == ("not-running",)
        lab.domain.password = "new!"
        assert agent.diagnose().finds == ("not-running", "wrong-credentials")

    def test_never_installed(self, lab: Any) -> None:
        """Nothing set up is a channel that is off."""
        assert lab.agent().diagnose().finds == ("connector-off",)


def fail_all(operation: str) -> None:
    if operation in ("ping", "credentials"):
        raise TransportError("down")


class TestDomain:
    @pytest.mark.parametrize(
        ("operation", "code", "word"),
        [
            ("negotiate", 1722, "domain-unreachable"),
            ("negotiate", 1753, "domain-unreachable"),
            ("authenticate", 1326, "wrong-credentials"),
            ("authenticate", 1331, "wrong-credentials"),
            ("authenticate", 1909, "wrong-credentials"),
            ("get-nc-changes", 1726, "domain-unreachable"),
            ("get-nc-changes", 8453, "missing-rights"),
            ("get-nc-changes", 5, "missing-rights"),
            ("get-nc-changes", 8456, "ok"),
            ("get-nc-changes", 8439, "ok"),
            ("unbind", 1726, "ok"),
        ],
    )
    def test_replication(self, lab: Any, operation: str, code: int, word: str) -> None:
        """Each refusal of the replication interface has its word; what is not about access is not recognized."""
        agent = lab.settled()
        lab.domain.on_call = refuse(operation, code)
        assert agent.diagnose().finds == (word,)

    def test_what_the_process_knows(self, lab: Any) -> None:
        """The running service's password and controller are tried, not those of the settings."""
        agent = lab.settled()
        lab.domain.password = lab.settings.connectors[0].password = "new!"
        assert agent.diagnose().finds == ("wrong-credentials",)
        agent = lab.reborn(agent)
        agent.configure(preferred_controllers={"contoso.example": ("down",)})
        assert agent.diagnose().finds == ("ok",)
        assert lab.reborn(agent).diagnose().finds == ("domain-unreachable",)

    def test_locked_server(self, lab: Any) -> None:
        """That MD5 can't be had is told of the server, with the file that would exempt it."""
        ports = replace(lab.ports(), server=ServerPort(crypto=lambda enforce: ServerCrypto(locked=enforce)))
        agent = SyncAgent(ports, lambda ports: (lab.tenant, lab.tenant))
        lab.agents.append(agent)
        agent.install()
        agent.start()
        found = agent.diagnose()
        assert found.finds == ("fips",)
        assert r"%programfiles%\Azure AD Sync\Bin\miiserver.exe.config" in verdict(found, "fips")


class TestObject:
    def finds(self, agent: SyncAgent, lab: Any, name: str) -> str:
        (word,) = agent.diagnose(lab.anchor(name)).finds
        return word

    def test_states(self, lab: Any) -> None:
        """What keeps a password back, as of the last object cycle."""
        lab.settings.scope = Scope(exclude_ous=("OU=Robots",))
        lab.domain.add("alice")
        lab.domain.add("ines", inet="yes")
        lab.domain.add("dave", userAccountControl="514")
        lab.domain.add("robot", ou="OU=Robots")
        lab.domain.add("gone")
        agent = lab.settled()
        lab.domain.delete("gone")
        lab.run(agent, 30)
        words = {name: self.finds(agent, lab, name) for name in lab.domain.people}
        assert words == {
            "alice": "ok", "ines": "unsupported-class", "dave": "not-in-scope", "robot": "not-in-scope",
            "gone": "not-in-scope",
        }  # fmt: skip

    def test_not_imported(self, lab: Any) -> None:
        """One whom the agent does not know yet is looked up in the directory and judged by the same rules."""
        agent = lab.settled()
        lab.settings.scope = Scope(exclude_attribute={"employeeType": "robot"})
        lab.domain.add("nora")
        lab.domain.add("nina", inet="yes")
        lab.domain.add("robot", employeeType="Robot")
        words = {name: self.finds(agent, lab, name) for name in lab.domain.people}
        assert words == {"nora": "not-exported", "nina": "unsupported-class", "robot": "not-in-scope"}

    def test_export_fails(self, lab: Any) -> None:
        """One whose object the tenant does not take is not exported."""
        lab.domain.add("alice")
        lab.tenant.results["object:" + lab.anchor("alice")] = 1
        agent = lab.settled()
        assert self.finds(agent, lab, "alice") == "not-exported"

    @pytest.mark.parametrize("anchor", ["", "?", "AAAA", "AAAAAAAAAAAAAAAAAAAAAA==", "\u202e", "A" * 10_000])
    def test_nobody(self, lab: Any, anchor: str) -> None:
        """Nobody's anchor, or no anchor at all, is not in scope."""
        found = lab.settled().diagnose(anchor)
        assert found.finds == ("not-in-scope",)
        assert found.checks[-1].subject == anchor

    def test_unreachable(self, lab: Any) -> None:
        """One who can't be looked up is not found; that the domain can't be asked is told as well."""
        agent = lab.settled()
        lab.domain.add("nora")
        lab.domain.password = "new!"
        assert agent.diagnose(lab.anchor("nora")).finds == ("wrong-credentials", "not-in-scope")

    @pytest.mark.parametrize(("features", "word"), [(1, "temporary-password"), (16385, "ok")])
    def test_temporary(self, lab: Any, features: int, word: str) -> None:
        """Today the tenant's feature decides; if it can't be asked, what became of the last attempt does."""
        lab.settings.build = BUILD_CURRENT
        lab.tenant.features = features
        lab.domain.add("alice")
        agent = lab.settled()
        lab.domain.set_password("alice", "Temporary-17!", must_change=True)
        lab.run(agent)
        assert self.finds(agent, lab, "alice") == word
        lab.tenant.failures.append(("configuration", TransportError("lost")))
        assert self.finds(agent, lab, "alice") == word


class TestForms:
    def test_text(self, lab: Any) -> None:
        """The text goes from the outside in, marks what is wrong, and ends with what was found."""
        lab.domain.add("alice")
        agent = lab.settled()
        lab.domain.on_call = refuse("get-nc-changes", 8453)
        assert agent.diagnose(lab.anchor("alice")).text().splitlines() == [
            "Diagnosis of password synchronization at 2017-01-13 09:00:00 UTC",
            "================================================================",
            "",
            "Tenant - tenant",
            "    Password synchronization is switched on in the tenant.",
            "",
            "Server - SYNC01",
            "    The server is not in staging mode.",
            "    The service can open replicated passwords.",
            "",
            "Connector - contoso.example",
            "    The channel of contoso.example is on.",
            "    The tenant heard of the agent, or the service was started, at 2017-01-13 09:00:00 UTC.",
            "",
            "        Domain - contoso.example",
            "            The domain can be reached through dc1.",
            "            Name and password of MSOL_1 are right.",
            "            [missing-rights] MSOL_1 lacks Replicating Directory Changes, or Replicating Directory Changes"
            " All.",
            "",
            "    Object - CN=alice,OU=People,DC=contoso,DC=example",
            "        The object is in scope, and the tenant has it.",
            "        The rules synchronize the object's password.",
            "        The password is not kept back as a temporary one.",
            "        The last attempt, at 2017-01-13 09:00:00 UTC, ended with Success.",
            "",
            "Found: missing-rights",
        ]

    @given(st.lists(st.tuples(st.text(), st.none() | st.sampled_from(["staging", "fips", "feature-off"]))))
    def test_json(self, made: list[tuple[str, str | None]]) -> None:
        """Plain values, whatever the verdicts say; ``ok`` stands alone."""
        checks = tuple(Check("server", "SYNC01", "x", text, word) for text, word in made)
        found = Diagnosis(START, checks)
        assert json.loads(json.dumps(found.as_json()))["finds"] == list(found.finds)
        assert (found.finds == (OK,)) == all(word is None for _, word in made)
        assert len(set(found.finds)) == len(found.finds)


class TestNoTrace:
    def test_of_the_agent(self, lab: Any) -> None:
        """No event, no commit, no cycle; no generator of the agent's is drawn from; the store is as it was."""
        lab.domain.add("alice")
        agent = lab.settled()
        random = {name: child.getstate() for name, child in lab._randoms.items() if not name.startswith("diagnosis/")}
        for _ in range(3):
            agent.diagnose(lab.anchor("alice"))
        assert (lab.events, lab.cycles, lab.commits) == ([], [], 0)
        assert random == {
            name: child.getstate() for name, child in lab._randoms.items() if not name.startswith("diagnosis/")
        }
        lab.forget()
        lab.run(agent)
        assert lab.domain.calls == ["get-nc-changes"]

    def test_of_the_world(self) -> None:
        """A run in which it is asked all the time is, to the last generator, one in which it never is."""
        worlds = []
        for asks in (False, True):
            made = opened(WORLD + timeline(asks=asks))
            made.run()
            assert {failure.kind for failure in made.failures} <= ({"expectation"} if asks else set())
            worlds.append(made.world)
        plain, asked = worlds
        assert asked.trace.lines == plain.trace.lines
        assert asked.tenant.sign_in_log == plain.tenant.sign_in_log
        assert asked.requests == plain.requests
        assert [fault.matched for fault in asked.network.faults] == [fault.matched for fault in plain.network.faults]
        assert generators(asked) == generators(plain)
        assert entries(asked) == entries(plain)

    def test_while_a_cycle_waits(self) -> None:
        """Asked in the middle of a cycle it takes no time and disturbs nothing."""
        held(run(BOTH + """
faults: [{on: cloud.set-passwords, call: 1, delay: 30s}, {on: directory.any, call: 9, delay: 1m}]
timeline:
  - {at: +1m, do: {ad.change-password: {user: alice, password: "Spring-2017!"}}}
  - {at: +2m10s, expect: [{agent.diagnosis: {finds: ok}}, {agent.pending: {is: [alice]}}]}
  - {at: +2m30s, expect: {cloud.sign-in: {user: alice, password: "Spring-2017!", result: ok}}}
  - {at: +30m}
""".replace("  - {at: +30m}\n", "  - {at: +30m, expect: {agent.diagnosis: {finds: ok}}}\n")))  # fmt: skip


class TestExpectation:
    def test_shows_the_checks(self) -> None:
        """A failure tells what was found and every check behind it."""
        result = run(
            BOTH
            + """
timeline:
  - at: +1m
    do: {agent.configure: {staging: true}}
    expect:
      - agent.diagnosis: {finds: ok}
      - agent.diagnosis: {finds: [staging, fips]}
"""
        )
        first, second = result.failures
        assert (first.expected, second.expected) == ("ok", "staging, fips")
        assert first.got.startswith("staging (")
        assert "SYNC01: The server is in staging mode" in first.got
        assert "contoso.example: The domain can be reached through dc1." in result_text(result)

    def test_of_nobody(self) -> None:
        """A user who exists in the cloud alone has no diagnosis; neither has a server without an agent."""
        result = run(
            BOTH
            + """
timeline:
  - at: +1m
    do: {cloud.create-user: {user: carl, password: "Helpdesk-77!"}}
    expect: {agent.diagnosis: {user: carl, finds: ok}}
"""
        )
        assert "no-such-user" in result.failures[0].got
        result = run("""
given: {sync: none, users: [{name: alice, password: "Winter-2016!"}]}
timeline: [{at: +1m, expect: {agent.diagnosis: {finds: ok}}}]
""")
        assert "no agent is installed" in result.failures[0].got

    @pytest.mark.parametrize(("engine", "finds", "outcome"), [
        ("says_ok", "ok", "held"),
        ("says_ok", "staging", "broke"),
        ("says_nothing", "ok", "broke"),
    ])  # fmt: skip
    def test_other_agents(self, engine: str, finds: str, outcome: str) -> None:
        """Another agent may answer with the words alone, or have no diagnosis."""
        text = BOTH + f"timeline: [{{at: +1m, expect: {{agent.diagnosis: {{finds: {finds}}}}}}}]"
        result = run(text, engine=f"agent.test_diagnosis:{engine}")
        assert (result.outcome, result.harness_fault) == (outcome, None)


class Terse(PlainAgent):
    """Answers with words."""

    def diagnose(self, source_anchor: str | None = None) -> list[str]:
        return ["ok"]


class Silent(PlainAgent):
    """Has no diagnosis."""

    def diagnose(self, source_anchor: str | None = None) -> list[str]:
        raise NotImplementedError("no diagnosis")


def says_ok(ports: AgentPorts) -> PlainAgent:
    return Terse(ports)


def says_nothing(ports: AgentPorts) -> PlainAgent:
    return Silent(ports)


WORLD = """
given:
  forest: {domains: {contoso.example: {controllers: [dc1, dc2], policy: {lockout-threshold: 2}}}}
  cloud: {policy: {lockout-threshold: 2}}
  users:
    - {name: alice, password: "Winter-2016!"}
    - {name: bob, password: "Winter-2016!"}
  network: {cloud-latency: 100ms}
faults:
  - {on: cloud.any, call: 2, answer: 503, retry-after: 90s}
  - {on: directory.read-passwords, times: 2, fail: 8439}
  - {on: directory.read-passwords, between: [+19m, +21m], crash: before}
  - {on: cloud.set-passwords, user: bob, times: 1, result: 2}
  - {on: cloud.token, between: [+50m, +3h], delay: 3s}
timeline:
"""

STEPS = {
    "+1m": '[{ad.change-password: {user: alice, password: "Spring-2017!"}}, '
    '{ad.reset-password: {user: bob, password: "Spring-2017!", on: dc2}}]',
    "+9m": f"[{', '.join(['{ad.set-connector-password: {domain: contoso.example, known-to-agent: false}}'] * 4)}]",
    "+13m": "[{ad.set-connector-password: {domain: contoso.example, known-to-agent: true}}, {agent.restart: {}}]",
    "+25m": "{network.set-link: {link: cloud, state: down}}",
    "+33m": "{network.set-link: {link: cloud, state: up}}",
    "+40m": '{ad.change-password: {user: alice, password: "Summer-2017!"}}',
    "+3h": "{agent.restart: {}}",
}
ASKED = ("+0s", "+1m30s", "+2m", "+5m", "+10m", "+11m", "+14m", "+20m", "+26m", "+34m", "+41m", "+1h30m", "+2h59m")


def timeline(*, asks: bool) -> str:
    """The steps, and between them questions about everybody."""
    entries = [(parse_offset(at), at, f"do: {what}") for at, what in STEPS.items()]
    users = ["", "user: alice, ", "user: bob, "]
    every = ", ".join(f"{{agent.diagnosis: {{{user}finds: ok}}}}" for user in users)
    if asks:
        entries += [(parse_offset(at), at, f"expect: [{every}]") for at in ASKED]
    return "".join(f"  - {{at: {at}, {what}}}\n" for _, at, what in sorted(entries))


def entries(world: Any) -> list[Any]:
    """Everything on every controller, counters and times of logons included."""
    controllers = [each for domain in world.domains for each in domain.controllers.values()]
    return [
        (controller.replica.usn, [(entry.dn, dict(entry.values)) for entry in controller.replica.by_guid.values()])
        for controller in controllers
    ]


def generators(world: Any) -> dict[str, Any]:
    return {name: child.getstate() for name, child in world.randomness._children.items()}
