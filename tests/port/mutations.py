"""LDAP messages that a fuzzer sends: valid ones, and what becomes of them when their structure or octets are bent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from port.lab import ALICE, PEOPLE, PRESENT, ROOT, bind, equals, extended, request, root, search

from simulator.active_directory.conversation import START_TLS
from simulator.active_directory.encoding import ENUMERATED, OCTETS, SEQUENCE, SET, integer, message, text, tlv

DEEP = 10_000
TAGS = (*range(0x40), *range(0x60, 0x7A), 0x42, 0x4A, 0x50, *range(0x80, 0x8C), *range(0xA0, 0xAC), 0xFF)
NUMBERS = (0, 1, -1, 127, 128, 255, 256, 2**31 - 1, 2**31, -(2**31), 2**63, 2**64, -(2**64), 10**40)
WORDS = (
    b"", b"\0", b"cn", b"objectClass", b"member", b"*", b"1.1", b"+", b"<GUID=>", b"<SID=S-1-5>", b"=,=", b"\\",
    b"\xff\xfe", b"\xed\xa0\x80", b"unicodePwd", b"objectGUID", b"objectSid", b"pwdLastSet", b"memberOf", b"anr",
    b"userAccountControl", b"nTSecurityDescriptor", b"dn", ROOT.encode(), ALICE.encode(), b"x" * 300,
    "ﬀİ\u0345".encode(), b"%s%n" * 8, b"20170113090000.0Z", b"99999999999999999999", b"-9223372036854775809",
    b"CN=" * 200, b"cn;range=0-*", b"member;range=9-1", b"1.2.840.113556.1.4.803", b"1.2.840.113556.1.4.1941",
    b"1.2.840.113556.1.4.319", b"1.2.840.113556.1.4.841",
)  # fmt: skip


@dataclass
class Node:
    """A BER element. parts: what a constructed one holds. lie: the length that it claims instead of its own."""

    tag: int
    content: bytes = b""
    parts: list[Node] | None = None
    lie: bytes | None = field(default=None)

    def encode(self) -> bytes:
        """Its octets, lies included."""
        content = self.content if self.parts is None else b"".join([part.encode() for part in self.parts])
        if self.lie is not None:
            return bytes((self.tag,)) + self.lie + content
        return tlv(self.tag, content)

    def copy(self) -> Node:
        parts = None if self.parts is None else [part.copy() for part in self.parts]
        return Node(self.tag, self.content, parts, self.lie)

    def all(self) -> list[Node]:
        """It and everything below."""
        found, waiting = [], [self]
        while waiting:
            node = waiting.pop()
            found.append(node)
            waiting += node.parts or ()
        return found


def parse(octets: bytes) -> Node:
    """Valid octets as a tree."""
    return _nodes(octets)[0]


def _nodes(octets: bytes) -> list[Node]:
    found, position = [], 0
    while position < len(octets):
        tag, size, start = octets[position], octets[position + 1], position + 2
        if size >= 0x80:
            start += size & 0x7F
            size = int.from_bytes(octets[position + 2 : start], "big")
        content = octets[start : start + size]
        found.append(Node(tag, b"", _nodes(content)) if tag & 0x20 else Node(tag, content))
        position = start + size
    return found


# --- valid messages -----------------------------------------------------------------------------------------------


def _paged(size: int, cookie: bytes = b"") -> tuple[str, bool, bytes]:
    return "1.2.840.113556.1.4.319", True, tlv(SEQUENCE, integer(size) + tlv(OCTETS, cookie))


def _dirsync(flags: int = 0, octets: bytes = b"") -> tuple[str, bool, bytes]:
    return "1.2.840.113556.1.4.841", True, tlv(SEQUENCE, integer(flags) + integer(0) + tlv(OCTETS, octets))


def _change(operation: int, name: str, *values: bytes) -> bytes:
    vals = tlv(SET, b"".join(tlv(OCTETS, value) for value in values))
    return tlv(SEQUENCE, integer(operation, ENUMERATED) + tlv(SEQUENCE, text(name) + vals))


def _attribute(name: str, *values: bytes) -> bytes:
    return tlv(SEQUENCE, text(name) + tlv(SET, b"".join(tlv(OCTETS, value) for value in values)))


def _substring(name: str, *pieces: tuple[int, bytes]) -> bytes:
    return tlv(0xA4, text(name) + tlv(SEQUENCE, b"".join(tlv(tag, value) for tag, value in pieces)))


def _rule(rule: str, name: str, value: bytes) -> bytes:
    return tlv(0xA9, tlv(0x81, rule.encode()) + tlv(0x82, name.encode()) + tlv(0x83, value) + tlv(0x84, b"\xff"))


def seeds() -> list[bytes]:
    """Valid requests of every kind. None of them harms the account that a control client uses."""
    alice = equals("sAMAccountName", b"alice")
    mixed = tlv(0xA0, alice + tlv(0xA2, equals("cn", b"x")) + tlv(0xA1, PRESENT + equals("objectGUID", bytes(16))))
    password = '"Spring-2017!"'.encode("utf-16-le")
    return [
        bind(2, ALICE, "Winter-2016!"),
        bind(2, "alice@contoso.example", "wrong"),
        bind(2, "", ""),
        request(2, 0x60, integer(3), text(""), tlv(0xA3, text("GSS-SPNEGO") + tlv(OCTETS, b"\x60\x01"))),
        root(2, "*", "+"),
        search(2, alice, attributes=("*",)),
        search(2, mixed, attributes=("cn", "memberOf", "objectGUID")),
        search(2, _substring("cn", (0x80, b"a"), (0x81, b"l"), (0x82, b"e"))),
        search(2, _rule("1.2.840.113556.1.4.803", "userAccountControl", b"512"), size=2),
        search(2, _rule("1.2.840.113556.1.4.1941", "memberOf", f"CN=Domain Admins,CN=Users,{ROOT}".encode())),
        search(2, tlv(0xA5, text("uSNChanged") + text("1"))),
        search(2, tlv(0xA6, text("whenCreated") + text("20170113090000.0Z"))),
        search(2, tlv(0xA8, text("anr") + text("ali"))),
        search(2, base=ROOT, controls=[_paged(3)], seconds=5),
        search(2, base=ROOT, controls=[_dirsync()], attributes=()),
        search(2, base=ROOT, controls=[_dirsync(), ("1.2.840.113556.1.4.529", False, tlv(SEQUENCE, integer(1)))]),
        search(2, controls=[("1.2.840.113556.1.4.417", True, b"")], types_only=True),
        search(2, base=f"<GUID={bytes(16).hex()}>", scope=0),
        search(2, base=f"CN=Schema,CN=Configuration,{ROOT}", scope=1),
        request(2, 0x6E, text(ALICE), tlv(SEQUENCE, text("displayName") + text("alice"))),
        request(2, 0x66, text(ALICE), tlv(SEQUENCE, _change(2, "displayName", b"New", b"er"))),
        request(
            2, 0x66, text(ALICE), tlv(SEQUENCE, _change(2, "unicodePwd", password) + _change(2, "pwdLastSet", b"0"))
        ),
        request(2, 0x66, text(ALICE), tlv(SEQUENCE, _change(1, "description") + _change(0, "description", b"x"))),
        request(
            2, 0x68, text(f"CN=fuzz,{PEOPLE}"),
            tlv(SEQUENCE, _attribute("objectClass", b"top", b"user") + _attribute("sAMAccountName", b"fuzz")),
        ),
        request(
            2, 0x68, text(f"CN=crowd,{PEOPLE}"),
            tlv(SEQUENCE, _attribute("objectClass", b"group") + _attribute("member", ALICE.encode())),
        ),
        request(2, 0x6C, text(f"CN=fuzz,{PEOPLE}"), text("CN=buzz"), tlv(1, b"\xff"), tlv(0x80, ROOT.encode())),
        message(2, tlv(0x4A, f"CN=crowd,{PEOPLE}".encode())),
        message(2, tlv(0x4A, f"CN=fuzz,{PEOPLE}".encode()), [("1.2.840.113556.1.4.805", True, b"")]),
        message(2, tlv(0x50, b"\x01")),
        extended(2, "1.3.6.1.4.1.4203.1.11.3"),
        extended(2, "1.3.6.1.4.1.4203.1.11.1", tlv(SEQUENCE, tlv(0x82, b"Spring-2017!"))),
        extended(2, START_TLS),
        message(2, tlv(0x42, b"")),
    ]  # fmt: skip


# --- bending ------------------------------------------------------------------------------------------------------


class Mutator:
    """Draws messages. The same seed gives the same ones in the same order."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.trees = [parse(octets) for octets in seeds()]
        self._tree_ways: list[Callable[[list[Node]], None]] = [
            # What leaves a message decodable comes more often: behind the decoder lies more to be hit.
            *[self._reword] * 8, *[self._renumber] * 4, *[self._splice_alike] * 4, self._double, self._drop,
            self._retag, self._shuffle, self._splice, self._lie, self._wrap, self._flip_construction,
        ]  # fmt: skip
        self._octet_ways: list[Callable[[bytearray], None]] = [
            self._flip_bits, self._cut, self._insert, self._overwrite, self._repeat,
        ]  # fmt: skip

    def message(self) -> bytes:
        """The next message: mostly a valid one with a few things bent, now and then a monster."""
        draw = self.random.random()
        if draw < 0.02:
            return self.random.randbytes(self.random.randrange(1, 200))
        if draw < 0.025:
            return self.monster()
        tree = self.random.choice(self.trees).copy()
        if draw < 0.95:
            for _ in range(self.random.choice((1, 1, 1, 2, 3))):
                self.random.choice(self._tree_ways)(tree.all())
        octets = bytearray(tree.encode())
        if 0.7 < draw < 0.8:
            self.random.choice(self._octet_ways)(octets)
        return bytes(octets)

    def monster(self) -> bytes:
        """Something out of all proportion."""
        random = self.random
        tag = random.choice((0xA0, 0xA1, 0xA2))
        if random.random() < 0.5:
            deep = PRESENT
            for _ in range(random.choice((30, 100, 199, 201, 1000, DEEP))):
                deep = tlv(tag, deep)
            return search(2, deep)
        kind = random.randrange(6)
        if kind == 0:
            return search(2, tlv(0xA1, equals("cn", b"x") * random.choice((100, 2000))))
        if kind == 1:
            return request(2, 0x66, text(ALICE), tlv(SEQUENCE, _change(0, "description", *[b"x"] * 3000)))
        if kind == 2:
            return tlv(SEQUENCE, tlv(2, b"\x7f" * 5000) + tlv(0x42, b""))
        if kind == 3:
            return tlv(0x24, tlv(0x24, b"")) * 50
        if kind == 4:
            return search(2, equals("cn", b"x" * 200_000))
        return bytes((SEQUENCE, 0x84)) + random.choice((2**31, 2**32 - 1, 10_485_761)).to_bytes(4, "big")

    def _node(self, nodes: list[Node]) -> Node:
        return self.random.choice(nodes)

    def _retag(self, nodes: list[Node]) -> None:
        self._node(nodes).tag = self.random.choice(TAGS)

    def _reword(self, nodes: list[Node]) -> None:
        leaves = [node for node in nodes if node.parts is None]
        if leaves:
            self._node(leaves).content = self.random.choice(WORDS)

    def _renumber(self, nodes: list[Node]) -> None:
        number = self.random.choice(NUMBERS)
        numbers = [node for node in nodes if node.tag in (2, 10)]
        if numbers:
            self._node(numbers).content = number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True)

    def _double(self, nodes: list[Node]) -> None:
        parent = self._parent(nodes)
        if parent.parts:
            parent.parts += [self._node(parent.parts).copy() for _ in range(self.random.choice((1, 1, 50)))]

    def _drop(self, nodes: list[Node]) -> None:
        parent = self._parent(nodes)
        if parent.parts:
            parent.parts.pop(self.random.randrange(len(parent.parts)))

    def _shuffle(self, nodes: list[Node]) -> None:
        self.random.shuffle(self._parent(nodes).parts or [])

    def _splice(self, nodes: list[Node]) -> None:
        node, other = self._node(nodes), self._node(self.random.choice(self.trees).all()).copy()
        node.tag, node.content, node.parts = other.tag, other.content, other.parts

    def _splice_alike(self, nodes: list[Node]) -> None:
        node = self._node(nodes)
        alike = [each for each in self.random.choice(self.trees).all() if each.tag == node.tag]
        if alike:
            other = self._node(alike).copy()
            node.content, node.parts = other.content, other.parts

    def _lie(self, nodes: list[Node]) -> None:
        node = self._node(nodes)
        size = self.random.choice((0, 1, 5, 100, 127, 200, 65536, 2**31))
        if size < 0x80 and self.random.random() < 0.6:
            node.lie = bytes((size,))
        else:
            width = self.random.choice((0, 1, 4, 5, 8, 9, 126))
            node.lie = bytes((0x80 | width,)) + size.to_bytes(max(width, 4), "big")[-width:] if width else b"\x80"

    def _wrap(self, nodes: list[Node]) -> None:
        node = self._node(nodes)
        for _ in range(self.random.choice((1, 2, 60))):
            inner = Node(node.tag, node.content, node.parts)
            node.tag, node.content, node.parts = (
                self.random.choice((0x24, 0x30, 0xA0, 0xA2, node.tag | 0x20)),
                b"",
                [inner],
            )

    def _flip_construction(self, nodes: list[Node]) -> None:
        self._node(nodes).tag ^= 0x20

    def _parent(self, nodes: list[Node]) -> Node:
        return self._node([node for node in nodes if node.parts is not None] or nodes)

    def _flip_bits(self, octets: bytearray) -> None:
        for _ in range(self.random.choice((1, 2, 10))):
            octets[self.random.randrange(len(octets))] ^= 1 << self.random.randrange(8)

    def _cut(self, octets: bytearray) -> None:
        del octets[self.random.randrange(len(octets)) :]

    def _insert(self, octets: bytearray) -> None:
        at = self.random.randrange(len(octets))
        octets[at:at] = self.random.randbytes(self.random.choice((1, 3, 100)))

    def _overwrite(self, octets: bytearray) -> None:
        at = self.random.randrange(len(octets))
        octets[at : at + 4] = self.random.choice((b"\xff" * 4, b"\0" * 4, self.random.randbytes(4)))

    def _repeat(self, octets: bytearray) -> None:
        octets += octets[self.random.randrange(len(octets)) :]
