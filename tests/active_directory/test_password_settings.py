"""Password settings: the domain's on its root, and objects of their own, through LDAP and by the world's calls."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ldap3 import BASE, MODIFY_ADD, MODIFY_DELETE, MODIFY_REPLACE

from simulator.active_directory import password_settings, times
from simulator.active_directory.policy import DomainPolicy
from simulator.active_directory.state import FineGrainedPolicy
from simulator.refusal import Refusal

ROOT = "DC=contoso,DC=example"
HOLDER = f"CN=Password Settings Container,CN=System,{ROOT}"
DAY = times.ticks(timedelta(days=1))
STRICT = {
    "msDS-PasswordSettingsPrecedence": "10",
    "msDS-PasswordReversibleEncryptionEnabled": "FALSE",
    "msDS-PasswordHistoryLength": "3",
    "msDS-PasswordComplexityEnabled": "FALSE",
    "msDS-MinimumPasswordLength": "20",
    "msDS-MinimumPasswordAge": "0",
    "msDS-MaximumPasswordAge": str(-10 * DAY),
    "msDS-LockoutThreshold": "0",
    "msDS-LockoutObservationWindow": str(-times.ticks(timedelta(minutes=30))),
    "msDS-LockoutDuration": str(-times.ticks(timedelta(minutes=30))),
}


def quoted(password):
    """A password as unicodePwd takes it."""
    return f'"{password}"'.encode("utf-16-le")


def reset(connection, dn, password):
    """Result and Win32 code of a reset."""
    connection.modify(dn, {"unicodePwd": [(MODIFY_REPLACE, [quoted(password)])]})
    return connection.result["result"], connection.result["message"][:8]


def read(connection, dn, name):
    """One attribute's values."""
    connection.search(dn, "(objectClass=*)", BASE, attributes=[name])
    return connection.response[0]["raw_attributes"].get(name, [])


def make(connection, name="Strict", **changes):
    """Add a password settings object; its DN."""
    dn = f"CN={name},{HOLDER}"
    attributes = STRICT | {key.replace("_", "-"): value for key, value in changes.items()}
    connection.add(dn, ["top", "msDS-PasswordSettings"], {key: value for key, value in attributes.items() if value})
    return dn


