"""NTLM as a server of the managed domain speaks it: NTLMv2 from the NT hash alone ([MS-NLMP] 2.2, 3.2.5, 3.3.2).

Functions of messages; whoever carries them remembers what was said. pyspnego's acceptor is not used: it takes accounts
from a file that an environment variable names, hashes and all, and its challenges from the operating system. Its client
proves this one in the tests.

Security layers are left to the carrier: it says whether it can sign and seal, and gets the key if a client signs on.
"""

from __future__ import annotations

import hmac
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from cryptography.hazmat.decrepit.ciphers.algorithms import ARC4
from cryptography.hazmat.primitives.ciphers import Cipher

from pwsync.replication import ntlm as calculation
from simulator.active_directory.times import filetime
from simulator.domain_services.principal import Principal
from simulator.domain_services.refusal import LogonRefused

SIGNATURE = b"NTLMSSP\0"
NEGOTIATE, CHALLENGE, AUTHENTICATE = 1, 2, 3
"""Message types."""

UNICODE, REQUEST_TARGET, SIGN, SEAL, NTLM = 1, 1 << 2, 1 << 4, 1 << 5, 1 << 9
ALWAYS_SIGN, TARGET_IS_DOMAIN, EXTENDED_SECURITY, TARGET_INFO = 1 << 15, 1 << 16, 1 << 19, 1 << 23
VERSION, KEY_128, KEY_EXCHANGE, KEY_56 = 1 << 25, 1 << 29, 1 << 30, 1 << 31
"""Flags ([MS-NLMP] 2.2.2.5)."""

AV_END, AV_NB_COMPUTER, AV_NB_DOMAIN, AV_DNS_COMPUTER, AV_DNS_DOMAIN, AV_FLAGS, AV_TIMESTAMP = 0, 1, 2, 3, 4, 6, 7
AV_FLAG_MIC = 2
"""In the flags pair: the message has an integrity code."""

LONG_RESPONSE = 24
"""An NT response of so many bytes, or fewer, is one of NTLMv1."""
_PROOF, _BLOB_HEAD, _MIC, _HEADER = 16, 28, 16, 64
_GRANTED = REQUEST_TARGET | NTLM | ALWAYS_SIGN | EXTENDED_SECURITY | VERSION | KEY_128 | KEY_EXCHANGE | KEY_56
_SERVER_VERSION = struct.pack("<BBHxxxB", 10, 0, 14393, 15)  # Windows Server 2016, revision of NTLMSSP


class BadToken(Exception):
    """Octets that are no such message, or one that does not fit what was said before."""


@dataclass(frozen=True, slots=True)
class Server:
    """Whose challenges they are: NetBIOS and DNS name of the domain, and the server's own name."""

    netbios: str
    dns: str
    name: str

    def is_domain(self, name: str) -> bool:
        """Whether a client means this domain; without a name it does."""
        return name.lower() in ("", self.netbios.lower(), self.dns.lower())


@dataclass(frozen=True, slots=True)
class Accepted:
    """Who signed on, and the key that both sides have now (16 bytes)."""

    principal: Principal
    session_key: bytes = field(repr=False)


def head(kind: int) -> bytes:
    """How a message of this type begins."""
    return SIGNATURE + struct.pack("<I", kind)


def av_pairs(pairs: dict[int, bytes]) -> bytes:
    """AV pairs, and the end of their list ([MS-NLMP] 2.2.2.1)."""
    return b"".join(struct.pack("<HH", kind, len(value)) + value for kind, value in [*pairs.items(), (AV_END, b"")])


def read_av_pairs(octets: bytes) -> dict[int, bytes]:
    """AV pairs up to the end of their list. Raises BadToken."""
    found = dict[int, bytes]()
    for kind, value in _pairs(octets):
        found.setdefault(kind, value)
    return found


