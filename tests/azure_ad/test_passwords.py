"""Passwords coming in: synchronized, reset, changed, created."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pwsync.credential import nt_hash, verify
from simulator.azure_ad.policy import CloudPolicy
from simulator.azure_ad.state import PASSWORD_SYNC, Tenant
from simulator.azure_ad.users import CloudUser
from simulator.profile import PROFILE_2017
from simulator.random import Randomness
from simulator.refusal import Refusal


def refused(reason):
    return pytest.raises(Refusal, match=f"^{reason}(:|$)")


class TestSynchronized:
    def test_signs_in(self, tenant, synchronize):
        """A synchronized password signs in, never expires, and is marked as synchronized."""
        user = synchronize(tenant, "alice", "Winter-2016!")
        assert tenant.sign_in(user.upn, "Winter-2016!").result == "ok"
        assert (user.source, tenant.expires(user), user.must_change) == ("synced", None, False)

    @pytest.mark.parametrize("password", ["x", "пароль", "a" * 127, "blank inside", "\U0001f511key"])
    def test_no_cloud_policy(self, tenant, synchronize, password):
        """Whatever the directory takes works in the cloud."""
        user = synchronize(tenant, "alice", password)
        assert tenant.sign_in(user.upn, password).result == "ok"

    def test_stored_as_sent(self, tenant, export, item):
        """The tenant keeps the text that was sent, and nothing else of the password."""
        user = export(tenant, "alice")
        sent = item("alice", "Winter-2016!")
        tenant.apply_credential(sent)
        assert user.credential == sent.credential
        assert user.credential not in repr(user)

    def test_unknown_anchor(self, tenant, item):
        """A credential for an object that is not there (yet) answers 2."""
        assert tenant.apply_credential(item("nobody", "Winter-2016!")).result == 2
        assert tenant.writes == []

    def test_deleted_user(self, tenant, synchronize, item):
        """A deleted object takes no credential."""
        user = synchronize(tenant, "alice", "Winter-2016!")
        tenant.delete_user(user)
        assert tenant.apply_credential(item("alice", "Spring-2017!")).result == 2

    def test_cloud_anchor(self, tenant, export, item):
        """The cloud anchor names the user as well."""
        user = export(tenant, "alice")
        sent = item("alice", "Winter-2016!", source_anchor=None, cloud_anchor=f"User_{user.id}")
        assert tenant.apply_credential(sent).result == 0
        assert tenant.apply_credential(item("alice", "x", source_anchor=None, cloud_anchor="User_")).result == 2

    @pytest.mark.parametrize(
        "text", ["", "Winter-2016!", "v1;PPH1_MD4,zz,1000,00;", "v1;PPH1_MD4," + "0" * 20 + ",0," + "0" * 64 + ";"]
    )
    def test_malformed(self, tenant, synchronize, item, text):
        """A credential that can't be read is refused and changes nothing."""
        user = synchronize(tenant, "alice", "Winter-2016!")
        result = tenant.apply_credential(item("alice", "", credential=text, force_change=True))
        assert result.result not in (0, 2)
        assert result.error
        assert tenant.sign_in(user.upn, "Winter-2016!").result == "ok"
        assert len(tenant.writes) == 1

    def test_last_write_wins(self, tenant, synchronize, item, clock):
        """What arrives last stays, whatever its change date."""
        user = synchronize(tenant, "alice", "Winter-2016!")
        tenant.apply_credential(item("alice", "Autumn-2015!", change_date=clock() - timedelta(days=365)))
        assert tenant.sign_in(user.upn, "Autumn-2015!").result == "ok"

    def test_feature_off(self, tenant, export, item):
        """With the feature off the whole call is refused with error 90; the last password stays valid."""
        export(tenant, "alice")
        tenant.apply_credential(item("alice", "Winter-2016!"))
        tenant.set_feature(PASSWORD_SYNC, False)
        with pytest.raises(Refusal) as caught:
            tenant.apply_credential(item("alice", "Spring-2017!"))
        assert caught.value.data == {"fault": 90}
        assert tenant.sign_in("alice@contoso.example", "Winter-2016!").result == "ok"

    def test_force_change(self, tenant, export, item):
        """The force flag counts only with the feature; a later password without it lifts the state."""
        user = export(tenant, "alice")
        forced = item("alice", "Temp-2017!", force_change=True)
        tenant.apply_credential(forced)
        assert not user.must_change
        tenant.set_feature("force-password-change-on-logon", True)
        tenant.apply_credential(forced)
        assert tenant.sign_in(user.upn, "Temp-2017!").result == "must-change"
        tenant.apply_credential(item("alice", "Spring-2017!"))
        assert tenant.sign_in(user.upn, "Spring-2017!").result == "ok"

    def test_policy_feature(self, current, export, item, clock):
        """Today the tenant may let synchronized passwords expire, counted from the change on premises."""
        user = export(current, "alice")
        current.apply_credential(item("alice", "Winter-2016!"))
        current.set_feature("cloud-policy-for-synced-users", True)
        assert current.expires(user) is None
        changed = clock() - timedelta(days=10)
        current.apply_credential(item("alice", "Winter-2016!", change_date=changed))
        assert current.expires(user) == changed + timedelta(days=90)

    def test_policy_feature_in_2017(self, tenant, synchronize):
        """In 2017 synchronized passwords never expire, whatever is set."""
        tenant.set_feature("cloud-policy-for-synced-users", True)
        assert tenant.expires(synchronize(tenant, "alice", "Winter-2016!")) is None


