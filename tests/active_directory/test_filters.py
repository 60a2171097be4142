"""What filters mean, down to the logic of three values, and what hostile ones are answered."""

from __future__ import annotations

from uuid import UUID

import pytest
from active_directory.conftest import Lab
from hypothesis import given
from hypothesis import strategies as st
from ldap3 import BASE, MODIFY_ADD, SUBTREE

from simulator.active_directory import errors
from simulator.active_directory.errors import LdapError
from simulator.active_directory.filter import DEPTH_MAX, And, Match, Not, Or, compiled, terms
from simulator.active_directory.names import sid_text
from simulator.active_directory.requests import Search
from simulator.active_directory.session import Session

ROOT = "DC=contoso,DC=example"
PEOPLE = f"OU=People,{ROOT}"
BIT_AND, BIT_OR, IN_CHAIN = "1.2.840.113556.1.4.803", "1.2.840.113556.1.4.804", "1.2.840.113556.1.4.1941"
CATEGORY = f"CN=Schema,CN=Configuration,{ROOT}"


@pytest.fixture
def staff(lab):
    """One object of each class that facts tell of, all made by LDAP, below OU=People."""
    lab.user("seed")
    lab.domain.delete_user("seed")
    admin = lab.staff = lab.administrator()
    for name, kind in (("ann", "user"), ("ian", "inetOrgPerson"), ("pc", "computer"), ("con", "contact")):
        named = {} if kind == "contact" else {"sAMAccountName": "PC$" if name == "pc" else name}
        assert admin.add(f"CN={name},{PEOPLE}", [kind], named), admin.result
    assert admin.add(f"CN=grp,{PEOPLE}", ["group"], {"sAMAccountName": "grp"})
    return lab


def hits(lab, text, base=PEOPLE, scope=SUBTREE, connection=None):
    """Relative names of what a filter finds below ``base``, the base left out."""
    connection = connection or lab.staff
    connection.search(base, text, scope, attributes=["name"])
    found = [each for each in connection.response if each["type"] == "searchResEntry"]
    return [each["attributes"]["name"][0] for each in found if each["dn"] != base]


def octets_of(values):
    """Octets as a filter writes them."""
    return "".join(f"\\{octet:02x}" for octet in values)


class TestClasses:
    """Classes, categories and account types of new objects."""

    @pytest.mark.parametrize(
        ("name", "classes", "category"),
        [
            ("ann", ["top", "person", "organizationalPerson", "user"], "Person"),
            ("ian", ["top", "person", "organizationalPerson", "user", "inetOrgPerson"], "Person"),
            ("pc", ["top", "person", "organizationalPerson", "user", "computer"], "Computer"),
            ("con", ["top", "person", "organizationalPerson", "contact"], "Person"),
        ],
    )
    def test_classes(self, staff, name, classes, category):
        """objectClass is the chain of classes; users, inetOrgPersons and contacts share the category Person."""
        staff.staff.search(f"CN={name},{PEOPLE}", "(objectClass=*)", BASE, attributes=["objectClass", "objectCategory"])
        shown = staff.staff.response[0]["attributes"]
        assert (shown["objectClass"], shown["objectCategory"]) == (classes, [f"CN={category},{CATEGORY}"])

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("ann", ["546", "0", "9223372036854775807", "0", "513", "805306368"]),
            ("ian", ["546", "0", "9223372036854775807", "0", "513", "805306368"]),
            ("pc", ["4130", "0", "9223372036854775807", "0", "515", "805306369"]),
        ],
    )
    def test_defaults(self, staff, name, expected):
        """A new account without values has the defaults of its class."""
        asked = [
            "userAccountControl",
            "pwdLastSet",
            "accountExpires",
            "badPwdCount",
            "primaryGroupID",
            "sAMAccountType",
        ]
        staff.staff.search(f"CN={name},{PEOPLE}", "(objectClass=*)", BASE, attributes=asked)
        shown = staff.staff.response[0]["attributes"]
        assert [shown[each][0] for each in asked] == expected

    @pytest.mark.parametrize(
        ("text", "found"),
        [
            ("(objectClass=user)", ["ann", "ian", "pc"]),
            ("(objectCategory=person)", ["ann", "ian", "con"]),
            ("(objectCategory=user)", ["ann", "ian", "con"]),
            ("(&(objectCategory=person)(objectClass=user))", ["ann", "ian"]),
            ("(samAccountType=805306368)", ["ann", "ian"]),
            ("(objectClass=inetOrgPerson)", ["ian"]),
            ("(&(objectClass=user)(!(objectClass=inetOrgPerson)))", ["ann", "pc"]),
            ("(objectCategory=computer)", ["pc"]),
            (f"(objectCategory=CN=Computer,{CATEGORY})", ["pc"]),
            ("(objectClass=1.2.840.113556.1.5.8)", ["grp"]),
            ("(objectClass=nosuchclass)", []),
            ("(!(objectClass=nosuchclass))", []),
            ("(objectCategory=nosuchclass)", []),
        ],
    )
    def test_filters(self, staff, text, found):
        """Which class and category filters tell the classes apart."""
        assert hits(staff, text) == found


