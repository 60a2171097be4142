"""Where bugs were noticed the last time: the cases to try first, kept in ``hints.json`` beside this module.

Hints save time and prove nothing: a bug that its hinted cases do not notice any more is searched for in the whole
suite.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simulator.planted.score import Score
    from simulator.planted.trial import Catch

FILE = "hints.json"
CASES_MAX = 4
"""Cases that are kept of one bug."""


@dataclass(frozen=True)
class Hints:
    """Hints by the names of bugs."""

    known: Mapping[str, Mapping[str, Any]]

    def cases(self, name: str) -> Sequence[str]:
        """Ids of the cases to try first; they may not exist any more."""
        return list(self.known.get(name, {}).get("cases", ()))

    def count(self, name: str) -> int | None:
        """How many scenarios noticed, when all were tried."""
        found: int | None = self.known.get(name, {}).get("scenarios")
        return found


def read_hints() -> Hints:
    """The hints that are shipped; none if the file is missing or broken."""
    try:
        known = json.loads(files(__package__).joinpath(FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        known = {}
    return Hints(known if isinstance(known, dict) else {})


def write_hints(path: Path, score: Score, before: Hints) -> None:
    """Keep what a score has found, and of other bugs, tried or not, what was known before."""
    from simulator.planted import plants

    every = plants()
    known = {name: dict(before.known[name]) for name in every if name in before.known}
    for name, verdict in score.verdicts.items():
        if verdict.catches:
            entry: dict[str, Any] = {"cases": choose(verdict.catches, score.plants[name].rules)}
            count = len(verdict.files) if score.whole else before.count(name)
            known[name] = entry | ({} if count is None else {"scenarios": count})
    text = json.dumps({name: known[name] for name in every if name in known}, indent=1, ensure_ascii=True)
    path.write_text(text + "\n", encoding="utf-8")


def choose(catches: Sequence[Catch], rules: Sequence[str]) -> list[str]:
    """Few cases that name all of a bug's rules, as far as any does; the first that noticed if none does."""
    left, chosen = set(rules), list[str]()
    for catch in sorted(catches, key=lambda each: -len(left & set(each.rules))):
        if len(chosen) < CASES_MAX and left & set(catch.rules):
            chosen.append(catch.case)
            left -= set(catch.rules)
    return chosen or [catches[0].case]
