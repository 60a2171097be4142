"""Random worlds: what people, servers and networks do in one random run, drawn as a plain value from a seed.

A plan is a :data:`~simulator.explore.writing.Document`; it holds whatever was drawn, and nothing is decided while it
runs. Each plan first leaves out a random half of everything that can be drawn ("swarm testing": what many features
hide together a few of them show). Draws come from child seeds by name. A seed gives the same plan everywhere; a
hypothesis strategy does not promise that from one version of hypothesis to the next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from simulator.explore import plan_faults
from simulator.explore.writing import Document, Quoted, duration, offset
from simulator.random import Randomness

NAMES = ("alice", "bob", "carol", "dave", "erin")
ONE, CHILD, OTHER = "contoso.example", "emea.contoso.example", "fabrikam.example"
PEOPLE, OUTSIDE = Quoted("OU=People"), Quoted("OU=Outside")
RUN_RULES = ["order.per-user", "retry.automatic"]

WORLD_FEATURES = (
    "several-domains", "several-forests", "several-controllers", "latency", "small-batches", "policies", "states",
    "classes", "scope", "fresh-agent", "staging-at-start", "current-profile", "preferences", "cloud-users", "federated",
)  # fmt: skip
"""What a world may have, beside what happens in it."""

END = {"agent.cycles": {"kind": "password", "count": "0+"}}
"""Holds always: the last entry of a plan says how long it lasts."""


@dataclass
class Sketch:
    """A plan while it is drawn.

    left_out: features and names of actions that this plan does without. homes: users of the directory by handle, with
    their domain. passwords: every password that somebody had, by user.
    """

    random: Random
    left_out: frozenset[str]
    domains: dict[str, list[str]]
    profile: str = "2017"
    homes: dict[str, str] = field(default_factory=dict)
    passwords: dict[str, list[Quoted]] = field(default_factory=dict)
    cloud_users: list[str] = field(default_factory=list)
    sessions: list[str] = field(default_factory=list)
    drawn: int = 0

    def has(self, feature: str, chance: float = 1.0) -> bool:
        """Whether this plan has the feature, at this place."""
        return feature not in self.left_out and self.random.random() < chance

    def password(self, user: str) -> Quoted:
        """A new password for a user; now and then one from before."""
        if self.passwords.get(user) and self.random.random() < 0.06:
            return self.random.choice(self.passwords[user])
        self.drawn += 1
        found = Quoted(f"Pass-{self.drawn}-{self.random.choice('ABCDEFGH')}-word")
        self.passwords.setdefault(user, []).append(found)
        return found

    def user(self) -> str:
        return self.random.choice(list(self.homes))

    def domain(self) -> str:
        return self.random.choice(list(self.domains))

    def on(self, user: str) -> dict[str, Any]:
        """The controller for a change, where there are several."""
        controllers = self.domains[self.homes[user]]
        if len(controllers) == 1 or self.random.random() < 0.4:
            return {}
        return {"on": self.random.choice(controllers)}


Drawer = Callable[[Sketch], dict[str, Any]]
DRAWERS: dict[str, tuple[int, Drawer]] = {}
"""What can happen, by a name of its own: how often in comparison, and how the action is drawn."""


def drawer(name: str, weight: int = 1) -> Callable[[Drawer], Drawer]:
    """Register how an action is drawn."""

    def register(function: Drawer) -> Drawer:
        DRAWERS[name] = (weight, function)
        return function

    return register


def draw_plan(seed: int) -> Document:
    """The plan of a seed: a whole scenario, but for its calm ending."""
    from simulator.explore import plan_actions  # noqa: F401 - registers what can happen

    randomness = Randomness(seed)
    sketch = _sketch(randomness.child("explore/swarm"))
    sketch.random = randomness.child("explore/world")
    given = _given(sketch)
    sketch.random = randomness.child("explore/timeline")
    length = sketch.random.choice([420, 600, 900, 1200, 2000, 2700])
    moments = draw_moments(sketch.random, sketch.random.randint(2, 12), 0, length)
    timeline = _install(sketch, given) + draw_steps(sketch, moments)
    timeline.sort(key=lambda step: step[0])
    sketch.random = randomness.child("explore/faults")
    count = sketch.random.choice([0, 1, 1, 2, 2, 3, 4])
    faults = plan_faults.draw_faults(sketch.random, count, length, sketch.left_out, list(sketch.homes), sketch.domains)
    steps: list[Document] = [{"at": offset(at), "do": do} for at, do in timeline]
    document: Document = {
        "scenario": f"Random run {seed}",
        "why": "Drawn at random.",
        "rules": list(RUN_RULES),
        "profile": sketch.profile,
        "seed": str(seed),
        "given": given,
        "faults": faults,
        "timeline": [*steps, {"at": offset(length), "expect": [END]}],
    }
    return document


def _sketch(random: Random) -> Sketch:
    everything = sorted({*WORLD_FEATURES, *DRAWERS, *plan_faults.GROUPS})
    share = random.choice([0.3, 0.5, 0.5, 0.7])
    left_out = frozenset(name for name in everything if random.random() < share)
    return Sketch(random, left_out - {"reset"}, {ONE: ["dc1"]})


# --- the world at the start -------------------------------------------------------------------------------------


def _given(sketch: Sketch) -> Document:
    random = sketch.random
    sketch.profile = "current" if sketch.has("current-profile", 0.6) else "2017"
    given: Document = {}
    if sketch.has("fresh-agent", 0.4):
        given["sync"] = random.choice(["installed", "installed", "none"])
    given.update(_forests(sketch))
    given["users"] = [_user(sketch, name) for name in NAMES[: random.randint(1, len(NAMES))]]
    if sketch.has("cloud-users", 0.3):
        sketch.cloud_users.append("zoe")
        given["cloud-users"] = [{"name": "zoe", "password": sketch.password("zoe")}]
    if sketch.has("scope", 0.4):
        given["scope"] = draw_scope(random) or {"exclude-ous": [OUTSIDE]}
    if agent := _agent(sketch):
        given["agent"] = agent
    if sketch.profile == "current" and random.random() < 0.5:
        given["cloud"] = {"features": {"force-password-change-on-logon": "on"}}
    if sketch.has("federated", 0.2):
        given.setdefault("cloud", {})["domains"] = {sketch.domain(): "federated"}
    if sketch.has("latency", 0.5):
        given["network"] = {
            "cloud-latency": random.choice(["1s", "20s", "50s", "130s"]),
            "directory-latency": random.choice(["0s", "7s", "40s"]),
        }
    return given


def _forests(sketch: Sketch) -> Document:
    several = sketch.has("several-forests", 0.3)
    if several or sketch.has("several-domains", 0.6):
        sketch.domains = {ONE: ["dc1"], (OTHER if several else CHILD): ["dc1"]}
    specs = {name: _domain(sketch, name) for name in sketch.domains}
    if several:
        return {"forests": {"one": {"domains": {ONE: specs[ONE]}}, "two": {"domains": {OTHER: specs[OTHER]}}}}
    return {"forest": {"domains": specs}} if len(specs) > 1 or specs[ONE] else {}


def _domain(sketch: Sketch, name: str) -> Document:
    random = sketch.random
    spec: Document = {}
    if sketch.has("several-controllers", 0.7):
        sketch.domains[name] = [f"dc{number}" for number in range(1, random.randint(2, 3) + 1)]
        spec = {
            "controllers": list(sketch.domains[name]),
            "replication-delay": random.choice(["0s", "1s", "15s", "2m", "5m"]),
        }
    if sketch.has("policies", 0.5):
        spec["policy"] = draw_policy(random)
    return spec


def draw_policy(random: Random) -> Document:
    """Some keys of a domain's password policy."""
    choices: dict[str, Sequence[str]] = {
        "min-length": ["0", "7", "16"], "complexity": ["true", "false"], "history": ["0", "1", "24"],
        "min-age": ["0d", "1d", "5m"], "max-age": ["42d", "1d"], "lockout-threshold": ["0", "1", "3"],
    }  # fmt: skip
    return {key: random.choice(choices[key]) for key in random.sample(sorted(choices), random.randint(1, 2))}


