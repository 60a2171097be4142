"""The cloud's rules for its own passwords."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.azure_ad.banned import score, why_banned
from simulator.azure_ad.policy import CloudPolicy, character_classes, check_password, expiry, read_policies
from simulator.profile import PROFILE_2017, PROFILE_CURRENT
from simulator.refusal import Refusal

POLICY_2017 = CloudPolicy.of(PROFILE_2017)
POLICY_CURRENT = CloudPolicy.of(PROFILE_CURRENT)


def reason_2017(password: str, **options: bool) -> str:
    return reason_of(password, POLICY_2017, PROFILE_2017, **options)


def reason_current(password: str, **options: bool) -> str:
    return reason_of(password, POLICY_CURRENT, PROFILE_CURRENT, **options)


def reason_of(password, policy, profile, **options):
    try:
        check_password(password, policy, profile, **options)
    except Refusal as refusal:
        return refusal.reason
    return "taken"


class TestRulesOf2017:
    @pytest.mark.parametrize("password", ["Winter-2016!", "Abcdef1!", "A1" + "b" * 14, "HELPDESK-77", "a#Bcdefg"])
    def test_takes(self, password):
        """8 to 16 characters of three classes are taken."""
        assert reason_2017(password) == "taken"

    @pytest.mark.parametrize(
        ("password", "reason"),
        [
            ("", "password-too-short"),
            ("Abc-12!", "password-too-short"),
            ("Abcdefgh-12345678", "password-too-long"),
            ("Winter 2016!", "password-characters"),
            ("Winter<2016>", "password-characters"),
            ("Wínter-2016!", "password-characters"),
            ("Пароль-2016a", "password-characters"),
            ("Winter\t2016!", "password-characters"),
            ("Winter\x002016", "password-characters"),
            ("Winter.@2016", "password-characters"),
            ("winterwinter", "password-too-weak"),
            ("winter-winter", "password-too-weak"),
            ("Winterwinter", "password-too-weak"),
        ],
    )
    def test_refuses(self, password, reason):
        """What breaks a rule is refused for that rule."""
        assert reason_2017(password) == reason

    def test_any_strength(self):
        """DisableStrongPassword lifts the classes, not the length."""
        assert reason_2017("winterwinter", any_strength=True) == "taken"
        assert reason_2017("winter", any_strength=True) == "password-too-short"

    def test_no_banned_list(self):
        """A list of banned passwords did not exist."""
        assert reason_2017("Passw0rd!") == "taken"


class TestRulesOfToday:
    @pytest.mark.parametrize("password", ["Winter 2016!", "Winter<2016>", "A1-" + "b" * 253, "Spring-2017!"])
    def test_takes(self, password):
        """Blanks, angle brackets and up to 256 characters are taken."""
        assert reason_current(password) == "taken"

    def test_length(self):
        """257 characters are too many."""
        assert reason_current("A1-" + "b" * 254) == "password-too-long"

    @pytest.mark.parametrize("password", ["Password1!", "P@$$w0rd", "Qwerty12!", "pASSW0RD-1"])
    def test_banned(self, password):
        """A banned word with a few characters around it is refused, look-alike characters or not."""
        assert reason_current(password) == "password-too-weak"

    def test_banned_word_in_a_long_password(self):
        """A banned word counts as one point; five points are enough."""
        assert reason_current("Password-Kx7z") == "taken"

    @pytest.mark.parametrize(
        ("password", "points", "reason"),
        [("C0ntos0Blank12", 4, "password-too-weak"), ("Contoso8Bl@nkf9!", 6, "taken"), ("ContoS0Bl@nkf9!", 5, "taken")],
    )
    def test_own_list(self, password, points, reason):
        """The company's own words count like the global ones; the documented examples come out as documented."""
        policy = CloudPolicy(max_length=256, banned=("contoso", "blank"))
        assert score(password, policy.banned) == points
        assert reason_of(password, policy, PROFILE_CURRENT) == reason

    @pytest.mark.parametrize("password", ["Abcdef-", "ABCDE", "abcdeg", "@bcdEfg"])
    def test_but_for_one_character(self, password):
        """A banned password with one character changed, added or taken away is one still."""
        assert "but for one character" in why_banned(password)

    @pytest.mark.parametrize(
        ("password", "names", "banned"),
        [
            ("p0LL23fb-Zx", ["Poll"], True),
            ("Ann-Zx23fb!", ["Ann"], False),
            ("MySurname-77", ["Surname"], True),
            ("Winter-2016!", ["Poll"], False),
            ("Winter-2016!", [""], False),
        ],
    )
    def test_names(self, password, names, banned):
        """A name of four letters or more may not stand in a password, look-alikes or not; a shorter one may."""
        assert (why_banned(password, names=names) is not None) is banned


class TestPasswordPolicies:
    @pytest.mark.parametrize(
        ("text", "read"),
        [
            ("None", None),
            ("", None),
            ("DisableStrongPassword,DisablePasswordExpiration", "DisablePasswordExpiration, DisableStrongPassword"),
            ("DisablePasswordExpiration", "DisablePasswordExpiration"),
        ],
    )
    def test_normal_form(self, text, read):
        """Words come out in one order, None for no word."""
        assert read_policies(text) == read

    def test_unknown_word(self):
        """An unknown word is refused by name."""
        with pytest.raises(Refusal, match="DisableEverything"):
            read_policies("DisableEverything")


class TestExpiry:
    changed = datetime(2017, 1, 13, tzinfo=UTC)

    def test_after_max_age(self):
        """A password expires max_age after it was set."""
        assert expiry(self.changed, None, POLICY_2017) == self.changed + timedelta(days=90)

    @pytest.mark.parametrize(
        ("changed", "policies", "policy"),
        [
            (None, None, POLICY_2017),
            (changed, "DisablePasswordExpiration", POLICY_2017),
            (changed, "DisablePasswordExpiration, DisableStrongPassword", POLICY_2017),
            (changed, None, CloudPolicy(max_age=None)),
            (changed, None, CloudPolicy(max_age=timedelta.max)),
        ],
    )
    def test_never(self, changed, policies, policy):
        """No password, the user's flag, no maximum age, or one beyond the calendar: never."""
        assert expiry(changed, policies, policy) is None


@given(st.text(max_size=300))
def test_every_text_has_a_verdict(password):
    """Any text is either taken or refused with a reason of the scenario format, in both profiles."""
    reasons = {"taken", "password-too-short", "password-too-long", "password-characters", "password-too-weak"}
    assert {reason_2017(password), reason_current(password)} <= reasons
    assert 0 <= character_classes(password) <= 4


@given(st.text(alphabet=st.characters(codec="ascii"), max_size=40))
def test_today_takes_all_that_2017_took_but_banned_ones(password):
    """Rules have only been loosened, but for the list of banned passwords."""
    if reason_2017(password) == "taken":
        assert reason_current(password) in ("taken", "password-too-weak")
