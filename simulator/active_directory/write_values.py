"""What a write request carries: changes, values in their attribute's syntax, passwords; what each class may have."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from simulator.active_directory import errors, names, schema, values
from simulator.active_directory import schema_figures as figures
from simulator.active_directory.errors import LdapError
from simulator.active_directory.schema import Attribute, ObjectClass, Scalar

if TYPE_CHECKING:
    from simulator.active_directory.session import Session

ADD, DELETE, REPLACE = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a modify request: operation (0 add, 1 delete, 2 replace), attribute, values."""

    operation: int
    name: str
    octets: tuple[bytes, ...]


def known(name: str) -> Attribute:
    """The attribute of that name. Raises LdapError 16."""
    attribute = schema.attribute(name)
    if attribute is None:
        raise errors.unknown_attribute(name)
    return attribute


def password_of(octets: bytes) -> str:
    """A password out of a unicodePwd value: quoted UTF-16LE. Raises LdapError 53."""
    if len(octets) % 2 or len(octets) < 4:
        raise errors.unwilling()
    text = octets.decode("utf-16-le", "surrogatepass")
    if text[0] != '"' or text[-1] != '"':
        raise errors.unwilling()
    return text[1:-1]


def takes_one(kind: ObjectClass, attribute: Attribute) -> bool:
    """Whether an object of a class has at most one value of an attribute: accounts and groups have one description,
    whatever the schema says ([MS-SAMR] 2.2.6.1 and 2.2.4.1: their description is a text)."""
    return attribute.single or (attribute.key == "description" and (kind.is_account or kind.name == "group"))


def is_password(session: Session, attribute: Attribute) -> bool:
    """Whether writing an attribute sets the password: unicodePwd, and userPassword where dSHeuristics says so.

    fUserPwdSupport is the ninth character; everything but 0 and 2 means yes ([MS-ADTS] 6.1.1.2.4.1.2).
    """
    if attribute.key == "userpassword":
        return session.controller.domain.forest.heuristics[8:9] not in ("", "0", "2")
    return attribute.key == "unicodepwd"


def new_password(attribute: Attribute, octets: bytes) -> str:
    """The password in a value of unicodePwd or userPassword (UTF-8, not quoted). Raises LdapError 53."""
    if attribute.key == "unicodepwd":
        return password_of(octets)
    try:
        return octets.decode()
    except UnicodeDecodeError:
        raise errors.unwilling() from None


def read(session: Session, attribute: Attribute, octets: bytes, *, existing: bool = True) -> Scalar:
    """One value from the wire; links become objectGUIDs, other names must be those of objects (with ``existing``).

    Raises LdapError 21, 19, 34 for what is no name, or 32 for a member that there is not.
    """
    one = attribute.key in schema.INDEXED_LINKS
    if attribute.key in schema.LINKS and not one:
        return _link(session, attribute, octets)
    try:
        found = values.read(attribute, octets)
    except values.InvalidValue as problem:
        if problem.code == values.INVALID_NAME:
            raise errors.bad_dn(octets.decode("utf-8", "replace")) from None
        syntax = problem.code == values.INVALID_SYNTAX
        win32 = errors.NAME_REFERENCE_INVALID if syntax else errors.RANGE_CONSTRAINT
        raise errors.attribute_error(problem.code, win32, attribute.name) from None
    _check_range(attribute, found)
    if existing and attribute.syntax == schema.NAME and isinstance(found, str):
        found = _name(session, attribute, found)
    return session.controller.replica.link(found) if one and isinstance(found, str) else found


def _check_range(attribute: Attribute, value: Scalar) -> None:
    """rangeLower and rangeUpper: of numbers, and of the length of texts and octets. Raises LdapError 19."""
    limits = figures.attributes().get(attribute.key)
    if limits is None or isinstance(value, bool):
        return
    size = value if isinstance(value, int) else len(value)
    if (limits.lower is not None and size < limits.lower) or (limits.upper is not None and size > limits.upper):
        raise errors.attribute_error(errors.CONSTRAINT_VIOLATION, errors.RANGE_CONSTRAINT, attribute.name)


def _link(session: Session, attribute: Attribute, octets: bytes) -> bytes:
    try:
        return session.target(octets.decode("utf-8", "replace")).guid
    except LdapError as problem:
        if problem.code == errors.INVALID_DN_SYNTAX:
            raise
        raise errors.no_member() if attribute.key == "member" else _dangling(attribute) from None


def _name(session: Session, attribute: Attribute, text: str) -> str:
    """The name of an object of the forest, as it is now. Raises LdapError 19."""
    here = session.controller
    try:
        return session.target(text).dn
    except LdapError as problem:
        if problem.code in (errors.UNWILLING_TO_PERFORM, errors.INSUFFICIENT_ACCESS_RIGHTS):
            return text  # in the configuration, which is there and not written
        for domain in here.domain.forest.domains.values():
            if domain is not here.domain and not text.startswith("<"):
                found = domain.controller().replica.resolve(names.parse_dn(text))
                if found is not None:
                    return found.dn
    raise _dangling(attribute)


def _dangling(attribute: Attribute) -> LdapError:
    return errors.attribute_error(errors.CONSTRAINT_VIOLATION, errors.NAME_REFERENCE_INVALID, attribute.name)


# --- classes ------------------------------------------------------------------------------------------------------

MAIL_RECIPIENTS = frozenset(("user", "inetOrgPerson", "computer", "contact", "group"))
FILLED_IN = frozenset(
    ("cn", "ou", "instancetype", "ntsecuritydescriptor", "objectcategory", "objectclass", "objectsid", "grouptype",
     "samaccountname")
)  # fmt: skip
"""What an object must have and the directory gives it where the client does not."""


@cache
def contained(kind: ObjectClass) -> frozenset[str]:
    """Keys of what objects of a class may have."""
    return frozenset(name.lower() for must in (True, False) for name in figures.contained(kind.name, must=must))


@cache
def mandatory(kind: ObjectClass) -> frozenset[str]:
    """Keys of what an object of a class must have and a client has to give."""
    return frozenset(name.lower() for name in figures.contained(kind.name, must=True)) - FILLED_IN


def _of_mail(key: str) -> bool:
    """Attributes by which Exchange extends the class of mail recipients; the figures are those without it."""
    return key.startswith(("msexch", "extensionattribute")) or key in ("mailnickname", "targetaddress")


def check_allowed(kind: ObjectClass, attribute: Attribute) -> None:
    """Raises LdapError 65 for an attribute that the class has no place for."""
    key = attribute.key
    if key not in contained(kind) and not (kind.name in MAIL_RECIPIENTS and _of_mail(key)):
        raise errors.update_error(errors.OBJECT_CLASS_VIOLATION, errors.NOT_DEFINED_FOR_CLASS)


def check_mandatory(kind: ObjectClass, present: set[str]) -> None:
    """Raises LdapError 65 if something that the class must have is missing."""
    if not present.issuperset(mandatory(kind)):
        raise errors.update_error(errors.OBJECT_CLASS_VIOLATION, errors.MISSING_ATTRIBUTE)


def may_lie_below(kind: ObjectClass, parent: ObjectClass) -> bool:
    """Whether possSuperiors of a class, or of one that it is derived from, name the parent's class."""
    for name in figures.chain(kind.name):
        each = figures.classes()[name.lower()]
        if not parent.lowered.isdisjoint(above.lower() for above in (*each.system_superiors, *each.superiors)):
            return True
    return False
