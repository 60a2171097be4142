"""Protecting: NT hashes in sending order become batches of credentials, hashed ahead of the batch being sent.

Where a great many are read at once, hashing begins while the directory is still being read.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any, TypeVar

from pwsync.credential import CHUNK_SIZE, Stretch, protect, protect_many
from pwsync.hash_process import HashProcess
from pwsync.last_words import LastWords
from pwsync.state import PasswordState
from pwsync.stretching import SALT_SIZE, keys

_T = TypeVar("_T")

INLINE_MAX = 4
"""As many hashes are made at once where they are needed; for more, threads pay off."""

AHEAD = 4
"""Batches that are hashed ahead, per core: enough to keep it busy, few enough to be thrown away if sending stops."""

EARLY_MIN = 100
"""Passwords in one page of the directory's answer from which on hashing begins before the last page has come."""

PROCESS_MIN = 20
"""Chunks that wait from which on a thread has its hashes made by a process: some 90 ms of work, twice what it takes to
start one."""

SWITCH_SECONDS = 0.0002
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


class Hashers:
    """Those who hash in one cycle: a thread for each core but one, and whoever waits for a hash.

    Where there are many hashes to come, each thread has a process that makes them. The last core belongs to the thread
    that reads and sends; while the next credential is not there it hashes as well.
    """

    def __init__(self) -> None:
        self._tasks = _Tasks()
        self._ending = ExitStack()
        self._pool: ThreadPoolExecutor | None = None
        self._at_work: dict[HashProcess, Future[None] | None] = {}

    def protect(self, pairs: Sequence[tuple[bytes, bytes]]) -> Iterator[str]:
        """Begin with (NT hash, salt) pairs; their credentials as they are asked for, in order."""
        texts = protect_many(pairs, self._tasks)
        if self._pool is None:
            self._at_work = dict.fromkeys(HashProcess(self._tasks.many) for _ in range(_workers()))
            for process in self._at_work:
                self._ending.callback(process.end)
            self._pool = self._ending.enter_context(ThreadPoolExecutor(len(self._at_work)))
            self._ending.callback(self._tasks.cancel)
            self._ending.enter_context(eager_threads())
        for process, work in self._at_work.items():
            if work is None or work.done():
                self._at_work[process] = self._pool.submit(self._tasks.work, process.stretch)
        return texts

    def end(self) -> None:
        """Let go of the threads and processes; what has not begun is never hashed."""
        if self._pool is not None:
            self._ending.close()
            self._pool = None
            self._at_work.clear()


class _Tasks(Executor):
    """What is to be done, in order, by as many threads as call :meth:`work`, and by those who wait for it.

    A task's last argument is how the one who does it stretches hashes.
    """

    def __init__(self) -> None:
        self._waiting: deque[Callable[[Stretch], None]] = deque()

    def submit(self, perform: Callable[..., _T], /, *arguments: Any, **named: Any) -> Future[_T]:
        """A task for whoever comes to work."""
        future: _Awaited[_T] = _Awaited(self._do_one)

        def do(stretch: Stretch) -> None:
            try:
                future.set_result(perform(*arguments, stretch, **named))
            except BaseException as error:
                future.set_exception(error)
                if not isinstance(error, Exception):
                    raise  # Ctrl-C reaches whoever helps out, and is for him

        self._waiting.append(do)
        return future

    def work(self, stretch: Stretch) -> None:
        """Do one task after the other until there is none left."""
        while self._do_one(stretch):
            pass

    def many(self) -> bool:
        """Are there so many to come that processes pay off?"""
        return len(self._waiting) >= PROCESS_MIN

    def cancel(self) -> None:
        """Whatever has not begun is never done."""
        self._waiting.clear()

    def _do_one(self, stretch: Stretch = keys) -> bool:
        try:
            do = self._waiting.popleft()
        except IndexError:
            return False
        do(stretch)
        return True


class _Awaited(Future[_T]):
    """A future whose result is not waited for in idleness."""

    def __init__(self, help_out: Callable[[], bool]) -> None:
        super().__init__()
        self._help_out = help_out

    def result(self, timeout: float | None = None) -> _T:
        while not self.done() and self._help_out():
            pass
        return super().result(timeout)


class EarlyHashes:
    """Credentials whose hashing began while the directory was being read, in one cycle.

    salts: where each credential's salt is drawn from, in reading order. Who is not sent after all was hashed for
    nothing; nothing of it outlives the cycle, since a salt is for one attempt only.
    """

    def __init__(self, salts: Random) -> None:
        self.salts = salts
        self._begun: dict[str, tuple[bytes, _Chunk, int]] = {}
        self.hashers = Hashers()

    def begin(self, hashes: Sequence[tuple[str, bytes]]) -> None:
        """Begin with (source anchor, NT hash) pairs, if they are enough to be worth it."""
        if len(hashes) < EARLY_MIN:
            return
        for start in range(0, len(hashes), CHUNK_SIZE):
            part = hashes[start : start + CHUNK_SIZE]
            chunk = _Chunk(self.hashers.protect([(nt, self.salts.randbytes(SALT_SIZE)) for _, nt in part]))
            self._begun.update((anchor, (nt, chunk, number)) for number, (anchor, nt) in enumerate(part))

    def take(self, user: PasswordState) -> Callable[[], str] | None:
        """What waits for the user's credential and gives it, once; None if his newest hash was not begun with."""
        found = self._begun.pop(user.anchor, None)
        if found is None or found[0] != user.nt:
            return None
        return partial(found[1].credential, found[2])

    def end(self) -> None:
        """Forget what was not taken, and let go of the threads."""
        self._begun.clear()
        self.hashers.end()


class _Chunk:
    """Credentials that one thread makes one after the other."""

    def __init__(self, coming: Iterator[str]) -> None:
        self._coming = coming
        self._made: list[str] = []

    def credential(self, number: int) -> str:
        while len(self._made) <= number:
            self._made.append(next(self._coming))
        return self._made[number]


def in_batches(
    ordered: Sequence[PasswordState], size: int, watch: LastWords, early: EarlyHashes
) -> Generator[Batch, None, None]:
    """Batches of at most ``size`` users, each with its NT hash at hand. watch: hears of a thread that fails.

    early: has those already that were begun with while they were read, and ends the threads. All other salts are drawn
    before the first hash, in sending order, so that they depend on nothing but the order.
    """
    begun = [early.take(user) for user in ordered]
    drawn = [
        (user.nt or b"", early.salts.randbytes(SALT_SIZE)) if had is None else None
        for user, had in zip(ordered, begun, strict=True)
    ]
    starts = range(0, len(ordered), size)
    if len(ordered) <= INLINE_MAX and None not in drawn:
        for start in starts:
            yield Batch(ordered[start : start + size], [protect(*pair) for pair in drawn[start : start + size] if pair])
        return
    ahead: deque[tuple[int, Iterator[str]]] = deque()

    def made(start: int, fresh: Iterator[str]) -> Batch:
        with watch:
            texts = [next(fresh) if had is None else had() for had in begun[start : start + size]]
        return Batch(ordered[start : start + size], texts)

    for start in starts:
        fresh = early.hashers.protect([pair for pair in drawn[start : start + size] if pair])
        ahead.append((start, fresh))
        if len(ahead) > AHEAD * (_workers() + 1):
            yield made(*ahead.popleft())
    for start, fresh in ahead:
        yield made(start, fresh)


def _workers() -> int:
    return max(1, (os.cpu_count() or 2) - 1)
