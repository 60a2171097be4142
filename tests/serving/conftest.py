"""Served worlds, and sessions that know them."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import requests

from simulator.scenario.file import load_text
from simulator.serving import agent_config
from simulator.serving.world import ServedWorld, serve_case

START = datetime(2017, 1, 13, 9, tzinfo=UTC)
WORLD = """
scenario: Two controllers and three people
why: They are served.
rules: [delta.within-minutes]
given:
  sync: installed
  forest: {domains: {contoso.example: {controllers: [dc1, dc2], replication-delay: 15s}}}
  users:
    - {name: alice, password: "Winter-2016!"}
    - {name: bob, password: "Winter-2016?"}
    - {name: carol, password: "Winter-2016.", enabled: false}
timeline:
  - {at: +2m, expect: {agent.alert: {is: none}}}
"""


class Served:
    """A served world with its files in a folder, and a session that trusts it and takes it as its proxy."""

    def __init__(self, served: ServedWorld, folder: Path) -> None:
        self.served, self.world, self.folder = served, served.world, folder
        self.authority = folder / "ca.pem"
        self.authority.write_text(served.authority.pem)
        self.config, self.store = folder / "agent.json", folder / "agent.db"
        agent_config.write(served, self.config, self.authority, self.store)
        self.session = self.client()

    def client(self, *, proxy: bool = True) -> requests.Session:
        session = requests.Session()
        session.trust_env = False
        session.verify = str(self.authority)
        if proxy:
            session.proxies = {"https": f"http://{self.served.url.removeprefix('https://')}"}
        return session

    def call(self, method: str, path: str, body: bytes | None = None) -> tuple[int, Any]:
        """Status and answer of the control endpoint, asked by a client that nothing stands between."""
        context = ssl.create_default_context(cafile=str(self.authority))
        connection = HTTPSConnection("127.0.0.1", self.served.https.port, context=context, timeout=60)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def get(self, path: str, status: int = 200, **query: Any) -> Any:
        """What the control endpoint tells."""
        found, answer = self.call("GET", f"{path}?{urlencode(query)}" if query else path)
        assert found == status, answer
        return answer

    def post(self, path: str, body: Any, status: int = 200) -> Any:
        """What the control endpoint answers to a body: JSON, or octets as they are."""
        found, answer = self.call("POST", path, body if isinstance(body, bytes) else json.dumps(body).encode())
        assert found == status, answer
        return answer


@pytest.fixture
def served_with(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Makes served worlds. Afterwards none has had a fault of its own, and no thread is left."""
    before = set(threading.enumerate())
    made: list[Served] = []
    with ExitStack() as stack:

        def make(text: str = WORLD, profile: str = "2017", **options: Any) -> Served:
            case = load_text(text, tmp_path / "world.yaml", profile=profile).cases[0]
            served = stack.enter_context(serve_case(case, **{"start": START, "pace": 0.0} | options))
            stack.callback(served.close_store)
            made.append(Served(served, tmp_path))
            stack.callback(made[-1].session.close)
            return made[-1]

        yield make
    for each in made:
        assert each.served.https.faults == 0
        assert [port.faults.count for port in each.served.directories] == [0] * len(each.served.directories)
    deadline = time.monotonic() + 30
    while set(threading.enumerate()) - before and time.monotonic() < deadline:
        time.sleep(0.02)
    assert set(threading.enumerate()) - before == set()


@pytest.fixture
def served(served_with: Callable[..., Served]) -> Served:
    """A served world whose time stands still."""
    return served_with()
