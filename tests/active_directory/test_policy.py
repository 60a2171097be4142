"""Password policy and names: the pure parts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.active_directory import names, policy, times
from simulator.active_directory.names import InvalidName
from simulator.active_directory.policy import DomainPolicy, Lockout

NOW = times.filetime(datetime(2017, 1, 13, 9, tzinfo=UTC))


class TestComplexity:
    """passfilt's rule."""

    @pytest.mark.parametrize(
        ("password", "classes"),
        [
            ("abcdefg", 1),
            ("abcDEFG", 2),
            ("abcDEF1", 3),
            ("abcDEF1!", 4),
            ("äöüÄÖÜ", 2),
            ("密码密码密码", 1),
            ("密码Ab1", 4),
            ("", 0),
            ("\U0001f511\U0001f511", 0),
        ],
    )
    def test_classes(self, password, classes):
        """Upper, lower, digit, special, other letters; a character counts once."""
        assert policy.character_classes(password) == classes

    @pytest.mark.parametrize(
        ("password", "complex_enough"),
        [
            ("xALICEx-1", False),
            ("Smith-2017!", False),
            ("John-2017!", False),
            ("Jo-2017-Xy", True),
            ("Wonder-2017", True),
        ],
    )
    def test_names(self, password, complex_enough):
        """Account name and parts of the display name are forbidden from three characters on, whatever the case."""
        assert policy.is_complex(password, "alice", "Smith, John-Jo de.la") is complex_enough

    def test_short_account_name(self):
        """An account name of two characters is not looked for."""
        assert policy.is_complex("Al-2017-Xy", "al", "")


class TestExpiry:
    """Password age."""

    @pytest.mark.parametrize(
        ("last_set", "flags", "max_age", "expected"),
        [
            (NOW, 512, timedelta(days=42), NOW + times.ticks(timedelta(days=42))),
            (0, 512, timedelta(days=42), 0),
            (NOW, 512 | 0x10000, timedelta(days=42), times.NEVER),
            (0, 512 | 0x40000, timedelta(days=42), times.NEVER),
            (NOW, 0x1000, timedelta(days=42), times.NEVER),
            (NOW, 512, None, times.NEVER),
        ],
    )
    def test_expiry(self, last_set, flags, max_age, expected):
        """Expiry is the last set plus the maximum age, 0 for must-change, or never."""
        assert policy.expiry(last_set, flags, max_age) == expected


class TestHistory:
    """Password history."""

    @given(st.lists(st.binary(min_size=16, max_size=16), max_size=12), st.integers(0, 6))
    def test_depth(self, hashes, depth):
        """Exactly the newest ``depth`` hashes are in the history."""
        history = b""
        for nt in hashes:
            history = policy.next_history(nt, history, depth)
        newest = hashes[::-1][:depth]
        assert all(policy.in_history(nt, history, depth) for nt in newest)
        assert all(policy.in_history(nt, history, depth) == (nt in newest) for nt in hashes)
        assert len(history) <= 16 * max(depth, policy.HISTORY_KEPT)


class TestLockout:
    """Counters."""

    @given(st.integers(1, 5), st.lists(st.integers(0, 40), max_size=12))
    def test_locks_at_threshold(self, threshold, pauses):
        """Wrong passwords within the window lock at the threshold and never before."""
        rules = DomainPolicy(lockout_threshold=threshold)
        state, now, run = Lockout(), NOW, 0
        for minutes in pauses:
            now += times.ticks(timedelta(minutes=minutes))
            if policy.is_locked(state.locked, rules, now):
                continue
            run = 1 if run >= threshold or minutes >= 30 or not state.last_bad else run + 1
            before, state = state, policy.after_wrong_password(state, rules, now)
            assert state.count == run
            assert policy.is_locked(state.locked, rules, now) == (run >= threshold)
            assert state.locked == (now if run >= threshold else before.locked)


class TestNames:
    """Distinguished names, SIDs, GUIDs."""

    @given(
        st.lists(
            st.tuples(st.sampled_from(["CN", "OU", "DC"]), st.text(st.characters(codec="utf-8"), min_size=1)),
            min_size=1,
        )
    )
    def test_round_trip(self, parts):
        """Any names survive being written as a DN and read again."""
        assert names.parse_dn(names.join_dn(parts)) == parts

    @given(st.text())
    def test_any_text(self, text):
        """Any text is a DN or is refused."""
        try:
            parts = names.parse_dn(text)
        except InvalidName:
            return
        assert names.parse_dn(names.join_dn(parts)) == parts

    @pytest.mark.parametrize(
        "text", ["x", "=x", "CN=", "CN=a,,CN=b", "CN=a\\", "CN=a+SN=b", 'CN="a', "1x=a", "CN=a\\FF"]
    )
    def test_bad_names(self, text):
        """What is no DN is refused."""
        with pytest.raises(InvalidName):
            names.parse_dn(text)

    def test_quoted(self):
        """Quoted values and semicolons of RFC 2253 are read."""
        assert names.parse_dn('CN="Smith, John"; DC=x') == [("CN", "Smith, John"), ("DC", "x")]

    @given(st.lists(st.integers(0, 2**32 - 1), max_size=15))
    def test_sid(self, parts):
        """SIDs survive both ways."""
        text = "-".join(["S-1-5", *map(str, parts)])
        assert names.sid_text(names.sid_bytes(text)) == text

    @pytest.mark.parametrize("text", ["", "S-1", "S-2-5-1", "S-1-x", "S-1-5-4294967296", "S-1-5" + "-1" * 16])
    def test_bad_sid(self, text):
        """What is no SID is refused."""
        with pytest.raises(InvalidName):
            names.sid_bytes(text)

    @given(st.uuids())
    def test_guid(self, guid: UUID):
        """GUIDs survive both ways, dashed and as bare octets."""
        assert names.guid_text(guid.bytes_le) == str(guid)
        assert names.guid_bytes(str(guid)) == names.guid_bytes(guid.bytes_le.hex()) == guid.bytes_le


class TestTimes:
    """FILETIME."""

    @given(st.datetimes(times.EPOCH.replace(tzinfo=None), timezones=st.just(UTC)))
    def test_round_trip(self, when):
        """Times survive both ways."""
        assert times.moment(times.filetime(when)) == when
