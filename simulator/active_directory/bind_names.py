"""Whom the name of a simple bind means: the forms that are tried, one after the other ([MS-ADTS] 5.1.1.1.1).

A sAMAccountName alone is none of them, but works for those whose displayName it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from simulator.active_directory import names, searching
from simulator.active_directory.errors import LdapError
from simulator.active_directory.replica import Entry

if TYPE_CHECKING:
    from simulator.active_directory.state import Controller

HOST_SERVICES = frozenset(
    ("alerter", "appmgmt", "browser", "cifs", "cisvc", "clipsrv", "dcom", "dhcp", "dmserver", "dns", "dnscache",
     "eventlog", "eventsystem", "fax", "http", "ias", "iisadmin", "mcsvc", "messenger", "msdtc", "msiserver",
     "netdde", "netddedsm", "netlogon", "netman", "nmagent", "oakley", "plugplay", "policyagent", "protectedstorage",
     "rasman", "remoteaccess", "replicator", "rpc", "rpclocator", "rpcss", "rsvp", "samss", "scardsvr", "scesrv",
     "schedule", "scm", "seclogon", "snmp", "spooler", "tapisrv", "time", "trksvr", "trkwks", "ups", "w3svc", "wins",
     "www")
)  # fmt: skip
"""Services whose names stand for ``host/...`` (the default sPNMappings of a forest)."""


class AmbiguousName(Exception):
    """A name that is several objects' in the first form in which it is anyone's."""


def account(controller: Controller, name: str) -> Entry | None:
    """The object that a bind names, an account or not; None if there is none. Raises AmbiguousName."""
    for form in _FORMS:
        found = list(form(controller, name))
        if len(found) > 1:
            raise AmbiguousName(name)
        if found:
            return found[0]
    return None


def _by_dn(controller: Controller, name: str) -> Iterator[Entry]:
    """A DN, or ``<GUID=..>``, ``<SID=..>`` or ``<WKGUID=..,DN>`` ([MS-ADTS] 3.1.1.3.1.2.4)."""
    if name.startswith("<"):
        try:
            yield searching.locate(controller, name)
        except LdapError:
            return
        return
    try:
        entry = controller.replica.resolve(names.parse_dn(name)) if "=" in name else None
    except names.InvalidName:
        return
    if entry is not None and not entry.deleted:
        yield entry


def _by_principal_name(controller: Controller, name: str) -> Iterator[Entry]:
    """userPrincipalName, or the implicit one: the account's name at the domain's."""
    replica, folded = controller.replica, name.casefold()
    entry = replica.by_upn.get(folded)
    if entry is None:
        plain, _, domain = folded.rpartition("@")
        entry = replica.by_name.get(plain) if domain == controller.domain.name.casefold() else None
    if entry is not None:
        yield entry


def _by_domain_name(controller: Controller, name: str) -> Iterator[Entry]:
    """``DOMAIN\\name``; the domain's DNS name serves too."""
    domain, sign, plain = name.casefold().partition("\\")
    if sign and domain in (controller.domain.netbios.casefold(), controller.domain.name.casefold()):
        entry = controller.replica.by_name.get(plain)
        if entry is not None:
            yield entry


def _by_canonical_name(controller: Controller, name: str) -> Iterator[Entry]:
    """``contoso.example/People/alice``; a slash within a name is escaped."""
    if not name.casefold().startswith(controller.domain.name.casefold() + "/"):
        return
    entries = [controller.replica.root]
    for part in name.replace("\\/", "\0").split("/")[1:]:
        wanted = part.replace("\0", "/").casefold()
        children = [child for entry in entries for child in (entry.children or {}).values()]
        entries = [child for child in children if child.rdn.casefold() == wanted and not child.deleted]
    yield from entries


def _by_canonical_name_of_last_line(controller: Controller, name: str) -> Iterator[Entry]:
    """The same with a line feed in place of the last slash."""
    if name.count("\n") == 1:
        yield from _by_canonical_name(controller, name.replace("\n", "/"))


def _by_guid(controller: Controller, name: str) -> Iterator[Entry]:
    if "-" not in name:
        return
    try:
        entry = controller.replica.by_guid.get(names.guid_bytes(name))
    except names.InvalidName:
        return
    if entry is not None and not entry.deleted:
        yield entry


def _by_display_name(controller: Controller, name: str) -> Iterator[Entry]:
    folded = name.casefold()
    for entry in controller.replica.by_name.values():
        if entry.text("displayname").casefold() == folded:
            yield entry


def _by_service(controller: Controller, name: str) -> Iterator[Entry]:
    if "/" not in name:
        return
    folded = name.casefold()
    for entry in controller.replica.by_name.values():
        if folded in (str(each).casefold() for each in entry.all("serviceprincipalname")):
            yield entry


def _by_mapped_service(controller: Controller, name: str) -> Iterator[Entry]:
    service, sign, host = name.casefold().partition("/")
    if sign and service in HOST_SERVICES:
        yield from _by_service(controller, f"host/{host}")


def _by_sid(controller: Controller, name: str) -> Iterator[Entry]:
    try:
        sid = names.sid_bytes(name)
    except names.InvalidName:
        return
    entry = controller.replica.by_rid.get(int.from_bytes(sid[-4:], "little"))
    if entry is not None and not entry.deleted and entry.get("objectsid") == sid:
        yield entry


_FORMS: tuple[Callable[[Controller, str], Iterator[Entry]], ...] = (
    _by_dn, _by_principal_name, _by_domain_name, _by_canonical_name, _by_guid, _by_display_name, _by_service,
    _by_mapped_service, _by_sid, _by_canonical_name_of_last_line,
)  # fmt: skip
