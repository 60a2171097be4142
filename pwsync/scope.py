"""Whose object, whose password, and the reason why not. Pure: attributes and settings in, a reason or None out.

The rules are those of the product's default configuration (product documentation: default configuration, filtering):
system objects, service accounts and replication victims stay out; an administrator's filters come on top. A password
asks for more: the object's class is ``user`` and the account is enabled; and, with the rules of selective
synchronization (product documentation under that name), the user is marked for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from pwsync.settings import Scope

SYSTEM_OBJECT: Final = "system-object"
NO_ACCOUNT_NAME: Final = "no-account-name"
SERVICE_ACCOUNT: Final = "service-account"
REPLICATION_VICTIM: Final = "replication-victim"
SYSTEM_MAILBOX: Final = "system-mailbox"
LINKED_MAILBOX: Final = "linked-mailbox"
JOINED: Final = "joined"
OUTSIDE_OUS: Final = "outside-ous"
EXCLUDED_OU: Final = "excluded-ou"
EXCLUDED_ATTRIBUTE: Final = "excluded-attribute"
UNSUPPORTED_CLASS: Final = "unsupported-class"
DISABLED: Final = "disabled"
NOT_INCLUDED: Final = "not-included"
DELETED: Final = "deleted"
"""Reasons: why an object, or its password, is left out."""

ACCOUNT_DISABLED: Final = 0x2
"""``userAccountControl``: the account is disabled."""

INCLUSION: Final = "adminDescription"
"""The attribute by which selective synchronization knows its users."""

INCLUDED: Final = "PHSIncluded"
"""Its value for those whose passwords are synchronized."""

_LINKED_MAILBOX_TYPE: Final = "2"
_SYSTEM_MAILBOX_TYPES: Final = 0x21C0_7000
"""Bits of ``msExchRecipientTypeDetails`` that mean nothing to Exchange Online (product documentation: default
configuration): mail-enabled public folders, mailboxes of the system attendant and of databases, mailbox plans,
discovery mailboxes."""

Attributes = Mapping[str, Sequence[str]]
"""An object's attributes: name in lower case -> values as text."""


def object_left_out(dn: str, attributes: Attributes, scope: Scope, naming_context: str) -> str | None:
    """Why the object is not synchronized; None if it is.

    ``naming_context`` is the DN of the domain's root, which short OU names (``OU=Sales``) are relative to. A linked
    mailbox never counts by itself: its person is the master account, in a forest of its own. What the mailbox adds to
    that account's object in the tenant is not modelled.
    """
    if first(attributes, "iscriticalsystemobject").upper() == "TRUE":
        return SYSTEM_OBJECT
    return (
        _name_left_out(first(attributes, "samaccountname"))
        or _mailbox_left_out(attributes)
        or (LINKED_MAILBOX if first(attributes, "msexchrecipienttypedetails") == _LINKED_MAILBOX_TYPE else None)
        or place_left_out(dn, scope, naming_context)
        or (EXCLUDED_ATTRIBUTE if _has_excluded_attribute(attributes, scope) else None)
    )


def password_left_out(attributes: Attributes) -> str | None:
    """Why the password of an object in scope is not synchronized; None if it is.

    Only class ``user``: an inetOrgPerson is a user to LDAP filters, so it is told apart by its own class name.
    """
    if not is_plain_user(attributes.get("objectclass", ())):
        return UNSUPPORTED_CLASS
    if account_control(attributes) & ACCOUNT_DISABLED:
        return DISABLED
    return None


def not_included(attributes: Attributes) -> str | None:
    """Why selective synchronization leaves the password out; None if the user is marked for it."""
    values = attributes.get(INCLUSION.lower(), ())
    return None if INCLUDED.lower() in (value.lower() for value in values) else NOT_INCLUDED


def place_left_out(dn: str, scope: Scope, naming_context: str) -> str | None:
    """Why objects at this DN are not synchronized, whatever they are; None if they may be."""
    if "\\0acnf:" in dn.lower() or "\ncnf:" in dn.lower():
        return REPLICATION_VICTIM
    if not scope.ous and not scope.exclude_ous:
        return None
    if any(is_below(dn, absolute(ou, naming_context)) for ou in scope.exclude_ous):
        return EXCLUDED_OU
    if scope.ous and not any(is_below(dn, absolute(ou, naming_context)) for ou in scope.ous):
        return OUTSIDE_OUS
    return None


def is_plain_user(classes: Sequence[str]) -> bool:
    """Is it of class ``user`` and of none derived from it?"""
    names = {name.lower() for name in classes}
    return "user" in names and names.isdisjoint(("inetorgperson", "computer"))


def account_control(attributes: Attributes) -> int:
    """``userAccountControl``; 0 where it is absent or no number."""
    text = first(attributes, "useraccountcontrol")
    try:
        return int(text or "0")
    except ValueError:
        return 0


def first(attributes: Attributes, name: str) -> str:
    """The attribute's first value; empty where there is none."""
    values = attributes.get(name)
    return values[0] if values else ""


def absolute(ou: str, naming_context: str) -> str:
    """The whole DN of an OU that is named in full or relative to the domain's root."""
    folded = normal(ou)
    root = normal(naming_context)
    return folded if folded == root or folded.endswith("," + root) else f"{folded},{root}"


def is_below(dn: str, container: str) -> bool:
    """Does the object lie in the container or deeper? ``container`` is normal (see :func:`absolute`)."""
    folded = normal(dn)
    if not folded.endswith("," + container):
        return False
    before = folded[: -len(container) - 1]
    return (len(before) - len(before.rstrip("\\"))) % 2 == 0  # else the comma is escaped: part of a name


def normal(dn: str) -> str:
    """A DN for comparing: lower case, and no blanks around the commas and equals signs that separate its parts."""
    if ", " not in dn and " ," not in dn and " =" not in dn and "= " not in dn:
        return dn.lower().strip()
    parts = (part.partition("=") for part in _split(dn))
    return ",".join(f"{name.strip()}={value.strip()}" for name, _, value in parts).lower()


def _split(dn: str) -> list[str]:
    """The parts of a DN; a comma after a backslash belongs to the part."""
    parts, part, escaped = [], "", False
    for character in dn:
        if character == "," and not escaped:
            parts.append(part)
            part = ""
            continue
        escaped = character == "\\" and not escaped
        part += character
    return [*parts, part]


def _name_left_out(name: str) -> str | None:
    folded = name.lower()
    if not folded:
        return NO_ACCOUNT_NAME
    if folded.startswith(("msol_", "aad_", "systemmailbox{")) or folded == "support_388945a0":
        return SERVICE_ACCOUNT
    if folded.startswith("cas_") and "}" in folded:
        return SERVICE_ACCOUNT
    return None


def _mailbox_left_out(attributes: Attributes) -> str | None:
    nickname = first(attributes, "mailnickname").lower()
    if nickname.startswith("systemmailbox{") or (nickname.startswith("cas_") and "}" in nickname):
        return SYSTEM_MAILBOX
    details = first(attributes, "msexchrecipienttypedetails")
    return SYSTEM_MAILBOX if details.isdecimal() and int(details) & _SYSTEM_MAILBOX_TYPES else None


def _has_excluded_attribute(attributes: Attributes, scope: Scope) -> bool:
    return any(
        unwanted.lower() in (value.lower() for value in attributes.get(name.lower(), ()))
        for name, unwanted in scope.exclude_attribute.items()
    )
