"""sessions: a synchronized change ended no session (2017)."""

from __future__ import annotations

from collections.abc import Iterable

from simulator.invariants.base import Invariant, Violation


class SessionsKept(Invariant):
    """A cloud session lives on when the only thing that happened to its user was a synchronized password."""

    id = "sessions"
    why = "In 2017 a synchronized password ends no session; a change or a reset in the cloud does."

    def begin(self) -> None:
        self._refresh: dict[str, str] = {}
        self._writes = len(self.world.tenant.writes)

    def instant(self) -> Iterable[Violation]:
        writes = self.world.tenant.writes[self._writes :]
        self._writes = len(self.world.tenant.writes)
        if self.world.profile.sync_revokes_sessions:
            return
        for name, session in self.sessions.all().items():
            refresh = self.world.tenant.session_state(session)[1]
            before = self._refresh.get(session.id, "ok")
            self._refresh[session.id] = refresh
            if refresh != "revoked" or before == "revoked":
                continue
            kinds = {write.by for write in writes if write.user_id == session.user_id}
            user = self.world.cloud_user_by_id(session.user_id)
            if kinds == {"sync"} and user is not None and user.enabled:
                yield Violation(
                    held=f"session {name} was open, and its user's password was only synchronized",
                    came="its refresh token is revoked",
                    about=name,
                    key=session.id,
                )
