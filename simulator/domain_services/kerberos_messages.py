"""The messages of Kerberos' initial exchange ([RFC4120] 5.4, 5.9, 5.2.7), read and written as values.

Everything that reads raises :class:`~simulator.domain_services.der.Garbled`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from simulator.domain_services import der

AS_REQ, AS_REP, TGS_REQ, KRB_ERROR = 10, 11, 12, 30
"""Message types, which are their application tags too."""
_TICKET_TAG, _TICKET_PART, _AS_REP_PART = 1, 3, 25
VERSION = 5

NT_PRINCIPAL, NT_SRV_INST, NT_ENTERPRISE = 1, 2, 10
"""Types of names ([RFC4120] 6.2, [RFC6806] 5)."""
PA_ENC_TIMESTAMP, PA_ETYPE_INFO2, PA_PAC_REQUEST = 2, 19, 128
"""Types of pre-authentication data."""

FORWARDABLE, PROXIABLE, RENEWABLE, CANONICALIZE, RENEWABLE_OK = 1 << 30, 1 << 28, 1 << 23, 1 << 16, 1 << 4
"""KDC options; the first three are ticket flags too."""
INITIAL, PRE_AUTHENT = 1 << 22, 1 << 21
"""Ticket flags."""


@dataclass(frozen=True, slots=True)
class Name:
    """A PrincipalName."""

    kind: int
    parts: tuple[str, ...]

    def __str__(self) -> str:
        return "/".join(self.parts)


@dataclass(frozen=True, slots=True)
class Encrypted:
    """EncryptedData: encryption type, ciphertext, and the key's version if it is told."""

    kind: int
    cipher: bytes
    version: int | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """A KDC-REQ, as far as an initial exchange reads it. data: pre-authentication data, type and octets."""

    client: Name | None
    realm: str
    server: Name | None
    until: datetime | None
    nonce: int
    kinds: tuple[int, ...]
    options: int = 0
    renew_until: datetime | None = None
    data: tuple[tuple[int, bytes], ...] = ()
    version: int = VERSION
    message: int = AS_REQ

    def datum(self, kind: int) -> bytes | None:
        """The first pre-authentication datum of a type."""
        return next((value for each, value in self.data if each == kind), None)


