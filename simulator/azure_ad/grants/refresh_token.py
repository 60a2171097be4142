"""The refresh token grant (RFC 6749 6): new access tokens without a new sign-in, as long as nothing has revoked it."""

from __future__ import annotations

from datetime import datetime

from simulator.azure_ad.errors import SIGN_IN_TEXTS, TokenRefused, format_time
from simulator.azure_ad.grants.request import Granted, TokenRequest
from simulator.azure_ad.sessions import Session
from simulator.azure_ad.sign_in import AADSTS
from simulator.azure_ad.users import CloudUser


def grant_refresh_token(request: TokenRequest) -> Granted:
    """A refresh token of the same client; its 90 days begin anew. It may be used for another resource."""
    tenant = request.tenant
    session = tenant.find_session(request.need("refresh_token"))
    if session is None or session.client_id != request.client_id:
        raise TokenRefused(9002313, "Invalid request. Request is malformed or invalid.")
    user = tenant.users.by_id(session.user_id)
    if tenant.session_state(session)[1] == "expired":
        text = (
            "The refresh token has expired due to inactivity. The token was issued on "
            f"{format_time(session.issued_at)} and was inactive for 90.00:00:00."
        )
        raise TokenRefused(700082, text)
    if user is None:
        text = SIGN_IN_TEXTS["unknown-user"].format(upn=session.user_id, tenant=tenant.tenant_id)
        raise TokenRefused(AADSTS["unknown-user"], text)
    if not user.enabled:
        raise TokenRefused(AADSTS["disabled"], SIGN_IN_TEXTS["disabled"])
    if tenant.refresh(session) == "revoked":
        raise TokenRefused(50173, _revoked_text(session, user))
    return Granted(user, session, request.scope or session.scope)


def _revoked_text(session: Session, user: CloudUser) -> str:
    valid_from = user.tokens_valid_from or session.issued_at
    return (
        "The provided grant has expired due to it being revoked, a fresh auth token is needed. The user might have "
        f"changed or reset their password. The grant was issued on '{_instant(session.issued_at)}' and the "
        f"TokensValidFrom date (before which tokens are not valid) for this user is '{_instant(valid_from)}'."
    )


def _instant(when: datetime) -> str:
    return f"{when:%Y-%m-%dT%H:%M:%S}.0000000Z"
