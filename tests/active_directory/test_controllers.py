"""Several controllers of a domain: what replicates, when, which of two changes stands, and what a reader sees."""

from __future__ import annotations

from datetime import timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pwsync.credential import nt_hash
from pwsync.errors import ReplicationError
from pwsync.replication.client import ReplicationClient
from simulator.active_directory.inbound import take_over
from simulator.active_directory.names import rdn_key
from simulator.active_directory.replication import ReplicationServer
from simulator.active_directory.schema import ATTRIBUTES
from simulator.active_directory.state import DomainPolicy
from simulator.queue import EventQueue, Rank
from simulator.refusal import Refusal

from .conftest import PASSWORD, Lab

ROOT = "DC=fabrikam,DC=example"
SECRETS = ["unicodePwd", "pwdLastSet"]
NAMES = ("dc1", "dc2", "dc3")


class Site(Lab):
    """A domain with three controllers, and a queue in which their replication takes place."""

    def __init__(self, delay: timedelta = timedelta(seconds=15), *, policy: DomainPolicy | None = None) -> None:
        super().__init__()
        self.domain = self.forest.add_domain("fabrikam.example", policy, controllers=NAMES, replication_delay=delay)
        self.queue = EventQueue()

    def start(self) -> None:
        """From now on replication takes its time."""
        self.domain.replicate()
        self.forest.schedule = lambda delay, call: self.queue.push(self.clock() + delay, Rank.BACKGROUND, call)

    def pass_time(self, **duration: float) -> None:
        """Let time pass, with all that is due in it."""
        end = self.clock() + timedelta(**duration)
        while (head := self.queue.head()) is not None and head[0] <= end:
            self.clock.move_to(head[0])
            self.queue.pop()()
        self.clock.move_to(end)

    def fetch(self, target: str, source: str) -> None:
        """One controller fetches from another, now."""
        at = self.domain.controller(target)
        take_over(at.replica, self.domain.controller(source).replica, at.seconds())

    def knows(self, password: str, name: str = "alice") -> str:
        """The controllers on which a user logs on with a password."""
        return " ".join(each for each in NAMES if self.domain.logon(name, password, on=each, observe=True) == "ok")

    def entry(self, name: str, on: str):
        """A user's entry on a controller."""
        return self.domain.find(name, on=on).entry

    def client(self, on: str) -> ReplicationClient:
        """A bound replication client of a controller."""
        client = ReplicationClient(ReplicationServer(self.domain.controller(on)), Random(1), self.clock)
        client.bind("fabrikam.example", *self.domain.connector_account())
        return client


@pytest.fixture
def site():
    """A site with alice, quiet."""
    site = Site()
    site.user()
    site.start()
    return site


def state_of(controller):
    """Everything that replicates of a controller's objects, metadata included, but local USNs."""
    found = {}
    for entry in controller.replica.by_guid.values():
        stored = {key: value for key, value in entry.values.items() if not ATTRIBUTES[key].local}
        stamps = {key: stamp[:4] for key, stamp in entry.stamps.items()}
        found[entry.guid] = (entry.dn, entry.deleted, entry.rid, stored, entry.created[:4], stamps)
    return found


def agree(domain):
    """Whether all controllers hold the same, and find the same by name."""
    first, *others = domain.controllers.values()
    same = [state_of(first) == state_of(other) for other in others]
    found = [{name: entry.guid for name, entry in each.replica.by_name.items()} for each in (first, *others)]
    return all(same) and all(each == found[0] for each in found)


def is_sound(replica):
    """Whether a copy's log is in order and its tree and indexes fit its entries."""
    usns = [entry.usn for entry in replica.log.since(0)]
    assert usns == sorted(set(usns))
    assert len(usns) == len(replica.by_guid)
    for entry in replica.by_guid.values():
        assert entry.parent is None or entry.parent.children[entry.key] is entry
        assert all(stamp.local_usn <= entry.usn for stamp in entry.stamps.values())
        name = entry.text("samaccountname").casefold()
        if name and not entry.deleted:
            assert replica.by_name[name] is entry


