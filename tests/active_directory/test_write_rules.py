"""Rules of writes over LDAP: accounts, groups, classes, controls, rights, and what was deleted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ldap3 import BASE, MODIFY_ADD, MODIFY_DELETE, MODIFY_INCREMENT, MODIFY_REPLACE

from pwsync.credential import nt_hash
from simulator.active_directory import account_rules, schema, writes
from simulator.active_directory.errors import LdapError
from simulator.active_directory.requests import Control
from simulator.active_directory.schema import CLASSES
from simulator.active_directory.session import Session
from simulator.active_directory.state import DomainPolicy, FineGrainedPolicy

from .conftest import Lab

ROOT = "DC=contoso,DC=example"
PEOPLE, USERS = f"OU=People,{ROOT}", f"CN=Users,{ROOT}"
ALICE = f"CN=alice,{PEOPLE}"
PERMISSIVE, SHOW_DELETED, TREE = (f"1.2.840.113556.1.4.{number}" for number in (1413, 417, 805))
POLICY_HINTS = "1.2.840.113556.1.4.2239"
PASSWORD = "Winter-2016!"


def quoted(password):
    """A password as unicodePwd takes it."""
    return f'"{password}"'.encode("utf-16-le", "surrogatepass")


def answer(connection):
    """Result and Win32 code of the last operation."""
    result = connection.result["result"]
    return result, connection.result["message"][:8] if result else ""


def replace(connection, dn, name, *values):
    """The answer to replacing an attribute."""
    connection.modify(dn, {name: [(MODIFY_REPLACE, list(values))]})
    return answer(connection)


def modify(connection, dn, operation, name, *values, controls=None):
    """The answer to one change."""
    connection.modify(dn, {name: [(operation, list(values))]}, controls=controls)
    return answer(connection)


def read(connection, dn, name, **options):
    """One attribute's values."""
    connection.search(dn, "(objectClass=*)", BASE, attributes=[name], **options)
    return connection.response[0]["raw_attributes"].get(name, []) if connection.response else None


class TestPasswords:
    """unicodePwd apart from the plain cases."""

    def test_unprotected(self, lab):
        """Without TLS a password is neither set nor changed nor given to a new user, whoever asks."""
        lab.user()
        session = Session(lab.domain.controller())
        session.bind("CONTOSO\\Administrator", lab.domain.administrator_password)
        session.protected = False
        before = lab.domain.version
        change = [writes.Change(1, "unicodePwd", (quoted(PASSWORD),)), writes.Change(0, "unicodePwd", (quoted("x"),))]
        for perform in (
            lambda: writes.modify(session, ALICE, [writes.Change(2, "unicodePwd", (quoted("Spring-2017!"),))]),
            lambda: writes.modify(session, ALICE, change),
            lambda: writes.add(session, f"CN=b,{PEOPLE}", [("objectClass", [b"user"]), ("unicodePwd", [b"x"])]),
        ):
            with pytest.raises(LdapError) as caught:
                perform()
            text = "0000001F: SvcErr: DSID-031A12D2, problem 5003 (WILL_NOT_PERFORM), data 0\n\x00"
            assert (caught.value.code, caught.value.text) == (53, text)
        writes.modify(session, ALICE, [writes.Change(2, "mail", (b"a@b.example",))])
        assert lab.domain.version == before + 1

    def test_parts_in_either_order(self, lab):
        """A change may add the new password before it deletes the old one."""
        lab.user()
        own = lab.bind("CONTOSO\\alice", PASSWORD)
        parts = [(MODIFY_ADD, [quoted("Spring-2017!")]), (MODIFY_DELETE, [quoted(PASSWORD)])]
        assert own.modify(ALICE, {"unicodePwd": parts})
        assert lab.domain.find("alice").nt_hash == nt_hash("Spring-2017!")

    @pytest.mark.parametrize(
        "parts",
        [
            [(MODIFY_DELETE, [PASSWORD]), (MODIFY_ADD, ["Spring-2017!", "Summer-2017!"])],
            [(MODIFY_DELETE, []), (MODIFY_ADD, ["Spring-2017!"])],
            [(MODIFY_DELETE, [PASSWORD]), (MODIFY_ADD, [])],
            [(MODIFY_REPLACE, ["Spring-2017!"]), (MODIFY_REPLACE, ["Summer-2017!"])],
            [(MODIFY_DELETE, [PASSWORD]), (MODIFY_REPLACE, ["Spring-2017!"])],
            [(MODIFY_ADD, ["Spring-2017!"]), (MODIFY_ADD, ["Summer-2017!"])],
            [(MODIFY_DELETE, [PASSWORD]), (MODIFY_DELETE, [PASSWORD]), (MODIFY_ADD, ["Spring-2017!"])],
        ],
    )
    def test_neither_change_nor_reset(self, lab, parts):
        """Other combinations are refused with 53, for administrators and users."""
        lab.user()
        before = lab.domain.version
        encoded = [(operation, [quoted(each) for each in values]) for operation, values in parts]
        for connection in (lab.administrator(), lab.bind("CONTOSO\\alice", PASSWORD)):
            before = lab.domain.version
            connection.modify(ALICE, {"unicodePwd": encoded})
            assert answer(connection) == (53, "00002035")
            assert lab.domain.version == before

    def test_no_account(self, lab):
        """What is no account has no password: 50 for a container, 32 for nothing."""
        lab.user()
        admin = lab.administrator()
        assert replace(admin, PEOPLE, "unicodePwd", quoted("Spring-2017!"))[0] == 50
        assert replace(admin, f"CN=nobody,{PEOPLE}", "unicodePwd", quoted("Spring-2017!"))[0] == 32

    @pytest.mark.parametrize("length", [127, 128, 256, 257])
    def test_long(self, lab, length):
        """Long passwords beyond the basic plane are hashed as they are."""
        lab.user()
        password = "Aa1!" + "\U0001f511" * (length - 4)
        assert replace(lab.administrator(), ALICE, "unicodePwd", quoted(password)) == (0, "")
        assert lab.domain.find("alice").nt_hash == nt_hash(password)

    def test_nothing_demanded(self, lab_with):
        """Where neither length nor complexity is demanded the empty password is one."""
        lab = lab_with(min_length=0, complexity=False)
        lab.user()
        assert replace(lab.administrator(), ALICE, "unicodePwd", quoted("")) == (0, "")
        assert lab.domain.find("alice").nt_hash == nt_hash("")
        assert lab.administrator().add(f"CN=e,{USERS}", ["user"], {"sAMAccountName": "e", "unicodePwd": quoted("")})
        assert lab.domain.logon("e", "") != "no-such-user"

    @pytest.mark.parametrize(("length", "complexity"), [(1, False), (0, True)])
    def test_something_demanded(self, lab_with, length, complexity):
        """Otherwise it is refused."""
        lab = lab_with(min_length=length, complexity=complexity)
        lab.user()
        assert replace(lab.administrator(), ALICE, "unicodePwd", quoted("")) == (19, "0000052D")

    @pytest.mark.parametrize("octets", [b"", b'"', b'"\0', b'"\0"\0x', quoted("Spring-2017!")[:-2], b"\xff" * 20])
    def test_garbled(self, lab, octets):
        """What is not a quoted UTF-16 text is refused with 53."""
        lab.user()
        assert replace(lab.administrator(), ALICE, "unicodePwd", octets) == (53, "00002035")

    @pytest.mark.parametrize(
        ("password", "code"),
        [("xJOHNSON-99", 19), ("my.van-7Z", 19), ("al-2017-XY", 0), ("de-2017-XY", 0), ("Alice-99zz", 19)],
    )
    def test_names_inside(self, lab, password, code):
        """The account's name, and parts of the display name of three letters or more, may not occur; as they are after
        the request."""
        dn = lab.user(display_name="Johnson#al\tvan_de")
        assert replace(lab.administrator(), dn, "unicodePwd", quoted(password))[0] == code

    def test_names_of_the_same_request(self, lab):
        """A new display name counts in the request that brings it."""
        lab.user()
        admin = lab.administrator()
        changes = {"displayName": [(MODIFY_REPLACE, ["Marten"])],
                   "unicodePwd": [(MODIFY_REPLACE, [quoted("Marten-99")])]}  # fmt: skip
        admin.modify(ALICE, changes)
        assert answer(admin) == (19, "0000052D")

    def test_policy_hints(self, lab):
        """With the policy hints control the history holds for a reset too, with flags 1 only."""
        lab.user()
        admin = lab.administrator()
        changes = {"unicodePwd": [(MODIFY_REPLACE, [quoted(PASSWORD)])]}
        admin.modify(ALICE, changes, controls=[(POLICY_HINTS, True, b"\x30\x03\x02\x01\x01")])
        assert answer(admin) == (19, "0000052D")
        assert admin.modify(ALICE, changes, controls=[(POLICY_HINTS, True, b"\x30\x03\x02\x01\x00")])

    def test_user_password(self, lab):
        """userPassword is a plain attribute, until dSHeuristics makes it the password."""
        lab.user()
        admin = lab.administrator()
        assert replace(admin, ALICE, "userPassword", "Spring-2017!") == (0, "")
        assert lab.domain.find("alice").nt_hash == nt_hash(PASSWORD)
        lab.forest.heuristics = "000000001"
        assert replace(admin, ALICE, "userPassword", "Spring-2017!") == (0, "")
        assert lab.domain.find("alice").nt_hash == nt_hash("Spring-2017!")
        assert replace(admin, ALICE, "userPassword", "spring")[0] == 19
        assert replace(admin, ALICE, "clearTextPassword", "x")[0] == 16

    def test_exactly_six(self, lab):
        """A password set moves exactly six attributes by one version, in one transaction."""
        lab.user()
        entry = lab.domain.find("alice").entry
        keys = [key for key in entry.values if entry.stamp(key) is not None]
        before = {key: entry.stamp(key) for key in keys}
        assert replace(lab.administrator(), ALICE, "unicodePwd", quoted("Spring-2017!")) == (0, "")
        moved = {key for key in keys if entry.stamp(key) != before[key]}
        assert moved - {"lastlogontimestamp"} == {
            "unicodepwd", "dbcspwd", "ntpwdhistory", "lmpwdhistory", "supplementalcredentials", "pwdlastset"
        }  # fmt: skip
        assert {entry.stamp(key).version for key in moved} == {2}
        assert {entry.stamp(key).local_usn for key in moved} == {entry.usn}


