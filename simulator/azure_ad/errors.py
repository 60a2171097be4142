"""The tenant's errors in the words of its wires: the token endpoint's AADSTS texts, Graph's codes, SOAP faults."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from simulator.random import Randomness
from simulator.refusal import Refusal


class TokenRefused(Exception):
    """A request that the token endpoint refuses: ``code`` (AADSTS), ``error`` (RFC 6749), text for people."""

    def __init__(self, code: int, text: str, error: str = "invalid_grant") -> None:
        self.code = code
        self.text = text
        self.error = error
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
    "federated-domain": (400, "Request_BadRequest", "A federated user's password can't be set in the directory."),
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


def token_error(refused: TokenRefused, now: datetime, randomness: Randomness, correlation_id: str) -> dict[str, Any]:
    """The JSON body of a refused token request."""
    trace_id = str(randomness.uuid("azure_ad/traces"))
    timestamp = format_time(now)
    description = (
        f"AADSTS{refused.code}: {refused.text} Trace ID: {trace_id} Correlation ID: {correlation_id} "
        f"Timestamp: {timestamp}"
    )
    return {
        "error": refused.error,
        "error_description": description,
        "error_codes": [refused.code],
        "timestamp": timestamp,
        "trace_id": trace_id,
        "correlation_id": correlation_id,
        "error_uri": f"https://login.microsoftonline.com/error?code={refused.code}",
    }


def format_time(when: datetime) -> str:
    """A time as the token endpoint writes it: ``2017-01-13 09:00:00Z``."""
    return when.strftime("%Y-%m-%d %H:%M:%SZ")
