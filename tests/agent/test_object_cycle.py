"""The object cycle where things are not as they should be: quarantine, linked and joined accounts, the threshold."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pwsync.errors import NotSupported, TransportError
from pwsync.joins import Account, ignored
from pwsync.settings import Scope
from pwsync.tenant.messages import ObjectResult, SyncObject

ACCOUNTS = st.lists(
    st.builds(Account, st.uuids().map(str), st.sampled_from(["", "a", "A", "b"]), st.booleans(), st.integers(0, 3)),
    max_size=12,
)


def refuse(lab: Any, name: str, code: str = "AttributeValueMustBeUnique") -> None:
    """From now on the tenant does not take this user's object."""
    taken = type(lab.tenant).send_objects
    anchor = lab.anchor(name)

    def send_objects(objects: list[SyncObject]) -> list[ObjectResult]:
        kept = [each for each in objects if each.source_anchor != anchor]
        results = {result.source_anchor: result for result in taken(lab.tenant, kept)}
        refused = ObjectResult(anchor, "User", "Set", "Failure", code, "somebody else has it")
        return [results.get(each.source_anchor, refused) for each in objects]

    lab.tenant.send_objects = send_objects


class TestQuarantine:
    def test_has_no_target(self, lab: Any) -> None:
        """A user whose object is refused as a duplicate has no target until the duplicate is gone."""
        agent = lab.settled()
        lab.domain.add("alice")
        refuse(lab, "alice")
        lab.run(agent)
        assert lab.status(agent, "alice") == "TargetNotExportedToDirectory"
        lab.run(agent, 28)
        assert lab.status(agent, "alice") == "NoTargetConnection"
        assert lab.names(agent.pending()) == ["alice"]
        del lab.tenant.send_objects
        lab.run(agent, 30)
        assert lab.status(agent, "alice") == "Success"
        assert [each.result for each in agent.object_log(lab.anchor("alice"))] == [
            "TargetNotExportedToDirectory",
            "NoTargetConnection",
            "Success",
        ]

    def test_over_a_restart(self, lab: Any) -> None:
        """A new process learns it anew from its first export."""
        agent = lab.settled()
        lab.domain.add("alice")
        refuse(lab, "alice")
        lab.run(agent, 30)
        agent = lab.reborn(agent)
        agent.run_due()
        assert lab.status(agent, "alice") == "NoTargetConnection"

    def test_another_failure(self, lab: Any) -> None:
        """An object that is refused for another reason is merely not exported yet."""
        agent = lab.settled()
        lab.domain.add("alice")
        refuse(lab, "alice", "InvalidUserPrincipalName")
        lab.run(agent, 32)
        assert lab.status(agent, "alice") == "TargetNotExportedToDirectory"

    def test_gone(self, lab: Any) -> None:
        """A refused user who is deleted is forgotten."""
        agent = lab.settled()
        lab.domain.add("alice")
        refuse(lab, "alice")
        lab.run(agent, 30)
        lab.domain.delete("alice")
        lab.run(agent, 30)
        assert lab.status(agent, "alice") == "none"
        assert lab.reborn(agent)._state.objects == {}

    def test_addresses_are_exported(self, lab: Any) -> None:
        """Proxy addresses go to the tenant as they are."""
        lab.domain.add("alice", proxyAddresses="SMTP:alice@contoso.example")
        lab.settled()
        assert lab.tenant.users[lab.anchor("alice")].attributes["proxyAddresses"] == ["SMTP:alice@contoso.example"]


class TestLinkedMailbox:
    def test_stays_home(self, lab: Any) -> None:
        """A linked mailbox is neither exported nor is its password; it has no target."""
        lab.domain.add("box", msExchRecipientTypeDetails="2")
        lab.domain.add("user-mailbox", msExchRecipientTypeDetails="1")
        agent = lab.settled()
        assert list(lab.tenant.users) == [lab.anchor("user-mailbox")]
        assert lab.status(agent, "box") == "NoTargetConnection"
        assert list(agent.pending()) == []

    def test_becomes_one(self, lab: Any) -> None:
        """A user who becomes a linked mailbox leaves the tenant; one who ceases to be comes back with the password."""
        lab.domain.add("alice")
        agent = lab.settled()
        lab.domain.set("alice", msExchRecipientTypeDetails="2")
        lab.run(agent, 30)
        assert lab.tenant.users == {}
        lab.domain.set("alice", msExchRecipientTypeDetails="")
        lab.forget()
        lab.run(agent, 30)
        assert lab.received() == ["alice"]


