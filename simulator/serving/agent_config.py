"""The configuration file for an agent of one's own in a served world (:mod:`pwsync.config_file`)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pwsync import config_file
from pwsync.ports import TenantPort
from simulator.serving.replication import PREFIX

if TYPE_CHECKING:
    from pwsync.settings import Connector
    from simulator.serving.world import ServedWorld


def values(served: ServedWorld, path: Path, authority: Path, store: Path) -> dict[str, Any]:
    """What the file says; paths in it count from the folder of ``path``."""
    settings, tenant = served.world.settings, served.world.tenant
    known = TenantPort(served.world.session, tenant.tenant_id)
    return {
        "store": relative(store, path),
        "authority": relative(authority, path),
        "proxy": f"http://{served.url.removeprefix('https://')}",
        "clock": served.url,
        "tenant": {
            "id": tenant.tenant_id,
            "authority": known.authority,
            "provisioning": known.provisioning_url,
            "account": settings.account,
            "password": settings.password,
        },
        "connectors": [_connector(served, each) for each in settings.connectors],
        "settings": config_file.values_of(settings),
    }


def write(served: ServedWorld, path: Path, authority: Path, store: Path) -> None:
    """Write the file. Raises OSError."""
    config_file.write(path, values(served, path, authority, store))


def relative(target: Path, path: Path) -> str:
    """How the file at ``path`` names another one: so that both can be moved together."""
    return os.path.relpath(target.absolute(), path.absolute().parent)


def _connector(served: ServedWorld, connector: Connector) -> dict[str, Any]:
    address = served.url.removeprefix("https://").rpartition(":")[0]
    ports = {
        port.controller.name: port for port in served.directories if port.controller.domain.name == connector.domain
    }
    return {
        "domain": connector.domain,
        "forest": connector.forest,
        "identifier": connector.identifier,
        "account": connector.account,
        "password": connector.password,
        "controllers": [
            {
                "name": name,
                "ldaps": f"ldaps://{address}:{ports[name].ldaps_port}",
                "replication": f"{served.url}{PREFIX}{connector.domain}/{name}",
            }
            for name in connector.controllers
        ],
    }
