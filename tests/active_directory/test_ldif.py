"""Loading LDIF: what is read, and where a bad file is bad."""

from __future__ import annotations

from base64 import b64encode
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.active_directory.ldif import LdifError, load_ldif, read_ldif

from .conftest import Lab

ENTRY = """\
dn: uid=joe,ou=Clerks,ou=People,dc=contoso,dc=example
objectClass: top
objectClass: person
objectClass: organizationalPerson
objectClass: inetOrgPerson
cn: Joe Doe
sn: Doe
uid: joe
"""


class TestLoad:
    """Good files."""

    def test_entries(self, lab, tmp_path):
        """Folded lines, comments, base64, units and both kinds of line ends are read."""
        path = tmp_path / "people.ldif"
        text = f"""\
version: 1
# people

dn: ou=Clerks,ou=People,dc=contoso,dc=example
objectClass: organizationalUnit
ou: Clerks
description: where clerks
  sit

{ENTRY}displayName:: SsO2ZSBEw7Y=
userPassword: Secret-1
# a comment that
 goes on
mail: joe@contoso.example

dn: CN=Ann\\, Dr.,OU=People,DC=contoso,DC=example
changetype: add
objectClass: user
sAMAccountName: ann
userAccountControl: 514"""
        path.write_bytes(text.replace("\n", "\r\n").encode())
        loaded = load_ldif(lab.domain, path)
        assert [(account.name, account.user_class, password) for account, password in loaded] == [
            ("joe", "inetOrgPerson", "Secret-1"),
            ("ann", "user", None),
        ]
        joe = lab.domain.find("joe")
        assert joe.dn == "CN=joe,OU=Clerks,OU=People,DC=contoso,DC=example"
        assert (joe.display_name, joe.attribute("mail"), joe.upn) == (
            "Jöe Dö",
            ("joe@contoso.example",),
            "joe@contoso.example",
        )
        assert lab.domain.logon("joe", "Secret-1") == "ok"
        ann = lab.domain.find("ann")
        assert (ann.enabled, ann.nt_hash, ann.dn) == (False, b"", "CN=Ann\\, Dr.,OU=People,DC=contoso,DC=example")

    def test_nothing(self, lab):
        """An empty file has nobody."""
        assert load_ldif(lab.domain, "") == load_ldif(lab.domain, "version: 1\n") == []


GUID = "6dc12106-c110-4d1e-b811-13d0d6807314"
EXPORT = f"""\
# extended LDIF, as ldapsearch -LLL writes it of a real domain: in no order
dn: CN=All,CN=Groups,DC=contoso,DC=example
objectClass: top
objectClass: group
cn: All
member: CN=Ann,CN=Groups,DC=contoso,DC=example
member: CN=Administrator,CN=Users,DC=contoso,DC=example
member;range=0-1499: CN=Somebody,CN=Users,DC=elsewhere,DC=example
instanceType: 4
whenCreated: 20161122194211.0Z
uSNCreated: 3994
name: All
objectGUID: {GUID}
objectSid:: AQUAAAAAAAUVAAAA
sAMAccountName: All
sAMAccountType: 268435456
groupType: -2147483640
dSCorePropagationData: 16010101000000.0Z

dn: CN=Groups,DC=contoso,DC=example
objectClass: top
objectClass: container
objectGUID:: AAECAwQFBgcICQoLDA0ODw==

dn: CN=Ann,CN=Groups,DC=contoso,DC=example
objectClass: top
objectClass: person
objectClass: organizationalPerson
objectClass: user
cn: Ann
objectGUID:: AQECAwQFBgcICQoLDA0ODw==
memberOf: CN=All,CN=Groups,DC=contoso,DC=example
userAccountControl: 66048
badPwdCount: 3
pwdLastSet: 131282532000000000
lastLogon: 131282532000000001
accountExpires: 9223372036854775807
sAMAccountName: ann

dn: CN=Domain Admins,CN=Users,DC=contoso,DC=example
objectClass: top
objectClass: group
description: Designated administrators
member: CN=Ann,CN=Groups,DC=contoso,DC=example
sAMAccountName: Domain Admins

dn: DC=contoso,DC=example
objectClass: top
objectClass: domain
objectClass: domainDNS
minPwdLength: 12
"""


