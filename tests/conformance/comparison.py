"""The comparison of two servers as a whole: verdicts on checks."""

from __future__ import annotations

from conformance.catalogue import Check
from conformance.judge import Difference, Verdict, judge, read_differences
from conformance.runner import Runner

Verdicts = dict[str, tuple[Check, Verdict, Difference | None]]


class Comparison:
    """Compares the two servers check by check."""

    def __init__(self, runner: Runner, verdicts: Verdicts) -> None:
        self._runner = runner
        self._verdicts = verdicts
        self._listed = read_differences()

    def verdict(self, check: Check) -> Verdict:
        """Run a check and judge what came."""
        theirs, ours = self._runner.observed(check)
        listed = self._listed.get(check.id)
        verdict = judge(theirs, ours, listed)
        self._verdicts[check.id] = (check, verdict, listed)
        return verdict
