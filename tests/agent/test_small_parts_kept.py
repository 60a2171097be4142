"""What the agent keeps, value by value: its state, the database and its troubles, Windows' log."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from pwsync import store_file
from pwsync.errors import StoreError
from pwsync.event_log import Event
from pwsync.object_log import Attempt
from pwsync.ports import StorePort
from pwsync.stamp import Stamp
from pwsync.state import UNCONFIRMED, DomainState, ObjectState, PasswordState, State, Touched
from pwsync.store import Store
from pwsync.windows_log import RECORD_SIZE, STRING_MAX, Record, WindowsLog, instant, kept, records, units

NOW = datetime(2017, 1, 13, 9, tzinfo=UTC)


class TestState:
    def test_objects(self) -> None:
        """An object is outbound as long as the tenant does not have what it should."""
        state, record = State(), ObjectState("a", "d", "CN=a", wanted=b"w", exported=UNCONFIRMED)
        state.touch_object(record, {"sn": ["Müller"], "b": []})
        assert (state.outbound, state.attributes) == ({"a": record}, {"a": '{"sn":["Müller"],"b":[]}'})
        assert (record.confirmed, record.settled, record.password_wanted) == (False, False, True)
        record.exported = b""
        assert (record.confirmed, record.settled) == (True, False)
        record.exported = b"w"
        state.touch_object(record)
        assert (state.outbound, record.settled) == ({}, True)
        state.touch_object(record)
        state.refused.add("a")
        record.exported = None
        state.touch_object(record)
        assert (record.confirmed, list(state.outbound)) == (False, ["a"])
        state.touched.objects.clear()
        state.drop_object("a")
        assert (state.objects, state.outbound, state.refused, state.attributes) == ({}, {}, set(), {})
        assert state.touched.objects == {"a": None}
        state.drop_object("b")
        assert not ObjectState("a", "d", "CN=a", left_out="x").password_wanted
        assert not ObjectState("a", "d", "CN=a", password_left_out="x").password_wanted

    def test_passwords(self) -> None:
        """A password waits while it is pending or due, and is forgotten once dropped."""
        state, one = State(), PasswordState("a", "d", "CN=a", due=True)
        state.touch_password(one)
        assert (state.waiting, one.waits) == ({"a": one}, True)
        one.due, one.pending = False, Stamp(1, 7, b"", 3)
        state.touch_password(one)
        assert (state.waiting, one.waits) == ({"a": one}, True)
        state.note_attempt(one, NOW)
        state.note_attempt(one, NOW, 5)
        one.nt, one.forced, one.due = b"n", True, True
        one.leave_out("gone")
        assert one == PasswordState("a", "d", "CN=a", attempted=(1, 7, b""), status="gone")
        state.note_attempt(one, NOW)
        assert state.touched.attempts == [
            Attempt(NOW, "a", 7, "none"), Attempt(NOW, "a", 5, "none"), Attempt(NOW, "a", None, "gone")
        ]  # fmt: skip
        state.touch_password(one)
        assert (state.waiting, one.waits) == ({}, False)
        one.due = True
        state.touch_password(one)
        state.touched.passwords.clear()
        state.drop_password("b")
        assert state.touched.passwords == {}
        state.drop_password("a")
        assert (state.passwords, state.waiting, state.touched.passwords) == ({}, {}, {"a": None})
        assert "nt" not in repr(one)

    def test_domains_and_settings(self) -> None:
        """What is met for the first time, or changes, is touched; what does not change is not."""
        state = State()
        found = state.domain("d")
        assert (found, state.touched.domains) == (DomainState("d"), {"d": None})
        state.set("k", "v")
        assert (state.settings, state.touched.settings) == ({"k": "v"}, {"k": None})
        state.touched = Touched()
        assert state.domain("d") is found
        state.set("k", "v")
        assert not state.touched
        state.touch_domain(found)
        assert state.touched.domains == {"d": None}
        other = DomainState("e", True, "ordered", True, b"1", "a", b"2")
        found.take(other)
        assert (found, found is other) == (other, False)

    def test_touched(self) -> None:
        """Two commits' worth follow each other in order; anything at all counts as touched."""
        first, second = Touched(), Touched()
        for number, part in enumerate((first, second)):
            for names in (part.settings, part.domains, part.objects, part.passwords):
                names[f"n{number}"] = None
            part.attempts.append(Attempt(NOW, "a", number, "x"))
        both = first.followed_by(second)
        for names in (both.settings, both.domains, both.objects, both.passwords):
            assert list(names) == ["n0", "n1"]
        assert [each.changed for each in both.attempts] == [0, 1]
        assert not Touched()
        for name in ("settings", "domains", "objects", "passwords"):
            touched = Touched()
            getattr(touched, name)["x"] = None
            assert touched
        touched = Touched()
        touched.attempts += both.attempts
        assert touched


