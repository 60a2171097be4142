"""Setting passwords: rules, order of refusals, history, and the log."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from pwsync.credential import nt_hash
from simulator.refusal import Refusal


def refused(call: Callable[..., Any], *arguments: Any, **options: Any) -> str:
    """The reason for which a call is refused."""
    with pytest.raises(Refusal) as caught:
        call(*arguments, **options)
    return caught.value.reason


class TestChange:
    """A user's own change."""

    def test_good(self, lab):
        """A change sets hash, time and version, and is logged."""
        lab.user()
        lab.wait(minutes=1)
        lab.domain.change_password("alice", "Winter-2016!", "Spring-2017!")
        account = lab.domain.find("alice")
        assert account.nt_hash == nt_hash("Spring-2017!")
        assert account.version == 2
        assert account.changed == account.password_last_set == lab.clock()
        last = lab.domain.password_log[-1]
        assert (last.name, last.kind, last.nt_hash, last.at) == ("alice", "change", account.nt_hash, lab.clock())

    @pytest.mark.parametrize(
        ("old", "new", "reason"),
        [
            ("wrong", "Spring-2017!", "wrong-password"),
            ("Winter-2016!", "Sp-7!", "password-too-short"),
            ("Winter-2016!", "springtime", "password-too-weak"),
            ("Winter-2016!", "Alice-2017!", "password-too-weak"),
            ("Winter-2016!", "Winter-2016!", "password-reused"),
        ],
    )
    def test_refused(self, lab, old, new, reason):
        """Each rule refuses with its own reason, and nothing changes."""
        lab.user()
        before, logged = lab.domain.version, len(lab.domain.password_log)
        assert refused(lab.domain.change_password, "alice", old, new) == reason
        assert lab.domain.version == before
        assert len(lab.domain.password_log) == logged

    def test_unknown_user(self, lab):
        """A user who does not exist can't change anything."""
        assert refused(lab.domain.change_password, "nobody", "a", "b") == "no-such-user"

    def test_group_is_no_user(self, lab):
        """The name of a group is not the name of a user."""
        assert refused(lab.domain.reset_password, "Domain Admins", "Spring-2017!") == "no-such-user"

    def test_too_young(self, lab_with):
        """Minimum age holds for changes, not for resets, and not when the password must be changed."""
        lab = lab_with(min_age=timedelta(days=1))
        lab.user()
        change = lab.domain.change_password
        assert refused(change, "alice", "Winter-2016!", "Spring-2017!") == "password-too-young"
        lab.domain.reset_password("alice", "Summer-2017!")
        assert refused(change, "alice", "Summer-2017!", "Spring-2017!") == "password-too-young"
        lab.domain.require_change("alice")
        change("alice", "Summer-2017!", "Spring-2017!")
        lab.wait(days=1)
        change("alice", "Spring-2017!", "Autumn-2017!")

    @pytest.mark.parametrize(("prepare", "reason"), [({"enabled": False}, "disabled"), ({}, "locked")])
    def test_account_state(self, lab_with, prepare, reason):
        """Disabled and locked accounts change nothing."""
        lab = lab_with(lockout_threshold=1)
        lab.user(**prepare)
        if reason == "locked":
            lab.domain.logon("alice", "wrong")
        assert refused(lab.domain.change_password, "alice", "Winter-2016!", "Spring-2017!") == reason

    def test_expired_may_change(self, lab):
        """An expired password, and one that must be changed, may be changed; that clears must-change."""
        lab.user(password_age=timedelta(days=50))
        assert lab.domain.logon("alice", "Winter-2016!") == "expired"
        lab.domain.require_change("alice")
        lab.domain.change_password("alice", "Winter-2016!", "Spring-2017!")
        assert not lab.domain.find("alice").must_change
        assert lab.domain.logon("alice", "Spring-2017!") == "ok"

    def test_history_depth(self, lab_with):
        """A history of 3 lets the password of three changes ago back, and no younger one."""
        lab = lab_with(history=3)
        lab.user(password="Pass-word-0")
        for number in range(3):
            lab.domain.change_password("alice", f"Pass-word-{number}", f"Pass-word-{number + 1}")
        change = lab.domain.change_password
        assert refused(change, "alice", "Pass-word-3", "Pass-word-3") == "password-reused"
        assert refused(change, "alice", "Pass-word-3", "Pass-word-1") == "password-reused"
        change("alice", "Pass-word-3", "Pass-word-0")

    def test_no_history(self, lab_with):
        """Without a history the same password may be set again."""
        lab = lab_with(history=0)
        lab.user()
        lab.domain.change_password("alice", "Winter-2016!", "Winter-2016!")
        assert lab.domain.find("alice").version == 2

    def test_wrong_old_counts(self, lab_with):
        """A wrong old password counts towards lockout."""
        lab = lab_with(lockout_threshold=2)
        lab.user()
        for _ in range(2):
            assert refused(lab.domain.change_password, "alice", "wrong", "Spring-2017!") == "wrong-password"
        assert lab.domain.logon("alice", "Winter-2016!") == "locked"


