"""Kerberos on a real port: TCP and UDP with the same number ([RFC4120] 7.2), served by one thread."""

from __future__ import annotations

import logging
import selectors
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from threading import RLock, Thread
from typing import TYPE_CHECKING, Final, Self

from simulator.active_directory.conversation import Faults
from simulator.active_directory.port import PORT_MAX, PortUnavailable, reset
from simulator.domain_services.kerberos import FIELD_TOO_LONG, RESPONSE_TOO_BIG, KeyDistributionCenter

if TYPE_CHECKING:
    from types import TracebackType

DATAGRAM_MAX: Final = 1465
"""A longer answer is not sent by UDP: the client is told to come by TCP (the product's MaxDatagramReplySize)."""
RECEIVE_OCTETS: Final = 64 * 1024
_LENGTH, _RESERVED = 4, 0x80
_TRIES = 20

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limits:
    """What the port bears: TCP connections (the oldest makes room), octets of a request, seconds of one connection."""

    connections: int = 500
    message_octets: int = 64 * 1024
    connection_seconds: float = 60.0


class _Stream:
    """One TCP connection: what has come so far, and what is still to be sent."""

    def __init__(self, raw: socket.socket, until: float) -> None:
        self.raw = raw
        self.until = until
        self.received = bytearray()
        self.waiting = bytearray()
        self.last = False

    @property
    def events(self) -> int:
        """What to wait for: nothing is read while an answer waits to be taken."""
        return selectors.EVENT_WRITE if self.waiting else selectors.EVENT_READ


