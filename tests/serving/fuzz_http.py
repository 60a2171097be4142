"""Fuzzes every HTTP surface of a served world: sign-in, Graph, provisioning, federation, control, replication.

``python tests/serving/fuzz_http.py [--requests N] [--seed N]`` prints figures and ends with 1 if something was wrong:
an exception, an answer that is not in the surface's own shape, a refused call that changed something, a token that
opened what it must not, or a port that broke. One request in fifty goes over a real TLS port.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import unquote_to_bytes
from xml.etree import ElementTree

if __package__ is None or __package__ == "":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from pynettcp import BinaryXmlReader
from serving.http_bending import MSBIN, Ask, Bender
from serving.http_seeds import ADMIN_HOST, Seeds

from simulator.azure_ad.state import Tenant
from simulator.azure_ad.tokens import TokenIssuer
from simulator.azure_ad.wire import Answer
from simulator.profile import PROFILE_CURRENT
from simulator.random import Randomness
from simulator.scenario.file import load_text
from simulator.serving.https import HangUp
from simulator.serving.world import ServedWorld, serve_case
from simulator.world import World

WORLD_REQUESTS = 1_000
"""A world is left after so many requests: what they have made of it is far from any that one would serve."""
OVER_TLS = 50
PROBLEMS_SHOWN = 20
START = datetime(2025, 4, 9, 9, tzinfo=UTC)
TEXT = """
scenario: A world to be fuzzed
why: It is served.
rules: [delta.within-minutes]
profile: [current]
given:
  forest: {domains: {contoso.example: {}, fabrikam.example: {}}}
  cloud: {domains: {fabrikam.example: federated}}
  users:
    - {name: alice, password: "Winter-2016!"}
    - {name: bob, password: "Winter-2016?"}
    - {name: carol, domain: fabrikam.example, password: "Winter-2016."}
timeline:
  - {at: +2m, expect: {agent.alert: {is: none}}}
"""


@dataclass
class Figures:
    """What happened: answers by surface and by status, and what was wrong."""

    requests: int = 0
    over_tls: int = 0
    hung_up: int = 0
    worlds: int = 0
    seconds: float = 0.0
    slowest: str = ""
    slowest_seconds: float = 0.0
    by_surface: Counter[str] = field(default_factory=Counter)
    by_status: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


class Listener(logging.Handler):
    """Keeps the tracebacks that are logged."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.told: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.told.append(self.format(record)[-1500:])


class Fuzzer:
    """One run of so many requests, or until so many problems are found."""

    def __init__(self, requests: int, seed: int, problems_max: int = PROBLEMS_SHOWN) -> None:
        self.problems_max = problems_max
        self.random = Random(seed)
        self.wanted, self.seed = requests, seed
        self.figures = Figures()

    def run(self) -> Figures:
        """Send everything; the figures tell how it went."""
        began, listener = time.perf_counter(), Listener()
        logger = logging.getLogger("simulator")
        logger.addHandler(listener)
        try:
            while self.figures.requests < self.wanted and len(self.figures.problems) < self.problems_max:
                self._world(min(WORLD_REQUESTS, self.wanted - self.figures.requests), listener)
        finally:
            logger.removeHandler(listener)
        self.figures.seconds = round(time.perf_counter() - began, 1)
        return self.figures

    def _world(self, count: int, listener: Listener) -> None:
        self.figures.worlds += 1
        loaded = load_text(TEXT, Path("scenarios/fuzzed.yaml"))
        with ExitStack() as stack:
            served = serve_case(
                loaded.cases[0], start=START, seed=self.random.randrange(1 << 30), hosted=True, pace=0.0
            )
            stack.callback(served.close_store)
            stack.enter_context(served)
            other = TokenIssuer(
                served.world.clock, Tenant(served.world.clock, Randomness(99), PROFILE_CURRENT).tenant_id
            )
            seeds, bender = Seeds(served.world, other, self.random), Bender(self.random)
            for _ in range(count):
                if len(self.figures.problems) >= self.problems_max:
                    return
                before = state(served.world)
                ask = bender.bend(seeds.make())
                problem = self._one(served, ask, before)
                if listener.told:
                    problem = f"an exception\n{listener.told.pop()}"
                if problem:
                    self._note(ask, problem)
                    listener.told.clear()
                served.time.set_pace(0.0)
                served.world.network.faults.clear()
                served.world.network.down.clear()
            if served.https.faults:
                self.figures.problems.append(f"the port counts {served.https.faults} faults")

    def _note(self, ask: Ask, problem: str) -> None:
        kind = problem.partition("\n")[0][:40]
        if any(kind in each for each in self.figures.problems[3:]):
            return
        url = f"https://{ask.host}{ask.path[:200]}?{ask.query[:100]}"
        told = f"request {self.figures.requests}, seed {self.seed}: {problem}"
        self.figures.problems.append(f"{told}\n  {ask.method} {url} [{ask.token}] {ask.body[:300]!r}")

    def _one(self, served: ServedWorld, ask: Ask, before: Any) -> str | None:
        self.figures.requests += 1
        began = time.perf_counter()
        try:
            if self.figures.requests % OVER_TLS:
                answer = served.https.answer(environ_of(ask))
            else:
                answer = over_tls(served, ask)
                self.figures.over_tls += 1
        except (HangUp, HTTPException, ConnectionError):
            self.figures.hung_up += 1
            return None
        taken = time.perf_counter() - began
        if taken > self.figures.slowest_seconds:
            self.figures.slowest_seconds, self.figures.slowest = (
                round(taken, 3),
                f"{ask.method} {ask.host}{ask.path[:60]}",
            )
        self.figures.by_surface[surface_of(ask)] += 1
        self.figures.by_status[f"{surface_of(ask)} {answer.status}"] += 1
        return judge(ask, answer) or changed(ask, answer, before, served.world)


