"""The replication interface: bind, rights, what comes and in which order, cookies, pages."""

from __future__ import annotations

from contextlib import suppress
from random import Random
from uuid import NAMESPACE_DNS, uuid5

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pwsync.credential import nt_hash
from pwsync.errors import ReplicationError
from pwsync.replication.client import ReplicationClient
from simulator.active_directory.replication import ReplicationServer
from simulator.active_directory.state import DomainPolicy

from .conftest import Lab

ROOT = "DC=contoso,DC=example"
SECRETS = ["unicodePwd", "pwdLastSet"]
DOINGS = st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from(["reset", "rename", "flag", "read"])), max_size=20)


def client_of(lab, account=None, password=None, domain="contoso.example"):
    """A client that is bound, by default as the connector's account."""
    name, known = lab.domain.connector_account()
    client = ReplicationClient(ReplicationServer(lab.domain.controller()), Random(1), lab.clock)
    client.bind(domain, account or name, password or known)
    return client


def code_of(call, *arguments, **options):
    """The Win32 code with which a call is refused."""
    with pytest.raises(ReplicationError) as caught:
        call(*arguments, **options)
    return caught.value.code


def names(page):
    """Names of a page's objects, in order."""
    return [found.dn.split(",")[0].removeprefix("CN=") for found in page.objects]


@pytest.fixture
def quiet(lab):
    """A lab with alice and bob, a bound client, and its cookie after everything was read."""
    lab.user("alice")
    lab.user("bob")
    lab.client = client_of(lab)
    lab.cookie = lab.client.changes(None, ROOT, SECRETS).cookie
    return lab


def changes(lab, **options):
    """What came since the lab's cookie."""
    return lab.client.changes(lab.cookie, ROOT, SECRETS, **options)


class TestBind:
    """Who may bind."""

    @pytest.mark.parametrize(
        ("account", "password", "code"),
        [("nobody", "x", 1326), ("alice", "wrong", 1326), ("Domain Users", "x", 1326), ("Guest", "", 1326)],
    )
    def test_refused(self, lab, account, password, code):
        """A wrong name and a wrong password are told apart by nobody."""
        lab.user()
        assert code_of(client_of, lab, account, password or " ") == code

    @pytest.mark.parametrize(("options", "code"), [({"enabled": False}, 1331), ({"must_change": True}, 1907)])
    def test_account_state(self, lab, options, code):
        """The account's state has its own code."""
        lab.user(**options)
        assert code_of(client_of, lab, "alice", "Winter-2016!") == code

    def test_counts(self, lab_with):
        """Wrong passwords count towards lockout, and the previous password has no grace here."""
        lab = lab_with(lockout_threshold=2)
        lab.user()
        for _ in range(2):
            assert code_of(client_of, lab, "alice", "wrong") == 1326
        assert code_of(client_of, lab, "alice", "Winter-2016!") == 1909

    def test_changed_connector_password(self, lab):
        """A connector whose password was changed does not bind with the old one."""
        old = lab.domain.connector_account()[1]
        lab.domain.set_connector_password("Other-Secret-2017")
        assert code_of(client_of, lab, None, old) == 1326
        client_of(lab)

    def test_controller_states(self, lab):
        """A controller that is down is unavailable; one without outbound replication rejects requests."""
        client = client_of(lab)
        lab.domain.controller().state = "no-outbound-replication"
        assert code_of(client.changes, None, ROOT, SECRETS) == 8456
        lab.domain.controller().state = "down"
        assert code_of(client.changes, None, ROOT, SECRETS) == 1722

    def test_forged_handle(self, lab):
        """A handle that was not given out is invalid, and so is one after an unbind."""
        server = ReplicationServer(lab.domain.controller())
        message = {"handle": b"x" * 20, "naming_context": ROOT, "attributes": [], "cookie": None, "max_objects": 1}
        assert code_of(server.call, "get-nc-changes", message | {"object": None}) == 6

    @pytest.mark.parametrize("operation", ["negotiate", "authenticate", "get-nc-changes", "unbind", "nonsense"])
    @settings(max_examples=25)
    @given(
        st.dictionaries(
            st.sampled_from(["handle", "binding", "proof", "account"]), st.none() | st.text() | st.integers(0, 9)
        )
    )
    def test_garbled_messages(self, operation, message):
        """Whatever comes over the wire, the answer is an answer or a code."""
        server = ReplicationServer(Lab().domain.controller())
        with suppress(ReplicationError):
            server.call(operation, message)


