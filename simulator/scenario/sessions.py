"""The cloud sessions that a scenario opened, by the names that it gave them."""

from __future__ import annotations

from simulator.azure_ad.sessions import Session
from simulator.refusal import Refusal


class Sessions:
    """Sessions by name; one opened without a name bears its user's."""

    def __init__(self) -> None:
        self._by_name: dict[str, Session] = {}

    def open(self, name: str, session: Session) -> None:
        """Remember a session; a later one of the same name takes its place."""
        self._by_name[name] = session

    def find(self, name: str) -> Session:
        """The session of this name."""
        if name not in self._by_name:
            raise Refusal("no-such-user", f"no session {name} was opened")
        return self._by_name[name]

    def all(self) -> dict[str, Session]:
        """Every session by name."""
        return dict(self._by_name)
