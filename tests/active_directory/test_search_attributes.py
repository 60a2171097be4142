"""What is computed when it is asked for: metadata, security descriptors, groups, what a reader may do."""

from __future__ import annotations

import struct
from uuid import UUID
from xml.etree import ElementTree

import pytest
from ldap3 import BASE, MODIFY_ADD, MODIFY_REPLACE, SUBTREE

from simulator.active_directory import schema_figures
from simulator.active_directory.names import sid_text

ROOT = "DC=contoso,DC=example"
PEOPLE = f"OU=People,{ROOT}"
ALICE = f"CN=alice,{PEOPLE}"
SD_FLAGS = "1.2.840.113556.1.4.801"
SECRETS = {"unicodePwd", "dBCSPwd", "ntPwdHistory", "lmPwdHistory", "supplementalCredentials"}
GET_CHANGES, GET_CHANGES_ALL = "1131f6aa-9c07-11d1-f79f-00c04fc2dcd2", "1131f6ad-9c07-11d1-f79f-00c04fc2dcd2"
CHANGE_PASSWORD = "ab721a53-1e2f-11d0-9819-00aa0040529b"


def read(connection, dn, *attributes, **options):
    """Raw values of one object's attributes."""
    assert connection.search(dn, "(objectClass=*)", BASE, attributes=list(attributes), **options), connection.result
    return dict(connection.response[0]["raw_attributes"])


def one(connection, dn, attribute):
    """The one value of an attribute as text."""
    (value,) = read(connection, dn, attribute)[attribute]
    return value.decode()


@pytest.fixture
def admin(lab):
    """An administrator's connection to a domain with alice."""
    lab.user(attributes={"mail": "a@b.example"})
    return lab.administrator()


class TestMetadata:
    """Who changed what, when."""

    @staticmethod
    def decoded(octets):
        """(number, version, seconds, invocation, originating USN, local USN) of each entry."""
        version, reserved, count, more = struct.unpack_from("<IIII", octets)
        assert (version, reserved, more, len(octets)) == (1, 0, 0, 16 + 48 * count)
        return [struct.unpack_from("<IIq16sqq", octets, 16 + 48 * at) for at in range(count)]

    def blob(self, connection, dn=ALICE):
        (octets,) = read(connection, dn, "replPropertyMetaData")["replPropertyMetaData"]
        names = {each.number: each.name for each in schema_figures.attributes().values()}
        return {names[entry[0]]: entry for entry in self.decoded(octets)}

    def test_blob(self, lab, admin):
        """A password set raises exactly six versions by one, under one USN; entries come in order of their numbers."""
        before = self.blob(admin)
        assert {entry[1] for entry in before.values()} == {1}
        lab.wait(seconds=90)
        lab.domain.reset_password("alice", "Spring-2017!")
        after = self.blob(admin)
        raised = {name for name, entry in after.items() if entry != before.get(name)}
        assert raised == {*SECRETS, "pwdLastSet"}
        assert {after[name][1] for name in raised if name in before} == {2}
        assert {after[name][4:] for name in raised} == {(lab.domain.find("alice").usn,) * 2}
        assert after["unicodePwd"][2] - before["unicodePwd"][2] == 90
        assert after["unicodePwd"][3] == lab.domain.controller().invocation
        assert after["unicodePwd"][0] == 0x9005A
        assert [entry[0] for entry in after.values()] == sorted(entry[0] for entry in after.values())

    def test_what_is_replicated(self, admin):
        """Names, classes and times are in it; what a controller keeps for itself and the ends of links are not."""
        found = set(self.blob(admin))
        assert {"objectClass", "cn", "instanceType", "whenCreated", "nTSecurityDescriptor", "name", "objectSid",
                "sAMAccountName", "objectCategory", "mail"} <= found  # fmt: skip
        assert not found & {"badPwdCount", "lastLogon", "uSNChanged", "whenChanged", "memberOf", "objectGUID",
                            "distinguishedName", "canonicalName"}  # fmt: skip

    def test_xml(self, lab, admin):
        """The same as XML, with the controller on which it was written by name."""
        lab.domain.reset_password("alice", "Spring-2017!")
        texts = read(admin, ALICE, "msDS-ReplAttributeMetaData")["msDS-ReplAttributeMetaData"]
        rows = {}
        for text in texts:
            root = ElementTree.fromstring(text.decode())
            assert root.tag == "DS_REPL_ATTR_META_DATA"
            row = {child.tag: child.text for child in root}
            rows[row["pszAttributeName"]] = row
        assert set(rows) == set(self.blob(admin))
        invocation = UUID(bytes_le=lab.domain.controller().invocation)
        usn = str(lab.domain.find("alice").usn)
        assert rows["pwdLastSet"] == {
            "pszAttributeName": "pwdLastSet", "dwVersion": "2", "ftimeLastOriginatingChange": "2017-01-13T09:00:00Z",
            "uuidLastOriginatingDsaInvocationID": str(invocation), "usnOriginatingChange": usn, "usnLocalChange": usn,
            "pszLastOriginatingDsaDN": "CN=NTDS Settings,CN=DC1,CN=Servers,CN=Default-First-Site-Name,CN=Sites,"
            f"CN=Configuration,{ROOT}",
        }  # fmt: skip

    @pytest.mark.parametrize(
        ("name", "number"),
        [("objectClass", 0x0), ("cn", 0x3), ("objectSid", 0x90092), ("mail", 0x150003), ("carLicense", 0x160001)],
    )
    def test_numbers(self, name, number):
        """An attribute's number is its OID's beginning, by the table of prefixes, and its last part."""
        assert schema_figures.attributes()[name.lower()].number == number

    def test_large_last_part(self):
        """Of a last part beyond 14 bits the lower ones are kept, and the highest bit says so."""
        assert schema_figures.attributes()["msexchrecipienttypedetails"].number & 0xFFFF == 50855 % 0x4000 | 0x8000

    def test_tombstone(self, lab, admin):
        """A tombstone keeps the metadata of what it lost, secrets among them."""
        guid = lab.domain.find("alice").guid
        lab.domain.reset_password("alice", "Spring-2017!")
        lab.domain.delete_user("alice")
        admin.search(f"<GUID={guid}>", "(objectClass=*)", BASE, attributes=["replPropertyMetaData"],
                     controls=[("1.2.840.113556.1.4.417", True, None)])  # fmt: skip
        (octets,) = admin.response[0]["raw_attributes"]["replPropertyMetaData"]
        numbers = [entry[0] for entry in self.decoded(octets)]
        wanted = [schema_figures.attributes()[key].number for key in ("isdeleted", "mail", "unicodepwd")]
        assert set(wanted) <= set(numbers)

    def test_by_name_only(self, admin):
        """Metadata comes when it is named."""
        assert not {"replPropertyMetaData", "msDS-ReplAttributeMetaData"} & set(read(admin, ALICE, "*"))


