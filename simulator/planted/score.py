"""The score: every bug is tried on the suite, first where it was noticed the last time.

checked     the cases of :mod:`simulator.planted.hints` are run as they are: one that fails anyhow notices nothing
hinted      the bugs are tried on those that hold; most bugs need no more
watched     for the rest, the suite is run once as it is, to see which cases hold and come to which decisions at all
searched    then the bugs go through those cases, the likeliest first, round by round
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from simulator.planted.hints import Hints
from simulator.planted.plant import Plant
from simulator.planted.trial import Sighting, Trial, Unsound, Verdict, Watch, chunks, died, length, run_job
from simulator.workers import run_cases

if TYPE_CHECKING:
    from simulator.scenario.file import Case

CHUNK = 24
"""Cases in one piece of work: some half a second."""

FEW = 6
"""Cases in one piece of work where there are not many."""

Told = Callable[[str, int, int], None]
"""Is told how far a phase has come: its name, pieces of work done, pieces in all."""


@dataclass
class Score:
    """What became of every bug.

    whole: every bug was tried on every case that comes to it, so that :attr:`Verdict.files` are all that notice.
    unsound: by their ids, the cases that were left out because they do not hold without a bug. engine: the agent under
    test, ``module:factory``, if it is not pwsync's own. beyond: bugs of pwsync's own agent that the one under test may
    not be able to have: no run without a bug came to the decision, or it is a constant, which can't be watched.
    """

    plants: Mapping[str, Plant]
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    whole: bool = False
    unsound: dict[str, Unsound] = field(default_factory=dict)
    engine: str | None = None
    beyond: set[str] = field(default_factory=set)

    @property
    def noticed(self) -> list[str]:
        """Bugs that some scenario noticed."""
        return [name for name in self.plants if name in self.verdicts and self.verdicts[name].catches]

    @property
    def missed(self) -> list[str]:
        """Bugs that were tried and that nobody noticed, though the agent under test can have them."""
        return [name for name in self._held() if name not in self.beyond]

    @property
    def unreached(self) -> list[str]:
        """Bugs that nobody noticed, and that are not known to reach the agent under test."""
        return [name for name in self._held() if name in self.beyond]

    def _held(self) -> list[str]:
        return [name for name in self.plants if name in self.verdicts and not self.verdicts[name].catches]

    @property
    def untried(self) -> list[str]:
        """Bugs whose turn has not come, because somebody stopped the score."""
        return [name for name in self.plants if name not in self.verdicts]

    def shown(self) -> dict[str, list[str]]:
        """Rules by the bugs that break them and were noticed by a scenario that names the rule."""
        found: dict[str, list[str]] = {}
        for name, plant in self.plants.items():
            verdict = self.verdicts.get(name)
            named = {rule for catch in verdict.catches for rule in catch.rules} if verdict else set()
            for rule in plant.rules:
                if rule in named:
                    found.setdefault(rule, []).append(name)
        return found

    def add(self, verdict: Verdict) -> None:
        """Take in what a trial came to."""
        before = self.verdicts.get(verdict.plant)
        self.verdicts[verdict.plant] = verdict if before is None else before.and_then(verdict)


class Scorer:
    """Tries bugs on cases.

    enough: scenarios that have to notice before a bug is let go; 0: all are tried. jobs: worker processes. told: is
    told of the progress. engine: another agent than pwsync's own, ``module:factory``. :attr:`score` can be read at any
    time.

    A bug is only tried on cases that are known to hold without it.
    """

    def __init__(
        self,
        plants: Mapping[str, Plant],
        cases: Sequence[Case],
        hints: Hints,
        *,
        enough: int = 1,
        jobs: int = 1,
        told: Told = lambda phase, done, of: None,
        engine: str | None = None,
    ) -> None:
        self.score = Score(plants, engine=engine)
        self._cases = {case.id: case for case in cases}
        self._hints = hints
        self._enough = enough
        self._jobs = jobs
        self._told = told

    @property
    def sound(self) -> list[Case]:
        """The cases that are not known to fail without a bug."""
        return [case for case in self._cases.values() if case.id not in self.score.unsound]

    def run(self) -> Score:
        """Try every bug, unless no case holds without one."""
        if self._enough:
            self._try_hinted()
        searched = [name for name in self.score.plants if self._wants_more(name)]
        if searched:
            come = self._watch("watched", self.sound, CHUNK)
            if not self.sound:
                return self.score
            self._search(come, searched)
        self.score.whole = not self._enough
        return self.score

    def _wants_more(self, name: str) -> bool:
        """Has the bug not been noticed by enough yet? Hints that did their work once are taken at their word."""
        verdict = self.score.verdicts.get(name)
        if not self._enough or verdict is None or not verdict.catches:
            return True
        known = self._hints.count(name)
        return len(verdict.files) < (self._enough if known is None else min(self._enough, known))

    def _try_hinted(self) -> None:
        hinted = {case for name in self.score.plants for case in self._hints.cases(name)}
        self._watch("checked", [case for case in self._cases.values() if case.id in hinted], FEW, quick=True)
        sound = {case.id: case for case in self.sound}
        jobs = [
            Trial(name, cases, 0, engine=self.score.engine)
            for name in self.score.plants
            if (cases := tuple(sound[case] for case in self._hints.cases(name) if case in sound))
        ]
        for verdict in self._run("hinted", jobs):
            self.score.add(verdict)

    def _watch(self, phase: str, cases: Sequence[Case], size: int, *, quick: bool = False) -> dict[str, frozenset[str]]:
        """Run cases as they are, and note those that do not hold; returns what the others come to.

        Cases whose worker died are run once more, each alone: only one of them need be to blame.
        """
        come: dict[str, frozenset[str]] = {}
        lost: list[Case] = []
        sighting: Sighting
        for sighting in self._run(phase, [Watch(each, quick, self.score.engine) for each in chunks(cases, size)]):
            come.update(sighting.come)
            self.score.unsound.update({each.case: each for each in sighting.unsound})
            lost += sighting.lost
        return come | self._watch(phase, lost, 1, quick=quick) if lost else come

    def _search(self, come: Mapping[str, frozenset[str]], names: Iterable[str]) -> None:
        waiting = {}
        for name in names:
            verdict = self.score.verdicts.get(name)
            done = {catch.case for catch in verdict.catches} if verdict else set()
            done |= set(self._hints.cases(name)) if verdict else set()
            relevant = self._relevant(name, come)
            if self.score.engine is not None and self._may_be_beyond(name, relevant):
                self.score.beyond.add(name)
            waiting[name] = chunks([case for case in relevant if case.id not in done], CHUNK)
            if not waiting[name]:
                self.score.add(Verdict(name))
        while waiting := {name: pieces for name, pieces in waiting.items() if pieces and self._wants_more(name)}:
            jobs = []
            for name, pieces in waiting.items():
                verdict = self.score.verdicts.get(name)
                before = verdict.files if verdict else frozenset()
                jobs.append(Trial(name, pieces.pop(0), self._enough, before, self.score.engine))
            for verdict in self._run("searched", jobs):
                self.score.add(verdict)

    def _may_be_beyond(self, name: str, relevant: Sequence[Case]) -> bool:
        plant = self.score.plants[name]
        return plant.in_agent and (not relevant or not plant.traced)

    def _relevant(self, name: str, come: Mapping[str, frozenset[str]]) -> list[Case]:
        """Cases that come to the bug's decision: those that name its rules first, then the short ones."""
        plant = self.score.plants[name]
        rules = set(plant.rules)
        found = [case for case in self.sound if not plant.traced or name in come.get(case.id, ())]
        return sorted(found, key=lambda case: (rules.isdisjoint(case.scenario.rules), length(case)))

    def _run(self, phase: str, jobs: Sequence[Trial | Watch]) -> Iterator[Any]:
        """Run pieces of work side by side and yield what each comes to."""
        work: Any = jobs
        self._told(phase, 0, len(jobs))
        with closing(run_cases(work, run_job, jobs=self._jobs, faulted=died)) as found:  # type: ignore[arg-type]
            for done, (_, result) in enumerate(found, 1):
                self._told(phase, done, len(jobs))
                yield result
