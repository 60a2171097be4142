"""Synchronized objects coming in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pwsync.tenant.messages import SyncObject
from simulator.azure_ad.state import RESILIENCY, Tenant
from simulator.clock import Clock
from simulator.profile import PROFILE_2017
from simulator.random import Randomness

GOOD = "Winter-2016!"


def write(tenant, anchor, operation="Set", **attributes):
    return tenant.apply_object(SyncObject(anchor, "User", operation, attributes))


@pytest.fixture
def tenant(tenant):
    """A tenant of 2017 whose administrator has switched duplicate attribute resiliency on."""
    tenant.set_feature(RESILIENCY, True)
    return tenant


class TestWrite:
    def test_creates(self, tenant, export, clock):
        """A new anchor makes a user, without a password."""
        user = export(tenant, "alice", onPremisesSamAccountName="alice", sn="Example")
        assert (user.upn, user.enabled, user.source, user.synced_at) == ("alice@contoso.example", True, "none", clock())
        assert (user.detail("onPremisesSamAccountName"), user.detail("surname"), user.detail("mail")) == (
            "alice",
            "Example",
            None,
        )
        assert tenant.find_by_upn("ALICE@contoso.example") is user

    def test_updates(self, tenant, synchronize):
        """The same anchor again changes that user; id and password stay."""
        user = synchronize(tenant, "alice", GOOD)
        write(tenant, "alice==", userPrincipalName="alice.smith@contoso.example", accountEnabled=False)
        assert (user.upn, user.enabled, user.display_name) == ("alice.smith@contoso.example", False, "alice")
        assert tenant.find_by_upn("alice@contoso.example") is None
        assert tenant.sign_in("alice.smith@contoso.example", GOOD).result == "disabled"

    def test_enables_again(self, tenant, export):
        """An export undoes what was disabled in the cloud alone."""
        user = export(tenant, "alice")
        tenant.set_user(user, enabled=False)
        export(tenant, "alice")
        assert user.enabled

    def test_partial(self, tenant, export):
        """Attributes that an export leaves out stay."""
        user = export(tenant, "alice", mail="alice@contoso.example")
        write(tenant, "alice==", displayName="Alice Example")
        assert (user.display_name, user.detail("mail"), user.upn) == (
            "Alice Example",
            "alice@contoso.example",
            "alice@contoso.example",
        )

    @pytest.mark.parametrize("upn", [None, "", "no-at-sign", 7, b"a@b", ["a@b"]])
    def test_bad_names(self, tenant, upn):
        """A user without a usable sign-in name is not made."""
        attributes = {} if upn is None else {"userPrincipalName": upn}
        assert tenant.apply_object(SyncObject("x", "User", "Set", attributes)).code == "Failure"
        assert tenant.find_by_anchor("x") is None

    @pytest.mark.parametrize(
        ("obj", "code"),
        [
            (SyncObject("x", "Folder", "Set", {}), "ObjectTypeNotSupported"),
            (SyncObject("x", "User", "Replace", {}), "OperationNotSupported"),
            (SyncObject("", "User", "Set", {}), "SourceAnchorMissing"),
        ],
    )
    def test_unknown(self, tenant, obj, code):
        """What the tenant does not know fails by name."""
        result = tenant.apply_object(obj)
        assert (result.code, result.error_code) == ("Failure", code)
        assert result.error_description


class TestQuarantine:
    def test_duplicate_name(self, tenant, export):
        """A taken sign-in name is left out: the object is written, and the result says so."""
        first = export(tenant, "alice")
        result = write(tenant, "other", userPrincipalName="Alice@contoso.example", displayName="Other")
        second = tenant.find_by_anchor("other")
        assert (result.code, result.error_code) == ("Success", "AttributeValueMustBeUnique")
        assert "Alice@contoso.example" in (result.error_description or "")
        assert second is not None
        assert second.upn.endswith("@contoso.onmicrosoft.com")
        assert tenant.find_by_upn("alice@contoso.example") is first

    def test_ends(self, tenant, export):
        """Once the name is free, the next export gives it; until then the placeholder stays the same."""
        first = export(tenant, "alice")
        write(tenant, "other", userPrincipalName="alice@contoso.example")
        second = tenant.find_by_anchor("other")
        placeholder = second.upn
        write(tenant, "other", userPrincipalName="alice@contoso.example")
        assert second.upn == placeholder
        tenant.delete_user(first)
        result = write(tenant, "other", userPrincipalName="alice@contoso.example")
        assert (second.upn, result.error_code) == ("alice@contoso.example", None)

    def test_renamed_to_a_taken_name(self, tenant, export):
        """A user who wishes a taken name keeps the old one."""
        export(tenant, "alice")
        bob = export(tenant, "bob")
        assert write(tenant, "bob==", userPrincipalName="alice@contoso.example").error_code
        assert bob.upn == "bob@contoso.example"

    def test_cloud_user(self, tenant):
        """A cloud user of that name is not taken over where the tenant blocks it."""
        tenant.other_features |= 524288
        user = tenant.create_user("bob", GOOD)
        write(tenant, "bob==", userPrincipalName=user.upn)
        assert user.source_anchor is None
        assert tenant.find_by_anchor("bob==") is not user


class TestDelete:
    def test_restores_with_password(self, tenant, synchronize, later):
        """Deleted and exported again within 30 days, a user comes back with id and password."""
        user = synchronize(tenant, "alice", GOOD)
        assert write(tenant, "alice==", "Delete").code == "Success"
        assert tenant.sign_in(user.upn, GOOD).result == "unknown-user"
        later(days=29)
        write(tenant, "alice==", "Add", userPrincipalName="alice@contoso.example")
        assert tenant.find_by_anchor("alice==") is user
        assert tenant.sign_in(user.upn, GOOD).result == "ok"

    def test_gone_for_good(self, tenant, synchronize, later):
        """After 30 days it is a new user, without a password."""
        user = synchronize(tenant, "alice", GOOD)
        write(tenant, "alice==", "Delete")
        later(days=30)
        write(tenant, "alice==", userPrincipalName="alice@contoso.example")
        assert tenant.find_by_anchor("alice==") is not user
        assert tenant.sign_in("alice@contoso.example", GOOD).result == "no-password"

    def test_again(self, tenant):
        """Deleting what is not there succeeds: after a lost answer the same call comes again."""
        assert write(tenant, "alice==", "Delete").code == "Success"

    def test_name_taken_meanwhile(self, tenant, synchronize, export):
        """A restored user whose name was taken meanwhile is quarantined."""
        user = synchronize(tenant, "alice", GOOD)
        write(tenant, "alice==", "Delete")
        write(tenant, "other", userPrincipalName="alice@contoso.example")
        assert write(tenant, "alice==", userPrincipalName="alice@contoso.example").error_code
        assert tenant.find_by_anchor("alice==") is user
        assert tenant.sign_in(user.upn, GOOD).result == "ok"


def test_iteration_and_count(tenant, export):
    """The index lists live users in the order of their creation and knows how many are synchronized."""
    before = len(tenant.users)
    users = [export(tenant, name) for name in ("carol", "alice", "bob")]
    tenant.delete_user(users[1])
    assert list(tenant.users)[before:] == [users[0], users[2]]
    assert (tenant.users.synchronized, len(tenant.users)) == (2, before + 2)


STEPS = st.lists(
    st.tuples(st.sampled_from(["Set", "Add", "Delete", "wait"]), st.sampled_from("abc"), st.sampled_from("xyXY")),
    max_size=30,
)


@given(STEPS)
def test_names_and_anchors_stay_unique(steps):
    """Whatever is exported in whatever order: every live user is found by id, by anchor and by its own sign-in name."""
    clock = Clock(datetime(2017, 1, 13, tzinfo=UTC))
    tenant = Tenant(clock, Randomness(1), PROFILE_2017)
    for operation, anchor, name in steps:
        if operation == "wait":
            clock.move_to(clock() + timedelta(days=20))
        else:
            write(tenant, anchor, operation, userPrincipalName=f"{name}@contoso.example")
        users = list(tenant.users)
        assert len(users) == len(tenant.users)
        for user in users:
            assert tenant.users.by_id(user.id) is user
            assert tenant.find_by_upn(user.upn.upper()) is user
            assert user.source_anchor is None or tenant.find_by_anchor(user.source_anchor) is user


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("S-1-5-21-1-2-3-500", "S-1-5-21-1-2-3-500"),
        ("AQUAAAAAAAUVAAAAAQAAAAIAAAADAAAA9AEAAA==", "S-1-5-21-1-2-3-500"),
        (bytes.fromhex("010500000000000515000000010000000200000003000000f4010000"), "S-1-5-21-1-2-3-500"),
        ("AQUA", None), ("%", None), (b"", None), (b"\x01\xff", None), (7, None), (None, None), (["S-1-5"], None),
    ],
)  # fmt: skip
def test_security_identifier(tenant, export, sent, shown):
    """A security identifier comes as octets, as their base64, or as text, and is shown as text."""
    user = export(tenant, "alice", onPremiseSecurityIdentifier=sent)
    assert user.detail("onPremisesSecurityIdentifier") == shown
