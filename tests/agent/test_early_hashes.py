"""Hashing that begins while the directory is still being read: each hashed once, and no thread left."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any

import pytest
from agent.conftest import Crash, Lab

from pwsync import credential
from pwsync.credential import parse, protect, verify
from pwsync.credential_batches import EARLY_MIN, SWITCH_SECONDS, EarlyHashes, in_batches
from pwsync.last_words import LastWords
from pwsync.password_reading import PAGE
from pwsync.state import PasswordState

WATCH = LastWords(pytest.fail)


def hashes(count: int) -> list[tuple[str, bytes]]:
    return [(f"p{number}", bytes([number]) * 16) for number in range(count)]


def user(anchor: str, nt: bytes) -> PasswordState:
    return PasswordState(anchor, "contoso.example", "CN=p", nt=nt)


@pytest.fixture
def early() -> Iterator[EarlyHashes]:
    made = EarlyHashes(Random(1))
    yield made
    made.end()


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The NT hashes that were hashed by threads, as they were."""
    seen: list[bytes] = []
    true: Callable[..., list[str]] = credential._protect_chunk

    def noting(chunk: Sequence[tuple[bytes, bytes]], iterations: int, *means: Any) -> list[str]:
        seen.extend(nt for nt, _ in chunk)
        return true(chunk, iterations, *means)

    monkeypatch.setattr(credential, "_protect_chunk", noting)
    return seen


class TestEarlyHashes:
    def test_as_if_later(self, early: EarlyHashes) -> None:
        """What is taken is the credential of the hash and of the salt in reading order."""
        early.begin(hashes(EARLY_MIN))
        salts = Random(1)
        due = {anchor: protect(nt, salts.randbytes(10)) for anchor, nt in hashes(EARLY_MIN)}
        for anchor, nt in reversed(hashes(EARLY_MIN)):
            found = early.take(user(anchor, nt))
            assert found is not None
            assert found() == due[anchor]

    def test_few(self, early: EarlyHashes, hashed: list[bytes]) -> None:
        """A page of few begins nothing: neither threads nor salts are taken."""
        before = threading.active_count()
        early.begin(hashes(EARLY_MIN - 1))
        early.begin([])
        assert early.take(user("p0", bytes(16))) is None
        assert threading.active_count() == before
        assert hashed == []

    def test_newer_hash(self, early: EarlyHashes) -> None:
        """A password that changed since is hashed anew."""
        early.begin(hashes(EARLY_MIN))
        assert early.take(user("p7", b"another password")) is None
        assert early.take(user("nobody", bytes(16))) is None

    def test_once(self, early: EarlyHashes) -> None:
        """A credential is given away once: the next attempt needs a salt of its own."""
        early.begin(hashes(EARLY_MIN))
        assert early.take(user("p7", b"\7" * 16)) is not None
        assert early.take(user("p7", b"\7" * 16)) is None

    def test_end(self, early: EarlyHashes) -> None:
        """The end forgets what was not taken, and lets go of the threads and of their haste; then it can begin anew."""
        usual, before = sys.getswitchinterval(), threading.active_count()
        for _ in range(2):
            early.begin(hashes(EARLY_MIN))
            assert sys.getswitchinterval() == pytest.approx(SWITCH_SECONDS)
            early.end()
            early.end()
            assert early.take(user("p7", b"\7" * 16)) is None
            assert sys.getswitchinterval() == pytest.approx(usual)
            assert threading.active_count() == before

    def test_end_cancels(self, early: EarlyHashes, hashed: list[bytes]) -> None:
        """What has not begun when the cycle ends is not hashed any more."""
        for _ in range(20):
            early.begin(hashes(250))
        early.end()
        assert len(hashed) < 20 * 250

    @pytest.mark.parametrize("count", [1, 4, 60])
    def test_with_those_that_were_not_begun(self, early: EarlyHashes, count: int) -> None:
        """In sending order everybody has a credential of his own hash, wherever it was made; no salt is used twice."""
        early.begin(hashes(EARLY_MIN))
        users = [user(f"p{number}", bytes([number + number % 2]) * 16) for number in reversed(range(count))]
        batches = list(in_batches(users, 7, WATCH, early))
        found = [pair for batch in batches for pair in zip(batch.users, batch.credentials, strict=True)]
        assert [each.anchor for each, _ in found] == [each.anchor for each in users]
        assert all(verify(each.nt or b"", text) for each, text in found)
        assert len({parse(text).salt for _, text in found}) == count

    def test_a_thread_that_fails(self, early: EarlyHashes) -> None:
        """The watch hears of it when the credential is needed."""

        class Spoilt(bytes):
            def hex(self, *how: Any) -> str:
                raise ZeroDivisionError

        told: list[str] = []
        spoilt = Spoilt(16)
        early.begin([("p", spoilt)] * EARLY_MIN)
        with pytest.raises(ZeroDivisionError):
            list(in_batches([user("p", spoilt)], 7, LastWords(told.append), early))
        assert len(told) == 1


