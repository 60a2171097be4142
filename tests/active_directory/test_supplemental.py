"""supplementalCredentials: keys and digests against vectors and another directory's values, and who sees it."""

from __future__ import annotations

import hashlib
import json
import struct
from datetime import timedelta
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pwsync.errors import ReplicationError
from pwsync.replication.client import ReplicationClient
from pwsync.replication.envelope import decrypt
from simulator.active_directory import supplemental
from simulator.active_directory.replication import ReplicationServer
from simulator.active_directory.supplemental import Domain, Kept, keep, kept, value

from .conftest import PASSWORD

VECTORS = json.loads((Path(__file__).parent / "vectors" / "supplemental.json").read_text("utf-8"))
DOMAIN = Domain(VECTORS["realm"], VECTORS["netbios"])
ROOT = "DC=contoso,DC=example"
TEXTS = st.text(max_size=40) | st.text(st.characters(categories=["Cs", "Ll"]), max_size=9)


def stored(row):
    """What an account of the vectors keeps, whose passwords are listed the newest first."""
    found = b""
    for password in reversed(row["passwords"]):
        found = keep(password, row["name"], row["upn"], DOMAIN.dns, computer=row["computer"], before=found)
    return found


def properties(octets):
    """A value's properties by name, read on their own."""
    assert octets[4:8] == struct.pack("<I", len(octets) - 13)
    signature, count = struct.unpack_from("<HH", octets, 108)
    assert signature == 0x50
    at, found = 112, {}
    for _ in range(count):
        name_size, size, _ = struct.unpack_from("<HHH", octets, at)
        at += 6
        name = octets[at : at + name_size].decode("utf-16-le")
        found[name] = bytes.fromhex(octets[at + name_size : at + name_size + size].decode())
        at += name_size + size
    assert octets[at:] == b"\0"
    return found


def keys(octets):
    """All keys of a Primary:Kerberos-Newer-Keys property by the age of their password: [{type: key}, ..]."""
    _, _, *counts = struct.unpack_from("<HHHHHH", octets, 0)
    at, found = 24, []
    for count in counts:
        found.append({})
        for _ in range(count):
            kind, size, offset = struct.unpack_from("<III", octets, at + 12)
            found[-1][kind] = octets[offset : offset + size]
            at += 24
    return found


class TestKeys:
    """Kerberos keys from passwords."""

    @pytest.mark.parametrize("row", VECTORS["des"], ids=lambda row: row["salt"])
    def test_des(self, row):
        """RFC 3961: text and salt folded fan by fan; parity and weak keys are corrected."""
        assert supplemental.des_key(row["password"].encode(), row["salt"].encode()).hex() == row["key"]

    @pytest.mark.parametrize("row", VECTORS["aes"], ids=lambda row: str(row["iterations"]))
    def test_aes(self, row):
        """RFC 3962: PBKDF2 with SHA-1, and the key derived from it."""
        strong, weak = supplemental.aes_keys(b"password", b"ATHENA.MIT.EDUraeburn", row["iterations"])
        assert (strong.hex(), weak.hex()) == (row["aes256"], row["aes128"])

    def test_account(self):
        """An account's salt is the realm in capitals and its name as it is written."""
        row = VECTORS["account"]
        salt = supplemental.salt_of(Kept(row["name"], "", row["password"]), Domain(row["realm"], ""))
        found = supplemental.kerberos_keys(row["password"], salt)
        assert (found[18].hex(), found[17].hex()) == (row["aes256"], row["aes128"])

    def test_empty(self):
        """An empty password has keys too."""
        assert len(supplemental.des_key(b"", b"")) == 8
        assert len(supplemental.kerberos_keys("", "")[18]) == 32


