"""The root of a controller's directory: what a client asks first ([MS-ADTS] 3.1.1.3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from simulator.active_directory import values
from simulator.active_directory.configuration import FUNCTIONAL_LEVEL, POLICIES, Names
from simulator.active_directory.schema import OCTETS, TEXT, Attribute, Value
from simulator.active_directory.times import generalized

if TYPE_CHECKING:
    from simulator.active_directory.session import Session
    from simulator.active_directory.state import Controller

CAPABILITIES = (
    "1.2.840.113556.1.4.800",  # Active Directory
    "1.2.840.113556.1.4.1670",  # Windows Server 2003
    "1.2.840.113556.1.4.1791",  # signing and sealing
    "1.2.840.113556.1.4.1935",  # Windows Server 2008
    "1.2.840.113556.1.4.2080",  # Windows Server 2008 R2
)
EXTENSIONS = ("1.3.6.1.4.1.1466.20037",)
"""StartTLS."""


def root_dse(session: Session, controls: Sequence[str]) -> list[tuple[Attribute, list[bytes], bool]]:
    """The attributes of the root: what it is, its values, and whether it comes only if asked for by name.

    There is no supportedSASLMechanisms: no mechanism is supported. ``controls``: the OIDs of those that are.
    """
    controller = session.controller
    domain, root = controller.domain, controller.forest_dn
    where = Names.of(root)
    level = str(FUNCTIONAL_LEVEL)
    host = controller.name
    shown: dict[str, Sequence[str]] = {
        "currentTime": (generalized(controller.seconds()),),
        "subschemaSubentry": (f"CN=Aggregate,{where.schema}",),
        "dsServiceName": (where.settings(domain, host),),
        "namingContexts": (domain.dn, where.configuration, where.schema),
        "defaultNamingContext": (domain.dn,),
        "schemaNamingContext": (where.schema,),
        "configurationNamingContext": (where.configuration,),
        "rootDomainNamingContext": (root,),
        "supportedControl": controls,
        "supportedLDAPVersion": ("3", "2"),
        "supportedLDAPPolicies": tuple(POLICIES),
        "highestCommittedUSN": (str(controller.replica.usn),),
        "dnsHostName": (f"{host}.{domain.name}",),
        "ldapServiceName": (f"{_root_name(controller)}:{host.lower()}$@{domain.name.upper()}",),
        "serverName": (where.server(domain, host),),
        "supportedCapabilities": CAPABILITIES,
        "isSynchronized": ("TRUE",),
        "isGlobalCatalogReady": ("TRUE",),
        "domainFunctionality": (level,),
        "forestFunctionality": (level,),
        "domainControllerFunctionality": (level,),
    }
    found = [
        (Attribute(name, name.lower(), TEXT, len(texts) == 1), [values.octets(text) for text in texts], False)
        for name, texts in shown.items()
    ]
    return [*found, *_asked_only(session)]


def _root_name(controller: Controller) -> str:
    return next(iter(controller.domain.forest.domains))


def _asked_only(session: Session) -> list[tuple[Attribute, list[bytes], bool]]:
    extensions = Attribute("supportedExtension", "supportedextension", TEXT, single=False)
    found = [(extensions, [values.octets(each) for each in EXTENSIONS], True)]
    user = session.user
    groups: Value | None = None if user is None else user.get("tokengroups")
    if user is not None:
        tokens = Attribute("tokenGroups", "tokengroups", OCTETS, single=False)
        own = values.all_octets(user.get("objectsid") or b"")
        found.append((tokens, [*own, *(values.all_octets(groups) if groups is not None else ())], True))
    return found