class TestExport:
    """Exports of a real domain."""

    def test_taken(self, lab):
        """Entries are as they were, GUIDs included, in whatever order the file has them; nothing is made up."""
        loaded = read_ldif(lab.domain, EXPORT)
        assert (loaded.entries, [(account.name, password) for account, password in loaded.accounts]) == (
            5,
            [("ann", None)],
        )
        ann = lab.domain.find("ann")
        assert ann.guid == UUID(bytes_le=bytes((1, *range(1, 16))))
        assert (ann.upn, ann.display_name, ann.flags) == ("", "", 66048)
        assert ann.entry.integer("pwdlastset") == 131282532000000000
        assert ann.attribute("badPwdCount") == (0,)
        assert set(ann.attribute("memberOf")) == {
            "CN=All,CN=Groups,DC=contoso,DC=example", "CN=Domain Admins,CN=Users,DC=contoso,DC=example",
        }  # fmt: skip
        group = lab.domain.controller().replica.by_name["all"]
        assert (group.guid, group.integer("grouptype")) == (UUID(GUID).bytes_le, -2147483640)
        assert len(group.all("member")) == 2
        assert lab.domain.policy.min_length == 12

    def test_system(self, lab):
        """What every domain has gets what the file says, beside what it had."""
        read_ldif(lab.domain, EXPORT)
        admins = lab.domain.controller().replica.by_rid[512]
        assert set(admins.all("member")) == {
            "CN=Administrator,CN=Users,DC=contoso,DC=example", "CN=Ann,CN=Groups,DC=contoso,DC=example",
        }  # fmt: skip
        assert admins.text("description") == "Designated administrators"

    def test_notes(self, lab):
        """What is passed over is told once, with its first line and how often."""
        notes = {note.text: (note.line, note.count) for note in read_ldif(lab.domain, EXPORT).notes}
        assert notes == {
            "member;range=0-1499: a part of the values only": (8, 1),
            "member is passed over where its object is not there": (8, 1),
            "instanceType is passed over: the system alone writes it": (9, 1),
            "whenCreated is passed over: the system alone writes it": (10, 1),
            "uSNCreated is passed over: the system alone writes it": (11, 1),
            "objectSid is passed over: the system alone writes it": (14, 1),
            "sAMAccountType is passed over: the system alone writes it": (16, 1),
            "dSCorePropagationData is passed over: the system alone writes it": (18, 1),
            "memberOf is passed over: the system alone writes it": (32, 1),
            "badPwdCount is passed over: the system alone writes it": (34, 1),
            "lastLogon is passed over: the system alone writes it": (36, 1),
        }

    def test_twice(self, lab):
        """The same file again is refused: its objects are there."""
        read_ldif(lab.domain, EXPORT)
        with pytest.raises(LdifError, match="exists already"):
            read_ldif(lab.domain, EXPORT)

    def test_guid_taken(self, lab):
        """A GUID is one object's, in the file, in the domain, and among what was deleted."""
        line = "objectGUID:: AQECAwQFBgcICQoLDA0ODw=="
        with pytest.raises(LdifError, match="taken by the entry of line 20"):
            read_ldif(lab.domain, EXPORT.replace("objectGUID:: AAEC", "objectGUID:: AQEC"))
        read_ldif(lab.domain, EXPORT)
        lab.domain.delete_user("ann")
        again = f"dn: CN=x,DC=contoso,DC=example\nobjectClass: contact\n{line}\n"
        with pytest.raises(LdifError, match="or once was"):
            read_ldif(lab.domain, again)

    def test_password(self, lab):
        """unicodePwd as ldifde imports it gives an exported account a password, of the age that the file says."""
        quoted = b64encode('"Añ-2016!x"'.encode("utf-16-le")).decode()
        text = EXPORT.replace("sAMAccountName: ann", f"sAMAccountName: ann\nunicodePwd:: {quoted}")
        ((account, password),) = read_ldif(lab.domain, text).accounts
        assert password == "Añ-2016!x"
        assert account.entry.integer("pwdlastset") == 131282532000000000
        assert lab.domain.logon("ann", password) == "ok"

    def test_lenient(self, lab):
        """Unknown attributes, unknown classes and what lies below them are passed over if the caller says so."""
        text = (
            "dn: CN=Sub,CN=Odd,DC=contoso,DC=example\nobjectClass: container\n\n"
            "dn: CN=Odd,DC=contoso,DC=example\nobjectClass: top\nobjectClass: oddThing\n\n"
            "dn: CN=c,DC=contoso,DC=example\nobjectClass: contact\noddity: 1\n"
        )
        loaded = read_ldif(lab.domain, text, lenient=True)
        assert [note.text for note in loaded.notes] == [
            "entries below what is passed over are passed over",
            "entries of class oddThing are passed over: the schema does not have it",
            "oddity is passed over: the schema does not have it",
        ]
        children = lab.domain.controller().replica.root.children or {}
        assert "cn=c" in children
        assert "cn=odd" not in children
        with pytest.raises(LdifError, match="no class"):
            read_ldif(Lab().domain, text)