class TestValue:
    """The attribute's value."""

    @pytest.mark.parametrize("row", VECTORS["values"], ids=lambda row: f"{row['name']}-{len(row['passwords'])}")
    def test_as_another_directory_writes_it(self, row):
        """Byte for byte what another directory keeps for the same account, but for its invented DES keys."""
        mine, theirs = value(stored(row), DOMAIN), bytes.fromhex(row["value"])
        assert len(mine) == len(theirs)
        invented = set()
        for each in kept(stored(row)):
            key = supplemental.kerberos_keys(each.password, supplemental.salt_of(each, DOMAIN))[3]
            digits, at = key.hex().upper().encode(), -1
            while (at := mine.find(digits, at + 1)) >= 0:
                invented.update(range(at, at + 16))
        differing = {at for at, (one, other) in enumerate(zip(mine, theirs, strict=True)) if one != other}
        if all(password.isascii() for password in row["passwords"]):
            assert differing <= invented
        else:
            digests = mine.index("Primary:WDigest".encode("utf-16-le"))
            assert {at for at in differing if at < digests} <= invented
            assert mine[digests : digests + 60] == theirs[digests : digests + 60]

    def test_digests(self):
        """29 hashes of name, realm and password, in ISO 8859-1 where it has the letters."""
        octets = properties(value(keep("Grüße", "bob", "Robert@else.example", DOMAIN.dns), DOMAIN))["Primary:WDigest"]
        assert (octets[:4], octets[4:16], len(octets)) == (b"\x31\0\x01\x1d", bytes(12), 16 + 29 * 16)
        hashes = [octets[at : at + 16] for at in range(16, len(octets), 16)]
        for number, text in (
            (1, "bob:CONTOSO:Grüße"),
            (7, "bob:CONTOSO:Grüße"),
            (10, "BOB:CONTOSO.EXAMPLE:Grüße"),
            (15, "Robert@else.example::Grüße"),
            (19, "contoso\\bob::Grüße"),
            (23, "BOB:Digest:Grüße"),
            (26, "ROBERT@ELSE.EXAMPLE:Digest:Grüße"),
            (29, "CONTOSO\\BOB:Digest:Grüße"),
        ):
            assert hashes[number - 1] == hashlib.md5(text.encode("latin-1")).digest()

    def test_nothing_kept(self):
        """Without a password there is no value."""
        assert value(b"", DOMAIN) == b""

    @settings(max_examples=25, deadline=None)
    @given(st.lists(st.tuples(TEXTS, TEXTS, TEXTS, st.booleans()), min_size=1, max_size=5))
    def test_any_text(self, sets):
        """Whatever names and passwords there are, three are kept, the newest first, and the value has their keys."""
        found = b""
        for password, name, upn, computer in sets:
            found = keep(password, name, upn, DOMAIN.dns, computer=computer, before=found)
        newest = sets[:-4:-1]
        assert [each.password for each in kept(found)] == [each[0] for each in newest]
        parts = properties(value(found, DOMAIN))
        assert list(parts) == ["Primary:Kerberos-Newer-Keys", "Primary:Kerberos", "Packages", "Primary:WDigest"]
        by_age = [each for each in keys(parts["Primary:Kerberos-Newer-Keys"]) if each]
        salts = [supplemental.salt_of(each, DOMAIN) for each in kept(found)]
        assert by_age == [supplemental.kerberos_keys(each[0], salt) for each, salt in zip(newest, salts, strict=True)]

    def test_long_password(self):
        """A password may be longer than any length field of two bytes."""
        assert kept(keep("x" * 70_000, "a", "", "d"))[0].password == "x" * 70_000


