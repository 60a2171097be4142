"""A process that hashes for one thread of the agent.

Threads alone don't use a core fully: between two hashes each of them has to wait for the interpreter, which the sending
thread hardly gives away. A process of its own waits for nobody. It starts in some 40 ms and pays for many hashes only.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress

from pwsync import stretching


class HashProcess:
    """Stretches by a process while there is one, and by the caller's own thread if none can be had.

    worth: are there so many hashes to come that a process should be started? The process gets what it needs by a pipe,
    never by its command line, keeps nothing, and ends with the pipe, even if the agent is killed.
    """

    def __init__(self, worth: Callable[[], bool]) -> None:
        self._worth = worth
        self._process: subprocess.Popen[bytes] | None = None
        self._failed = False

    def stretch(self, pairs: Sequence[tuple[bytes, bytes]], iterations: int) -> list[bytes]:
        """The keys for (NT hash, salt) pairs, in their order."""
        if self._process is None and not self._failed and self._worth():
            self._start()
        if self._process is not None:
            tasks, answers = self._process.stdin, self._process.stdout
            assert tasks is not None  # noqa: S101 - both are pipes
            assert answers is not None  # noqa: S101
            try:
                stretching.write_task(tasks, pairs, iterations)
                return stretching.read_keys(answers, len(pairs))
            except (OSError, EOFError):
                self._failed = True
                self.end()
        return stretching.keys(pairs, iterations)

    def _start(self) -> None:
        command = [sys.executable, "-P", stretching.__file__]
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the agent, which ends it
            )
        except OSError:
            self._failed = True

    def end(self) -> None:
        """End the process, if there is one; it has nothing to lose."""
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(OSError), process:  # what it was about to be told is told to nobody
            process.kill()
