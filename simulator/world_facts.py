"""Plain questions about the world that more than one judge asks."""

from __future__ import annotations

from simulator.active_directory.state import RIGHTS, Domain


def readable(domain: Domain) -> bool:
    """Whether all controllers of a domain are up and its connector's account has both replication rights."""
    account = domain.find(domain.connector_account()[0])
    up = all(controller.state == "up" for controller in domain.controllers.values())
    return up and domain.rights_of(account.entry) == frozenset(RIGHTS)