class TestForm:
    """What a file may look like."""

    @pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-8"])
    @pytest.mark.parametrize("end", ["\n", "\r\n"])
    def test_encoding(self, lab, tmp_path, encoding, end):
        """UTF-8 with and without a mark, and what ldifde -u writes, with either end of lines."""
        path = tmp_path / "people.ldif"
        path.write_bytes((ENTRY + "displayName: Jöe 東\n").replace("\n", end).encode(encoding))
        ((joe, _),) = load_ldif(lab.domain, path)
        assert joe.display_name == "Jöe 東"

    def test_folded(self, lab):
        """A value of two million octets in folded lines is read in no time worth mentioning."""
        photo = b64encode(bytes(range(256)) * 8000).decode()
        folded = "\n ".join(photo[at : at + 75] for at in range(0, len(photo), 75))
        ((joe, _),) = load_ldif(lab.domain, f"{ENTRY}jpegPhoto:: {folded}\n")
        assert joe.attribute("jpegPhoto") == (bytes(range(256)) * 8000,)

    @pytest.mark.parametrize("fold", ["", "\n "])
    def test_too_large(self, lab, fold):
        """A value larger than any that reaches a domain controller is refused at its line."""
        text = fold.join(["x" * 1_000_000] * 15)
        with pytest.raises(LdifError, match="more than 10,485,760 octets") as caught:
            load_ldif(lab.domain, f"{ENTRY}info: {text}\n")
        assert caught.value.line == 9

    def test_half_written(self, lab):
        """A file that ends in the middle of its last record is refused wherever what is left makes no sense."""
        text = ENTRY + "\n" + EXPORT
        refused = 0
        for at in range(0, len(text), 40):
            fresh = Lab()
            before = fresh.domain.version
            try:
                read_ldif(fresh.domain, text[:at])
            except LdifError:
                refused += 1
                assert fresh.domain.version == before
        assert refused > 10

    def test_utf16_cut(self, lab):
        """Half a character of UTF-16 is an error of the file."""
        with pytest.raises(LdifError, match="begins as UTF-16"):
            read_ldif(lab.domain, ENTRY.encode("utf-16")[:-1])


