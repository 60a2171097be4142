"""Writing over ldap3: the answers to each kind of password write, and to bad adds, modifies, renames and deletes."""

from __future__ import annotations

from datetime import timedelta

import pytest
from ldap3 import MODIFY_ADD, MODIFY_DELETE, MODIFY_REPLACE

from pwsync.credential import nt_hash

ROOT = "DC=contoso,DC=example"
PEOPLE = f"OU=People,{ROOT}"
ALICE = f"CN=alice,{PEOPLE}"


def quoted(password):
    """A password as unicodePwd takes it."""
    return f'"{password}"'.encode("utf-16-le", "surrogatepass")


def code(connection):
    """Result and Win32 code of the last operation."""
    head = connection.result["message"][:8]
    return connection.result["result"], head if connection.result["result"] else ""


GOOD, OTHER = quoted("Spring-2017!"), quoted("Summer-2017!")
OLD = quoted("Winter-2016!")


class TestReset:
    """An administrator's write of unicodePwd."""

    @pytest.mark.parametrize(
        ("changes", "answer"),
        [
            ([(MODIFY_REPLACE, [GOOD])], (0, "")),
            ([(MODIFY_REPLACE, [OLD])], (0, "")),
            ([(MODIFY_REPLACE, [OTHER, GOOD])], (0, "")),
            ([(MODIFY_REPLACE, [quoted("Sp-7!")])], (19, "0000052D")),
            ([(MODIFY_REPLACE, [quoted("springtime")])], (19, "0000052D")),
            ([(MODIFY_REPLACE, [quoted("Alice-2017!")])], (19, "0000052D")),
            ([(MODIFY_REPLACE, [quoted("")])], (19, "0000052D")),
            ([(MODIFY_REPLACE, ["Spring-2017!".encode("utf-16-le")])], (53, "00002035")),
            ([(MODIFY_REPLACE, [b'"Spring-2017!"'])], (53, "00002035")),
            ([(MODIFY_REPLACE, [GOOD + b"x"])], (53, "00002035")),
            ([(MODIFY_REPLACE, [])], (53, "00002035")),
            ([(MODIFY_ADD, [GOOD])], (53, "00002035")),
            ([(MODIFY_DELETE, [OLD])], (53, "00002035")),
        ],
    )
    def test_answers(self, lab, changes, answer):
        """Each way of writing has its answer, and only a good one changes anything."""
        lab.user()
        admin = lab.administrator()
        before, old = lab.domain.version, lab.domain.find("alice").nt_hash
        admin.modify(ALICE, {"unicodePwd": changes})
        assert code(admin) == answer
        if answer[0]:
            assert (lab.domain.version, lab.domain.find("alice").nt_hash) == (before, old)
        else:
            assert lab.domain.version == before + 1
            assert lab.domain.find("alice").version == 2

    def test_last_of_two_values(self, lab):
        """Of two values the last is taken."""
        lab.user()
        admin = lab.administrator()
        admin.modify(ALICE, {"unicodePwd": [(MODIFY_REPLACE, [OTHER, GOOD])]})
        assert lab.domain.find("alice").nt_hash == nt_hash("Spring-2017!")

    def test_temporary(self, lab):
        """unicodePwd and pwdLastSet=0 in one modify make a temporary password, in one transaction."""
        lab.user()
        admin = lab.administrator()
        before = lab.domain.version
        assert admin.modify(ALICE, {"unicodePwd": [(MODIFY_REPLACE, [GOOD])], "pwdLastSet": [(MODIFY_REPLACE, ["0"])]})
        assert lab.domain.version == before + 1
        assert lab.domain.find("alice").must_change
        assert lab.domain.password_log[-1].must_change

    def test_bad_attribute_spoils_all(self, lab):
        """A modify that fails in any part changes nothing."""
        lab.user()
        admin = lab.administrator()
        before = lab.domain.find("alice").nt_hash
        changes = {"unicodePwd": [(MODIFY_REPLACE, [GOOD])], "nonsense": [(MODIFY_REPLACE, ["x"])]}
        assert not admin.modify(ALICE, changes)
        assert lab.domain.find("alice").nt_hash == before

    def test_secrets_are_not_written(self, lab):
        """dBCSPwd and the histories are refused; userPassword is a plain attribute."""
        lab.user()
        admin = lab.administrator()
        for name in ("dBCSPwd", "ntPwdHistory", "lmPwdHistory", "supplementalCredentials"):
            admin.modify(ALICE, {name: [(MODIFY_REPLACE, [b"x"])]})
            assert admin.result["result"] == 53
        assert admin.modify(ALICE, {"userPassword": [(MODIFY_REPLACE, ["Spring-2017!"])]})
        assert lab.domain.logon("alice", "Winter-2016!") == "ok"

    def test_smartcard_bit(self, lab):
        """Writing the smart card flag randomises the password."""
        lab.user()
        lab.administrator().modify(ALICE, {"userAccountControl": [(MODIFY_REPLACE, [str(512 | 0x40000)])]})
        assert lab.domain.password_log[-1].kind == "randomised"
        assert lab.domain.find("alice").smartcard_required


