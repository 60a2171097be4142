"""What the tests of client libraries share: a tenant in this process, and one on a port."""

from __future__ import annotations

from azure_ad.conftest import (
    application,
    clock,
    export,
    item,
    later,
    synchronize,
    tenant,
)
from serving.conftest import served_with

__all__ = ["application", "clock", "export", "item", "later", "served_with", "synchronize", "tenant"]