class KerberosPort:
    """Serves a KDC while its ``with`` block lasts: one number, TCP and UDP, one thread.

    port: 0 for any that is free; afterwards the one taken. lock: held while the KDC is asked. is_up: while it is not,
    connections are reset and datagrams stay without answer. ``faults.count`` tells how often the port itself failed; it
    should be 0. Raises :class:`~simulator.active_directory.port.PortUnavailable`.
    """

    def __init__(
        self,
        centre: KeyDistributionCenter,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        lock: RLock | None = None,
        limits: Limits | None = None,
        is_up: Callable[[], bool] = lambda: True,
    ) -> None:
        self.centre = centre
        self.host = host
        self.port = port
        self.faults = Faults()
        self.is_up = is_up
        self._lock = lock or RLock()
        self._limits = limits or Limits()
        self._streams: dict[socket.socket, _Stream] = {}
        self._thread: Thread | None = None
        self._open = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            listener, datagrams = self._bound()
            opening.enter_context(listener)
            opening.enter_context(datagrams)
            awake, wake = socket.socketpair()
            opening.enter_context(awake)
            opening.enter_context(wake)
            self._thread = Thread(target=self._serve, args=(listener, datagrams, awake), name="kerberos", daemon=True)
            self._thread.start()
            opening.callback(self._thread.join)
            opening.callback(wake.send, b"\0")
            self._open = opening.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._open.close()

    def _bound(self) -> tuple[socket.socket, socket.socket]:
        """A listener and a socket for datagrams with the same number."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        for left in reversed(range(1 if self.port else _TRIES)):
            try:
                if self.port > PORT_MAX:
                    raise OSError(f"the highest port is {PORT_MAX}")
                listener = socket.create_server((self.host, self.port), family=family, backlog=512)
            except OSError as problem:
                raise self._unavailable(problem) from None
            datagrams = socket.socket(family, socket.SOCK_DGRAM)
            number = int(listener.getsockname()[1])
            try:
                datagrams.bind((self.host, number))
            except OSError as problem:
                listener.close()
                datagrams.close()
                if not left:
                    raise self._unavailable(problem) from None
                continue
            self.port = number
            listener.setblocking(False)
            datagrams.setblocking(False)
            return listener, datagrams
        raise AssertionError("unreachable")

    def _unavailable(self, problem: OSError) -> PortUnavailable:
        why = (problem.strerror or str(problem)).partition(" (while")[0]
        return PortUnavailable(f"port {self.port} on {self.host} can not be had: {why}")

    # --- one thread for everything --------------------------------------------------------------------------------

    def _serve(self, listener: socket.socket, datagrams: socket.socket, awake: socket.socket) -> None:
        try:
            with selectors.DefaultSelector() as selector:
                for each in (listener, datagrams, awake):
                    selector.register(each, selectors.EVENT_READ)
                while True:
                    ready = {key.fileobj for key, _ in selector.select(self._patience())}
                    if awake in ready:
                        return
                    self._drop_late(selector)
                    for source in ready:
                        with self.faults.trap("answering a request") as trap:
                            if source is listener:
                                self._accept(listener, selector)
                            elif source is datagrams:
                                self._datagram(datagrams)
                            elif isinstance(source, socket.socket) and source in self._streams:
                                self._move(self._streams[source], selector)
                        if trap.sprung and isinstance(source, socket.socket) and source in self._streams:
                            self._drop(self._streams[source], selector)
        finally:
            for stream in self._streams.values():
                stream.raw.close()
            self._streams.clear()

    def _patience(self) -> float | None:
        first = next(iter(self._streams.values()), None)
        return None if first is None else max(0.0, first.until - time.monotonic())

    def _drop_late(self, selector: selectors.BaseSelector) -> None:
        now = time.monotonic()
        for stream in [stream for stream in self._streams.values() if stream.until <= now]:
            self._drop(stream, selector)

    def _drop(self, stream: _Stream, selector: selectors.BaseSelector) -> None:
        selector.unregister(stream.raw)
        del self._streams[stream.raw]
        stream.raw.close()

    def _accept(self, listener: socket.socket, selector: selectors.BaseSelector) -> None:
        try:
            raw, _ = listener.accept()
        except OSError as problem:  # the client has left again, or this process has no descriptor left
            if not isinstance(problem, BlockingIOError | ConnectionError):
                _log.warning("a connection could not be taken: %s", problem)
                self._drop_oldest(selector)
            return
        if not self.is_up():
            reset(raw)
            return
        if len(self._streams) >= self._limits.connections:
            self._drop_oldest(selector)
        raw.setblocking(False)
        stream = self._streams[raw] = _Stream(raw, time.monotonic() + self._limits.connection_seconds)
        selector.register(raw, stream.events)

    def _drop_oldest(self, selector: selectors.BaseSelector) -> None:
        oldest = next(iter(self._streams.values()), None)
        if oldest is not None:
            self._drop(oldest, selector)

    def _datagram(self, datagrams: socket.socket) -> None:
        try:
            octets, sender = datagrams.recvfrom(RECEIVE_OCTETS)
        except OSError:  # an answer could not be delivered
            return
        with self._lock:
            answer = self._ask(octets)
            if answer is not None and len(answer) > DATAGRAM_MAX:
                answer = self.centre.error(RESPONSE_TOO_BIG)
        if answer is not None:
            with suppress(OSError):
                datagrams.sendto(answer, sender)

    def _move(self, stream: _Stream, selector: selectors.BaseSelector) -> None:
        """Read or send as much as goes now, and drop a connection that is at its end."""
        try:
            if stream.waiting:
                del stream.waiting[: stream.raw.send(stream.waiting)]
                over = stream.last and not stream.waiting
            else:
                octets = stream.raw.recv(RECEIVE_OCTETS)
                stream.received += octets
                over = not octets
        except BlockingIOError:
            return
        except OSError:
            over = True
        if not over and not stream.waiting:
            over = self._take(stream)
        if over:
            self._drop(stream, selector)
        else:
            selector.modify(stream.raw, stream.events)

    def _take(self, stream: _Stream) -> bool:
        """Answer the next whole message; whether the connection is over."""
        received = stream.received
        if len(received) < _LENGTH:
            return False
        size = int.from_bytes(received[:_LENGTH], "big")
        if received[0] & _RESERVED or size > self._limits.message_octets:
            answer: bytes | None = self.centre.error(FIELD_TOO_LONG)
            stream.last = True
        elif len(received) < _LENGTH + size:
            return False
        else:
            octets = bytes(received[_LENGTH : _LENGTH + size])
            del received[: _LENGTH + size]
            with self._lock:
                answer = self._ask(octets)
        if answer is None:
            return True
        stream.waiting += len(answer).to_bytes(_LENGTH, "big") + answer
        return False

    def _ask(self, octets: bytes) -> bytes | None:
        return self.centre.answer(octets) if self.is_up() else None