class TestJoined:
    def joined(self, lab: Any) -> Any:
        """Two forests whose users are matched by mail; alice is in both."""
        other = lab.add_domain("fabrikam.example", "fabrikam.example", "connector-2")
        lab.settings.match_by = "mail"
        lab.domain.add("alice", mail="alice@contoso.example")
        other.add("alice-f", "Other-2016!", mail="Alice@Contoso.example")
        other.add("bob", "Other-2017!", mail="bob@contoso.example")
        return other

    def test_first_connector(self, lab: Any) -> None:
        """The account of the connector that was made first counts; the other's password never leaves."""
        other = self.joined(lab)
        agent = lab.settled()
        assert sorted(lab.tenant.users) == sorted([lab.anchor("alice"), lab.anchor("bob")])
        other.set_password("alice-f", "Spring-2017!")
        lab.domain.set_password("alice", "Spring-2018!")
        lab.run(agent)
        assert lab.received() == ["alice"]
        assert lab.status(agent, "alice-f") == "SourceConnectorNotPresent"

    def test_takes_over(self, lab: Any) -> None:
        """When the account that counts is disabled the other takes its place, and gives it back."""
        self.joined(lab)
        agent = lab.settled()
        lab.domain.enable("alice", enabled=False)
        lab.run(agent, 30)
        assert sorted(lab.tenant.users) == sorted([lab.anchor("alice-f"), lab.anchor("bob")])
        assert lab.received() == ["alice-f"]
        lab.domain.enable("alice")
        lab.run(agent, 30)
        assert sorted(lab.tenant.users) == sorted([lab.anchor("alice"), lab.anchor("bob")])
        assert lab.received() == ["alice-f", "alice"]

    def test_takes_over_from_one_who_waits(self, lab: Any) -> None:
        """The password of an account that counts no longer does not wait for another attempt."""
        self.joined(lab)
        agent = lab.settled()
        lab.tenant.results[lab.anchor("alice-f")] = 5
        lab.domain.enable("alice", enabled=False)
        lab.run(agent, 30)
        assert lab.names(agent.pending()) == ["alice-f"]
        lab.domain.enable("alice")
        lab.run(agent, 30)
        assert (lab.received(), agent.pending()) == (["alice"], [])
        assert lab.status(agent, "alice-f") == "SourceConnectorNotPresent"

    def test_not_matched(self, lab: Any) -> None:
        """Without matching each account is a user of its own."""
        self.joined(lab)
        lab.settings.match_by = None
        lab.settled()
        assert len(lab.tenant.users) == 3

    @given(ACCOUNTS)
    def test_one_of_each_person(self, accounts: list[Account]) -> None:
        """Of each person's accounts those of one connector are left, an enabled one among them if there is any."""
        left_out = ignored(accounts)
        people: dict[str, list[Account]] = {}
        for account in accounts:
            people.setdefault(account.key.lower(), []).append(account)
        assert not left_out & {each.anchor for each in people.pop("", [])}
        for same in people.values():
            kept = [account for account in same if account.anchor not in left_out]
            assert len({account.connector for account in kept}) == 1
            assert any(account.enabled for account in kept) or not any(account.enabled for account in same)


