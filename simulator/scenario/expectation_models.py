"""The expectations of the format, one model each; they observe and change nothing."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, ClassVar, Literal

from pydantic import model_validator

from simulator.scenario.base import Expectation
from simulator.scenario.kinds import (
    CHOICE,
    HANDLE,
    Controller,
    DomainName,
    ExpiresAt,
    Flag,
    Handle,
    Handles,
    Kind,
    Name,
    Offset,
    Password,
    Passwords,
    Text,
    Times,
    listed,
    read_choice,
    read_items_or_word,
    read_one_or_more,
    whole,
)
from simulator.scenario.nodes import Scalar

REASONS = (
    "password-too-weak", "password-too-short", "password-too-long", "password-characters", "password-reused",
    "password-too-young", "wrong-password", "not-configurable", "not-supported", "no-such-user", "no-rights",
    "federated-domain", "requires-object-sync", "locked", "expired", "must-change", "disabled",
    "upn-taken", "name-taken", "federation-unavailable",
)  # fmt: skip
"""Why the world refuses an action."""

FINDINGS = (
    "ok", "feature-off", "staging", "connector-off", "no-heartbeat", "domain-unreachable", "wrong-credentials",
    "missing-rights", "not-in-scope", "not-exported", "temporary-password", "unsupported-class", "fips",
)  # fmt: skip
"""What the diagnosis finds."""

OPERATIONS = ("token", "set-passwords", "set-objects", "ping", "any")
"""Calls to the tenant; also written with ``cloud.`` before them."""

SignInResult = Literal[
    "ok", "wrong-password", "no-password", "unknown-user", "expired", "must-change", "disabled", "locked",
    "federation-unavailable",
]  # fmt: skip
LogonResult = Literal[
    "ok", "wrong-password", "expired", "must-change", "disabled", "locked", "account-expired", "no-such-user",
    "unavailable",
]  # fmt: skip
ServiceLogonResult = Literal["ok", "wrong-password", "no-password", "unknown-user", "disabled"]
Status = Literal[
    "Success", "FilteredByTarget", "NoTargetConnection", "TargetNotExportedToDirectory", "SourceConnectorNotPresent",
    "RetryRequestedByTarget", "Error", "Unknown", "MissingAttribute", "none",
]  # fmt: skip


def read_operation(value: object) -> str:
    """The wire's name of an operation: ``set-passwords`` is ``cloud.set-passwords``."""
    words = (*OPERATIONS, *(f"cloud.{name}" for name in OPERATIONS))
    return "cloud." + read_choice(words, value).removeprefix("cloud.")


_LIST_OF_USERS = listed(HANDLE)
Pending = Annotated[
    tuple[str, ...],
    Kind(
        partial(read_items_or_word, HANDLE.read, "none", "a list of users, or none"),
        "a list of users, or none",
        {"anyOf": [dict(_LIST_OF_USERS.schema), {"const": "none"}]},
    ),
]
Findings = Annotated[
    tuple[str, ...],
    Kind(
        partial(read_one_or_more, partial(read_choice, FINDINGS), "a finding, or a list of findings"),
        "a finding, or a list of findings",
        {"anyOf": [{"enum": [*FINDINGS]}, {"type": "array", "items": {"enum": [*FINDINGS]}}]},
    ),
]
Operation = Annotated[
    str,
    Kind(
        read_operation,
        "an operation such as set-passwords",
        {"enum": [*OPERATIONS, *(f"cloud.{n}" for n in OPERATIONS)]},
    ),
]


class ExpectCloudSignIn(Expectation):
    """What a sign-in to the cloud would come to."""

    name: ClassVar[str] = "cloud.sign-in"
    user: Handle
    password: Password
    result: Annotated[SignInResult, CHOICE]
    via: Annotated[Literal["managed", "adfs"], CHOICE] | None = None


class ExpectCloudSession(Expectation):
    """Whether a session's access token and refresh token still work."""

    name: ClassVar[str] = "cloud.session"
    as_: Name
    access: Annotated[Literal["ok", "expired"], CHOICE] | None = None
    refresh: Annotated[Literal["ok", "revoked", "expired"], CHOICE] | None = None

    @model_validator(mode="after")
    def _check(self) -> ExpectCloudSession:
        self.need_one("access", "refresh")
        return self


