"""The heartbeat: an agent that has nothing to send tells the tenant every half hour that it is alive."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from pwsync.errors import TenantError
from pwsync.failures import tenant_chain
from pwsync.process import Process

HEARTBEAT = timedelta(minutes=30)


class Heartbeat:
    """Pings of one process. The first is due half an hour after its start, unless a batch was taken before."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._clock = process.ports.clock
        self._last = self._clock()

    def contact(self) -> None:
        """The tenant has taken a batch: a ping is not needed for a while."""
        self._last = self._clock()

    @property
    def next(self) -> datetime:
        return self._last + HEARTBEAT

    def beat(self, connectors: Iterable[str]) -> None:
        """Ping if it is time, once for each connector (GUID). A ping that fails is not repeated before its time."""
        if self._clock() < self.next:
            return
        for connector in connectors:
            if not self._process.may_send:
                return
            self._last = self._clock()
            self._ping(connector)

    def _ping(self, connector: str) -> None:
        log, texts = self._process.ports.event_log, self._process.texts
        log(texts.ping_start(self._clock(), connector))
        try:
            self._process.link.prepare()
            self._process.link.ping()
        except TenantError as error:
            log(texts.ping_failed(self._clock(), connector, tenant_chain(error)))
            if error.retry_after is not None:
                self._process.store.commit()
        else:
            log(texts.ping_end(self._clock(), connector))
