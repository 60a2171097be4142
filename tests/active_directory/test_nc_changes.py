"""GetNCChanges as it was measured on a real controller: rights, flags, what comes in which order, and pages."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pwsync.credential import nt_hash
from pwsync.errors import EnvelopeError, ReplicationError
from pwsync.replication.client import ReplicationClient
from pwsync.replication.envelope import decrypt
from simulator.active_directory import cookies
from simulator.active_directory.replication import SPECIAL_SECRET_PROCESSING, WRITABLE_REPLICA, ReplicationServer

from .conftest import PASSWORD, Lab

ROOT = "DC=contoso,DC=example"
CHANGES, ALL = "replicate-changes", "replicate-changes-all"
HELD = {"none": (), "changes": (CHANGES,), "changes-all": (ALL,), "both": (CHANGES, ALL)}
SECRETS = {"unicodePwd", "dBCSPwd", "ntPwdHistory", "lmPwdHistory", "supplementalCredentials"}


class Reader:
    """The connector's account, bound; asks with messages of its own."""

    def __init__(self, lab, controller=None, domain="contoso.example"):
        home = lab.forest.domains[domain]
        self.server = ReplicationServer(controller or home.controller())
        self.root = home.dn
        self.handle = b""

        reader = self

        class Channel:
            def call(self, operation, message):
                answer = reader.server.call(operation, message)
                reader.handle = answer.get("handle", reader.handle)
                return answer

        self.client = ReplicationClient(Channel(), Random(1), lab.clock)
        self.bind = lambda: self.client.bind(domain, *home.connector_account())
        self.bind()

    def ask(self, **changes):
        """One answer."""
        message = {"handle": self.handle, "naming_context": self.root, "cookie": None, "attributes": None,
                   "max_objects": 1000, "object": None}  # fmt: skip
        return self.server.call("get-nc-changes", message | changes)

    def code(self, **changes):
        """The code that an answer is refused with, 0 if it is not."""
        try:
            self.ask(**changes)
        except ReplicationError as error:
            return error.code
        return 0


@pytest.fixture
def lab():
    """A lab with alice."""
    lab = Lab()
    lab.user("alice")
    return lab


def held(lab, rights):
    """Leave the connector's account these rights only."""
    for right in (CHANGES, ALL):
        (lab.domain.grant if right in HELD[rights] else lab.domain.revoke)(right)


def attributes_of(answer, name="alice"):
    """The attributes of one object of an answer: name -> values."""
    (found,) = [each for each in answer["objects"] if each["dn"].startswith(f"CN={name},")]
    return {each["name"]: each["values"] for each in found["attributes"]}


