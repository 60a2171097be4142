"""The event log: what the agent writes beside its batches, the log that Windows keeps, and its files."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pwsync.agent import SyncAgent
from pwsync.errors import Refused, ServiceFault, StoreError, TokenError
from pwsync.event_export import NAMESPACE, to_csv, to_json, to_xml
from pwsync.event_log import PASSWORD_SOURCE, TEXT_MAX, Change, Event, EventTexts, listed
from pwsync.ports import StorePort
from pwsync.settings import BUILD_2017, BUILD_CURRENT
from pwsync.windows_log import STRING_MAX, Record, WindowsLog, instant, kept, records, units

NOW = datetime(2017, 1, 13, 9, 0, 1, 250_000, tzinfo=UTC)
SERVER = "SYNC01.contoso.example"
RIGHT_TO_LEFT = "CN=\u05d0\u05dc\u05d9\u05e1 \u202e<b>&\"'\U0001f600,DC=example"
TEXTS = st.text(st.characters(codec=None), max_size=40)
XML_CHARACTERS = st.characters(
    exclude_categories=["Cs"], exclude_characters=[*map(chr, range(32)), "\ufffe", "\uffff"]
) | st.sampled_from("\t\n\r&<>'\"")


def event(text: str = "text", identifier: int = 650, level: str = "information", **more: Any) -> Event:
    return Event(identifier, level, PASSWORD_SOURCE, NOW, text, **more)


def changes(count: int, length: int) -> list[Change]:
    return [Change(f"anchor{number}", "x" * length, "contoso.example", 13_128_771_723) for number in range(count)]


def fails(lab: Any, operation: str, error: Exception, times: int = 1) -> None:
    lab.tenant.failures += [(operation, error)] * times


class TestManager:
    def test_start_and_stop(self, lab: Any) -> None:
        """The manager tells that it starts, that it stops, and that it has stopped."""
        agent = lab.installed()
        agent.stop()
        assert lab.ids() == [601, 602, 609]
        agent.stop()
        assert lab.ids() == [601, 602, 609]

    def test_stop_in_mid_cycle(self, lab: Any) -> None:
        """A stop in mid-cycle has stopped when the cycle has ended."""
        lab.domain.add("alice")
        agent = lab.installed()
        lab.tenant.on_call = lambda operation: agent.stop() if operation == "credentials" else None
        agent.run_due()
        assert lab.ids(602, 609) == [602, 609]
        assert lab.ids()[-2:] == [623, 609]

    def test_started_twice(self, lab: Any) -> None:
        """A second start is told of as one."""
        agent = lab.settled()
        agent.start()
        assert lab.ids() == [614, 601]

    def test_store_damaged(self, lab: Any) -> None:
        """An agent that can't use its database says that it can't start, and why."""
        (lab.folder / "agent.db").write_bytes(b"no database" * 100)
        with pytest.raises(StoreError):
            lab.agent()
        assert lab.ids() == [607]
        assert "damaged" in lab.events[0].text
        assert lab.events[0].time == lab.now

    def test_alive(self, lab: Any) -> None:
        """The current build tells with each heartbeat that its manager is alive; a staging server does not."""
        lab.settings.build = BUILD_CURRENT
        agent = lab.settled()
        lab.run(agent, 31)
        assert lab.ids() == [663, 653, 654]
        agent.configure(staging=True)
        lab.forget()
        lab.run(agent, 60)
        assert lab.ids() == []


class TestRetryQueue:
    def test_in_and_out(self, lab: Any) -> None:
        """A failed user comes into the queue once, and leaves it when the tenant has taken the password."""
        lab.domain.add("alice")
        lab.domain.add("bob")
        agent = lab.settled()
        lab.tenant.results[lab.anchor("alice")] = 9
        lab.domain.set_password("alice", "Spring-2017!")
        lab.domain.set_password("bob", "Spring-2018!")
        lab.run(agent, 6)
        assert lab.ids(605, 606) == [605]
        lab.tenant.results.clear()
        lab.run(agent)
        (came, went) = [each for each in lab.events if each.id in (605, 606)]
        assert came.users == went.users == (lab.anchor("alice"),)
        assert "Count: 1\nDN = CN=alice" in went.text

    def test_over_a_restart(self, lab: Any) -> None:
        """The queue outlives the process: nobody comes into it twice."""
        lab.domain.add("alice")
        agent = lab.settled()
        fails(lab, "credentials", ServiceFault("busy", code=81), 2)
        lab.domain.set_password("alice", "Spring-2017!")
        lab.run(agent)
        agent = lab.reborn(agent)
        agent.run_due()
        lab.run(agent)
        assert lab.ids(605, 606) == [605, 606]

    @pytest.mark.parametrize("how", ["deleted", "disabled", "must-change"])
    def test_given_up(self, lab: Any, how: str) -> None:
        """Who goes out of scope while he waits for another attempt is not tried again, and that is told."""
        lab.domain.add("alice")
        agent = lab.settled()
        lab.tenant.results[lab.anchor("alice")] = 9
        lab.domain.set_password("alice", "Spring-2017!")
        lab.run(agent)
        if how == "deleted":
            lab.domain.delete("alice")
        elif how == "disabled":
            lab.domain.enable("alice", enabled=False)
        else:
            lab.domain.set_password("alice", "Temporary-1!", must_change=True)
        lab.run(agent, 30)
        assert lab.ids(605, 606, 620) == [605, 620, 606]
        assert list(agent.pending()) == []


class TestRefusals:
    def test_account_refused(self, lab: Any) -> None:
        """A synchronization account that can't sign in is told of by 0 and 6900, whichever call met it."""
        agent = lab.settled()
        fails(lab, "token", TokenError("AADSTS50126: no"))
        lab.run(agent, 31)
        assert lab.ids() == [653, 655, 0, 6900]
        assert {each.level for each in lab.events[1:]} == {"error"}

    def test_access_denied(self, lab: Any) -> None:
        """A tenant that does not let the account in is told of by 115."""
        lab.domain.add("alice")
        agent = lab.settled()
        fails(lab, "credentials", ServiceFault("Access to Azure Active Directory has been denied."))
        lab.domain.set_password("alice", "Spring-2017!")
        lab.run(agent)
        assert lab.ids() == [650, 656, 652, 115, 605]


