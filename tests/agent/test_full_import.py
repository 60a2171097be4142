"""The full import: a search of all that is there, when there is nothing to go on from, and a cookie to go on with."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from pwsync.directory import PAGE, DirectoryError, naming_context, read_changes, read_everything
from pwsync.settings import Scope

DOMAIN = "contoso.example"
ASKED = ("objectClass", "objectGUID", "sAMAccountName", "isDeleted", "name", "parentGUID")


def counted(lab: Any) -> list[str]:
    """How the domain is read from now on: a line for each full import's page and each delta."""
    seen: list[str] = []
    lab.domain.on_call = lambda operation: seen.append(operation) if operation == "search" else None
    return seen


def everything(lab: Any) -> Any:
    return read_everything(lambda: lab.directory(DOMAIN, "dc1"), DOMAIN, "connector!", ASKED)


def changes(lab: Any, cookie: bytes) -> Any:
    return read_changes(lambda: lab.directory(DOMAIN, "dc1"), DOMAIN, "connector!", ASKED, cookie)


class TestReading:
    @pytest.mark.parametrize("count", [0, 1, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE + 1])
    def test_all_pages(self, lab: Any, count: int) -> None:
        """Everybody comes once, however many pages there are."""
        for number in range(count):
            lab.domain.add(f"user{number}", None)
        pages = counted(lab)
        found = everything(lab)
        assert [entry.attributes["samaccountname"] for entry in found.entries] == [[f"user{n}"] for n in range(count)]
        assert len(pages) == max(1, -(-count // PAGE))
        assert not any(entry.deleted for entry in found.entries)

    def test_deleted_ones_do_not_come(self, lab: Any) -> None:
        """A search shows what is there; tombstones come with deltas alone."""
        lab.domain.add("alice")
        lab.domain.add("bob")
        lab.domain.delete("bob")
        assert [entry.attributes["samaccountname"] for entry in everything(lab).entries] == [["alice"]]

    def test_change_between_the_pages_comes_with_the_delta(self, lab: Any) -> None:
        """The cookie was taken before the first page, so nothing falls between both."""
        for number in range(PAGE + 5):
            lab.domain.add(f"user{number}", None)
        pages = counted(lab)
        seen = lab.domain.on_call

        def change(operation: str) -> None:
            seen(operation)
            if len(pages) == 2:
                lab.domain.set("user1", sAMAccountName="renamed")
                lab.domain.delete("user2")

        lab.domain.on_call = change
        cookie = everything(lab).cookie
        lab.domain.on_call = lambda operation: None
        news = {entry.anchor: entry for entry in changes(lab, cookie).entries}
        assert news[lab.anchor("user1")].attributes["samaccountname"] == ["renamed"]
        assert news[lab.anchor("user2")].deleted

    @pytest.mark.parametrize("failing", [1, 2, 3])
    def test_page_that_fails(self, lab: Any, failing: int) -> None:
        """A connection that breaks on any page: nothing of it counts."""
        for number in range(2 * PAGE + 1):
            lab.domain.add(f"user{number}", None)
        pages = counted(lab)
        seen = lab.domain.on_call

        def fail(operation: str) -> None:
            seen(operation)
            if operation == "search" and len(pages) == failing:
                raise OSError("connection reset")

        lab.domain.on_call = fail
        with pytest.raises(DirectoryError, match="connection reset"):
            everything(lab)

    def test_refusal_in_the_middle(self, lab: Any) -> None:
        """A page that the directory refuses (busy) is an error, not the end of the import."""
        for number in range(PAGE + 1):
            lab.domain.add(f"user{number}", None)
        connection = lab.directory(DOMAIN, "dc1")
        page = connection.page

        def refuse(attributes: Any, size: int, first: int) -> bool:
            if first == 0:
                return bool(page(attributes, size, first))
            connection.result = {"result": 51, "description": "busy", "message": "not now"}
            return False

        connection.page = refuse
        with pytest.raises(DirectoryError, match=r"busy \(51\): not now"):
            read_everything(lambda: connection, DOMAIN, "connector!", ASKED)


class TestWhen:
    def test_first_run_then_deltas(self, lab: Any) -> None:
        """The first cycle is a full import, those after it are not."""
        for number in range(PAGE + 1):
            lab.domain.add(f"user{number}", None)
        pages = counted(lab)
        agent = lab.installed()
        agent.run_due()
        assert len(pages) == 2
        lab.run(agent, 60)
        assert len(pages) == 4

    def test_initial_is_ordered(self, lab: Any) -> None:
        """Start-ADSyncSyncCycle -PolicyType Initial reads everything again; Delta does not."""
        for number in range(PAGE + 1):
            lab.domain.add(f"user{number}", None)
        agent = lab.settled()
        pages = counted(lab)
        agent.run_object_cycle("delta")
        assert len(pages) == 1
        agent.run_object_cycle("initial")
        assert len(pages) == 3

    def test_cookie_is_refused(self, lab: Any) -> None:
        """A refused cookie costs one cycle: the next one is a full import, and sees who went meanwhile."""
        lab.domain.add("alice")
        lab.domain.add("bob")
        agent = lab.settled()
        agent._state.domain(DOMAIN).import_cookie = b"garbage"
        lab.domain.delete("bob")
        lab.run(agent, 30)
        assert lab.ids(6050) == [6050]
        assert lab.anchor("bob") in lab.tenant.users
        lab.run(agent, 30)
        assert lab.anchor("bob") not in lab.tenant.users
        assert lab.ids(6050) == [6050]

    def test_filter_needs_an_attribute(self, lab: Any) -> None:
        """A scope that asks about an attribute which was never imported has everything imported again."""
        for number in range(PAGE + 1):
            lab.domain.add(f"user{number}", None, company="Sales" if number else "Lab")
        agent = lab.settled()
        agent.configure(scope=Scope(exclude_attribute={"company": "Lab"}))
        pages = counted(lab)
        lab.run(agent, 30)
        assert len(pages) == 2
        assert lab.anchor("user0") not in lab.tenant.users

    def test_interrupted_import_is_made_again(self, lab: Any) -> None:
        """Nothing is deleted from the tenant because an import ended half-way."""
        for number in range(PAGE + 1):
            lab.domain.add(f"user{number}", None)
        agent = lab.settled()
        pages = counted(lab)
        seen = lab.domain.on_call

        def fail(operation: str) -> None:
            seen(operation)
            if len(pages) == 2:
                raise OSError("connection reset")

        lab.domain.on_call = fail
        agent.run_object_cycle("initial")
        assert len(lab.tenant.users) == PAGE + 1
        assert lab.ids(6050) == [6050]
        lab.now += timedelta(minutes=1)
        lab.domain.on_call = seen
        agent.run_object_cycle("initial")
        assert len(pages) == 4


class TestAgainstTheDirectory:
    def test_same_objects_as_a_delta_from_the_beginning(self) -> None:
        """Search and DirSync agree about people, attribute by attribute; and a delta after a full import is empty."""
        from simulator.active_directory.ldap import connect
        from simulator.frozen import frozen
        from simulator.scenario.setup import build_world
        from simulator.serving.world import default_case

        case = default_case("2017")
        world = build_world(case)
        home = world.domain(world.default_domain)
        account, password = home.connector_account()
        for number in range(40):
            home.create_user(f"user{number}", "Winter-2016!", ou=f"OU=Team{number % 3}", check_policy=False)
        home.delete_user("user7")

        def connection() -> Any:
            return connect(home.controller("dc1"), f"{home.netbios}\\{account}", password)

        with frozen(world.clock()):
            full = read_everything(connection, home.name, password, ASKED)
            delta = read_changes(connection, home.name, password, ASKED, b"")
            after = read_changes(connection, home.name, password, ASKED, full.cookie)
        there = {entry.anchor: entry for entry in delta.entries if not entry.deleted}
        assert {entry.anchor for entry in full.entries} == set(there)
        assert len(full.entries) >= 39
        for entry in full.entries:
            assert entry.dn == there[entry.anchor].dn
            assert {name: sorted(found) for name, found in entry.attributes.items()} == {
                name: sorted(found) for name, found in there[entry.anchor].attributes.items()
                if found and name != "instancetype"
            }  # fmt: skip
        assert list(after.entries) == []
        assert naming_context(home.name) == "DC=contoso,DC=example"
