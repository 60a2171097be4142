"""What is said on one LDAP connection: messages in, answers out, in octets (RFC 4511 4 and 5). Knows no sockets."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator
from threading import RLock
from types import TracebackType
from typing import Any, Final

from simulator.active_directory import encoding, errors, messages
from simulator.active_directory.errors import LdapError
from simulator.active_directory.messages import Message, Undecodable
from simulator.active_directory.requests import Found, Search
from simulator.active_directory.session import Session

STRONGER_AUTH_REQUIRED = 8
START_TLS = "1.3.6.1.4.1.1466.20037"
CHUNK_OCTETS = 64 * 1024
"""Answers of a search go out in pieces of at least this size."""

TAGS: Final = {
    "bindRequest": encoding.BIND_RESPONSE,
    "searchRequest": encoding.SEARCH_DONE,
    "modifyRequest": encoding.MODIFY_RESPONSE,
    "addRequest": encoding.ADD_RESPONSE,
    "delRequest": encoding.DELETE_RESPONSE,
    "modDNRequest": encoding.MODIFY_DN_RESPONSE,
    "compareRequest": encoding.COMPARE_RESPONSE,
    "extendedReq": encoding.EXTENDED_RESPONSE,
}
"""Under which tag each request is answered."""

UNBIND, ABANDON = "unbindRequest", "abandonRequest"
UNANSWERED: Final = (UNBIND, ABANDON)
"""Requests that have no answer (RFC 4511 4.3 and 4.11)."""

FAULT = "a fault of the simulated directory"
"""What clients and the log are told when it is not they who are wrong."""

_log = logging.getLogger(__name__)


class Faults:
    """Counts faults of our own; each is logged with its traceback. Shared by the connections of a port."""

    def __init__(self) -> None:
        self.count = 0
        self._lock = RLock()

    def trap(self, doing: str) -> Trap:
        """A block whose exceptions are logged and counted instead of raised."""
        return Trap(self, doing)

    def note(self, doing: str, error: Exception) -> None:
        """Count and log one."""
        with self._lock:
            self.count += 1
        _log.error("%s while %s", FAULT, doing, exc_info=error)


class Trap:
    """Keeps an exception from going further; ``sprung`` tells whether there was one."""

    def __init__(self, faults: Faults, doing: str) -> None:
        self._faults = faults
        self._doing = doing
        self.sprung = False

    def __enter__(self) -> Trap:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        self.sprung = True
        self._faults.note(self._doing, error)
        return True


class LdapConversation(ABC):
    """One connection's requests and answers, whoever it is that answers.

    ended: nothing more is to be said; the connection is to be closed once everything is sent. wants_tls: the last
    answer agreed to StartTLS, and TLS is to be negotiated before anything else; :meth:`protect` tells that it was.
    protected: by TLS.
    """

    def __init__(self, faults: Faults, *, protected: bool) -> None:
        self.ended = False
        self.wants_tls = False
        self.protected = protected
        self._faults = faults

    @abstractmethod
    def is_up(self) -> bool:
        """Whether there is anybody who answers."""

    @abstractmethod
    def perform(self, message: Message) -> bytes:
        """Carry out a request that has one answer, a bind too; the answer without its message. Raises LdapError."""

    @abstractmethod
    def find(self, search: Search) -> Found:
        """Answer a search. Raises LdapError."""

    def protect(self) -> None:
        """The connection is protected by TLS from now on."""
        self.wants_tls = False
        self.protected = True

    def answer(self, octets: bytes, *, more: bool = False) -> Iterator[bytes]:
        """Take one message and give what is to be sent. more: something came after it already."""
        if not self.is_up():
            self.ended = True
            return
        number, tag = 0, 0
        with self._faults.trap("answering a request") as trap:
            try:
                message = messages.decode(octets)
                number, tag = message.number, TAGS.get(message.kind, 0)
                yield from self._answers(message, more)
            except Undecodable as problem:
                yield self.disconnect(str(problem))
        if trap.sprung:
            yield self._give_up(number, tag)

    def disconnect(self, why: str) -> bytes:
        """The notice of disconnection; the conversation is over."""
        self.ended = True
        return encoding.notice(
            errors.PROTOCOL_ERROR,
            f"00000057: LdapErr: DSID-0C0C0099, comment: Error decoding ldap message ({why}), data 0, v1db1\x00",
        )

    def _give_up(self, number: int, tag: int) -> bytes:
        text = f"000020EF: SvcErr: {FAULT}, data 0\n\x00"
        if not tag:
            self.ended = True
            return encoding.notice(errors.OTHER, text)
        return encoding.message(number, encoding.result(tag, errors.OTHER, text))

    def _answers(self, message: Message, more: bool) -> Iterator[bytes]:
        if message.kind == UNBIND:
            self.ended = True
        elif message.kind == "searchRequest":
            yield from self._search(message)
        elif message.kind != ABANDON:  # what it names was answered before it was read
            yield encoding.message(message.number, self._single(message, more))

    def _single(self, message: Message, more: bool) -> bytes:
        tag, name = TAGS[message.kind], ""
        try:
            if message.kind == "extendedReq" and messages.text(message.request["requestName"]) == START_TLS:
                name = START_TLS
                self._start_tls(more)
                return encoding.result(tag, errors.SUCCESS, name=name)
            return self.perform(message)
        except LdapError as problem:
            return _refusal(tag, problem, name)

    def _start_tls(self, more: bool) -> None:
        """Raises LdapError 1 if there is TLS already, or something was sent that nobody protects (RFC 4511 4.14)."""
        if self.protected:
            comment = "TLS or SSL already in effect"
        elif more:
            comment = "Requests are outstanding on the connection"
        else:
            self.wants_tls = True
            return
        raise LdapError(
            errors.OPERATIONS_ERROR, f"00000001: LdapErr: DSID-0C090E18, comment: {comment}, data 0, v1db1\x00"
        )

    def _search(self, message: Message) -> Iterator[bytes]:
        number, tag = message.number, TAGS[message.kind]
        try:
            wanted = messages.decode_filter(bytes(message.request["filter"]))
            search = messages.read_search(message.request, message.controls, wanted)
            found = self.find(search)
        except LdapError as problem:
            yield encoding.message(number, _refusal(tag, problem))
            return
        yield from _pieces(number, found)
        controls = [
            (str(each["controlType"]), bool(each["criticality"]), bytes(each["controlValue"]))
            for each in messages.response_controls(found)
        ]
        yield encoding.message(number, encoding.result(tag, found.code, found.text), controls)


class Conversation(LdapConversation):
    """What a controller says on one connection.

    lock: held while the directory is read or written.
    """

    def __init__(
        self, session: Session, lock: RLock, faults: Faults, *, protected: bool, require_signing: bool = False
    ) -> None:
        super().__init__(faults, protected=protected)
        session.protected = protected
        self._session = session
        self._lock = lock
        self._require_signing = require_signing

    def is_up(self) -> bool:
        """Whether the controller is."""
        return self._session.controller.state != "down"

    def protect(self) -> None:
        """The connection is protected by TLS from now on."""
        super().protect()
        self._session.protected = True

    def perform(self, message: Message) -> bytes:
        """Carry out a request on the directory."""
        with self._lock:
            if message.kind == "bindRequest":
                self._check_bind(message.request)
            code = messages.perform(self._session, message.kind, message.request, message.controls)
        return encoding.result(TAGS[message.kind], code)

    def find(self, search: Search) -> Found:
        """Search the directory."""
        with self._lock:
            return self._session.search(search)

    def _check_bind(self, request: Any) -> None:
        session = self._session
        try:
            check_version(request)
        except LdapError:
            session.unbind()
            raise
        choice = request["authentication"]
        anonymous = choice.getName() != "simple" or not bytes(choice["simple"])
        if self._require_signing and not session.protected and not anonymous:
            session.unbind()
            raise LdapError(
                STRONGER_AUTH_REQUIRED,
                "00002028: LdapErr: DSID-0C090202, comment: The server requires binds to turn on integrity checking "
                "if SSL\\TLS are not already active on the connection, data 0, v1db1\x00",
            )


def check_version(request: Any) -> None:
    """Raises LdapError 2 for a bind of another version of the protocol."""
    if int(request["version"]) not in (2, 3):
        raise LdapError(
            errors.PROTOCOL_ERROR,
            "00000057: LdapErr: DSID-0C090553, comment: The server doesn't speak this version of LDAP, "
            "data 0, v1db1\x00",
        )


def _refusal(tag: int, problem: LdapError, name: str = "") -> bytes:
    return encoding.result(tag, problem.code, problem.text, problem.matched, problem.referrals, name)


def _pieces(number: int, found: Found) -> Iterator[bytes]:
    """Entries and references of a search, several to a piece."""
    waiting, size = [], 0
    for dn, attributes in found.entries:
        octets = encoding.message(number, encoding.entry(dn, attributes))
        waiting.append(octets)
        size += len(octets)
        if size >= CHUNK_OCTETS:
            yield b"".join(waiting)
            waiting, size = [], 0
    waiting += [encoding.message(number, encoding.reference(urls)) for urls in found.references]
    yield b"".join(waiting)
