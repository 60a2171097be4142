"""Synchronized objects that are no users: groups, contacts and devices. They are kept as they came.

The simulation gives them no behaviour beyond what a user's addresses may not collide with; deleting one is for good
(product documentation: only users and Microsoft 365 groups are soft-deleted).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from pwsync.tenant.messages import AttributeValue, SyncObject
from simulator.random import Randomness

OTHER_TYPES = ("Group", "Contact", "Device")


@dataclass(slots=True, eq=False)
class OtherObject:
    """A group, contact or device. id: a UUID. change: place among all changes; ``deleted``: it is gone."""

    id: str
    kind: str
    source_anchor: str
    synced_at: datetime
    attributes: dict[str, AttributeValue] = field(default_factory=dict)
    change: int = 0
    deleted: bool = False


class OtherObjects:
    """All of them, by kind and source anchor. next_change: gives each change its place."""

    def __init__(self, clock: Callable[[], datetime], randomness: Randomness, next_change: Callable[[], int]) -> None:
        self._clock = clock
        self._randomness = randomness
        self._next_change = next_change
        self._by_anchor: dict[tuple[str, str], OtherObject] = {}
        self._by_id: dict[str, OtherObject] = {}

    def __iter__(self) -> Iterator[OtherObject]:
        """All, deleted ones too: whoever reads changes back has to hear of those."""
        return iter(self._by_id.values())

    def by_id(self, object_id: str) -> OtherObject | None:
        """A live one."""
        found = self._by_id.get(object_id)
        return None if found is None or found.deleted else found

    def find(self, obj: SyncObject) -> OtherObject | None:
        """The live object that a change is about: by source anchor, or by ``Kind_id``, its cloud anchor."""
        if obj.source_anchor:
            return self._by_anchor.get((obj.object_type, obj.source_anchor))
        kind, _, object_id = (obj.cloud_anchor or "").partition("_")
        found = self.by_id(object_id)
        return found if found is not None and kind == found.kind == obj.object_type else None

    def put(self, obj: SyncObject) -> OtherObject:
        """Make or change an object: a value of None takes the attribute away, what is left out stays."""
        found = self.find(obj)
        if found is None:
            object_id = str(self._randomness.uuid("azure_ad/objects"))
            found = OtherObject(object_id, obj.object_type, obj.source_anchor, self._clock())
            self._by_anchor[obj.object_type, obj.source_anchor] = self._by_id[object_id] = found
        for name, value in obj.attributes.items():
            if value is None:
                found.attributes.pop(name, None)
            else:
                found.attributes[name] = value
        found.synced_at, found.change = self._clock(), self._next_change()
        return found

    def delete(self, found: OtherObject) -> None:
        """Take an object away; its anchor is free again."""
        found.deleted, found.change = True, self._next_change()
        found.attributes.clear()
        del self._by_anchor[found.kind, found.source_anchor]