class TestAccounts:
    """userAccountControl, pwdLastSet and names."""

    @pytest.mark.parametrize(
        ("written", "stored"),
        [
            (512 | 0x10 | 0x40 | 0x800000, 512),
            (512 | 0x20, 512 | 0x20),
            (512 | 0x80, 512 | 0x80),
            (512 | 0x400000, 512 | 0x400000),
            (512 | 0x10000, 512 | 0x10000),
            (0x2, 514),
            (0, 512),
            (512 | 0x4 | 0x400 | 0x4000 | 0x10000000, 512),
            (-(1 << 31) + 512, 512),
        ],
    )
    def test_flags(self, lab, written, stored):
        """Computed and unknown bits are dropped, the others kept; without a type it is a normal account."""
        lab.user()
        last_set = lab.domain.find("alice").password_last_set
        lab.wait(days=1)
        assert replace(lab.administrator(), ALICE, "userAccountControl", str(written)) == (0, "")
        assert lab.domain.find("alice").flags == stored
        assert lab.domain.find("alice").password_last_set == last_set

    @pytest.mark.parametrize("flags", [0x100, 0x800, 0x1000, 0x2000, 0x200 | 0x800, 0x200 | 0x1000, 0x300])
    def test_types(self, lab, flags):
        """A user is no trust account, no computer, no controller and not two things at once."""
        lab.user()
        admin = lab.administrator()
        before = lab.domain.version
        assert replace(admin, ALICE, "userAccountControl", str(flags))[0] == 53
        assert lab.domain.version == before

    @pytest.mark.parametrize(("flags", "code"), [(0x1000, 0), (0x2000, 0), (0x3000, 53), (0x1200, 53), (0x1800, 53)])
    def test_types_of_computers(self, lab, flags, code):
        """A computer is a workstation or a controller."""
        admin, dn = lab.administrator(), f"CN=pc,CN=Computers,{ROOT}"
        assert admin.add(dn, ["computer"], {"sAMAccountName": "pc$"})
        assert replace(admin, dn, "userAccountControl", str(flags | 0x20))[0] == code

    @given(st.integers(-(1 << 31), (1 << 31) - 1))
    def test_any_flags(self, flags):
        """Whatever is written, nothing but known bits and exactly one type is stored."""
        types = flags & account_rules.ACCOUNT_TYPES
        partial = flags & account_rules.PARTIAL_SECRETS
        if partial or types not in (0, account_rules.NORMAL):
            with pytest.raises(LdapError, match="80: " if types in (0, account_rules.NORMAL) else "53: "):
                account_rules.control_flags(CLASSES["user"], flags)
            return
        stored = account_rules.control_flags(CLASSES["user"], flags)
        assert stored & account_rules.ACCOUNT_TYPES == account_rules.NORMAL
        assert stored & ~account_rules.KNOWN_FLAGS == 0

    def test_enabling_needs_a_password(self, lab):
        """An account without a password is enabled if it is said to need none, or no length is demanded."""
        admin = lab.administrator()
        dn = f"CN=bob,{USERS}"
        assert admin.add(dn, ["user"], {"sAMAccountName": "bob"})
        assert replace(admin, dn, "userAccountControl", "512") == (53, "0000052D")
        assert replace(admin, dn, "userAccountControl", "544") == (0, "")
        assert replace(admin, dn, "userAccountControl", "514") == (0, "")
        lab.domain.set_policy(min_length=0)
        assert replace(admin, dn, "userAccountControl", "512") == (0, "")

    def test_smartcard_wins(self, lab):
        """With a password and the smart card flag in one request the password is random; so it is at birth."""
        lab.user()
        admin = lab.administrator()
        changes = {"userAccountControl": [(MODIFY_REPLACE, [str(512 | 0x40000)])],
                   "unicodePwd": [(MODIFY_REPLACE, [quoted("Spring-2017!")])]}  # fmt: skip
        before = lab.domain.version
        assert admin.modify(ALICE, changes)
        assert lab.domain.version == before + 1
        assert lab.domain.find("alice").nt_hash not in (nt_hash(PASSWORD), nt_hash("Spring-2017!"))
        random = lab.domain.find("alice").nt_hash
        assert replace(admin, ALICE, "userAccountControl", str(512 | 0x40000)) == (0, "")
        assert lab.domain.find("alice").nt_hash == random
        new = {"userAccountControl": str(512 | 0x40000), "unicodePwd": quoted("Spring-2017!"), "sAMAccountName": "b"}
        assert admin.add(f"CN=b,{USERS}", ["user"], new)
        assert lab.domain.find("b").nt_hash != nt_hash("Spring-2017!")

    def test_last_set(self, lab):
        """-1 means now after 0, and nothing otherwise; it does not bring the old time back."""
        lab.user()
        admin, account = lab.administrator(), lab.domain.find("alice")
        first = account.password_last_set
        lab.wait(hours=1)
        assert replace(admin, ALICE, "pwdLastSet", "-1") == (0, "")
        assert account.password_last_set == first
        assert replace(admin, ALICE, "pwdLastSet", "0") == (0, "")
        before = lab.domain.version
        assert replace(admin, ALICE, "pwdLastSet", "0") == (0, "")
        assert lab.domain.version == before
        assert replace(admin, ALICE, "pwdLastSet", "-1") == (0, "")
        assert account.password_last_set == lab.clock()
        assert replace(admin, ALICE, "pwdLastSet", "1") == (80, "00000057")

    @pytest.mark.parametrize("name", ["userAccountControl", "sAMAccountName", "pwdLastSet", "primaryGroupID"])
    def test_kept(self, lab, name):
        """What makes an account can't be removed."""
        lab.user()
        admin = lab.administrator()
        assert replace(admin, ALICE, name) == (53, "00002077")
        if lab.domain.find("alice").attribute(name):
            assert modify(admin, ALICE, MODIFY_DELETE, name)[0] == 53

    @pytest.mark.parametrize("name", [*(f"a{letter}b" for letter in '/\\[]:|<>+=;?,*"\t'), "a.", "   ", "x" * 21])
    def test_bad_names(self, lab, name):
        """Characters that names of accounts don't have, a period at the end, more than 20 characters."""
        lab.user()
        admin = lab.administrator()
        assert replace(admin, ALICE, "sAMAccountName", name) == (80, "00000523")
        admin.add(f"CN=b,{USERS}", ["user"], {"sAMAccountName": name})
        assert answer(admin) == (80, "00000523")

    @pytest.mark.parametrize("name", ["o'neil", "a b", "a@b", "ünïcödé", "山田", "x" * 20, "a.b", "a$", "(a)&b!#%"])
    def test_good_names(self, lab, name):
        """Everything else is a name."""
        lab.user()
        assert replace(lab.administrator(), ALICE, "sAMAccountName", name) == (0, "")
        assert lab.domain.find(name).dn == ALICE

    def test_lockout_time(self, lab_with):
        """lockoutTime takes 0 only, which unlocks; badPwdCount and other counters are not written at all."""
        lab = lab_with(lockout_threshold=1)
        lab.user()
        lab.domain.logon("alice", "wrong")
        admin = lab.administrator()
        assert replace(admin, ALICE, "lockoutTime", "1") == (53, "00000057")
        assert lab.domain.logon("alice", PASSWORD) == "locked"
        assert replace(admin, ALICE, "lockoutTime", "0") == (0, "")
        assert lab.domain.find("alice").attribute("badPwdCount") == (0,)
        for name in ("badPwdCount", "lastLogon", "logonCount", "sAMAccountType", "lastLogonTimestamp", "memberOf"):
            assert replace(admin, ALICE, name, "1") == (53, "0000209A")

    def test_flag_of_lockout(self, lab_with):
        """Writing the lockout flag unlocks, without being stored; writing other flags does not."""
        lab = lab_with(lockout_threshold=1)
        lab.user()
        lab.domain.logon("alice", "wrong")
        admin = lab.administrator()
        assert replace(admin, ALICE, "userAccountControl", "512") == (0, "")
        assert lab.domain.logon("alice", PASSWORD) == "locked"
        assert replace(admin, ALICE, "userAccountControl", "528") == (0, "")
        assert lab.domain.logon("alice", PASSWORD) == "ok"
        alice = lab.domain.find("alice")
        assert (alice.flags, alice.attribute("lockoutTime"), alice.attribute("badPwdCount")) == (512, (0,), (0,))

    @pytest.mark.parametrize("size", [0, 1, 20, 22, 2100])
    def test_logon_hours(self, lab, size):
        """logonHours are 21 octets."""
        lab.user()
        assert replace(lab.administrator(), ALICE, "logonHours", b"\xff" * 21) == (0, "")
        assert replace(lab.administrator(), ALICE, "logonHours", b"\xff" * size)[0] == (19 if size else 21)

    def test_service_names(self, lab):
        """A service belongs to one account of the forest."""
        lab.user(attributes={"servicePrincipalName": "http/web"})
        bob = lab.user("bob")
        admin = lab.administrator()
        assert replace(admin, bob, "servicePrincipalName", "HTTP/WEB") == (19, "000021C7")
        assert replace(admin, bob, "servicePrincipalName", "http/other") == (0, "")
        assert replace(admin, ALICE, "servicePrincipalName", "http/web", "http/new") == (0, "")


