"""What a sign-in leaves behind: an access token that lives for an hour, a refresh token that lives for 90 days.

Source: the product's pages on refresh tokens and on revocation. An access token is never taken back; a refresh token is
revoked by a password set in the cloud, today by a synchronized one too, never by a password's expiry. That holds for
tokens that a password has brought to a public client. Confidential clients keep theirs, and so do sign-ins that no
password was used for, until all of the user's sessions are revoked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from simulator.azure_ad.users import CloudUser, UserIndex
from simulator.random import Randomness

ACCESS_LIFE = timedelta(seconds=3599)
REFRESH_LIFE = timedelta(days=90)
_SESSIONS_KEPT = 10_000


@dataclass(slots=True, eq=False)
class Session:
    """One signed-in client.

    issued_at: when the user proved who they are; refreshing does not change it. client_id: the application, or "".
    ``grant`` is the place of the sign-in in the order of the tenant's revocations. lasting: a new password does not end
    it, as of a confidential client, or where the sign-in was without a password. scope: what was asked for.
    """

    id: str
    user_id: str
    issued_at: datetime
    access_expires: datetime
    refresh_expires: datetime
    refresh_token: str = field(repr=False)
    grant: int
    client_id: str = ""
    lasting: bool = False
    scope: str = ""


class Sessions:
    """All sessions of a tenant."""

    def __init__(self, clock: Callable[[], datetime], randomness: Randomness, users: UserIndex) -> None:
        self._clock = clock
        self._randomness = randomness
        self._users = users
        self._by_token: dict[str, Session] = {}
        self._revocations = 0
        self._prune_at = _SESSIONS_KEPT

    def open(
        self, user: CloudUser, client_id: str = "", *, keep: bool = True, lasting: bool = False, scope: str = ""
    ) -> Session:
        """A new session of a user who has just signed in; one that is not kept has no refresh token to use."""
        now = self._clock()
        if len(self._by_token) >= self._prune_at:
            self._drop_expired(now)
        session = Session(
            id=str(self._randomness.uuid("azure_ad/sessions")),
            user_id=user.id,
            issued_at=now,
            access_expires=now + ACCESS_LIFE,
            refresh_expires=now + REFRESH_LIFE,
            refresh_token=self._new_token(),
            grant=self._revocations,
            client_id=client_id,
            lasting=lasting,
            scope=scope,
        )
        if keep:
            self._by_token[session.refresh_token] = session
        return session

    def find(self, refresh_token: str) -> Session | None:
        """The session of a refresh token."""
        return self._by_token.get(refresh_token)

    def refresh(self, session: Session) -> str:
        """Ask for a new access token: ``ok``, ``revoked`` or ``expired``. The refresh token's 90 days begin anew."""
        state = self.refresh_state(session)
        if state == "ok":
            now = self._clock()
            session.access_expires = now + ACCESS_LIFE
            session.refresh_expires = now + REFRESH_LIFE
        return state

    def access_state(self, session: Session) -> str:
        """``ok`` or ``expired``."""
        return "ok" if self._clock() < session.access_expires else "expired"

    def refresh_state(self, session: Session) -> str:
        """``ok``, ``revoked`` or ``expired``; a disabled or deleted user's is revoked for as long."""
        if self._clock() >= session.refresh_expires:
            return "expired"
        user = self._users.by_id(session.user_id)
        if user is None or not user.enabled:
            return "revoked"
        revocation = user.full_revocation if session.lasting else user.revocation
        return "revoked" if revocation > session.grant else "ok"

    def revoke(self, user: CloudUser, *, everything: bool = False) -> None:
        """Make the refresh tokens that the user has so far invalid; those of lasting sessions with ``everything``."""
        self._revocations += 1
        user.revocation = self._revocations
        if everything:
            user.full_revocation = self._revocations
        user.tokens_valid_from = self._clock()

    def _new_token(self) -> str:
        # The real ones are opaque too; this is a key of ours and no secret.
        return "0.A" + self._randomness.child("azure_ad/refresh").randbytes(48).hex()

    def _drop_expired(self, now: datetime) -> None:
        self._by_token = {key: session for key, session in self._by_token.items() if session.refresh_expires > now}
        self._prune_at = max(_SESSIONS_KEPT, 2 * len(self._by_token))
