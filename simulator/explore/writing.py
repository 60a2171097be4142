"""Scenarios as plain values, and such values as the text of a scenario file.

A :data:`Document` is what a file says: dictionaries and lists, every scalar a text; one that stands in quotes is a
:class:`Quoted`. Its ``timeline`` is a list of entries whose ``do`` and ``expect`` are lists of mappings with one key
each. Random runs draw documents, shrinking takes them apart, and what is run is always the written text, read again: a
file that is handed out can't behave otherwise than what was found.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from simulator.scenario import nodes
from simulator.scenario.examples import expand
from simulator.scenario.file import Case, load_text

Document = dict[str, Any]

WIDTH = 120
"""No line is longer, but for one that can't be broken."""

SCHEMA_LINE = "# yaml-language-server: $schema=../../simulator/scenario/scenario.schema.json\n"

_PLAIN = re.compile(r"[A-Za-z0-9+./=@$_-](?:[A-Za-z0-9+./=@$_:-]*[A-Za-z0-9+./=@$_-])?")
_PROSE = ("scenario", "why")


class Quoted(str):
    """A text that stands in quotes, such as a password."""

    __slots__ = ()


class BadDocument(Exception):
    """A document that is no scenario; the text says why."""


def duration(seconds: float) -> str:
    """A length of time as a file has it: ``1h30m``, ``500ms``."""
    from datetime import timedelta

    from simulator.scenario.values import format_duration

    return format_duration(timedelta(seconds=seconds))


def offset(seconds: float) -> str:
    """An offset as a file has it: ``+1m30s``."""
    return f"+{duration(seconds)}"


# --- from a file ------------------------------------------------------------------------------------------------


def document_of(text: str, row: str | None, profile: str) -> Document:
    """The document of one case of a file that was read without errors: its row filled in, its one profile named."""
    root, _ = nodes.compose(text)
    if not isinstance(root, nodes.Mapping):
        raise BadDocument("the file is no mapping")
    variants, _ = expand(root)
    tree = next((tree for name, tree in variants if name == row), None)
    if tree is None:
        raise BadDocument(f'the file has no row "{row}"')
    found: Document = value_of(tree)
    found.pop("examples", None)
    found["profile"] = profile
    steps = found.get("timeline") or []
    for step in steps if isinstance(steps, list) else []:
        for key in ("do", "expect"):
            if key in step:
                step[key] = singles(step[key])
    return found


def value_of(node: nodes.Node) -> Any:
    """A node of a file as a plain value."""
    if isinstance(node, nodes.Mapping):
        return {key.text: value_of(value) for key, value in node.entries}
    if isinstance(node, nodes.Sequence):
        return [value_of(item) for item in node.items]
    if isinstance(node, nodes.Scalar):
        return Quoted(node.text) if node.quoted else node.text
    return ""


def singles(value: Any) -> list[Any]:
    """What ``do`` or ``expect`` says, as a list of mappings with one key each."""
    items = value if isinstance(value, list) else [value]
    return [{key: item[key]} for item in items if isinstance(item, dict) for key in item]


# --- to a file --------------------------------------------------------------------------------------------------


def text_of(document: Document) -> str:
    """The text of the file that says what a document says."""
    lines: list[str] = []
    for key, value in document.items():
        if key in _PROSE:
            lines += _prose(key, str(value))
        elif value not in ([], {}):
            lines += _entry(key, value, 0)
    return SCHEMA_LINE + "\n".join(lines) + "\n"


def _prose(key: str, text: str) -> list[str]:
    whole = " ".join(text.split())
    if key == "scenario":
        return [f"{key}: {_scalar(Quoted(whole)) if not _is_sentence(whole) else whole}"]
    wrapped = textwrap.wrap(whole, 100, break_long_words=False, break_on_hyphens=False)
    return [f"{key}: >-", *(f"  {line}" for line in wrapped)]


def _is_sentence(text: str) -> bool:
    """Whether a text reads as itself where it stands without quotes."""
    return re.fullmatch(r"[A-Za-z](?:[\w ,.;()'/+-]*[\w.)])?", text, re.ASCII) is not None


def _entry(key: str, value: Any, indent: int) -> list[str]:
    """A key and its value: in one line where that is readable, else over several."""
    margin = " " * indent
    name = _scalar(key)
    if key in ("do", "expect") and isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not _is_tall(key, value):
        line = f"{margin}{name}: {_flow(value)}"
        if len(line) <= WIDTH or not isinstance(value, (dict, list)):
            return [line]
    lines = [f"{margin}{name}:"]
    if isinstance(value, dict):
        for each, inner in value.items():
            lines += _entry(each, inner, indent + 2)
    else:
        for item in value:
            lines += _item(item, indent + 2)
    return lines


def _is_tall(key: str, value: Any) -> bool:
    """Whether a value is spread over lines though it would fit into one."""
    if isinstance(value, list):
        return bool(value) and isinstance(value[0], dict)
    return key == "given"


def _item(item: Any, indent: int) -> list[str]:
    margin = " " * indent
    is_step = isinstance(item, dict) and "at" in item
    if not is_step:
        line = f"{margin}- {_flow(item)}"
        if len(line) <= WIDTH or not isinstance(item, dict):
            return [line]
    lines = [text for key, value in item.items() for text in _entry(key, value, indent + 2)]
    return [f"{margin}- {lines[0].lstrip()}", *lines[1:]]


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_scalar(key)}: {_flow(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(each) for each in value) + "]"
    return _scalar(value)


def _scalar(text: str) -> str:
    if not isinstance(text, Quoted) and _PLAIN.fullmatch(text):
        return text
    return '"' + "".join(_escaped(text)) + '"'


def _escaped(text: str) -> Iterator[str]:
    for character in text:
        code = ord(character)
        if character in '"\\':
            yield "\\" + character
        elif character.isprintable():
            yield character
        else:
            yield f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


# --- back again -------------------------------------------------------------------------------------------------


def case_of(document: Document, path: Path | str) -> Case:
    """The one case of a document, read from its text as if it stood at ``path``. Raises BadDocument."""
    loaded = load_text(text_of(document), Path(path))
    if loaded.errors or len(loaded.cases) != 1:
        raise BadDocument("; ".join(error.render() for error in loaded.errors) or "more than one case")
    return loaded.cases[0]


def sizes(document: Document) -> dict[str, int]:
    """How big a scenario is: its entries, actions, expectations, users, faults, and the seconds that it lasts."""
    from simulator.scenario.values import parse_offset

    steps: Sequence[Any] = document.get("timeline") or []
    given = document.get("given") or {}
    return {
        "entries": len(steps),
        "actions": sum(len(step.get("do", ())) for step in steps),
        "expectations": sum(len(step.get("expect", ())) for step in steps),
        "users": len(given.get("users") or ()) + len(given.get("cloud-users") or ()),
        "faults": len(document.get("faults") or ()),
        "seconds": int(parse_offset(steps[-1]["at"]).total_seconds()) if steps else 0,
    }
