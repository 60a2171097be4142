"""Who may write what: the access rights of a new domain's default security descriptors, as far as they matter here.

- An administrator (a member of Domain Admins) may write everything that anybody may write.
- A user may write the own personal information: the attributes that the defaults of class user grant to SELF.
- Whoever is bound may change a password, anyone's, that he knows: "Change Password" is granted to everyone.
- Everybody else, the agent's account too, reads.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from simulator.active_directory import errors, schema
from simulator.active_directory.replica import Entry
from simulator.active_directory.schema import Attribute

if TYPE_CHECKING:
    from simulator.active_directory.session import Session

PERSONAL_INFORMATION = frozenset(
    ("streetaddress", "homepostaladdress", "assistant", "info", "c", "facsimiletelephonenumber",
     "internationalisdnnumber", "l", "personaltitle", "otherfacsimiletelephonenumber", "otherhomephone", "homephone",
     "otheripphone", "ipphone", "primaryinternationalisdnnumber", "othermobile", "mobile", "othertelephone",
     "otherpager", "pager", "physicaldeliveryofficename", "thumbnailphoto", "postofficebox", "postaladdress",
     "postalcode", "preferreddeliverymethod", "registeredaddress", "st", "street", "telephonenumber",
     "teletexterminalidentifier", "telexnumber", "primarytelexnumber", "usersmimecertificate", "x121address",
     "usercertificate", *(key for key in schema.ATTRIBUTES if key.startswith("msds-cloudextensionattribute")))
)  # fmt: skip
"""Members of the property set Personal-Information (attributeSecurityGUID 77b5b886-944a-11d1-aebd-0000f80367c1)."""

WEB_INFORMATION = frozenset(("wwwhomepage", "url"))
"""Members of the property set Web-Information (e45795b3-9455-11d1-aebd-0000f80367c1)."""

OWN = PERSONAL_INFORMATION | WEB_INFORMATION


def may_write(session: Session, entry: Entry, attributes: Iterable[Attribute]) -> bool:
    """Whether the bound account may write all these attributes of an entry."""
    if session.administrator():
        return True
    return session.user is entry and all(attribute.key in OWN for attribute in attributes)


def require_write(session: Session, entry: Entry, attributes: Iterable[Attribute]) -> None:
    """Raises LdapError 50."""
    if not may_write(session, entry, attributes):
        raise errors.no_rights()


def require_administrator(session: Session) -> None:
    """Making, moving and deleting objects. Raises LdapError 50."""
    if not session.administrator():
        raise errors.no_rights()


def require_reset(session: Session) -> None:
    """Setting a password without knowing the old one. Raises LdapError 50."""
    if not session.administrator():
        raise errors.no_rights(errors.ACCESS_DENIED)
