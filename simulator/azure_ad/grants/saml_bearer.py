"""The SAML bearer grants (RFC 7522, and its kin for SAML 1.1): an assertion of the user's federation servers."""

from __future__ import annotations

from simulator.azure_ad import federated_grant
from simulator.azure_ad.grants.request import Granted, TokenRequest


def grant_saml_bearer(request: TokenRequest) -> Granted:
    """Sign in whom the assertion names; see :mod:`simulator.azure_ad.federated_grant`."""
    scope, assertion = request.needed_scope, request.need("assertion")
    user = federated_grant.sign_in(request.tenant, request.need("grant_type"), assertion)
    session = request.tenant.open_session(user, request.client_id, lasting=request.confidential, scope=scope)
    return Granted(user, session, scope)
