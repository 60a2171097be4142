"""The directory's times: FILETIME (100 ns since 1601), whole seconds since 1601, and generalized time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache

EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
TICKS_PER_SECOND = 10_000_000
NEVER = 0x7FFF_FFFF_FFFF_FFFF
_MICROSECOND = timedelta(microseconds=1)


def filetime(when: datetime) -> int:
    """100-nanosecond ticks since 1601 of an aware ``when``."""
    return (when - EPOCH) // _MICROSECOND * 10


def moment(ticks: int) -> datetime:
    """The UTC time of a FILETIME; sub-microsecond ticks are cut off. OverflowError beyond the year 9999."""
    return EPOCH + timedelta(microseconds=ticks // 10)


def moment_of_seconds(seconds: int) -> datetime:
    """The UTC time of whole seconds since 1601, the resolution of replication metadata."""
    return EPOCH + timedelta(seconds=seconds)


@lru_cache(maxsize=4096)
def generalized(seconds: int) -> str:
    """``20170113090000.0Z``: how AD writes GeneralizedTime (RFC 4517, always whole seconds and UTC)."""
    return f"{EPOCH + timedelta(seconds=seconds):%Y%m%d%H%M%S}.0Z"


def ticks(duration: timedelta) -> int:
    """A duration in FILETIME ticks."""
    return duration // _MICROSECOND * 10