class TestRights:
    """Rights held against what is asked for."""

    @pytest.mark.parametrize(
        ("revoked", "attributes", "allowed"),
        [
            ((), SECRETS, True),
            (("replicate-changes",), SECRETS, False),
            (("replicate-changes-all",), SECRETS, False),
            (("replicate-changes-all",), ["pwdLastSet"], True),
            (("replicate-changes",), ["pwdLastSet"], False),
            (("replicate-changes", "replicate-changes-all"), ["pwdLastSet"], False),
        ],
    )
    def test_changes(self, lab, revoked, attributes, allowed):
        """Secrets need both rights, other attributes Get-Changes."""
        client = client_of(lab)
        for right in revoked:
            lab.domain.revoke(right)
        if allowed:
            assert client.changes(None, ROOT, attributes).objects
        else:
            assert code_of(client.changes, None, ROOT, attributes) == 8453

    def test_secrets_of_a_single_object_need_both(self, lab):
        """Secrets of one object are read with both rights only; granting gives them back."""
        lab.user()
        client, guid = client_of(lab), lab.domain.find("alice").guid
        lab.domain.revoke("replicate-changes-all")
        assert code_of(client.object, guid, ROOT, ["unicodePwd"]) == 8453
        assert client.object(guid, ROOT, ["pwdLastSet"]).objects
        lab.domain.grant("replicate-changes-all")
        assert client.object(guid, ROOT, ["unicodePwd"]).objects

    def test_others(self, lab):
        """A plain user has no right; an administrator has both."""
        lab.user()
        assert code_of(client_of(lab, "alice", "Winter-2016!").changes, None, ROOT, SECRETS) == 8453
        assert client_of(lab, "Administrator", lab.domain.administrator_password).changes(None, ROOT, SECRETS).objects


class TestChanges:
    """What a delta holds."""

    def test_secret(self, quiet):
        """A reset comes as one object whose secret decrypts to the NT hash, with its metadata."""
        quiet.wait(seconds=90)
        quiet.domain.reset_password("alice", "Grüße-2017 \U0001f511")
        (found,) = changes(quiet).objects
        account = quiet.domain.find("alice")
        assert quiet.client.nt_hash(found) == nt_hash("Grüße-2017 \U0001f511")
        assert (found.guid, found.rid, found.dn) == (account.guid, account.entry.rid, account.dn)
        secret = found.attributes["unicodePwd"]
        assert (secret.version, secret.local_usn, len(secret.values[0])) == (2, account.usn, 36)
        assert secret.originating_usn == account.usn
        ticks = int.from_bytes(found.attributes["pwdLastSet"].values[0], "little")
        assert ticks // 10**7 == secret.changed

    def test_idle(self, quiet):
        """Nothing changed, nothing comes; what does not matter does not come either."""
        assert changes(quiet).objects == []
        quiet.domain.set_user("alice", display_name="Al", attributes={"mail": "a@b.example"})
        quiet.domain.move_user("bob", "OU=Else")
        assert changes(quiet).objects == []

    def test_only_what_changed(self, quiet):
        """Of the attributes asked for, only the changed ones come."""
        quiet.domain.require_change("alice")
        (found,) = changes(quiet).objects
        assert list(found.attributes) == ["pwdLastSet"]
        assert found.attributes["pwdLastSet"].values == (bytes(8),)

    def test_state_not_history(self, quiet):
        """Two changes come as one, the last; objects come in order of their last change."""
        for name in ("alice", "bob", "alice"):
            quiet.domain.reset_password(name, f"Reset-{quiet.domain.version}")
        page = changes(quiet)
        assert names(page) == ["bob", "alice"]
        assert page.objects[1].attributes["unicodePwd"].version == 3

    def test_deleted(self, quiet):
        """A deleted object comes once, as a tombstone without its secret."""
        quiet.domain.delete_user("alice")
        page = changes(quiet)
        (found,) = page.objects
        assert found.deleted
        assert quiet.client.nt_hash(found) is None
        assert quiet.client.changes(page.cookie, ROOT, SECRETS).objects == []

    def test_secret_survives_other_attributes(self, lab):
        """A full read has each user once, with all that was asked for, however often the object changed."""
        lab.user("alice")
        lab.user("bob")
        lab.domain.set_user("alice", display_name="Al")
        page = client_of(lab).changes(None, ROOT, SECRETS)
        people = [found for found in page.objects if "OU=People" in found.dn]
        assert [found.dn.split(",")[0] for found in people] == ["CN=bob", "CN=alice"]
        assert all(set(found.attributes) == set(SECRETS) for found in people)

    def test_fresh_salts(self, quiet):
        """The same secret is encrypted differently each time."""
        guid = quiet.domain.find("alice").guid
        blobs = {quiet.client.object(guid, ROOT, SECRETS).objects[0].attributes["unicodePwd"].values for _ in range(3)}
        assert len(blobs) == 3

    def test_bad_requests(self, quiet):
        """A wrong naming context, a cookie that is none, an object that does not exist."""
        client = quiet.client
        assert code_of(client.changes, None, "DC=else,DC=example", SECRETS) == 8439
        assert code_of(client.changes, b"garbage", ROOT, SECRETS) == 8437
        assert code_of(client.changes, quiet.cookie[:-1], ROOT, SECRETS) == 8437
        assert code_of(client.object, uuid5(NAMESPACE_DNS, "x"), ROOT, SECRETS) == 8333
        assert code_of(client.changes, None, ROOT, ["nonsense"]) == 87

    def test_cookie_of_another_domain(self, quiet):
        """Each domain takes its own cookies only."""
        other = quiet.forest.add_domain("fabrikam.example")
        client = ReplicationClient(ReplicationServer(other.controller()), Random(1), quiet.clock)
        client.bind("fabrikam.example", *other.connector_account())
        assert code_of(client.changes, quiet.cookie, other.dn, SECRETS) == 8437


