"""graph.microsoft.com, version 1.0: users, their passwords and sessions, domains, the company, and synchronization.

    service.py     who calls, what is answered, errors in Graph's shape
    request.py     one call as the routes see it; the table of routes; who may call what
    users.py, deleted.py, passwords.py, directory.py, domains.py   the routes
    batch.py       several calls in one
    properties.py, query.py, filters.py   what a user looks like, and which users are asked for

Shapes follow Graph's reference. The beta version and ``$metadata`` are not here.
"""

from __future__ import annotations

from simulator.azure_ad.graph.request import HOST, ROUTES
from simulator.azure_ad.graph.service import GraphService

__all__ = ["HOST", "ROUTES", "GraphService"]
