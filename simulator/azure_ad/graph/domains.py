"""Domains, and how long their users' passwords are good."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from simulator.azure_ad.errors import GraphError
from simulator.azure_ad.graph.request import Request, no_content, not_found, on, show, typed
from simulator.azure_ad.permissions import READ_DOMAINS, WRITE_DOMAINS
from simulator.azure_ad.wire import Answer

FOR_EVER = 2_147_483_647
"""``passwordValidityPeriodInDays`` of passwords that never expire."""
VALIDITY_DAYS, NOTICE_DAYS = 90, 14
"""What null stands for."""
_VALIDITY_RANGE, _NOTICE_RANGE = range(14, 731), range(1, 31)
_VALIDITY, _NOTICE = "passwordValidityPeriodInDays", "passwordNotificationWindowInDays"


@on("GET", "/v1.0/domains", "the tenant's domains", READ_DOMAINS)
def _list(request: Request) -> Answer:
    return show("domains", {"value": [describe_domain(request, name) for name in request.tenant.domains]})


@on("GET", "/v1.0/domains/{domain}", "one domain", READ_DOMAINS)
def _show(request: Request, domain: str) -> Answer:
    return show("domains/$entity", describe_domain(request, _find(request, domain)))


@on("PATCH", "/v1.0/domains/{domain}", f"{_VALIDITY}, {_NOTICE}", WRITE_DOMAINS)
def _update(request: Request, domain: str) -> Answer:
    name, body = _find(request, domain), request.body(_VALIDITY, _NOTICE)
    policy = request.tenant.policy_for(f"@{name}")
    age, notice = policy.max_age, policy.notice
    if _VALIDITY in body:
        days = _days(body, _VALIDITY, VALIDITY_DAYS, _VALIDITY_RANGE)
        age = None if days == FOR_EVER else timedelta(days=days)
    if _NOTICE in body:
        notice = timedelta(days=_days(body, _NOTICE, NOTICE_DAYS, _NOTICE_RANGE))
    request.tenant.set_domain_policy(name, age, notice)
    return no_content()


def describe_domain(request: Request, name: str) -> dict[str, Any]:
    """A domain as Graph shows it."""
    tenant = request.tenant
    first, policy = name == tenant.domains.first, tenant.policy_for(f"@{name}")
    return {
        "id": name,
        "authenticationType": "Federated" if tenant.is_federated(f"@{name}") else "Managed",
        "availabilityStatus": None,
        "isAdminManaged": True,
        "isDefault": first,
        "isInitial": first,
        "isRoot": True,
        "isVerified": True,
        "supportedServices": ["Email", "OfficeCommunicationsOnline"],
        _VALIDITY: FOR_EVER if policy.max_age is None else policy.max_age.days,
        _NOTICE: policy.notice.days,
    }


def _find(request: Request, domain: str) -> str:
    if domain not in request.tenant.domains:
        raise not_found(domain)
    return domain.lower()


def _days(body: Mapping[str, Any], name: str, default: int, allowed: range) -> int:
    days: int | None = typed(body, name, int)
    if days is None:
        return default
    if days not in allowed and not (name == _VALIDITY and days == FOR_EVER):
        text = f"Invalid value specified for property '{name}' of resource 'Domain': {allowed[0]} to {allowed[-1]}."
        raise GraphError(400, "Request_BadRequest", text)
    return days
