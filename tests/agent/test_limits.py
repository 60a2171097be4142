"""The agent's parts at their limits: exact texts, the last value that is taken and the first that is not."""

from __future__ import annotations

import os
import sys
from base64 import b64encode
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import ldap3
import pytest
from ldap3.core.exceptions import LDAPExtensionError, LDAPSocketOpenError

from pwsync import credential_batches, directory
from pwsync.credential import ITERATIONS_MAX, Credential, nt_hash, parse, protect, protect_many, verify
from pwsync.credential_batches import AHEAD, INLINE_MAX, SWITCH_SECONDS, EarlyHashes, in_batches
from pwsync.directory import NOBODY, PAGE, USERS, DirectoryError, read_changes, read_everything, read_object, try_bind
from pwsync.errors import (
    AgentError,
    BinaryXmlError,
    CredentialFormatError,
    FileTimeError,
    FipsError,
    ReplicationError,
    ServiceFault,
    StoreError,
    TenantError,
    Throttled,
)
from pwsync.joins import Account, ignored
from pwsync.last_words import LastWords, described
from pwsync.state import PasswordState

NOW = datetime(2017, 1, 13, 9, tzinfo=UTC)
DOMAIN = "contoso.example"
ROOT = "DC=contoso,DC=example"
GUID = UUID("00112233-4455-6677-8899-aabbccddeeff")


