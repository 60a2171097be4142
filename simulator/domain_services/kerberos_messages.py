"""What Kerberos' initial exchange asks, and its errors ([RFC4120] 5.4.1, 5.9, 5.2.7), read and written as values.

Everything that reads raises :class:`~simulator.domain_services.der.Garbled`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from simulator.domain_services import der

AS_REQ, AS_REP, TGS_REQ, KRB_ERROR = 10, 11, 12, 30
"""Message types, which are their application tags too."""
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


# --- parts --------------------------------------------------------------------------------------------------------


def write_name(name: Name) -> bytes:
    """A PrincipalName."""
    return der.sequence((0, der.integer(name.kind)), (1, der.sequence_of(map(der.string, name.parts))))


def read_name(source: bytes) -> Name:
    """A PrincipalName."""
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


def write_data(data: tuple[tuple[int, bytes], ...]) -> bytes:
    """Pre-authentication data."""
    return der.sequence_of(der.sequence((1, der.integer(kind)), (2, der.octets(value))) for kind, value in data)


def read_data(source: bytes) -> tuple[tuple[int, bytes], ...]:
    """Pre-authentication data, type and octets."""
    found = map(der.fields, der.items(source))
    return tuple((der.read_integer(der.need(each, 1)), der.read_octets(der.need(each, 2))) for each in found)


def write_methods(entries: tuple[tuple[int, str | None], ...]) -> bytes:
    """METHOD-DATA that asks for an encrypted timestamp, and says by which keys: encryption types and their salts."""
    return write_data(((PA_ETYPE_INFO2, write_etype_info(entries)), (PA_ENC_TIMESTAMP, b"")))


def read_methods(source: bytes) -> dict[int, bytes]:
    """METHOD-DATA by type."""
    return dict(read_data(source))


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
        (1, None if request.client is None else write_name(request.client)),
        (2, der.string(request.realm)),
        (3, None if request.server is None else write_name(request.server)),
        (5, None if request.until is None else der.time(request.until)),
        (6, None if request.renew_until is None else der.time(request.renew_until)),
        (7, der.integer(request.nonce)),
        (8, der.sequence_of(map(der.integer, request.kinds))),
    )
    whole = der.sequence(
        (1, der.integer(request.version)),
        (2, der.integer(request.message)),
        (3, write_data(request.data) if request.data else None),
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
        client=read_name(body[1]) if 1 in body else None,
        realm=der.read_string(der.need(body, 2)),
        server=read_name(body[3]) if 3 in body else None,
        until=der.read_time(body[5]) if 5 in body else None,
        nonce=der.read_integer(der.need(body, 7)),
        kinds=tuple(map(der.read_integer, der.items(der.need(body, 8)))),
        options=der.read_bits(der.need(body, 0)),
        renew_until=der.read_time(body[6]) if 6 in body else None,
        data=read_data(found[3]) if 3 in found else (),
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
        (8, None if error.client is None else write_name(error.client)),
        (9, der.string(error.realm)),
        (10, write_name(error.server)),
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
        server=read_name(der.need(found, 10)),
        text=der.read_string(found[11]) if 11 in found else "",
        data=der.read_octets(found[12]) if 12 in found else None,
        client_realm=der.read_string(found[7]) if 7 in found else None,
        client=read_name(found[8]) if 8 in found else None,
    )