def environ_of(ask: Ask) -> dict[str, Any]:
    """The WSGI environment of a request, as the port makes it."""
    environ: dict[str, Any] = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in ask.headers.items()}
    return environ | {
        "REQUEST_METHOD": ask.method,
        "HTTP_HOST": ask.host,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "443",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "SCRIPT_NAME": "",
        "QUERY_STRING": ask.query,
        "PATH_INFO": unquote_to_bytes(ask.path).decode("latin-1"),
        "CONTENT_TYPE": ask.headers.get("Content-Type", ""),
        "CONTENT_LENGTH": str(len(ask.body)),
        "wsgi.input": BytesIO(ask.body),
        "wsgi.url_scheme": "https",
    }


def over_tls(served: ServedWorld, ask: Ask) -> Answer:
    """The same over a connection of its own; a head that HTTP has no place for is left out."""
    from ssl import create_default_context

    context = create_default_context(cadata=served.authority.pem)
    connection: HTTPConnection = HTTPSConnection("localhost", served.https.port, context=context, timeout=60)
    headers = {name: value for name, value in ask.headers.items() if value.isascii() and value.isprintable()}
    path = f"{ask.path}{'?' if ask.query else ''}{ask.query}"
    try:
        connection.request(ask.method, path, ask.body, {"Host": ask.host, **headers})
        found = connection.getresponse()
        return Answer(found.status, found.getheaders(), found.read())
    finally:
        connection.close()


def surface_of(ask: Ask) -> str:
    """What the request is for."""
    if ask.host != "localhost":
        return ask.host.split(".")[0]
    return "replication" if ask.path.startswith("/replication/") else "control"


def judge(ask: Ask, answer: Answer) -> str | None:
    """What is wrong with an answer by itself."""
    if b"Traceback" in answer.body:
        return "a traceback in the answer"
    headers = {name.lower(): value for name, value in answer.headers}
    kind = headers.get("content-type", "").partition(";")[0]
    if answer.status < 400:
        closed = ask.token in ("none", "other-tenant", "forged")
        if closed and ask.host == "graph.microsoft.com" and answer.body:
            return f"status {answer.status} with a token of kind {ask.token}"
        if ask.host == ADMIN_HOST and ask.token in ("none", "other-tenant", "forged", "user"):
            return f"status {answer.status} with a token of kind {ask.token}"
        return None
    if ask.method == "HEAD":
        return None
    return _misshapen(ask, answer, kind)


def _misshapen(ask: Ask, answer: Answer, kind: str) -> str | None:
    """Whether a refusal is not in the surface's own words."""
    found: Any = None
    if kind == MSBIN:
        names = [event[2] for event in BinaryXmlReader(answer.body).read() if event[0] == "start"]
        return None if "Fault" in names and "Text" in names else f"status {answer.status} and no fault"
    if kind == "application/soap+xml":
        return None if ElementTree.fromstring(answer.body).find(".//{*}Fault") is not None else "no fault"
    if answer.status >= 500 and answer.status != 501:
        return f"status {answer.status} {answer.body[:200]!r}"
    if kind == "text/html":
        return None if b"</html>" in answer.body else "no page"
    if ask.host.startswith("adfs.") and not answer.body:
        return None
    if kind == "application/json":
        found = json.loads(answer.body)
    error = found.get("error") if isinstance(found, Mapping) else None
    if ask.host.startswith("login.") and isinstance(error, str):
        return None if found.get("error_description") else "an error without a description"
    if isinstance(error, Mapping) and error.get("code") and error.get("message"):
        return None
    return f"status {answer.status} in the shape of nobody: {kind} {answer.body[:200]!r}"


def changed(ask: Ask, answer: Answer, before: Any, world: World) -> str | None:
    """Whether a refused call has changed what it was refused to change."""
    if answer.status < 400:
        return None
    if ask.path.startswith("/actions") and answer.status == 409:
        return None  # a list of actions is done until one is refused
    after = state(world)
    if after == before:
        return None
    lost = [f"{old!r:.300} -> {new!r:.300}" for old, new in zip(before, after, strict=True) if old != new]
    return f"status {answer.status} changed {lost}"


def state(world: World) -> tuple[Any, ...]:
    """What a refused call must leave alone; counters of failed sign-ins are its own business."""
    tenant = world.tenant
    return (
        world.clock(),
        [
            (
                u.id,
                u.upn,
                u.enabled,
                u.display_name,
                u.credential,
                u.must_change,
                u.password_policies,
                u.role,
                u.details,
                u.deleted_at,
                u.revocation,
            )
            for u in tenant.users.everybody()
        ],
        [(each.id, each.deleted, len(each.attributes)) for each in tenant.objects.others],
        (
            set(tenant.features),
            tenant.other_features,
            tenant.synchronization.enabled,
            len(tenant.writes),
            tenant.last_ping,
        ),
        [
            (domain.name, [(each.name, each.nt_hash, each.dn, each.enabled) for each in domain.accounts()])
            for domain in world.domains
        ],
        len(world.network.faults),
    )


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    figures = Fuzzer(options.requests, options.seed).run()
    print(json.dumps({**figures.__dict__, "by_status": dict(sorted(figures.by_status.items()))}, indent=1))
    return 1 if figures.problems else 0


if __name__ == "__main__":
    sys.exit(main())
