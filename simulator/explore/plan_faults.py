"""What goes wrong in a random run: fault rules, drawn so that none of them fires after the run's last moment."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from random import Random
from typing import Any

from simulator.explore.writing import Document, offset
from simulator.scenario.fault_models import BROKEN, FITTING, KIND_WORDS

GROUPS = (
    "http-errors", "throttling", "soap-faults", "item-results", "broken-links", "replication-codes", "lost-requests",
    "lost-answers", "delays", "duplicates", "garbled-answers", "crash-before", "crash-after", "store-faults",
    "directory-faults", "one-endpoint", "late-faults",
)  # fmt: skip
"""Kinds of faults that a plan may do without."""

WIRES = (
    *["cloud.set-passwords"] * 5, *["directory.read-passwords"] * 3, *["store.commit"] * 3, "cloud.token",
    "cloud.set-objects", "cloud.set-objects", "cloud.ping", "cloud.any", "directory.bind", "directory.search",
    "directory.any",
)  # fmt: skip

CODES = ("5", "1326", "1722", "1753", "1818", "8333", "8439", "8451", "8453", "8456")
"""Win32 codes that a read of passwords may end with."""

PAUSES = ("30s", "90s", "2m", "121s", "10m", "31m")
DELAYS = ("1s", "30s", "90s", "2m", "121s", "5m", "33m")

Effect = dict[str, Any]


def effects(on: str, random: Random) -> list[tuple[str, Effect]]:
    """What may go wrong on a wire, each with its group; numbers and pauses drawn."""
    found: list[tuple[str, Effect]] = [
        ("throttling", {"answer": random.choice(["429", "503"]), "retry-after": random.choice(PAUSES)}),
        ("http-errors", {"answer": random.choice(["400", "401", "429", "500", "503"])}),
        ("soap-faults", {"fault": random.choice(["81", "90", "denied", "redirect"])}),
        ("broken-links", {"fail": random.choice(BROKEN)}),
        ("lost-requests", {"lose": "request"}),
        ("lost-answers", {"lose": "response"}),
        ("delays", {"delay": random.choice(DELAYS)}),
        ("duplicates", {"duplicate": "true"}),
        ("garbled-answers", {"corrupt": "true"}),
        ("crash-before", {"crash": "before"}),
        ("crash-after", {"crash": "after"}),
        ("crash-after", {"crash": random.choice(["before", "after"]), "delay": random.choice(DELAYS)}),
        ("item-results", {"result": random.choice(["2", "5", "29"])}),
    ]
    if on == "directory.read-passwords":
        found.append(("replication-codes", {"fail": random.choice(CODES)}))
    return [(group, effect) for group, effect in found if all(_fits(on, key) for key in effect)]


def _fits(on: str, key: str) -> bool:
    return key == "retry-after" or key in FITTING[on]


def draw_faults(
    random: Random,
    count: int,
    last: int,
    left_out: Collection[str],
    users: Sequence[str],
    domains: Mapping[str, Sequence[str]],
) -> list[Document]:
    """Up to ``count`` rules, none of which fires later than ``last`` seconds after the start."""
    drawn = (_draw(random, last, left_out, users, domains) for _ in range(count))
    return [fault for fault in drawn if fault]


def _draw(
    random: Random,
    last: int,
    left_out: Collection[str],
    users: Sequence[str],
    domains: Mapping[str, Sequence[str]],
) -> Document:
    on = random.choice(WIRES)
    if on.partition(".")[0] in ("directory", "store") and f"{on.partition('.')[0]}-faults" in left_out:
        return {}
    possible = [effect for group, effect in effects(on, random) if group not in left_out]
    if not possible:
        return {}
    effect = random.choice(possible)
    fault: Document = {"on": on, **select(random, last)}
    if "result" in effect and random.random() < 0.7:
        fault["user"] = random.choice(users)
    if on.startswith("cloud.") and on != "cloud.token" and "one-endpoint" not in left_out and random.random() < 0.4:
        fault["endpoint"] = random.choice(["regional", "well-known"])
    if "delay" not in effect and "late-faults" not in left_out and random.random() < 0.2:
        effect = {**effect, "delay": random.choice(DELAYS)}
    if on.startswith("directory.") and random.random() < 0.3:
        fault["domain"] = random.choice(list(domains))
        if random.random() < 0.3:
            fault["controller"] = random.choice(domains[fault["domain"]])
    return {**fault, **effect}


def select(random: Random, last: int) -> Document:
    """Which attempts a rule takes: the nth, the first few, or those of a time."""
    kind = random.random()
    whole = {"between": ["+0s", offset(last)]}
    if kind < 0.45:
        return {"call": str(random.randint(1, 6)), **whole}
    if kind < 0.75:
        return {"times": str(random.randint(1, 4)), **whole}
    first = random.randint(0, last)
    return {"between": [offset(first), offset(min(first + random.randint(0, 900), last))]}


def draw_kinds(random: Random, on: Sequence[str], kinds: Sequence[int | str], count: int, last: int) -> list[Document]:
    """Rules of the kinds that an ``explore`` block names, on its wires; what does not fit a wire is not drawn."""
    fitting = [(wire, effect) for wire in on for kind in kinds if (effect := effect_of(kind, random, wire))]
    return [{"on": wire, **select(random, last), **effect} for wire, effect in _some(random, fitting, count)]


def _some(random: Random, fitting: list[tuple[str, Effect]], count: int) -> list[tuple[str, Effect]]:
    return [random.choice(fitting) for _ in range(count)] if fitting else []


def effect_of(kind: int | str, random: Random, on: str) -> Effect | None:
    """The effect that a kind of an ``explore`` block stands for; None if it does not fit the wire."""
    effect: Effect
    if isinstance(kind, int):
        effect = {"answer": str(kind)}
        if kind in (429, 503) and random.random() < 0.7:
            effect["retry-after"] = random.choice(PAUSES)
    elif kind in BROKEN:
        effect = {"fail": kind}
    elif kind in KIND_WORDS and "-" in kind:
        name, _, value = kind.partition("-")
        effect = {name: value}
    else:
        effect = {kind: "true"}
    return effect if all(_fits(on, key) for key in effect) else None
