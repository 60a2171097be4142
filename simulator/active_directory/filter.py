"""Search filters: what they mean for an entry ([MS-ADTS] 3.1.1.3.1.3), and which index finds the entries.

A filter is True, False or, for attributes that the schema does not know or nobody may read, undefined (None); "not"
leaves undefined undefined. An attribute that an entry lacks makes a condition False.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from simulator.active_directory import schema, values
from simulator.active_directory.names import InvalidName, guid_bytes, parse_dn, sid_bytes
from simulator.active_directory.replica import Entry, Replica, hidden, member_guids
from simulator.active_directory.schema import Attribute, Scalar
from simulator.active_directory.values import normal_dn

BIT_AND, BIT_OR, IN_CHAIN = "1.2.840.113556.1.4.803", "1.2.840.113556.1.4.804", "1.2.840.113556.1.4.1941"
DEPTH_MAX = 200
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


def never(entry: Entry) -> bool | None:
    """The undefined condition."""
    return None


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
    if attribute is None or attribute.secret or attribute.constructed:
        return never
    key = attribute.key
    if node.kind == "present":
        return lambda entry: entry.get(key) is not None
    if node.kind == "rule":
        return _rule(node, attribute, replica)
    if node.kind == "substring":
        return _substring(node, attribute)
    if node.kind == "=":
        return _equality(node, attribute, replica)
    if node.kind in (">=", "<="):
        return _ordering(node, attribute)
    return never  # "~=": the measured answer is no hits


def _equality(node: Match, attribute: Attribute, replica: Replica) -> Test:
    key = attribute.key
    if key == "objectclass":
        wanted_class = _text(node.value).casefold()
        return lambda entry: wanted_class in entry.kind.lowered
    if key == "objectcategory":
        return _category(_text(node.value), replica)
    if key == "member":
        member = _entry_named(_text(node.value), replica)
        guid = b"" if member is None else member.guid
        return lambda entry: guid in member_guids(entry)
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


def assertion(attribute: Attribute, octets: bytes) -> Scalar | None:
    """A filter's value in the attribute's type; None for what can't be one (the condition is undefined)."""
    if attribute.key == "objectguid" and len(octets) != 16:
        return _tried(lambda: guid_bytes(_text(octets)))
    if attribute.key == "objectsid" and octets[:2].upper() == b"S-":
        return _tried(lambda: sid_bytes(_text(octets)))
    if attribute.syntax == schema.TIME:
        return _time(_text(octets))
    try:
        return values.read(attribute, octets)
    except values.InvalidValue:
        return None


def _tried(make: Callable[[], bytes]) -> bytes | None:
    try:
        return make()
    except InvalidName:
        return None


def _time(text: str) -> str | None:
    digits = text[:14]
    return f"{digits}.0Z" if len(digits) == 14 and digits.isdigit() and text.endswith("Z") else None


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "replace")


def _category(text: str, replica: Replica) -> Test:
    """``person`` stands for the category of that class; a DN for itself."""
    if "=" in text:
        wanted = normal_dn(text)
        return lambda entry: normal_dn(str(entry.get("objectcategory") or "")) == wanted
    category = schema.CATEGORY_OF_NAME.get(text.casefold())
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
    if attribute.syntax not in (schema.TEXT, schema.OID):
        return never  # names and numbers have no substrings in AD
    pieces = [_text(piece).casefold() for piece in node.pieces]
    key = attribute.key
    return lambda entry: any(_contains(str(each).casefold(), pieces) for each in entry.all(key))


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
    key = attribute.key
    if node.rule in (BIT_AND, BIT_OR):
        mask = assertion(attribute, node.value)
        if not isinstance(mask, int):
            return never
        bits, every = mask, node.rule == BIT_AND

        def test(entry: Entry) -> bool:
            found = entry.get(key)
            if not isinstance(found, int):
                return False
            return (found & bits) == bits if every else bool(found & bits)

        return test
    if node.rule == IN_CHAIN:
        return _chain(node, attribute, replica)
    if not node.rule:
        return _equality(node, attribute, replica)
    return never


def _chain(node: Match, attribute: Attribute, replica: Replica) -> Test:
    """``memberOf`` and ``member`` through nested groups, ``manager`` up the line."""
    goal = _entry_named(_text(node.value), replica)
    if goal is None or attribute.key not in ("memberof", "member", "manager"):
        return never if attribute.syntax != schema.NAME else lambda entry: False
    target = goal.guid

    def step(entry: Entry) -> Iterable[bytes]:
        if attribute.key == "memberof":
            return replica.groups_of.get(entry.guid, ())
        if attribute.key == "member":
            return member_guids(entry)
        above = _entry_named(entry.text("manager"), replica)
        return () if above is None else (above.guid,)

    def test(entry: Entry) -> bool:
        seen: set[bytes] = set()
        waiting = list(step(entry))
        while waiting:
            guid = waiting.pop()
            if guid == target:
                return True
            if guid not in seen:
                seen.add(guid)
                waiting.extend(step(replica.by_guid[guid]))
        return False

    return test