class TestDescriptor:
    """Security descriptors."""

    @staticmethod
    def decoded(octets):
        """Owner, group and access rules: (mask, right or None, SID)."""
        revision, _, control, owner, group, audit, access = struct.unpack_from("<BBHIIII", octets)
        assert (revision, control & 0x8000, audit) == (1, 0x8000, 0)

        def sid(at):
            return sid_text(octets[at : at + 8 + 4 * octets[at + 1]]) if at else None

        rules = None
        if access:
            _, _, size, count, _ = struct.unpack_from("<BBHHH", octets, access)
            assert access + size <= len(octets)
            rules, at = [], access + 8
            for _ in range(count):
                kind, _, length, mask = struct.unpack_from("<BBHI", octets, at)
                right = str(UUID(bytes_le=octets[at + 12 : at + 28])) if kind == 5 else None
                rules.append((mask, right, sid(at + (28 if kind == 5 else 8))))
                at += length
            assert at == access + size
        return sid(owner), sid(group), rules

    def descriptor(self, connection, dn, flags=7):
        wanted = [(SD_FLAGS, True, bytes((0x30, 3, 2, 1, flags)))]
        found = read(connection, dn, "nTSecurityDescriptor", controls=wanted).get("nTSecurityDescriptor")
        return None if found is None else self.decoded(found[0])

    def rights(self, lab, connection, dn=ROOT):
        (sid,) = lab.domain.find(lab.domain.connector_account()[0]).attribute("objectSid")
        _, _, rules = self.descriptor(connection, dn)
        return {right for mask, right, who in rules if who == sid_text(sid) and mask == 0x100}

    def test_replication_rights(self, lab, admin):
        """The domain's head grants the connector what it was granted, and no more; other objects nothing."""
        assert self.rights(lab, admin) == {GET_CHANGES, GET_CHANGES_ALL}
        lab.domain.revoke("replicate-changes-all")
        assert self.rights(lab, admin) == {GET_CHANGES}
        lab.domain.revoke("replicate-changes")
        assert self.rights(lab, admin) == set()
        lab.domain.grant("replicate-changes")
        assert self.rights(lab, admin, PEOPLE) == set()

    def test_accounts(self, admin):
        """Domain Admins own everything and may do it; everyone may change a password that he knows."""
        owner, group, rules = self.descriptor(admin, ALICE)
        assert owner == group
        assert owner.endswith("-512")
        assert (0xF01FF, None, owner) in rules
        assert (0x100, CHANGE_PASSWORD, "S-1-1-0") in rules
        assert (0x20094, None, "S-1-5-11") in rules
        assert (0x30, "77b5b886-944a-11d1-aebd-0000f80367c1", "S-1-5-10") in rules

    def test_parts(self, lab, admin):
        """The control chooses parts; who may not read auditing has to leave it out."""
        assert self.descriptor(admin, ALICE, 1)[1:] == (None, None)
        assert self.descriptor(admin, ALICE, 4)[:2] == (None, None)
        assert self.descriptor(admin, ALICE, 0) == self.descriptor(admin, ALICE, 15) == self.descriptor(admin, ALICE)
        alice = lab.bind("CONTOSO\\alice", "Winter-2016!")
        assert self.descriptor(alice, ALICE, 15) is None
        assert self.descriptor(alice, ALICE, 7) == self.descriptor(admin, ALICE, 7)
        assert "nTSecurityDescriptor" not in read(alice, ALICE, "nTSecurityDescriptor")
        assert "nTSecurityDescriptor" in read(admin, ALICE, "nTSecurityDescriptor")

    def test_with_everything(self, admin):
        """``*`` brings it along with the control alone."""
        assert "nTSecurityDescriptor" not in read(admin, ALICE, "*")
        wanted = [(SD_FLAGS, True, bytes((0x30, 3, 2, 1, 4)))]
        assert "nTSecurityDescriptor" in read(admin, ALICE, "*", controls=wanted)

    def test_other_contexts(self, lab, admin):
        """Objects of configuration and schema have one as well."""
        for dn in (f"CN=Configuration,{ROOT}", f"CN=User,CN=Schema,CN=Configuration,{ROOT}"):
            owner, _, rules = self.descriptor(admin, dn)
            assert owner.endswith("-512")
            assert all(right is None for _, right, _ in rules)


