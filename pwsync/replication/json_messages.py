"""Replication messages as JSON, for a channel that crosses a real wire.

A message is a mapping of texts, numbers, truth values, octets, lists and mappings. Octets are ``{"$base64": "..."}``.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from typing import Any, Final

OCTETS: Final = "$base64"


def dump(message: Any) -> bytes:
    """A message as JSON (ASCII). Raises TypeError for what is none of the values above."""
    return json.dumps(message, separators=(",", ":"), default=_octets).encode("ascii")


def load(data: bytes) -> Any:
    """The message in some JSON. Raises ValueError for anything else."""
    try:
        return json.loads(data, object_hook=_unwrapped, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _octets(value: Any) -> dict[str, str]:
    if not isinstance(value, bytes):
        raise TypeError(f"a message can't hold a {type(value).__name__}")
    return {OCTETS: b64encode(value).decode("ascii")}


def _unwrapped(found: dict[str, Any]) -> Any:
    if len(found) != 1 or OCTETS not in found:
        return found
    text = found[OCTETS]
    if not isinstance(text, str):
        raise ValueError(f"{OCTETS} is a text")
    return b64decode(text, validate=True)


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no number of a message")
