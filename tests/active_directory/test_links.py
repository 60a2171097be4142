"""Links of one value: they follow what they point to, and the other end tells of them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ldap3 import BASE, MODIFY_DELETE, MODIFY_REPLACE

from simulator.active_directory import metadata
from simulator.active_directory.schema import CLASSES, INDEXED_LINKS
from simulator.active_directory.state import Forest
from simulator.random import Randomness

from .conftest import Lab

ROOT = "DC=contoso,DC=example"
PEOPLE = f"OU=People,{ROOT}"
BOSS, ALICE = f"CN=boss,{PEOPLE}", f"CN=alice,{PEOPLE}"


@pytest.fixture
def firm(lab):
    """A lab in which alice reports to boss."""
    lab.user("boss")
    lab.user("alice", attributes={"manager": BOSS})
    lab.admin = lab.administrator()
    return lab


def shown(lab, dn, *names):
    """Values of attributes of an object as the administrator reads them."""
    lab.admin.search(dn, "(objectClass=*)", BASE, attributes=list(names))
    (found,) = lab.admin.response
    return [found["attributes"].get(name) for name in names]


def test_both_ends(firm):
    """Whoever has a manager is among the manager's reports, with all attributes, too."""
    assert shown(firm, ALICE, "manager") == [[BOSS]]
    assert shown(firm, BOSS, "directReports", "manager") == [[ALICE], None]
    firm.admin.search(BOSS, "(objectClass=*)", BASE, attributes=["*"])
    assert firm.admin.response[0]["attributes"]["directReports"] == [ALICE]


def test_rename(firm):
    """A rename of either end shows at the other, which does not change by it."""
    entry = firm.domain.find("alice").entry
    usn = entry.usn
    assert firm.admin.modify_dn(BOSS, "CN=chief")
    assert shown(firm, ALICE, "manager") == [[f"CN=chief,{PEOPLE}"]]
    assert entry.usn == usn
    assert firm.admin.modify_dn(ALICE, "CN=alicia")
    assert shown(firm, f"CN=chief,{PEOPLE}", "directReports") == [[f"CN=alicia,{PEOPLE}"]]


def test_deletion(firm):
    """With the manager the link goes, and a manager who comes back does not get it back."""
    firm.admin.search(BOSS, "(objectClass=*)", BASE, attributes=["objectGUID"])
    guid = firm.domain.find("boss").guid
    assert firm.admin.delete(BOSS)
    assert shown(firm, ALICE, "manager") == [None]
    changes = {"isDeleted": [(MODIFY_DELETE, [])], "distinguishedName": [(MODIFY_REPLACE, [BOSS])]}
    show_deleted = [("1.2.840.113556.1.4.417", True, None)]
    assert firm.admin.modify(f"<GUID={guid}>", changes, controls=show_deleted), firm.admin.result
    assert shown(firm, ALICE, "manager") == [None]
    assert shown(firm, BOSS, "directReports") == [None]


def test_deletion_of_the_report(firm):
    """A deleted report is none."""
    firm.domain.delete_user("alice")
    assert shown(firm, BOSS, "directReports") == [None]


def test_change(firm):
    """A new manager gets the report, the old one loses it; a wrong value is not there to be deleted."""
    firm.user("next")
    assert firm.admin.modify(ALICE, {"manager": [(MODIFY_REPLACE, [f"cn=NEXT,{PEOPLE}"])]})
    assert shown(firm, BOSS, "directReports") == [None]
    assert shown(firm, f"CN=next,{PEOPLE}", "directReports") == [[ALICE]]
    assert not firm.admin.modify(ALICE, {"manager": [(MODIFY_DELETE, [BOSS])]})
    assert firm.admin.result["result"] == 16
    assert firm.admin.modify(ALICE, {"manager": [(MODIFY_DELETE, [f"CN=next,{PEOPLE}"])]})
    assert shown(firm, ALICE, "manager") == [None]


def test_other_domain(firm):
    """A manager in another domain is kept by name."""
    other = firm.forest.add_domain("fabrikam.example")
    other.create_user("far", "Winter-2016!", check_policy=False)
    far = other.find("far").dn
    assert firm.admin.modify(ALICE, {"manager": [(MODIFY_REPLACE, [far])]}), firm.admin.result
    assert shown(firm, ALICE, "manager") == [[far]]
    assert shown(firm, BOSS, "directReports") == [None]


