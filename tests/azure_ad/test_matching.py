"""Objects that are users of the cloud already: soft match, hard match, and what blocks them; healing of quarantine."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pwsync.tenant.company import FEATURES
from pwsync.tenant.messages import ObjectResult, SyncObject
from simulator.azure_ad.state import RESILIENCY, Tenant
from simulator.clock import Clock
from simulator.profile import PROFILE_2017
from simulator.random import Randomness

GOOD = "Winter-2016!"
DUPLICATE = "AttributeValueMustBeUnique"


def write(tenant: Tenant, name: str, kind: str = "User", operation: str = "Set", **attributes: Any) -> ObjectResult:
    if kind == "User":
        attributes.setdefault("userPrincipalName", f"{name}@contoso.example")
    return tenant.apply_object(SyncObject(f"{name}==", kind, operation, attributes))


def switch(tenant: Tenant, name: str, on: bool) -> None:
    bit = FEATURES[name]
    tenant.other_features = tenant.other_features | bit if on else tenant.other_features & ~bit


@pytest.fixture
def tenant(tenant: Tenant) -> Tenant:
    """A tenant of 2017 whose administrator has switched duplicate attribute resiliency on."""
    tenant.set_feature(RESILIENCY, True)
    return tenant


class TestSoftMatch:
    def test_by_name(self, tenant: Tenant) -> None:
        """A user of the cloud with the object's sign-in name becomes the object's; id and password stay."""
        user = tenant.create_user("bob", GOOD)
        assert write(tenant, "bob", userPrincipalName=user.upn.upper(), displayName="Bob Example").error_code is None
        assert tenant.find_by_anchor("bob==") is user
        assert (user.display_name, tenant.sign_in(user.upn, GOOD).result) == ("Bob Example", "ok")

    @pytest.mark.parametrize(
        "attributes",
        [
            {"mail": "Bob@Contoso.example"},
            {"proxyAddresses": ["smtp:other@contoso.example", "SMTP:bob@contoso.example"]},
            {"proxyAddresses": "SMTP:bob@contoso.example"},
        ],
    )
    def test_by_address(self, tenant: Tenant, attributes: dict[str, Any]) -> None:
        """So does one with its primary address, whose sign-in name becomes the object's."""
        user = tenant.create_user("bob", GOOD)
        tenant.objects.set_mail(user, "bob@contoso.example")
        assert write(tenant, "robert", **attributes).error_code is None
        assert (tenant.find_by_anchor("robert=="), user.upn) == (user, "robert@contoso.example")

    def test_secondary_address(self, tenant: Tenant) -> None:
        """A secondary address matches nobody: it is a duplicate."""
        user = tenant.create_user("bob", GOOD)
        tenant.objects.set_mail(user, "bob@contoso.example")
        assert write(tenant, "robert", proxyAddresses=["smtp:bob@contoso.example"]).error_code == DUPLICATE
        assert user.source_anchor is None

    def test_administrators(self, tenant: Tenant) -> None:
        """An administrator is never taken over."""
        name, password = tenant.admin_account()
        assert write(tenant, "admin", userPrincipalName=name).error_code == DUPLICATE
        assert tenant.sign_in(name, password).result == "ok"

    @pytest.mark.parametrize(("feature", "on"), [("BlockSoftMatch", True), ("EnableSoftMatchOnUpn", False)])
    def test_blocked(self, tenant: Tenant, feature: str, on: bool) -> None:
        """The tenant's features block it; the name is then taken."""
        switch(tenant, feature, on)
        user = tenant.create_user("bob", GOOD)
        assert write(tenant, "bob", userPrincipalName=user.upn).error_code == DUPLICATE
        assert user.source_anchor is None

    def test_synchronized(self, tenant: Tenant, export: Callable[..., Any]) -> None:
        """A user who is another object's is not taken over."""
        first = export(tenant, "alice")
        assert write(tenant, "other", userPrincipalName=first.upn).error_code == DUPLICATE
        assert tenant.find_by_anchor("alice==") is first


class TestHardMatch:
    def test_by_immutable_id(self, tenant: Tenant) -> None:
        """A user of the cloud who has the object's anchor becomes the object's, whatever the names."""
        user = tenant.create_user("bob", GOOD)
        tenant.objects.matcher.set_immutable_id(user, "robert==")
        assert tenant.objects.matcher.immutable_id(user) == "robert=="
        assert write(tenant, "robert").code == "Success"
        assert (tenant.find_by_anchor("robert=="), user.upn) == (user, "robert@contoso.example")

    def test_blocked(self, tenant: Tenant) -> None:
        """Where the tenant blocks it the object is refused, and the user is as before."""
        switch(tenant, "BlockCloudObjectTakeoverThroughHardMatch", True)
        user = tenant.create_user("bob", GOOD)
        tenant.objects.matcher.set_immutable_id(user, "robert==")
        result = write(tenant, "robert")
        assert (result.code, result.error_code, user.source_anchor) == ("Failure", "InvalidHardMatch", None)
        tenant.objects.matcher.set_immutable_id(user, None)
        assert write(tenant, "robert").code == "Success"

    @pytest.mark.parametrize("anchor", ["User_", "User_nobody", "Group_1", "x", "User_\x00"])
    def test_unknown_cloud_anchor(self, tenant: Tenant, anchor: str) -> None:
        """A cloud anchor of nobody is refused; deleting nobody is done already."""
        attributes = {"userPrincipalName": "a@contoso.example"}
        assert tenant.apply_object(SyncObject("", "User", "Set", attributes, anchor)).code == "Failure"
        assert tenant.apply_object(SyncObject("", "User", "Delete", {}, anchor)).code == "Success"

    def test_user_of_the_cloud_is_not_deleted(self, tenant: Tenant) -> None:
        """Who is no synchronized object can't be deleted by an agent."""
        user = tenant.create_user("bob", GOOD)
        assert tenant.apply_object(SyncObject("", "User", "Delete", {}, f"User_{user.id}")).code == "Failure"
        assert tenant.find_by_upn(user.upn) is user

    def test_anchor_of_a_deleted_user(self, tenant: Tenant, export: Callable[..., Any]) -> None:
        """An anchor in the recycle bin is not given to another user."""
        export(tenant, "alice")
        write(tenant, "alice", operation="Delete")
        user = tenant.create_user("bob", GOOD)
        result = tenant.apply_object(SyncObject("alice==", "User", "Set", {}, f"User_{user.id}"))
        assert (result.error_code, user.source_anchor) == ("InvalidHardMatch", None)


