"""Fuzzes a served directory: bent messages over many connections, and a control client that must never notice.

``python tests/port/fuzz.py [--messages N] [--seed N]`` prints figures and ends with 1 if something was wrong: a fault
of the port's own, a connection that was neither answered nor closed, a wrong answer to the control client, or threads,
descriptors or memory that stayed.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import socket
import ssl
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

if __package__ is None or __package__ == "":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from port.lab import ALICE, PASSWORD, ROOT, Answer, Lab, RawClient, bind, descriptors, root, search, unbind
from port.mutations import Mutator

from simulator.active_directory.conversation import FAULT
from simulator.active_directory.encoding import DISCONNECTION
from simulator.active_directory.errors import LdapError
from simulator.active_directory.messages import Undecodable, decode, decode_filter, frame_size

BATCH = 50
"""Messages in a batch; they share a connection until one of them ends it."""

CANARY = 1_000_003
"""Number of the request that follows each message and must be answered, unless the message ended the connection."""

CLIENTS = 6
CLOSE_SECONDS = 60.0
"""A connection that is neither answered nor closed for so long is stuck."""

SHOWN_OCTETS, PROBLEMS_SHOWN = 400, 10

MEMORY_MB = 200
"""How much the process may have grown: what fuzzed writes leave in the directory, and what Python keeps."""


@dataclass
class Figures:
    """What happened."""

    messages: int = 0
    connections: int = 0
    answers: int = 0
    notices: int = 0
    controls: int = 0
    faults: int = 0
    logged: int = 0
    objects: int = 0
    seconds: float = 0.0
    memory_mb: float = 0.0
    codes: dict[int, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def take(self, answers: list[Answer]) -> None:
        """Count answers."""
        self.answers += len(answers)
        for answer in answers:
            self.notices += _is_notice(answer)
            if answer.code is not None:
                self.codes[answer.code] = self.codes.get(answer.code, 0) + 1


class _Listener(logging.Handler):
    """Keeps what is logged as an error."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.told: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.told.append(self.format(record))


