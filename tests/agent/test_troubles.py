"""Troubles of the agent itself: a feature that is off, a store that is held, and errors that nobody foresaw."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any

import pytest

from pwsync.errors import ServiceFault, StoreError, Throttled, TransportError
from pwsync.last_words import LastWords, described
from pwsync.settings import BUILD_CURRENT

HEALED = (660, 661)


def not_activated() -> ServiceFault:
    return ServiceFault("Password Synchronization has not been activated for this company.", code=90)


def current(lab: Any) -> Any:
    """An agent of today's build that is settled, with alice's change to be sent."""
    lab.settings.build = BUILD_CURRENT
    lab.domain.add("alice")
    agent = lab.settled()
    lab.domain.set_password("alice", "Spring-2017!")
    return agent


class TestHealing:
    def test_feature_is_switched_on_again(self, lab: Any) -> None:
        """A batch is refused with 90: the feature is switched on, others stay, and the next cycle sends."""
        agent = current(lab)
        lab.tenant.features = 16384 + 512
        lab.tenant.failures.append(("credentials", not_activated()))
        lab.run(agent)
        assert lab.tenant.features == 16384 + 512 + 1
        assert lab.ids(652, *HEALED) == [652, 660, 661]
        assert lab.events[-1].level == "information"
        assert agent.pending() != []
        lab.run(agent)
        assert lab.holds("alice", "Spring-2017!")
        assert lab.ids(*HEALED) == [660, 661]

    def test_idle_agent_heals_after_its_ping(self, lab: Any) -> None:
        """A heartbeat that is refused with 90 has the same effect."""
        lab.settings.build = BUILD_CURRENT
        agent = lab.settled()
        lab.tenant.features = 0
        lab.tenant.failures.append(("ping", not_activated()))
        lab.run(agent, 32)
        assert lab.ids(655, *HEALED) == [655, 660, 661]
        assert lab.tenant.features == 1

    def test_a_feature_that_is_on_is_left_alone(self, lab: Any) -> None:
        """The service says 90 though the feature is on: nothing is switched, and nothing is told of it."""
        agent = current(lab)
        lab.tenant.failures.append(("credentials", not_activated()))
        lab.run(agent)
        assert "features" not in lab.tenant.calls
        assert lab.ids(*HEALED) == []

    def test_build_of_2017_does_not_heal(self, lab: Any) -> None:
        """An old build says 652 and waits for its administrator."""
        lab.domain.add("alice")
        agent = lab.settled()
        lab.domain.set_password("alice", "Spring-2017!")
        lab.tenant.features = 0
        lab.tenant.failures.append(("credentials", not_activated()))
        lab.run(agent)
        assert lab.tenant.features == 0
        assert lab.ids(652, *HEALED) == [652]

    @pytest.mark.parametrize("step", ["configuration", "features"])
    def test_failure_is_told_and_tried_again(self, lab: Any, step: str) -> None:
        """Healing that fails leaves 661 of level error; the next refusal tries again."""
        agent = current(lab)
        lab.tenant.features = 0
        lab.tenant.failures += [("credentials", not_activated()), (step, TransportError("broken"))]
        lab.run(agent)
        (ended,) = [event for event in lab.events if event.id == 661]
        assert (ended.level, lab.tenant.features) == ("error", 0)
        lab.tenant.failures.append(("credentials", not_activated()))
        lab.run(agent)
        assert lab.tenant.features == 1

    def test_pause_asked_for_while_healing_is_kept(self, lab: Any) -> None:
        """Retry-After on the way holds back what follows, across a restart."""
        agent = current(lab)
        lab.tenant.features = 0
        lab.tenant.failures += [("credentials", not_activated()), ("features", Throttled(429, retry_after=600.0))]
        lab.run(agent)
        lab.forget()
        agent = lab.reborn(agent)
        lab.run(agent, 6)
        assert lab.tenant.calls == []

    def test_staging_server_heals_nothing(self, lab: Any) -> None:
        """A server that became staging in mid-call leaves the tenant alone."""
        agent = current(lab)
        lab.tenant.features = 0
        lab.tenant.failures.append(("credentials", not_activated()))
        lab.tenant.on_call = lambda operation: agent.configure(staging=True) if operation == "credentials" else None
        lab.run(agent)
        assert lab.tenant.features == 0


class TestContext:
    def test_features_that_can_not_be_read(self, lab: Any) -> None:
        """A cycle that can't learn the tenant's features says 612, and the temporary password waits."""
        lab.settings.build = BUILD_CURRENT
        lab.domain.add("alice")
        agent = lab.settled()
        lab.domain.set_password("alice", "Spring-2017!", must_change=True)
        lab.tenant.failures.append(("configuration", TransportError("broken")))
        lab.run(agent)
        assert [(event.id, event.level) for event in lab.events] == [(612, "error")]
        assert agent.pending() != []


class TestStoreTrouble:
    def test_locked_by_another_program(self, lab: Any) -> None:
        """666 names the domain while another program holds the database, and the change goes out afterwards."""
        lab.domain.add("alice")
        agent = lab.settled()
        lab.domain.set_password("alice", "Spring-2017!")
        agent._store._connection.execute("PRAGMA busy_timeout = 0")
        lab.settings.build = BUILD_CURRENT
        with sqlite3.connect(lab.folder / "agent.db", isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")
            lab.run(agent)
            other.execute("ROLLBACK")
        other.close()
        (told,) = [event for event in lab.events if event.level == "error"]
        assert (told.id, told.domain) == (666, "contoso.example")
        lab.run(agent)
        assert lab.holds("alice", "Spring-2017!")

    def test_pause_that_can_not_be_stored(self, lab: Any) -> None:
        """A ping is answered with Retry-After, and the store takes nothing: 662, and the pause holds all the same."""
        agent = lab.settled()
        lab.tenant.failures.append(("ping", Throttled(429, retry_after=3600.0)))
        lab.on_commit = lambda number: _fail(OSError("disk full"))
        lab.run(agent, 32)
        assert lab.ids(655, 662, 665) == [655, 662]
        lab.forget()
        lab.run(agent, 56)
        assert lab.tenant.calls == []


class TestUnforeseen:
    def test_password_cycle(self, lab: Any) -> None:
        """An error that nobody foresaw ends the process; 604 and 603 name its type and place, never its text."""
        lab.domain.add("alice")
        agent = lab.settled()
        lab.domain.on_call = lambda operation: _fail(KeyError("8846f7eaee8fb117"))
        with pytest.raises(KeyError):
            lab.run(agent)
        assert [(event.id, event.level) for event in lab.events] == [(604, "error"), (603, "error")]
        assert "KeyError in _fail" in lab.events[0].text
        assert "8846f7" not in "".join(event.text for event in lab.events)

    def test_object_cycle(self, lab: Any) -> None:
        """Out of an object cycle it is 603 alone."""
        agent = lab.settled()
        lab.domain.on_call = lambda operation: _fail(ZeroDivisionError()) if operation == "search" else None
        with pytest.raises(ZeroDivisionError):
            lab.run(agent, 30)
        assert lab.ids(603, 604) == [603]

    def test_worker_thread(self, lab: Any) -> None:
        """Out of a thread that protects passwords it is 615 as well."""
        lab._randoms["salt"] = Unwritable()
        for number in range(6):
            lab.domain.add(f"user{number}")
        agent = lab.installed()
        with pytest.raises(ArithmeticError):
            agent.run_due()
        assert lab.ids(603, 604, 615) == [615, 604, 603]

    def test_while_stopping(self, lab: Any) -> None:
        """The service was told to stop, and the cycle did not end but died: 610, and it has not stopped (609)."""
        lab.domain.add("alice")
        agent = lab.settled()
        lab.domain.set_password("alice", "Spring-2017!")

        def stop(operation: str) -> None:
            agent.stop()
            raise MemoryError

        lab.tenant.on_call = stop
        with pytest.raises(MemoryError):
            lab.run(agent)
        assert lab.ids(603, 609, 610) == [610]

    def test_killed_process_says_nothing(self, lab: Any) -> None:
        """A process that is killed or interrupted has no last words."""
        for kind in (KeyboardInterrupt, SystemExit, GeneratorExit):
            agent = lab.settled()
            lab.domain.on_call = lambda operation, kind=kind: _fail(kind())
            with pytest.raises(kind):
                lab.run(agent)
            assert lab.ids(603, 604, 615, 610) == []
            lab.domain.on_call = lambda operation: None
            agent.close()
            (lab.folder / "agent.db").unlink()

    def test_text_of_an_error(self) -> None:
        """The agent's own errors are quoted, foreign ones are not."""
        assert described(StoreError("it is full")) == "StoreError: it is full"
        assert described(ValueError("secret")) == "ValueError"
        told: list[str] = []
        with pytest.raises(ValueError, match="secret"), LastWords(told.append):
            raise ValueError("secret")
        assert told[0].startswith("ValueError in test_text_of_an_error, line ")
        assert told[0].endswith(" of test_troubles.py")


