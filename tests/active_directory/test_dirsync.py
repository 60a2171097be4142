"""The DirSync control, through ldap3's own helper."""

from __future__ import annotations

import pytest
from ldap3.core.exceptions import LDAPExtensionError

from simulator.active_directory.ldap import connect
from simulator.active_directory.password_settings import FineGrainedPolicy
from simulator.active_directory.policy import DomainPolicy

ROOT = "DC=contoso,DC=example"
ASKED = ["objectGUID", "objectSid", "objectClass", "sAMAccountName", "mail", "userAccountControl", "isDeleted", "name"]


def reader(connection, attributes=ASKED, text="(objectClass=user)", base=ROOT, **options):
    """ldap3's DirSync loop."""
    return connection.extend.microsoft.dir_sync(base, text, attributes=attributes, **options)


def read(sync):
    """Everything that is to be had now: attributes by plain DN."""
    found = {}
    while True:
        for entry in sync.loop():
            found[entry["dn"].split(";")[-1]] = dict(entry["attributes"])
        if not sync.more_results:
            return found


@pytest.fixture
def sync(lab):
    """A lab with alice, and a DirSync reader that has read everything."""
    lab.user(attributes={"mail": "a@b.example"})
    lab.sync = reader(lab.connector())
    lab.first = read(lab.sync)
    return lab


ALICE = f"CN=alice,OU=People,{ROOT}"


def test_first_read(sync):
    """Without a cookie everything comes, with the attributes asked for, instanceType and extended names."""
    alice = sync.first[ALICE]
    assert alice["objectGUID"] == [sync.domain.find("alice").anchor]
    assert (alice["mail"], alice["instanceType"]) == (["a@b.example"], ["4"])
    assert alice["objectClass"] == ["top", "person", "organizationalPerson", "user"]
    assert f"CN=Administrator,CN=Users,{ROOT}" in sync.first


def test_extended_names(lab):
    """With the extended DN control names carry GUID and SID, as AD writes them."""
    lab.user()
    entries = reader(lab.connector(), text="(sAMAccountName=alice)").loop()
    account = lab.domain.find("alice")
    assert entries[0]["dn"].startswith(f"<GUID={account.guid}>;<SID=S-1-5-21-")
    assert entries[0]["dn"].endswith(f">;{ALICE}")


def test_idle(sync):
    """Nothing changed, nothing comes."""
    assert read(sync.sync) == {}


def test_changed_attribute(sync):
    """A change brings the changed attribute; a cleared one is named without values."""
    sync.domain.set_user("alice", attributes={"mail": "new@b.example"})
    change = read(sync.sync)[ALICE]
    assert set(change) == {"objectGUID", "instanceType", "mail"}
    assert change["mail"] == ["new@b.example"]
    sync.domain.set_user("alice", attributes={"mail": None})
    assert read(sync.sync)[ALICE]["mail"] == []


def test_unrelated_change(sync):
    """A change of what was not asked for brings no entry."""
    sync.domain.set_user("alice", attributes={"title": "clerk"})
    assert read(sync.sync) == {}


def test_password(lab):
    """A reset names the secrets without values: a signal that the password changed."""
    lab.user()
    sync = reader(lab.connector(), ["unicodePwd", "pwdLastSet", "ntPwdHistory"])
    read(sync)
    lab.domain.reset_password("alice", "Spring-2017!")
    change = read(sync)[ALICE]
    assert (change["unicodePwd"], change["ntPwdHistory"]) == ([], [])
    assert len(change["pwdLastSet"]) == 1


def test_move_and_rename(sync):
    """A move comes even if no attribute that was asked for changed."""
    sync.sync.attributes = ["mail"]
    sync.domain.move_user("alice", "OU=Sales")
    assert list(read(sync.sync)) == [f"CN=alice,OU=Sales,{ROOT}"]


def test_deleted(sync):
    """A deletion comes as the tombstone."""
    guid = sync.domain.find("alice").guid
    sync.domain.delete_user("alice")
    ((dn, change),) = read(sync.sync).items()
    assert dn == f"CN=alice\\0ADEL:{guid},CN=Deleted Objects,{ROOT}"
    assert (change["isDeleted"], change["mail"]) == (["TRUE"], [])
    assert change["objectGUID"] == [guid.bytes_le]


def test_many(lab):
    """More than a thousand entries come in several answers, each once, whatever changes in between."""
    for number in range(1200):
        lab.user(f"u{number}", attributes={"mail": "x@y.example"})
    sync = reader(lab.connector(), text="(sAMAccountName=u*)")
    first = sync.loop()
    assert (len(first), sync.more_results) == (1000, True)
    lab.domain.set_user("u1100", attributes={"mail": "z@y.example"})
    rest = {entry["attributes"]["sAMAccountName"][0]: entry["attributes"] for entry in sync.loop()}
    assert (len(rest), sync.more_results) == (200, False)
    assert rest["u1100"]["mail"] == ["z@y.example"]
    assert sync.loop() == []


