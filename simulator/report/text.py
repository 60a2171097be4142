"""Results as text, for people: shaped like a compiler's errors, without colours, the same in every place they show.

No password of a scenario is repeated: where a line of the file is shown, quoted passwords in it are blotted out.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from simulator.scenario.errors import FileError
from simulator.scenario.result import Failure, Position, RunResult
from simulator.scenario.rules import RULES

REPORT_FAULT_TO = "Please report it with the text above, the scenario file, and the output of: pwsync --version"

_QUOTED = r"\"(?:[^\"\\]|\\.)*\"|'(?:[^']|'')*'"
_SECRET = re.compile(rf"([\"']?\b(?:password|old|userPassword)\b[\"']?\s*:\s*)({_QUOTED})")
_LIST_OF_SECRETS = re.compile(r"(\bis\s*:\s*\[)([^\]]*)")
_ITEM_OF_SECRETS = re.compile(rf"^(\s*-\s+)({_QUOTED})(?=\s*(?:#.*)?$)")


def blot(line: str) -> str:
    """The line with its quoted passwords blotted out, at the same length, so that columns stay true."""
    line = _SECRET.sub(lambda found: found[1] + _stars(found[2]), line)
    line = _LIST_OF_SECRETS.sub(lambda found: found[1] + re.sub(_QUOTED, lambda text: _stars(text[0]), found[2]), line)
    return _ITEM_OF_SECRETS.sub(lambda found: found[1] + _stars(found[2]), line)


def _stars(quoted: str) -> str:
    return quoted[0] + "*" * (len(quoted) - 2) + quoted[-1]


def source_line(position: Position) -> str:
    """The line that a position points to; empty if the file can't be read any more."""
    try:
        lines = Path(position.path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return lines[position.line - 1] if 0 < position.line <= len(lines) else ""


def snippet(position: Position) -> list[str]:
    """Where something stands, as the errors of a file show it: place, line, and a caret below the marked text."""
    return FileError("", position, blot(source_line(position))).render().splitlines()[1:]


def headline(result: RunResult) -> str:
    """One line for one result, shown as soon as it is known."""
    if result.outcome == "held":
        return f"held   {result.id}"
    if result.outcome == "harness-fault":
        last = (result.harness_fault or "").strip().splitlines()
        return f"FAULT  {result.id}  {last[-1] if last else 'no reason was given'}"
    first, *others = result.failures or (Failure("expectation", "broke", ""),)
    more = f"  (and {len(others)} more)" if others else ""
    word = "DIFFERS" if result.outcome == "not-deterministic" else "BROKE "
    return f"{word} {result.id}  " + " ".join(filter(None, (first.at, first.title))) + more


def failure_text(result: RunResult, failure: Failure) -> str:
    """One failure in full; its last line is the command that repeats it."""
    lines = [f"error: {failure.title}" + (f" at {failure.at}" if failure.at else "")]
    lines += snippet(failure.position) if failure.position else _place(result)
    fields = [("scenario", [f"{result.id}: {result.title}"])]
    fields.append(("expected", failure.expected.splitlines()))
    fields.append(("got", failure.got.splitlines()))
    fields.append(("why", [failure.why] if failure.why else []))
    fields.append(("because", list(failure.because)))
    fields.append(("fired", list(result.faults_fired)))
    fields.append(("rule", [_rule(rule) for rule in failure.rules]))
    for name, values in fields:
        for index, value in enumerate(values):
            lines.append(f"  {name if index == 0 else '':<9} {value}".rstrip())
    lines.append(f"  {'repeat':<9} {result.repeat}")
    return "\n".join(lines)


def _place(result: RunResult) -> list[str]:
    """Where the scenario of a result stands; a random run that was not written down stands nowhere."""
    return [f" --> {result.path}"] if result.path else []


def _rule(rule: str) -> str:
    return f"{rule}: {RULES[rule].text}" if rule in RULES else rule


def fault_text(result: RunResult) -> str:
    """A fault of the harness in full: the traceback, whose fault it is, and what to do."""
    return "\n".join(
        [
            f"fault: {result.id} could not be run to its end",
            *_place(result),
            *(f"  {line}".rstrip() for line in (result.harness_fault or "no reason was given").rstrip().splitlines()),
            "  = this is a fault of pwsync itself, not of your scenario",
            f"  = {REPORT_FAULT_TO}",
            f"  {'repeat':<9} {result.repeat}",
        ]
    )


def told_fault(message: str, fault: str) -> str:
    """What else went wrong in the harness: what that means, the traceback, whose fault it is, and what to do."""
    return "\n".join(
        [
            f"fault: {message}",
            *(f"  {line}".rstrip() for line in fault.rstrip().splitlines()),
            "  = this is a fault of pwsync itself, not of your scenario",
            f"  = {REPORT_FAULT_TO}",
        ]
    )


def counted(count: int, noun: str) -> str:
    """A number with its noun: ``1 run``, ``2 runs``."""
    return f"{count} {noun}{'s' * (count != 1)}"


def result_text(result: RunResult) -> str:
    """All that there is to say about a result that did not hold; empty for one that did."""
    if result.outcome == "harness-fault":
        return fault_text(result)
    return "\n\n".join(failure_text(result, failure) for failure in result.failures)


def counts_text(results: Iterable[RunResult], seconds: float) -> str:
    """How many scenarios held, broke or could not be run, and how long all took."""
    tally = Counter(result.outcome for result in results)
    parts = [f"{tally['held']} held"]
    parts += [f"{tally['broke']} broke"] * bool(tally["broke"])
    parts += [f"{tally['not-deterministic']} not deterministic"] * bool(tally["not-deterministic"])
    parts += [f"{tally['harness-fault']} at fault"] * bool(tally["harness-fault"])
    total = sum(tally.values())
    return f"{total} scenario{'s' * (total != 1)}: {', '.join(parts)}, in {seconds:.2f} s"


def seeds_text(results: Sequence[RunResult]) -> str:
    """The seed of all runs, or the seeds where they differ."""
    seeds = sorted({result.seed for result in results})
    return ("seed " if len(seeds) == 1 else "seeds ") + ", ".join(str(seed) for seed in seeds)
