"""Users, domains and forests: what is made, found, changed and refused, and what the metadata say of it."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest

from simulator.active_directory.state import DomainPolicy, FineGrainedPolicy, Forest
from simulator.random import Randomness
from simulator.refusal import Refusal


def reason_of(call, *arguments, **options):
    """The reason for which a call is refused."""
    with pytest.raises(Refusal) as caught:
        call(*arguments, **options)
    return caught.value.reason


class TestCreate:
    """New users."""

    def test_defaults(self, lab):
        """A new user lies in OU=People, is enabled, and is named by the handle."""
        guid = lab.domain.create_user("alice", "Winter-2016!")
        account = lab.domain.find("ALICE")
        assert account.guid == guid
        assert account.dn == "CN=alice,OU=People,DC=contoso,DC=example"
        assert (account.upn, account.display_name) == ("alice@contoso.example", "alice")
        assert (account.flags, account.enabled, account.must_change, account.critical) == (512, True, False, False)
        assert (account.version, account.user_class, account.deleted) == (1, "user", False)
        assert account.attribute("accountExpires") == (0x7FFF_FFFF_FFFF_FFFF,)
        assert account.attribute("primaryGroupID") == (513,)

    def test_age(self, lab):
        """An old password is old in pwdLastSet and in its metadata."""
        lab.user(password_age=timedelta(days=30))
        account = lab.domain.find("alice")
        assert account.changed == account.password_last_set == lab.clock() - timedelta(days=30)

    def test_one_transaction(self, lab):
        """Creating takes one USN, and one more for each container that is missing."""
        before = lab.domain.version
        lab.user("alice", ou="OU=Inner,OU=Outer")
        assert lab.domain.version == before + 3
        lab.user("bob", ou="OU=inner,OU=OUTER,DC=contoso,DC=example")
        assert lab.domain.version == before + 4
        assert lab.domain.find("bob").dn == "CN=bob,OU=Inner,OU=Outer,DC=contoso,DC=example"

    @pytest.mark.parametrize(
        ("name", "options", "reason"),
        [
            ("ALICE", {}, "name-taken"),
            ("bob", {"upn": "Alice@contoso.example"}, "upn-taken"),
            ("bob", {"user_class": "device"}, "no-such-class"),
            ("bob", {"attributes": {"nonsense": "x"}}, "no-such-attribute"),
            ("bob", {"attributes": {"unicodePwd": "x"}}, "attribute-not-writable"),
            ("bob", {"attributes": {"mail": ["a", "b"]}}, "attribute-single-valued"),
            ("bob", {"attributes": {"employeeType": ""}}, "attribute-invalid"),
            ("bob", {"attributes": {"c": "Germany"}}, "attribute-invalid"),
            ("bob", {"ou": "DC=else"}, "bad-name"),
            ("bob", {"ou": "nonsense"}, "bad-name"),
            ("bob", {"ou": "CN=Nowhere"}, "no-such-container"),
            ("bob", {"password": "short", "check_policy": True}, "password-too-short"),
            ("bob", {"password": "Bob-the-2nd", "check_policy": True}, "password-too-short"),
        ],
    )
    def test_refused(self, lab, name, options, reason):
        """What can't be made is refused, and nothing is left behind."""
        lab.user()
        before = lab.domain.version
        if options.get("password") == "Bob-the-2nd":
            lab.domain.set_policy(min_length=20)
            before = lab.domain.version
        assert reason_of(lab.user, name, **options) == reason
        assert lab.domain.version == before

    def test_given_password_is_taken(self, lab):
        """A given password is not asked whether it is a good one."""
        lab.user(password="x")
        assert lab.domain.logon("alice", "x") == "ok"

    def test_strange_names(self, lab):
        """Names with what a DN has to escape, and of other scripts."""
        for name in ("Smith, John", "a+b=c", ' "quoted" ', "#1", "Ἀλέξανδρος", "山田太郎", "x\\y", "new\nline"):
            lab.user(name)
            account = lab.domain.find(name)
            assert account.name == name
            connection = lab.connector()
            assert connection.search(account.dn, "(objectClass=*)", "BASE", attributes=["sAMAccountName"])
            assert connection.response[0]["attributes"]["sAMAccountName"] == [name]


