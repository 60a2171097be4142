"""Search filters: what they mean for an entry ([MS-ADTS] 3.1.1.3.1.3.1).

A filter is True, False or, for attributes that the schema does not know or nobody may read, undefined (None); "not"
leaves undefined undefined. An attribute that an entry lacks makes a condition False. Constructed attributes can't be
searched by.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from simulator.active_directory import errors, schema, values
from simulator.active_directory import schema_figures as figures
from simulator.active_directory.errors import LdapError
from simulator.active_directory.filter_values import assertion, entry_named, matched_text
from simulator.active_directory.replica import Entry, Replica, member_guids
from simulator.active_directory.schema import Attribute
from simulator.active_directory.values import normal_dn

BIT_AND, BIT_OR, IN_CHAIN = "1.2.840.113556.1.4.803", "1.2.840.113556.1.4.804", "1.2.840.113556.1.4.1941"
DEPTH_MAX = 200
"""How deep filters may be nested (the product's own limit is unconfirmed)."""

Test = Callable[[Entry], "bool | None"]


@dataclass(frozen=True, slots=True)
class And:
    """All of ``parts``; none at all is true (RFC 4526)."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Any of ``parts``; none at all is false (RFC 4526)."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite of ``part``."""

    part: Filter


@dataclass(frozen=True, slots=True)
class Match:
    """One condition. kind: ``=``, ``>=``, ``<=``, ``~=``, ``present``, ``substring`` or ``rule``.

    value: octets to compare with. pieces: of a substring: initial, any.., final (empty ones at the ends are open).
    rule: the matching rule's OID.
    """

    kind: str
    name: str
    value: bytes = b""
    pieces: tuple[bytes, ...] = ()
    rule: str = ""


Filter = And | Or | Not | Match
EVERYTHING = Match("present", "objectClass")


def limit_exceeded() -> LdapError:
    """adminLimitExceeded."""
    return LdapError(
        errors.ADMIN_LIMIT_EXCEEDED,
        "00002024: SvcErr: DSID-0314050E, problem 5008 (ADMIN_LIMIT_EXCEEDED), data 0\n\x00",
    )


def terms(node: Filter) -> int:
    """How many conditions and connections a filter has. Raises LdapError 11 if it is nested too deep."""
    count, level, depth = 0, [node], 0
    while level:
        depth += 1
        if depth > DEPTH_MAX + 1:
            raise limit_exceeded()
        count += len(level)
        level = [part for each in level for part in _parts(each)]
    return count


def _parts(node: Filter) -> tuple[Filter, ...]:
    if isinstance(node, Match):
        return ()
    return (node.part,) if isinstance(node, Not) else node.parts


def check_size(node: Filter) -> None:
    """Refuse what is nested too deep. Raises LdapError 11."""
    if not isinstance(node, Match):
        terms(node)


def never(entry: Entry) -> bool | None:
    """The undefined condition."""
    return None


def always(entry: Entry) -> bool | None:
    """The condition that holds for every entry."""
    return True


def compiled(node: Filter, replica: Replica) -> Test:
    """A function that says what the filter means for an entry."""
    if isinstance(node, Match):
        return _condition(node, replica)
    if isinstance(node, Not):
        inner = compiled(node.part, replica)

        def opposite(entry: Entry) -> bool | None:
            found = inner(entry)
            return None if found is None else not found

        return opposite
    parts = [compiled(part, replica) for part in node.parts]
    return _all_of(parts) if isinstance(node, And) else _any_of(parts)


def _all_of(parts: Sequence[Test]) -> Test:
    def test(entry: Entry) -> bool | None:
        verdict: bool | None = True
        for part in parts:
            found = part(entry)
            if found is False:
                return False
            if found is None:
                verdict = None
        return verdict

    return test


def _any_of(parts: Sequence[Test]) -> Test:
    def test(entry: Entry) -> bool | None:
        verdict: bool | None = False
        for part in parts:
            found = part(entry)
            if found:
                return True
            if found is None:
                verdict = None
        return verdict

    return test


def _condition(node: Match, replica: Replica) -> Test:
    if node.name.lower() == "anr":
        return _anr(node)
    attribute = schema.attribute(node.name)
    if attribute is None or attribute.secret:
        return never
    key = attribute.key
    if key == "ntsecuritydescriptor":
        return always if node.kind == "present" else never
    if attribute.constructed:
        raise LdapError(
            errors.INAPPROPRIATE_MATCHING,
            f"0000216B: AtrErr: DSID-03140663, #1:\n\t0: 0000216B: DSID-03140663, problem 1003 "
            f"(INAPPROPRIATE_MATCHING), data 0, Att ({attribute.name})\n\x00",
        )
    if node.kind == "present":
        return lambda entry: entry.get(key) is not None
    if node.kind == "rule":
        return _rule(node, attribute, replica)
    if node.kind == "substring":
        return _substring(node, attribute)
    if node.kind in (">=", "<="):
        return _ordering(node, attribute)
    # "~=" means the same as "=" ([MS-ADTS] 3.1.1.3.1.3.1); Samba finds nothing by it.
    return _equality(node, attribute, replica)


def _equality(node: Match, attribute: Attribute, replica: Replica) -> Test:
    key = attribute.key
    if key == "objectclass":
        return _class(matched_text(node.value).casefold())
    if key == "objectcategory":
        return _category(matched_text(node.value), replica)
    if key in ("member", "memberof"):
        other = entry_named(matched_text(node.value), replica)
        if other is None:
            return lambda entry: False
        guid, groups_of = other.guid, replica.groups_of
        if key == "member":
            return lambda entry: guid in member_guids(entry)
        return lambda entry: guid in groups_of.get(entry.guid, ())
    value = assertion(attribute, node.value)
    if value is None:
        return never
    wanted = values.matching_form(attribute, value)

    def test(entry: Entry) -> bool:
        found = entry.get(key)
        if found is None:
            return False
        if isinstance(found, tuple):
            return any(values.matching_form(attribute, each) == wanted for each in found)
        return values.matching_form(attribute, found) == wanted

    return test


def _class(name: str) -> Test:
    """``objectClass=``: of a class that the schema does not know nothing can be said."""
    if name[:1].isdigit():
        name = figures.name_of_oid(name)
    if name not in schema.CLASSES and name not in figures.classes():
        return never
    return lambda entry: name in entry.kind.lowered


def _category(text: str, replica: Replica) -> Test:
    """``person`` stands for the category of that class; a DN for itself."""
    if "=" in text:
        wanted = normal_dn(text)
        return lambda entry: normal_dn(str(entry.get("objectcategory") or "")) == wanted
    folded = text.casefold()
    category = schema.CATEGORY_OF_NAME.get(folded) or figures.categories().get(folded)
    if category is None:
        return never
    return lambda entry: entry.kind.category == category and not entry.deleted


def _ordering(node: Match, attribute: Attribute) -> Test:
    key, up = attribute.key, node.kind == ">="
    if attribute.syntax not in (schema.INTEGER, schema.LARGE, schema.TEXT, schema.TIME):
        return never
    bound = assertion(attribute, node.value)
    if bound is None:
        return never
    if isinstance(bound, int):
        limit = bound

        def in_order(entry: Entry) -> bool:
            return any(isinstance(each, int) and (each >= limit if up else each <= limit) for each in entry.all(key))

        return in_order
    edge = str(bound).casefold()

    def in_text_order(entry: Entry) -> bool:
        folded = (str(each).casefold() for each in entry.all(key))
        return any(each >= edge if up else each <= edge for each in folded)

    return in_text_order


def _substring(node: Match, attribute: Attribute) -> Test:
    if attribute.syntax == schema.OCTETS:
        return _octets_substring(node, attribute)
    if attribute.syntax not in (schema.TEXT, schema.OID):
        return never  # names and numbers have no substrings in AD
    pieces = [matched_text(piece).casefold() for piece in node.pieces]
    key = attribute.key
    return lambda entry: any(_contains(str(each).casefold(), pieces) for each in entry.all(key))


def _octets_substring(node: Match, attribute: Attribute) -> Test:
    key, pieces = attribute.key, [piece.decode("latin-1") for piece in node.pieces]  # a letter for each octet
    return lambda entry: any(_contains(values.octets(each).decode("latin-1"), pieces) for each in entry.all(key))


def _contains(text: str, pieces: Sequence[str]) -> bool:
    first, *middle, last = pieces
    if not text.startswith(first):
        return False
    position = len(first)
    for piece in middle:
        found = text.find(piece, position)
        if found < 0:
            return False
        position = found + len(piece)
    return len(text) - len(last) >= position and text.endswith(last)


def _rule(node: Match, attribute: Attribute, replica: Replica) -> Test:
    if not node.rule:
        return _equality(node, attribute, replica)
    rule = MATCHING_RULES.get(node.rule)
    return never if rule is None else rule(node, attribute, replica)


def _bits(node: Match, attribute: Attribute, replica: Replica) -> Test:
    """All bits of a mask, or any of them."""
    mask, key = assertion(attribute, node.value), attribute.key
    if not isinstance(mask, int):
        return never
    bits, every = mask, node.rule == BIT_AND

    def test(entry: Entry) -> bool:
        found = entry.get(key)
        if not isinstance(found, int):
            return False
        return (found & bits) == bits if every else bool(found & bits)

    return test


def _chain(node: Match, attribute: Attribute, replica: Replica) -> Test:
    """``memberOf`` and ``member`` through nested groups, ``manager`` up the line."""
    goal = entry_named(matched_text(node.value), replica)
    if attribute.syntax != schema.NAME:
        return never
    if goal is None:
        return lambda entry: False
    if attribute.key == "memberof":
        within = _reachable(goal, lambda guid: member_guids(replica.by_guid[guid]))
        return lambda entry: entry.guid in within
    if attribute.key == "member":
        holding = _reachable(goal, lambda guid: replica.groups_of.get(guid, ()))
        return lambda entry: entry.guid in holding
    return _chain_of_names(goal, attribute.key, replica)


MATCHING_RULES: Mapping[str, Callable[[Match, Attribute, Replica], Test]] = {
    BIT_AND: _bits,
    BIT_OR: _bits,
    IN_CHAIN: _chain,
}
"""The rules of extensible matches; under any other nothing matches."""


def _reachable(start: Entry, step: Callable[[bytes], Iterable[bytes]]) -> set[bytes]:
    """What lies any number of steps from an entry, itself only if they lead back to it."""
    found: set[bytes] = set()
    waiting = list(step(start.guid))
    while waiting:
        guid = waiting.pop()
        if guid not in found:
            found.add(guid)
            waiting.extend(step(guid))
    return found


def _chain_of_names(goal: Entry, key: str, replica: Replica) -> Test:
    """Steps from entry to entry by an attribute that holds names."""

    def step(guid: bytes) -> list[bytes]:
        named = (entry_named(str(each), replica) for each in replica.by_guid[guid].all(key))
        return [each.guid for each in named if each is not None]

    return lambda entry: goal.guid in _reachable(entry, step)


@cache
def _naming() -> tuple[str, ...]:
    """The attributes of ambiguous name resolution; with Exchange's schema ``mail`` is one of them."""
    found = [key for key, each in figures.attributes().items() if each.search_flags & figures.AMBIGUOUS_NAMES]
    return tuple(dict.fromkeys((*found, "mail", "mailnickname")))


def _anr(node: Match) -> Test:
    """Ambiguous name resolution ([MS-ADTS] 3.1.1.3.1.3.3): a prefix of any naming attribute, or first and last name.

    ``==`` wants the whole value.
    """
    wanted = matched_text(node.value).casefold().strip()
    whole, wanted = wanted.startswith("="), wanted.removeprefix("=")
    first, _, last = wanted.partition(" ")
    keys, last = _naming(), last.strip()

    def fits(text: str, start: str) -> bool:
        return text == start if whole else text.startswith(start)

    def test(entry: Entry) -> bool:
        if any(fits(str(each).casefold(), wanted) for key in keys for each in entry.all(key)):
            return True
        if not last:
            return False
        given, family = entry.text("givenname").casefold(), entry.text("sn").casefold()
        return (fits(given, first) and fits(family, last)) or (fits(given, last) and fits(family, first))

    return test if wanted and node.kind in ("=", "~=") else never
