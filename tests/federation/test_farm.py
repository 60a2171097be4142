"""Whom the farm lets in: the directory's people, by the directory's rules."""

from __future__ import annotations

from datetime import timedelta

import pytest

from simulator.active_directory.state import DomainPolicy, Forest
from simulator.federation.state import Farm
from simulator.random import Randomness

GOOD = "Winter-2016!"


class TestPasswords:
    def test_on_premises_password(self, lab):
        """The password of this moment counts, in no other place than on premises."""
        assert lab.farm.sign_in("alice@contoso.example", GOOD).result == "ok"
        lab.domain.change_password("alice", GOOD, "Spring-2017!")
        assert lab.farm.sign_in("alice@contoso.example", GOOD).result == "wrong-password"
        assert lab.farm.sign_in("ALICE@Contoso.Example", "Spring-2017!").result == "ok"

    def test_who_it_is(self, lab):
        """Whoever gets in is told by principal name and by source anchor."""
        found = lab.farm.sign_in("CONTOSO\\alice", GOOD)
        account = lab.domain.find("alice")
        assert found == ("ok", "alice@contoso.example", account.source_anchor)

    @pytest.mark.parametrize(
        "name", ["", "@", "\\", "nobody@contoso.example", "alice", "OTHER\\alice", "alice@", "dc1$"]
    )
    def test_nobody(self, lab, name):
        """A name that is nobody's, or not whole, is nobody's."""
        assert lab.farm.sign_in(name, GOOD).result == "no-such-user"

    def test_principal_name_of_another_ending(self, lab):
        """A person signs in by the principal name, and by the implicit one."""
        lab.domain.set_user("alice", upn="a.smith@fabrikam.example")
        assert lab.farm.sign_in("a.smith@fabrikam.example", GOOD).upn == "a.smith@fabrikam.example"
        assert lab.farm.sign_in("alice@contoso.example", GOOD).upn == "a.smith@fabrikam.example"


class TestAccounts:
    @pytest.mark.parametrize(
        ("change", "result"),
        [
            (lambda domain, now: domain.set_user("alice", enabled=False), "disabled"),
            (lambda domain, now: domain.set_user("alice", account_expires=now - timedelta(days=1)), "account-expired"),
            (lambda domain, now: domain.require_change("alice"), "must-change"),
            (lambda domain, now: domain.set_user("alice", smartcard_required=True), "wrong-password"),
            (lambda domain, now: domain.delete_user("alice"), "no-such-user"),
        ],
    )
    def test_state(self, lab, change, result):
        """Disabled, expired, must change, smart card, deleted: what the directory says of the account holds."""
        change(lab.domain, lab.clock())
        assert lab.farm.sign_in("alice@contoso.example", GOOD).result == result

    def test_expired(self, lab):
        """An expired password does not get in, whatever the cloud would say."""
        lab.later(days=43)
        assert lab.farm.sign_in("alice@contoso.example", GOOD).result == "expired"

    def test_lockout(self, lab):
        """Wrong passwords count towards the directory's lockout, and a lock holds here too."""
        lab.domain.set_policy(lockout_threshold=3)
        results = [lab.farm.sign_in("alice@contoso.example", f"Wrong-{n}!").result for n in range(4)]
        assert results == ["wrong-password"] * 3 + ["locked"]
        assert lab.domain.logon("alice", GOOD) == "locked"
        lab.domain.unlock("alice")
        assert lab.farm.sign_in("alice@contoso.example", GOOD).result == "ok"

    def test_observed(self, lab):
        """A sign-in that is only looked at counts nowhere."""
        lab.domain.set_policy(lockout_threshold=1)
        before = lab.domain.version
        with lab.farm.observed():
            assert lab.farm.sign_in("alice@contoso.example", "Wrong-1!").result == "wrong-password"
            assert lab.farm.sign_in("alice@contoso.example", GOOD).result == "ok"
        assert lab.domain.version == before
        assert lab.farm.sign_in("alice@contoso.example", "Wrong-1!").result == "wrong-password"
        assert lab.farm.sign_in("alice@contoso.example", GOOD).result == "locked"


class TestForests:
    def test_all_domains(self, lab):
        """One farm serves every domain of its forest; a domain without controllers makes it helpless for that alone."""
        child = lab.forest.add_domain("emea.contoso.example", DomainPolicy())
        child.create_user("carol", GOOD)
        assert lab.farm.sign_in("carol@emea.contoso.example", GOOD).result == "ok"
        child.controller().state = "down"
        assert lab.farm.sign_in("carol@emea.contoso.example", GOOD).result == "unavailable"
        assert lab.farm.sign_in("alice@contoso.example", GOOD).result == "ok"

    def test_another_controller(self, lab):
        """With one controller down another is asked, which knows what has come to it."""
        forest = Forest("two", lab.clock, Randomness(2))
        domain = forest.add_domain("two.example", controllers=["dc1", "dc2"])
        domain.create_user("dave", GOOD)
        domain.replicate()
        farm = Farm(forest, lab.clock, Randomness(2))
        domain.controller("dc1").state = "down"
        assert farm.sign_in("dave@two.example", GOOD).result == "ok"
        domain.controller("dc2").state = "down"
        assert farm.sign_in("dave@two.example", GOOD).result == "unavailable"
