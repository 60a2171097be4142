"""What the format has and this version can not run yet: said before a run, never passed over in silence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulator.scenario.model import Scenario

NOT_BUILT = frozenset(
    {
        "server.set-fips",
        "server.edit-service-config",
        "cloud.convert-domain",
        "cloud.set-domain-services",
        "adfs.set-farm",
        "agent.diagnosis",
        "domain-services.logon",
    }
)
"""Actions and expectations that can be read and checked, but not run."""


def missing_in_given(scenario: Scenario) -> Iterator[str]:
    """What a scenario's world asks for that this version does not have, each as a few words."""
    given = scenario.given
    if given.agent.fips:
        yield "given: agent: fips"
    if given.cloud.domain_services == "on":
        yield "given: cloud: domain-services"
    if "federated" in given.cloud.domains.values():
        yield "a federated domain"
