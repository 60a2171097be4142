"""Records of the Application log as files that administrators exchange.

    .xml    what Event Viewer saves ("Save as XML") and ``wevtutil qe /f:RenderedXml /e:Events`` prints
    .csv    ``Get-WinEvent | Export-Csv -NoTypeInformation -Encoding UTF8``, without the columns that hold collections
    .json   ``Get-WinEvent | ConvertTo-Json``, always a list

Times stand in ISO 8601, UTC, with 100 ns, in all three: what PowerShell writes by itself depends on its version and on
the reader's language. A file holds what the log holds, which is never a secret.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from pwsync.windows_log import CHANNEL, Record, instant, kept

NAMESPACE: Final = "http://schemas.microsoft.com/win/2004/08/events/event"
CLASSIC: Final = 0x80000000000000
"""The keyword of events that came by the classic interface (ReportEvent)."""

_LEVEL_NAMES: Final = {2: "Error", 3: "Warning", 4: "Information"}
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_MARKUP = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;", "\r": "&#13;"}
_IN_MARKUP = re.compile("[&<>\"'\r]")


def to_xml(records: Iterable[Record]) -> bytes:
    """``<Events>`` with an ``<Event>`` for each record, UTF-8.

    Characters that XML 1.0 has no way to write (control characters, lone surrogates) become U+FFFD; every other one
    comes back from an XML reader as it was.
    """
    parts = ['<?xml version="1.0" encoding="utf-8" standalone="yes"?>\n<Events>']
    parts += [_event(record) for record in records]
    parts.append("</Events>\n")
    return "".join(parts).encode("utf-8")


def _event(record: Record) -> str:
    event, name = record.event, _LEVEL_NAMES[record.level]
    data = "".join(f"<Data>{_text(string)}</Data>" for string in record.strings)
    return (
        f'<Event xmlns="{NAMESPACE}"><System>'
        f'<Provider Name="{_text(event.source)}"/><EventID Qualifiers="0">{event.id}</EventID><Version>0</Version>'
        f"<Level>{record.level}</Level><Task>0</Task><Opcode>0</Opcode><Keywords>{CLASSIC:#x}</Keywords>"
        f'<TimeCreated SystemTime="{instant(event.time)}"/><EventRecordID>{record.number}</EventRecordID>'
        f'<Correlation/><Execution ProcessID="0" ThreadID="0"/><Channel>{CHANNEL}</Channel>'
        f"<Computer>{_text(record.computer)}</Computer><Security/></System>"
        f"<EventData>{data}</EventData>"
        f'<RenderingInfo Culture="en-US"><Message>{_text(kept(event.text))}</Message><Level>{name}</Level><Task></Task>'
        "<Opcode></Opcode><Channel></Channel><Provider></Provider><Keywords><Keyword>Classic</Keyword></Keywords>"
        "</RenderingInfo></Event>\n"
    )


def _text(text: str) -> str:
    """A text between tags or quotation marks."""
    return _IN_MARKUP.sub(lambda found: _MARKUP[found[0]], _FORBIDDEN.sub("\ufffd", text))


def to_csv(records: Iterable[Record]) -> bytes:
    """A row for each record below a row of names, UTF-8 with its mark; every value in quotation marks."""
    text = io.StringIO(newline="")
    rows = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    rows.writerow(_CSV_FIELDS)
    for record in records:
        values = fields(record)
        rows.writerow(["" if values[name] is None else values[name] for name in _CSV_FIELDS])
    return text.getvalue().encode("utf-8-sig")


def to_json(records: Iterable[Record]) -> bytes:
    """A list with an object for each record, UTF-8."""
    return (json.dumps([fields(record) for record in records], ensure_ascii=False, indent=2) + "\n").encode("utf-8")


def fields(record: Record) -> dict[str, Any]:
    """A record under the names and in the order of ``Get-WinEvent``. Lone surrogates become U+FFFD."""
    event = record.event
    return {
        "Message": _whole(kept(event.text)),
        "Id": event.id,
        "Version": 0,
        "Qualifiers": 0,
        "Level": record.level,
        "Task": 0,
        "Opcode": 0,
        "Keywords": CLASSIC,
        "RecordId": record.number,
        "ProviderName": event.source,
        "ProviderId": None,
        "LogName": CHANNEL,
        "ProcessId": 0,
        "ThreadId": 0,
        "MachineName": _whole(record.computer),
        "UserId": None,
        "TimeCreated": instant(event.time),
        "ActivityId": None,
        "RelatedActivityId": None,
        "ContainerLog": CHANNEL,
        "MatchedQueryIds": [],
        "Bookmark": None,
        "LevelDisplayName": _LEVEL_NAMES[record.level],
        "OpcodeDisplayName": "Info",
        "TaskDisplayName": None,
        "KeywordsDisplayNames": ["Classic"],
        "Properties": [{"Value": _whole(string)} for string in record.strings],
    }


def _whole(text: str) -> str:
    return _LONE_SURROGATE.sub("\ufffd", text)


_CSV_FIELDS: Final = (
    "Message", "Id", "Version", "Qualifiers", "Level", "Task", "Opcode", "Keywords", "RecordId", "ProviderName",
    "ProviderId", "LogName", "ProcessId", "ThreadId", "MachineName", "UserId", "TimeCreated", "ActivityId",
    "RelatedActivityId", "ContainerLog", "Bookmark", "LevelDisplayName", "OpcodeDisplayName", "TaskDisplayName",
)  # fmt: skip

FORMATS: Final[Mapping[str, Callable[[Iterable[Record]], bytes]]] = {".xml": to_xml, ".csv": to_csv, ".json": to_json}
"""Writers by the ending of a file's name."""
