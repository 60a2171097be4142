"""What directory and tenant say when they refuse a request: a reason that people understand.

The wires translate it: LDAP into result codes and diagnostic texts, HTTP into status and error bodies.
"""

from __future__ import annotations

from typing import Any


class Refusal(Exception):
    """A request that the world refuses.

    ``reason`` is one of the words of the scenario format (``password-too-short``, ``no-such-user``, ...). ``detail`` is
    a sentence for people. ``data`` holds what a wire needs for its own answer (a Win32 code, an LDAP result, ...).
    """

    def __init__(self, reason: str, detail: str = "", **data: Any) -> None:
        self.reason = reason
        self.detail = detail
        self.data = data
        super().__init__(f"{reason}: {detail}" if detail else reason)