def draw_scope(random: Random) -> Document:
    """A scope that leaves out a part of the users, or none."""
    return random.choice(
        [
            {},
            {"exclude-ous": [OUTSIDE]},
            {"ous": [PEOPLE]},
            {"exclude-attribute": {"department": Quoted("Secret")}},
        ]
    )


def _user(sketch: Sketch, name: str) -> Document:
    random = sketch.random
    user: Document = {"name": name, "password": sketch.password(name)}
    sketch.homes[name] = sketch.domain()
    if len(sketch.domains) > 1:
        user["domain"] = sketch.homes[name]
    user.update(draw_traits(sketch, random, 0.15))
    return user


def draw_traits(sketch: Sketch, random: Random, chance: float) -> Document:
    """What sets a user apart from most."""
    traits: Document = {}
    if sketch.has("classes", chance):
        traits["class"] = "inetOrgPerson"
    if sketch.has("scope", chance):
        traits.update(random.choice([{"ou": OUTSIDE}, {"attributes": {"department": Quoted("Secret")}}]))
    for key in ("must-change", "smartcard-required", "critical"):
        if sketch.has("states", chance / 2):
            traits[key] = "true"
    if sketch.has("states", chance):
        traits["enabled"] = "false"
    return traits


def _agent(sketch: Sketch) -> Document:
    random = sketch.random
    agent: Document = {}
    if sketch.has("staging-at-start", 0.3):
        agent["staging"] = "true"
    if sketch.has("small-batches", 0.7):
        agent["batch-size"] = str(random.randint(1, 3))
    several = [name for name, controllers in sketch.domains.items() if len(controllers) > 1]
    if several and sketch.has("preferences", 0.6):
        agent["preferred-controllers"] = draw_preference(sketch, random.choice(several))
    return agent


