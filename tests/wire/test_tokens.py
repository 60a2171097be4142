"""Access tokens through MSAL, against an authority of this file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest
import requests
import responses

from pwsync.errors import Throttled, TokenError, TransportError
from pwsync.ports import TenantPort
from pwsync.tenant.tokens import CLIENT_ID, SCOPE, TokenSource

AUTHORITY = "https://login.microsoftonline.com"
TENANT = "7f2c4a9e-1111-4222-8333-944455556666"
ACCOUNT = "Sync_SYNC01_0a1b2c3d@contoso.onmicrosoft.com"
TOKEN_URL = f"{AUTHORITY}/{TENANT}/oauth2/v2.0/token"


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2017, 1, 13, 9, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


class Authority:
    """Answers the token endpoint with the next of ``replies``."""

    def __init__(self) -> None:
        self.replies: list[Any] = []
        self.asked: list[dict[str, list[str]]] = []

    def __call__(self, request: requests.PreparedRequest) -> tuple[int, dict[str, str], str]:
        self.asked.append(parse_qs(str(request.body)))
        reply = self.replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        status, headers, body = reply
        return status, headers, body if isinstance(body, str) else json.dumps(body)


def granted(token: str = "access", lifetime: Any = 3599) -> tuple[int, dict[str, str], Any]:
    return 200, {}, {"token_type": "Bearer", "expires_in": lifetime, "access_token": token, "scope": SCOPE}


def refused(text: str = "AADSTS50126: wrong.") -> tuple[int, dict[str, str], Any]:
    return 400, {}, {"error": "invalid_grant", "error_description": text, "error_codes": [50126]}


@pytest.fixture
def authority() -> Iterator[Authority]:
    double = Authority()
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        base = f"{AUTHORITY}/{TENANT}"
        mock.add(
            responses.GET,
            f"{base}/v2.0/.well-known/openid-configuration",
            json={
                "token_endpoint": TOKEN_URL,
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
                "issuer": f"{AUTHORITY}/{TENANT}/v2.0",
            },
        )
        mock.add(
            responses.GET,
            f"{AUTHORITY}/common/userrealm/{ACCOUNT}",
            json={"ver": "1.0", "account_type": "Managed", "domain_name": "contoso.onmicrosoft.com"},
        )
        mock.add_callback(responses.POST, TOKEN_URL, double, content_type="application/json")
        yield double


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def source(clock: Clock) -> TokenSource:
    return TokenSource(TenantPort(requests.Session(), TENANT), ACCOUNT, "Sync-Secret-1!", clock)


class TestToken:
    def test_request(self, authority: Authority, source: TokenSource) -> None:
        """The account signs in with its password, as the product's own application."""
        authority.replies = [granted()]
        assert source.token() == "access"
        (asked,) = authority.asked
        assert asked["grant_type"] == ["password"]
        assert asked["client_id"] == [CLIENT_ID]
        assert asked["username"] == [ACCOUNT]
        assert asked["password"] == ["Sync-Secret-1!"]
        assert SCOPE in asked["scope"][0].split()

    def test_cached_until_it_ends(self, authority: Authority, source: TokenSource, clock: Clock) -> None:
        """A token is used until it ends, then asked for anew."""
        authority.replies = [granted("first"), granted("second")]
        assert (source.valid, source.token(), source.valid) == (False, "first", True)
        clock.now += timedelta(seconds=3598)
        assert (source.valid, source.token()) == (True, "first")
        clock.now += timedelta(seconds=1)
        assert (source.valid, source.token()) == (False, "second")

    @pytest.mark.parametrize("lifetime", [0, -5, True])
    def test_ends_at_once(self, authority: Authority, source: TokenSource, lifetime: Any) -> None:
        """A token without a lifetime is used once."""
        authority.replies = [granted("first", lifetime), granted("second", lifetime)]
        assert [source.token(), source.token()] == ["first", "second"]

    def test_absurd_lifetime(self, authority: Authority, source: TokenSource, clock: Clock) -> None:
        """No token is kept for more than a day."""
        authority.replies = [granted("first", 10**12), granted("second")]
        source.token()
        clock.now += timedelta(days=1)
        assert source.token() == "second"


