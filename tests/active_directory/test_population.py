"""Invented people: the population of a scenario, and a whole company."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.active_directory.company import Shares
from simulator.active_directory.ldif_out import export_ldif
from simulator.active_directory.population import populate
from simulator.active_directory.transliteration import latin
from simulator.random import Randomness

from .conftest import Lab

ROOT = Path(__file__).parents[2]


class TestPeople:
    """What a scenario's population is."""

    def test_people(self, lab):
        """Each has a name of their own that fits AD, and logs on with the password told."""
        lab.user("person0")
        people = populate(lab.domain, 300, Randomness(1))
        assert len({person.name for person in people}) == 300
        assert all(1 <= len(person.name) <= 20 and person.name.isascii() for person in people)
        assert "person0" not in {person.name for person in people}
        first = people[0]
        assert lab.domain.logon(first.name, first.password) == "ok"
        assert lab.domain.by_guid(first.guid).name == first.name

    def test_scripts(self, lab):
        """Names come in several scripts."""
        names = "".join(
            lab.domain.find(person.name).display_name for person in populate(lab.domain, 200, Randomness(1))
        )
        for first, last in (("a", "z"), ("а", "я"), ("α", "ω"), ("א", "ת"), ("一", "龥")):
            assert any(first <= letter <= last for letter in names)

    def test_same_seed(self, lab_with):
        """The same seed gives the same people."""
        assert populate(lab_with().domain, 50, Randomness(7)) == populate(lab_with().domain, 50, Randomness(7))
        assert populate(lab_with().domain, 5, Randomness(7)) != populate(lab_with().domain, 5, Randomness(8))

    def test_twice(self, lab):
        """A second population does not collide with the first."""
        names = {person.name for _ in range(2) for person in populate(lab.domain, 200, Randomness(1))}
        assert len(names) == 400

    def test_again_and_again(self, lab):
        """Names that are taken cost no search from the beginning: a later population is as quick as the first."""
        for _ in range(4):
            populate(lab.domain, 3000, Randomness(1))
        assert len(lab.domain.password_log) > 12_000

    def test_numbers(self, lab):
        """A name that is taken gets the person's own number in the population, or the next that is free."""
        people = populate(lab.domain, 300, Randomness(1))
        numbered = [(at, person.name) for at, person in enumerate(people) if person.name.startswith("person")][1:]
        assert [(at, name) for at, name in numbered if name != f"person{at}"] == []
        assert len(numbered) > 30

    def test_refused(self, lab):
        """An unknown profile and a number below 0 are refused."""
        with pytest.raises(ValueError, match="no profile is called 'town'; there are people, company"):
            populate(lab.domain, 1, profile="town")
        with pytest.raises(ValueError, match="not -1"):
            populate(lab.domain, -1)


def company(count: int, shares: Shares | None = None, seed: int = 1) -> Lab:
    lab = Lab()
    lab.people = populate(lab.domain, count, seed=seed, profile="company", shares=shares)  # type: ignore[attr-defined]
    return lab


