"""The object log: each attempt with a user's password, its result, for seven days."""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pwsync.errors import ServiceFault, StoreError
from pwsync.object_log import KEPT, MEANINGS, TABLE, Attempt, ObjectLog, as_json, as_text
from pwsync.ports import StorePort
from pwsync.settings import Scope
from pwsync.state import PasswordState
from pwsync.store import Store

NOW = datetime(2017, 1, 13, 9, tzinfo=UTC)
CHANGED = 13_128_771_723


def results(lab: Any, agent: Any, name: str) -> list[str]:
    return [attempt.result for attempt in agent.object_log(lab.anchor(name))]


class TestStates:
    def test_success(self, lab: Any) -> None:
        """A password that was taken is told of with the time of the attempt and of the change."""
        lab.domain.add("alice")
        agent = lab.settled()
        lab.now += timedelta(seconds=30)
        lab.domain.set_password("alice", "Spring-2017!")
        lab.run(agent)
        last = agent.object_log(lab.anchor("alice"))[-1]
        assert last.result == "Success"
        assert last.time == NOW + timedelta(minutes=2)
        assert '"changed": "2017-01-13T09:00:30+00:00"' in as_json([last])

    def test_each_attempt(self, lab: Any) -> None:
        """Failures stand there attempt by attempt, in their order."""
        lab.domain.add("alice")
        agent = lab.settled()
        lab.tenant.failures += [
            ("credentials", ServiceFault("off", code=90)),
            ("credentials", ServiceFault("busy", code=81)),
        ]
        lab.domain.set_password("alice", "Spring-2017!")
        lab.run(agent, 4)
        lab.tenant.results[lab.anchor("alice")] = 9
        lab.run(agent, 2)
        lab.tenant.results.clear()
        lab.run(agent, 2)
        assert results(lab, agent, "alice") == ["Success", "Unknown", "RetryRequestedByTarget", "Error", "Success"]
        times = [attempt.time for attempt in agent.object_log(lab.anchor("alice"))]
        assert times == sorted(times)

    def test_not_exported(self, lab: Any) -> None:
        """A user who waits for the export is told of once, not in every cycle."""
        agent = lab.settled()
        lab.domain.add("alice")
        lab.run(agent, 6)
        assert results(lab, agent, "alice") == ["TargetNotExportedToDirectory"]
        lab.run(agent, 30)
        assert results(lab, agent, "alice") == ["TargetNotExportedToDirectory", "Success"]

    def test_temporary(self, lab: Any) -> None:
        """A temporary password is filtered, and the log says whose change it was."""
        lab.domain.add("alice")
        agent = lab.settled()
        lab.domain.set_password("alice", "Temporary-1!", must_change=True)
        lab.run(agent)
        attempt = agent.object_log(lab.anchor("alice"))[-1]
        assert (attempt.result, attempt.changed) == ("FilteredByTarget", lab.domain.people["alice"].changed)

    def test_out_of_scope(self, lab: Any) -> None:
        """A password of somebody out of scope has no source."""
        lab.settings.scope = Scope(exclude_ous=("OU=Old",))
        lab.domain.add("alice", ou="OU=Old")
        lab.domain.add("ines", inet="yes")
        agent = lab.settled()
        assert results(lab, agent, "alice") == results(lab, agent, "ines") == ["SourceConnectorNotPresent"]

    def test_none(self, lab: Any) -> None:
        """An empty log means that the password was never read."""
        agent = lab.settled()
        assert agent.object_log("nobody") == []
        assert "not read from the directory" in as_text([])

    def test_all_words_have_a_meaning(self) -> None:
        """The ten states of the product's documentation are all told in words."""
        assert len(MEANINGS) == 10