class TestRights:
    """Rights that are held against what is asked for."""

    @pytest.mark.parametrize("rights", HELD)
    @pytest.mark.parametrize(
        ("wanted", "codes"),
        [
            ("whole", (8453, 8453, 8453, 0)),
            ("object", (8453, 8453, 8453, 0)),
            ("object-without-secrets", (8453, 0, 8453, 0)),
            ("unicodePwd", (8453, 8453, 8453, 0)),
            ("pwdLastSet", (8453, 0, 8453, 0)),
            ("special", (8453, 0, 8453, 0)),
        ],
    )
    def test_table(self, lab, rights, wanted, codes):
        """Each request under each set of rights."""
        guid = lab.domain.find("alice").guid.bytes_le
        request = {
            "whole": {},
            "object": {"object": guid},
            "object-without-secrets": {"object": guid, "attributes": ["pwdLastSet"]},
            "unicodePwd": {"attributes": ["unicodePwd"]},
            "pwdLastSet": {"attributes": ["pwdLastSet"]},
            "special": {"flags": WRITABLE_REPLICA | SPECIAL_SECRET_PROCESSING},
        }[wanted]
        reader = Reader(lab)
        held(lab, rights)
        assert reader.code(**request) == codes[list(HELD).index(rights)]

    def test_whole(self, lab):
        """With both rights the secrets of the whole context come, 36 bytes to a hash, and open to it."""
        reader = Reader(lab)
        answer = reader.ask()
        found = attributes_of(answer)
        account = lab.domain.find("alice")
        assert len(found["unicodePwd"][0]) == 36
        keys, rid = reader.client.session_keys, account.entry.rid
        assert decrypt(found["unicodePwd"][0], keys, rid) == nt_hash(PASSWORD)
        assert decrypt(found["ntPwdHistory"][0], keys, rid) == nt_hash(PASSWORD)
        assert (found["dBCSPwd"], found["lmPwdHistory"], answer["extended_ret"]) == ([], [], 0)
        assert found["instanceType"] == [(4).to_bytes(4, "little")]
        assert not {"objectGUID", "memberOf", "uSNChanged", "badPwdCount", "tokenGroups"} & set(found)

    def test_one_object(self, lab):
        """One object comes alone, its whole state, and the extended result says so."""
        answer = Reader(lab).ask(object=lab.domain.find("alice").guid.bytes_le)
        assert (len(answer["objects"]), answer["extended_ret"], answer["more"]) == (1, 1, False)
        assert set(attributes_of(answer)) >= SECRETS | {"pwdLastSet", "userAccountControl", "instanceType"}

    @pytest.mark.parametrize("rights", ["changes", "both"])
    def test_special_secret_processing(self, lab, rights):
        """Secrets are named and have no values, whoever asks."""
        reader = Reader(lab)
        held(lab, rights)
        found = attributes_of(reader.ask(flags=SPECIAL_SECRET_PROCESSING))
        assert set(found) >= SECRETS
        assert [found[name] for name in SECRETS] == [[]] * 5
        assert found["pwdLastSet"]

    def test_every_domain_by_itself(self, lab):
        """Rights on one domain say nothing of another, in the same forest or not."""
        lab.forest.add_domain("asia.contoso.example", controllers=("dc7",))
        here, there = Reader(lab), Reader(lab, domain="asia.contoso.example")
        lab.domain.revoke(ALL)
        assert (here.code(), there.code()) == (8453, 0)
        lab.domain.grant(ALL)
        lab.forest.domains["asia.contoso.example"].revoke(CHANGES)
        assert (here.code(), there.code()) == (0, 8453)

    def test_deleted_account(self, lab):
        """A connector whose account is deleted while it is bound is no longer anybody."""
        reader = Reader(lab)
        lab.domain.delete_user(lab.domain.connector_account()[0])
        assert reader.code() == 1326


class TestRequests:
    """What is asked for wrongly."""

    @pytest.mark.parametrize(
        ("name", "code"),
        [
            ("DC=fabrikam,DC=example", 8439),
            ("nonsense", 8439),
            ("CN=," + ROOT, 8439),
            ("CN=nobody,OU=People," + ROOT, 8439),
            ("OU=People," + ROOT, 8440),
            ("CN=alice,OU=People," + ROOT, 8440),
            ("DC=asia," + ROOT, 8440),
            ("CN=Configuration," + ROOT, 8440),
            ("CN=Schema,CN=Configuration," + ROOT, 8440),
            ("", 8437),
            (None, 8437),
            (7, 87),
            ("dc=CONTOSO, dc=example", 0),
        ],
    )
    def test_context(self, lab, name, code):
        """Another name, another object's name, another domain's, no name; case and blanks do not matter."""
        lab.forest.add_domain("asia.contoso.example", controllers=("dc7",))
        assert Reader(lab).code(naming_context=name) == code

    def test_order_of_refusals(self, lab):
        """Who may not read is told so before he is told whether an object exists or his cookie is good."""
        reader = Reader(lab)
        lab.domain.revoke(ALL)
        assert reader.code(object=bytes(16)) == 8453
        assert reader.code(cookie=b"garbage") == 8453
        lab.domain.grant(ALL)
        assert reader.code(object=bytes(16)) == 8333
        assert reader.code(cookie=b"garbage") == 8437

    @pytest.mark.parametrize(
        "change",
        [
            {"object": 10**15},
            {"handle": 10**15},
            {"handle": None},
            {"attributes": 5},
            {"attributes": [5]},
            {"flags": "x"},
            {"cookie": "text"},
        ],
    )
    def test_garbled(self, lab, change):
        """A message of another shape is an invalid parameter."""
        assert Reader(lab).code(**change) == 87

    @settings(max_examples=40, deadline=None)
    @given(st.binary(max_size=120), st.integers(0, 200), st.booleans())
    def test_garbled_cookie(self, octets, at, whole):
        """Whatever a cookie is, the answer is a page or a refusal, and never a mistake of the controller."""
        lab = Lab()
        reader = Reader(lab)
        good = reader.ask()["cookie"]
        cookie = octets if whole else good[:at] + octets + good[at + len(octets) :]
        assert reader.code(cookie=cookie, attributes=["pwdLastSet"]) in (0, 8437, 8456)


