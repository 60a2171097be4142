"""What a search shows: names with identifiers, options of attributes, what readers may see."""

from __future__ import annotations

import pytest
from ldap3 import BASE
from ldap3.protocol.microsoft import extended_dn_control

from simulator.active_directory.password_settings import FineGrainedPolicy
from simulator.active_directory.policy import DomainPolicy

from .conftest import PASSWORD

ROOT = "DC=contoso,DC=example"
ALICE = f"CN=alice,OU=People,{ROOT}"
SETTINGS = f"CN=strict,CN=Password Settings Container,CN=System,{ROOT}"


def shown(connection, dn, *names, controls=None):
    """Attributes of an object; None if there is no object."""
    connection.search(dn, "(objectClass=*)", BASE, attributes=list(names), controls=controls)
    found = [each["attributes"] for each in connection.response if each["type"] == "searchResEntry"]
    return dict(found[0]) if found else None


class TestExtendedNames:
    """Values that are names, under the extended DN control."""

    def test_values(self, lab):
        """They have the GUID, and the SID of what has one, before them; other values stay."""
        lab.user("boss")
        dn = lab.user(attributes={"manager": f"CN=boss,OU=People,{ROOT}"})
        found = shown(
            lab.administrator(), dn, "manager", "distinguishedName", "objectCategory", "cn",
            controls=[extended_dn_control()],
        )  # fmt: skip
        boss = lab.domain.find("boss")
        assert found["manager"][0].startswith(f"<GUID={boss.guid}>;<SID=S-1-5-21-")
        assert found["manager"][0].endswith(f">;{boss.dn}")
        assert found["distinguishedName"][0].endswith(f">;{ALICE}")
        assert found["objectCategory"][0].startswith("<GUID=")
        assert ">;<SID" not in found["objectCategory"][0]
        assert found["cn"] == ["alice"]

    def test_what_is_not_here(self, lab):
        """The name of what lies in another domain stays as it is."""
        other = lab.forest.add_domain("fabrikam.example")
        other.create_user("far", PASSWORD, check_policy=False)
        far = other.find("far").dn
        dn = lab.user(attributes={"manager": far, "seeAlso": [far]})
        found = shown(lab.administrator(), dn, "manager", "seeAlso", controls=[extended_dn_control()])
        assert (found["manager"], found["seeAlso"]) == ([far], [far])


class TestOptions:
    """What may stand behind a name."""

    @pytest.mark.parametrize("name", ["cn;lang-de", "cn;", "cn;binary;lang-de", "cn;x"])
    def test_unknown(self, lab, name):
        """With an unknown option a name means nothing: not shown, not found, not written."""
        dn, admin = lab.user(), lab.administrator()
        assert shown(admin, dn, name) == {}
        admin.search(f"OU=People,{ROOT}", f"({name}=alice)", attributes=["cn"])
        assert not admin.entries
        assert not admin.modify(dn, {name.replace("cn", "mail"): [("MODIFY_REPLACE", ["a@b.example"])]})
        assert admin.result["result"] == 16

    @pytest.mark.parametrize("name", ["cn;binary", "CN;Range=0-*", "cn;range=0-0"])
    def test_known(self, lab, name):
        """The options that there are."""
        assert shown(lab.administrator(), lab.user(), name)


class TestPasswordSettings:
    """Password settings objects are administrators' to read."""

    def test_readers(self, lab):
        """A user sees that there is one, and nothing of it; comparing tells no more."""
        lab.user()
        lab.domain.add_fine_grained(FineGrainedPolicy("strict", 7, frozenset(("alice",)), DomainPolicy()))
        user, admin = lab.bind("CONTOSO\\alice", PASSWORD), lab.administrator()
        name = "msDS-PasswordSettingsPrecedence"
        assert shown(user, SETTINGS, name, "cn") == {}
        assert shown(admin, SETTINGS, name)[name] == ["7"]
        user.compare(SETTINGS, name, "7")
        assert user.result["result"] == 16
        assert admin.compare(SETTINGS, name, "7")
