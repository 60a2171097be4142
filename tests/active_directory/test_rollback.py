"""Controllers that are put back to an earlier database, removed, or of another replication epoch."""

from __future__ import annotations

from datetime import timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pwsync.errors import ReplicationError
from pwsync.replication.client import ReplicationClient
from simulator.active_directory.replication import ReplicationServer
from simulator.refusal import Refusal

from .conftest import PASSWORD
from .test_controllers import NAMES, ROOT, SECRETS, Site, agree, do, is_sound, state_of


@pytest.fixture
def site():
    """A site of three controllers with alice and bob, quiet."""
    site = Site()
    site.user()
    site.user("bob")
    site.start()
    return site


def code_of(call, *arguments):
    """The Win32 code with which a call is refused."""
    with pytest.raises(ReplicationError) as caught:
        call(*arguments)
    return caught.value.code


class TestSnapshot:
    """A copy of a controller's database."""

    def test_is_apart(self, site):
        """Nothing that happens later changes a snapshot, and it can be restored twice."""
        domain = site.domain
        domain.reset_password("alice", "Autumn-2016!", on="dc1")
        domain.set_user("bob", display_name="Bobby", on="dc1")
        before = state_of(domain.controller("dc1"))
        snapshot = domain.snapshot_controller("dc1")
        domain.reset_password("alice", "Spring-2017!", on="dc1")
        domain.move_user("bob", "OU=Else", on="dc1")
        domain.create_user("carol", PASSWORD, on="dc1")
        domain.delete_user("alice", on="dc1")
        for _ in range(2):
            domain.restore_controller("dc1", snapshot, reset_invocation=False)
            assert state_of(domain.controller("dc1")) == before
            is_sound(domain.controller("dc1").replica)
            domain.set_user("bob", display_name="Robert", on="dc1")

    def test_of_another(self, site):
        """A controller takes its own snapshots only, and an unknown one has none."""
        with pytest.raises(ValueError, match="dc2"):
            site.domain.restore_controller("dc1", site.domain.snapshot_controller("dc2"))
        with pytest.raises(KeyError):
            site.domain.snapshot_controller("dc9")

    def test_version(self, site):
        """Who remembers the domain's version sees that something happened, even if USNs come back."""
        snapshot = site.domain.snapshot_controller("dc1")
        before = site.domain.version
        site.domain.restore_controller("dc1", snapshot, reset_invocation=False)
        assert site.domain.version != before


class TestSupportedRestore:
    """The copy gets a new invocation."""

    def test_comes_back_to_the_others(self, site):
        """What the controller had made since its backup comes back to it from its partners."""
        domain = site.domain
        snapshot = domain.snapshot_controller("dc1")
        before = domain.controller("dc1").invocation
        domain.reset_password("alice", "Spring-2017!", on="dc1")
        domain.create_user("carol", PASSWORD, on="dc1")
        site.pass_time(minutes=1)
        domain.restore_controller("dc1", snapshot)
        dc1 = domain.controller("dc1")
        assert dc1.invocation != before
        assert dc1.replica.known[before] == snapshot.replica.usn
        assert site.knows("Spring-2017!") == "dc2 dc3"
        assert domain.lags("dc1")
        site.pass_time(seconds=0)
        assert site.knows("Spring-2017!") == site.knows(PASSWORD, "carol") == "dc1 dc2 dc3"
        assert not domain.lags()
        assert agree(domain)

    def test_goes_on(self, site):
        """What it writes from then on is heard by everybody, and identifiers are not given out twice."""
        domain = site.domain
        snapshot = domain.snapshot_controller("dc1")
        domain.create_user("carol", PASSWORD, on="dc1")
        site.pass_time(minutes=1)
        domain.restore_controller("dc1", snapshot)
        domain.create_user("dave", PASSWORD, on="dc1")
        site.pass_time(minutes=1)
        assert site.knows(PASSWORD, "dave") == site.knows(PASSWORD, "carol") == "dc1 dc2 dc3"
        assert site.entry("carol", "dc2").rid != site.entry("dave", "dc2").rid
        assert agree(domain)

    def test_reader(self, site):
        """A reader's cookie of before the restore brings what is new, nothing old, and nothing is missed."""
        domain = site.domain
        snapshot = domain.snapshot_controller("dc1")
        domain.reset_password("alice", "Spring-2017!", on="dc1")
        cookie = site.client("dc1").changes(None, ROOT, SECRETS).cookie
        site.pass_time(minutes=1)
        domain.restore_controller("dc1", snapshot)
        assert site.client("dc1").changes(cookie, ROOT, SECRETS).objects == []
        site.pass_time(minutes=1)
        domain.reset_password("bob", "Spring-2017!", on="dc1")
        page = site.client("dc1").changes(cookie, ROOT, SECRETS)
        assert [found.dn.split(",")[0] for found in page.objects] == ["CN=bob"]


