"""Logging on within a run: whole exchanges in memory."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from domain_services.logon_lab import DOMAIN, NETBIOS, PASSWORD, lookup
from hypothesis import given
from hypothesis import strategies as st

from simulator.domain_services.kerberos_client import SignOnFailed
from simulator.domain_services.logon import logon
from simulator.frozen import frozen
from simulator.random import Randomness

NOW = datetime(2017, 1, 13, 9, tzinfo=UTC)
METHODS = ("ntlm", "kerberos", "ldap")


def log_on(method, name, password=PASSWORD, randomness=None, *, find=lookup):
    """What comes of it."""
    return logon(method, find, name, password, lambda: NOW, randomness or Randomness(1), domain=DOMAIN)


@pytest.mark.parametrize("method", METHODS)
class TestResults:
    @pytest.mark.parametrize("name", ["April", "april", f"april@{DOMAIN}", f"{NETBIOS}\\april"])
    def test_ok(self, method, name):
        """With the password one is in, under every form of the name."""
        assert log_on(method, name) == "ok"

    @pytest.mark.parametrize(
        ("name", "password", "result"),
        [
            ("Rita", PASSWORD, "ok"),
            ("Jürgen", "Pässwörd–ß", "ok"),
            ("april", "wrong", "wrong-password"),
            ("april", "", "wrong-password"),
            ("rita", PASSWORD + " ", "wrong-password"),
            ("nina", PASSWORD, "no-password"),
            ("bob", PASSWORD, "unknown-user"),
            ("", PASSWORD, "unknown-user"),
            (f"april@elsewhere.{DOMAIN}", PASSWORD, "unknown-user"),
            ("ELSEWHERE\\april", PASSWORD, "unknown-user"),
            ("dora", PASSWORD, "disabled"),
        ],
    )
    def test_result(self, method, name, password, result):
        """Without it, or without an account that has one, one is not, and the reason is told."""
        assert log_on(method, name, password) == result

    def test_domain_with_a_short_name_of_its_own(self, method):
        """The short name of a domain need not be the first part of the long one."""
        names = []

        def find(name):
            names.append(name)
            return lookup("april")

        told = logon(method, find, "AD\\april", PASSWORD, lambda: NOW, Randomness(1), domain=DOMAIN, netbios="AD")
        assert told == "ok"
        assert names

    def test_repeats(self, method):
        """The same seed draws the same, from generators that nothing else in a run draws from."""
        first, second = Randomness(5), Randomness(5)
        for randomness in (first, second):
            log_on(method, "april", randomness=randomness)
        states = [{name: child.getstate() for name, child in each.children().items()} for each in (first, second)]
        assert states[0] == states[1]
        assert all(name.startswith(("domain-services", "kerberos")) for name in states[0])

    def test_frozen_time(self, method):
        """Time may be frozen while one logs on, as it is in a run."""
        with frozen(NOW):
            assert log_on(method, "april") == "ok"

    @given(name=st.text(max_size=30), password=st.text(st.characters(), max_size=30))
    def test_any_text(self, method, name, password):
        """Any name and any password have a result."""
        assert log_on(method, name, password) in ("unknown-user", "wrong-password")


def test_what_no_result_stands_for():
    """A KDC's error that is no judgement on the account is not taken for one."""
    late = iter([NOW, NOW, NOW.replace(hour=10), NOW.replace(hour=10), NOW.replace(hour=10)])
    with pytest.raises(SignOnFailed, match="37"):
        logon("kerberos", lookup, "april", PASSWORD, lambda: next(late), Randomness(1), domain=DOMAIN)
