"""``pwsync check``: read scenario files and tell what is wrong in them; run nothing."""

from __future__ import annotations

from simulator.cli.console import Paths, read_suite, say


def check(paths: Paths) -> None:
    """Read scenario files and report every error in them; run nothing.

    \b
    Examples:
      pwsync check scenarios
      pwsync check scenarios/override/admin-reset.yaml
    """
    suite = read_suite(paths)
    cases = len(suite.cases)
    say(f"{suite.files} file{'s' * (suite.files != 1)} with {cases} scenario{'s' * (cases != 1)}: all well formed")
