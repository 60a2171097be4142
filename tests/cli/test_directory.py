"""``pwsync directory``: what export and check print and leave behind, and their exit codes."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from simulator.cli.app import run_app

SCENARIO = """\
scenario: Two domains
why: A directory to export.
rules: [delta.within-minutes]
given:
  forest:
    domains:
      contoso.example: {}
      child.contoso.example: {}
  users:
    - {name: alice, password: "Winter-2016!"}
    - {name: bob, password: "Winter-2016!", domain: child.contoso.example}
timeline:
  - at: +1m
    expect: {cloud.user: {user: alice, exists: true}}
"""
BAD = "dn: CN=x,DC=contoso,DC=example\nobjectClass: user\nmial: x\n"


class Output(NamedTuple):
    code: int
    out: str
    err: str


Command = Callable[..., Output]


@pytest.fixture
def pwsync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs ``pwsync directory ARGUMENTS`` in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> Output:
        code = run_app(["directory", *arguments])
        return Output(code, *capsys.readouterr())

    return call


class TestExport:
    def test_help(self, pwsync: Command) -> None:
        """The help says what the commands are for and shows how they are used."""
        assert "export" in pwsync("--help").out
        for command in ("export", "check"):
            output = pwsync(command, "--help")
            assert output.code == 0
            assert f"pwsync directory {command}" in output.out

    def test_company(self, pwsync: Command, tmp_path: Path) -> None:
        """Without a scenario it is an invented company, the same each time; check takes the file."""
        assert pwsync("export", "--users", "30", "-o", "a.ldif") == Output(0, "", "")
        printed = pwsync("export", "--users", "30", "-o", "-")
        assert printed.out == Path("a.ldif").read_text(encoding="ascii")
        assert pwsync("export", "--users", "30", "--seed", "2").out != printed.out
        assert os.listdir(tmp_path) == ["a.ldif"]
        checked = pwsync("check", "a.ldif")
        assert checked.code == 0
        assert checked.out.endswith("of them 30 users, 0 with a password: can be loaded\n")

    def test_scenario(self, pwsync: Command) -> None:
        """A scenario's directory as it stands at the start; of several domains one is chosen."""
        Path("two.yaml").write_text(SCENARIO)
        assert (
            "dn: CN=alice,OU=People,DC=contoso,DC=example\n"
            in pwsync("export", "two.yaml", "--domain", "contoso.example").out
        )
        several = pwsync("export", "two.yaml")
        assert several.code == 2
        assert "choose with --domain: contoso.example, child.contoso.example" in several.err
        assert 'no domain is called "x"' in pwsync("export", "two.yaml", "--domain", "x").err

    def test_part(self, pwsync: Command) -> None:
        """Base and filter choose; operational attributes come if asked for."""
        part = pwsync("export", "--base", "CN=Users,DC=contoso,DC=example", "--filter", "(cn=krbtgt)", "--operational")
        assert part.out.count("dn: ") == 1
        assert "\nuSNChanged: " in part.out

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--filter", "(("], "no filter"),
            (["--base", "CN=x"], "is not in contoso.example"),
            (["--domain", "a b"], "no name of a domain"),
            (["--users", "-1"], "--users"),
            (["--seed", "x"], "not a seed"),
            (["nothing.yaml"], "nothing.yaml"),
            (["x.yaml", "--users", "3"], "does not go with a file"),
            (["-o", "no/such/folder"], "No such file or directory"),
            (["-o", "."], "can't write"),
        ],
    )
    def test_refused(self, pwsync: Command, tmp_path: Path, arguments: list[str], message: str) -> None:
        """A bad option is refused with exit code 2, and nothing is printed or left behind."""
        output = pwsync("export", *arguments)
        assert (output.code, output.out) == (2, "")
        assert message in output.err
        assert os.listdir(tmp_path) == []

    def test_kept(self, pwsync: Command) -> None:
        """What was in the file stays if the export fails."""
        Path("a.ldif").write_text("before")
        assert pwsync("export", "--filter", "x", "-o", "a.ldif").code == 2
        assert Path("a.ldif").read_text() == "before"

    def test_interrupted(self, tmp_path: Path) -> None:
        """Ctrl-C in the middle leaves no file, whole or half, and exit code 130."""
        command = [sys.executable, "-W", "ignore", "-m", "simulator.cli", "directory", "export", "--users", "6000"]
        root = Path(__file__).parents[2]
        process = subprocess.Popen(
            [*command, "-o", str(tmp_path / "a.ldif")], cwd=root, stderr=subprocess.PIPE, start_new_session=True
        )
        deadline = time.monotonic() + 60
        while not os.listdir(tmp_path) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.002)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        if process.returncode:  # it may have been quicker
            assert process.returncode == 130
            assert os.listdir(tmp_path) == []
        else:
            assert os.listdir(tmp_path) == ["a.ldif"]


class TestCheck:
    def test_error(self, pwsync: Command) -> None:
        """The first thing that is wrong is told with file and line."""
        Path("bad.ldif").write_text(BAD)
        output = pwsync("check", "bad.ldif")
        assert (output.code, output.out) == (2, "")
        assert output.err == "error: the schema has no attribute 'mial'\n  = bad.ldif:3\n"

    def test_lenient(self, pwsync: Command) -> None:
        """What the schema does not know is passed over if told so, and said."""
        Path("bad.ldif").write_text(BAD.replace("objectClass: user", "objectClass: user\nuserPassword: x"))
        output = pwsync("check", "bad.ldif", "--lenient")
        assert output.out == (
            "bad.ldif:4: mial is passed over: the schema does not have it\n"
            "bad.ldif: 1 entry for contoso.example, of them 1 user, 1 with a password: can be loaded\n"
        )

    def test_domain(self, pwsync: Command) -> None:
        """The domain is that of the first entry, or the one named."""
        Path("a.ldif").write_text("dn: OU=x,DC=fabrikam,DC=test\nobjectClass: organizationalUnit\n")
        assert "for fabrikam.test" in pwsync("check", "a.ldif").out
        assert "is not below DC=contoso,DC=example" in pwsync("check", "a.ldif", "--domain", "contoso.example").err

    def test_standard_input(self, pwsync: Command, monkeypatch: pytest.MonkeyPatch) -> None:
        """A hyphen is standard input."""
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(BAD.encode())))
        assert "<standard input>:3" in pwsync("check", "-").err

    @pytest.mark.parametrize("content", [b"", b"\n\n", b"# nothing\n", b"version: 1\n"])
    def test_empty(self, pwsync: Command, content: bytes) -> None:
        """A file without entries can be loaded."""
        Path("a.ldif").write_bytes(content)
        assert pwsync("check", "a.ldif").out.startswith("a.ldif: 0 entries for contoso.example")

    @pytest.mark.parametrize("content", [b"\x00" * 100, b"\xff\xfe\x00", bytes(range(256)), b"dn: x", b"a" * 100_000])
    def test_garbage(self, pwsync: Command, content: bytes) -> None:
        """What is no LDIF is refused."""
        Path("a.ldif").write_bytes(content)
        assert pwsync("check", "a.ldif").code == 2

    def test_missing(self, pwsync: Command) -> None:
        """A file that is not there, and a folder, are refused."""
        assert "can't read" in pwsync("check", "a.ldif").err
        assert pwsync("check", ".").code == 2
