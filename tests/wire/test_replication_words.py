"""Replication, field by field: whole messages of a sign-on, and the exact words of what is refused."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from datetime import UTC, datetime
from random import Random
from typing import Any
from uuid import UUID

import pytest

from pwsync.credential import nt_hash
from pwsync.errors import EnvelopeError, FipsError, ReplicationError
from pwsync.replication import json_messages, ntlm, supplemental
from pwsync.replication.client import ReplicatedAttribute, ReplicatedObject, ReplicationClient
from pwsync.replication.envelope import Md5, decrypt, encrypt

NOW = datetime(2017, 1, 13, 9, tzinfo=UTC)
FILETIME = 131_287_716_000_000_000
GUID = UUID("5b2f2e0a-4f0e-4a57-9c2e-d0f0a3f1c001")
SID = bytes.fromhex("010500000000000515000000010000000200000003000000") + (1104).to_bytes(4, "little")
NC = "DC=contoso,DC=example"
CHALLENGE = b"\x01" * 8


class Controller:
    """Answers each operation with what ``answers`` has for it, and keeps every message."""

    def __init__(self, **answers: Any) -> None:
        self.calls: list[tuple[str, Any]] = []
        self.answers: dict[str, Any] = {
            "negotiate": {"binding": 7, "challenge": CHALLENGE, "target_info": b"info", "epoch": 3},
            "authenticate": {"handle": b"handle"},
            "get-nc-changes": {"objects": [], "cookie": b"c2", "more": False},
            "unbind": {},
            **answers,
        }

    def call(self, operation: str, message: Mapping[str, Any]) -> Any:
        self.calls.append((operation, message))
        return self.answers[operation]


def bound(controller: Controller, **options: Any) -> ReplicationClient:
    client = ReplicationClient(controller, Random(1), lambda: NOW, **options)
    client.bind("contoso.example", "MSOL_1", "Connector-1!")
    return client


def entry(**changes: Any) -> dict[str, Any]:
    attribute = {
        "name": "unicodePwd", "values": [b"x"], "version": 3, "changed": 13_128_652_800,
        "invocation": bytes(range(16)), "originating_usn": 41, "local_usn": 42,
    }  # fmt: skip
    own = {key: changes.pop(key) for key in list(changes) if key in attribute}
    return {
        "guid": GUID.bytes_le, "dn": "CN=a", "sid": SID, "deleted": False, "attributes": [attribute | own], **changes
    }  # fmt: skip


class TestMessages:
    @pytest.mark.parametrize(("options", "epoch"), [({}, 0), ({"learns_epoch": True}, 3)])
    def test_all(self, options: dict[str, Any], epoch: int) -> None:
        """A whole connection, message by message."""
        controller = Controller()
        client = bound(controller, **options)
        client.changes(b"c1", NC, ("a", "b"))
        client.changes(None, NC, [], 9)
        client.object(GUID, NC, ("a",))
        client.unbind()
        blob = ntlm.client_blob(FILETIME, Random(1).randbytes(8), b"info")
        key = ntlm.ntowf_v2(nt_hash("Connector-1!"), "MSOL_1", "contoso.example")
        sign_on = {
            "binding": 7, "account": "MSOL_1", "domain": "contoso.example", "client_blob": blob,
            "proof": ntlm.nt_proof(key, CHALLENGE, blob), "epoch": epoch,
        }  # fmt: skip
        common = {"handle": b"handle", "naming_context": NC}
        assert controller.calls == [
            ("negotiate", {"account": "MSOL_1", "domain": "contoso.example"}),
            ("authenticate", sign_on),
            ("get-nc-changes",
             {**common, "cookie": b"c1", "attributes": ["a", "b"], "max_objects": 500, "object": None}),
            ("get-nc-changes", {**common, "cookie": None, "attributes": [], "max_objects": 9, "object": None}),
            ("get-nc-changes",
             {**common, "cookie": None, "attributes": ["a"], "max_objects": 1, "object": GUID.bytes_le}),
            ("unbind", {"handle": b"handle"}),
        ]  # fmt: skip

    def test_blob(self) -> None:
        """The client's blob, byte for byte."""
        assert ntlm.client_blob(0x0102030405060708, b"abcdefgh", b"info").hex(" ", 4) == (
            "01010000 00000000 08070605 04030201 61626364 65666768 00000000 696e666f 00000000"
        )
        assert ntlm.target_info("D", "ß").hex(" ", 2) == "0200 0200 4400 0100 0200 df00 0000 0000"

    def test_object(self) -> None:
        """Every field of an object is told, and a name of a controller is one value for all that it made."""
        second = entry(name="pwdLastSet", values=[b"y", b"z"], version=4, changed=0, originating_usn=51, local_usn=52)
        raw = entry()
        raw["attributes"] += second["attributes"]
        second["attributes"][0]["invocation"] = bytes(bytearray(range(16)))
        controller = Controller(**{"get-nc-changes": {"objects": [raw], "cookie": b"c2", "more": True}})
        page = bound(controller).changes(b"c1", NC, [])
        by = bytes(range(16))
        (found,) = page.objects
        assert (page.cookie, page.more) == (b"c2", True)
        assert found == ReplicatedObject(
            GUID, "CN=a", 1104, SID, False,
            {
                "unicodePwd": ReplicatedAttribute("unicodePwd", (b"x",), 3, 13_128_652_800, by, 41, 42),
                "pwdLastSet": ReplicatedAttribute("pwdLastSet", (b"y", b"z"), 4, 0, by, 51, 52),
            },
        )  # fmt: skip
        first, other = (found.attributes[name].invocation for name in ("unicodePwd", "pwdLastSet"))
        assert first is other

    @pytest.mark.parametrize("changed", [0, 265_046_774_399])
    def test_first_and_last_second(self, changed: int) -> None:
        """1601 and the end of 9999 are dates."""
        controller = Controller(
            **{"get-nc-changes": {"objects": [entry(changed=changed)], "cookie": b"", "more": False}}
        )
        (found,) = bound(controller).changes(None, NC, []).objects
        assert found.attributes["unicodePwd"].changed == changed

    @pytest.mark.parametrize(
        ("sid", "rid"), [(b"", 0), (SID, 1104), (bytes.fromhex("010100000000000512000000"), 18), (b"x" * 8, None),
                         (bytes.fromhex("0100000000000005"), None), (SID[:-1], None), (SID + b"\0" * 4, None)],
    )  # fmt: skip
    def test_rid(self, sid: bytes, rid: int | None) -> None:
        """The RID is the last part of a whole SID."""
        client = bound(Controller(**{"get-nc-changes": {"objects": [entry(sid=sid)], "cookie": b"", "more": False}}))
        if rid is not None:
            assert client.changes(None, NC, []).objects[0].rid == rid
            return
        with pytest.raises(ReplicationError, match=r"error occurred: a SID of a length that does not exist\.$"):
            client.changes(None, NC, [])


