"""The kinds of faults that a sweep injects, and on which wires each makes sense.

A kind is a word such as ``lose-response``; for the results of single items it names the user, ``result-5=alice``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from simulator.scenario.fault_models import Fault

RETRY_AFTER = timedelta(seconds=150)
"""The pause that an injected 429 asks for: longer than a password cycle, so that one finds it still in force."""

DELAY = timedelta(seconds=150)
"""How long a delayed call takes: the next start on the grid falls due while it still waits."""

_CLOUD = ("cloud.token", "cloud.set-passwords", "cloud.set-objects", "cloud.ping")
_SERVICE = _CLOUD[1:]
_DIRECTORY = ("directory.bind", "directory.search", "directory.read-passwords")
_WIRES = (*_CLOUD, *_DIRECTORY)
_ALL = (*_WIRES, "store.commit")


@dataclass(frozen=True)
class Kind:
    """One kind of fault: its word, the wires that it fits, and what a rule of ``faults`` says beside ``on``."""

    word: str
    wires: tuple[str, ...]
    effect: Mapping[str, Any] = field(default_factory=dict)


KINDS: tuple[Kind, ...] = (
    Kind("429", _CLOUD, {"answer": 429, "retry_after": RETRY_AFTER}),
    Kind("503", _CLOUD, {"answer": 503}),
    Kind("500", _SERVICE, {"answer": 500}),
    Kind("401", _CLOUD, {"answer": 401}),
    Kind("400", ("cloud.token",), {"answer": 400}),
    Kind("fault-81", _SERVICE, {"fault": 81}),
    Kind("fault-90", _SERVICE, {"fault": 90}),
    Kind("denied", _SERVICE, {"fault": "denied"}),
    Kind("redirect", _SERVICE, {"fault": "redirect"}),
    Kind("result-2", ("cloud.set-passwords",), {"result": 2}),
    Kind("result-5", ("cloud.set-passwords",), {"result": 5}),
    Kind("fail-1722", ("directory.read-passwords",), {"fail": 1722}),
    Kind("fail-8453", ("directory.read-passwords",), {"fail": 8453}),
    Kind("connection-refused", _WIRES, {"fail": "connection-refused"}),
    Kind("timeout", _WIRES, {"fail": "timeout"}),
    Kind("tls", _WIRES, {"fail": "tls"}),
    Kind("lose-request", _ALL, {"lose": "request"}),
    Kind("lose-response", _ALL, {"lose": "response"}),
    Kind("delay", _ALL, {"delay": DELAY}),
    Kind("duplicate", _WIRES, {"duplicate": True}),
    Kind("corrupt", _WIRES, {"corrupt": True}),
    Kind("crash-before", _ALL, {"crash": "before"}),
    Kind("crash-after", _ALL, {"crash": "after"}),
)
"""Result 2 tells that the item's object is not known in the tenant (the agent exports it again), 5 of any other
refusal. What each number means is unconfirmed."""

BY_WORD = {kind.word: kind for kind in KINDS}
WORDS = tuple(BY_WORD)


def kinds_of(on: str, users: tuple[str, ...], by_hand: bool = False) -> Iterator[str]:
    """The kinds of fault that fit an attempt, as words; single items fail at both ends of a batch.

    ``by_hand``: an operator waits for it, and does nothing else meanwhile: it takes no time.
    """
    for kind in KINDS:
        if on not in kind.wires or (by_hand and "delay" in kind.effect):
            continue
        if "result" not in kind.effect:
            yield kind.word
            continue
        for user in dict.fromkeys(users[:1] + users[-1:]):
            yield f"{kind.word}={user}"


def kind_of(word: str) -> str:
    """The kind without the user that it is about."""
    return word.partition("=")[0]


def rule(on: str, word: str, call: int | None = None) -> Fault:
    """The rule of ``faults`` that a word stands for. Raises KeyError for an unknown word, ValidationError if it does
    not fit the wire."""
    name, _, user = word.partition("=")
    arguments = dict(BY_WORD[name].effect)
    if user:
        arguments["user"] = user
    if call is not None:
        arguments["call"] = call
    return Fault.model_validate({"on": on, **arguments}, by_name=True)
