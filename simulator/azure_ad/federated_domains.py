"""Which domains of a tenant are federated, with whom, and since when: a conversion takes its time.

Until a conversion is in force everything goes by the old way: sign-ins, and what is refused for a federated user
(unconfirmed: the product's administration may see the new way at once).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from simulator.refusal import Refusal

CONVERSION_TAKES = timedelta(minutes=60)
"""From a conversion to the moment at which sign-ins go the new way (product documentation: up to 60 minutes)."""

CLOCK_SKEW = timedelta(minutes=5)
"""How far the clocks of federation servers may be off (unconfirmed)."""

USED_KEPT = 10_000
"""From so many assertions on, those are forgotten that are no longer good by themselves."""

INITIAL_SUFFIX = ".onmicrosoft.com"
"""A tenant's first domain ends like this; it can't be federated (product documentation)."""


@dataclass(frozen=True, slots=True)
class FederationTrust:
    """What a tenant knows of the identity provider of one domain, since the domain was made a federated one.

    issuer: a URI, of this domain alone. certificate: the one that signs tokens, PEM. metadata_url, sign_in_url: where
    clients find the metadata exchange and the WS-Trust endpoint for names and passwords.
    """

    issuer: str
    certificate: str
    metadata_url: str
    sign_in_url: str


@dataclass(slots=True)
class _Way:
    """The way in force, None for managed; the one to come and since when it is in force."""

    now: FederationTrust | None = None
    next: FederationTrust | None = None
    changes_at: datetime | None = None


class FederatedDomains:
    """The ways in which a tenant's domains sign in, and which assertions of federated ones were used.

    A domain that was never converted is managed.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._ways: dict[str, _Way] = {}
        self._used: dict[str, datetime] = {}

    def set(self, domain: str, trust: FederationTrust | None) -> None:
        """Have a domain go this way from now on, as if it had done so for long; None: managed."""
        self._check(domain, trust)
        self._ways[domain.lower()] = _Way(trust)

    def convert(self, domain: str, trust: FederationTrust | None) -> datetime:
        """Convert a domain; returns when that is in force. It takes the place of a conversion that still waits.

        Raises Refusal("not-supported") for a domain that is, or is becoming, just that, and for the tenant's first one.
        """
        self._check(domain, trust)
        way = self._way(domain)
        coming = way.now if way.changes_at is None else way.next
        if (coming is None) == (trust is None):
            kind = "managed" if trust is None else "federated"
            raise Refusal("not-supported", f"{domain} is {kind} already, or is being converted to it")
        way.next, way.changes_at = trust, self._clock() + CONVERSION_TAKES
        self._ways[domain.lower()] = way
        return way.changes_at

    def trust(self, domain: str) -> FederationTrust | None:
        """Who signs users of a domain in; None: the tenant itself."""
        return self._way(domain).now if self._ways else None

    def of_issuer(self, issuer: str) -> tuple[str, FederationTrust] | None:
        """The federated domain, in lower case, that an issuer speaks for, with its trust."""
        for domain in self._ways:
            trust = self.trust(domain)
            if trust is not None and trust.issuer == issuer:
                return domain, trust
        return None

    def was_used(self, assertion: str) -> bool:
        """Whether somebody has signed in with the assertion of this id."""
        return assertion in self._used

    def use(self, assertion: str, until: datetime) -> None:
        """Note that an assertion, good until then, was used."""
        if len(self._used) >= USED_KEPT:
            now = self._clock()
            self._used = {each: end for each, end in self._used.items() if now < end + CLOCK_SKEW}
        self._used[assertion] = until

    def _way(self, domain: str) -> _Way:
        way = self._ways.get(domain.lower())
        if way is None:
            return _Way()
        if way.changes_at is not None and self._clock() >= way.changes_at:
            way.now, way.next, way.changes_at = way.next, None, None
        return way

    @staticmethod
    def _check(domain: str, trust: FederationTrust | None) -> None:
        if trust is not None and domain.lower().endswith(INITIAL_SUFFIX):
            raise Refusal("not-supported", f"{domain} is the tenant's first domain, which can't be federated")
