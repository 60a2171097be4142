"""The replication interface of a domain controller (MS-DRSR): bind, GetNCChanges, unbind.

Messages are mappings, not NDR; what they say is the protocol's: state instead of history, one entry per object in
order of its last change, attributes with their metadata, secrets in their envelope. Beside what the agent asks for
(:mod:`pwsync.replication.client`) a client may give

    authenticate    epoch: the replication epoch that it speaks (default 0)
    get-nc-changes  attributes None: everything that replicates; flags: bits of DRS_OPTIONS, of which
                    :data:`SPECIAL_SECRET_PROCESSING` has a meaning here

and is told ``epoch`` (negotiate), ``high_water`` {tmp_highest_usn, reserved_usn, highest_usn} and ``extended_ret``
(get-nc-changes; 1 where one object was asked for, as EXOP_REPL_OBJ).
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NamedTuple

from pwsync.errors import ReplicationError
from pwsync.replication import envelope, ntlm
from simulator.active_directory import cookies, logon, names, schema, supplemental, values
from simulator.active_directory.errors import WIN32_OF_LOGON
from simulator.active_directory.values import normal_dn
from simulator.active_directory.virtual import object_sid

if TYPE_CHECKING:
    from simulator.active_directory.cookies import Cookie
    from simulator.active_directory.replica import Entry, Stamp
    from simulator.active_directory.state import Controller

ACCESS_DENIED, INVALID_HANDLE, INVALID_PARAMETER, SERVER_UNAVAILABLE = 5, 6, 87, 1722
OBJECT_NOT_FOUND, INVALID_REQUEST, BAD_NAME, BAD_CONTEXT = 8333, 8437, 8439, 8440
DRA_ACCESS_DENIED, SOURCE_DISABLED, OTHER_EPOCH = 8453, 8456, 8593
LOGON_FAILURE = 1326
UNKNOWN_OPERATION = 1745
RID_LAYER = frozenset(("unicodepwd", "dbcspwd", "ntpwdhistory", "lmpwdhistory"))
DELETION, SUPPLEMENTAL = "isdeleted", "supplementalcredentials"
OBJECTS_MAX = 1000
EPOCH_MAX = 0xFFFF_FFFF
WRITABLE_REPLICA, SPECIAL_SECRET_PROCESSING = 0x10, 0x40_0000
"""DRS_OPTIONS ([MS-DRSR] 5.41): a writable copy asks; secrets are to come without their values."""
FLAGS: Mapping[int, str] = {
    WRITABLE_REPLICA: "what is taken where no flags are given",
    SPECIAL_SECRET_PROCESSING: "secrets come without their values, and without the right to them",
}
"""The flags of get-nc-changes that are looked at; others are passed over."""
EXTENDED_SUCCESS = 1
"""EXOP_ERR_SUCCESS ([MS-DRSR] 4.1.10.2.21)."""
INSTANCE_TYPE = "instancetype"
NOT_SENT = schema.BACK_LINKS | {"distinguishedname", "objectguid", "subrefs"}
"""Attributes that are computed on each controller or name the object, and are not among what replicates."""


class Session(NamedTuple):
    """A bound client: its account (objectGUID), the session key, the account's NT hash then, its replication epoch."""

    account: bytes
    key: bytes
    nt: bytes
    epoch: int


class Operation(NamedTuple):
    """One operation: the method of :class:`ReplicationServer` that answers it, and what it is good for."""

    method: str
    about: str


OPERATIONS: Mapping[str, Operation] = {
    "negotiate": Operation("_negotiate", "begin a bind: the server's challenge (IDL_DRSBind's security context)"),
    "authenticate": Operation("_authenticate", "end it: NTLMv2 proof, a handle in return (IDL_DRSBind)"),
    "get-nc-changes": Operation("_get_changes", "changes since a cookie, or one object (IDL_DRSGetNCChanges)"),
    "unbind": Operation("_unbind", "give the handle back (IDL_DRSUnbind)"),
}
"""What is answered, by name."""


