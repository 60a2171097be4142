"""Hashing by a process: the same keys, whatever becomes of the process, and none is left behind."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pwsync import hash_process, stretching
from pwsync.credential import CHUNK_SIZE, protect
from pwsync.credential_batches import PROCESS_MIN, EarlyHashes, Hashers
from pwsync.hash_process import HashProcess

PAIRS = [(bytes([number]) * 16, bytes([number + 1]) * 10) for number in range(60)]
DUE = [stretching.key(nt, salt, 3) for nt, salt in PAIRS]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
    """The processes that were started."""
    found: list[subprocess.Popen[bytes]] = []
    true = subprocess.Popen

    def noting(*arguments: Any, **named: Any) -> subprocess.Popen[bytes]:
        found.append(true(*arguments, **named))
        return found[-1]

    monkeypatch.setattr(hash_process.subprocess, "Popen", noting)
    return found


@pytest.fixture
def process() -> Iterator[HashProcess]:
    made = HashProcess(lambda: True)
    yield made
    made.end()


class TestProcess:
    def test_same_keys(self, process: HashProcess, started: list[subprocess.Popen[bytes]]) -> None:
        """One process makes the keys of one task after the other; they are those of the RFC's function."""
        for some in (PAIRS, PAIRS[:1], [], PAIRS[:7]):
            assert process.stretch(some, 3) == DUE[: len(some)]
        assert len(started) == 1
        assert started[0].poll() is None

    def test_secrets_stay_in_the_pipe(self, process: HashProcess, started: list[subprocess.Popen[bytes]]) -> None:
        """Its command line names the program and nothing else."""
        process.stretch(PAIRS, 3)
        assert started[0].args == [sys.executable, "-P", stretching.__file__]

    def test_few(self, started: list[subprocess.Popen[bytes]]) -> None:
        """While it is not worth it there is no process; one that is there is used."""
        answers = iter([False, True])
        process = HashProcess(lambda: next(answers))
        assert [process.stretch(PAIRS, 3) for _ in range(3)] == [DUE] * 3
        assert len(started) == 1
        process.end()

    def test_end(self, started: list[subprocess.Popen[bytes]]) -> None:
        """The end ends it and its pipes, twice if need be; it can be begun with anew."""
        process = HashProcess(lambda: True)
        for _ in range(2):
            process.stretch(PAIRS, 3)
            process.end()
            process.end()
        assert [each.returncode for each in started] == [-signal.SIGKILL] * 2
        assert all(pipe.closed for each in started for pipe in (each.stdin, each.stdout) if pipe is not None)

    def test_killed(self, process: HashProcess, started: list[subprocess.Popen[bytes]]) -> None:
        """What a killed process owes is made by the thread, and no other one is started."""
        process.stretch(PAIRS, 3)
        started[0].kill()
        started[0].wait()
        assert [process.stretch(PAIRS, 3) for _ in range(2)] == [DUE] * 2
        assert len(started) == 1

    @pytest.mark.parametrize(
        "program",
        [
            pytest.param("raise SystemExit(1)", id="ends at once"),
            pytest.param("import sys; sys.stdin.buffer.read(60)", id="ends while it is told"),
            pytest.param("import sys; sys.stdin.buffer.read(60); print('x' * 40)", id="ends while it answers"),
        ],
    )
    def test_broken_program(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str) -> None:
        """A program that can't do its work is done without."""
        (tmp_path / "program.py").write_text(program)
        monkeypatch.setattr(stretching, "__file__", str(tmp_path / "program.py"))
        process = HashProcess(lambda: True)
        assert [process.stretch(PAIRS, 3) for _ in range(2)] == [DUE] * 2
        process.end()

    @pytest.mark.parametrize("executable", ["", "/nowhere/python"])
    def test_no_python(self, monkeypatch: pytest.MonkeyPatch, process: HashProcess, executable: str) -> None:
        """Where no process can be started the thread hashes."""
        monkeypatch.setattr(sys, "executable", executable)
        assert [process.stretch(PAIRS, 3) for _ in range(2)] == [DUE] * 2

    def test_out_of_reach_of_control_c(self, process: HashProcess, started: list[subprocess.Popen[bytes]]) -> None:
        """It is in no group that a terminal sends Ctrl-C to."""
        process.stretch(PAIRS, 3)
        assert os.getsid(started[0].pid) != os.getsid(0)

    def test_agent_killed(self, tmp_path: Path) -> None:
        """A process whose agent is killed ends by itself."""
        agent = (
            "import sys, time\n"
            "from pwsync.hash_process import HashProcess\n"
            "process = HashProcess(lambda: True)\n"
            "process.stretch([(bytes(16), bytes(10))], 1)\n"
            "print(process._process.pid, flush=True)\n"
            "time.sleep(600)\n"
        )
        reader, writer = os.pipe()
        with subprocess.Popen([sys.executable, "-c", agent], stdout=writer) as parent:
            os.close(writer)
            with os.fdopen(reader) as told:
                pid = int(told.readline())
                parent.kill()
            parent.wait()
        for _ in range(1000):
            if not _runs(pid):
                break
            threading.Event().wait(0.02)
        assert not _runs(pid)


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


