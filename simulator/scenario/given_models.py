"""The world at the start: the models of ``given``."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from simulator.scenario import values
from simulator.scenario.base import Part
from simulator.scenario.errors import one_of, suggest
from simulator.scenario.kinds import (
    ANY_CONTROLLER,
    CHOICE,
    DNS_NAME,
    RAW,
    AccountExpires,
    Controllers,
    DomainName,
    Duration,
    Flag,
    Handle,
    Handles,
    Kind,
    MaxAge,
    Name,
    Ou,
    Ous,
    Password,
    Text,
    Upn,
    listed,
    read_attribute,
    read_pairs,
    whole,
)
from simulator.scenario.nodes import Scalar
from simulator.scenario.values import bad

DEFAULT_DOMAIN = "contoso.example"
FEATURES = ("password-sync", "force-password-change-on-logon", "cloud-policy-for-synced-users",
            "duplicate-attribute-resiliency")  # fmt: skip


def read_features(value: object) -> dict[str, bool]:
    """Features of the tenant, each on or off; true and false say the same."""
    features = read_pairs(
        lambda item: item if isinstance(item, bool) else values.read_switch(item) == "on", "features", value
    )
    for name in features:
        if name not in FEATURES:
            raise bad(f'unknown feature "{name}"', suggest(name, FEATURES), key=name)
    return features


def read_domain_kinds(value: object) -> dict[str, str]:
    """Domains of the tenant, each ``managed`` or ``federated``."""
    kinds = read_pairs(
        lambda item: item if isinstance(item, str) else item.text if isinstance(item, Scalar) else "", "domains", value
    )
    for name, kind in kinds.items():
        if kind not in ("managed", "federated"):
            raise bad(f'a domain is managed or federated, not "{kind}"', one_of(("managed", "federated")), key=name)
    return kinds


def _pairs(read: Any, expected: str, schema: dict[str, Any]) -> Kind:
    return Kind(partial(read_pairs, read, expected), expected, {"type": "object", "additionalProperties": schema})


_SWITCH_SCHEMA = {"enum": ["on", "off", True, False]}
Features = Annotated[
    dict[str, bool],
    Kind(
        read_features,
        "features, each on or off",
        {"type": "object", "properties": dict.fromkeys(FEATURES, _SWITCH_SCHEMA), "additionalProperties": False},
    ),
]
DomainKinds = Annotated[
    dict[str, str],
    Kind(
        read_domain_kinds,
        "domains, each managed or federated",
        {"type": "object", "additionalProperties": {"enum": ["managed", "federated"]}},
    ),
]
_ATTRIBUTE_SCHEMA = {"anyOf": [dict(RAW.schema), {"type": "array", "items": dict(RAW.schema)}]}
Attributes = Annotated[
    dict[str, str | tuple[str, ...]],
    _pairs(read_attribute, "attributes, each with its value or a list of values", _ATTRIBUTE_SCHEMA),
]
AttributeValues = Annotated[
    dict[str, str], _pairs(values.read_raw, "attributes, each with its value", dict(RAW.schema))
]
_CONTROLLERS = listed(ANY_CONTROLLER, at_least=1)
PreferredControllers = Annotated[
    dict[str, tuple[str, ...]],
    _pairs(_CONTROLLERS.read, "domains, each with a list of controllers", dict(_CONTROLLERS.schema)),
]


class PersonKeys(Part):
    """What may be said of a user of the directory, in ``given`` and in ``ad.create-user``."""

    class_: Annotated[Literal["user", "inetOrgPerson"], CHOICE] = "user"
    domain: DomainName | None = None
    ou: Ou | None = None
    display_name: Text | None = None
    upn: Upn | None = None
    enabled: Flag = True
    must_change: Flag = False
    password_never_expires: Flag = False
    smartcard_required: Flag = False
    account_expires: AccountExpires | None = None
    password_age: Duration | None = None
    critical: Flag = False
    attributes: Attributes = Field(default_factory=dict)


class UserSpec(PersonKeys):
    """A user of the directory. The name is sAMAccountName and the local part of the UPN."""

    name: Handle
    password: Password
    password_age: Duration | None = timedelta(days=30)


class CloudUserSpec(Part):
    """A user who was created in the cloud."""

    name: Handle
    password: Password
    password_age: Duration = timedelta(0)


class PopulationSpec(Part):
    """Invented people beside the named ones."""

    count: Annotated[int, whole(0, 1_000_000)]


class DomainPolicyKeys(Part):
    """A domain's password policy."""

    min_length: Annotated[int, whole(0, 128)] = 7
    complexity: Flag = True
    history: Annotated[int, whole(0, 1024)] = 24
    max_age: MaxAge = timedelta(days=42)
    min_age: Duration = timedelta(0)
    lockout_threshold: Annotated[int, whole(0, 999)] = 0
    lockout_duration: Duration = timedelta(minutes=30)
    lockout_window: Duration = timedelta(minutes=30)


