"""The device code grant (RFC 8628 3.4): the device asks whether somebody has signed in on its behalf.

The codes of declined, unknown and used ones are unconfirmed, and so is the code of ``slow_down``.
"""

from __future__ import annotations

from simulator.azure_ad.errors import SIGN_IN_TEXTS, TokenRefused
from simulator.azure_ad.grants.request import Granted, TokenRequest
from simulator.azure_ad.sign_in import AADSTS

_REFUSED = {
    "pending": (
        70016,
        "authorization_pending",
        "OAuth 2.0 device flow error. Authorization is pending. Continue polling.",
    ),
    "slow-down": (
        70016,
        "slow_down",
        "OAuth 2.0 device flow error. Authorization is pending. The device asks too often.",
    ),
    "declined": (65004, "authorization_declined", "The user declined to sign in on the device."),
    "expired": (
        70020,
        "expired_token",
        "The provided value for the input parameter 'device_code' is not valid. This device code has expired.",
    ),
    "used": (54005, "invalid_grant", "The device code was already redeemed, please retry with a new valid code."),
}
_OLDER_WORDS = {"expired_token": "code_expired"}


def grant_device_code(request: TokenRequest) -> Granted:
    """Ask once. The older endpoint calls the device's code ``code``."""
    value = request.form.get("device_code") or request.need("code" if request.version == 1 else "device_code")
    code = request.tenant.devices.by_device_code(value)
    if code is None or code.client_id != request.client_id:
        text = "The provided value for the input parameter 'device_code' is not valid."
        raise TokenRefused(70018, text, "bad_verification_code")
    state = request.tenant.devices.ask(code)
    if state != "ok":
        number, error, text = _REFUSED[state]
        raise TokenRefused(number, text, _OLDER_WORDS.get(error, error) if request.version == 1 else error)
    user = code.user
    if user is None or request.tenant.users.by_id(user.id) is None:
        text = SIGN_IN_TEXTS["unknown-user"].format(upn=user.upn if user else "", tenant=request.tenant.tenant_id)
        raise TokenRefused(AADSTS["unknown-user"], text)
    if not user.enabled:
        raise TokenRefused(AADSTS["disabled"], SIGN_IN_TEXTS["disabled"])
    session = request.tenant.open_session(user, request.client_id, lasting=request.confidential, scope=code.scope)
    return Granted(user, session, code.scope)
