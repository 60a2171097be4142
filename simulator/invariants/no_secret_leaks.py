"""no-secret-leaks: no password of 8 or more characters and no NT hash in trace, store, logs or the agent's calls."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator

from simulator.invariants.base import Invariant, Violation

LENGTH_MIN = 8
"""Shorter passwords turn up by chance."""


class NoSecretLeaks(Invariant):
    """Every artefact of the run is searched for passwords (as UTF-8 and UTF-16) and NT hashes (bytes, hex, base64)."""

    id = "no-secret-leaks"

    def begin(self) -> None:
        self._lines = 0
        self._events = 0
        self._requests = 0
        self._needles: list[tuple[str, str, bytes]] = []
        self._known: set[bytes] = set()

    def instant(self) -> Iterable[Violation]:
        yield from self._search()

    def finish(self) -> Iterable[Violation]:
        yield from self._search()
        yield from self._find("the agent's store", self.world.store.dump().encode("utf-8", "surrogatepass"))

    def _search(self) -> Iterator[Violation]:
        world = self.world
        lines, events, requests = world.trace.lines, world.events, world.requests
        if len(lines) == self._lines and len(events) == self._events and len(requests) == self._requests:
            return
        self._learn()
        text = "\n".join(lines[self._lines :])
        yield from self._find("the trace", text.encode("utf-8", "surrogatepass"))
        told = "\n".join(event.text for event in events[self._events :])
        yield from self._find("the event log", told.encode("utf-8", "surrogatepass"))
        yield from self._find("the agent's calls to the tenant", b"\n".join(requests[self._requests :]))
        self._lines, self._events, self._requests = len(lines), len(events), len(requests)

    def _learn(self) -> None:
        for label, password, nt in self.world.passwords.secrets():
            if nt in self._known:
                continue
            self._known.add(nt)
            user, secret = label.partition("#")[0], f"the NT hash of {label}"
            if len(password) >= LENGTH_MIN:
                self._needles.append((user, label, password.encode("utf-8", "surrogatepass")))
                self._needles.append((user, label, password.encode("utf-16-le", "surrogatepass")))
            self._needles.append((user, secret, nt))
            self._needles.append((user, secret, nt.hex().encode()))
            self._needles.append((user, secret, nt.hex().upper().encode()))
            self._needles.append((user, secret, base64.b64encode(nt).rstrip(b"=")))

    def _find(self, where: str, data: bytes) -> Iterator[Violation]:
        for user, secret, needle in self._needles:
            if needle in data:
                yield Violation(
                    held=f"{secret} is a secret",
                    came=f"it stands in {where}",
                    about=user,
                    key=f"{where}/{secret}",
                )