@pytest.mark.parametrize(("security", "works"), [(False, False), (True, True)])
def test_rights(lab, security, works):
    """Without Get-Changes only the object-security flag reads."""
    lab.user()
    sync = reader(lab.bind("CONTOSO\\alice", "Winter-2016!"), object_security=security)
    if works:
        assert sync.loop()
    else:
        with pytest.raises(LDAPExtensionError, match="insufficientAccessRights"):
            sync.loop()


def test_base_is_the_root(lab):
    """The base has to be the head of the naming context."""
    lab.user()
    with pytest.raises(LDAPExtensionError, match="insufficientAccessRights"):
        reader(lab.connector(), base=f"OU=People,{ROOT}").loop()


@pytest.mark.parametrize("cookie", [b"garbage", b"MSDS\x03\x00\x00\x00" + bytes(100)])
def test_garbage_cookie(lab, cookie):
    """A cookie that is none is refused as an unavailable critical extension."""
    with pytest.raises(LDAPExtensionError, match="unavailableCriticalExtension"):
        reader(lab.connector(), cookie=cookie).loop()


def test_cookie_outlives_the_connection(sync):
    """A cookie goes on over a new connection."""
    sync.domain.set_user("alice", attributes={"mail": "new@b.example"})
    again = reader(sync.connector(), cookie=sync.sync.cookie)
    assert list(read(again)) == [ALICE]


class TestFlags:
    """What the control's flags and values change."""

    @staticmethod
    def ask(connection, flags=0, size=0, cookie=b"", attributes=("unicodePwd", "mail"), base=ROOT, scope="SUBTREE"):
        """One answer: attributes by name of alice, and the cookie."""
        integers = b"".join(bytes((2, 5)) + value.to_bytes(5, "big") for value in (flags, size))
        content = integers + b"\x04\x81" + bytes((len(cookie),)) + cookie
        value = b"\x30\x81" + bytes((len(content),)) + content
        connection.search(base, "(sAMAccountName=alice)", scope, attributes=list(attributes),
                          controls=[("1.2.840.113556.1.4.841", True, value)])  # fmt: skip
        if connection.result["result"]:
            return connection.result["result"], b""
        answered = connection.result["controls"]["1.2.840.113556.1.4.841"]["value"]
        return [dict(each["attributes"]) for each in connection.response], bytes(answered["cookie"])

    def test_signal(self, sync):
        """Asked for the password alone, an entry comes for a password set and for nothing else."""
        connection = sync.connector()
        _, cookie = self.ask(connection)
        sync.domain.set_user("alice", attributes={"title": "x"})
        found, cookie = self.ask(connection, cookie=cookie, attributes=["unicodePwd"])
        assert found == []
        sync.domain.reset_password("alice", "Spring-2017!")
        ((change,), _) = self.ask(connection, cookie=cookie, attributes=["unicodePwd"])
        assert change["unicodePwd"] == []

    def test_who_is_told_of_secrets(self, sync):
        """With the security of objects, or for public data only, secrets are not even named."""
        connection = sync.connector()
        named = ["unicodePwd" in self.ask(connection, flags)[0][0] for flags in (0, 0x800, 0x80000000, 1, 0x2000)]
        assert named == [True, True, True, False, False]

    @pytest.mark.parametrize(
        ("rights", "plain"), [((), 50), (("replicate-changes",), 0), (("replicate-changes-all",), 50)]
    )
    def test_rights(self, sync, rights, plain):
        """Reading needs Get-Changes, and Get-Changes-All does not do instead; object security needs neither."""
        for right in ("replicate-changes", "replicate-changes-all"):
            sync.domain.revoke(right)
        for right in rights:
            sync.domain.grant(right)
        connection = sync.connector()
        found, _ = self.ask(connection)
        assert (0 if isinstance(found, list) else found) == plain
        assert isinstance(self.ask(connection, 1)[0], list)

    def test_size(self, sync):
        """The number of octets asked for is not heeded."""
        assert len(self.ask(sync.connector(), size=1)[0]) == 1

    @pytest.mark.parametrize(("base", "scope"), [(f"OU=People,{ROOT}", "SUBTREE"), (ROOT, "BASE"), (ROOT, "LEVEL")])
    def test_where(self, sync, base, scope):
        """Only a whole naming context can be read."""
        assert self.ask(sync.connector(), base=base, scope=scope)[0] == 50

    def test_configuration(self, sync):
        """The configuration can be read like a domain."""
        connection = sync.connector()
        loop = reader(connection, base=f"CN=Configuration,{ROOT}", text="(objectClass=crossRef)", attributes=["nCName"])
        heads = [name for entry in loop.loop() for name in entry["attributes"]["nCName"]]
        assert ROOT in [name.rpartition(">;")[2] for name in heads]
        assert loop.loop() == []

    def test_cookie_of_another_domain(self, sync):
        """A cookie of a domain is none for another."""
        other = sync.forest.add_domain("fabrikam.example")
        connection = connect(other.controller(), "FABRIKAM\\Administrator", other.administrator_password)
        assert connection.bind()
        found = self.ask(connection, cookie=bytes(sync.sync.cookie), base="DC=fabrikam,DC=example")
        assert found[0] in (12, [])