class TestHealing:
    @pytest.mark.parametrize("how", ["deleted", "renamed", "cloud", "recycled"])
    def test_name(self, tenant: Tenant, how: str) -> None:
        """A quarantined sign-in name is given as soon as nobody has it, without another export."""
        write(tenant, "alice")
        write(tenant, "other", userPrincipalName="alice@contoso.example")
        user = tenant.find_by_anchor("other==")
        assert user is not None
        assert user.upn != "alice@contoso.example"
        if how == "deleted":
            write(tenant, "alice", operation="Delete")
        elif how == "renamed":
            write(tenant, "alice", userPrincipalName="alice.smith@contoso.example")
        elif how == "cloud":
            tenant.delete_user(tenant.find_by_anchor("alice=="))
        else:
            tenant.apply_object(SyncObject("other==", attributes={"displayName": "Other"}))
            tenant.delete_user(tenant.find_by_anchor("alice=="))
        assert user.upn == "alice@contoso.example"

    def test_address(self, tenant: Tenant) -> None:
        """So is an address, and mail with it."""
        write(tenant, "alice", mail="a@contoso.example", proxyAddresses=["smtp:b@contoso.example"])
        write(tenant, "bob", mail="A@contoso.example", proxyAddresses=["smtp:b@contoso.example"])
        bob = tenant.find_by_anchor("bob==")
        assert bob is not None
        assert (bob.detail("mail"), tenant.objects.more(bob)) == (None, {"proxyAddresses": []})
        write(tenant, "alice", mail="alice@contoso.example", proxyAddresses=[])
        assert bob.detail("mail") == "A@contoso.example"
        assert tenant.objects.more(bob) == {"proxyAddresses": ["smtp:b@contoso.example"]}

    def test_no_longer_wished(self, tenant: Tenant) -> None:
        """What a later export no longer wishes is not given."""
        write(tenant, "alice")
        write(tenant, "bob", userPrincipalName="alice@contoso.example")
        write(tenant, "bob")
        write(tenant, "alice", operation="Delete")
        bob = tenant.find_by_anchor("bob==")
        assert bob is not None
        assert bob.upn == "bob@contoso.example"

    def test_contact(self, tenant: Tenant) -> None:
        """Addresses are other objects' too: those of contacts and groups count."""
        write(tenant, "c", "Contact", mail="a@contoso.example")
        assert write(tenant, "alice", mail="a@contoso.example").error_code == DUPLICATE
        write(tenant, "c", "Contact", "Delete")
        alice = tenant.find_by_anchor("alice==")
        assert alice is not None
        assert alice.detail("mail") == "a@contoso.example"

    def test_refused(self, tenant: Tenant) -> None:
        """Without resiliency nothing is quarantined, a contact neither."""
        tenant.set_feature(RESILIENCY, False)
        write(tenant, "alice", mail="a@contoso.example")
        assert write(tenant, "c", "Contact", mail="a@contoso.example").code == "Failure"
        assert not list(tenant.objects.others)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["User", "Contact"]),
        st.sampled_from(["Set", "Delete"]),
        st.sampled_from("abc"),
        st.sampled_from("abc"),
        st.lists(st.sampled_from(["x", "X", "y"]), max_size=2),
    ),
    max_size=30,
)


@given(STEPS)
def test_all_wishes_come_true(steps: list[tuple[str, str, str, str, list[str]]]) -> None:
    """Whatever is exported: no two share a name or address, and a wish that nobody is in the way of has come true."""
    tenant = Tenant(Clock(datetime(2017, 1, 13, tzinfo=UTC)), Randomness(1), PROFILE_2017)
    tenant.set_feature(RESILIENCY, True)
    wishes: dict[str, tuple[str, set[str]]] = {}
    for kind, operation, name, upn, addresses in steps:
        told = {"userPrincipalName": f"{upn}@contoso.example"} if kind == "User" else {}
        proxies = [f"smtp:{each}" for each in addresses]
        write(tenant, name, kind, operation, **told, mail=None, proxyAddresses=proxies)
        if kind == "User" and operation == "Set":
            wishes[name] = (f"{upn}@contoso.example", {each.lower() for each in addresses})
        elif kind == "User":
            wishes.pop(name, None)
        users = {name: tenant.find_by_anchor(f"{name}==") for name in wishes}
        names = {user.upn for user in users.values() if user is not None}
        assert len(names) == len(users)
        for owner, (wanted, _) in wishes.items():
            user = users[owner]
            assert user is not None
            assert user.upn == wanted or wanted in names
    held = [tuple(str(each)) for each in tenant.objects.others if not each.deleted]
    assert len(held) == len(set(held))