class ReplicationServer:
    """One client's way into a controller. :meth:`call` answers the operations of a replication channel.

    observed: signing on leaves no trace.
    """

    def __init__(self, controller: Controller, *, observed: bool = False) -> None:
        self._controller = controller
        self._observed = observed
        self._challenges: dict[int, bytes] = {}
        self._sessions: dict[bytes, Session] = {}

    def call(self, operation: str, message: Mapping[str, Any]) -> Mapping[str, Any]:
        """Answer one operation. Raises ReplicationError with the Win32 code of a refusal."""
        if self._controller.state == "down":
            raise ReplicationError(SERVER_UNAVAILABLE, "The RPC server is unavailable.")
        if operation not in OPERATIONS:
            nearest = get_close_matches(operation[:100], OPERATIONS, n=1)
            hint = f" The nearest is {nearest[0]}." if nearest else ""
            text = f"unknown operation {operation[:100]!r}.{hint} Known: {', '.join(OPERATIONS)}."
            raise ReplicationError(UNKNOWN_OPERATION, text)
        perform: Callable[[Mapping[str, Any]], dict[str, Any]] = getattr(self, OPERATIONS[operation].method)
        try:
            return perform(message)
        except (KeyError, TypeError, AttributeError) as problem:
            raise ReplicationError(INVALID_PARAMETER, f"{operation}: {problem!r} in the message") from problem

    def _negotiate(self, message: Mapping[str, Any]) -> dict[str, Any]:
        controller = self._controller
        binding = len(self._challenges) + 1
        challenge = controller.domain.random(f"challenge/{controller.name}").randbytes(8)
        self._challenges[binding] = challenge
        target = ntlm.target_info(controller.domain.netbios, controller.name.upper())
        return {"binding": binding, "challenge": challenge, "target_info": target, "epoch": controller.epoch}

    def _authenticate(self, message: Mapping[str, Any]) -> dict[str, Any]:
        controller, proof = self._controller, _octets(message["proof"])
        epoch = message.get("epoch", 0)
        if type(epoch) is not int or not 0 <= epoch <= EPOCH_MAX:
            raise ReplicationError(INVALID_PARAMETER, "a replication epoch is a number of four bytes")
        challenge = self._challenges.pop(message["binding"], None)
        entry = find_account(controller, message["account"])
        if challenge is None or entry is None:
            raise ReplicationError(LOGON_FAILURE, "The user name or password is incorrect.")
        nt = entry.octets("unicodepwd")
        response_key = ntlm.ntowf_v2(nt, message["account"], message["domain"])
        right = hmac.compare_digest(ntlm.nt_proof(response_key, challenge, _octets(message["client_blob"])), proof)
        # An unusable hash stands for a wrong proof, so that counters and lockout work as in any logon.
        reason = logon.check(controller, entry, nt if right and nt else b"", observe=self._observed)
        if reason != "ok":
            raise ReplicationError(WIN32_OF_LOGON[reason], f"The account can't log on: {reason}.")
        handle = controller.domain.random(f"handle/{controller.name}").randbytes(20)
        self._sessions[handle] = Session(entry.guid, ntlm.session_base_key(response_key, proof), nt, epoch)
        return {"handle": handle}

    def _unbind(self, message: Mapping[str, Any]) -> dict[str, Any]:
        self._sessions.pop(_octets(message["handle"]), None)
        return {}

    def _get_changes(self, message: Mapping[str, Any]) -> dict[str, Any]:
        controller = self._controller
        session = self._sessions.get(_octets(message["handle"]))
        if session is None:
            raise ReplicationError(INVALID_HANDLE, "The handle is invalid.")
        account = controller.replica.by_guid.get(session.account)
        if account is None or account.octets("unicodepwd") != session.nt:
            # Unconfirmed: a session does not outlive the password that it was opened with, so that a changed one shows
            # at the next read as the product's documentation tells.
            raise ReplicationError(LOGON_FAILURE, "The user name or password is incorrect.")
        if session.epoch != controller.epoch:
            raise ReplicationError(OTHER_EPOCH, "The servers involved are of different replication epochs.")
        if controller.state != "up":
            raise _rejected()
        self._check_context(message["naming_context"])
        keys, guid = known_keys(message["attributes"]), message.get("object")
        bare = bool(message.get("flags", WRITABLE_REPLICA) & SPECIAL_SECRET_PROCESSING)
        self._check_rights(account, keys, bare=bare)
        writer = _Writer(controller, keys, session.key, bare=bare)
        if guid is not None:
            entry = controller.replica.by_guid.get(_octets(guid))
            if entry is None:
                raise ReplicationError(OBJECT_NOT_FOUND, "Directory object not found.")
            stamps = writer.stamps_of(entry)
            found = [writer.describe(entry, stamps)] if stamps else []  # nothing of what was asked for: no object
            cookie = _octets(message.get("cookie") or b"")
            return {"objects": found, "cookie": cookie, "more": False, "extended_ret": EXTENDED_SUCCESS}
        return writer.page(self._resumed(message), max(1, min(int(message["max_objects"]), OBJECTS_MAX)))

    def _resumed(self, message: Mapping[str, Any]) -> Cookie:
        """Where the client goes on. One that has heard more of this controller than there is finds out a rollback, as
        a partner does (unconfirmed for clients that are not domain controllers)."""
        try:
            return cookies.resume(self._controller.replica, _octets(message.get("cookie") or b""))
        except cookies.CookieAhead:
            self._controller.quarantine()
            raise _rejected() from None
        except cookies.BadCookie as problem:
            raise ReplicationError(INVALID_REQUEST, f"An invalid parameter was given: {problem}.") from problem

    def _check_context(self, name: Any) -> None:
        """Only the domain's own context is here. What is no name, or nobody's, is another error than what exists and
        is no context of this controller (unconfirmed: which of the two is answered when)."""
        domain = self._controller.domain
        if not name:
            raise ReplicationError(INVALID_REQUEST, "An invalid parameter was given: no naming context.")
        if name == domain.dn or normal_dn(name) == normal_dn(domain.dn):
            return
        try:
            parts = names.parse_dn(name)
        except names.InvalidName:
            parts = []
        others = [normal_dn(each.dn) for each in domain.forest.domains.values()]
        others += [normal_dn(f"{above}CN=Configuration,{domain.forest.root_dn}") for above in ("", "CN=Schema,")]
        if normal_dn(name) in others or (parts and self._controller.replica.resolve(parts) is not None):
            raise ReplicationError(BAD_CONTEXT, "The naming context specified for this operation is invalid.")
        raise ReplicationError(BAD_NAME, "The distinguished name specified for this operation is invalid.")

    def _check_rights(self, account: Entry, keys: Sequence[str], *, bare: bool) -> None:
        """Both rights for secrets, Get-Changes alone for the rest, and for secrets that come without values."""
        rights = self._controller.domain.rights_of(account)
        secret = any(schema.ATTRIBUTES[key].secret for key in keys)
        if "replicate-changes" not in rights or (secret and not bare and "replicate-changes-all" not in rights):
            raise ReplicationError(DRA_ACCESS_DENIED, "Replication access was denied.")


