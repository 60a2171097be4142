"""How bodies come over HTTP/1.1: by length or in chunks, asked for, one behind the other, and cut off."""

from __future__ import annotations

import json
import socket
import ssl
from contextlib import suppress
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.serving.bodies import LINE_MAX, BadBody, BodyTooLong, CutOff, read_body

HEAD = b"POST /time HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n"
ADVANCE = b'{"advance": "2m"}'


def chunks(body: bytes, size: int = 5) -> bytes:
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def read(octets: bytes, most: int = 100) -> tuple[bytes, bytes]:
    """A chunked body, and what is left behind it."""
    file = BytesIO(octets)
    return read_body(file, [], ["chunked"], "HTTP/1.1", most), file.read()


class Line:
    """One TLS connection to the port, for what no client library would send."""

    def __init__(self, served: Any) -> None:
        raw = socket.create_connection(("127.0.0.1", served.served.https.port), timeout=30)
        context = ssl.create_default_context(cafile=str(served.authority))
        self.end = context.wrap_socket(raw, server_hostname="localhost")

    def send(self, octets: bytes) -> None:
        self.end.sendall(octets)

    def answers(self, count: int) -> list[tuple[int, bytes]]:
        """The next answers, each with status and body."""
        file, found = self.end.makefile("rb"), []
        for _ in range(count):
            status = int(file.readline().split()[1])
            length = 0
            while (line := file.readline().strip().lower()) != b"":
                if line.startswith(b"content-length:"):
                    length = int(line.partition(b":")[2])
            found.append((status, file.read(length)))
        return found

    def rest(self) -> bytes:
        """What comes until the port hangs up."""
        found = b""
        try:
            while received := self.end.recv(65536):
                found += received
        except ConnectionError:
            pass
        return found

    def close(self) -> None:
        self.end.close()


@pytest.fixture
def line(served: Any) -> Any:
    made = Line(served)
    yield made
    made.close()


class TestChunks:
    @given(st.binary(max_size=100), st.integers(1, 30), st.binary(max_size=9))
    def test_any(self, body: bytes, size: int, behind: bytes) -> None:
        """However a body is cut up, it is read as it was, and nothing behind it is taken."""
        assert read(chunks(body, size) + behind) == (body, behind)

    def test_decorations(self) -> None:
        """Extensions, upper-case digits, leading zeros and trailers are passed over."""
        octets = b'000A;name="x"\r\n0123456789\r\n0 ;last\r\nDigest: x\r\nExpires: never\r\n\r\nrest'
        assert read(octets) == (b"0123456789", b"rest")

    @pytest.mark.parametrize(
        "octets",
        [
            b"x\r\n", b"\r\n", b"-1\r\n", b"0x5\r\nhello\r\n", b"+5\r\nhello\r\n", b"5\nhello\r\n0\r\n\r\n",
            b"5\r\nhelloX\r\n", b"5\r\nhello!!0\r\n\r\n", b"5_0\r\n", b"0" * 17 + b"\r\n", b"5\rX\r\nhello\r\n",
            b"5;" + b"x" * LINE_MAX + b"\r\nhello\r\n", b"0\r\n" + b"a: b\r\n" * 2000 + b"\r\n",
            b"0\r\n" + b"x" * 20_000,
        ],
    )  # fmt: skip
    def test_bad(self, octets: bytes) -> None:
        """What is no chunk is refused."""
        with pytest.raises(BadBody):
            read(octets)

    @given(st.integers(0, 30))
    def test_cut_off(self, length: int) -> None:
        """A body that ends too early is none."""
        whole = chunks(b"hello, world and all", 7)
        with pytest.raises(CutOff):
            read(whole[: min(length, len(whole) - 1)])

    @pytest.mark.parametrize(
        "octets", [b"65\r\n", b"ffffffffffffffff\r\n", chunks(b"x" * 101), chunks(b"x" * 99 + b"yy", 99)]
    )
    def test_too_long(self, octets: bytes) -> None:
        """A body may not grow beyond the limit, whether at once or bit by bit."""
        with pytest.raises(BodyTooLong):
            read(octets)

    @given(st.binary(max_size=60))
    def test_garbage(self, octets: bytes) -> None:
        """Whatever comes: a body, or one of three refusals."""
        with suppress(BadBody, BodyTooLong, CutOff):
            read(octets)

    @pytest.mark.parametrize(
        ("lengths", "codings", "version", "status"),
        [
            (["5"], ["chunked"], "HTTP/1.1", 400),
            ([], ["chunked"], "HTTP/1.0", 400),
            ([], ["chunked", "chunked"], "HTTP/1.1", 501),
            ([], ["identity"], "HTTP/1.1", 501),
            (["5", "6"], [], "HTTP/1.1", 400),
            (["5x"], [], "HTTP/1.1", 400),
            (["+5"], [], "HTTP/1.1", 400),
            (["\u0665"], [], "HTTP/1.1", 400),
        ],
    )
    def test_lengths(self, lengths: list[str], codings: list[str], version: str, status: int) -> None:
        """A length that can be read in two ways, or in none, is refused."""
        with pytest.raises(BadBody) as caught:
            read_body(BytesIO(b"5\r\nhello\r\n0\r\n\r\n"), lengths, codings, version, 100)
        assert caught.value.status == status

    def test_equal_lengths(self) -> None:
        """The same length twice is one length."""
        assert read_body(BytesIO(b"hello"), ["5", " 5 "], [], "HTTP/1.1", 100) == b"hello"


