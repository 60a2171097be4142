"""What a diagnosis comes to: checks with their verdicts, as text for an administrator and as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

OK: Final = "ok"
_INDENT: Final = {"domain": 8, "object": 4}


@dataclass(frozen=True)
class Check:
    """One question and its answer.

    level: ``tenant``, ``server``, ``connector``, ``domain`` or ``object``; subject: which one. verdict: a sentence.
    finding: a word of the scenario format's ``agent.diagnosis``; None where all is well, or could not be found out.
    """

    level: str
    subject: str
    name: str
    verdict: str
    finding: str | None = None


@dataclass(frozen=True)
class Diagnosis:
    """All checks in the order in which they were made.

    pause: for so many seconds the tenant wants no further call; None if it did not say so.
    """

    time: datetime
    checks: tuple[Check, ...]
    pause: float | None = None

    @property
    def finds(self) -> tuple[str, ...]:
        """What is wrong, each word once; ``ok`` alone if nothing is."""
        return tuple(dict.fromkeys(check.finding for check in self.checks if check.finding)) or (OK,)

    def text(self) -> str:
        """As an administrator reads it."""
        title = f"Diagnosis of password synchronization at {self.time:%Y-%m-%d %H:%M:%S} UTC"
        lines, subject = [title, "=" * len(title)], None
        for check in self.checks:
            indent = " " * _INDENT.get(check.level, 0)
            if (check.level, check.subject) != subject:
                subject = (check.level, check.subject)
                lines += ["", f"{indent}{check.level.capitalize()} - {check.subject}"]
            mark = f"[{check.finding}] " if check.finding else ""
            lines.append(f"{indent}    {mark}{check.verdict}")
        return "\n".join([*lines, "", f"Found: {', '.join(self.finds)}"])

    def as_json(self) -> dict[str, Any]:
        """As plain values: ``time``, ``finds`` and ``checks``."""
        checks = [
            {
                "level": check.level,
                "subject": check.subject,
                "check": check.name,
                "verdict": check.verdict,
                "finding": check.finding,
            }
            for check in self.checks
        ]
        return {"time": f"{self.time:%Y-%m-%dT%H:%M:%SZ}", "finds": list(self.finds), "checks": checks}
