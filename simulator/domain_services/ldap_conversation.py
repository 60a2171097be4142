"""What the managed domain says over LDAP: binds, who one is, the root, and one's own entry (RFC 4511, RFC 4532).

More of the domain's directory is not simulated; whoever asks for more hears what there is.
"""

from __future__ import annotations

from collections.abc import Sequence
from threading import RLock
from typing import Any, Final

from simulator.active_directory import encoding, errors, messages, values
from simulator.active_directory.conversation import START_TLS, TAGS, Faults, LdapConversation, check_version
from simulator.active_directory.errors import LdapError
from simulator.active_directory.filter import And, Filter, Match, Not
from simulator.active_directory.messages import Message
from simulator.active_directory.names import InvalidName, parse_dn, rdn_key
from simulator.active_directory.requests import Found, Search
from simulator.active_directory.schema import TEXT, Attribute
from simulator.active_directory.times import TICKS_PER_SECOND, filetime, generalized
from simulator.domain_services import ldap_bind
from simulator.domain_services.ldap_bind import Directory
from simulator.domain_services.principal import Principal
from simulator.domain_services.refusal import LogonRefused, Reason

WHO_AM_I: Final = "1.3.6.1.4.1.4203.1.11.3"
GSS_SPNEGO: Final = "GSS-SPNEGO"
SASL_MECHANISMS: Final = (GSS_SPNEGO,)
EXTENSIONS: Final = (START_TLS, WHO_AM_I)
SASL_IN_PROGRESS: Final = 14
_SASL_CREDENTIALS, _RESPONSE_VALUE = 0x87, 0x8B
_CLASSES = ("top", "person", "organizationalPerson", "user")
_ENABLED, _DISABLED = "512", "514"
KNOWN = (
    f"binds (simple; SASL {GSS_SPNEGO} and the older frames with NTLM), StartTLS, who am I, the root, and the bound "
    "account's own entry by its DN"
)

_Texts = dict[str, Sequence[str]]


