"""Selective synchronization: whose password goes out, from when on, and what becomes of the others."""

from __future__ import annotations

from typing import Any

import pytest
from ldap3.core.exceptions import LDAPSocketOpenError

from pwsync.directory import ATTRIBUTES
from pwsync.errors import NotSupported
from pwsync.settings import BUILD_2017, BUILD_CURRENT, Scope


@pytest.fixture
def lab(lab: Any) -> Any:
    """A laboratory with today's build, where alice is marked and bob is not."""
    lab.settings.build = BUILD_CURRENT
    lab.domain.add("alice", adminDescription="PHSIncluded")
    lab.domain.add("bob")
    return lab


def verdict(agent: Any, anchor: str) -> str:
    return next(check.verdict for check in agent.diagnose(anchor).checks if check.name == "rules")


class TestRules:
    def test_counts_from_the_next_object_cycle_on(self, lab: Any) -> None:
        """Until then everybody's password goes out; from then on that of those who are marked."""
        agent = lab.settled()
        agent.select_users([lab.anchor("alice")])
        lab.domain.set_password("bob", "Spring-2017!")
        lab.run(agent)
        assert lab.received() == ["bob"]
        lab.run(agent, 30)
        lab.forget()
        lab.domain.set_password("bob", "Summer-2017!")
        lab.domain.set_password("alice", "Summer-2017!")
        lab.run(agent)
        assert lab.received() == ["alice"]
        assert lab.status(agent, "bob") == "SourceConnectorNotPresent"
        assert agent.pending() == []
        assert lab.anchor("bob") in lab.tenant.users

    def test_a_waiting_password_stays(self, lab: Any) -> None:
        """What still waits when the user is left out does not go out any more."""
        agent = lab.settled()
        agent.select_users([])
        lab.settings.staging = True
        lab.domain.set_password("bob", "Spring-2017!")
        lab.run(agent)
        assert agent.pending() == [lab.anchor("bob")]
        lab.run(agent, 30)
        assert agent.pending() == []
        assert lab.status(agent, "bob") == "SourceConnectorNotPresent"

    @pytest.mark.parametrize("value", ["PHSIncluded", "phsincluded", "PHSINCLUDED"])
    def test_comes_when_marked(self, lab: Any, value: str) -> None:
        """Who is marked later gets the password of now, without another change."""
        agent = lab.settled()
        agent.select_users([lab.anchor("alice")])
        lab.run(agent, 30)
        lab.domain.set_password("bob", "Spring-2017!")
        lab.run(agent)
        lab.domain.set("bob", adminDescription=value)
        lab.run(agent, 26)
        assert lab.received() == []
        lab.run(agent, 4)
        assert lab.received() == ["bob"]
        assert lab.holds("bob", "Spring-2017!")

    @pytest.mark.parametrize("value", ["PHSFiltered", "PHSIncluded ", "PHSIncludedToo"])
    def test_other_values_mark_nobody(self, lab: Any, value: str) -> None:
        """The whole value counts."""
        lab.domain.set("bob", adminDescription=value)
        agent = lab.settled()
        agent.select_users([])
        lab.run(agent, 30)
        lab.domain.set_password("bob", "Spring-2017!")
        lab.run(agent)
        assert lab.received() == []

    def test_domain_that_can_not_be_read(self, lab: Any) -> None:
        """The rules hold from the full import on that reads the marks; until then all is as it was."""
        agent = lab.settled()
        agent.select_users([lab.anchor("alice")])

        def down(operation: str) -> None:
            if operation == "search":
                raise LDAPSocketOpenError("unable to open socket")

        lab.domain.on_call = down
        lab.run(agent, 30)
        lab.domain.set_password("alice", "Spring-2017!")
        lab.domain.set_password("bob", "Spring-2017!")
        lab.run(agent)
        assert sorted(lab.received()) == ["alice", "bob"]

    def test_outlives_the_process(self, lab: Any) -> None:
        """A new process that is set up alike knows whom it left out, and sends nobody again."""
        agent = lab.settled()
        agent.select_users([lab.anchor("alice")])
        lab.run(agent, 30)
        agent = lab.reborn(agent)
        lab.forget()
        lab.domain.set_password("bob", "Spring-2017!")
        lab.run(agent)
        assert lab.received() == []


class TestOrder:
    def test_refused_in_2017(self, lab: Any) -> None:
        """Old builds have no such rules, and change nothing."""
        lab.settings.build = BUILD_2017
        agent = lab.settled()
        with pytest.raises(NotSupported):
            agent.select_users([lab.anchor("alice")])
        assert lab.settings.scope == Scope()

    def test_leaves_the_rest_of_the_scope(self, lab: Any) -> None:
        """Only the one rule is switched."""
        lab.settings.scope = Scope(("OU=People",), ("OU=Sales",), {"department": "Secret"})
        lab.agent().select_users([])
        assert lab.settings.scope == Scope(("OU=People",), ("OU=Sales",), {"department": "Secret"}, included_only=True)

    def test_the_attribute_is_asked_for_where_it_counts(self, lab: Any) -> None:
        """Without the rule the import asks for what it always did."""
        agent = lab.settled()
        domain = agent._state.domain("contoso.example")
        assert domain.import_attributes == ",".join(ATTRIBUTES)
        agent.select_users([])
        lab.run(agent, 30)
        assert domain.import_attributes == ",".join([*ATTRIBUTES, "adminDescription"])


class TestTold:
    def test_diagnosis(self, lab: Any) -> None:
        """Who is left out is told so in a sentence of its own, imported or not."""
        agent = lab.settled()
        agent.select_users([lab.anchor("alice")])
        lab.run(agent, 30)
        lab.domain.add("carol")
        for name in ("bob", "carol"):
            assert agent.diagnose(lab.anchor(name)).finds == ("not-in-scope",)
            assert verdict(agent, lab.anchor(name)) == (
                "No inbound rule with Password Sync applies: with selective synchronization it takes users alone "
                "whose adminDescription is PHSIncluded."
            )
        assert agent.diagnose(lab.anchor("alice")).finds == ("ok",)

    def test_one_user_alone(self, lab: Any) -> None:
        """A user who is left out can't be ordered either."""
        agent = lab.settled()
        agent.select_users([])
        lab.run(agent, 30)
        with pytest.raises(NotSupported, match="not-included"):
            agent.sync_user(lab.anchor("bob"))
        assert agent.pending() == []
