"""Loading LDIF: what is read, and where a bad file is bad."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.active_directory.ldif import LdifError, load_ldif

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
            (ENTRY.replace("uid=joe,ou=Clerks", "cn=a,cn=b"), 1, "'cn=b,ou=People', which does not exist"),
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