class TestRollback:
    """The copy keeps its invocation, and gives out its update sequence numbers once more."""

    def rolled_back(self, site, writes=5):
        """dc1 goes back behind ``writes`` changes that everybody has."""
        snapshot = site.domain.snapshot_controller("dc1")
        for number in range(writes):
            site.domain.reset_password("alice", f"Before-2017-{number}", on="dc1")
        site.pass_time(minutes=1)
        site.domain.restore_controller("dc1", snapshot, reset_invocation=False)
        return site.domain.controller("dc1")

    def test_is_noticed(self, site):
        """The first partner that fetches notices: event 2095, and replication ends in both directions."""
        dc1 = self.rolled_back(site)
        site.pass_time(minutes=1)
        assert dc1.events == []  # nobody has asked for anything yet
        site.domain.reset_password("bob", "Reused-2017!", on="dc1")
        site.pass_time(minutes=1)
        assert [event.id for event in dc1.events] == [2095]
        assert dc1.state == "no-replication"
        assert site.knows("Reused-2017!", "bob") == "dc1"
        site.domain.reset_password("bob", "Elsewhere-17!", on="dc2")
        site.pass_time(hours=1)
        assert site.knows("Elsewhere-17!", "bob") == "dc2 dc3"
        assert [event.id for event in dc1.events] == [2095]

    def test_people_go_on(self, site):
        """People log on and change passwords there as ever; clients of replication are refused."""
        dc1 = self.rolled_back(site)
        client = site.client("dc1")
        site.domain.reset_password("bob", "Reused-2017!", on="dc1")
        site.pass_time(minutes=1)
        site.domain.change_password("bob", "Reused-2017!", "Reused-2018!", on="dc1")
        assert code_of(client.changes, None, ROOT, SECRETS) == 8456
        assert dc1.state == "no-replication"

    @pytest.mark.parametrize("on", ["dc1", "dc2"])
    def test_a_reader_notices(self, site, on):
        """A client whose cookie knows more than the controller has is a partner that says so, from wherever it is."""
        snapshot = site.domain.snapshot_controller("dc1")
        for number in range(5):
            site.domain.reset_password("alice", f"Before-2017-{number}", on="dc1")
        site.pass_time(minutes=1)
        cookie = site.client(on).changes(None, ROOT, SECRETS).cookie
        site.domain.restore_controller("dc1", snapshot, reset_invocation=False)
        assert site.client("dc1").changes(None, ROOT, SECRETS).objects
        assert code_of(site.client("dc1").changes, cookie, ROOT, SECRETS) == 8456
        assert [event.id for event in site.domain.controller("dc1").events] == [2095]

    def test_reused_numbers_are_passed_over(self, site):
        """Grown past what partners know before anybody asks, it is not noticed: what lies below stays unheard."""
        dc1 = self.rolled_back(site, writes=3)
        site.domain.reset_password("bob", "Unheard-2017!", on="dc1")
        for number in range(6):
            site.domain.set_user("alice", display_name=f"Alice {number}", on="dc1")
        site.pass_time(minutes=1)
        assert dc1.events == []
        assert site.entry("alice", "dc3").text("displayname") == "Alice 5"
        assert site.knows("Unheard-2017!", "bob") == "dc1"
        assert not agree(site.domain)

    def test_objects_of_reused_numbers(self, site):
        """An object made under a reused number does not appear elsewhere, not even when it changes later."""
        self.rolled_back(site, writes=4)
        site.domain.create_user("carol", PASSWORD, on="dc1")
        for number in range(6):
            site.domain.reset_password("carol", f"Later-2017-{number}", on="dc1")
        site.pass_time(minutes=1)
        with pytest.raises(Refusal, match="carol"):
            site.domain.find("carol", on="dc2")
        is_sound(site.domain.controller("dc2").replica)

    def test_own_changes_do_not_come_back(self, site):
        """What it made before it was put back is nothing that it asks others for."""
        self.rolled_back(site)
        site.domain.reset_password("bob", "Fetched-2017!", on="dc2")
        site.pass_time(minutes=1)
        assert site.knows("Before-2017-4") == "dc2 dc3"
        assert site.knows("Fetched-2017!", "bob") == "dc1 dc2 dc3"

    def test_restored_properly_afterwards(self, site):
        """A supported restore ends the quarantine."""
        snapshot = site.domain.snapshot_controller("dc1")
        dc1 = self.rolled_back(site)
        dc1.quarantine()
        site.domain.restore_controller("dc1", snapshot)
        site.pass_time(minutes=1)
        assert dc1.state == "up"
        assert agree(site.domain)


