"""SPNEGO around NTLM, as a server needs it ([RFC4178] 4.2, 5; [MS-SPNG] 3.3.5): what a token holds, and answers to it.

NTLM is the one mechanism. Its messages are taken without SPNEGO, too. At the end both sides sign the list of what was
offered; as signing is not granted here, for want of a layer that would sign what follows, their signatures are empty
([MS-NLMP] 3.4.4).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from simulator.active_directory.encoding import ENUMERATED, tlv
from simulator.domain_services import der, ntlm
from simulator.domain_services.ntlm import BadToken

_SPNEGO_OID: Final = bytes.fromhex("06062b0601050502")
NTLM_OID: Final = bytes.fromhex("060a2b06010401823702020a")
_INITIAL, _INIT, _RESPONSE = 0x60, 0xA0, 0xA1
COMPLETED, INCOMPLETE, REQUEST_MIC = 0, 1, 3
"""negState of an answer."""
EMPTY_SIGNATURE: Final = struct.pack("<IQI", 1, 0, 0)


@dataclass(frozen=True, slots=True)
class Token:
    """What a client sent. offered: the list of its mechanisms, as it stands in its first token. inner: a message of the
    mechanism, empty if there is none. mic: the signature over the list."""

    wrapped: bool
    inner: bytes
    offered: bytes = b""
    mic: bytes = b""

    @property
    def prefers_ntlm(self) -> bool:
        """Whether ``inner`` is of NTLM, and not of a mechanism that the client likes better."""
        return der.items(self.offered)[:1] == [NTLM_OID]


def read(octets: bytes) -> Token:
    """A client's token. Raises BadToken, also if NTLM is not among what it offers."""
    if octets.startswith(ntlm.SIGNATURE):
        return Token(False, octets)
    try:
        return _initial(octets) if octets[:1] == bytes((_INITIAL,)) else _later(octets)
    except der.Garbled as problem:
        raise BadToken(f"no SPNEGO token: {problem}") from None


def _initial(octets: bytes) -> Token:
    """A NegTokenInit in its GSS-API frame."""
    inner = der.content(octets, _INITIAL)
    if not inner.startswith(_SPNEGO_OID):
        raise BadToken("another mechanism than SPNEGO")
    found = der.fields(der.content(inner[len(_SPNEGO_OID) :], _INIT))
    offered = der.need(found, 0)
    if NTLM_OID not in der.items(offered):
        raise BadToken("NTLM is not offered")
    return Token(True, der.read_octets(found[2]) if 2 in found else b"", offered)


def _later(octets: bytes) -> Token:
    """A NegTokenResp."""
    found = der.fields(der.content(octets, _RESPONSE))
    return Token(
        True,
        der.read_octets(found[2]) if 2 in found else b"",
        mic=der.read_octets(found[3]) if 3 in found else b"",
    )


def answer(state: int, inner: bytes = b"", *, first: bool = False, mic: bytes = b"") -> bytes:
    """A NegTokenResp; the first one names the mechanism."""
    whole = der.sequence(
        (0, der.integer(state, ENUMERATED)),
        (1, NTLM_OID if first else None),
        (2, der.octets(inner) if inner else None),
        (3, der.octets(mic) if mic else None),
    )
    return tlv(_RESPONSE, whole)


def closing(mic: bytes) -> bytes:
    """The last answer, signed if the client has signed. Raises BadToken for another signature than the empty one."""
    if mic and mic != EMPTY_SIGNATURE:
        raise BadToken("a signature where none was agreed on")
    return answer(COMPLETED, mic=mic)
