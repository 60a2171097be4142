"""The server's FIPS policy: an algorithm that is not validated can't be had, unless the service is exempted.

Passwords are replicated under a key made with MD5. On a server that is locked to FIPS algorithms the constructor of
``MD5CryptoServiceProvider`` raises, so nothing can be decrypted (product documentation, password synchronization and
FIPS). The framework looks at the policy once per process: a service that runs goes on as it began. What leaves the
premises is made with PBKDF2 and SHA-256, which the policy allows.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Final, Protocol

from pwsync import service_config
from pwsync.errors import FipsError
from pwsync.event_log import OBJECT_SOURCE, PASSWORD_SOURCE, Event, EventTexts
from pwsync.ports import ServerPort
from pwsync.replication.envelope import Digest
from pwsync.settings import Build

CONSTRUCTOR: Final = "System.Security.Cryptography.MD5CryptoServiceProvider..ctor()"


class Crypto(Protocol):
    """The algorithms that a process gets from its server."""

    def md5(self, data: bytes) -> Digest:
        """MD5 of the data. Raises FipsError on a server that forbids it."""


class ServerCrypto:
    """A server's cryptography for one process. ``locked``: only what is validated for FIPS can be had."""

    def __init__(self, *, locked: bool) -> None:
        self.locked = locked

    def md5(self, data: bytes) -> Digest:
        """As :meth:`Crypto.md5`. That Python itself may be locked does not matter here."""
        if self.locked:
            raise FipsError(CONSTRUCTOR)
        return hashlib.md5(data, usedforsecurity=False)


def crypto_of(server: ServerPort) -> tuple[Crypto, str]:
    """The cryptography of a process that starts now, and what is wrong with its configuration file, if anything."""
    try:
        config = service_config.read(server.service_config())
    except OSError as error:
        config = service_config.ServiceConfig(problem=f"it can't be read: {error}")
    return server.crypto(config.enforce_fips), config.problem


def is_locked(crypto: Crypto) -> bool:
    """Whether this process can't have MD5."""
    try:
        crypto.md5(b"")
    except FipsError:
        return True
    return False


def config_path(build: Build) -> str:
    """Where the service's configuration file lies."""
    return f"{build.folder}\\{service_config.FILE}"


def config_unusable(time: datetime, build: Build, problem: str) -> Event:
    """6902: the configuration file can't be used, and the defaults hold (id and words unconfirmed)."""
    text = (
        f"The configuration file {config_path(build)} can't be used: {problem}. "
        "The service runs with its defaults, so the server's FIPS policy holds for it."
    )
    return Event(6902, "warning", OBJECT_SOURCE, time, text)


def domain_failed(
    texts: EventTexts, build: Build, time: datetime, domain: str, controller: str, error: FipsError
) -> Event:
    """A domain's secrets can't be opened: 611 with the chain of exceptions, in newer builds 667 with the way out."""
    chain = (
        f"SynchronizationManagerException: Recovery task failed. ---> {error}\n   at {error.frame}\n"
        "   at PasswordUtility.Decrypt(rid, sessionKey, salt, encryptedData)"
    )
    if not build.decryption_key_event:
        return texts.domain_failed(time, domain, controller, chain)
    text = (
        f"Generating MD5 decryption key has failed for domain: {domain}. \n"
        f"If this server is locked to FIPS algorithms, "
        f'put <{service_config.ELEMENT} enabled="false"/> under configuration/runtime of {config_path(build)} and '
        f"restart the server. \nDetails: {chain}"
    )
    return Event(667, "error", PASSWORD_SOURCE, time, text, domain)