class Unwritable(Random):
    """Draws salts that can be used, and not written down."""

    class Salt(bytes):
        def hex(self, *how: Any) -> str:
            raise ArithmeticError

    def randbytes(self, n: int) -> bytes:
        return self.Salt(super().randbytes(n))


class TestHeartbeats:
    def test_each_connector_has_its_own(self, lab: Any) -> None:
        """A batch is a sign of life of the forest whose passwords it carries; the other one pings."""
        lab.add_domain("fabrikam.example", forest="fabrikam.example", connector="connector-2")
        lab.domain.add("alice")
        agent = lab.settled()
        lab.run(agent, 29)
        lab.domain.set_password("alice", "Spring-2017!")
        lab.run(agent, 1)
        pings = [event.text for event in lab.events if event.id == 654]
        assert [text.rpartition(" ")[2] for text in pings] == ["connector-2"]
        lab.run(agent, 30)
        assert lab.ids(654) == [654, 654, 654]

    def test_forest_that_is_off_has_none(self, lab: Any) -> None:
        """Where passwords are switched off nothing pings, and the agent can be idle for as long as the other one is."""
        lab.add_domain("fabrikam.example", forest="fabrikam.example", connector="connector-2")
        agent = lab.settled()
        agent.disable_password_sync("fabrikam.example")
        lab.run(agent, 31)
        assert lab.ids(654) == [654]
        assert agent.idle_until() == lab.now.replace(minute=0) + timedelta(hours=1)


def _fail(error: BaseException) -> None:
    raise error


def test_switch_is_the_build(lab: Any) -> None:
    """Whether an agent heals is a switch of its build, nothing else."""
    lab.settings.build = replace(BUILD_CURRENT, heals_feature=False)
    lab.domain.add("alice")
    agent = lab.settled()
    lab.domain.set_password("alice", "Spring-2017!")
    lab.tenant.features = 0
    lab.tenant.failures.append(("credentials", not_activated()))
    lab.run(agent)
    assert lab.tenant.features == 0
