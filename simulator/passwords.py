"""The passwords of a run, so that none has to be printed: ``alice#2`` is the second one that was alice's."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pwsync.credential import nt_hash, verify


class Passwords:
    """Every password that a user had, tried to have, or was given by an administrator, numbered per user from 1."""

    def __init__(self, verify: Callable[[bytes, str], bool] = verify) -> None:
        """``verify`` tells whether a credential was made from an NT hash; one that remembers its answers saves time."""
        self._verify = verify
        self._by_user: dict[str, dict[str, int]] = {}
        self._by_hash: dict[tuple[str, bytes], str] = {}
        self._hashes: dict[str, bytes] = {}
        self._seen: dict[tuple[str, str], str | None] = {}

    def learn(self, user: str, password: str) -> str:
        """Number a password of ``user`` if it is new; returns its label."""
        numbers = self._by_user.setdefault(user, {})
        if password not in numbers:
            numbers[password] = len(numbers) + 1
            self._by_hash.setdefault((user, self.nt_hash(password)), password)
        return f"{user}#{numbers[password]}"

    def learn_hash(self, user: str, nt: bytes) -> str:
        """Number a secret that nobody typed (a randomised password); returns its label."""
        known = self._by_hash.get((user, nt))
        if known is not None:
            return self.label(user, known)
        handle = f"\x00{nt.hex()}"
        self._hashes[handle] = nt
        self._by_hash[(user, nt)] = handle
        numbers = self._by_user.setdefault(user, {})
        numbers[handle] = len(numbers) + 1
        return f"{user}#{numbers[handle]}"

    def label(self, user: str, password: str | None) -> str:
        """The label of a password; one that never was the user's is ``alice#?``."""
        if password is None:
            return "none"
        number = self._by_user.get(user, {}).get(password)
        return f"{user}#{number}" if number else f"{user}#?"

    def password_of_hash(self, user: str, nt: bytes) -> str | None:
        """The password of ``user`` with this NT hash, if a person knows it."""
        found = self._by_hash.get((user, nt))
        return None if found is None or found.startswith("\x00") else found

    def nt_hash(self, password: str) -> bytes:
        """NT hash of a password, computed once."""
        found = self._hashes.get(password)
        if found is None:
            found = self._hashes[password] = nt_hash(password)
        return found

    def identify(self, user: str, credential: str) -> str | None:
        """Which of the user's passwords a stored credential belongs to; None if to none of them.

        Asks the credential itself (PBKDF2), newest password first, and remembers the answer.
        """
        key = (user, credential)
        if key in self._seen:
            return self._seen[key]
        found = None
        for password in reversed(self._by_user.get(user, {})):
            if self._verify(self.nt_hash(password), credential):
                found = password
                break
        if found is not None:
            self._seen[key] = found
        return found

    def secrets(self) -> Iterator[tuple[str, str, bytes]]:
        """(label, password or "" if nobody typed it, NT hash) of every password of the run."""
        for user, numbers in self._by_user.items():
            for password, number in numbers.items():
                text = "" if password.startswith("\x00") else password
                yield f"{user}#{number}", text, self.nt_hash(password)
