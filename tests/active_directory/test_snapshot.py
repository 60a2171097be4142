"""Snapshots of a forest: what is restored goes on as the original would have, and nobody's garbage is taken for one."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import stat
import struct
import subprocess
import sys
import zlib
from datetime import timedelta
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.active_directory import snapshot, snapshot_format
from simulator.active_directory.passwords import PasswordSet
from simulator.active_directory.population import populate
from simulator.active_directory.replica import Entry
from simulator.active_directory.snapshot import SnapshotError
from simulator.active_directory.snapshot_format import VERSION, unpack
from simulator.active_directory.state import DomainPolicy, FineGrainedPolicy, Forest
from simulator.clock import Clock
from simulator.random import Randomness
from simulator.refusal import Refusal

from .conftest import PASSWORD, START, Lab

HEAD = struct.Struct(">16sHQ32s")
OTHER = "child.contoso.example"


class Site:
    """A forest of two domains, one of them with two controllers, whose replication takes its time."""

    def __init__(self) -> None:
        self.clock = Clock(START)
        self.waiting: list[tuple[Any, Any]] = []
        self.forest = Forest("forest", self.clock, Randomness(1), self.later)
        self.forest.add_domain("contoso.example", DomainPolicy(history=3), controllers=("dc1", "dc2"))
        self.forest.add_domain(OTHER)

    def later(self, delay: timedelta, perform: Any) -> None:
        self.waiting.append((self.clock() + delay, perform))

    def restored(self) -> Site:
        """Another site that goes on where this one stands."""
        other = Site.__new__(Site)
        other.clock, other.waiting = Clock(self.clock()), []
        other.forest = snapshot.load(self.forest.snapshot(), other.clock, schedule=other.later)
        return other

    def do(self, step: tuple[Any, ...]) -> object:
        """Perform a step and return what came of it."""
        kind, name, *more = step
        domain = self.forest.domains["contoso.example"]
        try:
            if kind == "wait":
                return self.wait(name)
            if kind == "create":
                return domain.create_user(name, PASSWORD, on=more[0], check_policy=False)
            if kind == "other":
                return self.forest.domains[OTHER].create_user(name, PASSWORD, check_policy=False)
            if kind == "reset":
                return domain.reset_password(name, f"Spring-{more[1]:04d}!", on=more[0])
            if kind == "logon":
                return domain.logon(name, f"Wrong-{more[1]}", on=more[0])
            if kind == "move":
                return domain.move_user(name, f"OU=Unit {more[1]}", on=more[0])
            if kind == "delete":
                return domain.delete_user(name, on=more[0])
            assert kind == "policy"
            return domain.set_policy(min_length=more[1] % 9)
        except Refusal as refusal:
            return refusal.reason

    def wait(self, seconds: int) -> None:
        until = self.clock() + timedelta(seconds=seconds)
        while due := [each for each in self.waiting if each[0] <= until]:
            first = min(due, key=lambda each: each[0])
            self.waiting.remove(first)
            self.clock.move_to(max(first[0], self.clock()))
            first[1]()
        self.clock.move_to(until)


NAMES = st.sampled_from(["ann", "bob", "Zoë"])
HOSTS = st.sampled_from(["dc1", "dc2"])
STEPS = st.one_of(
    st.tuples(st.just("wait"), st.integers(1, 30)),
    st.tuples(st.sampled_from(["create", "delete"]), NAMES, HOSTS),
    st.tuples(st.just("other"), NAMES),
    st.tuples(st.sampled_from(["reset", "logon", "move", "policy"]), NAMES, HOSTS, st.integers(0, 3)),
)


def answers(lab: Lab) -> list[Any]:
    """All that an administrator is shown of a domain, tombstones too."""
    connection = lab.administrator()
    connection.search(
        "DC=contoso,DC=example", "(objectClass=*)", attributes=["*", "memberOf", "replPropertyMetaData"],
        controls=[("1.2.840.113556.1.4.417", True, None)],
    )  # fmt: skip
    return [(found["type"], found.get("dn"), found.get("raw_attributes")) for found in connection.response]


class TestRestored:
    """What comes back."""

    @settings(max_examples=40, deadline=None)
    @given(st.lists(STEPS, max_size=12), st.lists(STEPS, max_size=12))
    def test_goes_on_alike(self, before, after):
        """The same doings after a restore have the same results, to the last octet of another snapshot."""
        site = Site()
        for step in before:
            site.do(step)
        other = site.restored()
        assert other.forest.snapshot() == site.forest.snapshot()
        for step in after:
            assert other.do(step) == site.do(step)
        assert other.forest.snapshot() == site.forest.snapshot()

    @settings(max_examples=25, deadline=None)
    @given(st.lists(STEPS, max_size=10), st.lists(STEPS, max_size=10))
    def test_in_place(self, before, after):
        """A forest that is put back is as it was, and does the same again."""
        site = Site()
        for step in before:
            site.do(step)
        taken, now = site.forest.snapshot(), site.clock()
        done = [site.do(step) for step in after]
        end = site.forest.snapshot()
        site.clock, site.waiting = Clock(now), []
        site.forest.clock = site.clock
        site.forest.restore(taken)
        assert site.forest.snapshot() == taken
        assert [site.do(step) for step in after] == done
        assert site.forest.snapshot() == end

    def test_same_objects(self, lab):
        """Domains, controllers and connections live through a restore in place; later objects are gone."""
        connection = lab.administrator()
        taken = lab.forest.snapshot()
        domain, controller, log = lab.domain, lab.domain.controller(), lab.domain.password_log
        dn = lab.user("late")
        lab.forest.restore(taken)
        assert (lab.forest.domains["contoso.example"], domain.controller()) == (domain, controller)
        assert log is domain.password_log
        assert not connection.search(dn, "(objectClass=*)", "BASE")
        assert connection.result["description"] == "noSuchObject"
        assert connection.modify("OU=Domain Controllers,DC=contoso,DC=example", {"description": [("MODIFY_ADD", "x")]})

    def test_whole(self, lab):
        """Fine-grained policies, groups, tombstones, lockouts, odd names and connections' answers come back."""
        lab.domain.add_fine_grained(FineGrainedPolicy("p", 1, frozenset(["ann", "later"]), DomainPolicy(min_length=3)))
        for name in ("ann", "Zoë ☃", "bob"):
            lab.user(name, attributes={"description": ["a", "x\ud800y"], "jpegPhoto": "\0\xff"})
        lab.domain.delete_user("Zoë ☃")
        lab.domain.revoke("replicate-changes")
        administrator = lab.administrator()
        administrator.add("CN=g,DC=contoso,DC=example", "group", {"member": lab.domain.find("ann").dn})
        other = Lab.__new__(Lab)
        other.clock = lab.clock
        other.forest = snapshot.load(lab.forest.snapshot(), lab.clock)
        other.domain = other.forest.domains["contoso.example"]
        assert answers(other) == answers(lab)
        assert other.domain.policy_for(other.domain.find("ann").entry).min_length == 3
        assert other.domain.awaited == lab.domain.awaited

    def test_after_putting_back_a_controller(self):
        """Controllers that were removed, put back or quarantined, and their events, are part of a snapshot."""
        site = Site()
        domain = site.forest.domains["contoso.example"]
        earlier = domain.snapshot_controller("dc2")
        site.do(("create", "ann", "dc2"))
        site.wait(60)
        domain.restore_controller("dc2", earlier, reset_invocation=False)
        site.wait(60)
        assert site.restored().forest.snapshot() == site.forest.snapshot()
        domain.remove_controller("dc2")
        assert list(site.restored().forest.domains["contoso.example"].controllers) == ["dc1"]

    def test_names_of_two(self):
        """Where two accounts claim a principal name, it leads to whom it led to, or to nobody."""
        site = Site()
        domain = site.forest.domains["contoso.example"]
        for name, host in (("ann", "dc1"), ("bob", "dc2")):
            domain.create_user(name, PASSWORD, upn="both@x", on=host, check_policy=False)
        site.wait(60)
        domain.delete_user("bob", on="dc1")
        assert "both@x" not in domain.controller("dc1").replica.by_upn
        restored = site.restored().forest
        assert "both@x" not in restored.domains["contoso.example"].controller("dc1").replica.by_upn
        assert restored.snapshot() == site.forest.snapshot()

    def test_queue(self):
        """What was queued for replication arrives when it was due."""
        site = Site()
        site.wait(60)
        site.do(("create", "ann", "dc1"))
        other = site.restored()
        other.wait(14)
        with pytest.raises(Refusal):
            other.forest.domains["contoso.example"].find("ann", on="dc2")
        other.wait(1)
        assert other.forest.domains["contoso.example"].find("ann", on="dc2").name == "ann"

    def test_generators(self, lab):
        """A population after a restore is the one that would have come."""
        populate(lab.domain, 5, lab.forest.randomness)
        other = snapshot.load(lab.forest.snapshot(), lab.clock)
        again = populate(other.domains["contoso.example"], 5, other.randomness)
        assert again == populate(lab.domain, 5, lab.forest.randomness)

    def test_size(self, lab):
        """A user of a population takes some 250 octets."""
        empty = len(lab.forest.snapshot())
        populate(lab.domain, 2000, Randomness(1))
        assert (len(lab.forest.snapshot()) - empty) / 2000 < 400

    def test_hash_seed(self):
        """The octets do not depend on the seed of Python's hashes."""
        code = (
            "from tests.active_directory.conftest import Lab; import hashlib; lab = Lab(); lab.user('ann');"
            "print(hashlib.sha256(lab.forest.snapshot()).hexdigest())"
        )
        root = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
        found = {
            subprocess.run(
                [sys.executable, "-W", "ignore", "-c", code], cwd=root, capture_output=True, text=True, check=True,
                env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": root},
            ).stdout
            for seed in ("1", "2")
        }  # fmt: skip
        assert len(found) == 1

    def test_shape(self):
        """Whoever gives entries or records of passwords another field must tell the snapshot's format of it."""
        assert set(Entry.__slots__) == {
            "changed", "children", "created", "deleted", "guid", "kind", "parent", "rdn", "replica", "rid", "stamps",
            "usn", "values",
        }  # fmt: skip
        assert [each.name for each in dataclasses.fields(PasswordSet)] == [
            "sequence", "at", "guid", "name", "nt_hash", "kind", "must_change", "stamp",
        ]  # fmt: skip


