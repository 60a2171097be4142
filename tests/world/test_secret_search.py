"""no-secret-leaks searches a store again only where it has changed, and overlooks nothing by that."""

from __future__ import annotations

from base64 import b64encode

from hypothesis import given
from hypothesis import strategies as st

from simulator.invariants.no_secret_leaks import PAGE, changed, spellings

PIECES = st.lists(st.sampled_from([b"a" * PAGE, b"b" * PAGE, b"a" * (PAGE - 1) + b"b"]), max_size=6).map(b"".join)


class TestChanged:
    def test_nothing(self) -> None:
        """A file that is as it was has no stretch to search."""
        assert list(changed(b"a" * PAGE, b"a" * PAGE)) == []

    def test_everything_at_first(self) -> None:
        """Of a file that was not there before everything is new."""
        assert list(changed(b"", b"a" * (2 * PAGE + 5))) == [(0, 2 * PAGE + 5)]

    def test_pages_in_a_row(self) -> None:
        """Pages that follow each other are one stretch."""
        before, after = b"aabaa", b"abcab"
        pages = [b"".join(bytes([each]) * PAGE for each in text) for text in (before, after)]
        assert list(changed(*pages)) == [(PAGE, 3 * PAGE), (4 * PAGE, 5 * PAGE)]

    @given(before=PIECES, after=PIECES, tail=st.binary(max_size=40))
    def test_finds_what_is_new(self, before: bytes, after: bytes, tail: bytes) -> None:
        """Whatever does not stand in one of the stretches, widened by its length, stood there before."""
        after += tail
        needle = b"ab"
        stretches = [after[max(0, first - 2) : end + 2] for first, end in changed(before, after)]
        if needle in after and needle not in before:
            assert any(needle in each for each in stretches)


class TestSpellings:
    @given(secret=st.binary(min_size=8, max_size=32), before=st.binary(max_size=7), after=st.binary(max_size=7))
    def test_base64_of_more(self, secret: bytes, before: bytes, after: bytes) -> None:
        """A secret is found in the base64 of any octets that hold it, wherever it begins."""
        for octets in (secret, secret.hex().upper().encode()):
            text = b64encode(before + octets + after)
            assert any(each in text for each in list(spellings(secret))[3:])

    def test_hex_in_either_case(self) -> None:
        """Hex digits may be small or capital letters; the octets themselves are one spelling, too."""
        secret = bytes(range(0xA0, 0xB0))
        assert {secret, secret.hex().encode(), secret.hex().upper().encode()} <= set(spellings(secret))
