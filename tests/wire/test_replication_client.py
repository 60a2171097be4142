"""NTLMv2 and the replication client, against a controller of this file that speaks the messages of the channel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from random import Random
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pwsync.credential import nt_hash
from pwsync.errors import EnvelopeError, FileTimeError, ReplicationError
from pwsync.replication import ntlm
from pwsync.replication.client import ReplicationClient, changed_time, file_time, source_anchor
from pwsync.replication.envelope import encrypt
from pwsync.stamp import Stamp

NOW = datetime(2017, 1, 13, 9, tzinfo=UTC)
GUID = UUID("5b2f2e0a-4f0e-4a57-9c2e-d0f0a3f1c001")
SID = bytes.fromhex("010500000000000515000000010000000200000003000000") + (1104).to_bytes(4, "little")
NC = "DC=contoso,DC=example"


class Controller:
    """Signs one account on and answers every read with ``page``."""

    def __init__(self, password: str = "Connector-1!") -> None:
        self.nt = nt_hash(password)
        self.page: Any = {"objects": [], "cookie": b"c1", "more": False}
        self.session_key = b""
        self.asked: list[Mapping[str, Any]] = []
        self.open = 0

    def call(self, operation: str, message: Mapping[str, Any]) -> Any:
        if operation == "negotiate":
            return {"binding": 1, "challenge": b"\x01" * 8, "target_info": ntlm.target_info("CONTOSO", "DC1")}
        if operation == "authenticate":
            response_key = ntlm.ntowf_v2(self.nt, message["account"], message["domain"])
            proof = ntlm.nt_proof(response_key, b"\x01" * 8, message["client_blob"])
            if proof != message["proof"]:
                raise ReplicationError(1326)
            self.session_key = ntlm.session_base_key(response_key, proof)
            self.open += 1
            return {"handle": b"handle"}
        if operation == "unbind":
            self.open -= 1
            return {}
        self.asked.append(message)
        return self.page

    def user(self, plain: bytes, **changes: Any) -> dict[str, Any]:
        """An object with one password, wrapped under the present session key."""
        attribute = {
            "name": "unicodePwd",
            "values": [encrypt(plain, self.session_key, bytes(16), 1104)],
            "version": 3,
            "changed": 13_128_652_800,
            "invocation": bytes(range(16)),
            "originating_usn": 41,
            "local_usn": 42,
        }
        entry = {"guid": GUID.bytes_le, "dn": f"CN=Alice,{NC}", "sid": SID, "deleted": False}
        return {**entry, "attributes": [attribute], **changes}


@pytest.fixture
def controller() -> Controller:
    return Controller()


@pytest.fixture
def client(controller: Controller) -> ReplicationClient:
    bound = ReplicationClient(controller, Random(1), lambda: NOW)
    bound.bind("contoso.example", "MSOL_1", "Connector-1!")
    return bound


class TestNtlm:
    def test_vectors(self, vectors: Callable[[str], dict[str, Any]]) -> None:
        """The specification's example: response key, proof and session base key."""
        row = vectors("ntlm")
        response_key = ntlm.ntowf_v2(nt_hash(row["password"]), row["account"], row["domain"])
        info = ntlm.target_info(row["domain"], row["server"])
        blob = ntlm.client_blob(row["filetime"], bytes.fromhex(row["client_challenge"]), info)
        proof = ntlm.nt_proof(response_key, bytes.fromhex(row["server_challenge"]), blob)
        made = (response_key, proof, ntlm.session_base_key(response_key, proof))
        assert tuple(row[name] for name in ("response_key", "proof", "session_base_key")) == tuple(
            part.hex() for part in made
        )

    def test_case(self) -> None:
        """The account ignores case, the domain does not."""
        nt = bytes(16)
        assert ntlm.ntowf_v2(nt, "msol", "D") == ntlm.ntowf_v2(nt, "MSOL", "D")
        assert ntlm.ntowf_v2(nt, "msol", "D") != ntlm.ntowf_v2(nt, "msol", "d")

    def test_challenge_of_wrong_length(self) -> None:
        """A client challenge has 8 bytes."""
        with pytest.raises(ValueError, match="8 bytes"):
            ntlm.client_blob(0, b"", b"")