class TestRemoval:
    """A controller leaves the domain for good."""

    def test_gone(self, site):
        """People and partners go on without it; what it had told nobody is lost, its account is deleted."""
        client = site.client("dc1")
        site.domain.reset_password("alice", "Heard-2017!", on="dc1")
        site.pass_time(minutes=1)
        site.domain.reset_password("bob", "Unheard-2017!", on="dc1")
        site.domain.remove_controller("dc1")
        site.pass_time(minutes=1)
        assert list(site.domain.controllers) == ["dc2", "dc3"]
        assert code_of(client.changes, None, ROOT, SECRETS) == 1722
        for on in ("dc2", "dc3"):
            assert site.domain.logon("alice", "Heard-2017!", on=on, observe=True) == "ok"
            assert site.domain.logon("bob", "Unheard-2017!", on=on, observe=True) == "wrong-password"
            assert "dc1$" not in site.domain.controller(on).replica.by_name
        assert not site.domain.lags()

    def test_its_cookie(self, site):
        """Its cookie is good at another controller: only what its holder lacks comes, and the next one is whole."""
        site.domain.reset_password("alice", "Spring-2017!", on="dc1")
        cookie = site.client("dc1").changes(None, ROOT, SECRETS).cookie
        site.pass_time(minutes=1)
        gone = site.domain.controller("dc1").invocation
        site.domain.remove_controller("dc1")
        site.domain.reset_password("bob", "Spring-2017!")
        client = site.client("dc2")
        page = client.changes(cookie, ROOT, SECRETS)
        assert [found.dn.split(",")[0] for found in page.objects if not found.deleted] == ["CN=bob"]
        assert gone in page.cookie  # a vector keeps the names of controllers that are no more
        assert client.changes(page.cookie, ROOT, SECRETS).objects == []

    def test_last(self, site):
        """The last controller stays, an unknown one can't be removed."""
        for name in ("dc1", "dc2"):
            site.domain.remove_controller(name)
        with pytest.raises(ValueError, match="dc3"):
            site.domain.remove_controller("dc3")
        with pytest.raises(KeyError):
            site.domain.remove_controller("dc1")
        site.domain.reset_password("alice", "Alone-2017!")
        assert site.domain.find("alice").entry.replica is site.domain.controller().replica


