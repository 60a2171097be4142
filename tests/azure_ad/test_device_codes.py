"""The device code grant: codes, waiting, the page, and what comes of it."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.azure_ad.device_codes import DeviceCodes
from simulator.clock import Clock
from simulator.random import Randomness

BASE = "https://login.microsoftonline.com"
CLIENT = "14d82eec-204b-4c2f-b7e8-296a70dab67e"
GOOD = "Winter-2016!"
GRANT = "urn:ietf:params:oauth:grant-type:device_code"
START = datetime.fromisoformat("2017-01-13T09:00:00Z")


@pytest.fixture
def post(ask, tenant):
    def send(path, **form):
        answer = ask("POST", f"{BASE}/{tenant.tenant_id}/{path}", data=form)
        return answer.status, json.loads(answer.body)

    return send


@pytest.fixture
def flow(post):
    """A device's sign-in that has begun."""
    status, body = post("oauth2/v2.0/devicecode", client_id=CLIENT, scope="User.Read openid offline_access")
    assert status == 200
    return body


@pytest.fixture
def poll(post, flow):
    def send(**changes):
        form = {"grant_type": GRANT, "client_id": CLIENT, "device_code": flow["device_code"]}
        status, body = post("oauth2/v2.0/token", **(form | changes))
        return (status, body) if status == 200 else (status, body["error"])

    return send


@pytest.fixture
def page(ask, flow):
    """Send the page's form -> (status, text)."""

    def send(**changes):
        form = {"user_code": flow["user_code"], "username": "alice@contoso.example", "password": GOOD}
        answer = ask("POST", f"{BASE}/device", data=form | changes)
        return answer.status, answer.body.decode()

    return send


@pytest.fixture
def alice(tenant, synchronize):
    return synchronize(tenant, "alice", GOOD)


class TestBeginning:
    def test_codes(self, flow):
        """The device gets a code for itself, one to show, and where to go."""
        assert (flow["expires_in"], flow["interval"], flow["verification_uri"]) == (900, 5, f"{BASE}/device")
        assert len(flow["user_code"]) == 9
        assert flow["user_code"] in flow["message"]

    def test_older_endpoint(self, post):
        """The older endpoint writes numbers as texts and calls the page's address verification_url."""
        body = post("oauth2/devicecode", client_id=CLIENT, resource="https://graph.microsoft.com")[1]
        assert (body["expires_in"], body["interval"], body["verification_url"]) == ("900", "5", f"{BASE}/device")

    @pytest.mark.parametrize(
        ("form", "code"),
        [
            ({"scope": "User.Read"}, 900144),
            ({"client_id": CLIENT}, 900144),
            ({"client_id": CLIENT, "scope": "https://a.example/.default https://b.example/.default"}, 28000),
        ],
    )
    def test_refuses(self, post, form, code):
        """What is missing or makes no sense is told before anybody is sent to a browser."""
        assert post("oauth2/v2.0/devicecode", **form)[1]["error_codes"] == [code]


class TestWaiting:
    def test_pending_then_signed_in(self, poll, page, alice, later):
        """Until somebody has signed in the device waits; then it gets its tokens, once."""
        assert poll() == (400, "authorization_pending")
        later(seconds=5)
        assert poll() == (400, "authorization_pending")
        assert page()[0] == 200
        status, body = poll()
        assert (status, {"access_token", "refresh_token", "id_token"} <= set(body)) == (200, True)
        assert poll() == (400, "invalid_grant")

    def test_slow_down(self, poll, later):
        """A device that comes too early has to wait 5 seconds longer from then on."""
        poll()
        later(seconds=4)
        assert poll() == (400, "slow_down")
        later(seconds=9)
        assert poll() == (400, "slow_down")
        later(seconds=15)
        assert poll() == (400, "authorization_pending")

    def test_expires(self, poll, page, alice, later):
        """After 15 minutes the codes are good for nothing, though somebody had signed in."""
        page()
        later(minutes=15)
        assert poll() == (400, "expired_token")
        assert page()[0] == 400

    def test_declined(self, poll, page, tenant):
        """Whoever cancels on the page declines; nobody has signed in."""
        assert "not signed in" in page(action="decline")[1]
        assert poll() == (400, "authorization_declined")
        assert tenant.sign_in_log == []

    def test_not_ours(self, poll, page, alice):
        """Another code, and another client's, are not known; the right client still gets its tokens."""
        page()
        assert poll(device_code="0" * 64) == (400, "bad_verification_code")
        assert poll(client_id="another") == (400, "bad_verification_code")
        assert poll()[0] == 200

    def test_older_words(self, post, flow, page, alice, later):
        """The older endpoint takes ``code``, and calls an expired one code_expired."""
        form = {"grant_type": "device_code", "client_id": CLIENT, "code": flow["device_code"]}
        assert post("oauth2/token", **form)[1]["error"] == "authorization_pending"
        later(minutes=15)
        assert post("oauth2/token", **form)[1]["error"] == "code_expired"

    @pytest.mark.parametrize(("state", "code"), [("disabled", 50057), ("deleted", 50034)])
    def test_user_gone_meanwhile(self, poll, page, tenant, alice, post, flow, state, code):
        """A user who was disabled or deleted after signing in brings no tokens."""
        page()
        if state == "disabled":
            tenant.set_user(alice, enabled=False)
        else:
            tenant.delete_user(alice)
        form = {"grant_type": GRANT, "client_id": CLIENT, "device_code": flow["device_code"]}
        assert post("oauth2/v2.0/token", **form)[1]["error_codes"] == [code]