def broken(code: int | None) -> sqlite3.Error:
    error = sqlite3.OperationalError("why")
    if code is not None:
        error.sqlite_errorcode = code
    return error


WAY_OUT = "Move the file away and start again: the agent then synchronizes everything anew."


class TestStoreFile:
    @pytest.mark.parametrize(
        ("code", "text"),
        [
            (sqlite3.SQLITE_FULL,
             "Make room on the disk; nothing that was committed is lost, and the agent goes on by itself."),
            (sqlite3.SQLITE_READONLY, "Let the agent's account write the file and its folder."),
            (sqlite3.SQLITE_PERM, "Let the agent's account write the file and its folder."),
            (sqlite3.SQLITE_CANTOPEN, "Look whether the folder is there and the agent's account may write in it."),
            (sqlite3.SQLITE_BUSY, "Another program holds it: end that, and start the agent again."),
            (sqlite3.SQLITE_LOCKED, "Another program holds it: end that, and start the agent again."),
            (sqlite3.SQLITE_IOERR_READ, "Look after the disk; nothing that was committed is lost."),
            (sqlite3.SQLITE_CORRUPT, WAY_OUT), (sqlite3.SQLITE_NOTADB, WAY_OUT), (sqlite3.SQLITE_MISMATCH, WAY_OUT),
            (None, WAY_OUT),
        ],
    )  # fmt: skip
    def test_remedies(self, code: int | None, text: str) -> None:
        """For each of SQLite's errors there is something to do; extended codes count as their own."""
        assert store_file.remedy(broken(code)) == text
        known = code is not None and code != sqlite3.SQLITE_MISMATCH
        assert store_file.remedy(broken(code), "other") == (text if known else "other")
        assert store_file.is_locked(broken(code)) is (code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED))

    def test_extended_codes(self) -> None:
        """An extended code counts as the one that it belongs to."""
        assert store_file.is_locked(broken(sqlite3.SQLITE_BUSY_SNAPSHOT))
        assert not store_file.is_locked(broken(0x100))

    def test_words(self, tmp_path: Path) -> None:
        """Who may not have the file is told why, under the name that the file is known by."""
        path = tmp_path / "agent.db"
        with closing(Store(StorePort(str(path), name="THE-DB"))):
            with pytest.raises(StoreError) as caught:
                Store(StorePort(str(path), name="THE-DB"))
            assert str(caught.value) == (
                "The database THE-DB is in use by another agent. Stop that one first, or give this one a database of "
                "its own."
            )
        with pytest.raises(StoreError) as caught:
            Store(StorePort(str(tmp_path / "no" / "agent.db"), name="THE-DB"))
        assert str(caught.value) == (
            "The database THE-DB can't be opened: unable to open database file. Look whether the folder is there and "
            "the agent's account may write in it."
        )
        lock = path.with_name("agent.db.lock")
        lock.unlink(missing_ok=True)
        lock.write_bytes(b"no database at all, however long it is" * 99)
        with pytest.raises(StoreError) as caught:
            Store(StorePort(str(path), name="THE-DB"))
        assert str(caught.value) == f"The database THE-DB can't be opened: file is not a database. {WAY_OUT}"

    def test_words_of_the_store(self, tmp_path: Path) -> None:
        """A database that is another program's, a newer agent's or no database is told as that."""
        path = tmp_path / "agent.db"
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript("CREATE TABLE x (y)")
        for statement, text in (
            ("SELECT 1", "is not the agent's. Choose another path."),
            ("PRAGMA user_version = 4",
             "was written by a newer agent (schema 4, known here: 3). Use that agent's version or a later one. "
             + WAY_OUT),
        ):  # fmt: skip
            with closing(sqlite3.connect(path)) as connection:
                connection.execute(statement)
            with pytest.raises(StoreError) as caught:
                Store(StorePort(str(path), name="THE-DB"))
            assert str(caught.value) == f"The database THE-DB {text}"
        path.write_bytes(b"no database at all, however long it is" * 99)
        with pytest.raises(StoreError) as caught:
            Store(StorePort(str(path)))
        assert str(caught.value) == f"The database {path} is damaged: file is not a database. {WAY_OUT}"

    @pytest.mark.parametrize(
        ("error", "text", "locked"),
        [
            (broken(sqlite3.SQLITE_BUSY), "why. Another program holds it: end that, and start the agent again.", True),
            (broken(sqlite3.SQLITE_MISMATCH), "why", False),
            (OSError(28, "No space left on device"), "[Errno 28] No space left on device", False),
        ],
    )
    def test_commit_fails(self, tmp_path: Path, error: Exception, text: str, locked: bool) -> None:
        """A commit that fails says why and what to do, keeps what was touched, and is whole the next time."""
        failing = True

        def perform(commit: Any) -> None:
            if failing:
                raise error
            commit()

        port = StorePort(str(tmp_path / "agent.db"), perform, "THE-DB")
        with closing(Store(port)) as store:
            store.state.touch_object(ObjectState("o", "d", "CN=o"), {"sn": ["x"]})
            store.state.set("k", "v")
            with pytest.raises(StoreError) as caught:
                store.commit()
            assert (str(caught.value), caught.value.locked) == (
                f"The database THE-DB could not be written: {text}", locked
            )  # fmt: skip
            assert (store.state.touched.objects, store.state.touched.settings) == ({"o": None}, {"k": None})
            assert store.attributes("o") == {"sn": ["x"]}
            failing = False
            store.commit()
            assert (bool(store.state.touched), store.state.attributes) == (False, {})
            assert store.attributes("o") == {"sn": ["x"]}
            assert store.attributes("p") == {}

    def test_forget(self, tmp_path: Path) -> None:
        """Forgetting goes back to the last commit for what was touched, and leaves the rest."""
        with closing(Store(StorePort(str(tmp_path / "agent.db")))) as store:
            state = store.state
            domain = state.domain("d")
            domain.replication_cookie = b"1"
            for name in ("p", "q"):
                state.touch_password(
                    PasswordState(name, "d", f"CN={name}", Stamp(1, 2, b"i", 3) if name == "p" else None)
                )
            store.commit()
            domain.replication_cookie = b"2"
            state.touch_domain(domain)
            state.passwords["p"].pending = None
            state.passwords["q"].due = True
            for password in list(state.passwords.values()):
                state.touch_password(password)
            state.touch_password(PasswordState("r", "d", "CN=r", due=True))
            state.set("k", "v")
            store.forget()
            assert (domain.replication_cookie, state.domains["d"] is domain) == (b"1", True)
            assert state.passwords == {
                "p": PasswordState("p", "d", "CN=p", Stamp(1, 2, b"i", 3)), "q": PasswordState("q", "d", "CN=q")
            }  # fmt: skip
            assert list(state.waiting) == ["p"]
            touched = state.touched
            assert (touched.domains, touched.passwords, touched.settings) == ({}, {}, {"k": None})


