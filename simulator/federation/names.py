"""The names that federation servers, their clients and the tenant share: namespaces, actions, claims, kinds of tokens.

Sources: SOAP 1.2, WS-Addressing 1.0, WS-Security 1.0, WS-Trust of February 2005 and 1.3, SAML 1.1 and 2.0, and the
claims that the product asks of whoever federates with it.
"""

from __future__ import annotations

from typing import NamedTuple

SOAP = "http://www.w3.org/2003/05/soap-envelope"
ADDRESSING = "http://www.w3.org/2005/08/addressing"
SECURITY = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
UTILITY = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
POLICY = "http://schemas.xmlsoap.org/ws/2004/09/policy"
SAML1 = "urn:oasis:names:tc:SAML:1.0:assertion"
SAML2 = "urn:oasis:names:tc:SAML:2.0:assertion"

TENANT_AUDIENCE = "urn:federation:MicrosoftOnline"
"""Whom tokens for the cloud are meant for."""
UPN_CLAIM = "http://schemas.xmlsoap.org/claims/UPN"
IMMUTABLE_ID_CLAIM = "http://schemas.microsoft.com/LiveID/Federation/2008/05/ImmutableID"
"""Carries the source anchor: base64 of the object's GUID."""

TOKEN_TYPES = {
    SAML1: SAML1,
    "http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#SAMLV1.1": SAML1,
    SAML2: SAML2,
    "http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#SAMLV2.0": SAML2,
}
"""What a request may call the kinds of tokens, and the kind that is meant."""


class Dialect(NamedTuple):
    """One version of WS-Trust: its namespace, and what it calls a token without a proof of possession."""

    path: str
    namespace: str
    request_action: str
    response_action: str
    request_type: str
    key_type: str


TRUST_2005 = Dialect(
    "/adfs/services/trust/2005/usernamemixed",
    "http://schemas.xmlsoap.org/ws/2005/02/trust",
    "http://schemas.xmlsoap.org/ws/2005/02/trust/RST/Issue",
    "http://schemas.xmlsoap.org/ws/2005/02/trust/RSTR/Issue",
    "http://schemas.xmlsoap.org/ws/2005/02/trust/Issue",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/NoProofKey",
)
_13 = "http://docs.oasis-open.org/ws-sx/ws-trust/200512"
TRUST_13 = Dialect(
    "/adfs/services/trust/13/usernamemixed",
    _13,
    f"{_13}/RST/Issue",
    f"{_13}/RSTRC/IssueFinal",
    f"{_13}/Issue",
    f"{_13}/Bearer",
)
METADATA_PATH = "/adfs/services/trust/mex"
