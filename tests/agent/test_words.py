"""What the agent says when it refuses: every text, word by word, and the time that every event carries."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from pwsync.errors import Refused

NEEDS_OBJECTS = "Password synchronization needs directory synchronization."
NOT_SET_UP = "Directory synchronization is not set up, or the service is stopped."
SETTINGS = "deletion_threshold, object_interval, preferred_controllers, scope, staging"

REFUSALS: list[tuple[str, Callable[[Any], Any], str]] = [
    ("passwords-alone", lambda agent: agent.install(express=False, object_sync=False), NEEDS_OBJECTS),
    ("not-set-up", lambda agent: agent.enable_password_sync(), NEEDS_OBJECTS),
    ("no-object-cycle", lambda agent: agent.run_object_cycle("delta"), NOT_SET_UP),
    (
        "kind-of-cycle",
        lambda agent: agent.run_object_cycle("half"),
        "An object cycle is delta or initial, not half.",
    ),
    (
        "interval",
        lambda agent: agent.set_password_interval(timedelta(minutes=1)),
        "The frequency of password synchronization can't be changed.",
    ),
    (
        "subset",
        lambda agent: agent.select_users(["alice"]),
        "A subset of users can't be chosen for password synchronization.",
    ),
    (
        "unknown-setting",
        lambda agent: agent.configure(colour="blue"),
        f"There is no setting colour; known are {SETTINGS}.",
    ),
    (
        "setting-of-another-kind",
        lambda agent: agent.configure(staging="yes"),
        "The setting staging can't be 'yes'.",
    ),
    (
        "no-interval",
        lambda agent: agent.configure(object_interval=timedelta(0)),
        "The setting object_interval can't be datetime.timedelta(0).",
    ),
    (
        "negative-threshold",
        lambda agent: agent.configure(deletion_threshold=-1),
        "The setting deletion_threshold can't be -1.",
    ),
    (
        "unknown-domain",
        lambda agent: agent.full_password_sync("fabrikam.example"),
        "There is no connector for fabrikam.example; known are contoso.example.",
    ),
    (
        "switched-off",
        lambda agent: agent.full_password_sync("contoso.example"),
        "Password synchronization is switched off for contoso.example.",
    ),
    (
        "one-user-in-2017",
        lambda agent: agent.sync_user("anchor"),
        "This build can't synchronize one user alone.",
    ),
]


@pytest.mark.parametrize(("call", "text"), [case[1:] for case in REFUSALS], ids=[case[0] for case in REFUSALS])
def test_refusal(lab: Any, call: Callable[[Any], Any], text: str) -> None:
    """A refusal says what can't be, and what could."""
    agent = lab.agent()
    with pytest.raises(Refused) as refused:
        call(agent)
    assert str(refused.value) == text


def test_domains_are_listed(lab: Any) -> None:
    """Whoever names an unknown domain reads the known ones, apart."""
    lab.add_domain("fabrikam.example", "fabrikam.example", "connector-2")
    with pytest.raises(Refused) as refused:
        lab.agent().disable_password_sync("adatum.example")
    assert str(refused.value) == (
        "There is no connector for adatum.example; known are contoso.example, fabrikam.example."
    )


def test_least_threshold(lab: Any) -> None:
    """A threshold of nobody and of one can be set."""
    agent = lab.agent()
    for threshold in (0, 1):
        agent.configure(deletion_threshold=threshold)
        assert lab.settings.deletion_threshold == threshold


def test_express_is_the_default(lab: Any) -> None:
    """Set up without a word, both kinds of cycle run."""
    agent = lab.agent()
    agent.install()
    agent.start()
    agent.run_due()
    assert [kind for kind, _ in lab.cycles] == ["object", "password"]


def test_custom_without_words(lab: Any) -> None:
    """Custom settings that say no more have both kinds too."""
    agent = lab.agent()
    agent.install(express=False)
    agent.start()
    agent.run_due()
    assert [kind for kind, _ in lab.cycles] == ["object", "password"]


def test_one_domain_is_enabled(lab: Any) -> None:
    """Enabling one domain leaves the others as they are."""
    lab.add_domain("fabrikam.example", "fabrikam.example", "connector-2")
    agent = lab.agent()
    agent.install(express=False, password_sync=False)
    agent.enable_password_sync("fabrikam.example")
    with pytest.raises(Refused):
        agent.full_password_sync("contoso.example")
    agent.full_password_sync("fabrikam.example")


def test_every_event_has_its_time(lab: Any) -> None:
    """What is written is stamped with the clock: starts, cycles, a second start without a stop, the stop."""
    written = []
    lab.domain.add("alice")
    agent = lab.installed()
    for _ in range(3):
        agent.run_due()
        written.append((lab.now, len(lab.events)))
        lab.now += timedelta(minutes=2)
    agent.start()
    written.append((lab.now, len(lab.events)))
    lab.now += timedelta(seconds=7)
    agent.stop()
    written.append((lab.now, len(lab.events)))
    ids = [event.id for event in lab.events]
    assert ids.count(601) == 2
    assert 614 in ids
    assert 602 in ids
    start = 0
    for when, end in written:
        assert {event.time for event in lab.events[start:end]} <= {when}
        start = end
