"""Bugs in when things happen, and in what an operator may set: grids, staging, heartbeats, switches."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from pwsync import agent as service
from pwsync import heartbeat, single_user
from pwsync.agent import SyncAgent
from pwsync.heartbeat import Heartbeat
from pwsync.password_cycle import PasswordCycle
from pwsync.process import Process
from pwsync.schedule import Grid
from simulator.azure_ad import state as tenant
from simulator.planted.plant import Bed

BED = Bed("schedule")

BED.constant(
    "three-minutes", service, "PASSWORD_INTERVAL", timedelta(minutes=3),
    "Runs password cycles every three minutes. Hurts everybody by a minute, and whoever counts on two.",
    breaks="cycle.two-minutes delta.within-minutes",
)  # fmt: skip
BED.constant(
    "heartbeat-every-hour", heartbeat, "HEARTBEAT", timedelta(hours=1),
    "Pings once an hour. Hurts administrators whose alert comes after one lost ping.",
    breaks="heartbeat.idle",
)  # fmt: skip
BED.constant(
    "alert-too-late", tenant, "ALERT_AFTER", timedelta(minutes=121),
    "Raises the alert a minute after its time. Hurts whoever waits for it at the minute that the documents name.",
    breaks="heartbeat.idle",
)  # fmt: skip


@BED.instead(Grid, "passed", breaks="cycle.two-minutes")
def grid_drifts(true: Any, self: Any, now: Any) -> None:
    """Counts to the next cycle from the end of the last one. Hurts whoever relies on the grid: it moves all day."""
    if self.next is not None and self.next <= now:
        self.next = now + self._interval


@BED.instead(Grid, "begin", breaks="cycle.two-minutes")
def grid_outlives_restart(true: Any, self: Any, now: Any) -> None:
    """Begins the grid at the full two minutes of the clock. Hurts whoever restarts the service to have a cycle now."""
    true(self, now)
    late = timedelta(seconds=now.timestamp() % 120)
    self._origin = self.next = now + (timedelta(minutes=2) - late if late else timedelta(0))


@BED.instead(SyncAgent, "_run_passwords", breaks="cycle.two-minutes")
def fifth_cycle_left_out(true: Any, self: Any) -> None:
    """Leaves out every fifth password cycle. Hurts whoever waits for just that one, and nobody finds out why."""
    self._came = getattr(self, "_came", 0) + 1
    if self._came % 5:
        true(self)


@BED.instead(SyncAgent, "next_due", breaks="cycle.two-minutes")
def schedule_ends_in_silence(true: Any, self: Any) -> Any:
    """Has nothing due any more an hour after the service's start. Hurts everybody, until it is restarted by chance."""
    origin = self._password_grid._origin
    if origin is not None and self._ports.clock() >= origin + timedelta(hours=1):
        return None
    return true(self)


@BED.instead(SyncAgent, "set_password_interval", breaks="cycle.fixed")
def interval_can_be_set(true: Any, self: Any, every: Any) -> None:
    """Takes another frequency without a word, and does nothing with it. Hurts whoever believes that it did."""


@BED.instead(SyncAgent, "select_users", breaks="initial.no-subset")
def users_can_be_chosen(true: Any, self: Any, users: Any) -> None:
    """Takes a list of users without a word, and sends everybody. Hurts those who were not to be sent."""


@BED.instead(SyncAgent, "configure", breaks="cycle.more-often-than-objects")
def object_interval_for_both(true: Any, self: Any, **changes: Any) -> None:
    """Gives the object schedule's interval to the passwords as well. Hurts everybody's next password."""
    true(self, **changes)
    if "object_interval" in changes:
        self._password_grid.change(changes["object_interval"], self._ports.clock())


@BED.instead(SyncAgent, "run_object_cycle", breaks="cycle.more-often-than-objects cycle.two-minutes")
def object_cycle_by_hand_moves_grid(true: Any, self: Any, kind: str) -> None:
    """Begins the passwords' grid anew when somebody runs an object cycle. Hurts the rhythm, and doubles a cycle."""
    true(self, kind)
    self._password_grid.begin(self._ports.clock())


@BED.instead(SyncAgent, "install", breaks="enable.custom")
def custom_is_express(true: Any, self: Any, **chosen: bool) -> None:
    """Switches passwords on in custom settings too. Hurts a company that chose not to send any."""
    objects = chosen.get("express", True) or chosen.get("object_sync", True)
    true(self, **{**chosen, "password_sync": chosen.get("password_sync", True) or objects})


@BED.instead(SyncAgent, "install", breaks="enable.express")
def express_leaves_passwords_off(true: Any, self: Any, **chosen: bool) -> None:
    """Sets up objects alone in express settings. Hurts everybody: nobody has a password in the cloud."""
    if chosen.get("express", True):
        chosen = {"express": False, "password_sync": False, "object_sync": True}
    true(self, **chosen)


@BED.instead(SyncAgent, "install", breaks="enable.needs-object-sync")
def passwords_without_objects(true: Any, self: Any, **chosen: bool) -> None:
    """Takes passwords without objects for both. Hurts an administrator who did not want objects in the cloud."""
    wants_objects = chosen.get("object_sync", True) or chosen.get("password_sync", True)
    true(self, **{**chosen, "object_sync": wants_objects})