def _octets(value: Any) -> bytes:
    """A field of octets; a number would make as many zeros."""
    if not isinstance(value, bytes):
        raise TypeError(f"bytes are needed, not {type(value).__name__}")
    return value


def _rejected() -> ReplicationError:
    return ReplicationError(SOURCE_DISABLED, "The source server is currently rejecting replication requests.")


def find_account(controller: Controller, name: str) -> Entry | None:
    """An account by sAMAccountName, ``DOMAIN\\name`` or userPrincipalName; None if there is none."""
    replica = controller.replica
    folded = name.casefold()
    domain, sign, plain = folded.partition("\\")
    if sign:
        if domain not in (controller.domain.netbios.casefold(), controller.domain.name.casefold()):
            return None
        folded = plain
    entry = replica.by_name.get(folded) or replica.by_upn.get(folded)
    if entry is None and folded.endswith("@" + controller.domain.name.casefold()):
        entry = replica.by_name.get(folded.partition("@")[0])
    return entry if entry is not None and entry.kind.is_account else None


def known_keys(attributes: Sequence[str] | None) -> list[str]:
    """Schema keys of the attributes asked for, each once; those that are not replicated are left out. None: all."""
    if attributes is None:
        return [key for key, each in schema.ATTRIBUTES.items() if _replicates(each) and key not in NOT_SENT]
    if isinstance(attributes, str):
        raise TypeError("attributes: a list of names is needed")
    found: dict[str, None] = {}
    for name in attributes:
        attribute = schema.attribute(name)
        if attribute is None:
            raise ReplicationError(INVALID_PARAMETER, f"the schema has no attribute {name!r}")
        if _replicates(attribute):
            found[attribute.key] = None
    return list(found)


def _replicates(attribute: schema.Attribute) -> bool:
    return not attribute.local and not attribute.constructed


def _page(objects: list[dict[str, Any]], cookie: Cookie, *, more: bool) -> dict[str, Any]:
    """An answer with the high-water mark that its cookie carries: while more follows only its first part advances."""
    water = {"tmp_highest_usn": cookie.reached, "reserved_usn": 0, "highest_usn": cookie.done}
    return {"objects": objects, "cookie": cookie.pack(), "more": more, "high_water": water, "extended_ret": 0}


