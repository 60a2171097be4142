"""The configuration naming context: partitions, sites and services of a forest, as far as clients ask for them.

It is made from what the forest is at that moment and can't be written ([MS-ADTS] 6.1.1.2).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simulator.active_directory import names
from simulator.active_directory.context_tree import ContextTree
from simulator.active_directory.schema import Value

if TYPE_CHECKING:
    from simulator.active_directory.replica import Entry, Replica
    from simulator.active_directory.state import Controller, Domain, Forest

FUNCTIONAL_LEVEL = 4
"""Windows Server 2008 R2."""

SITE = "Default-First-Site-Name"
TOMBSTONE_LIFETIME_DAYS = 180
CONTROLLER_OPTIONS, NO_OUTBOUND = 0x1, 0x4
"""Options of a controller's settings: it is a global catalog; its outbound replication is disabled."""

UNMOVABLE = -2147483648
SITE_FLAGS, SERVER_FLAGS = 0x4200_0000, 0x5200_0000
"""Both can be renamed and are not at once deleted; a server can be moved to another site ([MS-ADTS] 2.2.10)."""

FROM_FOREST, DOMAIN_NC = 0x1, 0x2

POLICIES: Mapping[str, int] = {
    "MaxPoolThreads": 4,
    "MaxDatagramRecv": 4096,
    "MaxReceiveBuffer": 10485760,
    "InitRecvTimeout": 120,
    "MaxConnections": 5000,
    "MaxConnIdleTime": 900,
    "MaxPageSize": 1000,
    "MaxQueryDuration": 120,
    "MaxTempTableSize": 10000,
    "MaxResultSetSize": 262144,
    "MinResultSets": 3,
    "MaxResultSetsPerConn": 10,
    "MaxNotificationPerConn": 5,
    "MaxValRange": 1500,
}
"""The default query policy."""

GET_CHANGES = "1131f6aa-9c07-11d1-f79f-00c04fc2dcd2"
GET_CHANGES_ALL = "1131f6ad-9c07-11d1-f79f-00c04fc2dcd2"
MAY_CHANGE = "ab721a53-1e2f-11d0-9819-00aa0040529b"
MAY_RESET = "00299570-246d-11d0-a768-00aa006e0529"
_DOMAIN_CLASS = "19195a5b-6da0-11d0-afd3-00c04fd930c9"
_USER_CLASSES = ("bf967aba-0de6-11d0-a285-00aa003049e2", "4828cc14-1437-45bc-9b07-ad6f015e5f28")
RIGHTS = (
    ("DS-Replication-Get-Changes", "Replicating Directory Changes", GET_CHANGES, (_DOMAIN_CLASS,)),
    ("DS-Replication-Get-Changes-All", "Replicating Directory Changes All", GET_CHANGES_ALL, (_DOMAIN_CLASS,)),
    ("User-Change-Password", "Change Password", MAY_CHANGE, _USER_CLASSES),
    ("User-Force-Change-Password", "Reset Password", MAY_RESET, _USER_CLASSES),
)
"""Extended rights: cn, displayName, rightsGuid, appliesTo."""


@dataclass(frozen=True, slots=True)
class Names:
    """Names in a forest's configuration."""

    configuration: str
    schema: str

    @classmethod
    def of(cls, root_dn: str) -> Names:
        """Those of the forest whose root domain has that DN."""
        configuration = f"CN=Configuration,{root_dn}"
        return cls(configuration, f"CN=Schema,{configuration}")

    def server(self, domain: Domain, controller: str) -> str:
        """The server object of a domain's controller."""
        name = names.escape(server_name(domain, controller))
        return f"CN={name},CN=Servers,CN={SITE},CN=Sites,{self.configuration}"

    def settings(self, domain: Domain, controller: str) -> str:
        """The settings (nTDSDSA) object of a domain's controller."""
        return f"CN=NTDS Settings,{self.server(domain, controller)}"

    def cross_ref(self, domain: Domain) -> str:
        """The object that tells of a domain."""
        return f"CN={names.escape(domain.netbios)},CN=Partitions,{self.configuration}"


def server_name(domain: Domain, controller: str) -> str:
    """A controller's server object: called as its host, with the domain's name if an earlier domain has one so."""
    host = controller.upper()
    for other in domain.forest.domains.values():
        if other is domain:
            break
        if any(each.upper() == host for each in other.controller_names):
            return f"{host}-{domain.netbios}"
    return host


def fingerprint(forest: Forest) -> tuple[object, ...]:
    """What the configuration depends on; while it stays the same, so does the configuration."""
    return tuple(
        (domain.name, each.name, each.state, each.invocation)
        for domain in forest.domains.values()
        for each in domain.controllers.values()
    )