GARBLED = "RPC Error 1728 : A remote procedure call (RPC) protocol error occurred: "


class TestRefused:
    @pytest.mark.parametrize(
        ("answers", "text"),
        [
            ({"negotiate": {}}, "the answer has no binding."),
            ({"negotiate": None}, "the answer has no binding."),
            ({"negotiate": {"binding": True}}, "the answer's binding is a bool."),
            ({"negotiate": {"binding": 1}}, "the answer has no challenge."),
            ({"negotiate": {"binding": 1, "challenge": b"1234567"}}, "a challenge is 8 bytes."),
            ({"negotiate": {"binding": 1, "challenge": CHALLENGE}}, "the answer has no target_info."),
            ({"negotiate": {"binding": 1, "challenge": CHALLENGE, "target_info": b"", "epoch": "x"}},
             "the answer's epoch is a str."),
            ({"authenticate": {"handle": 1}}, "the answer's handle is a int."),
        ],
    )  # fmt: skip
    def test_sign_on(self, answers: dict[str, Any], text: str) -> None:
        """What is wrong with an answer to a sign-on is named."""
        with pytest.raises(ReplicationError) as caught:
            bound(Controller(**answers), learns_epoch=True)
        assert (caught.value.code, str(caught.value)) == (1728, GARBLED + text)

    @pytest.mark.parametrize(
        ("page", "text"),
        [
            ({}, "the answer has no objects."),
            ({"objects": []}, "the answer has no cookie."),
            ({"objects": [], "cookie": b""}, "the answer has no more."),
            ({"objects": [], "cookie": b"", "more": 1}, "the answer's more is a int."),
            ({"objects": [], "cookie": b"c1", "more": True}, "more is announced, and the cookie stands still."),
            ({"objects": [5]}, "the answer has no guid."),
            ({"objects": [entry(guid=b"short")]}, "a GUID is 16 bytes."),
            ({"objects": [entry(invocation=b"short")]}, "a GUID is 16 bytes."),
            ({"objects": [entry(values=[b"", "x"])]}, "an attribute's value is not bytes."),
            ({"objects": [entry(attributes=[{}])]}, "the answer has no name."),
            ({"objects": [entry(dn=None)]}, "the answer's dn is a NoneType."),
        ],
    )
    def test_page(self, page: dict[str, Any], text: str) -> None:
        """What is wrong with a page is named."""
        with pytest.raises(ReplicationError) as caught:
            bound(Controller(**{"get-nc-changes": page})).changes(b"c1", NC, [])
        assert (caught.value.code, str(caught.value)) == (1728, GARBLED + text)

    def test_unbound(self) -> None:
        """Without a sign-on the handle is none."""
        client = ReplicationClient(Controller(), Random(1), lambda: NOW)
        with pytest.raises(ReplicationError) as caught:
            client.object(GUID, NC, [])
        assert str(caught.value) == "RPC Error 1702 : The binding handle is invalid."


