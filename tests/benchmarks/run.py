"""The benchmarks: ratios measured in one run, printed as a table and as JSON.

    python tests/benchmarks/run.py [--json FILE] [--quick] [NAME ...]

Absolute times depend on the machine and are shown for orientation only; what counts are the ratios. Nothing here is a
test.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import freezegun.api
import ldap3
from ldap3.operation.modify import modify_operation
from ldap3.operation.search import search_operation
from ldap3.protocol.rfc4511 import LDAPMessage, MessageID, ProtocolOp
from ldap3.strategy.base import BaseStrategy
from ldap3.utils.asn1 import decode_message_fast, encode

from pwsync.credential import protect
from simulator.active_directory import encoding, schema
from simulator.active_directory.ldap import DirectoryConnection, connect
from simulator.active_directory.population import populate
from simulator.active_directory.state import Domain, Forest
from simulator.active_directory.values import all_octets as values_of
from simulator.azure_ad.policy import CloudPolicy
from simulator.clock import Clock
from simulator.frozen import held
from simulator.profile import PROFILE_2017
from simulator.random import Randomness
from simulator.scenario.file import load
from simulator.scenario.runner import RunOptions, run_case
from simulator.world import World

START = datetime(2017, 1, 13, 9, tzinfo=UTC)
PASSWORD = "Winter-2016!"
ROOT = Path(__file__).resolve().parents[2]


def now() -> float:
    """Real time in seconds, frozen or not."""
    return freezegun.api.real_perf_counter()


@dataclass
class Row:
    """One line of the table. ``ok`` says whether ``value`` reaches ``goal``."""

    what: str
    value: float
    unit: str
    goal: str
    ok: bool
    detail: str


@contextmanager
def world_of(users: int) -> Iterator[World]:
    """A world with invented users, its agent installed but not yet started to run."""
    world = World(start=START, seed=1, profile=PROFILE_2017, cloud_policy=CloudPolicy.of(PROFILE_2017), name="bench")
    forest = world.forests["contoso.example"] = Forest("contoso.example", world.clock, world.randomness)
    domain = forest.add_domain("contoso.example")
    for number in range(10):
        guid = domain.create_user(f"named{number}", PASSWORD, check_policy=False)
        world.add_person(f"named{number}", domain.name, guid)
    populate(domain, users - 10, world.randomness)
    world.configure_agent(world.make_settings())
    with world.frozen():
        yield world


class Starts:
    """Real times at which the agent's cycles began."""

    def __init__(self, world: World) -> None:
        self.at: dict[str, float] = {}
        world._cycle_started = self._note  # type: ignore[method-assign]

    def _note(self, kind: str) -> None:
        self.at[kind] = now()


def bare_rate(count: int) -> float:
    """PBKDF2 of ``count`` hashes on all cores, nothing else; hashes per second."""
    hashes = [number.to_bytes(16, "little") for number in range(count)]

    def work(part: list[bytes]) -> None:
        for nt in part:
            protect(nt, b"0123456789")

    workers = os.cpu_count() or 1
    parts = [hashes[start : start + 50] for start in range(0, count, 50)]
    with ThreadPoolExecutor(workers) as pool:
        began = now()
        list(pool.map(work, parts))
        return count / (now() - began)


def initial_rate(count: int) -> float:
    """Users a second in the first password cycle of many."""
    with world_of(count) as world:
        starts = Starts(world)
        world.host.install(express=True, password_sync=True, object_sync=True)
        gc.collect()
        world.host.run_due()
        seconds = now() - starts.at["password"]
        written = sum(1 for write in world.tenant.writes if write.by == "sync")
    assert written >= count, f"only {written} of {count} users were synchronized"
    return count / seconds