class TestOverThePort:
    def test_chunked(self, served: Any) -> None:
        """A client that streams its body is answered as one that knows its length."""
        before = served.get("/time")["now"]
        answer = served.session.post(f"{served.served.url}/time", data=iter([ADVANCE[:5], ADVANCE[5:]]), timeout=30)
        assert answer.status_code == 200
        assert answer.json()["now"] != before
        form = iter([b"grant_type=pass", b"word&client_id=x"])
        url = "https://login.microsoftonline.com/organizations/oauth2/v2.0/token"
        assert served.session.post(url, data=form, timeout=30).json()["error"] == "invalid_request"

    def test_asked_for(self, line: Line) -> None:
        """A client that waits to be asked for its body is asked."""
        line.send(HEAD + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(ADVANCE))
        assert line.answers(1) == [(100, b"")]
        line.send(ADVANCE)
        assert line.answers(1)[0][0] == 200

    def test_not_asked_for(self, line: Line) -> None:
        """A body that is announced as too long is not asked for."""
        line.send(HEAD + b"Expect: 100-continue\r\nContent-Length: 99999999999\r\n\r\n")
        assert line.rest().startswith(b"HTTP/1.1 413 ")

    def test_pipelined(self, line: Line) -> None:
        """Requests sent at once are answered in their order, chunked ones among them."""
        get = b"GET /time HTTP/1.1\r\nHost: localhost\r\n\r\n"
        sized = HEAD + b"Content-Length: %d\r\n\r\n" % len(ADVANCE) + ADVANCE
        line.send(get + CHUNKED + b"\r\n" + chunks(ADVANCE) + sized + get)
        times = [json.loads(body)["now"] for status, body in line.answers(4) if status == 200]
        assert times == sorted(times)
        assert len(set(times)) == 3

    @pytest.mark.parametrize(
        "octets",
        [
            CHUNKED + b"\r\n" + chunks(ADVANCE)[:-5],
            HEAD + b"Content-Length: %d\r\n\r\n" % len(ADVANCE) + ADVANCE[:-1],
            HEAD,
            HEAD[:-1],
            b"DELETE /faults HTTP/1.1",
            CHUNKED + b"\r\n5\r\n",
        ],
    )
    def test_half_sent(self, served: Any, line: Line, octets: bytes) -> None:
        """Half a request is no request: nothing happens, and nothing is answered."""
        before = served.get("/time")["now"]
        line.send(octets)
        line.end.unwrap()
        line.close()
        assert served.get("/time")["now"] == before

    def test_smuggled(self, served: Any, line: Line) -> None:
        """What stands behind a body of two lengths is not taken for a request."""
        before = served.get("/time")["now"]
        inner = HEAD + b"Content-Length: %d\r\n\r\n" % len(ADVANCE) + ADVANCE
        line.send(CHUNKED + b"Content-Length: 4\r\n\r\n0\r\n\r\n" + inner)
        told = line.rest()
        assert told.startswith(b"HTTP/1.1 400 ")
        assert told.count(b"HTTP/1.1") == 1
        assert served.get("/time")["now"] == before

    def test_huge(self, line: Line) -> None:
        """A chunked body beyond the limit is refused by the service it was for, and the connection ends."""
        line.send(
            b"POST /v1.0/users HTTP/1.1\r\nHost: graph.microsoft.com\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n"
        )
        told = line.rest()
        assert told.startswith(b"HTTP/1.1 413 ")
        assert json.loads(told.split(b"\r\n\r\n")[1])["error"]["code"] == "TooLarge"