class TestChanges:
    """Modifies in general."""

    def test_all_or_nothing(self, lab):
        """Ten changes of which the last is wrong change nothing and take no USN."""
        lab.user()
        admin, entry = lab.administrator(), lab.domain.find("alice").entry
        names = ("mail", "title", "company", "department", "l", "st", "sn", "givenName", "info")
        before, values = lab.domain.version, dict(entry.values)
        changes = {name: [(MODIFY_REPLACE, ["x"])] for name in names}
        admin.modify(ALICE, changes | {"userAccountControl": [(MODIFY_REPLACE, ["2048"])]})
        assert admin.result["result"] == 53
        assert (lab.domain.version, entry.values) == (before, values)

    def test_one_attribute_several_times(self, lab):
        """Changes of one attribute follow one another, as one transaction."""
        lab.user()
        admin = lab.administrator()
        before = lab.domain.version
        changes = [(MODIFY_REPLACE, ["a", "b"]), (MODIFY_ADD, ["c"]), (MODIFY_DELETE, ["a"]), (MODIFY_DELETE, ["b"])]
        assert admin.modify(ALICE, {"url": changes})
        assert lab.domain.find("alice").attribute("url") == ("c",)
        assert lab.domain.version == before + 1
        admin.modify(ALICE, {"url": [(MODIFY_DELETE, ["c"]), (MODIFY_DELETE, ["c"])]})
        assert answer(admin) == (16, "00002084")

    def test_permissive(self, lab):
        """Under the permissive modify control adding what is there, and deleting what is not, succeed."""
        lab.user(attributes={"url": ["a", "b"]})
        admin = lab.administrator()
        control = [(PERMISSIVE, True, None)]
        assert modify(admin, ALICE, MODIFY_ADD, "url", "A", "c") == (20, "00002083")
        assert modify(admin, ALICE, MODIFY_ADD, "url", "A", "c", controls=control) == (0, "")
        assert modify(admin, ALICE, MODIFY_DELETE, "url", "x", "b", controls=control) == (0, "")
        assert modify(admin, ALICE, MODIFY_DELETE, "info", controls=control) == (0, "")
        assert modify(admin, ALICE, MODIFY_DELETE, "info") == (16, "00002084")
        assert modify(admin, ALICE, MODIFY_DELETE, "url", "x") == (16, "00002085")
        assert lab.domain.find("alice").attribute("url") == ("a", "c")

    def test_increment(self, lab):
        """RFC 4525's increment is not known."""
        lab.user()
        assert modify(lab.administrator(), ALICE, MODIFY_INCREMENT, "codePage", "1")[0] == 2

    @pytest.mark.parametrize(
        ("name", "value", "expected"),
        [
            ("codePage", "65536", (19, "00002082")),
            ("countryCode", "-1", (19, "00002082")),
            ("displayName", "x" * 257, (19, "00002082")),
            ("manager", f"CN=nobody,{ROOT}", (19, "000020B5")),
            ("manager", "CN=Configuration,DC=contoso,DC=example", (0, "")),
            ("manager", f"cn=ADMINISTRATOR,cn=users,{ROOT}", (0, "")),
            ("member", ALICE, (65, "0000207D")),
            ("groupType", "2", (65, "0000207D")),
            ("minPwdLength", "1", (65, "0000207D")),
            ("canonicalName", "x", (19, "0000211B")),
            ("objectSid", b"x", (19, "000020B1")),
            ("isDeleted", "TRUE", (19, "000020B1")),
            ("distinguishedName", f"CN=x,{ROOT}", (19, "000020B1")),
            ("name", "x", (67, "00002016")),
            ("extensionAttribute1", "x", (0, "")),
            ("msExchHideFromAddressLists", "TRUE", (0, "")),
        ],
    )
    def test_values(self, lab, name, value, expected):
        """Ranges, names of objects, attributes of other classes, and what only the system writes."""
        lab.user()
        admin = lab.administrator()
        before = lab.domain.version
        assert replace(admin, ALICE, name, value) == expected
        assert (lab.domain.version > before) == (expected[0] == 0)

    def test_text(self, lab):
        """A complaint about an attribute names it with its number, as the product's does."""
        lab.user()
        admin = lab.administrator()
        replace(admin, ALICE, "unicodePwd", quoted("x"))
        expected = ("0000052D: AtrErr: DSID-03191083, #1:\n\t0: 0000052D: DSID-03191083, "
                    "problem 1005 (CONSTRAINT_ATT_TYPE), data 0, Att 9005a (unicodePwd)\n\x00")  # fmt: skip
        assert admin.result["message"] == expected
        lab.user("bob")
        replace(admin, ALICE, "userPrincipalName", "bob@contoso.example")
        assert "Att 90290 (userPrincipalName)" in admin.result["message"]

    def test_foreign_contexts(self, lab):
        """Configuration and schema are not written, and LostAndFound is left alone."""
        admin = lab.administrator()
        assert replace(admin, f"CN=Configuration,{ROOT}", "description", "x")[0] == 53
        assert replace(admin, f"CN=LostAndFound,{ROOT}", "description", "x") == (53, "00002077")


