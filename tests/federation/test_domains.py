"""Conversions: an hour until they are in force, the last one counts."""

from __future__ import annotations

from datetime import timedelta

import pytest
from federation.conftest import START
from hypothesis import given
from hypothesis import strategies as st

from simulator.azure_ad.federated_domains import CONVERSION_TAKES, USED_KEPT, FederatedDomains, FederationTrust
from simulator.clock import Clock
from simulator.refusal import Refusal

TRUST = FederationTrust("http://contoso.example/adfs/services/trust/", "", "https://x/mex", "https://x/trust")


@pytest.fixture
def clock():
    return Clock(START)


@pytest.fixture
def domains(clock):
    return FederatedDomains(clock)


class TestConversion:
    def test_takes_its_time(self, clock, domains):
        """The old way holds for an hour, to the second; case does not matter."""
        assert domains.convert("contoso.example", TRUST) == START + timedelta(hours=1)
        clock.move_to(START + timedelta(minutes=59, seconds=59))
        assert domains.trust("Contoso.Example") is None
        clock.move_to(START + timedelta(hours=1))
        assert domains.trust("Contoso.Example") is TRUST
        assert domains.of_issuer(TRUST.issuer) == ("contoso.example", TRUST)

    def test_and_back(self, clock, domains):
        """Converted to managed the federated way holds for an hour too."""
        domains.set("contoso.example", TRUST)
        domains.convert("contoso.example", None)
        clock.move_to(START + timedelta(minutes=59))
        assert domains.trust("contoso.example") is TRUST
        clock.move_to(START + timedelta(minutes=60))
        assert domains.trust("contoso.example") is None
        assert domains.of_issuer(TRUST.issuer) is None

    def test_thinks_better_of_it(self, clock, domains):
        """A conversion back before the hour is over takes the place of the first, which never comes into force."""
        domains.set("contoso.example", TRUST)
        domains.convert("contoso.example", None)
        clock.move_to(START + timedelta(minutes=30))
        domains.convert("contoso.example", TRUST)
        for minutes in (61, 91):
            clock.move_to(START + timedelta(minutes=minutes))
            assert domains.trust("contoso.example") is TRUST

    def test_refused(self, domains):
        """What a domain is already, or is becoming, it can't be converted to; the first domain can't be federated."""
        with pytest.raises(Refusal, match="is managed already"):
            domains.convert("contoso.example", None)
        domains.convert("contoso.example", TRUST)
        with pytest.raises(Refusal, match="is federated already"):
            domains.convert("CONTOSO.example", TRUST)
        with pytest.raises(Refusal, match="first domain"):
            domains.convert("contoso.onmicrosoft.com", TRUST)

    @given(st.lists(st.tuples(st.integers(0, 120), st.booleans()), max_size=8), st.integers(0, 120))
    def test_the_last_that_waited_long_enough(self, orders, after):
        """At any time a domain goes by the last conversion that nobody replaced within its hour."""
        clock = Clock(START)
        domains = FederatedDomains(clock)
        way, coming, at = False, None, None
        for pause, federated in orders:
            clock.move_to(clock() + timedelta(minutes=pause))
            if at is not None and clock() >= at:
                way, coming, at = coming, None, None
            target = way if at is None else coming
            if target == federated:
                with pytest.raises(Refusal):
                    domains.convert("contoso.example", TRUST if federated else None)
                continue
            coming, at = federated, clock() + CONVERSION_TAKES
            assert domains.convert("contoso.example", TRUST if federated else None) == at
        clock.move_to(clock() + timedelta(minutes=after))
        if at is not None and clock() >= at:
            way = coming
        assert (domains.trust("contoso.example") is not None) is way


def test_used_assertions_are_forgotten(clock, domains):
    """As long as an assertion is good it is remembered; then there is no need to."""
    for number in range(USED_KEPT):
        domains.use(f"old{number}", START + timedelta(minutes=number % 2 * 120))
    clock.move_to(START + timedelta(minutes=10))
    domains.use("new", START + timedelta(hours=1))
    assert [domains.was_used(each) for each in ("old0", "old1", "new")] == [False, True, True]
