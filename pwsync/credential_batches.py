"""Protecting: NT hashes in sending order become batches of credentials, hashed ahead of the batch being sent."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random

from pwsync.credential import SALT_SIZE, protect, protect_many
from pwsync.last_words import LastWords
from pwsync.state import PasswordState

INLINE_MAX = 4
"""As many hashes are made at once where they are needed; for more, threads pay off."""

AHEAD = 4
"""Batches that are hashed ahead, per core: enough to keep it busy, few enough to be thrown away if sending stops."""


SWITCH_SECONDS = 0.00001
"""How long a thread that wants the interpreter waits while others hash; Python's usual 5 ms is forty hashes long."""


@contextmanager
def eager_threads() -> Iterator[None]:
    """Let threads that hash come to their next hash at once, instead of waiting for the sending thread to give way."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


@dataclass(frozen=True, slots=True)
class Batch:
    """Users and their credential texts, in sending order."""

    users: Sequence[PasswordState]
    credentials: Sequence[str]


def in_batches(
    ordered: Sequence[PasswordState], size: int, salts: Random, watch: LastWords
) -> Generator[Batch, None, None]:
    """Batches of at most ``size`` users, each with its NT hash at hand. watch: hears of a thread that fails.

    All salts are drawn before the first hash, in sending order, so that they depend on nothing but the order.
    """
    drawn = [(user.nt or b"", salts.randbytes(SALT_SIZE)) for user in ordered]
    batches = [(ordered[start : start + size], drawn[start : start + size]) for start in range(0, len(ordered), size)]
    if len(ordered) <= INLINE_MAX:
        for users, pairs in batches:
            yield Batch(users, [protect(nt, salt) for nt, salt in pairs])
        return
    workers = max(2, os.cpu_count() or 2)
    ahead: deque[tuple[Sequence[PasswordState], Iterator[str]]] = deque()
    with ThreadPoolExecutor(workers) as pool, eager_threads():
        for users, pairs in batches:
            ahead.append((users, protect_many(pairs, pool)))
            if len(ahead) > AHEAD * workers:
                yield _made(*ahead.popleft(), watch)
        for first, texts in ahead:
            yield _made(first, texts, watch)


def _made(users: Sequence[PasswordState], texts: Iterator[str], watch: LastWords) -> Batch:
    with watch:
        return Batch(users, list(texts))
