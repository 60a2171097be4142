"""The agent's database as a file: who may have it, and what becomes of it when disk or process fail."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from pwsync.errors import StoreError
from pwsync.ports import StorePort
from pwsync.stamp import Stamp
from pwsync.state import ObjectState, PasswordState
from pwsync.store import SCHEMA_VERSION, Store
from pwsync.store_file import file_behind
from pwsync.store_view import attempts, find, look

ROOT = Path(__file__).parents[2]
WHO_HOLDS = """
import sys
from pwsync.ports import StorePort
from pwsync.store import Store
store = Store(StorePort(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def at(path: Path) -> StorePort:
    return StorePort(str(path))


def filled(path: Path, users: int = 200) -> None:
    """A database with so many users, in several commits."""
    with closing(Store(at(path))) as store:
        for number in range(users):
            record = ObjectState(f"a{number}", "d", f"CN=p{number}", None, None, b"w", b"w")
            store.state.touch_object(record, {"samaccountname": [f"p{number}"], "sn": ["x" * 300]})
            store.state.touch_password(
                PasswordState(f"a{number}", "d", f"CN=p{number}", Stamp(1, 2, b"i" * 16, number))
            )
            if number % 50 == 49:
                store.state.set("last", str(number))
                store.commit()


@contextmanager
def another_process(path: Path) -> Iterator[subprocess.Popen[str]]:
    """An agent's database held by another process."""
    process = subprocess.Popen(
        [sys.executable, "-c", WHO_HOLDS, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.communicate()


class TestOneAgent:
    def test_second_is_refused(self, tmp_path: Path) -> None:
        """A database that an agent has is refused to another, with what to do; then it is free again."""
        with closing(Store(at(tmp_path / "agent.db"))):
            with pytest.raises(StoreError, match=r"in use by another agent. Stop that one first"):
                Store(at(tmp_path / "agent.db"))
            with pytest.raises(StoreError, match="in use by another agent"):
                Store(StorePort((tmp_path / "agent.db").as_uri()))
            Store(at(tmp_path / "other.db")).close()
        Store(at(tmp_path / "agent.db")).close()

    def test_lock_dies_with_its_process(self, tmp_path: Path) -> None:
        """A process that is killed leaves no lock behind."""
        path = tmp_path / "agent.db"
        with another_process(path) as process:
            with pytest.raises(StoreError, match="in use by another agent"):
                Store(at(path))
            process.send_signal(signal.SIGKILL)
            process.wait()
            Store(at(path)).close()

    def test_in_memory(self) -> None:
        """Databases in memory are nobody else's, and have no lock."""
        uri = "file:store-test?mode=memory&cache=shared"
        with closing(Store(StorePort(uri))), closing(Store(StorePort(uri))):
            assert not list(Path.cwd().glob("*.lock"))

    @pytest.mark.parametrize(
        ("path", "file"),
        [("a.db", "a.db"), ("file:a%20b.db?mode=ro", "a b.db"), ("file:///x/a.db", "/x/a.db"), ("", None),
         ("file://localhost/x/a.db#y", "/x/a.db"), (":memory:", None), ("file::memory:", None),
         ("file:a?cache=shared&mode=memory", None)],
    )  # fmt: skip
    def test_files(self, path: str, file: str | None) -> None:
        """Paths and SQLite's URIs name files, or none."""
        assert file_behind(path) == (None if file is None else Path(file))


class TestDisk:
    def test_full(self, tmp_path: Path) -> None:
        """On a full disk a commit says what to do and keeps everything for the next one, which has room again."""
        path = tmp_path / "agent.db"
        filled(path, 50)
        with closing(Store(at(path))) as store:
            connection: Any = store._connection
            (pages,) = connection.execute("PRAGMA page_count").fetchone()
            connection.execute(f"PRAGMA max_page_count = {pages}")
            store.state.touch_object(ObjectState("b", "d", "CN=b"), {"sn": ["y" * 20_000]})
            for _ in range(2):
                with pytest.raises(StoreError, match=r"database or disk is full. Make room on the disk"):
                    store.commit()
            assert "b" in store.state.touched.objects
            connection.execute("PRAGMA max_page_count = 1000000")
            store.commit()
        with closing(Store(at(path))) as store:
            assert store.attributes("b") == {"sn": ["y" * 20_000]}

    def test_no_room_for_a_file(self, tmp_path: Path) -> None:
        """A file that the system will not let grow is told as well, and what was committed is still there."""
        path = tmp_path / "agent.db"
        filled(path, 50)
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        with closing(Store(at(path))) as store:
            store.state.touch_object(ObjectState("b", "d", "CN=b"), {"sn": ["y" * 200_000]})
            resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
            try:
                with pytest.raises(StoreError, match="could not be written"):
                    store.commit()
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, before)
            store.commit()
        with closing(Store(at(path))) as store:
            assert len(store.state.objects) == 51

    def test_read_only(self, tmp_path: Path) -> None:
        """A database that can't be written is refused at the start, with what to do."""
        path = tmp_path / "agent.db"
        filled(path, 1)
        with pytest.raises(StoreError, match=r"can't be used: attempt to write a readonly.*Let the agent's account"):
            Store(StorePort(f"{path.as_uri()}?mode=ro"))

    def test_no_folder(self, tmp_path: Path) -> None:
        """A folder that is not there is told, and nothing is made."""
        with pytest.raises(StoreError, match=r"can't be opened.*Look whether the folder is there"):
            Store(at(tmp_path / "no" / "agent.db"))
        assert list(tmp_path.iterdir()) == []

    def test_a_folder(self, tmp_path: Path) -> None:
        """A folder in the file's place is an error like any other."""
        with pytest.raises(StoreError, match="can't be opened"):
            Store(at(tmp_path))


class TestDamage:
    def test_cut_off(self, tmp_path: Path) -> None:
        """A file that ends too early is damaged, wherever it ends, and the error says what to do."""
        whole = tmp_path / "whole.db"
        filled(whole)
        octets = whole.read_bytes()
        for part in (0.1, 0.5, 0.9, 0.99):
            path = tmp_path / "agent.db"
            path.write_bytes(octets[: int(len(octets) * part)])
            with pytest.raises(StoreError, match=r"is damaged.*Move the file away and start again"):
                Store(at(path))
        path.unlink()
        Store(at(path)).close()  # the way out

    def test_half_written(self, tmp_path: Path) -> None:
        """Of a write-ahead log that was cut off, whole commits count and the rest does not."""
        source = tmp_path / "source.db"
        with closing(Store(at(source))) as store:
            for number in range(40):
                store.state.set("last", str(number))
                store.state.set(f"text{number}", "x" * 500)
                store.commit()
            main, log = source.read_bytes(), source.with_name("source.db-wal").read_bytes()
        random, seen = Random(1), set()
        for number in range(30):
            path = tmp_path / f"cut{number}.db"
            path.write_bytes(main)
            path.with_name(f"{path.name}-wal").write_bytes(log[: random.randrange(len(log))])
            with closing(Store(at(path))) as store:
                settings = store.state.settings
                if settings:
                    last = int(settings["last"])
                    assert set(settings) == {"last", *(f"text{each}" for each in range(last + 1))}
                    seen.add(last)
        assert len(seen) > 5

    def test_bent_octets(self, tmp_path: Path) -> None:
        """A file with wrong octets somewhere is read, or refused as damaged; there is no third way."""
        whole = tmp_path / "whole.db"
        filled(whole, 60)
        octets, random, told = whole.read_bytes(), Random(2), list[str]()
        for number in range(120):
            bent = bytearray(octets)
            for _ in range(random.choice((1, 20))):
                bent[random.randrange(len(bent))] = random.randrange(256)
            path = tmp_path / "agent.db"
            for old in tmp_path.glob("agent.db*"):
                old.unlink()
            path.write_bytes(bytes(bent))
            try:
                with closing(Store(at(path))) as store:
                    store.state.set("number", str(number))
                    store.commit()
                    store.attributes("a7")
            except StoreError as error:
                told.append(str(error))
        assert len(told) > 10
        assert all(str(path) in each for each in told)

    def test_damaged_while_it_is_open(self, tmp_path: Path) -> None:
        """Damage that comes later is an error of the database when it is met, not one of Python's."""
        path = tmp_path / "agent.db"
        filled(path)
        with closing(Store(at(path))) as store:
            octets = bytearray(path.read_bytes())
            octets[4096:] = os.urandom(len(octets) - 4096)
            path.write_bytes(bytes(octets))
            connection: Any = store._connection
            connection.execute("PRAGMA shrink_memory")
            with pytest.raises(StoreError, match="is damaged"):
                store.attributes("a0")


class TestSchemas:
    def test_newer(self, tmp_path: Path) -> None:
        """A newer agent's database is left as it is."""
        path = tmp_path / "agent.db"
        filled(path, 1)
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
        before = path.read_bytes()
        with pytest.raises(StoreError, match=r"written by a newer agent.*Use that agent's version"):
            Store(at(path))
        assert path.read_bytes() == before

    def test_taking_over_is_all_or_nothing(self, tmp_path: Path) -> None:
        """An older database that can't be taken over whole stays as it was."""
        path = tmp_path / "agent.db"
        filled(path, 1)
        with closing(sqlite3.connect(path)) as connection:  # the second schema, but one of its parts is there already
            connection.execute("PRAGMA user_version = 2")
        with pytest.raises(StoreError, match="is damaged: table attempts already exists"):
            Store(at(path))
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript("DROP TABLE attempts")
        with closing(Store(at(path))) as store:
            assert len(store.state.objects) == 0 or list(store.state.objects) == ["a0"]


class TestFromOutside:
    def test_beside_the_agent(self, tmp_path: Path) -> None:
        """What was committed can be looked at while an agent has the database."""
        path = tmp_path / "agent.db"
        filled(path, 100)
        with closing(Store(at(path))):
            view = look(path)
            assert [(each.name, each.objects) for each in view.domains] == []
            assert view.pending[:2] == ["CN=p0", "CN=p1"]
            assert view.statuses == {"none": 100}
            assert find(path, "P7").anchor == find(path, "cn=p7").anchor == find(path, "a7").anchor == "a7"
            assert attempts(path, "a7", None) == []

    def test_nobody(self, tmp_path: Path) -> None:
        """Somebody unknown, a name of several, and a database that is none are told apart."""
        path = tmp_path / "agent.db"
        filled(path, 50)
        with pytest.raises(StoreError, match="knows nobody called"):
            find(path, "zoe")
        with closing(Store(at(path))) as store:
            store.state.touch_object(ObjectState("z", "d", "CN=z"), {"displayname": ["p7"]})
            store.commit()
        with pytest.raises(StoreError, match="Several objects are called"):
            find(path, "p7")
        with pytest.raises(StoreError, match="no agent has run"):
            look(tmp_path / "nothing.db")
        shutil.copy(__file__, tmp_path / "text.db")
        with pytest.raises(StoreError, match="can't be read"):
            look(tmp_path / "text.db")