class TestFiles:
    """Snapshots on disk."""

    def test_round(self, lab, tmp_path):
        """A saved forest is loaded; the file is its owner's alone, and nothing else is left in the folder."""
        path = tmp_path / "forest.snapshot"
        path.write_text("what was there before")
        size = snapshot.save(lab.forest, path)
        assert (path.stat().st_size, stat.S_IMODE(path.stat().st_mode)) == (size, 0o600)
        assert os.listdir(tmp_path) == [path.name]
        assert snapshot.load(path, lab.clock).snapshot() == lab.forest.snapshot()

    def test_no_room(self, lab, tmp_path):
        """A file that can't be written leaves nothing behind, and what was there stays."""
        (tmp_path / "taken").mkdir()
        with pytest.raises(OSError, match="taken"):
            snapshot.save(lab.forest, tmp_path / "taken")
        with pytest.raises(OSError, match="nowhere"):
            snapshot.save(lab.forest, tmp_path / "nowhere" / "x")
        assert os.listdir(tmp_path) == ["taken"]


def sealed(body: bytes, version: int = VERSION) -> bytes:
    """A snapshot with a right head around any body."""
    return HEAD.pack(b"pwsync directory", version, len(body), hashlib.sha256(body).digest()) + body


def lines_of(octets: bytes) -> list[str]:
    return zlib.decompress(octets[HEAD.size :]).decode().splitlines()


