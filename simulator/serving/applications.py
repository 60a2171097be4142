"""The applications of a served tenant, as the control endpoint tells and registers them.

    {"name": "payroll", "id": "…", "secret": "…", "lives": "30d", "roles": ["User.Read.All"], "scopes": ["User.Read"]}

Only ``name`` is needed. id, secret: of one's own choice, so that a client's configuration stays as it is; left out,
they are made. ``"secret": null`` makes a public client. roles: application permissions, none if left out; scopes:
delegated ones, all if left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from simulator.azure_ad.applications import SECRET_LIFE, Application, Applications
from simulator.azure_ad.permissions import APPLICATION, DELEGATED
from simulator.scenario.values import parse_duration

KEYS = frozenset(("name", "id", "secret", "lives", "roles", "scopes"))
SECRET_LENGTH_MAX = 256


def tell(applications: Iterable[Application]) -> list[dict[str, Any]]:
    """Every application, without its secrets."""
    return [
        {
            "id": each.id,
            "name": each.name,
            "public": not each.confidential,
            "secrets-expire": [secret.expires.isoformat() for secret in each.secrets],
            "roles": sorted(each.roles),
            "scopes": "all" if each.scopes is None else sorted(each.scopes),
        }
        for each in applications
    ]


def register(applications: Applications, order: Mapping[str, Any]) -> dict[str, Any]:
    """Register one; what is told holds its secret, this once. Raises ValueError, and then nothing was registered."""
    unknown = sorted(order.keys() - KEYS)
    if unknown:
        raise ValueError(f"unknown keys: {', '.join(unknown)[:200]}; known: {', '.join(sorted(KEYS))}")
    name = order.get("name")
    if not isinstance(name, str) or not name:
        raise ValueError("an application needs a name")
    client_id = _id(applications, order.get("id"))
    secret = order.get("secret", "")
    if secret is not None and (not isinstance(secret, str) or len(secret) > SECRET_LENGTH_MAX or not secret.isascii()):
        raise ValueError(f"a secret is a text of at most {SECRET_LENGTH_MAX} ASCII characters, or null")
    life = parse_duration(str(order["lives"])) if "lives" in order else SECRET_LIFE
    roles = _permissions(order, "roles", APPLICATION) or frozenset()
    scopes = _permissions(order, "scopes", DELEGATED)
    made = applications.register(name, client_id=client_id, roles=roles, scopes=scopes)
    told = None if secret is None else applications.add_secret(made, life, value=secret or None)
    return {"id": made.id, "secret": told}


def _id(applications: Applications, value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise ValueError("an id is a text")
    found = str(UUID(value))
    if applications.find(found) is not None:
        raise ValueError(f"there is an application {found} already")
    return found


def _permissions(order: Mapping[str, Any], key: str, known: frozenset[str]) -> frozenset[str] | None:
    value = order.get(key)
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise ValueError(f"{key} is a list of permissions")
    wrong = sorted(set(value) - known)
    if wrong:
        raise ValueError(f"{key}: unknown {', '.join(wrong)[:200]}; known: {', '.join(sorted(known))}")
    return frozenset(value)
