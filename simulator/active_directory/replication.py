"""The replication interface of a domain controller (MS-DRSR): bind, GetNCChanges, unbind.

Messages are mappings, not NDR; what they say is the protocol's: state instead of history, one entry per object in
order of its last change, attributes with their metadata, secrets in their envelope.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pwsync.errors import ReplicationError
from pwsync.replication import envelope, ntlm
from simulator.active_directory import cookies, logon, schema, supplemental, values
from simulator.active_directory.errors import WIN32_OF_LOGON
from simulator.active_directory.values import normal_dn
from simulator.active_directory.virtual import object_sid

if TYPE_CHECKING:
    from simulator.active_directory.cookies import Cookie
    from simulator.active_directory.replica import Entry, Stamp
    from simulator.active_directory.state import Controller

ACCESS_DENIED, INVALID_HANDLE, INVALID_PARAMETER, SERVER_UNAVAILABLE = 5, 6, 87, 1722
OBJECT_NOT_FOUND, BAD_NAME, DRA_ACCESS_DENIED, SOURCE_DISABLED = 8333, 8439, 8453, 8456
LOGON_FAILURE = 1326
RID_LAYER = frozenset(("unicodepwd", "dbcspwd", "ntpwdhistory", "lmpwdhistory"))
DELETION, SUPPLEMENTAL = "isdeleted", "supplementalcredentials"
OBJECTS_MAX = 1000


class ReplicationServer:
    """One client's way into a controller. :meth:`call` answers the operations of a replication channel.

    observed: signing on leaves no trace.
    """

    def __init__(self, controller: Controller, *, observed: bool = False) -> None:
        self._controller = controller
        self._observed = observed
        self._challenges: dict[int, bytes] = {}
        self._sessions: dict[bytes, tuple[bytes, bytes, bytes]] = {}
        self._operations: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
            "negotiate": self._negotiate,
            "authenticate": self._authenticate,
            "get-nc-changes": self._get_changes,
            "unbind": self._unbind,
        }

    def call(self, operation: str, message: Mapping[str, Any]) -> Mapping[str, Any]:
        """Answer one operation. Raises ReplicationError with the Win32 code of a refusal."""
        if self._controller.state == "down":
            raise ReplicationError(SERVER_UNAVAILABLE, "The RPC server is unavailable.")
        perform = self._operations.get(operation)
        if perform is None:
            raise ReplicationError(1745, f"unknown operation {operation!r}: {', '.join(self._operations)} are known")
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
        return {"binding": binding, "challenge": challenge, "target_info": target}

    def _authenticate(self, message: Mapping[str, Any]) -> dict[str, Any]:
        controller, proof = self._controller, bytes(message["proof"])
        challenge = self._challenges.pop(message["binding"], None)
        entry = find_account(controller, message["account"])
        if challenge is None or entry is None:
            raise ReplicationError(LOGON_FAILURE, "The user name or password is incorrect.")
        nt = entry.octets("unicodepwd")
        response_key = ntlm.ntowf_v2(nt, message["account"], message["domain"])
        right = hmac.compare_digest(ntlm.nt_proof(response_key, challenge, bytes(message["client_blob"])), proof)
        # An unusable hash stands for a wrong proof, so that counters and lockout work as in any logon.
        reason = logon.check(controller, entry, nt if right and nt else b"", observe=self._observed)
        if reason != "ok":
            raise ReplicationError(WIN32_OF_LOGON[reason], f"The account can't log on: {reason}.")
        handle = controller.domain.random(f"handle/{controller.name}").randbytes(20)
        self._sessions[handle] = (entry.guid, ntlm.session_base_key(response_key, proof), nt)
        return {"handle": handle}

    def _unbind(self, message: Mapping[str, Any]) -> dict[str, Any]:
        self._sessions.pop(bytes(message["handle"]), None)
        return {}

    def _get_changes(self, message: Mapping[str, Any]) -> dict[str, Any]:
        controller = self._controller
        session = self._sessions.get(bytes(message["handle"]))
        if session is None:
            raise ReplicationError(INVALID_HANDLE, "The handle is invalid.")
        if controller.replica.by_guid[session[0]].octets("unicodepwd") != session[2]:
            # Unconfirmed: a session does not outlive the password that it was opened with, so that a changed one shows
            # at the next read as the product's documentation tells.
            raise ReplicationError(LOGON_FAILURE, "The user name or password is incorrect.")
        if controller.state == "no-outbound-replication":
            raise ReplicationError(SOURCE_DISABLED, "The source server is currently rejecting replication requests.")
        replica = controller.replica
        naming_context = message["naming_context"]
        if not isinstance(naming_context, str) or normal_dn(naming_context) != normal_dn(controller.domain.dn):
            raise ReplicationError(BAD_NAME, "The distinguished name specified for this operation is invalid.")
        keys = known_keys(message["attributes"])
        guid = message.get("object")
        self._check_rights(session[0], keys, guid is not None)
        writer = _Writer(controller, keys, session[1])
        if guid is not None:
            entry = replica.by_guid.get(bytes(guid))
            if entry is None:
                raise ReplicationError(OBJECT_NOT_FOUND, "Directory object not found.")
            found = writer.describe(entry, writer.stamps_of(entry))
            return {"objects": [found], "cookie": message.get("cookie") or b"", "more": False}
        try:
            cookie = cookies.resume(replica, message.get("cookie"))
        except cookies.BadCookie as problem:
            raise ReplicationError(BAD_NAME, str(problem)) from problem
        return writer.page(cookie, max(1, min(int(message["max_objects"]), OBJECTS_MAX)))

    def _check_rights(self, guid: bytes, keys: Sequence[str], single: bool) -> None:
        """Both rights for secrets and for single objects, Get-Changes alone for the rest."""
        entry = self._controller.replica.by_guid[guid]
        rights = self._controller.domain.rights_of(entry)
        secret = any(schema.ATTRIBUTES[key].secret for key in keys)
        if "replicate-changes" not in rights or ((secret or single) and "replicate-changes-all" not in rights):
            raise ReplicationError(DRA_ACCESS_DENIED, "Replication access was denied.")


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


def known_keys(attributes: Sequence[str]) -> list[str]:
    """Schema keys of the attributes asked for, each once; those that are not replicated are left out."""
    if isinstance(attributes, str):
        raise TypeError("attributes: a list of names is needed")
    found: dict[str, None] = {}
    for name in attributes:
        attribute = schema.attribute(name)
        if attribute is None:
            raise ReplicationError(INVALID_PARAMETER, f"the schema has no attribute {name!r}")
        if not attribute.local and not attribute.constructed:
            found[attribute.key] = None
    return list(found)


class _Writer:
    """Writes objects down for one client: which attributes, under which session key."""

    def __init__(self, controller: Controller, keys: Sequence[str], session_key: bytes) -> None:
        self._controller = controller
        self._keys = keys
        self._session_key = session_key
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
                return {"objects": objects, "cookie": cookies.paused(cookie, last).pack(), "more": True}
            objects.append(self.describe(entry, news))
            last = entry
        return {"objects": objects, "cookie": cookies.finished(replica, cookie).pack(), "more": False}

    def _news(self, entry: Entry, cookie: Cookie) -> list[tuple[str, str, Stamp]]:
        done, vector = cookie.done, cookie.vector
        created, stamps, stored = entry.created, entry.stamps, entry.values
        found = []
        for key, name in self._names:
            stamp = stamps.get(key)
            if stamp is None:
                if key not in stored and entry.get(key) is None:
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
            secret = entry.octets(key)
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