class TestSecrets:
    def secret(self, octets: list[bytes] | None, name: str = "unicodePwd") -> ReplicatedObject:
        found = {} if octets is None else {name: ReplicatedAttribute(name, tuple(octets), 1, 1, bytes(16), 1, 1)}
        return ReplicatedObject(GUID, "CN=a", 1104, SID, False, found)

    def test_plain(self) -> None:
        """A secret without a RID layer is opened by any key of the connection; an absent one is none."""
        client = bound(Controller())
        (key,) = client.session_keys
        wrapped = encrypt(b"keys", key, bytes(16), None)
        assert client.plain(self.secret([wrapped, b"other"], "x"), "x") == b"keys"
        assert [client.plain(self.secret(value, "x"), "x") for value in (None, [], [b""])] == [None] * 3
        assert client.plain(self.secret([wrapped], "x"), "y") is None
        assert [client.nt_hash(self.secret(value)) for value in (None, [], [b""])] == [None] * 3
        assert client.nt_hash(self.secret([encrypt(b"n" * 16, key, bytes(16), 1104), b"other"])) == b"n" * 16

    def test_wrong_size(self) -> None:
        """An NT hash of another size is told with its size."""
        client = bound(Controller())
        with pytest.raises(EnvelopeError) as caught:
            client.nt_hash(self.secret([encrypt(b"n" * 32, client.session_keys[0], bytes(16), 1104)]))
        assert str(caught.value) == "invalid parameter: an NT hash of 32 bytes"

    def test_md5(self) -> None:
        """MD5 is had from where the client was told, for both kinds of secrets."""

        def refused(data: bytes) -> Any:
            raise FipsError("here")

        md5: Md5 = refused
        client = bound(Controller(), md5=md5)
        (key,) = client.session_keys
        with pytest.raises(FipsError):
            client.nt_hash(self.secret([encrypt(b"n" * 16, key, bytes(16), 1104)]))
        with pytest.raises(FipsError):
            client.plain(self.secret([encrypt(b"n", key, bytes(16), None)]), "unicodePwd")

    @pytest.mark.parametrize(
        ("blob", "rid", "text"),
        [
            (bytes(19), None, "invalid parameter: an encrypted payload has at least 20 bytes, this one 19"),
            (bytes(36), 0, "invalid parameter: a secret with a RID layer needs a RID other than 0"),
            (bytes(36), -1, "invalid parameter: -1 is not a RID"),
            (bytes(36), 2**32, "invalid parameter: 4294967296 is not a RID"),
            (bytes(37), 1, "invalid parameter: a RID layer is a multiple of 16 bytes, not 17"),
            (bytes(20), None, "decrypt failure: the checksum of a replicated secret does not match"),
            (bytes(36), 2**32 - 1, "decrypt failure: the checksum of a replicated secret does not match"),
            (bytes(36), 1, "decrypt failure: the checksum of a replicated secret does not match"),
        ],
    )
    def test_envelope(self, blob: bytes, rid: int | None, text: str) -> None:
        """Each way in which an envelope is none has its words."""
        with pytest.raises(EnvelopeError) as caught:
            decrypt(blob, [b"k" * 16], rid)
        assert str(caught.value) == text

    def test_salt(self) -> None:
        """A salt has 16 bytes."""
        with pytest.raises(EnvelopeError) as caught:
            encrypt(b"", b"k", bytes(17), None)
        assert str(caught.value) == "the salt of an encrypted payload is 16 bytes"


