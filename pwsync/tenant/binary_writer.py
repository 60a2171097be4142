"""Writer of .NET binary XML: a tree to bytes. See :mod:`pwsync.tenant.binary_xml`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from xml.etree.ElementTree import Element

from pwsync.errors import BinaryXmlError
from pwsync.tenant.binary_reader import DEPTH_MAX, NAME, XSI_TYPE, clark_value
from pwsync.tenant.dictionary import NUMBERS

_XML = "http://www.w3.org/XML/1998/namespace"
_END = b"\x01"
_CACHED_ATTRIBUTES_MAX = 1
_KNOWN_TEXTS = {"": b"\xa8", "true": b"\x86", "false": b"\x84"}


class _Scope:
    """Prefixes declared at one place of the tree, and the start records of elements that were written there."""

    __slots__ = ("declared", "starts")

    def __init__(self, declared: dict[str, str]) -> None:
        self.declared = declared
        self.starts: dict[object, bytes] = {}


def encode(root: Element, prefixes: Mapping[str, str], *, compact: bool = False) -> bytes:
    """The bytes of a tree.

    prefixes: namespace -> prefix; ``""`` makes it the default namespace where it is used. A namespace without one gets
    ``n1``, ``n2``, ... An attribute ``xmlns:p`` (or ``xmlns``) of an element declares a prefix there, so that it need
    not be declared again below; all others are declared where they are first needed.
    compact: use the dictionary, one-letter prefixes and short texts, as clients of the service do. Otherwise only
    Element, Attribute, Xmlns, Chars and EndElement records are written.
    Raises BinaryXmlError for trees that can't be written: too deep, names that are none, a value of ``xsi:type`` that
    would be read as another one.
    """
    out: list[bytes] = []
    _Writer(out, prefixes, compact).element(root, _Scope({"": "", "xml": _XML}), 0)
    return b"".join(out)


def encode_length(value: int) -> bytes:
    """A MultiByteInt31."""
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    made.append(value)
    return bytes(made)


def encode_utf8(text: str) -> bytes:
    """UTF-8, with U+FFFD for a lone surrogate as .NET writes it: a name in a directory may hold one."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode()


def encode_chars(text: str) -> bytes:
    """A Chars record of the shortest kind."""
    raw = encode_utf8(text)
    size = len(raw)
    if size <= 0xFF:
        return b"\x98" + size.to_bytes(1, "little") + raw
    if size <= 0xFFFF:
        return b"\x9a" + size.to_bytes(2, "little") + raw
    return b"\x9c" + size.to_bytes(4, "little") + raw


def _string(text: str) -> bytes:
    raw = encode_utf8(text)
    return encode_length(len(raw)) + raw


def _split(name: object) -> tuple[str, str]:
    """Namespace and local name of a Clark name, by the same rules as the reader's."""
    if not isinstance(name, str):
        raise BinaryXmlError(f"{name!r} is not a name")
    head, brace, local = name.rpartition("}")
    namespace = head[1:]
    if not NAME.fullmatch(local) or (brace and head[:1] != "{") or "{" in namespace or "}" in namespace:
        raise BinaryXmlError(f"{name!r} is not a name")
    return namespace, local


