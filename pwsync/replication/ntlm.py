"""NTLMv2 as far as a replication bind needs it. Both sides compute the same values.

Source: [MS-NLMP] 3.3.2 (NTLM v2 authentication) and 2.2.2.7 (NTLMv2_CLIENT_CHALLENGE). No key exchange: the session key
is the session base key.
"""

from __future__ import annotations

import hmac

CHALLENGE_SIZE = 8


def ntowf_v2(nt: bytes, account: str, domain: str) -> bytes:
    """The response key: HMAC-MD5 under the NT hash (16 bytes) of upper-case account and domain. 16 bytes.

    The domain keeps its case.
    """
    return hmac.digest(nt, (account.upper() + domain).encode("utf-16-le", "surrogatepass"), "md5")


def client_blob(filetime: int, client_challenge: bytes, target_info: bytes) -> bytes:
    """The structure that the specification calls ``temp``.

    filetime: 100 ns since 1601. client_challenge: 8 bytes. target_info: the AV pairs of the server's challenge.
    """
    if len(client_challenge) != CHALLENGE_SIZE:
        raise ValueError("a client challenge is 8 bytes")
    return (
        b"\x01\x01\x00\x00\x00\x00\x00\x00"
        + filetime.to_bytes(8, "little")
        + client_challenge
        + b"\x00\x00\x00\x00"
        + target_info
        + b"\x00\x00\x00\x00"
    )


def target_info(domain: str, server: str) -> bytes:
    """AV pairs that name the server's NetBIOS domain and computer ([MS-NLMP] 2.2.2.1)."""
    pairs = b""
    for identifier, text in ((2, domain), (1, server)):
        value = text.encode("utf-16-le", "surrogatepass")
        pairs += identifier.to_bytes(2, "little") + len(value).to_bytes(2, "little") + value
    return pairs + b"\x00\x00\x00\x00"


def nt_proof(response_key: bytes, server_challenge: bytes, blob: bytes) -> bytes:
    """NTProofStr: what proves the password to the server. 16 bytes."""
    return hmac.digest(response_key, server_challenge + blob, "md5")


def session_base_key(response_key: bytes, proof: bytes) -> bytes:
    """The key that both sides share after a successful bind. 16 bytes."""
    return hmac.digest(response_key, proof, "md5")
