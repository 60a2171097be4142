"""Actions that the world refuses, as a scenario has them that expects just that."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from simulator.explore.writing import Document
from simulator.scenario.file import Case
from simulator.scenario.result import Failure


def expect_refusals(document: Document, case: Case, failures: tuple[Failure, ...]) -> Document:
    """The document with each refused action in an entry of its own that expects it to be refused."""
    reasons = {
        (failure.position.line, failure.position.column): failure.got.removeprefix("refused: ").partition(" ")[0]
        for failure in failures
        if failure.kind == "action" and failure.position
    }
    steps: list[Document] = []
    for written, step in zip(document["timeline"], case.scenario.timeline, strict=True):
        together: list[Any] = []
        rest = list(written.get("do", ()))
        for told, each in zip(rest, step.do, strict=True):
            place = each.position
            reason = reasons.get((place.line, place.column)) if place else None
            if reason is None:
                together.append(told)
                continue
            if together:
                steps.append({"at": written["at"], "do": together})
            steps.append({"at": written["at"], "do": [told], "expect": [{"refused": reason}]})
            together = []
        last = {"at": written["at"], **({"do": together} if together else {})}
        if written.get("expect"):
            last["expect"] = written["expect"]
        if len(last) > 1:
            steps.append(last)
    return {**deepcopy(document), "timeline": steps}
