"""Binding over ldap3: names, sub-codes, lockout, grace."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest
from ldap3 import MODIFY_REPLACE

from simulator.active_directory import names, writes
from simulator.active_directory.errors import LdapError
from simulator.active_directory.ldap import connect
from simulator.active_directory.session import Session


def outcome(lab, password="Winter-2016!", name="CONTOSO\\alice"):
    """``ok`` or the sub-code of a refused bind."""
    connection = lab.bind(name, password)
    if connection.result["result"] == 0:
        return "ok"
    assert connection.result["result"] == 49
    message = connection.result["message"]
    assert message.startswith("80090308: LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext error, data ")
    return message.split("data ")[1].split(",")[0]


@pytest.mark.parametrize(
    "name",
    [
        "CONTOSO\\alice",
        "contoso.example\\ALICE",
        "alice@contoso.example",
        "al@else.example",
        "CN=alice,OU=People,DC=contoso,DC=example",
        "cn=ALICE, ou=people, dc=CONTOSO, dc=example",
        "contoso.example/People/alice",
        "CONTOSO.example/people\nALICE",
        "{guid}",
        "{{{guid}}}",
        "Alice Smith",
        "http/web.contoso.example",
        "host/web.contoso.example",
        "CIFS/Web.contoso.example",
        "{sid}",
        "<GUID={guid}>",
        "<SID={sid}>",
        "<guid={guid}>",
    ],
)
def test_names(lab, name):
    """Every form of a name that [MS-ADTS] 5.1.1.1.1 lists is one's own."""
    services = ["HTTP/web.contoso.example", "HOST/web.contoso.example"]
    lab.user(upn="al@else.example", display_name="Alice Smith", attributes={"servicePrincipalName": services})
    account = lab.domain.find("alice")
    sid = names.sid_text(account.attribute("objectSid")[0])
    assert outcome(lab, name=name.format(guid=account.guid, sid=sid)) == "ok"


def test_account_name_alone(lab):
    """A sAMAccountName alone is no name of a bind, unless it is the displayName too."""
    lab.user(display_name="Alice Smith")
    lab.user("bob")
    assert outcome(lab, name="alice") == "525"
    assert outcome(lab, name="bob") == "ok"


def test_ambiguous_name(lab):
    """A display name of two people names neither; a name that an earlier form knows is not ambiguous."""
    lab.user(display_name="Kim")
    lab.user("bob", display_name="KIM")
    assert outcome(lab, name="kim") == "57"
    lab.user("carol", upn="kim")
    assert outcome(lab, name="kim") == "ok"


@pytest.mark.parametrize(
    "name",
    ["CONTOSO\\nobody", "OTHER\\alice", "CN=x,DC=contoso,DC=example", "=,=", "Domain Admins",
     "OU=People,DC=contoso,DC=example", "contoso.example/", "contoso.example/People/nobody", "contoso.example//",
     "a/b/c", "\n", "\0", "@", "\\", "S-1-5-21-1", "S-1-5-21-1-2-3-500",
     "{00000000-0000-0000-0000-000000000000}", "-", "x" * 100_000, "=" * 1000],
)  # fmt: skip
def test_unknown_names(lab, name):
    """A name that is nobody's is data 525."""
    lab.user()
    assert outcome(lab, name=name) == "525"


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({}, "ok"),
        ({"enabled": False}, "533"),
        ({"must_change": True}, "773"),
        ({"password_age": timedelta(days=50)}, "532"),
    ],
)
def test_sub_codes(lab, options, code):
    """The account's state has its sub-code; a wrong password is 52e whatever else is wrong."""
    lab.user(**options)
    assert outcome(lab) == code
    assert outcome(lab, "wrong") == "52e"


REASONS = ("775", "533", "701", "530", "531", "773", "532")
"""Sub-codes in the order in which one hides the others, with the right password."""


@pytest.mark.parametrize("reasons", [each for size in range(8) for each in itertools.combinations(REASONS, size)])
def test_precedence(lab_with, reasons):
    """Whatever is wrong with an account together, the first in the order is told; a wrong password is 52e but for a
    locked account."""
    lab = lab_with(lockout_threshold=1)
    lab.user(
        enabled="533" not in reasons,
        account_expires=lab.clock() - timedelta(seconds=1) if "701" in reasons else None,
        must_change="773" in reasons,
        password_age=timedelta(days=50) if "532" in reasons else None,
    )
    entry, replica = lab.domain.find("alice").entry, lab.domain.controller().replica
    replica.write(entry, {"logonhours": bytes(21)} if "530" in reasons else {}, 0)
    replica.write(entry, {"userworkstations": "pc1,pc2"} if "531" in reasons else {}, 0)
    if "775" in reasons:
        assert outcome(lab, "wrong") == "52e"
    assert outcome(lab) == (reasons[0] if reasons else "ok")
    assert outcome(lab, "wrong") == ("775" if "775" in reasons else "52e")


