"""What is no agent: every run under it breaks."""

from __future__ import annotations


def raises(*parts: object, **named: object) -> object:
    """Nothing that could run."""
    raise LookupError("there is no agent here")
