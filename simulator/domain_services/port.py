"""The managed domain on real ports: Kerberos, LDAP and LDAPS; and what leads a Kerberos client there."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from threading import RLock
from typing import TYPE_CHECKING, Any, Self

from simulator.active_directory.port import LdapPort
from simulator.domain_services.kerberos import KeyDistributionCenter
from simulator.domain_services.kerberos_port import KerberosPort
from simulator.domain_services.ldap_bind import Directory
from simulator.domain_services.ldap_conversation import ManagedConversation
from simulator.domain_services.logon import SERVER_NAME, Lookup
from simulator.domain_services.ntlm import Server

if TYPE_CHECKING:
    from types import TracebackType

    from simulator.certificates import Authority
    from simulator.random import Randomness


KRB5_CONF_HEAD = "# Written by pwsync serve: "
"""How a krb5.conf of ours begins."""


class ManagedPort(LdapPort):
    """The managed domain's LDAP, with StartTLS, and LDAPS; options are those of LdapPort."""

    def __init__(self, directory: Directory, **options: Any) -> None:
        server = directory.server
        super().__init__((f"{server.name}.{server.dns}", server.dns, f"ldaps.{server.dns}"), **options)
        self._directory = directory

    def is_up(self) -> bool:
        """Whether the domain is there."""
        return self._directory.is_up()

    def hang_up(self) -> None:
        """Break all connections off."""
        with self._book:
            for each in self._connections:
                each.shut()

    def converse(self, *, protected: bool) -> ManagedConversation:
        """What a new connection says."""
        return ManagedConversation(self._directory, self.lock, self.faults, protected=protected)


class ServedDomain:
    """A managed domain on real ports while the ``with`` block lasts.

    domain, netbios: its names. kerberos_port, ldap_port, ldaps_port: 0 for any that are free. is_up: whether there is
    such a domain now; while there is none, connections are reset and datagrams stay without answer. Raises
    PortUnavailable.
    """

    def __init__(
        self,
        domain: str,
        lookup: Lookup,
        clock: Callable[[], datetime],
        randomness: Randomness,
        *,
        netbios: str = "",
        host: str = "127.0.0.1",
        kerberos_port: int = 0,
        ldap_port: int = 0,
        ldaps_port: int = 0,
        authority: Authority | None = None,
        lock: RLock | None = None,
        is_up: Callable[[], bool] = lambda: True,
    ) -> None:
        server = Server(netbios or domain.partition(".")[0][:15].upper(), domain, SERVER_NAME)
        lock = lock or RLock()
        centre = KeyDistributionCenter(domain, lookup, clock, randomness, netbios=server.netbios)
        directory = Directory(server, lookup, clock, randomness.child("domain-services/ldap"), is_up)
        self.server = server
        self.directory = directory
        self.kerberos = KerberosPort(centre, host=host, port=kerberos_port, lock=lock, is_up=is_up)
        self.ldap = ManagedPort(
            directory, host=host, ldap_port=ldap_port, ldaps_port=ldaps_port, authority=authority, lock=lock
        )
        self._open = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            opening.enter_context(self.kerberos)
            opening.enter_context(self.ldap)
            self._open = opening.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._open.close()

    @property
    def address(self) -> str:
        """Where clients on this machine reach it; IPv6 in brackets."""
        reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.kerberos.host, self.kerberos.host)  # noqa: S104
        return f"[{reachable}]" if ":" in reachable else reachable

    def krb5_conf(self) -> str:
        """A krb5.conf that leads MIT's and Heimdal's clients here, and nowhere else."""
        realm, domain = self.kerberos.centre.realm, self.server.dns
        kinds = "aes256-cts-hmac-sha1-96 aes128-cts-hmac-sha1-96 arcfour-hmac-md5"
        return f"""\
{KRB5_CONF_HEAD}the managed domain {domain}, while it is served. Use it with KRB5_CONFIG.
[libdefaults]
    default_realm = {realm}
    dns_lookup_kdc = false
    dns_lookup_realm = false
    rdns = false
    allow_weak_crypto = true
    permitted_enctypes = {kinds}

[realms]
    {realm} = {{
        kdc = {self.address}:{self.kerberos.port}
    }}

[domain_realm]
    .{domain} = {realm}
    {domain} = {realm}
"""
