"""The stamp of a password's change: what orders the changes of one user, wherever in the domain they were made."""

from __future__ import annotations

from typing import NamedTuple

Sent = tuple[int, int, bytes]
"""A change as it was sent: (version, originating time, originating invocation). An older one compares lower."""


class Stamp(NamedTuple):
    """An attribute's metadata as replication tells it ([MS-DRSR] 5.11, AttributeStamp).

    version: rises by one with each originating write. changed: whole seconds since 1601-01-01 UTC. invocation: the 16
    bytes that name the controller's copy where it was written. usn: the local USN on the controller that was read.
    """

    version: int
    changed: int
    invocation: bytes
    usn: int

    @property
    def sent(self) -> Sent:
        """What the directory itself decides conflicts by, in its order; the USN differs from controller to controller.

        Of two changes of one version in one second the greater invocation stands, in the order of its bytes
        (unconfirmed, as for the directory).
        """
        return self[:3]