class TestDelta:
    """What a change brings."""

    def test_reset(self, lab):
        """A reset brings its six attributes and instanceType; what is empty is named and has no value."""
        reader = Reader(lab)
        cookie = reader.ask()["cookie"]
        lab.domain.reset_password("alice", "Spring-2017!")
        answer = reader.ask(cookie=cookie)
        found = attributes_of(answer)
        assert set(found) == SECRETS | {"pwdLastSet", "instanceType"}
        assert {name for name, values in found.items() if not values} == {"dBCSPwd", "lmPwdHistory"}
        keys, rid = reader.client.session_keys, lab.domain.find("alice").entry.rid
        history = decrypt(found["ntPwdHistory"][0], keys, rid)
        assert history == nt_hash("Spring-2017!") + nt_hash(PASSWORD)

    def test_partial_set(self, lab):
        """With a partial set only that comes; instanceType with it if it is in the set, and nothing for its sake."""
        reader = Reader(lab)
        cookie = reader.ask()["cookie"]
        lab.domain.set_user("alice", display_name="Al")
        assert reader.ask(cookie=cookie, attributes=["pwdLastSet", "instanceType"])["objects"] == []
        lab.domain.require_change("alice")
        found = attributes_of(reader.ask(cookie=cookie, attributes=["pwdLastSet", "instanceType"]))
        assert list(found) == ["pwdLastSet", "instanceType"]
        assert list(attributes_of(reader.ask(cookie=cookie, attributes=["pwdLastSet"]))) == ["pwdLastSet"]

    def test_order(self, lab):
        """Objects come in order of their last change, each once, with its last value."""
        for name in ("none", "get", "target"):
            lab.user(name)
        reader = Reader(lab)
        cookie = reader.ask()["cookie"]
        for number, name in enumerate(("none", "get", "target", "none")):
            lab.domain.reset_password(name, f"Reset-2017-{number}")
        answer = reader.ask(cookie=cookie, attributes=["unicodePwd"])
        assert [each["dn"].split(",")[0] for each in answer["objects"]] == ["CN=get", "CN=target", "CN=none"]
        (secret,) = attributes_of(answer, "none")["unicodePwd"]
        rid = lab.domain.find("none").entry.rid
        assert decrypt(secret, reader.client.session_keys, rid) == nt_hash("Reset-2017-3")