def draw_preference(sketch: Sketch, domain: str) -> Document:
    """The controllers of a domain, in an order of preference."""
    controllers = sketch.domains[domain]
    return {domain: sketch.random.sample(controllers, sketch.random.randint(1, len(controllers)))}


# --- what happens -----------------------------------------------------------------------------------------------


def _install(sketch: Sketch, given: Document) -> list[tuple[int, list[Document]]]:
    if given.get("sync") != "none":
        return []
    setup: Document = {"setup": "express"}
    if sketch.random.random() < 0.3:
        setup = {"setup": "custom", "password-sync": sketch.random.choice(["true", "false"])}
    return [(sketch.random.choice([0, 5, 120]), [{"agent.install": setup}])]


def draw_moments(random: Random, count: int, first: int, last: int) -> list[int]:
    """When something happens: at cycles, right before and after them, close together, or anywhere."""
    moments: list[int] = []
    for _ in range(count):
        whole = random.randint(first, last)
        kind = random.random()
        if kind < 0.25:
            whole = whole // 120 * 120
        elif kind < 0.4:
            whole = whole // 120 * 120 + random.choice([-1, 1])
        elif kind < 0.7 and moments:
            whole = moments[-1] + random.choice([0, 1, 10, 30, 60, 61])
        moments.append(min(max(whole, first), last))
    return sorted(moments)


def draw_steps(sketch: Sketch, moments: Sequence[int]) -> list[tuple[int, list[Document]]]:
    """An action for each moment, of those that this plan has."""
    there = [(name, *DRAWERS[name]) for name in DRAWERS if name not in sketch.left_out]
    weights = [weight for _, weight, _ in there]
    steps = []
    for moment in moments:
        _, _, draw = sketch.random.choices(there, weights)[0]
        if drawn := draw(sketch):
            steps.append((moment, [drawn]))
    return steps


def pause(random: Random) -> str:
    """A length of time at which a mistake may show."""
    return duration(random.choice([1, 30, 90, 119, 120, 121, 300, 600]))