def _pairs(octets: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while True:
        if at + 4 > len(octets):
            raise BadToken("a list of pairs has no end")
        kind, size = struct.unpack_from("<HH", octets, at)
        if kind == AV_END:
            return
        at += 4 + size
        if at > len(octets):
            raise BadToken("a pair breaks off")
        yield kind, octets[at - size : at]


def text(value: str) -> bytes:
    """A text as messages carry it."""
    return value.encode("utf-16-le", "surrogatepass")


def check_head(octets: bytes, kind: int, size: int) -> None:
    """Raises BadToken if this is no message of a type and at least a size."""
    if len(octets) < size or octets[:12] != head(kind):
        raise BadToken(f"no NTLM message of type {kind}")


def payload(octets: bytes, at: int) -> bytes:
    """What the length and offset at ``at`` refer to. Raises BadToken."""
    size, _, offset = struct.unpack_from("<HHI", octets, at)
    if offset + size > len(octets):
        raise BadToken("a field lies outside of the message")
    return octets[offset : offset + size]


# --- the challenge ------------------------------------------------------------------------------------------------


def challenge(negotiate: bytes, server: Server, nonce: bytes, now: datetime, *, layers: bool = False) -> bytes:
    """The CHALLENGE_MESSAGE that answers a NEGOTIATE_MESSAGE.

    nonce: the server's challenge, 8 bytes. layers: whether the carrier signs and seals what follows; otherwise that is
    not granted to a client that asks for it. Clients without Unicode are refused (unconfirmed). Raises BadToken.
    """
    check_head(negotiate, NEGOTIATE, 16)
    asked = struct.unpack_from("<I", negotiate, 12)[0]
    if not asked & UNICODE:
        raise BadToken("a client has no Unicode")
    granted = asked & (_GRANTED | (SIGN | SEAL if layers else 0))
    flags = granted | UNICODE | NTLM | TARGET_IS_DOMAIN | TARGET_INFO | REQUEST_TARGET
    target = text(server.netbios)
    info = av_pairs(
        {
            AV_NB_DOMAIN: target,
            AV_NB_COMPUTER: text(server.name.upper()),
            AV_DNS_DOMAIN: text(server.dns),
            AV_DNS_COMPUTER: text(f"{server.name}.{server.dns}".lower()),
            AV_TIMESTAMP: filetime(now).to_bytes(8, "little"),
        }
    )
    start = 56
    fields = struct.pack("<HHI", len(target), len(target), start) + struct.pack("<I", flags) + nonce + bytes(8)
    fields += struct.pack("<HHI", len(info), len(info), start + len(target))
    return head(CHALLENGE) + fields + _SERVER_VERSION + target + info


# --- the answer to it ---------------------------------------------------------------------------------------------


def accept(
    negotiate: bytes,
    challenged: bytes,
    authenticate: bytes,
    server: Server,
    lookup: Callable[[str], Principal | None],
) -> Accepted:
    """Judge an AUTHENTICATE_MESSAGE that answers the challenge ``challenged``, a message of :func:`challenge`.

    A response holds for the challenge it was made for and for no other. How old it is does not count: what the product
    makes of the client's clock is unconfirmed. Raises LogonRefused; BadToken for what is no NTLMv2 response or was
    altered on its way.
    """
    check_head(authenticate, AUTHENTICATE, _HEADER)
    response = payload(authenticate, 20)
    domain, account = _decoded(payload(authenticate, 28)), _decoded(payload(authenticate, 36))
    if not account:
        raise LogonRefused("unknown-user")  # anonymous
    if len(response) <= LONG_RESPONSE:
        raise BadToken("NTLMv1 is not taken")
    proof, blob = response[:_PROOF], response[_PROOF:]
    if blob[:2] != b"\x01\x01":
        raise BadToken("a response of an unknown version")
    pairs = read_av_pairs(blob[_BLOB_HEAD:])
    principal = lookup(account) if server.is_domain(domain) else None
    if principal is None:
        raise LogonRefused("unknown-user")
    if principal.nt_hash is None:
        raise LogonRefused("no-password")
    response_key = calculation.ntowf_v2(principal.nt_hash, account, domain)
    if not hmac.compare_digest(calculation.nt_proof(response_key, challenged[24:32], blob), proof):
        raise LogonRefused("wrong-password")
    key = _exported_key(authenticate, calculation.session_base_key(response_key, proof))
    flags = int.from_bytes(pairs.get(AV_FLAGS, b"")[:4], "little")
    if flags & AV_FLAG_MIC and not _is_whole(negotiate, challenged, authenticate, key):
        raise BadToken("a message was altered on its way")
    if not principal.enabled:
        raise LogonRefused("disabled")
    return Accepted(principal, key)


def _decoded(octets: bytes) -> str:
    return octets.decode("utf-16-le", "surrogatepass") if len(octets) % 2 == 0 else ""


def _exported_key(authenticate: bytes, base: bytes) -> bytes:
    """The client's own key where it was exchanged, the session base key otherwise ([MS-NLMP] 3.2.5.1.2)."""
    flags = struct.unpack_from("<I", authenticate, 60)[0]
    if not flags & KEY_EXCHANGE or not flags & (SIGN | SEAL):
        return base
    return rc4(base, payload(authenticate, 52)[:16])


def rc4(key: bytes, octets: bytes) -> bytes:
    """RC4K of [MS-NLMP] 6."""
    return Cipher(ARC4(key), mode=None).encryptor().update(octets)


def integrity_code(key: bytes, negotiate: bytes, challenged: bytes, authenticate: bytes, at: int) -> bytes:
    """The MIC over all three messages ([MS-NLMP] 3.1.5.1.2); ``at``: where it stands in the third, as zeros."""
    blank = authenticate[:at] + bytes(_MIC) + authenticate[at + _MIC :]
    return hmac.digest(key, negotiate + challenged + blank, "md5")


def _is_whole(negotiate: bytes, challenged: bytes, authenticate: bytes, key: bytes) -> bool:
    """Whether the integrity code is right. It stands behind the version; some clients leave that out."""
    fields = [struct.unpack_from("<HHI", authenticate, at) for at in range(12, _HEADER - 4, 8)]
    first = min((offset for size, _, offset in fields if size), default=_HEADER)
    at = _HEADER + 8 if first >= _HEADER + 8 + _MIC else _HEADER
    if first < at + _MIC:
        return False
    told = authenticate[at : at + _MIC]
    return hmac.compare_digest(integrity_code(key, negotiate, challenged, authenticate, at), told)
