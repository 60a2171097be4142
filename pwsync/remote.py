"""The agent's ports into a world that is not in its process: LDAP over TLS, replication and the tenant over HTTPS."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from datetime import datetime
from random import Random
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import ldap3
import requests

from pwsync.config_file import ConfigError, Configuration
from pwsync.errors import ReplicationError
from pwsync.ports import AgentPorts, StorePort, TenantPort
from pwsync.replication import json_messages
from pwsync.replication.client import PROTOCOL_ERROR

if TYPE_CHECKING:
    from pwsync.event_log import Event

SERVER_UNAVAILABLE, CALL_FAILED, CALL_CANCELLED, SECURITY_ERROR = 1722, 1726, 1818, 1825
"""Win32 codes of a broken RPC connection: not there, broken off, timed out, no security."""

CONNECT_SECONDS: Final = 10
ANSWER_SECONDS: Final = 100
"""As the provisioning service is given (:mod:`pwsync.tenant.provisioning`)."""


class RemoteChannel:
    """A replication channel (:class:`pwsync.ports.ReplicationChannel`) over HTTPS; ``url`` is the controller's."""

    def __init__(self, session: requests.Session, url: str) -> None:
        self._session = session
        self._url = url.rstrip("/")

    def call(self, operation: str, message: Mapping[str, Any]) -> Mapping[str, Any]:
        """Carry one operation; a connection that breaks has the code that RPC would have."""
        try:
            response = self._session.post(
                f"{self._url}/{operation}",
                data=json_messages.dump(message),
                headers={"Content-Type": "application/json"},
                timeout=(CONNECT_SECONDS, ANSWER_SECONDS),
                allow_redirects=False,
            )
        except requests.exceptions.SSLError as error:
            raise ReplicationError(SECURITY_ERROR, "A security package specific error occurred.") from error
        except requests.exceptions.ConnectTimeout as error:
            raise ReplicationError(SERVER_UNAVAILABLE, "The RPC server is unavailable.") from error
        except requests.Timeout as error:
            raise ReplicationError(CALL_CANCELLED, "The remote procedure call was cancelled.") from error
        except requests.RequestException as error:
            raise broken(error) from error
        return self._read(response)

    @staticmethod
    def _read(response: requests.Response) -> Mapping[str, Any]:
        try:
            found = json_messages.load(response.content)
            if "answer" in found:
                answer: Mapping[str, Any] = found["answer"]
                return answer
            code, message = found["error"]["code"], found["error"]["message"]
            if not isinstance(code, int) or not isinstance(message, str):
                raise TypeError("an error is a number and a text")
        except (ValueError, TypeError, KeyError) as error:
            raise ReplicationError(
                PROTOCOL_ERROR,
                f"A remote procedure call (RPC) protocol error occurred: HTTP {response.status_code}, no message.",
            ) from error
        raise ReplicationError(code, message)


def broken(error: requests.RequestException) -> ReplicationError:
    """The code of a broken connection: whether it never came to be, or broke during the call."""
    text = repr(error)
    if "NewConnectionError" in text or "refused" in text:
        return ReplicationError(SERVER_UNAVAILABLE, "The RPC server is unavailable.")
    return ReplicationError(CALL_FAILED, "The remote procedure call failed.")


class RemotePorts:
    """Makes the ports of a configuration's agent. :meth:`close` ends its connections. Raises ConfigError.

    clock: the time now, aware UTC. random: a generator by name. event_log, run_history, commit: as in
    :class:`pwsync.ports.AgentPorts`.
    """

    def __init__(
        self,
        configuration: Configuration,
        *,
        clock: Callable[[], datetime],
        random: Callable[[str], Random],
        event_log: Callable[[Event], None],
        run_history: Callable[[str], None] = lambda kind: None,
        commit: Callable[[Callable[[], None]], None] = lambda perform: perform(),
    ) -> None:
        self._configuration = configuration
        self._authority = str(configuration.authority)
        check_authority(self._authority)
        self._tenant = self.session(configuration.proxy)
        self._directory = self.session(None)
        self.ports = AgentPorts(
            clock=clock,
            directory=self.directory,
            replication=self.replication,
            tenant=TenantPort(
                self._tenant,
                configuration.tenant_id,
                configuration.tenant_authority,
                configuration.provisioning_url,
            ),
            store=StorePort(str(configuration.store), commit),
            settings=configuration.settings,
            random=random,
            event_log=event_log,
            run_history=run_history,
        )

    def session(self, proxy: str | None) -> requests.Session:
        """A session that trusts the world's authority alone, and takes nothing from its surroundings."""
        session = requests.Session()
        session.trust_env = False
        session.verify = self._authority
        if proxy is not None:
            session.proxies = {"https": proxy}
        return session

    def directory(self, domain: str, controller: str) -> ldap3.Connection:
        """A connection over LDAPS to a controller, not yet open, for its connector's account."""
        address = urlsplit(self._configuration.controllers[domain, controller].ldaps)
        # The certificate may name the controller and not its address; from Python 3.12 on ldap3 compares by itself,
        # and never finds an address.
        names = [f"{controller}.{domain}"]
        tls = ldap3.Tls(validate=ssl.CERT_REQUIRED, ca_certs_file=self._authority, valid_names=names)
        server = ldap3.Server(
            address.hostname, port=address.port or 636, use_ssl=True, tls=tls, get_info=ldap3.NONE,
            connect_timeout=CONNECT_SECONDS,
        )  # fmt: skip
        account = next(each.account for each in self._configuration.settings.connectors if each.domain == domain)
        return ldap3.Connection(
            server, f"{account}@{domain}", "", receive_timeout=ANSWER_SECONDS, return_empty_attributes=False
        )

    def replication(self, domain: str, controller: str) -> RemoteChannel:
        """The way to a controller's replication."""
        return RemoteChannel(self._directory, self._configuration.controllers[domain, controller].replication)

    def close(self) -> None:
        """End all connections."""
        self._tenant.close()
        self._directory.close()


def check_authority(path: str) -> None:
    """Whether this is a file of certificates. Raises ConfigError."""
    try:
        ssl.create_default_context(cafile=path)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f'The certificate "{path}" can\'t be used: {getattr(error, "strerror", None) or error}.'
        ) from error
