"""The client credentials grant (RFC 6749 4.4): an application signs in as itself."""

from __future__ import annotations

from simulator.azure_ad.errors import TokenRefused
from simulator.azure_ad.grants.request import GrantedItself, TokenRequest
from simulator.azure_ad.scopes import DEFAULT, read_scope


def grant_client_credentials(request: TokenRequest) -> GrantedItself:
    """A token for a registered application that has shown its secret. There is no refresh token."""
    if request.name.lower() in ("common", "organizations", "consumers"):
        text = "No tenant-identifying information found in either the request or implied by any provided credentials."
        raise TokenRefused(50059, text, "invalid_request")
    application = request.application
    if application is None or not application.confidential:
        text = "'client_assertion', 'client_secret' or 'request' is required for the 'client_credentials' grant type."
        raise TokenRefused(7000216, text, "invalid_client", status=401)
    scope = request.needed_scope
    if read_scope(scope).permissions != (DEFAULT,):
        text = (
            f"The provided value for scope {scope[:500]} is not valid. Client credential flows must have a scope value "
            f"with /{DEFAULT} suffixed to the resource identifier (application ID URI)."
        )
        raise TokenRefused(1002012, text, "invalid_scope")
    return GrantedItself(application, scope)