class TestEpoch:
    """A domain that is being renamed."""

    def test_partners(self, site):
        """Controllers of different epochs refuse each other; at one again they catch up."""
        site.domain.controller("dc1").epoch = 1
        site.domain.reset_password("alice", "Spring-2017!", on="dc1")
        site.domain.reset_password("bob", "Spring-2017!", on="dc2")
        site.pass_time(hours=1)
        assert site.knows("Spring-2017!") == "dc1"
        assert site.knows("Spring-2017!", "bob") == "dc2 dc3"
        site.domain.set_epoch(1)
        site.pass_time(minutes=1)
        assert site.knows("Spring-2017!") == site.knows("Spring-2017!", "bob") == "dc1 dc2 dc3"

    def test_old_client(self, site):
        """A client that speaks the old epoch is refused with 8593, on each domain by itself."""
        client = site.client("dc1")
        other = site.forest.add_domain("child.fabrikam.example", controllers=("dc7",))
        site.domain.set_epoch(1)
        assert code_of(client.changes, None, ROOT, SECRETS) == 8593
        assert code_of(site.client("dc2").changes, None, ROOT, SECRETS) == 8593
        elsewhere = ReplicationClient(ReplicationServer(other.controller()), Random(1), site.clock)
        elsewhere.bind("child.fabrikam.example", *other.connector_account())
        assert elsewhere.changes(None, other.dn, SECRETS).objects

    def test_new_client(self, site):
        """A client that takes the epoch from the controller reads on after its next bind."""
        client = ReplicationClient(
            ReplicationServer(site.domain.controller("dc1")), Random(1), site.clock, learns_epoch=True
        )
        client.bind("fabrikam.example", *site.domain.connector_account())
        cookie = client.changes(None, ROOT, SECRETS).cookie
        site.domain.set_epoch(4)
        assert code_of(client.changes, cookie, ROOT, SECRETS) == 8593
        client.bind("fabrikam.example", *site.domain.connector_account())
        assert client.changes(cookie, ROOT, SECRETS).objects == []

    @pytest.mark.parametrize("epoch", [-1, True, "1", None, 2**40])
    def test_garbled(self, site, epoch):
        """An epoch is a number of four bytes."""
        server = ReplicationServer(site.domain.controller("dc1"))

        class Tap:
            def call(self, operation, message):
                return server.call(operation, {**message, "epoch": epoch} if operation == "authenticate" else message)

        client = ReplicationClient(Tap(), Random(1), site.clock)
        assert code_of(client.bind, "fabrikam.example", *site.domain.connector_account()) == 87


DOINGS = st.lists(
    st.tuples(
        st.sampled_from(["reset", "flag", "move", "create", "delete", "wait", "fetch", "fetch", "backup", "restore"]),
        st.sampled_from("abc"),
        st.sampled_from(NAMES),
        st.sampled_from(NAMES),
    ),
    max_size=30,
)


class TestHistories:
    """Random writes, fetches, backups and restores on three controllers."""

    @settings(max_examples=80, deadline=None)
    @given(DOINGS)
    def test_supported_restores(self, doings):
        """With supported restores all controllers end the same, with the password of each user that won over all
        others that were left anywhere; no vector goes back but that of the copy that was put back."""
        site = Site()
        site.user("a")
        site.domain.replicate()
        backups, vectors = {}, {}
        for number, (doing, name, on, other) in enumerate(doings):
            controller = site.domain.controller(on)
            if doing == "backup":
                backups[on] = controller.snapshot()
            elif doing == "restore" and on in backups:
                site.domain.restore_controller(on, backups[on])
                vectors.pop(on, None)
            else:
                do(site, number, doing, name, on, other)
            for each in NAMES:
                vector = dict(site.domain.controller(each).replica.known)
                before = vectors.get(each, {})
                assert all(vector.get(invocation, 0) >= usn for invocation, usn in before.items())
                vectors[each] = vector
        best = {account.guid: account.stamp[:3] for account in site.domain.accounts() if account.stamp is not None}
        site.domain.replicate()
        assert agree(site.domain)
        assert not site.domain.lags()
        for account in site.domain.accounts("dc1"):
            assert account.guid not in best or account.stamp[:3] == best[account.guid]
        for controller in site.domain.controllers.values():
            is_sound(controller.replica)

    @settings(max_examples=60, deadline=None)
    @given(DOINGS)
    def test_rollbacks(self, doings):
        """With rollbacks controllers may differ for good, but each copy is sound, vectors of the others never go
        back, and replication comes to rest."""
        site = Site(timedelta(seconds=5))
        site.user("a")
        site.start()
        backups = {}
        for number, (doing, name, on, other) in enumerate(doings):
            if doing == "backup":
                backups[on] = site.domain.snapshot_controller(on)
            elif doing == "restore" and on in backups:
                site.domain.restore_controller(on, backups[on], reset_invocation=False)
            elif doing == "wait":
                site.pass_time(seconds=3)
            else:
                do(site, number, doing, name, on, other)
        site.pass_time(minutes=5)
        assert site.queue.head() is None
        site.domain.replicate()
        for controller in site.domain.controllers.values():
            is_sound(controller.replica)
