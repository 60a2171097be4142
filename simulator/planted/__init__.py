"""Planted bugs: agents and services with one decision taken wrongly each, to see who notices.

plant.py                                 what a bug is, and how it comes into a run and out again
order.py batches.py keeping.py retry.py  the bugs, by what goes wrong
scope.py schedule.py security.py tenant.py directory.py federation.py domain_services.py
trial.py score.py                        who is tried where, side by side, and what it comes to
hints.py                                 which cases noticed a bug the last time
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from simulator.planted.plant import Plant

__all__ = ["Plant", "plants"]


@cache
def plants() -> Mapping[str, Plant]:
    """All bugs by name, area by area. Imports the whole simulation."""
    from simulator.planted import (
        batches,
        directory,
        domain_services,
        federation,
        keeping,
        order,
        retry,
        schedule,
        scope,
        security,
        tenant,
    )

    modules = (
        order,
        batches,
        keeping,
        retry,
        scope,
        schedule,
        security,
        tenant,
        directory,
        federation,
        domain_services,
    )
    return {plant.name: plant for module in modules for plant in module.BED.plants}