class TestBind:
    def test_session_key(self, controller: Controller, client: ReplicationClient) -> None:
        """Both sides compute the same session key."""
        assert client.session_keys == (controller.session_key,)

    def test_wrong_password(self, controller: Controller) -> None:
        """A wrong password is 1326, and the client stays unbound."""
        client = ReplicationClient(controller, Random(1), lambda: NOW)
        with pytest.raises(ReplicationError) as caught:
            client.bind("contoso.example", "MSOL_1", "old")
        assert (caught.value.code, client.bound, client.session_keys) == (1326, False, ())

    def test_unbound(self, controller: Controller) -> None:
        """Reading without a bind is 1702, before anything goes over the wire."""
        client = ReplicationClient(controller, Random(1), lambda: NOW)
        with pytest.raises(ReplicationError) as caught:
            client.changes(None, NC, ["unicodePwd"])
        assert (caught.value.code, controller.asked) == (1702, [])

    def test_unbind(self, controller: Controller, client: ReplicationClient) -> None:
        """Signing off twice signs off once; keys stay for what was read."""
        client.unbind()
        client.unbind()
        assert (controller.open, client.bound, len(client.session_keys)) == (0, False, 1)

    def test_new_key_while_reading(self, controller: Controller, client: ReplicationClient) -> None:
        """What was read before a new bind still opens, newest keys are tried first, old ones are dropped in the end."""
        controller.page["objects"] = [controller.user(b"n" * 16)]
        before = client.changes(None, NC, ["unicodePwd"]).objects[0]
        client.bind("contoso.example", "MSOL_1", "Connector-1!")
        assert client.session_keys[0] == controller.session_key
        assert client.nt_hash(before) == b"n" * 16
        for _ in range(9):
            client.bind("contoso.example", "MSOL_1", "Connector-1!")
        assert len(client.session_keys) == 4