class TestDelay:
    """When a change reaches the other controllers."""

    def test_after_the_delay(self, site):
        """A password is known elsewhere after the delay, not before, under the metadata of where it was set."""
        site.domain.reset_password("alice", "Spring-2017!", on="dc2")
        site.pass_time(seconds=14)
        assert site.knows("Spring-2017!") == "dc2"
        site.pass_time(seconds=1)
        assert site.knows("Spring-2017!") == "dc1 dc2 dc3"
        there, here = (site.entry("alice", on).stamp("unicodepwd") for on in ("dc2", "dc1"))
        assert there[:4] == here[:4]
        assert here.local_usn == site.domain.controller("dc1").replica.usn

    def test_whatever_is_there_comes_along(self, site):
        """What was written after the announcement was ordered comes with it; the next write is announced anew."""
        site.domain.set_user("alice", display_name="Al", on="dc1")
        site.pass_time(seconds=10)
        site.domain.reset_password("alice", "Spring-2017!", on="dc1")
        site.pass_time(seconds=5)
        assert site.knows("Spring-2017!") == "dc1 dc2 dc3"
        site.domain.reset_password("alice", "Summer-2017!", on="dc1")
        site.pass_time(seconds=14)
        assert site.knows("Summer-2017!") == "dc1"

    def test_idle(self, site):
        """An idle domain queues nothing, and settles down after a write."""
        assert site.queue.head() is None
        site.domain.reset_password("alice", "Spring-2017!")
        site.pass_time(minutes=5)
        assert site.queue.head() is None
        assert agree(site.domain)

    def test_one_fetch_at_a_time(self, site):
        """However much is written, one fetch is queued for each partner."""
        for number in range(20):
            site.domain.reset_password("alice", f"Spring-2017-{number}")
        calls = 0
        while site.queue.head() is not None:
            site.clock.move_to(max(site.clock(), site.queue.head()[0]))
            site.queue.pop()()
            calls += 1
        assert calls == 2

    @pytest.mark.parametrize(
        ("write", "urgent"),
        [
            (lambda domain: domain.reset_password("alice", "Spring-2017!"), False),
            (lambda domain: domain.reset_password("alice", "Spring-2017!", must_change=True), True),
            (lambda domain: domain.require_change("alice"), True),
            (lambda domain: domain.set_user("alice", enabled=False), True),
            (lambda domain: domain.set_user("alice", password_never_expires=True), False),
            (lambda domain: domain.set_user("alice", display_name="Al"), False),
            (lambda domain: domain.create_user("bob", PASSWORD), False),
            (lambda domain: domain.delete_user("alice"), False),
        ],
    )
    def test_urgent(self, site, write, urgent):
        """What is urgent is elsewhere at once."""
        write(site.domain)
        site.pass_time(seconds=0)
        assert agree(site.domain) is urgent
        site.pass_time(seconds=15)
        assert agree(site.domain)

    def test_lockout_is_urgent(self):
        """A lockout holds on all controllers at once, and so does its end; wrong passwords are counted by each."""
        site = Site(timedelta(hours=1), policy=DomainPolicy(lockout_threshold=2))
        site.user()
        site.start()
        site.domain.logon("alice", "wrong", on="dc2")
        assert site.entry("alice", "dc1").integer("badpwdcount") == 0
        site.domain.logon("alice", "wrong", on="dc2")
        site.pass_time(seconds=0)
        assert site.domain.logon("alice", PASSWORD, on="dc3") == "locked"
        site.domain.unlock("alice", on="dc1")
        site.pass_time(seconds=0)
        assert site.knows(PASSWORD) == "dc1 dc2 dc3"
        assert site.entry("alice", "dc2").integer("badpwdcount") == 0

    def test_urgent_overtakes(self, site):
        """After an urgent fetch a later write waits its own delay, not the rest of an earlier one's."""
        site.domain.set_user("alice", display_name="Al")
        site.pass_time(seconds=5)
        site.domain.set_user("alice", enabled=False)
        site.pass_time(seconds=5)
        site.domain.set_user("alice", display_name="Alice")
        site.pass_time(seconds=14)
        assert site.entry("alice", "dc2").text("displayname") == "Al"
        site.pass_time(seconds=1)
        assert agree(site.domain)


