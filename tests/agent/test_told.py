"""Whole logs: short stories of an agent, and every event, call and export of them as golden texts.

``pytest tests/agent --update`` writes golden/NAME.txt anew; read the difference before you keep it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from pwsync import engine_events
from pwsync.agent import SyncAgent
from pwsync.errors import (
    AgentError,
    EnvelopeError,
    FileTimeError,
    FipsError,
    Refused,
    ReplicationError,
    ServiceFault,
    Throttled,
    TokenError,
    TransportError,
)
from pwsync.event_log import Change, Event, EventTexts
from pwsync.failures import batch_status, left_out_status, read_chain, tenant_chain
from pwsync.fips import ServerCrypto, domain_failed
from pwsync.ports import ServerPort
from pwsync.settings import BUILD_2017, BUILD_CURRENT, Build, Connector, Scope

GOLDEN = Path(__file__).parent / "golden"
NOW = datetime(2017, 1, 13, 9, tzinfo=UTC)
DOMAIN = "contoso.example"


def hold(name: str, lines: Sequence[str], *, update: bool) -> None:
    """Compare with the golden text of this name."""
    actual = "".join(f"{line}\n" for line in lines)
    actual = re.sub(r"/[^ ]*/agent\.db", "FOLDER/agent.db", actual)
    path = GOLDEN / f"{name}.txt"
    if update:
        path.parent.mkdir(exist_ok=True)
        path.write_text(actual, encoding="utf-8")
    assert actual == path.read_text(encoding="utf-8")


def shown(event: Event, name: Callable[[str], str] = str) -> list[str]:
    """An event with everything that it carries; texts in quotation marks, a line for each of theirs."""
    more = [
        f"{what}={found}"
        for what, found in (
            ("domain", event.domain),
            ("users", [name(anchor) for anchor in event.users]),
            ("dns", list(event.dns)),
            ("insertions", list(event.insertions)),
        )
        if found
    ]
    head = " ".join([f"{event.time:%H:%M:%S}", str(event.id), event.level, event.source, *more])
    return [head, *(f"    {json.dumps(line, ensure_ascii=False)}" for line in event.text.split("\n"))]


def folded(words: Sequence[str]) -> str:
    """Words in their order; of the same one again and again only the number."""
    runs = [(word, len(list(same))) for word, same in groupby(words)]
    return " ".join(f"{word} x{count}" if count > 1 else word for word, count in runs)


class Story:
    """An agent in its laboratory, and what is to be seen from outside, step by step."""

    def __init__(self, lab: Any, build: Build) -> None:
        self.lab, self.lines = lab, list[str]()
        lab.settings.build = build
        taken = type(lab.tenant).send_objects
        switched = type(lab.tenant).set_features

        def send_objects(objects: Any) -> Any:
            for each in objects:
                values = json.dumps(each.attributes, ensure_ascii=False)
                self.lines.append(
                    f"export {each.operation} {each.object_type} {self.name(each.source_anchor)} {values}"
                )
            return taken(lab.tenant, objects)

        def set_features(bits: int) -> None:
            self.lines.append(f"features {bits}")
            switched(lab.tenant, bits)

        lab.tenant.send_objects, lab.tenant.set_features = send_objects, set_features
        self.agent: SyncAgent = lab.agent()

    def name(self, anchor: str) -> str:
        found = [each.name for each in self.people() if each.anchor == anchor]
        return found[0] if found else anchor

    def people(self) -> list[Any]:
        return [person for domain in self.lab.domains.values() for person in domain.people.values()]

    def step(self, title: str, minutes: float = 0) -> None:
        """Let time pass, and write down all that came of it."""
        lab = self.lab
        self.lines += ["", f"== {title}"]
        if minutes:
            lab.run(self.agent, minutes)
        for event in lab.events:
            self.lines += shown(event, self.name)
        self.lines.append(f"cycles: {' '.join(f'{kind} {when:%H:%M:%S}' for kind, when in lab.cycles) or '-'}")
        self.lines += [f"calls: {folded(calls)}" for calls in [lab.tenant.calls] if calls]
        for name, domain in lab.domains.items():
            if domain.calls:
                self.lines.append(f"{name}: {folded(domain.calls)}")
        for item in lab.tenant.credentials:
            flag = " must change" if item.force_change else ""
            self.lines.append(f"taken: {self.name(item.source_anchor)} of {item.change_date:%H:%M:%S}{flag}")
        states = [f"{each.name} {self.agent.status(each.anchor)}" for each in self.people()]
        pending = [self.name(anchor) for anchor in self.agent.pending()]
        self.lines += [f"status: {', '.join(states)}; pending: {', '.join(pending) or '-'}; commits: {lab.commits}"]
        due = self.agent.next_due()
        idle = self.agent.idle_until()
        self.lines.append(f"now: {lab.now:%H:%M:%S}; due: {due and f'{due:%H:%M:%S}'}; "
                          f"idle until: {idle and f'{idle:%H:%M:%S}'}")  # fmt: skip
        lab.forget()

    def begin(self, **how: bool) -> None:
        self.agent.install(**(how or {"express": True}))
        self.agent.start()
        self.agent.run_due()
        self.step("the first cycles")

    def refused(self, call: Callable[[], Any]) -> None:
        """An order that is refused."""
        with pytest.raises(Refused) as refused:
            call()
        self.lines += ["", f"refused ({refused.value.reason}): {refused.value}"]

    def reborn(self) -> None:
        self.agent = self.lab.reborn(self.agent)
        self.agent.run_due()

    def moved_to(self, server: ServerPort) -> None:
        """The database goes on with an agent on another server."""
        lab = self.lab
        self.agent.close()
        self.agent = SyncAgent(replace(lab.ports(), server=server), lambda ports: (lab.tenant, lab.tenant))
        lab.agents.append(self.agent)

    def fail(self, *failures: tuple[str, AgentError]) -> None:
        self.lab.tenant.failures += failures


def refusing(operation: str, error: Exception) -> Callable[[str], None]:
    def answer(asked: str) -> None:
        if asked == operation:
            raise error

    return answer


def busy() -> ServiceFault:
    return ServiceFault("The server is busy.", code=81, tracking_id="track-1", server="SRV1")


def off() -> ServiceFault:
    return ServiceFault("Not activated.", code=90, tracking_id="track-2", server="SRV2")


def a_day(story: Story) -> None:
    """People come, change, move, are locked out and go."""
    lab = story.lab
    lab.settings.scope = Scope(exclude_ous=("OU=Robots",))
    lab.domain.add("alice", givenName="Alice", sn="Liddell", mail="alice@contoso.example", proxyAddresses="SMTP:a@b")
    lab.domain.add("dave", userAccountControl="514")
    lab.domain.add("ines", inet="yes")
    lab.domain.add("r2", ou="OU=Robots")
    lab.domain.add("nameless", userPrincipalName="")
    story.begin()
    lab.now += timedelta(seconds=45)
    lab.domain.set_password("alice", "Spring-2017!")
    lab.domain.add("bob")
    lab.domain.set_password("r2", "Beep-2017!")
    story.step("a change, and a new user", 2)
    lab.domain.set_password("nameless", "Temporary-1!", must_change=True)
    story.step("a temporary password", 2)
    story.step("the next object cycle, and a heartbeat", 34)
    lab.domain.enable("dave")
    lab.domain.enable("alice", enabled=False)
    lab.domain.move("bob", "OU=Robots")
    lab.domain.move("r2", "OU=People")
    lab.domain.delete("nameless")
    lab.domain.set("alice", mail="", sn="Hargreaves")
    story.step("everybody changes places", 28)
    lab.domain.enable("alice")
    story.agent.configure(scope=Scope(), object_interval=timedelta(minutes=45))
    story.step("scope and interval are others", 32)
    story.reborn()
    story.step("another process")
    story.agent.run_object_cycle("initial")
    story.step("an initial cycle")
    story.agent.start()
    story.step("started twice")
    story.agent.stop()
    story.step("stopped", 10)


def the_tenant_refuses(story: Story) -> None:
    """Faults of every kind, for each call."""
    lab = story.lab
    lab.settings.batch_size = 2
    for name in ("alice", "bob", "carol"):
        lab.domain.add(name)
    story.fail(("objects", off()), ("credentials", TransportError("reset by peer")))
    story.begin()
    story.fail(("credentials", busy()), ("credentials", TokenError("AADSTS50126: wrong.")))
    story.step("objects were refused", 32)
    lab.tenant.results[lab.anchor("bob")] = 9
    story.step("one of them fails", 2)
    story.step("and fails again", 2)
    lab.tenant.results.clear()
    story.step("all is well again", 2)
    story.fail(("ping", ServiceFault("Access denied: denied to you.")))
    story.step("a ping is denied", 32)
    story.fail(("ping", Throttled(503, retry_after=900)))
    lab.domain.set_password("bob", "Spring-2017!")
    lab.tenant.results[lab.anchor("bob")] = -1
    story.step("an answer without a result", 4)
    lab.tenant.results.clear()
    story.step("a pause that a ping is asked for", 30)
    story.step("the pause is over", 26)
    lab.tenant.features = 4
    lab.domain.set_password("bob", "Summer-2017!")
    story.fail(("credentials", off()), ("configuration", TransportError("lost")))
    story.step("the feature is off, and stays so", 2)
    story.fail(("credentials", off()), ("features", Throttled(429, retry_after=300)))
    story.step("it can't be switched", 2)
    story.fail(("credentials", off()))
    story.step("it is switched", 10)
    for index, error in enumerate((busy(), Throttled(500), TokenError("no"), TransportError("lost"))):
        lab.domain.set("carol", displayName=f"Carol {index}")
        story.fail(("objects", error))
        story.agent.run_object_cycle("delta")
    story.step("exports fail")
    lab.tenant.results["object:" + lab.anchor("carol")] = 1
    lab.domain.set("alice", displayName="Alice A.")
    story.agent.run_object_cycle("delta")
    story.step("one object is refused")
    lab.tenant.results.clear()
    lab.domain.delete("carol")
    story.fail(("objects", TransportError("lost")))
    story.agent.run_object_cycle("delta")
    story.step("a deletion is lost")
    story.agent.run_object_cycle("delta")
    story.step("and made")


def the_directory_refuses(story: Story) -> None:
    """A domain that can't be read, by either way."""
    lab = story.lab
    other = lab.add_domain("sales.example")
    lab.domain.add("alice")
    other.add("bob")
    story.begin()
    for code in (5, 1326, 1722, 8333, 8439, 4711):
        lab.domain.on_call = refusing("get-nc-changes", ReplicationError(code, "odd"))
        story.step(f"replication says {code}", 2)
    lab.domain.on_call = refusing("bind", OSError("connection reset"))
    other.password = "new!"
    story.step("LDAP breaks, and a password is wrong", 20)
    lab.domain.on_call = lambda operation: None
    story.agent.close()
    story.agent = lab.agent()
    story.agent.configure(preferred_controllers={DOMAIN: ("down", "dc2")})
    story.agent.start()
    story.agent.run_due()
    story.step("a preferred controller is down")
    other.password = "connector!"
    lab.settings.preferred_controllers = {}
    story.reborn()
    lab.domain.garbles = True
    lab.domain.set_password("alice", "Spring-2017!")
    story.step("garbled secrets", 2)
    lab.domain.garbles = False
    story.agent._state.domain(DOMAIN).import_cookie = b"garbage"
    story.step("a cookie is refused", 30)
    story.step("everything is imported again", 30)


