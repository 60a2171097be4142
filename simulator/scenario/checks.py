"""checks"""
from __future__ import annotations
from pathlib import Path
from simulator.scenario.nodes import Problem
from simulator.scenario.reader import Draft
def check(draft: Draft, folder: Path) -> list[Problem]:
    return []