class TestLogic:
    """Three values: true, false, and undefined, which NOT leaves undefined."""

    @pytest.mark.parametrize(
        ("text", "found"),
        [
            # An attribute that an object lacks makes a condition false, so that NOT is true.
            (f"(!(userAccountControl:{BIT_AND}:=2))", ["con", "grp"]),
            (f"(!(userAccountControl:{BIT_OR}:=2))", ["con", "grp"]),
            ("(!(mail=*))", ["ann", "ian", "pc", "con", "grp"]),
            ("(!(mail=x))", ["ann", "ian", "pc", "con", "grp"]),
            ("(!(badPwdCount>=1))", ["ann", "ian", "pc", "con", "grp"]),
            ("(!(mail=a*))", ["ann", "ian", "pc", "con", "grp"]),
            ("(!(memberOf=*))", ["ann", "ian", "pc", "con", "grp"]),
            ("(!(!(cn=ann)))", ["ann"]),
            # Neither one nor its opposite holds of what the schema does not know.
            ("(noSuchAttribute=x)", []),
            ("(!(noSuchAttribute=x))", []),
            ("(!(noSuchAttribute=*))", []),
            ("(!(|(noSuchAttribute=x)(cn=ann)))", []),
            ("(!(&(noSuchAttribute=x)(cn=ann)))", ["ian", "pc", "con", "grp"]),
            ("(|(noSuchAttribute=x)(cn=ann))", ["ann"]),
            ("(&(noSuchAttribute=x)(cn=ann))", []),
            # Nor of a value that the attribute can't have, a rule that there is none of, or a secret.
            ("(!(userAccountControl=many))", []),
            ("(!(isDeleted=maybe))", []),
            ("(!(whenCreated=yesterday))", []),
            ("(!(uSNChanged>=x))", []),
            ("(!(cn:1.2.3.4:=ann))", []),
            ("(!(unicodePwd=x))", []),
            ("(!(supplementalCredentials=*))", []),
            ("(!(manager=ann*))", []),
            # A rule that names no attribute is undefined, whatever it would find.
            (f"(:{BIT_AND}:=2)", []),
            (f"(!(:{IN_CHAIN}:=CN=grp,{PEOPLE}))", []),
            (f"(dn:{BIT_AND}:=2)", []),
            # Without a rule an extensible match is an equality; that the DN counts too is not heeded.
            ("(cn:=ann)", ["ann"]),
            ("(ou:dn:=People)", []),
        ],
    )
    def test_undefined(self, staff, text, found):
        """What is undefined matches neither as it stands nor under NOT."""
        assert hits(staff, text) == found

    def test_nothing_and_everything(self, staff):
        """An empty AND is true, an empty OR false (RFC 4526)."""
        session = staff.staff.strategy.session
        assert len(session.search(Search(PEOPLE, 1, And(()))).entries) == 5
        assert session.search(Search(PEOPLE, 1, Or(()))).entries == []

    @pytest.mark.parametrize("name", ["tokenGroups", "canonicalName", "msDS-User-Account-Control-Computed"])
    def test_constructed(self, staff, name):
        """Constructed attributes can't be searched by."""
        staff.staff.search(PEOPLE, f"(&(cn=*)(!({name}=1)))", attributes=["cn"])
        assert staff.staff.result["result"] == errors.INAPPROPRIATE_MATCHING
        assert staff.staff.result["message"].startswith("0000216B")

    @given(
        st.recursive(
            st.sampled_from([True, False, None]),
            lambda inner: st.one_of(
                st.tuples(st.just("!"), inner), st.tuples(st.sampled_from("&|"), st.lists(inner, max_size=4))
            ),
        )
    )
    def test_tables(self, tree):
        """AND, OR and NOT follow the truth tables of three values."""
        leaves = {True: Match("present", "objectClass"), False: Match("present", "mail"), None: Match("present", "nix")}

        def node(part):
            if not isinstance(part, tuple):
                return leaves[part]
            if part[0] == "!":
                return Not(node(part[1]))
            return (And if part[0] == "&" else Or)(tuple(map(node, part[1])))

        def truth(part):
            if not isinstance(part, tuple):
                return part
            if part[0] == "!":
                found = truth(part[1])
                return None if found is None else not found
            all_of = part[0] == "&"
            found = [truth(each) for each in part[1]]
            if (not all_of) in found:
                return not all_of
            return None if None in found else all_of

        replica = self.lab().domain.controller().replica
        assert compiled(node(tree), replica)(replica.root) is truth(tree)

    @staticmethod
    def lab(made=[]):  # noqa: B006 - one lab for all examples
        """A domain of this class's own."""
        if not made:
            made.append(Lab())
        return made[0]


