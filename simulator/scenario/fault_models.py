"""Faults: what goes wrong on wires and in the store; and the random runs of ``explore``."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import model_validator

from simulator.scenario.base import Part, Placed, split_controller
from simulator.scenario.kinds import (
    CHOICE,
    HANDLE,
    OFFSET_SCHEMA,
    Controller,
    DomainName,
    Drawn,
    Duration,
    Flag,
    Handle,
    Kind,
    among,
    listed,
    number_or_word,
    read_between,
    read_choice,
    whole,
)
from simulator.scenario.values import Range, bad

Wire = Literal[
    "cloud.token", "cloud.set-passwords", "cloud.set-objects", "cloud.ping", "cloud.any", "directory.bind",
    "directory.search", "directory.read-passwords", "directory.any", "store.commit",
]  # fmt: skip
WIRES: tuple[str, ...] = get_args(Wire)
BROKEN = ("connection-refused", "timeout", "tls")
EFFECTS = ("answer", "fault", "result", "fail", "lose", "duplicate", "corrupt", "crash")
"""What a rule may do; a delay may go with each of them, or stand alone."""

_CLOUD = ("answer", "fail", "lose", "delay", "duplicate", "corrupt", "crash")
_DIRECTORY = ("fail", "lose", "delay", "duplicate", "corrupt", "crash")
FITTING: dict[str, tuple[str, ...]] = {
    "cloud.token": _CLOUD,
    "cloud.set-passwords": (*_CLOUD, "fault", "result"),
    "cloud.set-objects": (*_CLOUD, "fault"),
    "cloud.ping": (*_CLOUD, "fault"),
    "cloud.any": (*_CLOUD, "fault"),
    "directory.bind": _DIRECTORY,
    "directory.search": _DIRECTORY,
    "directory.read-passwords": _DIRECTORY,
    "directory.any": _DIRECTORY,
    "store.commit": ("lose", "crash", "delay"),
}
"""What can go wrong on each wire."""

Between = Annotated[
    tuple[timedelta, timedelta],
    Kind(
        read_between,
        "two offsets, [+3m, +9m]",
        {"type": "array", "items": dict(OFFSET_SCHEMA), "minItems": 2, "maxItems": 2},
    ),
]
Nth = Annotated[int, whole(1, 1_000_000_000)]


class Fault(Placed):
    """One rule of ``faults``. Each attempt on a wire takes the first rule that matches it."""

    name: ClassVar[str] = "fault"
    on: Annotated[Wire, CHOICE]
    call: Nth | None = None
    times: Nth | None = None
    between: Between | None = None
    user: Handle | None = None
    domain: DomainName | None = None
    controller: Controller | None = None
    endpoint: Annotated[Literal["regional", "well-known"], CHOICE] | None = None
    answer: Annotated[int, whole(300, 599)] | None = None
    retry_after: Duration | None = None
    fault: Annotated[int | str, among("81, 90, denied or redirect", 81, 90, "denied", "redirect")] | None = None
    result: Annotated[int, whole(1, 2**31 - 1)] | None = None
    fail: (
        Annotated[int | str, number_or_word(BROKEN, 1, 65535, "a replication code or " + ", ".join(BROKEN))] | None
    ) = None
    lose: Annotated[Literal["request", "response"], CHOICE] | None = None
    delay: Duration | None = None
    duplicate: Flag = False
    corrupt: Flag = False
    crash: Annotated[Literal["before", "after"], CHOICE] | None = None

    def effects(self) -> list[str]:
        """What this rule does, but for a delay."""
        return [name for name in EFFECTS if getattr(self, name) not in (None, False)]

    @model_validator(mode="before")
    @classmethod
    def _split(cls, data: Any) -> Any:
        return split_controller(data)

    @model_validator(mode="after")
    def _check(self) -> Fault:
        self._check_selection()
        self._check_effect()
        return self

    def _check_selection(self) -> None:
        if self.call is not None and self.times is not None:
            raise bad('"call" and "times" exclude each other', "leave one of them out", key="times")
        if self.user is not None and self.on != "cloud.set-passwords":
            raise bad(f'"user" does not go with {self.on}', "expected cloud.set-passwords", key="user")
        if self.endpoint is not None and (not self.on.startswith("cloud.") or self.on == "cloud.token"):
            raise bad(f'"endpoint" does not go with {self.on}', "expected cloud.set-passwords, ...", key="endpoint")
        for key in ("domain", "controller"):
            if getattr(self, key) is not None and not self.on.startswith("directory."):
                raise bad(f'"{key}" does not go with {self.on}', "expected directory...", key=key)

    def _check_effect(self) -> None:
        effects = self.effects()
        if not effects and not self.delay:
            raise bad("a fault without an effect", "expected one of " + ", ".join((*EFFECTS, "delay")), key="on")
        for name in (*effects, *(["delay"] if self.delay else [])):
            if name not in FITTING[self.on]:
                raise bad(f'"{name}" does not fit {self.on}', self._where(name), key=name)
        if len(effects) > 1:
            raise bad(f'"{effects[0]}" and "{effects[1]}" exclude each other', "write two rules", key=effects[1])
        if isinstance(self.fail, int) and not self.on.startswith("directory."):
            raise bad(f"a replication code does not fit {self.on}", "expected one of " + ", ".join(BROKEN), key="fail")
        self._check_retry_after()

    def _check_retry_after(self) -> None:
        if self.retry_after is None:
            return
        if self.answer is None:
            raise bad('"retry-after" goes with "answer"', "such as answer: 429", key="retry-after")
        if self.retry_after % timedelta(seconds=1):
            raise bad('"retry-after" is in whole seconds', "such as 90s", key="retry-after")

    def _where(self, effect: str) -> str:
        fits = [wire for wire, effects in FITTING.items() if effect in effects]
        return f"it fits {', '.join(fits)}" if len(fits) < 6 else f"expected one of {', '.join(FITTING[self.on])}"


class ExploreChanges(Part):
    """Which changes a random run draws."""

    users: Annotated[tuple[str, ...], listed(HANDLE, at_least=1)]
    count: Drawn = Range(1, 6)
    between: Between = (timedelta(minutes=2), timedelta(minutes=20))


KIND_WORDS = ("lose-request", "lose-response", "crash-before", "crash-after", "duplicate", "corrupt", *BROKEN)
_KIND = number_or_word(KIND_WORDS, 300, 599, "an HTTP status or one of " + ", ".join(KIND_WORDS))


def effect_name(kind: int | str) -> str:
    """The key of a fault that a kind of a random run's faults stands for: an HTTP status is an ``answer``."""
    if isinstance(kind, int):
        return "answer"
    return "fail" if kind in BROKEN else kind.partition("-")[0]


class ExploreFaults(Part):
    """Which faults a random run draws."""

    on: Annotated[
        tuple[str, ...],
        listed(Kind(partial(read_choice, WIRES), "a wire", {"enum": [*WIRES]}, many="wires"), at_least=1),
    ]
    kinds: Annotated[tuple[int | str, ...], listed(_KIND, at_least=1)]
    count: Drawn = Range(0, 4)

    @model_validator(mode="after")
    def _check(self) -> ExploreFaults:
        if not any(effect_name(kind) in FITTING[on] for kind in self.kinds for on in self.on):
            kind = self.kinds[0]
            fits = ", ".join(wire for wire, effects in FITTING.items() if effect_name(kind) in effects)
            raise bad("none of these kinds fits one of these wires", f"{kind} fits {fits}", key="kinds")
        return self


class Explore(Part):
    """Seeded random runs beside the timeline."""

    runs: Annotated[int, whole(1, 1_000_000)] = 200
    changes: ExploreChanges | None = None
    faults: ExploreFaults | None = None
