"""What a new domain holds: containers, built-in accounts and groups, the connector's account."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pwsync.credential import nt_hash
from simulator.active_directory import password_settings, passwords, policy
from simulator.active_directory.configuration import FUNCTIONAL_LEVEL
from simulator.active_directory.schema import CLASSES, Value
from simulator.active_directory.supplemental import keep
from simulator.active_directory.times import moment

if TYPE_CHECKING:
    from simulator.active_directory.replica import Entry
    from simulator.active_directory.state import Controller, Domain

SYSTEM_FLAGS = -1946157056
"""Not deleted, not moved, not renamed ([MS-ADTS] 2.2.10)."""

CRITICAL: dict[str, Value] = {"iscriticalsystemobject": True, "systemflags": SYSTEM_FLAGS}
SHOWN: dict[str, Value] = {"showinadvancedviewonly": False}
SAM_DOMAIN: dict[str, Value] = {"forcelogoff": -(1 << 63), "uascompat": 1}
"""What the accounts database knows of a domain, beside the policy of passwords: nobody is logged off when hours end."""

CONTAINERS: tuple[tuple[str, str, dict[str, Value]], ...] = (
    ("Users", "container", SHOWN),
    ("Computers", "container", SHOWN),
    ("Builtin", "builtindomain", SHOWN | SAM_DOMAIN),
    ("System", "container", {}),
    ("LostAndFound", "lostandfound", {}),
    ("Deleted Objects", "container", {}),
)
MORE_CONTAINERS: tuple[tuple[str, str, dict[str, Value]], ...] = (
    ("ForeignSecurityPrincipals", "container", CRITICAL | SHOWN),
    ("Infrastructure", "infrastructureupdate", CRITICAL),
    ("NTDS Quotas", "msds-quotacontainer", {"iscriticalsystemobject": True, "systemflags": -0x8000_0000}),
)
GROUPS = (("Domain Admins", 512), ("Domain Users", 513), ("Domain Guests", 514), ("Domain Computers", 515),
          ("Domain Controllers", 516))  # fmt: skip
NEVER_EXPIRES = policy.NORMAL_ACCOUNT | policy.PASSWORD_NEVER_EXPIRES
DISABLED_ACCOUNT = policy.NORMAL_ACCOUNT | policy.DISABLED
SERVER_TRUST = 0x2000 | 0x80000


def provision(domain: Domain, controller: Controller) -> None:
    """Fill a new domain's first controller."""
    replica = controller.replica
    own: dict[str, Value] = {"msds-behavior-version": FUNCTIONAL_LEVEL, "ntmixeddomain": 0}
    values = password_settings.root_values(domain.policy) | CRITICAL | SAM_DOMAIN | own
    root = controller.create(None, domain.dn, CLASSES["domaindns"], values)
    made = {name: controller.create(root, name, CLASSES[kind], CRITICAL | more) for name, kind, more in CONTAINERS}
    replica.deleted_objects = made["Deleted Objects"]
    computers = controller.create(root, "Domain Controllers", CLASSES["organizationalunit"], CRITICAL | SHOWN)
    users = made["Users"]
    administrator = _account(controller, users, "Administrator", 500, NEVER_EXPIRES, domain.administrator_password)
    _account(controller, users, "Guest", 501, DISABLED_ACCOUNT | 0x10020, None)
    _account(controller, users, "krbtgt", 502, DISABLED_ACCOUNT, _invented(domain))
    for name, rid in GROUPS:
        group: dict[str, Value] = {"samaccountname": name, "iscriticalsystemobject": True}
        if rid == 512:
            group["member"] = (administrator.guid,)
        controller.create(users, name, CLASSES["group"], group, rid=rid)
    for host in domain.controller_names:
        account: dict[str, Value] = {
            "samaccountname": f"{host.upper()}$",
            "useraccountcontrol": SERVER_TRUST,
            "pwdlastset": controller.now(),
            "dnshostname": f"{host}.{domain.name}",
            "primarygroupid": 516,
            "iscriticalsystemobject": True,
        }
        controller.create(computers, host.upper(), CLASSES["computer"], account, rid=controller.take_rid())
    name, password = domain.connector_account()
    _account(controller, users, name, controller.take_rid(), NEVER_EXPIRES, password, critical=False)
    password_settings.provision(domain, controller, made["System"])
    for name, kind, more in MORE_CONTAINERS:
        password_settings.create_apart(domain, controller, root, name, kind, dict(more))
    data = password_settings.create_apart(domain, controller, root, "Program Data", "container", {})
    password_settings.create_apart(domain, controller, data, "Microsoft", "container", {})


def _invented(domain: Domain) -> str:
    return domain.random("secrets").randbytes(18).hex() + "-Aa1"


def _account(
    controller: Controller,
    users: Entry,
    name: str,
    rid: int,
    flags: int,
    password: str | None,
    *,
    critical: bool = True,
) -> Entry:
    values: dict[str, Value] = {"samaccountname": name, "useraccountcontrol": flags, "pwdlastset": 0}
    nt = None if password is None else nt_hash(password)
    if nt is not None and password is not None:
        values |= passwords.set_values(nt, b"", 24, controller.now())  # type: ignore[arg-type] # none of them None
        values["supplementalcredentials"] = keep(password, name, "", controller.domain.name)
    if critical:
        values["iscriticalsystemobject"] = True
    entry = controller.create(users, name, CLASSES["user"], values, rid=rid)
    if nt is not None:
        passwords.record(controller.domain, entry, nt, "create", False, moment(controller.now()))
    return entry
