"""LDAP on real ports, with StartTLS, and LDAPS: a simulated controller, or who else speaks it.

One thread takes connections, each connection has a thread of its own, and one lock stands around what is served. Limits
are those of the product's default LDAP policies where they make sense for a simulator (product documentation: "View and
set LDAP policy").
"""

from __future__ import annotations

import errno
import logging
import selectors
import socket
import ssl
import struct
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from threading import Lock, RLock, Thread
from typing import TYPE_CHECKING, Any, Self

from simulator.active_directory.conversation import Conversation, Faults, LdapConversation
from simulator.active_directory.messages import Undecodable, frame_size
from simulator.active_directory.session import Session
from simulator.certificates import Authority

if TYPE_CHECKING:
    from types import TracebackType

    from simulator.active_directory.state import Controller

PORT_MAX = 65535
RECEIVE_OCTETS = 64 * 1024
FAREWELL_SECONDS = 0.5
"""How long a client that is told to go may still send before its connection is torn down."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limits:
    """What a port bears. connections: beyond that the one that was idle longest is dropped (the product's
    MaxConnections is 5000). first_request_seconds: from the connection to its first whole request (InitRecvTimeout).
    idle_seconds: from an answer to the next whole request (MaxConnIdleTime). send_seconds: how long a client may take
    nothing of what is sent to it. message_octets: a longer one closes the connection (MaxReceiveBuffer).
    """

    connections: int = 1000
    first_request_seconds: float = 120.0
    idle_seconds: float = 900.0
    send_seconds: float = 120.0
    message_octets: int = 10_485_760


class PortUnavailable(OSError):
    """A port that can not be had. Its text says which, and why."""


class LdapPort(ABC):
    """Serves LDAP, with StartTLS, and LDAPS while its ``with`` block lasts.

    names: what clients may call the server, beside localhost, this machine and ``host``; the certificate has them.
    ldap_port, ldaps_port: 0 for any that is free; afterwards the ones taken. authority: issues the certificate; by
    default one of the port's own. lock: held around every access to what is served.

    A server that is down takes no connection and drops those that it has at their next request. ``faults.count`` tells
    how often the port itself failed; it should be 0. Raises PortUnavailable.
    """

    def __init__(
        self,
        names: Iterable[str],
        *,
        host: str = "127.0.0.1",
        ldap_port: int = 0,
        ldaps_port: int = 0,
        authority: Authority | None = None,
        lock: RLock | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.names = list(names)
        self.host = host
        self.ldap_port = ldap_port
        self.ldaps_port = ldaps_port
        self.authority = authority or Authority()
        self.lock = lock or RLock()
        self.limits = limits or Limits()
        self.faults = Faults()
        self._context: ssl.SSLContext | None = None
        self._listeners: dict[socket.socket, bool] = {}
        self._connections: dict[_Connection, Thread] = {}
        self._book = Lock()
        self._closing = False
        self._acceptor: Thread | None = None
        self._wake: tuple[socket.socket, socket.socket] | None = None

    @abstractmethod
    def is_up(self) -> bool:
        """Whether connections are taken."""

    @abstractmethod
    def converse(self, *, protected: bool) -> LdapConversation:
        """What a new connection says."""

    def __enter__(self) -> Self:
        self._context = self.authority.server_context(self._names())
        try:
            self.ldap_port = self._listen(self.ldap_port, protected=False)
            self.ldaps_port = self._listen(self.ldaps_port, protected=True)
            self._wake = socket.socketpair()
        except OSError:
            self.close()
            raise
        self._acceptor = Thread(target=self._accept_all, name=f"ldap-{self.names[0]}", daemon=True)
        self._acceptor.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def _names(self) -> list[str]:
        """What clients may call the server. OpenLDAP's take this machine's name where one says localhost."""
        names = (*self.names, "localhost", "127.0.0.1", "::1", self.host)
        return list(dict.fromkeys(name for name in (*names, socket.gethostname()) if name and name.isascii()))

    def _listen(self, port: int, *, protected: bool) -> int:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        try:
            if port > PORT_MAX:
                raise OSError(errno.EINVAL, f"the highest port is {PORT_MAX}")
            listener = socket.create_server((self.host, port), family=family, backlog=512)
        except OSError as problem:
            why = (problem.strerror or str(problem)).partition(" (while")[0]
            raise PortUnavailable(f"port {port} on {self.host} can not be had: {why}") from None
        listener.setblocking(False)
        self._listeners[listener] = protected
        return int(listener.getsockname()[1])

    def close(self) -> None:
        """Close the ports and all connections, and wait for their threads."""
        self._closing = True
        if self._wake is not None:
            self._wake[1].send(b"\0")
        if self._acceptor is not None:
            self._acceptor.join()
        with self._book:
            connections = dict(self._connections)
        for connection in connections:
            connection.shut()
        for thread in connections.values():
            thread.join()
        for each in (*self._listeners, *(self._wake or ())):
            each.close()
        self._listeners.clear()
        self._wake = self._acceptor = None

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._connections)

    # --- taking connections ---------------------------------------------------------------------------------------

    def _accept_all(self) -> None:
        if self._wake is None:
            return
        with selectors.DefaultSelector() as selector:
            for each in (*self._listeners, self._wake[0]):
                selector.register(each, selectors.EVENT_READ)
            while not self._closing:
                for key, _ in selector.select():
                    if isinstance(key.fileobj, socket.socket) and key.fileobj in self._listeners:
                        with self.faults.trap("taking a connection"):
                            self._accept(key.fileobj)

    def _accept(self, listener: socket.socket) -> None:
        try:
            raw, _ = listener.accept()
        except OSError as problem:
            # The client has left again, or this process has no descriptor left; then it is better off waiting.
            if not isinstance(problem, BlockingIOError | ConnectionError):
                self._drop_idlest()
                _log.warning("a connection could not be taken: %s", problem)
            return
        if not self.is_up():
            reset(raw)
            return
        if len(self._connections) >= self.limits.connections:
            self._drop_idlest()
        raw.setblocking(True)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = _Connection(self, raw, protected=self._listeners[listener])
        thread = Thread(target=self._serve, args=(connection,), name=f"ldap-{raw.fileno()}", daemon=True)
        with self._book:
            self._connections[connection] = thread
        try:
            thread.start()
        except RuntimeError:  # the system gives no more threads
            self._forget(connection)
            raw.close()

    def _serve(self, connection: _Connection) -> None:
        try:
            with self.faults.trap("serving a connection"):
                connection.run()
        finally:
            connection.close()
            self._forget(connection)

    def _forget(self, connection: _Connection) -> None:
        with self._book:
            self._connections.pop(connection, None)

    def _drop_idlest(self) -> None:
        with self._book:
            idlest = min(self._connections, key=lambda each: each.active, default=None)
        if idlest is not None:
            idlest.shut()

    def wrap(self, raw: socket.socket) -> ssl.SSLSocket:
        """The server's end of TLS, nothing negotiated yet. Raises OSError."""
        if self._context is None:
            raise OSError("the port is not open")
        return self._context.wrap_socket(raw, server_side=True, do_handshake_on_connect=False)


