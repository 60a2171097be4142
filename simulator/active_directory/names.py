"""Names of the directory: distinguished names (RFC 4514), SIDs and GUIDs as text and bytes."""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from uuid import UUID

_ESCAPED = re.compile(r'[,+"\\<>;=\x00\n\r]')
_PLAIN = re.compile(r"[A-Za-z0-9._-][A-Za-z0-9._ -]*\Z")
_NUMBER = re.compile(r"[0-9]{1,15}\Z")
_TYPE = re.compile(r"(?:[A-Za-z][A-Za-z0-9-]*|\d+(?:\.\d+)*)\Z")


class InvalidName(ValueError):
    """A text is not a distinguished name, a SID or a GUID."""


def escape(value: str) -> str:
    """A value as it stands in a DN: ``Smith, John`` becomes ``Smith\\, John``, a line feed ``\\0A``."""
    if _PLAIN.match(value) and value[-1] != " ":
        return value
    text = _ESCAPED.sub(lambda hit: f"\\{ord(hit[0]):02X}" if hit[0] in "\x00\n\r" else "\\" + hit[0], value)
    if text.startswith(("#", " ")):
        text = "\\" + text
    if text.endswith(" ") and not text.endswith("\\ "):
        text = text[:-1] + "\\ "
    return text


def rdn_key(kind: str, value: str) -> str:
    """What makes two relative names the same: type and value without case."""
    return f"{kind.lower()}={value.casefold()}"


def parse_dn(text: str) -> list[tuple[str, str]]:
    """``CN=a,DC=b`` -> [("CN", "a"), ("DC", "b")]; the empty text is the root, []. Raises InvalidName.

    Multi-valued relative names (``CN=a+SN=b``) are not allowed in AD ([MS-ADTS] 3.1.1.3.1.2).
    """
    if not text.strip():
        return []
    return [_parse_rdn(part, text) for part in _split(text)]


def _split(text: str) -> list[str]:
    if "\\" not in text and '"' not in text:
        return text.replace(";", ",").split(",")
    parts, begin, position, quoted = [], 0, 0, False
    while position < len(text):
        letter = text[position]
        if letter == "\\":
            position += 1
        elif letter == '"':
            quoted = not quoted
        elif letter in ",;" and not quoted:
            parts.append(text[begin:position])
            begin = position + 1
        position += 1
    if quoted:
        raise InvalidName(f"a quotation mark is missing in {text!r}")
    parts.append(text[begin:])
    return parts


def _parse_rdn(part: str, whole: str) -> tuple[str, str]:
    kind, sign, value = part.partition("=")
    kind, value = kind.strip(), value.lstrip(" ")
    if not sign or not _TYPE.match(kind):
        raise InvalidName(f"{part!r} in {whole!r} is not a relative distinguished name")
    value = _unescape(value, whole)
    if not value:
        raise InvalidName(f"an empty name in {whole!r}")
    return kind, value


def _unescape(text: str, whole: str) -> str:
    if "\\" not in text and '"' not in text:
        if "+" in text and "=" in text:
            raise InvalidName(f"multi-valued relative names are not supported: {whole!r}")
        return text.rstrip(" ")
    if len(text) >= 2 and text[0] == text[-1] == '"':
        text = text[1:-1]
    octets, position, kept = bytearray(), 0, 0
    while position < len(text):
        if text[position] != "\\":
            octets += text[position].encode("utf-8", "surrogatepass")
            position += 1
            continue
        pair = text[position + 1 : position + 3]
        if re.fullmatch("[0-9A-Fa-f]{2}", pair):
            octets.append(int(pair, 16))
            position += 3
        elif pair:
            octets += pair[0].encode("utf-8", "surrogatepass")
            position += 2
        else:
            raise InvalidName(f"a backslash ends {whole!r}")
        kept = len(octets)
    while len(octets) > kept and octets.endswith(b" "):
        octets.pop()
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidName(f"{whole!r} holds bytes that are not UTF-8") from None


def join_dn(parts: Sequence[tuple[str, str]]) -> str:
    """The reverse of :func:`parse_dn`."""
    return ",".join(f"{kind}={escape(value)}" for kind, value in parts)


def domain_dn(domain: str) -> str:
    """``contoso.example`` -> ``DC=contoso,DC=example``."""
    return ",".join(f"DC={escape(label)}" for label in domain.split("."))


def sid_bytes(text: str) -> bytes:
    """``S-1-5-21-..`` as the binary SID of [MS-DTYP] 2.4.2.2. Raises InvalidName."""
    parts = text.split("-")
    if len(parts) < 3 or parts[0].upper() != "S" or not all(_NUMBER.match(part) for part in parts[1:]):
        raise InvalidName(f"{text!r} is not a SID")
    revision, authority, *rest = (int(part) for part in parts[1:])
    if revision != 1 or authority >= 1 << 48 or len(rest) > 15 or any(part >= 1 << 32 for part in rest):
        raise InvalidName(f"{text!r} is not a SID")
    head = bytes((revision, len(rest))) + authority.to_bytes(6, "big")
    return head + b"".join(part.to_bytes(4, "little") for part in rest)


def sid_text(sid: bytes) -> str:
    """The reverse of :func:`sid_bytes`. Raises InvalidName."""
    if len(sid) < 8 or sid[0] != 1 or len(sid) != 8 + 4 * sid[1]:
        raise InvalidName("these bytes are not a SID")
    rest = struct.unpack_from(f"<{sid[1]}I", sid, 8)
    return "-".join(["S", "1", str(int.from_bytes(sid[2:8], "big")), *map(str, rest)])


def guid_text(guid: bytes) -> str:
    """An objectGUID (little-endian bytes) as ``xxxxxxxx-xxxx-...``."""
    text = (guid[3::-1] + guid[5:3:-1] + guid[7:5:-1] + guid[8:]).hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def guid_bytes(text: str) -> bytes:
    """A GUID as text, dashed or as 32 hex digits of its bytes, as objectGUID's bytes. Raises InvalidName.

    The dashed form is the usual one; the bare hex form is the byte order of the attribute ([MS-ADTS] 3.1.1.3.1.2.4).
    """
    bare = text.strip().strip("{}")
    try:
        return UUID(bare).bytes_le if "-" in bare else _sixteen(bytes.fromhex(bare))
    except ValueError:
        raise InvalidName(f"{text!r} is not a GUID") from None


def _sixteen(octets: bytes) -> bytes:
    if len(octets) != 16:
        raise ValueError
    return octets