class TestClasses:
    """objectClass."""

    def test_user_becomes_person_of_internet(self, lab):
        """A user becomes an inetOrgPerson and back; the password is not touched."""
        lab.user()
        admin, account = lab.administrator(), lab.domain.find("alice")
        stamp = account.stamp
        assert modify(admin, ALICE, MODIFY_ADD, "objectClass", "inetOrgPerson") == (0, "")
        assert account.user_class == "inetOrgPerson"
        assert account.entry.stamp("objectclass").version == 2
        assert read(admin, ALICE, "objectClass")[-1] == b"inetOrgPerson"
        assert admin.search(ROOT, "(objectClass=inetOrgPerson)")
        assert modify(admin, ALICE, MODIFY_DELETE, "objectClass", "inetOrgPerson") == (0, "")
        assert (account.user_class, account.stamp) == ("user", stamp)
        before = lab.domain.version
        assert replace(admin, ALICE, "objectClass", "user") == (0, "")
        assert lab.domain.version == before

    @pytest.mark.parametrize(
        ("operation", "value", "code"),
        [(MODIFY_ADD, "computer", 65), (MODIFY_ADD, "group", 65), (MODIFY_REPLACE, "contact", 65),
         (MODIFY_DELETE, "user", 65), (MODIFY_ADD, "unheardOf", 16)],
    )  # fmt: skip
    def test_other_conversions(self, lab, operation, value, code):
        """No other conversion is possible."""
        lab.user()
        assert modify(lab.administrator(), ALICE, operation, "objectClass", value)[0] == code
        assert lab.domain.find("alice").user_class == "user"

    def test_conversion_replicates(self, lab):
        """Another controller takes the new class over."""
        domain = lab.forest.add_domain("fabrikam.example", controllers=("dc1", "dc2"))
        domain.create_user("alice", PASSWORD)
        domain.replicate()
        session = Session(domain.controller("dc1"))
        session.bind("FABRIKAM\\Administrator", domain.administrator_password)
        writes.modify(session, domain.find("alice").dn, [writes.Change(0, "objectClass", (b"inetOrgPerson",))])
        domain.replicate()
        assert domain.find("alice", on="dc2").user_class == "inetOrgPerson"


