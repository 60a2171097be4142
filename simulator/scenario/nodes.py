"""YAML text as nodes with positions: text in quotes or not, mappings in file order, lists; nothing else.

Anchors, aliases, tags, a second document, keys that are not words, duplicate keys, control characters and deep nesting
are problems of the text, found here. Values are not typed: :mod:`simulator.scenario.values` does that, by the key.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

DEPTH_MAX = 50
"""Deepest nesting of mappings and lists; the format itself needs 10."""

CONTROLS_MAX = 100
"""Most forbidden characters that are reported; a file with more is no text."""

UNREADABLE = "*"
"""The style of a node that stands for something already reported; nothing more is said about it."""

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_LINE_END = re.compile(r"\r\n|\r|\n")
_CONTROL = re.compile(r"[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")


@dataclass(slots=True, eq=False)
class Node:
    """A piece of the file. ``line`` and ``column`` count from 1; ``length`` is that of the text to mark."""

    line: int
    column: int
    length: int


@dataclass(slots=True, eq=False)
class Scalar(Node):
    """A text. ``style``: ``''`` plain, ``'`` or ``"`` quoted, ``|`` or ``>`` a block."""

    text: str
    style: str = ""

    @property
    def quoted(self) -> bool:
        return self.style != ""


@dataclass(slots=True, eq=False)
class Mapping(Node):
    """Keys and values in the order of the file; a duplicate key's first value counts."""

    entries: list[tuple[Scalar, Node]] = field(default_factory=list)

    def get(self, key: str) -> Node | None:
        return next((value for name, value in self.entries if name.text == key), None)

    def key(self, key: str) -> Scalar | None:
        return next((name for name, _ in self.entries if name.text == key), None)


@dataclass(slots=True, eq=False)
class Sequence(Node):
    """A list."""

    items: list[Node] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong at a node; a :class:`~simulator.scenario.errors.FileError` before the file's path is known."""

    message: str
    node: Node
    hint: str = ""


def split_lines(text: str) -> list[str]:
    """The lines as YAML counts them."""
    return _LINE_END.split(text)


def compose(text: str) -> tuple[Node | None, list[Problem]]:
    """The document's root, and what is wrong with the text; no root where it can't be read to its end."""
    if _CONTROL.search(text):
        return None, _controls(text)
    composer = _Composer()
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            if not composer.take(event):
                return None, composer.problems
    except yaml.YAMLError as error:
        composer.problems.append(_syntax(error))
        return None, composer.problems
    if composer.root is None:
        composer.problems.append(Problem("the file is empty", Node(1, 1, 1), 'expected "scenario:" and the rest'))
    return composer.root, composer.problems


def _controls(text: str) -> list[Problem]:
    """The characters that a scenario may not hold; a hundred of them tell enough."""
    found = []
    for number, line in enumerate(split_lines(text), 1):
        for match in _CONTROL.finditer(line):
            message = f"a character that a scenario may not hold (U+{ord(match[0]):04X})"
            place = Node(number, match.start() + 1, 1)
            found.append(Problem(message, place, "write it as an escape in double quotes"))
            if len(found) == CONTROLS_MAX:
                return found
    return found


_SYNTAX_HINTS = {
    "mapping values are not allowed in this context": 'a text that holds ": " stands in quotes',
    "found character that cannot start any token": "a text that begins so stands in quotes; tabs do not indent",
    "could not find expected ':'": "a key is followed by a colon and a blank",
    "found unexpected end of stream": "a quote is not closed",
}


def _syntax(error: yaml.YAMLError) -> Problem:
    """The parser's complaint, at the place where it noticed."""
    problem = str(getattr(error, "problem", None) or getattr(error, "reason", None) or "it can't be read")
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    node = Node(mark.line + 1, mark.column + 1, 1) if mark is not None else Node(1, 1, 1)
    context = getattr(error, "context", None)
    return Problem(f"not YAML: {problem}" + (f" {context}" if context else ""), node, _SYNTAX_HINTS.get(problem, ""))


class _Composer:
    """Builds nodes out of the parser's events, without recursion."""

    def __init__(self) -> None:
        self.root: Node | None = None
        self.problems: list[Problem] = []
        self._open: list[tuple[Mapping | Sequence, Scalar | None]] = []
        self._keys: list[dict[str, Scalar]] = []
        self._documents = 0

    def take(self, event: Any) -> bool:
        """Add one event; False where there is no sense in reading on."""
        kind = type(event)
        if kind is yaml.ScalarEvent:
            self._flag(event)
            self._add(Scalar(*_span(event), event.value, event.style or ""))
        elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
            return self._begin(event, Mapping if kind is yaml.MappingStartEvent else Sequence)
        elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            self._end()
        elif kind is yaml.AliasEvent:
            self._complain("a scenario has no aliases", event, "write the value out")
            self._add(Scalar(*_span(event), "", UNREADABLE))
        elif kind is yaml.DocumentStartEvent:
            return self._document(event)
        return True

    def _document(self, event: Any) -> bool:
        self._documents += 1
        if event.tags:
            self._complain("a scenario has no tags", event, "leave the %TAG line out")
        if self._documents > 1:
            self._complain("a file holds one scenario", event, "put the second one into a file of its own")
        return self._documents == 1

    def _begin(self, event: Any, kind: type[Mapping] | type[Sequence]) -> bool:
        self._flag(event)
        if len(self._open) >= DEPTH_MAX:
            self._complain("nested too deeply", event, f"at most {DEPTH_MAX} levels")
            return False
        self._open.append((kind(*_span(event)), None))
        self._keys.append({})
        return True

    def _end(self) -> None:
        node, _ = self._open.pop()
        self._keys.pop()
        self._add(node)

    def _add(self, node: Node) -> None:
        """Put a finished node where it belongs: key, value, item or root."""
        if not self._open:
            self.root = node
            return
        parent, key = self._open[-1]
        if isinstance(parent, Sequence):
            parent.items.append(node)
        elif key is not None:
            self._open[-1] = (parent, None)
            if self._keys[-1][key.text] is key:
                parent.entries.append((key, node))
        else:
            self._open[-1] = (parent, self._as_key(node))

    def _as_key(self, node: Node) -> Scalar:
        if not isinstance(node, Scalar):
            self.problems.append(Problem("a key must be a word", node))
            node = Scalar(node.line, node.column, node.length, f"\0{len(self.problems)}", UNREADABLE)
        first = self._keys[-1].setdefault(node.text, node)
        if first is not node:
            message = f'the key "{node.text}" is here twice'
            self.problems.append(Problem(message, node, f"the first one is in line {first.line}"))
        return node

    def _flag(self, event: Any) -> None:
        if event.anchor is not None:
            self._complain(f'a scenario has no anchors, found "&{event.anchor}"', event, "leave it out")
        if event.tag is not None:
            self._complain(f'a scenario has no tags, found "{event.tag}"', event, "leave it out")

    def _complain(self, message: str, event: Any, hint: str = "") -> None:
        self.problems.append(Problem(message, Node(*_span(event)), hint))


def _span(event: Any) -> tuple[int, int, int]:
    """Line and column from 1, and the length of the first line's text (0 where the text goes on below it)."""
    start, end = event.start_mark, event.end_mark
    length = end.column - start.column if end.line == start.line else 1
    return start.line + 1, start.column + 1, max(length, 1)


def walk(node: Node) -> Iterator[Node]:
    """A node and everything in it, keys included, in file order."""
    yield node
    if isinstance(node, Mapping):
        for key, value in node.entries:
            yield key
            yield from walk(value)
    elif isinstance(node, Sequence):
        for item in node.items:
            yield from walk(item)