def whole_forests(story: Story) -> None:
    """Full synchronizations of three domains in two forests."""
    lab = story.lab
    lab.settings.batch_size = 1
    sales = lab.add_domain("sales.example")
    labs = lab.add_domain("labs.example", "labs.example", "connector-2")
    for domain, names in ((lab.domain, ("alice", "bob")), (sales, ("carol",)), (labs, ("dave",))):
        for name in names:
            domain.add(name)
    story.begin(express=False, password_sync=False)
    story.refused(lambda: story.agent.full_password_sync("labs.example"))
    story.agent.enable_password_sync("sales.example")
    story.step("one domain is switched on", 2)
    story.agent.enable_password_sync()
    story.step("all are", 2)
    story.agent.full_password_sync(DOMAIN)
    story.agent.full_password_sync("labs.example")
    lab.domain.on_call = refusing("get-nc-changes", ReplicationError(1722))
    story.fail(("credentials", busy()))
    story.step("an attempt fails", 2)
    lab.domain.on_call = lambda operation: None
    lab.tenant.results[lab.anchor("bob")] = 9
    story.step("another one does not get to its end", 2)
    story.reborn()
    lab.tenant.results.clear()
    story.step("another process ends it", 2)
    story.agent.disable_password_sync("labs.example")
    labs.set_password("dave", "Spring-2017!")
    story.step("one domain is switched off", 64)
    story.fail(("ping", TransportError("lost")), ("ping", Throttled(429, retry_after=60)))
    story.step("heartbeats fail", 40)
    story.agent.disable_password_sync()
    story.step("all are switched off", 64)


