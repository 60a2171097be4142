"""``pwsync rules``: the catalogue of what the product promises, and how many scenarios show each promise.

Beside it the catalogue of incidents, and which scenarios tell each of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from simulator.cli.console import read_suite, say
from simulator.scenario.result import ExitCode


def rules(
    coverage: Annotated[
        list[str] | None,
        typer.Option(metavar="PATH", help="Count the scenarios below PATH that name each rule (may be given again)."),
    ] = None,
    incidents: Annotated[
        list[str] | None,
        typer.Option(metavar="PATH", help="Print the incidents instead, with the scenarios below PATH that tell them."),
    ] = None,
) -> None:
    """Print the rules of password synchronization that scenarios are written for.

    With --coverage each rule is shown with the number of scenarios that name it; rules that none names are listed at
    the end, and the exit code is then 1. With --incidents it is sixty cases that people met with the product, each with
    the scenarios that tell it or the reason why none can; the exit code is 1 if one has neither.

    \b
    Examples:
      pwsync rules
      pwsync rules --coverage scenarios
      pwsync rules --incidents scenarios
    """
    if incidents:
        _show_incidents(incidents)
        return
    counts = _counts(coverage) if coverage else None
    for line in table(counts):
        say(line)
    missing = [rule for rule, count in (counts or {}).items() if count == 0]
    if counts is not None:
        say(f"\n{len(counts) - len(missing)} of {len(counts)} rules have a scenario")
    if missing:
        say("without: " + ", ".join(missing))
        raise typer.Exit(ExitCode.BROKE)


def _show_incidents(paths: list[str]) -> None:
    from simulator.scenario.incidents import IMPOSSIBLE, INCIDENTS, told_by

    told = told_by({Path(case.path) for case in read_suite(paths).cases})
    width = max(map(len, INCIDENTS.values()))
    for number, symptom in INCIDENTS.items():
        names = ", ".join(told[number]) or f"no scenario: {IMPOSSIBLE.get(number, 'not written yet')}"
        say(f"{number:>2}  {symptom:<{width}}  {names}")
    possible = INCIDENTS.keys() - IMPOSSIBLE.keys()
    missing = [number for number in sorted(possible) if not told[number]]
    count = sum(map(bool, told.values()))
    say(f"\n{count} of {len(INCIDENTS)} incidents have a scenario, {len(IMPOSSIBLE)} can't have one")
    if missing:
        say("without: " + ", ".join(map(str, missing)))
        raise typer.Exit(ExitCode.BROKE)


def _counts(paths: list[str]) -> dict[str, int]:
    from simulator.scenario.rules import RULES

    named: Counter[str] = Counter()
    for case in read_suite(paths).cases:
        named.update(set(case.scenario.rules))
    return {rule: named[rule] for rule in RULES}


def table(counts: dict[str, int] | None) -> Iterable[str]:
    """The catalogue as aligned lines; with ``counts``, the number of scenarios before each text."""
    from simulator.scenario.rules import RULES

    width = max(len(rule) for rule in RULES)
    for rule in RULES.values():
        number = "" if counts is None else f"{counts[rule.id]:>4}  "
        limit = f" ({', '.join(rule.profiles)})" if len(rule.profiles) == 1 else ""
        yield f"{rule.id:<{width}}  {number}{rule.text}{limit}"
