"""Password cycles: who is sent, in which order, what is remembered, and what a failure leaves."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from pwsync.errors import ReplicationError, ServiceFault, Throttled, TokenError, TransportError
from pwsync.settings import BUILD_CURRENT, Scope
from pwsync.tenant.messages import CredentialResult


class TestInitial:
    def test_sends_all_in_scope(self, lab: Any) -> None:
        """The first cycle sends the password of every user in scope, once."""
        for name in ("alice", "bob", "carol"):
            lab.domain.add(name)
        agent = lab.installed()
        agent.run_due()
        assert sorted(lab.received()) == ["alice", "bob", "carol"]
        assert lab.holds("bob", "Winter-2016!")
        assert agent.pending() == []
        assert lab.status(agent, "alice") == "Success"
        assert lab.ids() == [601, 617, 618, 650, 656, 657, 651, 619, 622, 623]

    def test_sends_nothing_twice(self, lab: Any) -> None:
        """An idle cycle reads once, sends nothing and commits nothing."""
        lab.domain.add("alice")
        agent = lab.settled()
        lab.run(agent, 20)
        assert lab.tenant.calls == []
        assert lab.commits == 0
        assert set(lab.domain.calls) == {"get-nc-changes"}
        assert len(lab.domain.calls) == 10

    def test_empty_directory(self, lab: Any) -> None:
        """A domain without users is synchronized at once."""
        agent = lab.installed()
        agent.run_due()
        assert lab.ids() == [601, 617, 618, 622, 623]
        lab.run(agent, 4)
        assert agent.pending() == []

    def test_batches(self, lab: Any) -> None:
        """No batch is larger than the settings say, and all passwords are right."""
        lab.settings.batch_size = 7
        for number in range(40):
            lab.domain.add(f"user{number}", f"Secret-{number}")
        agent = lab.installed()
        agent.run_due()
        assert lab.tenant.batches == [7, 7, 7, 7, 7, 5]
        assert all(lab.holds(f"user{number}", f"Secret-{number}") for number in range(40))
        assert lab.received() == [f"user{number}" for number in range(40)]

    def test_waits_for_objects(self, lab: Any) -> None:
        """Passwords wait for the first import; that is said once."""
        lab.domain.add("alice")
        lab.domain.on_call = lambda operation: _refuse(operation == "search")
        agent = lab.installed()
        agent.run_due()
        lab.run(agent, 10)
        assert lab.tenant.calls == []
        assert lab.ids(613) == [613]
        lab.domain.on_call = lambda operation: None
        lab.run(agent, 22)
        assert lab.received() == ["alice"]

    def test_many_pages(self, lab: Any) -> None:
        """A domain is read page by page, and a page that fails lets nothing of it count."""
        for number in range(1100):
            lab.domain.add(f"user{number}", None)
            lab.domain.people[f"user{number}"].secret = bytes(16)
            lab.domain.people[f"user{number}"].usns["unicodePwd"] = lab.domain.usn
            lab.domain.people[f"user{number}"].version = 1
        reads = []

        def third_fails(operation: str) -> None:
            if operation == "get-nc-changes":
                reads.append(operation)
                if len(reads) == 3:
                    raise ReplicationError(1722)

        lab.domain.on_call = third_fails
        agent = lab.installed()
        agent.run_due()
        assert lab.tenant.batches == []
        assert agent.pending() == []
        assert lab.ids() == [601, 611, 621]
        lab.run(agent)
        assert sum(lab.tenant.batches) == 1100
        assert len(reads) == 6


def _refuse(refused: bool) -> None:
    if refused:
        raise OSError("down")


class TestDelta:
    def test_change_goes_out(self, lab: Any) -> None:
        """A change is sent in the next cycle: collected in one commit, settled in another."""
        lab.domain.add("alice")
        agent = lab.settled()
        lab.now += timedelta(minutes=1)
        lab.domain.set_password("alice", "Spring-2017!")
        lab.run(agent, 1)
        assert lab.holds("alice", "Spring-2017!")
        assert lab.commits == 2
        assert lab.tenant.credentials[0].change_date == lab.now - timedelta(minutes=1)
        assert lab.ids() == [650, 656, 657, 651]

    def test_current_state_only(self, lab: Any) -> None:
        """Several changes within one interval arrive as the last one."""
        lab.domain.add("alice")
        agent = lab.settled()
        lab.domain.set_password("alice", "Spring-2017!")
        lab.domain.set_password("alice", "Summer-2017!")
        lab.run(agent)
        assert len(lab.tenant.credentials) == 1
        assert lab.holds("alice", "Summer-2017!")

    def test_order_over_domains(self, lab: Any) -> None:
        """Changes go out by time, then domain, then USN."""
        other = lab.add_domain("asia.contoso.example")
        for name in ("alice", "bob", "carol"):
            lab.domain.add(name)
        for name in ("dora", "emil"):
            other.add(name)
        agent = lab.settled()
        lab.now += timedelta(seconds=10)
        lab.domain.set_password("carol", "1")
        lab.domain.set_password("alice", "2")
        other.set_password("emil", "3")
        lab.now += timedelta(seconds=1)
        other.set_password("dora", "4")
        lab.now -= timedelta(seconds=5)
        lab.domain.set_password("bob", "5")
        lab.run(agent)
        assert lab.received() == ["bob", "emil", "carol", "alice", "dora"]

    def test_object_without_password(self, lab: Any) -> None:
        """A user who has no password at all has nothing to be sent, and nothing waits."""
        lab.domain.add("alice", None)
        agent = lab.settled()
        assert agent.pending() == []
        assert lab.status(agent, "alice") == "none"

    def test_never_older(self, lab: Any) -> None:
        """What a lagging controller still tells is not sent after something newer."""
        person = lab.domain.add("alice")
        lab.domain.set_password("alice", "Spring-2017!")
        agent = lab.settled()
        lab.domain.usn += 1
        person.version, person.usns["unicodePwd"] = 1, lab.domain.usn
        agent.full_password_sync("contoso.example")
        lab.run(agent, 4)
        assert lab.tenant.credentials == []
        assert agent.pending() == []

    def test_deleted_while_pending(self, lab: Any) -> None:
        """A user who is deleted no longer waits."""
        lab.domain.add("alice")
        agent = lab.settled()
        lab.tenant.results[lab.anchor("alice")] = 5
        lab.domain.set_password("alice", "Spring-2017!")
        lab.run(agent)
        assert lab.names(agent.pending()) == ["alice"]
        lab.domain.delete("alice")
        lab.run(agent)
        assert agent.pending() == []


class TestScope:
    def test_unsupported_class(self, lab: Any) -> None:
        """An inetOrgPerson is exported as a user; its password stays."""
        lab.domain.add("ines", inet="yes")
        agent = lab.settled()
        lab.domain.set_password("ines", "Spring-2017!")
        lab.run(agent, 40)
        assert lab.anchor("ines") in lab.tenant.users
        assert lab.tenant.credentials == []
        assert agent.pending() == []
        assert lab.status(agent, "ines") == "SourceConnectorNotPresent"

    def test_disabled_and_enabled_again(self, lab: Any) -> None:
        """A disabled account's password stays; enabled again, what it is by then goes out."""
        lab.domain.add("alice")
        agent = lab.settled()
        lab.domain.enable("alice", False)
        lab.run(agent, 30)
        lab.domain.set_password("alice", "Spring-2017!")
        lab.run(agent, 2)
        assert lab.tenant.credentials == []
        assert lab.status(agent, "alice") == "SourceConnectorNotPresent"
        lab.domain.enable("alice")
        lab.run(agent, 30)
        assert lab.holds("alice", "Spring-2017!")

    def test_enabled_again_unchanged(self, lab: Any) -> None:
        """A password that the tenant has is not sent because the account was disabled for a while."""
        lab.domain.add("alice")
        agent = lab.settled()
        lab.domain.enable("alice", False)
        lab.run(agent, 30)
        lab.domain.enable("alice")
        lab.run(agent, 30)
        assert lab.tenant.credentials == []
        assert agent.pending() == []

    def test_what_stays_is_not_opened(self, lab: Any) -> None:
        """A password that a rule keeps here is not even decrypted: one that can't be does not hold up its domain."""
        lab.domain.add("alice")
        agent = lab.settled()
        lab.domain.enable("alice", False)
        lab.run(agent, 30)
        lab.domain.garbles = True
        lab.domain.set_password("alice", "Spring-2017!")
        lab.run(agent)
        assert lab.ids(611) == []
        assert lab.status(agent, "alice") == "SourceConnectorNotPresent"

    def test_left_out_while_the_domain_is_away(self, lab: Any) -> None:
        """What came to wait again because a commit failed is left out by its rule, though nobody can read it now."""
        for name in ("alice", "bob"):
            lab.domain.add(name)
        agent = lab.settled()
        lab.tenant.results[lab.anchor("alice")] = 5
        lab.domain.set_password("alice", "Spring-2017!")
        lab.run(agent)
        lab.on_commit = lambda number: _refuse(True)
        lab.domain.enable("alice", False)
        agent.run_object_cycle("delta")
        lab.domain.set_password("bob", "Spring-2017!")
        lab.run(agent)
        assert lab.names(agent.pending()) == ["alice"]
        lab.on_commit = lambda number: None
        lab.domain.on_call = lambda operation: _fail(1722)
        lab.run(agent)
        assert agent.pending() == []
        assert lab.status(agent, "alice") == "SourceConnectorNotPresent"

    def test_moved_out_and_in(self, lab: Any) -> None:
        """Out of scope the tenant's user is deleted; back in scope it gets its password again."""
        lab.settings.scope = Scope(ous=("OU=People",))
        lab.domain.add("alice")
        agent = lab.settled()
        lab.domain.move("alice", "OU=Old")
        lab.run(agent, 30)
        assert lab.tenant.users == {}
        lab.domain.move("alice", "OU=People")
        lab.run(agent, 30)
        assert lab.received() == ["alice"]

    def test_scope_changed(self, lab: Any) -> None:
        """A change of the scope takes effect in the next object cycle, both ways."""
        lab.domain.add("alice", ou="OU=Sales")
        lab.domain.add("bob")
        agent = lab.settled()
        agent.configure(scope=Scope(exclude_ous=("OU=Sales",)))
        lab.run(agent, 28)
        assert len(lab.tenant.users) == 2
        lab.run(agent, 2)
        assert lab.names(lab.tenant.users) == ["bob"]
        agent.configure(scope=Scope())
        lab.run(agent, 30)
        assert lab.received() == ["alice"]

    def test_computer_is_forgotten(self, lab: Any) -> None:
        """Accounts that are no users wait until the next import at most."""
        agent = lab.settled()
        person = lab.domain.add("pc1$")
        lab.run(agent)
        assert lab.names(agent.pending()) == ["pc1$"]
        assert lab.status(agent, "pc1$") == "TargetNotExportedToDirectory"
        person.usns = {name: usn for name, usn in person.usns.items() if name in ("unicodePwd", "pwdLastSet")}
        lab.run(agent, 30)
        assert agent.pending() == []

    def test_unimported_outside_the_ous(self, lab: Any) -> None:
        """A user who is not imported yet does not wait if its place is out of scope."""
        lab.settings.scope = Scope(ous=("OU=People",))
        agent = lab.settled()
        lab.domain.add("alice", ou="OU=Old")
        lab.run(agent)
        assert agent.pending() == []
        assert lab.status(agent, "alice") == "SourceConnectorNotPresent"