def initial(count: int, rounds: int = 5) -> Row:
    """The first password cycle of many users against the bare rate of the same hashes, measured before and after it."""
    found = []
    before = bare_rate(count)
    for _ in range(rounds):
        mine, after = initial_rate(count), bare_rate(count)
        found.append((mine * 2 / (before + after), mine, (before + after) / 2))
        before = after
    value, mine, bare = sorted(found)[rounds // 2]
    each = ", ".join(f"{ratio:.2f}" for ratio, _, _ in found)
    return Row("initial password sync", value, "of bare PBKDF2", ">= 0.5", value >= 0.5,
               f"{count} users at {mine:,.0f}/s; bare {bare:,.0f}/s; the median of {each}")  # fmt: skip


def delta_time(count: int, rounds: int) -> float:
    """Median seconds of a password cycle that carries ten changes among ``count`` users."""
    times = []
    with world_of(count) as world:
        world.host.install(express=True, password_sync=True, object_sync=True)
        world.host.run_due()
        domain = next(world.domains)
        gc.collect()
        gc.freeze()
        for turn in range(rounds):
            for number in range(10):
                domain.reset_password(f"named{number}", f"Spring-{turn:04d}!")
            world.run_until(START + timedelta(minutes=2 * turn + 1))
            world.move_to(START + timedelta(minutes=2 * turn + 2))
            if (turn + 1) % 15 == 0:
                world.host.run_due()  # the object cycle is due as well
                continue
            began = now()
            world.host.run_due()
            times.append(now() - began)
        gc.unfreeze()
    return statistics.median(times)


def delta(small: int, large: int) -> Row:
    """Ten changes among many users against ten among few."""
    few, many = delta_time(small, 60), delta_time(large, 60)
    value = many / few
    return Row("delta cycle, 10 changes", value, f"{large:,} over {small:,} users", "<= 1.2", value <= 1.2,
               f"{many * 1e3:.2f} ms over {few * 1e3:.2f} ms")  # fmt: skip


def stock_search(entries: int) -> float:
    """Median seconds of ldap3's own mock search for one changed entry."""
    server = ldap3.Server("mock", get_info=ldap3.OFFLINE_AD_2012_R2)
    connection = ldap3.Connection(server, client_strategy=ldap3.MOCK_SYNC)
    for number in range(entries):
        attributes = {"objectClass": "user", "sAMAccountName": f"u{number}", "uSNChanged": str(number)}
        connection.strategy.add_entry(f"cn=u{number},ou=people,dc=contoso,dc=example", attributes)
    connection.bind()
    times = []
    for _ in range(7):
        began = now()
        connection.search("dc=contoso,dc=example", f"(uSNChanged>={entries - 1})", attributes=["uSNChanged"])
        times.append(now() - began)
    return statistics.median(times)


def idle(entries: int) -> Row:
    """An idle password cycle against one stock mock search."""
    times = []
    with world_of(1000) as world:
        world.host.install(express=True, password_sync=True, object_sync=True)
        world.host.run_due()
        agent = world.host.agent
        for turn in range(14):
            world.move_to(START + timedelta(minutes=2 * turn + 2))
            began = now()
            agent.run_due()
            times.append(now() - began)
    mine, stock = statistics.median(times), stock_search(entries)
    value = stock / mine
    return Row("idle password cycle", value, "times faster than a stock search", ">= 400", value >= 400,
               f"{mine * 1e6:.0f} µs against {stock * 1e3:.1f} ms in {entries:,} entries")  # fmt: skip


def scenarios() -> Row:
    """Median wall time of the shipped scenarios."""
    times = []
    cases = [case for path in sorted((ROOT / "scenarios").rglob("*.yaml")) for case in load(path).cases]
    with held():
        for case in cases:
            run_case(case)
            times.append(min(run_case(case).seconds for _ in range(2)))
    value = statistics.median(times) * 1e3 if times else 0.0
    return Row("a scenario", value, "ms in the median", "<= 20", value <= 20,
               f"{len(times)} cases, slowest {max(times, default=0) * 1e3:.0f} ms")  # fmt: skip


QUARTER = """
    scenario: Ninety days
    why: A quarter of a year with a handful of changes.
    rules: [cycle.two-minutes]
    given:
      users:
        - {name: alice, password: "Winter-2016!"}
    timeline:
      - {at: +10d, do: {ad.change-password: {user: alice, password: "Spring-2017!"}}}
      - {at: +30d, do: {ad.reset-password: {user: alice, password: "Summer-2017!"}}}
      - {at: +60d, do: {ad.change-password: {user: alice, password: "Autumn-2017!"}}}
      - {at: +90d, expect: {cloud.sign-in: {user: alice, password: "Autumn-2017!", result: ok}}}
"""


def quarter(every_cycle: bool) -> Row:
    """Ninety days of cycles with a handful of changes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "quarter.yaml"
        path.write_text(textwrap.dedent(QUARTER))
        (case,) = load(path).cases
        result = run_case(case, RunOptions(every_cycle=every_cycle))
    assert result.outcome == "held", result
    goal = 6.0 if every_cycle else 0.5
    how = "every cycle" if every_cycle else "idle ones skipped"
    return Row(
        f"90 days of cycles, {how}", result.seconds, "s", f"<= {goal}", result.seconds <= goal, result.digest[:16]
    )


MEMORY = """
import sys, gc, resource
sys.path.insert(0, {root!r})
from tests.benchmarks.run import world_of
def rss():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()
import simulator.active_directory.population
with world_of(20) as world:
    world.host.install(express=True, password_sync=True, object_sync=True)
    world.host.run_due()
gc.collect()
before = rss()
count = {count}
with world_of(count) as world:
    tenant = world.tenant
    for domain in world.domains:
        for account in domain.accounts():
            from pwsync.tenant.messages import SyncObject, CredentialItem
            anchor = account.source_anchor
            tenant.apply_object(SyncObject(anchor, "User", "Set", {{
                "userPrincipalName": account.upn, "displayName": account.display_name, "accountEnabled": True,
                "onPremisesSamAccountName": account.name}}))
            digest = "v1;PPH1_MD4,%020x,1000,%064x;" % (account.usn, account.usn)
            tenant.apply_credential(CredentialItem(anchor, None, digest, world.clock()))
    gc.collect()
    print((rss() - before) / count)
"""


def memory(count: int) -> Row:
    """Bytes a user, directory and tenant together."""
    code = MEMORY.format(root=str(ROOT), count=count)
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    value = float(found.stdout.strip().splitlines()[-1])
    return Row("memory", value, f"bytes a user at {count:,}", "<= 4000", value <= 4000, "resident size, both doubles")


DIRECTORY_MEMORY = """
import sys, gc, resource
sys.path.insert(0, {root!r})
from tests.benchmarks.run import directory_of, rss
directory_of(100)
gc.collect()
before = rss()
domain = directory_of({count})
gc.collect()
print((rss() - before) / {count})
"""


def rss() -> int:
    """Resident size in bytes."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def directory_of(users: int) -> Domain:
    """A domain with an invented company."""
    domain = Forest("bench", Clock(START), Randomness(1)).add_domain("contoso.example")
    populate(domain, users, seed=1, profile="company")
    return domain


def directory_load(count: int) -> Row:
    """Inventing and loading a company, groups, contacts and computers included."""
    directory_of(200)  # faker's tables are read once
    times = []
    for _ in range(2):
        gc.collect()
        began, began_cpu = now(), time.process_time()
        directory_of(count)
        times.append((time.process_time() - began_cpu, now() - began))
    processor, wall = (seconds / count * 20_000 for seconds in min(times))
    return Row("load a company", processor, "s of a processor for 20,000 users", "<= 1.0", processor <= 1.0,
               f"at {count:,}; {wall:.2f} s on the wall")  # fmt: skip


def directory_memory(count: int) -> Row:
    """Bytes a user in the directory alone, with everything that a company has beside users."""
    code = DIRECTORY_MEMORY.format(root=str(ROOT), count=count)
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    value = float(found.stdout.strip().splitlines()[-1])
    return Row("memory, directory", value, f"bytes a user at {count:,}", "<= 3000", value <= 3000, "resident size")


@cache
def directory_connection(count: int) -> DirectoryConnection:
    """A connection to a controller with many users."""
    domain = directory_of(count)
    connection = connect(domain.controller(), "CONTOSO\\Administrator", domain.administrator_password)
    assert connection.bind()
    gc.collect()
    gc.freeze()
    return connection


def median_of(perform: Callable[[], object], rounds: int = 400) -> float:
    """Median seconds of a call."""
    times = []
    for _ in range(rounds):
        began = now()
        perform()
        times.append(now() - began)
    return statistics.median(times)


def codec(kind: str, build: Callable[[], Any], answers: list[bytes]) -> float:
    """Median seconds that ldap3 itself takes to make the octets of a request and to read those of the answers."""
    read = BaseStrategy(ldap3.Connection(ldap3.Server("bench", get_info=ldap3.NONE))).decode_response_fast

    def both() -> None:
        message = LDAPMessage()
        message["messageID"] = MessageID(7)
        message["protocolOp"] = ProtocolOp().setComponentByName(kind, build())
        encode(message)
        for octets in answers:
            read(decode_message_fast(octets))

    return median_of(both)


def directory_search(count: int) -> Row:
    """A search by USN that finds one entry, against ldap3's own work on the same messages."""
    connection = directory_connection(count)
    replica = connection.strategy.session.controller.replica
    entry = max(replica.by_guid.values(), key=lambda each: each.usn)
    wanted = ["sAMAccountName", "displayName", "userPrincipalName", "pwdLastSet", "objectGUID", "uSNChanged"]
    filtered, base = f"(uSNChanged>={entry.usn})", replica.root.dn
    mine = median_of(lambda: connection.search(base, filtered, attributes=wanted))
    assert [found["dn"] for found in connection.response if found["type"] == "searchResEntry"] == [entry.dn]
    values = [(schema.ATTRIBUTES[key], values_of(value)) for name in wanted
              if (value := entry.get(key := name.lower())) is not None]  # fmt: skip
    answers = [encoding.message(7, encoding.entry(entry.dn, values)), encoding.message(7, encoding.result(0x65, 0))]
    own = codec(
        "searchRequest",
        lambda: search_operation(base, filtered, "SUBTREE", 0, wanted, 0, 0, False, True, True, None, None, False),
        answers,
    )
    value = mine / own
    return Row("search by USN, one hit", value, "of ldap3's codec", "<= 3", value <= 3,
               f"{mine * 1e6:.0f} µs over {own * 1e6:.0f} µs at {count:,} users")  # fmt: skip


def directory_modify(count: int) -> Row:
    """A modify of one attribute, against ldap3's own work on the same messages."""
    connection = directory_connection(count)
    replica = connection.strategy.session.controller.replica
    dn = next(each.dn for each in reversed(replica.by_guid.values()) if each.kind.name == "user")
    numbers = iter(range(1_000_000))

    def modify() -> None:
        connection.modify(dn, {"description": [("MODIFY_REPLACE", [f"number {next(numbers)}"])]})

    mine = median_of(modify)
    assert connection.result["result"] == 0
    changes = {"description": [("MODIFY_REPLACE", ["number 400"])]}
    own = codec(
        "modifyRequest", lambda: modify_operation(dn, changes, True), [encoding.message(7, encoding.result(0x67, 0))]
    )
    value = mine / own
    return Row("modify one attribute", value, "of ldap3's codec", "<= 3", value <= 3,
               f"{mine * 1e6:.0f} µs over {own * 1e6:.0f} µs at {count:,} users")  # fmt: skip


def help_start() -> Row:
    """How long ``pwsync --help`` takes."""
    times = []
    for _ in range(7):
        began = now()
        subprocess.run([sys.executable, "-m", "simulator.cli", "--help"], capture_output=True, check=True)
        times.append(now() - began)
    value = statistics.median(times)
    return Row("pwsync --help", value, "s", "<= 0.3", value <= 0.3, "median of 7 processes")


def benchmarks(quick: bool) -> dict[str, Callable[[], Row]]:
    """All benchmarks by name; ``quick`` ones are small enough to see that they work."""
    large = 2_000 if quick else 100_000
    return {
        "initial": lambda: initial(1_000 if quick else 20_000),
        "delta": lambda: delta(1_000, large),
        "idle": lambda: idle(1_000 if quick else 10_000),
        "scenarios": scenarios,
        "quarter": lambda: quarter(every_cycle=False),
        "quarter-every": lambda: quarter(every_cycle=True),
        "memory": lambda: memory(large),
        "directory-load": lambda: directory_load(large),
        "directory-memory": lambda: directory_memory(large),
        "directory-search": lambda: directory_search(large),
        "directory-modify": lambda: directory_modify(large),
        "help": help_start,
    }


def wanted(name: str, known: Iterable[str]) -> list[str]:
    """The benchmarks of that name, or of the group: ``directory`` is all of ``directory-...``."""
    return [each for each in known if each == name or each.startswith(f"{name}-")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="benchmarks to run (default: all)")
    parser.add_argument("--json", type=Path, help="write the figures as JSON as well")
    parser.add_argument("--quick", action="store_true", help="small sizes")
    options = parser.parse_args()
    known = benchmarks(options.quick)
    rows = []
    for name in options.names:
        if not wanted(name, known):
            parser.error(f"no benchmark {name}; there are {', '.join(known)}")
    chosen = [each for name in options.names for each in wanted(name, known)]
    for name in chosen or known:
        row = known[name]()
        rows.append(row)
        mark = "ok  " if row.ok else "MISS"
        print(f"{mark} {row.what:<36} {row.value:>10.3f} {row.unit:<34} {row.goal:<9} {row.detail}", flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"cores {os.cpu_count()}, Python {sys.version.split()[0]}, peak {peak} MiB")
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")


if __name__ == "__main__":
    main()