class _Writer:
    """Writes objects down for one client: which attributes, under which session key. bare: secrets without values."""

    def __init__(self, controller: Controller, keys: Sequence[str], session_key: bytes, *, bare: bool) -> None:
        self._controller = controller
        self._session_key = session_key
        self._bare = bare
        self._instance_type = INSTANCE_TYPE in keys
        self._salts = controller.domain.random(f"replication-salt/{controller.name}")
        self._names = [(key, schema.ATTRIBUTES[key].name) for key in keys]

    def page(self, cookie: Cookie, objects_max: int) -> dict[str, Any]:
        """The next objects after a cookie."""
        replica = self._controller.replica
        objects: list[dict[str, Any]] = []
        last: Entry | None = None
        for entry in cookies.changed_entries(replica, cookie):
            news = self._news(entry, cookie)
            if not news and not self._deleted_since(entry, cookie):
                continue
            if len(objects) == objects_max and last is not None:
                return _page(objects, cookies.paused(cookie, last), more=True)
            if self._instance_type:
                self._add_instance_type(entry, news)
            objects.append(self.describe(entry, news))
            last = entry
        return _page(objects, cookies.finished(replica, cookie), more=False)

    @staticmethod
    def _add_instance_type(entry: Entry, news: list[tuple[str, str, Stamp]]) -> None:
        """instanceType comes with every object that comes at all."""
        stamp = entry.stamp(INSTANCE_TYPE)
        if stamp is not None and all(key != INSTANCE_TYPE for key, _, _ in news):
            news.append((INSTANCE_TYPE, schema.ATTRIBUTES[INSTANCE_TYPE].name, stamp))

    def _news(self, entry: Entry, cookie: Cookie) -> list[tuple[str, str, Stamp]]:
        done, vector = cookie.done, cookie.vector
        created, stamps, stored = entry.created, entry.stamps, entry.values
        found = []
        for key, name in self._names:
            stamp = stamps.get(key)
            if stamp is None:
                if key not in stored and entry.stamp(key) is None:
                    continue
                stamp = created
            if stamp.local_usn > done and stamp.originating_usn > vector.get(stamp.invocation, 0):
                found.append((key, name, stamp))
        return found

    @staticmethod
    def _deleted_since(entry: Entry, cookie: Cookie) -> bool:
        return entry.deleted and cookies.is_news(entry.stamps[DELETION], cookie)

    def stamps_of(self, entry: Entry) -> list[tuple[str, str, Stamp]]:
        """Everything that was asked for, whenever it changed."""
        found = []
        for key, name in self._names:
            stamp = entry.stamp(key)
            if stamp is not None:
                found.append((key, name, stamp))
        return found

    def describe(self, entry: Entry, stamps: Sequence[tuple[str, str, Stamp]]) -> dict[str, Any]:
        """One object as the answer names it."""
        attributes = []
        for key, name, stamp in stamps:
            version, changed, invocation, originating, local = stamp
            attributes.append(
                {
                    "name": name,
                    "values": self._values(entry, key),
                    "version": version,
                    "changed": changed,
                    "invocation": invocation,
                    "originating_usn": originating,
                    "local_usn": local,
                }
            )
        sid = object_sid(entry) if entry.rid else b""
        return {"guid": entry.guid, "dn": entry.dn, "sid": sid, "deleted": entry.deleted, "attributes": attributes}

    def _values(self, entry: Entry, key: str) -> list[bytes]:
        attribute = schema.ATTRIBUTES[key]
        if attribute.secret:
            secret = b"" if self._bare else entry.octets(key)
            if key == SUPPLEMENTAL:
                domain = self._controller.domain
                secret = supplemental.value(secret, supplemental.Domain(domain.name, domain.netbios))
            if not secret:
                return []
            rid = entry.rid if key in RID_LAYER else None
            return [envelope.encrypt(secret, self._session_key, self._salts.randbytes(16), rid)]
        found = entry.get(key)
        if found is None:
            return []
        if attribute.syntax in (schema.LARGE, schema.INTEGER):
            size = 8 if attribute.syntax == schema.LARGE else 4
            return [int(each).to_bytes(size, "little", signed=True) for each in entry.all(key)]
        return values.all_octets(found)