class TestNewUsers:
    def test_waits_for_the_export(self, lab: Any) -> None:
        """A new user's password waits for the next object cycle, and goes out with its own change time."""
        agent = lab.settled()
        lab.domain.add("alice")
        created = lab.now
        lab.run(agent, 28)
        assert lab.names(agent.pending()) == ["alice"]
        assert lab.status(agent, "alice") == "TargetNotExportedToDirectory"
        assert lab.tenant.credentials == []
        lab.run(agent, 2)
        assert lab.received() == ["alice"]
        assert lab.tenant.credentials[0].change_date == created
        assert lab.domain.calls.count("get-nc-changes") == 15

    def test_export_fails(self, lab: Any) -> None:
        """While the export fails the password waits."""
        agent = lab.settled()
        lab.domain.add("alice")
        lab.tenant.results["object:" + lab.anchor("alice")] = 1
        lab.run(agent, 32)
        assert lab.status(agent, "alice") == "TargetNotExportedToDirectory"
        assert lab.ids(6803) == [6803]
        lab.tenant.results.clear()
        lab.run(agent, 30)
        assert lab.received() == ["alice"]


class TestTemporary:
    def test_filtered_in_2017(self, lab: Any) -> None:
        """A must-change password is never sent; the user's own change is."""
        lab.domain.add("alice")
        agent = lab.settled()
        lab.domain.set_password("alice", "Temp-2017!", must_change=True)
        lab.run(agent)
        assert lab.tenant.credentials == []
        assert agent.pending() == []
        assert lab.status(agent, "alice") == "FilteredByTarget"
        lab.domain.require_change("alice", False)
        lab.run(agent)
        assert lab.tenant.calls == []
        lab.domain.set_password("alice", "Spring-2017!")
        lab.run(agent)
        assert lab.holds("alice", "Spring-2017!")

    def test_pending_becomes_temporary(self, lab: Any) -> None:
        """A password that waits for a retry is left out once it must be changed."""
        lab.domain.add("alice")
        agent = lab.settled()
        lab.tenant.results[lab.anchor("alice")] = 5
        lab.domain.set_password("alice", "Spring-2017!")
        lab.run(agent)
        lab.domain.require_change("alice")
        lab.run(agent)
        assert agent.pending() == []
        assert lab.status(agent, "alice") == "FilteredByTarget"

    def test_sent_with_the_feature(self, lab: Any) -> None:
        """With the tenant's feature on, the current build sends it with the force flag."""
        lab.settings.build, lab.tenant.features = BUILD_CURRENT, 16384
        lab.domain.add("alice")
        agent = lab.settled()
        lab.domain.set_password("alice", "Temp-2017!", must_change=True)
        lab.run(agent)
        assert lab.tenant.credentials[0].force_change
        assert "PwdChangeOnLogon=True" in lab.events[2].text

    def test_must_change_alone(self, lab: Any) -> None:
        """The current build sends the hash again when must-change is set or cleared."""
        lab.settings.build, lab.tenant.features = BUILD_CURRENT, 16384
        lab.domain.add("alice")
        agent = lab.settled()
        lab.domain.require_change("alice")
        lab.run(agent)
        lab.domain.require_change("alice", False)
        lab.run(agent)
        assert [item.force_change for item in lab.tenant.credentials] == [True, False]
        lab.run(agent, 10)
        assert len(lab.tenant.credentials) == 2

    def test_must_change_of_one_who_waits(self, lab: Any) -> None:
        """That a waiting password has to be changed is kept: the next process goes by it without the directory."""
        lab.settings.build = BUILD_CURRENT
        lab.domain.add("alice")
        agent = lab.settled()
        agent.configure(staging=True)
        lab.domain.set_password("alice", "Spring-2017!")
        lab.run(agent)
        lab.domain.require_change("alice")
        lab.run(agent)
        assert lab.names(agent.pending()) == ["alice"]
        agent.configure(staging=False)
        lab.domain.on_call = lambda operation: _fail(1722) if operation == "negotiate" else None
        agent = lab.reborn(agent)
        agent.run_due()
        assert (agent.pending(), lab.status(agent, "alice")) == ([], "FilteredByTarget")

    def test_must_change_of_one_who_stays(self, lab: Any) -> None:
        """For a user whose password stays here nothing is read because must-change was set."""
        lab.settings.build, lab.tenant.features = BUILD_CURRENT, 16384
        lab.domain.add("ines", inet="yes")
        agent = lab.settled()
        lab.domain.require_change("ines")
        lab.run(agent)
        assert lab.domain.calls == ["get-nc-changes"]

    def test_feature_unknown(self, lab: Any) -> None:
        """While the tenant can't say whether its feature is on, a temporary password waits."""
        lab.settings.build, lab.tenant.features = BUILD_CURRENT, 16384
        lab.domain.add("alice")
        agent = lab.settled()
        lab.tenant.failures.append(("configuration", TransportError("lost")))
        lab.domain.set_password("alice", "Temp-2017!", must_change=True)
        lab.run(agent)
        assert lab.names(agent.pending()) == ["alice"]
        assert lab.ids() == [612]
        lab.run(agent)
        assert lab.received() == ["alice"]

    def test_filtered_without_the_feature(self, lab: Any) -> None:
        """Without the tenant's feature the current build sends none either."""
        lab.settings.build = BUILD_CURRENT
        lab.domain.add("alice")
        agent = lab.settled()
        lab.domain.set_password("alice", "Temp-2017!", must_change=True)
        lab.run(agent)
        assert lab.status(agent, "alice") == "FilteredByTarget"
        lab.domain.require_change("alice", False)
        lab.run(agent)
        assert lab.holds("alice", "Temp-2017!")


