"""What a run shows while it lasts: a line per result that did not hold, and how far it has come."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Protocol, Self

from simulator.cli.console import complain, say
from simulator.report.text import headline
from simulator.scenario.result import RunResult

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

FEW = 20
"""Up to so many scenarios a run tells nothing but its failures where there is no terminal."""


class Progress(Protocol):
    """Is told of each result as it comes."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *reason: object) -> None: ...

    def finished(self, result: RunResult) -> None: ...


def progress(total: int) -> Progress:
    """A bar where people look on, plain lines elsewhere."""
    return BarProgress(total) if sys.stdout.isatty() and sys.stderr.isatty() and total > 1 else LineProgress(total)


class LineProgress:
    """Plain lines: each result that did not hold, and in a long run every tenth of the way."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._bad = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *reason: object) -> None:
        return None

    def finished(self, result: RunResult) -> None:
        self._done += 1
        if result.outcome != "held":
            self._bad += 1
            say(headline(result))
        step = max(1, self._total // 10)
        if self._total > FEW and self._done % step == 0 and self._done < self._total:
            complain(f"{self._done} of {self._total}, {self._bad} did not hold")


def new_bar() -> Bar:
    """A bar on standard output, which says what is being done, how much of it is, and how long it will take."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        console=Console(highlight=False), transient=True, redirect_stderr=False,
    )  # fmt: skip


class BarProgress:
    """A bar with the number of results, those that did not hold, and the time left; it vanishes at the end."""

    def __init__(self, total: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._bar: Bar = Progress(
            TextColumn("running"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"),
            TimeRemainingColumn(), console=Console(highlight=False), transient=True, redirect_stderr=False,
        )  # fmt: skip
        self._task = self._bar.add_task("all held", total=total)
        self._bad = 0

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *reason: object) -> None:
        self._bar.stop()

    def finished(self, result: RunResult) -> None:
        if result.outcome != "held":
            self._bad += 1
            self._bar.console.print(headline(result), markup=False, soft_wrap=True, style="red")
            self._bar.update(self._task, description=f"{self._bad} did not hold")
        self._bar.advance(self._task)
