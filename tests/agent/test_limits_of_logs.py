"""What the agent writes, at its limits: texts that just fit, files to the octet, the object log."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID

import pytest

from pwsync import engine_events
from pwsync.diagnosis import Check, Diagnosis
from pwsync.event_export import to_csv, to_json, to_xml
from pwsync.event_file import EventFile, read
from pwsync.event_log import TEXT_MAX, Change, Event, EventTexts, change_date, listed, moment
from pwsync.object_log import TABLE, Attempt, ObjectLog, as_json, as_text
from pwsync.settings import BUILD_2017, BUILD_CURRENT
from pwsync.windows_log import SIZE_MAX, Record

NOW = datetime(2017, 1, 13, 9, tzinfo=UTC)
DOMAIN = "contoso.example"
ROOT = "DC=contoso,DC=example"
GUID = UUID("00112233-4455-6677-8899-aabbccddeeff")


def event(text: str = "text", **more: Any) -> Event:
    return Event(650, "warning", "Directory <Synchronization>", NOW, text, **more)


class TestExport:
    RECORDS = (
        Record(1, "S'1\ud800", event('one\r\n<two> & "three"\ud800', domain=DOMAIN, insertions=("a\ud800", "b"))),
        Record(7, "S2", Event(0, "error", "ADSync", NOW, "ü")),
        Record(8, "S2", Event(1, "information", "ADSync", NOW, "")),
    )

    def test_xml(self) -> None:
        """The whole file, character by character."""

        def one(
            number: int, of: str, identifier: int, level: int, name: str, provider: str, data: str, text: str
        ) -> str:
            return (
                '<Event xmlns="http://schemas.microsoft.com/win/2004/08/events/event"><System>'
                f'<Provider Name="{provider}"/><EventID Qualifiers="0">{identifier}</EventID><Version>0</Version>'
                f"<Level>{level}</Level><Task>0</Task><Opcode>0</Opcode><Keywords>0x80000000000000</Keywords>"
                f'<TimeCreated SystemTime="2017-01-13T09:00:00.0000000Z"/><EventRecordID>{number}</EventRecordID>'
                '<Correlation/><Execution ProcessID="0" ThreadID="0"/><Channel>Application</Channel>'
                f"<Computer>{of}</Computer><Security/></System><EventData>{data}</EventData>"
                f'<RenderingInfo Culture="en-US"><Message>{text}</Message><Level>{name}</Level><Task></Task>'
                "<Opcode></Opcode><Channel></Channel><Provider></Provider><Keywords><Keyword>Classic</Keyword>"
                "</Keywords></RenderingInfo></Event>\n"
            )

        expected = (
            '<?xml version="1.0" encoding="utf-8" standalone="yes"?>\n<Events>'
            + one(1, "S&apos;1\ufffd", 650, 3, "Warning", "Directory &lt;Synchronization&gt;",
                  "<Data>a\ufffd</Data><Data>b</Data>", "one&#13;\n&lt;two&gt; &amp; &quot;three&quot;\ufffd")
            + one(7, "S2", 0, 2, "Error", "ADSync", "<Data>ü</Data>", "ü")
            + one(8, "S2", 1, 4, "Information", "ADSync", "<Data></Data>", "")
            + "</Events>\n"
        )  # fmt: skip
        assert to_xml(self.RECORDS).decode() == expected

    VALUES: tuple[dict[str, Any], ...] = (
        {"Message": 'one\r\n<two> & "three"\ufffd', "Id": 650, "Level": 3, "RecordId": 1,
         "ProviderName": "Directory <Synchronization>", "MachineName": "S'1\ufffd", "LevelDisplayName": "Warning",
         "Properties": [{"Value": "a\ufffd"}, {"Value": "b"}]},
        {"Message": "ü", "Id": 0, "Level": 2, "RecordId": 7, "ProviderName": "ADSync", "MachineName": "S2",
         "LevelDisplayName": "Error", "Properties": [{"Value": "ü"}]},
        {"Message": "", "Id": 1, "Level": 4, "RecordId": 8, "ProviderName": "ADSync", "MachineName": "S2",
         "LevelDisplayName": "Information", "Properties": [{"Value": ""}]},
    )  # fmt: skip
    SAME: ClassVar[dict[str, Any]] = {
        "Version": 0, "Qualifiers": 0, "Task": 0, "Opcode": 0, "Keywords": 0x80000000000000, "ProviderId": None,
        "LogName": "Application", "ProcessId": 0, "ThreadId": 0, "UserId": None,
        "TimeCreated": "2017-01-13T09:00:00.0000000Z", "ActivityId": None, "RelatedActivityId": None,
        "ContainerLog": "Application", "MatchedQueryIds": [], "Bookmark": None, "OpcodeDisplayName": "Info",
        "TaskDisplayName": None, "KeywordsDisplayNames": ["Classic"],
    }  # fmt: skip
    ORDER = (
        "Message", "Id", "Version", "Qualifiers", "Level", "Task", "Opcode", "Keywords", "RecordId",
        "ProviderName", "ProviderId", "LogName", "ProcessId", "ThreadId", "MachineName", "UserId",
        "TimeCreated", "ActivityId", "RelatedActivityId", "ContainerLog", "MatchedQueryIds", "Bookmark",
        "LevelDisplayName", "OpcodeDisplayName", "TaskDisplayName", "KeywordsDisplayNames", "Properties",
    )  # fmt: skip

    def test_json(self) -> None:
        """The whole file: every name and value in its place, two blanks of indentation, letters as they are."""
        wanted = [{name: {**self.SAME, **values}[name] for name in self.ORDER} for values in self.VALUES]
        assert to_json(self.RECORDS).decode() == json.dumps(wanted, ensure_ascii=False, indent=2) + "\n"

    def test_csv(self) -> None:
        """The same without the columns of collections; nothing where there is nothing."""
        columns = [name for name in self.ORDER if name not in ("MatchedQueryIds", "KeywordsDisplayNames", "Properties")]
        data = to_csv(self.RECORDS)
        assert data.startswith(b"\xef\xbb\xbf")
        head, *rows = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""))
        assert head == columns
        wanted = [{**self.SAME, **values} for values in self.VALUES]
        assert rows == [["" if each[name] is None else str(each[name]) for name in columns] for each in wanted]
        assert data.endswith(b'"Info",""\r\n')


class TestEventFile:
    LINE = (
        b'{"number":1,"computer":"S","time":"2017-01-13T09:00:00+00:00","id":650,"level":"warning",'
        b'"source":"Directory <Synchronization>","text":"\\u00fc","domain":"contoso.example","users":["a"],'
        b'"dns":["CN=a"],"insertions":["x"]}\n'
    )
    MORE: ClassVar[dict[str, Any]] = {"domain": DOMAIN, "users": ("a",), "dns": ("CN=a",), "insertions": ("x",)}

    def write(self, path: Path, count: int = 1, **how: Any) -> EventFile:
        log = EventFile(path, "S", **how)
        for _ in range(count):
            log.write(event("ü", **self.MORE))
        log.close()
        return log

    def test_line(self, tmp_path: Path) -> None:
        """A record is one line, exactly this one; the file is its owner's."""
        path = tmp_path / "log"
        log = EventFile(path, "S")
        assert log.write(event("ü", **self.MORE)) == Record(1, "S", event("ü", **self.MORE))
        log.close()
        assert path.read_bytes() == self.LINE
        assert path.stat().st_mode & 0o777 == 0o600
        assert (log._size, log._size_max, log.lost) == (len(self.LINE), SIZE_MAX, 0)

    def test_full_to_the_octet(self, tmp_path: Path) -> None:
        """A line that just fits stays; one octet less of room, and the file steps aside, over restarts too."""
        for room, names in ((2 * len(self.LINE), ["log"]), (2 * len(self.LINE) - 1, ["log", "log.old"])):
            folder = tmp_path / str(room)
            folder.mkdir()
            self.write(folder / "log", 2, size_max=room)
            assert sorted(each.name for each in folder.iterdir()) == names
            assert [each.number for each in read(folder / "log")] == [1, 2]
        self.write(tmp_path / str(2 * len(self.LINE)) / "log", 1, size_max=2 * len(self.LINE))
        assert [each.number for each in read(tmp_path / str(2 * len(self.LINE)) / "log")] == [1, 2, 3]
        assert (tmp_path / str(2 * len(self.LINE)) / "log.old").stat().st_size == 2 * len(self.LINE)

    def test_larger_than_the_file(self, tmp_path: Path) -> None:
        """A line that is longer than the whole file is written into an empty one."""
        self.write(tmp_path / "log", 1, size_max=1)
        assert [each.name for each in tmp_path.iterdir()] == ["log"]
        self.write(tmp_path / "log", 2, size_max=1)
        assert [each.number for each in read(tmp_path / "log")] == [2, 3]

    def test_half_a_line(self, tmp_path: Path) -> None:
        """A line that broke off is ended by the next process; a whole one is left as it is."""
        path = tmp_path / "log"
        path.write_bytes(self.LINE + b'{"num')
        self.write(path)
        assert path.read_bytes() == self.LINE + b'{"num\n' + self.LINE.replace(b":1,", b":2,", 1)
        (tmp_path / "empty").touch()
        self.write(tmp_path / "empty")
        assert (tmp_path / "empty").read_bytes() == self.LINE

    def test_nowhere_to_step(self, tmp_path: Path) -> None:
        """A file that can't step aside grows on."""
        path = tmp_path / "log"
        log = EventFile(path, "S", size_max=1)
        (tmp_path / "log.old").mkdir()
        for _ in range(3):
            log.write(event())
        log.close()
        (tmp_path / "log.old").rmdir()
        assert [each.number for each in read(path)] == [1, 2, 3]
        assert log.lost == 0

    def test_numbers(self, tmp_path: Path) -> None:
        """Numbers only rise: one that comes again, or goes back, is the next one."""
        lines = [self.LINE.replace(b":1,", f":{number},".encode(), 1) for number in (5, 5, 2, 9, 1)]
        (tmp_path / "log.old").write_bytes(b"".join(lines[:2]))
        (tmp_path / "log").write_bytes(b"".join(lines[2:]))
        assert [each.number for each in read(tmp_path / "log")] == [5, 6, 7, 9, 10]
        assert [each.number for each in read(tmp_path / "none")] == []

    @pytest.mark.parametrize(
        ("change", "kept"),
        [
            ({}, True), ({"domain": None}, True), ({"domain": 5}, True), ({"users": []}, True), ({"extra": 1}, True),
            ({"number": True}, False), ({"number": 1.0}, False), ({"computer": None}, False), ({"id": True}, False),
            ({"level": "critical"}, False), ({"level": ["error"]}, False), ({"time": 5}, False), ({"time": "x"}, False),
            ({"users": "ab"}, False), ({"users": [1]}, False), ({"dns": None}, False), ({"insertions": [None]}, False),
            ({"text": 1}, False), ({"source": 1}, False),
        ],
    )  # fmt: skip
    def test_values(self, tmp_path: Path, change: dict[str, Any], kept: bool) -> None:
        """Values of another kind make no record; a domain is a text whatever it was."""
        (tmp_path / "log").write_text(json.dumps({**json.loads(self.LINE), **change}) + "\n")
        found = list(read(tmp_path / "log"))
        assert len(found) == kept
        if kept:
            domain = {**self.MORE, **change}["domain"]
            assert found[0].event.domain == (None if domain is None else str(domain))

    def test_time_of_another_zone(self, tmp_path: Path) -> None:
        """Times come back as UTC."""
        (tmp_path / "log").write_bytes(self.LINE.replace(b"T09:00:00+00:00", b"T01:00:00-08:00"))
        (found,) = read(tmp_path / "log")
        assert found == Record(1, "S", event("ü", **self.MORE))
        assert found.event.time.tzinfo is UTC


