"""The agent's pure parts, and its store: schedule, scope, event texts, failures, database."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pwsync import engine_events, scope
from pwsync.errors import ReplicationError, StoreError, TokenError
from pwsync.event_log import TEXT_MAX, Change, EventTexts, change_date
from pwsync.failures import read_chain, tenant_chain
from pwsync.ports import StorePort
from pwsync.schedule import Grid
from pwsync.settings import BUILD_2017, BUILD_CURRENT, Connector, Scope
from pwsync.stamp import Stamp
from pwsync.state import DomainState, ObjectState, PasswordState
from pwsync.store import Store

NOW = datetime(2017, 1, 13, 9, tzinfo=UTC)
ROOT = "DC=contoso,DC=example"
MINUTES = st.integers(0, 10_000).map(lambda seconds: timedelta(seconds=seconds))


class TestGrid:
    @given(st.integers(1, 300), MINUTES)
    def test_starts_lie_on_the_grid(self, interval: int, passed: timedelta) -> None:
        """The next start is the first point of the grid after the end of a cycle."""
        grid = Grid(timedelta(seconds=interval))
        grid.begin(NOW)
        assert grid.due(NOW)
        grid.passed(NOW + passed)
        assert grid.next is not None
        assert (grid.next - NOW) % timedelta(seconds=interval) == timedelta(0)
        assert timedelta(0) < grid.next - (NOW + passed) <= timedelta(seconds=interval)

    @given(MINUTES)
    def test_missed_start(self, late: timedelta) -> None:
        """A start that was missed is left out; one on the grid is taken."""
        grid = Grid(timedelta(seconds=120))
        grid.begin(NOW)
        assert grid.due(NOW + late) == (late % timedelta(seconds=120) == timedelta(0))

    def test_nothing_due_when_stopped(self) -> None:
        """Before the first start and after a stop nothing is due."""
        grid = Grid(timedelta(seconds=120))
        assert not grid.due(NOW)
        grid.begin(NOW)
        grid.end()
        grid.passed(NOW)
        grid.skip_to(NOW)
        assert not grid.due(NOW)
        assert grid.next is None

    @pytest.mark.parametrize("seconds", [0, -1])
    def test_no_interval(self, seconds: int) -> None:
        """An interval of nothing, or less, is refused."""
        with pytest.raises(ValueError, match="interval"):
            Grid(timedelta(seconds=seconds))
        with pytest.raises(ValueError, match="interval"):
            Grid(timedelta(seconds=1)).change(timedelta(seconds=seconds), NOW)


def user(**attributes: str) -> dict[str, list[str]]:
    values = {"objectclass": "top,person,user", "samaccountname": "alice", "useraccountcontrol": "512", **attributes}
    return {name: value.split(",") for name, value in values.items() if value}


class TestScope:
    @pytest.mark.parametrize(
        ("attributes", "reason"),
        [
            ({}, None),
            ({"iscriticalsystemobject": "TRUE"}, scope.SYSTEM_OBJECT),
            ({"iscriticalsystemobject": "FALSE"}, None),
            ({"samaccountname": ""}, scope.NO_ACCOUNT_NAME),
            ({"samaccountname": "MSOL_0123456789ab"}, scope.SERVICE_ACCOUNT),
            ({"samaccountname": "aad_x"}, scope.SERVICE_ACCOUNT),
            ({"samaccountname": "SUPPORT_388945a0"}, scope.SERVICE_ACCOUNT),
            ({"samaccountname": "CAS_{1}"}, scope.SERVICE_ACCOUNT),
            ({"samaccountname": "casper"}, None),
            ({"samaccountname": "SystemMailbox{1}"}, scope.SERVICE_ACCOUNT),
            ({"samaccountname": "CAS_smith"}, None),
            ({"mailnickname": "SystemMailbox{1}"}, scope.SYSTEM_MAILBOX),
            ({"mailnickname": "cas_{1}"}, scope.SYSTEM_MAILBOX),
            ({"mailnickname": "cas_smith"}, None),
            ({"msexchrecipienttypedetails": "4096"}, scope.SYSTEM_MAILBOX),
            ({"msexchrecipienttypedetails": "536870913"}, scope.SYSTEM_MAILBOX),
            ({"msexchrecipienttypedetails": "2147483648"}, None),
            ({"msexchrecipienttypedetails": "1"}, None),
            ({"msexchrecipienttypedetails": "4096\u00b2"}, None),
            ({"employeetype": "Robot"}, scope.EXCLUDED_ATTRIBUTE),
            ({"employeetype": "person,ROBOT"}, scope.EXCLUDED_ATTRIBUTE),
        ],
    )
    def test_objects(self, attributes: dict[str, str], reason: str | None) -> None:
        """System objects, service accounts and filtered ones stay out."""
        limits = Scope(exclude_attribute={"employeeType": "robot"})
        assert scope.object_left_out(f"CN=alice,OU=People,{ROOT}", user(**attributes), limits, ROOT) == reason

    @pytest.mark.parametrize(
        ("dn", "reason"),
        [
            (f"CN=a,OU=Sales,{ROOT}", None),
            (f"cn=a,ou=SALES,{ROOT.lower()}", None),
            (f"CN=a, OU=Team, OU=Sales, {ROOT}", None),
            (f"CN=a,OU=Old,OU=Sales,{ROOT}", scope.EXCLUDED_OU),
            (f"CN=a,OU=Resales,{ROOT}", scope.OUTSIDE_OUS),
            (f"CN=a,OU=Sales,OU=Other,{ROOT}", scope.OUTSIDE_OUS),
            (f"CN=x\\,OU=Sales,{ROOT}", scope.OUTSIDE_OUS),
            (f"OU=Sales,{ROOT}", scope.OUTSIDE_OUS),
            (f"CN=a\\0ACNF:1,OU=Sales,{ROOT}", scope.REPLICATION_VICTIM),
            ("", scope.OUTSIDE_OUS),
        ],
    )
    def test_places(self, dn: str, reason: str | None) -> None:
        """OUs are whole names, ignore case and blanks, and an exclusion wins."""
        limits = Scope(ous=("OU=Sales",), exclude_ous=(f"OU=Old,OU=Sales,{ROOT}",))
        assert scope.place_left_out(dn, limits, ROOT) == reason

    @pytest.mark.parametrize(
        ("attributes", "reason"),
        [
            ({}, None),
            ({"useraccountcontrol": "514"}, scope.DISABLED),
            ({"useraccountcontrol": "66048"}, None),
            ({"useraccountcontrol": "-2"}, scope.DISABLED),
            ({"useraccountcontrol": "much"}, None),
            ({"useraccountcontrol": ""}, None),
            ({"objectclass": "top,person,organizationalPerson,user,inetOrgPerson"}, scope.UNSUPPORTED_CLASS),
            ({"objectclass": "top,user,computer"}, scope.UNSUPPORTED_CLASS),
            ({"objectclass": "contact"}, scope.UNSUPPORTED_CLASS),
            ({"objectclass": ""}, scope.UNSUPPORTED_CLASS),
        ],
    )
    def test_passwords(self, attributes: dict[str, str], reason: str | None) -> None:
        """Only enabled accounts of class user."""
        assert scope.password_left_out(user(**attributes)) == reason

    @given(st.text(), st.text())
    def test_any_text(self, dn: str, ou: str) -> None:
        """No text makes the rules fail, and an object is below what its DN is made of."""
        scope.place_left_out(dn, Scope(ous=(ou,)), ROOT)
        assert scope.normal(scope.normal(dn)) == scope.normal(dn) or "=" in dn or "," in dn


def texts(current: bool = False) -> EventTexts:
    connector = Connector("contoso.example", "contoso.example", "guid-1", "MSOL", "secret", ("dc1",))
    return EventTexts(BUILD_CURRENT if current else BUILD_2017, [connector])


def change(number: int = 1, domain: str = "contoso.example", dn: str = "CN=a") -> Change:
    return Change(f"anchor{number}", dn, domain, 13_128_771_723)


class TestEvents:
    def test_requests_and_results(self) -> None:
        """One line per user, in the product's form, and the forest at the end of the results."""
        (request,) = texts().requests(NOW, [change()])
        assert (
            request.text == "Password Change Request - Anchor : anchor1, Dn : CN=a, Change Date : 01/13/2017 09:02:03"
        )
        (result,) = texts().results(NOW, [change(1), change(2)], [None, "why"])
        assert result.text == (
            "Password Change Result - Anchor : anchor1, Dn : CN=a, Result : Success.\n"
            "Password Change Result - Anchor : anchor2, Dn : CN=a, Result : failed, Extended Error : why\n"
            "<forest-info><partition-name>contoso.example</partition-name><connector-id>guid-1</connector-id>"
            "</forest-info>"
        )
        (result,) = texts(current=True).results(NOW, [change()], [""])
        assert "Dn : CN=a, PwdChangeOnLogon=False, Result : Failed." in result.text
        assert result.users == ("anchor1",)

    @given(st.lists(st.integers(1, 3000), max_size=60))
    def test_split(self, lengths: list[int]) -> None:
        """Long lists become several events, none too long, with every user once and in order."""
        batch = [change(number, dn="x" * length) for number, length in enumerate(lengths)]
        events = list(texts(current=True).results(NOW, batch, [None] * len(batch)))
        assert [anchor for event in events for anchor in event.users] == [item.anchor for item in batch]
        assert all(len(event.text) <= TEXT_MAX for event in events)

    def test_two_domains(self) -> None:
        """A batch over two domains names none as its own."""
        event = texts().batch_failed(NOW, "chain", [change(1), change(2, "other.example")])
        assert event.domain is None
        assert texts().items_failed(NOW, [change()]).domain == "contoso.example"

    @given(st.integers())
    def test_any_change_date(self, changed: int) -> None:
        """Times beyond Python's are shown as its last one."""
        if changed >= 0:
            assert len(change_date(changed)) == 19

    def test_words_of_builds(self) -> None:
        """2017 speaks of password synchronization, later builds of password hash synchronization."""
        assert texts().full_sync_completed(NOW, "d").text == "Full password synchronization completed for domain: d"
        assert texts(True).full_sync_completed(NOW, "d", "f").text == (
            "Full password hash synchronization completed for forest: f"
        )

    def test_object_events(self) -> None:
        """Object events are of source ADSync, and never too long."""
        event = engine_events.export_failed(NOW, "why", ["a"] * 9, ["CN=" + "x" * 9000] * 9)
        assert (event.source, event.level, len(event.text) <= TEXT_MAX) == ("ADSync", "error", True)

    def test_chains(self) -> None:
        """Chains name the code and Windows' text; unknown ones name what they know."""
        assert "RPC Error 1722 : The RPC server is unavailable." in read_chain("d", ReplicationError(1722))
        assert "RPC Error 4711 : odd" in read_chain("d", ReplicationError(4711, "odd"))
        assert "AADSTS50126" in tenant_chain(TokenError("AADSTS50126: no"))


