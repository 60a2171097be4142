"""Binary XML, document by document: what each reads as, or the words and the place of its refusal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, tostring

import pytest

from pwsync.errors import BinaryXmlError
from pwsync.tenant.binary_reader import ARRAY_VALUES_MAX, DEPTH_MAX, SIZE_MAX, clark_value
from pwsync.tenant.binary_writer import encode_chars, encode_length, encode_utf8
from pwsync.tenant.binary_xml import decode, encode
from pwsync.tenant.messages import XSI

VECTORS = Path(__file__).parent / "vectors"
TYPE = f"{{{XSI}}}type"


def outcome(document: bytes) -> str:
    try:
        return tostring(decode(document), "unicode")
    except BinaryXmlError as error:
        return f"refused: {error}"


def test_documents(update: bool) -> None:
    """Each document of the golden file is read, or refused, just so."""
    path = VECTORS / "documents.txt"
    texts = [line.partition(" -> ")[0] for line in path.read_text("utf-8").splitlines()]
    found = "".join(f"{text} -> {outcome(bytes.fromhex(text))}\n" for text in texts)
    if update:
        path.write_text(found, "utf-8")
    assert path.read_text("utf-8") == found


def tree(tag: str, attributes: dict[str, str] | None = None, *children: Element, text: str | None = None) -> Element:
    made = Element(tag, attributes or {})
    made.extend(children)
    made.text = text
    return made


PREFIXES = {"urn:a": "a", "urn:b": "", "urn:c": "a", "urn:long": "long", XSI: "i"}
TREES: dict[str, Callable[[], Element]] = {
    "plain": lambda: tree("a"),
    "text": lambda: tree("Envelope", text="true"),
    "dictionary": lambda: tree("{http://www.w3.org/2003/05/soap-envelope}Envelope", text="Body"),
    "attributes": lambda: tree("{urn:a}x", {"y": "1", "{urn:a}z": "", "{urn:b}w": "false", "{urn:q}v": "type"}),
    "default": lambda: tree("{urn:b}x", {}, tree("{urn:b}y"), tree("{urn:b}z", {"{urn:b}w": "v"}), tree("q")),
    "long prefix": lambda: tree("{urn:long}x", {"{urn:long}Action": "v"}, tree("{urn:long}Action")),
    "two of one prefix": lambda: tree("{urn:a}x", {"{urn:c}y": "v"}, tree("{urn:c}z", {"{urn:a}y": "v"})),
    "declared": lambda: tree("{urn:q}x", {"xmlns:k": "urn:q", "xmlns": "urn:r"}, tree("{urn:r}y", {"{urn:q}z": "v"})),
    "undeclared": lambda: tree("{urn:q}x", {"{urn:r}y": "v"}, tree("{urn:s}z", {"{urn:r}y": "v"}), tree("{urn:t}z")),
    "numbered": lambda: tree("{urn:q}x", {"xmlns:n1": "urn:r"}, tree("{urn:s}y"), tree("{urn:r}y")),
    "xml": lambda: tree("x", {"{http://www.w3.org/XML/1998/namespace}lang": "en"}),
    "types": lambda: tree(
        "{urn:a}x", {TYPE: "{urn:a}t"}, tree("y", {TYPE: "{urn:q}t"}), tree("{urn:b}y", {TYPE: "{urn:b}t"}),
        tree("y", {TYPE: "plain"}), tree("y", {TYPE: "p:t"}),
    ),
    "repeated": lambda: tree("x", {}, *(tree("{urn:a}y", {"k": "v"}) for _ in range(3))),
    "repeated with two": lambda: tree(
        "x", {"xmlns:a": "urn:a"}, *(tree("{urn:a}y", {"k": "v", "l": "w"}) for _ in "ab")
    ),
    "mixed": lambda: tree("x", {}, *tailed("two", "", "true"), text="one"),
}  # fmt: skip


def tailed(*texts: str) -> list[Element]:
    made = [tree("y") for _ in texts]
    for each, text in zip(made, texts, strict=True):
        each.tail = text
    return made


def test_trees(update: bool) -> None:
    """Each tree is written in these bytes, plain and compact, with wished prefixes and without."""
    lines = []
    for name, make in TREES.items():
        for compact in (False, True):
            for prefixes in (PREFIXES, {}):
                data = encode(make(), prefixes, compact=compact)
                kind = ("compact" if compact else "plain") + ("" if prefixes else ", no prefixes")
                lines.append(f"{name} ({kind}): {data.hex(' ')}\n")
    path, found = VECTORS / "trees.txt", "".join(lines)
    if update:
        path.write_text(found, "utf-8")
    assert path.read_text("utf-8") == found


@pytest.mark.parametrize(
    ("root", "text"),
    [
        (tree("1a"), "'1a' is not a name"),
        (tree("{urn:a"), "'{urn:a' is not a name"),
        (tree("urn:a}b"), "'urn:a}b' is not a name"),
        (tree("{a{b}c"), "'{a{b}c' is not a name"),
        (tree("{a}b}c"), "'{a}b}c' is not a name"),
        (Element(5), "5 is not a name"),  # type: ignore[type-var]
        (tree("a", {"xmlns": "urn:a"}), "'a' can't be written without a namespace here"),
        (tree("{urn:b}a", {"xmlns:b": "urn:x", TYPE: "b:t"}), "the type 'b:t' would be read as another one here"),
        (tree("{urn:b}a", {TYPE: "t"}), "the type 't' would be read as another one here"),
    ],
)
def test_unwritable(root: Element, text: str) -> None:
    """A tree that can't be written is refused in these words."""
    with pytest.raises(BinaryXmlError) as caught:
        encode(root, PREFIXES)
    assert str(caught.value) == f"{text} (at byte 0)"


