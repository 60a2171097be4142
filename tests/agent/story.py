"""A story of an agent in its laboratory: how it is told, event by event, call by call."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

import pytest

from pwsync.agent import SyncAgent
from pwsync.errors import (
    AgentError,
    Refused,
)
from pwsync.event_log import Event
from pwsync.ports import ServerPort
from pwsync.settings import Build


def shown(event: Event, name: Callable[[str], str] = str) -> list[str]:
    """An event with everything that it carries; texts in quotation marks, a line for each of theirs."""
    more = [
        f"{what}={found}"
        for what, found in (
            ("domain", event.domain),
            ("users", [name(anchor) for anchor in event.users]),
            ("dns", list(event.dns)),
            ("insertions", list(event.insertions)),
        )
        if found
    ]
    head = " ".join([f"{event.time:%H:%M:%S}", str(event.id), event.level, event.source, *more])
    return [head, *(f"    {json.dumps(line, ensure_ascii=False)}" for line in event.text.split("\n"))]


def folded(words: Sequence[str]) -> str:
    """Words in their order; of the same one again and again only the number."""
    runs = [(word, len(list(same))) for word, same in groupby(words)]
    return " ".join(f"{word} x{count}" if count > 1 else word for word, count in runs)


class Story:
    """An agent in its laboratory, and what is to be seen from outside, step by step."""

    def __init__(self, lab: Any, build: Build) -> None:
        self.lab, self.lines = lab, list[str]()
        lab.settings.build = build
        taken = type(lab.tenant).send_objects
        switched = type(lab.tenant).set_features

        def send_objects(objects: Any) -> Any:
            for each in objects:
                values = json.dumps(each.attributes, ensure_ascii=False)
                self.lines.append(
                    f"export {each.operation} {each.object_type} {self.name(each.source_anchor)} {values}"
                )
            return taken(lab.tenant, objects)

        def set_features(bits: int) -> None:
            self.lines.append(f"features {bits}")
            switched(lab.tenant, bits)

        lab.tenant.send_objects, lab.tenant.set_features = send_objects, set_features
        self.agent: SyncAgent = lab.agent()

    def name(self, anchor: str) -> str:
        found = [each.name for each in self.people() if each.anchor == anchor]
        return found[0] if found else anchor

    def people(self) -> list[Any]:
        return [person for domain in self.lab.domains.values() for person in domain.people.values()]

    def step(self, title: str, minutes: float = 0) -> None:
        """Let time pass, and write down all that came of it."""
        lab = self.lab
        self.lines += ["", f"== {title}"]
        if minutes:
            lab.run(self.agent, minutes)
        for event in lab.events:
            self.lines += shown(event, self.name)
        self.lines.append(f"cycles: {' '.join(f'{kind} {when:%H:%M:%S}' for kind, when in lab.cycles) or '-'}")
        self.lines += [f"calls: {folded(calls)}" for calls in [lab.tenant.calls] if calls]
        for name, domain in lab.domains.items():
            if domain.calls:
                self.lines.append(f"{name}: {folded(domain.calls)}")
        for item in lab.tenant.credentials:
            flag = " must change" if item.force_change else ""
            self.lines.append(f"taken: {self.name(item.source_anchor)} of {item.change_date:%H:%M:%S}{flag}")
        states = [f"{each.name} {self.agent.status(each.anchor)}" for each in self.people()]
        pending = [self.name(anchor) for anchor in self.agent.pending()]
        self.lines += [f"status: {', '.join(states)}; pending: {', '.join(pending) or '-'}; commits: {lab.commits}"]
        due = self.agent.next_due()
        idle = self.agent.idle_until()
        self.lines.append(f"now: {lab.now:%H:%M:%S}; due: {due and f'{due:%H:%M:%S}'}; "
                          f"idle until: {idle and f'{idle:%H:%M:%S}'}"
                          f"{', but for exports' * (idle is not None and not self.agent.imports_idle)}")  # fmt: skip
        lab.forget()

    def begin(self, **how: bool) -> None:
        self.agent.install(**(how or {"express": True}))
        self.agent.start()
        self.agent.run_due()
        self.step("the first cycles")

    def refused(self, call: Callable[[], Any]) -> None:
        """An order that is refused."""
        with pytest.raises(Refused) as refused:
            call()
        self.lines += ["", f"refused ({refused.value.reason}): {refused.value}"]

    def reborn(self) -> None:
        self.agent = self.lab.reborn(self.agent)
        self.agent.run_due()

    def moved_to(self, server: ServerPort) -> None:
        """The database goes on with an agent on another server."""
        lab = self.lab
        self.agent.close()
        self.agent = SyncAgent(replace(lab.ports(), server=server), lambda ports: (lab.tenant, lab.tenant))
        lab.agents.append(self.agent)

    def fail(self, *failures: tuple[str, AgentError]) -> None:
        self.lab.tenant.failures += failures


def refusing(operation: str, error: Exception) -> Callable[[str], None]:
    def answer(asked: str) -> None:
        if asked == operation:
            raise error

    return answer