@dataclass(frozen=True, slots=True)
class Error:
    """A KRB-ERROR. code: [RFC4120] 7.5.9. at: the server's time. data: e-data."""

    code: int
    at: datetime
    realm: str
    server: Name
    text: str = ""
    data: bytes | None = None
    client_realm: str | None = None
    client: Name | None = None


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a ticket and the reply around it say of it: [RFC4120] 5.3 and 5.4.2."""

    flags: int
    kind: int
    session_key: bytes = field(repr=False)
    client_realm: str
    client: Name
    realm: str
    server: Name
    issued: datetime
    until: datetime
    renew_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """An AS-REP. ticket: under the key of its service. part: under the client's key."""

    client_realm: str
    client: Name
    realm: str
    server: Name
    ticket: Encrypted
    part: Encrypted
    data: tuple[tuple[int, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class ReplyPart:
    """An EncASRepPart, as far as a client reads it."""

    session_key: bytes = field(repr=False)
    nonce: int
    flags: int
    until: datetime
    realm: str
    server: Name


# --- parts --------------------------------------------------------------------------------------------------------


def _name(name: Name) -> bytes:
    return der.sequence((0, der.integer(name.kind)), (1, der.sequence_of(map(der.string, name.parts))))


def _read_name(source: bytes) -> Name:
    found = der.fields(source)
    parts = tuple(map(der.read_string, der.items(der.need(found, 1))))
    return Name(der.read_integer(der.need(found, 0)), parts)


def write_encrypted(value: Encrypted) -> bytes:
    """EncryptedData."""
    version = None if value.version is None else der.integer(value.version)
    return der.sequence((0, der.integer(value.kind)), (1, version), (2, der.octets(value.cipher)))


def read_encrypted(source: bytes) -> Encrypted:
    """EncryptedData."""
    found = der.fields(source)
    version = der.read_integer(found[1]) if 1 in found else None
    return Encrypted(der.read_integer(der.need(found, 0)), der.read_octets(der.need(found, 2)), version)


def _data(data: tuple[tuple[int, bytes], ...]) -> bytes:
    return der.sequence_of(der.sequence((1, der.integer(kind)), (2, der.octets(value))) for kind, value in data)


def _read_data(source: bytes) -> tuple[tuple[int, bytes], ...]:
    found = map(der.fields, der.items(source))
    return tuple((der.read_integer(der.need(each, 1)), der.read_octets(der.need(each, 2))) for each in found)


def write_methods(entries: tuple[tuple[int, str | None], ...]) -> bytes:
    """METHOD-DATA that asks for an encrypted timestamp, and says by which keys: encryption types and their salts."""
    return _data(((PA_ETYPE_INFO2, write_etype_info(entries)), (PA_ENC_TIMESTAMP, b"")))


def read_methods(source: bytes) -> dict[int, bytes]:
    """METHOD-DATA by type."""
    return dict(_read_data(source))


def write_etype_info(entries: tuple[tuple[int, str | None], ...]) -> bytes:
    """ETYPE-INFO2 ([RFC4120] 5.2.7.5); RC4 has no salt."""
    return der.sequence_of(
        der.sequence((0, der.integer(kind)), (1, None if salt is None else der.string(salt))) for kind, salt in entries
    )


def read_etype_info(source: bytes) -> list[tuple[int, str | None]]:
    """ETYPE-INFO2."""
    found = map(der.fields, der.items(source))
    return [(der.read_integer(der.need(each, 0)), der.read_string(each[1]) if 1 in each else None) for each in found]


def write_timestamp(at: datetime) -> bytes:
    """PA-ENC-TS-ENC."""
    return der.sequence((0, der.time(at)), (1, der.integer(at.microsecond)))


def read_timestamp(source: bytes) -> datetime:
    """PA-ENC-TS-ENC."""
    found = der.fields(source)
    micro = der.read_integer(found[1]) if 1 in found else 0
    if not 0 <= micro < 1_000_000:
        raise der.Garbled("microseconds are out of range")
    return der.read_time(der.need(found, 0)).replace(microsecond=micro)


# --- messages -----------------------------------------------------------------------------------------------------


def write_request(request: Request) -> bytes:
    """A KDC-REQ."""
    body = der.sequence(
        (0, der.bits(request.options)),
        (1, None if request.client is None else _name(request.client)),
        (2, der.string(request.realm)),
        (3, None if request.server is None else _name(request.server)),
        (5, None if request.until is None else der.time(request.until)),
        (6, None if request.renew_until is None else der.time(request.renew_until)),
        (7, der.integer(request.nonce)),
        (8, der.sequence_of(map(der.integer, request.kinds))),
    )
    whole = der.sequence(
        (1, der.integer(request.version)),
        (2, der.integer(request.message)),
        (3, _data(request.data) if request.data else None),
        (4, body),
    )
    return der.application(request.message, whole)


def read_request(source: bytes) -> Request:
    """A KDC-REQ, of an initial exchange or of a later one."""
    number = der.application_number(source)
    if number not in (AS_REQ, TGS_REQ):
        raise der.Garbled("no request to a KDC")
    found = der.message(number, source)
    if der.read_integer(der.need(found, 2)) != number:
        raise der.Garbled("two message types")
    body = der.fields(der.need(found, 4))
    return Request(
        client=_read_name(body[1]) if 1 in body else None,
        realm=der.read_string(der.need(body, 2)),
        server=_read_name(body[3]) if 3 in body else None,
        until=der.read_time(body[5]) if 5 in body else None,
        nonce=der.read_integer(der.need(body, 7)),
        kinds=tuple(map(der.read_integer, der.items(der.need(body, 8)))),
        options=der.read_bits(der.need(body, 0)),
        renew_until=der.read_time(body[6]) if 6 in body else None,
        data=_read_data(found[3]) if 3 in found else (),
        version=der.read_integer(der.need(found, 1)),
        message=number,
    )


def write_error(error: Error) -> bytes:
    """A KRB-ERROR."""
    whole = der.sequence(
        (0, der.integer(VERSION)),
        (1, der.integer(KRB_ERROR)),
        (4, der.time(error.at)),
        (5, der.integer(error.at.microsecond)),
        (6, der.integer(error.code)),
        (7, None if error.client_realm is None else der.string(error.client_realm)),
        (8, None if error.client is None else _name(error.client)),
        (9, der.string(error.realm)),
        (10, _name(error.server)),
        (11, der.string(error.text) if error.text else None),
        (12, None if error.data is None else der.octets(error.data)),
    )
    return der.application(KRB_ERROR, whole)


def read_error(source: bytes) -> Error:
    """A KRB-ERROR."""
    found = der.message(KRB_ERROR, source)
    micro = der.read_integer(der.need(found, 5))
    return Error(
        code=der.read_integer(der.need(found, 6)),
        at=der.read_time(der.need(found, 4)).replace(microsecond=micro if 0 <= micro < 1_000_000 else 0),
        realm=der.read_string(der.need(found, 9)),
        server=_read_name(der.need(found, 10)),
        text=der.read_string(found[11]) if 11 in found else "",
        data=der.read_octets(found[12]) if 12 in found else None,
        client_realm=der.read_string(found[7]) if 7 in found else None,
        client=_read_name(found[8]) if 8 in found else None,
    )


def _key(ticket: Ticket) -> bytes:
    return der.sequence((0, der.integer(ticket.kind)), (1, der.octets(ticket.session_key)))


def _times(ticket: Ticket, first: int) -> tuple[tuple[int, bytes | None], ...]:
    """authtime, starttime, endtime, renew-till, which tickets and replies have at other numbers."""
    renew = None if ticket.renew_until is None else der.time(ticket.renew_until)
    issued = der.time(ticket.issued)
    return (first, issued), (first + 1, issued), (first + 2, der.time(ticket.until)), (first + 3, renew)


def write_ticket_part(ticket: Ticket) -> bytes:
    """An EncTicketPart. It has no PAC: nothing that would read one is simulated."""
    whole = der.sequence(
        (0, der.bits(ticket.flags)),
        (1, _key(ticket)),
        (2, der.string(ticket.client_realm)),
        (3, _name(ticket.client)),
        (4, der.sequence((0, der.integer(1)), (1, der.octets(b"")))),  # no realm was passed through
        *_times(ticket, 5),
    )
    return der.application(_TICKET_PART, whole)


def write_reply_part(ticket: Ticket, nonce: int) -> bytes:
    """An EncASRepPart."""
    last_request = der.sequence_of((der.sequence((0, der.integer(0)), (1, der.time(ticket.issued))),))
    whole = der.sequence(
        (0, _key(ticket)),
        (1, last_request),
        (2, der.integer(nonce)),
        (4, der.bits(ticket.flags)),
        *_times(ticket, 5),
        (9, der.string(ticket.realm)),
        (10, _name(ticket.server)),
    )
    return der.application(_AS_REP_PART, whole)


def read_reply_part(source: bytes) -> ReplyPart:
    """An EncASRepPart."""
    found = der.message(_AS_REP_PART, source)
    key = der.fields(der.need(found, 0))
    return ReplyPart(
        session_key=der.read_octets(der.need(key, 1)),
        nonce=der.read_integer(der.need(found, 2)),
        flags=der.read_bits(der.need(found, 4)),
        until=der.read_time(der.need(found, 7)),
        realm=der.read_string(der.need(found, 9)),
        server=_read_name(der.need(found, 10)),
    )


def write_reply(reply: Reply) -> bytes:
    """An AS-REP."""
    ticket = der.sequence(
        (0, der.integer(VERSION)),
        (1, der.string(reply.realm)),
        (2, _name(reply.server)),
        (3, write_encrypted(reply.ticket)),
    )
    whole = der.sequence(
        (0, der.integer(VERSION)),
        (1, der.integer(AS_REP)),
        (2, _data(reply.data) if reply.data else None),
        (3, der.string(reply.client_realm)),
        (4, _name(reply.client)),
        (5, der.application(_TICKET_TAG, ticket)),
        (6, write_encrypted(reply.part)),
    )
    return der.application(AS_REP, whole)


def read_reply(source: bytes) -> Reply:
    """An AS-REP."""
    found = der.message(AS_REP, source)
    ticket = der.message(_TICKET_TAG, der.need(found, 5))
    return Reply(
        client_realm=der.read_string(der.need(found, 3)),
        client=_read_name(der.need(found, 4)),
        realm=der.read_string(der.need(ticket, 1)),
        server=_read_name(der.need(ticket, 2)),
        ticket=read_encrypted(der.need(ticket, 3)),
        part=read_encrypted(der.need(found, 6)),
        data=_read_data(found[2]) if 2 in found else (),
    )