class TestWhatComes:
    """Attributes that come when all of them are asked for."""

    def all_of(self, lab, cookie=None):
        """A reader of all attributes, and what it read."""
        loop = reader(lab.connector(), ["*"], "(sAMAccountName=alice)", cookie=cookie)
        return loop, read(loop)

    def test_creation(self, lab):
        """Defaults, parentGUID and descriptor come; neither the DN, nor what names the object, nor back links."""
        lab.user()
        group = next(each for each in lab.domain.controller().replica.by_guid.values() if each.kind.name == "group")
        lab.domain.controller().replica.write(
            group, {"member": (lab.domain.find("alice").entry.guid,)}, lab.domain.controller().seconds()
        )
        _, found = self.all_of(lab)
        alice = found[ALICE]
        assert {"accountExpires", "codePage", "primaryGroupID", "parentGUID", "nTSecurityDescriptor", "name"} <= set(
            alice
        )
        assert not {"cn", "distinguishedName", "memberOf", "uSNChanged", "badPwdCount"} & set(alice)
        assert (alice["unicodePwd"], alice["logonHours"]) == ([], [])

    def test_named(self, lab):
        """Name and DN come to who names them."""
        lab.user()
        found = read(reader(lab.connector(), ["cn", "distinguishedName"], "(sAMAccountName=alice)"))
        assert found[ALICE]["cn"] == ["alice"]
        assert found[ALICE]["distinguishedName"][0].endswith(f">;{ALICE}")

    def test_rename(self, lab):
        """A rename brings name and parentGUID, a move the new one; another change does not."""
        lab.user()
        loop, _ = self.all_of(lab)
        entry = lab.domain.find("alice").entry
        lab.domain.set_user("alice", attributes={"mail": "x@b.example"})
        assert set(read(loop)[ALICE]) == {"objectGUID", "instanceType", "mail"}
        replica = lab.domain.controller().replica
        replica.move(entry, entry.parent, "al", lab.domain.controller().seconds())
        (found,) = read(loop).values()
        assert set(found) == {"objectGUID", "instanceType", "name", "parentGUID"}

    def test_move(self, lab):
        """A move brings the new parentGUID; what names the object has not changed, as it does by a rename."""
        lab.user()
        loop = reader(lab.connector(), ["cn", "parentGUID"], "(sAMAccountName=alice)")
        read(loop)
        controller, entry = lab.domain.controller(), lab.domain.find("alice").entry
        controller.replica.move(entry, controller.replica.root, "alice", controller.seconds())
        (found,) = read(loop).values()
        assert set(found) == {"objectGUID", "instanceType", "parentGUID"}
        controller.replica.move(entry, controller.replica.root, "al", controller.seconds())
        (found,) = read(loop).values()
        assert found["cn"] == ["al"]

    def test_deletion(self, lab):
        """What a deletion takes is named without values, defaults and secrets among it."""
        lab.user(attributes={"mail": "a@b.example"})
        loop, _ = self.all_of(lab)
        lab.domain.delete_user("alice")
        (found,) = read(loop).values()
        gone = {name for name, values in found.items() if not values}
        assert {"mail", "unicodePwd", "accountExpires", "objectCategory", "sAMAccountType", "primaryGroupID"} <= gone
        assert found["isDeleted"] == ["TRUE"]

    def test_group_stays_a_group(self, lab):
        """A deleted group keeps groupType, though it was the default."""
        admin = lab.administrator()
        assert admin.add(f"CN=g,{ROOT}", ["group"])
        group = next(each for each in lab.domain.controller().replica.by_name.values() if each.rdn == "g")
        assert admin.delete(f"CN=g,{ROOT}")
        assert (group.get("grouptype"), group.get("samaccounttype")) == (-2147483646, None)

    def test_password_settings(self, lab):
        """With the security of objects, settings come to administrators only."""
        lab.domain.add_fine_grained(FineGrainedPolicy("strict", 1, frozenset(), DomainPolicy()))
        ask = {"text": "(objectClass=msDS-PasswordSettings)", "attributes": ["cn"], "object_security": True}
        assert len(read(reader(lab.administrator(), **ask))) == 1
        assert not read(reader(lab.connector(), **ask))