def one_person_twice(story: Story) -> None:
    """Accounts of two forests that are matched."""
    lab = story.lab
    other = lab.add_domain("labs.example", "labs.example", "connector-2")
    lab.settings.match_by = "mail"
    lab.domain.add("alice", mail="a@contoso.example")
    other.add("alice-l", mail="A@contoso.example")
    other.add("alone", mail="")
    story.begin()
    lab.domain.enable("alice", enabled=False)
    other.set_password("alice-l", "Spring-2017!")
    story.step("the other one counts", 32)
    lab.domain.enable("alice")
    story.step("and the first again", 30)
    lab.domain.delete("alice")
    story.step("the first is gone", 30)


def too_many_deletions(story: Story) -> None:
    """More deletions than the threshold."""
    lab = story.lab
    for name in ("alice", "bob", "carol"):
        lab.domain.add(name)
    story.begin()
    story.agent.configure(deletion_threshold=1)
    lab.domain.delete("alice")
    story.step("one deletion", 30)
    story.agent.configure(scope=Scope(ous=("OU=Sales",)))
    story.step("two are too many", 30)
    story.agent.configure(deletion_threshold=2)
    story.step("now they are not", 30)
    lab.domain.move("bob", "OU=Sales")
    story.step("one comes back", 34)


def the_store_is_full(story: Story) -> None:
    """Commits that fail, in each kind of cycle and for each order."""
    lab = story.lab
    lab.domain.add("alice")
    lab.domain.add("bob")
    story.begin()

    def full(number: int) -> None:
        raise OSError("no space left")

    lab.on_commit = full
    story.refused(story.agent.disable_password_sync)
    story.refused(lambda: story.agent.full_password_sync(DOMAIN))
    story.refused(story.agent.enable_password_sync)
    if lab.settings.build.single_user:
        story.refused(lambda: story.agent.sync_user(lab.anchor("alice")))
    lab.domain.set_password("alice", "Spring-2017!")
    story.step("a cycle of passwords", 2)
    lab.domain.set("bob", displayName="Bob B.")
    story.agent.run_object_cycle("delta")
    story.step("a cycle of objects")
    lab.on_commit = lambda number: None
    story.step("there is room for a while", 40)
    lab.on_commit = full
    story.fail(("ping", Throttled(503, retry_after=120)))
    story.step("a ping", 24)
    lab.on_commit = lambda number: None
    story.step("there is room again", 10)


