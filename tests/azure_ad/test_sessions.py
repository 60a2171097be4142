"""Sessions: what ends them and what does not."""

from __future__ import annotations

import pytest

GOOD = "Winter-2016!"


@pytest.fixture
def session(tenant, synchronize):
    return tenant.open_session(synchronize(tenant, "alice", GOOD))


def alice(tenant):
    return tenant.find_by_anchor("alice==")


def test_lives(tenant, session, later):
    """The access token lives for 3599 seconds, the refresh token for 90 days; refreshing renews both."""
    assert tenant.session_state(session) == ("ok", "ok")
    later(seconds=3599)
    assert tenant.session_state(session) == ("expired", "ok")
    assert tenant.refresh(session) == "ok"
    assert tenant.session_state(session) == ("ok", "ok")
    later(days=90)
    assert tenant.session_state(session) == ("expired", "expired")
    assert tenant.refresh(session) == "expired"
    assert tenant.session_state(session) == ("expired", "expired")


def test_synchronized_change_2017(tenant, session, synchronize):
    """In 2017 a synchronized change has no effect on the session."""
    synchronize(tenant, "alice", "Spring-2017!")
    assert tenant.refresh(session) == "ok"


def test_synchronized_change_today(current, synchronize):
    """Today a synchronized change revokes the refresh token; the access token lives on."""
    session = current.open_session(synchronize(current, "alice", GOOD))
    synchronize(current, "alice", "Spring-2017!")
    assert current.session_state(session) == ("ok", "revoked")
    assert current.refresh(session) == "revoked"


def test_reset(tenant, session):
    """An administrator's reset revokes, even at the instant of the sign-in; a session opened after it is good."""
    tenant.reset_password(alice(tenant), "Helpdesk-77!")
    assert tenant.session_state(session) == ("ok", "revoked")
    assert tenant.session_state(tenant.open_session(alice(tenant))) == ("ok", "ok")


def test_own_change(tenant, session):
    """The user's own change in the cloud revokes."""
    tenant.change_password(alice(tenant), GOOD, "Spring-2017!")
    assert tenant.session_state(session)[1] == "revoked"


def test_other_users_reset(tenant, session):
    """Another user's reset revokes nothing of this one."""
    tenant.reset_password(tenant.create_user("bob", GOOD), "Helpdesk-77!")
    assert tenant.session_state(session)[1] == "ok"


def test_expiry_of_the_password(tenant, later):
    """A password's expiry revokes nothing."""
    user = tenant.create_user("bob", GOOD)
    session = tenant.open_session(user)
    later(days=45)
    tenant.refresh(session)
    later(days=46)
    assert tenant.sign_in(user.upn, GOOD).result == "expired"
    assert tenant.refresh(session) == "ok"


def test_disabled_and_deleted(tenant, session):
    """A disabled user's refresh token does not work while disabled; a deleted one's neither."""
    tenant.set_user(alice(tenant), enabled=False)
    assert tenant.session_state(session)[1] == "revoked"
    tenant.set_user(alice(tenant), enabled=True)
    assert tenant.session_state(session)[1] == "ok"
    tenant.delete_user(alice(tenant))
    assert tenant.session_state(session)[1] == "revoked"


def test_many(tenant, session, later):
    """Sessions whose refresh token has expired are forgotten, live ones are not."""
    user = alice(tenant)
    for _ in range(9_999):
        tenant.open_session(user)
    later(days=91)
    last = tenant.open_session(user)
    assert tenant.find_session(session.refresh_token) is None
    assert tenant.find_session(last.refresh_token) is last