class TestKeeping:
    def test_seven_days(self, lab: Any) -> None:
        """What is older than seven days is no longer shown."""
        lab.domain.add("alice")
        agent = lab.settled()
        lab.now += KEPT
        assert results(lab, agent, "alice") == ["Success"]
        lab.now += timedelta(microseconds=1)
        assert results(lab, agent, "alice") == []

    def test_let_go(self, lab: Any) -> None:
        """What is no longer shown goes out of the database too, a day later at most."""
        lab.domain.add("alice")
        agent = lab.settled()
        lab.run(agent, 8 * 24 * 60 + 1)
        lab.domain.set_password("alice", "Spring-2017!")
        lab.run(agent)
        connection = sqlite3.connect(lab.folder / "agent.db")
        assert connection.execute("SELECT count(*) FROM attempts").fetchone() == (1,)
        connection.close()

    def test_outlives_the_process(self, lab: Any) -> None:
        """The log is in the database."""
        lab.domain.add("alice")
        agent = lab.reborn(lab.settled())
        assert results(lab, agent, "alice") == ["Success"]

    def test_rolled_back(self, lab: Any) -> None:
        """What could not be committed is shown all the same, and written once."""
        lab.domain.add("alice")
        agent = lab.settled()

        def fail(number: int) -> None:
            if number == 2:
                raise sqlite3.OperationalError("disk I/O error")

        lab.on_commit = fail
        lab.domain.set_password("alice", "Spring-2017!")
        lab.run(agent)
        assert lab.ids(665) == [665]
        assert results(lab, agent, "alice") == ["Success", "Success"]
        lab.on_commit = lambda number: None
        lab.domain.set_password("alice", "Summer-2017!")
        lab.run(agent)
        assert results(lab, lab.reborn(agent), "alice") == ["Success"] * 3

    def test_holds_no_hash(self, lab: Any) -> None:
        """Neither the database nor the log has anything of the password."""
        lab.domain.add("alice")
        agent = lab.settled()
        secret = lab.domain.people["alice"].secret
        told = as_json(agent.object_log(lab.anchor("alice"))) + as_text(agent.object_log(lab.anchor("alice")))
        assert secret.hex() not in told.lower()
        assert not any(secret in path.read_bytes() for path in lab.folder.iterdir())

    def test_from_schema_2(self, lab: Any) -> None:
        """A database without a log gets one, and keeps what it has."""
        port = StorePort(str(lab.folder / "old.db"))
        store = Store(port)
        store.state.touch_password(PasswordState("a", "d", "CN=a", status="Success"))
        store.commit()
        store.close()
        connection = sqlite3.connect(port.path)
        connection.executescript("DROP TABLE attempts; PRAGMA user_version = 2;")
        connection.close()
        store = Store(port)
        assert store.state.passwords["a"].status == "Success"
        assert store.attempts("a", NOW) == []
        store.close()

    def test_damaged(self, lab: Any) -> None:
        """A database whose log is not one is damaged."""
        port = StorePort(str(lab.folder / "old.db"))
        Store(port).close()
        connection = sqlite3.connect(port.path)
        connection.executescript("PRAGMA user_version = 2;")
        connection.close()
        with pytest.raises(StoreError, match="damaged"):
            Store(port)


@given(st.lists(st.tuples(st.integers(0, 20 * 86_400), st.sampled_from("ab")), max_size=300), st.integers(0, 86_400))
def test_any_history(history: list[tuple[int, str]], later: int) -> None:
    """Whatever was written: what is read is what came in the last seven days, in its order."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.executescript(TABLE)
    log = ObjectLog(connection)
    written = [Attempt(NOW + timedelta(seconds=at), anchor, CHANGED, "Success") for at, anchor in sorted(history)]
    for start in range(0, len(written), 7):
        log.write(written[start : start + 7])
    now = (written[-1].time if written else NOW) + timedelta(seconds=later)
    assert log.read("a", now) == [each for each in written if each.anchor == "a" and now - each.time <= KEPT]
    connection.close()


def test_text() -> None:
    """One line per attempt, with what the result means."""
    text = as_text([Attempt(NOW, "a", CHANGED, "Success"), Attempt(NOW, "a", None, "FilteredByTarget")])
    head, first, second = text.splitlines()
    assert head.split() == ["Time", "(UTC)", "Changed", "(UTC)", "Result"]
    assert first.startswith("2017-01-13 09:00:00  2017-01-13 09:02:03  Success ")
    assert second.split()[2:4] == ["-", "FilteredByTarget"]


def test_json() -> None:
    """The same as JSON."""
    assert json.loads(as_json([Attempt(NOW, "a", None, "Unknown")])) == [
        {"time": "2017-01-13T09:00:00+00:00", "changed": None, "result": "Unknown"}
    ]
