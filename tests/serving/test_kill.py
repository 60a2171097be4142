"""A real agent process, killed at random moments: a sample of what ``tox -e kill`` does at length."""

from __future__ import annotations

from pathlib import Path

from serving import killing


def test_killed_at_random_moments(tmp_path: Path) -> None:
    """Killed five times in the midst of its calls, the agent forgets, reorders and leaves out nothing."""
    report = killing.run(5, 12, 8, 7, tmp_path)
    assert report.wrong == []
    assert (report.kills, report.changes) == (5, 12)