class TestFind:
    """Finding users."""

    def test_deleted(self, lab):
        """A deleted user is found by GUID alone, and the name is free again for another object."""
        guid = lab.domain.create_user("alice", "Winter-2016!")
        lab.domain.delete_user("alice")
        assert reason_of(lab.domain.find, "alice") == "no-such-user"
        gone = lab.domain.by_guid(guid)
        assert (gone.deleted, gone.name, gone.nt_hash) == (True, "alice", b"")
        again = lab.domain.create_user("alice", "Winter-2016!")
        assert again != guid
        assert lab.domain.find("alice").entry.rid != gone.entry.rid

    def test_unknown_guid(self, lab):
        """A GUID of nobody, and one of something that is no user."""
        assert reason_of(lab.domain.by_guid, uuid4()) == "no-such-user"

    def test_all(self, lab):
        """All users come in order of creation, with the built-in ones marked as critical."""
        lab.user()
        found = [(account.name, account.critical) for account in lab.domain.accounts()]
        connector = lab.domain.connector_account()[0]
        assert found == [
            ("Administrator", True),
            ("Guest", True),
            ("krbtgt", True),
            (connector, False),
            ("alice", False),
        ]
        assert connector.startswith("MSOL_")


class TestSet:
    """Changing users."""

    def test_flags(self, lab):
        """Switching flags is one transaction; to what they are, none."""
        lab.user()
        before = lab.domain.version
        lab.domain.set_user("alice", enabled=False, password_never_expires=True)
        account = lab.domain.find("alice")
        assert (account.enabled, account.password_never_expires) == (False, True)
        lab.domain.set_user("alice", enabled=False)
        assert lab.domain.version == before + 1
        assert account.version == 1

    def test_names(self, lab):
        """Principal names stay unique in the whole forest, and a name can be changed to itself in another case."""
        other = lab.forest.add_domain("fabrikam.example")
        other.create_user("carol", "Winter-2016!")
        lab.user()
        assert reason_of(lab.domain.set_user, "alice", upn="carol@fabrikam.example") == "upn-taken"
        lab.domain.set_user("alice", upn="ALICE@contoso.example", attributes={"sAMAccountName": "Alice"})
        assert lab.domain.find("alice").name == "Alice"

    def test_move(self, lab):
        """A move keeps everything but the place."""
        lab.user()
        account = lab.domain.find("alice")
        guid = account.guid
        lab.domain.move_user("alice", "OU=Sales")
        assert (account.guid, account.dn) == (guid, "CN=alice,OU=Sales,DC=contoso,DC=example")
        before = lab.domain.version
        lab.domain.move_user("alice", "OU=Sales")
        assert lab.domain.version == before

    def test_moved_container_is_made_again(self, lab):
        """After an OU was renamed, its old path names a new one."""
        lab.user(ou="OU=Sales")
        assert lab.administrator().modify_dn("OU=Sales,DC=contoso,DC=example", "OU=Selling")
        lab.user("bob", ou="OU=Sales")
        assert lab.domain.find("alice").dn == "CN=alice,OU=Selling,DC=contoso,DC=example"
        assert lab.domain.find("bob").dn == "CN=bob,OU=Sales,DC=contoso,DC=example"


class TestMetadata:
    """Versions and USNs."""

    def test_password_set(self, lab):
        """A password set is one USN and one version more of exactly six attributes."""
        lab.user()
        lab.domain.set_user("alice", display_name="Al")
        entry = lab.domain.find("alice").entry
        keys = ["unicodepwd", "dbcspwd", "ntpwdhistory", "lmpwdhistory", "supplementalcredentials", "pwdlastset"]
        before = lab.domain.version
        lab.wait(seconds=5)
        lab.domain.reset_password("alice", "Spring-2017!")
        assert lab.domain.version == entry.usn == before + 1
        assert {key for key, stamp in entry.stamps.items() if stamp.local_usn == entry.usn} == set(keys)
        assert all(entry.stamps[key].version == 2 for key in keys)
        assert entry.stamps["displayname"].version == 2
        assert entry.stamp("samaccountname").version == 1

    def test_group_membership_is_the_groups(self, lab):
        """Membership changes the group, not the user."""
        dn = lab.user()
        entry = lab.domain.find("alice").entry
        usn = entry.usn
        group = "CN=Domain Guests,CN=Users,DC=contoso,DC=example"
        assert lab.administrator().modify(group, {"member": [("MODIFY_ADD", [dn])]})
        assert entry.usn == usn
        assert entry.get("memberof") == group
        lab.domain.delete_user("alice")
        assert lab.domain.controller().replica.resolve(
            [("CN", "Domain Guests"), ("CN", "Users"), ("DC", "contoso"), ("DC", "example")]
        ).get("member") is None  # fmt: skip

    def test_log_is_compacted(self, lab):
        """Thousands of changes to one object keep one record of it, and the order of all."""
        lab.user("alice")
        lab.user("bob")
        log = lab.domain.controller().replica.log
        for number in range(3000):
            lab.domain.set_user("alice", attributes={"title": f"no {number}"})
        assert len(log._entries) < 1500
        entries = list(log.since(0))
        assert [entry.rdn for entry in entries[-2:]] == ["bob", "alice"]
        assert sorted(entry.guid for entry in entries) == sorted(lab.domain.controller().replica.by_guid)


