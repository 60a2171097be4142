"""Values that belong to one user each: quarantined with duplicate attribute resiliency, refused without it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pwsync.tenant.messages import ObjectResult, SyncObject
from simulator.azure_ad.state import RESILIENCY, Tenant
from simulator.clock import Clock
from simulator.profile import PROFILE_2017, PROFILE_CURRENT
from simulator.random import Randomness

DUPLICATE = "AttributeValueMustBeUnique"


def write(tenant: Tenant, name: str, operation: str = "Set", **attributes: Any) -> ObjectResult:
    attributes.setdefault("userPrincipalName", f"{name}@contoso.example")
    return tenant.apply_object(SyncObject(f"{name}==", "User", operation, attributes))


@pytest.fixture
def tenant(tenant: Tenant) -> Tenant:
    """A tenant of 2017 whose administrator has switched the feature on."""
    tenant.set_feature(RESILIENCY, True)
    return tenant


class TestAddresses:
    @pytest.mark.parametrize(
        ("first", "second"),
        [
            ({"mail": "a@contoso.example"}, {"mail": "A@Contoso.example"}),
            ({"mail": "a@contoso.example"}, {"proxyAddresses": ["SMTP:a@contoso.example"]}),
            (
                {"proxyAddresses": ["x500:/o=A", "smtp:a@contoso.example"]},
                {"proxyAddresses": ["SMTP:A@contoso.example"]},
            ),
            ({"proxyAddresses": "smtp:a@contoso.example"}, {"mail": " a@contoso.example "}),
        ],
    )
    def test_quarantined(self, tenant: Tenant, first: dict[str, Any], second: dict[str, Any]) -> None:
        """The second user is made, without the address; the result names it."""
        write(tenant, "alice", **first)
        result = write(tenant, "bob", **second)
        assert (result.code, result.error_code) == ("Success", DUPLICATE)
        assert "ProxyAddresses a@contoso.example;" in (result.error_description or "")
        user = tenant.find_by_upn("bob@contoso.example")
        assert user is not None
        assert user.detail("mail") is None

    def test_refused(self, tenant: Tenant) -> None:
        """Without the feature the object is not made, and one that is there stays as it was."""
        tenant.set_feature(RESILIENCY, False)
        write(tenant, "alice", mail="a@contoso.example")
        write(tenant, "carol", displayName="Carol")
        for name in ("bob", "carol"):
            result = write(tenant, name, mail="a@contoso.example", displayName="New")
            assert (result.code, result.error_code) == ("Failure", DUPLICATE)
        assert tenant.find_by_upn("bob@contoso.example") is None
        carol = tenant.find_by_upn("carol@contoso.example")
        assert carol is not None
        assert carol.display_name == "Carol"

    def test_name_refused(self, tenant: Tenant) -> None:
        """Without the feature a taken sign-in name is an error too."""
        tenant.set_feature(RESILIENCY, False)
        write(tenant, "alice")
        result = write(tenant, "bob", userPrincipalName="alice@contoso.example")
        assert (result.code, result.error_code) == ("Failure", DUPLICATE)
        assert "UserPrincipalName alice@contoso.example;" in (result.error_description or "")

    @pytest.mark.parametrize("how", ["deleted", "changed", "cloud"])
    def test_free_again(self, tenant: Tenant, how: str) -> None:
        """Once nobody has the address the next export gives it."""
        write(tenant, "alice", mail="a@contoso.example")
        write(tenant, "bob", mail="a@contoso.example")
        if how == "deleted":
            write(tenant, "alice", "Delete")
        elif how == "changed":
            write(tenant, "alice", mail="alice@contoso.example")
        else:
            tenant.delete_user(tenant.find_by_anchor("alice=="))
        assert write(tenant, "bob", mail="a@contoso.example").error_code is None
        user = tenant.find_by_anchor("bob==")
        assert user is not None
        assert user.detail("mail") == "a@contoso.example"

    def test_own_address(self, tenant: Tenant) -> None:
        """A user's own addresses are no duplicates, however often they are told, and in whatever form."""
        addresses = ["SMTP:a@contoso.example", "smtp:A@contoso.example"]
        for _ in range(2):
            assert write(tenant, "alice", mail="a@contoso.example", proxyAddresses=addresses).error_code is None

    def test_restored(self, tenant: Tenant) -> None:
        """Who comes back from the recycle bin finds the address with its new owner."""
        write(tenant, "alice", mail="a@contoso.example")
        write(tenant, "alice", "Delete")
        write(tenant, "bob", mail="a@contoso.example")
        assert write(tenant, "alice", mail="a@contoso.example").error_code == DUPLICATE

    @pytest.mark.parametrize("value", [7, b"x", True, "", None])
    def test_no_address(self, tenant: Tenant, value: Any) -> None:
        """What is no text is nobody's address."""
        for name in ("alice", "bob"):
            assert write(tenant, name, mail=value).error_code is None


def test_feature_bits(tenant: Tenant) -> None:
    """The feature stands among the tenant's bits, and switches nothing else."""
    clock = Clock(datetime(2017, 1, 13, tzinfo=UTC))
    assert [Tenant(clock, Randomness(1), era).other_features for era in (PROFILE_2017, PROFILE_CURRENT)] == [16, 56]
    tenant.set_feature(RESILIENCY, False)
    assert (tenant.other_features, tenant.features) == (16, {"password-sync"})
    tenant.set_feature(RESILIENCY, True)
    assert tenant.other_features == 56


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["Set", "Delete"]),
        st.sampled_from("abc"),
        st.lists(st.sampled_from(["x", "X", "y"]), max_size=2),
    ),
    max_size=30,
)


@given(STEPS, st.booleans())
def test_nobody_shares(steps: list[tuple[str, str, list[str]]], resilient: bool) -> None:
    """Whatever is exported in whatever order: no two live users have one mail address."""
    tenant = Tenant(Clock(datetime(2017, 1, 13, tzinfo=UTC)), Randomness(1), PROFILE_2017)
    tenant.set_feature(RESILIENCY, resilient)
    for operation, name, addresses in steps:
        mail = addresses[0] if addresses else None
        result = write(tenant, name, operation, mail=mail, proxyAddresses=[f"smtp:{each}" for each in addresses])
        assert result.code == "Success" or not resilient
        held = [user.detail("mail") for user in tenant.users if user.detail("mail")]
        assert len({(each or "").lower() for each in held}) == len(held)