class _Writer:
    def __init__(self, out: list[bytes], prefixes: Mapping[str, str], compact: bool) -> None:
        self.out = out
        self.prefixes = prefixes
        self.compact = compact

    def element(self, element: Element, scope: _Scope, depth: int) -> None:
        if depth >= DEPTH_MAX:
            raise BinaryXmlError(f"elements nested more than {DEPTH_MAX} deep")
        attrib = element.attrib
        key: object = (element.tag, *attrib.items()) if attrib else element.tag
        start = scope.starts.get(key)
        if start is None:
            outer = scope
            start, scope = self.start(element, outer)
            if scope is outer and len(attrib) <= _CACHED_ATTRIBUTES_MAX:
                scope.starts[key] = start
        out = self.out
        out.append(start)
        text = element.text
        if text:
            self.text(text, last=not len(element))
        elif not len(element):
            out.append(_END)
        if len(element):
            for child in element:
                self.element(child, scope, depth + 1)
                if child.tail:
                    self.text(child.tail, last=False)
            out.append(_END)

    def text(self, text: str, *, last: bool) -> None:
        """A text record; with ``last`` the end of its element as well, which compact texts have in their type."""
        out = self.out
        if self.compact:
            record = self.compact_text(text)
            out.append(bytes((record[0] | last,)) + record[1:])
            return
        out.append(encode_chars(text))
        if last:
            out.append(_END)

    def compact_text(self, text: str) -> bytes:
        known = _KNOWN_TEXTS.get(text)
        if known is not None:
            return known
        number = NUMBERS.get(text)
        return encode_chars(text) if number is None else b"\xaa" + encode_length(number)

    def start(self, element: Element, scope: _Scope) -> tuple[bytes, _Scope]:
        """An element's start record with its attributes and declarations, and the scope inside it."""
        here: dict[str, str] = {}
        attributes: list[tuple[str, str]] = []
        for name, value in element.attrib.items():
            if name == "xmlns" or name.startswith("xmlns:"):
                here[name[6:]] = value
            else:
                attributes.append((name, value))
        records = [self.element_record(*self.qualify(element.tag, scope, here, attribute=False))]
        tail, types = [], []
        for name, value in attributes:
            record = self.attribute_record(*self.qualify(name, scope, here, attribute=True))
            written = value
            if name == XSI_TYPE:
                if value.startswith("{"):
                    written = ":".join(filter(None, self.qualify(value, scope, here, attribute=False)))
                types.append((value, written))
            tail.append(record + (self.compact_text(written) if self.compact else encode_chars(written)))
        new = {prefix: uri for prefix, uri in here.items() if scope.declared.get(prefix) != uri}
        records += [self.declaration_record(prefix, uri) for prefix, uri in sorted(new.items())]
        inner = _Scope(scope.declared | new) if new else scope
        for value, written in types:
            if clark_value(written, inner.declared) != value:
                raise BinaryXmlError(f"the type {value!r} would be read as another one here")
        return b"".join(records + tail), inner

    def qualify(self, name: str, scope: _Scope, here: dict[str, str], *, attribute: bool) -> tuple[str, str]:
        """Prefix and local name; a prefix that must be declared on this element is added to ``here``."""
        namespace, local = _split(name)
        if attribute and not namespace:
            return "", local
        for prefix in self.candidates(namespace, scope, here):
            if attribute and not prefix:
                continue
            bound = here.get(prefix)
            if bound is None:
                here[prefix] = namespace
                return prefix, local
            if bound == namespace:
                return prefix, local
        raise BinaryXmlError(f"{name!r} can't be written without a namespace here")

    def candidates(self, namespace: str, scope: _Scope, here: dict[str, str]) -> Iterable[str]:
        """Prefixes to try: the one wished for, those in force, then new ones."""
        if not namespace:
            yield ""
            return
        if namespace == _XML:
            yield "xml"
            return
        wish = self.prefixes.get(namespace)
        if wish is not None:
            yield wish
        for prefix, uri in {**scope.declared, **here}.items():
            if uri == namespace:
                yield prefix
        number = 1
        while True:
            prefix = f"n{number}"
            if prefix not in scope.declared or scope.declared[prefix] == namespace:
                yield prefix
            number += 1

    def element_record(self, prefix: str, name: str) -> bytes:
        return self.record(0x40, 0x44, 0x5E, prefix, name)

    def attribute_record(self, prefix: str, name: str) -> bytes:
        return self.record(0x04, 0x0C, 0x26, prefix, name)

    def record(self, plain: int, with_dictionary: int, with_letter: int, prefix: str, name: str) -> bytes:
        """A name's record; the three numbers are the first types of the plain, dictionary and letter families."""
        number = NUMBERS.get(name) if self.compact else None
        coded = _string(name) if number is None else encode_length(number)
        if self.compact and len(prefix) == 1 and "a" <= prefix <= "z":
            family = with_letter if number is None else with_dictionary
            return bytes((family + ord(prefix) - ord("a"),)) + coded
        kind = plain + (2 if number is not None else 0) + (1 if prefix else 0)
        return bytes((kind,)) + (_string(prefix) if prefix else b"") + coded

    def declaration_record(self, prefix: str, namespace: str) -> bytes:
        number = NUMBERS.get(namespace) if self.compact else None
        kind = 0x08 + (2 if number is not None else 0) + (1 if prefix else 0)
        coded = _string(namespace) if number is None else encode_length(number)
        return bytes((kind,)) + (_string(prefix) if prefix else b"") + coded
