"""The .NET binary XML codec: records, round trips, and bytes that are none."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any
from xml.etree.ElementTree import Element, SubElement, canonicalize, fromstring, tostring

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pwsync.errors import BinaryXmlError
from pwsync.tenant.binary_xml import ARRAY_VALUES_MAX, DEPTH_MAX, SIZE_MAX, decode, encode
from pwsync.tenant.dictionary import NUMBERS, STRINGS
from pwsync.tenant.messages import XSD, XSI

NAMES = st.from_regex(r"[A-Za-z_\u00e4][A-Za-z0-9_.\-]{0,20}", fullmatch=True) | st.sampled_from(
    ["Envelope", "Body", "nil", "type", "Action"]
)
NAMESPACES = st.sampled_from(["", "urn:a", "urn:b", "http://www.w3.org/2003/05/soap-envelope", XSI, XSD])
TEXTS = st.text(st.characters(codec="utf-8"), max_size=40) | st.sampled_from(["true", "false", "", "Envelope", "&<>"])
LONG_TEXTS = st.sampled_from([254, 255, 256, 65535, 65536]).map(lambda size: "x" * size)
TYPES = st.sampled_from(["{urn:a}type", "{urn:b}type", f"{{{XSD}}}string", "", "no name"])
PREFIXES = {"urn:a": "a", "urn:b": "", "http://www.w3.org/2003/05/soap-envelope": "s", XSI: "i", XSD: "long"}


@st.composite
def elements(draw: st.DrawFn, depth: int = 3) -> Element:
    """Trees with mixed content, attributes and namespaces."""

    def name() -> str:
        namespace = draw(NAMESPACES)
        return f"{{{namespace}}}{draw(NAMES)}" if namespace else draw(NAMES)

    made = Element(name())
    for _ in range(draw(st.integers(0, 2))):
        key = name()
        made.set(key, draw(TYPES if key == f"{{{XSI}}}type" else TEXTS))
    made.text = draw(TEXTS | LONG_TEXTS)
    if depth:
        for _ in range(draw(st.integers(0, 3))):
            made.append(draw(elements(depth - 1)))
            made[-1].tail = draw(TEXTS)
    return made


def shown(root: Element) -> Any:
    """A tree as plain values; no text and empty text are the same."""
    return (root.tag, dict(root.attrib), root.text or "", [(shown(child), child.tail or "") for child in root])


def document(hexadecimal: str) -> Element:
    return decode(bytes.fromhex(hexadecimal))


class TestRecords:
    def test_texts(self, vectors: Callable[[str], dict[str, Any]]) -> None:
        """Every kind of text record is read as the text that XML has for the value."""
        for row in vectors("binary_xml")["texts"]:
            record = bytes.fromhex(row["record"])
            assert row["text"] == (decode(b"\x40\x01a" + record + b"\x01").text or ""), row

    def test_texts_with_end_element(self, vectors: Callable[[str], dict[str, Any]]) -> None:
        """The odd record types end their element too."""
        for row in vectors("binary_xml")["texts"]:
            record = bytes.fromhex(row["record"])
            with_end = bytes((record[0] | 1,)) + record[1:]
            assert row["text"] == (decode(b"\x40\x01a" + with_end).text or ""), row

    def test_texts_as_attribute(self, vectors: Callable[[str], dict[str, Any]]) -> None:
        """An attribute's value may be any text record."""
        for row in vectors("binary_xml")["texts"]:
            record = bytes.fromhex(row["record"])
            assert row["text"] == decode(b"\x40\x01a\x04\x01b" + record + b"\x01").get("b"), row

    def test_documents(self, vectors: Callable[[str], dict[str, Any]]) -> None:
        """Documents of the specification read as the XML beside them."""
        for row in vectors("binary_xml")["documents"]:
            assert shown(fromstring(row["xml"])) == shown(document(row["bytes"]))

    @pytest.mark.parametrize(
        "hexadecimal",
        [
            "40 01 65 04 01 61 98 01 76 01",
            "41 01 70 01 65 09 01 70 01 75 05 01 70 01 61 98 01 76 01",
            "42 02 06 00 98 01 76 01",
            "43 01 70 02 0b 01 70 04 07 01 70 00 98 01 76 01",
            "53 02 0b 01 70 04 1b 00 98 01 76 01",
            "6d 01 65 09 01 70 01 75 35 01 61 98 01 76 01",
            "40 01 65 08 01 75 04 01 61 98 01 76 01",
            "42 02 0a 04 06 00 98 01 76 01",
        ],
    )
    def test_elements_and_attributes(self, hexadecimal: str) -> None:
        """Every family of element, attribute and namespace records: short, prefixed, from the dictionary, by letter."""
        root = document(hexadecimal)
        assert (len(root.attrib), *root.attrib.values()) == (1, "v")

    def test_namespace_by_default(self) -> None:
        """A default namespace holds for elements below, not for attributes; xmlns="" takes it away."""
        root = document("40 01 65 08 01 75 04 01 61 a8 40 01 66 01 40 01 67 08 00 01 01")
        assert [found.tag for found in root.iter()] == ["{u}e", "{u}f", "g"]
        assert root.attrib == {"a": ""}

    def test_prefix_declared_again(self) -> None:
        """An inner declaration hides an outer one until its element ends."""
        root = document("6d 01 65 09 01 70 01 75 6d 01 66 09 01 70 01 76 01 6d 01 67 01 01")
        assert [found.tag for found in root.iter()] == ["{u}e", "{v}f", "{u}g"]

    def test_comment(self) -> None:
        """Comments are passed over wherever they stand."""
        assert shown(document("02 01 78 40 01 61 02 01 78 98 01 74 02 01 78 01 02 01 78")) == ("a", {}, "t", [])

    def test_adjoining_texts(self) -> None:
        """Text in several records is one text, also behind a child."""
        root = document("40 01 61 98 01 78 98 01 79 40 01 62 01 98 01 7a 86 01")
        assert shown(root) == ("a", {}, "xy", [(("b", {}, "", []), "ztrue")])

    def test_array(self) -> None:
        """An array is its element, once per value."""
        root = document("40 01 61 03 40 01 62 04 01 63 86 01 b5 02 01 00 01")
        assert [(found.text, found.attrib) for found in root] == [("true", {"c": "true"}), ("false", {"c": "true"})]

    def test_type_in_clark_notation(self) -> None:
        """The value of xsi:type does not depend on a prefix any more."""
        root = Element("a", {f"{{{XSI}}}type": f"{{{XSD}}}string"})
        for prefixes in ({XSI: "i", XSD: "d"}, {XSI: "x", XSD: "y"}, {}):
            assert shown(root) == shown(decode(encode(root, prefixes)))

    @given(st.binary(min_size=8, max_size=8))
    def test_doubles(self, raw: bytes) -> None:
        """A double's text gives the same double again."""
        text = decode(b"\x40\x01a\x93" + raw).text or ""
        value = struct.unpack("<d", raw)[0]
        assert (text == "NaN") if value != value else (float(text) == value)

    @given(st.binary(min_size=4, max_size=4))
    def test_floats(self, raw: bytes) -> None:
        """A float's text gives the same float again."""
        text = decode(b"\x40\x01a\x91" + raw).text or ""
        value = struct.unpack("<f", raw)[0]
        assert (text == "NaN") if value != value else (struct.pack("<f", float(text)) == raw)


