"""Users as scenarios name them: one handle for what may be several objects in the directory and one in the tenant."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID


@dataclass(slots=True)
class Person:
    """A user as scenarios name them. guids: of the directory objects that bore the handle, the newest last.

    selected: an administrator has chosen the user for selective synchronization.
    """

    handle: str
    domain: str | None = None
    guids: list[UUID] = field(default_factory=list)
    cloud_id: str | None = None
    upn: str = ""
    selected: bool = False
