"""What the wire tests share: vectors, and hypothesis without a deadline (the machine may be busy)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

settings.register_profile("wire", deadline=None)
settings.load_profile("wire")


@pytest.fixture
def vectors() -> Callable[[str], dict[str, Any]]:
    """Reads a file of ``vectors/`` by name."""

    def read(name: str) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads((Path(__file__).parent / "vectors" / f"{name}.json").read_text("utf-8"))
        return loaded

    return read
