"""One user's current password, synchronized by itself and without a change: an entry in the product's troubleshooter.

Builds from 1.1.749.0 on have it (release notes). It is an order for the next password cycle, which reads the user from
the directory and sends the password in its place among the others. What the product does at once is unconfirmed in its
order beside a cycle under way.
"""

from __future__ import annotations

from pwsync.settings import Settings
from pwsync.state import PasswordState, State


def why_not(state: State, settings: Settings, anchor: str) -> str | None:
    """Why a user (source anchor) can't be synchronized now; None if it is possible."""
    record = state.objects.get(anchor)
    if record is None:
        return "The object has not been imported."
    if record.left_out is not None:
        return f"The object is left out: {record.left_out}."
    if record.password_left_out is not None:
        return f"No rule synchronizes the object's password: {record.password_left_out}."
    if not record.confirmed:
        return "The tenant does not have the object yet."
    domain = state.domains.get(record.domain)
    if domain is None or not domain.password_sync:
        return f"Password synchronization is switched off for {record.domain}."
    return "The server is in staging mode." if settings.staging else None


def order(state: State, anchor: str) -> PasswordState:
    """Have the next cycle read the user and send the password, whatever the tenant has. The caller commits."""
    record = state.objects[anchor]
    password = state.passwords.get(anchor) or PasswordState(anchor, record.domain, record.dn)
    password.due = password.forced = True
    state.touch_password(password)
    return password