class TestFullSync:
    def test_progress(self, lab: Any) -> None:
        """Each batch of a full synchronization tells how much is left."""
        lab.settings.batch_size = 1
        for name in ("alice", "bob"):
            lab.domain.add(name)
        agent = lab.settled()
        agent.full_password_sync("contoso.example")
        lab.run(agent)
        assert [each.text[-12:] for each in lab.events if each.id == 619] == ["Remaining: 1", "Remaining: 0"]

    def test_attempt_fails(self, lab: Any) -> None:
        """An attempt that can't read the domain is told of beside the reason, and made again."""
        lab.domain.add("alice")
        agent = lab.settled()
        agent.full_password_sync("contoso.example")
        lab.domain.password = "other!"
        agent.stop()
        agent.start()
        agent.run_due()
        assert lab.ids(611, 617, 621) == [611, 621]

    def test_refused_for_a_domain_that_is_off(self, lab: Any) -> None:
        """Where password synchronization is off there is no full one, and no event of it."""
        agent = lab.settled()
        agent.disable_password_sync()
        with pytest.raises(Refused):
            agent.full_password_sync("contoso.example")
        assert lab.ids() == []


class TestOnlyFlagChanged:
    def test_counted(self, lab: Any) -> None:
        """The current build tells how many of a batch changed in "must change" only."""
        lab.settings.build, lab.tenant.features = BUILD_CURRENT, 16384
        for name in ("alice", "bob"):
            lab.domain.add(name)
        agent = lab.settled()
        lab.domain.require_change("alice")
        lab.domain.set_password("bob", "Spring-2017!", must_change=True)
        lab.run(agent)
        assert lab.ids() == [650, 656, 668, 657, 651]
        assert lab.events[2].text.endswith(": 1")
        lab.forget()
        lab.domain.set_password("alice", "Spring-2018!")
        lab.run(agent)
        assert lab.ids(650, 668) == [650]


class TestLongEvents:
    @given(st.integers(1, 60), st.integers(1, 3000))
    def test_one_event(self, count: int, length: int) -> None:
        """A build that does not split writes one event of each kind, never longer than Windows takes."""
        texts = EventTexts(BUILD_2017, [])
        batch = changes(count, length)
        (request,), (result,) = texts.requests(NOW, batch), texts.results(NOW, batch, [None] * count)
        assert max(len(request.text), len(result.text)) <= TEXT_MAX
        assert len(request.users) == count
        assert result.text.endswith("</forest-info>")

    @given(st.lists(st.integers(0, 9000), max_size=30))
    def test_listed(self, lengths: list[int]) -> None:
        """A list of users never grows beyond an event, and says how many it leaves out."""
        text = listed("head", ["x" * length for length in lengths])
        shown = text.count("\nDN = ")
        assert len(text) <= TEXT_MAX
        assert shown == len(lengths) or text.endswith(f"\nand {len(lengths) - shown} more")


