"""One HTTPS port for everything that a served world says over HTTP, with many host names behind one certificate.

A client that resolves the real host names elsewhere uses the same port as its HTTPS proxy: ``CONNECT
login.microsoftonline.com:443`` is answered, and the TLS that follows is this port's own.
"""

from __future__ import annotations

import logging
import socket
import ssl
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from io import BufferedIOBase, BytesIO
from socketserver import ThreadingTCPServer
from threading import Lock, Thread
from types import TracebackType
from typing import Any, BinaryIO, Self, cast
from urllib.parse import unquote_to_bytes, urlsplit

from simulator.active_directory.port import PortUnavailable
from simulator.azure_ad.http import BODY_MAX
from simulator.azure_ad.wire import Answer, json_answer
from simulator.certificates import Authority
from simulator.serving.bodies import BadBody, BodyTooLong, CutOff, read_body

IDLE_SECONDS = 120.0
"""How long a client may send nothing, or take nothing of what is sent to it."""
HANDSHAKE_SECONDS = 10.0
TUNNEL_OCTETS = 8192
"""The longest request for a tunnel."""
TLS_RECORD = 0x16
"""The first octet of a TLS handshake (RFC 8446 5.1)."""

METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))

_log = logging.getLogger(__name__)

Application = Callable[[Mapping[str, Any]], Answer]
"""Answers a WSGI environment, whose ``wsgi.input`` holds the whole body. Raises HangUp."""


class HangUp(Exception):
    """The connection is to be broken off without an answer."""


