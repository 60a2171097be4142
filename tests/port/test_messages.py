"""Decoding: what a client encodes comes out as it went in, and nothing that is sent makes it fail in another way."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from ldap3.operation.search import parse_filter
from port.lab import PRESENT, bind, equals, request, search
from port.mutations import seeds
from pyasn1.codec.ber import encoder

from simulator.active_directory.encoding import integer, tlv
from simulator.active_directory.errors import LdapError
from simulator.active_directory.filter import DEPTH_MAX, And, Match, Not, Or
from simulator.active_directory.messages import Undecodable, decode, decode_filter, frame_size, read_filter

FILTERS = (
    "(cn=alice)", "(cn=*)", "(cn=a*)", "(cn=*e)", "(cn=*li*)", "(cn=a*l*i*ce)", "(uSNChanged>=5)", "(uSNChanged<=5)",
    "(cn~=al)", "(userAccountControl:1.2.840.113556.1.4.803:=512)", "(cn:dn:2.5.13.5:=x)", "(:2.5.13.5:=x)", "(cn:=x)",
    "(&(cn=a)(sn=b))", "(|(cn=a)(sn=b)(!(l=c)))", "(!(&(cn=a)(|(sn=*)(!(l=*)))))", r"(objectGUID=\00\ff\28)", "(cn=ü)",
)  # fmt: skip


@pytest.mark.parametrize("text", FILTERS)
def test_filters_of_clients(text):
    """A filter from the wire reads as the same filter that ldap3 hands over in this process."""
    compiled = parse_filter(text, None, False, False, None, False)
    encoded = encoder.encode(_built(compiled))
    assert decode_filter(encoded) == read_filter(_built(compiled))


def _built(parsed):
    from ldap3.operation.search import compile_filter

    return compile_filter(parsed.elements[0])


leaves = st.builds(
    lambda name, value: (equals(name, value), Match("=", name, value)), st.sampled_from("abc"), st.binary()
)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(lambda parts: (tlv(0xA0, _joined(parts)), And(_read(parts)))),
        st.lists(inner, max_size=4).map(lambda parts: (tlv(0xA1, _joined(parts)), Or(_read(parts)))),
        inner.map(lambda part: (tlv(0xA2, part[0]), Not(part[1]))),
    ),
)


def _joined(parts):
    return b"".join(part[0] for part in parts)


def _read(parts):
    return tuple(part[1] for part in parts)


@given(trees)
def test_trees_of_filters(tree):
    """Every tree of conditions comes out as it went in, empty connections too (RFC 4526)."""
    octets, wanted = tree
    assert decode_filter(octets) == wanted


@pytest.mark.parametrize("tag", [0xA0, 0xA1, 0xA2])
def test_depth(tag):
    """Filters may be nested so deep and no deeper."""
    deep = PRESENT
    for _ in range(DEPTH_MAX):
        deep = tlv(tag, deep)
    assert isinstance(decode_filter(deep), And | Or | Not)
    with pytest.raises(LdapError) as caught:
        decode_filter(tlv(tag, deep))
    assert caught.value.code == 11


@given(st.binary(max_size=60))
@example(b"")
@example(b"\x30")
@example(b"\x30\x84\xff")
@example(b"\x30\x03\x02\x01\x01")
def test_any_octets(octets):
    """Any octets are a request, or no request; never anything else."""
    for read in (decode, decode_filter, frame_size):
        with contextlib.suppress(Undecodable, LdapError):
            read(octets)


@given(st.sampled_from(seeds()), st.data())
def test_any_change(octets, data):
    """A valid request with an octet changed, and each of its beginnings, is a request or none."""
    at = data.draw(st.integers(0, len(octets) - 1))
    bent = octets[:at] + data.draw(st.binary(min_size=1, max_size=2)) + octets[at + 1 :]
    for each in (bent, octets[:at]):
        with contextlib.suppress(Undecodable):
            message = decode(each)
            if message.kind == "searchRequest":
                with contextlib.suppress(LdapError):
                    decode_filter(bytes(message.request["filter"]))


@given(st.integers(0, 2**40), st.binary(max_size=9))
def test_frames(size, rest):
    """A message's size is told from its first octets, and is the size that it says."""
    head = tlv(0x30, b"")[:1] + (bytes((size,)) if size < 128 else bytes((0x86,)) + size.to_bytes(6, "big"))
    assert frame_size(head + rest) == len(head) + size
    for cut in range(len(head)):
        assert frame_size(head[:cut]) is None


def test_nothing_follows():
    """What follows a message or a filter is not passed over."""
    for octets in seeds():
        with pytest.raises(Undecodable):
            decode(octets + b"\x05\0")
    with pytest.raises(Undecodable):
        decode_filter(PRESENT + PRESENT)


def test_controls():
    """Controls come with what they leave out: not critical, no value."""
    octets = search(1, controls=[("1.2.3", True, b"x"), ("1.2.4", False, b"")])
    assert [(each.oid, each.critical, each.value) for each in decode(octets).controls] == [
        ("1.2.3", True, b"x"),
        ("1.2.4", False, b""),
    ]
    assert decode(bind(1, "", "")).controls == []


def test_length_beyond_counting():
    """A string that claims more octets than a machine can count is no reason to fail."""
    for tag in (b"\x04", b"\x24"):
        with pytest.raises(Undecodable):
            decode(tlv(0x30, integer(1) + tlv(0x60, integer(3) + tag + b"\x88" + b"\xff" * 8)))


def test_request_with_a_wrong_number():
    """A number of any size is no reason to fail."""
    for number in (b"\xff", b"\x7f" * 9000):
        with pytest.raises(Undecodable):
            decode(tlv(0x30, tlv(2, number) + tlv(0x42, b"")))
    assert decode(request(2**31 - 1, 0x42)).number == 2**31 - 1
    assert integer(-129) == b"\x02\x02\xff\x7f"
