"""What a step of shrinking is: a generator of shorter documents that is told which of them were taken.

What it is sent is None if the last candidate was not taken, else the new state of things, from which it goes on. A
candidate may be nonsense; whoever tries it finds that out when it is read or run.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

from simulator.explore.ways import Way
from simulator.explore.writing import Document
from simulator.scenario.file import Case
from simulator.scenario.result import Failure, RunResult


@dataclass(frozen=True)
class View:
    """Where the shrinking stands: the document, its case, what its run came to, the way to keep.

    failed: the offsets at which its failures came, as texts.
    """

    document: Document
    case: Case
    result: RunResult
    way: Way
    failed: list[str]

    @property
    def failures(self) -> tuple[Failure, ...]:
        return self.result.failures


Candidates = Generator[Document, View | None, None]
Reduction = Callable[[View], Candidates]