class TestWindowsLog:
    def test_numbers(self) -> None:
        """Records are numbered from 1."""
        log = WindowsLog(SERVER)
        assert [log.write(event()), log.write(event())] == [Record(1, SERVER, event()), Record(2, SERVER, event())]
        assert list(log) == records([event(), event()], SERVER)

    def test_overwrites_the_oldest(self) -> None:
        """A full log lets its oldest records go, and never gives a number twice."""
        size = Record(1, SERVER, event()).size
        log = WindowsLog(SERVER, size_max=3 * size)
        for _ in range(10):
            log.write(event())
        assert [record.number for record in log] == [8, 9, 10]
        assert (len(log), log.size, log.lost) == (3, 3 * size, 0)

    def test_does_not_overwrite(self) -> None:
        """A log that keeps what it has loses what is new."""
        log = WindowsLog(SERVER, size_max=Record(1, SERVER, event()).size, overwrite=False)
        log.write(event())
        assert log.write(event()) is None
        assert ([record.number for record in log], log.lost) == ([1], 1)

    def test_too_large(self) -> None:
        """An event larger than the whole log throws nothing away."""
        log = WindowsLog(SERVER, size_max=Record(1, SERVER, event()).size)
        log.write(event())
        assert log.write(event("longer text")) is None
        assert (len(log), log.lost) == (1, 1)

    @given(st.lists(st.integers(0, 500)), st.integers(1, 2000), st.booleans())
    def test_bound(self, lengths: list[int], size_max: int, overwrite: bool) -> None:
        """Whatever comes, the log stays within its size, and nothing is uncounted."""
        log = WindowsLog(SERVER, size_max=size_max, overwrite=overwrite)
        for length in lengths:
            log.write(event("x" * length))
        assert log.size == sum(record.size for record in log) <= size_max
        numbers = [record.number for record in log]
        assert numbers == sorted(numbers)
        assert (numbers[-1] if numbers else 0) <= len(lengths) - log.lost

    @pytest.mark.parametrize("size", [0, -1])
    def test_no_room_at_all(self, size: int) -> None:
        """A log without room is none."""
        with pytest.raises(ValueError, match="room"):
            WindowsLog(SERVER, size_max=size)

    @given(st.integers(STRING_MAX - 3, STRING_MAX + 3), st.sampled_from(["x", "\U0001f600"]))
    def test_longest_string(self, count: int, character: str) -> None:
        """No string is longer than Windows takes, and no character is cut in half."""
        text = kept("y" + character * count)
        assert units(text) <= STRING_MAX
        assert set(text) <= {"y", character}

    def test_zero_ends_a_string(self) -> None:
        """A zero character ends a string."""
        assert kept("a\0b") == "a"

    def test_time(self) -> None:
        """Times are UTC, with 100 ns."""
        there = NOW.astimezone(timezone(timedelta(hours=-8)))
        assert instant(NOW) == instant(there) == "2017-01-13T09:00:01.2500000Z"


def read_xml(data: bytes) -> list[dict[str, Any]]:
    """The file as an XML reader sees it."""
    found = []
    for element in ElementTree.fromstring(data):
        assert element.tag == f"{{{NAMESPACE}}}Event"
        system = {child.tag.rpartition("}")[2]: child for child in element[0]}
        assert list(system) == [
            "Provider", "EventID", "Version", "Level", "Task", "Opcode", "Keywords", "TimeCreated", "EventRecordID",
            "Correlation", "Execution", "Channel", "Computer", "Security",
        ]  # fmt: skip
        found.append(
            {
                "provider": system["Provider"].get("Name"),
                "id": int(system["EventID"].text or ""),
                "level": int(system["Level"].text or ""),
                "time": system["TimeCreated"].get("SystemTime"),
                "number": int(system["EventRecordID"].text or ""),
                "channel": system["Channel"].text,
                "computer": system["Computer"].text,
                "data": tuple(child.text or "" for child in element[1]),
                "message": element[2][0].text or "",
            }
        )
    return found


class TestTooLong:
    def test_names_beyond_the_basic_plane(self) -> None:
        """Windows counts UTF-16 units: people with names of emoji are split so that no exported event loses one."""
        batch = [Change(f"anchor{number}", "\U0001f600" * 600, "contoso.example", 1) for number in range(50)]
        texts = EventTexts(BUILD_CURRENT, [])
        written = [*texts.requests(NOW, batch), *texts.results(NOW, batch, [None] * 50)]
        assert all(kept(each.text) == each.text for each in written)
        assert [user for each in written for user in each.users] == [change.anchor for change in batch] * 2

    def test_whatever_a_service_says(self, lab: Any) -> None:
        """A fault or an error that goes on for ever makes no event that Windows could not take."""
        endless = "x" * 100_000
        texts = EventTexts(BUILD_CURRENT, lab.settings.connectors)
        written = [
            texts.batch_failed(NOW, endless, changes(2, 40)),
            texts.ping_failed(NOW, "connector-1", endless),
            texts.domain_failed(NOW, "contoso.example", "dc1", endless),
            texts.cycle_state_not_stored(NOW, endless),
            texts.context_not_ready(NOW, endless),
            texts.healing_ended(NOW, endless),
            texts.store_locked(NOW, "contoso.example", endless),
            texts.single_user_failed(NOW, "CN=alice", "anchor", endless),
            texts.task_failed(NOW, endless),
            texts.manager_not_started(NOW, endless),
        ]
        assert [each.id for each in written if len(each.text) > TEXT_MAX] == []
        assert written[1].text.endswith("Connector: connector-1")