class TestFailures:
    def test_one_user(self, lab: Any) -> None:
        """One user's failure holds back nobody, and is tried again with its own change time."""
        for name in ("alice", "bob"):
            lab.domain.add(name)
        agent = lab.settled()
        lab.tenant.results[lab.anchor("alice")] = 5
        lab.domain.set_password("alice", "Spring-2017!")
        lab.domain.set_password("bob", "Spring-2018!")
        lab.run(agent)
        assert lab.received() == ["bob"]
        assert lab.status(agent, "alice") == "Error"
        assert lab.ids() == [650, 656, 657, 0, 605, 651]
        assert lab.events[3].level == "error"
        assert lab.events[3].users == (lab.anchor("alice"),)
        lab.tenant.results.clear()
        lab.run(agent)
        assert lab.received() == ["bob", "alice"]
        assert lab.commits == 3

    def test_no_reason(self, lab: Any) -> None:
        """A failure for which the tenant gives no reason is told without one."""
        lab.domain.add("alice")
        agent = lab.settled()
        lab.tenant.send_credentials = lambda items: [CredentialResult(item.source_anchor, None, 5) for item in items]
        lab.domain.set_password("alice", "Spring-2017!")
        lab.run(agent)
        (told,) = [event.text for event in lab.events if event.id == 657]
        assert "Result : Failed." in told

    def test_anchor_unknown(self, lab: Any) -> None:
        """A user whom the tenant does not know is exported again by the next object cycle."""
        lab.domain.add("alice")
        agent = lab.settled()
        lab.tenant.users.clear()
        lab.domain.set_password("alice", "Spring-2017!")
        lab.run(agent, 28)
        assert lab.tenant.credentials == []
        assert lab.tenant.calls.count("credentials") == 14
        lab.run(agent, 2)
        assert lab.received() == ["alice"]

    def test_newer_replaces_failed(self, lab: Any) -> None:
        """Of a user who failed only the newest password goes out."""
        lab.domain.add("alice")
        agent = lab.settled()
        lab.tenant.results[lab.anchor("alice")] = 5
        lab.domain.set_password("alice", "Spring-2017!")
        lab.run(agent)
        lab.domain.set_password("alice", "Summer-2017!")
        lab.tenant.results.clear()
        lab.run(agent)
        assert len(lab.tenant.credentials) == 1
        assert lab.holds("alice", "Summer-2017!")

    def test_result_missing(self, lab: Any) -> None:
        """A user whom the answer does not name stays pending, and nobody knows."""
        lab.domain.add("alice")
        agent = lab.settled()
        lab.tenant.results[lab.anchor("alice")] = -1
        lab.domain.set_password("alice", "Spring-2017!")
        lab.run(agent)
        assert lab.status(agent, "alice") == "Unknown"
        assert lab.names(agent.pending()) == ["alice"]

    @pytest.mark.parametrize(
        ("error", "status", "text"),
        [
            (
                ServiceFault("not activated", code=90),
                "Unknown",
                "ProvisionException: An error occurred. Error Code: 90.",
            ),
            (ServiceFault("busy", code=81), "RetryRequestedByTarget", "ProvisionRetryException"),
            (Throttled(503), "RetryRequestedByTarget", "(503)"),
            (Throttled(500), "Unknown", "(500)"),
            (TransportError("reset"), "Unknown", "reset"),
        ],
    )
    def test_whole_batch(self, lab: Any, error: Any, status: str, text: str) -> None:
        """A batch that fails is an error in the log; the next batch is tried all the same."""
        lab.settings.batch_size = 1
        for name in ("alice", "bob"):
            lab.domain.add(name)
        agent = lab.settled()
        lab.tenant.failures.append(("credentials", error))
        lab.domain.set_password("alice", "Spring-2017!")
        lab.domain.set_password("bob", "Spring-2018!")
        lab.run(agent)
        assert lab.received() == ["bob"]
        assert lab.status(agent, "alice") == status
        assert lab.ids() == [650, 656, 652, 605, 650, 656, 657, 651]
        assert text in lab.events[2].text
        lab.run(agent)
        assert lab.received() == ["bob", "alice"]

    @pytest.mark.parametrize(
        ("error", "status", "ids"),
        [
            (TokenError("AADSTS50126"), "Unknown", [652, 0, 6900, 605]),
            (Throttled(429), "RetryRequestedByTarget", [652, 605]),
        ],
    )
    def test_no_token(self, lab: Any, error: Any, status: str, ids: list[int]) -> None:
        """Without a token nothing is sent in this cycle; one batch failed, and a refused account is told as well."""
        lab.settings.batch_size = 1
        for name in ("alice", "bob"):
            lab.domain.add(name)
        agent = lab.settled()
        lab.tenant.failures.append(("token", error))
        lab.domain.set_password("alice", "Spring-2017!")
        lab.domain.set_password("bob", "Spring-2018!")
        lab.run(agent)
        assert lab.tenant.calls == ["token"]
        assert lab.ids() == ids
        assert lab.names(agent.pending()) == ["alice", "bob"]
        assert {lab.status(agent, "alice"), lab.status(agent, "bob")} == {status}

    def test_domain_isolated(self, lab: Any) -> None:
        """A domain that can't be read leaves one 611 a cycle; the others go on, and it catches up in order."""
        other = lab.add_domain("asia.contoso.example")
        lab.domain.add("alice")
        other.add("dora")
        agent = lab.settled()
        other.on_call = lambda operation: _fail(8453)
        other.set_password("dora", "Spring-2017!")
        lab.domain.set_password("alice", "Spring-2017!")
        lab.run(agent, 4)
        assert lab.received() == ["alice"]
        assert [(event.id, event.level, event.domain) for event in lab.events if event.id == 611] == [
            (611, "error", "asia.contoso.example")
        ] * 2
        assert "RPC Error 8453 : Replication access was denied." in lab.events[0].text
        other.on_call = lambda operation: None
        lab.run(agent)
        assert lab.received() == ["alice", "dora"]

    def test_wrong_connector_password(self, lab: Any) -> None:
        """A changed connector password stops both ways in until the agent is told of it and restarted."""
        lab.domain.add("alice")
        agent = lab.settled()
        lab.domain.password = "new!"
        agent = lab.reborn(agent)
        agent.run_due()
        assert lab.ids() == [602, 609, 601, 6000, 611]
        assert "The user name or password is incorrect" in lab.events[4].text
        lab.settings.connectors[0].password = "new!"
        lab.run(agent)
        assert lab.ids() == [602, 609, 601, 6000, 611, 611]
        agent = lab.reborn(agent)
        lab.forget()
        agent.run_due()
        assert lab.ids() == []

    def test_garbled_secret(self, lab: Any) -> None:
        """A secret that can't be decrypted fails its domain, and its cookie stays where it was."""
        lab.domain.add("alice")
        lab.domain.add("bob")
        agent = lab.settled()
        lab.domain.set_password("bob", "Spring-2017!")
        lab.domain.set_password("alice", "Spring-2017!")
        lab.domain.garbles = True
        lab.run(agent)
        assert lab.ids() == [611]
        assert "decrypt failure: the checksum of a replicated secret does not match" in lab.events[-1].text
        assert agent.pending() == []
        lab.domain.garbles = False
        lab.run(agent)
        assert lab.received() == ["bob", "alice"]

    @pytest.mark.parametrize("ticks", [-1, 2**63 - 1, 2_650_467_744_000_000_000])
    def test_no_valid_file_time(self, lab: Any, ticks: int) -> None:
        """A user whose password was set at no date holds up the domain, cycle by cycle, until the time is put right."""
        lab.domain.add("alice")
        bob = lab.domain.add("bob")
        agent = lab.settled()
        bob.last_set = ticks
        lab.domain.set_password("bob", "Spring-2017!")
        lab.domain.set_password("alice", "Spring-2017!")
        lab.run(agent)
        lab.run(agent)
        assert lab.ids() == [611, 611]
        assert "ArgumentOutOfRangeException: Not a valid Win32 FileTime" in lab.events[-1].text
        assert (agent.pending(), lab.received()) == ([], [])
        bob.last_set = 131_000_000_000_000_000
        lab.run(agent)
        assert lab.received() == ["bob", "alice"]

    def test_single_object_missing(self, lab: Any, crash: type[BaseException]) -> None:
        """A pending user whom the controller does not know is one error; others are read."""
        lab.domain.add("alice")
        lab.domain.add("bob")
        agent = lab.settled()
        lab.tenant.results |= {lab.anchor("alice"): 5, lab.anchor("bob"): 5}
        lab.domain.set_password("alice", "Spring-2017!")
        lab.domain.set_password("bob", "Spring-2017!")
        lab.run(agent)
        gone = lab.domain.people.pop("alice")
        lab.tenant.results.clear()
        agent = lab.reborn(agent)
        lab.forget()
        agent.run_due()
        assert lab.ids(611) == [611]
        assert lab.received() == ["bob"]
        assert agent.pending() == [gone.anchor]


