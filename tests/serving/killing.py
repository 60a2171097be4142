"""Kills a real agent process at random moments of a run of changes, and sees what becomes of directory and tenant.

The world is served in this process; the agent is ``pwsync agent run`` in one of its own, over LDAPS, HTTPS and a store
on a disk. Time stands still and moves on as soon as the agent waits for it, so that cycles follow each other. Changes
are made in the midst of the agent's calls. The moments of the kills are drawn from a seed: before a call reaches the
world, after it did and before its answer, or some milliseconds after the answer, where the agent works on its store.

    python tests/serving/killing.py [--kills 200] [--changes 300] [--users 30] [--seed 1]
"""

from __future__ import annotations

import argparse
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from threading import Event, RLock, Timer
from typing import Any

from pwsync.operator_port import NotRunning, ask
from pwsync.service import events_of
from pwsync.store_view import look
from simulator.serving import agent_config
from simulator.serving.world import ServedWorld, default_case, serve_case

START = datetime(2017, 1, 13, 9, tzinfo=UTC)
CYCLE = timedelta(minutes=2)
PATIENCE_SECONDS = 120.0
CALLS_MAX = 16
"""A life ends at one of its first so many calls at the latest."""
WRITES = ("ProvisionCredentials", "ProvisionAzureADSyncObjects")
"""Every other kill is aimed at one of these."""
LAUNCHER = """
import sys
import msal, pwsync.service, pwsync.tenant.provisioning, pwsync.tenant.tokens
from simulator.cli.app import run_app
sys.stdin.readline()
sys.exit(run_app(sys.argv[1:]))
"""
"""Has everything imported before it is told to begin: the next agent is there as soon as the last one is gone."""


@dataclass
class Report:
    """What happened, and what is wrong in the end."""

    kills: int = 0
    changes: int = 0
    seconds: float = 0.0
    moments: Counter[str] = field(default_factory=Counter)
    writes: int = 0
    repeated: int = 0
    wrong: list[str] = field(default_factory=list)


