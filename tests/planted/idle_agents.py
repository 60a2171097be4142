"""An agent of another make that does nothing, and has none of the code of pwsync's own; for ``--engine``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from simulator.planted import plants

TAKEN = {name: vars(plant.owner)[plant.attribute] for name, plant in plants().items()}
"""What stood in the place of each planted bug when this module was imported."""


class Idle:
    """An agent that is installed, and that is all."""

    def __init__(self, ports: object) -> None:
        pass

    def install(self, **named: object) -> None:
        """Needs nothing."""

    def start(self) -> None:
        """Starts nothing."""

    def stop(self) -> None:
        """Has nothing to stop."""

    def next_due(self) -> Any:
        """Never."""
        return None

    def run_due(self) -> None:
        """Runs nothing."""

    def pending(self) -> Sequence[str]:
        """Waits for nothing."""
        return []

    def status(self, source_anchor: str) -> str:
        """Knows nobody."""
        return ""

    def enable_password_sync(self, domain: str | None = None) -> None:
        """Has none."""

    def configure(self, **changes: object) -> None:
        """Takes any setting."""