def _fail(code: int) -> None:
    raise ReplicationError(code)


class TestThrottling:
    def test_retry_after(self, lab: Any) -> None:
        """No call of any kind before Retry-After has passed, restarts included; cycles still read."""
        lab.domain.add("alice")
        agent = lab.settled()
        lab.tenant.failures.append(("credentials", Throttled(429, retry_after=3600.0)))
        lab.domain.set_password("alice", "Spring-2017!")
        lab.run(agent)
        lab.forget()
        lab.domain.add("bob")
        agent = lab.reborn(agent)
        agent.run_due()
        lab.run(agent, 58)
        assert lab.tenant.calls == []
        assert lab.names(agent.pending()) == ["alice", "bob"]
        assert lab.domain.calls.count("search") == 2
        lab.run(agent, 2)
        assert lab.received() == ["alice", "bob"]

    def test_stops_batches(self, lab: Any) -> None:
        """A Retry-After holds the batches that follow."""
        lab.settings.batch_size = 1
        for name in ("alice", "bob"):
            lab.domain.add(name)
        agent = lab.settled()
        lab.tenant.failures.append(("credentials", Throttled(429, retry_after=90.0)))
        for name in ("alice", "bob"):
            lab.domain.set_password(name, "Spring-2017!")
        lab.run(agent)
        assert lab.tenant.calls == ["token", "credentials"]
        lab.run(agent)
        assert lab.received() == ["alice", "bob"]

    def test_from_objects(self, lab: Any) -> None:
        """A Retry-After that the export was given holds passwords too."""
        lab.domain.add("alice")
        agent = lab.settled()
        lab.domain.add("bob")
        lab.tenant.failures.append(("objects", Throttled(503, retry_after=600.0)))
        lab.run(agent, 28)
        lab.domain.set_password("alice", "Spring-2017!")
        lab.run(agent, 10)
        assert lab.tenant.calls == ["objects"]
        lab.run(agent, 2)
        assert lab.received() == ["alice"]


