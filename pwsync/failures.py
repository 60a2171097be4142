"""What failed, in the words of the product's event log: exception chains, and the status that a user gets.

The chains follow public samples of events 611 and 652; types and texts without a sample are unconfirmed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pwsync import scope
from pwsync.errors import AgentError, EnvelopeError, ReplicationError, ServiceFault, TenantError, Throttled, TokenError

SUCCESS: Final = "Success"
FILTERED_BY_TARGET: Final = "FilteredByTarget"
NO_TARGET: Final = "NoTargetConnection"
NOT_EXPORTED: Final = "TargetNotExportedToDirectory"
SOURCE_NOT_PRESENT: Final = "SourceConnectorNotPresent"
RETRY_REQUESTED: Final = "RetryRequestedByTarget"
ERROR: Final = "Error"
UNKNOWN: Final = "Unknown"
MISSING_ATTRIBUTE: Final = "MissingAttribute"
NONE: Final = "none"
"""Outcomes of the last attempt for a user's password."""

RETRIED: Final = frozenset({ERROR, UNKNOWN, RETRY_REQUESTED})
"""Outcomes after which a password that still waits is in the retry queue."""

BUSY_FAULT: Final = 81
WRONG_CREDENTIALS: Final = 1326
OBJECT_NOT_FOUND: Final = 8333

RPC_TEXTS: Final[Mapping[int, str]] = {
    5: "Access is denied.",
    6: "The handle is invalid.",
    14: "Not enough storage is available to complete this operation.",
    1127: "While accessing the hard disk, a disk operation failed even after retries.",
    1130: "Not enough server memory resources are available to process this command.",
    1331: "This user can't sign in because this account is currently disabled.",
    1450: "Insufficient system resources exist to complete the requested service.",
    1722: "The RPC server is unavailable.",
    1723: "The RPC server is too busy to complete this operation.",
    1726: "The remote procedure call failed.",
    1727: "The remote procedure call failed and did not execute.",
    1728: "A remote procedure call (RPC) protocol error occurred.",
    1753: "There are no more endpoints available from the endpoint mapper.",
    1818: "The remote procedure call was cancelled.",
    1825: "A security package specific error occurred.",
    8333: "Directory object not found.",
    8420: "The naming context could not be found.",
    8439: "The distinguished name specified for this replication operation is invalid.",
    8446: "The replication operation failed to allocate memory.",
    8451: "The replication operation encountered a database error.",
    8453: "Replication access was denied.",
    8456: "The source server is currently rejecting replication requests.",
    8465: "The source domain controller is a partial replica of the naming context.",
    8593: "The directory service cannot perform the requested operation because the servers involved are of different "
    "replication epochs (which is usually related to a domain rename that is in progress).",
}
"""Windows' own texts for the codes that the product's documentation lists."""

CONNECTION_CODES: Final = frozenset({1722, 1753, 1825})


def left_out_status(reason: str | None) -> str:
    """The outcome for a password that stays here because its object is left out for this reason."""
    return NO_TARGET if reason == scope.LINKED_MAILBOX else SOURCE_NOT_PRESENT


def read_chain(domain: str, error: AgentError) -> str:
    """The chain of event 611 for a domain that could not be read."""
    if isinstance(error, ReplicationError):
        return _replication_chain(domain, error)
    if isinstance(error, EnvelopeError):
        return f"SynchronizationManagerException: Recovery task failed. ---> DrsException: {error}"
    return f"SynchronizationManagerException: {error}"


def _replication_chain(domain: str, error: ReplicationError) -> str:
    opening = f"SynchronizationManagerException: Unable to open connection to domain: {domain}. Error: "
    text = RPC_TEXTS.get(error.code, error.message or "Unknown error.")
    if error.code == WRONG_CREDENTIALS:
        return (
            f"{opening}An exception occurred while attempting to locate a domain controller. ---> "
            "AuthenticationException: The user name or password is incorrect."
        )
    if error.code in CONNECTION_CODES:
        return (
            f"{opening}There was an error establishing a connection to the directory replication service ---> "
            "DrsCommunicationException ---> DrsException: There was an error creating the connection context ---> "
            f"DrsCommunicationException: RPC Error {error.code} : {text} Error creating the RPC binding handle"
        )
    if error.code == OBJECT_NOT_FOUND:
        return f"SynchronizationManagerException: Recovery task failed. ---> DrsException: RPC Error 8333 : {text}"
    return f"DrsException: RPC Error {error.code} : {text} There was an error calling _IDL_DRSGetNCChanges."


def tenant_chain(error: TenantError) -> str:
    """The chain of events 652 and 655 for a call to the tenant that failed."""
    if isinstance(error, ServiceFault):
        kind = "ProvisionRetryException" if error.code == BUSY_FAULT else "ProvisionException"
        code = "" if error.code is None else f" Error Code: {error.code}."
        return (
            f"Microsoft.Online.Coexistence.{kind}: An error occurred.{code} Error Description: {error.text} "
            f"Tracking ID: {error.tracking_id} Server Name: {error.server}."
        )
    if isinstance(error, TokenError):
        return f"Microsoft.Online.Coexistence.ProvisionException: No access token could be obtained. {error}"
    return f"System.Net.WebException: {error}"


def batch_status(error: TenantError) -> str:
    """The status of the users of a batch that failed as a whole: the service asked to retry, or nobody knows."""
    busy = isinstance(error, ServiceFault) and error.code == BUSY_FAULT
    throttled = isinstance(error, Throttled) and error.status in (429, 503)
    return RETRY_REQUESTED if busy or throttled or error.retry_after is not None else UNKNOWN
