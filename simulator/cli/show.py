"""``pwsync show``: a scenario told in plain words."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from simulator.cli.console import read_suite, refuse, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simulator.scenario.file import Case


def show(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="A scenario file, or FILE::row for one row of its examples.")
    ],
) -> None:
    """Tell a scenario in plain words: the world at the start, what happens, what must hold, and why.

    Nothing is run.

    \b
    Examples:
      pwsync show scenarios/override/admin-reset.yaml
      pwsync show scenarios/complexity/characters.yaml::umlauts
    """
    from simulator.report.story import story

    if Path(file).is_dir():
        refuse(f'"{file}" is a folder', "name one scenario file")
    suite = read_suite([file])
    say(story(suite.cases[0]))
    if others := others_text(suite.cases):
        say("\n" + others)


def others_text(cases: Sequence[Case]) -> str:
    """Which other cases the file holds; the story of the first stands for all."""
    rows = [row for row in dict.fromkeys(case.row for case in cases) if row is not None]
    profiles = list(dict.fromkeys(case.profile for case in cases))
    lines = []
    if len(profiles) > 1:
        lines.append("The same must hold under each of the profiles " + ", ".join(profiles) + ".")
    if len(rows) > 1:
        path = str(cases[0].path)
        lines.append(f"This is row {rows[0]} of {len(rows)}; the others are: {', '.join(rows[1:])}.")
        lines.append(f"To see one: pwsync show {path}::{rows[1]}")
    return "\n".join(lines)