class TestStates:
    """Controllers that are down, or do not replicate."""

    def test_down(self, site):
        """A controller that is down neither hears nor tells; back again it catches up at once, in both directions."""
        site.domain.reset_password("alice", "Spring-2017!", on="dc2")
        site.domain.controller("dc2").state = "down"
        site.user("bob")
        site.pass_time(hours=1)
        assert site.knows("Spring-2017!") == ""
        assert site.knows(PASSWORD, "bob") == "dc1 dc3"
        site.domain.controller("dc2").state = "up"
        site.pass_time(seconds=0)
        assert site.knows("Spring-2017!") == "dc1 dc2 dc3"
        assert agree(site.domain)
        assert not site.domain.lags()

    def test_by_way_of_a_third(self, site):
        """A controller that missed a change gets it from a partner when the one that made it is gone."""
        site.domain.controller("dc3").state = "down"
        site.domain.reset_password("alice", "Spring-2017!", on="dc1")
        site.pass_time(seconds=15)
        site.domain.controller("dc1").state = "down"
        site.domain.controller("dc3").state = "up"
        site.pass_time(seconds=0)
        assert site.knows("Spring-2017!") == "dc2 dc3"
        assert not site.domain.lags("dc3")
        assert site.domain.logon("alice", "Spring-2017!", on="dc1") == "unavailable"

    def test_no_outbound(self, site):
        """Without outbound replication a controller hears, and tells neither partners nor clients."""
        site.user("bob")
        site.pass_time(minutes=1)
        client = site.client("dc1")
        site.domain.controller("dc1").state = "no-outbound-replication"
        site.domain.reset_password("alice", "Spring-2017!", on="dc1")
        site.domain.reset_password("bob", "Spring-2017!", on="dc2")
        site.pass_time(hours=1)
        assert site.knows("Spring-2017!") == "dc1"
        assert site.knows("Spring-2017!", "bob") == "dc1 dc2 dc3"
        with pytest.raises(ReplicationError) as caught:
            client.changes(None, ROOT, SECRETS)
        assert caught.value.code == 8456
        assert site.domain.lags("dc2")
        assert not site.domain.lags("dc1")
        site.domain.controller("dc1").state = "up"
        site.pass_time(seconds=15)
        assert site.knows("Spring-2017!") == "dc1 dc2 dc3"

    def test_people_go_elsewhere(self, site):
        """People's doings land on the first controller that is up; on one that is down nothing can be done."""
        site.domain.controller("dc1").state = "down"
        site.domain.reset_password("alice", "Spring-2017!")
        assert site.knows("Spring-2017!") == "dc2"
        with pytest.raises(Refusal, match="dc1 of fabrikam"):
            site.domain.reset_password("alice", "Summer-2017!", on="dc1")
        for name in NAMES:
            site.domain.controller(name).state = "down"
        assert site.domain.logon("alice", "Spring-2017!") == "unavailable"
        with pytest.raises(Refusal, match="every controller"):
            site.domain.set_policy(min_length=3)
        assert site.domain.policy.min_length == 7

    def test_unknown_state(self, site):
        """A state that there is not is a mistake of the caller."""
        with pytest.raises(ValueError, match="no-outbound-replication"):
            site.domain.controller().state = "asleep"


