"""Cookies of replication and DirSync: how far a reader has come.

High-water mark (one copy's USNs) and up-to-dateness vector (every copy's), [MS-DRSR] 5.209 and 5.207. A cookie is
opaque to its holder, who may bring it to another controller of the domain: there only the vector counts.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simulator.active_directory.replica import Entry, Replica, Stamp

_MAGIC = b"MSDS\x03\x00\x00\x00"
_HEAD = struct.Struct("<8s16s16sQQI")
_VECTOR = struct.Struct("<16sQ")


class BadCookie(ValueError):
    """Bytes are not a cookie of this domain."""


class CookieAhead(BadCookie):
    """A cookie knows of changes that this copy has not made yet: the copy was rolled back since."""


@dataclass(frozen=True, slots=True)
class Cookie:
    """domain: objectGUID of its root. invocation: the copy read from. done: its USN up to which all was given out.

    reached: how far the round that is not finished yet has come; while pages follow only this advances. vector: what
    the reader has from every copy.
    """

    domain: bytes
    invocation: bytes
    done: int
    reached: int
    vector: dict[bytes, int] = field(default_factory=dict)

    def pack(self) -> bytes:
        """The bytes that a reader carries."""
        parts = [_HEAD.pack(_MAGIC, self.domain, self.invocation, self.done, self.reached, len(self.vector))]
        parts += [_VECTOR.pack(invocation, usn) for invocation, usn in sorted(self.vector.items())]
        return b"".join(parts)


def unpack(octets: bytes) -> Cookie:
    """Read a cookie. Raises BadCookie."""
    if len(octets) < _HEAD.size:
        raise BadCookie("too short for a cookie")
    magic, domain, invocation, done, reached, count = _HEAD.unpack_from(octets)
    if magic != _MAGIC or len(octets) != _HEAD.size + count * _VECTOR.size or reached < done:
        raise BadCookie("not a cookie")
    vector = dict(_VECTOR.iter_unpack(octets[_HEAD.size :]))
    return Cookie(domain, invocation, done, reached, vector)


def resume(replica: Replica, octets: bytes | None) -> Cookie:
    """Where reading goes on at this copy: at another one than the cookie's by its vector alone.

    Raises BadCookie, also for another domain's cookie, and CookieAhead.
    """
    domain = replica.root.guid
    if not octets:
        return Cookie(domain, replica.invocation, 0, 0)
    cookie = unpack(octets)
    if cookie.domain != domain:
        raise BadCookie("a cookie of another domain")
    mine = cookie.invocation == replica.invocation
    if cookie.vector.get(replica.invocation, 0) > replica.usn or (mine and cookie.reached > replica.usn):
        raise CookieAhead("a cookie from the future of this controller")
    return cookie if mine else Cookie(domain, replica.invocation, 0, 0, cookie.vector)


def finished(replica: Replica, cookie: Cookie) -> Cookie:
    """The cookie after the last page: everything that this copy has now."""
    vector = dict(cookie.vector)
    for invocation, usn in (*replica.known.items(), (replica.invocation, replica.usn)):
        vector[invocation] = max(usn, vector.get(invocation, 0))
    return Cookie(cookie.domain, replica.invocation, replica.usn, replica.usn, vector)


def paused(cookie: Cookie, entry: Entry) -> Cookie:
    """The cookie after a page that ended with ``entry``."""
    return Cookie(cookie.domain, cookie.invocation, cookie.done, entry.usn, cookie.vector)


def is_news(stamp: Stamp, cookie: Cookie) -> bool:
    """Whether the holder of a cookie does not have this change yet."""
    return stamp.local_usn > cookie.done and stamp.originating_usn > cookie.vector.get(stamp.invocation, 0)


def changed_entries(replica: Replica, cookie: Cookie) -> Iterator[Entry]:
    """Entries in order of their last change that the round still has to look at."""
    return replica.log.since(cookie.reached)