class TestChange:
    """A user's own write of unicodePwd: delete the old, add the new."""

    def _change(self, connection, old, new, dn=ALICE):
        connection.modify(dn, {"unicodePwd": [(MODIFY_DELETE, [quoted(old)]), (MODIFY_ADD, [quoted(new)])]})
        return code(connection)

    @pytest.mark.parametrize(
        ("old", "new", "answer"),
        [
            ("Winter-2016!", "Spring-2017!", (0, "")),
            ("wrong", "Spring-2017!", (19, "00000056")),
            ("Winter-2016!", "Winter-2016!", (19, "0000052D")),
            ("Winter-2016!", "Sp-7!", (19, "0000052D")),
            ("Winter-2016!", "springtime", (19, "0000052D")),
        ],
    )
    def test_answers(self, lab, old, new, answer):
        """Right and wrong changes have their answers; a failed one leaves the old password."""
        lab.user()
        own = lab.bind("CONTOSO\\alice", "Winter-2016!")
        assert self._change(own, old, new) == answer
        assert lab.domain.logon("alice", new if answer[0] == 0 else "Winter-2016!") == "ok"

    def test_too_young(self, lab_with):
        """Minimum age is a constraint violation too."""
        lab = lab_with(min_age=timedelta(days=1))
        lab.user()
        own = lab.bind("CONTOSO\\alice", "Winter-2016!")
        assert self._change(own, "Winter-2016!", "Spring-2017!") == (19, "0000052D")

    def test_other_user(self, lab):
        """Who knows another's password may change it; nobody may reset another's, or write anything else."""
        lab.user()
        lab.user("bob")
        bob = lab.bind("CONTOSO\\bob", "Winter-2016!")
        assert self._change(bob, "Winter-2016!", "Spring-2017!") == (0, "")
        bob.modify(ALICE, {"unicodePwd": [(MODIFY_REPLACE, [OTHER])]})
        assert code(bob) == (50, "00000005")
        bob.modify(f"CN=bob,{PEOPLE}", {"pwdLastSet": [(MODIFY_REPLACE, ["-1"])]})
        assert code(bob) == (50, "00002098")

    def test_anonymous(self, lab):
        """Nobody's change is an operations error."""
        lab.user()
        connection = lab.bind("CONTOSO\\alice", "wrong")
        assert self._change(connection, "Winter-2016!", "Spring-2017!") == (1, "00002020")

    def test_microsoft_helper(self, lab):
        """ldap3's own helper for AD passwords works."""
        lab.user()
        own = lab.bind("CONTOSO\\alice", "Winter-2016!")
        assert own.extend.microsoft.modify_password(ALICE, "Spring-2017!", "Winter-2016!")
        assert lab.domain.logon("alice", "Spring-2017!") == "ok"