class TestPages:
    """Reading page by page."""

    def test_pages(self, quiet):
        """Pages of one bring everything once and end."""
        for name in ("alice", "bob", "alice"):
            quiet.domain.reset_password(name, f"Reset-{quiet.domain.version}")
        seen, cookie, more = [], quiet.cookie, True
        while more:
            page = quiet.client.changes(cookie, ROOT, SECRETS, max_objects=1)
            seen += names(page)
            cookie, more = page.cookie, page.more
        assert seen == ["bob", "alice"]

    def test_change_between_pages(self, lab):
        """An object that changes while pages are read comes with all its attributes, old ones too."""
        for name in ("a1", "a2", "a3"):
            lab.user(name)
        client = client_of(lab)
        page = client.changes(None, ROOT, SECRETS, max_objects=4)
        assert page.more
        lab.domain.require_change("a3")
        rest = client.changes(page.cookie, ROOT, SECRETS)
        late = {found.dn.split(",")[0]: found for found in rest.objects}["CN=a3"]
        assert set(late.attributes) == set(SECRETS)

    @settings(max_examples=30, deadline=None)
    @given(DOINGS, st.integers(1, 4))
    def test_reader_keeps_up(self, doings, page_size):
        """Whatever happens between reads, in the end the reader holds each user's current hash and version."""
        lab = Lab(DomainPolicy(history=0))
        for name in "abcd":
            lab.user(f"user-{name}")
        client, held = client_of(lab), {}
        cookie = None

        def read(once=False):
            nonlocal cookie
            while True:
                page = client.changes(cookie, ROOT, SECRETS, max_objects=page_size)
                cookie = page.cookie
                for found in page.objects:
                    if "unicodePwd" in found.attributes:
                        held[found.guid] = (client.nt_hash(found), found.attributes["unicodePwd"].version)
                if once or not page.more:
                    return

        for number, (letter, doing) in enumerate(doings):
            name = f"user-{letter}"
            if doing == "reset":
                lab.domain.reset_password(name, f"Reset-{number:04}")
            elif doing == "rename":
                lab.domain.set_user(name, display_name=f"New {number}")
            elif doing == "flag":
                lab.domain.require_change(name, number % 2 == 0)
            else:
                read(once=True)
        read()
        for letter in "abcd":
            account = lab.domain.find(f"user-{letter}")
            assert held[account.guid] == (account.nt_hash, account.version)