class TestReset:
    def test_replaces(self, tenant, synchronize, clock, later):
        """A reset replaces the synchronized password and expires like a cloud password."""
        user = synchronize(tenant, "alice", "Winter-2016!")
        later(minutes=6)
        tenant.reset_password(user, "Helpdesk-77!")
        assert tenant.sign_in(user.upn, "Helpdesk-77!").result == "ok"
        assert tenant.sign_in(user.upn, "Winter-2016!").result == "wrong-password"
        assert (user.source, tenant.expires(user)) == ("admin-reset", clock() + timedelta(days=90))

    def test_expires(self, tenant, synchronize, later):
        """On the day it expires the password is right and yet refused."""
        user = synchronize(tenant, "alice", "Winter-2016!")
        tenant.reset_password(user, "Helpdesk-77!")
        later(days=90, seconds=-1)
        assert tenant.sign_in(user.upn, "Helpdesk-77!").result == "ok"
        later(seconds=1)
        assert tenant.sign_in(user.upn, "Helpdesk-77!").result == "expired"

    def test_next_change_overrides(self, tenant, synchronize):
        """The next synchronized password wins and never expires again."""
        user = synchronize(tenant, "alice", "Winter-2016!")
        tenant.reset_password(user, "Helpdesk-77!", must_change=True)
        synchronize(tenant, "alice", "Spring-2017!")
        assert tenant.sign_in(user.upn, "Spring-2017!").result == "ok"
        assert (user.source, tenant.expires(user), user.must_change) == ("synced", None, False)

    def test_policy(self, tenant, synchronize):
        """A weak password is refused, and nothing changes."""
        user = synchronize(tenant, "alice", "Winter-2016!")
        with refused("password-too-short"):
            tenant.reset_password(user, "short")
        assert tenant.sign_in(user.upn, "Winter-2016!").result == "ok"
        assert [write.by for write in tenant.writes] == ["sync"]

    def test_same_password_again(self, tenant):
        """A reset may use the last password again."""
        user = tenant.create_user("bob", "Winter-2016!")
        tenant.reset_password(user, "Winter-2016!")
        assert user.source == "admin-reset"

    def test_must_change(self, tenant):
        """The administrator may ask for a change at the next sign-in."""
        user = tenant.create_user("bob", "Winter-2016!")
        tenant.reset_password(user, "Helpdesk-77!", must_change=True)
        assert tenant.sign_in(user.upn, "Helpdesk-77!").result == "must-change"
        tenant.change_password(user, "Helpdesk-77!", "Spring-2017!")
        assert tenant.sign_in(user.upn, "Spring-2017!").result == "ok"

    def test_federated(self, tenant, synchronize, federate):
        """A federated user's password can't be reset in the cloud."""
        user = synchronize(tenant, "alice", "Winter-2016!")
        federate("CONTOSO.example")
        with refused("federated-domain"):
            tenant.reset_password(user, "Helpdesk-77!")
        tenant.federated_domains.set("contoso.example", None)
        tenant.reset_password(user, "Helpdesk-77!")

    def test_no_such_user(self, tenant):
        """A user who is not there, or no more, is refused."""
        with refused("no-such-user"):
            tenant.reset_password(tenant.find_by_name("nobody"), "Helpdesk-77!")
        user = tenant.create_user("bob", "Winter-2016!")
        tenant.delete_user(user)
        for act in (tenant.delete_user, tenant.revoke_sessions, tenant.set_user):
            with refused("no-such-user"):
                act(user)