class TestValues:
    """How values are compared."""

    @pytest.mark.parametrize(
        ("text", "found"),
        [
            ("(cn~=ann)", ["ann"]),
            ("(CN=ANN)", ["ann"]),
            ("(whenCreated=20170113090000.0Z)", ["ann", "ian", "pc", "con", "grp"]),
            ("(whenCreated=20170113100000.0+0100)", ["ann", "ian", "pc", "con", "grp"]),
            ("(whenCreated=170113090000Z)", ["ann", "ian", "pc", "con", "grp"]),
            ("(whenCreated<=20170113085959.0Z)", []),
            ("(whenCreated>=20171332999999.0Z)", []),
            ("(accountExpires>=9223372036854775807)", ["ann", "ian", "pc"]),
            ("(groupType=-2147483646)", ["grp"]),
            ("(groupType=2147483650)", ["grp"]),
            (f"(groupType:{BIT_AND}:=2147483648)", ["grp"]),
            (f"(userAccountControl:{BIT_AND}:=0)", ["ann", "ian", "pc"]),
            (f"(userAccountControl:{BIT_OR}:=0)", []),
            ("(anr==ann)", ["ann"]),
            ("(anr==an)", []),
            ("(anr=an)", ["ann"]),
            ("(anr=)", []),
            ("(objectClass=per*)", ["ann", "ian", "pc", "con"]),
        ],
    )
    def test_comparisons(self, staff, text, found):
        """Times, numbers, bits and ambiguous names."""
        assert hits(staff, text) == found

    def test_identifiers(self, staff):
        """GUIDs and SIDs match as escaped octets and as text; parts of them as octets."""
        account = staff.domain.find("ann")
        (sid,) = account.attribute("objectSid")
        staff.staff.search(f"CN=ann,{PEOPLE}", "(objectClass=*)", BASE, attributes=["objectSid"])
        assert staff.staff.response[0]["raw_attributes"]["objectSid"] == [sid]
        for text in (
            f"(objectGUID={octets_of(account.anchor)})", f"(objectGUID={account.guid})",
            f"(objectSid={octets_of(sid)})", f"(objectSid={sid_text(sid)})", f"(objectSid={sid_text(sid).lower()})",
        ):  # fmt: skip
            assert hits(staff, text) == ["ann"], text
        session = staff.staff.strategy.session
        for name, pieces in (("objectGUID", (account.anchor[:6], b"")), ("objectSid", (b"", sid[-4:]))):
            (found,) = session.search(Search(PEOPLE, 2, Match("substring", name, pieces=pieces))).entries
            assert found[0] == f"CN=ann,{PEOPLE}"
        for text in ("(objectGUID=zz)", "(objectSid=S-1-x)", "(objectSid=S-1-5-21-1-2-3-1103)", "(objectSid=\\01)"):
            assert hits(staff, text) == [], text

    def test_links(self, staff):
        """Links match by any name of the object, and through chains that lead back to where they began."""
        admin, group = staff.staff, f"CN=grp,{PEOPLE}"
        assert admin.add(f"CN=outer,{PEOPLE}", ["group"], {"sAMAccountName": "outer", "member": [group]})
        assert admin.modify(group, {"member": [(MODIFY_ADD, [f"CN=ann,{PEOPLE}", f"CN=outer,{PEOPLE}"])]})
        guid = staff.domain.find("ann").guid
        assert hits(staff, f"(member=<GUID={guid}>)") == ["grp"]
        assert hits(staff, f"(memberOf=<GUID={group_guid(staff, group)}>)") == ["ann", "outer"]
        assert hits(staff, f"(memberOf:{IN_CHAIN}:=CN=outer,{PEOPLE})") == ["ann", "grp", "outer"]
        assert hits(staff, f"(member:{IN_CHAIN}:=CN=ann,{PEOPLE})") == ["grp", "outer"]
        assert hits(staff, f"(!(memberOf:{IN_CHAIN}:={group}))") == ["ian", "pc", "con"]
        assert hits(staff, "(memberOf=CN=nobody)") == hits(staff, f"(cn:{IN_CHAIN}:=ann)") == []

    def test_line_of_managers(self, staff):
        """The in-chain rule climbs a line of managers."""
        for below, above in (("ian", "ann"), ("con", "ian")):
            assert staff.staff.modify(f"CN={below},{PEOPLE}", {"manager": [(MODIFY_ADD, [f"CN={above},{PEOPLE}"])]})
        assert hits(staff, f"(manager:{IN_CHAIN}:=CN=ann,{PEOPLE})") == ["ian", "con"]
        assert hits(staff, f"(manager=CN=ann,{PEOPLE})") == ["ian"]

    def test_descriptor(self, staff):
        """Every object has a security descriptor, and no filter compares it."""
        assert len(hits(staff, "(nTSecurityDescriptor=*)")) == 5
        assert hits(staff, "(nTSecurityDescriptor=x)") == []


