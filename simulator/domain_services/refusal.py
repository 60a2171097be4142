"""Why somebody may not log on to the managed domain."""

from __future__ import annotations

from typing import Literal

Reason = Literal["wrong-password", "no-password", "unknown-user", "disabled"]


class LogonRefused(Exception):
    """A logon that the domain refuses.

    reason: what is the matter, which no protocol tells in full. no-password: the domain has no hash of the account.
    """

    def __init__(self, reason: Reason) -> None:
        self.reason: Reason = reason
        super().__init__(reason)
