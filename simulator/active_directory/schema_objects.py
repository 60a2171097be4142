"""The schema naming context: an object for each attribute and class, and the subschema that clients read at once.

[MS-ADTS] 3.1.1.2 (objects), 3.1.1.3.1.1.1 (subSchema). The subschema names syntaxes as RFC 2252 does where it can.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING

from simulator.active_directory import schema_figures as figures
from simulator.active_directory.configuration import Names
from simulator.active_directory.context_tree import ContextTree
from simulator.active_directory.schema import ATTRIBUTES, Value
from simulator.active_directory.schema_figures import AttributeFigures, ClassFigures
from simulator.active_directory.virtual import VIRTUAL

if TYPE_CHECKING:
    from simulator.active_directory.replica import Entry, Replica
    from simulator.active_directory.state import Controller

VERSION = 69
"""objectVersion: Windows Server 2012 R2, the first schema with every attribute that is known here."""

_STANDARD = "1.3.6.1.4.1.1466.115.121.1."
_SYNTAXES = {
    "2.5.5.1": f"{_STANDARD}12", "2.5.5.2": f"{_STANDARD}38", "2.5.5.3": "1.2.840.113556.1.4.1362",
    "2.5.5.4": "1.2.840.113556.1.4.905", "2.5.5.5": f"{_STANDARD}44", "2.5.5.6": f"{_STANDARD}36",
    "2.5.5.7": "1.2.840.113556.1.4.903", "2.5.5.8": f"{_STANDARD}7", "2.5.5.9": f"{_STANDARD}27",
    "2.5.5.10": f"{_STANDARD}40", "2.5.5.11": f"{_STANDARD}24", "2.5.5.12": f"{_STANDARD}15",
    "2.5.5.13": f"{_STANDARD}43", "2.5.5.14": "1.2.840.113556.1.4.904",
    "2.5.5.15": "1.2.840.113556.1.4.907", "2.5.5.16": "1.2.840.113556.1.4.906", "2.5.5.17": f"{_STANDARD}40",
}  # fmt: skip
_KINDS = ("", "STRUCTURAL ", "ABSTRACT ", "AUXILIARY ")


def build(controller: Controller) -> Replica:
    """The schema as a controller holds it."""
    where = Names.of(controller.forest_dn)
    tree = ContextTree(controller, first_usn=2000)
    first = next(iter(controller.domain.forest.domains.values()))
    root = tree.add(
        None,
        where.schema,
        "dMD",
        {
            "instancetype": 13,
            "objectversion": VERSION,
            "fsmoroleowner": where.settings(first, first.controller_names[0]),
        },
    )
    for attribute in figures.attributes().values():
        tree.add(root, attribute.cn, "attributeSchema", _attribute_values(attribute))
    for each in figures.classes().values():
        tree.add(root, each.cn, "classSchema", _class_values(each, where.schema))
    tree.add(root, "Aggregate", "subSchema", {"systemflags": 0x8000000})
    return tree.replica


def _attribute_values(each: AttributeFigures) -> dict[str, Value]:
    values: dict[str, Value | None] = {
        "ldapdisplayname": each.name, "admindisplayname": each.cn, "attributeid": each.oid,
        "attributesyntax": each.syntax, "omsyntax": each.om_syntax, "issinglevalued": each.single,
        "searchflags": each.search_flags, "systemflags": each.system_flags, "schemaflagsex": each.flags_ex or None,
        "systemonly": each.system_only, "rangelower": each.lower, "rangeupper": each.upper, "linkid": each.link,
        "ismemberofpartialattributeset": each.in_catalog or None, "schemaidguid": each.guid or None,
    }  # fmt: skip
    return {key: value for key, value in values.items() if value is not None}


def _class_values(each: ClassFigures, schema_dn: str) -> dict[str, Value]:
    lists: dict[str, Sequence[str]] = {
        "systemmustcontain": each.system_must, "mustcontain": each.must, "systemmaycontain": each.system_may,
        "maycontain": each.may, "systemauxiliaryclass": each.system_auxiliary, "auxiliaryclass": each.auxiliary,
        "systemposssuperiors": each.system_superiors, "posssuperiors": each.superiors,
    }  # fmt: skip
    values: dict[str, Value] = {
        "ldapdisplayname": each.name, "admindisplayname": each.cn, "governsid": each.oid,
        "objectclasscategory": each.kind, "subclassof": each.above, "rdnattid": each.rdn,
        "systemonly": each.system_only, "schemaidguid": each.guid, "systemflags": 16,
        "defaultobjectcategory": f"CN={each.category},{schema_dn}",
    }  # fmt: skip
    return values | {key: tuple(found) if len(found) > 1 else found[0] for key, found in lists.items() if found}


# --- the subschema ------------------------------------------------------------------------------------------------


def _listed(word: str, found: Iterable[str]) -> str:
    text = " $ ".join(found)
    return f"{word} ({text} ) " if text else ""


@cache
def _attribute_types() -> tuple[str, ...]:
    return tuple(
        f"( {each.oid} NAME '{each.name}' SYNTAX '{_SYNTAXES[each.syntax]}' "
        f"{'SINGLE-VALUE ' if each.single else ''}{'NO-USER-MODIFICATION ' if each.system_only else ''})"
        for each in figures.attributes().values()
    )


@cache
def _object_classes() -> tuple[str, ...]:
    return tuple(
        f"( {each.oid} NAME '{each.name}' {'' if each.name == 'top' else f'SUP {each.above} '}{_KINDS[each.kind]}"
        f"{_listed('MUST', (*each.system_must, *each.must))}{_listed('MAY', (*each.system_may, *each.may))})"
        for each in figures.classes().values()
    )


@cache
def _content_rules() -> tuple[str, ...]:
    """For each structural class with auxiliary ones: what its objects hold because of them."""
    rules = []
    for each in figures.classes().values():
        auxiliary = _auxiliary(each)
        if each.kind != 1 or not auxiliary:
            continue
        must = sorted({name for other in auxiliary for name in figures.contained(other, must=True)}, key=str.lower)
        may = sorted({name for other in auxiliary for name in figures.contained(other, must=False)}, key=str.lower)
        rules.append(
            f"( {each.oid} NAME '{each.name}' {_listed('AUX', auxiliary)}{_listed('MUST', must)}{_listed('MAY', may)})"
        )
    return tuple(rules)


def _auxiliary(each: ClassFigures) -> list[str]:
    """The auxiliary classes of a class and of those above it."""
    chain = [figures.classes()[name.lower()] for name in figures.chain(each.name)]
    return sorted({name for one in chain for name in (*one.system_auxiliary, *one.auxiliary)}, key=str.lower)


@cache
def _attribute_info() -> tuple[str, ...]:
    found = []
    for each in figures.attributes().values():
        lower = "" if each.lower is None else f"RANGE-LOWER '{each.lower}' "
        upper = "" if each.upper is None else f"RANGE-UPPER '{each.upper}' "
        guid = f"PROPERTY-GUID '{each.guid.hex().upper()}' " if each.guid else ""
        indexed = "INDEXED " if each.search_flags & 1 else ""
        system = "SYSTEM-ONLY " if each.system_only else ""
        found.append(f"( {each.oid} NAME '{each.name}' {lower}{upper}{guid}{indexed}{system})")
    return tuple(found)


@cache
def _class_info() -> tuple[str, ...]:
    return tuple(
        f"( {each.oid} NAME '{each.name}' CLASS-GUID '{each.guid.hex().upper()}' )"
        for each in figures.classes().values()
    )


def _of_subschema(make: Callable[[], tuple[str, ...]]) -> Callable[[Entry], Value | None]:
    return lambda entry: make() if entry.kind.name == "subSchema" else None


def install() -> None:
    """Make the subschema readable."""
    VIRTUAL["attributetypes"] = _of_subschema(_attribute_types)
    VIRTUAL["objectclasses"] = _of_subschema(_object_classes)
    VIRTUAL["ditcontentrules"] = _of_subschema(_content_rules)
    VIRTUAL["extendedattributeinfo"] = _of_subschema(_attribute_info)
    VIRTUAL["extendedclassinfo"] = _of_subschema(_class_info)


def unknown() -> list[str]:
    """Attributes that the simulation knows and the schema does not tell of, because their OID is not known for sure."""
    return [each.name for key, each in ATTRIBUTES.items() if key not in figures.attributes()]
