"""Full password synchronizations: a domain is read as a whole, and every password in scope goes out again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from pwsync.process import Process
from pwsync.state import DomainState, PasswordState


class FullSync:
    """Begins and ends full synchronizations, and tells of it (617 to 619, 621 to 623).

    A domain's is over when none of its users is still forced. Users that go out of scope meanwhile don't count.
    """

    def __init__(self, process: Process) -> None:
        self._process = process
        self._state = process.state
        self._left: Counter[str] = Counter()

    def begin(self, domain: DomainState) -> None:
        """The domain was read as a whole."""
        log, texts, now = self._process.ports.event_log, self._process.texts, self._process.ports.clock()
        forest = self._forest_of(domain)
        if all(other.full != "running" for other in self._domains_of(forest)):
            log(texts.full_sync_started(now, domain.name, forest))
        log(texts.full_sync_started(now, domain.name))
        domain.full = "running"
        self._state.touch_domain(domain)

    def count(self, domains: Iterable[DomainState]) -> bool:
        """See how much is left to send. True if one of the domains is done already."""
        running = [domain for domain in domains if domain.full == "running"]
        if not running:
            return False
        self._left = Counter(state.domain for state in self._state.waiting.values() if state.forced)
        ended = [self.end_if_done(domain) for domain in running]
        return any(ended)

    def applied(self, state: PasswordState) -> None:
        """The tenant took a user's password."""
        if state.forced:
            state.forced = False
            self._left[state.domain] -= 1

    def failed(self, domain: DomainState) -> None:
        """The domain could not be read."""
        if domain.full == "ordered":
            self._process.ports.event_log(
                self._process.texts.full_sync_failed(self._process.ports.clock(), domain.name)
            )

    def progress(self, domain: DomainState) -> None:
        """A batch with users of the domain was settled."""
        if domain.full == "running":
            self._process.ports.event_log(
                self._process.texts.full_sync_progress(
                    self._process.ports.clock(), domain.name, max(0, self._left[domain.name])
                )
            )

    def end_if_done(self, domain: DomainState) -> bool:
        """End the domain's full synchronization if nothing is left of it. True if it has ended now."""
        if domain.full != "running" or self._left[domain.name] > 0:
            return False
        log, texts, now = self._process.ports.event_log, self._process.texts, self._process.ports.clock()
        domain.full = ""
        self._state.touch_domain(domain)
        log(texts.full_sync_completed(now, domain.name))
        forest = self._forest_of(domain)
        if not any(other.full for other in self._domains_of(forest)):
            log(texts.full_sync_completed(now, domain.name, forest))
        return True

    def _forest_of(self, domain: DomainState) -> str:
        connectors = self._process.ports.settings.connectors
        return next(connector.forest for connector in connectors if connector.domain == domain.name)

    def _domains_of(self, forest: str) -> list[DomainState]:
        connectors = self._process.ports.settings.connectors
        return [self._state.domain(connector.domain) for connector in connectors if connector.forest == forest]
