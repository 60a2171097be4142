"""Reruns of one case that run what they have in common only once.

Up to the instant of the fault a rerun does what the control did. So one run is taken to the last rest before the point,
a snapshot is made there, and each fault on each attempt of the turn that follows is let loose from it. What comes out
is what :func:`simulator.explore.rerun.rerun` finds, which runs each of them from the beginning.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import groupby

from simulator.explore.rerun import Control, Point, Rerun, SweptRun, judged, rerun
from simulator.scenario.file import Case
from simulator.scenario.runner import RunOptions
from simulator.world_snapshot import ImageError, WorldSnapshot

Item = tuple[Point, str]
"""An attempt, and the kind of fault to put on it."""

INSTANT = timedelta(microseconds=1)
"""The shortest time there is."""


def reruns(
    case: Case, control: Control, items: Sequence[Item], seed: int | None = None, engine: str | None = None
) -> Iterator[Rerun]:
    """Reruns of a case, for points in their order.

    Another agent's runs are begun anew each time: who knows what it keeps where no snapshot looks. So are those of a
    world that no snapshot can hold.
    """
    if engine is not None or len(items) < 2:
        for point, word in items:
            yield rerun(case, control, point, word, seed, engine)
        return
    run = SweptRun(case, RunOptions(seed=seed))
    world = run.world
    world.idle.skipping = True
    with world.frozen():
        run.prepare()
        for rest, group in groupby(items, key=lambda item: item[0].rest):
            some = list(group)
            if rest:
                world.come_to_rest(before=world.start + rest + INSTANT)
            try:
                snapshot = WorldSnapshot(world, run)
            except ImageError:
                yield from (rerun(case, control, point, word, seed) for point, word in some)
                continue
            for point, word in some:
                yield judged(run, run.proceed, control, point, word)
                snapshot.restore()
