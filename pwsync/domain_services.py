"""Domain Services: what the tenant wants for it beside each password, read and sealed batch by batch.

A tenant with Domain Services wants the NT hash and the Kerberos keys, sealed for its certificate, with every password
that goes out; nobody else's agent reads or sends any of that. The tenant is asked in every cycle that has something to
send (when the product asks is not published), so what changes from then on carries secrets; for everybody else a full
synchronization has to be ordered (product documentation).

A user without Kerberos keys is synchronized without them, and is shown as MissingAttribute (unconfirmed: that the rest
goes out). One whose keys can't be read waits for the next cycle, like any other who can't be read.
"""

from __future__ import annotations

from dataclasses import dataclass

from pwsync.credential_batches import Batch
from pwsync.errors import EnvelopeError, SealError, TenantError
from pwsync.failures import tenant_chain
from pwsync.password_reading import PasswordReader
from pwsync.process import Process
from pwsync.replication.supplemental import newer_keys, read_keys
from pwsync.state import PasswordState
from pwsync.tenant.messages import SecretsConfiguration
from pwsync.windows_credentials import Sealer


@dataclass(frozen=True, slots=True)
class SealedSecrets:
    """One user's secrets for Domain Services, as texts; None for what is not wanted, or is missing."""

    legacy: str | None = None
    supplemental: str | None = None


NOTHING = SealedSecrets()


class DomainServices:
    """Domain Services as one process of the agent knows it.

    lacking: anchors of users whose Kerberos keys were wanted in this cycle, and are missing.
    """

    def __init__(self, process: Process, reader: PasswordReader) -> None:
        self._process = process
        self._reader = reader
        self._random = process.ports.random("domain-services")
        self._configuration = SecretsConfiguration()
        self._sealer: Sealer | None = None
        self.lacking: set[str] = set()

    def ask(self) -> None:
        """Ask the tenant what it wants. If it can't be asked, what it wanted the last time holds.

        Raises TenantError where the answer asks for a pause: then nothing may be sent in this cycle.
        """
        self.lacking.clear()
        log, texts, clock = self._process.ports.event_log, self._process.texts, self._process.ports.clock
        try:
            found = self._process.link.secrets_configuration()
        except TenantError as error:
            if error.retry_after is not None:
                raise
            if self._configuration.wanted:  # else the batch that follows tells of the same failure
                log(texts.domain_services_failed(clock(), tenant_chain(error)))
            return
        if found != self._configuration:
            self._turn(found)

    def _turn(self, found: SecretsConfiguration) -> None:
        log, texts, clock = self._process.ports.event_log, self._process.texts, self._process.ports.clock
        self._configuration, self._sealer = found, None
        if not found.wanted:
            log(texts.domain_services_turned(clock(), legacy=False, supplemental=False))
            return
        try:
            self._sealer = Sealer(found.certificate or b"", self._random)
        except SealError as error:
            log(texts.domain_services_failed(clock(), str(error)))
        else:
            log(texts.domain_services_turned(clock(), legacy=found.legacy, supplemental=found.supplemental))

    def complete(self, batch: Batch) -> tuple[Batch, list[SealedSecrets]]:
        """The batch without those whose keys can't be read now, and the others' secrets, in its order."""
        sealer = self._sealer
        if sealer is None:
            return batch, [NOTHING] * len(batch.users)
        users, credentials, secrets = [], [], []
        for state, credential in zip(batch.users, batch.credentials, strict=True):
            found = self._seal(state, sealer)
            if found is not None:
                users.append(state)
                credentials.append(credential)
                secrets.append(found)
        return Batch(users, credentials), secrets

    def _seal(self, state: PasswordState, sealer: Sealer) -> SealedSecrets | None:
        legacy = supplemental = None
        if self._configuration.supplemental:
            read = self._reader.read_supplemental(state)
            if not read.done:
                return None
            keys = _usable(read.value)
            if keys is None:
                self.lacking.add(state.anchor)
            else:
                supplemental = sealer.supplemental(keys)
        if self._configuration.legacy and state.nt is not None:
            legacy = sealer.legacy(state.nt)
        return SealedSecrets(legacy, supplemental)


def _usable(properties: bytes | None) -> bytes | None:
    """The Kerberos keys in supplementalCredentials, as they are stored; None if there are none that can be read."""
    try:
        stored = newer_keys(properties or b"")
        if stored is not None:
            read_keys(stored)
    except EnvelopeError:
        return None
    return stored