class ManagedConversation(LdapConversation):
    """What the managed domain says on one connection.

    lock: held while it is asked something. last_refusal: why the last bind was refused, which the wire tells in part.
    """

    def __init__(self, directory: Directory, lock: RLock, faults: Faults, *, protected: bool) -> None:
        super().__init__(faults, protected=protected)
        self.last_refusal: Reason | None = None
        self._directory = directory
        self._lock = lock
        self._ntlm = ldap_bind.NtlmBind(directory)
        self._user: Principal | None = None

    def is_up(self) -> bool:
        """Whether the domain is there."""
        return self._directory.is_up()

    def perform(self, message: Message) -> bytes:
        """Carry out a request."""
        for control in message.controls:
            if control.critical:
                raise errors.wrong_extension(control.oid)
        with self._lock:
            if message.kind == "bindRequest":
                return self._bind(message.request)
            if message.kind == "extendedReq":
                return self._extended(messages.text(message.request["requestName"]))
        raise self._unwilling()

    # --- binds

    def _bind(self, request: Any) -> bytes:
        self._user = self.last_refusal = None
        check_version(request)
        choice = request["authentication"]
        kind = choice.getName()
        try:
            if kind == "simple":
                self._ntlm.forget()
                return self._simple(messages.text(request["name"]), messages.text(choice["simple"]))
            if kind == "sasl":
                return self._sasl(choice["sasl"])
            return self._sicily(kind, bytes(choice[kind]))
        except LogonRefused as refused:
            self.last_refusal = refused.reason
            raise ldap_bind.refused(refused.reason, negotiated=kind != "simple") from None

    def _simple(self, name: str, password: str) -> bytes:
        """Without a password it is anonymous, as in the directory."""
        if password:
            self._user = ldap_bind.judge(self._directory, name, password)
        return encoding.result(encoding.BIND_RESPONSE, errors.SUCCESS)

    def _sasl(self, credentials: Any) -> bytes:
        """NTLM, with SPNEGO around it or without."""
        if messages.text(credentials["mechanism"]) not in SASL_MECHANISMS:
            self._ntlm.forget()
            raise LdapError(
                errors.AUTH_METHOD_NOT_SUPPORTED,
                f"00002027: LdapErr: DSID-0C090531, comment: Invalid Authentication method; known: {GSS_SPNEGO}, "
                "data 0, v1db1\x00",
            )
        token = credentials["credentials"]
        octets = bytes(token) if token.hasValue() else b""
        self._user, told = self._ntlm.step(octets)
        code = SASL_IN_PROGRESS if self._user is None else errors.SUCCESS
        answer = encoding.integer(code, encoding.ENUMERATED) + encoding.text("") + encoding.text("")
        credential = encoding.tlv(_SASL_CREDENTIALS, told) if told else b""
        return encoding.tlv(encoding.BIND_RESPONSE, answer + credential)

    def _sicily(self, kind: str, octets: bytes) -> bytes:
        """Package discovery, negotiation and response ([MS-ADTS] 5.1.1.1.3): what answers stands in place of a DN."""
        if kind == "sicilyResponse":
            self._user = self._ntlm.accept(octets)
            return encoding.result(encoding.BIND_RESPONSE, errors.SUCCESS)
        told = b"NTLM" if kind == "sicilyPackageDiscovery" else self._ntlm.challenge(octets)
        answer = encoding.integer(errors.SUCCESS, encoding.ENUMERATED)
        return encoding.tlv(encoding.BIND_RESPONSE, answer + encoding.tlv(encoding.OCTETS, told) + encoding.text(""))

    # --- what there is to read

    def _extended(self, name: str) -> bytes:
        if name != WHO_AM_I:
            raise self._unwilling()
        who = "" if self._user is None else f"u:{self._directory.server.netbios}\\{self._user.name}"
        answer = encoding.integer(errors.SUCCESS, encoding.ENUMERATED) + encoding.text("") + encoding.text("")
        return encoding.tlv(TAGS["extendedReq"], answer + encoding.tlv(_RESPONSE_VALUE, who.encode()))

    def find(self, search: Search) -> Found:
        """Read the root, or one's own entry."""
        for control in search.controls:
            if control.critical:
                raise errors.wrong_extension(control.oid)
        with self._lock:
            if not search.base and search.scope == 0:
                return _shown(search, "", self._root())
            user = self._user
            if user is None:
                raise errors.not_bound()
            dn = self._directory.dn(user)
            if search.scope == 1 or not _same_dn(search.base, dn):
                raise self._unwilling()
            return _shown(search, dn, self._own(user, dn))

    def _root(self) -> _Texts:
        directory = self._directory
        server, base = directory.server, directory.base
        return {
            "currentTime": (generalized(filetime(directory.clock()) // TICKS_PER_SECOND),),
            "namingContexts": (base,),
            "defaultNamingContext": (base,),
            "rootDomainNamingContext": (base,),
            "supportedLDAPVersion": ("3", "2"),
            "supportedSASLMechanisms": SASL_MECHANISMS,
            "supportedExtension": EXTENSIONS,
            "dnsHostName": (f"{server.name}.{server.dns}",),
        }

    def _own(self, user: Principal, dn: str) -> _Texts:
        return {
            "objectClass": _CLASSES,
            "cn": (user.name,),
            "distinguishedName": (dn,),
            "userAccountControl": (_ENABLED if user.enabled else _DISABLED,),
            "sAMAccountName": (user.name,),
            "userPrincipalName": (user.upn,),
        }

    def _unwilling(self) -> LdapError:
        return LdapError(
            errors.UNWILLING_TO_PERFORM,
            "00002035: SvcErr: DSID-031A1262, problem 5003 (WILL_NOT_PERFORM), data 0, comment: a simulated managed "
            f"domain answers {KNOWN}\n\x00",
        )


def _same_dn(first: str, second: str) -> bool:
    try:
        one, other = parse_dn(first), parse_dn(second)
    except InvalidName:
        raise errors.bad_dn(first) from None
    return [rdn_key(*each) for each in one] == [rdn_key(*each) for each in other]


def _shown(search: Search, dn: str, texts: _Texts) -> Found:
    """The entry with what was asked for, if the filter holds for it."""
    if not _holds(search.filter, {"objectclass": ("top",)} | {name.lower(): each for name, each in texts.items()}):
        return Found()
    asked = {name.lower() for name in search.attributes}
    everything = not asked or "*" in asked
    shown = [(name, each) for name, each in texts.items() if everything or name.lower() in asked]
    return Found(
        [
            (
                dn,
                [
                    (Attribute(name, name.lower(), TEXT, len(each) == 1),
                     [] if search.types_only else [values.octets(text) for text in each])
                    for name, each in shown
                ],
            )
        ]
    )  # fmt: skip


def _holds(wanted: Filter, texts: _Texts) -> bool:
    """Whether a filter holds; presence and equality are known, everything else holds for nothing."""
    if isinstance(wanted, Match):
        held = texts.get(wanted.name.lower())
        if held is None:
            return False
        told = wanted.value.decode("utf-8", "replace").casefold()
        return wanted.kind == "present" or (wanted.kind == "=" and told in [text.casefold() for text in held])
    if isinstance(wanted, Not):
        return not _holds(wanted.part, texts)
    found = [_holds(part, texts) for part in wanted.parts]
    return all(found) if isinstance(wanted, And) else any(found)