class TestConflicts:
    """Two controllers change the same before they have talked."""

    def test_later_wins(self, site):
        """Of two passwords of the same version the later one stands, wherever it arrives first."""
        site.domain.reset_password("alice", "Early-2017!", on="dc2")
        site.pass_time(seconds=2)
        site.domain.reset_password("alice", "Late-2017!!", on="dc1")
        site.pass_time(minutes=1)
        assert site.knows("Late-2017!!") == "dc1 dc2 dc3"
        assert agree(site.domain)

    def test_version_wins(self, site):
        """A higher version stands against a later time."""
        site.domain.reset_password("alice", "First-2017!", on="dc2")
        site.domain.reset_password("alice", "Second-2017!", on="dc2")
        site.pass_time(seconds=2)
        site.domain.reset_password("alice", "Late-2017!!", on="dc1")
        assert site.domain.find("alice").nt_hash == nt_hash("Second-2017!")
        site.pass_time(minutes=1)
        assert site.knows("Second-2017!") == "dc1 dc2 dc3"

    def test_invocation_decides(self, site):
        """In the same second the greater invocation identifier stands."""
        for on in ("dc1", "dc2"):
            site.domain.reset_password("alice", f"Same-second-{on}", on=on)
        winner = max("dc1", "dc2", key=lambda on: site.domain.controller(on).invocation)
        site.pass_time(minutes=1)
        assert site.knows(f"Same-second-{winner}") == "dc1 dc2 dc3"

    def test_attributes_apart(self, site):
        """Different attributes of one user do not compete: a change here and a rename there both stand."""
        site.domain.change_password("alice", PASSWORD, "Spring-2017!", on="dc1")
        site.domain.set_user("alice", display_name="Al", on="dc2")
        site.domain.move_user("alice", "OU=Else", on="dc3")
        assert site.domain.find("alice").dn == f"CN=alice,OU=Else,{ROOT}"
        site.pass_time(minutes=1)
        for on in NAMES:
            account = site.domain.find("alice", on=on)
            assert (account.nt_hash, account.display_name) == (nt_hash("Spring-2017!"), "Al")
            assert account.dn == f"CN=alice,OU=Else,{ROOT}"

    def test_must_change_beside_a_password(self, site):
        """ "Must change" set later than a password on another controller holds for that password."""
        site.domain.change_password("alice", PASSWORD, "Spring-2017!", on="dc2")
        site.pass_time(seconds=2)
        site.domain.require_change("alice", on="dc1")
        site.pass_time(minutes=1)
        account = site.domain.find("alice", on="dc3")
        assert (account.nt_hash, account.must_change) == (nt_hash("Spring-2017!"), True)

    def test_deletion_wins(self, site):
        """A user who is changed here and deleted there is deleted, and keeps no more than a tombstone does."""
        site.domain.delete_user("alice", on="dc2")
        site.pass_time(seconds=1)
        site.domain.set_user("alice", display_name="Al", attributes={"mail": "a@b.example"}, on="dc1")
        site.domain.move_user("alice", "OU=Else", on="dc1")
        site.pass_time(minutes=1)
        assert agree(site.domain)
        for on in NAMES:
            with pytest.raises(Refusal):
                site.domain.find("alice", on=on)
        (tombstone,) = (each for each in site.domain.controller("dc1").replica.by_guid.values() if each.deleted)
        assert "CN=Deleted Objects" in tombstone.dn
        assert set(tombstone.values) <= {"samaccountname", "useraccountcontrol", "lastknownparent"}

    def test_same_name(self, site):
        """Of two new users of one name the earlier one is renamed, in the tree and as an account."""
        first = site.domain.create_user("bob", PASSWORD, on="dc1")
        site.pass_time(seconds=1)
        second = site.domain.create_user("bob", PASSWORD, on="dc2")
        site.pass_time(minutes=1)
        assert agree(site.domain)
        for on in NAMES:
            assert site.domain.find("bob", on=on).guid == second
            loser = site.domain.by_guid(first, on=on)
            assert loser.dn.startswith("CN=bob\\0ACNF:")
            assert loser.name == f"$DUPLICATE-{loser.entry.rid:x}"

    def test_moved_below_what_is_deleted(self, site):
        """What comes to lie below a deleted container goes to LostAndFound."""
        site.user("bob", ou="OU=Doomed")
        site.domain.move_user("bob", "OU=People")
        site.domain.replicate()
        replica = site.domain.controller("dc1").replica
        doomed = replica.root.children[rdn_key("OU", "Doomed")]
        replica.delete(doomed, site.domain.controller("dc1").seconds())
        site.domain.move_user("alice", "OU=Doomed", on="dc2")
        site.pass_time(minutes=1)
        assert agree(site.domain)
        assert site.domain.find("alice", on="dc1").dn == f"CN=alice,CN=LostAndFound,{ROOT}"


