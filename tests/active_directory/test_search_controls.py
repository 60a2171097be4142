"""Controls of a search: pages, order, ranges, deleted objects, names, security descriptors; and what is refused."""

from __future__ import annotations

from functools import cache

import pytest
from active_directory.conftest import Lab
from hypothesis import given
from hypothesis import strategies as st
from ldap3 import BASE, LEVEL, MODIFY_ADD, SUBTREE
from ldap3.strategy.base import BaseStrategy

from simulator.active_directory import controls, messages
from simulator.active_directory.errors import LdapError
from simulator.active_directory.ldap import shown_controls
from simulator.active_directory.names import sid_text
from simulator.active_directory.requests import SUPPORTED_CONTROLS, Control, Found

ROOT = "DC=contoso,DC=example"
PEOPLE = f"OU=People,{ROOT}"
PAGED, DELETED, RECYCLED, EXTENDED = (
    "1.2.840.113556.1.4.319", "1.2.840.113556.1.4.417", "1.2.840.113556.1.4.2064", "1.2.840.113556.1.4.529",
)  # fmt: skip
SORT, SORTED, SD_FLAGS, NO_RANGE_ERROR = (
    "1.2.840.113556.1.4.473", "1.2.840.113556.1.4.474", "1.2.840.113556.1.4.801", "1.2.840.113556.1.4.1948",
)  # fmt: skip
DIRSYNC = "1.2.840.113556.1.4.841"


def tlv(tag, *parts):
    """A short BER element."""
    content = b"".join(parts)
    return bytes((tag, len(content))) + content


def number(value):
    """A BER INTEGER."""
    return tlv(2, value.to_bytes(4, "big", signed=True))


def sort_by(*keys):
    """A sort control's value: names, reversed with a minus."""
    parts = [tlv(0x30, tlv(4, key.lstrip("-").encode()), tlv(0x81, b"\xff") if key[0] == "-" else b"") for key in keys]
    return tlv(0x30, *parts)


def search(connection, text="(objectClass=*)", base=PEOPLE, scope=SUBTREE, attributes=("name",), **options):
    """Entries of a search."""
    connection.search(base, text, scope, attributes=list(attributes), **options)
    return [entry for entry in connection.response or () if entry["type"] == "searchResEntry"]


def names_of(entries):
    """Relative names."""
    return [entry["attributes"]["name"][0] for entry in entries]


def cookie_of(connection):
    """The cookie of the page just read."""
    return connection.result["controls"][PAGED]["value"]["cookie"]


@pytest.fixture
def admin(lab):
    """An administrator's connection to a domain with users u0 to u6."""
    for each in range(7):
        lab.user(f"u{each}", attributes={"title": "ABC"[each % 3]} if each < 6 else None)
    return lab.administrator()


class TestPages:
    """Simple paged results."""

    def test_two_searches_at_once(self, admin):
        """Two searches on one connection go on independently."""
        first, second = "(cn=u*)", "(title=A)"
        found = {first: [], second: []}
        cookies = {first: None, second: None}
        while any(cookie != b"" for cookie in cookies.values()):
            for text, cookie in cookies.items():
                if cookie != b"":
                    found[text] += names_of(search(admin, text, paged_size=1, paged_cookie=cookie))
                    cookies[text] = cookie_of(admin)
        assert sorted(found[first]) == [f"u{each}" for each in range(7)]
        assert sorted(found[second]) == ["u0", "u3"]

    def test_cookie_counts_once(self, admin):
        """A cookie that was used is worth nothing any more, nor is one of another connection or of a past bind."""
        search(admin, "(cn=u*)", paged_size=2)
        cookie = cookie_of(admin)
        search(admin, "(cn=u*)", paged_size=2, paged_cookie=cookie)
        fresh = cookie_of(admin)
        search(admin, "(cn=u*)", paged_size=2, paged_cookie=cookie)
        assert admin.result["result"] == 12
        admin.bind()
        search(admin, "(cn=u*)", paged_size=2, paged_cookie=fresh)
        assert admin.result["result"] == 12

    def test_changed_filter(self, admin):
        """A cookie goes on with the search that it was given for, whatever the filter says."""
        search(admin, "(cn=u*)", paged_size=3)
        rest = search(admin, "(cn=nobody)", paged_size=100, paged_cookie=cookie_of(admin))
        assert len(rest) == 4

    def test_given_up(self, admin):
        """Size 0 gives a search up: nothing comes, and the cookie is spent."""
        search(admin, "(cn=u*)", paged_size=3)
        cookie = cookie_of(admin)
        value = tlv(0x30, number(0), tlv(4, cookie))
        assert search(admin, "(cn=u*)", controls=[(PAGED, True, value)]) == []
        assert (admin.result["result"], cookie_of(admin)) == (0, b"")
        search(admin, "(cn=u*)", paged_size=3, paged_cookie=cookie)
        assert admin.result["result"] == 12

    def test_forgotten(self, admin):
        """Of more than ten unfinished searches the oldest is forgotten."""
        cookies = []
        for _ in range(11):
            search(admin, "(cn=u*)", paged_size=3)
            cookies.append(cookie_of(admin))
        codes = []
        for cookie in (cookies[0], cookies[1]):
            search(admin, "(cn=u*)", paged_size=100, paged_cookie=cookie)
            codes.append(admin.result["result"])
        assert codes == [12, 0]

    def test_deleted_meanwhile(self, lab, admin):
        """What was deleted since the search began is not shown any more."""
        search(admin, "(cn=u*)", paged_size=3)
        cookie = cookie_of(admin)
        lab.domain.delete_user("u5")
        assert sorted(names_of(search(admin, "(cn=u*)", paged_size=100, paged_cookie=cookie))) == ["u3", "u4", "u6"]

    def test_largest_page(self, lab):
        """A page holds no more than the query policy allows."""
        for each in range(1005):
            lab.user(f"u{each}")
        connection = lab.administrator()
        assert len(search(connection, "(cn=u*)", paged_size=5000)) == 1000
        assert len(search(connection, "(cn=u*)", paged_size=5000, paged_cookie=cookie_of(connection))) == 5

    def test_stable(self, admin):
        """The same question has the same answer in the same order."""
        assert search(admin, "(cn=u*)") == search(admin, "(cn=u*)")