class TestAccountAttributes:
    """pwdLastSet, userAccountControl, lockoutTime."""

    @pytest.mark.parametrize(("value", "result"), [("0", 0), ("-1", 0), ("12345", 80), ("x", 21)])
    def test_last_set(self, lab, value, result):
        """pwdLastSet takes 0 and -1 only."""
        lab.user()
        admin = lab.administrator()
        admin.modify(ALICE, {"pwdLastSet": [(MODIFY_REPLACE, [value])]})
        assert admin.result["result"] == result
        assert lab.domain.find("alice").must_change == (value == "0")

    def test_no_password_no_account(self, lab):
        """An account without a password can't be enabled; flags that are computed are masked off."""
        admin = lab.administrator()
        assert admin.add(ALICE.replace("OU=People", "CN=Users"), ["user"], {"sAMAccountName": "alice"})
        dn = f"CN=alice,CN=Users,{ROOT}"
        assert lab.domain.find("alice").flags == 546
        admin.modify(dn, {"userAccountControl": [(MODIFY_REPLACE, ["512"])]})
        assert code(admin) == (53, "0000052D")
        both = {"userAccountControl": [(MODIFY_REPLACE, [str(512 | 0x10 | 0x800000)])],
                "unicodePwd": [(MODIFY_REPLACE, [GOOD])]}  # fmt: skip
        assert admin.modify(dn, both)
        assert lab.domain.find("alice").flags == 512

    def test_unlock(self, lab_with):
        """lockoutTime=0 unlocks."""
        lab = lab_with(lockout_threshold=1)
        lab.user()
        lab.domain.logon("alice", "wrong")
        assert lab.administrator().modify(ALICE, {"lockoutTime": [(MODIFY_REPLACE, ["0"])]})
        assert lab.domain.logon("alice", "Winter-2016!") == "ok"


class TestModify:
    """Answers to other modifies."""

    @pytest.mark.parametrize(
        ("name", "operation", "values", "result"),
        [
            ("mail", MODIFY_REPLACE, ["a@b.example"], 0),
            ("mail", MODIFY_REPLACE, [], 0),
            ("mail", MODIFY_DELETE, ["x"], 16),
            ("mail", MODIFY_ADD, ["a@b", "c@d"], 20),
            ("title", MODIFY_ADD, ["CLERK"], 20),
            ("nonsense", MODIFY_REPLACE, ["x"], 16),
            ("objectGUID", MODIFY_REPLACE, [b"x" * 16], 19),
            ("uSNChanged", MODIFY_REPLACE, ["1"], 19),
            ("cn", MODIFY_REPLACE, ["other"], 67),
            ("objectClass", MODIFY_ADD, ["computer"], 65),
            ("userPrincipalName", MODIFY_REPLACE, ["BOB@contoso.example"], 19),
            ("sAMAccountName", MODIFY_REPLACE, ["Bob"], 68),
            ("manager", MODIFY_REPLACE, ["not a name"], 34),
            ("userAccountControl", MODIFY_REPLACE, ["many"], 21),
            ("description", MODIFY_ADD, [b"\xff"], 21),
            ("description", MODIFY_REPLACE, ["one", "two"], 20),
            ("thumbnailPhoto", MODIFY_REPLACE, [b""], 21),
            ("proxyAddresses", MODIFY_ADD, ["a", "A"], 20),
        ],
    )
    def test_answers(self, lab, name, operation, values, result):
        """Each bad modify has its code, and none consumes a USN."""
        lab.user(attributes={"title": "clerk"})
        lab.user("bob")
        admin = lab.administrator()
        before = lab.domain.version
        admin.modify(ALICE, {name: [(operation, values)]})
        assert admin.result["result"] == result
        if result:
            assert lab.domain.version == before

    def test_same_value(self, lab):
        """Replacing a value by itself succeeds and consumes no USN."""
        lab.user(attributes={"mail": "a@b.example"})
        admin = lab.administrator()
        before = lab.domain.version
        assert admin.modify(ALICE, {"mail": [(MODIFY_REPLACE, ["a@b.example"])]})
        assert lab.domain.version == before

    def test_value_by_value(self, lab):
        """Values are added and deleted one by one, ignoring case."""
        lab.user()
        admin = lab.administrator()
        assert admin.modify(ALICE, {"proxyAddresses": [(MODIFY_ADD, ["SMTP:a", "smtp:b", "smtp:c"])]})
        assert admin.modify(ALICE, {"proxyAddresses": [(MODIFY_DELETE, ["SMTP:B"])]})
        assert lab.domain.find("alice").attribute("proxyAddresses") == ("SMTP:a", "smtp:c")


