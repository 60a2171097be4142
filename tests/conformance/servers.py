"""The two domain controllers that are compared, behind one face."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any

import ldap3
from conformance.controller import LDAP_PORT, LDAPS_PORT, Samba
from conformance.replication import OurReplication, Replication, SambaReplication
from ldap3.core.exceptions import LDAPException

from simulator.active_directory.port import DirectoryPort
from simulator.active_directory.state import DomainPolicy, Forest
from simulator.clock import Clock
from simulator.random import Randomness

DOMAIN, HOST = "contoso.example", "dc1"
BASE_DN = "DC=contoso,DC=example"
START = datetime(2017, 1, 13, 9, tzinfo=UTC)
DAY, MINUTE = 864_000_000_000, 600_000_000
RECEIVE_SECONDS_MAX = 20

POLICY = {
    "minPwdLength": "7", "pwdProperties": "1", "pwdHistoryLength": "24", "maxPwdAge": str(-42 * DAY), "minPwdAge": "0",
    "lockoutThreshold": "50", "lockoutDuration": str(-30 * MINUTE), "lockOutObservationWindow": str(-30 * MINUTE),
}  # fmt: skip
"""What both servers hold to when a check says nothing: Samba's default, but that passwords may be changed at once, and
that wrong ones are counted, which Samba does only where they can lock."""


class Server:
    """A controller of ``contoso.example`` whose clock stands still until it is moved.

    shared: what checks that only look keep there for each other.
    """

    domain = DOMAIN
    base = BASE_DN
    name = ""
    replication: Replication

    def __init__(self, ldap_port: int, ldaps_port: int, administrator: str, password: str) -> None:
        self._ports = {"plain": ldap_port, "starttls": ldap_port, "ldaps": ldaps_port}
        self.administrator = (administrator, password)
        self._admin: ldap3.Connection | None = None
        self._opened: list[ldap3.Connection] = []
        self.shared: dict[str, Any] = {}

    @property
    def now(self) -> datetime:
        """The time there."""
        raise NotImplementedError

    def _move(self, now: datetime) -> None:
        raise NotImplementedError

    def _check(self) -> None:
        """Raise if the server is no more."""

    def set_clock(self, now: datetime) -> None:
        """Move the clock on. Connections are given up: a jump may look like an idle time to a server."""
        self.close()
        self._move(now)

    def tick(self) -> None:
        """Let a second pass: too short to give up connections for."""
        self._move(self.now + timedelta(seconds=1))

    def endpoint(self, how: str = "ldaps") -> ldap3.Server:
        """Where to connect to; how: ldaps, starttls or plain."""
        # With a version named, the authorities of this machine are not read anew for each connection.
        tls = ldap3.Tls(validate=ssl.CERT_NONE, version=ssl.PROTOCOL_TLS_CLIENT)
        port, secure = self._ports[how], how == "ldaps"
        return ldap3.Server("127.0.0.1", port=port, use_ssl=secure, tls=tls, get_info=ldap3.NONE, connect_timeout=10)

    def connection(self, how: str = "ldaps", **options: Any) -> ldap3.Connection:
        """An open connection that is not bound yet."""
        self._check()
        connection = ldap3.Connection(
            self.endpoint(how), receive_timeout=RECEIVE_SECONDS_MAX, check_names=False, auto_referrals=False,
            auto_range=False, return_empty_attributes=False, **options,
        )  # fmt: skip
        connection.open()
        if how == "starttls":
            connection.start_tls()
        self._opened.append(connection)
        return connection

    def open(self, user: str | None, password: str | None, how: str = "ldaps") -> ldap3.Connection:
        """A connection on which a bind was tried."""
        authentication = ldap3.SIMPLE if user else ldap3.ANONYMOUS
        connection = self.connection(how, user=user or None, password=password, authentication=authentication)
        connection.bind()
        return connection

    def admin(self) -> ldap3.Connection:
        """The administrator's connection."""
        if self._admin is None or self._admin.closed:
            self._admin = self.open(*self.administrator)
            if not self._admin.bound:
                raise RuntimeError(f"{self.name}: the administrator cannot bind: {self._admin.result}")
        return self._admin

    def set_policy(self, values: Mapping[str, str]) -> None:
        """Have attributes of the domain's root."""
        connection = self.admin()
        connection.modify(self.base, {name: [(ldap3.MODIFY_REPLACE, [value])] for name, value in values.items()})
        if connection.result["result"] != 0:
            raise RuntimeError(f"{self.name}: the policy {dict(values)} is answered {connection.result}")

    def tidy(self) -> None:
        """Give up the connections that a check left open."""
        for connection in self._opened:
            if connection is not self._admin:
                _close(connection)
        self._opened.clear()

    def close(self) -> None:
        """Give up every connection."""
        self.tidy()
        admin, self._admin = self._admin, None
        if admin is not None:
            _close(admin)


def _close(connection: ldap3.Connection) -> None:
    try:
        if not connection.closed:
            connection.unbind()
    except (LDAPException, OSError):
        return  # the server was first


class SambaServer(Server):
    """Samba's."""

    name = "Samba"
    PASSWORD = "Administrator-2016!"

    def __init__(self) -> None:
        super().__init__(LDAP_PORT, LDAPS_PORT, f"CN=Administrator,CN=Users,{BASE_DN}", self.PASSWORD)
        self._samba = Samba(DOMAIN, HOST, self.PASSWORD, START)
        self._stack = ExitStack()

    @property
    def now(self) -> datetime:
        return self._samba.now

    def _move(self, now: datetime) -> None:
        self._samba.set_clock(now)

    def _check(self) -> None:
        self._samba.check()

    def __enter__(self) -> SambaServer:
        with ExitStack() as stack:
            stack.enter_context(self._samba)
            stack.callback(self.close)
            self.replication = stack.enter_context(SambaReplication(self._samba))
            administrator = self.admin()
            changes: dict[str, Any] = {"userAccountControl": [(ldap3.MODIFY_REPLACE, ["66048"])]}
            administrator.modify(f"CN=Administrator,CN=Users,{BASE_DN}", changes)
            self._make_connector()
            self.set_policy(POLICY)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _make_connector(self) -> None:
        account, password = self.replication.connector
        name = account.partition("\\")[2]
        given = {
            "sAMAccountName": name,
            "userAccountControl": "66048",
            "unicodePwd": f'"{password}"'.encode("utf-16-le"),
        }
        self.admin().add(f"CN={name},CN=Users,{BASE_DN}", ["user"], given)


class OurServer(Server):
    """The simulated one, on ports of its own."""

    name = "ours"

    def __init__(self) -> None:
        self._clock = Clock(START)
        forest = Forest("conformance", self._clock, Randomness(1))
        self._domain = forest.add_domain(DOMAIN, DomainPolicy(min_age=timedelta(0)), controllers=(HOST,))
        self._port = DirectoryPort(self._domain.controller(), require_signing=True)
        self.replication = OurReplication(self._domain, self._clock)

    @property
    def now(self) -> datetime:
        return self._clock()

    def _move(self, now: datetime) -> None:
        self._clock.move_to(now)

    def __enter__(self) -> OurServer:
        self._port.__enter__()
        administrator = f"CN=Administrator,CN=Users,{BASE_DN}"
        super().__init__(
            self._port.ldap_port, self._port.ldaps_port, administrator, self._domain.administrator_password
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        self._port.__exit__(kind, error, trace)
