"""The permissions of Graph that a client may be given: on behalf of a user, or of an application.

Source: Graph's permissions reference. Here are the ones that the simulated calls ask for; what else a client asks for
is granted by name and opens nothing.
"""

from __future__ import annotations

READ_USERS = ("User.Read.All", "User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All")
WRITE_USERS = ("User.ReadWrite.All", "Directory.ReadWrite.All")
WRITE_PASSWORDS = ("User-PasswordProfile.ReadWrite.All", "Directory.AccessAsUser.All")
RESET = ("UserAuthenticationMethod.ReadWrite.All",)
READ_METHODS = ("UserAuthenticationMethod.Read.All", "UserAuthenticationMethod.ReadWrite.All")
REVOKE = ("User.RevokeSessions.All", *WRITE_USERS)
READ_SELF = ("User.Read", "User.ReadWrite", "User.ReadBasic.All", *READ_USERS)
CHANGE_OWN = ("Directory.AccessAsUser.All",)
READ_DOMAINS = ("Domain.Read.All", "Domain.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All")
WRITE_DOMAINS = ("Domain.ReadWrite.All",)
READ_ORGANIZATION = ("User.Read", "Organization.Read.All", "Organization.ReadWrite.All", *READ_DOMAINS[2:])
WRITE_ORGANIZATION = ("Organization.ReadWrite.All",)
READ_SYNCHRONIZATION = ("OnPremDirectorySynchronization.Read.All", "OnPremDirectorySynchronization.ReadWrite.All")
WRITE_SYNCHRONIZATION = ("OnPremDirectorySynchronization.ReadWrite.All",)
RESTORE = ("User.DeleteRestore.All", *WRITE_USERS)

DELEGATED = frozenset(
    {
        *READ_SELF,
        *WRITE_PASSWORDS,
        *READ_METHODS,
        *REVOKE,
        *RESTORE,
        *READ_DOMAINS,
        *READ_ORGANIZATION,
        *WRITE_ORGANIZATION,
        *READ_SYNCHRONIZATION,
        *WRITE_DOMAINS,
    }
)
"""On behalf of a user. What comes of it is bounded by what the user may do."""

APPLICATION = DELEGATED - {"User.Read", "User.ReadWrite", *CHANGE_OWN}
"""Of an application without a user."""

_BY_LOWER = {name.lower(): name for name in DELEGATED}


def canonical(name: str) -> str:
    """A permission in its own spelling; one that is not known here as it came."""
    return _BY_LOWER.get(name.lower(), name)
