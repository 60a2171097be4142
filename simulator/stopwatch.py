"""Real time, for reports: it runs on while a world's time stands still."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import freezegun.api


@dataclass
class Watch:
    """Seconds that a block took."""

    seconds: float = 0.0


@contextmanager
def stopwatch() -> Iterator[Watch]:
    """Measure the wall time of a block, frozen or not."""
    watch = Watch()
    began = freezegun.api.real_perf_counter()
    try:
        yield watch
    finally:
        watch.seconds = freezegun.api.real_perf_counter() - began


def real_seconds() -> float:
    """Seconds on a clock that goes on while a world's time stands still; only differences mean anything."""
    return freezegun.api.real_perf_counter()
