"""Building a lot at once without Python looking for garbage in it meanwhile."""

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