def test_filters(firm):
    """A manager is searched for by the name that is now."""
    assert firm.admin.modify_dn(BOSS, "CN=chief")
    for text in (f"(manager=CN=chief,{PEOPLE})", f"(directReports={ALICE})"):
        firm.admin.search(ROOT, text, attributes=["cn"])
        assert len(firm.admin.entries) == 1, text
    firm.admin.search(ROOT, f"(manager={BOSS})", attributes=["cn"])
    assert not firm.admin.entries


def index_of(replica):
    """What the index of links should be."""
    found = {}
    for entry in replica.by_guid.values():
        for key in INDEXED_LINKS:
            for guid in entry.values.get(key, ()):
                found.setdefault((key, guid), set()).add(entry.guid)
    return found


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["a", "b", "c", "none", "delete"])), max_size=12))
def test_index(doings):
    """Whatever is linked and deleted, the index fits, on a copy of the database and after a snapshot, too."""
    lab = Lab()
    for name in "abc":
        lab.user(name)
    for name, doing in doings:
        there = {account.name for account in lab.domain.accounts()}
        if name not in there:
            continue
        if doing == "delete":
            lab.domain.delete_user(name)
        elif doing == "none" or doing in there:
            dn = None if doing == "none" else lab.domain.find(doing).dn
            lab.domain.set_user(name, attributes={"manager": dn})
    replica = lab.domain.controller().replica
    kept = {key: set(guids) for key, guids in replica.linked_from.items() if guids}
    assert kept == index_of(replica)
    again = Forest("forest", lab.clock, Randomness(1))
    again.restore(lab.forest.snapshot())
    copy = again.domains["contoso.example"].controller().replica
    assert {key: set(guids) for key, guids in copy.linked_from.items() if guids} == kept
    twin = lab.domain.controller().snapshot()
    lab.domain.restore_controller("dc1", twin)
    copy = lab.domain.controller().replica
    assert {key: set(guids) for key, guids in copy.linked_from.items() if guids} == kept


def test_controllers():
    """On another controller the link comes with its object, follows a rename there and goes with the manager."""
    lab = Lab()
    domain = lab.forest.add_domain("fabrikam.example", controllers=("dc8", "dc9"))
    domain.create_user("boss", "Winter-2016!", check_policy=False)
    domain.create_user("alice", "Winter-2016!", check_policy=False, attributes={"manager": domain.find("boss").dn})
    domain.replicate()
    here, there = (domain.controller(name).replica for name in ("dc8", "dc9"))
    alice, boss = (there.by_name[name] for name in ("alice", "boss"))
    assert (alice.get("manager"), boss.get("directreports")) == (boss.dn, alice.dn)
    here.move(here.by_name["boss"], here.by_name["boss"].parent, "chief", domain.controller().seconds())
    domain.replicate()
    assert alice.text("manager").startswith("CN=chief,")
    domain.delete_user("boss")
    domain.replicate()
    for replica in (here, there):
        entry = replica.by_name["alice"]
        assert ("manager" in entry.values, entry.get("manager")) == (False, None)
    assert not any(there.linked_from.values())


def test_group_deleted_elsewhere():
    """A deleted group keeps its type on the other controllers, too, and has the same metadata."""
    lab = Lab()
    domain = lab.forest.add_domain("fabrikam.example", controllers=("dc8", "dc9"))
    home = domain.controller("dc8")
    group = home.create(home.replica.root, "g", CLASSES["group"], {"samaccountname": "g"}, rid=home.take_rid())
    domain.replicate()
    home.replica.delete(group, home.seconds())
    domain.replicate()
    twin = domain.controller("dc9").replica.by_guid[group.guid]
    assert (twin.values, twin.get("grouptype")) == (group.values, -2147483646)
    versions = [{name: stamp.version for _, name, stamp in metadata.stamps(each)} for each in (group, twin)]
    assert versions[0] == versions[1]
    assert {"groupType", "sAMAccountType", "objectCategory"} <= set(versions[0])
