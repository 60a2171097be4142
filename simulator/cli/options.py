"""Options that commands share, and how their texts become values. A bad one is refused with exit code 2."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from simulator.cli.console import read_suite, refuse
from simulator.scenario.errors import suggest

if TYPE_CHECKING:
    from simulator.scenario.file import Case

Tags = Annotated[
    list[str] | None,
    typer.Option("-t", "--tags", metavar="TAGS", help="Only scenarios with this tag. a,b: either; not:a: without it; "
                 "given again: all must hold. A scenario's folders are tags too."),
]  # fmt: skip
Rule = Annotated[str | None, typer.Option("--rule", metavar="ID", help="Only scenarios that name this rule.")]
Profile = Annotated[
    str | None, typer.Option("--profile", metavar="P", help="Only what is written for this profile: 2017 or current.")
]
Seed = Annotated[
    str | None,
    typer.Option("--seed", metavar="N", help="Use this seed instead of each scenario's own (1 if it has none)."),
]
Jobs = Annotated[
    str,
    typer.Option("-j", "--jobs", metavar="N", help="Run N scenarios side by side; auto or 0: one per processor core."),
]
Engine = Annotated[
    str | None,
    typer.Option("--engine", metavar="MODULE:FACTORY", help="Put another agent under test instead of pwsync's own."),
]

Planted = Annotated[
    str | None,
    typer.Option("--planted", metavar="NAME", hidden=True, help="Run with a bug that pwsync score knows by this name."),
]


def seed_of(text: str | None) -> int | None:
    """A seed, as a scenario may have it."""
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,19}", text, re.ASCII) or int(text) >= 2**63:
        refuse(f'--seed "{text}" is not a seed', "give a whole number from 0")
    return int(text)


def jobs_of(text: str) -> int:
    """How many workers: the number, or one per processor core."""
    from simulator.workers import cores

    if text in {"auto", "0"}:
        return cores()
    if not re.fullmatch(r"[0-9]{1,4}", text, re.ASCII):
        refuse(f'-j "{text}" is not a number of workers', "give a number from 1, or auto for one per processor core")
    return int(text)


def offset_of(text: str | None) -> timedelta | None:
    """An offset from the start of the scenario, as in its file."""
    from simulator.scenario.values import parse_offset

    if text is None:
        return None
    try:
        return parse_offset(text)
    except ValueError:
        refuse(f'--to "{text}" is not an offset', "offsets are written as in a scenario: +2m, +1d2h, +1m30s")


def engine_of(text: str | None) -> str | None:
    """``module:factory``, imported once to see that it is there. Modules of the current folder are found too."""
    if text is None:
        return None
    from simulator.scenario.runner import EngineError, load_engine

    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        load_engine(text)
    except EngineError as error:
        refuse(f"--engine: {error}", "write it as module:factory; it is looked for here and among installed packages")
    return text


def planted_of(name: str | None) -> str | None:
    """The name of a planted bug."""
    if name is not None:
        from simulator.planted import plants

        if name not in plants():
            refuse(f'there is no planted bug "{name}"', suggest(name, plants(), "pwsync score --list tells them"))
    return name


def chosen_cases(
    paths: Sequence[str], tags: Sequence[str] | None, rule: str | None, profile: str | None
) -> tuple[Case, ...]:
    """The cases that paths and choice name; bad files, unknown names and an empty choice are refused."""
    from simulator.profile import PROFILES
    from simulator.scenario.rules import RULES
    from simulator.suite import Choice, why_none

    if rule is not None and rule not in RULES:
        refuse(f'there is no rule "{rule}"', suggest(rule, RULES, "pwsync rules lists them"))
    if profile is not None and profile not in PROFILES:
        refuse(f'there is no profile "{profile}"', "the profiles are: " + ", ".join(PROFILES))
    suite = read_suite(paths)
    choice = Choice(tuple(tags or ()), rule, profile)
    chosen = tuple(case for case in suite.cases if choice.takes(case))
    if not chosen:
        problem = why_none(suite.cases, choice)
        refuse(problem.message, problem.hint)
    return chosen
