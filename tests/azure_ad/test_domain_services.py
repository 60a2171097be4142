"""Domain Services of a tenant: what it takes from agents, what it makes itself, and what it loses."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from pwsync.credential import nt_hash
from pwsync.tenant.messages import SyncObject
from pwsync.windows_credentials import Sealer
from simulator.azure_ad.passwords import ACCEPTED, MALFORMED
from simulator.azure_ad.state import GARBLED, Tenant
from simulator.domain_services.secret_key import certificate
from simulator.domain_services.state import Account
from simulator.refusal import Refusal

SEALER = Sealer(certificate(), Random(1))
LEGACY = SEALER.legacy(nt_hash("Winter-2016!"))


@pytest.fixture
def account(tenant: Tenant, later: Callable[..., None]) -> Callable[[str], Account | None]:
    """An account of the managed domain, as it is after its lag."""

    def look(name: str) -> Account | None:
        later(minutes=20)
        assert tenant.domain_services is not None
        return tenant.domain_services.domain.principal(name)

    return look


class TestSealed:
    def test_taken(self, tenant, synchronize, export, item, account) -> None:
        """With Domain Services on a password's secrets go along to the managed domain."""
        tenant.set_domain_services(True)
        export(tenant, "alice")
        assert tenant.apply_credential(item("alice", "Winter-2016!", legacy=LEGACY)).result == ACCEPTED
        assert account("alice").nt_hash == nt_hash("Winter-2016!")

    def test_nobody_wants_them(self, tenant, export, item, account) -> None:
        """Without Domain Services they are passed over, whatever they are, and not kept for later."""
        export(tenant, "alice")
        assert tenant.apply_credential(item("alice", "Winter-2016!", legacy=LEGACY)).result == ACCEPTED
        assert tenant.apply_credential(item("alice", "Winter-2016!", legacy="???")).result == ACCEPTED
        tenant.set_domain_services(True)
        assert account("alice").nt_hash is None

    @pytest.mark.parametrize("text", ["", "???", LEGACY[:-8], LEGACY[:40] + "AAAA" + LEGACY[44:]])
    @pytest.mark.parametrize("part", ["legacy", "supplemental"])
    def test_garbled(self, tenant, synchronize, item, text, part) -> None:
        """Garbled secrets are refused with their item, and the password is as it was; the next item is not hurt."""
        user = synchronize(tenant, "alice", "Winter-2016!")
        synchronize(tenant, "bob", "Winter-2016!")
        tenant.set_domain_services(True)
        before = user.credential
        found = tenant.apply_credential(item("alice", "Spring-2017!", **{part: text}))
        assert (found.result, found.error, user.credential) == (MALFORMED, GARBLED, before)
        assert tenant.apply_credential(item("bob", "Spring-2017!", legacy=LEGACY)).result == ACCEPTED

    def test_none_leaves_what_is_there(self, tenant, export, item, account) -> None:
        """A password without secrets changes the cloud's password alone."""
        tenant.set_domain_services(True)
        export(tenant, "alice")
        tenant.apply_credential(item("alice", "Winter-2016!", legacy=LEGACY))
        tenant.apply_credential(item("alice", "Spring-2017!"))
        assert account("alice").nt_hash == nt_hash("Winter-2016!")

    def test_by_cloud_anchor(self, tenant, export, item, account) -> None:
        """An agent that names the user by the cloud's anchor is understood as well."""
        tenant.set_domain_services(True)
        user = export(tenant, "alice")
        anchors = {"source_anchor": None, "cloud_anchor": f"User_{user.id}"}
        assert tenant.apply_credential(item("alice", "Winter-2016!", legacy=LEGACY, **anchors)).result == ACCEPTED
        assert account("alice").nt_hash == nt_hash("Winter-2016!")


class TestTyped:
    def test_change_reset_and_creation(self, tenant, account) -> None:
        """A password that is set in the cloud makes hash and keys, salted with the managed domain's realm."""
        cleo = tenant.create_user("Cleo", "Cloud-2017!", check_policy=False)
        tenant.set_domain_services(True)
        assert account("cleo").nt_hash is None
        tenant.change_password(cleo, "Cloud-2017!", "Cloud-2018!")
        found = account("cleo")
        assert (found.nt_hash, found.salt) == (nt_hash("Cloud-2018!"), "CONTOSO.ONMICROSOFT.COMCleo")
        assert set(found.keys) == {17, 18, 23}
        tenant.reset_password(cleo, "Cloud-2019!")
        tenant.create_user("dan", "Cloud-2020!")
        assert account("cleo").nt_hash == nt_hash("Cloud-2019!")
        assert account("dan").nt_hash == nt_hash("Cloud-2020!")

    def test_refused(self, tenant, account) -> None:
        """A password that the cloud refuses leaves no trace in the managed domain."""
        tenant.set_domain_services(True)
        cleo = tenant.create_user("cleo", "Cloud-2017!")
        with pytest.raises(Refusal):
            tenant.reset_password(cleo, "x")
        assert account("cleo").nt_hash == nt_hash("Cloud-2017!")


class TestAccounts:
    def test_service_accounts_stay_out(self, tenant, account) -> None:
        """The synchronization account and the administrator of the tenant are no accounts of the domain."""
        tenant.set_domain_services(True)
        assert account("admin") is None
        assert len(tenant.domain_services.domain) == 0

    def test_follow_the_tenant(self, tenant, export, account) -> None:
        """Disabling, the name on premises, deletion and return arrive like everything else."""
        tenant.set_domain_services(True)
        user = export(tenant, "alice", onPremisesSamAccountName="AliceJ")
        tenant.set_user(user, enabled=False)
        assert account("alicej").enabled is False
        tenant.delete_user(user)
        assert account("alicej") is None
        export(tenant, "alice", onPremisesSamAccountName="AliceJ")
        assert account("alicej").enabled is True
        tenant.apply_object(SyncObject("alice==", "User", "Delete", {}))
        assert account("alicej") is None

    def test_deleted_domain(self, tenant, export, item, account) -> None:
        """Switched off, there is no domain; on again, it is a new one without a hash."""
        tenant.set_domain_services(True)
        export(tenant, "alice")
        tenant.apply_credential(item("alice", "Winter-2016!", legacy=LEGACY))
        first = tenant.domain_services.domain
        tenant.set_domain_services(True)
        assert tenant.domain_services.domain is first
        assert account("alice").nt_hash is not None
        tenant.set_domain_services(False)
        tenant.set_domain_services(False)
        assert tenant.domain_services is None
        assert (len(first), first.principal("alice")) == (0, None)
        tenant.set_domain_services(True)
        assert account("alice").nt_hash is None


def test_lag_is_the_domains(tenant, export, item, later) -> None:
    """The tenant itself takes a password at once."""
    tenant.set_domain_services(True)
    user = export(tenant, "alice")
    tenant.apply_credential(item("alice", "Winter-2016!", legacy=LEGACY))
    assert tenant.has_password(user, "Winter-2016!")
    later(minutes=20, microseconds=-1)
    assert tenant.domain_services.domain.principal("alice") is None
