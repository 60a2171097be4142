"""When Python looks for garbage in what is built: seldom while worlds come and go, not at all within one big piece."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Suspend the search for garbage that is in cycles.

    It goes through everything there is whenever that has grown by a quarter, a third of the time in which hundreds of
    thousands of entries are made, and what is being built is no garbage. Reference counts go on as ever.
    """
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


@contextmanager
def patient_collector() -> Iterator[None]:
    """Let Python look for cyclic garbage seldom: a world is many small objects that live as long as it does."""
    before = gc.get_threshold()
    gc.set_threshold(500_000, 20, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)
