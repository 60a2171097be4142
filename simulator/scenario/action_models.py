"""The actions of the format, one model each. What they do is in :mod:`simulator.scenario.actions`."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import model_validator

from simulator.scenario.base import Action, split_controller
from simulator.scenario.given_models import (
    Attributes,
    CloudPolicyKeys,
    DomainPolicyKeys,
    PersonKeys,
    PreferredControllers,
    ScopeSpec,
)
from simulator.scenario.kinds import (
    CHOICE,
    SWITCH,
    AccountExpires,
    Controller,
    DomainName,
    Duration,
    Flag,
    Handle,
    Handles,
    Kind,
    Name,
    Ou,
    Password,
    Raw,
    Text,
    Upn,
    read_word,
    whole,
)
from simulator.scenario.values import bad

POLICIES = ("DisablePasswordExpiration", "DisableStrongPassword")
State = Annotated[Literal["up", "down"], CHOICE]
Switch = Annotated[Literal["on", "off"], SWITCH]


def read_password_policies(value: object) -> str:
    """``none``, which the tenant spells ``None``, or one or both policies' names, separated by commas."""
    if isinstance(value, (list, tuple)):
        names = [read_word(item) for item in value]
    else:
        names = [name.strip() for name in read_word(value).split(",")]
    if names in (["none"], ["None"]):
        return "None"
    for name in names:
        if name not in POLICIES:
            raise bad(f'unknown password policy "{name}"', "expected none or one of " + ", ".join(POLICIES))
    return ", ".join(names)


PasswordPolicies = Annotated[
    str,
    Kind(
        read_password_policies,
        "none, DisablePasswordExpiration or DisableStrongPassword",
        {"type": ["string", "array"], "items": {"enum": [*POLICIES]}},
    ),
]


class AdCreateUser(Action, PersonKeys):
    """An administrator creates a user in the directory."""

    name: ClassVar[str] = "ad.create-user"
    user: Handle
    password: Password


class AdChangePassword(Action):
    """A user changes the own password on premises; the domain's policy applies."""

    name: ClassVar[str] = "ad.change-password"
    user: Handle
    password: Password
    old: Password | None = None
    on: Controller | None = None


class AdResetPassword(Action):
    """An administrator resets a user's password on premises."""

    name: ClassVar[str] = "ad.reset-password"
    user: Handle
    password: Password
    must_change: Flag = False
    on: Controller | None = None


class AdRequireChange(Action):
    """An administrator says that a user must change the password at the next logon, or need not."""

    name: ClassVar[str] = "ad.require-change"
    user: Handle
    required: Flag = True


class AdSetUser(Action):
    """An administrator changes a user's account in the directory."""

    name: ClassVar[str] = "ad.set-user"
    user: Handle
    class_: Annotated[Literal["user", "inetOrgPerson"], CHOICE] | None = None
    enabled: Flag | None = None
    account_expires: AccountExpires | None = None
    password_never_expires: Flag | None = None
    smartcard_required: Flag | None = None
    upn: Upn | None = None
    display_name: Text | None = None
    attributes: Attributes | None = None

    @model_validator(mode="after")
    def _check(self) -> AdSetUser:
        self.need_one(*[name for name in type(self).model_fields if name != "user"])
        return self


class AdUnlock(Action):
    """An administrator unlocks a user's account."""

    name: ClassVar[str] = "ad.unlock"
    user: Handle


class AdDeleteUser(Action):
    """An administrator deletes a user in the directory."""

    name: ClassVar[str] = "ad.delete-user"
    user: Handle


class AdMoveUser(Action):
    """An administrator moves a user to another OU."""

    name: ClassVar[str] = "ad.move-user"
    user: Handle
    ou: Ou


class AdLogon(Action):
    """A user logs on to the domain; a wrong password counts towards lockout."""

    name: ClassVar[str] = "ad.logon"
    user: Handle
    password: Password
    on: Controller | None = None


class AdSetPolicy(Action, DomainPolicyKeys):
    """An administrator changes a domain's password policy; what is not named stays."""

    name: ClassVar[str] = "ad.set-policy"
    domain: DomainName | None = None

    @model_validator(mode="after")
    def _check(self) -> AdSetPolicy:
        self.need_one(*DomainPolicyKeys.model_fields)
        return self


