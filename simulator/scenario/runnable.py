"""What keeps a scenario that reads well from running: said before a run, never passed over in silence."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulator.active_directory.ldif import LdifError
    from simulator.scenario.file import Case


def directory_problem(case: Case) -> LdifError | None:
    """What is wrong with the LDIF file that a scenario's directory comes from, if anything."""
    name = case.scenario.given.directory
    if name is None:
        return None
    from simulator.active_directory.ldif import LdifError, load_ldif
    from simulator.active_directory.state import Forest
    from simulator.clock import Clock
    from simulator.random import Randomness

    given = case.scenario.given
    domain = Forest("check", Clock(case.scenario.start), Randomness(1)).add_domain(given.default_domain())
    path = Path(case.path).parent / name
    try:
        load_ldif(domain, path, file=str(path))
    except LdifError as error:
        return error
    return None
