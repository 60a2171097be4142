"""Signing in: the order of the checks, smart lockout, and looking without touching."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pwsync.credential import nt_hash, protect
from simulator.azure_ad.sign_in import PasswordVerifier

GOOD = "Winter-2016!"


def fail(tenant, user, count, prefix="wrong"):
    return [tenant.sign_in(user.upn, f"{prefix}{number}").result for number in range(count)]


class TestOrder:
    def test_unknown(self, tenant):
        """Nobody of that name."""
        result = tenant.sign_in("nobody@contoso.example", GOOD)
        assert (result.result, result.aadsts, result.user) == ("unknown-user", 50034, None)

    def test_no_password(self, tenant, export):
        """An exported user whose password has not arrived has none, and no try counts."""
        user = export(tenant, "alice")
        assert fail(tenant, user, 20) == ["no-password"] * 20
        assert tenant.sign_in(user.upn, GOOD).aadsts == 50056

    def test_wrong_before_disabled(self, tenant, synchronize):
        """Whether an account is disabled is told only to who knows the password."""
        user = synchronize(tenant, "alice", GOOD)
        tenant.set_user(user, enabled=False)
        assert tenant.sign_in(user.upn, "wrong").aadsts == 50126
        assert (tenant.sign_in(user.upn, GOOD).result, tenant.sign_in(user.upn, GOOD).aadsts) == ("disabled", 50057)

    def test_disabled_before_expired(self, tenant, later):
        """A disabled account with an expired password is disabled."""
        user = tenant.create_user("bob", GOOD, password_age=timedelta(days=100))
        assert tenant.sign_in(user.upn, GOOD).aadsts == 50055
        tenant.set_user(user, enabled=False)
        assert tenant.sign_in(user.upn, GOOD).result == "disabled"

    def test_deleted(self, tenant, synchronize):
        """A deleted user is unknown."""
        user = synchronize(tenant, "alice", GOOD)
        tenant.delete_user(user)
        assert tenant.sign_in(user.upn, GOOD).result == "unknown-user"

    @pytest.mark.parametrize("password", [" " + GOOD, GOOD + " ", "\t" + GOOD, "", GOOD + "\n"])
    def test_white_space(self, tenant, synchronize, password):
        """White space at either end is never accepted, though the hash be right; nor is an empty password."""
        user = synchronize(tenant, "alice", password)
        assert tenant.sign_in(user.upn, password).result == "wrong-password"
        assert tenant.has_password(user, password)

    @pytest.mark.parametrize("password", ["\ud800", "x" * 100_000, "\x00", "🔑"])
    def test_odd_passwords(self, tenant, synchronize, password):
        """Any text can be tried."""
        user = synchronize(tenant, "alice", GOOD)
        assert tenant.sign_in(user.upn, password).result == "wrong-password"


class TestSmartLockout:
    @pytest.fixture
    def user(self, tenant):
        return tenant.create_user("bob", GOOD)

    def test_ten_lock(self, tenant, user, later):
        """Ten different wrong passwords lock for a minute; even the right one is refused then."""
        assert fail(tenant, user, 10) == ["wrong-password"] * 10
        assert tenant.sign_in(user.upn, GOOD).aadsts == 50053
        later(seconds=59)
        assert tenant.sign_in(user.upn, GOOD).result == "locked"
        later(seconds=1)
        assert tenant.sign_in(user.upn, GOOD).result == "ok"

    def test_nine_do_not(self, tenant, user):
        """Nine do not lock, and a success starts the count again."""
        for _ in range(3):
            fail(tenant, user, 9)
            assert tenant.sign_in(user.upn, GOOD).result == "ok"

    def test_repeats(self, tenant, user):
        """The same wrong password again and again never locks; nor do three in turn."""
        for _ in range(20):
            fail(tenant, user, 3)
        assert tenant.sign_in(user.upn, GOOD).result == "ok"

    def test_four_in_turn(self, tenant, user):
        """Only the last three are remembered: four in turn do lock."""
        for _ in range(3):
            fail(tenant, user, 4)
        assert tenant.sign_in(user.upn, GOOD).result == "locked"

    def test_grows(self, tenant, user, later):
        """The first failure after a lock locks again, for longer; a success ends that."""
        fail(tenant, user, 10)
        later(seconds=60)
        fail(tenant, user, 1, "again")
        later(seconds=119)
        assert tenant.sign_in(user.upn, GOOD).result == "locked"
        later(seconds=1)
        assert tenant.sign_in(user.upn, GOOD).result == "ok"
        assert fail(tenant, user, 9) == ["wrong-password"] * 9
        assert tenant.sign_in(user.upn, GOOD).result == "ok"

    def test_never_endless(self, tenant, user, later):
        """Thousands of locks do not overflow anything."""
        tenant.set_policy(lockout_duration=timedelta.max)
        fail(tenant, user, 10)
        for number in range(20):
            later(days=366 * 2)
            fail(tenant, user, 1, f"more{number}-")
        assert tenant.sign_in(user.upn, GOOD).result == "locked"

    def test_reset_unlocks(self, tenant, user):
        """An administrator's reset unlocks."""
        fail(tenant, user, 10)
        tenant.reset_password(user, "Helpdesk-77!")
        assert tenant.sign_in(user.upn, "Helpdesk-77!").result == "ok"

    def test_off(self, tenant, user):
        """A threshold of 0 never locks."""
        tenant.set_policy(lockout_threshold=0)
        fail(tenant, user, 100)
        assert tenant.sign_in(user.upn, GOOD).result == "ok"


class TestObserve:
    def test_leaves_no_trace(self, tenant):
        """Looking counts no failure, forgives none, and is not logged."""
        user = tenant.create_user("bob", GOOD)
        fail(tenant, user, 9)
        for number in range(20):
            assert tenant.sign_in(user.upn, f"look{number}", observe=True).result == "wrong-password"
        assert tenant.sign_in(user.upn, GOOD, observe=True).result == "ok"
        assert len(tenant.sign_in_log) == 9
        fail(tenant, user, 1, "tenth")
        assert tenant.sign_in(user.upn, GOOD, observe=True).result == "locked"

    def test_log(self, tenant, clock):
        """Real sign-ins are logged with result and code, never with the password."""
        user = tenant.create_user("bob", GOOD)
        tenant.sign_in(user.upn, GOOD)
        tenant.sign_in("nobody", GOOD)
        assert tenant.sign_in_log == [(clock(), user.upn, "ok", 0), (clock(), "nobody", "unknown-user", 50034)]


def test_verifier_is_bounded():
    """The memory of verdicts forgets the oldest and stays right."""
    verifier = PasswordVerifier()
    blobs = [protect(nt_hash(str(number)), bytes(10), 1) for number in range(50)]
    for _ in range(2):
        for left in range(50):
            for right, blob in enumerate(blobs):
                assert verifier.matches(nt_hash(str(left)), blob) == (left == right)
    unknown = protect(nt_hash("unknown"), bytes(10), 1)
    for number in range(5000):
        nt = number.to_bytes(16)
        assert not verifier.matches(nt, unknown)
        assert verifier.matches(nt, protect(nt, bytes(10), 1))
    assert verifier.matches(nt_hash("unknown"), unknown)
    assert len(verifier._refused) <= 4096
    assert len(verifier._origins) <= 4096
