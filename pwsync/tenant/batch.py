"""Whole batches of credentials between bytes and values, without a tree per item.

An initial synchronization moves tens of thousands of credentials, and nearly all items have one shape: an anchor of 24
characters, a credential of 103, a date in whole seconds, nothing for Domain Services. For these the bytes of an item
are a template. The templates are cut from what the general codec writes, so that there is one definition of the format;
whatever has another shape goes through the general codec, with the same result.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, Generic, TypeVar
from uuid import UUID
from xml.etree.ElementTree import Element

from pwsync.tenant.binary_reader import decode
from pwsync.tenant.binary_writer import encode
from pwsync.tenant.company import Argument, write_call
from pwsync.tenant.messages import (
    COEXISTENCE,
    PREFIXES,
    SERVICE,
    XSI,
    CallHeader,
    CredentialItem,
    CredentialResult,
    Request,
    parse_request,
    parse_response,
    request_envelope,
    response_envelope,
)
from pwsync.tenant.operations import (
    format_time,
    parse_time,
    read_credentials,
    read_credentials_result,
    write_credentials,
    write_credentials_result,
)

_OPERATION: Final = "ProvisionCredentials"
_BODY: Final = f"{{{SERVICE}}}{_OPERATION}"
_ENDS: Final = b"\x01" * 5
"""The ends of items, request, operation, body and envelope, with which every message closes."""

_ANCHOR, _CREDENTIAL, _DATE = b"A" * 24, b"C" * 103, b"D" * 20
_RESULT: Final = b"7"
_PLACE: Final = UUID("b7e1a3c5-94d2-4f68-8a0b-5c6d7e8f9012")
_PLACE_TEXT: Final = str(_PLACE).encode()

T = TypeVar("T")


class _Cutter(ABC, Generic[T]):
    """Takes items of the usual shape out of a document while it is read (see :func:`binary_reader.decode`)."""

    holder: str

    def __init__(self) -> None:
        self.items: list[T] = []
        self.holders = 0

    def take(self, data: bytes, at: int, declared: Mapping[str, str]) -> int:
        """Take items from offset ``at`` on; returns the offset of the first byte that belongs to none of them.

        A template is bytes with prefixes in them: it means its item only where these are declared as usual.
        """
        self.holders += 1
        if declared.get("b") != COEXISTENCE or declared.get("i") != XSI:
            return at
        return self.take_all(data, at)

    @abstractmethod
    def take_all(self, data: bytes, at: int) -> int:
        """Take items from ``at`` on, the declarations being as usual; returns the offset behind them."""


class _ItemCutter(_Cutter[CredentialItem]):
    holder = f"{{{COEXISTENCE}}}RequestItems"

    def take_all(self, data: bytes, at: int) -> int:
        match, append, forced = _ITEM_PATTERN.match, self.items.append, _FORCED
        while found := match(data, at):
            date, credential, force, anchor = found.groups()
            append(
                CredentialItem(anchor.decode(), None, credential.decode(), parse_time(date.decode()), force == forced)
            )
            at = found.end()
        return at


class _ResultCutter(_Cutter[CredentialResult]):
    holder = f"{{{COEXISTENCE}}}Results"

    def take_all(self, data: bytes, at: int) -> int:
        match, append = _RESULT_PATTERN.match, self.items.append
        while found := match(data, at):
            result, anchor = found.groups()
            append(CredentialResult(anchor.decode(), None, int(result)))
            at = found.end()
        return at


def encode_credentials(header: CallHeader, items: Sequence[CredentialItem]) -> bytes:
    """The bytes of a ProvisionCredentials request; without items it is a ping."""
    parts = [_item_bytes(item) for item in items]
    if None in parts:
        return encode(request_envelope(header, write_credentials(items)), PREFIXES, compact=True)
    frame = _with_id(_request_frame(replace(header, tracking_id=_PLACE)), header.tracking_id)
    return frame[: -len(_ENDS)] + b"".join(filter(None, parts)) + _ENDS


def encode_call(header: CallHeader, **arguments: Argument) -> bytes:
    """The bytes of a request whose arguments are plain values, in the order given."""
    told = tuple((name, type(value), value) for name, value in arguments.items())  # 1 is equal to True, and written "1"
    return _with_id(_call_frame(replace(header, tracking_id=_PLACE), told), header.tracking_id)


def decode_request(data: bytes) -> tuple[Request, list[CredentialItem]]:
    """A request of any operation, and its credentials if its body is ProvisionCredentials. Raises BinaryXmlError.

    The body of ProvisionCredentials may not be whole any more: items have been taken out of it.
    """
    cutter = _ItemCutter()
    request = parse_request(decode(data, cutter))
    if cutter.items and (cutter.holders != 1 or request.body.tag != _BODY):
        # Items in a place where none belong: what was taken may not be what the body holds.
        cutter.items.clear()
        request = parse_request(decode(data))
    return request, cutter.items + read_credentials(request.body) if request.body.tag == _BODY else []


def encode_results(results: Sequence[CredentialResult], relates_to: UUID | None = None) -> bytes:
    """The bytes of an answer to ProvisionCredentials."""
    parts = [_result_bytes(result) for result in results]
    if None in parts:
        body = write_credentials_result(results)
        return encode(response_envelope(_OPERATION, body, relates_to), PREFIXES)
    frame = _response_frame(None if relates_to is None else _PLACE)
    if relates_to is not None:
        frame = _with_id(frame, relates_to)
    return frame[: -len(_ENDS)] + b"".join(filter(None, parts)) + _ENDS


@lru_cache(maxsize=16)
def _request_frame(header: CallHeader) -> bytes:
    """A request without items. All calls with one token differ in nothing but their tracking id."""
    return encode(request_envelope(header, write_credentials(())), PREFIXES, compact=True)


@lru_cache(maxsize=16)
def _call_frame(header: CallHeader, arguments: tuple[tuple[str, type, Argument], ...]) -> bytes:
    """A request of plain values. The same ones are asked over and over, and differ in their tracking id alone."""
    body = write_call(header.operation, **{name: value for name, _, value in arguments})
    return encode(request_envelope(header, body), PREFIXES, compact=True)


@lru_cache(maxsize=2)
def _response_frame(relates_to: UUID | None) -> bytes:
    """An answer without results."""
    return encode(response_envelope(_OPERATION, write_credentials_result(()), relates_to), PREFIXES)


def _with_id(frame: bytes, identifier: UUID) -> bytes:
    """The frame with another id in the place of :data:`_PLACE`, which stands there as text and as a UniqueId record."""
    return frame.replace(_PLACE_TEXT, str(identifier).encode()).replace(_PLACE.bytes_le, identifier.bytes_le)


def decode_results(data: bytes) -> list[CredentialResult]:
    """The results in an answer to ProvisionCredentials. Raises ServiceFault, BinaryXmlError."""
    cutter = _ResultCutter()
    body = parse_response(decode(data, cutter))
    if cutter.holders != 1:
        return read_credentials_result(parse_response(decode(data)))
    return cutter.items + read_credentials_result(body)


def _item_bytes(item: CredentialItem) -> bytes | None:
    """An item by template; None if its shape is another."""
    anchor, credential, date = item.source_anchor, item.credential, format_time(item.change_date)
    if anchor is None or item.cloud_anchor is not None or item.legacy is not None or item.supplemental is not None:
        return None
    if not (len(anchor) == len(_ANCHOR) and len(credential) == len(_CREDENTIAL) and len(date) == len(_DATE)):
        return None
    if not (anchor.isascii() and credential.isascii()):
        return None
    return _ITEM_TEMPLATES[item.force_change] % (date.encode(), credential.encode(), anchor.encode())


def _result_bytes(result: CredentialResult) -> bytes | None:
    anchor, number = result.source_anchor, result.result
    if anchor is None or result.cloud_anchor is not None or result.error is not None or number is None:
        return None
    if not (len(anchor) == len(_ANCHOR) and anchor.isascii() and 0 <= number <= 9):
        return None
    return _RESULT_TEMPLATE % (str(number).encode(), anchor.encode())


def _cut(root: Element, *, compact: bool) -> bytes:
    """The bytes of the one item in a message: what it has more than the same message without."""
    whole = encode(root, PREFIXES, compact=compact)
    holder = next(found for found in root.iter() if found.tag in {_ItemCutter.holder, _ResultCutter.holder})
    holder.clear()
    return whole[len(encode(root, PREFIXES, compact=compact)) - len(_ENDS) : -len(_ENDS)]


def _cut_item(force: bool) -> bytes:
    date = datetime(2017, 1, 13, 9, tzinfo=UTC)
    item = CredentialItem(_ANCHOR.decode(), None, _CREDENTIAL.decode(), date, force)
    header = CallHeader(_OPERATION, "", "", UUID(int=0))
    cut = _cut(request_envelope(header, write_credentials([item])), compact=True)
    return cut.replace(format_time(date).encode(), _DATE)


def _replace(cut: bytes, place: bytes, by: bytes) -> bytes:
    """Replace a placeholder, which must stand there once: anything else would be a template of something else."""
    if cut.count(place) != 1:
        raise ValueError(f"the placeholder {place!r} stands {cut.count(place)} times in a template")
    return cut.replace(place, by)


def _template(cut: bytes, *places: bytes) -> bytes:
    for place in places:
        cut = _replace(cut, place, b"%b")
    return cut


def _pattern(cut: bytes, places: Mapping[bytes, bytes]) -> re.Pattern[bytes]:
    escaped = re.escape(cut)
    for place, group in places.items():
        escaped = _replace(escaped, re.escape(place), group)
    return re.compile(escaped, re.DOTALL)


_PLAIN_ITEM, _FORCED_ITEM = _cut_item(False), _cut_item(True)
_FLAG, _FORCED = next(
    (_PLAIN_ITEM[at : at + 1], _FORCED_ITEM[at : at + 1])
    for at in range(len(_PLAIN_ITEM))
    if _PLAIN_ITEM[at] != _FORCED_ITEM[at]
)
_ITEM_TEMPLATES: Final = {
    False: _template(_PLAIN_ITEM, _DATE, _CREDENTIAL, _ANCHOR),
    True: _template(_FORCED_ITEM, _DATE, _CREDENTIAL, _ANCHOR),
}
_ASCII = b"([\x00-\x7f]{%d})"
_ITEM_PATTERN: Final = _pattern(
    _PLAIN_ITEM,
    {
        _FLAG: b"([" + _FLAG + _FORCED + b"])",
        _DATE: _ASCII % len(_DATE),
        _CREDENTIAL: _ASCII % len(_CREDENTIAL),
        _ANCHOR: _ASCII % len(_ANCHOR),
    },
)
_RESULT_ITEM: Final = _cut(
    response_envelope(_OPERATION, write_credentials_result([CredentialResult(_ANCHOR.decode(), None, int(_RESULT))])),
    compact=False,
)
_RESULT_TEMPLATE: Final = _template(_RESULT_ITEM, _RESULT, _ANCHOR)
_RESULT_PATTERN: Final = _pattern(_RESULT_ITEM, {_RESULT: b"([0-9])", _ANCHOR: _ASCII % len(_ANCHOR)})
