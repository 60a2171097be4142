"""What an operator does, when cycles run, and what a process that dies leaves to the next one."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from typing import Any

import pytest

from pwsync.errors import NotConfigurable, NotSupported, Refused, RequiresObjectSync, ServiceFault
from pwsync.ports import Agent
from pwsync.settings import BUILD_CURRENT, Scope


class TestInstall:
    def test_is_an_agent(self, lab: Any) -> None:
        """The factory makes what the protocol asks for."""
        agent: Agent = lab.agent()
        assert agent.next_due() is None
        agent.run_due()
        assert lab.cycles == []

    def test_express(self, lab: Any) -> None:
        """Express settings switch everything on, whatever else is said."""
        agent = lab.agent()
        agent.install(express=True, password_sync=False, object_sync=False)
        agent.start()
        agent.run_due()
        assert [kind for kind, _ in lab.cycles] == ["object", "password"]

    def test_express_unless_said(self, lab: Any) -> None:
        """Whoever does not ask for custom settings gets express ones, with passwords."""
        agent = lab.agent()
        agent.install(password_sync=False)
        agent.start()
        agent.run_due()
        assert [kind for kind, _ in lab.cycles] == ["object", "password"]

    def test_custom_without_passwords(self, lab: Any) -> None:
        """Custom settings have passwords only if chosen; they can be enabled later."""
        lab.domain.add("alice")
        agent = lab.installed(express=False, password_sync=False, object_sync=True)
        lab.run(agent, 3)
        assert [kind for kind, _ in lab.cycles] == ["object"]
        agent.enable_password_sync()
        lab.run(agent, 1)
        assert lab.received() == ["alice"]

    def test_needs_objects(self, lab: Any) -> None:
        """Passwords without objects are refused, at set-up and later."""
        agent = lab.agent()
        with pytest.raises(RequiresObjectSync):
            agent.install(express=False, password_sync=True, object_sync=False)
        with pytest.raises(RequiresObjectSync):
            agent.enable_password_sync()
        agent.install(express=False, password_sync=False, object_sync=False)
        agent.start()
        assert agent.next_due() is None
        with pytest.raises(RequiresObjectSync):
            agent.enable_password_sync()
        with pytest.raises(RequiresObjectSync):
            agent.run_object_cycle("delta")

    def test_is_kept(self, lab: Any) -> None:
        """A new process knows what was set up."""
        lab.domain.add("alice")
        agent = lab.reborn(lab.installed())
        agent.run_due()
        assert lab.received() == ["alice"]

    def test_refusals(self, lab: Any) -> None:
        """What the product does not do is refused with its reason."""
        agent = lab.settled()
        with pytest.raises(NotConfigurable):
            agent.set_password_interval(timedelta(minutes=1))
        for call in (
            lambda: agent.select_users(["alice"]),
            lambda: agent.configure(colour="blue"),
            lambda: agent.configure(staging="yes"),
            lambda: agent.configure(object_interval=timedelta(0)),
            lambda: agent.run_object_cycle("full"),
        ):
            with pytest.raises(NotSupported):
                call()
        with pytest.raises(Refused):
            agent.full_password_sync("nowhere.example")
        agent.disable_password_sync("contoso.example")
        with pytest.raises(Refused):
            agent.full_password_sync("contoso.example")


class TestSchedule:
    def test_two_grids(self, lab: Any) -> None:
        """Passwords every 2 minutes, objects every 30, objects first; the start is the grids' first point."""
        lab.now += timedelta(seconds=17)
        begin = lab.now
        agent = lab.installed()
        lab.run(agent, 60)
        assert [at - begin for kind, at in lab.cycles if kind == "password"] == [
            timedelta(minutes=2 * number) for number in range(31)
        ]
        assert [at - begin for kind, at in lab.cycles if kind == "object"] == [
            timedelta(minutes=30 * number) for number in range(3)
        ]
        assert [kind for kind, at in lab.cycles if at - begin == timedelta(minutes=30)] == ["object", "password"]

    def test_object_interval(self, lab: Any) -> None:
        """The object interval can be changed and does not touch the passwords' grid."""
        agent = lab.settled()
        agent.configure(object_interval=timedelta(minutes=7))
        begin = lab.now
        lab.run(agent, 14)
        assert [at - begin for kind, at in lab.cycles if kind == "object"] == [
            timedelta(minutes=7), timedelta(minutes=14)
        ]  # fmt: skip
        assert len([kind for kind, _ in lab.cycles if kind == "password"]) == 7

    def test_slow_cycle(self, lab: Any) -> None:
        """Starts that fall due while a cycle runs are left out."""
        lab.domain.add("alice")
        agent = lab.settled()
        begin = lab.now

        def slow(operation: str) -> None:
            lab.now += timedelta(minutes=3)
            agent.run_due()

        lab.tenant.on_call = lambda operation: slow(operation) if operation == "credentials" else None
        lab.domain.set_password("alice", "Spring-2017!")
        lab.run(agent, 10)
        assert [at - begin for kind, at in lab.cycles] == [timedelta(minutes=at) for at in (2, 6, 8, 10)]

    def test_slow_object_cycle(self, lab: Any) -> None:
        """A password cycle never starts off its grid, even if the object cycle before it took long."""
        agent = lab.settled()
        begin = lab.now
        lab.run(agent, 29)
        lab.forget()
        lab.domain.on_call = lambda operation: _wait(lab, 3) if operation == "search" else None
        lab.run(agent, 6)
        assert [(kind, at - begin) for kind, at in lab.cycles] == [
            ("object", timedelta(minutes=30)),
            ("password", timedelta(minutes=34)),
        ]

    def test_stop_and_start(self, lab: Any) -> None:
        """Stopped, nothing is due; a start makes both due at once, on new grids."""
        agent = lab.settled()
        agent.stop()
        assert agent.next_due() is None
        lab.run(agent, 61)
        agent.start()
        assert agent.next_due() == lab.now
        agent.run_due()
        assert lab.cycles == [("object", lab.now), ("password", lab.now)]
        assert agent.next_due() == lab.now + timedelta(minutes=2)

    def test_stop_within_a_cycle(self, lab: Any) -> None:
        """A stop ends the cycle after the call that it waits for; that call is settled."""
        lab.settings.batch_size = 1
        for name in ("alice", "bob"):
            lab.domain.add(name)
        agent = lab.settled()
        lab.tenant.on_call = lambda operation: agent.stop() if operation == "credentials" else None
        for name in ("alice", "bob"):
            lab.domain.set_password(name, "Spring-2017!")
        lab.run(agent)
        assert lab.received() == ["alice"]
        assert lab.names(agent.pending()) == ["bob"]
        lab.tenant.on_call = lambda operation: None
        agent.start()
        agent.run_due()
        assert lab.received() == ["alice", "bob"]

    def test_stop_while_a_domain_is_read(self, lab: Any) -> None:
        """A stop leaves the next domain unread; what this one told is kept."""
        sales = lab.add_domain("sales.example")
        for domain, name in ((lab.domain, "alice"), (sales, "bob")):
            domain.add(name)
        agent = lab.settled()
        for domain, name in ((lab.domain, "alice"), (sales, "bob")):
            domain.set_password(name, "Spring-2017!")
        lab.domain.on_call = lambda operation: agent.stop()
        lab.run(agent)
        assert (lab.names(agent.pending()), sales.calls) == (["alice"], [])
        lab.domain.on_call = lambda operation: None
        agent.start()
        agent.run_due()
        assert lab.received() == ["alice", "bob"]

    def test_ordered_object_cycle(self, lab: Any) -> None:
        """An object cycle that is ordered runs at once; ordered within a cycle, right after it."""
        agent = lab.settled()
        lab.domain.add("alice")
        agent.run_object_cycle("delta")
        assert lab.names(lab.tenant.users) == ["alice"]
        lab.forget()
        lab.domain.on_call = lambda operation: _once(lab, lambda: agent.run_object_cycle("delta"))
        lab.run(agent)
        assert [kind for kind, _ in lab.cycles] == ["password", "object"]
        agent.stop()
        with pytest.raises(RequiresObjectSync):
            agent.run_object_cycle("delta")

    def test_idle_until(self, lab: Any) -> None:
        """A quiet agent says until when it has nothing to do, and lets its cycles be skipped."""
        lab.domain.add("alice")
        agent = lab.settled()
        assert agent.idle_until() == lab.now + timedelta(minutes=30)
        agent.skip_to(lab.now + timedelta(minutes=11))
        assert agent.next_due() == lab.now + timedelta(minutes=12)
        lab.tenant.results[lab.anchor("alice")] = 5
        lab.domain.set_password("alice", "Spring-2017!")
        lab.run(agent, 12)
        assert agent.idle_until() is None
        lab.tenant.results.clear()
        lab.run(agent, 2)
        assert agent.idle_until() == lab.now + timedelta(minutes=16)
        agent.full_password_sync("contoso.example")
        assert agent.idle_until() is None
        agent.stop()
        assert agent.idle_until() is None

    def test_imports_idle(self, lab: Any) -> None:
        """An export that failed leaves password cycles idle; the next object cycle is not."""
        lab.domain.add("alice")
        agent = lab.settled()
        assert agent.imports_idle
        lab.domain.add("bob", inet="yes")
        lab.tenant.failures.append(("objects", ServiceFault("Not now.", code=90)))
        agent.run_object_cycle("delta")
        lab.run(agent, 2)
        assert (agent.imports_idle, agent.pending()) == (False, [])
        assert agent.idle_until() == lab.now + timedelta(minutes=28)

    def test_idle_reads(self, lab: Any) -> None:
        """A cycle reads each domain once; an agent that does not run reads none."""
        agent = lab.settled()
        assert agent.idle_reads == 1
        agent.stop()
        assert (agent.idle_reads, agent.imports_idle) == (0, False)

    def test_not_idle_within_a_cycle(self, lab: Any) -> None:
        """While a cycle is under way nobody knows what it will find, even if nothing was left to do before it."""
        lab.domain.add("alice")
        agent = lab.settled()
        seen: list[Any] = [agent.idle_until() is None]
        lab.domain.on_call = lambda operation: seen.append(agent.idle_until())
        lab.run(agent)
        assert seen == [False, None]

    def test_nothing_to_be_idle_from(self, lab: Any) -> None:
        """An agent that is set up anew, with nothing, has no cycle that could be skipped."""
        agent = lab.settled()
        agent.install(express=False, password_sync=False, object_sync=False)
        assert (agent.next_due(), agent.idle_until()) == (None, None)

    def test_preferred_controllers(self, lab: Any) -> None:
        """Preferred controllers are used from the next start on."""
        agent = lab.settled()
        agent.configure(preferred_controllers={"contoso.example": ("down",)})
        agent.run_object_cycle("delta")
        assert lab.events == []
        agent.stop()
        agent.start()
        lab.forget()
        agent.run_due()
        assert [(event.id, "down" in event.text) for event in lab.events] == [(6050, True)]


