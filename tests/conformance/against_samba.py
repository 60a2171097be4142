"""The simulated directory beside a real Samba domain controller: the same client, the same calls, the same answers.

Run by name (``pytest tests/conformance/against_samba.py``); it is not collected with the other tests, because it needs
root and a machine of its own. ``-k`` selects checks.
"""

from __future__ import annotations

import pytest
from conformance.catalogue import CHECKS, Check
from conformance.comparison import Comparison
from conformance.judge import read_differences


def test_check(comparison: Comparison, check: Check) -> None:
    """Both servers show the same, or it is written down why not."""
    verdict = comparison.verdict(check)
    if not verdict.good:
        pytest.fail(f"{check.id}: {check.says}\n{verdict.word}: {verdict.text}", pytrace=False)


def test_differences_have_checks() -> None:
    """Each listed difference belongs to a check that exists."""
    assert set(read_differences()) - {check.id for check in CHECKS} == set()