class TestCompany:
    """The profile that has everything."""

    @pytest.mark.parametrize("count", [0, 1, 2, 19, 20, 500])
    def test_count(self, count):
        """There are as many accounts as asked for, each with a name of its own that fits AD."""
        lab = company(count)
        names = [person.name for person in lab.people]
        assert len(set(names)) == count
        assert all(2 <= len(name) <= 20 and name.isascii() and name == name.lower() for name in names)
        assert len([account for account in lab.domain.accounts() if account.name in set(names)]) == count

    def test_passwords(self):
        """The passwords told log on, but where the account is disabled, expired or must change it."""
        lab = company(400)
        results = {lab.domain.logon(person.name, person.password) for person in lab.people}
        assert results == {"ok", "disabled", "account-expired", "must-change"}

    def test_shares(self):
        """Each kind has about its share, and none if it has none."""
        lab = company(2000, Shares(disabled=0.5, contacts=0.1, computers=0, service=0, expired=0))
        accounts = [lab.domain.find(person.name) for person in lab.people]
        assert 900 < sum(not account.enabled for account in accounts) < 1100
        assert all(account.account_expires is None for account in accounts)
        assert 30 < sum(account.user_class == "inetOrgPerson" for account in accounts) < 90
        kinds = [entry.kind.name for entry in lab.domain.controller().replica.by_guid.values()]
        assert (kinds.count("contact"), kinds.count("computer")) == (200, 1)
        assert not any(person.name.startswith("svc-") for person in lab.people)

    def test_scripts(self):
        """Names come in several scripts, and most accounts are called by them."""
        lab = company(600)
        shown = "".join(lab.domain.find(person.name).display_name for person in lab.people)
        for first, last in (
            ("a", "z"),
            ("à", "ž"),
            ("а", "я"),
            ("α", "ω"),
            ("א", "ת"),
            ("ا", "ي"),
            ("अ", "ह"),
            ("一", "龥"),
        ):
            assert any(first <= letter <= last for letter in shown), first
        assert sum(name.name[1:].isdigit() for name in lab.people) < 100

    def test_managers(self):
        """Everyone but one reports to somebody who exists, and following managers ends at that one."""
        lab = company(700)
        replica = lab.domain.controller().replica
        by_dn = {entry.dn: entry for entry in replica.by_guid.values()}
        people = [lab.domain.find(person.name).entry for person in lab.people if not person.name.startswith("svc-")]
        tops = set()
        for person in people:
            steps, above = 0, person
            while manager := above.text("manager"):
                above, steps = by_dn[manager], steps + 1
                assert steps < 20
            tops.add(above.dn)
        assert len(tops) == 1

    def test_groups(self):
        """Units, sites and the company have groups, one in the other, with everyone in them."""
        lab = company(300)
        connection = lab.administrator()
        connection.search(
            "DC=contoso,DC=example",
            "(memberOf:1.2.840.113556.1.4.1941:=CN=All Contoso,OU=Groups,DC=contoso,DC=example)",
        )
        dns = {found["dn"] for found in connection.response if "dn" in found}
        assert {lab.domain.find(person.name).dn for person in lab.people if not person.name.startswith("svc-")} <= dns

    def test_services(self):
        """Service accounts have names that begin with svc-, principal names, and passwords that do not expire."""
        lab = company(1000)
        services = [lab.domain.find(person.name) for person in lab.people if person.name.startswith("svc-")]
        assert len(services) == 5
        assert all(
            each.password_never_expires and len(each.attribute("servicePrincipalName")) == 2 for each in services
        )

    def test_twice(self):
        """A second company joins the first."""
        lab = company(200)
        more = populate(lab.domain, 200, seed=2, profile="company")
        assert len({person.name for person in [*lab.people, *more]}) == 400

    def test_same_everywhere(self):
        """Another process with another seed of Python's hashes invents the same company."""
        code = (
            "from tests.active_directory.test_population import company, export_ldif; import hashlib;"
            "print(hashlib.sha256(''.join(export_ldif(company(150).domain)).encode()).hexdigest())"
        )
        found = {
            subprocess.run(
                [sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True,
                env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            ).stdout
            for seed in ("1", "2")
        }  # fmt: skip
        assert len(found) == 1
        assert "".join(export_ldif(company(20).domain)) != "".join(export_ldif(company(20, seed=2).domain))


class TestLatin:
    """Spelling names in Latin letters."""

    @pytest.mark.parametrize(
        ("name", "spelled"),
        [
            ("Müller", "muller"), ("Großmann", "grossmann"), ("Łukasz", "lukasz"), ("Dvořák", "dvorak"),
            ("Щербаков", "shcherbakov"), ("Юрий", "yuriy"), ("Παπαδόπουλος", "papadopoylos"), ("כהן", "khn"),
            ("شريف", "shryf"), ("शर्मा", "sharma"), ("कुमार", "kumar"), ("Işık", "isik"),
            ("O'Brien-Smith", "obriensmith"), ("Andrièš", "andries"), ("王", ""), ("", ""), ("123", ""),
        ],
    )  # fmt: skip
    def test_names(self, name, spelled):
        """Each script by its own table."""
        assert latin(name) == spelled

    @settings(max_examples=200, deadline=None)
    @given(st.text())
    def test_any(self, text):
        """Whatever the name, only the letters a to z are left."""
        assert set(latin(text)) <= set("abcdefghijklmnopqrstuvwxyz")
