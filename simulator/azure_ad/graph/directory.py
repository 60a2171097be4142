"""The company, and what its directory synchronization has switched on."""

from __future__ import annotations

from typing import Any

from simulator.azure_ad.errors import GraphError
from simulator.azure_ad.graph.properties import format_time
from simulator.azure_ad.graph.request import Request, no_content, not_found, on, only, show, typed
from simulator.azure_ad.passwords import FORCE_CHANGE, POLICY_FOR_SYNCED
from simulator.azure_ad.permissions import (
    READ_ORGANIZATION,
    READ_SYNCHRONIZATION,
    WRITE_ORGANIZATION,
    WRITE_SYNCHRONIZATION,
)
from simulator.azure_ad.state import PASSWORD_SYNC
from simulator.azure_ad.wire import Answer

_FEATURES = {
    "passwordSyncEnabled": PASSWORD_SYNC,
    "cloudPasswordPolicyForPasswordSyncedUsersEnabled": POLICY_FOR_SYNCED,
    "userForcePasswordChangeOnLogonEnabled": FORCE_CHANGE,
}
_BITS = {
    "passwordWritebackEnabled": 2,
    "directoryExtensionsEnabled": 4,
    "quarantineUponUpnConflictEnabled": 8,
    "softMatchOnUpnEnabled": 16,
    "quarantineUponProxyAddressesConflictEnabled": 32,
    "unifiedGroupWritebackEnabled": 1024,
    "userWritebackEnabled": 2048,
    "deviceWritebackEnabled": 4096,
    "synchronizeUpnForManagedUsersEnabled": 8192,
    "blockSoftMatchEnabled": 524_288,
    "blockCloudObjectTakeoverThroughHardMatchEnabled": 1_048_576,
}
"""Features that are no password matter, by their bits at the provisioning service."""
_SYNCHRONIZATION = "/v1.0/directory/onPremisesSynchronization"


@on("GET", "/v1.0/organization", "the company", READ_ORGANIZATION, administrator=False)
def _list_organizations(request: Request) -> Answer:
    return show("organization", {"value": [_organization(request)]})


@on("GET", "/v1.0/organization/{tenant}", "the same by its id", READ_ORGANIZATION, administrator=False)
def _show_organization(request: Request, tenant: str) -> Answer:
    _require_tenant(request, tenant)
    return show("organization/$entity", _organization(request))


@on("PATCH", "/v1.0/organization/{tenant}", "onPremisesSyncEnabled", WRITE_ORGANIZATION)
def _update_organization(request: Request, tenant: str) -> Answer:
    _require_tenant(request, tenant)
    enabled = typed(request.body("onPremisesSyncEnabled"), "onPremisesSyncEnabled", bool)
    if enabled is not None:
        request.tenant.synchronization.enabled = enabled
    return no_content()


@on("GET", _SYNCHRONIZATION, "the features of synchronization", READ_SYNCHRONIZATION)
def _list_synchronizations(request: Request) -> Answer:
    """A collection of one, as documented; for scripts that read it as an object its properties stand beside it."""
    found = _synchronization(request)
    return show("directory/onPremisesSynchronization", {"value": [found], **found})


@on("GET", f"{_SYNCHRONIZATION}/{{tenant}}", "the same by the tenant's id", READ_SYNCHRONIZATION)
def _show_synchronization(request: Request, tenant: str) -> Answer:
    _require_tenant(request, tenant)
    return show("directory/onPremisesSynchronization/$entity", _synchronization(request))


@on("PATCH", f"{_SYNCHRONIZATION}/{{tenant}}", "features", WRITE_SYNCHRONIZATION)
def _switch(request: Request, tenant: str) -> Answer:
    _require_tenant(request, tenant)
    return _switch_here(request)


@on("PATCH", _SYNCHRONIZATION, "the same without the id", WRITE_SYNCHRONIZATION)
def _switch_here(request: Request) -> Answer:
    features = typed(request.body("features"), "features", dict) or {}
    only(features, *_FEATURES, *_BITS)
    wanted = {name: typed(features, name, bool) for name in features if not name.startswith("@odata.")}
    for name, on_ in wanted.items():
        if on_ is None:
            raise GraphError(400, "Request_BadRequest", f"Invalid value specified for property '{name}'.")
    for name, on_ in wanted.items():
        if name in _FEATURES:
            request.tenant.set_feature(_FEATURES[name], on_)
        else:
            rest = request.tenant.other_features & ~_BITS[name]
            request.tenant.other_features = rest | (_BITS[name] if on_ else 0)
    return no_content()


def _organization(request: Request) -> dict[str, Any]:
    tenant = request.tenant
    synced = [user.synced_at for user in tenant.users if user.synced_at is not None]
    return {
        "id": tenant.tenant_id,
        "displayName": tenant.tenant_domain.partition(".")[0],
        "onPremisesSyncEnabled": True if tenant.synchronization.enabled else None,
        "onPremisesLastSyncDateTime": format_time(max(synced, default=None)),
        "onPremisesLastPasswordSyncDateTime": format_time(tenant.last_contact),
        "tenantType": "AAD",
        "verifiedDomains": [
            {
                "capabilities": "Email, OfficeCommunicationsOnline",
                "isDefault": name == tenant.domains.first,
                "isInitial": name == tenant.domains.first,
                "name": name,
                "type": "Federated" if tenant.is_federated(f"@{name}") else "Managed",
            }
            for name in tenant.domains
        ],
    }


def _synchronization(request: Request) -> dict[str, Any]:
    tenant, limit = request.tenant, request.tenant.synchronization.deletions_max
    features = {name: feature in tenant.features for name, feature in _FEATURES.items()}
    features |= {name: bool(tenant.other_features & bit) for name, bit in _BITS.items()}
    prevention = {
        "synchronizationPreventionType": "disabled" if limit is None else "enabledForCount",
        "alertThreshold": limit,
    }
    configuration = {"accidentalDeletionPrevention": prevention, "synchronizationInterval": "PT30M"}
    return {"id": tenant.tenant_id, "configuration": configuration, "features": features}


def _require_tenant(request: Request, name: str) -> None:
    if name.lower() != request.tenant.tenant_id:
        raise not_found(name)
