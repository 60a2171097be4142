"""The managed domain's key distribution centre, as far as signing on goes: the initial exchange ([RFC4120] 3.1).

Messages in, messages out; knows no sockets. Accounts prove themselves by an encrypted timestamp, always: nobody is
exempt from pre-authentication. What comes after a first ticket (the TGS exchange) is refused: no service is simulated
that would take a ticket. Errors are those of [RFC4120] 7.5.9, in the order in which Active Directory finds them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from simulator.domain_services import kerberos_crypto as crypto
from simulator.domain_services import kerberos_messages as messages
from simulator.domain_services import kerberos_replies as replies
from simulator.domain_services.der import Garbled, application_number
from simulator.domain_services.kerberos_messages import Encrypted, Error, Name, Request
from simulator.domain_services.kerberos_replies import Reply, Ticket
from simulator.domain_services.principal import Principal
from simulator.random import Randomness

C_PRINCIPAL_UNKNOWN, S_PRINCIPAL_UNKNOWN, NULL_KEY, NEVER_VALID, ETYPE_NOSUPP = 6, 7, 9, 11, 14
BAD_PVNO, CLIENT_REVOKED, PREAUTH_FAILED, PREAUTH_REQUIRED, SVC_UNAVAILABLE = 3, 18, 24, 25, 29
SKEW, RESPONSE_TOO_BIG, GENERIC, FIELD_TOO_LONG, WRONG_REALM = 37, 52, 60, 61, 68

SKEW_MAX = timedelta(minutes=5)
"""How far a client's clock may be off (the domain's default Kerberos policy, as are the two lives)."""
TICKET_LIFE = timedelta(hours=10)
RENEWABLE_LIFE = timedelta(days=7)
KEY_VERSION = 2
"""Of the key that tickets are under; a domain's first is 2."""

_GRANTED = messages.FORWARDABLE | messages.PROXIABLE | messages.RENEWABLE
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
"""As an end of a life: as long as can be ([RFC4120] 5.4.1)."""


class Refused(Exception):
    """A request's error code, with e-data and a text where they help."""

    def __init__(self, code: int, text: str = "", data: bytes | None = None) -> None:
        self.code = code
        self.text = text
        self.data = data
        super().__init__(f"{code}: {text}")


def keys_of(principal: Principal) -> Mapping[int, bytes]:
    """An account's keys by encryption type; the NT hash is the one for RC4."""
    found = {kind: key for kind, key in principal.keys.items() if kind in crypto.KEY_SIZES}
    return found if principal.nt_hash is None else {crypto.RC4: principal.nt_hash} | found