class TestOwnChange:
    @pytest.fixture
    def user(self, tenant: Tenant) -> CloudUser:
        return tenant.create_user("bob", "Winter-2016!")

    def test_changes(self, tenant, user):
        """With the right old password the new one is taken."""
        tenant.change_password(user, "Winter-2016!", "Spring-2017!")
        assert tenant.sign_in(user.upn, "Spring-2017!").result == "ok"
        assert user.source == "cloud"

    @pytest.mark.parametrize(
        ("old", "new", "reason"),
        [
            ("Winter-2016?", "Spring-2017!", "wrong-password"),
            ("", "Spring-2017!", "wrong-password"),
            ("Winter-2016!", "Winter-2016!", "password-reused"),
            ("Winter-2016!", "spring", "password-too-short"),
        ],
    )
    def test_refuses(self, tenant, user, old, new, reason):
        """A wrong old password, the current one, and what the policy forbids are refused."""
        with refused(reason):
            tenant.change_password(user, old, new)
        assert tenant.sign_in(user.upn, "Winter-2016!").result == "ok"

    def test_expired_may_change(self, tenant, user, later):
        """An expired password still lets its user change it."""
        later(days=91)
        tenant.change_password(user, "Winter-2016!", "Spring-2017!")
        assert tenant.sign_in(user.upn, "Spring-2017!").result == "ok"

    def test_locked_or_disabled(self, tenant, user):
        """A locked sign-in and a disabled account can't change their password."""
        for attempt in range(10):
            tenant.sign_in(user.upn, f"wrong{attempt}")
        with refused("locked"):
            tenant.change_password(user, "Winter-2016!", "Spring-2017!")
        tenant.reset_password(user, "Winter-2016!")
        tenant.set_user(user, enabled=False)
        with refused("disabled"):
            tenant.change_password(user, "Winter-2016!", "Spring-2017!")

    def test_synchronized_user(self, tenant, synchronize, clock):
        """A synchronized user's own change falls under the cloud's expiry; without any password there is none."""
        user = synchronize(tenant, "alice", "Winter-2016!")
        tenant.change_password(user, "Winter-2016!", "Spring-2017!")
        assert (user.source, tenant.expires(user)) == ("cloud", clock() + timedelta(days=90))

    def test_no_password(self, tenant, export):
        """Who has no password can't change it."""
        with refused("wrong-password"):
            tenant.change_password(export(tenant, "alice"), "", "Spring-2017!")


class TestCreate:
    def test_policy(self, tenant):
        """A cloud user's first password is subject to the policy, unless the caller knows better."""
        with refused("password-too-short"):
            tenant.create_user("bob", "short")
        user = tenant.create_user("bob", "short", check_policy=False)
        assert tenant.sign_in("BOB@contoso.onmicrosoft.com", "short").result == "ok"
        assert (user.source, user.upn) == ("cloud", "bob@contoso.onmicrosoft.com")
        assert tenant.find_by_name("Bob") is user

    def test_age(self, tenant, clock):
        """The password may be older than the user."""
        user = tenant.create_user("bob", "Winter-2016!", password_age=timedelta(days=89))
        assert tenant.expires(user) == clock() + timedelta(days=1)

    @pytest.mark.parametrize("name", ["", "a@b", "a b", "x" * 65, "ä", "bob"])
    def test_names(self, tenant, name):
        """A name that is empty, too long, not allowed or taken is refused."""
        tenant.create_user("bob", "Winter-2016!")
        with refused("not-supported"):
            tenant.create_user(name, "Winter-2016!")


class TestSettings:
    def test_policy(self, tenant):
        """Policy values can be changed one by one; an unknown one is refused."""
        tenant.set_policy(min_length=12, max_age=None)
        assert tenant.policy == CloudPolicy(min_length=12, max_age=None)
        with refused("not-supported"):
            tenant.set_policy(colour="blue")

    def test_features(self, tenant):
        """An unknown feature is refused."""
        with refused("not-supported"):
            tenant.set_feature("password-writeback", True)

    def test_user(self, tenant):
        """A user's policies can be set and cleared; setting them makes an old password expire at once or never."""
        user = tenant.create_user("bob", "Winter-2016!", password_age=timedelta(days=200))
        assert tenant.sign_in(user.upn, "Winter-2016!").result == "expired"
        tenant.set_user(user, password_policies="DisablePasswordExpiration")
        assert tenant.sign_in(user.upn, "Winter-2016!").result == "ok"
        tenant.set_user(user, password_policies="None")
        assert tenant.sign_in(user.upn, "Winter-2016!").result == "expired"

    def test_user_atomic(self, tenant):
        """A change with an unknown policy changes nothing."""
        user = tenant.create_user("bob", "Winter-2016!")
        with refused("not-supported"):
            tenant.set_user(user, enabled=False, password_policies="Nonsense")
        assert user.enabled


