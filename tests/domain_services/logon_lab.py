"""People of a managed domain, and a domain of them on real ports."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from pwsync.credential import nt_hash
from simulator.active_directory.supplemental import kerberos_keys
from simulator.domain_services.port import ServedDomain
from simulator.random import Randomness

DOMAIN, NETBIOS, REALM = "adatum.com", "ADATUM", "ADATUM.COM"
PASSWORD = "Pa$$w0rd"
PATIENCE_SECONDS = 30


@dataclass(frozen=True)
class Person:
    """An account, as logon protocols see it."""

    name: str
    nt_hash: bytes | None = None
    keys: Mapping[int, bytes] = field(default_factory=dict)
    salt: str = ""
    enabled: bool = True

    @property
    def upn(self) -> str:
        """The user principal name."""
        return f"{self.name.lower()}@{DOMAIN}"


def person(name: str, password: str = PASSWORD, kinds: tuple[int, ...] = (18, 17), *, enabled: bool = True) -> Person:
    """Somebody with a password, and its Kerberos keys of these types."""
    salt = REALM + name
    keys = {kind: key for kind, key in kerberos_keys(password, salt).items() if kind in kinds}
    return Person(name, nt_hash(password), keys, salt if keys else "", enabled)


APRIL = person("April")
PEOPLE = (
    APRIL,
    person("Rita", kinds=()),  # her hash came without keys
    Person("Nina"),  # of her nothing came yet
    person("Dora", enabled=False),
    person("Jürgen", "Pässwörd–ß", kinds=(18, 17)),
)


def lookup(name: str) -> Person | None:
    """A person by sAMAccountName, ``ADATUM\\name`` or user principal name."""
    prefix, _, rest = name.rpartition("\\")
    if prefix.upper() not in ("", NETBIOS):
        return None
    return next((each for each in PEOPLE if rest.casefold() in (each.name.casefold(), each.upn.casefold())), None)


class Lab:
    """The domain on free ports of this machine."""

    def __init__(self, folder: Path, clock: Callable[[], datetime]) -> None:
        self.folder = folder
        self.served = ServedDomain(DOMAIN, lookup, clock, Randomness(1))
        self.ca = folder / "ca.pem"
        self.ca.write_text(self.served.ldap.authority.pem)

    @property
    def ldap(self) -> str:
        """URL of LDAP."""
        return f"ldap://127.0.0.1:{self.served.ldap.ldap_port}"

    @property
    def ldaps(self) -> str:
        """URL of LDAPS."""
        return f"ldaps://127.0.0.1:{self.served.ldap.ldaps_port}"

    def run(self, *command: str, feed: str = "", defaults: str = "") -> tuple[int, str]:
        """Run a tool with a configuration of its own; its exit code, and everything that it says.

        defaults: further lines of krb5.conf's first section.
        """
        conf = self.folder / "krb5.conf"
        conf.write_text(self.served.krb5_conf().replace("[libdefaults]\n", f"[libdefaults]\n{defaults}\n"))
        settings = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "KRB5_CONFIG": str(conf),
            "KRB5CCNAME": f"FILE:{self.folder / 'cache'}",
            "LDAPTLS_CACERT": str(self.ca),
        }
        done = subprocess.run(command, input=feed, capture_output=True, text=True, env=settings, check=False)
        return done.returncode, done.stdout + done.stderr

    def stream(self) -> socket.socket:
        """A TCP connection to the KDC."""
        return socket.create_connection(("127.0.0.1", self.served.kerberos.port), PATIENCE_SECONDS)

    def datagrams(self) -> socket.socket:
        """A socket for datagrams to the KDC."""
        found = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        found.settimeout(PATIENCE_SECONDS)
        found.connect(("127.0.0.1", self.served.kerberos.port))
        return found