class DirectoryPort(LdapPort):
    """Serves a controller; options are those of :class:`LdapPort`.

    require_signing: a simple bind without TLS is refused (8), as a domain that demands LDAP signing does. Ports of one
    forest share one lock, and so does whoever changes the directory meanwhile.
    """

    def __init__(self, controller: Controller, *, require_signing: bool = False, **options: Any) -> None:
        domain = controller.domain.name
        super().__init__((f"{controller.name}.{domain}", domain), **options)
        self.controller = controller
        self._require_signing = require_signing

    def is_up(self) -> bool:
        """Whether the controller is."""
        return self.controller.state != "down"

    def converse(self, *, protected: bool) -> Conversation:
        """What a new connection says."""
        return Conversation(
            Session(self.controller),
            self.lock,
            self.faults,
            protected=protected,
            require_signing=self._require_signing,
        )


class _Connection:
    """One client. Only its own thread reads and writes; :meth:`shut` may be called by any."""

    def __init__(self, port: LdapPort, raw: socket.socket, *, protected: bool) -> None:
        self.active = time.monotonic()
        self._port = port
        self._socket = raw
        self._begins_with_tls = protected
        self._conversation = port.converse(protected=protected)
        self._buffer = bytearray()

    def run(self) -> None:
        """Talk until one of both sides has had enough."""
        limits = self._port.limits
        with suppress(OSError):  # the client is gone, too slow, or speaks no TLS: nothing to be said about it
            patience = limits.first_request_seconds
            if self._begins_with_tls:
                self._start_tls(patience)
            while not self._conversation.ended:
                octets = self._next_message(patience)
                if octets is None:
                    return
                self.active = time.monotonic()
                self._send(self._conversation.answer(octets, more=bool(self._buffer)))
                if self._conversation.wants_tls:
                    self._start_tls(limits.first_request_seconds)
                    self._conversation.protect()
                patience = limits.idle_seconds
            self._take_leave()

    def _start_tls(self, patience: float) -> None:
        self._socket.settimeout(patience)
        self._socket = wrapped = self._port.wrap(self._socket)
        wrapped.do_handshake()

    def _next_message(self, patience: float) -> bytes | None:
        """The next whole message; None if the client is gone or sends too much."""
        deadline = time.monotonic() + patience
        buffer, limits = self._buffer, self._port.limits
        while True:
            try:
                size = frame_size(buffer)
            except Undecodable as problem:
                self._send([self._conversation.disconnect(str(problem))])
                self._take_leave()
                return None
            if size is not None and size > limits.message_octets:
                return None
            if size is not None and size <= len(buffer):
                octets = bytes(buffer[:size])
                del buffer[:size]
                return octets
            self._socket.settimeout(max(0.001, deadline - time.monotonic()))
            received = self._socket.recv(RECEIVE_OCTETS)
            if not received:
                return None
            buffer += received

    def _send(self, pieces: Iterable[bytes]) -> None:
        self._socket.settimeout(self._port.limits.send_seconds)
        for piece in pieces:
            self._socket.sendall(piece)

    def _take_leave(self) -> None:
        """End politely: say that nothing more comes and let the client read it; a close alone could destroy it."""
        raw = self._socket
        raw.settimeout(0)
        if isinstance(raw, ssl.SSLSocket):
            with suppress(OSError, ValueError):
                raw.unwrap()
        _shut(raw, socket.SHUT_WR)
        until = time.monotonic() + FAREWELL_SECONDS
        while (left := until - time.monotonic()) > 0:
            raw.settimeout(left)
            if not socket.socket.recv(raw, RECEIVE_OCTETS):
                return

    def shut(self) -> None:
        """Make whatever its thread waits for fail at once."""
        _shut(self._socket, socket.SHUT_RDWR)

    def close(self) -> None:
        """Give the descriptor back."""
        self._socket.close()


def _shut(raw: socket.socket, how: int) -> None:
    """Shut the transport down; an SSLSocket's own method would take away what its thread is using."""
    with suppress(OSError):
        socket.socket.shutdown(raw, how)


def reset(raw: socket.socket) -> None:
    """Close a connection so that the client sees it refused rather than ended."""
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raw.close()
