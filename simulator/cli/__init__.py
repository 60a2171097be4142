"""The command line. :func:`main` is the console script; commands live in one file each and import what they need."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and leave with one of :class:`simulator.scenario.result.ExitCode` (130 after Ctrl-C)."""
    from simulator.cli.app import run_app

    sys.exit(run_app())