class TestProgram:
    @given(
        tasks=st.lists(st.tuples(st.lists(st.sampled_from(PAIRS), max_size=4), st.integers(1, 3)), max_size=4),
        cut=st.integers(0, 300),
    )
    @settings(max_examples=50)
    def test_tasks(self, tasks: list[tuple[list[tuple[bytes, bytes]], int]], cut: int) -> None:
        """Whole tasks are answered in order, half of one is not, and the end ends it."""
        told, answers = io.BytesIO(), io.BytesIO()
        ends = []
        for pairs, iterations in tasks:
            stretching.write_task(told, pairs, iterations)
            ends.append(told.tell())
        stretching.serve(io.BytesIO(told.getvalue()[:cut]), answers)
        answers.seek(0)
        whole = [task for task, end in zip(tasks, ends, strict=True) if end <= cut]
        for pairs, iterations in whole:
            assert stretching.read_keys(answers, len(pairs)) == [stretching.key(*pair, iterations) for pair in pairs]
        assert answers.read() == b""

    def test_answer_cut_short(self) -> None:
        """An answer that ends too early is none."""
        with pytest.raises(EOFError):
            stretching.read_keys(io.BytesIO(bytes(63)), 2)


class TestHashers:
    def test_many(self, started: list[subprocess.Popen[bytes]]) -> None:
        """With many hashes to come each thread has one process, whose credentials are the same; the end ends it."""
        hashers = Hashers()
        salts = Random(1)
        pairs = [(salts.randbytes(16), salts.randbytes(10)) for _ in range(CHUNK_SIZE * PROCESS_MIN * 3)]
        texts = hashers.protect(pairs)
        while not started:
            threading.Event().wait(0.001)
        assert list(texts) == [protect(*pair) for pair in pairs]
        workers = max(1, (os.cpu_count() or 2) - 1)
        assert len(started) <= workers
        hashers.end()
        assert all(each.returncode is not None for each in started)

    def test_few(self, started: list[subprocess.Popen[bytes]]) -> None:
        """A few are not worth a process."""
        hashers = Hashers()
        for _ in range(3):
            assert len(list(hashers.protect(PAIRS))) == len(PAIRS)
        hashers.end()
        assert started == []

    def test_interrupted(self, started: list[subprocess.Popen[bytes]]) -> None:
        """An end in the middle of it waits for no more than the chunk at hand, and leaves no process."""
        early = EarlyHashes(Random(1))
        early.begin([(f"p{number}", bytes(16)) for number in range(CHUNK_SIZE * PROCESS_MIN * 20)])
        while not started:
            threading.Event().wait(0.001)
        early.end()
        assert all(each.returncode is not None for each in started)
        assert not any(thread.name.startswith("ThreadPoolExecutor") for thread in threading.enumerate())