class TestGroups:
    """Groups of an account."""

    def test_token_groups(self, lab, admin):
        """tokenGroups are SIDs of all groups, the primary one and those through others; for one object at a time."""
        for name, members in (("inner", [ALICE]), ("outer", [f"CN=inner,{PEOPLE}"])):
            assert admin.add(f"CN={name},{PEOPLE}", ["group"], {"sAMAccountName": name, "member": members})
        assert admin.modify(f"CN=inner,{PEOPLE}", {"member": [(MODIFY_ADD, [f"CN=outer,{PEOPLE}"])]})
        expected = {
            lab.domain.controller().replica.by_name[name].get("objectsid")
            for name in ("inner", "outer", "domain users")
        }
        assert set(read(admin, ALICE, "tokenGroups")["tokenGroups"]) == expected
        admin.search(PEOPLE, "(cn=alice)", SUBTREE, attributes=["tokenGroups", "cn"])
        assert set(admin.response[0]["raw_attributes"]) == {"cn"}

    def test_token_of_primary_group(self, admin):
        """primaryGroupToken is a group's relative identifier, which users' primaryGroupID names."""
        assert one(admin, f"CN=Domain Users,CN=Users,{ROOT}", "primaryGroupToken") == "513"
        assert read(admin, ALICE, "primaryGroupToken") == {}


