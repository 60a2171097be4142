"""The tenant's errors in the words of its wires: the token endpoint's AADSTS texts, Graph's codes, SOAP faults."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from simulator.random import Randomness
from simulator.refusal import Refusal


class TokenRefused(Exception):
    """A request that the token endpoint refuses: ``code`` (AADSTS), ``error`` (RFC 6749), text for people.

    status: of the HTTP answer. suberror: what a client may do about it, if the service says so.
    """

    def __init__(
        self, code: int, text: str, error: str = "invalid_grant", *, status: int = 400, suberror: str = ""
    ) -> None:
        self.code = code
        self.text = text
        self.error = error
        self.status = status
        self.suberror = suberror
        super().__init__(f"AADSTS{code}: {text}")


SIGN_IN_TEXTS: Mapping[str, str] = {
    "unknown-user": "The user account {upn} does not exist in the {tenant} directory. To sign into this application, "
    "the account must be added to the directory.",
    "locked": "The account is locked, you've tried to sign in too many times with an incorrect user ID or password.",
    "expired": "The password is expired.",
    "must-change": "The password is expired.",
    "no-password": "Invalid or null password: password does not exist in the directory for this user.",
    "disabled": "The user account is disabled.",
    "wrong-password": "Error validating credentials due to invalid username or password.",
}
"""Texts of the sign-in errors by result."""


class GraphError(Exception):
    """A request that Graph refuses: HTTP status, Graph's code, and a message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        self.status = status
        self.code = code
        self.message = message
        super().__init__(f"{status} {code}: {message}")


_PASSWORD_TEXT = (
    "The specified password does not comply with password complexity requirements. "  # noqa: S105 - a message
    "Please provide a different password."
)
_GRAPH_REFUSALS: Mapping[str, tuple[int, str, str]] = {
    "no-such-user": (404, "Request_ResourceNotFound", ""),
    "wrong-password": (400, "Request_BadRequest", "The specified current password is not valid."),
    "federated-domain": (400, "Request_BadRequest", "A federated domain's passwords, and their life, can't be set."),
    "locked": (403, "Authorization_RequestDenied", ""),
    "disabled": (403, "Authorization_RequestDenied", ""),
}


def graph_error(refusal: Refusal) -> GraphError:
    """A refusal of the tenant in Graph's words."""
    if refusal.reason.startswith("password-"):
        return GraphError(400, "Request_BadRequest", f"{_PASSWORD_TEXT} ({refusal.detail})")
    status, code, message = _GRAPH_REFUSALS.get(refusal.reason, (400, "Request_BadRequest", ""))
    if refusal.data.get("conflict"):
        code, message = (
            "Request_BadRequest",
            "Another object with the same value for property userPrincipalName exists.",
        )
    return GraphError(status, code, message or refusal.detail)


CREDENTIAL_CODES = frozenset({50053, 50126, 7000215, 7000222})
"""Refused credentials: the older endpoint puts a code of its own before these (which others is unconfirmed)."""
_CREDENTIALS = 70002


def token_error(
    refused: TokenRefused, now: datetime, randomness: Randomness, correlation_id: str, *, two_codes: bool = False
) -> dict[str, Any]:
    """The JSON body of a refused token request. two_codes: as the older endpoint told refused credentials."""
    trace_id = str(randomness.uuid("azure_ad/traces"))
    timestamp = format_time(now)
    outer = two_codes and refused.code in CREDENTIAL_CODES
    before = f"AADSTS{_CREDENTIALS}: Error validating credentials. " if outer else ""
    description = (
        f"{before}AADSTS{refused.code}: {refused.text} Trace ID: {trace_id} Correlation ID: {correlation_id} "
        f"Timestamp: {timestamp}"
    )
    return {
        "error": refused.error,
        "error_description": description,
        "error_codes": [_CREDENTIALS, refused.code] if outer else [refused.code],
        "timestamp": timestamp,
        "trace_id": trace_id,
        "correlation_id": correlation_id,
        "error_uri": f"https://login.microsoftonline.com/error?code={refused.code}",
        **({"suberror": refused.suberror} if refused.suberror else {}),
    }


def format_time(when: datetime) -> str:
    """A time as the token endpoint writes it: ``2017-01-13 09:00:00Z``."""
    return when.strftime("%Y-%m-%d %H:%M:%SZ")
