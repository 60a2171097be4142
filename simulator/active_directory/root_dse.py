"""The root of a controller's directory: what a client asks first ([MS-ADTS] 3.1.1.3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from simulator.active_directory import values
from simulator.active_directory.schema import TEXT, Attribute
from simulator.active_directory.times import generalized

if TYPE_CHECKING:
    from simulator.active_directory.state import Controller

FUNCTIONAL_LEVEL = "4"  # Windows Server 2008 R2, as the measured controller
CAPABILITIES = (
    "1.2.840.113556.1.4.800",
    "1.2.840.113556.1.4.1670",
    "1.2.840.113556.1.4.1791",
    "1.2.840.113556.1.4.1935",
)


def root_dse(controller: Controller, controls: Sequence[str]) -> list[tuple[Attribute, list[bytes]]]:
    """The attributes of the root."""
    domain, root = controller.domain, controller.forest_dn
    configuration = f"CN=Configuration,{root}"
    host = controller.name.upper()
    server = f"CN={host},CN=Servers,CN=Default-First-Site-Name,CN=Sites,{configuration}"
    dns_name = f"{controller.name}.{domain.name}"
    shown: dict[str, Sequence[str]] = {
        "currentTime": (generalized(controller.seconds()),),
        "defaultNamingContext": (domain.dn,),
        "dnsHostName": (dns_name,),
        "domainControllerFunctionality": (FUNCTIONAL_LEVEL,),
        "domainFunctionality": (FUNCTIONAL_LEVEL,),
        "dsServiceName": (f"CN=NTDS Settings,{server}",),
        "forestFunctionality": (FUNCTIONAL_LEVEL,),
        "highestCommittedUSN": (str(controller.replica.usn),),
        "isGlobalCatalogReady": ("TRUE",),
        "isSynchronized": ("TRUE",),
        "ldapServiceName": (f"{domain.name}:{host.lower()}$@{domain.name.upper()}",),
        "namingContexts": (domain.dn, configuration, f"CN=Schema,{configuration}"),
        "rootDomainNamingContext": (root,),
        "schemaNamingContext": (f"CN=Schema,{configuration}",),
        "configurationNamingContext": (configuration,),
        "serverName": (server,),
        "subschemaSubentry": (f"CN=Aggregate,CN=Schema,{configuration}",),
        "supportedCapabilities": CAPABILITIES,
        "supportedControl": controls,
        "supportedLDAPVersion": ("3",),
    }
    return [
        (Attribute(name, name.lower(), TEXT, len(texts) == 1), [values.octets(t) for t in texts])
        for name, texts in shown.items()
    ]
