"""Frozen time: one hand that moves the time which every library in this process sees.

Freezing searches every loaded module for functions that tell the time, which costs as much as a small scenario. Whoever
runs many worlds one after another holds time frozen between them (:func:`held`); each world then only moves it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Protocol

import freezegun

from simulator.collection import patient_collector

TIMELESS = [
    "Crypto",
    "certifi",
    "cffi",
    "charset_normalizer",
    "cryptography",
    "faker",
    "idna",
    "pyasn1",
    "pycparser",
    "pydantic",
    "rich",
    "yaml",
]
"""Packages that need no frozen time: their modules are not searched, and a progress display goes on in real time."""

_SOME_TIME = datetime(2017, 1, 13, 9, tzinfo=UTC)


class Freezer(Protocol):
    """Moves the time that libraries see, forwards or backwards."""

    def move_to(self, target_datetime: datetime) -> None: ...


class _Hand:
    """Moves the time of one of freezegun's factories.

    A factory's own ``move_to`` takes time in any form, and twenty times as long for it; a world moves often.
    """

    def __init__(self, factory: Any) -> None:
        self._factory = factory

    def move_to(self, target_datetime: datetime) -> None:
        self._factory.time_to_freeze = target_datetime.astimezone(UTC).replace(tzinfo=None)


_holding: list[Freezer] = []


@contextmanager
def held() -> Iterator[None]:
    """Time stays frozen in this process between the worlds that run in this block.

    So does the collector's patience: called after each world, it would go through all that the next one needs as well.
    """
    freezer = freezegun.freeze_time(_SOME_TIME, tick=False, ignore=TIMELESS)
    _holding.append(_Hand(freezer.start()))
    try:
        with patient_collector():
            yield
    finally:
        _holding.pop()
        freezer.stop()


@contextmanager
def frozen(now: datetime) -> Iterator[Freezer]:
    """Time stands still at ``now`` until the freezer is told to move it."""
    if _holding:
        _holding[-1].move_to(now)
        yield _holding[-1]
        return
    freezer = freezegun.freeze_time(now, tick=False, ignore=TIMELESS)
    try:
        yield _Hand(freezer.start())
    finally:
        freezer.stop()
