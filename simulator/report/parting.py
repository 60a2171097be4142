"""Two traces side by side, as text: the first place where they part, or all places."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import unified_diff

from simulator.determinism import parting

_LINE = re.compile(r"[+-]\d")
_HEAD = "trace of "


def trace_lines(text: str) -> list[str]:
    """The lines of a trace file, or of what ``run --trace`` printed for one case; other lines around it are left out.

    Raises ValueError for what is none.
    """
    lines = text.splitlines()
    heads = [number for number, line in enumerate(lines) if line.startswith(_HEAD)]
    if len(heads) > 1:
        raise ValueError(f"there are {len(heads)} traces in it, and one is compared")
    if heads:
        printed: list[str] = []
        for line in lines[heads[0] + 1 :]:
            if not line.startswith("  "):
                break
            printed.append(line[2:])
        lines = printed
    for number, line in enumerate(lines, start=1):
        if not _LINE.match(line):
            raise ValueError(f"line {number} has no offset")
    return lines


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