class TestConstructed:
    """Other constructed attributes."""

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("canonicalName", "contoso.example/People/alice"),
            ("msDS-parentdistname", PEOPLE),
            ("msDS-PrincipalName", "CONTOSO\\alice"),
            ("createTimeStamp", "20170113090000.0Z"),
            ("modifyTimeStamp", "20170113090000.0Z"),
            ("subSchemaSubEntry", f"CN=Aggregate,CN=Schema,CN=Configuration,{ROOT}"),
            ("fromEntry", "TRUE"),
            ("msDS-KeyVersionNumber", "1"),
            ("sDRightsEffective", "15"),
            ("distinguishedName", ALICE),
        ],
    )
    def test_value(self, admin, name, expected):
        """What an attribute says of alice to an administrator."""
        assert one(admin, ALICE, name) == expected
        if name != "distinguishedName":
            assert name not in read(admin, ALICE, "*")

    def test_classes(self, admin):
        """structuralObjectClass is the chain of classes; parentGUID the container's identifier."""
        shown = read(admin, ALICE, "structuralObjectClass", "parentGUID", "objectClass")
        assert shown["structuralObjectClass"] == shown["objectClass"]
        assert shown["parentGUID"] == read(admin, PEOPLE, "objectGUID")["objectGUID"]

    def test_allowed(self, lab, admin):
        """What an object may hold follows from its class; what the reader may write of it, from who he is."""
        allowed = {value.decode() for value in read(admin, ALICE, "allowedAttributes")["allowedAttributes"]}
        assert {"sAMAccountName", "mail", "unicodePwd", "objectGUID", "proxyAddresses"} <= allowed
        assert "member" not in allowed
        children = read(admin, PEOPLE, "allowedChildClasses")["allowedChildClasses"]
        assert {b"user", b"group", b"organizationalUnit", b"inetOrgPerson"} <= set(children)
        assert b"domainDNS" not in children
        effective = read(admin, ALICE, "allowedAttributesEffective")["allowedAttributesEffective"]
        assert b"mail" in effective
        assert b"objectGUID" not in effective
        other = lab.connector()
        assert read(other, PEOPLE, "allowedChildClassesEffective", "allowedAttributesEffective") == {}
        assert one(other, ALICE, "sDRightsEffective") == "0"
        own = read(lab.bind("CONTOSO\\alice", "Winter-2016!"), ALICE, "allowedAttributesEffective")
        assert b"telephoneNumber" in own["allowedAttributesEffective"]
        assert b"mail" not in own["allowedAttributesEffective"]

    def test_root_of_the_domain(self, admin):
        """The domain's head has no parent and is the head of a naming context."""
        shown = read(admin, ROOT, "parentGUID", "msDS-parentdistname", "instanceType", "dc", "cn", "canonicalName")
        assert shown == {"instanceType": [b"5"], "dc": [b"contoso"], "canonicalName": [b"contoso.example/"]}

    def test_none_is_written(self, admin):
        """Constructed attributes are not to be written."""
        for name in ("canonicalName", "tokenGroups", "replPropertyMetaData", "allowedAttributes"):
            admin.modify(ALICE, {name: [(MODIFY_REPLACE, ["x"])]})
            assert admin.result["result"] != 0, name


class TestSecrets:
    """Secrets are nobody's to read."""

    @pytest.mark.parametrize("reader", ["Administrator", "alice"])
    def test_absent(self, lab, admin, reader):
        """By name, by ``*``, by OID and in ranges they are absent; comparing is false, a filter finds nothing."""
        connection = admin if reader == "Administrator" else lab.bind("CONTOSO\\alice", "Winter-2016!")
        nt = lab.domain.find("alice").nt_hash
        named = [
            *SECRETS,
            *(f"{name};range=0-*" for name in SECRETS),
            "1.2.840.113556.1.4.90",
            "OID.1.2.840.113556.1.4.90",
        ]
        for asked in (named, ["*"], [*named, "*"]):
            shown = read(connection, ALICE, *asked)
            assert not {name.partition(";")[0] for name in shown} & SECRETS
            assert nt not in b"".join(octets for values in shown.values() for octets in values)
        assert read(connection, ALICE, *named) == {}
        for name in SECRETS:
            connection.compare(ALICE, name, nt)
            assert connection.result["result"] == 5
            connection.search(ROOT, f"(|({name}=*)(!({name}=*)))", attributes=["cn"])
            assert [each for each in connection.response if each["type"] == "searchResEntry"] == []


class TestCompare:
    """Comparing outside of what is stored."""

    @pytest.mark.parametrize(
        ("dn", "name", "value", "code"),
        [
            (ALICE, "canonicalName", "contoso.example/People/alice", 6),
            (ALICE, "canonicalName", "else", 5),
            (ALICE, "memberOf", "x", 16),
            (ALICE, "noSuch", "x", 16),
            (f"CN=User,CN=Schema,CN=Configuration,{ROOT}", "lDAPDisplayName", "USER", 6),
            ("DC=lab,DC=example", "cn", "x", 10),
            (f"CN=nobody,{PEOPLE}", "cn", "x", 32),
        ],
    )
    def test_codes(self, admin, dn, name, value, code):
        """Each is answered by the code that fits."""
        admin.compare(dn, name, value)
        assert admin.result["result"] == code
