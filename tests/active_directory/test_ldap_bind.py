"""Binding over ldap3: names, sub-codes, lockout, grace."""

from __future__ import annotations

from datetime import timedelta

import pytest

from simulator.active_directory.ldap import connect


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
    ],
)
def test_names(lab, name):
    """A bind takes a DN, a principal name, an implicit principal name, or DOMAIN\\name."""
    lab.user(upn="al@else.example")
    assert outcome(lab, name=name) == "ok"


@pytest.mark.parametrize(
    "name", ["CONTOSO\\nobody", "OTHER\\alice", "CN=x,DC=contoso,DC=example", "=,=", "Domain Admins"]
)
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


def test_deleted_user_is_anonymous(lab):
    """A user who is deleted loses the connection's rights at once."""
    lab.user()
    connection = lab.bind("CONTOSO\\alice", "Winter-2016!")
    lab.domain.delete_user("alice")
    connection.search("DC=contoso,DC=example", "(cn=Users)", attributes=["cn"])
    assert connection.result["result"] == 1
    assert outcome(lab) == "525"


def test_open_is_not_bound(lab):
    """A new connection is neither open nor bound."""
    connection = connect(lab.domain.controller(), "x", "y")
    assert connection.closed
    assert not connection.bound