class Fuzz:
    """One run against one served lab."""

    def __init__(self, lab: Lab, messages: int, seed: int) -> None:
        self.lab = lab
        self.figures = Figures()
        self._messages = messages
        self._seed = seed
        self._book = threading.Lock()
        self._done = threading.Event()

    def run(self) -> Figures:
        """Send everything; the figures tell how it went."""
        began, listener = time.perf_counter(), _Listener()
        logging.getLogger("simulator").addHandler(listener)
        control = threading.Thread(target=self._control)
        control.start()
        try:
            batches = range(-(-self._messages // BATCH))
            with ThreadPoolExecutor(CLIENTS) as pool:
                for problem in pool.map(self._batch, batches):
                    if problem:
                        self.figures.problems.append(problem)
        finally:
            self._done.set()
            control.join()
            logging.getLogger("simulator").removeHandler(listener)
        figures = self.figures
        figures.faults, figures.logged = self.lab.port.faults.count, len(listener.told)
        figures.problems += listener.told
        figures.objects = len(self.lab.domain.controller().replica.by_guid)
        figures.seconds = round(time.perf_counter() - began, 1)
        return figures

    def _batch(self, number: int) -> str | None:
        """Some messages, over as many connections as it takes; what was wrong, if anything was."""
        mutator = Mutator(hash((self._seed, number)))
        waiting = [mutator.message() for _ in range(min(BATCH, self._messages - number * BATCH))]
        waiting.reverse()
        who = self.lab.administrator if number % 3 else (ALICE, PASSWORD)
        tally = Figures()
        problem = None
        while waiting and not problem:
            try:
                problem = self._talk(waiting, who, tally, tls=number % 8 == 0)
            except (OSError, AssertionError) as error:
                problem = f"{type(error).__name__} {error}"
        with self._book:
            self._add(tally)
        return problem and f"batch {number}, seed {self._seed}: {problem}"

    def _talk(self, waiting: list[bytes], who: tuple[str, str], tally: Figures, *, tls: bool) -> str | None:
        """One connection: bind, then message for message, until none is left or the server has closed."""
        tally.connections += 1
        with self.lab.client(tls=tls) as client:
            client.socket.settimeout(CLOSE_SECONDS)
            # Alice's password is what fuzzed writes make of it; that the bind is answered at all is what counts.
            if client.ask(bind(1, *who)).kind != "bindResponse":
                return "a valid bind was not answered"
            while waiting:
                octets = waiting.pop()
                tally.messages += 1
                if not _is_framed(octets):
                    _send(client, octets)
                    with suppress(OSError):
                        socket.socket.shutdown(client.socket, socket.SHUT_WR)
                    # Two messages in one are framed wrongly as one. If the second is StartTLS, no message follows.
                    tally.take(list(client.until(_agrees_to_tls)))
                    return None
                _send(client, octets + root(CANARY))
                answers = list(client.until(lambda answer: answer.number == CANARY and answer.kind == "searchResDone"))
                tally.take(answers)
                problem = _judge(octets, answers)
                if problem or not answers or answers[-1].number != CANARY:
                    return problem
        return None

    def _add(self, tally: Figures) -> None:
        figures = self.figures
        for name in ("messages", "connections", "answers", "notices"):
            setattr(figures, name, getattr(figures, name) + getattr(tally, name))
        for code, count in tally.codes.items():
            figures.codes[code] = figures.codes.get(code, 0) + count

    def _control(self) -> None:
        """Asks the same all the time, and must get the same answers."""
        while not self._done.wait(0.02):
            self._ask()
        self._ask()

    def _ask(self) -> None:
        asked = search(2, "(cn=Administrator)", f"CN=Users,{ROOT}")
        expected = [("bindResponse", 0), ("searchResEntry", None), ("searchResDone", 0)]
        try:
            with self.lab.client(tls=self.figures.controls % 2 == 0) as client:
                client.send(bind(1, *self.lab.administrator), asked, unbind(3))
                got = [(answer.kind, answer.code) for answer in client.all()]
        except (OSError, AssertionError) as problem:
            got = [(repr(problem), None)]
        if got != expected:
            self.figures.problems.append(f"the control client got {got}")
        self.figures.controls += 1


def _is_framed(octets: bytes) -> bool:
    """Whether a server can tell that the message ends where it does."""
    try:
        return frame_size(octets) == len(octets)
    except Undecodable:
        return False


def _is_notice(answer: Answer) -> bool:
    """Whether this is the notice of disconnection; requests may have its number, 0, too."""
    if answer.kind != "extendedResp" or answer.number != 0:
        return False
    name = answer.body["responseName"]
    return bool(name.hasValue()) and str(name) == DISCONNECTION


def _agrees_to_tls(answer: Answer) -> bool:
    return answer.kind == "extendedResp" and answer.code == 0


def _send(client: RawClient, octets: bytes) -> None:
    with suppress(ConnectionError, ssl.SSLError):  # the server has closed already, as it may
        client.send(octets)


def _judge(octets: bytes, answers: list[Answer]) -> str | None:
    """Whether a message got what it deserves: one result of its own, none for an abandon, or the end."""
    try:
        message = decode(octets)
        if message.kind == "searchRequest":
            decode_filter(bytes(message.request["filter"]))
    except LdapError:
        pass
    except Undecodable:
        if any(_is_notice(answer) for answer in answers[-1:]):
            return None
        return f"{_shown(octets)} can't be decoded, but the server went on"
    if any(FAULT in answer.text for answer in answers):
        return f"{_shown(octets)} met a fault"
    results = [answer for answer in answers if answer.number == message.number and answer.code is not None]
    wanted = message.kind not in ("unbindRequest", "abandonRequest")
    if message.number != CANARY and len(results) != wanted:
        return f"{message.kind} {_shown(octets)} got {len(results)} results"
    return None


def _shown(octets: bytes) -> str:
    return octets.hex() if len(octets) <= SHOWN_OCTETS else f"{octets[:SHOWN_OCTETS].hex()}.. ({len(octets)} octets)"


def resident_mb() -> float:
    """Memory that this process holds; 0 where the system does not tell."""
    status = Path("/proc/self/status")
    if not status.exists():
        return 0.0
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def fuzz(folder: Path, messages: int, seed: int) -> Figures:
    """A run against a lab of its own, with a look at what is left afterwards."""
    warm = Lab(folder)
    with warm.port:
        Fuzz(warm, BATCH * 5, seed + 1).run()
    gc.collect()
    threads, files, memory = threading.active_count(), descriptors(), resident_mb()
    lab = Lab(folder)
    with lab.port:
        figures = Fuzz(lab, messages, seed).run()
    gc.collect()
    figures.memory_mb = round(resident_mb() - memory, 1)
    left = {
        "faults": figures.faults, "errors logged": figures.logged, "threads left": threading.active_count() - threads,
        "descriptors left": descriptors() - files, "connections left": lab.port.connections,
    }  # fmt: skip
    figures.problems += [f"{count} {what}" for what, count in left.items() if count > 0]
    if figures.memory_mb > MEMORY_MB:
        figures.problems.append(f"memory grew by {figures.memory_mb} MB")
    return figures


def main() -> int:
    """The program."""
    reader = argparse.ArgumentParser(description=__doc__)
    reader.add_argument("--messages", type=int, default=100_000)
    reader.add_argument("--seed", type=int, default=1)
    options = reader.parse_args()
    with TemporaryDirectory() as folder:
        figures = fuzz(Path(folder), options.messages, options.seed)
    shown = {"codes": dict(sorted(figures.codes.items())), "problems": figures.problems[:PROBLEMS_SHOWN]}
    print(json.dumps(asdict(figures) | shown, indent=2))
    return 1 if figures.problems else 0


if __name__ == "__main__":
    sys.exit(main())
