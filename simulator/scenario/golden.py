"""Golden traces: ``NAME.trace`` beside ``NAME.yaml`` holds the trace that the scenario must leave, line by line.

A file whose cases are several (rows, profiles) has one golden trace each: ``NAME.row.trace``, ``NAME.profile.trace``.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

from simulator.scenario.result import Failure, Position

if TYPE_CHECKING:
    from simulator.scenario.file import Case


def golden_path(case: Case) -> Path:
    """Where a case's golden trace lies."""
    path = Path(case.path)
    parts = [path.stem]
    if case.row:
        parts.append("".join(character if character.isalnum() or character in "-_" else "-" for character in case.row))
    if case.id.endswith("]"):
        parts.append(case.profile)
    return path.with_name(".".join(parts) + ".trace")


def compare_golden(case: Case, lines: Sequence[str], *, update: bool) -> list[Failure]:
    """Compare a trace with its golden file, if there is one; with ``update`` write that file instead."""
    path = golden_path(case)
    text = "".join(f"{line}\n" for line in lines)
    if update:
        path.write_text(text, encoding="utf-8")
        return []
    if not path.exists():
        return []
    wanted = path.read_text(encoding="utf-8").splitlines()
    for number, (want, have) in enumerate(zip_longest(wanted, lines), start=1):
        if want != have:
            return [
                Failure(
                    kind="golden",
                    title=f"the trace differs from {path.name} at line {number}",
                    at=(have or want or "").partition(" ")[0],
                    position=Position(str(path), number, 1, max(1, len(want or ""))),
                    expected=want if want is not None else "the end of the trace",
                    got=have if have is not None else "the end of the trace",
                    because=tuple(lines[max(0, number - 6) : number - 1]),
                    rules=tuple(case.scenario.rules),
                )
            ]
    return []
