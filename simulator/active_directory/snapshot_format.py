"""The octets of a snapshot: a head, and compressed lines of JSON. It is read as data; nothing in it can run code.

    head = magic (16 octets), version (2), length of the body (8), SHA-256 of the body (32), big-endian
    body = zlib(lines), each line one JSON text in ASCII

JSON has no octets, tuples, sets or times: an object with one key of :class:`Tag` stands for them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from functools import cache
from types import UnionType
from typing import Any, get_type_hints
from uuid import UUID

MAGIC = b"pwsync directory"
VERSION = 1
SIZE_MAX = 1 << 33
"""Octets of all lines together: some ten million users; a file that claims more is refused."""

LINE_SIZE_MAX = 1 << 30
_HEAD = struct.Struct(">16sHQ32s")
_LEVEL = 2  # of zlib: higher ones take three times as long for a tenth less
_READ = 1 << 20


class SnapshotError(ValueError):
    """Octets are not a snapshot that can be restored, or a forest holds what no snapshot can; the text says why."""


DAMAGE = (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError, RecursionError, struct.error)
"""What reading a snapshot that nobody wrote like that runs into."""


class Tag:
    """Keys that stand for what JSON does not have."""

    OCTETS, TUPLE, DICT, SET, FROZEN, TIME, SPAN, UUID, RANGE = "b", "t", "d", "s", "f", "w", "p", "u", "r"
    RANDOM, ENTRY, OBJECT, VALUE, CLASS = "g", "e", "o", "v", "k"


def pack(lines: Iterable[Any]) -> bytes:
    """Lines of JSON values, octets among them, as a snapshot."""
    pressed = zlib.compressobj(_LEVEL)
    encode = json.JSONEncoder(separators=(",", ":"), default=_octets).encode
    parts = [pressed.compress(encode(line).encode("ascii") + b"\n") for line in lines]
    body = b"".join(parts) + pressed.flush()
    return _HEAD.pack(MAGIC, VERSION, len(body), hashlib.sha256(body).digest()) + body


def _octets(value: object) -> dict[str, str]:
    if type(value) is not bytes:
        raise SnapshotError(f"a snapshot can't hold {value!r}")
    return {Tag.OCTETS: value.hex()}


def unpack(octets: bytes) -> Iterator[Any]:
    """The lines of a snapshot, octets restored.

    Raises SnapshotError, for what the head tells at once, for a line when it comes.
    """
    if len(octets) < _HEAD.size or not octets.startswith(MAGIC):
        raise SnapshotError("this is no snapshot of a directory" if octets else "the snapshot is empty")
    _, version, length, digest = _HEAD.unpack_from(octets)
    if version != VERSION:
        hint = "a newer pwsync wrote it" if version > VERSION else "it is too old"
        raise SnapshotError(f"a snapshot of version {version}, and {VERSION} can be read: {hint}")
    body = memoryview(octets)[_HEAD.size :]
    if len(body) != length:
        what = "is cut off" if len(body) < length else "is followed by something else"
        raise SnapshotError(f"the snapshot {what}: {len(body)} of {length} octets")
    if hashlib.sha256(body).digest() != digest:
        raise SnapshotError("the snapshot is damaged: its digest does not fit")
    return _lines(body)


def _lines(body: memoryview) -> Iterator[Any]:
    decode = json.JSONDecoder(object_hook=_restored).decode
    try:
        for line in _split(body):
            yield decode(line.decode("ascii"))
    except (zlib.error, *DAMAGE) as problem:
        if isinstance(problem, SnapshotError):
            raise
        raise SnapshotError(f"the snapshot is damaged: {problem}") from None


def _split(body: memoryview) -> Iterator[bytes]:
    released = zlib.decompressobj()
    total, begun = 0, b""
    for at in range(0, len(body), _READ):
        waiting: bytes = bytes(body[at : at + _READ])
        while waiting:
            text = released.decompress(waiting, _READ * 16)
            waiting = released.unconsumed_tail
            total += len(text)
            if total > SIZE_MAX or len(begun) > LINE_SIZE_MAX:
                raise SnapshotError("the snapshot is too large")
            *whole, begun = (begun + text).split(b"\n")
            yield from whole
    if begun or not released.eof or released.unused_data:
        raise SnapshotError("the snapshot is damaged: its end is missing")


def _restored(node: dict[str, Any]) -> Any:
    text = node.get(Tag.OCTETS)
    return bytes.fromhex(text) if text is not None and len(node) == 1 else node


# --- values of objects' fields --------------------------------------------------------------------------------------

Handler = Callable[[Any], Any]


class Codec:
    """Values of fields to JSON and back.

    by_type: how a snapshot names what it holds elsewhere (entries, controllers, generators): type -> (tag, encoder,
    decoder). classes: value classes (dataclasses and named tuples) by the name under which they are written.
    """

    def __init__(self, by_type: dict[type, tuple[str, Handler, Handler]], classes: dict[str, type]) -> None:
        self._by_type = by_type
        self._classes = classes
        self._name_of = {found: name for name, found in classes.items()}
        self._decoders: dict[str, Handler] = {
            Tag.TUPLE: lambda node: tuple(self.decode(each) for each in node),
            Tag.DICT: lambda node: {self.decode(key): self.decode(value) for key, value in node},
            Tag.SET: lambda node: {self.decode(each) for each in node},
            Tag.FROZEN: lambda node: frozenset(self.decode(each) for each in node),
            Tag.TIME: datetime.fromisoformat,
            Tag.SPAN: lambda node: timedelta(microseconds=node),
            Tag.UUID: lambda node: UUID(hex=node),
            Tag.RANGE: lambda node: range(*node),
            Tag.VALUE: self._value,
            **{tag: decode for tag, _, decode in by_type.values()},
        }

    def encode(self, value: Any) -> Any:
        """A value as JSON. Raises SnapshotError for a type that is not known."""
        kind = type(value)
        if value is None or kind in (bool, int, str, bytes):
            return value
        if kind in self._by_type:
            tag, encode, _ = self._by_type[kind]
            return {tag: encode(value)}
        if kind in self._name_of:
            return {Tag.VALUE: [self._name_of[kind], self._fields(value)]}
        if kind is list:
            return [self.encode(each) for each in value]
        return self._tagged(kind, value)

    def _tagged(self, kind: type, value: Any) -> Any:
        if kind is tuple:
            return {Tag.TUPLE: [self.encode(each) for each in value]}
        if kind is dict:
            return {Tag.DICT: [[self.encode(key), self.encode(each)] for key, each in value.items()]}
        if kind in (set, frozenset):
            tag = Tag.SET if kind is set else Tag.FROZEN
            return {tag: sorted((self.encode(each) for each in value), key=lambda node: json.dumps(node, default=repr))}
        if kind is datetime:
            return {Tag.TIME: value.isoformat()}
        if kind is timedelta:
            return {Tag.SPAN: value // timedelta(microseconds=1)}
        if kind is UUID:
            return {Tag.UUID: value.hex}
        if kind is range:
            return {Tag.RANGE: [value.start, value.stop, value.step]}
        raise SnapshotError(f"a snapshot can't hold a {kind.__qualname__}")

    def _value(self, node: Any) -> Any:
        kind = self._classes[node[0]]
        found = kind(**{key: self.decode(each) for key, each in node[1].items()})
        for name, hint in _hints(kind).items():
            if not _fits(getattr(found, name), hint):
                raise SnapshotError(f"the snapshot is damaged: {name} of a {kind.__qualname__}")
        return found

    def _fields(self, value: Any) -> dict[str, Any]:
        if dataclasses.is_dataclass(value):
            names = [each.name for each in dataclasses.fields(value)]
        else:
            names = list(value._fields)
        return {name: self.encode(getattr(value, name)) for name in names}

    def decode(self, node: Any) -> Any:
        """The reverse of :meth:`encode`."""
        if type(node) is list:
            return [self.decode(each) for each in node]
        if type(node) is not dict:
            return node
        ((tag, inner),) = node.items()
        return self._decoders[tag](inner)


@cache
def _hints(kind: type) -> dict[str, Any]:
    """The types of a value class's fields; those that only type checkers import are not checked."""
    try:
        return get_type_hints(kind)
    except NameError:
        return {}


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value is of a type, as far as the outermost one goes; an int is no bool."""
    if isinstance(hint, UnionType):
        return any(_fits(value, each) for each in hint.__args__)
    kind = getattr(hint, "__origin__", hint)
    return type(value) is kind if isinstance(kind, type) else True