class TestRead:
    def test_page(self, controller: Controller, client: ReplicationClient) -> None:
        """A page has objects, their metadata and their hash."""
        controller.page = {"objects": [controller.user(b"n" * 16)], "cookie": b"c2", "more": True}
        page = client.changes(b"c1", NC, ["unicodePwd"], 7)
        found = page.objects[0]
        attribute = found.attributes["unicodePwd"]
        assert (page.cookie, page.more) == (b"c2", True)
        assert (found.guid, found.rid, found.deleted, found.dn) == (GUID, 1104, False, f"CN=Alice,{NC}")
        assert attribute.stamp == Stamp(3, 13_128_652_800, bytes(range(16)), 42)
        assert changed_time(attribute.changed) == datetime(2017, 1, 12, tzinfo=UTC)
        assert client.nt_hash(found) == b"n" * 16

    def test_request(self, controller: Controller, client: ReplicationClient) -> None:
        """What goes over the wire is what was asked for."""
        client.changes(b"c0", NC, ("unicodePwd", "pwdLastSet"), 7)
        assert controller.asked == [
            {
                "handle": b"handle",
                "naming_context": NC,
                "cookie": b"c0",
                "attributes": ["unicodePwd", "pwdLastSet"],
                "max_objects": 7,
                "object": None,
            }
        ]

    def test_object(self, controller: Controller, client: ReplicationClient) -> None:
        """One object is asked for by its GUID, in the byte order of objectGUID."""
        client.object(GUID, NC, ["unicodePwd"])
        assert controller.asked[0]["object"] == GUID.bytes_le

    @pytest.mark.parametrize("values", [[], [b""]])
    def test_no_hash(self, controller: Controller, client: ReplicationClient, values: list[bytes]) -> None:
        """An account without a password has no hash."""
        entry = controller.user(b"n" * 16)
        entry["attributes"][0]["values"] = values
        controller.page["objects"] = [entry, controller.user(b"n" * 16, attributes=[])]
        assert [client.nt_hash(found) for found in client.changes(None, NC, []).objects] == [None, None]

    def test_hash_of_wrong_length(self, controller: Controller, client: ReplicationClient) -> None:
        """A secret that opens to something longer than a hash is refused."""
        controller.page["objects"] = [controller.user(b"n" * 32)]
        with pytest.raises(EnvelopeError):
            client.nt_hash(client.changes(None, NC, []).objects[0])

    def test_endless_page(self, controller: Controller, client: ReplicationClient) -> None:
        """More to come with the cookie that was sent would never end."""
        controller.page["more"] = True
        with pytest.raises(ReplicationError) as caught:
            client.changes(b"c1", NC, [])
        assert caught.value.code == 1728

    def test_source_anchor(self) -> None:
        """The anchor is base64 of the GUID in the byte order of objectGUID."""
        assert source_anchor(UUID("03020100-0504-0706-0809-0a0b0c0d0e0f")) == "AAECAwQFBgcICQoLDA0ODw=="

    @given(st.data())
    def test_garbled_answer(self, data: st.DataObject) -> None:
        """An answer with anything missing or of another type is 1728, never another error."""
        controller = Controller()
        client = ReplicationClient(controller, Random(1), lambda: NOW)
        client.bind("contoso.example", "MSOL_1", "Connector-1!")
        page: Any = {"objects": [controller.user(b"n" * 16)], "cookie": b"c2", "more": False}
        path = data.draw(st.sampled_from([(), ("objects", 0), ("objects", 0, "attributes", 0)]))
        place = page
        for step in path:
            place = place[step]
        key = data.draw(st.sampled_from(sorted(place)))
        if data.draw(st.booleans()):
            del place[key]
        else:
            place[key] = data.draw(st.sampled_from([None, 1.5, [None], [1], {}, -1, 2**70, b"short", object()]))
        controller.page = page
        try:
            client.changes(None, NC, [])
        except ReplicationError as error:
            assert error.code == 1728  # noqa: PT017 - most changes break the answer, some only change a value
        except FileTimeError:
            assert place[key] in (-1, 2**70)

    @pytest.mark.parametrize("changed", [-1, 265_046_774_400, 2**62])
    def test_changed_at_no_date(self, controller: Controller, client: ReplicationClient, changed: int) -> None:
        """An attribute that was changed before 1601 or after 9999 is the product's error of a time."""
        entry = controller.user(b"n" * 16)
        entry["attributes"][0]["changed"] = changed
        controller.page["objects"] = [entry]
        with pytest.raises(FileTimeError, match="Not a valid Win32 FileTime"):
            client.changes(None, NC, [])

    @pytest.mark.parametrize(
        ("ticks", "valid"),
        [(0, True), (131_287_536_000_000_000, True), (2_650_467_743_999_999_999, True),
         (2_650_467_744_000_000_000, False), (2**63 - 1, False), (-1, False)],
    )  # fmt: skip
    def test_file_time(self, ticks: int, valid: bool) -> None:
        """Times from 1601 to the end of 9999 are valid, as in the product."""
        octets = ticks.to_bytes(8, "little", signed=True)
        if valid:
            assert file_time(octets) == ticks
        else:
            with pytest.raises(FileTimeError):
                file_time(octets)

    @pytest.mark.parametrize("octets", [b"", b"1234567", b"123456789"])
    def test_file_time_of_wrong_length(self, octets: bytes) -> None:
        """A time has 8 bytes."""
        with pytest.raises(FileTimeError):
            file_time(octets)

    def test_epoch(self, controller: Controller) -> None:
        """A client speaks the first epoch, or the controller's if it learns; one who names none speaks the first."""
        spoken: list[int] = []
        offered: dict[str, Any] = {}

        class Tap:
            def call(self, operation: str, message: Mapping[str, Any]) -> Any:
                if operation == "authenticate":
                    spoken.append(message["epoch"])
                return controller.call(operation, message) | (offered if operation == "negotiate" else {})

        for epoch in ({}, {"epoch": 3}):
            offered = epoch
            for learns in (False, True):
                client = ReplicationClient(Tap(), Random(1), lambda: NOW, learns_epoch=learns)
                client.bind("contoso.example", "MSOL_1", "Connector-1!")
        assert spoken == [0, 0, 0, 3]

    @pytest.mark.parametrize("answer", [None, [], {}, "text", {"objects": None, "cookie": b"", "more": False}])
    def test_no_answer(self, controller: Controller, client: ReplicationClient, answer: Any) -> None:
        """An answer of no shape at all is 1728."""
        controller.page = answer
        with pytest.raises(ReplicationError) as caught:
            client.changes(None, NC, [])
        assert caught.value.code == 1728