class TestAdds:
    """New objects."""

    @pytest.mark.parametrize(
        ("dn", "classes", "more", "expected"),
        [
            (f"CN=x,{PEOPLE}", ["person"], {}, (65, "00002014")),
            (f"OU=x,{USERS}", ["organizationalUnit"], {}, (64, "00002099")),
            (f"CN=x,{ALICE}", ["user"], {}, (64, "00002099")),
            (f"CN=x,{PEOPLE}", ["domainDNS"], {}, (53, "000020A6")),
            (f"CN=x,CN=LostAndFound,{ROOT}", ["user"], {}, (0, "")),
            (f"CN=x,CN=Builtin,{ROOT}", ["contact"], {}, (64, "00002099")),
            (f"CN={'x' * 65},{PEOPLE}", ["user"], {}, (19, "00002082")),
            (f"CN=x\\0Ay,{PEOPLE}", ["user"], {}, (34, "0000208F")),
            (f"CN=x,{PEOPLE}", ["contact"], {"userAccountControl": "512"}, (65, "0000207D")),
            (f"CN=x,{PEOPLE}", ["contact"], {"unicodePwd": quoted("Spring-2017!")}, (53, "00002035")),
            (f"CN=x,{PEOPLE}", ["user"], {"userAccountControl": "512"}, (53, "0000052D")),
            (f"CN=x,{PEOPLE}", ["user"], {"pwdLastSet": "7"}, (80, "00000057")),
            (f"CN=x,{PEOPLE}", ["user"], {"url": ["a", "A"]}, (20, "00002083")),
            (f"CN=x,{PEOPLE}", ["user"], {"manager": f"CN=nobody,{ROOT}"}, (19, "000020B5")),
            (f"CN=x,{PEOPLE}", ["user"], {"primaryGroupID": "512"}, (53, "0000213A")),
            (f"CN=x,{PEOPLE}", ["group"], {"groupType": "3"}, (53, "00002141")),
            (f"CN=x,{PEOPLE}", ["group"], {"member": [f"CN=nobody,{ROOT}"]}, (32, "00000525")),
            (f"CN=x,{PEOPLE}", ["group"], {"objectCategory": "CN=Group", "instanceType": "4"}, (0, "")),
        ],
    )
    def test_answers(self, lab, dn, classes, more, expected):
        """Each add that a domain controller refuses has its answer, creates nothing and takes no USN."""
        lab.user()
        admin = lab.administrator()
        before = lab.domain.version
        admin.add(dn, classes or None, more)
        assert answer(admin) == expected
        assert (lab.domain.version > before) == (expected[0] == 0)

    def test_without_class(self, lab):
        """An object has a class."""
        session = Session(lab.domain.controller())
        session.bind("CONTOSO\\Administrator", lab.domain.administrator_password)
        for attributes in ([], [("objectClass", [])], [("cn", [b"x"])]):
            with pytest.raises(LdapError, match=r"65: 0000207B: UpdErr: .* problem 6002 \(OBJ_CLASS_VIOLATION\)"):
                writes.add(session, f"CN=x,{USERS}", attributes)

    @pytest.mark.parametrize("dn", ["", "x", "CN=", "=x", "CN=a+CN=b", "CN=x,,DC=contoso", "\0"])
    def test_garbled_names(self, lab, dn):
        """What is no name is 34, for every kind of write."""
        session = Session(lab.domain.controller())
        session.bind("CONTOSO\\Administrator", lab.domain.administrator_password)
        for perform in (
            lambda: writes.add(session, dn, [("objectClass", [b"user"])]),
            lambda: writes.modify_dn(session, USERS, dn, None),
        ):
            with pytest.raises(LdapError, match="34: 0000208F"):
                perform()

    def test_defaults(self, lab):
        """A bare user and a bare computer get what the directory gives them."""
        admin = lab.administrator()
        assert admin.add(f"CN=u,{USERS}", ["user"])
        assert admin.add(f"CN=c,CN=Computers,{ROOT}", ["computer"], {"sAMAccountName": "C$"})
        user, computer = (lab.domain.controller().replica.resolve(found) for found in (
            [("CN", "u"), ("CN", "Users"), ("DC", "contoso"), ("DC", "example")],
            [("CN", "c"), ("CN", "Computers"), ("DC", "contoso"), ("DC", "example")],
        ))  # fmt: skip
        keys = ("useraccountcontrol", "pwdlastset", "primarygroupid", "samaccounttype", "badpwdcount")
        assert [user.get(key) for key in keys] == [546, 0, 513, 805306368, 0]
        assert [computer.get(key) for key in keys] == [4130, 0, 515, 805306369, 0]
        assert user.get("accountexpires") == (1 << 63) - 1
        assert user.text("samaccountname").startswith("$")
        assert (user.get("iscriticalsystemobject"), computer.get("iscriticalsystemobject")) == (None, False)

    def test_hidden(self, lab):
        """A container is shown in advanced views only; the domain's own are shown."""
        admin = lab.administrator()
        assert admin.add(f"CN=box,{USERS}", ["container"])
        assert read(admin, f"CN=box,{USERS}", "showInAdvancedViewOnly") == [b"TRUE"]
        assert admin.add(f"CN=open,{USERS}", ["container"], {"showInAdvancedViewOnly": "FALSE"})
        for dn in (f"CN=open,{USERS}", USERS, f"CN=Builtin,{ROOT}", f"OU=Domain Controllers,{ROOT}"):
            assert read(admin, dn, "showInAdvancedViewOnly") == [b"FALSE"]

    @pytest.mark.parametrize(("last_set", "kept"), [(None, 0), ("0", 0), ("-1", None)])
    def test_last_set_without_password(self, lab, last_set, kept):
        """pwdLastSet -1 is now, even where there is no password yet."""
        more = {} if last_set is None else {"pwdLastSet": last_set}
        assert lab.administrator().add(f"CN=u,{USERS}", ["user"], {"sAMAccountName": "u"} | more)
        stored = lab.domain.find("u").entry.get("pwdlastset")
        assert stored == (lab.domain.controller().now() if kept is None else kept)

    def test_one_description(self, lab):
        """Accounts and groups have one description, a contact may have more."""
        lab.user()
        admin = lab.administrator()
        for kind, code in (("user", 19), ("group", 19), ("computer", 19), ("contact", 0), ("organizationalUnit", 0)):
            admin.add(f"{CLASSES[kind.lower()].rdn}={kind},{PEOPLE}", [kind], {"description": ["a", "b"]})
            assert admin.result["result"] == code
        assert replace(admin, ALICE, "description", "a", "b") == (20, "00002081")