def a_locked_server(story: Story) -> None:
    """No MD5, and a file that can't be used."""
    lab = story.lab
    lab.domain.add("alice")
    port = ServerPort(lambda: b"<configuration>", lambda enforce: ServerCrypto(locked=enforce))
    story.moved_to(port)
    story.begin()


def one_user(story: Story) -> None:
    """One user's password, ordered and refused."""
    lab = story.lab
    for name in ("alice", "bob"):
        lab.domain.add(name)
    lab.domain.add("dave", userAccountControl="514")
    lab.domain.add("robot", ou="OU=Robots")
    lab.settings.scope = Scope(exclude_ous=("OU=Robots",))
    story.begin(express=False, password_sync=False)
    story.agent.enable_password_sync()
    story.agent.sync_user(lab.anchor("alice"))
    story.step("ordered before any password was read", 2)
    story.agent.sync_user(lab.anchor("bob"))
    story.step("ordered", 2)
    lab.domain.add("new")
    lab.tenant.results["object:" + lab.anchor("new")] = 1
    story.refused(lambda: story.agent.sync_user(lab.anchor("new")))
    story.agent.run_object_cycle("delta")
    for name in ("new", "dave", "robot"):
        story.refused(partial(story.agent.sync_user, lab.anchor(name)))
    story.agent.disable_password_sync()
    story.refused(lambda: story.agent.sync_user(lab.anchor("alice")))
    story.agent.enable_password_sync()
    story.agent.configure(staging=True)
    story.refused(lambda: story.agent.sync_user(lab.anchor("alice")))
    story.step("refused")