class TestAddRenameDelete:
    """Objects come, move and go."""

    def _user(self, **more):
        return {"sAMAccountName": "alice", "userAccountControl": "512", "unicodePwd": GOOD} | more

    def test_add_user(self, lab):
        """A user with a password is one transaction, and can log on."""
        lab.user("bob")
        admin = lab.administrator()
        before = lab.domain.version
        assert admin.add(ALICE, ["top", "person", "organizationalPerson", "user"], self._user())
        assert lab.domain.version == before + 1
        assert lab.domain.find("alice").version == 1
        assert lab.domain.logon("alice", "Spring-2017!") == "ok"

    @pytest.mark.parametrize(
        ("dn", "classes", "more", "result"),
        [
            (ALICE, ["user"], {"unicodePwd": quoted("Sp-7!")}, 19),
            (ALICE, ["user"], {"unicodePwd": b"x"}, 53),
            (ALICE, ["user"], {"sAMAccountName": "BOB"}, 68),
            (ALICE, ["user"], {"userPrincipalName": "bob@contoso.example"}, 19),
            (f"CN=Bob,{PEOPLE}", ["user"], {}, 68),
            (f"CN=alice,OU=Nowhere,{ROOT}", ["user"], {}, 32),
            (ALICE, ["unheardOf"], {}, 16),
            (ALICE, ["user", "group"], {}, 65),
            (f"OU=alice,{PEOPLE}", ["user"], {}, 64),
            (ALICE, ["user"], {"nonsense": "x"}, 16),
            (ALICE, ["user"], {"objectSid": b"x"}, 19),
            (ALICE, ["user"], {"mail": ["a", "b"]}, 19),
        ],
    )
    def test_bad_adds(self, lab, dn, classes, more, result):
        """Each bad add has its code, creates nothing and consumes no USN."""
        lab.user("bob")
        admin = lab.administrator()
        before = lab.domain.version
        admin.add(dn, classes, self._user() | more)
        assert admin.result["result"] == result
        assert lab.domain.version == before

    def test_without_rights(self, lab):
        """The connector's account reads and does not write."""
        lab.user()
        connector = lab.connector()
        connector.add(f"OU=x,{ROOT}", ["organizationalUnit"])
        assert connector.result["result"] == 50
        connector.delete(ALICE)
        assert connector.result["result"] == 50
        connector.modify_dn(ALICE, "CN=al")
        assert connector.result["result"] == 50

    def test_rename_and_move(self, lab):
        """Renaming and moving keep GUID and password."""
        lab.user()
        admin = lab.administrator()
        guid = lab.domain.find("alice").guid
        assert admin.add(f"OU=Sales,{ROOT}", ["organizationalUnit"])
        assert admin.modify_dn(ALICE, "CN=Smith\\, Alice", new_superior=f"OU=Sales,{ROOT}")
        account = lab.domain.find("alice")
        assert account.dn == f"CN=Smith\\, Alice,OU=Sales,{ROOT}"
        assert (account.guid, account.version) == (guid, 1)
        assert admin.search(account.dn, "(objectClass=*)", attributes=["cn"])

    @pytest.mark.parametrize(
        ("rdn", "superior", "result"),
        [
            ("CN=bob", None, 68),
            ("OU=alice", None, 64),
            ("CN=alice", f"OU=Nowhere,{ROOT}", 32),
        ],
    )
    def test_bad_renames(self, lab, rdn, superior, result):
        """Names that are taken, of another kind, or nowhere."""
        lab.user()
        lab.user("bob")
        admin = lab.administrator()
        admin.modify_dn(ALICE, rdn, new_superior=superior)
        assert admin.result["result"] == result

    def test_not_below_itself(self, lab):
        """A container can't be moved below itself."""
        lab.user()
        admin = lab.administrator()
        assert admin.add(f"OU=Inner,{PEOPLE}", ["organizationalUnit"])
        admin.modify_dn(PEOPLE, "OU=People", new_superior=f"OU=Inner,{PEOPLE}")
        assert admin.result["result"] == 53

    def test_delete(self, lab):
        """Leaves can be deleted, others only with the tree control; what the system needs can't."""
        lab.user()
        admin = lab.administrator()
        admin.delete(PEOPLE)
        assert admin.result["result"] == 66
        assert admin.delete(ALICE)
        lab.user()
        assert admin.delete(PEOPLE, controls=[("1.2.840.113556.1.4.805", True, None)])
        admin.delete(f"CN=Administrator,CN=Users,{ROOT}")
        assert admin.result["result"] == 53
        admin.delete(ALICE)
        assert admin.result["result"] == 32

    def test_extended_operations(self, lab):
        """RFC 3062 and "who am I" are not supported."""
        admin = lab.administrator()
        admin.extend.standard.who_am_i()
        assert admin.result["result"] == 2