def _wait(lab: Any, minutes: int) -> None:
    lab.now += timedelta(minutes=minutes)


def _once(lab: Any, what: Any) -> None:
    lab.domain.on_call = lambda operation: None
    what()


class TestCrash:
    def test_between_commits(self, lab: Any, crash: type[BaseException]) -> None:
        """Wherever the process dies, the next one sends what is left, newest first of all, and loses nothing."""
        for name in ("alice", "bob", "carol"):
            lab.domain.add(name)
        agent = lab.settled()
        lab.settings.batch_size = 1
        for name in ("alice", "bob", "carol"):
            lab.domain.set_password(name, "Spring-2017!")
        lab.crash_after_commit = 2
        with pytest.raises(crash):
            lab.run(agent)
        assert lab.received() == ["alice"]
        lab.domain.set_password("carol", "Summer-2017!")
        agent = lab.reborn(agent)
        assert lab.names(agent.pending()) == ["bob", "carol"]
        agent.run_due()
        assert lab.received() == ["alice", "bob", "carol"]
        assert lab.holds("carol", "Summer-2017!")

    def test_before_a_commit(self, lab: Any, crash: type[BaseException]) -> None:
        """A commit that did not happen is done again: the same change is sent once more."""
        lab.domain.add("alice")
        agent = lab.settled()
        lab.domain.set_password("alice", "Spring-2017!")
        lab.on_commit = lambda number: _raise(crash) if number == 2 else None
        with pytest.raises(crash):
            lab.run(agent)
        agent = lab.reborn(agent)
        agent.run_due()
        assert lab.received() == ["alice", "alice"]
        assert agent.pending() == []

    @pytest.mark.parametrize("number", range(1, 12))
    @pytest.mark.parametrize("after", [False, True])
    def test_anywhere_in_the_first_cycles(self, lab: Any, crash: type[BaseException], number: int, after: bool) -> None:
        """Dying at any commit of the first cycles loses no user."""
        lab.settings.batch_size = 1
        names = ["alice", "bob", "carol", "dora"]
        for name in names:
            lab.domain.add(name)
        agent = lab.agent()
        if after:
            lab.crash_after_commit = number
        else:
            lab.on_commit = lambda count: _raise(crash) if count == number else None
        try:
            agent.install()
            agent.start()
            agent.run_due()
        except crash:
            agent = lab.reborn(agent)
            if agent.next_due() is None:
                agent.install()
            agent.run_due()
        assert agent.pending() == []
        assert list(dict.fromkeys(lab.received())) == names
        assert len(lab.received()) <= len(names) + 1

    def test_in_a_call(self, lab: Any, crash: type[BaseException]) -> None:
        """Dying while a batch is under way, the answer is lost and the batch goes again."""
        lab.domain.add("alice")
        agent = lab.settled()
        lab.domain.set_password("alice", "Spring-2017!")
        lab.tenant.on_call = lambda operation: _raise(crash) if operation == "credentials" else None
        with pytest.raises(crash):
            lab.run(agent)
        lab.tenant.on_call = lambda operation: None
        agent = lab.reborn(agent)
        agent.run_due()
        assert lab.received() == ["alice"]
        assert lab.domain.calls.count("get-nc-changes") == 3

    def test_many_pending(self, lab: Any) -> None:
        """If very many wait after a restart the domain is read as a whole instead of one by one."""
        agent = lab.settled()
        for number in range(600):
            lab.domain.add(f"user{number}")
        lab.run(agent, 2)
        agent = lab.reborn(agent)
        lab.forget()
        agent.run_due()
        assert len(lab.tenant.credentials) == 600
        assert lab.domain.calls.count("get-nc-changes") == 2

    def test_cookie_can_not_be_stored(self, lab: Any) -> None:
        """A build before 1.1.553.0 sends all the same, begins again from the last cookie, and repeats itself until
        the cookie can be stored; nothing is lost, and nothing older follows."""
        for name in ("alice", "bob"):
            lab.domain.add(name)
        agent = lab.settled()
        lab.domain.set_password("alice", "Spring-2017!")
        lab.on_commit = lambda number: _raise(sqlite3.OperationalError("disk I/O error"))
        lab.run(agent)
        lab.run(agent)
        assert lab.received() == ["alice", "alice"]
        assert set(lab.ids(665)) == {665}
        lab.domain.set_password("bob", "Spring-2017!")
        lab.domain.set_password("alice", "Summer-2017!")
        lab.run(agent)
        assert lab.received()[2:] == ["bob", "alice"]
        lab.on_commit = lambda number: None
        lab.forget()
        lab.run(agent, 3)
        assert lab.received() == ["bob", "alice"]
        assert lab.holds("alice", "Summer-2017!")
        assert (lab.ids(665), agent.pending(), agent.status(lab.anchor("bob"))) == ([], [], "Success")
        agent = lab.reborn(agent)
        agent.run_due()
        assert lab.received() == ["bob", "alice"]

    def test_unsaved_is_not_idle(self, lab: Any) -> None:
        """A cycle that could not be stored has to be read again, even if nothing else is left to do."""
        lab.domain.add("alice")
        agent = lab.settled()
        lab.run(agent)
        lab.settings.staging = True
        lab.domain.set_password("alice", "Spring-2017!")
        lab.on_commit = lambda number: _raise(sqlite3.OperationalError("disk I/O error"))
        assert agent.idle_until() is not None
        lab.run(agent)
        assert (agent.pending(), agent.idle_until()) == ([], None)
        lab.on_commit = lambda number: None
        lab.run(agent)
        assert lab.names(agent.pending()) == ["alice"]

    def test_only_the_cookie_fails(self, lab: Any) -> None:
        """If only the first of a cycle's commits fails, the next one stores everything: nothing is repeated."""
        lab.domain.add("alice")
        agent = lab.settled()
        lab.domain.set_password("alice", "Spring-2017!")
        lab.on_commit = lambda number: _raise(sqlite3.OperationalError("disk I/O error")) if number == 1 else None
        lab.run(agent)
        assert lab.ids(665) == [665]
        lab.run(agent, 3)
        assert (lab.received(), lab.ids(665)) == (["alice"], [665])

    def test_commit_fails(self, lab: Any) -> None:
        """If what was collected can't be stored nothing is sent; it is stored and sent in the next cycle."""
        lab.settings.build = BUILD_CURRENT
        lab.domain.add("alice")
        agent = lab.settled()
        lab.domain.set_password("alice", "Spring-2017!")
        lab.on_commit = lambda number: _raise(sqlite3.OperationalError("disk I/O error")) if number == 1 else None
        lab.run(agent)
        assert lab.tenant.calls == []
        assert [(event.id, event.level) for event in lab.events] == [(665, "error")]
        lab.on_commit = lambda number: _raise(sqlite3.OperationalError("disk I/O error"))
        lab.run(agent)
        assert (lab.tenant.credentials, lab.ids(665)) == ([], [665, 665])
        lab.on_commit = lambda number: None
        lab.run(agent, 3)
        assert (lab.received(), lab.ids(665)) == (["alice"], [665, 665])

    def test_commit_fails_for_objects(self, lab: Any) -> None:
        """If an import can't be stored nothing is exported; the next object cycle goes on."""
        agent = lab.settled()
        lab.domain.add("alice")
        lab.on_commit = lambda number: _raise(OSError("disk full"))
        agent.run_object_cycle("delta")
        assert lab.tenant.users == {}
        assert lab.ids() == [6801]
        lab.on_commit = lambda number: None
        lab.run(agent, 30)
        assert lab.names(lab.tenant.users) == ["alice"]


