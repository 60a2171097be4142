"""The reports that are made from results: text, JUnit XML, JSON, and how they are written."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import pytest
from cli.results import BROKE, FAILURE, FAULTED, HELD, result
from hypothesis import given
from hypothesis import strategies as st

from simulator.report.files import why_not_writable, write_whole
from simulator.report.json import json as as_json
from simulator.report.junit import clean
from simulator.report.junit import junit as as_junit
from simulator.report.text import blot, counts_text, failure_text, headline, result_text, seeds_text
from simulator.scenario.result import Position
from simulator.scenario.rules import RULES

ORDER = {  # the shape that build servers read: which children an element may have, in this order
    "testsuites": ["testsuite"],
    "testsuite": ["properties", "testcase", "system-out", "system-err"],
    "testcase": ["properties", "skipped", "error", "failure", "system-out", "system-err"],
    "properties": ["property"],
    "property": [],
    "failure": [],
    "error": [],
}
REQUIRED = {
    "testsuites": {"name", "tests", "failures", "errors", "time"},
    "testsuite": {"name", "tests", "failures", "errors", "skipped", "time"},
    "testcase": {"name", "classname", "time", "file", "line"},
    "properties": set(),
    "property": {"name", "value"},
    "failure": {"message", "type"},
    "error": {"message", "type"},
}


@pytest.fixture
def scenario_file(tmp_path: Path) -> Path:
    path = tmp_path / "admin-reset.yaml"
    path.write_text(
        "scenario: title\n"
        "timeline:\n"
        "  - expect:\n"
        '      - cloud.sign-in: {user: alice, password: "Spring-2017!", result: ok}\n',
        encoding="utf-8",
    )
    return path


class TestText:
    def test_failure_reads_like_a_compilers_error(self, scenario_file: Path) -> None:
        """Position, line and caret first; then expected, got, because and rule; the last line repeats the run."""
        failure = replace(FAILURE, position=Position(str(scenario_file), 4, 9, 13))
        assert failure_text(BROKE, failure).splitlines() == [
            "error: cloud.sign-in of alice at +2m",
            f" --> {scenario_file}:4:9",
            "  |",
            '4 |       - cloud.sign-in: {user: alice, password: "************", result: ok}',
            "  |         ^^^^^^^^^^^^^",
            "  scenario  override/admin-reset: An administrator's reset holds until the next on-premises change",
            "  expected  ok",
            "  got       wrong-password",
            "  because   +1m people ad.change-password alice alice#2",
            "            +2m agent password cycle: nothing to send",
            f"  rule      delta.within-minutes: {RULES['delta.within-minutes'].text}",
            "  repeat    pwsync run scenarios/override/admin-reset.yaml --profile 2017 --seed 1",
        ]

    def test_failure_without_a_place_names_the_file(self) -> None:
        """An invariant stands nowhere in the file: the path alone is shown."""
        lines = failure_text(BROKE, replace(FAILURE, position=None)).splitlines()
        assert lines[1] == " --> scenarios/override/admin-reset.yaml"

    def test_file_that_is_gone_still_has_a_position(self) -> None:
        """A file that was removed meanwhile costs the source line, not the report."""
        position = Position("gone/away.yaml", 4, 9, 13)
        assert "gone/away.yaml:4:9" in failure_text(BROKE, replace(FAILURE, position=position))

    def test_fault_says_whose_fault_it_is(self) -> None:
        """A fault of the harness shows its traceback, says that the scenario is not to blame, and how to report it."""
        text = result_text(FAULTED)
        assert "KeyError: 'alice'" in text
        assert "this is a fault of pwsync itself, not of your scenario" in text
        assert "pwsync --version" in text
        assert text.splitlines()[-1].strip().startswith("repeat")

    def test_every_failure_is_shown(self) -> None:
        """Several failures of one case are all told, and the headline says how many."""
        both = replace(BROKE, failures=(FAILURE, replace(FAILURE, title="cloud.user of bob")))
        assert result_text(both).count("error: ") == 2
        assert headline(both).endswith("(and 1 more)")

    def test_counts(self) -> None:
        """The summary counts what held, what broke and what could not be run."""
        assert counts_text([HELD, BROKE, FAULTED], 1.5) == "3 scenarios: 1 held, 1 broke, 1 at fault, in 1.50 s"
        assert counts_text([HELD], 0.1) == "1 scenario: 1 held, in 0.10 s"
        assert counts_text([], 0) == "0 scenarios: 0 held, in 0.00 s"

    def test_seeds(self) -> None:
        """One seed is named once; different ones are listed."""
        assert seeds_text([HELD, BROKE]) == "seed 1"
        assert seeds_text([HELD, result("a", seed=7)]) == "seeds 1, 7"


class TestBlot:
    @pytest.mark.parametrize(
        ("line", "blotted"),
        [
            ('{password: "Winter-2016!"}', '{password: "************"}'),
            ("{old: 'it''s old', password: \"a\\\"b\"}", "{old: '*********', password: \"****\"}"),
            (
                "cloud.history: {user: bob, is: [\"First-1!\", 'Two']}",
                "cloud.history: {user: bob, is: [\"********\", '***']}",
            ),
            ('      - "Third-33!"  # a password', '      - "*********"  # a password'),
            ('{"password": "abc"}', '{"password": "***"}'),
            ('{contains: "654", user: alice}', '{contains: "654", user: alice}'),
            ("password: $password", "password: $password"),
            ('password: ""', 'password: ""'),
        ],
    )
    def test_passwords_are_blotted_out(self, line: str, blotted: str) -> None:
        """Quoted passwords vanish; all else stays, and so does every column."""
        assert blot(line) == blotted

    @given(st.text())
    def test_columns_stay(self, line: str) -> None:
        """Whatever the line, its length is the same."""
        assert len(blot(line)) == len(line)


class TestJunit:
    def check(self, element: ElementTree.Element) -> None:
        assert REQUIRED[element.tag] <= set(element.attrib)
        places = [ORDER[element.tag].index(child.tag) for child in element]
        assert places == sorted(places)
        for child in element:
            self.check(child)

    def test_shape(self) -> None:
        """Elements and attributes are those that build servers know, in the order they want."""
        root = ElementTree.fromstring(as_junit([HELD, BROKE, FAULTED, result("top")], seconds=1.0))
        self.check(root)
        assert {name: root.get(name) for name in ("tests", "failures", "errors")} == {
            "tests": "4", "failures": "1", "errors": "1",
        }  # fmt: skip
        assert [suite.get("name") for suite in root] == ["override", "faults", "scenarios"]

    def test_case_has_place_rules_seed_and_digest(self) -> None:
        """A test case names file and line, and its properties say what is needed to repeat it."""
        case = ElementTree.fromstring(as_junit([BROKE], seconds=1.0)).find("testsuite/testcase")
        assert case is not None
        properties = {each.get("name"): each.get("value") for each in case.iter("property")}
        assert (case.get("file"), case.get("line"), case.get("time")) == (BROKE.path, "4", "0.012")
        assert properties["rules"] == "override.admin-reset override.holds"
        assert (properties["seed"], properties["digest"]) == ("1", BROKE.digest)
        assert case.findtext("failure") == result_text(BROKE)

    def test_nothing_run(self) -> None:
        """A report of no results is a whole document."""
        assert ElementTree.fromstring(as_junit([], seconds=0.0)).get("tests") == "0"

    @given(st.text(st.characters(codec=None)))
    def test_any_text_gives_xml(self, text: str) -> None:
        """Control characters, surrogates and markup in a failure never break the document."""
        broke = replace(BROKE, title=text, failures=(replace(FAILURE, title=text, got=text),))
        ElementTree.fromstring(as_junit([broke], seconds=0.0).encode("utf-8"))

    def test_forbidden_characters_are_shown(self) -> None:
        """What XML forbids is written as an escape, and so not lost."""
        assert clean("a\x00\x07b\ud800\ufffe\n") == "a\\x00\\x07b\\ud800\\ufffe\n"


class TestJson:
    schema = json.loads(files("simulator.report").joinpath("report.schema.json").read_text(encoding="utf-8"))

    def test_report_fits_its_schema(self) -> None:
        """Whatever came out, the report is what its schema says."""
        jsonschema.Draft202012Validator.check_schema(self.schema)
        report = json.loads(as_json([HELD, BROKE, FAULTED], seconds=1.0))
        jsonschema.validate(report, self.schema)
        assert report["counts"] == {"total": 3, "held": 1, "broke": 1, "not-deterministic": 0, "harness-fault": 1}
        assert report["exit-code"] == 3
        assert "trace" not in report["results"][0]

    def test_trace_only_if_asked_for(self) -> None:
        """Traces are long: they are in the report if the run printed them too."""
        report = json.loads(as_json([HELD], seconds=1.0, trace=True))
        jsonschema.validate(report, self.schema)
        assert report["results"][0]["trace"] == list(HELD.trace)


class TestWriting:
    def test_replaces_whole(self, tmp_path: Path) -> None:
        """A report replaces the one before, with the usual rights, and leaves nothing beside it."""
        path = tmp_path / "out.xml"
        path.write_text("old", encoding="utf-8")
        write_whole(path, "new \ud800")
        assert path.read_bytes() == b"new \\ud800"
        assert [each.name for each in tmp_path.iterdir()] == ["out.xml"]
        mask = os.umask(0o022)
        os.umask(mask)
        assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask

    def test_failure_leaves_nothing(self, tmp_path: Path) -> None:
        """A report that can't be moved to its place leaves no half of it behind."""
        (tmp_path / "taken").mkdir()
        with pytest.raises(OSError, match="taken"):
            write_whole(tmp_path / "taken", "text")
        assert [each.name for each in tmp_path.iterdir()] == ["taken"]

    def test_reasons(self, tmp_path: Path) -> None:
        """A place that can't be written to is known before the run, with what to do."""
        assert why_not_writable(tmp_path / "out.xml") is None
        assert "is a folder" in (why_not_writable(tmp_path) or "")
        assert "mkdir -p" in (why_not_writable(tmp_path / "no" / "out.xml") or "")


