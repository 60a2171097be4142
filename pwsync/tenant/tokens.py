"""Access tokens for the synchronization account, by its password, through MSAL."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import requests

from pwsync.errors import Throttled, TokenError, TransportError
from pwsync.tenant.provisioning import read_retry_after

if TYPE_CHECKING:
    from pwsync.ports import TenantPort

CLIENT_ID: Final = "cb1056e2-e479-49de-ae31-7812af012ed8"
"""The product's own application id (Microsoft Azure Active Directory Connect)."""
SCOPE: Final = "https://graph.windows.net/.default"
"""The resource whose tokens the provisioning service takes."""
LIFETIME_MAX: Final = 86_400
"""Seconds; no token lives longer than a day, whatever an answer says."""

ASSUMED_LIFETIME: Final = timedelta(seconds=3599)
"""What the tenant's tokens live (product documentation: about an hour)."""

_MSAL_LOG: Final = logging.getLogger("msal")

_TOO_MANY, _BROKEN = 429, 500
_MSAL_FAILURES = (ValueError, KeyError, TypeError, AttributeError, RuntimeError)
"""MSAL does not check what it gets: these are its ways to fail over an answer of another shape."""


class _WatchedSession:
    """MSAL's HTTP client: the port's session, remembering the last answer.

    MSAL hands out an answer's JSON only, and the status and ``Retry-After`` of a throttled call are not in it.
    """

    def __init__(self, session: requests.Session) -> None:
        self._session = session
        self.last: requests.Response | None = None

    def get(self, url: str, **options: Any) -> requests.Response:
        self.last = None
        self.last = self._session.get(url, **options)
        return self.last

    def post(self, url: str, **options: Any) -> requests.Response:
        self.last = None
        self.last = self._session.post(url, **options)
        return self.last

    def close(self) -> None:
        """The session belongs to the port."""


class TokenSource:
    """Gives the synchronization account's access token, and asks for a new one when the old one is about to end.

    port: session and authority. account, password: of the account in the tenant. clock: the time now, aware UTC.
    """

    def __init__(self, port: TenantPort, account: str, password: str, clock: Callable[[], datetime]) -> None:
        self._port = port
        self._account = account
        self._password = password
        self._clock = clock
        self._token: str | None = None
        self._expires: datetime | None = None

    @property
    def valid(self) -> bool:
        """Whether :meth:`token` needs no call."""
        return self._expires is not None and self._clock() < self._expires

    def token(self) -> str:
        """The access token.

        Raises TokenError (the tenant refuses; its AADSTS text is the message), Throttled (429 or 5xx, with
        ``retry_after``), TransportError (no answer, or none that could be read). A failure is never remembered: the
        next call asks again.
        """
        if self._token is None or not self.valid:
            self._token = self._expires = None
            self._token, self._expires = self._acquire()
        return self._token

    def assume(self) -> bool:
        """Take the token as renewed, if there is no valid one; returns whether a call would have been made for it.

        For a simulation that skips idle time. The token itself comes with :meth:`make_good`, before it is used.
        """
        if self.valid:
            return False
        self._token, self._expires = None, self._clock() + ASSUMED_LIFETIME
        return True

    def make_good(self) -> None:
        """Have the token that was assumed; it counts as expiring when it was assumed to. Raises as :meth:`token`."""
        if self._token is None and self.valid:
            self._token, _ = self._acquire()

    def _acquire(self) -> tuple[str, datetime]:
        asked = self._clock()
        session = _WatchedSession(self._port.session)
        answer = self._ask(session)
        token = answer.get("access_token")
        if not isinstance(token, str) or not token:
            self._raise_throttled(session.last)
            text = answer.get("error_description") or answer.get("error") or "The authority gave no token."
            raise TokenError(str(text))
        lifetime = answer.get("expires_in")
        seconds = lifetime if isinstance(lifetime, int) and not isinstance(lifetime, bool) else 0
        return token, asked + timedelta(seconds=max(0, min(seconds, LIFETIME_MAX)))

    def _ask(self, session: _WatchedSession) -> dict[str, Any]:
        """One sign-in with an application object of its own.

        MSAL replays an HTTP 400 for 60 seconds and holds calls back after a 429, out of caches of the object: the agent
        decides itself when to call, so none of that may answer for the tenant.
        """
        import msal

        if not _MSAL_LOG.handlers:
            _MSAL_LOG.addHandler(logging.NullHandler())  # what fails is told by the errors raised here

        try:
            application = msal.PublicClientApplication(
                CLIENT_ID,
                authority=f"{self._port.authority}/{self._port.tenant_id}",
                http_client=session,
                instance_discovery=False,
            )
            with warnings.catch_warnings():
                # MSAL advises against passwords; the product's account has nothing else.
                warnings.filterwarnings("ignore", "This API has been deprecated", DeprecationWarning)
                answer: dict[str, Any] = application.acquire_token_by_username_password(
                    self._account, self._password, scopes=[SCOPE]
                )
        except requests.RequestException as error:
            self._raise_throttled(session.last)
            raise TransportError(f"The authority could not be reached: {type(error).__name__}.") from error
        except (*_MSAL_FAILURES, msal.exceptions.MsalError) as error:
            self._raise_throttled(session.last)
            raise TransportError(f"The answer of the authority could not be read: {error}") from error
        return answer

    def _raise_throttled(self, response: requests.Response | None) -> None:
        if response is not None and (response.status_code == _TOO_MANY or response.status_code >= _BROKEN):
            wait = read_retry_after(response.headers.get("Retry-After"), self._clock())
            raise Throttled(response.status_code, retry_after=wait)