class TestGroups:
    """Members, types, primary groups."""

    @pytest.fixture
    def admin(self, lab):
        """An administrator in a domain with alice and a group of each scope."""
        lab.user()
        admin = lab.administrator()
        for name, scope in (("global", 2), ("local", 4), ("universal", 8)):
            kind = {"sAMAccountName": name, "groupType": str(scope - (1 << 31))}
            assert admin.add(f"CN={name},{PEOPLE}", ["group"], kind)
        return admin

    def test_members(self, lab, admin):
        """Members come and go one by one; the group changes and the member does not."""
        group, usn = f"CN=global,{PEOPLE}", lab.domain.find("alice").usn
        assert modify(admin, group, MODIFY_ADD, "member", ALICE) == (0, "")
        assert modify(admin, group, MODIFY_ADD, "member", ALICE.upper()) == (68, "00000562")
        assert lab.domain.find("alice").usn == usn
        assert modify(admin, group, MODIFY_DELETE, "member", ALICE) == (0, "")
        assert modify(admin, group, MODIFY_DELETE, "member", ALICE) == (53, "00000561")
        assert modify(admin, group, MODIFY_ADD, "member", f"CN=nobody,{ROOT}") == (32, "00000525")
        assert modify(admin, group, MODIFY_DELETE, "member", f"CN=nobody,{ROOT}") == (53, "00000561")
        assert modify(admin, group, MODIFY_ADD, "member", "no name")[0] == 34
        control = [(PERMISSIVE, True, None)]
        assert modify(admin, group, MODIFY_DELETE, "member", ALICE, controls=control) == (0, "")
        assert modify(admin, group, MODIFY_ADD, "member", group) == (53, "0000056C")

    @pytest.mark.parametrize(
        ("group", "member", "win32"),
        [
            ("global", "local", "00002144"), ("global", "universal", "00002145"), ("universal", "local", "00002146"),
            ("local", "global", ""), ("local", "universal", ""), ("universal", "global", ""),
        ],
    )  # fmt: skip
    def test_nesting(self, admin, group, member, win32):
        """Which scope may be in which."""
        expected = (53, win32) if win32 else (0, "")
        assert modify(admin, f"CN={group},{PEOPLE}", MODIFY_ADD, "member", f"CN={member},{PEOPLE}") == expected

    @pytest.mark.parametrize(
        ("group", "kind", "code"),
        [("global", 8, 0), ("global", 4, 53), ("local", 8, 0), ("local", 2, 53), ("universal", 2, 0),
         ("universal", 4, 0), ("global", 6, 53), ("global", 0, 53), ("global", 1, 53), ("global", 2, 0)],
    )  # fmt: skip
    def test_types(self, admin, group, kind, code):
        """A scope changes by way of universal; a type is one scope, for security or distribution."""
        for value in (kind, kind - (1 << 31)):
            assert replace(admin, f"CN={group},{PEOPLE}", "groupType", str(value))[0] == code

    def test_types_by_members(self, admin):
        """A universal group with universal members does not become global."""
        assert admin.add(f"CN=other,{PEOPLE}", ["group"], {"sAMAccountName": "other", "groupType": "-2147483640"})
        assert modify(admin, f"CN=universal,{PEOPLE}", MODIFY_ADD, "member", f"CN=other,{PEOPLE}") == (0, "")
        assert replace(admin, f"CN=universal,{PEOPLE}", "groupType", "-2147483646") == (53, "00002145")
        assert replace(admin, f"CN=other,{PEOPLE}", "groupType", "-2147483644") == (53, "00002146")

    def test_primary_group(self, lab, admin):
        """The primary group is one that one is in; its list of members and that of the old one change sides."""
        group = f"CN=global,{PEOPLE}"
        rid = lab.domain.controller().replica.by_name["global"].rid
        assert replace(admin, ALICE, "primaryGroupID", str(rid)) == (53, "00000529")
        assert modify(admin, group, MODIFY_ADD, "member", ALICE) == (0, "")
        assert replace(admin, ALICE, "primaryGroupID", str(rid)) == (0, "")
        assert read(admin, group, "member") == []
        assert read(admin, f"CN=Domain Users,{USERS}", "member") == [ALICE.encode()]
        assert modify(admin, group, MODIFY_ADD, "member", ALICE) == (68, "00000562")
        admin.delete(group)
        assert answer(admin) == (53, "00002149")
        assert replace(admin, ALICE, "primaryGroupID", "999999")[0] == 53