@pytest.mark.skipif(os.name == "nt", reason="devices, pipes and descriptors as files are of POSIX")
class TestWritingThrough:
    """What is no regular file takes a report and stays what it is."""

    def test_link_is_followed(self, tmp_path: Path) -> None:
        """A symbolic link stays one; the file that it names is replaced whole, also one that is not there yet."""
        (tmp_path / "reports").mkdir()
        target, link, chain = tmp_path / "reports" / "true.json", tmp_path / "link.json", tmp_path / "chain.json"
        link.symlink_to(Path("reports") / "true.json")
        chain.symlink_to(link)
        for text in ("first", "second"):
            assert why_not_writable(chain) is None
            write_whole(chain, text)
            assert (link.is_symlink(), chain.is_symlink(), target.is_symlink()) == (True, True, False)
            assert target.read_text() == text
        assert [each.name for each in target.parent.iterdir()] == ["true.json"]

    def test_link_that_leads_nowhere(self, tmp_path: Path) -> None:
        """A link into a folder that is not there, and one that leads to itself, are refused before the run."""
        (tmp_path / "away").symlink_to(tmp_path / "no" / "out.xml")
        assert f'mkdir -p "{tmp_path / "no"}"' in (why_not_writable(tmp_path / "away") or "")
        (tmp_path / "round").symlink_to("round")
        assert why_not_writable(tmp_path / "round") is not None
        with pytest.raises(OSError, match="round"):
            write_whole(tmp_path / "round", "text")
        (tmp_path / "folder").symlink_to(tmp_path)
        assert "is a folder" in (why_not_writable(tmp_path / "folder") or "")

    @pytest.mark.parametrize(("minor", "reason"), [(3, None), (7, "No space left on device")])
    def test_device(self, minor: int, reason: str | None, tmp_path: Path) -> None:
        """A device (a null of its own, a full one of its own) is written to and stays; so it is through a link."""
        device, link = tmp_path / "device", tmp_path / "link"
        try:
            os.mknod(device, 0o666 | stat.S_IFCHR, os.makedev(1, minor))
            device.open("rb").close()
        except PermissionError:
            pytest.skip("only root makes devices")
        link.symlink_to(device)
        for path in (device, link):
            assert why_not_writable(path) is None
            if reason is None:
                write_whole(path, "text")
            else:
                with pytest.raises(OSError, match=reason):
                    write_whole(path, "text")
        assert stat.S_ISCHR(device.lstat().st_mode)
        assert sorted(each.name for each in tmp_path.iterdir()) == ["device", "link"]

    def test_pipe(self, tmp_path: Path) -> None:
        """A named pipe hands the report to its reader."""
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        try:
            assert why_not_writable(pipe) is None
            write_whole(pipe, "text")
            assert os.read(reader, 100) == b"text"
        finally:
            os.close(reader)
        assert stat.S_ISFIFO(pipe.lstat().st_mode)

    @pytest.mark.skipif(not os.path.isdir("/dev/fd"), reason="descriptors have no names here")
    def test_descriptor(self, tmp_path: Path) -> None:
        """An open file of this process goes on behind what was written to it before."""
        with (tmp_path / "out").open("wb", buffering=0) as file:
            file.write(b"before ")
            (tmp_path / "link").symlink_to(f"/dev/fd/{file.fileno()}")
            for path in (Path(f"/dev/fd/{file.fileno()}"), tmp_path / "link"):
                assert why_not_writable(path) is None
                write_whole(path, "report ")
            file.write(b"after")
        assert (tmp_path / "out").read_bytes() == b"before report report after"
        assert sorted(each.name for each in tmp_path.iterdir()) == ["link", "out"]