SCHEMA_1 = """
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE domains (name TEXT PRIMARY KEY, password_sync INTEGER NOT NULL, full TEXT NOT NULL,
    imported INTEGER NOT NULL, import_cookie BLOB, import_attributes TEXT NOT NULL,
    replication_cookie BLOB) WITHOUT ROWID;
CREATE TABLE objects (anchor TEXT PRIMARY KEY, domain TEXT NOT NULL, dn TEXT NOT NULL, left_out TEXT,
    password_left_out TEXT, wanted BLOB, exported BLOB, attributes TEXT NOT NULL);
CREATE TABLE passwords (row INTEGER PRIMARY KEY, anchor TEXT NOT NULL, domain TEXT NOT NULL, dn TEXT NOT NULL,
    version INTEGER, changed INTEGER, usn INTEGER, forced INTEGER NOT NULL, due INTEGER NOT NULL,
    temporary INTEGER NOT NULL, attempted_version INTEGER, attempted_changed INTEGER, applied_version INTEGER,
    applied_changed INTEGER, status TEXT NOT NULL);
PRAGMA user_version = 1;
"""
"""A database as the first release wrote it."""


def database(folder: Path) -> StorePort:
    return StorePort(str(folder / "agent.db"))


class TestStore:
    def test_round_trip(self, tmp_path: Path) -> None:
        """What was committed is there in the next process; hashes are not."""
        store = Store(database(tmp_path))
        state = store.state
        domain = DomainState("d", True, "running", True, b"1", "a,b", b"2")
        state.domains["d"] = domain
        state.touch_domain(domain)
        record = ObjectState("o", "d", "CN=ö", None, "disabled", b"w", b"")
        state.touch_object(record, {"sn": ["Müller", "\U0001f600"]})
        stamp, sent = Stamp(1, 2, b"i" * 16, 3), (1, 2, b"a" * 16)
        password = PasswordState("p", "d", "CN=p", stamp, True, True, True, sent, (0, 1, b""), "Error", b"n" * 16)
        state.touch_password(password)
        state.set("name", "value")
        store.commit()
        store.close()
        assert b"n" * 16 not in (tmp_path / "agent.db").read_bytes()
        again = Store(database(tmp_path))
        assert again.state.domains == {"d": domain}
        assert again.state.objects == {"o": record}
        assert list(again.state.outbound) == ["o"]
        password.nt = None
        assert again.state.passwords == {"p": password}
        assert list(again.state.waiting) == ["p"]
        assert again.state.settings == {"name": "value"}
        assert again.attributes("o") == {"sn": ["Müller", "\U0001f600"]}
        assert again.attributes("unknown") == {}
        again.state.drop_password("p")
        again.state.drop_object("o")
        again.commit()
        again.close()
        last = Store(database(tmp_path))
        assert (last.state.passwords, last.state.objects) == ({}, {})
        last.close()

    def test_many_rows(self, tmp_path: Path) -> None:
        """Thousands of rows go in one transaction."""
        store = Store(database(tmp_path))
        for number in range(2050):
            store.state.touch_password(PasswordState(f"p{number}", "d", "CN=p", Stamp(1, 2, b"i" * 16, number)))
        store.commit()
        store.close()
        again = Store(database(tmp_path))
        assert [state.pending.usn for state in again.state.passwords.values() if state.pending] == list(range(2050))
        again.close()

    def test_version_1(self, tmp_path: Path) -> None:
        """A database of the first schema is taken over: its changes have no author, and lie below any that has one."""
        connection = sqlite3.connect(tmp_path / "agent.db")
        connection.executescript(SCHEMA_1)
        rows = [
            (1, "p", "d", "CN=p", 2, 7, 99, 0, 0, 0, 2, 7, 1, 5, "Error"),
            (2, "q", "d", "CN=q", None, None, None, 0, 0, 0, None, None, None, None, "none"),
        ]
        connection.executemany(f"INSERT INTO passwords VALUES ({','.join('?' * 15)})", rows)
        connection.execute("INSERT INTO domains VALUES ('d', 1, '', 1, NULL, '', x'0102')")
        connection.commit()
        connection.close()
        for _ in range(2):  # the second time it is of the new schema
            store = Store(database(tmp_path))
            first, second = store.state.passwords["p"], store.state.passwords["q"]
            assert (first.pending, first.attempted, first.applied) == (Stamp(2, 7, b"", 99), (2, 7, b""), (1, 5, b""))
            assert (second.pending, second.attempted, second.applied) == (None, None, None)
            assert first.attempted < Stamp(2, 7, bytes(16), 1).sent
            assert store.state.domains["d"].replication_cookie == b"\x01\x02"
            store.state.touch_password(second)
            store.commit()
            store.close()

    def test_nothing_to_commit(self, tmp_path: Path) -> None:
        """A commit without changes does not reach the port."""
        seen: list[int] = []
        store = Store(StorePort(str(tmp_path / "agent.db"), lambda perform: seen.append(1)))
        store.commit()
        assert seen == []
        store.close()

    def test_in_memory(self) -> None:
        """A shared database in memory lives as long as somebody holds it."""
        uri = "file:agent-test?mode=memory&cache=shared"
        keeper = sqlite3.connect(uri, uri=True)
        store = Store(StorePort(uri))
        store.state.set("name", "value")
        store.commit()
        store.close()
        again = Store(StorePort(uri))
        assert again.state.settings == {"name": "value"}
        again.close()
        keeper.close()

    @pytest.mark.parametrize("content", [b"not a database" * 100, b"SQLite format 3\0" + bytes(2000)])
    def test_damaged(self, tmp_path: Path, content: bytes) -> None:
        """A damaged file is an error that says what to do."""
        (tmp_path / "agent.db").write_bytes(content)
        with pytest.raises(StoreError, match=r"Move the file away|not the agent's"):
            Store(database(tmp_path))

    @pytest.mark.parametrize(
        ("script", "words"),
        [
            ("PRAGMA user_version = 99", "newer agent"),
            ("CREATE TABLE other (x)", "not the agent's"),
            ("PRAGMA user_version = 1", "damaged"),
        ],
    )
    def test_foreign(self, tmp_path: Path, script: str, words: str) -> None:
        """A newer schema, somebody else's database and missing tables are told apart."""
        connection = sqlite3.connect(tmp_path / "agent.db")
        connection.executescript(script)
        connection.close()
        with pytest.raises(StoreError, match=words):
            Store(database(tmp_path))

    def test_no_such_folder(self, tmp_path: Path) -> None:
        """A path that can't be opened is an error."""
        with pytest.raises(StoreError, match="can't be opened"):
            Store(StorePort(str(tmp_path / "missing" / "agent.db")))

    def test_commit_within_a_commit(self, tmp_path: Path) -> None:
        """What is touched while a commit is under way goes with the next one."""
        holder: list[Any] = []

        def nested(perform: Any) -> None:
            holder[0].state.set("inner", "1")
            holder[0].commit()
            perform()

        store = Store(StorePort(str(tmp_path / "agent.db"), nested))
        holder.append(store)
        store.state.set("outer", "1")
        store.commit()
        assert store.state.touched
        store.close()
        again = Store(database(tmp_path))
        assert again.state.settings == {"outer": "1"}
        again.close()