class TestRights:
    """Who may what."""

    def test_own_information(self, lab):
        """A user writes the own telephone number and home page, and nothing else; of others, nothing at all."""
        lab.user()
        bob = lab.user("bob")
        own = lab.bind("CONTOSO\\alice", PASSWORD)
        for name in ("telephoneNumber", "mobile", "streetAddress", "l", "wWWHomePage", "thumbnailPhoto"):
            assert replace(own, ALICE, name, "1") == (0, "")
            assert replace(own, bob, name, "1") == (50, "00002098")
        for name in ("displayName", "mail", "title", "userAccountControl", "lockoutTime", "accountExpires"):
            assert replace(own, ALICE, name, "1") == (50, "00002098")
        own.modify(ALICE, {"mobile": [(MODIFY_REPLACE, ["2"])], "title": [(MODIFY_REPLACE, ["x"])]})
        assert answer(own) == (50, "00002098")
        assert read(own, ALICE, "mobile") == [b"1"]

    def test_own_password_with_more(self, lab):
        """A change of the own password may come with what one may write, and not with more."""
        lab.user()
        own = lab.bind("CONTOSO\\alice", PASSWORD)
        parts = [(MODIFY_DELETE, [quoted(PASSWORD)]), (MODIFY_ADD, [quoted("Spring-2017!")])]
        own.modify(ALICE, {"unicodePwd": parts, "pwdLastSet": [(MODIFY_REPLACE, ["-1"])]})
        assert answer(own) == (50, "00002098")
        assert own.modify(ALICE, {"unicodePwd": parts, "mobile": [(MODIFY_REPLACE, ["1"])]})

    def test_reset(self, lab):
        """Who has no right to reset hears so, of the own password too; the agent's account as well."""
        lab.user()
        for connection in (lab.bind("CONTOSO\\alice", PASSWORD), lab.connector()):
            expected = "00000005: SecErr: DSID-031A1190, problem 4003 (INSUFF_ACCESS_RIGHTS), data 0\n\x00"
            assert replace(connection, ALICE, "unicodePwd", quoted("Spring-2017!"))[0] == 50
            assert connection.result["message"] == expected

    def test_new_administrator(self, lab):
        """A member of Domain Admins may write from then on, on the same connection."""
        lab.user()
        own = lab.bind("CONTOSO\\alice", PASSWORD)
        assert replace(own, ALICE, "title", "Boss")[0] == 50
        assert modify(lab.administrator(), f"CN=Domain Admins,{USERS}", MODIFY_ADD, "member", ALICE) == (0, "")
        assert replace(own, ALICE, "title", "Boss") == (0, "")


class TestPlaces:
    """Moving and deleting."""

    def test_old_name_goes(self, lab):
        """The old name can't be kept."""
        lab.user()
        admin = lab.administrator()
        admin.modify_dn(ALICE, "CN=al", delete_old_dn=False)
        assert answer(admin) == (53, "00000057")

    @pytest.mark.parametrize(
        ("dn", "rdn", "superior", "expected"),
        [
            (ALICE, "CN=alice", "DC=child,DC=contoso,DC=example", (71, "000020B0")),
            (ALICE, "CN=alice", f"CN=Configuration,{ROOT}", (71, "000020B0")),
            (ALICE, "CN=alice", ALICE, (53, "000020CE")),
            (PEOPLE, "OU=People", USERS, (64, "00002099")),
            (ALICE, "CN=" + "x" * 65, None, (19, "00002082")),
            (ALICE, "CN=a\\0Ab", None, (34, "0000208F")),
            (ALICE, "CN=a,OU=b", None, (34, "0000208F")),
            (ROOT, "DC=other", None, (53, "000020CE")),
            (USERS, "CN=Folks", None, (53, "000020CE")),
            (f"CN=LostAndFound,{ROOT}", "CN=Lost", None, (53, "000020CE")),
            (f"CN=Administrator,{USERS}", "CN=Root", None, (0, "")),
            (f"CN=Domain Admins,{USERS}", "CN=Domain Admins", PEOPLE, (0, "")),
            (ALICE, "CN=ALICE", None, (0, "")),
        ],
    )
    def test_moves(self, lab, dn, rdn, superior, expected):
        """Each rename and move has its answer; what is refused takes no USN."""
        lab.user()
        lab.forest.add_domain("child.contoso.example")
        admin = lab.administrator()
        before = lab.domain.version
        admin.modify_dn(dn, rdn, new_superior=superior)
        assert answer(admin) == expected
        assert (lab.domain.version > before) == (expected[0] == 0)

    def test_tree_with_critical(self, lab):
        """A tree with something the system needs in it stays whole."""
        lab.user(critical=True)
        lab.user("bob")
        admin = lab.administrator()
        admin.delete(PEOPLE, controls=[(TREE, True, None)])
        assert answer(admin) == (53, "00002170")
        assert lab.domain.find("bob").dn

    @pytest.mark.parametrize("dn", [ROOT, USERS, f"CN=LostAndFound,{ROOT}", f"CN=System,{ROOT}"])
    def test_system(self, lab, dn):
        """The domain itself and its containers are not deleted."""
        admin = lab.administrator()
        for controls in ([(TREE, True, None)], None):
            admin.delete(dn, controls=controls)
            assert answer(admin) == (53, "000020CE")

    def test_not_empty(self, lab):
        """What is not empty is not deleted without the control, even if something in it is critical."""
        lab.user(critical=True)
        admin = lab.administrator()
        admin.delete(PEOPLE)
        assert answer(admin) == (66, "00002015")


