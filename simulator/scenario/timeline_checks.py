"""The checks of a timeline: time goes forward, and whoever is named exists at that point.

Within an instant all actions come before all expectations, whatever entry they stand in.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from typing import TYPE_CHECKING

from simulator.scenario import names as known
from simulator.scenario.errors import suggest
from simulator.scenario.model import ExpectRefused
from simulator.scenario.nodes import Mapping, Node, Problem
from simulator.scenario.values import format_offset

if TYPE_CHECKING:
    from collections.abc import Iterable

    from simulator.scenario.names import Names
    from simulator.scenario.reader import Draft, Read, ReadStep

NO_SUCH_USER = ("no-such-user", "unknown-user")
ONE_DOMAIN = (
    "ad.set-policy", "ad.grant", "ad.revoke", "ad.set-connector-password", "agent.full-password-sync",
)  # fmt: skip
"""Actions that need their domain where there are several."""


@dataclass
class TimelineChecks:
    """Walks the timeline once; ``names`` grows on the way."""

    draft: Draft
    names: Names
    problems: list[Problem]

    def report(self, message: str, node: Node, hint: str = "") -> None:
        self.problems.append(Problem(message, node, hint))

    def run(self) -> None:
        self._order()
        for _, steps in groupby(self._timed(), key=lambda pair: pair[0]):
            instant = [step for _, step in steps]
            for step in instant:
                for read in step.actions:
                    self._action(read, step)
            for step in instant:
                self._refused(step)
                for read in step.expectations:
                    self._expectation(read, step)

    def _timed(self) -> Iterable[tuple[timedelta, ReadStep]]:
        """The steps with their times; one whose time can't be read stands with the one before."""
        now = timedelta(0)
        for step in self.draft.steps:
            now = step.at if step.at is not None else now
            yield now, step

    def _order(self) -> None:
        latest = timedelta(0)
        for step in self.draft.steps:
            if step.at is None or step.at_node is None:
                continue
            if step.at < latest:
                message = f"time goes back: {format_offset(step.at)} after {format_offset(latest)}"
                self.report(message, step.at_node, "entries stand in the order of their times")
            latest = max(latest, step.at)

    def _refused(self, step: ReadStep) -> None:
        refusals = [read for read in step.expectations if read.name == ExpectRefused.name]
        if not refusals:
            return
        if len(step.actions) != 1:
            number = f"{len(step.actions)} actions" if step.actions else "no action"
            hint = "give each action an entry of its own" if step.actions else "expected one action under do"
            self.report(f"refused goes with exactly one action, this entry has {number}", refusals[0].key, hint)
        for read in refusals[1:]:
            self.report("refused is here twice", read.key, "an action is refused for one reason")

    def _action(self, read: Read, step: ReadStep) -> None:
        reason = _reason(step)
        if read.name in known.CREATORS:
            self._create(read, refused=reason is not None)
        elif read.part is not None:
            self._users(
                read, tolerated=reason == "no-such-user", space="directory" if read.name.startswith("ad.") else ""
            )
        if read.part is None:
            self._unread(read)
            return
        self._places(read)
        self._since(read, step)
        if read.name in ("ad.delete-user", "cloud.delete-user") and reason is None:
            self.names.live.discard(read.part.user)
        if read.name == "cloud.refresh-session":
            self._session(read)
        if read.name == "cloud.sign-in" and reason is None:
            self.names.sessions.add(read.part.as_ or read.part.user)

    def _create(self, read: Read, *, refused: bool) -> None:
        node = known.user_node(read)
        if node is None:
            return
        if node.text in self.names.live and not refused:
            self.report(f'there is a user "{node.text}" already', node, "expected a new name")
        self.names.add(known.CREATORS[read.name], node.text, live=not refused)
        domain = getattr(read.part, "domain", None) or self.names.default_domain
        self.names.home.setdefault(node.text, domain)

    def _expectation(self, read: Read, step: ReadStep) -> None:
        if read.part is None:
            self._unread(read)
            return
        part = read.part
        absent = getattr(part, "result", None) in NO_SUCH_USER or getattr(part, "exists", None) is False
        self._users(read, tolerated=absent, space="directory" if read.name.startswith("ad.") else "")
        self._places(read)
        self._since(read, step)
        if read.name == "cloud.session":
            self._session(read)

    def _users(self, read: Read, *, tolerated: bool, space: str) -> None:
        """Every user that is named exists, or has existed; ``tolerated``: the entry says that there is none."""
        user = getattr(read.part, "user", None)
        if user is not None and not tolerated:
            self._user(user, _node(read, "user"), space)
        for key, attribute in (("users", "users"), ("is", "is_")):
            listed = getattr(read.part, attribute, None)
            if isinstance(listed, tuple) and read.name != "cloud.history":
                for name, node in zip(listed, known.items(_node(read, key)), strict=False):
                    self._user(name, node, "")

    def _unread(self, read: Read) -> None:
        """An action or expectation with another error still names a user that exists."""
        node = known.user_node(read)
        says_absent = any(_node(read, key) is not read.key for key in ("exists", "result"))
        if node is not None and read.name not in known.CREATORS and not says_absent:
            self._user(node.text, node, "")

    def _user(self, name: str, node: Node, space: str) -> None:
        if name in (self.names.directory if space else self.names.users):
            return
        if name in self.names.cloud:
            self.report(f'"{name}" is not a user of the directory', node, "it is one of the cloud")
        elif name in self.names.later:
            self.report(f'there is no user "{name}" yet', node, f"it is created in line {self.names.later[name]}")
        else:
            there = sorted(self.names.directory if space else self.names.users)
            self.report(f'unknown user "{name}"', node, suggest(name, there, "" if there else "no users are given"))

    def _places(self, read: Read) -> None:
        """Domains, controllers and links exist."""
        domains = self.names.domains
        if domains is None:
            return
        part = read.part
        domain = getattr(part, "domain", None)
        if domain is not None:
            there = self.names.cloud_domains if read.name == "cloud.convert-domain" else domains
            self._known(domain, there, "domain", _node(read, "domain"))
        elif read.name in ONE_DOMAIN and len(domains) > 1:
            self.report(f'missing key "domain" of {read.name}', read.key, f"expected one of {', '.join(domains)}")
        if read.name == "ad.set-controller":
            self._controller(read, domains)
        elif getattr(part, "on", None) is not None:
            home = self.names.home.get(part.user, self.names.default_domain)
            self._known(part.on, domains.get(home, ()), "controller", _node(read, "on"))
        if read.name == "network.set-link":
            self._known(part.link, ["cloud", *domains], "link", _node(read, "link"))
        for name, controllers in (getattr(part, "preferred_controllers", None) or {}).items():
            self._preferred(read, name, controllers, domains)

    def _preferred(
        self, read: Read, domain: str, controllers: tuple[str, ...], domains: dict[str, tuple[str, ...]]
    ) -> None:
        table = _node(read, "preferred-controllers")
        key = table.key(domain) if isinstance(table, Mapping) else None
        self._known(domain, domains, "domain", key or read.key)
        for controller in controllers if domain in domains else ():
            self._known(controller, domains[domain], "controller", key or read.key)

    def _controller(self, read: Read, domains: dict[str, tuple[str, ...]]) -> None:
        """The controller exists, and its name says which one is meant."""
        part, node = read.part, _node(read, "controller")
        if part.domain is not None:
            self._known(part.controller, domains.get(part.domain, (part.controller,)), "controller", node)
            return
        homes = [name for name, controllers in domains.items() if part.controller in controllers]
        if not homes:
            there = dict.fromkeys(each for controllers in domains.values() for each in controllers)
            self._known(part.controller, there, "controller", node)
        elif len(homes) > 1:
            hint = f'write "{part.controller}.{homes[0]}"'
            self.report(f'several domains have a controller "{part.controller}"', node, hint)
        else:
            read.part = part.model_copy(update={"domain": homes[0]})

    def _known(self, name: str, there: Iterable[str], what: str, node: Node) -> None:
        there = list(there)
        if name not in there:
            self.report(f'unknown {what} "{name}"', node, suggest(name, sorted(there)))

    def _since(self, read: Read, step: ReadStep) -> None:
        since = getattr(read.part, "since", None)
        if since is not None and step.at is not None and since > step.at:
            message = f"since {format_offset(since)} is after this entry, which is at {format_offset(step.at)}"
            self.report(message, _node(read, "since"), "expected an offset up to the entry's own")

    def _session(self, read: Read) -> None:
        if read.part.as_ not in self.names.sessions:
            there = sorted(self.names.sessions)
            hint = suggest(read.part.as_, there, "" if there else "cloud.sign-in under do opens one")
            self.report(f'there is no session "{read.part.as_}" yet', _node(read, "as"), hint)


def _reason(step: ReadStep) -> str | None:
    """The reason for which the entry expects its action to be refused."""
    for read in step.expectations:
        if read.name == ExpectRefused.name:
            return getattr(read.part, "reason", None) or "unknown"
    return None


def _node(read: Read, key: str) -> Node:
    """The value of an argument, or the action itself."""
    found = read.arguments.get(key) if isinstance(read.arguments, Mapping) else None
    return found if found is not None else read.key