class TestOrder:
    """Server-side sorting."""

    def order(self, admin, *keys, critical=True, **options):
        entries = search(admin, "(cn=u*)", controls=[(SORT, critical, sort_by(*keys))], **options)
        answer = admin.result["controls"][SORTED]["value"]
        return names_of(entries), answer

    def test_sorted(self, admin):
        """Entries come by the attribute's value, what lacks it last; reversed the other way round."""
        assert self.order(admin, "title") == (["u0", "u3", "u1", "u4", "u2", "u5", "u6"], b"\x30\x03\x0a\x01\x00")
        assert self.order(admin, "-title")[0] == ["u6", "u2", "u5", "u1", "u4", "u0", "u3"]
        assert self.order(admin, "-USNCREATED")[0] == [f"u{each}" for each in range(6, -1, -1)]

    def test_sorted_pages(self, admin):
        """Order holds over pages."""
        found, cookie = [], b""
        while True:
            value = tlv(0x30, number(2), tlv(4, cookie))
            found += names_of(search(admin, "(cn=u*)", controls=[(SORT, True, sort_by("-cn")), (PAGED, True, value)]))
            cookie = cookie_of(admin)
            if not cookie:
                break
        assert found == [f"u{each}" for each in range(6, -1, -1)]

    @pytest.mark.parametrize(
        ("keys", "answer"),
        [
            (("noSuch",), tlv(0x30, b"\x0a\x01\x10", tlv(0x80, b"noSuch"))),
            (("canonicalName",), tlv(0x30, b"\x0a\x01\x12", tlv(0x80, b"canonicalName"))),
            (("unicodePwd",), tlv(0x30, b"\x0a\x01\x12", tlv(0x80, b"unicodePwd"))),
            (("cn", "title"), tlv(0x30, b"\x0a\x01\x35")),
        ],
    )
    def test_impossible(self, admin, keys, answer):
        """What can't be sorted by refuses the search if the control is critical; else it comes as it is."""
        assert self.order(admin, *keys) == ([], answer)
        assert admin.result["result"] == 12
        found, said = self.order(admin, *keys, critical=False)
        assert (len(found), said, admin.result["result"]) == (7, answer, 0)


