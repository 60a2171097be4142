"""Bodies of HTTP/1.1 requests: how long they are, and those that come in chunks (RFC 9112 6 and 7.1).

A request whose length can be read in two ways is refused: whatever stands behind it could be taken for a request.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO

LINE_MAX = 1024
"""The longest line that announces a chunk, its extensions included."""
TRAILERS_MAX = 8192
"""Octets of fields behind the last chunk, all of which are passed over."""

_HEX = frozenset(b"0123456789abcdefABCDEF")
_DIGITS_MAX = 16


class BadBody(Exception):
    """The body can't be read as announced; ``status`` and the text are the answer."""

    def __init__(self, status: int, text: str) -> None:
        self.status = status
        super().__init__(text)


class BodyTooLong(Exception):
    """More octets have come than are taken."""


class CutOff(Exception):
    """The client has left in the middle of the body."""


def read_body(file: BinaryIO, lengths: Sequence[str], codings: Sequence[str], version: str, most: int) -> bytes:
    """The body of a request.

    lengths, codings: the fields Content-Length and Transfer-Encoding, as often as they stand there. version:
    ``HTTP/1.1``. most: octets that are taken. Raises BadBody, BodyTooLong, CutOff.
    """
    if codings:
        if lengths:
            raise BadBody(400, "Content-Length and Transfer-Encoding can't both be there")
        if version != "HTTP/1.1":
            raise BadBody(400, f"{version} has no Transfer-Encoding")
        if [each.strip().lower() for each in codings] != ["chunked"]:
            raise BadBody(501, "the one Transfer-Encoding that is known is chunked")
        return _read_chunks(file, most)
    if len({each.strip() for each in lengths}) > 1:
        raise BadBody(400, "two different Content-Length fields")
    text = lengths[0].strip() if lengths else "0"
    if not (text.isascii() and text.isdigit()):
        raise BadBody(400, "Content-Length is not a number")
    if len(text) > _DIGITS_MAX or int(text) > most:
        raise BodyTooLong
    return _read(file, int(text))


def _read_chunks(file: BinaryIO, most: int) -> bytes:
    parts: list[bytes] = []
    total = 0
    while True:
        size = _chunk_size(_line(file, LINE_MAX))
        total += size
        if total > most:
            raise BodyTooLong
        if not size:
            _pass_trailers(file)
            return b"".join(parts)
        parts.append(_read(file, size))
        if _read(file, 2) != b"\r\n":
            raise BadBody(400, "a chunk is not as long as it says")


def _chunk_size(line: bytes) -> int:
    digits = line.partition(b";")[0].rstrip(b" \t")
    if not digits or len(digits) > _DIGITS_MAX or not _HEX.issuperset(digits):
        raise BadBody(400, "the length of a chunk is not a hexadecimal number")
    return int(digits, 16)


def _pass_trailers(file: BinaryIO) -> None:
    left = TRAILERS_MAX
    while line := _line(file, left):
        left -= len(line) + 2
        if left <= 0:
            raise BadBody(431, f"more than {TRAILERS_MAX} octets of trailers")


def _line(file: BinaryIO, most: int) -> bytes:
    """A line without its end. A bare line feed ends none: proxies differ over it."""
    line = file.readline(most + 3)
    if not line.endswith(b"\n"):
        if len(line) < most + 3:
            raise CutOff
        raise BadBody(400, "a line of a chunked body is too long")
    if not line.endswith(b"\r\n") or b"\r" in line[:-2]:
        raise BadBody(400, "a line of a chunked body ends without CR LF")
    return line[:-2]


def _read(file: BinaryIO, size: int) -> bytes:
    found = file.read(size)
    if len(found) < size:
        raise CutOff
    return found