class TestDeletionThreshold:
    def leave_out(self, lab: Any, count: int) -> Any:
        """An agent that is about to delete so many users."""
        for number in range(count):
            lab.domain.add(f"user{number}", ou="OU=Sales")
        lab.domain.add("alice")
        agent = lab.settled()
        agent.configure(scope=Scope(exclude_ous=("OU=Sales",)))
        return agent

    def test_500(self, lab: Any) -> None:
        """500 deletions go through in one export."""
        agent = self.leave_out(lab, 500)
        agent.run_object_cycle("delta")
        assert lab.names(list(lab.tenant.users)) == ["alice"]
        assert lab.ids() == []

    def test_501(self, lab: Any) -> None:
        """501 stop the export as a whole, and one event tells how many; lifted, they go through."""
        agent = self.leave_out(lab, 501)
        lab.domain.set("alice", displayName="Alice Example")
        agent.run_object_cycle("delta")
        assert len(lab.tenant.users) == 502
        assert lab.tenant.calls == []
        (event,) = lab.events
        assert (event.id, event.level, event.insertions) == (6949, "error", ("501", "500"))
        agent.configure(deletion_threshold=0)
        agent.run_object_cycle("delta")
        assert lab.names(list(lab.tenant.users)) == ["alice"]

    def test_deleted_in_the_directory(self, lab: Any) -> None:
        """Users whom the directory deleted count as well."""
        lab.settings.deletion_threshold = 1
        for name in ("alice", "bob", "carol"):
            lab.domain.add(name)
        agent = lab.settled()
        for name in ("alice", "bob"):
            lab.domain.delete(name)
        agent.run_object_cycle("delta")
        assert lab.ids() == [6949]
        assert len(lab.tenant.users) == 3

    def test_staging(self, lab: Any) -> None:
        """A staging server exports nothing, and has nothing to tell of it."""
        agent = self.leave_out(lab, 2)
        agent.configure(deletion_threshold=1, staging=True)
        agent.run_object_cycle("delta")
        assert lab.events == []

    def test_over_a_restart(self, lab: Any) -> None:
        """What was held back stays held back in the next process."""
        lab.settings.deletion_threshold = 1
        agent = lab.reborn(self.leave_out(lab, 2))
        agent.run_due()
        assert lab.ids(6949) == [6949]
        assert len(lab.tenant.users) == 3

    def test_lost_answer(self, lab: Any) -> None:
        """An export whose answer was lost still counts its deletions."""
        agent = self.leave_out(lab, 2)
        lab.tenant.failures.append(("objects", TransportError("reset")))
        agent.run_object_cycle("delta")
        agent.configure(deletion_threshold=1)
        agent.run_object_cycle("delta")
        assert lab.ids() == [6803, 6949]

    @pytest.mark.parametrize("value", [-1, "500", None, 2.5])
    def test_no_number(self, lab: Any, value: Any) -> None:
        """A threshold is a number from 0."""
        agent = lab.settled()
        with pytest.raises(NotSupported):
            agent.configure(deletion_threshold=value)


class TestRenamedOu:
    def test_drops_at_the_next_full_import(self, lab: Any) -> None:
        """Renaming a selected OU changes none of its users, so they leave with the next full import, not before."""
        lab.settings.scope = Scope(ous=("OU=Sales",))
        lab.domain.add("alice", ou="OU=Sales")
        agent = lab.settled()
        lab.domain.people["alice"].dn = "CN=alice,OU=Marketing,DC=contoso,DC=example"
        lab.run(agent, 60)
        assert len(lab.tenant.users) == 1
        agent.run_object_cycle("initial")
        assert lab.tenant.users == {}


class TestAccountEnabled:
    def test_follows(self, lab: Any) -> None:
        """The tenant's switch is the directory's as of the last object cycle."""
        lab.domain.add("alice")
        agent = lab.settled()
        for enabled in (False, True):
            lab.domain.enable("alice", enabled=enabled)
            lab.run(agent, 30)
            assert lab.tenant.users[lab.anchor("alice")].attributes["accountEnabled"] is enabled


class TestKept:
    def test_attributes(self, lab: Any) -> None:
        """What is kept of an object is what it has: neither what it lost, nor what only told of a move."""
        lab.domain.add("alice", mail="alice@contoso.example")
        agent = lab.settled()
        lab.domain.set("alice", mail="", parentGUID="x", sn="Liddell")
        agent.run_object_cycle("delta")
        assert agent._store.attributes(lab.anchor("alice")) == {
            "objectclass": ["top", "person", "organizationalPerson", "user"],
            "objectsid": [b64encode(lab.domain.people["alice"].sid).decode()],
            "samaccountname": ["alice"],
            "userprincipalname": ["alice@contoso.example"],
            "displayname": ["Alice"],
            "useraccountcontrol": ["512"],
            "sn": ["Liddell"],
        }

    def test_whole_import(self, lab: Any) -> None:
        """What a whole import does not tell of an object is gone, though no delta told that it went."""
        alice = lab.domain.add("alice", mail="alice@contoso.example")
        agent = lab.settled()
        del alice.attributes["mail"], alice.usns["mail"]
        agent.run_object_cycle("initial")
        assert "mail" not in agent._store.attributes(alice.anchor)
        assert lab.tenant.users[alice.anchor].attributes["mail"] is None

    def test_whole_reading_is_ordered(self, lab: Any) -> None:
        """Who comes into scope before a domain is read as a whole need not be read alone."""
        lab.domain.add("alice")
        agent = lab.installed()
        agent.run_object_cycle("delta")
        assert agent._state.waiting == {}

    def test_refused_cookie_is_none(self, lab: Any) -> None:
        """A cookie that was refused is forgotten."""
        agent = lab.settled()
        agent._state.domain("contoso.example").import_cookie = b"garbage"
        agent.run_object_cycle("delta")
        assert agent._state.domain("contoso.example").import_cookie is None
