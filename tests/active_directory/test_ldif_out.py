"""Writing LDIF: what stands in it, what never does, and that reading it makes the same directory again."""

from __future__ import annotations

import base64
import re
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ldap3.protocol.rfc2849 import operation_to_ldif

from simulator.active_directory.ldif import read_ldif
from simulator.active_directory.ldif_out import COLUMNS, export_ldif
from simulator.active_directory.ldif_text import records
from simulator.active_directory.population import populate
from simulator.active_directory.schema import CLASSES, Value

from .conftest import PASSWORD, Lab


def text_of(lab: Lab, **options: Any) -> str:
    return "".join(export_ldif(lab.domain, **options))


def loaded(text: str) -> Lab:
    """A fresh domain with what a file says."""
    lab = Lab()
    read_ldif(lab.domain, text)
    return lab


def dns(text: str) -> list[str]:
    return [record.dn for record in records(text.encode(), "out")]


class TestText:
    """The form."""

    def test_entry(self, lab):
        """An entry has its class, name, GUID and everything that can be set, others by name."""
        lab.user("ann", display_name="Ann Óg", attributes={"description": " begins with a space", "mail": "a" * 90})
        guid = base64.b64encode(lab.domain.find("ann").anchor).decode()
        (entry,) = re.findall(r"^dn: CN=ann,.*?\n\n", text_of(lab), re.DOTALL | re.MULTILINE)
        assert (
            entry
            == f"""\
dn: CN=ann,OU=People,DC=contoso,DC=example
objectClass: top
objectClass: person
objectClass: organizationalPerson
objectClass: user
cn: ann
objectGUID:: {guid}
accountExpires: 9223372036854775807
codePage: 0
countryCode: 0
description:: IGJlZ2lucyB3aXRoIGEgc3BhY2U=
displayName:: QW5uIMOTZw==
mail: {"a" * 70}
 {"a" * 20}
primaryGroupID: 513
pwdLastSet: 131287716000000000
sAMAccountName: ann
userAccountControl: 512
userPrincipalName: ann@contoso.example

"""
        )

    def test_lines(self, lab):
        """Every line is ASCII of at most 76 columns."""
        populate(lab.domain, 60, seed=1, profile="company")
        lab.user("ann", attributes={"info": "x" * 500, "description": "é" * 500})
        text = text_of(lab, operational=True)
        assert text.isascii()
        assert max(len(line) for line in text.split("\n")) == COLUMNS

    def test_parents_first(self, lab):
        """Whatever the order in which things were made, parents come first and siblings by name."""
        for ou in ("OU=b,OU=z", "OU=c,OU=a", "OU=a,OU=z"):
            lab.user(f"user{ou[3]}", ou=ou)
        lab.domain.move_user("userb", "OU=0")
        found = dns(text_of(lab))
        seen: set[str] = set()
        for dn in found:
            parent = dn.partition(",")[2]
            assert parent in seen or dn == "DC=contoso,DC=example"
            seen.add(dn)
        units = [dn for dn in found if dn.startswith("OU=")]
        assert units == [
            f"{unit},DC=contoso,DC=example"
            for unit in ("OU=0", "OU=a", "OU=c,OU=a", "OU=Domain Controllers", "OU=z", "OU=a,OU=z", "OU=b,OU=z")
        ]

    def test_part(self, lab):
        """A base and a filter choose; a wrong one is refused before anything is written."""
        lab.user("ann", ou="OU=x")
        lab.user("bob", ou="OU=y", user_class="inetOrgPerson")
        assert dns(text_of(lab, base="ou=X,dc=contoso,dc=example")) == [
            "OU=x,DC=contoso,DC=example", "CN=ann,OU=x,DC=contoso,DC=example",
        ]  # fmt: skip
        assert dns(text_of(lab, matching="(objectClass=inetOrgPerson)")) == ["CN=bob,OU=y,DC=contoso,DC=example"]
        for wrong in ({"base": "OU=nowhere"}, {"base": "x"}, {"matching": "("}, {"matching": ""}):
            with pytest.raises(ValueError, match=r"no filter|is not in|relative"):
                export_ldif(lab.domain, **wrong)

    def test_told(self, lab):
        """Whoever wants to know is told how many entries were written."""
        told: list[int] = []
        text = text_of(lab, told=told.append)
        assert told == list(range(1, len(dns(text)) + 1))

    def test_deleted(self, lab):
        """Tombstones, and the container they lie in, are not written."""
        lab.user("ann")
        lab.domain.delete_user("ann")
        assert "ann" not in text_of(lab)
        assert "Deleted Objects" not in text_of(lab)

    @settings(max_examples=100, deadline=None)
    @given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200))
    @example(" x")
    @example("x ")
    @example(":x")
    @example("<x")
    @example("x\0")
    @example("x\ry")
    @example("\x7f")
    def test_as_another_program(self, value):
        """ldap3's writer of LDIF makes the same of a value."""
        lab = Lab()
        lab.user("ann", attributes={"description": value})
        text = text_of(lab, matching="(cn=ann)")
        entry = {"type": "searchResEntry", "dn": "x", "raw_attributes": {"description": [value.encode()]}}
        theirs = "\n".join(operation_to_ldif("searchResponse", [entry])).replace("\n ", "").split("\n")[1]
        ours = [line for line in text.replace("\n ", "").split("\n") if line.startswith("description:")]
        assert ours == [theirs]


