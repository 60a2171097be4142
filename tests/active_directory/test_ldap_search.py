"""Searching over ldap3: filters, scopes, controls, limits, what may be seen."""

from __future__ import annotations

import pytest
from ldap3 import BASE, LEVEL, MODIFY_ADD, SUBTREE
from ldap3.core.exceptions import LDAPSocketOpenError

from simulator.active_directory.ldap import connect
from simulator.active_directory.schema import CLASSES

ROOT = "DC=contoso,DC=example"
PEOPLE = f"OU=People,{ROOT}"


@pytest.fixture
def people(lab):
    """alice (user), bob (inetOrgPerson, disabled), a contact, and a connection of the administrator."""
    lab.user("alice", attributes={"mail": "alice@contoso.example", "givenName": "Alice", "sn": "Archer"})
    lab.user("bob", user_class="inetOrgPerson", enabled=False, attributes={"description": "Größe"})
    admin = lab.administrator()
    assert admin.add(f"CN=carol,{PEOPLE}", ["contact"], {"mail": "carol@else.example"})
    lab.people = admin
    return lab


def hits(lab, text, base=PEOPLE, scope=SUBTREE, connection=None, **options):
    """Relative names of what a search finds, in its order."""
    connection = connection or lab.people
    connection.search(base, text, scope, attributes=["name"], **options)
    return [entry["attributes"]["name"][0] for entry in entries_of(connection)]


def entries_of(connection):
    """The entries of an answer, without continuation references."""
    return [entry for entry in connection.response if entry["type"] == "searchResEntry"]


class TestFilter:
    """What filters match."""

    @pytest.mark.parametrize(
        ("text", "found"),
        [
            ("(objectClass=user)", ["alice", "bob"]),
            ("(objectClass=inetOrgPerson)", ["bob"]),
            ("(&(objectCategory=person)(objectClass=user))", ["alice", "bob"]),
            ("(objectCategory=user)", ["alice", "bob", "carol"]),
            (f"(objectCategory=CN=Person,CN=Schema,CN=Configuration,{ROOT})", ["alice", "bob", "carol"]),
            ("(sAMAccountType=805306368)", ["alice", "bob"]),
            ("(&(objectClass=user)(!(objectClass=inetOrgPerson)))", ["alice"]),
            ("(userAccountControl:1.2.840.113556.1.4.803:=514)", ["bob"]),
            ("(userAccountControl:1.2.840.113556.1.4.804:=514)", ["alice", "bob"]),
            ("(!(userAccountControl:1.2.840.113556.1.4.803:=2))", ["People", "alice", "carol"]),
            ("(userAccountControl:1.2.3:=2)", []),
            ("(!(&(objectClass=user)(mail=*)))", ["People", "bob", "carol"]),
            ("(!(|(objectClass=user)(ou=*)))", ["carol"]),
            ("(SAMACCOUNTNAME=ALICE)", ["alice"]),
            ("(userPrincipalName=bob@contoso.example)", ["bob"]),
            ("(cn=a*)", ["alice"]),
            ("(cn=*l*)", ["People", "alice", "carol"][1:]),
            ("(cn=a*i*e)", ["alice"]),
            ("(cn=al*lice)", []),
            ("(description=GRÖSSE)", ["bob"]),
            ("(cn~=alice)", ["alice"]),
            ("(mail=*)", ["alice", "carol"]),
            ("(!(mail=*))", ["People", "bob"]),
            ("(pwdLastSet>=1)", ["alice", "bob"]),
            ("(!(pwdLastSet>=1))", ["People", "carol"]),
            ("(userAccountControl<=512)", ["alice"]),
            ("(cn>=b)", ["bob", "carol"]),
            ("(unicodePwd=*)", []),
            ("(!(unicodePwd=*))", []),
            ("(unknownAttribute=x)", []),
            ("(!(unknownAttribute=x))", []),
            ("(|(unknownAttribute=x)(cn=bob))", ["bob"]),
            ("(userAccountControl=not a number)", []),
            ("(anr=Alice Archer)", ["alice"]),
            ("(anr=car)", ["carol"]),
            (f"(distinguishedName=cn=ALICE,{PEOPLE})", ["alice"]),
            ("(accountExpires=9223372036854775807)", ["alice", "bob"]),
            ("(whenCreated>=20170101000000.0Z)", ["People", "alice", "bob", "carol"]),
            ("(whenCreated>=20180101000000.0Z)", []),
            ("(|(sAMAccountName=bob)(sAMAccountName=alice)(sAMAccountName=bob))", ["alice", "bob"]),
        ],
    )
    def test_match(self, people, text, found):
        """Each filter finds what it says."""
        assert hits(people, text) == found

    def test_binary_values(self, people):
        """objectGUID and objectSid match as octets, and a SID as text."""
        account = people.domain.find("alice")
        guid = "".join(f"\\{octet:02x}" for octet in account.anchor)
        people.people.search(PEOPLE, f"(objectGUID={guid})", attributes=["objectSid", "objectGUID"])
        (entry,) = people.people.response
        assert entry["attributes"]["objectGUID"] == [account.anchor]
        sid = entry["raw_attributes"]["objectSid"][0]
        escaped = "".join(f"\\{octet:02x}" for octet in sid)
        assert hits(people, f"(objectSid={escaped})") == ["alice"]
        assert hits(people, f"(objectGUID={account.guid})") == ["alice"]

    def test_groups_in_chain(self, people):
        """Nested membership is found by the in-chain rule, direct membership by memberOf; names follow a move."""
        admin = people.people
        for name in ("inner", "outer"):
            assert admin.add(f"CN={name},{PEOPLE}", ["group"], {"sAMAccountName": name})
        assert admin.modify(f"CN=inner,{PEOPLE}", {"member": [(MODIFY_ADD, [f"CN=alice,{PEOPLE}"])]})
        assert admin.modify(f"CN=outer,{PEOPLE}", {"member": [(MODIFY_ADD, [f"CN=inner,{PEOPLE}"])]})
        outer = f"(memberOf:1.2.840.113556.1.4.1941:=CN=outer,{PEOPLE})"
        assert hits(people, outer) == ["alice", "inner"]
        assert hits(people, f"(memberOf=CN=outer,{PEOPLE})") == ["inner"]
        assert hits(people, f"(member:1.2.840.113556.1.4.1941:=CN=alice,{PEOPLE})") == ["inner", "outer"]
        people.domain.move_user("alice", "OU=Else")
        assert hits(people, outer, base=ROOT) == ["inner", "alice"]
        admin.search(f"CN=inner,{PEOPLE}", "(objectClass=*)", BASE, attributes=["member"])
        assert admin.response[0]["attributes"]["member"] == [f"CN=alice,OU=Else,{ROOT}"]

    def test_usn(self, people):
        """uSNChanged finds what changed since, in order of change."""
        before = people.domain.version + 1
        people.domain.set_user("bob", display_name="Bobby")
        people.domain.set_user("alice", display_name="Al")
        assert hits(people, f"(uSNChanged>={before})") == ["bob", "alice"]
        assert hits(people, f"(&(objectClass=user)(uSNChanged>={before + 1}))") == ["alice"]
        assert hits(people, "(uSNChanged>=99999999999999999999999)") == []


