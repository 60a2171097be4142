"""What the tenant takes for a token of a federated domain: signed by the right key, for it, now, once, of its user."""

from __future__ import annotations

from base64 import b64encode
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from federation.conftest import ALICE, GRANTS, NAME
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree
from signxml.algorithms import CanonicalizationMethod, DigestAlgorithm, SignatureMethod
from signxml.signer import XMLSigner

from simulator.azure_ad import federated_grant
from simulator.azure_ad.errors import TokenRefused
from simulator.clock import Clock
from simulator.federation import signing
from simulator.federation.names import SAML1, SAML2, TENANT_AUDIENCE

KINDS = [SAML1, SAML2]
INVALID, NO_ISSUER, NO_USER, DISABLED = 50008, 50107, 51004, 50057
SIGNATURE = "{http://www.w3.org/2000/09/xmldsig#}Signature"
EXCLUSIVE = CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0


@pytest.fixture(params=KINDS, ids=["saml1", "saml2"])
def kind(request):
    return request.param


def unsigned(document):
    root = etree.fromstring(document)
    root.remove(root.find(SIGNATURE))
    return root


def signed_by_hand(root, **options):
    """Sign an element with the farm's own key, after it was changed."""
    settings = {"signature_algorithm": SignatureMethod.RSA_SHA256, "digest_algorithm": DigestAlgorithm.SHA256}
    signer = XMLSigner(c14n_algorithm=EXCLUSIVE, **(settings | options))
    name = "AssertionID" if root.get("AssertionID") else "ID"
    return etree.tostring(signer.sign(root, key=signing._key(), reference_uri=root.get(name), id_attribute=name))


def test_signs_in(lab, alice, kind):
    """A token of the farm signs its user in, and the log has it."""
    assert lab.redeem(lab.token(kind), kind) is alice
    (line,) = lab.tenant.sign_in_log
    assert (line.upn, line.result, line.aadsts) == (ALICE, "ok", 0)


def test_password_of_the_cloud_is_not_asked(lab, alice):
    """Neither a forced change nor an old password of the cloud's holds a federated user up."""
    alice.must_change, alice.credential = True, None
    assert lab.redeem(lab.token()) is alice


class TestSignature:
    def test_changed(self, lab, kind):
        """Whoever changes a token breaks its signature."""
        assert lab.refusal(lab.token(kind).replace(b"alice@", b"bob@"), kind) == INVALID

    def test_missing(self, lab, kind):
        """Without a signature nobody gets in."""
        assert lab.refusal(etree.tostring(unsigned(lab.token(kind))), kind) == INVALID

    def test_another_key(self, lab, kind):
        """A token signed by any other key is refused, even one that brings its key along."""
        stranger = rsa.generate_private_key(65537, 2048)
        root = unsigned(lab.token(kind))
        name = "AssertionID" if kind == SAML1 else "ID"
        signer = XMLSigner(c14n_algorithm=EXCLUSIVE, signature_algorithm="rsa-sha256", digest_algorithm="sha256")
        signed = signer.sign(root, key=stranger, reference_uri=root.get(name), id_attribute=name)
        assert lab.refusal(etree.tostring(signed), kind) == INVALID

    def test_shared_secret(self, lab, kind):
        """The certificate, which is public, can't be used as the secret of an HMAC."""
        root = unsigned(lab.token(kind))
        name = "AssertionID" if kind == SAML1 else "ID"
        signer = XMLSigner(c14n_algorithm=EXCLUSIVE, signature_algorithm="hmac-sha256", digest_algorithm="sha256")
        signed = signer.sign(root, key=signing.certificate().encode(), reference_uri=root.get(name), id_attribute=name)
        assert lab.refusal(etree.tostring(signed), kind) == INVALID

    def test_wrapped(self, lab, kind):
        """A good token inside a forged one does not vouch for it, wherever it stands."""
        good = etree.fromstring(lab.token(kind))
        name = "AssertionID" if kind == SAML1 else "ID"
        forged = unsigned(lab.token(kind).replace(b"alice@", b"bob@"))
        forged.set(name, "_forged")
        inside = etree.fromstring(etree.tostring(forged))
        inside.append(good)
        beside = etree.fromstring(etree.tostring(forged))
        signature = good.find(SIGNATURE)
        holder = etree.SubElement(signature, "{http://www.w3.org/2000/09/xmldsig#}Object")
        rest = etree.fromstring(etree.tostring(good))
        rest.remove(rest.find(SIGNATURE))
        holder.append(rest)
        beside.append(signature)
        same = etree.fromstring(etree.tostring(beside))
        same.set(name, good.get(name))
        for each in (inside, beside, same):
            assert lab.refusal(etree.tostring(each), kind) in (INVALID, NO_ISSUER)

    def test_comments(self, lab, kind):
        """A comment in a claim, which breaks no signature, does not shorten the claim."""
        lab.domain.create_user("carol", "Winter-2016!")
        document = lab.token(kind, upn="alice@contoso.example.evil.contoso.example")
        cut = document.replace(b"alice@contoso.example.evil", b"alice@contoso.example<!-- -->.evil")
        assert cut != document
        assert lab.refusal(cut, kind) in (INVALID, NO_ISSUER, NO_USER)

    @pytest.mark.parametrize("options", [
        {"signature_algorithm": SignatureMethod.RSA_SHA512},
        {"digest_algorithm": DigestAlgorithm.SHA512},
    ])  # fmt: skip
    def test_other_algorithms(self, lab, options):
        """Only the algorithms of the farm are taken."""
        assert lab.refusal(signed_by_hand(unsigned(lab.token()), **options)) == INVALID


