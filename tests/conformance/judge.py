"""Whether two servers answered alike, and whether it is known why not."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conformance.lab import Said

DIFFERENCES = Path(__file__).with_name("differences.toml")
KINDS = ("windows", "scope")
"""Why a difference may stand: Windows answers as ours does; or what is asked lies outside of what is simulated."""


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


def alike(theirs: Any, ours: Any) -> bool:
    """Whether two observations are the same; a text of theirs that carries no Win32 code says nothing about ours."""
    if isinstance(theirs, Said) and isinstance(ours, Said):
        same_code = theirs.code == ours.code and theirs.matched.lower() == ours.matched.lower()
        return same_code and theirs.win32 in ("", ours.win32)
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
