"""The tokens that a farm issues for the cloud: SAML 1.1 and 2.0 assertions with the claims that the tenant asks for.

The names of claims, and that the anchor is the name of the subject too, follow the product's rules for the tenant's
relying party; what else the real one says of a person is left out.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from lxml import etree

from simulator.federation.names import IMMUTABLE_ID_CLAIM, SAML1, SAML2, UPN_CLAIM
from simulator.federation.signing import sign
from simulator.federation.state import Farm, FarmLogon

TOKEN_LIFE = timedelta(minutes=60)
"""How long a token is good (the default of a relying party trust)."""

_BEARER1, _BEARER2 = "urn:oasis:names:tc:SAML:1.0:cm:bearer", "urn:oasis:names:tc:SAML:2.0:cm:bearer"
_PASSWORD1 = "urn:oasis:names:tc:SAML:1.0:am:password"
_PASSWORD2 = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"
_UNSPECIFIED = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"


def issue(farm: Farm, who: FarmLogon, kind: str, audience: str) -> tuple[bytes, datetime, datetime]:
    """A signed token of ``kind`` (:data:`SAML1` or :data:`SAML2`) for someone who got in, and from when until when it
    is good. The issuer is that of the domain that the person's principal name ends in.

    Raises ValueError for a name that XML has no characters for.
    """
    now = farm.clock().replace(microsecond=0)
    until = now + TOKEN_LIFE
    identifier = f"_{farm.randomness.uuid(f'federation/{farm.forest.name}/assertions')}"
    issuer = farm.issuer(who.upn.rpartition("@")[2])
    build, id_attribute = (_saml1, "AssertionID") if kind == SAML1 else (_saml2, "ID")
    return sign(build(identifier, issuer, audience, who, now, until), id_attribute), now, until


def stamp(when: datetime) -> str:
    """A time as XML has it, with milliseconds."""
    return f"{when:%Y-%m-%dT%H:%M:%S}.{when.microsecond // 1000:03d}Z"


def _saml1(identifier: str, issuer: str, audience: str, who: FarmLogon, now: datetime, until: datetime) -> Any:
    named = {"MajorVersion": "1", "MinorVersion": "1", "AssertionID": identifier, "Issuer": issuer}
    root = etree.Element(f"{{{SAML1}}}Assertion", {**named, "IssueInstant": stamp(now)}, nsmap={"saml": SAML1})
    conditions = _add(root, "Conditions", NotBefore=stamp(now), NotOnOrAfter=stamp(until))
    _add(_add(conditions, "AudienceRestrictionCondition"), "Audience", audience)
    claims = _add(root, "AttributeStatement")
    _subject1(claims, who)
    for claim, value in ((UPN_CLAIM, who.upn), (IMMUTABLE_ID_CLAIM, who.anchor)):
        namespace, _, name = claim.rpartition("/")
        attribute = _add(claims, "Attribute", AttributeName=name, AttributeNamespace=namespace)
        _add(attribute, "AttributeValue", value)
    proof = _add(root, "AuthenticationStatement", AuthenticationMethod=_PASSWORD1, AuthenticationInstant=stamp(now))
    _subject1(proof, who)
    return root


def _subject1(statement: Any, who: FarmLogon) -> None:
    subject = _add(statement, "Subject")
    _add(subject, "NameIdentifier", who.anchor, Format=_UNSPECIFIED)
    _add(_add(subject, "SubjectConfirmation"), "ConfirmationMethod", _BEARER1)


def _saml2(identifier: str, issuer: str, audience: str, who: FarmLogon, now: datetime, until: datetime) -> Any:
    named = {"ID": identifier, "IssueInstant": stamp(now), "Version": "2.0"}
    root = etree.Element(f"{{{SAML2}}}Assertion", named, nsmap={None: SAML2})
    _add(root, "Issuer", issuer)
    subject = _add(root, "Subject")
    _add(subject, "NameID", who.anchor, Format=_UNSPECIFIED)
    confirmation = _add(subject, "SubjectConfirmation", Method=_BEARER2)
    _add(confirmation, "SubjectConfirmationData", NotOnOrAfter=stamp(until))
    conditions = _add(root, "Conditions", NotBefore=stamp(now), NotOnOrAfter=stamp(until))
    _add(_add(conditions, "AudienceRestriction"), "Audience", audience)
    claims = _add(root, "AttributeStatement")
    for claim, value in ((UPN_CLAIM, who.upn), (IMMUTABLE_ID_CLAIM, who.anchor)):
        _add(_add(claims, "Attribute", Name=claim), "AttributeValue", value)
    proof = _add(root, "AuthnStatement", AuthnInstant=stamp(now))
    _add(_add(proof, "AuthnContext"), "AuthnContextClassRef", _PASSWORD2)
    return root


def _add(parent: Any, name: str, text: str | None = None, **attributes: str) -> Any:
    """A child in the parent's namespace."""
    child = etree.SubElement(parent, f"{{{etree.QName(parent).namespace}}}{name}", attributes)
    child.text = text
    return child
