"""Random worlds: what people, servers and networks do in one random run, drawn as a plain value from a seed.

A plan is a :data:`~simulator.explore.writing.Document`; it holds whatever was drawn, and nothing is decided while it
runs. Each plan first leaves out a random half of everything that can be drawn ("swarm testing": what many features
hide together a few of them show). Draws come from child seeds by name. A seed gives the same plan everywhere, which
hypothesis does not promise from one version to the next; :mod:`simulator.explore.strategies` has hypothesis draw them.

Ten seeds share a world (:func:`world_of`): how it is at +0s, and with it the first synchronization, which is the
dearest part of a run. What happens in it, and what goes wrong, each seed draws for itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from simulator.explore import plan_faults
from simulator.explore.writing import Document, Quoted, duration, offset
from simulator.random import Randomness
from simulator.scenario.values import parse_offset

SHARING = 10
"""So many seeds share a world."""

NAMES = ("alice", "bob", "carol", "dave", "erin")
ONE, CHILD, OTHER = "contoso.example", "emea.contoso.example", "fabrikam.example"
PEOPLE, OUTSIDE = Quoted("OU=People"), Quoted("OU=Outside")
RUN_RULES = ["order.per-user", "retry.automatic"]

LENGTHS = (420, 600, 900, 1200, 2000, 2700)
"""How long a run lasts, in seconds."""

LONG = (*[4500] * 8, *[12_000] * 3, 90_000)
"""How long it lasts where time matters that is told in hours. A day costs as much as thirty other runs."""

WORLD_FEATURES = (
    "several-domains", "several-forests", "several-controllers", "latency", "small-batches", "policies", "states",
    "classes", "scope", "fresh-agent", "staging-at-start", "current-profile", "preferences", "cloud-users", "federated",
    "managed-domain", "crowd", "odd-passwords", "fine-grained", "thresholds", "long", "looks",
)  # fmt: skip
"""What a world may have, beside what happens in it."""

ODD = (
    "Pässwörd-{}-ß", "  Blank {} both  ", "<Tag-{}>&amp;", "Key-{}-\U0001f511", "Long-{}-" + "x" * 100, "P-{}",
    "pass{}word", 'Quote-{}-"\\\'',
)  # fmt: skip
"""Passwords that are unlike most, with a number in them: letters beyond ASCII, blanks, markup, long and short ones."""

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
        if self.has("odd-passwords", 0.2):
            found = Quoted(self.random.choice(ODD).format(self.drawn))
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


Source = Callable[[str], Random]
"""Gives the random numbers of a name."""

Drawer = Callable[[Sketch], dict[str, Any]]
DRAWERS: dict[str, tuple[int, Drawer]] = {}
"""What can happen, by a name of its own: how often in comparison, and how the action is drawn."""


def drawer(name: str, weight: int = 1) -> Callable[[Drawer], Drawer]:
    """Register how an action is drawn."""

    def register(function: Drawer) -> Drawer:
        DRAWERS[name] = (weight, function)
        return function

    return register


def world_of(seed: int) -> int:
    """The seed of the world in which a seed's plan happens."""
    return seed // SHARING


def draw_plan(seed: int) -> Document:
    """The plan of a seed: a whole scenario, but for its calm ending."""
    world = world_of(seed)
    return draw_plan_from(Randomness(world).child, Randomness(seed).child, world, f"Random run {seed}")


def draw_plan_from(of_the_world: Source, source: Source, seed: int, name: str = "Random run") -> Document:
    """A plan whose parts are drawn each from a source of its own, by name. seed: of the world that it happens in."""
    from simulator.explore import plan_actions, plan_servers  # noqa: F401 - they register what can happen
    from simulator.explore.plan_looks import draw_looks

    everything = [*WORLD_FEATURES, *DRAWERS, *plan_faults.GROUPS]
    random = of_the_world("explore/swarm")
    sketch = Sketch(random, _left_out(random, everything), {ONE: ["dc1"]})
    sketch.random = of_the_world("explore/world")
    given = _given(sketch)
    happening = _left_out(source("explore/swarm"), [*DRAWERS, *plan_faults.GROUPS])
    sketch.left_out = happening | sketch.left_out & set(WORLD_FEATURES)
    sketch.random = source("explore/timeline")
    length = sketch.random.choice(LONG if sketch.has("long", 0.12) else LENGTHS)
    moments = draw_moments(sketch.random, sketch.random.randint(2, 12), 0, length)
    timeline = _install(sketch, given) + draw_steps(sketch, moments)
    timeline.sort(key=lambda step: step[0])
    sketch.random = source("explore/faults")
    count = sketch.random.choice([0, 1, 1, 2, 2, 3, 4])
    faults = plan_faults.draw_faults(sketch.random, count, length, sketch.left_out, list(sketch.homes), sketch.domains)
    steps: list[Document] = [{"at": offset(at), "do": do} for at, do in timeline]
    if sketch.has("looks", 0.5):
        sketch.random = source("explore/looks")
        creations = ("ad.create-user", "cloud.create-user")
        born = {each[name]["user"]: at for at, do in timeline for each in do for name in creations if name in each}
        steps = sorted([*steps, *draw_looks(sketch, length, born)], key=lambda step: parse_offset(step["at"]))
    document: Document = {
        "scenario": name,
        "why": "Drawn at random.",
        "rules": list(RUN_RULES),
        "profile": sketch.profile,
        "seed": str(seed),
        "given": given,
        "faults": faults,
        "timeline": [*steps, {"at": offset(length), "expect": [END]}],
    }
    return document


