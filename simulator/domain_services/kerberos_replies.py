"""Replies of Kerberos' initial exchange, and the tickets in them ([RFC4120] 5.3, 5.4.2), read and written as values.

Everything that reads raises :class:`~simulator.domain_services.der.Garbled`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from simulator.domain_services import der
from simulator.domain_services import kerberos_messages as messages
from simulator.domain_services.kerberos_messages import Encrypted, Name

_TICKET_TAG, _TICKET_PART, _AS_REP_PART = 1, 3, 25
"""Application tags."""


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
        (3, messages.write_name(ticket.client)),
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
        (10, messages.write_name(ticket.server)),
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
        server=messages.read_name(der.need(found, 10)),
    )


def write_reply(reply: Reply) -> bytes:
    """An AS-REP."""
    ticket = der.sequence(
        (0, der.integer(messages.VERSION)),
        (1, der.string(reply.realm)),
        (2, messages.write_name(reply.server)),
        (3, messages.write_encrypted(reply.ticket)),
    )
    whole = der.sequence(
        (0, der.integer(messages.VERSION)),
        (1, der.integer(messages.AS_REP)),
        (2, messages.write_data(reply.data) if reply.data else None),
        (3, der.string(reply.client_realm)),
        (4, messages.write_name(reply.client)),
        (5, der.application(_TICKET_TAG, ticket)),
        (6, messages.write_encrypted(reply.part)),
    )
    return der.application(messages.AS_REP, whole)


def read_reply(source: bytes) -> Reply:
    """An AS-REP."""
    found = der.message(messages.AS_REP, source)
    ticket = der.message(_TICKET_TAG, der.need(found, 5))
    return Reply(
        client_realm=der.read_string(der.need(found, 3)),
        client=messages.read_name(der.need(found, 4)),
        realm=der.read_string(der.need(ticket, 1)),
        server=messages.read_name(der.need(ticket, 2)),
        ticket=messages.read_encrypted(der.need(ticket, 3)),
        part=messages.read_encrypted(der.need(found, 6)),
        data=messages.read_data(found[2]) if 2 in found else (),
    )