class Idle(Executor):
    """A pool that never comes to it."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []

    def submit(self, work: Any, /, *arguments: Any, **named: Any) -> Future[Any]:
        self.asked.append(arguments)
        return Future()


class TestCredential:
    FORMAT = "not a credential: expected v1;PPH1_MD4,<20 hex>,<iterations>,<64 hex>;"

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("", FORMAT),
            ("v1;PPH1_MD4,00,1000,00;", FORMAT),
            (f"v1;PPH1_MD4,{'0' * 20},0,{'0' * 64};", FORMAT),
            (f"v1;PPH1_MD4,{'0' * 20},10000001,{'0' * 64};",
             "a credential of 10000001 iterations is refused: at most 10000000"),
        ],
    )  # fmt: skip
    def test_refused(self, text: str, words: str) -> None:
        """What is no credential is refused with these words."""
        with pytest.raises(CredentialFormatError) as caught:
            parse(text)
        assert str(caught.value) == words

    def test_most_iterations(self) -> None:
        """Ten million iterations are taken, one and its ``;`` left out as well."""
        assert parse(f"v1;PPH1_MD4,{'01' * 10},10000000,{'02' * 32};") == Credential(
            b"\x01" * 10, ITERATIONS_MAX, b"\x02" * 32
        )
        assert parse(str(Credential(b"\x01" * 10, 1, b"\x02" * 32))[:-1]).iterations == 1

    @pytest.mark.parametrize(
        ("nt", "salt", "iterations", "words"),
        [
            (b"n" * 15, b"s" * 10, 1, "an NT hash is 16 bytes"),
            ("n" * 16, b"s" * 10, 1, "an NT hash is 16 bytes"),
            (b"n" * 16, b"s" * 11, 1, "a salt is 10 bytes"),
            (b"n" * 16, "s" * 10, 1, "a salt is 10 bytes"),
            (b"n" * 16, b"s" * 10, 0, "iterations are 1 to 10000000"),
            (b"n" * 16, b"s" * 10, ITERATIONS_MAX + 1, "iterations are 1 to 10000000"),
        ],
    )
    def test_shapes(self, nt: Any, salt: Any, iterations: int, words: str) -> None:
        """Hashes, salts and counts of another shape are refused with these words, in masses too."""
        pool = Idle()
        for call in (lambda: protect(nt, salt, iterations), lambda: protect_many([(nt, salt)], pool, iterations)):
            with pytest.raises(ValueError, match=f"^{words}$"):
                call()
        assert pool.asked == []

    def test_masses(self) -> None:
        """Work is handed out at once, in chunks, with its count of iterations."""
        pairs = [(bytes([number]) * 16, b"s" * 10) for number in range(51)]
        pool = Idle()
        protect_many(pairs, pool, ITERATIONS_MAX)
        protect_many(pairs[:1], pool, 1)
        protect_many(pairs[:3], pool, chunk_size=2)
        assert pool.asked == [
            (pairs[:25], ITERATIONS_MAX), (pairs[25:50], ITERATIONS_MAX), (pairs[50:], ITERATIONS_MAX),
            (pairs[:1], 1), (pairs[:2], 1000), (pairs[2:3], 1000),
        ]  # fmt: skip

    def test_closed_early(self) -> None:
        """Closing the iterator cancels what has not begun."""

        class Keeping(Idle):
            def submit(self, work: Any, /, *arguments: Any, **named: Any) -> Future[Any]:
                self.asked.append((future := super().submit(work, *arguments),))
                del self.asked[-2]
                if len(self.asked) == 1:
                    future.set_result(["first", "second"])
                return future

        pool = Keeping()
        made = protect_many([(b"n" * 16, b"s" * 10)] * 3, pool, chunk_size=1)
        assert next(made) == "first"
        made.close()  # type: ignore[attr-defined]
        assert [future.cancelled() for (future,) in pool.asked] == [False, True, True]

    def test_lone_surrogates(self) -> None:
        """A password that is no text in UTF-16 has a hash all the same, and it is its own."""
        assert verify(nt_hash("\ud800"), protect(nt_hash("\ud800"), b"s" * 10))
        assert not verify(nt_hash("\ud801"), protect(nt_hash("\ud800"), b"s" * 10))


def users(count: int) -> list[PasswordState]:
    return [PasswordState(f"p{number}", DOMAIN, "CN=p", nt=bytes([number]) * 16) for number in range(count)]


@pytest.fixture
def early() -> Iterator[EarlyHashes]:
    made = EarlyHashes(Random(1))
    yield made
    made.end()


class TestBatches:
    @pytest.mark.parametrize("count", [0, 1, INLINE_MAX, INLINE_MAX + 1, 60])
    @pytest.mark.parametrize("size", [1, 7])
    def test_all_in_order(self, early: EarlyHashes, count: int, size: int) -> None:
        """Every user comes once, in order, with a credential of his hash and of the next salt."""
        batches = list(in_batches(users(count), size, LastWords(pytest.fail), early))
        salts = Random(1)
        found = [pair for batch in batches for pair in zip(batch.users, batch.credentials, strict=True)]
        assert [user.anchor for user, _ in found] == [f"p{number}" for number in range(count)]
        assert [text for _, text in found] == [protect(user.nt or b"", salts.randbytes(10)) for user in users(count)]
        assert [len(batch.users) for batch in batches[:-1]] == [size] * (len(batches) - 1)
        assert len(batches) == -(-count // size)

    def test_threads_for_many_only(self) -> None:
        """Up to four hashes are made in place; more by threads, which are let go of at the end."""
        usual = sys.getswitchinterval()
        for count, interval in ((INLINE_MAX, usual), (INLINE_MAX + 1, SWITCH_SECONDS)):
            early = EarlyHashes(Random(1))
            batches = in_batches(users(count), 2, LastWords(pytest.fail), early)
            next(batches)
            assert sys.getswitchinterval() == pytest.approx(interval)
            early.end()
            assert sys.getswitchinterval() == pytest.approx(usual)

    @pytest.mark.parametrize(("cores", "workers"), [(None, 1), (1, 1), (2, 1), (3, 2), (8, 7)])
    def test_ahead(self, monkeypatch: pytest.MonkeyPatch, early: EarlyHashes, cores: int | None, workers: int) -> None:
        """So many batches are hashed ahead of the first for each core, the sender's own too, and no more; by a thread
        for each core but that one.
        """
        begun: list[Any] = []
        threads: list[int] = []

        def counting(pairs: Any, pool: Any, *arguments: Any) -> Any:
            begun.append(len(pairs))
            return protect_many(pairs, pool, *arguments)

        class Counting(ThreadPoolExecutor):
            def __init__(self, count: int) -> None:
                threads.append(count)
                super().__init__(count)

        monkeypatch.setattr(os, "cpu_count", lambda: cores)
        monkeypatch.setattr(credential_batches, "protect_many", counting)
        monkeypatch.setattr(credential_batches, "ThreadPoolExecutor", Counting)
        next(in_batches(users(100), 1, LastWords(pytest.fail), early))
        assert begun == [1] * (AHEAD * (workers + 1) + 1)
        assert threads == [workers]

    def test_who_waits_helps(self, early: EarlyHashes, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without a thread that comes to work all is hashed by the one that needs it."""
        monkeypatch.setattr(ThreadPoolExecutor, "submit", lambda *task: Future())
        batches = list(in_batches(users(60), 7, LastWords(pytest.fail), early))
        assert sum(len(batch.credentials) for batch in batches) == 60

    def test_an_error_of_another_thread(self, early: EarlyHashes) -> None:
        """A thread does not die of a task that fails: the others are done, and who asks for that one is told."""
        texts = early.hashers.protect([(b"n" * 16, b"s" * 10)] * 3)
        bad = early.hashers._tasks.submit(lambda _stretch: 1 // 0)
        more = early.hashers.protect([(b"n" * 16, b"s" * 10)] * 3)
        assert len([*texts, *more]) == 6
        with pytest.raises(ZeroDivisionError):
            bad.result()

    def test_control_c_while_helping(self, early: EarlyHashes, monkeypatch: pytest.MonkeyPatch) -> None:
        """Ctrl-C that comes while the sender hashes is raised there and then, whosever hash it was."""

        def interrupted(_stretch: Any) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(ThreadPoolExecutor, "submit", lambda *task: Future())
        other = early.hashers._tasks.submit(interrupted)
        texts = early.hashers.protect([(b"n" * 16, b"s" * 10)])
        with pytest.raises(KeyboardInterrupt):
            next(texts)
        assert isinstance(other.exception(), KeyboardInterrupt)

    def test_a_thread_that_fails(self, early: EarlyHashes) -> None:
        """The watch hears of an error in a thread."""

        class Spoilt(bytes):
            def hex(self, *how: Any) -> str:
                raise ZeroDivisionError

        told: list[str] = []
        some = users(9)
        some[8].nt = Spoilt(16)
        batches = in_batches(some, 3, LastWords(told.append), early)
        with pytest.raises(ZeroDivisionError):
            list(batches)
        assert len(told) == 1
        assert told[0].startswith("ZeroDivisionError in hex, line ")


class Ldap:
    """A connection that answers each search with the next page, and keeps what it was asked."""

    def __init__(self, *answers: Any, binds: bool = True) -> None:
        self.answers, self.binds = list(answers), binds
        self.asked: list[Any] = []
        self.password: str | None = None
        self.result: Any = {}
        self.response: Any = None
        self.last_error: Any = "the last error"
        self.extend = SimpleNamespace(microsoft=SimpleNamespace(dir_sync=self.dir_sync))

    def bind(self) -> bool:
        self.asked.append(("bind", self.password))
        return self.binds

    def unbind(self) -> None:
        self.asked.append("unbind")

    def search(self, base: str, query: str, scope: str, **more: Any) -> bool:
        self.asked.append((base, query, scope, more))
        self.result, self.response = self.answers.pop(0)
        return True

    def dir_sync(self, base: str, query: str, **more: Any) -> Any:
        self.asked.append((base, query, more))
        search = SimpleNamespace(more_results=True, cookie=None)

        def loop() -> Any:
            answer = self.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            found, search.cookie, search.more_results = answer
            return found

        search.loop = loop
        return search


def entry(name: str = "alice", guid: Any = GUID.bytes_le, dn: str = "CN=alice", **values: Any) -> dict[str, Any]:
    raw = {"objectGUID": [guid] if guid is not None else None, "sAMAccountName": [name.encode()], **values}
    return {"type": "searchResEntry", "dn": dn, "raw_attributes": raw}


def page(found: Sequence[Any] | None, cookie: Any = None, **more: Any) -> tuple[Any, Any]:
    control = {"1.2.840.113556.1.4.319": {"value": {"size": 0, "cookie": cookie}}} if cookie is not None else None
    return {"result": 0, "controls": control, **more}, found


ANCHOR = b64encode(GUID.bytes_le).decode()


class TestDirectory:
    def test_changes(self) -> None:
        """A delta binds with the password it is given, asks for users from the cookie on, and unbinds."""
        ldap = Ldap(([entry()], b"half", True), ([{"type": "searchResRef"}, entry("bob", b"b" * 16)], b"end", False))
        found = read_changes(lambda: ldap, DOMAIN, "secret", ("cn", "sn"), b"from")
        assert ldap.asked == [
            ("bind", "secret"),
            (ROOT, USERS, {"attributes": ["cn", "sn"], "cookie": b"from", "hex_guid": True}),
            "unbind",
        ]
        assert [each.attributes["samaccountname"] for each in found.entries] == [["alice"], ["bob"]]
        assert found.entries[0].anchor == ANCHOR
        assert found.cookie == b"end"

    def test_no_cookie_comes_back(self) -> None:
        """A directory that gives no cookie leaves an empty one."""
        assert read_changes(lambda: Ldap(([], None, False)), DOMAIN, "secret", (), b"").cookie == b""

    def test_everything(self) -> None:
        """A full import takes a cookie first, and then page after page of users."""
        ldap = Ldap(
            ([], b"cookie", False), page([entry()], b"p2"), page([], b"p3"), page([entry("bob", b"b" * 16)], b"")
        )
        found = read_everything(lambda: ldap, DOMAIN, "secret", ("cn",))
        asked = {"attributes": ["cn"], "paged_size": PAGE}
        assert ldap.asked == [
            ("bind", "secret"),
            (ROOT, NOBODY, {"attributes": ["objectGUID"], "cookie": b"", "hex_guid": True}),
            *((ROOT, USERS, ldap3.SUBTREE, {**asked, "paged_cookie": cookie}) for cookie in (None, b"p2", b"p3")),
            "unbind",
        ]
        assert (len(found.entries), found.cookie) == (2, b"cookie")

    @pytest.mark.parametrize("controls", [None, {}, {"1.2.3": {}}])
    def test_last_page(self, controls: Any) -> None:
        """Without a cookie in the answer the page was the last one; an answer may have no entries."""
        ldap = Ldap(([], b"c", False), ({"result": 0, "controls": controls}, None))
        assert read_everything(lambda: ldap, DOMAIN, "secret", ()).entries == []

    def test_one_object(self) -> None:
        """One object is asked for by its GUID, and itself alone."""
        ldap = Ldap(page([entry()]), page([]), page(None))
        calls = [read_object(lambda: ldap, "secret", GUID, ("cn",)) for _ in range(3)]
        assert calls[0] is not None
        assert calls[0].anchor == ANCHOR
        assert calls[1:] == [None, None]
        wanted = (f"<GUID={GUID}>", "(objectClass=*)", ldap3.BASE, {"attributes": ["cn"]})
        assert ldap.asked == [("bind", "secret"), wanted, "unbind"] * 3

    @pytest.mark.parametrize(
        ("result", "words", "credentials"),
        [
            (None, "the last error", False),
            ({}, "the last error", False),
            ({"result": 49, "description": "invalidCredentials", "message": "data 52e\0\n"},
             "invalidCredentials (49): data 52e", True),
            ({"result": 8, "description": "strongerAuthRequired", "message": None}, "strongerAuthRequired (8)", False),
        ],
    )  # fmt: skip
    def test_no_bind(self, result: Any, words: str, credentials: bool) -> None:
        """A bind that fails tells the result, or else the last error; and the connection is given back."""
        ldap = Ldap(binds=False)
        ldap.result = result
        with pytest.raises(DirectoryError) as caught:
            try_bind(lambda: ldap, "secret")
        assert (str(caught.value), caught.value.credentials, caught.value.cookie_refused) == (words, credentials, False)
        assert ldap.asked == [("bind", "secret"), "unbind"]

    @pytest.mark.parametrize(
        ("error", "words"),
        [(OSError("reset"), "reset"), (LDAPSocketOpenError("no socket"), "no socket"), (OSError(), "OSError"),
         (TimeoutError(), "TimeoutError")],
    )  # fmt: skip
    def test_no_connection(self, error: Exception, words: str) -> None:
        """What breaks is told by its text, or else by its kind."""

        def connect() -> Any:
            raise error

        with pytest.raises(DirectoryError) as caught:
            try_bind(connect, "secret")
        assert (str(caught.value), caught.value.credentials, caught.value.cookie_refused) == (words, False, False)

    @pytest.mark.parametrize("result", [None, {}, {"result": 51, "description": "busy", "message": "not now"}])
    def test_page_is_refused(self, result: Any) -> None:
        """A page that the directory refuses is an error with its words."""
        ldap = Ldap(([], b"c", False), (result, []))
        with pytest.raises(DirectoryError) as caught:
            read_everything(lambda: ldap, DOMAIN, "secret", ())
        assert str(caught.value) == ("busy (51): not now" if result else "the last error")
        assert ldap.asked[-1] == "unbind"

    @pytest.mark.parametrize("code", [1, 12, 53, 87, 88])
    @pytest.mark.parametrize("cookie", [b"", b"cookie"])
    def test_cookie_is_refused(self, code: int, cookie: bytes) -> None:
        """These codes mean the cookie, if there was one."""
        ldap = Ldap(LDAPExtensionError("no"))
        ldap.result = {"result": code, "description": "refused"}
        with pytest.raises(DirectoryError) as caught:
            read_changes(lambda: ldap, DOMAIN, "secret", (), cookie)
        assert str(caught.value) == f"refused ({code})"
        assert caught.value.cookie_refused is (bool(cookie) and code in (12, 53, 87))
        assert ldap.asked[-1] == "unbind"

    @pytest.mark.parametrize("result", [None, {}])
    def test_refused_without_a_result(self, result: Any) -> None:
        """Without a result the exception's words are told."""
        ldap = Ldap(LDAPExtensionError("no words"))
        ldap.result = result
        with pytest.raises(DirectoryError) as caught:
            read_changes(lambda: ldap, DOMAIN, "secret", (), b"cookie")
        assert (str(caught.value), caught.value.cookie_refused) == ("no words", False)

    def test_process_that_dies(self) -> None:
        """Whoever is killed says no goodbye."""
        ldap = Ldap()
        with pytest.raises(KeyboardInterrupt), directory._bound(lambda: ldap, "secret"):
            raise KeyboardInterrupt
        assert ldap.asked == [("bind", "secret")]

    def test_changed_again_between_the_pages(self) -> None:
        """One who comes twice is one: last name and place, attributes of both, at the place of the later."""
        first = entry(dn="<GUID=1>;<SID=2>;CN=a,OU=x", sn=[b"A"], mail=[b"m"])
        again = entry("alicia", dn="<GUID=1>;CN=a,OU=y", sn=[], isDeleted=[b"TRUE"])
        ldap = Ldap(([first, entry("bob", b"b" * 16)], b"", True), ([again], b"c", False))
        bob, alice = read_changes(lambda: ldap, DOMAIN, "secret", (), b"").entries
        assert bob.attributes == {"samaccountname": ["bob"]}
        assert (alice.anchor, alice.dn, alice.deleted) == (ANCHOR, "CN=a,OU=y", True)
        assert alice.attributes == {
            "samaccountname": ["alicia"], "sn": [], "mail": ["m"], "isdeleted": ["TRUE"],
        }  # fmt: skip

    def test_values(self) -> None:
        """Text, base64 for what is none, empty lists for what was lost; objects without a GUID are passed over."""
        odd = [
            {"type": "searchResRef", "raw_attributes": {"objectGUID": [GUID.bytes_le]}, "dn": "x"},
            entry(guid=None), entry(guid=b"short"), entry(guid=b"x" * 17),
            {"type": "searchResEntry", "dn": "CN=none", "raw_attributes": {}},
            {"dn": "CN=none", "raw_attributes": {}},
            entry(objectSID=[b"\xff"], ParentGUID=[b"\x01", b"\x02"], cn=[b"\xc3\xbc\xff"], mail=None,
                  isDeleted=[b"FALSE"], dn="CN=a>;b"),
        ]  # fmt: skip
        (found,) = read_changes(lambda: Ldap((odd, b"", False)), DOMAIN, "secret", (), b"").entries
        assert found == directory.Entry(
            ANCHOR, "CN=a>;b", False,
            {"objectsid": ["/w=="], "parentguid": ["AQ==", "Ag=="], "cn": ["\xfc\ufffd"], "mail": [],
             "isdeleted": ["FALSE"], "samaccountname": ["alice"]},
        )  # fmt: skip


class TestErrors:
    @pytest.mark.parametrize(
        ("error", "text", "more"),
        [
            (StoreError("full"), "full", {"locked": False}),
            (StoreError("held", locked=True), "held", {"locked": True}),
            (ReplicationError(5), "RPC Error 5", {"code": 5, "message": ""}),
            (ReplicationError(5, "no"), "RPC Error 5 : no", {"code": 5, "message": "no"}),
            (FileTimeError(),
             "System.ArgumentOutOfRangeException: Not a valid Win32 FileTime. Parameter name: fileTime", {}),
            (FipsError("frame"),
             "System.InvalidOperationException: This implementation is not part of the Windows Platform FIPS validated "
             "cryptographic algorithms.", {"frame": "frame"}),
            (BinaryXmlError("bad"), "bad (at byte 0)", {"offset": 0}),
            (BinaryXmlError("bad", 7), "bad (at byte 7)", {"offset": 7}),
            (TenantError("no"), "no", {"retry_after": None}),
            (TenantError("no", retry_after=2.0), "no", {"retry_after": 2.0}),
            (Throttled(503), "The remote server returned an error: (503).", {"status": 503, "retry_after": None}),
            (Throttled(429, retry_after=3.0), "The remote server returned an error: (429).",
             {"status": 429, "retry_after": 3.0}),
            (ServiceFault("words"), "words",
             {"text": "words", "code": None, "tracking_id": "", "server": "", "retry_after": None}),
            (ServiceFault("words", code=81, tracking_id="t", server="s"), "words",
             {"text": "words", "code": 81, "tracking_id": "t", "server": "s"}),
            (DirectoryError("no"), "no", {"credentials": False, "cookie_refused": False, "reason": "error"}),
        ],
    )  # fmt: skip
    def test_what_they_carry(self, error: AgentError, text: str, more: dict[str, Any]) -> None:
        """An error's text, and what it carries beside it."""
        assert str(error) == text
        assert {name: getattr(error, name) for name in more} == more


class TestLastWords:
    def test_described(self) -> None:
        """The agent's and the system's errors with their text; any other one with its place alone."""
        assert described(StoreError("full")) == "StoreError: full"
        assert described(OSError(5, "Input/output error")) == "OSError: [Errno 5] Input/output error"
        assert described(ValueError("a secret")) == "ValueError"

        def deep() -> None:
            raise ValueError("a secret")

        with pytest.raises(ValueError, match="a secret") as caught:
            deep()
        line = deep.__code__.co_firstlineno + 1
        assert described(caught.value) == f"ValueError in deep, line {line} of {Path(__file__).name}"

    @pytest.mark.parametrize(("error", "told"), [(OSError("x"), ["OSError: x"]), (KeyboardInterrupt(), [])])
    def test_goes_on(self, error: BaseException, told: list[str]) -> None:
        """What is told goes on; a process that is killed says nothing; a good end neither."""
        heard: list[str] = []
        with LastWords(heard.append) as given:
            assert given is None
        assert heard == []
        with pytest.raises(type(error)), LastWords(heard.append):
            raise error
        assert heard == told


class TestJoins:
    @pytest.mark.parametrize(
        ("accounts", "left"),
        [
            ([("a", "k", True, 0), ("b", "K", True, 1)], {"b"}),
            ([("a", "k", False, 0), ("b", "k", True, 1), ("c", "k", True, 2)], {"a", "c"}),
            ([("a", "k", False, 1), ("b", "k", False, 0)], {"a"}),
            ([("b", "k", True, 0), ("a", "k", True, 0)], set()),
            ([("a", "", True, 0), ("b", "", True, 1)], set()),
            ([("a", "k", True, 0), ("b", "j", True, 1)], set()),
            ([("a", "STRASSE", True, 1), ("b", "straße", True, 0)], {"a"}),
        ],
    )
    def test_who_counts(self, accounts: list[tuple[str, str, bool, int]], left: set[str]) -> None:
        """Enabled before disabled, an earlier connector before a later one."""
        assert ignored(Account(*each) for each in accounts) == left
