"""Served labs; each test ends with a look at what is left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from port.lab import Lab, nothing_left

from simulator.active_directory.port import Limits


@pytest.fixture
def lab_with(tmp_path: Path) -> Iterator[Callable[..., Lab]]:
    """Makes served labs with other options. Afterwards each answers still, has had no fault, and leaves nothing."""
    with nothing_left(), ExitStack() as open_ports:
        labs = []

        def make(**options: object) -> Lab:
            lab = Lab(tmp_path, **options)
            open_ports.enter_context(lab.port)
            labs.append(lab)
            return lab

        yield make
        for lab in labs:
            lab.domain.controller().state = "up"
            lab.port.limits = Limits()  # what a test made short is too short for a busy machine
            assert lab.answers()
            assert lab.port.faults.count == 0


@pytest.fixture
def lab(lab_with: Callable[..., Lab]) -> Lab:
    """A served lab with the default options."""
    return lab_with()