class TestInDirectory:
    """What the directory keeps, and who gets it."""

    def read(self, lab, name="alice"):
        """The attribute as replication brings it, opened."""
        client = ReplicationClient(ReplicationServer(lab.domain.controller()), Random(1), lab.clock)
        client.bind("contoso.example", *lab.domain.connector_account())
        page = client.object(lab.domain.find(name).guid, ROOT, ["supplementalCredentials"])
        attribute = page.objects[0].attributes["supplementalCredentials"]
        return decrypt(attribute.values[0], client.session_keys, None) if attribute.values else b""

    def test_replicated(self, lab):
        """A replication client opens the whole value, without a RID layer; the keys of old passwords are in it."""
        lab.user()
        first = keys(properties(self.read(lab))["Primary:Kerberos-Newer-Keys"])
        assert first[0] == supplemental.kerberos_keys(PASSWORD, "CONTOSO.EXAMPLEalice")
        lab.domain.change_password("alice", PASSWORD, "Spring-2017!")
        lab.domain.reset_password("alice", "Summer-2017!")
        later = keys(properties(self.read(lab))["Primary:Kerberos-Newer-Keys"])
        assert later[0] == supplemental.kerberos_keys("Summer-2017!", "CONTOSO.EXAMPLEalice")
        assert later[2] == supplemental.kerberos_keys("Spring-2017!", "CONTOSO.EXAMPLEalice")
        assert later[3] == first[0]

    def test_rename(self, lab):
        """A renamed account keeps its old salt until its next password."""
        lab.user()
        lab.domain.set_user("alice", attributes={"sAMAccountName": "alicia"})
        entry = lab.domain.find("alicia").entry
        assert [each.name for each in kept(entry.octets("supplementalcredentials"))] == ["alice"]
        lab.domain.reset_password("alicia", "Spring-2017!")
        assert [each.name for each in kept(entry.octets("supplementalcredentials"))] == ["alicia", "alice"]

    def test_every_way_of_setting(self, lab):
        """By LDAP as by the world, on creation as later, for the built-in accounts too."""
        admin = lab.administrator()
        dn = f"CN=bob,CN=Users,{ROOT}"
        quoted = [f'"{PASSWORD}"'.encode("utf-16-le")]
        assert admin.add(dn, "user", {"sAMAccountName": "bob", "unicodePwd": quoted, "userAccountControl": "512"})
        assert kept(lab.domain.find("bob").entry.octets("supplementalcredentials"))[0][::2] == ("bob", PASSWORD)
        assert admin.modify(dn, {"unicodePwd": [("MODIFY_REPLACE", ['"Spring-2017!"'.encode("utf-16-le")])]})
        assert len(kept(lab.domain.find("bob").entry.octets("supplementalcredentials"))) == 2
        connector = lab.domain.connector_account()
        assert self.read(lab, connector[0])
        lab.domain.set_connector_password("Other-Secret-17!")
        assert kept(lab.domain.find(connector[0]).entry.octets("supplementalcredentials"))[0].password.startswith("Oth")

    def test_smart_card(self, lab):
        """A password that nobody knows leaves a value without properties, until the next one is set."""
        lab.user()
        lab.domain.set_user("alice", smartcard_required=True)
        assert self.read(lab) == struct.pack("<IIHH", 0, 98, 0, 0) + b" \0" * 48 + b"P\0\0"
        lab.domain.reset_password("alice", "Spring-2017!")
        (only,) = kept(lab.domain.find("alice").entry.octets("supplementalcredentials"))
        assert only.password == "Spring-2017!"

    def test_never_by_ldap(self, lab):
        """Nobody reads it by LDAP, by name or by filter, and a DirSync names it without values."""
        dn = lab.user()
        for connection in (lab.administrator(), lab.connector()):
            connection.search(dn, "(objectClass=*)", attributes=["supplementalCredentials", "*"])
            assert PASSWORD.encode() not in repr(connection.response).encode()
            assert "supplementalCredentials" not in connection.response[0]["attributes"]
            connection.search(ROOT, "(supplementalCredentials=*)")
            assert not [each for each in connection.response if each["type"] == "searchResEntry"]

    def test_only_encrypted(self, lab):
        """What replication brings holds no password in clear, in no message of it."""
        lab.user()
        server = ReplicationServer(lab.domain.controller())
        seen = []

        class Tap:
            def call(self, operation, message):
                answer = server.call(operation, message)
                seen.append(repr((operation, message, answer)))
                return answer

        client = ReplicationClient(Tap(), Random(1), lab.clock)
        client.bind("contoso.example", *lab.domain.connector_account())
        client.changes(None, ROOT, ["supplementalCredentials", "unicodePwd"])
        nt = lab.domain.find("alice").nt_hash
        for text in (PASSWORD, PASSWORD.encode().hex(), repr(nt)[2:-1], nt.hex()):
            assert not [each for each in seen if text in each]

    def test_needs_both_rights(self, lab):
        """It is a secret: Get-Changes alone does not bring it."""
        client = ReplicationClient(ReplicationServer(lab.domain.controller()), Random(1), lab.clock)
        client.bind("contoso.example", *lab.domain.connector_account())
        lab.domain.revoke("replicate-changes-all")
        with pytest.raises(ReplicationError) as caught:
            client.changes(None, ROOT, ["supplementalCredentials"])
        assert caught.value.code == 8453

    def test_travels_between_controllers(self, lab):
        """Every controller makes the same value of it."""
        domain = lab.forest.add_domain("fabrikam.example", None, ("dc1", "dc2"), timedelta(minutes=1))
        domain.create_user("bob", PASSWORD, on="dc1")
        domain.replicate()
        held = {domain.find("bob", on=on).entry.octets("supplementalcredentials") for on in ("dc1", "dc2")}
        assert len(held) == 1
        assert kept(held.pop())[0].password == PASSWORD