class FineGrainedPolicy(DomainPolicyKeys):
    """A password policy for some users of a domain; the lowest precedence wins."""

    name: Name
    applies_to: Handles = ()
    precedence: Annotated[int, whole(1, 2**31 - 1)] = 1


class DomainSpec(Part):
    """A domain of the directory."""

    controllers: Controllers = ("dc1",)
    replication_delay: Duration = timedelta(seconds=15)
    policy: DomainPolicyKeys | None = None
    fine_grained: tuple[FineGrainedPolicy, ...] = ()


def _read_empty(value: object) -> object:
    """``NAME:`` without a value is a domain with all defaults."""
    return {} if value is None or (isinstance(value, Scalar) and not value.text and not value.quoted) else value


class ForestSpec(Part):
    """A forest: one connector of the agent reads all its domains."""

    domains: dict[str, DomainSpec]

    @model_validator(mode="before")
    @classmethod
    def _fill_domains(cls, data: Any) -> Any:
        if isinstance(data, dict) and isinstance(data.get("domains"), dict):
            return {**data, "domains": {name: _read_empty(value) for name, value in data["domains"].items()}}
        return data

    @model_validator(mode="after")
    def _check_names(self) -> ForestSpec:
        if not self.domains:
            raise bad("a forest has at least one domain", key="domains")
        for name in self.domains:
            try:
                DNS_NAME.read(name)
            except PydanticCustomError as error:
                raise bad(error.message(), "such as contoso.example", key=f"domains/{name}") from None
        return self


class ScopeSpec(Part):
    """Which objects the agent synchronizes: all, but for what is said here."""

    ous: Ous = ()
    exclude_ous: Ous = ()
    exclude_attribute: AttributeValues = Field(default_factory=dict)


class AgentSpec(Part):
    """The agent's settings at the start."""

    staging: Flag = False
    fips: Flag = False
    batch_size: Annotated[int, whole(1, 50)] = 50
    preferred_controllers: PreferredControllers = Field(default_factory=dict)
    deletion_threshold: Annotated[int, whole(0, 1_000_000)] = 500
    match_by: Name | None = None


class CloudPolicyKeys(Part):
    """The tenant's password policy."""

    min_length: Annotated[int, whole(1, 256)] | None = None
    max_length: Annotated[int, whole(1, 256)] | None = None
    classes: Annotated[int, whole(1, 4)] | None = None
    max_age: MaxAge = None
    notice: Duration | None = None
    lockout_threshold: Annotated[int, whole(1, 1000)] | None = None
    lockout_duration: Duration | None = None

    @model_validator(mode="after")
    def _check_lengths(self) -> CloudPolicyKeys:
        if self.min_length is not None and self.max_length is not None and self.min_length > self.max_length:
            raise bad(f"min-length {self.min_length} is more than max-length", key="min-length")
        return self


class CloudSpec(Part):
    """The tenant at the start."""

    policy: CloudPolicyKeys | None = None
    features: Features = Field(default_factory=dict)
    domains: DomainKinds = Field(default_factory=dict)
    domain_services: Annotated[Literal["on", "off"], Kind(values.read_switch, "on or off", _SWITCH_SCHEMA)] = "off"


class NetworkSpec(Part):
    """How long calls take."""

    cloud_latency: Duration = timedelta(0)
    directory_latency: Duration = timedelta(0)


class Given(Part):
    """The world at the start."""

    sync: Annotated[Literal["settled", "installed", "none"], CHOICE] = "settled"
    users: tuple[UserSpec, ...] = ()
    cloud_users: tuple[CloudUserSpec, ...] = ()
    population: PopulationSpec | None = None
    directory: Name | None = None
    forest: ForestSpec | None = None
    forests: dict[str, ForestSpec] | None = None
    scope: ScopeSpec | None = None
    agent: AgentSpec = AgentSpec()
    cloud: CloudSpec = CloudSpec()
    network: NetworkSpec = NetworkSpec()

    def all_forests(self) -> dict[str, ForestSpec]:
        """Forests by name; one with the default domain where nothing is said."""
        if self.forests:
            return dict(self.forests)
        if self.forest is not None:
            return {next(iter(self.forest.domains)): self.forest}
        return {DEFAULT_DOMAIN: ForestSpec(domains={DEFAULT_DOMAIN: DomainSpec()})}

    def all_domains(self) -> dict[str, DomainSpec]:
        """Domains of all forests by name, in file order."""
        return {name: spec for forest in self.all_forests().values() for name, spec in forest.domains.items()}

    def default_domain(self) -> str:
        """Where users live who name no domain: contoso.example, or the first domain where that one is missing."""
        domains = self.all_domains()
        return DEFAULT_DOMAIN if DEFAULT_DOMAIN in domains else next(iter(domains))