class TestWhole:
    def test_calls(self, authority: Authority, source: TokenSource) -> None:
        """A sign-in asks for the tenant's addresses and the account's realm, then for the token, and nothing else."""
        authority.replies = [granted()]
        source.token()
        (asked,) = authority.asked
        assert set(asked) == {
            "client_id", "grant_type", "scope", "username", "password", "client_info", "claims",
        } - ({"claims"} - set(asked))  # fmt: skip
        assert asked["scope"][0].split().count(SCOPE) == 1

    @pytest.mark.parametrize(
        ("reply", "kind", "text"),
        [
            (refused("AADSTS50126: wrong."), TokenError, "AADSTS50126: wrong."),
            ((400, {}, {"error": "invalid_grant"}), TokenError, "invalid_grant"),
            ((200, {}, {}), TokenError, "The authority gave no token."),
            ((200, {}, {"access_token": ""}), TokenError, "The authority gave no token."),
            ((429, {"Retry-After": "7"}, "{}"), Throttled, "The remote server returned an error: (429)."),
            ((500, {}, "{}"), Throttled, "The remote server returned an error: (500)."),
            ((499, {}, {"error": "x"}), TokenError, "x"),
            (requests.exceptions.ReadTimeout("secret"), TransportError,
             "The authority could not be reached: ReadTimeout."),
            ((200, {}, "<html>"), TransportError,
             "The answer of the authority could not be read: Expecting value: line 1 column 1 (char 0)"),
        ],
    )  # fmt: skip
    def test_words(self, authority: Authority, source: TokenSource, reply: Any, kind: type, text: str) -> None:
        """Each failure has its kind and its words."""
        authority.replies = [reply]
        with pytest.raises((TokenError, Throttled, TransportError)) as caught:
            source.token()
        assert (type(caught.value), str(caught.value)) == (kind, text)
        assert caught.value.retry_after == (7.0 if "429" in text else None)

    @pytest.mark.parametrize(
        ("lifetime", "seconds"), [(3599, 3599), (1, 1), (0, 0), (-1, 0), (True, 0), ("x", None), (86_400, 86_400),
                                  (86_401, 86_400)],
    )  # fmt: skip
    def test_lifetime(
        self, authority: Authority, source: TokenSource, clock: Clock, lifetime: Any, seconds: int | None
    ) -> None:
        """A token lives as long as it says, a day at most; its life begins when it is asked for."""
        authority.replies = [granted(lifetime=lifetime)]
        if seconds is None:
            with pytest.raises(TransportError):
                source.token()
            return
        source.token()
        assert source._expires == clock.now + timedelta(seconds=seconds)

    def test_retry_after_as_date(self, authority: Authority, source: TokenSource) -> None:
        """A pause that ends at a time counts from now."""
        authority.replies = [(503, {"Retry-After": "Fri, 13 Jan 2017 09:01:30 GMT"}, "")]
        with pytest.raises(Throttled) as caught:
            source.token()
        assert caught.value.retry_after == 90.0

    def test_assumed(self, authority: Authority, source: TokenSource, clock: Clock) -> None:
        """A token that is assumed comes when it is needed, and ends when it would have ended."""
        start = clock.now
        assert source.assume()
        assert (source.valid, source.assume(), authority.asked) == (True, False, [])
        clock.now += timedelta(seconds=3598)
        authority.replies = [granted("late")]
        source.make_good()
        source.make_good()
        assert (source._token, source._expires, len(authority.asked)) == ("late", start + timedelta(seconds=3599), 1)
        assert source.token() == "late"
        clock.now += timedelta(seconds=1)
        assert not source.valid
        source.make_good()
        assert len(authority.asked) == 1
        assert source.assume()
        authority.replies = [granted("new")]
        assert source.token() == "new"

    def test_failed_token_is_forgotten(self, authority: Authority, source: TokenSource, clock: Clock) -> None:
        """After a failure there is neither the old token nor its end."""
        authority.replies = [granted(), refused()]
        source.token()
        clock.now += timedelta(days=1)
        with pytest.raises(TokenError):
            source.token()
        assert (source._token, source._expires, source.valid) == (None, None, False)


