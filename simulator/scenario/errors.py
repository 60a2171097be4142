"""What is wrong with a scenario file: a message, its place, and what would have been right."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from simulator.scenario.result import Position

WINDOW = 160
"""Most characters of a source line that an error shows; a longer line is cut around the marked text."""

NAMED_AT_MOST = 12
"""Most names that a hint lists."""


@dataclass(frozen=True)
class FileError:
    """One error of a scenario file.

    message: one line, no full stop. position: the marked text. source_line: the whole line it stands in.
    hint: what was expected, or the nearest known name; stands behind the caret.
    """

    message: str
    position: Position
    source_line: str = ""
    hint: str = ""

    def render(self) -> str:
        """The error as a compiler would print it: message, place, line, caret; no line feed at the end."""
        place, number = self.position, str(self.position.line)
        margin = " " * len(number)
        line, column, length = _window(self.source_line, place.column - 1, place.length)
        lead = "".join(_blank(char) for char in line[:column])
        carets = "^" * max(1, sum(len(_blank(char)) for char in line[column : column + length]))
        return "\n".join(
            (
                f"error: {printable(self.message)}",
                f"{margin}--> {place.path}:{place.line}:{place.column}",
                f"{margin} |",
                f"{number} | {printable(line)}".rstrip(),
                f"{margin} | {lead}{carets} {printable(self.hint)}".rstrip(),
            )
        )


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that a mistyped one most likely stands for, or None."""
    names = sorted(set(known))
    by_fold = {_fold(candidate): candidate for candidate in names}
    if len(name) > 80:
        return None
    found = get_close_matches(_fold(name), by_fold, n=1, cutoff=0.6)
    return by_fold[found[0]] if found else None


def suggest(name: str, known: Iterable[str], otherwise: str = "") -> str:
    """A hint for an unknown name: the nearest known one, else ``otherwise``, else the known names."""
    names = list(dict.fromkeys(known))
    near = nearest(name, names)
    if near is not None:
        return f'did you mean "{near}"?'
    return otherwise or one_of(names)


def one_of(names: Iterable[str]) -> str:
    """``expected one of a, b, c``, cut after a dozen names; empty where there are none."""
    names = list(names)
    if not names:
        return ""
    if len(names) == 1:
        return f"expected {names[0]}"
    shown = ", ".join(names[:NAMED_AT_MOST])
    return f"expected one of {shown}" + (", ..." if len(names) > NAMED_AT_MOST else "")


def printable(text: str) -> str:
    """The text with whatever could move a terminal's cursor, or its reading direction, made visible."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_shown(char) for char in text)


def _shown(char: str) -> str:
    if char == "\t" or char.isprintable():
        return char
    return "\N{REPLACEMENT CHARACTER}"


def _blank(char: str) -> str:
    """What fills the same room on a terminal as the character."""
    if char == "\t":
        return "\t"
    if unicodedata.combining(char):
        return ""
    return "  " if unicodedata.east_asian_width(char) in "WF" else " "


def _fold(name: str) -> str:
    return name.casefold().replace("_", "-")


def _window(line: str, column: int, length: int) -> tuple[str, int, int]:
    """The part of a line that is shown, with the marked text's place in it."""
    length = min(length, max(len(line) - column, 1))
    if len(line) <= WINDOW:
        return line, column, length
    start = max(0, min(column - WINDOW // 2, len(line) - WINDOW))
    length = min(length, WINDOW - (column - start))
    before, after = ("..." if start else ""), ("..." if start + WINDOW < len(line) else "")
    return before + line[start : start + WINDOW] + after, column - start + len(before), length
