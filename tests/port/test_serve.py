"""``pwsync serve``: what it prints, serves, refuses, and how it ends."""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import ssl
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import RLock, Thread

import ldap3
import pytest
from port.lab import PATIENCE_SECONDS, ROOT

from simulator.certificates import Authority, is_ours
from simulator.cli.app import run_app
from simulator.served import RunningClock, Timetable

pytestmark = pytest.mark.filterwarnings("ignore:ssl.match_hostname:DeprecationWarning")

SCENARIO = """
scenario: Two controllers
why: They replicate.
rules: [delta.within-minutes]
given:
  forest: {domains: {contoso.example: {controllers: [dc1, dc2], replication-delay: 0s}}}
  users:
    - {name: alice, password: "Winter-2016!"}
    - {name: bob, password: "Winter-2016!", must-change: true}
timeline:
  - at: +2m
    expect: {cloud.sign-in: {user: alice, password: "Winter-2016!", result: ok}}
"""


class Served:
    """A running ``pwsync serve``, and what it has printed so far."""

    def __init__(self, process: subprocess.Popen[str], lines: list[str], folder: Path) -> None:
        self.process = process
        self.lines = lines
        self.text = "\n".join(lines)
        self.ports = [tuple(map(int, found)) for found in re.findall(r"^dc\S+ +(\d+) +(\d+)", self.text, re.MULTILINE)]
        self.password = re.search(r"^ +password +(.*)$", self.text, re.MULTILINE)[1]
        self.ca = folder / "pwsync-ca.pem"

    def connect(
        self, controller: int = 0, user: str = f"CN=Administrator,CN=Users,{ROOT}", password: str | None = None
    ):
        """A bound connection over LDAPS."""
        tls = ldap3.Tls(validate=ssl.CERT_REQUIRED, ca_certs_file=str(self.ca))
        server = ldap3.Server("localhost", self.ports[controller][1], use_ssl=True, tls=tls, get_info=ldap3.DSA)
        return ldap3.Connection(server, user, password or self.password, auto_bind=True)

    def end(self, how: int) -> int:
        """Send a signal and wait; the exit code."""
        self.process.send_signal(how)
        self.lines += self.process.communicate(timeout=PATIENCE_SECONDS)[0].splitlines()
        return self.process.returncode