class TestFailures:
    def test_refused_then_granted(self, authority: Authority, source: TokenSource) -> None:
        """A refusal is not remembered: the next attempt asks the tenant again."""
        authority.replies = [refused(), refused("AADSTS50057: disabled."), granted()]
        with pytest.raises(TokenError, match="AADSTS50126"):
            source.token()
        with pytest.raises(TokenError, match="AADSTS50057"):
            source.token()
        assert source.token() == "access"

    @pytest.mark.parametrize(("status", "wait"), [(429, "30"), (503, "120"), (500, None), (502, "x")])
    @pytest.mark.parametrize("body", [{"error": "busy"}, "<html>", ""])
    def test_throttled(
        self, authority: Authority, source: TokenSource, status: int, wait: str | None, body: Any
    ) -> None:
        """429 and 5xx are Throttled with the pause asked for, and the next attempt is a real one."""
        headers = {} if wait is None else {"Retry-After": wait}
        authority.replies = [(status, headers, body), granted()]
        with pytest.raises(Throttled) as caught:
            source.token()
        expected = float(wait) if wait is not None and wait.isdigit() else None
        assert (caught.value.status, caught.value.retry_after) == (status, expected)
        assert source.token() == "access"

    @pytest.mark.parametrize(
        "error",
        [requests.exceptions.ConnectionError(), requests.exceptions.ReadTimeout(), requests.exceptions.SSLError()],
    )
    def test_broken_connection(self, authority: Authority, source: TokenSource, error: Exception) -> None:
        """A broken connection is a TransportError."""
        authority.replies = [error]
        with pytest.raises(TransportError, match=type(error).__name__):
            source.token()

    @pytest.mark.parametrize(
        "body", ["", "<html>", "[]", "null", "1", '"x"', "{}", '{"access_token": 5}', '{"access_token": ""}']
    )
    def test_unreadable(self, authority: Authority, source: TokenSource, body: str) -> None:
        """An answer of no use is an error of ours, whatever its shape."""
        authority.replies = [(200, {}, body)]
        with pytest.raises((TransportError, TokenError)):
            source.token()

    def test_no_authority(self, source: TokenSource) -> None:
        """Without any authority nothing but a TransportError comes."""
        with responses.RequestsMock(), pytest.raises(TransportError):
            source.token()

    @pytest.mark.parametrize("status", [404, 429, 500])
    def test_no_addresses(self, source: TokenSource, status: int) -> None:
        """An authority that doesn't give its addresses is an error of ours."""
        with responses.RequestsMock() as mock:
            url = f"{AUTHORITY}/{TENANT}/v2.0/.well-known/openid-configuration"
            mock.add(responses.GET, url, "<html>", status=status, headers={"Retry-After": "7"})
            with pytest.raises((TransportError, Throttled)) as caught:
                source.token()
        assert caught.value.retry_after == (None if status == 404 else 7.0)

    def test_password_in_no_error(self, authority: Authority, source: TokenSource) -> None:
        """No error names the password."""
        authority.replies = [refused(), (500, {}, "x"), requests.exceptions.ConnectionError(), (200, {}, "x")]
        for _ in range(4):
            with pytest.raises((TokenError, Throttled, TransportError)) as caught:
                source.token()
            assert "Sync-Secret" not in repr(caught.value)