def what_nobody_foresaw(story: Story) -> None:
    """Errors of no known kind end the process, with last words."""
    lab = story.lab
    lab.domain.add("alice")
    story.begin()
    for where, title in (("objects", "while objects go out"), ("credentials", "while passwords do")):
        lab.domain.set_password("alice", f"Spring-2017-{where}!")
        lab.domain.set("alice", displayName=f"Alice {where}")
        for stops in (False, True):

            def answer(operation: str, where: str = where, stops: bool = stops) -> None:
                if operation == where:
                    if stops:
                        story.agent.stop()
                    raise OSError(5, "Input/output error")

            lab.tenant.on_call = answer
            lab.now = story.agent.next_due() or lab.now
            with pytest.raises(OSError, match="Input/output"):
                story.agent.run_object_cycle("delta") if where == "objects" else story.agent.run_due()
            lab.tenant.on_call = lambda operation: None
            story.step(f"{title}{', told to stop' if stops else ''}")
            story.agent.start()
    lab.tenant.on_call = lambda operation: story.agent.stop() if operation == "credentials" else None
    story.agent.run_due()
    story.step("told to stop, and nothing else")


def idle_time(story: Story) -> None:
    """A simulation that skips an idle hour."""
    lab = story.lab
    other = lab.add_domain("labs.example", "labs.example", "connector-2")
    lab.domain.add("alice")
    other.add("bob")
    story.begin()
    story.step("two cycles", 4)
    tokens, made = lab.tenant, list[str]()
    tokens.assume, tokens.assume_ping, tokens.make_good = lambda: True, lambda: None, lambda: made.append("good")
    while (until := story.agent.idle_until()) is not None and until <= NOW + timedelta(minutes=95):
        lab.now = until
        story.agent.skip_to(until)
        story.agent.assume_idle(made.append)
        story.step(f"assumed: {' '.join(made)}")
        made.clear()
    story.agent.make_good()
    story.agent.stop()
    story.agent.assume_idle(made.append)
    story.step(f"stopped: {' '.join(made)}")


STORIES = (
    a_day, the_tenant_refuses, the_directory_refuses, whole_forests, one_person_twice, too_many_deletions,
    the_store_is_full, a_locked_server, one_user, what_nobody_foresaw, idle_time,
)  # fmt: skip


@pytest.mark.parametrize("build", [BUILD_2017, BUILD_CURRENT], ids=["2017", "current"])
@pytest.mark.parametrize("tell", STORIES, ids=[each.__name__.replace("_", "-") for each in STORIES])
def test_story(lab: Any, tell: Callable[[Story], None], build: Build, update: bool) -> None:
    """What is written, called and exported is word by word, and second by second, as it was."""
    if tell is one_user and not build.single_user:
        pytest.skip("this build has no such order")
    story = Story(lab, build)
    tell(story)
    hold(f"{tell.__name__.replace('_', '-')}-{build.name}", story.lines, update=update)


