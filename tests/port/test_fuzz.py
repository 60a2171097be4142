"""A sample of what tests/port/fuzz.py does in full."""

from __future__ import annotations

from pathlib import Path

from port.fuzz import fuzz
from port.mutations import Mutator, parse, seeds

from simulator.active_directory.messages import decode


def test_nothing_sent_harms(tmp_path: Path) -> None:
    """Bent messages are answered or end their connection; a client beside them gets right answers; nothing is left."""
    figures = fuzz(tmp_path, messages=2000, seed=7)
    assert figures.problems == []
    assert figures.messages == 2000
    assert figures.controls > 0
    assert len(figures.codes) > 10


def test_seeds_are_valid() -> None:
    """What the fuzzer begins with is valid, and comes out of the tree as it went in."""
    assert [parse(octets).encode() for octets in seeds()] == seeds()
    assert {decode(octets).number for octets in seeds()} == {2}


def test_repeats() -> None:
    """The same seed draws the same messages."""
    one, other = Mutator(3), Mutator(3)
    assert [one.message() for _ in range(200)] == [other.message() for _ in range(200)]