class TestFull:
    def test_sends_everything_again(self, lab: Any) -> None:
        """A full synchronization sends every password in scope again, between its events."""
        for name in ("alice", "bob"):
            lab.domain.add(name)
        agent = lab.settled()
        agent.full_password_sync("contoso.example")
        lab.run(agent)
        assert lab.received() == ["alice", "bob"]
        assert lab.ids() == [617, 618, 650, 656, 657, 651, 619, 622, 623]
        lab.run(agent, 10)
        assert len(lab.tenant.credentials) == 2

    def test_completed_after_retries(self, lab: Any) -> None:
        """It is complete when the last user has been taken."""
        for name in ("alice", "bob"):
            lab.domain.add(name)
        agent = lab.settled()
        lab.tenant.results[lab.anchor("alice")] = 5
        agent.full_password_sync("contoso.example")
        lab.run(agent)
        assert lab.ids(622, 623) == []
        lab.tenant.results.clear()
        lab.run(agent)
        assert lab.received() == ["bob", "alice"]
        assert lab.ids(622, 623) == [622, 623]

    def test_survives_a_crash(self, lab: Any, crash: type[BaseException]) -> None:
        """What is left of it goes out after a crash."""
        lab.settings.batch_size = 1
        for name in ("alice", "bob"):
            lab.domain.add(name)
        agent = lab.settled()
        agent.full_password_sync("contoso.example")
        lab.crash_after_commit = 3
        with pytest.raises(crash):
            lab.run(agent)
        assert lab.received() == ["alice"]
        agent = lab.reborn(agent)
        agent.run_due()
        assert lab.received() == ["alice", "bob"]
        assert lab.ids(622, 623) == [622, 623]

    def test_two_domains(self, lab: Any) -> None:
        """Each domain has its events, the forest one of each kind."""
        other = lab.add_domain("asia.contoso.example")
        lab.domain.add("alice")
        other.add("dora")
        agent = lab.installed()
        agent.run_due()
        assert lab.ids(617, 618, 622, 623) == [617, 618, 618, 622, 622, 623]

    def test_enable(self, lab: Any) -> None:
        """Switched off nothing is read or sent; switched on again everything is sent."""
        lab.domain.add("alice")
        agent = lab.settled()
        agent.disable_password_sync()
        lab.domain.set_password("alice", "Spring-2017!")
        lab.run(agent, 9)
        assert lab.domain.calls == []
        assert lab.cycles == []
        agent.enable_password_sync()
        assert agent.next_due() == lab.now + timedelta(minutes=1)
        lab.run(agent, 1)
        assert lab.holds("alice", "Spring-2017!")


