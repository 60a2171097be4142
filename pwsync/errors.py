"""Every error that the agent raises on purpose.

AgentError                      base; carries ``reason``, a word of the scenario format where there is one
├── Refused                     an operator asked for what the product does not do
│   ├── NotConfigurable         the password interval is fixed at 2 minutes
│   ├── NotSupported            this build has no such function (a subset of users in 2017)
│   └── RequiresObjectSync      password synchronization needs directory synchronization
├── StoreError                  the agent's own database can't be used
├── ReplicationError            the directory's replication interface refused or broke (``code``: Win32)
├── EnvelopeError               a replicated secret could not be decrypted
├── FileTimeError               a replicated time is none that Windows has
├── FipsError                   the server's FIPS policy forbids an algorithm
├── SealError                   a secret can't be sealed for Domain Services, or opened again
├── CredentialFormatError       a text is not a credential blob
├── BinaryXmlError              bytes are not .NET binary XML
└── TenantError                 a call to the tenant failed
    ├── TokenError              no access token
    ├── TransportError          the call did not arrive, or its answer did not
    ├── ServiceFault            the service answered with a SOAP fault (``code``: 81, 90, ... or None)
    └── Throttled               HTTP 429 or 503, with ``retry_after`` (seconds) where the service named it
"""

from __future__ import annotations


class AgentError(Exception):
    """Base of the agent's errors."""

    reason: str = "error"


class Refused(AgentError):
    """An operator's request that the product refuses; ``reason`` is a word of the scenario format."""


class NotConfigurable(Refused):
    """The frequency of password synchronization is fixed (2 minutes)."""

    reason = "not-configurable"


class NotSupported(Refused):
    """This build does not have the function that was asked for."""

    reason = "not-supported"


class RequiresObjectSync(Refused):
    """Password synchronization can't be enabled without directory synchronization."""

    reason = "requires-object-sync"


class StoreError(AgentError):
    """The agent's database is damaged, locked, too new or full; ``locked``: another program holds it."""

    def __init__(self, message: str, *, locked: bool = False) -> None:
        self.locked = locked
        super().__init__(message)


class ReplicationError(AgentError):
    """A replication operation failed.

    ``code`` is the Win32 code of the answer (1722 server unavailable, 8453 access denied, ...).
    """

    def __init__(self, code: int, message: str = "") -> None:
        self.code = code
        self.message = message
        super().__init__(f"RPC Error {code}" + (f" : {message}" if message else ""))


class EnvelopeError(AgentError):
    """A replicated secret has the wrong shape, or its checksum does not match."""


class FileTimeError(AgentError):
    """A replicated time lies before 1601 or after the year 9999; the text is the product's exception."""

    def __init__(self) -> None:
        super().__init__("System.ArgumentOutOfRangeException: Not a valid Win32 FileTime. Parameter name: fileTime")


class FipsError(AgentError):
    """The server allows validated algorithms only, and this one is not; ``frame`` is where it was asked for."""

    def __init__(self, frame: str) -> None:
        self.frame = frame
        super().__init__(
            "System.InvalidOperationException: This implementation is not part of the Windows Platform FIPS "
            "validated cryptographic algorithms."
        )


class SealError(AgentError):
    """A certificate of Domain Services, or an envelope made for it, can't be used."""


class CredentialFormatError(AgentError):
    """A text is not a credential blob (``v1;PPH1_MD4,...``)."""


class BinaryXmlError(AgentError):
    """Bytes are not a .NET binary XML document; ``offset`` tells where reading stopped."""

    def __init__(self, message: str, offset: int = 0) -> None:
        self.offset = offset
        super().__init__(f"{message} (at byte {offset})")


class TenantError(AgentError):
    """A call to the tenant failed; ``retry_after`` (seconds) where the answer asked for a pause."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(message)


class TokenError(TenantError):
    """No access token could be had."""


class TransportError(TenantError):
    """The connection broke, or the answer could not be read: nobody knows whether the call was applied."""


class Throttled(TenantError):
    """HTTP 429 or 5xx."""

    def __init__(self, status: int, *, retry_after: float | None = None) -> None:
        self.status = status
        super().__init__(f"The remote server returned an error: ({status}).", retry_after=retry_after)


class ServiceFault(TenantError):
    """The provisioning service answered with a SOAP fault."""

    def __init__(self, text: str, *, code: int | None = None, tracking_id: str = "", server: str = "") -> None:
        self.code = code
        self.text = text
        self.tracking_id = tracking_id
        self.server = server
        super().__init__(text)
