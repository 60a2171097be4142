"""How an operator reaches a running agent: a port on this machine, one JSON line for an order and one for its answer.

Where the port is, and the secret without which it listens to nobody, stand in a file beside the agent's store, for its
owner only. The file of a process that was killed leads nowhere, and counts as none.
"""

from __future__ import annotations

import hmac
import json
import os
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any, Final

from pwsync.errors import AgentError

SUFFIX: Final = ".operator"
ORDER_MAX: Final = 64 * 1024
ORDER_SECONDS: Final = 10.0
ANSWER_SECONDS: Final = 600.0
"""An order waits for the cycle that is under way, which may be the first one of a large directory."""


class NotRunning(AgentError):
    """No agent is running on this store."""


class OrderFailed(AgentError):
    """The agent refused an order; ``reason`` is a word, or ``error``."""

    def __init__(self, reason: str, message: str) -> None:
        self.reason = reason
        super().__init__(message)


class OperatorPort:
    """Takes orders while it is open. carry_out: an order -> its answer, or what it raises as :class:`OrderFailed`.

    secret: what an operator has to know. Raises OSError where the port or the file can't be had.
    """

    def __init__(self, store: Path, secret: str, carry_out: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> None:
        self._path = path_of(store)
        self._secret = secret
        self._carry_out = carry_out
        self._listener = socket.create_server(("127.0.0.1", 0))
        beside = self._path.with_name(self._path.name + ".part")
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            port = self._listener.getsockname()[1]
            json.dump({"port": port, "secret": secret, "process": os.getpid()}, stream)
        beside.replace(self._path)
        self._thread = Thread(target=self._listen, name="operator", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Listen no more."""
        with suppress(OSError):
            self._path.unlink()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                connection.settimeout(ORDER_SECONDS)
                connection.sendall(self._answer(_read_line(connection)) + b"\n")

    def _answer(self, line: bytes) -> bytes:
        try:
            order = json.loads(line)
            known = hmac.compare_digest(str(order["secret"]).encode(), self._secret.encode())
        except (ValueError, KeyError, TypeError, RecursionError):
            known = False
        if not known:
            return json.dumps({"error": "not-allowed", "message": "The order's secret is wrong."}).encode()
        try:
            return json.dumps({"answer": self._carry_out(order)}).encode()
        except OrderFailed as failure:
            return json.dumps({"error": failure.reason, "message": str(failure)}).encode()


def ask(store: Path, order: str, **arguments: Any) -> Mapping[str, Any]:
    """Give an order to the agent on a store. Raises NotRunning, OrderFailed."""
    try:
        found = json.loads(path_of(store).read_text(encoding="ascii"))
        port, secret = int(found["port"]), str(found["secret"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NotRunning(f'No agent is running on "{store}".') from error
    try:
        connection = socket.create_connection(("127.0.0.1", port), timeout=ORDER_SECONDS)
    except OSError as error:
        raise NotRunning(f'No agent is running on "{store}".') from error
    with connection:
        try:
            connection.sendall(json.dumps({"secret": secret, "order": order, **arguments}).encode() + b"\n")
            connection.settimeout(ANSWER_SECONDS)
            answer = json.loads(_read_line(connection, None))
        except (OSError, ValueError) as error:
            raise OrderFailed("error", "The agent ended before it answered.") from error
    if not isinstance(answer, dict) or answer.get("error") == "not-allowed":
        raise NotRunning(f'No agent is running on "{store}": another program has its port.')
    if "error" in answer:
        raise OrderFailed(str(answer["error"]), str(answer.get("message", "")))
    found_answer: Mapping[str, Any] = answer["answer"]
    return found_answer


def path_of(store: Path) -> Path:
    """The file that tells where the port of the agent on a store is."""
    return store.with_name(store.name + SUFFIX)


def _read_line(connection: socket.socket, most: int | None = ORDER_MAX) -> bytes:
    line = bytearray()
    while not line.endswith(b"\n"):
        received = connection.recv(65536)
        if not received or (most is not None and len(line) + len(received) > most):
            break
        line += received
    return bytes(line)