def test_limits() -> None:
    """The largest document, the deepest tree and the longest arrays, and one more of each."""
    nested = b"\x40\x01a" * DEPTH_MAX + b"\x01" * DEPTH_MAX
    assert encode(decode(nested), {}) == nested
    root = inner = Element("a")
    for _ in range(DEPTH_MAX):
        inner = SubElement(inner, "a")
    with pytest.raises(BinaryXmlError) as caught:
        encode(root, {})
    assert str(caught.value) == "elements nested more than 100 deep (at byte 0)"
    assert outcome(b"\x40\x01a" * 101) == "refused: elements nested more than 100 deep (at byte 300)"
    assert outcome(b"\0" * SIZE_MAX) == "refused: record 0x00 can't stand here (at byte 0)"
    assert outcome(b"\0" * (SIZE_MAX + 1)) == (
        "refused: a document of 16777217 bytes; at most 16777216 are read (at byte 0)"
    )
    array = b"\x03\x40\x01b\x01\xb5" + encode_length(ARRAY_VALUES_MAX) + bytes(ARRAY_VALUES_MAX)
    assert len(decode(b"\x40\x01a" + array + b"\x01")) == ARRAY_VALUES_MAX
    more = b"\x03\x40\x01b\x01\xb5" + encode_length(ARRAY_VALUES_MAX + 1)
    assert outcome(b"\x40\x01a" + more) == "refused: arrays of more than 65536 values (at byte 12)"


def test_lengths() -> None:
    """Lengths have as many bytes as they need; texts the shortest record."""
    assert [encode_length(value).hex() for value in (0, 127, 128, 16383, 16384, 2**31 - 1)] == [
        "00", "7f", "8001", "ff7f", "808001", "ffffffff07",
    ]  # fmt: skip
    heads = {0: "9800", 255: "98ff", 256: "9a0001", 65535: "9affff", 65536: "9c00000100"}
    for size, head in heads.items():
        assert encode_chars("x" * size) == bytes.fromhex(head) + b"x" * size
    assert encode_utf8("ü\ud800\ud83d\ude00") == "ü\ufffd😀".encode()


@pytest.mark.parametrize(
    ("value", "found"),
    [("p:t", "{urn:p}t"), ("t", "{urn:d}t"), (":t", "{urn:d}t"), ("q:t", "q:t"), ("p:1", "p:1"), ("p:", "p:"),
     ("p:q:t", "p:q:t"), ("", "")],
)  # fmt: skip
def test_clark_value(value: str, found: str) -> None:
    """A type's name loses its prefix where that is declared, and stays as it is elsewhere."""
    assert clark_value(value, {"p": "urn:p", "": "urn:d"}) == found
    assert clark_value(value, {}) == value