def change(number: int, dn: str, domain: str = DOMAIN) -> Change:
    return Change(f"a{number}", dn, domain, 0)


class TestLongTexts:
    def test_listed(self) -> None:
        """A head is cut a hundred characters before the end; names follow up to fifty before it."""
        assert listed("h" * TEXT_MAX, []) == "h" * (TEXT_MAX - 100)
        room = TEXT_MAX - 50 - len("head") - 6
        assert listed("head", ["x" * room]) == f"head\nDN = {'x' * room}"
        assert listed("head", ["x" * (room + 1)]) == "head\nand 1 more"
        assert listed("head", ["x" * (room - 7), "y", "z"]) == f"head\nDN = {'x' * (room - 7)}\nDN = y\nand 1 more"
        assert listed("head", ["x" * (room - 6), "y", "z"]) == f"head\nDN = {'x' * (room - 6)}\nand 2 more"

    @pytest.mark.parametrize("character", ["x", "\U0001f600"])
    def test_split_at_the_limit(self, character: str) -> None:
        """Two lines that fill an event to the unit are one event; one unit more, and they are two."""
        texts = EventTexts(BUILD_CURRENT, [])
        head = len(next(texts.requests(NOW, [change(1, "")])).text)
        units = 1 if character == "x" else 2
        room = TEXT_MAX - 2 * (head + 1)
        for extra, sizes in ((0, [2]), (1, [1, 1])):
            first = character * (room // units) + "y" * (room % units + extra)
            batch = [change(1, first), change(2, "")]
            found = list(texts.requests(NOW, batch))
            assert [len(each.users) for each in found] == sizes
            assert [each.dns for each in found] == ([(first, "")] if extra == 0 else [(first,), ("",)])

    def test_trailer_counts(self) -> None:
        """The end of the results stands in every event, and counts in each."""
        texts = EventTexts(BUILD_CURRENT, [])
        (alone,) = texts.results(NOW, [change(1, "")], [None])
        line, _, trailer = alone.text.partition("\n")
        dn = "x" * (TEXT_MAX - 2 * (len(line) + 1) - len(trailer) - 1)
        assert [len(each.users) for each in texts.results(NOW, [change(1, dn), change(2, "")], [None, None])] == [2]
        longer = [change(number, dn + "x") for number in (1, 2, 3)]
        found = list(texts.results(NOW, longer, [None] * 3))
        assert [(each.id, each.time, each.users) for each in found] == [(657, NOW, (f"a{n}",)) for n in (1, 2, 3)]
        assert all(each.text.endswith(f"\n{trailer}") for each in found)

    def test_as_many_results_as_requests(self) -> None:
        """Results of another number than the batch are none of this batch."""
        with pytest.raises(ValueError, match="shorter"):
            EventTexts(BUILD_CURRENT, []).results(NOW, [change(1, ""), change(2, "")], [None])

    def test_cut(self) -> None:
        """Without splitting the lines are cut to what an event can hold, with dots, and the end is whole."""
        texts = EventTexts(BUILD_2017, [])
        (alone,) = texts.results(NOW, [change(1, "")], [None])
        line, _, trailer = alone.text.partition("\n")
        dn = "x" * (TEXT_MAX - len(line) - len(trailer) - 1)
        (whole,) = texts.results(NOW, [change(1, dn)], [None])
        assert len(whole.text) == TEXT_MAX
        assert "..." not in whole.text
        (cut,) = texts.results(NOW, [change(1, dn + "x")], [None])
        assert len(cut.text) == TEXT_MAX
        uncut = f"Password Change Result - Anchor : a1, Dn : {dn}x, Result : Success."
        assert cut.text == f"{uncut[: TEXT_MAX - len(trailer) - 5]}\n...\n{trailer}"

    @pytest.mark.parametrize("build", [BUILD_2017, BUILD_CURRENT], ids=["2017", "current"])
    def test_nobody(self, build: Any) -> None:
        """Nobody is no event."""
        assert list(EventTexts(build, []).requests(NOW, [])) == []
        assert list(EventTexts(build, []).results(NOW, [], [])) == []

    @pytest.mark.parametrize(
        "builder",
        [
            lambda texts, text: texts.manager_not_started(NOW, text),
            lambda texts, text: texts.cloud_account_refused(NOW, text),
            lambda texts, text: texts.cloud_access_denied(NOW, text),
            lambda texts, text: texts.domain_failed(NOW, DOMAIN, "dc1", text),
            lambda texts, text: texts.preferred_controller_offline(NOW, DOMAIN, "dc1", text),
            lambda texts, text: texts.batch_failed(NOW, text, []),
            lambda texts, text: texts.single_user_failed(NOW, "CN=a", "a", text),
            lambda texts, text: texts.cycle_state_not_stored(NOW, text),
            lambda texts, text: texts.store_locked(NOW, DOMAIN, text),
            lambda texts, text: texts.unexpected_error(NOW, text),
            lambda texts, text: engine_events.notification_failed(NOW, text),
        ],
    )
    def test_never_longer(self, builder: Callable[[EventTexts, str], Event]) -> None:
        """Whatever is said, an event has its largest length, and as much of the words as fits."""
        for build in (BUILD_2017, BUILD_CURRENT):
            found = builder(EventTexts(build, []), "w" * TEXT_MAX * 2)
            assert len(found.text) == TEXT_MAX
            assert all(len(text) <= TEXT_MAX for text in found.insertions)
            assert "w" * (TEXT_MAX - 300) in found.text

    def test_moments(self) -> None:
        """Seconds since 1601; the last second that there is for what lies beyond."""
        assert moment(0) == datetime(1601, 1, 1, tzinfo=UTC)
        assert moment(10**18) == datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
        assert change_date(3_661) == "01/01/1601 01:01:01"
        assert change_date(10**18) == "12/31/9999 23:59:59"


class TestObjectLog:
    def test_text(self) -> None:
        """Lines for people: columns, UTC, a meaning where there is one."""
        attempts = [
            Attempt(NOW, "a", 13_128_771_723, "Success"),
            Attempt(NOW, "a", None, "SourceConnectorNotPresent"),
            Attempt(NOW, "a", 0, "Other"),
        ]
        assert as_text(attempts).split("\n") == [
            "Time (UTC)           Changed (UTC)        Result",
            "2017-01-13 09:00:00  2017-01-13 09:02:03  Success                       The password was synchronized.",
            "2017-01-13 09:00:00  -                    SourceConnectorNotPresent     No object whose password is "
            "synchronized: filtered, disabled, or of another class.",
            "2017-01-13 09:00:00  1601-01-01 00:00:00  Other",
        ]
        assert as_text([]) == (
            "There is no attempt of the last seven days: the password was not read from the directory."
        )

    def test_json(self) -> None:
        """A list, two blanks of indentation."""
        found = as_json([Attempt(NOW, "a", 13_128_771_723, "Success"), Attempt(NOW, "a", None, "Error")])
        assert found == json.dumps(
            [
                {"time": "2017-01-13T09:00:00+00:00", "changed": "2017-01-13T09:02:03+00:00", "result": "Success"},
                {"time": "2017-01-13T09:00:00+00:00", "changed": None, "result": "Error"},
            ],
            indent=2,
        )

    @pytest.mark.parametrize("count", [0, 1, 199, 200, 201, 400, 401])
    def test_rows(self, count: int) -> None:
        """All are kept, in their order, however many come at once."""
        connection = sqlite3.connect(":memory:")
        connection.executescript(TABLE)
        log = ObjectLog(connection)
        attempts = [Attempt(NOW + timedelta(microseconds=number), "a", number, "Error") for number in range(count)]
        log.write(attempts)
        log.write([Attempt(NOW, "b", None, "Success")])
        assert log.read("a", NOW) == attempts
        assert log.read("b", NOW) == [Attempt(NOW, "b", None, "Success")]
        connection.close()

    def test_forgets_once_a_day(self) -> None:
        """What is older than seven days goes, to the microsecond, when the oldest is eight days old."""
        connection = sqlite3.connect(":memory:")
        connection.executescript(TABLE)

        def count() -> int:
            return int(connection.execute("SELECT count(*) FROM attempts").fetchone()[0])

        log, week, day = ObjectLog(connection), timedelta(days=7), timedelta(days=1)
        tick = timedelta(microseconds=1)
        for time, left in (
            (NOW, 1), (NOW + tick, 2), (NOW + day, 3), (NOW + week + tick, 4), (NOW + week + day - tick, 5),
            (NOW + week + day, 4), (NOW + week + day + tick, 5),
            (NOW + week + 2 * day, 5),
        ):  # fmt: skip
            log.write([Attempt(time, "a", None, "Error")])
            assert count() == left
        again = ObjectLog(connection)
        again.write([Attempt(NOW + 2 * week + day, "a", None, "Error")])
        assert count() == 4
        connection.close()


class TestDiagnosisText:
    def test_two_findings(self) -> None:
        """Findings stand in one line, apart, each once; a level and a subject have one heading."""
        found = Diagnosis(
            NOW,
            (
                Check("server", "S", "one", "First.", "staging"),
                Check("server", "S", "two", "Second.", "fips"),
                Check("server", "T", "two", "Third.", "staging"),
                Check("domain", "T", "two", "Fourth."),
            ),
        )
        assert found.text().split("\n") == [
            "Diagnosis of password synchronization at 2017-01-13 09:00:00 UTC", "=" * 64,
            "", "Server - S", "    [staging] First.", "    [fips] Second.",
            "", "Server - T", "    [staging] Third.",
            "", "        Domain - T", "            Fourth.",
            "", "Found: staging, fips",
        ]  # fmt: skip
