"""What a file must be beyond its form: names that exist, rules that are known, a world that can be.

The timeline has its own checks, :mod:`simulator.scenario.timeline_checks`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from simulator.azure_ad.federated_domains import INITIAL_SUFFIX
from simulator.scenario import names as known
from simulator.scenario.building import mark
from simulator.scenario.errors import suggest
from simulator.scenario.nodes import Mapping, Node, Problem, Scalar, Sequence
from simulator.scenario.rules import INVARIANTS, RULES
from simulator.scenario.timeline_checks import TimelineChecks
from simulator.scenario.values import START

if TYPE_CHECKING:
    from pathlib import Path

    from simulator.scenario.given_models import Given
    from simulator.scenario.model import Fault
    from simulator.scenario.names import Names
    from simulator.scenario.reader import Draft

LDIF_SIZE_MAX = 256 << 20
"""Bytes of the largest LDIF file that is read."""


def check(draft: Draft, folder: Path) -> list[Problem]:
    """Everything that is wrong with a draft; ``folder`` is where the file stands."""
    names = known.gather(draft)
    checks = Checks(draft, names, [])
    checks.header()
    checks.given(folder)
    checks.faults()
    checks.explore()
    TimelineChecks(draft, names, checks.problems).run()
    return checks.problems


@dataclass
class Checks:
    """The checks of everything but the timeline."""

    draft: Draft
    names: Names
    problems: list[Problem]

    def report(self, message: str, node: Node, hint: str = "") -> None:
        self.problems.append(Problem(message, node, hint))

    def header(self) -> None:
        """Rules and invariants are known; something happens."""
        root = self.draft.root
        for node in known.items(root.get("rules")):
            if isinstance(node, Scalar) and node.text and node.text not in RULES:
                hint = suggest(node.text, RULES, "`pwsync rules` lists them")
                self.report(f'unknown rule "{node.text}"', node, hint)
        switched_off = root.get("except")
        for key, _ in switched_off.entries if isinstance(switched_off, Mapping) else ():
            if key.text not in INVARIANTS:
                self.report(f'unknown invariant "{key.text}"', key, suggest(key.text, INVARIANTS))
        if root.get("explore") is None and not known.items(root.get("timeline")):
            timeline, place = root.get("timeline"), root.key("timeline") or mark(root, None)
            if timeline is None:
                self.report('missing key "timeline"', place, "expected a list of entries")
            elif isinstance(timeline, Sequence):
                self.report("nothing happens in this scenario", place, "expected at least one entry, or explore")

    def given(self, folder: Path) -> None:
        """The world at the start can be."""
        self._users()
        given = self.draft.given
        if given is None:
            return
        self._forests()
        self._directory(folder)
        self._principal_names(given)
        if not self.problems:
            self._people(given)
        self._federated(given)
        for index, user in enumerate(given.users):
            if user.domain is not None:
                self._domain(user.domain, self.draft.node("given", "users", index, "domain"))
        for domain, controllers in given.agent.preferred_controllers.items():
            place = self.draft.node("given", "agent", "preferred-controllers", domain)
            self._preferred(domain, controllers, place)

    def _federated(self, given: Given) -> None:
        """The tenant's first domain is its own: it can't be federated."""
        for domain, kind in given.cloud.domains.items():
            if kind == "federated" and domain.lower().endswith(INITIAL_SUFFIX):
                place = self.draft.node("given", "cloud", "domains", domain)
                self.report(f'"{domain}" can\'t be federated', place, "a tenant's first domain stays managed")

    def _users(self) -> None:
        seen: dict[str, Scalar] = {}
        for space, node in known.given_users(self.draft):
            folded = node.text.casefold()
            if folded in seen:
                first = seen[folded]
                self.report(f'there is a user "{first.text}" already', node, f"the first one is in line {first.line}")
            seen.setdefault(folded, node)
            self.names.add(space, node.text)

    def _principal_names(self, given: Given) -> None:
        """A user principal name is one user's: a directory refuses it a second time."""
        seen: dict[str, str] = {}
        for index, user in enumerate(given.users):
            upn = user.upn or f"{user.name}@{user.domain or self.names.default_domain}"
            owner = seen.setdefault(upn.casefold(), user.name)
            if owner.casefold() != user.name.casefold():
                node = self.draft.node("given", "users", index, "upn" if user.upn is not None else "name")
                self.report(f'the user principal name "{upn}" is taken', node, f"{owner} has it")

    def _people(self, given: Given) -> None:
        """The directory takes the users as they are to be: tried on one of its own."""
        from simulator.active_directory.state import Domain, Forest
        from simulator.clock import Clock
        from simulator.random import Randomness
        from simulator.refusal import Refusal
        from simulator.scenario.setup import create_keys, give_user

        domains: dict[str, Domain] = {}
        for index, user in enumerate(given.users):
            name = user.domain or self.names.default_domain
            if name not in domains:
                domains[name] = Forest(name, Clock(START), Randomness(1)).add_domain(name)
            try:
                give_user(domains[name], user, create_keys(user))
            except Refusal as refusal:
                place = self.draft.node("given", "users", index, "attributes" if user.attributes else "name")
                self.report(f"the directory refuses this user: {refusal.reason}", place, refusal.detail)

    def _forests(self) -> None:
        given, root = self.draft.given, self.draft.node("given")
        if given is None or not isinstance(root, Mapping):
            return
        key = root.key("forests")
        if key is None:
            return
        if given.forest is not None:
            self.report('"forest" and "forests" exclude each other', key, "a forest of its own goes into forests")
        if not given.forests:
            self.report("there is no forest here", key, "expected at least one")
        seen: dict[str, str] = {}
        for forest, spec in (given.forests or {}).items():
            for domain in spec.domains:
                if domain in seen:
                    node = self.draft.node("given", "forests", forest, "domains")
                    place = node.key(domain) if isinstance(node, Mapping) else None
                    self.report(
                        f'the domain "{domain}" is in two forests', place or node, f"it is in {seen[domain]} too"
                    )
                seen.setdefault(domain, forest)

    def _directory(self, folder: Path) -> None:
        """The LDIF file can be read; its people are known."""
        given = self.draft.given
        if given is None or given.directory is None:
            return
        node = self.draft.node("given", "directory")
        try:
            with (folder / given.directory).open("rb") as file:
                data = file.read(LDIF_SIZE_MAX + 1)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            self.report(f'can\'t read "{given.directory}": {reason}', node, "expected an LDIF file beside this one")
            return
        if len(data) > LDIF_SIZE_MAX:
            self.report(f'"{given.directory}" is too big', node, f"at most {LDIF_SIZE_MAX} bytes")
            return
        for name in known.ldif_names(data.decode(errors="replace")):
            self.names.add("directory", name)

    def _domain(self, domain: str, node: Node) -> None:
        if self.names.domains is not None and domain not in self.names.domains:
            self.report(f'unknown domain "{domain}"', node, suggest(domain, self.names.domains))

    def _preferred(self, domain: str, controllers: tuple[str, ...], node: Node) -> None:
        self._domain(domain, node)
        there = (self.names.domains or {}).get(domain, ())
        for index, controller in enumerate(controllers):
            if there and controller not in there:
                place = known.items(node)[index] if known.items(node) else node
                self.report(f'unknown controller "{controller}" of {domain}', place, suggest(controller, there))

    def faults(self) -> None:
        """Faults name domains, controllers and users that there are."""
        for index, read in enumerate(self.draft.faults):
            if read.part is not None:
                self._fault(read.part, index)

    def _fault(self, fault: Fault, index: int) -> None:
        if fault.domain is not None:
            self._domain(fault.domain, self.draft.node("faults", index, "domain"))
        if fault.controller is not None and self.names.domains is not None:
            domains = self.names.domains
            there = (
                domains.get(fault.domain, ()) if fault.domain else [name for each in domains.values() for name in each]
            )
            if there and fault.controller not in there:
                node = self.draft.node("faults", index, "controller")
                self.report(f'unknown controller "{fault.controller}"', node, suggest(fault.controller, there))
        if fault.user is not None:
            self._ever(fault.user, self.draft.node("faults", index, "user"))

    def _ever(self, user: str, node: Node) -> None:
        """The user exists at some time."""
        ever = {*self.names.users, *self.names.later}
        if user not in ever:
            self.report(f'unknown user "{user}"', node, suggest(user, sorted(ever)))

    def explore(self) -> None:
        """Random runs change passwords of users that there are; policies of some users name users that there are."""
        scenario, given = self.draft.scenario, self.draft.given
        if scenario is not None and scenario.explore is not None and scenario.explore.changes is not None:
            nodes = known.items(self.draft.node("explore", "changes", "users"))
            for user, node in zip(scenario.explore.changes.users, nodes, strict=False):
                self._ever(user, node)
        for name, spec in (given.all_domains() if given else {}).items():
            place = self.draft.node("given", "forest", "domains", name, "fine-grained")
            seen: set[str] = set()
            for policy in spec.fine_grained:
                for user in policy.applies_to:
                    self._ever(user, place)
                if policy.name.casefold() in seen:
                    self.report(f'there is a policy "{policy.name}" already', place, "each has a name of its own")
                seen.add(policy.name.casefold())
