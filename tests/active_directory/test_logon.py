"""Checking passwords: outcomes, their order, lockout, and the hour of grace."""

from __future__ import annotations

from datetime import timedelta

import pytest


class TestOutcome:
    """What a logon says."""

    @pytest.mark.parametrize(
        ("options", "outcome"),
        [
            ({}, "ok"),
            ({"enabled": False}, "disabled"),
            ({"must_change": True}, "must-change"),
            ({"password_age": timedelta(days=43)}, "expired"),
            ({"password_age": timedelta(days=43), "password_never_expires": True}, "ok"),
            ({"smartcard_required": True}, "wrong-password"),
        ],
    )
    def test_right_password(self, lab, options, outcome):
        """With the right password the account's state decides; without it, nothing else is told."""
        lab.user(**options)
        assert lab.domain.logon("alice", "Winter-2016!") == outcome
        assert lab.domain.logon("alice", "wrong") == "wrong-password"

    def test_account_expires(self, lab):
        """An account is of no use after the moment at which it expires."""
        lab.user(account_expires=lab.clock() + timedelta(days=1))
        assert lab.domain.logon("alice", "Winter-2016!") == "ok"
        lab.wait(days=1)
        assert lab.domain.logon("alice", "Winter-2016!") == "ok"
        lab.wait(seconds=1)
        assert lab.domain.logon("alice", "Winter-2016!") == "account-expired"
        lab.domain.set_user("alice", account_expires=None)
        assert lab.domain.logon("alice", "Winter-2016!") == "ok"

    def test_unknown(self, lab):
        """A name that nobody has."""
        assert lab.domain.logon("nobody", "x") == "no-such-user"

    def test_unavailable(self, lab):
        """A controller that is down answers nobody."""
        lab.user()
        lab.domain.controller().state = "down"
        assert lab.domain.logon("alice", "Winter-2016!") == "unavailable"

    def test_expiry_moment(self, lab):
        """A password that is more than 42 days old has expired."""
        lab.user(password_age=timedelta(days=41, hours=23, minutes=59))
        lab.wait(minutes=1)
        assert lab.domain.logon("alice", "Winter-2016!") == "ok"
        lab.wait(seconds=1)
        assert lab.domain.logon("alice", "Winter-2016!") == "expired"

    def test_previous_password_has_no_grace(self, lab):
        """An interactive logon does not take the previous password."""
        lab.user()
        lab.domain.change_password("alice", "Winter-2016!", "Spring-2017!")
        assert lab.domain.logon("alice", "Winter-2016!") == "wrong-password"


class TestLockout:
    """Counters and lockout."""

    def test_threshold(self, lab_with):
        """The third wrong password locks; then right and wrong ones are answered alike."""
        lab = lab_with(lockout_threshold=3)
        lab.user()
        for _ in range(3):
            assert lab.domain.logon("alice", "wrong") == "wrong-password"
        assert lab.domain.logon("alice", "Winter-2016!") == "locked"
        assert lab.domain.logon("alice", "wrong") == "locked"

    def test_duration(self, lab_with):
        """After the duration the account unlocks by itself, and counting starts anew."""
        lab = lab_with(lockout_threshold=2)
        lab.user()
        for _ in range(2):
            lab.domain.logon("alice", "wrong")
        lab.wait(minutes=30)
        assert lab.domain.logon("alice", "Winter-2016!") == "locked"
        lab.wait(seconds=1)
        assert lab.domain.logon("alice", "wrong") == "wrong-password"
        assert lab.domain.logon("alice", "Winter-2016!") == "ok"

    def test_until_unlocked(self, lab_with):
        """With a duration of zero only an administrator unlocks."""
        lab = lab_with(lockout_threshold=1, lockout_duration=timedelta(0))
        lab.user()
        lab.domain.logon("alice", "wrong")
        lab.wait(days=100)
        assert lab.domain.logon("alice", "Winter-2016!") == "locked"
        lab.domain.unlock("alice")
        assert lab.domain.logon("alice", "Winter-2016!") != "locked"

    def test_window(self, lab_with):
        """A pause longer than the window forgets earlier wrong passwords."""
        lab = lab_with(lockout_threshold=2)
        lab.user()
        lab.domain.logon("alice", "wrong")
        lab.wait(minutes=30)
        lab.domain.logon("alice", "wrong")
        assert lab.domain.logon("alice", "Winter-2016!") == "ok"

    def test_success_resets(self, lab_with):
        """A good logon forgets the wrong ones."""
        lab = lab_with(lockout_threshold=2)
        lab.user()
        for _ in range(4):
            lab.domain.logon("alice", "wrong")
            assert lab.domain.logon("alice", "Winter-2016!") == "ok"

    def test_previous_passwords_do_not_count(self, lab_with):
        """The two passwords before the current one are wrong but not counted."""
        lab = lab_with(lockout_threshold=1)
        lab.user(password="Pass-word-0")
        lab.domain.change_password("alice", "Pass-word-0", "Pass-word-1")
        lab.domain.change_password("alice", "Pass-word-1", "Pass-word-2")
        for old in ("Pass-word-0", "Pass-word-1"):
            assert lab.domain.logon("alice", old) == "wrong-password"
        assert lab.domain.logon("alice", "Pass-word-2") == "ok"


class TestTraces:
    """What a logon leaves behind."""

    def test_observe(self, lab_with):
        """Observing changes no counter, no time and no USN."""
        lab = lab_with(lockout_threshold=1)
        lab.user()
        before = (lab.domain.version, dict(lab.domain.find("alice").entry.values))
        for password in ("wrong", "Winter-2016!", "wrong"):
            lab.domain.logon("alice", password, observe=True)
        assert (lab.domain.version, lab.domain.find("alice").entry.values) == before

    def test_last_logon_timestamp(self, lab):
        """lastLogonTimestamp is written at first and again after 14 days; nothing else of a logon bumps the USN."""
        lab.user()
        versions = []
        for days in (0, 5, 10):
            lab.wait(days=days)
            before = lab.domain.version
            lab.domain.logon("alice", "Winter-2016!")
            lab.domain.logon("alice", "wrong")
            versions.append(lab.domain.version - before)
        assert versions == [1, 0, 1]