class TestMerged:
    """A user as he will be, from all controllers."""

    def test_newest(self, site):
        """Asked without a controller, the domain answers with what will stand; with one, with what is there."""
        site.domain.reset_password("alice", "Spring-2017!", on="dc3")
        assert site.domain.find("alice").nt_hash == nt_hash("Spring-2017!")
        assert site.domain.find("alice", on="dc1").nt_hash == nt_hash(PASSWORD)
        guid = site.domain.find("alice").guid
        assert site.domain.by_guid(guid).version == 2
        assert site.domain.by_guid(guid, on="dc2").version == 1

    def test_everybody(self, site):
        """All users that there are anywhere and that nobody has deleted, each once."""
        site.domain.create_user("bob", PASSWORD, on="dc2")
        site.domain.create_user("carol", PASSWORD, on="dc3")
        site.domain.delete_user("alice", on="dc2")
        people = [account.name for account in site.domain.accounts() if not account.critical]
        assert sorted(people)[1:] == ["bob", "carol"]
        assert [each.name for each in site.domain.accounts("dc1") if each.name in ("alice", "bob")] == ["alice"]
        with pytest.raises(Refusal, match="alice"):
            site.domain.find("alice")

    def test_made_again(self, site):
        """A user deleted and made again on one controller is the new one."""
        site.domain.delete_user("alice", on="dc2")
        again = site.domain.create_user("alice", PASSWORD, on="dc2")
        assert site.domain.find("alice").guid == again
        site.pass_time(minutes=1)
        assert agree(site.domain)

    def test_log_of_passwords(self, site):
        """A password is logged once, where it was set, with the stamp that travels."""
        before = len(site.domain.password_log)
        site.domain.reset_password("alice", "Spring-2017!", on="dc2")
        site.pass_time(minutes=1)
        (logged,) = site.domain.password_log[before:]
        assert logged.stamp[:4] == site.entry("alice", "dc3").stamp("unicodepwd")[:4]


class TestReaders:
    """Replication clients that go from one controller to another."""

    def test_vector(self, site):
        """A cookie of one controller brings from another what its holder lacks, and nothing else."""
        cookie = site.client("dc1").changes(None, ROOT, SECRETS).cookie
        site.user("bob")
        site.domain.reset_password("alice", "Spring-2017!", on="dc2")
        page = site.client("dc1").changes(cookie, ROOT, SECRETS)
        assert [found.dn.split(",")[0] for found in page.objects] == ["CN=bob"]
        page = site.client("dc2").changes(page.cookie, ROOT, SECRETS)
        assert [found.dn.split(",")[0] for found in page.objects] == ["CN=alice"]
        site.pass_time(minutes=1)
        for on in NAMES:
            page = site.client(on).changes(page.cookie, ROOT, SECRETS)
            assert page.objects == []

    def test_unknown_object(self, site):
        """A user who has not come to a controller yet is 8333 there; a tombstone is an object."""
        guid = site.domain.create_user("bob", PASSWORD, on="dc1")
        client = site.client("dc2")
        with pytest.raises(ReplicationError) as caught:
            client.object(guid, ROOT, SECRETS)
        assert caught.value.code == 8333
        site.domain.delete_user("bob", on="dc1")
        site.pass_time(minutes=1)
        assert client.object(guid, ROOT, SECRETS).objects[0].deleted