class TestScope:
    """Bases and scopes."""

    def test_scopes(self, people):
        """Base, one level and subtree see what lies there."""
        assert hits(people, "(objectClass=*)", scope=BASE) == ["People"]
        assert hits(people, "(objectClass=*)", scope=LEVEL) == ["alice", "bob", "carol"]
        assert hits(people, "(objectClass=*)", base=ROOT, scope=LEVEL)[0] == "Users"
        assert hits(people, "(sAMAccountName=alice)", base=ROOT, scope=LEVEL) == []

    def test_base_by_guid_and_sid(self, people):
        """``<GUID=..>`` and ``<SID=..>`` stand for the object wherever it is."""
        account = people.domain.find("alice")
        assert hits(people, "(objectClass=*)", base=f"<GUID={account.guid}>", scope=BASE) == ["alice"]
        assert hits(people, "(objectClass=*)", base=f"<GUID={account.anchor.hex()}>", scope=BASE) == ["alice"]
        sid = account.attribute("objectSid")[0]
        assert hits(people, "(objectClass=*)", base=f"<SID={sid.hex()}>", scope=BASE) == ["alice"]

    @pytest.mark.parametrize(
        ("base", "code"),
        [(f"OU=Nowhere,{ROOT}", 32), ("O=lab", 32), ("<GUID=zz>", 34), ("<GUID=zz", 34), ("", 32)],
    )
    def test_bad_base(self, people, base, code):
        """A base that is not there is 32, one that is no name 34."""
        people.people.search(base, "(objectClass=*)", attributes=["cn"])
        assert people.people.result["result"] == code

    def test_matched_dn(self, people):
        """noSuchObject names the deepest object that exists."""
        people.people.search(f"CN=x,OU=y,{PEOPLE}", "(objectClass=*)", attributes=["cn"])
        assert people.people.result["dn"] == PEOPLE