class TestDictionary:
    def test_table(self) -> None:
        """The table has 487 strings, each once."""
        assert len(STRINGS) == len(NUMBERS) == 487

    @pytest.mark.parametrize(
        ("number", "text"),
        [
            (0, "mustUnderstand"),
            (2, "Envelope"),
            (4, "http://www.w3.org/2003/05/soap-envelope"),
            (162, ""),
            (424, " http://schemas.xmlsoap.org/ws/2005/02/trust/tlsnego"),
            (886, "nil"),
            (972, "detail"),
        ],
    )
    def test_numbers(self, number: int, text: str) -> None:
        """Strings have the even numbers that .NET gives them."""
        assert STRINGS[number // 2] == text

    @pytest.mark.parametrize("record", ["aa01", "aace07", "aaffffffff07", "aaffffffff0f"])
    def test_unknown_number(self, record: str) -> None:
        """Odd numbers, which are a session's, and numbers behind the table are refused."""
        with pytest.raises(BinaryXmlError):
            document("4001 61" + record + "01")


class TestRoundTrip:
    @given(elements(), st.booleans(), st.booleans())
    def test_trees(self, root: Element, compact: bool, with_prefixes: bool) -> None:
        """Every tree is read as it was written, with wished prefixes and without."""
        prefixes = PREFIXES if with_prefixes else {}
        assert shown(root) == shown(decode(encode(root, prefixes, compact=compact)))

    @given(elements())
    def test_plain_records(self, root: Element) -> None:
        """A plain document has only Element, Attribute, Xmlns, Chars and EndElement records."""
        allowed = {0x01, 0x04, 0x05, 0x08, 0x09, 0x40, 0x41, 0x98, 0x9A, 0x9C}
        assert set(record_types(encode(root, PREFIXES))) <= allowed

    @given(elements())
    def test_as_xml(self, root: Element) -> None:
        """The tree has the same canonical XML before and after; the codec leaves escaping to XML."""
        again = decode(encode(root, PREFIXES))
        try:
            expected = canonicalize(tostring(root, "unicode"), rewrite_prefixes=True)
        except SyntaxError:
            return  # a character that binary XML carries and XML 1.0 can't
        assert expected == canonicalize(tostring(again, "unicode"), rewrite_prefixes=True)

    def test_declared_above(self) -> None:
        """A prefix declared by an attribute of the tree is not declared again below."""
        root = Element("{urn:a}a", {"xmlns:i": XSI})
        for _ in range(3):
            SubElement(root, "{urn:a}b", {f"{{{XSI}}}nil": "true"})
        assert encode(root, PREFIXES).count(XSI.encode()) == 1

    @pytest.mark.parametrize("compact", [False, True])
    def test_declared_by_one_of_the_same_name(self, compact: bool) -> None:
        """Neither is it declared again by an element within one of the same name that declares it."""
        root = Element("{urn:a}a")
        SubElement(root, "{urn:a}a")
        assert encode(root, PREFIXES, compact=compact).count(b"urn:a") == 1

    @pytest.mark.parametrize(
        ("letter", "record"), [("a", 0x5E), ("z", 0x77), ("A", 0x41), ("Z", 0x41), ("\u00e4", 0x41)]
    )
    def test_one_letter(self, letter: str, record: int) -> None:
        """Records that have the prefix in their type are for the letters a to z; any other letter is spelled out."""
        root = Element("{urn:x}one", {"{urn:x}two": "v"})
        data = encode(root, {"urn:x": letter}, compact=True)
        assert (data[0], shown(decode(data))) == (record, shown(root))

    def test_lone_surrogate(self) -> None:
        """A lone surrogate becomes U+FFFD, a pair the character it stands for."""
        root = Element("a")
        root.text = "x\ud800y\ud83d\ude00"
        assert decode(encode(root, {})).text == "x\ufffdy😀"

    def test_attribute_in_default_namespace(self) -> None:
        """An attribute can't use a default namespace, so it gets a prefix of its own."""
        root = Element("{urn:b}a", {"{urn:b}c": "v"})
        assert shown(root) == shown(decode(encode(root, {"urn:b": ""})))

    def test_two_namespaces_of_one_prefix(self) -> None:
        """Where two namespaces wish for one prefix in one place, the second gets another."""
        root = Element("{urn:x}a", {"{urn:y}b": "v"})
        assert shown(root) == shown(decode(encode(root, {"urn:x": "p", "urn:y": "p"})))


class TestRefused:
    @given(st.binary(max_size=300))
    @example(b"")
    @example(b"\x40\x01a")
    @example(b"\x01")
    @example(b"\x98\x01a")
    @example(b"\x40\x01a\x01\x40\x01a\x01")
    @example(b"\x40\x01a\x04\x01b\x03")
    @example(b"\x40\x01a\x04\x01b\x86\x04\x01b\x86\x01")
    @example(b"\x40\x03a:b\x01")
    @example(b"\x40\x00\x01")
    @example(b"\x5e\x01a\x01")
    @example(b"\x40\x01a\xbd\x1a\x00")
    @example(b"\x40\x01a\x97\xff\xff\xff\xff\xff\xff\xff\xff")
    @example(b"\x40\x01a\x9d\xff\xff\xff\xff")
    @example(b"\x40\x01a\xa5\xa4\xa6\xa6")
    @example(b"\x40\x01a\x03\x40\x01b\x01\x99\x01\x01x\x01")
    @example(b"\x03\x40\x01b\x01\xb5\x01\x01")
    @example(b"\x78\x01\x01")
    @example(b"\x40\x01a\x99\x01\xff")
    @example(b"\x40\x01a\xb7\x01x")
    def test_garbage(self, data: bytes) -> None:
        """Garbage raises BinaryXmlError, and nothing else."""
        try:
            decode(data)
        except BinaryXmlError as error:
            assert 0 <= error.offset <= len(data)  # noqa: PT017 - a few random bytes are a document

    @given(elements(), st.data())
    def test_cut_off(self, root: Element, data: st.DataObject) -> None:
        """No part of a document is one."""
        whole = encode(root, PREFIXES, compact=data.draw(st.booleans()))
        with pytest.raises(BinaryXmlError):
            decode(whole[: data.draw(st.integers(0, len(whole) - 1))])

    @given(elements(), st.data())
    def test_changed_byte(self, root: Element, data: st.DataObject) -> None:
        """A document with a wrong byte is another document or none, and reads in bounded time."""
        whole = bytearray(encode(root, PREFIXES, compact=True))
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
        try:
            decode(bytes(whole))
        except BinaryXmlError as error:
            assert error.offset <= len(whole)  # noqa: PT017 - see above

    def test_too_deep(self) -> None:
        """Elements nest 100 deep, in both directions."""
        assert decode(b"\x40\x01a" * DEPTH_MAX + b"\x01" * DEPTH_MAX).tag == "a"
        with pytest.raises(BinaryXmlError, match="deep"):
            decode(b"\x40\x01a" * 100_000)
        root = made = Element("a")
        for _ in range(DEPTH_MAX):
            made = SubElement(made, "a")
        with pytest.raises(BinaryXmlError, match="deep"):
            encode(root, {})

    def test_too_large(self) -> None:
        """More than 16 MiB are not read."""
        with pytest.raises(BinaryXmlError, match="at most"):
            decode(bytes(SIZE_MAX + 1))

    def test_arrays_too_large(self) -> None:
        """A small document can't ask for millions of elements."""
        one = b"\x03\x40\x01b\x01\xb5\x80\x80\x02" + bytes(ARRAY_VALUES_MAX // 2)
        assert len(decode(b"\x40\x01a" + one * 2 + b"\x01")) == ARRAY_VALUES_MAX
        with pytest.raises(BinaryXmlError, match="arrays"):
            decode(b"\x40\x01a" + one * 3 + b"\x01")

    def test_many_small_texts(self) -> None:
        """A text in a million records is put together once."""
        assert len(decode(b"\x40\x01a" + b"\x98\x01x" * 1_000_000 + b"\x01").text or "") == 1_000_000

    @pytest.mark.parametrize("value", ["string", "b:string", "{urn:b}no name", "{urn:b", "{}string"])
    def test_type_that_changes(self, value: str) -> None:
        """A type that would be read as another one is not written."""
        with pytest.raises(BinaryXmlError):
            encode(Element("{urn:b}a", {"xmlns:b": "urn:x", f"{{{XSI}}}type": value}), PREFIXES)

    @pytest.mark.parametrize("tag", ["", "{urn:a}", "a:b", "{urn:a}b:c", "{urn:a", "urn:a}b", "{a{b}c", "a b", "1a"])
    def test_names_that_are_none(self, tag: str) -> None:
        """A tree with a name that is none is not written."""
        with pytest.raises(BinaryXmlError):
            encode(Element(tag), {})

    def test_no_namespace_under_declared_default(self) -> None:
        """An element without a namespace can't declare a default one."""
        with pytest.raises(BinaryXmlError, match="namespace"):
            encode(Element("a", {"xmlns": "urn:a"}), {})


def record_types(data: bytes) -> list[int]:
    """The record types of a plain document, by a reader of its own that knows no others."""
    found, at = [], 0

    def string(at: int) -> int:
        size = shift = 0
        while True:
            size |= (data[at] & 0x7F) << shift
            shift += 7
            at += 1
            if data[at - 1] < 0x80:
                return at + size

    while at < len(data):
        record = data[at]
        found.append(record)
        at += 1
        if record in {0x98, 0x9A, 0x9C}:
            width = {0x98: 1, 0x9A: 2, 0x9C: 4}[record]
            at += width + int.from_bytes(data[at : at + width], "little")
        elif record in {0x04, 0x08, 0x40, 0x05, 0x09, 0x41}:
            at = string(at)
            if record & 1:
                at = string(at)
        elif record != 0x01:
            break
    return found