class TestDomain:
    """Policies, controllers, the connector, determinism."""

    def test_policy_is_shown(self, lab):
        """A changed policy holds at once and shows at the domain's root."""
        lab.user()
        lab.domain.set_policy(min_length=14, max_age=None)
        assert reason_of(lab.domain.reset_password, "alice", "Spring-2017!") == "password-too-short"
        root = lab.domain.controller().replica.root
        assert (root.get("minpwdlength"), root.get("maxpwdage")) == (14, -(1 << 63))

    def test_fine_grained(self, lab):
        """A fine-grained policy holds for those whom it names; the lowest precedence wins."""
        lab.user("alice")
        lab.user("bob")
        strict, lax = DomainPolicy(min_length=20), DomainPolicy(min_length=1, complexity=False)
        lab.domain.add_fine_grained(FineGrainedPolicy("strict", 10, frozenset({"alice"}), strict))
        lab.domain.add_fine_grained(FineGrainedPolicy("lax", 5, frozenset({"bob"}), lax))
        lab.domain.add_fine_grained(FineGrainedPolicy("ignored", 20, frozenset({"alice"}), lax))
        assert reason_of(lab.domain.reset_password, "alice", "Spring-2017!") == "password-too-short"
        lab.domain.reset_password("bob", "x")

    def test_on_change(self, lab):
        """Watchers hear of every change."""
        heard = []
        lab.domain.on_change.append(heard.append)
        lab.user()
        lab.domain.delete_user("alice")
        assert heard == [lab.domain, lab.domain]

    def test_unknown_right(self, lab):
        """A right that there is not is a mistake of the caller."""
        with pytest.raises(ValueError, match="replicate-changes-all"):
            lab.domain.grant("everything")

    def test_controllers(self, lab):
        """Each controller begins with a copy of the domain under its own USNs, and draws its own identifiers."""
        domain = lab.forest.add_domain("fabrikam.example", controllers=("dc1", "dc2"))
        one, two = domain.controller("dc1").replica, domain.controller("dc2").replica
        assert set(one.by_guid) == set(two.by_guid)
        assert {entry.dn for entry in one.by_guid.values()} == {entry.dn for entry in two.by_guid.values()}
        assert two.known == {one.invocation: one.usn}
        domain.create_user("alice", "Winter-2016!", on="dc1")
        domain.create_user("bob", "Winter-2016!", on="dc2")
        assert reason_of(domain.find, "alice", on="dc2") == "no-such-user"
        assert abs(domain.find("alice").entry.rid - domain.find("bob", on="dc2").entry.rid) > 400
        assert domain.logon("Administrator", domain.administrator_password, on="dc2") == "ok"

    def test_same_seed_same_domain(self, lab):
        """The same seed gives the same GUIDs, SIDs and secrets; another seed others."""

        def fingerprint(seed):
            forest = Forest("f", lab.clock, Randomness(seed))
            domain = forest.add_domain("contoso.example")
            domain.create_user("alice", "Winter-2016!")
            return [
                (a.guid, a.nt_hash, a.attribute("objectSid")) for a in domain.accounts()
            ], domain.connector_account()

        assert fingerprint(1) == fingerprint(1) != fingerprint(2)

    def test_twice(self, lab):
        """A forest has one domain of a name."""
        with pytest.raises(ValueError, match="already"):
            lab.forest.add_domain("contoso.example")