class TestXml:
    def test_comes_back(self, lab: Any) -> None:
        """What the agent wrote comes back from the file record by record."""
        lab.domain.add("alice").dn = RIGHT_TO_LEFT
        lab.run(lab.installed(), 40)
        wanted = [
            {
                "provider": each.event.source, "id": each.event.id, "level": 4, "time": instant(each.event.time),
                "number": number, "channel": "Application", "computer": SERVER, "data": (each.event.text,),
                "message": each.event.text,
            }
            for number, each in enumerate(records(lab.events, SERVER), 1)
        ]  # fmt: skip
        assert read_xml(to_xml(records(lab.events, SERVER))) == wanted
        assert any(RIGHT_TO_LEFT in each["message"] for each in wanted)

    @given(st.text(XML_CHARACTERS, max_size=40))
    def test_any_text(self, text: str) -> None:
        """Every character that XML can write comes back, white space at the ends and carriage returns too."""
        (found,) = read_xml(to_xml(records([event(text, insertions=("", text))], SERVER)))
        assert (found["message"], found["data"]) == (text, ("", text))

    @given(TEXTS, TEXTS)
    def test_hostile_text(self, text: str, computer: str) -> None:
        """No text makes a file that can't be read, or one with another number of records."""
        assert len(read_xml(to_xml(records([event(text), event()], computer)))) == 2

    def test_forbidden_characters(self) -> None:
        """What XML has no way to write is shown as the replacement character."""
        (found,) = read_xml(to_xml(records([event("a\x01\x1f\ud800\uffffb")], SERVER)))
        assert found["message"] == "a\ufffd\ufffd\ufffd\ufffdb"

    def test_empty(self) -> None:
        """A log without records is a file without events."""
        assert read_xml(to_xml([])) == []

    def test_levels(self) -> None:
        """Levels have Windows' numbers."""
        found = [event(level=level) for level in ("error", "warning", "information")]
        assert [each["level"] for each in read_xml(to_xml(records(found, SERVER)))] == [2, 3, 4]


class TestCsv:
    @given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40))
    def test_comes_back(self, text: str) -> None:
        """Every text comes back, quotation marks, commas and line ends too."""
        data = to_csv(records([event(text), event("second", 611, "error")], SERVER)).decode("utf-8-sig")
        first, second = csv.DictReader(io.StringIO(data, newline=""))
        assert first["Message"] == text
        assert (second["Id"], second["LevelDisplayName"], second["RecordId"]) == ("611", "Error", "2")
        assert second["TimeCreated"] == "2017-01-13T09:00:01.2500000Z"

    def test_form(self) -> None:
        """Every value stands in quotation marks, and rows end as on Windows."""
        head, row, rest = to_csv(records([event()], SERVER)).split(b"\r\n")
        assert head.startswith(b'\xef\xbb\xbf"Message","Id","Version","Qualifiers","Level"')
        assert re.fullmatch(rb'"[^"]*"(,"[^"]*")*', row)
        assert rest == b""


class TestJson:
    @given(TEXTS)
    def test_comes_back(self, text: str) -> None:
        """A list with an object for each record; lone surrogates are all that is not kept."""
        (found,) = json.loads(to_json(records([event(text)], SERVER)))
        assert found["Message"] == re.sub("[\ud800-\udfff]", "\ufffd", kept(text))
        assert found["Properties"] == [{"Value": found["Message"]}]
        assert (found["ProviderName"], found["LogName"], found["MachineName"]) == (
            "Directory Synchronization", "Application", SERVER,
        )  # fmt: skip

    def test_no_secrets(self, lab: Any) -> None:
        """No file holds a password, a hash or the account's secret."""
        lab.domain.add("alice", "Winter-2016!")
        agent: SyncAgent = lab.installed()
        lab.run(agent, 4)
        secret = lab.domain.people["alice"].secret
        for data in (to_json(records(lab.events, SERVER)), to_xml(records(lab.events, SERVER))):
            assert not any(word in data.lower() for word in (b"winter-2016!", b"connector!", secret.hex().encode()))


def test_store_elsewhere(lab: Any) -> None:
    """An agent whose database lies in no folder says so and does not start."""
    lab.folder = lab.folder / "nowhere"
    assert StorePort(str(lab.folder / "agent.db"))
    with pytest.raises(StoreError):
        lab.agent()
    assert lab.ids() == [607]