def builders(texts: EventTexts) -> list[Event]:
    """One event of each builder, and those of its builders that have more than one form."""
    alice, bob = (
        Change("anchor-1", "CN=alice", DOMAIN, 13_128_771_723, force_change=True),
        Change("anchor-2", "CN=bob", "labs.example", 13_128_771_724),
    )
    both, named = (alice, bob), (NOW, DOMAIN, "dc1")
    calls: list[Event] = [
        texts.manager_starting(NOW),
        texts.manager_stopping(NOW),
        texts.manager_stopped(NOW),
        texts.manager_not_stopped(NOW, "why"),
        texts.unexpected_error(NOW, "why"),
        texts.task_failed(NOW, "why"),
        texts.worker_failed(NOW, "why"),
        texts.manager_not_started(NOW, "why"),
        texts.started_twice(NOW),
        texts.manager_alive(NOW),
        texts.retry_added(NOW, [alice]),
        texts.retry_removed(NOW, both),
        texts.not_retried(NOW, both),
        texts.items_failed(NOW, [alice]),
        texts.items_failed(NOW, both),
        texts.cloud_account_refused(NOW, "why"),
        texts.cloud_access_denied(NOW, "why"),
        texts.domain_failed(*named, "chain"),
        texts.domain_failed(*named, "chain", "CN=alice"),
        texts.context_not_ready(NOW, "chain"),
        texts.paused(NOW, DOMAIN),
        texts.preferred_controller_offline(*named, "why"),
        texts.full_sync_started(NOW, DOMAIN),
        texts.full_sync_started(NOW, DOMAIN, "forest"),
        texts.full_sync_progress(NOW, DOMAIN, 7),
        texts.full_sync_failed(NOW, DOMAIN),
        texts.full_sync_completed(NOW, DOMAIN),
        texts.full_sync_completed(NOW, DOMAIN, "forest"),
        texts.batch_start(NOW, 2),
        texts.batch_end(NOW, 2),
        texts.batch_failed(NOW, "chain", [alice]),
        texts.batch_failed(NOW, "chain", both),
        texts.ping_start(NOW, "connector-1"),
        texts.ping_end(NOW, "connector-1"),
        texts.ping_failed(NOW, "connector-1", "chain"),
        texts.healing_started(NOW),
        texts.healing_ended(NOW),
        texts.healing_ended(NOW, "chain"),
        texts.health_task_failed(NOW, "connector-1", "why"),
        texts.single_user_failed(NOW, "CN=alice", "anchor-1", "why"),
        *texts.requests(NOW, both),
        *texts.results(NOW, [*both, alice], [None, "why", ""]),
        texts.only_flag_changed(NOW, 2),
        *(texts.domain_services_turned(NOW, legacy=legacy, supplemental=keys)
          for legacy in (False, True) for keys in (False, True)),
        texts.domain_services_failed(NOW, "why"),
        texts.cycle_state_not_stored(NOW, "why"),
        texts.store_locked(NOW, DOMAIN, "why"),
        engine_events.credentials_invalid(NOW, DOMAIN, "why"),
        engine_events.credentials_invalid(NOW, DOMAIN, ""),
        engine_events.directory_unreachable(NOW, DOMAIN, "dc1", "why"),
        engine_events.directory_unreachable(NOW, DOMAIN, "dc1", ""),
        engine_events.export_failed(NOW, "why"),
        engine_events.export_failed(NOW, "why", ["anchor-1"], ["CN=alice"]),
        engine_events.object_state_not_stored(NOW, "why"),
        engine_events.deletions_held_back(NOW, 501, 500),
        engine_events.notification_failed(NOW, "why"),
    ]  # fmt: skip
    return calls


@pytest.mark.parametrize("build", [BUILD_2017, BUILD_CURRENT], ids=["2017", "current"])
def test_words(build: Build, update: bool) -> None:
    """Every event in the words of each build, with all that it carries."""
    connector = Connector(DOMAIN, DOMAIN, "connector-1", "MSOL_1", "secret", ("dc1",))
    texts = EventTexts(build, [connector])
    found = [
        *builders(texts),
        domain_failed(texts, build, NOW, DOMAIN, "dc1", FipsError("MD5CryptoServiceProvider..ctor()")),
    ]
    hold(f"events-{build.name}", [line for each in found for line in shown(each)], update=update)


