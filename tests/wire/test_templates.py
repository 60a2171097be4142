"""What is made once, when the codec is loaded: templates of items, patterns, and the readers of numbers and texts."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from pwsync.errors import BinaryXmlError, ServiceFault
from pwsync.tenant import batch, binary_text
from pwsync.tenant.binary_xml import decode, encode
from pwsync.tenant.messages import (
    COEXISTENCE,
    PREFIXES,
    XSI,
    CallHeader,
    CredentialItem,
    CredentialResult,
    fault_envelope,
    request_envelope,
    response_envelope,
)
from pwsync.tenant.operations import write_credentials, write_credentials_result

ID = UUID("0f8fad5b-d9cb-469f-a165-70867728950e")
WHEN = datetime(2017, 1, 13, 9, 2, tzinfo=UTC)
HEADER = CallHeader("ProvisionCredentials", "token", "1.1.380.0", ID, to="https://service.example/x.svc")
USUAL = CredentialItem("A" * 24, None, "C" * 103, WHEN)
RESULT = CredentialResult("A" * 24, None, 0)


def test_made_again() -> None:
    """Templates and patterns come out the same whenever they are made."""
    for force in (False, True):
        cut = batch._cut_item(force)
        assert cut == (batch._FORCED_ITEM if force else batch._PLAIN_ITEM)
        assert batch._template(cut, b"D" * 20, b"C" * 103, b"A" * 24) == batch._ITEM_TEMPLATES[force]
    root = response_envelope("ProvisionCredentials", write_credentials_result([RESULT._replace(result=7)]))
    assert batch._cut(root, compact=False) == batch._RESULT_ITEM
    assert batch._pattern(b"a\nb.c", {b"b": b"(.)"}) == re.compile(b"a\\\n(.)\\.c", re.DOTALL)
    assert b"D" * 20 in batch._PLAIN_ITEM


@pytest.mark.parametrize(("cut", "count"), [(b"", 0), (b"xx", 2)])
def test_place_not_there_once(cut: bytes, count: int) -> None:
    """A placeholder that does not stand there once makes no template."""
    with pytest.raises(ValueError, match=rf"^the placeholder b'x' stands {count} times in a template$"):
        batch._replace(cut, b"x", b"y")


def taken(items: list[CredentialItem]) -> tuple[list[CredentialItem], int]:
    """What the cutter takes by itself, and how many holders it met."""
    cutter = batch._ItemCutter()
    decode(batch.encode_credentials(HEADER, items), cutter)
    return cutter.items, cutter.holders


@pytest.mark.parametrize(
    "odd",
    [
        USUAL._replace(source_anchor="A" * 23),
        USUAL._replace(source_anchor="A" * 23 + "ü"),
        USUAL._replace(source_anchor=None, cloud_anchor="User_1"),
        USUAL._replace(cloud_anchor="User_1"),
        USUAL._replace(credential="C" * 102),
        USUAL._replace(credential="C" * 102 + "ü"),
        USUAL._replace(change_date=WHEN + timedelta(microseconds=1)),
        USUAL._replace(legacy="x"),
        USUAL._replace(supplemental="x"),
    ],
)
def test_usual_items(odd: CredentialItem) -> None:
    """The usual items are taken by template, forced or not; an item of any other shape has no template."""
    forced = USUAL._replace(force_change=True)
    assert taken([USUAL, forced]) == ([USUAL, forced], 1)
    assert batch._item_bytes(odd) is None
    assert taken([USUAL, odd, forced]) == ([USUAL], 1)
    assert batch.decode_request(batch.encode_credentials(HEADER, [USUAL, odd, forced]))[1] == [USUAL, odd, forced]
    assert batch._item_bytes(USUAL) == batch._PLAIN_ITEM.replace(b"D" * 20, b"2017-01-13T09:02:00Z")


@pytest.mark.parametrize(
    "odd",
    [
        RESULT._replace(source_anchor="A" * 25),
        RESULT._replace(source_anchor="A" * 23 + "ü"),
        RESULT._replace(source_anchor=None, cloud_anchor="User_1"),
        RESULT._replace(cloud_anchor="User_1"),
        RESULT._replace(error="x"),
        RESULT._replace(result=10),
        RESULT._replace(result=-1),
    ],
)
def test_usual_results(odd: CredentialResult) -> None:
    """So are usual results, from 0 to 9."""
    assert batch._result_bytes(odd) is None
    assert batch._result_bytes(RESULT._replace(result=None)) is None
    usual = [RESULT, RESULT._replace(result=9)]
    cutter = batch._ResultCutter()
    decode(batch.encode_results([*usual, odd, RESULT]), cutter)
    assert (cutter.items, cutter.holders) == (usual, 1)
    assert batch.decode_results(batch.encode_results([*usual, odd, RESULT])) == [*usual, odd, RESULT]


@pytest.mark.parametrize(
    "declared", [{}, {"b": COEXISTENCE}, {"i": XSI}, {"b": XSI, "i": XSI}, {"b": COEXISTENCE, "i": COEXISTENCE}]
)
def test_other_declarations(declared: dict[str, str]) -> None:
    """Under other prefixes nothing is taken; the holder counts all the same."""
    for cutter in (batch._ItemCutter(), batch._ResultCutter()):
        assert (cutter.take(batch._PLAIN_ITEM, 0, declared), cutter.items, cutter.holders) == (0, [], 1)


def test_frames() -> None:
    """A batch of usual items is the frame with all of them in it, whatever the id was before."""
    for identifier in (ID, UUID(int=1)):
        header = CallHeader("ProvisionCredentials", "token", "1.1.380.0", identifier)
        general = encode(request_envelope(header, write_credentials([USUAL] * 2)), PREFIXES, compact=True)
        assert batch.encode_credentials(header, [USUAL] * 2) == general
        for relates_to in (None, identifier):
            body = write_credentials_result([RESULT] * 2)
            general = encode(response_envelope("ProvisionCredentials", body, relates_to), PREFIXES)
            assert batch.encode_results([RESULT] * 2, relates_to) == general
            odd = [RESULT._replace(error="x")]
            general = encode(
                response_envelope("ProvisionCredentials", write_credentials_result(odd), relates_to), PREFIXES
            )
            assert batch.encode_results(odd, relates_to) == general


def test_fault_in_place_of_results() -> None:
    """A fault is raised, not read as no results."""
    with pytest.raises(ServiceFault, match=r"^No\.$"):
        batch.decode_results(encode(fault_envelope("No."), PREFIXES))


@pytest.mark.parametrize(
    ("decoder", "data", "found"),
    [
        (lambda: binary_text._constant("x"), b"", ("x", 1)),
        (lambda: binary_text._number("<H", str), b"\x02\x01", ("258", 3)),
        (lambda: binary_text._number("<bb", lambda first, second: f"{first} {second}"), b"\x02\xff", ("2 -1", 3)),
        (lambda: binary_text._sized("<H", bytes.decode), b"\x02\0xyz", ("xy", 5)),
        (lambda: binary_text._sized("<B", bytes.decode), b"\0", ("", 2)),
    ],
)
def test_text_decoders(decoder: Callable[[], Callable[[bytes, int], Any]], data: bytes, found: tuple[str, int]) -> None:
    """A decoder reads from its offset on, and tells where it ends."""
    assert decoder()(b"\xee" + data, 1) == found


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (lambda: binary_text._sized("<B", bytes.decode)(b"\x02x", 0), "2 bytes are announced, 1 are there (at byte 1)"),
        (lambda: binary_text.take(b"xyz", 1, -1), "-1 bytes are announced, 0 are there (at byte 1)"),
        (lambda: binary_text.read_length(b"\x80" * 5, 0), "a length does not fit into 31 bits (at byte 5)"),
    ],
)
def test_too_short(read: Callable[[], object], text: str) -> None:
    """What is announced must be there."""
    with pytest.raises(BinaryXmlError) as caught:
        read()
    assert str(caught.value) == text