class TestCycle:
    def test_first_cycle(self, lab: Lab, hashed: list[bytes]) -> None:
        """Two pages of users: everybody's password arrives, hashed once, most of them begun before all were read."""
        people = [lab.domain.add(f"u{number}", f"Winter-{number}!") for number in range(620)]
        begun: list[int] = []
        lab.on_commit = lambda number: begun.append(len(lab.tenant.credentials))
        lab.installed().run_due()
        assert sorted(hashed) == sorted(each.secret for each in people)
        assert len(lab.tenant.credentials) == 620
        by_anchor = {item.source_anchor: item for item in lab.tenant.credentials}
        assert all(verify(each.secret, by_anchor[each.anchor].credential) for each in people)
        assert len({parse(item.credential).salt for item in lab.tenant.credentials}) == 620

    def test_begun_while_reading(self, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
        """The first page is handed to the threads before the second one is asked for; a few more are not."""
        asked: list[Any] = []
        begin = EarlyHashes.begin

        def noting(early: EarlyHashes, some: Sequence[tuple[str, bytes]]) -> None:
            asked.append((len(some), lab.domain.calls.count("get-nc-changes")))
            begin(early, some)

        monkeypatch.setattr(EarlyHashes, "begin", noting)
        for number in range(500 + EARLY_MIN - 1):
            lab.domain.add(f"u{number}")
        lab.installed().run_due()
        assert asked == [(500, 1)]

    def test_only_who_goes_out(self, lab: Lab, hashed: list[bytes]) -> None:
        """Whose password must be changed, is applied already or belongs to nobody in scope is not hashed."""
        for number in range(2 * EARLY_MIN):
            lab.domain.add(f"u{number}", **({"inet": "yes"} if number % 2 else {}))
        lab.domain.require_change("u0")
        agent = lab.settled()
        assert len(hashed) == EARLY_MIN - 1
        for number in range(2 * EARLY_MIN):
            lab.domain.set_password(f"u{number}", "Spring-2017!", must_change=number == 2)
        lab.run(agent, 2)
        assert len(hashed) == 2 * (EARLY_MIN - 1)

    def test_staging(self, lab: Lab, hashed: list[bytes]) -> None:
        """In staging nothing is hashed, since nothing may be sent."""
        for number in range(EARLY_MIN):
            lab.domain.add(f"u{number}")
        agent = lab.settled()
        agent.configure(staging=True)
        hashed.clear()
        for number in range(EARLY_MIN):
            lab.domain.set_password(f"u{number}", "Spring-2017!")
        lab.run(agent, 2)
        assert lab.domain.calls.count("get-nc-changes") == 1
        assert hashed == []

    def test_read_again(self, lab: Lab, hashed: list[bytes]) -> None:
        """If everybody is read again because many are pending, those whom the tenant has are not hashed again."""
        people = [lab.domain.add(f"u{number}") for number in range(PAGE + 1 + EARLY_MIN)]
        lab.tenant.results = {each.anchor: 1 for each in people[: PAGE + 1]}
        agent = lab.settled()
        lab.tenant.results, agent = {}, lab.reborn(agent)
        hashed.clear()
        lab.run(agent, 2)
        assert len(hashed) == len(lab.tenant.credentials) == PAGE + 1

    @pytest.mark.parametrize("operation", ["get-nc-changes", "credentials"])
    def test_crash(self, lab: Lab, operation: str) -> None:
        """A process that dies between pages or while it sends leaves no thread behind; the next one loses nobody."""
        for number in range(620):
            lab.domain.add(f"u{number}")
        agent, usual, before = lab.installed(), sys.getswitchinterval(), threading.active_count()
        calls: list[str] = []

        def dies(called: str) -> None:
            calls.append(called)
            if called == operation and calls.count(operation) == 2:
                raise Crash

        lab.domain.on_call = lab.tenant.on_call = dies
        with pytest.raises(Crash):
            agent.run_due()
        assert threading.active_count() == before
        assert sys.getswitchinterval() == pytest.approx(usual)
        agent = lab.reborn(agent)
        agent.run_due()
        lab.run(agent, 4)
        assert set(lab.received()) == set(lab.domain.people)

    def test_full_synchronization(self, lab: Lab, hashed: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
        """Everybody again: once each, with a new salt."""
        for number in range(EARLY_MIN):
            lab.domain.add(f"u{number}")
        agent, begun = lab.installed(), list[int]()
        agent.run_due()
        monkeypatch.setattr(EarlyHashes, "begin", lambda early, some: begun.append(len(some)))
        agent.full_password_sync("contoso.example")
        lab.run(agent, 2)
        assert begun == [EARLY_MIN]
        assert len(hashed) == len(lab.tenant.credentials) == 2 * EARLY_MIN
        assert len({parse(item.credential).salt for item in lab.tenant.credentials}) == 2 * EARLY_MIN
