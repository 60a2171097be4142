"""Plain questions about the world that more than one judge asks."""

from __future__ import annotations

from simulator.active_directory.state import RIGHTS, Domain


def readable(domain: Domain, on: str | None = None) -> bool:
    """Whether all controllers of a domain (or the one named) are up and its connector's account has both rights."""
    account = domain.find(domain.connector_account()[0])
    controllers = domain.controllers.values() if on is None else (domain.controller(on),)
    up = all(controller.state == "up" for controller in controllers)
    return up and domain.rights_of(account.entry) == frozenset(RIGHTS)