class Killer:
    """One run."""

    def __init__(self, served: ServedWorld, folder: Path, seed: int) -> None:
        self.served, self.world, self.folder = served, served.world, folder
        self.random = Random(seed)
        self.report = Report()
        self.domain = self.world.domain("contoso.example")
        self.deleted: list[str] = []
        self._lock = RLock()
        self._answer = served.https.application
        served.https.application = self._call
        self._reset()
        self._spare = self._launch()

    # --- the agent's lives

    def _launch(self) -> subprocess.Popen[str]:
        command = [
            sys.executable,
            "-c",
            LAUNCHER,
            "agent",
            "run",
            "--quiet",
            "--config",
            str(self.folder / "agent.json"),
        ]
        return subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        )  # fmt: skip

    @contextmanager
    def _life(self) -> Iterator[subprocess.Popen[str]]:
        process, self._spare = self._spare, self._launch()
        try:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            self._said = process.communicate(timeout=PATIENCE_SECONDS)[0]

    def _reset(self) -> None:
        self._calls, self._victim, self._moment = 0, 0, ("", 0, 0.0)
        self._changes: dict[int, int] = {}
        self._aimed = False
        self._kind = ""
        self._dead = Event()

    def live_and_die(self, changes: int) -> None:
        """One life, with so many changes in it, ended by SIGKILL."""
        where = self.random.choice(("before a call", "before its answer", "after its answer", "after its answer"))
        number = self.random.randint(1, CALLS_MAX)
        aimed = self.random.random() < 0.5
        times = [self.random.randint(1, 3 if aimed else number) for _ in range(changes)]
        delay = self.random.uniform(0.0, 0.04)
        with self._lock:
            self._reset()
            self._moment, self._aimed = (where, number + CALLS_MAX * aimed, delay), aimed
            self._changes = dict(Counter(times))
        with self._life() as process:
            self._victim = process.pid
            deadline = time.monotonic() + PATIENCE_SECONDS
            while not self._dead.wait(0.5) and process.poll() is None and time.monotonic() < deadline:
                continue
            if self._dead.is_set():
                process.wait(PATIENCE_SECONDS)
        if process.returncode != -signal.SIGKILL:
            self.report.wrong.append(f"a life ended by itself with {process.returncode}: {self._said}")
        self.report.kills += 1
        self.report.moments[f"{where}: {self._kind}"] += 1

    def live_on(self) -> None:
        """The last life: until everything has arrived, and a stop."""
        with self._lock:
            self._reset()
        with self._life() as process:
            self._victim = process.pid
            deadline = time.monotonic() + PATIENCE_SECONDS
            while (self.differences() or not self._runs()) and time.monotonic() < deadline:
                time.sleep(0.1)
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE_SECONDS)
        if process.returncode != 0:
            self.report.wrong.append(f"the last life ended with {process.returncode}: {self._said}")

    def _runs(self) -> bool:
        """Whether the agent is there for its operator, and so for signals."""
        try:
            return ask(self.folder / "agent.db", "status")["password"] is not None
        except NotRunning:
            return False

    def close(self) -> None:
        """End the process that waits for its turn."""
        self._spare.kill()
        self._spare.communicate()

    # --- what happens at a call

    def _call(self, environ: Mapping[str, Any]) -> Any:
        if environ["PATH_INFO"] == "/time" and "until" in environ["QUERY_STRING"]:
            self.served.time.advance(CYCLE)  # the agent waits: there is nothing to break in that
            return self._answer(environ)
        with self._lock:
            self._calls += 1
            number, (where, last, delay) = self._calls, self._moment
            changes = self._changes.pop(number, 0)
        for _ in range(changes):
            self.change()
        here = number == last or (self._aimed and kind_of(environ) in WRITES and not self._changes)
        if here:
            self._aimed, self._moment = False, ("", 0, 0.0)  # once
            self._kind = kind_of(environ)
        if here and where == "before a call":
            self._kill()
        answer = self._answer(environ)
        if here and where == "before its answer":
            self._kill()
        if here and where == "after its answer":
            Timer(delay, self._kill).start()
        return answer

    def _kill(self) -> None:
        os.kill(self._victim, signal.SIGKILL)
        self._dead.set()

    # --- changes

    def change(self) -> None:
        """Somebody's password changes, somebody comes, or somebody goes."""
        world, random = self.world, self.random
        with self.served.time:
            self.report.changes += 1
            self.served.time.advance(timedelta(seconds=random.randint(1, 3)))
            people = sorted(set(world.people) - set(self.deleted))
            password = f"Pw-{self.report.changes}-{random.randrange(10**9)}!"
            dice = random.random()
            if dice < 0.06:
                name = f"new{self.report.changes}"
                world.passwords.learn(name, password)
                guid = self.domain.create_user(name, password)
                world.add_person(name, self.domain.name, guid).upn = f"{name}@{self.domain.name}"
            elif dice < 0.09 and len(people) > 5:
                name = random.choice(people)
                self.domain.delete_user(name)
                self.deleted.append(name)
            else:
                name = random.choice(people)
                world.passwords.learn(name, password)
                self.domain.reset_password(name, password)

    # --- what came of it

    def differences(self) -> list[str]:
        """Where directory and tenant do not agree."""
        found, world = [], self.world
        with self.served.time:
            for name in world.people:
                user = world.cloud_user(name)
                if name in self.deleted:
                    if user is not None:
                        found.append(f"{name} is still in the tenant")
                    continue
                if user is None or user.credential is None:
                    found.append(f"{name} was forgotten")
                    continue
                wanted = world.passwords.password_of_hash(name, world.account(name).nt_hash)
                if world.passwords.identify(name, user.credential) != wanted:
                    found.append(f"{name} has another password in the tenant")
        return found

    def judge(self) -> Report:
        """Everything that must hold in the end."""
        report, world = self.report, self.world
        report.wrong += self.differences()
        held: dict[str, list[int]] = {}
        for write in world.writes():
            name = world.handle_of_cloud_id(write.user_id)
            if write.by == "sync" and name is not None:
                password = world.passwords.identify(name, write.credential)
                if password is None:
                    report.wrong.append(f"{name} got what is no password of theirs")
                    continue
                held.setdefault(name, []).append(int(world.passwords.label(name, password).rpartition("#")[2]))
        for name, numbers in held.items():
            report.writes += len(numbers)
            report.repeated += len(numbers) - len(set(numbers))
            if numbers != sorted(numbers):
                report.wrong.append(f"{name}'s passwords were reordered: {numbers}")
        store = self.folder / "agent.db"
        view = look(store)
        if view.pending or any(domain.waiting for domain in view.domains):
            report.wrong.append(f"the agent still has pending: {view.pending}")
        with sqlite3.connect(store) as connection:
            (state,) = connection.execute("PRAGMA integrity_check").fetchone()
        connection.close()
        if state != "ok":
            report.wrong.append(f"the store is damaged: {state}")
        if not events_of(store).exists():
            report.wrong.append("there is no event log")
        if self.served.https.faults or any(port.faults.count for port in self.served.directories):
            report.wrong.append("the served world had faults of its own")
        return report