def event(text: str = "text", **changes: Any) -> Event:
    return Event(**{"id": 650, "level": "error", "source": "so", "time": NOW, "text": text, **changes})


class TestWindowsLog:
    def test_record(self) -> None:
        """A record's size is its fixed part, and each text with its end in UTF-16."""
        record = Record(7, "abc", event("x\U0001f600", insertions=("x\U0001f600", "y")))
        assert (record.level, record.strings) == (2, ("x\U0001f600", "y"))
        assert record.size == RECORD_SIZE + 2 * (3 + 4 + 4 + 2) == 56 + 26
        assert [Record(1, "", event(level=name)).level for name in ("error", "warning", "information")] == [2, 3, 4]

    @pytest.mark.parametrize(
        ("text", "found"),
        [
            ("a\0b", "a"), ("x" * STRING_MAX, "x" * STRING_MAX), ("x" * (STRING_MAX + 1), "x" * STRING_MAX),
            ("x" * (STRING_MAX - 1) + "\U0001f600", "x" * (STRING_MAX - 1)),
            ("x" * (STRING_MAX - 2) + "\U0001f600y", "x" * (STRING_MAX - 2) + "\U0001f600"),
            ("x" * (STRING_MAX - 1) + "\ud7ffy", "x" * (STRING_MAX - 1) + "\ud7ff"),
            ("x" * (STRING_MAX - 1) + "\udc00y", "x" * (STRING_MAX - 1) + "\udc00"),
            ("x" * (STRING_MAX - 1) + "\udbffy", "x" * (STRING_MAX - 1)),
            ("x" * (STRING_MAX - 1) + "\ud800z", "x" * (STRING_MAX - 1)),
        ],
    )  # fmt: skip
    def test_kept(self, text: str, found: str) -> None:
        """A string ends at a zero, and at its largest size without half a character."""
        assert kept(text) == found

    def test_room(self) -> None:
        """A log is full to the octet; what does not fit pushes the oldest out, or is lost."""
        size = Record(1, "s", event()).size
        log = WindowsLog("s", size_max=2 * size)
        for _ in range(3):
            log.write(event())
        assert ([each.number for each in log], len(log), log.size, log.lost) == ([2, 3], 2, 2 * size, 0)
        assert log.write(event("x" * 4 * size)) is None
        assert ([each.number for each in log], log.lost) == ([2, 3], 1)
        keeping = WindowsLog("s", size_max=2 * size, overwrite=False)
        assert [getattr(keeping.write(event()), "number", None) for _ in range(4)] == [1, 2, None, None]
        assert (keeping.size, keeping.lost) == (2 * size, 2)
        endless = WindowsLog("s", size_max=None)
        for _ in range(9):
            endless.write(event("x" * 3000))
        assert (len(endless), endless.lost, endless.size) == (9, 0, 9 * Record(1, "s", event("x" * 3000)).size)
        for wrong in (0, -1):
            with pytest.raises(ValueError, match=rf"^a log has room for something, not {wrong} bytes$"):
                WindowsLog("s", size_max=wrong)
        assert WindowsLog("s", size_max=1).write(event()) is None

    def test_default(self) -> None:
        """By default a log has 20 MiB, and overwrites."""
        log = WindowsLog("s")
        assert (log._size_max, log._overwrite) == (20 * 1024 * 1024, True)
        assert records([event(), event("b")], "s") == [Record(1, "s", event()), Record(2, "s", event("b"))]
        assert units("a\uffff\U00010000") == 4

    def test_instant(self) -> None:
        """Times are UTC with seven digits."""
        east = timezone(timedelta(hours=2))
        assert instant(NOW) == instant(NOW.astimezone(east)) == "2017-01-13T09:00:00.0000000Z"
        assert instant(NOW.replace(microsecond=120)) == "2017-01-13T09:00:00.0001200Z"