class TestContents:
    def test_unknown_issuer(self, lab, kind):
        """An issuer that no federated domain has is unknown."""
        assert lab.refusal(lab.token(kind, upn="alice@fabrikam.example"), kind) == NO_ISSUER
        lab.tenant.federated_domains.set(NAME, None)
        assert lab.refusal(lab.token(kind), kind) == NO_ISSUER

    def test_another_domains_issuer(self, lab, kind):
        """One domain's issuer does not speak for users of another."""
        root = unsigned(lab.token(kind))
        for each in root.iter(f"{{{kind}}}AttributeValue"):
            each.text = each.text.replace("alice@contoso.example", "admin@contoso.onmicrosoft.com")
        assert lab.refusal(signed_by_hand(root), kind) == INVALID

    def test_audience(self, lab, kind):
        """A token for somebody else is of no use here."""
        assert lab.refusal(lab.token(kind, "urn:other"), kind) == INVALID

    @pytest.mark.parametrize(("minutes", "taken"), [(-6, False), (-4, True), (64, True), (66, False)])
    def test_times(self, lab, alice, kind, minutes, taken):
        """A token is good for an hour, and five minutes more at both ends."""
        document = lab.token(kind)
        lab.clock = lab.tenant.clock = Clock(lab.clock() + timedelta(minutes=minutes))
        if taken:
            assert lab.redeem(document, kind) is alice
        else:
            assert lab.refusal(document, kind) == INVALID

    def test_once(self, lab, alice, kind):
        """A token is taken once; the next one of the same user is another."""
        document = lab.token(kind)
        lab.redeem(document, kind)
        assert lab.refusal(document, kind) == INVALID
        assert lab.redeem(lab.token(kind), kind) is alice

    def test_refused_is_not_used(self, lab, alice, kind):
        """What was refused for the user's sake can be used once that is mended."""
        document = lab.token(kind)
        alice.enabled = False
        assert lab.refusal(document, kind) == DISABLED
        alice.enabled = True
        assert lab.redeem(document, kind) is alice

    def test_observed(self, lab, alice, kind):
        """Looking at a sign-in uses nothing up and logs nothing."""
        document = lab.token(kind)
        with lab.tenant.observed():
            assert lab.redeem(document, kind) is alice
        assert lab.tenant.sign_in_log == []
        assert lab.redeem(document, kind) is alice

    @pytest.mark.parametrize("changes", [
        {"anchor": b64encode(b"x" * 16).decode()}, {"upn": "bob@contoso.example"}, {"upn": "nobody@contoso.example"},
    ])  # fmt: skip
    def test_who(self, lab, kind, changes):
        """Anchor and name must be the same user's, and of somebody who is there."""
        assert lab.refusal(lab.token(kind, **changes), kind) == NO_USER

    def test_kind_of_grant(self, lab):
        """Each grant takes its own kind of assertion."""
        assert lab.refusal(lab.token(SAML1), SAML2) == INVALID
        assert lab.refusal(lab.token(SAML2), SAML1) == INVALID

    @pytest.mark.parametrize("part", ["Conditions", "AttributeStatement", "Audience", "AttributeValue"])
    def test_parts(self, lab, kind, part):
        """What the tenant needs must be there, and the claims once."""
        for change in (lambda each: each.getparent().remove(each), lambda each: setattr(each, "text", "")):
            root = unsigned(lab.token(kind))
            change(root.find(f".//{{{kind}}}{part}"))
            if part in ("Conditions", "AttributeStatement") and root.find(f".//{{{kind}}}{part}") is not None:
                continue
            assert lab.refusal(signed_by_hand(root), kind) == INVALID
        twice = unsigned(lab.token(kind))
        first = twice.find(f".//{{{kind}}}AttributeValue")
        first.addnext(etree.fromstring(etree.tostring(first)))
        assert lab.refusal(signed_by_hand(twice), kind) == INVALID

    @pytest.mark.parametrize("value", ["", "soon", "2017-01-13", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
    def test_moments(self, lab, kind, value):
        """A token that does not say when it is good is not."""
        for name in ("NotBefore", "NotOnOrAfter"):
            root = unsigned(lab.token(kind))
            root.find(f"{{{kind}}}Conditions").set(name, value)
            assert lab.refusal(signed_by_hand(root), kind) == INVALID


class TestHostile:
    @pytest.mark.parametrize("document", [
        b"", b"\x00\xff", b"<", b"<a/>", b"<a>" * 20_000,
        b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
        f'<Assertion xmlns="{SAML1}"/>'.encode(), f'<Assertion xmlns="{SAML1}" Issuer="{"x" * 9999}"/>'.encode(),
    ])  # fmt: skip
    def test_no_assertion(self, lab, document):
        """Whatever comes in its place is refused in the token endpoint's words."""
        assert lab.refusal(document) in (INVALID, NO_ISSUER)

    @pytest.mark.parametrize(
        ("encoded", "why"),
        [
            ("%%%", "not XML"),
            ("a", "not base64url"),
            ("=", "not XML"),
            ("\u00fc", "base64url"),
            ("A" * 200_000, "too long"),
        ],
    )
    def test_no_base64(self, lab, encoded, why):
        """So is what can't be decoded, and what is too long."""
        with pytest.raises(TokenRefused, match=why) as caught:
            federated_grant.sign_in(lab.tenant, GRANTS[SAML1], encoded)
        assert caught.value.code == INVALID

    def test_document_type_before_a_good_token(self, lab, kind):
        """A document type in front of a good token spoils it."""
        assert lab.refusal(b"<!DOCTYPE a []>" + lab.token(kind), kind) == INVALID

    @settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.data())
    def test_garbled(self, lab, data):
        """A token with octets changed or cut out signs in nobody else, and raises nothing of ours."""
        document = lab.token()
        start = data.draw(st.integers(0, len(document)))
        end = data.draw(st.integers(start, min(len(document), start + 200)))
        try:
            found = lab.redeem(document[:start] + data.draw(st.binary(max_size=20)) + document[end:])
        except TokenRefused:
            return
        assert found.upn == ALICE

    def test_audience_is_the_tenants(self):
        """The tenant's name for itself is the one that its realm discovery tells clients."""
        assert TENANT_AUDIENCE == "urn:federation:MicrosoftOnline"
