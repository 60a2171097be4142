"""Self-healing of the tenant's feature: it is off, though this agent was set up to synchronize passwords.

Newer builds tell of it (events 660 and 661 of the troubleshooting documentation). What makes the product look is not
published, so it is modelled in the simplest way: the tenant has refused a batch or a ping because password
synchronization is not activated. Whoever wants it off switches it off at the agent.
"""

from __future__ import annotations

from typing import Final

from pwsync.errors import ServiceFault, TenantError
from pwsync.failures import tenant_chain
from pwsync.process import Process
from pwsync.retry_queue import tell_refusal
from pwsync.tenant_link import PASSWORD_HASH_SYNC

NOT_ACTIVATED: Final = 90
"""The service's fault: password synchronization has not been activated for this company."""


class FeatureHealing:
    """Notes refusals of a cycle, and has the feature switched on when the cycle has sent what it had."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._noted = False

    def note(self, error: TenantError) -> None:
        """The tenant has refused a call."""
        if isinstance(error, ServiceFault) and error.code == NOT_ACTIVATED:
            self._noted = self._process.ports.settings.build.heals_feature

    def heal(self) -> None:
        """Switch the feature on if it was the reason, and is off indeed; the tenant's other features stay as they are.

        What was refused goes out in the next cycle. A failure leaves event 661, and the next refusal tries again.
        """
        if not self._noted or not self._process.may_send:
            return
        self._noted = False
        log, texts, clock = self._process.ports.event_log, self._process.texts, self._process.ports.clock
        try:
            features = self._process.link.features()
            if features & PASSWORD_HASH_SYNC:
                return
            log(texts.healing_started(clock()))
            self._process.link.set_features(features | PASSWORD_HASH_SYNC)
        except TenantError as error:
            log(texts.healing_ended(clock(), tenant_chain(error)))
            tell_refusal(self._process, error)
            if error.retry_after is not None:
                self._process.store.commit()
        else:
            log(texts.healing_ended(clock()))