class TestSecrets:
    """What never leaves the directory this way."""

    def test_none(self, lab):
        """No password, no hash and nothing made of one is written, as text, hexadecimal or base64."""
        connection, dn = lab.administrator(), lab.user("ann")
        assert connection.modify(dn, {"userPassword": [("MODIFY_REPLACE", [PASSWORD])]})
        entry = lab.domain.find("ann").entry
        text = text_of(lab, operational=True).replace("\n ", "")
        kept = [value for key, value in entry.values.items() if key in ("unicodepwd", "supplementalcredentials")]
        for secret in (PASSWORD.encode(), *(each for each in kept if isinstance(each, bytes) and each)):
            for form in (secret.decode("latin-1"), secret.hex(), base64.b64encode(secret).decode()):
                assert form not in text
        for name in ("unicodePwd", "PwdHistory", "dBCSPwd", "supplementalCredentials", "userPassword"):
            assert name not in text


VALUES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
NAMES = VALUES.filter(lambda name: name.strip(" ") != "" and "\nDEL:" not in name)
PERSON = st.fixed_dictionaries(
    {"name": NAMES, "kind": st.sampled_from(["user", "inetOrgPerson", "computer"]), "unit": st.integers(0, 3)},
    optional={
        "values": st.dictionaries(st.sampled_from(["displayname", "mail", "info", "givenname"]), VALUES),
        "description": st.lists(VALUES, min_size=2, max_size=3, unique=True),
        "photo": st.binary(min_size=1, max_size=100),
        "flags": st.sampled_from([512, 514, 66048]),
        "expires": st.integers(-(1 << 63), (1 << 63) - 1),
    },
)


class TestRound:
    """Out, in, and out again."""

    @settings(max_examples=60, deadline=None)
    @given(st.lists(PERSON, max_size=5), st.lists(NAMES, max_size=3), st.data())
    def test_any(self, people, units, data):
        """Whatever a directory holds that can be set, a fresh one that reads its text writes the same text."""
        lab = Lab()
        controller = lab.domain.controller()
        root = controller.replica.root
        homes = [root]
        for name in units:
            above = homes[data.draw(st.integers(0, len(homes) - 1))]
            if f"ou={name.casefold()}" not in (above.children or {}):
                homes.append(controller.create(above, name, CLASSES["organizationalunit"], {}))
        made = []
        for number, person in enumerate(people):
            values: dict[str, Value] = {"samaccountname": f"p{number}", "useraccountcontrol": person.get("flags", 512)}
            values |= person.get("values", {})
            if "description" in person:
                values["description"] = tuple(person["description"])
            if "photo" in person:
                values["thumbnailphoto"] = person["photo"]
            if "expires" in person:
                values["accountexpires"] = person["expires"]
            home = homes[person["unit"] % len(homes)]
            if f"cn={person['name'].casefold()}" not in (home.children or {}):
                rid = controller.take_rid()
                kind = CLASSES[person["kind"].lower()]
                made.append(controller.create(home, person["name"], kind, values | {"pwdlastset": 0}, rid=rid))
        members = tuple(each.guid for each in made if data.draw(st.booleans()))
        group: dict[str, Value] = {"samaccountname": "g"}
        if members:
            group["member"] = members
        controller.create(root, "0 group", CLASSES["group"], group, rid=controller.take_rid())
        text = text_of(lab)
        assert text_of(loaded(text)) == text

    def test_company(self, lab):
        """A company with groups in groups, managers and machines comes back, GUIDs included; so does the policy."""
        populate(lab.domain, 150, seed=1, profile="company")
        lab.domain.set_policy(min_length=11, complexity=False)
        text = text_of(lab)
        other = loaded(text)
        assert text_of(other) == text
        assert other.domain.policy == lab.domain.policy
        assert {each.guid for each in lab.domain.accounts()} == {each.guid for each in other.domain.accounts()}

    def test_operational(self, lab):
        """What the system keeps is written if asked for, and passed over with a note when read."""
        lab.user("ann")
        text = text_of(lab, operational=True)
        assert "whenCreated: 20170113090000.0Z" in text
        assert "memberOf: CN=Domain Admins" in text
        other = Lab()
        notes = {note.text.partition(" ")[0] for note in read_ldif(other.domain, text).notes}
        assert {"whenCreated", "uSNChanged", "memberOf", "objectSid", "instanceType"} <= notes
        assert text_of(other) == text_of(lab)

    def test_other_domain(self, lab):
        """A part of a directory goes into a domain that has others in it already."""
        populate(lab.domain, 40, seed=1, profile="company")
        other = Lab(seed=2)
        other.user("ann")
        read_ldif(other.domain, text_of(lab, base="OU=People,DC=contoso,DC=example"))
        mine, theirs = (dns(text_of(each, base="OU=People,DC=contoso,DC=example")) for each in (lab, other))
        assert [dn for dn in theirs if dn != "CN=ann,OU=People,DC=contoso,DC=example"] == mine
