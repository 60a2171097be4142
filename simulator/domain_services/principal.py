"""An account as logon protocols see it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Principal(Protocol):
    """Who logs on to a managed domain, and by what.

    name: the sAMAccountName, in the case that salted the keys. upn: the user principal name. nt_hash: 16 bytes; None
    while the domain has no password of the account. keys: Kerberos keys by encryption type ([RFC3961] 8): 18 and 17 for
    AES, 23 for RC4; empty where none came. salt: what salted the AES keys ([RFC4120] 5.2.7.4), empty without them.
    """

    @property
    def name(self) -> str: ...

    @property
    def upn(self) -> str: ...

    @property
    def nt_hash(self) -> bytes | None: ...

    @property
    def keys(self) -> Mapping[int, bytes]: ...

    @property
    def salt(self) -> str: ...

    @property
    def enabled(self) -> bool: ...