class TestHeartbeat:
    def test_every_half_hour(self, lab: Any) -> None:
        """An idle agent pings every 30 minutes, once per connector."""
        lab.add_domain("other.example", "other.example", "connector-2")
        agent = lab.settled()
        lab.run(agent, 28)
        assert lab.tenant.calls == []
        lab.run(agent, 2)
        assert lab.tenant.calls == ["token", "ping"] * 2
        assert lab.ids() == [653, 654, 653, 654]
        assert "connector-2" in lab.events[3].text
        lab.run(agent, 30)
        assert lab.tenant.calls.count("ping") == 4

    def test_not_while_busy(self, lab: Any) -> None:
        """A batch that was taken stands for a ping."""
        lab.domain.add("alice")
        agent = lab.settled()
        lab.run(agent, 20)
        lab.domain.set_password("alice", "Spring-2017!")
        lab.run(agent, 30)
        assert "ping" not in lab.tenant.calls
        lab.run(agent, 2)
        assert "ping" in lab.tenant.calls

    def test_fails(self, lab: Any) -> None:
        """A ping that fails is an error, and is repeated 30 minutes later."""
        agent = lab.settled()
        lab.tenant.failures.append(("ping", TransportError("reset")))
        lab.run(agent, 58)
        assert lab.ids() == [653, 655]
        assert lab.events[1].level == "error"
        lab.run(agent, 2)
        assert lab.ids() == [653, 655, 653, 654]


