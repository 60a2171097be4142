"""The Windows server beneath the agent's service: its FIPS policy, the service's configuration file, its boots.

The framework that the service runs on looks at the policy, and reads the file, when a process starts. Today's
documentation has the server restarted after the file was edited, that of 2017 did not; so where the profile says so, a
process gets the file as it was when the server started (what in the server remembers it is unconfirmed).
"""

from __future__ import annotations

from pwsync import service_config
from pwsync.fips import ServerCrypto
from pwsync.ports import ServerPort


class Server:
    """One server.

    fips: whether the policy asks for validated algorithms. config: the configuration file as it lies on the disk.
    locked: whether the process of the service that started last can't have MD5. file_at_boot: processes get the file as
    it was at the last boot.
    """

    def __init__(self, *, file_at_boot: bool) -> None:
        self.fips = False
        self.locked = False
        self.config = config_text()
        self._file_at_boot = file_at_boot
        self._booted_with = self.config

    def boot(self) -> None:
        """The server comes up."""
        self._booted_with = self.config

    def service_starts(self) -> None:
        """A process of the service has started."""
        self.locked = self.fips and service_config.read(self._config_in_force()).enforce_fips

    def port(self) -> ServerPort:
        """What a process of the agent gets."""
        return ServerPort(self._config_in_force, lambda enforce: ServerCrypto(locked=self.fips and enforce))

    def _config_in_force(self) -> bytes:
        return self._booted_with if self._file_at_boot else self.config


def config_text(enforce_fips: bool | None = None) -> bytes:
    """The file as the product's set-up leaves it, with the element that an administrator adds."""
    flag = "" if enforce_fips is None else f'\n        <enforceFIPSPolicy enabled="{str(enforce_fips).lower()}"/>'
    text = f"""\
<?xml version="1.0" encoding="utf-8"?>
<configuration>
    <startup useLegacyV2RuntimeActivationPolicy="true">
        <supportedRuntime version="v4.0"/>
    </startup>
    <runtime>
        <gcServer enabled="true"/>{flag}
    </runtime>
</configuration>
"""
    return text.encode()