class ExpectCloudUser(Expectation):
    """How a user's account stands in the cloud."""

    name: ClassVar[str] = "cloud.user"
    user: Handle
    exists: Flag | None = None
    enabled: Flag | None = None
    source: Annotated[Literal["synced", "admin-reset", "cloud", "none"], CHOICE] | None = None
    expires: ExpiresAt | None = None
    must_change: Flag | None = None
    synced_object: Flag | None = None

    @model_validator(mode="after")
    def _check(self) -> ExpectCloudUser:
        self.need_one(*[name for name in type(self).model_fields if name != "user"])
        return self


class ExpectCloudHistory(Expectation):
    """The passwords that the tenant has held for a user, oldest first."""

    name: ClassVar[str] = "cloud.history"
    user: Handle
    is_: Passwords


class ExpectCloudWrites(Expectation):
    """How often a password was written in the tenant."""

    name: ClassVar[str] = "cloud.writes"
    count: Times
    user: Handle | None = None
    by: Annotated[Literal["sync", "admin", "user"], CHOICE] | None = None
    since: Offset | None = None


class ExpectCloudReceived(Expectation):
    """The users in the order in which the tenant accepted their synchronized passwords."""

    name: ClassVar[str] = "cloud.received"
    is_: Handles
    since: Offset | None = None


class ExpectCloudCalls(Expectation):
    """How many attempts to call the tenant reached the wire."""

    name: ClassVar[str] = "cloud.calls"
    count: Times
    operation: Operation | None = None
    since: Offset | None = None


class ExpectAdLogon(Expectation):
    """What a logon to the domain would come to."""

    name: ClassVar[str] = "ad.logon"
    user: Handle
    password: Password
    result: Annotated[LogonResult, CHOICE]
    on: Controller | None = None


class ExpectDomainServicesLogon(Expectation):
    """What a logon to Domain Services would come to."""

    name: ClassVar[str] = "domain-services.logon"
    user: Handle
    password: Password
    method: Annotated[Literal["ntlm", "kerberos", "ldap"], CHOICE]
    result: Annotated[ServiceLogonResult, CHOICE]


class ExpectEventLog(Expectation):
    """How many events of a kind the agent has written."""

    name: ClassVar[str] = "event-log"
    count: Times
    id: Annotated[int, whole(0, 65535)] | None = None
    level: Annotated[Literal["error", "warning", "information"], CHOICE] | None = None
    user: Handle | None = None
    domain: DomainName | None = None
    contains: Text | None = None
    since: Offset | None = None


class ExpectAgentPending(Expectation):
    """Whose passwords still have to go to the tenant, in sending order."""

    name: ClassVar[str] = "agent.pending"
    is_: Pending


class ExpectAgentStatus(Expectation):
    """What the last attempt with a user's password came to."""

    name: ClassVar[str] = "agent.status"
    user: Handle
    is_: Annotated[Status, CHOICE]


class ExpectAgentCycles(Expectation):
    """How many cycles have started."""

    name: ClassVar[str] = "agent.cycles"
    count: Times
    kind: Annotated[Literal["password", "object"], CHOICE] | None = None
    since: Offset | None = None


class ExpectAgentDiagnosis(Expectation):
    """What the agent's diagnosis finds, for a user or on the whole."""

    name: ClassVar[str] = "agent.diagnosis"
    finds: Findings
    user: Handle | None = None


class ExpectAgentAlert(Expectation):
    """Which alert the tenant raises about the agent."""

    name: ClassVar[str] = "agent.alert"
    is_: Annotated[Literal["none", "heartbeat"], CHOICE]


class ExpectRefused(Expectation):
    """The one action of this entry is refused, for this reason."""

    name: ClassVar[str] = "refused"
    reason: Annotated[str, Kind(partial(read_choice, REASONS), "a reason", {"enum": [*REASONS]})]

    @model_validator(mode="before")
    @classmethod
    def _wrap(cls, data: Any) -> Any:
        """The reason stands alone, without a key of its own."""
        return {"reason": data} if isinstance(data, Scalar) else data


EXPECTATIONS: dict[str, type[Expectation]] = {model.name: model for model in Expectation.__subclasses__()}
"""Every expectation by its word."""