def _raise(error: Any) -> None:
    raise error


class TestObjects:
    def test_only_what_changed(self, lab: Any) -> None:
        """A delta exports what changed, and a cycle without changes neither exports nor commits."""
        for name in ("alice", "bob"):
            lab.domain.add(name)
        agent = lab.settled()
        agent.run_object_cycle("delta")
        assert (lab.tenant.calls, lab.commits) == ([], 0)
        before = lab.tenant.users[lab.anchor("bob")]
        lab.domain.set("alice", displayName="Alice B.", mail="a@b.example")
        agent.run_object_cycle("delta")
        assert lab.tenant.users[lab.anchor("alice")].attributes["displayName"] == "Alice B."
        assert lab.tenant.users[lab.anchor("alice")].attributes["userPrincipalName"] == "alice@contoso.example"
        assert lab.tenant.users[lab.anchor("bob")] is before
        assert lab.commits == 2
        lab.domain.set("alice", mail="")
        agent.run_object_cycle("delta")
        assert lab.tenant.users[lab.anchor("alice")].attributes["mail"] is None

    def test_initial(self, lab: Any) -> None:
        """An initial cycle imports and exports everything again, and sends no password."""
        for name in ("alice", "bob"):
            lab.domain.add(name)
        agent = lab.settled()
        lab.tenant.users.clear()
        agent.run_object_cycle("initial")
        assert sorted(lab.names(lab.tenant.users)) == ["alice", "bob"]
        lab.run(agent)
        assert lab.tenant.credentials == []

    def test_deleted(self, lab: Any) -> None:
        """A deleted user is deleted in the tenant, also if an import is the first to miss it."""
        for name in ("alice", "bob", "carol"):
            lab.domain.add(name)
        agent = lab.settled()
        lab.domain.delete("alice")
        agent.run_object_cycle("delta")
        assert sorted(lab.names(lab.tenant.users)) == ["bob", "carol"]
        gone = lab.domain.people.pop("bob")
        agent.run_object_cycle("initial")
        assert lab.names(lab.tenant.users) == ["carol"]
        assert agent.status(gone.anchor) == "none"

    def test_disabled_flag(self, lab: Any) -> None:
        """accountEnabled follows the directory."""
        lab.domain.add("alice")
        agent = lab.settled()
        lab.domain.enable("alice", False)
        agent.run_object_cycle("delta")
        assert lab.tenant.users[lab.anchor("alice")].attributes["accountEnabled"] is False

    def test_lost_export(self, lab: Any) -> None:
        """A whole export that fails is an error, and is tried again by the next object cycle."""
        agent = lab.settled()
        lab.domain.add("alice")
        from pwsync.errors import TokenError, TransportError

        lab.tenant.failures += [("objects", TransportError("reset")), ("objects", TokenError("no"))]
        for _ in range(3):
            agent.run_object_cycle("delta")
        assert [(event.id, event.source, event.level) for event in lab.events] == [(6803, "ADSync", "error")] * 2
        assert lab.names(lab.tenant.users) == ["alice"]

    def test_many(self, lab: Any) -> None:
        """At most 500 objects go in one call."""
        for number in range(1001):
            lab.domain.add(f"user{number}", None)
        agent = lab.installed()
        agent.run_due()
        assert lab.tenant.calls.count("objects") == 3
        assert len(lab.tenant.users) == 1001

    def test_filter_attribute(self, lab: Any) -> None:
        """A filter on an attribute that was not imported yet reads the domain again, with it."""
        lab.domain.add("alice", extensionAttribute1="NoSync")
        lab.domain.add("bob", extensionAttribute1="other")
        agent = lab.settled()
        agent.configure(scope=Scope(exclude_attribute={"extensionAttribute1": "nosync"}))
        agent.run_object_cycle("delta")
        assert lab.names(lab.tenant.users) == ["bob"]
        lab.domain.set("alice", extensionAttribute1="")
        agent.run_object_cycle("delta")
        assert lab.names(lab.tenant.users) == ["bob", "alice"]

    def test_cookie_refused(self, lab: Any) -> None:
        """A controller that refuses the cookie is an error once; the next cycle reads everything."""
        lab.domain.add("alice")
        agent = lab.settled()
        agent._state.domains["contoso.example"].import_cookie = b"garbage"
        agent.run_object_cycle("delta")
        assert lab.ids() == [6050]
        lab.domain.add("bob")
        agent.run_object_cycle("delta")
        assert lab.names(lab.tenant.users) == ["alice", "bob"]

    def test_comes_back(self, lab: Any) -> None:
        """An object of which only a part is told, because it came back, is read as a whole."""
        lab.domain.add("alice")
        agent = lab.settled()
        kept = lab.domain.people["alice"]
        lab.domain.delete("alice")
        agent.run_object_cycle("delta")
        kept.deleted = False
        kept.dn = f"CN=alice,OU=People,{lab.domain.root}"
        lab.domain.set("alice", isDeleted="")
        lab.run(agent, 32)
        assert lab.names(lab.tenant.users) == ["alice"]
        assert lab.received() == ["alice"]