class TestErrors:
    """Bad files."""

    @pytest.mark.parametrize(
        ("text", "line", "reason"),
        [
            (ENTRY + "nonsense: x\n", 9, "no attribute 'nonsense'"),
            (ENTRY + "userPassword: {SSHA}abcdef\n", 9, "hashed"),
            (ENTRY + "userPassword: a\nuserPassword: b\n", 10, "one value"),
            (ENTRY + "mail:: %%%\n", 9, "base64"),
            (ENTRY + "mail:< file:///etc/passwd\n", 9, "URL"),
            (ENTRY + "mail a@b\n", 9, "attribute: value"),
            (ENTRY + "unicodePwd: x\n", 9, "in quotation marks"),
            (ENTRY + "unicodePwd:: IgBh\n", 9, "in quotation marks"),
            (ENTRY + "dBCSPwd: x\n", 9, "can't be given"),
            (ENTRY + "objectGUID: x\n", 9, "16 octets"),
            (ENTRY + "description: a\ndescription: a\n", 10, "this value already"),
            (ENTRY + "-\n", 9, "attribute: value"),
            (ENTRY + " \n\n x\n", 11, "there is none"),
            (" x\n" + ENTRY, 1, "there is none"),
            ("version: 2\n" + ENTRY, 1, "version '2'"),
            (ENTRY + "\nversion: 1\n", 10, "begins with dn:"),
            ("changetype: add\n" + ENTRY, 1, "begins with dn:"),
            (
                ENTRY + "userPrincipalName: b@x\n\n" + ENTRY.replace("joe", "bob") + "userPrincipalName: B@x\n",
                11,
                "the principal name 'B@x' is taken by the entry of line 1",
            ),
            ("dn: cn=x,dc=contoso,dc=example\nchangetype: replace\n", 2, "are known"),
            ("dn: cn=x,dc=contoso,dc=example\nchangetype: add\nchangetype: add\n", 3, "once"),
            ("dn:: 4pi\n", 1, "base64"),
            ("dn:: //79\n", 1, "UTF-8"),
            ("dn: cn=x,cn=y,dc=contoso,dc=example\nobjectClass: contact\n", 1, "does not exist"),
            ("dn: cn=Users,dc=contoso,dc=example\nobjectClass: contact\n", 1, "exists already, as container"),
            ("dn: cn=y,dc=contoso,dc=example\nobjectClass: builtinDomain\n", 1, "is the system's"),
            ("dn: dc=contoso,dc=example\nobjectClass: domainDNS\nmaxPwdAge: 7\n", 1, "policy: a duration"),
            ("dn: cn=x,dc=contoso,dc=example\nobjectClass: group\nmember: x\n", 3, "distinguished name"),
            (ENTRY + "mail: a\nmail: b\n", 10, "one value"),
            (ENTRY + "c: Germany\n", 9, "longer than 3"),
            (ENTRY + "changetype: modify\n", 9, "right after dn:"),
            (ENTRY + "dn: cn=x\n", 9, "empty line"),
            (ENTRY + "\n" + ENTRY, 10, "taken by the entry of line 1"),
            (ENTRY.replace("dc=contoso", "dc=else"), 1, "not below DC=contoso,DC=example"),
            (ENTRY.replace("uid=joe,ou=Clerks", "cn=a,cn=b"), 1, "below 'cn=b,ou=People', which does not exist"),
            (ENTRY.replace("uid=joe", "ou=joe"), 1, "is not named OU="),
            (ENTRY.replace("dn: uid=joe", "dn: uid"), 1, "relative distinguished name"),
            (ENTRY.replace("inetOrgPerson", "device"), 2, "no class"),
            ("dn: cn=x,dc=contoso,dc=example\ncn: x\n", 1, "objectClass is missing"),
            ("cn: x\n", 1, "begins with dn:"),
        ],
    )
    def test_position(self, lab, text, line, reason):
        """An error names file, line and reason, and nothing is loaded."""
        before = lab.domain.version
        with pytest.raises(LdifError, match=reason.replace(".", "\\.")) as caught:
            load_ldif(lab.domain, text, file="people.ldif")
        assert (caught.value.file, caught.value.line) == ("people.ldif", line)
        assert lab.domain.version == before

    def test_nothing_half_loaded(self, lab):
        """An error in the last entry keeps the first one out."""
        with pytest.raises(LdifError):
            load_ldif(lab.domain, ENTRY + "\ndn: cn=y,dc=contoso,dc=example\nobjectClass: nothing\n")
        assert "joe" not in {account.name for account in lab.domain.accounts()}

    def test_name_of_another(self, lab):
        """A name that the domain knows already is an error of the file."""
        lab.user("joe")
        with pytest.raises(LdifError, match="'joe' exists"):
            load_ldif(lab.domain, ENTRY)

    def test_not_utf8(self, lab, tmp_path):
        """What is not UTF-8 is an error at its line."""
        path = tmp_path / "people.ldif"
        path.write_bytes(ENTRY.encode() + b"description: \xff\xfe\n")
        with pytest.raises(LdifError, match="UTF-8"):
            load_ldif(lab.domain, path)

    @settings(max_examples=60, deadline=None)
    @given(st.text(max_size=60), st.integers(0, len(ENTRY)))
    def test_garbled(self, noise, at):
        """A file with noise in it loads or is refused with a line."""
        domain = Lab().domain
        try:
            load_ldif(domain, ENTRY[:at] + noise + ENTRY[at:])
        except LdifError as problem:
            assert 0 < problem.line < 80  # noqa: PT017