def _left_out(random: Random, everything: Iterable[str]) -> frozenset[str]:
    """A random half of everything; resets are never left out."""
    share = random.choice([0.3, 0.5, 0.5, 0.7])
    return frozenset(name for name in sorted(set(everything)) if random.random() < share) - {"reset"}


# --- the world at the start -------------------------------------------------------------------------------------


def _given(sketch: Sketch) -> Document:
    random = sketch.random
    sketch.profile = "current" if sketch.has("current-profile", 0.6) else "2017"
    given: Document = {}
    if sketch.has("fresh-agent", 0.4):
        given["sync"] = random.choice(["installed", "installed", "none"])
    given.update(_forests(sketch))
    given["users"] = [_user(sketch, name) for name in NAMES[: random.randint(1, len(NAMES))]]
    _fine_grained(sketch, given)
    if sketch.has("cloud-users", 0.3):
        sketch.cloud_users.append("zoe")
        given["cloud-users"] = [{"name": "zoe", "password": sketch.password("zoe")}]
    if sketch.has("scope", 0.4):
        given["scope"] = draw_scope(random) or {"exclude-ous": [OUTSIDE]}
    if agent := _agent(sketch):
        given["agent"] = agent
    if cloud := _cloud(sketch):
        given["cloud"] = cloud
    if sketch.has("crowd", 0.1):
        given["population"] = {"count": str(random.choice([1, 7, 7, 51]))}
    if sketch.has("latency", 0.5):
        given["network"] = {
            "cloud-latency": random.choice(["1s", "20s", "50s", "130s"]),
            "directory-latency": random.choice(["0s", "7s", "40s"]),
        }
    return given


def _cloud(sketch: Sketch) -> Document:
    random = sketch.random
    cloud: Document = {}
    if sketch.profile == "current" and random.random() < 0.5:
        names = random.sample(["force-password-change-on-logon", "cloud-policy-for-synced-users"], random.randint(1, 2))
        cloud["features"] = dict.fromkeys(names, "on")
    if sketch.has("federated", 0.2):
        cloud["domains"] = {sketch.domain(): "federated"}
    if sketch.has("managed-domain", 0.3):
        cloud["domain-services"] = "on"
    if sketch.has("policies", 0.2):
        cloud["policy"] = draw_cloud_policy(random)
    return cloud


def _forests(sketch: Sketch) -> Document:
    several = sketch.has("several-forests", 0.3)
    first = [ONE, CHILD] if sketch.has("several-domains", 0.6) else [ONE]
    sketch.domains = {name: ["dc1"] for name in [*first, *[OTHER] * several]}
    specs = {name: _domain(sketch, name) for name in sketch.domains}
    if several:
        one = {name: specs[name] for name in first}
        return {"forests": {"one": {"domains": one}, "two": {"domains": {OTHER: specs[OTHER]}}}}
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


def _fine_grained(sketch: Sketch, given: Document) -> None:
    """A policy of their own for some users of a domain."""
    forests = [given["forest"]] if "forest" in given else list(given.get("forests", {}).values())
    for name, spec in [pair for forest in forests for pair in forest["domains"].items()]:
        users = [user for user, home in sketch.homes.items() if home == name]
        if users and sketch.has("fine-grained", 0.3):
            some = sketch.random.sample(users, sketch.random.randint(1, len(users)))
            spec["fine-grained"] = [{"name": "strict", "applies-to": some, **draw_policy(sketch.random)}]


def draw_policy(random: Random) -> Document:
    """Some keys of a domain's password policy."""
    choices: dict[str, Sequence[str]] = {
        "min-length": ["0", "7", "16"], "complexity": ["true", "false"], "history": ["0", "1", "24"],
        "min-age": ["0d", "1d", "5m"], "max-age": ["42d", "1d"], "lockout-threshold": ["0", "1", "3"],
        "lockout-duration": ["30m", "1m"], "lockout-window": ["30m", "1m"],
    }  # fmt: skip
    return {key: random.choice(choices[key]) for key in random.sample(sorted(choices), random.randint(1, 2))}


def draw_cloud_policy(random: Random) -> Document:
    """A key of the tenant's password policy."""
    keys = [
        {"min-length": "12"}, {"max-age": "1d"}, {"lockout-threshold": "1"}, {"classes": "4"}, {"max-length": "16"},
        {"notice": "1d"}, {"lockout-duration": "10m"},
    ]  # fmt: skip
    return random.choice(keys)


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
    for key in ("must-change", "smartcard-required", "critical", "password-never-expires"):
        if sketch.has("states", chance / 2):
            traits[key] = "true"
    if sketch.has("states", chance / 2):
        traits["account-expires"] = random.choice(["+4m", "+20m"])
    if sketch.has("states", chance / 2):
        traits["password-age"] = random.choice(["0s", "1h", "41d", "400d"])
    if sketch.has("states", chance):
        traits["enabled"] = "false"
    return traits


def _agent(sketch: Sketch) -> Document:
    random = sketch.random
    agent: Document = {}
    if sketch.has("staging-at-start", 0.3):
        agent["staging"] = "true"
    if sketch.has("fips", 0.1):
        agent["fips"] = "true"
    if sketch.has("thresholds", 0.3):
        agent["deletion-threshold"] = random.choice(["0", "1", "2"])
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
        setup = {"setup": "custom", "password-sync": flag(sketch)}
        if sketch.random.random() < 0.3:
            setup["object-sync"] = "false"
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


def flag(sketch: Sketch) -> str:
    """True or false, as a file has them."""
    return sketch.random.choice(["true", "false"])
