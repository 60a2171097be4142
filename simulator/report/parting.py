"""Two traces side by side, as text: the first place where they part, or all places."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import unified_diff

from simulator.determinism import parting

_LINE = re.compile(r"[+-]\d")
_HEAD = "trace of "


class NoTrace(Exception):
    """A text that is no trace: where and why (its text), and what to do instead.

    number: of the line that shows it, from 1. line: its text.
    """

    def __init__(self, message: str, number: int, line: str, hint: str) -> None:
        super().__init__(message)
        self.number, self.line, self.hint = number, line, hint


def trace_lines(text: str) -> list[str]:
    """The lines of a trace file, or of what ``run --trace`` printed for one case; other lines around it are left out.

    Raises NoTrace.
    """
    lines = text.splitlines()
    heads = [number for number, line in enumerate(lines) if line.startswith(_HEAD)]
    if len(heads) > 1:
        raise NoTrace(
            f"there are {len(heads)} traces in it, and one is compared",
            heads[1] + 1,
            lines[heads[1]],
            "print one: pwsync run FILE::row --profile P --trace",
        )
    begin = 0
    if heads:
        begin, printed = heads[0] + 1, []
        for line in lines[begin:]:
            if not line.startswith("  "):
                break
            printed.append(line[2:])
        lines = printed
    for number, line in enumerate(lines, start=begin + 1):
        if not _LINE.match(line):
            raise NoTrace("this is no line of a trace", number, line, _instead(line))
    return lines


def _instead(line: str) -> str:
    if line.startswith(("{", "[")):
        return "JSON tells results; save what pwsync run FILE --trace prints, or name the scenarios themselves"
    if line.startswith(("scenario:", "#")):
        return "to run a scenario, end its name in .yaml"
    return "each begins with its offset: +2m  people  ..."


def parting_text(first: Sequence[str], second: Sequence[str], names: tuple[str, str], context: int) -> str:
    """The first place where two traces part: lines that both have, then how each goes on. Empty if they do not."""
    number, mine, other = parting(first, second)
    if mine is None and other is None:
        return ""
    at = number - 1
    lines = [f"{names[0]} and {names[1]} part at line {number}"]
    lines += [f"    {line}" for line in first[max(0, at - context) : at]]
    for sign, trace, name in (("-", first, names[0]), ("+", second, names[1])):
        rest = list(trace[at : at + max(1, context)])
        lines.append(f"  {name} goes on")
        lines += [f"  {sign} {line}" for line in rest] or [f"  {sign} (it ends here, after {len(trace)} lines)"]
    return "\n".join(lines)


def all_differences(first: Sequence[str], second: Sequence[str], names: tuple[str, str], context: int) -> str:
    """Every difference, as a unified diff. Empty if there is none."""
    return "\n".join(unified_diff(first, second, *names, n=context, lineterm=""))