class TestUndelete:
    """Bringing a tombstone back."""

    def deleted(self, lab, **options):
        """Delete alice; an administrator, the tombstone's DN and her GUID."""
        lab.user(**options)
        guid = lab.domain.find("alice").guid
        lab.domain.delete_user("alice")
        return lab.administrator(), lab.domain.by_guid(guid).dn, guid

    def undelete(self, connection, dn, *names, **more):
        changes = {"isDeleted": [(MODIFY_DELETE, [])], "distinguishedName": [(MODIFY_REPLACE, list(names or (ALICE,)))]}
        changes |= {name: [(MODIFY_REPLACE, [value])] for name, value in more.items()}
        connection.modify(dn, changes, controls=[(SHOW_DELETED, True, None)])
        return answer(connection)

    def test_comes_back(self, lab):
        """The object keeps GUID, SID and name; it is disabled, without a password and what tombstones lose."""
        admin, dn, guid = self.deleted(lab)
        before = lab.domain.version
        assert self.undelete(admin, dn, displayName="Alice again") == (0, "")
        assert lab.domain.version == before + 1
        account = lab.domain.find("alice")
        assert (account.guid, account.dn, account.flags, account.must_change) == (guid, ALICE, 546, True)
        assert (account.nt_hash, account.upn, account.display_name) == (b"", "", "Alice again")
        assert lab.domain.logon("alice", PASSWORD) == "wrong-password"
        assert replace(admin, ALICE, "unicodePwd", quoted("Spring-2017!")) == (0, "")
        assert replace(admin, ALICE, "userAccountControl", "512") == (0, "")
        assert lab.domain.logon("alice", "Spring-2017!") == "ok"

    def test_refused(self, lab):
        """Not without the right, to a place that is taken or not there, or twice."""
        admin, dn, _ = self.deleted(lab)
        lab.user("bob")
        assert self.undelete(lab.bind("CONTOSO\\bob", PASSWORD), dn)[0] == 50
        assert self.undelete(admin, dn, f"CN=bob,{PEOPLE}") == (68, "00002071")
        assert self.undelete(admin, dn, f"CN=alice,OU=Nowhere,{ROOT}")[0] == 32
        assert self.undelete(admin, dn, f"OU=alice,{PEOPLE}")[0] == 64
        assert self.undelete(admin, dn, ALICE, ALICE)[0] == 53
        assert self.undelete(admin, f"CN=bob,{PEOPLE}")[0] == 53
        lab.user("alice", ou="OU=Other")
        assert self.undelete(admin, dn)[0] == 68

    def test_tombstones_are_left_alone(self, lab):
        """A tombstone is changed in no other way."""
        admin, dn, _ = self.deleted(lab)
        assert replace(admin, dn, "description", "x")[0] == 32
        assert modify(admin, dn, MODIFY_REPLACE, "description", "x", controls=[(SHOW_DELETED, True, None)])[0] == 53

    def test_replicates(self, lab):
        """Other controllers take the return over, whether they saw the deletion or not."""
        domain = lab.forest.add_domain("fabrikam.example", controllers=("dc1", "dc2"))
        root = "DC=fabrikam,DC=example"
        session = Session(domain.controller("dc1"))
        session.bind("FABRIKAM\\Administrator", domain.administrator_password)
        for name, seen in (("alice", True), ("bob", False)):
            domain.create_user(name, PASSWORD)
            domain.replicate()
            guid = domain.find(name).guid
            domain.delete_user(name, on="dc1")
            if seen:
                domain.replicate()
            target = f"CN={name},CN=Users,{root}"
            changes = [writes.Change(1, "isDeleted", ()), writes.Change(2, "distinguishedName", (target.encode(),))]
            with pytest.raises(LdapError, match="32: "):
                writes.modify(session, f"<GUID={guid}>", changes)
            writes.modify(session, f"<GUID={guid}>", changes, [Control(SHOW_DELETED, True)])
            domain.replicate()
            account = domain.find(name, on="dc2")
            assert (account.guid, account.dn, account.deleted, account.flags) == (guid, target, False, 546)
            assert domain.find(name, on="dc1").nt_hash == account.nt_hash


NAMES = st.sampled_from(sorted(schema.ATTRIBUTES)) | st.text(max_size=8)
OCTETS = st.binary(max_size=24) | st.sampled_from(
    [b"", b"0", b"-1", b"512", b"-9223372036854775808", b"9" * 30, b"TRUE", ALICE.encode(), ROOT.encode(), b"<GUID=x>",
     b"<SID=S-1-5-21-1-2-3-500>", b"CN=a+CN=b", quoted("Spring-2017!"), quoted(""), b"user", b"inetOrgPerson", b"group"]
)  # fmt: skip
TARGETS = [ALICE, PEOPLE, ROOT, f"CN=staff,{PEOPLE}", f"CN=Strict,CN=Password Settings Container,CN=System,{ROOT}"]


@pytest.fixture(scope="module")
def world():
    """A domain that all of a test's writes go to, and an administrator's session."""
    lab = Lab()
    lab.user()
    session = Session(lab.domain.controller())
    session.bind("CONTOSO\\Administrator", lab.domain.administrator_password)
    writes.add(session, TARGETS[3], [("objectClass", [b"group"]), ("sAMAccountName", [b"staff"])])
    lab.domain.add_fine_grained(FineGrainedPolicy("Strict", 1, frozenset({"alice"}), DomainPolicy()))
    return lab, session


class TestHostile:
    """Writes that nobody in his right mind sends."""

    @given(
        st.sampled_from(TARGETS),
        st.lists(st.tuples(st.integers(0, 4), NAMES, st.lists(OCTETS, max_size=3)), min_size=1, max_size=4),
        st.booleans(),
    )
    def test_modify(self, world, dn, parts, permissive):
        """A modify succeeds or is refused with an LDAP result, and what is refused changes nothing."""
        lab, session = world
        changes = [writes.Change(operation, name, tuple(octets)) for operation, name, octets in parts]
        controls = [Control(PERMISSIVE, True)] if permissive else []
        before = lab.domain.version
        try:
            writes.modify(session, dn, changes, controls)
        except LdapError:
            assert lab.domain.version == before

    @given(
        st.sampled_from(sorted(CLASSES)) | st.text(max_size=8),
        st.text(max_size=8),
        st.lists(st.tuples(NAMES, st.lists(OCTETS, max_size=3)), max_size=4),
    )
    def test_add(self, world, kind, rdn, attributes):
        """An add succeeds or is refused with an LDAP result, and what is refused makes nothing."""
        lab, session = world
        before = lab.domain.version
        for prefix in ("CN", "OU"):
            dn = f"{prefix}={rdn},{PEOPLE}"
            try:
                writes.add(session, dn, [("objectClass", [kind.encode("utf-8", "replace")]), *attributes])
            except LdapError:
                assert lab.domain.version == before
            else:
                before = lab.domain.version

    @given(st.sampled_from(TARGETS) | st.text(max_size=20), st.text(max_size=20), st.none() | st.text(max_size=20))
    def test_rename(self, world, dn, rdn, superior):
        """A rename succeeds or is refused with an LDAP result."""
        lab, session = world
        before = lab.domain.version
        try:
            writes.modify_dn(session, dn, rdn, superior)
        except LdapError:
            assert lab.domain.version == before
