"""A client of NTLM with a password ([MS-NLMP] 3.1.5), for logons within a run.

Runs use no library's client here: importing pyspnego takes as long as several scenarios do, and its challenges come
from the operating system. In the tests servers of both answer clients of both.
"""

from __future__ import annotations

import struct
from random import Random

from pwsync.credential import nt_hash
from pwsync.replication import ntlm as calculation
from simulator.domain_services import ntlm
from simulator.domain_services.ntlm import BadToken

_ASKED = (
    ntlm.UNICODE | ntlm.REQUEST_TARGET | ntlm.SIGN | ntlm.NTLM | ntlm.ALWAYS_SIGN | ntlm.EXTENDED_SECURITY
    | ntlm.TARGET_INFO | ntlm.VERSION | ntlm.KEY_128 | ntlm.KEY_EXCHANGE | ntlm.KEY_56
)  # fmt: skip
_VERSION = struct.pack("<BBHxxxB", 10, 0, 14393, 15)
_PAYLOAD, _MIC_AT = 88, 72


def negotiate() -> bytes:
    """A NEGOTIATE_MESSAGE."""
    return ntlm.head(ntlm.NEGOTIATE) + struct.pack("<I", _ASKED) + bytes(16) + _VERSION


def authenticate(
    said: bytes, challenged: bytes, domain: str, account: str, password: str, random: Random
) -> tuple[bytes, bytes]:
    """The AUTHENTICATE_MESSAGE that answers a challenge, and the session key.

    said: the negotiate message before it. domain: empty if ``account`` is a user principal name. Raises BadToken.
    """
    ntlm.check_head(challenged, ntlm.CHALLENGE, 48)
    flags = struct.unpack_from("<I", challenged, 20)[0]
    pairs = ntlm.read_av_pairs(ntlm.payload(challenged, 40))
    told = pairs.get(ntlm.AV_TIMESTAMP)
    if told is None:
        raise BadToken("a challenge does not say what time it is")
    marked = pairs | {ntlm.AV_FLAGS: struct.pack("<I", ntlm.AV_FLAG_MIC)}
    at = int.from_bytes(told, "little")  # the server's own clock, as clients are to take it
    blob = calculation.client_blob(at, random.randbytes(8), ntlm.av_pairs(marked))
    response_key = calculation.ntowf_v2(nt_hash(password), account, domain)
    proof = calculation.nt_proof(response_key, challenged[24:32], blob)
    key, sealed = calculation.session_base_key(response_key, proof), b""
    if flags & ntlm.KEY_EXCHANGE and flags & (ntlm.SIGN | ntlm.SEAL):
        base, key = key, random.randbytes(16)
        sealed = ntlm.rc4(base, key)
    values = (bytes(24), proof + blob, ntlm.text(domain), ntlm.text(account), b"", sealed)
    fields, offset = b"", _PAYLOAD
    for value in values:
        fields += struct.pack("<HHI", len(value), len(value), offset)
        offset += len(value)
    start = ntlm.head(ntlm.AUTHENTICATE) + fields + struct.pack("<I", flags) + _VERSION
    message = start + bytes(16) + b"".join(values)
    code = ntlm.integrity_code(key, said, challenged, message, _MIC_AT)
    return message[:_MIC_AT] + code + message[_MIC_AT + 16 :], key