class AdGrant(Action):
    """An administrator gives the agent's account a replication right on a domain."""

    name: ClassVar[str] = "ad.grant"
    right: Annotated[Literal["replicate-changes", "replicate-changes-all"], CHOICE]
    domain: DomainName | None = None


class AdRevoke(Action):
    """An administrator takes a replication right on a domain from the agent's account."""

    name: ClassVar[str] = "ad.revoke"
    right: Annotated[Literal["replicate-changes", "replicate-changes-all"], CHOICE]
    domain: DomainName | None = None


class AdSetController(Action):
    """A domain controller goes down, comes up, or no longer hands its changes on."""

    name: ClassVar[str] = "ad.set-controller"
    controller: Controller
    state: Annotated[Literal["up", "down", "no-outbound-replication"], CHOICE]
    domain: DomainName | None = None

    @model_validator(mode="before")
    @classmethod
    def _split(cls, data: Any) -> Any:
        return split_controller(data)


class AdSetConnectorPassword(Action):
    """The password of the agent's account in a domain changes; the agent is told, or not."""

    name: ClassVar[str] = "ad.set-connector-password"
    known_to_agent: Flag
    domain: DomainName | None = None


class AgentInstall(Action):
    """The agent is installed, with express or custom settings, and started."""

    name: ClassVar[str] = "agent.install"
    setup: Annotated[Literal["express", "custom"], CHOICE] = "express"
    password_sync: Flag = False
    object_sync: Flag = True

    @model_validator(mode="after")
    def _check(self) -> AgentInstall:
        if self.setup == "express":
            for key in ("password-sync", "object-sync"):
                if key.replace("-", "_") in self.model_fields_set:
                    raise bad(f'"{key}" goes with "setup: custom"', "express settings turn both on", key=key)
        return self


class AgentEnablePasswordSync(Action):
    """An operator enables password synchronization; the next password cycle is the initial one."""

    name: ClassVar[str] = "agent.enable-password-sync"
    domain: DomainName | None = None


class AgentDisablePasswordSync(Action):
    """An operator disables password synchronization."""

    name: ClassVar[str] = "agent.disable-password-sync"
    domain: DomainName | None = None


class AgentFullPasswordSync(Action):
    """An operator orders a full password synchronization of a domain."""

    name: ClassVar[str] = "agent.full-password-sync"
    domain: DomainName | None = None


class AgentSyncUser(Action):
    """An operator has one user's password sent again, changed or not."""

    name: ClassVar[str] = "agent.sync-user"
    user: Handle


class AgentRunObjectCycle(Action):
    """An operator runs an object cycle beside the schedule."""

    name: ClassVar[str] = "agent.run-object-cycle"
    type: Annotated[Literal["delta", "initial"], CHOICE] = "delta"


class AgentStop(Action):
    """The agent's service is stopped."""

    name: ClassVar[str] = "agent.stop"


class AgentStart(Action):
    """The agent's service is started."""

    name: ClassVar[str] = "agent.start"


class AgentRestart(Action):
    """The agent's service is stopped and started."""

    name: ClassVar[str] = "agent.restart"


class AgentCrash(Action):
    """The agent's process dies; the service manager starts it again a minute later, or after the time given."""

    name: ClassVar[str] = "agent.crash"
    restart_after: Duration | None = None


class AgentConfigure(Action):
    """An operator changes the agent's settings."""

    name: ClassVar[str] = "agent.configure"
    staging: Flag | None = None
    preferred_controllers: PreferredControllers | None = None
    scope: ScopeSpec | None = None
    object_interval: Duration | None = None
    deletion_threshold: Annotated[int, whole(0, 1_000_000)] | None = None

    @model_validator(mode="after")
    def _check(self) -> AgentConfigure:
        self.need_one(*type(self).model_fields)
        return self


class AgentSetPasswordInterval(Action):
    """An operator tries to change how often passwords are synchronized; it is always refused."""

    name: ClassVar[str] = "agent.set-password-interval"
    every: Duration


class AgentSelectUsers(Action):
    """An operator has the passwords of some users alone synchronized, from the next object cycle on.

    It is refused in 2017. Today these users get the mark of selective synchronization in the directory (their
    `adminDescription` becomes `PHSIncluded`), those chosen before lose it, and the agent's rules ask for it.
    """

    name: ClassVar[str] = "agent.select-users"
    users: Handles


class ServerSetFips(Action):
    """An administrator switches the server's FIPS policy; the service abides by it from its next start."""

    name: ClassVar[str] = "server.set-fips"
    enabled: Flag


