"""Logging on to the managed domain within a run: real exchanges, client and server side, without a wire."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from threading import RLock
from typing import Final, Literal

from simulator.active_directory import encoding, errors
from simulator.active_directory.conversation import Faults
from simulator.domain_services import kerberos, kerberos_client, ldap_bind, ntlm, ntlm_client
from simulator.domain_services.ldap_conversation import ManagedConversation
from simulator.domain_services.principal import Principal
from simulator.domain_services.refusal import LogonRefused, Reason
from simulator.random import Randomness

Method = Literal["ntlm", "kerberos", "ldap"]
Result = Literal["ok"] | Reason
Lookup = Callable[[str], Principal | None]

SERVER_NAME: Final = "dc1"
_BIND_REQUEST, _SIMPLE = 0x60, 0x80

_OF_ERRORS: Final[dict[int, Reason]] = {
    kerberos.C_PRINCIPAL_UNKNOWN: "unknown-user",
    kerberos.CLIENT_REVOKED: "disabled",
    kerberos.NULL_KEY: "no-password",
    kerberos.PREAUTH_FAILED: "wrong-password",
}


def logon(
    method: Method,
    lookup: Lookup,
    name: str,
    password: str,
    clock: Callable[[], datetime],
    randomness: Randomness,
    *,
    domain: str = "contoso.example",
    netbios: str = "",
) -> Result:
    """Log on; what came of it.

    name: sAMAccountName, ``NETBIOS\\name`` or user principal name. domain, netbios: the managed domain's DNS name, and
    its NetBIOS name if that is not the first label of it. Client and server draw from generators of their own in
    ``randomness``. Raises :class:`~simulator.domain_services.der.Garbled` or
    :class:`~simulator.domain_services.ntlm.BadToken` if one side does not understand the other, and
    :class:`~simulator.domain_services.kerberos_client.SignOnFailed` for what no result stands for.
    """
    server = ntlm.Server(netbios or domain.partition(".")[0][:15].upper(), domain, SERVER_NAME)
    prefix, _, account = name.rpartition("\\")
    try:
        if method == "ntlm":
            within = prefix or ("" if "@" in account else server.netbios)
            _ntlm(server, lookup, within, account, password, clock, randomness)
        elif method == "kerberos":
            _kerberos(server, lookup, name, password, clock, randomness)
        else:
            bound = name if prefix or "@" in account else f"{server.netbios}\\{account}"
            directory = ldap_bind.Directory(server, lookup, clock, randomness.child("domain-services/ldap"))
            _ldap(directory, bound, password)
    except LogonRefused as refused:
        return refused.reason
    return "ok"


def _ntlm(
    server: ntlm.Server,
    lookup: Lookup,
    within: str,
    account: str,
    password: str,
    clock: Callable[[], datetime],
    randomness: Randomness,
) -> None:
    """The three messages. within: the domain that the client names."""
    said = ntlm_client.negotiate()
    nonce = randomness.child("domain-services/ntlm").randbytes(8)
    challenged = ntlm.challenge(said, server, nonce, clock(), layers=True)
    client = randomness.child("domain-services/ntlm-client")
    answer, key = ntlm_client.authenticate(said, challenged, within, account, password, client)
    if ntlm.accept(said, challenged, answer, server, lookup).session_key != key:
        raise ntlm.BadToken("both sides have keys of their own")


def _kerberos(
    server: ntlm.Server,
    lookup: Lookup,
    name: str,
    password: str,
    clock: Callable[[], datetime],
    randomness: Randomness,
) -> None:
    """The two requests of an initial exchange."""
    centre = kerberos.KeyDistributionCenter(server.dns, lookup, clock, randomness, netbios=server.netbios)
    client = randomness.child("domain-services/kerberos-client")
    try:
        kerberos_client.sign_on(centre.answer, centre.realm, name, password, clock, client)
    except kerberos_client.SignOnFailed as failed:
        reason = _OF_ERRORS.get(failed.error.code)
        if reason is None:
            raise
        raise LogonRefused(reason) from None


def _ldap(directory: ldap_bind.Directory, name: str, password: str) -> None:
    """A simple bind, from the octets of its request on. One without a password would be anonymous: a wrong one."""
    conversation = ManagedConversation(directory, RLock(), Faults(), protected=True)
    bind = encoding.integer(3) + encoding.text(name) + encoding.tlv(_SIMPLE, password.encode("utf-8", "surrogatepass"))
    answer = b"".join(conversation.answer(encoding.message(1, encoding.tlv(_BIND_REQUEST, bind))))
    if conversation.last_refusal is not None:
        raise LogonRefused(conversation.last_refusal)
    if answer != encoding.message(1, encoding.result(encoding.BIND_RESPONSE, errors.SUCCESS)):
        raise RuntimeError("a bind has an answer of its own")
    if not password:
        raise LogonRefused("wrong-password")