def resealed(lines: list[str]) -> bytes:
    return sealed(zlib.compress("".join(line + "\n" for line in lines).encode()))


class TestBad:
    """What is no snapshot, or one that nobody took."""

    @pytest.mark.parametrize(
        ("octets", "reason"),
        [
            (b"", "empty"),
            (b"version: 1\n" * 20, "no snapshot"),
            (sealed(b"", VERSION + 1), "a newer pwsync wrote it"),
            (sealed(b"", 0), "too old"),
            (sealed(b"xyz"), "damaged"),
            (sealed(b"") + b"x", "followed by something else"),
            (sealed(zlib.compress(b"[" * 100_000 + b"\n")), "damaged"),
            (sealed(zlib.compress(b"9" * 5000 + b"\n")), "damaged"),
            (sealed(zlib.compress(b'{"b":"zz"}\n')), "damaged"),
            (sealed(zlib.compress(b"[]\n")), "damaged"),
            (sealed(zlib.compress(b"")), "damaged"),
            (sealed(zlib.compress(b'{"forest":"f","seed":1,"domains":[["",[]]]}\n')), "damaged"),
            (sealed(zlib.compress(b'{"forest":"f","seed":[],"domains":[]}\n')), "damaged"),
        ],
    )
    def test_refused(self, octets, reason):
        """Each is refused with a reason."""
        with pytest.raises(SnapshotError, match=reason):
            snapshot.load(octets, Clock(START))

    def test_cut_off(self, lab):
        """A snapshot whose end is missing, wherever it was cut, is refused."""
        octets = lab.forest.snapshot()
        for at in (*range(0, 80, 7), len(octets) // 2, len(octets) - 1):
            with pytest.raises(SnapshotError):
                snapshot.load(octets[:at], lab.clock)

    @settings(max_examples=50, deadline=None)
    @given(st.data())
    def test_flipped(self, data):
        """A snapshot of which one bit differs is refused."""
        octets = bytearray(fixed()[1])
        octets[data.draw(st.integers(0, len(octets) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        with pytest.raises(SnapshotError):
            snapshot.load(bytes(octets), Clock(START))

    @settings(max_examples=150, deadline=None)
    @given(st.data())
    def test_forged(self, data):
        """A snapshot that someone changed and sealed again is loaded or refused, and nothing else happens; a forest
        that it was to be put in place of stays as it is when it is refused."""
        lab, octets = fixed()
        lines = lines_of(octets)
        at = data.draw(st.integers(0, len(lines) - 1))
        node = json.loads(lines[at])
        lines[at] = json.dumps(_forged(node, data))
        try:
            lab.forest.restore(resealed(lines))
        except SnapshotError:
            assert lab.forest.snapshot() == octets
        finally:
            lab.forest.restore(octets)

    def test_another_forest(self, lab):
        """A forest is not put back to what another one was."""
        with pytest.raises(SnapshotError, match="not of this"):
            Lab(seed=2).forest.restore(lab.forest.snapshot())

    def test_runs_no_code(self, lab):
        """A name in a snapshot leads to nothing but what a snapshot knows."""
        text = json.dumps(["forest", {"name": {"v": ["os.system", {"command": "true"}]}}])
        lines = [*lines_of(lab.forest.snapshot())[:-1], text]
        with pytest.raises(SnapshotError, match="damaged"):
            snapshot.load(resealed(lines), lab.clock)

    def test_too_large(self, lab, monkeypatch):
        """A few octets that unfold to very many are refused."""
        monkeypatch.setattr(snapshot_format, "SIZE_MAX", 10)
        with pytest.raises(SnapshotError, match="too large"):
            list(unpack(lab.forest.snapshot()))


def _forged(node: Any, data: st.DataObject) -> Any:
    """The same with one thing in it changed."""
    if isinstance(node, list) and node and data.draw(st.booleans()):
        at = data.draw(st.integers(0, len(node) - 1))
        if data.draw(st.integers(0, 9)) == 0:
            return node[:at] + node[at + 1 :]
        return [*node[:at], _forged(node[at], data), *node[at + 1 :]]
    if isinstance(node, dict) and node and data.draw(st.booleans()):
        key = data.draw(st.sampled_from(sorted(node)))
        return {**node, key: _forged(node[key], data)}
    return data.draw(st.sampled_from([None, 0, -1, 1 << 70, "x", "", [], {}, True, 1.5, {"b": "00"}, {"o": "forest"}]))


@cache
def fixed() -> tuple[Lab, bytes]:
    """A forest and its snapshot."""
    lab = Lab()
    lab.user("ann")
    return lab, lab.forest.snapshot()
