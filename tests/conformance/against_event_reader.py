"""The event log of a run in Event Viewer's form, opened by a reader of event logs from the package index.

Run by name (``pytest tests/conformance/against_event_reader.py``), with ``winforensics-mcp`` installed: it brings much
that nothing else here needs. Its reader takes Windows' XML of an event, and names the insertion strings by their place.
"""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from simulator.cli.app import run_app

reader = pytest.importorskip("winforensics_mcp.parsers.evtx_parser", exc_type=ImportError)

INCIDENTS = Path(__file__).parents[2] / "scenarios" / "incident"


@pytest.mark.parametrize(
    ("name", "profile"),
    [
        ("56-long-events-are-split", "current"),
        ("35-fips-policy-on-the-server", "current"),
        ("31-not-activated-for-this-company", "2017"),
        ("19-controller-unreachable", "2017"),
    ],
)
def test_same_records(name: str, profile: str, tmp_path: Path) -> None:
    """Number, id, time, computer, log, source and text of every record are what the run wrote."""
    scenario = str(INCIDENTS / f"{name}.yaml")
    for form in ("xml", "json"):
        run_app(["run", scenario, "--profile", profile, "--events", str(tmp_path / f"log.{form}")])
    wanted = [
        {
            "EventRecordID": str(each["RecordId"]),
            "EventID": each["Id"],
            "TimeCreated": each["TimeCreated"],
            "Computer": each["MachineName"],
            "Channel": each["LogName"],
            "Provider": each["ProviderName"],
            "EventData": {f"Data_{place}": each["Value"].strip() for place, each in enumerate(each["Properties"])},
            "UserData": {},
        }
        for each in json.loads((tmp_path / "log.json").read_text("utf-8"))
    ]
    events = ElementTree.parse(tmp_path / "log.xml").getroot()
    found = [reader.extract_event_data(reader.xml_to_dict(event)) for event in events]
    assert len(wanted) > 5
    assert found == wanted
    assert all(reader.parse_evtx_timestamp(each["TimeCreated"]) is not None for each in found)
