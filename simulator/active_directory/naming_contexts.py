"""Which naming contexts a controller holds, where a name leads, and what it is referred to that lies elsewhere.

Configuration and schema are made when first asked for, so that a world without such questions pays nothing.
[MS-ADTS] 3.1.1.1.5 (naming contexts), 3.1.1.4.6 (referrals).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from simulator.active_directory import configuration, errors, names, schema_objects
from simulator.active_directory.configuration import Names
from simulator.active_directory.errors import LdapError

if TYPE_CHECKING:
    from simulator.active_directory.replica import Entry, Replica
    from simulator.active_directory.state import Controller

Rdns = Sequence[tuple[str, str]]
_HELD: WeakKeyDictionary[Controller, tuple[tuple[object, ...], Replica, Replica]] = WeakKeyDictionary()


def replicas(controller: Controller) -> tuple[Replica, Replica, Replica]:
    """A controller's copies: of its domain, of the configuration, of the schema."""
    forest = controller.domain.forest
    now, held = configuration.fingerprint(forest), _HELD.get(controller)
    if held is None or held[0] != now:
        tree = configuration.build(controller)
        held = _HELD[controller] = (now, tree, schema_objects.build(controller) if held is None else held[2])
    return controller.replica, held[1], held[2]


def replica_of(controller: Controller, parts: Rdns) -> Replica | None:
    """The copy in which a name lies; None if the controller has none."""
    own = controller.replica
    keys = _keys(parts)
    if not _below(keys, _keys(names.parse_dn(controller.forest_dn))):
        return own if _below(keys, _keys(names.parse_dn(own.root.dn))) else None
    where = Names.of(controller.forest_dn)
    if _below(keys, _keys(names.parse_dn(where.configuration))):
        held = replicas(controller)
        return held[2] if _below(keys, _keys(names.parse_dn(where.schema))) else held[1]
    if any(
        _below(keys, _keys(names.parse_dn(other.dn)))
        for other in controller.domain.forest.domains.values()
        if other is not controller.domain and len(other.dn) > len(controller.domain.dn)
    ):
        return None
    return own if _below(keys, _keys(names.parse_dn(own.root.dn))) else None


def _keys(parts: Rdns) -> list[str]:
    return [names.rdn_key(*part) for part in parts]


def _below(keys: list[str], head: list[str]) -> bool:
    return keys[len(keys) - len(head) :] == head if len(keys) >= len(head) else False


def referral(controller: Controller, parts: Rdns) -> LdapError:
    """What is said of a name that lies in none of the controller's contexts.

    The domain of the forest in which it lies, or else the one that its DC parts name, is where to ask. A name without
    DC parts leads nowhere.
    """
    labels = [value for kind, value in parts if kind.upper() == "DC"]
    domain = _domain_of(controller, parts) or ".".join(labels)
    if not domain:
        return errors.no_object("")
    problem = LdapError(
        errors.REFERRAL, f"0000202B: RefErr: DSID-03100781, data 0, 1 access points\n\tref 1: '{domain}'\n\x00"
    )
    problem.referrals = (url(domain, names.join_dn(parts)),)
    return problem


def _domain_of(controller: Controller, parts: Rdns) -> str:
    keys = _keys(parts)
    others = [each for each in controller.domain.forest.domains.values() if each is not controller.domain]
    found = [each for each in others if _below(keys, _keys(names.parse_dn(each.dn)))]
    return max(found, key=lambda each: len(each.dn)).name if found else ""


def url(host: str, dn: str, scope: str = "") -> str:
    """An LDAP URL (RFC 4516)."""
    return f"ldap://{host}/{dn.translate(_ESCAPES)}{f'??{scope}' if scope else ''}"


_ESCAPES = {ord(letter): f"%{ord(letter):02X}" for letter in ' "<>?#%\\^`{|}[]'}


def subordinates(controller: Controller, base: Entry, scope: int) -> list[list[str]]:
    """Continuation references of a search: the contexts that lie directly below what it covers.

    A search of one level gets those directly below its base, and is to go on with that object alone (RFC 4511 4.5.3).
    """
    if scope == 0 or base.parent is not None:
        return []  # every other context of the forest lies below the head of one
    where, forest = Names.of(controller.forest_dn), controller.domain.forest
    root_domain = next(iter(forest.domains.values()))
    tail = "base" if scope == 1 else ""
    if base.replica is controller.replica:
        own = controller.domain
        below = [each for each in forest.domains.values() if each.name.partition(".")[2] == own.name]
        found = [[url(each.name, each.dn, tail)] for each in below]
        if own is root_domain:
            found.append([url(root_domain.name, where.configuration, tail)])
        return found
    if base.dn == where.configuration:
        return [[url(root_domain.name, where.schema, tail)]]
    return []
