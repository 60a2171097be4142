"""What the simulation implements of each surface, read from the tables that dispatch.

Nothing is listed here by hand but the surfaces themselves: each entry comes from the table in which a call is looked up
when it comes in, so that what is listed answers, and what is not listed is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple


class Entry(NamedTuple):
    """One thing that a surface answers: its name on the wire, and what it is good for (may be empty)."""

    name: str
    about: str


class Surface(NamedTuple):
    """One table. id: as on the command line. title: for people. entries: in the table's order."""

    id: str
    title: str
    entries: tuple[Entry, ...]


def surfaces() -> list[Surface]:
    """All of them."""
    return [Surface(name, title, tuple(read())) for name, (title, read) in _SURFACES.items()]


def _constants(module: object, values: Iterable[object]) -> dict[object, str]:
    """Names of a module's constants by their values: ``PAGED`` is ``paged``."""
    wanted = set(values)
    found: dict[object, str] = {}
    for name, value in vars(module).items():
        if not name.isupper() or name.startswith("_"):
            continue
        members = value if isinstance(value, frozenset) and len(value) < len(wanted) else (value,)
        for member in members:
            if isinstance(member, str | int) and not isinstance(member, bool) and member in wanted:
                found.setdefault(member, name.lower().replace("_", " "))
    return found


def _ldap_requests() -> Iterable[Entry]:
    from simulator.active_directory.conversation import TAGS, UNANSWERED

    yield from (Entry(name, "") for name in TAGS)
    yield from (Entry(name, "no answer") for name in UNANSWERED)


def _ldap_controls() -> Iterable[Entry]:
    from simulator.active_directory import requests

    names = _constants(requests, requests.SUPPORTED_CONTROLS)
    yield from (Entry(oid, names[oid]) for oid in sorted(requests.SUPPORTED_CONTROLS, key=_arcs))


def _ldap_extended() -> Iterable[Entry]:
    from simulator.active_directory import conversation, root_dse

    names = _constants(conversation, root_dse.EXTENSIONS)
    yield from (Entry(oid, names[oid]) for oid in root_dse.EXTENSIONS)


def _matching_rules() -> Iterable[Entry]:
    from simulator.active_directory import filter as filters

    names = _constants(filters, filters.MATCHING_RULES)
    yield from (Entry(oid, names[oid]) for oid in filters.MATCHING_RULES)


def _replication() -> Iterable[Entry]:
    from simulator.active_directory.replication import OPERATIONS

    yield from (Entry(name, operation.about) for name, operation in OPERATIONS.items())


def _replication_flags() -> Iterable[Entry]:
    from simulator.active_directory import replication

    names = _constants(replication, replication.FLAGS)
    yield from (Entry(f"0x{flag:08x}", f"{names[flag]}: {about}") for flag, about in replication.FLAGS.items())


def _login() -> Iterable[Entry]:
    from simulator.azure_ad.login import ROUTES

    yield from (Entry(f"{route.method} {route.path}", route.about) for route in ROUTES)


def _grants() -> Iterable[Entry]:
    from simulator.azure_ad.grants import GRANTS

    yield from (Entry(name, "") for name in GRANTS)


def _graph() -> Iterable[Entry]:
    from simulator.azure_ad.graph import ROUTES

    yield from (Entry(f"{route.method} {route.path}", route.about) for route in ROUTES)


def _provisioning() -> Iterable[Entry]:
    from simulator.azure_ad.provisioning import OPERATIONS

    yield from (Entry(name, operation.about) for name, operation in sorted(OPERATIONS.items()))


def _provisioning_faults() -> Iterable[Entry]:
    from simulator.azure_ad.provisioning import FAULTS

    yield from (Entry(name, fault.text) for name, fault in FAULTS.items())


def _federation() -> Iterable[Entry]:
    from simulator.federation.http import ROUTES

    yield from (Entry(f"{route.method} {route.path}", route.about) for route in ROUTES)


def _managed_kerberos() -> Iterable[Entry]:
    from simulator.domain_services import kerberos_crypto as crypto

    names = _constants(crypto, crypto.KEY_SIZES)
    yield from (Entry(f"encryption type {kind}", names[kind]) for kind in crypto.KEY_SIZES)


def _managed_ldap() -> Iterable[Entry]:
    from simulator.domain_services import ldap_conversation as managed

    names = _constants(managed, managed.EXTENSIONS)
    yield Entry("LDAP", managed.KNOWN)
    yield from (Entry(f"SASL {mechanism}", "bind") for mechanism in managed.SASL_MECHANISMS)
    yield from (Entry(oid, names[oid]) for oid in managed.EXTENSIONS)


def _control() -> Iterable[Entry]:
    from simulator.serving.control import ROUTES

    yield from (Entry(f"{route.method} {route.path}", route.about) for route in ROUTES)


def _replication_http() -> Iterable[Entry]:
    from simulator.serving.replication import ROUTES

    yield from (Entry(f"{route.method} {route.path}", route.about) for route in ROUTES)


def _arcs(oid: str) -> tuple[int, ...]:
    return tuple(map(int, oid.split(".")))


_SURFACES: Mapping[str, tuple[str, Callable[[], Iterable[Entry]]]] = {
    "ldap": ("LDAP of a domain controller: requests", _ldap_requests),
    "ldap-controls": ("LDAP of a domain controller: controls", _ldap_controls),
    "ldap-extended": ("LDAP of a domain controller: extended operations", _ldap_extended),
    "ldap-matching-rules": ("LDAP of a domain controller: matching rules", _matching_rules),
    "replication": ("Directory replication: operations", _replication),
    "replication-flags": ("Directory replication: flags of get-nc-changes that have a meaning", _replication_flags),
    "replication-http": ("Directory replication on a served port", _replication_http),
    "sign-in": ("https://login.microsoftonline.com", _login),
    "grants": ("Token endpoint: grant types", _grants),
    "graph": ("https://graph.microsoft.com", _graph),
    "provisioning": ("https://adminwebservice.microsoftonline.com/provisioningservice.svc", _provisioning),
    "provisioning-faults": ("Provisioning service: faults of a whole call", _provisioning_faults),
    "federation": ("https://adfs.DOMAIN", _federation),
    "managed-kerberos": ("Domain Services: Kerberos, sign-on by encrypted timestamp", _managed_kerberos),
    "managed-ldap": ("Domain Services: LDAP", _managed_ldap),
    "control": ("Control endpoint of a served world", _control),
}
