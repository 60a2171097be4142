"""The agent's side of directory replication: bind, read what has changed, open the secrets.

The operations are those of MS-DRSR (IDL_DRSBind, IDL_DRSGetNCChanges, IDL_DRSUnbind) with an NTLMv2 sign-on before
them; a :class:`pwsync.ports.ReplicationChannel` carries them as messages of plain values:

    negotiate       {account, domain} -> {binding: int, challenge: 8 bytes, target_info: bytes, epoch: int}
    authenticate    {binding, account, domain, client_blob: bytes, proof: 16 bytes, epoch: int} -> {handle: bytes}
    get-nc-changes  {handle, naming_context: DN, cookie: bytes or None, attributes: [name], max_objects: int,
                     object: GUID as 16 bytes or None}
                    -> {objects: [{guid: 16 bytes, dn, sid: bytes, deleted: bool,
                                   attributes: [{name, values: [bytes], version: int, changed: seconds since 1601,
                                                 invocation: 16 bytes, originating_usn: int, local_usn: int}]}],
                        cookie: bytes, more: bool}
    unbind          {handle} -> {}

GUIDs are in the byte order of ``objectGUID`` (``UUID.bytes_le``). An answer of another shape is error 1728; one without
an epoch is of the first, 0.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from random import Random
from typing import Any, Final, NamedTuple
from uuid import UUID

from pwsync.credential import nt_hash
from pwsync.errors import EnvelopeError, FileTimeError, ReplicationError
from pwsync.ports import ReplicationChannel
from pwsync.replication import ntlm
from pwsync.replication.envelope import PLAIN_MD5, Md5, decrypt
from pwsync.stamp import Stamp
from pwsync.stretching import NT_HASH_SIZE

PROTOCOL_ERROR: Final = 1728
"""RPC_S_PROTOCOL_ERROR: the answer could not be understood."""
INVALID_BINDING: Final = 1702
"""RPC_S_INVALID_BINDING: an operation without a bind before it."""

SESSION_KEYS_MAX: Final = 4
_EPOCH: Final = datetime(1601, 1, 1, tzinfo=UTC)
_CHANGED_MAX: Final = 265_046_774_399
"""The last second of the year 9999; a later one has no date."""
_TICKS_PER_SECOND: Final = 10_000_000


class ReplicatedAttribute(NamedTuple):
    """An attribute's current values and the metadata of its last write."""

    name: str
    values: tuple[bytes, ...]
    version: int
    changed: int
    invocation: bytes
    originating_usn: int
    local_usn: int

    @property
    def stamp(self) -> Stamp:
        """What orders the changes of this attribute."""
        return Stamp(self.version, self.changed, self.invocation, self.local_usn)


class ReplicatedObject(NamedTuple):
    """An object's current state, as far as it was asked for. ``rid`` is 0 if it has no SID."""

    guid: UUID
    dn: str
    rid: int
    sid: bytes
    deleted: bool
    attributes: dict[str, ReplicatedAttribute]


class ReplicationPage(NamedTuple):
    """One answer: objects in the order of their last change, and the cookie to go on from."""

    objects: list[ReplicatedObject]
    cookie: bytes
    more: bool


def changed_time(changed: int) -> datetime:
    """Whole seconds since 1601-01-01 as an aware UTC time."""
    return _EPOCH + timedelta(seconds=changed)


def file_time(octets: bytes) -> int:
    """A time of 8 bytes, little endian: 100 ns since 1601. Raises FileTimeError for what is no date."""
    ticks = int.from_bytes(octets, "little")  # what is negative in Windows lies far behind the end here
    if len(octets) != 8 or ticks >= (_CHANGED_MAX + 1) * _TICKS_PER_SECOND:
        raise FileTimeError
    return ticks


def source_anchor(guid: UUID) -> str:
    """The anchor that ties a cloud user to a directory object: base64 of its ``objectGUID``.

    The GUID of an object never changes, so that an exported object's anchor can't, either. Where a build takes another
    attribute (``mS-DS-ConsistencyGuid``, from 2017 on), it can, and synchronization of the object stops until it is put
    back (product documentation): that is not modelled.
    """
    return b64encode(guid.bytes_le).decode()