class HttpsPort:
    """Serves an application over HTTPS while its ``with`` block lasts.

    names: host names and addresses for the certificate, and those that a tunnel may lead to. port: 0 for any that is
    free; afterwards the one taken. A body longer than the tenant's limit is not read; the application is called with an
    empty one and its real length, and says what it thinks of it. ``faults`` counts exceptions of the application, each
    of which is answered with a 500. Raises PortUnavailable.
    """

    def __init__(
        self, application: Application, *, names: Sequence[str], authority: Authority, host: str, port: int
    ) -> None:
        self.application = application
        self.names = tuple(dict.fromkeys(name.lower() for name in names))
        self.host = host
        self.port = port
        self.faults = 0
        self._context = authority.server_context(self.names)
        self._server: _Server | None = None
        self._thread: Thread | None = None

    def __enter__(self) -> Self:
        try:
            self._server = _Server(self, socket.AF_INET6 if ":" in self.host else socket.AF_INET)
        except (OSError, OverflowError) as problem:
            why = getattr(problem, "strerror", None) or problem
            raise PortUnavailable(f"port {self.port} on {self.host} can not be had: {why}") from None
        self.port = int(self._server.server_address[1])
        self._thread = Thread(target=self._server.serve_forever, args=(0.1,), name="https", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the port and all connections, and wait for their threads."""
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._server.hang_up_all()
            self._server.server_close()
        self._server = self._thread = None

    def answer(self, environ: Mapping[str, Any]) -> Answer:
        """What the application answers; an exception of it is a fault of the simulation. Raises HangUp."""
        try:
            return self.application(environ)
        except HangUp:
            raise
        except Exception:
            self.faults += 1
            _log.exception("a fault of pwsync itself, answering %s", environ.get("PATH_INFO"))
            return json_answer(500, {"error": {"code": "Fault", "message": "a fault of pwsync itself; see its log"}})

    def secure(self, raw: socket.socket) -> ssl.SSLSocket:
        """The server's end of TLS on a new connection, after the request for a tunnel if there is one."""
        raw.settimeout(HANDSHAKE_SECONDS)
        if raw.recv(1, socket.MSG_PEEK)[:1] != bytes((TLS_RECORD,)):
            self._open_tunnel(raw)
        protected = self._context.wrap_socket(raw, server_side=True, do_handshake_on_connect=False)
        try:
            protected.do_handshake()
        except OSError:
            protected.close()
            raise
        return protected

    def _open_tunnel(self, raw: socket.socket) -> None:
        """Answer ``CONNECT name:port``. Raises ConnectionError where the client asks for anything else."""
        head = _read_head(raw)
        words = head.split(b"\r\n", 1)[0].decode("latin-1").split()
        if len(words) != 3 or words[0] != "CONNECT":
            _say(raw, "400 Bad Request", "This port speaks HTTPS; as a proxy it takes CONNECT.")
            raise ConnectionAbortedError("neither TLS nor CONNECT")
        name = words[1].rpartition(":")[0].strip("[]").lower()
        if name not in self.names:
            _say(raw, "502 Bad Gateway", f"This world has no {name[:255]}. It has: {', '.join(self.names)}.")
            raise ConnectionAbortedError("a tunnel to nowhere")
        raw.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")


def _read_head(raw: socket.socket) -> bytes:
    """A request up to its empty line; nothing behind it is taken. Raises ConnectionError if it has no end."""
    head = b""
    while len(head) < TUNNEL_OCTETS:
        seen = raw.recv(TUNNEL_OCTETS - len(head), socket.MSG_PEEK)
        if not seen:
            raise ConnectionAbortedError("the client has left")
        both = head + seen
        end = both.find(b"\r\n\r\n", max(0, len(head) - 3))
        taken = len(seen) if end < 0 else end + 4 - len(head)
        head += raw.recv(taken)
        if end >= 0:
            return head
    _say(raw, "431 Request Header Fields Too Large", f"At most {TUNNEL_OCTETS} octets.")
    raise ConnectionAbortedError("a head without an end")


def _say(raw: socket.socket, status: str, text: str) -> None:
    body = f"{text}\n".encode("ascii", "replace")
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    raw.sendall(head.encode("latin-1") + body)


class _Server(ThreadingTCPServer):
    """Takes connections, each in a thread of its own."""

    allow_reuse_address = True
    request_queue_size = 128
    daemon_threads = False
    block_on_close = True

    def __init__(self, port: HttpsPort, family: int) -> None:
        self.https = port
        self.address_family = family
        self._book = Lock()
        self._open: set[socket.socket] = set()
        super().__init__((port.host, port.port), _Handler)

    def note(self, connection: socket.socket, *, here: bool) -> None:
        """A connection is there, or gone."""
        with self._book:
            (self._open.add if here else self._open.discard)(connection)

    def hang_up_all(self) -> None:
        """Make whatever the connections' threads wait for fail at once."""
        with self._book:
            for each in self._open:
                with suppress(OSError):
                    socket.socket.shutdown(each, socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection has ended by an exception: the client left, or speaks no TLS."""
        error = sys.exception()
        if not isinstance(error, OSError | ValueError):
            self.https.faults += 1
            _log.error("a fault of pwsync itself, serving a connection", exc_info=error)


class _Lines:
    """A connection's lines, of which the last is remembered."""

    def __init__(self, file: BufferedIOBase) -> None:
        self._file = file
        self.last: bytes | None = None

    def readline(self, most: int = -1) -> bytes:
        self.last = self._file.readline(most)
        return self.last


class _Handler(BaseHTTPRequestHandler):
    """One connection: TLS, then requests until one side has had enough."""

    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS
    server: _Server

    def setup(self) -> None:
        raw = self.request
        self.server.note(raw, here=True)
        try:
            self.request = self.server.https.secure(raw)
        finally:
            self.server.note(raw, here=False)
        self.server.note(self.request, here=True)
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().setup()

    def finish(self) -> None:
        with suppress(OSError, ValueError):
            super().finish()
        self.server.note(self.request, here=False)
        with suppress(OSError, ValueError):
            self.request.settimeout(0.5)
            self.request.unwrap()
        self.request.close()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse a request that can't be read, in the shape of all other refusals; the connection ends."""
        self.close_connection = True
        text = message or HTTPStatus(code).phrase
        if not hasattr(self, "command") or self.command is None:
            self.command = ""
        if not hasattr(self, "request_version"):
            self.request_version = self.protocol_version
        self._send(json_answer(code, {"error": {"code": HTTPStatus(code).phrase.replace(" ", ""), "message": text}}))

    def parse_request(self) -> bool:
        """Read a request's head. One that breaks off is no request, though the standard library takes it for one."""
        file = self.rfile
        lines = _Lines(file)
        self.rfile = cast("BufferedIOBase", lines)
        try:
            fine = super().parse_request()
        finally:
            self.rfile = file
        if fine and lines.last == b"":
            self.close_connection = True
            return False
        return fine

    def handle_expect_100(self) -> bool:
        """Ask for the body, unless it is announced to be longer than what is taken."""
        length = self.headers.get("Content-Length", "0")
        if length.isascii() and length.isdigit() and (len(length) > 16 or int(length) > BODY_MAX):
            return True
        return super().handle_expect_100()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is logged of single requests."""

    def serve(self) -> None:
        """Hand a request to the application, and its answer to the client."""
        environ = self._environ()
        if environ is None:
            return
        try:
            answer = self.server.https.answer(environ)
        except HangUp:
            self.close_connection = True
            return
        self._send(answer)

    def __getattr__(self, name: str) -> Any:
        if name.removeprefix("do_") in METHODS and name.startswith("do_"):
            return self.serve
        raise AttributeError(name)

    def _send(self, answer: Answer) -> None:
        self.send_response_only(answer.status)
        for name, value in answer.headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def _environ(self) -> dict[str, Any] | None:
        """The WSGI environment; None if the request was answered, or broke off."""
        length, body = "", b""
        try:
            body = read_body(
                cast("BinaryIO", self.rfile),
                self.headers.get_all("Content-Length", []),
                self.headers.get_all("Transfer-Encoding", []),
                self.request_version,
                BODY_MAX,
            )
            length = str(len(body)) if body or "Content-Length" in self.headers else ""
            url = urlsplit(self.path) if not self.path.startswith("/") else None
        except BodyTooLong:
            self.close_connection = True  # what is not read would be taken for the next request
            length, url = self.headers.get("Content-Length", str(BODY_MAX + 1)), None
        except CutOff:
            self.close_connection = True
            return None
        except (BadBody, ValueError) as problem:
            self.send_error(problem.status if isinstance(problem, BadBody) else 400, str(problem))
            return None
        target = self.path if url is None else f"{url.path or '/'}{'?' if url.query else ''}{url.query}"
        path, _, query = target.partition("?")
        environ: dict[str, Any] = {}
        for name, value in self.headers.items():
            key = f"HTTP_{name.upper().replace('-', '_')}"
            environ[key] = f"{environ[key]},{value}" if key in environ else value
        environ |= {
            "REQUEST_METHOD": self.command,
            "SERVER_NAME": self.server.https.host,
            "SERVER_PORT": str(self.server.https.port),
            "SERVER_PROTOCOL": self.request_version,
            "REMOTE_ADDR": self.client_address[0],
            "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
            "SCRIPT_NAME": "",
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": length,
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "https",
            "wsgi.input": BytesIO(body),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        return environ