class TestObservation:
    def test_writes(self, tenant, synchronize, clock):
        """Every password taken is listed in order, with who set it."""
        user = synchronize(tenant, "alice", "Winter-2016!")
        tenant.reset_password(user, "Helpdesk-77!")
        tenant.change_password(user, "Helpdesk-77!", "Spring-2017!")
        bob = tenant.create_user("bob", "Winter-2016!")
        assert [(w.sequence, w.by, w.user_id) for w in tenant.writes] == [
            (1, "sync", user.id),
            (2, "admin", user.id),
            (3, "user", user.id),
            (4, "create", bob.id),
        ]
        assert verify(nt_hash("Helpdesk-77!"), tenant.writes[1].credential)
        assert {w.at for w in tenant.writes} == {clock()}

    def test_alert(self, tenant, clock, later):
        """120 minutes without contact raise the alert, once there was any and the feature is on."""
        later(days=1)
        assert tenant.alert(clock()) == "none"
        tenant.contact(ping=True)
        assert (tenant.last_ping, tenant.last_contact) == (clock(), clock())
        later(minutes=120, seconds=-1)
        assert tenant.alert(clock()) == "none"
        later(seconds=1)
        assert tenant.alert(clock()) == "heartbeat"
        tenant.set_feature(PASSWORD_SYNC, False)
        assert tenant.alert(clock()) == "none"

    def test_service_accounts(self, tenant):
        """The agent's account and the administrator sign in, never expire, and count as no write."""
        for upn, password in (tenant.sync_account(), tenant.admin_account()):
            found = tenant.sign_in(upn, password)
            assert found.result == "ok"
            assert found.user is not None
            assert tenant.expires(found.user) is None
        assert tenant.writes == []

    def test_repeats(self, clock):
        """The same seed makes the same tenant, salts and ids included; another seed another."""

        def story(seed):
            tenant = Tenant(clock, Randomness(seed), PROFILE_2017)
            tenant.create_user("bob", "Winter-2016!")
            return tenant.tenant_id, tenant.sync_account(), tenant.writes

        assert story(1) == story(1)
        assert story(1) != story(2)


class TestSelfService:
    """A user who has forgotten the password resets it."""

    def test_unlocks_and_may_repeat(self, tenant, synchronize):
        """It ends a lock and a session, and the forgotten password may be the new one."""
        user = synchronize(tenant, "alice", "Winter-2016!")
        session = tenant.open_session(user)
        for number in range(10):
            tenant.sign_in(user.upn, f"guess-{number}")
        assert tenant.sign_in(user.upn, "Winter-2016!").result == "locked"
        tenant.self_service_reset(user, "Winter-2016!")
        assert tenant.sign_in(user.upn, "Winter-2016!").result == "ok"
        assert tenant.session_state(session)[1] == "revoked"
        assert (user.source, tenant.expires(user) is None) == ("cloud", False)

    def test_change_does_not_unlock(self, tenant, synchronize):
        """A change by somebody who knows the password is refused while the sign-in is locked."""
        user = synchronize(tenant, "alice", "Winter-2016!")
        for number in range(10):
            tenant.sign_in(user.upn, f"guess-{number}")
        with pytest.raises(Refusal, match="locked"):
            tenant.change_password(user, "Winter-2016!", "Spring-2017!")

    @pytest.mark.parametrize(
        ("password", "reason"), [("short", "password-too-short"), ("winterwinter", "password-too-weak")]
    )
    def test_policy(self, tenant, synchronize, password, reason):
        """The cloud's rules hold."""
        with pytest.raises(Refusal, match=reason):
            tenant.self_service_reset(synchronize(tenant, "alice", "Winter-2016!"), password)

    def test_disabled(self, tenant, synchronize):
        """A disabled user resets nothing."""
        user = synchronize(tenant, "alice", "Winter-2016!")
        tenant.set_user(user, enabled=False)
        with pytest.raises(Refusal, match="disabled"):
            tenant.self_service_reset(user, "Spring-2017!")