@BED.instead(SyncAgent, "enable_password_sync", breaks="enable.needs-object-sync")
def enabled_without_objects(true: Any, self: Any, domain: Any = None) -> None:
    """Lets passwords be switched on where objects are not synchronized. Hurts who waits for a first cycle."""
    for state in self._domains(domain):
        self._switch(state, on=True)


@BED.instead(SyncAgent, "_switch", breaks="initial.all-in-scope")
def on_again_sends_nothing(true: Any, self: Any, domain: Any, *, on: bool) -> None:
    """Goes on from where it was when it is switched on again. Hurts who changed the password meanwhile in the cloud."""
    fresh = domain.replication_cookie is None
    true(self, domain, on=on)
    if not fresh and domain.full == "ordered":
        domain.full = ""


@BED.instead(SyncAgent, "disable_password_sync", breaks="multi-domain.isolated")
def off_for_one_is_off_for_all(true: Any, self: Any, domain: Any = None) -> None:
    """Switches all domains off when one is. Hurts people of the others."""
    true(self, None)


@BED.instead(SyncAgent, "disable_password_sync", breaks="enable.off-keeps")
def off_takes_objects_back(true: Any, self: Any, domain: Any = None) -> None:
    """Takes the users out of the cloud when passwords are switched off. Hurts everybody, within half an hour."""
    true(self, domain)
    for record in list(self._state.objects.values()):
        record.wanted = None
        self._state.touch_object(record)


@BED.instead(PasswordCycle, "_is_ready", breaks="initial.after-objects")
def does_not_wait_for_import(true: Any, self: Any, domain: Any) -> bool:
    """Sends passwords before objects were imported. Hurts who is not to be synchronized: nobody knows it yet."""
    return True


@BED.instead(PasswordCycle, "select", breaks="initial.after-objects")
def does_not_wait_for_export(true: Any, self: Any) -> Any:
    """Sends the password of a user whom the tenant does not have yet. Hurts the log: each such user is an error."""
    records = [record for record in self._state.objects.values() if not record.confirmed and record.wanted]
    before = [record.exported for record in records]
    for record in records:
        record.exported = b""
    chosen = true(self)
    for record, exported in zip(records, before, strict=True):
        record.exported = exported
    return chosen


@BED.instead(Process, "may_send", breaks="staging.no-export")
def staging_sends(true: Any, self: Any) -> bool:
    """Sends from a staging server too. Hurts a company with two servers: the older password may win."""
    return not (self.stopping or self.link.held)


@BED.instead(Heartbeat, "beat", breaks="staging.no-export heartbeat.idle")
def staging_pings(true: Any, self: Any, connectors: Any, calls: Any = None) -> None:
    """Sends heartbeats from a staging server. Hurts administrators: the silent active server is not noticed."""
    settings = self._process.ports.settings
    staging, settings.staging = settings.staging, False
    true(self, connectors, calls)
    settings.staging = staging


@BED.instead(SyncAgent, "configure", breaks="staging.no-export")
def leaving_staging_forgets(true: Any, self: Any, **changes: Any) -> None:
    """Takes what waits on a staging server for sent by the other one when it becomes active. Hurts all who wait."""
    leaving = self._ports.settings.staging and changes.get("staging") is False
    true(self, **changes)
    for state in list(self._state.waiting.values()) if leaving else ():
        self._state.drop_password(state.anchor)


@BED.instead(Heartbeat, "contact", breaks="heartbeat.idle")
def batch_is_no_contact(true: Any, self: Any, connectors: Any) -> None:
    """Pings though a batch went out just now. Hurts the tenant, which has to answer calls that say nothing."""


@BED.instead(Heartbeat, "contact", breaks="heartbeat.idle")
def busy_forest_speaks_for_all(true: Any, self: Any, connectors: Any) -> None:
    """Takes any batch for every forest's sign of life. Hurts administrators of a quiet forest, who hear nothing."""
    true(self, {each.identifier for each in self._process.ports.settings.connectors})


@BED.instead(Heartbeat, "beat", breaks="heartbeat.idle")
def first_forest_pings(true: Any, self: Any, connectors: Any, calls: Any = None) -> None:
    """Pings for the first connector alone. Hurts administrators of the second forest, who are told it is dead."""
    true(self, list(connectors)[:1], calls)


@BED.instead(single_user, "order", breaks="delta.overwrites")
def one_user_only_if_changed(true: Any, state: Any, anchor: str) -> Any:
    """Reads one user by order, and sends nothing that the tenant has had. Hurts who was reset in the cloud by mistake.

    The helpdesk has ordered it, and believes that it was done.
    """
    password = true(state, anchor)
    password.forced = False
    return password


@BED.instead(single_user, "order", breaks="override.holds")
def whole_domain_for_one_user(true: Any, state: Any, anchor: str) -> Any:
    """Sends a whole domain when one of its users is asked for. Hurts everybody whom the helpdesk has reset."""
    domain = state.domains[state.objects[anchor].domain]
    domain.full = "ordered"
    state.touch_domain(domain)
    return true(state, anchor)


@BED.instead(single_user, "why_not", breaks="diagnose.finds")
def anybody_can_be_ordered(true: Any, state: Any, settings: Any, anchor: str) -> str | None:
    """Takes the order for a user whom a rule leaves out, and does nothing. Hurts who waits for the password."""
    record = state.objects.get(anchor)
    left_out = record is not None and record.left_out is None and record.password_left_out is not None
    return None if left_out else true(state, settings, anchor)
