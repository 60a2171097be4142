"""Snapshots of worlds: after going back the same things happen again, byte for byte."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from simulator.scenario.file import Case, load, load_text
from simulator.scenario.runner import Run, RunOptions
from simulator.scenario.setup import Setup
from simulator.trace import digest
from simulator.world_snapshot import WorldSnapshot

ROOT = Path(__file__).parents[2]
SHIPPED = sorted((ROOT / "scenarios").rglob("*.yaml"))
BUSY = """
scenario: Something of everything
why: A snapshot has all of it.
rules: [delta.within-minutes]
given:
  forest: {domains: {contoso.example: {controllers: [dc1, dc2], replication-delay: 15s}}}
  users:
    - {name: alice, password: "Winter-2016!"}
    - {name: bob, password: "Winter-2016?"}
  cloud-users:
    - {name: carla, password: "Winter-2016+"}
  network: {cloud-latency: 3s}
faults:
  - {on: cloud.set-passwords, times: 2, answer: 503, retry-after: 3m}
timeline:
  - {at: +1m, do: {ad.reset-password: {user: alice, password: "Spring-2017!", on: dc2}}}
  - {at: +1m, do: {cloud.sign-in: {user: bob, password: "Winter-2016?", as: office}}}
  - {at: +3m, do: {ad.change-password: {user: bob, password: "Spring-2017?"}}}
  - {at: +9m, do: [{agent.crash: {}}, {ad.create-user: {user: dora, password: "Winter-2017!"}}]}
  - {at: +40m, do: {cloud.reset-password: {user: carla, password: "Summer-2017+"}}}
  - {at: +44m, expect: [{cloud.user: {user: dora, source: synced}}, {cloud.session: {as: office, access: ok}}]}
"""


class Halfway:
    """A run of a case, stopped at an offset; time is frozen while the ``with`` block lasts."""

    def __init__(self, case: Case) -> None:
        self.run = Run(case, RunOptions())
        self.world = self.run.world
        self.end = self.world.start + max(step.at for step in case.scenario.timeline)

    @contextmanager
    def at(self, offset: timedelta) -> Iterator[None]:
        run, world = self.run, self.world
        with world.frozen():
            Setup(world, run.case).run()
            run.checks.begin()
            world.after_instant = run._after_instant
            for step in run.scenario.timeline:
                run._queue(step)
            world.run_until(world.start + offset)
            yield

    def rest(self) -> tuple[Any, ...]:
        """Run to the end: everything that can be seen of it."""
        world, run = self.world, self.run
        world.run_until(self.end)
        return (
            digest(world.trace.lines), [(each.title, each.got) for each in run.failures], list(world.events),
            [(each.on, each.started, each.ended, each.outcome) for each in world.network.attempts],
            list(world.store._keeper.iterdump()), [write.credential for write in world.tenant.writes],
        )  # fmt: skip


def case_of(text: str) -> Case:
    return load_text(text, Path("busy.yaml"), profile="2017").cases[0]


class TestGoingBack:
    @pytest.mark.parametrize("minutes", [0, 1, 2, 4, 9, 10, 35, 43])
    def test_at_any_time(self, minutes: int) -> None:
        """Wherever a busy world is stopped: what follows is the same after the first return and after the second."""
        half = Halfway(case_of(BUSY))
        with half.at(timedelta(minutes=minutes)):
            snapshot = WorldSnapshot(half.world, half.run)
            first = half.rest()
            assert first[1] == []
            for _ in range(2):
                snapshot.restore()
                assert half.world.clock() == snapshot.at
                assert half.rest() == first

    @pytest.mark.parametrize("path", SHIPPED[::12], ids=lambda path: path.stem)
    def test_shipped_scenarios(self, path: Path) -> None:
        """Shipped scenarios, stopped after a third of their time, go on as they did the first time."""
        half = Halfway(load(path).cases[0])
        with half.at((half.end - half.world.start) / 3):
            half.world.idle.skipping = True
            snapshot = WorldSnapshot(half.world, half.run)
            first = half.rest()
            snapshot.restore()
            assert half.rest() == first

    def test_libraries_go_back_too(self) -> None:
        """The time that every library in this process sees goes back with the world's."""
        half = Halfway(case_of(BUSY))
        with half.at(timedelta(minutes=2)):
            snapshot = WorldSnapshot(half.world, half.run)
            half.rest()
            snapshot.restore()
            assert datetime.now(UTC) == half.world.clock() == snapshot.at

    def test_to_and_fro(self) -> None:
        """One can go back to the older of two snapshots, and then on to the newer."""
        half = Halfway(case_of(BUSY))
        with half.at(timedelta(minutes=2)):
            older = WorldSnapshot(half.world, half.run)
            half.world.run_until(half.world.start + timedelta(minutes=20))
            newer, lines = WorldSnapshot(half.world, half.run), list(half.world.trace.lines)
            first = half.rest()
            older.restore()
            assert len(half.world.trace.lines) < len(lines)
            newer.restore()
            assert half.world.trace.lines == lines
            assert half.rest() == first
            older.restore()
            assert half.rest() == first

    def test_other_things_can_happen(self) -> None:
        """What is done after a return is what counts, as if nothing else had ever been done."""
        half = Halfway(case_of(BUSY))
        with half.at(timedelta(minutes=2)):
            world = half.world
            snapshot = WorldSnapshot(world, half.run)
            world.domain("contoso.example").delete_user("alice")
            world.tenant.features.clear()
            world.run_until(world.start + timedelta(minutes=40))
            snapshot.restore()
            assert world.account("alice").enabled
            assert world.tenant.features == {"password-sync"}
            assert half.rest()[1] == []
