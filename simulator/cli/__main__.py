"""``python -m simulator.cli``: the command line where its script is not installed."""

from __future__ import annotations

from simulator.cli import main

main()