class TestRanges:
    """Ranges of values."""

    @pytest.fixture
    def group(self):
        """A domain with a group of 1,600 members, and a function that reads attributes of it."""
        return self.made()

    @staticmethod
    @cache
    def made():
        """The same for all tests: they only read."""
        lab = Lab()
        made = [lab.user(f"m{each}") for each in range(1600)]
        connection = lab.administrator()
        dn = f"CN=crowd,{PEOPLE}"
        assert connection.add(dn, ["group"], {"sAMAccountName": "crowd", "member": made})

        def read(*attributes, wanted=()):
            found = search(connection, base=dn, scope=BASE, attributes=attributes, controls=wanted)
            lab.code = connection.result["result"]
            return found[0]["raw_attributes"] if found else None

        lab.made = [dn.encode() for dn in made]
        lab.read = read
        return lab

    def test_by_itself(self, group):
        """Of very many values the first 1,500 come under a name that says so, named or not."""
        for asked in ("member", "*"):
            shown = group.read(asked)
            assert shown["member"] == []
            assert shown["member;range=0-1499"] == group.made[:1500]

    @pytest.mark.parametrize(
        ("asked", "name", "begin", "end"),
        [
            ("member;range=0-*", "member;range=0-1499", 0, 1500),
            ("member;range=1500-*", "member;range=1500-*", 1500, 1600),
            ("MEMBER;Range=1500-2999", "member;range=1500-*", 1500, 1600),
            ("member;range=5-9", "member;range=5-9", 5, 10),
            ("member;range=1599-1599", "member;range=1599-*", 1599, 1600),
            ("member;range=0-999999999", "member;range=0-1499", 0, 1500),
        ],
    )
    def test_asked_for(self, group, asked, name, begin, end):
        """A range brings these values, and says whether they are the last."""
        assert dict(group.read(asked)) == {name: group.made[begin:end]}

    def test_beyond(self, group):
        """A range that begins beyond the last value is an error, or empty with the control for it."""
        assert group.read("member;range=1600-*") is None
        assert group.code == 1
        assert dict(group.read("member;range=1600-*", wanted=[(NO_RANGE_ERROR, True, None)])) == {}

    @pytest.mark.parametrize("asked", ["member;range=9-5", "member;range=", "member;range=x-*", "member;range=-1-5"])
    def test_senseless(self, group, asked):
        """A range that is none brings nothing."""
        assert dict(group.read(asked)) == {}

    def test_single(self, group):
        """An attribute of one value can be read in ranges too."""
        assert dict(group.read("cn;range=0-*")) == {"cn;range=0-*": [b"crowd"]}


class TestNames:
    """Extended names and deleted objects."""

    def test_extended(self, lab, admin):
        """The extended form carries GUID and SID, as text or in hexadecimal; an organizational unit has no SID."""
        account = lab.domain.find("u1")
        (sid,) = account.attribute("objectSid")
        forms = []
        for value in (tlv(0x30, tlv(2, b"\x01")), tlv(0x30, tlv(2, b"\x00")), None):
            (entry,) = search(admin, "(cn=u1)", controls=[(EXTENDED, True, value)])
            forms.append(entry["dn"])
        text = f"<GUID={account.guid}>;<SID={sid_text(sid)}>;CN=u1,{PEOPLE}"
        hexadecimal = f"<GUID={account.anchor.hex()}>;<SID={sid.hex()}>;CN=u1,{PEOPLE}"
        assert forms == [text, hexadecimal, hexadecimal]
        (entry,) = search(admin, "(ou=People)", controls=[(EXTENDED, True, tlv(0x30, tlv(2, b"\x01")))])
        assert "SID" not in entry["dn"]

    @pytest.mark.parametrize("oid", [DELETED, RECYCLED])
    def test_deleted(self, lab, admin, oid):
        """Tombstones and the container that holds them are seen with the control alone."""
        guid = lab.domain.find("u1").guid
        lab.domain.delete_user("u1")
        shown = [(oid, True, None)]
        assert search(admin, "(isDeleted=TRUE)", base=ROOT) == []
        entries = search(admin, "(isDeleted=TRUE)", base=ROOT, controls=shown)
        assert [entry["dn"].partition(",")[0] for entry in entries] == ["CN=Deleted Objects", f"CN=u1\\0ADEL:{guid}"]
        container = f"CN=Deleted Objects,{ROOT}"
        assert search(admin, base=container, scope=BASE) == []
        assert admin.result["result"] == 32
        assert len(search(admin, base=container, scope=LEVEL, controls=shown)) == 1
        assert len(search(admin, base=f"<GUID={guid}>", scope=BASE, controls=shown)) == 1

    def test_well_known(self, lab, admin):
        """``<WKGUID=..>`` stands for a container wherever it is; one that is not there is not found."""
        connection = lab.administrator()
        connection.check_names = False
        users = f"<WKGUID=A9D1CA15768811D1ADED00C04FD8D5CD,{ROOT}>"
        assert [entry["dn"] for entry in search(connection, base=users, scope=BASE)] == [f"CN=Users,{ROOT}"]
        nested = f"{users[:-1].replace(ROOT, '')}" * 5000 + ROOT + ">" * 5000
        wrong = {
            nested: 34,
            users.replace("A9", "00"): 32,
            users.replace("A9", "X"): 34,
            f"<WKGUID=,{ROOT}>": 34,
            users.replace(ROOT, PEOPLE): 32,
        }
        for base, code in wrong.items():
            assert search(connection, base=base, scope=BASE) == []
            assert connection.result["result"] == code
        (root,) = search(connection, base=ROOT, scope=BASE, attributes=["wellKnownObjects"])
        assert f"B:32:A9D1CA15768811D1ADED00C04FD8D5CD:CN=Users,{ROOT}" in root["attributes"]["wellKnownObjects"]


