"""A client of Kerberos' initial exchange with a password ([RFC4120] 3.1.1): what ``kinit`` does, without a wire."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random

from pwsync.credential import nt_hash
from simulator.active_directory.supplemental import kerberos_keys
from simulator.domain_services import kerberos_crypto as crypto
from simulator.domain_services import kerberos_messages as messages
from simulator.domain_services import kerberos_replies as replies
from simulator.domain_services.der import Garbled, application_number
from simulator.domain_services.kerberos import PREAUTH_REQUIRED
from simulator.domain_services.kerberos_messages import Encrypted, Error, Name, Request
from simulator.domain_services.kerberos_replies import ReplyPart

KINDS = (crypto.AES256, crypto.AES128, crypto.RC4)
_LIFE = timedelta(days=1)


class SignOnFailed(Exception):
    """The KDC's error."""

    def __init__(self, error: Error) -> None:
        self.error = error
        super().__init__(f"{error.code}: {error.text}")


def password_key(kind: int, password: str, salt: str) -> bytes:
    """A password's key. The keys for AES are told by the salt ([RFC3962] 4), that for RC4 is the NT hash."""
    return nt_hash(password) if kind == crypto.RC4 else kerberos_keys(password, salt)[kind]


def sign_on(
    ask: Callable[[bytes], bytes | None],
    realm: str,
    name: str,
    password: str,
    clock: Callable[[], datetime],
    random: Random,
    *,
    kinds: tuple[int, ...] = KINDS,
) -> ReplyPart:
    """Get a first ticket; what its reply says to the client.

    ask: carries a message to the KDC and brings its answer. name: with an ``@`` a user principal name. kinds: the
    encryption types to offer, the best first. Raises SignOnFailed; Garbled if the answer is none, or not to this.
    """
    kind = messages.NT_ENTERPRISE if "@" in name else messages.NT_PRINCIPAL
    now, nonce = clock(), random.getrandbits(31)
    server = Name(messages.NT_SRV_INST, ("krbtgt", realm))

    def request(*data: tuple[int, bytes]) -> bytes:
        options = messages.CANONICALIZE | messages.RENEWABLE_OK
        whom = Name(kind, (name,))
        return messages.write_request(Request(whom, realm, server, now + _LIFE, nonce, kinds, options, data=data))

    answer = ask(request())
    error = _error(answer)
    if error.code != PREAUTH_REQUIRED:
        raise SignOnFailed(error)
    chosen, salt = _choice(error, kinds)
    key = password_key(chosen, password, salt)
    plain = messages.write_timestamp(now)
    stamp = Encrypted(chosen, crypto.encrypt(chosen, key, crypto.AS_REQ_TIMESTAMP, plain, random))
    answer = ask(request((messages.PA_ENC_TIMESTAMP, messages.write_encrypted(stamp))))
    if application_number(answer or b"") != messages.AS_REP:
        raise SignOnFailed(_error(answer))
    return _opened(answer or b"", key, nonce)


def _error(answer: bytes | None) -> Error:
    if answer is None:
        raise Garbled("the KDC says nothing")
    return messages.read_error(answer)


def _choice(error: Error, kinds: tuple[int, ...]) -> tuple[int, str]:
    """The first type of key that both sides have, and its salt."""
    known = messages.read_methods(error.data or b"").get(messages.PA_ETYPE_INFO2, b"")
    for kind, salt in messages.read_etype_info(known):
        if kind in kinds:
            return kind, salt or ""
    raise Garbled("the KDC offers no type of key that was asked for")


def _opened(answer: bytes, key: bytes, nonce: int) -> ReplyPart:
    """Open the part of the reply that proves the KDC, too. Raises Garbled if another made it."""
    reply = replies.read_reply(answer)
    try:
        part = replies.read_reply_part(crypto.decrypt(reply.part.kind, key, crypto.AS_REP, reply.part.cipher))
    except crypto.Unreadable as problem:
        raise Garbled(f"the reply is not under the password's key: {problem}") from None
    if part.nonce != nonce or part.realm != reply.realm:
        raise Garbled("the reply is not to this request")
    return part
