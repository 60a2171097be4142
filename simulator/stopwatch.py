"""Real time, for reports: it runs on while a world's time stands still."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from freezegun.api import real_perf_counter


@dataclass
class Watch:
    """Seconds that a block took."""

    seconds: float = 0.0


@contextmanager
def stopwatch() -> Iterator[Watch]:
    """Measure the wall time of a block, frozen or not."""
    watch = Watch()
    began = real_perf_counter()
    try:
        yield watch
    finally:
        watch.seconds = real_perf_counter() - began