def _entry_named(dn: str, replica: Replica) -> Entry | None:
    try:
        return replica.resolve(parse_dn(dn)) if dn else None
    except InvalidName:
        return None


_ANR = (
    "displayname",
    "givenname",
    "sn",
    "samaccountname",
    "name",
    "mail",
    "proxyaddresses",
    "physicaldeliveryofficename",
)


def _anr(node: Match) -> Test:
    """Ambiguous name resolution ([MS-ADTS] 3.1.1.3.1.3.3): a prefix of any naming attribute, or first and last name."""
    wanted = _text(node.value).casefold().strip()
    first, _, last = wanted.partition(" ")

    def test(entry: Entry) -> bool:
        if any(str(each).casefold().startswith(wanted) for key in _ANR for each in entry.all(key)):
            return True
        if not last:
            return False
        given, family = entry.text("givenname").casefold(), entry.text("sn").casefold()
        return (given.startswith(first) and family.startswith(last.strip())) or (
            given.startswith(last.strip()) and family.startswith(first)
        )

    return test if wanted and node.kind in ("=", "~=") else never


# --- indexes ------------------------------------------------------------------------------------------------------


def candidates(node: Filter, replica: Replica) -> list[Entry] | None:
    """Every entry that can match, by an index; None if only a walk of the tree finds them."""
    if isinstance(node, And):
        found = [each for each in (candidates(part, replica) for part in node.parts) if each is not None]
        return min(found, key=len) if found else None
    if isinstance(node, Or):
        return _union(node, replica)
    if not isinstance(node, Match):
        return None
    return _by_index(node, replica)


def _union(node: Or, replica: Replica) -> list[Entry] | None:
    union: dict[bytes, Entry] = {}
    for part in node.parts:
        some = candidates(part, replica)
        if some is None:
            return None
        union |= {entry.guid: entry for entry in some}
    return sorted(union.values(), key=lambda entry: entry.usn)


def _by_index(node: Match, replica: Replica) -> list[Entry] | None:
    key = node.name.lower()
    if node.kind == ">=" and key == "usnchanged":
        text = _text(node.value)
        return list(replica.log.since(int(text) - 1)) if text.isascii() and text.isdigit() and len(text) < 19 else None
    if node.kind != "=":
        return None
    if key == "samaccountname":
        return _by_name(_text(node.value).casefold(), replica)
    if key == "userprincipalname":
        return _one(replica.by_upn.get(_text(node.value).casefold()))
    if key == "distinguishedname":
        return _one(_entry_named(_text(node.value), replica))
    if key == "objectguid":
        value = assertion(schema.ATTRIBUTES[key], node.value)
        return _one(replica.by_guid.get(value)) if isinstance(value, bytes) else []
    if key == "objectsid":
        sid = assertion(schema.ATTRIBUTES[key], node.value)
        return _by_sid(sid, replica) if isinstance(sid, bytes) else []
    return None


def _by_name(name: str, replica: Replica) -> list[Entry]:
    """The account of that name, and tombstones, which keep their names outside of the index."""
    gone = (replica.deleted_objects.children or {}).values()
    dead = [entry for entry in gone if entry.text("samaccountname").casefold() == name]
    return _one(replica.by_name.get(name)) + dead


def _by_sid(sid: bytes, replica: Replica) -> list[Entry]:
    if sid == replica.domain_sid:
        return [replica.root]
    return _one(replica.by_rid.get(int.from_bytes(sid[-4:], "little")))


def _one(entry: Entry | None) -> list[Entry]:
    return [] if entry is None else [entry]


def select(node: Filter, replica: Replica, base: Entry, scope: int, *, deleted: bool) -> Iterable[Entry]:
    """Entries of a search in a stable order: of USN where the log was used, of creation otherwise.

    scope: 0 the base alone, 1 what lies directly below it, 2 the base and everything below.
    """
    test = compiled(node, replica)
    found: Iterable[Entry]
    if scope == 0:
        found = [base]
    else:
        some = candidates(node, replica)
        if some is not None:
            found = [entry for entry in some if _in_scope(entry, base, scope)]
        elif scope == 1:
            found = list((base.children or {}).values())
        else:
            found = replica.walk(base, deleted=deleted)
    return [entry for entry in found if (deleted or not hidden(entry)) and test(entry)]


def _in_scope(entry: Entry, base: Entry, scope: int) -> bool:
    return entry.parent is base if scope == 1 else entry.lies_below(base)
