"""Reader of .NET binary XML: bytes to a tree. See :mod:`pwsync.tenant.binary_xml`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Protocol
from xml.etree.ElementTree import Element, SubElement

from pwsync.errors import BinaryXmlError
from pwsync.tenant.binary_text import ARRAY_TYPES, GARBLED, TEXTS, read_dictionary, read_length, take

SIZE_MAX: Final = 16 << 20
DEPTH_MAX: Final = 100
ARRAY_VALUES_MAX: Final = 1 << 16

XSI_TYPE: Final = "{http://www.w3.org/2001/XMLSchema-instance}type"

_END, _COMMENT, _ARRAY = 0x01, 0x02, 0x03
_ATTRIBUTE_FIRST, _ATTRIBUTE_LAST = 0x04, 0x3F
_ELEMENT_FIRST, _ELEMENT_LAST = 0x40, 0x77
_PREFIX_DICTIONARY_ELEMENT, _PREFIX_ELEMENT = 0x44, 0x5E
_PREFIX_DICTIONARY_ATTRIBUTE, _PREFIX_ATTRIBUTE = 0x0C, 0x26
_SHORT_XMLNS, _XMLNS, _SHORT_DICTIONARY_XMLNS, _DICTIONARY_XMLNS = 0x08, 0x09, 0x0A, 0x0B
_TEXT_FIRST, _CHARS_8 = 0x80, 0x98
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
NAME: Final = re.compile(r"[^\W\d][\w.\-]*")


class _Names(dict[bytes, str]):
    """Clark names of one namespace by the bytes of the local name, each checked and put together once."""

    def __init__(self, namespace: str) -> None:
        super().__init__()
        self.namespace = namespace

    def __missing__(self, raw: bytes) -> str:
        name = raw.decode()
        if not NAME.fullmatch(name):
            raise BinaryXmlError(f"{name[:40]!r} is not a name")
        made = self[raw] = f"{{{self.namespace}}}{name}" if self.namespace else name
        return made


_Scope = dict[str, _Names]


class Cutter(Protocol):
    """Reads the usual items of a batch itself, straight from the bytes.

    holder: Clark name of the element that holds the items. take: is called at the holder's content with the document,
    the offset and the prefixes declared there; it keeps what it takes and returns the offset where reading goes on.
    """

    holder: str

    def take(self, data: bytes, at: int, declared: Mapping[str, str]) -> int: ...


def decode(data: bytes, cutter: Cutter | None = None) -> Element:
    """The tree in a document, without what ``cutter`` took from it.

    Raises BinaryXmlError, and nothing else, for bytes that are no document.
    """
    if len(data) > SIZE_MAX:
        raise BinaryXmlError(f"a document of {len(data)} bytes; at most {SIZE_MAX} are read")
    reader = _Reader(data, cutter)
    try:
        return reader.document()
    except GARBLED as error:
        raise BinaryXmlError("the document is cut off or garbled", reader.at) from error
    except BinaryXmlError as error:
        if not error.offset:
            raise BinaryXmlError(str(error).removesuffix(" (at byte 0)"), reader.at) from error
        raise


class _Reader:
    """One pass over one document; ``at`` is the offset of the record being read."""

    def __init__(self, data: bytes, cutter: Cutter | None) -> None:
        self.data = data
        self.cutter = cutter
        self.at = 0
        self.array_values = 0
        self.namespaces: dict[str, _Names] = {}
        # The last attributes read, as bytes, for the scope they were read in: in a batch they repeat (i:nil="true").
        self.attribute_bytes = b"\0"
        self.attributes: dict[str, str] = {}
        self.attribute_scope: _Scope | None = None

    def names(self, namespace: str) -> _Names:
        found = self.namespaces.get(namespace)
        if found is None:
            found = self.namespaces[namespace] = _Names(namespace)
        return found

    def document(self) -> Element:
        """Read everything; a holder element stands above the root so that the loop needs no special case."""
        data, size, cutter = self.data, len(self.data), self.cutter
        current = holder = Element("document")
        scope: _Scope = {"": self.names(""), "xml": self.names("http://www.w3.org/XML/1998/namespace")}
        stack: list[tuple[Element, _Scope]] = []
        texts: list[str] = []
        at = 0
        while at < size:
            self.at = at
            record = data[at]
            at += 1
            if record >= _TEXT_FIRST:
                if record & 0xFE == _CHARS_8:
                    end = at + 1 + data[at]
                    if end > size:
                        raise BinaryXmlError("a text is cut off", at)
                    texts.append(data[at + 1 : end].decode())
                    at = end
                else:
                    text, at = self.text(record, at)
                    texts.append(text)
                if not stack:
                    raise BinaryXmlError("text outside of the root element", self.at)
                if not record & 1:
                    continue
            elif record >= _ELEMENT_FIRST:
                if texts:
                    _put_text(current, texts)
                stack.append((current, scope))
                if len(stack) > DEPTH_MAX:
                    raise BinaryXmlError(f"elements nested more than {DEPTH_MAX} deep", self.at)
                current, scope, at = self.element(record, at, current, scope)
                if cutter is not None and current.tag == cutter.holder:
                    at = cutter.take(data, at, {prefix: names.namespace for prefix, names in scope.items()})
                continue
            elif record == _COMMENT:
                length, at = read_length(data, at)
                at += len(take(data, at, length))
                continue
            elif record == _ARRAY:
                if texts:
                    _put_text(current, texts)
                at = self.array(at, current, scope, len(stack))
                continue
            elif record != _END:
                raise BinaryXmlError(f"record 0x{record:02x} can't stand here", self.at)
            if not stack:
                raise BinaryXmlError("an end without an element", self.at)
            if texts:
                _put_text(current, texts)
            current, scope = stack.pop()
        if stack or len(holder) != 1:
            raise BinaryXmlError("the document ends within an element" if stack else "not one root element", size)
        return holder[0]

    def text(self, record: int, at: int) -> tuple[str, int]:
        decoder = TEXTS.get(record & 0xFE)
        if decoder is None:
            raise BinaryXmlError(f"there is no text record 0x{record:02x}", at - 1)
        return decoder(self.data, at)

    def string(self, at: int) -> tuple[bytes, int]:
        """A String: its bytes, which :class:`_Names` or the caller decodes."""
        length = self.data[at]
        if length < 0x80:
            at += 1
        else:
            length, at = read_length(self.data, at)
        end = at + length
        if end > len(self.data):
            raise BinaryXmlError("a string is cut off", at)
        return self.data[at:end], end

    def element(self, record: int, at: int, parent: Element, scope: _Scope) -> tuple[Element, _Scope, int]:
        """An element's start: name, attributes and namespace declarations. Returns it with its scope and the offset."""
        if record > _ELEMENT_LAST:
            raise BinaryXmlError(f"record 0x{record:02x} can't stand here", at - 1)
        prefix = ""
        if record >= _PREFIX_ELEMENT:
            prefix = _LETTERS[record - _PREFIX_ELEMENT]
            name, at = self.string(at)
        elif record >= _PREFIX_DICTIONARY_ELEMENT:
            prefix = _LETTERS[record - _PREFIX_DICTIONARY_ELEMENT]
            name, at = self.dictionary_name(at)
        else:
            prefix, name, at = self.name(record - _ELEMENT_FIRST, at)
        if _ATTRIBUTE_FIRST <= self.data[at] <= _ATTRIBUTE_LAST:
            attributes, scope, at = self.known_attributes(at, scope)
            return SubElement(parent, self.resolve(prefix, name, scope), attributes), scope, at
        return SubElement(parent, self.resolve(prefix, name, scope)), scope, at

    def resolve(self, prefix: str, name: bytes, scope: _Scope) -> str:
        names = scope.get(prefix)
        if names is None:
            raise BinaryXmlError(f"the prefix {prefix[:40]!r} is not declared", self.at)
        return names[name]

    def dictionary_name(self, at: int) -> tuple[bytes, int]:
        text, at = read_dictionary(self.data, at)
        return text.encode(), at

    def name(self, kind: int, at: int) -> tuple[str, bytes, int]:
        """A name by the kind of its record: 0 short, 1 with prefix, 2 from the dictionary, 3 that with prefix."""
        prefix = ""
        if kind & 1:
            raw, at = self.string(at)
            prefix = raw.decode()
        name, at = self.dictionary_name(at) if kind & 2 else self.string(at)
        return prefix, name, at

    def known_attributes(self, at: int, scope: _Scope) -> tuple[dict[str, str], _Scope, int]:
        """Attributes at ``at``; the same bytes in the same scope as last time mean the same attributes."""
        if scope is self.attribute_scope and self.data.startswith(self.attribute_bytes, at):
            end = at + len(self.attribute_bytes)
            if not _ATTRIBUTE_FIRST <= self.data[end] <= _ATTRIBUTE_LAST:
                return self.attributes, scope, end
        attributes, inner, end = self.read_attributes(at, scope)
        if inner is scope:
            self.attributes, self.attribute_scope, self.attribute_bytes = attributes, scope, self.data[at:end]
        return attributes, inner, end

    def read_attributes(self, at: int, scope: _Scope) -> tuple[dict[str, str], _Scope, int]:
        outer, read = scope, []
        while _ATTRIBUTE_FIRST <= (record := self.data[at]) <= _ATTRIBUTE_LAST:
            at += 1
            if _SHORT_XMLNS <= record <= _DICTIONARY_XMLNS:
                prefix, namespace, at = self.declaration(record, at)
                if scope is outer:
                    scope = dict(outer)
                scope[prefix] = self.names(namespace)
                continue
            if record >= _PREFIX_ATTRIBUTE:
                prefix = _LETTERS[record - _PREFIX_ATTRIBUTE]
                name, at = self.string(at)
            elif record >= _PREFIX_DICTIONARY_ATTRIBUTE:
                prefix = _LETTERS[record - _PREFIX_DICTIONARY_ATTRIBUTE]
                name, at = self.dictionary_name(at)
            else:
                prefix, name, at = self.name(record - _ATTRIBUTE_FIRST, at)
            value, at = self.attribute_value(at)
            read.append((prefix, name, value))
        return self.resolve_attributes(read, scope), scope, at

    def attribute_value(self, at: int) -> tuple[str, int]:
        record = self.data[at]
        if record < _TEXT_FIRST or record & 1:
            raise BinaryXmlError(f"record 0x{record:02x} is no attribute's value", at)
        return self.text(record, at + 1)

    def resolve_attributes(self, read: list[tuple[str, bytes, str]], scope: _Scope) -> dict[str, str]:
        attributes: dict[str, str] = {}
        for prefix, name, value in read:
            key = self.resolve(prefix, name, scope) if prefix else self.names("")[name]
            if key in attributes:
                raise BinaryXmlError(f"the attribute {key} stands there twice", self.at)
            attributes[key] = (
                clark_value(value, {prefix: names.namespace for prefix, names in scope.items()})
                if key == XSI_TYPE
                else value
            )
        return attributes

    def declaration(self, record: int, at: int) -> tuple[str, str, int]:
        prefix = ""
        if record in (_XMLNS, _DICTIONARY_XMLNS):
            raw, at = self.string(at)
            prefix = raw.decode()
        if record in (_SHORT_DICTIONARY_XMLNS, _DICTIONARY_XMLNS):
            namespace, at = read_dictionary(self.data, at)
        else:
            raw, at = self.string(at)
            namespace = raw.decode()
        if "{" in namespace or "}" in namespace:
            raise BinaryXmlError(f"{namespace[:40]!r} is not a namespace", at)
        return prefix, namespace, at

    def array(self, at: int, parent: Element, scope: _Scope, depth: int) -> int:
        """An array: one element said once, and the values of many of them."""
        record = self.data[at]
        if not _ELEMENT_FIRST <= record <= _ELEMENT_LAST or not depth:
            raise BinaryXmlError("an array without an element", at)
        pattern, _, at = self.element(record, at + 1, Element("holder"), scope)
        if self.data[at] != _END:
            raise BinaryXmlError("an array's element has content", at)
        kind = self.data[at + 1] & 0xFE
        if kind not in ARRAY_TYPES or not self.data[at + 1] & 1:
            raise BinaryXmlError(f"an array of records 0x{self.data[at + 1]:02x}", at + 1)
        count, at = read_length(self.data, at + 2)
        self.array_values += count
        if self.array_values > ARRAY_VALUES_MAX:
            raise BinaryXmlError(f"arrays of more than {ARRAY_VALUES_MAX} values", at)
        for _ in range(count):
            item = SubElement(parent, pattern.tag, pattern.attrib)
            item.text, at = TEXTS[kind](self.data, at)
        return at


def _put_text(current: Element, texts: list[str]) -> None:
    """What was read since the last element belongs to it as its text, or behind its last child."""
    text = texts[0] if len(texts) == 1 else "".join(texts)
    texts.clear()
    if len(current):
        current[-1].tail = text
    else:
        current.text = text


def clark_value(value: str, declared: Mapping[str, str]) -> str:
    """``p:name`` as ``{namespace}name``: the tree keeps no prefixes, so a type's name must not need one.

    A name without prefix is in the default namespace. A value that is no name with a declared prefix stays as it is.
    """
    prefix, _, name = value.rpartition(":")
    namespace = declared.get(prefix) if NAME.fullmatch(name) else None
    return f"{{{namespace}}}{name}" if namespace else value