class TestReset:
    """An administrator's reset."""

    def test_ignores_history_and_age(self, lab_with):
        """A reset to the same password is a new password set."""
        lab = lab_with(min_age=timedelta(days=1))
        lab.user()
        lab.domain.reset_password("alice", "Winter-2016!")
        assert lab.domain.find("alice").version == 2

    def test_rules_hold(self, lab):
        """Length and complexity hold for a reset."""
        lab.user()
        assert refused(lab.domain.reset_password, "alice", "Sp-7!") == "password-too-short"
        assert refused(lab.domain.reset_password, "alice", "springtime") == "password-too-weak"

    def test_must_change(self, lab):
        """A temporary password has pwdLastSet 0; the next reset alone clears it."""
        lab.user()
        lab.domain.reset_password("alice", "Temp-2017!", must_change=True)
        assert lab.domain.find("alice").must_change
        assert lab.domain.logon("alice", "Temp-2017!") == "must-change"
        lab.domain.reset_password("alice", "Spring-2017!")
        assert not lab.domain.find("alice").must_change

    def test_does_not_unlock(self, lab_with):
        """A reset leaves a lockout in place; unlock ends it."""
        lab = lab_with(lockout_threshold=1)
        lab.user()
        lab.domain.logon("alice", "wrong")
        lab.domain.reset_password("alice", "Spring-2017!")
        assert lab.domain.logon("alice", "Spring-2017!") == "locked"
        lab.domain.unlock("alice")
        assert lab.domain.logon("alice", "Spring-2017!") == "ok"

    @pytest.mark.parametrize("length", [127, 128, 256, 257])
    def test_long(self, lab, length):
        """Long passwords and characters beyond the basic plane are hashed as they are."""
        password = "Aa1!" + "\U0001f511" * (length - 4)
        lab.user()
        lab.domain.reset_password("alice", password)
        assert lab.domain.find("alice").nt_hash == nt_hash(password)
        assert lab.domain.logon("alice", password) == "ok"


class TestRequireChange:
    """pwdLastSet written by an administrator."""

    def test_set_and_clear(self, lab):
        """Setting writes 0 once; clearing makes the password as old as now and does not touch its stamp."""
        lab.user(password_age=timedelta(days=30))
        changed = lab.domain.find("alice").changed
        lab.domain.require_change("alice")
        before = lab.domain.version
        lab.domain.require_change("alice")
        assert lab.domain.version == before
        lab.domain.require_change("alice", False)
        account = lab.domain.find("alice")
        assert account.password_last_set == lab.clock()
        assert account.changed == changed
        assert account.version == 1

    def test_clear_when_not_set(self, lab):
        """Clearing what is not set changes nothing."""
        lab.user()
        before = lab.domain.version
        lab.domain.require_change("alice", False)
        assert lab.domain.version == before


class TestSmartcard:
    """SMARTCARD_REQUIRED."""

    def test_randomises(self, lab):
        """Setting the flag replaces the password by a random one in the same transaction; again does nothing."""
        lab.user()
        set_at = lab.domain.find("alice").password_last_set
        lab.wait(days=1)
        before = lab.domain.version
        lab.domain.set_user("alice", smartcard_required=True)
        assert lab.domain.version == before + 1
        account = lab.domain.find("alice")
        assert account.smartcard_required
        assert account.nt_hash != nt_hash("Winter-2016!")
        assert lab.domain.password_log[-1].kind == "randomised"
        assert account.entry.octets("ntpwdhistory") == b""
        assert account.entry.stamp("ntpwdhistory").version == 2
        assert (account.password_last_set, account.entry.stamp("pwdlastset").version) == (set_at, 1)
        lab.domain.set_user("alice", smartcard_required=True)
        assert lab.domain.version == before + 1

    def test_same_seed_same_secret(self, lab_with):
        """The random password comes from the seed."""

        hashes = []
        for _ in range(2):
            lab = lab_with()
            lab.user(smartcard_required=True)
            hashes.append(lab.domain.find("alice").nt_hash)
        assert hashes[0] == hashes[1]