class TestVisible:
    """What may be read, and by whom."""

    def test_secrets(self, people):
        """Secrets are absent by name and by ``*``, for administrators too; comparing them is false."""
        admin = people.people
        admin.search(f"CN=alice,{PEOPLE}", "(objectClass=*)", BASE, attributes=["*", "unicodePwd", "ntPwdHistory"])
        names = {name.lower() for name in admin.response[0]["attributes"]}
        assert not names & {"unicodepwd", "ntpwdhistory", "dbcspwd", "lmpwdhistory", "supplementalcredentials"}
        assert {"samaccountname", "pwdlastset", "badpwdcount", "objectguid", "objectclass"} <= names
        nt = people.domain.find("alice").nt_hash
        admin.compare(f"CN=alice,{PEOPLE}", "unicodePwd", nt)
        assert admin.result["result"] == 5

    def test_anonymous(self, people):
        """Without a bind only the root is readable."""
        connection = connect(people.domain.controller())
        assert connection.bind()
        assert connection.search("", "(objectClass=*)", BASE, attributes=["defaultNamingContext"])
        assert connection.response[0]["attributes"]["defaultNamingContext"] == [ROOT]
        assert not connection.search(ROOT, "(objectClass=*)", attributes=["cn"])
        assert connection.result["result"] == 1
        assert connection.result["message"].startswith("00002020")

    def test_tombstones(self, people):
        """Deleted objects show with the control alone, stripped."""
        guid = people.domain.find("alice").guid
        people.domain.delete_user("alice")
        assert hits(people, "(sAMAccountName=alice)", base=ROOT) == []
        admin = people.people
        admin.search(
            ROOT, "(sAMAccountName=alice)", attributes=["*"], controls=[("1.2.840.113556.1.4.417", True, None)]
        )
        (entry,) = entries_of(admin)
        assert entry["dn"] == f"CN=alice\\0ADEL:{guid},CN=Deleted Objects,{ROOT}"
        shown = entry["attributes"]
        assert (shown["isDeleted"], shown["lastKnownParent"]) == (["TRUE"], [PEOPLE])
        assert not {"pwdlastset", "userprincipalname", "displayname", "mail"} & {name.lower() for name in shown}

    def test_computed(self, lab_with):
        """Expiry and lockout are computed when asked for by name, and never by ``*``."""
        lab = lab_with(lockout_threshold=1)
        lab.user()
        admin, dn = lab.administrator(), f"CN=alice,{PEOPLE}"
        names = ["msDS-UserPasswordExpiryTimeComputed", "msDS-User-Account-Control-Computed", "canonicalName"]

        def shown():
            admin.search(dn, "(objectClass=*)", BASE, attributes=names)
            return [admin.response[0]["attributes"][name][0] for name in names]

        set_at = lab.domain.find("alice").attribute("pwdLastSet")[0]
        assert shown() == [str(set_at + 42 * 86400 * 10**7), "0", "contoso.example/People/alice"]
        lab.domain.logon("alice", "wrong")
        assert shown()[1] == str(0x10)
        lab.domain.require_change("alice")
        assert shown()[:2] == ["0", str(0x800010)]
        admin.search(dn, "(objectClass=*)", BASE, attributes=["*"])
        assert not set(names) & set(admin.response[0]["attributes"])

    def test_compare(self, people):
        """Compare is true, false, or says that object or attribute is missing."""
        codes = []
        for dn, name, value in (
            (f"CN=alice,{PEOPLE}", "sn", "ARCHER"),
            (f"CN=alice,{PEOPLE}", "sn", "else"),
            (f"CN=alice,{PEOPLE}", "title", "x"),
            (f"CN=nobody,{PEOPLE}", "sn", "x"),
        ):
            people.people.compare(dn, name, value)
            codes.append(people.people.result["result"])
        assert codes == [6, 5, 16, 32]