def build(controller: Controller) -> Replica:
    """The configuration as a controller holds it."""
    forest, where = controller.domain.forest, Names.of(controller.forest_dn)
    tree = ContextTree(controller, first_usn=1000)
    root = tree.add(None, where.configuration, "configuration", {"instancetype": 13, "subrefs": where.schema})
    _add_partitions(tree, root, forest, where)
    _add_sites(tree, root, forest, where)
    _add_services(tree, root)
    tree.add(root, "DisplaySpecifiers", "container", {"systemflags": 0})
    rights = tree.add(root, "Extended-Rights", "container", {"systemflags": UNMOVABLE})
    for cn, shown, guid, classes in RIGHTS:
        values: dict[str, Value] = {
            "displayname": shown, "rightsguid": guid, "validaccesses": 256,
            "appliesto": classes if len(classes) > 1 else classes[0],
        }  # fmt: skip
        tree.add(rights, cn, "controlAccessRight", values)
    return tree.replica


def _add_partitions(tree: ContextTree, root: Entry, forest: Forest, where: Names) -> None:
    first = next(iter(forest.domains.values()))
    values: dict[str, Value] = {
        "msds-behavior-version": FUNCTIONAL_LEVEL, "systemflags": UNMOVABLE,
        "fsmoroleowner": where.settings(first, first.controller_names[0]),
    }  # fmt: skip
    partitions = tree.add(root, "Partitions", "crossRefContainer", values)
    for cn, dn in (("Enterprise Configuration", where.configuration), ("Enterprise Schema", where.schema)):
        tree.add(partitions, cn, "crossRef", {"ncname": dn, "dnsroot": first.name, "systemflags": FROM_FOREST})
    for domain in forest.domains.values():
        tree.add(partitions, domain.netbios, "crossRef", _cross_ref(forest, domain, first, where))


def _cross_ref(forest: Forest, domain: Domain, first: Domain, where: Names) -> dict[str, Value]:
    values: dict[str, Value] = {
        "ncname": domain.dn, "netbiosname": domain.netbios, "dnsroot": domain.name, "ntmixeddomain": 0,
        "systemflags": FROM_FOREST | DOMAIN_NC, "msds-behavior-version": FUNCTIONAL_LEVEL,
    }  # fmt: skip
    above = forest.domains.get(domain.name.partition(".")[2])
    if above is not None:
        values["trustparent"] = where.cross_ref(above)
    elif domain is not first:
        values["roottrust"] = where.cross_ref(first)
    return values


def _add_sites(tree: ContextTree, root: Entry, forest: Forest, where: Names) -> None:
    sites = tree.add(root, "Sites", "sitesContainer", {"systemflags": UNMOVABLE | 0x2000000})
    tree.add(sites, "Subnets", "subnetContainer", {"systemflags": UNMOVABLE})
    site = tree.add(sites, SITE, "site", {"systemflags": SITE_FLAGS})
    servers = tree.add(site, "Servers", "serversContainer", {"systemflags": 0x2000000})
    for domain in forest.domains.values():
        for each in domain.controllers.values():
            host = each.name.upper()
            values: dict[str, Value] = {
                "dnshostname": f"{each.name}.{domain.name}",
                "serverreference": f"CN={names.escape(host)},OU=Domain Controllers,{domain.dn}",
                "systemflags": SERVER_FLAGS,
            }
            server = tree.add(servers, server_name(domain, each.name), "server", values)
            contexts = (domain.dn, where.configuration, where.schema)
            off = NO_OUTBOUND if each.state == "no-outbound-replication" else 0
            settings: dict[str, Value] = {
                "invocationid": each.invocation, "options": CONTROLLER_OPTIONS | off, "systemflags": 0x2000000,
                "dmdlocation": where.schema, "hasmasterncs": contexts, "msds-hasmasterncs": contexts,
                "msds-hasdomainncs": domain.dn, "msds-behavior-version": FUNCTIONAL_LEVEL,
            }  # fmt: skip
            tree.add(server, "NTDS Settings", "nTDSDSA", settings)


def _add_services(tree: ContextTree, root: Entry) -> None:
    services = tree.add(root, "Services", "container", {"systemflags": UNMOVABLE})
    values: dict[str, Value] = {
        "tombstonelifetime": TOMBSTONE_LIFETIME_DAYS,
        "spnmappings": "host=alerter,appmgmt,browser,cifs,dhcp,dnscache,http,ldap,netlogon,rpc,spooler,time,www",
        "msds-other-settings": ("DisableVLVSupport=0", "DynamicObjectMinTTL=900", "DynamicObjectDefaultTTL=86400"),
    }
    service = tree.add(tree.add(services, "Windows NT", "container", {}), "Directory Service", "nTDSService", values)
    limits = tuple(f"{name}={value}" for name, value in POLICIES.items())
    policies = tree.add(service, "Query-Policies", "container", {})
    tree.add(policies, "Default Query Policy", "queryPolicy", {"ldapadminlimits": limits})
