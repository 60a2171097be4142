"""The password grant (RFC 6749 4.3): name and password of a user, sent by the client itself."""

from __future__ import annotations

from simulator.azure_ad.errors import SIGN_IN_TEXTS, TokenRefused
from simulator.azure_ad.grants.request import Granted, TokenRequest
from simulator.azure_ad.sign_in import AADSTS
from simulator.azure_ad.state import Tenant
from simulator.azure_ad.users import CloudUser

_OF_NO_TENANT = ("common", "consumers")


def grant_password(request: TokenRequest) -> Granted:
    """Sign a user in. A confidential client's session outlives the password."""
    if request.name.lower() in _OF_NO_TENANT:
        text = (
            "The grant type is not supported over the /common or /consumers endpoints. "
            "Please use the /organizations or tenant-specific endpoint."
        )
        raise TokenRefused(9001023, text, "invalid_request")
    scope = request.needed_scope
    user = check_password(request.tenant, request.need("username"), request.need("password"))
    session = request.tenant.open_session(user, request.client_id, lasting=request.confidential, scope=scope)
    return Granted(user, session, scope)


def check_password(tenant: Tenant, upn: str, password: str) -> CloudUser:
    """The user whose name and password these are: a sign-in like any other. Raises TokenRefused."""
    if tenant.is_federated(upn):
        # The cloud does not look at a federated user's password; which code it gives here is unconfirmed.
        raise TokenRefused(AADSTS["wrong-password"], SIGN_IN_TEXTS["wrong-password"])
    found = tenant.sign_in(upn, password)
    if found.user is None or found.result != "ok":
        text = SIGN_IN_TEXTS[found.result].replace("{upn}", upn).replace("{tenant}", tenant.tenant_id)
        raise TokenRefused(found.aadsts, text)
    return found.user