class TestJson:
    def test_form(self) -> None:
        """Octets are base64 under their own key, and nothing stands between the parts."""
        message = {"a": b"\0\xff", "b": [1, True, None, "ü"], "c": {"$base64": 1, "d": 2}, "e": {"f": b""}}
        data = json_messages.dump(message)
        assert data == (
            b'{"a":{"$base64":"AP8="},"b":[1,true,null,"\\u00fc"],"c":{"$base64":1,"d":2},"e":{"f":{"$base64":""}}}'
        )
        assert json_messages.load(data) == message

    @pytest.mark.parametrize(
        ("data", "text"),
        [
            (b"[" * 100_000, "nested too deeply"),
            (b'{"$base64":1}', r"\$base64 is a text"),
            (b"[NaN]", "NaN is no number of a message"),
            (b"[-Infinity]", "-Infinity is no number of a message"),
        ],
    )
    def test_refused(self, data: bytes, text: str) -> None:
        """What is no message is refused in these words."""
        with pytest.raises(ValueError, match=f"^{text}$"):
            json_messages.load(data)

    @pytest.mark.parametrize("text", ["AP8", "A*==", "AP8=\n"])
    def test_no_base64(self, text: str) -> None:
        """Octets must be base64 to the letter."""
        with pytest.raises(ValueError, match=r".+"):
            json_messages.load(json.dumps({"$base64": text}).encode())

    def test_other_values(self) -> None:
        """Values of other kinds are not written."""
        with pytest.raises(TypeError, match=r"^a message can't hold a set$"):
            json_messages.dump({"a": set()})


def properties(*pairs: tuple[str, bytes], count: int | None = None, signature: int = 0x50) -> bytes:
    body = b""
    for name, value in pairs:
        raw = name.encode("utf-16-le")
        body += struct.pack("<HHH", len(raw), len(value), 1) + raw + value
    number = len(pairs) if count is None else count
    rest = bytes(96) + struct.pack("<H", signature) + (struct.pack("<H", number) + body if number else b"")
    return struct.pack("<IIHH", 0, len(rest), 0, 0) + rest + b"\0"