def test_logon_hours(lab):
    """logonHours has a bit for each hour of the week in UTC, from Sunday's first: Friday 09:00 is bit 129."""
    dn = lab.user()
    hours = bytearray(21)
    hours[129 // 8] |= 1 << 129 % 8
    assert lab.administrator().modify(dn, {"logonHours": [(MODIFY_REPLACE, [bytes(hours)])]})
    assert outcome(lab) == "ok"
    lab.wait(minutes=59)
    assert outcome(lab) == "ok"
    lab.wait(minutes=1)
    assert outcome(lab) == "530"
    assert lab.domain.logon("alice", "Winter-2016!") == "logon-hours"
    lab.wait(days=7, hours=-1)
    assert outcome(lab) == "ok"


@pytest.mark.parametrize(
    ("workstations", "code"), [("pc1", "531"), ("pc1, DC1 ", "ok"), ("dc1", "ok"), (",", "ok"), ("dc", "531")]
)
def test_workstations(lab, workstations, code):
    """A simple bind happens on the controller: it has to be among the workstations. A person's logon names none."""
    dn = lab.user()
    assert lab.administrator().modify(dn, {"userWorkstations": [(MODIFY_REPLACE, [workstations])]})
    assert outcome(lab) == code
    assert lab.domain.logon("alice", "Winter-2016!") == "ok"


def test_never_expires(lab):
    """accountExpires 0 and the greatest number mean never; one tick after the beginning of time means long ago."""
    dn = lab.user()
    admin = lab.administrator()
    for value, code in (("0", "ok"), ("1", "701"), (str((1 << 63) - 1), "ok")):
        assert admin.modify(dn, {"accountExpires": [(MODIFY_REPLACE, [value])]})
        assert outcome(lab) == code


def test_without_password(lab):
    """A name without a password binds as nobody, even a name that nobody has; a wrong one is never taken for it."""
    lab.user()
    for name in ("CONTOSO\\alice", "nobody", ""):
        session = Session(lab.domain.controller())
        session.bind(name, "")
        assert session.user is None
        with pytest.raises(LdapError) as caught:
            writes.modify(session, "CN=alice,OU=People,DC=contoso,DC=example", [])
        assert (caught.value.code, caught.value.text[:8]) == (1, "00002020")


def test_wrong_passwords_on_each_controller(lab_with):
    """badPwdCount is each controller's own."""
    lab = lab_with()
    domain = lab.forest.add_domain("fabrikam.example", controllers=("dc1", "dc2"))
    domain.create_user("alice", "Winter-2016!")
    domain.replicate()
    domain.logon("alice", "wrong", on="dc2")
    assert domain.find("alice", on="dc1").attribute("badPwdCount") == (0,)
    assert domain.find("alice", on="dc2").attribute("badPwdCount") == (1,)


def test_previous_password_is_not_counted(lab_with):
    """Within its hour the previous password binds; after it it is wrong and still not counted, and nor is the one
    before it."""
    lab = lab_with(lockout_threshold=1)
    lab.user(password="Pass-word-0")
    lab.domain.change_password("alice", "Pass-word-0", "Pass-word-1")
    lab.domain.change_password("alice", "Pass-word-1", "Pass-word-2")
    assert (outcome(lab, "Pass-word-1"), outcome(lab, "Pass-word-0")) == ("ok", "52e")
    lab.wait(minutes=61)
    assert (outcome(lab, "Pass-word-1"), outcome(lab, "Pass-word-2")) == ("52e", "ok")


def test_first_bind_is_noted(lab):
    """The first bind writes lastLogonTimestamp, which takes a USN; the next does not."""
    lab.user()
    before = lab.domain.version
    assert outcome(lab) == "ok"
    assert lab.domain.version == before + 1
    assert outcome(lab) == "ok"
    assert outcome(lab, "wrong") == "52e"
    assert lab.domain.version == before + 1


def test_account_expired(lab):
    """An expired account is data 701."""
    lab.user(account_expires=lab.clock() - timedelta(days=1))
    assert outcome(lab) == "701"


def test_lockout(lab_with):
    """The third wrong password locks: 775 with right and wrong ones, until 30 minutes have passed."""
    lab = lab_with(lockout_threshold=3)
    lab.user()
    assert [outcome(lab, "wrong") for _ in range(4)] == ["52e", "52e", "52e", "775"]
    lab.wait(minutes=29)
    assert outcome(lab) == "775"
    lab.wait(minutes=2)
    assert outcome(lab) == "ok"


def test_grace(lab):
    """After a change the previous password binds for 60 minutes, without being counted."""
    lab.user()
    lab.domain.change_password("alice", "Winter-2016!", "Spring-2017!")
    assert outcome(lab) == "ok"
    lab.wait(minutes=59)
    assert outcome(lab) == "ok"
    lab.wait(minutes=1)
    assert outcome(lab) == "52e"
    assert outcome(lab, "Spring-2017!") == "ok"


def test_no_grace_for_a_temporary_password(lab):
    """While the password must be changed the previous one is wrong, however young the new one is."""
    lab.user()
    lab.domain.reset_password("alice", "Spring-2017!", must_change=True)
    assert outcome(lab) == "52e"
    assert outcome(lab, "Spring-2017!") == "773"
    lab.domain.require_change("alice", required=False)
    assert outcome(lab) == "ok"


def test_unbind_forgets(lab):
    """After an unbind the next user starts as nobody."""
    lab.user()
    connection = lab.bind("CONTOSO\\alice", "Winter-2016!")
    connection.unbind()
    assert connection.strategy.session.user is None


def test_failed_rebind_is_anonymous(lab):
    """A refused bind leaves the connection anonymous (RFC 4511 4.2.1)."""
    lab.user()
    connection = lab.bind("CONTOSO\\alice", "Winter-2016!")
    connection.rebind(user="CONTOSO\\alice", password="wrong")
    connection.search("DC=contoso,DC=example", "(cn=Users)", attributes=["cn"])
    assert connection.result["result"] == 1


def test_deleted_user_stays_bound(lab):
    """A user who is deleted keeps the open connection, and gets no new one."""
    lab.user()
    connection = lab.bind("CONTOSO\\alice", "Winter-2016!")
    lab.domain.delete_user("alice")
    connection.search("DC=contoso,DC=example", "(cn=Users)", attributes=["cn"])
    assert connection.result["result"] == 0
    assert outcome(lab) == "525"


def test_open_is_not_bound(lab):
    """A new connection is neither open nor bound."""
    connection = connect(lab.domain.controller(), "x", "y")
    assert connection.closed
    assert not connection.bound