def kind_of(environ: Mapping[str, Any]) -> str:
    """What a call is, in a word or two."""
    path = str(environ["PATH_INFO"])
    if path.startswith("/replication/"):
        return path.rpartition("/")[2]
    if environ["HTTP_HOST"].startswith("login."):
        return "sign-in"
    return str(environ.get("HTTP_X_MS_AADMSODS_APIACTION") or path)


def run(
    kills: int, changes: int, users: int, seed: int, folder: Path, told: Callable[[int, Report], None] | None = None
) -> Report:
    """A whole run; ``told`` hears of every kill."""
    began = time.monotonic()
    served = serve_case(default_case("2017"), start=START, seed=seed, users=users, pace=0.0)
    try:
        with served:
            (folder / "ca.pem").write_text(served.authority.pem)
            agent_config.write(served, folder / "agent.json", folder / "ca.pem", folder / "agent.db")
            killer = Killer(served, folder, seed)
            try:
                for number in range(kills):
                    killer.live_and_die(changes * (number + 1) // kills - changes * number // kills)
                    if told is not None:
                        told(number + 1, killer.report)
                while killer.report.changes < changes:
                    killer.change()
                killer.live_on()
                report = killer.judge()
            finally:
                killer.close()
    finally:
        served.close_store()
    report.seconds = time.monotonic() - began
    return report


def main() -> int:
    """The command line; 1 if something is wrong in the end."""
    parser = argparse.ArgumentParser(description="Kill a real agent process at random moments.")
    for name, default in (("kills", 200), ("changes", 300), ("users", 30), ("seed", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    chosen = parser.parse_args()

    def told(number: int, report: Report) -> None:
        if number % 20 == 0:
            print(f"{number} kills, {report.changes} changes, {len(report.wrong)} wrong", flush=True)

    with TemporaryDirectory() as folder:
        report = run(chosen.kills, chosen.changes, chosen.users, chosen.seed, Path(folder), told)
    print(f"\nseed {chosen.seed}: {report.kills} kills, {report.changes} changes, {report.seconds:.0f} s")
    print(f"{report.writes} passwords written in the tenant, {report.repeated} of them once more after a kill")
    for moment, count in sorted(report.moments.items()):
        print(f"{count:>5}  killed {moment}")
    for each in report.wrong:
        print(f"WRONG  {each}")
    print("directory and tenant agree" if not report.wrong else f"{len(report.wrong)} things are wrong")
    return 1 if report.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