def stored(keys: list[tuple[int, bytes]], salt: str = "SALT", revision: int = 4) -> bytes:
    raw = salt.encode("utf-16-le")
    at = 24 + 24 * len(keys)
    head = struct.pack("<HHHHHHHHII", revision, 0, len(keys), 0, 0, 0, len(raw), len(raw), at, 4096)
    tail, places = raw, b""
    for kind, key in keys:
        places += struct.pack("<HHIIIII", 0, 0, 0, 0, kind, len(key), at + len(tail))
        tail += key
    return head + places + tail


class TestSupplemental:
    def test_found(self) -> None:
        """The property of that name is found wherever it stands, and the first of it counts."""
        wanted = ("Primary:Kerberos-Newer-Keys", b"00ff")
        other = ("Primary:WDigest", b"01")
        for pairs in ((wanted,), (other, wanted), (wanted, (wanted[0], b"02"), other)):
            assert supplemental.newer_keys(properties(*pairs)) == b"\0\xff"
        assert supplemental.newer_keys(properties(other)) is None
        assert supplemental.newer_keys(properties()) is None
        assert supplemental.newer_keys(b"") is None

    @pytest.mark.parametrize(
        ("octets", "text"),
        [
            (properties()[:-1], "supplemental credentials break off in their head"),
            (properties(signature=0x51), "supplemental credentials have no such head"),
            (properties(("a", b"00"))[:-1], "supplemental credentials have no such head"),
            (properties(("a", b"00"), count=2), "supplemental credentials break off in a property's head"),
            (properties(("a", b"0g")), "a property of supplemental credentials can't be read"),
            (properties(("a", b"\xff\xff")), "a property of supplemental credentials can't be read"),
        ],
    )
    def test_refused(self, octets: bytes, text: str) -> None:
        """Each way to be none has its words."""
        with pytest.raises(EnvelopeError) as caught:
            supplemental.newer_keys(octets)
        assert str(caught.value) == f"invalid parameter: {text}"

    def test_property_too_long(self) -> None:
        """A property that says it is longer than the list breaks off."""
        octets = bytearray(properties(("a", b"00")))
        octets[114] += 1  # the value's size, behind head (110), number (2) and the name's size (2)
        with pytest.raises(EnvelopeError) as caught:
            supplemental.newer_keys(bytes(octets))
        assert str(caught.value) == "invalid parameter: supplemental credentials break off in a property"

    def test_keys(self) -> None:
        """Salt, iterations and keys by their kind; of two of a kind the first is the current one."""
        found = supplemental.read_keys(stored([(18, b"a" * 32), (17, b"b" * 16), (18, b"c")]))
        assert found == ("SALT", 4096, {18: b"a" * 32, 17: b"b" * 16})

    @pytest.mark.parametrize(
        ("octets", "text"),
        [
            (stored([(18, b"")])[:23], "stored Kerberos keys break off in their head"),
            (stored([(18, b"a")], revision=3), "no stored Kerberos keys"),
            (stored([]), "no stored Kerberos keys"),
            (stored([(18, b"a")])[:47], "no stored Kerberos keys"),
            (stored([(18, b"a")])[:48], "stored Kerberos keys point behind their end"),
            (stored([(18, b"a")])[:-1], "stored Kerberos keys point behind their end"),
        ],
    )
    def test_refused_keys(self, octets: bytes, text: str) -> None:
        """Each way of stored keys to be none has its words."""
        with pytest.raises(EnvelopeError) as caught:
            supplemental.read_keys(octets)
        assert str(caught.value) == f"invalid parameter: {text}"

    def test_salt_that_is_no_text(self) -> None:
        """A salt of half a character is no text; keys of no length may end with the octets."""
        octets = bytearray(stored([(18, b"")]))
        octets[12] -= 1
        with pytest.raises(EnvelopeError) as caught:
            supplemental.read_keys(bytes(octets))
        assert str(caught.value) == "invalid parameter: the salt of stored Kerberos keys is no text"
        assert supplemental.read_keys(stored([(18, b"")], salt="")) == ("", 4096, {18: b""})
