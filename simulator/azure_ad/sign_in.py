"""Signing in with name and password, as the token endpoint does it.

The order of the checks is not published. Here: does the user exist, is the sign-in locked, has the user any password,
is it this one, is the account enabled, must the password be changed, has it expired (unconfirmed).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, NamedTuple, TypeVar

from pwsync.credential import nt_hash, verify
from pwsync.errors import CredentialFormatError
from simulator.azure_ad.lockout import SmartLockout
from simulator.azure_ad.policy import CloudPolicy, expiry
from simulator.azure_ad.users import CloudUser, UserIndex

AADSTS = {
    "ok": 0,
    "unknown-user": 50034,
    "locked": 50053,
    "no-password": 50056,
    "wrong-password": 50126,
    "disabled": 50057,
    "must-change": 50055,
    "expired": 50055,
}
"""The token endpoint's code for each result. That a forced change answers as an expired password is unconfirmed."""

_VERDICTS_KEPT = 4096

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class SignInResult:
    """result: ok, wrong-password, no-password, unknown-user, expired, must-change, disabled or locked; ``aadsts``: 0 or
    the code of the error; user: None if there is none of that name."""

    result: str
    user: CloudUser | None
    aadsts: int


class SignInRecord(NamedTuple):
    """A line of the sign-in log."""

    at: datetime
    upn: str
    result: str
    aadsts: int


class PasswordVerifier:
    """Compares passwords with stored credentials and remembers the last few thousand verdicts.

    Scenarios ask the same question over and over, and each answer costs 1000 rounds of HMAC. A verdict depends on
    nothing but the question, so all tenants of a process share them. And a credential is made from one hash: once that
    is known, every other question about the credential is answered.
    """

    _refused: ClassVar[dict[tuple[bytes, str], None]] = {}
    _origins: ClassVar[dict[str, bytes]] = {}

    def matches(self, nt: bytes, credential: str) -> bool:
        """Whether the credential was made from this NT hash; what is no credential was made from none."""
        origin = self._origins.get(credential)
        if origin is not None:
            return origin == nt
        if (nt, credential) in self._refused:
            return False
        try:
            verdict = verify(nt, credential)
        except CredentialFormatError:
            verdict = False
        if verdict:
            _remember(self._origins, credential, nt)
        else:
            _remember(self._refused, (nt, credential), None)
        return verdict


def _remember(known: dict[K, V], key: K, value: V) -> None:
    if len(known) >= _VERDICTS_KEPT:
        del known[next(iter(known))]
    known[key] = value


class SignIns:
    """Judges sign-ins; keeps their log and the lockout counters."""

    def __init__(self, clock: Callable[[], datetime], users: UserIndex, verifier: PasswordVerifier) -> None:
        self.log: list[SignInRecord] = []
        self.lockout = SmartLockout()
        self._clock = clock
        self._users = users
        self._verifier = verifier

    def sign_in(self, upn: str, password: str, policy: CloudPolicy, *, observe: bool = False) -> SignInResult:
        """Try to sign in. With ``observe`` nothing is counted and nothing is logged."""
        user = self._users.by_upn(upn)
        if user is None:
            return self._done(upn, SignInResult("unknown-user", None, AADSTS["unknown-user"]), observe)
        nt = nt_hash(password)
        result = self._judge(user, password, nt, policy)
        if not observe:
            if result == "wrong-password":
                self.lockout.failed(user.id, nt, policy, self._clock())
            elif result == "ok":
                self.lockout.reset(user.id)
        return self._done(upn, SignInResult(result, user, AADSTS[result]), observe)

    def _judge(self, user: CloudUser, password: str, nt: bytes, policy: CloudPolicy) -> str:
        now = self._clock()
        if self.lockout.locked(user.id, now):
            return "locked"
        if user.credential is None:
            return "no-password"
        # This kind of sign-in doesn't support white space at either end, nor an empty password (product documentation).
        if not password or password != password.strip() or not self._verifier.matches(nt, user.credential):
            return "wrong-password"
        if not user.enabled:
            return "disabled"
        if user.must_change:
            return "must-change"
        expires = expiry(user.changed_at, user.password_policies, policy)
        return "expired" if expires is not None and expires <= now else "ok"

    def _done(self, upn: str, result: SignInResult, observe: bool) -> SignInResult:
        if not observe:
            self.log.append(SignInRecord(self._clock(), upn, result.result, result.aadsts))
        return result
