"""One user's password, synchronized by itself: who can be, when it goes, and what a refusal leaves."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from pwsync.errors import NotSupported, Throttled
from pwsync.settings import BUILD_CURRENT, Scope


@pytest.fixture
def lab(lab: Any) -> Any:
    """A laboratory with today's build."""
    lab.settings.build = BUILD_CURRENT
    return lab


class TestOrder:
    def test_goes_again_alone(self, lab: Any) -> None:
        """The user's password goes out in the next cycle though nothing has changed; nobody else's does, and once."""
        lab.domain.add("alice")
        lab.domain.add("bob")
        agent = lab.settled()
        agent.sync_user(lab.anchor("alice"))
        assert lab.tenant.credentials == []
        lab.run(agent, 10)
        assert lab.received() == ["alice"]
        assert lab.ids(650, 656, 657, 651) == [650, 656, 657, 651]
        assert agent.pending() == []

    def test_keeps_its_place(self, lab: Any) -> None:
        """It goes in the order of its change, not of the order."""
        lab.domain.add("alice")
        lab.domain.add("bob")
        agent = lab.settled()
        lab.now += timedelta(minutes=1)
        lab.domain.set_password("bob", "Spring-2017!")
        agent.sync_user(lab.anchor("alice"))
        lab.run(agent)
        assert lab.received() == ["alice", "bob"]

    def test_newest_password(self, lab: Any) -> None:
        """What goes is what the directory has by then."""
        lab.domain.add("alice")
        agent = lab.settled()
        agent.sync_user(lab.anchor("alice"))
        lab.domain.set_password("alice", "Spring-2017!")
        lab.run(agent)
        assert lab.holds("alice", "Spring-2017!")
        assert len(lab.tenant.credentials) == 1

    def test_outlives_a_restart_and_a_failure(self, lab: Any) -> None:
        """The order is stored, and tried until it succeeds."""
        lab.domain.add("alice")
        agent = lab.settled()
        agent.sync_user(lab.anchor("alice"))
        agent = lab.reborn(agent)
        lab.tenant.failures.append(("credentials", Throttled(503)))
        agent.run_due()
        assert lab.received() == []
        lab.run(agent)
        assert lab.received() == ["alice"]

    def test_object_that_is_gone(self, lab: Any) -> None:
        """A user whom the directory deleted meanwhile is no longer waited for."""
        lab.domain.add("alice")
        agent = lab.settled()
        agent.sync_user(lab.anchor("alice"))
        lab.domain.delete("alice")
        lab.run(agent, 32)
        assert lab.received() == []
        assert agent.pending() == []


class TestRefusal:
    @pytest.mark.parametrize("why", ["unknown", "outside", "disabled", "not-exported", "off", "staging"])
    def test_says_why(self, lab: Any, why: str) -> None:
        """A user who can't be synchronized is refused, 664 names him and the reason, and nothing is sent."""
        lab.domain.add("alice", userAccountControl="514" if why == "disabled" else "512")
        if why == "outside":
            lab.settings.scope = Scope(ous=("OU=Sales",))
        agent = lab.settled()
        anchor = lab.anchor("alice")
        if why == "unknown":
            anchor = "AAAAAAAAAAAAAAAAAAAAAA=="
        elif why == "not-exported":
            agent._state.objects[anchor].exported = None
        elif why == "off":
            agent.disable_password_sync()
        elif why == "staging":
            agent.configure(staging=True)
        with pytest.raises(NotSupported) as refused:
            agent.sync_user(anchor)
        (told,) = lab.events
        assert (told.id, told.level, told.users) == (664, "error", (anchor,))
        assert str(refused.value) in told.text
        lab.run(agent)
        assert lab.received() == []

    def test_old_build(self, lab: Any) -> None:
        """In 2017 there was no such thing, and no event of it."""
        from pwsync.settings import BUILD_2017

        lab.settings.build = BUILD_2017
        lab.domain.add("alice")
        agent = lab.settled()
        with pytest.raises(NotSupported, match="one user alone"):
            agent.sync_user(lab.anchor("alice"))
        assert lab.events == []

    def test_order_that_can_not_be_stored(self, lab: Any) -> None:
        """It is refused, and does not happen."""
        lab.domain.add("alice")
        agent = lab.settled()

        def full(number: int) -> None:
            raise OSError("no space left")

        lab.on_commit = full
        with pytest.raises(NotSupported, match="no space left"):
            agent.sync_user(lab.anchor("alice"))
        password = agent._state.passwords[lab.anchor("alice")]
        assert password.due is password.forced is False
        lab.on_commit = lambda number: None
        lab.run(agent, 4)
        assert lab.received() == []

    def test_refused_order_takes_nothing_back(self, lab: Any) -> None:
        """A user who is to be read anyway is read, though the order could not be stored."""
        lab.domain.add("alice")
        agent = lab.settled()
        password = agent._state.passwords[lab.anchor("alice")]
        password.due = password.forced = True
        agent._state.touch_password(password)

        def full(number: int) -> None:
            raise OSError("no space left")

        lab.on_commit = full
        with pytest.raises(NotSupported, match="no space left"):
            agent.sync_user(lab.anchor("alice"))
        lab.on_commit = lambda number: None
        lab.run(agent, 4)
        assert lab.received() == ["alice"]