@contextmanager
def serving(folder: Path, *arguments: str):
    """``pwsync serve --directory`` on free ports, once it has told that it stands."""
    command = [sys.executable, "-m", "simulator.cli", "serve", "--directory", "--ldap-port", "0", "--ldaps-port", "0"]
    process = subprocess.Popen(
        [*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=folder,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    try:
        lines: list[str] = []
        for line in process.stdout:
            lines.append(line.rstrip("\n"))
            if "Ctrl-C stops" in line:
                break
        else:
            raise AssertionError("\n".join(lines))
        yield Served(process, lines, folder)
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def scenario(tmp_path):
    path = tmp_path / "two.yaml"
    path.write_text(SCENARIO)
    return str(path)


class TestServing:
    @pytest.mark.parametrize(("how", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
    def test_default_domain(self, tmp_path, how, code):
        """A domain with invented people stands, tells how to reach it, and ends cleanly by SIGTERM and by Ctrl-C."""
        with serving(tmp_path, "--users", "7", "--at", "2017-01-13T09:00:00Z") as served:
            connection = served.connect()
            connection.search(ROOT, "(&(objectCategory=person)(department=*))", attributes=["cn"])
            assert len(connection.entries) == 7
            assert str(connection.server.info.other["currentTime"][0]).startswith("20170113090")
            connection.unbind()
            name, password = re.search(r"invented people: (\S+), password (\S+)", served.text).groups()
            served.connect(user=f"CONTOSO\\{name}", password=password).unbind()
            assert served.end(how) == code
            assert served.lines[-1] == "stopped"

    def test_command_to_try(self, tmp_path):
        """The command that it prints is one that works."""
        with serving(tmp_path, "--users", "3") as served:
            command = re.search(r"try +(.*)$", served.text, re.MULTILINE)[1]
            setting, *words = shlex.split(command)
            assert setting == "LDAPTLS_CACERT=pwsync-ca.pem"
            try:
                done = subprocess.run(
                    words, capture_output=True, text=True, cwd=tmp_path, check=False,
                    env={"PATH": os.environ["PATH"], "LDAPTLS_CACERT": "pwsync-ca.pem"},
                )  # fmt: skip
            except FileNotFoundError:
                pytest.skip("no ldapsearch here: install the package ldap-utils")
            assert (done.returncode, done.stdout.count("sAMAccountName: ") > 3) == (0, True)

    def test_scenario(self, tmp_path, scenario):
        """A scenario's world is served as it stands at +0s; its controllers replicate to each other."""
        with serving(tmp_path, scenario) as served:
            assert len(served.ports) == 2
            one, two = served.connect(0), served.connect(1)
            alice = f"CN=alice,OU=People,{ROOT}"
            served.connect(1, alice, "Winter-2016!").unbind()
            one.search(ROOT, "(sAMAccountName=bob)", attributes=["pwdLastSet"])
            assert one.response[0]["raw_attributes"]["pwdLastSet"] == [b"0"]
            one.modify(alice, {"displayName": [(ldap3.MODIFY_REPLACE, ["New"])]})
            deadline = datetime.now(UTC) + timedelta(seconds=PATIENCE_SECONDS)
            while not two.search(ROOT, "(displayName=New)") or not two.entries:
                assert datetime.now(UTC) < deadline, "the change never came to the other controller"
            one.unbind()
            two.unbind()
            assert served.end(signal.SIGTERM) == 0

    def test_authority_of_before_is_replaced(self, tmp_path):
        """A certificate that an earlier one wrote is written over."""
        (tmp_path / "pwsync-ca.pem").write_text(before := Authority().pem)
        with serving(tmp_path, "--users", "0") as served:
            assert served.ca.read_text() != before
            assert is_ours(served.ca.read_bytes())
            served.connect().unbind()


class TestRefusing:
    @pytest.fixture
    def refused(self, tmp_path, monkeypatch, capsys):
        """Runs the command, which must leave with 2, and returns what it said."""
        monkeypatch.chdir(tmp_path)

        def call(*arguments):
            assert run_app(["serve", *arguments]) == 2
            return capsys.readouterr().err

        return call

    def test_options_of_a_world(self, refused):
        """What only a whole world has does not go with --directory."""
        assert "do not go with --directory" in refused("--directory", "--with-agent")
        assert "do not go with --directory" in refused("--directory", "--pace", "0")

    @pytest.mark.parametrize(
        "at",
        ["x", "", "2017-01-13", "2017-01-13T09:00:00", "1999-12-31T23:59:59Z", "2100-01-01T00:00:00Z",
         "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2017-02-30T00:00:00Z"],
    )  # fmt: skip
    def test_times(self, refused, at):
        """A time that is none, has no zone, or lies where no certificate holds is refused."""
        assert "--at" in refused("--directory", "--at", at)

    def test_foreign_file(self, refused, tmp_path):
        """A file that is not ours is never written over, and a folder or a bad place is told."""
        (tmp_path / "pwsync-ca.pem").write_text("mine")
        assert "pwsync did not write it" in refused("--directory")
        assert (tmp_path / "pwsync-ca.pem").read_text() == "mine"
        assert "can't write" in refused("--directory", "--ca", ".")
        assert "can't write" in refused(
            "--directory", "--users", "0", "--ca", "no/such/ca.pem", "--ldap-port", "0", "--ldaps-port", "0"
        )

    def test_ports(self, refused):
        """A port that is taken is told by its number, and which options choose another."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            told = refused("--directory", "--users", "0", "--ldap-port", str(port), "--ldaps-port", "0")
        assert f"port {port} on 127.0.0.1 can not be had: Address already in use" in told
        assert "--ldap-port" in told

    def test_too_few_ports(self, refused, scenario):
        """So is a port beyond the last, which a further controller would get."""
        told = refused("--directory", scenario, "--ldap-port", "0", "--ldaps-port", "65535")
        assert "port 65536" in told or "port 65535" in told

    def test_files(self, refused, tmp_path, scenario):
        """Files that are none, folders, and people where a scenario has its own are refused."""
        assert "no file or folder" in refused("--directory", "nothing.yaml")
        assert "is a folder" in refused("--directory", str(tmp_path))
        assert "--users does not go with a file" in refused("--directory", scenario, "--users", "3")
        (tmp_path / "bad.yaml").write_text("scenario: x\n")
        assert "error" in refused("--directory", "bad.yaml")


class TestTime:
    def test_clock(self):
        """A served clock runs: from now, or from where it was told to begin."""
        assert RunningClock()() <= datetime.now(UTC)
        start = datetime(2017, 1, 13, tzinfo=UTC)
        clock = RunningClock(start)
        first = clock()
        assert start <= first <= clock()

    def test_timetable(self):
        """Calls are made in the order in which they are due, from the thread that runs the table, under its lock."""
        lock = RLock()
        table, made = Timetable(lock), []
        table.later(timedelta(seconds=0.02), lambda: made.append("later"))
        table.later(timedelta(0), lambda: made.append("first"))
        table.later(timedelta(0), lambda: made.append("second"))
        table.later(timedelta(seconds=0.03), table.stop)
        table.run()
        assert made == ["first", "second", "later"]

    def test_woken_by_another_thread(self):
        """A call that another thread adds is made while the table waits for nothing."""
        table, made = Timetable(RLock()), []
        runner = Thread(target=table.run)
        runner.start()
        table.later(timedelta(0), lambda: made.append("done"))
        table.later(timedelta(0), table.stop)
        runner.join(PATIENCE_SECONDS)
        assert (made, runner.is_alive()) == (["done"], False)
