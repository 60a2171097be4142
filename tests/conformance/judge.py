"""Whether two servers answered alike, and whether it is known why not."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conformance.lab import Said

DIFFERENCES = Path(__file__).with_name("differences.toml")
KINDS = ("windows", "scope", "unconfirmed", "ours")
"""Why a difference stands: Windows answers as ours does; what is asked lies outside of what is simulated; what Windows
answers is not known; or ours is not right yet, and the reason says what is."""


@dataclass(frozen=True)
class Failed:
    """A check that did not come to an observation on one server."""

    why: str


@dataclass(frozen=True)
class Difference:
    """A difference that is known. kind: one of :data:`KINDS`."""

    kind: str
    reason: str


@dataclass(frozen=True)
class Verdict:
    """What came of a check: agree, differ (and listed), stale (listed, but alike), unlisted or failed."""

    word: str
    text: str = ""

    @property
    def good(self) -> bool:
        """Whether nobody has to look at it."""
        return self.word in ("agree", "differ")


RESTATED = {
    1: "00002020", 2: "00002021", 16: "0000200A", 17: "0000200C", 19: "0000202F", 20: "0000200D", 21: "0000200B",
    32: "00002030", 34: "00002032", 53: "00002035", 64: "00002037", 65: "00002014", 68: "00002071", 80: "00002095",
}  # fmt: skip
"""Win32 codes that say the LDAP result code once more, nothing else: Samba writes them where it knows no better one."""


def alike(theirs: Any, ours: Any) -> bool:
    """Whether two observations are the same.

    Of answers the result codes count, and what Samba tells beside: its texts often carry no Win32 code, or one that
    only restates the result code, and never the DN that was matched.
    """
    if isinstance(theirs, Said) and isinstance(ours, Said):
        told = "" if theirs.win32 == RESTATED.get(theirs.code) else theirs.win32
        same_name = theirs.matched == "" or theirs.matched.lower() == ours.matched.lower()
        return theirs.code == ours.code and same_name and told in ("", ours.win32)
    if isinstance(theirs, Mapping) and isinstance(ours, Mapping):
        return theirs.keys() == ours.keys() and all(alike(theirs[key], ours[key]) for key in theirs)
    if _is_list(theirs) and _is_list(ours):
        return len(theirs) == len(ours) and all(map(alike, theirs, ours))
    return type(theirs) is type(ours) and bool(theirs == ours)


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def judge(theirs: Any, ours: Any, listed: Difference | None) -> Verdict:
    """The verdict on a check's two observations."""
    failures = [f"{who}: {saw.why}" for who, saw in (("Samba", theirs), ("ours", ours)) if isinstance(saw, Failed)]
    if failures:
        return Verdict("failed", "\n".join(failures))
    if alike(theirs, ours):
        return Verdict("stale", "listed as a difference, but there is none any more") if listed else Verdict("agree")
    return Verdict("differ" if listed else "unlisted", "\n".join(contrast(theirs, ours)))


def contrast(theirs: Any, ours: Any, where: str = "") -> Iterable[str]:
    """Lines that show in which parts two observations differ."""
    if alike(theirs, ours):
        return
    if isinstance(theirs, Mapping) and isinstance(ours, Mapping):
        for key in sorted({*theirs, *ours}, key=str):
            yield from contrast(theirs.get(key, "(absent)"), ours.get(key, "(absent)"), f"{where}.{key}")
    elif _is_list(theirs) and _is_list(ours) and len(theirs) == len(ours):
        for index, (one, other) in enumerate(zip(theirs, ours, strict=True)):
            yield from contrast(one, other, f"{where}[{index}]")
    else:
        yield f"{where.lstrip('.') or 'answer'}: Samba {shown(theirs)}; ours {shown(ours)}"


def shown(value: Any) -> str:
    """An observation in a line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {shown(each)}" for key, each in value.items()) + "}"
    if _is_list(value):
        return "[" + ", ".join(map(shown, value)) + "]"
    return str(value)


def read_differences(path: Path = DIFFERENCES) -> dict[str, Difference]:
    """The list of known differences by check: tables ``[[difference]]`` with kind, reason and checks.

    Raises ValueError if it is malformed or names a check twice.
    """
    found: dict[str, Difference] = {}
    for entry in tomllib.loads(path.read_text(encoding="utf-8")).get("difference", []):
        if set(entry) != {"kind", "reason", "checks"}:
            raise ValueError(f"{path.name}: a difference needs kind, reason and checks, not {', '.join(entry)}")
        if entry["kind"] not in KINDS or not str(entry["reason"]).strip() or not entry["checks"]:
            raise ValueError(f"{path.name}: a kind ({' or '.join(KINDS)}), a reason and checks are needed: {entry}")
        for check in entry["checks"]:
            if check in found:
                raise ValueError(f"{path.name}: {check} is listed twice")
            found[check] = Difference(entry["kind"], entry["reason"])
    return found