class KeyDistributionCenter:
    """The KDC of one realm.

    domain: the DNS name; the realm is it in upper case. lookup: finds accounts by sAMAccountName, user principal name
    or ``NETBIOS\\name``. netbios: taken as a realm, too. randomness: gives the key that tickets are under, session keys
    and confounders.
    """

    def __init__(
        self,
        domain: str,
        lookup: Callable[[str], Principal | None],
        clock: Callable[[], datetime],
        randomness: Randomness,
        *,
        netbios: str = "",
    ) -> None:
        self.realm = domain.upper()
        self._lookup = lookup
        self._clock = clock
        self._random = randomness.child("kerberos")
        self._ticket_key = randomness.child("kerberos/krbtgt").randbytes(crypto.KEY_SIZES[crypto.AES256])
        self._realms = {name.lower() for name in (domain, netbios) if name}
        self._service = Name(messages.NT_SRV_INST, ("krbtgt", self.realm))

    def answer(self, octets: bytes) -> bytes | None:
        """The answer to one message; None for what no KDC answers."""
        if application_number(octets) not in (messages.AS_REQ, messages.TGS_REQ):
            return None
        request = None
        try:
            request = messages.read_request(octets)
            return replies.write_reply(self._sign_on(request))
        except Garbled as problem:
            return self.error(GENERIC, f"the request can not be read: {problem}")
        except Refused as refused:
            return self.error(refused.code, refused.text, refused.data, request)

    def error(self, code: int, text: str = "", data: bytes | None = None, request: Request | None = None) -> bytes:
        """A KRB-ERROR; it names whom a request named."""
        client = None if request is None else request.client
        realm = None if client is None else self.realm
        return messages.write_error(Error(code, self._clock(), self.realm, self._service, text, data, realm, client))

    # --- the initial exchange -------------------------------------------------------------------------------------

    def _sign_on(self, request: Request) -> Reply:
        self._check(request)
        name, principal = self._client(request)
        keys = keys_of(principal)
        if not keys:
            raise Refused(NULL_KEY)  # unconfirmed: whether the product says so of who has no password yet
        kinds = tuple(dict.fromkeys(kind for kind in request.kinds if kind in keys))
        if not kinds:
            raise Refused(ETYPE_NOSUPP)
        kind = self._authenticate(request, principal, keys, kinds)
        ticket = self._ticket(request, name, kind=next(each for each in request.kinds if each in crypto.KEY_SIZES))
        part = replies.write_reply_part(ticket, request.nonce)
        sealed = replies.write_ticket_part(ticket)
        salted = ((messages.PA_ETYPE_INFO2, messages.write_etype_info(_salts(principal, (kind,)))),)
        return Reply(
            self.realm,
            name,
            self.realm,
            self._service,
            Encrypted(crypto.AES256, self._sealed(crypto.AES256, self._ticket_key, crypto.TICKET, sealed), KEY_VERSION),
            Encrypted(kind, self._sealed(kind, keys[kind], crypto.AS_REP, part)),
            salted,
        )

    def _check(self, request: Request) -> None:
        """Refuse what is not for this KDC."""
        if request.version != messages.VERSION:
            raise Refused(BAD_PVNO)
        if request.message == messages.TGS_REQ:
            raise Refused(SVC_UNAVAILABLE, "first tickets are all that this KDC gives: it knows the AS exchange alone")
        if request.realm.lower() not in self._realms:
            raise Refused(WRONG_REALM)
        parts = () if request.server is None else request.server.parts
        if len(parts) != len(self._service.parts) or parts[0].lower() != "krbtgt":
            raise Refused(S_PRINCIPAL_UNKNOWN)
        if parts[1].lower() not in self._realms:
            raise Refused(S_PRINCIPAL_UNKNOWN)

    def _client(self, request: Request) -> tuple[Name, Principal]:
        """The account, and the name that it has in the reply: its own where the client takes it ([RFC6806] 7)."""
        named = request.client
        principal = self._lookup(named.parts[0]) if named is not None and len(named.parts) == 1 else None
        if named is None or principal is None:
            raise Refused(C_PRINCIPAL_UNKNOWN)
        if not principal.enabled:
            raise Refused(CLIENT_REVOKED)
        if request.options & messages.CANONICALIZE or named.kind == messages.NT_ENTERPRISE:
            named = Name(messages.NT_PRINCIPAL, (principal.name,))
        return named, principal

    def _authenticate(
        self, request: Request, principal: Principal, keys: Mapping[int, bytes], kinds: tuple[int, ...]
    ) -> int:
        """Which type of key proved the client. Raises Refused."""
        offered = request.datum(messages.PA_ENC_TIMESTAMP)
        methods = messages.write_methods(_salts(principal, kinds))
        if offered is None:
            raise Refused(PREAUTH_REQUIRED, data=methods)
        proof = messages.read_encrypted(offered)
        if proof.kind not in kinds:
            raise Refused(ETYPE_NOSUPP)
        try:
            plain = crypto.decrypt(proof.kind, keys[proof.kind], crypto.AS_REQ_TIMESTAMP, proof.cipher)
            told = messages.read_timestamp(plain)
        except (crypto.Unreadable, Garbled):
            raise Refused(PREAUTH_FAILED, data=methods) from None
        if abs(told - self._clock()) > SKEW_MAX:
            raise Refused(SKEW)
        return proof.kind

    def _ticket(self, request: Request, name: Name, kind: int) -> Ticket:
        now = self._clock()
        longest = now + TICKET_LIFE
        until = longest if request.until in (None, _EPOCH) else min(request.until or longest, longest)
        if until <= now:
            raise Refused(NEVER_VALID)
        renew, flags = None, request.options & _GRANTED
        if flags & messages.RENEWABLE:
            furthest = now + RENEWABLE_LIFE
            renew = (
                furthest if request.renew_until in (None, _EPOCH) else min(request.renew_until or furthest, furthest)
            )
        return Ticket(
            flags=flags | messages.INITIAL | messages.PRE_AUTHENT,
            kind=kind,
            session_key=self._random.randbytes(crypto.KEY_SIZES[kind]),
            client_realm=self.realm,
            client=name,
            realm=self.realm,
            server=self._service,
            issued=now,
            until=until,
            renew_until=renew,
        )

    def _sealed(self, kind: int, key: bytes, usage: int, plain: bytes) -> bytes:
        return crypto.encrypt(kind, key, usage, plain, self._random)


def _salts(principal: Principal, kinds: tuple[int, ...]) -> tuple[tuple[int, str | None], ...]:
    return tuple((kind, None if kind == crypto.RC4 else principal.salt) for kind in kinds)
