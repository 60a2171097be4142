"""Whole logs: short stories of an agent, and every event, call and export of them as golden texts.

``pytest tests/agent --update`` writes golden/NAME.txt anew; read the difference before you keep it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from agent.stories import STORIES, busy, off, one_user
from agent.story import Story, refusing, shown

from pwsync import engine_events
from pwsync.agent import SyncAgent
from pwsync.errors import (
    EnvelopeError,
    FileTimeError,
    FipsError,
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

    labs = lab.add_domain("labs.example", "labs.example", "connector-2")
    labs.add("lara")

    def say(title: str, name: str | None = None) -> None:
        anchor = lab.anchor(name) if name in [each.name for each in story.people()] else name
        found = story.agent.diagnose(anchor)
        values = found.as_json()
        checks = [json.dumps(check) for check in values.pop("checks")]
        lines.extend(["", f"== {title}", f"pause: {found.pause}", json.dumps(values), *checks])

    say("nothing is set up")
    story.begin()
    for name in people:
        say(name, name)
    say("somebody of the other forest", "lara")
    say("nobody", "AAAAAAAAAAAAAAAAAAAAAA==")
    say("no anchor", "?")
    lab.domain.add("nora")
    labs.add("nadja")
    say("nadja of the other forest, not imported", "nadja")
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
    lab.settings.build = BUILD_2017
    say("a temporary password in 2017", "bob")
    lab.settings.build = BUILD_CURRENT
    lab.tenant.features = 16385
    say("temporary passwords are taken", "bob")
    lab.run(story.agent, 2)
    say("taken", "bob")
    story.agent.stop()
    say("the service does not run", "alice")
    story.agent.start()
    lab.now += timedelta(days=8)
    say("silence", "alice")
    story.agent.disable_password_sync()
    say("switched off")
    story.agent.stop()
    say("stopped")
    port = ServerPort(crypto=lambda enforce: ServerCrypto(locked=enforce))
    story.moved_to(port)
    say("no MD5")
    return lines


def test_diagnoses(lab: Any, update: bool) -> None:
    """Every check of a diagnosis, with its words."""
    hold("diagnoses", diagnoses(lab), update=update)


def test_what_a_diagnosis_asks_of_a_controller(lab: Any) -> None:
    """One object's password of the domain, with no place to go on from, and a farewell."""
    asked: list[Any] = []

    class Listening:
        def __init__(self, channel: Any) -> None:
            self.channel = channel

        def call(self, operation: str, message: Any) -> Any:
            asked.append((operation, dict(message)))
            return self.channel.call(operation, message)

    lab.domain.add("alice")
    ports = lab.ports()
    ports = replace(ports, replication=lambda *place: Listening(lab.ports().replication(*place)))
    agent = SyncAgent(ports, lambda ports: (lab.tenant, lab.tenant))
    lab.agents.append(agent)
    agent.install()
    agent.diagnose()
    assert [operation for operation, _ in asked] == ["negotiate", "authenticate", "get-nc-changes", "unbind"]
    message = asked[2][1]
    assert (message["cookie"], message["object"], message["max_objects"]) == (None, None, 1)
    assert message["attributes"] == ["unicodePwd"]
    assert message["naming_context"] == "DC=contoso,DC=example"