class TestLimits:
    """Pages, sizes, controls."""

    def test_pages(self, lab):
        """Pages hold what was asked for, in a stable order, and the last one has no cookie."""
        for number in range(60):
            lab.user(f"u{number:02}")
        connection = lab.connector()
        search = connection.extend.standard.paged_search
        found = list(search(PEOPLE, "(cn=u*)", attributes=["cn"], paged_size=25, generator=False))
        assert sorted(entry["attributes"]["cn"][0] for entry in found) == [f"u{number:02}" for number in range(60)]
        sizes = []
        connection.search(PEOPLE, "(cn=u*)", attributes=["cn"], paged_size=20)
        while True:
            sizes.append(len(connection.response))
            cookie = connection.result["controls"]["1.2.840.113556.1.4.319"]["value"]["cookie"]
            if not cookie:
                break
            connection.search(PEOPLE, "(cn=u*)", attributes=["cn"], paged_size=20, paged_cookie=cookie)
        assert sizes == [20, 20, 20]

    def test_bad_page_cookie(self, lab):
        """A cookie that was never given out is refused as the product does: the control is not to be had."""
        connection = lab.connector()
        connection.search(ROOT, "(cn=*)", attributes=["cn"], paged_size=2, paged_cookie=b"garbage")
        assert connection.result["result"] == 12
        assert connection.result["message"].startswith("00002040")

    def test_size_limit(self, lab):
        """More than the size limit gives the first ones and result 4; without pages 1000 is the limit."""
        for number in range(3):
            lab.user(f"u{number}")
        connection = lab.connector()
        assert hits(lab, "(cn=u*)", connection=connection, size_limit=2) == ["u0", "u1"]
        assert connection.result["result"] == 4
        assert hits(lab, "(cn=u*)", connection=connection, size_limit=3) == ["u0", "u1", "u2"]
        assert connection.result["result"] == 0

    def test_query_policy(self, lab):
        """An unpaged search gives at most 1000 entries."""
        for number in range(1001):
            lab.user(f"u{number}")
        connection = lab.connector()
        assert len(hits(lab, "(cn=u*)", connection=connection)) == 1000
        assert connection.result["result"] == 4

    @pytest.mark.parametrize(("critical", "code"), [(True, 12), (False, 0)])
    def test_unknown_control(self, lab, critical, code):
        """An unknown control is refused if it is critical and ignored otherwise."""
        connection = lab.connector()
        connection.search(ROOT, "(cn=Users)", attributes=["cn"], controls=[("1.2.3.4", critical, b"x")])
        assert connection.result["result"] == code

    @pytest.mark.parametrize("value", [b"", b"\x30", b"\x30\x80", b"\x30\x03\x02\x01\x05", b"\x30\x84\xff\xff\xff\xff"])
    @pytest.mark.parametrize("oid", ["1.2.840.113556.1.4.319", "1.2.840.113556.1.4.841"])
    def test_garbled_control(self, lab, oid, value):
        """A control whose value can't be read is a protocol error."""
        connection = lab.connector()
        connection.search(ROOT, "(cn=Users)", attributes=["cn"], controls=[(oid, True, value)])
        assert connection.result["result"] == 2


class TestWire:
    """What the world may do to a connection."""

    def test_intercept(self, lab):
        """Every operation passes through the intercept, whose exceptions reach the caller."""
        seen = []

        def intercept(operation, perform):
            seen.append(operation)
            if len(seen) == 3:
                raise LDAPSocketOpenError("lost")
            return perform()

        name, password = lab.domain.connector_account()
        connection = connect(lab.domain.controller(), f"CONTOSO\\{name}", password, intercept=intercept)
        assert connection.bind()
        assert connection.search(ROOT, "(cn=Users)", attributes=["cn"])
        with pytest.raises(LDAPSocketOpenError):
            connection.search(ROOT, "(cn=Users)", attributes=["cn"])
        assert seen == ["bind", "search", "search"]

    def test_controller_down(self, lab):
        """A controller that is down can't be reached."""
        lab.domain.controller().state = "down"
        with pytest.raises(LDAPSocketOpenError):
            lab.connector()


def test_very_deep_tree(lab):
    """A tree deeper than the interpreter's stack is searched, and its names can be read."""
    controller = lab.domain.controller()
    entry = controller.replica.root
    for depth in range(1500):
        entry = controller.create(entry, f"L{depth}", CLASSES["organizationalunit"], {})
    assert entry.dn.startswith("OU=L1499,OU=L1498,")
    found = controller.replica.walk(controller.replica.root)
    assert [each.rdn for each in found if each.rdn.startswith("L")][-2:] == ["L1498", "L1499"]


@pytest.mark.parametrize("name", ["sAMAccountName", "userPrincipalName", "objectGUID", "objectSid", "uSNChanged"])
@pytest.mark.parametrize("base", ["CN=Configuration", "CN=Schema,CN=Configuration"])
def test_indexed_conditions_elsewhere(lab, base, name):
    """What is looked up by an index in a domain finds nothing in configuration and schema, and breaks nothing."""
    admin = lab.administrator()
    admin.search(f"{base},{ROOT}", f"({name}=alice)", SUBTREE, attributes=["1.1"])
    assert admin.result["result"] == 0
    assert entries_of(admin) == []


def test_last_request_is_shown(people):
    """A connection shows its last request as ldap3 does, however often one looks."""
    connection = people.people
    connection.search(PEOPLE, "(name=alice)", LEVEL, attributes=["mail"])
    for _ in range(2):
        shown = connection.request
        assert (shown["type"], shown["base"], shown["filter"]) == ("searchRequest", PEOPLE, "(name=alice)")
    connection.modify(f"CN=carol,{PEOPLE}", {"description": [(MODIFY_ADD, ["new"])]})
    assert (connection.request["type"], connection.request["entry"]) == ("modifyRequest", f"CN=carol,{PEOPLE}")
    connection.request = None
    assert connection.request is None