class ServerEditServiceConfig(Action):
    """An administrator edits the configuration file of the agent's service; it counts from the next reboot.

    In 2017 it counts from the next start of the service.
    """

    name: ClassVar[str] = "server.edit-service-config"
    enforce_fips_policy: Flag | None = None
    xml: Raw | None = None

    @model_validator(mode="after")
    def _check(self) -> ServerEditServiceConfig:
        self.need_one("enforce_fips_policy", "xml")
        if len(self.model_fields_set) > 1:
            raise bad('"enforce-fips-policy" and "xml" exclude each other', "leave one of them out", key="xml")
        return self


class ServerReboot(Action):
    """The agent's server is started anew, which takes two minutes."""

    name: ClassVar[str] = "server.reboot"


class CloudCreateUser(Action):
    """An administrator creates a user in the cloud."""

    name: ClassVar[str] = "cloud.create-user"
    user: Handle
    password: Password


class CloudResetPassword(Action):
    """An administrator resets a user's password in the cloud, by PowerShell."""

    name: ClassVar[str] = "cloud.reset-password"
    user: Handle
    password: Password
    must_change: Flag = False


class CloudChangePassword(Action):
    """A user changes the own password in the cloud."""

    name: ClassVar[str] = "cloud.change-password"
    user: Handle
    old: Password
    password: Password


class CloudSetUser(Action):
    """An administrator changes a user's account in the cloud."""

    name: ClassVar[str] = "cloud.set-user"
    user: Handle
    enabled: Flag | None = None
    password_policies: PasswordPolicies | None = None

    @model_validator(mode="after")
    def _check(self) -> CloudSetUser:
        self.need_one("enabled", "password_policies")
        return self


class CloudDeleteUser(Action):
    """An administrator deletes a user in the cloud."""

    name: ClassVar[str] = "cloud.delete-user"
    user: Handle


class CloudSetPolicy(Action, CloudPolicyKeys):
    """An administrator changes the tenant's password policy; what is not named stays."""

    name: ClassVar[str] = "cloud.set-policy"

    @model_validator(mode="after")
    def _check(self) -> CloudSetPolicy:
        self.need_one(*CloudPolicyKeys.model_fields)
        return self


class CloudSetFeature(Action):
    """An administrator switches features of the tenant on or off."""

    name: ClassVar[str] = "cloud.set-feature"
    password_sync: Switch | None = None
    force_password_change_on_logon: Switch | None = None
    cloud_policy_for_synced_users: Switch | None = None
    duplicate_attribute_resiliency: Switch | None = None

    @model_validator(mode="after")
    def _check(self) -> CloudSetFeature:
        self.need_one(*type(self).model_fields)
        return self

    def features(self) -> dict[str, bool]:
        """The features named, by their names in the file, and whether each is on."""
        return {
            name.replace("_", "-"): getattr(self, name) == "on"
            for name in type(self).model_fields
            if name in self.model_fields_set
        }


class CloudSignIn(Action):
    """A user signs in to the cloud; a wrong password counts towards lockout."""

    name: ClassVar[str] = "cloud.sign-in"
    user: Handle
    password: Password
    as_: Name | None = None


class CloudRefreshSession(Action):
    """A user's application renews its access to the cloud by its refresh token."""

    name: ClassVar[str] = "cloud.refresh-session"
    as_: Name


class CloudConvertDomain(Action):
    """An administrator makes a domain of the tenant managed or federated."""

    name: ClassVar[str] = "cloud.convert-domain"
    domain: DomainName
    to: Annotated[Literal["managed", "federated"], CHOICE]


class CloudSetDomainServices(Action):
    """An administrator switches Domain Services on or off."""

    name: ClassVar[str] = "cloud.set-domain-services"
    state: Switch


class AdfsSetFarm(Action):
    """The federation servers go down or come up."""

    name: ClassVar[str] = "adfs.set-farm"
    state: State


class NetworkSetLink(Action):
    """A link of the agent's server goes down or comes up: to the cloud, or to a domain."""

    name: ClassVar[str] = "network.set-link"
    link: Annotated[str, Kind(read_word, "cloud or a domain's name", {"type": "string"})]
    state: State


ACTIONS: dict[str, type[Action]] = {model.name: model for model in Action.__subclasses__()}
"""Every action by its word."""