class TestStaging:
    def test_reads_and_remembers(self, lab: Any) -> None:
        """A staging server sends nothing at all; afterwards it catches up in order."""
        for name in ("alice", "bob"):
            lab.domain.add(name)
        agent = lab.settled()
        agent.configure(staging=True)
        lab.domain.set_password("bob", "Spring-2017!")
        lab.run(agent, 2)
        lab.domain.set_password("alice", "Spring-2017!")
        lab.run(agent, 60)
        assert lab.tenant.calls == []
        assert lab.names(agent.pending()) == ["bob", "alice"]
        agent.configure(staging=False)
        lab.run(agent)
        assert lab.received() == ["bob", "alice"]

    def test_new_staging_server(self, lab: Any) -> None:
        """A server that starts as staging imports and reads; leaving staging everything goes out."""
        lab.settings.staging = True
        lab.domain.add("alice")
        agent = lab.settled()
        lab.run(agent, 60)
        assert lab.tenant.calls == []
        agent.configure(staging=False)
        lab.run(agent, 32)
        assert lab.received() == ["alice"]


def test_current_build_words(lab: Any) -> None:
    """The current build names the controller in event 611 and speaks of hashes."""
    lab.settings.build = replace(BUILD_CURRENT)
    agent = lab.settled()
    lab.domain.on_call = lambda operation: _fail(1722)
    lab.run(agent)
    assert lab.events[0].text.startswith(
        "Password hash synchronization failed for domain: contoso.example, domain controller hostname: dc1, "
        "domain controller IP address: <not available>."
    )