DOINGS = st.lists(
    st.tuples(
        st.sampled_from(["reset", "flag", "rename", "move", "create", "delete", "unlock", "wait", "fetch", "read"]),
        st.sampled_from("abc"),
        st.sampled_from(NAMES),
        st.sampled_from(NAMES),
    ),
    max_size=30,
)


def do(site, number, doing, name, on, other):
    """One thing of a random history; what can't be done is left out."""
    domain = site.domain
    try:
        if doing == "reset":
            domain.reset_password(name, f"Reset-{number:04}", must_change=number % 5 == 0, on=on)
        elif doing == "flag":
            domain.set_user(name, enabled=number % 2 == 0, display_name=f"Name {number}", on=on)
        elif doing == "rename":
            replica = domain.controller(on).replica
            entry = site.entry(name, on)
            if rdn_key("CN", f"cn{number % 3}") not in entry.parent.children:
                replica.move(entry, entry.parent, f"cn{number % 3}", domain.controller(on).seconds())
        elif doing == "move":
            domain.move_user(name, f"OU=Unit{number % 3}", on=on)
        elif doing == "create":
            domain.create_user(name, PASSWORD, on=on)
        elif doing == "delete":
            domain.delete_user(name, on=on)
        elif doing == "unlock":
            domain.unlock(name, on=on)
        elif doing == "wait":
            site.wait(seconds=1)
        elif doing == "fetch" and on != other:
            site.fetch(on, other)
    except Refusal:
        return


class TestHistories:
    """Random histories on three controllers with replication at random moments."""

    @settings(max_examples=80, deadline=None)
    @given(DOINGS)
    def test_all_agree(self, doings):
        """Whatever happens where, in the end all controllers hold the same, and each copy is sound."""
        site = Site()
        site.user("a")
        site.domain.replicate()
        for number, (doing, name, on, other) in enumerate(doings):
            do(site, number, doing, name, on, other)
        site.domain.replicate()
        assert agree(site.domain)
        for controller in site.domain.controllers.values():
            is_sound(controller.replica)

    @settings(max_examples=60, deadline=None)
    @given(DOINGS)
    def test_reader_keeps_up(self, doings):
        """A reader that goes from controller to controller ends with everybody's password, and is told each once."""
        site = Site()
        site.user("a")
        site.domain.replicate()
        clients = {on: site.client(on) for on in NAMES}
        held, told, gone, cookie = {}, set(), set(), None

        def read(on):
            nonlocal cookie
            more = True
            while more:
                page = clients[on].changes(cookie, ROOT, SECRETS, max_objects=2)
                cookie, more = page.cookie, page.more
                for found in page.objects:
                    secret = found.attributes.get("unicodePwd")
                    if found.deleted:
                        gone.add(found.guid)
                    elif secret is not None:
                        change = (found.guid, secret.invocation, secret.originating_usn)
                        assert change not in told
                        told.add(change)
                        stamp = (secret.version, secret.changed, secret.invocation)
                        if stamp > held.get(found.guid, ((0, 0, b""), b""))[0]:
                            held[found.guid] = (stamp, clients[on].nt_hash(found))

        for number, (doing, name, on, other) in enumerate(doings):
            if doing == "read":
                read(on)
            else:
                do(site, number, doing, name, on, other)
        site.domain.replicate()
        read(NAMES[len(doings) % 3])
        people = {account.guid: account.nt_hash for account in site.domain.accounts("dc1") if account.nt_hash}
        assert {guid: nt for guid, (_, nt) in held.items() if nt is not None and guid not in gone} == people