class TestPage:
    def test_form(self, ask):
        """The page is a form; a code in its address is filled in, as text."""
        answer = ask("GET", f'{BASE}/device?otc="><script>alert(1)</script>')
        text = answer.body.decode()
        assert "<script>" not in text
        assert "&lt;script&gt;" in text
        assert "default-src 'none'" in dict(answer.headers)["Content-Security-Policy"]

    def test_typed_loosely(self, page, flow, alice):
        """A code may be typed in small letters, with blanks and dashes."""
        code = flow["user_code"].lower()
        assert page(user_code=f" {code[:4]}-{code[4:]} ")[0] == 200

    def test_real_sign_in(self, page, tenant, alice):
        """What is typed is a sign-in: wrong passwords count towards lockout, and are not shown again."""
        for number in range(10):
            status, text = page(password=f"wrong-{number}")
            assert (status, "AADSTS50126" in text, f"wrong-{number}" in text) == (400, True, False)
        assert "AADSTS50053" in page()[1]
        assert len(tenant.sign_in_log) == 11

    def test_must_change(self, page, poll, tenant, alice):
        """A password that has to be changed first signs no device in."""
        tenant.reset_password(alice, GOOD, must_change=True)
        assert "AADSTS50055" in page()[1]
        assert poll() == (400, "authorization_pending")

    def test_hostile(self, ask, page):
        """Endless forms, wrong codes and markup in names are answered by the page."""
        assert page(user_code="")[0] == page(user_code="ABCDEFGHJ")[0] == 400
        assert "<b>" not in page(username="<b>\x00")[1]
        answer = ask("POST", f"{BASE}/device", data=b"a=1&" * 5000)
        assert (answer.status, b"too many fields" in answer.body) == (400, True)


def test_session_ends_with_the_password(poll, page, alice, post, tenant):
    """A public client's session by device code ends as one by password does."""
    page()
    token = poll()[1]["refresh_token"]
    tenant.reset_password(alice, "Helpdesk-77!")
    form = {"grant_type": "refresh_token", "client_id": CLIENT, "refresh_token": token, "scope": "User.Read"}
    assert post("oauth2/v2.0/token", **form)[1]["error_codes"] == [50173]


@given(st.lists(st.integers(0, 30), max_size=30))
def test_never_signed_in_by_waiting(waits):
    """However a device asks, nothing comes of it as long as nobody has signed in."""
    clock = Clock(START)
    codes = DeviceCodes(clock, Randomness(1))
    code = codes.begin(CLIENT, "User.Read")
    for seconds in waits:
        clock.move_to(clock() + timedelta(seconds=seconds))
        assert codes.ask(code) in {"pending", "slow-down", "expired"}
        assert (codes.ask(code) == "expired") == (clock() >= code.expires)


def test_oldest_are_forgotten():
    """A thousand sign-ins under way are kept, and no more."""
    codes = DeviceCodes(Clock(START), Randomness(1))
    first = codes.begin(CLIENT, "")
    made = [codes.begin(CLIENT, "") for _ in range(1000)]
    assert codes.by_device_code(first.device_code) is None
    assert len({code.user_code for code in made}) == 1000
