"""no-secret-leaks: no password of 8 or more characters, no NT hash and no Kerberos key in trace, store, logs or calls.

Kerberos keys are those that the agent has read for Domain Services: what it never had it can't lose, and to make all of
them would take longer than the rest of a run. An RC4 key is the NT hash.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Sequence

from simulator.active_directory import supplemental
from simulator.invariants.base import Invariant, Violation
from simulator.network import Attempt

LENGTH_MIN = 8
"""Shorter passwords turn up by chance."""

PAGE = 4096
"""So much of the store is compared at once with what it was when it was last searched."""

KEY_NAMES = {supplemental.AES256: "AES256", supplemental.AES128: "AES128", supplemental.DES_MD5: "DES"}
"""Kerberos keys by encryption type; both types of DES have the same one."""

Needle = tuple[str, str, bytes]
"""Whose secret it is, what it is, and the octets to look for."""


class NoSecretLeaks(Invariant):
    """Every artefact of the run is searched: passwords as UTF-8 and UTF-16, hashes and keys as bytes, hex, base64."""

    id = "no-secret-leaks"
    why = "Whoever reads what a run leaves behind must not find there what opens an account."

    def begin(self) -> None:
        self._lines = 0
        self._events = 0
        self._requests = 0
        self._needles: list[Needle] = []
        self._known: set[bytes] = set()
        self._in_store: list[Violation] = []
        self._searched = b""
        self._searched_for = 0
        self.world.network.watchers.append(self._committed)

    def instant(self) -> Iterable[Violation]:
        yield from self._search()
        yield from self._in_store
        self._in_store.clear()

    def finish(self) -> Iterable[Violation]:
        yield from self.instant()
        self._look_at_store()
        yield from self._in_store

    def _committed(self, attempt: Attempt) -> None:
        """Look at the store at every commit: what the next one erases was on the disk all the same."""
        if attempt.on == "store.commit":
            self._look_at_store()

    def _look_at_store(self) -> None:
        """Search what is not as it was when it was last searched, and all of it for secrets that are new."""
        self._learn()
        image, before = self.world.store.image(), self._searched
        fresh = self._needles[self._searched_for :]
        self._in_store += self._find("the agent's store", image, fresh)
        known = self._needles[: self._searched_for]
        longest = max((len(needle) for _, _, needle in known), default=0)
        for first, after in changed(before, image):
            self._in_store += self._find("the agent's store", image[max(0, first - longest) : after + longest], known)
        self._searched, self._searched_for = image, len(self._needles)

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
        names: list[str] | None = None
        for label, password, nt in self.world.passwords.secrets():
            if nt in self._known:
                continue
            self._known.add(nt)
            if names is None:
                names = [name.casefold() for name in self._names()]
            user, secret = label.partition("#")[0], f"the NT hash of {label}"
            if len(password) >= LENGTH_MIN and not _is_public(password, names):
                self._needles.append((user, label, password.encode("utf-8", "surrogatepass")))
                self._needles.append((user, label, password.encode("utf-16-le", "surrogatepass")))
            self._needles.append((user, secret, nt))
            self._needles.append((user, secret, nt.hex().encode()))
            self._needles.append((user, secret, nt.hex().upper().encode()))
            self._needles.append((user, secret, base64.b64encode(nt).rstrip(b"=")))
        if self.world.keys_read:
            self._learn_keys()

    def _learn_keys(self) -> None:
        """The Kerberos keys that were read since: of each user's current password and of the two before it."""
        for home, on, guid in sorted(self.world.keys_read):
            domain = self.world.domain(home)
            entry = domain.controller(on).replica.by_guid.get(guid)
            names = supplemental.Domain(domain.name, domain.netbios)
            for each in supplemental.kept(entry.octets("supplementalcredentials")) if entry is not None else ():
                user = self.world.handle_of_anchor(base64.b64encode(guid).decode())
                label = self.world.passwords.label(user, each.password)
                for kind, key in supplemental.kerberos_keys(each.password, supplemental.salt_of(each, names)).items():
                    if key not in self._known and kind in KEY_NAMES:
                        self._known.add(key)
                        secret = f"the {KEY_NAMES[kind]} key of {label}"
                        self._needles += [(user, secret, needle) for needle in spellings(key)]
        self.world.keys_read.clear()

    def _names(self) -> Iterator[str]:
        for person in self.world.people.values():
            yield person.handle
            yield person.upn
        for domain in self.world.domains:
            yield domain.name
            for account in domain.accounts():
                yield account.display_name
                yield account.dn

    def _find(self, where: str, data: bytes, needles: Sequence[Needle] | None = None) -> Iterator[Violation]:
        for user, secret, needle in self._needles if needles is None else needles:
            if needle in data:
                yield Violation(
                    held=f"{secret} is a secret",
                    came=f"it stands in {where}",
                    about=user,
                    key=f"{where}/{secret}",
                )


def spellings(secret: bytes) -> Iterator[bytes]:
    """How octets may be written: as they are, in hex, and in base64, wherever in a longer text of it they begin.

    In base64 the hex digits may stand, too: a whole supplementalCredentials has keys in capital ones.
    """
    capitals = secret.hex().upper().encode()
    yield from (secret, secret.hex().encode(), capitals)
    for octets in (secret, capitals):
        for before in range(3):
            first, last = -(-before * 4 // 3), (before + len(octets)) * 4 // 3  # digits that hold nothing else
            yield base64.b64encode(bytes(before) + octets)[first:last]


def _is_public(password: str, names: Iterable[str]) -> bool:
    """Whether a password is a word that stands everywhere anyway: one of the names, or plain lower-case letters."""
    if password.isascii() and password.isalpha() and password.islower():
        return True
    folded = password.casefold()
    return any(folded in name for name in names)


def changed(before: bytes, after: bytes) -> Iterator[tuple[int, int]]:
    """Stretches of a file that are not as they were, in whole pages: where each begins and where it ends."""
    first: int | None = None
    for start in range(0, len(after), PAGE):
        if before[start : start + PAGE] != after[start : start + PAGE]:
            first = start if first is None else first
        elif first is not None:
            yield first, start
            first = None
    if first is not None:
        yield first, len(after)
