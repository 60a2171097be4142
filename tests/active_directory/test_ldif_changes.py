"""LDIF of change records: each kind applied in order, and nothing of a file in which one is refused."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.active_directory.ldif import LdifError, read_ldif

from .conftest import PASSWORD, Lab

PEOPLE = "OU=People,DC=contoso,DC=example"
NEW_PASSWORD = base64.b64encode('"Spring-2017!"'.encode("utf-16-le")).decode()
CHANGES = f"""\
version: 1

dn: OU=New,DC=contoso,DC=example
changetype: add
objectClass: organizationalUnit

# A comment between.
dn: CN=carl,OU=New,DC=contoso,DC=example
changetype: add
objectClass: user
sAMAccountName: carl
unicodePwd:: {NEW_PASSWORD}

dn: CN=ann,{PEOPLE}
changetype: modify
replace: otherTelephone
otherTelephone: one
otherTelephone: two
-
add: mail
mail: ann@contoso.example
-
delete: displayName
-
replace: unicodePwd
unicodePwd:: {NEW_PASSWORD}
-

dn: CN=bob,{PEOPLE}
changetype: modrdn
newrdn: CN=robert
deleteoldrdn: 1
newsuperior: OU=New,DC=contoso,DC=example

dn: CN=carl,OU=New,DC=contoso,DC=example
changetype: delete
"""


@pytest.fixture
def people(lab: Lab) -> Lab:
    """A lab with ann and bob."""
    lab.user("ann")
    lab.user("bob")
    return lab


class TestApplied:
    """Good files."""

    def test_all(self, people):
        """Additions, modifications, renames and deletions take effect in order."""
        before = people.domain.version
        loaded = read_ldif(people.domain, CHANGES)
        assert loaded.entries == 5
        ann = people.domain.find("ann")
        assert (ann.attribute("otherTelephone"), ann.attribute("mail")) == (("one", "two"), ("ann@contoso.example",))
        assert ann.display_name == ""
        assert people.domain.logon("ann", "Spring-2017!") == "ok"
        assert people.domain.find("bob").dn == "CN=robert,OU=New,DC=contoso,DC=example"
        assert people.domain.version > before
        assert "carl" not in {account.name for account in people.domain.accounts()}

    def test_last_hyphen(self, people):
        """The hyphen after the last part may be missing, and moddn is modrdn."""
        read_ldif(
            people.domain,
            f"dn: CN=ann,{PEOPLE}\nchangetype: modify\nreplace: info\ninfo: x\n\n"
            f"dn: CN=bob,{PEOPLE}\nchangetype: MODDN\nnewrdn: CN=rob\ndeleteoldrdn: 1\n",
        )
        assert people.domain.find("ann").attribute("info") == ("x",)
        assert people.domain.find("bob").dn == f"CN=rob,{PEOPLE}"

    def test_tree_delete(self, people):
        """The tree-delete control takes a container with what is in it; another control is passed over with a note."""
        loaded = read_ldif(
            people.domain,
            f"dn: {PEOPLE}\ncontrol: 1.2.840.113556.1.4.805 true\ncontrol: 1.2.3: x\nchangetype: delete\n",
        )
        assert [note.text for note in loaded.notes] == ["the control 1.2.3 is passed over"]
        assert {account.name for account in people.domain.accounts()}.isdisjoint({"ann", "bob"})

    def test_only_additions(self, lab):
        """A file that only adds is no list of changes: it is loaded as any other, without a policy for passwords."""
        (found,) = read_ldif(
            lab.domain, f"dn: CN=x,{PEOPLE}\nchangetype: add\nobjectClass: user\nuserPassword: x\n"
        ).accounts
        assert (found[0].name, found[1]) == ("x", "x")


class TestRefused:
    """Bad files."""

    @pytest.mark.parametrize(
        ("text", "line", "reason"),
        [
            (f"dn: CN=nobody,{PEOPLE}\nchangetype: delete\n", 1, "delete is refused: 32"),
            (f"dn: CN=ann,{PEOPLE}\nchangetype: delete\nmail: x\n", 3, "no further lines"),
            (f"dn: {PEOPLE}\nchangetype: delete\n", 1, "delete is refused: 66"),
            (f"dn: CN=ann,{PEOPLE}\nchangetype: modify\n", 1, "without a change"),
            (f"dn: CN=ann,{PEOPLE}\nchangetype: modify\nmail: x\n", 3, '"replace:" begins'),
            (f"dn: CN=ann,{PEOPLE}\nchangetype: modify\nincrement: x\n", 3, '"replace:" begins'),
            (f"dn: CN=ann,{PEOPLE}\nchangetype: modify\nreplace: mail\ninfo: x\n", 4, "belongs here, not info"),
            (f"dn: CN=ann,{PEOPLE}\nchangetype: modify\nadd: c\nc: Germany\n-\n", 1, "modify is refused: 19"),
            (f"dn: CN=ann,{PEOPLE}\nchangetype: modify\nadd: nonsense\nnonsense: x\n-\n", 1, "modify is refused: 16"),
            (f"dn: CN=ann,{PEOPLE}\nchangetype: modrdn\ndeleteoldrdn: 1\n", 1, "newrdn is missing"),
            (f"dn: CN=ann,{PEOPLE}\nchangetype: modrdn\nnewrdn: CN=x\n", 1, "deleteoldrdn: 1"),
            (f"dn: CN=ann,{PEOPLE}\nchangetype: modrdn\nnewrdn: CN=x\ndeleteoldrdn: 0\n", 4, "deleteoldrdn: 1"),
            (f"dn: CN=ann,{PEOPLE}\nchangetype: modrdn\nnewrdn: CN=x\nmail: x\n", 4, "make up a modrdn"),
            (f"dn: CN=ann,{PEOPLE}\nchangetype: modrdn\nnewrdn: CN=bob\ndeleteoldrdn: 1\n", 1, "refused: 68"),
            (f"dn: CN=ann,{PEOPLE}\ncontrol: 1.2.3 true\nchangetype: delete\n", 2, "critical and not known"),
            (f"dn: CN=ann,{PEOPLE}\ncontrol:\nchangetype: delete\n", 2, "names no control"),
            (f"dn: CN=ann,{PEOPLE}\ncontrol: 1.2.840.113556.1.4.805 true\nchangetype: modify\nadd: mail\nmail: x\n", 2,
             "is for changetype: delete"),
            (f"dn: CN=x,{PEOPLE}\nobjectClass: user\n\ndn: CN=ann,{PEOPLE}\nchangetype: delete\n", 1, "not both"),
            (f"dn: CN=ann,{PEOPLE}\nchangetype: modify\nreplace: unicodePwd\nunicodePwd:: IgBhACIA\n", 1,
             "is refused: 19 0000052D"),
        ],
    )  # fmt: skip
    def test_position(self, people, text, line, reason):
        """An error names the line and the directory's own result, and nothing of the file is applied."""
        good = f"dn: CN=bob,{PEOPLE}\nchangetype: modify\nreplace: info\ninfo: x\n-\n\n"
        for begin in ("", good):
            before = people.forest.snapshot()
            with pytest.raises(LdifError, match=reason) as caught:
                read_ldif(people.domain, begin + text)
            assert caught.value.line == line + begin.count("\n")
            assert people.forest.snapshot() == before

    @settings(max_examples=60, deadline=None)
    @given(st.text(max_size=30), st.integers(0, len(CHANGES)))
    def test_garbled(self, noise, at):
        """A file with noise in it is applied, or refused with a line and without any effect."""
        lab = Lab()
        lab.user("ann", password=PASSWORD)
        lab.user("bob")
        before = lab.forest.snapshot()
        try:
            read_ldif(lab.domain, CHANGES[:at] + noise + CHANGES[at:])
        except LdifError as problem:
            assert problem.line > 0  # noqa: PT017
            assert lab.forest.snapshot() == before
