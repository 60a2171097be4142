"""The heartbeat: a connector that has nothing to send tells the tenant every half hour that it is alive.

Each connector, one for a forest, has a channel of its own (product documentation): that one is busy says nothing of the
others, and holds back nobody else's heartbeat.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Protocol

from pwsync.errors import StoreError, TenantError
from pwsync.failures import tenant_chain
from pwsync.feature_healing import FeatureHealing
from pwsync.process import Process
from pwsync.retry_queue import tell_refusal

HEARTBEAT = timedelta(minutes=30)


class Calls(Protocol):
    """How a ping reaches the tenant: with a valid token."""

    def prepare(self) -> None: ...

    def ping(self) -> None: ...


class Heartbeat:
    """Pings of one process, by connector (GUID).

    A connector's first is due half an hour after the start, or after the last batch with passwords of its domains.
    """

    def __init__(self, process: Process, healing: FeatureHealing) -> None:
        self._process = process
        self._healing = healing
        self._clock = process.ports.clock
        self._began = self._clock()
        self._last: dict[str, datetime] = {}
        self._heard: dict[str, datetime] = {}

    def contact(self, connectors: Iterable[str]) -> None:
        """The tenant has taken a batch of these: they need no ping for a while."""
        for connector in connectors:
            self._last[connector] = self._heard[connector] = self._clock()

    def heard(self, connector: str) -> datetime:
        """When the tenant last took a ping or a batch of the connector; the service's start if never."""
        return self._heard.get(connector, self._began)

    def next(self, connector: str) -> datetime:
        """When the connector's next ping is due if nothing is sent before."""
        return self._last.get(connector, self._began) + HEARTBEAT

    def beat(self, connectors: Iterable[str], calls: Calls | None = None) -> None:
        """Ping for each of the connectors whose time has come. A ping that fails is not repeated before its time.

        ``calls`` makes the calls; the process's link to the tenant if left out.
        """
        now = self._clock()
        due = [connector for connector in connectors if now >= self.next(connector)]
        if not due:
            return
        if self._process.ports.settings.build.alive_in_log and self._process.may_send:
            self._process.ports.event_log(self._process.texts.manager_alive(self._clock()))
        for connector in due:
            if not self._process.may_send:
                return
            self._last[connector] = self._clock()
            self._ping(connector, calls or self._process.link)

    def _ping(self, connector: str, calls: Calls) -> None:
        log, texts = self._process.ports.event_log, self._process.texts
        log(texts.ping_start(self._clock(), connector))
        try:
            calls.prepare()
            calls.ping()
        except TenantError as error:
            log(texts.ping_failed(self._clock(), connector, tenant_chain(error)))
            tell_refusal(self._process, error)
            self._healing.note(error)
            if error.retry_after is not None:
                self._keep(connector)
        else:
            self._heard[connector] = self._clock()
            log(texts.ping_end(self._clock(), connector))

    def _keep(self, connector: str) -> None:
        """Store the pause that the tenant asked for; the next commit tries again."""
        try:
            self._process.store.commit()
        except StoreError as error:
            now = self._clock()
            self._process.ports.event_log(self._process.texts.health_task_failed(now, connector, str(error)))