class TestPages:
    """One object to a page."""

    def test_high_water(self, lab):
        """While more follows only the first part of the mark advances, the last one moves at the end."""
        for name in ("bob", "carol"):
            lab.user(name)
        reader = Reader(lab)
        cookie = reader.ask()["cookie"]
        start = cookies.unpack(cookie)
        for name in ("alice", "bob", "carol"):
            lab.domain.reset_password(name, "Spring-2017!")
        marks, more = [], True
        while more:
            answer = reader.ask(cookie=cookie, attributes=["unicodePwd"], max_objects=1)
            cookie, more = answer["cookie"], answer["more"]
            marks.append((answer["high_water"]["tmp_highest_usn"], answer["high_water"]["highest_usn"]))
            assert (cookies.unpack(cookie).reached, cookies.unpack(cookie).done) == marks[-1]
        usns = [lab.domain.find(name).usn for name in ("alice", "bob", "carol")]
        assert marks == [(usns[0], start.done), (usns[1], start.done), (usns[2], usns[2])]
        assert answer["high_water"]["reserved_usn"] == 0

    def test_half_a_mark(self, lab):
        """Who drops the mark's first part between pages gets the same page for ever."""
        lab.user("bob")
        reader = Reader(lab)
        cookie = reader.ask()["cookie"]
        for name in ("alice", "bob"):
            lab.domain.reset_password(name, "Spring-2017!")
        first = reader.ask(cookie=cookie, attributes=["unicodePwd"], max_objects=1)
        paused = cookies.unpack(first["cookie"])
        halved = cookies.Cookie(paused.domain, paused.invocation, paused.done, paused.done, paused.vector).pack()
        again = reader.ask(cookie=halved, attributes=["unicodePwd"], max_objects=1)
        assert [each["dn"] for each in again["objects"]] == [each["dn"] for each in first["objects"]]
        assert again["more"]

    def test_new_key_between_pages(self, lab):
        """After a new bind the next page is under the new key; the client opens both."""
        lab.user("bob")
        reader = Reader(lab)
        client = reader.client
        cookie = client.changes(None, ROOT, ["unicodePwd"]).cookie
        lab.domain.reset_password("alice", "First-2017!?")
        lab.domain.reset_password("bob", "Second-2017!")
        first = client.changes(cookie, ROOT, ["unicodePwd"], max_objects=1)
        reader.bind()
        second = client.changes(first.cookie, ROOT, ["unicodePwd"], max_objects=1)
        assert not second.more
        assert client.session_keys[0] != client.session_keys[1]
        assert client.nt_hash(first.objects[0]) == nt_hash("First-2017!?")
        assert client.nt_hash(second.objects[0]) == nt_hash("Second-2017!")
        blob = second.objects[0].attributes["unicodePwd"].values[0]
        with pytest.raises(EnvelopeError, match="checksum"):
            decrypt(blob, client.session_keys[1:], second.objects[0].rid)

    def test_key_is_known_to_its_session_only(self, lab):
        """Two clients that are bound at once have keys of their own."""
        one, two = Reader(lab), Reader(lab)
        found = two.client.changes(None, ROOT, ["unicodePwd"]).objects[-1]
        with pytest.raises(EnvelopeError):
            one.client.nt_hash(found)


class TestNamedWithoutValues:
    """Secrets that are not there: they are named all the same where they have metadata."""

    NAMES = ("unicodePwd", "dBCSPwd", "ntPwdHistory", "lmPwdHistory")

    def test_no_password(self, lab):
        """A new account without a password has them in version 1, but for the credentials."""
        admin = lab.administrator()
        assert admin.add(f"CN=bare,{ROOT}", ["user"], {"sAMAccountName": "bare"})
        (found,) = [each for each in Reader(lab).ask()["objects"] if each["dn"].startswith("CN=bare,")]
        named = {each["name"]: (each["values"], each["version"]) for each in found["attributes"]}
        assert [named[name] for name in self.NAMES] == [([], 1)] * 4
        assert "supplementalCredentials" not in named

    def test_deleted(self, lab):
        """With the account its secrets go, in a version of their own where there was one."""
        reader, entry = Reader(lab), lab.domain.find("alice").entry
        cookie = reader.ask()["cookie"]
        lab.domain.delete_user("alice")
        answer = reader.ask(cookie=cookie, attributes=sorted(SECRETS))
        (found,) = answer["objects"]
        named = {each["name"]: (each["values"], each["version"]) for each in found["attributes"]}
        assert named == {name: ([], 2) for name in ("unicodePwd", "ntPwdHistory", "supplementalCredentials")}
        (alone,) = reader.ask(object=entry.guid, attributes=sorted(SECRETS))["objects"]
        assert {each["name"]: each["values"] for each in alone["attributes"]} == {name: [] for name in SECRETS}

    def test_nothing_of_it(self, lab):
        """An object that has nothing of what is asked for does not come alone, either."""
        ou = lab.domain.find("alice").entry.parent
        answer = Reader(lab).ask(object=ou.guid, attributes=["unicodePwd"])
        assert (answer["objects"], answer["extended_ret"]) == ([], 1)