class ReplicationClient:
    """One connection to one domain controller.

    channel: carries the operations. random: for the client's challenges. clock: the time now, aware UTC.
    learns_epoch: take the replication epoch from the controller, instead of the one that every domain begins with.
    md5: how MD5 is had; what it raises on a server that forbids it comes out of :meth:`nt_hash`.
    Every method raises ReplicationError where the controller refuses, breaks off or answers nonsense (1728), and
    FileTimeError where an attribute was changed at no date.
    """

    def __init__(
        self,
        channel: ReplicationChannel,
        random: Random,
        clock: Callable[[], datetime],
        *,
        md5: Md5 = PLAIN_MD5,
        learns_epoch: bool = False,
    ) -> None:
        self._learns_epoch = learns_epoch
        self._channel = channel
        self._random = random
        self._clock = clock
        self._md5 = md5
        self._handle: bytes | None = None
        self._session_keys: list[bytes] = []
        self._invocations: dict[bytes, bytes] = {}

    @property
    def bound(self) -> bool:
        return self._handle is not None

    @property
    def session_keys(self) -> tuple[bytes, ...]:
        """Keys of the last binds, newest first: a secret that was read before a new bind can still be opened."""
        return tuple(self._session_keys)

    def bind(self, domain: str, account: str, password: str) -> None:
        """Sign on. A wrong account or password is ReplicationError 1326."""
        self._handle = None
        offer = self._channel.call("negotiate", {"account": account, "domain": domain})
        binding, challenge = _get(offer, "binding", int), _get(offer, "challenge", bytes)
        if len(challenge) != ntlm.CHALLENGE_SIZE:
            raise _garbled("a challenge is 8 bytes")
        response_key = ntlm.ntowf_v2(nt_hash(password), account, domain)
        blob = ntlm.client_blob(self._filetime(), self._random.randbytes(8), _get(offer, "target_info", bytes))
        proof = ntlm.nt_proof(response_key, challenge, blob)
        answer = self._channel.call(
            "authenticate",
            {
                "binding": binding,
                "account": account,
                "domain": domain,
                "client_blob": blob,
                "proof": proof,
                "epoch": _get(offer, "epoch", int) if self._learns_epoch and "epoch" in offer else 0,
            },
        )
        self._handle = _get(answer, "handle", bytes)
        self._session_keys.insert(0, ntlm.session_base_key(response_key, proof))
        del self._session_keys[SESSION_KEYS_MAX:]

    def changes(
        self, cookie: bytes | None, naming_context: str, attributes: Sequence[str], max_objects: int = 500
    ) -> ReplicationPage:
        """The next page of objects that changed since ``cookie`` (None: all of them)."""
        page = self._read(naming_context, cookie, attributes, max_objects, None)
        if page.more and page.cookie == cookie:
            raise _garbled("more is announced, and the cookie stands still")
        return page

    def object(self, guid: UUID, naming_context: str, attributes: Sequence[str]) -> ReplicationPage:
        """One object's current state; the page's cookie is of no use. 8333 if the object does not exist."""
        return self._read(naming_context, None, attributes, 1, guid.bytes_le)

    def unbind(self) -> None:
        """Sign off, if signed on; the connection counts as closed even if that fails. Session keys are kept."""
        handle, self._handle = self._handle, None
        if handle is not None:
            self._channel.call("unbind", {"handle": handle})

    def nt_hash(self, obj: ReplicatedObject) -> bytes | None:
        """The object's NT hash (16 bytes); None if it has none. Raises EnvelopeError."""
        attribute = obj.attributes.get("unicodePwd")
        if attribute is None or not attribute.values:
            return None
        found = decrypt(attribute.values[0], self._session_keys, obj.rid, md5=self._md5)
        if found is not None and len(found) != NT_HASH_SIZE:
            raise EnvelopeError(f"invalid parameter: an NT hash of {len(found)} bytes")
        return found

    def plain(self, obj: ReplicatedObject, name: str) -> bytes | None:
        """A secret without a RID layer, such as supplementalCredentials; None if there is none. Raises EnvelopeError.

        name: the attribute's, as it was asked for.
        """
        attribute = obj.attributes.get(name)
        if attribute is None or not attribute.values:
            return None
        return decrypt(attribute.values[0], self._session_keys, None, md5=self._md5)

    def _filetime(self) -> int:
        return (self._clock() - _EPOCH) // timedelta(microseconds=1) * 10

    def _read(
        self,
        naming_context: str,
        cookie: bytes | None,
        attributes: Sequence[str],
        max_objects: int,
        guid: bytes | None,
    ) -> ReplicationPage:
        if self._handle is None:
            raise ReplicationError(INVALID_BINDING, "The binding handle is invalid.")
        answer = self._channel.call(
            "get-nc-changes",
            {
                "handle": self._handle,
                "naming_context": naming_context,
                "cookie": cookie,
                "attributes": list(attributes),
                "max_objects": max_objects,
                "object": guid,
            },
        )
        objects = [self._object(raw) for raw in _get(answer, "objects", list)]
        return ReplicationPage(objects, _get(answer, "cookie", bytes), _get(answer, "more", bool))

    def _object(self, raw: Any) -> ReplicatedObject:
        guid, dn, sid, deleted, entries = _OBJECT.read(raw)
        attributes = {}
        for entry in entries:
            attribute = self._attribute(entry)
            attributes[attribute.name] = attribute
        return ReplicatedObject(_uuid(guid), dn, _rid(sid), sid, deleted, attributes)

    def _attribute(self, raw: Any) -> ReplicatedAttribute:
        name, values, version, changed, invocation, originating_usn, local_usn = _ATTRIBUTE.read(raw)
        if not 0 <= changed <= _CHANGED_MAX:
            raise FileTimeError
        for value in values:
            if type(value) is not bytes:
                raise _garbled("an attribute's value is not bytes")
        known = self._invocations.get(invocation)
        if known is None:
            _uuid(invocation)
            known = self._invocations[invocation] = invocation  # one object for the thousands of users that it names
        return ReplicatedAttribute(name, tuple(values), version, changed, known, originating_usn, local_usn)