def test_chains(update: bool) -> None:
    """Every chain of exceptions, what the error itself says, and the status that users get of it."""
    reads = [
        *(
            ReplicationError(code, words)
            for code in (5, 1326, 1722, 1753, 1825, 8333, 8439, 4711)
            for words in ("", "odd")
        ),
        EnvelopeError("the checksum does not match"),
        FileTimeError(),
    ]  # fmt: skip
    calls = [
        ServiceFault("words"),
        ServiceFault("words", code=0, tracking_id="track", server="SRV"),
        busy(), off(), TokenError("AADSTS50126: no"), TransportError("lost"), TransportError("lost", retry_after=0),
        *(Throttled(status) for status in (429, 500, 503)), Throttled(500, retry_after=2),
    ]  # fmt: skip
    lines = [f"{error} => {read_chain(DOMAIN, error)}" for error in reads]
    lines += [f"{error} => {tenant_chain(error)} => {batch_status(error)}" for error in calls]
    lines += [f"{reason} => {left_out_status(reason)}" for reason in (None, "linked-mailbox", "disabled")]
    hold("chains", lines, update=update)


def diagnoses(lab: Any) -> list[str]:
    """What a diagnosis says, word by word, of many things that can be wrong."""
    story = Story(lab, BUILD_CURRENT)
    lines: list[str] = []
    lab.settings.scope = Scope(exclude_ous=("OU=Robots",))
    people: dict[str, dict[str, str]] = {
        "alice": {}, "bob": {}, "dave": {"userAccountControl": "514"}, "ines": {"inet": "yes"},
        "robot": {"ou": "OU=Robots"},
    }  # fmt: skip
    for name, attributes in people.items():
        lab.domain.add(name, **attributes)

    def say(title: str, name: str | None = None) -> None:
        found = story.agent.diagnose(None if name is None else lab.anchor(name))
        lines.extend(["", f"== {title}", f"pause: {found.pause}", json.dumps(found.as_json(), indent=1)])

    say("nothing is set up")
    story.begin()
    for name in people:
        say(name, name)
    lab.domain.add("nora")
    lab.domain.add("nestor", ou="OU=Robots")
    lab.domain.add("nils", inet="yes")
    lab.domain.add("neil", userAccountControl="514")
    for name in ("nora", "nestor", "nils", "neil"):
        say(f"{name}, not imported", name)
    lab.tenant.features = 0
    story.agent.configure(staging=True)
    lab.domain.password = "other!"
    say("feature off, staging, wrong password")
    lab.domain.password = "connector!"
    for operation, code in (("negotiate", 1722), ("authenticate", 1331), ("get-nc-changes", 8453)):
        lab.domain.on_call = refusing(operation, ReplicationError(code))
        say(f"{operation} says {code}")
    lab.domain.on_call = refusing("bind", OSError("connection reset"))
    say("no LDAP")
    lab.domain.on_call = lambda operation: None
    story.agent.configure(staging=False)
    lab.domain.set_password("bob", "Temporary-1!", must_change=True)
    lab.run(story.agent, 2)
    say("a temporary password", "bob")
    story.fail(("configuration", Throttled(429, retry_after=90)))
    say("a pause", "bob")
    story.fail(("configuration", TransportError("lost")))
    say("no answer", "bob")
    lab.now += timedelta(days=8)
    say("silence", "alice")
    story.agent.disable_password_sync()
    say("switched off")
    story.agent.stop()
    say("stopped")
    port = ServerPort(crypto=lambda enforce: ServerCrypto(locked=enforce))
    story.moved_to(port)
    say("no MD5")
    return [part for line in lines for part in line.split("\n")]


def test_diagnoses(lab: Any, update: bool) -> None:
    """Every check of a diagnosis, with its words."""
    hold("diagnoses", diagnoses(lab), update=update)