class TestThroughLdap:
    """Objects below the container."""

    def test_holds(self, lab):
        """Length 20, no complexity, ten days: shown as the resultant object, in the expiry, and enforced."""
        dn = lab.user()
        admin = lab.administrator()
        settings = make(admin, msDS_PSOAppliesTo=[dn])
        assert admin.result["result"] == 0
        assert read(admin, dn, "msDS-ResultantPSO") == [settings.encode()]
        assert read(admin, dn, "msDS-PSOApplied") == [settings.encode()]
        last_set = int(read(admin, dn, "pwdLastSet")[0])
        assert read(admin, dn, "msDS-UserPasswordExpiryTimeComputed") == [b"%d" % (last_set + 10 * DAY)]
        assert reset(admin, dn, "Nineteen-letters-9!") == (19, "0000052D")
        assert reset(admin, dn, "twenty letters later") == (0, "")
        lab.wait(days=11)
        assert lab.domain.logon("alice", "twenty letters later") == "expired"

    def test_nobody_else(self, lab):
        """Whom it does not name the domain's policy holds for, and shows no resultant object."""
        lab.user()
        bob = lab.user("bob")
        admin = lab.administrator()
        make(admin, msDS_PSOAppliesTo=[lab.domain.find("alice").dn])
        assert read(admin, bob, "msDS-ResultantPSO") == []
        assert reset(admin, bob, "Spring-2017!") == (0, "")

    @pytest.mark.parametrize("name", sorted(STRICT))
    def test_all_are_mandatory(self, lab, name):
        """Without any one of its attributes the object is not made, and none of them can be removed."""
        admin = lab.administrator()
        before = lab.domain.version
        make(admin, **{name.replace("-", "_"): ""})
        assert (admin.result["result"], admin.result["message"][:8]) == (65, "0000207C")
        assert lab.domain.version == before
        dn = make(admin)
        admin.modify(dn, {name: [(MODIFY_DELETE, [])]})
        assert (admin.result["result"], admin.result["message"][:8]) == (65, "0000207C")

    @pytest.mark.parametrize(
        ("name", "value", "result"),
        [
            ("msDS-PasswordSettingsPrecedence", "0", 19),
            ("msDS-MinimumPasswordLength", "256", 19),
            ("msDS-PasswordHistoryLength", "1025", 53),
            ("msDS-LockoutThreshold", "65536", 19),
            ("msDS-MaximumPasswordAge", "1", 19),
            ("msDS-MinimumPasswordAge", str(-11 * DAY), 53),
            ("msDS-LockoutDuration", str(-DAY // 1440), 53),
            ("msDS-PasswordComplexityEnabled", "yes", 21),
            ("msDS-PSOAppliesTo", f"CN=nobody,{ROOT}", 19),
        ],
    )
    def test_bad_values(self, lab, name, value, result):
        """Values out of range, and values that contradict each other, are refused when added and when modified."""
        admin = lab.administrator()
        make(admin, **{name.replace("-", "_"): value})
        assert admin.result["result"] == result
        dn = make(admin, "Other")
        before = lab.domain.version
        admin.modify(dn, {name: [(MODIFY_REPLACE, [value])]})
        assert admin.result["result"] == result
        assert lab.domain.version == before

    def test_place(self, lab):
        """Password settings lie in their container only, which stays where it is."""
        admin = lab.administrator()
        admin.add(f"CN=Strict,CN=System,{ROOT}", ["msDS-PasswordSettings"], STRICT)
        assert (admin.result["result"], admin.result["message"][:8]) == (64, "00002099")
        for refuse in (lambda: admin.delete(HOLDER), lambda: admin.modify_dn(HOLDER, "CN=Other")):
            refuse()
            assert admin.result["result"] == 53

    def test_follows(self, lab):
        """Links follow renames; a deleted object holds no more."""
        dn = lab.user()
        admin = lab.administrator()
        settings = make(admin, msDS_PSOAppliesTo=[dn])
        assert admin.modify_dn(dn, "CN=Alice Smith")
        moved = lab.domain.find("alice").dn
        assert read(admin, settings, "msDS-PSOAppliesTo") == [moved.encode()]
        assert admin.delete(settings)
        assert reset(admin, moved, "Spring-2017!") == (0, "")

    def test_others_may_not(self, lab):
        """Password settings are an administrator's."""
        lab.user()
        own = lab.bind("CONTOSO\\alice", "Winter-2016!")
        make(own)
        assert (own.result["result"], own.result["message"][:8]) == (50, "00002098")


class TestResultant:
    """Which of several holds."""

    def settings(self, lab, name, precedence, *applies_to):
        policy = DomainPolicy(min_length=precedence)
        lab.domain.add_fine_grained(FineGrainedPolicy(name, precedence, frozenset(applies_to), policy))

    def resultant(self, lab, name="alice"):
        entry = lab.domain.find(name).entry
        found = password_settings.resultant(entry)
        return None if found is None else found.rdn

    def group(self, lab, name, *members, scope=-0x7FFF_FFFE):
        dn = f"CN={name},CN=Users,{ROOT}"
        admin = lab.administrator()
        assert admin.add(dn, ["group"], {"sAMAccountName": name, "groupType": str(scope)})
        assert not members or admin.modify(dn, {"member": [(MODIFY_ADD, list(members))]})
        return dn

    def test_user_before_group(self, lab):
        """What is linked to the user goes before what is linked to a group, whatever the precedence."""
        dn = lab.user()
        self.group(lab, "staff", dn)
        self.settings(lab, "group", 1, "staff")
        assert self.resultant(lab) == "group"
        self.settings(lab, "user", 9, "alice")
        assert self.resultant(lab) == "user"

    def test_lowest_precedence(self, lab):
        """Of several the lowest precedence holds; of equal ones that with the lowest GUID."""
        lab.user()
        self.settings(lab, "ten", 10, "alice")
        self.settings(lab, "five", 5, "alice")
        assert self.resultant(lab) == "five"
        self.settings(lab, "also-five", 5, "alice")
        found = password_settings.applied(lab.domain.find("alice").entry)
        lowest = min((each.guid, each.rdn) for each in found if each.rdn != "ten")
        assert self.resultant(lab) == lowest[1]

    def test_nested_and_primary_group(self, lab):
        """Groups count through other global groups, and the primary one counts; it counts at birth too."""
        dn = lab.user()
        inner = self.group(lab, "inner", dn)
        self.group(lab, "outer", inner)
        self.settings(lab, "outer", 9, "outer")
        assert self.resultant(lab) == "outer"
        self.settings(lab, "everybody", 8, "domain users")
        assert self.resultant(lab) == "everybody"
        admin = lab.administrator()
        attributes = {"sAMAccountName": "bob", "unicodePwd": quoted("Seven-7")}
        admin.add(f"CN=bob,CN=Users,{ROOT}", ["user"], attributes)
        assert (admin.result["result"], admin.result["message"][:8]) == (19, "0000052D")

    @pytest.mark.parametrize("scope", [-0x7FFF_FFFC, -0x7FFF_FFF8, 2])
    def test_other_groups_do_not_count(self, lab, scope):
        """Domain local, universal and distribution groups give nobody a policy."""
        dn = lab.user()
        self.group(lab, "staff", dn, scope=scope)
        self.settings(lab, "group", 1, "staff")
        assert self.resultant(lab) is None

    def test_leaving_a_group(self, lab):
        """Who leaves the group leaves its policy."""
        dn = lab.user()
        staff = self.group(lab, "staff", dn)
        self.settings(lab, "group", 1, "staff")
        assert lab.administrator().modify(staff, {"member": [(MODIFY_DELETE, [dn])]})
        assert self.resultant(lab) is None

    def test_computers_have_none(self, lab):
        """Only normal accounts have a resultant object."""
        lab.user("pc", user_class="computer")
        entry = lab.domain.find("pc").entry
        lab.domain.controller().replica.write(entry, {"useraccountcontrol": 0x1000}, 0)
        self.settings(lab, "machines", 1, "pc")
        assert self.resultant(lab, "pc") is None


class TestWorld:
    """The world's own call."""

    def test_names_that_come_later(self, lab):
        """A policy for a name that nobody has yet holds once somebody has it."""
        policy = DomainPolicy(min_length=30, lockout_threshold=2, max_age=None)
        lab.domain.add_fine_grained(FineGrainedPolicy("later", 1, frozenset({"bob", "alice"}), policy))
        lab.user("bob")
        assert lab.domain.policy_for(lab.domain.find("bob").entry) == policy
        admin = lab.administrator()
        assert admin.add(f"CN=a,CN=Users,{ROOT}", ["user"], {"sAMAccountName": "Alice"})
        assert lab.domain.policy_for(lab.domain.find("alice").entry) == policy

    def test_shown(self, lab):
        """It is an object like any other to LDAP."""
        dn = lab.user()
        rules = DomainPolicy(min_length=9, lockout_duration=timedelta(0), max_age=None)
        lab.domain.add_fine_grained(FineGrainedPolicy("Nine", 4, frozenset({"alice"}), rules))
        admin = lab.administrator()
        settings = f"CN=Nine,{HOLDER}"
        assert read(admin, settings, "msDS-PSOAppliesTo") == [dn.encode()]
        assert read(admin, settings, "msDS-MinimumPasswordLength") == [b"9"]
        assert read(admin, settings, "msDS-MaximumPasswordAge") == [b"-9223372036854775808"]
        assert read(admin, settings, "msDS-LockoutDuration") == [b"-9223372036854775808"]
        admin.modify(settings, {"msDS-MinimumPasswordLength": [(MODIFY_REPLACE, ["12"])]})
        assert lab.domain.policy_for(lab.domain.find("alice").entry).min_length == 12

    def test_name_taken(self, lab):
        """Two of one name are refused."""
        settings = FineGrainedPolicy("Same", 1, frozenset(), DomainPolicy())
        lab.domain.add_fine_grained(settings)
        with pytest.raises(Refusal, match="name-taken"):
            lab.domain.add_fine_grained(settings)

    def test_lockout(self, lab):
        """Its lockout threshold holds for whom it applies to, and for nobody else."""
        lab.user()
        lab.user("bob")
        policy = DomainPolicy(lockout_threshold=1)
        lab.domain.add_fine_grained(FineGrainedPolicy("lock", 1, frozenset({"alice"}), policy))
        for name in ("alice", "bob"):
            lab.domain.logon(name, "wrong")
        assert (lab.domain.logon("alice", "Winter-2016!"), lab.domain.logon("bob", "Winter-2016!")) == ("locked", "ok")

    def test_replicates(self, lab):
        """Each controller judges by what it has: the object and its links come by replication."""
        domain = lab.forest.add_domain("fabrikam.example", controllers=("dc1", "dc2"))
        domain.create_user("alice", "Winter-2016!")
        domain.replicate()
        domain.add_fine_grained(FineGrainedPolicy("lax", 1, frozenset({"alice"}), DomainPolicy(min_length=3)))
        two = domain.find("alice", on="dc2").entry
        assert domain.policy_for(two).min_length == 7
        domain.replicate()
        assert domain.policy_for(two).min_length == 3


class TestDomainPolicy:
    """The root object."""

    @pytest.mark.parametrize(
        ("name", "value", "key", "expected"),
        [
            ("minPwdLength", "12", "min_length", 12),
            ("pwdProperties", "0", "complexity", False),
            ("pwdProperties", "17", "complexity", True),
            ("pwdHistoryLength", "5", "history", 5),
            ("maxPwdAge", str(-90 * DAY), "max_age", timedelta(days=90)),
            ("maxPwdAge", "-9223372036854775808", "max_age", None),
            ("maxPwdAge", "0", "max_age", None),
            ("minPwdAge", str(-DAY), "min_age", timedelta(days=1)),
            ("lockoutThreshold", "5", "lockout_threshold", 5),
            ("lockoutDuration", "-9223372036854775808", "lockout_duration", timedelta(0)),
            ("lockOutObservationWindow", str(-DAY // 1440), "lockout_window", timedelta(minutes=1)),
        ],
    )
    def test_written(self, lab, name, value, key, expected):
        """What an administrator writes on the root is the domain's policy."""
        assert lab.administrator().modify(ROOT, {name: [(MODIFY_REPLACE, [value])]})
        assert getattr(lab.domain.policy, key) == expected

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("maxPwdAge", "1"),
            ("minPwdAge", str(-43 * DAY)),
            ("lockoutDuration", str(-DAY // 1440)),
            ("minPwdLength", "257"),
            ("minPwdLength", "-1"),
            ("pwdHistoryLength", "1025"),
        ],
    )
    def test_contradictions(self, lab, name, value):
        """What makes no sense is refused and changes nothing."""
        admin = lab.administrator()
        before = lab.domain.policy
        admin.modify(ROOT, {name: [(MODIFY_REPLACE, [value])]})
        assert (admin.result["result"], admin.result["message"][:8]) == (53, "000020E7")
        assert lab.domain.policy == before

    def test_other_properties_stay(self, lab):
        """The world's change of complexity leaves other bits of pwdProperties."""
        lab.administrator().modify(ROOT, {"pwdProperties": [(MODIFY_REPLACE, ["17"])]})
        lab.domain.set_policy(complexity=False)
        assert lab.domain.controller().replica.root.get("pwdproperties") == 16

    def test_only_administrators(self, lab):
        """Nobody else changes the policy."""
        lab.user()
        own = lab.bind("CONTOSO\\alice", "Winter-2016!")
        own.modify(ROOT, {"minPwdLength": [(MODIFY_REPLACE, ["0"])]})
        assert own.result["result"] == 50

    @given(
        st.builds(
            DomainPolicy,
            min_length=st.integers(0, 256),
            complexity=st.booleans(),
            history=st.integers(0, 1024),
            max_age=st.none() | st.timedeltas(timedelta(seconds=1), timedelta(days=9999)),
            min_age=st.timedeltas(timedelta(0), timedelta(days=998)),
            lockout_threshold=st.integers(0, 999),
            lockout_duration=st.timedeltas(timedelta(0), timedelta(days=999)),
            lockout_window=st.timedeltas(timedelta(0), timedelta(days=999)),
        )
    )
    def test_round_trip(self, policy):
        """Every policy reads from root and object as it was written."""

        class Shown:
            def __init__(self, values):
                self.values = values

            def integer(self, key):
                return self.values[key]

        assert password_settings.root_rules(Shown(password_settings.root_values(policy))) == policy
        settings = FineGrainedPolicy("x", 1, frozenset(), policy)
        assert password_settings.object_rules(Shown(password_settings.object_values(settings))) == policy
