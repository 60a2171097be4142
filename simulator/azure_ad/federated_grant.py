"""Tokens for an assertion of a federated domain's servers: the SAML bearer grants of the token endpoint (RFC 7522).

The assertion must be signed by the key that was trusted when its issuer's domain was made a federated one, be meant
for the cloud, be good now, and be new; it names the user by source anchor and sign-in name. Refusals leave everything
as it was. Codes: the product's list of AADSTS errors; which of them stands for what is confirmed for a wrong signature
(50008), an unknown issuer (50107) and a user who is not there (51004) alone.
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from simulator.azure_ad.errors import SIGN_IN_TEXTS, TokenRefused
from simulator.azure_ad.federated_domains import CLOCK_SKEW
from simulator.azure_ad.sign_in import AADSTS
from simulator.federation.names import IMMUTABLE_ID_CLAIM, SAML1, SAML2, TENANT_AUDIENCE, UPN_CLAIM

if TYPE_CHECKING:
    from simulator.azure_ad.state import Tenant
    from simulator.azure_ad.users import CloudUser

KINDS: Mapping[str, str] = {
    "urn:ietf:params:oauth:grant-type:saml1_1-bearer": SAML1,
    "urn:ietf:params:oauth:grant-type:saml2-bearer": SAML2,
}
"""The kind of assertion that each grant takes, by ``grant_type``."""

SIZE_MAX = 64 * 1024
INVALID, NO_SUCH_ISSUER, NO_SUCH_USER = 50008, 50107, 51004


class Assertion(NamedTuple):
    """What a valid assertion says: its id, the anchor and the sign-in name of the user, until when it is good."""

    id: str
    anchor: str
    upn: str
    expires: datetime


def sign_in(tenant: Tenant, grant: str, encoded: str) -> CloudUser:
    """The user whom an assertion (base64url) signs in. Raises TokenRefused."""
    found = check(tenant, KINDS[grant], _decode(encoded))
    user = tenant.find_by_anchor(found.anchor)
    if user is None or user.upn.lower() != found.upn.lower():
        text = f"The user account {found.upn} does not exist in the {tenant.tenant_id} directory."
        raise TokenRefused(NO_SUCH_USER, f"{text} To sign into this application, the account must be added to it.")
    if not user.enabled:
        raise TokenRefused(AADSTS["disabled"], SIGN_IN_TEXTS["disabled"])
    tenant.federated_sign_in(user, found.id, found.expires)
    return user


def check(tenant: Tenant, kind: str, document: bytes) -> Assertion:
    """What an assertion says, if it is one that this tenant takes. Raises TokenRefused."""
    from simulator.federation.signing import InvalidSignature, signed_part

    root = _parse(document, kind)
    issuer = _issuer(root, kind)
    known = tenant.federated_domains.of_issuer(issuer)
    if known is None:
        raise TokenRefused(NO_SUCH_ISSUER, f"The requested federation realm object '{issuer[:200]}' does not exist.")
    domain, trust = known
    id_attribute = "AssertionID" if kind == SAML1 else "ID"
    try:
        signed = signed_part(document, trust.certificate, id_attribute, tenant.clock())
    except InvalidSignature as error:
        text = "Unable to verify token signature. The signing key identifier does not match any valid registered keys."
        raise TokenRefused(INVALID, text) from error
    identifier = str(signed.get(id_attribute))
    if signed.tag != root.tag or identifier != root.get(id_attribute) or _issuer(signed, kind) != issuer:
        raise _invalid("another part of the document is signed")
    expires = _check_conditions(signed, kind, tenant.clock())
    upn, anchor = _claim(signed, kind, UPN_CLAIM), _claim(signed, kind, IMMUTABLE_ID_CLAIM)
    if upn.rpartition("@")[2].lower() != domain:
        raise _invalid("its issuer does not speak for the user's domain")
    if tenant.federated_domains.was_used(identifier):
        raise _invalid("it was used before")
    return Assertion(identifier, anchor, upn, expires)


def _decode(encoded: str) -> bytes:
    if len(encoded) > SIZE_MAX * 2:
        raise _invalid("it is too long")
    try:
        return urlsafe_b64decode(encoded.rstrip("=") + "=" * (-len(encoded.rstrip("=")) % 4))
    except (binascii.Error, ValueError) as error:
        raise _invalid("it is not base64url") from error


def _parse(document: bytes, kind: str) -> Any:
    """The document, none of it trusted yet; document types and entities are refused before anything else reads it."""
    from xml.etree.ElementTree import ParseError

    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    try:
        root = fromstring(document, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise _invalid("it is not XML that is read here") from error
    if root.tag != f"{{{kind}}}Assertion":
        raise _invalid("it is not of the kind that the grant names")
    return root


def _issuer(root: Any, kind: str) -> str:
    return (root.get("Issuer") if kind == SAML1 else root.findtext(f"{{{kind}}}Issuer")) or ""


def _check_conditions(root: Any, kind: str, now: datetime) -> datetime:
    """Until when the assertion is good, if it is good now and meant for the cloud."""
    conditions = root.find(f"{{{kind}}}Conditions")
    if conditions is None:
        raise _invalid("it has no conditions")
    begins, ends = (_moment(conditions.get(name)) for name in ("NotBefore", "NotOnOrAfter"))
    if not begins - CLOCK_SKEW <= now < ends + CLOCK_SKEW:
        raise _invalid(f"it is good from {begins:%Y-%m-%dT%H:%M:%SZ} to {ends:%Y-%m-%dT%H:%M:%SZ}")
    restriction = "AudienceRestrictionCondition" if kind == SAML1 else "AudienceRestriction"
    audiences = [each.text for each in conditions.findall(f"{{{kind}}}{restriction}/{{{kind}}}Audience")]
    if TENANT_AUDIENCE not in audiences:
        raise _invalid("it is meant for somebody else")
    return ends


def _moment(text: str | None) -> datetime:
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError as error:
        raise _invalid("it does not say when it is good") from error
    if found.tzinfo is None or not 1900 < found.year < 9000:
        raise _invalid("it does not say when it is good")
    return found.astimezone(UTC)


def _claim(root: Any, kind: str, claim: str) -> str:
    """The one value of a claim."""
    values = []
    for each in root.findall(f"{{{kind}}}AttributeStatement/{{{kind}}}Attribute"):
        name = f"{each.get('AttributeNamespace')}/{each.get('AttributeName')}" if kind == SAML1 else each.get("Name")
        if name == claim:
            values += [value.text or "" for value in each.findall(f"{{{kind}}}AttributeValue")]
    if len(values) != 1 or not values[0]:
        raise _invalid(f"it does not have one {claim.rpartition('/')[2]}")
    return values[0]


def _invalid(why: str) -> TokenRefused:
    return TokenRefused(INVALID, f"SAML token is invalid: {why}.")
