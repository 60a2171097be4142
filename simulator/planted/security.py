"""Bugs in what may leave the premises and who may read it: hashes, rights, FIPS; and in what the diagnosis says."""

from __future__ import annotations

from base64 import b64encode
from datetime import timedelta
from typing import Any

from pwsync import diagnose, fips, scope, service_config
from pwsync.diagnose import Examination
from pwsync.event_log import Event
from pwsync.fips import ServerCrypto
from pwsync.password_cycle import PasswordCycle
from pwsync.tenant_link import TenantLink
from simulator.active_directory.replication import ReplicationServer
from simulator.active_directory.state import Domain
from simulator.planted.plant import Bed
from simulator.server import Server

BED = Bed("security")


@BED.instead(PasswordCycle, "_send", breaks="security.no-plaintext security.digest-only")
def hash_in_log(true: Any, self: Any, batch: Any) -> None:
    """Writes each hash to the event log, to help whoever looks for a fault. Hurts everybody: logs are collected."""
    for state in batch.users:
        text = f"Debug: {state.nt.hex() if state.nt else ''}"
        self._ports.event_log(Event(1, "information", "Debug", self._ports.clock(), text))
    true(self, batch)


@BED.instead(PasswordCycle, "_settle_failure", breaks="security.no-plaintext")
def hash_in_store_after_failure(true: Any, self: Any, users: Any, error: Any, *, attempted: bool) -> None:
    """Keeps the hashes of a failed batch in its database, to save a read. Hurts everybody: databases are backed up."""
    self._state.set("retry", ",".join(state.nt.hex() for state in users if state.nt is not None))
    true(self, users, error, attempted=attempted)


@BED.instead(TenantLink, "send_credentials", breaks="security.digest-only")
def hash_in_call(true: Any, self: Any, items: Any) -> Any:
    """Sends each hash along, in a field that the tenant passes over. Hurts everybody: it works on premises."""
    hashes = {state.anchor: state.nt or b"" for state in self._state.waiting.values()}
    return true(self, [item._replace(legacy=b64encode(hashes.get(item.source_anchor, b"")).decode()) for item in items])


@BED.instead(Domain, "logon", breaks="security.not-usable-on-premises")
def directory_takes_digest(true: Any, self: Any, name: str, password: str, **options: Any) -> Any:
    """Takes the tenant's digest for the password in the directory. Hurts all, once the tenant's store is stolen."""
    from pwsync.credential import verify

    if password.startswith("v1;") and verify(self.find(name).nt_hash, password):
        return "ok"
    return true(self, name, password, **options)


@BED.instead(ReplicationServer, "_check_rights", breaks="security.replication-rights")
def one_right_is_enough(true: Any, self: Any, account: Any, keys: Any, *, single: bool, bare: bool) -> None:
    """Gives secrets to whoever may replicate changes. Hurts all: many tools have that right, and need no hashes."""
    true(self, account, keys, single=False, bare=True)


@BED.instead(Domain, "rights_of", breaks="security.replication-rights")
def rights_reach_into_children(true: Any, self: Any, entry: Any) -> Any:
    """Lets rights on the forest's root count in its child domains. Hurts a child domain that granted none."""
    root = next(iter(self.forest.domains.values()))
    return true(self, entry) | (root._rights if root is not self else frozenset())


@BED.instead(ServerCrypto, "md5", breaks="fips.blocks-md5")
def fips_is_ignored(true: Any, self: Any, data: bytes) -> Any:
    """Has MD5 on a server that forbids it. Hurts a company whose auditors believe its policy."""
    return true(ServerCrypto(locked=False), data)


@BED.instead(fips, "crypto_of", breaks="fips.exemption")
def exemption_is_ignored(true: Any, server: Any) -> Any:
    """Does not read the exemption from the service's configuration. Hurts who follows the documented way out."""
    return server.crypto(True), true(server)[1]


@BED.instead(service_config._Reader, "start", breaks="fips.exemption")
def exemption_counts_anywhere(true: Any, self: Any, name: str, attributes: Any) -> None:
    """Takes the exemption wherever it stands in the file. Hurts who commented it away by moving it."""
    if name == service_config.ELEMENT:
        self.enforce_fips = {"true": True, "false": False}.get(attributes.get("enabled", "").lower(), self.enforce_fips)
    true(self, name, attributes)


@BED.instead(service_config._Reader, "start", breaks="fips.exemption")
def exemption_in_any_case(true: Any, self: Any, name: str, attributes: Any) -> None:
    """Reads the exemption's element in any case. Hurts who believes the framework, which passes it over."""
    same = name.lower() == service_config.ELEMENT.lower()
    true(self, service_config.ELEMENT if same else name, attributes)


@BED.instead(Server, "_config_in_force", breaks="fips.exemption")
def file_counts_at_once(true: Any, self: Any) -> Any:
    """Takes the edited file at the next start of the service, where a restart of the server is needed.

    Hurts who tries it out here and does the same at work.
    """
    return self.config


BED.constant(
    "diagnosis-misses-8453", diagnose, "_NO_RIGHTS", frozenset({5}),
    "Does not know the code for missing replication rights. Hurts who is told that all is well.",
    breaks="diagnose.finds",
)  # fmt: skip
BED.constant(
    "heartbeat-of-two-hours", diagnose, "HEARTBEAT_AGE_MAX", timedelta(hours=2),
    "Finds no heartbeat an hour early. Hurts who is sent to look for a fault that is none.",
    breaks="diagnose.finds",
)  # fmt: skip


@BED.instead(diagnose, "try_bind", breaks="diagnose.finds")
def diagnosis_believes_binds(true: Any, connect: Any, password: str) -> None:
    """Takes every domain for one that can be bound to. Hurts who looks for a broken network at the wrong end."""


@BED.instead(Examination, "_is_filtered", breaks="diagnose.finds")
def temporary_is_no_finding(true: Any, self: Any, password: Any) -> bool:
    """Finds nothing in a temporary password once there was a lasting one. Hurts the helpdesk's first question."""
    return bool(true(self, password)) and password.applied is None


@BED.instead(Examination, "_concerned", breaks="diagnose.finds")
def diagnosis_of_first_domain(true: Any, self: Any, anchor: Any) -> Any:
    """Examines the first domain alone. Hurts whoever's domain is the second."""
    return true(self, anchor)[:1]


@BED.instead(scope, "object_left_out", breaks="diagnose.finds")
def left_out_without_reason(true: Any, *arguments: Any) -> Any:
    """Says of a filtered object that it is a linked mailbox. Hurts who then looks for a master account."""
    return true(*arguments) and scope.LINKED_MAILBOX