class TestRefusals:
    """Controls that are wrong."""

    def test_known(self, admin):
        """Every control that is said to be supported is taken with a search, critical or not."""
        needing = {PAGED: tlv(0x30, number(5), tlv(4)), SORT: sort_by("cn"), SD_FLAGS: tlv(0x30, tlv(2, b"\x07")),
                   "1.2.840.113556.1.4.1340": tlv(0x30, tlv(2, b"\x01")),
                   DIRSYNC: tlv(0x30, number(0), number(0), tlv(4))}  # fmt: skip
        for oid in SUPPORTED_CONTROLS:
            search(admin, base=ROOT, controls=[(oid, True, needing.get(oid))])
            assert admin.result["result"] == 0, oid

    def test_twice(self, admin):
        """The same control twice is a protocol error."""
        search(admin, controls=[(DELETED, True, None), (DELETED, False, None)])
        assert admin.result["result"] == 2
        assert "Error processing control" in admin.result["message"]

    @pytest.mark.parametrize(
        ("oid", "value"),
        [
            (PAGED, None),
            (PAGED, tlv(0x30, number(-1), tlv(4))),
            (PAGED, tlv(0x30, tlv(4), number(1))),
            (PAGED, tlv(0x30, tlv(2), tlv(4))),
            (PAGED, tlv(0x30, tlv(2, bytes(9)), tlv(4))),
            (PAGED, tlv(0x30, number(1), tlv(4)) + b"\0"),
            (SORT, tlv(0x30)),
            (SORT, tlv(0x30, tlv(0x30))),
            (SORT, tlv(0x30, tlv(4, b"cn"))),
            (SORT, tlv(0x30, tlv(0x30, tlv(4, b"cn"), tlv(4, b"x")))),
            (EXTENDED, tlv(0x30, tlv(2, b"\x02"))),
            (EXTENDED, b"\x31\x00"),
            (SD_FLAGS, b"\x30\x84\x00\x00"),
            (DIRSYNC, tlv(0x30, number(0), number(0))),
        ],
    )
    def test_garbled(self, admin, oid, value):
        """A value that does not fit its control is a protocol error, even if the control is not critical."""
        search(admin, base=ROOT, controls=[(oid, False, value)])
        assert admin.result["result"] == 2

    @given(st.sampled_from(sorted(SUPPORTED_CONTROLS)), st.binary(max_size=40))
    def test_anything(self, oid, value):
        """Whatever octets a control carries, it is understood or refused."""
        assert self.code(lambda: controls.wishes([Control(oid, True, value)])) in (0, 2)

    @staticmethod
    def code(act):
        """The LDAP result of doing something."""
        try:
            act()
        except LdapError as problem:
            return problem.code
        return 0

    def test_anonymous(self, lab):
        """Nobody who is not bound gets further, whatever the controls."""
        anonymous = lab.administrator()
        anonymous.unbind()
        anonymous.open()
        search(anonymous, base=ROOT, controls=[(DELETED, True, None)])
        assert anonymous.result["result"] == 1

    def test_members_in_order(self, lab, admin):
        """memberOf by the index gives what a walk gives."""
        dn = f"CN=g,{PEOPLE}"
        assert admin.add(dn, ["group"], {"sAMAccountName": "g"})
        assert admin.modify(dn, {"member": [(MODIFY_ADD, [f"CN=u{each},{PEOPLE}" for each in (5, 1, 3)])]})
        by_index = names_of(search(admin, f"(memberOf={dn})"))
        walked = names_of(search(admin, f"(!(!(memberOf={dn})))"))
        assert sorted(by_index) == walked == ["u1", "u3", "u5"]


@given(
    page_cookie=st.none() | st.binary(max_size=20),
    sync=st.none() | st.tuples(st.booleans(), st.binary(max_size=20)),
    others=st.lists(st.builds(Control, st.just(SORTED), st.booleans(), st.just(b"0\x03\x0a\x01\x00")), max_size=1),
)
def test_answers_show_the_controls_that_ldap3_decodes(page_cookie, sync, others):
    """Controls that are shown without a way through BER are those that come out of it."""
    found = Found(page_cookie=page_cookie, sync=sync, controls=others)
    decoded = dict(BaseStrategy.decode_control(each) for each in messages.response_controls(found))
    assert shown_controls(found) == decoded
