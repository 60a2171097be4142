"""``pwsync serve`` of a whole world: what it prints and writes, what it refuses, and how it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pwsync.config_file import load
from simulator.cli.app import run_app
from simulator.refusal import Refusal

PATIENCE_SECONDS = 60.0
SCENARIO = """
scenario: A settled world
why: It is served with an agent within.
rules: [delta.within-minutes]
profile: [2017, current]
given:
  users:
    - {name: alice, password: "Winter-2016!"}
timeline:
  - {at: +2m, expect: {cloud.sign-in: {user: alice, password: "Winter-2016!", result: ok}}}
"""


class Running:
    """A running ``pwsync serve``."""

    def __init__(self, process: subprocess.Popen[str], lines: list[str], folder: Path) -> None:
        self.process, self.text, self.folder = process, "\n".join(lines), folder
        found = re.search(r"^control +(https://\S+)", self.text, re.MULTILINE)
        assert found, self.text
        self.url = found[1]

    def ask(self, path: str, body: Any = None) -> Any:
        context = ssl.create_default_context(cafile=str(self.folder / "pwsync-ca.pem"))
        data = None if body is None else json.dumps(body).encode()
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        with opener.open(urllib.request.Request(self.url + path, data), timeout=60) as answer:
            return json.loads(answer.read())

    def end(self, how: int) -> tuple[int, str]:
        self.process.send_signal(how)
        told = self.process.communicate(timeout=PATIENCE_SECONDS)[0]
        return self.process.returncode, told.splitlines()[-1]


@contextmanager
def serving(folder: Path, *arguments: str) -> Iterator[Running]:
    """``pwsync serve`` on free ports, once it has told that it stands."""
    ports = ("--https-port", "0", "--ldap-port", "0", "--ldaps-port", "0")
    process = subprocess.Popen(
        [sys.executable, "-m", "simulator.cli", "serve", *ports, *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=folder,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    try:
        assert process.stdout is not None
        lines: list[str] = []
        for line in process.stdout:
            lines.append(line.rstrip("\n"))
            if "Ctrl-C stops" in line:
                break
        yield Running(process, lines, folder)
    finally:
        process.kill()
        process.communicate()


class TestServing:
    def test_default_world(self, tmp_path: Path) -> None:
        """Invented people stand in the directory; an agent that is run with the file that was written finds them."""
        with serving(tmp_path, "--users", "4", "--at", "2017-01-13T09:00:00Z", "--pace", "0") as world:
            assert world.ask("/time") == {"now": "2017-01-13T09:00:00+00:00", "pace": 0}
            assert len(world.ask("/users")["users"]) == 4
            assert "try         pwsync agent run --config pwsync-agent.json" in world.text
            configuration = load(tmp_path / "pwsync-agent.json")
            assert (configuration.clock, configuration.store) == (world.url, tmp_path / "pwsync-agent.db")
            domain = configuration.settings.connectors[0].domain
            world.ask("/actions", {"ad.set-connector-password": {"domain": domain, "known-to-agent": True}})
            again = load(tmp_path / "pwsync-agent.json").settings.connectors[0].password
            assert again != configuration.settings.connectors[0].password
            assert world.ask("/agent")["connectors"][0]["password"] == again
            assert world.end(signal.SIGTERM) == (0, "stopped")

    def test_scenario_with_an_agent(self, tmp_path: Path) -> None:
        """A scenario's settled world has its agent within, which acts as time is moved."""
        (tmp_path / "world.yaml").write_text(SCENARIO)
        with serving(tmp_path, "world.yaml", "--with-agent", "--pace", "0", "--profile", "current") as world:
            assert world.ask("/users/alice")["tenant"]["password"] == "alice#1"
            world.ask("/actions", {"ad.reset-password": {"user": "alice", "password": "Spring-2017!"}})
            world.ask("/time", {"advance": "2m"})
            assert world.ask("/users/alice")["tenant"]["password"] == "alice#2"
            assert not (tmp_path / "pwsync-agent.json").exists()
            with pytest.raises(urllib.error.HTTPError, match="409"):
                world.ask("/actions", {"agent.set-password-interval": {"every": "1m"}})
            assert world.end(signal.SIGINT) == (130, "stopped")


class TestRefusing:
    @pytest.fixture
    def refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> Callable[..., str]:
        """Runs the command, which must leave with 2, and returns what it said."""
        monkeypatch.chdir(tmp_path)

        def call(*arguments: str) -> str:
            assert run_app(["serve", *arguments]) == 2
            return capsys.readouterr().err

        return call

    def test_files(self, refused: Callable[..., str], tmp_path: Path) -> None:
        """Files that are none, folders, foreign files in the place of ours, and other profiles are refused."""
        assert "no file or folder" in refused("nothing.yaml")
        assert "is a folder" in refused(str(tmp_path))
        assert 'no profile "2018"' in refused("--profile", "2018")
        (tmp_path / "world.yaml").write_text(SCENARIO.replace("[2017, current]", "2017"))
        assert "not written for profile current" in refused("world.yaml", "--profile", "current")
        (tmp_path / "pwsync-agent.json").write_text("{}")
        assert "pwsync did not write it" in refused()
        assert (tmp_path / "pwsync-agent.json").read_text() == "{}"
        free = ("--https-port", "0", "--ldap-port", "0", "--ldaps-port", "0", "--users", "0")
        assert "can't write" in refused("--config", "no/such/agent.json", *free)


@pytest.mark.parametrize(("throttle", "taken"), [(False, True), (True, False)])
def test_throttle(served_with: Callable[..., Any], throttle: bool, taken: bool) -> None:
    """With the throttle the tenant is busy after 7,000 writes in five minutes; what the world's setup wrote is free."""
    conditions = served_with(hosted=True, throttle=throttle).world.tenant.synchronization
    conditions.count_writes(7_000)
    try:
        conditions.count_writes(1)
        again = True
    except Refusal as refusal:
        again = refusal.data["fault"] != "81"
    assert again is taken