def group_guid(lab, dn):
    """objectGUID as text."""
    lab.staff.search(dn, "(objectClass=*)", BASE, attributes=["objectGUID"])
    return UUID(bytes_le=lab.staff.response[0]["raw_attributes"]["objectGUID"][0])


class TestHostile:
    """Filters that nobody needs."""

    @pytest.fixture
    def session(self, lab):
        """An administrator's session."""
        session = Session(lab.domain.controller())
        session.bind("CONTOSO\\Administrator", lab.domain.administrator_password)
        return session

    @pytest.mark.parametrize("wrap", [Not, lambda part: And((part,)), lambda part: Or((part, part))])
    def test_depth(self, session, wrap):
        """What is nested too deep is beyond the limit; what is nested less deep is answered."""
        node = Match("present", "objectClass")
        for _ in range(min(DEPTH_MAX, 12 if wrap(node) == Or((node, node)) else DEPTH_MAX)):
            node = wrap(node)
        assert session.search(Search(ROOT, 0, node)).code == 0
        if isinstance(node, Or):
            return
        for _ in range(10_000):
            node = wrap(node)
        with pytest.raises(LdapError) as caught:
            session.search(Search(ROOT, 2, node))
        assert (caught.value.code, caught.value.text[:8]) == (errors.ADMIN_LIMIT_EXCEEDED, "00002024")

    def test_many_terms(self, session, lab):
        """Many conditions are answered by an index where there is one, and too many are refused otherwise."""
        for number in range(600):
            lab.user(f"u{number}")
        by_name = Or(tuple(Match("=", "sAMAccountName", b"u%d" % number) for number in range(20_000)))
        assert len(session.search(Search(ROOT, 2, by_name)).entries) == 600
        by_mail = Or(tuple(Match("=", "mail", b"u%d" % number) for number in range(100_000)))
        assert terms(by_mail) == 100_001
        with pytest.raises(LdapError) as caught:
            session.search(Search(ROOT, 2, by_mail))
        assert caught.value.code == errors.ADMIN_LIMIT_EXCEEDED

    @pytest.mark.parametrize(
        "node",
        [
            Match("=", "cn", b"x" * 10_000_000),
            Match("=", "userAccountControl", b"9" * 1_000_000),
            Match(">=", "uSNChanged", b"9" * 1_000_000),
            Match(">=", "uSNChanged", "٣".encode()),
            Match("=", "whenCreated", "２０１７0113090000.0Z".encode()),
            Match("=", "objectSid", b"S-" * 1000),
            Match("=", "objectSid", b"S-1-5-" + b"9" * 5000),
            Match("=", "objectGUID", b"\xff" * 5),
            Match("=", "member", b"<GUID=x>"),
            Match("=", "memberOf", b"<SID=0>"),
            Match("=", "distinguishedName", b"=,=,=" * 1000),
            Match("=", "displayName", b"\xff\xfe"),
            Match("substring", "cn", pieces=(b"\xff", b"", b"")),
            Match("rule", "userAccountControl", b"", rule=BIT_AND),
            Match("rule", "member", b"\xff", rule=IN_CHAIN),
            Match("rule", "", b"", rule=""),
            Match("=", "", b""),
            Match("=", ";", b""),
            Match("=", "1.2.3.4.5", b"x"),
            Match("=", "oid.", b"x"),
            Match("present", "\udcff", b""),
            Match("=", "anr", b"x" * 1_000_000),
        ],
    )
    def test_values(self, session, node):
        """Huge, garbled and empty values match nothing and break nothing."""
        assert session.search(Search(ROOT, 2, node)).entries == []