class _Shape:
    """Fields of a message, each exactly of its type: read at once, because a page has thousands."""

    def __init__(self, **kinds: type[Any]) -> None:
        self._kinds = kinds
        self._types = list(kinds.values())
        self._get = itemgetter(*kinds)

    def read(self, message: Any) -> tuple[Any, ...]:
        """The fields' values, in order. Raises ReplicationError 1728."""
        try:
            found: tuple[Any, ...] = self._get(message)
        except (KeyError, TypeError, IndexError):
            found = ()
        if list(map(type, found)) == self._types:
            return found
        return tuple(_get(message, key, kind) for key, kind in self._kinds.items())


_OBJECT = _Shape(guid=bytes, dn=str, sid=bytes, deleted=bool, attributes=list)
_ATTRIBUTE = _Shape(
    name=str, values=list, version=int, changed=int, invocation=bytes, originating_usn=int, local_usn=int
)


def _get(message: Any, key: str, kind: type[Any]) -> Any:
    """A field of a message; exactly of that type, because True is no USN."""
    try:
        found = message[key]
    except (KeyError, TypeError, IndexError) as error:
        raise _garbled(f"the answer has no {key}") from error
    if type(found) is not kind:
        raise _garbled(f"the answer's {key} is a {type(found).__name__}")
    return found


def _garbled(detail: str) -> ReplicationError:
    return ReplicationError(PROTOCOL_ERROR, f"A remote procedure call (RPC) protocol error occurred: {detail}.")


def _uuid(raw: bytes) -> UUID:
    try:
        return UUID(bytes_le=raw)
    except ValueError as error:
        raise _garbled("a GUID is 16 bytes") from error


def _rid(sid: bytes) -> int:
    """The last sub-authority of a binary SID ([MS-DTYP] 2.4.2.2)."""
    if not sid:
        return 0
    if len(sid) < 12 or len(sid) != 8 + 4 * sid[1]:
        raise _garbled("a SID of a length that does not exist")
    return int.from_bytes(sid[-4:], "little")
